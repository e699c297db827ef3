"""The array task of lesson 08: its images, how far networks see, where attention looks, what it brings.

The ideal observer knows how the images are drawn, hears some periods and decides as the rule of Bayes says:
no network that hears the same periods can do better on average.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from gantrans.images import network_from_unit
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.teaching.plots import COLOURS, bars_with_intervals, describe, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson08.experiments.attention_range import (
    LINES,
    PERIOD,
    SETTINGS,
    SHOWN,
    SIZE,
    WIDTH,
    test_arrays,
    wrong_sites,
)

PLACES = ("bottleneck", "first decoder block")
"""Where the attention of the array task may stand; see `UNetConfig.attention`."""
HEARD: Mapping[str, tuple[int, int]] = {
    "1 period": (0, 0),
    "2 periods": (1, 0),
    "3 periods": (1, 1),
    "16 periods": (LINES - 1, LINES - 1),
}
"""Ideal observers: how many periods each hears before and after the line that it judges."""


def arrays_figure(images: Tensor, lines: Tensor, outputs: Mapping[str, Tensor] | None = None) -> Figure:
    """Images of the array task, what is drawn there, and what networks answer: a row each.

    Args:
        images, lines: (N, 1, H, SIZE) in [0, 1]; the first two are shown.
        outputs: {arm: the same shape}.
    """
    title = f"{LINES} periods of two sites; the first {SHOWN} lines (left) tell where all lines stand"
    return _array_rows(_rows(images, lines, outputs or {}), title)


def errors_figure(images: Tensor, lines: Tensor, outputs: Mapping[str, Tensor], erring: str) -> Figure:
    """The two images in which one arm puts most lines on the wrong site, with every arm's wrong lines framed.

    Args:
        images, lines: (N, 1, H, SIZE) in [0, 1], all that were tested.
        outputs: {arm: the same shape}; erring: the arm by which the images are chosen.
    """
    off = {arm: wrong_sites(output, lines) for arm, output in outputs.items()}
    picked = off[erring].sum(1).argsort(descending=True, stable=True)[:2]
    shown = _rows(images[picked], lines[picked], {arm: output[picked] for arm, output in outputs.items()})
    wrong = {
        f"{arm} {k + 1}": mask[i].nonzero()[:, 0].tolist()
        for arm, mask in off.items()
        for k, i in enumerate(picked)
    }
    counts = ", ".join(f"{arm}: {int(mask.any(1).sum())}" for arm, mask in off.items())
    title = (
        f"Images with a line on the wrong site, of {len(images)}: {counts}.\n"
        f"Two of the worst for {erring!r}; wrong lines are framed"
    )
    return _array_rows(shown, title, wrong)


def _rows(images: Tensor, lines: Tensor, outputs: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    rows = {"image": images, "drawn": lines, **outputs}
    return [(f"{name} {k + 1}", row[k, 0]) for k in range(2) for name, row in rows.items()]


@styled
def _array_rows(
    rows: Sequence[tuple[str, Tensor]], title: str, wrong: Mapping[str, Sequence[int]] | None = None
) -> Figure:
    """`wrong`: {name of a row: periods, counted from 0, to frame}."""
    figure = new_figure(8.6, 0.62 * len(rows) + 0.3)
    for ax, (name, row) in zip(figure.subplots(len(rows), 1), rows, strict=True):
        framed = (wrong or {}).get(name, ())
        for period in framed:
            left = period * PERIOD - 0.5
            ax.add_patch(
                Rectangle((left, -0.5), PERIOD, len(row), fill=False, edgecolor=COLOURS[1], linewidth=2.2)
            )
        ax.imshow(row.numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.grid(False)
        ax.set_ylabel(name, rotation=0, ha="right", va="center")
        bright = row.mean(0).unflatten(0, (LINES, PERIOD))
        on_a = int((bright[:, : PERIOD // 2].sum(1) > bright[:, PERIOD // 2 :].sum(1)).sum())
        words = f"{name}: {on_a} of {LINES} periods are brighter at site A, the others at site B."
        if framed:
            words += f" Wrong: lines {', '.join(str(period + 1) for period in framed)}."
        describe(ax, words)
    figure.suptitle(title)
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


def whole_map(generator: UNetGenerator, image: Tensor, place: int) -> tuple[Tensor, int]:
    """All weights of one image's attention, (h * w, h * w), every row sums to one; and the width w.

    Args:
        image: (1, 1, H, W) in [0, 1].
        place: 0 for the bottleneck, 1 for the first decoder block.
    """
    caught: list[Tensor] = []
    layer = generator.attention[str(place)]
    hook = layer.register_forward_hook(lambda _, given, __: caught.append(given[0]))
    try:
        with torch.inference_mode():
            device = next(generator.parameters()).device
            generator(network_from_unit(image.to(device)))
            weights = layer.attention_map(caught[0])[0].cpu()  # type: ignore[operator]
    finally:
        hook.remove()
    return weights, caught[0].shape[-1]


def map_of_query(generator: UNetGenerator, image: Tensor, place: int, row: int, column: int) -> Tensor:
    """Where the place nearest to pixel (row, column) looks: (h, w) weights, sum one; see `whole_map`."""
    weights, width = whole_map(generator, image, place)
    step = image.shape[-1] // width
    return weights[(row // step) * width + column // step].unflatten(0, (-1, width))


@styled
def query_figure(
    generator: UNetGenerator, images: Tensor, *, image: int, place: int, line: int, row: int | None = None
) -> Figure:
    """Choose a line and a row: the image with the query marked, and where the attention there looks.

    Args:
        images: (N, 1, H, SIZE) in [0, 1]; image: which one.
        place: 0 bottleneck, 1 first decoder block. line: the query stands in the middle of this period.
        row: of the image, in pixels from the top; None takes the middle.
    """
    one = images[image : image + 1]
    row = one.shape[2] // 2 if row is None else int(row)
    column = round((line - 0.5) * PERIOD)
    weights = map_of_query(generator, one, place, row, column)
    figure = new_figure(8.6, 3.3)
    top, middle, bottom = figure.subplots(3, 1, gridspec_kw={"height_ratios": [1, 1, 1.6]})
    top.imshow(one[0, 0].numpy(), cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for colour, width in (("white", 5), (COLOURS[1], 2.4)):  # a white edge, to be seen on any grey
        top.plot(column, row, "x", color=colour, markersize=11, markeredgewidth=width)
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
    near, most = 100 * float(per_line[: SHOWN + 1].sum()), int(per_line.argmax()) + 1
    side = f"{weights.shape[0]} x {weights.shape[1]}"
    describe(top, f"Query in line {line} of {LINES}, row {row}.")
    describe(middle, f"Attention over {side} places.")
    even = 100 * (SHOWN + 1) / LINES
    describe(
        bottom, f"{near:.0f} % of the weight lies on lines 1 to 3, evenly it would be {even:.0f} %; most "
        f"lies on line {most}.",
    )  # fmt: skip
    figure.suptitle(
        f"Line {line} asks: most weight on line {most}, {near:.0f} % on lines 1 to 3 (dashed: evenly)"
    )
    return figure


def weights_by_line(generator: UNetGenerator, images: Tensor, place: int) -> Tensor:
    """Where the hidden lines of each image look, on average: (N, LINES) shares that sum to one.

    All queries of all hidden lines count alike. images: (N, 1, H, SIZE) in [0, 1]; place: see `map_of_query`.
    """
    shares = []
    for image in images:
        weights, width = whole_map(generator, image[None], place)
        by_line = weights.unflatten(1, (-1, LINES, width // LINES)).sum((1, 3))
        asked = by_line.unflatten(0, (-1, LINES, width // LINES))[:, SHOWN:]
        shares.append(asked.mean((0, 1, 2)))
    return torch.stack(shares)


@styled
def weights_figure(generator: UNetGenerator, images: Tensor, lines: Tensor) -> Figure:
    """Where hidden lines look in many images: share of the weight per line, in both places, by true site."""
    figure, on_a = new_figure(9.4, 3.2), lines[:, 0, 0, 0] > 0
    for place, ax in enumerate(figure.subplots(1, 2, sharey=True)):
        shares, words = 100 * weights_by_line(generator, images, place), []
        for i, (site, chosen) in enumerate((("A", on_a), ("B", ~on_a))):
            means = shares[chosen].mean(0).numpy()
            at = np.arange(LINES) + 1 + 0.4 * (i - 0.5)
            ax.bar(at, means, 0.4, color=COLOURS[i], label=f"lines on {site}: {int(chosen.sum())} images")
            known = ", ".join(f"{float(v):.0f}" for v in means[: SHOWN + 1])
            words.append(f"on {site} {known} % on lines 1, 2 and 3")
        ax.axhline(100 / LINES, color="#666666", linewidth=0.9, linestyle="--")
        ax.set(title=PLACES[place], xlabel="line (from the left)", xlim=(0.4, LINES + 0.6))
        ax.set_xticks(range(1, LINES + 1))
        ax.legend()
        describe(ax, f"{PLACES[place]}: {'; '.join(words)}; evenly it would be {100 / LINES:.0f}.")
    figure.axes[0].set_ylabel("% of the weight")
    figure.suptitle("Where hidden lines look, mean over images (dashed: evenly)")
    return figure


def ideal_wrong_share(before: int, after: int, evidence: float) -> float:
    """Share of hidden lines at the wrong site, expected of the ideal observer; 0 where it hears a shown line.

    It adds up what n hidden lines say, which is normal with mean n * evidence and variance n: the sum points
    the wrong way with probability Phi(-evidence * sqrt(n)).

    Args:
        before, after: periods heard on either side of the line's own.
    """
    wrong = 0.0
    for line in range(SHOWN, LINES):
        if line - before >= SHOWN:
            heard = before + 1 + min(after, LINES - 1 - line)
            wrong += 0.5 * math.erfc(evidence * math.sqrt(heard / 2))
    return wrong / (LINES - SHOWN)


def observed_wrong_share(images: Tensor, lines: Tensor, before: int, after: int) -> float:
    """The same observer on given images: it compares both bands of every period that it hears.

    images, lines: (N, 1, H, SIZE) in [0, 1].
    """
    period = images.mean(2)[:, 0].unflatten(1, (LINES, PERIOD))
    second = slice(PERIOD // 2, PERIOD // 2 + WIDTH)
    speaks = (period[..., :WIDTH] - period[..., second]).mean(-1)  # positive: site A
    on_a, wrong = lines[:, 0, 0, 0] > 0, 0.0
    for line in range(SHOWN, LINES):
        if line - before >= SHOWN:
            said = speaks[:, line - before : line + after + 1].sum(1) > 0
            wrong += float((said != on_a).double().mean())
    return wrong / (LINES - SHOWN)


def observers(table: SweepTable) -> dict[str, dict[str, float]]:
    """Wrong sites of the ideal observers in %: expected, and on the very images of the table."""
    scale, rows = table.about["scale"], {}
    for name, (before, after) in HEARD.items():
        same = [observed_wrong_share(*test_arrays(scale, seed), before, after) for seed in table.seeds]
        expected = ideal_wrong_share(before, after, SETTINGS[scale].evidence)
        rows[name] = {"expected": 100 * expected, "on these images": 100 * float(np.mean(same))}
    return rows


@styled
def range_figure(table: SweepTable) -> Figure:
    """Pitch spread and wrong sites of every arm, joined by seed; dashed, what ideal observers get wrong."""
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
    words = []
    for heard, shares in observers(table).items():
        level = shares["on these images"]
        words.append(f"{heard} {level:.3g}")
        if level > 0:
            ax.axhline(level, color="#666666", linewidth=0.9, linestyle="--")
            ax.text(len(arms) - 0.65, level, f"ideal, hears {heard}", ha="right", va="bottom", fontsize=8)
            ax.set_ylim(0, max(ax.get_ylim()[1], 1.12 * level))
    bars = getattr(ax, "gantrans_alt", "")
    describe(ax, f"{bars} Ideal observers of the same images, by what they hear: {', '.join(words)}.")
    return figure
