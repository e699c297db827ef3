"""Self-attention over all positions of a feature map, after SAGAN, in a plain and a fused form.

Source: Zhang et al. 2019, "Self-attention generative adversarial networks", section 3. From there are the
softmax of q k^T without a division by sqrt(d), and gamma. The block is the shorter one that most PyTorch
versions have: queries and keys of C/8 channels, values of C, and no output projection. The paper gives the
values C/8 channels too, and a fourth 1 x 1 convolution leads them back to C. The authors' code gives them
C/2, and pools keys and values by 2 x 2. Lesson 08 counts the parameters of this block and of the paper's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUERY_SHARE = 8
"""Queries and keys have channels // QUERY_SHARE channels (at least one)."""


class SelfAttention(nn.Module):
    """gamma * attention(x) + x: (B, C, H, W) -> the same shape; with gamma = 0 exactly the identity.

    Canonical form: `lessons.lesson08.exercises.self_attention.self_attention`; this adds the fused
    kernel, because the N x N map of a large image does not fit into memory.

    Args:
        channels: C.
        gamma_init: initial value of the learned scalar gamma; 0 in the paper, so that the network first
            learns from local features.
        fused: use PyTorch's fused kernel, which never stores the N x N map (N = H * W); False is the plain
            version. Both give the same result up to rounding.
    """

    def __init__(self, channels: int, *, gamma_init: float = 0.0, fused: bool = True) -> None:
        super().__init__()
        width = max(1, channels // QUERY_SHARE)
        self.query, self.key = nn.Conv2d(channels, width, 1), nn.Conv2d(channels, width, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.tensor(gamma_init))
        self.fused = fused

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        q, k, v = self._tokens(x)
        attended = fused_attention(q, k, v) if self.fused else attention_weights(q, k) @ v
        # Adding to x keeps x's memory format (channels_last), so the following layers are numerically
        # identical to the network without attention.
        return x + self.gamma.to(attended.dtype) * attended.transpose(1, 2).reshape(x.shape)

    def attention_map(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, N) with N = H * W: row i has the weights of position i and sums to 1."""
        q, k, _ = self._tokens(x)
        return attention_weights(q, k)

    def _tokens(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries and keys (B, N, C / 8), values (B, N, C)."""
        q, k, v = (layer(x).flatten(2).transpose(1, 2) for layer in (self.query, self.key, self.value))
        return q, k, v


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    """softmax(q k^T) over the keys: (B, N, d) twice -> (B, N, M), stored in full."""
    return torch.softmax(query @ key.transpose(1, 2), dim=-1)


def fused_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T) v without the map: (B, N, d), (B, M, d), (B, M, C) -> (B, N, C), d <= C.

    When the widths differ, PyTorch silently uses a kernel that stores the map, so queries and keys are padded
    with zeros, which change no product. PyTorch's default scale is 1 / sqrt(d); here it is 1.

    Canonical form: `lessons.lesson08.exercises.fused_attention.fused_attention`; this adds copies in
    contiguous memory, because the kernel is slower on strided tensors.
    """
    missing = value.shape[-1] - query.shape[-1]
    q, k = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    one_head = [t.unsqueeze(1).contiguous() for t in (q, k, value)]  # each (B, 1, N, C)
    attended: Tensor = F.scaled_dot_product_attention(one_head[0], one_head[1], one_head[2], scale=1.0)
    return attended.squeeze(1)
