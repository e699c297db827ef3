"""Lesson 02: which timesteps look alike to the network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="embedding_similarity",
    lesson="02",
    title="Which times look alike?",
    difficulty=1,
    minutes=6,
    spec=r"""
    Compare every embedding of one set of timesteps with every embedding of another by the cosine of the angle
    between them,

    $$S_{ij} = \frac{a_i \cdot b_j}{\lVert a_i \rVert\,\lVert b_j \rVert}:$$

    1 for the same direction, 0 for a right angle, $-1$ for opposite ones. `first` is `(N, D)`, `second`
    `(M, D)`, the result `(N, M)`. An embedding of zeros (a network that is told nothing) has no direction:
    its similarity to everything is 0, not NaN.
    """,
    hints=(
        "If all vectors had length 1, the matrix would be a single matrix product.",
        "`F.normalize(first, dim=1)` gives rows of length 1, and leaves rows of zeros alone.",
        "`F.normalize(first, dim=1) @ F.normalize(second, dim=1).T`",
    ),
    source="Vaswani et al. 2017, sec. 3.5; for [sin | cos] the similarity depends on t - t' alone, because "
    "sin a sin b + cos a cos b = cos(a - b).",
    equivalent={
        "`F.normalize(first, dim=1)` -> `F.normalize(first)`": "1 is the default",
        "`F.normalize(second, dim=1)` -> `F.normalize(second)`": "1 is the default",
        "`F.normalize(first, dim=1)` -> `F.normalize(first, dim=-1)`": "of two axes the last is 1",
        "`F.normalize(second, dim=1)` -> `F.normalize(second, dim=-1)`": "of two axes the last is 1",
        "value.detach()": "no gradient is asked for",
    },
)


@ex.reference
def embedding_similarity(first: Tensor, second: Tensor) -> Tensor:
    """first (N, D), second (M, D) -> cosines of the angles between their rows, (N, M) in [-1, 1]."""
    a = F.normalize(first, dim=1)
    b = F.normalize(second, dim=1)
    return a @ b.T


@ex.edges
def _() -> list[Args]:
    a = torch.tensor([[3.0, 4.0], [-1.0, 0.0], [2.0, -2.0]])
    zeros = torch.zeros(2, 2)
    return [(a, a), (a, a[:2]), (a[:1], a), (zeros, a), (a, zeros), (torch.eye(3), 5 * torch.ones(2, 3))]


@ex.inputs
def _(case: Case) -> Args:
    width = 2 * case.integer(1, 8)
    first, second = (3 * case.randn(n, width) + 0.5 for n in (case.height, case.width))
    return first, first[: case.batch].clone() if case.seed % 4 == 0 else second


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    return F.normalize(a, dim=1) @ F.normalize(b, dim=1).T


ex.wrong(
    "not_normalised",
    "You multiply the vectors as they are: long ones then look similar to everything. Divide by the lengths.",
    lambda a, b: a @ b.T,
)
ex.wrong(
    "half_the_width",
    "You divide by half the width: that is the squared length of a [sin | cos] embedding only; learned ones "
    "have any length.",
    lambda a, b: a @ b.T / (a.shape[1] / 2),
)
ex.wrong(
    "one_side",
    "You divide by the length of one side only.",
    lambda a, b: F.normalize(a, dim=1) @ b.T,
)
ex.wrong(
    "squared_lengths",
    "You divide by the squared lengths of both; the length of each is its root.",
    lambda a, b: _cosines(a, b) / (a.norm(dim=1)[:, None] * b.norm(dim=1)).clamp(min=1e-12),
)
ex.wrong(
    "along_the_batch",
    "You normalise down the columns: axis 0 runs over timesteps, axis 1 over the numbers of one embedding.",
    lambda a, b: F.normalize(a, dim=0) @ F.normalize(b, dim=0).T,
)
ex.wrong(
    "whole_matrix",
    "You divide by the length of all embeddings taken together; every row has its own.",
    lambda a, b: a @ b.T / (a.norm() * b.norm()).clamp(min=1e-12),
)
ex.wrong(
    "correlation",
    "You subtract each embedding's mean first: that is the correlation coefficient.",
    lambda a, b: _cosines(a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)),
)
ex.wrong(
    "distances",
    "You give distances: 0 where two are equal, and large where they differ.",
    lambda a, b: torch.cdist(a, b),
)
ex.wrong("angles", "You give the angle, not its cosine.", lambda a, b: _cosines(a, b).clamp(-1, 1).acos())
ex.wrong(
    "absolute",
    "You drop the sign: opposite directions are as different as can be, not alike.",
    lambda a, b: _cosines(a, b).abs(),
)
ex.wrong(
    "transposed",
    "You have rows and columns the wrong way round: `first` belongs to the rows.",
    lambda a, b: _cosines(b, a),
)
ex.wrong(
    "pairs_only",
    "You compare row i with row i only; every row of one meets every row of the other.",
    lambda a, b: F.cosine_similarity(a, b, dim=1),
)
ex.wrong(
    "nan",
    "You divide by a length of 0: an embedding of zeros turns the whole row into NaN.",
    lambda a, b: (a / a.norm(dim=1, keepdim=True)) @ (b / b.norm(dim=1, keepdim=True)).T,
)

ex.right(lambda a, b: F.cosine_similarity(a[:, None], b[None], dim=-1))
ex.right(lambda a, b: a @ b.T / (a.norm(dim=1)[:, None] * b.norm(dim=1)[None]).clamp(min=1e-12))
ex.right(lambda a, b: torch.einsum("nd,md->nm", F.normalize(a), F.normalize(b)))
ex.right(lambda a, b: torch.nan_to_num((a @ b.mT) / torch.outer(a.norm(dim=-1), b.norm(dim=-1)), nan=0.0))


@ex.right
def _(first: Tensor, second: Tensor) -> Tensor:
    rows = [torch.stack([torch.cosine_similarity(a, b, dim=0) for b in second]) for a in first]
    return torch.stack(rows)


@ex.right
def _(first: Tensor, second: Tensor) -> Tensor:
    def unit(x: Tensor) -> Tensor:
        length = x.square().sum(1, keepdim=True).sqrt()
        return torch.where(length > 0, x / length, torch.zeros_like(x))

    return torch.mm(unit(first), unit(second).transpose(0, 1))


@ex.right
def _(first: Tensor, second: Tensor) -> Tensor:
    # of vectors with length 1: |a - b|^2 = 2 - 2 a b, but a row of zeros needs its own length
    a, b = F.normalize(first), F.normalize(second)
    apart = (a[:, None] - b[None]).square().sum(-1)
    return (a.square().sum(1)[:, None] + b.square().sum(1) - apart) / 2
