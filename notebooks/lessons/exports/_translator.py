"""The layers of a translator and of its discriminator, made of the learner's functions."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import decoder_step, encoder_block, self_attention, spectral_normalise


def weights(*shape: int) -> nn.Parameter:
    """Drawn so that maps keep their size from layer to layer (He et al. 2015)."""
    return nn.Parameter(nn.init.kaiming_normal_(torch.empty(*shape), 0.2))


class Down(nn.Module):
    """(B, C, H, W) -> (B, C', H / 2, W / 2): convolution, batch norm if asked, leaky ReLU."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, out: int, norm: bool) -> None:
        super().__init__()
        self.norm, self.weight = norm, weights(out, channels, 4, 4)
        if norm:
            self.scale = nn.Parameter(torch.ones(out))
            self.register_buffer("mean", torch.zeros(out))
            self.register_buffer("variance", torch.ones(out))
        self.shift = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        """The running mean and variance are updated in training."""
        if not self.norm:
            return F.leaky_relu(F.conv2d(x, self.weight, self.shift, stride=2, padding=1), 0.2)
        return encoder_block(x, self.weight, self.scale, self.shift, self.mean, self.variance, self.training)


class Up(nn.Module):
    """(B, C, H, W) and a skip -> (B, C' + S, 2 H, 2 W)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.weight, self.between = weights(channels, out, 4, 4), nn.BatchNorm2d(out)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Transposed convolution, batch norm, ReLU; the skip goes behind it."""
        return decoder_step(x, skip, self.weight, self.between)


class Attention(nn.Module):
    """(B, C, H, W) -> the same, each place mixed with all others; nothing at first, since gamma is 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(1, channels // 8)
        self.query, self.key = nn.Linear(channels, few), nn.Linear(channels, few)
        self.value = nn.Linear(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Query and key have an eighth of the channels."""
        three = [t for layer in (self.query, self.key, self.value) for t in (layer.weight, layer.bias)]
        return self_attention(x, *three, self.gamma)


class Spectral(nn.Module):
    """A weight divided by its largest singular value, which is estimated anew in training."""

    u: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("u", F.normalize(torch.randn(channels), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """(C_out, C_in, k, k) -> the same."""
        divided, _, u = spectral_normalise(weight, self.u, 1)
        if self.training:
            self.u = u.detach()
        return divided


class Logits(nn.Module):
    """A discriminator's logits alone."""

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        """(B, 1, H, W) twice -> (B, 1, h, w)."""
        logits: Tensor = self.critic(condition, image)[0]
        return logits
