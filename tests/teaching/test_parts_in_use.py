"""Accepted answers in use: they run, and the course's version takes over when they fail."""

import inspect
import threading
import time

import pytest
import torch
from torch import nn

from gantrans.teaching.exercises.guard import TimeUp, time_limit
from gantrans.teaching.learner import parts


def mean(x, generator=None):
    """x (n,) -> its mean, plus noise."""
    return x.mean() + (torch.rand((), generator=generator) if generator else 0)


def part_of(answer, reference=mean, patience=60.0):
    return parts.Part("mean", "mean", answer, reference, patience)


def says(capsys, *words):
    """The printed sentence, of which there is one."""
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Your `mean` ")
    assert all(word in lines[0] for word in words)


def test_a_good_answer_runs_itself_and_looks_like_itself(capsys):
    def my_mean(x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        """Mine."""
        return x.sum() / len(x) * scale

    used = parts.in_use(part_of(my_mean))
    assert used(torch.tensor([1.0, 3.0]), scale=2.0) == 4
    assert (used.__name__, used.__doc__) == ("mean", "Mine.")
    assert inspect.signature(used) == inspect.signature(my_mean)
    assert parts.original(used) is my_mean
    assert parts.original(my_mean) is my_mean
    assert parts.original(3) == 3
    assert capsys.readouterr().out == ""


def test_one_that_raises_is_replaced_and_generators_are_put_back(capsys):
    calls = []

    def raises(x, generator=None):
        calls.append(1)
        torch.rand(5, generator=generator)
        raise SystemExit if len(x) == 4 else ValueError("no\nidea")

    x = torch.tensor([1.0, 2.0, 3.0])
    used = parts.in_use(part_of(raises))
    draw, same = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    assert used(x, generator=draw) == mean(x, same)
    says(capsys, "raised ValueError (no idea)", "from here on the course's version answers")
    assert used(x, draw) == mean(x, same)
    assert len(calls) == 1
    assert capsys.readouterr().out == ""
    parts.in_use(part_of(raises))(torch.zeros(4))
    says(capsys, "raised SystemExit")


def test_an_input_that_the_course_refuses_too_is_the_callers_fault(capsys):
    used = parts.in_use(part_of(lambda x: x.mean(dim=3)))
    with pytest.raises(AttributeError, match="mean"):
        used("text")
    assert capsys.readouterr().out == ""
    assert used(torch.ones(2)) == 1
    says(capsys, "raised IndexError")


def test_an_interrupt_passes(capsys):
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.in_use(part_of(interrupted))(torch.ones(1))
    assert capsys.readouterr().out == ""


def test_one_that_hangs_is_replaced_in_the_main_thread(capsys):
    def hangs(x):
        while x.sum() >= 0:
            try:
                x = x + 0
            except Exception:
                continue

    used = parts.in_use(part_of(hangs, patience=0.1))
    assert used(torch.ones(2)) == 1
    says(capsys, "ran for over 0.1 s")


def test_the_limit_of_a_check_around_it_is_kept(capsys):
    used = parts.in_use(part_of(lambda x: time.sleep(20)))
    with pytest.raises(TimeUp), time_limit(0.1):
        used(torch.ones(2))
    assert capsys.readouterr().out == ""


def test_other_threads_use_it_too(capsys):
    found = []
    used = parts.in_use(part_of(lambda x: x.mean() * 1))
    thread = threading.Thread(target=lambda: found.append(float(used(torch.ones(2)))))
    thread.start()
    thread.join()
    assert found == [1.0]


@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: (1, [x]), lambda x: {"a": float(x)}])
def test_nan_where_the_course_has_none(capsys, wrap):
    used = parts.in_use(part_of(lambda x: wrap(x.sum() / x.sum()), lambda x: wrap(x.mean())))
    assert used(torch.zeros(2)) == wrap(torch.tensor(0.0))
    says(capsys, "gave NaN")


