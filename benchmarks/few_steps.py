"""Clips in few evaluations: diffusion, flow matching and a student, at equal core-seconds of training.

32 px clips of four families, one thread, families drawn in turn, judged as in `generation`. The time of the
student is that of its teacher and its own together. The last rows are diffusion of 64 px clips, on pixels and
on codes, whose time has that of the autoencoder. "ms a clip" are core-milliseconds of drawing.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.diffusion import (
    RENEW,
    SHARPEN,
    ClipRecipe,
    ConsistencyConfig,
    ConsistencyTask,
    DiffusionConfig,
    DiffusionTask,
    FlowConfig,
    FlowTask,
    Judge,
    Model,
    SamplerConfig,
    clip_recipe,
    consistency_sample,
    denoiser_model,
    distil_recipe,
    euler_sample,
    few_times,
    flow_field,
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
from gantrans.networks import DenoiserConfig
from gantrans.training import FitConfig, fit
from gantrans.training.task import Task
from lessons.shared.denoising import Clips, clips

SECONDS, TEACHING, SEEDS, SAMPLES = 80.0, 50.0, 2, 256
"""Core-seconds of every training, those of the teacher among the student's, trainings, clips of a panel."""
LATENT = (64, 40.0, 240.0)
"""Side in px, core-seconds of the autoencoder, and of every 64 px model with its autoencoder."""
GOALS = {10: 0.6, 4: 0.45}
"""Of the best sampler with so many evaluations."""
ALSO = ("violation", "frechet", "class_tv", "coverage", "topology_tv", "copies")
Draw = Callable[[int], Tensor]
"""A seed of the noise -> clips (N, 1, S, S) in [-1, 1]."""


@dataclass(frozen=True)
class Bench:
    """What all rows share: real clips, the judge, the recipe, the number of clips of a panel."""

    recipe: ClipRecipe
    known: Clips
    held_out: Clips
    judge: Judge
    count: int

    @classmethod
    def of(cls, recipe: ClipRecipe, count: int) -> "Bench":
        """The clips of a recipe, and a judge that was trained on 1,024 of them."""
        size = recipe.data.size
        known, held_out = clips(size, "train", recipe.count), clips(size, "test", 512)
        judge = train_judge(known.network()[:1024], known.label[:1024], steps=300, turn=True)
        return cls(recipe, known, held_out, judge, count)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the clips of a panel."""
        return (self.count, 1, self.recipe.data.size, self.recipe.data.size)

    @property
    def label(self) -> Tensor:
        """Families in turn, as in the training clips."""
        return torch.arange(self.count) % len(self.known.names)

    def train(self, task: Task, how: FitConfig, seconds: float, seed: int, x0: Tensor | None = None) -> int:
        """Train for core-seconds; the task keeps the averaged weights. Returns the steps taken."""
        fitting = replace(how, seed=seed, steps=10**6, schedule_by="time", clock="cpu", max_seconds=seconds)
        images = self.known.network() if x0 is None else x0
        result = fit(task, random_batches(images, self.recipe.batch, seed, self.known.label), fitting)
        assert result.ema is not None
        for name, average in result.ema.state_dict().items():
            if isinstance(average, dict):
                task.networks[name].load_state_dict(average)
        return result.step

    def row(self, method: str, sampler: str, evaluations: int, draw: Draw, seed: int) -> dict[str, Any]:
        """One panel and its cost."""
        started = time.process_time()
        drawn = draw(seed)
        each = 1000 * (time.process_time() - started) / len(drawn)
        panel = judge_panel(
            drawn, self.held_out.network(), self.known.network(), self.judge, self.recipe.data.rule
        ).as_dict()
        row = {"method": method, "sampler": sampler, "evaluations": evaluations, "valid": panel["valid"]}
        return {**row, **{key: panel[key] for key in ALSO}, "ms a clip": each}


def run(quick: bool) -> list[dict[str, Any]]:
    """A row per method, sampler and number of evaluations; the mean over the trainings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds, teaching, seeds, count = (2.0, 1.0, 1, 16) if quick else (SECONDS, TEACHING, SEEDS, SAMPLES)
        recipe = clip_recipe("procedural", "reduced", quick=True)
        bench = Bench.of(recipe, count)
        rows: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
        for seed in range(seeds):
            for row in _few(bench, seconds, teaching, seed):
                rows.setdefault((row["method"], row["sampler"], row["evaluations"]), []).append(row)
        size, coding, whole = (32, 1.0, 2.0) if quick else LATENT
        large = replace(recipe, data=replace(recipe.data, size=size), count=256 if quick else recipe.count)
        return [*(_mean(same, seconds) for same in rows.values()), *_latent(large, count, coding, whole)]
    finally:
        torch.set_num_threads(threads)


