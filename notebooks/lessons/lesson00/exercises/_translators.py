"""Toy translators for the exercise `train_translator`."""

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.kinds import ToyNetwork


class ToyTranslator(ToyNetwork):
    """(B, 1, S, S) -> the same: a 3 x 3 filter and a bias; half as strong in eval mode."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(1, 1, 3, 3, generator=draw) / 2)
        self.bias = nn.Parameter(torch.randn(1, generator=draw))

    def forward(self, x: Tensor) -> Tensor:
        """Pixels outside the image count as 0."""
        answer = torch.tanh(nn.functional.conv2d(x, self.weight, self.bias, padding=1))
        return answer if self.training else answer / 2


def frozen(net: ToyTranslator) -> ToyTranslator:
    """The network with its bias frozen, as in a fine-tuning."""
    net.bias.requires_grad_(False)
    return net
