"""One glossary, and the same words in lessons, docstrings and on the page."""

import nbformat
import pytest

from gantrans import ROOT
from gantrans.errors import GantransError
from gantrans.teaching.glossary import PAGE, prose_of_code, resolve, terms, unwanted_words
from gantrans.teaching.plots import Table


def test_terms_are_unique_sorted_and_complete():
    names = [t.term.lower() for t in terms()]
    assert names == sorted(set(names))
    symbols = [t.symbol for t in terms() if t.symbol]
    assert len(symbols) == len(set(symbols))
    for term in terms():
        assert term.meaning.endswith("."), term.term
        assert term.lesson.isdigit(), term.term
        assert 0 <= int(term.lesson) <= 17, term.term


@pytest.mark.parametrize("term", [t for t in terms() if t.code], ids=lambda t: t.term)
def test_names_in_code_exist(term):
    resolve(term.code)


def test_a_name_that_does_not_exist_is_found():
    for name in (
        "gantrans.nowhere",
        "gantrans.teaching.plots.Table.weight",
        "gantrans.networks.unet.UNetConfig.kips",
    ):
        with pytest.raises(AttributeError):
            resolve(name)
    assert resolve("gantrans.teaching.plots.Table") is Table


def test_a_broken_row_is_named(tmp_path):
    page = tmp_path / "glossary.md"
    page.write_text("| Term |\n| U-Net | a | b |\n")
    with pytest.raises(GantransError, match="line 2 has 3 cells"):
        terms(page)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Batch normalization and a gray image", 2),
        ("`normalize(x)` and the so-called \"fusion model\"", 0),
        ("The fusion model takes 50 time steps.", 2),
        ("Normalised with `optimizer.step()` in grey; see https://a.org/color", 0),
        ("Set lambda_L1 to 100", 1),
        ("torch.optim.Adam(params) keeps network.optimizer as it is", 0),
    ],
)  # fmt: skip
def test_unwanted_words(text, found):
    assert len(unwanted_words(text)) == found


def test_docstrings_use_our_words():
    problems = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in sorted((ROOT / "gantrans").rglob("*.py"))
        for line, text in prose_of_code(path)
        for word in unwanted_words(text)
    ]
    assert problems == []


def test_lessons_and_pages_use_our_words():
    problems = []
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb")):
        cells = [c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown"]
        problems += [f"{path.name}: {word}" for text in cells for word in unwanted_words(text)]
    for path in [
        *sorted(ROOT.glob("*.md")),
        *sorted((ROOT / "notebooks").rglob("*.md")),
        *ROOT.glob("docs/*.md"),
    ]:
        problems += [f"{path.name}: {word}" for word in unwanted_words(path.read_text("utf-8"))]
    assert problems == []
    assert PAGE.exists()
