"""Checkpoints, written atomically so that a kill or a full disk leaves the earlier one intact; export of
weights.

A checkpoint is one dict of tensors and plain Python, readable with `weights_only=True` (nothing in it can
run code): format, task, step, settings, networks, optimisers, ema, task_state, random, seconds, best,
history_length, window, environment. It is written to a hidden file in the same folder, fsynced and renamed,
so that a file under its name is always complete. `last.pt` is the newest; `best.pt` the one with the best
validation score.
"""

import hashlib
import io
import json
import math
import platform
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import gantrans
from gantrans.errors import CheckpointError
from gantrans.files import replace_file

FORMAT = 1
_FIELDS = {"task", "step", "settings", "networks", "optimizers", "ema", "task_state", "random", "seconds"}


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` completely or not at all; see `files.replace_file`.

    Raises:
        CheckpointError: the disk is full or cannot be written; the earlier file is unchanged and the
            temporary file removed.
    """
    try:
        replace_file(path, data)
    except OSError as error:
        kept = f"the earlier {path.name} is intact" if path.exists() else "nothing was written"
        reason = error.strerror or str(error)
        raise CheckpointError(f"Cannot write {path} ({reason}); {kept}: make room and try again.") from error


def save_checkpoint(path: Path, contents: Mapping[str, Any]) -> None:
    """Write a checkpoint atomically; format version and environment are added.

    Raises:
        CheckpointError: see `write_atomically`.
    """
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **contents, "environment": environment()}, buffer)
    write_atomically(path, buffer.getbuffer())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint on the CPU. For the folder of a run: its best.pt, or last.pt if there is no best.pt.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, or of another format version.
    """
    path = Path(path)
    if path.is_dir():
        path = next((p for p in (path / "best.pt", path / "last.pt") if p.exists()), path / "last.pt")
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}; give the folder of a run or a .pt file.")
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # torch.load does not verify the checksums
                raise zipfile.BadZipFile("a checksum is wrong")
        contents = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler can raise any exception on damaged bytes
        raise CheckpointError(
            f"{path} cannot be read as a checkpoint (damaged, cut off, or written by another program); "
            "use another checkpoint or train afresh."
        ) from error
    if not isinstance(contents, dict) or "format" not in contents:
        raise CheckpointError(f"{path} is a PyTorch file but not a checkpoint of gantrans; choose another.")
    if contents["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has checkpoint format {contents['format']!r}, and gantrans {gantrans.__version__} reads "
            f"format {FORMAT}; use the version of gantrans that wrote it, or train afresh."
        )
    if missing := sorted(_FIELDS - set(contents)):
        raise CheckpointError(f"{path} lacks {', '.join(missing)}; use another checkpoint or train afresh.")
    try:
        _check_parts(contents)
    except (TypeError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path} has an odd part ({in_words(error)}); use another checkpoint or train afresh."
        ) from error
    return contents


def _check_parts(contents: Mapping[str, Any]) -> None:
    """See that the parts of a checkpoint have their types, however the file was made.

    Raises:
        ValueError, TypeError, KeyError: naming the part.
    """
    kinds: dict[str, Any] = {
        "task": str,
        "step": int,
        "seconds": int | float,
        "networks": dict,
        "optimizers": dict,
    }
    kinds |= {"task_state": dict, "random": list, "ema": dict | None, "best": dict | None, "window": dict}
    for name, kind in (kinds | {"history_length": int}).items():
        if name in contents and (not isinstance(contents[name], kind) or isinstance(contents[name], bool)):
            raise TypeError(f"{name} is a {type(contents[name]).__name__}")
    if contents["step"] < 0 or not 0 <= contents["seconds"] < math.inf:
        raise ValueError(f"step is {contents['step']}, seconds {contents['seconds']}")
    check_settings(contents["settings"])
    if not contents["networks"]:
        raise ValueError("it has no networks")
    for group in ("networks", "ema"):
        for name, weights in (contents[group] or {}).items():
            if group == "ema" and name == "updates" and isinstance(weights, int):
                continue
            if not isinstance(weights, Mapping) or not all(isinstance(v, Tensor) for v in weights.values()):
                raise TypeError(f"{group} {name!r} holds no tensors")


def check_settings(settings: Any) -> None:
    """See that stored settings, and task, fit and extra in them, are objects.

    Raises:
        TypeError: they are not.
    """
    parts = ("task", "fit", "extra")
    if not isinstance(settings, dict) or not all(isinstance(settings.get(part, {}), dict) for part in parts):
        raise TypeError(f"settings, and in them {', '.join(parts)}, must be objects")


def check_finite(weights: Any, what: str) -> None:
    """Raise a `CheckpointError` if a tensor in nested dicts has NaN or infinite values."""
    for name, value in weights.items() if isinstance(weights, Mapping) else ():
        if isinstance(value, Mapping):
            check_finite(value, what)
        elif isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            raise CheckpointError(
                f"The weights {name} of {what} are not finite, and would give nothing but NaN; use "
                "another checkpoint or train afresh."
            )


def in_words(error: Exception) -> str:
    """The first line of an error, without a full stop."""
    text = f"{error.args[0]} is missing" if isinstance(error, KeyError) and error.args else str(error)
    return text.strip().split("\n")[0].rstrip(".")[:200] or type(error).__name__


def load_networks(path: Path, networks: Mapping[str, nn.Module], *, ema: bool = True) -> dict[str, Any]:
    """Load weights for inference, without optimisers, and set eval mode; returns the checkpoint.

    Args:
        path: a checkpoint or the folder of a run.
        networks: name -> module, any of those in the checkpoint.
        ema: use the averaged weights where the checkpoint has them.

    Raises:
        CheckpointError: see `load_checkpoint`, or the weights do not fit the networks.
    """
    contents = load_checkpoint(path)
    for name, network in networks.items():
        load_weights(network, weights_of(contents, name, ema=ema), f"{path} ({name})")
        network.eval()
    return contents


def weights_of(contents: Mapping[str, Any], name: str, *, ema: bool = True) -> dict[str, Tensor]:
    """The state dict of one network in a loaded checkpoint, averaged weights first."""
    if name not in contents["networks"]:
        there = ", ".join(contents["networks"])
        raise CheckpointError(f"The checkpoint has no network {name!r}; choose one of {there}.")
    averages = contents["ema"] or {}
    return averages[name] if ema and name in averages else contents["networks"][name]


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Strict `load_state_dict`; where keys or shapes differ, a one-sentence error and no change."""
    check_finite(weights, where)
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in weights.items()}
    if own != given:
        wrong = sorted(key for key in own.keys() | given.keys() if own.get(key) != given.get(key))
        raise CheckpointError(
            f"The weights of {where} do not fit this network: {len(wrong)} entries differ, as {wrong[0]!r} "
            f"({given.get(wrong[0], 'absent')} there, {own.get(wrong[0], 'absent')} here); "
            "build the network with the configuration stored in the checkpoint."
        )
    network.load_state_dict(weights)


def export_weights(path: Path, out: Path, *, network: str, ema: bool = True) -> str:
    """Write one network of a checkpoint as safetensors for serving; returns its SHA-256.

    Task, step and settings are stored as metadata; `out` + ".sha256" is written as well, for `sha256sum -c`.
    """
    from safetensors.torch import save

    contents = load_checkpoint(path)
    weights = {key: value.contiguous() for key, value in weights_of(contents, network, ema=ema).items()}
    about = {key: contents[key] for key in ("task", "step", "settings", "environment")}
    data = save(weights, metadata={"network": network, "gantrans": json.dumps(about)})
    digest = hashlib.sha256(data).hexdigest()
    write_atomically(Path(out), data)
    write_atomically(Path(f"{out}.sha256"), f"{digest}  {Path(out).name}\n".encode())
    return digest


def check_same_run(path: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise a `CheckpointError` that lists the settings in which a stored run and this one differ."""
    if found := differences(stored, wanted):
        listed = "; ".join(found[:4] + [f"and {len(found) - 4} more"] * (len(found) > 4))
        raise CheckpointError(
            f"{path} belongs to a run with other settings ({listed}); use the same settings or another --out."
        )


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """The settings in which two stored configurations differ, as "steps: 20 there, 40 here"."""
    before, now = _flat(stored), _flat(wanted)
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    return [f"{key}: {before.get(key)!r} there, {now.get(key)!r} here" for key in differing]


def environment() -> dict[str, str]:
    """Versions and platform of this process; resume is exact, bit for bit, where they are the same."""
    return {
        "gantrans": gantrans.__version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
