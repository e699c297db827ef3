"""Tensors that behave as if they were on another device, with real values and without a GPU.

An `Elsewhere` tensor holds a CPU tensor and reports another device. Inside `another_device()` every operation
that mixes it with a plain tensor of one or more axes raises what PyTorch raises on a GPU; what is made with
`device=x.device`, `.to(x)` or `x.new_...` is elsewhere; what is made without one, or by `.cpu()`, is not.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

PLACE = torch.device("meta")  # the name that the other device goes by
_aten = torch.ops.aten
_INDEXING = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default}
_COPYING = {_aten.copy_.default, _aten.copy.default}
_MAKERS = {torch.tensor, torch.as_tensor, torch.asarray}
_READERS = {Tensor.numpy, Tensor.tolist, Tensor.__array__, Tensor.item, Tensor.__float__, Tensor.__int__}


class Elsewhere(Tensor):
    """A tensor on the other device; `held` is its values on the CPU."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, held: Tensor) -> "Elsewhere":
        """(...) on the CPU -> the same values elsewhere."""
        made: Elsewhere = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=PLACE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute on the values; refuse to mix."""
        return _dispatch(func, args, kwargs or {})


@dataclass
class Log:
    """What happened on the other device: whether values were taken off it as numbers or arrays."""

    values_taken: bool = False


class _Operations(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _dispatch(func, args, kwargs or {})


class _Functions(TorchFunctionMode):
    """What never becomes an operation: reading values out, and making tensors of them."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else None
        if func in _READERS and isinstance(first, Elsewhere):
            self.log.values_taken = True
            return func(first.held, *args[1:], **kwargs)
        device = kwargs.get("device")
        if func in _MAKERS and device is not None and torch.device(device) == PLACE:
            return _put(func(*_unwrapped(args), **kwargs | {"device": None}))
        if func is Tensor.new_tensor and isinstance(first, Elsewhere):
            return _put(func(first.held, *_unwrapped(args[1:]), **kwargs | {"device": None}))
        return func(*args, **kwargs)


@contextmanager
def another_device() -> Iterator[Log]:
    """Operations keep the devices apart inside the block."""
    log = Log()
    with _Operations(), _Functions(log):
        yield log


def _put(value: Any) -> Any:
    return Elsewhere(value) if isinstance(value, Tensor) and not isinstance(value, Elsewhere) else value


def _unwrapped(value: Any) -> Any:
    return tree_map(lambda v: v.held if isinstance(v, Elsewhere) else v, value)


def _dispatch(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """One operation: on the CPU with the values inside, its result where a GPU's would be."""
    flat = [v for v in tree_flatten((args, kwargs))[0] if isinstance(v, Tensor)]
    there = [v for v in flat if isinstance(v, Elsewhere)]
    asked = kwargs.get("device")
    wanted = None if asked is None else torch.device(asked) == PLACE
    free = func in _COPYING or _indexes_elsewhere(func, args)
    if there and not free and any(v.dim() > 0 and not isinstance(v, Elsewhere) for v in flat):
        raise RuntimeError("Expected all tensors to be on the same device, but found two of them.")
    if wanted:
        kwargs = kwargs | {"device": torch.device("cpu")}
    result = func(*_unwrapped(args), **_unwrapped(kwargs))
    known = {id(v.held): v for v in there}
    stays = bool(there) if wanted is None else wanted
    if func in _COPYING:
        stays = isinstance(args[0], Elsewhere)
    return tree_map(lambda v: known.get(id(v), _put(v) if stays else v), result)


def _indexes_elsewhere(func: Any, args: tuple[Any, ...]) -> bool:
    """Indices may lie on the CPU, as on a GPU."""
    if func not in _INDEXING or not isinstance(args[0], Elsewhere):
        return False
    return all(isinstance(v, Elsewhere) or v.dim() == 0 for v in args[2:3])
