"""Answers to the exercises of lesson 03 by people who saw only the texts."""

import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong

# --------------------------------------------------------- guided_prediction


@wrong(
    "guided_prediction",
    "counts like Ho and Salimans: (1 + w) conditional - w unconditional",
    breaks="Go from the unconditional answer",
)
def _(unconditional, conditional, scale):
    return (1 + scale) * conditional - scale * unconditional


@wrong("guided_prediction", "clamps the result to [-1, 1]", breaks="Go from the unconditional answer")
def _(unconditional, conditional, scale):
    return (unconditional + scale * (conditional - unconditional)).clamp(-1, 1)


@wrong(
    "guided_prediction",
    "no guidance unless scale > 1, then the conditional answer: scale 0 keeps the label",
    breaks="Go from the unconditional answer",
)
def _(unconditional, conditional, scale):
    if scale <= 1:
        return conditional
    return unconditional + scale * (conditional - unconditional)


@wrong(
    "guided_prediction",
    "gives the result the spread of the conditional answer",
    breaks="Go from the unconditional answer",
)
def _(unconditional, conditional, scale):
    out = unconditional + scale * (conditional - unconditional)
    dims = tuple(range(1, out.dim()))
    if not dims or out[0].numel() < 2:
        return out
    return out * conditional.std(dims, keepdim=True) / out.std(dims, keepdim=True).clamp(min=1e-12)


@wrong("guided_prediction", "direction of length 1", breaks="Their difference is what the label changes")
def _(unconditional, conditional, scale):
    direction = (conditional - unconditional).flatten(1)
    direction = F.normalize(direction, dim=1).reshape(conditional.shape)
    return unconditional + scale * direction


@right("guided_prediction", "torch.lerp, beyond its end")
def _(unconditional, conditional, scale):
    return torch.lerp(unconditional, conditional, float(scale))


@right("guided_prediction", "weights 1 - scale and scale over a stack")
def _(unconditional, conditional, scale):
    both = torch.stack((unconditional, conditional))
    weights = torch.tensor([1.0 - scale, scale], dtype=both.dtype, device=both.device)
    return torch.tensordot(weights, both, dims=1)


# ---------------------------------------------------------------- ema_update


@wrong("ema_update", "max instead of min", breaks="After update number")
def _(averages, weights, decay, updates):
    d = max(decay, (1 + updates) / (10 + updates))
    return [d * a + (1 - d) * w for a, w in zip(averages, weights)]


@wrong("ema_update", "updates the given averages in place", breaks="Return a list of *new* tensors")
def _(averages, weights, decay, updates):
    d = min(decay, (1 + updates) / (10 + updates))
    with torch.no_grad():
        for a, w in zip(averages, weights):
            a.mul_(d).add_(w, alpha=1 - d)
    return list(averages)


@wrong("ema_update", "counts the update that it is making", breaks="After update number")
def _(averages, weights, decay, updates):
    n = updates + 1
    d = min(decay, (1 + n) / (10 + n))
    return [d * a + (1 - d) * w for a, w in zip(averages, weights)]


@wrong("ema_update", "the first update copies the weights", breaks="After update number")
def _(averages, weights, decay, updates):
    if updates == 0:
        return [w.clone() for w in weights]
    d = min(decay, (1 + updates) / (10 + updates))
    return [torch.lerp(w, a, d) for a, w in zip(averages, weights)]


@wrong("ema_update", "decay 0 hands the weights themselves back", breaks="Return a list of *new* tensors")
def _(averages, weights, decay, updates):
    if decay == 0:
        return list(weights)
    d = min(decay, (1 + updates) / (10 + updates))
    return [d * a + (1 - d) * w for a, w in zip(averages, weights)]


@wrong("ema_update", "warm-up ends after ten updates", breaks="The second argument of the minimum")
def _(averages, weights, decay, updates):
    d = decay if updates >= 10 else min(decay, (1 + updates) / (10 + updates))
    return [a * d + w * (1 - d) for a, w in zip(averages, weights)]


