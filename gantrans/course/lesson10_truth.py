"""The figures of lesson 10, second part: measured against true, failures, metrics as losses."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.course.experiments.gallery import PIXEL_NM, SEM_FAILURES, Shown, sem_scores
from gantrans.course.experiments.gaming import WEIGHTS
from gantrans.course.experiments.metrology_truth import Readings, spectra
from gantrans.course.experiments.sweeps import Table as SweepTable
from gantrans.course.plots import (
    COLOURS,
    MARKERS,
    bars_with_intervals,
    describe,
    image_axes,
    new_axes,
    new_figure,
    overlay_axes,
    styled,
)
from gantrans.metrics import noise_variance

Truth = Mapping[tuple[str, float, float], Mapping[str, float]]


@styled
def ler_figure(table: Truth) -> Figure:
    """LER against dose, as read off SEM images and corrected: a panel per pixel size, the truth as a line."""
    pixels = sorted({pixel for by, pixel, _ in table if by == "sem"})
    figure = new_figure(2.5 * len(pixels) + 0.6, 3.3)
    axes = figure.subplots(1, len(pixels), sharey=True, squeeze=False)[0]
    for ax, pixel in zip(axes, pixels, strict=True):
        doses = sorted(dose for by, size, dose in table if by == "sem" and size == pixel)
        rows = [table["sem", pixel, dose] for dose in doses]
        for k, quantity in enumerate(("LER read", "LER corrected")):
            values = [row[quantity] for row in rows]
            ax.plot(doses, values, MARKERS[k] + "-", color=COLOURS[k], label=quantity)
        ax.axhline(rows[0]["LER true"], color="black", linestyle=":", linewidth=1.2, label="LER true")
        ax.set(xscale="log", title=f"pixel {pixel:g} nm", xlabel="electrons per pixel")
        ax.set_xticks(doses, [f"{d:g}" for d in doses])
        ax.minorticks_off()
        read, corrected = (f"{rows[-1][q]:.1f}" for q in ("LER read", "LER corrected"))
        describe(
            ax,
            f"Pixel {pixel:g} nm: true LER {rows[0]['LER true']:.1f} nm; read {rows[0]['LER read']:.0f} nm "
            f"at the lowest dose and {read} at the highest, corrected {rows[0]['LER corrected']:.1f} and "
            f"{corrected}.",
        )
    axes[0].set(ylabel="LER, 3 sigma (nm)", ylim=(0, None))
    axes[-1].legend(loc="upper right")
    return figure


@styled
def cd_truth_figure(table: Truth) -> Figure:
    """Bias and spread of the CD against the truth: by pixel size for coverage, by dose for SEM images."""
    figure = new_figure(8.6, 3.3)
    for ax, quantity in zip(figure.subplots(1, 2), ("CD bias", "CD spread"), strict=True):
        sizes = sorted({pixel for _, pixel, _ in table})
        doses = sorted({dose for by, _, dose in table if by == "sem"})
        lines = {"printed coverage": [table["coverage", p, np.inf][quantity] for p in sizes]}
        lines |= {f"SEM, {d:g} e/px": [table["sem", p, d][quantity] for p in sizes] for d in doses}
        words = []
        for k, (name, values) in enumerate(lines.items()):
            ax.plot(sizes, values, MARKERS[k] + "-", color=COLOURS[k], label=name)
            words.append(f"{name} {values[0]:.1f} to {values[-1]:.1f}")
        ax.set(xscale="log", xlabel="pixel size (nm)", ylabel=f"{quantity} (nm)", title=quantity)
        ax.set_xticks(sizes, [f"{s:g}" for s in sizes])
        ax.minorticks_off()
        describe(
            ax, f"{quantity} in nm, from pixels of {sizes[0]:g} to {sizes[-1]:g} nm: {'; '.join(words)}."
        )
    figure.axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def floor_figure(readings: Readings, ax: Axes | None = None) -> Axes:
    """Spectra of the true edges and of those read off an SEM image, with the noise floor between them."""
    ax = new_axes(ax, 6.2, 3.4)
    for k, (name, (frequency, density)) in enumerate(spectra(readings).items()):
        ax.plot(1000 * frequency, density, color=COLOURS[k], label=name)
    floor = noise_variance(readings.sem.both, readings.pixel_nm) * readings.pixel_nm
    ax.axhline(floor, color="black", linestyle=":", linewidth=1.4, label="floor: noise")
    ax.set(xscale="log", yscale="log", xlabel="frequency along the edge (1/µm)", ylabel="density (nm³)")
    ax.set_title(f"pixel {readings.pixel_nm:g} nm")
    ax.legend()
    return describe(
        ax, f"The spectrum of the edges as read ends in a floor of {floor:.0f} nm^3; the true one falls."
    )


@styled
def failure_figure(name: str, shown: Shown, images: Sequence[int] = (0, 1)) -> Figure:
    """One failure: input, target, a sound and the failing output, and where the failing one is wrong."""
    of_layouts = name not in SEM_FAILURES
    columns = 5 if of_layouts else 4
    figure = new_figure(1.6 * columns, 1.65 * len(images) + 0.5)
    axes = figure.subplots(len(images), columns, squeeze=False)
    for k, (row, i) in enumerate(zip(axes, images, strict=True)):
        first = k == 0
        panels = {
            "input": shown.source[i],
            "target" if of_layouts else "real": shown.target[i],
            "sound": shown.sound[i],
            "failing": shown.failing[i],
        }
        for ax, (title, image) in zip(row, panels.items(), strict=False):
            image_axes(
                image,
                title if first else "",
                ax=ax,
                pixel_nm=PIXEL_NM if first and title == "input" else None,
            )
        if of_layouts:
            overlay_axes(shown.failing[i], shown.target[i], "failing: errors" if first else "", ax=row[-1])
    figure.suptitle(name)
    return figure


def sem_failure_table(blur: Shown, checkerboard: Shown) -> dict[str, dict[str, float]]:
    """The judges of SEM images for real images, the blurring network and the one with kernel 3."""
    rows = {"real": blur.target, "L1 alone, resize": blur.failing, "L1 alone, kernel 3": checkerboard.failing}
    return {name: sem_scores(images, blur.target) for name, images in rows.items()}


@styled
def gaming_figure(table: SweepTable, quantities: Sequence[str] = ("SSIM", "EPE", "defects")) -> Figure:
    """Held-out judges by training loss, one dot per seed, joined by seed."""
    units = {"EPE": "nm", "|CD error|": "nm", "corner radius": "nm", "defects": "per image"}
    figure = new_figure(3.5 * len(quantities), 3.3)
    short = {arm: arm.replace("trained on ", "") for arm in WEIGHTS}
    for ax, quantity in zip(figure.subplots(1, len(quantities)), quantities, strict=True):
        groups = {short[arm]: values for arm, values in table.values(quantity, *WEIGHTS).items()}
        bars_with_intervals(groups, quantity=quantity, unit=units.get(quantity, ""), title=quantity, ax=ax)
        ax.set_xlabel("trained on")
    return figure
