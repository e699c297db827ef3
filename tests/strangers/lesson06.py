"""Answers to the exercises of lesson 06 by people who saw only the texts."""

import math
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from strangers import right, wrong

# -------------------------------------------------------------- decayed_rate


@wrong("decayed_rate", "half of an odd run rounded down", breaks="From `total / 2` on (not rounded)")
def _(base, step, total):
    half = total // 2
    if step < half:
        return base
    return base * max(0.0, (total - step) / (total - half))


@wrong(
    "decayed_rate", "the line goes on below zero after the run", breaks="From `total / 2` on (not rounded)"
)
def _(base, step, total):
    if step <= total / 2:
        return float(base)
    return base * (total - step) / (total / 2)


@wrong("decayed_rate", "pix2pix: ends at 1 / (n + 1)", breaks="From `total / 2` on (not rounded)")
def _(base, step, total):
    half = total / 2
    return base * max(0.0, 1 - max(0.0, step - half) / (half + 1))


@wrong(
    "decayed_rate",
    "counts the step that it is asked for: the last one gets 0",
    breaks="`step` counts the optimiser steps",
)
def _(base, step, total):
    done = step + 1
    return base * min(1.0, max(0.0, 2 * (total - done) / total))


@wrong("decayed_rate", "second half is a cosine", breaks="From `total / 2` on (not rounded)")
def _(base, step, total):
    u = min(max(2 * step / total - 1, 0.0), 1.0)
    return base * (1 + math.cos(math.pi * u)) / 2


@right("decayed_rate", "np.interp between two corners")
def _(base, step, total):
    return float(np.interp(step, [total / 2, total], [base, 0.0]))


@right("decayed_rate", "an exact fraction, cut to 0 and 1")
def _(base, step, total):
    share = Fraction(2 * (total - step), total)
    return float(base) * float(min(Fraction(1), max(Fraction(0), share)))


# ----------------------------------------------------- optimal_discriminator


@wrong(
    "optimal_discriminator",
    "weights the densities by their labels above and below the line",
    breaks="Return the $D(x)$ that minimises it",
)
def _(p, q, real_label, fake_label):
    return real_label * p / (real_label * p + (1 - fake_label) * q)


@wrong("optimal_discriminator", "NaN wherever one of the densities is 0", breaks="Where both densities are 0")
def _(p, q, real_label, fake_label):
    d = (real_label * p + fake_label * q) / (p + q)
    return torch.where(p * q == 0, torch.full_like(d, float("nan")), d)


@wrong(
    "optimal_discriminator",
    "only the real label is smoothed: right for a fake label of 0",
    breaks="Return the $D(x)$ that minimises it",
)
def _(p, q, real_label, fake_label):
    return real_label * p / (p + q)


@wrong("optimal_discriminator", "one half where nothing is known", breaks="Where both densities are 0")
def _(p, q, real_label, fake_label):
    return ((real_label * p + fake_label * q) / (p + q)).nan_to_num(0.5)


@wrong("optimal_discriminator", "tiny densities count as none", breaks="Where both densities are 0")
def _(p, q, real_label, fake_label):
    total = p + q
    d = (real_label * p + fake_label * q) / total
    d[total < 1e-6] = float("nan")
    return d


@right("optimal_discriminator", "between the labels by the share of p, sigmoid of the log ratio in float64")
def _(p, q, real_label, fake_label):
    ratio = p.double().log() - q.double().log()
    return (fake_label + (real_label - fake_label) * torch.sigmoid(ratio)).to(p.dtype)


@right("optimal_discriminator", "place by place in plain Python")
def _(p, q, real_label, fake_label):
    values = []
    for a, b in zip(p.reshape(-1).tolist(), q.reshape(-1).tolist()):
        values.append(math.nan if a + b == 0 else (real_label * a + fake_label * b) / (a + b))
    return torch.tensor(values, dtype=p.dtype, device=p.device).reshape(p.shape)


def _d_loss06(r, f, kind):
    if kind in ("minimax", "non_saturating"):
        return 0.5 * (F.softplus(-r).mean() + F.softplus(f).mean())
    if kind == "lsgan":
        return 0.5 * ((r - 1).square().mean() + f.square().mean())
    if kind == "hinge":
        return 0.5 * (F.relu(1 - r).mean() + F.relu(1 + f).mean())
    raise ValueError(kind)


# ------------------------------------------------------------ exchange_fakes


