"""Lesson 14: its figures and counts, the sweep's parts and rules, its page against the library."""

import math
from itertools import pairwise
from statistics import median

import pytest
import torch
from answers import questions_of
from pages import defined_on_page

from gantrans.diffusion import make_schedule
from gantrans.images import unit_from_network
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.networks.accounting import flops
from gantrans.teaching import claims, mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.plots import alt_text
from gantrans.teaching.runs import config_hash
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table
from gantrans.translation import ConditionalDiffusionConfig
from gantrans.translation import ensemble_interval as library_interval
from lessons.lesson14.experiments import choice, contenders, pairs
from lessons.lesson14.experiments.contenders import BUDGETS, DIRECTIONS, METHODS, PAIRS, SECONDS, STEPS
from lessons.lesson14.figures import answers, costs, standing

BARS = make_schedule("cosine").alpha_bars


# ---- the page against the library


def page_network(width=8):
    given = {"mine": mine, "conditional_loss": exercise("conditional_loss").function, "bars": BARS}
    _, ConditionalUNet = defined_on_page("14", "ConvBlock", "ConditionalUNet", **given)
    torch.manual_seed(0)
    net = ConditionalUNet(width)
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return net


def test_the_network_of_the_page_is_the_librarys():
    net = page_network(16)
    config = DenoiserConfig(
        condition_channels=1, base_filters=16, multipliers=(1, 2, 2), attention=False, unshuffle=2
    )
    theirs = Denoiser(config)
    own = [weight for name, weight in net.named_parameters() if name != "net.label.weight"]
    for copied, weight in zip(theirs.parameters(), own, strict=True):
        copied.data.copy_(weight.data)
    label = net.net.label.weight.data
    label.zero_()  # the library's has no label to add
    # unshuffling both images together puts the channels of x_t first, as the page does
    x, t, condition = torch.randn(3, 1, 16, 16), torch.randint(1000, (3,)), torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        expected = theirs(x, t, condition=condition)
        torch.testing.assert_close(net(x, t, condition), expected, rtol=1e-4, atol=1e-4)


def test_the_transformer_of_the_page_costs_what_the_formula_says():
    (PatchTransformer,) = defined_on_page(
        "14", "PatchTransformer", to_patches=exercise("to_patches").function
    )
    net, image = PatchTransformer(32), torch.zeros(1, 1, 32, 32)
    net.train()  # evaluation takes a fused path that the counter does not see
    counted = flops(lambda: net(image, torch.zeros(1, dtype=torch.int64), image))
    attention = 4 * 4 * (64**2) * 64  # four layers; the counter misses the fused maps
    formula = costs.transformer_flops(32, 4)
    assert counted in (pytest.approx(formula), pytest.approx(formula - attention))
    torch.manual_seed(0)
    x = torch.randn(2, 1, 32, 32)
    made = net(x, None, x)
    assert made.shape == x.shape


def test_patches_are_put_back_where_they_were():
    x = torch.randn(2, 1, 12, 8)
    cut = exercise("to_patches").function(x, 4)
    back = torch.nn.functional.fold(cut.transpose(1, 2), (12, 8), 4, stride=4)
    assert torch.equal(back, x)


def test_the_interval_of_the_exercise_is_the_librarys_where_the_rank_is_whole():
    draw = torch.Generator().manual_seed(0)
    for count in (19, 39, 59):
        made = torch.randn(count, 30, generator=draw)
        low, high, _ = exercise("ensemble_interval").function(made, torch.zeros(30), 0.9)
        expected = library_interval(made, 0.9)
        torch.testing.assert_close(torch.stack([low, high]), torch.stack(expected))


def test_nineteen_draws_hold_the_twentieth_in_ninety_percent():
    draw = torch.Generator().manual_seed(0)
    many = torch.rand(20, 20_000, generator=draw).square()
    *_, coverage = exercise("ensemble_interval").function(many[:19], many[19], 0.9)
    assert coverage == pytest.approx(0.9, abs=0.01)


