"""Lesson 07, grain: theory against the arms, where it lies, and what the page says of both."""

import numpy as np
import pytest
import torch

from gantrans.images import uint8_from_unit
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson07.experiments import loss_weights
from lessons.lesson07.figures import grain, realism

ARMS = (*loss_weights.ARMS, loss_weights.REAL)


def test_images_with_independent_grain_lie_on_the_curve_and_a_weave_moves_the_open_circle_alone():
    """Made of normal numbers: real grain, an arm of half its strength, and one with a fixed pattern."""
    random = torch.Generator().manual_seed(0)
    real, another, first, second, pattern = torch.randn(5, 100_000, generator=random).double() * 0.1

    def judged(made, again):
        return {
            "PSNR": float(-10 * torch.log10((made - real).square().mean())),
            "diversity": float((made - again).square().mean().div(2).sqrt()),
            "texture": float(10 * torch.log10(made.square().mean() / real.square().mean())),
        }

    row = dict.fromkeys(ARMS, judged(0.5 * first, 0.5 * second))
    row[loss_weights.BASELINE] = judged(0 * first, 0 * second + 1e-9)
    row[loss_weights.REAL] = judged(another, real)
    row["L1 weight 1"] = judged(0.5 * first + 0.6 * pattern, 0.5 * second + 0.6 * pattern)
    found = grain.grain_by_arm(Table({}, {0: row}))
    half, weave = found["L1 weight 10"], found["L1 weight 1"]
    assert half["strength"] == pytest.approx(0.5, abs=0.01)
    assert half["below best"] == pytest.approx(half["theory"], abs=0.03)
    assert half["below L1"] == pytest.approx(half["theory"], abs=0.03)
    assert half["by spectrum"] == pytest.approx(half["strength"], abs=0.01)
    assert weave["strength"] == pytest.approx(0.5, abs=0.01)
    assert weave["by spectrum"] == pytest.approx(np.hypot(0.5, 0.6), abs=0.01)
    assert found[loss_weights.REAL]["below best"] == pytest.approx(3.01, abs=0.01)


def test_what_the_page_says_of_theory_and_weave_is_what_the_sweep_says():
    """The lesson's words rest on these: a new sweep that says otherwise must change the words."""
    rows = grain.price_table(committed("loss_weights"))
    above = {arm: row["below the best bet (dB)"] - row["theory, lost (dB)"] for arm, row in rows.items()}
    assert above.pop("no L1") > 1
    assert above.pop(loss_weights.REAL) == pytest.approx(0, abs=1e-6)
    assert all(0.2 < gap < 0.6 for gap in above.values())
    assert rows[loss_weights.BASELINE]["below the best bet (dB)"] == pytest.approx(0.5, abs=0.05)
    for weight in (30, 10, 3, 1):
        row = rows[f"L1 weight {weight}"]
        assert abs(row["below L1 only (dB)"] - row["theory, lost (dB)"]) < 0.12
        fixed = float(realism.grain_trade(row["s, by the spectrum"])[0]) > row["below the best bet (dB)"]
        assert fixed == (weight != 30)  # to the right of the curve
    assert all(rows[f"L1 weight {weight}"]["s, by the spectrum"] > 0.94 for weight in (3, 1))


def test_the_figure_names_every_arm_with_its_numbers():
    words = alt_text(grain.price_figure(committed("loss_weights")).figure)
    assert "L1 weight 1: 0.71 by the draws, 0.95 by the spectrum, 2.18 dB" in words
    assert "another real image: 1.00 by the draws" in words


def test_the_border_is_told_from_the_inside():
    sem, other = torch.full((2, 1, 32, 32), 0.4), torch.full((2, 1, 32, 32), 0.4)
    other[..., 8:-8, 8:-8] += 0.2  # as strong inside as 0.2 / sqrt(2)
    test = loss_weights.TestSet(uint8_from_unit(sem), uint8_from_unit(sem), uint8_from_unit(other))
    edge = sem.clone()
    edge[..., :8, :] += 0.1
    table = grain.border_table(test, {"an arm": edge}, {"an arm": sem})
    rows = {row[0]: [float(v) for v in row[1:3]] for row in table.rows}
    assert rows["real SEM"] == pytest.approx([0.0, 0.2 / 2**0.5], abs=2e-3)
    border = 0.1 / 2**0.5 * (8 * 32 / (32 * 32 - 16 * 16)) ** 0.5
    assert rows["an arm"] == pytest.approx([border, 0.0], abs=1e-3)