@wrong(
    "exchange_fakes", "conditions and fakes draw places of their own", breaks="D judges fakes together with"
)
def _(pairs, condition, fake, capacity, generator):
    stored_c, stored_f = [c for c, _ in pairs], [f for _, f in pairs]
    if capacity == 0:
        return condition, fake, []
    out_c, out_f = [], []
    for c, f in zip(condition, fake):
        if len(stored_c) < capacity:
            stored_c.append(c)
            stored_f.append(f)
        elif torch.rand((), generator=generator) >= 0.5:
            i = int(torch.randint(capacity, (), generator=generator))
            j = int(torch.randint(capacity, (), generator=generator))
            stored_c[i], c = c, stored_c[i]
            stored_f[j], f = f, stored_f[j]
        out_c.append(c)
        out_f.append(f)
    return torch.stack(out_c), torch.stack(out_f), list(zip(stored_c, stored_f))


@wrong("exchange_fakes", "works in the list that it was given", breaks="Return what D gets")
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, pairs
    given = []
    for pair in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append(pair)
        elif torch.rand((), generator=generator) >= 0.5:
            i = int(torch.randint(capacity, (), generator=generator))
            pairs[i], pair = pair, pairs[i]
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong("exchange_fakes", "draws a place before looking at the coin", breaks="Otherwise draw a place")
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, list(pairs)
    pairs, given = list(pairs), []
    for pair in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append(pair)
        else:
            coin = float(torch.rand((), generator=generator))
            i = int(torch.randint(capacity, (), generator=generator))
            if coin >= 0.5:
                pairs[i], pair = pair, pairs[i]
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong(
    "exchange_fakes",
    "a buffer without room still tosses coins and draws from nothing",
    breaks="With capacity 0 the batch",
)
def _(pairs, condition, fake, capacity, generator):
    pairs, given = list(pairs), []
    for pair in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append(pair)
        elif torch.rand((), generator=generator) >= 0.5:
            i = int(torch.randint(max(capacity, 1), (), generator=generator))
            pairs[i], pair = pair, pairs[i]
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong("exchange_fakes", "reads the place after the new pair went there", breaks="Otherwise draw a place")
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, list(pairs)
    pairs, given = list(pairs), []
    for pair in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append(pair)
        elif torch.rand((), generator=generator) >= 0.5:
            i = int(torch.randint(capacity, (), generator=generator))
            pairs[i] = pair
            pair = pairs[i]
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong(
    "exchange_fakes",
    "the new pair goes to the end of the list, not to the freed place",
    breaks="Otherwise draw a place",
)
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, list(pairs)
    pairs, given = list(pairs), []
    for pair in zip(condition, fake):
        if len(pairs) < capacity:
            pairs.append(pair)
            given.append(pair)
        elif torch.rand((), generator=generator) < 0.5:
            given.append(pair)
        else:
            given.append(pairs.pop(int(torch.randint(capacity, (), generator=generator))))
            pairs.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong(
    "exchange_fakes",
    "asks once per batch whether the buffer is full",
    breaks="Go through the batch image by image",
)
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, list(pairs)
    pairs, given = list(pairs), []
    full = len(pairs) >= capacity
    for pair in zip(condition, fake):
        if not full:
            pairs.append(pair)
        elif torch.rand((), generator=generator) >= 0.5:
            i = int(torch.randint(capacity, (), generator=generator))
            pairs[i], pair = pair, pairs[i]
        given.append(pair)
    return torch.stack([c for c, _ in given]), torch.stack([f for _, f in given]), pairs


@wrong(
    "exchange_fakes",
    "new list, but writes the new images into the stored tensors",
    breaks="Return what D gets",
)
def _(pairs, condition, fake, capacity, generator):
    if capacity == 0:
        return condition, fake, list(pairs)
    pairs = list(pairs)
    out_c, out_f = condition.clone(), fake.clone()
    for k in range(len(fake)):
        if len(pairs) < capacity:
            pairs.append((condition[k].clone(), fake[k].clone()))
        elif torch.rand((), generator=generator) >= 0.5:
            place = pairs[int(torch.randint(capacity, (), generator=generator))]
            out_c[k], out_f[k] = place[0], place[1]
            place[0].copy_(condition[k])
            place[1].copy_(fake[k])
    return out_c, out_f, pairs


