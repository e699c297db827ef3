"""Lesson 01: the loss of a diffusion model."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import left_behind
from gantrans.teaching.exercises.kinds.probing import loss_and_gradients
from lessons.lesson01.exercises._denoisers import ToyDenoiser, frozen
from lessons.lesson01.exercises.q_sample import q_sample

ex = Exercise(
    id="diffusion_loss",
    lesson="01",
    title="The loss of a diffusion model",
    difficulty=2,
    minutes=8,
    spec=r"""
    A diffusion model learns by one question: which noise is in $x_t$? Make $x_t$ from `x0`, `t` and the given
    `noise` with `q_sample`, ask the network for its guess, `net(x_t, t)`, and return the mean squared error
    between the guess and the noise,

    $$L = \operatorname{mean}\big(\text{net}(x_t, t) - \varepsilon\big)^2.$$

    The mean runs over all numbers of the batch, so the result is a scalar tensor. The training loop will call
    `.backward()` on it: its gradient must reach every parameter of `net`. Do not call `.backward()` yourself,
    and leave the network as it is.
    """,
    hints=(
        "Three lines: noise the batch, ask the network, compare.",
        "`x_t = q_sample(x0, t, noise, alpha_bars)`; the network is asked about `x_t`, not about `x0`.",
        "`F.mse_loss(guess, noise)` (or `(guess - noise).square().mean()`) is a scalar tensor with a graph.",
    ),
    source="Ho, Jain, Abbeel 2020, eq. 14 (the simple loss) and algorithm 1, line 5.",
    equivalent={
        "`F.mse_loss(guess, noise)` -> `F.mse_loss(noise, guess)`": "the square forgets the sign",
        "3.4 value.detach()": "the image asks for no gradient",
    },
)


@ex.reference
def diffusion_loss(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor) -> Tensor:
    """net, x0 and noise (B, ...), t (B,) int64, alpha_bars (T,) float64 -> scalar loss with its graph."""
    x_t = q_sample(x0, t, noise, alpha_bars)
    guess = net(x_t, t)
    return F.mse_loss(guess, noise)


@ex.probe
def _(
    answer: Answer, net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor
) -> dict[str, Any]:
    net.to(x0.device)
    return loss_and_gradients(answer(net, x0, t, noise, alpha_bars), net)


def _bars(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 4.0]])
    other = points.flip(0).flip(1) / 2 - 1
    t, bars = torch.tensor([2, 0, 1]), _bars(0.9, 0.5, 0.04)
    images = torch.linspace(-1, 1, 8).view(2, 1, 2, 2)
    turned = torch.linspace(-2, 1, 6).view(2, 3).T  # not contiguous
    return [
        (ToyDenoiser(2, 1), points, t, other, bars),
        (ToyDenoiser(2, 2), points[:1], torch.tensor([0]), other[:1], _bars(0.3)),
        (ToyDenoiser(2, 3), points, torch.tensor([2, 2, 0]), other, _bars(1.0, 0.5, 0.0)),
        (ToyDenoiser(4, 4), images, torch.tensor([7, 3]), -images.flip(-1), _bars(*([0.8] * 4 + [0.1] * 4))),
        (ToyDenoiser(2, 5), turned, t, other, bars),
        (ToyDenoiser(2, 6), 50 * points, t, 20 * other, bars),
        (ToyDenoiser(2, 7), torch.zeros(3, 2), t, torch.zeros(3, 2), bars),
        (left_behind(ToyDenoiser(2, 8)), points, t, other, bars),
        (frozen(ToyDenoiser(2, 9)), points, t, other, bars),
        (ToyDenoiser(2, 10).eval(), points, t, other, bars),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((case.height,), (1, case.height, case.width), (2,)))
    features = int(torch.tensor(shape).prod())
    steps = case.integer(2, 40)
    bars = torch.cumprod(1 - 0.4 * torch.rand(steps, generator=case.generator, dtype=torch.float64), 0)
    t = torch.randint(steps, (case.batch,), generator=case.generator)
    net = ToyDenoiser(features, case.seed, case.dtype)
    return net, case.randn(case.batch, *shape), t, case.randn(case.batch, *shape), bars


def _guess(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    guess: Tensor = net(q_sample(x0, t, noise, bars), t)
    return guess


ex.wrong(
    "guesses_the_image",
    "You compare the guess with the image: this network is asked for the noise, not for what it hides.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), x0),
)
ex.wrong(
    "clean_image",
    "You show the network the clean `x0`: there is no noise in it to be found.",
    lambda net, x0, t, noise, bars: F.mse_loss(net(x0, t), noise),
)
ex.wrong(
    "noised_target",
    "You compare the guess with `x_t`; the noise alone is wanted.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), q_sample(x0, t, noise, bars)),
)
ex.wrong(
    "scaled_target",
    "You ask for the noise as it stands in `x_t`, times sqrt(1 - alpha-bar); the target is the noise itself.",
    lambda net, x0, t, noise, bars: F.mse_loss(
        _guess(net, x0, t, noise, bars), q_sample(torch.zeros_like(x0), t, noise, bars)
    ),
)
ex.wrong(
    "summed",
    "You sum the squares: the loss then grows with the batch and the image, and so would every step.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), noise, reduction="sum"),
)
ex.wrong(
    "sum_per_sample",
    "You sum over each sample and average over the batch; the mean runs over all numbers.",
    lambda net, x0, t, noise, bars: (
        (_guess(net, x0, t, noise, bars) - noise).square().flatten(1).sum(1).mean()
    ),
)
ex.wrong(
    "one_loss_per_sample",
    "You return one loss for each sample; the mean runs over the batch as well.",
    lambda net, x0, t, noise, bars: (_guess(net, x0, t, noise, bars) - noise).square().flatten(1).mean(1),
)
ex.wrong(
    "halved",
    "You halve the squares.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), noise) / 2,
)
ex.wrong(
    "root",
    "You take the root of the mean; the loss is the mean of the squares.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), noise).sqrt(),
)
ex.wrong(
    "absolute",
    "You take absolute differences; squared ones make the network answer with the mean of the noise.",
    lambda net, x0, t, noise, bars: F.l1_loss(_guess(net, x0, t, noise, bars), noise),
)
ex.wrong(
    "own_noise",
    "You draw another noise for the target: nobody could guess that.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), torch.randn_like(noise)),
)
ex.wrong(
    "detached",
    "You cut the graph behind the guess: the network could not learn from this loss.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars).detach(), noise),
)
ex.wrong(
    "a_number",
    "You return a Python number; the loop needs a tensor whose `.backward()` it can call.",
    lambda net, x0, t, noise, bars: F.mse_loss(_guess(net, x0, t, noise, bars), noise).item(),
)
ex.wrong(
    "time_as_share",
    "You give the network t / T; it is asked with the whole number `t`, as everywhere in this lesson.",
    lambda net, x0, t, noise, bars: F.mse_loss(net(q_sample(x0, t, noise, bars), t / len(bars)), noise),
)
ex.wrong(
    "no_time",
    "You ask the network without the time (you give zeros): it would have to guess how much noise there is.",
    lambda net, x0, t, noise, bars: F.mse_loss(net(q_sample(x0, t, noise, bars), torch.zeros_like(t)), noise),
)
ex.wrong(
    "variances",
    "You mix image and noise with alpha-bar and 1 - alpha-bar; `q_sample` takes their roots.",
    lambda net, x0, t, noise, bars: F.mse_loss(net(_variances(x0, t, noise, bars), t), noise),
)


def _variances(x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    share = bars[t].view(-1, *[1] * (x0.dim() - 1)).to(x0.dtype)
    return share * x0 + (1 - share) * noise


@ex.wrong("backward_called", "You call `.backward()` yourself: the loop does that, after `zero_grad`.")
def _(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    loss = F.mse_loss(_guess(net, x0, t, noise, bars), noise)
    loss.backward(retain_graph=True)
    return loss


@ex.wrong("switched_to_eval", "You switch the network to eval mode: it is being trained.")
def _(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    return F.mse_loss(_guess(net.eval(), x0, t, noise, bars), noise)


ex.right(lambda net, x0, t, noise, bars: (net(q_sample(x0, t, noise, bars), t) - noise).square().mean())


@ex.right
def _(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    shape = (-1, *[1] * (x0.dim() - 1))
    x_t = bars[t].sqrt().view(shape).to(x0) * x0 + (1 - bars[t]).sqrt().view(shape).to(x0) * noise
    error: Tensor = noise - net(x_t, t)
    return (error**2).sum() / error.numel()


@ex.right
def _(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    guess = net(q_sample(x0, t, noise, bars), t)
    return torch.stack([F.mse_loss(g, n) for g, n in zip(guess, noise, strict=True)]).mean()


@ex.right
def _(net: nn.Module, x0: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    return nn.MSELoss()(input=net(x_t := q_sample(x0, t, noise, bars), t).view_as(x_t), target=noise)


ex.background("A diffusion model learns by one question")
ex.breach("Make $x_t$ from `x0`", "clean_image")
ex.breach("from `x0`, `t` and the given `noise` with `q_sample`", "variances")
ex.breach("ask the network for its guess, `net(x_t, t)`", "time_as_share")
ex.breach("return the mean squared error", "absolute")
ex.breach("between the guess and the noise", "guesses_the_image")
ex.breach("$$L = ", "halved")
ex.breach("The mean runs over all numbers of the batch", "sum_per_sample")
ex.breach("so the result is a scalar tensor", "one_loss_per_sample")
ex.breach("The training loop will call", "a_number")
ex.breach("its gradient must reach every parameter of `net`", "detached")
ex.breach("Do not call `.backward()` yourself", "backward_called")
ex.breach("leave the network as it is", "switched_to_eval")