def test_one_after_another_and_at_once_answer_the_same_inputs():
    def echo(x, t, condition):
        return condition + 0.01 * torch.tanh(x)

    def step(x, x0, noise, bar, bar_next, before):
        return x0

    inputs = torch.linspace(-3, 3, 5).view(5, 1, 1, 1).expand(5, 1, 4, 4).clone()
    for name in ("draw_answers", "answers_at_once"):
        made = exercise(name).function(echo, inputs, 3, [9, 4], BARS, step, torch.Generator().manual_seed(0))
        assert made.shape == (3, 5, 1, 4, 4)
        assert (made - inputs).abs().max() < 0.02
        assert (made.std(0) > 0).any()


# ---- data and figures


def test_pairs_are_repeatable_and_the_mean_image_has_no_grain():
    few, more = pairs.pairs(2, 32, 3, 6.0), pairs.pairs(4, 32, 3, 6.0)
    assert torch.equal(few.sem, more.sem[:2])
    assert not torch.equal(few.sem, few.another)
    mean = pairs.mean_image(32, 3, 50.0, 1)
    one = pairs.pairs(2, 32, 3, 50.0).sem[1:]
    roughness = [float((image[..., 1:] - image[..., :-1]).abs().mean()) for image in (mean, one)]
    assert roughness[0] < 0.6 * roughness[1]


def test_a_doubtful_break_grows_with_its_strength():
    given, whole, broken = pairs.doubtful((0.0, 0.5, 1.0), 1e5)
    rows, columns = pairs.BREAK
    assert (whole[..., rows, columns] > 0).all()
    assert (broken[..., rows, columns] < 0).all()
    torch.testing.assert_close(given[1], (given[0] + given[2]) / 2)
    assert (given[0] - given[2])[..., :3, :].abs().max() < 0.01  # far from the break hardly anything changes


def test_figures_say_their_numbers():
    c, y = torch.linspace(-1, 1, 40)[:, None], torch.ones(40, 1)
    assert "L1: 100% of the answers" in alt_text(answers.toy_figure({"L1": (c, y), "GAN": (c, -y)}))
    many = torch.randn(19, 6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    given = torch.zeros(6, 1, 8, 8)
    assert "clip 2 answer 1" in alt_text(answers.ensemble_figure(given, given, many, (0, 2)))
    low, high, truth = torch.zeros(4), torch.full((4,), 0.5), torch.tensor([0.1, 0.2, 0.6, 0.5])
    words = alt_text(answers.interval_figure(low, high, truth, 0.75, 0.9))
    assert "75% of the truths lie in their 90% interval, whose mean width is 50.0 %" in words
    place = (slice(2, 4), slice(2, 4))
    drawn = many.clone()
    drawn[:10, 0, 0, 2:4, 2:4], drawn[10:, 0, 0, 2:4, 2:4] = -1, 1
    assert answers.break_votes(drawn, place)[0] == pytest.approx(10 / 19)
    words = alt_text(answers.break_figure(given[:2], drawn[:, :2], given[:2], (0.0, 1.0), place))
    assert "Share of 19 answers that draw a break of strength 0%: 53%" in words
    words = alt_text(answers.disagreement_figure(torch.linspace(0, 1, 101), [0.99], (0.5,)))
    assert "95 % of 101 usual clips below 0.95; breaks of strength 50%: 0.99" in words
    rows = {"L1": {"passes": 1, "IoU": 0.5}, "diffusion, 4": {"passes": 4, "IoU": 0.6}}
    assert "diffusion, 4: 0.6 at 4" in alt_text(costs.steps_figure(rows, {"IoU": "IoU"}))
    clips = torch.cat([torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)])
    assert "VAE: 50% of the pixels are grey; 1 ms" in alt_text(costs.vae_figure({"VAE": (clips, "1 ms")}, 4))
    table = costs.measured_table({"L1": {"ms": 1.0}}, {"ms": "", "spread": ""})
    assert table.rows == [["L1", "1", "-"]]


