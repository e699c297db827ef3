"""Image pairs of the user: a folder with `input/` and `target/`, equal names; reading and writing.

`input/` has the inputs of the network and `target/` the desired outputs; other arrangements are stated
(`gantrans.data.arrangements`). The optional `pairs.json` states which of the two is SEM, the pixel size and
how the files are read; without it the folder is assumed to match the requested direction.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data.arrangements import SPLITS, find_pairs
from gantrans.data.encoding import SIDES, Encoding
from gantrans.data.headers import image_size
from gantrans.data.manifest import MANIFEST, encoding_of, read_manifest
from gantrans.data.pairs import PairedDataset
from gantrans.data.reading import Source, pixels_from_stored, read_image, stored_file
from gantrans.data.splits import hash_split, splits_of
from gantrans.data.tiles import cut_pair
from gantrans.directions import direction as registered
from gantrans.directions import images_of
from gantrans.errors import ConfigError, DataError
from gantrans.files import publish_folder

__all__ = ["MANIFEST", "PairedFolder", "hash_split", "read_image", "write_folder", "write_pairs"]


class PairedFolder:
    """Image pairs in a folder, checked when opened: every image has a partner.

    Rules:
    - The files lie as `encoding.layout` states, by default partners of the same name in `input/` and
      `target/`; the suffix may differ (PNG, TIFF, JPEG, BMP). Other files are ignored.
    - Both images of a pair have the same size. Larger images are cut into `size` tiles that cover them,
      overlapping only as far as needed; nothing is rescaled. Smaller images are refused.
    - Each image, with all its tiles, belongs to one split: by `split.csv` (columns name, split), else by the
      folder it lies in, else by a hash of its name or of its group (`encoding.split_by`), 80/10/10. "all"
      takes every image.

    Attributes:
        inputs, targets: the two images of each pair by name, sorted. split: the split of each.
        encoding: as stated by the argument, else by the manifest, field by field.

    Args:
        root: the folder. pixel_nm: nm per pixel; overrides the manifest's value.
        bits: used bits of its 16-bit images, see `read_image`; overrides the manifest's value.
        encoding: what else is stated; each field that is not at its default overrides the manifest's.

    Raises:
        DataError: naming the file or folder and the reason.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        pixel_nm: float | None = None,
        bits: int | None = None,
        encoding: Encoding | None = None,
    ) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder; a folder with input/ and target/ is needed.")
        self.manifest = read_manifest(self.root / MANIFEST)
        self.pixel_nm: float | None = pixel_nm if pixel_nm is not None else self.manifest.get("pixel_nm")
        self.bits: int | None = bits if bits is not None else self.manifest.get("bits")
        self.encoding = self._encoding(encoding or Encoding())
        found = find_pairs(self.root, self.encoding.layout, swap=self.encoding.swap)
        self.inputs, self.targets = found.inputs, found.targets
        self.split = splits_of(self.root, self.inputs, found.splits, self.encoding.split_by)

    def _encoding(self, stated: Encoding) -> Encoding:
        path = self.root / MANIFEST
        written = encoding_of(self.manifest, path)
        try:
            return stated.over(written)
        except ConfigError as error:
            raise DataError(f"{path} and the options exclude each other: {error}") from error

    @property
    def classes(self) -> tuple[str, ...]:
        """The stored values of the classes in the targets, () if they are images."""
        return self.encoding.classes

    def names(self, split: str = "all") -> list[str]:
        """Names of the pairs in a split, sorted.

        Raises:
            DataError: for an unknown split, or one that is empty (small folders, or a `split.csv` without
            it).
        """
        if split not in (*SPLITS, "all"):
            raise DataError(f"split is {split!r}; choose one of {', '.join(SPLITS)}, all.")
        chosen = [name for name in self.inputs if split in ("all", self.split[name])]
        if not chosen:
            counts = Counter(self.split.values())
            have = ", ".join(f"{counts[s]} {s}" for s in SPLITS)
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
        a, b = (b, a) if swapped else (a, b)
        return PairedDataset(a, b, family, self.pixel_nm, names, images, self.classes)

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
        if held != registered(direction).input and (self.classes or len(set(self.encoding.channels)) == 2):
            raise DataError(
                f"{self.root / MANIFEST} states that the inputs are {held!r} images, the targets of {direction}"
                ', but classes or colour are stated of one side; remove "input" there and state --swap.'
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
        one, other = self.inputs[name], self.targets[name]
        if one.path == other.path:  # side by side: decoded once
            whole = stored_file(one.path)
            stored = tuple(whole.part(source.half, str(source.path)) for source in (one, other))
        else:
            stored = stored_file(one), stored_file(other)
        first, second = (
            pixels_from_stored(values, str(source), bits=self.bits, side=self.encoding.side(role))
            for values, source, role in zip(stored, (one, other), SIDES, strict=True)
        )
        if first.shape[1:] != second.shape[1:]:
            sizes = [
                f"{source} is {i.shape[2]} x {i.shape[1]} px"
                for source, i in zip((one, other), (first, second), strict=True)
            ]
            raise DataError(f"{sizes[0]}, but {sizes[1]}; the images of a pair must have one size.")
        return first, second

    def size(self, name: str) -> tuple[int, int]:
        """(height, width) of a pair: from the headers of its files if they suffice.

        Raises:
            DataError: they do not, and the pair cannot be used.
        """
        first, second = (_size(source) for source in (self.inputs[name], self.targets[name]))
        if first is not None and first == second:
            return first
        height, width = self.read(name)[0].shape[1:]  # or its sentence
        return height, width


def _size(source: Source) -> tuple[int, int] | None:
    size = image_size(source.path)
    if size is None or source.half is None:
        return size
    return None if size[1] % 2 else (size[0], size[1] // 2)


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
