"""Metrics of a set of generated images without targets.

No single metric is sufficient. A model that repeats its training images, or one image, passes every
design-rule check; a distance between distributions is insensitive to a few wrong pixels. Each function here
detects one kind of failure; its docstring names those that it misses. All of them depend on the number of
images: compare only sets of equal size, and compute the same metric for held-out real images as a reference.

Images are (B, 1, H, W) in [0, 1] and count as drawn above 0.5; features are (N, D) from any network.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.errors import DataError
from gantrans.metrics.design_rules import drawn
from gantrans.metrics.inputs import check_image
from gantrans.metrics.topology import label_features

_ROWS = 1024  # rows of a distance matrix per block, which bounds the memory
_DENSITY_BINS = 20


def grey_share(image: Tensor, limit: float = 0.8) -> Tensor:
    """Share of undecided pixels, |x| < `limit`: network output (B, 1, H, W) in [-1, 1] -> float32 (B,).

    They are no longer visible after thresholding. Binary data have none.
    """
    check_image(image)
    return (image.abs() < limit).flatten(1).float().mean(1)


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Frechet distance of two sets of features, as if each were Gaussian; 0 for equal sets, in float64.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau, J. Multivariate Anal. 12 (1982) 450;
    Heusel et al. 2017 with Inception features: FID). With C = A A^T the last trace is the sum of the singular
    values of A1^T A2: no square root of a matrix that is not symmetric. Covariances divide by n - 1.

    Insensitive to differences that the features do not capture, to copies, and to moments beyond the second.
    It decreases with the number of images: with a few hundred it is positive even between two real sets.

    Args:
        first, second: (N, D) and (M, D), at least two images each.

    Raises:
        DataError: for other shapes, NaN or infinity.
    """
    a, b = _features(first, second)
    root_a, root_b = _root(torch.cov(a.T)), _root(torch.cov(b.T))
    shift = (a.mean(0) - b.mean(0)).square().sum()
    spread = root_a.square().sum() + root_b.square().sum()  # the two traces
    return max(0.0, float(shift + spread - 2 * torch.linalg.svdvals(root_a.T @ root_b).sum()))


def coverage(real: Tensor, generated: Tensor, k: int = 5) -> float:
    """Share of real images with a generated one nearby: falls when modes are dropped, in [0, 1].

    Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models", ICML 2020, section 3.
    Nearby: not farther than the real image's k-th nearest real neighbour. Equal distributions give
    1 - (N / (N + M))^k in expectation for large N and M: .97 for equal sizes and k = 5.

    Args:
        real, generated: features (N, D) and (M, D); N above k.
    """
    return _neighbours(real, generated, k)[0]


def density(real: Tensor, generated: Tensor, k: int = 5) -> float:
    """Mean number of real neighbourhoods around a generated image, over k: about 1 for equal distributions.

    Naeem et al. 2020, section 3: number of real neighbourhoods (see `coverage`) that contain a generated
    image, divided by k. Above 1 when samples concentrate in the densest modes, so report it together with
    coverage.
    """
    return _neighbours(real, generated, k)[1]


def total_variation(first: Tensor, second: Tensor) -> float:
    """Half the summed difference of two histograms: integer values (N,) and (M,) -> [0, 1].

    0 for equal shares of every value, 1 for no value in common. For classes it measures over-produced ones.
    """
    if first.ndim != 1 or second.ndim != 1 or first.is_floating_point() or second.is_floating_point():
        raise DataError(
            f"Histograms need two lists of integers, not {first.dtype} {tuple(first.shape)} and"
            f" {second.dtype} {tuple(second.shape)}."
        )
    if not len(first) or not len(second):
        raise DataError("A histogram of no values has no shares; give at least one value on either side.")
    values, place = torch.unique(torch.cat((first, second)), return_inverse=True)
    p, q = (
        torch.bincount(part, minlength=len(values)).double() / len(part)
        for part in place.split([len(first), len(second)])
    )
    return float((p - q).abs().sum() / 2)


