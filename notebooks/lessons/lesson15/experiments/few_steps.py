"""Lesson 15, claims D10 to D12: layout clips in one to fifty evaluations, in equal training time.

Three ways to spend the seconds of one training at 32 px, each a setting of the sweep: a diffusion model, flow
matching with the same network, and a diffusion model that stops earlier and is distilled for the rest. The
numbers of steps are fixed beforehand by the costs of a step, so that a run can be repeated; what they took is
in the table. All clips are drawn as `clips sample` does: of the four families in turn. Every arm is judged by
the panel of lesson 03, with copies counted to the pixel.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.diffusion import (
    SHARPEN,
    ClipRecipe,
    ConsistencyConfig,
    ConsistencyTask,
    FlowConfig,
    FlowTask,
    SamplerConfig,
    build_denoiser,
    clip_recipe,
    consistency_sample,
    denoiser_model,
    euler_sample,
    few_times,
    flow_field,
    flow_recipe,
    flow_times,
    judge_panel,
    random_batches,
)
from gantrans.teaching.runs import train_or_load
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from gantrans.training import Batch, FitConfig, fit, load_networks
from lessons.shared.denoising import Trained, clips, clips_judge, train_denoiser

STUDENT_COST = 1.5
"""Seconds of a step of distillation over those of a step of training: two more passes without a gradient."""
BEST = "DDPM 50"
"""What variety is held to."""
FEW = (1, 2, 4, 10)
DIFFUSION: Mapping[str, SamplerConfig] = {
    **{f"DDPM {count}": SamplerConfig("ddpm", count) for count in (4, 10, 50)},
    **{f"DDIM {count}": SamplerConfig("ddim", count) for count in (4, 10)},
}
ARMS = {
    "diffusion": (*DIFFUSION, "jumps 4", "jumps 10"),
    "flow": tuple(f"flow {count}" for count in (4, 10, 50)),
    "student": tuple(f"student {count}" for count in FEW),
}
"""Of each setting; "jumps" are the diffusion model in the student's loop."""


@dataclass(frozen=True)
class FewStepsSetting:
    """Sizes at one scale; network, loss and optimiser are those of `clips train`.

    Attributes:
        steps: of diffusion and flow.
        teacher: of the diffusion model that a student starts from; the student has the rest of the time.
    """

    steps: int
    teacher: int
    samples: int
    seeds: int
    recipe: ClipRecipe = field(repr=False)

    @property
    def student(self) -> int:
        """Steps of distillation that take as long as the teacher's training is shorter."""
        return max(1, round((self.steps - self.teacher) / STUDENT_COST))

    @property
    def size(self) -> int:
        """Side of the clips in pixels."""
        return self.recipe.data.size

    def fitting(self, seed: int, steps: int) -> FitConfig:
        """How it is trained: equal on every machine."""
        return replace(self.recipe.fit, steps=steps, seed=seed, precision="fp32", checkpoint_every=10**6)

    def batches(self, seed: int) -> Callable[[int], Batch]:
        """Training clips with their family."""
        known = clips(self.size, "train", self.recipe.count)
        return random_batches(known.network(), self.recipe.batch, seed, known.label)


SETTINGS: Mapping[str, FewStepsSetting] = {
    "smoke": FewStepsSetting(4, 2, 16, 2, clip_recipe("procedural", "smoke", quick=True)),
    "reduced": FewStepsSetting(1100, 690, 256, 6, clip_recipe("procedural", "reduced", quick=True)),
    "full": FewStepsSetting(20_000, 12_000, 512, 12, clip_recipe("procedural", "full", quick=True)),
}


def train_diffusion(seed: int, scale: str, steps: int) -> Trained:
    """A diffusion model, trained or loaded."""
    setting = SETTINGS[scale]
    return train_denoiser(
        setting.recipe.task,
        setting.fitting(seed, steps),
        setting.batches(seed),
        seed=seed,
        name="few_steps",
        data={"clips": setting.recipe.count, "size": setting.size},
    )


def train_flow(seed: int, scale: str) -> tuple[nn.Module, FlowConfig]:
    """Flow matching with the same network, and its configuration."""
    setting = SETTINGS[scale]
    config = flow_recipe(setting.recipe).task
    assert isinstance(config, FlowConfig)
    network = _trained(
        FlowTask(config, seed), setting.fitting(seed, setting.steps), setting.batches(seed), [config, seed]
    )
    return network, config


def train_student(seed: int, scale: str) -> nn.Module:
    """A student of a diffusion model that was trained for `teacher` steps."""
    setting = SETTINGS[scale]
    teacher = train_diffusion(seed, scale, setting.teacher)
    config = student_config(scale)
    fitting = replace(setting.fitting(seed, setting.student), ema_networks=("denoiser",))
    task = ConsistencyTask(config, teacher.network.state_dict(), seed)
    return _trained(task, fitting, setting.batches(seed), [config, seed, setting.teacher])


def student_config(scale: str) -> ConsistencyConfig:
    """How a student is distilled."""
    task = SETTINGS[scale].recipe.task
    return ConsistencyConfig(task, lr=task.lr / 2)


def _trained(
    task: FlowTask | ConsistencyTask, fitting: FitConfig, batches: Callable[[int], Batch], key: Any
) -> nn.Module:
    """The averaged denoiser of a task, trained or loaded."""

    def train(folder: Path) -> dict[str, float]:
        result = fit(task, batches, fitting, out=folder)
        return {"steps": result.step, "loss": result.history.records[-1]["loss"]}

    def load(folder: Path) -> nn.Module:
        network = build_denoiser(task.config.network)
        load_networks(folder, {"denoiser": network}, ema=True)
        return network.eval()

    return train_or_load([key, fitting], train, load, name="few_steps", data="clips")


