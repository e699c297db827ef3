"""Lesson 16, claim D20: must the first layer of a network for sounds see a whole period?

Two networks with equally many multiplications in their blocks learn the same strings with the page's loop.
The first layer of one looks through 16 samples, of the other through 64; the longest period has 45.5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from lessons.lesson16 import changed, strings
from lessons.lesson16.figures.sound import RANGE

WINDOWS: Mapping[str, tuple[int, int]] = {"16 samples": (8, 64), "64 samples": (32, 128)}
"""Arms: hop and width. The window is twice the hop; places x width x width is the same."""


@dataclass(frozen=True)
class Setting:
    """Strings to learn and to judge by, and training steps of 32 strings."""

    strings: int
    judged: int
    steps: int


SETTINGS = {"smoke": Setting(64, 16, 4), "reduced": Setting(2048, 128, 600), "full": Setting(4096, 256, 4000)}
SEEDS: Mapping[str, int | tuple[int, ...]] = {"smoke": 2, "reduced": tuple(range(12)), "full": 6}


def loop(seed: int) -> tuple[Any, Any]:
    """The page's `train` and `sample`, seeded."""
    schedule = exercise("cosine_betas").function(1000, 0.999)
    bars = torch.cumprod(1 - schedule, 0)
    parts = changed.from_page(
        "16", "diffusion_loss", "train", "sample",
        torch=torch, F=F, mine=mine, seed=seed, schedule=schedule, alpha_bars=bars,
        q_sample=exercise("q_sample").function,
    )  # fmt: skip
    return parts[1], parts[2]


def judged(asked: strings.Strings, drawn: Tensor, seed: int) -> dict[str, float]:
    """Median pitch error in cents, median factor of the decay, coverage of tone colours."""
    read = exercise("read_pitch").function(drawn[:, 0], strings.RATE, *RANGE)
    decay = strings.read_decay(drawn[:, 0], asked.pitch)
    real = strings.orchestra(exercise("pluck").function, len(drawn), 30_000 + seed)
    return {
        "cents off": float(strings.cents(read, asked.pitch).abs().median()),
        "decay factor": float((decay / asked.decay).log().abs().median().exp()),
        "coverage": strings.tone_coverage(real.sound[:, 0], drawn[:, 0], real.pitch, asked.pitch),
    }


def windows(seed: int, scale: str) -> Row:
    """Both arms with the same strings, timesteps, noise and start noise."""
    setting, (train, sample) = SETTINGS[scale], loop(seed)
    pluck, Denoiser = exercise("pluck").function, exercise("denoiser_1d").function
    known = strings.orchestra(pluck, setting.strings, 10_000 + seed)
    asked = strings.orchestra(pluck, setting.judged, 20_000 + seed)
    pure = torch.randn(asked.sound.shape, generator=torch.Generator().manual_seed(seed))
    row = {}
    for name, (hop, width) in WINDOWS.items():
        torch.manual_seed(seed)
        net = Denoiser(len(strings.PERIODS), width, 32, 5, hop)
        train(net, known.sound, known.given, setting.steps, batch=32, target="x0")
        drawn = sample(net, pure, asked.given, target="x0", limit=strings.LOUDEST)[-1]
        row[name] = judged(asked, drawn, seed)
    return row


def longer_window(table: Table) -> Mapping[str, Any]:
    """What the rule of D20 asks for."""
    values = table.values("cents off", *WINDOWS)
    numbers = {f"{arm}: {q}": v for arm, row in table.means().items() for q, v in row.items()}
    return {"data": {"all": values}, "numbers": numbers}


SWEEP = Sweep(
    "windows",
    windows,
    SEEDS,
    lambda scale: [
        SETTINGS[scale],
        dict(WINDOWS),
        changed.program("16", "diffusion_loss", "train", "sample"),
    ],
    {"D20": longer_window},
)
