"""Second round: answers to exercises of all lessons by people who saw only the texts."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from strangers import right, wrong
from torch import nn


def sr_col(values, like):
    return values.reshape(-1, *[1] * (like.dim() - 1))


def sr_q(x0, t, noise, ab):
    a = sr_col(ab[t], x0)
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).to(x0.dtype)


# ---------------------------------------------------------------- lesson 00
@wrong(
    "to_network",
    "doubles the uint8 before dividing, so bright pixels wrap",
    breaks="Write the change of range",
)
def _(image):
    return (2 * image) / 255 - 1


@wrong("to_network", "goes through numpy and comes back as float64", breaks="Inside the networks")
def _(image):
    return torch.from_numpy(image.cpu().numpy() / 127.5 - 1)


@right("to_network", "by a table of the 256 values")
def _(image):
    table = torch.tensor([g / 127.5 - 1 for g in range(256)], dtype=torch.float32, device=image.device)
    return table[image.long()]


@wrong("augment_pair", "turns first, mirrors afterwards", breaks="The draws are made for you")
def _(sem, layout, mirror, turns):
    both = [torch.rot90(i, turns, (-2, -1)) for i in (sem, layout)]
    if mirror:
        both = [i.flip(-1) for i in both]
    return both[0], both[1]


@wrong(
    "augment_pair",
    "turns in a loop, so that a negative number does not turn",
    breaks="The draws are made for you",
)
def _(sem, layout, mirror, turns):
    def move(i):
        if mirror:
            i = torch.fliplr(i[0, 0])[None, None] if len(i) == 1 else i.flip(3)
        for _ in range(turns):
            i = i.rot90(1, (2, 3))
        return i

    return move(sem), move(layout)


@right("augment_pair", "by transposes and flips")
def _(sem, layout, mirror, turns):
    out = []
    for i in (sem, layout):
        i = i.clone()
        if mirror:
            i = i.flip(-1)
        for _ in range(turns % 4):
            i = i.transpose(-1, -2).flip(-2)
        out.append(i)
    return tuple(out)


@wrong(
    "ncc_offset",
    "a window without contrast gives 0/0, and argmax prefers NaN",
    breaks="A window without contrast",
)
def _(field, template):
    h, w = template.shape
    win = field.unfold(0, h, 1).unfold(1, w, 1)
    win = win - win.mean((-1, -2), keepdim=True)
    t = template - template.mean()
    score = (win * t).sum((-1, -2)) / ((win**2).sum((-1, -2)) * (t**2).sum()).sqrt()
    best = int(score.argmax())
    return best // score.shape[1], best % score.shape[1]


@wrong(
    "ncc_offset", "takes the largest magnitude: an inverted copy wins", breaks="and return the row and column"
)
def _(field, template):
    h, w = template.shape
    win = field.double().unfold(0, h, 1).unfold(1, w, 1)
    win = win - win.mean((-1, -2), keepdim=True)
    t = template.double() - template.double().mean()
    den = ((win**2).sum((-1, -2)) * (t**2).sum()).sqrt()
    score = torch.where(
        den > 1e-9, (win * t).sum((-1, -2)) / den.clamp_min(1e-9), torch.zeros_like(den)
    ).abs()
    best = int(score.argmax())
    return best // score.shape[1], best % score.shape[1]


# ---------------------------------------------------------------- lesson 01
@wrong("linear_betas", "spaces without the end", breaks="With fewer steps each must do more")
def _(steps, first, last):
    k = 1000 / steps
    if last * k >= 1:
        raise ValueError("no schedule")
    return first * k + (last - first) * k * torch.arange(steps, dtype=torch.float64) / steps


@wrong("linear_betas", "accepts a last beta of exactly 1", breaks="If the last beta would reach 1 or more")
def _(steps, first, last):
    k = 1000 / steps
    if last * k > 1:
        raise ValueError("no schedule")
    return torch.linspace(first * k, last * k, steps, dtype=torch.float64)


@right("linear_betas", "by numpy")
def _(steps, first, last):
    lo, hi = np.array([first, last]) * (1000.0 / steps)
    if not hi < 1:
        raise ValueError(f"last beta {hi}")
    return torch.from_numpy(np.linspace(lo, hi, steps))


@right("diffusion_loss", "mean of squares by vdot")
def _(net, x0, t, noise, alpha_bars):
    d = (net(sr_q(x0, t, noise, alpha_bars), t) - noise).flatten()
    return torch.dot(d, d) / d.numel()


@wrong("log_snr", "share left before the step instead of up to it", breaks="Each step keeps the share")
def _(betas):
    ab = torch.cat([torch.ones(1, dtype=betas.dtype), torch.cumprod(1 - betas, 0)[:-1]])
    ab = ab.clamp(max=1 - 1e-12)
    return torch.log(ab / (1 - ab))


@wrong("log_snr", "clamps the share away from 0, no -inf any more", breaks="If the last beta is 1")
def _(betas):
    ab = torch.cumprod(1 - betas, 0).clamp(1e-20)
    return ab.log() - (1 - ab).log()


@right("log_snr", "by sums of logarithms")
def _(betas):
    s = torch.cumsum(torch.log1p(-betas), 0)
    return s - torch.log(-torch.expm1(s))


@wrong("q_sample", "axes for images only", breaks="`x0` and `noise` are")
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t].view(-1, 1, 1, 1)
    return (a.sqrt() * x0 + (1 - a).sqrt() * noise).to(x0.dtype)


@wrong("q_sample", "result is float64", breaks="The result has the shape and dtype")
def _(x0, t, noise, alpha_bars):
    a = alpha_bars[t].reshape(len(t), *(1,) * (x0.ndim - 1))
    return torch.sqrt(a).expand(x0.shape) * x0 + torch.sqrt(1 - a).expand(x0.shape) * noise


@right("q_sample", "sample by sample")
def _(x0, t, noise, alpha_bars):
    rows = []
    for i in range(len(x0)):
        a = float(alpha_bars[int(t[i])])
        rows.append(math.sqrt(a) * x0[i] + math.sqrt(1 - a) * noise[i])
    return torch.stack(rows) if rows else torch.empty_like(x0)


@wrong("thin_out", "adds up the betas of the k steps", breaks="So the new way passes every k-th place")
def _(betas, every):
    if len(betas) % every:
        raise ValueError("does not divide")
    return betas.reshape(-1, every).sum(1)


@wrong(
    "thin_out",
    "ratios of the kept alpha bars, but the first new step keeps the first old beta",
    breaks="So the new way passes every k-th place",
)
def _(betas, every):
    if len(betas) % every:
        raise ValueError("does not divide")
    ab = torch.cumprod(1 - betas, 0)[every - 1 :: every]
    new = torch.empty_like(ab)
    new[0] = betas[0]
    new[1:] = 1 - ab[1:] / ab[:-1]
    return new


@right("thin_out", "products of groups")
def _(betas, every):
    if len(betas) % every != 0:
        raise ValueError("does not divide")
    return 1 - (1 - betas).reshape(len(betas) // every, every).prod(dim=1)


@wrong("cosine_betas", "caps at the paper's .999 whatever is asked", breaks="The last one would be 1")
def _(steps, largest):
    u = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - f[1:] / f[:-1]).clamp(max=0.999)


@wrong("cosine_betas", "caps the last beta only", breaks="The last one would be 1")
def _(steps, largest):
    u = torch.arange(steps + 1, dtype=torch.float64) / steps
    f = torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2
    b = 1 - f[1:] / f[:-1]
    b[-1] = min(float(b[-1]), largest)
    return b


@right("cosine_betas", "plain Python")
def _(steps, largest):
    def f(u):
        return 0.5 * (1 + math.cos((u + 0.008) / 1.008 * math.pi))

    return torch.tensor(
        [min(largest, 1 - f((t + 1) / steps) / f(t / steps)) for t in range(steps)], dtype=torch.float64
    )


@wrong(
    "train",
    "clears the gradients after the step, so old ones enter the first",
    breaks="Clear the gradients *before*",
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=x0.device)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=x0.device)
        noise = torch.randn(x.shape, generator=generator, device=x0.device)
        loss = F.mse_loss(net(sr_q(x, t, noise, alpha_bars), t), noise)
        loss.backward()
        opt.step()
        opt.zero_grad()
        losses.append(loss.item())
    return losses


@wrong("train", "calls net.train() first, as one does", breaks="Leave the mode")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    net.train()
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=x0.device)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=x0.device)
        noise = torch.randn(x.shape, generator=generator, device=x0.device)
        loss = F.mse_loss(net(sr_q(x, t, noise, alpha_bars), t), noise)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


@right("train", "step in a helper, gradients cleared by hand")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    params = list(net.parameters())
    opt = torch.optim.Adam(params, lr)
    draw = {"generator": generator, "device": x0.device}

    def one():
        x = x0.index_select(0, torch.randint(len(x0), (batch,), **draw))
        t = torch.randint(len(alpha_bars), (batch,), **draw)
        noise = torch.randn(x.shape, **draw)
        loss = ((net(sr_q(x, t, noise, alpha_bars), t) - noise) ** 2).mean()
        for p in params:
            p.grad = None
        loss.backward()
        opt.step()
        return float(loss.detach())

    return [one() for _ in range(steps)]


# ---------------------------------------------------------------- lesson 02
@wrong(
    "sinusoidal_embedding",
    "divides by half - 1, as the old code does",
    breaks="Half of the width goes to sines",
)
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    h = width // 2
    w = torch.exp(-math.log(max_period) * torch.arange(h, device=t.device) / max(h - 1, 1))
    x = t.float()[:, None] * w
    return torch.cat([x.sin(), x.cos()], 1)


@wrong("sinusoidal_embedding", "rounds times down to whole numbers", breaks="`t` is `(B,)`, whole or not")
def _(t, width, max_period):
    if width % 2:
        raise ValueError("odd width")
    h = width // 2
    w = max_period ** (-torch.arange(h, device=t.device).float() / h)
    x = t.long()[:, None] * w
    return torch.cat([x.sin(), x.cos()], 1).float()


@right("sinusoidal_embedding", "filled column by column")
def _(t, width, max_period):
    if width % 2 == 1:
        raise ValueError("odd width")
    h = width // 2
    out = torch.empty(len(t), width, device=t.device)
    for k in range(h):
        x = t.double() * max_period ** (-k / h)
        out[:, k] = x.sin()
        out[:, h + k] = x.cos()
    return out


@wrong("time_block", "shift taken before scale", breaks="`modulation`, a linear layer")
class SrBlockA(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        shift, scale = self.modulation(F.silu(time)).chunk(2, -1)
        h = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(h)))


@wrong(
    "time_block", "the residual is added to the normalised h, not to x", breaks="`outer`, another such layer"
)
class SrBlockB(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = self.modulation(F.silu(time)).chunk(2, -1)
        h = self.norm(x) * (1 + scale) + shift
        return h + self.outer(F.silu(self.inner(h)))


@wrong("time_modulation", "multiplies h in place", breaks="Leave `h` itself as it is")
def _(h, embedding, weight, bias):
    scale, shift = F.linear(F.silu(embedding), weight, bias)[:, :, None, None].chunk(2, 1)
    h *= 1 + scale
    return h + shift


@wrong("time_modulation", "SiLU after the layer", breaks="SiLU comes *before*")
def _(h, embedding, weight, bias):
    scale, shift = F.silu(embedding @ weight.T + bias)[:, :, None, None].chunk(2, 1)
    return h * (1 + scale) + shift


@right("time_modulation", "einsum and addcmul")
def _(h, embedding, weight, bias):
    c = h.shape[1]
    e = embedding * torch.sigmoid(embedding)
    s = torch.einsum("bd,kd->bk", e, weight) + bias
    return torch.addcmul(h + s[:, c:].reshape(-1, c, 1, 1), h, s[:, :c].reshape(-1, c, 1, 1))


# ---------------------------------------------------------------- lesson 03
@right("guided_prediction", "weighted sum of the two")
def _(unconditional, conditional, scale):
    return scale * conditional + (1 - scale) * unconditional


@wrong("ema_update", "warm-up counts this update already", breaks="After update number")
def _(averages, weights, decay, updates):
    n = updates + 1
    d = min(decay, (1 + n) / (10 + n))
    return [d * a + (1 - d) * w for a, w in zip(averages, weights)]


@wrong("ema_update", "averages updated in place and returned", breaks="Return a list of *new* tensors")
def _(averages, weights, decay, updates):
    d = min(decay, (1 + updates) / (10 + updates))
    with torch.no_grad():
        for a, w in zip(averages, weights):
            a.lerp_(w, 1 - d)
    return list(averages)


@wrong("ddpm_step", "noise times the variance, no root", breaks="Return the mean plus `noise`")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    alpha = alpha_bar / alpha_bar_prev
    beta = 1 - alpha
    mean = math.sqrt(alpha_bar_prev) * beta / (1 - alpha_bar) * x0
    mean = mean + math.sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar) * x_t
    return mean + (1 - alpha_bar_prev) / (1 - alpha_bar) * beta * noise


@wrong("ddpm_step", "clips the predicted image", breaks="Take the image as it is")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    x0 = x0.clamp(-1, 1)
    alpha = alpha_bar / alpha_bar_prev
    beta = 1 - alpha
    mean = math.sqrt(alpha_bar_prev) * beta / (1 - alpha_bar) * x0
    mean = mean + math.sqrt(alpha) * (1 - alpha_bar_prev) / (1 - alpha_bar) * x_t
    return mean + math.sqrt((1 - alpha_bar_prev) / (1 - alpha_bar) * beta) * noise


@right("ddpm_step", "posterior from precisions where they are finite")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev):
    if alpha_bar_prev == 1:
        return x0 + 0 * x_t
    alpha = alpha_bar / alpha_bar_prev
    var = 1 / (alpha / (1 - alpha) + 1 / (1 - alpha_bar_prev))
    mean = var * (alpha**0.5 / (1 - alpha) * x_t + alpha_bar_prev**0.5 / (1 - alpha_bar_prev) * x0)
    return mean + var**0.5 * noise


@wrong("ddim_step", "noise worked out from the unclipped image", breaks="Clip the predicted image")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    eps = (x_t - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
    sigma = eta * ((1 - alpha_bar_prev) / (1 - alpha_bar)) ** 0.5 * (1 - alpha_bar / alpha_bar_prev) ** 0.5
    rest = max(0.0, 1 - alpha_bar_prev - sigma**2) ** 0.5
    return alpha_bar_prev**0.5 * x0.clamp(-1, 1) + rest * eps + sigma * noise


@wrong("ddim_step", "clips the image that was given in place", breaks="Gradients flow to")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    x0 = x0.clamp_(-1, 1)
    eps = (x_t - alpha_bar**0.5 * x0) / (1 - alpha_bar) ** 0.5
    sigma = eta * ((1 - alpha_bar_prev) / (1 - alpha_bar)) ** 0.5 * (1 - alpha_bar / alpha_bar_prev) ** 0.5
    rest = max(0.0, 1 - alpha_bar_prev - sigma**2) ** 0.5
    return alpha_bar_prev**0.5 * x0 + rest * eps + sigma * noise


@right("ddim_step", "clipped by where, coefficients first")
def _(x_t, x0, noise, alpha_bar, alpha_bar_prev, eta):
    x = torch.where(x0 > 1, torch.ones_like(x0), torch.where(x0 < -1, torch.full_like(x0, -1), x0))
    var = eta**2 * (1 - alpha_bar_prev) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_prev)
    k = math.sqrt(max(0.0, 1 - alpha_bar_prev - var) / (1 - alpha_bar))
    return k * x_t + (math.sqrt(alpha_bar_prev) - k * math.sqrt(alpha_bar)) * x + math.sqrt(var) * noise


@wrong("dpm_step", "clock is the whole log-SNR, not half of it", breaks="Its clock is half the log-SNR")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next == 1:
        return x0

    def lam(ab):
        return math.log(ab / (1 - ab))

    h = lam(alpha_bar_next) - lam(alpha_bar)
    d = x0
    if before is not None:
        d = x0 + h / (2 * (lam(alpha_bar) - lam(before[1]))) * (x0 - before[0])
    s = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    return s * x_t - math.sqrt(alpha_bar_next) * math.expm1(-h) * d


@wrong(
    "dpm_step",
    "no branch for the last step: infinite times the difference",
    breaks="At the last, `alpha_bar_next` is 1",
)
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    now, nxt = (torch.tensor(v, dtype=torch.float64) for v in (alpha_bar, alpha_bar_next))

    def lam(ab):
        return 0.5 * (ab.log() - (1 - ab).log())

    h = lam(nxt) - lam(now)
    d = x0
    if before is not None:
        d = x0 + h / (2 * (lam(now) - lam(torch.tensor(before[1], dtype=torch.float64)))) * (x0 - before[0])
    return ((1 - nxt) / (1 - now)).sqrt() * x_t - nxt.sqrt() * torch.expm1(-h) * d


@right("dpm_step", "exponentials written out as ratios")
def _(x_t, x0, before, alpha_bar, alpha_bar_next):
    if alpha_bar_next >= 1:
        return x0 * 1
    a, s = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
    a1, s1 = alpha_bar_next**0.5, (1 - alpha_bar_next) ** 0.5
    d = x0
    if before is not None:
        old, ab = before
        step, last = (
            math.log(a1 / s1) - math.log(a / s),
            math.log(a / s) - (0.5 * math.log(ab / (1 - ab)) if ab > 0 else -math.inf),
        )
        d = d + 0.5 * step / last * (x0 - old)
    return s1 / s * x_t + (a1 - s1 * a / s) * d


# ---------------------------------------------------------------- lesson 04
@wrong("encoder_shapes", "refuses an odd last map, too", breaks="The last map may be odd")
def _(size, base, n_down, cap):
    out = []
    for k in range(n_down):
        if size % 2:
            raise ValueError("odd")
        size //= 2
        out.append((min(base * 2**k, cap), size))
    if size % 2:
        raise ValueError("odd")
    return out


@wrong("encoder_shapes", "first block is not capped", breaks="The encoder has `n_down` blocks")
def _(size, base, n_down, cap):
    out, c = [], base
    for _ in range(n_down):
        if size % 2:
            raise ValueError("odd")
        size //= 2
        out.append((c, size))
        c = min(2 * c, cap)
    return out


@right("iou", "numpy, image by image")
def _(prediction, target, threshold):
    out = []
    for p, t in zip(prediction, target):
        a, b = (p > threshold).cpu().numpy(), (t > threshold).cpu().numpy()
        u = np.logical_or(a, b).sum()
        out.append(1.0 if u == 0 else np.logical_and(a, b).sum() / u)
    return torch.tensor(out, dtype=torch.float32, device=prediction.device)


@right("decoder_step", "module-free, pieces written into an empty map")
def _(x, skip, weight, between):
    up = between(F.conv_transpose2d(x, weight, None, (2, 2), (1, 1)))
    return torch.cat((torch.where(up > 0, up, torch.zeros_like(up)), skip), dim=-3)


@wrong(
    "encoder_block",
    "running values are copied, so they are never updated",
    breaks="While training, batch normalisation",
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    h = F.conv2d(x, weight, stride=2, padding=1)
    h = F.batch_norm(h, running_mean.clone(), running_var.clone(), scale, shift, training)
    return F.leaky_relu(h, 0.2)


@wrong(
    "encoder_block", "momentum 0.9, as other libraries count it", breaks="While training, batch normalisation"
)
def _(x, weight, scale, shift, running_mean, running_var, training):
    h = F.conv2d(x, weight, stride=2, padding=1)
    h = F.batch_norm(h, running_mean, running_var, scale, shift, training, momentum=0.9)
    return F.leaky_relu(h, 0.2)


# ---------------------------------------------------------------- lesson 05


@wrong("patchgan_layers", "the layer of stride 1 is not capped", breaks="Then follows one of stride 1")
def _(base, n_layers, cap):
    c = [2] + [min(base * 2**k, cap) for k in range(n_layers)] + [base * 2**n_layers, 1]
    return [(c[i], c[i + 1], 4, 2 if i < n_layers else 1, 1) for i in range(n_layers + 2)]


@wrong("patchgan_layers", "the first layer gives base even above the cap", breaks="It starts with `n_layers`")
def _(base, n_layers, cap):
    layers, c = [(2, base, 4, 2, 1)], base
    for k in range(1, n_layers + 1):
        new = min(base * 2**k, cap)
        layers.append((c, new, 4, 2 if k < n_layers else 1, 1))
        c = new
    return [*layers, (c, 1, 4, 1, 1)]


@wrong("logit_span", "a negative first row is cut off at 0", breaks="Do not cut it off")
def _(index, layers):
    a = b = index
    for k, s, p in reversed(layers):
        a, b = a * s - p, b * s - p + k - 1
    return max(a, 0), b


@wrong(
    "logit_span",
    "paddings added up without the strides before them",
    breaks="Return the first and the last row",
)
def _(index, layers):
    step, field, pad = 1, 1, 0
    for k, s, p in layers:
        field += (k - 1) * step
        step *= s
        pad += p
    return index * step - pad, index * step - pad + field - 1


@right("logit_span", "set of rows, layer by layer")
def _(index, layers):
    rows = {index}
    for k, s, p in reversed(layers):
        lo, hi = min(rows), max(rows)
        rows = {lo * s - p, hi * s - p + k - 1}
    return min(rows), max(rows)


# ---------------------------------------------------------------- lesson 06


@right("decayed_rate", "one clipped line")
def _(base, step, total):
    return base * min(1.0, max(0.0, 2 * (total - step) / total))


@wrong(
    "optimal_discriminator",
    "a small epsilon below, so 0 where nobody asks",
    breaks="Where both densities are 0",
)
def _(p, q, real_label, fake_label):
    return (real_label * p + fake_label * q) / (p + q + 1e-12)


@wrong("optimal_discriminator", "labels weigh the densities below, too", breaks="Return the $D(x)$")
def _(p, q, real_label, fake_label):
    a, b = real_label * p, (1 - fake_label) * q
    return a / (a + b)


@wrong("exchange_fakes", "stores into the list that was given", breaks="D judges fakes together")
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, pairs
    out = []
    for c, f in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append((c, f))
            out.append((c, f))
        elif torch.rand((), generator=generator) < 0.5:
            out.append((c, f))
        else:
            i = int(torch.randint(capacity, (), generator=generator))
            out.append(pairs[i])
            pairs[i] = (c, f)
    return torch.stack([c for c, _ in out]), torch.stack([f for _, f in out]), pairs


@wrong("exchange_fakes", "tosses a coin while the buffer fills, too", breaks="Once it is full")
def _(pairs, condition, fake, capacity, generator):
    pairs, out = list(pairs), []
    if capacity == 0:
        return condition, fake, pairs
    for c, f in zip(condition, fake):
        coin = torch.rand((), generator=generator)
        if len(pairs) < capacity:
            pairs.append((c, f))
            out.append((c, f))
        elif coin < 0.5:
            out.append((c, f))
        else:
            i = int(torch.randint(capacity, (), generator=generator))
            out.append(pairs[i])
            pairs[i] = (c, f)
    return torch.stack([c for c, _ in out]), torch.stack([f for _, f in out]), pairs


@wrong("generator_loss", "hinge cut off at 0, as D has it", breaks="The generator minimises the mean")
def _(fake_logits, kind):
    f = fake_logits
    if kind == "minimax":
        return -F.softplus(f).mean()
    if kind == "non_saturating":
        return F.softplus(-f).mean()
    if kind == "lsgan":
        return ((f - 1) ** 2).mean()
    if kind == "hinge":
        return F.relu(1 - f).mean()
    raise ValueError(kind)


@wrong("generator_loss", "minimax by log1p of the sigmoid: -inf at 100", breaks="Value and gradient")
def _(fake_logits, kind):
    f = fake_logits
    if kind == "minimax":
        return torch.log1p(-torch.sigmoid(f)).mean()
    if kind == "non_saturating":
        return -F.logsigmoid(f).mean()
    if kind == "lsgan":
        return ((f - 1) ** 2).mean()
    if kind == "hinge":
        return -f.mean()
    raise ValueError(kind)


@right("generator_loss", "table of functions, logaddexp")
def _(fake_logits, kind):
    zero = torch.zeros_like(fake_logits)
    table = {
        "minimax": lambda f: -torch.logaddexp(f, zero),
        "non_saturating": lambda f: torch.logaddexp(-f, zero),
        "lsgan": lambda f: f * f - 2 * f + 1,
        "hinge": torch.neg,
    }
    if kind not in table:
        raise ValueError(f"unknown loss {kind!r}")
    return table[kind](fake_logits).mean()


@wrong("spectral_normalise", "the iteration is differentiated", breaks="The iteration is not differentiated")
def _(weight, u, steps):
    w = weight.reshape(len(weight), -1)
    for _ in range(steps):
        v = F.normalize(w.T @ u, dim=0)
        u = F.normalize(w @ v, dim=0)
    sigma = u @ (w @ v)
    return weight / sigma, sigma, u.detach()


@wrong("spectral_normalise", "sigma is a constant", breaks="$\\sigma$ is differentiated")
def _(weight, u, steps):
    with torch.no_grad():
        w = weight.reshape(len(weight), -1)
        for _ in range(steps):
            v = F.normalize(w.T @ u, dim=0)
            u = F.normalize(w @ v, dim=0)
        sigma = u @ w @ v
    return weight / sigma, sigma, u


# ---------------------------------------------------------------- lesson 07
@wrong("cycle_loss", "first translation detached", breaks="Both generators learn")
def _(sem, layout, g_a, g_b):
    with torch.no_grad():
        a, b = g_a(sem), g_b(layout)
    return F.l1_loss(g_b(a), sem) + F.l1_loss(g_a(b), layout)


@wrong("cycle_loss", "both errors in one mean, times two", breaks="The two batches may differ")
def _(sem, layout, g_a, g_b):
    e = torch.cat([(g_b(g_a(sem)) - sem).flatten(), (g_a(g_b(layout)) - layout).flatten()])
    return 2 * e.abs().mean()


@wrong("total_loss", "a term of weight 0 times infinity is NaN", breaks="A term of weight 0")
def _(adversarial, pixel, cycle, matching, weights):
    g, l1, c, m = weights
    return g * adversarial.mean() + l1 * pixel.sum() + c * cycle.sum() + m * matching.sum()


@wrong("total_loss", "adversarial halved even for one direction", breaks="The adversarial term is the *mean*")
def _(adversarial, pixel, cycle, matching, weights):
    total = torch.zeros((), dtype=adversarial.dtype, device=adversarial.device)
    for w, term in zip(weights, (0.5 * adversarial, pixel, cycle, matching)):
        if w > 0:
            total = total + w * term.sum()
    return total


@right("total_loss", "stack of the terms that are on")
def _(adversarial, pixel, cycle, matching, weights):
    on = [
        w * (t.mean() if i == 0 else t.sum())
        for i, (w, t) in enumerate(zip(weights, (adversarial, pixel, cycle, matching)))
        if w
    ]
    return torch.stack(on).sum() if on else adversarial.new_zeros(())


@wrong("best_grey", "ratio weighs the dark side", breaks="`ratio` makes it asymmetric")
def _(share, dark, bright, loss, ratio):
    a, b = share, (1 - share) * ratio
    if loss == "l2":
        return (a * bright + b * dark) / (a + b)
    out = torch.where(a > b, torch.full_like(share, bright), torch.full_like(share, dark))
    return torch.where(a == b, torch.full_like(share, (dark + bright) / 2), out)


@wrong("best_grey", "midpoint at a share of one half whatever the ratio", breaks="both are equally likely")
def _(share, dark, bright, loss, ratio):
    a, b = ratio * share, 1 - share
    if loss == "l2":
        return (a * bright + b * dark) / (a + b)
    out = torch.where(a > b, torch.full_like(share, bright), torch.full_like(share, dark))
    return torch.where(share == 0.5, torch.full_like(share, (dark + bright) / 2), out)


@wrong("invented_features", "corners connect, too", breaks="A *feature* is a connected set")
def _(given, output):
    def alone(a, b):
        lab, n = ndimage.label(a.numpy(), structure=np.ones((3, 3)))
        return n - len(set(np.unique(lab[b.numpy()])) - {0})

    return alone(output, given), alone(given, output)


@wrong(
    "invented_features",
    "features of the difference image, so parts of partners count",
    breaks="Return two counts",
)
def _(given, output):
    return ndimage.label((output & ~given).numpy())[1], ndimage.label((given & ~output).numpy())[1]


@right("invented_features", "flood fill")
def _(given, output):
    def alone(a, b):
        todo = {tuple(p) for p in a.nonzero().tolist()}
        other = {tuple(p) for p in b.nonzero().tolist()}
        count = 0
        while todo:
            stack, met = [todo.pop()], False
            while stack:
                y, x = stack.pop()
                met |= (y, x) in other
                for p in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                    if p in todo:
                        todo.remove(p)
                        stack.append(p)
            count += not met
        return count

    return alone(output, given), alone(given, output)


def sr_gen_loss(sem, layout, g_a, g_b, d_a, d_b, weights):
    fl, fs = g_a(sem), g_b(layout)
    adv = 0.5 * (((d_a(sem, fl) - 1) ** 2).mean() + ((d_b(layout, fs) - 1) ** 2).mean())
    pix = F.l1_loss(fl, layout) + F.l1_loss(fs, sem)
    cyc = F.l1_loss(g_b(fl), sem) + F.l1_loss(g_a(fs), layout)
    return weights[0] * adv + weights[1] * pix + weights[2] * cyc


@wrong(
    "cycle_step",
    "backward fills the discriminators' gradients as well",
    breaks="The discriminators must be as before",
)
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    loss = sr_gen_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    return loss.detach()


@wrong("cycle_step", "discriminators stay frozen afterwards", breaks="The discriminators must be as before")
def _(sem, layout, g_a, g_b, d_a, d_b, weights):
    d_a.requires_grad_(False)
    d_b.requires_grad_(False)
    loss = sr_gen_loss(sem, layout, g_a, g_b, d_a, d_b, weights)
    loss.backward()
    return loss.detach()


# ---------------------------------------------------------------- lesson 08


@wrong("largest_side", "fourth root in floats", breaks="Count in whole numbers")
def _(budget, batch, copies, bytes_each):
    return int((budget / (batch * copies * bytes_each)) ** 0.25)


@wrong("largest_side", "a budget filled exactly is too much", breaks="Return the largest `side`")
def _(budget, batch, copies, bytes_each):
    side = 0
    while (side + 1) ** 4 * batch * copies * bytes_each < budget:
        side += 1
    return side


@right("largest_side", "two whole roots")
def _(budget, batch, copies, bytes_each):
    return math.isqrt(math.isqrt(budget // (batch * copies * bytes_each)))


@wrong("fused_attention", "widths as they are, so the kernel stores the map", breaks="It takes four axes")
def _(query, key, value, kernel):
    return kernel(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]


@wrong("fused_attention", "divides by the root of the queries' width", breaks="There is one head")
def _(query, key, value, kernel):
    n = value.shape[-1] - query.shape[-1]
    q, k = (F.pad(i, (0, n)).unsqueeze(1) for i in (query, key))
    return kernel(q, k, value.unsqueeze(1), scale=query.shape[-1] ** -0.5).squeeze(1)


@right("fused_attention", "zeros attached by cat")
def _(query, key, value, kernel):
    b, n, d = query.shape
    more = query.new_zeros(b, n, value.shape[2] - d)
    q, k = torch.cat([query, more], 2), torch.cat([key, more], 2)
    out = kernel(q.view(b, 1, n, -1), k.view(b, 1, n, -1), value.reshape(b, 1, n, -1), scale=1.0)
    return out.reshape(b, n, -1)


def sr_attend(x, wq, bq, wk, bk, wv, bv, weights):
    f = x.flatten(2).transpose(1, 2)
    a = weights(F.linear(f, wq, bq) @ F.linear(f, wk, bk).transpose(1, 2))
    return (a @ F.linear(f, wv, bv)).transpose(1, 2).reshape(x.shape)


@wrong("self_attention", "columns sum to one", breaks="so every *row*")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    s = sr_attend(x, w_query, b_query, w_key, b_key, w_value, b_value, lambda p: p.softmax(1))
    return gamma * s + x


@wrong("self_attention", "exponentials as they are: overflow", breaks="Products in the hundreds")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    def weights(p):
        e = torch.exp(p)
        return e / e.sum(-1, keepdim=True)

    return gamma * sr_attend(x, w_query, b_query, w_key, b_key, w_value, b_value, weights) + x


@right("self_attention", "convolutions and einsum")
def _(x, w_query, b_query, w_key, b_key, w_value, b_value, gamma):
    q, k, v = (
        F.conv2d(x, w[:, :, None, None], b).flatten(2)
        for w, b in ((w_query, b_query), (w_key, b_key), (w_value, b_value))
    )
    a = torch.einsum("bdi,bdj->bij", q, k)
    a = (a - torch.logsumexp(a, 2, keepdim=True)).exp()
    return gamma * torch.einsum("bij,bcj->bci", a, v).reshape(x.shape) + x


# ---------------------------------------------------------------- lesson 09
@wrong("checkerboard_excess", "magnitude instead of power", breaks="Along one axis")
def _(images, axis):
    p = torch.fft.rfft(images, dim=axis).abs().movedim(axis, -1).flatten(0, -2).mean(0)
    return p[-1] / p[-3:-1].mean()


@wrong("checkerboard_excess", "one ratio per image, then averaged", breaks="Along one axis")
def _(images, axis):
    p = torch.fft.rfft(images, dim=axis).abs().square().movedim(axis, -1).mean((1, 2))
    return (p[:, -1] / p[:, -3:-1].mean(1)).mean()


@right("checkerboard_excess", "the three frequencies by explicit sums")
def _(images, axis):
    x = images.transpose(axis, -1)
    n = x.shape[-1]
    j = torch.arange(n, device=x.device, dtype=x.dtype)

    def power(k):
        ang = 2 * math.pi * k / n * j
        return ((x * ang.cos()).sum(-1) ** 2 + (x * ang.sin()).sum(-1) ** 2).mean()

    return 2 * power(n // 2) / (power(n // 2 - 1) + power(n // 2 - 2))


@wrong(
    "matched_features",
    "one mean over all layers' numbers together",
    breaks="Each layer has a mean of its own",
)
def _(condition, fake, real, critic, convention):
    if convention not in ("mean", "sum"):
        raise ValueError(convention)
    with torch.no_grad():
        want = critic(condition, real)[1]
    got = critic(condition, fake)[1]
    diff = torch.cat([(a - b).abs().flatten() for a, b in zip(got, want)])
    return diff.mean() * (4 if convention == "sum" else 1)


@wrong("matched_features", "real features keep their graph", breaks="The real features count as constants")
def _(condition, fake, real, critic, convention):
    w = {"mean": 1.0, "sum": 4.0}.get(convention)
    if w is None:
        raise ValueError(convention)
    want, got = critic(condition, real)[1], critic(condition, fake)[1]
    return w / len(got) * sum(F.l1_loss(a, b) for a, b in zip(got, want))


@wrong("overlap_counts", "cuts only the start", breaks="A transposed convolution paints")
def _(size, kernel, stride, padding):
    n = (size - 1) * stride + kernel - 2 * padding
    full = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for j in range(kernel):
            full[i * stride + j] += 1
    return full[2 * padding :][:n]


@wrong(
    "overlap_counts",
    "counts starts at i // stride, wrong where the kernel is smaller than the stride",
    breaks="Return, along one axis",
)
def _(size, kernel, stride, padding):
    n = (size - 1) * stride + kernel - 2 * padding
    out = []
    for y in range(padding, padding + n):
        last = min(size - 1, y // stride)
        first = max(0, (y - kernel) // stride + 1)
        out.append(max(1, last - first + 1))
    return out


@right("overlap_counts", "by torch's own transposed convolution of ones")
def _(size, kernel, stride, padding):
    one = torch.ones(1, 1, size, dtype=torch.float64)
    out = F.conv_transpose1d(one, torch.ones(1, 1, kernel, dtype=torch.float64), stride=stride)[0, 0]
    return [round(v) for v in out[padding : len(out) - padding].tolist()]


# ---------------------------------------------------------------- lesson 10


@right("l1_error", "whole sums per image")
def _(prediction, target):
    d = (prediction.to(torch.int64) - target.to(torch.int64)).abs().sum((1, 2, 3))
    return (d.double() / (255 * prediction[0].numel())).float()


@wrong("gaussian_window", "no 2 below: exp(-r^2 / sigma^2)", breaks="SSIM compares neighbourhoods")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    g = torch.exp(-((i / sigma) ** 2))
    w = g[:, None] * g[None]
    return w / w.sum()


@wrong("gaussian_window", "middle half a pixel off", breaks="SSIM compares neighbourhoods")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps / 2
    g = torch.exp(-(i**2) / (2 * sigma**2))
    w = torch.outer(g, g)
    return w / w.sum()


@right("gaussian_window", "softmax of the exponents")
def _(taps, sigma):
    m = taps // 2
    e = [[-(i * i + j * j) / (2 * sigma * sigma) for j in range(-m, m + 1)] for i in range(-m, m + 1)]
    return torch.tensor(e, dtype=torch.float64).flatten().softmax(0).reshape(taps, taps)


@wrong("iou_sweep", "reshapes (T, B) to (B, T) without a transpose", breaks="Cut the *prediction* at each")
def _(prediction, target, thresholds):
    rows = []
    for th in thresholds:
        a, b = (prediction > th).flatten(1), target.flatten(1)
        i, u = (a & b).sum(1).float(), (a | b).sum(1).float()
        rows.append(torch.where(u > 0, i / u.clamp(min=1), torch.ones_like(u)))
    return torch.stack(rows).reshape(len(prediction), -1)


@wrong("iou_sweep", "a grey value equal to the threshold is drawn", breaks="Cut the *prediction* at each")
def _(prediction, target, thresholds):
    th = torch.tensor(thresholds, dtype=prediction.dtype, device=prediction.device)
    a = prediction.flatten(1)[:, None] >= th[None, :, None]
    b = target.flatten(1)[:, None].expand_as(a)
    i, u = (a & b).sum(-1).float(), (a | b).sum(-1).float()
    return torch.where(u == 0, torch.ones_like(u), i / u.clamp(min=1))


@wrong("cd_on_cut", "width is the number of pixels", breaks="Each of its edges lies")
def _(values, pixel_nm):
    v, out, start = values.tolist(), [], None
    for i in range(1, len(v)):
        if v[i] > 0.5 and v[i - 1] <= 0.5:
            start = i
        if v[i] <= 0.5 and v[i - 1] > 0.5 and start is not None:
            out.append((i - start) * pixel_nm)
            start = None
    return out


@wrong("cd_on_cut", "a pixel of exactly 0.5 is inside", breaks="A feature is a run of pixels")
def _(values, pixel_nm):
    v, out, left = values.tolist(), [], None
    for i in range(len(v) - 1):
        a, b = v[i], v[i + 1]
        if a < 0.5 <= b:
            left = i + (0.5 - a) / (b - a)
        elif b < 0.5 <= a and left is not None:
            out.append((i + (a - 0.5) / (a - b) - left) * pixel_nm)
            left = None
    return out


@right("cd_on_cut", "ups and downs by numpy")
def _(values, pixel_nm):
    v = values.detach().cpu().numpy().astype(float)
    m = v > 0.5
    up = np.flatnonzero(~m[:-1] & m[1:])
    down = np.flatnonzero(m[:-1] & ~m[1:])
    if len(v) and m[0]:
        down = down[1:]
    up = up[: len(down)]

    def at(i):
        return i + (0.5 - v[i]) / (v[i + 1] - v[i])

    return [float(w) for w in (at(down) - at(up)) * pixel_nm]


@wrong(
    "count_defects",
    "goes through all numbers to the largest, so gaps are missing features",
    breaks="The numbers may have gaps",
)
def _(prediction, target):
    def side(a, b):
        more = none = 0
        for k in range(1, int(a.max()) + 1):
            n = len(set(b[a == k].tolist()) - {0})
            more += max(0, n - 1)
            none += n == 0
        return more, none

    (o, m), (b, e) = side(target, prediction), side(prediction, target)
    return o, b, m, e


@wrong("count_defects", "counts broken features, not k - 1", breaks="*opens*: a target feature")
def _(prediction, target):
    def side(a, b):
        n = [len(set(b[a == k].tolist()) - {0}) for k in a.unique().tolist() if k]
        return sum(i > 1 for i in n), sum(i == 0 for i in n)

    (o, m), (b, e) = side(target, prediction), side(prediction, target)
    return o, b, m, e


@right("count_defects", "set of pairs that share a pixel")
def _(prediction, target):
    pairs = {(p, t) for p, t in zip(prediction.flatten().tolist(), target.flatten().tolist()) if p and t}
    ps, ts = (set(i.flatten().tolist()) - {0} for i in (prediction, target))
    mp, mt = {p for p, _ in pairs}, {t for _, t in pairs}
    return len(pairs) - len(mt), len(pairs) - len(mp), len(ts - mt), len(ps - mp)


def sr_to_segments(a, p, q):
    d = q - p
    u = (((a[:, None] - p) * d).sum(-1) / (d * d).sum(-1).clamp_min(1e-12)).clamp(0, 1)
    return (a[:, None] - p - u[..., None] * d).norm(dim=-1).min(1).values


@wrong("contour_epe", "does not join the last corner to the first", breaks="A contour is a closed polygon")
def _(a, b, pixel_nm):
    if len(a) == 0 or len(b) == 0:
        return math.nan

    def one(x, y):
        return (
            sr_to_segments(x.double(), y[:-1].double(), y[1:].double()).mean()
            if len(y) > 1
            else (x - y).norm(dim=1).mean()
        )

    return float((one(a, b) + one(b, a)) / 2 * pixel_nm)


@wrong("contour_epe", "one mean over the corners of both", breaks="The answer is the mean of the two means")
def _(a, b, pixel_nm):
    if len(a) == 0 or len(b) == 0:
        return math.nan
    a, b = a.double(), b.double()
    d = [sr_to_segments(a, b, b.roll(-1, 0)), sr_to_segments(b, a, a.roll(-1, 0))]
    return float(torch.cat(d).mean() * pixel_nm)


# ---------------------------------------------------------------- lesson 11


@wrong("anisotropy", "differences wrap around the border", breaks="From each image's central differences")
def _(images):
    gx = (images.roll(-1, 2) - images.roll(1, 2)) / 2
    gy = (images.roll(-1, 1) - images.roll(1, 1)) / 2
    xx, yy = (gx**2).mean((1, 2)), (gy**2).mean((1, 2))
    return (xx - yy) / (xx + yy)


@wrong(
    "anisotropy",
    "each difference keeps the rows or columns at the other border",
    breaks="with $J_{xx}$ the mean",
)
def _(images):
    gx = (images[:, :, 2:] - images[:, :, :-2]) / 2
    gy = (images[:, 2:] - images[:, :-2]) / 2
    xx, yy = (gx**2).mean((1, 2)), (gy**2).mean((1, 2))
    return (xx - yy) / (xx + yy)


@wrong("histogram_kl", "smoothed, but not scaled back", breaks='"KL divergence of the histogram"')
def _(image, reference, smoothing):
    p, q = image + smoothing, reference + smoothing
    return (p * (p / q).log()).sum()


@wrong(
    "histogram_kl",
    "F.kl_div with its arguments the wrong way round",
    breaks='"KL divergence of the histogram"',
)
def _(image, reference, smoothing):
    p, q = image + smoothing, reference + smoothing
    return F.kl_div((p / p.sum()).log(), q / q.sum(), reduction="sum")


@right("histogram_kl", "cross-entropy minus entropy")
def _(image, reference, smoothing):
    p, q = (h.double() + smoothing for h in (image, reference))
    p, q = p / p.sum(), q / q.sum()
    return (torch.special.entr(p).sum().neg() - torch.xlogy(p, q).sum()).to(image.dtype)


@wrong("chunk_threshold", "the leftover values count among the others", breaks="Cut its values")
def _(values, window, fewest):
    n = len(values) // window
    if n < fewest:
        return None
    d = []
    for i in range(n):
        mine = values[i * window : (i + 1) * window]
        rest = torch.cat([values[: i * window], values[(i + 1) * window :]])
        d.append((mine.mean() - rest.mean()).abs())
    return torch.stack(d).max()


@wrong(
    "chunk_threshold",
    "compares with the mean of all chunks, its own included",
    breaks="For each chunk take the distance",
)
def _(values, window, fewest):
    n = len(values) // window
    if n < fewest:
        return None
    m = values[: n * window].reshape(n, window).mean(1)
    return (m - m.mean()).abs().max()


@right("chunk_threshold", "distance to all, scaled by n / (n - 1)")
def _(values, window, fewest):
    n = len(values) // window
    if n < fewest:
        return None
    m = values.narrow(0, 0, n * window).reshape(n, window).mean(1)
    return ((m.sum() - m) / (n - 1) - m).abs().amax()


@wrong("cusum", "sums all along, cut off at 0 only at the end", breaks="Page's CUSUM keeps two sums")
def _(z, slack):
    return torch.stack([(z - slack).cumsum(0), (-z - slack).cumsum(0)], 1).clamp(min=0)


@wrong("cusum", "the downward sum gains the slack instead of losing it", breaks="Page's CUSUM keeps two sums")
def _(z, slack):
    u = d = torch.zeros((), dtype=z.dtype, device=z.device)
    out = torch.zeros(len(z), 2, dtype=z.dtype, device=z.device)
    for i, v in enumerate(z):
        u = (u + v - slack).clamp(min=0)
        d = (d - v + slack).clamp(min=0)
        out[i, 0], out[i, 1] = u, d
    return out


@right("cusum", "cumulative sum minus its running minimum")
def _(z, slack):
    s = torch.stack([z, -z], 1).double() - slack
    c = torch.cat([s.new_zeros(1, 2), s.cumsum(0)])
    return (c - c.cummin(0).values)[1:].to(z.dtype)


@wrong("ks_distance", "looks at the values of the first sample only", breaks="Both staircases change")
def _(a, b):
    fa = (a[None] <= a[:, None]).double().mean(1)
    fb = (b[None] <= a[:, None]).double().mean(1)
    return (fa - fb).abs().max()


@wrong(
    "ks_distance",
    "walks through the merged values one by one, shared values apart",
    breaks="The samples may differ in length",
)
def _(a, b):
    v = torch.cat([a, b])
    s = (
        torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))])
        .double()
        .to(v.device)
    )
    return s[v.argsort(stable=True)].cumsum(0).abs().max()


@right("ks_distance", "by sorting and searching")
def _(a, b):
    x = torch.cat([a, b])
    fa = torch.searchsorted(a.sort().values, x, right=True).double() / len(a)
    fb = torch.searchsorted(b.sort().values, x, right=True).double() / len(b)
    return (fa - fb).abs().max()


# ---------------------------------------------------------------- lesson 12
@wrong("cool_down", "exactly `hours` is too early", breaks="A run may start if")
def _(now, last, hours):
    if last is None or now - last > hours * 3600:
        return True, now
    return False, last


@wrong("cool_down", "a last start at 0 counts as none", breaks="`last` is when")
def _(now, last, hours):
    if not last or now - last >= hours * 3600:
        return True, now
    return False, last


@wrong("promotion_rule", "a new bound of exactly 0 is enough", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or old_bound is None:
        return False
    return (
        new_bound >= 0
        and old_bound > -margin
        and all(f >= -family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "an unknown old bound does not hinder", breaks="`new_bound` and `old_bound`")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or new_bound <= 0:
        return False
    if old_bound is not None and old_bound <= -margin:
        return False
    return (
        min(families, default=0.0) >= -family_margin and defects[1] <= defects[0] and p95[1] <= 1.25 * p95[0]
    )


@wrong("atomic_swap", "folder not synced after the rename", breaks="Put `data` under `name`")
def _(disk, name, data):
    tmp = name + ".tmp"
    disk.write(tmp, data)
    disk.fsync(tmp)
    disk.rename(tmp, name)
    return disk


@wrong("atomic_swap", "syncs only after the rename", breaks="Put `data` under `name`")
def _(disk, name, data):
    disk.write(name + ".new", data)
    disk.rename(name + ".new", name)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@wrong("replay_slots", "Python's round: halves to even", breaks="Before batch `step`")
def _(step, batch_size, share):
    a, b = round(share * batch_size * step), round(share * batch_size * (step + 1))
    return list(range(step * batch_size - a, (step + 1) * batch_size - b)), list(range(a, b))


@wrong("replay_slots", "the same number of old pairs in each batch", breaks="Before batch `step`")
def _(step, batch_size, share):
    k = math.floor(share * batch_size + 0.5)
    n = batch_size - k
    return list(range(step * n, (step + 1) * n)), list(range(step * k, (step + 1) * k))


@wrong("warm_step", "bias correction with the steps already taken (at least 1)", breaks="With $t = ")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    t = max(step, 1)
    m = 0.5 * exp_avg + 0.5 * gradient
    v = 0.999 * exp_avg_sq + 0.001 * gradient**2
    return weight - base_lr / 10 * (m / (1 - 0.5**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


@wrong("warm_step", "moments updated in place", breaks="Return the new weight")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    t = step + 1
    m = exp_avg.mul_(0.5).add_(gradient, alpha=0.5)
    v = exp_avg_sq.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    return weight - 0.1 * base_lr * (m / (1 - 0.5**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


@right("warm_step", "by torch's own Adam with its state filled in")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    p = weight.detach().clone().requires_grad_()
    opt = torch.optim.Adam([p], lr=base_lr / 10, betas=(0.5, 0.999), eps=1e-8)
    opt.state[p] = {
        "step": torch.tensor(float(step)),
        "exp_avg": exp_avg.detach().clone(),
        "exp_avg_sq": exp_avg_sq.detach().clone(),
    }
    p.grad = gradient.detach().clone()
    opt.step()
    return p.detach()


@wrong("cluster_bound", "mean of the layouts' means", breaks="Return the `alpha` quantile")
def _(differences, cluster, drawn, alpha):
    means = torch.stack([differences[cluster == g].mean() for g in range(drawn.shape[1])])
    return torch.quantile(means[drawn].mean(1), alpha)


@wrong("cluster_bound", "a layout drawn twice counts once", breaks="A resample consists of")
def _(differences, cluster, drawn, alpha):
    means = torch.stack([differences[torch.isin(cluster, row)].mean() for row in drawn])
    return torch.quantile(means, alpha)


@right("cluster_bound", "sums and counts of the layouts")
def _(differences, cluster, drawn, alpha):
    g = drawn.shape[1]
    total = differences.new_zeros(g).index_add(0, cluster, differences)
    count = differences.new_zeros(g).index_add(0, cluster, torch.ones_like(differences))
    return torch.quantile(total[drawn].sum(1) / count[drawn].sum(1), alpha)


# ---------------------------------------------------------------- lesson 13
@wrong("decode_depth", "NaN passes the comparison with the ends", breaks="Floats are taken as they are")
def _(values, stored, bits):
    if stored != "uint16" and bits is not None:
        return None
    if stored == "uint8":
        return values / 255
    if stored == "float":
        return None if bool(((values < 0) | (values > 1)).any()) else values
    if bits is not None:
        return None if bool((values > 2**bits - 1).any()) else values / (2**bits - 1)
    return None if bool((values < 4096).all()) else values / 65535


@wrong("decode_depth", "a value of 2**bits still fits", breaks="16 bits: if the client states")
def _(values, stored, bits):
    if stored != "uint16" and bits is not None:
        return None
    if stored == "uint8":
        return values / 255
    if stored == "float":
        return values if bool(((values >= 0) & (values <= 1)).all()) else None
    if bits is not None:
        return None if float(values.max()) > 2**bits else values / (2**bits - 1)
    return None if float(values.max()) < 4096 else values / 65535


@wrong("three_monitors", "status 500 itself is not counted as failed", breaks="Return four numbers")
def _(requests):
    ok = [r for r in requests if r[0] == 200]
    lab = [r[2] for r in ok if r[2] is not None]
    return (
        sum(r[0] > 500 for r in requests) / len(requests),
        sum(r[1] for r in ok) / len(ok),
        sum(lab) / len(lab) if lab else None,
        len(lab) / len(ok),
    )


@wrong("three_monitors", "strange inputs of all requests, answered or not", breaks="An input was read")
def _(requests):
    n = len(requests)
    ok = [r for r in requests if r[0] == 200]
    lab = [r[2] for r in ok if r[2] is not None]
    strange = sum(s for _, s, _ in requests) / n
    return (
        sum(r[0] >= 500 for r in requests) / n,
        strange,
        sum(lab) / len(lab) if lab else None,
        len(lab) / len(ok),
    )


@right("three_monitors", "one pass of counters")
def _(requests):
    n = failed = answers = strange = labels = good = 0
    for status, odd, ok in requests:
        n += 1
        if status >= 500:
            failed += 1
        if status != 200:
            continue
        answers += 1
        strange += bool(odd)
        if ok is not None:
            labels += 1
            good += bool(ok)
    return failed / n, strange / answers, good / labels if labels else None, labels / answers


@wrong("join_labels", "the label that arrived last counts", breaks="Of several labels")
def _(events):
    made, label = {}, {}
    for kind, i, other, _, value in events:
        if kind == "prediction":
            made[i] = (other, value)
        else:
            label[other] = value
    out = {}
    for p, v in label.items():
        if p in made:
            out.setdefault(made[p][0], {})[p] = abs(v - made[p][1])
    return out


@wrong(
    "join_labels", "a label made at time 0 never beats the start value 0", breaks='`("label", id, prediction'
)
def _(events):
    made = {e[1]: (e[2], e[4]) for e in events if e[0] == "prediction"}
    best = {}
    for kind, _, p, at, value in events:
        if kind == "label" and at > best.get(p, (0.0, 0.0))[0]:
            best[p] = (at, value)
    out = {}
    for p, (_, v) in best.items():
        if p in made:
            out.setdefault(made[p][0], {})[p] = abs(v - made[p][1])
    return out


@wrong(
    "start_days",
    "a start during the pause is not made, but its labels are used up",
    breaks="A start uses up all labels",
)
def _(days, enough, fewest, most_loss, pause):
    out, wait = [], 0
    for d, (n, loss, _) in enumerate(days):
        wait += n
        if wait >= enough or (loss > most_loss and wait >= fewest):
            if not out or d - out[-1] >= pause:
                out.append(d)
            wait = 0
    return out


@wrong("start_days", "a loss of exactly the limit starts a training", breaks="It starts if")
def _(days, enough, fewest, most_loss, pause):
    out, wait = [], 0
    for d, (n, loss, _) in enumerate(days):
        wait += n
        due = wait >= enough or (loss >= most_loss and wait >= fewest)
        if due and (not out or d - out[-1] >= pause):
            out.append(d)
            wait = 0
    return out
