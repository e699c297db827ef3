"""Lesson 15: its exercises and page against the library, its figures, its sweep and its claims."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from answers import questions_of
from pages import defined_on_page

from gantrans.diffusion import make_schedule
from gantrans.diffusion.consistency import CLEAN, consistency_function, consistency_sample, path_step
from gantrans.diffusion.flow import flow_path, flow_target, marginal_velocity, velocity_from_x0
from gantrans.diffusion.flow_samplers import euler_sample as library_euler
from gantrans.diffusion.flow_samplers import flow_times
from gantrans.metrics import rule_penalty
from gantrans.teaching import claims, mine
from gantrans.teaching.claims.evidence import NOT_MEASURED, evidence_row
from gantrans.teaching.exercises import exercise
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.registry import experiments
from gantrans.teaching.sweeps.tables import Table, committed
from lessons.lesson15.exercises import own_four
from lessons.lesson15.experiments import few_steps, told
from lessons.lesson15.figures import few, fields, results

COSINE = make_schedule("cosine")
TIMES = [0, *range(99, 1000, 100)]
CLOCK = torch.tensor(TIMES)
LEVELS = torch.cat([torch.ones(1).double(), COSINE.alpha_bars[CLOCK[1:]]])


def answer(name):
    return exercise(name).function


def image_of(x, t, label=None):
    """A denoiser of images that depends on place and time."""
    return torch.tanh(1.5 * x + 0.001 * t.view(-1, *[1] * (x.dim() - 1)).to(x.dtype))


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# ---- flow matching


def test_flow_loss_is_the_librarys_path_and_target():
    x0, eps, t = noise(5, 1, 4, 4), noise(5, 1, 4, 4, seed=1), torch.rand(5)
    loss = answer("flow_loss")(image_of, x0, eps, t)
    expected = (image_of(flow_path(x0, eps, t), t) - flow_target(x0, eps)).square().mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_euler_is_the_librarys(steps):
    start = noise(4, 2)
    path = answer("euler_sample")(image_of, start, steps)
    there = library_euler(image_of, start, flow_times(steps), trajectory=True)
    torch.testing.assert_close(torch.stack(path), there)


def test_one_step_from_noise_lands_on_the_mean_of_the_data():
    centres = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 1.0]])
    perfect = lambda x, t: marginal_velocity(x, t, centres, std=0.1)  # noqa: E731
    ends = answer("euler_sample")(perfect, noise(50, 2), 1)[-1]
    torch.testing.assert_close(ends, centres.mean(0).expand(50, 2), atol=1e-5, rtol=1e-5)


def test_the_field_of_the_figure_is_the_mean_of_the_lines():
    """At a place and a time, against the library's closed form for two groups of points."""
    centres = torch.tensor([[1.0, 0.5], [-1.0, 0.0]])
    count = 200_000
    data, eps = centres[torch.arange(count) % 2], noise(count, 2)
    at, place = 0.5 * data + 0.5 * eps, torch.tensor([[0.2, 0.1]])
    near = (at - place).norm(dim=1) < 0.1
    exact = marginal_velocity(place, torch.tensor([0.5]), centres)[0]
    torch.testing.assert_close((eps - data)[near].mean(0), exact, atol=0.05, rtol=0)


def test_the_velocity_of_the_page_is_the_librarys():
    (velocity_of,) = defined_on_page("15", "velocity_of", mine=mine)
    x, t = noise(3, 1, 4, 4), torch.tensor([1.0, 0.5, 0.1])
    there = velocity_from_x0(image_of(x, 1000 * t), x, t)
    torch.testing.assert_close(velocity_of(image_of, None)(x, t), there)


def test_the_arc_is_the_cosine_path():
    (arc_loss,) = defined_on_page("15", "arc_loss")
    x0, eps, t = noise(6, 2), noise(6, 2, seed=1), torch.rand(6)
    h = 1e-3

    def place(t):
        angle = math.pi / 2 * t[:, None]
        return angle.cos() * x0 + angle.sin() * eps

    slope = (place(t + h) - place(t - h)) / (2 * h)
    assert float(arc_loss(lambda x, t: slope, x0, eps, t)) < 1e-5


# ---- students


def library_student(x, n):
    """The library's consistency function at the levels of the page."""
    t = torch.where(n > 0, CLOCK[n], CLEAN)
    return consistency_function(image_of, COSINE, x, t)


class Named(torch.nn.Module):
    def forward(self, x, t, label):
        return image_of(x, t)


def test_the_student_is_the_librarys_and_the_identity_without_noise():
    student = answer("consistent")(Named(), CLOCK, LEVELS)
    x, n = noise(4, 1, 3, 3), torch.tensor([0, 1, 5, 10])
    torch.testing.assert_close(student(x, n, n), library_student(x, n), atol=1e-5, rtol=1e-5)
    assert torch.equal(student(x, 0 * n, n), x)


