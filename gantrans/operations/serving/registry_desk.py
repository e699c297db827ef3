"""The registry of a service as a person sees it, and promotions and rollbacks by a person.

A move is confirmed by what was shown: the digest of the version, and the champion that it replaces. The new
champion is loaded and run once before the registry is changed, so that a version that cannot serve changes
nothing. The change itself is one rename (`promotion.registry`).
"""

import threading
from collections.abc import Callable
from typing import Any

import torch

from gantrans.directions import directions
from gantrans.errors import GantransError
from gantrans.operations.promotion.disk import DiskError
from gantrans.operations.promotion.regimes import Reference
from gantrans.operations.promotion.registry import Aliases, Registry
from gantrans.operations.promotion.versions import MANIFEST, RegistryError, Version, digest
from gantrans.operations.serving import monitor_schemas as m
from gantrans.operations.serving.models import Models

LOG = 100
"""Changes that are shown, the newest."""
_ALIASES = ("champion", "challenger", "previous")


class MoveError(GantransError, RuntimeError):
    """A move was refused and changed nothing; `status` is that of the response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RegistryDesk:
    """The registry behind `models`; one move at a time."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self._move = threading.Lock()

    @property
    def registry(self) -> Registry | None:
        """The registry that is served; None if run folders are served."""
        return getattr(self.models, "registry", None)

    def state(self) -> m.RegistryState:
        """All directions with a version, newest version and change first."""
        if self.registry is None:
            return m.RegistryState(served=False, directions=[])
        there = [name for name in directions() if (self.registry.root / name).is_dir()]
        return m.RegistryState(served=True, directions=[self._direction(self.registry, d) for d in there])

    def promote(self, direction: str, move: m.Move) -> m.Moved:
        """Make a version the champion.

        Raises:
            MoveError: it was refused; nothing was changed.
        """

        def change(registry: Registry) -> None:
            details = {"who": move.who, "why": move.why, "from": "page"}
            registry.promote(direction, move.version, over=move.over, details=details)

        return self._make(direction, move, "promote", change)

    def rollback(self, direction: str, move: m.Move) -> m.Moved:
        """Bring the previous champion back.

        Raises:
            MoveError: it was refused; nothing was changed.
        """

        def change(registry: Registry) -> None:
            if (previous := registry.aliases(direction).previous) != move.version:
                raise MoveError(409, f"The previous champion is {previous}, not {move.version}; look again.")
            registry.rollback(direction, why=move.why, who=move.who, over=move.over)

        return self._make(direction, move, "rollback", change)

    def set_reference(self, direction: str, **values: Any) -> Reference:
        """Make a version the reference of quality; see `Registry.set_reference`.

        Raises:
            MoveError: it was refused; nothing was changed.
        """
        try:
            return self._served().set_reference(direction, **values)
        except RegistryError as error:
            raise MoveError(404, str(error)) from error
        except (DiskError, OSError) as error:
            raise MoveError(503, str(error)) from error

    def _served(self) -> Registry:
        if self.registry is None:
            raise MoveError(404, "This service has no registry; start it with --registry.")
        return self.registry

    def _make(self, direction: str, move: m.Move, action: str, change: Callable[[Registry], None]) -> m.Moved:
        registry = self._served()
        with self._move:
            try:
                version = registry.version(direction, move.version)
            except RegistryError as error:
                raise MoveError(404, str(error)) from error
            except DiskError as error:
                raise MoveError(503, str(error)) from error
            try:
                self._check_digest(version, move.digest)
                state = registry.aliases(direction)
                if state.champion == move.version and self._was_done(registry, direction, move, action):
                    return self._moved(direction, state, new=False)
                if state.champion != move.over:
                    raise MoveError(
                        409, f"The champion is {state.champion} now, not {move.over}; look again."
                    )
                self._try(registry, direction, move.version)
                change(registry)
                state = registry.aliases(direction)
            except RegistryError as error:
                raise MoveError(409, str(error)) from error
            except (DiskError, OSError) as error:
                raise MoveError(503, str(error)) from error
            return self._moved(direction, state, new=True)

    def _check_digest(self, version: Version, stated: str) -> None:
        found = digest((version.folder / MANIFEST).read_bytes())
        if found != stated:
            raise MoveError(
                409, f"{version.name} has the digest {found[:12]}, not {stated[:12]}; look at it again."
            )

    def _was_done(self, registry: Registry, direction: str, move: m.Move, action: str) -> bool:
        """Whether the last move was this one: a repeated request."""
        moves = [one for one in registry.history(direction) if one["action"] in ("promote", "rollback")]
        if not moves or (moves[-1]["action"], moves[-1]["version"]) != (action, move.version):
            return False
        line = moves[-2]["line"] if len(moves) > 1 else []
        return (line[-1] if line else None) == move.over

    def _try(self, registry: Registry, direction: str, version: str) -> None:
        """Load a version and translate an image with it.

        Raises:
            MoveError: it cannot serve.
        """
        try:
            predictor = registry.predictor(direction, version, self.models.device)
            side = predictor.recipe.data.size
            finite = bool(predictor.translate(torch.full((1, 1, side, side), 0.5)).isfinite().all())
        # A damaged file can raise any of these while it is parsed, and a full graphics card RuntimeError.
        except (GantransError, OSError, ValueError, KeyError, RuntimeError) as error:
            raise MoveError(422, f"{version} cannot serve and nothing was changed: {error}") from error
        if not finite:
            raise MoveError(422, f"{version} gives values that are not finite; nothing was changed.")

    def _moved(self, direction: str, state: Aliases, *, new: bool) -> m.Moved:
        loaded = self.models.get(direction)
        return m.Moved(
            direction=direction,
            champion=state.champion or "",
            previous=state.previous,
            serving=loaded.version if loaded else None,
            new=new,
        )

    def _direction(self, registry: Registry, direction: str) -> m.RegistryDirection:
        loaded = self.models.get(direction)
        known: dict[str, Any] = {}
        try:
            state, problem = registry.aliases(direction), self.models.problems.get(direction)
            known = {alias: getattr(state, alias) for alias in _ALIASES}
            known["versions"] = [
                _version(registry.version(direction, name), state)
                for name in registry.versions(direction)[::-1]
            ]
            regime = registry.regime(direction)
            known["regime"] = m.Regime(name=regime.name, since=regime.since, why=regime.why)
            known["log"] = [_change(line) for line in registry.history(direction)[: -LOG - 1 : -1]]
        except (GantransError, OSError) as error:
            problem = str(error)
        empty: dict[str, Any] = {"versions": [], "log": [], "regime": None, **dict.fromkeys(_ALIASES)}
        return m.RegistryDirection(
            direction=direction,
            serving=loaded.version if loaded else None,
            problem=problem,
            **{**empty, **known},
        )


def _version(version: Version, state: Aliases) -> m.RegisteredVersion:
    about = version.about
    return m.RegisteredVersion(
        version=version.name,
        digest=digest((version.folder / MANIFEST).read_bytes()),
        created=str(about.get("created") or ""),
        parent=about.get("parent"),
        note=str(about.get("note") or ""),
        metrics=dict(about.get("metrics") or {}),
        aliases=[alias for alias in _ALIASES if getattr(state, alias) == version.name],
        can_promote=version.name != state.champion,
    )


def _change(line: dict[str, Any]) -> m.Change:
    details = dict(line["details"])
    return m.Change(
        time=line["time"],
        action=line["action"],
        version=line["version"] or "",
        who=str(details.get("who") or ""),
        why=str(details.get("why") or details.get("note") or details.get("verdict") or ""),
        details=details,
    )
