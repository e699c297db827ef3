"""Lesson 05: the discriminator's least-squares loss over a map of logits, with a slip to find."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.slips import common_slips

ex = BugHunt(
    id="lsgan_d_loss",
    lesson="05",
    title="The discriminator's loss over patches",
    difficulty=2,
    minutes=8,
    spec=r"""
    Every logit is a verdict on one patch. The least-squares discriminator wants 1 on real patches and 0 on
    fake ones:

    $$L_D = \tfrac12 \left( \operatorname{mean} (D_\text{real} - 1)^2 + \operatorname{mean} D_\text{fake}^2
    \right).$$

    The mean runs over all patches of all images. Logits are raw: no sigmoid. Return a scalar that can be
    differentiated. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Take two real patches with the logits 0 and 2. Both are wrong by 1. What does the code say?",
        "A square forgets the sign of an error, and a mean before it lets errors cancel. Which one comes "
        "first in the formula?",
        "`0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())`",
    ),
    slip="Squares come first, then the mean. Averaged first, patches that err in opposite ways cancel out, "
    "and the loss is 0 where the verdicts are right on average only.",
    slip_code="fake_logits.mean()",
    source="Mao et al. 2017 (LSGAN), eq. 9 with a = 0, b = 1; halved as in pix2pix.",
    gradients=("real_logits", "fake_logits"),
    equivalent={"`1 - real_logits`": "the square forgets the sign"},
)


@ex.reference
def lsgan_d_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Two maps of raw logits (B, 1, h, w) -> scalar: half the sum of mean squared errors to 1 and 0."""
    real = (real_logits - 1).square().mean()
    fake = fake_logits.square().mean()
    return 0.5 * (real + fake)


@ex.bug
def _(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Two maps of raw logits (B, 1, h, w) -> scalar: half the sum of mean squared errors to 1 and 0."""
    real, fake = real_logits.mean(), fake_logits.mean()
    return 0.5 * ((real - 1).square() + fake.square())


@ex.symptom
def _(answer: Answer) -> str:
    undecided = answer(torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.5])).item()
    astray = answer(torch.tensor([-2.0, 3.0]), torch.tensor([3.0, -2.0])).item()
    return (
        f"a D that gives every patch 0.5 has the loss {undecided:g}, as it should. One whose logits are -2 "
        f"and 3 is wrong by 2 or more on every patch, and has the loss {astray:g} as well."
    )


@ex.edges
def _() -> list[Args]:
    values = [
        ([3.0, 1.0], [0.0, 2.0]),
        ([1.0], [0.0]),
        ([0.0], [1.0]),
        ([-30.0, 40.0], [25.0, -50.0]),
        ([1.0], [-1.0]),
        ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0]),
        ([2.0, 0.0], [1.0, -1.0]),
    ]
    maps = torch.linspace(-2, 3, 24).view(2, 1, 3, 4)
    pairs = [tuple(torch.tensor(v).view(1, 1, 1, -1) for v in pair) for pair in values]
    return [*pairs, (maps, maps.flip(0) / 2 + 1)]  # the images differ


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    return 2 * case.randn(*shape) + 0.5, 2 * case.randn(*shape)


def _half(real: Tensor, fake: Tensor) -> Tensor:
    return (real.mean() + fake.mean()) / 2


ex.wrong(
    "not_halved",
    "You do not halve the sum: D then learns twice as fast as the course means it to.",
    lambda real, fake: (real - 1).square().mean() + fake.square().mean(),
)
ex.wrong(
    "swapped",
    "You have the targets the wrong way round: real patches should come out at 1, fake ones at 0.",
    lambda real, fake: _half(real.square(), (fake - 1).square()),
)
ex.wrong(
    "sigmoid",
    "You squash the logits by a sigmoid first: far from the target the gradient vanishes, "
    "which least squares was to avoid.",
    lambda real, fake: _half((real.sigmoid() - 1).square(), fake.sigmoid().square()),
)
ex.wrong(
    "bce",
    "You use the cross-entropy loss; that is the original GAN's, not the least-squares one.",
    lambda real, fake: _half(
        F.binary_cross_entropy_with_logits(real, torch.ones_like(real), reduction="none"),
        F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake), reduction="none"),
    ),
)
ex.wrong(
    "summed",
    "You sum over the patches: the loss then grows with the size of the map. Each patch is "
    "one vote in a mean.",
    lambda real, fake: 0.5 * ((real - 1).square().sum() + fake.square().sum()),
)
ex.wrong(
    "minus_one",
    "You pull fake logits to -1; the targets here are 1 and 0.",
    lambda real, fake: _half((real - 1).square(), (fake + 1).square()),
)
ex.wrong(
    "mean_first",
    "You still average the logits before squaring: patches that err in opposite ways cancel out.",
    lambda real, fake: 0.5 * ((real.mean() - 1).square() + fake.mean().square()),
)
ex.wrong(
    "half_mended",
    "You square before the mean for the real patches only; the fakes still cancel out.",
    lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.mean().square()),
)
ex.wrong(
    "mean_of_each_image",
    "You average the logits of each image before squaring: within an image patches still cancel out.",
    lambda real, fake: (
        0.5 * ((real.mean((1, 2, 3)) - 1).square().mean() + fake.mean((1, 2, 3)).square().mean())
    ),
)
ex.wrong(
    "absolute",
    "You take the absolute error; its gradient does not shrink as the verdict gets better.",
    lambda real, fake: _half((real - 1).abs(), fake.abs()),
)
ex.wrong(
    "detached_fake",
    "You detach the fake logits inside: D gets no gradient from fakes. Detach the fake *image*, before D.",
    lambda real, fake: _half((real - 1).square(), fake.detach().square()),
)
ex.wrong(
    "python_number",
    "You return a Python number (`.item()`): nothing is left to differentiate.",
    lambda real, fake: _half((real - 1).square(), fake.square()).item(),
)
ex.wrong(
    "real_only",
    "You look at real patches only: D would call everything real.",
    lambda real, fake: 0.5 * (real - 1).square().mean(),
)
ex.wrong(
    "per_image",
    "You give one loss per image; training needs a single number.",
    lambda real, fake: 0.5 * ((real - 1).square() + fake.square()).mean(dim=(1, 2, 3)),
)

