"""Lesson 14: the loss of a diffusion model that answers an input."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import left_behind
from gantrans.teaching.exercises.kinds.probing import loss_and_gradients
from lessons.lesson01.exercises.q_sample import q_sample
from lessons.lesson14.exercises._toys import ToyConditional

ex = Exercise(
    id="conditional_loss",
    lesson="14",
    title="The loss with a condition",
    difficulty=2,
    minutes=8,
    spec=r"""
    A conditional diffusion model answers an input, the `condition`. In training the right answer `x0` is
    known. Make $x_t$ from `x0`, `t` and the given `noise` with `q_sample`, and ask the network for the image,
    `net(x_t, t, condition)`. The condition is never noised: in use it is known exactly. Return the mean
    squared error between the network's image and `x0`,

    $$L = \operatorname{mean}\big(\text{net}(x_t, t, c) - x_0\big)^2.$$

    The mean runs over all numbers of the batch, so the result is a scalar tensor. The loop will call
    `.backward()` on it: its gradient must reach every parameter of `net`. Do not call `.backward()` yourself,
    and leave the network as it is.
    """,
    hints=(
        "It is `diffusion_loss` of lesson 01 with two changes: what the network is given, and what it is "
        "compared with.",
        "`x_t = q_sample(x0, t, noise, alpha_bars)`; only `x0` is noised, never `condition`.",
        "`F.mse_loss(net(x_t, t, condition), x0)` is a scalar tensor with a graph.",
    ),
    source="Saharia et al. 2022 (Palette), eq. 1, with x0 in the place of the noise as target; Ho, Jain, "
    "Abbeel 2020, algorithm 1.",
    equivalent={
        "F.mse_loss(image, x0)` -> `F.mse_loss(x0, image)`": "the square forgets the sign",
        "value.detach()": "the noised image asks for no gradient",
    },
)


@ex.reference
def conditional_loss(
    net: nn.Module, x0: Tensor, condition: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor
) -> Tensor:
    """net, x0 and noise (B, ...), condition (B, ...), t (B,), alpha_bars (T,) -> scalar loss with a graph."""
    x_t = q_sample(x0, t, noise, alpha_bars)
    image = net(x_t, t, condition)
    return F.mse_loss(image, x0)


@ex.probe
def _(
    answer: Answer,
    net: nn.Module,
    x0: Tensor,
    condition: Tensor,
    t: Tensor,
    noise: Tensor,
    alpha_bars: Tensor,
) -> dict[str, Any]:
    net.to(x0.device)
    return loss_and_gradients(answer(net, x0, condition, t, noise, alpha_bars), net)


def _bars(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 4.0]])
    given = torch.tensor([[0.5], [-1.0], [2.0]])
    other = points.flip(0).flip(1) / 2 - 1
    t, bars = torch.tensor([2, 0, 1]), _bars(0.9, 0.5, 0.04)
    images = torch.linspace(-1, 1, 8).view(2, 1, 2, 2)
    turned = torch.linspace(-2, 1, 6).view(2, 3).T  # not contiguous
    ladder = _bars(*([0.8] * 4 + [0.1] * 4))
    return [
        (ToyConditional(2, 1, 1), points, given, t, other, bars),
        (ToyConditional(2, 1, 2), points[:1], given[:1], torch.tensor([0]), other[:1], _bars(0.3)),
        (ToyConditional(2, 1, 3), points, given, torch.tensor([2, 2, 0]), other, _bars(1.0, 0.5, 0.0)),
        (ToyConditional(4, 4, 4), images, images.flip(-1), torch.tensor([7, 3]), -images.mT, ladder),
        (ToyConditional(2, 2, 5), turned, points, t, other, bars),
        (ToyConditional(2, 1, 6), 50 * points, given, t, 20 * other, bars),
        (ToyConditional(2, 1, 7), torch.zeros(3, 2), given, t, other, bars),
        (left_behind(ToyConditional(2, 1, 8)), points, given, t, other, bars),
        (ToyConditional(2, 1, 9).eval(), points, given, t, other, bars),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((1, case.height, case.width), (2,)))
    features = int(torch.tensor(shape).prod())
    steps = case.integer(2, 40)
    bars = torch.cumprod(1 - 0.4 * torch.rand(steps, generator=case.generator, dtype=torch.float64), 0)
    t = torch.randint(steps, (case.batch,), generator=case.generator)
    net = ToyConditional(features, features, case.seed, case.dtype)
    x0, condition, noise = (case.randn(case.batch, *shape) for _ in range(3))
    return net, x0, condition, t, noise, bars


def _image(net: nn.Module, x0: Tensor, c: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    image: Tensor = net(q_sample(x0, t, noise, bars), t, c)
    return image


for name, misconception, answer in (
    (
        "names_the_noise",
        "You compare the answer with the noise; this network is asked for the image.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), e),
    ),
    (
        "condition_noised",
        "You noise the condition as well; in use the input is known exactly, so it stays as it is.",
        lambda net, x0, c, t, e, bars: F.mse_loss(
            _image(net, x0, q_sample(c, t, torch.zeros_like(c), bars), t, e, bars), x0
        ),
    ),
    (
        "clean_image",
        "You show the network the right answer itself: it would learn to copy it, whatever the condition.",
        lambda net, x0, c, t, e, bars: F.mse_loss(net(x0, t, c), x0),
    ),
    (
        "condition_left_out",
        "You give the network zeros in the place of the condition: it would draw any answer to any input.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, torch.zeros_like(c), t, e, bars), x0),
    ),
    (
        "compared_with_x_t",
        "You compare the answer with `x_t`; the clean `x0` is wanted.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), q_sample(x0, t, e, bars)),
    ),
    (
        "absolute",
        "You take absolute differences: their best answer is a median, and the sampler needs the mean.",
        lambda net, x0, c, t, e, bars: F.l1_loss(_image(net, x0, c, t, e, bars), x0),
    ),
    (
        "summed",
        "You sum the squares: the loss then grows with the batch and the image.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), x0, reduction="sum"),
    ),
    (
        "one_loss_per_sample",
        "You return one loss for each sample; the mean runs over the batch as well.",
        lambda net, x0, c, t, e, bars: (_image(net, x0, c, t, e, bars) - x0).square().flatten(1).mean(1),
    ),
    (
        "halved",
        "You halve the squares.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), x0) / 2,
    ),
    (
        "root",
        "You take the root of the mean; the loss is the mean of the squares.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), x0).sqrt(),
    ),
    (
        "detached",
        "You cut the graph behind the network: it could not learn from this loss.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars).detach(), x0),
    ),
    (
        "a_number",
        "You return a Python number; the loop needs a tensor whose `.backward()` it can call.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, e, bars), x0).item(),
    ),
    (
        "own_noise",
        "You draw a noise of your own; use the one that is given, so that the checker can compare.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c, t, torch.randn_like(e), bars), x0),
    ),
    (
        "no_time",
        "You ask the network without the time (you give zeros): it then has to guess the amount of noise.",
        lambda net, x0, c, t, e, bars: F.mse_loss(net(q_sample(x0, t, e, bars), torch.zeros_like(t), c), x0),
    ),
    (
        "condition_of_another",
        "You give each sample the condition of another one of the batch: pairs have to stay pairs.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net, x0, c.roll(1, 0), t, e, bars), x0),
    ),
    (
        "switched_to_eval",
        "You switch the network to eval mode: it is being trained.",
        lambda net, x0, c, t, e, bars: F.mse_loss(_image(net.eval(), x0, c, t, e, bars), x0),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("backward_called", "You call `.backward()` yourself: the loop does that, after `zero_grad`.")
def _(net: nn.Module, x0: Tensor, c: Tensor, t: Tensor, noise: Tensor, bars: Tensor) -> Tensor:
    loss = F.mse_loss(_image(net, x0, c, t, noise, bars), x0)
    loss.backward(retain_graph=True)
    return loss


ex.right(lambda net, x0, c, t, e, bars: (net(q_sample(x0, t, e, bars), t, c) - x0).square().mean())


@ex.right
def _(net: nn.Module, x0: Tensor, condition: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor) -> Tensor:
    shape = (-1, *[1] * (x0.dim() - 1))
    bar = alpha_bars[t].view(shape)
    x_t = bar.sqrt().to(x0) * x0 + (1 - bar).sqrt().to(x0) * noise
    error: Tensor = x0 - net(x_t, t, condition)
    return (error**2).sum() / error.numel()


@ex.right
def _(net: nn.Module, x0: Tensor, condition: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor) -> Tensor:
    image = net(q_sample(x0, t, noise, alpha_bars), t, condition)
    return torch.stack([F.mse_loss(one, wanted) for one, wanted in zip(image, x0, strict=True)]).mean()


@ex.right
def _(net: nn.Module, x0: Tensor, condition: Tensor, t: Tensor, noise: Tensor, alpha_bars: Tensor) -> Tensor:
    x_t = q_sample(x0, t, noise, alpha_bars)
    return nn.MSELoss()(input=net(x_t, t, condition).view_as(x_t), target=x0)


ex.background("A conditional diffusion model answers", "In training the right answer")
ex.breach("Make $x_t$ from `x0`", "clean_image")
ex.breach("from `x0`, `t` and the given `noise`", "own_noise")
ex.breach("ask the network for the image, `net(x_t, t, condition)`", "no_time")
ex.breach("ask the network for the image, `net(x_t, t, condition)`", "condition_of_another")
ex.breach("The condition is never noised", "condition_noised")
ex.breach("Return the mean squared error", "absolute")
ex.breach("between the network's image and `x0`", "names_the_noise")
ex.breach("$$L = ", "halved")
ex.breach("The mean runs over all numbers of the batch", "one_loss_per_sample")
ex.breach("so the result is a scalar tensor", "one_loss_per_sample")
ex.breach("The loop will call", "a_number")
ex.breach("its gradient must reach every parameter of `net`", "detached")
ex.breach("Do not call `.backward()` yourself", "backward_called")
ex.breach("leave the network as it is", "switched_to_eval")
