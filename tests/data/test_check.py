"""The check of a folder: honest ones pass, each harmful one is named, with what settles it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from harmful_folders import HARMFUL, inverted, near
from pair_folders import HONEST, N, blobs, camera, folder, plain, simulated, white

from gantrans.data.alignment import ncc
from gantrans.data.check import ACCEPTABLE, REFUSED, WARNING, check_folder, copies, displacement, pixels
from gantrans.data.check.facts import ImageFacts
from gantrans.errors import ConfigError, DataError


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_folder_just_trains(name: str, tmp_path: Path) -> None:
    case = HONEST[name]
    report = check_folder(case.make(tmp_path / "pairs"), progress=False, **case.stated)
    assert [(found.name, found.seen) for found in report.stopping] == []
    report.stop()
    assert report.verdict == "good"


@pytest.mark.parametrize("name", HARMFUL)
def test_a_harmful_folder_is_named_first_and_stops(name: str, tmp_path: Path) -> None:
    case = HARMFUL[name]
    root = case.make(tmp_path / "pairs")
    report = check_folder(root, progress=False, **case.stated)
    found = next(one for one in report.findings if one.name == case.finding)
    assert found.severity == case.severity
    assert report.verdict == case.severity
    assert report.stopping[0].severity == case.severity
    assert found.effect.endswith(".")
    assert found.settle
    with pytest.raises(DataError) as caught:
        report.stop()
    assert str(root) in str(caught.value)
    assert "\n" not in str(caught.value)
    others = {one.name for one in report.stopping} - {case.finding}
    assert others <= {"shuffled"}, others  # one input with two targets: the second agrees with the first
    if case.severity == WARNING:
        accepted = check_folder(
            root, progress=False, accept=[one.name for one in report.stopping], **case.stated
        )
        assert accepted.verdict == "accepted"
        accepted.stop()
    else:
        assert found.name not in ACCEPTABLE or found.name in {
            "class-numbers", "flat-targets", "flat-inputs", "target-is-input", "copies-across-splits",
            "shuffled", "turned",
        }  # fmt: skip


def test_the_files_of_a_finding_are_those_that_were_spoilt(tmp_path: Path) -> None:
    report = check_folder(inverted(tmp_path / "pairs"), direction="sem2layout", progress=False)
    (found,) = report.stopping
    spoilt = {f"im{i:03d}" for i in range(0, N, 3)}
    named = {path.stem for path in found.files}
    assert named <= spoilt
    assert len(named) >= 0.8 * len(spoilt)
    assert all(path.parent.name == "target" for path in found.files)


def test_stated_bits_settle_what_was_refused(tmp_path: Path) -> None:
    root = camera(tmp_path / "pairs")
    (found,) = check_folder(root, progress=False).stopping
    assert found.options == ("--bits", "12")
    assert found.severity == REFUSED
    assert not check_folder(root, bits=12, progress=False).stopping


def test_the_option_for_tiles_of_one_picture_keeps_them_together(tmp_path: Path) -> None:
    """Overlapping tiles whose names say of which picture they are."""
    images, masks = blobs(12, (128, 128))
    for i, (image, mask) in enumerate(zip(images, white(masks), strict=True)):
        tiles = [(slice(y, y + 64), slice(x, x + 64)) for y in (0, 32, 64) for x in (0, 32, 64)]
        root = folder(tmp_path / "one", [image[t] for t in tiles], [mask[t] for t in tiles])
        for side in ("input", "target"):
            (tmp_path / "pairs" / side).mkdir(parents=True, exist_ok=True)
            for k in range(len(tiles)):
                path = root / side / f"im{k:03d}.png"
                (tmp_path / "pairs" / side / f"wafer{i:02d}_{k}.png").write_bytes(path.read_bytes())
    (found,) = check_folder(tmp_path / "pairs", progress=False).stopping
    assert found.name == "near-copies"
    assert found.options == ("--split-by", r"^(.+)[_\-. @][^_\-. @]*$")
    assert found.count >= 0.8 * sum(s != "train" for s in _splits(tmp_path / "pairs"))


def _splits(root: Path) -> list[str]:
    from gantrans.data.folder import PairedFolder

    return list(PairedFolder(root).split.values())


def test_json_has_a_row_for_each_pair(tmp_path: Path) -> None:
    report = check_folder(inverted(tmp_path / "pairs"), direction="sem2layout", progress=False)
    contents = json.loads(json.dumps(report.to_dict()))
    assert [row["name"] for row in contents["pairs"]] == [f"im{i:03d}" for i in range(N)]
    signs = np.array([row["polarity"] for row in contents["pairs"]])
    assert (np.sign(signs[::3]) == -1).mean() > 0.8
    assert (np.sign(np.delete(signs, slice(0, N, 3))) == 1).mean() > 0.8
    assert abs(sum(contents["sides"]["input"]["histogram"]) - 1) < 1e-9
    assert contents["findings"][0]["name"] == "mixed-polarity"


def test_a_name_that_no_warning_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no warning 'shfted' to accept; there are"):
        check_folder(plain(tmp_path / "pairs"), accept=["shfted"], progress=False)


def test_the_manifest_decides_which_side_is_the_target(tmp_path: Path) -> None:
    sem, layout = simulated("sky130")
    root = folder(tmp_path / "pairs", sem, layout)
    assert check_folder(root, direction="layout2sem", progress=False).stopping[0].name == "swapped"
    (root / "pairs.json").write_text('{"input": "sem"}')
    report = check_folder(root, direction="layout2sem", progress=False)
    assert "swapped" not in [found.name for found in report.findings]
    assert report.look.target.folder == "input"
    with pytest.raises(DataError, match="states that input/ holds 'sem' images"):
        check_folder(root, direction="image2mask", progress=False)


def test_correlations_equal_those_of_the_library() -> None:
    draw = np.random.default_rng(0)
    first, second = (draw.normal(100, 20, (2, 64, 64)).astype(np.float32) for _ in range(2))
    maps, step = displacement.correlations(tuple(first), tuple(second))
    assert maps is not None
    assert (step, maps.shape) == (1, (3, 25, 25))
    for place, (one, other) in enumerate(displacement.CHANNELS):
        expected = ncc(
            torch.from_numpy(first[one])[None], torch.from_numpy(second[other, 12:-12, 12:-12])[None]
        )[0]
        np.testing.assert_allclose(maps[place] / 127, expected.numpy(), atol=0.005)


@pytest.mark.parametrize("shift", [(5, 0), (0, -4), (-6, 3)])
def test_a_displacement_is_measured_with_its_sign(shift: tuple[int, int]) -> None:
    images, _ = blobs(8, (96, 96))
    maps = []
    for image in images:
        one, other = (np.roll(image, shift, (0, 1))[12:76, 12:76], image[12:76, 12:76])
        maps.append(displacement.correlations(
            (pixels.edges(one), one.astype(np.float32)), (pixels.edges(other), other.astype(np.float32))
        ))  # fmt: skip
    found = displacement.displacement(maps)
    assert found is not None
    assert found.offset == shift
    assert found.near.sum() >= 6


def test_small_copies_are_means_and_keep_their_place() -> None:
    image = np.arange(96 * 64, dtype=np.uint16).reshape(96, 64)
    expected = image.reshape(32, 3, 32, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels.small(image), expected, rtol=1e-6)
    odd = np.random.default_rng(0).integers(0, 256, (50, 77), dtype=np.uint8)
    assert abs(float(pixels.small(odd).mean()) - float(odd.mean())) < 6
    assert pixels.small(odd[:10, :20]).shape == (32, 32)


def test_crops_share_windows_and_other_pictures_none() -> None:
    images, _ = blobs(2, (128, 128))
    whole, crop = pixels.sketch(images[0]), pixels.sketch(images[0][40:110, 30:100])
    assert len(np.intersect1d(whole, crop)) >= 10
    assert len(np.intersect1d(whole, pixels.sketch(images[1]))) == 0
    assert len(pixels.sketch(np.zeros((64, 64), np.uint8))) == 0


def test_only_another_exposure_has_another_grain() -> None:
    draw = np.random.default_rng(0)
    scene = 100 + 50 * np.sin(np.arange(64) / 7)[:, None] * np.cos(np.arange(64) / 9)
    first, again = ((scene + draw.normal(0, 10, scene.shape)).astype(np.uint8) for _ in range(2))
    turned = pixels.symmetry(first, 5)
    facts = [
        ImageFacts(Path(str(i)), picture=pixels.stretched(pixels.small(image)))
        for i, image in enumerate((first, again, turned))
    ]
    shown = {0: first, 1: again, 2: turned}
    same, alike = copies.near(facts, [0], [1, 2], shown.__getitem__)
    assert [copy.second for copy in same] == [2]
    assert [copy.second for copy in alike] == [1]


def test_a_crop_of_a_held_out_picture_is_found_where_it_is(tmp_path: Path) -> None:
    report = check_folder(near(tmp_path / "pairs", "crop"), progress=False)
    found = {copy.second: copy.first for copy in report.look.near[0]}
    assert found == {i: i - i % 10 for i in range(N) if i % 10 in (8, 9)}