def test_the_loss_is_the_librarys():
    x0, n, eps = noise(4, 1, 3, 3).sign(), torch.tensor([1, 2, 7, 10]), noise(4, 1, 3, 3, seed=1)
    loss = answer("consistency_loss")(
        library_student, library_student, lambda x, n: image_of(x, CLOCK[n]), x0, n, eps, LEVELS
    )
    later = torch.where(n > 1, CLOCK[n - 1], CLEAN)
    signal, sigma = (LEVELS[n].sqrt(), (1 - LEVELS[n]).sqrt())
    x = (signal.view(-1, 1, 1, 1) * x0 + sigma.view(-1, 1, 1, 1) * eps).float()
    lower = path_step(COSINE, x, CLOCK[n], later, image_of(x, CLOCK[n]))
    goal = consistency_function(image_of, COSINE, lower, later)
    expected = (library_student(x, n) - goal).square().mean()
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)


def test_the_jumps_are_the_librarys():
    start, stops = noise(3, 1, 4, 4), [10, 6, 2]
    made = answer("jump_sample")(
        lambda x, n: library_student(x, n).clamp(-1, 1), start, stops, LEVELS,
        torch.Generator().manual_seed(3),
    )  # fmt: skip
    there = consistency_sample(
        image_of, tuple(start.shape), COSINE, [TIMES[n] for n in stops], noise=start,
        generator=torch.Generator().manual_seed(3),
    )  # fmt: skip
    torch.testing.assert_close(made, there, atol=1e-5, rtol=1e-5)


def test_the_colleagues_jumps_are_worse_than_one():
    """With a perfect student the second jump is asked about something that is nearly all noise."""
    words = exercise("jump_sample")._symptom(exercise("jump_sample").buggy)
    assert "the mean of what it is given is 0.3" in words


def test_the_loop_of_the_page_moves_the_average():
    (learn,) = defined_on_page("15", "learn", mine=mine)
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 3)
    first = copy.deepcopy(net)
    follower = learn(
        net, lambda net, f, x, label: net(x).square().mean(), noise(40, 3), torch.zeros(40).long(), 5
    )
    assert not torch.equal(net.weight, first.weight)
    apart = (follower.weight - first.weight).norm(), (net.weight - first.weight).norm()
    assert 0 < apart[0] < apart[1]
    assert not follower.training


# ---- the open task


def test_our_best_four_beat_the_target_and_the_plain_ones_do_not():
    ex = own_four.ex
    scores = [ex.scored(ex.function, 1), ex.scored(own_four.BEST, 1)]
    assert scores[0] < ex.target < scores[1]
    assert ex.baseline == pytest.approx(scores[0], abs=0.08)


# ---- figures


def test_figures_in_the_plane_say_what_they_show():
    draw = torch.Generator().manual_seed(0)
    data, eps = fields.moons(400, draw), torch.randn(400, 2, generator=draw)
    assert "their mean" in alt_text(fields.paths_figure(data, eps, torch.tensor([0.0, 0.3]), 0.5))
    straight = [eps, (eps + data) / 2, data]
    bent = [eps, (eps + data) / 2 + torch.tensor([0.5, 0.0]), data]
    assert fields.detour(torch.stack(straight)) == pytest.approx(0, abs=1e-6)
    assert fields.detour(torch.stack(bent)) > 0.05
    walks = {"lines": {2: straight}, "arcs": {2: bent}}
    assert "lines, 2 steps: 100% of the points end on the data" in alt_text(
        fields.walks_figure(walks, data, steps=2)
    )
    assert "0% longer" in alt_text(fields.bends_figure(data, eps, {"on lines": straight}))
    assert fields.on_data(data + 5, data) == 0


def test_figures_of_clips_say_what_they_show():
    clips = (noise(8, 1, 16, 16) > 0).float() * 2 - 1
    words = alt_text(
        few.answers_figure(clips[:3], {"student": clips[:1].expand(3, 1, 16, 16)}, (999, 499, 99))
    )
    assert "student: 0% of the pixels change sides" in words
    large = (noise(3, 1, 64, 64) > 0).float() * 2 - 1
    flipped = large.clone()
    flipped[..., :16] *= -1
    assert "25.0% of the pixels come back wrong" in alt_text(
        few.latents_figure(large, noise(3, 4, 16, 16), flipped, count=2)
    )
    assert "0% valid of 3 clips" in alt_text(few.large_figure({"noise": large}, count=2))


# ---- learnt as it is asked, and told the rule


def test_the_opening_of_the_page_makes_the_librarys_penalty():
    (opened,) = defined_on_page("15", "opened")
    shapes = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    thin = sum((kind - opened(kind, few.RULE)).flatten(1).mean(1) for kind in (shapes, 1 - shapes))
    torch.testing.assert_close(thin, rule_penalty(shapes, few.RULE, few.RULE))


