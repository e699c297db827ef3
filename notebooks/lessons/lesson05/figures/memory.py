"""The figures of lesson 05's evidence: what discriminators of each field remember of their training pairs."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    bars_with_intervals,
    describe,
    new_axes,
    new_figure,
    styled,
)
from lessons.lesson05.experiments.patches import SETS


@styled
def memory_figure(row: Mapping[str, Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """D's mean logit of real and made pairs, each once for its training pairs and once for held-out ones."""
    judged = {arm: numbers for arm, numbers in row.items() if "D real, training" in numbers}
    ax = new_axes(ax, 7.4, 3.6)
    words = []
    for k, kind in enumerate(("real", "fake")):
        for i, (arm, numbers) in enumerate(judged.items()):
            values = [numbers[f"D {kind}, {which}"] for which in SETS]
            x = [i - 0.12, i + 0.12]
            ax.plot(x, values, "-", color=COLOURS[k], linewidth=1.2)
            for j, face in enumerate((COLOURS[k], "white")):
                label = f"{kind}, {SETS[j]}" if i == 0 else None
                style: dict[str, Any] = {"color": COLOURS[k], "markerfacecolor": face, "markersize": 8}
                ax.plot(x[j], values[j], MARKERS[k], label=label, **style)
            words.append(f"{arm}, {kind}: training {values[0]:.2f}, held-out {values[1]:.2f}")
    for level in (0.0, 1.0):
        ax.axhline(level, color="#999999", linewidth=0.8, linestyle=":")
    ax.set_xticks(range(len(judged)), list(judged))
    ax.set_xlim(-0.5, len(judged) - 0.5)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("D's mean logit (aim: real 1, fake 0)")
    ax.legend(ncols=2)
    return describe(ax, f"D's mean logit on training and held-out pairs. {'; '.join(words)}.")


@styled
def sweep_figure(record: Mapping[str, Any]) -> Figure:
    """The two parts of claim G04 as the ledger holds them: both arms' values, joined by seed."""
    quantities = {
        "discriminator": "D(real, training) - D(real, held-out)",
        "generator": "held-out spectrum distance (dB)",
    }
    figure = new_figure(7.4, 3.3)
    for ax, (part, quantity) in zip(figure.subplots(1, 2), quantities.items(), strict=True):
        bars_with_intervals(record["parts"][part]["data"], quantity=quantity, title=part, ax=ax)
        if part == "discriminator":
            ax.axhline(0, color="black", linewidth=0.8)
    return figure


def of_arm(numbers: Mapping[str, float], arm: str) -> dict[str, float]:
    """The numbers of one arm, from the ledger's "arm: quantity"."""
    return {name.removeprefix(f"{arm}: "): v for name, v in numbers.items() if name.startswith(f"{arm}: ")}
