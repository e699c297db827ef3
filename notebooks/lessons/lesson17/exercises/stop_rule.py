"""Lesson 17: when to stop a training, and which weights to keep."""

from collections.abc import Callable
from statistics import median
from typing import Any

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="stop_rule",
    lesson="17",
    title="When to stop",
    difficulty=3,
    minutes=15,
    spec=r"""
    `errors` are the validation errors of a training, one number per check, in order; checks are counted from
    0. Decide as one would during the training, so at check `i` use only `errors[: i + 1]`.

    Smooth first: the value of a check is the median of its own error and the two before it. The first two
    checks have fewer before them, so take the median of what there is. The best check so far, b, is the one
    with the smallest value; of equal ones it is the earliest. Stop at the first check i with

    $$i - b \ge \max(\texttt{least},\ \texttt{share} \cdot (b + 1)).$$

    So a training that needed long to get to its best value is also given long to find a better one. Return
    `(i, b)`, the check at which it stops and the check whose weights are kept. If it never stops, `i` is the
    last check. Without any error raise a `ValueError`.
    """,
    hints=(
        "A loop over i that keeps the best check so far. The smoothed value of check i needs "
        "`errors[max(0, i - 2) : i + 1]`.",
        "`from statistics import median`. Begin with `best = 0`, and put `best = i` where the value is "
        "smaller than the one at `best`.",
        "In the loop: `if i - best >= max(least, share * (best + 1)): return i, best`. After it: "
        "`return len(errors) - 1, best`.",
    ),
    source="Prechelt 1998, “Early stopping, but when?”; patience that grows with the best step: Bengio 2012, "
    "“Practical recommendations”, sec. 3.1 (there a factor of 2).",
    equivalent={
        "`float` -> `double`": "an annotation",
        "-> `max(share * (best + 1), least)`": "the larger of two numbers, in either order",
        "-> `max(i - 2, 0)`": "the larger of two numbers, in either order",
    },
)


@ex.reference
def stop_rule(errors: list[float], least: int, share: float) -> tuple[int, int]:
    """Validation errors, least patience in checks, patience over b + 1 -> (check of the stop, best check)."""
    if not errors:
        raise ValueError("There is no error to decide by.")
    smooth: list[float] = []
    best = 0
    for i in range(len(errors)):
        smooth.append(median(errors[max(0, i - 2) : i + 1]))
        if smooth[i] < smooth[best]:
            best = i
        if i - best >= max(least, share * (best + 1)):
            return i, best
    return len(errors) - 1, best


FALLING = [8.0, 6.0, 5.0, 4.5, 4.0, 3.5, 3.25, 3.0]
DIP = [
    9.0,
    8.0,
    7.0,
    1.0,
    6.0,
    5.75,
    5.5,
    5.25,
    5.0,
    5.5,
    5.5,
    6.0,
    6.0,
    6.0,
    7.0,
    7.0,
    7.0,
    8.0,
    8.0,
    8.0,
    8.0,
]
TURN = [9.0, 7.0, 5.0, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 2.0, 2.0, 2.0, 2.0]
FLAT = [5.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]
SPIKES = [6.0, 5.0, 4.0, 9.0, 3.5, 9.0, 3.0, 2.5, 9.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0]


