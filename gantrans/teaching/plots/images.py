"""Figures made of images: rows and grids with a scale bar, overlays, receptive fields, alignment."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gantrans.teaching.plots.style import (
    AGREE,
    COLOURS,
    EXTRA,
    MISSING,
    describe,
    figure_of,
    new_axes,
    new_figure,
    styled,
)


def pixels(image: Any) -> np.ndarray:
    """An image (H, W) or (1, H, W), tensor or array, as a float array (H, W)."""
    array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image, dtype=np.float64)
    return array.reshape(array.shape[-2:])


@styled
def image_axes(
    image: Any,
    title: str = "",
    *,
    pixel_nm: float | None = None,
    ax: Axes | None = None,
    limits: Any = (0.0, 1.0),
) -> Axes:
    """One image in [0, 1] (or `limits`; None: its own range), with a scale bar if the pixel size is known."""
    array = pixels(image)
    ax = new_axes(ax, 2.6, 2.8)
    low, high = (array.min(), array.max()) if limits is None else limits
    ax.imshow(array, vmin=low, vmax=high, cmap="gray", interpolation="nearest")
    _frame(ax, title)
    if pixel_nm is not None:
        scale_bar(ax, array.shape[1], pixel_nm)
    height, width = array.shape
    size = f"{width} x {height} px" + (f" of {pixel_nm:g} nm" if pixel_nm is not None else "")
    return describe(
        ax,
        f"{title or 'Image'}: {size}, mean {array.mean():.2f}, from {array.min():.2f} to {array.max():.2f}.",
    )


@styled
def overlay_axes(
    prediction: Any, target: Any, title: str = "", *, threshold: float = 0.5, ax: Axes | None = None
) -> Axes:
    """Where a prediction agrees with its target: grey in both, vermilion missing, blue extra."""
    predicted, wanted = pixels(prediction) > threshold, pixels(target) > threshold
    ax = new_axes(ax, 2.6, 2.8)
    colours = np.ones((*wanted.shape, 3))
    kinds = {"missing": (wanted & ~predicted, MISSING), "extra": (predicted & ~wanted, EXTRA)}
    for mask, colour in [(wanted & predicted, AGREE), *kinds.values()]:
        colours[mask] = to_rgb(colour)
    ax.imshow(colours, interpolation="nearest")
    shares = ", ".join(f"{name} {mask.mean():.1%}" for name, (mask, _) in kinds.items())
    _frame(ax, title)
    for x, (name, (_, colour)) in zip((0.0, 0.55), kinds.items(), strict=True):
        ax.text(x, -0.03, f"■ {name}", color=colour, transform=ax.transAxes, va="top", fontsize=8.5)
    union = (wanted | predicted).sum()
    iou = (wanted & predicted).sum() / union if union else 1.0
    return describe(ax, f"{title or 'Overlay'}: IoU {iou:.3f}; {shares} of the pixels.")


@styled
def image_grid(
    rows: Sequence[Sequence[Any]],
    titles: Sequence[str] = (),
    *,
    row_titles: Sequence[str] = (),
    suptitle: str = "",
    pixel_nm: float | None = None,
    size: float = 1.75,
    limits: Any = (0.0, 1.0),
) -> Figure:
    """Rows of images in [0, 1] with column and row titles; `size` is the side of one in inches."""
    n_rows, n_columns = len(rows), max(map(len, rows))
    words = (0.55 if suptitle else 0.3) + (0.0 if pixel_nm is None else 0.2)  # the scale bar has a label
    words += 0.17 * (max((title.count("\n") for title in titles), default=0) + suptitle.count("\n"))
    figure = new_figure(size * n_columns + 0.3, size * n_rows + words)
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for i, row in enumerate(rows):
        for j in range(n_columns):
            if j >= len(row):
                axes[i, j].set_axis_off()
                continue
            title = titles[j] if j < len(titles) else ""
            name = " ".join(filter(None, [row_titles[i] if row_titles else "", title]))
            ax = image_axes(
                row[j], name, ax=axes[i, j], limits=limits, pixel_nm=pixel_nm if i == j == 0 else None
            )
            ax.set_title(title if i == 0 else "")
            if row_titles and j == 0:
                ax.set_ylabel(row_titles[i])
    figure.suptitle(suptitle)
    return figure


@styled
def alignment_figure(
    raw: Any, template: Any, score: Any, offset: tuple[float, float], *, pixel_nm: float | None = None
) -> Figure:
    """Raw field with the template's place marked, the template, and the map of NCC with its peak.

    Args:
        raw: (H, W) in [0, 1]; template: (h, w) in [0, 1]; score: (H-h+1, W-w+1) in [-1, 1].
        offset: row and column of the best place, px.
    """
    figure = new_figure(9.2, 3.3)
    left, middle, right = figure.subplots(1, 3)
    height, width = pixels(template).shape
    row, column = offset
    image_axes(raw, "raw field", ax=left, pixel_nm=pixel_nm)
    _box(left, (row, column, height, width))
    describe(left, f"The template lies at row {row:g}, column {column:g} of the raw field.")
    image_axes(template, "template", ax=middle)
    values = pixels(score)
    shown = right.imshow(values, cmap="cividis", interpolation="nearest")
    right.plot(column, row, "+", color="white", markersize=12, markeredgewidth=1.8)
    right.set(title="NCC", xlabel="offset x (px)", ylabel="offset y (px)")
    right.grid(False)
    figure_of(right).colorbar(shown, ax=right, shrink=0.8)
    return _described(
        figure, right, f"NCC over all offsets: peak {values.max():.2f}, median {np.median(values):.2f}."
    )


def scale_bar(ax: Axes, width_px: int, pixel_nm: float) -> None:
    """A bar of a round length, about a quarter of the width, with its label: below the image at the right, so
    that it hides no corner."""
    raw = width_px * pixel_nm / 4
    power = 10.0 ** np.floor(np.log10(raw))
    length = max(k for k in (1, 2, 5, 10) if k * power <= raw) * power / pixel_nm
    end, below = width_px - 0.5, ax.get_xaxis_transform()  # x in pixels, y in heights of the axes
    ax.plot(
        [end - length, end], [-0.05, -0.05], color="black", linewidth=2.5, solid_capstyle="butt",
        transform=below, clip_on=False, scalex=False, scaley=False,
    )  # fmt: skip
    nm = length * pixel_nm
    label = f"{nm / 1000:g} µm" if nm >= 1000 else f"{nm:g} nm"
    ax.text(
        end - length - 0.03 * width_px, -0.05, label, ha="right", va="center", fontsize=8, transform=below
    )


def _described(figure: Figure, ax: Axes, text: str) -> Figure:
    describe(ax, text)
    return figure


def _frame(ax: Axes, title: str) -> None:
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#888888")


def _box(ax: Axes, box: tuple[float, float, float, float]) -> None:
    row, column, height, width = box
    for colour, thickness in (("white", 3.2), (COLOURS[1], 1.6)):
        ax.add_patch(
            Rectangle(
                (column - 0.5, row - 0.5), width, height, fill=False, edgecolor=colour, linewidth=thickness
            )
        )
