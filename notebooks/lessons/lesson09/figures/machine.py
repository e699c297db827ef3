"""The figures of lesson 09's last part: the whole machine, its fakes over training, what each part did."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from gantrans.teaching import claims
from gantrans.teaching.plots import COLOURS, Table, describe, image_axes, new_figure, styled
from gantrans.teaching.sweeps.tables import Table as SweepTable
from gantrans.translation import BidirectionalConfig
from lessons.lesson09.experiments.article import PARTS, WHOLE, without
from lessons.lesson09.experiments.article_run import COMMAND, Stored
from lessons.lesson09.experiments.step_cost import STEPS

IMAGE, MAKER, JUDGE = "#F2F2F2", "#CFE3F1", "#F6DCCB"
"""Fills of images, generators and discriminators."""
Point = tuple[float, float]
SHOWN = {"iou": "IoU", "epe": "EPE", "ssim": "SSIM", "l1": "L1"}
QUANTITIES: Mapping[str, tuple[str, str]] = {
    "IoU": ("difference", "IoU of SEM to layout"),
    "spectrum": ("ratio", "spectrum error, layout to SEM"),
    "spread": ("difference", "spread of draws (real: 1)"),
    "EPE read back": ("difference", "EPE read back (nm)"),
}
"""Of the table: how an arm is compared with the whole machine, and how the panel calls it."""


def _box(ax: Axes, place: Point, text: str, fill: str, *, dashed: bool = False) -> None:
    x, y = place
    ax.add_patch(
        FancyBboxPatch(
            (x - 0.72, y - 0.27), 1.44, 0.54, boxstyle="round,pad=0.02,rounding_size=0.08", facecolor=fill,
            edgecolor="black", linewidth=0.9, linestyle="--" if dashed else "-",
        )
    )  # fmt: skip
    ax.text(x, y, text, ha="center", va="center", fontsize=8.5)


def _arrow(ax: Axes, start: Point, end: Point, colour: str = "black", *, bend: float = 0.0) -> None:
    """What is computed (straight), or a gradient on its way back (dashed, bent)."""
    line = {"linestyle": "--", "connectionstyle": f"arc3,rad={bend}"} if bend else {}
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.3, **line})


def _way(ax: Axes, y: float, names: Sequence[str], config: BidirectionalConfig) -> None:
    """One direction at height y: image, generator, what it makes, the other generator, and back."""
    given, target, maker, other, judge = names
    _box(ax, (0.0, y), f"{given} $x$", IMAGE)
    _box(ax, (2.1, y), f"{maker}\nattention U-Net", MAKER)
    _box(ax, (4.2, y), f"made {target} $\\hat y$", IMAGE)
    _box(ax, (6.3, y), f"{other}\n(the other one)", MAKER, dashed=True)
    _box(ax, (8.4, y), f"{given} again", IMAGE)
    _box(ax, (4.2, y + 1.15), f"{judge}$(x, \\cdot)$\nspectral norm", JUDGE)
    _box(ax, (6.3, y + 1.15), f"real {target} $y$", IMAGE)
    for x in (0.0, 2.1, 4.2, 6.3):
        _arrow(ax, (x + 0.74, y), (x + 1.36, y))
    _arrow(ax, (4.2, y + 0.29), (4.2, y + 0.86))
    _arrow(ax, (5.56, y + 1.15), (4.94, y + 1.15))
    red, blue = COLOURS[1], COLOURS[0]
    _arrow(ax, (3.46, y + 1.05), (2.1, y + 0.32), red, bend=0.28)
    _arrow(ax, (4.0, y - 0.31), (2.4, y - 0.31), blue, bend=-0.3)
    _arrow(ax, (8.4, y - 0.31), (2.0, y - 0.31), blue, bend=-0.17)
    _arrow(ax, (8.2, y - 0.31), (6.5, y - 0.31), blue, bend=-0.25)
    ax.text(
        2.0, y + 1.02, f"adversarial {config.weight_gan:g}\nfeatures {config.weight_fm:g}", color=red,
        fontsize=8.5, ha="center",
    )  # fmt: skip
    ax.text(4.72, y - 0.44, f"L1 {config.weight_l1:g}", color=blue, fontsize=8.5, ha="center")
    ax.text(5.2, y - 1.02, f"cycle {config.weight_cycle:g}", color=blue, fontsize=8.5, ha="center")
    ax.text(
        7.25, y + 1.13, f"$\\leftarrow$ {judge}'s own turn: real {config.real_label:g}, made 0,\n"
        f"made ones from a buffer of {config.buffer}", fontsize=8, va="center", color=COLOURS[4],
    )  # fmt: skip


@styled
def diagram(config: BidirectionalConfig) -> Figure:
    """Both generators and discriminators, their losses, and where the gradients go."""
    figure = new_figure(10.2, 5.9)
    ax = figure.add_subplot()
    _way(ax, 2.9, ("SEM", "layout", "$G_A$", "$G_B$", "$D_A$"), config)
    _way(ax, 0.0, ("layout", "SEM", "$G_B$", "$G_A$", "$D_B$"), config)
    ax.set(xlim=(-0.85, 10.6), ylim=(-1.2, 4.45))
    ax.axis("off")
    describe(
        ax,
        "Two rows, one per direction. An image goes through its generator; what it makes is judged by a "
        "discriminator that sees the input too, compared with the real target by L1, and sent back through "
        "the other generator to be compared with the input. Dashed arrows are gradients: adversarial and "
        "feature-matching ones come through the discriminator, which does not move in the generator's turn; "
        "that of the cycle reaches both generators.",
    )
    figure.suptitle("The whole machine: solid, what is computed; dashed, where gradients go")
    return figure


def terms(config: BidirectionalConfig) -> Table:
    """Every term of the loss: its weight, what it compares, and which networks get its gradient."""
    rows = [
        ["adversarial, least squares", f"{config.weight_gan:g} each", "D's map with all ones", "one G"],
        ["L1", f"{config.weight_l1:g} each", "made and real image", "one G"],
        ["cycle", f"{config.weight_cycle:g}", "input and its way there and back", "both G"],
        ["feature matching", f"{config.weight_fm:g} each", "D's maps, made and real", "one G"],
        [
            "D's own, least squares",
            "1/2",
            f"its map with {config.real_label:g} (real), 0 (made, buffered)",
            "one D",
        ],
    ]
    return Table(["term", "weight", "compares", "moves"], rows)


@styled
def over_training(run: Stored) -> Figure:
    """The committed run: input, fakes of several steps, and the real target, in both directions."""
    steps = run.record["snapshots"]
    titles = ["input", *(f"step {step}" for step in steps), "real"]
    lines = [row for rows in run.rows.values() for row in rows]
    figure = new_figure(1.28 * len(titles), 1.36 * len(lines) + 0.5)
    axes = figure.subplots(len(lines), len(titles))
    names = [name for name, rows in run.rows.items() for _ in rows]
    for y, (name, row) in enumerate(zip(names, lines, strict=True)):
        for x, (title, image) in enumerate(zip(titles, row, strict=True)):
            image_axes(image, title if y == 0 else "", ax=axes[y, x])
            describe(axes[y, x], "")
        axes[y, 0].set_ylabel(name.replace("2", "\nto ").replace("sem", "SEM"))
    words = ", ".join(map(str, steps))
    describe(
        axes[0, 0], f"Two held-out pairs per direction: input, the fakes of steps {words}, and the target."
    )
    figure.suptitle("Held-out pairs while the machine trains")
    return figure


@styled
def scores_over_training(run: Stored) -> Figure:
    """The committed run's scores on validation pairs, and the accuracy of both discriminators."""
    figure = new_figure(10.0, 3.0)
    axes = figure.subplots(1, 3)
    scores, log = run.record["validation"], run.record["log"]
    panels = (
        ("IoU, SEM to layout", scores, {"": "iou_sem2layout"}),
        ("spectrum error, layout to SEM (dB)", scores, {"": "spectrum_layout2sem"}),
        ("D's accuracy", log, {"of layouts": "d_accuracy_a", "of SEM images": "d_accuracy_b"}),
    )
    for ax, (name, records, curves) in zip(axes, panels, strict=True):
        words = []
        for k, (label, key) in enumerate(curves.items()):
            values = [record[key] for record in records]
            ax.plot([r["step"] for r in records], values, color=COLOURS[k], label=label)
            words.append(f"{label or name} from {values[0]:.3g} to {values[-1]:.3g}")
        ax.set(xlabel="step", title=name)
        if len(curves) > 1:
            ax.legend()
        describe(ax, f"{name}: {'; '.join(words)}.")
    return figure


