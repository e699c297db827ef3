"""What the kinds that watch networks have in common: words as values, and toy networks that compare."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import parts


class Said(str):
    """A finding in words, shown without quotation marks."""

    __slots__ = ()
    __repr__ = str.__str__


@dataclass(frozen=True)
class _Probed:
    """An answer as the checker calls it, with the entries of an input."""

    observed: Callable[..., dict[str, Any]]
    answer: Any
    parameters: tuple[str, ...]

    def __call__(self, *args: Any) -> dict[str, Any]:
        return self.observed(self.answer, *args)

    @property
    def __signature__(self) -> inspect.Signature:
        kind = inspect.Parameter.POSITIONAL_ONLY
        return inspect.Signature([inspect.Parameter(name, kind) for name in self.parameters])


def probed(observed: Callable[..., dict[str, Any]], answer: Any, parameters: tuple[str, ...]) -> _Probed:
    """`answer` as a function of an input's entries; an answer that is one already stays as it is."""
    return answer if isinstance(answer, _Probed) else _Probed(observed, answer, parameters)


class ToyNetwork(nn.Module):
    """A network for exercises: compared by type, state, gradients and flags; copied with its gradients.

    PyTorch compares modules by identity and leaves gradients behind in a copy. A checker has to see what an
    answer did to a network, and to hand out copies that are in the same condition.
    """

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, ToyNetwork):
            return False
        mine, its = self.condition(), other.condition()
        return mine.keys() == its.keys() and all(_same(mine[name], its[name]) for name in mine)

    __hash__ = nn.Module.__hash__

    def __deepcopy__(self, memo: dict[int, Any]) -> "ToyNetwork":
        twin = object.__new__(type(self))
        memo[id(self)] = twin
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        for mine, its in zip(self.parameters(), twin.parameters(), strict=True):
            its.grad = None if mine.grad is None else mine.grad.clone()
        return twin

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(value.shape)}" for name, value in self.state_dict().items())
        return f"{type(self).__name__}({shapes})"

    def condition(self) -> dict[str, Any]:
        """State, gradients, `requires_grad` and training flags by name."""
        seen: dict[str, Any] = {name: value.detach() for name, value in self.state_dict().items()}
        for name, parameter in self.named_parameters():
            seen[f"{name}.grad"], seen[f"{name} learns"] = parameter.grad, parameter.requires_grad
        return seen | {f"{name} trains": module.training for name, module in self.named_modules()}


Toy = TypeVar("Toy", bound=ToyNetwork)


def left_behind(net: Toy, value: float = 3.0) -> Toy:
    """The network with gradients that an earlier use has left in `.grad`."""
    for parameter in net.parameters():
        parameter.grad = torch.full_like(parameter, value)
    return net


def directions(value: Any) -> list[Tensor]:
    """Fixed random directions, one for each tensor of `value` that has a graph: gradients are taken along
    them."""
    draw = torch.Generator().manual_seed(7)
    return [torch.randn(v.shape, generator=draw, dtype=torch.float64).to(v) for v in with_graph(value)]


def with_graph(value: Any) -> list[Tensor]:
    """The tensors of a value, also of one within lists and tuples, that can be differentiated."""
    return [tensor for _, tensor in parts(value, Tensor) if tensor.requires_grad]


def loss_and_gradients(loss: Any, net: nn.Module) -> dict[str, Any]:
    """What a loss function returned, and the gradient of each parameter of `net` that learns.

    Raises:
        NotImplementedError: `loss` is the ellipsis of a stub.
    """
    if loss is ...:
        raise NotImplementedError
    seen: dict[str, Any] = {"the loss": loss.detach() if isinstance(loss, Tensor) else loss}
    learning = {name: p for name, p in net.named_parameters() if p.requires_grad}
    if isinstance(loss, Tensor) and loss.requires_grad and loss.dim() == 0:
        got: Any = torch.autograd.grad(loss, list(learning.values()), allow_unused=True)
    else:
        got = [None] * len(learning)
    for name, gradient in zip(learning, got, strict=True):
        missing = Said("none: something cuts the graph (detach, item, no_grad, a new tensor)")
        seen[f"the gradient of `net.{name}`"] = missing if gradient is None else gradient
    return seen


def mode(module: nn.Module) -> Said:
    """The training flags of a module and all its parts, in words."""
    flags = {part.training for part in module.modules()}
    return Said("partly in train, partly in eval mode" if len(flags) > 1 else _mode(flags.pop()))


def _mode(training: bool) -> str:
    return "in train mode" if training else "in eval mode"


def _same(a: Any, b: Any) -> bool:
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        return type(a) is type(b) and a == b
    return a.shape == b.shape and (a.is_meta or b.is_meta or torch.allclose(a, b, rtol=1e-4, atol=1e-6))
