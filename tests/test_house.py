"""Where things stand: the rules of tests/house.py hold, and each of them finds a planted violation."""

import json

import pytest
from house import (
    MOST_FUNCTION_LINES,
    MOST_LINES,
    circles,
    floors_go_down,
    lessons_import_earlier_ones,
    library_knows_nothing_of_teaching,
    long_files,
    long_functions,
    nothing_generated,
    one_command_measures,
    sources,
    teaching_knows_no_lesson,
)

from gantrans import ROOT

RULES = [
    library_knows_nothing_of_teaching,
    teaching_knows_no_lesson,
    lessons_import_earlier_ones,
    floors_go_down,
    circles,
    one_command_measures,
    nothing_generated,
]
GOOD = {
    "gantrans/__init__.py": "ROOT = 1",
    "gantrans/errors.py": "",
    "gantrans/__main__.py": "from gantrans.command_line import options",
    "gantrans/data/__init__.py": "from gantrans.data.pairs import Pairs",
    "gantrans/data/pairs.py": "from gantrans.errors import Error\nPairs = 1",
    "gantrans/translation/recipes.py": "from gantrans.data import Pairs",
    "gantrans/command_line/options.py": "def run():\n    from gantrans.translation import recipes",
    "gantrans/teaching/places.py": "from importlib import import_module\nfrom gantrans.data import Pairs",
    "notebooks/lessons/__init__.py": "",
    "notebooks/lessons/shared/setting.py": "from gantrans.teaching import places",
    "notebooks/lessons/lesson05/losses.py": "from lessons.shared import setting",
    "notebooks/lessons/lesson06/losses.py": "from lessons.lesson05.losses import loss\nimport gantrans.data",
}