@right("ema_update", "a step of 1 - d from the average towards the weights, zip replaced by an index")
def _(averages, weights, decay, updates):
    rest = max(1.0 - decay, 9.0 / (10.0 + updates))
    return [averages[i] + rest * (weights[i] - averages[i]) for i in range(len(weights))]


class _Ema03:
    def __call__(self, averages, weights, decay, updates):
        d = float(min(Fraction(decay), Fraction(1 + updates, 10 + updates)))
        new = []
        for old, now in zip(averages, weights, strict=True):
            fresh = old.clone()
            fresh = fresh.mul(d)
            new.append(fresh.add(now, alpha=1 - d))
        return new


right("ema_update", "a class, d as a fraction, mul and add")(_Ema03())


# ---------------------------------------------------------------- predict_x0


def _roots03(t, alpha_bars, x):
    keep = alpha_bars[t].reshape(-1, *[1] * (x.dim() - 1))
    return keep.sqrt(), (1 - keep).sqrt()


@wrong("predict_x0", "wrong sign in v: a x_t + s v", breaks="What it answers is one of three things")
def _(output, x_t, t, alpha_bars, prediction):
    a, s = _roots03(t, alpha_bars, x_t)
    if prediction == "epsilon":
        return ((x_t - s * output) / a).to(x_t.dtype)
    if prediction == "x0":
        return output.to(x_t.dtype)
    if prediction == "v":
        return (a * x_t + s * output).to(x_t.dtype)
    raise ValueError(prediction)


@wrong("predict_x0", "timesteps counted from 1", breaks="`output` and `x_t` are")
def _(output, x_t, t, alpha_bars, prediction):
    a, s = _roots03((t - 1).clamp(min=0), alpha_bars, x_t)
    if prediction == "epsilon":
        return ((x_t - s * output) / a).to(x_t.dtype)
    if prediction == "x0":
        return output.to(x_t.dtype)
    if prediction == "v":
        return (a * x_t - s * output).to(x_t.dtype)
    raise ValueError(prediction)


@wrong("predict_x0", "float64, as alpha_bars are", breaks="The result has shape and dtype of `x_t`")
def _(output, x_t, t, alpha_bars, prediction):
    a, s = _roots03(t, alpha_bars, x_t)
    if prediction == "epsilon":
        return (x_t - s * output) / a
    if prediction == "x0":
        return output
    if prediction == "v":
        return a * x_t - s * output
    raise ValueError(prediction)


@wrong(
    "predict_x0", "a predicted image keeps its own dtype", breaks="The result has shape and dtype of `x_t`"
)
def _(output, x_t, t, alpha_bars, prediction):
    if prediction == "x0":
        return output
    a, s = _roots03(t, alpha_bars, x_t)
    if prediction == "epsilon":
        return ((x_t - s * output) / a).to(x_t.dtype)
    if prediction == "v":
        return (a * x_t - s * output).to(x_t.dtype)
    raise ValueError(prediction)


@wrong(
    "predict_x0", "a look-up table, so an unknown name is a KeyError", breaks="Turn the answer into the image"
)
def _(output, x_t, t, alpha_bars, prediction):
    a, s = _roots03(t, alpha_bars, x_t)
    ways = {
        "epsilon": lambda: (x_t - s * output) / a,
        "x0": lambda: output,
        "v": lambda: a * x_t - s * output,
    }
    return ways[prediction]().to(x_t.dtype)


@wrong("predict_x0", "a at least 0.1 when dividing, for stability", breaks="With $a = ")
def _(output, x_t, t, alpha_bars, prediction):
    a, s = _roots03(t, alpha_bars, x_t)
    if prediction == "epsilon":
        return ((x_t - s * output) / a.clamp(min=0.1)).to(x_t.dtype)
    if prediction == "x0":
        return output.to(x_t.dtype)
    if prediction == "v":
        return (a * x_t - s * output).to(x_t.dtype)
    raise ValueError(f"unknown prediction {prediction!r}")


