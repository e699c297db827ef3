"""Uploads: every good kind gives the same scene, every bad one a sentence, and no damage anything else."""

import time

import nasty_images
import numpy as np
import pytest
import torch

from gantrans.operations.serving.decode import BITS, DecodeError, decode

GOOD, BAD = nasty_images.good(), nasty_images.bad()
MUTATIONS = 1500


def test_there_are_enough_of_them() -> None:
    assert len(GOOD) + len(BAD) >= 50


@pytest.mark.parametrize("name", GOOD)
def test_good_files_give_the_scene(name: str) -> None:
    image = decode(GOOD[name])
    assert image.dtype == torch.float32
    limit = 4 if "jpeg" in name else 1
    difference = np.abs(image[0].numpy() - nasty_images.scene()).max()
    assert difference <= limit / 255 + 1e-6


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_sentence(name: str) -> None:
    start = time.process_time()
    with pytest.raises(DecodeError) as refusal:
        decode(BAD[name])
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 400
    assert time.process_time() - start < 10.0  # a bomb would take much longer


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("png above the cap", "3000 x 3000"), ("png 12 bit in 16", "bits=12"), ("png animated", "several"),
        ("tiff two pages", "several"), ("png transparent", "transparent"), ("jpeg cmyk", "CMYK"),
        ("tiff float above one", "scale them"), ("tiff nan", "NaN"), ("tiff 32 bit integers", "white level"),
        ("tiff orientation 3", "tag 3"), ("png 14,000 squared", "14000 x 14000"),
        ("gif", "PNG, JPEG, TIFF, BMP"), ("empty", "0 bytes"),
    ],
)  # fmt: skip
def test_the_reason_is_named(name: str, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(BAD[name])


@pytest.mark.parametrize("bits", BITS)
def test_the_used_bits_scale_the_image(bits: int) -> None:
    data = nasty_images.saved(np.round(nasty_images.scene() * (2**bits - 1)).astype(np.uint16), "PNG")
    np.testing.assert_allclose(decode(data, bits=bits)[0], nasty_images.scene(), atol=0.6 / (2**bits - 1))
    for fewer in (b for b in BITS if b < bits):
        with pytest.raises(DecodeError, match="state more bits"):
            decode(data, bits=fewer)


def test_stated_bits_must_make_sense() -> None:
    with pytest.raises(DecodeError, match="leave it out"):
        decode(GOOD["png 8"], bits=12)
    with pytest.raises(DecodeError, match="choose one of"):
        decode(GOOD["png 16"], bits=9)
    assert decode(BAD["png 16 all black"], bits=16).max() == 0  # said, so not silent


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_no_damage_escapes() -> None:
    """Damaged files are refused, or decode to an image in range; nothing else happens, in bounded time."""
    outcomes = {"image": 0, "refused": 0}
    worst = 0.0
    for data in nasty_images.mutations(MUTATIONS):
        start = time.process_time()
        try:
            image = decode(data, max_pixels=2**18)
        except DecodeError:
            outcomes["refused"] += 1
        else:
            outcomes["image"] += 1
            assert image.ndim == 3
            assert 0 <= float(image.min()) <= float(image.max()) <= 1
        worst = max(worst, time.process_time() - start)
    assert min(outcomes.values()) > MUTATIONS // 20
    assert worst < 2.0
