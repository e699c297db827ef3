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
    """A grey image (H, W), or several (N, H, W), as stored; colours are averaged."""
    if path.suffix == ".png":
        try:
            from PIL import Image
        except ImportError:
            stop(f"{path} is a PNG, which needs the package Pillow; install it or save the images as .npy.")
        values = np.asarray(Image.open(path))
        return values[..., :3].mean(-1).astype(values.dtype) if values.ndim == 3 else values
    found = np.load(path)
    values = found if isinstance(found, np.ndarray) else found[found.files[0]]
    if values.ndim not in (2, 3) or values.dtype.kind not in "uf" or not np.isfinite(values).all():
        stop(f"{path} holds {values.dtype} of shape {values.shape}; needed: finite (H, W) or (N, H, W).")
    return values


def read_images(folder: Path, size: int) -> Tensor:
    """Every .png, .npy and .npz of a folder, by name -> (N, 1, size, size) in [-1, 1].

    Whole numbers are divided by their type's largest value; floats must lie in [0, 1].
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix in (".png", ".npy", ".npz"))
    if not paths:
        stop(f"There is no .png, .npy or .npz file in {folder}.")
    images = []
    for path in paths:
        try:
            values = grey_array(path)
        except (OSError, ValueError) as error:
            stop(f"{path} cannot be read as an image: {error}.")
        scale = np.iinfo(values.dtype).max if values.dtype.kind == "u" else 1.0
        image = torch.from_numpy(values.astype(np.float32) / scale)
        if image.min() < 0 or image.max() > 1:
            stop(f"{path} has values from {image.min():g} to {image.max():g}; floats must lie in [0, 1].")
        image = image.view(-1, 1, *image.shape[-2:])
        images.append(F.interpolate(image, (size, size), mode="area") * 2 - 1)
    return torch.cat(images)