def topology_counts(image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Per image: connected features (B,) int64, holes in features (B,) int64, drawn share (B,) float32.

    Features connect by sides, their background by corners too, as in `compare_topology`; a hole is a piece of
    background that does not reach the border.
    """
    high = drawn(image).unsqueeze(1)
    features, holes = _pieces(high, diagonal=False, inner=False), _pieces(~high, diagonal=True, inner=True)
    return features, holes, high.flatten(1).float().mean(1)


def topology_distance(first: Tensor, second: Tensor) -> float:
    """Mean total variation of three histograms, of features, of holes and of drawn share: in [0, 1].

    Detects broken lines and specks to which the features of a classifier are insensitive; needs no network.
    The drawn share is binned in steps of 0.05.
    """
    distances = []
    for a, b in zip(topology_counts(first), topology_counts(second), strict=True):
        if a.is_floating_point():
            a, b = ((x * _DENSITY_BINS).round().long() for x in (a, b))
        distances.append(total_variation(a, b))
    return sum(distances) / len(distances)


def duplicate_share(image: Tensor) -> float:
    """Share of images that occur more than once in their own set: 1 for one image repeated, in [0, 1]."""
    packed = np.packbits(drawn(image).flatten(1).cpu().numpy(), axis=1)
    _, counts = np.unique(packed, axis=0, return_counts=True)
    return float(counts[counts > 1].sum() / counts.sum())


def nearest_distance(image: Tensor, training: Tensor) -> Tensor:
    """Pixels in which each image differs from the most similar training image: int64 (B,), Hamming distance.

    Args:
        image, training: (B, 1, H, W) and (N, 1, H, W) in [0, 1], compared after thresholding. Memory is
            bounded by blocks of 1,024 x 1,024 distances.
    """
    queries, known = drawn(image).flatten(1), drawn(training).flatten(1)
    if queries.shape[1] != known.shape[1]:
        raise DataError(
            f"The images have {queries.shape[1]} pixels but the training images {known.shape[1]};"
            " compare images of one size."
        )
    nearest = [
        torch.stack([_hamming(rows, block).amin(1) for block in known.split(_ROWS)]).amin(0)
        for rows in queries.split(_ROWS)
    ]
    return torch.cat(nearest).long()


def copy_rate(image: Tensor, training: Tensor, radius_px: int = 0) -> float:
    """Share of images that differ from some training image in at most `radius_px` pixels: memorisation.

    0 pixels: exact copies. Compare with held-out real images at the same radius: where few images are
    possible (a grating of 16 px) a good model must repeat some. See `nearest_distance`.
    """
    return float((nearest_distance(image, training) <= radius_px).float().mean())


def _features(*sets: Tensor) -> list[Tensor]:
    """Sets of features in float64; sets without a mean or covariance raise a `DataError`."""
    if any(s.ndim != 2 or len(s) < 2 or s.shape[1] != sets[0].shape[1] for s in sets):
        shapes = " and ".join(str(tuple(s.shape)) for s in sets)
        raise DataError(
            f"The features have shapes {shapes}; they must be (N, D) and (M, D), N and M above 1."
        )
    if not all(bool(torch.isfinite(s).all()) for s in sets):
        raise DataError("The features contain NaN or infinite values; look for a diverged network.")
    return [s.detach().cpu().double() for s in sets]


def _root(covariance: Tensor) -> Tensor:
    """A with A A^T = covariance; eigenvalues that rounding made negative are set to 0."""
    values, vectors = torch.linalg.eigh(torch.atleast_2d(covariance))
    return vectors * values.clamp(min=0).sqrt()


def _neighbours(real: Tensor, generated: Tensor, k: int) -> tuple[float, float]:
    """Coverage and density."""
    real, generated = _features(real, generated)
    if not 1 <= k < len(real):
        raise DataError(f"k is {k}; it must be at least 1 and below the number of real images, {len(real)}.")
    covered = inside = 0
    for rows in real.split(_ROWS):
        radius = _distances(rows, real).kthvalue(k + 1, dim=1).values  # the nearest is the image itself
        near = _distances(rows, generated) <= radius[:, None]
        covered += int(near.any(1).sum())
        inside += int(near.sum())
    return covered / len(real), inside / (k * len(generated))


def _distances(rows: Tensor, others: Tensor) -> Tensor:
    """Euclidean distances, without the rounding errors of |a|^2 + |b|^2 - 2ab for close points."""
    return torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")


def _hamming(rows: Tensor, others: Tensor) -> Tensor:
    """bool (n, P) and (m, P) -> (n, m); the products are whole numbers, exact in float32."""
    a, b = rows.float(), others.float()
    return a.sum(1, keepdim=True) + b.sum(1) - 2 * (a @ b.T)


def _pieces(high: Tensor, *, diagonal: bool, inner: bool) -> Tensor:
    """Number of connected components per image, int64 (B,); `inner`: only those that touch no border."""
    labels, image_of = label_features(high.float(), diagonal)
    counted = np.ones(len(image_of), bool)
    counted[0] = False  # label 0: everything that is not `high`
    if inner:
        for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
            counted[np.unique(edge)] = False
    pieces: NDArray = np.bincount(image_of[counted], minlength=len(high))
    return torch.from_numpy(pieces.astype(np.int64))
