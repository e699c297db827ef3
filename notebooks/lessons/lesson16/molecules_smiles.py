"""Molecules as text: a SMILES reader, a valence check and a canonical writer for C, N, O and F.

The subset of SMILES (Weininger 1988) that the table `data/molecules` needs: the letters C, N, O and F with
implied hydrogen, the bonds `=` and `#` (a single bond is not written), branches in parentheses and ring
closures 1 to 9. Left out, because the table has none: charges, isotopes and stereochemistry, so no brackets
occur; and lower-case aromatic atoms, because its rings are written with alternating double bonds, so a
valence check needs no rule for aromaticity. A development test compares reader, check and identity with
RDKit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

VALENCE = {"C": 4, "N": 3, "O": 2, "F": 1}
"""Bonds that a neutral atom forms; hydrogen fills what is not drawn."""
SIGNS = {1: "", 2: "=", 3: "#"}
ORDERS = {"=": 2, "#": 3}


@dataclass(frozen=True)
class Molecule:
    """A graph of atoms and bonds; hydrogen is implied.

    Args:
        atoms: element letters, one for each atom: "CCO".
        bonds: (i, j, order) with i < j and order 1, 2 or 3, at most one for a pair, in rising order.
    """

    atoms: str
    bonds: tuple[tuple[int, int, int], ...]

    def neighbours(self) -> list[dict[int, int]]:
        """For each atom its neighbours, each with the order of the bond."""
        found: list[dict[int, int]] = [{} for _ in self.atoms]
        for i, j, order in self.bonds:
            found[i][j] = found[j][i] = order
        return found

    def renumbered(self, order: Sequence[int]) -> "Molecule":
        """The same molecule with atom `order[k]` in place k."""
        place = {old: new for new, old in enumerate(order)}
        bonds = ([*sorted((place[i], place[j])), size] for i, j, size in self.bonds)
        return Molecule("".join(self.atoms[i] for i in order), tuple(sorted((i, j, n) for i, j, n in bonds)))


def read_smiles(text: str) -> Molecule:
    """The molecule that a SMILES string describes; valences are not looked at.

    Raises:
        ValueError: if the text breaks the grammar; the message names the first place.
    """
    atoms: list[str] = []
    bonds: dict[tuple[int, int], int] = {}
    branches: list[int] = []  # the atoms at which branches were opened
    rings: dict[str, tuple[int, int]] = {}  # open closures: digit -> (atom, order or 0)
    here, order, before = -1, 0, ""
    for place, sign in enumerate(text):
        if sign in VALENCE:
            atoms.append(sign)
            if here >= 0:
                bonds[here, len(atoms) - 1] = order or 1
            here, order = len(atoms) - 1, 0
        elif sign in ORDERS and here >= 0 and not order:
            order = ORDERS[sign]
        elif sign == "(" and here >= 0 and not order and before != "(":
            branches.append(here)
        elif sign == ")" and branches and not order and before != "(":
            here = branches.pop()
        elif sign in "123456789" and here >= 0 and before != "(":
            other, opened = rings.pop(sign, (-1, 0))
            if other < 0:
                rings[sign] = here, order
            elif other == here or (other, here) in bonds or (order and opened and order != opened):
                raise ValueError(
                    f"{text!r}: ring closure {sign} at place {place} joins no new pair of atoms."
                )
            else:
                bonds[other, here] = order or opened or 1
            order = 0
        else:
            raise ValueError(f"{text!r}: {sign!r} cannot stand at place {place}.")
        before = sign
    if order or branches or rings or not atoms:
        raise ValueError(f"{text!r} ends with an open bond, branch or ring, or has no atom.")
    return Molecule("".join(atoms), tuple(sorted((i, j, n) for (i, j), n in bonds.items())))


def is_valid(molecule: Molecule) -> bool:
    """Whether no atom has more bonds than its valence allows and all atoms hang together (one at least)."""
    near = molecule.neighbours()
    fits = all(sum(near[i].values()) <= VALENCE[atom] for i, atom in enumerate(molecule.atoms))
    return fits and bool(near) and len(_reached(near)) == len(near)


def is_valid_smiles(text: str) -> bool:
    """Whether a text is a SMILES string of the subset that describes a valid molecule."""
    try:
        return is_valid(read_smiles(text))
    except ValueError:
        return False


def canonical(molecule: Molecule) -> str:
    """One SMILES string for all numberings of a molecule (one in one piece, of nine atoms or so).

    Benzene can be drawn in two ways, with the double bonds in either half of the ring, and both are one
    molecule: the string is the smallest of those for all ways to shift double bonds round rings of six.
    """
    return min(write_smiles(way.renumbered(_canonical_order(way))) for way in _resonant(molecule))


def write_smiles(molecule: Molecule) -> str:
    """A SMILES string that starts at atom 0 and goes on to the neighbour of lowest number first.

    Only the piece of atom 0 is written.
    """
    near = molecule.neighbours()
    met: dict[int, int] = {}  # atom -> when the walk met it
    children: dict[int, list[int]] = {}
    closures: dict[int, list[tuple[int, int]]] = {}  # atom -> the rings (upper, lower atom) that pass it
    digits: dict[tuple[int, int], int] = {}  # rings that are open

    def walk(i: int, parent: int) -> None:
        met[i], children[i] = len(met), []
        closures.setdefault(i, [])
        for j in sorted(near[i]):
            if j not in met:
                children[i].append(j)
                walk(j, i)
            elif j != parent and met[j] < met[i]:
                closures[j].append((j, i))
                closures[i].append((j, i))

    def written(i: int, order: int) -> str:
        ends = ""
        closed = [ring for ring in closures[i] if ring in digits]
        for ring in closures[i]:
            if ring not in closed:
                digits[ring] = min(set(range(1, 10)) - set(digits.values()))
                ends += SIGNS[near[i][ring[1]]]
            ends += str(digits[ring])
        for ring in closed:
            del digits[ring]
        parts = [written(child, near[i][child]) for child in children[i]]
        return (
            SIGNS[order]
            + molecule.atoms[i]
            + ends
            + "".join(f"({p})" for p in parts[:-1])
            + "".join(parts[-1:])
        )

    walk(0, -1)
    return written(0, 1)


def _reached(near: Sequence[dict[int, int]]) -> set[int]:
    """The atoms that hang together with atom 0."""
    found, edge = {0}, [0]
    while edge:
        new = set(near[edge.pop()]) - found
        found |= new
        edge += new
    return found


def _canonical_order(molecule: Molecule) -> list[int]:
    """The numbering whose list of atoms and bonds is the smallest: refine classes, then try each of a tie."""
    near = molecule.neighbours()
    start = [(len(n), atom, sum(n.values())) for n, atom in zip(near, molecule.atoms, strict=True)]

    def key(order: list[int]) -> tuple[str, tuple[tuple[int, int, int], ...]]:
        new = molecule.renumbered(order)
        return new.atoms, new.bonds

    return min(_orders(_ranks(start), near), key=key)


def _orders(ranks: list[int], near: list[dict[int, int]]) -> Iterator[list[int]]:
    """Numberings that agree with the refined classes; of leaves on one atom only one is tried first."""
    ranks = _refined(ranks, near)
    ties = [i for i in range(len(ranks)) if ranks.count(ranks[i]) > 1]
    if not ties:
        yield sorted(range(len(ranks)), key=ranks.__getitem__)
        return
    lowest = min(ranks[i] for i in ties)
    tried: set[int] = set()
    for i in ties:
        if ranks[i] != lowest or (len(near[i]) == 1 and min(near[i]) in tried):
            continue
        if len(near[i]) == 1:
            tried |= set(near[i])
        yield from _orders([2 * rank - (k == i) for k, rank in enumerate(ranks)], near)


def _refined(ranks: list[int], near: list[dict[int, int]]) -> list[int]:
    """Classes split by the classes of neighbours until nothing splits (Weisfeiler and Leman 1968)."""
    while True:
        finer = _ranks([
            (ranks[i], tuple(sorted((ranks[j], order) for j, order in n.items()))) for i, n in enumerate(near)
        ])  # fmt: skip
        if len(set(finer)) == len(set(ranks)):
            return finer
        ranks = finer


def _ranks(values: Sequence[tuple[object, ...]]) -> list[int]:
    place = {value: k for k, value in enumerate(sorted(set(values)))}  # type: ignore[type-var]
    return [place[value] for value in values]


def _resonant(molecule: Molecule) -> list[Molecule]:
    """The molecule and all that follow by exchanging single and double bonds round rings of six."""
    found = {molecule.bonds: molecule}
    edge = [molecule]
    while edge:
        now = edge.pop()
        for ring in _alternating_rings(now):
            bonds = tuple((i, j, 3 - n if (i, j) in ring else n) for i, j, n in now.bonds)
            if bonds not in found:
                found[bonds] = Molecule(now.atoms, bonds)
                edge.append(found[bonds])
    return list(found.values())


def _alternating_rings(molecule: Molecule) -> list[set[tuple[int, int]]]:
    """The pairs of atoms of each ring of six whose bonds are single and double in turns."""
    near = molecule.neighbours()
    rings: list[set[tuple[int, int]]] = []

    def walk(path: list[int]) -> None:
        wanted = 2 if len(path) % 2 else 1
        for j, order in near[path[-1]].items():
            if order != wanted:
                continue
            if len(path) == 6 and j == path[0]:
                ring = {(min(a, b), max(a, b)) for a, b in zip(path, [*path[1:], j], strict=True)}
                if ring not in rings:
                    rings.append(ring)
            elif len(path) < 6 and j not in path:
                walk([*path, j])

    for i in range(len(near)):
        if 2 in near[i].values():
            walk([i])
    return rings
