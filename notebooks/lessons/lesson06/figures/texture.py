"""Tables and a figure of lesson 06's evidence on layout to SEM: texture, edges and diversity of every arm."""

from matplotlib.figure import Figure

from gantrans.teaching.plots import COLOURS, Table, describe, new_figure, styled
from gantrans.teaching.plots.style import MARKERS
from gantrans.teaching.sweeps.tables import Table as Measured
from lessons.lesson06.experiments.factorial import (
    ALL,
    BASELINE,
    FACTORS,
    arm_in,
    arm_name,
    factorial,
    main_effect,
)
from lessons.lesson06.experiments.texture import PAIR, TEXTURE
from lessons.lesson06.experiments.texture_arms import BESIDE, REAL

QUANTITIES = {
    "EPE": "edges read back (nm)",
    "spectrum": "spectrum error (dB)",
    "diversity": "spread of draws",
}
NAMED = (REAL, BASELINE, *FACTORS, PAIR, ALL, *BESIDE)
"""The arms that the table shows one by one."""


def arms_table(table: Measured) -> Table:
    """Means of the arms that have a name, the simulator itself first."""
    means = table.means()
    rows = []
    for arm in NAMED:
        row = means[arm_in(TEXTURE, arm)]
        rows.append(
            [
                arm,
                f"{row['EPE']:.1f}",
                f"{row['spectrum']:.2f}",
                f"{row['diversity']:.3f}",
                f"{row['PSNR']:.1f}",
            ]
        )
    caption = f"Layout to SEM, means over {len(table.seeds)} seeds"
    return Table(["arm", *QUANTITIES.values(), "PSNR (dB)"], rows, caption)


def effects_table(table: Measured) -> Table:
    """What each factor changes, over all sixteen arms, in each of the three quantities."""
    rows = []
    for factor in FACTORS:
        found = (main_effect(table.rows, TEXTURE, factor, quantity) for quantity in QUANTITIES)
        rows.append([factor, *(f"{e.measured:+.3f} ({e.low:+.3f} to {e.high:+.3f})" for e in found)])
    return Table(["factor", *QUANTITIES.values()], rows, "Main effects, 99 % intervals")


@styled
def trade_figure(table: Measured) -> Figure:
    """Edges against texture: the mean of every arm; filled circles are arms with decay."""
    means = table.means()
    figure = new_figure(7.2, 4.4)
    ax = figure.add_subplot()
    words = []
    for subset in factorial():
        row = means[arm_in(TEXTURE, arm_name(subset))]
        with_decay = "decay" in subset
        ax.plot(
            row["spectrum"], row["EPE"], MARKERS[0], color=COLOURS[0], markersize=7,
            markerfacecolor=COLOURS[0] if with_decay else "white",
        )  # fmt: skip
        words.append(f"{arm_name(subset)} {row['spectrum']:.2f} dB, {row['EPE']:.1f} nm")
    places = {BASELINE: (-8, -4), ALL: (6, -12), PAIR: (6, 5), REAL: (8, -3)}
    for arm in (REAL, *(a for a in BESIDE if a != "L1 only")):
        row = means[arm_in(TEXTURE, arm)]
        ax.plot(row["spectrum"], row["EPE"], MARKERS[1], color=COLOURS[1], markersize=6)
        words.append(f"{arm} {row['spectrum']:.2f} dB, {row['EPE']:.1f} nm")
        places.setdefault(
            arm, (8, -3) if arm in ("batch norm in D", "saturating loss", "hinge") else (-8, -3)
        )
    for arm, place in places.items():
        row = means[arm_in(TEXTURE, arm)]
        ax.annotate(
            arm, (row["spectrum"], row["EPE"]), xytext=place, textcoords="offset points", fontsize=8,
            ha="left" if place[0] > 0 else "right",
        )  # fmt: skip
    ax.plot([], [], MARKERS[0], color=COLOURS[0], label="factorial, with decay")
    ax.plot([], [], MARKERS[0], color=COLOURS[0], markerfacecolor="white", label="factorial, constant rate")
    ax.plot([], [], MARKERS[1], color=COLOURS[1], label="beside it")
    ax.legend(loc="upper right", fontsize=8)
    ax.set(
        xlabel="spectrum error (dB): texture", ylabel="edges read back, error (nm)", xlim=(0, 3.2),
        title="Layout to SEM: texture against edges, means over the seeds",
    )  # fmt: skip
    alone = means[arm_in(TEXTURE, "L1 only")]
    outside = f"L1 alone lies outside, at {alone['spectrum']:.1f} dB and {alone['EPE']:.1f} nm"
    ax.text(0.99, 0.02, outside, transform=ax.transAxes, ha="right", fontsize=8)
    describe(ax, f"Spectrum error and edge error of every arm: {'; '.join(words)}. {outside}.")
    return figure
