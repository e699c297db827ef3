"""Configurations as frozen dataclasses: validated on construction, stored as plain dicts, read strictly."""

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

from gantrans.errors import ConfigError

C = TypeVar("C")
ADDED = {"left out at its default": True}
"""Metadata of a field that is younger than stored configurations: `to_dict` leaves it out while it has its
default, so that what was stored, hashed or pinned before stays equal."""


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration as plain Python (dict, list, str, number), the form stored in checkpoints."""
    fields = [f for f in dataclasses.fields(config) if not _left_out(config, f)]
    return {f.name: _plain(getattr(config, f.name)) for f in fields}


def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
    """Rebuild `cls` from the result of `to_dict`; nested configurations and tuples are restored.

    Raises:
        ConfigError: unknown key (the message lists the fields of `cls`), a missing one, or a value of another
            type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{cls.__name__} is stored as a {type(values).__name__}, not as an object.")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(fields))
    if unknown:
        raise ConfigError(
            f"{cls.__name__} has no field {', '.join(map(repr, unknown))}; "
            f"its fields are {', '.join(fields)}."
        )
    hints = get_type_hints(cls)
    try:
        return cls(**{k: _restore(hints[k], v) for k, v in values.items()})
    except ConfigError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{cls.__name__} lacks a field or has a value of another type: {error}.") from error


def check_range(
    config: Any, field: str, low: float = -math.inf, high: float = math.inf, *, open_low: bool = False
) -> None:
    """Raise a `ConfigError` that names field, value and range unless low <= value <= high."""
    value = getattr(config, field)
    if not (math.isfinite(value) and low <= value <= high) or (open_low and value == low):
        bounds = f"{'above' if open_low else 'at least'} {low:g}" if low > -math.inf else ""
        bounds += (" and " if bounds and high < math.inf else "") + (
            f"at most {high:g}" if high < math.inf else ""
        )
        raise ConfigError(f"{type(config).__name__}.{field} is {value!r}; it must be {bounds or 'finite'}.")


def check_choice(config: Any, field: str, choices: Collection[Any]) -> None:
    """Raise a `ConfigError` that lists the choices unless the field's value is one of them."""
    value = getattr(config, field)
    if value not in choices:
        raise ConfigError(
            f"{type(config).__name__}.{field} is {value!r}; choose one of {', '.join(map(repr, choices))}."
        )


def _left_out(config: Any, field: "dataclasses.Field[Any]") -> bool:
    return bool(field.metadata == ADDED and getattr(config, field.name) == field.default)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_dict(value)
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value


def _restore(hint: Any, value: Any) -> Any:
    nested = [
        t for t in (hint, *get_args(hint)) if dataclasses.is_dataclass(t)
    ]  # T itself, or the Ts of T | U | None
    if nested and isinstance(value, Mapping):
        fitting = [t for t in nested if set(value) <= {f.name for f in dataclasses.fields(t)}]
        return from_dict((fitting or nested)[0], value)  # type: ignore[arg-type]
    if isinstance(value, list):
        return tuple(_restore(None, v) for v in value)
    return value
