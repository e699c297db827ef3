"""Figures and tables of lesson 11, first half: streams, the article's rule, features, lots, the sweeps."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.operations.drift.features import ARTICLE, FEATURES
from gantrans.operations.drift.profile import (
    DIRECTIONS,
    HistogramSchema,
    Measured,
    js_distance,
    kl_divergence,
)
from gantrans.operations.drift.windows import ks_distance
from gantrans.teaching.claims.verdicts import proportion_interval
from gantrans.teaching.plots import COLOURS, Table, describe, image_axes, new_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES
from gantrans.teaching.sweeps.tables import Table as SweepTable
from lessons.lesson11.experiments import drift
from lessons.lesson11.experiments.drift_streams import DRIFTS, PIXEL_NM, stream

LEVELS: Mapping[str, str] = {
    "rule": "the article's rule",
    "windows": "windows",
    "chart": "chart",
    "both": "windows or chart",
}
"""Quantity of the sweep and what the figures call it."""
SHOWN = ("none", "brightness", "contrast", "blur", "noise", "gross brightness", "pitch", "rotation")
LEAST = 40.0
"""Of flagged images per 10,000: the left end of the axis."""
POOLED = ("mean intensity", "anisotropy", "cross gradient", "stray edge")
SHOWN_TOO = ("jogs", "bridges", "new family")


@styled
def gallery_figure(seed: int, names: Sequence[str] = (*SHOWN, *SHOWN_TOO)) -> Figure:
    """One place of the stream in control and, with the same noise, under every drift at its stated size."""
    columns = 4
    rows = -(-len(names) // columns)
    figure = new_figure(9.0, 2.45 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, name in zip(axes, names, strict=False):
        image = stream(name, 25, seed).sem[3]
        title = "in control" if name == "none" else f"{name}\n{DRIFTS[name].size}"
        image_axes(image, title, ax=ax, pixel_nm=PIXEL_NM if name == names[0] else None)
    for ax in axes[len(names) :]:
        ax.set_axis_off()
    return figure


def rule_table(of: drift.Line, measured: Measured) -> Table:
    """What the article's rule flags among images, by reason, per 10,000 images."""
    outliers = of.fitted.profile.judge(measured)
    beyond = outliers.z.abs() > 3
    rows = {f"|z| of {name} above 3": beyond[:, j] for j, name in enumerate(ARTICLE)}
    rows |= {"KL above 0.5": outliers.kl > 0.5, "any of these": outliers.flagged}
    return Table(
        ["reason", "images per 10,000"],
        [[name, f"{1e4 * float(flags.double().mean()):.0f}"] for name, flags in rows.items()],
        f"{len(measured.features):,} images in control",
    )


def kl_table(of: drift.Line) -> Table:
    """The same images and the same limit of 0.5 under six conventions of the divergence."""
    shares, reference = of.reference.histogram, of.fitted.profile.histogram
    rows = []
    for direction in DIRECTIONS:
        for smoothing in (1e-12, 1e-6, 1e-3):
            kl = kl_divergence(shares, reference, HistogramSchema(shares.shape[1], direction, smoothing))
            above = 1e4 * float((kl > 0.5).double().mean())
            rows.append([direction, f"{smoothing:g}", f"{float(kl.median()):.3f}", f"{above:.0f}"])
    js = js_distance(shares, reference)
    rows.append(["Jensen-Shannon distance", "none", f"{float(js.median()):.3f}", "bounded by 1"])
    return Table(["direction", "smoothing", "median", "above 0.5, per 10,000"], rows)


