"""What an answer may leave behind in a session: settings of torch, NumPy and Python, kept and named."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.modules import module as _module

_HOOKS: list[dict[int, Any]] = [
    hooks for name, hooks in vars(_module).items() if name.startswith("_global_") and isinstance(hooks, dict)
]


@dataclass(frozen=True)
class Setting:
    """One setting of the process; `standard` is what checks run under, `harmful` whether changing it is a
    fault."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]
    standard: Any = None
    harmful: bool = True


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _cudnn() -> tuple[bool, bool]:
    return torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic


def _set_cudnn(flags: tuple[bool, bool]) -> None:
    torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = flags


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _set_hooks(hooks: list[dict[int, Any]]) -> None:
    for place, kept in zip(_HOOKS, hooks, strict=True):
        place.clear()
        place.update(kept)


def _set_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _print_options() -> dict[str, Any]:
    return dict(vars(torch._tensor_str.PRINT_OPTS))


def _set_print_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        setattr(torch._tensor_str.PRINT_OPTS, name, value)


SETTINGS = (
    Setting("the default dtype", torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    Setting("grad mode", torch.is_grad_enabled, torch._C._set_grad_enabled, True),
    Setting("the default device", torch.get_default_device, _set_device, torch.device("cpu")),
    Setting("the number of threads", torch.get_num_threads, torch.set_num_threads),
    Setting(
        "deterministic algorithms",
        _deterministic,
        lambda v: torch.use_deterministic_algorithms(v[0], warn_only=v[1]),
        (False, False),
    ),
    Setting("cuDNN's flags", _cudnn, _set_cudnn),
    Setting("anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled, False),
    Setting(
        "the precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Setting("the hooks of all modules", lambda: [dict(hooks) for hooks in _HOOKS], _set_hooks),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("NumPy's error handling", np.geterr, lambda v: np.seterr(**v), harmful=False),
    Setting("how tensors are printed", _print_options, _set_print_options, harmful=False),
    Setting("the warning filters", lambda: list(warnings.filters), _set_filters, harmful=False),
)


def settings() -> list[Any]:
    """The values of all settings now."""
    return [setting.read() for setting in SETTINGS]


def put_back(before: list[Any]) -> list[Setting]:
    """Restore every setting that is not as it was, and say which these were."""
    changed = []
    for setting, value in zip(SETTINGS, before, strict=True):
        if setting.read() != value:
            setting.write(value)
            changed.append(setting)
    return changed


@contextmanager
def standard_settings() -> Iterator[None]:
    """Run a block under the settings of a fresh process, whatever the notebook has set; its own come back."""
    before = settings()
    put_back([b if s.standard is None else s.standard for s, b in zip(SETTINGS, before, strict=True)])
    try:
        with torch.inference_mode(False):
            yield
    finally:
        put_back(before)
