"""Answers to the exercises of lesson 08 by people who saw only the texts."""

import math

import torch
import torch.nn.functional as F
from strangers import right, wrong

# ---------------------------------------------------------------- attention_parameters


@right("attention_parameters", "a sum over the three convolutions")
def _(channels, share):
    small = max(channels // share, 1)
    total = 1  # gamma
    for out in (small, small, channels):
        total += out * channels
        total += out
    return total


@wrong("attention_parameters", "queries and keys may have no channel at all", breaks="Queries and keys have")
def _(channels, share):
    d = channels // share
    return 2 * (channels * d + d) + channels * channels + channels + 1


@wrong("attention_parameters", "gamma forgotten", breaks="Do not forget the scalar gamma.")
def _(channels, share):
    d = max(1, channels // share)
    return 2 * (channels * d + d) + channels * channels + channels


@wrong("attention_parameters", "rounds the narrow width up", breaks="Queries and keys have")
def _(channels, share):
    d = math.ceil(channels / share)
    return (channels + 1) * (2 * d + channels) + 1


@wrong("attention_parameters", "queries and keys share one convolution", breaks="Queries and keys have")
def _(channels, share):
    d = max(1, channels // share)
    return (channels + 1) * (d + channels) + 1


@wrong("attention_parameters", "every bias has `channels` entries", breaks="Queries and keys have")
def _(channels, share):
    d = max(1, channels // share)
    return channels * (2 * d + channels) + 3 * channels + 1


# ---------------------------------------------------------------- largest_side


@right("largest_side", "bisection in whole numbers")
def _(budget, batch, copies, bytes_each):
    def fits(side):
        return side**4 * batch * copies * bytes_each <= budget

    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if fits(middle):
            low = middle
        else:
            high = middle
    return low


@right("largest_side", "bit by bit, from the highest bit")
def _(budget, batch, copies, bytes_each):
    unit = batch * copies * bytes_each
    side = 0
    for bit in reversed(range(budget.bit_length() // 4 + 1)):
        trial = side | (1 << bit)
        if unit * trial**4 <= budget:
            side = trial
    return side


@wrong("largest_side", "the fourth root in floating point", breaks="Count in whole numbers")
def _(budget, batch, copies, bytes_each):
    return int((budget / (batch * copies * bytes_each)) ** 0.25)


@wrong("largest_side", "the budget must not be filled", breaks="Return the largest `side`")
def _(budget, batch, copies, bytes_each):
    unit = batch * copies * bytes_each
    side = math.isqrt(math.isqrt(budget // unit))
    return side - 1 if side and side**4 * unit == budget else side


@wrong("largest_side", "copies are kept once for the whole batch", breaks="Plain attention over a square map")
def _(budget, batch, copies, bytes_each):
    return math.isqrt(math.isqrt(budget // ((batch + copies - 1) * bytes_each)))


@wrong("largest_side", "takes the integer root of the unit first", breaks="Count in whole numbers")
def _(budget, batch, copies, bytes_each):
    unit = batch * copies * bytes_each
    return math.isqrt(math.isqrt(budget) // max(1, math.isqrt(unit)))


@wrong("largest_side", "at least one pixel, even where it does not fit", breaks="Return the largest `side`")
def _(budget, batch, copies, bytes_each):
    return max(1, math.isqrt(math.isqrt(budget // (batch * copies * bytes_each))))


# ---------------------------------------------------------------- fused_attention


@right("fused_attention", "writes into tensors of zeros, zeros in front")
def _(query, key, value, kernel):
    batch, places, width = value.shape
    narrow = query.shape[2]
    q = value.new_zeros(batch, 1, places, width)
    k = value.new_zeros(batch, 1, places, width)
    q[:, 0, :, width - narrow :] = query
    k[:, 0, :, width - narrow :] = key
    return kernel(q, k, value[:, None], scale=1.0)[:, 0]


@wrong("fused_attention", "passes different widths", breaks="It takes four axes")
def _(query, key, value, kernel):
    return kernel(query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1), scale=1.0).squeeze(1)


@wrong(
    "fused_attention",
    "cuts the values into pieces of the narrow width, one call for each",
    breaks="Call the one you are given",
)
def _(query, key, value, kernel):
    d = query.shape[-1]
    parts = []
    for piece in value.split(d, dim=-1):
        missing = d - piece.shape[-1]
        seen = kernel(query[:, None], key[:, None], F.pad(piece, (0, missing))[:, None], scale=1.0)[:, 0]
        parts.append(seen[..., : piece.shape[-1]])
    return torch.cat(parts, dim=-1)


@wrong("fused_attention", "zeros behind the query, but in front of the key", breaks="It takes four axes")
def _(query, key, value, kernel):
    extra = value.shape[-1] - query.shape[-1]
    q, k = F.pad(query, (0, extra)), F.pad(key, (extra, 0))
    return kernel(q[:, None], k[:, None], value[:, None], scale=1.0)[:, 0]


@wrong("fused_attention", "scale=1 only where it pads", breaks="It also multiplies the products")
def _(query, key, value, kernel):
    extra = value.shape[-1] - query.shape[-1]
    if extra == 0:
        return kernel(query[:, None], key[:, None], value[:, None], scale=None)[:, 0]
    q, k = F.pad(query, (0, extra)), F.pad(key, (0, extra))
    return kernel(q[:, None], k[:, None], value[:, None], scale=1.0)[:, 0]


@wrong(
    "fused_attention", "all images of the batch become places of one long image", breaks="It takes four axes"
)
def _(query, key, value, kernel):
    extra = value.shape[-1] - query.shape[-1]
    q, k, v = (t.flatten(0, 1)[None, None] for t in (F.pad(query, (0, extra)), F.pad(key, (0, extra)), value))
    return kernel(q, k, v, scale=1.0)[0, 0].reshape(value.shape)


# ---------------------------------------------------------------- self_attention


@right("self_attention", "F.linear with the channels last, and torch's own attention at scale 1")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    last = x.flatten(2).transpose(1, 2)  # (B, N, C)
    q, k, v = F.linear(last, w_query, b_query), F.linear(last, w_key, b_key), F.linear(last, w_value, b_value)
    s = F.scaled_dot_product_attention(q, k, v, scale=1.0)
    return gamma * s.transpose(1, 2).reshape(x.shape) + x


@right("self_attention", "einsum over images, rows and columns")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    q = torch.einsum("dc,bchw->bdhw", w_query, x) + b_query[:, None, None]
    k = torch.einsum("dc,bchw->bdhw", w_key, x) + b_key[:, None, None]
    v = torch.einsum("dc,bchw->bdhw", w_value, x) + b_value[:, None, None]
    products = torch.einsum("bdhw,bdyx->bhwyx", q, k)
    a = products.flatten(3).softmax(-1).reshape(products.shape)
    return x + gamma * torch.einsum("bhwyx,bcyx->bchw", a, v)


def _maps(x, w_query, b_query, w_key, b_key, w_value, b_value):
    flat = x.flatten(2)
    return w_query @ flat + b_query[:, None], w_key @ flat + b_key[:, None], w_value @ flat + b_value[:, None]


@wrong(
    "self_attention",
    "rows sum to one, but the values are added up over the other index",
    breaks="so every *row* of",
)
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    q, k, v = _maps(x, w_query, b_query, w_key, b_key, w_value, b_value)
    a = torch.softmax(q.transpose(1, 2) @ k, dim=-1)
    return x + gamma * (v @ a).reshape(x.shape)


@wrong("self_attention", "returns x at once where gamma is 0", breaks="With $\\gamma = 0$")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    if gamma == 0:
        return x
    q, k, v = _maps(x, w_query, b_query, w_key, b_key, w_value, b_value)
    a = torch.softmax(q.transpose(1, 2) @ k, dim=-1)
    return x + gamma * (v @ a.transpose(1, 2)).reshape(x.shape)


@wrong(
    "self_attention", "the result (B, N, C) is reshaped without a transpose", breaks="Return $\\gamma s + x$"
)
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    last = x.flatten(2).transpose(1, 2)
    q, k, v = last @ w_query.T + b_query, last @ w_key.T + b_key, last @ w_value.T + b_value
    a = torch.softmax(q @ k.transpose(1, 2), dim=-1)
    return x + gamma * (a @ v).reshape(x.shape)


@wrong("self_attention", "no bias in the query", breaks="Three 1 x 1 convolutions")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    q, k, v = _maps(x, w_query, torch.zeros_like(b_query), w_key, b_key, w_value, b_value)
    a = torch.softmax(q.transpose(1, 2) @ k, dim=-1)
    return x + gamma * (v @ a.transpose(1, 2)).reshape(x.shape)


@wrong("self_attention", "view, which raises where x is not contiguous", breaks="x (B, C, H, W)")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    b, c, h, w = x.shape
    flat = x.view(b, c, h * w)
    q, k, v = (
        w_query @ flat + b_query[:, None],
        w_key @ flat + b_key[:, None],
        w_value @ flat + b_value[:, None],
    )
    a = torch.softmax(q.transpose(1, 2) @ k, dim=-1)
    return x + gamma * (v @ a.transpose(1, 2)).view(b, c, h, w)


@wrong(
    "self_attention",
    "the exponentials written out: infinite over infinite at large products",
    breaks="Place $i$ looks at place",
)
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    q, k, v = _maps(x, w_query, b_query, w_key, b_key, w_value, b_value)
    e = torch.exp(q.transpose(1, 2) @ k)
    a = e / e.sum(dim=-1, keepdim=True)
    return x + gamma * (v @ a.transpose(1, 2)).reshape(x.shape)
