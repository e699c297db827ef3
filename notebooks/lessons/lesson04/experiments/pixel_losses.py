"""Lesson 04, claim G01: what a network answers when one input has several right outputs.

Of a random target y, the constant a that minimises E|y - a|^2 is the mean, and of E|y - a| the median. A
network that sees the same input for both targets can do no better than this constant, pixel by pixel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.images import network_from_unit, unit_from_network, unit_from_uint8
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.teaching.plots import radial_spectrum
from gantrans.teaching.sweeps.registry import experiment
from gantrans.training import FitConfig
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from lessons.shared.trained import trained

LOSSES = {"L1": F.l1_loss, "L2": F.mse_loss}
PIXEL_NM = 20.0


@dataclass(frozen=True)
class LossSetting:
    """Steps of the two-valued toy, and the layout -> SEM network trained with L1 alone."""

    toy_steps: int
    size: int
    n_down: int
    base_filters: int
    pairs: int
    test_pairs: int
    steps: int
    seeds: int


SETTINGS: Mapping[str, LossSetting] = {
    "smoke": LossSetting(120, 32, 3, 8, 64, 16, 20, 2),
    "reduced": LossSetting(400, 64, 4, 16, 1024, 64, 300, 2),
    "full": LossSetting(400, 128, 5, 32, 4096, 128, 3000, 2),
}
SWEEP_SEEDS = 6


def two_answers(size: int = 16) -> Tensor:
    """The two layouts that share one input, (2, 1, S, S) in {0, 1}: a narrow line and a wide one."""
    layouts = torch.zeros(2, 1, size, size)
    layouts[:, :, :, size // 4 : size // 2] = 1.0
    layouts[1, :, :, size // 2 : 3 * size // 4] = 1.0
    return layouts


def ambiguous_input(size: int = 16) -> Tensor:
    """The input (1, 1, S, S) in [0, 1]: a picture that shows the line's left edge and hides its right one."""
    picture = torch.full((1, 1, size, size), 0.4)
    picture[..., : size // 4] = 0.2
    picture[..., size // 4] = 0.9
    picture[..., size // 2 :] = 0.3
    return picture


def best_answer(loss: str, p_wide: float) -> Tensor:
    """The image (1, 1, S, S) that minimises the expected loss, by theory; for L1 p_wide may not be 0.5."""
    narrow, wide = two_answers()
    if loss == "L2":
        return ((1 - p_wide) * narrow + p_wide * wide)[None]
    return (wide if p_wide > 0.5 else narrow)[None]


def expected_loss(loss: str, answer: np.ndarray, p: float) -> np.ndarray:
    """Expected loss of saying `answer` where the truth is 1 with probability p, else 0."""
    power = {"L1": 1, "L2": 2}[loss]
    return p * np.abs(1 - answer) ** power + (1 - p) * np.abs(answer) ** power


def train_on_two_answers(loss: str, p_wide: float, seed: int, scale: str, *, batch: int = 128) -> Tensor:
    """The output (1, 1, S, S) of a small U-Net whose one input has target "wide" with probability p_wide."""
    draw = torch.Generator().manual_seed(seed)
    network = UNetGenerator(UNetConfig(base_filters=8, n_down=2, norm="none", dropout=0.0), seed)
    steps = SETTINGS[scale].toy_steps
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    source, answers = network_from_unit(ambiguous_input()), network_from_unit(two_answers())
    for _ in range(steps):
        wide = (torch.rand(batch, generator=draw) < p_wide).long()
        answer = network(source).expand(batch, -1, -1, -1)
        optimizer.zero_grad()
        LOSSES[loss](answer, answers[wide]).backward()
        optimizer.step()
        decay.step()
    return unit_from_network(network(source).detach())


def distance(trained: Tensor, predicted: Tensor) -> float:
    """Mean distance of two outputs in [0, 1], over the pixels in which the two answers differ."""
    narrow, wide = two_answers()
    return float((trained - predicted)[0][narrow != wide].abs().mean())


@lru_cache(maxsize=8)
def _pairs(scale: str, seed: int, split: str) -> PairedDataset:
    setting = SETTINGS[scale]
    count = setting.pairs if split == "train" else setting.test_pairs
    return make_pairs(
        "procedural",
        split=split,
        count=count,
        size=setting.size,
        pixel_nm=PIXEL_NM,
        seed=seed,
        progress=False,
    )


def sem_by_l1(seed: int, scale: str) -> tuple[Tensor, Tensor, Tensor]:
    """Layouts, the SEM images that an L1-only network makes of them, and real ones: (N, 1, S, S) each."""
    setting = SETTINGS[scale]
    generator = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, upsample="nearest", dropout=0.0,
        full_resolution_head=True,
    )  # fmt: skip
    task = Pix2PixConfig(generator, discriminator=None, lr_generator=2e-3)
    fitting = FitConfig(
        setting.steps, seed=seed, channels_last=True, lr_schedule="one_cycle", checkpoint_every=10**6
    )

    network = trained(
        lambda: Pix2PixTask(task, seed),
        fitting,
        lambda: BatchSource(_pairs(scale, seed, "train"), "layout2sem", 8, seed),
        name="sem-by-l1",
        key={"task": task, "seed": seed},
        data={"scale": scale, "pairs": setting.pairs},
    ).generator
    pairs = _pairs(scale, seed, "test")
    layout = unit_from_uint8(pairs.layout)
    with torch.inference_mode():
        made = unit_from_network(network(network_from_unit(layout)))
    return layout, made, unit_from_uint8(pairs.sem)


def fine_power(images: Tensor) -> float:
    """Mean power spectral density in the upper half of the frequency band, in µm^2: the texture."""
    _, density = radial_spectrum(images, PIXEL_NM)
    return float(density[len(density) // 2 :].mean())


def toy_distances(seed: int, scale: str, p_wide: float = 0.3) -> dict[str, float]:
    """Part of the rule of G01 -> distance of the trained output from theory, for one seed."""
    parts = {"L2 gives the mean": "L2", "L1 gives the median": "L1"}
    return {
        part: distance(train_on_two_answers(loss, p_wide, seed, scale), best_answer(loss, p_wide))
        for part, loss in parts.items()
    }


@experiment("G01")
def averages(scale: str) -> dict[str, Any]:
    """The toy (the worst distance over the seeds counts) and the texture of layout -> SEM."""
    setting = SETTINGS[scale]
    seeds = tuple(range(setting.seeds if scale == "smoke" else SWEEP_SEEDS))
    toys = [toy_distances(seed, scale) for seed in seeds]
    data: dict[str, Any] = {part: max(toy[part] for toy in toys) for part in toys[0]}
    power = [[fine_power(images) for images in sem_by_l1(seed, scale)[1:]] for seed in seeds]
    data["texture"] = {"L1 only": [made for made, _ in power], "real": [real for _, real in power]}
    return {"data": data, "seeds": seeds, "config": setting}
