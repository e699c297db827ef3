"""Answers to the new exercises of lesson 01 by people who saw only the texts."""

import copy
import math

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong


def n1_q(x0, t, noise, alpha_bars):
    """A plain q_sample."""
    ab = alpha_bars[t].reshape(-1, *[1] * (x0.ndim - 1))
    return ab.sqrt().to(x0.dtype) * x0 + (1 - ab).sqrt().to(x0.dtype) * noise


def n1_loss(net, x0, t, noise, alpha_bars):
    """A plain diffusion_loss."""
    return F.mse_loss(net(n1_q(x0, t, noise, alpha_bars), t), noise)


# ---------------------------------------------------------------- diffusion_loss


@wrong("diffusion_loss", "gives the network t / T instead of t", breaks="Make $x_t$ from `x0`, `t`")
def _(net, x0, t, noise, alpha_bars):
    x_t = n1_q(x0, t, noise, alpha_bars)
    guess = net(x_t, t.to(x0.dtype) / len(alpha_bars))
    return ((guess - noise) ** 2).mean()


@wrong(
    "diffusion_loss", "squares the mean instead of averaging the squares", breaks="Make $x_t$ from `x0`, `t`"
)
def _(net, x0, t, noise, alpha_bars):
    x_t = n1_q(x0, t, noise, alpha_bars)
    return (net(x_t, t) - noise).mean() ** 2


@wrong(
    "diffusion_loss",
    "asks a deep copy of the network, to leave the network as it is: the gradient goes to the copy",
    breaks="The training loop will call",
)
def _(net, x0, t, noise, alpha_bars):
    x_t = n1_q(x0, t, noise, alpha_bars)
    guess = copy.deepcopy(net)(x_t, t)
    return F.mse_loss(guess, noise)


@wrong("diffusion_loss", "puts the network in train mode first", breaks="Do not call `.backward()` yourself,")
def _(net, x0, t, noise, alpha_bars):
    net.train()
    x_t = n1_q(x0, t, noise, alpha_bars)
    return F.mse_loss(net(x_t, t), noise)


@wrong(
    "diffusion_loss",
    "own mixing with coefficients of shape (B, 1): right for points only, not for images",
    breaks="Make $x_t$ from `x0`, `t`",
)
def _(net, x0, t, noise, alpha_bars):
    ab = alpha_bars[t][:, None]
    x_t = (ab.sqrt() * x0 + (1 - ab).sqrt() * noise).to(x0.dtype)
    return F.mse_loss(net(x_t, t), noise)


@wrong(
    "diffusion_loss",
    "calls backward (keeping the graph), so that the caller's backward adds a second gradient",
    breaks="Do not call `.backward()` yourself,",
)
def _(net, x0, t, noise, alpha_bars):
    loss = F.mse_loss(net(n1_q(x0, t, noise, alpha_bars), t), noise)
    loss.backward(retain_graph=True)
    return loss


@right("diffusion_loss", "sample by sample for x_t, then a dot product over the number of entries")
def _(net, x0, t, noise, alpha_bars):
    rows = []
    for image, step, eps in zip(x0, t.tolist(), noise):
        left = float(alpha_bars[step])
        rows.append(math.sqrt(left) * image + math.sqrt(1.0 - left) * eps)
    off = (net(torch.stack(rows), t) - noise).reshape(-1)
    return torch.dot(off, off) / off.numel()


@right("diffusion_loss", "einsum for x_t, mean over the features of each sample, then over the samples")
def _(net, x0, t, noise, alpha_bars):
    keep = alpha_bars.index_select(0, t)
    signal = torch.einsum("b,b...->b...", keep.sqrt().to(x0.dtype), x0)
    rest = torch.einsum("b,b...->b...", torch.sqrt(1 - keep).to(x0.dtype), noise)
    off = noise - net(signal + rest, t)
    return off.square().flatten(1).mean(dim=1).mean()


