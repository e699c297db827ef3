"""Lesson 00: the training loop of a translator."""

from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise, left_behind
from lessons.lesson00.exercises._loops import l2, loop_with, moved, without_graph
from lessons.lesson00.exercises._translators import ToyTranslator, frozen
from lessons.lesson00.exercises.augment_pair import augment_pair

ex = StepExercise(
    id="train_translator",
    lesson="00",
    title="The training loop as a function",
    difficulty=2,
    minutes=12,
    patience=900.0,
    spec="""
    Train `net` with Adam (over all of `net.parameters()`, learning rate `lr`, everything else as PyTorch has
    it) for `steps` steps. `sem` and `layout` are the pairs, both (N, 1, S, S). Each step draws, in this order
    and both with `generator` and on the device of `sem`, because the checker compares with the same draws:

    1. which pairs: `torch.randint(len(sem), (batch,))`, so that one may come twice;
    2. one move for the whole batch: `torch.randint(8, (1,))`. Numbers from 4 on mirror, and the rest of a
       division by 4 says how many quarter turns; `augment_pair` does both.

    Then the step: the loss L1 is the mean absolute difference between what the network makes of the moved SEM
    images and the moved layouts; `zero_grad`, `backward`, `step`. Clear the gradients *before* `backward`:
    `.grad` may hold something when you are called. Return the losses of all steps, a list of `steps` floats.
    Leave the mode of the network (train or eval) as it is.
    """,
    hints=(
        "The loop stands on the page above. What was fixed there is an argument here, and the optimiser is "
        "made once, before the loop.",
        "`move = int(torch.randint(8, (1,), generator=generator, device=sem.device))`, then "
        "`augment_pair(sem[chosen], layout[chosen], move >= 4, move % 4)`.",
        "`optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`, then "
        "`losses.append(loss.item())`: `.item()` lets go of the graph.",
    ),
    source="Isola et al. 2017 (pix2pix), the L1 term alone; Kingma, Ba 2015 (Adam).",
    equivalent={
        "value.detach()": "the pairs carry no graph, and neither do draws",
        "value.float()": "everything is float32 already",
        "value.double()": "the loss is the last thing computed: its gradient comes back as float32",
    },
)


@ex.reference
def train_translator(
    net: nn.Module,
    sem: Tensor,
    layout: Tensor,
    steps: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
) -> list[float]:
    """net, sem and layout (N, 1, S, S) float32 -> the `steps` losses; `net` is trained in place."""
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(sem), (batch,), generator=generator, device=sem.device)
        move = int(torch.randint(8, (1,), generator=generator, device=sem.device))
        x, y = augment_pair(sem[chosen], layout[chosen], move >= 4, move % 4)
        loss = (net(x) - y).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _pairs(count: int, size: int, seed: int) -> tuple[Tensor, Tensor]:
    layout = torch.randn(count, 1, size, size, generator=_seeded(seed)).sign()
    noise = torch.randn(layout.shape, generator=_seeded(seed + 1))
    return 0.3 * layout + 0.2 * noise, layout


