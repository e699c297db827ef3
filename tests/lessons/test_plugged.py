"""Every lesson with other right answers in place of the open stubs: what it prints stays, to rounding.

The texts of exercises are left out: no answer changes them.

The answers stand in the exercises' files. They are put in as text, as a learner would write them, so that the
source that is kept of each is tried in a real notebook as well.
"""

import json
import re
from functools import cache

import nbformat
import pytest

from gantrans.teaching.exercises import exercise
from gantrans.teaching.learner.sources import NotKept, source_of
from gantrans.teaching.notebooks.executed import run_copy
from gantrans.teaching.notebooks.run import find_lessons
from gantrans.teaching.notebooks.text import COMPARED

_NUMBER = re.compile(r"[-\u2212]?\d[\d,]*\.?\d*(?:e[-+]\d\d\b)?")
OF_THE_LEARNER = re.compile(r"\.show\(\)|my_progress\(")
"""Cells that show a text or what has been solved."""
_MEMORY = re.compile(r"<[\w.]+ object at 0x\w+>")


def plugged(notebook):
    """Put right answers into the stubs' cells, in place; gives the numbers of the cells that check them.

    The stub of an open task stays: its right answers do different things.
    """
    named, asked, checks = None, {}, {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        found = re.findall(r'\bexercise\("(\w+)"\)', cell.source)
        named = found[-1] if found else named
        if "exercise" in cell.metadata.get("tags", []) and exercise(named).kind != "open task":
            asked[exercise(named).name] = named
            check = re.search(r"^\w+ = ex\.check\(.*", cell.source, re.M)  # a page of the pattern has it here
            cell.source = "\n\n\n".join([other_right_answer(named), *([check[0]] if check else [])])
        for name in re.findall(r"\.check\((\w+)", cell.source):
            checks |= {number: asked[name]} if name in asked else {}
    assert sorted(checks.values()) == sorted(asked.values())
    return checks


@cache
def other_right_answer(name):
    """The text of the first right answer that can be kept."""
    ex = exercise(name)
    for answer in ex.rights:
        try:
            return source_of(answer, ex.name)
        except NotKept:
            continue
    raise AssertionError(f"no right answer of {name} can be kept")


def printed(cell):
    """What a cell shows as text, numbers apart."""
    texts = []
    for output in cell.get("outputs", []):
        data = {m: t for m, t in output.get("data", {}).items() if m.startswith("text/")}
        texts += [output["text"]] if "text" in output else []
        texts += [data[mime] for mime in sorted(data)]
    text = _MEMORY.sub("", "\n".join("".join(t) for t in texts))
    return _NUMBER.sub("#", text), _NUMBER.findall(text)


def same_number(committed, now):
    """Equal to one unit in the last place that is printed."""
    texts = [text.replace(",", "").replace("\u2212", "-") for text in (committed, now)]
    places = min(len(text.partition("e")[0].partition(".")[2]) for text in texts)
    power = int(texts[0].partition("e")[2] or 0)
    return abs(float(texts[0]) - float(texts[1])) <= 1.01 * 10.0 ** (power - places) * ("." in texts[0])


@pytest.mark.parametrize("path", find_lessons(), ids=lambda path: path.stem)
def test_a_lesson_runs_on_other_right_answers(path, tmp_path):
    committed = nbformat.read(path, 4)
    notebook = nbformat.read(path, 4)
    checks = plugged(notebook)
    copy = tmp_path / path.name
    nbformat.write(notebook, copy)
    ran = run_copy(copy, "smoke")
    for number, (before, after) in enumerate(zip(committed.cells, ran.cells, strict=True)):
        if number in checks:
            text = json.dumps(after.outputs)
            assert f"{checks[number]}: correct." in text, text
            assert "the lesson runs yours.<" in text, text  # and no remark that it cannot be kept
        elif COMPARED in before.metadata.get("tags", []) and not OF_THE_LEARNER.search(before.source):
            (words, numbers), (now, found) = printed(before), printed(after)
            assert now == words, f"cell {number}: {before.source}"
            wrong = [pair for pair in zip(numbers, found, strict=True) if not same_number(*pair)]
            assert not wrong, f"cell {number}: {before.source}"
