"""An open task: any valid answer counts; a score and a table of one's own attempts say how good it is."""

import math
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

from gantrans.teaching.exercises import checker
from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.differential import Observation, observe, show
from gantrans.teaching.exercises.guard import TimeUp, is_stub, learner_line, quiet, time_limit
from gantrans.teaching.exercises.inputs import Args, kept_generators
from gantrans.teaching.exercises.results import Card, Result, State
from gantrans.teaching.exercises.session import standard_settings
from gantrans.teaching.exercises.task import describe
from gantrans.teaching.exercises.watched import Ended, try_first
from gantrans.teaching.learner import progress

CHANGES = "changes"
"""Name of the wrong answer whose value depends on the global random state: the rule of every open task."""
SEEDS = 1_000_000


class RuleBroken(Exception):
    """Raised by what an answer is called with, when the answer breaks a rule; `rule` as `@ex.valid` has
    it."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass
class OpenTask(Exercise):
    """A task without one right answer.

    `@ex.valid` names the wrong answer whose rule a value breaks (its misconception is the refusal),
    `@ex.score` gives a number for a valid answer, `ex.compare` names the answer to start from. `scored_with`:
    further functions that the score rests on, which the mutants of this kind change. `seeded`: the score
    takes a seed as well, which every check draws anew and names.
    """

    kind: str = "open task"
    measure: str = ""  # what the score is, in a few words
    better: Literal["lower", "higher"] = "lower"
    target: float = 0.0
    places: int = 4  # decimal places of a score
    seeded: bool = False
    scored_with: list[Answer] = field(default_factory=list, init=False)
    _valid: Callable[..., str | None] | None = field(default=None, init=False)
    _score: Callable[..., float] | None = field(default=None, init=False)
    _baseline: tuple[str, Answer, float | None] | None = field(default=None, init=False)
    _prepare: Callable[[], object] | None = field(default=None, init=False)

    # ---- what a notebook uses

    def show(self) -> Card:
        """The task, and the scores to compare with."""
        head, _, last = super().show().markdown.rpartition("\n\n")
        return Card(
            f"{head}\n\n**Score:** {self.measure}, {self.better} is better. {self._marks()}.\n\n{last}; "
            f"`ex.attempts()` shows all of yours."
        )

    def check(self, answer: Any = None, note: str = "") -> Any:
        """As for a function; a valid answer's score goes into the table of attempts, with `note`."""
        going = super().check(answer)
        if isinstance(self.result, Scored) and self.result.passed:
            row = {"note": note, "score": self.result.score, "date": date.today().isoformat()}
            progress.change("exercises", self.id, lambda entry, _: _with_row(entry, row))
        return going

    def attempts(self) -> Card:
        """The learner's own attempts, best first, beside baseline and target."""
        rows = sorted(self._table(), key=lambda row: self._place(row["score"]))
        lines = ["| attempt | score | note | date |", "|---|---|---|---|"]
        for row in rows:
            note = str(row["note"]).replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {row['number']} | {self._rounded(row['score'])} | {note} | {row['date']} |")
        table = "\n".join(lines) if rows else "No valid attempt yet."
        return Card(
            f"**{self.title}** · {self.measure}, {self.better} is better\n\n{table}\n\n{self._marks()}."
        )

    def judge(self, answer: Any) -> Result:
        """Valid or not, and the score; nothing is stored."""
        if answer is None or answer is ... or is_stub(answer):
            return self._open()
        with kept_generators(), standard_settings():
            refusal = checker.refusal_of(self, answer)
            if refusal:
                return Result(State.CANNOT_CHECK, self.id, refusal)
            seed = fresh_seed() if self.seeded else 0
            try:
                try_first(self.function, answer, self.cases)
                with time_limit(checker.SECONDS), quiet():
                    flaw = self._flaw(answer)
                if flaw:
                    return flaw
                if self._prepare is not None:
                    self._prepare()  # what may take long, so outside of the time limits
                with time_limit(checker.SECONDS), quiet():
                    score = self.scored(answer, seed)
            except RuleBroken as broken:
                text = (
                    f"{self._told(broken)}\nThat was where the score is taken; on smaller inputs it is valid."
                )
                return Result(State.INCORRECT, self.id, text, broken.rule)
            except Ended as end:
                return checker.endless(self, end.number, end.how)
            except TimeUp:
                slow = f"ran for over {checker.SECONDS:g} s; does a loop never end?"
                return checker.endless(self, 0, slow)
        return Scored(State.CORRECT, self.id, self._verdict(score, seed), score=score, seed=seed)

    def _open(self) -> Result:
        return Result(State.NOT_ATTEMPTED, self.id, checker.unwritten(self))

    def _flaw(self, answer: Answer) -> Result | None:
        """What makes an answer invalid, or None."""
        for args in self.cases:
            seen = observe(answer, args)
            if checker.is_unwritten(seen):
                return self._open()
            broken = self._broken(args, seen)
            if broken:
                return Result(State.INCORRECT, self.id, f"{broken[1]}\n{describe(self, args)}", broken[0])
        return None

    # ---- how an exercise file adds to it

    def valid(self, function: Callable[..., str | None]) -> Callable[..., str | None]:
        """Decorator: `function(value, *args)` gives the name of the rule that a value breaks, or None."""
        self._valid = function
        return function

    def score(self, function: Callable[..., float]) -> Callable[..., float]:
        """Decorator: the score of a valid answer (and a seed), the same in every call with the same."""
        self._score = function
        return function

    def part_of_score(self, function: Answer) -> Answer:
        """Decorator: a function that the score calls."""
        self.scored_with.append(function)
        return function

    def prepare(self, function: Callable[[], object]) -> Callable[[], object]:
        """Decorator: what takes long the first time (a training), called before the time limit begins."""
        self._prepare = function
        return function

    def compare(self, words: str, answer: Answer, known: float | None = None) -> None:
        """Say what to start from, in words and as an answer; `known` is its score where that takes long."""
        self._baseline = words, answer, known

    def scored(self, answer: Answer, seed: int = 0) -> float:
        """The score of an answer; the seed counts if the task is `seeded`."""
        assert self._score is not None
        return float(self._score(answer, seed) if self.seeded else self._score(answer))

    @cached_property
    def cases(self) -> list[Args]:
        """The inputs on which the rules are tried."""
        return self._edges()

    @cached_property
    def baseline(self) -> float:
        """The score to start from."""
        assert self._baseline is not None
        if self._baseline[2] is not None:
            return self._baseline[2]
        with kept_generators():
            return self.scored(self._baseline[1])

    # ---- for the mutants: those of an open task change how it judges

    def mutable(self) -> list[Answer]:
        """What judges: the rules and the score."""
        assert self._valid is not None
        assert self._score is not None
        return [self._valid, self._score, *self.scored_with]

    def takes(self, original: Answer, mutant: Answer) -> bool:
        """Whether all known answers are judged the same with `mutant` in the place of `original`."""
        expected = self._own_verdicts
        with self._judging_by(original, mutant), kept_generators():
            try:
                return self._verdicts() == expected
            except Exception:
                return False

    @cached_property
    def _own_verdicts(self) -> list[str]:
        return self._verdicts()

    def _verdicts(self) -> list[str]:
        known = [self.function, *self.rights, *(wrong.answer for wrong in self.wrongs)]
        flaws = [self._flaw(answer) for answer in known]
        causes = ["" if flaw is None else flaw.cause for flaw in flaws]
        return [*causes, f"{self.scored(self.function):.9f}"]

    @contextmanager
    def _judging_by(self, original: Answer, mutant: Answer) -> Iterator[None]:
        assert self._score is not None
        own = {key: vars(self) for key in ("_valid", "_score") if getattr(self, key) is original}
        modules = (original.__globals__, self._score.__globals__)  # where it stands, and where it is imported
        places = [(names, key) for key, names in own.items()] or [
            (names, original.__name__) for names in modules if names.get(original.__name__) is original
        ]
        for names, key in places:
            names[key] = mutant
        try:
            yield
        finally:
            for names, key in places:
                names[key] = original

    # ---- words

    def _broken(self, args: Args, seen: Observation) -> tuple[str, str] | None:
        """Name and words of the rule that was broken."""
        assert self._valid is not None
        if isinstance(seen.error, RuleBroken):
            return seen.error.rule, self._told(seen.error)
        if seen.error is not None:
            text = f"your code raised {type(seen.error).__name__} ({seen.error}).{learner_line(seen.error)}"
            return "", text
        name = self._valid(seen.value, *args) if seen.repeatable else CHANGES
        if name is None:
            return None
        return name, f"{self._reason(name)} It gave {show(seen.value)}."

    def _told(self, broken: RuleBroken) -> str:
        return f"{self._reason(broken.rule)}{learner_line(broken, calling=True)}"

    def _reason(self, rule: str) -> str:
        return next(wrong.misconception for wrong in self.wrongs if wrong.name == rule)

    def _verdict(self, score: float, seed: int) -> str:
        earlier = [self._place(row["score"]) for row in self._table()]
        rank = 1 + sum(place < self._place(score) for place in earlier)
        reached = (
            "the target is reached" if self._place(score) <= self._place(self.target) else "not reached yet"
        )
        drawn = f"\nIt was taken with seed {seed}; `ex.scored({self.name}, {seed})` gives it again."
        return (
            f"it is valid, and its score is {self._rounded(score)} ({self.better} is better): number {rank} "
            f"of your {len(earlier) + 1} attempts; {reached}.{drawn if self.seeded else ''}\n{self._marks()}."
        )

    def _marks(self) -> str:
        assert self._baseline is not None
        start, target = self._rounded(self.baseline), self._rounded(self.target)
        return f"To start from: {start} ({self._baseline[0]}). Target: {target}"

    def _rounded(self, score: float) -> str:
        return f"{score:.{self.places}f}"

    def _place(self, score: float) -> float:
        if math.isnan(score):
            return math.inf
        return score if self.better == "lower" else -score

    def _table(self) -> list[dict[str, Any]]:
        return list(progress.get("exercises", self.id).get("attempts_table", []))


@dataclass(frozen=True)
class Scored(Result):
    """A result with a score; `ex.scored(f, seed)` gives it again."""

    score: float = math.nan
    seed: int = 0


def fresh_seed() -> int:
    """A seed that nobody can foresee."""
    return secrets.randbelow(SEEDS)


def _with_row(entry: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    rows = list(entry.get("attempts_table", []))
    return {**entry, "attempts_table": [*rows, {"number": len(rows) + 1, **row}]}