def test_nan_that_the_course_gives_as_well_is_an_answer(capsys):
    def drawing(x, generator):
        return x.mean() + torch.rand(3, generator=generator).sum()

    used = parts.in_use(part_of(drawing))
    draw, same = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    assert used(torch.tensor([float("nan")]), draw).isnan()
    torch.rand(3, generator=same)
    assert torch.equal(draw.get_state(), same.get_state())
    assert capsys.readouterr().out == ""


def test_a_call_costs_less_than_thirty_microseconds():
    used, x = parts.in_use(part_of(lambda x: x)), torch.zeros(4)

    def seconds(function):
        began = time.process_time()
        for _ in range(2000):
            function(x)
        return (time.process_time() - began) / 2000

    assert min(seconds(used) - seconds(parts.has_nan) for _ in range(5)) < 30e-6


class Course(nn.Module):
    """The reference of a module exercise."""

    def __init__(self, width, bias=True):
        super().__init__()
        self.layer = nn.Linear(width, 2, bias=bias)
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        self.count += 1
        return self.layer(x)


class Fails(Course):
    """As a learner may write it: fails for some inputs, and names itself in `super`."""

    def __init__(self, width, bias=True):
        super(used_class, self).__init__(width, bias)
        if width == 7:
            raise ValueError("seven")

    def forward(self, x):
        if x.shape[0] == 3:
            raise ValueError("three rows")
        if x.shape[0] == 4:
            return super(used_class, self).forward(x) * float("nan")
        return 2 * self.layer(x)


@pytest.fixture
def used():
    global used_class
    used_class = parts.in_use(part_of(Fails, Course))
    return used_class


def test_a_class_builds_the_learners_module(used, capsys):
    module = used(5, bias=False)
    assert isinstance(module, Fails)
    assert isinstance(module, used)
    assert used.__name__ == "mean"
    assert torch.equal(module(torch.ones(2, 5)), 2 * module.layer(torch.ones(2, 5)))
    assert list(module.state_dict()) == ["count", "layer.weight"]

    class Derived(used):
        def __init__(self):
            super().__init__(5)

    with pytest.raises(ValueError, match="three rows"):  # no course's version stands behind it
        Derived()(torch.ones(3, 5))
    assert capsys.readouterr().out == ""


def test_a_constructor_that_raises_gives_the_courses_module_of_the_same_seed(used, capsys):
    torch.manual_seed(0)
    module = used(7)
    torch.manual_seed(0)
    assert type(module) is Course
    assert torch.equal(module.layer.weight, Course(7).layer.weight)
    says(capsys, "raised ValueError (seven)")


@pytest.mark.parametrize(("rows", "words"), [(3, "raised ValueError (three rows)"), (4, "gave NaN")])
def test_in_the_middle_of_a_training_the_course_goes_on_with_the_same_parameters(used, capsys, rows, words):
    module = used(5)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.1)
    for batch in (2, rows, 2):
        optimiser.zero_grad()
        x = torch.ones(batch, 5)
        output = module(x)
        output.square().mean().backward()
        before = module.layer.weight.clone()
        optimiser.step()
        assert not torch.equal(before, module.layer.weight)
    says(capsys, words)
    assert torch.equal(module(x), module.layer(x))  # twice as much no more
    assert len(list(module.parameters())) == 2
    assert list(module.state_dict()) == ["count", "layer.weight", "layer.bias"]
    module.double()
    assert module(x.double()).dtype == torch.float64
    assert module.count.dtype == torch.float64
    module.eval()
    module(x.double())
    assert not module.__dict__["_course"][0].training


def test_parameters_of_other_names_cannot_be_shared_and_that_is_said(capsys):
    class Other(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(width, 2))

        def forward(self, x):
            raise ValueError

    module = parts.in_use(part_of(Other, Course))(5)
    assert module(torch.ones(1, 5)).shape == (1, 2)
    says(capsys, "raised ValueError;", "with new weights")
