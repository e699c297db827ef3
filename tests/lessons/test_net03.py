"""Lesson 03: the page's U-Net is the library's, and what the score of `own_sampler` rests on."""

import pytest
import torch

from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.teaching.exercises.kinds import RuleBroken
from lessons.lesson03.exercises import own_sampler
from lessons.lesson03.exercises._predictors import ALPHA_BARS, CALLS, Counted, Nearest, pictures
from lessons.lesson03.exercises._unets import ConvBlock
from lessons.lesson03.exercises.unet_denoiser import UNet


def test_the_unet_is_the_librarys_denoiser():
    """Parameters in the same order with the same shapes and starts; equal outputs once they are copied."""
    config = DenoiserConfig(base_filters=24, multipliers=(1, 2, 2), attention=False, classes=3)
    theirs, ours = Denoiser(config), UNet(ConvBlock, 24, 3)
    pairs = list(zip(theirs.parameters(), ours.parameters(), strict=True))
    draw = torch.Generator().manual_seed(0)
    for a, b in pairs:
        assert a.shape == b.shape
        assert bool((a == 0).all()) == bool((b == 0).all())
        with torch.no_grad():
            b.copy_(a.copy_(0.2 * torch.randn(a.shape, generator=draw)))
    x = torch.randn(4, 1, 16, 8, generator=draw)
    t, label = torch.tensor([0, 999, 500, 3]), torch.tensor([0, 1, 2, 3])
    expected = theirs(x, t, label=label)
    torch.testing.assert_close(ours(x, t, label), expected)
    assert expected.std() > 0.1
    without = torch.full_like(label, 3)
    torch.testing.assert_close(ours(x, t, without), theirs(x, t))


def test_a_clip_counts_once_and_not_if_it_is_known():
    drawn = torch.tensor([[1, 0], [1, 0], [1, 1], [0, 1]]).bool()
    known = torch.tensor([[0, 1]]).bool()
    assert own_sampler.new_and_different(drawn, known).tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    ("x_t", "t", "rule"),
    [
        (torch.zeros(3, 1, 16, 16), torch.zeros(3).long(), "other_batch"),
        (torch.zeros(2, 1, 16, 16), torch.tensor([0, 1000]), "no_timestep"),
        (torch.zeros(2, 1, 16, 16), torch.tensor([0, -1]), "no_timestep"),
        (torch.zeros(2, 1, 16, 16), torch.tensor([0.0, 1.0]), "no_timestep"),
    ],
)
def test_a_predictor_refuses_what_is_not_asked_rightly(x_t, t, rule):
    with pytest.raises(RuleBroken, match=rule):
        Counted(Nearest(pictures(3, 0)), (2, 1, 16, 16))(x_t, t)


def test_a_predictor_answers_ten_times_and_leaves_no_graph():
    known = pictures(3, 0)
    predict = Counted(Nearest(known), (2, 1, 16, 16))
    for _ in range(CALLS):
        image = predict((known[:2] + 0.5).requires_grad_(), torch.tensor([0, len(ALPHA_BARS) - 1]))
        assert torch.equal(image, known[:2])
        assert not image.requires_grad
    with pytest.raises(RuleBroken, match="eleven_calls"):
        predict(known[:2], torch.tensor([0, 0]))


def test_scores_repeat_and_their_order_is_that_of_the_text():
    """DDIM below DDPM, DDPM below denser timesteps, those below the target, and our best above it."""
    ex = own_sampler.ex
    ddim, denser = ex.rights[1:3]
    seeds = (1, 2, 3)
    scores = [
        sum(ex.scored(answer, seed) for seed in seeds) / len(seeds)
        for answer in (ddim, ex.function, denser, own_sampler.BEST)
    ]
    assert scores == sorted(scores)
    assert scores[2] < ex.target < scores[3]
    assert ex.baseline == pytest.approx(scores[1], abs=0.08)
    assert ex.scored(ex.function, 1) == ex.scored(ex.function, 1) != ex.scored(ex.function, 2)
