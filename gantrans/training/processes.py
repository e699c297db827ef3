"""Training in one process, or in several launched by Hugging Face Accelerate: roles and parts of the batch.

Modules are not wrapped. Every process iterates over the same global batch indices, keeps the items rank,
rank + world, ..., and gradients are averaged before the optimisers step. So two processes with half a batch
each make the same step as one process with the whole batch (up to rounding; batch normalisation uses the
statistics of each part).
"""

import os
from typing import Any

import torch
from torch import Tensor

from gantrans.errors import ConfigError
from gantrans.training.device import Batch


class Processes:
    """The group of processes of a training; a group of one needs neither Accelerate nor torch.distributed.

    Attributes:
        world, rank: number of processes and this one's number; rank 0 writes files and draws the progress
            bar.
        device: of this process.
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
                f"A batch of {len(batch[uneven[0]])} cannot be split evenly among {self.world} processes; "
                f"choose a batch size that is a multiple of {self.world}."
            )
        return {k: v[self.rank :: self.world] for k, v in batch.items()}

    def mean(self, values: Tensor) -> Tensor:
        """Mean over processes, equal on all of them; NaN if any value is NaN."""
        return values if self.world == 1 else self._accelerator.reduce(values, "mean")

    def average_gradients(self, parameters: list[Tensor]) -> None:
        """Replace every gradient by its mean over processes, in one communication for all of them."""
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
        """Wait until all processes have reached this point."""
        if self.world > 1:
            self._accelerator.wait_for_everyone()
