"""Batches that a thread makes ahead: in order, at most two ahead, and the same as without a thread."""

from concurrent.futures import Future
from typing import ClassVar

import pytest
import torch

from gantrans.training import device as devices

OTHER = torch.device("meta")  # a device that is not the CPU and needs no hardware


class Inline:
    """An executor that works at once, so that what is ahead can be counted."""

    threads: ClassVar[list[int]] = []

    def __init__(self, threads: int, _: str) -> None:
        self.threads.append(threads)

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work, *given):
        future: Future = Future()
        future.set_result(work(*given))
        return future


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_the_thread_gives_what_the_cpu_gets(count: int) -> None:
    def data(index: int) -> dict:
        return {"input": torch.full((1,), float(index)), "family": [str(index)]}

    indices = range(3, 3 + count)
    ahead = list(devices.batches(data, indices, OTHER))
    assert ahead == list(devices.batches(data, indices, torch.device("cpu")))
    assert [batch["family"] for batch in ahead] == [[str(i)] for i in indices]


def test_two_batches_are_made_ahead_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "ThreadPoolExecutor", Inline)
    made: list[int] = []
    stream = devices.batches(lambda i: made.append(i) or {"family": []}, range(20), OTHER)
    for taken in range(1, 6):
        next(stream)
        assert len(made) == taken + 2
    stream.close()
    assert Inline.threads == [1]  # so that reading the data need not be safe for several


def test_what_was_made_ahead_is_given_up_when_training_stops() -> None:
    made: list[int] = []
    stream = devices.batches(lambda i: made.append(i) or {"family": []}, range(1000), OTHER)
    next(stream)
    stream.close()
    assert len(made) <= 4


def test_on_the_cpu_a_type_is_kept_and_metadata_pass_through() -> None:
    batch = {
        "a": torch.zeros(2, dtype=torch.float64),
        "b": torch.zeros(2),
        "c": torch.zeros(2).long(),
        "d": ["x"],
    }
    moved = devices.to_device(batch, torch.device("cpu"))
    kinds = [moved[name].dtype for name in "abc"]
    assert kinds == [torch.float64, torch.float32, torch.int64]
    assert moved["d"] == ["x"]