@right("exchange_fakes", "two copied batches, overwritten where an old pair comes back")
def _(pairs, condition, fake, capacity, generator):
    kept = [*pairs]
    conditions, fakes = condition.clone(), fake.clone()
    if capacity <= 0:
        return conditions, fakes, kept
    for b in range(fake.shape[0]):
        newcomer = (condition[b].clone(), fake[b].clone())
        if len(kept) < capacity:
            kept.append(newcomer)
            continue
        if torch.rand((), generator=generator).item() < 0.5:
            continue
        place = torch.randint(capacity, (), generator=generator).item()
        conditions[b], fakes[b] = kept[place]
        kept[place] = newcomer
    return conditions, fakes, kept


class _Buffer06:
    """A dictionary from place to pair, and a generator function for what D gets."""

    def __call__(self, pairs, condition, fake, capacity, generator):
        if capacity == 0:
            return condition, fake, list(pairs)
        store = dict(enumerate(pairs))

        def given():
            for new in zip(condition.unbind(0), fake.unbind(0)):
                place = len(store)
                if place >= capacity:
                    if torch.rand((), generator=generator) < 0.5:
                        yield new
                        continue
                    place = int(torch.randint(capacity, (), generator=generator))
                yield store.get(place, new)
                store[place] = new

        out = list(given())
        conditions = torch.cat([c[None] for c, _ in out]) if out else condition
        fakes = torch.cat([f[None] for _, f in out]) if out else fake
        return conditions, fakes, [store[k] for k in range(len(store))]


right("exchange_fakes", "a class with a dictionary of places")(_Buffer06())


# ------------------------------------------------------------ generator_loss


def _g_loss06(f, kind):
    if kind == "minimax":
        return -F.softplus(f).mean()
    if kind == "non_saturating":
        return F.softplus(-f).mean()
    if kind == "lsgan":
        return (f - 1).square().mean()
    if kind == "hinge":
        return -f.mean()
    raise ValueError(kind)


@wrong("generator_loss", "hinge with a margin, like D's", breaks="$f$ are D's raw logits of generated")
def _(fake_logits, kind):
    if kind == "hinge":
        return F.relu(1 - fake_logits).mean()
    return _g_loss06(fake_logits, kind)


@wrong(
    "generator_loss",
    "minimax is given the non-saturating loss, as everybody trains it",
    breaks="$f$ are D's raw logits of generated",
)
def _(fake_logits, kind):
    return _g_loss06(fake_logits, "non_saturating" if kind == "minimax" else kind)


@wrong("generator_loss", "least squares halved as for D", breaks="$f$ are D's raw logits of generated")
def _(fake_logits, kind):
    loss = _g_loss06(fake_logits, kind)
    return loss / 2 if kind == "lsgan" else loss


@wrong("generator_loss", "a dictionary: an unknown kind is a KeyError", breaks="Another `kind` is a mistake")
def _(fake_logits, kind):
    return {
        "minimax": lambda f: F.logsigmoid(-f),
        "non_saturating": lambda f: -F.logsigmoid(f),
        "lsgan": lambda f: (f - 1) ** 2,
        "hinge": lambda f: -f,
    }[kind](fake_logits).mean()


@wrong(
    "generator_loss",
    "binary cross-entropy of the sigmoid: the value holds, the gradient vanishes",
    breaks="Value and gradient must be right",
)
def _(fake_logits, kind):
    if kind == "non_saturating":
        d = torch.sigmoid(fake_logits)
        return F.binary_cross_entropy(d, torch.ones_like(d))
    return _g_loss06(fake_logits, kind)


@wrong(
    "generator_loss", "minimax as log of 1 - sigmoid in float32", breaks="Value and gradient must be right"
)
def _(fake_logits, kind):
    if kind == "minimax":
        return torch.log(1 - torch.sigmoid(fake_logits)).mean()
    return _g_loss06(fake_logits, kind)


@right("generator_loss", "logsigmoid, and log(1 - sigmoid(f)) as logsigmoid(-f)")
def _(fake_logits, kind):
    match kind:
        case "minimax":
            each = F.logsigmoid(-fake_logits)
        case "non_saturating":
            each = -F.logsigmoid(fake_logits)
        case "lsgan":
            each = fake_logits**2 - 2 * fake_logits + 1
        case "hinge":
            each = fake_logits.neg()
        case _:
            raise ValueError(f"{kind!r} is not a loss of the generator")
    return each.sum() / each.numel()


