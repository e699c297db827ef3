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
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from gantrans import ROOT
from gantrans.config import to_dict
from gantrans.errors import CheckpointError, ConfigError
from gantrans.files import locked, publish_folder, sync_file
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
        retrain: train even if the run is there, and replace it, as a damaged one is replaced always.

    Raises:
        ConfigError: the cache cannot be written; a run that is there is loaded nevertheless.
    """
    root = root or _ROOT.get() or Path(os.environ.get("GANTRANS_CACHE") or CACHE)
    made_by = {"code": code_version(), "experiment": experiment_version(train)}
    key = digest({"config": _plain(config), "data": _plain(data), **made_by})[:12]
    folder = root / f"{name}-{key}"
    waiting = f"waiting for another process that works on run {key}"
    with ExitStack() as lock:
        try:
            root.mkdir(parents=True, exist_ok=True)
            lock.enter_context(locked(root / f".{name}-{key}.lock", waiting))
        except OSError as error:
            if retrain or not (folder / "run.json").exists():
                raise _unwritable(root, error) from error
        if not retrain and (folder / "run.json").exists():
            try:
                story, date = _told(folder)
                loaded = load(folder)
            except (_DamageError, CheckpointError) as damage:
                print(f"run {key} is damaged ({str(damage).rstrip('.')}) and is trained again")
            else:
                print(f"loaded run {key} of {date} ({story}); retrain=True trains it again")
                return loaded
        _train(train, folder, name, key)
        print(f"trained run {key} ({_told(folder)[0]})")  # no date: a notebook's output is to be repeatable
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
        shutil.rmtree(left, ignore_errors=True)
    # Not from `tempfile`, whose folders nobody else may read: users can share a cache.
    temporary = folder.parent / f".{name}-{key}.tmp{os.getpid()}-{uuid.uuid4().hex[:6]}"
    try:
        temporary.mkdir()
    except OSError as error:
        raise _unwritable(folder.parent, error) from error
    try:
        numbers = train(temporary)
        try:
            _publish(temporary, folder, numbers or {})
        except OSError as error:
            raise _unwritable(folder.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, folder: Path, numbers: Mapping[str, Any]) -> None:
    """Describe a finished run, its files with their sizes included, and give it its name."""
    files = [path for path in sorted(temporary.rglob("*")) if path.is_file()]
    about = {
        "trained": datetime.now(UTC).isoformat(timespec="seconds"),
        "numbers": dict(numbers),
        "files": {path.relative_to(temporary).as_posix(): path.stat().st_size for path in files},
    }
    (temporary / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    for path in (*files, temporary / "run.json"):
        sync_file(path)
    if folder.exists():
        shutil.rmtree(folder)
    publish_folder(temporary, folder)


def _unwritable(root: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"The cache {root} cannot be written ({error.strerror or error}); make room or get the right to, "
        "or set GANTRANS_CACHE to a folder of yours."
    )


class _DamageError(Exception):
    """A stored run is not whole."""


def _told(folder: Path) -> tuple[str, str]:
    """The numbers and the date of a stored run, in words.

    Raises:
        _DamageError: its description or one of its files is empty, cut or missing.
    """
    try:
        about = json.loads((folder / "run.json").read_text("utf-8"))
        numbers, date = dict(about["numbers"]), str(about["trained"])[:16].replace("T", " ")
        sizes = dict(about.get("files", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _DamageError("run.json cannot be read") from error
    for name, size in sizes.items():
        path = folder / name
        there = path.stat().st_size if path.is_file() else 0
        if there != size:
            raise _DamageError(f"{name} has {there:,} of {size:,} bytes")
    story = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in numbers.items())
    return story, f"{date} UTC"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {"": type(value).__name__, **to_dict(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
