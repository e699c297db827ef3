"""What counts as the same value, and in which words two values differ.

Tolerances go by dtype and by the size of the values. For float64 and numbers the limit lies between two
things: another order of the operations (1e-12, at most 1e-8 with a small constant against division by zero)
must pass, and a result that went through float32 (up to 6e-8) must not.
"""

import dataclasses
import operator
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import parts
from gantrans.teaching.exercises.words import a_sequence, end_of, show

TOLERANCE = {torch.float32: 3e-5, torch.float64: 2e-8}
SMALLEST = {torch.float32: 1.0, torch.float64: 0.05}
"""Values below this size are compared as if they had it: they are what is left of larger ones."""


def difference(expected: Any, got: Any, where: str = "", tolerance: float | None = None) -> str | None:
    """How `got` differs from `expected`: type, structure, shape, dtype, device, value; None if not.

    `tolerance` replaces the limits where it is wider; entries of a mapping are named by their keys.
    """
    if isinstance(expected, Tensor):
        return _tensor_difference(expected, got, where, tolerance)
    if isinstance(expected, Mapping):
        return _mapping_difference(expected, got, where, tolerance)
    if isinstance(expected, (list, tuple)):
        return _sequence_difference(expected, got, where, tolerance)
    if dataclasses.is_dataclass(expected) and not isinstance(expected, type):
        return _fields_difference(expected, got, where, tolerance)
    if isinstance(expected, nn.Module):
        return _module_difference(expected, got, where, tolerance)
    if isinstance(expected, torch.Generator):
        same = isinstance(got, torch.Generator) and torch.equal(expected.get_state(), got.get_state())
        return None if same else f"the generator was used differently{where}."
    if isinstance(expected, (bool, np.bool_)):
        return _bool_difference(bool(expected), got, where)
    if isinstance(expected, (int, np.integer)):
        return _integer_difference(int(expected), got, where)
    if isinstance(expected, (float, np.floating)):
        return _float_difference(float(expected), got, where, tolerance)
    if isinstance(expected, np.ndarray):
        return _array_difference(expected, got, where, tolerance)
    if _plainly_equal(expected, got):
        return None
    return f"expected {show(expected)}{where}, got {show(got)}" + end_of(got)


def _plainly_equal(expected: Any, got: Any) -> bool:
    """Equality of everything else: strings, None, sets, an exercise's objects; subclasses may stand in."""
    if isinstance(expected, Set):
        return isinstance(got, Set) and set(expected) == set(got)
    related = isinstance(got, type(expected)) or isinstance(expected, type(got))
    return related and bool(np.all(expected == got))


def _named(where: str, name: str) -> str:
    return f"{where}, {name}" if where else f" in {name}"


def _sequence_difference(
    expected: Sequence[Any], got: Any, where: str, tolerance: float | None
) -> str | None:
    if isinstance(got, np.ndarray) and got.ndim:
        got = got.tolist()
    if not isinstance(got, (list, tuple)):
        return f"expected {a_sequence(expected)}{where}, got {show(got)}" + end_of(got)
    if len(expected) != len(got):
        both = f"expected {show(expected)}, got {show(got)}"
        return f"expected {len(expected)} entries{where}, got {len(got)}: {both}."
    names = getattr(expected, "_fields", range(len(expected)))
    for name, e, g in zip(names, expected, got, strict=True):
        reason = difference(e, g, _named(where, f"entry {name}"), tolerance)
        if reason:
            return reason
    return None


def _mapping_difference(
    expected: Mapping[Any, Any], got: Any, where: str, tolerance: float | None
) -> str | None:
    if not isinstance(got, Mapping):
        return f"expected a dict with {len(expected)} entries{where}, got {show(got)}" + end_of(got)
    missing = [key for key in expected if key not in got]
    extra = [key for key in got if key not in expected]
    if missing or extra:
        words = [f"`{missing[0]!r}` is missing"] if missing else []
        words += [f"`{extra[0]!r}` should not be there"] if extra else []
        return f"other keys were expected{where}: {' and '.join(words)}. Got {show(got)}."
    for key, value in expected.items():
        quoted = isinstance(key, str) and " " not in key  # a name of a few words stands as it is
        name = f"`{key}`" if quoted else key if isinstance(key, str) else f"entry {key!r}"
        reason = difference(value, got[key], _named(where, name), tolerance)
        if reason:
            return reason
    return None


