"""The models of a service: for each direction the network of a run folder, or the champion of a registry."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gantrans.directions import directions
from gantrans.errors import ConfigError, GantransError
from gantrans.operations.promotion.registry import Registry
from gantrans.operations.serving.review import checkpoint_version
from gantrans.training import pick_device
from gantrans.translation import Predictor, load_recipe


@dataclass(frozen=True)
class Model:
    """A loaded translator; `version` names its weights and is stored with every prediction."""

    direction: str
    version: str
    predictor: Predictor


class Models:
    """The translators of a service.

    With a registry, a promotion or a rollback takes effect at the next request. If the new champion cannot be
    loaded, the previous one stays in use and `problems` has the reason.

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
        for run in runs:
            self._load(Path(run), direction)
        for name in directions() if self.registry else ():
            self.get(name)
            if name in self.problems:  # at the start there is no earlier model to keep
                raise ConfigError(self.problems[name])
        if not self._loaded:
            raise ConfigError(f"The registry {registry} has no champion; register and promote a version.")

    def _load(self, run: Path, direction: str | None) -> None:
        """Load one direction of a run, or all that it has."""
        for name in load_recipe(run).directions if direction is None else (direction,):
            if name in self._loaded:
                raise ConfigError(f"{run} is a second run for {name}; serve one per direction.")
            predictor = Predictor.load(run, self.device, direction=name)  # first: it names what is wrong
            version = f"{run.resolve().name}-{checkpoint_version(run)}"
            self._loaded[name] = Model(name, version, predictor)

    def get(self, direction: str) -> Model | None:
        """The current model of a direction, loaded again if the champion has changed; None without one."""
        if self.registry is None:
            return self._loaded.get(direction)
        with self._lock:
            try:
                champion = self.registry.aliases(direction).champion
                present = self._loaded.get(direction)
                if champion and (present is None or present.version != champion):
                    predictor = self.registry.predictor(direction, champion, self.device)
                    self._loaded[direction] = Model(direction, champion, predictor)
                self.problems.pop(direction, None)
            # ValueError and KeyError: a damaged file can raise either while it is parsed.
            except (GantransError, OSError, ValueError, KeyError) as error:
                self.problems[direction] = f"The champion of {direction} cannot be loaded: {error}"
            return self._loaded.get(direction)

    def directions(self) -> list[str]:
        """The directions that have a loaded model."""
        return [direction for direction in directions() if self.get(direction)]