ex.right(lambda real, fake: _half((real - 1) ** 2, fake**2))
ex.right(
    lambda real, fake: (
        F.mse_loss(real, torch.ones_like(real)) / 2 + F.mse_loss(fake, torch.zeros_like(fake)) / 2
    )
)
ex.right(lambda real, fake: (torch.cat([real, fake + 1]) - 1).square().mean())
ex.right(lambda real, fake: 0.5 * torch.mean((real - 1.0).pow(2) + fake.pow(2)))
ex.right(
    lambda real, fake: (
        ((real - 1).flatten().dot((real - 1).flatten()) + fake.norm() ** 2) / (2 * fake.numel())
    )
)
ex.right(lambda real, fake: 0.5 * (1 - 2 * real.mean() + (real * real).mean() + (fake * fake).mean()))


@ex.right
def _(real: Tensor, fake: Tensor) -> Tensor:
    loss = torch.nn.MSELoss()
    target = torch.ones((), dtype=real.dtype, device=real.device)
    return 0.5 * (loss(real, target.expand_as(real)) + loss(fake, torch.zeros_like(fake)))


@ex.right
def _(real: Tensor, fake: Tensor) -> Tensor:
    per_image = [((r - 1).square().mean() + f.square().mean()) * 0.5 for r, f in zip(real, fake, strict=True)]
    return torch.stack(per_image).mean()


ex.wrong(
    "real_only_halved",
    "You halve the real part only; the half stands before both.",
    lambda real, fake: 0.5 * (real - 1).square().mean() + fake.square().mean(),
)
ex.wrong(
    "fake_only_halved",
    "You halve the fake part only; the half stands before both.",
    lambda real, fake: (real - 1).square().mean() + 0.5 * fake.square().mean(),
)
ex.wrong(
    "halved_twice",
    "You halve twice.",
    lambda real, fake: _half((real - 1).square(), fake.square()) / 2,
)
ex.wrong(
    "fake_only",
    "You look at fake patches only.",
    lambda real, fake: 0.5 * fake.square().mean(),
)
ex.wrong(
    "both_real",
    "You compare the fake logits with 1, too: that is the generator's aim. D wants 0 there.",
    lambda real, fake: _half((real - 1).square(), (fake - 1).square()),
)
ex.wrong(
    "both_to_zero",
    "You compare the real logits with 0, too; D wants 1 there.",
    lambda real, fake: _half(real.square(), fake.square()),
)
ex.wrong(
    "subtracted",
    "You subtract the fake part; both parts are minimised, so they are added.",
    lambda real, fake: 0.5 * ((real - 1).square().mean() - fake.square().mean()),
)
ex.wrong(
    "rooted",
    "You take the root of the mean squares; the loss is the mean square itself.",
    lambda real, fake: 0.5 * ((real - 1).square().mean().sqrt() + fake.square().mean().sqrt()),
)
ex.wrong(
    "logits_cut",
    "You cut the logits to [0, 1] first: outside the gradient is gone.",
    lambda real, fake: _half((real.clamp(0, 1) - 1).square(), fake.clamp(0, 1).square()),
)
ex.wrong(
    "hinge",
    "You use the hinge loss; here it is least squares.",
    lambda real, fake: _half(F.relu(1 - real), F.relu(1 + fake)),
)
ex.wrong(
    "summed_over_the_map",
    "You sum over the patches of an image and average over images only.",
    lambda real, fake: 0.5 * ((real - 1).square() + fake.square()).sum((1, 2, 3)).mean(),
)
ex.wrong(
    "summed_over_images",
    "You average over the patches of an image and sum over the images; the mean runs over both.",
    lambda real, fake: 0.5 * ((real - 1).square() + fake.square()).mean((1, 2, 3)).sum(),
)
ex.wrong(
    "smoothed",
    "You pull real logits to 0.9; the target is 1.",
    lambda real, fake: _half((real - 0.9).square(), fake.square()),
)
ex.wrong(
    "not_reduced",
    "You return a map of losses; one number was asked for.",
    lambda real, fake: 0.5 * ((real - 1).square() + fake.square()),
)
ex.wrong(
    "detached_real",
    "You detach the real logits: D gets no gradient from real patches.",
    lambda real, fake: _half((real.detach() - 1).square(), fake.square()),
)
common_slips(ex, "returned_nothing", "graph_cut", "float32_result")

ex.background("Every logit is a verdict")
ex.breach("wants 1 on real patches", "swapped")
ex.breach("wants 1 on real patches", "minus_one")
for _name in ("not_halved", "real_only_halved", "absolute", "mean_first", "rooted"):
    ex.breach("$$L_D", _name)
ex.breach("The mean runs over all patches", "summed")
ex.breach("The mean runs over all patches", "summed_over_the_map")
ex.breach("Logits are raw", "sigmoid")
ex.breach("Return a scalar", "python_number")
ex.breach("Return a scalar", "per_image")
ex.breach("that can be differentiated", "detached_fake")
ex.breach("The code below runs", "mean_first")
ex.background("Find it and mend it")
