"""The kinds of exercise: what each sees of an answer, by toys with one thing wrong; facts of real ones."""

import copy
import inspect
import re

import pytest
import torch
from torch import nn

from gantrans.teaching.exercises import State, exercise
from gantrans.teaching.exercises.core import stub_lines
from gantrans.teaching.exercises.kinds import BugHunt, ModuleExercise, OpenTask, StepExercise, ToyNetwork
from gantrans.teaching.exercises.kinds.bug_hunt import tree_of
from gantrans.teaching.exercises.registry import run_stub
from gantrans.teaching.learner import progress
from lessons.lesson01.exercises import own_schedule


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    monkeypatch.setenv("GANTRANS_PROGRESS", str(tmp_path / "progress.json"))


def task(form, name, **more):
    return form(name, "00", name.title(), 1, 1, "Do it.", ("a", "b", "c"), "-", **more)


# ---- a class


@pytest.fixture
def centred():
    """A layer that subtracts a running mean, scales, and drops out."""
    ex = task(ModuleExercise, "centred", initial=("scale.weight",))
    ex.reference(Centred)
    ex.edges(lambda: [(3, 0.5, torch.tensor([[1.0, -2.0, 4.0], [0.5, 3.0, -1.0]]))])
    ex.inputs(lambda case: (case.width, 0.25, case.randn(case.batch, case.width)))
    return ex


class Centred(nn.Module):
    """x (B, width) -> like x."""

    def __init__(self, width, rate):
        super().__init__()
        self.scale = nn.Linear(width, width)
        nn.init.eye_(self.scale.weight)
        self.register_buffer("mean", torch.zeros(width))
        self.rate = rate

    def forward(self, x):
        """Subtract, scale, drop out."""
        value = nn.functional.dropout(self.scale(x - self.mean), self.rate, self.training)
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return value


def variant(**methods):
    return type("Centred", (Centred,), methods)


def built(change):
    def init(self, width, rate):
        Centred.__init__(self, width, rate)
        change(self, width)

    return variant(__init__=init)


def no_statistics(self, x):
    return nn.functional.dropout(self.scale(x - self.mean), self.rate, self.training)


def never_drops(self, x):
    self.rate = 0.0
    return Centred.forward(self, x)


def always_drops(self, x):
    value = Centred.forward(self, x)
    return value if self.training else nn.functional.dropout(value, 0.5)


def batch_mean(self, x):
    value = Centred.forward(self, x)
    return value if self.training else self.scale(x - x.mean(0))


def cut(self, x):
    with torch.no_grad():
        scaled = self.scale(x)
    return Centred.forward(self, x).detach() + scaled - scaled


def wakes_up(self, x):
    value = Centred.forward(self, x)
    self.train()
    return value


SHARED = nn.Linear(3, 3)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (variant(forward=no_statistics), "buffer `mean` after a call in train mode"),
        (variant(forward=never_drops), "output in train mode"),
        (variant(forward=always_drops), "output in eval mode"),
        (variant(forward=batch_mean), "output in eval mode"),
        (variant(forward=cut), "gradient of `scale.weight`"),
        (variant(forward=wakes_up), "mode after a call in eval mode"),
        (built(lambda self, width: self.eval()), "mode after construction"),
        (
            built(lambda self, width: setattr(self, "scale", nn.Linear(width, width))),
            "`scale.weight` after construction",
        ),
        (
            built(lambda self, width: setattr(self, "scale", nn.Linear(width, width, bias=False))),
            r"parameter `scale.bias`: shape.*there is none of this name",
        ),
        (
            built(lambda self, width: setattr(self, "extra", nn.Linear(width, width))),
            "parameters and buffers beyond those.*`extra.weight`",
        ),
        (built(lambda self, width: self.double()), r"buffer `mean`: shape, got .* of float64"),
        (built(lambda self, width: self.scale.requires_grad_(False)), "frozen parameters.*`scale.weight`"),
        (built(lambda self, width: setattr(self, "scale", SHARED)), "shares parameters with the first"),
    ],
)
def test_what_is_wrong_with_a_class_is_named(centred, answer, words):
    result = centred.judge(answer)
    assert result.state is State.INCORRECT
    assert re.search(words, result.message), result.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda width, rate: Centred(width, rate), "the class itself"),
        (Centred(3, 0.5), "built already"),
        (type("Centred", (), {}), r"must be a module, as in `class Centred\(nn.Module\):`"),
        (
            type("Centred", (nn.Module,), {"__init__": lambda self, w: None}),
            r"`__init__` must take \(self, width, rate",
        ),
        (variant(forward=lambda self, x, y: x), r"must take \(self, x\)"),
    ],
)
def test_what_is_no_class_is_not_judged(centred, answer, words):
    result = centred.judge(answer)
    assert result.state is State.CANNOT_CHECK
    assert re.search(words, result.message), result.message


def test_a_class_is_right_or_unwritten(centred):
    assert centred.judge(Centred).passed
    assert centred.judge(variant()).passed
    for answer in (None, run_stub(centred), built(lambda self, width: run_stub(centred)(width, 0.5))):
        assert centred.judge(answer).state is State.NOT_ATTEMPTED
    assert "class Centred(nn.Module):" in str(centred.solution())


