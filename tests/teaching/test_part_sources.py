"""The source of an answer with all it needs, from a real IPython shell, imported in a fresh process."""

import linecache
import os
import subprocess
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell

from gantrans.teaching.exercises import exercise, exercises
from gantrans.teaching.learner.sources import NotKept, source_of


class Notebook:
    """Cells in a real shell; `source` is the text that would be kept."""

    def __init__(self):
        self.shell = InteractiveShell()

    def cell(self, text):
        self.shell.run_cell(text, store_history=True).raise_error()
        return self

    def source(self, name="f"):
        return source_of(self.shell.user_ns[name], name)


@pytest.fixture
def notebook():
    return Notebook()


def fresh(source, expression, tmp_path):
    """What an expression gives in a process that knows nothing but the kept text."""
    (tmp_path / "kept.py").write_text(source)
    command = [sys.executable, "-c", f"from kept import *; import kept; print(repr({expression}))"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_everything_a_function_needs_is_kept_and_nothing_else(notebook, tmp_path):
    notebook.cell("import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn")
    notebook.cell("import numpy as np\nimport json\nimport xml.etree.ElementTree\nUNUSED = torch.zeros(3)")
    notebook.cell("FACTORS = {'a': [1.5, (2,)], 'b': float('inf'), 'dtype': torch.float64}\nLIMIT: int = 3")
    notebook.cell("def old(x):\n    return 0")
    notebook.cell("def inner(x):\n    # the comment stays\n    return x * FACTORS['a'][0]")
    notebook.cell("square = lambda x: x * x")
    notebook.cell("def old(x):\n    return inner(x) + square(x)")  # defined again, later
    notebook.cell(
        "def f(x: Tensor, n: int = LIMIT) -> 'Tensor':\n"
        "    xml.etree.ElementTree.tostring\n"
        "    local = [math.sqrt(v) for v in (n, 4)]\n"
        "    return float(old(F.relu(x)).sum()) + local[1] + np.float64(n)"
    )
    text = notebook.source()
    assert "# the comment stays" in text
    assert not any(word in text for word in ("json", "UNUSED", "nn\n", "return 0"))
    assert fresh(text, "float(f(__import__('torch').ones(2)))", tmp_path) == "10.0"
    notebook.cell("torch = None")  # later cells do not matter any more
    assert fresh(text, "kept.FACTORS['b']", tmp_path) == "inf"


@pytest.mark.parametrize(
    ("cells", "expression", "value"),
    [
        (["def outer(k):\n    step = 2\n    def f(x):\n        return x * k + step\n    return f",
          "f = outer(5)"], "f(3)", "17"),
        (["f = (lambda x, k=2:\n     x + k)"], "f(1)", "3"),
        (["a, f = (lambda: 0), (lambda x: (lambda y: y - x)(10))"], "f(3)", "7"),
        (["import functools",
          "@functools.lru_cache\ndef f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)"],
         "f(30)", "832040"),
        (["def g(x): return x + 1", "h = g", "table = {'one': h, 'two': lambda x: g(x) + 1, 'three': max}",
          "def f(kind, x): return table[kind](x)"], "f('two', 1)", "3"),
        (["def odd(n): return n > 0 and f(n - 1)", "def f(n): return n == 0 or odd(n - 1)"], "f(4)", "True"),
        (["def f(x):\n    '''Text\n  at the left.'''\n    return x; y = 1"], "f.__doc__",
         "'Text\\n  at the left.'"),
        (["from collections.abc import Callable", "Rule = tuple[Callable[[int], int], int | None]",
          "def f(x: Rule): return 1"], "f(0)", "1"),
        (["%xmode Plain\ndef f(x):\n    return x"], "f(2)", "2"),
    ],
)  # fmt: skip
def test_functions_of_every_kind(notebook, tmp_path, cells, expression, value):
    for cell in cells:
        notebook.cell(cell)
    assert fresh(notebook.source(), expression, tmp_path) == value


def test_what_only_a_notebook_has_is_imported(notebook, tmp_path):
    notebook.cell("import torch\nshape, where = torch.Size([1, 2]), torch.device('cpu')")
    notebook.cell("def f(x, show=False):\n    if show:\n        display(x)\n    return shape, where.type")
    text = notebook.source()
    assert "import display\n" in text
    assert fresh(text, "f(1)", tmp_path) == "(torch.Size([1, 2]), 'cpu')"


def test_classes_with_bases_decorators_and_without_methods(notebook, tmp_path):
    notebook.cell("import torch\nfrom torch import nn\nfrom dataclasses import dataclass")
    notebook.cell("@dataclass\nclass Size:\n    width: int = 4")
    notebook.cell("class Base(nn.Module):\n    def width(self):\n        return 0")
    notebook.cell("class Base(nn.Module):\n    def width(self):\n        return Size().width")
    notebook.cell(
        "class f(Base):\n    scale = 2.0\n    def __init__(self):\n        super().__init__()\n"
        "        self.layer = nn.Linear(self.width(), 1)\n\n"
        "    @torch.no_grad()\n    def forward(self, x):\n        return self.layer(x) * self.scale"
    )
    text = notebook.source()
    assert fresh(text, "f()(__import__('torch').ones(3, 4)).shape", tmp_path) == "torch.Size([3, 1])"
    assert text.index("class Size") < text.index("class Base") < text.index("class f")


@pytest.mark.parametrize(
    ("before", "what"),
    [
        ("import torch\nlost = torch.zeros(2)", "`lost`, a tensor,"),
        ("from torch import nn\nlost = nn.Linear(1, 1)", "`lost`, a network,"),
        ("import os\nlost = open(os.devnull)", "`lost`, an open file,"),
        ("lost = [object()]", "`lost`, a list,"),
        ("import torch\ndeep = torch.zeros(2)\ndef lost(): return deep", "`deep`, a tensor,"),
    ],
)
def test_what_cannot_be_kept_is_named(notebook, before, what):
    notebook.cell(before)
    notebook.cell("def f(x):\n    return lost")
    with pytest.raises(NotKept) as refusal:
        notebook.source()
    assert what in str(refusal.value)
    assert str(refusal.value).count(".") == 1  # one sentence


def test_two_things_of_one_name_and_states_between_calls_are_refused(notebook):
    notebook.cell(
        "def make(k):\n    def f(x):\n        return x * k\n    return f\none, two = make(1), make(2)"
    )
    notebook.cell("def f(x):\n    return one(x) + two(x)")
    with pytest.raises(NotKept, match="two different things that are both called `f`"):
        notebook.source()
    notebook.cell(
        "def counter():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n"
        "        return n\n    return f"
    )
    notebook.cell("f = counter()")
    with pytest.raises(NotKept, match="cannot stand alone"):
        notebook.source()


def test_a_function_without_text_is_refused():
    with pytest.raises(NotKept, match="not a function or a class of its own"):
        source_of(len, "f")
    with pytest.raises(NotKept, match="not a function or a class of its own"):
        source_of(__import__("functools").partial(max, 1), "f")
    names = {}
    exec("def f(): return 1", names)
    with pytest.raises(NotKept, match="no text that can be found"):
        source_of(names["f"], "f")


def test_executed_text_is_found_through_linecache(tmp_path):
    text = "K = 3\ndef f(x):\n    return x + K\n"
    linecache.cache["<my text>"] = len(text), None, text.splitlines(True), "<my text>"
    names = {"__name__": "nowhere"}
    exec(compile(text, "<my text>", "exec"), names)
    assert fresh(source_of(names["f"], "f"), "f(4)", tmp_path) == "7"


def test_names_of_annotations_alone_never_refuse_an_answer(notebook, tmp_path):
    notebook.cell("class Hidden: pass\nkinds = Hidden()\nNever = object()")
    notebook.cell("def f(x: kinds = 1) -> Never:\n    y: kinds = x\n    return y")
    notebook.cell("del Never")
    assert fresh(notebook.source(), "f(5)", tmp_path) == "5"


def test_another_part_becomes_an_import_from_mine(notebook):
    q_sample = exercise("q_sample").function  # what `check` returns for an open stub
    notebook.shell.user_ns["noised"] = q_sample
    notebook.cell("def f(*args):\n    return noised(*args)")
    assert "from gantrans.teaching.mine import q_sample as noised\n" in notebook.source()


def test_nearly_every_other_right_answer_of_the_course_can_be_kept():
    refused = {}
    for ex in exercises():
        for number, answer in enumerate([ex.function, *ex.rights]):
            try:
                source = source_of(answer, ex.name)
            except NotKept as error:
                refused[ex.id, number] = str(error)
                continue
            names = {"__name__": "kept"}
            exec(compile(source, "<kept>", "exec"), names)
            assert callable(names[ex.name])
            assert "lessons." not in source
    assert all("an Exercise" in why for why in refused.values())  # those answers call the reference
    assert len(refused) <= 4
