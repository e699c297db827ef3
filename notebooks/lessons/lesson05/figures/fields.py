"""The figures of lesson 05 on fields: what one logit sees, how often a pixel is seen, how norms leak."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gantrans.networks import (
    Box,
    PatchGAN,
    PatchGANConfig,
    gradient_support,
    receptive_field,
    support_box,
)
from gantrans.teaching.plots import (
    COLOURS,
    Table,
    describe,
    image_axes,
    new_figure,
    styled,
)

NORMS: Mapping[str, tuple[PatchGANConfig, bool]] = {
    "no norm": (PatchGANConfig(base_filters=16, n_layers=2), True),
    "spectral norm": (PatchGANConfig(base_filters=16, n_layers=2, spectral_norm=True), True),
    "instance norm": (PatchGANConfig(base_filters=16, n_layers=2, norm="instance"), True),
    "batch norm, training": (PatchGANConfig(base_filters=16, n_layers=2, norm="batch"), True),
    "batch norm, in use": (PatchGANConfig(base_filters=16, n_layers=2, norm="batch"), False),
}
"""A 34 px discriminator under each norm, and whether it is in training mode."""


def field_table(sizes: Sequence[int] = (64, 128, 256)) -> Table:
    """Field, step and map of logits of every PatchGAN, n_layers 1 to 5."""
    rows = []
    for n in range(1, 6):
        config = PatchGANConfig(n_layers=n)
        formula = receptive_field(config.layers)
        maps = [config.logit_size(size) for size in sizes]
        cells = [f"{m} x {m}" if m else "none left" for m in maps]
        rows.append([str(n), f"{formula.size} px", f"{formula.jump} px", *cells])
    return Table(["n_layers", "field", "step", *(f"map at {size} px" for size in sizes)], rows)


@styled
def field_figure(layout: Tensor, *, n_layers: int, row: float, column: float) -> Figure:
    """The field of one logit three times: by formula on the image, by gradient, and the logit on its map.

    Args:
        layout: (1, S, S) in [0, 1].
        n_layers: of the PatchGAN.
        row, column: where on the map of logits, in percent of its height and width.
    """
    size = layout.shape[-1]
    config = PatchGANConfig(base_filters=1, n_layers=n_layers)  # the field does not depend on the filters
    n = config.logit_size(size)
    i, j = (round(share / 100 * (n - 1)) for share in (row, column))
    box = config.logit_field(i, j, size, size)
    support = gradient_support(PatchGAN(config), size, i, j)
    figure = new_figure(9.4, 3.5)
    left, middle, right = figure.subplots(1, 3)

    image_axes(layout, f"formula: a {receptive_field(config.layers).size} px field", ax=left, pixel_nm=20.0)
    _outline(left, box)
    describe(left, f"By formula logit ({i}, {j}) sees {_words(box)} of a {size} px image.")
    image_axes(support.float(), "gradient: pixels that move the logit", ax=middle)
    _outline(middle, box)
    describe(middle, f"The gradient is not zero in {_words(support_box(support))}.")

    marked = np.zeros((n, n))
    marked[i, j] = 1.0
    right.imshow(marked, cmap="cividis", interpolation="nearest")
    right.set(title=f"map of logits: {n} x {n}", xlabel=f"column {j}", ylabel=f"row {i}")
    _bare(right)
    describe(right, f"The map has {n} x {n} logits.")
    return figure


def _words(box: Box) -> str:
    return (
        f"{box.bottom - box.top} x {box.right - box.left} px, rows {box.top} to {box.bottom - 1}, "
        f"columns {box.left} to {box.right - 1}"
    )


def _outline(ax: Axes, box: Box) -> None:
    corner = (box.left - 0.5, box.top - 0.5)
    for colour, width in (("white", 3.2), (COLOURS[1], 1.6)):
        sides = (box.right - box.left, box.bottom - box.top)
        ax.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=colour, linewidth=width))


def _bare(ax: Axes) -> None:
    """A frame and nothing else: for maps whose places are not pixels to read off."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(True)
        spine.set_color("#888888")