@right("generator_loss", "names looked up in a table, logaddexp")
def _(fake_logits, kind):
    zero = torch.zeros_like(fake_logits)
    table = {
        "minimax": lambda: -torch.logaddexp(zero, fake_logits),
        "non_saturating": lambda: torch.logaddexp(zero, -fake_logits),
        "lsgan": lambda: F.mse_loss(fake_logits, zero + 1),
        "hinge": lambda: zero - fake_logits,
    }
    if kind not in table:
        raise ValueError(kind)
    return table[kind]().mean()


# -------------------------------------------------------- spectral_normalise


@wrong(
    "spectral_normalise",
    "the exact norm by singular values, whatever steps and u",
    breaks="Its largest singular",
)
def _(weight, u, steps):
    w = weight.flatten(1)
    left, values, _ = torch.linalg.svd(w, full_matrices=False)
    return weight / values[0], values[0], left[:, 0].detach()


@wrong("spectral_normalise", "writes the new u over the old one", breaks="Return three things")
def _(weight, u, steps):
    w = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(w.t() @ u, dim=0)
            u.copy_(F.normalize(w @ v, dim=0))
    sigma = torch.dot(u.clone(), w @ v)
    return weight / sigma, sigma, u.clone()


@wrong("spectral_normalise", "differentiates the iteration too", breaks="The iteration is not differentiated")
def _(weight, u, steps):
    w = weight.flatten(1)
    for _ in range(steps):
        v = F.normalize(w.t() @ u, dim=0)
        u = F.normalize(w @ v, dim=0)
    sigma = u @ w @ v
    return weight / sigma, sigma, u.detach()


@wrong("spectral_normalise", "sigma is a constant", breaks="$\\sigma$ is differentiated")
def _(weight, u, steps):
    with torch.no_grad():
        w = weight.flatten(1)
        for _ in range(steps):
            v = F.normalize(w.t() @ u, dim=0)
            u = F.normalize(w @ v, dim=0)
        sigma = u @ w @ v
    return weight / sigma, sigma, u


@wrong(
    "spectral_normalise",
    "another v after the last u: sigma is half a step ahead",
    breaks="Its largest singular",
)
def _(weight, u, steps):
    w = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(w.t() @ u, dim=0)
            u = F.normalize(w @ v, dim=0)
        v = F.normalize(w.t() @ u, dim=0)
    sigma = u @ w @ v
    return weight / sigma, sigma, u


@wrong("spectral_normalise", "sigma of shape (1, 1)", breaks="Return three things")
def _(weight, u, steps):
    w = weight.flatten(1)
    with torch.no_grad():
        column = u[:, None]
        for _ in range(steps):
            row = F.normalize(w.t() @ column, dim=0)
            column = F.normalize(w @ row, dim=0)
    sigma = column.t() @ w @ row
    return weight / sigma, sigma, column[:, 0]


@wrong("spectral_normalise", "divides only if sigma is above 1", breaks="Return three things")
def _(weight, u, steps):
    w = weight.flatten(1)
    with torch.no_grad():
        for _ in range(steps):
            v = F.normalize(w.t() @ u, dim=0)
            u = F.normalize(w @ v, dim=0)
    sigma = u @ w @ v
    return weight / sigma.clamp(min=1), sigma, u


@right("spectral_normalise", "sigma as the length of W v with v held fixed")
def _(weight, u, steps):
    matrix = weight.reshape(weight.size(0), -1)
    fixed, vector = matrix.detach(), u.detach().clone()
    for _ in range(steps):
        v = torch.mv(fixed.T, vector)
        v /= v.norm()
        vector = torch.mv(fixed, v)
        vector /= vector.norm()
    sigma = torch.linalg.vector_norm(torch.mv(matrix, v))
    return weight.div(sigma), sigma, vector


@right("spectral_normalise", "iterates in numpy, float64; sigma as a sum over W times the outer product")
def _(weight, u, steps):
    rows = weight.shape[0]
    w = weight.detach().cpu().numpy().astype(np.float64).reshape(rows, -1)
    left = u.detach().cpu().numpy().astype(np.float64)
    for _ in range(steps):
        r = left @ w
        r = r / np.sqrt(r @ r)
        left = w @ r
        left = left / np.sqrt(left @ left)
    outer = torch.from_numpy(np.outer(left, r)).to(weight).reshape(weight.shape)
    sigma = (weight * outer).sum()
    return weight / sigma, sigma, torch.from_numpy(left).to(u)
