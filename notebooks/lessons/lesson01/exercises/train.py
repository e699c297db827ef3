"""Lesson 01: the training loop of a diffusion model."""

from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise, left_behind
from lessons.lesson01.exercises._denoisers import ToyDenoiser, frozen
from lessons.lesson01.exercises._loops import loop_with
from lessons.lesson01.exercises.diffusion_loss import diffusion_loss
from lessons.lesson01.exercises.q_sample import q_sample

ex = StepExercise(
    id="train",
    lesson="01",
    title="The training loop",
    difficulty=3,
    minutes=15,
    patience=900.0,
    spec=r"""
    Train `net` with Adam (over all of `net.parameters()`, learning rate `lr`, everything else as PyTorch has
    it) for `steps` steps. Each step draws, in this order and all with `generator` and on the device of `x0`,
    because the checker compares with the same draws:

    1. which samples: `torch.randint(len(x0), (batch,))`, so that one may come twice;
    2. a timestep for each of them: `torch.randint(len(alpha_bars), (batch,))`;
    3. the noise: `torch.randn(x.shape)`, where `x` are the chosen samples.

    Then the step: `diffusion_loss`, `zero_grad`, `backward`, `step`. Clear the gradients *before* `backward`:
    `.grad` may hold something when you are called. Return the losses of all steps, a list of `steps` floats.
    Leave the mode of the network (train or eval) as it is.
    """,
    hints=(
        "The optimiser is made once, before the loop: Adam remembers the gradients of earlier steps.",
        "`torch.randint(len(x0), (batch,), generator=generator, device=x0.device)`; the other two alike.",
        "`optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`, then "
        "`losses.append(loss.item())`: `.item()` lets go of the graph.",
    ),
    source="Ho, Jain, Abbeel 2020, algorithm 1; Kingma, Ba 2015 (Adam).",
    equivalent={
        "14.8 value.detach()": "the data carry no graph",
        "15.8 value.detach()": "timesteps carry no graph",
        "16.8 value.detach()": "the noise carries no graph",
        "14.8 value.float()": "the data are float32 already",
        "16.8 value.float()": "the noise is float32 already",
        "17.8 value.float()": "the loss is float32 already",
        "17.8 value.double()": "the loss is the last thing computed: its gradient comes back as float32",
    },
)


@ex.reference
def train(
    net: nn.Module,
    x0: Tensor,
    alpha_bars: Tensor,
    steps: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
) -> list[float]:
    """net, x0 (N, ...) float32, alpha_bars (T,) float64 -> the `steps` losses; `net` is trained in place."""
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=x0.device)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=x0.device)
        noise = torch.randn(x.shape, generator=generator, device=x0.device)
        loss = diffusion_loss(net, x, t, noise, alpha_bars)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@ex.edges
