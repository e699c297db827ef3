"""The container file: what it copies exists, what it runs the command line knows, and it runs as nobody."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from gantrans import ROOT
from gantrans.__main__ import app

FILE = ROOT / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """(INSTRUCTION, rest) in order, continued lines joined, comments left out."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]  # type: ignore[misc]


def of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def ignored() -> list[str]:
    return (ROOT / ".dockerignore").read_text("utf-8").split()


def test_what_is_copied_exists_and_is_not_ignored():
    for rest in of("COPY"):
        *sources, _ = rest.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source not in ignored()
    assert {".venv", "runs", ".git"} <= set(ignored())


def test_it_runs_without_rights_in_exec_form():
    order = [instruction for instruction, _ in instructions()]
    assert of("USER") == ["10001"]
    assert order.index("USER") < order.index("CMD") == len(order) - 1
    command = json.loads(of("CMD")[0])  # exec form: a JSON list, so that signals reach the server
    assert command[:4] == ["python", "-m", "gantrans", "serve"]
    check = json.loads(of("HEALTHCHECK")[0].split("CMD", 1)[1])
    port = command[command.index("--port") + 1]
    assert f"127.0.0.1:{port}/v2/health/ready" in check[2]
    assert of("EXPOSE") == [port]


def test_the_health_check_is_a_program_that_fails_without_a_server():
    check = json.loads(of("HEALTHCHECK")[0].split("CMD", 1)[1])
    code = check[2].replace("8000", "9")  # nobody listens there
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0


def test_its_command_is_refused_without_a_token(tmp_path):
    """The command line knows every option, and an address for others is not opened to everybody."""
    command = json.loads(of("CMD")[0])[3:]
    command[command.index("--registry") + 1] = str(tmp_path)
    command[command.index("--store") + 1] = str(tmp_path / "feedback.sqlite")
    result = CliRunner().invoke(app, command, env={"GANTRANS_TOKEN": ""})
    assert result.exit_code != 0
    assert "set a token" in str(result.exception)


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_the_linter_has_nothing_to_say():
    said = subprocess.run(["hadolint", str(FILE)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout
