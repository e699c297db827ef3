"""The figures of lesson 01: noise on images, the walk and the jump, schedules side by side, what is left."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.diffusion import make_schedule
from gantrans.errors import ConfigError
from gantrans.teaching.plots import COLOURS, MARKERS, describe, image_axes, image_grid, new_figure, styled
from gantrans.teaching.plots.style import LINES

LIMITS = (-2.0, 2.0)
"""Values shown as black and white: images reach from -1 to 1, noise further."""
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
"""Where on the way from t = 0 to T - 1 the strips look."""
REFERENCE = "linear"
"""The grey curve of the explorer, with T = 1000."""


@styled
def film_figure(image: Tensor, frames: int = 8, seed: int = 0) -> Figure:
    """An image (1, S, S) in [-1, 1] that sinks into noise, from all of it to none."""
    alpha_bars = make_schedule("cosine", 1000).alpha_bars
    t = [round(share * 999) for share in np.linspace(0, 1, frames)]
    titles = [f"frame {number}" for number in range(1, frames + 1)]
    return image_grid([list(noised(alpha_bars, image, t, seed))], titles, limits=LIMITS, size=1.2)


@styled
def walk_figure(walked: Tensor, times: Tensor, jumped: Tensor) -> Figure:
    """Mean and spread of many pixels: walked at every timestep (T, 2), and jumped to `times` (n, pixels)."""
    figure = new_figure(7.4, 3.2)
    ax = figure.subplots()
    words = []
    measured = (jumped.mean(1), jumped.std(1))
    for i, (name, jump) in enumerate(zip(("mean", "standard deviation"), measured, strict=True)):
        walk = walked[:, i]
        ax.plot(walk, color=COLOURS[i], linestyle=LINES[i], label=f"{name}, walked step by step")
        ax.plot(times, jump, MARKERS[i], color=COLOURS[i], label=f"{name}, jumped there")
        apart = float((walk[times] - jump).abs().max())
        words.append(f"{name} differs by at most {apart:.2f}")
    ax.set(xlabel="timestep t", ylabel="over pixels that start at 1", ylim=(-0.05, 1.1))
    ax.legend(loc="center right")
    describe(ax, f"Pixels that walked and pixels that jumped: {'; '.join(words)}.")
    return figure


def noised(alpha_bars: Tensor, image: Tensor, t: Sequence[int], seed: int = 0) -> Tensor:
    """One image (1, S, S) in [-1, 1] at several timesteps, with the same noise: (len(t), 1, S, S)."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    bars = alpha_bars[list(t)].view(-1, 1, 1, 1)
    return bars.sqrt().to(image) * image + (1 - bars).sqrt().to(image) * noise


def places(steps: int) -> list[int]:
    """The timesteps at `SHARES` of the way."""
    return [round(share * (steps - 1)) for share in SHARES]


@styled
def noising_figure(images: Mapping[str, Tensor], betas: Tensor) -> Figure:
    """A row per image (1, S, S) in [-1, 1]: noised at `SHARES` of the way, with the variance that is left."""
    alpha_bars, t = torch.cumprod(1 - betas, 0), places(len(betas))
    shares = [float(alpha_bars[step]) for step in t]
    titles = [
        f"t = {step}\n{f'{share:.0%}' if share >= 0.01 else 'under 1%'} left"
        for step, share in zip(t, shares, strict=True)
    ]
    rows = [list(noised(alpha_bars, image, t)) for image in images.values()]
    return image_grid(rows, titles, row_titles=list(images), limits=LIMITS, size=1.5)


