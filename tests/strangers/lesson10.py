"""Answers to the exercises of lesson 10 by people who saw only the texts."""

import math
from collections import defaultdict
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import correlate2d, windows
from strangers import right, wrong

# ---------------------------------------------------------------- l1_error


@right("l1_error", "larger minus smaller stays within uint8")
def _(prediction, target):
    gap = torch.maximum(prediction, target) - torch.minimum(prediction, target)
    pixels = gap[0].numel()
    return gap.flatten(1).sum(1).to(torch.float32) / (255 * pixels)


@wrong("l1_error", "subtracts as uint8, which wraps around", breaks="Two batches of images")
def _(prediction, target):
    return (prediction - target).float().mean(dim=(1, 2, 3)) / 255


@wrong("l1_error", "divides by 256", breaks="How far are they apart on average")
def _(prediction, target):
    return (prediction.float() - target.float()).abs().mean(dim=(1, 2, 3)) / 256


@wrong("l1_error", "float64", breaks="One float32 number per image.")
def _(prediction, target):
    return (prediction.double() - target.double()).abs().mean(dim=(1, 2, 3)) / 255


@wrong("l1_error", "the scale of [-1, 1]", breaks="How far are they apart on average")
def _(prediction, target):
    a, b = prediction.float() / 127.5 - 1, target.float() / 127.5 - 1
    return (a - b).abs().mean(dim=(1, 2, 3))


@wrong(
    "l1_error",
    "the mean with a sign, made positive only at the end",
    breaks="How far are they apart on average",
)
def _(prediction, target):
    return (prediction.float() - target.float()).mean(dim=(1, 2, 3)).abs() / 255


# ---------------------------------------------------------------- psnr


@right("psnr", "a difference of logarithms")
def _(prediction, target, data_range):
    mse = (prediction - target).square().flatten(1).mean(1)
    return 20 * math.log10(data_range) - 10 * torch.log10(mse)


@right("psnr", "numpy, image by image")
def _(prediction, target, data_range):
    out = []
    for p, t in zip(prediction.numpy(), target.numpy(), strict=True):
        error = np.mean((p.astype(np.float64) - t) ** 2)
        out.append(np.inf if error == 0 else 10 * np.log10(data_range**2 / error))
    return torch.tensor(out, dtype=prediction.dtype)


@wrong("psnr", "20 log10 of the squared ratio", breaks="$\\text{PSNR}")
def _(prediction, target, data_range):
    mse = (prediction - target).square().mean(dim=(1, 2, 3))
    return 20 * torch.log10(data_range**2 / mse)


@wrong("psnr", "one MSE for the whole batch", breaks="$\\text{PSNR}")
def _(prediction, target, data_range):
    mse = F.mse_loss(prediction, target)
    return (10 * torch.log10(data_range**2 / mse)).expand(len(prediction))


@wrong("psnr", "a small number against division by zero", breaks="Two equal images have no error")
def _(prediction, target, data_range):
    mse = (prediction - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range**2 / (mse + 1e-10))


@wrong("psnr", "the range is not squared", breaks="$\\text{PSNR}")
def _(prediction, target, data_range):
    mse = (prediction - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(data_range / mse)


@wrong("psnr", "takes the range from the target instead of the argument", breaks="`data_range` is")
def _(prediction, target, data_range):
    peak = target.amax(dim=(1, 2, 3)) - target.amin(dim=(1, 2, 3))
    mse = (prediction - target).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(peak**2 / mse)


# ---------------------------------------------------------------- gaussian_window


@right("gaussian_window", "the outer product of scipy's window with itself")
def _(taps, sigma):
    line = torch.from_numpy(windows.gaussian(taps, sigma))
    window = torch.outer(line, line)
    return window / window.sum()


@right("gaussian_window", "a softmax of the exponents")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps // 2
    squared = i[:, None] ** 2 + i[None, :] ** 2
    return torch.softmax((-squared / (2 * sigma**2)).flatten(), 0).reshape(taps, taps)


@wrong("gaussian_window", "computed in float32, float64 only at the end", breaks="Build it as float64")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float32) - taps // 2
    w = torch.exp(-(i[:, None] ** 2 + i**2) / (2 * sigma**2))
    return (w / w.sum()).double()


