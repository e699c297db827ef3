"""A comparison from the pairs to the report; killed at any moment, the same call goes on.

    OUT/compare.json     settings and plan, written before the first training begins
    OUT/runs/METHOD      the trainings, as `train` writes them (METHOD-seedN for further ones)
    OUT/scores/NAME.*    what was measured on the test split, once for each training
    OUT/report.json, report.html, figures/*.png

Every file is replaced completely or not at all. What exists is not made again, except the report.
"""

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.errors import CheckpointError
from gantrans.files import held, remove_drafts
from gantrans.images import as_picture
from gantrans.operations.comparison import settings as asked
from gantrans.operations.comparison.methods import choose_direction, method_recipe
from gantrans.operations.comparison.plan import NFE, SCORING_SHARE, Plan, make_plan, measure
from gantrans.operations.comparison.progress import Progress
from gantrans.operations.comparison.report import write_report
from gantrans.operations.comparison.scoring import TestSet, baseline, score
from gantrans.operations.comparison.settings import Settings, Wishes
from gantrans.operations.comparison.tables import BASELINE, make_rows
from gantrans.operations.comparison.training import Trained, train
from gantrans.training import pick_device
from gantrans.training.checkpoint import write_atomically
from gantrans.translation import ConditionalDiffusionConfig, Predictor, Recipe
from gantrans.translation.sizes import check_sizes
from gantrans.translation.sources import SIMULATED

TEST_COUNT = 256
"""Test images of a simulated source, and the most that are taken of a folder's (evenly over the split)."""
_OTHER_WORK = 10
"""What judging costs beside the translations, in network evaluations per image; for the bar only."""


@dataclass(frozen=True)
class Job:
    """A training of a comparison: `name` is that of its folder."""

    name: str
    method: str
    seed: int


class Pairs:
    """The pairs of a comparison, read once: all three splits of a folder, so that damage is found first.

    Raises:
        DataError, ConfigError: the source cannot be used, or a network does not fit the size.
    """

    def __init__(self, settings: Settings) -> None:
        stated = settings.pixel_nm, settings.bits, settings.encoding
        self.direction, self.reason = choose_direction(settings.source, settings.direction, *stated)
        self.recipes = {
            method: method_recipe(
                method, self.direction, settings.scale, settings.source, size=settings.size,
                seed=settings.seed, pixel_nm=settings.pixel_nm, bits=settings.bits,
                encoding=settings.encoding,
            )
            for method in settings.methods
        }  # fmt: skip
        first = self.recipes[settings.methods[0]]
        for chosen in self.recipes.values():
            check_sizes(chosen.task, chosen.data.size, chosen.batch_size)
        self.training = first.data.pairs("train", self.direction)
        self.validation = first.data.pairs("val", self.direction)
        count = TEST_COUNT if settings.source in SIMULATED else None
        self.test: PairedDataset = first.data.pairs("test", self.direction, count)


def run_comparison(settings: Settings, wishes: Wishes, out: Path, *, resume: bool = False) -> dict[str, Any]:
    """Train, judge and report; returns the contents of report.json.

    Raises:
        ConfigError, DataError: the source or the settings cannot be used; nothing was written.
        CheckpointError: `out` is not empty, or holds another comparison. BusyError: it is in use.
        KeyboardInterrupt: Ctrl-C; what was done is kept.
    """
    began = time.perf_counter()
    if resume:
        asked.read(out, settings)  # before the pairs are read, which can take long
    else:
        _check_new(out)
    pick_device(settings.device)
    pairs = Pairs(settings)
    with _opened(out, resume):
        if resume:
            pairs.direction, pairs.reason, plan = asked.read(out, settings)
        else:
            plan = _plan(pairs, settings, began)
            contents = asked.describe(settings, pairs.direction, pairs.reason, plan)
            write_atomically(out / asked.FILE, contents)
        parts = [out / name for name in ("scores", "figures")]
        _make(*parts)
        for folder in (out, *parts):
            remove_drafts(folder, alone=True)
        with Progress(plan.seconds / (1.0 - SCORING_SHARE)) as progress:
            trained = _train_all(pairs, settings, plan, out, progress)
            test = TestSet.of(pairs.test, pairs.direction, plan.tested)
            _score_all(pairs, test, plan, trained, out, progress, settings.device)
        return _report(settings, wishes, pairs, plan, test, trained, out)


def jobs(settings: Settings, plan: Plan) -> list[Job]:
    """All trainings in their order: every method once before any is trained again."""
    return [
        Job(method if k == 0 else f"{method}-seed{settings.seed + k}", method, settings.seed + k)
        for k in range(plan.seeds)
        for method in settings.methods
    ]


def _check_new(out: Path) -> None:
    """Raise a `CheckpointError` if the folder of a new comparison is not empty."""
    if out.exists() and not out.is_dir():
        raise CheckpointError(f"{out} is a file; choose another --out.")
    taken = [entry.name for entry in out.iterdir() if not entry.name.startswith(".")] if out.exists() else []
    if taken:
        raise CheckpointError(
            f"{out} is not empty (it holds {min(taken)}); use --resume or another --out; nothing was "
            "overwritten."
        )


def variants(chosen: Recipe) -> tuple[int | None, ...]:
    """Numbers of network evaluations per draw at which a method is judged; None: it has no choice."""
    return NFE if isinstance(chosen.task, ConditionalDiffusionConfig) else (None,)


