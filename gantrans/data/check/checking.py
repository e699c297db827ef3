"""The check of a folder of pairs: read it once, measure it, apply the rules."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check import rules_of_files, rules_of_pairs, rules_of_values
from gantrans.data.check.facts import Reader, all_facts
from gantrans.data.check.findings import SEVERITIES, WARNING, Finding
from gantrans.data.check.look import Look, Side, found_kind
from gantrans.data.check.reader import reader
from gantrans.data.check.report import Report
from gantrans.data.encoding import Encoding
from gantrans.data.folder import MANIFEST, PairedFolder
from gantrans.directions import Direction, directions, images_of
from gantrans.directions import direction as registered
from gantrans.errors import ConfigError, DataError

Rule = Callable[[Look], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    rules_of_files.unreadable,
    rules_of_files.bits_unstated,
    rules_of_files.sizes,
    rules_of_files.splits,
    rules_of_values.empty,
    rules_of_values.alike,
    rules_of_values.dark,
    rules_of_values.mask_values,
    rules_of_values.class_numbers,
    rules_of_values.colour,
    rules_of_pairs.swapped,
    rules_of_pairs.target_is_input,
    rules_of_pairs.shuffled,
    rules_of_pairs.polarity,
    rules_of_pairs.shifted,
    rules_of_pairs.repeated,
    rules_of_pairs.near_copies,
    rules_of_values.grey_masks,
    rules_of_files.mixed,
    rules_of_values.mostly_white,
    rules_of_files.groups_of_names,
)
"""In the order in which findings of one severity are reported."""
ACCEPTABLE = (
    "few-pairs", "mixed-encodings", "class-numbers", "colour-target", "colour-input", "grey-targets",
    "lossy-masks", "flat-targets", "flat-inputs", "flat-validation", "target-is-input", "mixed-polarity",
    "shifted", "turned", "shuffled", "unrelated", "copies-across-splits", "contradicting", "copies",
    "near-copies",
)  # fmt: skip
"""The names that a warning can have."""


def check_folder(
    root: str | Path,
    *,
    direction: str | None = None,
    encoding: Encoding | None = None,
    bits: int | None = None,
    size: int | None = None,
    accept: Iterable[str] = (),
    progress: bool = True,
) -> Report:
    """Check the pairs of a folder.

    Args:
        direction: a registered one; None: that of pairs.json, else only what the targets are is found out.
        encoding, bits: as stated, see `PairedFolder`.
        size: side of the network's images in pixels; smaller images are refused.
        accept: names of warnings that do not stop a training.

    Raises:
        DataError: there is no folder of pairs, a partner is missing, or pairs.json or split.csv are wrong.
        ConfigError: `accept` has a name that no warning has.
    """
    accepted = checked_names(accept)
    folder = PairedFolder(root, bits=bits)
    chosen, swapped = _direction(folder, direction)
    look = _look(folder, chosen, swapped, encoding or Encoding(), size, progress)
    found = [one for rule in RULES for one in rule(look)]
    found = [one.accept() if one.severity == WARNING and one.name in accepted else one for one in found]
    order = {severity: place for place, severity in enumerate(SEVERITIES)}
    return Report(look, tuple(sorted(found, key=lambda one: order[one.severity])))


def checked_names(accept: Iterable[str]) -> set[str]:
    """The names of warnings to accept.

    Raises:
        ConfigError: there is no such warning; the message lists those there are.
    """
    names = set(accept)
    if wrong := sorted(names - set(ACCEPTABLE)):
        raise ConfigError(
            f"There is no warning {wrong[0]!r} to accept; there are {', '.join(sorted(ACCEPTABLE))}."
        )
    return names


def _direction(folder: PairedFolder, name: str | None) -> tuple[Direction | None, bool]:
    """The direction, and whether the folder's input is the training's target."""
    held = folder.manifest.get("input")
    if name is None:
        fitting = [d for d in map(registered, directions()) if d.input == held]
        return (fitting[0] if len(fitting) == 1 else None), False
    chosen = registered(name)
    if held is not None and held not in (chosen.input, chosen.target):
        raise DataError(
            f"{folder.root / MANIFEST} states that input/ holds {held!r} images, but {name} translates"
            f" between {' and '.join(images_of(name))}; choose another direction or correct the file."
        )
    return chosen, held == chosen.target


def _look(
    folder: PairedFolder,
    direction: Direction | None,
    swapped: bool,
    encoding: Encoding,
    size: int | None,
    progress: bool,
) -> Look:
    sources, names = (folder.inputs, folder.targets), ("input", "target")
    readers = tuple(reader(encoding.side(name), folder.bits) for name in names)
    if swapped:
        sources, names, readers = sources[::-1], names[::-1], readers[::-1]
    jobs = [(name, folder.split[name], sources[0][name], sources[1][name]) for name in folder.inputs]
    pairs = all_facts(jobs, *readers, progress=progress, name=folder.root.name)
    sides = (
        Side("input", names[0], [pair.input for pair in pairs]),
        Side("target", names[1], [pair.target for pair in pairs]),
    )
    kind = "classes" if encoding.classes else direction.target_kind if direction else found_kind(sides[1])
    return Look(
        root=folder.root,
        pairs=pairs,
        input=sides[0],
        target=sides[1],
        direction=direction,
        kind=kind,
        guessed=direction is None and not encoding.classes,
        encoding=encoding,
        bits=folder.bits,
        side=size,
        load_input=_loader([job[2] for job in jobs], readers[0]),
        load_target=_loader([job[3] for job in jobs], readers[1]),
    )


def _loader(sources: list[Any], read: Reader) -> Callable[[int], NDArray[np.uint8]]:
    def load(index: int) -> NDArray[np.uint8]:
        return read(sources[index])[2]().grey

    return load
