"""Lesson 07: the grey value that a pixel loss pays best, when the truth has two values."""

from collections.abc import Callable

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="best_grey",
    lesson="07",
    title="What a pixel loss asks for",
    difficulty=3,
    minutes=12,
    spec=r"""
    For one input, a pixel of the target is `bright` with probability $s$ (`share`, a map) and `dark`
    otherwise. A generator that cannot know which must give one value $c$. Return the $c$ with the least
    expected loss, pixel by pixel:

    - `"l2"`, the squared error: the mean $s\,\text{bright} + (1 - s)\,\text{dark}$, which is grey: blur.
    - `"l1"`, the absolute error: the median, the likelier of the two; the rarer is never drawn. If both are
      equally likely, every value between them costs the same: return their midpoint.

    `ratio` makes it asymmetric: too dark an answer ($c$ below the truth) costs `ratio` times as much as too
    bright an answer with the same error; 1 is the usual loss. Any other `loss` raises a `ValueError`.
    """,
    hints=(
        "Too dark can only be wrong where the truth is bright: `ratio` works as if bright were that much "
        "likelier.",
        "The weights are `ratio * share` for bright and `1 - share` for dark. Divide by their sum: a new "
        "share.",
        "With `s = ratio * share / (ratio * share + 1 - share)`: L2 gives `dark + s * (bright - dark)`; "
        "L1 gives bright above s = 0.5, dark below, the midpoint at 0.5.",
    ),
    source="Mean and median minimise L2 and L1; with a ratio: expectile and quantile (Newey and Powell 1987; "
    "Koenker and Bassett 1978).",
    equivalent={
        "value.detach()": "probabilities are data: no gradient is asked for",
    },
)


@ex.reference
def best_grey(share: Tensor, dark: float, bright: float, loss: str, ratio: float) -> Tensor:
    """share (H, W) in [0, 1], dark < bright, loss "l1" or "l2", ratio > 0 -> best values (H, W)."""
    for_bright, for_dark = ratio * share, 1 - share
    if loss == "l2":
        s = for_bright / (for_bright + for_dark)
    elif loss == "l1":
        s = 0.5 + 0.5 * torch.sign(for_bright - for_dark)
    else:
        raise ValueError(f"unknown loss {loss!r}")
    return dark + s * (bright - dark)


@ex.edges
def _() -> list[Args]:
    share = torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]])
    ranges = [(-1.0, 1.0), (0.0, 1.0), (0.25, 0.75)]
    args: list[Args] = [
        (share, *values, loss, ratio) for values in ranges for loss in ("l1", "l2") for ratio in (1.0, 3.0)
    ]
    return [
        *args,
        *((share, 0.0, 1.0, loss, 0.5) for loss in ("l1", "l2")),
        *((share.expand(3, 5).T, -2.0, -1.0, loss, 7.0) for loss in ("l1", "l2")),
        (torch.tensor([[0.125], [0.5]]), -1.0, 3.0, "l1", 7.0),
        (share, 0.0, 1.0, "huber", 1.0),
        (share, 0.0, 1.0, "L1", 1.0),
        (share, 0.0, 1.0, "", 2.0),
    ]


@ex.inputs
def _(case: Case) -> Args:
    dark = case.integer(-4, 0) / 4
    bright = dark + case.integer(1, 4) / 4
    share = case.rand(case.height, case.width)
    return share, dark, bright, case.choice(("l1", "l2")), case.choice((1.0, 1.0, 0.5, 2.0, 4.0))


Formula = Callable[[Tensor, float, float, float], Tensor]


def _tilted(share: Tensor, ratio: float) -> Tensor:
    return ratio * share / (ratio * share + 1 - share)


def _mean(share: Tensor, dark: float, bright: float, ratio: float) -> Tensor:
    return torch.lerp(torch.full_like(share, dark), torch.full_like(share, bright), _tilted(share, ratio))


def _median(share: Tensor, dark: float, bright: float, ratio: float) -> Tensor:
    s = _tilted(share, ratio)
    return torch.where(s == 0.5, (dark + bright) / 2, torch.where(s > 0.5, bright, dark)).to(share)


def _answer(l1: Formula = _median, l2: Formula = _mean) -> Callable[..., Tensor]:
    def answer(share: Tensor, dark: float, bright: float, loss: str, ratio: float) -> Tensor:
        return {"l1": l1, "l2": l2}[_known(loss)](share, dark, bright, ratio)

    return answer


def _known(loss: str) -> str:
    if loss not in ("l1", "l2"):
        raise ValueError(loss)
    return loss


