"""Lesson 07: there and back again, in both directions."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from lessons.lesson07.exercises._players import ToyG

G = Callable[[Tensor], Tensor]

ex = Exercise(
    id="cycle_loss",
    lesson="07",
    title="There and back again",
    difficulty=2,
    minutes=8,
    spec=r"""
    `g_a` makes a layout from a SEM image, `g_b` makes a SEM image from a layout. Who goes there and back
    should arrive where he started, from either side:

    $$L_\text{cycle} = \operatorname{mean} |G_B(G_A(\text{sem})) - \text{sem}| + \operatorname{mean}
    |G_A(G_B(\text{layout})) - \text{layout}|.$$

    Both generators learn from both halves, so the gradient must flow through both translations of each round
    trip. The two batches may differ in size.
    """,
    hints=(
        "Name the steps: `there = g_a(sem)`, `back = g_b(there)`; compare `back` with `sem`.",
        "Everything stays in the graph: no `detach`, no `no_grad`. `F.l1_loss` is the mean absolute "
        "difference.",
        "`F.l1_loss(g_b(g_a(sem)), sem) + F.l1_loss(g_a(g_b(layout)), layout)`",
    ),
    source="Zhu et al. 2017 (CycleGAN), eq. 2.",
    gradients=("sem", "layout"),
    equivalent={
        "-> `F.l1_loss(sem, g_b(g_a(sem)))`": "a distance is symmetric",
        "-> `F.l1_loss(layout, g_a(g_b(layout)))`": "a distance is symmetric",
    },
)


@ex.reference
def cycle_loss(sem: Tensor, layout: Tensor, g_a: torch.nn.Module, g_b: torch.nn.Module) -> Tensor:
    """sem (B, 1, H, W), layout (B', 1, H, W) in [-1, 1]; g_a: sem -> layout, g_b: layout -> sem -> scalar."""
    from_sem = F.l1_loss(g_b(g_a(sem)), sem)
    from_layout = F.l1_loss(g_a(g_b(layout)), layout)
    return from_sem + from_layout


@ex.edges
def _() -> list[Args]:
    sem = torch.tensor([-0.5, 0.25, 0.75]).view(1, 1, 1, 3)
    layout = torch.tensor([-1.0, 1.0, 1.0]).view(1, 1, 1, 3)
    a, b = ToyG(2.0, 0.5, 0.1), ToyG(0.5, -0.25, 0.2)
    three = torch.cat([layout, -layout, 0.5 * layout])
    return [
        *((sem, layout, a, b), (sem, layout, b, a), (layout, sem, a, b), (0 * sem, layout, a, b)),
        *((sem, three, a, b), (three, sem, a, b), (sem, torch.cat([layout, 0 * layout]), a, b)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (1, case.height, case.width)
    sem, layout = case.randn(case.batch, *shape).clamp(-1, 1), case.randn(case.integer(1, 3), *shape).sign()
    return sem, layout, *(ToyG(*(case.randn(3) + 0.3).tolist()) for _ in range(2))


Answer = Callable[[Tensor, Tensor, G, G], Tensor]


def _trip(start: Tensor, there: G, back: G) -> Tensor:
    return (back(there(start)) - start).abs().mean()


ex.wrong(
    "one_half",
    "You go round from the SEM image only: nothing asks that a layout survives its round trip.",
    lambda sem, layout, a, b: _trip(sem, a, b),
)
ex.wrong(
    "generators_swapped",
    "You start with the wrong generator: `g_a` takes SEM images, `g_b` takes layouts.",
    lambda sem, layout, a, b: _trip(sem, b, a) + _trip(layout, a, b),
)
ex.wrong(
    "one_way",
    "You compare the translation with the start and never go back.",
    lambda sem, layout, a, b: F.l1_loss(a(sem), sem) + F.l1_loss(b(layout), layout),
)
ex.wrong(
    "identity",
    "You give each generator an image of its *target* domain; that is the identity loss.",
    lambda sem, layout, a, b: F.l1_loss(a(layout), layout) + F.l1_loss(b(sem), sem),
)
ex.wrong(
    "twice_the_same",
    "You use one generator for both ways of a trip; the way back belongs to the other.",
    lambda sem, layout, a, b: _trip(sem, a, a) + _trip(layout, b, b),
)
ex.wrong(
    "detached_middle",
    "You detach the image in the middle: the first generator of each trip learns nothing from it.",
    lambda sem, layout, a, b: F.l1_loss(b(a(sem).detach()), sem) + F.l1_loss(a(b(layout).detach()), layout),
)
ex.wrong(
    "no_graph",
    "You cut the graph (no_grad, detach of the loss, item): neither generator learns.",
    lambda sem, layout, a, b: (_trip(sem, a, b) + _trip(layout, b, a)).detach(),
)
ex.wrong(
    "squared",
    "You square the differences; the cycle loss is L1, which does not prefer a grey compromise.",
    lambda sem, layout, a, b: F.mse_loss(b(a(sem)), sem) + F.mse_loss(a(b(layout)), layout),
)
ex.wrong(
    "halved",
    "You take the mean of the two halves; their sum was asked for.",
    lambda sem, layout, a, b: (_trip(sem, a, b) + _trip(layout, b, a)) / 2,
)
ex.wrong(
    "summed",
    "You sum over pixels: the loss then grows with the size of the image.",
    lambda sem, layout, a, b: (b(a(sem)) - sem).abs().sum() + (a(b(layout)) - layout).abs().sum(),
)
ex.wrong(
    "no_absolute_value",
    "You average the differences without their absolute value: too bright and too dark cancel out.",
    lambda sem, layout, a, b: (b(a(sem)) - sem).mean() + (a(b(layout)) - layout).mean(),
)
ex.wrong(
    "needs_pairs",
    "You compare the translation with the other domain's image: that is the pixel loss of pairs; a cycle "
    "needs no pairs.",
    lambda sem, layout, a, b: (a(sem) - layout[:1]).abs().mean() + (b(layout) - sem[:1]).abs().mean(),
)


@ex.wrong(
    "second_frozen",
    "You freeze the generator of the way back: it learns from one half only.",
)
def _(sem: Tensor, layout: Tensor, g_a: ToyG, g_b: ToyG) -> Tensor:
    total = sem.new_zeros(())
    for start, there, back in ((sem, g_a, g_b), (layout, g_b, g_a)):
        middle = there(start)
        back.requires_grad_(False)
        total = total + (back(middle) - start).abs().mean()
        back.requires_grad_(True)
    return total


ex.wrong(
    "pooled",
    "You average over both trips together: the larger batch then has more say; each half has its own mean.",
    lambda sem, layout, a, b: (
        2 * torch.cat([(b(a(sem)) - sem).flatten(), (a(b(layout)) - layout).flatten()]).abs().mean()
    ),
)
ex.wrong(
    "pooled_mean",
    "You take one mean over everything; each half has a mean of its own, and the two are added.",
    lambda sem, layout, a, b: (
        torch.cat([(b(a(sem)) - sem).flatten(), (a(b(layout)) - layout).flatten()]).abs().mean()
    ),
)
ex.wrong(
    "other_half",
    "You go round from the layout only: nothing asks that a SEM image survives its round trip.",
    lambda sem, layout, a, b: _trip(layout, b, a),
)
ex.wrong(
    "weighted",
    "You multiply by the weight 10 of the cycle term; the weights come in later, where the losses are added.",
    lambda sem, layout, a, b: 10 * (_trip(sem, a, b) + _trip(layout, b, a)),
)


ex.right(lambda sem, layout, a, b: _trip(sem, a, b) + _trip(layout, b, a))
ex.right(
    lambda sem, layout, a, b: (
        torch.nn.L1Loss()(sem, b(a(sem))) + torch.nn.L1Loss(reduction="mean")(a(b(layout)), layout)
    )
)


@ex.right
def _(sem: Tensor, layout: Tensor, g_a: G, g_b: G) -> Tensor:
    total = sem.new_zeros(())
    for start, there, back in ((sem, g_a, g_b), (layout, g_b, g_a)):
        error = back(there(start)) - start
        total = total + torch.linalg.vector_norm(error, ord=1) / error.numel()
    return total


@ex.right
def _(sem: Tensor, layout: Tensor, g_a: G, g_b: G) -> Tensor:
    # each generator is called once, on everything it has to translate
    size = len(sem)
    fake_layout, fake_sem = g_a(sem), g_b(layout)
    back_layout = g_a(torch.cat([sem, fake_sem]))[size:]
    back_sem = g_b(torch.cat([layout, fake_layout]))[len(layout) :]
    return (back_sem - sem).abs().mean() + torch.mean(torch.abs(layout - back_layout))


ex.background("`g_a` makes a layout from a SEM image")
ex.breach("should arrive where he started, from either side", "one_half")
ex.breach(r"$$L_\text{cycle} = ", "squared")
ex.breach("Both generators learn from both halves", "detached_middle")
ex.breach("Both generators learn from both halves", "second_frozen")
ex.breach("The two batches may differ in size.", "pooled")
