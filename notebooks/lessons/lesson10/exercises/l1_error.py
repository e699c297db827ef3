"""Lesson 10: mean absolute error of stored images."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="l1_error",
    lesson="10",
    title="L1 of stored images",
    difficulty=1,
    minutes=5,
    spec="""
    Two batches of images as they lie on disk, `uint8` from 0 to 255. How far are they apart on average, on
    the scale of [0, 1]? One float32 number per image.
    """,
    hints=(
        "What is 3 - 5 in `uint8`? Change the type before you subtract.",
        "`.float()`, subtract, `.abs()`, divide by 255.",
        "Mean over every axis but the first: `.mean(dim=(1, 2, 3))`.",
    ),
    source="gantrans.metrics.l1, on images of `gantrans.images.unit_from_uint8`.",
    equivalent={
        "`(1, 2, 3)` -> ": "the order of averaged axes does not matter",
        "`2` -> `-2`": "of four axes, 2 and -2 are the same",
        "value.detach()": "stored images have no gradient",
        "value.float()": "it is float32 already",
        "`target.float() - prediction.float()`": "the absolute value forgets the sign",
        "`prediction.float()` -> `prediction`": "uint8 minus float32 is float32: one conversion is enough",
        "`target.float()` -> `target`": "float32 minus uint8 is float32: one conversion is enough",
    },
)


@ex.reference
def l1_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Two uint8 (B, 1, H, W) -> (B,) float32: mean absolute difference on the scale of [0, 1]."""
    difference = prediction.float() - target.float()
    return difference.abs().mean(dim=(1, 2, 3)) / 255


@ex.edges
def _() -> list[Args]:
    black, white = (torch.full((1, 1, 2, 3), v, dtype=torch.uint8) for v in (0, 255))
    small = torch.tensor([[[[3, 200], [0, 7]]]], dtype=torch.uint8)
    other = torch.tensor([[[[5, 100], [9, 7]]]], dtype=torch.uint8)
    return [
        *((black, white), (white, black), (white, white), (small, other), (other, small)),
        (torch.cat([black, white]), torch.cat([black, black])),
        (small.mT, other.mT),
        (small.expand(3, 1, 2, 2), torch.cat([small, other, small.flip(-1)])),
        (black[..., :1, :1], white[..., :1, :1]),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    prediction, target = (
        torch.randint(0, 256, shape, generator=case.generator, dtype=torch.uint8) for _ in range(2)
    )
    prediction[-1] = target[-1]
    prediction[-1, 0, 0, 0] ^= 1
    return prediction, target


def _apart(p: Tensor, t: Tensor) -> Tensor:
    return (p.float() - t.float()).abs() / 255


ex.wrong(
    "wraps",
    "You subtract in `uint8`, where 3 - 5 is 254: change the type first.",
    lambda p, t: (p - t).float().mean((1, 2, 3)) / 255,
)
ex.wrong(
    "not_scaled",
    "Your numbers lie in 0 to 255; on the scale of [0, 1] they must be divided by 255.",
    lambda p, t: (p.float() - t.float()).abs().mean((1, 2, 3)),
)
ex.wrong(
    "by_256",
    "You divide by 256; 255 is white, and white against black must give exactly 1.",
    lambda p, t: (p.float() - t.float()).abs().mean((1, 2, 3)) / 256,
)
ex.wrong(
    "signed",
    "You forget the absolute value: too bright here and too dark there cancel.",
    lambda p, t: (p.float() - t.float()).mean((1, 2, 3)) / 255,
)
ex.wrong(
    "squared",
    "You square the difference: that is the mean squared error.",
    lambda p, t: _apart(p, t).square().mean((1, 2, 3)),
)
ex.wrong(
    "root",
    "You take the root of the mean square: large errors count more than in L1.",
    lambda p, t: _apart(p, t).square().mean((1, 2, 3)).sqrt(),
)
ex.wrong(
    "batch_mean",
    "You give one number for the whole batch; one per image is asked, to see the worst.",
    lambda p, t: _apart(p, t).mean(),
)
ex.wrong(
    "summed",
    "You sum over the pixels: the number then grows with the image.",
    lambda p, t: _apart(p, t).sum((1, 2, 3)),
)

ex.wrong(
    "squeezed",
    "You squeeze the result: a batch of one image has one number, in a tensor of shape (1,).",
    lambda p, t: _apart(p, t).mean((1, 2, 3)).squeeze(),
)
ex.wrong(
    "float64",
    "You return float64; float32 was asked for.",
    lambda p, t: _apart(p, t).double().mean((1, 2, 3)),
)
ex.wrong(
    "wraps_then_absolute",
    "You take the absolute value in a type that has no room for negative numbers (or too little "
    "room): change "
    "the type before you subtract.",
    lambda p, t: (p.to(torch.int8) - t.to(torch.int8)).abs().float().mean((1, 2, 3)) / 255,
)
ex.wrong(
    "whole_scale",
    "You divide by 255 in whole numbers: everything but white becomes 0.",
    lambda p, t: (p // 255).float().sub(t // 255).abs().mean((1, 2, 3)),
)
ex.wrong(
    "largest",
    "You take the largest difference; the average was asked for.",
    lambda p, t: _apart(p, t).amax((1, 2, 3)),
)
ex.wrong(
    "one_per_row",
    "You average over the last axis alone; an image has one number.",
    lambda p, t: _apart(p, t).mean(-1),
)
ex.wrong(
    "means_compared",
    "You compare the mean brightness of the images: too bright here and too dark there cancel.",
    lambda p, t: (p.float().mean((1, 2, 3)) - t.float().mean((1, 2, 3))).abs() / 255,
)


ex.right(lambda p, t: _apart(p, t).flatten(1).mean(1))
ex.right(lambda p, t: (p.int() - t.int()).abs().float().mean((1, 2, 3)) / 255)
ex.right(lambda p, t: torch.stack([_apart(a, b).mean() for a, b in zip(p, t, strict=True)]))
ex.right(lambda p, t: (torch.maximum(p, t) - torch.minimum(p, t)).float().mean((-1, -2, -3)) / 255.0)


@ex.right
def _(p: Tensor, t: Tensor) -> Tensor:
    total = (p.to(torch.int64) - t.to(torch.int64)).abs().sum(dim=(1, 2, 3))
    return (total.double() / (255 * p[0].numel())).float()


ex.breach("Two batches of images as they lie on disk", "wraps")
ex.breach("How far are they apart on average", "not_scaled")
ex.breach("One float32 number per image.", "batch_mean")
ex.breach("One float32 number per image.", "float64")
