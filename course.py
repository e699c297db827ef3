#!/usr/bin/env python3
"""The course in one command. Only the standard library is needed: the first call makes .venv and fills it.

    python3 course.py lab                           open lesson 00 in JupyterLab
    python3 course.py run [--scale S] [LESSON ...]  run lessons from start to end, with a table of minutes
    python3 course.py test                          run all tests
    python3 course.py bench                         run the benchmarks
    python3 course.py reset LESSON                  start your copy of a lesson afresh (the old one is kept)

GANTRANS_VENV names another place for the environment, GANTRANS_TORCH_INDEX another index for torch
(`none`: whatever pip finds).
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
ENV = Path(os.environ.get("GANTRANS_VENV") or ROOT / ".venv").absolute()
PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STATE = ENV / "course.json"
NOTEBOOKS = ROOT / "notebooks"
WORK = ROOT / "runs" / "work"
LEARNER, DEVELOPER = "requirements.txt", "requirements-dev.txt"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = 2.5
PYTEST = "-q -n 2 --dist loadfile --no-loadscope-reorder --timeout 600"  # tests/conftest.py orders the files
NBVAL = "--nbval-lax --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/nbval.cfg"


class Stop(Exception):
    """One sentence for the person at the terminal: what is wrong and what to do."""


def main(arguments: list[str] | None = None) -> int:
    try:
        check_python()
        options, rest = parse(sys.argv[1:] if arguments is None else arguments)
        return int(options.command(options, rest))
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the same command starts again.", file=sys.stderr)
        return 130


def check_python() -> None:
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        raise Stop(
            f"The course needs Python 3.11, 3.12 or 3.13, and {sys.executable} is "
            f"{platform.python_version()}: run it with one of these, for example python3.12 course.py lab."
        )


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    summary, *_, variables = (__doc__ or "").strip().split("\n\n")
    parser = argparse.ArgumentParser(prog="course.py", description=summary, epilog=variables)
    install = argparse.ArgumentParser(add_help=False)
    install.add_argument(
        "--allow-cuda",
        action="store_true",
        help="Linux without an NVIDIA GPU: accept torch's CUDA build (about 3 GB) if no CPU build is found",
    )
    commands = parser.add_subparsers(required=True, metavar="lab | run | test | bench | reset")

    def add(name: str, command: Any, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, parents=[install], help=text, description=text)
        sub.set_defaults(command=command, forwards=name in ("lab", "test", "bench"))
        return sub

    add("lab", lab, "set up, then open your copy of lesson 00 in JupyterLab; more options go to JupyterLab")
    sub = add("run", run, "set up, then run lessons; the executed copies go to runs/executed/")
    sub.add_argument("--scale", choices=["auto", "smoke", "reduced", "full"], default="auto")
    sub.add_argument("lessons", nargs="*", metavar="LESSON", help="04 or 04_unet_skips; none: all lessons")
    add("test", test, "set up, then run every test: unit, notebooks, browser; more options go to pytest")
    add("bench", bench, "set up, then run the benchmarks; more options go to them")
    sub = commands.add_parser("reset", help="start your copy of one lesson afresh; the old one is kept")
    sub.add_argument("lesson", metavar="LESSON", help="as in 04 or 04_unet_skips")
    sub.set_defaults(command=reset, forwards=False)

    options, rest = parser.parse_known_args(arguments)
    if rest and not options.forwards:
        parser.error(f"unrecognised arguments: {' '.join(rest)}")
    return options, [word for word in rest if word != "--"]


# The commands


def lab(options: argparse.Namespace, rest: list[str]) -> int:
    prepare(LEARNER, options.allow_cuda)
    copy_lessons()
    first = next(iter(sorted(WORK.glob("[0-9]*.ipynb"))), WORK)
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return call("-m", "jupyter", "lab", str(first), *as_root, *rest)


def run(options: argparse.Namespace, rest: list[str]) -> int:
    prepare(LEARNER, options.allow_cuda)
    return call("-m", "gantrans.teaching.notebooks.run", "--scale", options.scale, *options.lessons)


def test(options: argparse.Namespace, rest: list[str]) -> int:
    prepare(DEVELOPER, options.allow_cuda)
    return call("-m", "pytest", *PYTEST.split(), *NBVAL.split(), "tests", "notebooks", *rest)


def bench(options: argparse.Namespace, rest: list[str]) -> int:
    prepare(DEVELOPER, options.allow_cuda)
    return call("-m", "benchmarks", *rest)


def reset(options: argparse.Namespace, rest: list[str]) -> int:
    number = options.lesson.removesuffix(".ipynb")
    found = [p for p in lessons() if p.stem == number or p.stem.split("_")[0] == number.zfill(2)]
    if len(found) != 1:
        raise Stop(f"There is no lesson {options.lesson!r} among {', '.join(p.stem for p in lessons())}.")
    originals = [page for page in pages() if page.name == found[0].name]  # the lesson and its evidence
    for mine in (WORK / page.relative_to(NOTEBOOKS) for page in originals):
        if mine.exists():
            names = (mine.with_name(f"{mine.stem}.mine-{n}.ipynb") for n in range(1, 10_000))
            kept = next(name for name in names if not name.exists())
            mine.rename(kept)
            print(f"Your version is kept as {kept.relative_to(ROOT)}.")
    copy_lessons()
    print(f"{(WORK / found[0].name).relative_to(ROOT)} is the original again.")
    return 0


def call(*arguments: str) -> int:
    """Run the environment's Python on `arguments` as if the environment were activated."""
    path = os.pathsep.join([str(PYTHON.parent), os.environ.get("PATH", "")])
    activated = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(ENV)}
    return subprocess.call([str(PYTHON), *arguments], cwd=ROOT, env=activated)


