"""The models of a service: for each direction the network of a run folder, or the champion of a registry."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gantrans.directions import directions
from gantrans.errors import ConfigError, GantransError
from gantrans.operations.feedback.sides import Reading, reading_of
from gantrans.operations.promotion.registry import Aliases, Registry
from gantrans.operations.serving.review import checkpoint_version
from gantrans.training import pick_device
from gantrans.translation import Predictor, load_recipe

REGISTRY = "registry, "
"""With a direction behind it: the key in `Models.problems` of a registry that cannot be read."""
AGAIN_S = 60.0  # after a failure that may pass, as when the memory of a GPU was taken


class ModelError(GantransError, RuntimeError):
    """A network cannot be run now, for example because memory is short."""


@dataclass(frozen=True)
class Model:
    """A loaded translator; `version` names its weights and is stored with every prediction."""

    direction: str
    version: str
    predictor: Predictor

    @property
    def reading(self) -> Reading:
        """How its images are read, as in its training."""
        return reading_of(self.predictor.recipe)


class Models:
    """The translators of a service.

    With a registry, a promotion or a rollback takes effect at the next request. If the new champion cannot be
    loaded, the previous one stays in use and `problems` has the reason. A damaged version is tried again only
    when the aliases change, since checking its files takes seconds. If the registry itself cannot be read,
    the loaded models stay in use and `problems` has the reason under a key that begins with `REGISTRY`.

    Args:
        runs: folders of training runs, at most one per direction; one that trained both serves both.
        registry: its folder; only one of the two is given.
        direction: serve only this one of the runs' directions.
        device: "cuda", "mps" or "cpu"; None chooses the best one present.

    Raises:
        ConfigError: nothing to serve, or two runs of one direction.
        DataError: a run does not translate in `direction`.
        CheckpointError, RegistryError: a run or a champion cannot be used.
    """

    def __init__(
        self,
        runs: Sequence[Path] = (),
        registry: Path | None = None,
        device: str | None = None,
        *,
        direction: str | None = None,
    ) -> None:
        if bool(runs) == (registry is not None):
            raise ConfigError("Give runs to serve, or a registry, and not both.")
        if registry is not None and direction is not None:
            raise ConfigError("--direction chooses one of a run's directions; leave it out with a registry.")
        self.device: torch.device = pick_device(device)
        self.registry = None if registry is None else Registry(registry)
        self.problems: dict[str, str] = {}
        self._lock = threading.Lock()
        self._loaded: dict[str, Model] = {}
        self._failed: dict[str, tuple[Aliases, float]] = {}
        for run in runs:
            self._load(Path(run), direction)
        for name in directions() if self.registry else ():
            self.get(name)
            for problem in self.problems.values():  # at the start there is no earlier model to keep
                raise ConfigError(problem)
        if not self._loaded:
            raise ConfigError(f"The registry {registry} has no champion; register and promote a version.")

    def _load(self, run: Path, direction: str | None) -> None:
        """Load one direction of a run, or all that it has."""
        for name in load_recipe(run).directions if direction is None else (direction,):
            if name in self._loaded:
                raise ConfigError(f"{run} is a second run for {name}; serve one per direction.")
            try:
                predictor = Predictor.load(run, self.device, direction=name)  # first: it names what is wrong
            except (RuntimeError, MemoryError) as error:
                if isinstance(error, GantransError):
                    raise
                raise ConfigError(
                    f"{run} cannot be loaded on {self.device} ({reason(error)}); free memory, or choose "
                    "another --device."
                ) from error
            version = f"{_printable(run.resolve().name)}-{checkpoint_version(run)}"
            self._loaded[name] = Model(name, version, predictor)

    def get(self, direction: str) -> Model | None:
        """The current model of a direction, loaded again if the champion has changed; None without one."""
        if self.registry is None:
            return self._loaded.get(direction)
        with self._lock:
            try:
                aliases = self._aliases(self.registry, direction)
                self.problems.pop(REGISTRY + direction, None)
            except Exception as error:  # damaged contents raise all kinds; the reason is reported
                self.problems[REGISTRY + direction] = f"The registry cannot be read: {reason(error)}"
            else:
                self._load_champion(self.registry, direction, aliases)
            return self._loaded.get(direction)

    def _aliases(self, registry: Registry, direction: str) -> Aliases:
        aliases = registry.aliases(direction)
        if not all(isinstance(name, str) for name in aliases.line):
            raise ConfigError(f"aliases.json of {direction} in {registry.root} names no version.")
        if direction in self._loaded and not aliases.line:
            raise ConfigError(
                f"{registry.root} has no champion of {direction} any more; put the folder back."
            )
        return aliases

    def _load_champion(self, registry: Registry, direction: str, aliases: Aliases) -> None:
        present = self._loaded.get(direction)
        champion = aliases.champion
        if champion is None or (present is not None and present.version == champion):
            self.problems.pop(direction, None)
            self._failed.pop(direction, None)
            return
        failed, at = self._failed.get(direction, (None, 0.0))
        if failed == aliases and time.monotonic() < at:
            return
        try:
            predictor = registry.predictor(direction, champion, self.device)
        except Exception as error:  # damaged files raise all kinds; the reason is reported
            passing = isinstance(error, RuntimeError | MemoryError) and not isinstance(error, GantransError)
            again = time.monotonic() + AGAIN_S if passing else float("inf")
            self._failed[direction] = (aliases, again)
            self.problems[direction] = f"The champion of {direction} cannot be loaded: {reason(error)}"
        else:
            self._loaded[direction] = Model(direction, champion, predictor)
            self.problems.pop(direction, None)

    def directions(self) -> list[str]:
        """The directions that have a loaded model."""
        return [direction for direction in directions() if self.get(direction)]


def reason(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return str(error).strip().split("\n")[0][:300] or type(error).__name__


def _printable(name: str) -> str:
    """A file name as text that can be stored; bytes that are not UTF-8 are replaced."""
    return name.encode(errors="surrogateescape").decode(errors="replace")