@styled
def flags_figure(of: drift.Line, streams: Mapping[str, Measured], ax: Axes | None = None) -> Axes:
    """How many images of each stream the rule flags, per 10,000, with 95 % intervals; the reference's."""
    ax = new_axes(ax, 7.4, 0.9 + 0.3 * len(streams))
    usual = 1e4 * float(of.fitted.profile.judge(of.reference).flagged.double().mean())
    words = []
    for i, (name, measured) in enumerate(streams.items()):
        flagged = of.fitted.profile.judge(measured).flagged
        rate, low, high = (1e4 * v for v in proportion_interval(int(flagged.sum()), len(flagged), 0.95))
        ax.plot([max(low, LEAST), high], [i, i], color=COLOURS[0], linewidth=1.2)
        ax.plot(max(rate, LEAST), i, "o", color=COLOURS[0], markersize=6)
        words.append(f"{name} {rate:.0f} ({low:.0f} to {high:.0f})")
    ax.axvline(usual, color=COLOURS[1], linestyle="--", label=f"reference: {usual:.0f}")
    ax.set_yticks(range(len(streams)), list(streams))
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xticks(
        [50, 100, 200, 500, 1000, 2000, 5000], ["50", "100", "200", "500", "1,000", "2,000", "5,000"]
    )
    ax.minorticks_off()
    ax.set(
        xlabel="flagged images per 10,000 (logarithmic), 95 % interval", ylabel="stream", xlim=(LEAST, 1e4)
    )
    ax.legend(loc="lower right")
    said = "; ".join(words)
    return describe(ax, f"Images flagged by the article's rule, per 10,000: {said}. Reference {usual:.0f}.")


@styled
def histograms_figure(of: drift.Line, image: int = 0) -> Figure:
    """One image's histogram over the reference's, and what each bin adds to the divergence, both ways."""
    schema = of.fitted.config.schema
    p, q = of.reference.histogram[image].numpy(), of.fitted.profile.histogram.numpy()
    p, q = ((shares + schema.smoothing) / (shares + schema.smoothing).sum() for shares in (p, q))
    level = (np.arange(len(p)) + 0.5) / len(p)
    figure = new_figure(9.4, 2.9)
    left, right = figure.subplots(1, 2, sharex=True)
    left.step(level, q, where="mid", color=COLOURS[1], linestyle="--", label="q, the reference")
    left.step(level, p, where="mid", color=COLOURS[0], label="p, one image")
    left.set(xlabel="grey level", ylabel="share of the pixels", title="two histograms", ylim=(0, None))
    left.legend()
    words = []
    ways = {"image to reference": p * np.log(p / q), "reference to image": q * np.log(q / p)}
    for i, (name, terms) in enumerate(ways.items()):
        label = f"{name}: sum {terms.sum():.2f}"
        right.step(level, terms, where="mid", color=COLOURS[i], linestyle=("-", "--")[i], label=label)
        words.append(label)
    right.axhline(0, color="black", linewidth=0.8)
    right.set(xlabel="grey level", ylabel="p log(p / q), or q log(q / p)", title="what each level adds")
    right.legend()
    describe(left, f"Grey levels of one image and of the reference, {len(p)} bins.")
    describe(right, f"Divergence bin by bin, smoothing {schema.smoothing:g}: {'; '.join(words)}.")
    return figure


@styled
def staircases_figure(
    of: drift.Line, streams: Mapping[str, Measured], feature: str, ax: Axes | None = None
) -> Axes:
    """Share of values not above x in the reference and in each stream's last window, and the largest gaps."""
    ax = new_axes(ax, 6.8, 3.1)
    window, j = of.fitted.config.window, FEATURES.index(feature)
    reference = of.reference.features[:, j].sort().values
    share = torch.arange(1, len(reference) + 1).double() / len(reference)
    ax.step(reference, share, where="post", color=COLOURS[2], label=f"reference, {len(reference):,} images")
    words = []
    for i, (name, measured) in enumerate(streams.items()):
        values = measured.features[-window:, j].sort().values
        steps = torch.arange(1, window + 1).double() / window
        gap = float(ks_distance(values[:, None], reference[:, None]))
        label = f"{name}: KS distance {gap:.2f}"
        ax.step(values, steps, where="post", color=COLOURS[i], linestyle=LINES[i], label=label)
        at, low, high = _largest_gap(values, reference)
        ax.plot([at, at], [low, high], color=COLOURS[i], linewidth=3, alpha=0.6)
        words.append(label)
    ax.set(xlabel=feature, ylabel="share of values not above", title=f"windows of {window} images")
    ax.set(xlim=(float(reference[0]), float(reference[-1])), ylim=(0, 1.02))
    ax.legend(loc="lower right")
    return describe(ax, f"Staircases of {feature} against the reference's: {'; '.join(words)}.")


