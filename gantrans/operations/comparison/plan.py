"""Equal core-seconds for every method, as numbers of steps that are fixed before the first one.

A step of each method is timed on a throwaway copy (`training.budget.measure_costs`), by two clocks: that of
the processor (core-seconds of this process, all threads), which is what is shared equally, and that of the
wall, which is what the user gave. On a GPU both are the wall's. The time for calibration counts.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from gantrans.data import BatchSource, PairedDataset
from gantrans.training import FitConfig
from gantrans.training.budget import Costs, measure_costs
from gantrans.translation import Recipe, build_task, validation_of

SCORING_SHARE = 0.2
"""Share of the time that is kept for judging on the test split and for the report."""
VALIDATIONS = 8
"""Points of the curve of quality over seconds, fewer where they would take more than a fifth of the time."""
_VALIDATION_SHARE = 0.2
FEWEST_SEEDS, MOST_SEEDS = 3, 5
"""Trainings per method if there is time for more than one: two show next to nothing of their spread."""
DRAWS = 19
"""Draws per input: the target's rank among so many leaves 2 of 20 places outside, 10 %."""
FEW_DRAWS = 9
_MOST_DRAWN, _FEWEST_DRAWN = 64, 16
_FEWEST_TESTED = 32
NFE = (20, 4, 1)
"""Network evaluations per draw at which a diffusion model is judged."""


@dataclass(frozen=True)
class Share:
    """What one method gets in each of its trainings.

    steps: planned; step_s, wall_s: core-seconds and wall seconds of a step, validations and checkpoints
    apart; every: steps between two validations (and checkpoints); full: steps of its recipe at this scale.
    """

    steps: int
    step_s: float
    wall_s: float
    every: int
    full: int

    def settings(self, fitting: FitConfig) -> FitConfig:
        """The settings of a training with this share."""
        return replace(
            fitting, steps=self.steps, max_seconds=None, validate_every=self.every,
            checkpoint_every=self.every, log_every=max(1, min(50, self.steps // 40)),
        )  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """The whole comparison before its first step.

    core_s: equal core-seconds of each training. seeds: trainings per method. tested: number of test images.
    drawn, draws: on how many of them how many answers are drawn. calibration_s: wall seconds that measuring
    the costs took.
    """

    clock: str
    core_s: float
    seeds: int
    tested: int
    drawn: int
    draws: int
    calibration_s: float
    shares: dict[str, Share]

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Plan":
        """Rebuild what `to_dict` gave.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        shares = {name: Share(**share) for name, share in values["shares"].items()}
        return cls(**{**values, "shares": shares})

    @property
    def seconds(self) -> float:
        """Planned wall seconds of all trainings."""
        return self.seeds * sum(share.steps * share.wall_s for share in self.shares.values())


@dataclass(frozen=True)
class Measured:
    """Costs of one method by the clock that is shared, and wall seconds per second of that clock."""

    costs: Costs
    wall_per_s: float
    full: int


def measure(
    recipes: Mapping[str, Recipe],
    training: PairedDataset,
    validation: PairedDataset,
    seconds: float,
    device: str | None,
    clock: str,
) -> dict[str, Measured]:
    """Time every method on throwaway copies.

    Args:
        seconds: wall time planned for each training, of which about a twentieth is spent; see
            `measure_costs`.
    """
    measured = {}
    for name, chosen in recipes.items():
        batches = BatchSource(training, chosen.direction, chosen.batch_size, chosen.seed)
        wall, core = time.perf_counter(), time.process_time()
        costs = measure_costs(
            build_task(chosen), batches, replace(chosen.fit, clock=clock), seconds,
            validate=validation_of(chosen, validation), device=device,
        )  # fmt: skip
        wall, core = time.perf_counter() - wall, time.process_time() - core
        measured[name] = Measured(
            costs, wall / core if clock == "cpu" and core > 0 else 1.0, chosen.fit.steps
        )
    return measured


def make_plan(
    measured: Mapping[str, Measured],
    seconds: float,
    *,
    seeds: int | None,
    batch_size: int,
    tests: int,
    evaluations: int,
    clock: str,
    calibration_s: float,
) -> Plan:
    """Divide the wall seconds that are left among the methods, in equal core-seconds.

    B core-seconds of method m take B * r_m wall seconds, r_m = `wall_per_s`; so B = seconds / (seeds * sum
    of r_m) fills the time.

    Args:
        seconds: wall seconds left for trainings and scoring together.
        seeds: trainings per method; None: several, if every method then still gets all steps of its recipe
            and all of them can be judged in the time that is kept for it.
        tests: test images that there are.
        evaluations: of a network for one answer of every method and every number of steps together.
    """
    training = (1.0 - SCORING_SHARE) * seconds
    ratios = sum(m.wall_per_s for m in measured.values())
    alone = training / ratios
    whole = min(alone / (m.full * m.costs.step) for m in measured.values())
    slowest = max(m.costs.step * m.wall_per_s for m in measured.values())
    forward = slowest / batch_size / 3.0  # a step is about three passes
    least = (evaluations * _FEWEST_TESTED + FEW_DRAWS * sum(NFE) * _FEWEST_DRAWN) * forward
    several = min(int(whole), int(SCORING_SHARE * seconds / least), MOST_SEEDS)
    count = seeds or (several if several >= FEWEST_SEEDS else 1)
    core = alone / count
    shares = {name: _share(m, core) for name, m in measured.items()}
    scoring = SCORING_SHARE * seconds / count
    tested = min(tests, max(_FEWEST_TESTED, int(0.4 * scoring / (evaluations * forward))))
    drawn, draws = _draws(0.4 * scoring, forward)
    return Plan(clock, core, count, tested, min(drawn, tested), draws, calibration_s, shares)


def _share(measured: Measured, core: float) -> Share:
    costs = measured.costs
    pause = costs.validation + costs.checkpoint
    pauses = VALIDATIONS if pause <= 0 else int(min(VALIDATIONS, _VALIDATION_SHARE * core / pause))
    pauses = max(1, pauses)
    steps = max(1, int((core - pauses * pause) / max(costs.step, 1e-9)))
    every = -(-steps // pauses)
    return Share(steps, costs.step, costs.step * measured.wall_per_s, every, measured.full)


def _draws(seconds: float, forward: float) -> tuple[int, int]:
    """On how many images how many draws fit into a time, at `forward` seconds per network evaluation."""
    for draws in (DRAWS, FEW_DRAWS):
        images = int(seconds / (draws * sum(NFE) * forward))
        if images >= _FEWEST_DRAWN:
            return min(images, _MOST_DRAWN), draws
    return _FEWEST_DRAWN, FEW_DRAWS
