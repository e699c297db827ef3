"""Lesson 04: intersection over union, one number per image."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="iou",
    lesson="04",
    title="Intersection over union",
    difficulty=2,
    minutes=8,
    spec="""
    How well does a predicted layout cover the true one? Turn both images into masks (drawn where the value
    is *above* the threshold), count the pixels drawn in both and divide by the pixels drawn in either. One
    number per image of the batch, as float32. Two empty masks agree perfectly: that is 1, not 0/0.
    """,
    hints=(
        "`prediction > threshold` is a mask of booleans; `&` is intersection, `|` is union.",
        "Sum over every axis but the first: `.sum(dim=(1, 2, 3))` gives one count per image.",
        "`torch.where(union > 0, intersection / union, 1.0)` settles the empty case (mind the type).",
    ),
    source="Jaccard index; gantrans.metrics.iou.",
    equivalent={
        "value.detach()": "a mask has no gradient",
        "value.float()": "counts far below 2**24 are exact in float32, and the ratio is float32 already",
        "`(prediction > threshold, target > threshold)` ->": "the index is symmetric in its two masks",
        "`(1, 2, 3)` -> ": "the order of summed axes does not matter",
        "`2` -> `-2`": "of four axes, 2 and -2 are the same",
    },
)


@ex.reference
def iou(prediction: Tensor, target: Tensor, threshold: float) -> Tensor:
    """Two (B, 1, H, W) images in [0, 1] -> (B,) float32: IoU of the masks above `threshold`."""
    a, b = prediction > threshold, target > threshold
    both = (a & b).sum(dim=(1, 2, 3))
    either = (a | b).sum(dim=(1, 2, 3))
    return torch.where(either > 0, both / either, 1.0)


@ex.edges
def _() -> list[Args]:
    empty, full = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    some = torch.tensor([[[[0.9, 0.6], [0.2, 0.0]]]])
    other = torch.tensor([[[[0.7, 0.1], [0.8, 0.0]]]])
    on_edge = torch.tensor([[[[0.5, 0.5], [1.0, 0.25]]]])
    dot = torch.tensor([[[[0.0, 0.8], [0.1, 0.0]]]])
    grey = torch.linspace(0, 1, 36).view(3, 1, 3, 4)
    return [
        *(
            (dot, empty, 0.5),
            (empty, dot, 0.5),
            (some, other, 0.5),
            (empty, empty, 0.5),
            (empty, full, 0.5),
            (full, empty, 0.5),
            (full, full, 0.5),
        ),
        *((on_edge, full, 0.5), (full, on_edge, 0.5), (some, full, 0.25), (some, other, 0.75)),
        (torch.cat([empty, some, full]), torch.cat([empty, other, some]), 0.5),
        (some.double(), other.double(), 0.5),
        *((some, on_edge, 0.0), (on_edge, some, 1.0), (some, other, 0.65), (some, dot * 0.75, 0.55)),
        *((grey, grey.flip(3), 0.5), (grey.flip(0), grey.roll(1, 2), 0.3)),  # three images
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    target = (torch.rand(shape, generator=case.generator) > case.choice((0.3, 0.7))).float()
    prediction = (target * 0.6 + 0.5 * torch.rand(shape, generator=case.generator)).clamp(0, 1)
    prediction[-1] *= 0.5  # an image that is all faint
    if case.seed % 4 == 3:
        target = target * 0.45  # a true layout below one half everywhere
    return prediction.to(case.dtype), target.to(case.dtype), case.choice((0.5, 0.4, 0.25, 0.7))


Pair = tuple[Tensor, Tensor]
ALL = (1, 2, 3)


def _ratio(both: Tensor, either: Tensor) -> Tensor:
    return torch.where(either > 0, both / either, torch.ones_like(both, dtype=torch.float32))


def _masks(p: Tensor, t: Tensor, threshold: float) -> Pair:
    return p > threshold, t > threshold


ex.wrong(
    "soft",
    "You multiply grey values instead of masks: that is a “soft” IoU; the threshold must come first.",
    lambda p, t, threshold: _ratio((p * t).sum(ALL), (p + t - p * t).sum(ALL)),
)


@ex.wrong(
    "pooled",
    "You count over the whole batch: large images' features drown the small ones; one IoU "
    "per image is asked.",
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return _ratio((a & b).sum(), (a | b).sum())


@ex.wrong(
    "batch_mean", "You average over the batch; the caller wants one number per image, to see the worst."
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return _ratio((a & b).sum(ALL), (a | b).sum(ALL)).mean()


@ex.wrong(
    "dice",
    "You divide twice the intersection by the sum of both areas: that is Dice (F1), always "
    "the kinder number.",
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return _ratio(2 * (a & b).sum(ALL), a.sum(ALL) + b.sum(ALL))


@ex.wrong(
    "recall", "You divide by the target's area alone: a prediction that draws everything would score 1."
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return _ratio((a & b).sum(ALL), b.sum(ALL))


@ex.wrong(
    "accuracy",
    "You count agreeing pixels: most of a layout is empty, so an empty prediction would score high.",
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return (a == b).float().mean(ALL)


@ex.wrong(
    "empty_nan", "You divide 0 by 0 where both masks are empty, and one NaN spoils every mean taken later."
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return (a & b).sum(ALL) / (a | b).sum(ALL)


@ex.wrong(
    "empty_zero",
    "You give 0 where both masks are empty (an epsilon does that too); nothing was missed there: it is 1.",
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return (a & b).sum(ALL) / ((a | b).sum(ALL) + 1e-9)


@ex.wrong(
    "at_threshold", "You count pixels exactly at the threshold as drawn (`>=`); the definition says above it."
)
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = p >= threshold, t >= threshold
    return _ratio((a & b).sum(ALL), (a | b).sum(ALL))


@ex.wrong("fixed_half", "You always cut at 0.5 and do not use the threshold you were given.")
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, 0.5)
    return _ratio((a & b).sum(ALL), (a | b).sum(ALL))


@ex.wrong("sum_as_union", "You divide by the sum of the areas: pixels drawn in both are then counted twice.")
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = _masks(p, t, threshold)
    return _ratio((a & b).sum(ALL), a.sum(ALL) + b.sum(ALL))


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = ((i > threshold).float().flatten(1) for i in (p, t))
    both = (a * b).sum(1)
    either = a.sum(1) + b.sum(1) - both
    return torch.where(either == 0, torch.ones_like(either), both / either.clamp(min=1))


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = (p > threshold).flatten(1), (t > threshold).flatten(1)
    ratio = torch.logical_and(a, b).sum(1) / torch.logical_or(a, b).sum(1)
    return ratio.nan_to_num(nan=1.0)


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    values = []
    for image, truth in zip(p, t, strict=True):
        a, b = image > threshold, truth > threshold
        either = (a | b).sum()
        values.append((a & b).sum() / either if either > 0 else torch.ones((), device=p.device))
    return torch.stack(values)


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    score = (p > threshold).int() + (t > threshold).int()
    both, either = (score == 2).sum((1, 2, 3)).float(), (score >= 1).sum((1, 2, 3)).float()
    out = both / either
    out[either == 0] = 1
    return out


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    # one minus the Jaccard distance: pixels that differ over pixels drawn in either
    a, b = (i.gt(threshold).flatten(1) for i in (p, t))
    return 1 - (a ^ b).sum(1) / (a | b).sum(1).clamp_min(1)


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = ((i > threshold).float() for i in (p, t))
    both, either = torch.minimum(a, b).sum((-3, -2, -1)), torch.maximum(a, b).sum((-3, -2, -1))
    return (both + (either == 0)) / (either + (either == 0))


@ex.right
def _(p: Tensor, t: Tensor, threshold: float) -> Tensor:
    a, b = ((i > threshold).reshape(len(i), -1).double() for i in (p, t))
    both = torch.einsum("bn,bn->b", a, b)
    dice = torch.where(a.sum(1) + b.sum(1) > 0, 2 * both / (a.sum(1) + b.sum(1)), 1.0)
    return (dice / (2 - dice)).float()


def _iou(a: Tensor, b: Tensor) -> Tensor:
    return _ratio((a & b).sum(ALL), (a | b).sum(ALL))


ex.wrong(
    "target_at_half",
    "You cut the target at 0.5; both images are cut at the threshold.",
    lambda p, t, threshold: _iou(p > threshold, t > 0.5),
)
ex.wrong(
    "target_not_cut",
    "You take the target as drawn wherever it is not 0; both images are cut at the threshold.",
    lambda p, t, threshold: _iou(p > threshold, t > 0),
)
ex.wrong(
    "prediction_at_half",
    "You cut the prediction at 0.5; both images are cut at the threshold.",
    lambda p, t, threshold: _iou(p > 0.5, t > threshold),
)
ex.wrong(
    "one_where_the_target_is_empty",
    "You give 1 wherever the target is empty; it is 1 only if *both* masks are.",
    lambda p, t, threshold: torch.where((t > threshold).sum(ALL) > 0, _iou(*_masks(p, t, threshold)), 1.0),
)
ex.wrong(
    "one_where_the_prediction_is_empty",
    "You give 1 wherever the prediction is empty; it is 1 only if *both* masks are.",
    lambda p, t, threshold: torch.where((p > threshold).sum(ALL) > 0, _iou(*_masks(p, t, threshold)), 1.0),
)
ex.wrong(
    "one_where_nothing_is_shared",
    "You give 1 where the masks share no pixel; that is 0 unless both are empty.",
    lambda p, t, threshold: torch.where(
        (_masks(p, t, threshold)[0] & (t > threshold)).sum(ALL) > 0, _iou(*_masks(p, t, threshold)), 1.0
    ),
)
ex.wrong(
    "precision",
    "You divide by the prediction's area alone.",
    lambda p, t, threshold: _ratio(((p > threshold) & (t > threshold)).sum(ALL), (p > threshold).sum(ALL)),
)
ex.wrong(
    "one_added",
    "You add 1 above and below the line against 0/0: that changes every small mask.",
    lambda p, t, threshold: (
        (((p > threshold) & (t > threshold)).sum(ALL) + 1)
        / (((p > threshold) | (t > threshold)).sum(ALL) + 1)
    ),
)
ex.wrong(
    "distance",
    "You return one minus the index.",
    lambda p, t, threshold: 1 - _iou(*_masks(p, t, threshold)),
)
ex.wrong(
    "below_the_threshold",
    "You count what lies at or below the threshold: drawn is what lies above it.",
    lambda p, t, threshold: _iou(p <= threshold, t <= threshold),
)
ex.wrong(
    "share_of_the_image",
    "You divide by all pixels of the image instead of those drawn in either.",
    lambda p, t, threshold: ((p > threshold) & (t > threshold)).float().mean(ALL),
)
ex.wrong(
    "type_of_the_images",
    "You return the type of the images; float32 was asked for.",
    lambda p, t, threshold: _iou(*_masks(p, t, threshold)).to(p.dtype),
)
ex.wrong(
    "float64",
    "You compute in float64 and return it; float32 was asked for.",
    lambda p, t, threshold: (
        ((p > threshold) & (t > threshold)).sum(ALL).double() / ((p > threshold) | (t > threshold)).sum(ALL)
    ).nan_to_num(nan=1.0),
)
common_slips(
    ex, "returned_nothing", "python_number", "one_axis_more", "axes_of_one_lost", "first_of_the_batch"
)

ex.background("How well does a predicted layout")
ex.breach("Turn both images into masks", "soft")
ex.breach("Turn both images into masks", "target_at_half")
ex.breach("*above* the threshold", "at_threshold")
ex.breach("count the pixels drawn in both", "recall")
ex.breach("drawn in either", "sum_as_union")
ex.breach("One number per image", "pooled")
ex.breach("as float32", "type_of_the_images")
ex.breach("Two empty masks", "empty_nan")
ex.breach("Two empty masks", "empty_zero")
ex.breach("Two empty masks", "one_where_the_target_is_empty")