def test_the_loss_of_the_page_is_the_librarys_error_and_penalty_near_the_four_levels():
    asked = torch.tensor([0, 300, 500, 700, 860])
    seen = []

    def net(x, t, label):
        seen.append(t)
        return image_of(x, t)

    told_loss, _ = defined_on_page(
        "15", "told", "opened", asked=asked, bars=COSINE.alpha_bars.float(), few=few, mine=mine
    )
    x0 = noise(32, 1, 16, 16).sign()
    torch.manual_seed(3)
    loss = told_loss(net, None, x0, None)
    assert (seen[0].view(8, 4) - asked[1:]).abs().max() <= 20
    torch.manual_seed(3)
    torch.randint(-20, 21, (32,))
    image = image_of(mine.q_sample(x0, seen[0], torch.randn_like(x0), COSINE.alpha_bars.float()), seen[0])
    wanted = F.mse_loss(image, x0) + rule_penalty((image + 1) / 2, few.RULE, few.RULE).mean()
    torch.testing.assert_close(loss, wanted)


def test_variety_is_held_to_fifty_steps_of_the_usual_model():
    rows = {
        seed: {arm: {"valid": 0.5, "coverage": 0.8, "copies": 0.0} for arm in ("told 4", few_steps.BEST)}
        for seed in range(20, 26)
    }
    data = told.goals(Table({}, rows))["data"]
    usual = committed("few_steps").values("coverage", few_steps.BEST)[few_steps.BEST]
    assert data["coverage"] == [0.8 - one for one in usual]
    assert [part.name for part in claims.get("D13").parts] == list(data)


# ---- the sweep


def sweep_table(scores):
    rows = {
        seed: {
            arm: {
                "valid": scores.get(arm, 0.3) + 0.001 * seed,
                "frechet": 80.0,
                "coverage": 0.6,
                "copies": 0.0,
                "training seconds": 200.0,
            }
            for arms in few_steps.ARMS.values()
            for arm in arms
        }
        for seed in range(6)
    }
    return Table({"scale": "reduced", "date": "2026-01-01", "code": "0", "command": "again"}, rows)


def test_equal_seconds_by_the_cost_of_a_step():
    for setting in few_steps.SETTINGS.values():
        total = setting.teacher + few_steps.STUDENT_COST * setting.student
        assert total == pytest.approx(setting.steps, rel=0.15)
    rows = results.budget_table(few_steps.SETTINGS["reduced"]).rows
    assert rows[0][1] == "1100"
    assert abs(int(rows[2][2]) - 1100) <= 2


def test_the_claims_follow_the_table():
    good = sweep_table({"student 4": 0.5, "student 10": 0.7, "jumps 4": 0.2, "flow 4": 0.3, "DDIM 4": 0.3})
    data = few_steps.goals(good)["data"]
    parts = claims.get("D11").parts
    assert [part.name for part in parts] == list(data)
    assert min(data["10 evaluations"]) >= parts[0].region[0]
    assert min(data["4 evaluations"]) >= parts[1].region[0]
    assert data["against the loop alone"].keys() == set(parts[2].arms)
    assert few_steps.flow_against_diffusion(good)["data"].keys() == {p.name for p in claims.get("D10").parts}
    assert few_steps.variety(good)["data"]["coverage at 4"] == [0.0] * 6
    assert "student 4" in str(results.results_table(good))


def test_every_claim_has_its_experiment_and_is_not_measured_yet():
    assert {"D10", "D11", "D12", "D13"} <= set(experiments())
    ledger = claims.read(claims.COMMITTED)
    for claim_id in ("D10", "D11", "D12", "D13"):
        assert claim_id in ledger or NOT_MEASURED in str(evidence_row(claim_id))


# ---- questions


def test_the_right_choices_are_computed():
    x0, eps = torch.tensor([0.5]), torch.tensor([-1.5])
    asked = []
    answer("euler_sample")(lambda x, t: (asked.append(f"{float(t[0]):g}"), 0 * x)[1], torch.zeros(1, 1), 4)
    jumps = []
    draw = torch.Generator().manual_seed(0)
    answer("jump_sample")(lambda x, n: (jumps.append(n), x)[1], noise(1, 2), [10, 6, 4, 2], LEVELS, draw)
    drawn = torch.Generator().manual_seed(0)
    for _ in range(3):
        torch.randn(1, 2, generator=drawn)
    assert torch.equal(draw.get_state(), drawn.get_state())
    student = answer("consistent")(Named(), CLOCK, LEVELS)
    computed = {
        "15_velocity": f"{float(flow_target(x0, eps)):g}",
        "15_times": ", ".join(asked),
        "15_skip": "All of it" if float(student.keep[0]) == 1 else "Half of it",
        "15_place": f"{float(flow_path(torch.tensor([2.0]), torch.tensor([0.0]), torch.tensor([0.25]))):g}",
        "15_one_step": "On the mean of the data",  # test_one_step_from_noise_lands_on_the_mean_of_the_data
        "15_evaluations": f"{len(jumps)} and 3",
        "15_latent": f"1 for {64 * 64 // (4 * 16 * 16)}",
    }
    assert computed == {name: question.right for name, question in questions_of("15").items()}
