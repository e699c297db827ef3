"""The moving average against its closed form, and its comings and goings in a network."""

import math

import pytest
import torch
from torch import nn

from gantrans.training import EMA


def test_average_equals_the_closed_form_with_warm_up() -> None:
    network = nn.Linear(1, 1, bias=False).double()
    weights = [3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0]
    network.weight.data.fill_(weights[0])
    ema = EMA({"net": network}, decay=0.4)
    for weight in weights[1:]:
        network.weight.data.fill_(weight)
        ema.update()
    decays = [0.1, 2 / 11, 3 / 12, 4 / 13, 5 / 14, 0.4]  # (1 + n) / (10 + n) until it passes 0.4
    expected = weights[0] * math.prod(decays)
    for k, weight in enumerate(weights[1:]):
        expected += weight * (1 - decays[k]) * math.prod(decays[k + 1 :])
    with ema.applied():
        assert network.weight.item() == pytest.approx(expected, rel=1e-12)
    assert network.weight.item() == weights[-1]


def test_statistics_are_averaged_and_counters_copied() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    ema = EMA({"net": network}, decay=0.9)
    network(torch.rand(4, 1, 3, 3, generator=torch.Generator().manual_seed(0)) + 5.0)
    ema.update()
    live, average = network.state_dict(), ema.state_dict()["net"]
    torch.testing.assert_close(
        average["1.running_mean"], 0.9 * live["1.running_mean"]
    )  # starts at 0, d = 0.1
    assert average["1.num_batches_tracked"] == live["1.num_batches_tracked"] == 1


def test_applied_leaves_the_training_untouched_even_after_an_error() -> None:
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    ema = EMA({"net": network}, decay=0.5)
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    before = network.weight.detach().clone()
    ema.update()
    with pytest.raises(ZeroDivisionError), ema.applied():
        assert 1 / int(torch.equal(network.weight, before))
    assert torch.equal(network.weight, before)
    optimizer.step()  # the optimizer still moves the very weights of the network
    assert not torch.equal(network.weight, before)


def test_state_goes_round_and_fits_the_network() -> None:
    network, other = nn.Linear(2, 2), nn.Linear(2, 2)
    ema, copy = EMA({"net": network}, 0.9), EMA({"net": other}, 0.9)
    network.weight.data.add_(1.0)
    ema.update()
    copy.load_state_dict(ema.state_dict())
    assert copy.updates == 1
    other.load_state_dict(copy.state_dict()["net"])
    assert torch.equal(other.weight, ema.state_dict()["net"]["weight"])


def test_averages_are_copies_without_a_graph() -> None:
    network = nn.Linear(2, 2)
    average = EMA({"net": network}, 0.9).state_dict()["net"]
    assert not any(tensor.requires_grad for tensor in average.values())
    pointers = {tensor.data_ptr() for tensor in network.state_dict().values()}
    assert not pointers & {tensor.data_ptr() for tensor in average.values()}
