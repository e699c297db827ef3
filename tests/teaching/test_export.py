"""The exported files run on torch and NumPy alone, also when they are made of other right answers."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from gantrans.__main__ import app
from gantrans.errors import ConfigError
from gantrans.teaching.exercises import exercise
from gantrans.teaching.learner import export, store
from gantrans.teaching.learner.rename import renamed, top_names
from gantrans.teaching.learner.sources import NotKept, source_of
from gantrans.teaching.mine import exercise_of

NAMES = sorted(export.templates())
NEEDS_OF_TORCH = {
    "torch", "numpy", "torchgen", "functorch", "typing_extensions", "sympy", "mpmath", "networkx", "jinja2",
    "markupsafe", "fsspec", "filelock", "setuptools",
}  # fmt: skip


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "learner" / "progress.json"))


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A folder with torch, NumPy and what torch itself needs."""
    folder, installed = tmp_path_factory.mktemp("packages"), Path(torch.__file__).parents[1]
    for name in NEEDS_OF_TORCH:
        for path in (*installed.glob(f"{name}"), *installed.glob(f"{name}.*")):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture
def alone(packages):
    """Run a script in its own folder, in a process that finds torch and NumPy alone; gives what it
    printed."""

    def run(script, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(packages)}
        command = [sys.executable, "-S", script.name, *arguments]
        done = subprocess.run(command, cwd=script.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def made(folder):
    """All numbers that a run has left."""
    found = {path.name: np.load(path).astype(float) for path in sorted(folder.glob("*.npy"))}
    found |= {path.name: np.asarray(Image.open(path)).astype(float) for path in folder.glob("*.png")}
    for path in folder.glob("*.json"):
        rows = json.loads(path.read_text())
        found |= {f"{i} {k}": np.array(v, dtype=float) for i, row in enumerate(rows) for k, v in row.items()}
    assert found
    return found


def store_other_right_answers(name):
    """Store one for every part of a file; gives the parts for which there is none."""
    missing = []
    for part in export.parts_of(name):
        ex = exercise_of(part)
        for answer in ex.rights:
            try:
                source = source_of(answer, ex.name)
            except NotKept:
                continue
            if not export.foreign_packages(source):
                store.save(ex, source)
                break
        else:
            missing.append(part)
    return missing


def test_the_process_finds_neither_the_course_nor_other_packages(tmp_path, alone):
    script = tmp_path / "tries.py"
    script.write_text(
        "import torch, numpy\nfrom importlib.util import find_spec\n"
        "print([n for n in ('gantrans', 'lessons', 'scipy', 'PIL', 'matplotlib') if find_spec(n)])\n"
    )
    assert alone(script) == "[]\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_runs_alone_and_gives_the_same_with_other_right_answers(name, tmp_path, alone):
    script = export.export(name, tmp_path / "bare")
    assert "# Yours: none yet." in script.read_text()
    extra = {
        "my_choice": ["--size", "16", "--batch", "4", "--evaluations", "3", "--transformer"],
        "my_diffusion": ["--evaluations", "4", "--size", "8", "--count", "4", "--guidance", "2"],
        "my_loop": ["--days", "14"],
        "my_other_data": ["sound", "--count", "1"],
        "my_pairs": ["--every", "5", "--width", "8", "--align", "2"],
        "my_pix2pix": ["--steps", "8", "--batch", "4", "--warm-up", "5", "--lr", "2e-4"],
    }
    alone(script, "--steps", "20", "--seed", "3", "--out", "out", *extra[name])
    missing = store_other_right_answers(name)
    assert len(missing) <= 1
    other = export.export(name, tmp_path / "own")
    text = other.read_text()
    head = text[: text.index("\nimport ")]
    assert all(part in head for part in export.parts_of(name))
    assert ("The course's versions: " in head) == bool(missing)
    alone(other, "--steps", "20", "--seed", "3", "--out", "out", *extra[name])
    before, after = made(script.parent / "out"), made(other.parent / "out")
    assert before.keys() == after.keys()
    for key, values in before.items():
        np.testing.assert_allclose(
            after[key], values, rtol=2e-3, atol=2.0 if key.endswith((".npy", ".png")) else 0.02
        )


def test_all_options_of_the_files_run(tmp_path, here):
    pix2pix = export.export("my_pix2pix", tmp_path)
    small = ("--steps", "2", "--batch", "2", "--warm-up", "1")
    smoothed = ("--loss", "non_saturating", "--label", "0.9", "--weight-fm", "0")
    for n, more in enumerate((("--both",), ("--plain",), ("--loss", "hinge"), smoothed)):
        code, text = here(pix2pix, *small, *more, "--out", f"out{n}")
        assert code == 0, text
    for name in NAMES:
        _, text = here(export.export(name, tmp_path, force=True), "--help")
        assert all(option in text for option in ("--data", "--steps", "--out", "--seed"))


def test_data_of_ones_own_and_what_is_wrong_with_it(tmp_path, here, monkeypatch):
    script = export.export("my_pix2pix", tmp_path)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(3):
            values = np.random.default_rng(i).integers(0, 2**16, (20, 24), dtype=np.uint16)
            np.save(tmp_path / "data" / name / f"{i}.npy", values)
    small = ("--data", "data", "--steps", "1", "--align", "2", "--warm-up", "1", "--out", "out")
    code, text = here(script, *small)
    assert code == 0, text
    assert np.load(tmp_path / "out" / "made.npy").shape == (1, 32, 32)
    monkeypatch.setitem(sys.modules, "PIL", None)
    faults = {
        "4.png": (b"", "is a PNG, which needs the package Pillow"),
        "5.npy": (b"nonsense", "cannot be read as an image"),
    }
    for name, (content, words) in faults.items():
        paths = [tmp_path / "data" / folder / name for folder in ("a", "b")]
        for path in paths:
            path.write_bytes(content)
        one_sentence(here(script, *small), words)
        for path in paths:
            path.unlink()
    for values, words in (
        (np.full((4, 4), 3.0), "floats must lie in \\[0, 1\\]".replace("\\", "")),
        (np.full((4, 4), np.nan), "finite (H, W)"),
        (np.zeros((2, 2, 2, 2)), "holds float64 of shape (2, 2, 2, 2)"),
    ):
        np.save(tmp_path / "data" / "a" / "0.npy", values)
        one_sentence(here(script, *small), words)
    np.save(tmp_path / "data" / "a" / "0.npy", np.zeros((2, 20, 24), np.float32))
    one_sentence(here(script, *small), "has 4 images")
    one_sentence(here(script, *small[2:], "--size", "36"), "multiple of 16")
    one_sentence(here(script, "--data", "nowhere"), "There is no folder nowhere.")


def one_sentence(done, words):
    code, text = done
    assert code == 2
    assert words in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_template_has_a_line_for_every_part_that_it_uses_and_uses_every_part(name):
    text = export.templates()[name].read_text()
    assert set(export.needed_parts(text)) <= set(export.parts_of(name))
    filled = export.filled(text)
    roots = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for node in ast.walk(ast.parse(filled)) if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }  # fmt: skip
    assert roots - set(sys.stdlib_module_names) <= {
        "torch",
        "numpy",
        "PIL",
    }  # the last only inside a function
    used = {node.id for node in ast.walk(ast.parse(filled)) if isinstance(node, ast.Name)}
    assert set(export.parts_of(name)) <= used
    assert export.filled(text) == filled


