"""What is asked of a whole answer once its values are right: its memory is its own, any view will do as an
input, and everything stays on the device of the inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from gantrans.teaching.exercises.differential import Observation, difference, observe
from gantrans.teaching.exercises.elsewhere import Elsewhere, another_device
from gantrans.teaching.exercises.guard import TimeUp
from gantrans.teaching.exercises.inputs import Args, changed_tensors, duplicate, parts, with_gaps
from gantrans.teaching.exercises.task import Answer, Task
from gantrans.teaching.exercises.words import error_text


def beyond_the_inputs(ex: Task, answer: Answer, seen: Sequence[Observation]) -> tuple[str, str] | None:
    """What is wrong with an answer that gives the right values: a short name and a sentence; or None."""
    for name, fault in (
        ("shared_memory", lambda: _shares_memory(ex, seen)),
        ("contiguous", lambda: _needs_contiguous(ex, answer)),
        ("device", lambda: _leaves_device(ex, answer) if _asks_for_device(ex) else None),
    ):
        reason = fault()
        if reason:
            return name, reason
    return None


def on_a_gpu(ex: Task, answer: Answer) -> str:
    """A remark on a right answer that needs the CPU, where the text does not ask for a device; or nothing."""
    if _asks_for_device(ex) or not _leaves_device(ex, answer):
        return ""
    return " (On a GPU it would mix devices: make your tensors on the device of the inputs.)"


def _asks_for_device(ex: Task) -> bool:
    return "device" in ex.spec


def _shares_memory(ex: Task, seen: Sequence[Observation]) -> str | None:
    """A result that is part of an argument: who changes it later changes the input.

    Only where it is the rule: a shortcut for a special case (`if scale == 0: return x`) is fine, unless the
    exercise is `fresh`: its text asks for new tensors.
    """
    for i, name in enumerate(ex.parameters):
        if any(i in wanted.shares for wanted in ex.expected):
            continue
        count = sum(i in got.shares for got in seen)
        if 2 * count > len(seen) or (ex.fresh and count):
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
    """Runs as on a GPU, without one, where the reference takes them; see `elsewhere`.

    An answer that reads values out (`.item()`, NumPy) and returns them on the CPU is not held to it.
    """
    stays = "the values are right, but everything must stay on the device of the inputs, and {}."
    for args in [*_largest(ex), ex.cases[-1]]:
        expected = _on_another_device(ex.called(ex.function), args)
        if not isinstance(expected, _Placed) or True not in expected.places.values():
            continue
        got = _on_another_device(ex.called(answer), args)
        if isinstance(got, BaseException):
            if "same device" in str(got):
                return stays.format("your code mixes them with a tensor that it made on the CPU")
            continue
        left = [w for w, there in expected.places.items() if there and got.places.get(w) is False]
        if left and not got.values_taken:
            which = f"entry {left[0]} of your result" if left[0] else "your result"
            return stays.format(f"{which} comes back on the CPU")
    return None


@dataclass(frozen=True)
class _Placed:
    """For each tensor of a result whether it is on the other device."""

    places: dict[str, bool]
    values_taken: bool


def _on_another_device(function: Answer, args: Args) -> _Placed | BaseException:
    """Where the results of a call are, or what it raised."""
    inputs = changed_tensors(duplicate(args), Elsewhere)
    try:
        with another_device() as log:
            value = function(*inputs)
    except (KeyboardInterrupt, TimeUp):
        raise
    except BaseException as error:  # also what this device cannot do
        return error
    places = {where: isinstance(tensor, Elsewhere) for where, tensor in parts(value, Tensor)}
    return _Placed(places, log.values_taken)
