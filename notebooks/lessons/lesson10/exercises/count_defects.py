"""Lesson 10: opens, bridges, missing and extra features."""

from collections import Counter

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="count_defects",
    lesson="10",
    title="Opens, bridges, missing, extra",
    difficulty=3,
    minutes=15,
    spec="""
    Two maps of labels: 0 is background, and every feature has a number of its own above 0. The numbers may
    have gaps. Two features are partners if they share a pixel. Count four kinds of defects:
    *opens*: a target feature with k > 1 partners counts k - 1; *bridges*: a predicted feature with k > 1
    partners counts k - 1; *missing*: target features without a partner; *extra*: predicted features without
    one. Return the four numbers in this order.
    """,
    hints=(
        "The pairs (p, t) that occur where both are above 0, each once: that is all you need.",
        "`set(zip(prediction.flatten().tolist(), target.flatten().tolist()))`, without those with a 0.",
        "Count how often each t occurs among the pairs (its pieces) and each p (what it joins).",
    ),
    source="gantrans.metrics.compare_topology.",
    equivalent={
        "target.flatten().tolist(), strict=True)` -> ": "the maps have one shape",
        "3.85 `True` -> `False`": "the maps have one shape",
        "5.67 `1` -> `-1`": "of a pair, 1 and -1 are the same place",
    },
)


@ex.reference
def count_defects(prediction: Tensor, target: Tensor) -> tuple[int, int, int, int]:
    """Two label maps (H, W), int64, 0 is background -> opens, bridges, missing, extra."""
    cells = set(zip(prediction.flatten().tolist(), target.flatten().tolist(), strict=True))
    pairs = {(p, t) for p, t in cells if p and t}
    made, wanted = ({cell[k] for cell in cells} - {0} for k in (0, 1))
    joined, matched = {p for p, t in pairs}, {t for p, t in pairs}
    opens, bridges = len(pairs) - len(matched), len(pairs) - len(joined)
    return opens, bridges, len(wanted - matched), len(made - joined)


def _row(*values: int) -> Tensor:
    return torch.tensor([values])


