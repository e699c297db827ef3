"""What several answers for one input are worth: spread, a proper score, and whether intervals are right.

All arrays are draws (K, N, C, H, W) and targets (N, C, H, W) in [0, 1]; results are per image, (N,).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def levels(draws: int) -> list[float]:
    """Levels of the intervals that leave out the i lowest and i highest of K + 1 places, ascending."""
    places = draws + 1
    return [(places - 2 * i) / places for i in range((places - 1) // 2, 0, -1)]


def diversity(draws: Tensor) -> Array:
    """Mean absolute difference of two draws of one input; 0 for a method with one answer."""
    count = len(draws)
    total = torch.zeros(draws.shape[1])
    for i in range(count):
        for j in range(i):
            total += (draws[i] - draws[j]).abs().flatten(1).mean(1)
    pairs = count * (count - 1) / 2
    return np.asarray((total / pairs).double().numpy())


def crps(draws: Tensor, target: Tensor) -> Array:
    """Continuous ranked probability score per pixel, mean over an image; lower is better.

    E|X - y| - E|X - X'| / 2 with the unbiased mean over different draws (Gneiting and Raftery 2007, JASA 102,
    eq. 21; Ferro 2014). For a method with one answer it is the L1 error. It is proper: nothing is gained by
    answers that spread more or less than the target does.
    """
    error = (draws - target).abs().flatten(2).mean(2).mean(0).double().numpy()
    return np.asarray(error - (diversity(draws) / 2 if len(draws) > 1 else 0.0))


def inside(draws: Tensor, target: Tensor, *, seed: int = 0) -> tuple[Array, Array]:
    """How many pixels of an image lie inside each interval of `levels`, and how many pixels count.

    The target takes a place among the K draws; equal values are put in random order. Were it one more draw,
    all K + 1 places would be equally likely, so an interval of level p holds a share p. Pixels at which draws
    and target are all equal are left out, as nothing is uncertain there (a rule that treats target and draws
    alike, so the shares stay right).

    Returns:
        (N, levels) and (N,).
    """
    generator = torch.Generator().manual_seed(seed)
    below = (draws < target).sum(0)
    equal = (draws == target).sum(0)
    place = below + (torch.rand(equal.shape, generator=generator) * (equal + 1)).long().clamp(max=len(draws))
    counts = (equal < len(draws)).flatten(1)
    edge = torch.minimum(place, len(draws) - place).flatten(1)  # 0: the lowest or the highest place
    least = [round((1.0 - level) * (len(draws) + 1) / 2) for level in levels(len(draws))]
    shares = torch.stack([((edge >= i) & counts).sum(1) for i in least], dim=1)
    return np.asarray(shares.double().numpy()), np.asarray(counts.sum(1).double().numpy())


def coverage(hits: Array, counts: Array) -> Array:
    """Share inside each interval over all images together, (levels,); NaN if no pixel counts."""
    total = counts.sum()
    return np.asarray(hits.sum(0) / total if total else np.full(hits.shape[1], np.nan))
