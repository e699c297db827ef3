"""The files that a learner takes along: `my_diffusion.py` and its like, made of accepted parts.

A template is a script in `notebooks/lessons/exports/` in which a line `# part: q_sample` stands for a part,
and `# include: _images` for the file of that name beside it. The exported file holds their texts and needs
torch and NumPy alone. Where a part is missing, the course's version stands in, marked.
"""

import ast
import re
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from gantrans.errors import ConfigError
from gantrans.files import replace_file
from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.learner import store
from gantrans.teaching.learner.rename import plain_names, renamed, top_names
from gantrans.teaching.learner.sources import MINE, NotKept, import_lines, source_of
from gantrans.teaching.mine import exercise_of
from gantrans.teaching.places import LESSONS

TEMPLATES = LESSONS / "exports"
PACKAGES = ("torch", "numpy")
"""What an exported file may import beside the standard library."""
_LINE = re.compile(r"^# (part|include): (\w+)$", re.M)
_HERE = (MINE, f"lessons.{TEMPLATES.name}")


def templates() -> dict[str, Path]:
    """The files that can be exported, by name: "my_diffusion" and its like."""
    return {path.stem: path for path in sorted(TEMPLATES.glob("my_*.py"))}


def export(name: str, out: Path, *, force: bool = False) -> Path:
    """Write one file into the folder `out`; it appears complete or not at all.

    Raises:
        ConfigError: there is no such template, or the file exists and `force` is not set.
        OSError: it cannot be written.
    """
    known = templates()
    if name not in known:
        raise ConfigError(f"There is no export {name!r}; choose one of {', '.join(known)} or all.")
    path = out / f"{name}.py"
    if path.exists() and not force:
        raise ConfigError(f"{path} exists already; choose another folder or add --force to replace it.")
    text = filled(known[name].read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    replace_file(path, text)
    return path


def filled(template: str) -> str:
    """The text of an exported file."""
    return _Assembly(template).text()


def parts_of(name: str) -> list[str]:
    """The names of the parts that a template asks for, in order."""
    return [what for kind, what in _LINE.findall(templates()[name].read_text("utf-8")) if kind == "part"]


@dataclass
class _Assembly:
    """A template that is being filled: what was written so far, and the names that are taken."""

    template: str
    imports: set[str] = field(default_factory=set)
    taken: dict[str, str] = field(default_factory=dict)  # a name at the left edge -> its definition
    done: set[str] = field(default_factory=set)
    yours: list[str] = field(default_factory=list)
    courses: list[str] = field(default_factory=list)
    late: bool = False

    def text(self) -> str:
        document = ast.get_docstring(ast.parse(self.template), clean=False)
        assert document is not None
        wanted = {what for kind, what in _LINE.findall(self.template) if kind == "part"}
        body = self._body(self.template, skip_docstring=True)
        self.taken |= dict.fromkeys((*top_names(body), *wanted), "")
        body = _LINE.sub(lambda found: f"\n\n{self._piece(found[1], found[2])}\n\n", body)
        head = ["from __future__ import annotations", ""] if self.late else []
        lines = [f'"""{document}"""', "", *self._whose(), "", *head, *import_lines(self.imports)]
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines) + "\n\n\n" + body.strip() + "\n")

    def _whose(self) -> list[str]:
        lines = [f"# Yours: {', '.join(self.yours) or 'none yet'}."]
        lines += [f"# The course's versions: {', '.join(self.courses)}."] if self.courses else []
        return [piece for line in lines for piece in _wrapped(line)]

    def _piece(self, kind: str, name: str) -> str:
        if kind == "include":
            return self._body((TEMPLATES / f"{name}.py").read_text("utf-8"), skip_docstring=True).strip()
        if name in self.done:  # an earlier part needed it
            return ""
        self.done.add(name)
        source, mark = self._source(name)
        before = [self._piece("part", other) for other in needed_parts(source)]
        body = self._own_names(name, self._body(source, part=name).strip())
        return "\n\n\n".join([*filter(None, before), f"# {mark}\n{body}"])

    def _source(self, name: str) -> tuple[str, str]:
        """The text of a part and the remark above it."""
        ex = exercise_of(name)
        why = "you have not written this one yet"
        try:
            stored = store.read(ex.id)
            if stored is not None:
                store.load(ex)
                source = plain_names(stored.source, MINE, lambda other: exercise_of(other).name)
                foreign = foreign_packages(source)
                if not foreign:
                    self.yours.append(name)
                    return source, f"yours, accepted on {stored.date}"
                why = f"yours needs {', '.join(foreign)}, and this file has torch and NumPy alone"
        except store.Damaged as error:
            why = str(error).partition(";")[0].replace("Your stored ", "your ")
        self.courses.append(name)
        return _reference(ex), f"the course's version: {why}"

    def _body(self, text: str, skip_docstring: bool = False, part: str = "") -> str:
        """A text without its imports, which are collected; a name that is taken gets `_of_<part>`."""
        lines = text.splitlines()
        aliases: list[str] = []
        changed: dict[str, str] = {}
        for number, node in enumerate(ast.parse(text).body):
            document = number == 0 and skip_docstring and isinstance(node, ast.Expr)
            if not document and not isinstance(node, (ast.Import, ast.ImportFrom)):
                continue
            begin, end = node.lineno - 1, node.end_lineno or 0
            lines[begin:end] = [""] * (end - begin)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(_HERE):
                aliases += [f"{a.asname} = {a.name}" for a in node.names if a.asname not in (None, a.name)]
            elif isinstance(node, ast.ImportFrom) and node.module == "__future__":
                self.late = True
            elif not document:
                changed |= self._import(node, part)  # type: ignore[arg-type]
        body = "\n".join([*aliases, "", *lines] if aliases else lines)
        for old, new in changed.items():
            body = renamed(body, old, new)
        return body

    def _import(self, node: ast.Import | ast.ImportFrom, part: str) -> dict[str, str]:
        """Collect a statement; gives the names that had to be changed because they are taken."""
        head = f"from {node.module} import" if isinstance(node, ast.ImportFrom) else "import"
        changed = {}
        for alias in node.names:
            line, bound = f"{head} {ast.unparse(alias)}", alias.asname or alias.name.partition(".")[0]
            if self.taken.get(bound, line) != line and not (head == "import" and bound != alias.asname):
                changed[bound] = new = f"{bound}_of_{part}".lstrip("_")
                line, bound = f"{head} {alias.name} as {new}", new
            self.imports.add(line)
            self.taken[bound] = line
        return changed

    def _own_names(self, part: str, body: str) -> str:
        """A part's text with helpers renamed where another part, or the template, has that name."""
        for name, definition in top_names(body).items():
            if name == part:
                continue
            if self.taken.get(name, definition) != definition:
                new = f"{name}_of_{part}".lstrip("_")
                body = renamed(body, name, new)
                name = new
            self.taken[name] = definition
        return body


def needed_parts(source: str) -> list[str]:
    """The names of the parts that a text imports from `mine`."""
    nodes = [
        node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) and node.module == MINE
    ]
    return [alias.name for node in nodes for alias in node.names]


def _reference(ex: Exercise) -> str:
    try:
        source = source_of(ex.function, ex.name)
    except NotKept as error:
        raise ConfigError(f"The course's version of {ex.name} cannot be exported: {error}") from None
    foreign = foreign_packages(source)
    if foreign:
        raise ConfigError(f"The course's version of {ex.name} needs {', '.join(foreign)}.")
    return source


def foreign_packages(source: str) -> list[str]:
    """The packages beside torch and NumPy that a text imports, other parts not counted."""
    roots = set()
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.module != MINE else []
        roots |= {name.partition(".")[0] for name in names}
    return sorted(roots - set(sys.stdlib_module_names) - set(PACKAGES))


def _wrapped(line: str, width: int = 100) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent="#   ")
