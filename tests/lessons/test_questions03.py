"""The recall questions of lesson 03: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.diffusion import SamplerConfig, guided, make_schedule, sample, sampler_steps
from gantrans.teaching.exercises import exercise
from lessons.lesson03.experiments.analytic import draw_twice


def _twice_from_one_start() -> str:
    return "Equal to the bit" if draw_twice(SamplerConfig("ddim", 10)) == 0 else "Different in the details"


def _score() -> str:
    noise, alpha_bar = 1.2, torch.tensor(0.64, dtype=torch.float64)
    return f"{-noise / float((1 - alpha_bar).sqrt()):g}"


def _step_without_noise() -> str:
    spreads = [step.spread for step in sampler_steps(make_schedule("cosine"), SamplerConfig("ddpm", 6))]
    return {(5,): "At the last", (0,): "At the first"}[tuple(i for i, s in enumerate(spreads) if s == 0)]


def _predicted_image() -> str:
    noise, x_t, t = torch.tensor([[0.5]]), torch.ones(1, 1), torch.tensor([0])
    bars = torch.tensor([0.64], dtype=torch.float64)
    return f"{float(exercise('predict_x0').function(noise, x_t, t, bars, 'epsilon')):g}"


def _evaluations() -> str:
    seen = []

    def network(x_t, t, labelled):
        seen.append(labelled)
        return x_t

    sample(
        guided(network, 4.0), (1, 2), make_schedule("cosine"), SamplerConfig("ddpm", 20), prediction="x0",
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return f"{len(seen)} times"


def _first_step_of_the_solver() -> str:
    x_t, x0, noise = torch.rand(3, 1, 4, generator=torch.Generator().manual_seed(0)).double() / 2
    solver = exercise("dpm_step").function(x_t, x0, None, 0.3, 0.6)
    same = torch.allclose(solver, exercise("ddim_step").function(x_t, x0, noise, 0.3, 0.6, 0.0))
    return "DDIM's, eta = 0" if same else "Neither's"


def _first_average() -> str:
    (average,) = exercise("ema_update").function([torch.zeros(1)], [torch.ones(1)], 0.99, 0)
    return f"{float(average):.2g}"


ANSWERS = {
    "03_eta": _twice_from_one_start,
    "03_score": _score,
    "03_last": _step_without_noise,
    "03_predict_x0": _predicted_image,
    "03_guidance": lambda: (
        f"{float(exercise('guided_prediction').function(torch.tensor(0.2), torch.tensor(0.5), 3.0)):g}"
    ),
    "03_evaluations": _evaluations,
    "03_first_order": _first_step_of_the_solver,
    "03_ema": _first_average,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("03")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("03"))
