"""Self-attention over all places of a feature map, as in SAGAN, in a plain and a fused form.

Source: Zhang et al. 2019, "Self-attention generative adversarial networks", section 3. Queries and keys have
C/8 channels, values C; there is no output projection and no division by sqrt(d).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

QUERY_SHARE = 8
"""Queries and keys have channels // QUERY_SHARE channels (at least one)."""


class SelfAttention(nn.Module):
    """gamma * attention(x) + x: (B, C, H, W) -> the same shape; with gamma = 0 exactly the identity.

    Canonical form: `gantrans.course.exercises.lesson08.self_attention.self_attention`; this adds the fused
    kernel, because the N x N map of a large image does not fit into memory.

    Args:
        channels: C.
        gamma_init: where the learned scalar gamma starts; 0 in the paper, so that local cues come first.
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
        seen = fused_attention(q, k, v) if self.fused else attention_weights(q, k) @ v
        # x first: the sum then has the memory layout of x, and the layers after it compute as without us.
        return x + self.gamma.to(seen.dtype) * seen.transpose(1, 2).reshape(x.shape)

    def attention_map(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, N, N) with N = H * W: row i says where place i looks; every row sums to one."""
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

    PyTorch's kernel silently falls back to one that stores the map when the widths differ, so queries and
    keys are filled up with zeros, which change no product; and it divides by sqrt(d) unless told not to.

    Canonical form: `gantrans.course.exercises.lesson08.fused_attention.fused_attention`; this adds copies in
    contiguous memory, because the kernel is slower on strided tensors.
    """
    missing = value.shape[-1] - query.shape[-1]
    q, k = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    one_head = [t.unsqueeze(1).contiguous() for t in (q, k, value)]  # each (B, 1, N, C)
    seen: Tensor = F.scaled_dot_product_attention(one_head[0], one_head[1], one_head[2], scale=1.0)
    return seen.squeeze(1)
