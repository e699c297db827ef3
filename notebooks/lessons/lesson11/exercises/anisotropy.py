"""Lesson 11: a feature that sees which way lines run."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="anisotropy",
    lesson="11",
    title="Which way do the lines run?",
    difficulty=2,
    minutes=10,
    spec=r"""
    Mean, contrast and edge density are blind to a turn by 90 degrees. This feature is not. From each image's
    central differences, inside the border,

    $$g_x = \tfrac12 (I_{y,x+1} - I_{y,x-1}), \qquad g_y = \tfrac12 (I_{y+1,x} - I_{y-1,x}),$$

    with $J_{xx}$ the mean of $g_x^2$ and $J_{yy}$ that of $g_y^2$ over the inner pixels, the anisotropy is
    $(J_{xx} - J_{yy}) / (J_{xx} + J_{yy})$: 1 for vertical lines, -1 for horizontal ones. Tensors
    that you make must be on the device of `images`.
    """,
    hints=(
        "Inner pixels only: both differences live on `image[1:-1, 1:-1]`, one row and column less on each "
        "side.",
        "`gx = (x[..., 1:-1, 2:] - x[..., 1:-1, :-2]) / 2`; gy is the same with the axes exchanged.",
        "Squares are averaged over the last two axes *before* the ratio; one number per image.",
    ),
    source="Förstner, Gülch 1987 (structure tensor); Bigun, Granlund 1987.",
    equivalent={
        "value.detach()": "no gradient is asked for",
        "images[:, 1:-1, :-2] - images[:, 1:-1, 2:]": "the square forgets the sign",
        "images[:, :-2, 1:-1] - images[:, 2:, 1:-1]": "the square forgets the sign",
        "`2` -> `-2`": "the square forgets the sign",
        "`(2, 1)`": "the same axes in another order",
    },
)


@ex.reference
def anisotropy(images: Tensor) -> Tensor:
    """Images (N, H, W) that are not flat -> anisotropy (N,) in [-1, 1]."""
    gx = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]) / 2
    gy = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]) / 2
    jxx = gx.square().mean((1, 2))
    jyy = gy.square().mean((1, 2))
    return (jxx - jyy) / (jxx + jyy)


@ex.edges
def _() -> list[Args]:
    x = torch.arange(7, dtype=torch.float64)
    vertical = (x % 4 < 2).double().expand(5, 7)
    corner = torch.zeros(5, 5, dtype=torch.float64)
    corner[0, :] = corner[:, 0] = torch.arange(5, dtype=torch.float64)
    corner[1, 2], corner[2, 1] = 3.0, 1.0
    slope = 2 * x[:3, None] + 5 * x[:4]
    return [
        *((vertical[None],), (vertical.T[None],), ((x * x).expand(4, 7)[None],), (corner[None],)),
        *((slope[None, :3, :3],), (100 + slope[None],), (-torch.stack([slope, slope * slope, slope**3]),)),
        (torch.stack([corner, corner.T - 3, 1e3 * corner]).mT,),
        (torch.stack([corner, corner.T, corner.flip(0)]).float(),),
    ]


@ex.inputs
def _(case: Case) -> Args:
    height, width = max(4, case.height), max(4, case.width)
    waves = torch.sin(2 * torch.arange(width, dtype=case.dtype)).expand(height, width)
    return (case.rand(1) * waves + 0.5 * case.randn(case.batch, height, width),)


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    gx = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]) / 2
    return gx, (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]) / 2


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return (a - b) / (a + b)


ex.wrong(
    "axes_exchanged",
    "You have the axes the wrong way round: x runs along the last axis; vertical lines change along x.",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in reversed(_gradients(x)))),
)
ex.wrong(
    "absolute",
    "You average absolute differences; the structure tensor averages squares.",
    lambda x: _ratio(*(g.abs().mean((1, 2)) for g in _gradients(x))),
)
ex.wrong(
    "not_squared",
    "You average the differences with their sign: rising and falling edges cancel out.",
    lambda x: _ratio(*(g.mean((1, 2)) for g in _gradients(x))),
)
ex.wrong(
    "not_normalised",
    "You do not divide by the sum: the feature then grows with contrast, and is one more contrast.",
    lambda x: _gradients(x)[0].square().mean((1, 2)) - _gradients(x)[1].square().mean((1, 2)),
)
ex.wrong(
    "whole_batch",
    "You average over all images of the batch; every image has its own direction.",
    lambda x: _ratio(*(g.square().mean() for g in _gradients(x))),
)
ex.wrong(
    "ratio_per_pixel",
    "You take the ratio at every pixel and then the mean: noise in flat places counts as much as the edges.",
    lambda x: _ratio(*(g.square() + 1e-12 for g in _gradients(x))).mean((1, 2)),
)
ex.wrong(
    "unsigned",
    "You drop the sign: vertical and horizontal lines become the same, and they were to be told apart.",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in _gradients(x))).abs(),
)
ex.wrong(
    "plain_quotient",
    "You return Jxx / Jyy, which has no bound: one straight image sends it to infinity.",
    lambda x: _gradients(x)[0].square().mean((1, 2)) / _gradients(x)[1].square().mean((1, 2)),
)
ex.wrong(
    "forward",
    "You take forward differences; central ones are asked for, which treat both neighbours alike.",
    lambda x: _ratio(x.diff(dim=2).square().mean((1, 2)), x.diff(dim=1).square().mean((1, 2))),
)
ex.wrong(
    "borders",
    "You use each difference wherever it fits, border rows and columns included: the two then cover "
    "different pixels.",
    lambda x: _ratio(
        (x[:, :, 2:] - x[:, :, :-2]).square().mean((1, 2)), (x[:, 2:] - x[:, :-2]).square().mean((1, 2))
    ),
)
ex.wrong(
    "roots",
    "You take the square roots of the means first; the ratio is of the means of squares.",
    lambda x: _ratio(*(g.square().mean((1, 2)).sqrt() for g in _gradients(x))),
)

ex.wrong(
    "one_sided_at_the_border",
    "You keep the border, where `torch.gradient` takes one-sided differences; only inner pixels count.",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in torch.gradient(x, dim=(2, 1)))),
)
ex.wrong(
    "wrapped",
    "You let the image wrap around at its border (`roll`); only inner pixels count.",
    lambda x: _ratio(*((x.roll(-1, d) - x.roll(1, d)).square().mean((1, 2)) for d in (2, 1))),
)
ex.wrong(
    "variances",
    "You subtract the mean of the differences first; the plain mean of their squares was asked for.",
    lambda x: _ratio(*(g.var((1, 2), correction=0) for g in _gradients(x))),
)
ex.wrong(
    "inner_forward",
    "You take the difference to the next pixel alone; central differences look at both neighbours.",
    lambda x: _ratio(
        (x[:, 1:-1, 2:] - x[:, 1:-1, 1:-1]).square().mean((1, 2)),
        (x[:, 2:, 1:-1] - x[:, 1:-1, 1:-1]).square().mean((1, 2)),
    ),
)
ex.wrong(
    "sobel",
    "You take Sobel's filter, which also smooths over three rows; plain central differences were asked for.",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in _smoothed(x))),
)
ex.wrong(
    "first_share",
    "You return Jxx / (Jxx + Jyy): horizontal lines then give 0 and not -1.",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in _gradients(x))) / 2 + 0.5,
)
ex.wrong(
    "over_the_root",
    "You divide by the root of the sum.",
    lambda x: (
        (_gradients(x)[0].square().mean((1, 2)) - _gradients(x)[1].square().mean((1, 2)))
        / (_gradients(x)[0].square().mean((1, 2)) + _gradients(x)[1].square().mean((1, 2))).sqrt()
    ),
)
ex.wrong(
    "squeezed",
    "You squeeze the result: a batch of one image has one number, in a tensor of shape (1,).",
    lambda x: _ratio(*(g.square().mean((1, 2)) for g in _gradients(x))).squeeze(),
)


def _smoothed(x: Tensor) -> tuple[Tensor, Tensor]:
    gx, gy = x[:, :, 2:] - x[:, :, :-2], x[:, 2:] - x[:, :-2]
    return (
        gx[:, :-2] + 2 * gx[:, 1:-1] + gx[:, 2:],
        gy[:, :, :-2] + 2 * gy[:, :, 1:-1] + gy[:, :, 2:],
    )


ex.right(lambda x: _ratio(*(g.square().sum((1, 2)) for g in _gradients(x))))
ex.right(
    lambda x: 1 - 2 / (1 + _gradients(x)[0].square().sum((1, 2)) / _gradients(x)[1].square().sum((1, 2)))
)


@ex.right
def _(images: Tensor) -> Tensor:
    gy, gx = torch.gradient(images, dim=(1, 2))
    jxx, jyy = (g[:, 1:-1, 1:-1].pow(2).mean(dim=(-2, -1)) for g in (gx, gy))
    return (jxx - jyy) / (jxx + jyy)


@ex.right
def _(images: Tensor) -> Tensor:
    out = []
    for image in images:
        inner = image[1:-1, 2:] - image[1:-1, :-2], image[2:, 1:-1] - image[:-2, 1:-1]
        a, b = (g.norm() ** 2 for g in inner)
        out.append((a - b) / (a + b))
    return torch.stack(out)


ex.background("Mean, contrast and edge density are blind", "This feature is not.")
ex.breach("From each image's central differences, inside the border", "borders")
ex.breach("From each image's central differences, inside the border", "whole_batch")
ex.breach(r"$$g_x = \tfrac12", "forward")
ex.breach("the anisotropy is", "not_normalised")
ex.breach("with $J_{xx}$ the mean of $g_x^2$", "absolute")
ex.breach("1 for vertical lines, -1 for horizontal ones.", "axes_exchanged")


ex.breach(
    "Tensors that you make must be on the device of `images`.",
    lambda images: ex.function(images * torch.ones(1, 1, 1)),
)
