"""Lesson 05's page: the game by hand, pix2pix against its canonical step, what no logit sees; its figures."""

import copy

import pytest
import torch
from pages import defined_on_page
from torch import nn

from gantrans.networks import PatchGAN as LibraryPatchGAN
from gantrans.networks import PatchGANConfig
from gantrans.networks.receptive_field import gradient_support, support_box
from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.explorers import Explorer, Slider
from gantrans.teaching.plots import alt_text
from lessons.lesson05.experiments.twice import imaged_twice, training_pairs
from lessons.lesson05.figures import fields, game, memory
from lessons.lesson05.pix2pix import reference_step

PARTS = ("patchgan_layers", "discriminator_step", "generator_step", "lsgan_d_loss")


def page(*names, seed=0):
    """Functions of the page, made with the course's versions of what the learner writes."""
    given = {name: exercise(name).function for name in PARTS}
    return defined_on_page(
        "05",
        *names,
        **given,
        PatchGAN=exercise("build_patchgan").function,
        seed=seed,
        device="cpu",
        mine=mine,
    )


class WithLogits(nn.Module):
    """The page's D as `reference_step` calls it: `D(x, y).logits`."""

    def __init__(self, D):
        super().__init__()
        self.D = D

    def forward(self, x, y):
        """An object with `.logits`, as the library's D gives it."""
        logits, maps = self.D(x, y)
        return type("Seen", (), {"logits": logits, "features": maps})


def images(count=6, size=24):
    draw = torch.Generator().manual_seed(0)
    return (2 * torch.rand(count, 1, size, size, generator=draw) - 1 for _ in range(2))


