"""Answers to the exercises of lesson 12 by people who saw only the texts."""

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import torch
from strangers import right, wrong

# ---------------------------------------------------------------- cool_down


@right("cool_down", "infinitely long ago for None")
def _(now, last, hours):
    since = math.inf if last is None else now - last
    may = since >= 3600 * hours
    return (may, now if may else last)


@wrong("cool_down", "strictly more than the cool-down", breaks="A run may start if `hours` or more")
def _(now, last, hours):
    if last is None or now - last > hours * 3600:
        return True, now
    return False, last


@wrong("cool_down", "a start at time 0.0 is taken for no start", breaks="`last` is when the last run started")
def _(now, last, hours):
    if not last or now - last >= hours * 3600:
        return True, now
    return False, last


@wrong(
    "cool_down",
    "absolute difference: a clock set back far enough starts early",
    breaks="A clock that was set back",
)
def _(now, last, hours):
    if last is None or abs(now - last) >= hours * 3600:
        return True, now
    return False, last


@wrong("cool_down", "whole hours only", breaks="A run may start if `hours` or more")
def _(now, last, hours):
    if last is None or (now - last) // 3600 >= hours:
        return True, now
    return False, last


@wrong("cool_down", "moves the last start to the clock if that was set back", breaks="Return whether it may")
def _(now, last, hours):
    if last is None or now - last >= hours * 3600:
        return True, now
    return False, min(last, now)


# ---------------------------------------------------------------- promotion_rule


@right("promotion_rule", "None is minus infinity; one refusal after the other")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    new = -math.inf if new_bound is None else new_bound
    old = -math.inf if old_bound is None else old_bound
    if not new > 0:
        return False
    if not old > -margin:
        return False
    if min(families, default=0.0) < -family_margin:
        return False
    champion, challenger = defects
    if challenger > champion:
        return False
    return not p95[1] > p95[0] * 1.25


