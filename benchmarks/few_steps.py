"""Clips in few evaluations: diffusion, flow matching and a distilled student at equal core-seconds of training.

32 px clips of four families, one thread, no labels, judged as in `generation`. The student's time is that of
its teacher and its own together. The last rows are latent diffusion of 64 px clips beside the same diffusion
on pixels. "seconds" are core-seconds per clip of drawing.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gantrans.data import ClipConfig, make_clips
from gantrans.diffusion import (
    ConsistencyTask,
    DiffusionConfig,
    DiffusionTask,
    FlowConfig,
    FlowTask,
    Judge,
    SamplerConfig,
    clip_recipe,
    consistency_sample,
    distil_recipe,
    euler_sample,
    few_times,
    flow_recipe,
    flow_times,
    heun_sample,
    judge_panel,
    random_batches,
    sample,
    train_judge,
)
from gantrans.diffusion.latent import (
    AutoencoderTask,
    AutoencoderTaskConfig,
    decoded,
    draw_latent,
    encoded,
    latent_config,
    normalise_codes,
)
from gantrans.training import FitConfig, fit
from gantrans.training.task import Task
from lessons.lesson03.experiments.generation import SETTINGS
from lessons.shared.denoising import clips, clips_judge

SECONDS, TEACHING, SEEDS, SAMPLES = 120.0, 80.0, 2, 256
"""Core-seconds of every training; those of the teacher among the student's; trainings; clips of a panel."""
GOALS = {("distil", 10): 0.6, ("distil", 4): 0.45}
ALSO = ("violation", "frechet", "class_tv", "coverage", "topology_tv", "copies")
Draw = Callable[[int], Tensor]


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per method, sampler and number of evaluations."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds, teaching, seeds, count = (2.0, 1.0, 1, 16) if quick else (SECONDS, TEACHING, SEEDS, SAMPLES)
        panels: dict[tuple[str, str, int], list[dict[str, float]]] = {}
        for seed in range(seeds):
            for method, draws in _trained(seconds, teaching, count, seed):
                for (sampler, evaluations), draw in draws.items():
                    panels.setdefault((method, sampler, evaluations), []).append(_judged(draw, count, seed))
        return [*_rows(panels, seconds), *_latent(seconds / 2, count)]
    finally:
        torch.set_num_threads(threads)


def _trained(seconds: float, teaching: float, count: int, seed: int) -> list[tuple[str, dict[Any, Draw]]]:
    """Every method, trained with one seed, and its samplers: (name, evaluations) -> a function of the seed."""
    base = clip_recipe("procedural", "reduced", quick=True)
    base = replace(base, task=replace(base.task, network=replace(base.task.network, classes=0)))
    straight = flow_recipe(base).task
    assert isinstance(straight, FlowConfig)
    canonical = replace(straight, prediction="velocity", loss="l2", time="uniform")
    diffusion = DiffusionTask(base.task, seed)
    teacher = DiffusionTask(base.task, seed)
    flows = {"flow, x0": FlowTask(straight, seed), "flow, velocity": FlowTask(canonical, seed)}
    _fit(diffusion, base.fit, base.batch, seconds, seed)
    _fit(teacher, base.fit, base.batch, teaching, seed)
    distil = distil_recipe(base, "reduced", seed=seed)
    student = ConsistencyTask(distil.task, teacher.denoiser.state_dict())  # type: ignore[arg-type]
    _fit(student, distil.fit, base.batch, seconds - teaching, seed)
    for task in flows.values():
        _fit(task, base.fit, base.batch, seconds, seed)
    size = base.data.size
    shape = (count, 1, size, size)
    return [
        ("diffusion", _of_diffusion(diffusion, base.task, shape)),
        *((name, _of_flow(task, shape)) for name, task in flows.items()),
        ("distil", {("renewed", n): partial(_few, student, shape, n) for n in (1, 2, 4, 10)}),
    ]


def _fit(task: Task, how: FitConfig, batch: int, seconds: float, seed: int, x0: Tensor | None = None) -> None:
    """Train for core-seconds; the task keeps the averaged weights."""
    images = clips(32, "train", SETTINGS["reduced"].clips).network() if x0 is None else x0
    fitting = replace(how, seed=seed, steps=10**6, schedule_by="time", clock="cpu", max_seconds=seconds)
    result = fit(task, random_batches(images, batch, seed), fitting)
    assert result.ema is not None
    averages = result.ema.state_dict()
    for name, network in task.networks.items():
        if name in averages:
            network.load_state_dict(averages[name])  # type: ignore[arg-type]
