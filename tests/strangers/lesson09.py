"""Answers to the exercises of lesson 09 by people who saw only the texts."""

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong

# ---------------------------------------------------------------- checkerboard_excess


@right("checkerboard_excess", "three frequencies by cosines and sines, without an FFT")
def _(images, axis):
    n = images.shape[axis]
    lines = images.transpose(axis, -1).reshape(-1, n)
    place = torch.arange(n, dtype=torch.float64)

    def power(frequency):
        angle = 2 * torch.pi * frequency * place / n
        real = lines @ torch.cos(angle).to(lines.dtype)
        imaginary = lines @ torch.sin(angle).to(lines.dtype)
        return (real**2 + imaginary**2).mean()

    half = n // 2
    return 2 * power(half) / (power(half - 1) + power(half - 2))


@wrong("checkerboard_excess", "magnitude instead of power", breaks="Along one axis")
def _(images, axis):
    power = torch.fft.rfft(images.movedim(axis, -1)).abs().mean((0, 1, 2))
    return power[-1] / power[-3:-1].mean()


@wrong("checkerboard_excess", "divides by one frequency before it", breaks="Return its power divided by")
def _(images, axis):
    power = torch.fft.rfft(images.movedim(axis, -1)).abs().square().mean((0, 1, 2))
    return power[-1] / power[-2]


@wrong("checkerboard_excess", "takes a ratio per line and averages the ratios", breaks="Along one axis")
def _(images, axis):
    power = torch.fft.rfft(images.movedim(axis, -1)).abs().square()
    return (power[..., -1] / power[..., -3:-1].mean(-1)).mean()


@wrong("checkerboard_excess", "averages the lines before the transform", breaks="Along one axis")
def _(images, axis):
    line = images.movedim(axis, -1).mean((0, 1, 2))
    power = torch.fft.rfft(line).abs().square()
    return power[-1] / power[-3:-1].mean()


@wrong(
    "checkerboard_excess",
    "takes the mean off every line first, which empties frequency 0",
    breaks="Along one axis",
)
def _(images, axis):
    lines = images.movedim(axis, -1)
    lines = lines - lines.mean(-1, keepdim=True)
    power = torch.fft.rfft(lines).abs().square().mean((0, 1, 2))
    return power[-1] / power[-3:-1].mean()


# ---------------------------------------------------------------- matched_features


@right("matched_features", "a running sum, real features detached one by one")
def _(condition, fake, real, critic, convention):
    if convention == "mean":
        weight = 1
    elif convention == "sum":
        weight = 4
    else:
        raise ValueError(convention)
    of_fake = critic(condition, fake)[1]
    of_real = critic(condition, real)[1]
    total = 0.0
    for k in range(len(of_fake)):
        difference = of_real[k].detach() - of_fake[k]
        total = total + difference.abs().sum() / difference.numel()
    return total * weight / len(of_fake)


@wrong(
    "matched_features",
    "detaches the real image but not its features: D is taught through them",
    breaks="The real features count as constants",
)
def _(condition, fake, real, critic, convention):
    if convention not in ("mean", "sum"):
        raise ValueError(convention)
    got, wanted = critic(condition, fake)[1], critic(condition, real.detach())[1]
    return (
        (1 if convention == "mean" else 4)
        * sum(F.l1_loss(g, w) for g, w in zip(got, wanted, strict=True))
        / len(got)
    )


@wrong(
    "matched_features", "one mean over the numbers of all layers", breaks="Each layer has a mean of its own"
)
def _(condition, fake, real, critic, convention):
    if convention not in ("mean", "sum"):
        raise ValueError(convention)
    got = torch.cat([f.flatten() for f in critic(condition, fake)[1]])
    wanted = torch.cat([f.detach().flatten() for f in critic(condition, real)[1]])
    return (1 if convention == "mean" else 4) * (got - wanted).abs().mean()


