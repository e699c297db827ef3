"""The recommendation on made-up score tables: every rule, and what must hold for any table."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrans.operations.comparison.intervals import FEWEST, interval
from gantrans.operations.comparison.rules import Candidate, Measure, recommend

IOU = Measure("IoU", 0.01)
CRPS = Measure("CRPS", 0.001, higher=False)
FILES = 60
CLUSTERS = [f"file{i}" for i in range(FILES)]


def table(seed=0, files=FILES, trainings=1, **means):
    """Candidates with these means; images differ by .1, methods on one image by .02 more."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0, 0.1, files)
    return {
        name: mean + shared + generator.normal(0, 0.02, (trainings, files)) for name, mean in means.items()
    }


def candidates(qualities, speeds=None, varied=("diffusion",), variants=None):
    speeds, variants = speeds or {}, variants or {}
    return [
        Candidate(
            name, variants.get(name, name), quality, speeds.get(name, 100.0), name in varied, name == "otsu"
        )
        for name, quality in qualities.items()
    ]


def text(found):
    return " ".join(found.reasons)


def test_a_clear_leader_is_recommended_with_every_difference():
    found = recommend(candidates(table(l1=0.9, gan=0.8, diffusion=0.7, otsu=0.5)), CLUSTERS, IOU)
    assert (found.verdict, found.name, found.leader) == ("decided", "l1", "l1")
    assert {rival.name: rival.standing for rival in found.rivals} == dict.fromkeys(
        ("gan", "diffusion", "otsu"), "worse"
    )
    assert all(f"l1 against {name}" in text(found) for name in ("gan", "diffusion", "otsu"))
    assert found.rivals[0].difference.mean == pytest.approx(0.1, abs=0.01)


def test_less_is_better_where_the_measure_says_so():
    qualities = table(gan=0.3, diffusion=0.2, otsu=0.5)
    assert recommend(candidates(qualities), CLUSTERS, CRPS).name == "diffusion"
    assert recommend(candidates(table(gan=0.7, diffusion=0.6, otsu=0.5)), CLUSTERS, IOU).name == "gan"


def test_of_equal_ones_the_fastest_is_taken():
    qualities = table(l1=0.9, otsu=0.5)
    qualities["gan"] = qualities["l1"] - 0.002
    found = recommend(candidates(qualities, {"gan": 300.0}), CLUSTERS, IOU)
    assert (found.verdict, found.leader, found.name) == ("equal", "l1", "gan")
    assert "gan is taken, as it is the fastest" in text(found)
    assert recommend(candidates(qualities, {"gan": 30.0}), CLUSTERS, IOU).name == "l1"


def test_what_cannot_be_told_apart_is_undecided_and_the_files_needed_are_counted():
    generator = np.random.default_rng(1)
    qualities = table(l1=0.9, otsu=0.5)
    qualities["gan"] = qualities["l1"] - 0.01 + generator.normal(0, 0.1, (1, FILES))
    found = recommend(candidates(qualities), CLUSTERS, IOU)
    assert (found.verdict, found.name) == ("undecided", None)
    assert found.leader in ("l1", "gan")
    assert "test files instead of 60" in text(found)


def test_an_open_number_of_steps_of_one_method_is_no_rival():
    generator = np.random.default_rng(2)
    qualities = table(**{"diffusion 20": 0.9, "l1": 0.6, "otsu": 0.5})
    qualities["diffusion 4"] = qualities["diffusion 20"] - 0.005 + generator.normal(0, 0.1, (1, FILES))
    steps = dict.fromkeys(("diffusion 20", "diffusion 4"), "diffusion")
    found = recommend(candidates(qualities, {"diffusion 4": 500.0}, variants=steps), CLUSTERS, IOU)
    assert (found.verdict, found.name) == ("decided", "diffusion 4")
    other = recommend(candidates(qualities, {"diffusion 4": 500.0}), CLUSTERS, IOU)
    assert other.verdict == "undecided"


def test_the_baseline_must_be_beaten_even_within_the_margin():
    qualities = table(l1=0.9, gan=0.5)
    qualities["otsu"] = qualities["l1"] - 0.001
    assert recommend(candidates(qualities), CLUSTERS, IOU).name == "l1"
    qualities["otsu"] = qualities["l1"] + 0.001
    found = recommend(candidates(qualities), CLUSTERS, IOU)
    assert (found.verdict, found.name, found.leader) == ("undecided", None, "l1")
    assert "not shown to be better than otsu, which needs no training" in text(found)


