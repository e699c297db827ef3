"""Learning-rate schedules: ends, parity with PyTorch, and what they refuse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantrans.errors import ConfigError
from gantrans.training.lr import LR_SCHEDULES, check_schedule, constant, cosine, linear_decay, one_cycle


@given(st.sampled_from(sorted(LR_SCHEDULES)), st.integers(1, 10_000), st.floats(0, 1))
def test_factors_are_in_the_unit_interval(name: str, total: int, progress: float) -> None:
    assert 0.0 <= LR_SCHEDULES[name](progress * total, total) <= 1.0


@pytest.mark.parametrize("total", [1, 2, 7, 1000])
def test_every_decay_arrives_at_exactly_zero_where_training_ends(total: int) -> None:
    assert constant(total, total) == 1.0
    for schedule in (linear_decay, cosine, one_cycle):
        assert schedule(total, total) == 0.0
        assert schedule(total - 1, total) > 0.0  # the last step still learns


def test_linear_decay_against_the_usual_formula() -> None:
    ours = [linear_decay(step, 20) for step in range(20)]
    usual = [1.0 - max(0, step - 10) / 11 for step in range(21)]
    assert ours[:11] == [1.0] * 11
    assert ours[-1] == pytest.approx(1 / 10)
    assert usual[-1] == pytest.approx(1 / 11)
    assert linear_decay(15, 20) == 0.5
    assert linear_decay(5, 20, start=0.0) == 0.75
    assert [linear_decay(s, 20, start=1.0) for s in (0, 19, 20)] == [1.0, 1.0, 0.0]


def test_cosine_and_one_cycle_equal_pytorch() -> None:
    total = 40

    def theirs(make: type, **settings: float) -> list[float]:
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        scheduler = make(optimizer, **settings)
        rates = []
        for _ in range(total):
            rates.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
        return rates

    annealing = theirs(torch.optim.lr_scheduler.CosineAnnealingLR, T_max=total, eta_min=0.1)
    assert [cosine(s, total, floor=0.1) for s in range(total)] == pytest.approx(annealing)
    # PyTorch's schedule arrives at its last step, ours one after it: 41 of theirs, peak at step 10 of both.
    settings = {"pct_start": 11 / 41, "div_factor": 25, "final_div_factor": 1e12, "cycle_momentum": False}
    cycle = theirs(torch.optim.lr_scheduler.OneCycleLR, max_lr=1.0, total_steps=total + 1, **settings)
    assert [one_cycle(s, total, warmup=0.25) for s in range(total)] == pytest.approx(cycle)


def test_warmup_rises_in_a_straight_line_and_never_wastes_a_step() -> None:
    rise = [cosine(s, 100, warmup=0.1) for s in range(11)]
    assert rise == pytest.approx([(s + 1) / 11 for s in range(11)])


@pytest.mark.parametrize(
    ("name", "params", "says"),
    [
        ("exponential", {}, "no learning-rate schedule 'exponential'; choose one of constant, linear_decay"),
        ("constant", {"warmup": 0.1}, "'constant' has no parameter 'warmup'; it takes none"),
        ("cosine", {"start": 0.1}, "'cosine' has no parameter 'start'; it takes warmup, floor"),
        ("linear_decay", {"start": 1.5}, "'start' of the learning-rate schedule 'linear_decay' is 1.5"),
    ],
)
def test_refusals(name: str, params: dict[str, float], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_schedule(name, params)
