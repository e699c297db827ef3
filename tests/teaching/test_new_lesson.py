"""A new lesson is a folder and a notebook: whatever lists lessons finds it, and no other file is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from gantrans import ROOT
from gantrans.teaching.notebooks.executed import code_hash

FIXTURE = ROOT / "tests" / "fixtures" / "90_good_lesson.ipynb"
FOLDER = {
    "lesson.toml": """title = "A small lesson"
question = "How does the number of waves change a picture?"
form = "first"
goals = ["say what a wave is", "draw one", "change it with a slider"]
prerequisites = "none"
builds = "a wave"
minutes = { person = 10, smoke = 0.2, reduced = 0.2, full = 0.2 }
""",
    "questions.toml": "".join(
        f'[[question]]\nid = "90_{n}"\ntext = "Which is {n}?"\nchoices = ["0", "1", "2", "3", "4", "5"]\n'
        f'answer = "{n}"\nwhy = "It is."\n'
        for n in range(6)
    ),
    "figures/waves.py": "from lessons.lesson90.experiments.waves import COUNT\n\nWAVES = COUNT\n",
    "experiments/waves.py": "COUNT = 3\n",
    "exercises/double_it.py": '''from gantrans.teaching.exercises.core import Exercise

ex = Exercise(
    id="double_it",
    lesson="90",
    title="Double it",
    difficulty=1,
    minutes=2,
    spec="Double x.",
    hints=("Twice.",),
    source="none",
)


@ex.reference
def double_it(x: int) -> int:
    """Twice x."""
    return 2 * x


@ex.inputs
def draw(case):
    return (case.seed,)


ex.wrong("same", "You return x itself.", lambda x: x)
''',
}
ASK = """
import json
from gantrans.teaching.course import lessons
from gantrans.teaching.exercises import exercise, exercises
from gantrans.teaching.learner import recall
from gantrans.teaching.notebooks.run import find_lessons
from lessons.lesson00.figures.welcome import course_map
from lessons.lesson90.figures.waves import WAVES

print(json.dumps({
    "root": str(lessons()[-1].folder),
    "lessons": [one.number for one in lessons()],
    "notebooks": [path.name for path in find_lessons(["90"])],
    "map": course_map().rows[-1],
    "exercises": [ex.id for ex in exercises("90")],
    "all exercises": len(exercises()),
    "judged": str(exercise("double_it").judge(lambda x: x).cause),
    "wrap-up": [q.id for q in recall.wrap_up_questions("90")],
    "recall": [q.lesson for q in recall.recall_questions("90")],
    "recall later": [q.lesson for q in recall.recall_questions("91")],
    "figures": WAVES,
}))
"""


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A copy of the library and the lessons, with a lesson 90 in its folder and its notebook."""
    root = tmp_path_factory.mktemp("fork")
    unused = shutil.ignore_patterns("*.png", "*.gif", "*.npz", "__pycache__", "ablations")
    for part in ("gantrans", "notebooks"):
        shutil.copytree(ROOT / part, root / part, ignore=unused)
    for name, text in FOLDER.items():
        path = root / "notebooks" / "lessons" / "lesson90" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    notebook = nbformat.read(FIXTURE, 4)
    notebook.cells[0].source = notebook.cells[0].source.replace("# A small", "# 90 · A small")
    del notebook.metadata.gantrans["minutes"]
    notebook.metadata.gantrans.code = code_hash(notebook)
    nbformat.write(notebook, root / "notebooks" / "90_waves.ipynb")
    return root


# an editable installation would fill in from the repository what the copy does not have
ALONE = """
import runpy, sys

sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in finder.__module__]
"""


def gantrans(root: Path, *arguments: str) -> str:
    """What `python -m gantrans ARGUMENTS` prints in a copy."""
    call = (
        f"sys.argv[1:] = {list(arguments)}; runpy.run_module('gantrans', run_name='__main__', alter_sys=True)"
    )
    return python(root, call)


def python(root: Path, code: str) -> str:
    path = [str(root), str(root / "notebooks"), str(ROOT / "tests" / "fixtures" / "offline")]
    done = subprocess.run(
        [sys.executable, "-c", ALONE + code],
        cwd=root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_map_exercises_recall_and_figures_find_the_lesson(fork):
    found = json.loads(python(fork, ASK))
    assert Path(found.pop("root")) == fork / "notebooks" / "lessons" / "lesson90"
    before = sorted(path.name[6:] for path in (ROOT / "notebooks" / "lessons").glob("lesson[0-9][0-9]"))
    assert found.pop("lessons") == [*before, "90"]
    exercises = len(list((ROOT / "notebooks" / "lessons").glob("lesson*/exercises/[!_]*.py")))
    assert found.pop("all exercises") == exercises + 1
    earlier = found.pop("recall")
    assert earlier[:2] == [before[-1]] * 2
    assert earlier[2] < before[-1]
    assert found.pop("recall later")[:2] == ["90", "90"]
    assert found == {
        "notebooks": ["90_waves.ipynb"],
        "map": ["90", "A small lesson", "a wave", "10"],
        "exercises": ["double_it"],
        "judged": "same",
        "wrap-up": ["90_0", "90_1", "90_2"],
        "figures": 3,
    }


def test_the_commands_list_and_check_the_lesson(fork):
    *_, last = json.loads(gantrans(fork, "course", "list", "--json"))
    assert last["lesson"] == "90_waves"
    assert last["question"] == "How does the number of waves change a picture?"
    assert last["you [min]"] == 10
    table = gantrans(fork, "course", "list", "--markdown").splitlines()
    assert table[-1].startswith("| [90 A small lesson](notebooks/90_waves.ipynb) | How does the number")
    checked = gantrans(fork, "course", "notebooks", "check", "notebooks/90_waves.ipynb")
    assert checked == "1 notebook, 0 problems.\n"


def test_the_library_works_without_what_teaches(fork, tmp_path):
    shutil.copytree(fork / "gantrans", tmp_path / "gantrans", ignore=shutil.ignore_patterns("teaching"))
    help_text = gantrans(tmp_path, "--help")
    assert " train " in help_text
    assert " course " not in help_text
    assert " course " in gantrans(fork, "--help")
