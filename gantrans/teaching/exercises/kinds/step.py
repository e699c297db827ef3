"""A training step or loop: run against the reference; who moved, who stayed, what came back."""

import copy
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gantrans.teaching.exercises import checker
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.guard import is_stub
from gantrans.teaching.exercises.inputs import duplicate
from gantrans.teaching.exercises.kinds.probing import Said, mode, probed
from gantrans.teaching.exercises.results import Result, State

Build = Callable[..., dict[str, Any]]


@dataclass
class StepExercise(Exercise):
    """A step or a loop.

    An input is either what the answer is called with (networks should be `ToyNetwork`s) or, with `@ex.build`,
    a recipe from which the arguments are made: an optimiser and its network cannot be copied apart.
    `stays` says of a network (the argument's name) why it must not move. `left_gradients` names the networks
    of which what the call leaves in `.grad` is compared; True: all. `behind` names entries of the scene that
    the answer is not given but whose condition is compared too: the network that made one of its tensors.
    """

    kind: str = "training loop"
    draws: int = 8  # each runs a whole network several times
    stays: dict[str, str] = field(default_factory=dict)
    left_gradients: bool | tuple[str, ...] = False
    behind: tuple[str, ...] = ()
    _build: Build | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._probe = self._observed

    def build(self, function: Build) -> Build:
        """Decorator: makes {argument: value} of a recipe, under a seed of its own."""
        self._build = function
        return function

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of an input's entries: those of the recipe if there is one."""
        return tuple(inspect.signature(self._build or self.function).parameters)

    def judge(self, answer: Any) -> Result:
        """As for a function; what it is called with may be made of a recipe."""
        if not callable(answer) or is_stub(answer):
            return checker.judge(self, None if callable(answer) else answer)
        asked = tuple(inspect.signature(self.function).parameters)
        try:
            inspect.signature(answer).bind(*asked)
        except TypeError:
            text = f"your function must take ({', '.join(asked)}), in this order."
            return Result(State.CANNOT_CHECK, self.id, text)
        return checker.judge(self, self.called(answer))

    def called(self, answer: Answer) -> Answer:
        """`answer` as the checker calls it: with one input, through the probe."""
        return probed(self._observed, answer, self.parameters)

    def scene(self, *args: Any) -> dict[str, Any]:
        """The arguments by name, made of one input; the global generator is left as it was."""
        if self._build is None:
            return _in_one_place(dict(zip(self.parameters, duplicate(args), strict=True)))
        with torch.random.fork_rng(devices=[]):
            return _in_one_place(self._build(*duplicate(args)))

    def _observed(self, answer: Answer, *args: Any) -> dict[str, Any]:
        scene = self.scene(*args)
        networks = {name: value for name, value in scene.items() if isinstance(value, nn.Module)}
        before = {name: copy.deepcopy(network.state_dict()) for name, network in networks.items()}
        made = [name for name, value in scene.items() if isinstance(value, Tensor) and value.requires_grad]
        with _RandomWhereAsked() if _on_meta(scene) else nullcontext():
            returned = answer(*(value for name, value in scene.items() if name not in self.behind))
        if returned is ...:
            raise NotImplementedError
        seen: dict[str, Any] = {}
        for name, network in networks.items():
            seen[f"the network `{name}`"] = self._moves(name, network, before[name])
        seen["what is returned"] = kind_of(returned)
        for name, network in networks.items():
            seen |= self._condition(name, network)
        for name, value in scene.items():
            if isinstance(value, torch.optim.Optimizer):
                seen |= _progress(name, value)
            elif not isinstance(value, nn.Module) and not callable(value):
                seen[f"`{name}` after the call"] = value
        for name in made:
            seen[f"`{name}`, its graph after the call"] = Said("kept" if scene[name].requires_grad else "cut")
        return seen | {"what is returned, in numbers": _numbers(returned)}

    def _moves(self, name: str, network: nn.Module, before: dict[str, Tensor]) -> Said:
        after = network.state_dict()
        moved = [
            n for n, value in before.items() if value.shape != after[n].shape or (value != after[n]).any()
        ]
        if not moved:
            reason = f" ({self.stays[name]})" if name in self.stays else ""
            return Said(f"it stays as it was{reason}")
        if len(moved) == len(before):
            return Said("all of it moves")
        return Said(f"of its parts only {', '.join(f'`{n}`' for n in moved)} moves")

    def _condition(self, name: str, network: nn.Module) -> dict[str, Any]:
        seen: dict[str, Any] = {f"`{name}` after the call": mode(network)}
        for part, parameter in network.named_parameters():
            seen[f"`{name}.{part}` after the call"] = parameter.detach().clone()
            learns = "requires gradients" if parameter.requires_grad else "requires no gradients"
            seen[f"`{name}.{part}`, its `requires_grad` after the call"] = Said(learns)
            if self.left_gradients is True or (self.left_gradients and name in self.left_gradients):
                left = Said("None") if parameter.grad is None else parameter.grad.clone()
                seen[f"`{name}.{part}.grad` after the call"] = left
        for part, buffer in network.named_buffers():
            seen[f"`{name}.{part}` after the call"] = buffer.clone()
        return seen


def _in_one_place(scene: dict[str, Any]) -> dict[str, Any]:
    """The scene with its networks on the device of its tensors."""
    device = next((v.device for v in scene.values() if isinstance(v, Tensor)), None)
    for value in scene.values():
        if isinstance(value, nn.Module):
            value.to(device)
    return scene


def _on_meta(scene: dict[str, Any]) -> bool:
    return any(isinstance(v, Tensor) and v.is_meta for v in scene.values())


class _RandomWhereAsked(TorchFunctionMode):
    """Refuses draws that do not say on which device: a generator of another one would refuse them, too."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.rand, torch.randn, torch.randint, torch.randperm) and not (kwargs or {}).get(
            "device"
        ):
            raise RuntimeError(f"torch.{func.__name__} must draw on the same device as the data")
        return func(*args, **(kwargs or {}))


def kind_of(value: Any) -> Said:
    """What kind of value this is, in words: "a list of 3 numbers", "a tensor of shape (2,) with a graph"."""
    if value is None:
        return Said("nothing (is a `return` missing?)")
    if isinstance(value, Tensor):
        graph = " with a graph" if value.requires_grad else ""
        return Said(f"a tensor of shape {tuple(value.shape)}{graph}")
    if isinstance(value, (list, tuple)):
        kinds = sorted({kind_of(v) for v in value})
        of = f": each {kinds[0]}" if len(kinds) == 1 else f": {', '.join(kinds)}" if kinds else ""
        return Said(f"a list of {len(value)}{of}")
    if _is_number(value):
        return Said("a number")
    return Said(f"a {type(value).__name__}")


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, Tensor)


def _numbers(value: Any) -> Any:
    """Numbers as float32 tensors, so that they are compared as precisely as networks compute."""
    if _is_number(value):
        return torch.tensor(float(value))
    if isinstance(value, (list, tuple)) and value and all(map(_is_number, value)):
        return torch.tensor([float(v) for v in value])
    if isinstance(value, (list, tuple)):
        return [_numbers(v) for v in value]
    return value.detach() if isinstance(value, Tensor) else value


def _progress(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    steps = [int(state["step"]) for state in optimiser.state.values() if "step" in state]
    rates = [float(group["lr"]) for group in optimiser.param_groups]
    return {f"`{name}`: steps taken": max(steps, default=0), f"`{name}`: learning rates": rates}
