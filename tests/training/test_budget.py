"""A time budget becomes a number of steps before step 0, and a resumed run keeps this number."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_task import ToyTask, same, same_training, toy_data

from gantrans.errors import ConfigError
from gantrans.training import Batch, FitConfig, FitResult, TimeBudget, fit, load_checkpoint
from gantrans.training.budget import TRIAL_STEPS, Costs, measure_costs

CONFIG = FitConfig(
    100, precision="fp32", lr_schedule="linear_decay", lr_params={"start": 0.0}, log_every=1,
    validate_every=4, checkpoint_every=2, ema_decay=0.9,
)  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test moves."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


class Slow:
    """Data whose every batch takes a second, and a validation that takes three."""

    def __init__(self, clock: list[float], killed_at: int | None = None, *, stalls: bool = False) -> None:
        self.clock, self.killed_at, self.stalls, self.asked = clock, killed_at, stalls, 0

    def __call__(self, index: int) -> Batch:
        if self.stalls and index % 5 == 4:
            self.clock[0] += 20.0
        if index == self.killed_at:
            raise KeyboardInterrupt
        self.asked += 1
        self.clock[0] += 1.0
        return toy_data(index)

    def validate(self, task: ToyTask) -> dict[str, float]:
        self.clock[0] += 3.0
        return {"score": 0.0}


def train(out: Path, data: Slow, seconds: float | None, *, resume: bool = False) -> FitResult:
    budget = TimeBudget(CONFIG, seconds)
    plan = {"out": out, "resume": resume, "validate": data.validate, "device": "cpu"}
    config, kept = budget.plan(ToyTask, data, **plan)
    task = ToyTask()
    return fit(task, data, budget.limit(config), extra=kept, progress=False, **plan)


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 8, 9, 50])
def test_what_is_planned_fits_into_the_budget(steps: int) -> None:
    """Counted one by one: a validation every 4 steps and one at the end, a checkpoint every 2."""
    costs = Costs(step=1.0, validation=3.0, checkpoint=0.5)
    whole = steps + 3.0 * -(-steps // 4) + 0.5 * -(-steps // 2)
    planned = costs.steps_within(whole / 0.97, CONFIG)
    assert planned <= steps
    assert planned >= steps - 3  # at most one validation and one checkpoint are counted too many
    assert costs.steps_within(1e-9, CONFIG) == 1


def test_the_costs_are_measured_by_the_clock_and_change_nothing(clock: list[float]) -> None:
    task, data = ToyTask(), Slow(clock)
    weights = list(task.networks["generator"].parameters())
    before = [weight.detach().clone() for weight in weights]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    costs = measure_costs(task, data, CONFIG, 1e4, validate=data.validate, device="cpu")
    assert (costs.step, costs.validation, costs.checkpoint) == pytest.approx((1.0, 3.0, 0.0))
    assert data.asked == 1 + TRIAL_STEPS
    assert same(before, [weight.detach() for weight in weights])
    assert torch.equal(torch.get_rng_state(), state)
    data.asked = 0
    assert measure_costs(task, data, CONFIG, 100.0, device="cpu") == Costs(1.0, 0.0, 0.0)
    assert data.asked == 1 + 5  # 5 % of the budget, counted from the second step


def test_a_step_that_had_to_wait_for_the_machine_does_not_count(clock: list[float]) -> None:
    costs = measure_costs(ToyTask(), Slow(clock, stalls=True), CONFIG, 1e4, device="cpu")
    assert costs.step == pytest.approx(1.0)


@pytest.mark.parametrize("seconds", [60.0, 900.0])
def test_the_schedule_ends_with_the_budget(tmp_path: Path, clock: list[float], seconds: float) -> None:
    """Shorter than the 100 steps of the settings, or longer: the rate falls in a line to the last step."""
    began = clock[0]
    result = train(tmp_path / "run", Slow(clock), seconds)
    total = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]["extra"]["budget"]["steps"]
    assert (result.stopped_by, result.step) == ("steps", total)
    assert (total < 100) == (seconds == 60.0)
    rates = result.history.series("lr_generator")[1]
    assert rates == pytest.approx([2e-2 * (1 - step / total) for step in range(total)])
    assert 0.85 * seconds < clock[0] - began <= seconds


def test_a_killed_run_with_a_budget_resumes_bit_for_bit(tmp_path: Path, clock: list[float]) -> None:
    whole = train(tmp_path / "whole", Slow(clock), 60.0)
    for seconds in (None, 60.0, 5000.0):
        out = tmp_path / f"killed-{seconds}"
        with pytest.raises(KeyboardInterrupt):
            train(out, Slow(clock, killed_at=7), 60.0)
        assert load_checkpoint(out / "last.pt")["step"] == 6
        resumed = train(out, Slow(clock), seconds, resume=True)
        assert (resumed.step, resumed.stopped_by) == (whole.step, "steps")
        one, other = (load_checkpoint(folder / "last.pt") for folder in (tmp_path / "whole", out))
        for stored in (one, other):
            stored["settings"]["fit"].pop("max_seconds")  # what was left for the call
        assert same_training(one, other)


def test_killed_before_the_first_checkpoint_it_keeps_its_steps(tmp_path: Path, clock: list[float]) -> None:
    whole, out = train(tmp_path / "whole", Slow(clock), 60.0), tmp_path / "killed"
    out.mkdir()
    (out / "config.json").write_bytes((tmp_path / "whole" / "config.json").read_bytes())
    data = Slow(clock)
    assert train(out, data, None, resume=True).step == whole.step == data.asked  # nothing is timed again


def test_a_budget_of_a_resumed_call_only_ends_the_call(tmp_path: Path, clock: list[float]) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Slow(clock, killed_at=7), None)
    result = train(tmp_path / "run", Slow(clock), 5.0, resume=True)
    assert (result.stopped_by, result.step) == ("time", 9)  # two steps and a validation
    stored: dict[str, Any] = load_checkpoint(tmp_path / "run" / "last.pt")["settings"]
    assert stored["fit"]["steps"] == 100
    assert "budget" not in stored["extra"]


def test_the_trial_leaves_the_run_as_it_would_be_without_it(tmp_path: Path, clock: list[float]) -> None:
    planned = train(tmp_path / "planned", Slow(clock), 60.0)
    config = FitConfig(**{**vars(CONFIG), "steps": planned.step})
    plain = fit(ToyTask(), toy_data, config, out=tmp_path / "plain", progress=False, device="cpu")
    assert plain.step == planned.step
    one, other = (load_checkpoint(tmp_path / name / "last.pt") for name in ("planned", "plain"))
    for key in ("networks", "optimizers", "ema", "task_state", "random"):
        assert same({"": one[key]}, {"": other[key]})


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_a_budget_must_be_above_zero(seconds: float) -> None:
    with pytest.raises(ConfigError, match="max_seconds"):
        TimeBudget(CONFIG, seconds)
