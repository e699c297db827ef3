"""Pairs of colour images: read from a folder of the reader's, or written as one."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.data.encoding import Encoding
from gantrans.data.folder import PairedFolder
from gantrans.errors import DataError

FEWEST = 12
"""Pairs below which there is nothing to hold out."""
COLOUR = Encoding(colour=("input", "target"))


@dataclass(frozen=True)
class ColourPairs:
    """`names` of N pairs, what is given and what is wanted: (N, 3, S, S) float32 in [0, 1]."""

    names: tuple[str, ...]
    given: Tensor
    wanted: Tensor

    def __len__(self) -> int:
        return len(self.names)


def write_folder(pairs: ColourPairs, root: Path) -> Path:
    """Write `input/NAME.png` and `target/NAME.png`; a folder that is there is replaced."""
    from PIL import Image

    shutil.rmtree(root, ignore_errors=True)
    for side, images in (("input", pairs.given), ("target", pairs.wanted)):
        (root / side).mkdir(parents=True)
        for name, image in zip(pairs.names, images, strict=True):
            pixels = (255 * image).round().to(torch.uint8).permute(1, 2, 0)
            Image.fromarray(pixels.numpy()).save(root / side / f"{name}.png")
    return root


def read_folder(root: str | Path, size: int) -> ColourPairs:
    """The pairs of a folder with `input/` and `target/`, each cut to a square and brought to `size` pixels.

    Raises:
        DataError: there is no such folder, a partner is missing, a file cannot be read, the images of a
        pair differ in size, or there are fewer than `FEWEST` pairs. One sentence, with the file.
    """
    folder = PairedFolder(root, encoding=COLOUR)
    names = tuple(folder.inputs)
    if len(names) < FEWEST:
        raise DataError(
            f"{folder.root} has {len(names)} pairs; at least {FEWEST} are needed to hold some out."
        )
    given, wanted = [], []
    for name in names:
        one, other = folder.read(name)
        given.append(_square(one, size))
        wanted.append(_square(other, size))
    return ColourPairs(names, torch.stack(given), torch.stack(wanted))


def _square(pixels: Tensor, size: int) -> Tensor:
    """The middle square of (3, H, W) uint8, averaged to (3, size, size) in [0, 1]."""
    side = min(pixels.shape[1:])
    top, left = ((length - side) // 2 for length in pixels.shape[1:])
    cut = pixels[:, top : top + side, left : left + side]
    return F.interpolate(cut[None].float() / 255, (size, size), mode="area")[0]
