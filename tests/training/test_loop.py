"""The training loop: exact resume, accumulation, early failure, budgets, and what it leaves behind."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy_task import ToyConfig, ToyTask, same, same_training, toy_data

from gantrans.errors import ConfigError, TrainingError
from gantrans.training import Batch, FitConfig, FitResult, History, Runtime, fit, load_checkpoint, pick_device
from gantrans.training.device import batches, resolve_precision, to_device

EVERYTHING = {
    "accumulate": 2,
    "precision": "fp32",
    "clip_norm": 1.0,
    "lr_schedule": "one_cycle",
    "ema_decay": 0.9,
    "ema_networks": ("generator",),
    "monitor": "spread",
    "log_every": 3,
    "validate_every": 2,
}


def train(task: ToyTask, config: FitConfig, **options: Any) -> FitResult:
    return fit(task, options.pop("data", toy_data), config, progress=False, device="cpu", **options)


def spread(task: ToyTask) -> dict[str, float]:
    torch.rand(3)  # a validation that draws from the global generator must not change training
    assert not torch.is_grad_enabled()
    assert not any(network.training for network in task.networks.values())
    return {"spread": task.networks["generator"](toy_data(99)["input"]).std().item()}


@pytest.mark.parametrize("changes", [{}, {"precision": "bf16", "channels_last": True, "accumulate": 1}])
def test_two_and_two_steps_equal_four_bit_for_bit(tmp_path: Path, changes: dict[str, Any]) -> None:
    config = FitConfig(4, **(EVERYTHING | changes))
    whole = train(ToyTask(), config, out=tmp_path / "whole", validate=spread)
    torch.manual_seed(1)
    first = train(ToyTask(), config, out=tmp_path / "parts", validate=spread, until=2)
    torch.manual_seed(2)  # the caller's random state does not matter
    task = ToyTask()
    second = train(task, config, out=tmp_path / "parts", validate=spread, resume=True)
    assert (first.stopped_by, second.stopped_by, second.step) == ("until", "steps", 4)
    for name in ("last.pt", "best.pt"):
        one, other = (load_checkpoint(tmp_path / run / name) for run in ("whole", "parts"))
        assert same_training(one, other)
    last = load_checkpoint(tmp_path / "parts" / "last.pt")
    assert same(dict(task.networks["generator"].state_dict()), dict(last["networks"]["generator"]))
    timeless = [[{**r, "seconds": 0} for r in result.history.records] for result in (whole, second)]
    assert timeless[0] == timeless[1]
    assert History.load(tmp_path / "parts" / "history.jsonl").records == second.history.records


def test_the_seed_decides_and_validation_does_not(tmp_path: Path) -> None:
    def weights(seed: int, **options: Any) -> dict[str, Any]:
        task = ToyTask()
        train(task, FitConfig(2, seed=seed, precision="fp32", validate_every=1), **options)
        return task.networks["generator"].state_dict()

    assert same(weights(0), weights(0, validate=spread))
    assert not same(weights(0), weights(1))


def test_the_callers_random_state_comes_back_even_after_an_error() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with pytest.raises(ZeroDivisionError):
        train(ToyTask(), FitConfig(3), data=lambda step: toy_data(step) if step < 2 else 1 // 0)
    assert torch.equal(torch.rand(1), expected)


def test_accumulation_equals_the_larger_batch() -> None:
    def halves(index: int) -> Batch:
        rows = slice(2 * (index % 2), 2 * (index % 2) + 2)
        return {name: value[rows] for name, value in toy_data(index // 2).items()}

    whole, parts = ToyTask(ToyConfig(plain=True)), ToyTask(ToyConfig(plain=True))
    for task in (whole, parts):  # Adam's first steps are signs of the gradient: rounding would decide them
        task.optimizers["generator"] = torch.optim.SGD(task.networks["generator"].parameters(), lr=0.1)
    train(whole, FitConfig(3, precision="fp32"))
    result = train(parts, FitConfig(3, accumulate=2, precision="fp32"), data=halves)
    for name in whole.networks:
        torch.testing.assert_close(whole.networks[name].state_dict(), parts.networks[name].state_dict())
    assert len(result.history) == 1


@pytest.mark.parametrize(("value", "micro"), [(math.nan, 4), (math.inf, 5), (-math.inf, 4)])
def test_a_loss_that_is_not_finite_stops_before_the_optimizers(
    tmp_path: Path, value: float, micro: int
) -> None:
    def poisoned(index: int) -> Batch:
        batch = toy_data(index)
        if index == micro:  # the third step, in its first or second micro-batch
            batch["target"][0, 0, 0, 0] = value
        return batch

    config = FitConfig(5, accumulate=2, precision="fp32", checkpoint_every=2)
    good, bad = ToyTask(), ToyTask()
    train(good, config, until=2)
    with pytest.raises(TrainingError, match=r"loss term 'l1' is -?(nan|inf) at step 3;.*last\.pt is intact"):
        train(bad, config, data=poisoned, out=tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 2
    for name in good.optimizers:
        assert same(good.optimizers[name].state_dict(), bad.optimizers[name].state_dict())
        parameters = (dict(task.networks[name].named_parameters()) for task in (good, bad))
        assert all(torch.equal(a, b) for a, b in zip(*(p.values() for p in parameters), strict=True))


def test_weights_that_are_not_finite_never_reach_a_checkpoint(tmp_path: Path) -> None:
    class Explodes(ToyTask):
        def step(self, batch: Batch, runtime: Runtime) -> dict[str, torch.Tensor]:
            scalars = super().step(batch, runtime)
            if batch["family"] == ["bad"]:  # a finite loss with an infinite gradient, such as sqrt(0)
                next(self.networks["generator"].parameters()).grad.fill_(math.nan)
            return scalars

    def data(index: int) -> Batch:
        return {**toy_data(index), "family": ["bad" if index == 2 else "good"]}

    with pytest.raises(TrainingError, match=r"weights generator\.0\.weight are not finite after step 3"):
        train(Explodes(), FitConfig(3, checkpoint_every=2, precision="fp32"), data=data, out=tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 2


def test_rates_follow_the_schedule_from_the_base_rate_also_after_resume(tmp_path: Path) -> None:
    rates: list[float] = []

    class Watched(ToyTask):
        def step(self, batch: Batch, runtime: Runtime) -> dict[str, torch.Tensor]:
            rates.append(self.optimizers["generator"].param_groups[0]["lr"])
            return super().step(batch, runtime)

    config = FitConfig(6, lr_schedule="linear_decay", lr_params={"start": 0.0})
    train(Watched(), config, out=tmp_path / "run", until=4)
    task = Watched()
    train(task, config, out=tmp_path / "run", resume=True)
    assert rates == pytest.approx([2e-2 * (1 - step / 6) for step in range(6)])
    assert (
        task.optimizers["generator"].param_groups[0]["lr"] == 2e-2
    )  # a second fit starts from the base rate


@pytest.fixture
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the test moves."""
    now = [100.0]
    monkeypatch.setattr(f"gantrans.training.run.time.{request.param}", lambda: now[0])
    return now


