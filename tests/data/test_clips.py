"""Clips for generation obey their rule, never repeat, and splits share no image; the digits' fixed split."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gantrans.data import FAMILIES, ClipConfig, load_digits, make_clips, split_of
from gantrans.errors import ConfigError, DataError
from gantrans.metrics import measured_rule, rule_valid


def keys(image: torch.Tensor) -> list[bytes]:
    return [clip.numpy().tobytes() for clip in image]


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FAMILIES), st.sampled_from([16, 24, 32]), st.integers(0, 2**31))
def test_every_procedural_clip_obeys_the_rule(family: str, size: int, seed: int) -> None:
    config = ClipConfig(size=size, families=(family,))
    assert config.rule == {16: 2, 24: 2, 32: 3}[size]
    clips = make_clips(config, "train", 24, seed)
    assert bool(rule_valid(clips.unit(), config.rule, config.rule).all())
    assert 0.02 < clips.unit().mean() < 0.9


@pytest.mark.parametrize(("size", "rule"), [(16, 3), (32, 2), (32, 5), (48, 4)])
def test_the_rule_is_tight_at_any_size(size: int, rule: int) -> None:
    clips = make_clips(ClipConfig(size=size, rule_px=rule), "val", 120)
    assert measured_rule(clips.unit(), tolerance=0.0) == (rule, rule)


def test_types_values_and_classes() -> None:
    clips = make_clips(ClipConfig(size=16), "train", 22)
    assert clips.image.shape == (22, 1, 16, 16)
    assert clips.image.dtype == torch.uint8
    assert set(clips.image.unique().tolist()) == {0, 255}
    assert clips.network().unique().tolist() == [-1.0, 1.0]
    assert clips.unit().unique().tolist() == [0.0, 1.0]
    assert clips.label.dtype == torch.int64
    assert clips.label.bincount().tolist() == [6, 6, 5, 5]
    assert clips.names == ("line_space", "contact_array", "tip_to_tip", "jogs")
    assert len(clips) == 22
    lines = clips.image[clips.label == 0, 0]  # a grating is constant along its lines
    assert all(bool((c == c[:1]).all()) or bool((c == c[:, :1]).all()) for c in lines)


@pytest.mark.parametrize(
    "config", [ClipConfig(size=24), ClipConfig("sky130", 16)], ids=["procedural", "sky130"]
)
def test_a_longer_set_begins_with_the_shorter_one(config: ClipConfig) -> None:
    short, long = make_clips(config, "val", 30, 4), make_clips(config, "val", 90, 4)
    assert torch.equal(long.image[:30], short.image)
    assert torch.equal(long.label[:30], short.label)
    assert not torch.equal(make_clips(config, "val", 30, 5).image, short.image)


@pytest.mark.parametrize("source", ["procedural", "sky130"])
def test_no_image_twice_and_none_in_two_splits(source: str) -> None:
    """At 16 px plain draws repeat a fifth of the images, so this fails without the care that is taken."""
    config = ClipConfig(source, 16)
    images: dict[str, set[bytes]] = {}
    for split, count in (("train", 600), ("val", 200), ("test", 200)):
        sets = [make_clips(config, split, count, seed) for seed in (0, 1)]
        for clips in sets:
            assert len(set(keys(clips.image))) == count
            assert split_of(clips.image) == split_of(clips.unit()) == [split] * count
        images[split] = {key for clips in sets for key in keys(clips.image)}
    assert not images["train"] & images["val"]
    assert not images["train"] & images["test"]
    assert not images["val"] & images["test"]


def test_the_family_that_drew_an_image_does_not_change_its_split() -> None:
    """Long segments without a tip in sight are gratings; they must not leak from one split to another."""

    def draw(split: str, count: int, *families: str) -> set[bytes]:
        return set(keys(make_clips(ClipConfig(size=8, families=families), split, count).image))

    lines = draw("train", 50, "line_space")
    assert lines & draw("train", 120, "tip_to_tip"), "the two families must share images here"
    assert not lines & draw("test", 60, "tip_to_tip")
    assert len(draw("train", 150, "line_space", "tip_to_tip")) == 150


def test_shares_of_the_splits() -> None:
    owners = split_of((torch.rand(2000, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float())
    for split, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
        assert abs(owners.count(split) / 2000 - share) < 4.5 * (share * (1 - share) / 2000) ** 0.5


def test_an_exhausted_family_gives_its_turns_to_the_others() -> None:
    clips = make_clips(ClipConfig(size=12, families=("line_space", "jogs")), "test", 400)
    lines, jogs = clips.label.bincount().tolist()
    assert lines < 100 < 300 < jogs
    with pytest.raises(DataError, match=r"Found only \d+ different clips of 12 px in split 'test', not 400"):
        make_clips(ClipConfig(size=12, families=("line_space",)), "test", 400)


@pytest.mark.parametrize("layer", ["li1", "poly", "licon"])
@pytest.mark.parametrize("rule", [2, 3])
def test_real_cells_keep_the_rule_that_was_asked_for(layer: str, rule: int) -> None:
    config = ClipConfig("sky130", rule_px=rule, layer=layer)
    clips = make_clips(config, "test", 80)
    assert min(measured_rule(clips.unit())) >= rule
    assert clips.label.max() < len(clips.names) == 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "web"}, "ClipConfig.source is 'web'"),
        ({"size": 4}, "ClipConfig.size is 4"),
        ({"families": ()}, "name one or more of line_space"),
        ({"families": ("jogs", "jogs")}, "each once"),
        ({"families": ("spirals",)}, "ClipConfig.families is"),
        ({"rule_px": 1}, "ClipConfig.rule_px is 1; it must be at least 2 and at most 8"),
        ({"rule_px": 9}, "ClipConfig.rule_px is 9"),
        ({"layer": "met1"}, "ClipConfig.layer is 'met1'"),
        ({"pixel_nm": 0.0}, "ClipConfig.pixel_nm is 0.0"),
    ],
)
def test_configuration_names_the_field_and_the_range(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ClipConfig(**change)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(DataError, match="split is 'dev'"):
        make_clips(ClipConfig(), "dev", 3)
    with pytest.raises(DataError, match="count is 0"):
        make_clips(ClipConfig(), "train", 0)


def test_digits_have_one_fixed_stratified_split() -> None:
    train, test = load_digits(), load_digits("test")
    assert (len(train), len(test)) == (1447, 350)
    assert test.label.bincount().tolist() == [35] * 10
    for digits in (train, test):
        assert digits.image.shape[1:] == (1, 8, 8)
        assert digits.image.dtype == torch.float32
        assert digits.label.dtype == torch.int64
        assert [v.item() for v in digits.image.aminmax()] == [-1.0, 1.0]
    assert not set(keys(train.image)) & set(keys(test.image))
    assert torch.equal(load_digits("test").image, test.image)
    assert test.label[:12].tolist() == [3, 5, 6, 8, 9, 1, 4, 5, 9, 5, 1, 7]
    with pytest.raises(DataError, match="split is 'val'"):
        load_digits("val")