@pytest.fixture
def plant(tmp_path):
    """Write the good tree and then the given files; the root."""

    def write(**files):
        for name, text in {**GOOD, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def page(*cells):
    return json.dumps({"cells": [{"cell_type": "code", "source": [cell]} for cell in cells]})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    assert len(sources(ROOT)) > 250
    assert rule(ROOT) == []


@pytest.mark.parametrize("found", [long_files, long_functions])
def test_a_file_is_one_sitting_and_a_function_fits_a_screen(found):
    assert found(ROOT) == {}


def test_a_good_tree_breaks_no_rule(plant):
    root = plant()
    assert [rule(root) for rule in RULES] == [[]] * len(RULES)
    assert sources(root)["lessons.lesson06.losses"].imports == {
        "lessons.lesson05.losses",
        "gantrans.data",
    }
    assert sources(root)["gantrans.data.pairs"].imports == {"gantrans.errors"}


@pytest.mark.parametrize(
    ("rule", "files", "expected"),
    [
        (
            library_knows_nothing_of_teaching,
            {"gantrans/data/pairs.py": "def f():\n    from gantrans.teaching.places import found"},
            ["gantrans/data/pairs.py imports gantrans.teaching.places: the library must work without"],
        ),
        (
            library_knows_nothing_of_teaching,
            {"gantrans/__main__.py": "from gantrans import teaching, errors"},
            ["gantrans/__main__.py imports gantrans.teaching"],
        ),
        (
            library_knows_nothing_of_teaching,
            {"gantrans/data/pairs.py": "import importlib\nimportlib.import_module('lessons.shared.setting')"},
            ["gantrans/data/pairs.py imports lessons.shared.setting"],
        ),
        (
            teaching_knows_no_lesson,
            {"gantrans/teaching/places.py": "if 1:\n    from lessons.lesson05 import losses"},
            ["gantrans/teaching/places.py imports lessons.lesson05.losses: the machinery"],
        ),
        (
            lessons_import_earlier_ones,
            {"notebooks/lessons/lesson05/losses.py": "import lessons.lesson06.losses as later"},
            ["notebooks/lessons/lesson05/losses.py imports lessons.lesson06.losses: only lessons before"],
        ),
        (
            lessons_import_earlier_ones,
            {"notebooks/lessons/shared/setting.py": "from lessons.lesson05.losses import loss"},
            ["notebooks/lessons/shared/setting.py imports lessons.lesson05.losses"],
        ),
        (
            lessons_import_earlier_ones,
            {
                "notebooks/05_patches.ipynb": page(
                    "%pip\nimport lessons.lesson04", "from lessons.lesson06 import losses"
                )
            },
            ["notebooks/05_patches.ipynb imports lessons.lesson06.losses"],
        ),
        (
            floors_go_down,
            {"gantrans/data/pairs.py": "from gantrans.translation import recipes"},
            ["gantrans/data/pairs.py, floor 1, imports gantrans.translation.recipes, floor 3."],
        ),
        (
            floors_go_down,
            {"gantrans/data/pairs.py": "import gantrans.metrics", "gantrans/metrics/__init__.py": ""},
            ["gantrans/data/pairs.py, floor 1, imports gantrans.metrics, floor 1."],
        ),
        (
            floors_go_down,
            {"gantrans/errors.py": "from gantrans.data import Pairs"},
            ["gantrans/errors.py, floor 0, imports gantrans.data, floor 1."],
        ),
        (
            floors_go_down,
            {"gantrans/operations/serving/run.py": "from gantrans.command_line import options"},
            ["gantrans/operations/serving/run.py, floor 4, imports gantrans.command_line.options, floor 5."],
        ),
        (floors_go_down, {"gantrans/attic/old.py": ""}, ["gantrans/attic is on no floor"]),
        (
            circles,
            {
                "gantrans/data/pairs.py": "from gantrans.data import cells",
                "gantrans/data/cells.py": "from . import pairs",
            },
            [("gantrans.data.cells", "gantrans.data.pairs")],
        ),
        (
            circles,
            {
                "gantrans/data/pairs.py": "import gantrans.data.cells",
                "gantrans/data/cells.py": "def f():\n    from gantrans.data.sem import g",
                "gantrans/data/sem.py": "from gantrans.data import Pairs",  # through the folder's __init__
            },
            [("gantrans.data", "gantrans.data.cells", "gantrans.data.pairs", "gantrans.data.sem")],
        ),
        (
            circles,
            {"notebooks/lessons/shared/setting.py": "if TYPE_CHECKING:\n    import lessons.lesson05.losses"},
            [("lessons.lesson05.losses", "lessons.shared.setting")],
        ),
        (
            one_command_measures,
            {"notebooks/lessons/lesson06/experiments/own.py": "def f():\n    import argparse"},
            ["notebooks/lessons/lesson06/experiments/own.py imports argparse"],
        ),
        (
            nothing_generated,
            {"notebooks/ablations/skips.ipynb": "{}"},
            ["notebooks/ablations/skips.ipynb is written"],
        ),
        (
            nothing_generated,
            {
                "notebooks/ablations/sweep.ipynb": "{}",
                "notebooks/evidence/skips.ipynb": "{}",
                "notebooks/evidence/skips.toml": "",
            },
            ["notebooks/evidence/skips.ipynb is written"],
        ),
    ],
)
def test_a_planted_violation_is_found(rule, files, expected, plant):
    found = rule(plant(**files))
    assert len(found) == len(expected)
    for violation, begin in zip(found, expected, strict=True):
        assert violation == begin if isinstance(begin, tuple) else violation.startswith(begin)


def test_long_files_and_functions_are_found(plant):
    body = "def long():\n" + "    x = 1\n" * MOST_FUNCTION_LINES
    root = plant(
        **{
            "gantrans/data/pairs.py": "x = 1\n" * (MOST_LINES + 1),
            "gantrans/data/__init__.py": "x = 1\n" * MOST_LINES,
            "notebooks/lessons/lesson05/losses.py": body + "class A:\n    def long():\n        pass",
            "notebooks/lessons/lesson06/losses.py": body.removesuffix("    x = 1\n"),
        }
    )
    assert long_files(root) == {"gantrans/data/pairs.py": MOST_LINES + 1}
    assert long_functions(root) == {"notebooks/lessons/lesson05/losses.py:long": MOST_FUNCTION_LINES + 1}
