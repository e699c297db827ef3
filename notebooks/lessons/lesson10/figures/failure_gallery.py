"""The figures and tables of lesson 10, third part: the gallery of failures."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from gantrans.operations.serving.review import Review
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    image_axes,
    new_figure,
    overlay_axes,
    styled,
)
from lessons.lesson10.experiments.blindness import known_mean
from lessons.lesson10.experiments.failure_judges import Monitor, Named, sem_scores
from lessons.lesson10.experiments.gallery import PIXEL_NM, SEM_FAILURES, Shown


@styled
def failure_figure(name: str, shown: Shown, image: int = 0) -> Figure:
    """One failure: input, target, a sound and the failing output, and where the failing one is wrong."""
    of_layouts = name not in SEM_FAILURES
    panels = {"input": shown.source, "target" if of_layouts else "real": shown.target}
    panels |= dict(zip(shown.names, (shown.sound, shown.failing), strict=True)) | dict(shown.others)
    columns = len(panels) + of_layouts
    figure = new_figure(1.35 * columns, 1.9)
    axes = figure.subplots(1, columns)
    for ax, (title, images) in zip(axes, panels.items(), strict=False):
        image_axes(images[image], title, ax=ax, pixel_nm=PIXEL_NM if title == "input" else None)
    if of_layouts:
        overlay_axes(shown.failing[image], shown.target[image], "failing: errors", ax=axes[-1])
    figure.suptitle(name)
    return figure


@styled
def shift_figure(scores: Mapping[str, Mapping[str, Sequence[float]]], shifts: Sequence[int]) -> Figure:
    """Scores against the shift of the target, a panel per judge and a curve per network."""
    figure = new_figure(2.7 * len(scores), 2.8)
    for ax, (judge, curves) in zip(figure.subplots(1, len(scores)), scores.items(), strict=True):
        words = []
        for k, (name, values) in enumerate(curves.items()):
            ax.plot(shifts, values, MARKERS[k] + "-", color=COLOURS[k], label=name)
            best = shifts[list(values).index((max if judge == "SSIM" else min)(values))]
            words.append(f"{name} is best at {best} px, from {values[0]:.3g} to {values[-1]:.3g}")
        ax.set(xlabel="target moved by (px)", ylabel="EPE (nm)" if judge == "EPE" else judge, title=judge)
        describe(ax, f"{judge} against the shift of the target: {'; '.join(words)}.")
    figure.axes[-1].legend(title="trained on", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@styled
def review_figure(page: Review, item: int = 0) -> Figure:
    """The pictures of one item of a review as its page shows them."""
    shown = page.shown(item)
    figure = new_figure(6.0, 1.9)
    panels = {"input": shown.input, "output": shown.output, "reference": shown.reference}
    axes = figure.subplots(1, len(panels) + 1)
    for ax, (title, image) in zip(axes, panels.items(), strict=False):
        image_axes(image, title, ax=ax, pixel_nm=PIXEL_NM if title == "input" else None)
    overlay_axes(shown.output, shown.reference, "difference", ax=axes[-1])
    return figure


def named_table(found: Sequence[Named]) -> Table:
    """Failure, the judge that names it, its value for the sound and the failing outputs, and the change."""
    rows = []
    for row in found:
        middle, low, high = row.change
        unit = f" ({row.unit})"
        values = [_three(known_mean(v)) for v in (row.sound, row.failing)]
        rows.append(
            [row.failure, row.judge + unit, *values, _three(middle), f"{_three(low)} to {_three(high)}"]
        )
    header = ["failure", "judge", "sound", "failing", "change", "95 % interval"]
    return Table(header, rows, "What names which failure: means over images")


def monitor_table(found: Mapping[str, Monitor]) -> Table:
    """What outputs show by themselves, in the usual and in the wider process; the last row has a target."""
    rows = []
    for name, row in found.items():
        middle, low, high = row.change
        change = f"{_three(middle)} ({_three(low)} to {_three(high)})"
        share, least, most = row.alarms
        rows.append(
            [name, _three(row.usual), _three(row.other), change, f"{share:.0f} ({least:.0f} to {most:.0f})"]
        )
    header = ["number of one output", "usual", "wider", "change (95 %)", "alarms (% of outputs, 95 %)"]
    return Table(header, rows, "An alarm rings where a number exceeds that of 95 % of the usual outputs")


def sem_failure_table(blur: Shown, checkerboard: Shown) -> dict[str, dict[str, float]]:
    """The judges of SEM images: real ones, the blurring network, and those with transposed convolutions."""
    rows = {"real": blur.target, "L1 alone, resize": blur.failing, "L1 alone, kernel 3": checkerboard.failing}
    rows |= {f"L1 alone, {name}": images for name, images in checkerboard.others.items()}
    return {name: sem_scores(images, blur.target, blur.source) for name, images in rows.items()}


def _three(value: float) -> str:
    text = "0" if value == 0 else f"{value:#.3g}".rstrip(".")
    return text.replace("-", "\N{MINUS SIGN}")
