"""Lesson 02's page against the library: its denoiser, its sampler, and what its prose says of a block."""

from functools import partial

import pytest
import torch
from pages import defined_on_page
from torch import nn

from gantrans.networks import VectorDenoiser, VectorDenoiserConfig
from gantrans.teaching.exercises import exercise

WIDTH = 64


def block_of_the_course():
    return exercise("time_block").function


def denoisers(embedding, blocks=2):
    """The page's and the library's, with the same weights."""
    (Denoiser,) = defined_on_page("02", "Denoiser", TimeBlock=block_of_the_course())
    sines = partial(exercise("sinusoidal_embedding").function, width=16, max_period=10_000.0)
    ways = {
        "sinusoidal": (sines, 16),
        "none": (lambda t: torch.zeros(len(t), 16), 16),
        "learned": (nn.Embedding(1000, 16), 16),
    }
    embed, inputs = ways[embedding]
    page = Denoiser(embed, inputs, width=WIDTH, time_width=WIDTH, blocks=blocks)
    config = VectorDenoiserConfig(64, hidden=WIDTH, blocks=blocks, embedding=embedding)
    library = VectorDenoiser(config, seed=3)
    conditioning = [*library.conditioning.time.layers.parameters(), *library.entry.parameters()]
    parts = zip(library.norms, library.modulations, library.inner, library.outer, strict=True)
    weights = [*conditioning, *[w for block in parts for layer in block for w in layer.parameters()]]
    weights += [*library.exit.parameters()]
    named = dict(page.named_parameters())
    ours = [named[name] for name in named if not name.startswith("embed.")]
    order = [p for name in ("time", "enter", "blocks", "leave") for p in getattr(page, name).parameters()]
    assert {id(p) for p in ours} == {id(p) for p in order}  # the page's network has no other layer
    with torch.no_grad():
        for mine, theirs in zip(order, weights, strict=True):
            mine.copy_(theirs)
        if embedding == "learned":
            embed.weight.copy_(library.conditioning.time.embedding.table.weight)
    return page, library


@pytest.mark.parametrize("embedding", ["sinusoidal", "none", "learned"])
def test_the_denoiser_of_the_page_is_the_librarys(embedding):
    page, library = denoisers(embedding)
    x, t = torch.randn(5, 64), torch.tensor([0, 3, 250, 500, 999])
    torch.testing.assert_close(page(x, t), library(x, t), rtol=1e-4, atol=1e-5)
    changed = page(x, t.flip(0))
    assert torch.allclose(changed, page(x, t)) == (embedding == "none")


def test_the_sampler_of_the_page_is_that_of_lesson_01():
    betas = exercise("thin_out").function(exercise("cosine_betas").function(1000, 0.999), 20)
    start = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))

    def net(x, t):
        return 0.8 * x + 0.1 * torch.sin(3 * x + t.view(-1, 1) / 100)

    first, second = (defined_on_page(number, "sample", seed=3)[0] for number in ("01", "02"))
    torch.testing.assert_close(
        second(net, start, betas, range(19, 1000, 20)), first(net, start, betas, range(19, 1000, 20))[-1]
    )


def test_a_scale_acts_behind_a_normalisation_and_not_before():
    """What the page says of the order: a normalisation after the scale divides it out again."""
    x = torch.randn(3, WIDTH)
    norm = nn.LayerNorm(WIDTH)
    torch.testing.assert_close(norm(5 * x), norm(x), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(5 * norm(x), norm(x))


def test_one_clock_turns_half_in_a_thousand_steps_and_switches_a_channel_off():
    """The weights of the page's example: the strokes are there at t = 0 and gone at t = 999."""
    weight, bias = torch.zeros(4, 64), torch.tensor([-0.73, 0.0, 0.0, 0.0])
    weight[0, 52] = 1.0
    times = torch.tensor([0, 300, 600, 999])
    embedded = exercise("sinusoidal_embedding").function(times, 64, 10_000.0)
    timed = exercise("time_modulation").function(torch.ones(4, 2, 1, 1), embedded, weight, bias)
    strokes, rough = timed.flatten(1).T
    assert strokes[0] == pytest.approx(1, abs=0.01)
    assert strokes[3] == pytest.approx(0, abs=0.01)
    assert (strokes.diff() < 0).all()
    assert rough.tolist() == [1.0] * 4


def test_a_number_up_to_999_begins_with_scales_hundreds_of_times_too_large():
    torch.manual_seed(0)
    (Denoiser,) = defined_on_page("02", "Denoiser", TimeBlock=block_of_the_course())
    net, t = Denoiser(lambda t: t, 1), torch.arange(0, 1000, 10)
    raw, wrong = exercise("raw_time").function, exercise("raw_time").buggy

    @torch.no_grad()
    def size(embed):
        return float(net.blocks[0].modulation(nn.functional.silu(net.time(embed(t, 1000)))).abs().mean())

    assert size(wrong) > 50 * size(raw)
