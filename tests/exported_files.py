"""Exported files, for the tests of each: a module names its file in EXPORTED."""

import argparse
import runpy
import sys

import pytest


@pytest.fixture(scope="module")
def script(request, tmp_path_factory):
    """Where the file was written, made of the course's references."""
    from gantrans.teaching.learner import export  # not before the root's conftest has set the environment

    folder = tmp_path_factory.mktemp("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANTRANS_PROGRESS", str(folder / "learner" / "progress.json"))
        return export.export(request.module.EXPORTED, folder)


@pytest.fixture(scope="module")
def file(script):
    """The names that the file defines."""
    return argparse.Namespace(**runpy.run_path(str(script)))


@pytest.fixture
def here(monkeypatch, capsys):
    """Run a script in its own folder, or in another, in this process; gives its exit code and what it
    printed."""

    def go(script, *arguments, folder=None):
        monkeypatch.chdir(folder or script.parent)
        monkeypatch.setattr(sys, "argv", [script.name, *arguments])
        code = 0
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
        return code, "".join(capsys.readouterr())

    return go


@pytest.fixture
def run(script, here, tmp_path, monkeypatch):
    """Run the file in a folder of its own; gives the exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments):
        return here(script, *arguments, folder=tmp_path)

    return go
