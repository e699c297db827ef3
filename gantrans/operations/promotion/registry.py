"""The model registry: versions of translators on disk, with the aliases champion, challenger and previous.

    registry/sem2layout/versions/v0001/   weights.safetensors  for serving: data only, no code inside
                                          last.pt              training checkpoint for fine-tuning
                                          version.json         recipe, parent, metrics, SHA-256 of both files
    registry/sem2layout/history.jsonl     one line per change, append-only, chained by hashes
    registry/sem2layout/aliases.json      the present state, and the hash of its line in the history

At every moment there is exactly one champion: how a change is committed stands in `ledger`. The alias names
are those of MLflow's registry.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gantrans.files import locked
from gantrans.operations.promotion.ledger import ALIAS_NAMES, Aliases
from gantrans.operations.promotion.regimes import Regimes
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

__all__ = ["Aliases", "Registry"]


class Registry(Regimes):
    """Versions per direction; every method is safe against kills and concurrent processes.

    Args:
        root: its folder, created with the first version.
        disk: file operations; tests pass one that fails.
        clock: seconds since 1970, for the history.
    """

    # ---- reading

    def champion(self, direction: str) -> Path:
        """The folder of the version that serves; `load_predictor` reads it.

        Raises:
            RegistryError: there is no champion.
        """
        return self.version(direction, "champion").folder

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

    def story(self, direction: str) -> list[dict[str, Any]]:
        """Every version, oldest first, as plain values: what it is, and what happened to it.

        Keys: name, created, parent, note, metrics, role ("champion", "previous", "challenger" or ""), events
        (time, action, why, who; oldest first), why (of the last event), can_promote.
        """
        state, rows = self.aliases(direction), []
        roles = {getattr(state, alias): alias for alias in reversed(ALIAS_NAMES)}
        happened = self.history(direction)
        for name in self.versions(direction):
            about = self.version(direction, name).about
            events = [
                _event(event)
                for event in happened
                if event["version"] == name and event["action"] != "retire"
            ]
            rows.append(
                {
                    "name": name,
                    **{key: about.get(key) for key in ("created", "parent", "note", "metrics")},
                    "role": roles.get(name, ""),
                    "events": events,
                    "why": events[-1]["why"] if events else "",
                    "can_promote": name != state.champion,
                }
            )
        return rows

    # ---- changing

    def register(
        self,
        run: Path,
        *,
        parent: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        note: str = "",
        cycle: Mapping[str, Any] | None = None,
    ) -> Version:
        """Copy a training run (its best checkpoint, else its last) into a new version: the challenger.

        Args:
            run: its folder. parent: the version it was tuned from. metrics, note: for readers.
            cycle: what the next cycle needs to go on with it; see `cycle.Plan`.

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
                cycle=dict(cycle or {}),
            )
            self._publish(folder / "versions", name, {**packed.files, MANIFEST: manifest})
            state = self.aliases(direction)
            self._change(
                direction, state, "register", name, {"note": note, "why": note, "parent": parent},
                line=state.line, challenger=name,
            )  # fmt: skip
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
            self._change(
                direction, state, "promote", version.name, details or {}, line=line, challenger=waiting
            )
        return version

    def rollback(self, direction: str, *, why: str, who: str = "", over: str | None = None) -> Version:
        """Make the previous champion the champion again, after verifying its files.

        Args:
            why, who: the reason, and who decided; for the history.
            over: the champion that is to go; an error if it is no longer the champion.

        Raises:
            RegistryError: there is no previous champion, it is damaged, or the champion has changed.
            DiskError: a write failed; the champion is unchanged.
        """
        with locked(self._lock(direction)):
            state = self.aliases(direction)
            if state.previous is None:
                raise RegistryError(f"{direction} has no earlier champion to return to; promote a version.")
            if over is not None and over != state.champion:
                raise RegistryError(
                    f"{over} was to be rolled back, but the champion is {state.champion} now; look again."
                )
            version = self.verify(direction, state.previous)
            self._change(
                direction, state, "rollback", version.name,
                {"why": why, "who": who, "from": state.champion},
                line=state.line[:-1], challenger=state.challenger,
            )  # fmt: skip
        return version

    def refuse(self, direction: str, name: str, *, details: Mapping[str, Any]) -> Version:
        """Record that the gate refused a version; it stays, and is the challenger no longer.

        Raises:
            RegistryError: there is no such version. DiskError: a write failed; nothing was changed.
        """
        with locked(self._lock(direction)):
            version, state = self.version(direction, name), self.aliases(direction)
            waiting = None if state.challenger == version.name else state.challenger
            self._change(
                direction, state, "refuse", version.name, details, line=state.line, challenger=waiting
            )
        return version

    # ---- inside

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


def _event(event: Mapping[str, Any]) -> dict[str, str]:
    """A line of the history for a reader."""
    details = event["details"]
    return {
        "time": event["time"],
        "action": event["action"],
        "why": str(details.get("why") or details.get("verdict") or ""),
        "who": str(details.get("who") or ""),
    }
