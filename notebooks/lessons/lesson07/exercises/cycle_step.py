"""Lesson 07: both generators' step against two discriminators that must not move."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from lessons.lesson07.exercises._players import DTYPE, ToyD, ToyG

Weights = tuple[float, float, float]

ex = Exercise(
    id="cycle_step",
    lesson="07",
    title="Move G and leave D alone",
    difficulty=4,
    minutes=15,
    spec=r"""
    One step of both generators: `g_a` (SEM → layout) and `g_b` (layout → SEM). `d_a` judges layouts given
    their SEM image, `d_a(sem, layout)`; `d_b` judges SEM images given their layout, `d_b(layout, sem)`. With
    `weights` = (GAN, L1, cycle), the loss is

    $$\lambda_\text{GAN} \cdot \tfrac12 \left[ \operatorname{mean} (d_a(\text{fake layout}) - 1)^2 +
    \operatorname{mean} (d_b(\text{fake SEM}) - 1)^2 \right] + \lambda_{L1} L_\text{pixel} +
    \lambda_\text{cyc} L_\text{cycle},$$

    where the L1 losses are sums over both directions. *Add* its gradients to the `.grad` of both generators'
    parameters and return the loss without its graph (`loss.detach()`). The discriminators must be as before:
    their `.grad` may hold what their own step has left there and must not change, and their parameters must
    still require gradients.
    """,
    hints=(
        "The gradient has to go *through* D to the fake, so nothing may be detached. D's own parameters "
        "just must not collect any.",
        "Before: `requires_grad_(False)` on both D's; after: `requires_grad_(True)`. Or name those who "
        "shall collect: `loss.backward(inputs=[...])`.",
        "Fakes once: `layout_fake, sem_fake = g_a(sem), g_b(layout)`. Cycle: "
        "`F.l1_loss(g_b(layout_fake), sem)` and its mirror image.",
        "`loss.backward(inputs=[*g_a.parameters(), *g_b.parameters()])`, then `return loss.detach()`.",
    ),
    source="Zhu et al. 2017 (CycleGAN); Isola et al. 2017 (paired L1, conditional D); Mao et al. 2017 "
    "(least squares).",
    equivalent={
        "-> `F.l1_loss(layout, layout_fake)`": "a distance is symmetric",
        "-> `F.l1_loss(sem, sem_fake)`": "a distance is symmetric",
        "-> `F.l1_loss(sem, g_b(layout_fake))`": "a distance is symmetric",
        "-> `F.l1_loss(layout, g_a(sem_fake))`": "a distance is symmetric",
        "-> `1 - d_": "the square forgets the sign",
        "value.detach()": "what is returned is detached already",
        "12.4 value.float()": "one of the terms in float32 moves the loss by less than the tolerance",
    },
)


@ex.reference
def cycle_step(
    sem: Tensor,
    layout: Tensor,
    g_a: torch.nn.Module,
    g_b: torch.nn.Module,
    d_a: torch.nn.Module,
    d_b: torch.nn.Module,
    weights: tuple[float, float, float],
) -> Tensor:
    """sem, layout (B, 1, H, W), four networks, weights (GAN, L1, cycle) -> detached loss; fills G's .grad."""
    layout_fake, sem_fake = g_a(sem), g_b(layout)
    fooled_a = (d_a(sem, layout_fake) - 1).square().mean()
    fooled_b = (d_b(layout, sem_fake) - 1).square().mean()
    pixel = F.l1_loss(layout_fake, layout) + F.l1_loss(sem_fake, sem)
    cycle = F.l1_loss(g_b(layout_fake), sem) + F.l1_loss(g_a(sem_fake), layout)
    loss = weights[0] * (fooled_a + fooled_b) / 2 + weights[1] * pixel + weights[2] * cycle
    loss.backward(inputs=[*g_a.parameters(), *g_b.parameters()])
    return loss.detach()


