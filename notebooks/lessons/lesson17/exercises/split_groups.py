"""Lesson 17: pairs dealt to three parts, whole groups at a time."""

import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Split = tuple[list[int], list[int], list[int]]

ex = Exercise(
    id="split_groups",
    lesson="17",
    title="Split whole groups",
    difficulty=2,
    minutes=12,
    spec=r"""
    Deal the pairs called `names` to three parts, so that what belongs together stays together. `pattern` is a
    regular expression with one pair of brackets, and the group of a name is what `re.search(pattern, name)`
    finds in the brackets. With `house(\d+)` the names `house07_0` and `house07_1` are in one group. If the
    pattern is not found in a name, raise a `ValueError`.

    Put the G different groups into alphabetical order, and shuffle them with
    `torch.randperm(G, generator=generator)`. Of the shuffled groups the first k go to the test part, the next
    k to the validation part, and the others to the training part, where `k = max(1, round(share * G))`. If no
    group is left to train on, raise a `ValueError`, too. Return the places in `names`, from 0 on, as three
    lists of whole numbers, `(train, val, test)`, each in rising order.
    """,
    hints=(
        "First a list with the group of every name. `re.search` gives None where it finds nothing, else a "
        "match, whose `[1]` is what stood in the brackets.",
        "`known = sorted(set(groups))`, `order = torch.randperm(len(known), generator=generator).tolist()`, "
        "and `shuffled = [known[place] for place in order]`.",
        "`test = [i for i, group in enumerate(groups) if group in shuffled[:k]]`, and the same for the other "
        "two parts of `shuffled`.",
    ),
    source="Roberts et al. 2017, “Cross-validation strategies for data with temporal, spatial, hierarchical, "
    "or phylogenetic structure”; scikit-learn's GroupShuffleSplit.",
    equivalent={
        "-> `max(round(share * len(known)), 1)`": "the larger of two numbers, in either order",
        ".tolist()` -> ": "a list takes a tensor of one number as an index",
        "`1` -> `0.5`": "the numbers compared are whole",
        "`len(known)` -> `known`": "it stands in the text of the error",
    },
)


@ex.reference
def split_groups(
    names: list[str], pattern: str, share: float, generator: torch.Generator
) -> tuple[list[int], list[int], list[int]]:
    """N names, a pattern with one pair of brackets, share in (0, 0.5) -> places (train, val, test)."""
    groups = []
    for name in names:
        found = re.search(pattern, name)
        if found is None:
            raise ValueError(f"{name} does not fit the pattern {pattern}.")
        groups.append(found[1])
    known = sorted(set(groups))
    k = max(1, round(share * len(known)))
    if len(known) < 2 * k + 1:
        raise ValueError(f"{len(known)} groups are too few for three parts.")
    order = torch.randperm(len(known), generator=generator).tolist()
    shuffled = [known[place] for place in order]
    test = [i for i, group in enumerate(groups) if group in shuffled[:k]]
    val = [i for i, group in enumerate(groups) if group in shuffled[k : 2 * k]]
    train = [i for i, group in enumerate(groups) if group in shuffled[2 * k :]]
    return train, val, test


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


HOUSES = [f"house{h:02d}_{v}" for h in (4, 11, 7, 0, 9, 23, 5) for v in range(3)]
WAFERS = [f"lot{chr(120 - 3 * w)}/w{w % 3}_x{x}_y{y}" for x in range(2) for w in range(8) for y in range(2)]


