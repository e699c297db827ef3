"""Differential checking: run a function and a reference on the same inputs and say, in words, how they
differ.

What is observed of one call is more than its value: the exception, what happened to the arguments, the
gradients (those of modules' parameters included), which results still carry a graph, whose memory they share,
the global random generators and the settings of the session. Random differential testing in the spirit of
McKeeman, "Differential testing for software" (1998).
"""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.guard import TimeUp
from gantrans.teaching.exercises.inputs import Args, duplicate, next_draws, parts, seed_globals
from gantrans.teaching.exercises.session import put_back, settings
from gantrans.teaching.exercises.values import difference, gradient_difference, shared_arguments, tolerance_of
from gantrans.teaching.exercises.words import end_of, error_text, show

__all__ = ["Observation", "compare", "difference", "observe", "same_behaviour", "show", "slope_difference"]

Gradients = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Observation:
    """What one function did with one input; `gradients` is None where not asked or the value is wrong."""

    value: Any = None
    error: BaseException | None = None
    before: Args = ()  # the input itself
    after: Args = ()
    repeatable: bool = True
    gradients: Gradients | None = None
    leaves: tuple[str, ...] = ()  # whose gradients: "1" for an argument, "2.weight" for a module's parameter
    graph: tuple[tuple[str, bool], ...] = ()  # which tensors of the value carry a graph
    shares: frozenset[int] = frozenset()  # the arguments whose memory is part of the value
    seeded: frozenset[str] = frozenset()  # global generators that the call has seeded
    changed: tuple[str, ...] = ()  # settings of the session that the call has changed
    remarks: tuple[str, ...] = ()  # the same, where it does no harm
    in_gradient: bool = False  # the error came only when a gradient was asked for


@dataclass
class _Run:
    """One call: what it returned or raised, and what it did to the session, which has been undone."""

    args: Args
    value: Any = None
    error: BaseException | None = None
    draws: tuple[float, ...] = ()  # the next number of each global generator
    changed: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def observe(
    function: Callable[..., Any],
    args: Args,
    wrt: Sequence[int] = (),
    expected: Observation | None = None,
    tolerance: float | None = None,
) -> Observation:
    """Call `function` on copies of `args`: twice under different global seeds, once more for gradients.

    Gradients (by the arguments at the positions `wrt` and by the parameters of modules among the arguments)
    are skipped when the call already differs from `expected`: there is nothing to compare them with. The
    global generators are left seeded, which `kept_generators` undoes; settings of the session are put back.
    KeyboardInterrupt passes; any other exception of `function` becomes part of the observation.
    """
    first = _run(function, duplicate(args), seed=1)
    second = _run(function, duplicate(args), seed=2) if first.error is None else first
    names = "Python's", "NumPy's", "torch's"
    common: dict[str, Any] = {
        "before": args,
        "after": first.args,
        "changed": tuple(first.changed),
        "remarks": tuple(first.remarks),
    }
    error = first.error or second.error
    if error is not None:
        return Observation(error=error, **common)
    alike = zip(names, first.draws, second.draws, strict=True)
    common |= {
        "value": first.value,
        "repeatable": _lazy(first.value) or difference(first.value, second.value) is None,
        "seeded": frozenset(name for name, one, other in alike if one == other),
        "shares": shared_arguments(first.value, first.args),
    }
    differs = expected is not None and (
        difference(expected.value, first.value, "", tolerance)
        or difference(expected.after, first.args, "", through(args, tolerance))
    )
    trained = any(p.requires_grad for p in _parameters(args).values())
    if differs or not (wrt or trained):
        return Observation(**common)
    return _with_gradients(function, args, wrt, common)


def compare(
    expected: Observation,
    got: Observation,
    names: Sequence[str],
    tolerance: float | None = None,
) -> str | None:
    """One plain sentence on the first difference that matters, or None when the two observations agree."""
    if expected.error is not None:
        return _other_error(expected.error, got)
    if got.error is not None:
        left = _graph(expected, got) if got.in_gradient else None
        return f"the value is right, but {left}" if left else _raised(got)
    reason = difference(expected.value, got.value, "", tolerance)
    if reason:
        again = " (It also changes from call to call: it depends on the global random state.)"
        return reason + ("" if got.repeatable else again)
    if not got.repeatable:
        return "the result changes from call to call: it depends on the global random state."
    found = (
        _session(expected, got)
        or _arguments(expected, got, names, tolerance)
        or _graph(expected, got)
        or slope_difference(expected, got, names, tolerance)
    )
    return f"the value is right, but {found}" if found else None


