"""Random inputs for checkers: seeded draws, copies that share nothing, and guarded global random states."""

import copy
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

Args = tuple[Any, ...]
_NUMPY = np.random.mtrand._rand  # the generator behind np.random.rand and its friends
SEEDS = range(24)


@dataclass(frozen=True)
class Case:
    """The draws for one random input: everything follows from `seed`.

    Even seeds are float32 and odd ones float64; the batch is 1 in about half of the cases; height and width
    differ and are often odd.
    """

    seed: int
    dtype: torch.dtype = field(init=False)
    batch: int = field(init=False)
    height: int = field(init=False)
    width: int = field(init=False)
    generator: torch.Generator = field(init=False, compare=False)

    def __post_init__(self) -> None:
        draw = random.Random(1000 + self.seed)
        height = draw.choice((2, 3, 5, 6, 7, 9))
        values = {
            "dtype": torch.float64 if self.seed % 2 else torch.float32,
            "batch": draw.choice((1, 1, 2, 3, 5)),
            "height": height,
            "width": draw.choice([w for w in (1, 3, 4, 5, 8, 11) if w != height]),
            "generator": torch.Generator().manual_seed(self.seed),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def randn(self, *shape: int) -> Tensor:
        """Standard normal values of the case's dtype."""
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64).to(self.dtype)

    def rand(self, *shape: int) -> Tensor:
        """Uniform values in [0, 1) of the case's dtype."""
        return torch.rand(*shape, generator=self.generator, dtype=torch.float64).to(self.dtype)

    def integer(self, low: int, high: int) -> int:
        """A whole number, low <= n <= high."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]


def duplicate(value: Any) -> Any:
    """A deep copy with detached tensors and generators that continue from the same state."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).set_state(value.get_state())
    if isinstance(value, (list, tuple)):
        return type(value)(duplicate(v) for v in value)
    return copy.deepcopy(value)


def seed_globals(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch."""
    random.seed(seed)
    _NUMPY.seed(seed)
    torch.random.default_generator.manual_seed(seed)


@contextmanager
def kept_generators() -> Iterator[None]:
    """Give the global generators back their states after the block: a check must not disturb a notebook."""
    own = torch.random.default_generator
    states = random.getstate(), _NUMPY.get_state(), own.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        _NUMPY.set_state(states[1])
        own.set_state(states[2])
