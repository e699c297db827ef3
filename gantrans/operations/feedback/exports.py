"""Exports of a store: verdicts as CSV, and training pairs as a `PairedFolder`."""

import csv
import io
import json
from pathlib import Path

from gantrans.data.folder import MANIFEST, write_folder
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.operations.feedback.records import Pair
from gantrans.operations.feedback.store import Store
from gantrans.training.checkpoint import write_atomically

_COLUMNS = ("item", "verdict", "note", "model", "made_at")


def verdict_table(store: Store) -> str:
    """The last verdict on every item as CSV: item, verdict, note, model, made_at, then the metrics."""
    verdicts = list(store.verdicts().values())
    measured = list(dict.fromkeys(name for verdict in verdicts for name in verdict.measured))
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*_COLUMNS, *measured])
    for verdict in verdicts:
        about = [getattr(verdict, column) for column in _COLUMNS]
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


def write_feedback(store: Store, directory: Path, direction: str, *, since: str | None = None) -> int:
    """Write the reviewed and corrected pairs of one direction as a `PairedFolder`; returns their number.

    Names are the ids of the predictions, so that a pair stays in its split (`hash_split`) in every later
    export. `feedback.json` records the origin of each target and the model version of its prediction.

    Args:
        since: ISO 8601, UTC; only pairs labelled or accepted after this time.

    Raises:
        DataError: there is no pair, pairs differ in pixel size, or the folder exists and is not empty.
    """
    pairs = [pair for pair in store.pairs(direction) if since is None or pair.made_at > since]
    if not pairs:
        raise DataError(
            f"{store.path} holds no reviewed or corrected pair for {direction}"
            f"{f' since {since}' if since else ''}; label or accept predictions first."
        )
    _write_pairs(store, directory, pairs, direction, _pixel_size(pairs, direction))
    return len(pairs)


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


def _write_pairs(
    store: Store, directory: Path, pairs: list[Pair], direction: str, pixel_nm: float | None
) -> None:
    manifest = {
        "format": 1,
        "input": registered(direction).input,
        "pixel_nm": pixel_nm,
        "source": "feedback",
        "family": {pair.prediction: pair.origin for pair in pairs},
    }
    about = {
        pair.prediction: {"target": pair.origin, "model": pair.model, "made_at": pair.made_at}
        for pair in pairs
    }

    def fill(folder: Path) -> None:
        for kind in ("input", "target"):
            (folder / kind).mkdir()
        for pair in pairs:
            (folder / "input" / f"{pair.prediction}.png").write_bytes(store.png(pair.input))
            (folder / "target" / f"{pair.prediction}.png").write_bytes(store.png(pair.target))
        (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        (folder / "feedback.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

    write_folder(directory, fill)
