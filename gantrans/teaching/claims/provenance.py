"""Where a measurement comes from: the commit whose code made it, the device, the time.

Code is committed before it measures. A record or table names that commit; `check` refuses one whose commit is
not in this repository's history, or that was measured with uncommitted code. What was measured before commits
were kept carries a mark instead, `"provenance": "unknown"`, and loses it when it is measured again.
"""

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.teaching.claims.registry import ClaimError
from gantrans.teaching.runs import code_version
from gantrans.training import pick_device

UNKNOWN = "unknown"
FOUND = "commit found by the hash of the library's code"
"""Marks of measurements that did not keep their commit: it cannot be named, or was found afterwards."""
KEPT_SINCE = datetime(2026, 11, 30, tzinfo=UTC)
"""Commits are kept from this day on; a measurement that began later may carry no mark."""
DIRTY = "-dirty"
CODE = (":(glob)**/*.py", ":(glob)**/*.toml")
"""What must be committed before a measurement: code, rules and grids; results and texts need not."""


def now() -> dict[str, str]:
    """Code, commit and device of this process, as records and tables keep them."""
    return {"code": code_version(), "commit": current_commit(), "device": device_name()}


@cache
def current_commit(root: Path = ROOT) -> str:
    """The commit that is checked out, with `-dirty` if code differs from it; empty where there is no git."""
    head = _git(root, "rev-parse", "HEAD")
    if head is None:
        return ""
    return head + (DIRTY if _git(root, "status", "--porcelain", "--", *CODE) else "")


@cache
def device_name() -> str:
    """What `fit` computes on here, by kind and not by host: "NVIDIA H100 80GB HBM3", "AMD EPYC"."""
    device = pick_device()
    if device.type == "cuda":
        import torch

        return str(torch.cuda.get_device_name(device))
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text("utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    return name if device.type == "cpu" else f"{name} ({device.type})"


def of_table(about: Mapping[str, Any]) -> dict[str, str]:
    """What a record takes over from the table it was computed from."""
    return {k: str(about[k]) for k in ("code", "commit", "device", "provenance") if about.get(k)}


def no_history(root: Path = ROOT) -> str:
    """Why commits cannot be looked up here, as a sentence; empty where they can."""
    if _git(root, "rev-parse", "HEAD") is None:
        return "There is no git history here, so the commits of records and tables were not looked up."
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        return "This clone is shallow, so the commits of records and tables were not looked up."
    return ""


def check(what: str, about: Mapping[str, Any], date: str, root: Path = ROOT) -> None:
    """See that a record or table says where it comes from: a clean commit of this history, device and second.

    Args:
        what: its name, for the message.
        about: its `commit` and `device`, or the mark `provenance` if it is older than `KEPT_SINCE`.
        date: when its measurement began.
        root: the repository; without a full history (`no_history`) commits are not looked up.

    Raises:
        ClaimError: when something is missing or the commit is not in the history.
    """
    moment = _second(what, date)
    mark, commit = about.get("provenance", ""), str(about.get("commit", ""))
    if mark not in ("", UNKNOWN, FOUND):
        raise ClaimError(f"{what} has the provenance {mark!r}; only {UNKNOWN!r} and {FOUND!r} are known.")
    if mark and moment >= KEPT_SINCE:
        raise ClaimError(
            f"{what} began at {date} and is marked {mark!r}, which only measurements before "
            f"{KEPT_SINCE:%Y-%m-%d} may be; measure it again from committed code."
        )
    if mark == UNKNOWN:
        if commit:
            raise ClaimError(f"{what} is marked {UNKNOWN!r} and yet names the commit {commit}; remove one.")
        return
    if not mark and not about.get("device"):
        raise ClaimError(f"{what} names no device; measure it again, the runner keeps it.")
    if not commit or commit.endswith(DIRTY):
        state = "uncommitted code" if commit else "no commit"
        raise ClaimError(f"{what} was measured with {state}; commit the code, then measure it again.")
    if no_history(root):
        return
    if _git(root, "merge-base", "--is-ancestor", commit, "HEAD") is None:
        raise ClaimError(f"{what} names the commit {commit}, which is not in this history; measure it again.")


def _second(what: str, date: str) -> datetime:
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or len(date) < len("2026-11-30T00:00:00+00:00"):
        raise ClaimError(f"{what} has the date {date!r}; write it to the second, with its time zone.")
    return moment


def _git(root: Path, *arguments: str) -> str | None:
    """Output of a git command in `root`, or None where it fails: no git, no repository, no such commit."""
    if not (root / ".git").exists():  # not the history of a repository that happens to lie around this one
        return None
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, env=quiet
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