@ex.edges
def _() -> list[Args]:
    lines = _row(0, 1, 1, 1, 1, 0, 2, 2, 0, 3)
    return [
        (lines, lines),
        (_row(0, 1, 0, 2, 2, 0, 3, 3, 0, 4), lines),
        (_row(0, 1, 1, 1, 1, 1, 1, 1, 0, 2), lines),
        (_row(0, 1, 1, 1, 1, 0, 0, 0, 0, 2), lines),
        (_row(4, 0, 0, 1, 1, 0, 2, 2, 0, 3), lines),
        (_row(0, 1, 0, 2, 0, 3, 3, 3, 3, 3), lines),
        (_row(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), lines),
        (0 * lines, lines),
        (lines, 0 * lines),
        (0 * lines, 0 * lines),
        (_row(1, 0, 2, 0, 3, 4, 4, 4, 0, 0), lines),
        (_row(7, 7, 0, 9, 9, 9, 9, 0, 0, 0), lines),
        (lines, _row(0, 12, 0, 5, 5, 0, 5, 5, 0, 0)),
        (_row(1, 2, 3, 4, 5, 6), _row(6, 5, 4, 3, 2, 1)),
        (_row(3, 3, 3, 3, 3, 3), _row(1, 2, 0, 4, 0, 9)),
        (torch.stack([lines[0], lines[0].flip(0)]).T, torch.stack([lines[0], 0 * lines[0]]).T),
        (_row(305, 0, 205, 0, 5, 1005), _row(1, 0, 2, 0, 4, 3)),
        (_row(1, 0, 2, 0, 4, 3), _row(305, 0, 205, 0, 5, 1005)),
        (_row(205, 205, 5), _row(1, 3, 3)),
        (_row(5), _row(0)),
        (_row(0), _row(5)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    from scipy import ndimage

    shape = (case.integer(4, 9), case.integer(5, 12))
    target = case.rand(*shape) > 0.45
    flipped = case.rand(*shape) > case.choice((0.9, 0.7))
    masks = (target ^ flipped).numpy(), target.numpy()
    prediction, truth = (torch.from_numpy(ndimage.label(mask)[0]).long() for mask in masks)
    return prediction * 2, truth  # labels need not be without gaps


Pair = tuple[int, int]


def _pairs(p: Tensor, t: Tensor) -> tuple[set[Pair], set[int], set[int]]:
    cells = set(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    return {c for c in cells if all(c)}, {c[0] for c in cells} - {0}, {c[1] for c in cells} - {0}


Four = tuple[int, int, int, int]


def _four(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    pieces, joins = Counter(b for _, b in pairs), Counter(a for a, _ in pairs)
    opens, bridges = (sum(k - 1 for k in c.values()) for c in (pieces, joins))
    return opens, bridges, len(wanted - set(pieces)), len(made - set(joins))


@ex.wrong("exchanged", "You exchange opens and bridges: an open is one target feature in several pieces.")
def _(p: Tensor, t: Tensor) -> Four:
    opens, bridges, missing, extra = _four(p, t)
    return bridges, opens, missing, extra


@ex.wrong(
    "sides_exchanged", "You exchange missing and extra: missing is what the target has and nobody drew."
)
def _(p: Tensor, t: Tensor) -> Four:
    opens, bridges, missing, extra = _four(p, t)
    return opens, bridges, extra, missing


@ex.wrong("features_not_breaks", "You count broken features; one in three pieces has two breaks.")
def _(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    pieces, joins = Counter(b for _, b in pairs), Counter(a for a, _ in pairs)
    broken, bridged = (sum(k > 1 for k in c.values()) for c in (pieces, joins))
    return broken, bridged, len(wanted - set(pieces)), len(made - set(joins))


@ex.wrong("pieces", "You count pieces; k pieces are k - 1 breaks.")
def _(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    pieces, joins = Counter(b for _, b in pairs), Counter(a for a, _ in pairs)
    many = [sum(k for k in c.values() if k > 1) for c in (pieces, joins)]
    return many[0], many[1], len(wanted - set(pieces)), len(made - set(joins))


@ex.wrong(
    "difference_of_counts", "You compare the numbers of features: one missing and one extra then cancel."
)
def _(p: Tensor, t: Tensor) -> Four:
    _, made, wanted = _pairs(p, t)
    opens, bridges, _, _ = _four(p, t)
    return opens, bridges, max(0, len(wanted) - len(made)), max(0, len(made) - len(wanted))


@ex.wrong(
    "equal_labels", "You match features by their numbers; the numbers mean nothing, only shared pixels do."
)
def _(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    same = {a for a, b in pairs if a == b}
    opens, bridges, _, _ = _four(p, t)
    return opens, bridges, len(wanted - same), len(made - same)


@ex.wrong("background_counts", "You count the background as a feature: label 0 is none.")
def _(p: Tensor, t: Tensor) -> Four:
    cells = set(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    pieces, joins = Counter(b for _, b in cells), Counter(a for a, _ in cells)
    opens, bridges = (sum(k - 1 for k in c.values()) for c in (pieces, joins))
    _, _, missing, extra = _four(p, t)
    return opens, bridges, missing, extra


@ex.wrong("pixels", "You count pixels where both overlap instead of pairs of features.")
def _(p: Tensor, t: Tensor) -> Four:
    both = int(((p > 0) & (t > 0)).sum())
    _, _, missing, extra = _four(p, t)
    pairs, _, _ = _pairs(p, t)
    return both - len({b for _, b in pairs}), both - len({a for a, _ in pairs}), missing, extra


@ex.wrong(
    "gaps_counted",
    "You count every number up to the largest as a feature; numbers may have gaps, so count those "
    "that occur.",
)
def _(p: Tensor, t: Tensor) -> Four:
    pairs, _, _ = _pairs(p, t)
    opens, bridges, _, _ = _four(p, t)
    matched, joined = len({b for _, b in pairs}), len({a for a, _ in pairs})
    return opens, bridges, int(t.max()) - matched, int(p.max()) - joined


@ex.wrong(
    "background_partner",
    "You count the background among the partners: no feature that reaches over its partner is whole then, "
    "and none is missing.",
)
def _(p: Tensor, t: Tensor) -> Four:
    cells = set(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    pieces, joins = Counter(b for _, b in cells if b), Counter(a for a, _ in cells if a)
    return sum(k - 1 for k in pieces.values()), sum(k - 1 for k in joins.values()), 0, 0


@ex.wrong(
    "background_feature",
    "You treat the background like a feature, with partners of its own; label 0 is none.",
)
def _(p: Tensor, t: Tensor) -> Four:
    cells = set(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    pieces, joins = Counter(b for a, b in cells if a), Counter(a for a, b in cells if b)
    missing, extra = {b for _, b in cells} - set(pieces), {a for a, _ in cells} - set(joins)
    return (
        sum(k - 1 for k in pieces.values()),
        sum(k - 1 for k in joins.values()),
        len(missing),
        len(extra),
    )


@ex.wrong(
    "missing_subtracted",
    "You count k - 1 for features without a partner as well: each of them takes one away.",
)
def _(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    _, _, missing, extra = _four(p, t)
    return len(pairs) - len(wanted), len(pairs) - len(made), missing, extra


@ex.wrong("pairs_subtracted", "You subtract the pairs from the features: one with two partners counts twice.")
def _(p: Tensor, t: Tensor) -> Four:
    pairs, made, wanted = _pairs(p, t)
    opens, bridges, _, _ = _four(p, t)
    return opens, bridges, max(0, len(wanted) - len(pairs)), max(0, len(made) - len(pairs))


@ex.wrong("other_order", "You return missing and extra first; the order is opens, bridges, missing, extra.")
def _(p: Tensor, t: Tensor) -> Four:
    opens, bridges, missing, extra = _four(p, t)
    return missing, extra, opens, bridges


@ex.wrong(
    "relabelled",
    "You number the features anew by their connected pixels: two that touch become one. They are numbered "
    "already.",
)
def _(p: Tensor, t: Tensor) -> Four:
    from scipy import ndimage

    new = (torch.from_numpy(ndimage.label((x > 0).numpy())[0]).long() for x in (p, t))
    return _four(*new)


@ex.wrong("every_pair_an_open", "You count the partners of every feature, those with one partner included.")
def _(p: Tensor, t: Tensor) -> Four:
    pairs, _, _ = _pairs(p, t)
    _, _, missing, extra = _four(p, t)
    return len(pairs), len(pairs), missing, extra


@ex.wrong("all_sides_exchanged", "You take the prediction for the target: all four counts change places.")
def _(p: Tensor, t: Tensor) -> Four:
    return _four(t, p)


@ex.wrong("half_overlap", "You ask that partners share half of a feature; one shared pixel is enough.")
def _(p: Tensor, t: Tensor) -> Four:
    size = Counter(t.flatten().tolist())
    shared = Counter(zip(p.flatten().tolist(), t.flatten().tolist(), strict=True))
    pairs = {(a, b) for (a, b), n in shared.items() if a and b and 2 * n >= size[b]}
    _, made, wanted = _pairs(p, t)
    joined, matched = {a for a, _ in pairs}, {b for _, b in pairs}
    return len(pairs) - len(matched), len(pairs) - len(joined), len(wanted - matched), len(made - joined)


@ex.wrong(
    "numbers_missing", "You compare the numbers that occur in the two maps; a feature's number means nothing."
)
def _(p: Tensor, t: Tensor) -> Four:
    _, made, wanted = _pairs(p, t)
    opens, bridges, _, _ = _four(p, t)
    return opens, bridges, len(wanted - made), len(made - wanted)


@ex.wrong(
    "view",
    "You use `view` on a tensor that need not be contiguous; `reshape` and `flatten` copy where they must.",
)
def _(p: Tensor, t: Tensor) -> Four:
    return _four(p.view(-1), t.view(-1))


ex.right(_four)


@ex.right
def _(p: Tensor, t: Tensor) -> Four:
    opens = bridges = missing = extra = 0
    for label in t.unique().tolist():
        if label:
            partners = [v for v in p[t == label].unique().tolist() if v]
            missing += not partners
            opens += max(len(partners) - 1, 0)
    for label in p.unique().tolist():
        if label:
            partners = [v for v in t[p == label].unique().tolist() if v]
            extra += not partners
            bridges += max(len(partners) - 1, 0)
    return opens, bridges, missing, extra


@ex.right
def _(p: Tensor, t: Tensor) -> Four:
    touch = torch.zeros(int(p.max()) + 1, int(t.max()) + 1, dtype=torch.bool)
    touch[p.flatten(), t.flatten()] = True
    there_p, there_t = (x.flatten().unique() for x in (p, t))
    table = touch[there_p[there_p > 0]][:, there_t[there_t > 0]]
    rows, columns = table.sum(1), table.sum(0)
    numbers = (columns - 1).clamp(min=0).sum(), (rows - 1).clamp(min=0).sum()
    return int(numbers[0]), int(numbers[1]), int((columns == 0).sum()), int((rows == 0).sum())


@ex.right
def _(p: Tensor, t: Tensor) -> list[int]:
    pairs, made, wanted = _pairs(p, t)
    by_target = {b: {a for a, c in pairs if c == b} for b in wanted}
    by_made = {a: {b for c, b in pairs if c == a} for a in made}
    counts = [[len(v) for v in table.values()] for table in (by_target, by_made)]
    breaks = [sum(n - 1 for n in c if n) for c in counts]
    return [*breaks, counts[0].count(0), counts[1].count(0)]


ex.background("Two maps of labels:")
ex.breach("0 is background", "background_feature")
ex.breach("The numbers may have gaps.", "gaps_counted")
ex.breach("Two features are partners if they share a pixel.", "equal_labels")
ex.background("Count four kinds of defects:")
ex.breach("*opens*: a target feature with k > 1 partners counts k - 1", "features_not_breaks")
ex.breach("*missing*: target features without a partner", "missing_subtracted")
ex.breach("Return the four numbers in this order.", "other_order")
