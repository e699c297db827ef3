"""The figures and tables of lesson 12: forgetting, the gate, the registry."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gantrans.config import from_dict
from gantrans.data import PairedDataset
from gantrans.errors import GantransError
from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import Array, Compared, Decision, GateConfig, lower_bound
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.promotion.warm_start import warm_start
from gantrans.teaching.claims.verdicts import proportion_interval
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    describe,
    image_axes,
    new_figure,
    overlay_axes,
    styled,
    training_curves,
)
from gantrans.teaching.sweeps.tables import Table as SweepTable
from gantrans.training import load_checkpoint
from gantrans.translation import Pix2PixTask, Predictor, Recipe
from lessons.lesson12.experiments import kills, promotion
from lessons.lesson12.experiments.fine_tuning import BEFORE, EPOCHS, RATES, SHARES
from lessons.lesson12.experiments.promotion import GAINS, GATES, LAYOUTS, RULES, Hold
from lessons.shared import process_change
from lessons.shared.process_change import Challenger

Row = Mapping[str, float]


@styled
def process_figure(predictor: Predictor, sets: Mapping[str, PairedDataset], image: int = 0) -> Figure:
    """A row per set: an SEM image, its drawing, the translator's answer, and the answer over the drawing."""
    figure = new_figure(7.4, 2.05 * len(sets) + 0.3)
    axes = figure.subplots(len(sets), 4, squeeze=False)
    titles = ("SEM image", "drawn layout", "the champion's answer", "answer over drawing")
    for number, (row, (name, pairs)) in enumerate(zip(axes, sets.items(), strict=True)):
        source, target = (images[image] for images in pairs.roles(process_change.DIRECTION))
        answer = predictor.translate(unit_from_uint8(source)[None])[0]
        shown = (unit_from_uint8(source), unit_from_uint8(target), answer)
        for ax, picture, title in zip(row, shown, titles, strict=False):
            image_axes(picture, f"{name}: {title}", ax=ax, pixel_nm=pairs.pixel_nm if ax is row[0] else None)
        overlay_axes(answer, unit_from_uint8(target), f"{name}: {titles[3]}", ax=row[3])
        row[0].set_ylabel(f"{name} conditions")
        for ax, title in zip(row, titles, strict=True):
            ax.set_title(title if number == 0 else "")
    return figure


def rates_after_loading(run: Path) -> dict[str, float]:
    """The generator's rate before the first step of fine-tuning, by the order in which one does things."""
    contents = load_checkpoint(run)
    recipe = from_dict(Recipe, contents["settings"]["extra"]["recipe"])
    wanted = recipe.task.lr_generator / 10
    found = {"wanted: the base rate / 10": wanted}
    for way in ("set, then load", "load, then divide by 10"):
        optimizer = Pix2PixTask(recipe.task).optimizers["generator"]
        optimizer.param_groups[0]["lr"] = wanted
        optimizer.load_state_dict(contents["optimizers"]["generator"])
        loaded = optimizer.param_groups[0]["lr"]
        found[way] = loaded / (10 if "divide" in way else 1)
    task = Pix2PixTask(recipe.task)
    warm_start(task, contents, device="cpu")
    found["load, then set from the configuration"] = task.optimizers["generator"].param_groups[0]["lr"]
    return found


@styled
def epochs_figure(results: Mapping[str, Challenger]) -> Figure:
    """IoU on old and on new validation images, before fine-tuning and after every epoch."""
    figure = new_figure(8.4, 3.2)
    axes = figure.subplots(1, 2, sharey=True)
    for ax, which in zip(axes, ("old", "new"), strict=True):
        curves = {}
        for name, result in results.items():
            scored = [r for r in result.records if f"val_iou_{which}" in r]
            steps = [0.0, *(r["step"] for r in scored)]
            curves[name] = steps, [result.before[f"iou_{which}"], *(r[f"val_iou_{which}"] for r in scored)]
        training_curves(curves, quantity="IoU", title=f"{which} images", ax=ax)
    axes[1].set_ylabel("")
    return figure


