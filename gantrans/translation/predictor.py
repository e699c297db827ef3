"""Inference with a trained generator: load a run, translate batches and images of any size."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from gantrans.errors import DataError
from gantrans.training import load_networks, pick_device
from gantrans.translation.inference import NOISE_SEED, Generator, translate
from gantrans.translation.pix2pix import build_generator
from gantrans.translation.recipes import Recipe, load_recipe

__all__ = ["Generator", "Predictor", "check_pixel_size", "translate"]


class Predictor:
    """Translate images with the generator of a training run.

    Args:
        generator: the network; it is set to evaluation mode.
        recipe: of its training; gives direction, tile size and pixel size.
        device: where it runs.
    """

    def __init__(self, generator: Generator, recipe: Recipe, device: torch.device) -> None:
        self.generator = generator.to(device).eval()
        self.recipe = recipe
        self.device = device

    @classmethod
    def load(
        cls, run: Path, device: torch.device | None = None, *, direction: str | None = None
    ) -> "Predictor":
        """Load the best network of a run folder (the last one if the run has no validation yet).

        Args:
            direction: which of a run's directions; None chooses the only one there is.

        Raises:
            CheckpointError: `run` is not a training run, or its checkpoint cannot be read.
            DataError: the run does not translate in this direction, or in two and none is chosen.
        """
        recipe = load_recipe(run).towards(direction, run)
        name, config = recipe.generator
        generator = build_generator(config)
        load_networks(run, {name: generator})
        return cls(generator, recipe, device or pick_device())

    def translate(self, images: Tensor, *, seed: int = NOISE_SEED) -> Tensor:
        """(B, 1, H, W) in [0, 1] -> the same shape and range, on the CPU; H and W must suit the network.

        `seed` is that of the noise of a generator with noise injection: equal seeds give equal images.
        """
        return translate(self.generator, images, seed=seed)

    def translate_large(self, image: Tensor, *, seed: int = NOISE_SEED) -> Tensor:
        """One image of any size, (1, H, W) in [0, 1], in tiles with half overlap blended by a smooth window.

        Tiles have the size of the training images, so that the context of a pixel is as in training. Borders,
        and images smaller than a tile, are extended by reflection. Nothing is rescaled.
        """
        tile = self.recipe.data.size
        if image.shape[-2:] == (tile, tile):
            return self.translate(image[None], seed=seed)[0]
        height, width = image.shape[-2:]
        margin = tile // 4  # so that no output pixel depends on the rim of a tile alone
        rows, columns = _starts(height + 2 * margin, tile), _starts(width + 2 * margin, tile)
        padded = _reflect(image, margin, rows[-1] + tile, columns[-1] + tile)
        tiles = torch.stack([padded[:, r : r + tile, c : c + tile] for r in rows for c in columns])
        outputs = self.translate(tiles, seed=seed)
        window = _window(tile)
        total = torch.zeros_like(padded)
        weight = torch.zeros_like(padded)
        for output, (r, c) in zip(outputs, [(r, c) for r in rows for c in columns], strict=True):
            total[:, r : r + tile, c : c + tile] += output * window
            weight[:, r : r + tile, c : c + tile] += window
        inner = (slice(None), slice(margin, margin + height), slice(margin, margin + width))
        return (total[inner] / weight[inner]).clamp(0.0, 1.0)


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


def _starts(length: int, tile: int) -> Sequence[int]:
    """First pixels of tiles with half overlap that cover `length`; the last tile may extend past the end."""
    step = tile // 2
    return range(0, max(length - tile + step - 1, 0) // step * step + 1, step)


def _reflect(image: Tensor, margin: int, height: int, width: int) -> Tensor:
    """Extend (1, H, W) by reflection, `margin` at the top and left, to (1, height, width)."""

    def index(length: int, total: int) -> Tensor:
        period = max(2 * (length - 1), 1)
        position = (torch.arange(total) - margin).remainder(period)
        return (
            torch.minimum(position, period - position) if length > 1 else torch.zeros(total, dtype=torch.long)
        )

    return image[:, index(image.shape[-2], height)][:, :, index(image.shape[-1], width)]


def _window(tile: int) -> Tensor:
    """Squared-sine window (tile, tile), positive everywhere; copies with half overlap sum to a constant."""
    line = torch.sin(torch.pi * (torch.arange(tile) + 0.5) / tile) ** 2
    return line[:, None] * line[None, :]