@pytest.mark.parametrize("clock", ["perf_counter"], indirect=True)
def test_a_time_budget_stops_resumably(tmp_path: Path, clock: list[float]) -> None:
    def slow(index: int) -> Batch:
        clock[0] += 1.0
        return toy_data(index)

    config = FitConfig(5, max_seconds=2.0, precision="fp32")
    whole = ToyTask()
    train(whole, FitConfig(5, precision="fp32"))
    ends = [train(ToyTask(), config, data=slow, out=tmp_path / "run")]
    while ends[-1].stopped_by != "steps":
        task = ToyTask()
        ends.append(train(task, config, data=slow, out=tmp_path / "run", resume=True))
    assert [(end.step, end.stopped_by, end.seconds) for end in ends] == [
        (2, "time", 2),
        (4, "time", 4),
        (5, "steps", 5),
    ]
    assert same(whole.networks["generator"].state_dict(), task.networks["generator"].state_dict())


@pytest.mark.parametrize("clock", ["process_time"], indirect=True)
def test_a_schedule_by_time_arrives_when_the_time_is_up(tmp_path: Path, clock: list[float]) -> None:
    def slow(index: int) -> Batch:
        clock[0] += 1.0
        return toy_data(index)

    decay = {"lr_schedule": "linear_decay", "lr_params": {"start": 0.0}}
    config = FitConfig(100, max_seconds=4.0, schedule_by="time", clock="cpu", log_every=1, **decay)
    train(ToyTask(), config, data=slow, out=tmp_path / "run", until=2)
    result = train(ToyTask(), config, data=slow, out=tmp_path / "run", resume=True)
    assert result.stopped_by == "time"
    assert result.history.series("lr_generator")[1] == pytest.approx([2e-2 * f for f in (1, 0.75, 0.5, 0.25)])
    again = train(ToyTask(), config, data=slow, out=tmp_path / "run", resume=True)
    assert (again.step, again.stopped_by) == (4, "time")


