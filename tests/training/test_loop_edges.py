"""Edges of the loop: which batches it asks for, and how a differing run is described."""

import re
from functools import partial
from pathlib import Path

import pytest
import torch
from toy_task import ToyConfig, ToyTask, same_training, toy_data

from gantrans.errors import CheckpointError, DataError
from gantrans.training import Batch, FitConfig, Runtime, fit, load_checkpoint
from gantrans.training import loop as loops
from gantrans.training.checkpoint import check_same_run


@pytest.mark.parametrize(("until", "asked"), [(None, range(8)), (3, range(6)), (4, range(8)), (9, range(8))])
def test_no_batch_beyond_the_last_step_is_asked_for(until, asked, monkeypatch) -> None:
    """A GPU's batches are made ahead: an index too many would read data that does not exist."""
    seen = []
    real = loops.batches

    def noted(data, indices, device):
        seen.append(indices)
        return real(data, indices, device)

    monkeypatch.setattr(loops, "batches", noted)
    config = FitConfig(4, accumulate=2, precision="fp32")
    fit(ToyTask(ToyConfig(plain=True)), toy_data, config, until=until, progress=False, device="cpu")
    assert seen == [asked]


@pytest.mark.parametrize("count", [1, 4, 5, 7])
def test_of_many_differing_settings_four_are_listed_and_the_rest_counted(count: int) -> None:
    stored = {"config": {f"k{i}": i for i in range(count)}, "same": 1}
    wanted = {"config": {f"k{i}": -1 - i for i in range(count)}, "same": 1}
    with pytest.raises(CheckpointError) as raised:
        check_same_run(Path("run"), stored, wanted)
    text = str(raised.value)
    assert text.count(" there, ") == min(count, 4)
    assert ("more" in text) == (count > 4)
    if count > 4:
        assert f"and {count - 4} more" in text
    assert "same:" not in text
    check_same_run(Path("run"), stored, stored)


def test_accumulated_gradients_are_the_mean_and_stay_in_float32() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    for accumulate in (1, 4):
        runtime = Runtime(torch.device("cpu"), "bf16", accumulate, torch.Generator())
        weight.grad = None
        for factor in (1.0, 2.0, 3.0, 6.0):
            runtime.backward((factor * weight).sum())
        assert weight.grad.item() == pytest.approx(12.0 / accumulate)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_batch_that_cannot_be_read_ends_the_run_saved_and_resumable(
    accumulate: int, tmp_path: Path
) -> None:
    config = FitConfig(6, accumulate=accumulate, precision="fp32", ema_decay=0.9)
    fit(ToyTask(), toy_data, config, out=tmp_path / "whole", progress=False, device="cpu")
    out = tmp_path / "run"
    says = f"a.png is empty; copy it again; training stopped at step 3 and is saved in {out}: put the file"
    damaged = partial(bad_from, 4 * accumulate - 1)  # the last micro-batch of step 4
    with pytest.raises(DataError, match=re.escape(says)):
        fit(ToyTask(), damaged, config, out=out, progress=False, device="cpu")
    fit(ToyTask(), toy_data, config, out=out, resume=True, progress=False, device="cpu")
    assert same_training(*(load_checkpoint(tmp_path / run / "last.pt") for run in ("whole", "run")))
    for index, folder in ((0, tmp_path / "none"), (4, None)):  # nothing to save, or nowhere
        always = partial(bad_from, index)
        with pytest.raises(DataError) as caught:
            fit(ToyTask(), always, config, out=folder, progress=False, device="cpu")
        assert str(caught.value) == "a.png is empty; copy it again."


def bad_from(first: int, index: int) -> Batch:
    if index >= first:
        raise DataError("a.png is empty; copy it again.")
    return toy_data(index)