@styled
def watch_figure(results: Mapping[str, Challenger], config: FineTuneConfig) -> Figure:
    """D's loss and G's adversarial loss in units of what they were at the champion's weights, with limits."""
    figure = new_figure(8.4, 3.2)
    losses = {"loss_d": ("D's loss", config.spike), "loss_gan_g": ("G's adversarial loss", config.collapse)}
    for ax, (loss, (title, limit)) in zip(figure.subplots(1, 2), losses.items(), strict=True):
        curves = {}
        for name, result in results.items():
            records = [r for r in result.records if loss in r]
            values = [r[loss] / result.reference[loss] for r in records]
            curves[name] = [r["step"] for r in records], values
        training_curves(curves, quantity="relative to the champion's", title=title, ax=ax)
        ax.axhline(limit, color="black", linewidth=1, linestyle="--")
        where = "above" if loss == "loss_d" else "below"
        ax.text(0.98, limit, f"alarm {where}", ha="right", va="bottom", transform=ax.get_yaxis_transform())
        ax.set_ylim(0, max(1.15 * limit, ax.get_ylim()[1]))
    return figure


@styled
def bounds_figure(*, gain: float, layouts: int, common: int, images: int = 5, seed: int = 3) -> Figure:
    """One simulated challenger: its differences layout by layout, and what two bounds make of them.

    Args:
        gain: true mean difference, in thousandths of IoU.
        layouts: in the hold-out.
        common: percent of the variance that images of one layout share.
        images: per layout.
    """
    spread = 0.03
    hold = Hold(layouts, images, spread * (common / 100) ** 0.5, spread * (1 - common / 100) ** 0.5)
    differences = hold.draw(np.random.default_rng(seed), gain / 1000)
    bounds = {
        "images": lower_bound(differences, [str(i) for i in range(len(differences))]),
        "layouts": lower_bound(differences, hold.clusters),
    }
    figure = new_figure(8.4, 3.1)
    left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
    order = np.argsort(differences.reshape(layouts, images).mean(1))
    for place, row in enumerate(differences.reshape(layouts, images)[order]):
        left.plot([place] * images, row, "o", color=COLOURS[0], markersize=2.5, alpha=0.6)
        left.plot(place, row.mean(), "_", color="black", markersize=7)
    left.axhline(0, color="#777777", linewidth=0.8)
    left.set(xlabel="layout, sorted by its mean (dash)", ylabel="challenger minus champion (IoU)")
    mean = float(differences.mean())
    words = [f"mean {mean:+.4f}"]
    for i, (name, bound) in enumerate(bounds.items()):
        if bound is None:
            right.text(i, mean, "insufficient\ndata", ha="center", va="center")
            words.append(f"{name}: insufficient data")
            continue
        colour = COLOURS[i + 1]
        right.plot([i, i], [bound, mean], color=colour, linewidth=3)
        right.plot(i, bound, MARKERS[i + 1], color=colour, markersize=8)
        right.plot(i, mean, "_", color="black", markersize=14)
        words.append(f"{name} {bound:+.4f}, {'promote' if bound > 0 else 'keep the champion'}")
    right.axhline(0, color="#777777", linewidth=0.8)
    right.set_xticks(range(2), list(bounds))
    right.set_xlim(-0.6, 1.6)
    right.set(title="mean and lower bound", ylabel="IoU", xlabel="what is resampled")
    left.set_title(f"{layouts} layouts, {images} images of each")
    describe(left, f"Differences of {layouts} layouts; true gain {gain / 1000:g}.")
    describe(right, f"Lower bounds: {'; '.join(words)}.")
    return figure


@styled
def rules_figure(record: Mapping[str, Any]) -> Figure:
    """What rules promote, from a record of G26: against the true gain, and against the number of layouts."""
    numbers, parts = record["numbers"], record["parts"]
    figure = new_figure(8.8, 3.4)
    left, right = figure.subplots(1, 2)
    words = []
    for i, rule in enumerate((*RULES, *GATES)):
        none = parts[rule]["measured"] if rule in parts else numbers[f"{rule}: gain 0"]
        shares = [none, *(numbers[f"{rule}: gain {gain:g}"] for gain in GAINS[1:])]
        left.plot(range(len(GAINS)), shares, label=rule, color=COLOURS[i], marker=MARKERS[i])
        words.append(f"{rule} {none:.1%}")
    left.set_xticks(range(len(GAINS)), [f"{gain:g}" for gain in GAINS])
    left.set(xlabel="true gain (IoU)", ylabel="share promoted", title="60 layouts of 5 images")
    left.legend(loc="lower right", fontsize=8)
    describe(left, f"Share of equal challengers promoted: {'; '.join(words)}.")
    for i, (name, word) in enumerate((("bootstrap", ", bootstrap"), ("our rule: t below 40", ""))):
        values = [100 * numbers[f"{n} layouts{word}"] for n in LAYOUTS]
        right.plot(range(len(LAYOUTS)), values, label=name, color=COLOURS[i + 1], marker=MARKERS[i + 1])
    right.axhline(100 * numbers["alpha"], color="#777777", linestyle=":", linewidth=1)
    right.text(len(LAYOUTS) - 1, 100 * numbers["alpha"], "alpha", ha="right", va="top", color="#555555")
    right.set_xticks(range(len(LAYOUTS)), [str(n) for n in LAYOUTS])
    right.set_ylim(0, None)
    right.set(xlabel="layouts", ylabel="equal challengers promoted (%)", title="how many layouts?")
    right.legend(fontsize=8)
    few = f"{LAYOUTS[0]} layouts"
    describe(
        right,
        f"With {few} the bootstrap promotes {numbers[few + ', bootstrap']:.1%} of equal challengers, "
        f"the t bound {numbers[few]:.1%}.",
    )
    return figure


