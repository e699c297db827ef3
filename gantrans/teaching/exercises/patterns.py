"""What can be read from the differences themselves where no known slip fits: relations between what was
expected and what came, and conditions that tell failing inputs from the others.

All of it is arithmetic: a sentence is given only if it is true of every failing input.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantrans.teaching.exercises.differential import Observation, difference
from gantrans.teaching.exercises.elements import part
from gantrans.teaching.exercises.inputs import Args, parts

Numbers = np.ndarray  # type: ignore[type-arg]
NEAR = 1e-4  # float32 results are compared as well; a relation holds or is far off

DISTINCT = 3  # that many different numbers, 0 and 1 not counted, must bear a relation out

SAID = {
    "gradient_cut": "none arrives",
    "attached": "should be detached",
    "in_place": "no in-place operations",
    "leaf_in_place": "you change an argument in place",
    "not_changed": "does not change `",
    "session": "for the whole session",
    "seeded": "global random generator",
    "random": "depends on the global random state",
    "no_return": "is a `return` missing",
    "generator": "contains `yield`",
    "numpy": "got a NumPy",
}
"""Faults that name their cause themselves, by words of their message."""


def pattern(
    failing: Sequence[int],
    cases: Sequence[Args],
    names: Sequence[str],
    expected: Sequence[Observation],
    seen: Sequence[Observation],
    faults: Sequence[str | None],
    tolerance: float | None = None,
) -> tuple[str, str] | None:
    """A short name and one sentence on what all failing inputs have in common, or None.

    The sentence is empty where the messages in `faults` say it already.
    """
    pairs = [(expected[i], seen[i]) for i in failing]
    for name, words in SAID.items():
        if all(words in (faults[i] or "") for i in failing):
            return name, ""
    return (
        _same_kind(pairs)
        or _one_relation(pairs)
        or _a_size(pairs, [cases[i] for i in failing], names)
        or _given_back(pairs, names)
        or part(pairs, [args for i, args in enumerate(cases) if i not in failing], names, tolerance)
        or _where(failing, cases, names)
    )


def _same_kind(pairs: Sequence[tuple[Observation, Observation]]) -> tuple[str, str] | None:
    """All fail in one way that says what is wrong."""
    values = [(e.value, g.value) for e, g in pairs if e.error is None and g.error is None]
    if len(values) < len(pairs):
        refused = all(e.error is not None and g.error is None for e, g in pairs)
        if refused:
            kind = type(pairs[0][0].error).__name__
            return "not_refused", f"inputs that have no answer must be refused with a {kind}; some are taken."
        too_many = all(
            e.error is None and isinstance(g.error, (ValueError, AssertionError)) for e, g in pairs
        )
        own = too_many and all(_raised_by_itself(g.error) for _, g in pairs)
        return ("refused", "some inputs are refused that have an answer.") if own else None
    tensors = [(e, g) for e, g in values if isinstance(e, Tensor) and isinstance(g, Tensor)]
    if len(tensors) < len(values):
        return None
    if all(e.dtype != g.dtype and e.shape == g.shape for e, g in tensors):
        kinds = {g.dtype for _, g in tensors}
        if len(kinds) == 1 and all(_close(_flat(e), _flat(g)) for e, g in tensors):
            return (
                "dtype",
                f"the values are right, but the result is {str(kinds.pop())[6:]} whatever is given.",
            )
    if all(e.shape != g.shape and e.numel() == g.numel() for e, g in tensors):
        return _other_shape(tensors)
    return None


def _raised_by_itself(error: BaseException | None) -> bool:
    """Whether the learner's own code raised it, and no library below."""
    trace = error.__traceback__ if error else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and "site-packages" not in trace.tb_frame.f_code.co_filename


def _other_shape(tensors: Sequence[tuple[Tensor, Tensor]]) -> tuple[str, str] | None:
    if all(g.dim() == e.dim() >= 2 and e.mT.shape == g.shape and _alike(e.mT, g) for e, g in tensors):
        return "transposed", "your result is the transposed one: rows and columns are exchanged."
    if all(_alike(e.flatten(), g.flatten()) for e, g in tensors):
        axes = {g.dim() - e.dim() for e, g in tensors}
        more = "axes of size 1 are missing" if max(axes) < 0 else "the axes are not as asked"
        more = "there are axes too many" if min(axes) > 0 else more
        return "shape", f"the values are right, but {more}."
    return None


