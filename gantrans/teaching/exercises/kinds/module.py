"""A class to write: constructed, its parameters, what it computes in both modes, gradients to everything."""

import inspect
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises import checker
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise, stub_lines
from gantrans.teaching.exercises.inputs import Args, duplicate, seed_globals
from gantrans.teaching.exercises.kinds.probing import Said, directions, mode, probed, with_graph
from gantrans.teaching.exercises.results import Result, State

ABSENT = Said("there is none of this name")
NOT_RUN = Said("not run, because the parameters are others")


@dataclass
class ModuleExercise(Exercise):
    """A subclass of `nn.Module`; the reference is the class itself.

    An input is the constructor's arguments, then those of `forward`. Every answer is given the same state,
    drawn so that no layer starts at zero; `initial` names entries of the state whose first values are part
    of the task (a layer that starts at zero). `given` names methods that the stub has whole, such as an
    `__init__` that makes the layers; the learner writes the others. `as_torch_starts`: the task includes
    that layers start as PyTorch starts them, so numbers much larger or smaller are refused.
    """

    kind: str = "class"
    draws: int = 8  # each runs a whole network several times
    initial: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    as_torch_starts: bool = False
    _known: dict[str, "_Wanted"] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._probe = self._observed

    @cached_property
    def built_with(self) -> int:
        """How many of an input's entries belong to the constructor."""
        return len(inspect.signature(self.function).parameters)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of an input's entries: those of the constructor, then those of `forward`."""
        forward = list(inspect.signature(self.function.forward).parameters)[1:]  # type: ignore[attr-defined]
        return (*inspect.signature(self.function).parameters, *forward)

    @cached_property
    def stub(self) -> str:
        """What the learner starts from: as for a function, with what is given."""
        return "\n".join(stub_lines(self.reference_source, self.given))

    def judge(self, answer: Any) -> Result:
        """As for a function, after a look at whether this is a class at all."""
        refusal = None if answer is None or answer is ... else self._no_class(answer)
        if refusal:
            return Result(State.CANNOT_CHECK, self.id, refusal)
        return checker.judge(self, answer if answer is None or answer is ... else self.called(answer))

    def called(self, answer: Answer) -> Answer:
        """`answer` as the checker calls it: with one input, through the probe."""
        return probed(self._observed, answer, self.parameters)

    def _no_class(self, answer: Any) -> str:
        needed = f"`check` needs the class itself, as in `ex.check({self.name})`"
        if isinstance(answer, nn.Module):
            return f"{needed}; it was given a module that is built already."
        if not isinstance(answer, type):
            return f"{needed}; it was given something else, of type {type(answer).__name__}."
        if not issubclass(answer, nn.Module):
            return f"`{self.name}` must be a module, as in `class {self.name}(nn.Module):`."
        made, given = self.cases[0][: self.built_with], self.cases[0][self.built_with :]
        for name, args, names in (
            ("__init__", made, self.parameters[: self.built_with]),
            ("forward", given, self.parameters[self.built_with :]),
        ):
            try:
                inspect.signature(getattr(answer, name)).bind(None, *args)
            except TypeError:
                return f"`{name}` must take (self, {', '.join(names)}), in this order."
        return ""

    def _observed(self, answer: Answer, *args: Any) -> dict[str, Any]:
        made, given = args[: self.built_with], args[self.built_with :]
        device, dtype = _place(given)
        wanted = self._wanted(made, device, dtype)
        seed_globals(5)
        its_own = duplicate(made)
        module = answer(*its_own)
        seen: dict[str, Any] = {"mode after construction": mode(module)}
        names = zip(self.parameters, made, its_own, strict=False)
        changed = [f"`{name}` is {after!r}" for name, before, after in names if repr(before) != repr(after)]
        seen["what the constructor was given, afterwards"] = Said(", ".join(changed) or "as it was")
        seen["a second instance"] = _sharing(module, answer(*duplicate(made)))
        shapes = _shapes(module)
        state = {name: value.clone() for name, value in module.state_dict().items()}  # before ours is loaded
        seen |= {f"{name}: shape": shapes.get(name, ABSENT) for name in wanted.shapes}
        surplus = [name for name in shapes if name not in wanted.shapes]
        seen["parameters and buffers beyond those"] = Said(", ".join(surplus) or "none")
        frozen = [f"`{name}`" for name, p in module.named_parameters() if not p.requires_grad]
        seen["frozen parameters"] = Said(", ".join(frozen) or "none")
        seen |= {f"`{name}` after construction": state.get(name, ABSENT) for name in self.initial}
        usual = wanted.spread if self.as_torch_starts else {}
        seen |= {
            f"start of `{n}`": _start(state[n], usual.get(n, 0.0)) if n in state else ABSENT
            for n in wanted.state
        }
        if shapes != wanted.shapes:
            return seen | dict.fromkeys(
                wanted.findings + _slopes(self.parameters[self.built_with :], given), NOT_RUN
            )
        module = module.to(device, dtype)
        if device.type != "meta":
            module.load_state_dict(wanted.state)
        return seen | _run(module, self.parameters[self.built_with :], given)

    def _wanted(self, made: Args, device: torch.device, dtype: torch.dtype) -> "_Wanted":
        key = repr((made, device, dtype))
        if key not in self._known:
            seed_globals(5)
            module = self.function(*duplicate(made))
            shapes = _shapes(module)
            spread = {n: _spread(v) for n, v in module.state_dict().items()}
            module = module.to(device, dtype)
            findings = ["output in eval mode", "output in eval mode, again", "output in train mode"]
            findings += ["mode after a call in eval mode", "mode after a call in train mode"]
            findings += [f"gradient of `{name}`" for name, _ in module.named_parameters()]
            findings += [f"buffer `{name}` after a call in train mode" for name in _buffers(module)]
            self._known[key] = _Wanted(_drawn(module), shapes, findings, spread)
        return self._known[key]


