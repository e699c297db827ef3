"""Train or load: a run with the same configuration, data and code is trained once on a machine.

The key of a run is a hash of its configuration, of what identifies its data, of the library's code and of
the lesson's modules that ask for it (`fingerprint`). One process trains a key while others wait; the result
appears whole or not at all, because it is made in a temporary folder and renamed.
"""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from gantrans import ROOT
from gantrans.config import to_dict
from gantrans.files import locked, publish_folder
from gantrans.teaching.fingerprint import code_version, digest, experiment_version

T = TypeVar("T")

CACHE = ROOT / "runs" / "cache"
_ROOT: ContextVar[Path | None] = ContextVar("cache folder of train_or_load", default=None)


def train_or_load(
    config: Any,
    train: Callable[[Path], Mapping[str, Any] | None],
    load: Callable[[Path], T],
    *,
    name: str,
    data: Any = None,
    root: Path | None = None,
    retrain: bool = False,
) -> T:
    """Load the run of this configuration, data and code, or train it first; say in one line which.

    Args:
        config: a configuration, or a dict or list of them: everything that decides the result, seed included.
        train: called with an empty folder to fill; may return a few numbers to print, such as {"IoU": .84}.
            Its module, what it has captured and all that these import from the lessons are part of the key.
        load: called with the finished folder; its value is returned.
        name: first part of the folder's name, for people.
        data: what identifies the data (source, size, count, seed).
        root: where runs are kept; the environment's GANTRANS_CACHE or `runs/cache` unless given.
        retrain: train even if the run is there, and replace it.
    """
    root = root or _ROOT.get() or Path(os.environ.get("GANTRANS_CACHE") or CACHE)
    root.mkdir(parents=True, exist_ok=True)
    made_by = {"code": code_version(), "experiment": experiment_version(train)}
    key = digest({"config": _plain(config), "data": _plain(data), **made_by})[:12]
    folder = root / f"{name}-{key}"
    waiting = f"waiting for another process that works on run {key}"
    with locked(root / f".{name}-{key}.lock", waiting):
        if retrain or not (folder / "run.json").exists():
            _train(train, folder, name, key)
            print(f"trained run {key} ({_story(folder)})")  # no date: a notebook's output is to be repeatable
        else:
            print(f"loaded run {key} of {_date(folder)} ({_story(folder)}); retrain=True trains it again")
        return load(folder)


@contextmanager
def from_scratch() -> Iterator[Path]:
    """Inside, `train_or_load` starts from an empty folder that is removed at the end: no cache is used."""
    with tempfile.TemporaryDirectory(prefix="gantrans-") as folder:
        token = _ROOT.set(Path(folder))
        try:
            yield Path(folder)
        finally:
            _ROOT.reset(token)


def config_hash(config: Any) -> str:
    """Hash of a configuration, dict or list of them (12 digits); of nothing: an empty string."""
    return "" if config is None else digest(_plain(config))[:12]


def _train(train: Callable[[Path], Mapping[str, Any] | None], folder: Path, name: str, key: str) -> None:
    for left in folder.parent.glob(f".{name}-{key}.tmp*"):  # of a process that was killed; we hold the lock
        shutil.rmtree(left)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-{key}.tmp", dir=folder.parent))
    try:
        numbers = train(temporary)
        about = {"trained": datetime.now(UTC).isoformat(timespec="seconds"), "numbers": dict(numbers or {})}
        (temporary / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        publish_folder(temporary, folder, sync=False)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _story(folder: Path) -> str:
    numbers = json.loads((folder / "run.json").read_text("utf-8"))["numbers"]
    return ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items())


def _date(folder: Path) -> str:
    return json.loads((folder / "run.json").read_text("utf-8"))["trained"][:16].replace("T", " ") + " UTC"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"": type(value).__name__, **to_dict(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
