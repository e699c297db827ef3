"""The learner's progress: one small JSON file that stays on this machine.

It keeps exercise states, predictions and recall answers in `runs/learner/progress.json` (GANTRANS_PROGRESS
names another place). Writing goes to a temporary file that is synced and renamed, so a crash leaves the old
file or the new one, never half of one. Deleting the file is always allowed: the course then simply starts
afresh.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.files import locked, rename_file, replace_file

SECTIONS = ("exercises", "predictions", "recall")
FORMAT = 1
Entry = dict[str, Any]


def progress_path() -> Path:
    """Where progress is kept: GANTRANS_PROGRESS if set, else `runs/learner/progress.json`."""
    return Path(os.environ.get("GANTRANS_PROGRESS") or ROOT / "runs" / "learner" / "progress.json")


def load() -> dict[str, dict[str, Any]]:
    """Everything stored, as {section: {id: entry}}; a missing file is an empty one.

    A damaged file is renamed to `progress.json.bad`, one printed sentence says so, and a fresh start is
    returned.
    """
    path = progress_path()
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(stored, dict) and all(isinstance(stored.get(s, {}), dict) for s in SECTIONS)):
            raise ValueError("not a progress file")
    except FileNotFoundError:
        stored = {}
    except ValueError:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        kept = path.with_name(path.name + ".bad")
        rename_file(path, kept)
        print(f"Your progress file was damaged; it is kept as {kept.name} and a new one is started.")
        stored = {}
    return {section: stored.get(section, {}) for section in SECTIONS}


def get(section: str, key: str) -> dict[str, Any]:
    """One stored entry, or an empty dict."""
    return dict(load()[section].get(key, {}))


def update(section: str, key: str, **changes: Any) -> dict[str, Any]:
    """Merge `changes` (plain JSON values) into one entry, store the file atomically, return the entry."""
    return change(section, key, lambda entry, _: {**entry, **changes})


def change(section: str, key: str, new: Callable[[Entry, dict[str, Entry]], Entry]) -> Entry:
    """Replace one entry by `new(entry, section)`, so that nothing another notebook stores meanwhile is lost.

    An entry that stays as it was is not written.
    """
    path = progress_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")):  # two lessons may run at a time
        stored = load()
        before = stored[section].get(key, {})
        entry = new(dict(before), stored[section])
        if entry != before:
            stored[section][key] = entry
            _write({"format": FORMAT, **stored})
        return dict(entry)


def reset() -> None:
    """Forget everything: delete the file if it is there."""
    progress_path().unlink(missing_ok=True)


def _write(content: dict[str, Any]) -> None:
    replace_file(progress_path(), json.dumps(content, indent=1, sort_keys=True))
