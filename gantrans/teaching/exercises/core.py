"""An exercise: its text, its reference, and the wrong and right answers that prove its checker.

The habits are those of Kaggle's learntools (states; check, hint, solution) and of ARENA (difficulty,
minutes). What is new is that the checker is itself tested: every wrong answer stands for a misconception and
must be refused with that diagnosis, every right answer must be accepted, and the stub must count as not
attempted.

    ex = exercise("encoder_shapes")
    ex.show()                   # what to write
    encoder_shapes = ex.check(encoder_shapes)  # shows how it went; yours, or the course's version, to go on with
    ex.hint()                   # one hint at a time
    ex.solution()
"""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

from gantrans.teaching.exercises import checker
from gantrans.teaching.exercises.checker import Answer, Wrong
from gantrans.teaching.exercises.differential import Observation
from gantrans.teaching.exercises.example import Example
from gantrans.teaching.exercises.inputs import SEEDS, Args, Case, kept_generators
from gantrans.teaching.exercises.results import Card, Result
from gantrans.teaching.exercises.session import standard_settings
from gantrans.teaching.learner import checking

Probe = Callable[..., Any]


@dataclass(frozen=True)
class Breach:
    """A sentence of the text, by its beginning, and an answer that breaks it; None: it asks for nothing."""

    sentence: str
    answer: Answer | None


