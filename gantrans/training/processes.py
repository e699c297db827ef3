"""One process, or several that Hugging Face Accelerate launched: who writes, who takes which part of a batch.

Modules stay unwrapped. Every process sees the same global batch indices, keeps the items rank, rank + world,
..., and gradients are averaged before the optimisers step. So two processes with half a batch each take the
step of one process with the whole batch (up to rounding; batch normalisation sees its own part only).
"""

import os
from typing import Any

import torch
from torch import Tensor

from gantrans.errors import ConfigError
from gantrans.training.device import Batch


class Processes:
    """The group this process belongs to; a group of one needs neither Accelerate nor torch.distributed.

    Attributes:
        world, rank: number of processes and this one's number; rank 0 writes files and draws the progress
            bar.
        device: where this process computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.world, self.rank = 1, 0
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise ConfigError(
                "Training in several processes needs accelerate; pip install accelerate."
            ) from error
        self._accelerator = Accelerator(cpu=device.type == "cpu", mixed_precision="no")
        self.device = self._accelerator.device
        self.world, self.rank = self._accelerator.num_processes, self._accelerator.process_index

    def part(self, batch: Batch) -> Batch:
        """This process's items of a global batch."""
        if self.world == 1:
            return batch
        if uneven := [k for k, v in batch.items() if len(v) % self.world]:
            raise ConfigError(
                f"A batch of {len(batch[uneven[0]])} cannot be shared evenly by {self.world} processes; "
                f"choose a batch size that {self.world} divides."
            )
        return {k: v[self.rank :: self.world] for k, v in batch.items()}

    def mean(self, values: Tensor) -> Tensor:
        """The mean over processes, the same on all of them (a NaN anywhere is a NaN everywhere)."""
        return values if self.world == 1 else self._accelerator.reduce(values, "mean")

    def average_gradients(self, parameters: list[Tensor]) -> None:
        """Replace every gradient by its mean over processes: one message for all of them."""
        if self.world == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        parts = self.mean(torch.cat([g.reshape(-1) for g in gradients])).split([g.numel() for g in gradients])
        torch._foreach_copy_(
            gradients, [part.view(g.shape) for part, g in zip(parts, gradients, strict=True)]
        )

    def agree(self, value: float) -> float:
        """The value of rank 0, on all processes."""
        if self.world == 1:
            return value
        mine = torch.tensor(value if self.rank == 0 else 0.0, dtype=torch.float32, device=self.device)
        return float(self._accelerator.reduce(mine, "sum"))

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, in order of rank."""
        if self.world == 1:
            return [value]
        gathered: list[Any] = [None] * self.world
        torch.distributed.all_gather_object(gathered, value)
        return gathered

    def wait(self) -> None:
        """Until all processes are here."""
        if self.world > 1:
            self._accelerator.wait_for_everyone()
