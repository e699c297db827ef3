"""The recall questions of lesson 08: what the right answers are, computed."""

import pytest
import torch
from answers import questions_of

from gantrans.networks import (
    SelfAttention,
)
from lessons.lesson08.experiments.attention_cost import map_bytes, size_words


def _sums_that_are_one() -> str:
    seen = SelfAttention(8).attention_map(torch.randn(1, 8, 3, 3))
    rows, columns = ((seen.sum(axis) - 1).abs().max() < 1e-5 for axis in (-1, -2))
    return {(True, False): "The rows: over all places that are looked at", (False, True): "The columns"}[
        bool(rows), bool(columns)
    ]


def _first_gradients() -> str:
    layer = SelfAttention(8)
    (layer(torch.randn(2, 8, 4, 4)) ** 2).sum().backward()
    moved = [name for name, p in layer.named_parameters() if p.grad is not None and p.grad.abs().max() > 0]
    return "Gamma alone" if moved == ["gamma"] else "All of them"


def _shuffled_places() -> str:
    layer, x = SelfAttention(8, gamma_init=1.0), torch.randn(1, 8, 4, 4)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    out = layer(x.flatten(2)[..., order].view_as(x))
    if torch.allclose(out, layer(x).flatten(2)[..., order].view_as(x), atol=1e-5):
        return "It is shuffled in the same way"
    return "It does not change"


ANSWERS = {
    "08_rows": _sums_that_are_one,
    "08_start": _first_gradients,
    "08_square": lambda: f"{map_bytes(128) // map_bytes(64)} times",
    "08_gib": lambda: size_words(map_bytes(128)),
    "08_parameters": lambda: f"{sum(p.numel() for p in SelfAttention(64).parameters()):,}",
    "08_scale": lambda: f"{256**0.5:.0f}",
    "08_order": _shuffled_places,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("08")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("08"))
