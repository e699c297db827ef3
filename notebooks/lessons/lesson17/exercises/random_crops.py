"""Lesson 17: random crops of pairs, with a slip that takes the two images of a pair from different places."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt

Pair = tuple[Tensor, Tensor]

ex = BugHunt(
    id="random_crops",
    lesson="17",
    title="A random piece of every pair",
    difficulty=2,
    minutes=8,
    spec=r"""
    Few pairs go further if the network sees another piece of them in every step. Cut a square of `side`
    pixels out of every pair. `given` and `wanted` are `(B, C, H, W)`, and the results `(B, C, side,
    side)` are a pair again, so both show the same place. The place is another one for each pair. Any
    place is allowed at which the square fits, also the last ones at the lower and right edge. Draw all
    rows first, with one `randint` of `generator`, then all columns with another one. The code below runs,
    and every piece is a fine picture. It has one slip. Find it and mend it.
    """,
    hints=(
        "Put the same tensor in for `given` and `wanted`. What comes out should be twice the same.",
        "How often is `randint` called when both batches are cut?",
        "Draw `tops` and `lefts` once, before `cut`, from `given.shape`, and let `cut` use them for both.",
    ),
    slip="`cut` drew its places itself. It was called twice, so input and target of a pair came from "
    "different places, and the network could learn nothing but blur.",
    slip_code="torch.randint(height - side + 1, (len(images),), generator=generator)",
    source="He et al. 2016 (random crops); the joint transforms of torchvision exist because of this slip.",
    equivalent={
        ".tolist()` -> ": "a slice takes tensors of one number as well",
        "value.detach()": "neither images nor places carry a graph here",
        "strict=True)` ->": "all lists are of equal length",
        "`True` -> `False`": "all lists are of equal length",
    },
)


@ex.reference
def random_crops(
    given: Tensor, wanted: Tensor, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pairs (B, C, H, W) twice, side of the square, generator -> (B, C, side, side) twice."""
    count, _, height, width = given.shape
    tops = torch.randint(height - side + 1, (count,), generator=generator).tolist()
    lefts = torch.randint(width - side + 1, (count,), generator=generator).tolist()

    def cut(images: Tensor) -> Tensor:
        places = zip(images, tops, lefts, strict=True)
        return torch.stack([one[:, top : top + side, left : left + side] for one, top, left in places])

    return cut(given), cut(wanted)


