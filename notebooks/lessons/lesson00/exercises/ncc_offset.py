"""Lesson 00: find a template in a raw field by normalised cross-correlation."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="ncc_offset",
    lesson="00",
    title="Find the template in the field",
    difficulty=3,
    minutes=15,
    importance="may",
    spec=r"""
    The raw field is larger than the template, and nobody knows where the template lies in it. For every
    window $w$ of the template's size compute the normalised cross-correlation with the template $t$,

    $$\frac{\sum (w - \bar w)(t - \bar t)}{\sqrt{\sum (w - \bar w)^2 \sum (t - \bar t)^2}},$$

    and return the row and column of the upper left corner of the best window. A window without contrast
    scores 0.
    """,
    hints=(
        "A field of (H, W) holds H - h + 1 by W - w + 1 windows of size (h, w).",
        "`field.unfold(0, h, 1).unfold(1, w, 1)` is a view of shape (H - h + 1, W - w + 1, h, "
        "w): all windows at once.",
        "Subtract each window's own mean (over the last two axes), multiply by the template, "
        "sum, divide by the root of "
        "the window's sum of squares. Where that root is zero, add something tiny before dividing.",
        "`divmod(int(score.argmax()), score.shape[1])` turns the flat position of the maximum "
        "into row and column.",
    ),
    source="Lewis 1995, “Fast normalized cross-correlation”; by FFT in gantrans.data.alignment.",
    equivalent={
        "value.detach()": "positions have no gradient",
        "value.double()": "more digits, the same maximum",
        "value.float()": "fewer digits, the same maximum",
        ".sum` -> ": "a mean is a sum over a constant count: the maximum stays where it is",
        "`1e-06` -> `": "any tiny number will do",
        "`(2, 3)` -> `(3, 2)`": "the order of summed axes does not matter",
        "`2` -> `-2`": "of four axes, 2 and -2 are the same",
        "`1` -> `-1`": "of two axes, 1 and -1 are the same",
    },
)


@ex.reference
def ncc_offset(field: Tensor, template: Tensor) -> tuple[int, int]:
    """(H, W) field and (h, w) template, h <= H, w <= W -> (row, column) of the best window's corner."""
    height, width = template.shape
    windows = field.unfold(0, height, 1).unfold(1, width, 1)  # (rows, columns, h, w)
    windows = windows - windows.mean(dim=(2, 3), keepdim=True)
    # the template's own mean and norm do not move the maximum
    score = (windows * template).sum(dim=(2, 3)) / windows.square().sum(dim=(2, 3)).sqrt().clamp_min(1e-6)
    row, column = divmod(int(score.argmax()), score.shape[1])
    return row, column


