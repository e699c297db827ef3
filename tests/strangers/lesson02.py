"""Answers to the exercises of lesson 02 by people who saw only the texts."""

import math

import torch
import torch.nn.functional as F
from strangers import right, wrong

# ------------------------------------------------------ sinusoidal_embedding


@wrong("sinusoidal_embedding", "divides by half - 1, as Ho et al.", breaks="Half of the width goes to sines")
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    half = width // 2
    k = torch.arange(half, device=t.device, dtype=torch.float32)
    angle = t.float()[:, None] * torch.exp(-math.log(max_period) * k / max(half - 1, 1))
    return torch.cat([angle.sin(), angle.cos()], 1)


@wrong(
    "sinusoidal_embedding",
    "sines and cosines alternate, as in the transformer",
    breaks="All sines come first",
)
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    half = width // 2
    angle = t.float()[:, None] * max_period ** (-torch.arange(half, device=t.device) / half)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


@wrong("sinusoidal_embedding", "an odd width is padded with a zero", breaks="An odd width has no two halves")
def _(t, width, max_period):
    half = width // 2
    k = torch.arange(half, device=t.device, dtype=torch.float32)
    angle = t.float()[:, None] * torch.exp(-math.log(max_period) * k / half)
    out = torch.cat([angle.sin(), angle.cos()], 1)
    return F.pad(out, (0, width % 2))


@wrong(
    "sinusoidal_embedding",
    "frequencies in the type of t: whole timesteps make them whole too",
    breaks="`t` is `(B,)`, whole or not",
)
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    half = width // 2
    k = torch.arange(half, device=t.device, dtype=torch.float32)
    omega = (max_period ** (-k / half)).to(t.dtype)
    angle = (t[:, None] * omega).float()
    return torch.cat([angle.sin(), angle.cos()], 1)


@wrong("sinusoidal_embedding", "float64 for timesteps in float64", breaks="`t` is `(B,)`, whole or not")
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    half = width // 2
    t = t if t.is_floating_point() else t.float()
    angle = t[:, None] * max_period ** (-torch.arange(half, device=t.device) / half)
    return torch.cat([angle.sin(), angle.cos()], 1)


@wrong("sinusoidal_embedding", "cuts timesteps to whole numbers", breaks="`t` is `(B,)`, whole or not")
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    half = width // 2
    omega = max_period ** (-torch.arange(half, device=t.device) / half)
    angle = t.long()[:, None] * omega
    return torch.cat([angle.sin(), angle.cos()], 1).float()


@right("sinusoidal_embedding", "imaginary and real part of a complex exponential")
def _(t, width, max_period):
    if width % 2 == 1:
        raise ValueError("the width must be even")
    half = width // 2
    omega = torch.tensor(
        [float(max_period) ** (-k / half) for k in range(half)], dtype=torch.float64, device=t.device
    )
    hand = torch.exp(1j * torch.outer(t.to(torch.float64), omega))
    return torch.cat((hand.imag, hand.real), dim=1).to(torch.float32)


@right("sinusoidal_embedding", "one number after the other")
def _(t, width, max_period):
    half, odd = divmod(width, 2)
    if odd:
        raise ValueError("the width must be even")
    out = torch.zeros(len(t), width, dtype=torch.float32, device=t.device)
    for i, step in enumerate(t.tolist()):
        for k in range(half):
            angle = step / max_period ** (k / half)
            out[i, k] = math.sin(angle)
            out[i, half + k] = math.cos(angle)
    return out


# ----------------------------------------------------------- time_modulation


@wrong("time_modulation", "SiLU after the layer", breaks="SiLU comes *before* the layer")
def _(h, embedding, weight, bias):
    scale, shift = F.silu(F.linear(embedding, weight, bias)).chunk(2, 1)
    return h * (1 + scale[..., None, None]) + shift[..., None, None]


@wrong(
    "time_modulation",
    "the first C numbers are taken for the shift",
    breaks="The first C numbers are the scale",
)
def _(h, embedding, weight, bias):
    shift, scale = F.linear(F.silu(embedding), weight, bias)[..., None, None].chunk(2, 1)
    return h * (1 + scale) + shift


@wrong("time_modulation", "scales h in place", breaks="Leave `h` itself as it is")
def _(h, embedding, weight, bias):
    scale, shift = F.linear(F.silu(embedding), weight, bias)[..., None, None].chunk(2, 1)
    with torch.no_grad():
        h.mul_(1 + scale)
    return h + shift


@wrong(
    "time_modulation", "scale and shift of a channel side by side", breaks="The first C numbers are the scale"
)
def _(h, embedding, weight, bias):
    both = F.linear(F.silu(embedding), weight, bias).view(h.shape[0], h.shape[1], 2)
    return h * (1 + both[..., 0, None, None]) + both[..., 1, None, None]


@wrong("time_modulation", "shifts first, then scales", breaks="One linear layer, given as")
def _(h, embedding, weight, bias):
    out = (embedding * embedding.sigmoid()) @ weight.T + bias
    c = h.shape[1]
    return (h + out[:, c:, None, None]) * (1 + out[:, :c, None, None])


@wrong(
    "time_modulation",
    "the first image's embedding for the whole batch",
    breaks="A residual block works on maps",
)
def _(h, embedding, weight, bias):
    out = F.linear(F.silu(embedding), weight, bias)[0]
    c = h.shape[1]
    return h * (1 + out[:c].view(1, c, 1, 1)) + out[c:].view(1, c, 1, 1)


@right("time_modulation", "einsum and addcmul")
def _(h, embedding, weight, bias):
    c = h.size(1)
    active = embedding * torch.sigmoid(embedding)
    scale = torch.einsum("bd,cd->bc", active, weight[:c]) + bias[:c]
    shift = torch.einsum("bd,cd->bc", active, weight[c:]) + bias[c:]
    return torch.addcmul(h + shift[:, :, None, None], h, scale[:, :, None, None])


@right("time_modulation", "image by image, stacked")
def _(h, embedding, weight, bias):
    done = []
    for one, e in zip(h, embedding):
        numbers = weight.mv(e / (1 + torch.exp(-e))) + bias
        scale, shift = torch.split(numbers, one.shape[0])
        done.append(one + one * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1))
    return torch.stack(done)
