"""Lesson 09: how much stronger period 2 is than its neighbours in the spectrum."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="checkerboard_excess",
    lesson="09",
    title="Measure the checkerboard",
    difficulty=3,
    minutes=12,
    spec=r"""
    Upsampling by 2 leaves its traces at a period of two pixels, the highest frequency that an image can
    hold. Along one axis (-1 is width, -2 is height): Fourier-transform every line (`torch.fft.rfft`), take
    the power (squared magnitude) and average it over everything but the frequency: images, channels and
    lines. The last frequency has period 2, because the axis is even. Return its power divided by the mean
    power of the *two* frequencies before it: about 1 for white noise, much more with a checkerboard.
    Tensors that you make must be on the device of `images`.
    """,
    hints=(
        "`torch.fft.rfft(images, dim=axis).abs().square()` is the power; its axis has n // 2 + 1 "
        "frequencies.",
        "Move the axis to the end, then flatten the rest: `power.movedim(axis, -1).flatten(0, "
        "-2).mean(dim=0)`.",
        "`power[-1] / power[-3:-1].mean()`. Average the power, not the lines: lines in opposite phase "
        "cancel out.",
    ),
    source="Odena, Dumoulin, Olah 2016; Durall, Keuper, Keuper 2020 (spectra of generated images).",
    equivalent={
        "value.detach()": "images are data: no gradient is asked for",
        "(0, -2).mean(dim=-2)`": "of two axes, 0 and -2 are the same",
        "(0, -2).sum`": "a ratio forgets a common factor",
        "-> `power.movedim(-1, axis)`": "of the last two axes, each moved to the other's place swaps them",
        "`-2` -> `2`": "of four axes, -2 and 2 are the same",
        "`2` -> `-2`": "of four axes, -2 and 2 are the same",
    },
)


@ex.reference
def checkerboard_excess(images: Tensor, axis: int) -> Tensor:
    """Images (B, C, H, W), axis -1 or -2 of even length >= 4 -> ratio, a scalar tensor."""
    power = torch.fft.rfft(images, dim=axis).abs().square()
    power = power.movedim(axis, -1).flatten(0, -2).mean(dim=0)
    return power[-1] / power[-3:-1].mean()


@ex.edges
def _() -> list[Args]:
    wave = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0])
    ramp = torch.tensor([0.0, 0.5, 2.0, 1.0, 3.0, -1.0])
    stripes = (ramp + 3 * wave).view(1, 1, 1, 6).repeat(1, 1, 4, 1) + torch.arange(4.0).view(1, 1, 4, 1) ** 2
    board = ramp + 2 * wave * torch.tensor([1.0, -1.0, 1.0, -1.0]).view(1, 1, 4, 1)
    small = board[..., :4].double() - 7
    turned = torch.cat([stripes, 3 * board], dim=1).transpose(2, 3)
    every = stripes, board, torch.cat([stripes, board]), small, turned
    return [(images, axis) for images in every for axis in (-1, -2)]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.batch, case.integer(1, 2), 2 * case.integer(2, 5), 2 * case.integer(2, 5)
    images = case.randn(*shape)
    images = images + case.choice((0.0, 1.0, 5.0))  # a mean level is at frequency 0
    board = torch.ones(shape[2], shape[3], dtype=images.dtype)
    board[1::2] *= -1
    board[:, 1::2] *= -1
    return images + case.choice((0.0, 0.5, 2.0)) * board, case.choice((-1, -2))


def _power(images: Tensor, axis: int) -> Tensor:
    """Power (lines, frequencies)."""
    return torch.fft.rfft(images.movedim(axis, -1).flatten(0, -2)).abs() ** 2


Ratio = Callable[[Tensor], Tensor]


def _answer(ratio: Ratio) -> Callable[[Tensor, int], Tensor]:
    return lambda images, axis: ratio(_power(images, axis).mean(0))


ex.wrong(
    "lines_averaged_first",
    "You average the lines before the transform: a true checkerboard turns its sign from line to line "
    "and cancels out.",
    lambda images, axis: _answer(lambda p: p[-1] / p[-3:-1].mean())(
        images.movedim(axis, -1).flatten(0, -2).mean(0, keepdim=True), -1
    ),
)
ex.wrong(
    "amplitude",
    "You average magnitudes instead of squared magnitudes: power was asked for.",
    lambda images, axis: _answer_of(_power(images, axis).sqrt().mean(0)),
)
ex.wrong(
    "other_axis",
    "You look along the other axis.",
    lambda images, axis: _answer_of(_power(images, -3 - axis).mean(0)),
)
ex.wrong(
    "share_of_all",
    "You divide by all of the power: the mean level alone then decides.",
    _answer(lambda p: p[-1] / p.sum()),
)
ex.wrong(
    "mean_of_all",
    "You compare with the mean over all frequencies: natural images have most of their power at low ones.",
    _answer(lambda p: p[-1] / p.mean()),
)
ex.wrong(
    "with_itself",
    "You count period 2 among its own neighbours: the ratio can then never be large.",
    _answer(lambda p: p[-1] / p[-3:].mean()),
)
ex.wrong(
    "one_neighbour",
    "You compare with one neighbour; two make a steadier reference.",
    _answer(lambda p: p[-1] / p[-2]),
)
ex.wrong(
    "neighbours_summed",
    "You divide by the sum of the neighbours; white noise should come out at 1.",
    _answer(lambda p: p[-1] / p[-3:-1].sum()),
)
ex.wrong(
    "lowest_frequency",
    "You take the first frequency, which is the mean level, for the last.",
    _answer(lambda p: p[0] / p[1:3].mean()),
)
ex.wrong(
    "decibel",
    "You return decibels; the ratio was asked for.",
    _answer(lambda p: 10 * torch.log10(p[-1] / p[-3:-1].mean())),
)
ex.wrong(
    "full_transform",
    "You use the full transform (`fft`): its last entry is not period 2 but the lowest negative frequency.",
    lambda images, axis: _answer_of(
        torch.fft.fft(images.movedim(axis, -1).flatten(0, -2)).abs().square().mean(0)
    ),
)


@ex.wrong(
    "mean_of_ratios",
    "You average the ratios of the lines: a line without power next to period 2 blows the mean up.",
)
def _(images: Tensor, axis: int) -> Tensor:
    power = _power(images, axis)
    return (power[:, -1] / power[:, -3:-1].mean(1)).mean()


def _answer_of(power: Tensor) -> Tensor:
    return power[-1] / power[-3:-1].mean()


ex.wrong(
    "all_others",
    "You compare with the mean over all frequencies below; only the two before the last are its neighbours.",
    _answer(lambda p: p[-1] / p[:-1].mean()),
)
ex.wrong(
    "mean_level_left_out",
    "You compare with all frequencies but the mean level; only the two before the last were asked for.",
    _answer(lambda p: p[-1] / p[1:-1].mean()),
)
ex.wrong(
    "three_neighbours",
    "You compare with the three frequencies before the last, or with fewer where there are no three; two "
    "were asked for.",
    _answer(lambda p: p[-1] / p[-4:-1].mean()),
)
ex.wrong(
    "magnitudes_averaged_first",
    "You average the magnitudes and square afterwards; the power of every line is averaged.",
    lambda images, axis: _answer_of(_power(images, axis).sqrt().mean(0).square()),
)
ex.wrong(
    "one_per_image",
    "You return a number per image; the average goes over the images, too.",
    lambda images, axis: torch.stack([_answer_of(_power(image[None], axis).mean(0)) for image in images]),
)
ex.wrong(
    "upside_down",
    "You divide the neighbours by the last frequency: a checkerboard then makes the number small.",
    _answer(lambda p: p[-3:-1].mean() / p[-1]),
)
ex.wrong(
    "largest_neighbour",
    "You compare with the stronger of the two neighbours; their mean was asked for.",
    _answer(lambda p: p[-1] / p[-3:-1].max()),
)

ex.wrong(
    "view",
    "You use `view` on a tensor that is not contiguous; `reshape` and `flatten` copy where they must.",
    lambda images, axis: _answer_of(
        torch.fft.rfft(images.movedim(axis, -1).view(-1, images.shape[axis])).abs().square().mean(0)
    ),
)

ex.wrong(
    "last_two",
    "You divide by the mean of the last two frequencies: period 2 itself is one of them.",
    _answer(lambda p: p[-1] / p[-2:].mean()),
)
ex.wrong(
    "farther_neighbour",
    "You compare with the second frequency before the last alone; the mean of two was asked for.",
    _answer(lambda p: p[-1] / p[-3]),
)
ex.wrong(
    "first_channel",
    "You look at the first channel alone; the average goes over all channels.",
    lambda images, axis: _answer_of(_power(images[:, :1], axis).mean(0)),
)
ex.wrong(
    "first_image",
    "You look at the first image alone; the average goes over all images.",
    lambda images, axis: _answer_of(_power(images[:1], axis).mean(0)),
)


ex.right(_answer(_answer_of))
ex.right(  # a transform along the other axis keeps the power of every column (Parseval)
    lambda images, axis: _answer_of(
        torch.fft.rfft2(images.movedim(axis, -1)).abs().square().flatten(0, -2).mean(0)
    )
)
ex.right(_answer(lambda p: 2 * p[-1] / (p[-2] + p[-3])))


@ex.right
def _(images: Tensor, axis: int) -> Tensor:
    spectrum = torch.fft.fft(images, dim=axis, norm="ortho")
    n = images.shape[axis]
    power = [
        (spectrum.select(axis, k).real ** 2 + spectrum.select(axis, k).imag ** 2).mean()
        for k in (n // 2, n // 2 - 1, n // 2 - 2)
    ]
    return power[0] / ((power[1] + power[2]) / 2)


@ex.right
def _(images: Tensor, axis: int) -> Tensor:
    # at period 2 the transform is the sum with alternating signs
    lines = images.transpose(axis, -1).reshape(-1, images.shape[axis])
    place = torch.arange(lines.shape[1], dtype=lines.dtype, device=lines.device)

    def power(k: float) -> Tensor:
        angle = 2 * torch.pi * k * place / lines.shape[1]
        return ((lines @ angle.cos()) ** 2 + (lines @ angle.sin()) ** 2).mean()

    half = lines.shape[1] / 2
    return 2 * power(half) / (power(half - 1) + power(half - 2))


@ex.right
def _(images: Tensor, axis: int) -> Tensor:
    power = np.abs(np.fft.rfft(images.numpy().astype(np.float64), axis=axis)) ** 2
    power = power.mean(axis=(0, 1, -3 - axis))
    return torch.as_tensor(power[-1] / power[-3:-1].mean()).to(images)


ex.background("Upsampling by 2 leaves its traces")
ex.breach("Along one axis (-1 is width, -2 is height)", "other_axis")
ex.breach("Fourier-transform every line", "lines_averaged_first")
ex.breach("take the power (squared magnitude) and average it", "amplitude")
ex.breach("The last frequency has period 2", "full_transform")
ex.breach("Return its power divided by the mean power of the *two* frequencies", "one_neighbour")


ex.breach(
    "Tensors that you make must be on the device of `images`.",
    lambda images, axis: ex.function(images * torch.ones(1, 1, 1, 1), axis),
)
