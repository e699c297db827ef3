"""Lesson 04: how many channels a level of the U-Net has."""

import math

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="channel_rule",
    lesson="04",
    title="The channel rule",
    difficulty=1,
    minutes=4,
    spec=r"""
    Every level of the encoder halves height and width and doubles the channels, so that the cost per level
    stays the same while the network can say more about each place. Doubling for ever would be too dear: from
    some level on the number stays at a cap. Level $k$ has $\min(\text{base} \cdot 2^k, \text{cap})$
    channels. Return a whole number.
    """,
    hints=(
        "Level 0 has `base` channels (unless even that is above the cap).",
        "Doubled k times means multiplied by 2 to the power of k: `2**level`.",
        "`min(a, b)` keeps the smaller of two numbers.",
    ),
    source="Table of the full preset: base 48, cap 256 gives 48, 96, 192, 256, 256.",
    equivalent={"-> `min(cap, ": "the smaller of two numbers, in either order"},
)


@ex.reference
def channel_rule(level: int, base: int, cap: int) -> int:
    """Channels of encoder level `level` (0 is the first): doubled per level, never above `cap`."""
    return min(base * 2**level, cap)


@ex.edges
def _() -> list[Args]:
    return [(level, 48, 256) for level in range(5)] + [
        (0, 64, 32),
        (0, 1, 1),
        (3, 32, 256),
        (4, 32, 256),
        (2, 5, 1000),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(0, 7), case.integer(1, 70), case.choice((1, 31, 64, 256, 300, 512, 10_000))


ex.wrong(
    "no_cap",
    "You double for ever: the cap is missing, and the deepest levels eat all memory.",
    lambda level, base, cap: base * 2**level,
)
ex.wrong(
    "linear",
    "You multiply by the level number: channels grow by steps of `base` instead of doubling.",
    lambda level, base, cap: min(base * (level + 1), cap),
)
ex.wrong(
    "one_ahead",
    "You double once too often: level 0 has `base` channels, not twice as many.",
    lambda level, base, cap: min(base * 2 ** (level + 1), cap),
)
ex.wrong(
    "larger_wins",
    "You take the larger of the two numbers; a cap keeps the smaller one.",
    lambda level, base, cap: max(base * 2**level, cap),
)
ex.wrong(
    "power_of_base",
    "You raise `base` itself to a power; it is the factor 2 that is repeated.",
    lambda level, base, cap: min(base ** (level + 1), cap),
)
ex.wrong(
    "float",
    "You return a float (2.0**k, or a division); a layer needs a whole number of channels.",
    lambda level, base, cap: float(min(base * 2.0**level, cap)),
)
ex.wrong(
    "cap_first",
    "You cap `base` before doubling it; the product can still exceed the cap.",
    lambda level, base, cap: min(base, cap) * 2**level,
)
ex.wrong(
    "xor",
    "You write `2 ^ level`: in Python `^` is the bitwise exclusive or; a power is `2**level`.",
    lambda level, base, cap: min(base * (2 ^ level), cap),
)


@ex.wrong(
    "stops_below",
    "You stop doubling before the cap is crossed; the rule goes up to the cap itself (192, then 256).",
)
def _(level: int, base: int, cap: int) -> int:
    channels = base
    for _ in range(level):
        if channels * 2 <= cap:
            channels *= 2
    return min(channels, cap)


ex.right(lambda level, base, cap: min(cap, base << level))
ex.right(lambda level, base, cap: base * 2**level if base * 2**level < cap else cap)
ex.right(lambda level, base, cap: sorted((base * pow(2, level), cap))[0])
ex.right(lambda level, base, cap: int(min(base * math.exp2(level), cap)))
ex.right(lambda level, base, cap: min(int(base * 2.0**level), cap))


@ex.right
def _(level: int, base: int, cap: int) -> int:
    channels = base
    for _ in range(level):
        channels = min(2 * channels, cap)
    return min(channels, cap)


@ex.right
def by_recursion(level: int, base: int, cap: int) -> int:
    return min(base, cap) if level == 0 else min(2 * by_recursion(level - 1, base, cap), cap)


@ex.right
def _(level: int, base: int, cap: int) -> int:
    channels = base
    while level > 0 and channels < cap:
        channels += channels
        level -= 1
    return channels if channels < cap else cap


ex.background("Every level of the encoder halves")
ex.breach("Doubling for ever would be too dear", "no_cap")
ex.breach("Level $k$ has", "linear")
ex.breach("Return a whole number", "float")
