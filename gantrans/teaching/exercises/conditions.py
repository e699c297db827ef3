"""Simple conditions on an input that tell those that fail from all the others."""

import math
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from gantrans.teaching.exercises.inputs import Args

FEW = 3  # inputs that fail and that do not, for a condition to mean something


def where(failing: Sequence[int], cases: Sequence[Args], names: Sequence[str]) -> tuple[str, str] | None:
    """A condition that holds for all failing inputs and for none of the others; the simplest one."""
    wrong, count = set(failing), len(cases)
    if min(len(wrong), count - len(wrong)) < FEW:  # fewer may have other things in common
        return None
    tables = [dict(_features(args, names)) for args in cases]
    for name in {key: None for table in tables for key in table}:
        if {i for i in range(count) if tables[i].get(name)} == wrong:
            return (
                "where",
                f"it is wrong exactly where {name}: on these {len(wrong)} inputs, and on no other.",
            )
    return None


def _features(args: Args, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    for name, arg in zip(names, args, strict=True):
        if isinstance(arg, (str, bool, type(None))):
            yield f"`{name}` is {arg!r}", True
        elif isinstance(arg, (int, float)):
            yield from _of_number(f"`{name}`", arg)
        elif isinstance(arg, Tensor):
            yield from _of_tensor(name, arg)
        elif isinstance(arg, (list, tuple, Mapping)):
            yield f"`{name}` is empty", not arg
            yield f"`{name}` has one entry", len(arg) == 1
            yield f"`{name}` has more than one entry", len(arg) > 1
            yield f"`{name}` has more than two entries", len(arg) > 2


def _of_number(name: str, value: float) -> Iterator[tuple[str, bool]]:
    yield f"{name} is {value!r}", True
    yield f"{name} is above 0", value > 0
    yield f"{name} is negative", value < 0
    yield f"{name} is above 1", value > 1
    yield f"{name} is below 1", value < 1
    if isinstance(value, int):
        yield f"{name} is odd", value % 2 == 1
        yield f"{name} is even", value % 2 == 0
    else:
        yield f"{name} is no whole number", not float(value).is_integer()
        yield f"{name} is not finite", not math.isfinite(value)


def _of_tensor(name: str, value: Tensor) -> Iterator[tuple[str, bool]]:
    yield f"`{name}` is {str(value.dtype)[6:]}", True
    yield f"`{name}` is empty", value.numel() == 0
    yield f"`{name}` has one element", value.numel() == 1
    if value.dim() > 1:
        yield f"`{name}.shape[0]` is above 1", value.shape[0] > 1
        yield f"`{name}.shape[0]` is 1", value.shape[0] == 1
        yield f"`{name}` is not square", value.shape[-1] != value.shape[-2]
        for axis, size in enumerate(value.shape[-2:], -2):
            yield f"`{name}.shape[{axis}]` is odd", size % 2 == 1
            yield f"`{name}.shape[{axis}]` is even", size % 2 == 0
            yield f"`{name}.shape[{axis}]` is 1", size == 1
            yield f"`{name}.shape[{axis}]` is above 1", size > 1
    if value.numel() and not value.is_complex():
        plain = value.double()
        yield f"`{name}` has a NaN or an infinity", not bool(plain.isfinite().all())
        yield f"all of `{name}` is the same", bool((plain == plain.flatten()[0]).all())
        yield f"`{name}` has a zero", bool((plain == 0).any())
        yield f"`{name}` has a negative value", bool((plain < 0).any())
        yield f"`{name}` has a value above 1", bool((plain > 1).any())
        yield f"`{name}` has a value beyond [-1, 1]", bool((plain.abs() > 1).any())
