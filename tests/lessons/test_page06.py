"""Lesson 06's page: the game of two numbers against its closed form; repairs and steps as in the library."""

import copy
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from pages import defined_on_page
from torch import nn
from torch.func import jacrev

from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.plots import alt_text
from lessons.lesson05.pix2pix import simultaneous_gradients
from lessons.lesson06.experiments import clips
from lessons.lesson06.figures import dirac, losses, machine, rings

GAMES = ("value", "turn", "path", "r1_value", "wgan_gp_value", "noisy_value")
HOME = torch.zeros(2, dtype=torch.float64)


def games():
    return SimpleNamespace(**dict(zip(GAMES, defined_on_page("06", *GAMES), strict=True)))


def exact(h, damping, alternating):
    """The turn near the goal as a matrix: f'(0) = 1/2, D's own term -damping (Mescheder et al. 2018)."""
    a, d = h / 2, 1 - h * damping
    return torch.tensor([[1 - a * a, a * d], [-a, d]] if alternating else [[1, a], [-a, d]])


@pytest.mark.parametrize("h", [0.1, 0.2, 0.5])
@pytest.mark.parametrize(
    ("game", "damping"), [("value", 0.0), ("r1_value", 1.0), ("noisy_value", 0.5 * 0.7**2)]
)
@pytest.mark.parametrize("alternating", [True, False])
def test_one_turn_near_the_goal_is_the_matrix_of_the_paper(h, game, damping, alternating):
    page = games()
    step = partial(page.turn, value=getattr(page, game), alternating=alternating, h=h)
    torch.testing.assert_close(
        jacrev(step)(HOME), exact(h, damping, alternating).double(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("h", [0.1, 0.2, 0.5])
def test_the_factors_that_the_page_states(h):
    """At once sqrt(1 + h^2 / 4), in turns 1, damped less: eigenvalues of the turn itself."""
    page = games()

    def factor(game, alternating):
        jacobian = jacrev(partial(page.turn, value=game, alternating=alternating, h=h))(HOME)
        return float(torch.linalg.eigvals(jacobian).abs().max())

    assert factor(page.value, False) == pytest.approx((1 + h * h / 4) ** 0.5, rel=1e-6)
    assert factor(page.value, True) == pytest.approx(1, rel=1e-6)
    assert max(factor(page.r1_value, True), factor(page.noisy_value, True)) < 1 - 0.1 * h


def test_which_paths_come_home():
    page = games()
    far = {game: float(page.path(getattr(page, game))[-1].norm()) for game in GAMES[3:]}
    assert far["r1_value"] < 1e-4
    assert far["noisy_value"] < 0.02
    assert far["wgan_gp_value"] > 0.5
    assert 0.9 < page.path(page.value)[-1].norm() < 1.1
    assert page.path(page.value, alternating=False)[-1].norm() > 2
    stopped = page.path(page.value, h=lambda k: 0.2 * min(1, 2 - k / 100))
    assert stopped[-1].norm() > 0.9
    assert (stopped[-1] - stopped[-2]).norm() < 2e-3


def test_the_first_turn_is_that_worked_by_hand():
    page = games()
    theta, psi = page.turn(torch.tensor([1.0, 0.0]), page.value, h=0.2)
    assert float(psi) == pytest.approx(-0.1)  # -0.5 times the step
    assert float(theta) < 1


def test_r1_is_half_the_squared_slope():
    (r1,) = defined_on_page("06", "r1")
    D = nn.Linear(2, 1)
    real = torch.randn(7, 2)
    penalty = r1(D, real)
    assert penalty.item() == pytest.approx(0.5 * D.weight.square().sum().item(), rel=1e-5)
    penalty.backward()
    torch.testing.assert_close(D.weight.grad, D.weight.detach())
    assert not real.requires_grad


def test_the_spectral_norm_of_the_page_sets_the_slopes():
    names = ("SpectralNorm", "bounded", "Player")
    divide = exercise("spectral_normalise").function
    _, bounded, Player = defined_on_page("06", *names, spectral_normalise=divide)
    torch.manual_seed(0)
    D = bounded(Player(1), slope=8.0)
    for _ in range(100):
        D(torch.randn(3, 2))
    kept = D.second.parametrizations["weight"][0].u
    D.eval()
    sizes = [float(torch.linalg.matrix_norm(layer.weight, 2)) for layer in (D.first, D.second, D.last)]
    assert sizes == pytest.approx([1, 1, 8], rel=1e-3)
    assert D.second.parametrizations["weight"][0].u is kept  # no iteration in use
    x, y = torch.randn(2, 40, 2)
    with torch.no_grad():
        assert ((D(x) - D(y)).abs().squeeze(1) <= 8.01 * (x - y).norm(dim=1)).all()
    conv = bounded(nn.Sequential(nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 3)))
    exact_norm = torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 4, 3), n_power_iterations=100)
    exact_norm.parametrizations["weight"].original.data.copy_(conv[0].parametrizations["weight"].original)
    for _ in range(100):
        conv(torch.randn(1, 2, 8, 8))
    exact_norm(torch.randn(1, 2, 8, 8))
    torch.testing.assert_close(conv.eval()[0].weight, exact_norm.eval().weight, rtol=1e-3, atol=1e-4)