def _with_grad(network: ToyG | ToyD, *gradient: float) -> ToyG | ToyD:
    network.weights.grad = torch.tensor(gradient, dtype=DTYPE)
    return network


@ex.edges
def _() -> list[Args]:
    sem = torch.tensor([-0.5, 0.25, 0.75, 0.1]).view(1, 1, 2, 2)
    layout = torch.tensor([-1.0, 1.0, 1.0, -1.0]).view(1, 1, 2, 2)
    fresh = ToyG(2.0, 0.5, 0.1), ToyG(0.5, -0.25, 0.2), ToyD(0.5, 1.0, -0.5), ToyD(-0.3, 0.8, 0.4)
    used = (
        *(_with_grad(ToyG(1.0, -0.5, 0.3), 1.0, 2.0, 3.0), _with_grad(ToyG(0.4, 0.3, -0.1), 0.5, 0.0, -1.0)),
        *(_with_grad(ToyD(0.2, 0.7, 0.1), -1.0, 4.0, 2.0), _with_grad(ToyD(0.6, -0.8, 0.4), 0.1, 0.2, 0.3)),
    )
    choices = (1.0, 100.0, 10.0), (1.0, 0.0, 0.0), (0.0, 0.0, 10.0), (0.0, 1.0, 0.0)
    return [(sem, layout, *players, w) for players in (fresh, used) for w in choices]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    players = [kind(*case.randn(3).tolist()) for kind in (ToyG, ToyG, ToyD, ToyD)]
    if case.seed % 2:
        players = [_with_grad(player, *case.randn(3).tolist()) for player in players]
    weights = 1.0, case.choice((0.0, 10.0, 100.0)), case.choice((0.0, 10.0))
    return case.randn(*shape).clamp(-1, 1), case.randn(*shape).sign(), *players, weights


def _loss(
    sem: Tensor,
    layout: Tensor,
    g_a: ToyG,
    g_b: ToyG,
    d_a: ToyD,
    d_b: ToyD,
    weights: Weights,
    *,
    aim: float = 1.0,
    blind: bool = False,
    unconditional: bool = False,
) -> Tensor:
    """The loss; `blind` detaches fakes before D, `unconditional` gives D the fake as its own condition."""
    gan, l1, cyc = weights
    fakes = g_a(sem), g_b(layout)
    total = sem.new_zeros(())
    for critic, given, fake in zip((d_a, d_b), (sem, layout), fakes, strict=True):
        seen = fake.detach() if blind else fake
        total = total + gan * (critic(seen if unconditional else given, seen) - aim).square().mean() / 2
    for fake, wanted in zip(fakes, (layout, sem), strict=True):
        total = total + l1 * (fake - wanted).abs().mean()
    for back, fake, start in ((g_b, fakes[0], sem), (g_a, fakes[1], layout)):
        total = total + cyc * (back(fake) - start).abs().mean()
    return total


def _reweighted(args: Sequence[Any], *, gan: float = 1.0, cycle: float = 1.0) -> Tensor:
    """The loss with two of its weights multiplied."""
    sem, layout, g_a, g_b, d_a, d_b, weights = args
    return _loss(sem, layout, g_a, g_b, d_a, d_b, (gan * weights[0], weights[1], cycle * weights[2]))


def _pulled(loss: Tensor, networks: Sequence[ToyG]) -> Tensor:
    """Add the loss's gradients to these networks alone."""
    loss.backward(inputs=[network.weights for network in networks])
    return loss.detach()


