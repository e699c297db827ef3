"""Recipes for generating layout clips: train a denoiser on a source, or a model that needs few steps.

The settings were chosen by measurement (`benchmarks/generation.py`): binary clips are predicted as x0 with
the cross-entropy, with the family as a label that is withheld for a tenth of the samples, so that one network
generates with and without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from torch import Tensor

from gantrans.config import check_range, to_dict
from gantrans.data import ClipConfig, Clips, make_clips
from gantrans.diffusion.consistency import ConsistencyConfig, ConsistencyTask
from gantrans.diffusion.flow import FlowConfig, FlowTask
from gantrans.diffusion.task import DiffusionConfig, DiffusionTask, random_batches
from gantrans.errors import ConfigError
from gantrans.metrics import measured_rule
from gantrans.networks import DenoiserConfig
from gantrans.training import FitConfig, FitResult, TimeBudget, fit
from gantrans.training.task import Task


@dataclass(frozen=True)
class ClipRecipe:
    """All settings of a training run; stored in its checkpoints. `count`: number of training clips."""

    data: ClipConfig
    task: DiffusionConfig
    fit: FitConfig
    count: int = 4096
    batch: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, "count", 1)
        check_range(self, "batch", 1)


@dataclass(frozen=True)
class FewStepRecipe:
    """All settings of a training for sampling in few steps; see `ClipRecipe`.

    `task` decides the method: a `FlowConfig` is flow matching, a `ConsistencyConfig` the distillation of a
    teacher, whose data and network are this recipe's.
    """

    data: ClipConfig
    task: FlowConfig | ConsistencyConfig
    fit: FitConfig
    count: int = 4096
    batch: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, "count", 1)
        check_range(self, "batch", 1)


_SIZES = {  # scale: side in px, clips, base filters, batch, steps, learning rate
    "smoke": (16, 64, 8, 4, 3, 2e-3),
    "reduced": (32, 4096, 32, 32, 600, 2e-3),
    "full": (32, 4096, 64, 128, 20_000, 1e-3),
}


def clip_recipe(
    source: str, scale: str, *, seed: int = 0, layer: str = "li1", quick: bool = False
) -> ClipRecipe:
    """The course's recipe for a source ("procedural" or "sky130") and a scale.

    Args:
        quick: the one of `python -m gantrans clips train`, which makes more valid clips in equal time: t is
            drawn from the middle (`loss_weight`), and bfloat16 is used where the hardware computes it. False:
            that of lesson 03's tables, equal on every machine. The long training of scale "full" has only
            one.

    Raises:
        ConfigError: an unknown source, scale or layer.
    """
    if scale not in _SIZES:
        raise ConfigError(f"There is no recipe at scale {scale!r}; the scales are {', '.join(_SIZES)}.")
    size, count, filters, batch, steps, lr = _SIZES[scale]
    data = ClipConfig(source=source, size=size, layer=layer)
    network = DenoiserConfig(base_filters=filters, multipliers=(1, 2), unshuffle=2, classes=len(data.names))
    fitting = FitConfig(
        steps,
        seed=seed,
        precision="fp32",
        channels_last=True,
        clip_norm=1.0,
        lr_schedule="one_cycle",
        lr_params={"warmup": 0.15},
        ema_decay=0.99,
        checkpoint_every=10**6 if scale == "smoke" else 200,
    )
    task = DiffusionConfig(network, prediction="x0", loss="cross_entropy", lr=lr)
    if quick and scale != "full":
        fitting = replace(fitting, precision="auto", channels_last=False)
        task = replace(task, weighting="middle")
    return ClipRecipe(data, task, fitting, count, batch, seed)


def flow_recipe(base: ClipRecipe) -> FewStepRecipe:
    """Flow matching with network, data and training of a diffusion recipe.

    Binary clips are predicted as x_0 with the cross-entropy; t is drawn from the middle.
    """
    task = FlowConfig(
        base.task.network, prediction="x0", loss="cross_entropy", time="middle",
        label_dropout=base.task.label_dropout, lr=base.task.lr,
    )  # fmt: skip
    return FewStepRecipe(base.data, task, base.fit, base.count, base.batch, base.seed)


FEW_LEVELS, RULE_WEIGHT = (860, 700, 500, 300), 1.5
"""Timesteps of the evaluations of `few_recipe`, and how much broken design rules count in its loss. The first
lies below pure noise: the higher it is, the more the network decides there, and the less it covers."""


def few_recipe(base: ClipRecipe) -> ClipRecipe:
    """A diffusion model for four evaluations: it learns only their levels, and its loss has the rule.

    The rule is that of procedural clips; that of SKY130 is measured on the training clips.
    """
    rule = design_rule(base.data, make_clips(base.data, "train", base.count, base.seed))
    weight = RULE_WEIGHT if rule > 1 else 0.0  # a rule of one pixel forbids nothing
    return replace(base, task=replace(base.task, near=FEW_LEVELS, rule_px=rule, rule_weight=weight))


def design_rule(data: ClipConfig, known: Clips) -> int:
    """Least width and space in pixels: exact for procedural clips, else measured on `known`."""
    return data.rule if data.source == "procedural" else max(1, min(measured_rule(known.unit())))


def distil_recipe(teacher: ClipRecipe, scale: str, *, seed: int = 0) -> FewStepRecipe:
    """Consistency distillation of a trained diffusion model, half as long as its recipe trains at a scale.

    Raises:
        ConfigError: an unknown scale.
    """
    if scale not in _SIZES:
        raise ConfigError(f"There is no recipe at scale {scale!r}; the scales are {', '.join(_SIZES)}.")
    steps = max(2, _SIZES[scale][4] // 2)
    fitting = replace(teacher.fit, steps=steps, seed=seed, ema_networks=("denoiser",))
    task = ConsistencyConfig(teacher.task, lr=teacher.task.lr / 2)
    return FewStepRecipe(teacher.data, task, fitting, teacher.count, teacher.batch, seed)


def train_clips(
    recipe: ClipRecipe | FewStepRecipe,
    out: Path | None,
    *,
    teacher: Mapping[str, Tensor] | None = None,
    resume: bool = False,
    max_seconds: float | None = None,
    progress: bool = True,
    device: str | None = None,
) -> FitResult:
    """Train; writes last.pt, config.json and history.jsonl to `out`, with the recipe inside them.

    Args:
        teacher: the weights that a distillation starts from; a resumed one goes on with those of its
            checkpoint.

    Raises:
        ConfigError: a distillation without a teacher.
        DataError, CheckpointError, TrainingError: see `make_clips` and `gantrans.training.fit`.
    """
    budget = TimeBudget(recipe.fit, max_seconds)
    known = make_clips(recipe.data, "train", recipe.count, recipe.seed)
    batches = random_batches(known.network(), recipe.batch, recipe.seed, known.label)
    make_task = _task_maker(recipe, teacher)
    fitting, kept = budget.plan(make_task, batches, out=out, resume=resume, device=device)
    recipe = replace(recipe, fit=fitting)
    return fit(
        make_task(), batches, budget.limit(fitting), out=out, resume=resume,
        extra={"clip_recipe": to_dict(recipe), **kept}, progress=progress, device=device,
    )  # fmt: skip


def _task_maker(
    recipe: ClipRecipe | FewStepRecipe, teacher: Mapping[str, Tensor] | None
) -> Callable[[], Task]:
    if isinstance(recipe.task, DiffusionConfig):
        return partial(DiffusionTask, recipe.task, recipe.seed)
    if isinstance(recipe.task, FlowConfig):
        return partial(FlowTask, recipe.task, recipe.seed)
    if teacher is None:
        raise ConfigError("A distillation needs a teacher, and none was given; give its trained weights.")
    return partial(ConsistencyTask, recipe.task, teacher, recipe.seed)