def equal_table(shares: Mapping[str, tuple[int, int]]) -> Table:
    """Share of equal challengers that each rule promoted, with exact 99 % intervals."""
    rows = []
    for rule, (promoted, count) in shares.items():
        share, low, high = proportion_interval(promoted, count)
        rows.append([rule, f"{promoted} of {count}", f"{share:.1%}", f"{low:.1%} to {high:.1%}"])
    return Table(["rule", "promoted", "share", "99 % interval"], rows, "Equal challengers")


def defects_table(count: int) -> Table:
    """Share of `count` challengers that each rule on opens and bridges refuses, by what the models make."""
    rows = []
    for case, defects in promotion.DEFECT_CASES.items():
        shares = [
            promotion.refused_for_defects(defects, config, count)
            for config in promotion.DEFECT_CONFIGS.values()
        ]
        rows.append([case, *(f"{share:.0%}" for share in shares)])
    header = ["opens and bridges of champion and challenger", *promotion.DEFECT_CONFIGS]
    return Table(header, rows, f"Refused by each rule, of {count} challengers")


def shared_variance(compared: Compared) -> float:
    """Share of the variance of the differences that images of one layout have in common, 0 to 1.

    The intraclass correlation of a one-way analysis of variance with equal groups (Shrout and Fleiss 1979).
    """
    _, which = np.unique(np.asarray(compared.cluster), return_inverse=True)
    groups: list[Array] = [compared.differences[which == g] for g in range(which.max() + 1)]
    size = float(np.mean([len(g) for g in groups]))
    between = size * float(np.var([g.mean() for g in groups], ddof=1))
    within = float(np.mean([g.var(ddof=1) for g in groups]))
    return max(0.0, (between - within) / (between + (size - 1) * within))


def decision_table(decisions: Mapping[str, Decision]) -> Table:
    """One row per condition, one column per challenger, the verdict last."""
    mark = {True: "passed", False: "FAILED", None: "no data"}
    names = [check.name for check in next(iter(decisions.values())).checks]
    rows = []
    for i, name in enumerate(names):
        checks = [decision.checks[i] for decision in decisions.values()]
        rows.append([name, f"{checks[0].limit:g}", *(f"{c.measured:.3g}: {mark[c.passed]}" for c in checks)])
    rows.append(["verdict", "", *(decision.verdict for decision in decisions.values())])
    return Table(["condition", "limit", *decisions], rows, "The gate")


def history_table(registry: Registry, direction: str = process_change.DIRECTION) -> Table:
    """Every change that took effect, and who was champion afterwards."""
    rows = [
        [str(r["event"]), r["action"], r["version"], r["line"][-1] if r["line"] else "-", r["hash"][:8]]
        for r in registry.history(direction)
    ]
    return Table(["event", "action", "version", "champion afterwards", "hash"], rows)


