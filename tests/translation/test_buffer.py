"""The image buffer keeps pairs together, fills up, returns half old half new, and comes back exactly."""

import pytest
import torch

from gantrans.errors import ConfigError
from gantrans.translation import ImageBuffer


def batch(first: int, count: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Fakes are minus their conditions, so that a torn pair shows."""
    condition = torch.arange(first, first + count, dtype=torch.float32)[:, None, None, None].expand(
        -1, 1, 2, 2
    )
    return condition.clone(), -condition


def test_until_full_every_pair_comes_back_and_is_kept():
    buffer = ImageBuffer(8)
    for first in (0, 4):
        condition, fake = buffer.exchange(*batch(first))
        assert torch.equal(torch.stack((condition, fake)), torch.stack(batch(first)))
    assert [float(c[0, 0, 0]) for c, _ in buffer.pairs] == list(range(8))


def test_when_full_half_are_older_and_no_pair_is_torn():
    buffer, old, seen = ImageBuffer(50, seed=1), 0, []
    for step in range(400):
        condition, fake = buffer.exchange(*batch(4 * step))
        assert torch.equal(fake, -condition)
        if step >= 13:
            old += int((condition[:, 0, 0, 0] < 4 * step).sum())
            seen += [int(c) for c in condition[:, 0, 0, 0]]
    # an image swapped in may come back in the same batch, which counts as new: rare at 50 of 4
    assert old / (4 * 387) == pytest.approx(0.5, abs=0.04)
    assert len(seen) == len(set(seen))  # what was handed out is no longer stored
    assert [torch.equal(f, -c) for c, f in buffer.pairs] == [True] * 50


def test_the_state_comes_back_bit_by_bit():
    first, second = ImageBuffer(6, seed=2), ImageBuffer(6, seed=9)
    for step in range(5):
        first.exchange(*batch(4 * step))
    second.load_state(first.state())
    for step in range(5, 15):
        for a, b in zip(first.exchange(*batch(4 * step)), second.exchange(*batch(4 * step)), strict=True):
            assert torch.equal(a, b)


def test_capacity_zero_is_off_and_a_stored_image_is_a_copy():
    condition, fake = batch(0)
    assert ImageBuffer(0).exchange(condition, fake)[1] is fake
    buffer = ImageBuffer(4)
    buffer.exchange(condition, fake)
    fake.fill_(7.0)
    assert float(buffer.pairs[1][1].max()) == -1.0
    with pytest.raises(ConfigError, match="capacity is -1"):
        ImageBuffer(-1)
