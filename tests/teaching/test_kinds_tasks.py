"""A bug hunt and an open task: slips named, symptoms shown; scores, rules and the table of attempts."""

import inspect
import itertools
import re

import pytest
import torch

from gantrans.teaching.exercises import State, exercise
from gantrans.teaching.exercises.kinds import BugHunt, OpenTask, RuleBroken, open_task
from gantrans.teaching.exercises.kinds.bug_hunt import tree_of
from gantrans.teaching.exercises.registry import run_stub
from gantrans.teaching.learner import progress
from lessons.lesson01.exercises import own_schedule


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))


def task(form, name, **more):
    return form(name, "00", name.title(), 1, 1, "Do it.", ("a", "b", "c"), "-", **more)


# ---- a bug hunt


@pytest.fixture
def hunt():
    """The mean of absolute values, with the absolute value in the wrong place."""
    ex = task(BugHunt, "size", slip="abs comes before mean.", slip_code="abs(total)")

    @ex.reference
    def size(x):
        """x (N,) -> mean absolute value."""
        return x.abs().mean()

    @ex.bug
    def _(x):
        """x (N,) -> mean absolute value."""
        total = x.sum()
        return abs(total) / len(x)

    ex.symptom(lambda answer: f"of (1, -1) it says {float(answer(torch.tensor([1.0, -1.0]))):g}.")
    ex.edges(lambda: [(torch.tensor([1.0, -1.0]),), (torch.tensor([-2.0, -3.0]),)])
    ex.inputs(lambda case: (case.randn(case.width),))
    return ex


def mended(x):
    total = x.abs().sum()
    return total / len(x)


def mended_elsewhere(x):
    x = x.abs()
    total = x.sum()
    return abs(total) / len(x)


def renamed(x):
    y = x.sum()
    return abs(y) / len(x)


def test_the_slip_is_named_where_it_was_or_where_it_still_stands(hunt):
    assert hunt.judge(mended).message.endswith("The slip was: abs comes before mean.")
    elsewhere = hunt.judge(mended_elsewhere)
    assert elsewhere.passed
    assert (
        "You repaired it elsewhere: the slip stands in line 4, `abs(total)`, and your change"
        in elsewhere.message
    )
    assert hunt.judge(renamed).state is State.INCORRECT


def test_unchanged_code_is_not_attempted_with_or_without_its_source(hunt, tmp_path):
    assert tree_of(run_stub(hunt)) is None  # made by exec: no source
    unchanged = hunt.judge(run_stub(hunt))
    assert (unchanged.state, "the slip is still to be found" in unchanged.message) == (
        State.NOT_ATTEMPTED,
        True,
    )
    assert hunt.judge(hunt.buggy).state is State.NOT_ATTEMPTED
    names = {}
    exec(hunt.stub.replace("abs(total)", "total.abs()"), names)
    assert hunt.judge(names["size"]).state is State.INCORRECT
    exec("def size(x):\n    return x.abs().mean()", names)
    result = hunt.judge(names["size"])
    assert result.passed
    assert "The slip was:" in result.message


def test_the_task_shows_the_symptom_and_the_stub_the_slip(hunt):
    assert "**What can be seen:** of (1, -1) it says 0." in str(hunt.show())
    assert hunt.stub.startswith("def size(x):")
    for ex in (hunt, exercise("thin_out")):
        assert ex.slip_line(ex.buggy) > 0
        assert not ex.slip_line(ex.function)


# ---- an open task


@pytest.fixture
def guess():
    """Guess a number near 10."""
    ex = task(OpenTask, "near_ten", measure="distance from 10", target=1.0)

    @ex.reference
    def near_ten():
        """-> a number."""
        return 9.5

    ex.edges(lambda: [()])
    ex.valid(lambda value: None if isinstance(value, float) else "no_number")
    ex.score(lambda answer: abs(answer() - 10))
    ex.compare("seven", lambda: 7.0)
    ex.wrong("no_number", "A number is asked for.", lambda: "ten")
    ex.wrong("changes", "It changes.", lambda: float(torch.rand(())))
    return ex


def test_attempts_are_ranked_and_kept(guess):
    assert "number 1 of your 1 attempts; not reached yet" in guess.judge(lambda: 6.0).message
    for value, note in ((6.0, "a | b"), (9.0, ""), (8.0, "again")):
        guess.check(lambda value=value: value, note=note)
    guess.check(lambda: "ten")
    assert (
        "To start from: 3.0000 (seven). Target: 1.0000" in guess.result.message
        or guess.result.cause == "no_number"
    )
    assert "number 2 of your 4 attempts; not reached yet" in guess.judge(lambda: 8.5).message
    assert "the target is reached" in guess.judge(lambda: 9.0).message
    rows = progress.get("exercises", "near_ten")["attempts_table"]
    assert [(row["number"], row["score"], row["note"]) for row in rows] == [
        (1, 4.0, "a | b"),
        (2, 1.0, ""),
        (3, 2.0, "again"),
    ]
    table = str(guess.attempts()).splitlines()
    assert [line.split(" | ")[0] for line in table[4:7]] == ["| 2", "| 3", "| 1"]
    assert "a \\| b" in table[6]


def test_a_higher_score_may_be_better(guess):
    guess.better, guess.target = "higher", 3.0
    guess.check(lambda: 9.0)
    assert "number 1 of your 2 attempts; the target is reached" in guess.judge(lambda: 6.0).message