@wrong("gaussian_window", "no 2 before sigma squared", breaks="SSIM compares neighbourhoods")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps // 2
    w = torch.exp(-(i[:, None] ** 2 + i**2) / sigma**2)
    return w / w.sum()


@wrong(
    "gaussian_window",
    "the factor of the density instead of dividing by the sum",
    breaks="Its weights sum to 1.",
)
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps // 2
    return torch.exp(-(i[:, None] ** 2 + i**2) / (2 * sigma**2)) / (2 * math.pi * sigma**2)


@wrong("gaussian_window", "the middle at taps / 2, half a pixel off", breaks="SSIM compares neighbourhoods")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps / 2
    w = torch.exp(-(i[:, None] ** 2 + i**2) / (2 * sigma**2))
    return w / w.sum()


@wrong("gaussian_window", "every row sums to 1 / taps", breaks="SSIM compares neighbourhoods")
def _(taps, sigma):
    i = torch.arange(taps, dtype=torch.float64) - taps // 2
    w = torch.exp(-(i[:, None] ** 2 + i**2) / (2 * sigma**2))
    return w / w.sum(dim=1, keepdim=True) / taps


# ---------------------------------------------------------------- iou_sweep


@right("iou_sweep", "the union from the three areas")
def _(prediction, target, thresholds):
    mask = target.flatten(1)
    columns = []
    for threshold in thresholds:
        drawn = prediction.flatten(1).gt(threshold)
        shared = drawn.logical_and(mask).sum(1).double()
        union = drawn.sum(1) + mask.sum(1) - shared
        columns.append(torch.where(union == 0, 1.0, shared / union.clamp(min=1)).float())
    return torch.stack(columns, dim=1) if columns else torch.zeros(len(prediction), 0)


@wrong("iou_sweep", "also draws what is at the threshold", breaks="Cut the *prediction*")
def _(prediction, target, thresholds):
    columns = []
    for threshold in thresholds:
        drawn = prediction >= threshold
        union = (drawn | target).sum((1, 2, 3)).float()
        columns.append(torch.where(union == 0, 1.0, (drawn & target).sum((1, 2, 3)) / union))
    return torch.stack(columns, 1)


@wrong("iou_sweep", "two empty masks give 0", breaks="Two empty masks agree perfectly")
def _(prediction, target, thresholds):
    columns = []
    for threshold in thresholds:
        drawn = prediction > threshold
        union = (drawn | target).sum((1, 2, 3)).float()
        columns.append((drawn & target).sum((1, 2, 3)) / union.clamp(min=1))
    return torch.stack(columns, 1)


@wrong("iou_sweep", "1 where either mask is empty", breaks="Two empty masks agree perfectly")
def _(prediction, target, thresholds):
    columns = []
    for threshold in thresholds:
        drawn = prediction > threshold
        empty = (drawn.sum((1, 2, 3)) == 0) | (target.sum((1, 2, 3)) == 0)
        iou = (drawn & target).sum((1, 2, 3)) / (drawn | target).sum((1, 2, 3)).clamp(min=1)
        columns.append(torch.where(empty, 1.0, iou))
    return torch.stack(columns, 1)


@wrong("iou_sweep", "the thresholds in ascending order", breaks="Cut the *prediction*")
def _(prediction, target, thresholds):
    columns = []
    for threshold in sorted(thresholds):
        drawn = prediction > threshold
        union = (drawn | target).sum((1, 2, 3)).float()
        columns.append(torch.where(union == 0, 1.0, (drawn & target).sum((1, 2, 3)) / union))
    return torch.stack(columns, 1)


