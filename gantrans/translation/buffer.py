"""A buffer of past fakes: the discriminator is reminded of what the generator used to do.

Sources: Shrivastava et al. 2017, section 2.3; Zhu et al. 2017 (CycleGAN), 50 images.
"""

from typing import Any

import torch
from torch import Tensor

from gantrans.errors import ConfigError


class ImageBuffer:
    """Holds up to `capacity` pairs (condition, fake); a conditional D must see both halves of one pair.

    Until it is full, every pair is stored and comes back as it is. Then, with probability 1/2, a pair is
    swapped with a stored one drawn at random; else it comes back as it is and is not stored.

    Canonical form: `gantrans.course.exercises.lesson06.exchange_fakes.exchange_fakes`; this keeps its pairs
    and its random state, because a resumed run must draw the same fakes.

    Args:
        capacity: number of pairs; 0 switches the buffer off.
        seed: of its own random numbers, which live on the CPU so that no step waits for the device.
    """

    def __init__(self, capacity: int, seed: int = 0) -> None:
        if capacity < 0:
            raise ConfigError(f"ImageBuffer.capacity is {capacity}; it must be at least 0.")
        self.capacity = capacity
        self.pairs: list[tuple[Tensor, Tensor]] = []  # each (C, H, W)
        self.generator = torch.Generator().manual_seed(seed)

    def exchange(self, condition: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) of conditions and their (detached) fakes -> as many pairs, some of them older."""
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
        """Tensors and plain Python for a checkpoint."""
        stacked = [torch.stack(part) for part in zip(*self.pairs, strict=True)]
        return {"pairs": stacked, "random": self.generator.get_state()}

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Restore what `state` gave, on the device where training goes on."""
        stacked = [part.to(device) for part in state["pairs"]]
        self.pairs = list(zip(*stacked, strict=True)) if stacked else []
        self.generator.set_state(state["random"])


def _copy(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """A pair of its own: a slice would keep the whole batch in memory."""
    return pair[0].detach().clone(), pair[1].detach().clone()
