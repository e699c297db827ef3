"""Inference with a trained generator: load a run, translate batches and images of any size."""

from pathlib import Path

import torch
from torch import Tensor

from gantrans.errors import DataError
from gantrans.images import network_from_unit, unit_from_network
from gantrans.training import load_networks, pick_device
from gantrans.translation.answers import answer_seeds
from gantrans.translation.conditional import DiffusionGenerator
from gantrans.translation.generators import Generator, build_generator, gives_classes, is_varied
from gantrans.translation.inference import NOISE_SEED, answers_of, draw, translate
from gantrans.translation.recipes import Recipe, load_recipe
from gantrans.translation.tiling import Tiling

__all__ = ["Generator", "Predictor", "check_pixel_size", "translate"]


class Predictor:
    """Translate images with the generator of a training run.

    Args:
        generator: the network; it is set to evaluation mode.
        recipe: of its training; gives direction, tile size and pixel size.
        device: where it runs.
        steps: network evaluations of one draw of a diffusion model; None: those of its configuration.

    Raises:
        DataError: `steps` for a generator that has none, or more than its schedule has.
    """

    def __init__(
        self, generator: Generator, recipe: Recipe, device: torch.device, *, steps: int | None = None
    ) -> None:
        self.generator = generator.to(device).eval()
        self.recipe = recipe
        self.device = device
        check_steps(generator, steps)
        self.steps = steps

    @classmethod
    def load(
        cls,
        run: Path,
        device: torch.device | None = None,
        *,
        direction: str | None = None,
        steps: int | None = None,
    ) -> "Predictor":
        """Load the best network of a run folder (the last one if the run has no validation yet).

        Args:
            direction: which of a run's directions; None chooses the only one there is.

        Raises:
            CheckpointError: `run` is not a training run, or its checkpoint cannot be read.
            DataError: the run does not translate in this direction, or in two and none is chosen, or `steps`
                does not suit it.
        """
        recipe = load_recipe(run).towards(direction, run)
        name, config = recipe.generator
        generator = build_generator(config)
        load_networks(run, {name: generator})
        return cls(generator, recipe, device or pick_device(), steps=steps)

    @property
    def varied(self) -> bool:
        """Whether two answers for one image can differ."""
        return is_varied(self.generator)

    def translate(self, images: Tensor, *, seed: int = NOISE_SEED) -> Tensor:
        """(B, C, H, W) in [0, 1] -> (B, C', H, W) in that range, on the CPU; H and W must suit the network.

        Of a run of classes: the probability of each, (B, K, H, W); `classes` has their numbers.

        `seed` is that of the noise of a generator that has any: equal seeds give equal images. The
        translation of a diffusion run can be the mean of several answers, see `ConditionalDiffusionConfig`.
        """
        return translate(self.generator, images, seed=seed, steps=self.steps)

    @property
    def labelled(self) -> bool:
        """Whether it translates into classes."""
        return gives_classes(self.generator)

    def classes(self, images: Tensor) -> Tensor:
        """The most probable class of each pixel, by its number: (B, C, H, W) in [0, 1] -> (B, 1, H, W) uint8.

        `recipe.data.encoding.classes` has the stored value of each number.

        Raises:
            DataError: the run translates into images.
        """
        return self._numbers(self.translate(images))

    def classes_large(self, image: Tensor) -> Tensor:
        """As `classes`, for one image of any size: (C, H, W) in [0, 1] -> (1, H, W) uint8.

        The probabilities of overlapping tiles are blended, see `translate_large`.
        """
        return self._numbers(self.translate_large(image)[None])[0]

    def _numbers(self, probabilities: Tensor) -> Tensor:
        if not self.labelled:
            raise DataError("This run translates into images and has no classes; use `translate`.")
        return probabilities.argmax(1, keepdim=True).to(torch.uint8)

    def answers(
        self, images: Tensor, count: int, *, seed: int = NOISE_SEED, steps: int | None = None
    ) -> Tensor:
        """`count` answers for each image: (B, C, H, W) in [0, 1] -> (count, B, C', H, W), on the CPU.

        Answer k does not depend on `count`. The first is `translate`'s where that is one draw; else
        `translate` is the mean of the first `recipe.task.answers`.

        Args:
            steps: of a diffusion model; None: those of this predictor.

        Raises:
            DataError: several answers of a generator without noise, or `steps` that do not suit it.
        """
        steps = self._steps(count, steps)
        drawn = [draw(self.generator, images, seed=own, steps=steps) for own in answer_seeds(seed, count)]
        return torch.stack(drawn)

    def translate_large(self, image: Tensor, *, seed: int = NOISE_SEED) -> Tensor:
        """One image of any size, (C, H, W) in [0, 1], in tiles with half overlap blended by a smooth window.

        Tiles have the size of the training images, so that the context of a pixel is as in training. Borders,
        and images smaller than a tile, are extended by reflection. Nothing is rescaled.
        """
        drawn = self.answers_large(image, answers_of(self.generator), seed=seed)
        return drawn[0] if len(drawn) == 1 else drawn.mean(0)

    def answers_large(
        self, image: Tensor, count: int, *, seed: int = NOISE_SEED, steps: int | None = None
    ) -> Tensor:
        """`count` answers for one image of any size: (C, H, W) in [0, 1] -> (count, C', H, W); see `answers`.

        A diffusion model draws the whole image from one noise; see `DiffusionGenerator.draw`.
        """
        tile = self.recipe.data.size
        if image.shape[-2:] == (tile, tile):
            return self.answers(image[None], count, seed=seed, steps=steps)[:, 0]
        steps = self._steps(count, steps)
        tiling = Tiling(image.shape[-2], image.shape[-1], tile)
        extended = tiling.extend(image)
        drawn = [self._large(extended, tiling, own, steps) for own in answer_seeds(seed, count)]
        return torch.stack([tiling.crop(one).clamp(0.0, 1.0) for one in drawn])

    def _large(self, extended: Tensor, tiling: Tiling, seed: int, steps: int | None) -> Tensor:
        """One draw of an extended image, (C, *tiling.extended) in [0, 1]."""
        if not isinstance(self.generator, DiffusionGenerator):
            return tiling.blend(draw(self.generator, tiling.cut(extended), seed=seed))
        noise = torch.Generator(self.device).manual_seed(seed)
        x = network_from_unit(extended[None].to(self.device))
        with torch.inference_mode():
            return unit_from_network(self.generator.draw(x, noise, steps=steps, tiling=tiling))[0].cpu()

    def _steps(self, count: int, steps: int | None) -> int | None:
        """The steps that hold for a call, after a check of what it asks for."""
        check_steps(self.generator, steps)
        self.check_count(count)
        return self.steps if steps is None else steps

    def check_count(self, count: int) -> None:
        """Check that so many answers can be had.

        Raises:
            DataError: none is asked for, or several of a generator without noise.
        """
        if count < 1:
            raise DataError(f"{count} answers were asked for; give at least 1.")
        if count > 1 and not self.varied:
            raise DataError(
                f"{count} answers were asked of a generator without noise, which has one; ask for 1, or take "
                "a run of the recipe `diffusion`."
            )


def check_steps(generator: Generator, steps: int | None) -> None:
    """Check that a generator samples in steps, and can in so many.

    Raises:
        DataError: it does not.
    """
    if steps is None:
        return
    if not isinstance(generator, DiffusionGenerator):
        raise DataError(
            "Steps are those of a diffusion model, and this run translates in one evaluation; leave out "
            "--steps."
        )
    most = generator.config.diffusion.steps
    if not 1 <= steps <= most:
        raise DataError(f"{steps} steps were asked of a diffusion model with {most}; give 1 to {most}.")


def check_pixel_size(recipe: Recipe, pixel_nm: float | None) -> None:
    """Check that a stated pixel size is that of the training, to 1 %.

    Raises:
        DataError: it differs.
    """
    trained = recipe.data.pixel_nm
    if pixel_nm is not None and trained is not None and abs(pixel_nm - trained) > 0.01 * trained:
        raise DataError(
            f"The images have {pixel_nm:g} nm per pixel but the run was trained at {trained:g}; "
            f"resample the images to {trained:g} nm per pixel first."
        )
