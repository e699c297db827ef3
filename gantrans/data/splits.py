"""The split of each pair: by `split.csv`, by the folder it lies in, or by a hash of its name or group."""

import csv
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from gantrans.data.arrangements import SPLITS, composed, is_image
from gantrans.errors import DataError

FILE = "split.csv"


def splits_of(
    root: Path, names: Iterable[str], given: Mapping[str, str], split_by: str | None
) -> dict[str, str]:
    """The split of each pair: "train", "val" or "test".

    `split.csv` wins over folders, folders over the hash. Folders without a `val` have the hash decide which
    of their training pairs are used for validation.

    Args:
        given: the splits that the folders give.
        split_by: a regular expression; names that agree in its group are in one split, and the hash is that
            of the group.

    Raises:
        DataError: `split.csv` is wrong, a name has no group, or a group is in two splits.
    """
    names = list(names)
    groups = {name: name if split_by is None else group_of(name, split_by) for name in names}
    if (root / FILE).is_file():
        chosen, by = _listed(root / FILE, names), f"{root / FILE} puts"
    elif given:
        chosen, by = _by_folders(given, groups), f"The folders of {root} put"
    else:
        return {name: hash_split(groups[name]) for name in names}
    if split_by is not None:
        _check_groups(chosen, groups, split_by, by)
    return chosen


def hash_split(name: str) -> str:
    """The split of a name: 80 % train, 10 % val, 10 % test, on every machine and in every version."""
    digit = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") % 10
    return "train" if digit < 8 else "val" if digit == 8 else "test"


def group_of(name: str, split_by: str) -> str:
    """What the first group of a regular expression matches in a name; its whole match without a group.

    Raises:
        DataError: nothing.
    """
    match = re.search(split_by, name)
    found = None if match is None else match.group(1 if match.re.groups else 0)
    if not found:
        raise DataError(
            f"--split-by {split_by!r} finds no group in the name {name!r}; state an expression that matches "
            "all names, or rename the file."
        )
    return found


def _by_folders(given: Mapping[str, str], groups: Mapping[str, str]) -> dict[str, str]:
    if "val" in given.values():
        return {name: given[name] for name in groups}
    held = {name for name in groups if given[name] == "train" and hash_split(groups[name]) == "val"}
    return {name: "val" if name in held else given[name] for name in groups}


def _check_groups(chosen: Mapping[str, str], groups: Mapping[str, str], split_by: str, by: str) -> None:
    first: dict[str, str] = {}
    for name, group in groups.items():
        other = first.setdefault(group, name)
        if chosen[other] != chosen[name]:
            raise DataError(
                f"{by} {other!r} in {chosen[other]} and {name!r} in {chosen[name]}, but both are of the "
                f"group {group!r} of --split-by {split_by!r}; put a group in one split, or leave out one of the two."
            )


def _listed(path: Path, names: Iterable[str]) -> dict[str, str]:
    try:
        table = csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines())
        rows = list(table)
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path} is not a text file of comma-separated values ({error}).") from error
    if not {"name", "split"} <= set(table.fieldnames or ()):
        raise DataError(f"{path} needs a first line with the columns name,split.")
    stated = [composed(str(row["name"])) for row in rows]
    listed: dict[str, str] = {}
    for one, split in zip(stated, (row["split"] for row in rows), strict=True):
        name = Path(one).stem if is_image(one) else one
        if listed.setdefault(name, split) != split:
            raise DataError(
                f"{path} gives {name!r} two splits, {listed[name]!r} and {split!r}; keep one of them."
            )
    for name in names:
        if listed.get(name) not in SPLITS:
            raise DataError(
                f"{path} gives {name!r} the split {listed.get(name)!r}; write train, val or test."
            )
    return {name: listed[name] for name in names}
