"""Judging changes nothing: z keeps its sign, a chart its values, and a batch is judged row by row."""

import pytest
import torch

from gantrans.errors import DataError
from gantrans.operations.drift.charts import ChartConfig, ChartState, SequentialTest
from gantrans.operations.drift.features import ARTICLE, FEATURES
from gantrans.operations.drift.profile import Measured, ReferenceProfile, js_distance, kl_divergence
from gantrans.operations.drift.windows import WindowTest


def gaussian(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(
        count, len(FEATURES), generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def shares(count: int, seed: int = 0) -> torch.Tensor:
    drawn = torch.rand(count, 64, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn / drawn.sum(1, keepdim=True)


def test_a_darker_image_has_a_negative_z_and_is_flagged_like_a_brighter_one() -> None:
    profile = ReferenceProfile.of(Measured(gaussian(2000), shares(2000)))
    features = torch.zeros(3, len(FEATURES), dtype=torch.float64)
    features[0, 0], features[1, 0] = -5.0, 5.0
    features[2, len(ARTICLE)] = 50.0  # not among the features of the article's rule
    judged = profile.judge(Measured(features, shares(3, seed=1)))
    assert judged.z.shape == (3, len(ARTICLE))
    torch.testing.assert_close(judged.z, (features - profile.mean)[:, :3] / profile.std[:3])
    assert judged.z[0, 0] < -4.5
    beyond = judged.z.abs().amax(1) > profile.z_limit
    assert beyond.tolist() == [True, True, False]
    assert judged.flagged.tolist() == (beyond | (judged.kl > profile.kl_limit)).tolist()


def test_distances_of_a_batch_are_those_of_its_rows() -> None:
    images, reference = shares(5, seed=2), shares(1, seed=3)[0]
    for distance in (js_distance, kl_divergence):
        alone = torch.stack([distance(row, reference) for row in images])
        torch.testing.assert_close(distance(images, reference), alone, rtol=1e-12, atol=0)
        assert alone.shape == (5,)


@pytest.mark.parametrize("kind", ["cusum", "ewma"])
def test_looking_at_a_chart_changes_nothing_and_alarms_need_points_in_a_row(kind: str) -> None:
    config = ChartConfig(kind=kind, block=2, consecutive=2, run_length=100.0)
    chart = SequentialTest(config, torch.zeros(3).double(), torch.ones(3).double(), limit=0.5)
    state = chart.start()
    values = state.values.clone()
    values[..., 1] = -0.7 if kind == "ewma" else 0.7
    state = ChartState(values.clone(), 0)
    statistic = chart.statistic(state.values)
    assert statistic == pytest.approx(0.7 if kind == "cusum" else 0.7 / (0.1 / 1.9) ** 0.5)
    assert chart.beyond(state.values).tolist() == [False, True, False]
    assert torch.equal(state.values, values)

    block = torch.full((2, 3), -4.0).double()
    once, alarm = chart.step(state, block)
    assert (once.run, alarm) == (1, False)
    twice, alarm = chart.step(once, block)
    assert alarm
    assert twice.run == 0
    assert not twice.values.any()
    calm, alarm = chart.step(ChartState(torch.zeros_like(values), 1), torch.zeros(2, 3).double())
    assert (calm.run, alarm) == (0, False)
    assert torch.equal(state.values, values)


def test_a_window_test_scores_each_feature_by_its_own_usual_distance() -> None:
    features = gaussian(40 * 50)
    test = WindowTest.fit(features, 50)
    for index, chunk in enumerate(features.split(50)):
        rest = torch.cat([features[: index * 50], features[(index + 1) * 50 :]])
        largest = torch.stack([
            ((chunk[:, k] <= x).double().mean() - (rest[:, k] <= x).double().mean()).abs()
            for k in range(len(FEATURES))
            for x in features[:: 40 * 50 // 200, k]
        ]).reshape(len(FEATURES), -1).amax(1)  # fmt: skip
        if index < 2:  # on a grid of places the distance is a little smaller than at its best place
            scored = float((largest / test.usual).max())
            assert scored == pytest.approx(float(test.chunk_scores[index]), rel=0.15)
    assert test.threshold == float(test.chunk_scores.max())
    moved = features[:50].clone()
    moved[:, 4] += 3.0
    verdict = test.judge(moved)
    assert verdict.strange
    assert int((verdict.distances / test.usual).argmax()) == 4


def test_a_feature_that_never_moves_has_no_chart_and_features_that_move_together_have() -> None:
    config = ChartConfig(block=2, run_length=100.0)
    flat = gaussian(200)
    flat[:, 3] = 0.25
    with pytest.raises(DataError, match="same mean in every block"):
        SequentialTest.fit(flat, config)
    together = gaussian(200)[:, :1].expand(-1, 4).contiguous()  # equal to each other, not over time
    chart = SequentialTest.fit(together, config)
    blocks = together.reshape(100, 2, 4).mean(1)
    torch.testing.assert_close(chart.mean, blocks.mean(0))
    torch.testing.assert_close(chart.std, blocks.std(0))
    assert chart.limit > 0
