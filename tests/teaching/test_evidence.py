"""Evidence pages: a claim's row is the ledger's, the page is complete, and links to it lead somewhere."""

import re
import shutil
from dataclasses import replace
from urllib.parse import unquote

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from gantrans.teaching import claims
from gantrans.teaching.claims import evidence_row
from gantrans.teaching.claims.evidence import JUDGED, NOT_MEASURED, UNIT_TEST, incomplete, region
from gantrans.teaching.claims.registry import ClaimError, Part, get, registered
from gantrans.teaching.course import cpu_limit, is_evidence, lesson, lesson_of
from gantrans.teaching.notebooks.evidence import evidence_problems
from gantrans.teaching.notebooks.executed import check, code_hash
from gantrans.teaching.notebooks.links import anchors, link_problems
from gantrans.teaching.notebooks.pattern import measured
from gantrans.teaching.notebooks.run import find_lessons, find_pages

LINES = (
    "Said",
    "Judged",
    "True",
    "Rule",
    "Seeds",
    "Effect",
    "Verdict",
    "Conditions",
    "Notes",
    "Run it again",
)


def test_a_row_says_everything_by_name():
    row = str(evidence_row("G10"))
    for line in LINES:
        assert f"- **{line}.** " in row
    entry = claims.read(claims.COMMITTED)["G10"]
    assert f"**Verdict.** **{entry['verdict']}**" in row
    assert "`python -m gantrans ablate G10 --scale reduced`" in row
    table = row.splitlines()[-len(entry["parts"]) :]
    for line, (name, part) in zip(table, entry["parts"].items(), strict=True):
        assert line.startswith(f"| {name} | at least 0.05 | {part['measured']:.4g} | {part['low']:.3g} to ")
        assert part["verdict"] in line


def test_every_claim_of_the_course_has_a_row():
    ledger = claims.read(claims.COMMITTED)
    for claim in registered().values():
        row = str(evidence_row(claim.id, ledger))
        said = [line for line in row.splitlines() if line.startswith("- **Verdict.**")]
        expected = (
            UNIT_TEST
            if claim.unit_test
            else ledger[claim.id]["verdict"]
            if claim.id in ledger
            else NOT_MEASURED
        )
        assert expected in said[0], claim.id
        assert bool(incomplete(claim, ledger)) == (expected not in (*JUDGED, UNIT_TEST)), claim.id


def test_a_claim_without_a_record_is_not_complete():
    assert incomplete(get("D02"), {}) == "it was never measured"
    assert "**Verdict.** not measured yet" in str(evidence_row("D02", {}))
    with pytest.raises(ClaimError, match="'D99' is not registered"):
        evidence_row("D99")


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.05, float("inf"), "at least 0.05"), (-float("inf"), 2, "at most 2"), (0.9, 1.1, "0.9 to 1.1")],
)
def test_a_region_in_words(low, high, words):
    assert region(Part("all", "an effect", "repeats", (low, high))) == words


PAGE = [
    "# 01 · Noise schedules: the evidence\n\nWhat was measured for [lesson 01](../01_noise_schedules.ipynb).",
    "#from gantrans.teaching.claims import evidence_row",
    "## D01\n\nThe names mean the same elsewhere.",
    '#evidence_row("D01")',
    "## D02\n\nThe trap of a short schedule.",
    '#evidence_row("D02")',
    "## A sceptic asks\n\nIs it only arithmetic? See [the claim](#D02).",
    "## What would change our mind\n\nAnother release.",
    "## How to run it again\n\n```\npython -m gantrans ablate D02 --scale reduced\n```",
]


def page(*changes):
    """The notebook of PAGE, texts replaced; a cell that begins with # and no blank is code."""
    cells = []
    for text in PAGE:
        for old, new in changes:
            text = text.replace(old, new)
        if not text:
            continue
        if text.startswith("#") and text[1] not in "# ":
            cell = new_code_cell(text[1:])
            if shown := re.findall(r'evidence_row\("(D0[12])"\)', text):
                cell.outputs = [new_output("display_data", {"text/markdown": str(evidence_row(shown[0]))})]
            cells.append(cell)
        else:
            cells.append(new_markdown_cell(text))
    return new_notebook(cells=cells)