def _largest_gap(values: Tensor, reference: Tensor) -> tuple[float, float, float]:
    """Where two sorted samples' staircases are farthest apart, and their heights there."""
    at = torch.cat([values, reference])
    heights = [torch.searchsorted(v, at, right=True).double() / len(v) for v in (values, reference)]
    place = (heights[0] - heights[1]).abs().argmax()
    low, high = sorted(float(h[place]) for h in heights)
    return float(at[place]), low, high


def alarm_table(of: drift.Line, streams: Mapping[str, Measured], level: str = "rule") -> Table:
    """At which image of each stream a level of `LEVELS` alarms on this line of production."""
    alarms = {name: drift.first_alarms(of, measured)[level] for name, measured in streams.items()}
    rows = [[name, "none" if image is None else f"image {image}"] for name, image in alarms.items()]
    return Table(["stream", "first alarm"], rows, f"{LEVELS[level]}, one line of production")


def shifts(of: drift.Line, streams: Mapping[str, Measured]) -> dict[str, Tensor]:
    """{stream: (10,) how far the mean of each feature lies from the reference's, in its deviations}."""
    profile = of.fitted.profile
    return {name: profile.z_scores(m.features).mean(0) for name, m in streams.items()}


@styled
def shift_figure(moved: Mapping[str, Tensor], ax: Axes | None = None) -> Axes:
    """Which features move under which drift: a table in colours, with the numbers in it."""
    values = np.array([[float(v) for v in row] for row in moved.values()])
    ax = new_axes(ax, 9.4, 1.7 + 0.3 * len(moved))
    shown = ax.imshow(values, cmap="PuOr", vmin=-3, vmax=3, aspect="auto", interpolation="nearest")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            if abs(value) >= 0.25:
                colour = "white" if abs(value) > 2 else "black"
                ax.text(j, i, f"{value:+.1f}", ha="center", va="center", color=colour, fontsize=8)
    ax.axvline(len(ARTICLE) - 0.5, color="black", linewidth=1.5)
    ax.set_xticks(range(len(FEATURES)), [name.replace(" ", "\n") for name in FEATURES], fontsize=8.5)
    ax.set_yticks(range(len(moved)), list(moved))
    ax.grid(visible=False)
    ax.set_title("Left of the black line: the article's three features")
    ax.figure.colorbar(
        shown, ax=ax, shrink=0.8, extend="both", label="shift of the mean\n(reference's deviations)"
    )
    words = []
    for name, row in zip(moved, values, strict=True):
        j = int(np.abs(row).argmax())
        article = np.abs(row[: len(ARTICLE)]).max()
        words.append(f"{name}: most {FEATURES[j]} ({row[j]:+.1f}), the article's at most {article:.1f}")
    return describe(ax, f"Shift of feature means in the reference's deviations. {'; '.join(words)}.")


def pooled_table(lines: Tensor, holes: Tensor, names: Sequence[str] = POOLED) -> Table:
    """How far a line image may move before |z| > 3 in its own profile and in one pooled with contact holes.

    Args:
        lines, holes: features (n, 10) of the two families; they are pooled half and half.
    """
    count = min(len(lines), len(holes))
    pooled = torch.cat([lines[:count], holes[:count]])
    rows = []
    for name in names:
        j = FEATURES.index(name)
        mean, own = float(lines[:, j].mean()), float(lines[:, j].std())
        centre, spread = float(pooled[:, j].mean()), float(pooled[:, j].std())
        up, down = (centre + 3 * spread - mean) / own, (mean - centre + 3 * spread) / own
        rows.append([name, "+3.0 and -3.0", f"+{up:.1f} and -{down:.1f}"])
    return Table(
        ["feature", "own profile", "pooled with contact holes"],
        rows,
        "Move of a line image, in deviations of line images, before it is flagged",
    )