RELATIONS: tuple[tuple[str, str, Callable[[Numbers], Numbers]], ...] = (
    ("negative", "your result is the right one with the opposite sign", lambda e: -e),
    ("absolute", "your result is the right one without its sign", np.abs),
    ("square", "your result is the square of the right one", np.square),
    ("root", "your result is the square root of the right one", lambda e: np.sqrt(np.maximum(e, 0))),
    ("reciprocal", "your result is one divided by the right one", lambda e: 1 / e),
    ("complement", "your result is 1 minus the right one", lambda e: 1 - e),
    ("exponential", "your result is e to the power of the right one", np.exp),
    ("logarithm", "your result is the logarithm of the right one", np.log),
    ("floor", "your result is the right one rounded down", np.floor),
    ("ceil", "your result is the right one rounded up", np.ceil),
    ("rounded", "your result is the right one, rounded", np.round),
    ("clamped_01", "your result is the right one, clamped to [0, 1]", lambda e: e.clip(0, 1)),
    ("clamped_11", "your result is the right one, clamped to [-1, 1]", lambda e: e.clip(-1, 1)),
    ("clamped_0", "your result is the right one with negative values set to 0", lambda e: e.clip(min=0)),
    ("reversed", "the values are right, but in reverse order", lambda e: e[::-1]),
    ("sorted", "the values are right, but sorted", np.sort),
    ("rescaled", "your result is 2 y - 1 where the right one is y: another range", lambda e: 2 * e - 1),
    ("unscaled", "your result is (y + 1) / 2 where the right one is y: another range", lambda e: (e + 1) / 2),
)


def _one_relation(pairs: Sequence[tuple[Observation, Observation]]) -> tuple[str, str] | None:
    """The same arithmetic between what was expected and what came, for every failing input."""
    both = _as_numbers(pairs)
    if both is None or len(both) < 2 or sum(_rich(e) for e, _ in both) < 2:
        return None
    flat = np.concatenate([e for e, _ in both]), np.concatenate([g for _, g in both])
    if not np.isfinite(flat[0]).all() or len(set(flat[0].round(6)) - {0.0, 1.0, -1.0}) < DISTINCT:
        return None
    if np.isnan(flat[1]).all():
        return "nan", "your result is nothing but NaN."
    with np.errstate(all="ignore"):
        if (gap := _precision(pairs, flat)) is not None:
            return gap
        if not flat[1].any():
            return "zero", "your result is 0."
        for name, words, change in RELATIONS:
            if all(_close(change(e), g) for e, g in both):
                return name, f"{words}."
        factor, offset = _constant(flat[1], flat[0], np.divide), _constant(flat[1], flat[0], np.subtract)
    if factor is not None and abs(factor - 1) > 1e-3:
        return "factor", f"your result is {factor:.5g} times the right one."
    if offset is not None and abs(offset) > 1e-3:
        way = "more" if offset > 0 else "less"
        return (
            "offset",
            f"your result is by {abs(offset):.5g} {way} than the right one.",
        )
    if all(e.size > 1 and _close(np.sort(e), np.sort(g)) for e, g in both):
        return "order", "the values are right, but in another order."
    return None


def _precision(
    pairs: Sequence[tuple[Observation, Observation]], flat: tuple[Numbers, Numbers]
) -> tuple[str, str] | None:
    near = 3e-6 * max(1e-3, float(np.abs(flat[0]).max()))
    right = [difference(e.value, g.value) is None for e, g in pairs]
    if _all_wide(pairs) and not any(right) and np.allclose(flat[0], flat[1], rtol=3e-6, atol=near):
        words = "your result is right to about seven digits: a float32, or a small constant, is on the way"
        return "precision", f"{words} of a float64."
    return None


def _a_size(
    pairs: Sequence[tuple[Observation, Observation]], cases: Sequence[Args], names: Sequence[str]
) -> tuple[str, str] | None:
    """One factor for each input that is a size of it: a sum where a mean is asked for, or the reverse."""
    both = _as_numbers(pairs)
    if both is None or len(both) < 2:
        return None
    factors = []
    for wanted, got in both:
        with np.errstate(all="ignore"):
            factor = _constant(got, wanted, np.divide)
        if factor is None or factor <= 0:
            return None
        factors.append(factor)
    if len({round(f, 6) for f in factors}) < 2:
        return None
    tables = [dict(_sizes(args, names)) for args in cases]
    for name in tables[0]:
        sizes = [table.get(name) for table in tables]
        if None in sizes or 0 in sizes:
            continue
        if all(math.isclose(f, s, rel_tol=NEAR) for f, s in zip(factors, sizes, strict=True)):  # type: ignore[arg-type]
            return "sum", f"your result is the right one times {name}: a sum in place of a mean?"
        if all(math.isclose(f * s, 1, rel_tol=NEAR) for f, s in zip(factors, sizes, strict=True)):  # type: ignore[operator]
            return "mean", f"your result is the right one divided by {name}: a mean in place of a sum?"
    return None


