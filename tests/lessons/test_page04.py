"""Lesson 04's page against the library: its network, its shapes, its loop; and its figures."""

import torch
from pages import defined_on_page

from gantrans.networks import UNetConfig, UNetGenerator
from gantrans.networks.unet import shape_table
from gantrans.teaching.exercises import exercise
from gantrans.teaching.explorers import Toggle, explorer
from gantrans.teaching.plots import alt_text
from gantrans.teaching.plots.style import figure_of
from lessons.lesson04.figures import compare, diagram, levels

UNetTranslator = exercise("unet_translator").function
encoder_maps = exercise("encoder_maps").function


def blocks():
    functions = {name: exercise(name).function for name in ("encoder_block", "decoder_step")}
    return defined_on_page("04", "Down", "Up", **functions)


def small(**options):
    Down, Up = blocks()
    torch.manual_seed(0)
    return UNetTranslator(Down, Up, [4, 8, 12], **options)


def copied(net, library):
    """Copy the page's weights and running values into the library's network, in order."""
    counts = "num_batches_tracked"
    theirs = [v for name, v in library.state_dict().items() if counts not in name]
    ours = [v for name, v in net.state_dict().items() if counts not in name]
    for mine, its in zip(ours, theirs, strict=True):
        its.copy_(mine)
    return library


def test_the_network_of_the_page_is_the_librarys_in_training_and_in_use():
    net = small()
    with torch.no_grad():
        for weight in net.state_dict().values():
            if weight.is_floating_point():
                weight.copy_(torch.rand_like(weight) + 0.1)
        net.last.weight.mul_(0.02)
    library = UNetGenerator(UNetConfig(base_filters=4, n_down=3, channel_cap=12, dropout=0.0))
    copied(net, library)
    x = torch.randn(3, 1, 16, 24)
    for training in (True, False):
        net.train(training), library.train(training)
        torch.testing.assert_close(net(x), library(x))
    loss = [network(x).square().mean() for network in (net.train(), library.train())]
    slopes = [
        torch.autograd.grad(value, list(network.parameters()))
        for value, network in zip(loss, (net, library), strict=True)
    ]
    for mine, its in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-6)
    without = small(skips=False)
    without.load_state_dict(net.state_dict())
    torch.testing.assert_close(without.eval()(x), library.eval()(x, skip_gains=(0.0, 0.0)))


def test_the_full_network_has_the_articles_shapes():
    Down, Up = blocks()
    table = exercise("encoder_shapes").function(256, 48, 5, 256)
    with torch.device("meta"):
        net = UNetTranslator(Down, Up, [channels for channels, _ in table]).eval()
        x = torch.zeros(1, 1, 256, 256)
    maps = encoder_maps(net.down, x)
    rows = shape_table(UNetConfig(), 256)
    assert [tuple(m.shape[1:]) for m in maps] == [row.output for row in rows[:5]]
    made, h = [], maps[-1]
    for block, skip in zip(net.up, maps[-2::-1], strict=True):
        h = block(h, skip)
        made.append(tuple(h.shape[1:]))
    assert made == [row.after_skip for row in rows[5:-1]]
    assert net(x).shape == x.shape
    with torch.device("meta"):
        library = UNetGenerator(UNetConfig())
    assert sum(p.numel() for p in net.parameters()) == sum(p.numel() for p in library.parameters())


def test_a_middle_stands_at_the_bottleneck():
    seen = []

    class Middle(torch.nn.Module):
        def forward(self, x):
            seen.append(tuple(x.shape))
            return torch.zeros_like(x)

    net = small(middle=Middle()).eval()
    x = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        changed = net(x)
        net.middle = torch.nn.Identity()
        assert not torch.equal(changed, net(x))
    assert seen == [(1, 12, 2, 2)]


