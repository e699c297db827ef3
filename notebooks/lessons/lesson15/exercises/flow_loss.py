"""Lesson 15: the loss of flow matching."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import left_behind
from gantrans.teaching.exercises.kinds.probing import loss_and_gradients
from lessons.lesson15.exercises._fields import ToyField, frozen

ex = Exercise(
    id="flow_loss",
    lesson="15",
    title="The loss of flow matching",
    difficulty=2,
    minutes=8,
    spec=r"""
    Every pair of a sample and a noise has a straight path, which is at the sample at time 0 and at the noise
    at time 1. Take the place at time `t` on it,

    $$x_t = (1 - t)\,x_0 + t\,\varepsilon,$$

    where $x_0$ is `data` and $\varepsilon$ is `noise`, both `(B, ...)`, and `t` is `(B,)`, a time for each
    pair. The velocity on this path is the same at all times, $\varepsilon - x_0$. Ask the network for its
    velocity, `net(x_t, t)`, and return the mean squared error between the two. The mean runs over all numbers
    of the batch, so the result is a scalar tensor. Its gradient must reach every parameter of `net`. Do not
    call `.backward()` yourself, and leave the network as it is.
    """,
    hints=(
        "Three lines: the place, the network's answer, the comparison.",
        "`t.view(-1, *[1] * (data.dim() - 1))` gives `t` the axes of an image; the network gets `t` itself.",
        "`F.mse_loss(net(x_t, t), noise - data)` is a scalar tensor with a graph.",
    ),
    source="Liu, Gong, Liu 2023, eq. 1; Lipman et al. 2023, eq. 23 (both count time the other way); Esser et "
    "al. 2024, sec. 2 (as here).",
    equivalent={
        "`F.mse_loss(velocity, noise - data)` -> `F.mse_loss(noise - data, velocity)`": "no sign matters",
        "4.4 value.detach()": "neither data nor noise ask for a gradient",
        "3.4 value.detach()": "a time asks for no gradient",
        "3.4 value.float()": "times are float32 already",
    },
)


@ex.reference
def flow_loss(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """net(x, t), data and noise (B, ...), t (B,) in [0, 1] -> scalar loss with its graph."""
    time = t.view(-1, *[1] * (data.dim() - 1))
    x_t = (1 - time) * data + time * noise
    velocity = net(x_t, t)
    return F.mse_loss(velocity, noise - data)


@ex.probe
def _(answer: Answer, net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> dict[str, Any]:
    net.to(data.device)
    return loss_and_gradients(answer(net, data, noise, t), net)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 4.0]])
    noise, t = points.flip(0).flip(1) / 2 - 1, torch.tensor([0.5, 0.25, 0.9])
    images = torch.linspace(-1, 1, 8).view(2, 1, 2, 2)
    turned = torch.linspace(-2, 1, 6).view(2, 3).T  # not contiguous
    return [
        (ToyField(2, 1), points, noise, t),
        (ToyField(2, 2), points[:1], noise[:1], torch.tensor([0.7])),
        (ToyField(2, 3), points, noise, torch.tensor([0.0, 1.0, 0.0])),
        (ToyField(4, 4), images, -images.flip(-1), torch.tensor([0.2, 0.75])),
        (ToyField(2, 5), turned, noise, t),
        (ToyField(2, 6), 20 * points, 5 * noise, t),
        (ToyField(2, 7), points, points, t),
        (left_behind(ToyField(2, 8)), points, noise, t),
        (frozen(ToyField(2, 9)), points, noise, t),
        (ToyField(2, 10).eval(), points, noise, t),
        (ToyField(2, 11), points[:2], noise[:2], torch.tensor([0.1, 0.8])),  # B = width
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = case.choice(((case.height,), (1, case.height, case.width), (2,)))
    t = torch.rand(case.batch, generator=case.generator).to(case.dtype)
    net = ToyField(int(torch.tensor(shape).prod()), case.seed, case.dtype)
    return net, case.randn(case.batch, *shape), case.randn(case.batch, *shape), t


def _place(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    time = t.view(-1, *[1] * (data.dim() - 1))
    return (1 - time) * data + time * noise


for name, misconception, answer in (
    (
        "wrong_end",
        "You stand at the noise at time 0 and at the sample at time 1; time 0 is the clean end.",
        lambda net, x, e, t: F.mse_loss(net(_place(e, x, t), t), e - x),
    ),
    (
        "velocity_turned",
        "You take the sample minus the noise: as time rises, the path leads *to* the noise.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), x - e),
    ),
    (
        "both_turned",
        "You let time run the other way, from noise at 0 to the sample at 1, as some papers do.",
        lambda net, x, e, t: F.mse_loss(net(_place(e, x, t), t), x - e),
    ),
    (
        "asks_for_the_image",
        "You ask for the sample; this network is asked for the velocity.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), x),
    ),
    (
        "asks_for_the_noise",
        "You ask for the noise, as in lesson 01; this network is asked for the velocity.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), e),
    ),
    (
        "what_is_left",
        "You ask for what is left of the way, x_t - x0; the velocity is that of the whole path.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), _place(x, e, t) - x),
    ),
    (
        "at_the_data",
        "You ask the network at the sample itself, not at the place that was reached at time t.",
        lambda net, x, e, t: F.mse_loss(net(x, t), e - x),
    ),
    (
        "at_the_noise",
        "You ask the network at the noise, whatever the time.",
        lambda net, x, e, t: F.mse_loss(net(e, t), e - x),
    ),
    (
        "roots",
        "You mix with square roots, as diffusion does; this path is a straight line.",
        lambda net, x, e, t: F.mse_loss(net(_rooted(x, e, t), t), e - x),
    ),
    (
        "noise_added",
        "You add t times the noise to the whole sample: at time 1 the sample would still be there.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, x + e, t), t), e - x),
    ),
    (
        "no_time",
        "You do not tell the network the time (you give zeros).",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), torch.zeros_like(t)), e - x),
    ),
    (
        "time_left",
        "You tell the network 1 - t, the time that is left.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), 1 - t), e - x),
    ),
    (
        "in_timesteps",
        "You tell the network 1000 t; here it takes the time from 0 to 1.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), 1000 * t), e - x),
    ),
    (
        "first_time_for_all",
        "You use the first time for the whole batch; every pair has its own.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t[:1].expand_as(t)), t), e - x),
    ),
    (
        "own_noise",
        "You draw a noise of your own: the velocity then belongs to another path.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, torch.randn_like(e), t), t), e - x),
    ),
    (
        "summed",
        "You sum the squares; the loss then grows with the batch and the image.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), e - x, reduction="sum"),
    ),
    (
        "sum_per_sample",
        "You sum over each sample and average over the batch; the mean runs over all numbers.",
        lambda net, x, e, t: (net(_place(x, e, t), t) + x - e).square().flatten(1).sum(1).mean(),
    ),
    (
        "one_loss_per_sample",
        "You return one loss for each sample; the mean runs over the batch as well.",
        lambda net, x, e, t: (net(_place(x, e, t), t) + x - e).square().flatten(1).mean(1),
    ),
    (
        "absolute",
        "You take absolute differences: their best answer is a median, and the field is a mean.",
        lambda net, x, e, t: F.l1_loss(net(_place(x, e, t), t), e - x),
    ),
    (
        "halved",
        "You halve the squares.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), e - x) / 2,
    ),
    (
        "root",
        "You take the root of the mean.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), e - x).sqrt(),
    ),
    (
        "detached",
        "You cut the graph behind the network: it could not learn from this loss.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t).detach(), e - x),
    ),
    (
        "a_number",
        "You return a Python number; the loop needs a tensor whose `.backward()` it can call.",
        lambda net, x, e, t: F.mse_loss(net(_place(x, e, t), t), e - x).item(),
    ),
    (
        "broadcast_from_the_right",
        "You multiply `(B,)` with `(B, ...)` as it is: broadcasting starts from the right.",
        lambda net, x, e, t: F.mse_loss(net((1 - t) * x + t * e, t), e - x),
    ),
    (
        "one_axis_more",
        "You give `t` one more axis, `t[:, None]`; an image has three besides its place in the batch.",
        lambda net, x, e, t: F.mse_loss(net((1 - t[:, None]) * x + t[:, None] * e, t), e - x),
    ),
):
    ex.wrong(name, misconception, answer)


def _rooted(data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    time = t.view(-1, *[1] * (data.dim() - 1))
    return (1 - time).sqrt() * data + time.sqrt() * noise


@ex.wrong("backward_called", "You call `.backward()` yourself: the loop does that, after `zero_grad`.")
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    loss = F.mse_loss(net(_place(data, noise, t), t), noise - data)
    loss.backward(retain_graph=True)
    return loss


@ex.wrong("no_return", "You compute the loss and return nothing: a `return` is missing.")
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> None:
    flow_loss(net, data, noise, t)


@ex.wrong("switched_to_eval", "You switch the network to eval mode: it is being trained.")
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    return F.mse_loss(net.eval()(_place(data, noise, t), t), noise - data)


ex.right(lambda net, x, e, t: (x - e + net(_place(x, e, t), t)).square().mean())


@ex.right
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    wanted = noise - data
    x_t = data + torch.einsum("b,b...->b...", t, wanted)
    error: Tensor = net(x_t, t) - wanted
    return (error**2).sum() / error.numel()


@ex.right
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    places = torch.stack([torch.lerp(x, e, s) for e, x, s in zip(noise, data, t, strict=True)])
    guess = net(places, t)
    return torch.stack([F.mse_loss(g, e - x) for g, x, e in zip(guess, data, noise, strict=True)]).mean()


@ex.right
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    time = t[(...,) + (None,) * (data.ndim - 1)]
    x_t = noise - (1 - time) * (noise - data)
    return nn.MSELoss()(input=net(x_t, t).view_as(x_t), target=noise - data)


@ex.right
def _(net: nn.Module, data: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    shape = (len(t),) + (1,) * (data.dim() - 1)
    x_t = t.reshape(shape) * noise + (1.0 - t).reshape(shape) * data
    return torch.mean(torch.pow(net(x_t, t) - noise + data, 2))


ex.background("Every pair of a sample and a noise has a straight path")
ex.breach("Take the place at time `t` on it", "at_the_data")
ex.breach("Take the place at time `t` on it", "wrong_end")
ex.breach("$$x_t = ", "roots")
ex.breach("where $x_0$ is `data`", "both_turned")
ex.breach("a time for each pair", "first_time_for_all")
ex.breach("The velocity on this path", "velocity_turned")
ex.breach("Ask the network for its velocity", "time_left")
ex.breach("return the mean squared error between the two", "absolute")
ex.breach("The mean runs over all numbers of the batch", "sum_per_sample")
ex.breach("so the result is a scalar tensor", "one_loss_per_sample")
ex.breach("Its gradient must reach every parameter", "detached")
ex.breach("Do not call `.backward()` yourself", "backward_called")
ex.breach("leave the network as it is", "switched_to_eval")