@dataclass(frozen=True)
class _Wanted:
    """What is known of the reference before an answer runs: a state for all, shapes, names of findings, and
    the standard deviations that its layers start with (0 where there are few numbers)."""

    state: dict[str, Tensor]
    shapes: dict[str, Said]
    findings: list[str]
    spread: dict[str, float]


def _place(given: Args) -> tuple[torch.device, torch.dtype]:
    """Device and dtype of the first tensor of numbers that `forward` is given."""
    tensors = [v for v in given if isinstance(v, Tensor) and v.is_floating_point()]
    return (tensors[0].device, tensors[0].dtype) if tensors else (torch.device("cpu"), torch.float32)


def _shapes(module: nn.Module) -> dict[str, Said]:
    """Shapes (and dtypes other than float32) of all parameters and buffers, by what a message calls them."""
    parameters = dict(module.named_parameters(remove_duplicate=False))
    found = {}
    for name, value in module.state_dict().items():
        kind = "" if value.dtype == torch.float32 else f" of {str(value.dtype).removeprefix('torch.')}"
        found[f"{'parameter' if name in parameters else 'buffer'} `{name}`"] = Said(
            f"{tuple(value.shape)}{kind}"
        )
    return found


def _spread(value: Tensor) -> float:
    """Standard deviation, where there are enough numbers to tell it within some 30 %; else 0."""
    return float(value.double().std()) if value.numel() >= 16 and value.is_floating_point() else 0.0


def _start(value: Tensor, usual: float = 0.0) -> Said:
    """How a layer begins: one value everywhere, or drawn at random (which numbers are drawn is free).

    With a `usual` standard deviation, also whether they are less than half or more than twice as large.
    """
    first = value.flatten()[:1]
    if value.numel() and bool((value == first).all()) and (value.numel() > 1 or float(first) in (0, 1)):
        return Said(f"{float(first):g} everywhere")
    if usual and not 0.5 < _spread(value) / usual < 2:
        return Said(f"drawn at random, with a standard deviation of {_spread(value):.2g}, not {usual:.2g}")
    return Said("drawn at random")


def _sharing(first: nn.Module, second: nn.Module) -> Said:
    used = {p.data_ptr() for p in first.parameters() if p.numel()}
    shared = any(p.data_ptr() in used for p in second.parameters())
    return Said("shares parameters with the first" if shared else "has parameters of its own")


def _drawn(wanted: nn.Module) -> dict[str, Tensor]:
    """A state in which no number is zero or the same as another; whole numbers (counters) stay."""
    draw = torch.Generator().manual_seed(11)
    state = {}
    for name, value in wanted.state_dict().items():
        noise = torch.randn(value.shape, generator=draw, dtype=torch.float64).to(value.device)
        positive = name.endswith("running_var")
        new = noise.abs() + 0.5 if positive else 0.5 * noise + value.double()
        state[name] = new.to(value) if value.is_floating_point() else value
    return state


def _run(module: nn.Module, names: tuple[str, ...], given: Args) -> dict[str, Any]:
    """Eval mode twice, train mode once, gradients of the last; then what has become of state and inputs."""
    seen: dict[str, Any] = {}
    module.eval()
    for seed, word in ((1, "output in eval mode"), (2, "output in eval mode, again")):
        seed_globals(seed)
        seen[word] = module(*given)
        seen.setdefault("mode after a call in eval mode", mode(module))
    before = duplicate(given)
    module.train()
    leaves = {n: v.requires_grad_() for n, v in zip(names, before, strict=True) if _has_slope(v)}
    seed_globals(3)
    output = module(*before)
    seen["output in train mode"] = output
    seen["mode after a call in train mode"] = mode(module)
    outputs = with_graph(output)
    asked = {f"gradient of `{name}`": p for name, p in module.named_parameters(remove_duplicate=False)}
    asked |= {f"gradient of the input `{name}`": leaf for name, leaf in leaves.items()}
    seen |= dict.fromkeys(asked, Said("none arrives"))
    asked = {name: leaf for name, leaf in asked.items() if leaf.requires_grad}
    if outputs and asked:
        got = torch.autograd.grad(outputs, list(asked.values()), directions(output), allow_unused=True)
        seen |= {name: slope for name, slope in zip(asked, got, strict=True) if slope is not None}
    for name, buffer in _buffers(module).items():
        seen[f"buffer `{name}` after a call in train mode"] = buffer.clone()
    return seen


def _buffers(module: nn.Module) -> dict[str, Tensor]:
    state = module.state_dict()
    return {name: buffer for name, buffer in module.named_buffers() if name in state}


def _slopes(names: tuple[str, ...], given: Args) -> list[str]:
    pairs = zip(names, given, strict=True)
    return [f"gradient of the input `{name}`" for name, value in pairs if _has_slope(value)]


def _has_slope(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
