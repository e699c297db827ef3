"""Images in the order of time for a detector: a folder, or a simulated source; to fit and to watch."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data import IMAGE_SUFFIXES, make_pairs, read_image
from gantrans.data.encoding import Side
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.files import replace_file
from gantrans.images import unit_from_uint8
from gantrans.operations.drift.detector import DriftConfig, DriftDetector, DriftReport
from gantrans.operations.drift.profile import HistogramSchema, Measured, measure
from gantrans.operations.drift.windows import FEWEST_CHUNKS

ORDERS: dict[str, Callable[[Path], tuple[float | str, ...]]] = {
    "name": lambda path: (path.name,),
    "time": lambda path: (path.stat().st_mtime, path.name),
}
"""How the files of a folder are put into the order of time: by name, or by the time of their last change."""
_BATCH = 256


def folder_images(folder: Path, order: str = "name") -> list[Path]:
    """The image files of a folder (of its `input/`, if it is a folder of pairs), in the order of time.

    Raises:
        DataError: there is no such folder, or it has no image.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; give one with images, or procedural or sky130.")
    inside = folder / "input" if (folder / "input").is_dir() else folder
    found = [path for path in inside.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    images = sorted((path for path in found if not path.name.startswith(".")), key=ORDERS[order])
    if not images:
        raise DataError(f"{inside} has no PNG, TIFF or JPEG image; choose another folder.")
    return images


def measure_files(
    paths: Sequence[Path],
    pixel_nm: float,
    schema: HistogramSchema,
    *,
    bits: int | None = None,
    side: Side = Side(),
    progress: bool = True,
) -> Iterator[Measured]:
    """Measurements of image files, in their order, in batches of equal sizes; of colour the luma is measured.

    Args:
        bits, side: how they are read, see `read_image`; the channels of `side` do not matter.

    Raises:
        DataError: for the first image that cannot be read or measured.
    """
    bar = tqdm(paths, desc="measuring", unit="image", disable=not progress, delay=2.0)
    read = ((path, read_image(path, bits=bits, side=replace(side, channels=1))) for path in bar)
    for _, group in groupby(read, key=lambda item: tuple(item[1].shape)):
        batch: list[Tensor] = []
        for path, image in group:
            batch.append(image)
            if len(batch) == _BATCH:
                yield _measured(batch, pixel_nm, schema, path)
                batch = []
        if batch:
            yield _measured(batch, pixel_nm, schema, path)


def _measured(batch: list[Tensor], pixel_nm: float, schema: HistogramSchema, last: Path) -> Measured:
    try:
        return measure(torch.stack(batch), pixel_nm, schema)
    except DataError as error:
        raise DataError(f"The images up to {last} cannot be measured: {error}") from error


def simulated_images(
    source: str, direction: str, *, count: int, size: int, pixel_nm: float, difficulty: str, seed: int
) -> Tensor:
    """The inputs of simulated pairs, (N, 1, H, W) in [0, 1]."""
    pairs = make_pairs(
        source, count=count, size=size, pixel_nm=pixel_nm, difficulty=difficulty, seed=seed, split="train"
    )
    return unit_from_uint8(pairs.image(registered(direction).input))


def fit_on(parts: Iterator[Measured], config: DriftConfig, *, seed: int = 0) -> DriftDetector:
    """Fit a detector to measured images in the order of time.

    Raises:
        DataError: too few images, or a constant feature.
    """
    measured = list(parts)
    whole = Measured(
        torch.cat([part.features for part in measured]), torch.cat([part.histogram for part in measured])
    )
    return DriftDetector.fit(whole, config, seed=seed)


def check_enough(count: int, config: DriftConfig) -> None:
    """Refuse a reference that is too short before it is measured.

    Raises:
        DataError: fewer images than the threshold of the windows needs.
    """
    fewest = FEWEST_CHUNKS * config.window
    if count < fewest:
        raise DataError(
            f"A detector with windows of {config.window} images is fitted to at least {fewest} images in the "
            f"order of time, and these are {count}; give more."
        )


def add_new_files(
    detector: DriftDetector,
    path: Path,
    folder: Path,
    pixel_nm: float,
    order: str,
    *,
    bits: int | None = None,
    side: Side = Side(),
    progress: bool = True,
) -> tuple[DriftReport, int]:
    """Add the images of a folder that were not added before, and save the detector to `path`.

    The names that were added stand beside it in `path` + ".watched". After a kill between the two writes, the
    last images are added twice.

    Args:
        bits, side: see `measure_files`.

    Returns:
        The detector's report, and how many images were new.
    """
    known = watched(path)
    new = [image for image in folder_images(folder, order) if image.name not in known]
    for part in measure_files(
        new, pixel_nm, detector.config.schema, bits=bits, side=side, progress=progress
    ):
        detector.update(part)
    if new:
        detector.save(path)
        names = sorted(known | {image.name for image in new})
        replace_file(_beside(path), json.dumps(names) + "\n")
    return detector.report(), len(new)


def watched(path: Path) -> set[str]:
    """The names of the images that `add_new_files` has added to the detector in `path`.

    Raises:
        DataError: the file is damaged.
    """
    beside = _beside(path)
    if not beside.exists():
        return set()
    try:
        names = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{beside} is damaged ({error}); remove it to add all images again.") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{beside} holds no list of names; remove it to add all images again.")
    return set(names)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.watched")
