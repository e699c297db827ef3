"""Toy players for the turns of lesson 05, losses that are none of the course's, and the scene of a turn."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork, left_behind

PairLoss = Callable[[Tensor, Tensor], Tensor]


class ToyMaker(ToyNetwork):
    """A generator: a 3 x 3 filter, a bias, tanh; half as strong in eval mode."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(1, 1, 3, 3, generator=draw) / 2)
        self.bias = nn.Parameter(torch.randn(1, generator=draw))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, H, W) -> the same."""
        made = torch.tanh(F.conv2d(x, self.weight, self.bias, padding=1))
        return made if self.training else made / 2


class ToyJudge(ToyNetwork):
    """A conditional discriminator of two filters; half as strong in eval mode."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(2, 2, 3, 3, generator=draw) / 2)
        self.last = nn.Parameter(torch.randn(1, 2, 2, 2, generator=draw) / 2)
        self.bias = nn.Parameter(torch.randn(1, generator=draw))

    def forward(self, condition: Tensor, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 1, H, W) twice -> logits (B, 1, H - 1, W - 1) and the one map before them."""
        pair = torch.cat([condition, image], dim=1)
        features = F.leaky_relu(F.conv2d(pair, self.first, padding=1), 0.2)
        logits = F.conv2d(features, self.last, self.bias)
        return logits if self.training else logits / 2, [features]


def absolute(real: Tensor, fake: Tensor) -> Tensor:
    """Real ones towards 2, fake ones towards -1, by the absolute difference."""
    return (real - 2).abs().mean() + (fake + 1).abs().mean() / 3


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """The cross-entropy on logits, not halved."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def towards_two(fake: Tensor) -> Tensor:
    """Fake ones towards 2, by the absolute difference."""
    return (fake - 2).abs().mean()


def convincing(fake: Tensor) -> Tensor:
    """The cross-entropy to the label of real ones."""
    return F.softplus(-fake).mean()


def images(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Conditions and real images, both (count, 1, side, side + 1)."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randn(count, 1, side, side + 1, generator=draw).sign()
    return 0.5 * y + 0.4 * torch.randn(y.shape, generator=draw), y


def players(seed: int, x: Tensor, *, of_d: bool, lr: float, plain: bool, evaluating: bool) -> dict[str, Any]:
    """Both networks, with gradients that earlier turns have left, the optimiser of one, and the fake."""
    D, G = left_behind(ToyJudge(seed), 2.0), left_behind(ToyMaker(seed + 50), -1.0)
    D, G = D.train(not evaluating).to(x.device), G.train(not evaluating).to(x.device)
    mine = (D if of_d else G).parameters()
    optimizer: torch.optim.Optimizer = torch.optim.SGD(mine, lr=lr)
    if not plain:
        optimizer = torch.optim.Adam((D if of_d else G).parameters(), lr=lr, betas=(0.5, 0.999))
    return {"D": D, "G": G, "optimizer": optimizer, "fake": G(x)}
