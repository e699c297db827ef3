"""What is asked of a whole answer once its values are right: its memory is its own, any view will do as an
input, and everything stays on the device of the inputs."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from gantrans.teaching.exercises.differential import Observation, difference, observe
from gantrans.teaching.exercises.inputs import Args, changed_tensors, duplicate, parts, with_gaps
from gantrans.teaching.exercises.words import error_text

Answer = Callable[..., Any]


class Task(Protocol):
    """What is read of an exercise here."""

    @property
    def function(self) -> Answer: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def cases(self) -> Sequence[Args]: ...
    @property
    def expected(self) -> Sequence[Observation]: ...
    @property
    def tolerance(self) -> float | None: ...
    def called(self, answer: Answer) -> Answer: ...


def beyond_the_inputs(ex: Task, answer: Answer, seen: Sequence[Observation]) -> str | None:
    """One sentence on what is wrong with an answer that gives the right values, or None."""
    return _shares_memory(ex, seen) or _needs_contiguous(ex, answer) or _leaves_device(ex, answer)


def _shares_memory(ex: Task, seen: Sequence[Observation]) -> str | None:
    """A result that is part of an argument: who changes it later changes the input.

    Only where it is the rule: a shortcut for a special case (`if scale == 0: return x`) is fine.
    """
    for i, name in enumerate(ex.parameters):
        if any(i in wanted.shares for wanted in ex.expected):
            continue
        if 2 * sum(i in got.shares for got in seen) > len(seen):
            return (
                f"the values are right, but your result shares its memory with `{name}`: whoever changes it "
                f"in place later changes the input, too. Return a copy (`.clone()`, `list(...)`)."
            )
    return None


def _needs_contiguous(ex: Task, answer: Answer) -> str | None:
    """Two inputs again as views with gaps; where the reference takes them, so must the answer."""
    for args in _largest(ex):
        views = changed_tensors(args, with_gaps)
        expected = observe(ex.called(ex.function), views, (), None, ex.tolerance)
        if expected.error is not None:
            continue
        got = observe(ex.called(answer), views, (), expected, ex.tolerance)
        reason = difference(expected.value, got.value, "", ex.tolerance)
        if got.error is not None:
            reason = f"your code raised {error_text(got.error)}."
        if reason:
            return (
                "the values are right, but not if the inputs are views with gaps, as slicing makes them "
                f"(`.contiguous()` is False): {reason}"
            )
    return None


def _largest(ex: Task) -> list[Args]:
    """For each dtype the input with the most elements."""
    sizes: dict[Any, tuple[int, Args]] = {}
    for args, wanted in zip(ex.cases, ex.expected, strict=True):
        tensors = [t for _, t in parts(args, Tensor)]
        if wanted.error is None and any(t.dim() and t.numel() > 1 for t in tensors):
            kind, size = tensors[0].dtype, sum(t.numel() for t in tensors)
            if size > sizes.get(kind, (0, ()))[0]:
                sizes[kind] = size, args
    return [args for _, args in sizes.values()]


def _leaves_device(ex: Task, answer: Answer) -> str | None:
    """One run on the meta device shows whether results stay where inputs are, without a GPU.

    Code that needs values (`.item()`, NumPy) cannot run there; nothing is held against it.
    """
    args = tuple(_on_meta(a) for a in ex.cases[-1])
    if not any(isinstance(a, Tensor) for a in args):
        return None
    stays = "the values are right, but everything must stay on the device of the inputs, and {}."
    expected, got = observe(ex.called(ex.function), args), observe(ex.called(answer), args)
    if got.error is not None:
        mixed = "expected device" in str(got.error) or "same device" in str(got.error)
        return stays.format("your code mixes them with a tensor that it made on the CPU") if mixed else None
    left = expected.error is None and difference(expected.value, got.value)
    return stays.format("your result comes back on the CPU") if left and "device" in left else None


def _on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, (list, tuple)):
        return type(value)(_on_meta(v) for v in value)
    return duplicate(value).to("meta") if isinstance(value, nn.Module) else duplicate(value)
