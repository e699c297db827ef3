"""Answers to the exercises of lesson 01 by people who saw only the texts."""

import math

import numpy as np
import torch
from strangers import right, wrong

# -------------------------------------------------------------- linear_betas


@wrong("linear_betas", "float32", breaks="Return float64, shape `(steps,)`")
def _(steps, first, last):
    k = 1000 / steps
    if last * k >= 1:
        raise ValueError("no such schedule")
    return torch.linspace(first * k, last * k, steps)


@wrong("linear_betas", "lets a last beta of exactly 1 pass", breaks="If the last beta would reach 1 or more")
def _(steps, first, last):
    k = 1000 / steps
    if last * k > 1:
        raise ValueError("no such schedule")
    return torch.linspace(first * k, last * k, steps, dtype=torch.float64)


@wrong(
    "linear_betas",
    "the last end is not reached: divides by steps",
    breaks="With fewer steps each must do more",
)
def _(steps, first, last):
    k = 1000 / steps
    if last * k >= 1:
        raise ValueError("no such schedule")
    return first * k + (last - first) * k * torch.arange(steps, dtype=torch.float64) / steps


@wrong("linear_betas", "caps at 0.999 instead of raising", breaks="If the last beta would reach 1 or more")
def _(steps, first, last):
    k = 1000 / steps
    return torch.linspace(first * k, last * k, steps, dtype=torch.float64).clamp(max=0.999)


@wrong("linear_betas", "whole-number quotient 1000 // steps", breaks="With fewer steps each must do more")
def _(steps, first, last):
    k = 1000 // steps
    if last * k >= 1:
        raise ValueError("no such schedule")
    return torch.linspace(first * k, last * k, steps, dtype=torch.float64)


@wrong("linear_betas", "scales only the last end", breaks="With fewer steps each must do more")
def _(steps, first, last):
    last = last * 1000 / steps
    if last >= 1:
        raise ValueError("no such schedule")
    return torch.linspace(first, last, steps, dtype=torch.float64)


@right("linear_betas", "numpy linspace")
def _(steps, first, last):
    low, high = np.array([first, last], dtype=np.float64) * (1000.0 / steps)
    if not high < 1.0:
        raise ValueError(f"{steps} steps are too few: the last beta would be {high}")
    return torch.from_numpy(np.linspace(low, high, num=steps, dtype=np.float64))


@right("linear_betas", "a list of weighted ends")
def _(steps, first, last):
    low, high = first * 1000 / steps, last * 1000 / steps
    if high >= 1:
        raise ValueError("last beta is not below 1")
    gaps = max(steps - 1, 1)
    return torch.tensor([((gaps - i) * low + i * high) / gaps for i in range(steps)], dtype=torch.float64)


# ------------------------------------------------------------------- log_snr


@wrong("log_snr", "uses the share of each single step, not the product", breaks="Each step keeps the share")
def _(betas):
    alphas = 1 - betas
    return torch.log(alphas / (1 - alphas))


@wrong(
    "log_snr",
    "exp(-sum of betas) for the product: only good for small betas",
    breaks="Each step keeps the share",
)
def _(betas):
    left = torch.exp(-torch.cumsum(betas, 0))
    return torch.log(left / (1 - left))


@wrong("log_snr", "logit with eps hides the minus infinity", breaks="If the last beta is 1 the last value is")
def _(betas):
    return torch.logit(torch.cumprod(1 - betas, 0), eps=1e-12)


@wrong("log_snr", "half of it: log(a / s) with the roots", breaks="The signal-to-noise ratio is")
def _(betas):
    left = torch.cumprod(1 - betas, 0)
    return torch.log(left.sqrt() / (1 - left).sqrt())


@wrong(
    "log_snr", "product up to but excluding step t, as 1 is put in front", breaks="Each step keeps the share"
)
def _(betas):
    left = torch.cumprod(torch.cat([torch.ones_like(betas[:1]), 1 - betas[:-1]]), 0)
    return torch.log(left / (1 - left))


@right("log_snr", "difference of log and log1p in numpy")
def _(betas):
    left = np.cumprod(1.0 - betas.detach().cpu().numpy())
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(left) - np.log1p(-left)).to(betas.device)


