"""What the exercise of the sampling loop is tried with: a toy network, a toy step, notes of their calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.kinds.probing import Said
from gantrans.teaching.exercises.words import show


@dataclass(frozen=True)
class ToyPredict:
    """(x_t (B, ...), t) -> an image in [-1, 1] that depends on both; it has a weight that learns."""

    weight: float

    def __call__(self, x_t: Tensor, t: Any) -> Tensor:
        """A time of another type or shape is taken as well: the checker says what is wrong with it."""
        times = t if isinstance(t, Tensor) else torch.tensor(t)
        each = times.numel() in (1, len(x_t))
        phase = (0.7 * times).to(x_t.dtype).sin()
        phase = phase.reshape(-1, *[1] * (x_t.dim() - 1)) if each else phase.mean()
        weight = torch.tensor(self.weight, dtype=torch.float64, requires_grad=True)
        return torch.tanh(weight * x_t + phase)


def toy_step(x: Tensor, x0: Tensor, noise: Any, bar: Any, bar_next: Any, before: Any) -> Tensor:
    """A step that depends on all it is given, the whole of `before` included."""
    noise = noise if isinstance(noise, Tensor) else torch.zeros(())
    new = bar_next * x0 + (1 - bar_next) * (0.5 * x + 0.4 * noise) + 0.1 * bar * x
    if isinstance(before, (tuple, list)) and len(before) == 2:
        new = new + 0.3 * (1 + before[1]) * (x0 - before[0])
    return new


@dataclass
class Noted:
    """What `predict` and `step` were called with, in order, as it was at the time of the call."""

    predict: Callable[..., Tensor]
    step: Callable[..., Tensor]
    asked: list[dict[str, Any]] = field(default_factory=list)
    stepped: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, x_t: Tensor, t: Any) -> Tensor:
        """`predict`, noted."""
        self.asked.append(
            {"x_t": _kept(x_t), "t": _kept(t) if isinstance(t, Tensor) else Said(f"{show(t)}, no tensor")}
        )
        return self.predict(x_t, t)

    def go(self, x: Tensor, x0: Tensor, noise: Tensor, bar: float, bar_next: float, before: Any) -> Tensor:
        """`step`, noted."""
        pair = isinstance(before, (tuple, list)) and len(before) == 2
        self.stepped.append(
            {
                "x": _kept(x),
                "x0": _kept(x0),
                "noise": _kept(noise),
                "bar": _number(bar),
                "bar_next": _number(bar_next),
                "before": (_kept(before[0]), _number(before[1])) if pair else _kept(before),
            }
        )
        return self.step(x, x0, noise, bar, bar_next, before)

    def told(self, calls: int) -> dict[str, Any]:
        """The numbers of calls, then what each of the first `calls` was given, in the order of the loop."""
        seen: dict[str, Any] = {
            "the number of calls of `predict`": len(self.asked),
            "the number of calls of `step`": len(self.stepped),
        }
        for i in range(calls):
            for name, parts, made in (
                ("predict", ("x_t", "t"), self.asked),
                ("step", ("x", "x0", "noise", "bar", "bar_next", "before"), self.stepped),
            ):
                given = made[i] if i < len(made) else dict.fromkeys(parts, Said("no call"))
                seen |= {f"`{part}` of call {i + 1} of `{name}`": given[part] for part in parts}
        return seen


def _kept(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return type(value)(map(_kept, value)) if type(value) in (list, tuple) else value


def _number(value: Any) -> Any:
    """A tensor stands where a plain number is asked for: then say so."""
    return Said(f"a tensor, {value.detach().tolist()}") if isinstance(value, Tensor) else value
