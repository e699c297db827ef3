"""The figures of lesson 06 that explain: losses on a logit, a frozen generator, labels, spectral norm."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, MARKERS, describe, new_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES, figure_of
from lessons.lesson06.experiments.gradients import KINDS, curves

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


@styled
def alone_figure(accuracy: Sequence[float], arriving: Mapping[str, Sequence[float]]) -> Figure:
    """A D that learns alone: its accuracy, and the gradient that each loss of G would send to the fakes.

    Args:
        accuracy: of D, one value per step.
        arriving: {loss of G: norm of its gradient at the fakes, one value per step}.
    """
    figure = new_figure(9.2, 3.2)
    left, right = figure.subplots(1, 2)
    steps = range(1, 1 + len(accuracy))
    left.plot(steps, _smooth(accuracy), color=COLOURS[0])
    left.set(xlabel="step of D", ylabel="D's accuracy", ylim=(0.4, 1.03), title="D alone learns")
    describe(left, f"D's accuracy: {accuracy[0]:.2f} at first, {np.mean(accuracy[-5:]):.2f} at the end.")
    words = []
    for i, (name, values) in enumerate(arriving.items()):
        line = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i]}
        right.plot(steps, _smooth(values), label=name, markevery=max(1, len(values) // 6), **line)
        words.append(f"{name}: {np.mean(values[:5]):.2g} at first, {np.mean(values[-5:]):.2g} at the end")
    right.set(xlabel="step of D", ylabel="|gradient| at the fakes", yscale="log", title="what would reach G")
    right.legend()
    describe(right, f"Norm of the gradient at the fakes. {'; '.join(words)}.")
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


@styled
def labels_figure(best: Callable[[Tensor, Tensor, float, float], Tensor]) -> Figure:
    """Two densities on a line, and the best D for three ways to label them.

    Args:
        best: densities p (real) and q (fake), targets for real and fake -> the best D, in [0, 1].
    """
    x = torch.linspace(-6, 6, 241, dtype=torch.float64)
    real, fake = (torch.exp(-0.5 * (x - m) ** 2) / (2 * torch.pi) ** 0.5 for m in (2.0, -2.0))
    figure = new_figure(9.2, 3.2)
    left, right = figure.subplots(1, 2)
    left.plot(x, real, color=COLOURS[0], label="real data, p")
    left.plot(x, fake, color=COLOURS[1], linestyle=LINES[1], label="fakes, q")
    left.set(xlabel="x", ylabel="density", title="real and fake on a line", ylim=(0, 0.52))
    left.legend(ncols=2, loc="upper center")
    describe(left, "Real data lie around 2, fakes around -2; the two overlap a little around 0.")
    words = []
    for i, (name, (a, b)) in enumerate(LABELS.items()):
        answer = best(real, fake, a, b)
        line = {"color": COLOURS[i], "linestyle": LINES[i], "marker": MARKERS[i], "markevery": (10 * i, 40)}
        right.plot(x, answer, label=name, **line)
        words.append(f"{name}: from {answer[0]:.2f} to {answer[-1]:.2f}")
    right.axvspan(-6, -2, color="#EEEEEE", zorder=0)
    right.annotate(
        "0.1 real, where\nonly fakes are", (-4, 0.1), (-5.8, 0.28), arrowprops={"arrowstyle": "->"}
    )
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
def power_figure(estimates: Mapping[str, Sequence[float]], exact: float, stretch: float) -> Figure:
    """Estimates of the largest singular value against the iterations behind them, and what they estimate.

    Args:
        estimates: {start: estimate after 1, 2, ... iterations}.
        exact: largest singular value of the reshaped matrix.
        stretch: operator norm of the convolution.
    """
    ax = new_axes(None, 6.6, 3.2)
    words = []
    for i, (name, values) in enumerate(estimates.items()):
        steps = range(1, 1 + len(values))
        ax.plot(
            steps, values, color=COLOURS[i], linestyle=LINES[i], marker=MARKERS[i], markersize=4, label=name
        )
        words.append(f"{name}: {values[0]:.2f} after one iteration, {values[-1]:.3f} after {len(values)}")
    last = len(next(iter(estimates.values())))
    for height, said, colour in (
        (exact, "SVD of the reshaped matrix", "black"),
        (stretch, "what the convolution can do to an image", COLOURS[4]),
    ):
        ax.axhline(height, color=colour, linewidth=1.2)
        ax.annotate(
            said, (last, height), (0, 4), textcoords="offset points", ha="right", color=colour, fontsize=9
        )
    ax.set(xlabel="power iterations", ylabel="largest stretch", ylim=(None, 1.12 * stretch))
    ax.legend(loc="center right")
    return figure_of(describe(ax, f"{'; '.join(words)}. SVD: {exact:.3f}. The convolution: {stretch:.2f}."))
