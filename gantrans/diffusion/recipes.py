"""Recipes for generating layout clips: train a denoiser on a source, sample from it, evaluate the samples.

The settings were chosen by measurement (`benchmarks/generation.py`): binary clips are predicted as x0 with
the cross-entropy, with the family as a label that is withheld for a tenth of the samples, so that one network
generates with and without it.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantrans.config import check_range, from_dict, to_dict
from gantrans.data import ClipConfig, make_clips, write_image
from gantrans.data.folder import write_folder
from gantrans.diffusion.judge import Panel, judge_panel, train_judge
from gantrans.diffusion.samplers import SamplerConfig, sample
from gantrans.diffusion.task import (
    DiffusionConfig,
    DiffusionTask,
    build_denoiser,
    denoiser_model,
    random_batches,
)
from gantrans.errors import CheckpointError, ConfigError
from gantrans.images import unit_from_network
from gantrans.metrics import measured_rule
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.training import (
    FitConfig,
    FitResult,
    TimeBudget,
    fit,
    load_checkpoint,
    load_networks,
    pick_device,
)


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


def train_clips(
    recipe: ClipRecipe,
    out: Path | None,
    *,
    resume: bool = False,
    max_seconds: float | None = None,
    progress: bool = True,
    device: str | None = None,
) -> FitResult:
    """Train; writes last.pt, config.json and history.jsonl to `out`, with the recipe inside them.

    Raises:
        DataError, CheckpointError, TrainingError: see `make_clips` and `gantrans.training.fit`.
    """
    budget = TimeBudget(recipe.fit, max_seconds)
    known = make_clips(recipe.data, "train", recipe.count, recipe.seed)
    batches = random_batches(known.network(), recipe.batch, recipe.seed, known.label)
    make_task = partial(DiffusionTask, recipe.task, recipe.seed)
    fitting, kept = budget.plan(make_task, batches, out=out, resume=resume, device=device)
    recipe = replace(recipe, fit=fitting)
    return fit(
        make_task(), batches, budget.limit(fitting), out=out, resume=resume,
        extra={"clip_recipe": to_dict(recipe), **kept}, progress=progress, device=device,
    )  # fmt: skip


@dataclass(frozen=True)
class ClipGenerator:
    """A trained denoiser and its recipe."""

    recipe: ClipRecipe
    network: Denoiser

    @classmethod
    def load(cls, run: Path, device: str | None = None) -> "ClipGenerator":
        """Load the generator that `train_clips` wrote to the folder `run`.

        Raises:
            CheckpointError: no checkpoint, not one of a clip generator, or one of another version.
        """
        stored: dict[str, Any] = load_checkpoint(run)["settings"]["extra"]
        if "clip_recipe" not in stored:
            raise CheckpointError(
                f"{run} holds no clip generator; give a folder that `python -m gantrans clips train` wrote."
            )
        try:
            recipe = from_dict(ClipRecipe, stored["clip_recipe"])
        except ConfigError as error:
            raise CheckpointError(f"The settings in {run} are not of this version: {error}") from error
        network = build_denoiser(recipe.task.network)
        assert isinstance(network, Denoiser)
        load_networks(run, {"denoiser": network}, ema=True)
        return cls(recipe, network.to(pick_device(device)).eval())

    def draw(
        self,
        count: int,
        sampler: SamplerConfig | None = None,
        *,
        family: str | None = None,
        guidance: float | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Tensor:
        """`count` clips, (count, 1, S, S) in [-1, 1], on the CPU.

        Args:
            family: one of `recipe.data.names`; None: any, as in the training clips.
            guidance: scale of classifier-free guidance towards the family, see `guided`.

        Raises:
            ConfigError: an unknown family, or guidance without one.
        """
        device = next(self.network.parameters()).device
        label = None
        if family is not None:
            if family not in self.recipe.data.names:
                names = ", ".join(self.recipe.data.names)
                raise ConfigError(f"There is no family {family!r} in this run; its families are {names}.")
            number = self.recipe.data.names.index(family)
            label = torch.full((count,), number, device=device)
        elif guidance is not None:
            raise ConfigError("guidance needs a family, and none was given; name one.")
        size = self.recipe.data.size
        drawn = sample(
            denoiser_model(self.network, self.recipe.task, label=label, guidance=guidance),
            (count, 1, size, size),
            self.recipe.task.noise_schedule,
            sampler,
            prediction=self.recipe.task.prediction,
            generator=torch.Generator(device).manual_seed(seed),
            chunk=64 if label is None else None,
            progress=progress,
        )
        assert isinstance(drawn, Tensor)
        return drawn.cpu()

    def judge(self, samples: Tensor) -> Panel:
        """Evaluate samples of this run against held-out clips of its source.

        The design rule is that of the source: exact for procedural clips, measured on the training clips for
        SKY130.
        """
        data, count = self.recipe.data, self.recipe.count
        known = make_clips(data, "train", count, self.recipe.seed)
        held_out = make_clips(data, "test", max(6, min(512, count)), self.recipe.seed)
        judge = train_judge(known.network(), known.label, steps=300, turn=True)
        measured = data.source != "procedural"
        rule = max(1, min(measured_rule(known.unit()))) if measured else data.rule
        return judge_panel(samples, held_out.network(), known.network(), judge, rule)


def write_clips(samples: Tensor, out: Path) -> None:
    """Write clips (N, 1, S, S) in [-1, 1], thresholded, as clip_0000.png and so on in a new folder.

    Raises:
        DataError: `out` exists and is not empty, or cannot be written; nothing is overwritten.
    """
    drawn = (unit_from_network(samples) > 0.5).float()

    def fill(folder: Path) -> None:
        for number, clip in enumerate(drawn):
            write_image(folder / f"clip_{number:04d}.png", clip)

    write_folder(Path(out), fill)
