"""The figures of lesson 10, second part: noisy truths, measured against true, metrics as losses."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from gantrans.metrics import noise_variance
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    image_grid,
    new_axes,
    new_figure,
    scale_bar,
    styled,
)
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson10.experiments.gaming import WEIGHTS
from lessons.lesson10.experiments.metrology_errors import Estimate, TruthTable, dose_per_area
from lessons.lesson10.experiments.metrology_truth import Readings, spectra
from lessons.lesson10.experiments.perturbations import PIXEL_NM
from lessons.lesson10.experiments.sem_judges import Candidates, noise_against_signal


@styled
def acquisitions_figure(images: Mapping[str, Tensor], scores: Mapping[str, float], crop: int = 64) -> Figure:
    """Acquisitions of one geometry (N, 1, S, S), the first pair of each, with their SSIM to the first one."""
    first = next(iter(images))
    titles = [name if name == first else f"{name}\nSSIM {scores[name]:.2f}" for name in images]
    return image_grid([[v[0, 0, :crop, :crop] for v in images.values()]], titles, pixel_nm=PIXEL_NM, size=1.8)


@styled
def candidates_figure(found: Candidates, image: int = 0, crop: int = 64) -> Figure:
    """One layout, its one real image and the seven answers."""
    columns = {"layout": found.layout, "one real image": found.real, **found.answers}
    panels = [v[image, 0, :crop, :crop] for v in columns.values()]
    figure = new_figure(4.5, 4.9)
    for ax, panel, name in zip(figure.subplots(3, 3).ravel(), panels, columns, strict=True):
        image_axes(panel, name, ax=ax)
    scale_bar(figure.axes[0], crop, PIXEL_NM)
    return figure


@styled
def noise_figure(found: Candidates, names: Sequence[str], ax: Axes | None = None) -> Axes:
    """Variance of the noise against brightness: shot noise is a line, white noise is level."""
    ax = new_axes(ax, 6.4, 3.2)
    words = []
    for k, name in enumerate(names):
        level, variance = noise_against_signal(found.answers[name], found.answers["no noise"])
        ax.plot(level, variance, MARKERS[k] + "-", color=COLOURS[k], label=name)
        words.append(f"{name} from {variance[0]:.4f} to {variance[-1]:.4f}")
    ax.set(xlabel="brightness without noise", ylabel="variance of the noise", title="Noise grows with signal")
    ax.legend()
    return describe(ax, f"Variance of the noise from dark to bright: {'; '.join(words)}.")


@styled
def ler_figure(table: TruthTable) -> Figure:
    """LER against dose, as read off SEM images and corrected: a panel per pixel size, the truth as a line."""
    pixels = sorted({pixel for by, pixel, _ in table if by == "sem"})
    figure = new_figure(2.5 * len(pixels) + 0.6, 3.3)
    axes = figure.subplots(1, len(pixels), sharey=True, squeeze=False)[0]
    for ax, pixel in zip(axes, pixels, strict=True):
        doses = sorted(dose for by, size, dose in table if by == "sem" and size == pixel)
        rows = [table["sem", pixel, dose] for dose in doses]
        true = rows[0].true_ler
        words = [f"Pixel {pixel:g} nm: true LER {true:.1f} nm"]
        for k, (name, quantity) in enumerate((("LER read", "LER"), ("LER corrected", "corrected LER"))):
            off = [row.bias[quantity] for row in rows]
            known = [Estimate(*(true + v for v in astuple(e))) for e in off]
            values = _with_bars(ax, doses, known, k, name)
            words.append(f"{name} {values}")
        ax.axhline(true, color="black", linestyle=":", linewidth=1.2, label="LER true")
        ax.set(xscale="log", title=f"pixel {pixel:g} nm", xlabel="electrons per pixel")
        ax.set_xticks(doses, [f"{d:g}" for d in doses])
        ax.minorticks_off()
        describe(ax, "; ".join(words) + f" at {', '.join(f'{d:g}' for d in doses)} electrons.")
    axes[0].set(ylabel="LER, 3 sigma (nm)", ylim=(0, None))
    axes[-1].legend(loc="upper right")
    return figure


def _with_bars(ax: Axes, x: Sequence[float], values: Sequence[Estimate], k: int, label: str) -> str:
    """A line with its intervals; returns the values in words."""
    middle = np.array([e.value for e in values])
    reach = np.array([(max(e.value - e.low, 0), max(e.high - e.value, 0)) for e in values]).T
    ax.errorbar(
        x, middle, reach, fmt=MARKERS[k] + "-", color=COLOURS[k], label=label, capsize=3, elinewidth=1
    )
    return ", ".join(f"{v:.1f}" for v in middle)


@styled
def truth_figure(table: TruthTable) -> Figure:
    """Bias (above) and spread of the CD against dose per area, by two readers of the SEM image: a line per
    pixel size. Open and grey: the LER as read is near that of a reader that sees nothing."""
    pixels = sorted({pixel for by, pixel, _ in table if by == "sem"})
    figure = new_figure(8.4, 5.2)
    axes = figure.subplots(2, 2, sharex=True, sharey="row")
    for (row, column), ax in np.ndenumerate(axes):
        kind, by = ("bias", "spread")[row], ("sem", "threshold")[column]
        words, blind = [], []
        for k, pixel in enumerate(pixels):
            doses = sorted(dose for of, size, dose in table if of == by and size == pixel)
            found = [table[by, pixel, dose] for dose in doses]
            area = [dose_per_area(pixel, dose) for dose in doses]
            values = _with_bars(ax, area, [getattr(f, kind)["CD"] for f in found], k, f"pixel {pixel:g} nm")
            words.append(f"pixel {pixel:g} nm {values} at {', '.join(f'{a:.2g}' for a in area)}")
            unseen = [(a, getattr(f, kind)["CD"].value) for a, f in zip(area, found, strict=True) if f.blind]
            blind += [f"{a:.2g} at {pixel:g} nm" for a, _ in unseen]
            _greyed(ax, unseen, MARKERS[k])
        ax.axhline(0, color="#999999", linewidth=0.8)
        ax.set(xscale="log", title=f"edge: {READER_NAMES[by]}" if row == 0 else "")
        ax.set_xlabel("dose (electrons per nm²)" if row else "")
        ax.set_ylabel(f"CD, {kind} (nm)" if column == 0 else "")
        ax.minorticks_off()
        describe(
            ax,
            f"CD by {READER_NAMES[by]}, {kind} in nm by dose in electrons per square nm: {'; '.join(words)}. "
            f"Greyed: {', '.join(blind) or 'none'}.",
        )
    handles, labels = axes[0, 0].get_legend_handles_labels()
    grey = Line2D(
        [], [], marker="o", linestyle="none", markerfacecolor="white", color="#AAAAAA", markersize=8
    )
    handles, labels = [*handles, grey], [*labels, "hardly seen"]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


READER_NAMES: Mapping[str, str] = {"sem": "brightest point", "threshold": "half way down to the space"}


def _greyed(ax: Axes, points: Sequence[tuple[float, float]], marker: str) -> None:
    """Draw points over as open grey ones."""
    for x, y in points:
        ax.plot(x, y, marker, color="#AAAAAA", markerfacecolor="white", markersize=8, zorder=4)


def equal_dose_table(table: TruthTable) -> Table:
    """All quantities as printed, and as read off SEM images of the same dose per area."""
    seen = [(pixel, dose) for by, pixel, dose in table if by == "sem"]
    shared = dose_per_area(max(seen)[0], max(dose for _, dose in seen))
    rows = []
    for (by, pixel, dose), row in table.items():
        area = dose_per_area(pixel, dose)
        if by == "threshold" or (by == "sem" and not np.isclose(area, shared)):
            continue
        cells = [f"{by}, {pixel:g} nm", "\N{EN DASH}" if by == "coverage" else f"{dose:g}"]
        cells += [_interval(row.bias["CD"]), _interval(row.spread["CD"])]
        cells += [_interval(row.bias["EPE"]), _interval(row.spread["EPE"])]
        rows.append([*cells, _interval(row.bias["LER"]), _interval(row.spread["LER"])])
    names = [f"{name} {kind}" for name in ("CD", "EPE", "LER") for kind in ("bias", "spread")]
    rows.sort(key=lambda row: row[0].startswith("sem"))
    return Table(
        ["", "e per pixel", *names],
        rows,
        f"Read minus true in nm [95 % interval]; SEM: brightest point, {shared:.2g} electrons per nm²",
    )


def _interval(found: Estimate) -> str:
    words = f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]".replace("-0.00", "0.00")
    return words.replace("-", "\N{MINUS SIGN}")


def lost_cuts_table(table: TruthTable, pixel_nm: float = 20.0) -> dict[str, dict[str, float]]:
    """Dose -> CD bias over all rows, by `cd_error`, share of cuts that it leaves out in %, LER as read."""
    return {
        f"{dose:g} electrons per pixel": {
            "all rows": row.bias["CD"].value,
            "cd_error": row.bias["CD by cd_error"].value,
            "unmatched": 100 * row.lost,
            "LER read": row.true_ler + row.bias["LER"].value,
        }
        for (by, pixel, dose), row in table.items()
        if by == "sem" and pixel == pixel_nm
    }


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
def gaming_figure(table: SweepTable, quantities: Sequence[str] = ("SSIM", "EPE", "defects")) -> Figure:
    """Held-out judges by training loss, one dot per seed, joined by seed: all, and below it the range of the
    losses that end close together."""
    units = {"EPE": "nm", "|CD error|": "nm", "corner radius": "nm", "defects": "per image"}
    figure = new_figure(3.5 * len(quantities), 5.6)
    short = {arm: arm.replace("trained on ", "").replace(" in ", "\nin ") for arm in WEIGHTS}
    close = [arm for arm in WEIGHTS if "in [" not in arm]
    axes = figure.subplots(2, len(quantities), squeeze=False)
    for column, quantity in enumerate(quantities):
        values = table.values(quantity, *WEIGHTS)
        for row, arms in enumerate((list(WEIGHTS), close)):
            title = quantity if row == 0 else f"{quantity}, without the last"
            groups = {short[arm]: values[arm] for arm in arms}
            ax = axes[row, column]
            bars_with_intervals(groups, quantity=quantity, unit=units.get(quantity, ""), title=title, ax=ax)
            ax.set_xlabel("trained on")
    return figure
