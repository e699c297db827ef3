"""The state of one training run, and how it is saved to and restored from a checkpoint exactly."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from gantrans.config import to_dict
from gantrans.errors import CheckpointError, ConfigError, GantransError, TrainingError
from gantrans.files import held, remove_drafts
from gantrans.training.checkpoint import (
    FORMAT,
    check_finite,
    check_same_run,
    check_settings,
    environment,
    in_words,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    weights_of,
    write_atomically,
)
from gantrans.training.device import (
    Runtime,
    random_state,
    resolve_precision,
    seed_random_state,
    set_random_state,
)
from gantrans.training.ema import EMA
from gantrans.training.history import History
from gantrans.training.processes import Processes
from gantrans.training.task import Best, FitConfig, Task


class Run:
    """A task in training: networks, optimisers, averages, random states, history, progress.

    Args:
        task: moved to the device of `processes`.
        config: see `FitConfig`.
        processes: this process among others.
        extra: plain values stored with the run.
    """

    def __init__(self, task: Task, config: FitConfig, processes: Processes, extra: Mapping[str, Any]) -> None:
        self.task, self.config, self.processes = task, config, processes
        self.device = processes.device
        for network in task.networks.values():
            network.to(self.device)
            if config.channels_last:
                network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Base rates are read from the task before a checkpoint's `load_state_dict` overwrites them.
        self.rates = {name: [group["lr"] for group in o.param_groups] for name, o in task.optimizers.items()}
        groups = [group for optimizer in task.optimizers.values() for group in optimizer.param_groups]
        self.parameters = [p for group in groups for p in group["params"]]
        precision = resolve_precision(config.precision, self.device)
        self.runtime = Runtime(self.device, precision, config.accumulate, torch.Generator(self.device))
        self.ema = self._new_ema()
        self.history = History()
        self.out: Path | None = None
        self.step = 0
        self.best: Best | None = None
        self.window: dict[str, list[float]] = {}  # name -> [sum, count] since the last record
        self._clock = time.perf_counter if config.clock == "wall" else time.process_time
        self._started, self._earlier = self._clock(), 0.0
        self.settings = {
            "task": to_dict(task.config),
            "fit": to_dict(config),
            "runtime": {"device": self.device.type, "precision": precision, "processes": processes.world},
            "extra": json.loads(json.dumps(dict(extra))),
        }

    @property
    def seconds(self) -> float:
        """Training time of the whole run so far in seconds, including the calls before a resume."""
        return self._earlier + self.seconds_of_call

    @property
    def seconds_of_call(self) -> float:
        """Training time of this call in seconds."""
        return self._clock() - self._started

    @contextmanager
    def opened(self, out: Path | None, *, resume: bool) -> Iterator[None]:
        """Seed or restore the run; afterwards set eval mode, base rates and the caller's random state."""
        callers = random_state(self.device)
        entered = ExitStack()
        try:
            self._seed()
            if out is not None:
                self.out = Path(out)
                self._enter_folder(self.out, resume, entered)
            elif resume:
                raise ConfigError("resume needs the folder of the run; give out.")
            self._started = self._clock()
            for network in self.task.networks.values():
                network.train()
            yield
        finally:
            set_random_state(callers, self.device)
            self.history.close()
            entered.close()
            self.set_rates(1.0)
            for network in self.task.networks.values():
                network.eval()

    def set_rates(self, factor: float) -> None:
        """Set every learning rate to `factor` times its base rate."""
        for name, optimizer in self.task.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.rates[name], strict=True):
                group["lr"] = rate * factor

    def save(self, *names: str) -> None:
        """Write the current state under these names to the run's folder, if it has one.

        Raises:
            TrainingError: a weight is not finite (the earlier checkpoint is kept).
            CheckpointError: the file cannot be written (the earlier checkpoint is kept).
        """
        if self.out is None or not names:
            return
        self._check_weights()
        random = {"global": random_state(self.device), "runtime": self.runtime.generator.get_state()}
        everyones = self.processes.gather(random)
        if self.processes.rank > 0:
            return
        self.history.sync()
        contents = {
            "task": self.task.name,
            "step": self.step,
            "settings": self.settings,
            "networks": {name: network.state_dict() for name, network in self.task.networks.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.task.optimizers.items()},
            "ema": None if self.ema is None else self.ema.state_dict(),
            "task_state": self.task.state(),
            "random": everyones,
            "seconds": self.seconds,
            "best": None if self.best is None else vars(self.best).copy(),
            "history_length": len(self.history),
            "window": self.window,
        }
        for name in names:
            save_checkpoint(self.out / name, contents)

    def _seed(self) -> None:
        """Seed dropout and noise; the offset gives every process its own random numbers."""
        seed = self.config.seed + 1_000_003 * self.processes.rank
        seed_random_state(seed, self.device)
        self.runtime.generator.manual_seed(seed)

    def _enter_folder(self, out: Path, resume: bool, entered: ExitStack) -> None:
        """Use a new folder, or continue the run in an existing one; lock it until `entered` is closed."""
        last, description = out / "last.pt", out / "config.json"
        kept = 0
        self.processes.wait()  # rank 0 may still be writing the checkpoint of an earlier call
        if resume and not (last.exists() or description.exists()):
            raise CheckpointError(f"There is no run to resume in {out}; leave out --resume to start one.")
        if self.processes.rank == 0:
            self._lock(out, resume, entered)
        if not resume:
            if self.processes.rank == 0:
                self._describe(description)
        elif last.exists():
            kept = self._restore(last)
        else:  # killed before its first checkpoint
            self._check_identity(description, *read_description(description))
        if self.processes.rank == 0:
            self.history = History(out / "history.jsonl", keep=kept)
        self.processes.wait()

    def _lock(self, out: Path, resume: bool, entered: ExitStack) -> None:
        """Lock the folder for this process; a new run needs an empty one.

        Raises:
            BusyError: another process trains in it. CheckpointError: it is taken, or cannot be written.
        """
        try:
            if not resume:
                out.mkdir(parents=True, exist_ok=True)
                _check_empty(out)
            entered.enter_context(held(out / ".lock", f"The run in {out}"))
            remove_drafts(out, alone=True)
            if not resume:  # another process may have begun and ended meanwhile
                _check_empty(out)
        except OSError as error:
            raise CheckpointError(f"Cannot use {out} as the folder of a run ({error.strerror}).") from error

    def _describe(self, description: Path) -> None:
        about = {"format": FORMAT, "task": self.task.name, "settings": self.settings}
        about["environment"] = environment()
        write_atomically(description, json.dumps(about, indent=2).encode() + b"\n")

    def _restore(self, path: Path) -> int:
        """Restore the state from a checkpoint; returns the number of history records that it counts."""
        stored = load_checkpoint(path)
        try:
            self._check_identity(path, stored["task"], stored["settings"])
            return self._take_over(stored, path)
        except GantransError:
            raise
        except Exception as error:  # parts of a file that was made or changed by hand can be anything
            raise CheckpointError(
                f"{path} has a part that does not fit this run ({in_words(error)}); use another checkpoint "
                "or train afresh."
            ) from error

    def _take_over(self, stored: Mapping[str, Any], path: Path) -> int:
        for name, network in self.task.networks.items():
            load_weights(network, weights_of(stored, name, ema=False), f"{path} ({name})")
        for name, optimizer in self.task.optimizers.items():
            optimizer.load_state_dict(stored["optimizers"][name])
        if self.ema is not None:
            check_finite(stored["ema"], f"averages in {path}")
            self.ema.load_state_dict(stored["ema"])
        self.task.load_state(stored["task_state"])
        random = stored["random"][self.processes.rank]
        set_random_state(random["global"], self.device)
        self.runtime.generator.set_state(random["runtime"])
        self.step, self._earlier, self.window = stored["step"], stored["seconds"], stored["window"]
        self.best = None if stored["best"] is None else Best(**stored["best"])
        return int(stored["history_length"])

    def _check_identity(self, path: Path, task: str, settings: Mapping[str, Any]) -> None:
        if task != self.task.name:
            raise CheckpointError(
                f"{path} is of the task {task!r}, not {self.task.name!r}; choose another --out."
            )
        check_same_run(path, _fixed(settings), _fixed(self.settings))

    def _check_weights(self) -> None:
        for name, network in self.task.networks.items():
            for key, value in network.state_dict().items():
                if not torch.isfinite(value).all():
                    raise TrainingError(
                        f"The weights {name}.{key} are not finite after step {self.step}; no checkpoint was "
                        "written and the one before is intact: lower the learning rate or set clip_norm."
                    )

    def _new_ema(self) -> EMA | None:
        if self.config.ema_decay is None:
            return None
        networks = self.task.networks
        chosen = networks if self.config.ema_networks is None else self.config.ema_networks
        if unknown := [name for name in chosen if name not in networks]:
            names = ", ".join(networks)
            raise ConfigError(f"FitConfig.ema_networks has {unknown[0]!r}; choose from {names}.")
        return EMA({name: networks[name] for name in chosen}, self.config.ema_decay)


