"""Lesson 14: choose a method for a brief, from a table of measured numbers."""

from collections.abc import Mapping
from typing import Any

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Rows = Mapping[str, Mapping[str, float]]

ex = Exercise(
    id="choose_method",
    lesson="14",
    title="Choose for a brief",
    difficulty=3,
    minutes=15,
    spec=r"""
    `rows` is a table that was measured, `{method: {quantity: value}}`. A brief has three parts. `needs` are
    limits, `{quantity: (low, high)}`: both ends are allowed, and every limit must be kept. `goal` is the
    quantity that should be small, for example an error. `margin` is a difference of the goal that does not
    count, because the measurement cannot tell it from chance, or nobody would notice it.

    Return the name of a method. Of the methods that keep all limits, find the smallest goal. Among those
    whose goal is at most `margin` above it, take the one with the smallest `"ms"` (time per image): what is
    equally good should be cheap. A method for which a needed quantity, the goal or `"ms"` was not measured is
    not chosen. If no method is left, return `None`. No two methods have the same time.
    """,
    hints=(
        "Three steps: who may take part, what is the best goal among them, who is near it and fastest.",
        "`fit = [m for m, row in rows.items() if all(q in row and low <= row[q] <= high "
        'for q, (low, high) in needs.items()) and goal in row and "ms" in row]`.',
        "`best = min(rows[m][goal] for m in fit)`; then "
        '`min((m for m in fit if rows[m][goal] <= best + margin), key=lambda m: rows[m]["ms"])`.',
    ),
    source="Breiman et al. 1984 (the one-standard-error rule: the simplest of those that are as good as the "
    "best).",
)


@ex.reference
def choose_method(
    rows: Mapping[str, Mapping[str, float]],
    needs: Mapping[str, tuple[float, float]],
    goal: str,
    margin: float,
) -> str | None:
    """Table {method: {quantity: value}}, limits, quantity to be small, margin -> a method, or None."""
    fit = []
    for method, row in rows.items():
        if goal not in row or "ms" not in row:
            continue
        if all(q in row and low <= row[q] <= high for q, (low, high) in needs.items()):
            fit.append(method)
    if not fit:
        return None
    best = min(rows[method][goal] for method in fit)
    near = [method for method in fit if rows[method][goal] <= best + margin]
    return min(near, key=lambda method: rows[method]["ms"])


INF = float("inf")
TABLE: Rows = {
    "L1": {"ms": 1.0, "error": 0.25, "spread": 0.0, "pairs": 2000.0},
    "GAN": {"ms": 1.25, "error": 0.3125, "spread": 0.5, "pairs": 2000.0},
    "diffusion": {"ms": 20.0, "error": 0.1875, "spread": 1.0, "pairs": 2000.0},
    "diffusion, 4 steps": {"ms": 4.0, "error": 0.21875, "spread": 0.875, "pairs": 2000.0},
    "transformer": {"ms": 3.0, "error": 0.5, "pairs": 2000.0},
}


