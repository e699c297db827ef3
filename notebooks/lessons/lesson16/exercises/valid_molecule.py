"""Lesson 16: whether a graph of atoms and bonds can be a molecule."""

from collections import deque
from collections.abc import Callable, Sequence

import torch

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Table = list[list[int]]

ex = Exercise(
    id="valid_molecule",
    lesson="16",
    title="Can this be a molecule?",
    difficulty=2,
    minutes=12,
    spec="""
    `atoms` is a text of n letters, one for each atom, and `bonds` a table of whole numbers, a list of n
    rows with n numbers each: `bonds[i][j]` is the order of the bond between atoms i and j, 1, 2 or 3, or 0
    if there is none. It is symmetric, with 0 on the diagonal. Return True if three things are so, else
    False:

    1. There is at least one atom.
    2. No atom has more bonds than its valence allows. That is 4 for `C`, 3 for `N`, 2 for `O` and 1 for
       `F`, and a bond counts with its order. Fewer bonds are fine, because hydrogen fills the rest.
    3. All atoms hang together: from the first atom you come to every other one along bonds.
    """,
    hints=(
        "How many bonds an atom has is the sum of its row of the table.",
        "For the third rule keep a set of atoms that you have reached, {0} at first. Add their neighbours as "
        "often as there are atoms; no way is longer.",
        "`reached |= {j for i in reached for j in range(len(atoms)) if bonds[i][j] > 0}`",
    ),
    source="Weininger 1988 (SMILES: implied hydrogen, normal valences); compared with RDKit on the table.",
    equivalent={
        "-> `zip(atoms, bonds)`": "the table has a row for each atom",
        "4.78 `True` -> `False`": "the table has a row for each atom",
    },
)


@ex.reference
def valid_molecule(atoms: str, bonds: list[list[int]]) -> bool:
    """n letters of C, N, O, F and the orders of their bonds, n rows of n -> whether it can be a molecule."""
    valence = {"C": 4, "N": 3, "O": 2, "F": 1}
    if any(sum(row) > valence[atom] for atom, row in zip(atoms, bonds, strict=True)):
        return False
    reached = {0}
    for _ in atoms:
        reached |= {j for i in reached for j in range(len(atoms)) if bonds[i][j] > 0}
    return len(reached) == len(atoms)


def _table(size: int, *drawn: tuple[int, int, int]) -> Table:
    bonds = [[0] * size for _ in range(size)]
    for i, j, order in drawn:
        bonds[i][j] = bonds[j][i] = order
    return bonds


def _moved(bonds: Table, order: Sequence[int]) -> Table:
    return [[bonds[i][j] for j in order] for i in order]


def _chain(size: int) -> Table:
    return _table(size, *((i, i + 1, 1) for i in range(size - 1)))


@ex.edges
def _() -> list[Args]:
    star = _table(5, *((0, k, 1) for k in range(1, 5)))
    six = _table(6, *((k, (k + 1) % 6, 1 + k % 2) for k in range(6)))
    pieces = _table(6, (0, 1, 1), (1, 2, 1), (3, 4, 1), (4, 5, 1))
    return [
        ("", _table(0)),
        *((atom, _table(1)) for atom in "CNOF"),
        ("CO", _table(2, (0, 1, 2))),
        ("CO", _table(2, (0, 1, 3))),
        ("CN", _table(2, (0, 1, 3))),
        ("FF", _table(2, (0, 1, 1))),
        ("FC", _table(2, (0, 1, 2))),
        ("CC", _table(2)),
        ("CCC", _table(3, (0, 1, 1))),
        ("CCC", _table(3, (1, 2, 1))),
        ("CCC", _table(3, (0, 1, 3), (1, 2, 2))),  # five bonds, but only two neighbours
        ("CCC", _table(3, (0, 1, 2), (1, 2, 2))),
        ("CFFFF", star),
        ("NFFFF", star),
        ("CCCCCC", six),
        ("CNCCCC", six),
        ("COCCCC", six),
        ("CCCCCC", pieces),
        ("CCCCCCCCC", _chain(9)),
        ("FCCCCCCCF", _chain(9)),
        ("CCCCCCCCF"[::-1], _chain(9)),
        ("CCCFCCCCC", _chain(9)),
        (
            "CCCCCCCCC",
            _moved(_chain(9), [8, 0, 1, 2, 3, 4, 5, 6, 7]),
        ),  # one chain, the first atom in another place
        ("CCCCC", _table(5, (0, 4, 1), (4, 1, 1), (1, 3, 1), (3, 2, 1))),  # numbers that jump to and fro
        ("NNN", _table(3, (0, 1, 1), (1, 2, 1), (0, 2, 1))),
        ("CCCCCC", _table(6, (0, 1, 1), (1, 2, 1), (0, 2, 1), (3, 4, 1), (4, 5, 1), (3, 5, 1))),
        ("FCCF", _table(4, (0, 1, 1), (2, 3, 1))),
        ("CCF", _table(3, (0, 1, 1), (1, 2, 2))),
        ("OCC", _table(3, (0, 1, 2), (0, 2, 1))),
    ]