def test_the_stub_of_a_class_keeps_what_a_learner_needs():
    source = 'class A(B):\n    """Text."""\n\n    size = 3\n\n    def __init__(self, x,\n' + (
        "                 y):\n        self.x = x\n\n    def forward(self):\n"
        '        """What it does."""\n        return 1\n'
    )
    assert stub_lines(source) == [
        *source.splitlines()[:6],
        "                 y):",
        "        raise NotImplementedError",
        "",
        "    def forward(self):",
        '        """What it does."""',
        "        raise NotImplementedError",
    ]


# ---- a step


class Player(ToyNetwork):
    """Two numbers."""

    def __init__(self, seed):
        super().__init__()
        draw = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(2, generator=draw))
        self.offset = nn.Parameter(torch.randn(2, generator=draw))

    def forward(self, x):
        """(B, 2) -> (B,)."""
        return (torch.tanh(self.weight * x) + self.offset).sum(1)


@pytest.fixture
def turn():
    """The generator's turn: it moves along the discriminator's judgement, which stays."""
    ex = task(
        StepExercise,
        "turn",
        stays={"judge": "it is the maker's turn"},
        left_gradients=True,
        kind="training step",
    )

    @ex.build
    def _(seed, batch):
        torch.manual_seed(seed)
        maker, judge = Player(seed), Player(seed + 1)
        nn.init.normal_(maker.offset)
        judge.weight.grad = torch.ones(2)
        optimiser = torch.optim.Adam(maker.parameters(), lr=0.1)
        return {"maker": maker, "judge": judge, "optimiser": optimiser, "x": torch.randn(batch, 2)}

    ex.reference(turn_of_maker)
    ex.edges(lambda: [(1, 2), (2, 1)])
    ex.inputs(lambda case: (10 + case.seed, case.batch))
    return ex


def turn_of_maker(maker, judge, optimiser, x):
    """One step; returns the loss."""
    loss = judge(torch.stack([maker(x), maker(-x)], 1)).mean()
    optimiser.zero_grad()
    loss.backward(inputs=list(maker.parameters()))
    optimiser.step()
    return loss.item()


def with_change(change):
    def answer(maker, judge, optimiser, x):
        loss = turn_of_maker(maker, judge, optimiser, x)
        new = change(maker, judge, optimiser, x)
        return loss if new is None else new

    return answer


def moves_judge(maker, judge, optimiser, x):
    with torch.no_grad():
        judge.weight += 1


def moves_one_back(maker, judge, optimiser, x):
    fresh = Player(0)
    torch.manual_seed(0)
    maker.load_state_dict(fresh.state_dict() | {"weight": maker.weight})


def collects(maker, judge, optimiser, x):
    judge(torch.stack([maker(x), maker(-x)], 1)).mean().backward()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            with_change(moves_judge),
            r"it stays as it was \(it is the maker's turn\).*network `judge`.*only `weight` moves",
        ),
        (lambda maker, judge, optimiser, x: 1.0, "all of it moves.*network `maker`.*stays as it was"),
        (with_change(moves_one_back), "`maker.offset` after the call"),
        (with_change(collects), r"\.grad` after the call"),
        (
            with_change(lambda maker, *_: maker.eval() and None),
            "in train mode.*`maker` after the call.*in eval mode",
        ),
        (
            with_change(lambda maker, judge, *_: judge.requires_grad_(False) and None),
            "`requires_grad` after the call",
        ),
        (with_change(lambda maker, judge, o, x: o.step()), "`maker.weight` after the call"),
        (with_change(lambda maker, judge, o, x: o.param_groups[0].update(lr=1.0)), "learning rates"),
        (with_change(lambda maker, judge, o, x: x.zero_() and None), "`x` after the call"),
        (
            with_change(lambda maker, judge, o, x: torch.ones(())),
            "a number.*what is returned.*a tensor of shape",
        ),
        (with_change(lambda maker, judge, o, x: [1.0]), "a number.*what is returned.*a list of 1"),
        (with_change(lambda maker, judge, o, x: 7.0), "what is returned, in numbers"),
    ],
)
def test_what_a_step_did_is_said_in_words(turn, answer, words):
    result = turn.judge(answer)
    assert result.state is State.INCORRECT
    assert re.search(words, result.message), result.message


def test_a_step_is_right_however_it_is_written(turn):
    def by_hand(maker, judge, optimiser, x):
        loss = judge(torch.stack([maker(x), maker(-x)], 1)).sum() / len(x)
        weights = list(maker.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = gradient
        optimiser.step()
        return float(loss.detach())

    assert turn.judge(by_hand).passed, turn.judge(by_hand)
    assert turn.judge(run_stub(turn)).state is State.NOT_ATTEMPTED


def test_toy_networks_compare_and_copy_with_their_gradients():
    one = Player(1)
    one.weight.grad = torch.ones(2)
    twin = copy.deepcopy(one)
    assert twin == one
    assert twin.weight.grad is not one.weight.grad
    for change in (
        lambda twin: twin.eval(),
        lambda twin: twin.weight.grad.zero_(),
        lambda twin: twin.offset.requires_grad_(False),
        lambda twin: twin.weight.data.add_(1),
    ):
        twin = copy.deepcopy(one)
        change(twin)
        assert twin != one


def test_training_in_lesson_01_does_not_read_the_global_generator():
    ex = exercise("train")
    result = ex.judge(next(w.answer for w in ex.wrongs if w.name == "global_random"))
    assert "global random state" in result.message


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