class N1Loss:
    """The loss as an object with a call."""

    def __init__(self):
        self.criterion = torch.nn.MSELoss(reduction="sum")

    def __call__(self, net, x0, t, noise, alpha_bars):
        shape = (len(x0),) + (1,) * (x0.dim() - 1)
        with torch.no_grad():
            a = torch.take(alpha_bars, t).view(shape)
            x_t = torch.addcmul(a.sqrt() * x0.double(), (1 - a).sqrt(), noise.double()).to(x0.dtype)
        return self.criterion(noise, net(x_t, t)) / noise.numel()


right("diffusion_loss", "an object with __call__, summed MSELoss over the number of entries, x_t in float64")(
    N1Loss()
)


# ---------------------------------------------------------------- train


@wrong(
    "train", "timesteps drawn from 1 on: torch.randint(1, T, ...)", breaks="2. a timestep for each of them:"
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    dev, losses = x0.device, []
    for _i in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=dev)]
        t = torch.randint(1, len(alpha_bars), (batch,), generator=generator, device=dev)
        noise = torch.randn(x.shape, generator=generator, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


@wrong("train", "samples without replacement (randperm)", breaks="1. which samples:")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    dev, losses = x0.device, []
    for _i in range(steps):
        x = x0[torch.randperm(len(x0), generator=generator, device=dev)[:batch]]
        t = torch.randint(len(alpha_bars), (len(x),), generator=generator, device=dev)
        noise = torch.randn(x.shape, generator=generator, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


@wrong("train", "clips the gradient to norm 1 before the step", breaks="Then the step:")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    dev, losses = x0.device, []
    for _i in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=dev)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=dev)
        noise = torch.randn(x.shape, generator=generator, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
    return losses


@wrong(
    "train",
    "draws from a new generator with the same seed: right only if the given one was not used yet",
    breaks="Each step draws, in this order and all with `generator`",
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    dev = x0.device
    gen = torch.Generator(device=dev).manual_seed(generator.initial_seed())
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _i in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=gen, device=dev)]
        t = torch.randint(len(alpha_bars), (batch,), generator=gen, device=dev)
        noise = torch.randn(x.shape, generator=gen, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return losses


@wrong(
    "train", "clears the gradients after the step, not before backward", breaks="Clear the gradients *before*"
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    dev, losses = x0.device, []
    for _i in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=dev)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=dev)
        noise = torch.randn(x.shape, generator=generator, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        loss.backward()
        opt.step()
        opt.zero_grad()
        losses.append(loss.item())
    return losses


@wrong("train", "net.train() at the start, net.eval() at the end", breaks="Leave the mode of the network")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    net.train()
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    dev, losses = x0.device, []
    for _i in range(steps):
        x = x0[torch.randint(len(x0), (batch,), generator=generator, device=dev)]
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=dev)
        noise = torch.randn(x.shape, generator=generator, device=dev)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    return losses


def n1_draws(x0, total, steps, batch, generator):
    """Yields the draws of each step."""
    kw = {"generator": generator, "device": x0.device}
    for _i in range(steps):
        picked = x0.index_select(0, torch.randint(0, x0.shape[0], size=(batch,), **kw))
        when = torch.randint(0, total, size=(batch,), **kw)
        yield picked, when, torch.randn(picked.shape, dtype=x0.dtype, **kw)


