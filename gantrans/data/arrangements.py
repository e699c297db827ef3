"""How the files of a folder of pairs lie: `gantrans.data.encoding.ARRANGEMENTS`, found by name.

- folders: `input/NAME.*` and `target/NAME.*`.
- images-masks: `images/NAME.*` and `masks/NAME.*`.
- suffixes: `NAME_input.*` beside `NAME_target.*`.
- side-by-side: one file per pair, its left half the input; in the folder, or in `train/`, `val/`, `test/`.
- train-ab: `trainA/NAME.*` (the inputs) and `trainB/NAME.*`, likewise for `val` and `test`.

Where folders give the splits, a pair is called `train-NAME` and so on, for the same names may be in all.
"""

import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gantrans.data.headers import image_size
from gantrans.data.reading import SUFFIXES, Source
from gantrans.errors import DataError

SPLITS = ("train", "val", "test")
_ENDS = ("_input", "_target")


@dataclass
class Found:
    """The two images of every pair, by name and sorted, and the splits that the folders give."""

    inputs: dict[str, Source] = field(default_factory=dict)
    targets: dict[str, Source] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)


def find_pairs(root: Path, layout: str, *, swap: bool = False) -> Found:
    """The pairs of a folder that are arranged as `layout`.

    Args:
        swap: the second image of each pair is the input.

    Raises:
        DataError: a folder or a partner is missing, or two files have one name.
    """
    found = _FINDERS[layout](root)
    if swap:
        found.inputs, found.targets = found.targets, found.inputs
    return found


def recognise(root: str | Path) -> list[str]:
    """The arrangements that fit the files of a folder, judged by names and by the size of one image."""
    root = Path(root)
    if not root.is_dir():
        return []
    fitting = [name for name, (one, other) in _BESIDE.items() if _has(root, one, other)]
    if any(_has(root, f"{split}A", f"{split}B") for split in SPLITS):
        fitting.append("train-ab")
    plain = [p.stem for p in _files(root)]
    ended = [stem for stem in plain if stem.endswith(_ENDS)]
    if any(stem.removesuffix(_ENDS[0]) + _ENDS[1] in ended for stem in ended):
        fitting.append("suffixes")
    elif (first := next(_side_by_side_files(root), None)) is not None:
        size = image_size(first[1])
        if size is not None and size[1] % 2 == 0 and size[1] > size[0]:
            fitting.append("side-by-side")
    return fitting


def composed(name: str) -> str:
    """A name in Unicode's composed form (NFC): some systems store "ü" as one character, some as two."""
    return unicodedata.normalize("NFC", name)


def is_image(name: str) -> bool:
    """Whether a file with this name is read as an image."""
    return Path(name).suffix.lower() in SUFFIXES


_BESIDE = {"folders": ("input", "target"), "images-masks": ("images", "masks")}


def _beside(layout: str) -> Callable[[Path], Found]:
    one, other = _BESIDE[layout]

    def find(root: Path) -> Found:
        found = Found(_images(root / one, one, other), _images(root / other, one, other))
        _check_partners(found, root / one, root / other)
        return found

    return find


def _train_ab(root: Path) -> Found:
    found = Found()
    for split in SPLITS:
        one, other = f"{split}A", f"{split}B"
        if split != "train" and not (root / one).exists() and not (root / other).exists():
            continue
        part = Found(_images(root / one, one, other), _images(root / other, one, other))
        _check_partners(part, root / one, root / other)
        found.inputs |= {f"{split}-{name}": source for name, source in part.inputs.items()}
        found.targets |= {f"{split}-{name}": source for name, source in part.targets.items()}
        found.splits |= {f"{split}-{name}": split for name in part.inputs}
    return _sorted(found)


def _side_by_side(root: Path) -> Found:
    found = Found()
    for split, path in _side_by_side_files(root):
        name = _name(path, split)
        if name in found.inputs:
            raise DataError(f"{found.inputs[name].path} and {path} have the same name; keep one of them.")
        found.inputs[name], found.targets[name] = Source(path, "left"), Source(path, "right")
        if split:
            found.splits[name] = split
    if not found.inputs:
        raise DataError(
            f"{root} holds no PNG, TIFF or JPEG image, and --layout side-by-side was stated: give a "
            f"folder of images A|B, or one with train/, val/ and test/{_offer(root)}."
        )
    return _sorted(found)