def kill_table(count: int, run: Path) -> Table:
    """Kill writers `count` times, once overwriting a live file and once with a registry of `run`s."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder) / "promotions" / "registry")
        for number in range(3):  # previous, champion and challenger
            registry.register(run)
            if number < 2:
                registry.promote(kills.DIRECTION)
        for name, what in (("torch.save over the live file", "overwriting"), ("registry", "promotions")):
            try:
                found = kills.in_a_process(what, Path(folder) / what, count)
            except GantransError as error:
                rows.append([name, str(error), "", ""])
                continue
            rows.append([name, str(found.kills), str(found.unreadable), str(found.lost)])
    return Table(["writer", "kills", "unreadable afterwards", "acknowledged and lost"], rows)


@styled
def plane_figure(table: SweepTable, *, share: float, beside: str) -> Figure:
    """Old against new quality: the path of the replay share, one share marked with its seeds.

    Args:
        table: of the sweep `fine_tuning`.
        share: the marked share of old pairs.
        beside: "nothing", or "rates": fine-tuning on new pairs alone at other rates.
    """
    figure = new_figure(6.4, 4.2)
    ax = figure.subplots()
    means = table.means()
    path = [means[f"replay {s:g}"] for s in SHARES]
    x, y = [m["old"] for m in path], [m["new"] for m in path]
    ax.plot(x, y, color=COLOURS[0], marker="o", label="replay, mean over seeds")
    for place, s in enumerate(SHARES):
        ax.annotate(f"{s:g}", (x[place], y[place]), xytext=(5, -11), textcoords="offset points", fontsize=9)
    arm = f"replay {share:g}"
    seeds = table.values("old", arm)[arm], table.values("new", arm)[arm]
    ax.plot(*seeds, "o", color=COLOURS[1], alpha=0.55, label=f"share {share:g}, each seed")
    start = means[BEFORE]
    ax.plot(start["old"], start["new"], "*", color="black", markersize=13, label="champion")
    if beside == "rates":
        for i, name in enumerate(RATES):
            ends = [means[f"{name}, {epochs} epochs"] for epochs in EPOCHS]
            ax.plot(
                [e["old"] for e in ends], [e["new"] for e in ends], linestyle=":", marker=MARKERS[i + 2],
                color=COLOURS[i + 2], label=f"{name}, 20 then 100 epochs",
            )  # fmt: skip
    ax.set(xlabel="IoU on old images", ylabel="IoU on new images", title="What does replay cost, and save?")
    ax.legend(fontsize=8, loc="best")
    marked = means[arm]
    describe(
        ax,
        f"Champion: old {start['old']:.3f}, new {start['new']:.3f}. Share {share:g}: old "
        f"{marked['old']:.3f}, new {marked['new']:.3f}, mean of {len(table.seeds)} seeds.",
    )
    return figure


@styled
def rates_figure(table: SweepTable) -> Figure:
    """IoU on old and new images after 20 and 100 epochs at three rates, Adam's state kept or started anew."""
    figure = new_figure(8.8, 3.5)
    axes = figure.subplots(1, 2)
    places = [(rate, epochs) for rate in RATES for epochs in EPOCHS]
    before = table.means(BEFORE)[BEFORE]
    for ax, which in zip(axes, ("old", "new"), strict=True):
        words = []
        for i, (state, word) in enumerate((("Adam's state kept", ""), ("started anew", ", Adam reset"))):
            arms = [f"{rate}, {epochs} epochs{word}" for rate, epochs in places]
            for place, arm in enumerate(arms):
                if arm not in table.arms:
                    continue
                values = table.values(which, arm)[arm]
                at = place + 0.4 * i - 0.2
                ax.plot([at] * len(values), values, MARKERS[i], color=COLOURS[i], alpha=0.5, markersize=4)
                mean = float(np.mean(values))
                label = state if place == 0 else None
                ax.hlines(mean, at - 0.17, at + 0.17, color=COLOURS[i], linewidth=3, label=label)
                words.append(f"{arm} {mean:.3f}")
        ax.axhline(before[which], color="black", linestyle=":", linewidth=1, label="champion")
        ax.set_xticks(range(len(places)), [f"{r.replace(' rate', '')}\n{e}" for r, e in places], fontsize=8)
        ax.set(title=f"{which} images", ylabel="IoU", xlabel="rate, epochs on 50 new pairs")
        describe(ax, f"IoU on {which} images (champion {before[which]:.3f}): {'; '.join(words)}.")
    axes[0].legend(fontsize=8)
    return figure


def pairs_table(table: SweepTable, arms: Sequence[str] = ("corrected pairs", "random pairs")) -> Table:
    """Means over seeds of the arms that differ in the pairs they were taught."""
    means = table.means(*arms)
    rows = [[arm, *(f"{means[arm][q]:.3f}" for q in ("quality of the pairs", "new", "old"))] for arm in arms]
    header = ["taught", "champion's IoU on these pairs", "then: new images", "then: old images"]
    return Table(header, rows, f"Mean of {len(table.seeds)} seeds")


def latency_table(record: Mapping[str, Any]) -> Table:
    """Share of 5 % better challengers refused, by how much slower they are, from a record of G39."""
    rows = []
    for slower in promotion.LATENCIES:
        refused = record["numbers"][f"{slower:g} times as slow: refused"]
        rows.append([f"{slower:g}", f"{refused:.0%}"])
    return Table(
        ["times as slow", "refused"], rows, f"5 % better challengers; limit {GateConfig().latency_factor:g}"
    )
