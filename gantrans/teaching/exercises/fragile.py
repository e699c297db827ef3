"""Inputs on which rounding decides: there a right answer that adds in another order may be refused."""

import random
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from gantrans.teaching.exercises.inputs import Args, changed_tensors, duplicate
from gantrans.teaching.exercises.values import difference

LARGE = 1e-3  # relative; rounding alone moves no result that far
FLOAT64 = 1e-8  # relative change of float64 numbers, far above their rounding


class Task(Protocol):
    """What is read of an exercise here."""

    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def cases(self) -> Sequence[Args]: ...
    def called(self, answer: Callable[..., Any]) -> Callable[..., Any]: ...


def fragile_cases(ex: Task) -> dict[int, str]:
    """The inputs whose result is decided by rounding, and how it changes.

    Every number is changed by a few units in the last digits of its dtype, equal numbers alike, and numbers
    with few binary digits (0, 1, 0.25, ...) not at all: sums and products of those are exact. So a tie in the
    input itself stays a tie, and so do inputs on a boundary that the text names; a tie that comes out of
    rounded arithmetic breaks. Inputs that the reference cannot take are passed over.
    """
    found: dict[int, str] = {}
    for number, args in enumerate(ex.cases):
        plain = _result(ex, args)
        for seed in range(8):
            beside = tuple(_moved(duplicate(a), seed) for a in args)
            if seed % 2:  # the other half with more digits
                beside = changed_tensors(beside, lambda t: t.double() if t.is_floating_point() else t)
            moved = _result(ex, beside)
            reason = difference(_plain(plain), _plain(moved), "", LARGE) if plain and moved else None
            if reason:
                found[number] = reason
                break
    return found


def _result(ex: Task, args: Args) -> list[Any]:
    """The reference's result as the only entry of a list, which is empty where there is none."""
    try:
        return [ex.called(ex.function)(*duplicate(args))]
    except Exception:  # no answer for this input
        return []


def _moved(value: Any, seed: int) -> Any:
    if isinstance(value, float):
        return _beside(value, seed, FLOAT64)
    if isinstance(value, Tensor):
        return changed_tensors(value, lambda t: _beside_all(t, seed))
    if type(value) in (list, tuple):
        return type(value)(_moved(v, seed) for v in value)
    if type(value) is dict:
        return {key: _moved(v, seed) for key, v in value.items()}
    return value


def _beside(value: float, seed: int, size: float) -> float:
    if value != value or abs(value) == float("inf") or (4096 * value).is_integer():
        return value
    return value * (1 + size * random.Random(f"{seed} {abs(value):.6g}").uniform(-1, 1))


def _beside_all(tensor: Tensor, seed: int) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    size = FLOAT64 if tensor.dtype == torch.float64 else 3e-7
    values = [_beside(v, seed, size) for v in tensor.flatten().tolist()]
    return torch.tensor(values, dtype=tensor.dtype).view(tensor.shape)


def _plain(value: Any) -> Any:
    """Floats of all kinds as float64, everything else as it is."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return value
