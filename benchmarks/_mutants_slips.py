"""Where a file could be changed, and into what: the operators of the mutation benchmark.

They are those of the literature (Jia & Harman 2011, "An analysis and survey of the development of mutation
testing") and the slips of tensor code: axes, detach, mode, writes in place. Left out is what no test of
behaviour could see: docstrings, annotations, the text of messages and everything else in a `raise`,
assertions for the type checker, progress bars, and options that change speed alone.
"""

import ast
from collections import Counter
from collections.abc import Iterator

ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult, ast.Mod: ast.FloorDiv, ast.MatMult: ast.Mult, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}  # fmt: skip
COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
PAIRS = [
    ("min", "max"), ("minimum", "maximum"), ("amin", "amax"), ("argmin", "argmax"), ("floor", "ceil"),
    ("any", "all"), ("nanmin", "nanmax"), ("fmin", "fmax"),
]  # fmt: skip
SWAPS = dict(PAIRS) | {b: a for a, b in PAIRS}
AXIS_KEYWORDS = {"dim", "axis"}
AXIS_CALLS = {
    "sum", "mean", "amax", "amin", "argmax", "argmin", "softmax", "log_softmax", "logsumexp", "unsqueeze",
    "squeeze", "flatten", "cumsum", "std", "var", "any", "all", "prod", "transpose", "flip", "unbind", "cat",
    "stack", "movedim", "swapaxes", "diff", "sort", "concatenate",
}  # fmt: skip
IN_PLACE = {
    "clamp", "add", "sub", "mul", "div", "sqrt", "abs", "exp", "log", "square", "neg", "relu", "sigmoid",
    "tanh", "round", "floor", "ceil", "masked_fill", "pow",
}  # fmt: skip
ACTIVATIONS = {"ReLU", "LeakyReLU", "SiLU", "relu", "leaky_relu", "silu"}
SPEED = {"strict", "fused", "maxsize", "non_blocking", "desc", "unit", "disable", "leave", "stacklevel"}
"""Keywords whose value changes no result: checks of equal length, speed, and how a bar looks."""
SILENT = {"tqdm", "warn", "print", "TypeVar"}
"""Calls that change no result."""
OPERATORS = (
    "arithmetic", "comparison", "sign", "axis", "number", "detach", "mode", "in place", "boolean", "min/max",
    "drop",
)  # fmt: skip


Change = tuple[str, str, ast.expr | ast.stmt, str]


