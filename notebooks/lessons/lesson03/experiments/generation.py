"""Lesson 03, claim D07: a class-conditional model of layout clips; steps against quality, guidance, latency.

One network per seed, 32 px, trained with the layout family as its label (withheld for a tenth of the
samples). It predicts x0; since pixels are either drawn or not, the loss is the cross-entropy.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor

from gantrans.diffusion import (
    ClipRecipe,
    DiffusionConfig,
    SamplerConfig,
    clip_recipe,
    judge_panel,
    random_batches,
)
from gantrans.networks import DenoiserConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import FitConfig
from lessons.shared.denoising import Trained, clips, clips_judge, train_denoiser

KINDS: Mapping[str, SamplerConfig] = {
    "DDPM": SamplerConfig("ddpm"),
    "DDIM": SamplerConfig("ddim"),
    "DPM++": SamplerConfig("dpm++"),
    "DDPM, rho 2": SamplerConfig("ddpm", rho=2.0),
}
COUNTS = (5, 10, 20, 50)
SAMPLERS: Mapping[str, SamplerConfig] = {
    f"{kind} {count}": replace(config, count=count) for kind, config in KINDS.items() for count in COUNTS
}
GUIDANCE = (0.0, 1.0, 2.0, 4.0)
GUIDED_SAMPLER = SamplerConfig("ddpm", 20)
BEST = "DDPM 50"
"""The sampler whose quality the others are held to."""


@dataclass(frozen=True)
class GenerationSetting:
    """Sizes at one scale; how it is trained is the recipe's."""

    size: int
    base_filters: int
    clips: int
    batch: int
    steps: int
    samples: int
    seeds: int
    recipe: ClipRecipe = field(repr=False)

    @classmethod
    def of(cls, scale: str, samples: int, seeds: int) -> "GenerationSetting":
        """The recipe of `python -m gantrans clips train`, judged by so many samples with so many seeds."""
        recipe = clip_recipe("procedural", scale)
        network = recipe.task.network
        assert isinstance(network, DenoiserConfig)
        sizes = (recipe.data.size, network.base_filters, recipe.count, recipe.batch, recipe.fit.steps)
        return cls(*sizes, samples, seeds, recipe)

    @property
    def rule(self) -> int:
        """Minimum width and space of the clips in pixels."""
        return self.recipe.data.rule

    @property
    def task(self) -> DiffusionConfig:
        """What is trained."""
        return self.recipe.task

    def fitting(self, seed: int) -> FitConfig:
        """How."""
        return replace(self.recipe.fit, seed=seed)


SETTINGS: Mapping[str, GenerationSetting] = {
    "smoke": GenerationSetting.of("smoke", 16, 2),
    "reduced": GenerationSetting.of("reduced", 96, 6),
    "full": GenerationSetting.of("full", 512, 6),
}


def train_model(seed: int, scale: str) -> Trained:
    """Train the model, or load it if this machine has done so before."""
    setting = SETTINGS[scale]
    known = clips(setting.size, "train", setting.clips)
    return train_denoiser(
        setting.task,
        setting.fitting(seed),
        random_batches(known.network(), setting.batch, seed, known.label),
        seed=seed,
        name="generation",
        data={"clips": setting.clips, "size": setting.size, "batch": setting.batch},
    )


def labels(scale: str) -> Tensor:
    """Families in turn, (N,): what is asked for when the label is given."""
    return torch.arange(SETTINGS[scale].samples) % 4


def draw(
    trained: Trained, scale: str, seed: int, sampler: SamplerConfig, guidance: float | None = None
) -> Tensor:
    """Samples (N, 1, S, S) in [-1, 1], with the families of `labels`; guidance None: without label."""
    setting = SETTINGS[scale]
    shape = (setting.samples, 1, setting.size, setting.size)
    label = None if guidance is None else labels(scale)
    return trained.draw(shape, sampler, seed, label=label, guidance=guidance)


def score(samples: Tensor, scale: str) -> dict[str, float]:
    """The judges' panel."""
    setting = SETTINGS[scale]
    held_out = clips(setting.size, "test", max(setting.samples, 16)).network()
    known = clips(setting.size, "train", setting.clips).network()
    judge = clips_judge(setting.size)
    return judge_panel(samples, held_out, known, judge, setting.rule, copy_radius_px=2).as_dict()


def agreement(samples: Tensor, scale: str) -> dict[str, float]:
    """Of samples drawn with `labels`: share in the family asked for, and diversity.

    Diversity is the mean share of pixels in which two samples of one family differ.
    """
    asked = labels(scale)
    right = clips_judge(SETTINGS[scale].size).classes(samples.sign()) == asked
    apart = []
    for family in range(4):
        drawn = (samples[asked == family] > 0).flatten(1).float()
        n = len(drawn)
        apart.append(float(torch.cdist(drawn, drawn, p=1).sum()) / (n * (n - 1) * drawn.shape[1]))
    return {"family": float(right.float().mean()), "diversity": sum(apart) / len(apart)}


def seconds_per_image(model: Any, count: int, repeats: int = 5) -> float:
    """Median CPU seconds of `model()`, which makes `count` images, per image."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        model()
        taken.append((time.process_time() - started) / count)
    return median(taken)


def latency(trained: Trained, scale: str) -> float:
    """CPU seconds of one evaluation of the denoiser over those of one pass of a GAN's generator.

    The generator is the U-Net of lesson 05 with the denoiser's base filters, at the same size.
    """
    setting, count = SETTINGS[scale], 16
    network = UNetGenerator(UNetConfig(base_filters=setting.base_filters, n_down=4, dropout=0.0)).eval()
    x, t = torch.zeros(count, 1, setting.size, setting.size), torch.zeros(count, dtype=torch.int64)
    with torch.inference_mode():
        one_pass = seconds_per_image(lambda: network(x), count)
        return seconds_per_image(lambda: trained.network(x, t), count) / one_pass


def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{sampler or guidance: numbers}."""
    trained = train_model(seed, scale)
    row = {name: score(draw(trained, scale, seed, sampler), scale) for name, sampler in SAMPLERS.items()}
    for guidance in GUIDANCE:
        samples = draw(trained, scale, seed, GUIDED_SAMPLER, guidance)
        row[f"guidance {guidance:g}"] = {**score(samples, scale), **agreement(samples, scale)}
    row["latency"] = {"one evaluation": latency(trained, scale)}
    return row


def steps_needed(table: Table, tolerance: float = 0.05) -> int:
    """The fewest steps of any sampler whose share of valid clips is within 5 points of the best one."""
    means = table.means(*SAMPLERS)
    enough = means[BEST]["valid"] - tolerance
    return min(SAMPLERS[name].count for name, row in means.items() if row["valid"] >= enough)


def slower(table: Table) -> dict[str, Any]:
    """The data of D07: the fewest steps that suffice times the cost of one, in passes of a generator."""
    one = table.values("one evaluation", "latency")["latency"]
    needed = steps_needed(table)
    means = table.means(*SAMPLERS, *(f"guidance {g:g}" for g in GUIDANCE))
    numbers = {f"{arm}: {quantity}": v for arm, row in means.items() for quantity, v in row.items()}
    numbers |= {"steps needed": needed, "one evaluation": fmean(one), "all steps": 1000 * fmean(one)}
    return {"data": [needed * ratio for ratio in one], "numbers": numbers}


SWEEP = Sweep(
    "generation",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], SETTINGS[scale].task, SETTINGS[scale].fitting(0)],
    {"D07": slower},
)
