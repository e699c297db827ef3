"""Answers to the exercises of lesson 11 by people who saw only the texts."""

from itertools import accumulate

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from scipy.special import rel_entr
from strangers import right, wrong

# ---------------------------------------------------------------- z_scores


@right("z_scores", "sums of squares written out, feature by feature")
def _(reference, images):
    n = reference.shape[0]
    columns = []
    for f in range(reference.shape[1]):
        values = reference[:, f]
        mean = values.sum() / n
        variance = ((values - mean) ** 2).sum() / (n - 1)
        columns.append((images[:, f] - mean) / variance.sqrt())
    return torch.stack(columns, dim=1)


@wrong("z_scores", "divides by n", breaks="A reference profile keeps")
def _(reference, images):
    return (images - reference.mean(0)) / reference.std(0, correction=0)


@wrong("z_scores", "standardises the new images by themselves", breaks="A new image is described")
def _(reference, images):
    return (images - images.mean(0)) / images.std(0)


@wrong("z_scores", "divides by the standard error", breaks="A new image is described")
def _(reference, images):
    return (images - reference.mean(0)) / (reference.std(0) / len(reference) ** 0.5)


@wrong("z_scores", "no deviation below 0.01", breaks="A new image is described")
def _(reference, images):
    return (images - reference.mean(0)) / reference.std(0).clamp(min=0.01)


@wrong("z_scores", "cut off at three deviations", breaks="A new image is described")
def _(reference, images):
    return ((images - reference.mean(0)) / reference.std(0)).clamp(-3, 3)


# ---------------------------------------------------------------- anisotropy


@right("anisotropy", "numpy.gradient, border cut off")
def _(images):
    out = []
    for image in images.numpy():
        gy, gx = np.gradient(image.astype(np.float64))
        xx, yy = np.mean(gx[1:-1, 1:-1] ** 2), np.mean(gy[1:-1, 1:-1] ** 2)
        out.append((xx - yy) / (xx + yy))
    return torch.tensor(out, dtype=images.dtype)


@right("anisotropy", "a convolution with two crosses")
def _(images):
    kernels = torch.zeros(2, 1, 3, 3, dtype=images.dtype)
    kernels[0, 0, 1, 0], kernels[0, 0, 1, 2] = -0.5, 0.5
    kernels[1, 0, 0, 1], kernels[1, 0, 2, 1] = -0.5, 0.5
    j = F.conv2d(images[:, None], kernels).square().mean((2, 3))
    return (j[:, 0] - j[:, 1]) / j.sum(1)


@wrong("anisotropy", "forward differences", breaks="From each image's central differences")
def _(images):
    gx = images[:, 1:-1, 2:] - images[:, 1:-1, 1:-1]
    gy = images[:, 2:, 1:-1] - images[:, 1:-1, 1:-1]
    xx, yy = gx.square().mean((1, 2)), gy.square().mean((1, 2))
    return (xx - yy) / (xx + yy)


@wrong(
    "anisotropy",
    "each difference over all pixels where it exists, also on the border",
    breaks="From each image's central differences",
)
def _(images):
    gx = (images[:, :, 2:] - images[:, :, :-2]) / 2
    gy = (images[:, 2:, :] - images[:, :-2, :]) / 2
    xx, yy = gx.square().mean((1, 2)), gy.square().mean((1, 2))
    return (xx - yy) / (xx + yy)


@wrong("anisotropy", "absolute differences", breaks="From each image's central differences")
def _(images):
    gx = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]).abs().mean((1, 2))
    gy = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]).abs().mean((1, 2))
    return (gx - gy) / (gx + gy)


@wrong("anisotropy", "the mean of the ratio at every pixel", breaks="From each image's central differences")
def _(images):
    gx = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]).square()
    gy = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]).square()
    return ((gx - gy) / (gx + gy).clamp(min=1e-12)).mean((1, 2))


@wrong(
    "anisotropy",
    "a small number in the divisor, felt by faint images",
    breaks="From each image's central differences",
)
def _(images):
    gx = (images[:, 1:-1, 2:] - images[:, 1:-1, :-2]) / 2
    gy = (images[:, 2:, 1:-1] - images[:, :-2, 1:-1]) / 2
    xx, yy = gx.square().mean((1, 2)), gy.square().mean((1, 2))
    return (xx - yy) / (xx + yy + 1e-3)


# ---------------------------------------------------------------- histogram_kl


@right("histogram_kl", "scipy's relative entropy")
def _(image, reference, smoothing):
    p = image.double().numpy() + smoothing
    q = reference.double().numpy() + smoothing
    return torch.tensor(rel_entr(p / p.sum(), q / q.sum()).sum(), dtype=image.dtype)


@right("histogram_kl", "F.kl_div, whose arguments come in the other order")
def _(image, reference, smoothing):
    p = (image + smoothing) / (image + smoothing).sum()
    q = (reference + smoothing) / (reference + smoothing).sum()
    return F.kl_div(q.log(), p, reduction="sum")


