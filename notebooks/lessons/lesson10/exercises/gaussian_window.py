"""Lesson 10: the window that SSIM looks through."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="gaussian_window",
    lesson="10",
    title="A Gaussian window",
    difficulty=2,
    minutes=8,
    spec=r"""
    SSIM compares neighbourhoods through a window $w_{ij} \propto \exp(-(i^2 + j^2) / 2\sigma^2)$, with
    $i, j$ counted in pixels from its middle. Its weights sum to 1. Build it as float64; `taps` is odd.
    """,
    hints=(
        "Places along one axis: `torch.arange(taps) - taps // 2`.",
        "A Gaussian of two axes is the outer product of two Gaussians of one.",
        "Divide by the sum at the end; the usual prefactor 1/(2 pi sigma^2) then does not matter.",
    ),
    source="Wang et al. 2004: 11 taps, sigma 1.5; gantrans.metrics.image.",
    equivalent={
        "value.detach()": "nothing here has a gradient",
        "value.double()": "it is float64 already",
        "`taps // 2 - torch.arange(taps, dtype=torch.float64)`": "the square forgets the sign",
    },
)


@ex.reference
def gaussian_window(taps: int, sigma: float) -> Tensor:
    """(taps, taps) float64 that sums to 1: a Gaussian of `sigma` px about the middle."""
    place = torch.arange(taps, dtype=torch.float64) - taps // 2
    line = torch.exp(-(place**2) / (2 * sigma**2))
    window = line[:, None] * line
    return window / window.sum()


@ex.edges
def _() -> list[Args]:
    return [(3, 1.0), (1, 0.7), (11, 1.5), (5, 0.5), (7, 4.0), (9, 0.1), (3, 50.0), (15, 2.5)]


@ex.inputs
def _(case: Case) -> Args:
    return 2 * case.integer(0, 6) + 1, case.integer(3, 30) / 10


def _window(place: Tensor, sigma: float) -> Tensor:
    line = torch.exp(-(place.double() ** 2) / (2 * sigma**2))
    return torch.outer(line, line) / torch.outer(line, line).sum()


def _raw(taps: int, sigma: float) -> Tensor:
    line = torch.exp(-((torch.arange(taps).double() - taps // 2) ** 2) / (2 * sigma**2))
    return line[:, None] * line


ex.wrong(
    "not_normalised",
    "Your weights do not sum to 1: the mean of a constant image would not be that constant.",
    lambda taps, sigma: _raw(taps, sigma),
)
ex.wrong(
    "off_centre",
    "Your window starts at the corner instead of lying about its middle.",
    lambda taps, sigma: _window(torch.arange(taps), sigma),
)
ex.wrong(
    "no_two",
    "You divide by sigma squared and not by twice that: the window is narrower by sqrt(2).",
    lambda taps, sigma: _window(torch.arange(taps) - taps // 2, sigma / math.sqrt(2)),
)
ex.wrong(
    "sigma_not_squared",
    "You divide by 2 sigma; the variance is sigma squared.",
    lambda taps, sigma: _window(torch.arange(taps) - taps // 2, math.sqrt(sigma)),
)
ex.wrong(
    "box",
    "You give every place the same weight: that is the 7 x 7 box that some libraries take by default.",
    lambda taps, sigma: torch.full((taps, taps), 1 / taps**2, dtype=torch.float64),
)
ex.wrong(
    "half_pixel",
    "You centre at taps / 2: with an odd number of taps the middle is the pixel taps // 2.",
    lambda taps, sigma: _window(torch.arange(taps) - taps / 2, sigma),
)
ex.wrong(
    "one_axis",
    "You return the line; the window has two axes.",
    lambda taps, sigma: _window(torch.arange(taps) - taps // 2, sigma).sum(0),
)
ex.wrong(
    "laplace",
    "You do not square the distance: that falls off as a tent of exponentials, not as a Gaussian.",
    lambda taps, sigma: _window((torch.arange(taps) - taps // 2).abs().double().sqrt(), sigma),
)
ex.wrong(
    "float32",
    "You build it in float32; SSIM to 1e-6 needs float64 weights.",
    lambda taps, sigma: _window(torch.arange(taps) - taps // 2, sigma).float(),
)

ex.wrong(
    "prefactor",
    "You divide by 2 pi sigma^2: that is the integral over the plane, not the sum of these few weights.",
    lambda taps, sigma: _raw(taps, sigma) / (2 * math.pi * sigma**2),
)
ex.wrong(
    "line_prefactor",
    "You divide by sqrt(2 pi) sigma, the integral over a line; the weights of the window must sum to 1.",
    lambda taps, sigma: _raw(taps, sigma) / (math.sqrt(2 * math.pi) * sigma),
)
ex.wrong(
    "rows_normalised",
    "You let every row sum to 1; the whole window does.",
    lambda taps, sigma: _raw(taps, sigma) / _raw(taps, sigma).sum(1, keepdim=True),
)
ex.wrong(
    "mean_one",
    "You divide by the mean: the weights then sum to their number.",
    lambda taps, sigma: _raw(taps, sigma) / _raw(taps, sigma).mean(),
)
ex.wrong(
    "unit_length",
    "You divide by the root of the sum of squares; the weights themselves sum to 1.",
    lambda taps, sigma: _raw(taps, sigma) / _raw(taps, sigma).norm(),
)
ex.wrong(
    "summed_lines",
    "You add the two lines; a Gaussian of two axes is their product.",
    lambda taps, sigma: (
        ((line := _window(torch.arange(taps) - taps // 2, sigma).sum(0))[:, None] + line) / (2 * taps)
    ),
)
ex.wrong(
    "sign_lost",
    "You leave the minus out: the weights then grow with the distance from the middle.",
    lambda taps, sigma: (1 / _raw(taps, sigma)) / (1 / _raw(taps, sigma)).sum(),
)
ex.wrong(
    "unit_square",
    "You count i and j from -1 to 1; they are pixels.",
    lambda taps, sigma: _window(torch.linspace(-1, 1, taps) if taps > 1 else torch.zeros(1), sigma),
)
ex.wrong(
    "two_squared",
    "You square 2 sigma; the exponent has 2 sigma^2.",
    lambda taps, sigma: _window(torch.arange(taps) - taps // 2, sigma * math.sqrt(2)),
)


@ex.right
def _(taps: int, sigma: float) -> Tensor:
    y, x = torch.meshgrid(*[torch.arange(taps).double() - taps // 2] * 2, indexing="ij")
    return torch.softmax((-(x**2 + y**2) / (2 * sigma**2)).flatten(), 0).view(taps, taps)


@ex.right
def _(taps: int, sigma: float) -> Tensor:
    line = torch.softmax(-0.5 * ((torch.arange(taps).double() - (taps - 1) / 2) / sigma) ** 2, 0)
    return torch.outer(line, line)


@ex.right
def _(taps: int, sigma: float) -> Tensor:
    middle = taps // 2
    rows = [
        [math.exp(-((i - middle) ** 2 + (j - middle) ** 2) / (2 * sigma * sigma)) for j in range(taps)]
        for i in range(taps)
    ]
    total = sum(map(sum, rows))
    return torch.tensor([[v / total for v in row] for row in rows], dtype=torch.float64)


@ex.right
def _(taps: int, sigma: float) -> Tensor:
    reach = torch.linspace(-(taps // 2), taps // 2, taps, dtype=torch.float64)
    line = (-(reach**2) / (2.0 * sigma**2)).exp()
    line = line / line.sum()
    return line.view(-1, 1) @ line.view(1, -1)


ex.right(lambda taps, sigma: _window(torch.arange(-(taps // 2), taps // 2 + 1), sigma))


ex.breach("SSIM compares neighbourhoods through a window", "no_two")
ex.breach("counted in pixels from its middle", "off_centre")
ex.breach("Its weights sum to 1.", "not_normalised")
ex.breach("Build it as float64", "float32")
