"""Contours and EPE: segment by segment against scikit-image, distance by distance against brute force."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage import measure

from gantrans.errors import DataError
from gantrans.metrics import contours, epe, find_contours


def reference_curves(image: np.ndarray) -> list[np.ndarray]:
    return measure.find_contours(image.astype(np.float64), 0.5)


def reference_segments(image: np.ndarray) -> np.ndarray:
    curves = reference_curves(image)
    return np.concatenate([np.hstack((c[:-1], c[1:])) for c in curves]) if curves else np.zeros((0, 4))


def reference_points(image: np.ndarray) -> np.ndarray:
    """Every curve sampled at 0.25 px: vertices once, also at the end of an open curve."""
    points = []
    for curve in reference_curves(image):
        for a, b in pairwise(curve):
            n = int(np.ceil(np.hypot(*(b - a)) / 0.25 - 1e-9))
            points += [a + (b - a) * i / n for i in range(n)]
        if not np.array_equal(curve[0], curve[-1]):
            points.append(curve[-1])
    return np.array(points).reshape(-1, 2)


def reference_distances(points: np.ndarray, segments: np.ndarray) -> np.ndarray:
    a, v = segments[:, :2], segments[:, 2:] - segments[:, :2]
    offset = points[:, None] - a
    foot = np.clip((offset * v).sum(-1) / (v * v).sum(-1), 0, 1)
    return np.linalg.norm(offset - foot[..., None] * v, axis=-1).min(1)


def reference_epe(pred: np.ndarray, target: np.ndarray) -> list[float]:
    forth = reference_distances(reference_points(pred), reference_segments(target))
    back = reference_distances(reference_points(target), reference_segments(pred))
    pooled = np.concatenate((forth, back))
    return [(forth.mean() + back.mean()) / 2, np.quantile(pooled, 0.95), pooled.max()]


def same_rows(a: np.ndarray, b: np.ndarray) -> bool:
    a, b = (x[np.lexsort(x.T[::-1])] for x in (a, b))
    return a.shape == b.shape and np.array_equal(a, b)


def batch(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images).astype(np.float32))[:, None]


def grey_images(values: list[float]) -> st.SearchStrategy[np.ndarray]:
    """Few values make saddles, flat areas and, if 0.5 is one of them, ties with the level common."""
    return arrays.arrays(np.float32, st.tuples(*[st.integers(2, 8)] * 2), elements=st.sampled_from(values))


@settings(max_examples=80, deadline=None)
@given(grey_images([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_segments_and_points_are_those_of_scikit_image(image):
    found = find_contours(batch(image))
    assert same_rows(np.hstack((found.start, found.end)), reference_segments(image))
    # a curve that touches the border in a pixel at the level may have that point twice, hence sets
    ours, theirs = found.points()[0], reference_points(image)
    assert {tuple(p) for p in ours.round(9)} == {tuple(p) for p in theirs.round(9)}


def test_a_batch_gives_each_image_its_own_contours_and_every_saddle_both_segments():
    generator = np.random.default_rng(0)
    images = generator.random((3, 12, 17), dtype=np.float32)
    images[1] = 0.2  # no contour
    found = find_contours(batch(*images))
    assert (np.diff(found.image) >= 0).all()
    for i, image in enumerate(images):
        own = found.image == i
        assert same_rows(np.hstack((found.start, found.end))[own], reference_segments(image))
    points, segment = found.points()
    assert len(points) == sum(len(reference_points(i)) for i in images)
    assert (np.diff(found.image[segment]) >= 0).all()


@pytest.mark.parametrize("chunk", [1, 2**17])
def test_epe_equals_brute_force_near_and_far(chunk, monkeypatch):
    monkeypatch.setattr(contours, "_CHUNK_PIXELS", chunk)
    generator = np.random.default_rng(1)
    target = np.zeros((4, 40, 36))
    target[:, 5:30, 8:13] = 1
    target[:, 12:16, 20:33] = 1
    pred = np.clip(target + 0.4 * generator.standard_normal(target.shape), 0, 1)  # distances of a pixel
    pred[1] = 0
    pred[1, 1:3, 1:3] = 1  # a speck far from everything: up to 40 px
    pred[2] = np.roll(target[2], (3, -2), axis=(0, 1))
    pred[3] = target[3]
    result = epe(batch(*pred), batch(*target), pixel_nm=2.0)
    table = torch.stack((result.mean, result.p95, result.hausdorff), dim=1)
    expected = [reference_epe(*(x.astype(np.float32) for x in p)) for p in zip(pred, target, strict=True)]
    np.testing.assert_allclose(table, 2 * np.array(expected), atol=1e-12)
    assert table[3].max() < 1e-12  # equal images
    assert not result.undefined.any()


def test_far_points_find_a_nearest_segment_whose_midpoint_is_not_among_the_nearest_eight():
    """A disc in a hole of a random image: rare, so the seed is one of those where it happens."""
    radius = np.hypot(*np.mgrid[-14:15, -14:15])
    target = np.where(radius < 9, 0, np.random.default_rng(22).random(radius.shape)).astype(np.float32)
    pred = np.clip(2.2 - radius, 0, 1).astype(np.float32)
    result = epe(batch(pred), batch(target), 1.0)
    ours = [result.mean.item(), result.p95.item(), result.hausdorff.item()]
    np.testing.assert_allclose(ours, reference_epe(pred, target), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(grey_images([0.0, 0.2, 0.6, 1.0]), st.randoms(use_true_random=False))
def test_epe_is_symmetric_and_exact_on_any_image(image, random):
    other = image.ravel().copy()
    random.shuffle(other)
    pred, target = batch(image), batch(other.reshape(image.shape))
    forth, back = epe(pred, target, 1.0), epe(target, pred, 1.0)
    torch.testing.assert_close(forth.mean, back.mean, equal_nan=True, atol=1e-12, rtol=0)
    torch.testing.assert_close(forth.p95, back.p95, equal_nan=True, atol=1e-12, rtol=0)
    if not forth.undefined.item():
        ours = [forth.mean.item(), forth.p95.item(), forth.hausdorff.item()]
        np.testing.assert_allclose(ours, reference_epe(image, other.reshape(image.shape)), atol=1e-12)


def test_epe_of_a_shifted_straight_edge_is_the_shift_and_sub_pixel():
    step = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    step[..., 10:] = 1.0
    moved = step.clone()
    moved[..., 9] = 0.3  # the 0.5-crossing moves from 9.5 to 9 + 0.2 / 0.7
    result = epe(moved, step, pixel_nm=20.0)
    expected = 20 * (0.5 - 0.2 / 0.7)
    for value in (result.mean, result.p95, result.hausdorff):
        assert value.item() == pytest.approx(expected, abs=1e-9)


def test_an_empty_edge_set_is_undefined_and_never_zero():
    images = torch.zeros(3, 1, 16, 16)
    images[0, 0, 4:8, 4:8] = 1.0
    images[2] = 1.0  # full: no edge either
    result = epe(images, images.roll(1, 0), 1.0)
    assert result.undefined.all()
    assert result.mean.isnan().all()
    assert result.hausdorff.isnan().all()
    assert epe(images, images, 1.0).undefined.tolist() == [False, True, True]


@pytest.mark.parametrize("pixel_nm", [0.0, -1.0, float("nan"), float("inf")])
def test_a_pixel_size_that_is_no_length_is_refused(pixel_nm):
    image = torch.zeros(1, 1, 8, 8)
    with pytest.raises(DataError, match="pixel_nm is"):
        epe(image, image, pixel_nm)