def _sizes(args: Args, names: Sequence[str]) -> Iterator[tuple[str, float]]:
    for name, arg in zip(names, args, strict=True):
        if isinstance(arg, Tensor) and arg.dim():
            yield f"the number of elements of `{name}`", arg.numel()
            for axis, size in enumerate(arg.shape):
                yield f"`{name}.shape[{axis}]`", size
            yield f"the number of elements of one `{name}[i]`", arg.numel() / max(1, arg.shape[0])
            if arg.dim() > 2:
                yield f"the number of pixels of `{name}`", arg.shape[-1] * arg.shape[-2]
        elif isinstance(arg, (list, tuple)):
            yield f"the length of `{name}`", len(arg)
        elif isinstance(arg, (int, float)) and not isinstance(arg, bool):
            yield f"`{name}`", float(arg)


def _given_back(
    pairs: Sequence[tuple[Observation, Observation]], names: Sequence[str]
) -> tuple[str, str] | None:
    for i, name in enumerate(names):
        inputs = [_flat(e.before[i]) if len(e.before) > i else None for e, _ in pairs]
        values = [_flat(g.value) if g.error is None else None for _, g in pairs]
        both = list(zip(inputs, values, strict=True))
        same = len(both) > 1 and all(_close(a, b) for a, b in both)
        if same and sum(_rich(a) for a, _ in both if a is not None) > 1:
            return "given_back", f"your result is `{name}` as it was given."
    return None


def _where(failing: Sequence[int], cases: Sequence[Args], names: Sequence[str]) -> tuple[str, str] | None:
    """A condition that holds for all failing inputs and for none of the others; the simplest one."""
    wrong, count = set(failing), len(cases)
    if len(wrong) < 2 or count - len(wrong) < 2:
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
        yield f"`{name}` has a batch of more than one", value.shape[0] > 1
        yield f"`{name}` has a batch of one", value.shape[0] == 1
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


def _as_numbers(pairs: Sequence[tuple[Observation, Observation]]) -> list[tuple[Numbers, Numbers]] | None:
    """Expected and got as flat arrays; None unless all have as many numbers."""
    found = []
    for wanted, got in pairs:
        if wanted.error is not None or got.error is not None:
            return None
        e, g = _flat(wanted.value), _flat(got.value)
        if e is None or g is None or e.size != g.size or not e.size:
            return None
        if _build(wanted.value) != _build(got.value):
            return None
        found.append((e, g))
    return found if any(not _close(e, g) for e, g in found) or _all_wide(pairs) else None


def _build(value: Any) -> Any:
    """How a value is put together: shapes of tensors, lengths of sequences."""
    if isinstance(value, Tensor) and value.dim():
        return tuple(value.shape)
    return [_build(v) for v in value] if isinstance(value, (list, tuple)) else 0


def _all_wide(pairs: Sequence[tuple[Observation, Observation]]) -> bool:
    """Whether all tensors of the results are float64, expected and got."""
    both = [v for pair in pairs for seen in pair for _, v in parts(seen.value, Tensor)]
    return bool(both) and all(t.dtype == torch.float64 for t in both)


def _flat(value: Any) -> Numbers | None:
    """All numbers of a nested value in one row, or None if there is anything else."""
    if isinstance(value, Tensor):
        return None if value.is_complex() else value.detach().double().flatten().numpy()
    if isinstance(value, (bool, int, float, np.number)):
        return np.array([float(value)])
    if isinstance(value, np.ndarray):
        return value.astype(float).ravel() if value.dtype.kind in "biuf" else None
    if isinstance(value, (list, tuple)):
        rows = [_flat(v) for v in value]
        whole = [row for row in rows if row is not None]
        return np.concatenate(whole) if whole and len(whole) == len(rows) else None
    return None


def _rich(values: Numbers) -> bool:
    """Whether a relation would mean something: numbers other than 0, 1 and -1."""
    return bool(np.any((values != 0) & (np.abs(values) != 1)))


def _close(a: Numbers | None, b: Numbers | None) -> bool:
    if a is None or b is None or a.shape != b.shape:
        return False
    size = max(1e-3, float(np.abs(a[np.isfinite(a)]).max(initial=0)))
    return bool(np.allclose(a, b, rtol=NEAR, atol=1e-5 * size, equal_nan=False))


def _alike(a: Tensor, b: Tensor) -> bool:
    return _close(_flat(a), _flat(b))


def _constant(got: Numbers, wanted: Numbers, way: Callable[[Numbers, Numbers], Numbers]) -> float | None:
    """The one number between all pairs, if there is one."""
    if way is np.divide:
        if ((wanted == 0) & (np.abs(got) > 1e-6)).any() or not (wanted != 0).any():
            return None
        got, wanted = got[wanted != 0], wanted[wanted != 0]
    found = way(got, wanted)
    middle = float(np.median(found))
    if not math.isfinite(middle) or (way is np.divide and middle == 0):
        return None
    return middle if np.allclose(found, middle, rtol=NEAR, atol=1e-6) else None
