"""Run lessons from start to end with papermill: `python3 course.py run [--scale smoke] [LESSON ...]`.

The executed copies go to runs/executed/, and a table compares measured with declared minutes.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantrans import ROOT
from gantrans.errors import ConfigError, GantransError
from gantrans.files import rename_file
from gantrans.scales import SCALES, resolve_scale
from gantrans.teaching.course import EVIDENCE, lesson_minutes
from gantrans.teaching.places import NOTEBOOKS

EXECUTED = ROOT / "runs" / "executed"


@dataclass(frozen=True)
class LessonRun:
    """One executed lesson; `error` is empty if it ran to its end."""

    name: str
    seconds: float
    declared_minutes: float
    error: str = ""


def find_lessons(names: Sequence[str] = (), folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks of the named lessons ("04", "04_unet_skips" or a path), in that order; no names: all.

    Raises:
        ConfigError: for a name that no lesson has; the message lists those there are.
    """
    lessons = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    found = []
    for name in names:
        stem = Path(name).stem
        matches = [p for p in lessons if stem == p.stem or stem.zfill(2) == p.stem[:2]]
        if not matches:
            raise ConfigError(f"There is no lesson {name!r}; there are {', '.join(p.stem for p in lessons)}.")
        found += matches
    return list(dict.fromkeys(found)) if names else lessons  # without repetitions


def find_pages(folder: Path = NOTEBOOKS) -> list[Path]:
    """Every page that is checked: the lessons, each followed by its evidence page if it has one."""
    lessons = find_lessons(folder=folder)
    evidence = {path.name: path for path in sorted((folder / EVIDENCE).glob("[0-9][0-9]_*.ipynb"))}
    both = [page for path in lessons for page in (path, evidence.pop(path.name, None)) if page is not None]
    return [*both, *evidence.values()]


def run_notebook(source: Path, output: Path, parameters: Mapping[str, Any], progress: bool = False) -> None:
    """Execute `source` with `parameters` in place of those of its `parameters` cell; the result is `output`.

    `output` appears when the run has ended, never half; if a cell failed, it shows the error.

    Raises:
        ConfigError: for a parameter that the notebook does not have (papermill would only warn).
        papermill.PapermillExecutionError: a cell failed.
    """
    import papermill

    from gantrans.teaching.notebooks.kernels import START_SECONDS, kernel_config

    known = papermill.inspect_notebook(str(source))
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ConfigError(
            f"{source.name} has no parameter {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known) or 'none'}."
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    running = output.with_name(f".{output.stem}.{os.getpid()}.running.ipynb")
    try:
        papermill.execute_notebook(
            str(source),
            str(running),
            parameters=dict(parameters),
            kernel_name="python3",
            cwd=str(output.parent),
            progress_bar={"desc": source.stem, "unit": "cell"} if progress else False,
            log_output=False,
            start_timeout=START_SECONDS,
            config=kernel_config(),
        )
    finally:
        if running.exists():
            rename_file(running, output)


def run_lesson(source: Path, scale: str, *, out: Path = EXECUTED, progress: bool = True) -> LessonRun:
    """Run one lesson at `scale`; a failing cell or a dead kernel becomes the result's `error`.

    Raises:
        DataError, ConfigError: the lesson declares no minutes, or has no parameter `scale`.
    """
    from nbclient.exceptions import DeadKernelError
    from papermill import PapermillExecutionError

    declared = lesson_minutes(source)[scale]
    start, error = time.perf_counter(), ""
    try:
        run_notebook(source, out / source.name, {"scale": scale}, progress=progress)
    except PapermillExecutionError as failure:
        error = f"In [{failure.exec_count}] {failure.ename}: {failure.evalue}"
    except DeadKernelError:
        error = "the kernel died: is there enough memory?"
    except RuntimeError as failure:  # nbclient's word for a kernel that does not answer
        error = str(failure)
    return LessonRun(source.stem, time.perf_counter() - start, declared, error)


def summary(runs: Sequence[LessonRun]) -> str:
    """A table: each lesson with measured and declared minutes."""
    width = max([len("lesson"), *(len(run.name) for run in runs)])
    lines = [f"{'lesson':{width}}  minutes  declared  result"]
    for run in runs:
        result = run.error.splitlines()[0][:100] if run.error else "ok"
        lines.append(f"{run.name:{width}}  {run.seconds / 60:7.2f}  {run.declared_minutes:8.2f}  {result}")
    return "\n".join(lines)


def run_lessons(
    sources: Sequence[Path], scale: str, *, out: Path = EXECUTED, progress: bool = True
) -> list[LessonRun]:
    """Run lessons one after the other; a failing one does not stop the rest. The table is printed at the end,
    also when Ctrl-C is the end."""
    os.environ["GANTRANS_SCALE"] = scale  # for code of a lesson that does not pass its scale on
    runs: list[LessonRun] = []
    try:
        for source in sources:
            runs.append(run_lesson(source, scale, out=out, progress=progress))
    finally:
        print(summary(runs))
    return runs


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 0 if every lesson ran to its end, 1 if one failed, 2 if nothing could be run."""
    parser = argparse.ArgumentParser(prog="course.py run", description=__doc__)
    parser.add_argument("--scale", choices=["auto", *SCALES], default="auto")
    parser.add_argument("lessons", nargs="*", metavar="LESSON")
    options = parser.parse_args(arguments)
    try:
        lessons, scale = find_lessons(options.lessons), resolve_scale(options.scale)
        place = EXECUTED.relative_to(ROOT)
        print(f"{', '.join(path.stem for path in lessons)} at scale {scale}; executed copies go to {place}/")
        runs = run_lessons(lessons, scale, progress=not os.environ.get("TQDM_DISABLE"))
    except GantransError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return int(any(run.error for run in runs))


if __name__ == "__main__":
    sys.exit(main())
