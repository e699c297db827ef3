"""Baselines with known answers, tiling as an identity, evaluation of a perfect and of a useless
translator.
"""

import numpy as np
import pytest
import torch
from torch import nn

from gantrans.data import make_pairs
from gantrans.errors import ConfigError, DataError
from gantrans.translation import (
    BASELINES,
    DENOISE_OTSU,
    Predictor,
    choose_baseline,
    evaluate_pairs,
    recipe,
    segment,
)
from gantrans.translation.predictor import check_pixel_size


class Mapping(nn.Module):
    """A "generator" whose answer is known: a function of the pixel."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.weight = function, nn.Parameter(torch.zeros(1))

    def forward(self, x, *, noise=None):
        return self.function(x)


@pytest.fixture(scope="module")
def pairs():
    return make_pairs("procedural", split="test", size=32, count=12, difficulty="easy", progress=False)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_finds_a_bright_square(name: str) -> None:
    truth = torch.zeros(1, 1, 48, 48)
    truth[..., 16:32, 16:32] = 1.0
    image = 0.3 + 0.4 * truth + 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    if name == "edge_regions":  # bright edges around a brighter inside
        rim = torch.nn.functional.max_pool2d(truth, 3, 1, 1) - truth
        image = image + 0.5 * rim
    mask = segment(image, name)
    overlap = (mask * truth).sum() / torch.maximum(mask, truth).sum()
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert overlap > 0.75  # half of the bright rim counts as feature


def test_an_empty_image_has_nothing_drawn() -> None:
    assert segment(torch.full((1, 1, 16, 16), 0.4), "gaussian2_otsu").sum() == 0


def test_the_choice_is_the_best_of_those_offered(pairs) -> None:
    from gantrans.images import unit_from_uint8
    from gantrans.metrics import iou

    sem, layout = unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)
    name, score = choose_baseline(sem, layout, DENOISE_OTSU)
    scores = {n: float(iou(segment(sem, n), layout).mean()) for n in DENOISE_OTSU}
    assert name == max(scores, key=scores.__getitem__)
    assert score == pytest.approx(max(scores.values()))


@pytest.mark.parametrize("shape", [(32, 32), (20, 50), (33, 95), (7, 130), (1, 40)])
def test_tiles_put_together_are_the_image(shape: tuple[int, int]) -> None:
    """A pixelwise generator must not notice the tiles: weights sum to one, nothing is shifted or rescaled."""
    predictor = Predictor(Mapping(lambda x: -0.5 * x), recipe("sem2layout", "smoke"), torch.device("cpu"))
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(1))
    expected = ((1.0 - 2.0 * image) * 0.5 + 1.0) / 2.0
    torch.testing.assert_close(predictor.translate_large(image), expected, atol=1e-5, rtol=0)


def test_no_pixel_comes_from_the_rim_of_a_tile_alone() -> None:
    """A generator that spoils the outermost two pixels of its tiles still gives a nearly clean large
    image.
    """

    def spoil(x):
        y = torch.zeros_like(x)
        y[..., :2, :] = y[..., -2:, :] = 1.0
        return y

    predictor = Predictor(Mapping(spoil), recipe("sem2layout", "smoke"), torch.device("cpu"))
    assert (predictor.translate_large(torch.zeros(1, 100, 64)) - 0.5).abs().max() < 0.05


def test_a_perfect_and_a_useless_translator(pairs) -> None:
    answers = iter([pairs.layout / 127.5 - 1.0])
    perfect = Predictor(Mapping(lambda x: next(answers)), recipe("sem2layout", "smoke"), torch.device("cpu"))
    good = evaluate_pairs(perfect, pairs, "procedural", "test")
    assert good.mean("model", "iou") == 1.0
    assert good.mean("model", "epe") == pytest.approx(0.0, abs=1e-9)
    assert sum(good.mean("model", m) for m in ("opens", "bridges", "missing", "extra")) == 0
    assert good.mean("denoise+otsu", "iou") < 1.0

    empty = Predictor(
        Mapping(lambda x: torch.full_like(x, -1.0)), recipe("sem2layout", "smoke"), torch.device("cpu")
    )
    bad = evaluate_pairs(empty, pairs, "procedural", "test")
    assert bad.mean("model", "iou") == 0.0
    assert np.isnan(bad.mean("model", "epe"))  # no edges at all: undefined, not zero
    assert bad.to_dict()["rows"]["model"]["all"]["epe"]["mean"] is None
    assert set(bad.families()) == {"all", *pairs.family}
    assert len(bad.table().splitlines()) == 2 + 2 * len(bad.families())


def test_layout_to_sem_is_judged_by_the_geometry_read_back(pairs) -> None:
    answers = iter([pairs.sem / 127.5 - 1.0])
    same = Predictor(Mapping(lambda x: next(answers)), recipe("layout2sem", "smoke"), torch.device("cpu"))
    report = evaluate_pairs(same, pairs, "procedural", "test")
    assert report.mean("model", "l1") == pytest.approx(0.0, abs=1e-6)
    assert report.mean("model", "iou") == report.mean("real image", "iou")


def test_another_pixel_size_is_refused() -> None:
    chosen = recipe("sem2layout", "smoke")
    check_pixel_size(chosen, 20.0)
    check_pixel_size(chosen, None)
    with pytest.raises(DataError, match="10 nm per pixel but the run was trained at 20"):
        check_pixel_size(chosen, 10.0)


def test_an_unknown_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="no recipe for direction 'layout2layout'"):
        recipe("layout2layout", "smoke")
