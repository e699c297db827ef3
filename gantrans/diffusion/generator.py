"""A trained clip generator: load a run, draw clips with the sampler that belongs to it, evaluate them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from gantrans.config import from_dict
from gantrans.data import make_clips, write_image
from gantrans.data.folder import write_folder
from gantrans.diffusion.consistency import consistency_sample, few_times
from gantrans.diffusion.flow import FlowConfig, flow_field
from gantrans.diffusion.flow_samplers import euler_sample, flow_times
from gantrans.diffusion.judge import Panel, judge_panel, train_judge
from gantrans.diffusion.recipes import ClipRecipe, FewStepRecipe, design_rule
from gantrans.diffusion.samplers import SamplerConfig, sample
from gantrans.diffusion.task import DiffusionConfig, build_denoiser, denoiser_model
from gantrans.errors import CheckpointError, ConfigError
from gantrans.images import unit_from_network
from gantrans.networks import Denoiser
from gantrans.training import load_checkpoint, load_networks, pick_device

METHODS = {"diffusion": 50, "few": 4, "flow": 10, "distil": 4}
"""How a clip generator is trained, and the network evaluations per clip that its sampler takes by default."""
SHARPEN = 3.0
"""Factor on the log-odds of pixels between the evaluations of `consistency_sample`, measured with
`benchmarks/few_steps.py`."""
RENEWED, RENEWED_STEPS = "renewed", 10
"""Name of `consistency_sample` as the sampler of a diffusion run, and its evaluations by default: it needs no
distillation."""
_CHUNK, _BLOCK = 64, 256  # clips per call of the network in many steps, and in few


@dataclass(frozen=True)
class ClipGenerator:
    """A trained network and its recipe."""

    recipe: ClipRecipe | FewStepRecipe
    network: Denoiser

    @property
    def method(self) -> str:
        """How it was trained, one of `METHODS`."""
        if isinstance(self.recipe.task, DiffusionConfig):
            return "few" if self.recipe.task.near else "diffusion"
        return "flow" if isinstance(self.recipe.task, FlowConfig) else "distil"

    def evaluations(self, sampler: SamplerConfig | Literal["renewed"] | None, steps: int | None) -> int:
        """Network evaluations per clip that `draw` takes with these arguments."""
        if isinstance(sampler, SamplerConfig):
            return sampler.count
        if steps is not None:
            return steps
        return METHODS[self.method] if sampler is None else RENEWED_STEPS

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
            recipe = _restored(stored["clip_recipe"])
        except ConfigError as error:
            raise CheckpointError(f"The settings in {run} are not of this version: {error}") from error
        network = build_denoiser(recipe.task.network)
        assert isinstance(network, Denoiser)
        load_networks(run, {"denoiser": network}, ema=True)
        return cls(recipe, network.to(pick_device(device)).eval())

    def draw(
        self,
        count: int,
        sampler: SamplerConfig | Literal["renewed"] | None = None,
        *,
        steps: int | None = None,
        family: str | None = None,
        guidance: float | None = None,
        seed: int = 0,
        progress: bool = False,
    ) -> Tensor:
        """`count` clips, (count, 1, S, S) in [-1, 1], on the CPU.

        Args:
            sampler: of a diffusion run; None: DDPM with `steps`; `RENEWED`: `consistency_sample`. Other runs
                have one sampler: flow matching Euler's steps with DDPM's share of fresh noise, a distilled
                run and one for few evaluations `consistency_sample`.
            steps: network evaluations per clip, unless `sampler` has a count; None: see `evaluations`.
            family: one of `recipe.data.names`; None: any. Samplers of few steps then draw the families of
                procedural clips in turn, as they are in the training clips, because they would overdraw
                the most frequent shapes.
            guidance: scale of classifier-free guidance towards the family, see `guided`; of a diffusion run.

        Raises:
            ConfigError: an unknown family, guidance without one, or an option of another method.
        """
        task, size = self.recipe.task, self.recipe.data.size
        if self.method != "diffusion" and (sampler is not None or guidance is not None):
            raise ConfigError(
                f"This run was trained with the method {self.method!r}, which has its own sampler and no "
                "guidance; give the number of steps only."
            )
        few = self.method != "diffusion" or sampler == RENEWED
        label = self._label(count, family, guidance, in_turn=few)
        generator = torch.Generator(next(self.network.parameters()).device).manual_seed(seed)
        evaluations = self.evaluations(sampler, steps)
        if not few:
            assert isinstance(task, DiffusionConfig)
            assert not isinstance(sampler, str)
            drawn = sample(
                denoiser_model(self.network, task, label=label, guidance=guidance),
                (count, 1, size, size), task.noise_schedule, sampler or SamplerConfig(count=evaluations),
                prediction=task.prediction, generator=generator,
                chunk=_CHUNK if label is None else None, progress=progress,
            )  # fmt: skip
            assert isinstance(drawn, Tensor)
            return drawn.cpu()
        parts = [None] * len(range(0, count, _BLOCK)) if label is None else label.split(_BLOCK)
        sizes = [min(_BLOCK, count - start) for start in range(0, count, _BLOCK)]
        blocks = [
            self._few((n, 1, size, size), part, guidance, evaluations, generator, progress)
            for n, part in zip(sizes, parts, strict=True)
        ]
        return torch.cat(blocks).cpu()

    def _few(
        self,
        shape: tuple[int, ...],
        label: Tensor | None,
        guidance: float | None,
        evaluations: int,
        generator: torch.Generator,
        progress: bool,
    ) -> Tensor:
        """One block of clips in few evaluations: a flow by Euler's steps, others by `consistency_sample`."""
        task = self.recipe.task
        if isinstance(task, FlowConfig):
            extra = {} if label is None else {"label": label}
            noise = torch.randn(shape, generator=generator, device=generator.device)
            return euler_sample(
                flow_field(self.network, task, **extra), noise, flow_times(evaluations), renew="ddpm",
                generator=generator, progress=progress,
            )  # fmt: skip
        teacher = task if isinstance(task, DiffusionConfig) else task.teacher
        binary = teacher.loss == "cross_entropy"
        times = _spread(teacher.near, evaluations) or few_times(evaluations, teacher.steps)
        return consistency_sample(
            denoiser_model(self.network, teacher, label=label, guidance=guidance), shape,
            teacher.noise_schedule, times, prediction=teacher.prediction,
            sharpen=SHARPEN if binary else 1.0, generator=generator, progress=progress,
        )  # fmt: skip

    def _label(
        self, count: int, family: str | None, guidance: float | None, *, in_turn: bool
    ) -> Tensor | None:
        """The label of every clip, (count,), or None for any family."""
        names, device = self.recipe.data.names, next(self.network.parameters()).device
        if family is not None:
            if family not in names:
                raise ConfigError(
                    f"There is no family {family!r} in this run; its families are {', '.join(names)}."
                )
            return torch.full((count,), names.index(family), device=device)
        if guidance is not None:
            raise ConfigError("guidance needs a family, and none was given; name one.")
        if in_turn and self.recipe.data.source == "procedural" and self.recipe.task.network.classes:
            return torch.arange(count, device=device) % len(names)
        return None

    def judge(self, samples: Tensor) -> Panel:
        """Evaluate samples of this run against held-out clips of its source.

        The design rule is that of the source: exact for procedural clips, measured on the training clips for
        SKY130.
        """
        data, count = self.recipe.data, self.recipe.count
        known = make_clips(data, "train", count, self.recipe.seed)
        held_out = make_clips(data, "test", max(6, min(512, count)), self.recipe.seed)
        judge = train_judge(known.network(), known.label, steps=300, turn=True)
        rule = design_rule(data, known)
        return judge_panel(samples, held_out.network(), known.network(), judge, rule)


def _spread(near: tuple[int, ...], count: int) -> tuple[int, ...]:
    """`count` timesteps, evenly placed along those that were learnt; nothing of nothing."""
    if not near or count == len(near):
        return near
    along = torch.linspace(0, len(near) - 1, count)
    places = torch.arange(len(near) - 1).repeat(count, 1)
    share = (along[:, None] - places).clamp(0, 1)
    steps = torch.tensor(near).diff()
    return tuple((near[0] + (share * steps).sum(1)).round().long().tolist())


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


def _restored(stored: dict[str, Any]) -> ClipRecipe | FewStepRecipe:
    """The recipe of a checkpoint: a diffusion model's has a noise schedule."""
    if "schedule" in stored.get("task", {}):
        return from_dict(ClipRecipe, stored)
    return from_dict(FewStepRecipe, stored)