@wrong("histogram_kl", "the other direction", breaks='"KL divergence of the histogram"')
def _(image, reference, smoothing):
    p, q = image + smoothing, reference + smoothing
    p, q = p / p.sum(), q / q.sum()
    return (q * (q / p).log()).sum()


@wrong("histogram_kl", "not scaled back", breaks="Here it is")
def _(image, reference, smoothing):
    p, q = image + smoothing, reference + smoothing
    return (p * (p / q).log()).sum()


@wrong("histogram_kl", "smooths the reference only", breaks="Here it is")
def _(image, reference, smoothing):
    q = reference + smoothing
    q = q / q.sum()
    return torch.special.xlogy(image, image / q).sum()


@wrong("histogram_kl", "lifts only shares below the smoothing", breaks="Here it is")
def _(image, reference, smoothing):
    p, q = image.clamp(min=smoothing), reference.clamp(min=smoothing)
    p, q = p / p.sum(), q / q.sum()
    return (p * (p / q).log()).sum()


@wrong("histogram_kl", "shares the smoothing out among the bins", breaks="Here it is")
def _(image, reference, smoothing):
    p, q = image + smoothing / len(image), reference + smoothing / len(image)
    p, q = p / p.sum(), q / q.sum()
    return (p * (p / q).log()).sum()


# ---------------------------------------------------------------- chunk_threshold


@right("chunk_threshold", "really leaves each chunk out")
def _(values, window, fewest):
    chunks = [c for c in values.split(window) if len(c) == window]
    if len(chunks) < fewest:
        return None
    gaps = [
        torch.abs(chunks[i].mean() - torch.cat(chunks[:i] + chunks[i + 1 :]).mean())
        for i in range(len(chunks))
    ]
    return torch.stack(gaps).amax()


@right("chunk_threshold", "distance to the mean of all, times K / (K - 1)")
def _(values, window, fewest):
    k = values.shape[0] // window
    if k < fewest:
        return None
    means = (
        values[: k * window].view(k, window).mean(1)
        if values.is_contiguous()
        else values.unfold(0, window, window).mean(1)
    )
    return (means - means.mean()).abs().max() * k / (k - 1)


@wrong(
    "chunk_threshold",
    "compares with the mean of all chunks, its own among them",
    breaks="For each chunk take the distance",
)
def _(values, window, fewest):
    k = len(values) // window
    if k < fewest:
        return None
    means = values[: k * window].reshape(k, window).mean(1)
    return (means - means.mean()).abs().max()


@wrong(
    "chunk_threshold",
    "what is left over still counts among the others",
    breaks="Cut its values, *in the order of time*",
)
def _(values, window, fewest):
    k = len(values) // window
    if k < fewest:
        return None
    chunks = values[: k * window].reshape(k, window)
    rest = (values.sum() - chunks.sum(1)) / (len(values) - window)
    return (chunks.mean(1) - rest).abs().max()


@wrong(
    "chunk_threshold",
    "drops what is left over at the beginning",
    breaks="Cut its values, *in the order of time*",
)
def _(values, window, fewest):
    k = len(values) // window
    if k < fewest:
        return None
    sums = values[len(values) - k * window :].reshape(k, window).sum(1)
    return (sums / window - (sums.sum() - sums) / ((k - 1) * window)).abs().max()


@wrong("chunk_threshold", "the largest distance upwards only", breaks="The largest distance is the")
def _(values, window, fewest):
    k = len(values) // window
    if k < fewest:
        return None
    sums = values[: k * window].reshape(k, window).sum(1)
    return (sums / window - (sums.sum() - sums) / ((k - 1) * window)).max()


@wrong("chunk_threshold", "refuses exactly `fewest` chunks", breaks="With fewer than `fewest` chunks")
def _(values, window, fewest):
    k = len(values) // window
    if k <= fewest:
        return None
    sums = values[: k * window].reshape(k, window).sum(1)
    return (sums / window - (sums.sum() - sums) / ((k - 1) * window)).abs().max()


@wrong(
    "chunk_threshold",
    "an incomplete chunk at the end is a chunk",
    breaks="Cut its values, *in the order of time*",
)
def _(values, window, fewest):
    chunks = list(values.split(window))
    if len(chunks) < fewest:
        return None
    gaps = [(c.mean() - torch.cat(chunks[:i] + chunks[i + 1 :]).mean()).abs() for i, c in enumerate(chunks)]
    return torch.stack(gaps).max()


# ---------------------------------------------------------------- cusum


@right("cusum", "itertools.accumulate, twice")
def _(z, slack):
    def pile(steps):
        return list(accumulate(steps, lambda total, step: max(0.0, total + step), initial=0.0))[1:]

    up, down = pile([v - slack for v in z.tolist()]), pile([-v - slack for v in z.tolist()])
    return torch.tensor([up, down], dtype=z.dtype).T