def source(run: Stored | None) -> str:
    """One line on where the committed run comes from, or how to make it."""
    if run is None:
        return f"Not measured yet: {COMMAND.format(scale='reduced', seed=0)}"
    about = run.record["about"]
    again = COMMAND.format(scale=about["scale"], seed=about["seed"])
    healthy = "; ".join(f"{direction}: {name}" for direction, name in run.record["diagnoses"].items())
    return (
        f"{about['steps']} steps in {about['seconds'] / 60:.0f} minutes on {about['device']}, seed "
        f"{about['seed']}, {about['date'][:10]}, commit {about['commit'][:9]}. Diagnosis: "
        f"{healthy}. Again, in the folder `notebooks`: {again}"
    )


def cost_sentence(counted: Mapping[str, Mapping[str, float]]) -> str:
    """What the counted operations say of the article's 10 to 15 %."""
    both, one = (counted[step] for step in STEPS)
    share = both["both (+%)"]
    verdict = "as the saying has it" if 10 <= share <= 15 else "not what the saying has"
    return (
        f"In the machine's own step, with both directions and the cycle, the two add **{share:.1f} %** of "
        f"the operations, {verdict}: attention {both['attention (+%)']:.1f} %, feature matching "
        f"{both['feature matching (+%)']:.1f} %, for it sends a gradient of its own back through $D$. In a "
        f"step of one direction, without a cycle, $D$ is a larger part of the work and the same two add "
        f"{one['both (+%)']:.1f} %. Operations are not time: lesson 08 measured that on a GPU (claim G18)."
    )