def lots_table(lines: Mapping[str, drift.Line]) -> Table:
    """In-control chunks that the textbook's 1 % thresholds and the chunks' own call strange.

    The textbook has one threshold for one feature, and a lower level for each of ten (Bonferroni).
    """
    rows = []
    for name, of in lines.items():
        test = of.fitted.windows
        features = of.reference.features
        chunks = features.split(test.window)
        distances = torch.stack(
            [ks_distance(c, torch.cat([*chunks[:i], *chunks[i + 1 :]])) for i, c in enumerate(chunks)]
        )
        single, shared = (
            textbook_threshold(test.window, len(features), tests) for tests in (1, len(FEATURES))
        )
        worst = float((test.usual * test.threshold).max())
        shares = [
            (distances[:, 0] > single).double().mean(),
            (distances > single).any(1).double().mean(),
            (distances > shared).any(1).double().mean(),
        ]
        rows.append([name, *(f"{100 * float(v):.0f} %" for v in shares), f"up to {worst:.2f}"])
    header = [
        "images",
        f"one feature, {single:.3f}",
        f"any of ten, {single:.3f}",
        f"any of ten, Bonferroni's {shared:.2f}",
        "the chunks' own distance",
    ]
    return Table(header, rows, "Share of chunks of 200 images beyond the textbook's distance, nothing wrong")


def textbook_threshold(window: int, reference: int, tests: int = 1, level: float = 0.01) -> float:
    """Smirnov's distance that independent samples exceed in `level` of all cases.

    With several `tests` each gets its share of the level, so that any of them exceeds it in at most `level`
    of all cases (Bonferroni).
    """
    return float(np.sqrt(-np.log(level / tests / 2) / 2 * (1 / window + 1 / reference)))


@styled
def detection_figure(table: SweepTable) -> Figure:
    """Share of streams with an alarm by kind and level, and at which image windows or chart alarmed."""
    figure = new_figure(9.4, 4.3)
    left, right = figure.subplots(1, 2, sharey=True)
    values = np.array([[k / n for k, n in drift.shares(table, level).values()] for level in LEVELS]).T
    left.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for i, row in enumerate(values):
        for j, value in enumerate(row):
            colour = "black" if value > 0.6 else "white"
            left.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8.5)
    left.set_xticks(range(len(LEVELS)), [name.replace(" ", "\n") for name in LEVELS.values()])
    left.set_yticks(range(len(drift.STREAMS)), list(drift.STREAMS))
    left.grid(visible=False)
    left.set_title("share of streams with an alarm")
    words = "; ".join(
        f"{name}: rule {row[0]:.2f}, windows or chart {row[3]:.2f}"
        for name, row in zip(drift.STREAMS, values, strict=True)
    )
    describe(left, f"Share of streams with an alarm, {len(table.seeds)} lines of production: {words}.")
    delays = {name: drift.values(table, "both image", name) for name in drift.STREAMS if name != "in control"}
    middles = []
    for name, images in delays.items():
        i = list(drift.STREAMS).index(name)
        low, middle, high = (float(np.percentile(images, q)) for q in (5, 50, 95))
        right.plot([low, high], [i, i], color=COLOURS[0], linewidth=2)
        right.plot([middle], [i], "o", color=COLOURS[0])
        middles.append(f"{name} {middle:.0f}")
    right.set(xlabel="images seen", ylabel="kind of stream", xlim=(0, 1050))
    right.set_title("first alarm of windows or chart\nmedian, 5th to 95th percentile")
    describe(right, f"Median image of the first alarm: {', '.join(middles)}.")
    return figure


def lots_delays(single: Mapping[str, Mapping[str, float]], lots: Mapping[str, Mapping[str, float]]) -> Table:
    """The first alarm of one line of production, images independent and in lots; rows of `drift.run_line`."""

    def cell(numbers: Mapping[str, float]) -> str:
        return f"image {numbers['both image']:.0f}" if numbers["both alarm"] else "none"

    rows = [[name.rsplit(", ", 1)[0], cell(single[name]), cell(lots[name])] for name in single]
    return Table(["stream", "independent", "lots of 25"], rows, "First alarm of windows or chart, one line")
