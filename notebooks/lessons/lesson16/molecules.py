"""Small molecules as numbers: the table, one-hot rows for atoms and bonds, and a score of samples.

A molecule of up to nine atoms is 45 rows of five numbers: nine atoms (none, C, N, O, F), then the 36 pairs
of atoms (none, single, double, triple, and a column that is never used, so that atoms and pairs are equally
wide). In each row the column that is meant is 1 and the others are -1. The table is
`data/molecules/molecules.smi`; its page says where it comes from. Rows keep the numbering of the text,
which in the table is canonical.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans import ROOT
from lessons.lesson16.molecules_smiles import (
    VALENCE,
    Molecule,
    canonical,
    is_valid,
    is_valid_smiles,
    read_smiles,
    write_smiles,
)

__all__ = [
    "ELEMENTS", "MOST_ATOMS", "PAIRS", "ROWS", "VALENCE", "WIDTH", "Molecule", "Score", "bond_matrix",
    "canonical", "decode", "encode", "is_valid", "is_valid_smiles", "pack", "read_smiles", "score", "table",
    "unpack", "write_smiles",
]  # fmt: skip

TABLE = ROOT / "data" / "molecules" / "molecules.smi"
ELEMENTS = tuple(VALENCE)
MOST_ATOMS = 9
PAIRS = torch.combinations(torch.arange(MOST_ATOMS), 2)
"""The pairs of atoms, (36, 2), in the order of their rows: (0, 1), (0, 2), ..."""
ROWS = MOST_ATOMS + len(PAIRS)
WIDTH = 1 + len(ELEMENTS)


@cache
def table() -> tuple[str, ...]:
    """The canonical SMILES strings of the table, shortest first."""
    return tuple(TABLE.read_text("utf-8").split())


def encode(smiles: Iterable[str]) -> Tensor:
    """N SMILES strings -> (N, 45, 5) float32, -1 or 1.

    Raises:
        ValueError: for a string that is no molecule of at most nine atoms.
    """
    return torch.stack([_rows(read_smiles(text)) for text in smiles])


def _rows(molecule: Molecule) -> Tensor:
    count = len(molecule.atoms)
    if count > MOST_ATOMS:
        raise ValueError(f"{write_smiles(molecule)} has {count} atoms; there are rows for {MOST_ATOMS}.")
    kinds = [1 + ELEMENTS.index(atom) for atom in molecule.atoms] + [0] * (MOST_ATOMS - count)
    orders = bond_matrix(molecule, MOST_ATOMS)
    choices = kinds + [orders[i][j] for i, j in PAIRS.tolist()]
    return F.one_hot(torch.tensor(choices), WIDTH).float() * 2 - 1


def bond_matrix(molecule: Molecule, size: int | None = None) -> list[list[int]]:
    """The orders of all bonds, `size` rows of `size` numbers, symmetric and 0 where there is none."""
    size = len(molecule.atoms) if size is None else size
    orders = [[0] * size for _ in range(size)]
    for i, j, order in molecule.bonds:
        orders[i][j] = orders[j][i] = order
    return orders


def decode(x: Tensor) -> list[Molecule]:
    """Rows (N, 45, 5), of which the largest number of a row counts -> N molecules, valid or not.

    Bonds with an absent atom are dropped, and atoms numbered anew without gaps.
    """
    atoms, bonds = x[:, :MOST_ATOMS], x[:, MOST_ATOMS:, :-1]  # the last column of a pair means nothing
    choices = torch.cat([atoms.argmax(dim=2), bonds.argmax(dim=2)], dim=1)
    return [_molecule(one) for one in choices.tolist()]


def _molecule(choices: Sequence[int]) -> Molecule:
    place: dict[int, int] = {}
    for i, kind in enumerate(choices[:MOST_ATOMS]):
        if kind:
            place[i] = len(place)
    drawn = zip(PAIRS.tolist(), choices[MOST_ATOMS:], strict=True)
    bonds = tuple(
        (place[i], place[j], order) for (i, j), order in drawn if order and i in place and j in place
    )
    return Molecule("".join(ELEMENTS[choices[i] - 1] for i in place), bonds)


def unpack(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (N, 45, C) -> atoms (N, 9, C) and bonds (N, 9, 9, C), symmetric, with zeros on the diagonal."""
    first, second = PAIRS.unbind(dim=1)
    bonds = x.new_zeros(len(x), MOST_ATOMS, MOST_ATOMS, x.shape[-1])
    bonds[:, first, second] = bonds[:, second, first] = x[:, MOST_ATOMS:]
    return x[:, :MOST_ATOMS], bonds


def pack(atoms: Tensor, bonds: Tensor) -> Tensor:
    """The rows again, (N, 45, C); of the bonds (N, 9, 9, C) those above the diagonal count."""
    first, second = PAIRS.unbind(dim=1)
    return torch.cat([atoms, bonds[:, first, second]], dim=1)


@dataclass(frozen=True)
class Score:
    """What sampled molecules are worth, each a share of the share before it.

    Args:
        count: how many were sampled.
        valid: share with the right valences and in one piece.
        unique: different molecules as a share of the valid ones.
        novel: those that are not in the table, as a share of the different ones.
    """

    count: int
    valid: float
    unique: float
    novel: float

    @property
    def fresh(self) -> float:
        """Different, valid molecules that are not in the table, as a share of all that were sampled."""
        return self.valid * self.unique * self.novel


def score(made: Sequence[Molecule], known: Iterable[str] | None = None) -> Score:
    """The score of sampled molecules; novel is what is not among `known` (canonical; else the table)."""
    names = [canonical(molecule) for molecule in made if is_valid(molecule)]
    different = set(names)
    new = different - set(table() if known is None else known)
    return Score(
        len(made),
        len(names) / max(len(made), 1),
        len(different) / max(len(names), 1),
        len(new) / max(len(different), 1),
    )
