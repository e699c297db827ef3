"""The figures of lesson 15 that show clips: answers along a path, the panel of judges, latents."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.data import ClipConfig
from gantrans.diffusion import judge_panel
from gantrans.metrics import coverage
from gantrans.teaching.plots import COLOURS, MARKERS, describe, image_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES
from lessons.lesson03.figures.sampling import clip_axes, valid_share
from lessons.shared.denoising import clips, clips_judge

SIDE, RULE = 16, 2
"""Pixels of a clip of lesson 03, and the least width and space of its design rule."""
LARGE = 64
LARGE_RULE = ClipConfig(size=LARGE).rule


def panel(made: Mapping[str, Tensor], known: int = 1024) -> dict[str, dict[str, float]]:
    """Lesson 03's judges on clips (N, 1, 16, 16) in [-1, 1] by name; shares in percent.

    A sample counts as a copy if it is a training clip to the pixel, and as drawn twice if another is equal.
    """
    training = clips(SIDE, "train", known).network()
    rows = {}
    for name, drawn in made.items():
        held_out = clips(SIDE, "test", max(16, len(drawn))).network()
        found = judge_panel(drawn.cpu(), held_out, training, clips_judge(SIDE), RULE)
        rows[name] = {
            "valid": 100 * found.valid,
            "broken pixels": 100 * found.violation,
            "distance": found.frechet,
            "coverage": 100 * found.coverage,
            "copies": 100 * found.copies,
            "twice": 100 * found.self_duplicates,
        }
    return rows


PANEL_UNITS = dict.fromkeys(("valid", "broken pixels", "coverage", "copies", "twice"), "%")


@styled
def evaluations_figure(made: Mapping[str, Mapping[int, Tensor]]) -> Figure:
    """Valid and different clips, and coverage, against the number of evaluations; a line per method.

    Args:
        made: {method: {evaluations: clips (N, 1, 16, 16)}}; the methods may have different evaluations.
    """
    figure = new_figure(9.0, 3.3)
    counts = sorted({count for row in made.values() for count in row})
    judges = {"valid": _valid, "coverage": _covered}
    for ax, (quantity, judge) in zip(figure.subplots(1, 2), judges.items(), strict=True):
        scores = {name: {n: judge(drawn) for n, drawn in row.items()} for name, row in made.items()}
        words = []
        for i, (name, row) in enumerate(scores.items()):
            values = row
            ax.plot(
                list(values), list(values.values()), color=COLOURS[i], linestyle=LINES[i],
                marker=MARKERS[i], label=name,
            )  # fmt: skip
            words.append(f"{name} " + ", ".join(f"{value:.0f} at {n}" for n, value in values.items()))
        describe(ax, f"{quantity} (%): {'; '.join(words)}.")
        label = {"valid": "valid clips (%)", "coverage": "real clips with one nearby (%)"}[quantity]
        ax.set(xscale="log", xlabel="evaluations of the network", ylabel=label, ylim=(0, 100))
        ax.set_xticks(counts, [str(count) for count in counts])
        ax.minorticks_off()
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _valid(drawn: Tensor) -> float:
    """Percent of clips (N, 1, 16, 16) without a violation."""
    return 100 * valid_share(drawn, RULE)


def _covered(drawn: Tensor) -> float:
    """Percent of as many held-out clips with one of these nearby, on the judge's features."""
    judge = clips_judge(SIDE)
    real = clips(SIDE, "test", max(16, len(drawn))).network()
    return 100 * coverage(judge.features(real), judge.features(drawn.sign()))


PLACES = "on one\ntrajectory"
"""The row of the places themselves."""


@styled
def answers_figure(noisy: Tensor, answers: Mapping[str, Tensor], times: Sequence[int]) -> Figure:
    """Places on one trajectory, and under each what networks answer there.

    Args:
        noisy: (K, 1, S, S), from noise to little noise, on one trajectory.
        answers: {network: images (K, 1, S, S)}.
        times: the timesteps of the places.
    """
    rows = {PLACES: noisy, **answers}
    figure = new_figure(1.5 + 1.15 * len(noisy), 1.25 * len(rows))
    for (name, images), axes in zip(
        rows.items(), figure.subplots(len(rows), len(noisy), squeeze=False), strict=True
    ):
        limit = 1.6 if name == PLACES else 1.0
        for ax, image, now in zip(axes, images, times, strict=True):
            image_axes(image, f"t = {now}" if name == PLACES else "", ax=ax, limits=(-limit, limit))
            describe(ax, "")
        change = "" if name == PLACES else f"\n{apart(images):.0%} of pixels\nchange"
        axes[0].set_ylabel(name + change, rotation=0, ha="right", va="center")
        words = name.replace("\n", " ")
        describe(axes[0], f"{words}: {apart(images):.0%} of the pixels change sides along the trajectory.")
    return figure


def apart(images: Tensor) -> float:
    """Share of pixels that are not drawn in all of the images (K, ...) or in none."""
    drawn = (images > 0).flatten(1)
    return float((drawn.any(dim=0) & ~drawn.all(dim=0)).double().mean())


@styled
def latents_figure(real: Tensor, latent: Tensor, decoded: Tensor, count: int = 5) -> Figure:
    """Clips, their latents (one channel), what is decoded from them, and the pixels that come back wrong.

    Args:
        real, decoded: (N, 1, S, S) in [-1, 1].
        latent: (N, C, s, s).
    """
    wrong = ((real > 0) != (decoded > 0)).float()
    rows = {
        "clip": (real, -1.0, 1.0),
        "latent,\none channel": (latent[:, :1], -2.5, 2.5),
        "decoded": (decoded, -1.0, 1.0),
        "wrong pixels": (2 * wrong - 1, -1.0, 1.0),
    }
    figure = new_figure(1.4 + 1.3 * count, 1.3 * len(rows))
    for (name, (images, low, high)), axes in zip(
        rows.items(), figure.subplots(len(rows), count), strict=True
    ):
        for ax, image in zip(axes, images, strict=False):
            image_axes(image, ax=ax, limits=(low, high))
            describe(ax, "")
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    valid = [f"{valid_share(images, LARGE_RULE):.0%}" for images in (real, decoded)]
    describe(
        figure.axes[0],
        f"{len(real)} clips of {real.shape[-1]} px through latents of {tuple(latent.shape[1:])}: "
        f"{float(wrong.mean()):.1%} of the pixels come back wrong; valid before {valid[0]}, "
        f"after {valid[1]}.",
    )
    return figure


@styled
def large_figure(rows: Mapping[str, Tensor], count: int = 6) -> Figure:
    """A row of large clips per name, (N, 1, 64, 64) in [-1, 1], with the share of valid ones of all N."""
    figure = new_figure(1.7 + 1.3 * count, 1.35 * len(rows))
    for (name, samples), axes in zip(
        rows.items(), figure.subplots(len(rows), count, squeeze=False), strict=True
    ):
        score = f"{valid_share(samples, LARGE_RULE):.0%} valid"
        for ax, clip in zip(axes, samples, strict=False):
            clip_axes(ax, clip, LARGE_RULE)
        axes[0].set_ylabel(f"{name}\n{score}", rotation=0, ha="right", va="center")
        describe(axes[0], f"{name}: {score} of {len(samples)} clips of {LARGE} px.")
    return figure


def edge_share(images: Tensor) -> float:
    """Share of undecided pixels, |x| < 0.8, of images in [-1, 1]: grey edges are what a decoder blurs."""
    return float((torch.as_tensor(images).abs() < 0.8).double().mean())