@wrong("iou_sweep", "thresholds in rows, images in columns", breaks="Grey (B, 1, H, W), bool")
def _(prediction, target, thresholds):
    rows = []
    for threshold in thresholds:
        drawn = prediction > threshold
        union = (drawn | target).sum((1, 2, 3)).float()
        rows.append(torch.where(union == 0, 1.0, (drawn & target).sum((1, 2, 3)) / union))
    return torch.stack(rows, 0)


# ---------------------------------------------------------------- cd_on_cut


@right("cd_on_cut", "runs with groupby")
def _(values, pixel_nm):
    v = values.tolist()
    widths, at = [], 0
    for inside, run in groupby(v, key=lambda x: x > 0.5):
        n = len(list(run))
        first, last = at, at + n - 1
        at += n
        if not inside or first == 0 or last == len(v) - 1:
            continue
        left = first - (v[first] - 0.5) / (v[first] - v[first - 1])
        right_edge = last + (v[last] - 0.5) / (v[last] - v[last + 1])
        widths.append((right_edge - left) * pixel_nm)
    return widths


@right("cd_on_cut", "numpy: where the mask changes, edges in pairs")
def _(values, pixel_nm):
    v = values.numpy().astype(np.float64)
    step = np.diff((v > 0.5).astype(int))
    i = np.flatnonzero(step)
    if len(i) == 0:
        return []
    edge = i + (0.5 - v[i]) / (v[i + 1] - v[i])
    rising = step[i] > 0
    return [float((edge[k + 1] - edge[k]) * pixel_nm) for k in range(len(i) - 1) if rising[k]]


def _cut_runs(v, above=lambda x: x > 0.5):
    runs, start = [], None
    for i, x in enumerate([*v, -1.0]):
        if above(x) and start is None:
            start = i
        elif not above(x) and start is not None:
            runs.append((start, i - 1))
            start = None
    return runs


def _cut_width(v, first, last):
    left = first - (v[first] - 0.5) / (v[first] - v[first - 1])
    return last + (v[last] - 0.5) / (v[last] - v[last + 1]) - left


@wrong("cd_on_cut", "a value of exactly 0.5 counts as inside", breaks="A feature is a run of pixels")
def _(values, pixel_nm):
    v = values.tolist()
    return [
        _cut_width(v, a, b) * pixel_nm
        for a, b in _cut_runs(v, lambda x: x >= 0.5)
        if a > 0 and b < len(v) - 1
    ]


@wrong(
    "cd_on_cut", "looks for sign changes, which an exact 0.5 does not have", breaks="Each of its edges lies"
)
def _(values, pixel_nm):
    v = values.tolist()
    edges = []
    for i in range(len(v) - 1):
        if (v[i] - 0.5) * (v[i + 1] - 0.5) < 0:
            edges.append((i + (0.5 - v[i]) / (v[i + 1] - v[i]), v[i + 1] > v[i]))
    return [(edges[k + 1][0] - edges[k][0]) * pixel_nm for k in range(len(edges) - 1) if edges[k][1]]


@wrong("cd_on_cut", "a feature at the end of the row ends there", breaks="A feature that touches an end")
def _(values, pixel_nm):
    v = values.tolist()
    out = []
    for a, b in _cut_runs(v):
        left = float(a) if a == 0 else a - (v[a] - 0.5) / (v[a] - v[a - 1])
        right_edge = float(b) if b == len(v) - 1 else b + (v[b] - 0.5) / (v[b] - v[b + 1])
        out.append((right_edge - left) * pixel_nm)
    return out


@wrong(
    "cd_on_cut",
    "also leaves out features that begin next to the first pixel",
    breaks="A feature that touches an end",
)
def _(values, pixel_nm):
    v = values.tolist()
    return [_cut_width(v, a, b) * pixel_nm for a, b in _cut_runs(v) if a > 1 and b < len(v) - 2]


