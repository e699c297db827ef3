"""Lesson 08: how large an image may be before its attention map does not fit."""

import math

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="largest_side",
    lesson="08",
    title="The price of looking everywhere",
    difficulty=2,
    minutes=8,
    spec="""
    Plain attention over a square map of `side` x `side` places stores, for every image of the batch, a
    weight for every pair of places, `copies` times (training keeps the products and the softmax: 2). Return
    the largest `side` whose maps fit into `budget` bytes; filling the budget exactly is allowed. Count in
    whole numbers, so that no rounding can lose a pixel.
    """,
    hints=(
        "side 256 is 65,536 places, and 65,536 squared weights: side to the power of 4.",
        "How many weights may one map have? `budget // (batch * copies * bytes_each)`.",
        "The whole fourth root is `math.isqrt(math.isqrt(weights))`.",
    ),
    source="Counting; 256 x 256 in float32 is 65,536^2 x 4 B = 16 GiB for one map of one image.",
)


@ex.reference
def largest_side(budget: int, batch: int, copies: int, bytes_each: int) -> int:
    """Bytes to spend (>= 0), images, maps kept per image, bytes per weight (all >= 1) -> side in pixels."""
    weights = budget // (batch * copies * bytes_each)
    return math.isqrt(math.isqrt(weights))


GIB = 2**30