@styled
def overlap_figure(size: int = 256, n_layers: Sequence[int] = (1, 2, 3)) -> Figure:
    """How many logits look at each pixel: fields overlap, and the border is judged less often."""
    figure = new_figure(3.1 * len(n_layers), 3.2)
    for ax, n in zip(figure.subplots(1, len(n_layers), squeeze=False)[0], n_layers, strict=True):
        config = PatchGANConfig(n_layers=n)
        rows = np.zeros(size)
        for i in range(config.logit_size(size)):
            box = config.logit_field(i, 0, size, size)
            rows[box.top : box.bottom] += 1
        votes = np.outer(rows, rows)
        shown = ax.imshow(votes, cmap="cividis", interpolation="nearest", vmin=0)
        ax.set_title(f"{config.receptive_field} px field")
        _bare(ax)
        figure.colorbar(shown, ax=ax, shrink=0.75, label="logits that see the pixel")
        describe(
            ax,
            f"With a {config.receptive_field} px field a pixel in the middle is seen by {votes.max():.0f} "
            f"logits, one in the corner by {votes[0, 0]:.0f}.",
        )
    return figure


def logit_gradients(norm: str, images: Tensor) -> Tensor:
    """|gradient| of the middle logit of image 0 with respect to every image of a batch.

    Args:
        norm: a name of `NORMS`.
        images: (B, 1, S, S) in [-1, 1].

    Returns:
        (B, S, S) float64, at the initial weights.
    """
    config, training = NORMS[norm]
    network = PatchGAN(config).double().train(training)
    seen = images.double().requires_grad_()
    logits = network(torch.zeros_like(seen), seen).logits
    middle = config.logit_size(images.shape[-1]) // 2
    (gradient,) = torch.autograd.grad(logits[0, 0, middle, middle].double(), seen)
    return gradient[:, 0].abs()


def leak_table(gradients: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Where one logit's gradient lies, in percent of its sum: in its field, elsewhere, in other images."""
    table = {}
    for norm, gradient in gradients.items():
        box = _middle_box(gradient.shape[-1])
        field = torch.zeros_like(gradient[0], dtype=torch.bool)
        field[box.top : box.bottom, box.left : box.right] = True
        parts = {
            "in the field": gradient[0][field],
            "rest of the image": gradient[0][~field],
            "other image": gradient[1:],
        }
        table[norm] = {name: 100 * float(part.sum() / gradient.sum()) for name, part in parts.items()}
    return table


def _middle_box(size: int) -> Box:
    config = PatchGANConfig(n_layers=2)
    middle = config.logit_size(size) // 2
    return config.logit_field(middle, middle, size, size)


@styled
def leak_figure(gradients: Mapping[str, Tensor]) -> Figure:
    """The gradient of one logit of the first image, on that image (top) and on its batch-mate (bottom)."""
    figure = new_figure(1.9 * len(gradients), 4.2)
    axes = figure.subplots(2, len(gradients))
    for column, (norm, gradient) in enumerate(gradients.items()):
        peak = float(gradient[0].max())
        for row, (ax, values) in enumerate(zip(axes[:, column], gradient, strict=False)):
            shown = np.round(2 * np.log10(np.maximum(values.numpy() / peak, 1e-6))) / 2  # half decades
            shown[values.numpy() == 0] = np.nan
            colours = mpl.colormaps["cividis"].with_extremes(bad="white")
            image = ax.imshow(shown, cmap=colours, vmin=-6, vmax=0, interpolation="nearest")
            _bare(ax)
            ax.set_title(norm.replace(", ", ",\n") if row == 0 else "")
            touched = float((values != 0).float().mean())
            which = "its own image" if row == 0 else "the other image of the batch"
            describe(ax, f"{norm}: the gradient touches {touched:.1%} of {which}.")
    axes[0, 0].set_ylabel("its own image")
    axes[1, 0].set_ylabel("other image")
    figure.colorbar(image, ax=axes, shrink=0.7, label="log10 of |gradient| / its peak")
    figure.suptitle("What moves one logit: its gradient at every pixel. White: exactly zero")
    return figure
