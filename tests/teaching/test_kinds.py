"""A class and a step as exercises: what their checkers see of an answer, by toys with one thing wrong."""

import copy
import re

import pytest
import torch
from torch import nn

from gantrans.teaching.exercises import State, exercise
from gantrans.teaching.exercises.core import stub_lines
from gantrans.teaching.exercises.kinds import ModuleExercise, StepExercise, ToyNetwork
from gantrans.teaching.exercises.registry import run_stub


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


def test_what_is_given_stands_whole_in_the_stub(centred):
    centred.given = ("__init__",)
    assert "        self.rate = rate\n\n    def forward(self, x):" in centred.stub
    assert centred.stub.endswith('"""Subtract, scale, drop out."""\n        raise NotImplementedError')
    assert centred.judge(run_stub(centred)).state is State.NOT_ATTEMPTED
    source = "class A(B):\n    def one(self):\n        return 1\n\n    def two(self):\n        return 2"
    assert stub_lines(source, ("two",)) == [
        *source.splitlines()[:2],
        "        raise NotImplementedError",
        *source.splitlines()[3:],
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
