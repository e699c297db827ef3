"""Lesson 08: self-attention over all places of a feature map."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="self_attention",
    lesson="08",
    title="Every place looks at every place",
    difficulty=4,
    minutes=15,
    spec=r"""
    A feature map has $N = H W$ places. Three 1 x 1 convolutions (a weight and a bias each) give every place
    a query $q_i$, a key $k_i$ and a value $v_i$. Place $i$ looks at place $j$ with the weight

    $$a_{ij} = \frac{\exp(q_i \cdot k_j)}{\sum_m \exp(q_i \cdot k_m)},$$

    so every *row* of $a$ sums to one, and sees $s_i = \sum_j a_{ij} v_j$. Return $\gamma s + x$, in the
    shape of $x$. There is no division by $\sqrt d$. With $\gamma = 0$, where training starts, the block
    changes nothing, but $\gamma$ must get its gradient all the same, and so
    must `x` and every weight. Products in the hundreds are possible and must not overflow.
    """,
    hints=(
        "A 1 x 1 convolution with weight (D, C) on tokens (B, N, C) is `tokens @ weight.T + bias`, or "
        "`F.linear`. Tokens: `x.flatten(2).mT`.",
        "`a = (q @ k.mT).softmax(dim=-1)` has the shape (B, N, N); the last axis are the places that are "
        "looked at.",
        "`seen = a @ v` is (B, N, C). Back: `seen.mT.reshape(x.shape)`; then `gamma * seen + x`.",
    ),
    source="After Zhang et al. 2019 (SAGAN), eq. 1-3, with wider values; gantrans.networks.attention.",
    gradients=("x", "w_query", "b_query", "w_key", "b_key", "w_value", "b_value", "gamma"),
    equivalent={"`2` -> `-2`": "of four axes, the last two start at 2 and at -2"},
)


@ex.reference
def self_attention(
    x: Tensor,
    w_query: Tensor,
    b_query: Tensor,
    w_key: Tensor,
    b_key: Tensor,
    w_value: Tensor,
    b_value: Tensor,
    gamma: Tensor,
) -> Tensor:
    """x (B, C, H, W); query and key (D, C), (D,); value (C, C), (C,); scalar gamma -> (B, C, H, W)."""
    tokens = x.flatten(2).mT  # (B, N, C)
    query = F.linear(tokens, w_query, b_query)
    key = F.linear(tokens, w_key, b_key)
    value = F.linear(tokens, w_value, b_value)
    seen = (query @ key.mT).softmax(dim=-1) @ value
    return gamma * seen.mT.reshape(x.shape) + x


@ex.edges
def _() -> list[Args]:
    x = torch.tensor([[[[1.0, -1.0], [0.5, 2.0]], [[0.0, 1.0], [-0.5, 0.25]]]])
    wide = [
        *(torch.tensor([[1.0, 0.5], [0.5, -1.0], [0.25, 2.0]]), torch.tensor([0.1, -0.2, 0.3])),
        *(torch.tensor([[-0.5, 1.0], [1.0, 0.0], [0.5, 0.5]]), torch.tensor([0.3, 0.2, -0.1])),
        *(torch.tensor([[1.0, 0.5], [-1.0, 2.0]]), torch.tensor([0.2, -0.4])),
    ]
    loud = [20 * t.double() for t in (x, *wide)]
    cold = loud[1], loud[2].abs() * 60, -loud[1], -loud[2].abs() * 60, loud[5], loud[6]
    query = torch.tensor([[1.0, 0.5]]), torch.tensor([0.1])
    key = torch.tensor([[-0.5, 1.0]]), torch.tensor([0.3])
    value = torch.tensor([[1.0, 0.5], [-1.0, 2.0]]), torch.tensor([0.2, -0.4])
    constant = torch.zeros(2, 2), torch.tensor([3.0, -2.0])
    return [
        *((x, *query, *key, *value, torch.tensor(g)) for g in (1.0, 0.0, -0.3)),
        (x, *query, *key, *constant, torch.tensor(1.0)),
        (torch.cat([x, 2 * x]), *query, *key, *value, torch.tensor(0.5)),
        (x, *wide, torch.tensor(0.7)),
        (torch.cat([x, -x]).mT, *wide, torch.tensor(-1.5)),
        (*loud, torch.tensor(0.5, dtype=torch.float64)),
        (loud[0], *cold, torch.tensor(0.5, dtype=torch.float64)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    channels, width = case.integer(2, 5), case.integer(1, 3)
    x = case.randn(case.batch, channels, case.integer(1, 4), case.width)
    linear = [t for out in (width, width, channels) for t in (case.randn(out, channels), case.randn(out))]
    return x, *linear, case.randn(1)[0]


def _tokens(x: Tensor, *linear: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys (B, D, N), values (B, C, N)."""
    flat = x.flatten(2)
    made = [w @ flat + b[:, None] for w, b in zip(linear[::2], linear[1::2], strict=True)]
    return made[0], made[1], made[2]


