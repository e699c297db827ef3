"""Lesson 08, claim G30: a task in which what decides lies far away.

An array of sixteen lines with two possible sites per period, A and B: all lines of an image stand on A or all
on B. The first two lines show clearly which; each of the others shows it only weakly, some the wrong way
round. A network that sees a few periods must decide line by line; one that sees everything can ask the first
two. Wrong sites make the pitch uneven. Source of the layer: Zhang et al. 2019 (SAGAN).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gantrans.data.streams import stream_seeds
from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig
from gantrans.translation import Pix2PixConfig, Pix2PixTask, translate
from lessons.shared.trained import trained

LINES, PERIOD, WIDTH = 16, 8, 3
"""Lines per image; pixels per period; pixels per line: the sites begin at 0 (A) and at PERIOD / 2 (B)."""
SIZE = LINES * PERIOD
PIXEL_NM = 20.0
SHOWN = 2
"""The first lines, whose site is clearly seen."""
ARMS: Mapping[str, tuple[int, ...]] = {
    "no attention": (),
    "bottleneck": (0,),
    "attention": (0, 1),
}
"""Arms and where their attention stands; see `UNetConfig.attention`."""
DEEPER = "no attention, deeper"
"""A control: two further downs, so that convolutions alone reach from one end to the other."""


@dataclass(frozen=True)
class RangeSetting:
    """Sizes at one scale. `evidence`: how many standard deviations a hidden line speaks for its own site."""

    height: int
    base_filters: int
    n_down: int
    batch_size: int
    steps: int
    test_images: int
    seeds: int
    lr: float = 2e-3
    evidence: float = 0.6


SETTINGS: Mapping[str, RangeSetting] = {
    "smoke": RangeSetting(16, 4, 2, 4, 10, 16, 2),
    "reduced": RangeSetting(16, 16, 2, 16, 500, 256, 6),
    "full": RangeSetting(16, 32, 2, 32, 3000, 1024, 6),
}


def arrays(count: int, height: int, evidence: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images (N, 1, height, SIZE) in [0, 1] and the lines that are drawn there, 0 or 1.

    Both sites of a period hold a band; the brighter one is where the line seems to be.
    """
    site = torch.randint(2, (count, 1), generator=generator)  # 0: A, 1: B, the same for all lines
    sign = 1.0 - 2.0 * site
    speaks = sign * evidence + torch.randn(count, LINES, generator=generator)
    speaks[:, :SHOWN] = 3.0 * sign  # the first two are beyond doubt
    bright = 0.5 + 0.12 * torch.stack((speaks, -speaks), -1).clamp(-3.0, 3.0)  # (N, LINES, 2)
    period = torch.zeros(count, LINES, PERIOD)
    drawn = torch.zeros(count, LINES, PERIOD)
    for place in (0, 1):
        band = slice(place * PERIOD // 2, place * PERIOD // 2 + WIDTH)
        period[:, :, band] = bright[:, :, place, None]
        drawn[:, :, band] = (site == place).float()[:, :, None]
    image = period.flatten(1)[:, None, None].expand(-1, 1, height, -1)
    grain = 0.05 * torch.randn(count, 1, height, SIZE, generator=generator)
    return (image + grain).clamp(0.0, 1.0), drawn.flatten(1)[:, None, None].expand(-1, 1, height, -1)


class Arrays:
    """Training batches for `fit`, fresh ones at every step: a pure function of (seed, step)."""

    def __init__(self, setting: RangeSetting, seed: int) -> None:
        self.setting, self.seed = setting, seed

    def __call__(self, step: int) -> dict[str, Any]:
        (drawn,) = stream_seeds(self.seed, "arrays/train", [step])
        images, lines = arrays(
            self.setting.batch_size, self.setting.height, self.setting.evidence,
            torch.Generator().manual_seed(drawn),
        )  # fmt: skip
        return {"input": images * 2 - 1, "target": lines * 2 - 1, "family": ["array"] * len(images)}


@lru_cache(maxsize=4)
def test_arrays(scale: str, seed: int) -> tuple[Tensor, Tensor]:
    """Held-out images and lines of a seed."""
    setting = SETTINGS[scale]
    (drawn,) = stream_seeds(seed, "arrays/test", [0])
    return arrays(setting.test_images, setting.height, setting.evidence, torch.Generator().manual_seed(drawn))


def generator_config(arm: str, setting: RangeSetting) -> UNetConfig:
    """The U-Net of an arm; but for attention (and the deeper control) the same."""
    deeper = 2 if arm == DEEPER else 0
    return UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down + deeper, dropout_blocks=0,
        attention=ARMS.get(arm, ()),
    )  # fmt: skip


def train(arm: str, seed: int, scale: str) -> UNetGenerator:
    """A generator trained with L1 alone, in evaluation mode; loaded if this machine has trained it before."""
    setting = SETTINGS[scale]
    config = Pix2PixConfig(generator_config(arm, setting), None, lr_generator=setting.lr)
    run = trained(
        lambda: Pix2PixTask(config, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay", checkpoint_every=10**6
        ),
        lambda: Arrays(setting, seed),
        name="arrays",
        key={"task": config, "seed": seed},
        data=setting,
    )
    generator: UNetGenerator = run.generator
    return generator


def positions(image: Tensor) -> Tensor:
    """Centre of each line, (N, LINES) in pixels: the centre of brightness within its period.

    (N, 1, H, SIZE) in [0, 1]; a period without any brightness counts as centred between the sites.
    """
    profile = image.mean(2)[:, 0].unflatten(1, (LINES, PERIOD)).double()
    place = torch.arange(PERIOD) + 0.5
    mass = profile.sum(-1)
    centre = torch.where(mass > 1e-3, (profile * place).sum(-1) / mass.clamp(min=1e-3), PERIOD / 2)
    return centre + PERIOD * torch.arange(LINES)


def wrong_sites(output: Tensor, lines: Tensor) -> Tensor:
    """Which lines of an answer stand nearer to the other site: (N, LINES), bool; both (N, 1, H, SIZE)."""
    return (positions(output) - positions(lines)).abs() > PERIOD / 4


def scores(generator: UNetGenerator, scale: str, seed: int) -> dict[str, float]:
    """pitch spread: standard deviation over the 15 pitches of an image, mean over images, nm. wrong site:
    share of the hidden lines nearer to the other site. L1 in [0, 1]. gamma 0, gamma 1: of its attentions.
    """
    images, lines = test_arrays(scale, seed)
    output = translate(generator, images)
    off = wrong_sites(output, lines)[:, SHOWN:]
    return {
        "pitch spread": float(positions(output).diff(dim=1).std(1, correction=0).mean()) * PIXEL_NM,
        "wrong site": float(off.double().mean()),
        "L1": float((output - lines).abs().mean()),
        **{f"gamma {place}": gamma for place, gamma in generator.gammas.items()},
    }


def run_seed(seed: int, scale: str) -> Row:
    """All arms and the control with one seed."""
    return {arm: scores(train(arm, seed, scale), scale, seed) for arm in (*ARMS, DEEPER)}


def distant_structure(table: Table) -> Mapping[str, Any]:
    """What the rule of G30 asks for."""
    return {
        "data": {
            "without attention": table.values("pitch spread", "attention", "no attention"),
            "against a deeper network": table.values("pitch spread", "attention", DEEPER),
        },
        "numbers": {
            f"{arm}: {name}": value for arm, means in table.means().items() for name, value in means.items()
        },
    }


SWEEP = Sweep(
    "attention_range",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], *(generator_config(arm, SETTINGS[scale]) for arm in (*ARMS, DEEPER))],
    {"G30": distant_structure},
)
