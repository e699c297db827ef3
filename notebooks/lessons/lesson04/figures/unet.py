"""The figures of lesson 04: the shape of a U-Net, what pixel losses answer, and what each level says."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.metrics import iou
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.networks.receptive_field import ConvLayer, receptive_field
from gantrans.networks.unet import shape_table
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    image_grid,
    metric_table,
    new_axes,
    new_figure,
    overlay_axes,
    styled,
)
from lessons.lesson04.experiments.pixel_losses import best_answer, expected_loss, two_answers
from lessons.lesson04.experiments.skip_levels import chimera, draw, encoder_maps, replaced
from lessons.lesson04.experiments.skips import ARMS, CONTROL_SEEDS, LONGER, METRICS, WIDER

UNITS = {"EPE": "px", "CD error": "nm"}
HATCHES = ("", "///", "...")


def encoder_table(config: UNetConfig, size: int) -> Table:
    """Each encoder block's map, how many numbers it holds, and how wide a piece one place of it sees."""
    rows = []
    for k, row in enumerate(shape_table(config, size)[: config.n_down]):
        channels, height, width = row.output
        field = receptive_field([ConvLayer(4, 2, 1)] * (k + 1)).size
        rows.append(
            [row.block, f"{channels} x {height} x {width}", f"{channels * height * width:,}", f"{field} px"]
        )
    return Table(["block", "map (C x H x W)", "numbers", "one place sees"], rows, f"Encoder, {size} px image")


@styled
def unet_figure(config: UNetConfig, size: int) -> Figure:
    """The U: encoder on the left, decoder on the right, one row per size, a skip across each row."""
    n = config.n_down
    figure = new_figure(8.6, 0.62 * (n + 2))
    ax = figure.add_subplot()
    maps = _u_shape(config, size)
    boxes = []
    for x, y, words, channels in maps:
        shade = 0.96 - 0.5 * channels / max(config.channels)
        box = {"boxstyle": "round,pad=0.35", "facecolor": (shade, shade, 1.0), "edgecolor": COLOURS[0]}
        boxes.append(ax.text(x, y, words, ha="center", va="center", bbox=box, fontsize=9))
    skips = [level for level, skipped in enumerate(config.skip_levels) if skipped]
    arrows = [(k, k + 1, "#444444") for k in range(2 * n)]
    for start, end, colour in arrows + [(k + 1, 2 * n - k - 1, COLOURS[1]) for k in skips]:
        style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.6, "shrinkA": 3, "shrinkB": 3}
        ends = {"patchA": boxes[start].get_bbox_patch(), "patchB": boxes[end].get_bbox_patch()}
        ax.annotate("", maps[end][:2], maps[start][:2], arrowprops={**style, **ends})
    for level in skips:
        ax.text(0, -level - 0.95, "skip", color=COLOURS[1], ha="center", va="bottom", fontsize=9)
    ax.set(xlim=(-2.6, 2.6), ylim=(-n - 0.5, 0.5))
    ax.set_axis_off()
    left = "; ".join(words for _, _, words, _ in maps[: n + 1])
    describe(ax, f"U-Net for {size} px: {left}; {len(skips)} skip connections to the decoder.")
    return figure


def _u_shape(config: UNetConfig, size: int) -> list[tuple[float, float, str, int]]:
    """(x, y, words, channels) of input, encoder maps, bottleneck, decoder maps and output, in this order."""
    rows, n = shape_table(config, size), config.n_down
    maps = [(-1.6, 0.0, f"input {_shape(rows[0].input)}", 1)]
    maps += [(-1.6, -k - 1.0, _shape(row.output), row.output[0]) for k, row in enumerate(rows[: n - 1])]
    maps.append((0.0, -float(n), f"bottleneck {_shape(rows[n - 1].output)}", rows[n - 1].output[0]))
    for k, row in enumerate(rows[n:-1]):
        own, height, width = row.output
        joined = f"({own} + {row.after_skip[0] - own})" if row.after_skip else f"{own}"
        maps.append((1.6, k + 1.0 - n, f"{joined} x {height} x {width}", own))
    return [*maps, (1.6, 0.0, f"output {_shape(rows[-1].output)}", 1)]


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


@styled
def maps_figure(sem: Tensor, maps: Sequence[Tensor], names: Sequence[str]) -> Figure:
    """An SEM image (1, S, S) and, of each of its encoder maps (1, C, H, W), the channel that varies most."""
    chosen = [m[0, m[0].var((1, 2)).argmax()] for m in maps]
    figure = new_figure(1.75 * (len(maps) + 1), 2.15)
    axes = figure.subplots(1, len(maps) + 1)
    image_axes(sem, "SEM image", ax=axes[0])
    for ax, channel, name in zip(axes[1:], chosen, names, strict=True):
        image_axes(channel, name.replace("bottleneck ", ""), ax=ax, limits=None)
        describe(ax, f"The most varied channel at {name}.")
    return figure


@styled
def answers_figure(*, p: float) -> Figure:
    """Expected L1 and L2 loss of every answer, if the truth is 1 with probability p and else 0."""
    answer = np.linspace(0, 1, 201)
    figure = new_figure(7.6, 3.2)
    words = []
    for i, (ax, loss) in enumerate(zip(figure.subplots(1, 2), ("L1", "L2"), strict=True)):
        expected = expected_loss(loss, answer, p)
        tied = loss == "L1" and abs(p - 0.5) < 1e-9
        best = float(answer[expected.argmin()])
        ax.plot(answer, expected, color=COLOURS[i])
        if tied:
            said = "every answer is as good"
        else:
            ax.plot([best], [expected.min()], "o", color=COLOURS[i], markersize=9)
            said = f"best answer {best:.2f}"
        name = "|truth - answer|" if loss == "L1" else "(truth - answer)²"
        ax.set(
            title=f"{loss}: {said}",
            xlabel="answer of the network",
            ylabel=f"mean of {name}",
            ylim=(-0.04, 1.04),
        )
        words.append(f"{loss}: {said}")
        describe(ax, f"{loss}, probability {p:g}: {said}, expected loss {expected.min():.2f}.")
    return figure


