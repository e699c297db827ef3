"""Lesson 17: a network trained on one single pair, the test of a pipeline."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise, left_behind
from lessons.lesson00.exercises._translators import ToyTranslator, frozen
from lessons.lesson17.exercises._one_pair import loop_with

ex = StepExercise(
    id="overfit_one",
    lesson="17",
    title="Learn one pair by heart",
    difficulty=2,
    minutes=10,
    patience=900.0,
    spec=r"""
    Train `net` on one single pair, `x` and `y` of shape `(1, C, H, W)`, until it has learnt it by heart.
    Use Adam over `net.parameters()` with the rate `lr`, and everything else as PyTorch has it. The loss
    is L1, the mean absolute difference between `net(x)` and `y`. In each round compute the loss and note
    it. If it is below `enough`, stop at once, without a step, so that the network is the one that made
    the last noted loss. Else take a step: `zero_grad`, `backward`, `step`. Clear the gradients *before*
    `backward`, because `.grad` may hold something when you are called. There are at most `most` rounds,
    and a step belongs to the last one too. Return the noted losses as a list of floats. Leave the mode of
    the network (train or eval) as it is.
    """,
    hints=(
        "The loop of lesson 00 without batches and moves, and with one line that leaves it.",
        "`for _ in range(most):`, in it `loss = F.l1_loss(net(x), y)`, `losses.append(loss.item())`, and "
        "`if losses[-1] < enough: break`.",
        "After the `break`: `optimiser.zero_grad()`, `loss.backward()`, `optimiser.step()`.",
    ),
    source="Karpathy 2019, “A recipe for training neural networks”: overfit a single batch first.",
    equivalent={
        "`float` -> `double`": "an annotation",
        "value.float()": "everything is float32 already",
        "value.double()": "the loss is the last thing computed: its gradient comes back as float32",
        "F.l1_loss(net(x), y)` -> `F.l1_loss(y, net(x))`": "a distance is symmetric",
        "`losses[-1] < enough` -> `losses[-1] <= enough`": "no loss is exactly `enough`",
    },
)


@ex.reference
def overfit_one(net: nn.Module, x: Tensor, y: Tensor, lr: float, enough: float, most: int) -> list[float]:
    """net, one pair (1, C, H, W), rate, loss that is small enough, most rounds -> losses; net is trained."""
    optimiser = torch.optim.Adam(net.parameters(), lr=lr)
    losses: list[float] = []
    for _ in range(most):
        loss = F.l1_loss(net(x), y)
        losses.append(loss.item())
        if losses[-1] < enough:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return losses


def _pair(height: int, width: int, seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    y = torch.randn(1, 1, height, width, generator=draw).sign()
    return 0.5 * y + 0.4 * torch.randn(y.shape, generator=draw), 0.8 * y


@ex.edges
def _() -> list[Args]:
    pair = _pair(4, 5, 0)
    return [
        (ToyTranslator(1), *pair, 0.05, 0.0, 4),
        (ToyTranslator(1), *pair, 0.1, 0.45, 30),
        (ToyTranslator(2), *pair, 0.05, 9.0, 5),  # small enough from the start
        (ToyTranslator(3), *pair, 0.05, 0.1, 0),
        (ToyTranslator(3), *pair, 0.05, 0.1, 1),
        (left_behind(ToyTranslator(4)), *pair, 0.05, 0.3, 4),
        (frozen(ToyTranslator(5)), *pair, 0.1, 0.3, 5),
        (ToyTranslator(6).eval(), *pair, 0.1, 0.5, 12),
        (ToyTranslator(7), *(image.mT for image in pair), 0.1, 0.4, 8),  # not contiguous
        (ToyTranslator(8), pair[0], 3 * pair[1], 0.3, 0.2, 5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    pair = _pair(case.integer(3, 6), case.integer(3, 6), 100 + case.seed)
    return ToyTranslator(case.seed), *pair, 0.08, case.choice((0.0, 0.4, 0.5)), case.integer(4, 12)


for name, misconception, answer in (
    (
        "no_zero_grad",
        "You never clear the gradients: they add up over the steps.",
        loop_with(order=("backward", "step")),
    ),
    (
        "no_step",
        "You leave out `step()` or `backward()`, or clear the gradients between them: the network stays as "
        "it was.",
        loop_with(order=("zero", "backward")),
    ),
    (
        "cleared_after",
        "You clear the gradients after the step only: what `.grad` held before goes into the first one.",
        loop_with(order=("backward", "step", "zero")),
    ),
    (
        "step_when_enough",
        "You take one more step after a loss that is small enough: the network is no longer the one that "
        "made it.",
        loop_with(stop="after"),
    ),
    (
        "never_enough",
        "You do not look at `enough`: all rounds are made.",
        loop_with(stop="never"),
    ),
    (
        "too_much_is_enough",
        "You stop while the loss is still *above* `enough`.",
        loop_with(enough_at=lambda loss, enough: loss > enough),
    ),
    (
        "noted_after_the_step",
        "You note the loss after the step; note the one that was computed before it.",
        loop_with(noted_after=True),
    ),
    (
        "squared",
        "You square the difference (L2); L1 takes its absolute value.",
        loop_with(own_loss=F.mse_loss),
    ),
    (
        "summed",
        "You sum the absolute differences; L1 is their mean.",
        loop_with(own_loss=lambda made, y: (made - y).abs().sum()),
    ),
    (
        "signed",
        "You average the difference with its sign: too bright here and too dark there then cancel.",
        loop_with(own_loss=lambda made, y: (made - y).mean()),
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
        "gan_betas",
        "You set Adam's betas as GANs have them (0.5); here they stay as PyTorch has them.",
        loop_with(optimiser=lambda parameters, lr: torch.optim.Adam(parameters, lr, (0.5, 0.999))),
    ),
    (
        "fixed_rate",
        "You do not use `lr`: Adam's default is 0.001.",
        loop_with(optimiser=lambda parameters, lr: torch.optim.Adam(parameters)),
    ),
    (
        "one_round_short",
        "You make one round too few.",
        loop_with(rounds=lambda most: most - 1),
    ),
    (
        "one_round_more",
        "You make one round too many.",
        loop_with(rounds=lambda most: most + 1),
    ),
    (
        "losses_with_graph",
        "You keep the losses as tensors: each holds the graph of its round, and memory grows.",
        loop_with(report=lambda loss: loss),
    ),
    (
        "last_loss",
        "You return the last loss only; all of them are wanted.",
        loop_with(returned=lambda losses: losses[-1:]),
    ),
    (
        "returned_nothing",
        "You train and return nothing: a `return` is missing.",
        loop_with(returned=lambda losses: None),
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
):
    ex.wrong(name, misconception, answer)

ex.right(loop_with())
ex.right(loop_with(order=("zero", "backward", "step", "zero"), report=lambda loss: float(loss.detach())))


@ex.right
def _(net: nn.Module, x: Tensor, y: Tensor, lr: float, enough: float, most: int) -> list[float]:
    """With `while`."""
    adam = torch.optim.Adam(list(net.parameters()), lr)
    losses: list[float] = []
    while len(losses) < most:
        adam.zero_grad(set_to_none=False)
        loss = (net(x) - y).abs().mean()
        losses += [loss.item()]
        if loss.item() < enough:
            return losses
        loss.backward()
        adam.step()
    return losses


@ex.right
def _(net: nn.Module, x: Tensor, y: Tensor, lr: float, enough: float, most: int) -> Any:
    """With a flag, and gradients that are handed over."""
    optimiser = torch.optim.Adam(params=net.parameters(), lr=lr)
    curve, going, rounds = [], True, 0
    while going and rounds < most:
        value = torch.nn.L1Loss()(net(x), y)
        curve.append(value.item())
        going = not curve[-1] < enough
        if going:
            learning = [p for p in net.parameters() if p.requires_grad]
            for p, gradient in zip(learning, torch.autograd.grad(value, learning), strict=True):
                p.grad = gradient
            optimiser.step()
        rounds += 1
    return curve


ex.background("Train `net` on one single pair")
ex.breach("Use Adam over `net.parameters()`", "sgd")
ex.breach("with the rate `lr`", "fixed_rate")
ex.breach("everything else as PyTorch has it", "gan_betas")
ex.breach("The loss is L1", "squared")
ex.breach("In each round compute the loss and note it", "noted_after_the_step")
ex.breach("If it is below `enough`", "step_when_enough")
ex.breach("Else take a step:", "no_step")
ex.breach("`zero_grad`, `backward`, `step`", "no_step")
ex.breach("Clear the gradients *before* `backward`", "no_zero_grad")
ex.breach("There are at most `most` rounds", "one_round_more")
ex.breach("Return the noted losses", "losses_with_graph")
ex.breach("Leave the mode of the network", "train_mode")
