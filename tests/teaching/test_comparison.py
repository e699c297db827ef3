"""What the checker compares beyond values: graphs, gradients of parameters, memory, random state, settings,
views; and what it leaves to the answer: containers, scalars, the order of sums, the choice at a kink."""

import collections
import dataclasses
import re

import numpy as np
import pytest
import torch
from torch import nn

from gantrans.teaching.exercises import State, exercises, watched
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.differential import difference, observe
from gantrans.teaching.exercises.fragile import fragile_cases
from gantrans.teaching.exercises.inputs import duplicate


@pytest.fixture(autouse=True)
def no_child(monkeypatch):
    monkeypatch.setattr(watched, "enabled", False)


def made(reference, inputs, edges=lambda: [], **options):
    """An exercise around a reference, tried with some inputs."""
    ex = Exercise(reference.__name__, "00", "A title", 1, 1, "A text.", ("a", "b", "c"), "-", **options)
    ex.reference(reference)
    ex.inputs(inputs)
    ex.edges(edges)
    return ex


@pytest.fixture
def twice():
    def twice(x):
        """Any tensor -> twice."""
        return 2 * x

    return made(twice, lambda case: (case.randn(case.batch, case.width),), gradients=("x",))


@pytest.fixture
def applied():
    """A module among the arguments; the second result is detached."""

    def applied(x, net):
        """(N, 3) -> (N, 2) and its mean, detached."""
        y = net(x)
        return y, y.mean().detach()

    def draw(case):
        net = nn.Linear(3, 2).to(case.dtype)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.copy_(case.randn(*parameter.shape))
        return case.randn(case.batch, 3), net

    return made(applied, draw)


def frozen_weight(x, net):
    y = torch.nn.functional.linear(x, net.weight.detach(), net.bias)
    return y, y.mean().detach()


def to_eval(x, net):
    y = net.eval()(x)
    return y, y.mean().detach()


def left_frozen(x, net):
    y = net(x)
    net.requires_grad_(False)
    return y, y.mean().detach()


def own_backward(x, net):
    y = net(x)
    y.sum().backward(retain_graph=True)
    return y, y.mean().detach()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x, net: (net(x), net(x).mean()), r"entry \[1\] of the result should be detached"),
        (frozen_weight, "gradient with respect to `net.weight` is not: none arrives"),
        (to_eval, "the module `net` is not as it should be: expected the bool|expected True in `training`"),
        (left_frozen, "the module `net` .*`weight.requires_grad`"),
        (own_backward, "the module `net` .*`weight.grad`"),
    ],
)
def test_modules_among_the_arguments(applied, answer, words):
    result = applied.judge(answer)
    assert result.state is State.INCORRECT
    assert re.search(words, result.message), result.message
    assert applied.judge(applied.function).passed


def test_a_result_that_needs_no_graph_for_some_input_may_carry_one():
    def terms(x, weight):
        """The weighted value, or 0."""
        return weight * x if weight else torch.zeros_like(x)

    ex = made(terms, lambda case: (case.randn(3), float(case.seed % 2)), gradients=("x",))
    assert ex.judge(lambda x, weight: weight * x).passed


def test_a_copy_takes_gradients_and_gaps_along():
    net = nn.Linear(2, 2)
    net(torch.ones(1, 2)).sum().backward()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    twin, other = duplicate((net, optimiser))
    assert torch.equal(twin.weight.grad, net.weight.grad)
    assert other.param_groups[0]["params"][0] is twin.weight is not net.weight
    gaps = torch.arange(6.0)[::2]
    assert duplicate(gaps).stride() == gaps.stride()
    assert duplicate(gaps).data_ptr() != gaps.data_ptr()


def seeding(x):
    torch.manual_seed(0)
    return 2 * x


def own_layer(x):
    layer = nn.Linear(1, 1, dtype=x.dtype, device=x.device)  # draws its weights, which is nobody's business
    with torch.no_grad():
        layer.weight.fill_(2.0)
        layer.bias.zero_()
    return layer(x[..., None])[..., 0]


def default_dtype(x):
    torch.set_default_dtype(torch.float64)
    return 2 * x


def no_more_gradients(x):
    y = 2 * x
    torch.set_grad_enabled(False)
    return y


def leaf_in_place(x):
    return x.mul_(1) * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (seeding, "seeds torch's global random generator"),
        (lambda x: (np.random.seed(3), 2 * x)[1], "seeds NumPy's global"),  # noqa: NPY002
        (default_dtype, "sets the default dtype for the whole session"),
        (no_more_gradients, "sets grad mode for the whole session"),
        (leaf_in_place, "you change an argument in place, and autograd refuses"),
        (lambda x: (2 * x.view(-1)).view(x.shape), "views with gaps.*your code raised RuntimeError"),
        (lambda x: (2 * x).numpy(), "your code raised|expected a tensor, got a NumPy array"),
        (lambda x: (2 * y for y in x), "contains `yield`"),
    ],
)
def test_what_else_is_compared(twice, answer, words):
    result = twice.judge(answer)
    assert result.state is State.INCORRECT
    assert re.search(words, result.message), result.message


