"""The figures of lesson 03 that show clips: samples, the way to them, steps, guidance, copies, latency."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import Trajectory, denoiser_model, sample
from gantrans.images import unit_from_network
from gantrans.metrics import nearest_distance, rule_valid, rule_violations
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    new_figure,
    styled,
)
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps import sweep
from lessons.lesson03.experiments.denoisers import ARMS
from lessons.lesson03.experiments.generation import BEST, COUNTS, GUIDANCE, KINDS, SAMPLERS
from lessons.shared.denoising import Trained

BROKEN = (0xD5 / 255, 0x5E / 255, 0.0)
"""Colour of pixels that break a rule."""
TARGETS = ("epsilon", "v", "x0")

# ---- clips and what is wrong with them


def violations(samples: Tensor, rule: int) -> Tensor:
    """The pixels of (N, 1, S, S) in [-1, 1] that break the rule after thresholding, bool."""
    return rule_violations(unit_from_network(samples.clamp(-1, 1)), rule, rule)


def clip_axes(ax: Axes, clip: Tensor, rule: int) -> Axes:
    """One clip (1, S, S) in [-1, 1] as it came, drawn white; pixels that break the rule are vermilion."""
    broken = violations(clip[None], rule)[0, 0].numpy()
    grey = unit_from_network(clip[0].clamp(-1, 1)).numpy()
    image_axes(grey, ax=ax)
    colours = np.repeat(grey[..., None], 3, axis=2)
    colours[broken] = BROKEN
    ax.images[0].set_data(colours)
    return describe(ax, "")


@styled
def clips_figure(rows: Mapping[str, Tensor], rule: int, count: int = 8) -> Figure:
    """A row of clips per name, (N, 1, S, S) in [-1, 1]; its label says how many of all N are valid."""
    figure = new_figure(1.6 + 1.0 * count, 1.08 * len(rows) + 0.1)
    axes = figure.subplots(len(rows), count, squeeze=False)
    for row, (name, samples) in zip(axes, rows.items(), strict=True):
        for ax, clip in zip(row, samples, strict=False):
            clip_axes(ax, clip, rule)
        row[0].set_ylabel(f"{name}\n{_score(samples, rule)}", rotation=0, ha="right", va="center")
        describe(row[0], f"{name}: {_score(samples, rule)} of {len(samples)} clips.")
    return figure


def valid_share(samples: Tensor, rule: int) -> float:
    """Share of the clips (N, 1, S, S) in [-1, 1] without a violation after thresholding."""
    return float(rule_valid(unit_from_network(samples.clamp(-1, 1)), rule, rule).float().mean())


def _score(samples: Tensor, rule: int) -> str:
    return f"{valid_share(samples, rule):.0%} valid"


@styled
def predictions_figure(table: sweep.Table) -> Figure:
    """Valid clips of the plain and of the folded network by what it predicts; dots are seeds, joined."""
    figure = new_figure(8.4, 3.2)
    for ax, network in zip(figure.subplots(1, 2, sharey=True), ("plain", "folded"), strict=True):
        values = table.values("valid", *(f"{network}, {kind}" for kind in TARGETS))
        shares = {kind: [100 * v for v in values[f"{network}, {kind}"]] for kind in TARGETS}
        bars_with_intervals(shares, quantity="clips without a violation", unit="%", title=network, ax=ax)
        ax.set_ylim(-3, 103)
    figure.axes[1].set_ylabel("")
    return figure


def predictions_table(table: sweep.Table) -> dict[str, dict[str, float]]:
    """Mean panel of the arms that differ in network and prediction; violations and grey pixels in percent."""
    kept = {"valid": 100, "violation": 100, "grey": 100, "frechet": 1, "coverage": 100}
    arms = [arm for arm in ARMS if arm.count(",") == 1]
    return {
        arm: {quantity: factor * row[quantity] for quantity, factor in kept.items()}
        for arm, row in table.means(*arms).items()
    }


# ---- the way


def trajectories(trained: Trained, size: int, label: Tensor, count: int, seed: int) -> dict[str, Trajectory]:
    """{sampler: the way of one clip per entry of `label`}, from one x_T and with one noise on the way."""
    found = {}
    for name, config in KINDS.items():
        way = sample(
            denoiser_model(trained.network, trained.config, label=label),
            (len(label), 1, size, size),
            trained.config.noise_schedule,
            replace(config, count=count),
            prediction=trained.config.prediction,
            generator=torch.Generator().manual_seed(20_000 + seed),
            trajectory=True,
        )
        assert isinstance(way, Trajectory)
        found[name] = way
    return found


@styled
def scrubber_figure(
    ways: Mapping[str, Trajectory], names: Sequence[str], *, sampler: str, step: int
) -> Figure:
    """x_t before a step and the image predicted from it, a column per clip; after the last step the samples.

    Args:
        names: of the columns.
        step: 0 (noise) to the number of steps (the samples).
    """
    way = ways[sampler]
    last = step >= len(way.t)
    x_t, x0 = (way.x_t[-1], way.x0[-1]) if last else (way.x_t[step], way.x0[step])
    figure = new_figure(1.35 * len(names) + 0.4, 3.2)
    axes = figure.subplots(2, len(names), squeeze=False)
    for ax, clip, name in zip(axes[0], x_t, names, strict=True):
        image_axes(clip, name, ax=ax, limits=(-1.6, 1.6))
    for ax, clip in zip(axes[1], x0, strict=True):
        image_axes(clip, ax=ax, limits=(-1.6, 1.6))
    for ax in axes.ravel():
        describe(ax, "")
    axes[0, 0].set_ylabel("the samples" if last else "x_t")
    axes[1, 0].set_ylabel("last prediction" if last else "predicted x0")
    place = f"t = {way.t[step]}" if not last else "done"
    undecided = float((x0.abs() < 0.8).float().mean())
    figure.suptitle(f"{sampler}, {step} of {len(way.t)} steps taken, {place}")
    describe(axes[1, 0], f"{undecided:.0%} of the predicted pixels are undecided.")
    return figure


@styled
def sampler_figure(
    trained: Trained, size: int, rule: int, *, sampler: str, count: int, eta: float, seed: int = 0
) -> Figure:
    """Sixteen clips, four of each family, by one sampler; `eta` counts for DDIM alone."""
    config = replace(KINDS[sampler], count=count, eta=eta if sampler == "DDIM" else 0.0)
    label = torch.arange(16) % 4
    clips = trained.draw((16, 1, size, size), config, seed, label=label)
    figure = new_figure(8.6, 2.6)
    axes = figure.subplots(2, 8)
    for ax, clip in zip(axes.ravel(), clips, strict=True):
        clip_axes(ax, clip, rule)
    used = f", eta = {eta:g}" if sampler == "DDIM" else ""
    wrong = float(violations(clips, rule).float().mean())
    said = f"{_score(clips, rule)}, {wrong:.1%} of the pixels break the rule"
    figure.suptitle(f"{sampler}, {count} evaluations{used}: {said}")
    describe(axes[0, 0], f"Sixteen clips by {sampler} with {count} evaluations.")
    return figure


# ---- steps, guidance, copies, latency


@styled
def steps_figure(table: sweep.Table) -> Figure:
    """Valid clips and Frechet distance against the number of evaluations; lines are means, dots seeds."""
    figure = new_figure(9.2, 3.4)
    axes = figure.subplots(1, 2)
    for ax, (quantity, factor) in zip(axes, (("valid", 100.0), ("frechet", 1.0)), strict=True):
        words = []
        for i, sampler in enumerate(KINDS):
            arms = {count: f"{sampler} {count}" for count in COUNTS}
            values = {n: factor * np.array(table.values(quantity, arm)[arm]) for n, arm in arms.items()}
            for n, dots in values.items():
                ax.plot([n] * len(dots), dots, MARKERS[i], color=COLOURS[i], alpha=0.3, markersize=4)
            means = [float(dots.mean()) for dots in values.values()]
            ax.plot(
                list(values), means, color=COLOURS[i], linestyle=LINES[i], marker=MARKERS[i], label=sampler
            )
            words.append(
                f"{sampler} " + ", ".join(f"{m:.3g} at {n}" for n, m in zip(values, means, strict=True))
            )
        ax.set(xscale="log", xlabel="evaluations of the network (NFE)")
        ax.set_xticks(COUNTS, [str(count) for count in COUNTS])
        ax.minorticks_off()
        describe(ax, f"{quantity}: {'; '.join(words)}.")
    axes[0].set(ylabel="clips without a violation (%)", ylim=(-3, 103))
    axes[1].set(ylabel="Frechet distance (log scale)", yscale="log")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


@styled
def guidance_figure(table: sweep.Table) -> Figure:
    """What guidance buys and costs: family agreement, diversity and valid clips; dots are seeds."""
    quantities = {
        "family": "family asked for",
        "diversity": "pixels that differ within a family",
        "valid": "clips without a violation",
    }
    figure = new_figure(9.4, 3.0)
    for i, (ax, (quantity, label)) in enumerate(zip(figure.subplots(1, 3), quantities.items(), strict=True)):
        arms = [f"guidance {scale:g}" for scale in GUIDANCE]
        values = [100 * np.array(table.values(quantity, arm)[arm]) for arm in arms]
        for scale, dots in zip(GUIDANCE, values, strict=True):
            ax.plot([scale] * len(dots), dots, MARKERS[i], color=COLOURS[i], alpha=0.35, markersize=4)
        means = [float(dots.mean()) for dots in values]
        ax.plot(GUIDANCE, means, color=COLOURS[i], marker=MARKERS[i])
        ax.set(title=label, xlabel="guidance scale", ylabel="%", xticks=GUIDANCE, ylim=(0, None))
        words = ", ".join(f"{m:.0f} at {s:g}" for s, m in zip(GUIDANCE, means, strict=True))
        describe(ax, f"{label}, %: {words}.")
    return figure


@styled
def copies_figure(samples: Tensor, known: Tensor, count: int = 8) -> Figure:
    """Samples above the training clips that are most like them, with the number of pixels that differ.

    Args:
        samples, known: (N, 1, S, S) in [-1, 1].
    """
    made, stored = (unit_from_network(x.clamp(-1, 1)) for x in (samples[:count], known))
    apart = ((made[:, None] > 0.5) != (stored[None] > 0.5)).flatten(2).sum(2)
    distance, which = apart.min(1)
    figure = new_figure(1.05 * count + 0.7, 2.7)
    axes = figure.subplots(2, count)
    for column, (ours, theirs) in enumerate(zip(made, stored[which], strict=True)):
        image_axes(ours, ax=axes[0, column])
        image_axes(theirs, f"{int(distance[column])} px differ", ax=axes[1, column])
        for ax in axes[:, column]:
            describe(ax, "")
    axes[0, 0].set_ylabel("sample")
    axes[1, 0].set_ylabel("nearest")
    everywhere = nearest_distance(unit_from_network(samples.clamp(-1, 1)), stored)
    copies = float((everywhere == 0).float().mean())
    describe(axes[0, 0], f"{copies:.0%} of {len(samples)} samples are training clips to the pixel.")
    return figure


def copies_table(table: sweep.Table) -> dict[str, dict[str, float]]:
    """What the panel says of the arm with few clips and of the same network with all of them, in percent."""
    arms = {"1,024 clips": "folded, x0", "32 clips": "folded, x0, 32 clips"}
    names = {"valid": "valid", "copies": "copies", "self_duplicates": "twice among the samples"}
    means = table.means(*arms.values())
    rows = {name: {said: 100 * means[arm][q] for q, said in names.items()} for name, arm in arms.items()}
    for name, arm in arms.items():
        rows[name] |= {"coverage": 100 * means[arm]["coverage"], "held-out loss": means[arm]["loss"]}
    return rows


def latency_table(table: sweep.Table) -> Table:
    """What a sample costs, in passes of a GAN's generator of the same width, and how good it is."""
    ratio = float(np.mean(table.values("one evaluation", "latency")["latency"]))
    rows = [
        ["GAN, one pass", "1", "1", "-"],
        ["DDPM, all steps", "1,000", f"{1000 * ratio:,.0f}", "not measured"],
    ]
    means = table.means(*SAMPLERS)
    for arm in sorted(SAMPLERS, key=lambda arm: (SAMPLERS[arm].count, arm), reverse=True):
        count = SAMPLERS[arm].count
        mark = " (the reference)" if arm == BEST else ""
        rows.append(
            [arm.rsplit(" ", 1)[0], str(count), f"{count * ratio:.0f}", f"{means[arm]['valid']:.0%}{mark}"]
        )
    return Table(
        ["", "evaluations", "times one GAN pass", "valid clips"], rows, f"Means over {table.source()}"
    )