def _fields_difference(expected: Any, got: Any, where: str, tolerance: float | None) -> str | None:
    names = [field.name for field in dataclasses.fields(expected) if field.compare]
    missing = [name for name in names if not hasattr(got, name)]
    if missing:
        return f"expected a {type(expected).__name__}{where}, got {show(got)}" + end_of(got)
    for name in names:
        here = _named(where, f"`{name}`")
        reason = difference(getattr(expected, name), getattr(got, name), here, tolerance)
        if reason:
            return reason
    return None


def _module_difference(expected: nn.Module, got: Any, where: str, tolerance: float | None) -> str | None:
    """What was done to a module: parameters and buffers, their gradients, who is trainable, which mode."""
    if not isinstance(got, nn.Module):
        return f"expected a module{where}, got {show(got)}" + end_of(got)
    state = module_state(expected), module_state(got)
    if state[0].keys() != state[1].keys():
        return f"expected a module with {sorted(state[0])}{where}, got one with {sorted(state[1])}."
    for name, value in state[0].items():
        reason = difference(value, state[1][name], _named(where, name), tolerance)
        if reason:
            return reason
    return None


def module_state(module: nn.Module) -> dict[str, Any]:
    """All that code may change in a module, by a name fit for a sentence."""
    state: dict[str, Any] = {}
    for name, value in [*module.named_parameters(), *module.named_buffers()]:
        state[f"`{name}`"] = value.detach()
        if isinstance(value, nn.Parameter):
            state[f"`{name}.grad`"] = value.grad
            state[f"`{name}.requires_grad`"] = value.requires_grad
    for name, part in module.named_modules():
        state[f"`{name}.training`" if name else "`training`"] = part.training
        for key, value in vars(part).items():
            if not key.startswith("_") and key != "training" and isinstance(value, (int, float, str, list)):
                state[f"`{name}.{key}`" if name else f"`{key}`"] = value
    return state


def tolerance_of(dtype: torch.dtype, override: float | None = None) -> float:
    """The largest difference between results that count as the same, as a part of their size."""
    return max(TOLERANCE.get(dtype, 1e-2), override or 0.0)


def wrong_elements(
    expected: Tensor, got: Tensor, tolerance: float | None = None, scale: float = 0.0
) -> Tensor:
    """Where two tensors of one shape and dtype differ; `scale` is a size that their values come from."""
    if torch.equal(expected, got):
        return torch.zeros(expected.shape, dtype=torch.bool)
    if not expected.is_floating_point() and not expected.is_complex():
        return expected != got
    wide = torch.complex128 if expected.is_complex() else torch.float64
    e, g = expected.detach().to(wide), got.detach().to(wide)
    finite = e[e.isfinite()].abs()
    scale = max(scale, SMALLEST.get(expected.dtype, 1.0), float(finite.max()) if finite.numel() else 0.0)
    limit = tolerance_of(expected.dtype, tolerance) * scale
    return ~torch.isclose(g, e, rtol=0.0, atol=limit, equal_nan=True)


def _tensor_difference(
    expected: Tensor, got: Any, where: str, tolerance: float | None, scale: float = 0.0
) -> str | None:
    if isinstance(got, (np.ndarray, np.generic)):
        return (
            f"expected a tensor{where}, got a NumPy {'array' if isinstance(got, np.ndarray) else 'number'}."
        )
    if not isinstance(got, Tensor):
        return f"expected a tensor{where}, got {show(got)}" + end_of(got)
    for name in ("shape", "dtype", "device"):
        e, g = getattr(expected, name), getattr(got, name)
        if e != g:
            e, g = (tuple(e), tuple(g)) if name == "shape" else (e, g)
            return f"expected {name} {e}{where}, got {name} {g}."
    if expected.device.type == "meta":
        return None
    if expected.layout != got.layout:
        return f"expected layout {expected.layout}{where}, got {got.layout}."
    wrong = wrong_elements(expected, got, tolerance, scale)
    if not wrong.any():
        return None
    if expected.numel() <= 12:
        words = show(expected), show(got)
        start = f"expected {words[0]}{where}, got {words[1]}."
    else:
        index = tuple(wrong.nonzero()[0].tolist())
        words = _number(expected[index]), _number(got[index])
        count = f"{int(wrong.sum())} of {wrong.numel()} elements are wrong{where}"
        start = f"{count}; the first is at {list(index)}: expected {words[0]}, got {words[1]}."
    return start + (_same_digits(expected, got) if words[0] == words[1] else "")


def _number(value: Tensor) -> str:
    return f"{value.item():.5g}"


