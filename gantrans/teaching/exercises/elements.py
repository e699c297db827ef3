"""Which part of a result is wrong: one entry, one end of an axis, values at a limit, elements with a sign."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.differential import Observation, difference
from gantrans.teaching.exercises.inputs import Args
from gantrans.teaching.exercises.values import wrong_elements

Pairs = Sequence[tuple[Observation, Observation]]
MANY = 3  # wrong elements with different expected values, that must bear a pattern out


def part(
    pairs: Pairs, passing: Sequence[Args], names: Sequence[str], tolerance: float | None
) -> tuple[str, str] | None:
    """A short name and a sentence on the part of the result that is wrong, true of all pairs, or None.

    `pairs` are expected and got of the inputs that fail, `passing` the inputs on which the result is right.
    """
    if len(pairs) < 2 or any(e.error is not None or g.error is not None for e, g in pairs):
        return None
    return _one_entry(pairs, tolerance) or _of_tensors(pairs, passing, names, tolerance)


def _one_entry(pairs: Pairs, tolerance: float | None) -> tuple[str, str] | None:
    """Only one entry of a sequence is ever wrong, counted from the beginning or from the end."""
    ahead, behind, lengths = set(), set(), set()
    for wanted, got in pairs:
        e, g = wanted.value, got.value
        if not isinstance(e, (list, tuple)) or not isinstance(g, (list, tuple)) or len(e) != len(g):
            return None
        for i, (x, y) in enumerate(zip(e, g, strict=True)):
            if difference(x, y, "", tolerance):
                ahead.add(i)
                behind.add(len(e) - i)
        lengths.add(len(e))
    if min(lengths) < 2:
        return None
    if len(lengths) == 1 and len(ahead) == 1:
        return "entry", f"only entry {ahead.pop()} of the result is wrong; the rest is right."
    if len(lengths) > 1 and (ahead == {0} or behind == {1}):
        return "entry", f"only the {'first' if ahead == {0} else 'last'} entry is wrong; the rest is right."
    return None


def _of_tensors(
    pairs: Pairs, passing: Sequence[Args], names: Sequence[str], tolerance: float | None
) -> tuple[str, str] | None:
    masks: list[tuple[Tensor, Tensor, Tensor]] = []
    for wanted, got in pairs:
        e, g = wanted.value, got.value
        if not isinstance(e, Tensor) or not isinstance(g, Tensor) or e.is_complex():
            return None
        if e.shape != g.shape or e.dtype != g.dtype or not e.numel():
            return None
        mask = wrong_elements(e, g, tolerance)
        if not mask.any():
            return None
        masks.append((mask, e.detach(), g.detach()))
    wanted_there = torch.cat([e[mask].double() for mask, e, _ in masks])
    if len(set(wanted_there.tolist())) < MANY:
        return None
    return (
        _at_a_limit(masks)
        or _at_an_end(masks)
        or _by_element(masks, [e.before for e, _ in pairs], passing, names)
    )


def _at_a_limit(masks: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[str, str] | None:
    got = torch.cat([g[mask].double() for mask, _, g in masks])
    if got.isnan().all():
        return "nan", "every wrong value is NaN."
    if got.isinf().all():
        return "infinite", "every wrong value is infinite."
    sizes = got.abs()
    if bool(((sizes - sizes[0]).abs() <= 1e-5 * sizes[0].clamp(min=1.0)).all()):
        both = bool((got > 0).any() and (got < 0).any())
        limit = f"{float(sizes[0]):.5g} or {-float(sizes[0]):.5g}" if both else f"{float(got[0]):.5g}"
        return "limited", f"every wrong value is {limit}, whatever is expected there."
    return None


def _at_an_end(masks: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[str, str] | None:
    """Wrong in the first or last place of an axis only, or right there only."""
    dims = {mask.dim() for mask, _, _ in masks}
    if len(dims) != 1 or not (count := dims.pop()):
        return None
    for axis in range(count):
        # whether anything is wrong at each place of the axis
        rows = [mask.movedim(axis, 0).flatten(1).any(1) if count > 1 else mask for mask, _, _ in masks]
        if any(len(row) < 3 for row in rows):
            continue
        for place, name in ((0, "first"), (-1, "last")):
            rest = [torch.cat([row[1:]]) if place == 0 else row[:-1] for row in rows]
            if not any(bool(r.any()) for r in rest):
                return "end", f"only the {name} place of axis {axis} is wrong; the rest is right."
            if all(bool(r.all()) and not bool(row[place]) for r, row in zip(rest, rows, strict=True)):
                return "end", f"only the {name} place of axis {axis} is right."
        inner = [row[1:-1] for row in rows]
        if not any(bool(r.any()) for r in inner):
            return "border", f"only the two ends of axis {axis} are wrong; what is between them is right."
    return None


def _by_element(
    masks: Sequence[tuple[Tensor, Tensor, Tensor]],
    inputs: Sequence[Args],
    passing: Sequence[Args],
    names: Sequence[str],
) -> tuple[str, str] | None:
    """Wrong exactly at the elements of an argument (of the result's shape) that meet a simple condition."""
    for i, name in enumerate(names):
        shaped = [
            isinstance(args[i], Tensor) and args[i].shape == mask.shape
            for args, (mask, _, _) in zip(inputs, masks, strict=True)
        ]
        if not all(shaped):
            continue
        for number, (words, _) in enumerate(_conditions(torch.zeros(1))):
            here = [list(_conditions(args[i]))[number][1] for args in inputs]
            elsewhere = [list(_conditions(a[i]))[number][1] for a in passing if isinstance(a[i], Tensor)]
            exact = all(torch.equal(h, mask) for h, (mask, _, _) in zip(here, masks, strict=True))
            if exact and not any(bool(e.any()) for e in elsewhere):
                return "elements", f"it is wrong exactly at the elements where `{name}` {words}."
    return None


def _conditions(tensor: Any) -> Iterator[tuple[str, Tensor]]:
    plain = tensor.double() if not tensor.is_complex() else tensor.abs()
    yield "is negative", plain < 0
    yield "is positive", plain > 0
    yield "is 0", plain == 0
    yield "is not 0", plain != 0
    yield "is above 1", plain > 1
    yield "is at least 1", plain >= 1
    yield "is beyond [-1, 1]", plain.abs() > 1
    yield "is below 0.5", plain < 0.5
    yield "is above 0.5", plain > 0.5
    yield "is not finite", ~plain.isfinite()