class Toy(nn.Module):
    """A player of one layer that the library's step and the page's both can use."""

    def __init__(self, inputs):
        super().__init__()
        self.layer = nn.Conv2d(inputs, 1, 3, padding=1)

    def forward(self, *images, noise=None):
        return self.layer(torch.cat(images, dim=1))


class Named(Toy):
    """D as the library has it: logits by name."""

    def forward(self, *images):
        return SimpleNamespace(logits=super().forward(*images))


class Paired(Toy):
    """D as the exercises have it: logits and maps."""

    def forward(self, *images):
        return super().forward(*images), []


def test_the_step_at_once_has_the_librarys_gradients():
    (at_once,) = defined_on_page("06", "at_once")
    torch.manual_seed(1)
    G, D = Toy(1), Paired(2)
    G2, D2 = copy.deepcopy(G), Named(2)
    D2.load_state_dict(D.state_dict())
    x, y = torch.randn(2, 3, 1, 8, 8)
    at_once(G, D, *(torch.optim.SGD(net.parameters(), 0.1) for net in (G, D)), x, y, 10.0)
    simultaneous_gradients(G2, D2, x, y, weight_l1=10.0)
    for page, there in ((G, G2), (D, D2)):
        for moved, weight in zip(page.parameters(), there.parameters(), strict=True):
            torch.testing.assert_close(moved, weight - 0.1 * weight.grad)
    assert all(weight.requires_grad for weight in D.parameters())


def test_the_loop_of_the_ring_hands_every_repair_its_part():
    d, g = "cross_entropy_d", "cross_entropy_g"
    ring = torch.randn(8, 2)
    play, _, loss_d, loss_g = defined_on_page("06", "play", "Player", d, g, ring=ring)
    seen = {"rate": [], "penalty": 0, "dress": 0}

    def penalty(D, real):
        seen["penalty"] += real.shape == (64, 2)
        return 0 * D(real).mean()

    def exchange(points):
        assert not points.requires_grad
        return points

    def rate(base, step, total):
        seen["rate"].append((base, step, total))
        return 0.0

    def dress(D):
        seen["dress"] += isinstance(D, nn.Module)

    torch.manual_seed(9)
    moments = play(0, loss_d, loss_g, 10, penalty, dress, exchange, rate)
    assert [m.shape for m in moments] == [(500, 2)] * 6
    assert (seen["penalty"], seen["dress"]) == (10, 1)
    assert seen["rate"][:2] == [(2e-3, 1, 10), (1e-3, 1, 10)]
    assert seen["rate"][-1] == (1e-3, 10, 10)
    again = play(0, loss_d, loss_g, 10, penalty, dress, exchange, rate)
    assert all(torch.equal(one, other) for one, other in zip(moments, again, strict=True))
    assert float(loss_d(torch.zeros(4, 1), torch.zeros(4, 1))) == pytest.approx(0.6931, abs=1e-4)