def test_the_loop_of_the_page_is_pytorchs():
    (learn,) = defined_on_page("04", "learn", seed=3)
    given, wanted = torch.randn(20, 1, 8, 8), torch.randn(20, 1, 8, 8)
    nets = [torch.nn.Conv2d(1, 1, 3, padding=1) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    losses = learn(nets[0], given, wanted, 5, 1e-2, batch=4)

    draws = torch.Generator().manual_seed(3)
    optimiser = torch.optim.Adam(nets[1].parameters(), lr=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, 5)
    for before in losses:
        chosen = torch.randint(20, (4,), generator=draws)
        optimiser.zero_grad()
        loss = torch.nn.functional.l1_loss(nets[1](given[chosen]), wanted[chosen])
        loss.backward()
        optimiser.step()
        rate.step()
        assert abs(loss.item() - before) < 1e-6
    for mine, its in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(mine, its)


def test_the_slip_of_the_bug_hunt_costs_gradient_and_no_value():
    net, x = small(), torch.randn(2, 1, 16, 16)
    hunt = exercise("encoder_maps")
    slopes = []
    for function in (hunt.function, hunt.buggy):
        maps = function(net.down, x)
        loss = sum(m.square().sum() for m in maps)
        slopes.append((torch.autograd.grad(loss, net.down[0].conv.weight)[0].norm(), maps))
    assert slopes[1][0] < 0.9 * slopes[0][0]
    for right, wrong in zip(slopes[0][1], slopes[1][1], strict=True):
        torch.testing.assert_close(right, wrong)


def test_encoder_table_counts_what_the_text_says():
    table = diagram.encoder_table(UNetConfig(), 256)
    assert [row[4] for row in table.rows] == ["4 px", "10 px", "22 px", "46 px", "94 px"]
    assert table.rows[0][2] == "786,432"
    assert table.rows[-1][1:3] == ["256 x 8 x 8", "16,384"]
    cost = [row[3] for row in table.rows]  # equal until the cap, then less
    assert cost == ["13 million", "302 million", "302 million", "201 million", "67 million"]


def test_switches_over_their_grid():
    net = small().eval()
    sem = torch.rand(2, 1, 16, 16)
    layout = (sem > 0.5).float()
    with torch.no_grad():
        maps = encoder_maps(net.down, 2 * sem - 1)

    @torch.no_grad()
    def draw(maps):
        x = maps[-1]
        for block, skip in zip(net.up, maps[-2::-1], strict=True):
            x = block(x, skip)
        return torch.tanh(net.last(x)) / 2 + 0.5

    def figure(**kept):
        one, zeros = [m[:1] for m in maps], [torch.zeros_like(m[:1]) for m in maps]
        return levels.switches_figure(draw, one, zeros, sem[0], layout[0], **kept)

    made = explorer(figure, [Toggle(f"level_{k}", str(k)) for k in range(3)], title="switches")
    assert [problem for state in made.grid() for problem in made.problems(state)] == []
    images = [made.figure({f"level_{k}": False}).axes[2].images[0].get_array() for k in range(3)]
    assert all((images[a] != images[b]).any() for a, b in ((0, 1), (1, 2), (0, 2)))


def test_every_other_figure_has_words():
    layout = torch.zeros(3, 1, 16, 16)
    layout[:, :, 4:9, 2:12] = 1
    losses = {by: torch.rand(3, 4) for by in ("zeros", "channel means")}
    figures = [
        compare.shrunk_figure(layout[0], (16, 4, 2)),
        compare.difference_figure(layout, {"copy": layout}, (0, 2)),
        compare.difference_figure(layout, {"a": layout, "b": 1 - layout}, (1,), sem=layout),
        compare.grain_figure(layout, layout, layout, 2),
        figure_of(compare.grain_spectrum(torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32))),
        compare.answers_figure({"L1": [0.8, 0.0], "L2": [0.8, 0.3]}, [0.0, 1.0]),
        diagram.unet_figure(UNetConfig(skips=(True, False, True, False)), 256),
        figure_of(levels.contribution_axes(losses, ["8 x 8", "4 x 4", "2 x 2"])),
        figure_of(levels.chimera_figure({"first": [1.0, 0.0], "second": [0.0, 1.0]})),
        levels.chimera_images([layout[0]] * 2, [layout[0], 1 - layout[0]], [layout[0]] * 3),
    ]
    assert all(alt_text(figure) for figure in figures)
    assert "2 skip connections" in alt_text(figures[6])
    assert "L1 ends at 0.00; L2 ends at 0.30" in alt_text(figures[5])
