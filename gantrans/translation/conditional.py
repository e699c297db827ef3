"""Translation by a conditional diffusion model: the input is concatenated to the noisy target.

Source: Saharia et al. 2022 (Palette), with the loss, the schedules and the samplers of `gantrans.diffusion`.
A trained model draws from the distribution of targets given the input: two draws differ where the input
leaves the answer open. So it is a generator like any other, whose noise is that of the sampler.
"""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gantrans.config import check_range
from gantrans.diffusion import DiffusionConfig, DiffusionTask, Model, SamplerConfig, denoiser_model, sample
from gantrans.errors import ConfigError
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.training import Batch, Runtime
from gantrans.translation.tiling import Tiling

TILES = 32
"""The most tiles of a large image in one call of the network, which bounds the memory."""


def _conditional() -> DiffusionConfig:
    return DiffusionConfig(DenoiserConfig(condition_channels=1))


@dataclass(frozen=True)
class ConditionalDiffusionConfig:
    """Denoiser, its training, and how it translates.

    Attributes:
        diffusion: its network is a `DenoiserConfig` with the channels of the input as condition, without
            classes.
        sampling: sampler and number of network evaluations of one draw.
        answers: a translation is the mean of so many draws; 1 for one draw. The mean has the smaller error
            where there is one right answer, and is blurred where there are many.
    """

    diffusion: DiffusionConfig = field(default_factory=_conditional)
    sampling: SamplerConfig = field(default_factory=lambda: SamplerConfig("ddim", 10))
    answers: int = 1

    def __post_init__(self) -> None:
        check_range(self, "answers", 1)
        network = self.diffusion.network
        if not isinstance(network, DenoiserConfig) or not network.condition_channels or network.classes:
            raise ConfigError(
                "ConditionalDiffusionConfig.diffusion needs a network of images with a condition and without "
                "classes; give it a DenoiserConfig with condition_channels = 1 and classes = 0."
            )
        if self.sampling.count > self.diffusion.steps:
            raise ConfigError(
                f"ConditionalDiffusionConfig.sampling has {self.sampling.count} steps, but the schedule has "
                f"{self.diffusion.steps}; sample with fewer."
            )

    @property
    def network(self) -> DenoiserConfig:
        """Configuration of the denoiser."""
        return cast(DenoiserConfig, self.diffusion.network)


class DiffusionGenerator(nn.Module):
    """A conditional denoiser with its sampler: (B, C, H, W) in [-1, 1] -> one draw of each translation.

    Equal seeds give equal weights. `denoiser` is the network; without one it is made.
    """

    def __init__(
        self, config: ConditionalDiffusionConfig, seed: int = 0, *, denoiser: Denoiser | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.denoiser = denoiser or Denoiser(config.network, seed)

    def forward(self, x: Tensor, *, noise: torch.Generator | None = None) -> Tensor:
        """One draw for each input, (B, C, H, W) in [-1, 1]; see `draw`."""
        return self.draw(x, noise)

    def draw(
        self,
        x: Tensor,
        noise: torch.Generator | None = None,
        *,
        steps: int | None = None,
        tiling: Tiling | None = None,
    ) -> Tensor:
        """Draw one translation of each input, without gradients.

        Args:
            x: (B, C, H, W) in [-1, 1].
            noise: random generator on the device of `x`; equal states give equal draws. None: seed 0.
            steps: network evaluations, 1 up to the steps of the schedule; None: those of the configuration.
            tiling: of `x`, which is then one extended image, (1, C, *tiling.extended). The network sees
                tiles; their predictions are blended before each step, so that all tiles follow one noise.

        Raises:
            ConfigError: more steps than the schedule has.
        """
        config, diffusion = self.config, self.config.diffusion
        sampling = config.sampling if steps is None else replace(config.sampling, count=steps)
        if noise is None:
            noise = torch.Generator(x.device).manual_seed(0)
        model = self._model(x) if tiling is None else self._tiled(x, tiling)
        drawn = sample(
            model, (len(x), config.network.channels, *x.shape[2:]), diffusion.noise_schedule, sampling,
            prediction=diffusion.prediction, generator=noise,
        )  # fmt: skip
        return cast(Tensor, drawn)

    def _model(self, condition: Tensor) -> Model:
        return denoiser_model(self.denoiser, self.config.diffusion, condition=condition)

    def _tiled(self, condition: Tensor, tiling: Tiling) -> Model:
        """The model of a large image, out of models of its tiles."""
        models = [self._model(part) for part in tiling.cut(condition[0]).split(TILES)]

        def predict(x_t: Tensor, t: Tensor) -> Tensor:
            parts = zip(models, tiling.cut(x_t[0]).split(TILES), strict=True)
            return tiling.blend(torch.cat([model(part, t.expand(len(part))) for model, part in parts]))[None]

        return predict


class ConditionalDiffusionTask:
    """A conditional diffusion model as a task for `gantrans.training.fit`; equal seeds give equal weights.

    Its step is that of `DiffusionTask`; this gives it pairs, and makes its network a generator.
    """

    name = "conditional_diffusion"

    def __init__(self, config: ConditionalDiffusionConfig, seed: int = 0) -> None:
        self.config = config
        self.training = DiffusionTask(config.diffusion, seed)
        self.generator = DiffusionGenerator(config, denoiser=cast(Denoiser, self.training.denoiser))
        self.networks: dict[str, nn.Module] = {"generator": self.generator}
        self.optimizers: dict[str, Optimizer] = {"generator": self.training.optimizers["denoiser"]}

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; a batch holds "input" and "target", (B, C, H, W) in [-1, 1].

        Canonical form: `lessons.lesson14.exercises.conditional_loss.conditional_loss`; this adds the
        predictions, weightings and losses of `DiffusionTask`, and leaves the optimiser to `fit`.

        Returns:
            loss: see `DiffusionTask.step`.
        """
        return self.training.step({"x0": batch["target"], "condition": batch["input"]}, runtime)

    def state(self) -> dict[str, Any]:
        """Empty: there is no state beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""
