"""A new lesson is a folder and a notebook: whatever lists lessons finds it, and no other file is touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gantrans import ROOT
from gantrans.errors import ConfigError
from gantrans.teaching.notebooks.skeleton import write_skeleton

FILES = [
    "lessons/lesson90/lesson.toml",
    "lessons/lesson90/questions.toml",
    "lessons/lesson90/figures/waves.py",
    *(
        f"lessons/lesson90/exercises/{name}.py"
        for name in ("wave", "squared_error", "wave_module", "fit_step")
    ),
    "90_small_waves.ipynb",
    "evidence/90_small_waves.ipynb",
]
ASK = """
import json
from gantrans.teaching.course import lessons
from gantrans.teaching.exercises import exercise, exercises
from gantrans.teaching.learner import recall
from gantrans.teaching.notebooks.run import find_lessons
from lessons.lesson00.figures.welcome import PARTS, rows_of
from lessons.lesson90.figures.waves import wave_figure

def kill(ex):
    wrong = [ex.judge(one.answer) for one in ex.wrongs]
    named = sum(one.name == result.cause for one, result in zip(ex.wrongs, wrong, strict=True))
    right = all(ex.judge(one).passed for one in (ex.function, *ex.rights))
    return [right, sum(result.passed for result in wrong), len(wrong) - named]

print(json.dumps({
    "root": str(lessons()[-1].folder),
    "lessons": [one.number for one in lessons()],
    "notebooks": [path.name for path in find_lessons(["90"])],
    "map": rows_of(PARTS[-1])[-1],
    "exercises": [ex.id for ex in exercises("90")],
    "all exercises": len(exercises()),
    "kinds": {ex.id: ex.kind for ex in exercises("90")},
    "judged": {ex.id: kill(ex) for ex in exercises("90")},
    "wrap-up": [q.id for q in recall.wrap_up_questions("90")],
    "recall": [q.lesson for q in recall.recall_questions("90")],
    "recall later": [q.lesson for q in recall.recall_questions("91")],
    "figures": wave_figure.__name__,
}))
"""


@pytest.fixture(scope="module")
def fork(tmp_path_factory):
    """A copy of the library and the lessons, in which `course new` has written lesson 90."""
    root = tmp_path_factory.mktemp("fork")
    unused = shutil.ignore_patterns("*.png", "*.gif", "*.npz", "__pycache__", "ablations")
    for part in ("gantrans", "notebooks"):
        shutil.copytree(ROOT / part, root / part, ignore=unused)
    written = gantrans(root, "course", "new", "90_small_waves").split()
    assert written[1::2] == [str(root / "notebooks" / name) for name in FILES]
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
    assert found.pop("all exercises") == exercises + 4
    earlier = found.pop("recall")
    assert earlier[:2] == [before[-1]] * 2
    assert earlier[2] < before[-1]
    assert found.pop("recall later")[:2] == ["90", "90"]
    assert found == {
        "notebooks": ["90_small_waves.ipynb"],
        "map": ["90 Small waves", True],
        "exercises": ["wave", "fit_step", "squared_error", "wave_module"],
        "kinds": {
            "wave": "function",
            "fit_step": "training step",
            "squared_error": "bug hunt",
            "wave_module": "class",
        },
        "judged": {name: [True, 0, 0] for name in ("wave", "fit_step", "squared_error", "wave_module")},
        "wrap-up": ["90_turns", "90_stuck", "90_mean"],
        "figures": "wave_figure",
    }


EXECUTE = """
from pathlib import Path
from gantrans.teaching.notebooks.executed import code_hash, normalise, run_copy, write

for path in map(Path, {paths}):
    notebook = normalise(run_copy(path, "smoke"))
    notebook.metadata.setdefault("gantrans", {{}}).update(code=code_hash(notebook), scale="reduced")
    write(notebook, path)
"""


def test_the_commands_list_and_check_the_lesson(fork):
    *_, last = json.loads(gantrans(fork, "course", "list", "--json"))
    assert last["lesson"] == "90_small_waves"
    assert last["question"] == "Can gradient descent find the frequency of a wave?"
    assert last["you [min]"] == 30
    table = gantrans(fork, "course", "list", "--markdown").splitlines()
    assert table[-1].startswith("| [90 Small waves](notebooks/90_small_waves.ipynb) | Can gradient descent")
    paths = [f"notebooks/{name}" for name in FILES if name.endswith(".ipynb")]
    python(fork, EXECUTE.format(paths=paths))
    assert gantrans(fork, "course", "notebooks", "check", *paths) == "2 notebooks, 0 problems.\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("04_again", r"^There is a lesson 04 already \(04_unet_skips\.ipynb\): choose another number\.$"),
        ("4_again", r"^'4_again' is no name of a lesson: two digits and words in small letters"),
        ("91_Again", "is no name of a lesson"),
    ],
)
def test_a_lesson_that_is_there_is_not_written_again(name, message):
    with pytest.raises(ConfigError, match=message):
        write_skeleton(name)


def test_the_library_works_without_what_teaches(fork, tmp_path):
    shutil.copytree(fork / "gantrans", tmp_path / "gantrans", ignore=shutil.ignore_patterns("teaching"))
    help_text = gantrans(tmp_path, "--help")
    assert " train " in help_text
    assert " course " not in help_text
    assert " course " in gantrans(fork, "--help")
