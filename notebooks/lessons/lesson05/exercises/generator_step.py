"""Lesson 05: the generator's turn."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import StepExercise
from lessons.lesson05.exercises._players import convincing, images, players, towards_two
from lessons.lesson05.exercises._turns import g_turn, l1, logits, of_all, step_slips, zeroed_afterwards

FakeLoss = Callable[[Tensor], Tensor]

ex = StepExercise(
    id="generator_step",
    lesson="05",
    title="The generator's turn",
    kind="training step",
    difficulty=3,
    minutes=12,
    draws=5,
    left_gradients=("D",),
    behind=("G",),
    stays={"D": "it is G's turn"},
    spec=r"""
    Now D is fixed, and G learns. `fake` is what G made of `x`, with its graph, and `optimizer` holds G's
    parameters. G's loss is

    $$\texttt{loss}(\text{D's logits of the fakes}) + \texttt{weight\_l1} \cdot
    \operatorname{mean} |\texttt{fake} - \texttt{y}|,$$

    where `D(condition, image)` gives the logits and the list of maps, and `y` are the real images. Take one
    step of `optimizer` along the gradient of this loss, and clear `.grad` *before* `backward`. The gradient
    has to flow *through* D to the fakes, but D must be as before: it takes no step, its `.grad` holds what
    its own turn has left there, and its parameters still require gradients. Return the whole loss, as it was
    before the step, as a float. Leave the mode of D as it is.
    """,
    hints=(
        "Nothing may be detached here. D's parameters just must not collect gradients: "
        "`D.requires_grad_(False)` before, `D.requires_grad_(True)` at the end.",
        "`logits, _ = D(x, fake)`, then `value = loss(logits) + weight_l1 * F.l1_loss(fake, y)`.",
        "`optimizer.zero_grad()`, `value.backward()`, `optimizer.step()`, thaw D, `return value.item()`.",
    ),
    source="Isola et al. 2017, eq. 4 and sec. 3.3. The second half of "
    "`lessons.lesson05.pix2pix.reference_step`.",
    equivalent={
        "-> `F.l1_loss(y, fake)`": "a distance is symmetric",
        "value.float()": "everything is float32 already",
        "value.double()": "the loss is the last thing computed: its gradient comes back as float32",
    },
)


@ex.reference
def generator_step(
    D: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    fake: Tensor,
    loss: Callable[[Tensor], Tensor],
    weight_l1: float,
) -> float:
    """D, G's optimiser, x, y and fake (B, 1, H, W), loss(fake logits) -> whole loss; G is moved, D is not."""
    D.requires_grad_(False)
    fake_logits, _ = D(x, fake)
    value = loss(fake_logits) + weight_l1 * F.l1_loss(fake, y)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    D.requires_grad_(True)
    return value.item()


@ex.build
def _(
    seed: int,
    x: Tensor,
    y: Tensor,
    loss: FakeLoss,
    weight_l1: float,
    lr: float,
    plain: bool,
    evaluating: bool,
) -> dict[str, Any]:
    made = players(seed, x, of_d=False, lr=lr, plain=plain, evaluating=evaluating)
    names = {"D": made["D"], "optimizer": made["optimizer"], "x": x, "y": y, "fake": made["fake"]}
    return {**names, "loss": loss, "weight_l1": weight_l1, "G": made["G"]}


@ex.edges
def _() -> list[Args]:
    x, y = images(3, 4, 0)
    return [
        (1, x, y, towards_two, 1.5, 0.1, False, False),
        (2, x, y, convincing, 0.0, 0.1, True, False),
        (3, x, y, towards_two, 0.5, 0.1, True, False),
        (4, x[:1], y[:1], convincing, 10.0, 0.02, True, False),
        (5, x.mT, y.mT, convincing, 0.7, 0.1, True, True),  # not contiguous, and in eval mode
    ]


@ex.inputs
def _(case: Case) -> Args:
    x, y = images(min(case.batch, 3), case.integer(2, 5), 100 + case.seed)
    weight = case.choice((0.5, 1.0, 3.0))
    return 10 + case.seed, x, y, case.choice((towards_two, convincing)), weight, 0.1, case.seed % 3 > 0, False


for name, misconception, answer in (
    (
        "fake_detached",
        "You cut the graph at D (`detach`, as in D's own turn, or `no_grad`): G then learns nothing from D.",
        g_turn(judged=lambda D, x, y, fake: logits(D, x, fake.detach())),
    ),
    (
        "d_learns_too",
        "You do not freeze D: `backward` leaves gradients in it that teach it to be fooled.",
        g_turn(before=lambda D, optimizer: None),
    ),
    (
        "d_erased",
        "You clear D's gradients afterwards: that also throws away what its own turn has left there.",
        g_turn(before=lambda D, optimizer: None, after=zeroed_afterwards),
    ),
    (
        "left_frozen",
        "You freeze D and do not thaw it: from now on it cannot learn at all.",
        g_turn(after=lambda D, optimizer: None),
    ),
    (
        "real_judged",
        "You let D judge the real images: no gradient reaches G from it.",
        g_turn(judged=lambda D, x, y, fake: logits(D, x, y)),
    ),
    (
        "condition_behind",
        "You give D the image first; the condition comes first.",
        g_turn(judged=lambda D, x, y, fake: logits(D, fake, x)),
    ),
    (
        "unconditional",
        "You show D no condition: it can then not say whether image and condition fit.",
        g_turn(judged=lambda D, x, y, fake: logits(D, torch.zeros_like(x), fake)),
    ),
    (
        "y_as_condition",
        "You judge the fakes under the real image; their condition is `x`.",
        g_turn(judged=lambda D, x, y, fake: logits(D, y, fake)),
    ),
    (
        "pair_to_the_loss",
        "You give `loss` the whole pair that D returns; it takes the logits, the first of the two.",
        g_turn(judged=lambda D, x, y, fake: D(x, fake)),
    ),
    (
        "maps_to_the_loss",
        "You give `loss` the maps; it takes the logits, the first of the two that D returns.",
        g_turn(judged=lambda D, x, y, fake: D(x, fake)[1][-1]),
    ),
    ("no_l1", "You leave the L1 part out.", g_turn(value=lambda gan, pixels, weight: gan)),
    (
        "no_weight",
        "You do not use `weight_l1`.",
        g_turn(value=lambda gan, pixels, weight: gan + pixels),
    ),
    (
        "l1_only",
        "You leave D's verdict out of the loss: that is training with L1 alone.",
        g_turn(value=lambda gan, pixels, weight: weight * pixels + 0 * gan),
    ),
    (
        "weight_on_the_verdict",
        "You multiply D's part by `weight_l1`; it belongs to the L1 part.",
        g_turn(value=lambda gan, pixels, weight: weight * gan + pixels),
    ),
    (
        "subtracted",
        "You subtract the L1 part: G would move away from the real images.",
        g_turn(value=lambda gan, pixels, weight: gan - weight * pixels),
    ),
    (
        "uphill",
        "You go up D's part; `loss` is what G minimises, already with its sign.",
        g_turn(value=lambda gan, pixels, weight: -gan + weight * pixels),
    ),
    (
        "squared",
        "You square the difference (L2); L1 takes its absolute value.",
        g_turn(pixels=lambda x, y, fake: (fake - y).square().mean()),
    ),
    (
        "signed",
        "You average the difference with its sign: too bright here and too dark there then cancel.",
        g_turn(pixels=lambda x, y, fake: (fake - y).mean()),
    ),
    (
        "summed",
        "You sum the absolute differences; L1 is their mean, so that it does not depend on the image's size.",
        g_turn(pixels=lambda x, y, fake: (fake - y).abs().sum()),
    ),
    (
        "to_the_condition",
        "You compare the fakes with the condition; `y` is what they should be.",
        g_turn(pixels=lambda x, y, fake: l1(fake, x)),
    ),
    (
        "l1_detached",
        "You cut the graph of the L1 part: it counts in the number and teaches nothing.",
        g_turn(pixels=lambda x, y, fake: l1(fake, y).detach()),
    ),
    (
        "own_loss",
        "You compute a loss of your own; `loss` says what G minimises.",
        g_turn(judged=lambda D, x, y, fake: 2 - (logits(D, x, fake) - 1).square()),
    ),
    *step_slips(g_turn, "G"),
    (
        "d_part_returned",
        "You return D's part alone; the whole loss was asked for.",
        g_turn(report=lambda value, gan, pixels: gan.item()),
    ),
    (
        "eval_mode",
        "You switch D to eval mode, and it stays there.",
        g_turn(before=lambda D, optimizer: D.eval().requires_grad_(False)),
    ),
    (
        "train_mode",
        "You switch D to train mode; here that is the caller's choice.",
        g_turn(before=lambda D, optimizer: D.train().requires_grad_(False)),
    ),
):  # fmt: skip
    ex.wrong(name, misconception, answer)


@ex.wrong("d_moves", "You also take a step with D: it would learn to be fooled.")
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: FakeLoss, weight: float) -> float:
    left = [parameter.grad for parameter in D.parameters()]
    value = loss(D(x, fake)[0]) + weight * l1(fake, y)
    D.zero_grad()
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    torch.optim.SGD(D.parameters(), lr=0.05).step()
    for parameter, gradient in zip(D.parameters(), left, strict=True):
        parameter.grad = gradient
    return value.item()


ex.right(g_turn(report=lambda value, gan, pixels: float(value.detach())))
ex.right(g_turn(order=("zero", "backward", "step", "zero")))


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: FakeLoss, weight_l1: float) -> float:
    """D collects nothing because it is not among the inputs of `backward`."""
    total = loss(D(x, fake)[0]).add(F.l1_loss(y, fake), alpha=weight_l1)
    optimizer.zero_grad()
    total.backward(inputs=of_all(optimizer))
    optimizer.step()
    return total.item()


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: FakeLoss, weight_l1: float) -> float:
    """D judges with copies of its weights that are constants."""
    fixed = {name: parameter.detach() for name, parameter in D.named_parameters()}
    verdict, _ = torch.func.functional_call(D, fixed, (x, fake))
    total = weight_l1 * torch.mean(torch.abs(y - fake)) + loss(verdict)
    own = of_all(optimizer)
    for parameter, slope in zip(own, torch.autograd.grad(total, own), strict=True):
        parameter.grad = slope
    optimizer.step()
    return total.detach().numpy().item()  # type: ignore[no-any-return]


