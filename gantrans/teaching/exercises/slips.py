"""Slips that can happen in any exercise: right numbers in another type, another shape, or without their graph.

Each is built from the reference, so an answer that is right but for this one slip behaves exactly like it.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise

Change = Callable[[Any], Any]


def _each(change: Callable[[Tensor], Any]) -> Change:
    """`change` on every tensor of a value, which is a tensor or a sequence of them."""

    def changed(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(changed(v) for v in value)
        return change(value) if isinstance(value, Tensor) and value.is_floating_point() else value

    return changed


SLIPS: dict[str, tuple[str, Change]] = {
    "returned_nothing": (
        "You compute the result and return nothing: a `return` is missing.",
        lambda value: None,
    ),
    "float64_result": (
        "You return float64 where float32 was asked for: somewhere a float64 tensor or NumPy decides the type.",
        _each(Tensor.double),
    ),
    "float32_result": (
        "You return float32 where the inputs are float64: half of the digits are gone.",
        _each(Tensor.float),
    ),
    "computed_in_float32": (
        "You go through float32 although the inputs are float64: half of the digits are gone.",
        _each(lambda value: value.float().to(value.dtype)),
    ),
    "graph_cut": (
        "You cut the graph (`detach`, `no_grad`, `item`, NumPy or a new tensor): no gradient arrives.",
        _each(Tensor.detach),
    ),
    "python_number": (
        "You return a Python number; a tensor was asked for.",
        _each(lambda value: value.item() if value.numel() == 1 else value.tolist()),
    ),
    "numpy_array": (
        "You return a NumPy array; a tensor was asked for.",
        _each(lambda value: value.detach().numpy()),
    ),
    "one_axis_more": (
        "You return the result with one axis of length 1 more in front.",
        _each(lambda value: value[None]),
    ),
    "flattened": (
        "You return the result flattened to one axis.",
        _each(lambda value: value.reshape(-1)),
    ),
    "axes_of_one_lost": (
        "You drop the axes of length 1 (`squeeze` does that): the result then has fewer axes than asked for.",
        _each(torch.squeeze),
    ),
    "rounded": (
        "You round the result to whole numbers.",
        _each(torch.round),
    ),
    "batch_averaged": (
        "You average over the batch; every image keeps its own result.",
        _each(lambda value: value.mean(0)),
    ),
    "first_of_the_batch": (
        "You return the result of the first image only.",
        _each(lambda value: value[:1]),
    ),
    "values_clipped": (
        "You cut the result to [-1, 1]; nothing in the task does.",
        _each(lambda value: value.clamp(-1, 1)),
    ),
    "sign_turned": (
        "Your result has the wrong sign.",
        _each(torch.neg),
    ),
}
"""Name -> (what is said, what it does to the reference's value)."""


ASSERTION = "You stop with an `assert`; a `ValueError` was asked for (and `python -O` drops assertions)."


def common_slips(ex: Exercise, *names: str) -> None:
    """Add known wrong answers: the reference's value, changed as `SLIPS` says; call it after the reference.

    "assertion" stands for an `assert` where the reference raises a ValueError.
    """
    for name in names:
        if name == "assertion":
            ex.wrong(name, ASSERTION, _asserted(ex))
            continue
        said, change = SLIPS[name]
        ex.wrong(name, said, _changed(ex, change))


def _asserted(ex: Exercise) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        try:
            return ex.function(*args)
        except ValueError as error:
            raise AssertionError from error

    return answer


def _changed(ex: Exercise, change: Change) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        return change(ex.function(*args))

    return answer
