"""What a refusal shows: the most telling input, credit, code to step through, the likely slip, a picture."""

import re

import pytest
import torch
import torch.nn.functional as F

from gantrans.teaching.exercises import State, watched
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.guard import learner_line
from lessons.lesson04.exercises._generators import Doubling


@pytest.fixture(autouse=True)
def no_child(monkeypatch):
    monkeypatch.setattr(watched, "enabled", False)


def made(reference, inputs, edges=lambda: [], **options):
    ex = Exercise(reference.__name__, "00", "A title", 1, 1, "A text.", ("a", "b", "c"), "-", **options)
    ex.reference(reference)
    ex.inputs(inputs)
    ex.edges(edges)
    return ex


@pytest.fixture
def loss():
    """Squared error per image; raises for other shapes."""

    def loss(a, b, kind):
        """(B, H, W) twice and "mean" or "sum" -> (B,)."""
        if kind not in ("mean", "sum"):
            raise ValueError(kind)
        square = (a - b).square()
        return square.mean((1, 2)) if kind == "mean" else square.sum((1, 2))

    def draw(case):
        shape = case.batch, case.height, case.width + 1
        return case.randn(*shape), case.randn(*shape), case.choice(("mean", "sum"))

    same = torch.ones(1, 2, 2)
    return made(loss, draw, lambda: [(same, same, "mean"), (same, same, "other")], gradients=("a",))


def by_kind(change):
    """The right answer, changed."""

    def answer(a, b, kind):
        if kind not in ("mean", "sum"):
            raise ValueError(kind)
        square = (a - b).square()
        return change(square.mean((1, 2)) if kind == "mean" else square.sum((1, 2)), a, b, kind)

    return answer


@pytest.mark.parametrize(
    ("change", "cause", "words"),
    [
        (lambda y, a, b, kind: -y, "negative", "the opposite sign"),
        (lambda y, a, b, kind: y.sqrt(), "root", "square root of the right one"),
        (lambda y, a, b, kind: 3 * y, "factor", "your result is 3 times the right one"),
        (lambda y, a, b, kind: y + 0.25, "offset", "0.25 more than the right one"),
        (lambda y, a, b, kind: y * a.shape[1], "sum", r"the right one times `a.shape\[1\]`"),
        (lambda y, a, b, kind: y[:, None], "shape", "there are axes too many"),
        (lambda y, a, b, kind: y.float(), "dtype", "the result is float32 whatever is given"),
        (lambda y, a, b, kind: y if kind == "mean" else y + a.sum((1, 2)), "where", "`kind` is 'sum'"),
        (lambda y, a, b, kind: y.detach(), "gradient_cut", "none arrives"),
        (lambda y, a, b, kind: y / a.new_tensor(0.0) * 0, "nan", "nothing but NaN|every wrong value is NaN"),
        (lambda y, a, b, kind: y.clamp(max=2), "limited", "every wrong value is 2"),
        (lambda y, a, b, kind: None, "no_return", "is a `return` missing"),
    ],
)
def test_what_all_failing_inputs_have_in_common(loss, change, cause, words):
    result = loss.judge(by_kind(change))
    assert result.state is State.INCORRECT
    assert re.search(words, result.message), result.message
    assert result.cause == cause
    assert result.misconception == ""


def test_a_pattern_needs_numbers_that_bear_it_out():
    def count(n):
        """Always 2 or 1."""
        return 2 if n % 2 else 1

    ex = made(count, lambda case: (case.seed,))
    assert ex.judge(lambda n: 4 if n % 2 else 1).cause not in ("square", "factor", "offset")


def test_not_refusing_is_a_cause(loss):
    loss.edges(lambda: [(torch.ones(1, 2, 2), torch.ones(1, 2, 2), kind) for kind in ("other", "third")])
    result = loss.judge(
        lambda a, b, kind: (
            F.mse_loss(a, b, reduction="none").mean((1, 2)).clone() * (a[0].numel() if kind == "sum" else 1)
        )
    )
    assert result.cause == "not_refused"
    assert "0 of 2 inputs without an answer are refused" in result.message


def test_the_shown_input_is_telling(loss):
    """Input 0 has equal images and fails, too; a later one says more."""
    result = loss.judge(by_kind(lambda y, a, b, kind: y + 1))
    number = int(re.search(r"ex\.example\((\d+)\)", result.message)[1])
    assert number > 1
    example = loss.example(number)
    assert not torch.equal(example.args[0], example.args[1])


