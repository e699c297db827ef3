"""Lesson 08: attention by a kernel that never stores the map."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case


class FusedKernel(torch.nn.Module):
    """PyTorch's fused attention, made strict: it refuses what the real one quietly computes the plain way.

    It counts its calls; two kernels that have been called equally often are equal.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FusedKernel) and self.calls == other.calls

    __hash__ = torch.nn.Module.__hash__

    def __repr__(self) -> str:
        return f"FusedKernel(calls={self.calls})"

    def forward(self, query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
        """softmax(scale * q k^T) v of tensors (B, heads, N, width); scale is 1 / sqrt(width) unless given."""
        if query.dim() != 4:
            raise ValueError(f"the kernel takes (B, heads, N, width), not {tuple(query.shape)}")
        if not query.shape[-1] == key.shape[-1] == value.shape[-1]:
            raise ValueError("the kernel takes queries, keys and values of one width")
        self.calls += 1
        return F.scaled_dot_product_attention(query, key, value, scale=scale)


ex = Exercise(
    id="fused_attention",
    lesson="08",
    title="Never store the map",
    difficulty=3,
    minutes=10,
    spec=r"""
    A fused kernel computes $\operatorname{softmax}(q k^\top)\, v$ piece by piece and never stores the $N
    \times N$ map. Call the one you are given, `kernel(query, key, value, scale=...)`, exactly once. It takes
    four axes (batch, heads, places, width) and wants all three of the same width; PyTorch's own accepts
    other widths, but then stores the map after all, in silence. It also multiplies the products by
    $1/\sqrt{\text{width}}$ unless you say otherwise. There is one head, and nothing is to be divided.
    Queries and keys are never wider than values. The gradient must reach all three.
    """,
    hints=(
        "Which numbers can you append to queries and keys without changing any product between them?",
        "`F.pad(query, (0, n))` appends n zeros along the last axis.",
        "`query[:, None]` adds the axis of heads; `kernel(..., scale=1.0)[:, 0]` takes it away again.",
    ),
    source="Dao et al. 2022 (FlashAttention); torch.nn.functional.scaled_dot_product_attention; "
    "gantrans.networks.attention.",
    gradients=("query", "key", "value"),
    equivalent={"`0` -> `-1`": "the only head is also the last"},
)


@ex.reference
def fused_attention(query: Tensor, key: Tensor, value: Tensor, kernel: torch.nn.Module) -> Tensor:
    """query and key (B, N, D), value (B, N, C), D <= C, a fused kernel -> softmax(q k^T) v, (B, N, C)."""
    missing = value.shape[-1] - query.shape[-1]
    query, key = F.pad(query, (0, missing)), F.pad(key, (0, missing))
    seen: Tensor = kernel(query[:, None], key[:, None], value[:, None], scale=1.0)
    return seen[:, 0]


@ex.edges
def _() -> list[Args]:
    q, k = torch.tensor([[[1.0], [-2.0], [0.5]]]), torch.tensor([[[0.5], [1.0], [-1.0]]])
    v = torch.tensor([[[1.0, 0.0, 2.0, -1.0], [0.0, 3.0, -1.0, 0.5], [2.0, 1.0, 1.0, 0.0]]])
    return [
        (q, k, v, FusedKernel()),
        (v, v.flip(1), v, FusedKernel()),
        (q, k, torch.ones_like(v), FusedKernel()),
        (v[..., :2].mT, v[..., 1:3].mT, v.repeat(1, 1, 2)[:, :2], FusedKernel()),
        (q[:, :1], k[:, :1], v[:, :1], FusedKernel()),
        (torch.cat([q, -q]), torch.cat([k, 2 * k]), torch.cat([v, v.flip(1)]), FusedKernel()),
    ]


@ex.inputs
def _(case: Case) -> Args:
    width = case.integer(1, 3)
    q, k = (case.randn(case.batch, case.width + 1, width) for _ in range(2))
    return q, k, case.randn(case.batch, case.width + 1, width + case.integer(0, 4)), FusedKernel()


Kernel = Callable[..., Tensor]


def _wide(x: Tensor, value: Tensor) -> Tensor:
    return torch.cat([x, x.new_zeros(*x.shape[:-1], value.shape[-1] - x.shape[-1])], dim=-1)


def _repeated(x: Tensor, value: Tensor) -> Tensor:
    missing = value.shape[-1] - x.shape[-1]
    return torch.cat([x, x[..., -1:].expand(*x.shape[:-1], missing)], dim=-1)


def _fused(q: Tensor, k: Tensor, v: Tensor, kernel: Kernel, scale: float | None = 1.0) -> Tensor:
    return kernel(_wide(q, v)[:, None], _wide(k, v)[:, None], v[:, None], scale=scale)[:, 0]


ex.wrong(
    "default_scale",
    "You leave the scale out: the kernel then divides the products by the root of the width.",
    lambda q, k, v, kernel: _fused(q, k, v, kernel, None),
)
ex.wrong(
    "scaled_by_queries",
    "You divide by the root of the queries' width; nothing is to be divided here.",
    lambda q, k, v, kernel: _fused(q, k, v, kernel, q.shape[-1] ** -0.5),
)
ex.wrong(
    "scaled_up",
    "You multiply by the root of the width to undo the kernel's own factor; a scale that you give "
    "replaces it.",
    lambda q, k, v, kernel: _fused(q, k, v, kernel, v.shape[-1] ** 0.5),
)
ex.wrong(
    "not_padded",
    "You give the kernel queries, keys and values of unequal widths: then no fused kernel is used.",
    lambda q, k, v, kernel: kernel(q[:, None], k[:, None], v[:, None], scale=1.0)[:, 0],
)
ex.wrong(
    "plain",
    "You compute the map yourself: right numbers, but the N x N map is stored, which was to be avoided.",
    lambda q, k, v, kernel: (q @ k.mT).softmax(-1) @ v,
)
ex.wrong(
    "columns",
    "You have queries and keys the wrong way round.",
    lambda q, k, v, kernel: _fused(k, q, v, kernel),
)
ex.wrong(
    "repeated",
    "You repeat the last channel of queries and keys to fill them up: every copy adds to the products.",
    lambda q, k, v, kernel: _fused(_repeated(q, v), _repeated(k, v), v, kernel),
)
ex.wrong(
    "values_cut",
    "You cut the values to the queries' width: most of what is seen is lost.",
    lambda q, k, v, kernel: _wide(_fused(q, k, v[..., : q.shape[-1]], kernel), v),
)
ex.wrong(
    "head_axis_kept",
    "You return the axis of heads, too.",
    lambda q, k, v, kernel: _fused(q, k, v, kernel)[:, None],
)
ex.wrong(
    "places_as_heads",
    "You put the axis of heads behind the places: every place then sees itself alone.",
    lambda q, k, v, kernel: kernel(
        _wide(q, v)[:, :, None], _wide(k, v)[:, :, None], v[:, :, None], scale=1.0
    )[:, :, 0],
)
ex.wrong(
    "batch_as_heads",
    "You leave out the axis of heads: the kernel takes four axes.",
    lambda q, k, v, kernel: kernel(_wide(q, v), _wide(k, v), v, scale=1.0),
)
ex.wrong(
    "called_twice",
    "You call the kernel more than once: the price is paid each time.",
    lambda q, k, v, kernel: (_fused(q, k, v, kernel) + _fused(q, k, v, kernel)) / 2,
)
ex.wrong(
    "detached",
    "You detach queries and keys: they would never learn where to look.",
    lambda q, k, v, kernel: _fused(q.detach(), k.detach(), v, kernel),
)

ex.wrong(
    "result_cut",
    "You return as many channels as the queries have; all channels of the values are asked for.",
    lambda q, k, v, kernel: _fused(q, k, v, kernel)[..., : q.shape[-1]],
)
ex.wrong(
    "filled_with_ones",
    "You fill queries with ones and keys with their last channel: what you append must add nothing to the "
    "products; zeros do.",
    lambda q, k, v, kernel: kernel(
        F.pad(q, (0, v.shape[-1] - q.shape[-1]), value=1.0)[:, None],
        _repeated(k, v)[:, None],
        v[:, None],
        scale=1.0,
    )[:, 0],
)
ex.wrong(
    "value_detached",
    "You detach the values: what is looked at would never be learnt.",
    lambda q, k, v, kernel: _fused(q, k, v.detach(), kernel),
)


ex.right(_fused)
ex.right(
    lambda q, k, v, kernel: kernel(
        *(F.pad(x, (v.shape[-1] - x.shape[-1], 0)).unsqueeze(1) for x in (q, k)), v.unsqueeze(1), 1
    ).squeeze(1)
)


@ex.right
def _(query: Tensor, key: Tensor, value: Tensor, kernel: Kernel) -> Tensor:
    # a larger query undoes the kernel's own division
    width = value.shape[-1]
    seen = kernel(_wide(query * width**0.5, value)[:, None], _wide(key, value)[:, None], value[:, None])
    return seen.flatten(0, 1)


@ex.right
def _(query: Tensor, key: Tensor, value: Tensor, kernel: Kernel) -> Tensor:
    # batch as heads of one example: heads do not see each other either
    q, k = torch.zeros_like(value), torch.zeros_like(value)
    q[..., : query.shape[-1]] = query
    k[..., : key.shape[-1]] = key
    return kernel(q.unsqueeze(0), k.unsqueeze(0), value.unsqueeze(0), scale=1.0)[0]


ex.breach("A fused kernel computes", "plain")
ex.breach("Call the one you are given", "called_twice")
ex.breach("It takes four axes", "batch_as_heads")
ex.breach("wants all three of the same width", "not_padded")
ex.breach("It also multiplies the products by", "scaled_up")
ex.breach("There is one head, and nothing is to be divided.", "default_scale")
ex.background("Queries and keys are never wider than values.")
ex.breach("The gradient must reach all three.", "detached")