@styled
def curves_figure(
    betas: Mapping[str, Tensor], log_snr: Callable[[Tensor], Tensor], mark: float | None = None
) -> Figure:
    """Betas (T,), alpha-bar and the log-SNR that `log_snr` works out, of several schedules over the way."""
    figure = new_figure(9.4, 3.5)
    axes = figure.subplots(1, 3)
    words = []
    for i, (name, values) in enumerate(betas.items()):
        _curves(axes, values, log_snr(values), {"color": COLOURS[i], "linestyle": LINES[i], "label": name})
        half = float(torch.cumprod(1 - values, 0)[len(values) // 2 - 1])
        words.append(f"{name} {half:.2f}")
    if mark is not None:
        axes[2].axhline(mark, color="#777777", linewidth=0.8, linestyle=":")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(betas))
    describe(axes[1], f"alpha-bar half way: {'; '.join(words)}.")
    return figure


def _curves(axes: Sequence[Axes], betas: Tensor, log_snr: Tensor, style: dict[str, object]) -> None:
    """One schedule on three axes: betas, alpha-bar and log-SNR; a last log-SNR of -inf is left out."""
    u = (np.arange(len(betas)) + 1) / len(betas)
    finite = np.isfinite(log_snr.numpy())
    axes[0].plot(u, betas, **style)  # type: ignore[arg-type]
    axes[1].plot(u, torch.cumprod(1 - betas, 0), **style)  # type: ignore[arg-type]
    axes[2].plot(u[finite], log_snr[finite], **style)  # type: ignore[arg-type]
    axes[0].set(title="noise added by a step", ylabel="beta", yscale="log", ylim=(5e-5, 1.5))
    axes[1].set(title="share of the variance left", ylabel="alpha-bar", ylim=(-0.03, 1.03))
    axes[2].set(title="signal against noise", ylabel="log-SNR", ylim=(-13, 11))
    for ax in axes:
        ax.set_xlabel("(t + 1) / T")


@styled
def schedule_figure(
    images: Mapping[str, Tensor], *, name: str, steps: int, rescale: bool, zero_terminal_snr: bool
) -> Figure:
    """A schedule's three curves over noised images (1, S, S), or why there is no such schedule.

    The grey curve is the linear schedule with T = 1000.
    """
    try:
        schedule = make_schedule(name, steps, rescale=rescale, zero_terminal_snr=zero_terminal_snr)
    except ConfigError as error:
        return _refused(str(error))
    figure = new_figure(9.4, 2.8 + 1.55 * len(images))
    parts: Any = figure.subfigures(2, 1, height_ratios=[2.8, 1.55 * len(images)])
    above, below = parts
    axes = above.subplots(1, 3)
    grey = make_schedule(REFERENCE)
    _curves(axes, grey.betas, grey.log_snr, {"color": "#AAAAAA", "linewidth": 3})
    _curves(axes, schedule.betas, schedule.log_snr, {"color": COLOURS[0]})
    left = float(schedule.signal[-1])
    axes[1].set_title(f"left at the end: factor {left:.2g}" if left else "left at the end: nothing")
    if not left:
        axes[2].set_title("log-SNR ends at minus infinity")
    describe(axes[1], f"{name}, T = {steps}: factor {left:.3g} of the image is left at the last timestep.")
    t = places(schedule.steps)
    rows = below.subplots(len(images), len(t), squeeze=False)
    for i, (label, image) in enumerate(images.items()):
        for ax, step, x_t in zip(rows[i], t, noised(schedule.alpha_bars, image, t), strict=True):
            image_axes(x_t, f"t = {step}" if i == 0 else "", ax=ax, limits=LIMITS)
            describe(ax, "")
        rows[i, 0].set_ylabel(label)
    return figure


def _refused(message: str) -> Figure:
    figure = new_figure(9.4, 1.6)
    ax = figure.add_subplot()
    ax.set_axis_off()
    ax.text(0.5, 0.5, textwrap.fill(message, 95), ha="center", va="center", fontsize=11, color=COLOURS[1])
    describe(ax, f"No such schedule: {message}")
    return figure


@styled
def left_figure(image: Tensor, steps: Sequence[int] = (1000, 500, 200, 100, 50)) -> Figure:
    """The last x_t of the linear schedule for several T, not scaled and scaled, beside pure noise."""
    figure = new_figure(1.6 * (len(steps) + 1), 3.9)
    axes = figure.subplots(2, len(steps) + 1)
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    for row, rescale in zip(axes, (False, True), strict=True):
        words = []
        for ax, count in zip(row, steps, strict=False):
            schedule = make_schedule("linear", count, rescale=rescale)
            left = float(schedule.signal[-1])
            image_axes(noised(schedule.alpha_bars, image, [count - 1])[0], ax=ax, limits=LIMITS)
            ax.set_title(f"T = {count}\nfactor {left:.2g}")
            words.append(f"T = {count} {left:.2g}")
            describe(ax, "")
        kind = "scaled by 1000 / T" if rescale else "not scaled"
        row[0].set_ylabel(kind)
        describe(row[0], f"Factor of the image at the last step, {kind}: {'; '.join(words)}.")
        image_axes(noise, "sampling starts\nfrom noise", ax=row[-1], limits=LIMITS)
        describe(row[-1], "")
    return figure