def test_the_session_is_as_before(twice):
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    for answer in (default_dtype, no_more_gradients):
        twice.judge(answer)
        assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (dtype, grad)
    torch.set_default_dtype(torch.float64)
    try:
        assert exercises("00")[0].judge(exercises("00")[0].function).passed
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(dtype)


def test_an_own_layer_and_more_are_accepted(twice):
    for answer in (own_layer, lambda x: x + x, lambda x: torch.stack([x, x]).sum(0)):
        assert twice.judge(answer).passed


def test_a_result_that_is_part_of_the_input():
    def copied(x):
        """The same values."""
        return x.clone()

    ex = made(copied, lambda case: (case.randn(case.batch, 3),))
    result = ex.judge(lambda x: x)
    assert "shares its memory with `x`" in result.message
    assert ex.judge(lambda x: x[:] if x.shape[0] > 3 else x + 0).passed  # a shortcut is no rule


def test_kinks_are_not_compared_but_cuts_are():
    def softplus(x):
        """log(1 + e^x)."""
        return nn.functional.softplus(x)

    ties = torch.tensor([0.0, 1.0, 0.0])
    ex = made(softplus, lambda case: (case.randn(4),), lambda: [(ties,)], gradients=("x",))
    assert ex.judge(lambda x: x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))).passed
    wrong = ex.judge(
        lambda x: torch.where(x == 0, x.new_tensor(2.0).log(), nn.functional.softplus(x)) + 0 * x
    )
    assert wrong.passed  # a slope that differs at single points only cannot be told from a kink
    assert not ex.judge(lambda x: nn.functional.softplus(x.detach())).passed
    nan = ex.judge(lambda x: nn.functional.softplus(x) + 0 * x.abs().sqrt())
    assert "nan" in nan.message


@dataclasses.dataclass
class Pair:
    left: float
    right: torch.Tensor


Place = collections.namedtuple("Place", "row column")


@pytest.mark.parametrize(
    ("expected", "got", "words"),
    [
        ({"a": 1}, collections.defaultdict(int, a=1), None),
        ({"a": 1}, collections.OrderedDict(a=2), "expected 1 in `a`, got 2"),
        ({"a": 1}, {"b": 1}, "`'a'` is missing and `'b'` should not be there"),
        ({"out": torch.zeros(2)}, {"out": torch.ones(2)}, "in `out`"),
        (Place(1, 2), (1, 2), None),
        (Place(1, 2), (1, 3), "expected 2 in entry column"),
        (Pair(1.0, torch.ones(1)), Pair(1.0, torch.zeros(1)), "in `right`"),
        (True, np.bool_(True), None),
        (True, torch.tensor(True), None),
        (True, 1, "expected the bool True"),
        (False, np.bool_(True), "expected False, got True"),
        ([1, 2], np.array([1, 2]), None),
        ([[0.5, 2.0]], np.array([[0.5, 2.0]]), None),
        ([1, 2], np.array([1, 3]), "expected 2 in entry 1, got 3"),
        (0.5, np.float64(0.5), None),
        (0.5, np.array(0.5), None),
        (0.5, "0.5", "expected a number"),
        (3, np.array(3), None),
        (torch.ones(2), np.ones(2), "expected a tensor, got a NumPy array"),
        (torch.tensor(1.0), np.float32(1), "expected a tensor, got a NumPy number"),
        ({1, 2}, frozenset({2, 1}), None),
        ("text", np.str_("text"), None),
        (0.3, torch.tensor(0.3), "They differ by 1e-08.*yours is a float32"),
        (torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.3]).double(), "float32 has been used"),
        (torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.3 + 5e-9], dtype=torch.float64), None),
        (torch.tensor([1 + 1j]), torch.tensor([1 - 1j]), "expected"),
    ],
)
def test_containers_and_scalars(expected, got, words):
    reason = difference(expected, got)
    assert reason is None if words is None else re.search(words, reason), reason


def test_a_wider_tolerance_is_the_exercises_choice():
    def third(x):
        """A third."""
        return x / 3

    def close(x):
        return x / (3 + 1e-6)

    def inputs(case):
        return (case.randn(3).double(),)

    assert not made(third, inputs).judge(close).passed
    assert made(third, inputs, tolerance=1e-5).judge(close).passed


def test_observation_of_the_memory_and_the_generators():
    seen = observe(lambda x: (x[1:], torch.manual_seed(1))[0], (torch.ones(3),))
    assert seen.shares == {0}
    assert seen.seeded == {"torch's"}


def test_an_input_decided_by_rounding_is_found():
    def more(a, b, limit):
        """Whether the sum is above the limit."""
        return a + b > limit

    ex = made(more, lambda case: (0.25, 0.5, 0.75), lambda: [(0.1, 0.2, 0.3), (0.1, 0.0, 0.1)])
    assert list(fragile_cases(ex)) == [0]


@pytest.mark.parametrize("ex", exercises(), ids=lambda ex: ex.id)
def test_no_input_is_decided_by_rounding(ex):
    assert fragile_cases(ex) == {}
