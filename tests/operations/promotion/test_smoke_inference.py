"""Every fault that the first inference of a registered version looks for, from a translator that has it."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gantrans.data import make_pairs
from gantrans.data.encoding import Encoding
from gantrans.errors import CheckpointError
from gantrans.operations.promotion import comparison


def answers(monkeypatch: pytest.MonkeyPatch, *outputs: object) -> str:
    """What `smoke_inference` says of a predictor with these answers."""
    following = iter(outputs)

    def translate(images: torch.Tensor) -> torch.Tensor:
        made = next(following)
        if isinstance(made, Exception):
            raise made
        return made

    data = SimpleNamespace(encoding=Encoding())
    recipe = SimpleNamespace(direction="sem2layout", channels=(1, 1), data=data)
    predictor = SimpleNamespace(recipe=recipe, translate=translate)
    monkeypatch.setattr(comparison, "load_predictor", lambda *_: predictor)
    pairs = make_pairs("procedural", count=6, size=16, progress=False)
    return comparison.smoke_inference(Path("run"), pairs)


def good() -> torch.Tensor:
    return torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def changed(value: float) -> torch.Tensor:
    image = good()
    image[2, 0, 3, 4] = value
    return image


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (good(), good(), ""),
        (changed(0.0), changed(0.0), ""),
        (changed(1.0), changed(1.0), ""),
        (changed(float("nan")), good(), "not finite"),
        (changed(float("inf")), good(), "not finite"),
        (changed(-0.01), good(), "not in"),
        (changed(1.01), good(), "not in"),
        (torch.full((4, 1, 16, 16), 0.5), torch.full((4, 1, 16, 16), 0.5), "one constant"),
        (good(), changed(0.5), "differently twice"),
        (good()[:3], good()[:3], "came back as"),
        (CheckpointError("it is damaged"), good(), "it is damaged"),
    ],
)
def test_a_fault_is_named_and_a_sound_version_has_none(monkeypatch, first, second, words) -> None:
    said = answers(monkeypatch, first, second)
    assert words in said
    assert bool(said) == bool(words)