@right("predict_x0", "every answer is p x_t + q output; einsum")
def _(output, x_t, t, alpha_bars, prediction):
    keep = alpha_bars.index_select(0, t)
    a, s = keep**0.5, (1 - keep) ** 0.5
    match prediction:
        case "epsilon":
            p, q = 1 / a, -s / a
        case "x0":
            p, q = torch.zeros_like(a), torch.ones_like(a)
        case "v":
            p, q = a, -s
        case _:
            raise ValueError(f"{prediction!r} is not a prediction")
    y = torch.einsum("b,b...->b...", p, x_t.double()) + torch.einsum("b,b...->b...", q, output.double())
    return y.to(x_t.dtype)


@right("predict_x0", "sample by sample with plain floats")
def _(output, x_t, t, alpha_bars, prediction):
    if prediction not in ("epsilon", "x0", "v"):
        raise ValueError("prediction must be epsilon, x0 or v")
    image = torch.empty_like(x_t)
    for b in range(x_t.shape[0]):
        share = float(alpha_bars[int(t[b])])
        a, s = math.sqrt(share), math.sqrt(1 - share)
        if prediction == "v":
            image[b] = a * x_t[b] - s * output[b]
        elif prediction == "epsilon":
            image[b] = x_t[b] / a - output[b] * (s / a)
        else:
            image[b] = output[b]
    return image


# ----------------------------------------------------------------- ddpm_step


def _mean03(x_t, x0, ab, prev):
    alpha = ab / prev
    beta = 1 - alpha
    return math.sqrt(prev) * beta / (1 - ab) * x0 + math.sqrt(alpha) * (1 - prev) / (1 - ab) * x_t


