"""Seed and length of the simulation behind a chart's limit; an edge is steeper than `EDGE`."""

import pytest
import torch

from gantrans.operations.drift import charts, features
from gantrans.operations.drift.charts import ChartConfig, SequentialTest


@pytest.mark.parametrize(("named", "seed"), [({}, 0), ({"seed": 5}, 5)])
def test_a_limit_is_drawn_with_the_stated_seed_or_zero(named, seed, monkeypatch) -> None:
    monkeypatch.setattr(charts, "_find_limit", lambda blocks, config, generator: generator.initial_seed())
    values = torch.randn(160, 2, generator=torch.Generator().manual_seed(1))
    assert SequentialTest.fit(values, ChartConfig(block=2), **named).limit == seed


@pytest.mark.parametrize(("run_length", "points"), [(200.0, 400), (2_048.0, 400), (5_120.0, 1000)])
def test_a_limit_is_found_on_at_least_a_hundred_alarms(run_length, points, monkeypatch) -> None:
    seen = []

    def exceed(most, deviations, points, config, limit):
        seen.append((most, points))
        return False

    monkeypatch.setattr(charts, "_alarms_exceed", exceed)
    config = ChartConfig(block=2, run_length=run_length)
    blocks = torch.randn(80, 2, generator=torch.Generator().manual_seed(1))
    charts._find_limit(blocks, config, torch.Generator().manual_seed(0))
    assert set(seen) == {(int(points * 256 * 2 / run_length), points)}
    assert seen[0][0] >= 100


@pytest.mark.parametrize(("steps", "density"), [(15, 0.0), (16, 0.0), (17, 1.0)])
def test_a_slope_of_exactly_the_limit_is_no_edge(steps: int, density: float, monkeypatch) -> None:
    """In 1/1024 all sums are exact in float32, in whatever order they are taken."""
    monkeypatch.setattr(features, "EDGE", 16 / 1024)
    ramp = (torch.arange(48.0) * steps / 1024).expand(1, 48, 48).contiguous()
    for image in (ramp, ramp.mT.contiguous()):
        assert features._measure(image, 20.0)[0, 2].item() == density