def _check_empty(out: Path) -> None:
    taken = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")]
    if taken:
        raise CheckpointError(
            f"{out} is not empty (it holds {min(taken)}); use --resume or another --out; "
            "nothing was overwritten."
        )


def read_description(path: Path) -> tuple[str, dict[str, Any]]:
    """Task and settings in the config.json of a run.

    Raises:
        CheckpointError: it is damaged or describes something else.
    """
    try:
        stored = json.loads(path.read_text("utf-8"))
        check_settings(stored["settings"])
        _fixed(stored["settings"])
        return stored["task"], stored["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} does not describe a run of gantrans; choose another --out.") from error


def stored_extra(out: Path) -> dict[str, Any]:
    """The `extra` of the run in a folder, by its last.pt or else its config.json; {} if there is no run.

    Raises:
        CheckpointError: they cannot be read.
    """
    last, description = out / "last.pt", out / "config.json"
    if last.exists():
        settings = load_checkpoint(last)["settings"]
    elif description.exists():
        settings = read_description(description)[1]
    else:
        return {}
    return dict(settings.get("extra", {}))


def _fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings on which the weights depend; a resumed run must have the same."""
    free = {"checkpoint_every"}
    if settings["fit"]["schedule_by"] == "step":
        free |= {"max_seconds", "clock"}
    return {**settings, "fit": {key: value for key, value in settings["fit"].items() if key not in free}}
