"""Run a grid on Dask, keep what finished, and put the numbers together.

Nothing is kept in memory that is not on disk: whatever is killed, workers, kernels or the driver, the same
command goes on with the runs whose folder is missing.
"""

import shutil
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from gantrans.errors import ConfigError
from gantrans.files import held
from gantrans.teaching.fingerprint import code_version, experiment_version
from gantrans.teaching.sweeps.begin import about_sweep, check_folder, lesson_modules, prepare
from gantrans.teaching.sweeps.grid import Grid, Run
from gantrans.teaching.sweeps.task import ATTEMPTS, FAILED, RUNS, Order, Outcome, execute

RETRIES = 2
"""Further tries for a run whose kernel or worker died; a notebook that fails is not tried again."""
START_UP_SECONDS = 2.5
"""Of a run: a kernel and its imports (`benchmarks/ablations.py`)."""


@dataclass(frozen=True)
class Report:
    """How a call of `run_grid` ended; `left` is the number of runs for which there was no time, `records` are
    the claims that a finished sweep of the course decides, by id."""

    out: Path
    total: int
    done: int
    failed: tuple[Outcome, ...]
    left: int = 0
    interrupted: bool = False
    summary: str = ""
    records: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every run of the grid is done."""
        return self.done == self.total

    def __str__(self) -> str:
        lines = [self.summary] if self.summary else []
        for outcome in self.failed:
            kept = self.out / FAILED / outcome.key
            place = f"{kept}" if kept.is_dir() else f"run {outcome.key} of {self.out}, nothing kept"
            lines.append(f"FAILED {place}: {outcome.error}")
        if self.left:
            lines.append(f"{self.left} runs were not started, because the time of --max-hours was over.")
        if self.interrupted:
            lines.append("Interrupted.")
        lines.append(f"{self.done} of {self.total} runs are done; results in {self.out}.")
        if not self.complete:
            lines.append("The same command goes on with the rest and repeats nothing that finished.")
        return "\n".join(lines)


def at_once(workers: int, scheduler: str | None) -> int:
    """How many runs go on at a time: the workers of the embedded cluster, or all threads of the scheduler's.

    Raises:
        ConfigError: no such scheduler.
    """
    if scheduler is None:
        return workers
    with _client(workers, 1, scheduler) as client:
        return sum(worker["nthreads"] for worker in client.scheduler_info()["workers"].values())


def plan(grid: Grid, scale: str, out: Path, workers: int) -> str:
    """The runs, those that are done marked, and the estimated time of the rest; `workers`: see `estimate`."""
    runs = grid.runs(scale)
    lines = [f"{'done' if _done(out, run) else '':4}  {run.label}, seed {run.seed}" for run in runs]
    return "\n".join([*lines, estimate(grid, scale, out, workers)])


def estimate(grid: Grid, scale: str, out: Path, workers: int) -> str:
    """How many runs are left and how long they take, by the minutes that the grid declares.

    Args:
        workers: how many runs go on at a time, see `at_once`; 0: none yet.
    """
    runs = grid.runs(scale)
    left = sum(not _done(out, run) for run in runs)
    minutes = grid.minutes[scale] + START_UP_SECONDS / 60
    lasting = f"{-(-left // workers) * minutes:.1f} with {workers} at a time" if workers else "no worker yet"
    return (
        f"{left} of {len(runs)} runs to do at scale {scale}: about {left * minutes:.1f} minutes of work, "
        f"{lasting}; results go to {out}."
    )


def run_grid(
    grid: Grid,
    scale: str,
    out: Path,
    *,
    workers: int = 1,
    threads: int = 1,
    scheduler: str | None = None,
    max_hours: float | None = None,
    max_minutes_per_run: float | None = None,
    ledger: Path | None = None,
) -> Report:
    """Run what is missing of a grid and write its tables, effects and figure to `out`.

    Args:
        grid: from `read_grid`.
        scale: smoke, reduced or full.
        out: the folder of this sweep, on a file system that all workers see.
        workers, threads: processes of the embedded local cluster, and threads for the arithmetic of each run.
        scheduler: address of a Dask scheduler to use instead, "tcp://host:port".
        max_hours: start no run after this time; those under way are finished.
        max_minutes_per_run: stop a run that takes longer; it failed, and its log is kept.
        ledger: the file for the claims that a sweep of the course decides; this machine's unless given.

    Raises:
        ConfigError: the notebook lacks a parameter, `out` belongs to another grid or code, no such scheduler.
        BusyError: another process runs the sweep in `out`.
    """
    out = out.resolve()
    about = about_sweep(grid, scale)
    check_folder(grid, about, out)
    with ExitStack() as lock:
        try:
            out.mkdir(parents=True, exist_ok=True)
            lock.enter_context(held(out / ".lock", f"The sweep in {out}"))
            prepare(grid, about, out)
        except OSError as error:
            raise ConfigError(f"{out} cannot be written ({error.strerror}); name another --out.") from error
        return _run(grid, scale, out, workers, threads, scheduler, max_hours, max_minutes_per_run, ledger)


def _run(
    grid: Grid,
    scale: str,
    out: Path,
    workers: int,
    threads: int,
    scheduler: str | None,
    max_hours: float | None,
    minutes: float | None,
    ledger: Path | None,
) -> Report:
    """`run_grid` in a folder that is prepared and locked."""
    runs = grid.runs(scale)
    todo = [run for run in runs if not _done(out, run)]
    deadline = None if max_hours is None else time.time() + 3600 * max_hours
    modules = lesson_modules(grid)
    code = (code_version(), experiment_version(*modules), modules)
    beside = str(grid.notebook.parent.resolve())
    orders = [
        Order(str(out), run.key, grid.parameters(run, scale), *code, beside, deadline, minutes)
        for run in todo
    ]
    failed: list[Outcome] = []
    left, interrupted = 0, False
    try:
        bar = tqdm(total=len(runs), initial=len(runs) - len(todo), desc=grid.name, unit="run", smoothing=0)
        with bar:
            for outcome in _outcomes(orders, workers, threads, scheduler) if orders else ():
                if outcome.state == "failed":
                    failed.append(outcome)
                    bar.set_postfix(failed=len(failed))
                left += outcome.state == "left"
                bar.update(outcome.state == "done")
    except KeyboardInterrupt:
        interrupted = True
    if not interrupted:  # else somebody's own workers may still finish theirs
        shutil.rmtree(out / ATTEMPTS, ignore_errors=True)
    from gantrans.teaching.sweeps import results  # brings SciPy and matplotlib, which workers need not load

    done = [run for run in runs if _done(out, run)]
    summary, records = results.write(grid, scale, out, runs, done, ledger) if done else ("", {})
    return Report(out, len(runs), len(done), tuple(failed), left, interrupted, summary, records)


def _outcomes(
    orders: Sequence[Order], workers: int, threads: int, scheduler: str | None
) -> Iterator[Outcome]:
    """Outcomes as they come; a run that its worker or kernel did not survive is a failed one."""
    from distributed import as_completed

    with _client(workers, threads, scheduler) as client:
        token = uuid.uuid4().hex[:8]
        futures = {}
        for place, order in enumerate(orders):  # the earlier, the more urgent
            name = f"{order.key}-{token}"
            future = client.submit(execute, order, key=name, retries=RETRIES, priority=-place, pure=False)
            futures[future] = order
        for future in as_completed(list(futures), loop=client.loop):
            key = futures[future].key
            if future.status == "error":
                yield Outcome(key, "failed", error=_in_words(future.exception()))
            elif future.cancelled():
                raise ConfigError(
                    f"The Dask scheduler gave up run {key}; see that it is alive, and run again."
                )
            else:  # done; if its worker has died since, this waits until another has found the run done
                yield future.result()


def _in_words(error: BaseException | None) -> str:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return "the worker processes that tried it were killed: is there enough memory?"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


@contextmanager
def _client(workers: int, threads: int, scheduler: str | None) -> Iterator[Any]:
    """A client of the scheduler, or of a cluster of worker processes on this machine."""
    from distributed import Client, LocalCluster

    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=20, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No Dask scheduler answers at {scheduler}; start one with `dask scheduler`."
            ) from error
        with client:
            if not client.scheduler_info()["workers"]:
                print("No worker yet; runs begin when one joins.", flush=True)
            yield client
        return
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,  # one run at a time
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,  # the memory is the kernels', which Dask does not see
        silence_logs="CRITICAL",
        env={name: str(threads) for name in names},
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


def _done(out: Path, run: Run) -> bool:
    return (out / RUNS / run.key).is_dir()
