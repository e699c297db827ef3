"""The figures of lesson 00: the way of the data, thresholds, the first translator, alignment, symmetries.

The picture of the README is made here as well: `python -m lessons.lesson00.figures.pipeline` (about 80 s).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from torch import Tensor

from gantrans import ROOT
from gantrans.data import (
    FAMILIES,
    PRESETS,
    CellConfig,
    LayoutConfig,
    Layouts,
    cell_layouts,
    context_px,
    procedural_layouts,
    simulate,
)
from gantrans.data.pairs import dihedral
from gantrans.metrics import iou
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    describe,
    image_axes,
    image_grid,
    new_figure,
    overlay_axes,
    picture,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.translation import denoise, segment
from lessons.lesson00.experiments.first_translator import (
    CELLS,
    PIXEL_NM,
    Images,
    chosen_variant,
    compare,
    held_out,
    train_first,
)

SOURCES = (*FAMILIES, *CELLS)
FIELD_NM = 1280.0
PIXELS_NM = (10, 16, 20, 32, 40)
"""Pixel sizes that divide the field and its context, so that every one shows the same clip."""
PICTURE = ROOT / "notebooks" / "figures" / "course.png"
PICTURE_STEPS = 2200


def drawn_clip(source: str, pixel_nm: float) -> Layouts:
    """One clip of a family or SKY130 layer: 1,280 nm wide at any of `PIXELS_NM`."""
    size, margin = round(FIELD_NM / pixel_nm), context_px(pixel_nm)
    if source in CELLS:
        return cell_layouts(CellConfig(CELLS[source], "train", size, pixel_nm), 0, [2], margin_px=margin)
    one = tuple(float(family == source) for family in FAMILIES)
    return procedural_layouts(LayoutConfig(size, pixel_nm, weights=one), 0, [4], margin_px=margin)


@styled
def pipeline_figure(*, source: str, dose: float, beam: float, roughness: float, pixel: float) -> Figure:
    """Drawn layout, printed shape, SEM image, and the grey levels along its middle row.

    Args:
        source: one of `SOURCES`.
        dose: electrons per pixel at full-scale signal. beam: sigma of the beam in nm.
        roughness: standard deviation of an edge in nm. pixel: one of `PIXELS_NM`.
    """
    conditions = replace(
        PRESETS["default"].fixed(),
        dose=(dose, dose),
        beam_sigma_nm=(beam, beam),
        ler_sigma_nm=(roughness, roughness),
    )
    drawn = drawn_clip(source, pixel)
    sem, printed = (images[0, 0].numpy() for images in simulate(drawn, conditions, 0, [0]))
    expected = simulate(drawn, replace(conditions, dose=(1e6, 1e6)), 0, [0]).sem[0, 0].numpy()
    layout = drawn.clip[0, 0].numpy()
    figure = new_figure(9.6, 2.7)
    axes = figure.subplots(1, 4, width_ratios=(1, 1, 1, 1.45))
    image_axes(layout, "1. drawn layout", ax=axes[0], pixel_nm=pixel)
    image_axes(printed, "2. printed shape", ax=axes[1])
    if layout.min() < 0.5 < layout.max():
        axes[1].contour(layout, levels=[0.5], colors=[COLOURS[1]], linewidths=1.0)
    image_axes(sem, "3. SEM image", ax=axes[2])
    along, line = _busiest_line(layout)
    (axes[2].axhline if along else axes[2].axvline)(line, color=COLOURS[3], linewidth=1.4, linestyle="--")
    seen, clean, cut = (image[line] if along else image[:, line] for image in (sem, expected, layout))
    x = (np.arange(len(sem)) + 0.5) * pixel
    axes[3].fill_between(x, 0, cut > 0.5, step="mid", color="#DDDDDD", label="drawn")
    axes[3].plot(x, seen, color=COLOURS[3], linewidth=0.9, label="image")
    axes[3].plot(x, clean, color=COLOURS[0], linewidth=1.8, label="without noise")
    axes[3].set(xlabel="position (nm)", ylabel="grey level", ylim=(0, 1.18), xlim=(0, FIELD_NM))
    axes[3].set(title="along the dashed line", yticks=(0, 0.5, 1))
    axes[3].legend(loc="upper center", ncols=3, fontsize=7.5, columnspacing=1.0, handlelength=1.4)
    words = (
        f"tops {clean[cut > 0.5].mean():.2f}, spaces {clean[cut < 0.5].mean():.2f}"
        if 0 < cut.mean() < 1
        else ""
    )
    describe(
        axes[3], f"Grey levels along the dashed line, without noise up to {clean.max():.2f}; mean {words}."
    )
    return figure


def _busiest_line(layout: np.ndarray) -> tuple[bool, int]:
    """The row (True, index) or column (False, index) with most edges, nearest to the middle among equals."""
    best = []
    for axis in (1, 0):
        edges = np.abs(np.diff(layout > 0.5, axis=axis)).sum(axis)
        middle = -np.abs(np.arange(len(edges)) - len(edges) // 2)
        line = int(np.lexsort((middle, edges))[-1])
        best.append((int(edges[line]), axis == 1, line))
    return max(best)[1:]


@styled
def thresholds_figure(examples: Mapping[str, Images], variants: Mapping[str, str], picked: int) -> Figure:
    """A row per difficulty: SEM image, layout, Otsu's answer laid over it, and the grey levels of all clips.

    Args:
        examples: {difficulty: test images}. variants: {difficulty: its `DENOISE_OTSU` variant}.
        picked: which test clip is shown.
    """
    figure = new_figure(9.4, 2.45 * len(examples))
    grid = figure.subplots(len(examples), 4, width_ratios=(1, 1, 1, 1.7), squeeze=False)
    for row, (name, (sem, layout, _)) in enumerate(examples.items()):
        axes = grid[row]
        answer = segment(sem, variants[name])
        image_axes(sem[picked], f"{name}: SEM image", ax=axes[0])
        image_axes(layout[picked], "drawn layout", ax=axes[1])
        overlay_axes(
            answer[picked],
            layout[picked],
            f"Otsu: IoU {_iou(answer[picked], layout[picked]):.2f}",
            ax=axes[2],
        )
        grey_axes(axes[3], name, denoise(sem, variants[name]), layout)
    grid[0, 3].legend()
    grid[-1, 3].set_xlabel("grey level minus Otsu's threshold of its image")
    return figure


def grey_axes(ax: Axes, name: str, image: Tensor, layout: Tensor) -> Axes:
    """Histograms of grey levels less each image's Otsu threshold: tops, spaces, pixels at drawn edges."""
    from skimage.filters import threshold_otsu

    level = torch.tensor([threshold_otsu(i) for i in image[:, 0].numpy()]).view(-1, 1, 1, 1)
    wide, narrow = (torch.nn.functional.max_pool2d(s * layout, 3, 1, 1) * s for s in (1, -1))
    kinds = {"tops": narrow > 0.5, "spaces": wide < 0.5, "edges": wide - narrow > 0.5}
    words = []
    for i, (kind, mask) in enumerate(kinds.items()):
        values = (image - level)[mask].numpy()
        ax.hist(
            values, bins=np.linspace(-0.3, 0.4, 36).tolist(), density=True, histtype="step", label=kind,
            color=COLOURS[i], linestyle=LINES[i], linewidth=1.6,
        )  # fmt: skip
        words.append(f"{(values > 0).mean():.0%} of the {kind}")
    ax.axvline(0, color="#666666", linewidth=1)
    ax.set(ylabel="density", yticks=[], title="called drawn: right of 0")
    return describe(ax, f"{name}: brighter than Otsu's threshold are {', '.join(words)}.")


