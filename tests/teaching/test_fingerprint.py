"""What a stored result is keyed by: the library, and the lesson's modules that it rests on."""

import ast
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from gantrans import ROOT
from gantrans.teaching.fingerprint import closure, code_version, experiment_version, source_digest

TRAIN = """
from gantrans.teaching.fingerprint import code_version, experiment_version
from lessons.lesson10.experiments import gaming
print(code_version(), experiment_version(gaming.train_arm))
gaming.train_arm(gaming.BY_L1, 0, "smoke")
"""
SWEEP = """
import sys
from pathlib import Path
from gantrans.teaching.sweeps import find_grid, run_grid
print(run_grid(find_grid("gaming"), "smoke", Path(sys.argv[1]), max_hours=0.0))
"""
EDIT = ("self.loss.weight_l1 * loss_l1)", "0.5 * self.loss.weight_l1 * loss_l1)")


def test_comments_docstrings_and_layout_do_not_count():
    code = 'def f(x):\n    "Twice."\n    return 2 * x\n'
    assert source_digest(code) == source_digest("# note\ndef f(x):\n\n    return 2 * x  # twice\n")
    assert source_digest(code) != source_digest(code.replace("2 *", "3 *"))
    assert len(code_version()) == 12


def test_the_closure_follows_imports_through_lessons_and_upper_floors():
    found = closure(["lessons.lesson12.experiments.fine_tuning"])
    assert {"lessons.lesson12.experiments.fine_tuning", "lessons.shared.process_change"} <= set(found)
    assert "gantrans.operations.promotion.finetune" in found  # process_change trains with it
    assert not any(name.startswith(("gantrans.teaching", "gantrans.translation")) for name in found)


def test_no_code_that_trains_is_outside_the_key():
    """What stands in `teaching` is in neither hash, so nothing there may call the training loop."""
    for path in sorted((ROOT / "gantrans" / "teaching").rglob("*.py")):
        calls = [
            node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
        ]
        names = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        assert not names & {"fit", "fine_tune", "backward"}, path
    assert "lessons.shared.trained" in closure(["lessons.lesson10.experiments.gaming"])


def test_what_a_function_has_captured_counts():
    """A generic trainer is keyed by the loss that it was handed, wherever it was handed over."""
    from lessons.lesson10.experiments import gaming

    def trainer(loss):
        return lambda folder: loss

    own = experiment_version(trainer(None))
    with_loss = experiment_version(trainer(gaming.MetricLossTask.step))
    assert own == ""  # this test is no lesson
    assert with_loss == experiment_version(gaming)
    assert experiment_version(trainer({"a": [partial(gaming.train_arm, "L1")]})) == with_loss


def test_a_function_of_a_notebook_counts_with_the_functions_it_names(tmp_path):
    cells = "def loss(x):\n    return {factor} * x\n\n\ndef train(folder):\n    return loss(1.0)\n\n"
    tail = "from gantrans.teaching.fingerprint import experiment_version\nprint(experiment_version(train))\n"

    def version(code):
        path = tmp_path / "cells.py"
        path.write_text(code)
        return run([str(path)], ROOT).stdout

    one, other = version(cells.format(factor=2.0) + tail), version(cells.format(factor=3.0) + tail)
    assert len(one.strip()) == 12
    assert one != other
    assert one == version(cells.format(factor=2.0).replace("def loss", "# note\ndef loss") + tail)


def run(arguments: list[str], root: Path, **environment: str) -> subprocess.CompletedProcess:
    places = [str(root), str(root / "notebooks"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), **environment}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The library and the lessons, to be edited."""
    root = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "[0-9]*.ipynb")
    for name in ("gantrans", "notebooks", "data"):
        shutil.copytree(ROOT / name, root / name, ignore=ignored)
    return root


def test_an_edited_experiment_is_trained_afresh_and_a_sweep_of_both_versions_refused(copy, tmp_path):
    file = copy / "notebooks/lessons/lesson10/experiments/gaming.py"
    before = file.read_text("utf-8")
    cache = {"GANTRANS_CACHE": str(tmp_path / "cache"), "GANTRANS_SCALE": "smoke"}
    first, again = (run(["-c", TRAIN], copy, **cache).stdout.splitlines() for _ in range(2))
    assert first[1].startswith("trained run ")
    assert again[1].startswith("loaded run ")
    begun = run(["-c", SWEEP, str(tmp_path / "sweep")], copy)
    assert begun.returncode == 0, begun.stderr

    file.write_text(before.replace(*EDIT), "utf-8")
    assert file.read_text("utf-8") != before
    edited = run(["-c", TRAIN], copy, **cache).stdout.splitlines()
    (library, experiment), (same, other) = first[0].split(), edited[0].split()
    assert library == same
    assert experiment != other
    assert edited[1].startswith("trained run ")
    refused = run(["-c", SWEEP, str(tmp_path / "sweep")], copy)
    assert "holds another sweep" in refused.stderr
    assert f"experiment '{experiment}' there, '{other}' now" in refused.stderr

    file.write_text(before + "\n# a note\n", "utf-8")
    assert run(["-c", TRAIN], copy, **cache).stdout.splitlines()[1].startswith("loaded run ")
