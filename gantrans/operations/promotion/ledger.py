"""The changes of a registry: an append-only history whose lines are chained by hashes, and the present state.

A change is first appended to `history.jsonl`, then `aliases.json` is replaced. The rename commits the change:
after a kill before it the old state holds and the new line has no effect; after a later kill the new state
holds. `regimes` adds what a person decides about conditions and quality, `registry` the changes of versions.
"""

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gantrans.directions import directions
from gantrans.operations.promotion.disk import Disk, as_json, read_json
from gantrans.operations.promotion.versions import MANIFEST, RegistryError, Version, digest

HISTORY, ALIASES = "history.jsonl", "aliases.json"
ALIAS_NAMES = ("champion", "challenger", "previous")
_VERSION = re.compile(r"v\d{4,}")


@dataclass(frozen=True)
class Aliases:
    """The aliases of a direction. `line` holds all champions for rollbacks, the present one last."""

    line: tuple[str, ...] = ()
    challenger: str | None = None
    event: int = 0
    hash: str = ""
    manifests: Mapping[str, str] = field(default_factory=dict)

    @property
    def champion(self) -> str | None:
        """The version that serves."""
        return self.line[-1] if self.line else None

    @property
    def previous(self) -> str | None:
        """The version that a rollback brings back."""
        return self.line[-2] if len(self.line) > 1 else None


class Ledger:
    """State, versions and history per direction; safe against kills and concurrent processes.

    Args:
        root: the registry's folder, created with the first version.
        disk: file operations; tests pass one that fails.
        clock: seconds since 1970, for the history.
    """

    def __init__(
        self, root: Path, *, disk: Disk | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.root, self.disk, self.clock = Path(root), disk or Disk(), clock

    def aliases(self, direction: str) -> Aliases:
        """The present state; without a champion if no version is registered.

        Raises:
            DiskError: the file cannot be read. RegistryError: it has another content than a registry writes.
        """
        path = self._folder(direction) / ALIASES
        if not path.exists():
            return Aliases()
        return _state(read_json(path), path)

    def history(self, direction: str) -> list[dict[str, Any]]:
        """Every change that took effect, oldest first; the chain of hashes is followed and checked.

        Raises:
            RegistryError: a line is missing or was altered.
        """
        path = self._folder(direction) / HISTORY
        wanted = self.aliases(direction).hash  # read first: a line precedes its state
        known: dict[str, dict[str, Any]] = {}
        for line in path.read_bytes().splitlines() if path.exists() else []:
            record = _record(line)
            if record is not None:
                known[record["hash"]] = record
        chain: list[dict[str, Any]] = []
        while wanted:
            if wanted not in known:
                raise RegistryError(
                    f"{path} lacks a change that took effect, or it was altered; restore it from a backup."
                )
            chain.append(known[wanted])
            wanted = chain[-1]["parent"]
        return chain[::-1]

    def version(self, direction: str, name: str) -> Version:
        """A version by its name or by an alias: "champion", "challenger" or "previous".

        Raises:
            RegistryError: there is none.
        """
        found = name
        if name in ALIAS_NAMES:
            found = getattr(self.aliases(direction), name)
            if found is None:
                raise RegistryError(
                    f"There is no {name} for {direction} in {self.root}; promote a version first."
                )
        folder = self._folder(direction) / "versions" / found
        if not _VERSION.fullmatch(found) or not (folder / MANIFEST).is_file():
            there = ", ".join(self.versions(direction)) or "none"
            raise RegistryError(f"There is no version {found!r} of {direction}; there are {there}.")
        return Version(found, folder, read_json(folder / MANIFEST))

    def versions(self, direction: str) -> list[str]:
        """The names of all complete versions, oldest first."""
        there = (path.name for path in (self._folder(direction) / "versions").glob("v[0-9]*"))
        return sorted((name for name in there if _VERSION.fullmatch(name)), key=lambda name: int(name[1:]))

    def _change(
        self,
        direction: str,
        state: Aliases,
        action: str,
        name: str,
        details: Mapping[str, Any],
        *,
        line: Sequence[str] | None = None,
        challenger: str | None = None,
    ) -> dict[str, Any]:
        """Append a change to the history, then replace the state; the caller holds the lock.

        `line` None: the aliases stay as they are. Returns the line of the history.
        """
        folder = self._folder(direction)
        if line is None:
            line, challenger = state.line, state.challenger
        named = {*line, *([challenger] if challenger else [])} - state.manifests.keys()
        noted = {v: digest((folder / "versions" / v / MANIFEST).read_bytes()) for v in sorted(named)}
        after = {
            "event": state.event + 1,
            "line": list(line),
            "challenger": challenger,
            "manifests": {**state.manifests, **noted},  # of the first time: a later one would hide a change
        }
        record: dict[str, Any] = {
            **after,
            "time": self._now(),
            "action": action,
            "version": name,
            "details": dict(details),
            "parent": state.hash,
        }
        record["hash"] = digest(as_json(record))
        for left in folder.glob(f".{ALIASES}.*.tmp"):  # of a process that was killed, by earlier versions
            left.unlink(missing_ok=True)
        self.disk.append(folder / HISTORY, as_json(record))
        self.disk.put(folder / ALIASES, as_json({**after, "hash": record["hash"]}))
        return record

    def _folder(self, direction: str) -> Path:
        if direction not in directions():
            raise RegistryError(
                f"There is no direction {direction!r}; choose one of {', '.join(directions())}."
            )
        return self.root / direction

    def _lock(self, direction: str) -> Path:
        folder = self._folder(direction)
        if not folder.is_dir():
            raise RegistryError(
                f"Nothing is registered for {direction} in {self.root}; register a run first."
            )
        return folder / ".lock"

    def _now(self) -> str:
        return datetime.fromtimestamp(self.clock(), UTC).isoformat(timespec="seconds")


def _state(stored: Mapping[str, Any], path: Path) -> Aliases:
    """The contents of `aliases.json`, checked: nothing about it is guessed."""
    line, challenger, manifests = (stored.get(name) for name in ("line", "challenger", "manifests"))
    names: list[Any] = line if isinstance(line, list) else [None]
    fits = (
        all(isinstance(name, str) for name in names)
        and (challenger is None or isinstance(challenger, str))
        and isinstance(stored.get("event"), int)
        and isinstance(stored.get("hash"), str)
        and isinstance(manifests, dict)
    )
    if not fits:
        raise RegistryError(f"{path} holds no state of a registry; restore it from a backup.")
    return Aliases(tuple(names), challenger, stored["event"], stored["hash"], stored["manifests"])


def _record(line: bytes) -> dict[str, Any] | None:
    """A line of the history, or None if it is truncated or was altered."""
    try:
        record = json.loads(line)
        stated = record.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return {**record, "hash": stated} if digest(as_json(record)) == stated else None
