"""Which of the inputs that fail to show, and how much of an answer is right."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.differential import Observation, difference, slope_difference
from gantrans.teaching.exercises.inputs import Args, parts


def most_telling(
    failing: Sequence[int],
    cases: Sequence[Args],
    expected: Sequence[Observation],
    seen: Sequence[Observation],
) -> int:
    """The input that says most: its value differs, it is no degenerate one, and it is short to print."""

    def rank(i: int) -> tuple[int, int, int, int, int]:
        tensors = [t for _, t in parts(cases[i], Tensor)]
        size = sum(t.numel() for t in tensors) + len(repr(_without(cases[i]))) // 40
        wide = any(t.dtype == torch.float64 for t in tensors)
        short = 0 if size <= 12 else 1 if size <= 40 else 2
        return _kind(expected[i], seen[i]), _degenerate(tensors, expected[i]), short, int(wide), i

    return min(failing, key=rank)


def credit(expected: Sequence[Observation], seen: Sequence[Observation], tolerance: float | None) -> str:
    """What is right, in a few words, or nothing if there is little to tell."""
    answered = [(e, g) for e, g in zip(expected, seen, strict=True) if e.error is None]
    refused = [(e, g) for e, g in zip(expected, seen, strict=True) if e.error is not None]
    value = [
        (e, g) for e, g in answered if g.error is None and not difference(e.value, g.value, "", tolerance)
    ]
    words = []
    if len(value) > 0 or refused:
        words.append(f"the value is right on {len(value)} of {len(answered)}")
    asked = [(e, g) for e, g in value if e.gradients and any(x is not None for x in e.gradients)]
    slopes = [1 for e, g in asked if g.gradients is not None and not slope_difference(e, g, (), tolerance)]
    if asked and len(slopes) < len(asked):
        words.append(f"the gradient on {len(slopes)} of {len(asked)}")
    if refused:
        right = sum(isinstance(g.error, type(e.error)) for e, g in refused)
        words.append(f"{right} of {len(refused)} inputs without an answer are refused")
    return f" ({'; '.join(words)})" if words else ""


def _kind(expected: Observation, got: Observation) -> int:
    """What differs: the value before an exception, and both before anything that only follows the value."""
    if got.in_gradient:
        return 3
    if got.error is not None or expected.error is not None:
        return 1
    if got.gradients is None and difference(expected.value, got.value):
        return 0
    return 2 if got.gradients is None else 3


def _degenerate(tensors: Sequence[Tensor], expected: Observation) -> int:
    """1 where an input is empty or all of its values are the same, or nothing but zeros is expected."""
    results = [t for _, t in parts(expected.value, Tensor)]
    flat = [t for t in tensors if t.numel() < 2 or not (t != t.flatten()[0]).any()]
    return int(bool(tensors and len(flat) == len(tensors)) or bool(results and not any(map(_some, results))))


def _some(tensor: Tensor) -> bool:
    return bool(tensor.numel() and tensor.any())


def _without(value: Any) -> Any:
    """A nested value without its tensors, whose size is counted apart."""
    if isinstance(value, (list, tuple)):
        return [_without(v) for v in value if not isinstance(v, Tensor)]
    if isinstance(value, Mapping):
        return {k: _without(v) for k, v in value.items() if not isinstance(v, Tensor)}
    return value
