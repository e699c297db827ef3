"""Averages in a checkpoint, records of the loop, and what is said when a number is not finite."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy_task import ToyConfig, ToyTask, toy_data

from gantrans.errors import TrainingError
from gantrans.training import FitConfig, Runtime, fit
from gantrans.training import loop as loops
from gantrans.training.checkpoint import weights_of

CONFIG = FitConfig(4, log_every=2, precision="fp32")


class Recorded(ToyTask):
    """Keeps its scalars, and spoils one number in the step `spoilt` (from 1)."""

    def __init__(self, spoilt: int = 0, *, weight: bool = False) -> None:
        super().__init__(ToyConfig(plain=True))
        self.spoilt, self.weight = spoilt, weight
        self.kept: list[float] = []

    def step(self, batch: Any, runtime: Runtime) -> dict[str, torch.Tensor]:
        scalars = super().step(batch, runtime)
        self.kept.append(float(scalars["l1"]))
        if len(self.kept) == self.spoilt:
            if not self.weight:
                return scalars | {"l1": torch.tensor(float("nan"))}
            with torch.no_grad():
                self.networks["generator"][0].weight[0, 0, 0, 0] = float("inf")
        return scalars


def test_averaged_weights_are_taken_unless_refused_or_absent() -> None:
    plain, average = {"w": torch.zeros(1)}, {"w": torch.ones(1)}
    contents = {"networks": {"a": plain, "b": plain}, "ema": {"a": average}}
    assert weights_of(contents, "a") is average
    assert weights_of(contents, "a", ema=False) is plain
    assert weights_of(contents, "b") is plain
    assert weights_of(contents | {"ema": None}, "a") is plain


def test_one_weight_that_is_not_finite_stops_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"weights generator\.0\.weight are not finite after step 1"):
        fit(Recorded(1, weight=True), toy_data, FitConfig(1, precision="fp32"), out=tmp_path, progress=False,
            device="cpu")  # fmt: skip
    assert not (tmp_path / "last.pt").exists()


def test_a_record_holds_the_means_of_its_steps() -> None:
    task = Recorded()
    result = fit(task, toy_data, CONFIG, progress=False, device="cpu")
    logged = [record["l1"] for record in result.history.records if "l1" in record]
    assert logged == pytest.approx([sum(task.kept[:2]) / 2, sum(task.kept[2:]) / 2])


@pytest.mark.parametrize("spoilt", [1, 2])
def test_a_checkpoint_is_called_intact_only_if_there_is_one(spoilt: int, tmp_path: Path) -> None:
    config = FitConfig(4, checkpoint_every=1, precision="fp32")
    with pytest.raises(TrainingError, match="'l1' is nan") as raised:
        fit(Recorded(spoilt), toy_data, config, out=tmp_path, progress=False, device="cpu")
    assert ("last.pt is intact" in str(raised.value)) == (spoilt > 1)
    with pytest.raises(TrainingError, match="'l1' is nan") as raised:
        fit(Recorded(spoilt), toy_data, config, progress=False, device="cpu")
    assert "intact" not in str(raised.value)


@pytest.mark.parametrize(
    ("rank", "progress", "switch", "hidden"),
    [
        (0, True, "0", False), (0, True, "", False), (0, True, "1", True), (0, False, "0", True),
        (1, True, "0", True), (2, True, "0", True),
    ],
)  # fmt: skip
def test_only_the_first_process_shows_a_bar(rank, progress, switch, hidden, monkeypatch) -> None:
    shown = []
    real = loops.tqdm

    def noted(*args, disable, **named):
        shown.append(not disable)
        return real(*args, disable=True, **named)

    monkeypatch.setenv("TQDM_DISABLE", switch)
    monkeypatch.setattr(loops, "tqdm", noted)
    run = SimpleNamespace(
        config=CONFIG, step=4, device=torch.device("cpu"), processes=SimpleNamespace(rank=rank, world=3),
        task=SimpleNamespace(name="toy"), out=None,
    )  # fmt: skip
    assert loops._train(run, toy_data, None, None, {}, progress) == "steps"
    assert shown == [not hidden]


def test_validation_is_dated_to_the_millisecond() -> None:
    run = SimpleNamespace(
        config=CONFIG, step=4, seconds=1.23456, device=torch.device("cpu"), ema=None, history=[],
        processes=SimpleNamespace(rank=0), task=SimpleNamespace(networks={}),
    )  # fmt: skip
    assert loops._validate(run, lambda task: {"score": 0.5}, {}) is False
    assert run.history == [{"step": 4, "seconds": pytest.approx(1.235, abs=1e-9), "val_score": 0.5}]


def test_a_graph_is_kept_only_when_asked() -> None:
    runtime = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator())
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    kept = weight.square().sum()
    runtime.backward(kept, retain_graph=True)
    runtime.backward(kept)
    assert weight.grad.item() == pytest.approx(8.0)
    with pytest.raises(RuntimeError, match="second time"):
        runtime.backward(kept)
