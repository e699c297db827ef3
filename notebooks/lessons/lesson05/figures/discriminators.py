"""The figures of lesson 05: what one logit sees, how norms leak, what discriminators make and remember."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gantrans.images import unit_from_network, unit_from_uint8
from gantrans.networks import (
    Box,
    PatchGAN,
    PatchGANConfig,
    UNetGenerator,
    gradient_support,
    receptive_field,
    support_box,
)
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    image_grid,
    new_axes,
    new_figure,
    styled,
)
from lessons.lesson05.experiments.patches import SETS, imitate, spectrum_distance, verdicts

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


@styled
def made_figure(layout: Tensor, real: Tensor, made: Mapping[str, Tensor], crop: int = 64) -> Figure:
    """A row per test pair: layout, real SEM image and what each arm makes of the layout, all in [0, 1]."""
    start = (layout.shape[-1] - crop) // 2
    inside = slice(start, start + crop)
    columns = {"layout": layout, "real SEM": real, **made}
    rows = [[images[i, 0, inside, inside] for images in columns.values()] for i in range(len(layout))]
    return image_grid(rows, list(columns), pixel_nm=20.0, size=1.55)


@styled
def draws_figure(
    generators: Mapping[str, UNetGenerator], layout: Tensor, real: Tensor, *, arm: str, image: int
) -> Figure:
    """One held-out layout, its real image, and two images that one generator makes of it with fresh noise.

    Args:
        layout, real: (N, 1, S, S) uint8.
        arm: whose generator; image: which pair.
    """
    crop = layout.shape[-1] // 4
    inside = (..., slice(crop, 2 * crop), slice(crop, 2 * crop))
    one = layout[image : image + 1]
    first, second = (unit_from_network(imitate(generators[arm], one, draw))[inside][0] for draw in (0, 1))
    figure = new_figure(9.4, 2.3)
    panels = {
        "layout": unit_from_uint8(one)[inside][0],
        "real SEM": unit_from_uint8(real[image : image + 1])[inside][0],
        f"{arm}, first draw": first,
        "second draw": second,
        "difference of the draws": (0.5 + first - second).clamp(0, 1),
    }
    for ax, (name, shown) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        image_axes(shown, name, ax=ax, pixel_nm=20.0 if name == "layout" else None)
    change = float((first - second).std())
    describe(figure.axes[-1], f"The two draws differ by {change:.2f} (standard deviation).")
    return figure


def quality_table(made: Mapping[str, Tensor], real: Tensor) -> dict[str, dict[str, float]]:
    """Pixel error and spectra of each arm's images against the real ones, (N, 1, S, S) in [0, 1]."""
    table = {}
    for arm, images in made.items():
        distance, texture = spectrum_distance(images, real)
        error = float((images - real).abs().mean())
        table[arm] = {"L1": error, "spectrum distance": distance, "fine half": texture}
    return table


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


@styled
def verdict_figure(
    layout: Tensor, real: Tensor, fake: Tensor, discriminators: Mapping[str, PatchGAN]
) -> Figure:
    """One real and one made image with the maps of logits that each discriminator gives them.

    Args:
        layout, real, fake: (1, 1, S, S) in [-1, 1].
    """
    figure = new_figure(1.55 * (1 + len(discriminators)) + 0.6, 3.6)
    axes = figure.subplots(2, 1 + len(discriminators))
    shown = None
    for row, (name, image) in zip(axes, (("real", real), ("made", fake)), strict=True):
        image_axes(image[0] / 2 + 0.5, f"{name} SEM", ax=row[0])
        for ax, (arm, critic) in zip(row[1:], discriminators.items(), strict=True):
            logits = verdicts(critic, layout, image)[0, 0].numpy()
            steps = np.round(20 * logits) / 20
            shown = ax.imshow(steps, cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
            ax.set_title(f"{arm}\n{logits.shape[0]} x {logits.shape[1]}: {logits.mean():.2f}")
            _bare(ax)
            describe(ax, f"{arm} on the {name} image: mean logit {logits.mean():.2f}.")
    if shown is not None:
        figure.colorbar(shown, ax=axes, shrink=0.7, label="logit (1: real, 0: made)")
    return figure
