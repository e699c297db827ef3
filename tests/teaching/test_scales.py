"""Which scale a run takes, and what a lesson declares."""

import json

import pytest
import torch

from gantrans.errors import ConfigError, DataError
from gantrans.scales import SCALES, resolve_scale
from gantrans.teaching.scales import cpu_limit, lesson_minutes


@pytest.mark.parametrize(
    ("explicit", "variable", "expected"),
    [
        ("full", "smoke", "full"),
        ("auto", "smoke", "smoke"),
        (None, "smoke", "smoke"),
        ("", "full", "full"),
        (None, "auto", "reduced"),
        (None, "", "reduced"),
        ("auto", None, "reduced"),
    ],
)
def test_explicit_wins_over_the_variable_and_that_over_the_machine(explicit, variable, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("GANTRANS_SCALE", raising=False)
    if variable is not None:
        monkeypatch.setenv("GANTRANS_SCALE", variable)
    assert resolve_scale(explicit) == expected


@pytest.mark.parametrize(("gigabytes", "expected"), [(8, "reduced"), (15.9, "reduced"), (16, "full")])
def test_auto_is_full_on_a_large_gpu_only(gigabytes, expected, monkeypatch):
    class Device:
        total_memory = int(gigabytes * 1e9)

    monkeypatch.delenv("GANTRANS_SCALE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Device)
    assert resolve_scale() == expected


def test_an_unknown_scale_names_its_source(monkeypatch):
    monkeypatch.setenv("GANTRANS_SCALE", "huge")
    with pytest.raises(ConfigError, match=r"GANTRANS_SCALE is 'huge'; choose auto, smoke, reduced, full\."):
        resolve_scale()
    with pytest.raises(ConfigError, match=r"^scale is 'tiny'"):
        resolve_scale("tiny")


def declaring(minutes, folder):
    path = folder / "04_lesson.ipynb"
    path.write_text(json.dumps({"metadata": {"gantrans": {"minutes": minutes}}, "cells": []}))
    return path


def test_declared_minutes_and_the_limit_of_a_smoke_run(tmp_path):
    path = declaring({"smoke": 0.4, "reduced": 4, "full": 6}, tmp_path)
    assert lesson_minutes(path) == {"smoke": 0.4, "reduced": 4.0, "full": 6.0}
    assert cpu_limit(path) == pytest.approx(48)
    assert list(lesson_minutes(path)) == list(SCALES)


@pytest.mark.parametrize("minutes", [{}, {"smoke": 1}, {"smoke": 0, "reduced": 1, "full": 1}])
def test_minutes_must_be_declared_for_every_scale(minutes, tmp_path):
    with pytest.raises(DataError, match=r"04_lesson\.ipynb declares minutes"):
        lesson_minutes(declaring(minutes, tmp_path))