def test_attention_over_all_pixels_grows_with_the_fourth_power_and_the_unet_does_not():
    full = [costs.attention_bytes(size, 1) for size in costs.SIZES]
    assert full[-1] == 4 * 65_536**2 * 4
    assert all(b == 16 * a for a, b in pairwise(full))
    unet = [costs.unet_flops(size) for size in costs.SIZES]
    assert all(3 < b / a < 6.5 for a, b in pairwise(unet))
    assert costs.transformer_flops(256, 1) > 1000 * unet[-1]
    assert "patches of 1" in alt_text(costs.cost_figure())


# ---- the sweep


def test_every_setting_has_its_four_methods_and_its_steps():
    assert len(choice.SWEEP.settings) == len(DIRECTIONS) * len(PAIRS) * len(BUDGETS)
    for direction in DIRECTIONS:
        steps = {}
        for method in METHODS:
            for budget in BUDGETS:
                one = contenders.Contender(method, direction, 50, budget)
                task, fitting = contenders.configured(one, "reduced")
                assert fitting.steps == contenders.steps_of(one, "reduced")
                assert isinstance(task, ConditionalDiffusionConfig) == (method == "diffusion")
                steps[budget, method] = fitting.steps
        assert len({steps[STEPS, method] for method in METHODS}) == 1
        each = contenders.SETTINGS["reduced"].step_ms[direction]
        spent = [steps[SECONDS, method] * each[method] for method in METHODS]
        assert max(spent) / min(spent) < 1.01
        assert sum(spent) / 1000 < 80  # a run of four methods stays below 90 core-seconds