def same_behaviour(a: Observation, b: Observation, tolerance: float | None = None) -> bool:
    """Whether two functions did the same thing on an input: this is how a misconception is recognised."""
    if a.error is not None or b.error is not None:
        return type(a.error) is type(b.error) and _torch_text(a.error) == _torch_text(b.error)
    if (a.repeatable, a.seeded, a.changed) != (b.repeatable, b.seeded, b.changed):
        return False
    wide = through(a.before, tolerance)
    if any(difference(x, y, "", wide) for x, y in zip(a.after, b.after, strict=True)):
        return False
    if not a.repeatable:
        return True
    if difference(a.value, b.value, "", tolerance) or (a.gradients is None) != (b.gradients is None):
        return False
    return a.graph == b.graph and slope_difference(a, b, (), tolerance) is None


def _torch_text(error: BaseException | None) -> str:
    """Text of a RuntimeError without its numbers: PyTorch raises this one kind for every fault."""
    return re.sub(r"[\d\s,]+", " ", str(error)) if type(error) is RuntimeError else ""


def slope_difference(
    expected: Observation, got: Observation, names: Sequence[str], tolerance: float | None
) -> str | None:
    """The first gradient that differs, to follow on "the value is right, but"."""
    both = expected.gradients or (), got.gradients or ()
    tolerance = through(expected.before, tolerance)
    scale = max((_size(g) for g in both[0] if g is not None), default=0.0)
    for leaf, wanted, found in zip(expected.leaves, *both, strict=False):
        reason = gradient_difference(wanted, found, tolerance, scale)
        if reason:
            number, rest = re.fullmatch(r"(\d+)(.*)", leaf).groups()  # type: ignore[union-attr]
            name = names[int(number)] if names else number
            return f"its gradient with respect to `{name}{rest}` is not: {reason}"
    return None


def through(args: Args, tolerance: float | None) -> float | None:
    """The tolerance for what comes from `args` by a backward pass: that of their coarsest dtype."""
    kinds = {t.dtype for _, t in parts(args, Tensor) if t.is_floating_point()}
    return max([tolerance or 0.0, *(tolerance_of(kind) for kind in kinds)]) or None


def _run(function: Callable[..., Any], args: Args, seed: int) -> _Run:
    run, before = _Run(args), settings()
    seed_globals(seed)
    try:
        run.value = function(*args)
    except (KeyboardInterrupt, TimeUp):
        put_back(before)
        raise
    except BaseException as error:  # the learner's code may raise anything, SystemExit included
        run.error = error
    for setting in put_back(before):
        (run.changed if setting.harmful else run.remarks).append(setting.name)
    run.draws = next_draws()
    return run


def _lazy(value: Any) -> bool:
    """A generator or coroutine: nothing has been computed yet."""
    if hasattr(value, "cr_await"):
        value.close()  # or Python warns that it was never awaited
    return end_of(value) != "." and value is not None


def _parameters(args: Args) -> dict[str, nn.Parameter]:
    """The parameters of all modules among the arguments, each once: "2.weight", "3[0].bias"."""
    found: dict[str, nn.Parameter] = {}
    for i, arg in enumerate(args):
        for where, module in parts(arg, nn.Module):
            for name, parameter in module.named_parameters():
                if not any(parameter is known for known in found.values()):
                    found[f"{i}{where}.{name}"] = parameter
    return found


