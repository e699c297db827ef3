"""A fresh task with a checkpoint's weights and optimiser state, and the rate one asked for.

`load_state_dict` of an optimiser brings back the rate of the checkpoint. So the rate is set after it and
checked, and it is taken from the configuration, since the checkpoint's own may have decayed.
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
    """Give a fresh task the networks and optimiser state of a checkpoint, and `rate` times its own rates.

    The networks go to their device and memory format first: optimiser state is loaded to where its weights
    are. Steps, schedule, averages and random state start anew: `fit` begins at step 0.

    Args:
        task: fresh from its configuration; its present rates are the base rates.
        contents: what `load_checkpoint` gave.

    Raises:
        CheckpointError: the weights do not fit.
        TrainingError: a rate is not what was asked for.
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
        set_rates(optimizer, [rate * lr for lr in base[name]])  # after loading, which brought the old ones
        check_rates(name, optimizer, [rate * lr for lr in base[name]])
    task.load_state(contents["task_state"])


def set_rates(optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Set the rate of each group, and the base rate that torch's schedulers would start from."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        if "initial_lr" in group:
            group["initial_lr"] = rate


def check_rates(name: str, optimizer: Optimizer, rates: Sequence[float]) -> None:
    """Refuse to train at another rate than the one asked for.

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
    """Stop training the weights whose names begin with one of `parts`; returns their names.

    Raises:
        ConfigError: a part that the network does not have.
    """
    frozen = []
    for part in parts:
        names = [name for name, _ in network.named_parameters() if name.split(".")[0] == part]
        if not names:
            have = ", ".join(sorted({name.split(".")[0] for name, _ in network.named_parameters()}))
            raise ConfigError(f"FineTuneConfig.frozen has {part!r}; the generator's parts are {have}.")
        frozen += names
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    return frozen


def _same_layout(optimizer: Optimizer) -> None:
    """Give each moment the memory format of its weight: fused optimisers walk both in memory order."""
    for parameter, state in optimizer.state.items():
        for key, value in state.items():
            if (
                isinstance(value, Tensor)
                and value.shape == parameter.shape
                and value.stride() != parameter.stride()
            ):
                state[key] = torch.empty_like(parameter, requires_grad=False).copy_(value)
