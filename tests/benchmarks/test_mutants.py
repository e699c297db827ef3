"""The mutants of the benchmark: what is changed and what is not, and names that outlive a move."""

import ast

import pytest

from benchmarks import mutants
from benchmarks._mutants_made import differs, mutants_of

SOURCE = '''"""Text 1."""
import torch
from dataclasses import dataclass

LIMIT: int = 3


@dataclass(frozen=True)
class Config:
    """Text 2."""

    flag: bool = True

    def check(self) -> None:
        if self.flag is None:
            raise ValueError(f"{1 + 2} is not right" + "!")


def step(network, x, y, dim: int = 2):
    """Text 3."""
    network.eval()
    h = torch.relu(x).sum(dim=-1) - y.detach()
    h = h + y
    scores = torch.cat([h, -x.clamp(min=0.5)], 1)
    for k in range(2):
        scores[k] = max(scores[k], y) if k < 1 and not network.training else x
    return scores.abs(), zip(h, x, strict=True)
'''


def changes(source: str = SOURCE) -> dict[str, str]:
    return {m.id: m.change for m in mutants_of(source, "gantrans/data/a.py", "data/a")}


def test_the_slips_are_these():
    found = changes()
    for place, change in (
        ("(module):number", "3 -> 4"),
        ("Config:boolean", "True -> False"),
        ("Config.check:comparison", "self.flag is None -> (self.flag is not None)"),
        ("step:number", "2 -> 3"),
        ("step:mode", "network.eval() -> network.train()"),
        ("step:mode", "network.training -> (not network.training)"),
        ("step:axis", "-1 -> -2"),
        ("step:axis", "1 -> 0"),
        ("step:arithmetic", "h + y -> (h - y)"),
        ("step:detach", "y.detach() -> (y)"),
        ("step:in place", "h = h + y -> h += y"),
        ("step:in place", "torch.relu(x) -> torch.relu(x, inplace=True)"),
        ("step:in place", "scores.abs() -> scores.abs_()"),
        ("step:sign", "-x.clamp(min=0.5) -> (x.clamp(min=0.5))"),
        ("step:min/max", "x.clamp(min=0.5) -> x.clamp(max=0.5)"),
        ("step:min/max", "max -> min"),
        ("step:comparison", "k < 1 -> (k <= 1)"),
        ("step:comparison", "k < 1 -> (k > 1)"),
        ("step:boolean", "k < 1 and not network.training -> (k < 1 or not network.training)"),
        ("step:drop", "network.eval() -> pass"),
    ):  # fmt: skip
        assert any(name.startswith(f"data/a:{place}:") and c == change for name, c in found.items()), change


def test_what_no_behaviour_shows_is_left_alone():
    for change in changes().values():
        assert "Text" not in change
        assert "frozen" not in change
        assert "raise" not in change
        assert not change.startswith(("strict", "1 + 2", "int"))
    assert len(changes()) == len(set(changes()))


def test_names_outlive_moved_lines_and_folders():
    moved = SOURCE.replace("def step", "def before():\n    return 1 + 1\n\n\ndef step")
    later = changes(moved)
    assert {name: change for name, change in later.items() if ":before:" not in name} == changes()
    assert len(later) > len(changes())


@pytest.mark.parametrize("mutant", mutants_of(SOURCE, "gantrans/data/a.py", "data/a"), ids=lambda m: m.id)
def test_every_mutant_is_another_program_of_equal_length(mutant):
    changed = mutant.applied(SOURCE)
    assert differs(mutant, SOURCE)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))
    assert abs(len(changed.splitlines()) - len(SOURCE.splitlines())) <= mutant.before.count("\n")


def test_the_sample_is_fixed_and_takes_equally_of_every_folder():
    chosen = mutants.sample(11)
    assert [m.id for m in chosen] == [m.id for m in mutants.sample(11)]
    assert [sum(m.id.startswith(f"{folder}/") for m in chosen) for folder in mutants.FOLDERS] == [11] * 7
    assert len({m.operator for m in chosen}) == 11


def test_quick_tests_judge_first_then_near_ones_within_the_budget():
    mutant = next(m for m in mutants_of(SOURCE, "gantrans/data/a.py", "data/a") if m.scope == "step")
    tests = {
        "tests/test_far.py::one": (1.0, ["gantrans/data/a.py:step"]),
        "tests/test_far.py::quick": (0.05, ["gantrans/data/a.py:step"]),
        "tests/data/test_a.py::slow": (2.0, ["gantrans/data/a.py:step"]),
        "tests/data/test_a.py::quick": (0.1, ["gantrans/data/a.py:step", "gantrans/data/b.py:other"]),
        "tests/data/test_a.py::other": (0.1, ["gantrans/data/a.py:Config.check"]),
        "tests/test_long.py::two": (mutants.BUDGET, ["gantrans/data/a.py:step"]),
    }
    assert mutants.tests_of(mutant, tests) == [
        "tests/data/test_a.py::quick", "tests/test_far.py::quick", "tests/data/test_a.py::slow",
        "tests/test_far.py::one",
    ]  # fmt: skip
