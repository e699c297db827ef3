"""Values written as Python expressions, and whether a thing can be imported by its name."""

import importlib.util
import math
import site
import sys
import sysconfig
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch

_OWN = ("lessons", "__main__", "__mp_main__")
"""Modules whose functions are written out instead of imported: the exported files must run without the
course."""
_LIBRARIES = (*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages())


Name = Callable[[Any], str | None]
"""Gives the name under which a function is known in the text, or None."""


class NoLiteral(ValueError):
    """A value that no expression gives; the message says what it is."""


def expression(value: Any, imports: set[str], name: Name = lambda _: None) -> str:
    """A Python expression for a number, text, dtype, device, type, or a list, tuple, set or dict of those.

    The imports that it needs are added to `imports`; `name` is asked about functions.

    Raises:
        NoLiteral: for any other value.
    """
    if type(value) is float and not math.isfinite(value):
        return f'float("{value!r}")'
    if value is None or value is ... or type(value) in (bool, int, float, complex, str, bytes, range, slice):
        return repr(value)
    if isinstance(value, np.generic):
        imports.add("import numpy")
        return f"numpy.{type(value).__name__}({value.item()!r})"
    if isinstance(value, torch.dtype):
        imports.add("import torch")
        return repr(value)
    if isinstance(value, torch.Size):
        imports.add("import torch")
        return f"torch.Size({list(value)})"
    if isinstance(value, torch.device):
        imports.add("import torch")
        return f"torch.device({str(value)!r})"
    if value is Any or (isinstance(value, type) and not isinstance(value, types.GenericAlias)):
        return _type(value, imports)
    if typing.get_origin(value) is not None:
        return _alias(value, imports)
    if callable(value) and (known := name(value)):
        return known
    return _collection(value, imports, name)


def _collection(value: Any, imports: set[str], name: Name) -> str:
    def each(values: Iterable[Any]) -> list[str]:
        return [expression(v, imports, name) for v in values]

    def inner(values: Iterable[Any]) -> str:
        return ", ".join(each(values))

    kind = type(value)
    if kind is list:
        return f"[{inner(value)}]"
    if kind is tuple:
        return f"({inner(value)},)" if len(value) == 1 else f"({inner(value)})"
    if kind in (set, frozenset):
        text = f"{{{', '.join(sorted(each(value)))}}}" if value else "set()"
        return text if kind is set else f"frozenset({text})"
    if kind is dict:
        pairs = zip(each(value), each(value.values()), strict=True)
        return f"{{{', '.join(f'{key}: {item}' for key, item in pairs)}}}"
    raise NoLiteral(describe(value))


def _alias(value: Any, imports: set[str]) -> str:
    origin, arguments = typing.get_origin(value), typing.get_args(value)
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_argument(a, imports) for a in arguments)
    if origin is None or not isinstance(origin, type):
        raise NoLiteral(describe(value))
    return f"{_type(origin, imports)}[{', '.join(_argument(a, imports) for a in arguments)}]"


def _argument(value: Any, imports: set[str]) -> str:
    if value is type(None):
        return "None"
    return (
        f"[{', '.join(_argument(v, imports) for v in value)}]"
        if type(value) is list
        else expression(value, imports)
    )


def _type(value: Any, imports: set[str]) -> str:
    line = import_line(value, value.__name__)
    if line is None:
        raise NoLiteral(describe(value))
    if value.__module__ != "builtins":
        imports.add(line)
    return str(value.__name__)


def import_line(value: Any, name: str) -> str | None:
    """The statement that binds `name` to an installed module or a thing of one; None if there is none."""
    if isinstance(value, types.ModuleType):
        path = value.__name__
        if path.partition(".")[0] in _OWN or not _installed(path):
            return None
        package, _, last = path.rpartition(".")
        if path == name:
            return f"import {path}"
        return f"from {package} import {last}" if package and last == name else f"import {path} as {name}"
    module, inner = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not str(inner).isidentifier():  # torch's built-ins
        inner = getattr(value, "__name__", None)
    if value is Any:
        module, inner = "typing", "Any"
    for place in (module, _public(value, inner)):
        if not isinstance(place, str) or not isinstance(inner, str) or not inner.isidentifier():
            continue
        known = getattr(sys.modules.get(place), inner, None) is value
        if known and place.partition(".")[0] not in _OWN and _installed(place):
            return f"from {place} import {inner}" + (f" as {name}" if name != inner else "")
    return None


def describe(value: Any) -> str:
    """What a value is, in a sentence: "a tensor", "a network"."""
    known = ((torch.Tensor, "a tensor"), (torch.nn.Module, "a network"), (np.ndarray, "an array"))
    for kind, words in (
        *known,
        (torch.Generator, "a random generator"),
        (types.ModuleType, "a module of yours"),
    ):
        if isinstance(value, kind):
            return words
    if hasattr(value, "read") and hasattr(value, "close"):
        return "an open file"
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _public(value: Any, inner: Any) -> str | None:
    """Where a built-in of torch or NumPy without `__module__` is found."""
    if not isinstance(inner, str) or isinstance(value, (type, types.FunctionType)):
        return None
    places = ("torch", "torch.nn.functional", "torch.linalg", "torch.fft", "torch.special", "math", "numpy")
    return next((p for p in places if getattr(sys.modules.get(p), inner, None) is value), None)


def _installed(module: str) -> bool:
    """Whether a module comes with Python or a package; a file beside the notebook does not."""
    if module.partition(".")[0] == "gantrans":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError, AttributeError):  # no package of that name, or a module made by hand
        return False
    return found and (file is None or file.startswith(_LIBRARIES))
