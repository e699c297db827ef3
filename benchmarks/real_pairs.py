"""SEM -> layout on few real images: as shipped, from a simulator's run, with more augmentation, with both.

    python -m benchmarks.real_pairs FOLDER [--steps 3000] [--seeds 0,1]
    GANTRANS_REAL_PAIRS=FOLDER python -m benchmarks real_pairs

The folder is a `PairedFolder` of SEM images and layouts, all of one square size, with training, validation
and test pairs of different patterns. It is not shipped: the images that were measured (14 fields of random
patterns, made with PreFab by D. Gostimirovic, MIT licence) are others' to publish. All arms take equal
numbers of steps at the recipe's tile size; IoU is of whole test images.
"""

import argparse
import math
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm.auto import tqdm

from benchmarks.__main__ import table
from gantrans.data import BatchSource, PairedDataset, PairedFolder
from gantrans.data.streams import stream_seeds
from gantrans.errors import GantransError
from gantrans.images import network_from_unit, unit_from_uint8
from gantrans.metrics import iou
from gantrans.training import Batch, fit
from gantrans.translation import (
    DENOISE_OTSU,
    Recipe,
    build_task,
    choose_baseline,
    recipe,
    segment,
    train_recipe,
    translate,
)
from gantrans.translation.generators import Generator
from gantrans.translation.warm import warm_start_of

DIRECTION = "sem2layout"
FOLDER = "GANTRANS_REAL_PAIRS"
ARMS = {
    "as shipped": (False, False),
    "from a simulator's run": (True, False),
    "any angle, scale +-10 %": (False, True),
    "both": (True, True),
}
"""Name -> (begun from a run on SKY130, `Warped` batches)."""