@ex.edges
def _() -> list[Args]:
    return [
        *((16 * GIB, 1, 1, 4), (16 * GIB - 1, 1, 1, 4), (16 * GIB, 1, 2, 4), (16 * GIB, 1, 1, 2)),
        *(
            (80 * GIB, 4, 2, 2),
            (0, 1, 1, 4),
            (3, 1, 1, 4),
            (4, 1, 1, 4),
            (4 * 81, 1, 1, 4),
            (4 * 81, 2, 1, 4),
        ),
        *((6 * 256 - 1, 1, 3, 2), (6 * 256, 1, 3, 2), (10**24, 1, 1, 1), (10**24 - 1, 1, 1, 1)),
        *((3 * 10**24, 3, 1, 1), (6 * 7**24 - 1, 1, 2, 3), (12 * 3**40, 2, 3, 2), (2**400, 1, 1, 1)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    batch, copies, each = case.integer(1, 8), case.integer(1, 3), case.choice((2, 4, 8))
    side = case.integer(2, 300)
    return side**4 * batch * copies * each + case.integer(-3, 3) * case.integer(0, 1), batch, copies, each


def _root(weights: int) -> int:
    return math.isqrt(math.isqrt(weights))


ex.wrong(
    "side_for_places",
    "You take the side for the number of places: the map of n x n places has n^4 weights, not n^2.",
    lambda budget, batch, copies, each: math.isqrt(budget // (batch * copies * each)),
)
ex.wrong(
    "places",
    "You return the number of places; the side is its square root.",
    lambda budget, batch, copies, each: _root(budget // (batch * copies * each)) ** 2,
)
ex.wrong(
    "batch_forgotten",
    "You forget the batch: every image has a map of its own.",
    lambda budget, batch, copies, each: _root(budget // (copies * each)),
)
ex.wrong(
    "copies_forgotten",
    "You forget that more than one copy of a map is kept.",
    lambda budget, batch, copies, each: _root(budget // (batch * each)),
)
ex.wrong(
    "bytes_forgotten",
    "You count weights instead of bytes.",
    lambda budget, batch, copies, each: _root(budget // (batch * copies)),
)
ex.wrong(
    "bits",
    "You take `bytes_each` for bits.",
    lambda budget, batch, copies, each: _root(8 * budget // (batch * copies * each)),
)
ex.wrong(
    "pixels_only",
    "You count one number per place; attention keeps one per *pair* of places.",
    lambda budget, batch, copies, each: math.isqrt(budget // (batch * copies * each)) ** 2,
)
ex.wrong(
    "must_be_smaller",
    "You ask for less than the budget; filling it exactly is allowed.",
    lambda budget, batch, copies, each: _root(max(0, budget - 1) // (batch * copies * each)),
)
ex.wrong(
    "rounded",
    "You round the root to the nearest whole number: rounded up, the map does not fit.",
    lambda budget, batch, copies, each: round((budget / (batch * copies * each)) ** 0.25),
)
ex.wrong(
    "power_of_two",
    "You round down to a power of two; any side was allowed.",
    lambda budget, batch, copies, each: (
        2 ** (_root(budget // (batch * copies * each)).bit_length() - 1)
        if budget >= batch * copies * each
        else 0
    ),
)
ex.wrong(
    "cube",
    "You take the third root: pairs of places of a square are side to the power of 4.",
    lambda budget, batch, copies, each: next(
        n
        for n in _cubes(budget // (batch * copies * each))
        if (n + 1) ** 3 > budget // (batch * copies * each)
    ),
)


def _cubes(weights: int) -> range:
    start = max(0, int(weights ** (1 / 3)) - 2)
    return range(start, start + 6)


ex.wrong(
    "float_root",
    "You take the fourth root of a float: for large budgets it is rounded, and a pixel is lost or won.",
    lambda budget, batch, copies, each: int((budget / (batch * copies * each)) ** 0.25),
)
ex.wrong(
    "float_division",
    "You divide with `/`: a large quotient is rounded, and a pixel is lost or won.",
    lambda budget, batch, copies, each: _root(int(budget / (batch * copies * each))),
)
ex.wrong(
    "one_too_many",
    "You return the first side that does not fit any more; the one before is the largest that does.",
    lambda budget, batch, copies, each: _root(budget // (batch * copies * each)) + 1,
)
ex.wrong(
    "batch_and_copies_forgotten",
    "You leave out the batch and the copies: every image keeps that many maps.",
    lambda budget, batch, copies, each: _root(budget // each),
)
ex.wrong(
    "multiplied",
    "You multiply the budget by images, copies and bytes; each of them makes a side smaller.",
    lambda budget, batch, copies, each: _root(budget * batch * copies * each),
)
ex.wrong(
    "float_returned",
    "You return a float; a side is a whole number of pixels.",
    lambda budget, batch, copies, each: float(_root(budget // (batch * copies * each))),
)


@ex.right
def _(budget: int, batch: int, copies: int, bytes_each: int) -> int:
    low, high = 0, 1
    while batch * copies * bytes_each * high**4 <= budget:
        high *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if batch * copies * bytes_each * middle**4 <= budget:
            low = middle
        else:
            high = middle
    return low


@ex.right
def _(budget: int, batch: int, copies: int, bytes_each: int) -> int:
    side = round((budget / (batch * copies * bytes_each)) ** 0.25) + 1  # a guess, then exactly
    while side**4 * batch * copies * bytes_each > budget:
        side -= 1
    return side


@ex.right
def _(budget: int, batch: int, copies: int, bytes_each: int) -> int:
    places = math.isqrt(budget // batch // copies // bytes_each)
    return math.isqrt(places)


@ex.right
def _(budget: int, batch: int, copies: int, bytes_each: int) -> int:
    # Newton's method for the fourth root, in whole numbers and from above
    weights = budget // (bytes_each * copies * batch)
    if weights == 0:
        return 0
    side = 1 << (weights.bit_length() + 3) // 4
    while True:
        better = (3 * side + weights // side**3) // 4
        if better >= side:
            return side
        side = better


ex.breach("Plain attention over a square map", "copies_forgotten")
ex.breach("Plain attention over a square map", "side_for_places")
ex.breach("Return the largest `side` whose maps fit into `budget` bytes", "one_too_many")
ex.breach("filling the budget exactly is allowed", "must_be_smaller")
ex.breach("Count in whole numbers", "float_root")