@ex.bug
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pairs (B, C, H, W) twice, side of the square, generator -> (B, C, side, side) twice."""

    def cut(images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        tops = torch.randint(height - side + 1, (len(images),), generator=generator).tolist()
        lefts = torch.randint(width - side + 1, (len(images),), generator=generator).tolist()
        places = zip(images, tops, lefts, strict=True)
        return torch.stack([one[:, top : top + side, left : left + side] for one, top, left in places])

    return cut(given), cut(wanted)


@ex.symptom
def _(answer: Answer) -> str:
    rows = torch.arange(40.0)[:, None].expand(1, 1, 40, 40)
    given, wanted = answer(rows, rows, 8, torch.Generator().manual_seed(1))
    return (
        "each pixel of a picture holds the number of its row, and the picture is its own target. The "
        f"piece of the input begins in row {given[0, 0, 0, 0]:.0f}, that of the target in "
        f"{wanted[0, 0, 0, 0]:.0f}."
    )


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _images(count: int, height: int, width: int, channels: int = 3) -> Pair:
    """Every number of a batch is another one."""
    numbers = torch.arange(float(count * channels * height * width)).view(count, channels, height, width)
    return numbers, -2 * numbers - 1


@ex.edges
def _() -> list[Args]:
    turned, other = _images(4, 9, 6)
    return [
        (*_images(3, 7, 9), 4, _seeded(0)),
        (*_images(6, 5, 5), 4, _seeded(1)),
        (*_images(8, 4, 6), 4, _seeded(2)),  # one row of places
        (*_images(2, 5, 5), 5, _seeded(3)),  # one place
        (*_images(1, 12, 8), 3, _seeded(4)),
        (turned.mT, other.mT, 4, _seeded(5)),  # not contiguous
        (_images(3, 6, 8)[0], _images(3, 6, 8, 1)[1], 5, _seeded(6)),  # one channel against three
    ]


@ex.inputs
def _(case: Case) -> Args:
    side = case.integer(2, 5)
    shape = case.batch + 1, case.integer(1, 3), side + case.integer(0, 6), side + case.integer(1, 6)
    return case.randn(*shape), case.randn(*shape), side, _seeded(case.seed)


def _draws(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    height, width = images.shape[-2:]
    tops = torch.randint(height - side + 1, (len(images),), generator=generator).tolist()
    return tops, torch.randint(width - side + 1, (len(images),), generator=generator).tolist()


def _pieces(images: Tensor, side: int, tops: list[int], lefts: list[int]) -> Tensor:
    return torch.stack(
        [one[:, t : t + side, u : u + side] for one, t, u in zip(images, tops, lefts, strict=True)]
    )


def _with(
    *,
    draws: Callable[..., tuple[list[int], list[int]]] = _draws,
    wanted_at: Callable[[list[int], list[int]], tuple[list[int], list[int]]] = lambda t, u: (t, u),
    result: Callable[[Tensor, Tensor], Any] = lambda x, y: (x, y),
) -> Answer:
    """The mended function with one thing changed."""

    def answer(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Any:
        tops, lefts = draws(given, side, generator)
        return result(_pieces(given, side, tops, lefts), _pieces(wanted, side, *wanted_at(tops, lefts)))

    return answer


def _bounded(last: int) -> Callable[..., tuple[list[int], list[int]]]:
    """Draws that leave out the last place."""

    def draws(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
        (height, width), count = images.shape[-2:], len(images)
        highest = (max(1, length - side + last) for length in (height, width))
        tops, lefts = (torch.randint(high, (count,), generator=generator).tolist() for high in highest)
        return tops, lefts

    return draws


def _columns_first(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    height, width = images.shape[-2:]
    lefts = torch.randint(width - side + 1, (len(images),), generator=generator).tolist()
    return torch.randint(height - side + 1, (len(images),), generator=generator).tolist(), lefts


def _one_for_all(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    tops, lefts = _draws(images[:1], side, generator)
    return tops * len(images), lefts * len(images)


def _global(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    return _draws(images, side, torch.default_generator)


def _pair_by_pair(images: Tensor, side: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    places = [_draws(one[None], side, generator) for one in images]
    return [top for (top,), _ in places], [left for _, (left,) in places]


for name, misconception, answer in (
    (
        "one_place_for_all",
        "You draw one place for the whole batch; each pair is to have its own.",
        _with(draws=_one_for_all),
    ),
    (
        "last_place_left_out",
        "You never cut at the lower or right edge: `randint(n)` gives numbers below n, so n is one more than "
        "the last place.",
        _with(draws=_bounded(0)),
    ),
    (
        "columns_drawn_first",
        "You draw the columns first; rows come first.",
        _with(draws=_columns_first),
    ),
    (
        "pair_by_pair",
        "You draw row and column pair by pair; all rows are drawn first, then all columns.",
        _with(draws=_pair_by_pair),
    ),
    (
        "rows_for_columns",
        "You use the rows as columns of the target, and the columns as its rows.",
        _with(wanted_at=lambda tops, lefts: (lefts, tops)),
    ),
    (
        "only_rows_shared",
        "Input and target share their rows but not their columns.",
        _with(wanted_at=lambda tops, lefts: (tops, lefts[::-1])),
    ),
    (
        "target_in_the_corner",
        "You cut the target at its upper left corner; it is to show the place of the input.",
        _with(wanted_at=lambda tops, lefts: ([0] * len(tops), [0] * len(lefts))),
    ),
    (
        "global_random",
        "You draw without `generator`: nobody could repeat your training.",
        _with(draws=_global),
    ),
    (
        "input_twice",
        "You return the piece of the input twice.",
        _with(result=lambda x, y: (x, x)),
    ),
    (
        "swapped",
        "You return the target first; the input comes first.",
        _with(result=lambda x, y: (y, x)),
    ),
    (
        "returned_nothing",
        "You compute the result and return nothing: a `return` is missing.",
        _with(result=lambda x, y: None),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong(
    "still_two_places",
    "Input and target are still cut at places of their own; draw once, and use the places for both.",
)
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Pair:
    first = _pieces(given, side, *_draws(given, side, generator))
    return first, _pieces(wanted, side, *_draws(wanted, side, generator))


@ex.wrong(
    "whole_target",
    "You cut the input only; its target shows the whole picture.",
)
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Pair:
    return _pieces(given, side, *_draws(given, side, generator)), wanted


ex.right(_with())


@ex.right
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Pair:
    """Both images of a pair are cut as one, along the channels."""
    both, channels = torch.cat([given, wanted], dim=1), given.shape[1]
    height, width = both.shape[-2:]
    tops = torch.randint(height - side + 1, (len(both),), generator=generator)
    lefts = torch.randint(width - side + 1, (len(both),), generator=generator)
    made = torch.stack(
        [one[:, t : t + side, u : u + side] for one, t, u in zip(both, tops, lefts, strict=True)]
    )
    return made[:, :channels], made[:, channels:]


@ex.right
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Pair:
    """The generator is set back before the second batch."""
    state = generator.get_state()

    def cut(images: Tensor) -> Tensor:
        generator.set_state(state)
        height, width = images.shape[-2:]
        tops = torch.randint(height - side + 1, (len(images),), generator=generator).tolist()
        lefts = torch.randint(width - side + 1, (len(images),), generator=generator).tolist()
        pieces = []
        for one, top, left in zip(images, tops, lefts, strict=True):
            pieces.append(one[:, top : top + side, left : left + side])
        return torch.stack(pieces)

    return cut(given), cut(wanted)


@ex.right
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Pair:
    """With indices."""
    count, height, width = len(given), given.shape[2], given.shape[3]
    tops = torch.randint(height - side + 1, (count,), generator=generator)
    lefts = torch.randint(width - side + 1, (count,), generator=generator)
    place = torch.arange(side)
    which = torch.arange(count)[:, None, None]
    rows, columns = (tops[:, None] + place)[:, :, None], (lefts[:, None] + place)[:, None]
    made = [images[which, :, rows, columns].permute(0, 3, 1, 2) for images in (given, wanted)]
    return made[0], made[1]


@ex.right
def _(given: Tensor, wanted: Tensor, side: int, generator: torch.Generator) -> Any:
    """With windows."""
    rows, columns = (length - side + 1 for length in given.shape[-2:])
    tops = torch.randint(0, rows, size=(len(given),), generator=generator)
    lefts = torch.randint(0, columns, size=(len(given),), generator=generator)
    which = torch.arange(len(given))
    pieces = []
    for images in (given, wanted):
        windows = images.unfold(2, side, 1).unfold(3, side, 1)
        pieces.append(windows[which, :, tops, lefts].clone())
    return tuple(pieces)


ex.background("Few pairs go further", "The code below runs", "It has one slip", "Find it and mend it")
ex.breach("Cut a square of `side` pixels", "whole_target")
ex.breach("so both show the same place", "still_two_places")
ex.breach("The place is another one for each pair", "one_place_for_all")
ex.breach("Any place is allowed at which", "last_place_left_out")
ex.breach("Draw all rows first", "columns_drawn_first")
