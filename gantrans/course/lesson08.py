"""The figures of lesson 08: how far networks see, where attention looks, what it brings and what it costs."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.course.experiments import attention_cost
from gantrans.course.experiments.attention_range import LINES, PERIOD, SHOWN, SIZE
from gantrans.course.experiments.attention_training import FOUNDATIONS, PLACES
from gantrans.course.experiments.sweeps import Table as SweepTable
from gantrans.course.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    new_axes,
    new_figure,
    styled,
)
from gantrans.images import network_from_unit
from gantrans.networks import UNetConfig, UNetGenerator

STARTS = {"gamma 0": 0, "gamma 1": 1}


def arrays_figure(images: Tensor, lines: Tensor, outputs: Mapping[str, Tensor] | None = None) -> Figure:
    """Images of the array task, what is drawn there, and what networks answer: a row each.

    Args:
        images, lines: (N, 1, H, SIZE) in [0, 1]; the first two are shown.
        outputs: {arm: the same shape}.
    """
    rows = {"image": images, "drawn": lines, **(outputs or {})}
    return _array_rows([(f"{name} {k + 1}", row[k, 0]) for k in range(2) for name, row in rows.items()])


@styled
def _array_rows(rows: Sequence[tuple[str, Tensor]]) -> Figure:
    figure = new_figure(8.6, 0.62 * len(rows) + 0.3)
    for ax, (name, row) in zip(figure.subplots(len(rows), 1), rows, strict=True):
        ax.imshow(row.numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        bright = row.mean(0).unflatten(0, (LINES, PERIOD))
        on_a = int((bright[:, : PERIOD // 2].sum(1) > bright[:, PERIOD // 2 :].sum(1)).sum())
        describe(ax, f"{name}: {on_a} of {LINES} periods are brighter at site A, the others at site B.")
    figure.suptitle(
        f"{LINES} periods of two sites; the first {SHOWN} lines (left) tell where all lines stand"
    )
    return figure


def reach(config: UNetConfig, height: int, column: int) -> Tensor:
    """How much each pixel moves one output pixel: (height, SIZE), the largest is 1; exact zeros are zero.

    |gradient| of the output at (height / 2, column), initial weights, attention (if any) switched on.
    """
    network = UNetGenerator(config).double().eval()
    for layer in network.attention.values():
        torch.nn.init.ones_(layer.gamma)  # type: ignore[arg-type]
    image = torch.rand(1, 1, height, SIZE, generator=torch.Generator().manual_seed(0)).double()
    seen = network_from_unit(image).requires_grad_()
    output = network.decode(network.encode(seen))[-1]
    (gradient,) = torch.autograd.grad(output[0, 0, height // 2, column], seen)
    return gradient[0, 0].abs() / gradient.abs().max()


@styled
def reach_figure(configs: Mapping[str, UNetConfig], height: int = 16, *, line: int = 12) -> Figure:
    """What one output pixel, in the middle of a line, listens to; a row per network."""
    column = (line - 1) * PERIOD + 1
    figure = new_figure(8.6, 0.85 * len(configs) + 0.5)
    axes = figure.subplots(len(configs), 1, squeeze=False)[:, 0]
    for ax, (name, config) in zip(axes, configs.items(), strict=True):
        seen = reach(config, height, column)
        values = np.round(2 * np.log10(np.maximum(seen.numpy(), 1e-6))) / 2
        values[seen.numpy() == 0] = np.nan
        shown = ax.imshow(values, cmap="cividis", vmin=-6, vmax=0, aspect="auto", interpolation="nearest")
        ax.plot(column, height // 2, "x", color=COLOURS[1], markersize=7, markeredgewidth=2)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        touched = (seen > 0).any(0).nonzero()
        first, last = int(touched[0]), int(touched[-1])
        describe(ax, f"{name}: the pixel in column {column} depends on columns {first} to {last} of {SIZE}.")
    figure.colorbar(shown, ax=list(axes), shrink=0.9, label="log10 of |gradient| / peak")
    figure.suptitle(f"What a pixel of line {line} (cross) listens to. White: nothing at all")
    return figure


def map_of_query(generator: UNetGenerator, images: Tensor, place: int, row: int, column: int) -> Tensor:
    """Where the place nearest to pixel (row, column) looks: (h, w) weights that sum to one.

    Args:
        images: (1, 1, H, W) in [0, 1].
        place: 0 for the bottleneck, 1 for the first decoder block.
    """
    caught: list[Tensor] = []
    layer = generator.attention[str(place)]
    hook = layer.register_forward_hook(lambda _, given, __: caught.append(given[0]))
    try:
        with torch.inference_mode():
            device = next(generator.parameters()).device
            generator(network_from_unit(images.to(device)))
            weights = layer.attention_map(caught[0])[0].cpu()  # type: ignore[operator]
    finally:
        hook.remove()
    height, width = caught[0].shape[-2:]
    step = images.shape[-1] // width
    return weights[(row // step) * width + column // step].unflatten(0, (height, width))


@styled
def query_figure(generator: UNetGenerator, images: Tensor, *, image: int, place: int, line: int) -> Figure:
    """Click a line: the image with the query marked, and where the attention of that place looks.

    Args:
        images: (N, 1, H, SIZE) in [0, 1]; image: which one.
        place: 0 bottleneck, 1 first decoder block. line: the query stands in the middle of this period.
    """
    one = images[image : image + 1]
    row, column = one.shape[2] // 2, round((line - 0.5) * PERIOD)
    weights = map_of_query(generator, one, place, row, column)
    figure = new_figure(8.6, 3.3)
    top, middle, bottom = figure.subplots(3, 1, gridspec_kw={"height_ratios": [1, 1, 1.6]})
    top.imshow(one[0, 0].numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    top.plot(column, row, "x", color=COLOURS[1], markersize=8, markeredgewidth=2)
    middle.imshow(weights.numpy(), cmap="cividis", aspect="auto", interpolation="nearest", vmin=0)
    for ax, name in ((top, "image"), (middle, "weights")):
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
    per_line = weights.sum(0).unflatten(0, (LINES, -1)).sum(1)
    bottom.bar(range(1, LINES + 1), 100 * per_line.numpy(), color=COLOURS[0])
    bottom.axhline(100 / LINES, color="#666666", linewidth=0.9, linestyle="--")
    bottom.set(xlabel="line (from the left)", ylabel="% of the weight", xlim=(0.4, LINES + 0.6))
    bottom.set_xticks(range(1, LINES + 1))
    shown = 100 * float(per_line[:SHOWN].sum())
    side = f"{weights.shape[0]} x {weights.shape[1]}"
    describe(top, f"Query in line {line} of {LINES}.")
    describe(middle, f"Attention over {side} places.")
    describe(bottom, f"{shown:.0f} % of the weight lies on the first {SHOWN} lines; evenly it would be 12 %.")
    figure.suptitle(f"Line {line} asks; {shown:.0f} % of its weight lies on the two lines that know")
    return figure


@styled
def range_figure(table: SweepTable) -> Figure:
    """Pitch spread and wrong sites of every arm, joined by seed."""
    figure = new_figure(9.4, 3.5)
    arms = dict(
        zip(
            table.arms,
            ("no\nattention", "bottleneck\nonly", "both\nplaces", "none, two\nmore downs"),
            strict=True,
        )
    )
    for ax, (quantity, name, unit, factor) in zip(
        figure.subplots(1, 2),
        (
            ("pitch spread", "pitch spread over 16 lines", "nm", 1.0),
            ("wrong site", "hidden lines at the wrong site", "%", 100.0),
        ),
        strict=True,
    ):
        groups = {
            label: [factor * v for v in table.values(quantity, arm)[arm]] for arm, label in arms.items()
        }
        bars_with_intervals(groups, quantity=name, unit=unit, ax=ax)
        ax.set_ylim(bottom=0)
    return figure


@styled
def gamma_figure(table: SweepTable) -> Figure:
    """Gamma along training, a line per seed, in both places, on both tasks of the sweep."""
    figure = new_figure(8.6, 3.2)
    for place, ax in enumerate(figure.subplots(1, 2, sharey=True)):
        arm, ends = "usual, attention", []
        for i, seed in enumerate(table.seeds):
            row = table.rows[seed][arm]
            values = [0.0, *(row[f"gamma {place} at {k} / 10"] for k in range(1, 11))]
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            ax.plot(range(0, 110, 10), values, markersize=4, label=f"seed {seed}", **style)
            ends.append(values[-1])
        ax.axhline(0, color="black", linewidth=0.8)
        for level in (-0.3, -0.1, 0.1, 0.3):
            ax.axhline(level, color="#999999", linewidth=0.7, linestyle=":")
        ax.set(title=("bottleneck", "first decoder block")[place], xlabel="% of training")
        words = ", ".join(f"{v:+.3f}" for v in ends)
        describe(ax, f"Gamma in the {('bottleneck', 'first decoder block')[place]} ends at {words}.")
    figure.axes[0].set_ylabel("gamma")
    figure.axes[1].legend(fontsize=7, ncols=2)
    figure.suptitle("SEM to layout: gamma from 0, six seeds; dotted: the range 0.1 to 0.3 of either sign")
    return figure


@styled
def start_figure(table: SweepTable, ax: Axes | None = None) -> Axes:
    """The loss right after a tenth of training, gamma from 1 over gamma from 0, per place and seed."""
    ratios = {}
    for name in PLACES:
        one, zero = (
            table.values("early loss", f"{name}, {start}")[f"{name}, {start}"]
            for start in ("gamma 1", "gamma 0")
        )
        ratios[name] = [a / b for a, b in zip(one, zero, strict=True)]
    ax = bars_with_intervals(
        ratios, quantity="early loss, gamma 1 over gamma 0", paired=False, ax=new_axes(ax, 5.4, 3.2)
    )
    ax.axhline(1.0, color="black", linewidth=0.8)
    return ax


@styled
def foundation_figure(table: SweepTable) -> Figure:
    """IoU where D can win, on either foundation, without and with the additions, joined by seed."""
    figure = new_figure(9.4, 3.4)
    labels = {"plain": "plain", "attention": "attention", "FM": "FM", "attention + FM": "both"}
    for ax, base in zip(figure.subplots(1, 2, sharey=True), FOUNDATIONS, strict=True):
        groups = {
            label: table.values("IoU", f"{base}, {extra}")[f"{base}, {extra}"]
            for extra, label in labels.items()
        }
        bars_with_intervals(groups, quantity="held-out IoU", title=base, ax=ax)
    figure.axes[1].set_ylabel("")
    return figure


@styled
def cost_figure(table: SweepTable, quantity: str = "peak", ax: Axes | None = None) -> Axes:
    """Peak memory or time of one layer against the side of the map; what is computed is dashed."""
    ax = new_axes(ax, 5.6, 3.4)
    factor, label = (2**-20, "peak memory (MiB)") if quantity == "peak" else (1e3, "time of one call (ms)")
    means, words = table.means(), []
    for i, kind in enumerate(("plain", "fused")):
        sides = sorted(int(arm.split()[1]) for arm in means if arm.startswith(kind))
        values = [factor * means[f"{kind} {side}"][quantity] for side in sides]
        ax.plot(sides, values, color=COLOURS[i], marker=MARKERS[i], label=f"{kind}, measured")
        words.append(f"{kind} {values[0]:.3g} at {sides[0]} px to {values[-1]:.3g} at {sides[-1]} px")
    if quantity == "peak":
        sides = [8, 16, 32, 64, 128, 256]
        maps = [factor * attention_cost.map_bytes(side) for side in sides]
        ax.plot(sides, maps, "--", color="#666666", label="one map, computed")
        words.append(f"one map, computed, {maps[-1]:,.0f} MiB at 256 px")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks([8, 16, 32, 64, 128, 256], ["8", "16", "32", "64", "128", "256"])
    ax.set(xlabel="side of the feature map (places)", ylabel=label)
    ax.legend()
    return describe(
        ax, f"{label} of one attention layer, {attention_cost.CHANNELS} channels: {'; '.join(words)}."
    )


def cost_table(table: SweepTable) -> Table:
    """Every side with its tokens, the size of one map, and what was measured."""
    header = ["map", "tokens", "one map, float32", "plain: peak", "fused: peak", "plain: time", "fused: time"]
    return Table(header, attention_cost.layer_table(table), caption=table.source())


@styled
def translations_figure(rows: Mapping[str, Tensor], count: int = 6) -> Figure:
    """Rows of images (N, 1, S, S) in [0, 1] by name: input, target and what the arms make of them."""
    figure = new_figure(1.35 * count, 1.4 * len(rows))
    axes = figure.subplots(len(rows), count, squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for k, ax in enumerate(line):
            image_axes(images[k], "", ax=ax)
        line[0].set_ylabel(name)
        describe(line[0], f"{name}: {count} held-out images.")
    return figure
