"""The figures of lesson 10, first part: what the metrics are, and how faults move them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gantrans.metrics import find_contours, find_runs, ssim_map
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    image_axes,
    new_axes,
    new_figure,
    overlay_axes,
    styled,
)
from lessons.lesson10.experiments.blindness import (
    SAME,
    STANDARD,
    UNITS,
    Stage,
    in_units,
    known_mean,
    most_moved,
)
from lessons.lesson10.experiments.mismatch import WHAT, SixOutputs
from lessons.lesson10.experiments.perturbations import FAULTS, PIXEL_NM

SHOWN = ("L1", "PSNR", "SSIM", "IoU", "EPE", "Hausdorff", "|CD error|", "LER", "corner radius", "defects")
BLIND = 1.0
"""Moves below this many standard deviations of good outputs count as unseen."""
MOST = 20.0
SPREAD_OVER = {SAME: "good outputs of one layout", UNITS[1]: "good outputs of all layouts"}


@styled
def cut_line_figure(image: Tensor, row: int, *, pixel_nm: float = PIXEL_NM) -> Figure:
    """An image (1, S, S) in [0, 1] with one cut line, and the grey values along it with the widths."""
    figure = new_figure(8.4, 2.9)
    left, right = figure.subplots(1, 2, width_ratios=(1, 2.2))
    image_axes(image, "one cut line", ax=left, pixel_nm=pixel_nm)
    left.axhline(row, color=COLOURS[1], linewidth=1.6)
    values = image[0, row].numpy()
    right.plot(values, "o-", color=COLOURS[0], markersize=3)
    right.axhline(0.5, color="#999999", linestyle=":", linewidth=1)
    runs = find_runs(image[None])
    chosen = runs.complete & (runs.line == row)
    widths = []
    for start, end in zip(runs.start[chosen], runs.end[chosen], strict=True):
        right.plot([start, end], [0.5, 0.5], "|-", color=COLOURS[1], markersize=12)
        widths.append(f"{(end - start) * pixel_nm:.1f}")
        right.text((start + end) / 2, 0.54, widths[-1], ha="center", fontsize=8.5, color=COLOURS[1])
    right.set(
        xlabel="column (px)", ylabel="grey value", ylim=(-0.05, 1.15), title="widths in nm, at level 0.5"
    )
    describe(right, f"Row {row} holds {len(widths)} whole features, {', '.join(widths)} nm wide.")
    return figure


@styled
def contour_figure(made: Tensor, target: Tensor, crop: int = 24) -> Figure:
    """Contours of a prediction and of its target (1, S, S), whole and where they are farthest apart, with the
    distances from the prediction's corners to the nearest point of the target's contour."""
    wanted, found = (find_contours(image[None].double()) for image in (target, made))
    corners, nearest = found.start, _nearest_points(found.start, wanted.start, wanted.end)
    distance = np.linalg.norm(nearest - corners, axis=1)
    size = target.shape[-1]
    top, left_edge = np.clip(corners[distance.argmax()] - crop / 2, -0.5, size - 0.5 - crop)
    figure = new_figure(7.8, 3.9)
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        for k, (name, contour, width) in enumerate((("target", wanted, 3.2), ("prediction", found, 1.2))):
            lines = np.stack([contour.start, contour.end, np.full_like(contour.start, np.nan)], 1).reshape(
                -1, 2
            )
            ax.plot(lines[:, 1], lines[:, 0], color=(COLOURS[3], COLOURS[1])[k], label=name, linewidth=width)
        ax.set(aspect="equal", xlabel="column (px)", ylabel="row (px)")
        ax.grid(False)
    arrows = np.stack([corners, nearest, np.full_like(corners, np.nan)], 1).reshape(-1, 2)
    right.plot(arrows[:, 1], arrows[:, 0], color="black", linewidth=0.8, label="distance")
    left.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), title="all; the box is enlarged")
    left.add_patch(Rectangle((left_edge, top), crop, crop, fill=False, linewidth=1.2))
    right.set(xlim=(left_edge, left_edge + crop), ylim=(top + crop, top), title=f"{crop} px of it")
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    mean, most = distance.mean() * PIXEL_NM, distance.max() * PIXEL_NM
    describe(
        left,
        "The 0.5-contours of a target and a prediction that wanders about it: "
        f"{mean:.1f} nm from it on average, {most:.0f} nm at most.",
    )
    return figure


def _nearest_points(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The point of any segment (M, 2) to (M, 2) that is nearest to each of (N, 2) points."""
    along = end - start
    part = ((points[:, None] - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    on = start + part.clip(0, 1)[..., None] * along
    return on[np.arange(len(points)), np.linalg.norm(on - points[:, None], axis=-1).argmin(1)]


@styled
def ssim_map_figure(made: Tensor, target: Tensor, titles: Sequence[str]) -> Figure:
    """Outputs (N, 1, S, S) with one target (1, 1, S, S): each with its map of SSIM."""
    figure = new_figure(1.75 * len(made) + 0.8, 3.5)
    axes = figure.subplots(2, len(made), squeeze=False)
    shown = None
    for column, (image, title) in enumerate(zip(made, titles, strict=True)):
        image_axes(image, title, ax=axes[0, column], pixel_nm=PIXEL_NM if column == 0 else None)
        values = ssim_map(image[None].double(), target.double(), data_range=1.0)[0, 0].numpy()
        shown = axes[1, column].imshow(values, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
        axes[1, column].set(xticks=[], yticks=[], title=f"mean SSIM {values.mean():.3f}")
        axes[1, column].grid(False)
        low = (values < 0.5).mean()
        describe(axes[1, column], f"{title}: mean SSIM {values.mean():.3f}; below 0.5 on {low:.1%} of it.")
    if shown is not None:
        figure.colorbar(shown, ax=axes, shrink=0.7, label="SSIM of the window")
    return figure


@styled
def fault_figure(on: Stage, *, fault: str, grade: int, image: int, unit: str = SAME) -> Figure:
    """One layout, a faulty output of it, where they differ, and how far each judge moves.

    Args:
        grade: 1 (weakest) to 4.
        unit: which standard deviation; one of `UNITS`.
        image: which layout; the next one that can have the fault is taken.
    """
    strength = FAULTS[fault].levels[grade - 1]
    made, possible = on.output(fault, strength)
    order = [(image + k) % len(made) for k in range(len(made))]
    chosen = next((i for i in order if possible[i]), image)
    moves = on.in_units({name: float(v[chosen]) for name, v in on.moves(made).items()}, unit)
    figure = new_figure(10.2, 3.1)
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
    target = on.target[chosen]
    image_axes(target, "target", ax=axes[0], pixel_nm=PIXEL_NM)
    image_axes(made[chosen], f"{fault} {_strength(fault, strength)}", ax=axes[1])
    overlay_axes(made[chosen], target, "difference", ax=axes[2])
    move_bars(moves, axes[3])
    axes[3].set_xlabel(f"worse by (standard deviations,\n{unit})")
    return figure


def _strength(fault: str, strength: float) -> str:
    return f"{strength:g} {FAULTS[fault].unit}".strip()


_ON_A_CUT_BAR: Any = {"ha": "right", "va": "center", "color": "white", "fontsize": 8}


def move_bars(moves: Mapping[str, float], ax: Axes) -> Axes:
    """Bars of moves in standard deviations, cut at `MOST` with the number on it; undefined ones have none."""
    names = [name for name in SHOWN if name in moves]
    values = np.array([moves[name] for name in names])
    known = np.nan_to_num(values)
    colours = [COLOURS[1] if abs(v) >= BLIND else COLOURS[5] for v in known]
    ax.barh(range(len(names)), np.clip(known, -MOST, MOST), color=colours, height=0.65)
    ax.set_yticks(range(len(names)), ["defects (count)" if n == "defects" else n for n in names])
    ax.invert_yaxis()
    for i in np.flatnonzero(np.isnan(values)):
        ax.text(0.3, float(i), "not defined", va="center", fontsize=8, color="#8A8A8A")
    for i in np.flatnonzero(known > MOST):
        ax.text(MOST - 0.2, float(i), f"{known[i]:.0f} \N{RIGHTWARDS ARROW}", **_ON_A_CUT_BAR)
    for edge in (-BLIND, BLIND):
        ax.axvline(edge, color="black", linewidth=0.8, linestyle=":")
    ax.set(xlim=(-3, MOST), xlabel="worse by (standard deviations)", ylabel="judge")
    ax.set_title("grey: not seen")
    ax.grid(axis="y", visible=False)
    words = [f"{n} {'undefined' if np.isnan(v) else f'{v:+.1f}'}" for n, v in zip(names, values, strict=True)]
    return describe(ax, f"Moves in standard deviations of good outputs: {', '.join(words)}.")


@styled
def move_table_figure(on: Stage, *, grade: int, unit: str = SAME) -> Figure:
    """Moves by fault (rows, one grade of all) and judge (columns): what is blind to what."""
    rows = in_units(on, grade, unit)
    named = {f"{fault} {_strength(fault, strength)}": row for (fault, strength), row in rows.items()}
    return moves_figure(named, f"Worse by ... standard deviations over {SPREAD_OVER[unit]}")


def most_sensitive_table(on: Stage, grade: int = 2) -> Table:
    """For each fault and unit: which of the standard judges moves most, by how much, and SSIM beside it."""
    header, found = [""], []
    for unit in UNITS:
        header += [f"{unit}: moves most", "by", "SSIM by"]
        rows = in_units(on, grade, unit)
        found.append({row: (name, rows[row]) for row, name in most_moved(rows, STANDARD).items()})
    cells = []
    for fault, strength in found[0]:
        line = [f"{fault} {_strength(fault, strength)}"]
        for most in found:
            name, moves = most[fault, strength]
            line += [name, _short(moves[name]), _short(moves["SSIM"])]
        cells.append(line)
    return Table(header, cells, "L1, PSNR, SSIM, IoU in standard deviations of good outputs")


@styled
def moves_figure(rows: Mapping[str, Mapping[str, float]], title: str = "") -> Figure:
    """A table of moves, darker the larger, where a judge sees something: |move| of one standard deviation or
    more. Defects, right of the line, are a count: no shade."""
    judges = [name for name in SHOWN if any(name in row for row in rows.values())]
    values = np.array([[row.get(name, np.nan) for name in judges] for row in rows.values()])
    figure = new_figure(2.4 + 0.78 * len(judges), 1.2 + 0.27 * len(rows))
    ax = figure.subplots()
    sizes = np.where(np.array(judges) == "defects", 0.0, np.nan_to_num(np.abs(values)))
    shade = np.log10(np.maximum(sizes, BLIND)) / np.log10(max(float(sizes.max()), MOST))
    ax.imshow(shade, cmap="Blues", vmin=0, vmax=1.6, aspect="auto", interpolation="nearest")
    for i, j in np.ndindex(*values.shape):
        seen = abs(values[i, j]) >= BLIND
        words = "\N{EN DASH}" if np.isnan(values[i, j]) else _short(float(values[i, j]))
        ax.text(
            j, i, words, ha="center", va="center", fontsize=8,
            color="black" if seen else "#8A8A8A", fontweight="bold" if seen else "normal",
        )  # fmt: skip
    if "defects" in judges:
        ax.axvline(judges.index("defects") - 0.5, color="black", linewidth=1.2)
    ax.set_xticks(range(len(judges)), [f"{j}\n(count)" if j == "defects" else j for j in judges], rotation=30)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    ax.grid(False)
    figure.suptitle(title)
    blind = [f"{row} by {', '.join(_unseen(judges, v))}" for row, v in zip(rows, values, strict=True)]
    describe(ax, f"Not seen (under one standard deviation): {'; '.join(blind)}.")
    return figure


def _short(value: float) -> str:
    text = f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}"
    return text.replace("-", "\N{MINUS SIGN}").replace("\N{MINUS SIGN}0.0", "0.0")


def _unseen(judges: Sequence[str], values: np.ndarray) -> list[str]:
    return [j for j, v in zip(judges, values, strict=True) if not abs(v) >= BLIND] or ["none"]


@styled
def six_figure(six: SixOutputs, *, revealed: bool = False) -> Figure:
    """The target and six outputs by letter; `revealed` adds what is wrong with each."""
    figure = new_figure(6.0, 3.2)
    axes = figure.subplots(2, 4).ravel()
    image_axes(six.target[0], "target", ax=axes[0], pixel_nm=PIXEL_NM)
    axes[4].set_axis_off()
    places = [1, 2, 3, 5, 6, 7]
    for place, (letter, made) in zip(places, six.outputs.items(), strict=True):
        title = f"{letter}: {WHAT[letter][0]}" if revealed else letter
        image_axes(made[0], title, ax=axes[place])
    return figure


def order_table(six: SixOutputs) -> Table:
    """The scores of the six outputs, and what is wrong with each."""
    header = ["", "fault", "L1", "PSNR (dB)", "SSIM", "IoU", "EPE (nm)", "|CD error| (nm)", "defects"]
    rows = []
    for letter, row in six.scores().items():
        cells = [f"{row[k]:#.3g}".rstrip(".") for k in ("L1", "PSNR", "SSIM", "IoU", "EPE", "|CD error|")]
        rows.append([letter, WHAT[letter][0], *cells, f"{row['defects']:.0f}"])
    return Table(header, rows, "Six outputs for one layout")


@styled
def correlation_figure(found: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Rank correlation with the domain's order, one dot per layout, by judge; a line at each mean."""
    ax = new_axes(ax, 5.6, 3.0)
    words = []
    for k, (name, values) in enumerate(found.items()):
        mean = known_mean(np.asarray(values))
        ax.plot([k] * len(values), values, MARKERS[k], color=COLOURS[k], alpha=0.7)
        ax.plot([k - 0.25, k + 0.25], [mean, mean], color="black", linewidth=2)
        words.append(f"{name} {mean:+.2f} ({min(values):+.2f} to {max(values):+.2f})")
    ax.axhline(0, color="#999999", linestyle=":", linewidth=1)
    ax.set_xticks(range(len(found)), list(found))
    ax.set(xlim=(-0.5, len(found) - 0.5), ylim=(-1.05, 1.05), xlabel="judge", ylabel="rank correlation")
    ax.set_title("With the domain's order: the same six faults, one dot per layout")
    return describe(ax, f"Rank correlation with the domain's order, mean and range: {'; '.join(words)}.")


@styled
def threshold_figure(
    sweep: Mapping[str, Sequence[float]], thresholds: Sequence[float], ax: Axes | None = None
) -> Axes:
    """IoU against the threshold at which an output is cut, one curve per output."""
    ax = new_axes(ax, 6.4, 3.3)
    words = []
    for k, (name, values) in enumerate(sweep.items()):
        ax.plot(thresholds, values, MARKERS[k] + "-", color=COLOURS[k], label=name, markevery=2)
        best = thresholds[int(np.argmax(values))]
        words.append(f"{name} is best at {best:.2f} ({max(values):.2f})")
    ax.axvline(0.5, color="#999999", linestyle=":", linewidth=1)
    ax.set(xlabel="threshold on the output", ylabel="mean IoU", title="Where is the output cut?")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return describe(ax, f"IoU against the threshold: {'; '.join(words)}.")


@styled
def corner_figure(blur_nm: Sequence[float], radius_nm: Sequence[float], ax: Axes | None = None) -> Axes:
    """Corner radius of printed squares against the optical blur, with the closed form of a blurred corner."""
    ax = new_axes(ax, 5.4, 3.1)
    normal = torch.distributions.Normal(0.0, 1.0)
    pulled = float(normal.icdf(torch.tensor(0.5).sqrt()))  # a blurred corner crosses 1/2 where Phi(t)^2 = 1/2
    slope = pulled * (2 + 2**0.5)
    ax.plot(blur_nm, radius_nm, "o", color=COLOURS[0], label="measured")
    ax.plot(blur_nm, [slope * b for b in blur_nm], "--", color=COLOURS[1], label=f"{slope:.2f} x blur")
    ax.set(xlabel="optical blur, sigma (nm)", ylabel="corner radius (nm)", title="Printed squares")
    ax.legend()
    apart = max(abs(r - slope * b) for b, r in zip(blur_nm, radius_nm, strict=True))
    return describe(ax, f"Corner radius against blur: within {apart:.1f} nm of {slope:.2f} times the blur.")