@styled
def toy_figure(trained: Mapping[str, Tensor], p_wide: float) -> Figure:
    """The two right answers, and for each loss the answer by theory and the one that was learnt."""
    narrow, wide = two_answers()
    images, titles = [narrow, wide], [f"answer in {1 - p_wide:.0%}", f"answer in {p_wide:.0%}"]
    for loss, output in trained.items():
        images += [best_answer(loss, p_wide), output]
        titles += [f"{loss}: theory", f"{loss}: learnt"]
    return image_grid([images], titles, size=1.55)


@styled
def outputs_figure(
    sem: Tensor, layout: Tensor, predictions: Mapping[str, Tensor], picked: Sequence[int]
) -> Figure:
    """A row per picked test pair: SEM image, drawn layout, and each arm's prediction laid over the layout."""
    figure = new_figure(2.0 * (2 + len(predictions)), 2.15 * len(picked))
    axes = figure.subplots(len(picked), 2 + len(predictions), squeeze=False)
    for row, i in zip(axes, picked, strict=True):
        image_axes(sem[i], "SEM image", ax=row[0], pixel_nm=20.0)
        image_axes(layout[i], "drawn layout", ax=row[1])
        for ax, (arm, prediction) in zip(row[2:], predictions.items(), strict=True):
            overlay_axes(prediction[i], layout[i], f"{arm}: IoU {_iou(prediction[i], layout[i]):.2f}", ax=ax)
    return figure


def _iou(prediction: Tensor, layout: Tensor) -> float:
    return float(iou(prediction[None], layout[None])[0])


@styled
def paired_figure(data: Mapping[str, Mapping[str, Sequence[float]]], units: Mapping[str, str]) -> Figure:
    """A panel per metric with both arms' values, joined by seed: {metric: {arm: values}}."""
    figure = new_figure(3.6 * len(data), 3.3)
    for ax, (metric, groups) in zip(figure.subplots(1, len(data)), data.items(), strict=True):
        bars_with_intervals(groups, quantity=metric, unit=units.get(metric, ""), ax=ax)
    return figure


def sweep_table(record: Mapping[str, Any]) -> Table:
    """The committed sweep of G02: every arm, controls included, by metric."""
    numbers = record["numbers"]
    rows = {arm: {m: numbers[f"{arm} {m}"] for m in METRICS} for arm in (*ARMS, WIDER, LONGER)}
    seeds = f"{len(record['seeds'])} seeds ({len(CONTROL_SEEDS)} for wider and longer)"
    caption = f"Committed sweep: {seeds}, scale {record['scale']}"
    return metric_table(rows, units=UNITS, caption=caption)


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
def levels_figure(
    generator: UNetGenerator, sem: Tensor, layout: Tensor, *, image: int, by: str, **kept: bool
) -> Figure:
    """What the decoder draws of one test image when only some maps reach it.

    Args:
        sem, layout: test pairs (N, 1, S, S) in [0, 1].
        image: which pair.
        by: what stands in for a map that is switched off, see `skips.replaced`.
        kept: level_0, level_1, ..., finest first, the bottleneck last: whether its map gets through.
    """
    maps = encoder_maps(generator, sem)
    off = [k for k in range(len(maps)) if not kept.get(f"level_{k}", True)]
    made = draw(generator, replaced(maps, off, by))[image]
    figure = new_figure(8.4, 2.6)
    axes = figure.subplots(1, 4)
    image_axes(sem[image], "SEM image", ax=axes[0], pixel_nm=20.0)
    image_axes(layout[image], "drawn layout", ax=axes[1])
    image_axes(made, "output", ax=axes[2])
    overlay_axes(made, layout[image], f"IoU {_iou(made, layout[image]):.2f}", ax=axes[3])
    return figure


@styled
def chimera_figure(scores: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Whose layout is drawn, by how many of the finest maps come from the second image."""
    ax = new_axes(ax, 7.0, 3.4)
    for i, (label, values) in enumerate(scores.items()):
        style: dict[str, Any] = (
            {"linestyle": ":", "color": "#666666"} if i == 2 else {"marker": MARKERS[i], "color": COLOURS[i]}
        )
        ax.plot(range(len(values)), values, label=label, **style)
    ax.set(xlabel="finest maps taken from the second image", ylabel="IoU", ylim=(0, 1))
    ax.legend()
    words = "; ".join(f"{label}: {', '.join(f'{v:.2f}' for v in values)}" for label, values in scores.items())
    return describe(ax, f"IoU by number of finest maps taken from the second image. {words}.")


@styled
def chimera_images(generator: UNetGenerator, sem: Tensor, image: int, levels: Sequence[int]) -> Figure:
    """Two SEM images, and what is drawn when that many of the finest maps come from the second."""
    made = [chimera(generator, sem, k)[image] for k in levels]
    rows: list[Any] = [sem[image], sem[image - 1], *made]
    return image_grid(
        [rows], ["first image", "second image", *(f"{k} finest from 2nd" for k in levels)], size=1.6
    )
