"""Grey images from a folder, and a sentence instead of a traceback."""

import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def stop(sentence: str) -> NoReturn:
    """End with one sentence and exit code 2."""
    print(sentence, file=sys.stderr)
    raise SystemExit(2)


def grey_array(path: Path) -> np.ndarray:
    """A grey image (H, W), or several (N, H, W), as stored."""
    if path.suffix == ".png":
        try:
            from PIL import Image
        except ImportError:
            stop(f"{path} is a PNG, which needs the package Pillow; install it or save the images as .npy.")
        picture = Image.open(path)
        if picture.mode not in ("1", "L", "I;16", "I"):
            stop(f"{path} is in colour (its mode is {picture.mode}); store it as a grey image.")
        values = np.asarray(picture.convert("L") if picture.mode == "1" else picture)
        return values.astype(np.uint16) if values.dtype.itemsize > 1 else values
    found = np.load(path)
    values = found if isinstance(found, np.ndarray) else found[found.files[0]]
    if values.ndim not in (2, 3) or values.dtype.kind not in "uf" or not np.isfinite(values).all():
        stop(f"{path} holds {values.dtype} of shape {values.shape}; needed: finite (H, W) or (N, H, W).")
    return values


SUFFIXES = (".png", ".npy", ".npz")


def names_in(folder: Path) -> dict[str, Path]:
    """The images of a folder by their names without the suffix."""
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    named = {path.stem: path for path in paths}
    for path in paths:
        if named[path.stem] != path:
            stop(f"{path} and {named[path.stem]} have one name; rename or remove one of them.")
    return named


def read_images(folder: Path, size: int, *patterns: str) -> tuple[Tensor, list[Path]]:
    """Every .png, .npy and .npz of a folder, by name -> (N, 1, size, size) in [-1, 1], the folder of each.

    Whole numbers are divided by their type's largest value; floats must lie in [0, 1].
    """
    if not folder.is_dir():
        stop(f"There is no folder {folder}.")
    found = {p for pattern in patterns or ("*",) for p in folder.glob(pattern)}
    paths = sorted((p for p in found if p.suffix in SUFFIXES), key=lambda p: p.with_suffix(""))
    if not paths:
        stop(f"There is no .png, .npy or .npz file in {folder}.")
    images: list[Tensor] = []
    homes: list[Path] = []
    first = (0, 0)
    for path in paths:
        try:
            values = grey_array(path)
            if not values.size:
                raise ValueError("it is empty")
        except Exception as error:  # damaged bytes can make a decoder raise anything
            stop(f"{path} cannot be read as an image: {' '.join(str(error).split())}.")
        height, width = values.shape[-2:]
        first = first if images else (height, width)
        if (height, width) != first:
            here = f"{path} has {height} x {width} pixels"
            stop(f"{here} and {paths[0]} has {first[0]} x {first[1]}; bring all images to one size.")
        scale = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1.0
        image = torch.from_numpy(values.astype(np.float32) / scale)
        if image.min() < 0 or image.max() > 1:
            stop(f"{path} has values from {image.min():g} to {image.max():g}; floats must lie in [0, 1].")
        image = image.view(-1, 1, *image.shape[-2:])
        images.append(F.interpolate(image, (size, size), mode="area") * 2 - 1)
        homes += [path.parent] * len(image)
    return torch.cat(images), homes