def test_speed_and_draws_leave_out_what_does_not_fit():
    qualities = table(l1=0.9, gan=0.8, diffusion=0.7, otsu=0.5)
    speeds = {"l1": 50.0, "gan": 250.0, "diffusion": 5.0}
    found = recommend(candidates(qualities, speeds), CLUSTERS, IOU, limit=200.0)
    assert found.name == "gan"
    assert "l1 is out: 50.0 images a second, 200 are needed." in found.reasons
    found = recommend(candidates(qualities, speeds), CLUSTERS, IOU, need_draws=True)
    assert found.name == "diffusion"
    assert "gan is out: it has one answer per input, and several are needed." in found.reasons
    found = recommend(candidates(qualities, speeds), CLUSTERS, IOU, limit=200.0, need_draws=True)
    assert (found.verdict, found.name) == ("undecided", None)
    assert found.reasons[-1] == "So no method is left to recommend."


def test_too_few_files_decide_nothing_however_many_tiles_they_have():
    qualities = table(l1=0.9, gan=0.1, otsu=0.05)
    files = [f"file{i % (FEWEST - 1)}" for i in range(FILES)]
    found = recommend(candidates(qualities), files, IOU)
    assert (found.verdict, found.name, found.leader) == ("undecided", None, None)
    assert "the test split has 9 files" in text(found)
    assert recommend(candidates(qualities), [*files[1:], "one more"], IOU).name == "l1"


def test_trainings_that_disagree_leave_it_open():
    qualities = table(trainings=3, l1=0.9, gan=0.85, otsu=0.1)
    assert recommend(candidates(qualities), CLUSTERS, IOU).name == "l1"
    qualities["gan"] += np.array([[0.06], [-0.06], [0.0]])
    found = recommend(candidates(qualities), CLUSTERS, IOU)
    assert found.verdict == "undecided"
    assert "further trainings (--seeds)" in text(found)


MEANS = st.dictionaries(
    st.sampled_from(["l1", "gan", "diffusion", "transformer"]), st.floats(0.2, 0.9), min_size=2, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(MEANS, st.integers(0, 1000), st.floats(-0.5, 0.5), st.randoms(use_true_random=False))
def test_neither_order_nor_a_common_shift_changes_the_verdict(means, seed, shift, random):
    qualities = table(seed, **means, otsu=0.15)
    first = candidates(qualities, {name: 10.0 * i for i, name in enumerate(qualities)})
    found = recommend(first, CLUSTERS, IOU)
    shuffled = list(first)
    random.shuffle(shuffled)
    again = recommend(shuffled, CLUSTERS, IOU)
    assert (again.verdict, again.name, again.leader) == (found.verdict, found.name, found.leader)
    moved = [Candidate(**{**vars(c), "quality": c.quality + shift}) for c in first]
    again = recommend(moved, CLUSTERS, IOU)
    assert (again.verdict, again.name, again.leader) == (found.verdict, found.name, found.leader)


@settings(max_examples=40, deadline=None)
@given(MEANS, st.integers(0, 1000), st.floats(0, 400), st.booleans())
def test_what_is_recommended_fits_the_wishes_and_is_worse_than_nothing(means, seed, limit, draws):
    qualities = table(seed, **means, otsu=0.15)
    given = candidates(qualities, {name: 90.0 * i for i, name in enumerate(qualities)})
    found = recommend(given, CLUSTERS, IOU, limit=limit, need_draws=draws)
    assert (found.name is None) == (found.verdict == "undecided")
    if found.name is None:
        return
    by_name = {c.name: c for c in given}
    chosen = by_name[found.name]
    assert chosen.images_per_s >= limit
    assert chosen.varied or not draws
    assert not chosen.baseline
    for other in given:
        if other.baseline or (other.images_per_s >= limit and (other.varied or not draws)):
            assert interval(other.quality - chosen.quality, CLUSTERS, 0.05 / 4).low < IOU.margin
    stricter = recommend(given, CLUSTERS, IOU, limit=limit + 50.0, need_draws=draws)
    if stricter.name is not None:
        assert by_name[stricter.name].images_per_s >= limit + 50.0


@pytest.mark.parametrize("files", [12, 60])
def test_equal_methods_are_seldom_told_apart(files):
    """At 95 % for all differences together, with noise that no margin hides."""
    clusters = [f"file{i}" for i in range(files)]
    decided = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        qualities = {name: generator.normal(0.5, 0.1, (1, files)) for name in ("l1", "gan", "diffusion")}
        qualities["otsu"] = np.zeros((1, files))
        decided += recommend(candidates(qualities), clusters, IOU).verdict == "decided"
    assert decided <= 12
