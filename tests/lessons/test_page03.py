"""Lesson 03's page against the library: its network, its loop, its samplers; and its figures."""

import pytest
import torch
import torch.nn.functional as F
from pages import defined_on_page

from gantrans.diffusion import SamplerConfig, make_schedule, q_sample, target
from gantrans.diffusion import sample as library_sample
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.explorers import Choice, Explorer, Slider
from gantrans.teaching.plots import alt_text
from gantrans.training.ema import EMA
from lessons.lesson03.experiments.analytic import ring
from lessons.lesson03.figures import chain, drawn

COSINE = make_schedule("cosine")
UNet = exercise("unet_denoiser").function


def library(net, width=16, labels=4):
    """The library's denoiser with the weights of the page's."""
    config = DenoiserConfig(base_filters=width, multipliers=(1, 2, 2), attention=False, classes=labels)
    theirs = Denoiser(config)
    for copied, weight in zip(theirs.parameters(), net.parameters(), strict=True):
        copied.data.copy_(weight.data)
    return theirs


def test_the_network_of_the_page_is_the_librarys():
    (ConvBlock,) = defined_on_page("03", "ConvBlock")
    net = UNet(ConvBlock, 16, 4)
    torch.manual_seed(0)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    x, t, label = torch.randn(5, 1, 16, 16), torch.randint(1000, (5,)), torch.arange(5)
    with torch.no_grad():
        torch.testing.assert_close(net(x, t, label), library(net)(x, t, label=label), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v", "x0"])
def test_the_loop_of_the_page_is_the_librarys(prediction):
    """`learn` against the library's parts with the same draws: averaged and last weights after 6 steps."""
    ConvBlock, learn = defined_on_page(
        "03", "ConvBlock", "learn", UNet=UNet, seed=3, bars=COSINE.alpha_bars,
        ema_update=exercise("ema_update").function,
    )  # fmt: skip
    images, families = torch.randn(20, 1, 8, 8), torch.arange(20) % 4
    averaged, last = learn(prediction, images, families, 6, batch=4)

    torch.manual_seed(3)
    net = library(UNet(ConvBlock, 16, 4))
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, 6, pct_start=0.15)
    average = EMA({"net": net}, 0.99)
    for _ in range(6):
        chosen = torch.randint(20, (4,))
        t, noise = torch.randint(1000, (4,)), torch.randn(4, 1, 8, 8)
        label = torch.where(torch.rand(4) < 0.1, 4, families[chosen])
        x = images[chosen]
        wanted = target(COSINE, prediction, x, t, noise)
        loss = F.mse_loss(net(q_sample(COSINE, x, t, noise), t, label=label), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
        average.update()
    # Adam turns rounding in a gradient near 0 into a step of the full rate, so the outputs are compared
    x, t, label = torch.randn(3, 1, 8, 8), torch.tensor([5, 500, 990]), torch.tensor([0, 2, 4])
    with torch.no_grad():
        torch.testing.assert_close(last(x, t, label), net(x, t, label=label), rtol=1e-2, atol=2e-3)
        with average.applied():
            torch.testing.assert_close(averaged(x, t, label), net(x, t, label=label), rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize(("page", "kind"), [("ddpm", "ddpm"), ("ddim", "ddim"), ("dpm", "dpm++")])
def test_the_samplers_of_the_page_are_the_librarys(page, kind):
    """The page's perfect denoiser, its three named steps and its loop, to the ends of the library's."""
    centres = ring().centres
    steps = {name: exercise(f"{name}_step").function for name in ("ddpm", "ddim", "dpm")}
    given = {f"{name}_step": step for name, step in steps.items()}
    perfect, step = defined_on_page(
        "03", "perfect", page, bars=COSINE.alpha_bars, centres=centres, spread=0.04, **given
    )

    def model(x, t):  # float32 as in a network: the library draws its noise so
        return perfect(x.double(), t).float()

    start = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    times = exercise("sampling_times").function(1000, 20)
    sample = exercise("sample").function
    way = sample(model, start, times, COSINE.alpha_bars, step, torch.Generator().manual_seed(1))
    there = library_sample(
        model, (50, 2), COSINE, SamplerConfig(kind, 20), prediction="x0", noise=start,
        generator=torch.Generator().manual_seed(1), trajectory=True,
    )  # fmt: skip
    assert not torch.is_tensor(there)
    torch.testing.assert_close(torch.stack(way), there.x_t, rtol=1e-4, atol=1e-5)


def test_the_perfect_denoiser_of_the_page_is_the_mean():
    (perfect,) = defined_on_page("03", "perfect", bars=COSINE.alpha_bars, centres=ring().centres, spread=0.04)
    x = torch.randn(40, 2, dtype=torch.float64)
    for now in (0, 300, 999):
        there = ring().best_x0(x, COSINE.signal[now], COSINE.sigma[now])
        torch.testing.assert_close(perfect(x, torch.full((40,), now)), there)


def test_the_digits_network_is_made_of_lesson_02s_blocks():
    (DigitNet,) = defined_on_page("03", "DigitNet", mine=mine)
    net = DigitNet(width=16)
    x, t = torch.randn(3, 64), torch.tensor([0, 10, 999])
    assert net(x, t).shape == (3, 64)
    assert not torch.equal(net(x, t), net(x, t.flip(0)))


def clips(count=8):
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(count, 1, 16, 16, generator=generator) > 0.5).float() * 2 - 1


def test_the_explorers_draw_every_state():
    images = torch.randn(5, 3, 1, 16, 16)
    ways = dict.fromkeys(("DDPM", "DDIM"), ([999, 749, 499, 249], images, images[:4].tanh()))
    scrub = Explorer(
        lambda **state: drawn.scrubber_figure(ways, **state),
        [Slider("step", "steps taken", 0, 4, 1, 2), Choice("sampler", "sampler", tuple(ways), "DDIM")],
        "From noise to clips",
    )
    made = {scale: clips() for scale in (0, 1, 2)}
    guide = Explorer(
        lambda scale: drawn.guidance_figure(made, torch.arange(8) % 4, scale=scale),
        [Choice("scale", "guidance", tuple(made), 2)],
        "Guidance",
    )
    for explorer in (scrub, guide):
        for state in explorer.grid():
            assert explorer.problems(state) == []
    words = alt_text(drawn.scrubber_figure(ways, sampler="DDIM", step=4))
    assert "DDIM, 4 of 4 steps taken, done" in words
    assert "t = 999" in alt_text(drawn.scrubber_figure(ways, sampler="DDPM", step=0))


def test_what_guidance_is_judged_by():
    """Variety: two clips of a family that differ in half of their pixels, another with no difference."""
    black, half = -torch.ones(1, 1, 16, 16), -torch.ones(1, 1, 16, 16)
    half[..., :8] = 1
    drawn_clips = torch.cat([black, half, black, black])
    label = torch.tensor([0, 0, 1, 1])
    assert drawn.variety(drawn_clips, label) == pytest.approx(0.25)
    assert 0 <= drawn.agreement(drawn_clips, label) <= 1


def test_copies_are_counted_to_the_pixel():
    known = clips(6)
    changed = known[:4].clone()
    changed[0, 0, 3, 3] *= -1
    assert drawn.copy_share(changed, known) == pytest.approx(0.75)
    assert drawn.copy_share(0.6 * known, known) == 1  # grey is thresholded


def test_the_figures_say_what_they_show():
    centres = ring().centres.float()
    start = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    assert "0% of the points lie on" in alt_text(chain.jump_figure(start, {"one jump": 0 * start}, centres))
    way = [start, start / 2, centres[torch.arange(50) % 8]]
    assert "after the last step: 100%" in alt_text(chain.moments_figure(way, [999, 499], centres))
    same = chain.ways_figure({"DDIM": [way, way]}, centres)
    assert "ends up to 0 apart" in alt_text(same)
    assert "4 images" in alt_text(chain.chain_figure(torch.rand(4, 8, 8), ("a", "b", "c", "d")))


def test_the_steps_figure_names_every_sampler():
    made = {name: {5: clips(64), 10: clips(64)} for name in ("DDPM", "DDIM")}
    words = alt_text(drawn.steps_figure(made))
    assert words.count("DDPM") == words.count("DDIM") == 2  # in both panels
    assert "valid clips (%), more is better: DDPM 0 at 5, 0 at 10; DDIM" in words
