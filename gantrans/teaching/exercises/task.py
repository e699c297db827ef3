"""What the checker reads of an exercise, and how a function is watched on one of its inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from gantrans.teaching.exercises.differential import (
    Observation,
    compare,
    observe,
    show,
    slope_difference,
)
from gantrans.teaching.exercises.inputs import Args, nudged

Answer = Callable[..., Any]


@dataclass(frozen=True)
class Wrong:
    """A plausible wrong answer and the misconception it stands for, as it is said to the learner."""

    name: str
    misconception: str
    answer: Answer


class Task(Protocol):
    """What the checker reads of an exercise (`core.Exercise`)."""

    id: str
    spec: str
    known_runs: dict[tuple[Answer, int], Observation]

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Answer: ...
    @property
    def parameters(self) -> tuple[str, ...]: ...
    @property
    def differentiable(self) -> tuple[int, ...]: ...
    @property
    def cases(self) -> Sequence[Args]: ...
    @property
    def expected(self) -> Sequence[Observation]: ...
    @property
    def wrongs(self) -> Sequence[Wrong]: ...
    @property
    def fresh(self) -> bool: ...
    @property
    def tolerance(self) -> float | None: ...
    def called(self, answer: Answer) -> Answer: ...


def watch(ex: Task, function: Answer, args: Args, expected: Observation | None = None) -> Observation:
    """What `function` does with one input of the exercise.

    Autograd's choice at a kink (ties of an L1 loss, a ReLU's zero) is not compared: where a gradient differs
    from the expected one, both are taken beside the input, twice, and count as the same if they agree there.
    """
    seen = observe(ex.called(function), args, ex.differentiable, expected, ex.tolerance)
    if expected is None:
        return seen
    seen = replace(seen, graph=_graph_that_counts(ex, expected, seen))
    if not _slopes_differ(ex, expected, seen) or not _has_slopes(expected, seen):
        return seen
    for seed in (1, 2):
        beside = nudged(args, ex.differentiable or range(len(args)), seed)
        wanted = observe(ex.called(ex.function), beside, ex.differentiable, None, ex.tolerance)
        got = observe(ex.called(function), beside, ex.differentiable, wanted, ex.tolerance)
        if wanted.error or got.error or got.gradients is None or _slopes_differ(ex, wanted, got):
            return seen
    return replace(seen, gradients=expected.gradients)


def _slopes_differ(ex: Task, expected: Observation, got: Observation) -> bool:
    if expected.gradients is None or got.gradients is None:
        return False
    return slope_difference(expected, got, ex.parameters, ex.tolerance) is not None


def _has_slopes(expected: Observation, got: Observation) -> bool:
    """Whether each gradient arrives and is finite: else it is no matter of choice."""
    pairs = zip(expected.gradients or (), got.gradients or (), strict=True)
    return all(
        g.isfinite().all() if g is not None else wanted is None or not wanted.any() for wanted, g in pairs
    )


def _graph_that_counts(ex: Task, expected: Observation, got: Observation) -> tuple[tuple[str, bool], ...]:
    """Which results carry a graph; a result that carries one for any input need never be detached."""
    if got.graph == expected.graph or len(got.graph) != len(expected.graph):
        return got.graph
    free = {where for seen in ex.expected for where, live in seen.graph if live}
    pairs = zip(expected.graph, got.graph, strict=True)
    return tuple(wanted if wanted[0] in free else found for wanted, found in pairs)


def fault(ex: Task, index: int, got: Observation) -> str | None:
    """What is wrong with what an answer did on input `index`, or None."""
    return compare(ex.expected[index], got, ex.parameters, ex.tolerance)


def describe(ex: Task, args: Args) -> str:
    """The values of an input, by the names of the parameters."""
    return "Input: " + ", ".join(f"{n} = {show(a)}" for n, a in zip(ex.parameters, args, strict=True)) + "."