@wrong("cd_on_cut", "swaps the two shares of the straight line", breaks="Each of its edges lies")
def _(values, pixel_nm):
    v = values.tolist()
    out = []
    for a, b in _cut_runs(v):
        if a > 0 and b < len(v) - 1:
            left = a - (0.5 - v[a - 1]) / (v[a] - v[a - 1])
            right_edge = b + (0.5 - v[b + 1]) / (v[b] - v[b + 1])
            out.append((right_edge - left) * pixel_nm)
    return out


@wrong("cd_on_cut", "sorts the widths", breaks="Return the widths of all features")
def _(values, pixel_nm):
    v = values.tolist()
    return sorted(_cut_width(v, a, b) * pixel_nm for a, b in _cut_runs(v) if a > 0 and b < len(v) - 1)


# ---------------------------------------------------------------- count_defects


@right("count_defects", "distinct pairs minus features that have a partner")
def _(prediction, target):
    pairs = {
        (t, p)
        for t, p in zip(target.flatten().tolist(), prediction.flatten().tolist(), strict=True)
        if t and p
    }
    all_t = set(target.flatten().tolist()) - {0}
    all_p = set(prediction.flatten().tolist()) - {0}
    met_t, met_p = {t for t, _ in pairs}, {p for _, p in pairs}
    return len(pairs) - len(met_t), len(pairs) - len(met_p), len(all_t - met_t), len(all_p - met_p)


def _partners(prediction, target):
    of_t, of_p = defaultdict(set), defaultdict(set)
    for t, p in zip(target.flatten().tolist(), prediction.flatten().tolist(), strict=True):
        if t:
            of_t[t] |= {p} - {0}
        if p:
            of_p[p] |= {t} - {0}
    return of_t, of_p


@wrong(
    "count_defects",
    "a broken feature counts once, in however many pieces",
    breaks="*opens*: a target feature",
)
def _(prediction, target):
    of_t, of_p = _partners(prediction, target)
    return (
        sum(len(x) > 1 for x in of_t.values()),
        sum(len(x) > 1 for x in of_p.values()),
        sum(not x for x in of_t.values()),
        sum(not x for x in of_p.values()),
    )


@wrong(
    "count_defects",
    "the same feature has the same number in both maps",
    breaks="Two features belong together",
)
def _(prediction, target):
    of_t, of_p = _partners(prediction, target)
    return (
        sum(max(0, len(x) - 1) for x in of_t.values()),
        sum(max(0, len(x) - 1) for x in of_p.values()),
        len(set(of_t) - set(of_p)),
        len(set(of_p) - set(of_t)),
    )


@wrong(
    "count_defects",
    "pairs minus features, also of those without a partner",
    breaks="*opens*: a target feature",
)
def _(prediction, target):
    of_t, of_p = _partners(prediction, target)
    pairs = sum(len(x) for x in of_t.values())
    return (
        pairs - len(of_t),
        pairs - len(of_p),
        sum(not x for x in of_t.values()),
        sum(not x for x in of_p.values()),
    )