ex.wrong(
    "fake_detached",
    "You detach the fakes before D, as in D's own step: the generators then learn nothing from the "
    "discriminators.",
    lambda *args: _pulled(_loss(*args, blind=True), args[2:4]),
)
ex.wrong(
    "only_a",
    "You move `g_a` only; both generators are trained by one loss.",
    lambda *args: _pulled(_loss(*args), args[2:3]),
)
ex.wrong(
    "not_halved",
    "You sum the adversarial terms of both directions; each has the weight 0.5.",
    lambda *args: _pulled(_reweighted(args, gan=2.0), args[2:4]),
)
ex.wrong(
    "aims_at_zero",
    "You let the generators aim at 0, which is D's target for fakes; they want D to say 1.",
    lambda *args: _pulled(_loss(*args, aim=0.0), args[2:4]),
)
ex.wrong(
    "critics_swapped",
    "You show fakes to the wrong discriminator: `d_a` judges what `g_a` makes.",
    lambda sem, layout, a, b, d_a, d_b, weights: _pulled(_loss(sem, layout, a, b, d_b, d_a, weights), (a, b)),
)
ex.wrong(
    "unconditional",
    "You do not show D the condition: it can then not say whether fake and input fit.",
    lambda *args: _pulled(_loss(*args, unconditional=True), args[2:4]),
)
ex.wrong(
    "no_backward",
    "You return the loss and call no `backward`: no gradient has been taken.",
    lambda *args: _loss(*args).detach(),
)
ex.wrong(
    "no_cycle",
    "You leave the cycle loss out.",
    lambda *args: _pulled(_reweighted(args, cycle=0.0), args[2:4]),
)


@ex.wrong(
    "d_learns_too",
    "You call `backward()` for everybody: D collects gradients that teach it to be fooled, and its next "
    "step takes them.",
)
def _(*args: Any) -> Tensor:
    loss = _loss(*args)
    loss.backward()
    return loss.detach()


@ex.wrong("left_frozen", "You freeze D and do not thaw it: from now on it cannot learn at all.")
def _(*args: Any) -> Tensor:
    for critic in args[4:6]:
        critic.requires_grad_(False)
    return _pulled(_loss(*args), args[2:4])


@ex.wrong(
    "d_erased",
    "You clear D's gradients afterwards: that also throws away what D's own step had left there.",
)
def _(*args: Any) -> Tensor:
    loss = _loss(*args)
    loss.backward()
    for critic in args[4:6]:
        critic.zero_grad()
    return loss.detach()


@ex.wrong(
    "overwritten",
    "You overwrite the generators' `.grad` (or clear it first); gradients are added, so that they can be "
    "accumulated.",
)
def _(*args: Any) -> Tensor:
    for generator in args[2:4]:
        generator.zero_grad()
    return _pulled(_loss(*args), args[2:4])


@ex.wrong(
    "step_taken", "You also change the weights; the optimiser's step comes later and is not yours here."
)
def _(*args: Any) -> Tensor:
    loss = _pulled(_loss(*args), args[2:4])
    torch.optim.SGD([generator.weights for generator in args[2:4]], 0.1).step()
    return loss


@ex.wrong(
    "graph_kept", "You return the loss with its graph: whoever keeps it keeps all of the step's memory."
)
def _(*args: Any) -> Tensor:
    loss = _loss(*args)
    _pulled(loss, args[2:4])
    return loss


@ex.wrong(
    "cycle_detached",
    "You detach the fakes before the way back: the first generator of each trip learns nothing from "
    "the cycle.",
)
def _(sem: Tensor, layout: Tensor, g_a: ToyG, g_b: ToyG, d_a: ToyD, d_b: ToyD, weights: Weights) -> Tensor:
    loss = _loss(sem, layout, g_a, g_b, d_a, d_b, (weights[0], weights[1], 0.0))
    for there, back, start in ((g_a, g_b, sem), (g_b, g_a, layout)):
        loss = loss + weights[2] * (back(there(start).detach()) - start).abs().mean()
    return _pulled(loss, (g_a, g_b))


@ex.wrong("weights_rotated", "You have the weights in another order: it is GAN, L1, cycle.")
def _(*args: Any) -> Tensor:
    gan, l1, cyc = args[6]
    return _pulled(_loss(*(*args[:6], (gan, cyc, l1))), args[2:4])


