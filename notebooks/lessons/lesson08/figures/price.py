"""The figures of lesson 08 on the usual task and on the price: gamma, a naive start, foundations, cost.

Those of the array task are in `reach`.
"""

import gc
import math

import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from gantrans.data import make_pairs
from gantrans.images import network_from_unit, unit_from_uint8
from gantrans.networks import SelfAttention, UNetGenerator, attention_weights, fused_attention
from gantrans.networks.accounting import memory
from gantrans.teaching.plots import (
    COLOURS,
    MARKERS,
    Table,
    bars_with_intervals,
    describe,
    new_axes,
    new_figure,
    styled,
)
from gantrans.teaching.sweeps.tables import Table as SweepTable
from gantrans.training import pick_device
from lessons.lesson08.experiments import attention_cost
from lessons.lesson08.experiments.attention_training import (
    FOUNDATIONS,
    PLACES,
    SETTINGS,
    generator_config,
    place_of,
)

BLOCKS = ("bottleneck", "first decoder block")


@styled
def gamma_figure(usual: SweepTable, arrays: SweepTable) -> Figure:
    """Gamma along training on the usual task, a line per seed and place; then |gamma| at the end, both tasks.

    The sign of gamma has no meaning, because the values can turn theirs.
    """
    figure = new_figure(10.2, 3.3)
    *along, end = figure.subplots(1, 3, width_ratios=(1, 1, 1.25))
    ends: dict[str, list[float]] = {}
    short = ("bottleneck", "decoder")
    for place, ax in enumerate(along):
        arm, name = "usual, attention", BLOCKS[place]
        for i, seed in enumerate(usual.seeds):
            row = usual.rows[seed][arm]
            values = [0.0, *(row[f"gamma {place} at {k} / 10"] for k in range(1, 11))]
            style = {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
            ax.plot(range(0, 110, 10), values, markersize=4, label=f"seed {seed}", **style)
        last = usual.values(f"gamma {place} at 10 / 10", arm)[arm]
        ends[f"usual,\n{short[place]}"] = [abs(v) for v in last]
        ax.set(title=f"usual task, {name}", xlabel="% of training", ylim=(-0.36, 0.36))
        describe(ax, f"Usual task, gamma in the {name} ends at {', '.join(f'{v:+.3f}' for v in last)}.")
    for place in range(2):
        values = arrays.values(f"gamma {place}", "attention")["attention"]
        ends[f"arrays,\n{short[place]}"] = [abs(v) for v in values]
    bars_with_intervals(ends, quantity="|gamma| at the end", paired=False, ax=end)
    end.set_ylim(bottom=0)
    end.set_title("both tasks, both places")
    for ax in (*along, end):
        ax.axhline(0, color="black", linewidth=0.8)
        for level in (0.1, 0.3) if ax is end else (-0.3, -0.1, 0.1, 0.3):
            ax.axhline(level, color="#999999", linewidth=0.7, linestyle=":")
    along[0].set_ylabel("gamma")
    along[1].legend(fontsize=7, ncols=2)
    figure.suptitle(f"Gamma from 0, {len(usual.seeds)} seeds; dotted: the range 0.1 to 0.3 of either sign")
    return figure


def start_of_one(name: str, scale: str, seed: int = 0) -> dict[str, float]:
    """What attention with gamma 1 adds in the very first forward pass, on 16 training images.

    Args:
        name: one of `attention_training.PLACES`.

    Returns:
        Length of what is added over that of the input; which share of its energy is the same at all places,
        in %; and the entropy of the map's rows, in % of that of an even map.
    """
    pairs = make_pairs("procedural", count=16, size=SETTINGS[scale].size, seed=seed, progress=False)
    place = place_of(PLACES[name], scale)
    network, caught = UNetGenerator(generator_config(scale, (place,), 1.0), seed).train(), []
    layer = network.attention[str(place)]
    assert isinstance(layer, SelfAttention)
    layer.register_forward_hook(lambda _, given, output: caught.append((given[0], output - given[0])))
    with torch.no_grad():
        network(network_from_unit(unit_from_uint8(pairs.sem)))
        (x, added), places = caught[0], caught[0][0][0, 0].numel()
        entropy = torch.special.entr(layer.attention_map(x)).sum(-1).mean()
        flat = added.mean((2, 3)).square().sum() * places
    return {
        "added / input": float(added.norm() / x.norm()),
        "same at all places": 100 * float(flat / added.square().sum()),
        "entropy of the map": 100 * float(entropy) / math.log(places),
    }


@styled
def start_figure(table: SweepTable, ax: Axes | None = None) -> Axes:
    """The loss right after a tenth of training, gamma from 1 over gamma from 0, per place and seed."""
    ratios = {}
    for name in PLACES:
        one, zero = (
            table.values("early loss", f"{name}, {start}")[f"{name}, {start}"]
            for start in ("gamma 1", "gamma 0")
        )
        ratios[name] = [a / b for a, b in zip(one, zero, strict=True)]
    ax = bars_with_intervals(
        ratios, quantity="early loss, gamma 1 over gamma 0", paired=False, ax=new_axes(ax, 5.4, 3.2)
    )
    ax.axhline(1.0, color="black", linewidth=0.8)
    return ax


@styled
def foundation_figure(table: SweepTable) -> Figure:
    """IoU where D can win, on either foundation, without and with the additions, joined by seed."""
    figure = new_figure(9.4, 3.4)
    labels = {"plain": "plain", "attention": "attention", "FM": "FM", "attention + FM": "both"}
    for ax, base in zip(figure.subplots(1, 2, sharey=True), FOUNDATIONS, strict=True):
        groups = {
            label: table.values("IoU", f"{base}, {extra}")[f"{base}, {extra}"]
            for extra, label in labels.items()
        }
        bars_with_intervals(groups, quantity="held-out IoU", title=base, ax=ax)
    figure.axes[1].set_ylabel("")
    return figure


@styled
def cost_figure(table: SweepTable, quantity: str = "peak", ax: Axes | None = None) -> Axes:
    """Peak memory or time of one layer against the side of the map; what is computed is dashed."""
    ax = new_axes(ax, 5.6, 3.4)
    factor, axis = (2**-20, "peak memory (MiB)") if quantity == "peak" else (1e3, "time of one call (ms)")
    means, words = table.means(), []
    for i, kind in enumerate(("plain", "fused")):
        sides = sorted(int(arm.split()[1]) for arm in means if arm.startswith(kind))
        values = [factor * means[f"{kind} {side}"][quantity] for side in sides]
        ax.plot(sides, values, color=COLOURS[i], marker=MARKERS[i], label=f"{kind}, measured")
        words.append(f"{kind} {values[0]:.3g} at {sides[0]} px to {values[-1]:.3g} at {sides[-1]} px")
    if quantity == "peak":
        sides = [8, 16, 32, 64, 128, 256]
        maps = [factor * attention_cost.map_bytes(side) for side in sides]
        ax.plot(sides, maps, "--", color="#666666", label="one map, computed")
        words.append(f"one map, computed, {maps[-1]:,.0f} MiB at 256 px")
        for side in (s for s in sides if f"fused {s}" in means and f"plain {s}" not in means):
            peak = factor * attention_cost.plain_peak_bytes(side)
            label = f"plain at {side}, computed: two maps"
            ax.plot(side, peak, MARKERS[0], color=COLOURS[0], markerfacecolor="white", label=label)
            words.append(f"plain, computed, {peak:,.0f} MiB at {side} px")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks([8, 16, 32, 64, 128, 256], ["8", "16", "32", "64", "128", "256"])
    ax.set(xlabel="side of the feature map (places)", ylabel=axis)
    ax.legend()
    return describe(
        ax, f"{axis} of one attention layer, {attention_cost.CHANNELS} channels: {'; '.join(words)}."
    )


def cost_table(table: SweepTable) -> Table:
    """Every side with its tokens, the size of one map, and what was measured."""
    header = ["map", "tokens", "one map, float32", "plain: peak", "fused: peak", "plain: time", "fused: time"]
    return Table(header, attention_cost.layer_table(table), caption=table.source())


def peaks(side: int) -> dict[str, dict[str, float]]:
    """Peak memory of attention on one map of side x side places, in MiB and in stored maps.

    The plain layer without and with gradients; PyTorch's kernel as it is given unequal widths (queries
    and keys of C/8, values of C), and with queries and keys filled up with zeros.
    """
    channels, device = attention_cost.CHANNELS, pick_device()
    random = torch.Generator().manual_seed(0)
    wide = torch.randn(1, side * side, channels, generator=random).to(device)
    narrow = wide[..., : channels // 8].contiguous()

    def plain() -> Tensor:
        return attention_weights(narrow, narrow) @ wide

    def learning() -> None:
        q = narrow.clone().requires_grad_()
        (attention_weights(q, narrow) @ wide).sum().backward()  # type: ignore[no-untyped-call]

    def unequal() -> Tensor:
        q, v = narrow[:, None], wide[:, None]
        return F.scaled_dot_product_attention(q, q, v, scale=1.0)

    gc.collect()  # else what earlier cells left may be freed, and counted, while we measure
    found = {"plain, with its backward pass": memory(learning, device)}
    with torch.no_grad():
        found = {"plain": memory(plain, device), **found, "kernel, unequal widths": memory(unequal, device)}
        padded = memory(lambda: fused_attention(narrow, narrow, wide), device)
    found["kernel, padded to equal widths"] = padded
    one = attention_cost.map_bytes(side)
    return {name: {"peak": peak / 2**20, "in maps": peak / one} for name, peak in found.items()}