@dataclass
class Exercise:
    """One exercise; reference, inputs and answers are added by the decorators below.

    `gradients` names the arguments whose gradients are compared. `equivalent` lists mutants of the reference
    that behave exactly as it does: part of the mutant's id, and the reason (see `mutation.py`).
    """

    id: str
    lesson: str
    title: str
    difficulty: int  # 1..5
    minutes: int
    spec: str  # Markdown
    hints: tuple[str, ...]  # from a nudge to nearly the answer
    source: str
    importance: Literal["must", "may"] = "must"
    kind: str = "function"  # in plain words, shown to the learner
    patience: float = 60.0  # seconds that one call of an accepted answer may take in a lesson
    draws: int = len(SEEDS)  # random inputs, beside the edges
    gradients: tuple[str, ...] = ()
    fresh: bool = False  # the text asks for new tensors: no result may share an argument's memory
    tolerance: float | None = None  # relative; only where it must be wider than that of the dtype
    equivalent: dict[str, str] = field(default_factory=dict)
    wrongs: list[Wrong] = field(default_factory=list, init=False)
    rights: list[Answer] = field(default_factory=list, init=False)
    breaches: list[Breach] = field(default_factory=list, init=False)
    _probe: Probe | None = field(default=None, init=False)
    _reference: Answer | None = field(default=None, init=False)
    _inputs: Callable[[Case], Args] | None = field(default=None, init=False)
    _edges: Callable[[], list[Args]] = field(default=list, init=False)
    result: Result | None = field(default=None, init=False)
    known_runs: dict[tuple[Answer, int], Observation] = field(default_factory=dict, init=False)
    _hints_shown: int = field(default=0, init=False)

    # ---- what a notebook uses

    def show(self) -> Card:
        """The task: text, difficulty, minutes. The stub stands in the cell below."""
        dots = "●" * self.difficulty + "○" * (5 - self.difficulty)
        return Card(
            f"**Exercise: {self.title}** · {self.importance} · {self.kind} · difficulty {dots} "
            f"({self.difficulty} of 5) · about {self.minutes} minutes\n\n"
            f"{textwrap.dedent(self.spec).strip()}\n\n"
            f"`ex.hint()` gives the next of {len(self.hints)} hints. "
            f"When it is written: `{self.name} = ex.check({self.name})`"
        )

    def check(self, answer: Any = None) -> Any:
        """Judge the learner's function, show how it went, and return the function that the lesson goes on
        with.

        That is the learner's, if it is right, guarded by the reference; else the reference. An accepted
        answer is kept for later lessons (`gantrans.teaching.mine`). Never raises (a KeyboardInterrupt
        passes); `ex.result` is the last result.
        """
        self.result, going = checking.check(self, answer, self._hints_shown)
        return going

    def judge(self, answer: Any) -> Result:
        """The pure part of `check`: nothing is stored."""
        return checker.judge(self, answer)

    def hint(self) -> Card:
        """The next hint; the last one is repeated."""
        number = min(self._hints_shown + 1, len(self.hints))
        self._hints_shown = number
        last = "\n\nThat was the last hint; `ex.solution()` shows one answer."
        text = f"**Hint {number} of {len(self.hints)}.** {self.hints[number - 1]}"
        return Card(text + (last if number == len(self.hints) else ""))

    def solution(self) -> Card:
        """The reference, folded away, with its source."""
        return Card(
            f"<details><summary>Solution of “{self.title}”</summary>\n\n"
            f"```python\n{self.reference_source}\n```\n\nSource: {self.source}\n\n</details>"
        )

    def example(self, number: int) -> Example:
        """Input `number`, as a message names it, to try by hand: `.args`, and what is `.expected` of it.

        Raises:
            IndexError: if there are not so many inputs; the message says how many there are.
        """
        with kept_generators(), standard_settings():
            count = len(self.cases)
            if not 0 <= number < count:
                raise IndexError(f"`{self.id}` has {count} inputs, numbered 0 to {count - 1}; got {number}.")
            return Example(self.name, number, self.parameters, self.cases[number], self.expected[number])

    # ---- how an exercise file adds to it

    def reference(self, function: Answer) -> Answer:
        """Decorator: the reference. Its name, signature and docstring become the learner's stub."""
        self._reference = function
        return function

    def inputs(self, function: Callable[[Case], Args]) -> Callable[[Case], Args]:
        """Decorator: draws one random input."""
        self._inputs = function
        return function

    def edges(self, function: Callable[[], list[Args]]) -> Callable[[], list[Args]]:
        """Decorator: hand-written inputs, small and nasty; they are tried first."""
        self._edges = function
        return function

    def wrong(
        self, name: str, misconception: str, answer: Answer | None = None
    ) -> Callable[[Answer], Answer]:
        """Add a wrong answer, as third argument or by decoration."""

        def add(function: Answer) -> Answer:
            self.wrongs.append(Wrong(name, misconception, function))
            return function

        if answer is not None:
            add(answer)
        return add

    def right(self, answer: Answer) -> Answer:
        """Add a right answer that is written differently (by a call or as a decorator)."""
        self.rights.append(answer)
        return answer

    def breach(self, sentence: str, answer: Answer | str) -> None:
        """Say which answer breaks a sentence of the text: a function, or the name of a wrong answer.

        `sentence` is how the sentence begins, or its part that is meant (see `sentences.py`).
        """
        if isinstance(answer, str):
            answer = next(wrong.answer for wrong in self.wrongs if wrong.name == answer)
        self.breaches.append(Breach(sentence, answer))

    def background(self, *sentences: str) -> None:
        """Name sentences of the text that explain and ask for nothing, by their beginnings."""
        self.breaches += [Breach(sentence, None) for sentence in sentences]

    def probe(self, function: Probe) -> Probe:
        """Decorator: how an answer is called with one input, `probe(answer, *args)`; its value is compared.

        Without it the answer is called with the input itself. A module is constructed and run by its probe, a
        training step is run a few times.
        """
        self._probe = function
        return function

    # ---- what the mutants change, and whether one is taken for right

    def mutable(self) -> list[Answer]:
        """The functions or classes whose mutants the checker has to notice."""
        return [self.function]

    def takes(self, original: Answer, mutant: Answer) -> bool:
        """Whether the checker takes `mutant`, made of `original`, for right."""
        return checker.accepts(self, mutant)

    # ---- what follows from the reference

    def called(self, answer: Answer) -> Answer:
        """`answer` as the checker calls it: itself, or through the probe."""
        return answer if self._probe is None else partial(self._probe, answer)

    @property
    def function(self) -> Answer:
        """The reference."""
        assert self._reference is not None
        return self._reference

    @property
    def name(self) -> str:
        """The name of the learner's function."""
        return self.function.__name__

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the reference's parameters, in order."""
        return tuple(inspect.signature(self.function).parameters)

    @cached_property
    def differentiable(self) -> tuple[int, ...]:
        """Positions of the arguments whose gradients are compared."""
        return tuple(self.parameters.index(name) for name in self.gradients)

    @cached_property
    def reference_source(self) -> str:
        """The reference as text, without its decorator."""
        text = textwrap.dedent(inspect.getsource(self.function))
        return text[re.search(r"^(def|class) ", text, re.M).start() :].rstrip()  # type: ignore[union-attr]

    @cached_property
    def stub(self) -> str:
        """What the learner starts from: signatures and docstrings of the reference, then
        NotImplementedError."""
        return "\n".join(stub_lines(self.reference_source))

    @cached_property
    def cases(self) -> list[Args]:
        """Every input: edge cases first, then one per seed."""
        assert self._inputs is not None
        return [*self._edges(), *(self._inputs(Case(seed)) for seed in SEEDS[: self.draws])]

    @cached_property
    def expected(self) -> list[Observation]:
        """What the reference does with every input."""
        with kept_generators():
            return [checker.watch(self, self.function, args) for args in self.cases]


def stub_lines(source: str, given: Collection[str] = ()) -> list[str]:
    """The lines of a function or a class with every body replaced; docstrings and class attributes stay, and
    so do the methods named in `given`."""
    lines = source.splitlines()
    tree = ast.parse(source).body[0]
    assert isinstance(tree, (ast.FunctionDef, ast.ClassDef))
    functions = [tree] if isinstance(tree, ast.FunctionDef) else tree.body
    kept: list[str] = []
    done = 0
    for function in functions:
        if not isinstance(function, ast.FunctionDef) or function.name in given:
            continue
        documented = ast.get_docstring(function) is not None
        end = function.body[0].end_lineno if documented else function.body[0].lineno - 1
        indent = " " * (function.col_offset + 4)
        kept += [*lines[done:end], f"{indent}raise NotImplementedError"]
        done = function.end_lineno or len(lines)
    return [*kept, *lines[done:]] if given else kept


def globals_of(answer: Answer) -> dict[str, Any]:
    """A copy of the names among which a function or a class was defined."""
    return dict(vars(sys.modules[answer.__module__]) if isinstance(answer, type) else answer.__globals__)