@ex.inputs
def _(case: Case) -> Args:
    count = case.integer(2, 9)
    atoms = "".join(case.choice("CCCNOF") for _ in range(count))
    tree = [(case.integer(0, k - 1), k, case.choice((1, 1, 1, 2))) for k in range(1, count)]
    left = tree if case.seed % 3 else tree[:-1]
    order = torch.randperm(count, generator=case.generator).tolist()
    return atoms, _moved(_table(count, *left), order)


VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}


def _fits(atoms: str, bonds: Table, valence: dict[str, int] = VALENCE) -> bool:
    return all(sum(row) <= valence[atom] for atom, row in zip(atoms, bonds, strict=True))


def _joined(bonds: Table) -> bool:
    """Whether one piece, of one atom at least."""
    if not len(bonds):
        return False
    reached, edge = {0}, deque([0])
    while edge:
        new = [j for j, order in enumerate(bonds[edge.popleft()]) if order and j not in reached]
        reached |= set(new)
        edge.extend(new)
    return len(reached) == len(bonds)


def _with(valence: dict[str, int]) -> Callable[[str, Table], bool]:
    return lambda atoms, bonds: _joined(bonds) and _fits(atoms, bonds, valence)


ex.wrong(
    "pieces_allowed",
    "You do not ask whether the atoms hang together: two molecules side by side are not one.",
    lambda atoms, bonds: bool(atoms) and _fits(atoms, bonds),
)
ex.wrong(
    "nothing_allowed",
    "You call no atoms at all a molecule.",
    lambda atoms, bonds: not atoms or (_joined(bonds) and _fits(atoms, bonds)),
)
ex.wrong(
    "neighbours_counted",
    "You count neighbours; a double bond counts twice and a triple bond three times.",
    lambda atoms, bonds: _joined(bonds) and _fits(atoms, [[min(order, 1) for order in row] for row in bonds]),
)
ex.wrong(
    "must_be_full",
    "You ask for exactly as many bonds as the valence; hydrogen, which is not drawn, fills what is left.",
    lambda atoms, bonds: (
        _joined(bonds) and all(sum(row) == VALENCE[atom] for atom, row in zip(atoms, bonds, strict=True))
    ),
)
ex.wrong(
    "one_too_few",
    "You refuse an atom whose bonds are all used: as many as the valence are allowed.",
    lambda atoms, bonds: (
        _joined(bonds) and all(sum(row) < VALENCE[atom] for atom, row in zip(atoms, bonds, strict=True))
    ),
)
ex.wrong(
    "all_like_carbon",
    "You allow every element four bonds.",
    _with(dict.fromkeys("CNOF", 4)),
)
ex.wrong(
    "nitrogen_four",
    "You allow nitrogen four bonds; neutral nitrogen forms three.",
    _with({**VALENCE, "N": 4}),
)
ex.wrong("fluorine_two", "You allow fluorine two bonds; it forms one.", _with({**VALENCE, "F": 2}))
ex.wrong(
    "only_neighbours",
    "You look one bond far: atoms that the first one reaches in two steps are part of the molecule, too.",
    lambda atoms, bonds: bool(atoms) and _fits(atoms, bonds) and all(bonds[0][1:]),
)
ex.wrong(
    "no_lonely_atom",
    "You only ask that every atom has a bond; two pieces of two atoms pass that.",
    lambda atoms, bonds: (
        bool(atoms) and _fits(atoms, bonds) and (len(atoms) == 1 or all(sum(row) for row in bonds))
    ),
)
ex.wrong(
    "enough_bonds",
    "You compare the number of bonds with the number of atoms; a ring beside a loose atom passes that.",
    lambda atoms, bonds: (
        bool(atoms)
        and _fits(atoms, bonds)
        and sum(order > 0 for row in bonds for order in row) // 2 >= len(atoms) - 1
    ),
)
ex.wrong(
    "sum_of_all",
    "You compare the sum of all bonds with the sum of all valences; each atom has a limit of its own.",
    lambda atoms, bonds: _joined(bonds) and sum(map(sum, bonds)) <= sum(VALENCE[atom] for atom in atoms),
)