def _() -> list[Args]:
    points = torch.tensor([[1.0, 2.0], [-3.0, 0.5], [0.0, 4.0], [2.0, -2.0], [0.3, 0.1]])
    bars = torch.cumprod(torch.linspace(0.99, 0.6, 9, dtype=torch.float64), 0)
    images = torch.linspace(-1, 1, 24).view(6, 1, 2, 2)
    turned = torch.linspace(-2, 1, 10).view(2, 5).T  # not contiguous
    return [
        (ToyDenoiser(2, 1), points, bars, 4, 3, 0.05, _seeded(1)),
        (ToyDenoiser(2, 1), points, bars, 4, 3, 0.05, _seeded(2)),
        (ToyDenoiser(2, 2), points, bars, 1, 1, 0.1, _seeded(3)),
        (ToyDenoiser(2, 3), points, bars, 0, 4, 0.1, _seeded(4)),
        (ToyDenoiser(2, 4), points, bars, 3, 8, 0.02, _seeded(5)),  # more than there are
        (ToyDenoiser(2, 5), points[:1], bars[:1], 3, 2, 0.05, _seeded(6)),  # one sample, one timestep
        (ToyDenoiser(4, 6), images, bars, 5, 2, 0.01, _seeded(7)),
        (ToyDenoiser(2, 7), turned, bars, 3, 2, 0.05, _seeded(8)),
        (left_behind(ToyDenoiser(2, 8)), points, bars, 3, 3, 0.05, _seeded(9)),
        (frozen(ToyDenoiser(2, 9)), points, bars, 3, 3, 0.05, _seeded(10)),
        (ToyDenoiser(2, 10).eval(), points, bars, 3, 3, 0.05, _seeded(11)),
        (ToyDenoiser(2, 11), 30 * points, bars, 3, 3, 1.0, _seeded(12)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    x0 = torch.randn(case.integer(2, 9), case.height, generator=case.generator)
    bars = torch.cumprod(1 - 0.4 * torch.rand(case.integer(2, 40), generator=case.generator).double(), 0)
    net = ToyDenoiser(case.height, case.seed)
    return net, x0, bars, case.integer(2, 6), case.integer(1, 4), 0.02, _seeded(100 + case.seed)


def _without_graph(*args: Any) -> Tensor:
    with torch.no_grad():
        return diffusion_loss(*args).requires_grad_()


for name, misconception, answer in (
    (
        "no_zero_grad",
        "You never clear the gradients: they add up over the steps.",
        loop_with(order=("backward", "step")),
    ),
    (
        "no_step",
        "You leave out `step()` or `backward()`, or clear the gradients between them (or work under "
        "`no_grad`): the network stays as it was.",
        loop_with(order=("zero", "backward")),
    ),
    (
        "step_first",
        "You step before `backward`: each step goes along the gradients of the step before.",
        loop_with(order=("step", "zero", "backward")),
    ),
    (
        "cleared_after",
        "You clear the gradients after the step only: what `.grad` held before goes into the first one.",
        loop_with(order=("backward", "step", "zero")),
    ),
    ("t_from_1", "You draw t from 1 on: in code the first timestep is 0.", loop_with(first_t=1)),
    (
        "one_t",
        "You draw one timestep for the whole batch; each sample has its own.",
        loop_with(one_t=True),
    ),
    (
        "new_optimiser",
        "You make a new optimiser in every step: Adam then forgets its running means.",
        loop_with(per_step=True),
    ),
    (
        "sgd",
        "You use plain gradient descent (SGD); Adam scales every parameter's step.",
        loop_with(optimiser=torch.optim.SGD),
    ),
    (
        "adamw",
        "You use AdamW, which also shrinks all weights a little in every step.",
        loop_with(optimiser=torch.optim.AdamW),
    ),
    (
        "fixed_rate",
        "You do not use `lr`: Adam's default is 0.001.",
        loop_with(optimiser=lambda parameters, lr: torch.optim.Adam(parameters)),
    ),
    (
        "losses_with_graph",
        "You keep the losses as tensors: each holds the graph of its step, and memory grows.",
        loop_with(report=lambda loss: loss),
    ),
    (
        "global_random",
        "You draw without `generator`: nobody could repeat your training.",
        loop_with(generated=lambda generator: None),
    ),
    (
        "own_generator",
        "You draw with a generator of your own; the one you are given goes unused.",
        loop_with(generated=lambda generator: torch.Generator().manual_seed(0)),
    ),
    ("one_step_short", "You take one step too few.", loop_with(fewer=1)),
    (
        "fresh_target",
        "You draw the noise twice: the network sees one and is asked for the other.",
        loop_with(fresh_target=True),
    ),
    (
        "eval_mode",
        "You switch the network to eval mode, and it stays there; it is being trained.",
        loop_with(before=lambda net: net.eval()),
    ),
    (
        "train_mode",
        "You switch the network to train mode; here that is the caller's choice.",
        loop_with(before=lambda net: net.train()),
    ),
    ("whole_data", "You take all samples in every step instead of a batch.", loop_with(whole=True)),
    (
        "t_first",
        "You draw the timesteps before the samples; the order is samples, t, noise.",
        loop_with(draw="txn"),
    ),
    (
        "noise_first",
        "You draw the noise before the timesteps; the order is samples, t, noise.",
        loop_with(draw="xnt"),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("mean_loss", "You return the mean of the losses; the curve of all steps is wanted.")
def _(*args: Any) -> float:
    losses = train(*args)
    return sum(losses) / max(1, len(losses))


@ex.wrong("last_loss", "You return the last loss only; the curve of all steps is wanted.")
def _(*args: Any) -> list[float]:
    return train(*args)[-1:]


@ex.wrong("no_return", "You forget to return the losses.")
def _(*args: Any) -> None:
    train(*args)


@ex.wrong(
    "shuffled", "You shuffle and take the first ones, so none comes twice; `randint` may draw one twice."
)
def _(
    net: nn.Module, x0: Tensor, bars: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    adam, losses = torch.optim.Adam(net.parameters(), lr=lr), []
    for _ in range(steps):
        x = x0[torch.randperm(len(x0), generator=generator)[:batch]]
        t = torch.randint(len(bars), (len(x),), generator=generator)
        loss = diffusion_loss(net, x, t, torch.randn(x.shape, generator=generator), bars)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


ex.right(loop_with(report=lambda loss: float(loss.detach())))
ex.right(loop_with(order=("zero", "backward", "step", "zero")))


@ex.right
def _(
    net: nn.Module, x0: Tensor, bars: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Adam by hand: running means of gradients and of their squares, both corrected for their start at 0."""
    weights = [p for p in net.parameters() if p.requires_grad]
    means, squares = [torch.zeros_like(p) for p in weights], [torch.zeros_like(p) for p in weights]
    losses = []
    for n in range(1, steps + 1):
        rows = torch.randint(0, x0.shape[0], (batch,), generator=generator, device=x0.device)
        t = torch.randint(0, bars.numel(), (batch,), generator=generator, device=x0.device)
        noise = torch.randn(batch, *x0.shape[1:], generator=generator, device=x0.device)
        loss = diffusion_loss(net, x0[rows], t, noise, bars)
        for p, m, s, g in zip(weights, means, squares, torch.autograd.grad(loss, weights), strict=True):
            m.lerp_(g, 0.1)
            s.mul_(0.999).addcmul_(g, g, value=0.001)
            with torch.no_grad():
                p.sub_(lr * (m / (1 - 0.9**n)) / ((s / (1 - 0.999**n)).sqrt() + 1e-8))
        losses.append(float(loss.detach()))
    return losses


@ex.right
def _(
    net: nn.Module, x0: Tensor, bars: Tensor, steps: int, batch: int, lr: float, generator: torch.Generator
) -> list[float]:
    optimiser = torch.optim.Adam([{"params": [p]} for p in net.parameters()], lr)
    kept = torch.zeros(steps)
    for n in range(steps):
        x = x0.index_select(0, torch.randint(len(x0), (batch,), generator=generator, device=x0.device))
        t = torch.randint(high=len(bars), size=(batch,), generator=generator, device=x0.device)
        noise = torch.empty_like(x, memory_format=torch.contiguous_format).normal_(generator=generator)
        for p in net.parameters():
            p.grad = None
        loss = (net(q_sample(x, t, noise, bars), t) - noise).pow(2).mean()
        loss.backward()
        optimiser.step()
        kept[n] = loss.detach()
    return [float(v) for v in kept.tolist()]


ex.breach("Train `net` with Adam", "adamw")
ex.breach("learning rate `lr`", "fixed_rate")
ex.breach("for `steps` steps", "one_step_short")
ex.breach("in this order", "t_first")
ex.breach("all with `generator`", "global_random")
ex.breach("on the device of `x0`", loop_with(here=False))
ex.breach("which samples", "whole_data")
ex.breach("so that one may come twice", "shuffled")
ex.breach("a timestep for each of them", "one_t")
ex.breach("`torch.randint(len(alpha_bars), (batch,))`", "t_from_1")
ex.breach("the noise:", "noise_first")
ex.breach("`torch.randn(x.shape)`, where `x` are the chosen samples", "fresh_target")
ex.breach("Then the step", "step_first")
ex.breach("`diffusion_loss`, `zero_grad`, `backward`, `step`", "no_step")
ex.breach("`diffusion_loss`, `zero_grad`, `backward`, `step`", loop_with(own_loss=_without_graph))
ex.breach("`diffusion_loss`, `zero_grad`, `backward`, `step`", loop_with(order=("zero", "step")))
ex.breach("`diffusion_loss`, `zero_grad`, `backward`, `step`", loop_with(order=("backward", "zero", "step")))
ex.breach("Clear the gradients *before* `backward`", "cleared_after")
ex.breach("`.grad` may hold something", "no_zero_grad")
ex.breach("Return the losses of all steps", "losses_with_graph")
ex.breach("a list of `steps` floats", "last_loss")
ex.breach("Leave the mode of the network", "train_mode")
