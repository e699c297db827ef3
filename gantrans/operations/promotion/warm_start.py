"""Start a new task from the weights and optimiser state of a checkpoint, at a stated learning rate.

An optimiser's `load_state_dict` also restores the learning rate of the checkpoint, which may have decayed.
So the rate is computed from the configuration, set after loading, and checked.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gantrans.errors import ConfigError, TrainingError
from gantrans.training import Task, pick_device
from gantrans.training.checkpoint import load_weights


def warm_start(
    task: Task,
    contents: Mapping[str, Any],
    *,
    rate: float = 0.1,
    keep_optimizer: bool = True,
    device: str | None = None,
    channels_last: bool = False,
) -> None:
    """Load networks and optimiser state of a checkpoint into a new task, at `rate` times its base rates.

    The networks are moved to their device and memory format first, because optimiser state is loaded to the
    device of its weights. Step, schedule, averages and random state are not loaded: `fit` begins at step 0.

    Args:
        task: newly made from its configuration; its present rates are the base rates.
        contents: the result of `load_checkpoint`.

    Raises:
        CheckpointError: the weights do not fit.
        TrainingError: a learning rate differs from the requested one.
    """
    place = pick_device(device)
    base = {name: [group["lr"] for group in o.param_groups] for name, o in task.optimizers.items()}
    for name, network in task.networks.items():
        network.to(place)
        if channels_last:
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        load_weights(network, contents["networks"][name], f"the champion ({name})")
    for name, optimizer in task.optimizers.items():
        if keep_optimizer:
            optimizer.load_state_dict(contents["optimizers"][name])
            _same_layout(optimizer)
        set_rates(optimizer, [rate * lr for lr in base[name]])  # after loading, which restores the old ones
        check_rates(name, optimizer, [rate * lr for lr in base[name]])
    task.load_state(contents["task_state"])


def set_rates(optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Set the rate of each group, and the base rate from which torch's schedulers start."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        if "initial_lr" in group:
            group["initial_lr"] = rate


def check_rates(name: str, optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Check that every group has the requested rate.

    Raises:
        TrainingError: a group has another rate.
    """
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if group["lr"] != rate or group.get("initial_lr", rate) != rate:
            raise TrainingError(
                f"The optimiser {name!r} would train at {group['lr']:g}, not at {rate:g}; set the rate after "
                "loading its state, not before."
            )


def freeze(network: nn.Module, parts: Sequence[str]) -> list[str]:
    """Freeze the weights whose names begin with one of `parts`; returns their names.

    Raises:
        ConfigError: the network has no such part.
    """
    frozen = []
    for part in parts:
        names = [name for name, _ in network.named_parameters() if f"{name}.".startswith(f"{part}.")]
        if not names:
            have = ", ".join(sorted({name.split(".")[0] for name, _ in network.named_parameters()}))
            raise ConfigError(f"FineTuneConfig.frozen has {part!r}; the generator's parts are {have}.")
        frozen += names
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return frozen


def _same_layout(optimizer: Optimizer) -> None:
    """Give each moment the memory format of its weight: fused optimisers traverse both in memory order."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