def test_a_complete_page_passes():
    assert evidence_problems(page(), lesson("01")) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("the evidence", "evidence"), "does not begin with `# 01 · Noise schedules: the evidence`"),
        (("](../01_noise_schedules.ipynb)", "](../01.ipynb)"), "does not link back to ../01_noise_schedules"),
        (('#evidence_row("D01")', ""), "claim D01 has no row: write `## D01` and `evidence_row(\"D01\")`"),
        (("## D02", "## The trap"), "stands below `## The trap`: head the section `## D02`"),
        (('evidence_row("D02")', 'evidence_row("D02"), train_arm()'), "calls `train_arm`: an evidence page"),
        (('evidence_row("D02")', 'evidence_row("D02"); x.backward()'), "calls `backward`: an evidence page"),
        (("## A sceptic asks", "## Questions"), "lacks the sceptic's questions"),
        (("change our mind", "please us"), "lacks what would change our mind"),
        (("gantrans ablate", "gantrans train"), "lacks how to run it again"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_broken_rule_of_an_evidence_page_is_named(change, expected):
    (problem,) = evidence_problems(page(change), lesson("01"))
    assert expected in problem


def test_a_row_of_another_ledger_is_stale():
    notebook = page()
    notebook.cells[3].outputs[0].data["text/markdown"] += " "
    (problem,) = evidence_problems(notebook, lesson("01"))
    assert "does not show today's ledger" in problem
    unknown = page()
    unknown.cells.insert(4, new_code_cell('evidence_row("D99")'))
    expected = ["stands below `## D01`", "shows claim 'D99', which no claims.toml has"]
    for problem, part in zip(evidence_problems(unknown, lesson("01")), expected, strict=True):
        assert part in problem


def test_a_claim_that_was_never_measured_makes_the_page_incomplete(monkeypatch):
    ledger = claims.read(claims.COMMITTED)
    del ledger["D01"]
    monkeypatch.setattr("gantrans.teaching.notebooks.evidence.read", lambda path: ledger)
    problems = evidence_problems(page(), lesson("01"))
    assert "claim D01 is not complete: it was never measured." in problems


def test_a_lesson_may_say_that_its_claims_are_still_to_be_measured(monkeypatch):
    """Then the page is complete with rows that say so; a claim without a row is still missed."""
    ledger = claims.read(claims.COMMITTED)
    del ledger["D01"]
    monkeypatch.setattr("gantrans.teaching.notebooks.evidence.read", lambda path: ledger)
    monkeypatch.setattr(claims, "read", lambda path: ledger)
    saying = replace(lesson("01"), exceptions={"measured": "the sweep is still to be run"})
    assert list(measured(lesson("01"))) == [
        ("measured", "the claims D01 were never measured: run what decides them.")
    ]
    notebook = page()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.data["text/markdown"] = str(evidence_row(cell.source.split('"')[1], ledger))
    assert evidence_problems(notebook, saying) == []
    problems = evidence_problems(notebook, lesson("01"))
    assert problems == ["claim D01 is not complete: it was never measured."]
    without = page(('#evidence_row("D01")', ""))
    assert any("claim D01 has no row" in problem for problem in evidence_problems(without, saying))


@pytest.fixture
def course(tmp_path):
    """A lesson 01 with its evidence page, executed, in a folder of its own."""
    (tmp_path / "evidence").mkdir()
    folder = tmp_path / "lessons" / "lesson01"
    folder.mkdir(parents=True)
    shutil.copy(lesson("01").folder / "lesson.toml", folder)
    target = "[how sure?](evidence/01_noise_schedules.ipynb#D02)"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}
    nbformat.write(
        new_notebook(cells=[new_markdown_cell(target)], metadata=kernel),
        tmp_path / "01_noise_schedules.ipynb",
    )
    notebook = page()
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    notebook.metadata.update(kernel)
    notebook.metadata["gantrans"] = {"code": code_hash(notebook), "scale": "reduced"}
    nbformat.write(notebook, tmp_path / "evidence" / "01_noise_schedules.ipynb")
    return tmp_path