def test_the_loop_of_the_page_is_the_papers_step():
    """`play` with the learner's two turns, and `reference_step` on players of the same start and draws."""
    *_, players, play = page("Down", "Grow", "Up", "lsgan_g_loss", "players", "play")
    x_all, y_all = images()
    G = play(x_all, y_all, 3, 20.0)

    theirs, D, opt_g, opt_d = players()
    D = WithLogits(D)
    for _ in range(3):
        i = torch.randint(len(x_all), (4,))
        reference_step(theirs, D, opt_g, opt_d, x_all[i], y_all[i], 20.0)
    for ours, weight in zip(G.state_dict().values(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, weight)
    fresh = players()[0].state_dict()
    assert any(not torch.equal(a, b) for a, b in zip(G.state_dict().values(), fresh.values(), strict=True))


def test_the_open_loop_takes_the_same_step_as_the_learners_turn():
    """The page writes G's turn out before the exercise asks for it: both move G alike."""
    *_, players, g_loss = page("Down", "Grow", "Up", "players", "lsgan_g_loss")
    x, y = images(4)
    moved = []
    for way in ("open", "exercise"):
        G, D, opt_g, _ = players()
        before = copy.deepcopy(D.state_dict())
        fake = G(x)
        if way == "open":
            D.requires_grad_(False)
            fake_logits, _ = D(x, fake)
            loss = g_loss(fake_logits) + 3.0 * (fake - y).abs().mean()
            opt_g.zero_grad()
            loss.backward()
            opt_g.step()
        else:
            exercise("generator_step").function(D, opt_g, x, y, fake, g_loss, 3.0)
        assert all(torch.equal(a, b) for a, b in zip(before.values(), D.state_dict().values(), strict=True))
        moved.append(G.state_dict())
    for one, other in zip(*(state.values() for state in moved), strict=True):
        torch.testing.assert_close(one, other)


def test_the_noise_of_g_makes_two_images_of_one_layout():
    *_, players = page("Down", "Grow", "Up", "players")
    (make,) = defined_on_page("05", "make", device="cpu")
    G, x = players()[0], torch.zeros(1, 1, 24, 24)
    first, second = make(G, x), make(G, x)
    assert first.shape == x.shape
    assert not first.requires_grad
    assert G.training
    assert (first - second).abs().mean() > 0.01
    for module in G.modules():
        if hasattr(module, "strength"):
            module.strength.data.zero_()
    assert torch.equal(make(G, x), make(G, x))


def test_the_gradients_by_hand_are_autograds():
    """The explorer's game, step by step, and its first turn as the text works it out."""
    real, fake = torch.tensor(2.0, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    w, b = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)

    def value(w, b, fake):
        return torch.sigmoid(w * real + b).log() + (1 - torch.sigmoid(w * fake + b)).log()

    way = game.played(2, 1, 0.5, turns=12)
    for there in way:
        for _ in range(2):
            slope = torch.func.grad(value, argnums=(0, 1))(w, b, fake)
            w, b = w + 0.5 * slope[0], b + 0.5 * slope[1]
        fake = fake - 0.5 * torch.func.grad(value, argnums=2)(w, b, fake)
        assert there == pytest.approx([v.item() for v in (fake, w, b, value(w, b, fake))])
    assert game.played(1, 1, 0.5, turns=1)[0][1:3] == (0.5, 0.0)  # w becomes a half, b stays


def test_the_game_swings_and_ends_where_d_cannot_tell():
    way = game.played(1, 1, 0.5, turns=400)
    assert max(fake for fake, *_ in way) > 2.5
    assert way[-1][0] == pytest.approx(2, abs=0.02)
    assert way[-1][3] == pytest.approx(game.BALANCE["V"], abs=1e-3)
    assert abs(game.played(1, 1, 1.5)[-1][0] - 2) > 3  # the state in the strip that never arrives


def test_no_logit_of_the_70_px_discriminator_sees_a_whole_clip_of_64_px():
    """What the page says of 6 x 6 logits, by the learner's spans and by the gradient."""
    layers = [row[2:] for row in exercise("patchgan_layers").function(48, 3, 256)]
    assert exercise("receptive_field").function(layers, 64) == (70, 6)
    network, seen = LibraryPatchGAN(PatchGANConfig(base_filters=1)), []
    for i in range(6):
        first, last = exercise("logit_span").function(i, layers)
        box = support_box(gradient_support(network, 64, i, i))
        assert (box.top, box.bottom - 1) == (max(first, 0), min(last, 63))
        seen.append(box.bottom - box.top)
    assert max(seen) == 63
    assert seen[0] == 47


def test_a_layout_is_imaged_twice_and_shown_to_nobody_before():
    test = imaged_twice(3, 32, 0)
    assert test.layout.unique().tolist() == [-1, 1]
    assert test.sem.shape == test.again.shape == (3, 1, 32, 32)
    assert -1 <= test.sem.min() < test.sem.max() <= 1
    difference, shape = test.sem - test.again, test.sem + test.again
    assert difference.std() > 0.05  # the grain falls anew
    assert shape.std() > difference.std()  # and the picture stays
    layout, sem = training_pairs(6, 32, 0)
    assert layout.shape == sem.shape == (6, 1, 32, 32)
    assert not any(torch.equal(a, b) for a in layout for b in test.layout)


def test_the_figures_say_what_they_show():
    one = torch.zeros(1, 1, 12, 12)
    way = game.played(1, 1, 0.5)
    figures = {
        "is at 3.0 at most": game.turns_figure(way, 2.0),
        "so no gradient reaches G": game.gradients_figure(),
        "layout, 240 nm wide": game.twice_figure(one, one, one, one),
        "step 30": game.strip_figure(one, {0: one, 30: one}, one, {"L1 alone": one}),
        "made, weight 100": game.directions_figure(one, one, one, one),
        "D's loss: 0.50 at first, 0.25 at the end": game.losses_figure(
            [(0.5, 2.0)] * 50 + [(0.25, 1.0)] * 50
        ),
    }
    for words, figure in figures.items():
        assert words in alt_text(figure)


def test_the_explorer_of_the_game_draws_every_state():
    controls = (
        Slider("d", "steps of D", 1, 10, 1, 1),
        Slider("g", "steps of G", 1, 10, 1, 1),
        Slider("rate", "step length", 0.1, 2.0, 0.1, 0.5),
    )
    explorer = Explorer(game.played_figure, controls, "The game with one number")
    for state in explorer.grid():
        assert explorer.problems(state) == []


def test_grain_is_what_an_average_takes_away():
    draw = torch.randn(4, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    assert game.grain(torch.ones(1, 1, 9, 9)) == 0
    assert game.grain(draw) == pytest.approx(
        (8 / 9) ** 0.5 / 2, rel=0.01
    )  # variance 1 less that of a mean of 9
    assert game.grain(torch.arange(20.0).expand(1, 1, 20, 20)) == pytest.approx(
        0, abs=1e-6
    )  # a slope has none


def test_the_numbers_of_an_arm_are_its_own():
    numbers = {"global: memory": 0.2, "global, augmented: memory": 0.0, "field 34 px: L1": 1.0}
    assert memory.of_arm(numbers, "global") == {"memory": 0.2}


def test_the_leak_of_instance_norm_is_faint():
    batch = imaged_twice(2, 64, 1).sem
    table = fields.leak_table({"instance norm": fields.logit_gradients("instance norm", batch)})
    assert 0 < table["instance norm"]["rest of the image"] < 50
