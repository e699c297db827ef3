"""Metrics of sets of images: closed forms, brute force, and what each of them is blind to."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import linalg
from skimage import measure

from gantrans.data.pairs import dihedral
from gantrans.errors import DataError
from gantrans.metrics import (
    copy_rate,
    coverage,
    density,
    duplicate_share,
    frechet_distance,
    generative,
    grey_share,
    nearest_distance,
    topology_counts,
    topology_distance,
    total_variation,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def binary(*shape: int, seed: int = 0, share: float = 0.5) -> torch.Tensor:
    return (torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < share).float()


def whitened(n: int, d: int, seed: int) -> torch.Tensor:
    """Features whose mean is 0 and whose sample covariance is the identity, up to rounding."""
    x = normal(n, d, seed=seed)
    x = x - x.mean(0)
    return torch.linalg.qr(x)[0] * (n - 1) ** 0.5


# Frechet distance


@pytest.mark.parametrize("d", [1, 3, 20])
def test_frechet_distance_of_commuting_covariances(d: int) -> None:
    """With C = Q diag(s^2) Q^T on both sides: |m1 - m2|^2 + sum of (s1 - s2)^2."""
    q = torch.linalg.qr(normal(d, d, seed=9))[0]
    s1, s2, m1, m2 = normal(4, d, seed=3).abs()
    first, second = whitened(60, d, 1) * s1 @ q.T + m1, whitened(90, d, 2) * s2 @ q.T + m2
    expected = (m1 - m2).square().sum() + (s1 - s2).square().sum()
    assert frechet_distance(first, second) == pytest.approx(expected.item(), rel=1e-9)


def test_frechet_distance_equals_the_matrix_square_root() -> None:
    a, b = normal(80, 6, seed=1) @ normal(6, 6, seed=2), normal(70, 6, seed=3) @ normal(6, 6, seed=4) + 0.5
    ca, cb = np.cov(a.numpy().T), np.cov(b.numpy().T)
    expected = float(((a.mean(0) - b.mean(0)) ** 2).sum())
    expected += np.trace(ca + cb - 2 * np.real(linalg.sqrtm(ca @ cb)))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n", [300, 5])  # 5 images of 12 features: a singular covariance
def test_frechet_distance_is_a_distance(n: int) -> None:
    a, b = normal(n, 12, seed=1).float(), 2 * normal(n, 12, seed=2).float()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9)
    assert frechet_distance(a, b) > 1
    assert frechet_distance(3 * a + 7, 3 * b + 7) == pytest.approx(9 * frechet_distance(a, b), rel=1e-5)


def test_frechet_distance_falls_with_the_number_of_images_and_is_blind_to_copies() -> None:
    few, many = (frechet_distance(normal(n, 16, seed=1), normal(n, 16, seed=2)) for n in (100, 1600))
    assert few > 4 * many > 0
    half = normal(400, 4, seed=5)
    assert frechet_distance(half.repeat(2, 1), half) < 0.01


# Coverage and density


def test_coverage_and_density_equal_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated, k = normal(40, 3, seed=1), normal(25, 3, seed=2) + 1.5, 4
    to_real, to_generated = (np.linalg.norm(real[:, None] - x[None], axis=-1) for x in (real, generated))
    radius = np.sort(to_real, axis=1)[:, k]
    inside = to_generated <= radius[:, None]
    expected = inside.any(1).mean(), inside.sum() / (k * 25)
    assert 0.1 < expected[0] < 0.9
    assert (coverage(real, generated, k), density(real, generated, k)) == pytest.approx(expected)
    monkeypatch.setattr(generative, "_ROWS", 7)  # blocks of any size give the same
    assert (coverage(real, generated, k), density(real, generated, k)) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "m"), [(600, 600), (600, 300)])
def test_coverage_of_equal_distributions(n: int, m: int) -> None:
    found = np.mean([coverage(normal(n, 8, seed=s), normal(m, 8, seed=50 + s)) for s in range(4)])
    assert found == pytest.approx(1 - (n / (n + m)) ** 5, abs=0.02)


def test_dropped_modes_lose_coverage_and_crowding_gains_density() -> None:
    centres = 20 * torch.eye(4, dtype=torch.float64)
    real = torch.cat([normal(50, 4, seed=i) + centre for i, centre in enumerate(centres)])
    one_mode = normal(200, 4, seed=9) + centres[0]
    assert coverage(real, one_mode) <= 0.25
    assert coverage(real, real[:1].repeat(200, 1)) < 0.1
    assert density(real, centres[:1] + 0.1 * normal(200, 4, seed=8)) > 1.5
    assert coverage(real, real) == 1.0
    assert density(real, normal(9, 4) - 100) == 0.0


# Histograms


def test_total_variation_by_hand() -> None:
    first, second = torch.tensor([0, 0, 1, 7]), torch.tensor([0, 1])
    assert total_variation(first, second) == pytest.approx(0.25)  # shares .5 .25 .25 against .5 .5 0
    assert total_variation(second, first) == pytest.approx(0.25)
    assert total_variation(first, first.repeat(3)) == 0
    assert total_variation(torch.tensor([-3]), torch.tensor([2, 4])) == 1


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 8))), st.integers(0, 7))
def test_topology_counts_equal_skimage_and_turn_with_the_image(image: np.ndarray, element: int) -> None:
    features = measure.label(image, connectivity=1).max()
    ground = measure.label(np.pad(~image, 1, constant_values=True), connectivity=2)
    expected = [features, ground.max() - 1, image.mean()]
    x = torch.from_numpy(image).float()[None, None]
    found = [v.item() for v in topology_counts(x)]
    assert found == pytest.approx(expected)
    assert found == [v.item() for v in topology_counts(dihedral(x, element))]


def test_holes_of_one_image_are_not_counted_in_its_neighbours() -> None:
    ring = torch.zeros(1, 1, 6, 6)
    ring[..., 1:4, 1:4] = 1.0
    ring[..., 2, 2] = 0.0
    images = torch.cat((ring, torch.zeros_like(ring), torch.ones_like(ring), ring))
    features, holes, share = topology_counts(images)
    assert features.tolist() == [1, 0, 1, 1]
    assert holes.tolist() == [1, 0, 0, 1]
    assert share.tolist() == pytest.approx([8 / 36, 0, 1, 8 / 36])


def test_topology_distance_sees_specks() -> None:
    images = torch.zeros(40, 1, 16, 16)
    images[:, :, :, 4:8] = 1.0
    specks = images.clone()
    specks[:20, :, 12, 12] = 1.0  # one feature more in half of the images, drawn share as before
    assert topology_distance(images, images) == 0
    assert topology_distance(images, specks) == pytest.approx(0.5 / 3)


# Copies


def test_duplicates_within_a_set() -> None:
    images = binary(5, 1, 9, 7)
    assert duplicate_share(images) == 0
    assert duplicate_share(torch.cat((images, images[:2] * 0.9))) == pytest.approx(4 / 7)
    assert duplicate_share(images[:1].repeat(6, 1, 1, 1)) == 1


def test_copies_within_a_radius(monkeypatch: pytest.MonkeyPatch) -> None:
    training = binary(30, 1, 12, 12)
    images = torch.cat((training[[3, 29, 7]], binary(2, 1, 12, 12, seed=1)))
    images[1, 0, 0, 0] = 1 - images[1, 0, 0, 0]
    images[2, 0, :2, :2] = 1 - images[2, 0, :2, :2]
    brute = (images[:, None] != training[None]).flatten(2).sum(2).amin(1)
    assert brute[:3].tolist() == [0, 1, 4]
    for rows in (1024, 2, 13):  # whatever the blocks, also with a rest
        monkeypatch.setattr(generative, "_ROWS", rows)
        assert torch.equal(nearest_distance(images, training), brute)
        rates = [copy_rate(images, training, radius) for radius in (0, 1, 3, 4)]
        assert rates == pytest.approx([0.2, 0.4, 0.4, 0.6])


def test_grey_share_counts_undecided_pixels() -> None:
    image = torch.tensor([[-1.0, -0.8, -0.79, 0.0], [0.5, 0.81, 1.0, 0.9]]).view(2, 1, 2, 2)
    assert grey_share(image).tolist() == [0.5, 0.25]
    assert grey_share(image, limit=0.1).tolist() == [0.25, 0.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(normal(5, 3), normal(5, 4)), r"\(5, 3\) and \(5, 4\); they must be"),
        (lambda: frechet_distance(normal(1, 3), normal(5, 3)), "N and M above 1"),
        (lambda: frechet_distance(normal(5, 3) / 0, normal(5, 3)), "NaN or infinite"),
        (lambda: coverage(normal(5, 3), normal(9, 3)), "k is 5; it must be at least 1 and below"),
        (lambda: total_variation(torch.zeros(3), torch.zeros(3)), "two lists of integers"),
        (lambda: total_variation(torch.zeros(0).long(), torch.zeros(3).long()), "at least one value"),
        (lambda: copy_rate(binary(2, 1, 8, 8), binary(2, 1, 8, 9)), "64 pixels but the training images 72"),
        (lambda: duplicate_share(binary(2, 1, 8, 8) * 2 - 1), r"outside \[0, 1\]"),
        (lambda: topology_counts(binary(2, 8, 8)), "must be"),
        (lambda: grey_share(torch.full((1, 1, 2, 2), float("nan"))), "NaN"),
    ],
)
def test_what_has_no_answer_is_refused(call, message: str) -> None:
    with pytest.raises(DataError, match=message):
        call()
