"""A buffer of past fakes, so that the discriminator is trained on earlier outputs of the generator as well.

Sources: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017 (CycleGAN), 50 images.
"""

from typing import Any

import torch
from torch import Tensor

from gantrans.errors import ConfigError


class ImageBuffer:
    """Up to `capacity` pairs (condition, fake); pairs, because a conditional D takes both halves together.

    Until the buffer is full, every pair is stored and returned unchanged. After that, with probability 1/2, a
    pair is swapped with a stored one drawn at random; otherwise it is returned unchanged and not stored.

    Canonical form: `lessons.lesson06.exercises.exchange_fakes.exchange_fakes`; this keeps its pairs
    and its random state, because a resumed run must draw the same fakes.

    Args:
        capacity: number of pairs; 0 switches the buffer off.
        seed: of its own random generator, which is on the CPU so that no step waits for the device.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        if capacity < 0:
            raise ConfigError(f"ImageBuffer.capacity is {capacity}; it must be at least 0.")
        self.capacity = capacity
        self.pairs: list[tuple[Tensor, Tensor]] = []  # each (C, H, W)
        self.generator = torch.Generator().manual_seed(seed)

    def exchange(self, condition: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Conditions and their (detached) fakes, (B, C, H, W) -> B pairs, some of them from the buffer."""
        if not self.capacity:
            return condition, fake
        given = [self._exchange(pair) for pair in zip(condition, fake, strict=True)]
        conditions, fakes = zip(*given, strict=True)
        return torch.stack(conditions), torch.stack(fakes)

    def _exchange(self, pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        if len(self.pairs) < self.capacity:
            self.pairs.append(_copy(pair))
            return pair
        if torch.rand((), generator=self.generator) < 0.5:
            return pair
        place = int(torch.randint(self.capacity, (), generator=self.generator))
        stored, self.pairs[place] = self.pairs[place], _copy(pair)
        return stored

    def state(self) -> dict[str, Any]:
        """Stored pairs and random state, as tensors and plain Python for a checkpoint."""
        stacked = [torch.stack(part) for part in zip(*self.pairs, strict=True)]
        return {"pairs": stacked, "random": self.generator.get_state()}

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Restore what `state` returned, on the device where training continues."""
        stacked = [part.to(device) for part in state["pairs"]]
        self.pairs = list(zip(*stacked, strict=True)) if stacked else []
        self.generator.set_state(state["random"])


def _copy(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A copy of the pair, because a slice would keep the whole batch in memory."""
    return pair[0].detach().clone(), pair[1].detach().clone()
