"""One warm process that judges mutants: it imports the libraries once and forks for every run of tests.

Started by `benchmarks.mutants` in a copy of the repository, `python -m benchmarks._mutants_judged`. It reads
one JSON object per line and answers each with one line:

    {"trace": [test files]}  ->  {"tests": {node id: [seconds, [file:function, ...]]}, "failed": [node ids],
                                 "modules": [what was imported from others]}
    {"preload": [modules]}    ->  {}
    {"file", "text", "tests", "seconds"}  ->  {"verdict": killed, time, survived or error, "by": a test}

A mutated file is written into the copy, tested by a forked child that imports the library, and restored.
"""

import contextlib
import gc
import importlib
import json
import math
import os
import resource
import shutil
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

COPY = Path.cwd()
SCRATCH = COPY / "runs" / "mutants"
MEMORY_BYTES = 16 * 2**30
LONGEST_WAIT = 120.0
ARGUMENTS = [
    "-q", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception",
    "--rootdir", str(COPY), "-c", "pyproject.toml",
]  # fmt: skip
"""No plugins of others: importing them would take longer than most tests."""


class Tracer:
    """Which functions of the library each test calls, and how long it takes.

    What a fixture called for the first test of a file may serve its later tests: it counts for them as well.
    """

    def __init__(self) -> None:
        self.tests: dict[str, tuple[float, list[str]]] = {}
        self.failed: list[str] = []
        self.called: set[str] = set()
        self.fixtures: dict[str, set[str]] = {}
        self._names: dict[CodeType, str | None] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Trace one test with its fixtures."""
        self.called = set()
        start = _cpu_seconds()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            shared = self.fixtures.get(item.nodeid.split("::")[0], set())
            self.tests[item.nodeid] = (_cpu_seconds() - start, sorted(self.called | shared))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Keep what fixtures call for the later tests of the file."""
        try:
            return (yield)
        finally:
            self.fixtures.setdefault(item.nodeid.split("::")[0], set()).update(self.called)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Tests that fail without any change judge nothing; skipped ones neither."""
        if not report.passed:
            self.failed.append(report.nodeid)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if code not in self._names:
            self._names[code] = _function(code)
        name = self._names[code]
        if name is not None:
            self.called.add(name)


class Chosen:
    """Runs the given tests alone, in their order, and notes the first that fails."""

    def __init__(self, tests: list[str]) -> None:
        self.places = {test: k for k, test in enumerate(tests)}
        self.first = ""
        self.ran = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave the chosen ones."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.places), key=lambda item: self.places[item.nodeid]
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count, and remember the first failure."""
        self.ran += report.when == "call"
        if report.failed and not self.first:
            self.first = report.nodeid


def _cpu_seconds() -> float:
    """Of this process and those it waited for: a busy machine changes no choice of tests."""
    return sum(os.times()[:4])


def _function(code: CodeType) -> str | None:
    """file:function of the library's code; what is inside a function counts for it."""
    if not code.co_filename.startswith(str(COPY / "gantrans")):
        return None
    name = code.co_qualname.split(".<locals>")[0]
    return f"{Path(code.co_filename).relative_to(COPY)}:{name}"


def forked(work: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any] | None:
    """What `work` gives in a child process of its own, or None if it ends without an answer.

    The child has so many seconds of CPU time, and it may wait for `LONGEST_WAIT` seconds without using any.
    """
    answer = SCRATCH / "answer.json"
    shutil.rmtree(SCRATCH, ignore_errors=True)
    (SCRATCH / "tmp").mkdir(parents=True)
    pid = os.fork()
    if pid == 0:
        _child(work, answer, seconds)
    used, since = -1, time.monotonic()
    try:
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            now = _ticks(pid)
            if now != used:
                used, since = now, time.monotonic()
            if time.monotonic() > since + LONGEST_WAIT:
                return {"verdict": "time", "by": f"it waited for {LONGEST_WAIT:.0f} s"}
            time.sleep(0.02)
        if os.WIFSIGNALED(ended[1]) and os.WTERMSIG(ended[1]) in (signal.SIGXCPU, signal.SIGKILL):
            return {"verdict": "time", "by": f"{seconds:.0f} s"}
    finally:
        _end_group(pid)
    return json.loads(answer.read_text()) if answer.exists() else None


def _ticks(pid: int) -> int:
    """CPU time of a living process, in clock ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _child(work: Callable[[], dict[str, Any]], answer: Path, seconds: float) -> None:
    """Never returns: the parent's buffers and exit handlers are not the child's."""
    code = 1
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds), math.ceil(seconds) + 5))
        log = os.open(SCRATCH / "log", os.O_WRONLY | os.O_CREAT)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ["TMPDIR"] = str(SCRATCH / "tmp")
        result = work()
        answer.with_suffix(".part").write_text(json.dumps(result))
        answer.with_suffix(".part").replace(answer)
        code = 0
    finally:
        os._exit(code)


def _end_group(pid: int) -> None:
    """End the child and what it started, and collect it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def trace(files: list[str]) -> dict[str, Any]:
    """Run the test files unchanged; see the module."""
    tracer = Tracer()
    pytest.main(["--continue-on-collection-errors", *ARGUMENTS, *files], plugins=[tracer])
    outside = ("site-packages", "lib-dynload")
    loaded = [
        name
        for name, module in list(sys.modules.items())
        if any(part in (getattr(module, "__file__", None) or "") for part in outside)
    ]
    return {"tests": tracer.tests, "failed": tracer.failed, "modules": loaded}


def judge(job: dict[str, Any]) -> dict[str, Any]:
    """Test one mutant; see the module."""
    path = COPY / job["file"]
    text, stat = path.read_text(), path.stat()
    chosen = Chosen(job["tests"])

    def work() -> dict[str, Any]:
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        import hypothesis

        hypothesis.settings.register_profile("mutants", derandomize=True, database=None)
        hypothesis.settings.load_profile("mutants")
        files = list(dict.fromkeys(test.split("::")[0] for test in job["tests"]))
        status = pytest.main(["-x", *ARGUMENTS, *files], plugins=[chosen])
        return {"status": int(status), "by": chosen.first, "ran": chosen.ran}

    path.write_text(job["text"])
    try:
        result = forked(work, job["seconds"])
    finally:
        path.write_text(text)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # its compiled file stays valid
    if result is None:
        return {"verdict": "killed", "by": "the process ended"}
    if "verdict" in result:
        return result
    if result["status"] in (3, 4, 5) or (result["status"] == 0 and not result["ran"]):
        return {"verdict": "error", "by": f"pytest ended with status {result['status']}"}
    if result["status"] == 0:
        return {"verdict": "survived", "by": ""}
    return {"verdict": "killed", "by": result["by"] or "import"}


def preload(names: list[str]) -> None:
    """Import what the tests import from others, so that no child has to; what cannot be imported is left."""
    warnings.simplefilter("ignore")
    for name in names:
        if name not in sys.modules and not name.startswith(("_pytest", "pytest", "playwright", "xdist")):
            try:
                importlib.import_module(name)
            except Exception:
                continue


def main() -> None:
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    answers = os.fdopen(os.dup(1), "w")  # what tests print does not come between
    os.dup2(2, 1)
    for line in sys.stdin:
        job = json.loads(line)
        if "trace" in job:
            result = forked(lambda job=job: trace(job["trace"]), 3600) or {}  # type: ignore[misc]
        elif "preload" in job:
            preload(job["preload"])
            result = {}
        else:
            result = judge(job)
        gc.freeze()  # what is loaded now is never collected, here or in a child
        answers.write(json.dumps(result) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
