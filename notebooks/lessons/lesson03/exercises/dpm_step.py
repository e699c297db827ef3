"""Lesson 03: one step of DPM-Solver++(2M)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Before = tuple[Tensor, float] | None

ex = Exercise(
    id="dpm_step",
    lesson="03",
    title="One step of DPM-Solver++(2M)",
    difficulty=4,
    minutes=18,
    spec=r"""
    DDIM holds the predicted image fixed during a step. DPM-Solver++ lets it go on changing as it did during
    the step before, and so needs fewer steps. Its clock is half the log-SNR,

    $$\lambda = \log\frac{a}{s}, \qquad a = \sqrt{\bar\alpha}, \quad s = \sqrt{1 - \bar\alpha},$$

    which grows while sampling. From the step before (`before` is its pair of `x0` and `alpha_bar`) over now
    (`x_t`, `x0` at `alpha_bar`) to the next (`alpha_bar_next`), with $h = \lambda_\text{next} - \lambda$ and
    $h_\text{before} = \lambda - \lambda_\text{before}$:

    $$D = x_0 + \frac{h}{2\,h_\text{before}}\,(x_0 - x_{0,\text{before}}), \qquad x_\text{next} =
    \frac{s_\text{next}}{s}\,x_t - a_\text{next}\,\big(e^{-h} - 1\big)\,D.$$

    At the first step there is none before (`before` is `None`): $D = x_0$. At the last, `alpha_bar_next` is 1
    and $h$ infinite, so nothing can be extrapolated: return `x0`. Gradients flow to $x_t$ and $x_0$.
    """,
    hints=(
        "Deal with the last step first: it needs no logarithm. Then work out h from the alpha-bars.",
        "lambda is `math.log(alpha_bar / (1 - alpha_bar)) / 2`. Without a step before, D is x0.",
        "`math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar)) * x_t - math.sqrt(alpha_bar_next) * "
        "math.expm1(-h) * d`",
    ),
    source="Lu et al. 2022 (DPM-Solver++), algorithm 2 and eq. 9; first order at the last step as in their "
    "code.",
    gradients=("x_t", "x0"),
)


@ex.reference
def dpm_step(
    x_t: Tensor, x0: Tensor, before: tuple[Tensor, float] | None, alpha_bar: float, alpha_bar_next: float
) -> Tensor:
    """x_t, x0 (B, ...), (x0, alpha_bar) of the step before, alpha_bar < alpha_bar_next <= 1 -> (B, ...)."""
    if alpha_bar_next == 1:
        return x0
    snr, snr_next = alpha_bar / (1 - alpha_bar), alpha_bar_next / (1 - alpha_bar_next)
    h = math.log(snr_next / snr) / 2
    d = x0
    if before:
        x0_before, alpha_bar_before = before
        h_before = math.log(snr / (alpha_bar_before / (1 - alpha_bar_before))) / 2
        d = x0 + h / (2 * h_before) * (x0 - x0_before)
    rest = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return rest * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@ex.edges
def _() -> list[Args]:
    x_t, x0 = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.0]])
    before = torch.tensor([[0.25, 2.0, 1.0]])
    return [
        (x_t, x0, None, 0.25, 0.64),
        (x_t, x0, (before, 0.09), 0.25, 0.64),
        (x_t, x0, (x0, 0.09), 0.25, 0.64),
        (x_t, x0, (before, 0.1), 0.5, 0.9),  # lambda in even steps
        (x_t, x0, (before, 0.5), 0.9, 1.0),
        (x_t, x0, None, 0.9, 1.0),
        (7 * x_t[0], 3 * x0[0], (-2 * before[0], 0.001), 0.02, 0.03),
        (x_t, x0, (before, 0.4), 0.41, 0.99),
        (
            torch.arange(12.0).view(2, 2, 3).mT,
            torch.full((2, 3, 2), -1.5),
            (torch.ones(2, 3, 2), 0.2),
            0.5,
            0.8,
        ),
    ]


@ex.inputs
def _(case: Case) -> Args:
    bars = [case.integer(1, 40) / 100]
    for _ in range(2):
        bars.append(bars[-1] + (1 - bars[-1]) * case.integer(5, 85) / 100)
    shape = case.choice(((case.batch, 2), (case.batch, 1, case.height, case.width)))
    x_t, x0, before = (case.randn(*shape) for _ in range(3))
    pair = None if case.seed % 5 == 0 else (before, bars[0])
    return x_t, x0, pair, bars[1], 1.0 if case.seed % 7 == 0 else bars[2]


def _lambda(bar: float) -> float:
    return math.log(bar / (1 - bar)) / 2


def _first_order(x: Tensor, d: Tensor, now: float, then: float) -> Tensor:
    """The step with a given D; also right for then = 1."""
    rest = math.sqrt((1 - then) / (1 - now))
    return rest * x + (math.sqrt(then) - rest * math.sqrt(now)) * d


def _step(
    x: Tensor, x0: Tensor, before: Before, now: float, then: float, power: float = 1.0, times: float = 0.5
) -> Tensor:
    """The step with D = x0 + times (h / h_before)**power (x0 - before)."""
    if before is None or then == 1:
        return _first_order(x, x0, now, then)
    ratio = (_lambda(then) - _lambda(now)) / (_lambda(now) - _lambda(before[1]))
    return _first_order(x, x0 + times * ratio**power * (x0 - before[0]), now, then)


def _clocked(
    clock: Callable[[float], float], x: Tensor, x0: Tensor, before: Before, now: float, then: float
) -> Tensor:
    """The formula as it stands, with another clock than lambda."""
    if then == 1:
        return x0
    h, d = clock(then) - clock(now), x0
    if before:
        d = x0 + h / (2 * (clock(now) - clock(before[1]))) * (x0 - before[0])
    return math.sqrt((1 - then) / (1 - now)) * x - math.sqrt(then) * math.expm1(-h) * d


def _clocked_at(level: float, x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    rest = math.sqrt((1 - then) / (1 - now)) * x
    return rest + math.sqrt(level / then) * (_step(x, x0, before, now, then) - rest)


ex.wrong(
    "first_order",
    "You do not use the step before: this is DDIM, which needs more steps for the same quality.",
    lambda x, x0, before, now, then: _step(x, x0, None, now, then),
)
ex.wrong(
    "not_halved",
    "You extrapolate by h / h_before: that is where D will be at the end of the step; half of it is the mean "
    "over the step.",
    lambda x, x0, before, now, then: _step(x, x0, before, now, then, 1.0, 1.0),
)
ex.wrong(
    "upside_down",
    "You have the ratio upside down: the longer the step before, the *less* of its change belongs to this "
    "one.",
    lambda x, x0, before, now, then: _step(x, x0, before, now, then, -1.0),
)
ex.wrong(
    "even_steps",
    "You extrapolate by one half, as if all steps were equal in lambda; evenly spaced timesteps are not.",
    lambda x, x0, before, now, then: _step(x, x0, before, now, then, 0.0),
)
ex.wrong(
    "towards_the_past",
    "You have the sign of the change wrong: D then lags behind instead of running ahead.",
    lambda x, x0, before, now, then: _step(x, x0, before, now, then, 1.0, -0.5),
)
ex.wrong(
    "averaged",
    "You average the two images; the solver extrapolates beyond the newer one.",
    lambda x, x0, before, now, then: _step(x, x0, before, now, then, 0.0, -0.5),
)
ex.wrong(
    "alpha_bar_as_clock",
    "You measure h as a difference of alpha-bars; the solver's clock is lambda = log(a / s).",
    lambda *args: _clocked(lambda bar: bar, *args),
)
ex.wrong(
    "log_snr_as_clock",
    "You use the log-SNR itself; lambda is half of it, because a and s are roots.",
    lambda *args: _clocked(lambda bar: 2 * _lambda(bar), *args),
)
ex.wrong(
    "wrong_way_in_time",
    "You take h as now minus next: lambda grows while sampling, so h is positive.",
    lambda *args: _clocked(lambda bar: -_lambda(bar), *args),
)


@ex.wrong("only_the_change", "You use the change alone for D and forget x0 itself.")
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    if before is None or then == 1:
        return _first_order(x, x0, now, then)
    return _step(x, x0, before, now, then) - _first_order(0 * x, x0, now, then)


@ex.wrong(
    "for_epsilon",
    "You use the step of the older DPM-Solver, a'/a x - s' (e^h - 1) D, in which D predicts epsilon; here it "
    "is the image.",
)
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    if then == 1:
        return x0
    h, d = _lambda(then) - _lambda(now), x0
    if before:
        d = x0 + h / (2 * (_lambda(now) - _lambda(before[1]))) * (x0 - before[0])
    return math.sqrt(then / now) * x - math.sqrt(1 - then) * math.expm1(h) * d


@ex.wrong(
    "last_step_extrapolated",
    "You extrapolate at the last step too, by one half: with h infinite there is no ratio, and the finished "
    "image overshoots.",
)
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    if before and then == 1:
        return x0 + (x0 - before[0]) / 2
    return _step(x, x0, before, now, then)


@ex.wrong(
    "last_step_fails",
    "You take the logarithm at the last step: with alpha-bar = 1 the SNR divides by zero.",
)
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    _lambda(then)
    return _step(x, x0, before, now, then)


@ex.wrong("first_step_fails", "You use the step before even at the first step, where there is none.")
def _(x: Tensor, x0: Tensor, before: tuple[Tensor, float], now: float, then: float) -> Tensor:
    x0_before, bar = before
    return _step(x, x0, (x0_before, bar), now, then)


@ex.wrong(
    "float32_factors",
    "You make float32 tensors of the alpha-bars: the factors lose half of their digits, which shows on "
    "float64 images. Plain numbers and `math.sqrt` keep them.",
)
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    if then == 1:
        return x0
    bars, d = torch.tensor([before[1] if before else 0.5 * now, now, then]), x0
    h_before, h = (torch.logit(bars) / 2).diff()
    if before:
        d = x0 + h / (2 * h_before) * (x0 - before[0])
    return ((1 - bars[2]) / (1 - bars[1])).sqrt() * x - bars[2].sqrt() * torch.expm1(-h) * d


@ex.wrong("detached", "You cut the graph: guidance by a gradient could not go through the step.")
def _(x: Tensor, x0: Tensor, before: Before, now: float, then: float) -> Tensor:
    return _step(x.detach(), x0.detach(), before, now, then)


ex.right(_step)
ex.right(lambda x, x0, before, now, then: _clocked(_lambda, x, x0.clone(), before, now, then))


@ex.right
def _(x_t: Tensor, x0: Tensor, before: Before, alpha_bar: float, alpha_bar_next: float) -> Tensor:
    a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    a_next, s_next = alpha_bar_next**0.5, (1 - alpha_bar_next) ** 0.5
    if s_next == 0:
        return a_next * x0
    h = math.log(a_next * s / (a * s_next))
    step = (s_next / s) * x_t + a_next * (1 - math.exp(-h)) * x0
    if before is None:
        return step
    r = math.log(a * (1 - before[1]) ** 0.5 / (before[1] ** 0.5 * s)) / h
    return step + a_next * (1 - math.exp(-h)) / (2 * r) * (x0 - before[0])  # diffusers writes it like this


@ex.right
def _(x_t: Tensor, x0: Tensor, before: Before, alpha_bar: float, alpha_bar_next: float) -> Tensor:
    # algorithm 2: D = (1 + 1 / 2r) x0 - 1 / 2r x0_before; lambda by the logit
    weight, x0_before = 0.0, torch.zeros_like(x0)
    if before is not None and alpha_bar_next < 1:
        x0_before = before[0]
        bars = torch.tensor([before[1], alpha_bar, alpha_bar_next], dtype=torch.float64)
        h_before, h = (torch.logit(bars) / 2).diff().tolist()
        weight = h / h_before / 2
    d = (1 + weight) * x0 - weight * x0_before
    ratio = math.sqrt(1 - alpha_bar_next) / math.sqrt(1 - alpha_bar)
    return ratio * x_t + (math.sqrt(alpha_bar_next) - ratio * math.sqrt(alpha_bar)) * d


@ex.right
def _(x_t: Tensor, x0: Tensor, before: Before, alpha_bar: float, alpha_bar_next: float) -> Tensor:
    # DDIM with the extrapolated image: its noise is what D leaves unexplained in x_t
    d = x0
    if before and alpha_bar_next != 1:
        odds = [bar / (1 - bar) for bar in (before[1], alpha_bar, alpha_bar_next)]
        d = torch.lerp(before[0], x0, 1 + math.log(odds[2] / odds[1], odds[1] / odds[0]) / 2)
    epsilon = (x_t - math.sqrt(alpha_bar) * d) / math.sqrt(1 - alpha_bar)
    return math.sqrt(alpha_bar_next) * d + math.sqrt(1 - alpha_bar_next) * epsilon


ex.wrong(
    "before_swapped",
    "You have the two images the wrong way round: D starts at the older one and runs backwards.",
    lambda x, x0, before, now, then: (
        _step(x, x0, None, now, then)
        if before is None or then == 1
        else _step(x, before[0], (x0, before[1]), now, then)
    ),
)
ex.wrong(
    "clipped",
    "You clip the image; whether to clip is the sampler's choice, before the step.",
    lambda x, x0, before, now, then: _step(x, x0.clamp(-1, 1), before, now, then),
)
ex.wrong(
    "sign_of_the_image_term",
    "You add a (exp(-h) - 1) D; it is subtracted, and exp(-h) - 1 is negative.",
    lambda x, x0, before, now, then: (
        x0 if then == 1 else 2 * math.sqrt((1 - then) / (1 - now)) * x - _step(x, x0, before, now, then)
    ),
)
ex.wrong(
    "ratio_of_noise_upside_down",
    "You multiply x_t by s / s_next; it is s_next / s.",
    lambda x, x0, before, now, then: (
        x0
        if then == 1
        else _step(x, x0, before, now, then)
        + (math.sqrt((1 - now) / (1 - then)) - math.sqrt((1 - then) / (1 - now))) * x
    ),
)
ex.wrong(
    "image_at_the_old_level",
    "You multiply D by a of now; you go to the next level, a_next.",
    lambda x, x0, before, now, then: x0 if then == 1 else _clocked_at(now, x, x0, before, now, then),
)
ex.wrong(
    "no_first_step",
    "You return `x0` at the first step; only the last step ends there. At the first D is `x0`.",
    lambda x, x0, before, now, then: x0 if before is None else _step(x, x0, before, now, then),
)
common_slips(ex, "returned_nothing")

ex.background("DDIM holds the predicted image")
ex.breach("lets it go on", "first_order")
ex.breach("Its clock is half the log-SNR", "log_snr_as_clock")
ex.breach("\\lambda = \\log", "alpha_bar_as_clock")
ex.breach("which grows while sampling", "wrong_way_in_time")
ex.breach("From the step before", "even_steps")
for _name in ("not_halved", "upside_down", "towards_the_past", "for_epsilon"):
    ex.breach("$$D = x_0", _name)
ex.breach("At the first step", "first_step_fails")
ex.breach("$D = x_0$.", "no_first_step")
ex.breach("At the last", "last_step_extrapolated")
ex.breach("At the last", "last_step_fails")
ex.breach("Gradients flow", "detached")
