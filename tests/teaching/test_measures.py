"""What is counted on a page: verdicts, words, decimals, sentences; the guide for authors shows the limits."""

import re

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from gantrans import ROOT
from gantrans.teaching.notebooks.measures import LIMITS, quantities, sentences, verdicts


@pytest.mark.parametrize(
    ("prose", "count"),
    [
        ("Level 0 holds 64 numbers, and a window holds eight lots.", 0),
        ("A test holds both to the same numbers.", 0),
        ("The door is open, and an open door excluded nobody.", 0),
        ("Verdict: **holds**.", 1),
        ("It holds for DDPM alone.", 1),
        ("The sentence holds.", 1),
        ("The claim is excluded.", 1),
        ("So D04 is open here.", 1),
        ("That was refuted, or not decided.", 2),
        ("True with conditions.", 1),
        ("**excluded**<!-- claim D02 T = 200/verdict -->", 2),
        ("smaller than stated<!-- claim D02 side -->", 1),
        ("0.36<!-- claim D02 T = 200/measured -->", 0),
        ("The code `x holds` stays, `open` does not.", 1),
    ],
)
def test_verdict_words(prose, count):
    assert len(verdicts(prose)) == count


def test_quantities_of_prose():
    prose = "Read $x = 0.25$ and `0.5` and v1.2.3, but 0.75 and -.5. Smoke: smoke 0.4.\n\n```\n0.1\n```"
    folded = "<details><summary>More</summary>\n\nSix words that nobody counts here.\n\n</details>"
    cells = [new_markdown_cell(prose), new_markdown_cell(folded)]
    found = quantities(new_notebook(cells=cells))
    assert found["decimals"] == 2
    assert found["words"] == 17
    prose = (
        "# No\n\n**Minutes:** you 3.\n\nOne two three. Four five six.\n\n- Of $f(x)$ one two three four five."
    )
    assert sentences(prose) == (pytest.approx(13 / 3), pytest.approx(2 / 3))


def test_readme_has_the_limits_of_the_code():
    page = (ROOT / "notebooks" / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"<!-- limits -->\n\n(.*?)\n\n<!-- end -->", page, re.S)
    lines = ["| rule | what is counted | at most |", "|---|---|---|"]
    for limit in LIMITS:
        start = "" if limit.start is None else f" (lesson 00: {limit.start:g})"
        lines.append(f"| `{limit.name}` | {limit.what} | {limit.most:g}{start} |")
    assert shown == "\n".join(lines)
    assert "90_pattern.ipynb" in page
