"""Linter, formatter, type checker and notebook checks are tests too, so that one command runs all."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
CHECKS = ["ruff check", "ruff format --check", "mypy", "gantrans course notebooks check"]


@pytest.mark.parametrize("check", CHECKS)
def test_check_passes(check):
    run = subprocess.run([sys.executable, "-m", *check.split()], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_hooks_before_a_commit_are_these_checks_and_need_no_network():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [group["repo"] for group in config["repos"]] == ["local"]
    hooks = config["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"python -m {check}" for check in CHECKS]
    assert {hook["language"] for hook in hooks} == {"system"}  # others build an environment of their own
    assert not any(hook["pass_filenames"] for hook in hooks)
