"""What the service says of a translation, from an answer whose numbers are known."""

import base64

import pytest
import torch

from gantrans.operations.serving.server import _translation
from gantrans.operations.serving.service import TranslationResult


def test_size_statistics_times_and_image_are_those_of_the_answer() -> None:
    given = torch.tensor([[[0.0, 0.5, 1.0], [0.0, 0.5, 1.0]]])  # two rows, three columns
    output = torch.full((1, 2, 3), 0.25)
    said = _translation(TranslationResult("id", "sem2layout", "7", given, output, b"png", {"network": 0.25}))
    assert (said.width, said.height) == (3, 2)
    assert (said.id, said.direction, said.model) == ("id", "sem2layout", "7")
    assert said.milliseconds == {"network": 250.0}
    assert said.input.mean == pytest.approx(0.5)
    assert said.input.contrast == pytest.approx((1 / 6) ** 0.5)
    assert (said.output.mean, said.output.contrast) == (0.25, 0.0)
    assert base64.b64decode(said.image) == b"png"
