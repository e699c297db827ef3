"""Rank, then compare: the learner's order of several pictures beside the orders that metrics give.

    rank("10_six", "Which output would you rather ship?", six.outputs)
    ...
    compare("10_six", six.orders())     # every judge's order, and its rank correlation with the learner's

The order is kept with the predictions, in the learner's progress file.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gantrans.errors import ConfigError
from gantrans.teaching.learner import forms, progress
from gantrans.teaching.plots import Table

YOU = "you"
_asked: dict[str, tuple[str, ...]] = {}


def rank(name: str, question: str, items: Iterable[str]) -> None:
    """Ask for an order, best first. In a live front end a form stores it; elsewhere the question is text.

    Raises:
        ConfigError: for fewer than two items, or an item that occurs twice.
    """
    listed = tuple(items)
    if len(listed) < 2 or len(set(listed)) < len(listed):
        raise ConfigError(f"rank({name!r}) needs two or more different items; it was given {listed}.")
    _asked[name] = listed
    text = f"**Rank before you measure.** {question}\n\n*best to worst:* {' · '.join(listed)}"
    forms.ask(text, lambda: _controls(listed), lambda c: _submit(name, c), button="Store my ranking")


def store_ranking(name: str, order: Sequence[str]) -> None:
    """Keep an order, best first.

    Raises:
        ConfigError: nothing was asked under this name, or the order does not hold every item once.
    """
    if name not in _asked:
        raise ConfigError(f"Nothing was asked under {name!r}; run the cell with rank({name!r}, ...) first.")
    if sorted(order) != sorted(_asked[name]):
        raise ConfigError(
            f"A ranking holds each of {', '.join(_asked[name])} once; this one is {list(order)}."
        )
    progress.update("predictions", name, ranking=list(order))


def ranking(name: str) -> list[str] | None:
    """The learner's order, or None."""
    return progress.get("predictions", name).get("ranking")


def rank_correlation(first: Sequence[str], second: Sequence[str]) -> float:
    """Spearman's rank correlation of two orders of the same items: 1 equal, -1 reversed.

    Spearman 1904; without ties it is 1 - 6 sum d^2 / (n (n^2 - 1)).
    """
    if sorted(first) != sorted(second) or len(first) < 2:
        raise ConfigError(f"Two orders of the same two or more items are needed: {first} and {second}.")
    n = len(first)
    gaps = sum((i - list(second).index(item)) ** 2 for i, item in enumerate(first))
    return 1 - 6 * gaps / (n * (n * n - 1))


def compare(name: str, orders: Mapping[str, Sequence[str]], against: str = "domain") -> Table:
    """Every judge's order, with its rank correlation to `against` and, if there is one, to the learner's."""
    own = ranking(name)
    lines = {**({YOU: own} if own else {}), **orders}
    head = ["judge", "best to worst", f"rank correlation with {against}"]
    rows = [[k, " ".join(v), _signed(rank_correlation(v, orders[against]))] for k, v in lines.items()]
    if own:
        head.append("with you")
        rows = [
            [*row, _signed(rank_correlation(v, own))] for row, v in zip(rows, lines.values(), strict=True)
        ]
    caption = "Orders" if own else "Orders (yours is not here: no ranking was stored)"
    return Table(head, rows, caption)


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _controls(items: Sequence[str]) -> list[Any]:
    import ipywidgets as w

    words = ["best", *(f"place {k}" for k in range(2, len(items))), "worst"]
    return [w.Dropdown(options=["", *items], value="", description=word) for word in words]


def _submit(name: str, controls: Sequence[Any]) -> str:
    order = [control.value for control in controls]
    if sorted(order) != sorted(_asked[name]):
        return "Give every one a place, each once."
    store_ranking(name, order)
    return "Stored. Now measure."