def test_a_part_that_needs_other_packages_is_left_out_and_the_file_says_so():
    ex = exercise("ks_distance")
    store.save(ex, "from scipy import stats\n\n\ndef ks_distance(a, b):\n    return stats\n")
    text = export.filled(export.templates()["my_loop"].read_text())
    assert (
        "# the course's version: yours needs scipy, and this file has torch and NumPy alone\ndef ks_d" in text
    )
    assert "scipy import" not in text
    path = store.path_of("ks_distance")
    path.write_text(path.read_text() + "#")
    text = export.filled(export.templates()["my_loop"].read_text())
    assert (
        "# the course's version: your parts/ks_distance.py was changed outside the notebook\ndef ks" in text
    )


def test_helpers_of_one_name_are_told_apart():
    source = (
        "from math import prod as F\n\nnn = 2\n\n\ndef seconds(x):\n    return F(x)\n\n\n"
        "def iou(a, b, nn=nn):\n    main = seconds\n    return main(a), F, [nn for nn in b]\n"
    )
    store.save(exercise("iou"), source)
    store.save(
        exercise("psnr"), "nn = 3\n\n\ndef psnr(a, b, c):\n    global nn\n    nn += 1\n    return nn\n"
    )
    text = export.filled(export.templates()["my_loop"].read_text())
    for line in (
        "from math import prod as F_of_iou", "nn_of_iou = 2", "def seconds_of_iou(x):", "return F_of_iou(x)",
        "def iou(a, b, nn=nn_of_iou):", "main = seconds_of_iou", "return main(a), F_of_iou, [nn for nn in b]",
        "nn_of_psnr = 3", "global nn_of_psnr", "nn_of_psnr += 1",
    ):  # fmt: skip
        assert line in text
    compile(text, "my_loop.py", "exec")