def _seen(x: Tensor, *linear: Tensor) -> Tensor:
    q, k, v = _tokens(x, *linear)
    return torch.einsum("bij,bcj->bci", torch.einsum("bdi,bdj->bij", q, k).softmax(2), v).view_as(x)


ex.wrong(
    "no_residual",
    "You return what is seen and drop x: with gamma = 0 the network would be cut in two.",
    lambda x, *rest: rest[-1] * _seen(x, *rest[:-1]),
)
ex.wrong(
    "gamma_on_x",
    "You put gamma on x instead of on what is seen.",
    lambda x, *rest: _seen(x, *rest[:-1]) + rest[-1] * x,
)
ex.wrong(
    "no_gamma",
    "You leave gamma out: the block would disturb the network from the first step on.",
    lambda x, *rest: _seen(x, *rest[:-1]) + 0 * rest[-1] + x,
)
ex.wrong(
    "mixed",
    "You mix x and what is seen by gamma and 1 - gamma; x stays whole.",
    lambda x, *rest: torch.lerp(x, _seen(x, *rest[:-1]), rest[-1]),
)
ex.wrong(
    "gamma_squashed",
    "You squash gamma by a sigmoid: at 0 that is a half, not nothing.",
    lambda x, *rest: rest[-1].sigmoid() * _seen(x, *rest[:-1]) + x,
)


@ex.wrong(
    "columns",
    "You let softmax run over the places that look instead of those looked at: rows do not sum to one, "
    "and a constant value field does not come back constant.",
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k).softmax(1).mT).view_as(x) + x


@ex.wrong(
    "map_turned", "You mix the values with the map transposed: j looks at i then, and rows do not sum to one."
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k).softmax(2)).view_as(x) + x


@ex.wrong(
    "query_key_swapped", "You have queries and keys the wrong way round: the key asks and the query answers."
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (k.mT @ q).softmax(2).mT).view_as(x) + x


@ex.wrong("scaled", "You divide by the root of the width, as transformers do; SAGAN does not.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k / len(rest[0]) ** 0.5).softmax(2).mT).view_as(x) + x


@ex.wrong(
    "no_softmax", "You use the products as weights without softmax: they may be negative and of any size."
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k).mT).view_as(x) + x