@right("cusum", "running sum minus its running minimum, 0 included")
def _(z, slack):
    steps = torch.stack([z - slack, -z - slack], dim=1).double()
    total = torch.cat([steps.new_zeros(1, 2), steps.cumsum(0)])
    return (total - total.cummin(0).values)[1:].to(z.dtype)


@wrong("cusum", "minimum without the 0 before the first value", breaks="Page's CUSUM keeps")
def _(z, slack):
    total = torch.stack([z - slack, -z - slack], dim=1).cumsum(0)
    return total - total.cummin(0).values


@wrong("cusum", "cut off at 0 only after all adding up", breaks="Page's CUSUM keeps")
def _(z, slack):
    return torch.stack([z - slack, -z - slack], dim=1).cumsum(0).clamp(min=0)


@wrong("cusum", "takes the slack off before the cut and adds the value after it", breaks="Page's CUSUM keeps")
def _(z, slack):
    rows, up, down = [], 0.0, 0.0
    for v in z.tolist():
        up = max(0.0, up - slack) + v
        down = max(0.0, down - slack) - v
        rows.append([max(0.0, up), max(0.0, down)])
    return torch.tensor(rows, dtype=z.dtype)


@wrong("cusum", "the other sum restarts as soon as one grows", breaks="Page's CUSUM keeps")
def _(z, slack):
    rows, up, down = [], 0.0, 0.0
    for v in z.tolist():
        up, down = max(0.0, up + v - slack), max(0.0, down - v - slack)
        if v > slack:
            down = 0.0
        elif v < -slack:
            up = 0.0
        rows.append([up, down])
    return torch.tensor(rows, dtype=z.dtype)


@wrong("cusum", "an alarm at 5 resets the sums", breaks="Return both sums after every value.")
def _(z, slack):
    rows, up, down = [], 0.0, 0.0
    for v in z.tolist():
        up, down = max(0.0, up + v - slack), max(0.0, down - v - slack)
        rows.append([up, down])
        if max(up, down) > 5:
            up = down = 0.0
    return torch.tensor(rows, dtype=z.dtype)


# ---------------------------------------------------------------- ks_distance


@right("ks_distance", "scipy")
def _(a, b):
    return torch.tensor(
        float(stats.ks_2samp(a.numpy(), b.numpy(), method="asymp").statistic), dtype=torch.float64
    )


@right("ks_distance", "two fingers over the sorted samples, equal values at once")
def _(a, b):
    x, y = sorted(a.tolist()), sorted(b.tolist())
    i = j = 0
    worst = 0.0
    while i < len(x) and j < len(y):
        value = min(x[i], y[j])
        while i < len(x) and x[i] == value:
            i += 1
        while j < len(y) and y[j] == value:
            j += 1
        worst = max(worst, abs(i / len(x) - j / len(y)))
    return torch.tensor(worst, dtype=torch.float64)


@wrong(
    "ks_distance",
    "one side counts values below, the other values not above",
    breaks="The empirical distribution function",
)
def _(a, b):
    places = torch.cat([a, b]).double()
    x, y = a.double().sort().values, b.double().sort().values
    f_a = torch.searchsorted(x, places, right=True).double() / len(x)
    f_b = torch.searchsorted(y, places, right=False).double() / len(y)
    return (f_a - f_b).abs().max()


@wrong("ks_distance", "looks at the values of the first sample only", breaks="Both staircases change")
def _(a, b):
    places = a.double()
    f_a = (a.double()[:, None] <= places).double().mean(0)
    f_b = (b.double()[:, None] <= places).double().mean(0)
    return (f_a - f_b).abs().max()


@wrong(
    "ks_distance",
    "steps through the merged samples one value at a time, equal ones, too",
    breaks="The samples may differ in length",
)
def _(a, b):
    steps = torch.cat([torch.full((len(a),), 1 / len(a)), torch.full((len(b),), -1 / len(b))]).double()
    order = torch.cat([a, b]).double().argsort(stable=True)
    return steps[order].cumsum(0).abs().max()


@wrong("ks_distance", "float32", breaks="Samples (n,) and (m,)")
def _(a, b):
    places = torch.cat([a, b])
    f_a = (a[:, None] <= places).float().mean(0)
    f_b = (b[:, None] <= places).float().mean(0)
    return (f_a - f_b).abs().max()


@wrong("ks_distance", "staircases compared on a grid of 100 places", breaks="Both staircases change")
def _(a, b):
    both = torch.cat([a, b]).double()
    places = torch.linspace(both.min().item(), both.max().item(), 100, dtype=torch.float64)
    f_a = (a.double()[:, None] <= places).double().mean(0)
    f_b = (b.double()[:, None] <= places).double().mean(0)
    return (f_a - f_b).abs().max()
