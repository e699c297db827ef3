"""Lesson 10: peak signal-to-noise ratio."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="psnr",
    lesson="10",
    title="Peak signal-to-noise ratio",
    difficulty=1,
    minutes=6,
    spec=r"""
    $\text{PSNR} = 10 \log_{10} (\text{range}^2 / \text{MSE})$ in dB, one number per image. `data_range` is
    the width of the range that the values can have: 1 for [0, 1], 2 for [-1, 1]. Two equal images have no
    error and an infinite PSNR; leave it infinite.
    """,
    hints=(
        "The mean squared error is taken per image: over every axis but the first.",
        "`torch.log10` of the ratio, times 10. With range squared over MSE the factor is 10, not 20.",
        "`10 * torch.log10(data_range**2 / (prediction - target).square().mean(dim=(1, 2, 3)))`",
    ),
    source="gantrans.metrics.psnr; equal to `skimage.metrics.peak_signal_noise_ratio`.",
    equivalent={
        "`(1, 2, 3)` -> ": "the order of averaged axes does not matter",
        "`2` -> `-2`": "of four axes, 2 and -2 are the same",
        "value.detach()": "a metric: no gradient is asked for",
        "`prediction - target` -> `target - prediction`": "the square forgets the sign",
    },
)


@ex.reference
def psnr(prediction: Tensor, target: Tensor, data_range: float) -> Tensor:
    """Two (B, 1, H, W) -> (B,): 10 log10(data_range^2 / MSE), dB."""
    error = (prediction - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / error)


@ex.edges
def _() -> list[Args]:
    zero, one = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    some = torch.tensor([[[[0.25, 0.5], [0.75, 0.0]]]])
    return [
        *((some, zero, 1.0), (one, zero, 1.0), (one, zero, 2.0), (2 * one, zero, 255.0)),
        (torch.cat([some, one]), torch.cat([one, zero]), 1.0),
        (some, some, 1.0),
        (torch.cat([some, one, zero]).double(), torch.cat([some, zero, zero]).double(), 2.0),
        (some.double() + 1e-6, some.double(), 1.0),
        (100 * some.double(), -100 * some.double(), 255.0),
        (torch.cat([some, one]).mT, torch.cat([zero, some]).mT, 0.5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    target = case.rand(*shape)
    prediction = target + case.choice((0.02, 0.2)) * case.randn(*shape)
    return prediction, target, case.choice((1.0, 2.0, 255.0))


def _mse(p: Tensor, t: Tensor) -> Tensor:
    return (p - t).square().mean((1, 2, 3))


ex.wrong(
    "range_not_squared",
    "You divide the range by the MSE; the range must be squared, as the error is.",
    lambda p, t, r: 10 * torch.log10(r / _mse(p, t)),
)
ex.wrong(
    "range_ignored",
    "You take the range to be 1 and do not use the one you were given.",
    lambda p, t, r: 10 * torch.log10(1 / _mse(p, t)),
)
ex.wrong(
    "maximum_as_range",
    "You take the image's largest value for its range: then every image has another ruler.",
    lambda p, t, r: 10 * torch.log10(t.amax((1, 2, 3)) ** 2 / _mse(p, t)),
)
ex.wrong(
    "twenty",
    "The factor 20 belongs to amplitudes; of squared values take 10.",
    lambda p, t, r: 20 * torch.log10(r**2 / _mse(p, t)),
)
ex.wrong(
    "natural_log",
    "You use the natural logarithm; decibels are powers of 10.",
    lambda p, t, r: 10 * torch.log(r**2 / _mse(p, t)),
)
ex.wrong(
    "upside_down",
    "You divide error by signal: the number then falls as the image gets better.",
    lambda p, t, r: 10 * torch.log10(_mse(p, t) / r**2),
)
ex.wrong(
    "pooled",
    "You pool the error of the whole batch; one PSNR per image is asked.",
    lambda p, t, r: 10 * torch.log10(r**2 / (p - t).square().mean()),
)
ex.wrong(
    "absolute",
    "You average the absolute error; PSNR rests on the squared one.",
    lambda p, t, r: 10 * torch.log10(r**2 / (p - t).abs().mean((1, 2, 3))),
)
ex.wrong(
    "epsilon",
    "You add an epsilon to the error: good images are then all equally good.",
    lambda p, t, r: 10 * torch.log10(r**2 / (_mse(p, t) + 1e-3)),
)

ex.wrong(
    "capped",
    "You cap the number, or bound the error from below: two equal images have an infinite PSNR.",
    lambda p, t, r: 10 * torch.log10(r**2 / _mse(p, t)).clamp(max=100.0),
)
ex.wrong(
    "equal_is_zero",
    "You give 0 where two images are equal: that is the worst number instead of the best.",
    lambda p, t, r: torch.where(_mse(p, t) > 0, 10 * torch.log10(r**2 / _mse(p, t)), 0.0),
)
ex.wrong(
    "equal_is_hundred",
    "You give 100 dB where two images are equal; it is infinite.",
    lambda p, t, r: torch.where(_mse(p, t) > 0, 10 * torch.log10(r**2 / _mse(p, t)), 100.0),
)
ex.wrong(
    "tiny_epsilon",
    "You add a tiny number to the error: two equal images then have a finite PSNR.",
    lambda p, t, r: 10 * torch.log10(r**2 / (_mse(p, t) + 1e-10)),
)
ex.wrong(
    "summed_error",
    "You sum the squared errors: the number then falls as images get larger.",
    lambda p, t, r: 10 * torch.log10(r**2 / (p - t).square().sum((1, 2, 3))),
)
ex.wrong(
    "squeezed",
    "You squeeze the result: a batch of one image has one number, in a tensor of shape (1,).",
    lambda p, t, r: 10 * torch.log10(r**2 / _mse(p, t)).squeeze(),
)
ex.wrong(
    "root_of_the_error",
    "You take the root of the mean squared error but square the range; square both or neither.",
    lambda p, t, r: 10 * torch.log10(r**2 / _mse(p, t).sqrt()),
)
ex.wrong(
    "no_ten",
    "You leave out the factor 10: that is bel, not decibel.",
    lambda p, t, r: torch.log10(r**2 / _mse(p, t)),
)


ex.right(lambda p, t, r: 10 * (2 * torch.log10(torch.full_like(_mse(p, t), r)) - torch.log10(_mse(p, t))))
ex.right(lambda p, t, r: -10 * torch.log10(((p - t) / r).pow(2).flatten(1).mean(1)))
ex.right(lambda p, t, r: 20 * torch.log10(r / _mse(p, t).sqrt()))


@ex.right
def _(p: Tensor, t: Tensor, r: float) -> Tensor:
    rows = [torch.nn.functional.mse_loss(a, b) for a, b in zip(p, t, strict=True)]
    return 10.0 * (r * r / torch.stack(rows)).log10()


ex.breach(r"$\text{PSNR} = 10 \log_{10}", "natural_log")
ex.breach("one number per image", "pooled")
ex.breach("`data_range` is the width of the range", "maximum_as_range")
ex.breach("1 for [0, 1], 2 for [-1, 1].", "range_ignored")
ex.breach("Two equal images have no error and an infinite PSNR", "tiny_epsilon")
