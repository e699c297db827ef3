"""Random inputs for checkers: seeded draws, copies that share nothing, and guarded global random states."""

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Args = tuple[Any, ...]
Part = TypeVar("Part")
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


def duplicate(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """A deep copy: tensors detached, strides kept, modules with their gradients, generators from the same
    state. What is shared between parts of `value` (an optimiser's parameters) is shared in the copy.
    """
    memo = {} if memo is None else memo
    if isinstance(value, Tensor) and not isinstance(value, nn.Parameter):
        return _copied(value.detach())
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).set_state(value.get_state())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(duplicate(v, memo) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(duplicate(v, memo) for v in value)
    if type(value) is dict:
        return {key: duplicate(v, memo) for key, v in value.items()}
    twin = copy.deepcopy(value, memo)
    if isinstance(value, nn.Module):  # a parameter's own copy leaves the gradient behind
        for old, new in zip(value.parameters(), twin.parameters(), strict=True):
            new.grad = None if old.grad is None else old.grad.clone()
    return twin


def _copied(tensor: Tensor) -> Tensor:
    if tensor.is_contiguous() or tensor.device.type == "meta":
        return tensor.clone()
    storage = tensor.untyped_storage().clone()
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return empty.set_(storage, tensor.storage_offset(), tensor.size(), tensor.stride())  # type: ignore[call-overload, no-any-return]


def parts(value: Any, kind: type[Part], where: str = "") -> Iterator[tuple[str, Part]]:
    """Every part of a nested value that is of one type, with where it is: `[0]`, `["name"]`."""
    if isinstance(value, kind):
        yield where, value
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from parts(part, kind, f"{where}[{i}]")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from parts(part, kind, f"{where}[{key!r}]")


def changed_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A nested value with `change` applied to its tensors; modules are left as they are."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(changed_tensors(v, change) for v in value))
    if isinstance(value, (list, tuple)):
        return type(value)(changed_tensors(v, change) for v in value)
    if type(value) is dict:
        return {key: changed_tensors(v, change) for key, v in value.items()}
    return value


def with_gaps(tensor: Tensor) -> Tensor:
    """The same values as a view that is not contiguous: every second element of rows that are longer."""
    if not tensor.dim() or tensor.numel() < 2:
        return tensor
    wide = tensor.new_zeros(*tensor.shape[:-1], tensor.shape[-1] + 1, 2)
    wide[..., :-1, 0] = tensor
    return wide[..., :-1, 0]


def nudged(args: Args, positions: Sequence[int], seed: int) -> Args:
    """`args` with tiny random changes to the floating-point tensors at some positions."""
    draw = torch.Generator().manual_seed(seed)

    def move(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        size = 1e-6 if tensor.dtype == torch.float64 else 1e-4
        noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64).to(tensor)
        return tensor + size * (1 + tensor.abs()) * noise

    return tuple(changed_tensors(a, move) if i in positions else a for i, a in enumerate(args))


def seed_globals(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch."""
    random.seed(seed)
    _NUMPY.seed(seed)
    torch.random.default_generator.manual_seed(seed)


def next_draws() -> tuple[float, float, float]:
    """The next number of Python's, NumPy's and torch's global generators: equal only if their states are."""
    own = torch.random.default_generator
    return random.random(), _NUMPY.random_sample(), torch.rand((), generator=own, dtype=torch.float64).item()


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