@ex.edges
def _() -> list[Args]:
    lacking: Rows = {"a": {"ms": 1.0}, "b": {"error": 0.1}, "c": {"ms": 9.0, "error": 0.5}}
    return [
        (TABLE, {}, "error", 0.0),
        (TABLE, {}, "error", 0.03125),
        (TABLE, {}, "error", 0.0625),
        (TABLE, {}, "error", 1.0),
        (TABLE, {"ms": (0.0, 5.0)}, "error", 0.0),
        (TABLE, {"ms": (0.0, 4.0)}, "error", 0.0),
        (TABLE, {"ms": (0.0, 3.0)}, "error", 0.0),
        (TABLE, {"ms": (0.0, 0.5)}, "error", 0.0),
        (TABLE, {"spread": (0.5, 2.0)}, "error", 0.125),
        (TABLE, {"spread": (0.5, 2.0)}, "ms", 0.0),
        (TABLE, {"spread": (0.875, 1.0), "ms": (0.0, 10.0)}, "error", 0.5),
        (TABLE, {"spread": (0.9, 1.5), "ms": (0.0, 10.0)}, "error", 0.5),
        (TABLE, {"spread": (0.6, INF), "ms": (4.0, INF)}, "error", 0.1),
        (TABLE, {"colour": (0.0, 1.0)}, "error", 0.0),
        (TABLE, {}, "colour", 0.0),
        (TABLE, {"spread": (-1.0, 0.0)}, "error", 0.0),
        (lacking, {}, "error", 0.0),
        ({}, {}, "error", 0.0),
        ({"only": {"ms": 2.0, "error": 0.0}}, {"error": (0.0, 0.0)}, "error", 0.0),
        ({"x": {"ms": 2.0, "error": -1.0}, "y": {"ms": 1.0, "error": 0.0}}, {}, "error", 0.5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    def draw() -> float:
        return case.integer(0, 64) / 64

    rows = {}
    for number in range(case.integer(2, 6)):
        row = {"error": draw(), "ms": 1 + number + draw() / 2, "spread": draw()}
        if case.integer(0, 5) == 0:
            del row[case.choice(("error", "ms", "spread"))]
        rows[f"method {case.integer(100, 999)}-{number}"] = row
    needs = {q: (0.0, 0.25 + draw()) for q in ("spread", "error") if case.integer(0, 1)}
    if case.integer(0, 1):
        needs["ms"] = (1.0, 3.0 + 4 * draw())
    return rows, needs, "error", case.choice((0.0, 0.125, 0.25))


def _with(
    *,
    within: Any = lambda value, low, high: low <= value <= high,
    every: Any = all,
    complete: Any = lambda row, goal: goal in row and "ms" in row,
    absent: bool = False,
    best: Any = min,
    near: Any = lambda value, best, margin: value <= best + margin,
    among: Any = lambda fit, rows: fit,
    last: Any = lambda chosen, rows, goal: min(chosen, key=lambda m: rows[m]["ms"]),
    nothing: Any = None,
) -> Answer:
    """The rule with one thing changed."""

    def answer(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> Any:
        fit = [
            m for m, row in rows.items()
            if complete(row, goal)
            and every([within(row[q], *ends) if q in row else absent for q, ends in needs.items()] or [True])
        ]  # fmt: skip
        if not fit:
            return nothing
        smallest = best(rows[m][goal] for m in among(fit, rows))
        chosen = [m for m in fit if near(rows[m][goal], smallest, margin)]
        return last(chosen, rows, goal) if chosen else nothing

    return answer


for name, misconception, answer in (
    (
        "any_limit",
        "You take a method that keeps any one limit; it must keep all of them.",
        _with(every=any),
    ),
    (
        "ends_refused",
        "You refuse a value that lies exactly at a limit; both ends are allowed.",
        _with(within=lambda value, low, high: low < value < high),
    ),
    (
        "upper_limit_only",
        "You look at the upper limit only; a brief may ask for at least so much.",
        _with(within=lambda value, low, high: value <= high),
    ),
    (
        "lower_limit_only",
        "You look at the lower limit only.",
        _with(within=lambda value, low, high: low <= value),
    ),
    (
        "limits_forgotten",
        "You do not look at the limits.",
        _with(within=lambda value, low, high: True),
    ),
    (
        "missing_is_kept",
        "You take a method for which a needed quantity was not measured.",
        _with(absent=True),
    ),
    (
        "margin_forgotten",
        "You take the smallest goal; among those within the margin the fastest is wanted.",
        _with(near=lambda value, best, margin: value <= best),
    ),
    (
        "margin_is_a_factor",
        "You take the margin for a share of the best goal; it is a difference.",
        _with(near=lambda value, best, margin: value <= best * (1 + margin)),
    ),
    (
        "margin_excluded",
        "You leave out a method that is exactly `margin` above the best; it is near enough.",
        _with(near=lambda value, best, margin: value < best + margin or value == best),
    ),
    (
        "largest_goal",
        "You look for the largest goal; it should be small.",
        _with(best=max, near=lambda value, best, margin: value >= best - margin),
    ),
    (
        "slowest",
        "You take the slowest of those that are equally good.",
        _with(last=lambda chosen, rows, goal: max(chosen, key=lambda m: rows[m]["ms"])),
    ),
    (
        "all_of_them",
        "You return a list of methods; one name was asked for.",
        _with(last=lambda chosen, rows, goal: chosen),
    ),
    (
        "time_returned",
        "You return the time of the method; its name was asked for.",
        _with(last=lambda chosen, rows, goal: min(rows[m]["ms"] for m in chosen)),
    ),
    (
        "empty_text",
        "You return an empty text where no method is left; `None` was asked for.",
        _with(nothing=""),
    ),
    ("returned_nothing", "You find a method and return nothing: a `return` is missing.",
     _with(last=lambda chosen, rows, goal: None)),
):  # fmt: skip
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "best_of_all",
    "You compare with the best goal of the whole table, also of methods that break a limit.",
)
def _(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> Any:
    every = [row[goal] for row in rows.values() if goal in row and "ms" in row]
    return _with(best=lambda _: min(every))(rows, needs, goal, margin)


@ex.wrong(
    "error_without_a_method",
    "You raise an error where no method is left; `None` was asked for.",
)
def _(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> Any:
    found = _with()(rows, needs, goal, margin)
    if found is None:
        raise ValueError("no method")
    return found


ex.right(_with())


@ex.right
def _(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> str | None:
    def keeps(row: Mapping[str, float]) -> bool:
        limits = {**needs, goal: needs.get(goal, (-INF, INF)), "ms": needs.get("ms", (-INF, INF))}
        return all(low <= row.get(q, float("nan")) <= high for q, (low, high) in limits.items())

    fit = {method: row for method, row in rows.items() if keeps(row)}
    floor = min((row[goal] for row in fit.values()), default=INF)
    fast = sorted((row["ms"], method) for method, row in fit.items() if row[goal] - floor <= margin)
    return fast[0][1] if fast else None


@ex.right
def _(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> str | None:
    left = dict(rows)
    for quantity in (*needs, goal, "ms"):
        left = {method: row for method, row in left.items() if quantity in row}
    for quantity, (low, high) in needs.items():
        left = {
            method: row for method, row in left.items() if not (row[quantity] < low or row[quantity] > high)
        }
    chosen = None
    for method, row in left.items():
        beaten = any(row[goal] > other[goal] + margin for other in left.values())
        if not beaten and (chosen is None or row["ms"] < left[chosen]["ms"]):
            chosen = method
    return chosen


@ex.right
def _(rows: Rows, needs: Mapping[str, tuple[float, float]], goal: str, margin: float) -> str | None:
    try:
        asked = {m: [(row.get(q), *ends) for q, ends in needs.items()] for m, row in rows.items()}
        fit = [
            m for m in rows
            if None not in (rows[m].get(goal), rows[m].get("ms"))
            and all(v is not None and v >= low and v <= high for v, low, high in asked[m])
        ]  # fmt: skip
        best = sorted(rows[m][goal] for m in fit)[0]
    except IndexError:
        return None
    return min((rows[m]["ms"], m) for m in fit if rows[m][goal] <= best + margin)[1]


ex.background("A brief has three parts", "No two methods")
ex.breach("`rows` is a table that was measured", "time_returned")
ex.breach("both ends are allowed", "ends_refused")
ex.breach("and every limit must be kept", "any_limit")
ex.breach("`goal` is the quantity that should be small", "largest_goal")
ex.breach("`margin` is a difference of the goal", "margin_is_a_factor")
ex.breach("Return the name of a method", "all_of_them")
ex.breach("Of the methods that keep all limits", "best_of_all")
ex.breach("Among those whose goal is at most `margin` above", "margin_excluded")
ex.breach('take the one with the smallest `"ms"`', "margin_forgotten")
ex.breach("A method for which a needed quantity", "missing_is_kept")
ex.breach("If no method is left, return `None`", "error_without_a_method")
