"""The figure of lesson 06's own machine: what each run makes of a layout, and two numbers that judge it."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.images import unit_from_network
from gantrans.teaching.plots import describe, image_axes, new_figure, styled
from lessons.lesson05.experiments.patches import spectrum_distance
from lessons.lesson06.experiments.clips import Clips


def judge(first: Tensor, second: Tensor, real: Clips) -> dict[str, float]:
    """Two numbers for two draws from the same layouts, each (N, 1, S, S) in [-1, 1].

    Returns:
        spectrum: mean absolute difference of the radial spectra, made against real, in dB. spread: how much
        two draws from one layout differ, over how much two real images of it do (1 is real, 0 is none).
    """
    made, sem = unit_from_network(first), unit_from_network(real.sem)
    apart = (first - second).square().mean().sqrt() / (real.sem - real.another).square().mean().sqrt()
    return {"spectrum": spectrum_distance(made, sem)[0], "spread": float(apart)}


@styled
def runs_figure(
    real: Clips, made: Mapping[str, tuple[Tensor, Tensor]], picked: Sequence[int], columns: int = 6
) -> Figure:
    """A panel per run with what it makes of four layouts, after the layouts and the real images.

    Args:
        made: {run: two draws from the layouts of `real`}.
        picked: the four clips that are shown, two in a row.
        columns: panels in a line.
    """
    panels = {
        "layout": real.layout,
        "real SEM": real.sem,
        **{name: first for name, (first, _) in made.items()},
    }
    lines = -(-len(panels) // columns)
    figure = new_figure(1.6 * columns, 1.95 * lines)
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_axis_off()
    for ax, (name, images) in zip(axes, panels.items(), strict=False):
        title = name
        if name in made:
            numbers = judge(*made[name], real)
            title = f"{name}\n{numbers['spectrum']:.1f} dB · spread {numbers['spread']:.2f}"
        four = unit_from_network(images[list(picked)]).clamp(0, 1)[:, 0]
        image_axes(torch.cat([torch.cat([*four[:2]], dim=1), torch.cat([*four[2:]], dim=1)]), ax=ax)
        ax.set_title(title, fontsize=8.5)
        describe(ax, f"{title.replace(chr(10), ': ')}.")
    return figure
