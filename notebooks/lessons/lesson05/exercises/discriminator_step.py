"""Lesson 05: the discriminator's turn."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise
from lessons.lesson05.exercises._players import PairLoss, absolute, cross_entropy, images, players
from lessons.lesson05.exercises._turns import d_turn, logits, new_adam, of_all, step_slips

ex = StepExercise(
    id="discriminator_step",
    lesson="05",
    title="The discriminator's turn",
    kind="training step",
    difficulty=3,
    minutes=10,
    draws=5,
    left_gradients=("G",),
    behind=("G",),
    stays={"G": "it is D's turn"},
    spec="""
    `x` are the conditions, `y` the real images, and `fake` is what the generator made of `x` (all of them
    `(B, 1, H, W)`). `D(condition, image)` gives the logits and the list of maps, and
    `loss(real_logits, fake_logits)` is what D minimises. Take one step of `optimizer`, which holds D's
    parameters, along the gradient of this loss.

    `.grad` still holds what earlier turns have left there, so clear it *before* `backward`. `fake` carries
    the graph of the generator G, whose turn comes next with the same `fake`. In D's turn no gradient may
    flow into G, and the graph has to be there afterwards. Return the loss, as it was before the step, as a
    float. Leave the mode of D as it is.
    """,
    hints=(
        "`fake.detach()` is the same image without its graph; `fake` itself keeps it.",
        "`real, _ = D(x, y)` and `made, _ = D(x, fake.detach())`: condition first, and the maps are not "
        "needed.",
        "`value = loss(real, made)`, then `optimizer.zero_grad()`, `value.backward()`, `optimizer.step()`, "
        "`return value.item()`.",
    ),
    source="Goodfellow et al. 2014, algorithm 1; Isola et al. 2017, sec. 3.3. The first half of "
    "`lessons.lesson05.pix2pix.reference_step`.",
    equivalent={
        "value.float()": "everything is float32 already",
        "value.double()": "the loss is the last thing computed: its gradient comes back as float32",
    },
)


@ex.reference
def discriminator_step(
    D: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    fake: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> float:
    """D, its optimiser, x, y and fake (B, 1, H, W), loss(real logits, fake logits) -> loss; D is moved."""
    real_logits, _ = D(x, y)
    fake_logits, _ = D(x, fake.detach())
    value = loss(real_logits, fake_logits)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@ex.build
def _(
    seed: int, x: Tensor, y: Tensor, loss: PairLoss, lr: float, plain: bool, evaluating: bool
) -> dict[str, Any]:
    made = players(seed, x, of_d=True, lr=lr, plain=plain, evaluating=evaluating)
    names = {"D": made["D"], "optimizer": made["optimizer"], "x": x, "y": y, "fake": made["fake"]}
    return {**names, "loss": loss, "G": made["G"]}


@ex.edges
def _() -> list[Args]:
    x, y = images(3, 4, 0)
    return [
        (1, x, y, absolute, 0.1, False, False),
        (2, x, y, cross_entropy, 0.1, False, False),
        (3, x[:1], y[:1], absolute, 0.3, True, False),
        (4, x.mT, y.mT, cross_entropy, 0.2, False, True),  # not contiguous, and in eval mode
    ]


@ex.inputs
def _(case: Case) -> Args:
    x, y = images(min(case.batch, 3), case.integer(2, 5), 100 + case.seed)
    return 10 + case.seed, x, y, case.choice((absolute, cross_entropy)), 0.1, case.seed % 3 == 0, False


for name, misconception, answer in (
    (
        "not_detached",
        "You show D the fake with its graph: `backward` goes on into G and leaves gradients there that teach "
        "it to be found out.",
        d_turn(fakes=lambda D, x, y, fake: logits(D, x, fake)),
    ),
    (
        "detached_in_place",
        "You detach `fake` in place (`detach_`): its graph is gone for good, and G cannot take its turn.",
        d_turn(fakes=lambda D, x, y, fake: logits(D, x, fake.detach_())),
    ),
    *step_slips(d_turn, "D"),
    (
        "swapped",
        "You have real and fake the wrong way round: D would call fakes real.",
        d_turn(value=lambda loss, real, fake: loss(fake, real)),
    ),
    (
        "real_twice",
        "You judge the real images twice and the fakes never.",
        d_turn(fakes=lambda D, x, y, fake: logits(D, x, y)),
    ),
    (
        "fakes_twice",
        "You judge the fakes twice and the real images never.",
        d_turn(real=lambda D, x, y, fake: logits(D, x, fake.detach())),
    ),
    (
        "condition_behind",
        "You give D the image first; the condition comes first.",
        d_turn(
            real=lambda D, x, y, fake: logits(D, y, x),
            fakes=lambda D, x, y, fake: logits(D, fake.detach(), x),
        ),
    ),
    (
        "y_as_condition",
        "You judge the fakes under the real image; their condition is `x`, too.",
        d_turn(fakes=lambda D, x, y, fake: logits(D, y, fake.detach())),
    ),
    (
        "unconditional",
        "You show D no condition: it can then not say whether image and condition fit.",
        d_turn(
            real=lambda D, x, y, fake: logits(D, torch.zeros_like(x), y),
            fakes=lambda D, x, y, fake: logits(D, torch.zeros_like(x), fake.detach()),
        ),
    ),
    (
        "pair_to_the_loss",
        "You give `loss` the whole pair that D returns; it takes the logits, the first of the two.",
        d_turn(real=lambda D, x, y, fake: D(x, y), fakes=lambda D, x, y, fake: D(x, fake.detach())),
    ),
    (
        "maps_to_the_loss",
        "You give `loss` the maps; it takes the logits, the first of the two that D returns.",
        d_turn(
            real=lambda D, x, y, fake: D(x, y)[1][-1],
            fakes=lambda D, x, y, fake: D(x, fake.detach())[1][-1],
        ),
    ),
    (
        "fake_logits_detached",
        "You cut the graph of the fake *logits*: D learns nothing from fakes. Cut the graph of the fake "
        "*image*, before D sees it.",
        d_turn(fakes=lambda D, x, y, fake: logits(D, x, fake.detach()).detach()),
    ),
    (
        "real_logits_detached",
        "You cut the graph of the real logits: D learns nothing from real images.",
        d_turn(real=lambda D, x, y, fake: logits(D, x, y).detach()),
    ),
    (
        "own_loss",
        "You compute a loss of your own; `loss` says what D minimises.",
        d_turn(value=lambda loss, real, fake: ((real - 1).square().mean() + fake.square().mean()) / 2),
    ),
    (
        "halved",
        "You halve what `loss` gives; it is D's whole loss as it is.",
        d_turn(value=lambda loss, real, fake: loss(real, fake) / 2),
    ),
    (
        "uphill",
        "You go up the loss; D minimises it.",
        d_turn(value=lambda loss, real, fake: -loss(real, fake), report=lambda value: -value.item()),
    ),
    (
        "own_optimizer",
        "You make an optimiser of your own in the turn: Adam then forgets its running means.",
        d_turn(before=new_adam),
    ),
    (
        "eval_mode",
        "You switch D to eval mode, and it stays there; it is being trained.",
        d_turn(before=lambda D, optimizer: D.eval() and None),
    ),
    (
        "train_mode",
        "You switch D to train mode; here that is the caller's choice.",
        d_turn(before=lambda D, optimizer: D.train() and None),
    ),
    (
        "left_frozen",
        "You freeze D and do not thaw it.",
        d_turn(after=lambda D, optimizer: D.requires_grad_(False)),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "loss_after_the_step", "You return the loss of the D that has stepped already; return the one before."
)
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: PairLoss) -> float:
    discriminator_step(D, optimizer, x, y, fake, loss)
    return loss(D(x, y)[0], D(x, fake.detach())[0]).item()


ex.right(d_turn(report=lambda value: float(value.detach())))
ex.right(d_turn(order=("zero", "backward", "step", "zero")))


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: PairLoss) -> float:
    """One pass over real and fake images together."""
    both, _ = D(torch.cat([x, x]), torch.cat([y, fake.clone().detach()]))
    total = loss(*both.chunk(2))
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    total.backward()
    optimizer.step()
    return float(total.detach())


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: PairLoss) -> float:
    """With the graph, and gradients for D's parameters alone."""
    total = loss(D(x, y)[0], D(x, fake)[0])
    own = of_all(optimizer)
    for parameter, slope in zip(own, torch.autograd.grad(total, own, retain_graph=True), strict=True):
        parameter.grad = slope
    optimizer.step()
    return total.item()


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: PairLoss) -> float:
    with torch.no_grad():
        shown = fake + 0
    answers = [D(x, image)[0] for image in (y, shown)]
    optimizer.zero_grad(set_to_none=False)
    total = loss(real, made) if (real := answers[0]) is not (made := answers[1]) else loss(*answers)
    total.backward(inputs=list(D.parameters()))
    optimizer.step()
    return total.detach().numpy().item()  # type: ignore[no-any-return]


ex.breach("`x` are the conditions", "condition_behind")
ex.breach("`y` the real images", "real_twice")
ex.breach("`fake` is what the generator made of `x`", "y_as_condition")
ex.breach("`D(condition, image)` gives the logits and the list of maps", "pair_to_the_loss")
ex.breach("`loss(real_logits, fake_logits)` is what D minimises", "swapped")
ex.breach("Take one step of `optimizer`", "two_steps")
ex.breach("Take one step of `optimizer`", "no_step")
ex.breach("along the gradient of this loss", "uphill")
ex.breach("along the gradient of this loss", d_turn(order=("zero", "step")))
ex.breach("along the gradient of this loss", d_turn(order=("backward", "zero", "step")))
ex.breach("clear it *before* `backward`", "no_zero_grad")
ex.breach("clear it *before* `backward`", d_turn(order=("backward", "step", "zero")))
ex.breach("`fake` carries the graph of the generator G", "detached_in_place")
ex.breach("In D's turn no gradient may flow into G", "not_detached")
ex.breach("Return the loss, as it was before the step", "loss_after_the_step")
ex.breach("as a float", "with_graph")
ex.breach("Leave the mode of D as it is", "eval_mode")
