"""Configurations survive the way through plain Python, and refuse what they do not know."""

from dataclasses import dataclass, field

import pytest
import torch

from gantrans import images
from gantrans.config import check_choice, check_range, from_dict, to_dict
from gantrans.errors import ConfigError
from gantrans.networks import PatchGANConfig, ResidualUNetConfig, UNetConfig
from gantrans.translation import Pix2PixConfig, recipe
from gantrans.translation.recipes import Recipe


@dataclass(frozen=True)
class Inner:
    widths: tuple[int, ...] = (1, 2)


@dataclass(frozen=True)
class Outer:
    rate: float = 0.5
    kind: str = "a"
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None

    def __post_init__(self) -> None:
        check_range(self, "rate", 0.0, 1.0, open_low=True)
        check_choice(self, "kind", ("a", "b"))


@pytest.mark.parametrize(
    "config",
    [
        Outer(0.25, "b", Inner((3,)), Inner((4, 5))),
        Pix2PixConfig(ResidualUNetConfig(multipliers=(1, 2)), None),
        Pix2PixConfig(UNetConfig(skips=(True, False, True, True)), PatchGANConfig(n_layers=2)),
        recipe("layout2sem", "smoke"),
    ],
)
def test_round_trip(config: object) -> None:
    stored = to_dict(config)
    assert _is_plain(stored)
    assert from_dict(type(config), stored) == config


def test_unknown_key_names_the_fields() -> None:
    with pytest.raises(ConfigError, match=r"Inner has no field 'width'; its fields are widths"):
        from_dict(Outer, {"inner": {"width": 3}})
    with pytest.raises(ConfigError, match="no field 'extra'"):
        from_dict(Recipe, {**to_dict(recipe("sem2layout", "smoke")), "extra": 1})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rate": 0.0}, r"Outer.rate is 0.0; it must be above 0 and at most 1"),
        ({"rate": 1.5}, "at most 1"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"kind": "c"}, r"Outer.kind is 'c'; choose one of 'a', 'b'"),
    ],
)
def test_bad_values_name_field_value_and_range(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        from_dict(Outer, values)


def test_ranges_are_inverse_to_each_other() -> None:
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    network = images.network_from_uint8(grey)
    assert network.dtype == torch.float32
    assert network.min() == -1.0
    assert network.max() == 1.0
    assert torch.equal(images.uint8_from_unit(images.unit_from_network(network)), grey)
    assert torch.equal(images.uint8_from_unit(images.unit_from_uint8(grey)), grey)
    assert torch.allclose(images.network_from_unit(images.unit_from_network(network)), network, atol=1e-6)
    assert images.uint8_from_unit(torch.tensor([-0.2, 1.7])).tolist() == [0, 255]


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_plain(v) for k, v in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