def _same_digits(expected: Tensor, got: Tensor) -> str:
    """What to add where both print the same digits."""
    gap = float((expected.detach() - got.detach()).abs().nan_to_num().max())
    note = f" They differ by up to {gap:.1g}, more than rounding explains"
    through = expected.dtype == torch.float64 and torch.equal(got.detach(), got.detach().float().double())
    return note + (": float32 has been used on the way." if through else ".")


def _scalar(got: Any) -> Any:
    """A Python number for what holds one: NumPy's scalars, and tensors and arrays of a single element."""
    if isinstance(got, (Tensor, np.ndarray)):
        return got.item() if (got.numel() if isinstance(got, Tensor) else got.size) == 1 else got
    return got.item() if isinstance(got, np.generic) else got


def _bool_difference(expected: bool, got: Any, where: str) -> str | None:
    value = _scalar(got)
    if isinstance(value, bool) and value is expected:
        return None
    kind = "" if isinstance(value, bool) else "the bool "
    return f"expected {kind}{expected}{where}, got {show(got)}" + end_of(got)


def _integer_difference(expected: int, got: Any, where: str) -> str | None:
    if isinstance(got, (bool, np.bool_)) or not hasattr(got, "__index__"):
        return f"expected the whole number {expected}{where}, got {show(got)}" + end_of(got)
    try:
        same = operator.index(got) == expected
    except TypeError:  # a tensor of floats, or of many elements
        same = False
    return None if same else f"expected {expected}{where}, got {show(got)}."


def _float_difference(expected: float, got: Any, where: str, tolerance: float | None) -> str | None:
    value = _scalar(got)
    if not isinstance(value, (int, float)):
        return f"expected a number{where}, got {show(got)}" + end_of(got)
    size = max(SMALLEST[torch.float64], abs(expected))
    limit = tolerance_of(torch.float64, tolerance) * size
    if value == expected or abs(value - expected) <= limit or (value != value and expected != expected):
        return None
    words = f"{expected:.6g}", f"{value:.6g}"
    text = f"expected {words[0]}{where}, got {words[1]}."
    if words[0] == words[1]:
        kind = str(getattr(got, "dtype", "")).removeprefix("torch.")
        narrow = f": yours is a {kind}, a Python number is a float64." if kind == "float32" else "."
        text += f" They differ by {abs(value - expected):.1g}, more than rounding explains{narrow}"
    return text


def _array_difference(expected: np.ndarray, got: Any, where: str, tolerance: float | None) -> str | None:  # type: ignore[type-arg]
    if not isinstance(got, np.ndarray):
        return f"expected a NumPy array{where}, got {show(got)}" + end_of(got)
    if expected.dtype != got.dtype:
        return f"expected dtype {expected.dtype}{where}, got dtype {got.dtype}."
    if expected.dtype.kind not in "biufc":
        return (
            None if np.array_equal(expected, got) else f"expected {show(expected)}{where}, got {show(got)}."
        )
    # copies, because a tensor cannot be made of an array that is turned round (`[::-1]`)
    return _tensor_difference(torch.tensor(expected.copy()), torch.tensor(got.copy()), where, tolerance)


def gradient_difference(
    expected: Tensor | None, got: Tensor | None, tolerance: float | None = None, scale: float = 0.0
) -> str | None:
    """How two gradients differ; `scale` is the size of the largest gradient of the same call."""
    if got is None:
        if expected is None or not expected.any():  # no path and a path of slope 0 are the same
            return None
        return "none arrives: something cuts the graph (detach, item, no_grad, numpy, or a new tensor)."
    if expected is None:
        return None if not got.any() else "the result should not depend on it at all."
    return _tensor_difference(expected, got, "", tolerance, scale)


def shared_arguments(value: Any, args: Sequence[Any]) -> frozenset[int]:
    """Positions of the arguments whose memory is part of `value`: tensors that share it, the very lists."""
    mine = {t.untyped_storage().data_ptr() for _, t in parts(value, Tensor) if _has_memory(t)}
    boxes = {id(value)} | ({id(v) for v in value} if isinstance(value, (list, tuple)) else set())
    return frozenset(
        i
        for i, arg in enumerate(args)
        if (isinstance(arg, (list, dict, set)) and id(arg) in boxes)
        or any(t.untyped_storage().data_ptr() in mine for _, t in parts(arg, Tensor) if _has_memory(t))
    )


def _has_memory(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type == "cpu" and tensor.numel() > 0