@ex.right
def _(D: Any, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor, loss: FakeLoss, weight_l1: float) -> float:
    """The two parts one after the other."""
    for parameter in D.parameters():
        parameter.requires_grad = False
    optimizer.zero_grad(set_to_none=False)
    pixels = weight_l1 * nn.L1Loss()(fake, y)
    pixels.backward(retain_graph=True)
    verdict = loss(D(x, fake)[0])
    verdict.backward()
    optimizer.step()
    for parameter in D.parameters():
        parameter.requires_grad = True
    return float((pixels + verdict).detach())


ex.background("G's loss is")
ex.breach("Now D is fixed, and G learns.", "d_moves")
ex.breach("`fake` is what G made of `x`", "y_as_condition")
ex.breach("`optimizer` holds G's parameters", "no_step")
ex.breach("texttt{loss}", "weight_on_the_verdict")
ex.breach("texttt{loss}", "no_l1")
ex.breach("texttt{loss}", "summed")
ex.breach("where `D(condition, image)` gives", "condition_behind")
ex.breach("the logits and the list of maps", "pair_to_the_loss")
ex.breach("`y` are the real images", "to_the_condition")
ex.breach("Take one step of `optimizer`", "two_steps")
ex.breach("along the gradient of this loss", g_turn(order=("zero", "step")))
ex.breach("along the gradient of this loss", g_turn(order=("backward", "zero", "step")))
ex.breach("clear `.grad` *before* `backward`", "no_zero_grad")
ex.breach("clear `.grad` *before* `backward`", g_turn(order=("backward", "step", "zero")))
ex.breach("The gradient has to flow *through* D", "fake_detached")
ex.breach("it takes no step", "d_moves")
ex.breach("its `.grad` holds what its own turn has left", "d_learns_too")
ex.breach("its parameters still require gradients", "left_frozen")
ex.breach("Return the whole loss", "d_part_returned")
ex.breach("as a float", "with_graph")
ex.breach("Leave the mode of D as it is", "eval_mode")