@ex.wrong(
    "one_softmax", "You let softmax run over the whole map: then the map sums to one, not each of its rows."
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    a = (q.mT @ k).flatten(1).softmax(1).view(len(x), v.shape[2], -1)
    return rest[-1] * (v @ a.mT).view_as(x) + x


@ex.wrong(
    "reshaped_tokens",
    "You reshape (B, N, C) to (B, C, H, W) without moving the axes back: channels and places get mixed up.",
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    return rest[-1] * _seen(x, *rest[:-1]).flatten(2).mT.reshape(x.shape) + x


@ex.wrong("x_as_value", "You mix x itself; the values have a convolution of their own.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, _v = _tokens(x, *rest[:-1])
    return rest[-1] * (x.flatten(2) @ (q.mT @ k).softmax(2).mT).view_as(x) + x


@ex.wrong("over_channels", "You compare channels with channels; it is the places that look at each other.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    flat = x.flatten(2)
    value = _tokens(x, *rest[:-1])[2]
    return rest[-1] * ((flat @ flat.mT).softmax(2) @ value).view_as(x) + x


@ex.wrong(
    "shortcut_at_zero",
    "You return x at once where gamma is 0: then gamma never gets a gradient and stays 0 for ever.",
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    if rest[-1] == 0:
        return x
    return rest[-1] * _seen(x, *rest[:-1]) + x


@ex.wrong("detached_map", "You detach the map: queries and keys would never learn where to look.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k).softmax(2).detach().mT).view_as(x) + x


@ex.wrong(
    "overflow",
    "You take the exponential of the products as they are: of large ones it is infinite. `softmax` subtracts "
    "the largest first.",
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    a = (q.mT @ k).exp()
    return rest[-1] * (v @ (a / a.sum(2, keepdim=True)).mT).view_as(x) + x


@ex.wrong("scaled_by_channels", "You divide by the root of the channels; nothing is divided here.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = _tokens(x, *rest[:-1])
    return rest[-1] * (v @ (q.mT @ k / x.shape[1] ** 0.5).softmax(2).mT).view_as(x) + x


@ex.wrong("no_biases", "You leave the biases of the three convolutions out; each has a weight and a bias.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    q, k, v = (w @ x.flatten(2) for w in rest[:-1:2])
    return rest[-1] * (v @ (q.mT @ k).softmax(2).mT).view_as(x) + x


@ex.wrong("no_value_bias", "You leave the bias of the values out.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    return rest[-1] * _seen(x, *rest[:-2], torch.zeros_like(rest[-2])) + x


ex.wrong(
    "flattened",
    "You return (B, C, N); the shape of x was asked for.",
    lambda x, *rest: (rest[-1] * _seen(x, *rest[:-1]) + x).flatten(2),
)
ex.wrong(
    "gamma_on_both",
    "You multiply the sum by gamma: with gamma = 0 nothing is left, not even x.",
    lambda x, *rest: rest[-1] * (_seen(x, *rest[:-1]) + x),
)
ex.wrong(
    "values_detached",
    "You detach the values, or what is seen: nothing of the block but gamma would learn.",
    lambda x, *rest: rest[-1] * _seen(x, *rest[:-1]).detach() + x,
)


@ex.wrong("no_query_bias", "You leave the bias of the queries out.")
def _(x: Tensor, *rest: Tensor) -> Tensor:
    return rest[-1] * _seen(x, rest[0], torch.zeros_like(rest[1]), *rest[2:-1]) + x


@ex.wrong(
    "view",
    "You use `view` on a tensor that need not be contiguous; `reshape` and `flatten` copy where they must.",
)
def _(x: Tensor, *rest: Tensor) -> Tensor:
    flat = x.view(*x.shape[:2], 1, -1)
    return rest[-1] * _seen(flat, *rest[:-1]).view_as(x) + x


ex.right(lambda x, *rest: x + rest[-1] * _seen(x, *rest[:-1]))


@ex.right
def _(x: Tensor, wq: Tensor, bq: Tensor, wk: Tensor, bk: Tensor, wv: Tensor, bv: Tensor, g: Tensor) -> Tensor:
    q, k, v = (F.conv2d(x, w[:, :, None, None], b) for w, b in ((wq, bq), (wk, bk), (wv, bv)))
    batch, channels, height, width = x.shape
    q, k, v = (t.view(batch, -1, height * width) for t in (q, k, v))
    energy = torch.bmm(q.permute(0, 2, 1), k)
    attention = torch.softmax(energy, dim=-1)
    out = torch.bmm(v, attention.permute(0, 2, 1))
    return g * out.view(batch, channels, height, width) + x


@ex.right
def _(x: Tensor, wq: Tensor, bq: Tensor, wk: Tensor, bk: Tensor, wv: Tensor, bv: Tensor, g: Tensor) -> Tensor:
    tokens = x.permute(0, 2, 3, 1).flatten(1, 2)
    query, key, value = tokens @ wq.T + bq, tokens @ wk.T + bk, tokens @ wv.T + bv
    seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
    return torch.addcmul(x, g, seen.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2))


@ex.right
def _(x: Tensor, wq: Tensor, bq: Tensor, wk: Tensor, bk: Tensor, wv: Tensor, bv: Tensor, g: Tensor) -> Tensor:
    images = []
    for image in x:
        places = image.flatten(1).T
        query, key, value = places @ wq.T + bq, places @ wk.T + bk, places @ wv.T + bv
        rows = [torch.softmax(key @ q, 0) @ value for q in query]
        images.append(image + g * torch.stack(rows, dim=1).view_as(image))
    return torch.stack(images)


@ex.right
def _(x: Tensor, wq: Tensor, bq: Tensor, wk: Tensor, bk: Tensor, wv: Tensor, bv: Tensor, g: Tensor) -> Tensor:
    # a value's convolution may come after the mixing, because the weights of a row sum to one
    q, k, _v = _tokens(x, wq, bq, wk, bk, wv, bv)
    products = q.mT @ k
    weights = (products - products.amax(2, keepdim=True).detach()).exp()
    mixed = x.flatten(2) @ (weights / weights.sum(2, keepdim=True)).mT
    return x + g * (wv @ mixed + bv[:, None]).view_as(x)


ex.background("A feature map has $N = H W$ places.")
ex.breach("Three 1 x 1 convolutions (a weight and a bias each)", "x_as_value")
ex.breach("Place $i$ looks at place $j$ with the weight", "query_key_swapped")
ex.breach(r"$$a_{ij} = ", "no_softmax")
ex.breach("so every *row* of $a$ sums to one", "columns")
ex.breach(r"Return $\gamma s + x$", "no_residual")
ex.breach(r"There is no division by $\sqrt d$.", "scaled")
ex.breach(r"With $\gamma = 0$, where training starts", "shortcut_at_zero")
ex.breach("so must `x` and every weight", "detached_map")
ex.breach("Products in the hundreds are possible", "overflow")