@wrong(
    "ddpm_step",
    "multiplies the noise by the variance, not by its root",
    breaks="Return the mean plus `noise`",
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    return _mean03(x_t, x0, alpha_bar, alpha_bar_prev) + variance * noise


@wrong(
    "ddpm_step", "variance beta (fixed_large) except at the last step", breaks="Return the mean plus `noise`"
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    mean = _mean03(x_t, x0, alpha_bar, alpha_bar_prev)
    if alpha_bar_prev == 1:
        return mean
    return mean + math.sqrt(1 - alpha_bar / alpha_bar_prev) * noise


@wrong("ddpm_step", "root of alpha_bar instead of alpha_bar_prev before x0", breaks="If the image were known")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    if alpha_bar_prev == 1:
        return x0.clone()
    alpha = alpha_bar / alpha_bar_prev
    beta = 1 - alpha
    rest = 1 - alpha_bar
    mean = math.sqrt(alpha_bar) * beta / rest * x0 + math.sqrt(alpha) * (1 - alpha_bar_prev) / rest * x_t
    return mean + math.sqrt((1 - alpha_bar_prev) / rest * beta) * noise


@wrong("ddpm_step", "clips the predicted image first", breaks="If the image were known")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    mean = _mean03(x_t, x0.clamp(-1, 1), alpha_bar, alpha_bar_prev)
    variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    return mean + math.sqrt(variance) * noise


@wrong("ddpm_step", "takes everything from 0.99 upwards for the last step", breaks="At the last step")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    if alpha_bar_prev > 0.99:
        return x0.clone()
    variance = (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    return _mean03(x_t, x0, alpha_bar, alpha_bar_prev) + math.sqrt(variance) * noise


@wrong(
    "ddpm_step",
    "mean by way of the noise and 1 / sqrt(alpha): breaks down where alpha_bar is 0",
    breaks="If the image were known",
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    alpha = alpha_bar / alpha_bar_prev
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    mean = (x_t - (1 - alpha) / math.sqrt(1 - alpha_bar) * eps) / max(math.sqrt(alpha), 1e-8)
    return mean + math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha)) * noise


@right("ddpm_step", "product of two Gaussians: weights by precision")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    if alpha_bar_prev >= 1:
        return x0.clone()
    alpha = alpha_bar / alpha_bar_prev
    beta = 1 - alpha
    prior, likelihood = 1 / (1 - alpha_bar_prev), alpha / beta
    variance = 1 / (prior + likelihood)
    centre = (math.sqrt(alpha_bar_prev) * prior * variance) * x0 + (math.sqrt(alpha) / beta * variance) * x_t
    return centre + variance**0.5 * noise


@right("ddpm_step", "as DDIM's step with eta 1: old noise and fresh noise")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    if alpha_bar_prev == 1.0:
        return x0 + 0.0
    variance = (1 - alpha_bar_prev) * (alpha_bar_prev - alpha_bar) / (alpha_bar_prev * (1 - alpha_bar))
    old = (x_t - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
    kept = max(1 - alpha_bar_prev - variance, 0.0)
    return alpha_bar_prev**0.5 * x0 + kept**0.5 * old + variance**0.5 * noise


# ----------------------------------------------------------------- ddim_step


def _sigma03(ab, prev, eta):
    return eta * math.sqrt((1 - prev) / (1 - ab)) * math.sqrt(1 - ab / prev)


@wrong(
    "ddim_step",
    "epsilon from the image before clipping, as diffusers does",
    breaks="$x_0$ is the *clipped* image",
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    x0 = x0.clamp(-1, 1)
    sigma = _sigma03(alpha_bar, alpha_bar_prev, eta)
    kept = max(1 - alpha_bar_prev - sigma**2, 0)
    return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(kept) * eps + sigma * noise


@wrong(
    "ddim_step", "does not take sigma squared off: too much noise in all", breaks="Clip the predicted image"
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    x0 = x0.clamp(-1, 1)
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    sigma = _sigma03(alpha_bar, alpha_bar_prev, eta)
    return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(1 - alpha_bar_prev) * eps + sigma * noise


@wrong("ddim_step", "eta scales the variance: right for 0 and 1 only", breaks="Clip the predicted image")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    x0 = x0.clamp(-1, 1)
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    variance = eta * (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    kept = max(1 - alpha_bar_prev - variance, 0)
    return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(kept) * eps + math.sqrt(variance) * noise


@wrong(
    "ddim_step",
    "at the last step the predicted image comes out unclipped",
    breaks="With $\\eta = 0$ nothing is random",
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    if alpha_bar_prev == 1:
        return x0.clone()
    x0 = x0.clamp(-1, 1)
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    sigma = _sigma03(alpha_bar, alpha_bar_prev, eta)
    kept = max(1 - alpha_bar_prev - sigma**2, 0)
    return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(kept) * eps + sigma * noise


@wrong(
    "ddim_step",
    "shrinks the image by its largest value instead of clipping",
    breaks="Clip the predicted image",
)
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    x0 = x0 / x0.abs().amax().clamp(min=1)
    eps = (x_t - math.sqrt(alpha_bar) * x0) / math.sqrt(1 - alpha_bar)
    sigma = _sigma03(alpha_bar, alpha_bar_prev, eta)
    kept = max(1 - alpha_bar_prev - sigma**2, 0)
    return math.sqrt(alpha_bar_prev) * x0 + math.sqrt(kept) * eps + sigma * noise


@right("ddim_step", "three coefficients: of x_t, of the clipped image, of the noise")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    share = (1 - alpha_bar_prev) * (alpha_bar_prev - alpha_bar) / ((1 - alpha_bar) * alpha_bar_prev)
    variance = eta * eta * share
    kept = math.sqrt(max(1 - alpha_bar_prev - variance, 0.0) / (1 - alpha_bar))
    image = torch.minimum(torch.maximum(x0, torch.full_like(x0, -1.0)), torch.ones_like(x0))
    return (
        kept * x_t
        + (math.sqrt(alpha_bar_prev) - kept * math.sqrt(alpha_bar)) * image
        + math.sqrt(variance) * noise
    )


@right("ddim_step", "hardtanh, and coefficients as float64 tensors")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    now, then = torch.tensor([alpha_bar, alpha_bar_prev], dtype=torch.float64)
    sigma = eta * torch.sqrt((1 - then) / (1 - now)) * torch.sqrt(1 - now / then)
    clipped = F.hardtanh(x0)
    explained = (x_t - now.sqrt().item() * clipped) / (1 - now).sqrt().item()
    direction = (1 - then - sigma.square()).clamp(min=0).sqrt().item()
    return then.sqrt().item() * clipped + direction * explained + sigma.item() * noise


# ------------------------------------------------------------------ dpm_step


def _lambda03(ab):
    return 0.5 * (math.log(ab) - math.log1p(-ab)) if ab > 0 else -math.inf


@wrong("dpm_step", "first order always: the step before is not looked at", breaks="From the step before")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0
    h = _lambda03(alpha_bar_next) - _lambda03(alpha_bar)
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * x0


@wrong("dpm_step", "the 2 below h is missing", breaks="From the step before")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0
    h = _lambda03(alpha_bar_next) - _lambda03(alpha_bar)
    d = x0
    if before is not None:
        d = x0 + h / (_lambda03(alpha_bar) - _lambda03(before[1])) * (x0 - before[0])
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@wrong(
    "dpm_step",
    "h_before / h instead of h / h_before: only right for even steps",
    breaks="From the step before",
)
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0
    h = _lambda03(alpha_bar_next) - _lambda03(alpha_bar)
    d = x0
    if before is not None:
        d = x0 + (_lambda03(alpha_bar) - _lambda03(before[1])) / (2 * h) * (x0 - before[0])
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@wrong("dpm_step", "clock is the whole log-SNR, not half of it", breaks="Its clock is half the log-SNR")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0
    h = 2 * (_lambda03(alpha_bar_next) - _lambda03(alpha_bar))
    d = x0
    if before is not None:
        d = x0 + h / (4 * (_lambda03(alpha_bar) - _lambda03(before[1]))) * (x0 - before[0])
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@wrong(
    "dpm_step",
    "alpha_bar_next held below 1, so the last step extrapolates as well",
    breaks="At the last, `alpha_bar_next`",
)
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    alpha_bar_next = min(alpha_bar_next, 1 - 1e-8)
    h = _lambda03(alpha_bar_next) - _lambda03(alpha_bar)
    d = x0
    if before is not None:
        d = x0 + h / (2 * (_lambda03(alpha_bar) - _lambda03(before[1]))) * (x0 - before[0])
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@wrong("dpm_step", "clips the extrapolated image", breaks="From the step before")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0
    h = _lambda03(alpha_bar_next) - _lambda03(alpha_bar)
    d = x0
    if before is not None:
        d = (x0 + h / (2 * (_lambda03(alpha_bar) - _lambda03(before[1]))) * (x0 - before[0])).clamp(-1, 1)
    ratio = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return ratio * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@right("dpm_step", "as DDIM on the extrapolated image: (s_next / s) (x_t - a D) + a_next D")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next >= 1:
        return x0.clone()
    image = x0
    if before is not None and before[1] > 0:
        clock = [0.5 * math.log(s / (1 - s)) for s in (before[1], alpha_bar, alpha_bar_next)]
        pace = (clock[2] - clock[1]) / (clock[1] - clock[0])
        image = (1 + pace / 2) * x0 - pace / 2 * before[0]
    shrink = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return shrink * (x_t - math.sqrt(alpha_bar) * image) + math.sqrt(alpha_bar_next) * image


@right("dpm_step", "numpy's arctanh as clock: artanh(2 alpha_bar - 1) is half the log-SNR")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1.0:
        return 1.0 * x0
    with np.errstate(divide="ignore"):
        now = float(np.arctanh(np.float64(2 * alpha_bar - 1)))
        after = float(np.arctanh(np.float64(2 * alpha_bar_next - 1)))
        past = None if before is None else float(np.arctanh(np.float64(2 * before[1] - 1)))
    h = after - now
    change = torch.zeros_like(x0)
    if past is not None:
        change = (h / (2 * (now - past))) * (x0 - before[0])
    s, s_next = math.sqrt(1 - alpha_bar), math.sqrt(1 - alpha_bar_next)
    return x_t * (s_next / s) + (x0 + change) * (math.sqrt(alpha_bar_next) * (1 - math.exp(-h)))
