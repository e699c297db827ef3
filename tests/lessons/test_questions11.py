"""The recall questions of lesson 11: what the right answers are, computed."""

import math

import numpy as np
import pytest
import torch
from answers import questions_of
from scipy import stats
from scipy.special import rel_entr

from gantrans.operations.drift.features import FEATURES, image_features
from gantrans.operations.drift.profile import js_distance
from gantrans.teaching.exercises import exercise
from lessons.lesson11.experiments.drift_streams import stream


def _who_sees_a_changed_relation() -> str:
    plain, moved = (stream("relation", 25, 0, most=progress) for progress in (0.0, 4.0))
    assert not torch.equal(plain.layout, moved.layout)
    return "None" if torch.equal(plain.sem, moved.sem) else "The windows"


def _strange_among_equals() -> str:
    """One of 41 draws is the largest, and it is as often the last one as any other."""
    draws = torch.rand(41_000, 41, generator=torch.Generator().manual_seed(0))
    share = float((draws.argmax(1) == 40).double().mean())
    return min(("1 in 41", "1 in 20"), key=lambda words: abs(1 / int(words[5:]) - share))


def _what_a_turn_moves() -> str:
    lines = stream("none", 25, 0).sem
    moved = (image_features(lines.transpose(2, 3)) - image_features(lines)).abs().mean(0)
    names = ("contrast", "edge density", "anisotropy")
    return max(names, key=lambda name: float(moved[FEATURES.index(name)])).capitalize()


def _divergence_with_an_empty_bin() -> str:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.5, 0.0, 0.5])
    return "Infinite" if math.isinf(rel_entr(p, q).sum()) else "log 2"


def _values_in_eight_lots() -> str:
    """Variance of one value over the variance of the window's mean."""
    offsets = torch.randn(4000, 8, generator=torch.Generator().manual_seed(0)).repeat_interleave(25, dim=1)
    return f"{float(offsets.var() / offsets.mean(1).var()):.0f}"


ANSWERS = {
    "11_gauss": lambda: f"About {1e4 * 2 * stats.norm.sf(3):.0f}",
    "11_relation": _who_sees_a_changed_relation,
    "11_chunks": _strange_among_equals,
    "11_turn": _what_a_turn_moves,
    "11_empty_bin": _divergence_with_an_empty_bin,
    "11_js": lambda: f"{float(js_distance(torch.eye(2)[0].double(), torch.eye(2)[1].double())):g}",
    "11_ks": lambda: f"{stats.ks_2samp([1, 2, 3, 4], [3, 4, 5, 6]).statistic:g}",
    "11_cusum": lambda: f"{float(exercise('cusum').function(torch.ones(3), 0.5)[-1, 0]):g}",
    "11_lots": _values_in_eight_lots,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("11")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("11"))
