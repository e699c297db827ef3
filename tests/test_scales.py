"""Which scale a run takes."""

import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.scales import resolve_scale


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