def test_the_players_of_the_machine_fit_the_clips():
    torch.manual_seed(0)
    _, Up, down, players = defined_on_page("06", "Noise", "Up", "down", "players", mine=mine, seed=0)
    G, D, of_g, of_d = players()
    layout = clips.clips(2, 32, 0).layout
    fake = G(layout)
    assert fake.shape == layout.shape
    assert D(layout, fake)[0].shape == (2, 1, 6, 6)
    assert not torch.equal(fake, G(layout))  # the noise is fresh
    for optimizer, net in ((of_g, G), (of_d, D)):
        assert {id(p) for p in optimizer.param_groups[0]["params"]} == {id(p) for p in net.parameters()}
    assert Up(3, 4)(torch.randn(1, 3, 4, 4), torch.randn(1, 5, 8, 8)).shape == (1, 9, 8, 8)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in down(1, 2, False))


def test_the_store_keeps_pairs_together():
    exchange = exercise("exchange_fakes").function
    (with_memory,) = defined_on_page("06", "with_memory", exchange_fakes=exchange, seed=0)
    store = with_memory()
    for first in range(0, 200, 4):
        x = torch.arange(first, first + 4.0).view(4, 1, 1, 1)
        given = store(x, x + 0.25, x + 0.5)
        torch.testing.assert_close(given[1], given[0] + 0.25)
        torch.testing.assert_close(given[2], given[0] + 0.5)
    assert not torch.equal(given[0], x)  # at the end some are older


def test_covered_groups_are_counted():
    centres = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    points = torch.cat([centres[:2].repeat(40, 1), centres[2:3], torch.full((19, 2), 5.0)])
    assert rings.covered(points, centres) == 2  # the third has 1 of 100, the rest is nowhere
    assert rings.covered(points + 0.15, centres) == 0  # 0.21 away


def test_the_machine_is_judged_against_real_images():
    real = clips.clips(6, 32, 0)
    assert torch.equal(real.layout, clips.clips(6, 32, 0).layout)
    assert not torch.equal(real.sem, real.another)
    assert not torch.equal(real.layout, clips.clips(6, 32, 1).layout)
    same = machine.judge(real.sem, real.another, real)
    assert same["spread"] == pytest.approx(1)
    assert same["spectrum"] == pytest.approx(0, abs=1e-6)
    assert machine.judge(real.sem, real.sem, real)["spread"] == 0
    words = alt_text(machine.runs_figure(real, {"a run": (real.sem, real.another)}, (0, 1, 2, 3)))
    assert "a run: 0.0 dB · spread 1.00" in words


def test_the_figures_say_what_they_show():
    line = torch.stack([torch.linspace(1, 0.5, 5), torch.zeros(5)], dim=1)
    words = alt_text(dirac.paths_figure({"a": line, "b": line}))
    assert "a: begins 1.0 from the goal and ends 0.50 from it." in words
    centres = torch.eye(2)
    run = [centres.repeat(20, 1), centres[:1].repeat(20, 1)]
    assert "seed 0: groups covered, in order: 2, 1 of 2." in alt_text(
        rings.moments_figure({"seed 0": run}, 10, centres)
    )
    assert "R1: groups covered 2, 1." in alt_text(rings.rescue_figure({"R1": run}, centres))
    words = alt_text(losses.alone_figure([0.5] * 6, {"lsgan": [1.0] * 6}))
    assert "lsgan: 1 at first, 1 at the end" in words
    words = alt_text(losses.power_figure({"start 1": [0.5, 0.9]}, 1.0, 1.5))
    assert "start 1: 0.50 after one iteration, 0.900 after 2. SVD: 1.000. The convolution: 1.50." in words
    best = exercise("optimal_discriminator").function
    assert "two-sided, 0.9 and 0.1: from 0.10 to 0.90" in alt_text(losses.labels_figure(best))
