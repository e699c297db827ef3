"""Lesson 05: its figures over their grids, norms that leak, and the experiment on memory."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from gantrans.data.layouts import FAMILIES
from gantrans.teaching import claims
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from lessons.lesson05.experiments import patches
from lessons.lesson05.experiments.patches import LAYERS, SETS, SETTINGS
from lessons.lesson05.figures import fields, memory


def noise(count, size, seed=0):
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_CACHE", str(tmp_path_factory.mktemp("runs")))
        patch.setenv("TQDM_DISABLE", "1")
        yield patches.run_seed(0, "smoke", (*patches.ARMS, patches.AUGMENTED))


def test_the_explorer_draws_every_state_of_its_grid():
    controls = (
        Choice("n_layers", "n_layers", (1, 3, 5), 3),
        Slider("row", "row", 0, 100, 5, 50),
        Slider("column", "column", 0, 100, 5, 50),
    )
    explorer = Explorer(partial(fields.field_figure, noise(1, 128)[0]), controls, "fields")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_the_explorer_shows_the_same_box_by_formula_and_by_gradient():
    words = alt_text(fields.field_figure(noise(1, 128)[0], n_layers=2, row=0, column=100))
    assert "logit (0, 29) sees 23 x 23 px, rows 0 to 22, columns 105 to 127 of" in words
    assert "not zero in 23 x 23 px, rows 0 to 22, columns 105 to 127." in words


def test_table_of_fields():
    table = fields.field_table((64, 256))
    assert table.header[-1] == "map at 256 px"
    assert [line[1] for line in table.rows] == ["16 px", "34 px", "70 px", "142 px", "286 px"]
    assert table.rows[2] == ["3", "70 px", "8 px", "6 x 6", "30 x 30"]
    assert table.rows[4][3] == "none left"


def test_a_middle_pixel_is_seen_by_many_logits_and_a_corner_by_few():
    """A 70 px field in steps of 8 px holds 8 or 9 starts per axis; the corner's pixel 0 lies in 3 fields."""
    words = alt_text(fields.overlap_figure(256, (3,)))
    assert "in the middle is seen by 81 logits, one in the corner by 9." in words


def test_norms_leak_as_the_lesson_says():
    batch = 2 * noise(2, 80) - 1
    gradients = {norm: fields.logit_gradients(norm, batch) for norm in fields.NORMS}
    touched = {
        norm: [float((g != 0).double().mean()) for g in gradient] for norm, gradient in gradients.items()
    }
    field = 34 * 34 / 80**2
    for norm in ("no norm", "spectral norm", "batch norm, in use"):
        assert touched[norm] == pytest.approx([field, 0.0], abs=1e-3)
    assert touched["instance norm"] == pytest.approx([1.0, 0.0], abs=1e-3)
    assert touched["batch norm, training"] == pytest.approx([1.0, 1.0], abs=1e-3)
    table = fields.leak_table(gradients)
    for norm, shares in table.items():
        assert sum(shares.values()) == pytest.approx(100)
        assert (shares["in the field"] == pytest.approx(100)) == (field + 1e-3 > touched[norm][0])
    assert "instance norm: the gradient touches 100.0% of its own" in alt_text(fields.leak_figure(gradients))


def test_g03_is_exact_at_every_scale():
    result = patches.one_logit("smoke")
    assert result["data"] == {"no norm": 70, "instance norm": 256}
    assert result["numbers"]["n_layers 4"] == 142
    parts = {
        name: claims.judge_part(claims.get("G03").part(name), side) for name, side in result["data"].items()
    }
    assert claims.judge(claims.get("G03"), parts, "reduced") == "excluded"


def test_arms_differ_in_the_discriminator_alone():
    setting = SETTINGS["reduced"]
    configs = {arm: patches.task_config(arm, setting) for arm in (*patches.ARMS, patches.AUGMENTED)}
    assert len({(c.generator, c.weight_l1, c.lr_generator) for c in configs.values()}) == 1
    fields = [configs[arm].discriminator.receptive_field for arm in LAYERS]
    assert fields == [16, 34, 70, None]
    assert configs[patches.BASELINE].discriminator is None
    assert configs[patches.AUGMENTED].discriminator == configs["global"].discriminator
    assert all(c.discriminator.norm == "none" for c in configs.values() if c.discriminator)


def test_training_and_held_out_pairs_are_balanced_and_apart():
    training, unseen = (patches.pairs(which, "smoke", 1) for which in SETS)
    assert sorted(training.family) == sorted(unseen.family) == sorted(FAMILIES)
    assert not set(training.names) & set(unseen.names)
    assert not torch.equal(training.sem, unseen.sem)


def test_spectrum_distance_of_known_images():
    real = noise(8, 32)
    assert patches.spectrum_distance(real, real) == (0.0, 0.0)
    half = 0.5 + 0.5 * (real - 0.5)  # half the amplitude: a quarter of the power, everywhere
    quarter = 10 * math.log10(4)
    assert patches.spectrum_distance(half, real) == pytest.approx((quarter, -quarter), abs=1e-6)


def test_every_arm_is_scored(row):
    assert list(row) == [*patches.ARMS, patches.AUGMENTED]
    assert "D real, training" not in row["L1 only"]
    for arm, numbers in row.items():
        assert all(np.isfinite(v) for v in numbers.values())
        assert ("D wrong layout, held-out" in numbers) == (arm != "L1 only")
    assert row["global"] != row[patches.AUGMENTED]


def test_memory_is_the_preference_for_training_pairs(row):
    made_up = {"D real, training": 0.9, "D real, held-out": 0.4}
    assert patches.memory(made_up) == pytest.approx(0.5)
    rows = [row, row]
    data = patches.claim_data(rows)
    assert data["discriminator"]["global"] == [patches.memory(row["global"])] * 2
    assert data["generator"]["field 34 px"] == [row["field 34 px"]["spectrum, held-out"]] * 2
    assert set(data) == {part.name for part in claims.get("G04").parts}
    means = patches.summary(rows)
    assert means["global: memory"] == pytest.approx(patches.memory(row["global"]))
    assert "L1 only: memory" not in means


def test_a_smoke_record_of_g04_decides_nothing(row, tmp_path):
    record = claims.record(
        "G04", patches.claim_data([row, row]), scale="smoke", seeds=(0, 1), run=tmp_path / "run.jsonl",
        numbers=patches.summary([row]),
    )  # fmt: skip
    assert record["verdict"] == "open"
    assert "seeds: " in alt_text(memory.sweep_figure(record))


def test_both_claims_have_their_experiment():
    assert {"G03", "G04"} <= set(experiments())


def test_the_memory_of_every_arm_has_words(row):
    assert "global, real: training" in alt_text(memory.memory_figure(row).figure)
