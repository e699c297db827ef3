"""The figure of lesson 06's smallest GAN: where two players of one number each go in their plane."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.teaching.plots import COLOURS, describe, new_figure, styled

REACH = 2.3
"""Half the side of the plane that is shown."""


@styled
def paths_figure(paths: Mapping[str, Tensor]) -> Figure:
    """One panel per way to play: the path of (theta, psi), its start and its end.

    Args:
        paths: {name: (turns + 1, 2)}, theta first; points outside the panel are cut off.
    """
    columns = min(3, len(paths))
    lines = -(-len(paths) // columns)
    figure = new_figure(3.1 * columns, 2.9 * lines)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for ax in axes.flat[len(paths) :]:
        ax.set_axis_off()
    for ax, (name, path) in zip(axes.flat, paths.items(), strict=False):
        theta, psi = path.detach().double().numpy().T
        ax.axhline(0, color="#BBBBBB", linewidth=0.8)
        ax.axvline(0, color="#BBBBBB", linewidth=0.8)
        ax.plot(theta, psi, color=COLOURS[0], linewidth=1.1)
        ax.plot(theta[0], psi[0], "o", color="black", fillstyle="none", markersize=8)
        ax.plot(theta[-1], psi[-1], "s", color=COLOURS[1], markersize=8)
        ax.set(title=name, xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        far = np.hypot(theta, psi)
        describe(ax, f"{name}: begins {far[0]:.1f} from the goal and ends {far[-1]:.2f} from it.")
    for ax in axes[-1]:
        ax.set_xlabel(r"G: $\theta$")
    for ax in axes[:, 0]:
        ax.set_ylabel(r"D: $\psi$")
    return figure
