"""The figures of lesson 06, part one: losses on a logit, a frozen generator, labels, spectral norm, decay."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, new_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES, figure_of
from gantrans.training.lr import linear_decay
from gantrans.translation.losses import AdversarialLoss
from lessons.lesson06.experiments.gradients import KINDS, Frozen, curves
from lessons.lesson06.experiments.spectral import matrix, operator_norm, power_iteration

ON, BEHIND = "on the logit", "behind a sigmoid"
FLOOR = 1e-6
"""Gradients below it are drawn at it."""


def _logits(low: float = -12.0, high: float = 6.0) -> Tensor:
    return torch.linspace(low, high, 181)


@styled
def loss_figure(*, loss: str, where: str, logit: float) -> Figure:
    """One generator's loss and the size of its gradient against D's logit of a fake, one logit marked.

    Args:
        loss: a name of `KINDS`.
        where: `ON` or `BEHIND` (hinge has no second form and stays as it is).
        logit: D's verdict; below 0 it says fake.
    """
    figure = new_figure(9.2, 3.1)
    left, right = figure.subplots(1, 2)
    at, behind = torch.tensor([float(logit)]), where == BEHIND
    for i, (name, kind) in enumerate(KINDS.items()):
        x = _logits()
        values, slopes = curves(kind, x, sigmoid=behind)
        style = {
            "color": COLOURS[i] if name == loss else "#C4C4C4",
            "linewidth": 2.2 if name == loss else 1.0,
        }
        left.plot(x, values, zorder=2 + (name == loss), **style)
        right.plot(x, slopes.abs().clamp(min=FLOOR), zorder=2 + (name == loss), **style)
        if name == loss:
            value, slope = (float(v) for v in curves(kind, at, sigmoid=behind))
            left.plot(logit, value, MARKERS[i], color=COLOURS[i], markersize=8, zorder=5)
            right.plot(logit, max(abs(slope), FLOOR), MARKERS[i], color=COLOURS[i], markersize=8, zorder=5)
    for ax in (left, right):
        ax.set_xticks(range(-12, 7, 3))
    left.set(xlabel="D's logit of the fake", ylabel="loss of G", ylim=(-8, 30), title=f"{loss}, {where}")
    right.set(
        xlabel="D's logit of the fake", ylabel="|gradient| for G", yscale="log", ylim=(FLOOR, 100),
        title=f"at {logit:g}: gradient {slope:.2g}",
    )  # fmt: skip
    describe(
        left, f"The loss {loss}, {where}, is {value:.2g} at a logit of {logit:g}. Grey: the other losses."
    )
    describe(right, f"Its gradient there is {slope:.2g}.")
    return figure


def gradient_table(logits: Sequence[float] = (-10.0, -4.0, 0.0, 4.0)) -> Table:
    """Gradients of the four generators' losses at some logits."""
    at = torch.tensor(logits)
    rows = [
        [name, *(f"{float(v):.2g}" for v in curves(kind, at, sigmoid=False)[1])]
        for name, kind in KINDS.items()
    ]
    return Table(["gradient of the loss of G", *(f"logit {x:g}" for x in logits)], rows)


@styled
def frozen_figure(runs: Mapping[str, Frozen]) -> Figure:
    """D's accuracy, and the adversarial gradient that a frozen generator would have heard.

    Args:
        runs: by discriminator; a cross-entropy D serves two generators' losses.
    """
    figure = new_figure(9.4, 3.6)
    left, right = figure.subplots(1, 2)
    names = {kind: name for name, kind in KINDS.items()}
    words, line = [], 0
    for i, (critic, run) in enumerate(runs.items()):
        steps = range(1, 1 + len(run.accuracy))
        left.plot(steps, _smooth(run.accuracy), color=COLOURS[i], linestyle=LINES[i], label=critic)
        for kind, values in run.gradients.items():
            label = names[kind] + critic.removeprefix("cross-entropy").removeprefix("least squares")
            right.plot(
                steps, _smooth(values), color=COLOURS[line % 6], linestyle=LINES[line % 6], label=label,
                marker=MARKERS[line % 6], markevery=max(1, len(values) // 6),
            )  # fmt: skip
            words.append(f"{label}: highest {max(values):.2g}, at the end {values[-1]:.2g}")
            line += 1
    left.set(xlabel="step of D", ylabel="D's accuracy", ylim=(0.4, 1.03), title="D alone learns")
    left.legend(loc="lower right")
    right.set(
        xlabel="step of D", ylabel="|gradient| at the fake image", yscale="log", title="what G would hear"
    )
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=2)
    ends = "; ".join(f"{critic} {run.accuracy[-1]:.2f}" for critic, run in runs.items())
    describe(left, f"D's accuracy at the end: {ends}.")
    describe(right, f"Norm of the adversarial gradient. {'; '.join(words)}.")
    return figure