@wrong("matched_features", 'whatever is not "sum" is "mean"', breaks="Another convention raises")
def _(condition, fake, real, critic, convention):
    got, wanted = critic(condition, fake)[1], critic(condition, real)[1]
    total = sum(F.l1_loss(g, w.detach()) for g, w in zip(got, wanted, strict=True)) / len(got)
    return 4 * total if convention == "sum" else total


@wrong("matched_features", "4 / (K + 1), as if the logits were among the layers", breaks="With `convention`")
def _(condition, fake, real, critic, convention):
    if convention not in ("mean", "sum"):
        raise ValueError(convention)
    got, wanted = critic(condition, fake)[1], critic(condition, real)[1]
    total = sum(F.l1_loss(g, w.detach()) for g, w in zip(got, wanted, strict=True))
    return total / len(got) if convention == "mean" else total * 4 / (len(got) + 1)


@wrong("matched_features", "compares the logits as one more layer", breaks="The logits are not compared.")
def _(condition, fake, real, critic, convention):
    if convention not in ("mean", "sum"):
        raise ValueError(convention)
    logits_fake, got = critic(condition, fake)
    logits_real, wanted = critic(condition, real)
    pairs = list(zip([*got, logits_fake], [*wanted, logits_real], strict=True))
    return (1 if convention == "mean" else 4) * sum(F.l1_loss(g, w.detach()) for g, w in pairs) / len(pairs)


# ---------------------------------------------------------------- overlap_counts


@right("overlap_counts", "torch's own transposed convolution of ones")
def _(size, kernel, stride, padding):
    ones = torch.ones(1, 1, size, dtype=torch.float64)
    weight = torch.ones(1, 1, kernel, dtype=torch.float64)
    full = F.conv_transpose1d(ones, weight, stride=stride)[0, 0]
    return [round(v) for v in full[padding : len(full) - padding].tolist()]


@right("overlap_counts", "the first and the last stroke that reach a pixel")
def _(size, kernel, stride, padding):
    out = []
    for x in range(padding, (size - 1) * stride + kernel - padding):
        last = min(size - 1, x // stride)
        first = max(0, -((kernel - 1 - x) // stride))  # least i with i * stride + kernel - 1 >= x
        out.append(max(0, last - first + 1))
    return out


@right("overlap_counts", "starts and ends marked, then a running sum")
def _(size, kernel, stride, padding):
    length = (size - 1) * stride + kernel
    change = np.zeros(length + 1, dtype=int)
    for i in range(size):
        change[i * stride] += 1
        change[i * stride + kernel] -= 1
    return np.cumsum(change)[padding : length - padding].tolist()


@wrong(
    "overlap_counts",
    "cuts with [padding:-padding], which leaves nothing at padding 0",
    breaks="then it cuts `padding` pixels off at both ends",
)
def _(size, kernel, stride, padding):
    full = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for j in range(kernel):
            full[i * stride + j] += 1
    return full[padding:-padding]


@wrong("overlap_counts", "cuts 2 * padding off at the end only", breaks="A transposed convolution paints")
def _(size, kernel, stride, padding):
    full = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for j in range(kernel):
            full[i * stride + j] += 1
    return full[: len(full) - 2 * padding]


@wrong("overlap_counts", "every pixel is covered at least once", breaks="Return, along one axis")
def _(size, kernel, stride, padding):
    full = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for j in range(kernel):
            full[i * stride + j] += 1
    return [max(1, n) for n in full[padding : len(full) - padding]]


@wrong("overlap_counts", "a formula for the inside, used up to the ends", breaks="Return, along one axis")
def _(size, kernel, stride, padding):
    out = []
    for x in range(padding, (size - 1) * stride + kernel - padding):
        out.append(len(range(x % stride, kernel, stride)))
    return out


@wrong("overlap_counts", "strokes of kernel + 1 pixels", breaks="A transposed convolution paints")
def _(size, kernel, stride, padding):
    length = (size - 1) * stride + kernel
    full = [sum(i * stride <= x <= i * stride + kernel for i in range(size)) for x in range(length)]
    return full[padding : length - padding]
