"""Lesson 10: edge placement error between two contours."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="contour_epe",
    lesson="10",
    title="Distance between two contours",
    difficulty=4,
    minutes=20,
    spec="""
    A contour is a closed polygon: its corners (N, 2) in px, joined in order and the last to the first. From
    each corner of `a` take the distance to the nearest *segment* of `b` (not to the nearest corner), and
    average. Do the same from `b` to `a`. The answer is the mean of the two means, times `pixel_nm`. If either
    contour is empty nothing is known: return NaN, not 0. A corner may be given twice.
    """,
    hints=(
        "Segments of b run from `b` to `b.roll(-1, 0)`.",
        "The nearest point of a segment: project, `t = ((p - s) . d) / (d . d)`, and clamp t to 0..1.",
        "Distances as a table, corners by segments: minimum along the segments, then the mean.",
    ),
    source="gantrans.metrics.epe, which samples the contours every 0.25 px as well.",
    equivalent={
        "value.detach()": "no gradient is asked",
        "`1e-12` -> ": "any small number keeps 0 / 0 away, and a doubled corner has its neighbours' segments",
        "value.double()": "it is float64 already",
        "9.8 value.float()": "t alone in float32 moves a foot by less than the tolerance",
        "`((a, b), (b, a))` -> ": "the mean of the two directions does not depend on their order",
        "- offset`": "a norm forgets the sign",
        "`means[0] + means[1]`": "a tensor of one number is taken as that number",
        "7.29 `-1` -> `1`": "rolled the other way the segments are the same, walked backwards",
        "7.30 `1` -> `-1`": "as above",
        "`-1` -> `1`": "of two axes, -1 and 1 are the same",
        "9.60 `1` -> `-1`": "rolled the other way, as above",
        "11.21": "of a table, axis 1 is the last one",
        "12.34 `1` -> `-1`": "of two means, 1 and -1 are the same place",
    },
)


@ex.reference
def contour_epe(a: Tensor, b: Tensor, pixel_nm: float) -> float:
    """Corners (N, 2) and (M, 2) of closed polygons, px -> mean distance to each other, both ways, in nm."""
    if len(a) == 0 or len(b) == 0:
        return float("nan")
    means = []
    for points, corners in ((a, b), (b, a)):
        along = corners.roll(-1, 0) - corners
        offset = points[:, None] - corners
        t = (offset * along).sum(-1) / (along * along).sum(-1).clamp(min=1e-12)
        gap = offset - t.clamp(0, 1)[..., None] * along
        means.append(gap.norm(dim=-1).amin(dim=1).mean())
    return float(means[0] + means[1]) / 2 * pixel_nm


@ex.edges
def _() -> list[Args]:
    square = torch.tensor([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0]], dtype=torch.float64)
    inner, empty = square / 2 + 1, torch.zeros(0, 2, dtype=torch.float64)
    triangle = torch.tensor([[-1.0, 0.5], [2.0, 5.0], [6.0, -1.0]], dtype=torch.float64)
    tail = torch.cat([square, torch.tensor([[1.0, -6.0]], dtype=torch.float64)])
    return [
        *((square, square, 1.0), (square, square + 1, 1.0), (square, inner, 10.0), (inner, square, 1.0)),
        *((square, triangle, 20.0), (square, empty, 1.0), (empty, square, 1.0), (empty, empty, 1.0)),
        *((square, tail, 2.0), (tail, square, 2.0)),
        *((square[:3], square, 0.5), (triangle - 7, square, 1.0), (square.flip(0), triangle, 3.0)),
        *((square, triangle[[0, 0, 1, 2]], 1.0), (triangle[[0, 1, 2, 2, 0]], square, 2.0)),
        *((square.flip(1), tail.roll(2, 0), 1.0), (triangle[:2], inner, 4.0), (empty, triangle, 20.0)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    a = 8 * torch.rand(case.integer(3, 9), 2, generator=case.generator, dtype=torch.float64)
    b = 8 * torch.rand(case.integer(3, 9), 2, generator=case.generator, dtype=torch.float64)
    return a, b + case.integer(0, 4), case.choice((1.0, 5.0, 20.0))


def _table(points: Tensor, corners: Tensor, *, closed: bool = True, endless: bool = False) -> Tensor:
    start, end = corners, corners.roll(-1, 0)
    if not closed:
        start, end = start[:-1], end[:-1]
    along, offset = end - start, points[:, None] - start
    t = (offset * along).sum(-1) / (along * along).sum(-1).clamp(min=1e-12)
    t = t if endless else t.clamp(0, 1)
    return (offset - t[..., None] * along).norm(dim=-1)


def _none(a: Tensor, b: Tensor) -> bool:
    return not (len(a) and len(b))


NAN = float("nan")
ex.wrong(
    "corners_only",
    "You measure to the nearest corner; a long straight edge has none in its middle.",
    lambda a, b, nm: NAN if _none(a, b) else float(_by_corners(a, b) + _by_corners(b, a)) / 2 * nm,
)


def _by_corners(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b).amin(1).mean()


ex.wrong(
    "one_way",
    "You measure from a to b only: what a lacks altogether costs nothing then.",
    lambda a, b, nm: NAN if _none(a, b) else float(_table(a, b).amin(1).mean()) * nm,
)
ex.wrong(
    "other_way",
    "You measure from b to a only: what a has too much costs nothing then.",
    lambda a, b, nm: NAN if _none(a, b) else float(_table(b, a).amin(1).mean()) * nm,
)


def _both(a: Tensor, b: Tensor, **how: bool) -> tuple[Tensor, Tensor]:
    return _table(a, b, **how).amin(1), _table(b, a, **how).amin(1)


@ex.wrong("empty_zero", "You return 0 where a contour is empty: a lost feature would look perfect.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return 0.0 if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2 * nm


@ex.wrong("open_contour", "You forget the segment from the last corner back to the first.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b, closed=False)) / 2 * nm


@ex.wrong("endless_lines", "You measure to endless lines: clamp the projection to the segment (0 to 1).")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b, endless=True)) / 2 * nm


@ex.wrong("pooled", "You pool all distances: the contour with more corners then has more say.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else float(torch.cat(_both(a, b)).mean()) * nm


@ex.wrong("hausdorff", "You take the largest distance: that is the Hausdorff distance.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else float(torch.cat(_both(a, b)).max()) * nm


@ex.wrong("in_pixels", "You return pixels; multiply by the pixel size.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2


@ex.wrong("squared", "You average squared distances; take the root of each first.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.square().mean()) for d in _both(a, b)) / 2 * nm


@ex.wrong("summed", "You add the two means; the answer is their mean.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) * nm


@ex.wrong("larger_way", "You take the larger of the two means; the answer is their mean.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else max(float(d.mean()) for d in _both(a, b)) * nm


@ex.wrong(
    "wrong_axis",
    "You take the nearest corner of every segment; asked for is the nearest segment of every corner.",
)
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else float(_table(a, b).amin(0).mean() + _table(b, a).amin(0).mean()) / 2 * nm


@ex.wrong("all_segments", "You average over all segments; the nearest one is meant.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else float(_table(a, b).mean() + _table(b, a).mean()) / 2 * nm


@ex.wrong("distances_summed", "You add the distances of the corners up; their mean was asked for.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.sum()) for d in _both(a, b)) / 2 * nm


@ex.wrong("same_corner", "You compare the corners one by one; the contours need not begin at the same place.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    n = min(len(a), len(b))
    return NAN if _none(a, b) else float((a[:n] - b[:n]).norm(dim=1).mean()) * nm


@ex.wrong(
    "midpoints",
    "You measure to the middle of each segment; its nearest point may lie anywhere on it.",
)
def _(a: Tensor, b: Tensor, nm: float) -> float:
    if _none(a, b):
        return NAN
    middles = [(x + x.roll(-1, 0)) / 2 for x in (a, b)]
    return float(_by_one(a, middles[1]) + _by_one(b, middles[0])) / 2 * nm


def _by_one(points: Tensor, places: Tensor) -> Tensor:
    return torch.cdist(points, places).amin(1).mean()


@ex.wrong("infinite", "You return infinity where a contour is empty; nothing is known there, so NaN.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return float("inf") if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2 * nm


@ex.wrong("both_empty_only", "You return NaN only if both contours are empty; one empty contour is enough.")
def _(a: Tensor, b: Tensor, nm: float) -> float:
    if not len(a) and not len(b):
        return NAN
    return 0.0 if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2 * nm


@ex.wrong(
    "root_mean_square", "You take the root of the mean square; the mean of the distances was asked for."
)
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.square().mean()) ** 0.5 for d in _both(a, b)) / 2 * nm


@ex.wrong(
    "both_empty_zero", "You return 0 where both contours are empty; nothing is known there either, so NaN."
)
def _(a: Tensor, b: Tensor, nm: float) -> float:
    if not len(a) and not len(b):
        return 0.0
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2 * nm


@ex.right
def _(a: Tensor, b: Tensor, nm: float) -> float:
    return NAN if _none(a, b) else sum(float(d.mean()) for d in _both(a, b)) / 2 * nm


@ex.right
def _(a: Tensor, b: Tensor, nm: float) -> float:
    if a.numel() * b.numel() == 0:
        return NAN

    def way(points: list[list[float]], corners: list[list[float]]) -> float:
        total = 0.0
        for y, x in points:
            best = float("inf")
            for (sy, sx), (ey, ex_) in zip(corners, corners[1:] + corners[:1], strict=True):
                dy, dx = ey - sy, ex_ - sx
                t = min(max(((y - sy) * dy + (x - sx) * dx) / (dy * dy + dx * dx or 1.0), 0.0), 1.0)
                best = min(best, ((y - sy - t * dy) ** 2 + (x - sx - t * dx) ** 2) ** 0.5)
            total += best
        return total / len(points)

    first, second = a.tolist(), b.tolist()
    return (way(first, second) + way(second, first)) * 0.5 * nm


@ex.right
def _(a: Tensor, b: Tensor, nm: float) -> float:
    try:
        there, back = _both(a, b)
        return (float(there.mean()) + float(back.mean())) * nm / 2
    except (IndexError, RuntimeError):
        return NAN


@ex.right
def _(a: Tensor, b: Tensor, nm: float) -> float:
    if min(len(a), len(b)) < 1:
        return NAN
    values = [torch.stack([_table(p[None], other).min() for p in one]) for one, other in ((a, b), (b, a))]
    return float(torch.stack([v.mean() for v in values]).mean() * nm)


ex.breach("A contour is a closed polygon", "open_contour")
ex.breach("take the distance to the nearest *segment* of `b`", "corners_only")
ex.breach("Do the same from `b` to `a`.", "one_way")
ex.breach("The answer is the mean of the two means", "pooled")
ex.breach("If either contour is empty nothing is known", "empty_zero")


def _doubled(a: Tensor, b: Tensor, nm: float) -> float:
    """A segment of length 0 gives NaN."""
    if any(bool((c == c.roll(-1, 0)).all(1).any()) for c in (a, b)):
        return NAN
    return float(ex.function(a, b, nm))


ex.breach("A corner may be given twice", _doubled)