# The learner's copies of the lessons


def lessons() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def pages() -> list[Path]:
    """The lessons, then their evidence pages; links between them work in the copies as well."""
    return [*lessons(), *sorted(NOTEBOOKS.glob("evidence/[0-9][0-9]_*.ipynb"))]


def copy_lessons() -> None:
    """Give the learner a copy of every page in runs/work/. A copy that was touched is never overwritten."""
    WORK.mkdir(parents=True, exist_ok=True)
    record = WORK / ".copied.json"  # page, as its path below notebooks/ -> digest of the copied original
    copied, newer = read_json(record), []
    for page in pages():
        name = page.relative_to(NOTEBOOKS).as_posix()
        mine, original = WORK / name, digest(page.read_bytes())
        if not mine.exists() or digest(mine.read_bytes()) == copied.get(name) != original:
            mine.parent.mkdir(exist_ok=True)
            shutil.copyfile(page, mine)
            copied[name] = original
        elif copied.get(name) != original:
            newer.append(page.stem[:2])
    for number in dict.fromkeys(newer):
        print(f"Lesson {number} has a new version: `course.py reset {number}` takes it and keeps yours.")
    write_json(record, copied)


# The environment


def prepare(requirements: str, allow_cuda: bool = False) -> None:
    """Make the environment if needed and install `requirements`; at once if a stamp says it is there."""
    wanted, state = stamp(requirements), read_json(STATE)
    installed = state.get("installed", {})
    if PYTHON.exists() and not state.get("installing") and installed.get(requirements) == wanted:
        return
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        raise Stop("PyTorch no longer has builds for Intel Macs: use Linux, Windows or an Apple silicon Mac.")
    make_environment(state)
    if not installed:
        print(f"Setting up the course in {ENV}: 166 packages, 1.7 GB, two to ten minutes, once.", flush=True)
    made_here = read_json(STATE).get("made_here", False)
    write_json(STATE, {"made_here": made_here, "installing": requirements})  # stays if we are killed
    try:
        extra = install_torch(allow_cuda)
        if not pip(*extra, "-r", requirements):
            raise Stop("Installing failed, see above; when the cause is gone, the same command tries again.")
    except Stop:
        write_json(STATE, {"made_here": made_here})
        raise
    stamps = {requirements: wanted, LEARNER: stamp(LEARNER)}  # the developer's file contains the learner's
    write_json(STATE, {"made_here": made_here, "installed": stamps})


