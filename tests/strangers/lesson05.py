"""Answers to the exercises of lesson 05 by people who saw only the texts."""

import itertools

import torch
import torch.nn.functional as F
from strangers import right, wrong

# -------------------------------------------------------------- lsgan_d_loss


@wrong("lsgan_d_loss", "sigmoid first", breaks="Logits are raw")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits.sigmoid() - 1).square().mean() + fake_logits.sigmoid().square().mean())


@wrong("lsgan_d_loss", "mean over the patches, sum over the images", breaks="The mean runs over all patches")
def _(real_logits, fake_logits):
    real = (real_logits - 1).square().mean((1, 2, 3)).sum()
    return 0.5 * (real + fake_logits.square().mean((1, 2, 3)).sum())


@wrong(
    "lsgan_d_loss",
    "the fake logits are detached, as if they were the fake images",
    breaks="Return a scalar that can",
)
def _(real_logits, fake_logits):
    real = F.mse_loss(real_logits, torch.ones_like(real_logits))
    fake_logits = fake_logits.detach()
    return (real + F.mse_loss(fake_logits, torch.zeros_like(fake_logits))) / 2


@wrong("lsgan_d_loss", "square of the mean verdict", breaks="Every logit is a verdict")
def _(real_logits, fake_logits):
    return 0.5 * ((real_logits.mean() - 1) ** 2 + fake_logits.mean() ** 2)


@wrong(
    "lsgan_d_loss",
    "no penalty for a real logit above 1 or a fake one below 0",
    breaks="The least-squares discriminator",
)
def _(real_logits, fake_logits):
    return 0.5 * (F.relu(1 - real_logits).square().mean() + F.relu(fake_logits).square().mean())


@right("lsgan_d_loss", "F.mse_loss against full tensors")
def _(real_logits, fake_logits):
    real = F.mse_loss(real_logits, torch.full_like(real_logits, 1.0))
    fake = F.mse_loss(fake_logits, torch.full_like(fake_logits, 0.0))
    return torch.stack((real, fake)).sum().div(2)


@right("lsgan_d_loss", "scalar products divided by the count")
def _(real_logits, fake_logits):
    miss = real_logits.reshape(-1) - 1
    fake = fake_logits.reshape(-1)
    return torch.dot(miss, miss) / (2 * miss.numel()) + torch.dot(fake, fake) / (2 * fake.numel())


# ----------------------------------------------------------- patchgan_layers


@wrong("patchgan_layers", "starts with one channel: the condition is forgotten", breaks="Input: 2 channels")
def _(base, n_layers, cap):
    channels = [1] + [min(base * 2**k, cap) for k in range(n_layers + 1)] + [1]
    strides = [2] * n_layers + [1, 1]
    return [(channels[i], channels[i + 1], 4, strides[i], 1) for i in range(n_layers + 2)]


@wrong(
    "patchgan_layers",
    "first layer of stride 1 does not follow the rule any more",
    breaks="First `n_layers` layers",
)
def _(base, n_layers, cap):
    layers, before = [], 2
    for k in range(n_layers):
        now = min(base * 2**k, cap)
        layers.append((before, now, 4, 2, 1))
        before = now
    return layers + [(before, before, 4, 1, 1), (before, 1, 4, 1, 1)]


@wrong("patchgan_layers", "padding in front of stride", breaks="Return it: one")
def _(base, n_layers, cap):
    channels = [2] + [min(base * 2**k, cap) for k in range(n_layers + 1)] + [1]
    strides = [2] * n_layers + [1, 1]
    return [(i, o, 4, 1, s) for i, o, s in zip(channels, channels[1:], strides)]


@wrong("patchgan_layers", "cap forgotten at the layer of stride 1", breaks="First `n_layers` layers")
def _(base, n_layers, cap):
    channels = [2] + [min(base * 2**k, cap) for k in range(n_layers)] + [base * 2**n_layers, 1]
    strides = [2] * n_layers + [1, 1]
    return [(i, o, 4, s, 1) for i, o, s in zip(channels, channels[1:], strides)]


@wrong("patchgan_layers", "never more than 8 times the base, as in pix2pix", breaks="First `n_layers` layers")
def _(base, n_layers, cap):
    channels = [2] + [min(base * min(2**k, 8), cap) for k in range(n_layers + 1)] + [1]
    strides = [2] * n_layers + [1, 1]
    return [(i, o, 4, s, 1) for i, o, s in zip(channels, channels[1:], strides)]


@right("patchgan_layers", "a running number of channels, doubled and cut")
def _(base, n_layers, cap):
    table, before, wanted = [], 2, base
    for k in range(n_layers + 1):
        now = wanted if wanted < cap else cap
        table.append((before, now, 4, 2 if k < n_layers else 1, 1))
        before, wanted = now, wanted * 2
    table.append((before, 1, 4, 1, 1))
    return table


@right("patchgan_layers", "pairs of neighbours, itertools")
def _(base, n_layers, cap):
    outs = itertools.chain((2,), (min(base << k, cap) for k in range(n_layers + 1)), (1,))
    strides = itertools.chain(itertools.repeat(2, n_layers), (1, 1))
    return [(*pair, 4, stride, 1) for pair, stride in zip(itertools.pairwise(outs), strides, strict=True)]


# ---------------------------------------------------------------- logit_span


@wrong("logit_span", "cuts the span off at row 0", breaks="Near the border the span reaches")
def _(index, layers):
    first = last = index
    for kernel, stride, padding in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + kernel - 1
    return max(first, 0), last


@wrong("logit_span", "last row is one beyond, as for a slice", breaks="Return the first and the last row")
def _(index, layers):
    first, end = index, index + 1
    for kernel, stride, padding in reversed(layers):
        first, end = first * stride - padding, (end - 1) * stride - padding + kernel
    return first, end


@wrong(
    "logit_span",
    "paddings are summed without regard to the strides before them",
    breaks="You click the logit",
)
def _(index, layers):
    step, field = 1, 1
    for kernel, stride, _ in layers:
        field += (kernel - 1) * step
        step *= stride
    first = index * step - sum(p for _, _, p in layers)
    return first, first + field - 1


@wrong("logit_span", "walks from the image to the logits", breaks="`layers` holds")
def _(index, layers):
    first = last = index
    for kernel, stride, padding in layers:
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last


@wrong(
    "logit_span",
    "the field centred on the logit's block of pixels, as if the padding were always the fitting one",
    breaks="You click the logit",
)
def _(index, layers):
    step, field = 1, 1
    for kernel, stride, _ in layers:
        field += (kernel - 1) * step
        step *= stride
    first = index * step - (field - step) // 2
    return first, first + field - 1


@wrong("logit_span", "takes the padding off on both sides", breaks="You click the logit")
def _(index, layers):
    first = last = index
    for kernel, stride, padding in layers[::-1]:
        first = first * stride - padding
        last = last * stride + kernel - 1 - 2 * padding
    return first, last


@right("logit_span", "forwards: step, offset and field of every layer")
def _(index, layers):
    step, offset, reach = 1, 0, 0
    for kernel, stride, padding in layers:
        offset -= padding * step
        reach += (kernel - 1) * step
        step *= stride
    first = index * step + offset
    return first, first + reach


@right("logit_span", "the set of all rows, layer by layer")
def _(index, layers):
    rows = {index}
    for kernel, stride, padding in list(layers)[::-1]:
        rows = {row * stride - padding + tap for row in rows for tap in (0, kernel - 1)}
    return min(rows), max(rows)
