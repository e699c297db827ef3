"""Lesson 10: IoU of one prediction at many thresholds."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="iou_sweep",
    lesson="10",
    title="IoU at every threshold",
    difficulty=2,
    minutes=8,
    spec="""
    An IoU at 0.5 hides what another threshold would have shown. The prediction is grey, the target is a mask
    of booleans. Cut the *prediction* at each threshold (drawn where the value is above it) and give IoU per
    image and threshold, float32. Two empty masks agree perfectly: their IoU is 1. Tensors that you make must
    be on the device of `prediction`.
    """,
    hints=(
        "A new axis for the thresholds lets one comparison do all: `prediction[:, None] > cuts`.",
        "Cuts of shape (T, 1, 1, 1) against (B, 1, 1, H, W) give masks (B, T, 1, H, W).",
        "Count intersection and union over the last three axes, then `torch.where(union > 0, ..., 1.0)`.",
    ),
    source="gantrans.metrics.iou, at several thresholds.",
    equivalent={
        "value.detach()": "a mask has no gradient",
        "value.float()": "the ratio of counts is float32 already",
        "3.4 value.double()": "a float32 threshold is compared as the number that it is",
        "`(-3, -2, -1)` -> ": "the order of summed axes does not matter",
    },
)


@ex.reference
def iou_sweep(prediction: Tensor, target: Tensor, thresholds: list[float]) -> Tensor:
    """Grey (B, 1, H, W), bool (B, 1, H, W), T numbers -> (B, T) float32: IoU per image and threshold."""
    cuts = torch.tensor(thresholds, dtype=prediction.dtype, device=prediction.device).view(-1, 1, 1, 1)
    masks = prediction[:, None] > cuts
    both = (masks & target[:, None]).sum(dim=(-3, -2, -1))
    either = (masks | target[:, None]).sum(dim=(-3, -2, -1))
    return torch.where(either > 0, both / either, 1.0)


@ex.edges
def _() -> list[Args]:
    grey = torch.tensor([[[[0.9, 0.6], [0.5, 0.0]]]])
    mask = torch.tensor([[[[True, False], [True, False]]]])
    empty, dark = torch.zeros_like(mask), torch.zeros_like(grey)
    return [
        *((grey, mask, [0.5]), (grey, mask, [0.1, 0.5, 0.7, 0.95]), (grey, mask, [0.5, 0.1])),
        *((dark, empty, [0.5, 0.2]), (dark, mask, [0.5]), (grey, empty, [0.3, 0.95]), (grey, ~empty, [0.3])),
        (torch.cat([grey, dark]), torch.cat([mask, empty]), [0.2, 0.5, 0.75]),
        (torch.tensor([[[[0.7, 0.2], [0.1, 0.0]]]], dtype=torch.float64), empty, [0.5, 0.1, 0.7]),
        (torch.tensor([[[[0.7, 0.2], [0.1, 0.4]]]], dtype=torch.float64), mask, [0.7, 0.2, 0.1, 0.4]),
        (torch.cat([grey, 1 - grey]), torch.cat([mask, ~mask]), [0.0, 1.0, 0.25, 0.25, -0.5, 1.5]),
        (torch.cat([grey, 0.5 * grey]).mT, torch.cat([mask, mask.flip(-1)]).mT, [0.4, 0.2]),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    target = case.rand(*shape) > case.choice((0.3, 0.7))
    prediction = (0.6 * target + 0.5 * case.rand(*shape)).clamp(0, 1).to(case.dtype)
    cuts = [case.integer(0, 10) / 10 for _ in range(case.integer(1, 4))]
    return prediction, target, cuts


def _masks(p: Tensor, thresholds: Sequence[float]) -> Tensor:
    return torch.stack([p > t for t in thresholds], 1)


def _ratio(masks: Tensor, target: Tensor) -> Tensor:
    both, either = ((masks & target).sum((-3, -2, -1)), (masks | target).sum((-3, -2, -1)))
    return torch.where(either > 0, both / either, 1.0)


ex.wrong(
    "at_threshold",
    "You count pixels exactly at the threshold as drawn (`>=`); the definition says above it.",
    lambda p, t, cuts: _ratio(torch.stack([p >= c for c in cuts], 1), t[:, None]),
)
ex.wrong(
    "transposed",
    "You return thresholds by images; the images come first.",
    lambda p, t, cuts: _ratio(_masks(p, cuts), t[:, None]).mT,
)
ex.wrong(
    "sorted",
    "You sort the thresholds; the columns must come in the order you were given.",
    lambda p, t, cuts: _ratio(_masks(p, sorted(cuts)), t[:, None]),
)
ex.wrong(
    "batch_mean",
    "You average over the batch: the worst image is what a sweep is for.",
    lambda p, t, cuts: _ratio(_masks(p, cuts), t[:, None]).mean(0),
)
ex.wrong(
    "fixed_half",
    "You cut at 0.5 in every column.",
    lambda p, t, cuts: _ratio(_masks(p, [0.5] * len(cuts)), t[:, None]),
)


@ex.wrong("target_cut_too", "You cut the target at the threshold as well; it is a mask and stays as it is.")
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    return torch.cat([_ratio((p > c)[:, None], (0.5 * t > c)[:, None]) for c in cuts], 1)


@ex.wrong(
    "dice", "You divide twice the intersection by the sum of areas: that is Dice, always the kinder number."
)
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    value = _ratio(_masks(p, cuts), t[:, None])
    return 2 * value / (1 + value)


@ex.wrong("empty_nan", "You divide 0 by 0 where both masks are empty.")
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    masks, truth = _masks(p, cuts), t[:, None]
    return (masks & truth).sum((-3, -2, -1)) / (masks | truth).sum((-3, -2, -1))


@ex.wrong("empty_zero", "You give 0 where both masks are empty; nothing was missed there: it is 1.")
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    masks, truth = _masks(p, cuts), t[:, None]
    return (masks & truth).sum((-3, -2, -1)) / (masks | truth).sum((-3, -2, -1)).clamp(min=1)


ex.wrong(
    "float32_cuts",
    "You round the thresholds to float32: a float64 value that lies at a threshold then comes out above or "
    "below it.",
    lambda p, t, cuts: _ratio(_masks(p.double(), torch.tensor(cuts).double().tolist()), t[:, None]),
)
ex.wrong(
    "recall",
    "You divide by the target's area: that is recall, which never punishes what was drawn too much.",
    lambda p, t, cuts: _share(_masks(p, cuts), t[:, None], t[:, None].expand_as(_masks(p, cuts))),
)
ex.wrong(
    "precision",
    "You divide by the drawn area: that is precision, which never punishes what is missing.",
    lambda p, t, cuts: _share(_masks(p, cuts), t[:, None], _masks(p, cuts)),
)
ex.wrong(
    "accuracy",
    "You count pixels that agree, background included: with much background all is well.",
    lambda p, t, cuts: (_masks(p, cuts) == t[:, None]).float().mean((-3, -2, -1)),
)
ex.wrong(
    "areas_added",
    "You divide by the sum of the areas: what they share is counted twice there.",
    lambda p, t, cuts: torch.where(
        (_masks(p, cuts) | t[:, None]).sum((-3, -2, -1)) > 0,
        (_masks(p, cuts) & t[:, None]).sum((-3, -2, -1))
        / (_masks(p, cuts).sum((-3, -2, -1)) + t[:, None].sum((-3, -2, -1))),
        1.0,
    ),
)
ex.wrong(
    "pooled",
    "You count the pixels of all images together; every image has an IoU of its own.",
    lambda p, t, cuts: torch.stack([_pooled(p > c, t) for c in cuts]).expand(len(p), -1),
)
ex.wrong(
    "float64",
    "You return float64; float32 was asked for.",
    lambda p, t, cuts: _ratio(_masks(p, cuts), t[:, None]).double(),
)
ex.wrong(
    "below",
    "You draw where the value is below the threshold.",
    lambda p, t, cuts: _ratio(_masks(-p, [-c for c in cuts]), t[:, None]),
)


def _share(masks: Tensor, target: Tensor, of: Tensor) -> Tensor:
    count, both = of.sum((-3, -2, -1)), (masks & target).sum((-3, -2, -1))
    return torch.where(count > 0, both / count, 1.0)


def _pooled(mask: Tensor, target: Tensor) -> Tensor:
    either = (mask | target).sum()
    return torch.where(either > 0, (mask & target).sum() / either, 1.0)


ex.wrong(
    "one_if_either_is_empty",
    "You give 1 if either mask is empty; only two empty ones agree.",
    lambda p, t, cuts: _unless_empty(_masks(p, cuts), t[:, None], either=True),
)
ex.wrong(
    "one_if_the_target_is_empty",
    "You give 1 if the target is empty, whatever was drawn; only two empty masks agree.",
    lambda p, t, cuts: _unless_empty(_masks(p, cuts), t[:, None], either=False),
)


def _unless_empty(masks: Tensor, target: Tensor, *, either: bool) -> Tensor:
    empty = target.sum((-3, -2, -1)).expand(masks.shape[:2]) == 0
    return torch.where(empty | (either & (masks.sum((-3, -2, -1)) == 0)), 1.0, _ratio(masks, target))


ex.wrong(
    "view",
    "You use `view` on a tensor that need not be contiguous; `reshape` and `flatten` copy where they must.",
    lambda p, t, cuts: _ratio(
        torch.stack([p.view(len(p), 1, 1, -1) > c for c in cuts], 1), t.view(len(t), 1, 1, 1, -1)
    ),
)


ex.right(lambda p, t, cuts: _ratio(_masks(p, cuts), t[:, None]))
ex.right(lambda p, t, cuts: torch.cat([_ratio((p > c)[:, None], t[:, None]) for c in cuts], 1))


@ex.right
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    table = torch.empty(len(p), len(cuts), device=p.device)
    truth = t.flatten(1)
    for k, cut in enumerate(cuts):
        mask = p.flatten(1) > cut
        union = (mask | truth).sum(1)
        table[:, k] = torch.where(union == 0, 1.0, (mask & truth).sum(1) / union.clamp(min=1))
    return table


@ex.right
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    wrong = torch.stack([((p > c) ^ t).flatten(1).sum(1) for c in cuts], 1)
    either = torch.stack([((p > c) | t).flatten(1).sum(1) for c in cuts], 1)
    return 1 - wrong / either.clamp(min=1)


@ex.right
def _(p: Tensor, t: Tensor, cuts: Sequence[float]) -> Tensor:
    rows = []
    for image, truth in zip(p, t, strict=True):
        one = []
        for cut in cuts:
            a, b = (image > cut).float(), truth.float()
            either = torch.maximum(a, b).sum()
            one.append(torch.minimum(a, b).sum() / either if either > 0 else torch.ones_like(either))
        rows.append(torch.stack(one))
    return torch.stack(rows)


ex.breach("An IoU at 0.5 hides", "fixed_half")
ex.breach("The prediction is grey, the target is a mask", "target_cut_too")
ex.breach("Cut the *prediction* at each threshold", "at_threshold")
ex.breach("give IoU per image and threshold, float32", "transposed")
ex.breach("give IoU per image and threshold, float32", "float64")
ex.breach("Two empty masks agree perfectly", "empty_zero")
ex.breach("their IoU is 1", "empty_nan")


ex.breach(
    "Tensors that you make must be on the device of `prediction`.",
    lambda p, t, cuts: ex.function(p * torch.ones(1, 1, 1, 1), t, cuts),
)
