"""Lesson 03: one step of ancestral sampling."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="ddpm_step",
    lesson="03",
    title="One step of DDPM",
    difficulty=3,
    minutes=12,
    spec=r"""
    Go from $x_t$ to the timestep before it, given the predicted image. If the image were known, the way back
    would be Gaussian, with mean and variance

    $$\tilde\mu = \frac{\sqrt{\bar\alpha'}\,\beta}{1 - \bar\alpha}\,x_0 +
    \frac{\sqrt{\alpha}\,(1 - \bar\alpha')}{1 - \bar\alpha}\,x_t, \qquad
    \tilde\beta = \frac{1 - \bar\alpha'}{1 - \bar\alpha}\,\beta.$$

    $\bar\alpha$ (`alpha_bar`) belongs to $x_t$, $\bar\alpha'$ (`alpha_bar_prev`) to where you go; $\alpha =
    \bar\alpha / \bar\alpha'$ and $\beta = 1 - \alpha$ belong to the step between them, so steps may be of any
    length. Return the mean plus `noise` with variance $\tilde\beta$ (“fixed_small”). At the last step
    $\bar\alpha' = 1$: then no noise is added, and the result is the predicted image itself. Take the image
    as it is: nothing is clipped here. Gradients flow to $x_t$ and $x_0$.
    """,
    hints=(
        "alpha of the step is a ratio: `alpha = alpha_bar / alpha_bar_prev`, and `beta = 1 - alpha`.",
        "Noise with variance b is `math.sqrt(b) * noise`. With alpha_bar_prev = 1 the formula gives 0 by "
        "itself.",
        "Factor of x0: `math.sqrt(alpha_bar_prev) * beta / (1 - alpha_bar)`; of x_t: `math.sqrt(alpha) * "
        "(1 - alpha_bar_prev) / (1 - alpha_bar)`.",
    ),
    source="Ho, Jain, Abbeel 2020, eq. 6 and 7, sec. 3.2 (the smaller of the two variances).",
    gradients=("x_t", "x0"),
)


@ex.reference
def ddpm_step(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float) -> Tensor:
    """x_t, predicted x0, standard normal noise (B, ...), 0 <= alpha_bar < alpha_bar_prev <= 1 -> (B, ...)."""
    alpha = alpha_bar / alpha_bar_prev
    beta = 1 - alpha
    of_x0 = math.sqrt(alpha_bar_prev) * beta / (1 - alpha_bar)
    of_x_t = math.sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar)
    variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * beta
    return of_x0 * x0 + of_x_t * x_t + math.sqrt(variance) * noise


@ex.edges
def _() -> list[Args]:
    x_t, x0 = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.0, -1.0]])
    noise = torch.tensor([[2.0, 1.0, -1.0]])
    return [
        *(
            (x_t, x0, noise, *bars)
            for bars in ((0.25, 0.64), (0.9, 1.0), (0.09, 1.0), (0.0, 0.36), (0.5, 0.51))
        ),
        *((x_t, 3 * x0, -4 * noise, *bars) for bars in ((0.5, 0.9), (0.02, 1.0), (0.001, 0.004))),
        (x_t[0], x0[0], noise[0], 0.2, 0.3),
        (torch.arange(12.0).view(2, 2, 3).mT, -torch.ones(2, 3, 2) * 1.5, torch.ones(2, 3, 2), 0.81, 0.9),
    ]


@ex.inputs
def _(case: Case) -> Args:
    now = case.integer(1, 95) / 100
    prev = 1.0 if case.seed % 6 == 0 else now + (1 - now) * case.integer(2, 90) / 100
    shape = case.choice(((case.batch, 2), (case.batch, 1, case.height, case.width)))
    return case.randn(*shape), 1.5 * case.randn(*shape), case.randn(*shape), now, prev


def _mean(x_t: Tensor, x0: Tensor, now: float, prev: float) -> Tensor:
    beta = 1 - now / prev
    return (math.sqrt(prev) * beta * x0 + math.sqrt(now / prev) * (1 - prev) * x_t) / (1 - now)


def _variance(now: float, prev: float) -> float:
    return (1 - prev) / (1 - now) * (1 - now / prev)


ex.wrong(
    "fixed_large",
    "You add noise of variance beta: Ho et al. call that the other extreme (“fixed_large”); here it is the "
    "smaller one.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) + (math.sqrt(1 - now / prev) * z if prev < 1 else 0),
)
ex.wrong(
    "noise_at_the_end",
    "You add noise of variance beta even at the last step: the finished image gets noisy again.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) + math.sqrt(1 - now / prev) * z,
)
ex.wrong(
    "variance_not_rooted",
    "You multiply the noise by its variance; the factor is the root of it.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) + _variance(now, prev) * z,
)
ex.wrong(
    "no_noise",
    "You return the mean: without fresh noise the samples collapse towards blurred averages.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev),
)
ex.wrong(
    "ddim",
    "You take DDIM's step, which adds no noise but keeps all of the old one.",
    lambda x, x0, z, now, prev: (
        math.sqrt(prev) * x0 + math.sqrt((1 - prev) / (1 - now)) * (x - math.sqrt(now) * x0)
    ),
)
ex.wrong(
    "noised_anew",
    "You noise the predicted image from scratch and forget x_t: neighbouring steps then have nothing in "
    "common, and errors of x0 go straight through.",
    lambda x, x0, z, now, prev: math.sqrt(prev) * x0 + math.sqrt(1 - prev) * z,
)
ex.wrong(
    "factors_swapped",
    "You have the factors of x0 and x_t the wrong way round.",
    lambda x, x0, z, now, prev: _mean(x0, x, now, prev) + math.sqrt(_variance(now, prev)) * z,
)
ex.wrong(
    "alpha_bar_for_alpha",
    "You use alpha-bar where alpha of this one step belongs: alpha-bar is the product of all alphas so far.",
    lambda x, x0, z, now, prev: (
        (math.sqrt(prev) * (1 - now) * x0 + math.sqrt(now) * (1 - prev) * x) / (1 - now)
        + math.sqrt(1 - prev) * z
    ),
)
ex.wrong(
    "image_with_the_present_alpha_bar",
    "You use sqrt(alpha-bar) of x_t in the factor of x0; it is the root of the *earlier* one, towards which "
    "the image grows.",
    lambda x, x0, z, now, prev: (
        _mean(x, x0, now, prev)
        + math.sqrt(_variance(now, prev)) * z
        + (math.sqrt(now) - math.sqrt(prev)) * (1 - now / prev) / (1 - now) * x0
    ),
)
ex.wrong(
    "alpha_not_rooted",
    "You multiply x_t by alpha; the factor has its root.",
    lambda x, x0, z, now, prev: (
        _mean(x, x0, now, prev)
        + math.sqrt(_variance(now, prev)) * z
        + (now / prev - math.sqrt(now / prev)) * (1 - prev) / (1 - now) * x
    ),
)
ex.wrong(
    "ratio_upside_down",
    "You have the ratio (1 - alpha-bar') / (1 - alpha-bar) of the variance upside down.",
    lambda x, x0, z, now, prev: (
        _mean(x, x0, now, prev)
        + (math.sqrt((1 - now) / (1 - prev) * (1 - now / prev)) * z if prev < 1 else 0)
    ),
)
ex.wrong(
    "own_noise",
    "You draw the noise yourself; it is given, so that a seed decides and a step can be repeated.",
    lambda x, x0, z, now, prev: (
        _mean(x, x0, now, prev) + math.sqrt(_variance(now, prev)) * torch.randn_like(x)
    ),
)
ex.wrong(
    "float32_factors",
    "You make float32 tensors of the alpha-bars: the factors lose half of their digits, which shows on "
    "float64 images. Plain numbers and `math.sqrt` keep them.",
    lambda x, x0, z, now, prev: _in_float32(x, x0, z, *torch.tensor([now, prev])),
)
ex.wrong(
    "the_image",
    "You return the predicted image: one step from noise to image gives a blurred average.",
    lambda x, x0, z, now, prev: x0,
)
ex.wrong(
    "clipped",
    "You clip the result; a noisy x does leave [-1, 1]. Clip the predicted image, before the step.",
    lambda x, x0, z, now, prev: (_mean(x, x0, now, prev) + math.sqrt(_variance(now, prev)) * z).clamp(-1, 1),
)


def _in_float32(x: Tensor, x0: Tensor, z: Tensor, now: Tensor, prev: Tensor) -> Tensor:
    beta, share = 1 - now / prev, (1 - prev) / (1 - now)
    mean = prev.sqrt() * beta / (1 - now) * x0 + (now / prev).sqrt() * share * x
    return mean + (share * beta).sqrt() * z


ex.right(
    lambda x, x0, z, now, prev: torch.add(_mean(x, x0, now, prev), z, alpha=math.sqrt(_variance(now, prev)))
)


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float) -> Tensor:
    if alpha_bar_prev == 1:
        return x0
    alpha = alpha_bar / alpha_bar_prev
    share = (1 - alpha_bar_prev) / (1 - alpha_bar)
    mean = alpha_bar_prev**0.5 * (1 - alpha) / (1 - alpha_bar) * x0 + alpha**0.5 * share * x_t
    return mean + (share * (1 - alpha)) ** 0.5 * noise


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float) -> Tensor:
    # DDIM with eta = 1
    epsilon = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    spread = math.sqrt(_variance(alpha_bar, alpha_bar_prev))
    rest = math.sqrt(max(1 - alpha_bar_prev - spread**2, 0.0))
    return math.sqrt(alpha_bar_prev) * x0 + rest * epsilon + spread * noise


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float) -> Tensor:
    # Bayes: x' around sqrt(prev) x0 with variance 1 - prev, x_t around sqrt(alpha) x' with variance beta
    if alpha_bar == 0 or alpha_bar_prev == 1:
        return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(1 - alpha_bar_prev) * noise
    alpha = alpha_bar / alpha_bar_prev
    forward, prior = alpha / (1 - alpha), 1 / (1 - alpha_bar_prev)
    variance = 1 / (forward + prior)
    mean = variance * (forward * x_t / math.sqrt(alpha) + prior * math.sqrt(alpha_bar_prev) * x0)
    return mean + math.sqrt(variance) * noise


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float) -> Tensor:
    now, prev = torch.tensor([alpha_bar, alpha_bar_prev], dtype=torch.float64)
    beta = 1 - now / prev
    factors = torch.stack(
        [prev.sqrt() * beta, (now / prev).sqrt() * (1 - prev), (beta * (1 - prev) * (1 - now)).sqrt()]
    )
    of_x0, of_x_t, spread = (factors / (1 - now)).tolist()
    return x0 * of_x0 + x_t * of_x_t + noise * spread


ex.wrong(
    "image_clipped",
    "You clip the predicted image; whether to clip is the sampler's choice, before the step.",
    lambda x, x0, z, now, prev: _mean(x, x0.clamp(-1, 1), now, prev) + math.sqrt(_variance(now, prev)) * z,
)
ex.wrong(
    "beta_of_the_total",
    "You take beta as 1 - alpha-bar; it belongs to the one step: 1 - alpha.",
    lambda x, x0, z, now, prev: (
        math.sqrt(prev) * x0 + math.sqrt(now / prev) * (1 - prev) / (1 - now) * x + math.sqrt(1 - prev) * z
    ),
)
ex.wrong(
    "alpha_upside_down",
    "You divide alpha-bar' by alpha-bar: alpha would be above 1 and beta negative.",
    lambda x, x0, z, now, prev: _mean(x, x0, prev / now, prev) + math.sqrt(1 - prev / now) * z,
)
ex.wrong(
    "image_not_rooted",
    "You multiply x0 by alpha-bar'; the factor has its root.",
    lambda x, x0, z, now, prev: (
        _mean(x, math.sqrt(prev) * x0, now, prev) + math.sqrt(_variance(now, prev)) * z
    ),
)
ex.wrong(
    "noise_subtracted",
    "You subtract the noise; it is added.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) - math.sqrt(_variance(now, prev)) * z,
)
ex.wrong(
    "noise_at_full_strength",
    "You add the noise with variance 1.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) + (z if prev < 1 else 0),
)
ex.wrong(
    "noise_to_the_next_level",
    "You add noise of variance 1 - alpha-bar': that is all the noise there is at x', and the mean holds some "
    "of it already.",
    lambda x, x0, z, now, prev: _mean(x, x0, now, prev) + math.sqrt(1 - prev) * z,
)
ex.wrong(
    "divided_by_the_earlier",
    "You divide by 1 - alpha-bar' instead of 1 - alpha-bar, which is 0 at the last step.",
    lambda x, x0, z, now, prev: (
        _mean(x, x0, now, prev) * ((1 - now) / (1 - prev)) + math.sqrt(_variance(now, prev)) * z
    ),
)
common_slips(ex, "returned_nothing", "float32_result", "graph_cut")


@ex.wrong("image_detached", "You cut the graph at the predicted image: its gradient is missing.")
def _(x: Tensor, x0: Tensor, z: Tensor, now: float, prev: float) -> Tensor:
    return _mean(x, x0.detach(), now, prev) + math.sqrt(_variance(now, prev)) * z


ex.breach("given the predicted image", "own_noise")
ex.background("If the image were known")
for _name in ("factors_swapped", "alpha_not_rooted", "image_not_rooted", "ratio_upside_down"):
    ex.breach("\\tilde\\mu =", _name)
ex.breach("belongs to $x_t$", "alpha_bar_for_alpha")
ex.breach("belongs to $x_t$", "beta_of_the_total")
ex.breach("Return the mean plus `noise`", "fixed_large")
ex.breach("Return the mean plus `noise`", "variance_not_rooted")
ex.breach("At the last step", "noise_at_the_end")
ex.breach("nothing is clipped here", "image_clipped")
ex.breach("nothing is clipped here", "clipped")
ex.breach("Gradients flow", "image_detached")
