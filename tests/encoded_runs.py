"""Small folders of pairs in colour, of classes and of 12 bits, and runs of 20 steps that were trained on them."""

from pathlib import Path

import numpy as np
from PIL import Image

from gantrans.data.encoding import Encoding
from gantrans.translation import recipe, train_recipe

SIDE = 32
NAMES = [f"wafer{k}" for k in range(6)]
COLOUR = Encoding(colour=("input", "target"))
CLASSES = Encoding(colour=("input",), classes=("0", "3", "7"))
WHITE = Encoding(white=4095.0, mask_values=(0, 1), invert=("input",))


def scene(seed: int) -> np.ndarray:
    """Bars of three kinds: (SIDE, SIDE) of 0, 1 and 2."""
    edges = np.sort(np.random.default_rng(seed).choice(np.arange(2, SIDE - 2), 4, replace=False))
    return np.tile(np.searchsorted(edges, np.arange(SIDE)) % 3, (SIDE, 1)).astype(np.uint8)


def colours(numbers: np.ndarray, seed: int) -> np.ndarray:
    """A noisy picture of a scene, (SIDE, SIDE, 3) uint8, in which the classes are equally bright."""
    shown = np.array([[200, 60, 60], [60, 131, 60], [60, 100, 220]])[numbers]
    return (shown + np.random.default_rng(seed).integers(-9, 10, shown.shape)).clip(0, 255).astype(np.uint8)


def write_folder(root: Path, kind: str) -> Path:
    """Six pairs: "colour", "classes" or "white" (12 bits in 16, dark features, masks of 0 and 1)."""
    for seed, name in enumerate(NAMES):
        numbers = scene(seed)
        given, target = colours(numbers, seed), colours(2 - numbers, seed + 99)
        if kind == "classes":
            target = np.array([0, 3, 7], np.uint8)[numbers]
        if kind == "white":
            given = (4095 - numbers.astype(np.uint16) * 1800 - seed).astype(np.uint16)
            target = (numbers > 0).astype(np.uint8)
        for side, values in (("input", given), ("target", target)):
            (root / side).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / side / f"{name}.png")
    splits = ["train"] * 4 + ["val", "test"]
    rows = "".join(f"{name},{split}\n" for name, split in zip(NAMES, splits, strict=True))
    (root / "split.csv").write_text(f"name,split\n{rows}")
    return root


def train(root: Path, kind: str) -> tuple[Path, Path]:
    """The folder of pairs and the run."""
    direction, encoding = {
        "colour": ("image2image", COLOUR), "classes": ("image2classes", CLASSES), "white": ("image2mask", WHITE),
    }[kind]  # fmt: skip
    folder = write_folder(root / "pairs", kind)
    chosen = recipe(direction, "smoke", str(folder), encoding=encoding)
    train_recipe(chosen, root / "run", progress=False, device="cpu")
    return folder, root / "run"
