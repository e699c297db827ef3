"""Training from files: how long does it wait for them, and does a larger folder need more memory?

Waiting: the share of a training's wall time that passes in making its batches, with 0, 1 and 2 reading
threads, and from memory, where the same time is what augmentation and conversion take. 256 px, batches of 4,
the generator of `reduced`, on one thread; every image is decoded for its batch (none occurs twice) and, where
the system allows it, comes from the disk and not from the system's memory. Goal: with a reading thread at
most 10 % more than from memory. One row more, for a folder that is kept: 64 px, batches of 8.

Memory: the peak of a process that reads every image of a folder once and then draws 100 batches of 16, with
2,000 and 20,000 pairs of 256 px (one blank image over and over: what is decoded takes the same memory) and
the usual limit. Goal: no more for the larger folder. Reads Linux's /proc.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gantrans import ROOT
from gantrans.data import BatchSource, PairedFolder, make_pairs
from gantrans.data.pairs import Pairs
from gantrans.data.streaming import StreamedPairs
from gantrans.training import Batch, FitConfig, fit
from gantrans.translation import Pix2PixTask, recipe

DIRECTION = "sem2layout"
MOST_WAITING = 0.10


class Timed:
    """Batches whose making is timed."""

    def __init__(self, source: BatchSource) -> None:
        self.source, self.seconds = source, 0.0

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        start = time.perf_counter()
        batch = self.source(step)
        self.seconds += time.perf_counter() - start
        return batch


def as_png(values: np.ndarray, path: Path) -> None:
    """8-bit grey PNG."""
    Image.fromarray(values).save(path.with_suffix(".png"))


def as_tiff(values: np.ndarray, path: Path) -> None:
    """Full 16-bit grey TIFF, deflated; the lower half of the bits is noise, as in a microscope's file."""
    noise = np.random.default_rng(values.size).integers(0, 256, values.shape, dtype=np.uint16)
    Image.fromarray(values.astype(np.uint16) * 256 + noise).save(
        path.with_suffix(".tif"), compression="tiff_adobe_deflate"
    )


def written(folder: Path, count: int, size: int, write: Callable[[np.ndarray, Path], None]) -> PairedFolder:
    """A folder of simulated pairs, all for training, in one format; it repeats after 64 of them."""
    pairs = make_pairs("procedural", count=min(count, 64), size=size, progress=False)
    for kind, images in (("input", pairs.sem), ("target", pairs.layout)):
        (folder / kind).mkdir(parents=True)
        for i in range(count):
            write(images[i % len(images), 0].numpy(), folder / kind / f"{i:05d}")
    assign(folder, count)
    return PairedFolder(folder)


def assign(folder: Path, count: int) -> None:
    """Assign every pair to the training."""
    lines = ["name,split", *(f"{i:05d},train" for i in range(count))]
    (folder / "split.csv").write_text("\n".join(lines) + "\n")


def forget(folder: Path) -> None:
    """Let the system drop the files from its memory, where it can be asked to."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in folder.rglob("*.*"):
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def waiting(pairs: Pairs, batch: int, steps: int) -> tuple[float, float]:
    """Share of a training's time in which it made batches, and seconds per step."""
    config = recipe(DIRECTION, "reduced").task
    task = Pix2PixTask(config, seed=0)  # type: ignore[arg-type]
    source = Timed(BatchSource(pairs, DIRECTION, batch, seed=0))
    result = fit(task, source, FitConfig(steps, channels_last=True), progress=False, device="cpu")
    return source.seconds / result.seconds, result.seconds / steps


def waiting_rows(folder: PairedFolder, name: str, size: int, batch: int, steps: int) -> list[dict[str, Any]]:
    """From memory and with 0, 1 and 2 threads, nothing decoded before."""
    usual, step = waiting(folder.load(DIRECTION, size=size, progress=False), batch, steps)
    rows = [_row(name, "memory", usual, step, usual)]
    for readers in (0, 1, 2):
        forget(folder.root)
        with closing(StreamedPairs(folder, DIRECTION, size=size, readers=readers, progress=False)) as pairs:
            rows.append(_row(name, f"{readers} threads", *waiting(pairs, batch, steps), usual))
    return rows


def kept_rows(folder: PairedFolder, name: str, steps: int) -> list[dict[str, Any]]:
    """From memory and from a folder that was read before and kept."""
    usual, step = waiting(folder.load(DIRECTION, size=64, progress=False), 8, steps)
    with closing(StreamedPairs(folder, DIRECTION, size=64, progress=False)) as pairs:
        pairs.read_all(progress=False)
        kept = waiting(pairs, 8, steps)
    return [_row(name, "memory", usual, step, usual), _row(name, "kept", *kept, usual)]


def _row(name: str, reading: str, share: float, step: float, usual: float) -> dict[str, Any]:
    goal = {} if reading in ("memory", "0 threads") else {"met": share - usual <= MOST_WAITING}
    return {"images": name, "reading": reading, "step_ms": 1e3 * step, "making_batches": share, **goal}


def use(folder: str) -> None:
    """Read a folder as a training does and print the peak of memory in MB; in a process of its own."""
    with closing(StreamedPairs(PairedFolder(folder), DIRECTION, size=256, progress=False)) as pairs:
        pairs.read_all(progress=False)
        source = BatchSource(pairs, DIRECTION, 16, seed=0)
        for step in range(100):
            source(step)
    status = Path("/proc/self/status").read_text()
    print(json.dumps(float(status.split("VmHWM:")[1].split()[0]) / 1024))


def blank(folder: Path, count: int) -> None:
    """A folder of so many pairs, all for training, of one blank image of 256 px."""
    for kind in ("input", "target"):
        (folder / kind).mkdir(parents=True)
        as_png(np.zeros((256, 256), np.uint8), folder / kind / "00000")
        content = (folder / kind / "00000.png").read_bytes()
        for i in range(1, count):
            (folder / kind / f"{i:05d}.png").write_bytes(content)
    assign(folder, count)


def memory_rows(folder: Path, counts: tuple[int, int]) -> list[dict[str, Any]]:
    """The peak of memory with each number of pairs."""
    rows: list[dict[str, Any]] = []
    for count in counts:
        blank(folder / str(count), count)
        call = f"from benchmarks.reading import use; use({str(folder / str(count))!r})"
        done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, check=True, stdout=subprocess.PIPE)
        name = f"8-bit PNG, 256 px, {count:,} pairs"
        rows.append({"images": name, "reading": "usual limit", "peak_mb": json.loads(done.stdout)})
    rows[1]["met"] = rows[1]["peak_mb"] <= rows[0]["peak_mb"]
    return rows


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per format and way of reading, and per size of folder."""
    torch.set_num_threads(1)
    steps = 4 if quick else 24
    with tempfile.TemporaryDirectory(prefix="gantrans-reading-") as work:
        folder = Path(work)
        rows = []
        for name, write in (("8-bit PNG", as_png), ("16-bit TIFF", as_tiff)):
            made = written(folder / name, 4 * (steps + 1), 256, write)
            rows += waiting_rows(made, f"{name}, 256 px", 256, 4, steps)
        rows += kept_rows(written(folder / "kept", 8 * steps, 64, as_png), "8-bit PNG, 64 px", 4 * steps)
        return rows + memory_rows(folder, (200, 400) if quick else (2000, 20_000))
