"""Lesson 03, claims D03 and D09: what to predict, with which norm, with or without attention; copies.

Layout clips of 16 px. Two U-Nets of about equal cost: a plain one, and one on space-to-depth input. Arms of
one seed share batches, timesteps, noise and start noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from gantrans.diffusion import DiffusionConfig, SamplerConfig, judge_panel, random_batches
from gantrans.networks import DenoiserConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from lessons.shared.denoising import Trained, clips, clips_judge, fitting, train_denoiser

SIZE = 16
PLAIN = DenoiserConfig(base_filters=16, multipliers=(1, 2, 2))
FOLDED = DenoiserConfig(base_filters=32, multipliers=(1, 2), unshuffle=2)
"""Space-to-depth: the network sees 8 x 8 places with four pixels each."""
FEW = 32
"""Clips of the arm that is to learn them by heart."""


@dataclass(frozen=True)
class Arm:
    """A network, what it predicts, and how many clips it learns from (None: as many as the scale has)."""

    network: DenoiserConfig
    prediction: str
    clips: int | None = None


ARMS: Mapping[str, Arm] = {
    "plain, epsilon": Arm(PLAIN, "epsilon"),
    "plain, v": Arm(PLAIN, "v"),
    "plain, x0": Arm(PLAIN, "x0"),
    "folded, epsilon": Arm(FOLDED, "epsilon"),
    "folded, v": Arm(FOLDED, "v"),
    "folded, x0": Arm(FOLDED, "x0"),
    "folded, v, batch norm": Arm(replace(FOLDED, norm="batch"), "v"),
    "folded, v, no norm": Arm(replace(FOLDED, norm="none"), "v"),
    "folded, v, no attention": Arm(replace(FOLDED, attention=False), "v"),
    f"folded, x0, {FEW} clips": Arm(FOLDED, "x0", FEW),
}
USUAL = "folded, v"
"""The arm that norms and attention are compared with: group norm and attention."""
SAMPLER = SamplerConfig("ddpm", 50)


@dataclass(frozen=True)
class DenoiserSetting:
    """Sizes at one scale. At 16 px there are some 1,070 training clips with equal shares of the families."""

    clips: int
    batch: int
    steps: int
    samples: int
    seeds: int


SETTINGS: Mapping[str, DenoiserSetting] = {
    "smoke": DenoiserSetting(128, 4, 3, 16, 2),
    "reduced": DenoiserSetting(1024, 32, 450, 128, 6),
    "full": DenoiserSetting(1024, 128, 8000, 384, 6),
}


def task_config(arm: str) -> DiffusionConfig:
    """What an arm trains."""
    return DiffusionConfig(ARMS[arm].network, prediction=ARMS[arm].prediction)


def training_clips(arm: str, scale: str) -> Tensor:
    """What an arm learns from, (N, 1, 16, 16), -1 or 1."""
    return clips(SIZE, "train", SETTINGS[scale].clips).network()[: ARMS[arm].clips]


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train an arm, or load it if this machine has done so before."""
    setting = SETTINGS[scale]
    known = training_clips(arm, scale)
    return train_denoiser(
        task_config(arm),
        fitting(setting.steps, seed),
        random_batches(known, setting.batch, seed),
        seed=seed,
        name="denoisers",
        data={"clips": len(known), "size": SIZE, "batch": setting.batch},
    )


def draw(trained: Trained, scale: str, seed: int = 0, sampler: SamplerConfig = SAMPLER) -> Tensor:
    """Samples (N, 1, 16, 16) in [-1, 1]."""
    return trained.draw((SETTINGS[scale].samples, 1, SIZE, SIZE), sampler, seed)


def score(arm: str, samples: Tensor, scale: str) -> dict[str, float]:
    """The judges' panel for samples of an arm."""
    held_out = clips(SIZE, "test", SETTINGS[scale].samples).network()
    panel = judge_panel(samples, held_out, training_clips(arm, scale), clips_judge(SIZE), rule=2)
    return panel.as_dict()


def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{arm: held-out loss and the judges' panel}."""
    held_out = clips(SIZE, "test", SETTINGS[scale].samples).network()
    row = {}
    for arm in ARMS:
        trained = train_arm(arm, seed, scale)
        row[arm] = {"loss": trained.loss(held_out), **score(arm, draw(trained, scale, seed), scale)}
    return row


def _losses(table: Table, **arms: str) -> dict[str, list[float]]:
    return {name.replace("_", " "): table.values("loss", arm)[arm] for name, arm in arms.items()}


def _numbers(table: Table) -> dict[str, float]:
    return {f"{arm}: {q}": value for arm, row in table.means().items() for q, value in row.items()}


def batch_norm_costs(table: Table) -> dict[str, Any]:
    """The data of D03."""
    data = _losses(table, batch_norm="folded, v, batch norm", group_norm=USUAL)
    return {"data": data, "numbers": _numbers(table)}


def attention_and_norm(table: Table) -> dict[str, Any]:
    """The data of D09, by part."""
    attention = _losses(table, attention=USUAL, no_attention="folded, v, no attention")
    norm = _losses(table, group_norm=USUAL, no_norm="folded, v, no norm")
    return {"data": {"attention": attention, "group norm": norm}, "numbers": _numbers(table)}


SWEEP = Sweep(
    "denoisers",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], *(task_config(arm) for arm in ARMS)],
    {"D03": batch_norm_costs, "D09": attention_and_norm},
)
