"""The model registry: versions of translators on disk, with the aliases champion, challenger and previous.

    registry/sem2layout/versions/v0001/   weights.safetensors  for serving: data only, no code inside
                                          last.pt              training checkpoint for fine-tuning
                                          version.json         recipe, parent, metrics, SHA-256 of both files
    registry/sem2layout/history.jsonl     one line per change, append-only, chained by hashes
    registry/sem2layout/aliases.json      the present state, and the hash of its line in the history

A change is first appended to the history, then `aliases.json` is replaced. The rename commits the change:
after a kill before it the old state holds and the new line has no effect; after a later kill the new state
holds. At every moment there is exactly one champion. The alias names are those of MLflow's registry.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from gantrans.directions import directions
from gantrans.files import locked
from gantrans.operations.promotion.disk import Disk, as_json, read_json
from gantrans.operations.promotion.versions import (
    MANIFEST,
    RegistryError,
    Version,
    digest,
    load_predictor,
    pack,
    verify_files,
)
from gantrans.translation import Predictor

HISTORY, ALIASES = "history.jsonl", "aliases.json"


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


class Registry:
    """Versions per direction; every method is safe against kills and concurrent processes.

    Args:
        root: its folder, created with the first version.
        disk: file operations; tests pass one that fails.
        clock: seconds since 1970, for the history.
    """

    def __init__(
        self, root: Path, *, disk: Disk | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.root, self.disk, self.clock = Path(root), disk or Disk(), clock

    # ---- reading

    def aliases(self, direction: str) -> Aliases:
        """The present state; without a champion if no version is registered."""
        path = self._folder(direction) / ALIASES
        if not path.exists():
            return Aliases()
        stored = read_json(path)
        return Aliases(
            tuple(stored["line"]),
            stored["challenger"],
            stored["event"],
            stored["hash"],
            stored["manifests"],
        )

    def champion(self, direction: str) -> Path:
        """The folder of the version that serves; `load_predictor` reads it.

        Raises:
            RegistryError: there is no champion.
        """
        return self.version(direction, "champion").folder

    def version(self, direction: str, name: str) -> Version:
        """A version by its name or by an alias: "champion", "challenger" or "previous".

        Raises:
            RegistryError: there is none.
        """
        found = name
        if name in ("champion", "challenger", "previous"):
            found = getattr(self.aliases(direction), name)
            if found is None:
                raise RegistryError(
                    f"There is no {name} for {direction} in {self.root}; promote a version first."
                )
        folder = self._folder(direction) / "versions" / found
        if not (folder / MANIFEST).is_file():
            there = ", ".join(self.versions(direction)) or "none"
            raise RegistryError(f"There is no version {found!r} of {direction}; there are {there}.")
        return Version(found, folder, read_json(folder / MANIFEST))

    def versions(self, direction: str) -> list[str]:
        """The names of all complete versions, oldest first."""
        return sorted(path.name for path in (self._folder(direction) / "versions").glob("v[0-9]*"))

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

    def verify(self, direction: str, name: str) -> Version:
        """Compare all files of a version with the hashes taken at registration.

        Raises:
            RegistryError: a file is missing or was altered.
        """
        version = self.version(direction, name)
        noted = self.aliases(direction).manifests.get(version.name)
        if noted is not None and noted != digest((version.folder / MANIFEST).read_bytes()):
            raise RegistryError(f"{version.folder / MANIFEST} was altered after it was registered.")
        verify_files(version.folder)
        return version

    def predictor(
        self, direction: str, name: str = "champion", device: torch.device | None = None
    ) -> Predictor:
        """The translator of a version; its files are verified first."""
        return load_predictor(self.verify(direction, name).folder, device)

    # ---- changing

    def register(
        self,
        run: Path,
        *,
        parent: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        note: str = "",
    ) -> Version:
        """Copy a training run (its best checkpoint, else its last) into a new version: the challenger.

        Raises:
            CheckpointError: `run` cannot be read.
            RegistryError: it holds no translator.
            DiskError: a write failed; champion and challenger are unchanged.
        """
        packed = pack(run)
        direction = packed.recipe.direction
        folder = self._folder(direction)
        (folder / "versions").mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):
            name = f"v{1 + max((int(v[1:]) for v in self.versions(direction)), default=0):04d}"
            manifest = packed.manifest(
                version=name,
                direction=direction,
                created=self._now(),
                parent=parent,
                metrics=dict(metrics or {}),
                note=note,
            )
            self._publish(folder / "versions", name, {**packed.files, MANIFEST: manifest})
            state = self.aliases(direction)
            self._change(direction, state, "register", name, state.line, name, {"note": note})
        return self.version(direction, name)

    def promote(
        self,
        direction: str,
        name: str = "challenger",
        *,
        over: str | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> Version:
        """Make a version the champion after verifying its files; the former champion becomes `previous`.

        Args:
            over: the champion that the gate compared it with; an error if it is no longer the champion.
            details: plain values for the history, such as the gate's decision.

        Raises:
            RegistryError: the version is missing, damaged or champion already, or the champion has changed.
            DiskError: a write failed; the champion is unchanged.
        """
        with locked(self._lock(direction)):
            version, state = self.verify(direction, name), self.aliases(direction)
            if version.name == state.champion:
                raise RegistryError(
                    f"{version.name} is the champion of {direction} already; nothing was changed."
                )
            if over is not None and over != state.champion:
                raise RegistryError(
                    f"{version.name} was compared with {over}, but the champion is {state.champion} now; "
                    "compare again."
                )
            waiting = None if state.challenger == version.name else state.challenger
            line = (*state.line, version.name)
            self._change(direction, state, "promote", version.name, line, waiting, details or {})
        return version

    def rollback(self, direction: str, *, why: str) -> Version:
        """Make the previous champion the champion again, after verifying its files.

        Raises:
            RegistryError: there is no previous champion, or it is damaged.
            DiskError: a write failed; the champion is unchanged.
        """
        with locked(self._lock(direction)):
            state = self.aliases(direction)
            if state.previous is None:
                raise RegistryError(f"{direction} has no earlier champion to return to; promote a version.")
            version = self.verify(direction, state.previous)
            self._change(
                direction, state, "rollback", version.name, state.line[:-1], state.challenger,
                {"why": why, "from": state.champion},
            )  # fmt: skip
        return version

    # ---- inside

    def _change(
        self,
        direction: str,
        state: Aliases,
        action: str,
        name: str,
        line: Sequence[str],
        challenger: str | None,
        details: Mapping[str, Any],
    ) -> None:
        """Append a change to the history, then replace the state; the caller holds the lock."""
        folder = self._folder(direction)
        kept = {*line, *([challenger] if challenger else [])}
        after = {
            "event": state.event + 1,
            "line": list(line),
            "challenger": challenger,
            "manifests": {v: digest((folder / "versions" / v / MANIFEST).read_bytes()) for v in sorted(kept)},
        }
        record = {
            **after,
            "time": self._now(),
            "action": action,
            "version": name,
            "details": dict(details),
            "parent": state.hash,
        }
        record["hash"] = digest(as_json(record))
        self.disk.append(folder / HISTORY, as_json(record))
        self.disk.put(folder / ALIASES, as_json({**after, "hash": record["hash"]}))

    def _publish(self, folder: Path, name: str, files: Mapping[str, bytes]) -> None:
        """Write a version to a hidden folder, then rename it, so that it appears complete or not at all."""
        for left in folder.glob(".v*.draft"):  # left by a killed process; the lock is held
            shutil.rmtree(left)
        draft = folder / f".{name}.draft"
        draft.mkdir()
        try:
            for file, data in files.items():
                self.disk.fill(draft / file, data)
            self.disk.publish(draft, folder / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

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


def _record(line: bytes) -> dict[str, Any] | None:
    """A line of the history, or None if it is truncated or was altered."""
    try:
        record = json.loads(line)
        stated = record.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return None
    return {**record, "hash": stated} if digest(as_json(record)) == stated else None