@pytest.fixture
def dice():
    """Guess a number near ten that is drawn anew at every check; asking for it is refused the second time."""

    class Asked:
        calls = 0

        def __call__(self):
            self.calls += 1
            if self.calls > 1:
                raise RuleBroken("twice")
            return self.value

    def asked(value):
        made = Asked()
        made.value = value
        return made

    ex = task(OpenTask, "asked_once", measure="distance", target=0.1, places=1, seeded=True)

    @ex.reference
    def asked_once(ask):
        """A function that may be called once -> a number."""
        return 8.0

    ex.edges(lambda: [(asked(10.0),)])
    ex.valid(lambda value, ask: None if isinstance(value, float) else "no_number")
    ex.score(lambda answer, seed: abs(answer(asked(10.0 + seed)) - 10.0 - seed))
    ex.compare("eight", lambda ask: 8.0, known=2.0)
    ex.wrong("no_number", "A number is asked for.", lambda ask: "ten")
    ex.wrong("twice", "You ask twice.", lambda ask: ask() + ask())
    return ex


def test_a_fresh_seed_is_drawn_named_and_repeats_the_score(dice, monkeypatch):
    prepared = []
    dice.prepare(lambda: prepared.append(True))
    monkeypatch.setattr(open_task, "fresh_seed", iter([3, 7]).__next__)
    for seed in (3, 7):
        result = dice.judge(lambda ask: 12.0)
        assert (result.score, result.seed) == (abs(2.0 - seed), seed)
        assert f"`ex.scored(asked_once, {seed})` gives it again" in result.message
        assert dice.scored(lambda ask: 12.0, seed) == result.score
    assert len(prepared) == 2
    assert "To start from: 2.0 (eight)" in str(dice.show())


def test_seeds_differ():
    assert len({open_task.fresh_seed() for _ in range(5)}) > 1


def test_what_an_answer_is_called_with_may_refuse(dice):
    result = dice.judge(lambda ask: ask() + ask())
    assert (result.state, result.cause) == (State.INCORRECT, "twice")
    assert "You ask twice.\nIn your line" in result.message
    assert "ask() + ask()" in result.message  # and not the line that refuses
    fine_on_the_input = dice.judge(lambda ask: value if (value := ask()) == 10.0 else ask())
    assert (fine_on_the_input.state, fine_on_the_input.cause) == (State.INCORRECT, "twice")
    assert "where the score is taken" in fine_on_the_input.message


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (lambda: "ten", "incorrect", "A number is asked for. It gave 'ten'."),
        (lambda: float(torch.rand(())), "incorrect", "It changes."),
        (lambda: 1 / 0, "incorrect", "your code raised ZeroDivisionError"),
        (lambda x: x, "cannot check", "must take"),
        (3.0, "cannot check", "the function itself"),
        (lambda: ..., "not attempted", "still to be written"),
        (None, "not attempted", "still to be written"),
    ],
)
def test_what_is_not_valid_is_refused_with_its_reason(guess, answer, state, words):
    result = guess.judge(answer)
    assert str(result.state) == state
    assert words in result.message


def test_every_rule_of_an_open_task_has_a_wrong_answer():
    named = set(re.findall(r'return "(\w+)"', inspect.getsource(own_schedule)))
    wrongs = {wrong.name for wrong in own_schedule.ex.wrongs}
    assert named | {"ends_at_zero", "changes"} == wrongs


def test_the_exact_guess_is_the_mean_of_the_data_given_the_noisy_value():
    alpha_bar, x = 0.6, torch.tensor([-1.3, 0.2, 0.9], dtype=torch.float64)
    x0 = torch.linspace(-3, 3, 20_001, dtype=torch.float64)
    prior = sum(
        w * torch.exp(-((x0 - m) ** 2) / (2 * own_schedule.WIDTH**2))
        for w, m in zip(own_schedule.WEIGHTS, own_schedule.CENTRES, strict=True)
    )
    likely = torch.exp(-((x[:, None] - alpha_bar**0.5 * x0) ** 2) / (2 * (1 - alpha_bar))) * prior
    expected = (likely * x0).sum(1) / likely.sum(1)
    torch.testing.assert_close(own_schedule.guessed(x, alpha_bar), expected)


def test_the_ranking_of_schedules_does_not_depend_on_the_seeds():
    """Cosine and Jabri's sigmoid before a straight line before the linear schedule, seed by seed."""
    ex, data = own_schedule.ex, own_schedule.quantiles(own_schedule.COUNT)
    cosine, sigmoid, _, straight, found = ex.function, *ex.rights
    for seed in range(50, 56):
        a, b, c, d, e = (
            float((own_schedule.walked(answer(10), seed).sort().values - data).abs().mean())
            for answer in (cosine, sigmoid, straight, own_schedule.thinned, found)
        )
        assert max(a, b, e) < 0.9 * c < 0.9 * 0.9 * d
    assert max(map(ex.scored, (cosine, sigmoid, found))) < ex.target < ex.scored(straight) < ex.baseline


def test_an_open_task_ends_and_leaves_the_session_alone():
    """A loop inside of C, which no alarm ends, and an answer that changes the default dtype."""
    ex = exercise("own_schedule")
    result = ex.judge(lambda steps: sum(itertools.repeat(1)))
    assert result.state is State.CANNOT_CHECK
    assert "does a loop never end?" in result.message

    def double(steps):
        torch.set_default_dtype(torch.float64)
        return ex.function(steps)

    assert ex.judge(double).passed
    assert torch.get_default_dtype() is torch.float32