def _with_gradients(
    function: Callable[..., Any], args: Args, wrt: Sequence[int], common: dict[str, Any]
) -> Observation:
    """The observation with the gradients of a fixed random projection of the value."""
    inputs = duplicate(args)
    leaves: dict[str, Tensor] = {}
    for i in wrt:
        for where, tensor in parts(inputs[i], Tensor):
            if tensor.is_floating_point():
                leaves[f"{i}{where}"] = tensor.requires_grad_()
    leaves |= _parameters(inputs)
    run = _run(function, inputs, seed=1)
    if run.error is not None:
        return Observation(**common | {"error": run.error, "in_gradient": True})
    outputs = dict(parts(run.value, Tensor))
    graph = tuple((where, out.requires_grad) for where, out in outputs.items())
    live = [out for out in outputs.values() if out.requires_grad]
    alive = {name: leaf for name, leaf in leaves.items() if leaf.requires_grad}
    gradients: list[Tensor | None] = []
    if live and alive:
        draw = torch.Generator().manual_seed(7)
        ways = [torch.randn(v.shape, generator=draw, dtype=torch.float64).to(v) for v in live]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gradients = list(torch.autograd.grad(live, list(alive.values()), ways, allow_unused=True))
        except RuntimeError as error:  # a saved tensor has been changed in place, or the graph was freed
            return Observation(**common | {"error": error, "in_gradient": True, "graph": graph})
    found = dict(zip(alive, gradients, strict=False))
    common |= {"gradients": tuple(found.get(name) for name in leaves), "leaves": tuple(leaves)}
    return Observation(**common, graph=graph)


def _other_error(expected: BaseException, got: Observation) -> str | None:
    kind = type(expected).__name__
    wanted = f"this input has no answer, so {kind} should be raised; you "
    if got.error is None:
        return f"{wanted}returned {show(got.value)}" + end_of(got.value)
    if not isinstance(got.error, type(expected)):
        return f"{wanted}raised {error_text(got.error)}."
    return None


def _raised(got: Observation) -> str:
    error = got.error
    assert error is not None
    if not got.in_gradient:
        return f"your code raised {error_text(error)}."
    if "in-place operation" in str(error) and "leaf" in str(error):
        return (
            "the value is right, but you change an argument in place, and autograd refuses that where its "
            "gradient is asked for; compute a new tensor instead."
        )
    return f"the value is right, but no gradient can be taken: PyTorch says {error_text(error)}."


def _session(expected: Observation, got: Observation) -> str | None:
    changed = [name for name in got.changed if name not in expected.changed]
    if changed:
        return f"your function sets {changed[0]} for the whole session (it has been put back)."
    seeded = sorted(got.seeded - expected.seeded)
    if seeded:
        return (
            f"your function seeds {seeded[0]} global random generator: whatever is drawn later in the "
            "notebook would be the same each time."
        )
    return None


def _arguments(
    expected: Observation, got: Observation, names: Sequence[str], tolerance: float | None
) -> str | None:
    """What the call did to its arguments and the reference did not, or the other way round."""
    for i, (name, wanted, found) in enumerate(zip(names, expected.after, got.after, strict=True)):
        reason = difference(wanted, found, "", through(expected.before, tolerance))
        if not reason:
            continue
        if isinstance(wanted, torch.Generator):
            return f"it does not draw from `{name}` what is asked for: as many numbers, in the same order."
        if isinstance(wanted, nn.Module):
            return f"afterwards the module `{name}` is not as it should be: {reason}"
        kept = not difference(expected.before[i], wanted)
        if kept:
            return (
                f"your function leaves the argument `{name}` as {show(found)}; it should stay {show(wanted)} "
                f"(no in-place operations on what you were given)."
            )
        idle = not difference(expected.before[i], found)
        verb = f"does not change `{name}`, which is" if idle else f"leaves `{name}` as {show(found)}; it is"
        return f"your function {verb} to be {show(wanted)} after the call."
    return None


def _graph(expected: Observation, got: Observation) -> str | None:
    """A result that still carries a graph where the reference's is detached; the reverse is a gradient's
    matter."""
    if len(expected.graph) != len(got.graph):
        return None
    for (where, wanted), (_, found) in zip(expected.graph, got.graph, strict=True):
        if found and not wanted:
            which = f"entry {where} of the result" if where else "the result"
            return f"{which} should be detached: it still carries the graph (`requires_grad` is True)."
    return None


def _size(tensor: Tensor) -> float:
    finite = tensor[tensor.isfinite()].abs()
    return float(finite.max()) if finite.numel() else 0.0