@ex.wrong(
    "pixel_halved", "You average the L1 losses over the directions; only the adversarial part is halved."
)
def _(*args: Any) -> Tensor:
    gan, l1, cyc = args[6]
    return _pulled(_loss(*(*args[:6], (gan, l1 / 2, cyc / 2))), args[2:4])


@ex.wrong("cross_entropy", "You take the cross-entropy of the logits; this loss squares their distance to 1.")
def _(*args: Any) -> Tensor:
    sem, layout, g_a, g_b, d_a, d_b, (gan, l1, cyc) = args
    loss = _loss(*(*args[:6], (0.0, l1, cyc)))
    for critic, given, fake in ((d_a, sem, g_a(sem)), (d_b, layout, g_b(layout))):
        loss = loss + gan * F.softplus(-critic(given, fake)).mean() / 2
    return _pulled(loss, args[2:4])


@ex.wrong("arguments_turned", "You give D the image first; the condition comes first.")
def _(*args: Any) -> Tensor:
    sem, layout, g_a, g_b, d_a, d_b, (gan, l1, cyc) = args
    loss = _loss(*(*args[:6], (0.0, l1, cyc)))
    for critic, given, fake in ((d_a, sem, g_a(sem)), (d_b, layout, g_b(layout))):
        loss = loss + gan * (critic(fake, given) - 1).square().mean() / 2
    return _pulled(loss, args[2:4])


ex.right(lambda *args: _pulled(_loss(*args), args[2:4]))


@ex.right
def _(*args: Any) -> Tensor:
    for parameter in chain.from_iterable(critic.parameters() for critic in args[4:6]):
        parameter.requires_grad = False
    loss = _loss(*args)
    loss.backward()
    for critic in args[4:6]:
        critic.requires_grad_(True)
    return loss.detach()


@ex.right
def _(*args: Any) -> Tensor:
    own = [*args[2].parameters(), *args[3].parameters()]
    loss = _loss(*args)
    for parameter, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
    return loss.detach()


@ex.right
def _(sem: Tensor, layout: Tensor, g_a: ToyG, g_b: ToyG, d_a: ToyD, d_b: ToyD, weights: Weights) -> Tensor:
    # D judges through copies of its weights that are constants
    def judge(critic: ToyD, condition: Tensor, image: Tensor) -> Tensor:
        fixed = {name: value.detach() for name, value in critic.named_parameters()}
        logits: Tensor = torch.func.functional_call(critic, fixed, (condition, image))
        return logits

    gan, l1, cyc = weights
    to_layout, to_sem = g_a(sem), g_b(layout)
    loss = l1 * ((to_layout - layout).abs().mean() + (to_sem - sem).abs().mean())
    loss = loss + cyc * ((sem - g_b(to_layout)).abs().mean() + (layout - g_a(to_sem)).abs().mean())
    verdicts = torch.cat([judge(d_a, sem, to_layout), judge(d_b, layout, to_sem)])
    loss = loss + gan * F.mse_loss(verdicts, torch.ones_like(verdicts))
    loss.backward()
    return loss.detach()


ex.breach("One step of both generators:", "only_a")
ex.breach("`g_a` (SEM → layout) and `g_b` (layout → SEM).", lambda s, t, a, b, *rest: _pulled(
    _loss(s, t, b, a, *rest), (a, b)))  # fmt: skip
ex.breach("`d_a` judges layouts given their SEM image", "critics_swapped")
ex.breach("With `weights` = (GAN, L1, cycle)", "weights_rotated")
ex.breach("operatorname{mean} (d_a(", "not_halved")
ex.breach("where the L1 losses are sums over both directions", "pixel_halved")
ex.breach("*Add* its gradients to the `.grad`", "overwritten")
ex.breach("return the loss without its graph", "graph_kept")
ex.breach("The discriminators must be as before", "d_learns_too")
ex.breach("The discriminators must be as before", "left_frozen")