def test_credit_is_told(loss):
    result = loss.judge(by_kind(lambda y, a, b, kind: y.detach() if kind == "sum" else y))
    assert re.search(r"the value is right on 25 of 25; the gradient on \d+ of 25", result.message), (
        result.message
    )
    assert "1 of 1 inputs without an answer are refused" in result.message


def test_an_example_is_code_to_step_through(loss):
    example = loss.example(2)
    assert torch.equal(loss.function(*example.args), example.expected)
    assert torch.equal(loss.function(*example), example.expected)
    example.args[0].zero_()
    assert example.args[0].any()  # a fresh copy each time
    assert re.search(r"loss\(  # input 2\n    a=.*\n    b=.*\n    kind='\w+',\n\)\n-> float32", repr(example))
    assert "must raise ValueError (other)" in repr(loss.example(1))
    with pytest.raises(IndexError, match="has 26 inputs, numbered 0 to 25; got 26"):
        loss.example(26)


def test_two_slips_get_the_name_of_the_one_that_explains_most(loss):
    loss.wrong("summed", "You always sum.", lambda a, b, kind: (a - b).square().sum((1, 2)))
    two = loss.judge(
        lambda a, b, kind: (a - b).square().sum((1, 2)) + 7 * (kind == "mean") * (a.shape[0] == 5)
    )
    assert two.cause == "summed"


def test_a_known_slip_must_fail_on_the_same_inputs(loss):
    """One failing input alone does not make a slip that fails everywhere."""
    loss.wrong("zero", "You return zeros.", lambda a, b, kind: a.new_zeros(a.shape[0]))
    result = loss.judge(by_kind(lambda y, a, b, kind: y * 0 if a.shape == loss.cases[2][0].shape else y))
    assert result.cause != "zero"


def test_images_come_as_a_picture():
    def negative(x):
        """(B, 1, H, W) -> 1 - x."""
        return 1 - x

    ex = made(negative, lambda case: (case.rand(case.batch, 1, case.height + 3, case.width + 3),))
    result = ex.judge(lambda x: x)
    page = result._repr_html_()
    assert re.search(r'<img alt="Expected: \d+ by \d+ pixels .* They differ in \d+ of \d+ pixels\."', page)
    assert "data:image/png;base64," in page
    assert "<img" not in ex.judge(ex.function)._repr_html_()


def test_an_own_refusal_is_no_stub(loss):
    def picky(a, b, kind):
        if a.shape[0] > 1:
            raise NotImplementedError("only one image at a time")
        return loss.function(a, b, kind)

    result = loss.judge(picky)
    assert result.state is State.INCORRECT
    assert "only one image at a time" in result.message


def test_an_effect_that_is_asked_for():
    def counted(x, log):
        """Appends the sum to the log and returns it."""
        log.append(float(x.sum()))
        return x.sum()

    ex = made(counted, lambda case: (case.randn(3), [1.0]))
    result = ex.judge(lambda x, log: x.sum())
    assert "does not change `log`" in result.message
    assert "in-place" not in result.message
    kept = ex.judge(lambda x, log: (log.append(float(x.sum())), x.add_(1), x.sum() - 3)[-1])
    assert "(no in-place operations on what you were given)" in kept.message


def test_generators_are_named_in_words():
    def drawn(n, draw):
        """n numbers."""
        return torch.rand(n, generator=draw)

    ex = made(drawn, lambda case: (3, case.generator))
    result = ex.judge(lambda n, draw: torch.rand(n + 1, generator=draw)[:n])
    assert "it does not draw from `draw` what is asked for" in result.message
    assert "0x" not in result.message


def test_the_line_shown_is_the_learners_and_not_one_of_a_block_it_was_given():
    with pytest.raises(RuntimeError) as caught:
        Doubling(1, 1)(torch.zeros(1, 1, 2, 2), skip=torch.zeros(1, 1, 3, 3))
    assert "Doubling(1, 1)(torch.zeros(1, 1, 2, 2), skip=" in learner_line(caught.value)


def test_errors_of_torch_are_told_apart_by_their_text():
    ex = made(lambda x: x.sum(), lambda case: (torch.ones(case.integer(2, 9), 3),))
    ex.wrong("other_widths", "You join maps of other widths.")(lambda x: torch.cat([x, x[:, :2]]))
    again = ex.judge(lambda x: torch.cat([x, x[:, 1:]]))
    assert again.cause == "other_widths"
    assert ex.judge(lambda x: (x @ torch.ones(5, 1)).sum()).cause != "other_widths"
