"""Lesson 10: structural similarity."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="ssim_index",
    lesson="10",
    title="Structural similarity",
    difficulty=4,
    minutes=20,
    spec=r"""
    In every window with weights $w$ take the means $\mu_x, \mu_y$, the variances and the covariance
    ($\sigma_x^2 = \sum w x^2 - \mu_x^2$ and so on). Then, with $C_1 = (0.01 R)^2$, $C_2 = (0.03 R)^2$ and the
    range $R$,

    $$ \frac{(2\mu_x\mu_y + C_1)(2\sigma_{xy} + C_2)}
    {(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}. $$

    Windows that do not fit into the image do not count. Return the mean over all others, one per image.
    `window` is (k, k) and sums to 1.
    """,
    hints=(
        "`F.conv2d(image, window[None, None])` is the weighted mean in every window that fits.",
        "Five such means are needed: of x, y, x x, y y and x y.",
        "Variances are means of squares minus squares of means; no n - 1 anywhere.",
    ),
    source="Wang, Bovik, Sheikh, Simoncelli 2004, eq. 13; gantrans.metrics.ssim.",
    equivalent={
        "`(1, 2, 3)` -> ": "the order of averaged axes does not matter",
        "`2` -> `-2`": "of four axes, 2 and -2 are the same",
        "value.double()": "it is float64 already",
        "value.detach()": "a metric: no gradient is asked for",
        "(F.conv2d(target, weights), F.conv2d(prediction, weights))": "SSIM is symmetric in its two means",
        "`0.01` -> `-0.01`": "the square forgets the sign",
        "`0.03` -> `-0.03`": "the square forgets the sign",
    },
)


@ex.reference
def ssim_index(prediction: Tensor, target: Tensor, window: Tensor, data_range: float) -> Tensor:
    """Two (B, 1, H, W) and a window (k, k) that sums to 1 -> (B,): mean SSIM over the windows that fit."""
    weights = window[None, None]
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_x, mean_y = F.conv2d(prediction, weights), F.conv2d(target, weights)
    var_x = F.conv2d(prediction**2, weights) - mean_x**2
    var_y = F.conv2d(target**2, weights) - mean_y**2
    both = F.conv2d(prediction * target, weights) - mean_x * mean_y
    above = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return (above / below).mean(dim=(1, 2, 3))


def _window(case: Case, taps: int) -> Tensor:
    weights = case.rand(taps, taps).double() + 0.1
    return weights / weights.sum()


@ex.edges
def _() -> list[Args]:
    box = torch.full((3, 3), 1 / 9, dtype=torch.float64)
    ramp = torch.arange(20.0, dtype=torch.float64).view(1, 1, 4, 5) / 20
    flat, lean = torch.full_like(ramp, 0.25), torch.arange(1.0, 10.0, dtype=torch.float64).view(3, 3) / 45
    board = (torch.arange(4)[:, None] + torch.arange(5)).remainder(2).double()[None, None]
    return [
        *((ramp, ramp.flip(-1), box, 1.0), (ramp, 0.5 * ramp, box, 1.0), (ramp, 0.5 * ramp, box, 2.0)),
        *(
            (board, 1 - board, box, 1.0),
            (2 * board - 1, 1 - 2 * board, lean, 2.0),
            (ramp, 1 - ramp, lean, 1.0),
        ),
        *(
            (ramp, ramp, lean, 1.0),
            (flat, 3 * flat, box, 1.0),
            (flat, flat, lean, 2.0),
            (flat, board, box, 1.0),
        ),
        *((0 * flat, 0 * flat, box, 1.0), (255 * ramp, 200 * board, lean, 255.0)),
        (torch.cat([ramp, board, 1 - board]), torch.cat([1 - ramp, ramp, board]), lean, 1.0),
        (ramp.mT, board.mT, lean, 1.0),
    ]


@ex.inputs
def _(case: Case) -> Args:
    taps = case.choice((1, 3, 5)) if case.seed % 3 == 0 else 3
    shape = (case.batch, 1, taps + case.integer(1, 5), taps + case.integer(1, 6))
    low, span = case.choice(((0.0, 1.0), (-1.0, 2.0)))
    x, y = low + span * case.rand(*shape), low + span * case.rand(*shape)
    x, y = x.double(), (0.6 * x + 0.4 * y).double()  # in float32 differences of squares lose digits
    return x, y, _window(case, taps), span


Parts = tuple[Tensor, ...]


def _parts(x: Tensor, y: Tensor, w: Tensor, pad: int = 0) -> Parts:
    def mean(image: Tensor) -> Tensor:
        image = F.pad(image, (pad,) * 4, mode="replicate") if pad else image
        return F.conv2d(image, w[None, None])

    mx, my = mean(x), mean(y)
    return mx, my, mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my


def _map(parts: Parts, r: float, k1: float = 0.01, k2: float = 0.03) -> Tensor:
    mx, my, vx, vy, cov = parts
    c1, c2 = (k1 * r) ** 2, (k2 * r) ** 2
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


ALL = (1, 2, 3)
ex.wrong(
    "range_255",
    "You take the range to be 255 for values in [0, 1]: the constants swamp everything, and all is .999.",
    lambda x, y, w, r: _map(_parts(x, y, w), 255.0).mean(ALL),
)
ex.wrong(
    "range_one",
    "You take the range to be 1 and do not use the one you were given.",
    lambda x, y, w, r: _map(_parts(x, y, w), 1.0).mean(ALL),
)
ex.wrong(
    "no_constants",
    "You leave the constants out: in flat windows the ratio is 0/0.",
    lambda x, y, w, r: _map(_parts(x, y, w), 0.0).mean(ALL),
)
ex.wrong(
    "border_kept",
    "You pad the images: windows that reach over the border then count, filled with made-up pixels.",
    lambda x, y, w, r: _map(_parts(x, y, w, len(w) // 2), r).mean(ALL),
)
ex.wrong(
    "pooled",
    "You average over the batch; one SSIM per image is asked.",
    lambda x, y, w, r: _map(_parts(x, y, w), r).mean(),
)
ex.wrong(
    "constants_swapped",
    "You exchange the constants: 0.01 belongs to the means, 0.03 to the variances.",
    lambda x, y, w, r: _map(_parts(x, y, w), r, 0.03, 0.01).mean(ALL),
)


@ex.wrong("constants_not_squared", "Your constants are 0.01 R and 0.03 R; they must be squared.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    return _map(_parts(x, y, w), 1.0, (0.01 * r) ** 0.5, (0.03 * r) ** 0.5).mean(ALL)


@ex.wrong("raw_moments", "You forget to subtract the squared means: mean squares are not variances.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, vx, vy, cov = _parts(x, y, w)
    return _map((mx, my, vx + mx**2, vy + my**2, cov + mx * my), r).mean(ALL)


@ex.wrong(
    "sample_covariance", "You divide by n - 1: in a weighted window there is no n; take the plain moments."
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    n = w.numel()
    mx, my, *spread = _parts(x, y, w)
    return _map((mx, my, *(s * n / max(n - 1, 1) for s in spread)), r).mean(ALL)


@ex.wrong(
    "global", "You take one window over the whole image: SSIM is local, and so are the faults it should see."
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    def mean(image: Tensor) -> Tensor:
        return image.mean(ALL, keepdim=True)

    mx, my = mean(x), mean(y)
    return _map((mx, my, mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my), r).mean(ALL)


@ex.wrong("box", "You use a box of equal weights and ignore the window you were given.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    return _map(_parts(x, y, torch.full_like(w, 1 / w.numel())), r).mean(ALL)


@ex.wrong(
    "covariance_absolute", "You drop the covariance's sign: an image and its negative would look alike."
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, vx, vy, cov = _parts(x, y, w)
    return _map((mx, my, vx, vy, cov.abs()), r).mean(ALL)


@ex.wrong(
    "negative_cut",
    "You cut negative values off at 0; an image and its negative have a SSIM near -1.",
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    return _map(_parts(x, y, w), r).clamp(min=0).mean(ALL)


@ex.wrong("no_means", "You leave the first factor out: a change of brightness alone would cost nothing.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    _, _, vx, vy, cov = _parts(x, y, w)
    c2 = (0.03 * r) ** 2
    return ((2 * cov + c2) / (vx + vy + c2)).mean(ALL)


@ex.wrong("no_covariance", "You leave the second factor out: the structure in the windows is not compared.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, *_ = _parts(x, y, w)
    c1 = (0.01 * r) ** 2
    return ((2 * mx * my + c1) / (mx**2 + my**2 + c1)).mean(ALL)


@ex.wrong(
    "zero_padded",
    "You pad the images with zeros: windows that reach over the border then count, filled with black.",
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    pad = (len(w) // 2,) * 4
    return _map(_parts(F.pad(x, pad), F.pad(y, pad), w), r).mean(ALL)


@ex.wrong("deviations", "You take standard deviations where the formula has variances.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, vx, vy, cov = _parts(x, y, w)
    return _map((mx, my, vx.clamp(min=0).sqrt(), vy.clamp(min=0).sqrt(), cov), r).mean(ALL)


@ex.wrong(
    "ratio_of_means", "You average above and below the line apart; take the ratio in every window first."
)
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, vx, vy, cov = _parts(x, y, w)
    c1, c2 = (0.01 * r) ** 2, (0.03 * r) ** 2
    above = (2 * mx * my + c1) * (2 * cov + c2)
    return above.mean(ALL) / ((mx**2 + my**2 + c1) * (vx + vy + c2)).mean(ALL)


@ex.wrong("no_two", "You forget the factors 2 above the line: an image would not be equal to itself.")
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    mx, my, vx, vy, cov = _parts(x, y, w)
    c1, c2 = (0.01 * r) ** 2, (0.03 * r) ** 2
    return ((mx * my + c1) * (cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean(ALL)


ex.wrong(
    "range_not_squared",
    "You square 0.01 and 0.03 but not the range.",
    lambda x, y, w, r: _map(_parts(x, y, w), r**0.5).mean(ALL),
)
ex.wrong(
    "window_squared",
    "You weigh with the squares of the weights.",
    lambda x, y, w, r: _map(_parts(x, y, w * w / (w * w).sum()), r).mean(ALL),
)
ex.wrong(
    "map_returned",
    "You return a value per window; the mean over them was asked for.",
    lambda x, y, w, r: _map(_parts(x, y, w), r),
)
ex.wrong(
    "window_mirrored",
    "You mirror the window: its first weight belongs to the upper left pixel.",
    lambda x, y, w, r: _map(_parts(x, y, w.flip(0, 1)), r).mean(ALL),
)


ex.right(lambda x, y, w, r: _map(_parts(x, y, w), r).flatten(1).mean(1))


@ex.right
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    k = len(w)
    a, b = (i.unfold(2, k, 1).unfold(3, k, 1) for i in (x, y))
    mx, my = (a * w).sum((-1, -2)), (b * w).sum((-1, -2))
    da, db = a - mx[..., None, None], b - my[..., None, None]
    spread = [(w * p * q).sum((-1, -2)) for p, q in ((da, da), (db, db), (da, db))]
    return _map((mx, my, *spread), r).mean((-1, -2, -3))


@ex.right
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    stacked = torch.cat([x, y, x * x, y * y, x * y], 1)
    mx, my, xx, yy, xy = F.conv2d(stacked, w.expand(5, 1, *w.shape), groups=5).unbind(1)
    c1, c2 = 1e-4 * r * r, 9e-4 * r * r
    light = (2 * mx * my + c1) / (mx * mx + my * my + c1)
    rest = (2 * (xy - mx * my) + c2) / (xx - mx * mx + yy - my * my + c2)
    return (light * rest).mean((1, 2))


@ex.right
def _(x: Tensor, y: Tensor, w: Tensor, r: float) -> Tensor:
    k, values = len(w), []
    for i in range(x.shape[2] - k + 1):
        for j in range(x.shape[3] - k + 1):
            a, b = x[:, 0, i : i + k, j : j + k], y[:, 0, i : i + k, j : j + k]
            means = [(w * v).sum((1, 2)) for v in (a, b, a * a, b * b, a * b)]
            mx, my = means[:2]
            values.append(_map((mx, my, means[2] - mx**2, means[3] - my**2, means[4] - mx * my), r))
    return torch.stack(values).mean(0)


ex.breach("In every window with weights $w$ take the means", "box")
ex.breach("the variances and the covariance", "raw_moments")
ex.breach("Then, with $C_1", "constants_swapped")
ex.breach("and the range $R$", "range_one")
ex.breach(r"\frac{(2\mu_x\mu_y + C_1)(2\sigma_{xy} + C_2)}", "covariance_absolute")
ex.breach("Windows that do not fit into the image do not count.", "zero_padded")
ex.breach("Return the mean over all others, one per image.", "pooled")
ex.background("`window` is (k, k) and sums to 1.")
