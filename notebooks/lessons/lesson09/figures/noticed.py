"""The figures of lesson 09: what D notices layer by layer, what matching it does, and the checkerboard."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.images import unit_from_network, unit_from_uint8
from gantrans.metrics import compare_topology, epe, iou
from gantrans.networks import PatchGAN, UNetGenerator
from gantrans.teaching import claims
from gantrans.teaching.plots import (
    Table,
    bars_with_intervals,
    describe,
    image_axes,
    image_grid,
    new_figure,
    styled,
)
from gantrans.teaching.sweeps.tables import Table as SweepTable
from gantrans.translation import DENOISE_OTSU, Predictor, choose_baseline, segment
from lessons.lesson09.experiments import checkerboard, matching_larger
from lessons.lesson09.experiments.matching import ARMS, L1_ONLY, PIXEL_NM
from lessons.shared import process_change

SHORT = {
    "without": "without",
    "feature matching": "mean",
    "feature matching, summed": "pix2pixHD\n(4 x mean)",
    L1_ONLY: "L1 only",
}
"""Arms on a narrow axis."""


@styled
def features_figure(
    critic: PatchGAN, source: Tensor, real: Tensor, fake: Tensor, *, layer: int, maps: int = 4
) -> Figure:
    """The maps of one layer in which D tells a real and a made image apart the most.

    Args:
        source, real, fake: (1, 1, S, S) in [-1, 1].
        layer: 0 is the first; maps: how many channels.
    """
    with torch.inference_mode():
        pair = [critic(source, image).features[layer][0] for image in (real, fake)]
    difference = (pair[0] - pair[1]).abs().mean((1, 2))
    chosen = difference.argsort(descending=True)[:maps].tolist()
    figure = new_figure(1.75 * (maps + 1), 3.9)
    axes = figure.subplots(2, maps + 1)
    for line, (name, image, seen) in zip(
        axes, (("real", real, pair[0]), ("made", fake, pair[1])), strict=True
    ):
        image_axes(unit_from_network(image)[0], f"{name} image", ax=line[0])
        for ax, channel in zip(line[1:], chosen, strict=True):
            low, high = (float(f(torch.stack(pair)[:, channel])) for f in (torch.min, torch.max))
            shown = (seen[channel] - low) / max(high - low, 1e-6)
            image_axes(shown, f"map {channel}" if name == "real" else "", ax=ax)
    share = float(difference.mean())
    side = f"{pair[0].shape[1]} x {pair[0].shape[2]}"
    describe(
        axes[0, 0],
        f"Layer {layer}: {len(difference)} maps of {side}; real and made differ by {share:.3f} on average, "
        f"most in maps {', '.join(map(str, chosen))}.",
    )
    figure.suptitle(f"Layer {layer} of D: {len(difference)} maps of {side}; mean difference {share:.3f}")
    return figure


def layer_terms(critic: PatchGAN, source: Tensor, real: Tensor, fake: Tensor) -> dict[str, dict[str, float]]:
    """What every layer adds to feature matching: its mean difference, and the loss in every convention."""
    with torch.inference_mode():
        both = [critic(source, image).features for image in (real, fake)]
    terms = [float(F.l1_loss(made, wanted)) for wanted, made in zip(*both, strict=True)]
    table = {f"layer {k}": {"mean difference": term} for k, term in enumerate(terms)}
    table["averaged over layers"] = {"mean difference": float(np.mean(terms))}
    table["summed (pix2pixHD, the paper)"] = {"mean difference": sum(terms)}
    table[f"4/{len(terms)} of the sum (its code)"] = {"mean difference": 4 / len(terms) * sum(terms)}
    return table


def time_of_detach(
    critic: PatchGAN, source: Tensor, real: Tensor, fake: Tensor, repeats: int = 60
) -> dict[str, float]:
    """Milliseconds of forward and backward of the loss, with and without detach, taking turns.

    The first quartile of the CPU time of this process: what a neighbour on the machine adds is left out.
    """
    times: dict[str, list[float]] = {"detached": [], "not detached": []}
    for _ in range(repeats + 2):
        for name, spent in times.items():
            shown = fake.clone().requires_grad_()
            started = time.process_time()
            wanted = critic(source, real).features
            if name == "detached":
                wanted = [layer.detach() for layer in wanted]
            made = critic(source, shown).features
            torch.stack([F.l1_loss(m, w) for m, w in zip(made, wanted, strict=True)]).mean().backward()
            spent.append(1e3 * (time.process_time() - started))
            critic.zero_grad(set_to_none=True)
    return {name: float(np.quantile(spent[2:], 0.25)) for name, spent in times.items()}


def backward_twice(critic: PatchGAN, source: Tensor, real: Tensor, fake: Tensor, *, detach: bool) -> str:
    """G's loss first, then D's, sharing D's pass over the real image: what PyTorch says to it."""
    said = critic(source, real)
    wanted = [layer.detach() if detach else layer for layer in said.features]
    made = critic(source, fake.clone().requires_grad_()).features
    torch.stack([F.l1_loss(m, w) for m, w in zip(made, wanted, strict=True)]).mean().backward()
    try:
        (said.logits - 1).square().mean().backward()
    except RuntimeError as error:
        return str(error).split(".")[0]
    finally:
        critic.zero_grad(set_to_none=True)
    return "no error"


