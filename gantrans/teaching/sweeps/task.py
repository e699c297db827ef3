"""One run, as a Dask worker does it: papermill executes the notebook in a kernel of its own.

A run works in a folder of its own attempt, which is renamed to the run's folder when all is there: the
executed notebook, the row, the log. So a killed worker or kernel leaves nothing that looks finished, and
whether a run is done can be asked of the disk.
"""

import json
import os
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gantrans import ROOT
from gantrans.errors import ConfigError
from gantrans.files import publish_folder, replace_file
from gantrans.teaching.fingerprint import code_version, experiment_version
from gantrans.teaching.sweeps.grid import Level
from gantrans.teaching.sweeps.rows import RESULTS

ABOUT, NOTEBOOK, RUNS, FAILED, ATTEMPTS = "about.json", "notebook.ipynb", "runs", "failed", "attempts"
"""In the folder of a sweep: what it is, its notebook, the runs that finished, failed, and are under way."""
EXECUTED, LOG = "executed.ipynb", "log.txt"


class KernelDiedError(RuntimeError):
    """Worth another try: the kernel was killed, as by a machine that is out of memory, or did not start."""


@dataclass(frozen=True)
class Order:
    """What a worker needs to know. `code` and `experiment` are the hashes of the library and of the `modules`
    of lessons that the run rests on; `beside` is the folder of the notebook, whose modules it may import;
    `deadline` (Unix time): a run that has not started by then is left. `minutes`: a run that takes longer is
    stopped."""

    out: str
    key: str
    parameters: Mapping[str, Level | str]
    code: str
    experiment: str
    modules: tuple[str, ...]
    beside: str
    deadline: float | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended: done, failed (then `error` is one line), or left: not started."""

    key: str
    state: str
    seconds: float = 0.0
    error: str = ""


def execute(order: Order) -> Outcome:
    """Do a run, unless it is done already or too late.

    Raises:
        ConfigError: this worker does not see the folder of the sweep, or has other code.
        KernelDiedError: see there.
    """
    out = Path(order.out)
    if not (out / ABOUT).is_file():
        raise ConfigError(
            f"A worker does not see {out}; name an --out on a file system that all workers see."
        )
    if (out / RUNS / order.key).is_dir():
        return Outcome(order.key, "done")
    if order.deadline is not None and time.time() > order.deadline:
        return Outcome(order.key, "left")
    mine, asked = (code_version(), experiment_version(*order.modules)), (order.code, order.experiment)
    if mine != asked:
        raise ConfigError(
            f"A worker has code {' '.join(mine)}, the sweep {' '.join(asked)}; start workers of one version."
        )
    attempt = out / ATTEMPTS / f"{order.key}.{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:6]}"
    attempt.mkdir(parents=True)
    started, begun = time.time(), time.perf_counter()
    error = "the kernel died"
    try:
        error = _run_notebook(order, attempt)
    finally:
        seconds = time.perf_counter() - begun
        about = {"parameters": dict(order.parameters), "started": started, "seconds": seconds, "error": error}
        replace_file(attempt / "run.json", json.dumps(about, indent=1) + "\n")
        _publish(attempt, out, order.key, failed=bool(error))
    return Outcome(order.key, "failed" if error else "done", seconds, error)


def _run_notebook(order: Order, attempt: Path) -> str:
    """Execute the notebook in `attempt`; one line on what went wrong, or ""."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from gantrans.teaching.notebooks.kernels import START_SECONDS, kernel_config

    places = [str(ROOT), order.beside, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ.update(  # the kernel inherits these
        GANTRANS_HEADLESS="1",
        PYTHONHASHSEED="0",
        PYTHONPATH=os.pathsep.join(dict.fromkeys(filter(None, places))),
        TQDM_DISABLE="1",
    )
    parameters = {**order.parameters, "out": str(attempt)}
    limit: dict[str, object] = {}
    if order.minutes is not None:
        limit["timeout_func"] = _what_is_left(60 * order.minutes)
    try:
        with (attempt / LOG).open("w", encoding="utf-8", buffering=1) as log:
            papermill.execute_notebook(
                str(Path(order.out) / NOTEBOOK),
                str(attempt / EXECUTED),
                parameters=parameters,
                kernel_name="python3",  # whatever the notebook says: this interpreter
                language="python",
                cwd=str(attempt),
                progress_bar=False,
                log_output=False,
                stdout_file=log,
                stderr_file=log,
                start_timeout=START_SECONDS,
                config=kernel_config(),
                **limit,
            )
    except CellTimeoutError:
        return f"stopped after {order.minutes:g} minutes (--max-minutes-per-run); {LOG} has what it printed"
    except papermill.PapermillExecutionError as failure:
        lines = f"{failure.ename}: {failure.evalue}".splitlines() or [failure.ename]
        return f"In [{failure.exec_count}] {lines[0]}"[:300]
    except DeadKernelError as death:
        raise KernelDiedError("the kernel died: is there enough memory?") from death
    if not (attempt / RESULTS).is_file():
        return "the notebook saved nothing: call save_row({...}, out) or save_arms({...}, out) at its end"
    return ""


def _what_is_left(seconds: float) -> Callable[[object], float]:
    """The time that a cell may take, so that all together take `seconds` from the first cell on."""
    begun: list[float] = []

    def left(_cell: object) -> float:
        begun.append(time.monotonic())
        return max(begun[0] + seconds - begun[-1], 0.01)

    return left


def _publish(attempt: Path, out: Path, key: str, *, failed: bool) -> None:
    """Give the attempt its place in one rename; of a run that was done twice, the first one stays."""
    place = out / (FAILED if failed else RUNS) / key
    place.parent.mkdir(exist_ok=True)
    if failed:
        shutil.rmtree(place, ignore_errors=True)
    else:
        shutil.rmtree(out / FAILED / key, ignore_errors=True)
    try:
        publish_folder(attempt, place, sync=False)
    except OSError:
        if not place.is_dir():
            raise
        shutil.rmtree(attempt)
