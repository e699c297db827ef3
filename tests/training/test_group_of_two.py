"""A group of two processes without a second process: the reductions are played by a stand-in."""

import pytest
import torch
from torch import Tensor, nn

from gantrans.errors import ConfigError
from gantrans.training.processes import Processes


class Accelerator:
    """The other process holds `other`; sum and mean over both."""

    def __init__(self, other: Tensor) -> None:
        self.other, self.waited = other, 0

    def reduce(self, value: Tensor, kind: str) -> Tensor:
        total = value + self.other.reshape(value.shape)
        return total / 2 if kind == "mean" else total

    def wait_for_everyone(self) -> None:
        self.waited += 1


def group(rank: int, other: Tensor) -> Processes:
    processes = Processes(torch.device("cpu"))
    processes.world, processes.rank = 2, rank
    processes._accelerator = Accelerator(other)
    return processes


def test_gradients_of_every_shape_become_the_mean_and_absent_ones_stay_absent() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2, bias=False))
    parameters = [*network.parameters(), nn.Parameter(torch.zeros(4))]
    mine = [torch.randn(p.shape) for p in parameters[:-1]]
    theirs = [torch.randn(p.shape) for p in parameters[:-1]]
    for parameter, gradient in zip(parameters, mine, strict=False):
        parameter.grad = gradient.clone()
    group(1, torch.cat([g.flatten() for g in theirs])).average_gradients(parameters)
    for parameter, a, b in zip(parameters[:-1], mine, theirs, strict=True):
        torch.testing.assert_close(parameter.grad, (a + b) / 2)
    assert parameters[-1].grad is None


def test_all_agree_on_what_rank_0_has() -> None:
    assert group(0, torch.tensor(0.0)).agree(3.5) == 3.5
    assert group(1, torch.tensor(3.5)).agree(99.0) == 3.5  # this one's own value does not count
    assert Processes(torch.device("cpu")).agree(2.0) == 2.0


def test_the_mean_the_parts_and_the_barrier() -> None:
    processes = group(1, torch.tensor([1.0, 3.0]))
    assert processes.mean(torch.tensor([3.0, 5.0])).tolist() == [2.0, 4.0]
    batch = {"input": torch.arange(6), "family": list("abcdef")}
    assert processes.part(batch)["input"].tolist() == [1, 3, 5]
    assert processes.part(batch)["family"] == ["b", "d", "f"]
    with pytest.raises(ConfigError, match="batch of 5 cannot be split evenly among 2"):
        processes.part({"input": torch.arange(5)})
    processes.wait()
    assert processes._accelerator.waited == 1
    alone = Processes(torch.device("cpu"))
    assert alone.part(batch) is batch
    assert alone.gather("a") == ["a"]
    alone.wait()


def test_values_are_gathered_in_order_of_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    def gather(into: list, value: object) -> None:
        into[:] = ["first", value]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    assert group(1, torch.tensor(0.0)).gather("second") == ["first", "second"]
