"""A bug hunt: code that runs and has one slip. Any repair that behaves right is accepted."""

import ast
import dis
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import CodeType
from typing import Any

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.results import Card, Result, State


@dataclass
class BugHunt(Exercise):
    """Code with one slip: `@ex.bug` gives it, `@ex.symptom` says in words what it does wrong.

    `slip` is the sentence that names the slip once it is repaired; `slip_code` is the code at the spot, an
    expression or a statement of the buggy function.
    """

    kind: str = "bug hunt"
    slip: str = ""
    slip_code: str = ""
    _bug: Answer | None = field(default=None, init=False)
    _symptom: Callable[[Answer], str] | None = field(default=None, init=False)

    def bug(self, function: Answer) -> Answer:
        """Decorator: the code with the slip, under any name. It becomes the learner's stub."""
        self._bug = function
        return function

    def symptom(self, function: Callable[[Answer], str]) -> Callable[[Answer], str]:
        """Decorator: given the function, one or two sentences with numbers on what can be seen of it."""
        self._symptom = function
        return function

    @property
    def buggy(self) -> Answer:
        """The code with the slip, as a function."""
        assert self._bug is not None
        return self._bug

    @cached_property
    def stub(self) -> str:
        """What the learner starts from: the code with the slip."""
        text = textwrap.dedent(inspect.getsource(self.buggy))
        text = text[text.index("def ") :].rstrip()
        return text.replace(f"def {self.buggy.__name__}(", f"def {self.name}(", 1)

    def show(self) -> Card:
        """The task and what can be seen of the slip."""
        assert self._symptom is not None
        head, _, last = super().show().markdown.rpartition("\n\n")
        return Card(f"{head}\n\n**What can be seen:** {self._symptom(self.buggy)}\n\n{last}")

    def judge(self, answer: Any) -> Result:
        """As for a function; unchanged code is not attempted, and a repair learns where the slip was."""
        code = getattr(answer, "__code__", None)
        if isinstance(code, CodeType) and self._is_unchanged(answer, code):
            unchanged = f"`{self.name}` is as it was given; the slip is still to be found."
            return Result(State.NOT_ATTEMPTED, self.id, unchanged)
        result = super().judge(answer)
        if not result.passed:
            return result
        return replace(result, message=f"{result.message}\n{self._named(answer)}")

    def _is_unchanged(self, answer: Answer, code: CodeType) -> bool:
        """By the syntax tree if the source can be read, else by the compiled code."""
        tree = tree_of(answer)
        if tree is not None:
            return ast.dump(tree) == ast.dump(_bare(ast.parse(self.stub)))
        namespace: dict[str, Any] = {}
        exec(compile(ast.unparse(_bare(ast.parse(self.stub))), "<stub>", "exec"), namespace)
        return _essence(code, answer.__doc__) == _essence(namespace["answer"].__code__)

    def _named(self, answer: Answer) -> str:
        line = self.slip_line(answer)
        if not line:
            return f"The slip was: {self.slip}"
        return (
            f"You repaired it elsewhere: the slip stands in line {line}, `{self.slip_code}`, and your change "
            f"makes up for it. {self.slip}"
        )

    def slip_line(self, answer: Answer) -> int:
        """The line of the answer's function in which the slip's code stands; 0 if nowhere or unreadable."""
        tree = tree_of(answer, numbered=True)
        if tree is None:
            return 0
        wanted = ast.parse(self.slip_code).body[0]
        dump = ast.dump(wanted.value if isinstance(wanted, ast.Expr) else wanted)
        lines = [getattr(node, "lineno", 0) for node in ast.walk(tree) if ast.dump(node) == dump]
        return lines[0] if lines else 0


def tree_of(answer: Answer, *, numbered: bool = False) -> ast.FunctionDef | None:
    """The syntax tree of a function's source without name, docstring and annotations; None if it has none.

    `numbered`: lines count from the line of `def`.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):  # typed into a terminal, a built-in, part of a longer line
        return None
    if not isinstance(tree.body[0], ast.FunctionDef):
        return None
    function = _bare(tree)
    return ast.increment_lineno(function, 1 - function.lineno) if numbered else function


def _bare(tree: ast.Module) -> ast.FunctionDef:
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name, function.decorator_list, function.returns = "answer", [], None
    for argument in function.args.args:
        argument.annotation = None
    if ast.get_docstring(function) is not None:
        function.body = function.body[1:]
    return function


def _essence(code: CodeType, text: str | None = None) -> tuple[Any, ...]:
    """What a compiled function does, without its docstring `text` and its lines."""
    kept = [c for c in code.co_consts if c is not None and (text is None or c != text)]
    constants = [_essence(c) if isinstance(c, CodeType) else repr(c) for c in kept]
    return code.co_names, code.co_varnames, [s.opname for s in dis.get_instructions(code)], constants