@right("log_snr", "a running product and math.log")
def _(betas):
    left, values = 1.0, []
    for beta in betas.tolist():
        left *= 1.0 - beta
        if left == 0.0:
            values.append(-math.inf)
        elif left == 1.0:
            values.append(math.inf)
        else:
            values.append(math.log(left / (1.0 - left)))
    return torch.tensor(values, dtype=torch.float64, device=betas.device)


# ------------------------------------------------------------------ q_sample


@wrong("q_sample", "uses alpha_bars without roots", breaks="Noise a batch, every sample")
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t].to(x0.dtype).reshape(-1, *[1] * (x0.dim() - 1))
    return a * x0 + (1 - a) * noise


@wrong("q_sample", "counts the timesteps from 1", breaks="`x0` and `noise` are")
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t - 1].reshape(-1, *[1] * (x0.dim() - 1))
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).to(x0.dtype)


@wrong("q_sample", "one timestep, the first, for the whole batch", breaks="Noise a batch, every sample")
def _(x0, t, noise, alpha_bars):
    a = float(alpha_bars[t[0]])
    return math.sqrt(a) * x0 + math.sqrt(1 - a) * noise


@wrong(
    "q_sample",
    "made for images only: three axes of length 1 are appended always",
    breaks="`x0` and `noise` are",
)
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t].view(-1, 1, 1, 1)
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).to(x0.dtype)


@wrong(
    "q_sample", "always float32, also for a float64 x0", breaks="The result has the shape and dtype of `x0`"
)
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t].reshape([len(t)] + [1] * (x0.dim() - 1))
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).float()


@right("q_sample", "by einsum")
def _(x0, t, noise, alpha_bars):
    signal = torch.sqrt(alpha_bars[t])
    rest = torch.sqrt(1 - alpha_bars[t])
    y = torch.einsum("b,b...->b...", signal, x0.double()) + torch.einsum("b,b...->b...", rest, noise.double())
    return y.to(x0.dtype)


@right("q_sample", "batch axis moved to the end, so that the coefficients broadcast")
def _(x0, t, noise, alpha_bars):
    keep = torch.gather(alpha_bars, 0, t)
    a, s = keep**0.5, (1 - keep) ** 0.5
    y = x0.movedim(0, -1) * a + noise.movedim(0, -1) * s
    return y.movedim(-1, 0).to(x0.dtype)


@right("q_sample", "sample by sample into an empty tensor")
def _(x0, t, noise, alpha_bars):
    out = torch.empty_like(x0)
    for i, step in enumerate(t.tolist()):
        share = alpha_bars[step].item()
        out[i] = x0[i] * math.sqrt(share) + noise[i] * math.sqrt(1.0 - share)
    return out


# -------------------------------------------------------------- cosine_betas


@wrong("cosine_betas", "leaves out the division by 1 + s", breaks="Nichol and Dhariwal choose the curve")
def _(steps, largest):
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = torch.cos((u + 0.008) * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=largest)


@wrong("cosine_betas", "cap of .999 from the paper instead of `largest`", breaks="The last one would be 1")
def _(steps, largest):
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@wrong("cosine_betas", "only the last beta is capped", breaks="The last one would be 1")
def _(steps, largest):
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = 1 - f[1:] / f[:-1]
    betas[-1] = min(float(betas[-1]), largest)
    return betas


@wrong(
    "cosine_betas",
    "steps points instead of steps + 1, the first ratio against f(0)",
    breaks="The betas follow",
)
def _(steps, largest):
    u = torch.arange(steps, dtype=torch.float64) / steps
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    before = torch.cat([f[:1], f[:-1]])
    return (1 - f / before).clamp(max=largest)


@wrong(
    "cosine_betas",
    "1 - f((t+1)/T) / f(0): all that was lost so far, not by this step",
    breaks="The betas follow",
)
def _(steps, largest):
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - f[1:] / f[0]).clamp(max=largest)


@right("cosine_betas", "list of math.cos and min")
def _(steps, largest):
    def height(i):
        return math.cos((i / steps + 0.008) / 1.008 * math.pi / 2) ** 2

    return torch.tensor(
        [min(1 - height(i + 1) / height(i), largest) for i in range(steps)], dtype=torch.float64
    )


@right("cosine_betas", "half-angle identity, cos squared is (1 + cos) / 2, in numpy")
def _(steps, largest):
    u = np.arange(steps + 1) / steps
    f = (1 + np.cos((u + 0.008) / 1.008 * np.pi)) / 2
    return torch.from_numpy(np.minimum((f[:-1] - f[1:]) / f[:-1], largest))
