"""Lesson 01: what matters of a schedule, from its betas."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="log_snr",
    lesson="01",
    title="From betas to the signal-to-noise ratio",
    difficulty=2,
    minutes=8,
    spec=r"""
    Follow the image through the schedule. Each step keeps the share $\alpha_t = 1 - \beta_t$ of the variance,
    so up to and including step $t$ the share $\bar\alpha_t = \alpha_0\,\alpha_1 \cdots \alpha_t$ is left. The
    signal-to-noise ratio is $\bar\alpha_t / (1 - \bar\alpha_t)$. Return its natural logarithm at every
    timestep, shape `(T,)`, float64 like the betas. If the last beta is 1 the last value is $-\infty$: say so,
    do not hide it.
    """,
    hints=(
        "`torch.cumprod` multiplies up along an axis.",
        "Logarithm of the share of image minus logarithm of the share of noise.",
        "`alpha_bar = torch.cumprod(1 - betas, 0)`, then `alpha_bar.log() - (1 - alpha_bar).log()`.",
    ),
    source="Kingma, Salimans, Poole, Ho 2021 (variational diffusion models), sec. 3.1.",
    equivalent={
        "value.double()": "everything is float64 already",
        "value.detach()": "no gradient is asked for",
        "dim=-1": "there is one axis only",
    },
)


@ex.reference
def log_snr(betas: Tensor) -> Tensor:
    """betas (T,) float64 -> natural logarithm of the signal-to-noise ratio, (T,) float64."""
    alpha_bars = torch.cumprod(1 - betas, dim=0)
    return torch.log(alpha_bars / (1 - alpha_bars))


@ex.edges
def _() -> list[Args]:
    rows = [[0.5, 0.5, 0.5], [0.1, 0.2, 0.9], [0.5], [0.2, 0.5, 1.0], [0.25, 0.25, 0.5, 0.75, 0.999]]
    paper = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    rows += [[0.0, 0.5], [1.0], [1.0, 0.5]]  # no noise yet: infinity; nothing left: minus infinity
    return [
        *((torch.tensor(row, dtype=torch.float64),) for row in rows),
        (paper,),
        (paper[::7].flip(0),),
        (paper[::2],),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return (0.6 * torch.rand(case.integer(1, 60), generator=case.generator, dtype=torch.float64) + 0.01,)


def _bars(betas: Tensor) -> Tensor:
    return torch.cumprod(1 - betas, 0)


ex.wrong(
    "not_log", "You return the ratio itself, without the logarithm.", lambda b: _bars(b) / (1 - _bars(b))
)
ex.wrong(
    "alpha",
    "You use alpha of each step alone; noise gathers over the steps, so multiply them up.",
    lambda b: torch.log((1 - b) / b),
)
ex.wrong(
    "amplitudes",
    "You take the ratio of the factors, sqrt(alpha-bar) over sqrt(1 - alpha-bar): half of the answer, "
    "because the SNR is a ratio of variances.",
    lambda b: 0.5 * torch.logit(_bars(b)),
)
ex.wrong("log10", "You take the logarithm to base 10.", lambda b: torch.log10(_bars(b) / (1 - _bars(b))))
ex.wrong("decibels", "You give decibels, 10 log10.", lambda b: 10 * torch.log10(_bars(b) / (1 - _bars(b))))
ex.wrong(
    "noise_over_signal",
    "You have the ratio upside down: noise over signal.",
    lambda b: torch.log((1 - _bars(b)) / _bars(b)),
)
ex.wrong(
    "summed",
    "You add the betas up; shares of variance multiply. For small betas the two are close at first.",
    lambda b: torch.log((1 - b.cumsum(0)) / b.cumsum(0)),
)
ex.wrong(
    "epsilon_added",
    "You add 1e-8 against division by zero: it bends the end of the curve, which is what the curve is for.",
    lambda b: torch.log(_bars(b) / (1 - _bars(b)) + 1e-8),
)
ex.wrong(
    "clamped",
    "You clamp alpha-bar so that the logarithm stays finite: minus infinity is the true answer there.",
    lambda b: torch.logit(_bars(b).clamp(min=1e-5)),
)
ex.wrong(
    "one_step_late",
    "You start from alpha-bar = 1 before the first step: `t` includes its own step.",
    lambda b: torch.logit(torch.cat([b.new_ones(1), _bars(b)[:-1]])),
)
ex.wrong(
    "only_signal",
    "You take the logarithm of alpha-bar alone; the noise grows at the same time.",
    lambda b: torch.log(_bars(b)),
)
ex.wrong("float32", "You compute in float32; schedules are float64.", lambda b: torch.logit(_bars(b)).float())

ex.right(lambda b: torch.logit(_bars(b)))
ex.right(lambda b: _bars(b).log() - torch.log1p(-_bars(b)))
ex.right(lambda b: -torch.log(1 / _bars(b) - 1))


@ex.right
def _(betas: Tensor) -> Tensor:
    left, values = 1.0, []
    for beta in betas:
        left = left * (1 - beta)
        values.append(torch.log(left) - torch.log(1 - left))
    return torch.stack(values)


@ex.right
def _(betas: Tensor) -> Tensor:
    log_bar = torch.log(1 - betas).cumsum(0)
    return log_bar - torch.log(-torch.expm1(log_bar))


ex.background("Follow the image through the schedule")
ex.breach("Each step keeps the share", "noise_over_signal")
ex.breach("up to and including step $t$", "one_step_late")
ex.breach("$\\bar\\alpha_t = \\alpha_0", "alpha")
ex.breach("The signal-to-noise ratio is", "amplitudes")
ex.breach("Return its natural logarithm", "log10")
ex.breach("float64 like the betas", "float32")
ex.breach("If the last beta is 1 the last value is", "clamped")