def run_diffusion(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{sampler and evaluations: the panel}; with `jumps` the network is used as if it were a student."""
    trained, seconds = _timed(lambda: train_diffusion(seed, scale, SETTINGS[scale].steps))
    shape = _shape(scale)
    label = families(scale)
    row = {
        name: score(trained.draw(shape, sampler, seed, label=label), scale)
        for name, sampler in DIFFUSION.items()
    }
    for count in (4, 10):
        row[f"jumps {count}"] = score(jumped(trained.network, seed, scale, count), scale)
    return _with_seconds(row, seconds)


def run_flow(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{"flow" and evaluations: the panel}, by Euler's steps."""
    (network, config), seconds = _timed(lambda: train_flow(seed, scale))
    velocity, row = flow_field(network, config, label=families(scale)), {}
    for count in (4, 10, 50):
        with torch.inference_mode():
            drawn = euler_sample(velocity, _noise(seed, scale), flow_times(count))
        row[f"flow {count}"] = score(drawn, scale)
    return _with_seconds(row, seconds)


def run_student(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """{"student" and evaluations: the panel}; its seconds include the teacher's."""
    network, seconds = _timed(lambda: train_student(seed, scale))
    row = {f"student {count}": score(jumped(network, seed, scale, count), scale) for count in FEW}
    return _with_seconds(row, seconds)


def jumped(network: nn.Module, seed: int, scale: str, count: int) -> Tensor:
    """Clips (N, 1, S, S) in `count` evaluations of a student, or of a network in its place."""
    task = SETTINGS[scale].recipe.task
    return consistency_sample(
        denoiser_model(network, task, label=families(scale)),
        _shape(scale),
        task.noise_schedule,
        few_times(count, task.steps),
        prediction=task.prediction,
        sharpen=SHARPEN,
        generator=torch.Generator().manual_seed(10_000 + seed),
    )


def score(samples: Tensor, scale: str) -> dict[str, float]:
    """The judges' panel."""
    setting = SETTINGS[scale]
    held_out = clips(setting.size, "test", setting.samples).network()
    known = clips(setting.size, "train", setting.recipe.count).network()
    return judge_panel(
        samples, held_out, known, clips_judge(setting.size), setting.recipe.data.rule
    ).as_dict()


def families(scale: str) -> Tensor:
    """The family of every clip, in turn, (N,) int64."""
    setting = SETTINGS[scale]
    return torch.arange(setting.samples) % len(setting.recipe.data.names)


def _shape(scale: str) -> tuple[int, ...]:
    setting = SETTINGS[scale]
    return (setting.samples, 1, setting.size, setting.size)


def _noise(seed: int, scale: str) -> Tensor:
    return torch.randn(_shape(scale), generator=torch.Generator().manual_seed(10_000 + seed))


def _timed(train: Callable[[], Any]) -> tuple[Any, float]:
    """What a training gives, and the CPU seconds it took."""
    began = time.process_time()
    return train(), time.process_time() - began


def _with_seconds(row: dict[str, dict[str, float]], seconds: float) -> dict[str, dict[str, float]]:
    return {arm: {**found, "training seconds": seconds} for arm, found in row.items()}


# ---- what the table decides


def _numbers(table: Table) -> dict[str, float]:
    return {f"{arm}: {q}": value for arm, row in table.means().items() for q, value in row.items()}


def _values(table: Table, quantity: str, arm: str) -> list[float]:
    return table.values(quantity, arm)[arm]


def flow_against_diffusion(table: Table) -> dict[str, Any]:
    """The data of D10: valid clips of flow matching and of DDIM, by evaluations."""
    data = {
        f"{count} evaluations": {
            "flow": _values(table, "valid", f"flow {count}"),
            "DDIM": _values(table, "valid", f"DDIM {count}"),
        }
        for count in (4, 10)
    }
    return {"data": data, "numbers": _numbers(table)}


def goals(table: Table) -> dict[str, Any]:
    """The data of D11: valid clips of the student at 10 and 4, and at 4 against its loop without it."""
    student = _values(table, "valid", "student 4")
    data = {
        "10 evaluations": _values(table, "valid", "student 10"),
        "4 evaluations": student,
        "against the loop alone": {
            "student": student,
            "diffusion in its loop": _values(table, "valid", "jumps 4"),
        },
    }
    return {"data": data, "numbers": _numbers(table)}


def variety(table: Table) -> dict[str, Any]:
    """The data of D12: coverage of the student minus that of 50 steps, and copies."""
    best = _values(table, "coverage", BEST)
    data: dict[str, Any] = {}
    for count in (4, 10):
        own = _values(table, "coverage", f"student {count}")
        data[f"coverage at {count}"] = [a - b for a, b in zip(own, best, strict=True)]
    data["copies"] = _values(table, "copies", "student 4")
    return {"data": data, "numbers": _numbers(table)}


SWEEP = Sweep(
    "few_steps",
    {"diffusion": run_diffusion, "flow": run_flow, "student": run_student},
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [
        SETTINGS[scale],
        SETTINGS[scale].recipe,
        flow_recipe(SETTINGS[scale].recipe).task,
        student_config(scale),
    ],
    {"D10": flow_against_diffusion, "D11": goals, "D12": variety},
)
