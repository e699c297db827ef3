"""Lesson 07: what grain costs by theory and what it cost the arms, and where their grain lies."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from gantrans.images import unit_from_uint8
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, metric_table, new_axes, styled
from gantrans.teaching.sweeps import sweep
from lessons.lesson07.experiments import loss_weights
from lessons.lesson07.figures.realism import grain_trade

BORDER = 8
"""Pixels from the edge that count as border."""
_BESIDE = {loss_weights.BASELINE: (-9, -13), "L1 weight 3": (-8, -4), loss_weights.MATCHING: (-7, -9)}
"""Where the names of arms go in `price_figure`, in points; elsewhere above and to the left."""


def border_table(
    test: loss_weights.TestSet, first: Mapping[str, Tensor], second: Mapping[str, Tensor]
) -> Table:
    """Spread of a pixel between two draws, near the border and inside, of real images and of every arm.

    Args:
        first, second: {arm: (N, 1, S, S) in [0, 1]}, two draws of the noise for the same layouts.
    """
    pairs = {"real SEM": (unit_from_uint8(test.sem), unit_from_uint8(test.another))}
    pairs |= {arm: (first[arm], second[arm]) for arm in first}
    inner = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    rows = {}
    for name, (one, other) in pairs.items():
        squares = (one - other).square() / 2
        inside, everything = squares[inner], squares.sum()
        outside = (everything - inside.sum()) / (squares.numel() - inside.numel())
        border, middle = outside.sqrt(), inside.mean().sqrt()
        spread = {"border": border, "inside": middle, "border / inside": border / middle}
        rows[name] = {where: float(value) for where, value in spread.items()}
    caption = f"Spread of a pixel between two draws, {BORDER} px from the edge and further in, one seed"
    return metric_table(rows, caption=caption)


def grain_by_arm(table: sweep.Table) -> dict[str, dict[str, np.ndarray]]:
    """Of every arm of the sweep `loss_weights` and the real images, an array over seeds of each quantity.

    Strengths are against the real grain, whose spread between two images of one layout is 1.

    Returns:
        strength: spread between two draws. by spectrum: what the texture's power looks like, fixed patterns
        included. theory: PSNR lost by grain of that strength, dB. below best, below L1: PSNR below that of
        the best bet, and of L1 alone, dB. A second real image has twice the best bet's squared error, so
        that the best bet lies 10 log10(2) dB above it.
    """
    arms = (*loss_weights.ARMS, loss_weights.REAL)
    spread, psnr, texture = (table.values(q, *arms) for q in ("diversity", "PSNR", "texture"))
    real, alone = loss_weights.REAL, np.array(psnr[loss_weights.BASELINE])
    best = np.array(psnr[real]) + 10 * np.log10(2.0)
    found = {}
    for arm in arms:
        strength = np.array(spread[arm]) / np.array(spread[real])
        found[arm] = {
            "strength": strength,
            "by spectrum": 10 ** (np.array(texture[arm]) / 20),
            "theory": grain_trade(strength)[0],
            "below best": best - np.array(psnr[arm]),
            "below L1": alone - np.array(psnr[arm]),
        }
    return found


@styled
def price_figure(table: sweep.Table, ax: Axes | None = None) -> Axes:
    """The curve of theory through the measured arms; beside each, the strength that its spectrum shows.

    Filled: grain that changes from draw to draw. Open: grain by the spectrum. The bar between them is texture
    that stays the same, a weave.
    """
    ax, grain = new_axes(ax, 7.6, 4.1), grain_by_arm(table)
    s = np.linspace(0, 1.08, 60)
    ax.plot(s, grain_trade(s)[0], color="#444444", label="theory: $10\\,\\log_{10}(1 + s^2)$")
    words = []
    for arm, of in grain.items():
        real = arm == loss_weights.REAL
        colour, marker = (COLOURS[2], MARKERS[2]) if real else (COLOURS[0], MARKERS[0])
        x, wide, y = (float(of[q].mean()) for q in ("strength", "by spectrum", "below best"))
        ax.plot(of["strength"], of["below best"], ".", color="#AAAAAA", markersize=3.5, zorder=1)
        if not real:
            ax.plot([x, wide], [y, y], color=COLOURS[1], linewidth=1.6, zorder=1)
            label = "by the spectrum" if arm == loss_weights.BASELINE else None
            ax.plot(wide, y, "o", color=COLOURS[1], markerfacecolor="white", markersize=6, label=label)
        named = {loss_weights.BASELINE: "measured, by the spread of draws", loss_weights.REAL: "real image"}
        ax.plot(x, y, marker, color=colour, markersize=7, linestyle="none", label=named.get(arm))
        if not real:
            ax.annotate(
                arm.removeprefix("L1 weight "), (x, y), _BESIDE.get(arm, (-6, 5)), ha="right",
                textcoords="offset points", fontsize=8.5,
            )  # fmt: skip
        words.append(f"{arm}: {x:.2f} by the draws, {wide:.2f} by the spectrum, {y:.2f} dB")
    ax.set(xlabel="strength of the grain, s (real grain: 1)", ylabel="PSNR below the best bet (dB)")
    ax.set_ylim(bottom=-0.1)
    ax.legend(loc="upper left")
    return describe(
        ax, f"PSNR below the best bet against strength of the grain, means over {len(table.seeds)} seeds; "
        f"theory is 0 at 0 and 3.01 dB at 1. {'; '.join(words)}.",
    )  # fmt: skip


def price_table(table: sweep.Table) -> dict[str, dict[str, float]]:
    """Means over seeds of what `grain_by_arm` gives, under the names of the lesson."""
    names = {
        "strength": "s, by the draws", "theory": "theory, lost (dB)", "below L1": "below L1 only (dB)",
        "below best": "below the best bet (dB)", "by spectrum": "s, by the spectrum",
    }  # fmt: skip
    return {
        arm: {name: float(of[q].mean()) for q, name in names.items()}
        for arm, of in grain_by_arm(table).items()
    }
