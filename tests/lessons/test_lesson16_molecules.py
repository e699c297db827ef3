"""Lesson 16, molecules: the table, reader, valence check and identity against RDKit, rows, drawing.

RDKit is no dependency. Where it is installed, two tests run it; else its earlier results
stand for it, in tests/fixtures/molecules_rdkit.json. To write that file again, with RDKit installed:

    python tests/lessons/test_lesson16_molecules.py
"""

import json
import random
from collections import defaultdict

import numpy as np
import pytest
import torch

from gantrans import ROOT
from gantrans.teaching.exercises import exercise
from gantrans.teaching.plots import alt_text
from lessons.lesson16 import molecules
from lessons.lesson16.figures import molecules as figures
from lessons.lesson16.molecules import Molecule, read_smiles

FIXTURE = ROOT / "tests" / "fixtures" / "molecules_rdkit.json"
SIGNS = "CNOF()=#12345"


def edited(count, seed):
    """SMILES strings of the table after one to three random edits, most of them broken, sorted."""
    draw, found = random.Random(seed), set()
    while len(found) < count:
        text = list(draw.choice(molecules.table()))
        for _ in range(draw.randint(1, 3)):
            place = draw.randrange(len(text) + 1)
            end = place + draw.choice((0, 1, 1))
            text[place:end] = draw.choice(
                ([], [draw.choice(SIGNS)], [*text[place:end][::-1], draw.choice(SIGNS)])
            )
        found.add("".join(text))
    return sorted(found - {""} - set(molecules.table()))


def rdkit_name(text):
    """RDKit's canonical form of a string, "" if it refuses it.

    Its clean-up is off: it would make charges of five-bonded nitrogen, and the course has no charges.
    """
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")
    molecule = Chem.MolFromSmiles(text, sanitize=False)
    if molecule is None:
        return ""
    flags = Chem.SanitizeFlags
    failed = Chem.SanitizeMol(molecule, flags.SANITIZE_ALL ^ flags.SANITIZE_CLEANUP, catchErrors=True)
    return "" if failed else Chem.MolToSmiles(molecule)


def rewritten(text, count, draw):
    """Other SMILES strings of a molecule, by RDKit: other first atoms, branches, double bonds in rings."""
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(text)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    order = list(range(molecule.GetNumAtoms()))
    ways = set()
    for _ in range(count):
        draw.shuffle(order)
        ways.add(Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False, kekuleSmiles=True))
    fresh = Chem.RenumberAtoms(
        Chem.MolFromSmiles(text), order
    )  # kekulised from aromatic: bonds may be shifted
    Chem.Kekulize(fresh, clearAromaticFlags=True)
    return sorted(ways | {Chem.MolToSmiles(fresh, kekuleSmiles=True)})


def asked():
    """What the fixture keeps: RDKit's name of edited strings, and other writings of some molecules."""
    import rdkit

    draw = random.Random(1)
    chosen = sorted(draw.sample(molecules.table(), 120))
    return {
        "rdkit": rdkit.__version__,
        "edited": {text: rdkit_name(text) for text in edited(1500, seed=0)},
        "rewritten": {text: rewritten(text, 3, draw) for text in chosen},
    }


@pytest.fixture(scope="module")
def kept():
    return json.loads(FIXTURE.read_text("utf-8"))


def same_partition(names):
    """Whether our canonical form and RDKit's tell the same molecules apart; `names`: text -> RDKit's name."""
    ours, theirs = defaultdict(set), defaultdict(set)
    for text, name in names.items():
        mine = molecules.canonical(read_smiles(text))
        ours[mine].add(name)
        theirs[name].add(mine)
    return [group for group in (*ours.items(), *theirs.items()) if len(group[1]) > 1]


def test_the_check_accepts_what_rdkit_accepted(kept):
    names = kept["edited"]
    assert [t for t, name in names.items() if molecules.is_valid_smiles(t) != bool(name)] == []
    valid = {text: name for text, name in names.items() if name}
    assert len(valid) > 150
    assert len(names) - len(valid) > 1000
    assert same_partition(valid) == []


def test_every_writing_of_a_molecule_has_one_canonical_form(kept):
    assert len(kept["rewritten"]) == 120
    for text, ways in kept["rewritten"].items():
        assert {molecules.canonical(read_smiles(way)) for way in ways} == {text}


def test_rdkit_says_today_what_the_fixture_kept(kept):
    pytest.importorskip("rdkit")
    assert {text: rdkit_name(text) for text in kept["edited"]} == kept["edited"]


def test_rdkit_agrees_on_the_whole_table_and_on_thousands_of_edits():
    pytest.importorskip("rdkit")
    table = {text: rdkit_name(text) for text in molecules.table()}
    assert all(table.values())
    assert same_partition(table) == []
    texts = edited(4000, seed=2)
    names = {text: rdkit_name(text) for text in texts}
    assert [t for t in texts if molecules.is_valid_smiles(t) != bool(names[t])] == []
    assert same_partition({text: name for text, name in names.items() if name}) == []


