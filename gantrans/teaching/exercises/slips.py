"""Slips that can happen in any exercise: right numbers of another type or shape, or without their graph.

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
        "You return float64 where float32 was asked for: a float64 tensor or NumPy decides the type.",
        _each(Tensor.double),
    ),
    "float32_result": (
        "You return float32 where the inputs are float64: half of the digits are gone.",
        _each(Tensor.float),
    ),
    "graph_cut": (
        "You cut the graph (`detach`, `no_grad`, `item`, NumPy or a new tensor): no gradient arrives.",
        _each(Tensor.detach),
    ),
    "python_number": (
        "You return Python numbers; a tensor was asked for.",
        _each(Tensor.tolist),
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
    "batch_averaged": (
        "You average over the batch; every image keeps its own result.",
        _each(lambda value: value.mean(0)),
    ),
    "first_of_the_batch": (
        "You return the result of the first image only.",
        _each(lambda value: value[:1]),
    ),
}
"""Name -> (what is said, what it does to the reference's value)."""


REFUSALS: dict[str, tuple[str, Callable[[], Any]]] = {
    "assertion": (
        "You stop with an `assert`; a `ValueError` was asked for (and `python -O` drops assertions).",
        lambda: _raise(AssertionError),
    ),
    "none_for_an_error": (
        "You return nothing where a `ValueError` was asked for.",
        lambda: None,
    ),
}
"""Name -> (what is said, what comes instead of the reference's ValueError)."""


def common_slips(ex: Exercise, *names: str) -> None:
    """Add known wrong answers, by names of `SLIPS` and `REFUSALS`; call it after the reference."""
    for name in names:
        if name in SLIPS:
            said, change = SLIPS[name]
            ex.wrong(name, said, _changed(ex, change))
        else:
            said, refuse = REFUSALS[name]
            ex.wrong(name, said, _refusing(ex, refuse))


def _raise(error: type[Exception]) -> None:
    raise error


def _changed(ex: Exercise, change: Change) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        return change(ex.function(*args))

    return answer


def _refusing(ex: Exercise, refuse: Callable[[], Any]) -> Callable[..., Any]:
    def answer(*args: Any) -> Any:
        try:
            return ex.function(*args)
        except ValueError:
            pass
        return refuse()

    return answer