def _smooth(values: Sequence[float], over: int = 5) -> np.ndarray:
    """A running mean that keeps the length."""
    padded = np.pad(np.asarray(values, dtype=np.float64), over // 2, mode="edge")
    return np.convolve(padded, np.full(over, 1 / over), mode="valid")


LABELS: Mapping[str, tuple[float, float]] = {
    "no smoothing": (1.0, 0.0),
    "one-sided, 0.9": (0.9, 0.0),
    "two-sided, 0.9 and 0.1": (0.9, 0.1),
}
"""Targets of D for real and for fake."""


def best_discriminator(
    real: np.ndarray, fake: np.ndarray, real_label: float, fake_label: float
) -> np.ndarray:
    """The D that minimises the cross-entropy for two densities: (a p + b q) / (p + q)."""
    return (real_label * real + fake_label * fake) / (real + fake)


@styled
def labels_figure() -> Figure:
    """Two densities on a line, and the best D for three ways to label them."""
    x = np.linspace(-6, 6, 241)
    real, fake = (np.exp(-0.5 * (x - m) ** 2) / np.sqrt(2 * np.pi) for m in (2.0, -2.0))
    figure = new_figure(9.2, 3.2)
    left, right = figure.subplots(1, 2)
    left.plot(x, real, color=COLOURS[0], label="real data, p")
    left.plot(x, fake, color=COLOURS[1], linestyle=LINES[1], label="fakes, q")
    left.set(xlabel="x", ylabel="density", title="real and fake on a line", ylim=(0, 0.52))
    left.legend(ncols=2, loc="upper center")
    describe(left, "Real data lie around 2, fakes around -2; the two overlap a little around 0.")
    words = []
    for i, (name, (a, b)) in enumerate(LABELS.items()):
        best = best_discriminator(real, fake, a, b)
        right.plot(
            x,
            best,
            color=COLOURS[i],
            linestyle=LINES[i],
            label=name,
            marker=MARKERS[i],
            markevery=(10 * i, 40),
        )
        words.append(f"{name}: from {best[0]:.2f} to {best[-1]:.2f}")
    right.set(
        xlabel="x", ylabel="best D(x), a probability", title="what a perfect D would say", ylim=(-0.05, 1.3)
    )
    right.legend(loc="upper left", ncols=2)
    describe(right, f"The best D. {'; '.join(words)}.")
    return figure


@styled
def label_pull_figure(label: float = 0.9) -> Figure:
    """The gradient of D's loss on a real pair against its logit, for a hard and a smoothed label."""
    x = _logits(-6, 8)
    ax = new_axes(None, 6.4, 3.2)
    for i, aim in enumerate((1.0, label)):
        ax.plot(x, x.sigmoid() - aim, color=COLOURS[i], linestyle=LINES[i], label=f"label {aim:g}")
    turn = float(np.log(label / (1 - label)))
    ax.axvline(turn, color="#999999", linewidth=0.8, linestyle=":")
    ax.axhline(0, color="black", linewidth=0.8)
    ax.set(
        xlabel="D's logit of a real pair", ylabel="gradient of D's loss",
        title=f"beyond a logit of {turn:.1f} the label {label:g} pulls back",
    )  # fmt: skip
    ax.legend()
    describe(
        ax,
        f"With label 1 the gradient is negative everywhere: the logit is pushed up for ever. With {label:g} "
        f"it turns positive beyond a logit of {turn:.2f}.",
    )
    return figure_of(ax)


@styled
def power_figure(weight: Tensor, stride: int, padding: int, iterations: int = 30) -> Figure:
    """Power iteration on a layer's reshaped matrix, against SVD and against the convolution's operator norm.

    Args:
        weight: (out, in, k, k) of a convolution.
    """
    w = matrix(weight).double()
    exact = float(torch.linalg.matrix_norm(w, 2))
    norm = operator_norm(weight, stride, padding)
    ax = new_axes(None, 6.6, 3.4)
    words = []
    for i in range(3):
        estimates = power_iteration(w, iterations, seed=i)
        steps = range(1, iterations + 1)
        ax.plot(steps, estimates / exact, color=COLOURS[i], linestyle=LINES[i], label=f"start {i + 1}")
        words.append(
            f"start {i + 1}: {float(estimates[0]) / exact:.2f}, {float(estimates[14]) / exact:.3f} after 15"
        )
    ax.axhline(1, color="black", linewidth=0.9)
    ax.axhline(norm / exact, color=COLOURS[4], linewidth=1.4, linestyle=LINES[1])
    ax.annotate("SVD of the reshaped matrix", (iterations, 1), (0, 4), textcoords="offset points", ha="right")
    ax.annotate(
        "operator norm of the convolution", (iterations, norm / exact), (0, 4), textcoords="offset points",
        ha="right", color=COLOURS[4],
    )  # fmt: skip
    ax.axvline(15, color="#999999", linewidth=0.8, linestyle=":")
    ax.set(xlabel="power iterations", ylabel="estimate / exact value", ylim=(None, 1.12 * norm / exact))
    ax.legend(loc="center right")
    describe(
        ax,
        f"Estimate / exact. {'; '.join(words)}. Convolution: {norm / exact:.2f}.",
    )
    return figure_of(ax)


@styled
def decay_figure(total: int = 20, ax: Axes | None = None) -> Axes:
    """A linear decay step by step: ours, and the usual formula, whose last step runs at 1 / (n + 1)."""
    ax = new_axes(ax, 6.4, 3.0)
    half = total // 2
    ours = [linear_decay(step, total) for step in range(total + 1)]
    usual = [1 - max(0, step + 1 - half) / (total - half + 1) for step in range(total)]
    for i, (name, values) in enumerate({"ours": ours, "usual formula": usual}.items()):
        ax.plot(
            range(len(values)), values, color=COLOURS[i], linestyle=LINES[i], marker=MARKERS[i], label=name
        )
    ax.axvspan(total - 0.5, total + 0.5, color="#EEEEEE")
    ax.annotate("training\nhas ended", (total, 0.5), ha="center", fontsize=8.5)
    ax.set(xlabel="optimiser steps already taken", ylabel="learning rate / base rate", ylim=(-0.05, 1.08))
    ax.legend(loc="lower left")
    return describe(
        ax,
        f"Both rates stay at 1 until half time. The last step runs at {ours[total - 1]:.3f} of the base rate "
        f"with ours, {usual[-1]:.3f} with the usual formula; ours is 0 where training ends.",
    )


def loss_at_rest() -> Table:
    """Each D's loss when it cannot decide, and when it is sure and right: numbers to know a log by."""
    rows = []
    for name, kind in KINDS.items():
        loss = AdversarialLoss(kind)
        undecided = torch.full((1,), loss.boundary)
        sure = torch.tensor([1.0]), torch.tensor([0.0 if kind == "lsgan" else -1.0])
        if kind in ("minimax", "non_saturating"):
            sure = torch.tensor([8.0]), torch.tensor([-8.0])
        cells = (
            loss.discriminator(undecided, undecided),
            loss.discriminator(*sure),
            loss.generator(undecided),
        )
        rows.append([name, *(f"{float(cell) + 0.0:.3g}" for cell in cells)])
    return Table(["loss", "D, undecided", "D, sure and right", "G, if D is undecided"], rows)
