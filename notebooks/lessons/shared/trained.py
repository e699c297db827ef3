"""One training of an experiment: trained once on a machine, loaded after that.

It stands with the lessons, not with the machinery of teaching, because it decides what a training gives: the
key of a stored run covers the lessons' modules (`gantrans.teaching.fingerprint`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantrans.teaching.runs import train_or_load
from gantrans.training import FitConfig, History, fit, load_networks
from gantrans.training.task import Batch, Task


@dataclass(frozen=True)
class Trained:
    """What came of a training: its networks by name in evaluation mode, its log, the folder of its run."""

    networks: Mapping[str, Any]
    history: History
    folder: Path

    @property
    def generator(self) -> Any:
        """The network of that name."""
        return self.networks["generator"]

    @property
    def discriminator(self) -> Any:
        """The network of that name; None for a task without one."""
        return self.networks.get("discriminator")

    @property
    def curve(self) -> tuple[Sequence[float], Sequence[float]]:
        """(steps, L1 in units of [0, 1]) of the training."""
        steps, loss = self.history.series("loss_l1")
        return steps, [value / 2 for value in loss]


def last_l1(history: History) -> dict[str, float]:
    """The last L1 loss in units of [0, 1]; networks work in [-1, 1]."""
    last = history.records[-1]
    return {"L1": last["loss_l1"] / 2} if "loss_l1" in last else {}


def trained(
    task: Callable[[], Task],
    fitting: FitConfig,
    batches: Callable[[], Callable[[int], Batch]],
    *,
    name: str,
    key: Any,
    data: Any = None,
    shown: Callable[[History], Mapping[str, float]] = last_l1,
    **options: Any,
) -> Trained:
    """Train a task, or load what this machine has trained before; see `runs.train_or_load`.

    Args:
        task: makes the task with its networks: to train them, and to load the weights into.
        fitting: how it is fitted.
        batches: makes the source of batches; called for a training only.
        name: first part of the folder's name.
        key: what decides the result beside `fitting`: configuration, seed, size of a batch.
        data: what identifies the data.
        shown: of the log, the numbers to print beside the steps.
        options: further arguments of `fit`, such as `validate` and `extra`.
    """

    def train(folder: Path) -> dict[str, float]:
        result = fit(task(), batches(), fitting, out=folder, **options)
        return {"steps": result.step, **shown(result.history)}

    def load(folder: Path) -> Trained:
        networks = dict(task().networks)
        load_networks(folder, networks)
        return Trained(networks, History.load(folder / "history.jsonl"), folder)

    return train_or_load([key, fitting], train, load, name=name, data=data)
