"""Names at the left edge of a text, and giving one of them another name where it means that."""

import ast
from collections.abc import Callable, Iterator

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_KEYWORDS: dict[type, str] = {
    ast.FunctionDef: "def ", ast.AsyncFunctionDef: "async def ", ast.ClassDef: "class ",
}  # fmt: skip
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def top_names(text: str) -> dict[str, str]:
    """What a text defines at its left edge (functions, classes, constants), with the text of each
    definition."""
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = ast.unparse(node)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for inner in (n for target in targets for n in ast.walk(target)):
                if isinstance(inner, ast.Name):
                    found[inner.id] = ast.unparse(node)
    return found


def renamed(text: str, old: str, new: str) -> str:
    """The text with a name of its left edge changed everywhere it means that, comments and layout kept.

    A parameter or a local variable of the same name stays.
    """
    lines = [line.encode() for line in text.splitlines()]
    spots = sorted(set(_spots(ast.parse(text), old, False)), reverse=True)
    for row, column in spots:
        line = lines[row - 1]
        place = line.index(old.encode(), column)  # behind `def ` or `class `
        lines[row - 1] = line[:place] + new.encode() + line[place + len(old.encode()) :]
    return "\n".join(line.decode() for line in lines)


def plain_names(text: str, module: str, names: Callable[[str], str]) -> str:
    """A text that reaches things through an imported module, `mine.q_sample`, with their plain names instead.

    The import is replaced by one of those names (`from module import q_sample`); `names` gives the proper
    name of each. Where the text has a variable of that name, the thing is called `the_q_sample`.
    """
    tree = ast.parse(text)
    package, _, last = module.rpartition(".")
    aliases = {
        (alias.asname or alias.name): node
        for node in tree.body
        if isinstance(node, (ast.Import, ast.ImportFrom)) and len(node.names) == 1
        for alias in node.names
        if (isinstance(node, ast.Import) and (alias.name, bool(alias.asname)) == (module, True))
        or (isinstance(node, ast.ImportFrom) and (node.module, alias.name) == (package, last))
    }
    used = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases
    ]  # fmt: skip
    own = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    own |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)} | set(top_names(text))
    lines = [line.encode() for line in text.splitlines()]
    imports = set()
    for node in sorted(used, key=lambda n: (n.lineno, n.col_offset), reverse=True):
        name = names(node.attr)
        called = f"the_{name}" if name in own else name
        imports.add(name if called == name else f"{name} as {called}")
        line = lines[node.lineno - 1]
        begin, end = node.col_offset, node.end_col_offset or 0
        lines[node.lineno - 1] = line[:begin] + called.encode() + line[end:]
    for statement in aliases.values():
        begin, end = statement.lineno - 1, statement.end_lineno or 0
        lines[begin:end] = [b""] * (end - begin)
    first = next(iter(aliases.values())).lineno - 1 if aliases else 0
    if imports:
        lines[first] = f"from {module} import {', '.join(sorted(imports))}".encode()
    return "\n".join(line.decode() for line in lines) + "\n"


def _spots(node: ast.AST, name: str, hidden: bool) -> Iterator[tuple[int, int]]:
    """Where `name` means the name at the left edge; `hidden` says that a scope around has one of its own."""
    if isinstance(node, ast.Name) and node.id == name and not hidden:
        yield node.lineno, node.col_offset
    if isinstance(node, _Named) and node.name == name and not hidden:
        yield node.lineno, node.col_offset + len(_KEYWORDS[type(node)])
    if isinstance(node, ast.Global) and name in node.names:
        yield node.lineno, node.col_offset + len("global ")
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        body = node.body if isinstance(node.body, list) else [node.body]
        outside = [child for child in ast.iter_child_nodes(node) if child not in body]
        for child in outside:
            yield from _spots(child, name, hidden)
        inside = hidden or name in _locals(node, body)
        for child in body:
            yield from _spots(child, name, inside)
        return
    if isinstance(node, _Comprehension):
        bound = {n.id for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
        hidden = hidden or name in bound
    for child in ast.iter_child_nodes(node):
        yield from _spots(child, name, hidden)


def _locals(node: _Function, body: list[ast.stmt] | list[ast.expr]) -> set[str]:
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    said = {name for part in body for n in ast.walk(part) if isinstance(n, ast.Global) for name in n.names}
    return {argument.arg for argument in arguments} | (set(_bound(body)) - said)


def _bound(body: list[ast.stmt] | list[ast.expr] | list[ast.AST]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            yield node.id
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)
        elif not isinstance(node, (ast.Lambda, *_Comprehension.__args__)):
            yield from _bound(list(ast.iter_child_nodes(node)))