@styled
def ranked_figure(test: Images, answers: Mapping[str, Tensor], *, rank: int) -> Figure:
    """The test clip at `rank` percent (0 the worst) when sorted by the last answer's IoU."""
    order = iou(list(answers.values())[-1], test.layout).argsort()
    clip = int(order[round(rank / 100 * (len(order) - 1))])
    figure = new_figure(2.3 * (2 + len(answers)), 2.65)
    axes = figure.subplots(1, 2 + len(answers))
    image_axes(test.sem[clip], "SEM image", ax=axes[0], pixel_nm=PIXEL_NM)
    image_axes(test.layout[clip], f"layout: {test.family[clip].replace('_', ' ')}", ax=axes[1])
    for ax, (name, answer) in zip(axes[2:], answers.items(), strict=True):
        overlay_axes(
            answer[clip], test.layout[clip], f"{name}: IoU {_iou(answer[clip], test.layout[clip]):.2f}", ax=ax
        )
    return figure


def _iou(prediction: Tensor, layout: Tensor) -> float:
    return float(iou(prediction[None], layout[None])[0])


@styled
def recovery_figure(tables: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Shares of raw fields found, flagged, silently wrong against the dose; a panel per `recovery_table`."""
    figure = new_figure(4.6 * len(tables), 3.2)
    labels = {
        "recovered": "found within 1 px",
        "flagged": "flagged for a look",
        "silent": "wrong and not flagged",
    }
    for ax, (name, rows) in zip(
        figure.subplots(1, len(tables), squeeze=False)[0], tables.items(), strict=True
    ):
        doses, words = [row["dose"] for row in rows], []
        for i, (key, label) in enumerate(labels.items()):
            values = [100 * row[key] for row in rows]
            ax.plot(doses, values, marker=MARKERS[i], linestyle=LINES[i], color=COLOURS[i], label=label)
            words.append(f"{label} {', '.join(f'{v:.0f}' for v in values)} %")
        ax.set(title=name, xlabel="dose (electrons per pixel)", ylabel="share of fields (%)", ylim=(-5, 105))
        ax.set_xscale("log")
        ax.set_xticks(doses, [f"{d:g}" for d in doses], minor=False)
        ax.xaxis.set_minor_locator(NullLocator())
        describe(ax, f"{name}, doses {', '.join(f'{d:g}' for d in doses)}: {'; '.join(words)}.")
    figure.axes[0].legend(loc="center right")
    return figure


def symmetries_figure(sem: Tensor, layout: Tensor) -> Figure:
    """The eight pairs that flips and quarter turns make of one, (1, S, S): the same move for both images."""
    names = [f"{90 * (k % 4)}°" + (", mirrored" if k >= 4 else "") for k in range(8)]
    rows = [[dihedral(image, k) for k in range(8)] for image in (sem, layout)]
    return image_grid(rows, names, row_titles=["SEM image", "layout"], size=1.2)


@styled
def learning_figure(
    losses: Sequence[float], answers: Mapping[int, Tensor], sem: Tensor, layout: Tensor, smooth: int = 20
) -> Figure:
    """The loss of every step from the first on, and beneath it what the network made of one clip.

    Args:
        answers: {steps taken: the network's answer (1, S, S) in [0, 1]}. sem, layout: the clip, (1, S, S).
        smooth: the line is the mean of so many steps.
    """
    figure = new_figure(9.4, 4.3)
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.35, 1))
    ax = parts[0].subplots()
    width = min(smooth, len(losses))
    mean = np.convolve(losses, np.ones(width) / width, mode="valid")
    ax.plot(np.arange(1, len(losses) + 1), losses, color="#BBBBBB", linewidth=0.7, label="each step")
    ax.plot(np.arange(width, len(losses) + 1), mean, color=COLOURS[0], label=f"mean of {width} steps")
    for step in answers:
        ax.axvline(max(step, 1), color=COLOURS[1], linewidth=0.9, linestyle=":")
    ax.set(xlabel="training step", ylabel="L1 loss", ylim=(0, None), xlim=(0.9, len(losses) * 1.05))
    ax.set_xscale("log")
    ax.legend(loc="upper right")
    describe(ax, f"L1 loss from {losses[0]:.2f} at the first step to {mean[-1]:.2f} at the end.")
    panels = {"SEM image": sem, **{f"after {n} steps": image for n, image in answers.items()}}
    panels["drawn layout"] = layout
    for panel, (name, image) in zip(parts[1].subplots(1, len(panels)), panels.items(), strict=True):
        image_axes(image, name, ax=panel)
    return figure


def reversed_figure(test: Images, answer: Tensor, picked: Sequence[int]) -> Figure:
    """Clips whose tops are darker than the spaces: SEM images, drawn layouts, the network's answers."""
    rows = [[images[i] for i in picked] for images in (test.sem, test.layout, answer)]
    return image_grid(rows, row_titles=["SEM image", "drawn layout", "network"], size=1.5)


@styled
def course_picture(
    rows: Mapping[str, Images], network: Mapping[str, Tensor], variants: Mapping[str, str]
) -> Figure:
    """The README's picture: a row per source with SEM image, denoise + Otsu, the network, the drawn layout.

    Of the eleven clips about the network's median IoU, the one with most edges is shown.
    """
    figure = new_figure(9.6, 2.45 * len(rows))
    for row, (axes, name) in enumerate(zip(figure.subplots(len(rows), 4), rows, strict=True)):
        sem, layout, _ = rows[name]
        order = iou(network[name], layout).argsort()
        middle = order[max(len(order) // 2 - 5, 0) : len(order) // 2 + 6]
        edges = sum(layout[middle].diff(dim=d).abs().sum((1, 2, 3)) for d in (-1, -2))
        i = int(middle[int(torch.as_tensor(edges).argmax())])
        by_threshold = segment(sem[[i]], variants[name])[0]
        image_axes(sem[i], "SEM image", ax=axes[0], pixel_nm=PIXEL_NM)
        image_axes(by_threshold, f"denoise + Otsu: IoU {_iou(by_threshold, layout[i]):.2f}", ax=axes[1])
        image_axes(network[name][i], f"network: IoU {_iou(network[name][i], layout[i]):.2f}", ax=axes[2])
        image_axes(layout[i], "drawn layout", ax=axes[3])
        axes[0].set_ylabel(name)
        for ax in axes[::3]:
            ax.set_title(ax.get_title() if row == 0 else "")
    return figure


def write_picture(path: Path = PICTURE) -> dict[str, tuple[float, float]]:
    """Train on procedural pairs for about a core-minute (or load that run), and write the README's PNG.

    Returns:
        {source: mean test IoU of the network and of denoise + Otsu}.
    """
    trained = train_first("reduced", 0, steps=PICTURE_STEPS)
    sources = ("procedural", "SKY130 li1", "SKY130 poly")
    rows = {source: held_out("reduced", 0, source) for source in sources}
    variants = {source: chosen_variant("reduced", 0, source) for source in sources}
    network = {source: trained.predictor.translate(rows[source].sem) for source in sources}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture(course_picture(rows, network, variants)).png)
    table = compare("reduced", 0, trained.predictor, sources)
    return {source: (row["IoU, network"], row["IoU, Otsu"]) for source, row in table.items()}


if __name__ == "__main__":
    for source, (net, otsu) in write_picture().items():
        print(f"{source}: mean IoU {net:.3f} (network), {otsu:.3f} (denoise + Otsu)")
    print(f"written: {PICTURE.relative_to(ROOT)}")