class Walk:
    """Iterate over (operator, scope, node, replacement text), in source order."""

    def __init__(self, tree: ast.Module, functions: set[str]) -> None:
        self.tree = tree
        self.functions = functions
        self.axes: set[int] = set()  # ids of nodes: constants that are axes are no numbers as well
        self.conditions: set[int] = set()
        self.reads: Counter[str] = Counter()  # how often a function reads each of its names

    def __iter__(self) -> Iterator[Change]:
        yield from self._children(self.tree, "")

    def _children(self, node: ast.AST, scope: str) -> Iterator[Change]:
        for child in ast.iter_child_nodes(node):
            yield from self._visit(child, scope)

    def _visit(self, node: ast.AST, scope: str) -> Iterator[Change]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from self._definition(node, scope)
        elif isinstance(node, ast.AnnAssign):
            yield from self._drop(node, scope)
            if node.value is not None:
                yield from self._visit(node.value, scope)
        elif not _unseen(node):
            self._note(node)
            if isinstance(node, ast.stmt):
                yield from self._drop(node, scope)
            if isinstance(node, ast.expr | ast.stmt):
                for operator, after in self._variants(node, scope):
                    yield operator, scope, node, after
            if id(node) not in self.axes:
                yield from self._children(node, scope)

    def _definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, scope: str
    ) -> Iterator[Change]:
        """A function inside a function belongs to the outer one's scope; decorators stay as they are."""
        if isinstance(node, ast.ClassDef):
            inner, values = f"{scope}.{node.name}" if scope else node.name, []
        else:
            nested = scope in self.functions
            inner = scope if nested else f"{scope}.{node.name}" if scope else node.name
            values = [*node.args.defaults, *(value for value in node.args.kw_defaults if value)]
            if not nested:
                names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
                self.reads = Counter(n.id for n in names if isinstance(n.ctx, ast.Load))
        for child in (*values, *node.body):
            yield from self._visit(child, inner)

    def _drop(self, node: ast.stmt, scope: str) -> Iterator[Change]:
        """Statements without which a program still runs: calls, updates, entries of tables, jumps."""
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        stores = isinstance(node, ast.Assign | ast.AnnAssign) and any(
            isinstance(target, ast.Attribute | ast.Subscript) for target in targets
        )
        calls = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
        if stores or calls or isinstance(node, ast.AugAssign | ast.Continue | ast.Break):
            yield "drop", scope, node, "pass"

    def _note(self, node: ast.AST) -> None:
        """Remember what the children of a node are: axes, conditions."""
        if isinstance(node, ast.Call):
            values = [k.value for k in node.keywords if k.arg in AXIS_KEYWORDS]
            if _name(node.func) in AXIS_CALLS and isinstance(node.func, ast.Attribute):
                values += node.args
            for value in values:
                places = value.elts if isinstance(value, ast.Tuple) else [value]
                self.axes |= {id(place) for place in places if _integer(place) is not None}
        elif isinstance(node, ast.If | ast.IfExp):
            self.conditions.add(id(node.test))
        elif isinstance(node, ast.comprehension):
            self.conditions |= {id(test) for test in node.ifs}

    def _variants(self, node: ast.expr | ast.stmt, scope: str) -> Iterator[tuple[str, str]]:
        axis = _integer(node) if id(node) in self.axes else None
        if axis is not None:
            yield "axis", str((axis - 1 if axis else 1) if axis >= 0 else -2 if axis == -1 else axis + 1)
            return
        if isinstance(node, ast.Constant):
            yield from _constant(node)
        elif isinstance(node, ast.BinOp):
            yield from self._binary(node, scope)
        elif isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            changed = ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
            yield "arithmetic", ast.unparse(changed)
        elif isinstance(node, ast.Assign):
            yield from self._updated_in_place(node)
        elif isinstance(node, ast.Compare):
            for k, op in enumerate(node.ops):
                for other in COMPARISONS[type(op)]:
                    ops = [*node.ops[:k], other(), *node.ops[k + 1 :]]
                    yield "comparison", _grouped(ast.Compare(node.left, ops, node.comparators))
        elif isinstance(node, ast.BoolOp):
            joined: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "boolean", _grouped(ast.BoolOp(joined, node.values))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
            yield "sign" if isinstance(node.op, ast.USub) else "boolean", _grouped(node.operand)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, ast.Attribute) and node.attr == "training" and isinstance(node.ctx, ast.Load):
            yield "mode", f"(not {ast.unparse(node)})"
        elif isinstance(node, ast.Attribute) and node.attr in SWAPS and isinstance(node.ctx, ast.Load):
            yield "min/max", ast.unparse(ast.Attribute(node.value, SWAPS[node.attr], node.ctx))
        elif isinstance(node, ast.Name) and node.id in SWAPS and isinstance(node.ctx, ast.Load):
            yield "min/max", SWAPS[node.id]
        exact = isinstance(node, ast.Compare) and isinstance(node.ops[0], _OPPOSITES)
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
        if id(node) in self.conditions and not exact and not negated:
            yield "boolean", f"(not ({ast.unparse(node)}))"

    def _binary(self, node: ast.BinOp, scope: str) -> Iterator[tuple[str, str]]:
        union = isinstance(node.op, ast.BitOr) and not scope  # a type alias
        if type(node.op) in ARITHMETIC and not union and not _is_text(node.left) and not _is_text(node.right):
            yield "arithmetic", _grouped(ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right))

    def _updated_in_place(self, node: ast.Assign) -> Iterator[tuple[str, str]]:
        """h = h + y as h += y, which writes into whatever else h is."""
        target, value = node.targets[0], node.value
        if not isinstance(target, ast.Name) or not isinstance(value, ast.BinOp):
            return
        if isinstance(value.left, ast.Name) and value.left.id == target.id:
            yield "in place", ast.unparse(ast.AugAssign(target, value.op, value.right))

    def _call(self, node: ast.Call) -> Iterator[tuple[str, str]]:
        name = _name(node.func)
        if name in ACTIVATIONS and not any(k.arg == "inplace" for k in node.keywords):
            more = ast.keyword("inplace", ast.Constant(True))
            yield "in place", ast.unparse(ast.Call(node.func, node.args, [*node.keywords, more]))
        if {k.arg for k in node.keywords} in ({"min"}, {"max"}) and name in ("clamp", "clip", "clamp_"):
            other = [ast.keyword(SWAPS[k.arg], k.value) for k in node.keywords if k.arg]
            yield "min/max", ast.unparse(ast.Call(node.func, node.args, other))
        if not isinstance(node.func, ast.Attribute):
            return
        owner = node.func.value
        if name in ("detach", "clone", "copy") and not node.args and not node.keywords:
            yield "detach" if name == "detach" else "in place", _grouped(owner)
        if name in ("eval", "train"):
            wanted = ast.unparse(node.args[0]) if node.args else None
            text = f"train(not ({wanted}))" if wanted else "train()" if name == "eval" else "eval()"
            yield "mode", f"{ast.unparse(owner)}.{text}"
        if name == "requires_grad_":
            first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else True
            yield "mode", f"{ast.unparse(owner)}.requires_grad_({not first})"
        twice = isinstance(owner, ast.Attribute | ast.Subscript) or (
            isinstance(owner, ast.Name) and self.reads[owner.id] > 1
        )
        library = isinstance(owner, ast.Name) and owner.id in ("torch", "np", "math", "F")
        if name in IN_PLACE and twice and not library:
            func = ast.Attribute(owner, f"{name}_", ast.Load())
            yield "in place", ast.unparse(ast.Call(func, node.args, node.keywords))


_OPPOSITES = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)


def _unseen(node: ast.AST) -> bool:
    """Whether nothing in this node can be seen in what the code does; see the module."""
    if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Call):
        return _name(node.func) in SILENT
    if isinstance(node, ast.keyword):
        return node.arg in SPEED
    if isinstance(node, ast.Expr):
        owner = node.value.func if isinstance(node.value, ast.Call) else None
        owner = owner.value if isinstance(owner, ast.Attribute) else None
        return _is_text(node.value) or (isinstance(owner, ast.Name) and owner.id in ("bar", "warnings"))
    names = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(name, ast.Name) and name.id == "__all__" for name in names)


def _constant(node: ast.Constant) -> Iterator[tuple[str, str]]:
    value = node.value
    if isinstance(value, bool):
        yield "boolean", str(not value)
    elif isinstance(value, int):
        yield "number", str(value + 1)
        if value > 0:
            yield "number", str(value - 1)
    elif isinstance(value, float):
        yield "number", repr(value + 1.0)


def _integer(node: ast.AST) -> int | None:
    """The value of 2 or -2; None for all else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _integer(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    return None


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _name(function: ast.expr) -> str:
    """sum of x.sum, torch.sum and sum."""
    return getattr(function, "attr", getattr(function, "id", ""))


def _grouped(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"
