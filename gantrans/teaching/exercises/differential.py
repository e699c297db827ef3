"""Differential checking: run a function and a reference on the same inputs and say, in words, how they
differ.

What is observed of one call is more than its value: the exception, what happened to the arguments, the
gradients, and whether the value changes with the state of the global random generators. Random differential
testing in the spirit of McKeeman, "Differential testing for software" (1998).
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.teaching.exercises.guard import TimeUp
from gantrans.teaching.exercises.inputs import Args, duplicate, seed_globals

TOLERANCE = {torch.float32: 3e-5, torch.float64: 1e-9}


@dataclass(frozen=True)
class Observation:
    """What one function did with one input; `gradients` is None where not asked or the value is wrong."""

    value: Any = None
    error: BaseException | None = None
    after: Args = ()
    repeatable: bool = True
    gradients: tuple[Tensor | None, ...] | None = None


def observe(
    function: Callable[..., Any], args: Args, wrt: Sequence[int] = (), expected: Observation | None = None
) -> Observation:
    """Call `function` on copies of `args`: twice under different global seeds, once more for gradients.

    Gradients (by the arguments at the positions `wrt`) are skipped when the call already differs from
    `expected`: there is nothing to compare them with. The global generators are left seeded, which
    `kept_generators` undoes. KeyboardInterrupt passes; any other exception becomes part of the observation.
    """
    first, second = duplicate(args), duplicate(args)
    try:
        seed_globals(1)
        value = function(*first)
        seed_globals(2)
        again = function(*second)
        repeatable = difference(value, again) is None
        differs = expected and (difference(expected.value, value) or difference(expected.after, first))
        gradients = _gradients(function, args, wrt) if wrt and not differs else None
        return Observation(value, None, first, repeatable, gradients)
    except (KeyboardInterrupt, TimeUp):
        raise
    except (
        BaseException
    ) as error:  # the learner's code may raise anything, SystemExit included; it is reported
        return Observation(error=error, after=first)


def compare(
    expected: Observation, got: Observation, names: Sequence[str], wrt: Sequence[int] = ()
) -> str | None:
    """One plain sentence on the first difference that matters, or None when the two observations agree."""
    if expected.error is not None:
        kind = type(expected.error).__name__
        if got.error is None:
            return f"this input has no answer, so {kind} should be raised; you returned {show(got.value)}."
        if not isinstance(got.error, type(expected.error)):
            return (
                f"this input has no answer, so {kind} should be raised; you raised {_error_text(got.error)}."
            )
        return None
    if got.error is not None:
        return f"your code raised {_error_text(got.error)}."
    reason = difference(expected.value, got.value)
    if reason and not got.repeatable:
        reason += " (It also changes from call to call: it depends on the global random state.)"
    if reason:
        return reason
    if not got.repeatable:
        return "the result changes from call to call: it depends on the global random state."
    for name, wanted, found in zip(names, expected.after, got.after, strict=True):
        if difference(wanted, found):
            return (
                f"the value is right, but your function leaves the argument `{name}` as {show(found)}; "
                + (
                    f"it should be {show(wanted)} after the call (no in-place operations on "
                    f"what you were given)."
                )
            )
    for index, wanted, found in zip(wrt, expected.gradients or (), got.gradients or (), strict=True):
        reason = _gradient_difference(wanted, found)
        if reason:
            return f"the value is right, but its gradient with respect to `{names[index]}` is not: {reason}"
    return None


def same_behaviour(a: Observation, b: Observation) -> bool:
    """Whether two functions did the same thing on an input: this is how a misconception is recognised."""
    if a.error is not None or b.error is not None:
        return type(a.error) is type(b.error)
    if a.repeatable != b.repeatable or any(map(difference, a.after, b.after)):
        return False
    if not a.repeatable:
        return True
    if difference(a.value, b.value) or (a.gradients is None) != (b.gradients is None):
        return False
    return not any(map(_gradient_difference, a.gradients or (), b.gradients or ()))


def difference(expected: Any, got: Any, where: str = "") -> str | None:
    """How `got` differs from `expected`: type, structure, shape, dtype, device, value; None if not."""
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, where)
    if isinstance(expected, (list, tuple)):
        if not isinstance(got, (list, tuple)):
            return f"expected {_a_sequence(expected)}{where}, got {show(got)}."
        if len(expected) != len(got):
            return (
                f"expected {len(expected)} entries{where}, got {len(got)}: expected {show(expected)}, got "
                f"{show(got)}."
            )
        for i, (e, g) in enumerate(zip(expected, got, strict=True)):
            reason = difference(e, g, f"{where} in entry {i}" if not where else f"{where}, entry {i}")
            if reason:
                return reason
        return None
    if isinstance(expected, torch.Generator):
        same = isinstance(got, torch.Generator) and torch.equal(expected.get_state(), got.get_state())
        return None if same else f"the generator was used differently{where}."
    if isinstance(expected, int) and not isinstance(expected, bool):
        return _integer_difference(expected, got, where)
    if isinstance(expected, float):
        return _float_difference(expected, got, where)
    if type(expected) is not type(got) or expected != got:
        return f"expected {show(expected)}{where}, got {show(got)}" + _forgot_return(got)
    return None


def show(value: Any) -> str:
    """A value in one short line, fit for a sentence: small tensors in full, large ones by shape and range."""
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        if value.device.type == "meta":
            return f"{kind} tensor of shape {tuple(value.shape)}"
        if value.numel() <= 12:
            return f"{kind} tensor {_rounded(value.tolist())}"
        low, high = float(value.min()), float(value.max())
        return f"{kind} tensor of shape {tuple(value.shape)} with values {low:.4g} to {high:.4g}"
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        text = f"({', '.join(map(show, value))})"
    else:
        text = str(_rounded(value)) if isinstance(value, (list, tuple, float)) else repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def _gradients(function: Callable[..., Any], args: Args, wrt: Sequence[int]) -> tuple[Tensor | None, ...]:
    """Gradients of a fixed random projection of the value; None where an argument has no influence."""
    inputs = duplicate(args)
    leaves = [inputs[i].requires_grad_() for i in wrt]
    seed_globals(1)
    with torch.enable_grad():
        value = function(*inputs)
    outputs = [v for v in (value if isinstance(value, (list, tuple)) else [value]) if _differentiable(v)]
    if not outputs:
        return (None,) * len(leaves)
    draw = torch.Generator().manual_seed(7)
    directions = [torch.randn(v.shape, generator=draw, dtype=torch.float64).to(v) for v in outputs]
    return torch.autograd.grad(outputs, leaves, directions, allow_unused=True)


def _differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def _gradient_difference(expected: Tensor | None, got: Tensor | None) -> str | None:
    if got is None:
        if expected is None or not expected.any():  # no path and a path of slope 0 are the same
            return None
        return "none arrives: something cuts the graph (detach, item, no_grad, numpy, or a new tensor)."
    if expected is None:
        return None if not got.any() else "it should not depend on this argument at all."
    return _tensor_difference(expected, got, "")


def _tensor_difference(expected: Tensor, got: Any, where: str) -> str | None:
    if not isinstance(got, Tensor):
        return f"expected a tensor{where}, got {show(got)}" + _forgot_return(got)
    for name in ("shape", "dtype", "device"):
        e, g = getattr(expected, name), getattr(got, name)
        if e != g:
            e, g = (tuple(e), tuple(g)) if name == "shape" else (e, g)
            return f"expected {name} {e}{where}, got {name} {g}."
    if expected.device.type == "meta" or torch.equal(expected, got):
        return None
    if not expected.is_floating_point():
        wrong = expected != got
    else:
        # detached: an answer may return a tensor that still requires grad
        e, g = expected.detach().double(), got.detach().double()
        finite = e[e.isfinite()]
        scale = max(1.0, float(finite.abs().max())) if finite.numel() else 1.0
        wrong = ~torch.isclose(
            g, e, rtol=0.0, atol=TOLERANCE.get(expected.dtype, 1e-2) * scale, equal_nan=True
        )
    if not wrong.any():
        return None
    if expected.numel() <= 12:
        return f"expected {show(expected)}{where}, got {show(got)}."
    index = tuple(wrong.nonzero()[0].tolist())
    return (
        f"{int(wrong.sum())} of {wrong.numel()} elements are wrong{where}; the first is at {list(index)}: "
        f"expected {float(expected[index]):.5g}, got {float(got[index]):.5g}."
    )


def _integer_difference(expected: int, got: Any, where: str) -> str | None:
    if isinstance(got, (bool, np.bool_)) or not hasattr(got, "__index__"):
        return f"expected the whole number {expected}{where}, got {show(got)}" + _forgot_return(got)
    try:
        same = operator.index(got) == expected
    except TypeError:  # a tensor of floats, or of many elements
        same = False
    return None if same else f"expected {expected}{where}, got {show(got)}."


def _float_difference(expected: float, got: Any, where: str) -> str | None:
    try:
        number = float(got)
    except (TypeError, ValueError, RuntimeError):
        return f"expected a number{where}, got {show(got)}" + _forgot_return(got)
    same = abs(number - expected) <= 1e-9 * max(1.0, abs(expected))
    return (
        None
        if same or (number != number and expected != expected)
        else f"expected {expected:.6g}{where}, got {number:.6g}."
    )


def _forgot_return(got: Any) -> str:
    return ": is a `return` missing?" if got is None else "."


def _a_sequence(expected: Sequence[Any]) -> str:
    return f"a list or tuple of {len(expected)} entries"


def _error_text(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}" + (f" ({text[:200]})" if text else "")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, (list, tuple)):
        return type(value)(_rounded(v) for v in value)
    return value