@ex.wrong(
    "one_pass", "You go through the atoms once and in their order; a way may lead back to a smaller number."
)
def _(atoms: str, bonds: Table) -> bool:
    reached = {0}
    for i in range(len(atoms)):
        if i in reached:
            reached |= {j for j, order in enumerate(bonds[i]) if order}
    return bool(atoms) and _fits(atoms, bonds) and len(reached) == len(atoms)


ex.right(lambda atoms, bonds: _joined(bonds) and _fits(atoms, bonds))


@ex.right
def _(atoms: str, bonds: Table) -> bool:
    if not atoms:
        return False
    limits = torch.tensor([VALENCE[atom] for atom in atoms])
    orders = torch.tensor(bonds)
    walks = torch.linalg.matrix_power(torch.eye(len(atoms)) + (orders > 0), len(atoms))
    return bool((orders.sum(dim=1) <= limits).all() and (walks > 0).all())


@ex.right
def _(atoms: str, bonds: Table) -> bool:
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    if len(atoms) == 0:
        return False
    limits = np.array([VALENCE[atom] for atom in atoms])
    return bool((np.sum(bonds, axis=0) <= limits).all()) and connected_components(np.array(bonds))[0] == 1


@ex.right
def _(atoms: str, bonds: Table) -> bool:
    group = list(range(len(atoms)))
    for i, j in ((i, j) for i in range(len(atoms)) for j in range(len(atoms)) if bonds[i][j]):
        group = [group[i] if g == group[j] else g for g in group]
    return len(set(group)) == 1 and _fits(atoms, bonds)


@ex.right
def _(atoms: str, bonds: Table) -> bool:
    left = [VALENCE[atom] for atom in atoms]
    for i in range(len(atoms)):
        for j in range(i):
            left[i] -= bonds[i][j]
            left[j] -= bonds[i][j]

    def visit(i: int, seen: set[int]) -> set[int]:
        seen.add(i)
        for j in range(len(atoms)):
            if bonds[i][j] and j not in seen:
                visit(j, seen)
        return seen

    return bool(left) and min(left) >= 0 and len(visit(0, set())) == len(left)


ex.background(
    "`atoms` is a text of n letters",
    "`bonds[i][j]` is the order",
    "It is symmetric",
    "Return True if three things are so",
)
ex.breach("There is at least one atom.", "nothing_allowed")
ex.breach("No atom has more bonds than its valence", "one_too_few")
ex.breach("That is 4 for `C`", "all_like_carbon")
ex.breach("a bond counts with its order", "neighbours_counted")
ex.breach("Fewer bonds are fine", "must_be_full")
ex.breach("All atoms hang together", "pieces_allowed")
