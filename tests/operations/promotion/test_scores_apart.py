"""Scores on several sets, kept apart: taken in evaluation mode, and the mode before comes back."""

import pytest
import torch
from torch import nn

from gantrans.data import make_pairs
from gantrans.images import unit_from_uint8
from gantrans.operations.promotion.finetune import SeparateValidation


class Task:
    """A task whose generator answers with its input's negative and remembers its mode."""

    def __init__(self) -> None:
        self.modes: list[bool] = []

        class Generator(nn.Module):
            def __init__(inner) -> None:
                super().__init__()
                inner.weight = nn.Parameter(torch.zeros(1))

            def forward(inner, x: torch.Tensor, *, noise: object = None) -> torch.Tensor:
                self.modes.append(inner.training)
                return -x

        self.generator = Generator()


@pytest.mark.parametrize("training", [True, False])
def test_every_set_is_scored_in_evaluation_mode_and_the_mode_comes_back(training: bool) -> None:
    sets = {
        name: make_pairs("procedural", count=4, size=16, seed=seed, progress=False)
        for name, seed in (("old", 0), ("new", 1))
    }
    task = Task()
    task.generator.train(training)
    scores = SeparateValidation(sets, "sem2layout")(task)
    assert task.generator.training == training
    assert task.modes == [False, False]
    assert set(scores) == {"l1_old", "iou_old", "l1_new", "iou_new"}
    for name, pairs in sets.items():
        error = (1 - unit_from_uint8(pairs.sem) - unit_from_uint8(pairs.layout)).abs().mean()
        assert scores[f"l1_{name}"] == pytest.approx(float(error), abs=1e-5)
