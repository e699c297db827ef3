"""Image pairs of the user: a folder with `input/` and `target/`, equal names; reading and writing.

`input/` has the inputs of the network and `target/` the desired outputs. The optional `pairs.json` states
which of the two is SEM, and the pixel size; without it the folder is assumed to match the requested
direction.
"""

import csv
import hashlib
import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data.headers import image_size
from gantrans.data.pairs import PairedDataset
from gantrans.data.reading import BITS, SUFFIXES, read_image
from gantrans.data.tiles import cut_pair
from gantrans.directions import direction as registered
from gantrans.directions import image_names, images_of
from gantrans.errors import DataError
from gantrans.files import publish_folder
from gantrans.images import uint8_from_unit

__all__ = ["PairedFolder", "read_image", "write_pairs"]

SPLITS = ("train", "val", "test", "all")
MANIFEST = "pairs.json"
MAX_PIXEL_NM = 1e4


class PairedFolder:
    """Image pairs in a folder, checked when opened: both subfolders exist and every image has a partner.

    Rules:
    - Partners have the same name; the suffix may differ (PNG, TIFF, JPEG). Other files are ignored.
    - Both images of a pair have the same size. Larger images are cut into `size` tiles that cover them,
      overlapping only as far as needed; nothing is rescaled. Smaller images are refused.
    - Each image, with all its tiles, belongs to one split: by `split.csv` (columns name, split), else by a
      hash of its name, 80/10/10. "all" takes every image.

    Args:
        root: the folder. pixel_nm: nm per pixel; overrides the manifest's value.
        bits: used bits of its 16-bit images, see `read_image`; overrides the manifest's value.

    Raises:
        DataError: naming the file or folder and the reason.
    """

    def __init__(self, root: str | Path, *, pixel_nm: float | None = None, bits: int | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder; a folder with input/ and target/ is needed.")
        self.manifest = _read_manifest(self.root / MANIFEST)
        self.pixel_nm: float | None = pixel_nm if pixel_nm is not None else self.manifest.get("pixel_nm")
        self.bits: int | None = bits if bits is not None else self.manifest.get("bits")
        self.inputs, self.targets = _images(self.root / "input"), _images(self.root / "target")
        for one, other, lacking in (
            (self.inputs, self.targets, "target"),
            (self.targets, self.inputs, "input"),
        ):
            for name in one.keys() - other.keys():
                raise DataError(
                    f"{one[name]} has no partner: {self.root / lacking} has no PNG, TIFF or JPEG {name!r}."
                )
        self.split = self._splits()

    def names(self, split: str = "all") -> list[str]:
        """Names of the pairs in a split, sorted.

        Raises:
            DataError: for an unknown split, or one that is empty (small folders, or a `split.csv` without
            it).
        """
        if split not in SPLITS:
            raise DataError(f"split is {split!r}; choose one of {', '.join(SPLITS)}.")
        chosen = [name for name in self.inputs if split in ("all", self.split[name])]
        if not chosen:
            counts = Counter(self.split.values())
            have = ", ".join(f"{counts[s]} {s}" for s in SPLITS[:3])
            raise DataError(
                f"{self.root} has no pair in the split {split!r} ({have}); add pairs, or assign them in a"
                " split.csv with the columns name,split."
            )
        return chosen

    def load(
        self, direction: str, *, split: str = "train", size: int | None = None, progress: bool = True
    ) -> PairedDataset:
        """Read one split as a dataset of `size` x `size` tiles.

        Args:
            direction: a registered one. The manifest states which of its two images is in `input/`; without a
                manifest it is the direction's input.
            size: side of the tiles in pixels; None: whole images, which must then all have the same size.

        Raises:
            DataError: for the first image that cannot be used.
        """
        images, swapped = self.order(direction)
        tiles: list[tuple[Tensor, Tensor]] = []  # (C, size, size) each: input, target
        family, names = [], []
        for name in tqdm(
            self.names(split), desc=f"reading {self.root.name}", disable=not progress, delay=2.0
        ):
            cut, places = cut_pair(self.read(name), size, self.inputs[name])
            if tiles and cut[0][0].shape[-2:] != tiles[0][0].shape[-2:]:
                raise DataError(
                    f"{self.inputs[name]} is of another size than the images before it; ask for tiles."
                )
            tiles += cut
            family += [self.family_of(name)] * len(places)
            names += [name if len(places) == 1 else f"{name}@{y},{x}" for y, x in places]
        a, b = (torch.stack(side) for side in zip(*tiles, strict=True))
        return PairedDataset(*((b, a) if swapped else (a, b)), family, self.pixel_nm, names, images)

    def order(self, direction: str) -> tuple[tuple[str, str], bool]:
        """The names of the images a and b of a direction's datasets, and whether `input/` holds b.

        Raises:
            DataError: the manifest states other images.
        """
        images, held = images_of(direction), self.manifest.get("input", registered(direction).input)
        if held not in images:
            raise DataError(
                f"{self.root / MANIFEST} states that input/ holds {held!r} images, but {direction} translates"
                f" between {' and '.join(images)}; choose another direction or correct the file."
            )
        return images, held == images[1]

    def family_of(self, name: str) -> str:
        """The family of a pair, as the manifest states."""
        return str(self.manifest.get("family", {}).get(name, "user"))

    def check(self, *splits: str, size: int | None = None, progress: bool = True) -> None:
        """Read and check the pairs of some splits (which may be empty) as in `load`, without keeping them.

        Raises:
            DataError: for the first image that cannot be used.
        """
        names = [name for name in self.inputs if self.split[name] in splits]
        for name in tqdm(names, desc=f"checking {self.root.name}", disable=not progress, delay=2.0):
            cut_pair(self.read(name), size, self.inputs[name])

    def read(self, name: str) -> tuple[Tensor, Tensor]:
        """Input and target of a pair, uint8 (C, H, W); threads may call it at the same time.

        Raises:
            DataError: one of them cannot be used, or their sizes differ.
        """
        paths = self.inputs[name], self.targets[name]
        first, second = (uint8_from_unit(read_image(path, bits=self.bits)) for path in paths)
        if first.shape[1:] != second.shape[1:]:
            sizes = [
                f"{path} is {i.shape[2]} x {i.shape[1]} px"
                for path, i in zip(paths, (first, second), strict=True)
            ]
            raise DataError(f"{sizes[0]}, but {sizes[1]}; the images of a pair must have one size.")
        return first, second

    def size(self, name: str) -> tuple[int, int]:
        """(height, width) of a pair: from the headers of its files if they suffice.

        Raises:
            DataError: they do not, and the pair cannot be used.
        """
        first, second = image_size(self.inputs[name]), image_size(self.targets[name])
        if first is not None and first == second:
            return first
        height, width = self.read(name)[0].shape[1:]  # or its sentence
        return height, width

    def _splits(self) -> dict[str, str]:
        path = self.root / "split.csv"
        if not path.is_file():
            return {name: hash_split(name) for name in self.inputs}
        try:
            table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
            rows = list(table)
        except (ValueError, csv.Error) as error:
            raise DataError(f"{path} is not a text file of comma-separated values ({error}).") from error
        if not {"name", "split"} <= set(table.fieldnames or ()):
            raise DataError(f"{path} needs a first line with the columns name,split.")
        names = [_composed(str(row["name"])) for row in rows]
        splits = [row["split"] for row in rows]
        listed: dict[str, str] = {}
        for stated, split in zip(names, splits, strict=True):
            name = Path(stated).stem if _is_image(stated) else stated
            if listed.setdefault(name, split) != split:
                raise DataError(
                    f"{path} gives {name!r} two splits, {listed[name]!r} and {split!r}; keep one of them."
                )
        for name in self.inputs:
            if listed.get(name) not in SPLITS[:3]:
                raise DataError(
                    f"{path} gives {name!r} the split {listed.get(name)!r}; write train, val or test."
                )
        return {name: listed[name] for name in self.inputs}


def hash_split(name: str) -> str:
    """The split of a name: 80 % train, 10 % val, 10 % test, on every machine and in every version."""
    digit = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") % 10
    return "train" if digit < 8 else "val" if digit == 8 else "test"


def write_pairs(
    dataset: PairedDataset,
    directory: str | Path,
    *,
    source: str,
    seed: int | None = None,
    input_role: str | None = None,
) -> Path:
    """Write a dataset as a `PairedFolder`: 8-bit PNG, bit-exact, with a `pairs.json` manifest.

    The folder is written completely or not at all. Names are the dataset's; they must be unique plain file
    names. `input_role` is the image written to `input/`; None: the dataset's first.

    Raises:
        DataError: when `directory` exists and is not empty (nothing is overwritten), or cannot be written.
    """
    directory = Path(directory)
    held = dataset.images[0] if input_role is None else input_role
    if held not in dataset.images:
        raise DataError(f"input_role is {held!r}; choose one of {', '.join(dataset.images)}.")
    for name in dataset.names:
        if not name or Path(name).name != name or name.startswith("."):
            raise DataError(f"The pair name {name!r} cannot be a file name; rename it.")
    if len(set(dataset.names)) != len(dataset):
        raise DataError("Two pairs of the dataset have the same name; give every pair its own.")
    manifest = {
        "format": 1,
        "input": held,
        "pixel_nm": dataset.pixel_nm,
        "size": list(dataset.a.shape[-2:]),
        "source": source,
        "seed": seed,
        "family": dict(zip(dataset.names, dataset.family, strict=True)),
    }
    folders = ("input", "target") if held == dataset.images[0] else ("target", "input")

    def fill(folder: Path) -> None:
        for kind, images in zip(folders, (dataset.a, dataset.b), strict=True):
            (folder / kind).mkdir()
            for name, image in zip(dataset.names, images, strict=True):
                _write_png(image[0], folder / kind / f"{name}.png")
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")

    write_folder(directory, fill)
    return directory


def write_folder(directory: Path, fill: Callable[[Path], None]) -> None:
    """Fill a temporary folder beside it, then rename it, so that a crash leaves no incomplete folder."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise DataError(
            f"{directory} already exists and is not empty; choose another folder or remove it first."
        )
    partial = directory.parent / f".{directory.name}.{os.getpid()}.partial"
    try:
        partial.mkdir(parents=True)
        fill(partial)
        if directory.exists():
            directory.rmdir()
        publish_folder(partial, directory, sync=False)
    except OSError as error:
        raise DataError(f"{directory} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_png(image: Tensor, path: Path) -> None:
    from PIL import Image

    Image.fromarray(image.numpy()).save(path, compress_level=1)


def _composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): some systems store "ü" as one character, some as two."""
    return unicodedata.normalize("NFC", name)


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _images(folder: Path) -> dict[str, Path]:
    """Image files of a folder by name without suffix, sorted."""
    if not folder.is_dir():
        raise DataError(f"{folder} is missing; the folder needs both input/ and target/.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not _is_image(path.name):
            continue
        name = _composed(path.stem)
        if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):  # control, or no text
            raise DataError(f"{folder} holds a file whose name is no plain text ({path.name!a}); rename it.")
        if name in found:
            raise DataError(f"{found[name]} and {path} have the same name; keep one of them.")
        found[name] = path
    if not found:
        raise DataError(f"{folder} holds no PNG, TIFF or JPEG image.")
    return found


def _read_manifest(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); repair or remove it.") from error
    if not isinstance(manifest, dict) or manifest.get("input") not in image_names():
        names = " or ".join(f'"{name}"' for name in image_names())
        raise DataError(f'{path} must be an object with "input": {names}.')
    pixel, bits = manifest.get("pixel_nm"), manifest.get("bits")
    number = isinstance(pixel, int | float) and not isinstance(pixel, bool)
    if pixel is not None and not (number and 0 < pixel <= MAX_PIXEL_NM):
        raise DataError(
            f"{path} gives pixel_nm {_shortened(pixel)}; it must be a number of nanometres above 0 and up to "
            f"{MAX_PIXEL_NM:,.0f}, or null."
        )
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or bits not in BITS):
        choices = ", ".join(map(str, BITS))
        raise DataError(f"{path} gives bits {_shortened(bits)}; choose one of {choices}, or null.")
    family = manifest.get("family", {})
    if not isinstance(family, dict):
        raise DataError(f"{path} gives family {_shortened(family)}; it must be an object of name: family.")
    return {**manifest, "family": {_composed(name): label for name, label in family.items()}}


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