@wrong("promotion_rule", "an unknown old bound is no objection", breaks="`new_bound` and `old_bound` are")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    return (
        new_bound is not None
        and new_bound > 0
        and (old_bound is None or old_bound > -margin)
        and all(f >= -family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "an old bound of exactly 0.0 is taken for an unknown one", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if not new_bound or not old_bound:
        return False
    return (
        new_bound > 0
        and old_bound > -margin
        and all(f >= -family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "the families' mean change", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or old_bound is None:
        return False
    mean = sum(families) / len(families) if families else 0.0
    return (
        new_bound > 0
        and old_bound > -margin
        and mean >= -family_margin
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "an old bound of exactly -margin passes", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or old_bound is None:
        return False
    return (
        new_bound > 0
        and old_bound >= -margin
        and all(f >= -family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "a family that lost exactly the margin is refused", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or old_bound is None:
        return False
    return (
        new_bound > 0
        and old_bound > -margin
        and all(f > -family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


@wrong("promotion_rule", "families may not gain more than the margin either", breaks="All must hold")
def _(new_bound, old_bound, families, defects, p95, margin, family_margin):
    if new_bound is None or old_bound is None:
        return False
    return (
        new_bound > 0
        and old_bound > -margin
        and all(abs(f) <= family_margin for f in families)
        and defects[1] <= defects[0]
        and p95[1] <= 1.25 * p95[0]
    )


# ---------------------------------------------------------------- atomic_swap


@right("atomic_swap", "temporary file, synced, renamed, folder synced")
def _(disk, name, data):
    temporary = name + ".tmp"
    disk.write(temporary, data)
    disk.fsync(temporary)
    disk.rename(temporary, name)
    disk.fsync_folder()
    return disk


@right("atomic_swap", "a hidden file, and the folder synced twice")
def _(disk, name, data):
    beside = f".{name}.{len(data)}.new"
    steps = [
        lambda: disk.write(beside, data),
        lambda: disk.fsync(beside),
        disk.fsync_folder,
        lambda: disk.rename(beside, name),
        disk.fsync_folder,
    ]
    for step in steps:
        step()
    return disk


@wrong("atomic_swap", "writes over the file", breaks="Put `data` under `name`")
def _(disk, name, data):
    disk.write(name, data)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@wrong("atomic_swap", "renames first and syncs the contents afterwards", breaks="`disk` is a toy disk")
def _(disk, name, data):
    disk.write(name + ".tmp", data)
    disk.rename(name + ".tmp", name)
    disk.fsync(name)
    disk.fsync_folder()
    return disk


@wrong("atomic_swap", "syncs the folder before the rename only", breaks="Put `data` under `name`")
def _(disk, name, data):
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.fsync_folder()
    disk.rename(name + ".tmp", name)
    return disk


@wrong(
    "atomic_swap",
    "moves the old file aside, so that there is none for a moment",
    breaks="Put `data` under `name`",
)
def _(disk, name, data):
    disk.write(name + ".tmp", data)
    disk.fsync(name + ".tmp")
    disk.rename(name, name + ".bak")
    disk.rename(name + ".tmp", name)
    disk.fsync_folder()
    return disk


@wrong("atomic_swap", "syncs the old file instead of the new one", breaks="`disk` is a toy disk")
def _(disk, name, data):
    disk.write(name + ".tmp", data)
    disk.fsync(name)
    disk.rename(name + ".tmp", name)
    disk.fsync_folder()
    return disk


# ---------------------------------------------------------------- replay_slots


@right("replay_slots", "decimal's ROUND_HALF_UP")
def _(step, batch_size, share):
    def due(at):
        return int(Decimal(share * batch_size * at).quantize(Decimal(1), rounding=ROUND_HALF_UP))

    first_old = due(step)
    count_old = due(step + 1) - first_old
    first_new = batch_size * step - first_old
    return [first_new + i for i in range(batch_size - count_old)], [first_old + i for i in range(count_old)]


@wrong("replay_slots", "Python's round, halves to even", breaks="Before batch `step`")
def _(step, batch_size, share):
    a, b = round(share * batch_size * step), round(share * batch_size * (step + 1))
    return list(range(step * batch_size - a, (step + 1) * batch_size - b)), list(range(a, b))


@wrong("replay_slots", "rounds down", breaks="Before batch `step`")
def _(step, batch_size, share):
    a, b = int(share * batch_size * step), int(share * batch_size * (step + 1))
    return list(range(step * batch_size - a, (step + 1) * batch_size - b)), list(range(a, b))


@wrong("replay_slots", "the same number of old pairs in every batch", breaks="Before batch `step`")
def _(step, batch_size, share):
    old = math.floor(share * batch_size + 0.5)
    new = batch_size - old
    return list(range(step * new, (step + 1) * new)), list(range(step * old, (step + 1) * old))


class _Queues:
    def __init__(self):
        self.new, self.old = 0, 0

    def __call__(self, step, batch_size, share):
        if step == 0:
            self.new, self.old = 0, 0
        count = math.floor(share * batch_size * (step + 1) + 0.5) - self.old
        old = list(range(self.old, self.old + count))
        new = list(range(self.new, self.new + batch_size - count))
        self.old, self.new = self.old + count, self.new + batch_size - count
        return new, old


wrong(
    "replay_slots",
    "remembers how far the queues are from call to call",
    breaks="It must be a function of `step` alone",
)(_Queues())


@wrong("replay_slots", "both kinds share one queue", breaks="New pairs wait in a queue")
def _(step, batch_size, share):
    a, b = math.floor(share * batch_size * step + 0.5), math.floor(share * batch_size * (step + 1) + 0.5)
    start = step * batch_size
    return list(range(start, start + batch_size - (b - a))), list(
        range(start + batch_size - (b - a), start + batch_size)
    )


# ---------------------------------------------------------------- warm_step


@right("warm_step", "torch.optim.Adam with the state put in")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    parameter = torch.nn.Parameter(weight.detach().clone())
    adam = torch.optim.Adam([parameter], lr=base_lr / 10, betas=(0.5, 0.999), eps=1e-8)
    adam.state[parameter] = {
        "step": torch.tensor(float(step)),
        "exp_avg": exp_avg.detach().clone(),
        "exp_avg_sq": exp_avg_sq.detach().clone(),
    }
    parameter.grad = gradient.detach().clone()
    adam.step()
    return parameter.detach()


@right("warm_step", "numpy in float64")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    w, g, m, v = (t.detach().numpy().astype(np.float64) for t in (weight, gradient, exp_avg, exp_avg_sq))
    t = step + 1
    m_hat = (0.5 * m + 0.5 * g) / (1 - 0.5**t)
    v_hat = (0.999 * v + 0.001 * g * g) / (1 - 0.999**t)
    return torch.from_numpy(np.asarray(w - 0.1 * base_lr * m_hat / (np.sqrt(v_hat) + 1e-8))).to(weight.dtype)


def _adam(w, g, m, v, t, lr, beta1=0.5, beta2=0.999, eps=1e-8):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    return w - lr * (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps)


@wrong("warm_step", "a tenth of the rate in the state", breaks="Take the first step of fine-tuning")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    return _adam(weight, gradient, exp_avg, exp_avg_sq, step + 1, stored_lr / 10)


@wrong(
    "warm_step",
    "keeps the moments but counts the steps from 1 again",
    breaks="Take the first step of fine-tuning",
)
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    return _adam(weight, gradient, exp_avg, exp_avg_sq, 1, base_lr / 10)


@wrong("warm_step", "t is the number of steps already taken", breaks="With $t = ")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    return _adam(weight, gradient, exp_avg, exp_avg_sq, max(step, 1), base_lr / 10)


@wrong("warm_step", "updates the moments in place", breaks="Return the new weight")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    t = step + 1
    exp_avg.mul_(0.5).add_(gradient, alpha=0.5)
    exp_avg_sq.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
    return weight - base_lr / 10 * (exp_avg / (1 - 0.5**t)) / ((exp_avg_sq / (1 - 0.999**t)).sqrt() + 1e-8)


@wrong("warm_step", "eps inside the root", breaks="With $t = ")
def _(weight, gradient, exp_avg, exp_avg_sq, step, stored_lr, base_lr):
    t = step + 1
    m = 0.5 * exp_avg + 0.5 * gradient
    v = 0.999 * exp_avg_sq + 0.001 * gradient**2
    return weight - base_lr / 10 * (m / (1 - 0.5**t)) / (v / (1 - 0.999**t) + 1e-8).sqrt()


# ---------------------------------------------------------------- cluster_bound


@right("cluster_bound", "sums and sizes per layout, then numpy's quantile")
def _(differences, cluster, drawn, alpha):
    groups = max(drawn.shape[1], int(cluster.max()) + 1)
    sums = np.bincount(cluster.numpy(), weights=differences.double().numpy(), minlength=groups)
    sizes = np.bincount(cluster.numpy(), minlength=groups)
    d = drawn.numpy()
    means = sums[d].sum(1) / sizes[d].sum(1)
    return torch.tensor(np.quantile(means, alpha)).to(differences.dtype)


@right("cluster_bound", "every resample put together from its images")
def _(differences, cluster, drawn, alpha):
    of = {}
    for value, layout in zip(differences, cluster.tolist(), strict=True):
        of.setdefault(layout, []).append(value)
    means = []
    for row in drawn.tolist():
        images = [value for layout in row for value in of.get(layout, [])]
        means.append(torch.stack(images).mean())
    ordered = torch.stack(means).sort().values
    place = alpha * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _cluster_means(differences, cluster, drawn):
    times = (drawn[:, :, None] == cluster).sum(1).to(differences.dtype)
    return times @ differences / times.sum(1)


@wrong("cluster_bound", "the mean of the layouts' means", breaks="Return the `alpha` quantile")
def _(differences, cluster, drawn, alpha):
    groups = drawn.shape[1]
    means = torch.stack([differences[cluster == g].mean() for g in range(groups)])
    return torch.quantile(means[drawn].mean(1), alpha)


@wrong("cluster_bound", "a layout drawn twice counts once", breaks="A resample consists of all images")
def _(differences, cluster, drawn, alpha):
    means = torch.stack([differences[torch.isin(cluster, row)].mean() for row in drawn])
    return torch.quantile(means, alpha)


@wrong("cluster_bound", "the nearest mean below, not interpolated", breaks="Return the `alpha` quantile")
def _(differences, cluster, drawn, alpha):
    return torch.quantile(_cluster_means(differences, cluster, drawn), alpha, interpolation="lower")


@wrong("cluster_bound", "divides every resample's sum by N", breaks="Return the `alpha` quantile")
def _(differences, cluster, drawn, alpha):
    times = (drawn[:, :, None] == cluster).sum(1).to(differences.dtype)
    return torch.quantile(times @ differences / len(differences), alpha)


@wrong("cluster_bound", "takes the images as sorted by layout", breaks="`differences` holds")
def _(differences, cluster, drawn, alpha):
    sizes = torch.bincount(cluster, minlength=drawn.shape[1])
    ends = sizes.cumsum(0)
    sums = torch.stack(
        [differences[e - s : e].sum() for e, s in zip(ends.tolist(), sizes.tolist(), strict=True)]
    )
    return torch.quantile(sums[drawn].sum(1) / sizes[drawn].sum(1), alpha)
