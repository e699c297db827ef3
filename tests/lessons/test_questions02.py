"""The recall questions of lesson 02: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.networks import (
    Denoiser,
    DenoiserConfig,
    TimeEmbedding,
    sinusoidal_embedding,
)
from gantrans.teaching.exercises import exercise
from lessons.lesson02.figures.clocks import similarity


def _what_similarity_depends_on() -> str:
    t = torch.arange(40)
    embedded = exercise("sinusoidal_embedding").function(t, 8, 100.0)
    alike = similarity(embedded, embedded)
    flat = [bool(d.std() < 1e-5) for d in (alike.diagonal(7), alike.flip(1).diagonal(7))]
    return {(True, False): "On t - t' alone", (False, True): "On t + t'"}[(flat[0], flat[1])]


def _map_after_a_layer_of_zeros() -> str:
    h = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    made = exercise("time_modulation").function(h, torch.ones(2, 5), torch.zeros(6, 5), torch.zeros(6))
    return "Nothing" if torch.equal(made, h) else "It sets the map to 0"


def _typical_error_of_spread() -> str:
    noise = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(0))
    return f"{float(100 * noise.std(1).std()):.0f} %"


def _turn_of_the_fastest_clock() -> str:
    t = torch.arange(0, 20, 0.01)
    sine = exercise("sinusoidal_embedding").function(t, 64, 10_000.0)[:, 0]
    upward = t[1:][(sine[:-1] < 0) & (sine[1:] >= 0)]
    return f"{float(upward.diff().mean()):.1f}"


def _points_of_a_linear_layer() -> str:
    points = TimeEmbedding("raw", 64, 1000)(torch.arange(1000)).detach()
    rank = int(torch.linalg.matrix_rank(points - points.mean(0), rtol=1e-4))
    return {1: "A straight line", 2: "A plane"}.get(rank, "A cloud in 64 dimensions")


def _embedding_of_zero() -> str:
    embedded = exercise("sinusoidal_embedding").function(torch.tensor([0]), 6, 100.0)[0].tolist()
    return {(0.0, 0.0, 0.0, 1.0, 1.0, 1.0): "Zeros, then ones"}[tuple(embedded)]


ANSWERS = {
    "02_difference": _what_similarity_depends_on,
    "02_zero_layer": _map_after_a_layer_of_zeros,
    "02_spread": _typical_error_of_spread,
    "02_clock": _turn_of_the_fastest_clock,
    "02_frequencies": lambda: str(
        len({round(float(f), 6) for f in sinusoidal_embedding(torch.tensor([1.0]), 32)[0, :16].asin()})
    ),
    "02_origin": _embedding_of_zero,
    "02_line": _points_of_a_linear_layer,
    "02_numbers": lambda: str(
        len(Denoiser(DenoiserConfig(base_filters=64, multipliers=(1, 2))).middle.modulation.bias)
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("02")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("02"))
