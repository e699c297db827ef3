"""Figures made of numbers: training curves, effects over seeds with intervals, spectra, small tables."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gantrans.teaching.plots.style import COLOURS, LINES, MARKERS, describe, new_axes, styled

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]


@styled
def training_curves(
    curves: Curves,
    *,
    quantity: str,
    unit: str = "",
    title: str = "",
    log: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Quantities against the training step.

    Args:
        curves: {label: (steps, values)}; NaN leaves a gap.
        quantity, unit: the vertical axis.
    """
    ax = new_axes(ax)
    words = []
    for i, (label, (steps, values)) in enumerate(curves.items()):
        _line(ax, steps, values, label, i)
        finite = np.asarray(values, dtype=np.float64)
        finite = finite[np.isfinite(finite)]
        if finite.size:
            words.append(f"{label} goes from {finite[0]:.3g} to {finite[-1]:.3g} (lowest {finite.min():.3g})")
    ax.set(
        title=title,
        xlabel="training step",
        ylabel=_with_unit(quantity, unit),
        yscale="log" if log else "linear",
    )
    if len(curves) > 1:
        ax.legend()
    return describe(ax, f"{title or quantity} against the training step: {'; '.join(words)}.")


@styled
def bars_with_intervals(
    groups: Mapping[str, Sequence[float]],
    *,
    quantity: str,
    unit: str = "",
    intervals: Mapping[str, tuple[float, float]] | None = None,
    paired: bool = True,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """Values per seed as dots, joined where the seeds are paired; mean as a bar, interval as a whisker.

    Args:
        groups: {arm: one value per seed}.
        intervals: {arm: (low, high)}; for an arm left out no whisker is drawn.
    """
    ax = new_axes(ax, 1.6 + 1.3 * len(groups), 3.2)
    intervals = intervals or {}
    words = []
    for i, (label, values) in enumerate(groups.items()):
        mean = float(np.mean(values))
        ax.hlines(mean, i - 0.28, i + 0.28, color=COLOURS[i % len(COLOURS)], linewidth=3)
        ax.plot(
            [i] * len(values), values, MARKERS[i % len(MARKERS)], color=COLOURS[i % len(COLOURS)], alpha=0.65
        )
        word = f"{label} {mean:.3g}"
        if label in intervals:
            low, high = intervals[label]
            ax.errorbar(i + 0.36, mean, [[mean - low], [high - mean]], color="black", capsize=4, fmt="none")
            word += f" (interval {low:.3g} to {high:.3g})"
        words.append(word)
    lengths = {len(v) for v in groups.values()}
    if paired and len(groups) > 1 and len(lengths) == 1:
        for row in np.array(list(groups.values()), dtype=np.float64).T:
            ax.plot(range(len(groups)), row, color="#999999", linewidth=0.7, zorder=0)
    ax.set_xticks(range(len(groups)), list(groups))
    ax.set_xlim(-0.6, len(groups) - 0.4)
    ax.set(title=title, ylabel=_with_unit(quantity, unit))
    ax.grid(axis="x", visible=False)
    count = "/".join(str(n) for n in sorted(lengths))
    return describe(ax, f"{title or quantity} over {count} seeds: {'; '.join(words)}.")


@styled
def contribution_figure(
    effects: Mapping[str, Sequence[float]],
    *,
    quantity: str,
    unit: str = "",
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """What switching off each level changes: one bar per level, dots per image or seed, zero marked."""
    ax = new_axes(ax, 5.6, 0.9 + 0.42 * len(effects))
    words = []
    for i, (label, values) in enumerate(effects.items()):
        mean = float(np.mean(values))
        ax.barh(i, mean, height=0.55, color=COLOURS[0] if mean >= 0 else COLOURS[1], alpha=0.8)
        ax.plot(values, [i] * len(values), "o", color="black", markersize=2.5, alpha=0.5)
        words.append(f"{label} {mean:+.3g}")
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_yticks(range(len(effects)), list(effects))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set(title=title, xlabel=_with_unit(quantity, unit))
    return describe(ax, f"{title or quantity} by level: {'; '.join(words)}.")


@styled
def spectrum_figure(
    spectra: Mapping[str, tuple[np.ndarray, np.ndarray]], *, title: str = "", ax: Axes | None = None
) -> Axes:
    """Spectra by label as `radial_spectrum` gives them, on a logarithmic scale."""
    ax = new_axes(ax)
    reference: np.ndarray | None = None
    words = []
    for i, (label, (frequency, density)) in enumerate(spectra.items()):
        _line(ax, frequency, density, label, i)
        if reference is None:
            reference = density
            words.append(f"reference {label}")
        else:
            upper = slice(len(density) // 2, None)
            level = 10 * np.mean(np.log10(density[upper] / reference[upper]))
            words.append(f"{label} {level:+.1f} dB in the upper half of the band")
    ax.set(
        title=title, xlabel="spatial frequency (1/µm)", ylabel="power spectral density (µm²)", yscale="log"
    )
    ax.legend()
    return describe(ax, f"{title or 'Power spectrum'}: {'; '.join(words)}.")


class Table:
    """A small table that a notebook shows as HTML and every other reader as Markdown."""

    def __init__(self, header: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> None:
        self.header, self.rows, self.caption = list(header), [list(r) for r in rows], caption

    def _repr_html_(self) -> str:
        def line(cells: Sequence[str], tag: str, scope: str) -> str:
            first, *rest = (html.escape(c) for c in cells)
            return (
                f'<tr><th scope="{scope}">{first}</th>'
                + "".join(f"<{tag}>{c}</{tag}>" for c in rest)
                + "</tr>"
            )

        caption = f"<caption>{html.escape(self.caption)}</caption>" if self.caption else ""
        head = line(self.header, "th", "col")
        body = "".join(line(row, "td", "row") for row in self.rows)
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def _repr_markdown_(self) -> str:
        return str(self)

    def __str__(self) -> str:
        cells = [self.header, ["---"] * len(self.header), *self.rows]
        lines = ["| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in cells]
        return "\n".join([f"**{self.caption}**", ""] * bool(self.caption) + lines)

    __repr__ = __str__


def metric_table(
    values: Mapping[str, Mapping[str, float]], *, units: Mapping[str, str] | None = None, caption: str = ""
) -> Table:
    """One row per name and one column per metric, to three significant digits; a gap is a dash."""
    metrics = list(dict.fromkeys(m for row in values.values() for m in row))
    header = ["", *(_with_unit(m, (units or {}).get(m, "")) for m in metrics)]
    rows = [[name, *(_three(row.get(m, np.nan)) for m in metrics)] for name, row in values.items()]
    return Table(header, rows, caption)


def _three(value: float) -> str:
    return (
        "-"
        if not np.isfinite(value)
        else f"{value:.0f}"
        if abs(value) >= 1000
        else f"{value:#.3g}".rstrip(".")
    )


def _line(ax: Axes, x: Any, y: Any, label: str, index: int) -> None:
    n = len(MARKERS)
    ax.plot(
        x, y, label=label, color=COLOURS[index % n], linestyle=LINES[index % n], marker=MARKERS[index % n],
        markevery=max(1, len(x) // 8),
    )  # fmt: skip


def _with_unit(quantity: str, unit: str) -> str:
    return f"{quantity} ({unit})" if unit else quantity