def test_pages_and_evidence_are_found_and_checked(course, monkeypatch):
    (lesson_page, evidence) = find_pages(course)
    assert evidence == course / "evidence" / lesson_page.name
    assert find_lessons(folder=course) == [lesson_page]
    assert is_evidence(evidence)
    assert not is_evidence(lesson_page)
    assert lesson_of(evidence).notebook == lesson_page
    assert lesson_of(evidence).evidence == evidence
    assert cpu_limit(evidence) == 20
    problems = check(evidence)  # the claims belong to the lesson of the course, not to this copy of it
    assert problems == []
    spoiled = nbformat.read(evidence, 4)
    spoiled.cells[-1].source = "Bye."
    nbformat.write(spoiled, evidence)
    assert ["lacks how to run it again" in problem for problem in check(evidence)] == [True]


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](evidence/01_noise_schedules.ipynb#D02)", None),
        ("[a](evidence/01_noise_schedules.ipynb#A-sceptic-asks)", None),
        ("[a](evidence/01_noise_schedules.ipynb)", None),
        ("[a](https://example.org/x.md#y) `[a](b)` ![a](b.png)", None),
        ("[a](#Two-words)\n\n## Two *words*", None),
        (
            "[a](evidence/01_noise_schedules.ipynb#d02)",
            "does not have: write #D02, as the heading is written.",
        ),
        ("[a](evidence/01_noise.ipynb#D02)", "links to evidence/01_noise.ipynb, which is not there"),
        ("[a](#Elsewhere)", "links to #Elsewhere, a heading that 01_noise_schedules.ipynb does not have."),
        ("[a](glossary.md)", "links to glossary.md: link to a page"),
    ],
)
def test_links_lead_to_a_file_and_a_heading(link, expected, course):
    path = course / "01_noise_schedules.ipynb"
    problems = list(link_problems(new_notebook(cells=[new_markdown_cell(link)]), path))
    assert [expected in problem for problem in problems] == ([True] if expected else [])


def test_the_rendered_page_has_the_anchors_that_links_name(course):
    path = course / "evidence" / "01_noise_schedules.ipynb"
    body, _ = HTMLExporter(template_name="basic").from_filename(str(path))
    assert anchors(path) <= {unquote(found) for found in re.findall(r'<h\d id="([^"]*)"', body)}
    assert "D02" in anchors(path)


BACK = """() => { const shell = window.jupyterapp.shell; shell.activateById([...shell.widgets('main')]
    .find(widget => widget.context?.path === 'pages/01_noise_schedules.ipynb').id) }"""
IN_VIEW = "heading => { const y = heading.getBoundingClientRect().y; return y > 0 && y < 500 }"


@pytest.mark.browser
def test_a_link_opens_the_evidence_and_goes_to_its_heading_in_jupyterlab(course, lab, browser):
    """The first click opens the page at its top (JupyterLab 4 looks for the heading too early), one on an
    open page goes to the heading."""
    url, served = lab
    shutil.copytree(course, served / "pages")
    context = browser.new_context(viewport={"width": 1280, "height": 500})
    page = context.new_page()
    page.set_default_timeout(60_000)
    try:
        page.goto(f"{url}/lab/tree/pages/01_noise_schedules.ipynb?reset")
        page.get_by_role("link", name="how sure?").click()
        heading = page.locator("h2", has_text="D02").first
        heading.wait_for()
        assert page.locator("h1", has_text="the evidence").count() == 1
        page.evaluate(BACK)
        page.get_by_role("link", name="how sure?").click()
        page.wait_for_function(IN_VIEW, arg=heading.element_handle())
    finally:
        context.close()
        shutil.rmtree(served / "pages")
