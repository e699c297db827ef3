"""Lesson 16: other numbers for the atoms of the same molecules, with a slip."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt

ex = BugHunt(
    id="renumber",
    lesson="16",
    title="Other numbers, the same molecule",
    difficulty=2,
    minutes=8,
    spec=r"""
    Which atom is called number 0 says nothing about a molecule. Give the atoms of B molecules other
    numbers: atom k of the result is atom `order[k]` of what was given. `atoms` has shape `(B, n, C)`, and
    `bonds` has shape `(B, n, n, C)`, where `bonds[b, i, j]` is the bond between atoms i and j. Every bond
    has to join the same two atoms as before, under their new numbers. The same `order` serves all B
    molecules. Return new atoms and new bonds, and leave what was given as it is. The code below runs, and
    has one slip. Find it and mend it.
    """,
    hints=(
        "Take two atoms with a bond and a third one without. Exchange the numbers 0 and 2 by hand, and write "
        "down both tables of bonds.",
        "A bond belongs to two atoms. How many axes of `bonds` are numbered by atoms?",
        "`bonds[:, order][:, :, order]` renumbers both axes.",
    ),
    source="Maron et al. 2019 (Invariant and equivariant graph networks): a permutation acts on both axes.",
    slip="A bond has two ends, so a table of bonds is renumbered along both axes; the code did it along one.",
    slip_code="bonds[:, order]",
    gradients=("atoms", "bonds"),
    fresh=True,
)


@ex.reference
def renumber(atoms: Tensor, bonds: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """atoms (B, n, C), bonds (B, n, n, C), order (n,) int64 -> both, with atom order[k] in place k."""
    return atoms[:, order], bonds[:, order][:, :, order]


@ex.bug
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """atoms (B, n, C), bonds (B, n, n, C), order (n,) int64 -> both, with atom order[k] in place k."""
    return atoms[:, order], bonds[:, order]


@ex.symptom
def _(answer: Answer) -> str:
    bonds = torch.zeros(1, 9, 9, 1)
    for i in range(8):
        bonds[0, i, i + 1] = bonds[0, i + 1, i] = 1
    _, new = answer(torch.zeros(1, 9, 1), bonds, torch.arange(9).flip(0))
    itself = int(new[0, :, :, 0].diagonal().sum())
    lost = int((new != new.transpose(1, 2)).sum())
    return (
        f"a chain of nine atoms is numbered from its other end, which should change nothing. In the new "
        f"table {itself} atoms are bonded to themselves, and in {lost} places `bonds[i, j]` and "
        f"`bonds[j, i]` differ."
    )


def _tables(size: int, wide: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    """Tables in which every entry is another number, the bonds symmetric."""
    atoms = torch.arange(batch * size * wide, dtype=torch.float32).view(batch, size, wide)
    bonds = torch.arange(batch * size * size * wide, dtype=torch.float32).view(batch, size, size, wide)
    return atoms, bonds + bonds.transpose(1, 2)


@ex.edges
def _() -> list[Args]:
    turned = torch.tensor([2, 0, 1])  # not its own inverse
    lopsided = torch.arange(9.0).view(1, 3, 3, 1)  # no bond is like this, but a table of anything may be
    atoms, bonds = _tables(4, 2, 3)
    return [
        (*_tables(3, 1), turned),
        (*_tables(3, 2, 2), turned),
        (_tables(3, 1)[0], lopsided, turned),
        (*_tables(1, 5), torch.tensor([0])),
        (*_tables(2, 2), torch.tensor([1, 0])),
        (*_tables(3, 3, 3), turned),  # every axis is equally long
        (*_tables(5, 2), torch.arange(5)),
        (*_tables(9, 5, 2), torch.tensor([3, 1, 4, 0, 5, 8, 2, 6, 7])),
        (atoms.mT.contiguous().mT, bonds.transpose(1, 2), torch.tensor([1, 2, 3, 0])),
    ]


@ex.inputs
def _(case: Case) -> Args:
    size, wide = case.integer(2, 7), case.integer(1, 4)
    bonds = case.randn(case.batch, size, size, wide)
    symmetric = bonds + bonds.transpose(1, 2) if case.seed % 4 else bonds
    order = torch.randperm(size, generator=case.generator)
    return case.randn(case.batch, size, wide), symmetric, order


Both = tuple[Tensor, Tensor]


def _both(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    return atoms[:, order], bonds[:, order][:, :, order]


ex.wrong(
    "columns_only",
    "You renumber the second axis of the bonds alone; a bond has two ends.",
    lambda atoms, bonds, order: (atoms[:, order], bonds[:, :, order]),
)
ex.wrong(
    "bonds_forgotten",
    "You renumber the atoms and leave the bonds: they now join other atoms.",
    lambda atoms, bonds, order: (atoms[:, order], bonds.clone()),
)
ex.wrong(
    "atoms_forgotten",
    "You renumber the bonds and leave the atoms: the elements now stand in other places.",
    lambda atoms, bonds, order: (atoms.clone(), bonds[:, order][:, :, order]),
)
ex.wrong(
    "inverse",
    "You go the other way: atom k of the result is atom order[k] of what was given, not the reverse.",
    lambda atoms, bonds, order: _both(atoms, bonds, order.argsort()),
)
ex.wrong(
    "one_axis_inverse",
    "You renumber one axis of the bonds by the order and the other by its inverse.",
    lambda atoms, bonds, order: (atoms[:, order], bonds[:, order][:, :, order.argsort()]),
)
ex.wrong(
    "bonds_inverse",
    "You renumber the bonds the other way round than the atoms.",
    lambda atoms, bonds, order: (atoms[:, order], bonds[:, order.argsort()][:, :, order.argsort()]),
)
ex.wrong(
    "turned_over",
    "You exchange the two axes of the bonds on the way.",
    lambda atoms, bonds, order: (atoms[:, order], bonds[:, order][:, :, order].transpose(1, 2)),
)


@ex.wrong(
    "made_symmetric",
    "You average the table with its transpose; that repairs how it looks, not which atoms are joined.",
)
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    rows = bonds[:, order]
    return atoms[:, order], (rows + rows.transpose(1, 2)) / 2


@ex.wrong("first_only", "You renumber the first molecule alone; the order serves all of them.")
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    new_atoms, new_bonds = _both(atoms, bonds, order)
    return torch.cat([new_atoms[:1], atoms[1:]]), torch.cat([new_bonds[:1], bonds[1:]])


@ex.wrong("in_place", "You change the tables that were given; they have to stay as they are.")
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    new_atoms, new_bonds = _both(atoms.clone(), bonds.clone(), order)
    return atoms.copy_(new_atoms), bonds.copy_(new_bonds)


ex.right(lambda atoms, bonds, order: (atoms[:, order], bonds[:, order[:, None], order]))
ex.right(
    lambda atoms, bonds, order: (
        atoms.index_select(1, order),
        bonds.index_select(1, order).index_select(2, order),
    )
)


@ex.right
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    turn = torch.eye(len(order), dtype=atoms.dtype)[order]
    return turn @ atoms, torch.einsum("ki,bijc,lj->bklc", turn, bonds, turn)


@ex.right
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    rows = [torch.stack([bonds[:, i, j] for j in order.tolist()], dim=1) for i in order.tolist()]
    return torch.stack([atoms[:, i] for i in order.tolist()], dim=1), torch.stack(rows, dim=1)


@ex.right
def _(atoms: Tensor, bonds: Tensor, order: Tensor) -> Both:
    columns = bonds.transpose(1, 2)[:, order].transpose(1, 2)
    return atoms[:, order], columns[:, order]


ex.background(
    "Which atom is called number 0",
    "`atoms` has shape `(B, n, C)`",
    "The code below runs",
    "Find it and mend it",
)
ex.breach("Give the atoms of B molecules other numbers", "inverse")
ex.breach("Every bond has to join", "columns_only")
ex.breach("The same `order` serves all", "first_only")
ex.breach("Return new atoms and new bonds", "in_place")