@styled
def matching_figure(table: SweepTable, direction: str, quantities: Mapping[str, tuple[str, float]]) -> Figure:
    """Quantities of every arm of one direction that a table has, joined by seed.

    Args:
        quantities: {quantity: (what the axis says, factor)}.
    """
    figure = new_figure(3.6 * len(quantities), 3.3)
    axes = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, (quantity, (label, factor)) in zip(axes, quantities.items(), strict=True):
        row = table.rows[table.seeds[0]]
        arms = [a for a in (*ARMS, L1_ONLY) if quantity in row.get(f"{direction}, {a}", {})]
        values = {a: table.values(quantity, f"{direction}, {a}")[f"{direction}, {a}"] for a in arms}
        groups = {SHORT[arm]: [factor * v for v in values[arm]] for arm in arms}
        bars_with_intervals(groups, quantity=label, ax=ax)
    return figure


def larger_findings(table: SweepTable) -> Table:
    """What the rule of G29 says of the larger images, a line for each part."""
    rows = [
        [name, f"{f.measured:.2f} ({f.low:.2f} to {f.high:.2f})", f.verdict]
        for name, f in matching_larger.same_rule(table).items()
    ]
    return Table(["with feature matching / without", "ratio, 99 % interval", "by the rule of G29"], rows)