class Warped:
    """Batches of windows at any place, any angle, mirrored or not, scaled by .9 to 1.1: batch = warped(step).

    A pure function of seed and step, as `BatchSource`. Both images of a pair move alike, by bilinear
    interpolation; the target is made binary again. A window lies inside its image.

    Args:
        images: pairs of whole images. size: side of the windows in pixels.
    """

    def __init__(self, images: PairedDataset, size: int, batch_size: int, seed: int) -> None:
        sem, layout = (unit_from_uint8(side) for side in images.roles(DIRECTION))
        self.images = torch.cat([sem, layout], 1)  # (N, 2, H, W)
        self.size, self.batch_size, self.seed = size, batch_size, seed

    def __call__(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(stream_seeds(self.seed, "warp", [step])[0])
        count = self.batch_size
        uniform = torch.rand(5, count, generator=generator)
        chosen = torch.randint(len(self.images), (count,), generator=generator)
        angle, scale, mirror = 2 * math.pi * uniform[0], 0.9 + 0.2 * uniform[1], (uniform[2] < 0.5) * 2.0 - 1
        places = windows(self.images.shape[-2:], self.size, angle, scale, mirror, uniform[3:])
        cut = F.grid_sample(self.images[chosen], places, align_corners=False, padding_mode="reflection")
        inputs, targets = cut[:, :1], (cut[:, 1:] > 0.5).float()
        return {
            "input": network_from_unit(inputs),
            "target": network_from_unit(targets),
            "family": ["user"] * count,
        }


def windows(
    shape: tuple[int, ...], size: int, angle: Tensor, scale: Tensor, mirror: Tensor, place: Tensor
) -> Tensor:
    """Places of the pixels of B windows in images of `shape`: (B, size, size, 2), in `grid_sample`'s form.

    Args:
        angle: in radians. scale: above 1 a window shows more. mirror: 1 or -1. All (B,).
        place: (2, B) in [0, 1], down and right, from the first to the last place inside the image.
    """
    height, width = shape
    half = size / 2 * scale * (angle.cos().abs() + angle.sin().abs())  # of the box around a turned window
    centre_y, centre_x = half + place[0] * (height - 2 * half), half + place[1] * (width - 2 * half)
    line = torch.arange(size) + 0.5 - size / 2
    y, x = (part[None] for part in torch.meshgrid(line, line, indexing="ij"))
    cos, sin = ((scale * f(angle))[:, None, None] for f in (torch.cos, torch.sin))
    x = x * mirror[:, None, None]
    across = (cos * x - sin * y + centre_x[:, None, None]) / width
    down = (sin * x + cos * y + centre_y[:, None, None]) / height
    return torch.stack([across, down], -1) * 2 - 1


def over_symmetries(generator: Generator, images: Tensor) -> Tensor:
    """The mean of the translations of the eight turned and mirrored images, turned back; (B, 1, S, S)."""
    total = torch.zeros_like(images)
    for turns in range(4):
        for mirrored in (False, True):
            turned = torch.rot90(images, turns, (2, 3))
            made = translate(generator, turned.flip(3) if mirrored else turned)
            total += torch.rot90(made.flip(3) if mirrored else made, -turns, (2, 3))
    return total / 8


def run(quick: bool) -> list[dict[str, Any]]:
    """The rows of `measure` for the folder that the environment names; without one, a row that names it."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return [{"skipped": f"set {FOLDER} to a folder of real pairs; none is shipped"}]
    return measure(Path(folder), 20 if quick else 3000, (0,) if quick else (0, 1))


def measure(folder: Path, steps: int, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """One row for denoise + Otsu, then one per arm: mean, lowest and highest IoU over seeds, core-seconds.

    Raises:
        DataError: the folder cannot be used.
    """
    side = PairedFolder(folder).load(DIRECTION, split="test", progress=False).a.shape[-1]
    chosen = shortened(recipe(DIRECTION, "reduced", str(folder)), steps)
    whole = replace(chosen, data=replace(chosen.data, size=side))
    test = whole.data.pairs("test", DIRECTION)
    rows = [_otsu(chosen.data.pairs("val", DIRECTION), test)]
    with tempfile.TemporaryDirectory(prefix="gantrans-real-") as place:
        simulated = Path(place) / "simulated"
        train_recipe(shortened(recipe(DIRECTION, "reduced", "sky130"), steps), simulated, progress=False)
        for name, (begun, warped) in tqdm(ARMS.items(), desc="arms"):
            start = simulated if begun else None
            images = whole.data.pairs("train", DIRECTION) if warped else None
            rows.append(_row(name, [_trained(chosen, seed, start, images, test) for seed in seeds]))
    return rows


def shortened(chosen: Recipe, steps: int) -> Recipe:
    """The recipe with so many steps."""
    return replace(chosen, fit=replace(chosen.fit, steps=steps))


def _trained(
    chosen: Recipe, seed: int, start: Path | None, images: PairedDataset | None, test: PairedDataset
) -> tuple[float, float, float]:
    """IoU of a training, IoU averaged over the symmetries, core-seconds of the training."""
    chosen = replace(chosen, seed=seed, fit=replace(chosen.fit, seed=seed, monitor=None))
    size, batch = chosen.data.size, chosen.batch_size
    batches: Warped | BatchSource = (
        BatchSource(chosen.data.pairs("train", DIRECTION), DIRECTION, batch, seed)
        if images is None
        else Warped(images, size, batch, seed)
    )
    task = warm_start_of(build_task(chosen), start, None, resume=False).made(build_task, chosen)
    began = time.process_time()
    fit(task, batches, chosen.fit, progress=False)
    seconds = time.process_time() - began
    inputs, targets = (unit_from_uint8(part) for part in test.roles(DIRECTION))
    once = float(iou(translate(task.generator, inputs, batch_size=8), targets).mean())
    return once, float(iou(over_symmetries(task.generator, inputs), targets).mean()), seconds


def _otsu(validation: PairedDataset, test: PairedDataset) -> dict[str, Any]:
    best = choose_baseline(unit_from_uint8(validation.sem), unit_from_uint8(validation.layout), DENOISE_OTSU)
    score = float(iou(segment(unit_from_uint8(test.sem), best[0]), unit_from_uint8(test.layout)).mean())
    return _row(f"denoise + Otsu ({best[0]})", [(score, math.nan, 0.0)])


def _row(arm: str, scores: list[tuple[float, float, float]]) -> dict[str, Any]:
    ious = [score[0] for score in scores]
    return {
        "arm": arm,
        "seeds": len(scores),
        "IoU": round(statistics.mean(ious), 4),
        "lowest": round(min(ious), 4),
        "highest": round(max(ious), 4),
        "mean of 8 symmetries": round(statistics.mean(score[1] for score in scores), 4),
        "core-s": round(statistics.mean(score[2] for score in scores), 1),
    }


def main(argv: list[str] | None = None) -> int:
    """The command line: a folder, steps, seeds."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.real_pairs", description=__doc__.split("\n")[0]
    )
    parser.add_argument("folder", type=Path, help="a PairedFolder of SEM images and layouts")
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seeds", default="0,1", help="such as 0,1")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    try:
        rows = measure(args.folder, args.steps, tuple(int(seed) for seed in args.seeds.split(",")))
    except GantransError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    # Arms differ in the fourth digit.
    print(table([{k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
