"""course.py: what it installs and when, what it leaves alone, what it says. Nothing is installed here."""

import ast
import importlib.util
import json
import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


class Linux:
    """The module `sys`, on Linux."""

    platform = "linux"

    def __getattr__(self, name):
        return getattr(sys, name)


@pytest.fixture
def course(tmp_path, monkeypatch):
    """course.py over a small copy of the repository; `calls` has what it would have run."""
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml", "course.py"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "notebooks").mkdir()
    for name in ("00_start_here", "04_unet_skips"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(f"{name} v1")
    for name in ("GANTRANS_VENV", "GANTRANS_TORCH_INDEX"):
        monkeypatch.delenv(name, raising=False)
    spec = importlib.util.spec_from_file_location("course_copy", tmp_path / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.calls, module.pip_works = [], True

    def create(builder, folder):
        module.calls.append("venv")
        module.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        module.PYTHON.touch()
        (Path(folder) / "pyvenv.cfg").touch()

    def pip(*arguments):
        module.calls.append("pip " + " ".join(arguments))
        return module.pip_works if isinstance(module.pip_works, bool) else module.pip_works(arguments)

    monkeypatch.setattr(module.venv.EnvBuilder, "create", create)
    monkeypatch.setattr(module, "pip", pip)
    monkeypatch.setattr(module, "call", lambda *arguments: module.calls.append(" ".join(arguments)) or 0)
    monkeypatch.setattr(module, "has_nvidia_gpu", lambda: False)
    monkeypatch.setattr(module, "reachable", lambda url: False)
    monkeypatch.setattr(module, "sys", Linux())
    return module


def installs(course):
    return [call for call in course.calls if call.startswith("pip")]


def test_first_call_installs_and_the_second_does_not(course):
    assert course.main(["lab"]) == 0
    assert course.calls[0] == "venv"
    assert [call.split()[-1] for call in installs(course)] == ["torch==2.13.0+cpu", "requirements.txt"]
    assert course.calls[-1].startswith(f"-m jupyter lab {course.WORK / '00_start_here.ipynb'}")
    course.calls.clear()
    assert course.main(["lab", "--port", "9999"]) == 0
    assert installs(course) == []
    assert course.calls[-1].endswith("--port 9999")


def test_test_installs_the_developers_file_and_forwards_options(course):
    assert course.main(["test", "-k", "slider or scale", "-x"]) == 0
    assert installs(course)[-1] == "pip -r requirements-dev.txt"
    assert course.calls[-1].startswith("-m pytest")
    assert course.calls[-1].endswith("tests notebooks -k slider or scale -x")
    course.calls.clear()
    course.main(["lab"])  # the developer's file contains the learner's
    assert installs(course) == []


@pytest.mark.parametrize("changed", ["requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(course, changed):
    course.main(["lab"])
    course.calls.clear()
    with open(course.ROOT / changed, "a") as file:
        file.write("# changed\n")
    course.main(["lab"])
    assert installs(course)[-1] == "pip -r requirements.txt"
    assert "venv" not in course.calls


def test_failed_install_leaves_no_stamp_and_is_tried_again(course, capsys):
    course.pip_works = lambda arguments: "requirements.txt" not in arguments
    assert course.main(["lab"]) == 2
    assert "Installing failed" in capsys.readouterr().err
    course.pip_works, course.calls[:] = True, []
    assert course.main(["lab"]) == 0
    assert installs(course)[-1] == "pip -r requirements.txt"
    assert "venv" not in course.calls  # pip ended in order: what is there is good


@pytest.mark.parametrize("during", ["pip", "requirements.txt"])
def test_killed_install_starts_afresh(course, during, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if during == "pip":
            patch.setattr(course.venv.EnvBuilder, "create", killed)
        course.pip_works = killed
        assert course.main(["lab"]) == 130
    leftover = course.ENV / "half-written"
    leftover.touch()
    course.pip_works, course.calls[:] = True, []
    assert course.main(["lab"]) == 0
    assert course.calls[0] == "venv"
    assert not leftover.exists()


def test_environment_without_its_python_is_made_again(course):
    course.main(["lab"])
    course.PYTHON.unlink()
    course.calls.clear()
    course.main(["lab"])
    assert course.calls[0] == "venv"


def test_folder_that_is_not_ours_is_left_alone(course, capsys):
    course.ENV.mkdir()
    (course.ENV / "thesis.txt").write_text("years of work")
    assert course.main(["lab"]) == 2
    assert "is no Python environment" in capsys.readouterr().err
    assert (course.ENV / "thesis.txt").exists()
    assert course.calls == []


def test_environment_of_somebody_else_is_used_and_never_removed(course):
    course.PYTHON.parent.mkdir(parents=True)
    course.PYTHON.touch()
    mine = course.ENV / "mine"
    mine.touch()
    course.STATE.write_text(json.dumps({"made_here": False, "installing": "requirements.txt"}))
    assert course.main(["lab"]) == 0
    assert "venv" not in course.calls
    assert mine.exists()


CPU, PLAIN = "torch==2.13.0+cpu", "-r requirements.txt"
PYTORCH, OTHER = "https://download.pytorch.org/whl/cpu", "https://example.org/cu126"


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ({}, [f"--no-deps {CPU}", PLAIN]),
        ({"online": True}, [f"--no-deps --extra-index-url {PYTORCH} {CPU}", PLAIN]),
        ({"gpu": True}, [PLAIN]),
        ({"platform": "win32"}, [PLAIN]),
        ({"platform": "darwin", "machine": "arm64"}, [PLAIN]),
        ({"index": "none"}, [PLAIN]),
        ({"options": ["--allow-cuda"]}, [PLAIN]),
        (
            {"index": OTHER},
            [f"--no-deps --index-url {OTHER} torch==2.13.0", f"--extra-index-url {OTHER} {PLAIN}"],
        ),
    ],
    ids=str,
)
def test_torch_fits_the_machine(course, machine, expected, monkeypatch):
    monkeypatch.setattr(course, "has_nvidia_gpu", lambda: "gpu" in machine)
    monkeypatch.setattr(course, "reachable", lambda url: "online" in machine)
    monkeypatch.setattr(course.sys, "platform", machine.get("platform", "linux"))
    monkeypatch.setattr(course.platform, "machine", lambda: machine.get("machine", "x86_64"))
    if "index" in machine:
        monkeypatch.setenv("GANTRANS_TORCH_INDEX", machine["index"])
    assert course.main(["lab", *machine.get("options", [])]) == 0
    assert installs(course) == [f"pip {line}" for line in expected]


def test_no_cpu_build_stops_before_gigabytes(course, capsys):
    course.pip_works = lambda arguments: "+cpu" not in arguments[-1]
    assert course.main(["lab"]) == 2
    assert "--allow-cuda" in capsys.readouterr().err
    assert [call for call in installs(course) if "+cpu" not in call] == []


def test_intel_mac_and_wrong_python_are_told_so(course, capsys, monkeypatch):
    monkeypatch.setattr(course.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(course.sys, "platform", "darwin")
    assert course.main(["lab"]) == 2
    assert "Intel Macs" in capsys.readouterr().err
    for version in ((3, 9, 2), (3, 14, 0)):
        monkeypatch.setattr(course.sys, "version_info", version)
        assert course.main(["lab"]) == 2
        assert "needs Python 3.11, 3.12 or 3.13" in capsys.readouterr().err
    assert course.calls == []


def test_run_passes_lessons_scale_and_exit_code(course, monkeypatch):
    assert course.main(["run", "--scale", "smoke", "04", "05"]) == 0
    assert course.calls[-1] == "-m gantrans.teaching.notebooks.run --scale smoke 04 05"
    monkeypatch.setattr(course, "call", lambda *arguments: 1)
    assert course.main(["run"]) == 1
    with pytest.raises(SystemExit) as stopped:
        course.main(["run", "--sclae", "smoke"])
    assert stopped.value.code == 2


def test_learners_copies_are_refreshed_only_while_untouched(course, capsys):
    course.copy_lessons()
    mine = course.WORK / "04_unet_skips.ipynb"
    mine.write_text("my answers")
    for lesson in course.lessons():
        lesson.write_text(f"{lesson.stem} v2")
    course.copy_lessons()
    assert mine.read_text() == "my answers"
    assert (course.WORK / "00_start_here.ipynb").read_text() == "00_start_here v2"
    assert "Lesson 04 has a new version" in capsys.readouterr().out


def test_reset_keeps_the_learners_version(course, capsys):
    course.copy_lessons()
    mine = course.WORK / "04_unet_skips.ipynb"
    for answers in ("first", "second"):
        mine.write_text(answers)
        assert course.main(["reset", "4"]) == 0
        assert mine.read_text() == "04_unet_skips v1"
    kept = [path.read_text() for path in sorted(course.WORK.glob("*.mine-*.ipynb"))]
    assert kept == ["first", "second"]
    assert course.main(["reset", "07"]) == 2
    assert "'07' among 00_start_here, 04_unet_skips" in capsys.readouterr().err


def test_evidence_pages_are_copied_beside_the_lessons(course, capsys):
    original = course.NOTEBOOKS / "evidence" / "04_unet_skips.ipynb"
    original.parent.mkdir()
    original.write_text("evidence v1")
    course.copy_lessons()
    mine = course.WORK / "evidence" / original.name
    assert mine.read_text() == "evidence v1"
    mine.write_text("my notes")
    (course.WORK / original.name).write_text("my answers")
    for page in course.pages():
        page.write_text("v2")
    course.copy_lessons()
    assert capsys.readouterr().out.count("Lesson 04 has a new version") == 1
    assert course.main(["reset", "04"]) == 0
    assert [path.read_text() for path in (mine, course.WORK / original.name)] == ["v2", "v2"]
    kept = {path.parent.name: path.read_text() for path in course.WORK.rglob("*.mine-1.ipynb")}
    assert kept == {"work": "my answers", "evidence": "my notes"}


def test_course_py_needs_the_standard_library_only():
    tree = ast.parse((ROOT / "course.py").read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name.split(".")[0] for node in imports for alias in node.names}
    names |= {node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


def pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_requirements_are_exact_and_name_no_host(name):
    for pin in pins(name):
        assert re.fullmatch(r"==[\d.]+", str(pin.specifier)), f"{pin} is no exact pin of a public version"
        assert pin.url is None
    assert "://" not in (ROOT / name).read_text(encoding="utf-8")


def test_tests_run_with_the_pinned_versions():
    for pin in (*pins("requirements.txt"), *pins("requirements-dev.txt")):
        if pin.marker is None or pin.marker.evaluate():
            assert metadata.version(pin.name).split("+")[0] in pin.specifier, pin


def test_pins_are_inside_the_ranges_of_the_package():
    pinned = {pin.name.lower(): str(pin.specifier)[2:] for pin in pins("requirements.txt")}
    for line in metadata.requires("gantrans"):
        wanted = Requirement(line)
        if wanted.marker is None:
            assert pinned[wanted.name.lower()] in wanted.specifier, wanted