@right(
    "train", "a generator function for the draws, gradients set to None by hand, losses gathered in a tensor"
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    params = list(net.parameters())
    adam = torch.optim.Adam(params, lr)
    history = torch.zeros(steps, dtype=torch.float64)
    for i, (x, t, noise) in enumerate(n1_draws(x0, len(alpha_bars), steps, batch, generator)):
        for p in params:
            p.grad = None
        loss = (net(n1_q(x, t, noise, alpha_bars), t) - noise).pow(2).mean()
        torch.autograd.backward(loss)
        adam.step()
        history[i] = loss.detach().double().cpu()
    return history.tolist()


class N1Adam:
    """Adam by hand, with the defaults of PyTorch."""

    def __init__(self, params, lr, b1=0.9, b2=0.999, eps=1e-8):
        self.params, self.lr, self.b1, self.b2, self.eps = list(params), lr, b1, b2, eps
        self.state = {}

    @torch.no_grad()
    def step(self):
        for p in self.params:
            if p.grad is None:
                continue
            n, m, v = self.state.get(p, (0, torch.zeros_like(p), torch.zeros_like(p)))
            n += 1
            m.lerp_(p.grad, 1 - self.b1)
            v.mul_(self.b2).addcmul_(p.grad, p.grad, value=1 - self.b2)
            root = (v.sqrt() / math.sqrt(1 - self.b2**n)).add_(self.eps)
            p.addcdiv_(m, root, value=-self.lr / (1 - self.b1**n))
            self.state[p] = (n, m, v)


@right("train", "Adam written by hand")
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = N1Adam(net.parameters(), lr)
    losses = []
    while len(losses) < steps:
        index = torch.randint(len(x0), (batch,), generator=generator, device=x0.device)
        t = torch.randint(len(alpha_bars), (batch,), generator=generator, device=x0.device)
        x = x0[index]
        noise = torch.randn(x.shape, generator=generator, device=x0.device)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        net.zero_grad()
        loss.backward()
        opt.step()
        losses += [float(loss)]
    return losses


@right(
    "train", "an inner function for one step, zero_grad(set_to_none=False) first of all, list comprehension"
)
def _(net, x0, alpha_bars, steps, batch, lr, generator):
    opt = torch.optim.Adam([{"params": net.parameters()}], lr=lr)

    def one():
        opt.zero_grad(set_to_none=False)
        at = torch.empty(batch, dtype=torch.int64, device=x0.device)
        at = torch.randint(len(x0), at.shape, generator=generator, out=at)
        t = torch.randint(len(alpha_bars), at.shape, generator=generator, device=x0.device)
        x = x0[at]
        noise = torch.randn(*x.shape, generator=generator, device=x0.device)
        loss = n1_loss(net, x, t, noise, alpha_bars)
        loss.backward()
        opt.step()
        return loss.item()

    return [one() for _i in range(steps)]


# ---------------------------------------------------------------- thin_out


@wrong(
    "thin_out",
    "adds up the betas of every k steps: nearly right for small ones",
    breaks="So the new way passes",
)
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    return betas.reshape(-1, every).sum(dim=1)


@wrong(
    "thin_out",
    "the last of every k steps, k times over: right for constant betas",
    breaks="So the new way passes",
)
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    kept = betas[every - 1 :: every]
    return 1 - (1 - kept) ** every


@wrong("thin_out", "the first step starts at alpha_bar[0] instead of at 1", breaks="So the new way passes")
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    alpha_bars = torch.cumprod(1 - betas, dim=0)
    kept = alpha_bars[every - 1 :: every]
    before = torch.cat([alpha_bars[:1], kept[:-1]])
    return 1 - kept / before


@wrong(
    "thin_out", "turns the given betas into alpha-bars in place", breaks="`betas` are those of the old way,"
)
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    alpha_bars = betas.neg_().add_(1).cumprod_(dim=0)
    kept = alpha_bars[every - 1 :: every]
    before = torch.cat([kept.new_ones(1), kept[:-1]])
    return 1 - kept / before


@wrong("thin_out", "check left out, so view raises a RuntimeError", breaks="If $k$ does not divide $T$,")
def _(betas, every):
    alphas = (1 - betas).view(len(betas) // every, every)
    return 1 - alphas.prod(dim=1)


@wrong(
    "thin_out",
    "new betas clipped at 0.999, as in the code of Nichol and Dhariwal",
    breaks="So the new way passes",
)
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    kept = torch.cumprod(1 - betas, dim=0)[every - 1 :: every]
    before = F.pad(kept, (1, 0), value=1.0)[:-1]
    return torch.clamp(1 - kept / before, max=0.999)


@right("thin_out", "product over every k steps, split into pieces")
def _(betas, every):
    if len(betas) % every != 0:
        raise ValueError("k has to divide T")
    return 1 - torch.prod(torch.reshape(1 - betas, (len(betas) // every, every)), dim=-1)


@right("thin_out", "logarithms: log1p, cumulative sum, differences, expm1")
def _(betas, every):
    if len(betas) % every:
        raise ValueError(f"{every} does not divide {len(betas)} steps")
    way = torch.cumsum(torch.log1p(-betas), dim=0)[every - 1 :: every]
    return -torch.expm1(torch.diff(way, prepend=way.new_zeros(1)))


@right("thin_out", "numpy, a loop that grows each beta by b + c - b c")
def _(betas, every):
    rest = len(betas) % every
    if rest > 0:
        raise ValueError(f"{rest} steps left over")
    old = betas.detach().cpu().numpy()
    new = np.zeros(len(old) // every)
    for i, b in enumerate(old):
        j = i // every
        new[j] = new[j] + b - new[j] * b
    return torch.from_numpy(new).to(betas)


# ---------------------------------------------------------------- own_schedule


@wrong("own_schedule", "cosine from t = 0, so the first value is 1", breaks="It has to fall strictly,")
def _(steps):
    def f(u):
        return torch.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    u = torch.arange(steps, dtype=torch.float64) / steps
    return f(u) / f(torch.zeros((), dtype=torch.float64))


@wrong("own_schedule", "sigmoid the wrong way round: rises", breaks="Return it as a float64 tensor")
def _(steps):
    return torch.sigmoid(torch.linspace(-6, 6, steps, dtype=torch.float64))


@wrong(
    "own_schedule",
    "every (1000 // steps)-th of the linear schedule: too many values when steps does not divide 1000",
    breaks="Return it as a float64 tensor",
)
def _(steps):
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    return torch.cumprod(1 - betas, dim=0)[:: 1000 // steps]


@wrong("own_schedule", "float32, the default of linspace", breaks="Return it as a float64 tensor")
def _(steps):
    return torch.linspace(0.99, 0.002, steps) ** 1.5


@wrong(
    "own_schedule",
    "cosine clamped at 0.01: flat at the end with many steps",
    breaks="It has to fall strictly,",
)
def _(steps):
    u = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return (torch.cos(u * math.pi / 2) ** 2).clamp(0.01, 0.999)


@wrong(
    "own_schedule", "a random search without a seed: another curve each time", breaks="The same call gives"
)
def _(steps):
    ramp = torch.linspace(5, -6, steps, dtype=torch.float64)
    jitter = 0.2 * torch.rand(steps, dtype=torch.float64) / steps
    return torch.sigmoid(ramp - jitter)


@right("own_schedule", "even steps in log SNR, in numpy")
def _(steps):
    snr = np.exp(np.linspace(4.0, -5.0, steps))
    return torch.from_numpy(snr / (1.0 + snr))


@right("own_schedule", "cosine from t = 1 to T, its last value is 4e-33 and still above 0")
def _(steps):
    u = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    s = 0.008
    ab = torch.cos((u + s) / (1 + s) * (math.pi / 2)) ** 2
    return ab / math.cos(s / (1 + s) * math.pi / 2) ** 2


@right("own_schedule", "six support points by hand, straight lines between them, a python list")
def _(steps):
    points = [0.9995, 0.97, 0.8, 0.4, 0.08, 0.003]
    curve = []
    for i in range(steps):
        place = i * (len(points) - 1) / (steps - 1)
        j = min(int(place), len(points) - 2)
        curve.append(points[j] + (place - j) * (points[j + 1] - points[j]))
    return torch.tensor(curve, dtype=torch.float64)
