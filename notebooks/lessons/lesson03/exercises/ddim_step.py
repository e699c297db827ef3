"""Lesson 03: one step of DDIM, with as much fresh noise as you like."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="ddim_step",
    lesson="03",
    title="One step of DDIM",
    difficulty=4,
    minutes=15,
    spec=r"""
    Clip the predicted image to $[-1, 1]$, work out which noise then explains $x_t$, and noise the clipped
    image again, to the level of $\bar\alpha'$: partly with that noise, partly with a fresh one.

    $$\sigma = \eta\,\sqrt{\frac{1 - \bar\alpha'}{1 - \bar\alpha}}\,\sqrt{1 - \frac{\bar\alpha}{\bar\alpha'}},
    \qquad \varepsilon = \frac{x_t - \sqrt{\bar\alpha}\,x_0}{\sqrt{1 - \bar\alpha}},$$

    $$x' = \sqrt{\bar\alpha'}\,x_0 + \sqrt{1 - \bar\alpha' - \sigma^2}\;\varepsilon + \sigma\,z.$$

    $x_0$ is the *clipped* image everywhere, `noise` is $z$. With $\eta = 0$ nothing is random, with $\eta =
    1$ it is DDPM's step, and with $\bar\alpha' = 1$ the clipped image comes out. Gradients flow to $x_t$ and
    $x_0$; the tensors you were given stay as they are.
    """,
    hints=(
        "Clip first, and use only the clipped image from then on: `x0 = x0.clamp(-1, 1)`.",
        "The two noises together have variance 1 - alpha_bar_prev: what the fresh one takes, the old one "
        "loses.",
        "`epsilon = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)`, then the three terms.",
    ),
    source="Song, Meng, Ermon 2021 (DDIM), eq. 12 and 16. diffusers leaves epsilon as it was before clipping "
    "unless `use_clipped_model_output=True`.",
    gradients=("x_t", "x0"),
)


@ex.reference
def ddim_step(
    x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float, eta: float
) -> Tensor:
    """x_t, predicted x0, noise (B, ...), 0 <= alpha_bar < alpha_bar_prev <= 1, 0 <= eta <= 1 -> (B, ...)."""
    x0 = x0.clamp(-1, 1)
    epsilon = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    variance = eta**2 * (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    kept = math.sqrt(1 - alpha_bar_prev - variance)
    return math.sqrt(alpha_bar_prev) * x0 + kept * epsilon + math.sqrt(variance) * noise


@ex.edges
def _() -> list[Args]:
    x_t, x0 = torch.tensor([[1.0, -2.0, 0.5]]), torch.tensor([[0.5, 1.75, -3.0]])
    noise = torch.tensor([[2.0, 1.0, -1.0]])
    inside = x0 / 4
    return [
        (x_t, x0, noise, 0.25, 0.64, 0.0),
        (x_t, inside, noise, 0.25, 0.64, 0.0),
        (x_t, inside, noise, 0.25, 0.64, 1.0),
        (x_t, x0, noise, 0.25, 0.64, 0.5),
        (x_t, x0, noise, 0.9, 1.0, 1.0),
        (x_t, x0, noise, 0.04, 1.0, 0.0),
        (x_t, inside, noise, 0.0, 0.36, 0.5),
        (x_t, x0, noise, 0.3, 0.31, 0.8),
        (5 * x_t[0], 4 * x0[0], -3 * noise[0], 0.001, 0.01, 0.2),
        (
            torch.arange(12.0).view(2, 2, 3).mT,
            torch.full((2, 3, 2), -0.75),
            torch.ones(2, 3, 2),
            0.5,
            0.9,
            1.0,
        ),
    ]


@ex.inputs
def _(case: Case) -> Args:
    now = case.integer(1, 95) / 100
    prev = 1.0 if case.seed % 6 == 0 else now + (1 - now) * case.integer(2, 90) / 100
    shape = case.choice(((case.batch, 2), (case.batch, 1, case.height, case.width)))
    eta = (0.0, 1.0, 0.5, case.integer(1, 9) / 10)[case.seed // 2 % 4]
    return case.randn(*shape), case.randn(*shape), case.randn(*shape), now, prev, eta


def _spread(now: float, prev: float, eta: float) -> float:
    return eta * math.sqrt((1 - prev) / (1 - now) * (1 - now / prev))


def _epsilon(x: Tensor, x0: Tensor, now: float) -> Tensor:
    return (x - math.sqrt(now) * x0) / math.sqrt(1 - now)


def _step(
    x: Tensor, x0: Tensor, z: Tensor, now: float, prev: float, spread: float, epsilon: Tensor | None = None
) -> Tensor:
    kept = math.sqrt(max(1 - prev - spread**2, 0.0))
    e = _epsilon(x, x0, now) if epsilon is None else epsilon
    return math.sqrt(prev) * x0 + kept * e + spread * z


ex.wrong(
    "raw_epsilon",
    "You work out epsilon from the image before clipping: image and noise then no longer add up to x_t, "
    "as in diffusers by default.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, eta), _epsilon(x, x0, now)
    ),
)
ex.wrong(
    "not_clipped",
    "You do not clip the predicted image: at high noise a small error of epsilon is a huge one of x0.",
    lambda x, x0, z, now, prev, eta: _step(x, x0, z, now, prev, _spread(now, prev, eta)),
)
ex.wrong(
    "result_clipped",
    "You clip the result instead of the image; a noisy x does leave [-1, 1].",
    lambda x, x0, z, now, prev, eta: _step(x, x0, z, now, prev, _spread(now, prev, eta)).clamp(-1, 1),
)
ex.wrong(
    "clipped_to_0_1",
    "You clip to [0, 1]; the network's range is [-1, 1].",
    lambda x, x0, z, now, prev, eta: _step(x, x0.clamp(0, 1), z, now, prev, _spread(now, prev, eta)),
)
ex.wrong(
    "old_noise_not_reduced",
    "You add fresh noise without taking as much of the old one away: the level of noise comes out too high.",
    lambda x, x0, z, now, prev, eta: (
        _step(x, x0.clamp(-1, 1), z, now, prev, 0.0) + _spread(now, prev, eta) * z
    ),
)
ex.wrong(
    "no_old_noise",
    "You leave the old noise out: only image and fresh noise are left, and with eta = 0 no noise at all.",
    lambda x, x0, z, now, prev, eta: math.sqrt(prev) * x0.clamp(-1, 1) + _spread(now, prev, eta) * z,
)
ex.wrong(
    "always_eta_0",
    "You ignore eta and never add noise.",
    lambda x, x0, z, now, prev, eta: _step(x, x0.clamp(-1, 1), z, now, prev, 0.0),
)
ex.wrong(
    "always_eta_1",
    "You ignore eta: this is DDPM's step.",
    lambda x, x0, z, now, prev, eta: _step(x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, 1.0)),
)
ex.wrong(
    "variance_not_rooted",
    "You take sigma without its roots: a variance where a standard deviation belongs.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, prev, eta * _spread(now, prev, 1.0) ** 2
    ),
)
ex.wrong(
    "eta_on_the_variance",
    "You multiply the variance by eta; eta stands before sigma, so the variance gets its square.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, prev, math.sqrt(eta) * _spread(now, prev, 1.0)
    ),
)
ex.wrong(
    "sigma_not_squared",
    "You subtract sigma instead of its square under the root; variances add up, deviations do not.",
    lambda x, x0, z, now, prev, eta: (
        math.sqrt(prev) * x0.clamp(-1, 1)
        + math.sqrt(max(1 - prev - _spread(now, prev, eta), 0)) * _epsilon(x, x0.clamp(-1, 1), now)
        + _spread(now, prev, eta) * z
    ),
)
ex.wrong(
    "beta_for_sigma",
    "You leave the ratio (1 - alpha-bar') / (1 - alpha-bar) out of sigma: at the last step noise remains.",
    lambda x, x0, z, now, prev, eta: _step(x, x0.clamp(-1, 1), z, now, prev, eta * math.sqrt(1 - now / prev)),
)
ex.wrong(
    "old_level",
    "You noise the image to the level where it was, not to the one where you go: nothing is gained.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, now, 0.0, _epsilon(x, x0.clamp(-1, 1), now)
    ),
)
ex.wrong(
    "noised_anew",
    "You noise the image with fresh noise alone: that is more than eta = 1, and forgets x_t.",
    lambda x, x0, z, now, prev, eta: math.sqrt(prev) * x0.clamp(-1, 1) + math.sqrt(1 - prev) * z,
)
ex.wrong(
    "own_noise",
    "You draw the noise yourself; it is given, so that a step can be repeated.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), torch.randn_like(x), now, prev, _spread(now, prev, eta)
    ),
)


@ex.wrong(
    "float32_factors",
    "You make float32 tensors of the alpha-bars: the factors lose half of their digits, which shows on "
    "float64 images. Plain numbers and `math.sqrt` keep them.",
)
def _(x_t: Tensor, x0: Tensor, noise: Tensor, now: float, prev: float, eta: float) -> Tensor:
    x0, (bar, bar_prev) = x0.clamp(-1, 1), torch.tensor([now, prev])
    variance = eta**2 * (1 - bar_prev) / (1 - bar) * (1 - bar / bar_prev)
    epsilon = (x_t - bar.sqrt() * x0) / (1 - bar).sqrt()
    return bar_prev.sqrt() * x0 + (1 - bar_prev - variance).sqrt() * epsilon + variance.sqrt() * noise


@ex.wrong("in_place", "You clip the given tensor in place; whoever predicted it may need the raw image.")
def _(x_t: Tensor, x0: Tensor, noise: Tensor, now: float, prev: float, eta: float) -> Tensor:
    x0.data.clamp_(-1, 1)
    return _step(x_t, x0, noise, now, prev, _spread(now, prev, eta))


ex.right(lambda x, x0, z, now, prev, eta: _step(x, x0.clip(-1, 1), z, now, prev, _spread(now, prev, eta)))


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float, eta: float) -> Tensor:
    # factors of image, x_t and noise, as the library has them
    spread = _spread(alpha_bar, alpha_bar_prev, eta)
    rest = math.sqrt((1 - alpha_bar_prev - spread**2) / (1 - alpha_bar))
    image = math.sqrt(alpha_bar_prev) - rest * math.sqrt(alpha_bar)
    return image * torch.clamp(x0, min=-1, max=1) + rest * x_t + spread * noise


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float, eta: float) -> Tensor:
    image = torch.nn.functional.hardtanh(x0)
    if alpha_bar_prev == 1:
        return image
    a, a_prev = alpha_bar**0.5, alpha_bar_prev**0.5
    s, s_prev = (1 - alpha_bar) ** 0.5, (1 - alpha_bar_prev) ** 0.5
    sigma = eta * s_prev / s * (1 - (a / a_prev) ** 2) ** 0.5
    old = torch.div(x_t - a * image, s)
    result = a_prev * image + (s_prev**2 - sigma**2) ** 0.5 * old
    return result + sigma * noise if eta else result


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float, eta: float) -> Tensor:
    # the share of fresh noise as an angle
    image = torch.maximum(torch.minimum(x0, torch.ones_like(x0)), -torch.ones_like(x0))
    turn = math.asin(eta * math.sqrt((1 - alpha_bar / alpha_bar_prev) / (1 - alpha_bar)))
    mixed = math.cos(turn) * _epsilon(x_t, image, alpha_bar) + math.sin(turn) * noise
    return math.sqrt(alpha_bar_prev) * image + math.sqrt(1 - alpha_bar_prev) * mixed


@ex.right
def _(x_t: Tensor, x0: Tensor, noise: Tensor, alpha_bar: float, alpha_bar_prev: float, eta: float) -> Tensor:
    now, prev = torch.tensor([alpha_bar, alpha_bar_prev], dtype=torch.float64)
    variance = eta**2 * (1 - prev) / (1 - now) * (1 - now / prev)
    factors = [prev.sqrt(), (1 - prev - variance).sqrt(), variance.sqrt()]
    image = torch.where(x0.abs() > 1, x0.sign(), x0)
    parts = [image, _epsilon(x_t, image, alpha_bar), noise]
    return torch.stack([float(f) * part for f, part in zip(factors, parts, strict=True)]).sum(0)


ex.wrong(
    "ratio_upside_down",
    "You have the first ratio of sigma upside down.",
    lambda x, x0, z, now, prev, eta: _step(
        x,
        x0.clamp(-1, 1),
        z,
        now,
        prev,
        eta * math.sqrt((1 - now) / (1 - prev) * (1 - now / prev)) if prev < 1 else 0.0,
    ),
)
ex.wrong(
    "second_root_forgotten",
    "You take sigma without the root of 1 - alpha-bar / alpha-bar'.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, eta) * math.sqrt(1 - now / prev)
    ),
)
ex.wrong(
    "epsilon_at_full_strength",
    "You add the old noise with the factor 1.",
    lambda x, x0, z, now, prev, eta: (
        math.sqrt(prev) * x0.clamp(-1, 1)
        + (_epsilon(x, x0.clamp(-1, 1), now) if prev < 1 else 0)
        + _spread(now, prev, eta) * z
    ),
)
ex.wrong(
    "epsilon_not_divided",
    "You do not divide by sqrt(1 - alpha-bar): what is left of x_t is the noise, made faint.",
    lambda x, x0, z, now, prev, eta: _step(
        x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, eta), x - math.sqrt(now) * x0.clamp(-1, 1)
    ),
)
ex.wrong(
    "epsilon_by_the_variance",
    "You divide by 1 - alpha-bar instead of its root.",
    lambda x, x0, z, now, prev, eta: _step(
        x,
        x0.clamp(-1, 1),
        z,
        now,
        prev,
        _spread(now, prev, eta),
        _epsilon(x, x0.clamp(-1, 1), now) / math.sqrt(1 - now),
    ),
)
ex.wrong(
    "image_at_the_old_level",
    "You multiply the image by the root of alpha-bar; you go to alpha-bar'.",
    lambda x, x0, z, now, prev, eta: (
        _step(x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, eta))
        + (math.sqrt(now) - math.sqrt(prev)) * x0.clamp(-1, 1)
    ),
)
ex.wrong(
    "raw_image_at_the_end",
    "You use the clipped image for epsilon and the raw one for the new x; it is the clipped one everywhere.",
    lambda x, x0, z, now, prev, eta: (
        _step(x, x0.clamp(-1, 1), z, now, prev, _spread(now, prev, eta))
        + math.sqrt(prev) * (x0 - x0.clamp(-1, 1))
    ),
)
common_slips(ex, "returned_nothing", "graph_cut")

ex.breach("Clip the predicted image", "not_clipped")
ex.breach("Clip the predicted image", "result_clipped")
ex.breach("which noise then explains", "raw_epsilon")
ex.breach("to the level of", "old_level")
for _name in ("beta_for_sigma", "variance_not_rooted", "second_root_forgotten", "epsilon_by_the_variance"):
    ex.breach("\\sigma = \\eta", _name)
for _name in ("old_noise_not_reduced", "sigma_not_squared", "image_at_the_old_level"):
    ex.breach("x' = ", _name)
ex.breach("is the *clipped* image everywhere", "raw_image_at_the_end")
ex.breach("`noise` is $z$", "own_noise")
ex.breach("nothing is random", "always_eta_1")
ex.breach("it is DDPM's step", "always_eta_0")
ex.breach("the clipped image comes out", "clipped_to_0_1")
ex.breach("Gradients flow", "graph_cut")
ex.breach("stay as they are", "in_place")
