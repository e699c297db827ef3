"""Lesson 01: the forward process in one step."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="q_sample",
    lesson="01",
    title="Any amount of noise in one step",
    difficulty=2,
    minutes=8,
    spec=r"""
    Noise a batch, every sample at its own timestep:

    $$x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1 - \bar\alpha_t}\,\varepsilon.$$

    `x0` and `noise` are `(B, ...)` with any number of further axes (points, images), `t` is `(B,)` int64 and
    counts from 0, `alpha_bars` is `(T,)` float64. The result has the shape and dtype of `x0`.
    """,
    hints=(
        "`alpha_bars[t]` has shape (B,): one number per sample.",
        "To multiply (B,) with (B, ...), give it axes of length 1: `.view(-1, *[1] * (x0.dim() - 1))`.",
        "The schedule is float64 and images are float32: `.to(x0.dtype)` before you multiply.",
    ),
    source="Ho, Jain, Abbeel 2020, eq. 4.",
    gradients=("x0", "noise"),
    equivalent={
        "3.4 value.double()": "the schedule is float64 already",
        "3.4 value.detach()": "no gradient flows through a schedule",
    },
)


@ex.reference
def q_sample(x0: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor) -> Tensor:
    """x0, noise (B, ...), t (B,) int64, alpha_bars (T,) float64 -> x_t like x0."""
    share = alpha_bars[t].view(-1, *[1] * (x0.dim() - 1))
    signal, sigma = share.sqrt().to(x0.dtype), (1 - share).sqrt().to(x0.dtype)
    return signal * x0 + sigma * noise


def _bars(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    square = torch.tensor([[[[1.0, 2.0], [3.0, 5.0]]], [[[2.0, 7.0], [1.0, 1.0]]]])  # B = H = W = 2
    other = square.flip(-1) - 4
    return [
        (square, torch.tensor([0, 2]), other, _bars(0.81, 0.64, 0.04)),
        (square, torch.tensor([1, 0]), other, _bars(0.36, 1e-9)),
        (square[:1], torch.tensor([1]), other[:1], _bars(0.5, 0.25)),
        (square[:, 0], torch.tensor([1, 2]), other[:, 0], _bars(0.9, 0.5, 0.0)),
        (square[:, 0, 0], torch.tensor([2, 2]), other[:, 0, 0], _bars(0.9, 0.7, 0.3)),
        (square[:, 0, 0, 0], torch.tensor([0, 1]), other[:, 0, 0, 0], _bars(0.9, 0.7)),  # (B,) alone
        (square[:, :, None], torch.tensor([1, 0]), other[:, :, None], _bars(1.0, 0.0)),  # clean, all noise
        (square.mT, torch.tensor([1, 2]), other.mT, _bars(0.9, 0.5, 0.1)),  # not contiguous
        (1e4 * square, torch.tensor([2, 0]), 1e4 * other, _bars(0.9, 0.5, 0.1)),
        (0 * square, torch.tensor([2, 0]), square, _bars(0.9, 0.5, 0.1)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    steps = case.integer(2, 30)
    betas = 0.5 * torch.rand(steps, generator=case.generator, dtype=torch.float64) + 0.01
    shape = case.choice(
        ((case.batch, case.height), (case.batch, 1, case.height, case.width), (case.batch, 2))
    )
    t = torch.randint(0, steps, (case.batch,), generator=case.generator)
    return case.randn(*shape), t, case.randn(*shape), torch.cumprod(1 - betas, 0)


def _mixed(x0: Tensor, noise: Tensor, signal: Tensor, sigma: Tensor) -> Tensor:
    signal, sigma = (v.to(x0.dtype).reshape(-1, *[1] * (x0.dim() - 1)) for v in (signal, sigma))
    return signal * x0 + sigma * noise


ex.wrong(
    "no_roots",
    "You mix with alpha-bar and 1 - alpha-bar: those are variances. Without the roots the total shrinks.",
    lambda x0, t, noise, bars: _mixed(x0, noise, bars[t], 1 - bars[t]),
)
ex.wrong(
    "swapped",
    "You have the factors the wrong way round: alpha-bar belongs to the image.",
    lambda x0, t, noise, bars: _mixed(x0, noise, (1 - bars[t]).sqrt(), bars[t].sqrt()),
)
ex.wrong(
    "one_minus_root",
    "You take 1 - sqrt(alpha-bar) for the noise; the *squares* of the factors add up to 1.",
    lambda x0, t, noise, bars: _mixed(x0, noise, bars[t].sqrt(), 1 - bars[t].sqrt()),
)
ex.wrong(
    "noise_not_scaled",
    "You add the noise at full strength, whatever t: early timesteps then hold far too much.",
    lambda x0, t, noise, bars: _mixed(x0, noise, bars[t].sqrt(), torch.ones_like(bars[t])),
)
ex.wrong(
    "image_not_scaled",
    "You leave the image at full strength: its variance and that of the noise would add up to more than 1.",
    lambda x0, t, noise, bars: _mixed(x0, noise, torch.ones_like(bars[t]), (1 - bars[t]).sqrt()),
)
ex.wrong(
    "one_based",
    "You look up t - 1: in code t counts from 0, so t = 0 would read the *last* entry.",
    lambda x0, t, noise, bars: _mixed(x0, noise, bars[t - 1].sqrt(), (1 - bars[t - 1]).sqrt()),
)
ex.wrong(
    "first_t_for_all",
    "You use the first timestep for the whole batch; every sample has its own.",
    lambda x0, t, noise, bars: _mixed(x0, noise, bars[t[:1]].sqrt(), (1 - bars[t[:1]]).sqrt()),
)
ex.wrong(
    "float64",
    "You let the float64 schedule turn the images into float64: twice the memory, half the speed.",
    lambda x0, t, noise, bars: _mixed(x0.double(), noise.double(), bars[t].sqrt(), (1 - bars[t]).sqrt()),
)
ex.wrong(
    "own_noise",
    "You draw the noise yourself; the loss must know which noise was added, so it is given.",
    lambda x0, t, noise, bars: _mixed(x0, torch.randn_like(x0), bars[t].sqrt(), (1 - bars[t]).sqrt()),
)
ex.wrong(
    "single_step",
    "You use the alpha of step t alone, alpha-bar_t / alpha-bar_(t-1): that is one step from x_(t-1), not "
    "the whole way from x_0.",
    lambda x0, t, noise, bars: _mixed(
        x0,
        noise,
        (bars / torch.cat([bars.new_ones(1), bars[:-1]]))[t].sqrt(),
        (1 - bars / torch.cat([bars.new_ones(1), bars[:-1]]))[t].clamp(min=0).sqrt(),
    ),
)


@ex.wrong(
    "broadcast_from_the_right",
    "You multiply (B,) with (B, ...) as it is: broadcasting starts from the right, so the factors run along "
    "the width of the image.",
)
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    signal, sigma = bars[t].sqrt().to(x0.dtype), (1 - bars[t]).sqrt().to(x0.dtype)
    return signal * x0 + sigma * noise


@ex.wrong(
    "detached",
    "You cut the graph: whoever optimises an image through the noising gets no gradient.",
)
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    return _mixed(x0.detach(), noise.detach(), bars[t].sqrt(), (1 - bars[t]).sqrt())


ex.right(lambda x0, t, noise, bars: _mixed(x0, noise, bars.sqrt()[t], (1 - bars).sqrt()[t]))


@ex.right
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    return torch.stack(
        [
            float(bars[i].sqrt()) * x + float((1 - bars[i]).sqrt()) * n
            for x, i, n in zip(x0, t, noise, strict=True)
        ]
    )


@ex.right
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    chosen = bars.index_select(0, t).to(x0)
    while chosen.dim() < x0.dim():
        chosen = chosen.unsqueeze(-1)
    return torch.sqrt(chosen) * x0 + torch.sqrt(1.0 - chosen) * noise


@ex.right
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    angle = torch.acos(bars.sqrt())[t].to(x0.dtype).reshape(-1, *(1,) * (x0.ndim - 1))
    return torch.cos(angle) * x0 + torch.sin(angle) * noise


@ex.right
def _(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    signal, sigma = bars[t].sqrt().to(x0.dtype), (1 - bars[t]).sqrt().to(x0.dtype)
    return torch.einsum("b,b...->b...", signal, x0) + torch.einsum("b,b...->b...", sigma, noise)


ex.breach("Noise a batch, every sample at its own timestep", "first_t_for_all")
ex.breach("$$x_t = ", "no_roots")
ex.breach("with any number of further axes", "broadcast_from_the_right")
ex.breach("counts from 0", "one_based")
ex.breach("`noise` are `(B, ...)`", "own_noise")
ex.breach("`alpha_bars` is `(T,)` float64", "single_step")
ex.breach("The result has the shape and dtype of `x0`", "float64")