def _side_by_side_files(root: Path) -> Iterator[tuple[str, Path]]:
    """(split or "", path) of the files in train/, val/ and test/, or else of those in the folder itself."""
    folders = [split for split in SPLITS if (root / split).is_dir()]
    if folders:
        return ((split, path) for split in folders for path in _files(root / split))
    return (("", path) for path in _files(root))


def _suffixes(root: Path) -> Found:
    found, sides = Found(), ({}, {})  # type: tuple[Found, tuple[dict[str, Source], dict[str, Source]]]
    for path in _files(root):
        for end, side in zip(_ENDS, sides, strict=True):
            if path.stem.endswith(end) and path.stem != end:
                name = _name(path).removesuffix(end)
                if name in side:
                    raise DataError(f"{side[name].path} and {path} have the same name; keep one of them.")
                side[name] = Source(path)
    found.inputs, found.targets = sides
    if not found.inputs and not found.targets:
        raise DataError(
            f"{root} holds no NAME_input and NAME_target images, and --layout suffixes was stated; rename "
            f"the files, or state how they lie{_offer(root)}."
        )
    for one, other, lacking in (
        (found.inputs, found.targets, _ENDS[1]),
        (found.targets, found.inputs, _ENDS[0]),
    ):
        for name in sorted(one.keys() - other.keys()):
            raise DataError(
                f"{one[name]} has no partner: {root} has no PNG, TIFF or JPEG {name + lacking!r}."
            )
    return _sorted(found)


_FINDERS: dict[str, Callable[[Path], Found]] = {
    "folders": _beside("folders"),
    "images-masks": _beside("images-masks"),
    "train-ab": _train_ab,
    "side-by-side": _side_by_side,
    "suffixes": _suffixes,
}


def _has(root: Path, one: str, other: str) -> bool:
    return (root / one).is_dir() and (root / other).is_dir()


def _sorted(found: Found) -> Found:
    names = sorted(found.inputs)
    return Found(
        {name: found.inputs[name] for name in names},
        {name: found.targets[name] for name in names},
        found.splits,
    )


def _files(folder: Path) -> list[Path]:
    """The image files of a folder, sorted; hidden ones and folders are left out."""
    paths = sorted(folder.iterdir())
    return [p for p in paths if not p.name.startswith(".") and is_image(p.name) and not p.is_dir()]


def _name(path: Path, split: str = "") -> str:
    """The name of the pair of a file."""
    name = composed(path.stem)
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):  # control, or no text
        raise DataError(f"{path.parent} holds a file whose name is no plain text ({path.name!a}); rename it.")
    return f"{split}-{name}" if split else name


def _images(folder: Path, one: str, other: str) -> dict[str, Source]:
    """Image files of a folder by name without suffix, sorted; it needs the two folders `one` and `other`."""
    if not folder.is_dir():
        raise DataError(
            f"{folder} is missing; the folder needs both {one}/ and {other}/{_offer(folder.parent)}."
        )
    found: dict[str, Source] = {}
    for path in _files(folder):
        name = _name(path)
        if name in found:
            raise DataError(f"{found[name]} and {path} have the same name; keep one of them.")
        found[name] = Source(path)
    if not found:
        raise DataError(f"{folder} holds no PNG, TIFF or JPEG image.")
    return found


def _check_partners(found: Found, first: Path, second: Path) -> None:
    for one, other, lacking in (
        (found.inputs, found.targets, second),
        (found.targets, found.inputs, first),
    ):
        for name in sorted(one.keys() - other.keys()):
            raise DataError(f"{one[name]} has no partner: {lacking} has no PNG, TIFF or JPEG {name!r}.")


def _offer(root: Path) -> str:
    """The end of a sentence: which arrangements fit."""
    fitting = recognise(root)
    if not fitting:
        return ""
    return f", or state how the files lie, which look like {' or '.join(f'--layout {n}' for n in fitting)}"