@pytest.mark.parametrize("schedule_by", ["step", "time"])
def test_a_call_takes_a_step_however_short_its_budget(tmp_path: Path, schedule_by: str) -> None:
    config = FitConfig(5, max_seconds=1e-9, schedule_by=schedule_by, precision="fp32")
    result = train(ToyTask(), config, out=tmp_path / "run")
    assert (result.step, result.stopped_by) == (1, "time")
    assert (tmp_path / "run" / "last.pt").exists()


def test_a_finished_run_returns_at_once(tmp_path: Path) -> None:
    config = FitConfig(2, precision="fp32", ema_decay=0.9)
    done, task = ToyTask(), ToyTask()
    train(done, config, out=tmp_path / "run")
    result = train(task, config, out=tmp_path / "run", resume=True, data=lambda step: 1 // 0)
    assert (result.step, result.stopped_by) == (2, "steps")
    assert same(done.networks["generator"].state_dict(), task.networks["generator"].state_dict())


def test_modes_and_averaged_weights_in_validation() -> None:
    class Watched(ToyTask):
        def step(self, batch: Batch, runtime: Runtime) -> dict[str, torch.Tensor]:
            assert all(network.training for network in self.networks.values())
            return super().step(batch, runtime)

    seen = []
    task = Watched()

    def validate(task: ToyTask) -> dict[str, float]:
        seen.append({key: value.clone() for key, value in task.networks["generator"].state_dict().items()})
        return spread(task)

    result = train(task, FitConfig(2, ema_decay=0.5, validate_every=1), validate=validate)
    assert not any(network.training for network in task.networks.values())
    assert same(seen[-1], dict(result.ema.state_dict()["generator"]))
    assert not same(seen[-1], dict(task.networks["generator"].state_dict()))


@pytest.mark.parametrize(("mode", "best"), [("max", 2), ("min", 3)])
def test_best_is_the_best_and_never_a_nan(tmp_path: Path, mode: str, best: int) -> None:
    scores = iter([math.nan, 5.0, 1.0, math.nan, 5.0])
    config = FitConfig(5, validate_every=1, monitor="score", monitor_mode=mode)
    result = train(ToyTask(), config, out=tmp_path / "run", validate=lambda task: {"score": next(scores)})
    assert (result.best.name, result.best.step) == ("score", best)
    assert load_checkpoint(tmp_path / "run" / "best.pt")["step"] == best
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 5
    assert f"best score {result.best.score:g} at step {best}" in result.summary()
    assert math.isnan(History.load(tmp_path / "run" / "history.jsonl").series("val_score")[1][0])


def test_the_log_gives_means_since_the_last_record() -> None:
    each = train(ToyTask(), FitConfig(4, log_every=1, precision="fp32")).history.series("l1")[1]
    pairs = train(ToyTask(), FitConfig(4, log_every=2, precision="fp32")).history
    assert pairs.series("l1") == ([2, 4], pytest.approx([(each[0] + each[1]) / 2, (each[2] + each[3]) / 2]))


def test_callbacks_and_progress_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    events = ("on_log", "on_validate", "on_checkpoint")
    callbacks = {name: lambda value, name=name: calls.append((name, value)) for name in events}
    config = FitConfig(2, log_every=2)

    def run(out: Path, **options: Any) -> str:
        fit(
            ToyTask(),
            toy_data,
            config,
            out=out,
            validate=spread,
            callbacks=callbacks,
            device="cpu",
            **options,
        )
        return capsys.readouterr().err

    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    shown = run(tmp_path / "shown")
    assert "toy: 100%" in shown
    assert "l1=" in shown
    assert [name for name, _ in calls] == list(events)
    assert calls[0][1]["step"] == 2
    assert calls[1][1].keys() == {"step", "seconds", "val_spread"}
    assert calls[2][1] == tmp_path / "shown" / "last.pt"
    assert run(tmp_path / "quiet", progress=False) == ""
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert run(tmp_path / "disabled") == ""


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"steps": 0}, r"FitConfig\.steps is 0; it must be at least 1"),
        ({"precision": "fp16"}, r"FitConfig\.precision is 'fp16'; choose one of 'auto', 'fp32', 'bf16'"),
        ({"schedule_by": "time"}, "schedule_by is 'time' but max_seconds is None"),
        ({"ema_decay": 1.0}, r"FitConfig\.ema_decay is 1\.0"),
        ({"max_seconds": 0.0}, r"FitConfig\.max_seconds is 0\.0; it must be above 0"),
        ({"lr_schedule": "poly"}, "no learning-rate schedule 'poly'"),
        ({"ema_decay": 0.9, "ema_networks": ("critic",)}, "ema_networks has 'critic'; choose from generator"),
        ({"monitor": "iou"}, "monitor is 'iou', but validation gives spread"),
    ],
)
def test_settings_that_do_not_work(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        train(ToyTask(), FitConfig(**({"steps": 1} | settings)), validate=spread)


def test_unknown_event_and_resume_without_a_folder() -> None:
    with pytest.raises(ConfigError, match="no event 'on_step'; the events are on_log"):
        train(ToyTask(), FitConfig(1), callbacks={"on_step": print})
    with pytest.raises(ConfigError, match="resume needs the folder"):
        train(ToyTask(), FitConfig(1), resume=True)


def test_backward_divides_and_touches_only_its_inputs() -> None:
    runtime = Runtime(torch.device("cpu"), "bf16", 4, torch.Generator())
    one, two = nn.Linear(3, 3), nn.Linear(3, 3)
    with runtime.autocast():
        output = two(one(torch.ones(1, 3)))
        assert output.dtype == torch.bfloat16
        runtime.backward(output.sum(), inputs=list(two.parameters()))
    assert one.weight.grad is None
    assert torch.equal(two.bias.grad, torch.full((3,), 0.25))


def test_batches_of_a_device_come_from_a_thread_in_order_and_errors_come_through() -> None:
    made: list[int] = []

    def data(index: int) -> Batch:
        made.append(index)
        return {"index": torch.tensor(index)} if index < 7 else 1 // 0

    stream: Iterator[Batch] = batches(data, range(2, 9), torch.device("mps"))
    assert [int(next(stream)["index"]) for _ in range(5)] == [2, 3, 4, 5, 6]
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert made[:6] == [2, 3, 4, 5, 6, 7]
    stopped = batches(data, range(100), torch.device("mps"))
    next(stopped)
    stopped.close()
    assert len(made) < 20  # a stopped stream makes no more


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTRANS_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
    monkeypatch.setenv("GANTRANS_DEVICE", "tpu")
    with pytest.raises(ConfigError, match="no device 'tpu'; choose cuda, mps or cpu"):
        pick_device()
    assert pick_device("cpu") == torch.device("cpu")  # the argument wins
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="'cuda' is not present here"):
        pick_device("cuda")
    assert resolve_precision("fp32", torch.device("cpu")) == "fp32"
    assert resolve_precision("auto", torch.device("mps")) == "fp32"
    moved = to_device(
        {"x": torch.zeros(2, 3, 4, 4), "family": ["a", "b"]}, torch.device("cpu"), channels_last=True
    )
    assert moved["x"].is_contiguous(memory_format=torch.channels_last)
    assert moved["family"] == ["a", "b"]