def _evaluations(chosen: Recipe) -> int:
    """Network evaluations of one answer at each of its numbers of steps together."""
    if isinstance(chosen.task, ConditionalDiffusionConfig):
        return sum(NFE) * chosen.task.answers
    return 1


@contextmanager
def _opened(out: Path, resume: bool) -> Iterator[None]:
    """Hold the lock of the folder."""
    with ExitStack() as entered:
        _make(out)
        try:
            entered.enter_context(held(out / ".lock", f"The comparison in {out}"))
        except OSError as error:
            raise CheckpointError(f"{out} cannot be written ({error.strerror or error}).") from error
        if not resume:  # another process may have begun meanwhile
            _check_new(out)
        yield


def _make(*folders: Path) -> None:
    """Make folders that are missing."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(f"{folder} cannot be made ({error.strerror or error}).") from error


def _plan(pairs: Pairs, settings: Settings, began: float) -> Plan:
    """Measure what a step of each method costs, and fix the numbers of steps."""
    total = 60.0 * settings.minutes
    clock = "cpu" if pick_device(settings.device).type == "cpu" else "wall"
    each = total * (1.0 - SCORING_SHARE) / len(pairs.recipes)
    started = time.perf_counter()
    with Progress(total, leave=False) as progress:
        progress.begin("what a step costs")
        measured = measure(pairs.recipes, pairs.training, pairs.validation, each, settings.device, clock)
    ended = time.perf_counter()
    return make_plan(
        measured, max(total - (ended - began), 0.1 * total), seeds=settings.seeds,
        evaluations=sum(_evaluations(chosen) for chosen in pairs.recipes.values()),
        batch_size=next(iter(pairs.recipes.values())).batch_size, tests=min(TEST_COUNT, len(pairs.test)),
        clock=clock, calibration_s=ended - started,
    )  # fmt: skip


def _train_all(
    pairs: Pairs, settings: Settings, plan: Plan, out: Path, progress: Progress
) -> dict[Job, Trained]:
    trained = {}
    for job in jobs(settings, plan):
        share = plan.shares[job.method]
        base = pairs.recipes[job.method]
        chosen = replace(
            base, fit=replace(share.settings(base.fit, plan.clock), seed=job.seed), seed=job.seed
        )
        progress.begin(f"{job.name}, {share.steps:,} steps")
        trained[job] = train(
            chosen, out / "runs" / job.name, pairs.training, pairs.validation, device=settings.device,
            on_step=lambda step, share=share: progress.at(step * share.wall_s),  # type: ignore[misc]
        )  # fmt: skip
        progress.end(share.steps * share.wall_s)
    return trained


def _score_all(
    pairs: Pairs,
    test: TestSet,
    plan: Plan,
    trained: dict[Job, Trained],
    out: Path,
    progress: Progress,
    device: str | None,
) -> None:
    """Score what has no score yet; the test split is used here for the first time."""
    sound = {job: done for job, done in trained.items() if not done.failed}
    weights = {job: _OTHER_WORK + _evaluations(pairs.recipes[job.method]) for job in sound}
    planned = plan.seconds / (1.0 - SCORING_SHARE) * SCORING_SHARE / (sum(weights.values()) + _OTHER_WORK)
    for job, done in sound.items():
        progress.begin(f"judging {job.name}")
        options = variants(pairs.recipes[job.method])
        for k, steps in enumerate(options):
            name = job.name if steps is None else f"{job.name}-{steps}"
            if not (out / "scores" / f"{name}.json").exists():
                predictor = Predictor.load(done.folder, pick_device(device), steps=steps)
                found, outputs = score(predictor, test, plan.drawn, plan.draws)
                _keep(out, name, found, outputs)
            progress.at(planned * weights[job] * (k + 1) / len(options))
        progress.end(planned * weights[job])
    if not (out / "scores" / f"{BASELINE}.json").exists():
        label, found, outputs = baseline(test, pairs.validation, plan.drawn)
        _keep(out, BASELINE, {"label": label, **found}, outputs)
    progress.end(planned * _OTHER_WORK)


def _report(
    settings: Settings,
    wishes: Wishes,
    pairs: Pairs,
    plan: Plan,
    test: TestSet,
    trained: dict[Job, Trained],
    out: Path,
) -> dict[str, Any]:
    sound: dict[str, list[str]] = {}
    for job, done in trained.items():
        if not done.failed:
            sound.setdefault(job.method, []).append(job.name)
    rows = make_rows(
        out, {method: (names, variants(pairs.recipes[method])) for method, names in sound.items()}
    )
    about = {"direction": pairs.direction, "reason": pairs.reason}
    splits = {"train": pairs.training, "val": pairs.validation, "test": pairs.test}
    by_name = {job.name: done for job, done in trained.items()}
    return write_report(out, settings, wishes, splits, about, plan, test, rows, by_name)


def _keep(out: Path, name: str, found: dict[str, Any], outputs: Tensor) -> None:
    """Write the images first: scores that exist are complete."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, outputs=np.stack([as_picture(image) for image in outputs]))
    write_atomically(out / "scores" / f"{name}.npz", buffer.getbuffer())
    write_atomically(out / "scores" / f"{name}.json", json.dumps(found).encode())