@styled
def made_figure(rows: Mapping[str, Tensor], count: int = 3, crop: int = 48) -> Figure:
    """Columns of images (N, 1, S, S) in [0, 1] by name: layout, real SEM, and what the arms make."""
    size = next(iter(rows.values())).shape[-1]
    crop = min(crop, size)
    inside = slice((size - crop) // 2, (size + crop) // 2)
    grid = [[images[k, 0, inside, inside] for images in rows.values()] for k in range(count)]
    return image_grid(grid, list(rows), pixel_nm=20.0, size=1.6)


@styled
def upsamplers_figure(size: int = 64, seed: int = 0) -> Figure:
    """What untrained generators with each upsampler make of noise (top), and its spectrum (bottom)."""
    figure = new_figure(2.2 * len(checkerboard.UPSAMPLERS), 4.6)
    axes = figure.subplots(2, len(checkerboard.UPSAMPLERS))
    noise = torch.randn(8, 1, size, size, generator=torch.Generator().manual_seed(seed)).clamp(-1, 1)
    for (top, bottom), arm in zip(axes.T, checkerboard.UPSAMPLERS, strict=True):
        network = UNetGenerator(checkerboard.generator_config(arm, 16, 4), seed)
        with torch.no_grad():
            made = unit_from_network(network(noise))
        share = checkerboard.period_two_share(made)
        image_axes(made[0, :, :32, :32], arm, ax=top, limits=(float(made[0].min()), float(made[0].max())))
        power = np.fft.fftshift(checkerboard.spectrum(made))
        power[size // 2, size // 2] = np.nan
        decibels = bottom.imshow(10 * np.log10(power / np.nanmax(power)), cmap="cividis", vmin=-50, vmax=0)
        for spot in ((0, 0), (0, size // 2), (size // 2, 0)):
            bottom.plot(
                spot[1], spot[0], "o", markerfacecolor="none", markeredgecolor="#ff9090", markersize=9
            )
        bottom.set_xticks([])
        bottom.set_yticks([])
        bottom.grid(False)
        bottom.set_title(f"period 2: {share:.1%}")
        describe(bottom, f"{arm}: {share:.2%} of the energy lies at period two (circles) before training.")
    figure.colorbar(decibels, ax=axes[1].tolist(), label="dB below the strongest", shrink=0.8)
    axes[0, 0].set_ylabel("a corner of 32 px")
    axes[1, 0].set_ylabel("spectrum, 0 in the middle")
    figure.suptitle(
        f"Before any training, one start (seed {seed}): an answer to noise, and where its energy lies"
    )
    return figure


@styled
def shares_figure(shares: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Share of energy at period two before training, per upsampler, a dot per seed."""
    groups = {arm: [100 * v for v in values] for arm, values in shares.items()}
    ax = bars_with_intervals(groups, quantity="energy at period two", unit="%", ax=ax)
    ax.set_yscale("symlog", linthresh=0.1)
    ax.set_ylim(bottom=0)
    return ax


@styled
def excess_figure(table: SweepTable, before: Mapping[str, Sequence[float]]) -> Figure:
    """Energy at period two over its neighbours: before training, and after it in both directions.

    Args:
        before: `checkerboard.init_excess`; its answers to noise have no target.
    """
    figure = new_figure(11.0, 3.4)
    panels = {"before training": before}
    for direction, title in (("sem2layout", "SEM to layout"), ("layout2sem", "layout to SEM")):
        arms = ("target", *checkerboard.UPSAMPLERS)
        panels[title] = {a: table.values("excess", f"{direction}, {a}")[f"{direction}, {a}"] for a in arms}
    for ax, (title, groups) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        bars_with_intervals(groups, quantity="energy over neighbours", title=title, ax=ax)
        ax.set_yscale("log")
        ax.axhline(1.0, color="black", linewidth=0.8)
    return figure


def production_scores(run: Path, held: PairedDataset, scale: str, seed: int) -> dict[str, dict[str, float]]:
    """A production run on held-out pairs, beside the classical baseline chosen on its validation pairs.

    |gamma 0| is that of the attention at the bottleneck, |gamma 1| that of the one above it.
    """
    predictor = Predictor.load(run)
    assert isinstance(predictor.generator, UNetGenerator)
    known = process_change.validation_pairs("old", scale, seed)
    variant, _ = choose_baseline(unit_from_uint8(known.sem), unit_from_uint8(known.layout), DENOISE_OTSU)
    sem, layout = unit_from_uint8(held.sem), unit_from_uint8(held.layout)
    made = {"denoise + Otsu": segment(sem, variant), "the model": predictor.translate(sem)}
    rows = {
        name: {
            "IoU": float(iou(output, layout).mean()),
            "EPE": float(epe(output, layout, held.pixel_nm or PIXEL_NM).mean.nanmean()),
            "defects": float(compare_topology(output, layout).defects.double().mean()),
        }
        for name, output in made.items()
    }
    rows["the model"] |= {f"|gamma {k}|": abs(gamma) for k, gamma in predictor.generator.gammas.items()}
    return rows


def differences(pairs: Mapping[str, tuple[SweepTable, str, str, str]]) -> Table:
    """Is a part to be told from its absence? A line each: quantity, both means, difference, 99 % interval.

    Args:
        pairs: {what is compared: (table, quantity, arm with it, arm without it)}.
    """
    rows = []
    for name, (table, quantity, with_it, without) in pairs.items():
        both = table.values(quantity, with_it, without)
        effect, low, high = claims.paired_effect(both[with_it], both[without], compare="difference")
        seen = "yes" if low > 0 or high < 0 else "no"
        means = (float(np.mean(both[arm])) for arm in (with_it, without))
        rows.append(
            [name, quantity, *(f"{m:.3g}" for m in means), f"{effect:+.3g} ({low:+.3g} to {high:+.3g})", seen]
        )
    header = ["part", "quantity", "with", "without", "difference, 99 % interval", "told apart"]
    return Table(header, rows)
