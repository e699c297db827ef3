"""The figures of lesson 14 about cost: steps, attention at full resolution, a VAE; operations counted."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from gantrans.images import unit_from_network
from gantrans.metrics import grey_share
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.networks.accounting import flops
from gantrans.teaching.plots import COLOURS, MARKERS, Table, describe, image_axes, new_figure, styled
from gantrans.teaching.plots.style import LINES

SIZES = (32, 64, 128, 256)
PATCHES = (8, 4, 1)
LOW = "U-Net, attention at 8 x 8 and 16 x 16"


def transformer_flops(size: int, patch: int, width: int = 64, depth: int = 4, ratio: int = 2) -> float:
    """Operations of a vision transformer for one image; a multiply-add counts as two.

    Args:
        ratio: width of the inner layer of a block over `width`.
    """
    tokens = (size // patch) ** 2
    layers = (8 + 4 * ratio) * tokens * width**2  # query, key, value, projection; the two inner layers
    attention = 4 * tokens**2 * width
    return depth * (layers + attention) + 4 * tokens * width * patch**2


def attention_bytes(size: int, patch: int, heads: int = 4) -> float:
    """Bytes of the attention maps of one layer for one image in float32, if they are stored."""
    return 4.0 * heads * ((size // patch) ** 2) ** 2


def unet_flops(size: int, width: int = 16) -> float:
    """Operations of a U-Net of lesson 04 for one image, with attention at 8 x 8 and 16 x 16 places."""
    with torch.device("meta"):
        config = UNetConfig(
            base_filters=width, n_down=size.bit_length() - 4, attention=(0, 1), fused_attention=False
        )
        network, image = UNetGenerator(config).eval(), torch.zeros(1, 1, size, size)
    with torch.no_grad():
        return float(flops(lambda: network(image)))


@styled
def cost_figure() -> Figure:
    """Operations, and memory of one layer's attention maps, against the side of an image; counted."""
    figure = new_figure(9.2, 3.3)
    operations, maps = figure.subplots(1, 2)
    lines = {f"transformer, patches of {p}": [transformer_flops(s, p) for s in SIZES] for p in PATCHES}
    lines[LOW] = [unet_flops(s) for s in SIZES]
    stored = {f"transformer, patches of {p}": [attention_bytes(s, p) for s in SIZES] for p in PATCHES}
    stored[LOW] = [4.0 * 256**2] * len(SIZES)
    for ax, values, unit in ((operations, lines, 1e9), (maps, stored, 2**20)):
        words = []
        for number, (name, each) in enumerate(values.items()):
            shown = [value / unit for value in each]
            style = {"color": COLOURS[number], "marker": MARKERS[number], "linestyle": LINES[number]}
            ax.plot(SIZES, shown, label=name, **style)
            words.append(f"{name} {shown[0]:.3g} at {SIZES[0]} px, {shown[-1]:.3g} at {SIZES[-1]} px")
        ax.set(xscale="log", yscale="log", xlabel="side of the image (px)")
        ax.set_xticks(SIZES, [str(size) for size in SIZES])
        ax.minorticks_off()
        kind = "Thousand million operations" if ax is operations else "MiB of one layer's attention maps"
        describe(ax, f"{kind}: {'; '.join(words)}.")
    operations.set_ylabel("operations (thousand millions)")
    maps.set_ylabel("attention maps (MiB)")
    handles, labels = operations.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


@styled
def steps_figure(rows: Mapping[str, Mapping[str, float]], quantities: Mapping[str, str]) -> Figure:
    """Quantities of methods against the operations of one answer, in passes of the network.

    Args:
        rows: {method: {"passes": ..., quantity: ...}}; a row may lack quantities.
        quantities: {quantity: label of its axis}.
    """
    figure = new_figure(3.2 * len(quantities), 3.3)
    axes = figure.subplots(1, len(quantities), squeeze=False)[0]
    for ax, (quantity, label) in zip(axes, quantities.items(), strict=True):
        words = []
        for number, (name, row) in enumerate(rows.items()):
            if quantity not in row:
                continue
            style = {"color": COLOURS[number % 7], "markersize": 8, "linestyle": "none"}
            ax.plot([row["passes"]], [row[quantity]], MARKERS[number % len(MARKERS)], label=name, **style)
            words.append(f"{name}: {row[quantity]:.3g} at {row['passes']:g}")
        ax.set(xscale="log", xlabel="passes of the network", ylabel=label)
        ticks = [1, 4, 20]
        ax.set_xticks(ticks, [str(tick) for tick in ticks])
        ax.minorticks_off()
        describe(ax, f"{label} by passes. {'; '.join(words)}.")
    known = {
        label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend([known[n] for n in rows], list(rows), loc="outside lower center", ncols=len(rows))
    return figure


@styled
def vae_figure(rows: Mapping[str, tuple[Tensor, str]], count: int = 8) -> Figure:
    """Clips as they came, (N, 1, S, S) in [-1, 1], a row per source, with the share of grey pixels.

    Args:
        rows: {name: (clips, what it costs, in words)}.
    """
    figure = new_figure(1.0 * count + 2.2, 1.12 * len(rows) + 0.1)
    axes = figure.subplots(len(rows), count, squeeze=False)
    for row, (name, (clips, cost)) in zip(axes, rows.items(), strict=True):
        unit = unit_from_network(clips).clamp(0, 1)
        grey = float(grey_share(clips).mean())
        for ax, clip in zip(row, unit, strict=False):
            image_axes(clip, ax=ax)
            describe(ax, "")
        row[0].set_ylabel(f"{name}\n{grey:.0%} grey\n{cost}", rotation=0, ha="right", va="center")
        describe(row[0], f"{name}: {grey:.0%} of the pixels are grey; {cost}.")
    return figure


def measured_table(rows: Mapping[str, Mapping[str, float]], units: Mapping[str, str]) -> Table:
    """One row per method, one column per quantity; a gap is a dash."""

    def cell(row: Mapping[str, float], quantity: str) -> str:
        return f"{row[quantity]:.3g}" if quantity in row else "-"

    head = ["", *(f"{name} ({unit})" if unit else name for name, unit in units.items())]
    lines: Sequence[Sequence[str]] = [[name, *(cell(row, q) for q in units)] for name, row in rows.items()]
    return Table(head, [list(line) for line in lines], "One training each on this machine")


def parameters_in_millions(network: nn.Module) -> float:
    """Number of weights / 10^6."""
    return sum(weight.numel() for weight in network.parameters()) / 1e6
