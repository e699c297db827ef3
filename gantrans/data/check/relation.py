"""How the inputs of a folder relate to their targets: agreement, polarity, order, symmetry.

Pictures of `pixels.SMALL` px and their edges are correlated. An SEM image and its layout agree in edges more
than in values, so both count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check.pixels import Floats, standard, symmetry

MOST = 2000
"""Pairs among which a better partner is looked for, evenly over the folder."""
_ROLLS = 16
_BLOCK = 256
_ALIKE = 0.8
"""Targets that correlate more are one picture for the question whose target it is."""
_BETTER, _GOOD = 0.3, 0.5
"""A partner is another pair's target that agrees by `_BETTER` more than the own one, and by `_GOOD` at least,
while the own one agrees as little as any: no more than `_USUAL` spreads above the mean of all."""
_USUAL = 1.0
_CLEAR = 0.5
"""Correlation from which the sign of a relation is taken for certain."""


@dataclass(frozen=True)
class Relation:
    """How inputs and targets relate; the arrays have one value per pair.

    own: agreement of an input with its target, 0 to 2. rank: share of comparisons in which the own target
    agrees better than another pair's; .5 is chance, NaN if targets are too alike to compare. comparisons:
    their number. partner: the index of the target that agrees clearly better, and best with this input; -1
    for none. sign: correlation of the target with what the inputs predict of it, with the polarity of the
    majority. opposite: cosine between the mean relations of pairs of either sign; -1 if one reverses the other.
    turned: the symmetry of the targets in which they agree best, 0 as they are. gain: what it adds. by_turn:
    share of pairs for which it is better.
    """

    own: NDArray[np.float64]
    rank: float
    comparisons: int
    partner: NDArray[np.int64]
    sign: NDArray[np.float64]
    opposite: float
    turned: int
    gain: float
    by_turn: float


def relate(inputs: NDArray[np.uint8], edges: NDArray[np.uint8], targets: NDArray[np.uint8],
           target_edges: NDArray[np.uint8]) -> Relation:  # fmt: skip
    """Relate (N, 32, 32) pictures and edges of inputs and targets, of pairs that are not constant."""
    first, first_edges = standard(inputs), standard(edges)
    second, second_edges = standard(targets), standard(target_edges)
    own = _agreement(first, first_edges, second, second_edges)
    rank, comparisons = _rank(own, first, first_edges, second, second_edges)
    sign, opposite = _signs(inputs, edges, second)
    turned, gain, by_turn = _turned(own, first, first_edges, targets, target_edges)
    partner = _partners(own, first, first_edges, second, second_edges)
    return Relation(own, rank, comparisons, partner, sign, opposite, turned, gain, by_turn)


def _agreement(a: Floats, a_edges: Floats, b: Floats, b_edges: Floats) -> NDArray[np.float64]:
    """(N,) agreement of rows: correlation of the values in either polarity, and of the edges."""
    values, outlines = (a * b).sum(axis=1), (a_edges * b_edges).sum(axis=1)
    return np.abs(values).astype(np.float64) + np.maximum(outlines, 0)


def _rank(own: NDArray[np.float64], a: Floats, a_edges: Floats, b: Floats,
          b_edges: Floats) -> tuple[float, int]:  # fmt: skip
    """How often the own target agrees better than that of a neighbour in the folder."""
    wins = total = 0.0
    for roll in range(1, min(_ROLLS, len(own) - 1) + 1):
        order = np.roll(np.arange(len(own)), -roll)
        differ = np.abs((b * b[order]).sum(axis=1)) < _ALIKE
        other = _agreement(a, a_edges, b[order], b_edges[order])
        wins += float(((own > other) + 0.5 * (own == other))[differ].sum())
        total += float(differ.sum())
    return (wins / total if total else float("nan")), int(total)


def _signs(inputs: NDArray[np.uint8], edges: NDArray[np.uint8],
           targets: Floats) -> tuple[NDArray[np.float64], float]:  # fmt: skip
    """(N,) the sign and strength with which each pair follows the common relation, and `opposite`.

    A pair's relation is the vector of correlations of its target with four features of its input. The
    direction of the largest common part of all vectors does not depend on their signs.
    """
    vectors = np.zeros((len(inputs), 4))
    for start in range(0, len(inputs), _BLOCK):
        chosen = slice(start, start + _BLOCK)
        for place, images in enumerate((inputs[chosen], edges[chosen])):
            vectors[chosen, 2 * place] = (standard(images) * targets[chosen]).sum(axis=1)
            vectors[chosen, 2 * place + 1] = (standard(_blurred(images)) * targets[chosen]).sum(axis=1)
    common = np.linalg.eigh(vectors.T @ vectors)[1][:, -1]
    along = vectors @ common
    if along.sum() < 0:
        along = -along
    minority, majority = vectors[along < -_CLEAR], vectors[along > _CLEAR]
    if not len(minority) or not len(majority):
        return along, 1.0
    one, other = minority.mean(axis=0), majority.mean(axis=0)
    return along, float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-12))


def _blurred(images: NDArray[np.uint8]) -> Floats:
    padded = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    lines = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:]


def _turned(own: NDArray[np.float64], a: Floats, a_edges: Floats, targets: NDArray[np.uint8],
            target_edges: NDArray[np.uint8]) -> tuple[int, float, float]:  # fmt: skip
    best, gain, better = 0, 0.0, 0.0
    for element in range(1, 8):
        scores = _agreement(
            a, a_edges, standard(symmetry(targets, element)), standard(symmetry(target_edges, element))
        )
        mean = float((scores - own).mean())
        if mean > gain:
            best, gain, better = element, mean, float((scores > own).mean())
    return best, gain, better


def _partners(own: NDArray[np.float64], a: Floats, a_edges: Floats, b: Floats,
              b_edges: Floats) -> NDArray[np.int64]:  # fmt: skip
    """For each input the target of another pair that agrees clearly better, if both are each other's best."""
    partner = np.full(len(own), -1, np.int64)
    some = np.unique(np.linspace(0, len(own) - 1, min(len(own), MOST)).astype(np.int64))
    best, usual = np.zeros(len(some)), np.zeros(len(some))
    chosen = np.zeros(len(some), np.int64)
    highest = np.full(len(some), -np.inf)
    for start in range(0, len(some), _BLOCK):
        rows = some[start : start + _BLOCK]
        scores = np.abs(a[rows] @ b[some].T) + np.maximum(a_edges[rows] @ b_edges[some].T, 0)
        chosen[start : start + _BLOCK], best[start : start + _BLOCK] = scores.argmax(1), scores.max(1)
        usual[start : start + _BLOCK] = scores.mean(1) + _USUAL * scores.std(1)
        highest = np.maximum(highest, scores.max(0))
    clear = (best > own[some] + _BETTER) & (best > _GOOD) & (best >= highest[chosen] - 1e-6)
    clear &= own[some] <= usual
    partner[some[clear]] = some[chosen[clear]]
    return partner
