"""The README's road from a first training to a promoted second model, run as it is written there."""

import json
import re
import shlex
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gantrans import ROOT

TIMEOUT_S = 600


def commands() -> list[list[str]]:
    """The commands of the block that makes a registry, each as its words after `python`."""
    blocks = re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    (block,) = [block for block in blocks if "registry init" in block]
    words = [shlex.split(line) for line in block.strip().splitlines()]
    assert all(line[:3] == ["python", "-m", "gantrans"] for line in words)
    return [line[1:] for line in words]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANTRANS_SCALE", raising=False)  # the commands say the scale themselves


def test_eight_commands_lead_from_nothing_to_a_promoted_second_model(
    tmp_path: Path, environment: None
) -> None:
    road = commands()
    assert len(road) == 8
    *steps, last = road
    assert last[2] == "serve"
    for words in steps:
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    state = json.loads((tmp_path / "models" / "sem2layout" / "aliases.json").read_text())
    assert state["line"] == ["v0001", "v0002"]
    serving = subprocess.Popen(
        [sys.executable, *last, "--port", "0"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        address = re.search(r"http://\S+/", serving.stdout.readline())
        assert address is not None
        with urllib.request.urlopen(f"{address[0]}v2/models/sem2layout", timeout=30) as answer:
            assert json.load(answer)["versions"] == ["v0002"]
    finally:
        serving.terminate()
        serving.wait(timeout=30)
    assert serving.returncode == 0


def test_the_container_serves_what_the_road_ends_with() -> None:
    command = re.search(r"^CMD (\[.*\])$", (ROOT / "Dockerfile").read_text("utf-8"), re.M)
    assert command is not None
    words = json.loads(command[1])[1:]
    options = {word for word in words if word.startswith("--")}
    assert words[:3] == commands()[-1][:3]
    assert options - {"--host", "--port"} == {word for word in commands()[-1] if word.startswith("--")}
