"""Rule-valid layout clips after 80 core-seconds of training, and the memory of drawing many.

32 px clips of four families, minimum width and space 3 px, one thread: the recipe of `python -m gantrans
clips train` without its labels (space-to-depth U-Net, x0, cross-entropy, t from the middle, bfloat16 where
the processor has it), that of lesson 03's tables (t uniform, float32), and the same network with the usual
loss on epsilon, at equal core-seconds. Also what the judges say, since validity alone is fooled by copies and
dropped modes.
"""

import resource
import statistics
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gantrans.diffusion import (
    DiffusionConfig,
    DiffusionTask,
    SamplerConfig,
    clip_recipe,
    judge_panel,
    make_schedule,
    random_batches,
    sample,
)
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.training import FitConfig, fit
from lessons.lesson03.experiments.generation import SETTINGS
from lessons.shared.denoising import clips, clips_judge

SECONDS, SEEDS, SAMPLES = 80.0, 3, 256
SAMPLERS = {
    "DDPM 50": SamplerConfig("ddpm", 50),
    "DDPM 50, rho 2": SamplerConfig("ddpm", 50, rho=2.0),
    "DDIM 50": SamplerConfig("ddim", 50),
    "DDPM 10": SamplerConfig("ddpm", 10),
    "DDPM 10, rho 2": SamplerConfig("ddpm", 10, rho=2.0),
    "DDPM 10, rho 3": SamplerConfig("ddpm", 10, rho=3.0),
    "DPM++ 10": SamplerConfig("dpm++", 10),
}
GOALS = {50: 0.75, 10: 0.6}
"""Of the best sampler with so many steps."""
ALSO = ("violation", "frechet", "class_tv", "coverage", "topology_tv", "copies")


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per arm and sampler, then the peak memory of drawing images all at once and in chunks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [*_quality(quick), *_memory(64 if quick else 1000)]
    finally:
        torch.set_num_threads(threads)


def _arms() -> dict[str, tuple[DiffusionConfig, FitConfig]]:
    """What is trained and how, without labels."""
    quick, tables = (clip_recipe("procedural", "reduced", quick=quick) for quick in (True, False))
    network = quick.task.network
    assert isinstance(network, DenoiserConfig)
    ours, uniform = (replace(r.task, network=replace(network, classes=0)) for r in (quick, tables))
    usual = replace(uniform, prediction="epsilon", loss="l2")
    return {"ours": (ours, quick.fit), "uniform": (uniform, tables.fit), "epsilon": (usual, tables.fit)}


def _quality(quick: bool) -> list[dict[str, Any]]:
    seconds, seeds, count = (2.0, 1, 32) if quick else (SECONDS, SEEDS, SAMPLES)
    setting = SETTINGS["reduced"]
    known, held_out = clips(setting.size, "train", setting.clips), clips(setting.size, "test", 512)
    judge = clips_judge(setting.size)
    rows = []
    for arm, (config, how) in _arms().items():
        panels: dict[str, list[dict[str, float]]] = {name: [] for name in SAMPLERS}
        steps = []
        for seed in range(seeds):
            task = DiffusionTask(config, seed)
            fitting = replace(
                how, seed=seed, steps=10**6, schedule_by="time", clock="cpu", max_seconds=seconds
            )
            steps.append(_train(task, known.network(), fitting, setting.batch, seed))
            for name, sampler in SAMPLERS.items():
                drawn = _draw(task, config, sampler, count, setting.size, seed)
                panels[name].append(
                    judge_panel(drawn, held_out.network(), known.network(), judge, setting.rule).as_dict()
                )
        for name, scores in panels.items():
            valid = [score["valid"] for score in scores]
            rows.append(
                {
                    "arm": arm,
                    "core-s": seconds,
                    "steps": round(statistics.mean(steps)),
                    "sampler": name,
                    "seeds": seeds,
                    "valid": statistics.mean(valid),
                    "lowest": min(valid),
                    "highest": max(valid),
                    **{key: statistics.mean(score[key] for score in scores) for key in ALSO},
                    "goal": GOALS[SAMPLERS[name].count] if arm == "ours" else "",
                }
            )
    return rows


def _train(task: DiffusionTask, known: Tensor, fitting: FitConfig, batch: int, seed: int) -> int:
    """Train for the time of `fitting`; the task keeps the averaged weights. Returns the steps taken."""
    result = fit(task, random_batches(known, batch, seed), fitting)
    assert result.ema is not None
    averaged = result.ema.state_dict()["denoiser"]
    assert isinstance(averaged, dict)
    task.denoiser.load_state_dict(averaged)
    return result.step


def _draw(
    task: DiffusionTask, config: DiffusionConfig, sampler: SamplerConfig, count: int, size: int, seed: int
) -> Tensor:
    drawn = sample(
        task.model(), (count, 1, size, size), config.noise_schedule, sampler, prediction=config.prediction,
        generator=torch.Generator().manual_seed(seed), chunk=64,
    )  # fmt: skip
    assert isinstance(drawn, Tensor)
    return drawn


def _memory(count: int) -> list[dict[str, Any]]:
    """Growth of the process's peak memory: chunks first, because a peak never falls."""
    network, schedule = Denoiser(DenoiserConfig()).eval(), make_schedule("cosine")
    rows = []
    for chunk in (50, None):
        before = _peak_mb()
        sample(
            network, (count, 1, 32, 32), schedule, SamplerConfig("ddim", 2), prediction="epsilon",
            generator=torch.Generator().manual_seed(0), chunk=chunk,
        )  # fmt: skip
        grown = _peak_mb() - before
        rows.append({"arm": f"memory: {count} images", "chunk": str(chunk), "peak grows by MB": grown})
    return rows


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
