"""Lesson 08, claims G15, G16 and G18: what attention costs in parameters, operations, time and memory.

Sources: Zhang et al. 2019 (SAGAN); Dao et al. 2022 (FlashAttention: the map is never stored).
"""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from gantrans.networks import PatchGANConfig, SelfAttention, UNetConfig, UNetGenerator
from gantrans.networks.accounting import flops, memory, parameters, seconds
from gantrans.teaching.sweeps.registry import experiment
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import Batch, Runtime, pick_device, resolve_precision
from gantrans.translation import Pix2PixConfig, Pix2PixTask

FULL = UNetConfig(dropout_blocks=0)
"""The full preset, 256 px."""
PLACES = (0, 1)
GIB = 2**30
CHANNELS = 32
"""Of the single layer whose cost against size is measured."""


@dataclass(frozen=True)
class CostSetting:
    """Sides of the feature map for either version, and how often a training step is timed."""

    fused: tuple[int, ...]
    plain: tuple[int, ...]
    repeats: int
    size: int
    generator: UNetConfig
    d_filters: int
    batch_size: int


SMALL = UNetConfig(base_filters=16, n_down=4, dropout_blocks=0)
SETTINGS: Mapping[str, CostSetting] = {
    "smoke": CostSetting((8, 16), (8, 16), 3, 64, replace(SMALL, base_filters=4), 4, 2),
    "reduced": CostSetting((8, 16, 32, 64, 128, 256), (8, 16, 32, 64, 128), 12, 64, SMALL, 16, 8),
    "full": CostSetting((8, 16, 32, 64, 128, 256), (8, 16, 32, 64, 128), 30, 256, FULL, 48, 4),
}


def map_bytes(side: int) -> int:
    """Bytes of one float32 attention map of a side x side feature map: (side^2)^2 numbers of 4 bytes."""
    return (side * side) ** 2 * 4


def plain_peak_bytes(side: int) -> int:
    """What the plain layer takes at its peak without gradients: the products and their softmax, two maps."""
    return 2 * map_bytes(side)


