"""Lesson 06: both turns in one function, with a slip that makes D's loss move G."""

from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepHunt
from lessons.lesson05.exercises._players import images
from lessons.lesson06.exercises._steps import scene, squares, whole_with

ex = StepHunt(
    id="whole_step",
    lesson="06",
    title="A step in which D's loss moves G",
    difficulty=3,
    minutes=10,
    spec="""
    One whole step with least squares. First comes D's turn, on the real images `y` and on what G makes of
    `x`, with half the sum of both mean squares. Then comes G's turn against the new D: its loss is D's
    verdict, aimed at 1, plus `weight_l1` times the mean absolute difference to `y`. `D(condition, image)`
    gives the logits and the list of maps. D's loss moves D alone, and G's loss moves G alone, whatever was
    in `.grad` before. Return both losses as floats, `(loss_d, loss_g)`. Leave the modes as they are, and D
    trainable. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Follow the gradient of `loss_d` backwards. Through which networks does it flow, and where is it "
        "collected?",
        "Why did somebody need `retain_graph=True`? Two losses go back through the same graph: G's.",
        "In D's turn the fake is a picture like any other: `D(x, fake.detach())`.",
    ),
    slip="In D's turn the fake has to be detached. With its graph, D's loss adds to G's gradients, and pushes"
    " G to be found out. The error that `retain_graph=True` silenced was the warning.",
    slip_code="made, _ = D(x, fake)",
    source="Goodfellow et al. 2014, algorithm 1; `lessons.lesson05.pix2pix.reference_step`.",
    equivalent={
        "`D.requires_grad_(False)`": "what D collects in G's turn is cleared in its own",
        "18.21 `False` -> `True`": "what D collects in G's turn is cleared in its own",
        "value.float()": "everything is float32 already",
        "value.double()": "a loss is the last thing computed: its gradient comes back as float32",
        "`real - 1` -> `1 - real`": "the square forgets the sign",
        "`verdict - 1` -> `1 - verdict`": "the square forgets the sign",
        "`fake - y` -> `y - fake`": "a distance is symmetric",
    },
)


@ex.reference
def whole_step(
    G: nn.Module,
    D: nn.Module,
    of_g: torch.optim.Optimizer,
    of_d: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    weight_l1: float,
) -> tuple[float, float]:
    """Both players, their optimisers, x and y (B, 1, H, W) -> D's loss, G's loss; both have moved."""
    fake = G(x)
    real, _ = D(x, y)
    made, _ = D(x, fake.detach())
    loss_d = 0.5 * ((real - 1).square().mean() + made.square().mean())
    of_d.zero_grad()
    loss_d.backward()
    of_d.step()
    D.requires_grad_(False)
    verdict, _ = D(x, fake)
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    of_g.zero_grad()
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@ex.bug
def _(
    G: nn.Module,
    D: nn.Module,
    of_g: torch.optim.Optimizer,
    of_d: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    weight_l1: float,
) -> tuple[float, float]:
    """Both players, their optimisers, x and y (B, 1, H, W) -> D's loss, G's loss; both have moved."""
    of_d.zero_grad()
    of_g.zero_grad()
    fake = G(x)
    real, _ = D(x, y)
    made, _ = D(x, fake)
    loss_d = 0.5 * ((real - 1).square().mean() + made.square().mean())
    loss_d.backward(retain_graph=True)  # without it the second backward fails
    of_d.step()
    D.requires_grad_(False)
    verdict, _ = D(x, fake)
    loss_g = (verdict - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    D.requires_grad_(True)
    return loss_d.item(), loss_g.item()


@ex.symptom
def _(answer: Answer) -> str:
    x, y = images(4, 6, 0)
    moved = []
    for step in (whole_step, answer):
        players = scene(3, x, y, 0.5, True, False)
        before = players["G"].weight.detach().clone()
        step(*players.values(), 0.0)
        moved.append((players["G"].weight - before).detach().flatten())
    agree = float(torch.cosine_similarity(moved[0], moved[1], dim=0))
    return (
        f"without L1 a toy generator moves by {moved[0].norm():.3f} in a right step and by "
        f"{moved[1].norm():.3f} in this one. The cosine of the angle between the two moves is {agree:.2f}."
    )


@ex.build
def _(
    seed: int, x: Tensor, y: Tensor, weight_l1: float, lr: float, plain: bool, evaluating: bool
) -> dict[str, Any]:
    return scene(seed, x, y, lr, plain, evaluating) | {"weight_l1": weight_l1}


@ex.edges
def _() -> list[Args]:
    x, y = images(3, 4, 0)
    return [
        (1, x, y, 1.5, 0.1, True, False),
        (2, x, y, 0.0, 0.1, True, False),
        (3, x[:1], y[:1], 0.3, 0.3, True, False),
        (4, x, y, 2.0, 0.05, False, False),
        (5, x.mT, y.mT, 0.7, 0.1, True, True),  # not contiguous, and in eval mode
    ]


@ex.inputs
def _(case: Case) -> Args:
    x, y = images(min(case.batch, 3), case.integer(2, 5), 100 + case.seed)
    return 10 + case.seed, x, y, case.choice((0.0, 0.5, 2.0)), 0.2, case.seed % 3 > 0, False


for name, misconception, answer in (
    (
        "still_with_graph",
        "D's loss still flows into G: the fake has its graph in D's turn, and what it leaves in G's `.grad` "
        "goes into G's step.",
        whole_with(shown=lambda fake: fake, zero="at the start"),
    ),
    (
        "detached_for_both",
        "You detach the fake for good: in G's turn D's verdict then teaches G nothing.",
        whole_with(again=lambda fake: fake.detach()),
    ),
    (
        "detached_in_the_other_turn",
        "You detach the fake in G's turn; it is in D's turn that no gradient may reach G.",
        whole_with(shown=lambda fake: fake, again=lambda fake: fake.detach(), zero="at the start"),
    ),
    (
        "fake_logits_detached",
        "You cut the graph behind D: D then learns nothing from fakes. Cut it before D.",
        whole_with(loss_d=lambda real, made: squares(real, made.detach())),
    ),
    ("never_cleared", "You do not clear the gradients of earlier steps.", whole_with(zero="never")),
    ("g_not_cleared", "You do not clear G's gradients of earlier steps.", whole_with(zero="D only")),
    ("d_not_cleared", "You do not clear D's gradients of earlier steps.", whole_with(zero="G only")),
    (
        "at_the_same_weights",
        "You take G's turn against the D of before; it plays against the new one.",
        whole_with(late=True),
    ),
    ("left_frozen", "You do not thaw D: in the next step it cannot learn.", whole_with(thaw=False)),
    (
        "not_halved",
        "You do not halve D's loss.",
        whole_with(loss_d=lambda real, made: 2 * squares(real, made)),
    ),
    (
        "labels_swapped",
        "You have the targets of real and fake the wrong way round in D's turn.",
        whole_with(loss_d=lambda real, made: squares(made, real)),
    ),
    (
        "g_aims_at_zero",
        "You let G aim at 0, D's target for fakes.",
        whole_with(verdict=lambda made: made.square().mean()),
    ),
    ("no_l1", "You leave the L1 part out.", whole_with(total=lambda gan, pixels, weight: gan)),
    ("l1_alone", "You leave D's verdict out of G's loss.",
     whole_with(total=lambda gan, pixels, weight: weight * pixels + 0 * gan)),
    (
        "weight_on_the_verdict",
        "You multiply D's verdict by `weight_l1`; it belongs to the L1 part.",
        whole_with(total=lambda gan, pixels, weight: weight * gan + pixels),
    ),
    (
        "to_the_condition",
        "You compare the fake with `x`; it should be like `y`.",
        whole_with(pixels=lambda fake, x, y: (fake - x).abs().mean()),
    ),
    (
        "condition_behind",
        "You give D the image first; the condition comes first.",
        whole_with(pair=lambda D, condition, image: D(image, condition)[0]),
    ),
    (
        "maps_judged",
        "You use the maps that D returns; the logits are the first of the two.",
        whole_with(pair=lambda D, condition, image: D(condition, image)[1][-1]),
    ),
    ("order", "You return G's loss first.", whole_with(report=lambda d, g: (g.item(), d.item()))),
    ("tensors", "You return the losses as tensors; floats were asked for.",
     whole_with(report=lambda d, g: (d, g))),
    ("one_loss", "You return one loss only.", whole_with(report=lambda d, g: g.item())),
    ("returned_nothing", "You forget to return the losses.", whole_with(report=lambda d, g: None)),
    ("eval_mode", "You switch a network to eval mode, and it stays there.",
     whole_with(mode=lambda G, D: (G.eval(), D.eval()))),
    ("train_mode", "You switch the networks to train mode; that is the caller's choice.",
     whole_with(mode=lambda G, D: (G.train(), D.train()))),
):  # fmt: skip
    ex.wrong(name, misconception, answer)

ex.right(whole_with(zero="at the start"))
ex.right(whole_with(shown=lambda fake: fake))  # G's gradients are cleared between the two


@ex.right
def _(G: Any, D: Any, of_g: Any, of_d: Any, x: Tensor, y: Tensor, weight_l1: float) -> tuple[float, float]:
    """The fake made twice, first without a graph."""
    of_d.zero_grad()
    of_g.zero_grad()
    with torch.no_grad():
        fake = G(x)
    loss_d = 0.5 * ((D(x, y)[0] - 1).square().mean() + D(x, fake)[0].square().mean())
    loss_d.backward()
    of_d.step()
    fake = G(x)
    loss_g = (D(x, fake)[0] - 1).square().mean() + weight_l1 * (fake - y).abs().mean()
    loss_g.backward()
    of_g.step()
    return loss_d.item(), loss_g.item()


@ex.right
def _(G: Any, D: Any, of_g: Any, of_d: Any, x: Tensor, y: Tensor, weight_l1: float) -> tuple[float, float]:
    """With the graph, and gradients for D's parameters alone."""
    fake = G(x)
    of_d.zero_grad()
    of_g.zero_grad()
    loss_d = squares(D(x, y)[0], D(x, fake)[0])
    loss_d.backward(retain_graph=True, inputs=list(D.parameters()))
    of_d.step()
    loss_g = (D(x, fake)[0] - 1).square().mean() + weight_l1 * nn.functional.l1_loss(fake, y)
    loss_g.backward(inputs=list(G.parameters()))
    of_g.step()
    return loss_d.item(), loss_g.item()


ex.background("One whole step with least squares", "Find it and mend it")
ex.breach("First comes D's turn", "not_halved")
ex.breach("on the real images `y` and on what G makes of `x`", "labels_swapped")
ex.breach("Then comes G's turn against the new D", "at_the_same_weights")
ex.breach("its loss is D's verdict, aimed at 1", "g_aims_at_zero")
ex.breach("its loss is D's verdict", "no_l1")
ex.breach("the mean absolute difference to `y`", "to_the_condition")
ex.breach("`D(condition, image)` gives the logits", "condition_behind")
ex.breach("D's loss moves D alone", "still_with_graph")
ex.breach("whatever was in `.grad`", "never_cleared")
ex.breach("Return both losses as floats", "tensors")
ex.breach("`(loss_d, loss_g)`", "order")
ex.breach("Leave the modes as they are", "eval_mode")
ex.breach("D trainable", "left_frozen")
ex.breach("The code below runs", "still_with_graph")
