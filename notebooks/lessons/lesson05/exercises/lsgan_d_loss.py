"""Lesson 05: the discriminator's least-squares loss over a map of logits."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
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
    differentiated.
    """,
    hints=(
        "The mean over the whole map, `(...).square().mean()`, gives every patch of every image "
        "the same vote.",
        "Real logits are compared with 1, fake ones with 0. Both means are added, then halved once.",
        "`0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())`",
    ),
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


@ex.edges
def _() -> list[Args]:
    values = [
        ([3.0, 1.0], [0.0, 2.0]),
        ([1.0], [0.0]),
        ([0.0], [1.0]),
        ([-30.0, 40.0], [25.0, -50.0]),
        ([1.0], [-1.0]),
    ]
    return [tuple(torch.tensor(v).view(1, 1, 1, -1) for v in pair) for pair in values]


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
    "You average the logits before squaring: patches that err in opposite ways cancel out.",
    lambda real, fake: 0.5 * ((real.mean() - 1).square() + fake.mean().square()),
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