def layer_cost(side: int, *, fused: bool, repeats: int = 3) -> dict[str, float]:
    """Peak memory (bytes) and median time (s) of one attention layer on one image, without gradients."""
    device = pick_device()
    layer = SelfAttention(CHANNELS, fused=fused).to(device)
    x = torch.randn(1, CHANNELS, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    gc.collect()  # else what earlier cells left may be freed, and counted, while we measure
    with torch.no_grad():
        peak = memory(lambda: layer(x), device)
        return {
            "peak": float(peak),
            "seconds": seconds(lambda: layer(x), device, repeats if side < 128 else 1),
        }


def run_seed(seed: int, scale: str) -> Row:
    """Every side in both versions; nothing is random, so the seed only counts repetitions."""
    setting = SETTINGS[scale]
    row = {f"fused {side}": layer_cost(side, fused=True) for side in setting.fused}
    return row | {f"plain {side}": layer_cost(side, fused=False) for side in setting.plain}


SWEEP = Sweep(
    "attention_cost",
    run_seed,
    {"smoke": 2, "reduced": 3, "full": 3},
    lambda scale: [CHANNELS, SETTINGS[scale].fused, SETTINGS[scale].plain],
    {},
)


def network_cost(config: UNetConfig, size: int = 256) -> dict[str, float]:
    """Parameters and operations of a forward pass for one image; counted with the plain attention."""
    network = UNetGenerator(replace(config, fused_attention=False)).eval()
    image = torch.zeros(1, config.in_channels, size, size)
    with torch.no_grad():
        return {"parameters": float(parameters(network)), "operations": float(flops(lambda: network(image)))}


def added(config: UNetConfig = FULL, size: int = 256) -> dict[str, float]:
    """What attention in both places adds: parameters, and the shares of parameters and operations."""
    plain, more = (network_cost(replace(config, attention=a), size) for a in ((), PLACES))
    return {
        "parameters": more["parameters"] - plain["parameters"],
        "share of parameters": more["parameters"] / plain["parameters"] - 1,
        "share of operations": more["operations"] / plain["operations"] - 1,
    }


def step_ratios(scale: str) -> dict[str, list[float]]:
    """Time of a training step over that of the plain one, one ratio per repeat, all within one process.

    In every repeat each arm takes one step, in turn, so that a busy neighbour meets all of them alike.
    """
    s, device = SETTINGS[scale], pick_device()
    critic = PatchGANConfig(base_filters=s.d_filters, n_layers=2, spectral_norm=True)
    base = Pix2PixConfig(s.generator, critic)
    attentive = replace(s.generator, attention=PLACES)
    arms = {
        "plain": base,
        "attention": replace(base, generator=attentive),
        "feature matching": replace(base, weight_fm=10.0),
        "both": replace(base, generator=attentive, weight_fm=10.0),
    }
    tasks = {name: Pix2PixTask(config) for name, config in arms.items()}
    for task in tasks.values():
        for network in task.networks.values():
            network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    runtime = Runtime(device, resolve_precision("auto", device), 1, torch.Generator(device))
    drawn = torch.rand(2, s.batch_size, 1, s.size, s.size, generator=torch.Generator().manual_seed(0))
    batch: Batch = {"input": drawn[0].to(device) * 2 - 1, "target": drawn[1].to(device).round() * 2 - 1}
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for repeat in range(s.repeats + 2):
        for name, task in tasks.items():
            elapsed = _timed_step(task, batch, runtime)
            if repeat >= 2:  # the first two warm up
                times[name].append(elapsed)
    return {
        name: [t / plain for t, plain in zip(times[name], times["plain"], strict=True)]
        for name in tasks
        if name != "plain"
    }


def _timed_step(task: Pix2PixTask, batch: Batch, runtime: Runtime) -> float:
    if runtime.device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    for optimizer in task.optimizers.values():
        optimizer.zero_grad()
    with runtime.autocast():
        task.step(batch, runtime)
    for optimizer in task.optimizers.values():
        optimizer.step()
    if runtime.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


@experiment("G15")
def map_of_256(scale: str) -> dict[str, Any]:
    """Plain: one float32 map, computed. Fused: peak memory of the layer, measured (at smoke, of 32 x 32)."""
    side = 32 if scale == "smoke" else 256
    fused = layer_cost(side, fused=True, repeats=1)
    return {
        "data": {"plain": map_bytes(256) / GIB, "fused kernel": fused["peak"] / GIB},
        "numbers": {"fused: MiB": fused["peak"] / 2**20, "fused: seconds": fused["seconds"]},
    }


@experiment("G16")
def parameters_of_two_blocks(scale: str) -> dict[str, Any]:
    """Counted on the full preset at every scale; beside it one block at 64 channels, and SAGAN's at 256."""
    numbers = added()
    count = numbers.pop("parameters")
    numbers |= {"one block of 64 channels": block_parameters(64), "SAGAN, one block": sagan_parameters(256)}
    return {"data": count, "numbers": numbers}


def block_parameters(channels: int) -> float:
    """Of the course's block: three 1 x 1 convolutions, q and k of C/8 channels and v of C, and gamma."""
    narrow = channels // 8
    return float(2 * (channels * narrow + narrow) + channels * channels + channels + 1)


def sagan_parameters(channels: int) -> float:
    """Of the block of Zhang et al. 2019: q, k, v of C/8 channels, a fourth 1 x 1 convolution back, gamma."""
    narrow = channels // 8
    return float(3 * (channels * narrow + narrow) + narrow * channels + channels + 1)


@experiment("G18")
def time_of_both(scale: str) -> dict[str, Any]:
    """One ratio per repeat, of one network on one device; medians of the single additions beside it."""
    ratios = step_ratios(scale)
    numbers = {name: float(torch.tensor(values).median()) for name, values in ratios.items()}
    numbers |= {"attention: share of operations": added()["share of operations"]}
    return {"data": ratios["both"], "numbers": numbers}


def layer_table(table: Table) -> list[list[str]]:
    """Rows for people: side, tokens, plain and fused peak memory and time; what was not run is computed."""
    means = table.means()
    sides = sorted(int(arm.split()[1]) for arm in means if arm.startswith("fused"))
    rows = []
    for side in sides:
        plain, fused = means.get(f"plain {side}"), means[f"fused {side}"]
        rows.append(
            [
                f"{side} x {side}",
                f"{side * side:,}",
                size_words(map_bytes(side)) + " (computed)",
                size_words(plain["peak"]) if plain else f"{size_words(plain_peak_bytes(side))} (computed)",
                size_words(fused["peak"]),
                time_words(plain["seconds"]) if plain else "not run",
                time_words(fused["seconds"]),
            ]
        )
    return rows


def time_words(elapsed: float) -> str:
    """Seconds in the unit that suits them, three figures."""
    return f"{elapsed:.3g} s" if elapsed >= 1 else f"{1e3 * elapsed:.3g} ms"


def size_words(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, size in (("GiB", GIB), ("MiB", 2**20)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1024:.3g} KiB"