@ex.edges
def _() -> list[Args]:
    sem, layout = _pairs(5, 4, 0)
    turned = (sem.mT, layout.mT)  # not contiguous
    return [
        (ToyTranslator(1), sem, layout, 4, 3, 0.05, _seeded(1)),
        (ToyTranslator(1), sem, layout, 4, 3, 0.05, _seeded(2)),
        (ToyTranslator(2), sem, layout, 1, 1, 0.1, _seeded(3)),
        (ToyTranslator(3), sem, layout, 0, 4, 0.1, _seeded(4)),
        (ToyTranslator(4), sem, layout, 3, 8, 0.02, _seeded(5)),  # more than there are
        (ToyTranslator(5), sem[:1], layout[:1], 5, 2, 0.05, _seeded(6)),  # one pair
        (ToyTranslator(6), *turned, 6, 2, 0.05, _seeded(8)),
        (left_behind(ToyTranslator(7)), sem, layout, 3, 3, 0.05, _seeded(9)),
        (frozen(ToyTranslator(8)), sem, layout, 3, 3, 0.05, _seeded(10)),
        (ToyTranslator(9).eval(), sem, layout, 3, 3, 0.05, _seeded(11)),
        (ToyTranslator(10), 9 * sem, layout, 3, 3, 1.0, _seeded(12)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    sem, layout = _pairs(case.integer(2, 7), case.integer(2, 6), case.seed)
    return (
        ToyTranslator(case.seed),
        sem,
        layout,
        case.integer(3, 6),
        case.integer(1, 4),
        0.02,
        _seeded(case.seed),
    )


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
    ("squared", "You square the difference (L2); L1 takes its absolute value.", loop_with(own_loss=l2)),
    (
        "signed",
        "You average the difference with its sign: too bright here and too dark there then cancel.",
        loop_with(own_loss=lambda answer, layout: (answer - layout).mean()),
    ),
    (
        "summed",
        "You sum the absolute differences; L1 is their mean, so that it does not depend on the image's size.",
        loop_with(own_loss=lambda answer, layout: (answer - layout).abs().sum()),
    ),
    (
        "in_unit_range",
        "You halve the difference, as if images ran from 0 to 1; here they run from -1 to 1.",
        loop_with(own_loss=lambda answer, layout: (answer - layout).abs().mean() / 2),
    ),
    (
        "sem_only",
        "You move the SEM image and not its layout: the pair no longer fits.",
        loop_with(own_move=lambda sem, layout, move: (moved(sem, sem, move)[0], layout)),
    ),
    (
        "not_moved",
        "You draw the move and do not use it.",
        loop_with(own_move=lambda sem, layout, move: (sem, layout)),
    ),
    (
        "never_mirrored",
        "You draw quarter turns only: mirrored pairs never come.",
        loop_with(moves=4),
    ),
    (
        "always_mirrored",
        "You mirror with the small numbers: 4 to 7 mirror, 0 to 3 do not.",
        loop_with(own_move=lambda sem, layout, move: augment_pair(sem, layout, move < 4, move % 4)),
    ),
    (
        "parity",
        "You take mirror and turns from other parts of the number: 4 and above mirror, and the rest of the "
        "division by 4 turns.",
        loop_with(own_move=lambda sem, layout, move: augment_pair(sem, layout, move % 2 == 1, move // 2)),
    ),
    (
        "a_move_each",
        "You draw a move for each pair; the batch has one in common.",
        loop_with(each=True),
    ),
    (
        "one_batch",
        "You draw once, before the loop: all steps then see the same few pairs.",
        loop_with(once=True),
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
        "first_half_forgotten",
        "You set Adam's betas as GANs have them (0.5); here they stay as PyTorch has them.",
        loop_with(optimiser=lambda parameters, lr: torch.optim.Adam(parameters, lr, (0.5, 0.999))),
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
        "eval_mode",
        "You switch the network to eval mode, and it stays there; it is being trained.",
        loop_with(before=lambda net: net.eval()),
    ),
    (
        "train_mode",
        "You switch the network to train mode; here that is the caller's choice.",
        loop_with(before=lambda net: net.train()),
    ),
    ("whole_data", "You take all pairs in every step instead of a batch.", loop_with(whole=True)),
    (
        "move_first",
        "You draw the move before the pairs; the order is pairs, move.",
        loop_with(draw="mp"),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("mean_loss", "You return the mean of the losses; the curve of all steps is wanted.")
def _(*args: Any) -> float:
    losses = train_translator(*args)
    return sum(losses) / max(1, len(losses))


@ex.wrong("last_loss", "You return the last loss only; the curve of all steps is wanted.")
def _(*args: Any) -> list[float]:
    return train_translator(*args)[-1:]


@ex.wrong("no_return", "You forget to return the losses.")
def _(*args: Any) -> None:
    train_translator(*args)


@ex.wrong(
    "shuffled", "You shuffle and take the first ones, so none comes twice; `randint` may draw one twice."
)
def _(
    net: nn.Module, sem: Tensor, layout: Tensor, steps: int, batch: int, lr: float, draws: torch.Generator
) -> list[float]:
    adam, losses = torch.optim.Adam(net.parameters(), lr=lr), []
    for _ in range(steps):
        chosen = torch.randperm(len(sem), generator=draws)[:batch]
        x, y = moved(sem[chosen], layout[chosen], int(torch.randint(8, (1,), generator=draws)))
        loss = nn.functional.l1_loss(net(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


ex.right(loop_with(report=lambda loss: float(loss.detach())))
ex.right(loop_with(order=("zero", "backward", "step", "zero")))
ex.right(loop_with(report=lambda loss: loss.tolist()))


@ex.right
def _(
    net: nn.Module,
    sem: Tensor,
    layout: Tensor,
    steps: int,
    batch: int,
    lr: float,
    generator: torch.Generator,
) -> list[float]:
    optimiser = torch.optim.Adam(params=[{"params": list(net.parameters())}], lr=lr)
    curve = torch.zeros(steps)
    for n in range(steps):
        rows = torch.randint(0, sem.shape[0], size=(batch,), generator=generator, device=sem.device)
        move = torch.randint(0, 8, (1,), generator=generator, device=sem.device).item()
        both = torch.cat([sem.index_select(0, rows), layout.index_select(0, rows)], dim=1)
        both = both.flip(3) if move // 4 else both
        both = torch.rot90(both, int(move), (2, 3))
        for p in net.parameters():
            p.grad = None
        loss = torch.nn.functional.l1_loss(net(both[:, :1]), both[:, 1:])
        loss.backward()
        optimiser.step()
        curve[n] = loss.detach()
    return [float(value) for value in curve.tolist()]


ex.breach("Train `net` with Adam", "adamw")
ex.breach("learning rate `lr`", "fixed_rate")
ex.breach("everything else as PyTorch has", "first_half_forgotten")
ex.breach("for `steps` steps", "one_step_short")
ex.breach("`sem` and `layout` are the pairs", "sem_only")
ex.breach("in this order", "move_first")
ex.breach("both with `generator`", "global_random")
ex.breach("on the device of `sem`", loop_with(here=False))
ex.breach("which pairs", "whole_data")
ex.breach("so that one may come twice", "shuffled")
ex.breach("one move for the whole batch", "a_move_each")
ex.breach("`torch.randint(8, (1,))`", "never_mirrored")
ex.breach("Numbers from 4 on mirror", "always_mirrored")
ex.breach("the rest of a division by 4", "parity")
ex.breach("`augment_pair` does both", "not_moved")
ex.breach("Then the step", "step_first")
ex.breach("the mean absolute difference", "squared")
ex.breach("the mean absolute difference", "summed")
ex.breach("moved layouts", "sem_only")
ex.breach("`zero_grad`, `backward`, `step`", "no_step")
ex.breach("`zero_grad`, `backward`, `step`", loop_with(own_loss=without_graph))
ex.breach("`zero_grad`, `backward`, `step`", loop_with(order=("zero", "step")))
ex.breach("`zero_grad`, `backward`, `step`", loop_with(order=("backward", "zero", "step")))
ex.breach("Clear the gradients *before* `backward`", "cleared_after")
ex.breach("`.grad` may hold something", "no_zero_grad")
ex.breach("Return the losses of all steps", "losses_with_graph")
ex.breach("a list of `steps` floats", "last_loss")
ex.breach("Leave the mode of the network", "train_mode")