@pytest.fixture(scope="module")
def made():
    """A table with all arms and quantities, in which every number is known."""
    quantities = (
        "IoU",
        "IoU, 1",
        "IoU, 4",
        "IoU, 20",
        "coverage",
        "coverage, widened",
        "spectrum",
        "spread error",
        "ms, 1",
    )
    place = {method: number for number, method in enumerate(METHODS)}
    rows = {
        seed: {
            contenders.arm_name(method, direction, count, budget): {
                **dict.fromkeys(quantities, 0.5 + 0.01 * place[method] + 1e-05 * count + 0.001 * seed),
                "IoU, 1": 0.1,
                "ms, 4": 4.0,
                "ms, 20": 20.0,
            }
            for method in METHODS for direction in DIRECTIONS for count in PAIRS for budget in BUDGETS
        }
        for seed in range(3)
    }  # fmt: skip
    return Table({"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}, rows)


def test_the_table_gives_every_rule_its_data(made):
    for claim_id, judged in choice.SWEEP.claims.items():
        claim, data = claims.get(claim_id), judged(made)["data"]
        parts = data if isinstance(data, dict) and len(claim.parts) > 1 else {claim.parts[0].name: data}
        assert set(parts) == {part.name for part in claim.parts}, claim_id
        for part in claim.parts:
            if part.kind == "paired":
                assert set(parts[part.name]) == set(part.arms), claim_id
                assert all(len(values) == 3 for values in parts[part.name].values())
            else:
                assert len(parts[part.name]) == 3
    level = choice.SWEEP.claims["G72"](made)["data"]
    assert level == pytest.approx([0.02] * 3)  # diffusion's place minus L1's
    assert choice.SWEEP.claims["G73"](made)["data"]["as drawn"][0] == pytest.approx(0.54 - 0.9)
    lost = choice.SWEEP.claims["G70"](made)["data"]
    assert lost["GAN"] == pytest.approx([1950e-5] * 3)
    far = choice.SWEEP.claims["G75"](made)["data"]["SEM -> layout"]["GAN"]
    assert far == pytest.approx([0.001, 0.0, 0.001], abs=1e-9)


def test_the_fewest_passes_that_suffice_are_paid(made):
    ratios = choice.SWEEP.claims["G74"](made)["data"]
    one_pass = [0.51 + 2e-2 + 0.001 * seed for seed in range(3)]
    assert ratios == pytest.approx([4.0 / ms for ms in one_pass])


def test_judges_know_a_perfect_answer():
    class Perfect(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x, *, noise=None):
            return x

    layout = unit_from_network(pairs.pairs(4, 32, 0, 50.0).layout)
    numbers = choice.judge_layouts(Perfect(), "L1", layout, layout, 19)
    assert numbers["IoU"] == 1
    assert numbers["EPE"] == pytest.approx(0, abs=1e-6)
    assert "coverage" not in numbers
    twenty = pairs.pairs(20, 32, 0, 50.0).layout / 2 + 0.5
    many = choice.judge_layouts(Perfect(), "GAN", twenty, twenty, 19)
    assert (many["coverage"], many["apart"]) == (1.0, 0.0)
    assert (many["width"], many["width, widened"], many["coverage, widened"]) == (0.0, 0.0, 1.0)
    sem = pairs.pairs(4, 32, 0, 50.0)
    real, another = unit_from_network(sem.sem), unit_from_network(sem.another)
    images = choice.judge_images(Perfect(), "L1", real, real, another)
    assert images["spectrum"] == pytest.approx(0, abs=1e-6)
    assert images["spread error"] == pytest.approx(-math.log(1e-2))


def test_a_smoke_run_of_a_setting_gives_finite_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_CACHE", str(tmp_path))
    setting = contenders.setting_name("sem2layout", 50, STEPS)
    row = choice.SWEEP.part(setting, 0, "smoke")
    assert list(row) == [contenders.arm_name(m, "sem2layout", 50, STEPS) for m in METHODS]
    for arm, numbers in row.items():
        assert all(math.isfinite(value) for value in numbers.values()), arm
        assert numbers["ms, 20"] >= numbers["ms, 1"]
    timed = row[contenders.arm_name("diffusion", "sem2layout", 50, STEPS)]
    assert timed["ms, 20"] > 5 * timed["ms, 1"]


# ---- claims and evidence


def test_every_claim_of_the_lesson_has_its_experiment():
    mine_too = {claim.id for claim in claims.registered().values() if "14" in claim.lessons}
    assert mine_too == {"D07", "G20", *(f"G{n}" for n in range(70, 77))}
    assert mine_too <= set(experiments())
    made_of = config_hash(choice.config("reduced"))
    assert {claims.get(i).config["reduced"] for i in choice.SWEEP.claims} == {made_of}


def test_the_words_on_what_is_measured_follow_the_ledger():
    assert "none was measured; not measured yet: G20, G70" in standing.words({})
    half = dict.fromkeys(("G20", "G70", "G71"))
    assert "3 were measured; not measured yet: G72" in standing.words(half)
    every = dict.fromkeys(("G20", *(f"G{n}" for n in range(70, 77))))
    assert standing.words(every) == "All 8 claims of this lesson were measured."
    assert len(standing.steps_table().rows) == 8


def test_answers_to_questions_can_be_computed():
    asked = {name: question.choices[question.answer] for name, question in questions_of("14").items()}
    assert len(asked) >= 6
    assert asked["14_nineteen"] == f"In {100 * 18 / 20:.0f} % of the cases"
    losses = {value: 0.7 * abs(1 - value) + 0.3 * abs(value) for value in (0.7, 1.0)}
    assert asked["14_median"] == f"{min(losses, key=losses.get):g}"
    assert median([1] * 7 + [0] * 3) == 1
    assert asked["14_cost"] == str(19 * 10)
    small, large = (costs.attention_bytes(side, 4) for side in (64, 256))
    assert asked["14_tokens"] == f"{large / small:.0f}"
