"""An accepted answer in use: the learner's function or class, with the course's version behind it.

A checker tries some dozens of inputs; a lesson may bring others. If the learner's version raises where the
course's does not, runs for too long or gives NaN, one sentence is printed and the course's version answers,
this time and from then on.
"""

import functools
import math
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.guard import TimeUp, time_limit
from gantrans.teaching.learner.sources import MARK

Function = Callable[..., Any]


@dataclass
class Part:
    """What is known of an answer in use; `fallen` says why the course's version took over, "" if it did
    not."""

    id: str
    name: str
    answer: Any
    reference: Any
    patience: float
    fallen: str = field(default="", init=False)

    def fall(self, why: str, notes: Sequence[str] = ()) -> None:
        """Let the course's version take over, and say so once."""
        self.fallen = why
        print(f"Your `{self.name}` {why}; from here on the course's version answers{''.join(notes)}.")


def in_use(part: Part, module: str = "") -> Any:
    """The answer as the lesson calls it: same name, signature and docstring; `original` gives the answer
    back.

    It is pickled by its name in `module`; "" stands for the module of the answer.
    """
    made = _class(part) if isinstance(part.answer, type) else _function(part)
    made.__module__ = module or part.answer.__module__
    return made


def original(value: Any) -> Any:
    """The learner's own function or class behind one in use; any other value is given back as it is."""
    part = vars(value).get(MARK) if hasattr(value, "__dict__") else None
    return part.answer if isinstance(part, Part) else value


def has_nan(value: Any) -> bool:
    """Whether a result holds a NaN: in a tensor, a float, or in a list, tuple or dict of those."""
    if isinstance(value, Tensor):
        if not (value.is_floating_point() or value.is_complex()) or value.device.type == "meta":
            return False
        return bool(value.isnan().any())
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, (list, tuple)):
        return any(map(has_nan, value))
    return isinstance(value, dict) and any(map(has_nan, value.values()))


def _function(part: Part) -> Function:
    answer = part.answer

    @functools.wraps(answer)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if part.fallen:
            return part.reference(*args, **kwargs)
        return attempt(part, answer, part.reference, args, kwargs)

    guarded.__name__ = part.name
    guarded.__qualname__ = part.name
    setattr(guarded, MARK, part)
    return guarded


def attempt(
    part: Part, answer: Function, reference: Function, args: Any, kwargs: Any, notes: Sequence[str] = ()
) -> Any:
    """One call of the learner's version; where it fails and the course's does not, that one's result.

    Torch generators among the arguments go back to their state before the course's version runs. `notes`,
    which that run may fill, end the sentence that is printed.
    """
    generators = _generators(args, kwargs)
    before = [g.get_state() for g in generators]
    own_limit = _is_longer(part.patience)
    try:
        if own_limit:
            with time_limit(part.patience):
                value = answer(*args, **kwargs)
        else:
            value = answer(*args, **kwargs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except TimeUp:
        if not own_limit:  # somebody else's limit
            raise
        _put_back(generators, before)
        found = reference(*args, **kwargs)
        part.fall(f"ran for over {part.patience:g} s", notes)
        return found
    except BaseException as error:  # SystemExit as well
        _put_back(generators, before)
        found = reference(*args, **kwargs)  # if it raises as well, the input is at fault
        part.fall(f"raised {_words(error)}", notes)
        return found
    if not has_nan(value):
        return value
    after = [g.get_state() for g in generators]
    _put_back(generators, before)
    found = reference(*args, **kwargs)
    if has_nan(found):
        _put_back(generators, after)
        return value
    part.fall("gave NaN", notes)
    return found


def _class(part: Part) -> type:
    answer: type = part.answer
    kind = type(answer)

    class Guard(kind):  # type: ignore[misc, valid-type]
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if cls is not guarded:  # a class that the learner derived from it
                return super().__call__(*args, **kwargs)
            if part.fallen:
                return part.reference(*args, **kwargs)
            random = torch.get_rng_state()

            def course(*args: Any, **kwargs: Any) -> Any:
                torch.set_rng_state(random)
                return part.reference(*args, **kwargs)

            made = attempt(part, super().__call__, course, args, kwargs)
            if isinstance(made, answer) and isinstance(made, nn.Module):
                made.__dict__["_made_with"] = (args, kwargs)
            return made

    own = {name: value for name, value in vars(answer).items() if isinstance(value, FunctionType)}
    beyond = {name: _beyond(answer, name) for name in own if any(hasattr(b, name) for b in answer.__bases__)}
    between = kind(f"_{part.name}", (answer,), beyond)
    body: dict[str, Any] = {**own, "__doc__": answer.__doc__, MARK: part}
    if issubclass(answer, nn.Module):
        body["forward"] = _forward(part)
    guarded = Guard(part.name, (between,), body)
    guarded.__qualname__ = part.name
    return guarded


def _beyond(answer: type, name: str) -> Function:
    """What `super(Name, self).method` must find: in the notebook `Name` is the guarded class, so that it
    would find the method that is running."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(answer, self), name)(*args, **kwargs)

    return method


def _forward(part: Part) -> Function:
    own: Function = part.answer.forward

    @functools.wraps(own)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        made_with = self.__dict__.get("_made_with")
        if made_with is None:  # derived from, or copied by hand: nothing stands behind it
            return own(self, *args, **kwargs)
        notes: list[str] = []

        def course(*args: Any, **kwargs: Any) -> Any:
            if "_course" not in self.__dict__:  # in a tuple, so that its parameters do not count twice
                made = part.reference(*made_with[0], **made_with[1])
                if not share(self, made):
                    made.to(next(self.parameters(), torch.zeros(())).device)
                    notes.append(" with new weights (the names or shapes of yours differ)")
                self.__dict__["_course"] = (made,)
            made = self.__dict__["_course"][0]
            return made.train(self.training)(*args, **kwargs)

        if part.fallen:
            return course(*args, **kwargs)
        return attempt(part, functools.partial(own, self), course, args, kwargs, notes)

    return forward


def share(learner: nn.Module, course: nn.Module) -> bool:
    """Give `course` the very parameters and buffers of `learner`, by name, so that an optimiser goes on.

    Returns False, and changes nothing, where names or shapes differ.
    """

    def shapes(module: nn.Module) -> dict[str, torch.Size]:
        named = [
            *module.named_parameters(remove_duplicate=False),
            *module.named_buffers(remove_duplicate=False),
        ]
        return {name: value.shape for name, value in named}

    if shapes(learner) != shapes(course):
        return False
    theirs = dict(learner.named_modules(remove_duplicate=False))
    for path, module in course.named_modules(remove_duplicate=False):
        if module._parameters or module._buffers:  # the dicts themselves: `.to()` replaces entries
            module._parameters = theirs[path]._parameters
            module._buffers = theirs[path]._buffers
    return True


def _generators(args: Iterable[Any], kwargs: dict[str, Any]) -> list[torch.Generator]:
    return [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Generator)]


def _put_back(generators: list[torch.Generator], states: list[Tensor]) -> None:
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)


def _is_longer(patience: float) -> bool:
    """Whether a limit of our own makes sense: none that ends earlier is running."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        return False
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    return left == 0 or left > patience


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return type(error).__name__ + (f" ({text[:120]})" if text else "")
