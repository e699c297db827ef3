"""The figures and tables of lesson 12 on fine-tuning: the changed process, forgetting, rates, pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from gantrans.config import from_dict
from gantrans.data import PairedDataset
from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.warm_start import warm_start
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
from lessons.lesson12.experiments.fine_tuning import BEFORE, EPOCHS, RATES, SHARES
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
    wanted = recipe.one_way.lr_generator / 10
    found = {"wanted: the base rate / 10": wanted}
    for way in ("set, then load", "load, then divide by 10"):
        optimizer = Pix2PixTask(recipe.one_way).optimizers["generator"]
        optimizer.param_groups[0]["lr"] = wanted
        optimizer.load_state_dict(contents["optimizers"]["generator"])
        loaded = optimizer.param_groups[0]["lr"]
        found[way] = loaded / (10 if "divide" in way else 1)
    task = Pix2PixTask(recipe.one_way)
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
