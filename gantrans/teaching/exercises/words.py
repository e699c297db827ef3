"""Values in the words of a message: short, on one line, never an address in memory."""

import inspect
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def show(value: Any) -> str:
    """A value in one short line, fit for a sentence: small tensors in full, large ones by shape and range."""
    if isinstance(value, Tensor):
        return _tensor(value)
    if isinstance(value, np.ndarray):
        body = _rounded(value.tolist()) if value.size <= 12 else f"of shape {value.shape}"
        return _cut(f"NumPy array {body}")
    if isinstance(value, np.generic):
        return f"{_rounded(value.item())} ({type(value).__name__})"
    if isinstance(value, torch.Generator):
        return "a torch.Generator"
    if isinstance(value, nn.Module) and type(value).__repr__ is nn.Module.__repr__:
        return f"a module {type(value).__name__}"
    if isinstance(value, FunctionType):
        return f"the function {value.__name__}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{key!r}: {show(entry)}" for key, entry in value.items()) + "}")
    if isinstance(value, (list, tuple)) and any(
        isinstance(v, (Tensor, nn.Module, np.ndarray)) for v in value
    ):
        return _cut(f"({', '.join(map(show, value))})")
    return _cut(str(_rounded(value)) if isinstance(value, (list, tuple, float)) else repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."


def _tensor(value: Tensor) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    if value.device.type == "meta":
        return f"{kind} tensor of shape {tuple(value.shape)}"
    if value.numel() <= 12:
        return f"{kind} tensor {_rounded(value.tolist())}"
    if value.is_complex():
        return f"{kind} tensor of shape {tuple(value.shape)}"
    low, high = float(value.detach().min()), float(value.detach().max())
    return f"{kind} tensor of shape {tuple(value.shape)} with values {low:.4g} to {high:.4g}"


def error_text(error: BaseException) -> str:
    """The kind of an exception and the beginning of its text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}" + (f" ({text[:200]})" if text else "")


def end_of(got: Any) -> str:
    """How a sentence about an unfit value ends: with the likely reason, if the value gives one away."""
    if got is None:
        return ": is a `return` missing?"
    if inspect.isgenerator(got):
        return ": your function contains `yield`, so a call only makes a generator; `return` gives the value."
    if inspect.iscoroutine(got) or inspect.isasyncgen(got):
        return ": your function is `async`, so a call only makes a coroutine; write `def` alone."
    return "."


def a_sequence(expected: Sequence[Any]) -> str:
    """The kind of a sequence, for a sentence."""
    return f"a list or tuple of {len(expected)} entries"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(_rounded(v) for v in value)
    if isinstance(value, tuple):
        return tuple(_rounded(v) for v in value)
    return value
