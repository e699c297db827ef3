"""Is this machine ready for the course? One report, shown by `python -m gantrans doctor` and by lesson 00."""

import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata

import torch

from gantrans import ROOT, __version__

NEEDED = ("numpy", "scipy", "scikit-image", "matplotlib", "ipywidgets", "jupyterlab", "papermill", "nbval")
GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One line of the report; where something is wrong or slow, `advice` says in one sentence what to do."""

    name: str
    value: str
    ok: bool = True
    advice: str = ""


def examine() -> list[Check]:
    """Look at Python, packages, processor, accelerator, memory, disk and shipped data; nothing is changed."""
    return [
        _python(),
        _torch(),
        _packages(),
        _processor(),
        _accelerator(),
        _memory(),
        _disk(),
        _data(),
        _scale(),
    ]


def _python() -> Check:
    ok = (3, 11) <= sys.version_info < (3, 14)
    return Check("Python", platform.python_version(), ok, "" if ok else "Install Python 3.11, 3.12 or 3.13.")


def _torch() -> Check:
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    ok = version >= (2, 11)
    return Check("PyTorch", torch.__version__, ok, "" if ok else "Install torch 2.11 or newer.")


def _packages() -> Check:
    missing = []
    for name in NEEDED:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    value = f"gantrans {__version__}" + (
        f", without {', '.join(missing)}" if missing else ", all packages found"
    )
    return Check("Packages", value, not missing, "Run: pip install -r requirements.txt" if missing else "")


def _processor() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    value = (
        f"{platform.machine()}, {cores} core{'s' if cores > 1 else ''}, torch uses {torch.get_num_threads()}"
    )
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > cores
    return Check(
        "Processor", value, advice="Other programs keep it busy; training will be slow." if busy else ""
    )


def _accelerator() -> Check:
    from gantrans.training import pick_device

    device = pick_device()
    if device.type != "cuda":
        return Check("Device", device.type)
    properties = torch.cuda.get_device_properties(device)
    return Check("Device", f"{properties.name}, {properties.total_memory / GIB:.0f} GiB")


def _memory() -> Check:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    except (AttributeError, ValueError, OSError):  # not POSIX: nothing in the standard library tells
        return Check("Memory", "unknown")
    ok = total >= 3.5
    return Check(
        "Memory", f"{total:.0f} GiB", ok, "" if ok else "4 GiB or more are needed for the reduced scale."
    )


def _disk() -> Check:
    free = shutil.disk_usage(ROOT).free / GIB
    ok = free >= 1
    return Check(
        "Disk", f"{free:.0f} GiB free", ok, "" if ok else "Free at least 1 GiB for runs and checkpoints."
    )


def _data() -> Check:
    from gantrans.data import load_cells

    count = sum(len(load_cells(split=split)) for split in ("train", "val", "test"))
    return Check("Shipped data", f"{count} SKY130 standard cells")


def _scale() -> Check:
    from gantrans.scales import resolve_scale

    return Check("Scale", resolve_scale(None))