@ex.edges
def _() -> list[Args]:
    return [
        (HOUSES, r"house(\d+)", 0.2, _seeded(0)),
        (HOUSES, r"house(\d+)", 0.25, _seeded(1)),  # 1.75 groups
        (HOUSES[::-1], r"house(\d+)", 0.05, _seeded(2)),  # less than one
        (WAFERS, r"(lot\w)/w\d_x\d", 0.2, _seeded(3)),
        (WAFERS, r"w(\d)_", 0.3, _seeded(4)),  # three groups
        (WAFERS, r"_x(\d)", 0.2, _seeded(5)),  # two groups
        (WAFERS, r"(lot\w)/w", 0.45, _seeded(6)),  # nothing left
        ([*HOUSES, "shed"], r"house(\d+)", 0.2, _seeded(7)),
        (HOUSES[::2] + HOUSES[1::2], r"use(\d+)_", 0.3, _seeded(8)),
        (HOUSES[:9], r"house(\d+)", 0.2, _seeded(9)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    many, each = case.integer(3, 9), case.integer(1, 4)
    tags = torch.randperm(80, generator=case.generator)[:many].tolist()
    names = [f"s{v}-patient{tag}-{v}.png" for tag in tags for v in range(each)]
    order = torch.randperm(len(names), generator=case.generator).tolist()
    share = case.choice((0.1, 0.2, 0.32))  # with .3 of 5 groups, rounding would decide
    return [names[i] for i in order], r"patient(\d+)-\d", share, _seeded(case.seed)


def _group(pattern: str, name: str) -> str:
    found = re.search(pattern, name)
    if found is None:
        raise ValueError(name)
    return str(found[1])


def _rows(groups: list[str], part: list[str]) -> list[int]:
    return [i for i, one in enumerate(groups) if one in part]


def _with(
    *,
    group: Callable[[str, str], str] = _group,
    order: Callable[[list[str]], list[str]] = lambda groups: sorted(set(groups)),
    drawn: Callable[[int, torch.Generator], list[int]] = lambda n, g: torch.randperm(n, generator=g).tolist(),
    count: Callable[[float, int, int], int] = lambda share, groups, names: max(1, round(share * groups)),
    few: bool = True,
    parts: Callable[[list[str], int], tuple[list[str], ...]] = lambda s, k: (s[2 * k :], s[k : 2 * k], s[:k]),
    rows: Callable[[list[str], list[str]], list[int]] = _rows,
    result: Callable[..., Any] = lambda names, train, val, test: (train, val, test),
) -> Answer:
    """The function with one thing changed."""

    def answer(names: list[str], pattern: str, share: float, generator: torch.Generator) -> Any:
        groups = [group(pattern, name) for name in names]
        known = order(groups)
        k = count(share, len(known), len(names))
        if few and len(known) <= 2 * k:
            raise ValueError("too few groups")
        shuffled = [known[place] for place in drawn(len(known), generator)]
        return result(names, *(rows(groups, part) for part in parts(shuffled, k)))

    return answer


def _whole(pattern: str, name: str) -> str:
    found = re.search(pattern, name)
    if found is None:
        raise ValueError(name)
    return found[0]


def _at_the_start(pattern: str, name: str) -> str:
    found = re.match(pattern, name)
    if found is None:
        raise ValueError(name)
    return str(found[1])


def _or_itself(pattern: str, name: str) -> str:
    found = re.search(pattern, name)
    return name if found is None else str(found[1])


for name, misconception, answer in (
    (
        "each_for_itself",
        "You deal every name for itself: pictures of one group end up in different parts.",
        _with(group=lambda pattern, name: _group(pattern, name) and name),
    ),
    (
        "whole_match",
        "You take the whole match for the group; it is what stands in the brackets.",
        _with(group=_whole),
    ),
    (
        "only_at_the_start",
        "You look for the pattern at the start of a name only (`re.match`); it may stand anywhere.",
        _with(group=_at_the_start),
    ),
    (
        "unfound_is_a_group",
        "You make a group of a name in which the pattern is not found; a `ValueError` was asked for.",
        _with(group=_or_itself),
    ),
    (
        "order_of_appearance",
        "You keep the groups in the order in which they come; they are to be sorted first, so that the split "
        "does not depend on the order of the names.",
        _with(order=lambda groups: list(dict.fromkeys(groups))),
    ),
    (
        "not_shuffled",
        "You do not shuffle the groups.",
        _with(drawn=lambda n, g: [int(i) for i in torch.randperm(n, generator=g).sort().values]),
    ),
    (
        "global_random",
        "You shuffle without `generator`: the split would be another one in every run.",
        _with(drawn=lambda n, g: torch.randperm(n).tolist()),
    ),
    (
        "share_of_names",
        "You take the share of the names; it is a share of the groups.",
        _with(count=lambda share, groups, names: max(1, round(share * names))),
    ),
    (
        "cut_down",
        "You cut the number of groups down; it is to be rounded.",
        _with(count=lambda share, groups, names: max(1, int(share * groups))),
    ),
    (
        "none_held_out",
        "You may hold out no group at all; at least one goes to each part.",
        _with(count=lambda share, groups, names: round(share * groups)),
    ),
    (
        "nothing_to_train_on",
        "You return a split without training pairs; a `ValueError` was asked for.",
        _with(few=False),
    ),
    (
        "training_first",
        "You give the first groups to the training part; the first k go to the test part.",
        _with(parts=lambda s, k: (s[: len(s) - 2 * k], s[len(s) - 2 * k : len(s) - k], s[len(s) - k :])),
    ),
    (
        "val_and_test_swapped",
        "You have validation and test the wrong way round: the first k groups go to the test part.",
        _with(parts=lambda s, k: (s[2 * k :], s[:k], s[k : 2 * k])),
    ),
    (
        "test_is_val",
        "You use the same groups for validation and test; what chooses a checkpoint must not judge it.",
        _with(parts=lambda s, k: (s[2 * k :], s[:k], s[:k])),
    ),
    (
        "group_by_group",
        "Your places come group by group; each list is to be in rising order.",
        _with(rows=lambda groups, part: [i for one in part for i, g in enumerate(groups) if g == one]),
    ),
    (
        "names_returned",
        "You return names; their places in `names` are wanted.",
        _with(result=lambda names, *three: tuple([names[i] for i in part] for part in three)),
    ),
    (
        "test_first",
        "You return the test part first; the order is train, val, test.",
        _with(result=lambda names, train, val, test: (test, val, train)),
    ),
    (
        "counted_from_one",
        "You count places from 1; they begin at 0.",
        _with(result=lambda names, *three: tuple([i + 1 for i in part] for part in three)),
    ),
    (
        "returned_nothing",
        "You compute the result and return nothing: a `return` is missing.",
        _with(result=lambda names, *three: None),
    ),
):
    ex.wrong(name, misconception, answer)

ex.right(_with())


@ex.right
def _(names: list[str], pattern: str, share: float, generator: torch.Generator) -> Split:
    """With the rows of every group."""
    rows: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        match = re.compile(pattern).search(name)
        if not match:
            raise ValueError(f"no group in {name}")
        rows[match.group(1)].append(i)
    known = sorted(rows)
    held = round(share * len(known)) or 1
    shuffled = [known[i] for i in torch.randperm(len(known), generator=generator)]
    if not shuffled[2 * held :]:
        raise ValueError("nothing to train on")

    def gathered(some: list[str]) -> list[int]:
        return sorted(i for one in some for i in rows[one])

    return gathered(shuffled[2 * held :]), gathered(shuffled[held : 2 * held]), gathered(shuffled[:held])


@ex.right
def _(names: list[str], pattern: str, share: float, generator: torch.Generator) -> Any:
    """With the rank of every group."""
    found = [re.search(pattern, name) for name in names]
    if not all(found):
        raise ValueError("the pattern does not fit")
    groups = [one.group(1) for one in found if one]
    known = sorted({*groups})
    k = max(round(len(known) * share), 1)
    ranks = torch.randperm(len(known), generator=generator).argsort()
    if len(known) - 2 * k < 1:
        raise ValueError("too few groups")
    rank = [int(ranks[known.index(one)]) // k for one in groups]
    test, val = ([i for i, r in enumerate(rank) if r == part] for part in (0, 1))
    return [i for i, r in enumerate(rank) if r > 1], val, test


@ex.right
def _(names: list[str], pattern: str, share: float, generator: torch.Generator) -> Any:
    """One name at a time."""
    try:
        groups = [re.findall(pattern, name)[0] for name in names]
    except IndexError:
        raise ValueError("a name has no group") from None
    known = list(set(groups))
    known.sort()
    k = int(max(1, round(share * len(known))))
    if len(known) <= 2 * k:
        raise ValueError("too few groups to train on")
    parts: tuple[list[int], ...] = ([], [], [])
    order = torch.randperm(len(known), generator=generator).tolist()
    for i, group in enumerate(groups):
        place = order.index(known.index(group))
        parts[2 if place < k else 1 if place < 2 * k else 0].append(i)
    return parts


ex.background(r"With `house(\d+)`")
ex.breach("Deal the pairs called `names`", "each_for_itself")
ex.breach("`pattern` is a regular expression", "whole_match")
ex.breach("`pattern` is a regular expression", "only_at_the_start")
ex.breach("If the pattern is not found in a name", "unfound_is_a_group")
ex.breach("Put the G different groups into alphabetical order", "order_of_appearance")
ex.breach("and shuffle them", "not_shuffled")
ex.breach("Of the shuffled groups the first k", "training_first")
ex.breach("where `k = max(1, round(share * G))`", "cut_down")
ex.breach("If no group is left to train on", "nothing_to_train_on")
ex.breach("Return the places in `names`", "names_returned")
ex.breach("each in rising order", "group_by_group")
