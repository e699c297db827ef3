"""Exports of a store: verdicts as CSV, and training pairs as a `PairedFolder`."""

import csv
import io
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from gantrans.config import to_dict
from gantrans.data.encoding import Encoding
from gantrans.data.folder import MANIFEST, write_folder
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.operations.feedback.encodings import encoding_of
from gantrans.operations.feedback.kept import Picture
from gantrans.operations.feedback.records import ACCEPTED, ORIGINS, Pair
from gantrans.operations.feedback.store import Store
from gantrans.training.checkpoint import write_atomically

_COLUMNS = ("item", "verdict", "note", "model", "made_at", "reviewer")
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""Beginnings of a cell that a spreadsheet evaluates, the full-width forms, too, after any apostrophes."""
CUT = 0.5
"""Level at which an accepted output becomes a two-valued target."""


def plain_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: with an apostrophe in front where it could.

    `cell_text` gives the text back.
    """
    return "'" + text if _FORMULA.match(text) else text


def cell_text(cell: str) -> str:
    """The text that `plain_cell` wrote as `cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def verdict_table(store: Store) -> str:
    """The last verdict on every item as CSV: item, verdict, note, model, made_at, reviewer, the metrics.

    Texts are written by `plain_cell`, numbers as they are.
    """
    verdicts = list(store.verdicts().values())
    measured = list(dict.fromkeys(name for verdict in verdicts for name in verdict.measured))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *map(plain_cell, measured)])
    for verdict in verdicts:
        about = [plain_cell(getattr(verdict, column)) for column in _COLUMNS]
        writer.writerow([*about, *(verdict.measured.get(name) for name in measured)])
    return text.getvalue()


def write_verdicts(store: Store, path: Path) -> int:
    """Write `verdict_table` to a file, which appears complete or not at all; returns the number of verdicts.

    Raises:
        DataError: its folder does not exist. CheckpointError: the file cannot be written.
    """
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist; make it or export somewhere else.")
    write_atomically(path, verdict_table(store).encode())
    return len(store.verdicts())


def write_feedback(
    store: Store,
    directory: Path,
    direction: str,
    *,
    since: str | None = None,
    origins: Collection[str] = ORIGINS,
) -> int:
    """Write the reviewed and corrected pairs of one direction as a `PairedFolder`; returns their number.

    Names are the ids of the predictions, so that a pair stays in its split (`hash_split`) in every later
    export. `feedback.json` records the origin of each target and the model version of its prediction. An
    accepted output of a direction with binary targets is cut at `CUT`; see `self_training`, too. `pairs.json`
    states colour, classes and 16 bits as the folder has them: its values are scaled, so white is the largest.

    Args:
        since: ISO 8601, UTC; only pairs labelled or accepted after this time.
        origins: which of `ORIGINS` are written.

    Raises:
        DataError: there is no pair, pairs differ in pixel size, channels or classes, or the folder exists and
            is not empty.
        DamagedPictureError: a picture was altered; nothing is written.
    """
    pairs = chosen_pairs(store, direction, since=since, origins=origins)
    if not pairs:
        raise DataError(
            f"{store.path} holds no reviewed or corrected pair for {direction}"
            f"{f' since {since}' if since else ''}; label or accept predictions first."
        )
    _write_pairs(
        store, directory, pairs, direction, _pixel_size(pairs, direction), _encoding(store, pairs, direction)
    )
    return len(pairs)


def chosen_pairs(
    store: Store, direction: str, *, since: str | None = None, origins: Collection[str] = ORIGINS
) -> list[Pair]:
    """The pairs that `write_feedback` writes, oldest first."""
    pairs = store.pairs(direction)
    return [p for p in pairs if p.origin in origins and (since is None or p.made_at > since)]


def self_training(pairs: Sequence[Pair]) -> str | None:
    """A warning if accepted outputs are among the targets; None if there are none."""
    accepted = sum(pair.origin == ACCEPTED for pair in pairs)
    if not accepted:
        return None
    return (
        f"{accepted} of {len(pairs)} targets are accepted outputs of the model itself: training on them is "
        "self-training. It confirms what the model does already, its small errors included, and cannot show "
        "that quality rises; judge by labels that were measured."
    )


def training_target(store: Store, pair: Pair, direction: str) -> Picture:
    """The target of a pair; an accepted output of a binary kind is cut at `CUT`.

    Raises:
        DamagedPictureError: its bytes were altered.
    """
    target = store.picture(pair.target)
    if pair.origin == ACCEPTED and registered(direction).target_kind == "binary":
        return Picture.of((target.unit() >= CUT).float())
    return target


def _pixel_size(pairs: list[Pair], direction: str) -> float | None:
    """The pixel size that all pairs share."""
    sizes = {pair.pixel_nm for pair in pairs}
    if len(sizes) > 1:
        listed = ", ".join(
            "unknown" if s is None else f"{s:g} nm" for s in sorted(sizes, key=lambda s: s or 0)
        )
        raise DataError(
            f"The pairs for {direction} have several pixel sizes ({listed}); export them separately, for "
            "example by --since."
        )
    return sizes.pop()


def _encoding(store: Store, pairs: list[Pair], direction: str) -> Encoding:
    """What describes the pictures of all pairs."""
    found = {encoding_of(store, direction, model) for model in {pair.model for pair in pairs}}
    if len(found) > 1:
        raise DataError(
            f"The pairs for {direction} come from models with other colours or classes; export them separately, "
            "for example by --since."
        )
    return found.pop()


def _write_pairs(
    store: Store,
    directory: Path,
    pairs: list[Pair],
    direction: str,
    pixel_nm: float | None,
    encoding: Encoding,
) -> None:
    manifest = {
        "format": 1,
        "input": registered(direction).input,
        "pixel_nm": pixel_nm,
        "source": "feedback",
        "family": {pair.prediction: pair.origin for pair in pairs},
        **{name: value for name, value in to_dict(encoding).items() if name in ("colour", "classes") and value},
    }
    about = {
        pair.prediction: {"target": pair.origin, "model": pair.model, "made_at": pair.made_at}
        for pair in pairs
    }

    def fill(folder: Path) -> None:
        for kind in ("input", "target"):
            (folder / kind).mkdir()
        deep = False
        for pair in pairs:
            both = store.picture(pair.input), training_target(store, pair, direction)
            for kind, picture in zip(("input", "target"), both, strict=True):
                (folder / kind / f"{pair.prediction}.png").write_bytes(picture.png())
                deep = deep or picture.depth == 16
        stated = manifest | ({"bits": 16} if deep else {})
        (folder / MANIFEST).write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")
        (folder / "feedback.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    write_folder(directory, fill)