ex.wrong(
    "swapped",
    "You have the two losses the wrong way round: L1 is paid best by the median, L2 by the mean.",
    _answer(_mean, _median),
)
ex.wrong(
    "mean_for_both",
    "You give the mean for L1, too: L1 does not blur, it takes the likelier value and drops the other.",
    _answer(l1=_mean),
)
ex.wrong(
    "no_ratio",
    "You do not use `ratio`: too dark and too bright would cost the same.",
    _answer(lambda s, d, b, r: _median(s, d, b, 1.0), lambda s, d, b, r: _mean(s, d, b, 1.0)),
)
ex.wrong(
    "ratio_turned",
    "You make too *bright* the expensive error: `ratio` above 1 should make the answer brighter.",
    _answer(lambda s, d, b, r: _median(s, d, b, 1 / r), lambda s, d, b, r: _mean(s, d, b, 1 / r)),
)
ex.wrong(
    "not_normalised",
    "You multiply by `ratio` and do not divide by the sum of the weights: the answer leaves the range of "
    "the data.",
    _answer(l2=lambda s, d, b, r: r * s * b + (1 - s) * d),
)
ex.wrong(
    "tie_bright",
    "You give bright at a tie; every value between costs the same, and the midpoint was asked for.",
    _answer(lambda s, d, b, r: torch.where(_tilted(s, r) >= 0.5, b, d).to(s)),
)
ex.wrong(
    "tie_dark",
    "You give dark at a tie; every value between costs the same, and the midpoint was asked for.",
    _answer(lambda s, d, b, r: torch.where(_tilted(s, r) > 0.5, b, d).to(s)),
)
ex.wrong(
    "always_midpoint",
    "You give the midpoint for L1 wherever both values can occur; it is best only at a tie.",
    _answer(
        lambda s, d, b, r: torch.where(s == 0, d, torch.where(s == 1, b, (d + b) / 2)).to(s),
    ),
)
ex.wrong(
    "dark_share",
    "You take `share` for the probability of dark.",
    lambda s, d, b, loss, r: _answer()(1 - s, d, b, loss, r),
)
ex.wrong(
    "unit_range",
    "You return a number between 0 and 1; it must be scaled to lie between dark and bright.",
    lambda s, d, b, loss, r: _answer()(s, 0.0, 1.0, loss, r),
)
ex.wrong(
    "whole_map",
    "You take one share for the whole map; every pixel has its own.",
    lambda s, d, b, loss, r: _answer()(s.mean().expand_as(s), d, b, loss, r),
)
ex.wrong(
    "ratio_squared",
    "You square the ratio for L2; it multiplies the squared error, it is not squared itself.",
    _answer(l2=lambda s, d, b, r: _mean(s, d, b, r * r)),
)

ex.wrong(
    "ratio_for_l2_only",
    "You do not use `ratio` for L1: there it moves the tie away from a share of one half.",
    _answer(l1=lambda s, d, b, r: _median(s, d, b, 1.0)),
)
ex.wrong(
    "ratio_for_l1_only",
    "You do not use `ratio` for L2: the mean is then the same for every ratio.",
    _answer(l2=lambda s, d, b, r: _mean(s, d, b, 1.0)),
)
ex.wrong(
    "half_of_the_product",
    "You compare `ratio * share` with one half; what it must be compared with is the weight of dark, "
    "`1 - share`.",
    _answer(lambda s, d, b, r: torch.where(r * s == 0.5, (d + b) / 2, torch.where(r * s > 0.5, b, d)).to(s)),
)
ex.wrong(
    "mean_at_a_tie",
    "At a tie you give the mean; the midpoint of dark and bright was asked for, and the two differ "
    "with a ratio.",
    _answer(
        lambda s, d, b, r: torch.where(_tilted(s, r) == 0.5, _mean(s, d, b, 1.0), _median(s, d, b, r)).to(s)
    ),
)
ex.wrong(
    "unknown_accepted",
    "You take every loss that is not L2 for L1; an unknown one must raise a ValueError.",
    lambda s, d, b, loss, r: _answer()(s, d, b, "l2" if loss == "l2" else "l1", r),
)
ex.wrong(
    "unknown_is_l2",
    "You take every loss that is not L1 for L2; an unknown one must raise a ValueError.",
    lambda s, d, b, loss, r: _answer()(s, d, b, "l1" if loss == "l1" else "l2", r),
)


ex.right(_answer())


@ex.right
def _(share: Tensor, dark: float, bright: float, loss: str, ratio: float) -> Tensor:
    for_bright = ratio * share
    for_dark = 1 - share
    if loss == "l2":
        return (for_bright * bright + for_dark * dark) / (for_bright + for_dark)
    if loss != "l1":
        raise ValueError(f"{loss} is neither l1 nor l2")
    best = torch.full_like(share, (dark + bright) / 2)
    best[for_bright > for_dark] = bright
    best[for_bright < for_dark] = dark
    return best


@ex.right
def _(share: Tensor, dark: float, bright: float, loss: str, ratio: float) -> Tensor:
    if loss not in {"l1", "l2"}:
        raise ValueError("loss")
    s = share * ratio
    s = s / (s + (1 - share))
    if loss == "l1":
        s = torch.heaviside(s - 0.5, torch.full((), 0.5, dtype=s.dtype, device=s.device))
    return bright * s + dark * (1 - s)


@ex.right
def _(share: Tensor, dark: float, bright: float, loss: str, ratio: float) -> Tensor:
    # the L1 cost is linear between the two values, so it is least at one end, or everywhere
    if _known(loss) == "l2":
        return _mean(share, dark, bright, ratio)
    cost_of_dark, cost_of_bright = ratio * share, 1 - share
    ends = torch.stack([cost_of_dark, cost_of_bright])
    best = (ends == ends.amin(dim=0)).to(share)
    return (best[0] * dark + best[1] * bright) / best.sum(dim=0)


ex.breach("For one input, a pixel of the target is `bright` with probability", "dark_share")
ex.breach("A generator that cannot know which must give one value", "unit_range")
ex.breach("least expected loss, pixel by pixel", "whole_map")
ex.breach('`"l2"`, the squared error', "swapped")
ex.breach('`"l1"`, the absolute error', "mean_for_both")
ex.breach("return their midpoint", "tie_bright")
ex.breach("`ratio` makes it asymmetric", "ratio_turned")
ex.breach("Any other `loss` raises a `ValueError`.", "unknown_accepted")