def test_the_table_is_sorted_canonical_and_valid():
    table = molecules.table()
    assert len(table) == 5778 == len(set(table))
    assert list(table) == sorted(table, key=lambda text: (len(text), text))
    assert max(map(len, table)) == 21
    assert set("".join(table)) <= set(SIGNS)
    read = [read_smiles(text) for text in table]
    assert {len(one.atoms) for one in read} == set(range(1, 10))
    assert all(map(molecules.is_valid, read))
    assert [molecules.canonical(one) for one in read] == list(table)
    page = (ROOT / "data" / "molecules" / "README.md").read_text("utf-8")
    assert "5,778 different molecules" in page


@pytest.mark.parametrize(
    "text", ["", "(C)C", "C(", "C)", "C()C", "C((C))C", "C=", "=C", "C==C", "C(=)C", "C1CC", "C11", "C1C1",
             "C=1CCC#1", "1CC1", "C(1CC1)", "c1ccccc1", "CCl", "C.C", "[NH4+]", "C-C", "C=(C)C", "C12CC12"],
)  # fmt: skip
def test_a_string_that_breaks_the_grammar_is_refused_with_its_place(text):
    with pytest.raises(ValueError, match=r"cannot stand at place|ends with an open|joins no new pair"):
        read_smiles(text)


def test_benzene_has_one_name_and_cyclooctatetraene_keeps_its_bonds():
    first, second = (
        "CC1=CC=CC=C1C",
        "CC=1C=CC=CC1C",
    )  # o-xylene, a single or a double bond between the methyls
    assert molecules.canonical(read_smiles(first)) == molecules.canonical(read_smiles(second))
    ring = ("CC1=CC=CC=CC=C1F", "CC=1C=CC=CC=CC1F")  # a ring of eight: two different molecules
    assert len({molecules.canonical(read_smiles(text)) for text in ring}) == 2


def test_rows_and_molecules_are_the_same():
    some = molecules.table()[::37]
    x = molecules.encode(some)
    assert x.shape == (len(some), 45, 5)
    assert set(x.unique().tolist()) == {-1.0, 1.0}
    assert torch.equal(x.sum(dim=2), torch.full((len(some), 45), -3.0))  # one column of each row
    assert [molecules.canonical(one) for one in molecules.decode(x)] == list(some)
    assert torch.equal(molecules.pack(*molecules.unpack(x)), x)
    x[:, 9:, 4] = 9.0  # the column without a meaning
    assert [molecules.canonical(one) for one in molecules.decode(x)] == list(some)
    with pytest.raises(ValueError, match="has 10 atoms"):
        molecules.encode(["C" * 10])


def test_an_absent_atom_takes_its_bonds_along():
    x = molecules.encode(["CCO"])
    x[0, 1] = torch.tensor([1.0, -1, -1, -1, -1])
    assert molecules.decode(x) == [Molecule("CO", ())]
    assert not molecules.is_valid(molecules.decode(x)[0])


def test_renumbered_rows_are_the_same_molecules():
    renumber = exercise("renumber").function
    some = molecules.table()[50::111]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    turned = molecules.pack(*renumber(*molecules.unpack(molecules.encode(some)), order))
    assert [molecules.canonical(one) for one in molecules.decode(turned)] == list(some)


def test_the_exercise_and_the_library_check_alike():
    valid_molecule, draw = exercise("valid_molecule").function, random.Random(0)
    noisy = molecules.encode(draw.choices(molecules.table(), k=300))
    noisy += 0.6 * torch.randn(noisy.shape, generator=torch.Generator().manual_seed(0))
    made = molecules.decode(noisy)
    ours = [molecules.is_valid(one) for one in made]
    assert 30 < sum(ours) < 270
    assert [valid_molecule(one.atoms, molecules.bond_matrix(one)) for one in made] == ours


def test_a_score_counts_valid_then_different_then_new():
    made = [read_smiles(text) for text in ("CCO", "OCC", "CO", "CC#CC#CC#CF", "C=F", "CCCCCCCCN")]
    made += [Molecule("CC", ()), Molecule("", ())]
    score = molecules.score(made, known={"CCO", "CO"})
    assert (score.count, score.valid, score.unique, score.novel) == (8, 5 / 8, 4 / 5, 2 / 4)
    assert score.fresh == pytest.approx(2 / 8)
    assert molecules.score([]).fresh == 0


def test_drawn_molecules_keep_their_bonds_apart_and_are_described():
    for text in ("CCCCCCCCC", "C1=CC=CC=C1", "CC(C)(C)C", "CC1=CC2=CC=CC2=N1"):
        molecule = read_smiles(text)
        places = figures.layout(molecule)
        gaps = np.linalg.norm(places[:, None] - places[None], axis=2)
        bonds = [gaps[i, j] for i, j, _ in molecule.bonds]
        assert 0.7 < min(bonds) <= max(bonds) < 1.3, text
        assert gaps[np.triu_indices(len(places), 1)].min() > 0.6, text
    assert np.array_equal(figures.layout(molecule), figures.layout(read_smiles(text)))
    rows = {"kept": [read_smiles("CCO")], "broken": [Molecule("FF", ((0, 1, 2),)), Molecule("", ())]}
    words = alt_text(figures.molecules_figure(rows, columns=2))
    assert words == ("kept: CCO; 0 of 1 are crossed out. broken: no valid molecule; 2 of 2 are crossed out.")


if __name__ == "__main__":
    FIXTURE.write_text(json.dumps(asked(), indent=0, sort_keys=True) + "\n", "utf-8")
