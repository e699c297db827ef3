"""The methods as recipes on one set of pairs, and the direction of a folder."""

import json

import numpy as np
import pytest
from PIL import Image

from gantrans.errors import ConfigError, DataError
from gantrans.operations.comparison.methods import METHODS, check_methods, choose_direction, method_recipe
from gantrans.translation import build_task

DIRECTIONS = ("sem2layout", "layout2sem")


def folder(path, targets, manifest=None):
    """Pairs whose targets have these values."""
    for side in ("input", "target"):
        (path / side).mkdir(parents=True)
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for k, target in enumerate(targets):
        Image.fromarray(grey).save(path / "input" / f"{k}.png")
        Image.fromarray(np.asarray(target, np.uint8).reshape(8, 8)).save(path / "target" / f"{k}.png")
    if manifest:
        (path / "pairs.json").write_text(json.dumps(manifest))
    return str(path)


TWO = np.repeat([0, 255], 32)
GREY = np.linspace(20, 200, 64)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_methods_differ_in_task_and_optimisation_and_in_nothing_else(direction):
    recipes = {m: method_recipe(m, direction, "smoke", "procedural", size=64, seed=3) for m in METHODS}
    first = recipes["l1"]
    assert first.data.size == 64
    for chosen in recipes.values():
        assert (chosen.direction, chosen.data, chosen.batch_size) == (direction, first.data, first.batch_size)
        assert (chosen.seed, chosen.fit.seed) == (3, 3)
        assert "generator" in build_task(chosen).networks
    assert len({repr(chosen.task) for chosen in recipes.values()}) == len(METHODS)
    assert first.task.discriminator is recipes["transformer"].task.discriminator is None
    assert recipes["gan"].task.discriminator is not None
    assert first.fit.monitor == ("iou" if direction == "sem2layout" else "l1")
    assert first.fit.monitor_mode == ("max" if direction == "sem2layout" else "min")


@pytest.mark.parametrize(
    ("targets", "manifest", "expected", "words"),
    [
        ([TWO, TWO], None, "sem2layout", "all 2 targets looked at are black and white"),
        ([np.where(TWO, 251, 4)], None, "sem2layout", "black and white"),  # as JPEG leaves it
        ([GREY, GREY, GREY], None, "layout2sem", "all 3 targets looked at are grey"),
        ([GREY], {"input": "sem"}, "sem2layout", "pairs.json states that input/ holds sem images"),
        ([TWO], {"input": "layout"}, "layout2sem", "pairs.json states"),
    ],
)
def test_a_folder_shows_its_direction(tmp_path, targets, manifest, expected, words):
    direction, reason = choose_direction(folder(tmp_path / "pairs", targets, manifest), None)
    assert direction == expected
    assert words in reason


def test_targets_of_both_kinds_need_a_word_and_a_stated_direction_counts(tmp_path):
    source = folder(tmp_path / "pairs", [TWO, GREY, GREY])
    with pytest.raises(DataError, match=r"1 of 3 targets .* state with --direction"):
        choose_direction(source, None)
    assert choose_direction(source, "layout2sem")[0] == "layout2sem"
    assert choose_direction("sky130", None)[0] == "sem2layout"


@pytest.mark.parametrize(
    ("names", "words"),
    [(("l1",), "at least two"), (("l1", "l1"), "each once"), (("l1", "vae"), "no method 'vae'")],
)
def test_methods_that_cannot_be_compared_are_named(names, words):
    with pytest.raises(ConfigError, match=words):
        check_methods(names)