def _mean(rows: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    first = rows[0]
    means = {k: statistics.mean(row[k] for row in rows) for k, v in first.items() if isinstance(v, float)}
    valid = [row["valid"] for row in rows]
    return {**first, **means, "lowest": min(valid), "highest": max(valid), "core-s": seconds,
            "goal": GOALS.get(first["evaluations"], "")}  # fmt: skip


def _few(bench: Bench, seconds: float, teaching: float, seed: int) -> list[dict[str, Any]]:
    recipe, rows = bench.recipe, []
    diffusion, teacher = (DiffusionTask(recipe.task, seed) for _ in range(2))
    bench.train(diffusion, recipe.fit, seconds, seed)
    for name, evaluations, draw in _of_diffusion(bench, diffusion.denoiser, recipe.task):
        rows.append(bench.row("diffusion", name, evaluations, draw, seed))
    bench.train(teacher, recipe.fit, teaching, seed)
    distil = distil_recipe(recipe, "reduced", seed=seed)
    assert isinstance(distil.task, ConsistencyConfig)
    student = ConsistencyTask(distil.task, teacher.denoiser.state_dict())
    bench.train(student, distil.fit, seconds - teaching, seed)
    model = student.model(label=bench.label)
    rows += [
        bench.row("distil", "renewed", n, _renewed(bench, model, recipe.task, n), seed) for n in (1, 2, 4, 10)
    ]
    flow = flow_recipe(recipe).task
    assert isinstance(flow, FlowConfig)
    canonical = replace(flow, prediction="velocity", loss="l2", time="uniform")
    for method, config in {"flow, x0": flow, "flow, velocity": canonical}.items():
        task = FlowTask(config, seed)
        bench.train(task, recipe.fit, seconds, seed)
        for name, evaluations, draw in _of_flow(bench, task.denoiser, config):
            rows.append(bench.row(method, name, evaluations, draw, seed))
    return rows


def _of_diffusion(bench: Bench, network: nn.Module, config: DiffusionConfig) -> list[tuple[str, int, Draw]]:
    model = denoiser_model(network, config, label=bench.label)
    usual = {
        "DDPM": SamplerConfig("ddpm", 50),
        "DDIM": SamplerConfig("ddim", 50),
        "DDPM, rho 3": SamplerConfig("ddpm", 10, rho=3.0),
        "DPM++": SamplerConfig("dpm++", 10),
    }

    def draw(sampler: SamplerConfig, seed: int) -> Tensor:
        drawn = sample(model, bench.shape, config.noise_schedule, sampler, prediction=config.prediction,
                       generator=torch.Generator().manual_seed(seed))  # fmt: skip
        assert isinstance(drawn, Tensor)
        return drawn

    counted = {**usual, "DDPM, rho 3 ": replace(usual["DDPM, rho 3"], count=4)}
    rows = [(name.strip(), sampler.count, partial(draw, sampler)) for name, sampler in counted.items()]
    return [*rows, *(("renewed", n, _renewed(bench, model, config, n)) for n in (1, 2, 4, 10))]


def _renewed(bench: Bench, model: Model, config: DiffusionConfig, evaluations: int) -> Draw:
    def draw(seed: int) -> Tensor:
        return consistency_sample(
            model, bench.shape, config.noise_schedule, few_times(evaluations), renew=RENEW, sharpen=SHARPEN,
            prediction=config.prediction, generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip

    return draw


def _of_flow(bench: Bench, network: nn.Module, config: FlowConfig) -> list[tuple[str, int, Draw]]:
    field = flow_field(network, config, label=bench.label)

    def euler(count: int, fresh: bool, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(bench.shape, generator=generator)
        return euler_sample(
            field, noise, flow_times(count), renew="ddpm" if fresh else 0.0, generator=generator
        )

    def heun(count: int, seed: int) -> Tensor:
        noise = torch.randn(bench.shape, generator=torch.Generator().manual_seed(seed))
        return heun_sample(field, noise, flow_times(count))

    rows = [("Euler", n, partial(euler, n, False)) for n in (1, 4, 10, 50)]
    rows += [("Euler, fresh noise", n, partial(euler, n, True)) for n in (4, 10, 50)]
    return [*rows, ("Heun", 9, partial(heun, 5))]


def _latent(recipe: ClipRecipe, count: int, coding: float, whole: float) -> list[dict[str, Any]]:
    """Diffusion of larger clips on pixels and on codes, and what the autoencoder alone does to real clips."""
    bench, sampler = Bench.of(recipe, count), SamplerConfig("ddpm", 50)
    size, name = recipe.data.size, f"{recipe.data.size} px: "
    autoencoder = AutoencoderTask(AutoencoderTaskConfig())
    bench.train(autoencoder, recipe.fit, coding, 0)
    coder = autoencoder.autoencoder
    normalise_codes(coder, bench.known.network())
    network = recipe.task.network
    assert isinstance(network, DenoiserConfig)
    config = latent_config(coder.config, classes=network.classes, base_filters=network.base_filters)
    latent, pixels = DiffusionTask(config), DiffusionTask(recipe.task)
    steps = bench.train(latent, recipe.fit, whole - coding, 0, encoded(coder, bench.known.network()))
    on_pixels = bench.train(pixels, recipe.fit, whole, 0)
    real = bench.held_out.network()[:count]

    def draw(seed: int) -> Tensor:
        return draw_latent(latent.denoiser, config, coder, count, size, sampler, label=bench.label, seed=seed)

    again = bench.row(
        name + "autoencoder", "real clips", 0, lambda seed: decoded(coder, encoded(coder, real)), 0
    )
    codes = bench.row(name + "latent", "DDPM", 50, draw, 0)
    usual = next(d for n, _, d in _of_diffusion(bench, pixels.denoiser, recipe.task) if n == "DDPM")
    direct = bench.row(name + "pixels", "DDPM", 50, usual, 0)
    return [{**again, "core-s": coding}, {**codes, "core-s": whole, "steps": steps},
            {**direct, "core-s": whole, "steps": on_pixels}]  # fmt: skip