def make_environment(state: dict[str, Any]) -> None:
    """A virtual environment in ENV. One of ours that is half made or whose Python is gone is made again."""
    if state.get("made_here") and (state.get("installing") or not PYTHON.exists()):
        print("The last set-up was interrupted: starting afresh.")
        shutil.rmtree(ENV)
    if PYTHON.exists():
        return
    if ENV.exists() and any(ENV.iterdir()):
        raise Stop(f"{ENV} is no Python environment: move it away, or name another place with GANTRANS_VENV.")
    if importlib.util.find_spec("ensurepip") is None:
        raise Stop("This Python lacks ensurepip: on Debian and Ubuntu, run sudo apt install python3-venv.")
    ENV.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(ENV).free < NEEDED_GB * 1e9:
        raise Stop(f"{ENV} has less than {NEEDED_GB} GB of free disk: make room, or set GANTRANS_VENV.")
    write_json(STATE, {"made_here": True, "installing": "pip"})
    venv.EnvBuilder(with_pip=True, symlinks=os.name != "nt").create(ENV)


def install_torch(allow_cuda: bool) -> list[str]:
    """Install the build of torch that fits this machine; the result is more options for pip.

    The registry's Linux build contains CUDA, several gigabytes. A build from another index carries a local
    version (+cpu, +cu126), which satisfies the pin `torch==X`, so `-r requirements.txt` then leaves it alone.
    """
    pinned = re.search(r"^torch==(\S+)", (ROOT / LEARNER).read_text(encoding="utf-8"), re.M)
    assert pinned, "requirements.txt pins torch"
    index = os.environ.get("GANTRANS_TORCH_INDEX", "")
    if index not in ("", "none"):
        if not pip("--no-deps", "--index-url", index, f"torch=={pinned[1]}"):
            raise Stop(f"torch {pinned[1]} was not found at {index}, see above: check GANTRANS_TORCH_INDEX.")
        return ["--extra-index-url", index]
    if index == "none" or allow_cuda or sys.platform != "linux" or has_nvidia_gpu():
        return []
    extra = ["--extra-index-url", TORCH_CPU_INDEX] if reachable(f"{TORCH_CPU_INDEX}/torch/") else []
    if not pip("--no-deps", *extra, f"torch=={pinned[1]}+cpu"):
        raise Stop(
            f"No CPU build of torch {pinned[1]} was found, see above: check the network, name an index that "
            "has one with GANTRANS_TORCH_INDEX, or pass --allow-cuda to download the CUDA build (about 3 GB)."
        )
    return []


def has_nvidia_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def reachable(url: str) -> bool:
    """Does `url` answer within three seconds? (pip would retry a dead index for minutes.)"""
    try:
        with urllib.request.urlopen(url, timeout=3):
            return True
    except (OSError, urllib.error.URLError):
        return False


def pip(*arguments: str) -> bool:
    """`pip install` with one status line instead of hundreds; its last lines are shown if it fails."""
    command = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *arguments]
    lines: list[str] = []
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout
    with process, process.stdout as output:
        for line in output:
            lines.append(line)
            if sys.stdout.isatty() and line.strip():
                width = shutil.get_terminal_size().columns - 8
                packages = sum(other.startswith("Collecting ") for other in lines)
                print(f"\r\033[K{packages:4d}  {line.strip()[:width]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    if process.returncode:
        print("".join(lines[-15:]), file=sys.stderr)
    return process.returncode == 0


def stamp(requirements: str) -> str:
    """What an installation depends on: the files, the interpreter and the place of the repository."""
    files = [ROOT / name for name in dict.fromkeys((LEARNER, requirements, "pyproject.toml"))]
    return digest(b"\0".join([*(f.read_bytes() for f in files), sys.version.encode(), str(ROOT).encode()]))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def read_json(path: Path) -> dict[str, Any]:
    """A small file of ours; a missing or damaged one counts as empty."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    # As gantrans.files.replace_file, which cannot be imported before everything is installed.
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    sys.exit(main())
