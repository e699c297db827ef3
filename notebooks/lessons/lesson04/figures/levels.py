"""What each level of a trained U-Net brings: one map replaced, switched off, or taken from another image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.metrics import iou
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    describe,
    image_axes,
    new_axes,
    new_figure,
    overlay_axes,
    styled,
)
from lessons.lesson04.figures.compare import outline

HATCHES = ("", "///", "...")
FIRST, SECOND = COLOURS[0], COLOURS[1]

Draw = Callable[[Sequence[Tensor]], Tensor]
"""What the decoder draws from the encoder's maps, finest first: (N, 1, S, S) in [0, 1]."""


@styled
def contribution_axes(losses: Mapping[str, Tensor], names: Sequence[str], ax: Axes | None = None) -> Axes:
    """IoU lost when the decoder gets a substitute for one map: {substitute: (levels, N)}, finest first."""
    ax = new_axes(ax, 7.6, 3.4)
    words = []
    width = 0.8 / len(losses)
    for i, (by, values) in enumerate(losses.items()):
        mean = values.mean(1).numpy()
        error = 2.58 * values.std(1).numpy() / values.shape[1] ** 0.5
        x = np.arange(len(names)) + (i - (len(losses) - 1) / 2) * width
        ax.bar(
            x, mean, width * 0.9, yerr=error, label=by, color=COLOURS[i], hatch=HATCHES[i], edgecolor="white",
            capsize=2, ecolor="#333333",
        )  # fmt: skip
        words.append(f"{by}: " + ", ".join(f"{n} {m:.2f}" for n, m in zip(names, mean, strict=True)))
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set_xticks(range(len(names)), names)
    ax.grid(axis="x", visible=False)
    ax.set(xlabel="the one map that is replaced", ylabel="IoU lost")
    ax.legend(title="replaced by")
    return describe(ax, f"IoU lost by level, with 99 % intervals over test images. {'; '.join(words)}.")


@styled
def switches_figure(
    draw: Draw, maps: Sequence[Tensor], others: Sequence[Tensor], sem: Tensor, layout: Tensor, **kept: bool
) -> Figure:
    """What the decoder draws of one test image when only some maps reach it.

    Args:
        draw: the decoder.
        maps: of the image, finest first, the bottleneck last.
        others: what stands in for a map that is switched off.
        sem, layout: the image and its layout (1, S, S) in [0, 1].
        kept: level_0, level_1, ...: whether the map of this level gets through.
    """
    off = [not kept.get(f"level_{k}", True) for k in range(len(maps))]
    made = draw([b if gone else a for a, b, gone in zip(maps, others, off, strict=True)])[0]
    figure = new_figure(8.4, 2.7)
    axes = figure.subplots(1, 4)
    image_axes(sem, "SEM image", ax=axes[0])
    image_axes(layout, "drawn layout", ax=axes[1])
    image_axes(made, "output", ax=axes[2])
    overlay_axes(made, layout, f"IoU {float(iou(made[None], layout[None])[0]):.2f}", ax=axes[3])
    return figure


@styled
def chimera_figure(scores: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Whose layout is drawn, by how many of the finest maps come from the second image."""
    ax = new_axes(ax, 7.0, 3.2)
    for i, (label, values) in enumerate(scores.items()):
        ax.plot(range(len(values)), values, label=label, marker=MARKERS[i], color=COLOURS[i])
    ax.set(xlabel="finest maps taken from the second image", ylabel="IoU", ylim=(0, 1))
    ax.legend()
    words = "; ".join(f"{label}: {', '.join(f'{v:.2f}' for v in values)}" for label, values in scores.items())
    return describe(ax, f"IoU by number of finest maps taken from the second image. {words}.")


@styled
def chimera_images(sem: Sequence[Tensor], layouts: Sequence[Tensor], made: Sequence[Tensor]) -> Figure:
    """Two SEM images with their outlines, and what is drawn when 0, 1, ... finest maps are the second's.

    Args:
        sem, layouts: of the first and the second image, (1, S, S) in [0, 1] each.
        made: outputs, with both outlines drawn onto them.
    """
    figure = new_figure(1.6 * (len(made) + 2), 2.1)
    axes = figure.subplots(1, len(made) + 2)
    for ax, image, layout, colour, name in zip(
        axes, sem, layouts, (FIRST, SECOND), ("first image", "second image"), strict=False
    ):
        image_axes(image, name, ax=ax)
        ax.title.set_color(colour)
        outline(ax, layout, colour)
    for k, (ax, image) in enumerate(zip(axes[2:], made, strict=True)):
        image_axes(1 - 0.6 * image, f"{k} from 2nd" if k else "none from 2nd", ax=ax)
        for layout, colour in zip(layouts, (FIRST, SECOND), strict=True):
            outline(ax, layout, colour)
        values = [float(iou(image[None], layout[None])[0]) for layout in layouts]
        words: Any = f"IoU {values[0]:.2f} with the first, {values[1]:.2f} with the second"
        describe(ax, f"{k} finest maps from the second image: {words}.")
    return figure