def result(run: Stored) -> dict[str, dict[str, float]]:
    """The committed run on test pairs, beside the classical baseline and the real images."""
    rows = {}
    for direction, found in run.record["test"].items():
        for name, numbers in found.items():
            rows[f"{direction}, {name}"] = {
                label: numbers[key] for key, label in SHOWN.items() if key in numbers
            }
    return rows


def changes(table: SweepTable, quantity: str) -> dict[str, list[float]]:
    """By part, one value per seed: the quantity without the part minus (or over) that with all of them."""
    compare, found = QUANTITIES[quantity][0], {}
    for part in PARTS:
        both = table.values(quantity, WHOLE, without(part))
        pairs = zip(both[without(part)], both[WHOLE], strict=True)
        found[part] = [a / b if compare == "ratio" else a - b for a, b in pairs]
    return found


@styled
def leave_one_out(table: SweepTable) -> Figure:
    """What changes when one part is out: a dot per seed, the mean, from three seeds on a 99 % interval."""
    figure = new_figure(11.0, 3.4)
    axes = figure.subplots(1, len(QUANTITIES), sharey=True)
    for ax, (quantity, (compare, label)) in zip(axes, QUANTITIES.items(), strict=True):
        words = []
        for k, (part, values) in enumerate(changes(table, quantity).items()):
            mean = float(np.mean(values))
            ax.plot(values, [k] * len(values), "o", color="#999999", markersize=3)
            ax.plot(mean, k, "D", color=COLOURS[0])
            words.append(f"{part} {mean:+.3g}" if compare == "difference" else f"{part} {mean:.3g} times")
            if len(values) > 2:
                both = table.values(quantity, WHOLE, without(part))
                _, low, high = claims.paired_effect(both[without(part)], both[WHOLE], compare=compare)
                ax.hlines(k, low, high, color=COLOURS[0])
        ax.axvline(1.0 if compare == "ratio" else 0.0, color="black", linewidth=0.8)
        sign = "without / with" if compare == "ratio" else "without - with"
        ax.set(title=label, xlabel=sign)
        describe(ax, f"{label}, {sign}, over {len(table.seeds)} seeds: {'; '.join(words)}.")
    axes[0].set_yticks(range(len(PARTS)), list(PARTS))
    axes[0].invert_yaxis()
    figure.suptitle("One part out at a time: zero (or one) means that its absence does not show")
    return figure


def _seen(table: SweepTable, quantity: str) -> dict[str, tuple[float, float, float]]:
    """The parts whose absence is told apart (99 %): effect, low, high."""
    compare, found = QUANTITIES[quantity][0], {}
    for part in PARTS:
        both = table.values(quantity, WHOLE, without(part))
        effect, low, high = claims.paired_effect(both[without(part)], both[WHOLE], compare=compare)
        if not low <= (1.0 if compare == "ratio" else 0.0) <= high:
            found[part] = (effect, low, high)
    return found


def told_apart(table: SweepTable, quantity: str) -> int:
    """How many parts are told from their absence; none with fewer than three seeds."""
    return len(_seen(table, quantity)) if len(table.seeds) > 2 else 0


def said_of_parts(table: SweepTable) -> str:
    """Which absences are told apart from the whole machine (99 %), as a sentence for each quantity."""
    if len(table.seeds) < 3:
        return (
            f"{len(table.seeds)} seed{'s' if len(table.seeds) > 1 else ''}: too few to tell a part from "
            "chance. Read the dots, and believe nothing."
        )
    lines = []
    for quantity, (compare, label) in QUANTITIES.items():
        seen = []
        for part, (effect, low, high) in _seen(table, quantity).items():
            words = f"{effect:.2f} times" if compare == "ratio" else f"{effect:+.3g}"
            seen.append(f"without {part} {words} ({low:.3g} to {high:.3g})")
        lines.append(f"- **{label}**: {'; '.join(seen) if seen else 'no part is told from its absence'}.")
    return "\n".join(lines)