@ex.edges
def _() -> list[Args]:
    return [
        (FALLING, 2, 0.5),
        (DIP, 2, 0.5),
        (DIP, 4, 0.25),
        (TURN, 2, 0.5),
        (TURN, 3, 1.0),
        (TURN, 9, 0.25),
        (FLAT, 3, 0.5),
        (FLAT, 3, 2.0),
        (FLAT, 20, 0.5),
        (SPIKES, 3, 0.5),
        (SPIKES, 2, 0.25),
        ([3.0], 2, 1.0),
        ([3.0, 2.0], 1, 0.25),
        ([2.0, 3.0], 1, 1.0),
        ([2.0, 3.0, 2.5, 4.0, 4.0], 2, 1.0),
        ([-1.0, -2.0, -3.0, -2.5, -2.0, -1.0, 0.0, 0.0], 2, 0.5),
        ([], 2, 0.5),
        ([4.0, 1.0, 3.0, 3.0, 2.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0], 2, 0.5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    count, turn = case.integer(12, 40), case.integer(3, 12)
    noise = case.randn(count).double()
    errors = [abs(i - turn) ** 0.5 + 0.3 * float(noise[i]) for i in range(count)]
    return errors, case.integer(1, 5), case.choice((0.25, 0.5, 1.0))


def _back(errors: list[float], i: int) -> float:
    return median(errors[max(0, i - 2) : i + 1])


def _with(
    *,
    value: Callable[[list[float], int], float] = _back,
    better: Callable[[float, float], bool] = lambda new, old: new < old,
    patience: Callable[[int, int, int, float], float] = lambda i, b, least, share: max(
        least, share * (b + 1)
    ),
    over: Callable[[float, float], bool] = lambda waited, patience: waited >= patience,
    result: Callable[[int, int, list[float]], Any] = lambda i, b, errors: (i, b),
    empty: bool = True,
) -> Answer:
    """The rule with one thing changed."""

    def answer(errors: list[float], least: int, share: float) -> Any:
        if not errors and empty:
            raise ValueError("no errors")
        best, held = 0, float("inf")
        for i in range(len(errors)):
            now = value(errors, i)
            if i == 0 or better(now, held):
                best, held = i, now
            if over(i - best, patience(i, best, least, share)):
                return result(i, best, errors)
        return result(len(errors) - 1, best, errors)

    return answer


for name, misconception, answer in (
    (
        "not_smoothed",
        "You do not smooth: one lucky check decides.",
        _with(value=lambda errors, i: errors[i]),
    ),
    (
        "mean_of_three",
        "You take the mean of three; one outlier moves it, the median does not.",
        _with(value=lambda e, i: sum(e[max(0, i - 2) : i + 1]) / len(e[max(0, i - 2) : i + 1])),
    ),
    (
        "looks_ahead",
        "You smooth with the check that comes after; during the training it is not known yet.",
        _with(value=lambda errors, i: median(errors[max(0, i - 1) : i + 2])),
    ),
    (
        "two_instead_of_three",
        "You smooth over two checks; three are meant.",
        _with(value=lambda errors, i: median(errors[max(0, i - 1) : i + 1])),
    ),
    (
        "first_two_padded",
        "You fill the missing checks at the beginning with the first one; take the median of what there is.",
        _with(value=lambda errors, i: median([errors[max(0, k)] for k in (i - 2, i - 1, i)])),
    ),
    (
        "latest_of_equal_ones",
        "Of equal values you take the latest; the earliest counts, or a flat curve never ends.",
        _with(better=lambda new, old: new <= old),
    ),
    (
        "largest",
        "You look for the largest value; these are errors.",
        _with(better=lambda new, old: new > old),
    ),
    (
        "fixed_patience",
        "You wait for `least` checks only; the patience grows with the best check.",
        _with(patience=lambda i, b, least, share: least),
    ),
    (
        "share_only",
        "You leave out `least`: early in the training the patience would be a single check.",
        _with(patience=lambda i, b, least, share: share * (b + 1)),
    ),
    (
        "smaller_patience",
        "You take the smaller of the two patiences; the larger one counts.",
        _with(patience=lambda i, b, least, share: min(least, share * (b + 1))),
    ),
    (
        "sum_of_patiences",
        "You add the two patiences; the larger one counts.",
        _with(patience=lambda i, b, least, share: least + share * (b + 1)),
    ),
    (
        "share_of_now",
        "You take the share of the present check; it is a share of the best one.",
        _with(patience=lambda i, b, least, share: max(least, share * (i + 1))),
    ),
    (
        "b_without_one",
        "You take the share of b; check b is the (b + 1)-th.",
        _with(patience=lambda i, b, least, share: max(least, share * b)),
    ),
    (
        "one_check_too_late",
        "You stop when the wait is *longer* than the patience; as long is enough.",
        _with(over=lambda waited, patience: waited > patience),
    ),
    (
        "last_weights_kept",
        "You keep the weights of the stop; those of the best check are better.",
        _with(result=lambda i, b, errors: (i, i)),
    ),
    (
        "hindsight",
        "You return the best check of the whole list; the rule knows only what came before the stop.",
        _with(result=lambda i, b, e: (i, min(range(len(e)), key=lambda k: (_back(e, k), k)) if e else 0)),
    ),
    (
        "raw_best",
        "You keep the check with the smallest error of its own; the smoothed value counts.",
        _with(result=lambda i, b, errors: (i, errors.index(min(errors[: i + 1])) if errors else 0)),
    ),
    (
        "best_first",
        "You return the best check first; the stop comes first.",
        _with(result=lambda i, b, errors: (b, i)),
    ),
    (
        "number_of_checks",
        "You return how many checks were made; its number is one less, since they are counted from 0.",
        _with(result=lambda i, b, errors: (i + 1, b)),
    ),
    (
        "empty_accepted",
        "You return something where there is no error; a `ValueError` was asked for.",
        _with(empty=False),
    ),
    (
        "returned_nothing",
        "You find both and return nothing: a `return` is missing.",
        _with(result=lambda i, b, errors: None),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "rises_counted",
    "You count rises in a row; a noisy curve falls a little now and then, so the count never gets far.",
)
def _(errors: list[float], least: int, share: float) -> Any:
    if not errors:
        raise ValueError("no errors")
    best, held, rises, before = 0, float("inf"), 0, float("inf")
    for i in range(len(errors)):
        now = _back(errors, i)
        if now < held:
            best, held = i, now
        rises = rises + 1 if now > before else 0
        before = now
        if rises >= max(least, share * (best + 1)):
            return i, best
    return len(errors) - 1, best


ex.right(_with())


@ex.right
def _(errors: list[float], least: int, share: float) -> tuple[int, int]:
    """With a sorted window, and the smallest value so far looked up each time."""
    values: list[float] = []
    for i in range(len(errors)):
        window = sorted(errors[max(0, i - 2) : i + 1])
        values.append((window[(len(window) - 1) // 2] + window[len(window) // 2]) / 2)
        best = values.index(min(values))
        waited = i - best
        if waited >= least and waited >= share * (best + 1):
            return i, best
    if not errors:
        raise ValueError("an error is needed")
    return i, best


@ex.right
def _(errors: list[float], least: int, share: float) -> tuple[int, int]:
    """First all values, then the first check that fits."""
    import numpy as np

    if len(errors) == 0:
        raise ValueError("no checks")
    values = [float(np.median(errors[max(0, i - 2) : i + 1])) for i in range(len(errors))]
    bests = [int(np.argmin(values[: i + 1])) for i in range(len(errors))]
    stops = [i for i, b in enumerate(bests) if i - b >= max(least, share * (b + 1))]
    i = min([*stops, len(errors) - 1])
    return i, bests[i]


@ex.right
def _(errors: list[float], least: int, share: float) -> tuple[int, int]:
    """With a deadline that moves."""
    if not errors:
        raise ValueError("no errors")
    held, best, deadline, i = float("inf"), 0, float("inf"), 0
    recent: list[float] = []
    for i, error in enumerate(errors):
        recent = [*recent, error][-3:]
        value = median(recent)
        if value < held:
            held, best = value, i
            deadline = best + max(float(least), share * (best + 1))
        if i >= deadline:
            break
    return i, best


ex.background("`errors` are the validation errors", "So a training that needed long")
ex.breach("Decide as one would during the training", "looks_ahead")
ex.breach("Smooth first:", "not_smoothed")
ex.breach("the value of a check is the median", "mean_of_three")
ex.breach("The first two checks have fewer", "first_two_padded")
ex.breach("The best check so far, b,", "latest_of_equal_ones")
ex.breach("Stop at the first check i with", "hindsight")
ex.breach("$$i - b", "one_check_too_late")
ex.breach("Return `(i, b)`", "last_weights_kept")
ex.breach("If it never stops", "number_of_checks")
ex.breach("Without any error raise", "empty_accepted")
