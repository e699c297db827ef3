"""A comparison of colour from the pairs to the report, and the directions of colour and of classes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gantrans.data.encoding import Encoding
from gantrans.data.writing import write_image
from gantrans.errors import CheckpointError, ConfigError
from gantrans.operations.comparison.comparing import run_comparison
from gantrans.operations.comparison.methods import choose_direction, method_recipe
from gantrans.operations.comparison.settings import Settings, Wishes


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("colour")
    generator = torch.Generator().manual_seed(0)
    for side in ("input", "target"):
        (root / side).mkdir()
    for k in range(16):
        image = torch.rand(3, 32, 32, generator=generator)
        write_image(root / "input" / f"{k}.png", image)
        write_image(root / "target" / f"{k}.png", image.flip(0))
    splits = ["train"] * 10 + ["val"] * 3 + ["test"] * 3
    rows = "".join(f"{k},{split}\n" for k, split in enumerate(splits))
    (root / "split.csv").write_text("name,split\n" + rows)
    return str(root)


COLOUR = Encoding(colour=("input", "target"))


def test_colour_is_compared(pairs: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = Settings(pairs, 0.03, ("l1", "gan"), scale="smoke", seeds=1, encoding=COLOUR)
    found = run_comparison(settings, Wishes(), out)
    assert found["direction"] == "image2image"
    rows = {row["method"]: row["measures"] for row in found["rows"]}
    assert set(rows) == {"l1", "gan", "baseline"}
    assert rows["baseline"]["l1"]["mean"] > 0.1  # red and blue exchanged
    with np.load(out / "scores" / "l1.npz") as stored:
        assert stored["outputs"].shape == (3, 32, 32, 3)
    assert "<img" in (out / "report.html").read_text("utf-8")
    assert run_comparison(settings, Wishes(), out, resume=True)["rows"] == found["rows"]
    grey = Settings(pairs, 0.03, ("l1", "gan"), scale="smoke", seeds=1)
    with pytest.raises(CheckpointError, match="encoding: "):
        run_comparison(grey, Wishes(), out, resume=True)


def test_every_method_has_the_channels_of_the_pairs(pairs: str) -> None:
    for method in ("l1", "gan", "transformer", "diffusion"):
        chosen = method_recipe(method, "image2image", "smoke", pairs, encoding=COLOUR)
        assert chosen.channels == (3, 3)
        network = chosen.generator[1]
        channels = getattr(network, "out_channels", None) or network.network.channels
        assert channels == 3


def test_what_is_stated_gives_the_direction(pairs: str) -> None:
    assert choose_direction(pairs, None, encoding=COLOUR)[0] == "image2image"
    assert choose_direction(pairs, None, encoding=Encoding(colour=("input",)))[0] == "image2image"
    assert choose_direction(pairs, None, encoding=Encoding(classes=("0", "1")))[0] == "image2classes"
    with pytest.raises(ConfigError, match="gives classes"):
        method_recipe("l1", "image2classes", "smoke", pairs)


def test_a_comparison_of_before_goes_on(tmp_path: Path) -> None:
    """Its settings have no encoding, and those of now leave it out."""
    from gantrans.config import to_dict

    assert "encoding" not in json.dumps(to_dict(Settings("pairs", 1.0)))