@ex.edges
def _() -> list[Args]:
    spot = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    field = torch.zeros(3, 5)
    field[2, 4] = 1.0
    field[0, 1] = 0.3
    flat = torch.zeros(4, 6)
    flat[1:3, 2:5] = torch.tensor([[0.1, 0.2, 0.1], [0.2, 0.3, 0.1]])
    bright = torch.full((5, 4), 0.2)
    bright[:2, :2] = torch.tensor([[5.0, 6.0], [6.0, 6.0]])
    bright[3:, 2:] = torch.tensor([[0.2, 0.5], [0.2, 0.2]])
    plateau = torch.zeros(6, 9)  # an imperfect copy in the dark, the true one on a bright background
    plateau[1:3, 1:3] = torch.tensor([[0.3, 1.0], [0.2, 0.6]])
    plateau[3, :3] = 0.1
    plateau[:, 5:] = 5.0
    plateau[2, 7] = 6.0
    lines = torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, 0.0, 0.0]).expand(3, 7)  # the pattern of a vertical line
    faint = torch.zeros(3, 9)  # a perfect copy of little contrast, and a strong one that is not perfect
    faint[:2, 6:8] = torch.tensor([[0.002, 0.004], [0.0, 0.0]])
    faint[1:, 1:3] = torch.tensor([[5.0, 9.0], [0.0, 1.5]])
    falling, step = torch.tensor([[3.0, 2.0, 2.0, 1.0]]), torch.tensor([[0.0, 1.0]])
    return [
        (falling, step),  # all windows are inverted but the one without contrast
        (torch.tensor([[3.0, 2.0, 0.5, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])),  # all are inverted
        (torch.tensor([[7.0, 6.0, 6.0, 3.0], [6.0, 9.0, 9.0, 8.0]]).T, torch.tensor([[1.0], [3.0]])),
        (faint, torch.tensor([[1.0, 2.0], [0.0, 0.0]])),
        (lines, lines[:, 3:6] + 1),
        (plateau, spot),
        (field, spot),
        (flat, flat[1:3, 2:4] * 3),
        (bright, spot),
        (spot, spot.clone()),
        (flat.T, flat[1:3, 2:4]),
    ]


@ex.inputs
def _(case: Case) -> Args:
    h, w = case.integer(2, 5), case.integer(2, 6)
    field = case.rand(h + case.integer(1, 7), w + case.integer(1, 8))
    row, column = case.integer(0, field.shape[0] - h), case.integer(0, field.shape[1] - w)
    if case.seed % 5 == 0:  # the last possible corner
        row, column = field.shape[0] - h, field.shape[1] - w
    template = field[row : row + h, column : column + w].clone()
    ramp = torch.linspace(0, 3, field.shape[1], dtype=case.dtype)
    if case.seed % 3:
        field = field + (
            ramp if case.seed % 2 else ramp.flip(0)
        )  # charging: brightness changes across the field
    return field, template * (0.5 + 2 * float(case.rand(1))) + 5 * float(case.rand(1)) - 1


def _best(score: Tensor) -> tuple[int, int]:
    row, column = divmod(int(score.argmax()), score.shape[1])
    return row, column


def _windows(field: Tensor, template: Tensor) -> Tensor:
    return field.unfold(0, template.shape[0], 1).unfold(1, template.shape[1], 1)


def _ncc(field: Tensor, template: Tensor) -> Tensor:
    windows = _windows(field, template)
    windows = windows - windows.mean((2, 3), keepdim=True)
    return (windows * (template - template.mean())).sum((2, 3)) / windows.square().sum(
        (2, 3)
    ).sqrt().clamp_min(1e-6)


def _deviation(field: Tensor, template: Tensor) -> Tensor:
    windows = _windows(field, template)
    return (windows - windows.mean((2, 3), keepdim=True)).square().sum((2, 3)).sqrt()


ex.wrong(
    "plain_correlation",
    "You multiply and sum without removing the mean: the brightest place wins, whatever its pattern.",
    lambda field, template: _best((_windows(field, template) * template).sum((2, 3))),
)
ex.wrong(
    "not_normalised",
    "You remove the mean but do not divide by the window's contrast: the place with most contrast wins.",
    lambda field, template: _best((_windows(field, template) * (template - template.mean())).sum((2, 3))),
)
ex.wrong(
    "squared_difference",
    "You take the smallest squared difference; it depends on gain and brightness, which "
    "differ between images.",
    lambda field, template: _best(-(_windows(field, template) - template).square().sum((2, 3))),
)
ex.wrong(
    "column_row",
    "You return (x, y); in an array the row comes first.",
    lambda field, template: _best(_ncc(field, template))[::-1],
)
ex.wrong(
    "centre",
    "You return the centre of the best window, not its upper left corner.",
    lambda field, template: tuple(
        p + s // 2 for p, s in zip(_best(_ncc(field, template)), template.shape, strict=True)
    ),
)
ex.wrong(
    "last_missing",
    "You stop one short: there are H - h + 1 window positions along an axis, not H - h.",
    lambda field, template: _best(
        _ncc(field, template)[
            : max(1, field.shape[0] - template.shape[0]), : max(1, field.shape[1] - template.shape[1])
        ]
    ),
)
ex.wrong(
    "flipped",
    "You flip the template, as mathematical convolution does; correlation leaves it as it is.",
    lambda field, template: _best(_ncc(field, template.flip(0, 1))),
)
ex.wrong(
    "sign_lost",
    "You take the absolute value: a window with inverted contrast then counts as a perfect match.",
    lambda field, template: _best(_ncc(field, template).abs()),
)
ex.wrong(
    "global_mean",
    "You subtract the mean of the whole field; each window needs its own, or a brightness ramp decides.",
    lambda field, template: _best(
        (_windows(field - field.mean(), template) * (template - template.mean())).sum((2, 3))
        / _windows(field - field.mean(), template).square().sum((2, 3)).sqrt().clamp_min(1e-6)
    ),
)

ex.wrong(
    "raw_energy",
    "You divide by the window's energy, mean included: a pattern on a bright background is punished.",
    lambda field, template: _best(
        (_windows(field, template) * (template - template.mean())).sum((2, 3))
        / _windows(field, template).square().sum((2, 3)).sqrt().clamp_min(1e-6)
    ),
)

ex.right(lambda field, template: _best(_ncc(field, template)))


@ex.right
def _(field: Tensor, template: Tensor) -> tuple[int, int]:
    best, place = -2.0, (0, 0)
    t = template - template.mean()
    for row in range(field.shape[0] - t.shape[0] + 1):
        for column in range(field.shape[1] - t.shape[1] + 1):
            w = field[row : row + t.shape[0], column : column + t.shape[1]]
            w = w - w.mean()
            norm = float(w.norm() * t.norm())
            score = float((w * t).sum()) / norm if norm > 1e-9 else 0.0
            if score > best:
                best, place = score, (row, column)
    return place


@ex.right
def _(field: Tensor, template: Tensor) -> tuple[int, int]:
    image, t = field.double()[None, None], template.double()
    t = (t - t.mean())[None, None]
    ones = torch.ones_like(t)
    variance = F.conv2d(image**2, ones) - F.conv2d(image, ones) ** 2 / t.numel()
    score = F.conv2d(image, t)[0, 0] / variance[0, 0].clamp_min(1e-10).sqrt()
    row = int(score.amax(dim=1).argmax())
    return row, int(score[row].argmax())


@ex.right
def _(field: Tensor, template: Tensor) -> list[int]:
    windows = np.lib.stride_tricks.sliding_window_view(field.numpy(), tuple(template.shape))
    windows = windows - windows.mean(axis=(2, 3), keepdims=True)
    t = template.numpy() - template.numpy().mean()
    norm = np.sqrt((windows**2).sum(axis=(2, 3)) * (t**2).sum())
    score = np.einsum("rchw,hw->rc", windows, t) / np.maximum(norm, 1e-7)
    return [int(i) for i in np.unravel_index(score.argmax(), score.shape)]


@ex.right
def _(field: Tensor, template: Tensor) -> tuple[int, int]:
    rows = field.shape[0] - template.shape[0] + 1
    patches = F.unfold(field[None, None], tuple(template.shape))[0].T  # (positions, h * w)
    centred = F.normalize(patches - patches.mean(1, keepdim=True), dim=1)
    position = (centred @ (template - template.mean()).flatten()).argmax().item()
    columns = len(patches) // rows
    return int(position // columns), int(position % columns)


@ex.right
def _(field: Tensor, template: Tensor) -> tuple[Tensor, ...]:
    windows = _windows(field, template).flatten(2)
    deviation = windows.std(dim=2, correction=0)
    covariance = (windows * template.flatten()).mean(2) - windows.mean(2) * template.mean()
    score = torch.where(deviation > 1e-6, covariance / deviation, torch.zeros_like(deviation))
    return torch.unravel_index(score.argmax(), score.shape)


@ex.right
def _(field: Tensor, template: Tensor) -> tuple[int, int]:
    t = template.flatten() - template.mean()
    windows = _windows(field, template).flatten(2)
    score = torch.nn.functional.cosine_similarity(
        windows - windows.mean(2, keepdim=True), t[None, None], dim=2
    )
    place = (score == score.max()).nonzero()[0]
    return int(place[0]), int(place[1])


ex.wrong(
    "cosine",
    "You divide by the lengths but subtract no mean: a bright window resembles every other bright one.",
    lambda field, template: _best(
        (_windows(field, template) * template).sum((2, 3))
        / _windows(field, template).square().sum((2, 3)).sqrt().clamp_min(1e-6)
    ),
)
ex.wrong(
    "not_rooted",
    "You divide by the sum of squares without its root: weak windows are favoured.",
    lambda field, template: _best(_ncc(field, template) / _deviation(field, template).clamp_min(1e-6)),
)
ex.wrong(
    "worst_window",
    "You return the window that fits worst; the largest correlation wins.",
    lambda field, template: _best(-_ncc(field, template)),
)
ex.wrong(
    "width_of_the_field",
    "You split the flat position by the width of the field; a row of windows has W - w + 1 of them.",
    lambda field, template: divmod(int(_ncc(field, template).argmax()), field.shape[1]),
)
ex.wrong(
    "flat_index",
    "You return the flat position of the maximum; row and column were asked for.",
    lambda field, template: int(_ncc(field, template).argmax()),
)
ex.wrong(
    "no_contrast_wins",
    "You divide 0 by 0 in a window without contrast: NaN then counts as the largest score.",
    lambda field, template: _best(
        (_windows(field, template) * (template - template.mean())).sum((2, 3)) / _deviation(field, template)
    ),
)
ex.wrong(
    "no_contrast_never_wins",
    "You leave windows without contrast out; such a window scores 0, which is more than an inverted one.",
    lambda field, template: _best(
        torch.where(_deviation(field, template) > 1e-6, _ncc(field, template), -torch.inf)
    ),
)
ex.wrong(
    "only_above_zero",
    "You take a window only if its score is above 0 and otherwise return (0, 0); the best of all scores may "
    "be 0 or negative.",
    lambda field, template: _best(_ncc(field, template).clamp(min=0)),
)
ex.wrong(
    "lower_right",
    "You return the lower right corner of the best window.",
    lambda field, template: tuple(
        p + s - 1 for p, s in zip(_best(_ncc(field, template)), template.shape, strict=True)
    ),
)
ex.wrong(
    "score_damped",
    "You add a noticeable number to the divisor: windows of little contrast then score too low.",
    lambda field, template: _best(
        (_windows(field, template) * (template - template.mean())).sum((2, 3))
        / (_deviation(field, template) + 1e-2)
    ),
)
ex.wrong(
    "absolute_difference",
    "You take the smallest absolute difference; it depends on gain and brightness.",
    lambda field, template: _best(-(_windows(field, template) - template).abs().sum((2, 3))),
)

ex.background("The raw field is larger")
ex.breach("For every window", "last_missing")
ex.breach("For every window", "flipped")
ex.breach(r"\frac{\sum", "not_normalised")
ex.breach(r"\frac{\sum", "cosine")
ex.breach(r"\frac{\sum", "sign_lost")
ex.breach("and return the row and column", "column_row")
ex.breach("upper left corner", "centre")
ex.breach("of the best window", "only_above_zero")
ex.breach("A window without contrast", "no_contrast_wins")
ex.breach("A window without contrast", "no_contrast_never_wins")