def test_what_is_reached_through_mine_stands_in_the_file():
    source = (
        "import torch\nfrom gantrans.teaching import mine\nimport gantrans.teaching.mine as m\n\n\n"
        "def predict_x0(output, x_t, t, alpha_bars, prediction):\n    q_sample = mine.q_sample\n"
        "    block = mine.time_block, m.thin_out(0, 1)\n"
        "    return output\n"
    )
    store.save(exercise("predict_x0"), source)
    text = export.filled(export.templates()["my_diffusion"].read_text())
    assert "    q_sample = the_q_sample\n    block = TimeBlock, thin_out(0, 1)\n" in text
    assert (
        text.index("def q_sample(")
        < text.index("\nthe_q_sample = q_sample\n")
        < text.index("def predict_x0(")
    )
    assert "mine" not in text
    assert "# Yours: predict_x0." in text


def test_renaming_follows_scopes():
    text = (
        "def k():  # k\n    return 'k'\n\n\nclass A(k):\n    k = k()\n\n"
        "    def f(self, x=k, *, k=1):\n        return k\n"
    )
    assert renamed(text, "k", "long") == (
        "def long():  # k\n    return 'k'\n\n\nclass A(long):\n    long = long()\n\n"
        "    def f(self, x=long, *, k=1):\n        return k"
    )
    assert renamed("é = k; g = lambda k: k\nasync def k(): return (lambda: k)", "k", "m") == (
        "é = m; g = lambda k: k\nasync def m(): return (lambda: m)"
    )
    assert list(top_names("a, (b, c) = 1, (2, 3)\nd: int = 4\nclass E: x = 1")) == ["a", "b", "c", "d", "E"]


def test_the_command(tmp_path):
    runner = CliRunner()
    out = str(tmp_path / "mine")
    assert runner.invoke(app, ["course", "export", "my_loop", "--out", out]).exit_code == 0
    again = runner.invoke(app, ["course", "export", "--out", out])
    assert isinstance(again.exception, ConfigError) or "exists already" in again.output
    done = runner.invoke(app, ["course", "export", "all", "--out", out, "--force"])
    assert [line.rpartition("/")[2] for line in done.output.splitlines()] == [f"{name}.py" for name in NAMES]
    with pytest.raises(
        ConfigError, match=r"There is no export 'my_cat'; choose one of my_choice, .* or all\."
    ):
        export.export("my_cat", tmp_path)
    with pytest.raises(ConfigError, match="exists already; choose another folder or add --force"):
        export.export("my_loop", tmp_path / "mine")