@wrong(
    "count_defects", "packs pairs as 100 t + p, which collides from label 100 on", breaks="Two maps of labels"
)
def _(prediction, target):
    both = (target > 0) & (prediction > 0)
    pairs = [(n // 100, n % 100) for n in torch.unique(100 * target[both] + prediction[both]).tolist()]
    all_t = set(target.flatten().tolist()) - {0}
    all_p = set(prediction.flatten().tolist()) - {0}
    met_t, met_p = {t for t, _ in pairs}, {p for _, p in pairs}
    return len(pairs) - len(met_t), len(pairs) - len(met_p), len(all_t - met_t), len(all_p - met_p)


@wrong(
    "count_defects",
    "belong together only if they share most of a feature's pixels",
    breaks="Two features belong together",
)
def _(prediction, target):
    pairs = set()
    for t in set(target.flatten().tolist()) - {0}:
        for p in set(prediction.flatten().tolist()) - {0}:
            shared = int(((target == t) & (prediction == p)).sum())
            if shared > 0.5 * min(int((target == t).sum()), int((prediction == p).sum())):
                pairs.add((t, p))
    all_t = set(target.flatten().tolist()) - {0}
    all_p = set(prediction.flatten().tolist()) - {0}
    met_t, met_p = {t for t, _ in pairs}, {p for _, p in pairs}
    return len(pairs) - len(met_t), len(pairs) - len(met_p), len(all_t - met_t), len(all_p - met_p)


# ---------------------------------------------------------------- contour_epe


def _to_segments(points, start, end, clamp=True):
    """Distances (N, M) of points to segments, numpy float64."""
    d = end - start
    length = (d * d).sum(1)
    t = ((points[:, None] - start) * d).sum(2) / np.where(length == 0, 1.0, length)
    if clamp:
        t = np.clip(t, 0, 1)
    return np.linalg.norm(points[:, None] - (start + t[..., None] * d), axis=2)


@right("contour_epe", "numpy, all corners against all segments")
def _(a, b, pixel_nm):
    a, b = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
    if len(a) == 0 or len(b) == 0:
        return math.nan
    one = _to_segments(a, b, np.roll(b, -1, axis=0)).min(1).mean()
    two = _to_segments(b, a, np.roll(a, -1, axis=0)).min(1).mean()
    return float((one + two) / 2 * pixel_nm)


@right("contour_epe", "complex numbers and plain loops")
def _(a, b, pixel_nm):
    p, q = ([complex(x, y) for x, y in c.tolist()] for c in (a, b))
    if not p or not q:
        return float("nan")

    def gap(z, s, e):
        if s == e:
            return abs(z - s)
        turned = (z - s) / (e - s)  # the segment becomes [0, 1]
        nearest = min(1.0, max(0.0, turned.real))
        return abs(turned - nearest) * abs(e - s)

    def mean(points, polygon):
        sides = [(polygon[k - 1], polygon[k]) for k in range(len(polygon))]
        return sum(min(gap(z, s, e) for s, e in sides) for z in points) / len(points)

    return 0.5 * (mean(p, q) + mean(q, p)) * pixel_nm


def _epe(a, b, pixel_nm, one_way):
    a, b = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
    if len(a) == 0 or len(b) == 0:
        return math.nan
    return float((one_way(a, b) + one_way(b, a)) / 2 * pixel_nm)


@wrong("contour_epe", "the polygon stays open", breaks="A contour is a closed polygon")
def _(a, b, pixel_nm):
    def one_way(p, q):
        if len(q) == 1:
            return np.linalg.norm(p - q, axis=1).mean()
        return _to_segments(p, q[:-1], q[1:]).min(1).mean()

    return _epe(a, b, pixel_nm, one_way)


@wrong("contour_epe", "distance to the endless lines through the segments", breaks="From each corner of `a`")
def _(a, b, pixel_nm):
    return _epe(
        a, b, pixel_nm, lambda p, q: _to_segments(p, q, np.roll(q, -1, axis=0), clamp=False).min(1).mean()
    )


@wrong(
    "contour_epe",
    "one mean over the distances of both ways",
    breaks="The answer is the mean of the two means",
)
def _(a, b, pixel_nm):
    a, b = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
    if len(a) == 0 or len(b) == 0:
        return math.nan
    one = _to_segments(a, b, np.roll(b, -1, axis=0)).min(1)
    two = _to_segments(b, a, np.roll(a, -1, axis=0)).min(1)
    return float(np.concatenate([one, two]).mean() * pixel_nm)


@wrong(
    "contour_epe",
    "a corner given twice makes a segment of length 0, and NaN",
    breaks="If either contour is empty",
)
def _(a, b, pixel_nm):
    def one_way(p, q):
        d = np.roll(q, -1, axis=0) - q
        with np.errstate(invalid="ignore"):
            t = np.clip(((p[:, None] - q) * d).sum(2) / (d * d).sum(1), 0, 1)
        return np.linalg.norm(p[:, None] - (q + t[..., None] * d), axis=2).min(1).mean()

    return _epe(a, b, pixel_nm, one_way)


@wrong(
    "contour_epe",
    "NaN where only one contour is empty, 0 where both are: they agree",
    breaks="If either contour is empty",
)
def _(a, b, pixel_nm):
    if len(a) == len(b) == 0:
        return 0.0
    return _epe(a, b, pixel_nm, lambda p, q: _to_segments(p, q, np.roll(q, -1, axis=0)).min(1).mean())


# ---------------------------------------------------------------- ssim_index


@right("ssim_index", "scipy's correlate2d in float64, image by image")
def _(prediction, target, window, data_range):
    w = window.numpy().astype(np.float64)
    c1, c2 = 1e-4 * data_range**2, 9e-4 * data_range**2

    def local(image):
        return correlate2d(image, w, mode="valid")

    out = []
    for x, y in zip(
        prediction[:, 0].numpy().astype(np.float64), target[:, 0].numpy().astype(np.float64), strict=True
    ):
        mx, my = local(x), local(y)
        vx, vy, vxy = local(x * x) - mx * mx, local(y * y) - my * my, local(x * y) - mx * my
        out.append((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    return torch.tensor(np.array(out)).to(prediction.dtype)


@right("ssim_index", "deviations from the local mean over numpy's sliding windows")
def _(prediction, target, window, data_range):
    w = window.numpy().astype(np.float64)
    x = sliding_window_view(prediction[:, 0].numpy().astype(np.float64), w.shape, axis=(1, 2))
    y = sliding_window_view(target[:, 0].numpy().astype(np.float64), w.shape, axis=(1, 2))

    def mean(z):
        return np.einsum("byxij,ij->byx", z, w)

    mx, my = mean(x), mean(y)
    dx, dy = x - mx[..., None, None], y - my[..., None, None]
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    light = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    rest = (2 * mean(dx * dy) + c2) / (mean(dx**2) + mean(dy**2) + c2)
    return torch.from_numpy((light * rest).mean((1, 2))).to(prediction.dtype)


def _ssim_map(x, y, window, data_range, padding=0, k1=None, k2=None, unbiased=1.0):
    w = window.to(x.dtype)[None, None]
    mx, my = F.conv2d(x, w, padding=padding), F.conv2d(y, w, padding=padding)
    vx = unbiased * (F.conv2d(x * x, w, padding=padding) - mx * mx)
    vy = unbiased * (F.conv2d(y * y, w, padding=padding) - my * my)
    vxy = unbiased * (F.conv2d(x * y, w, padding=padding) - mx * my)
    c1 = (0.01 * data_range) ** 2 if k1 is None else k1
    c2 = (0.03 * data_range) ** 2 if k2 is None else k2
    return (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


@wrong("ssim_index", "pads with zeros, so that every pixel has a window", breaks="Windows that do not fit")
def _(prediction, target, window, data_range):
    return _ssim_map(prediction, target, window, data_range, padding=window.shape[-1] // 2).mean((1, 2, 3))


@wrong("ssim_index", "the range is outside the squares of C1 and C2", breaks="In every window with weights")
def _(prediction, target, window, data_range):
    return _ssim_map(
        prediction, target, window, data_range, k1=0.01**2 * data_range, k2=0.03**2 * data_range
    ).mean((1, 2, 3))


@wrong("ssim_index", "negative values of the map are cut off", breaks="Return the mean over all others")
def _(prediction, target, window, data_range):
    return _ssim_map(prediction, target, window, data_range).clamp(0, 1).mean((1, 2, 3))


@wrong("ssim_index", "sample variances, n / (n - 1)", breaks="In every window with weights")
def _(prediction, target, window, data_range):
    n = window.numel()
    return _ssim_map(prediction, target, window, data_range, unbiased=n / (n - 1)).mean((1, 2, 3))


@wrong("ssim_index", "a true convolution, which turns the window over", breaks="In every window with weights")
def _(prediction, target, window, data_range):
    return _ssim_map(prediction, target, window.flip(0, 1), data_range).mean((1, 2, 3))
