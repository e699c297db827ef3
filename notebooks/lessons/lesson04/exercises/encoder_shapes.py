"""Lesson 04: the encoder's table of shapes, computed before any network is built."""

from itertools import accumulate, pairwise

import torch
from torch import nn

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Shapes = list[tuple[int, int]]

ex = Exercise(
    id="encoder_shapes",
    lesson="04",
    title="The encoder's table of shapes",
    difficulty=2,
    minutes=8,
    spec="""
    Before you build a network, know its shapes. The encoder has `n_down` blocks; each halves the size and
    follows the channel rule `min(base * 2**k, cap)`. Return one `(channels, size)` for the output of every
    block, first block first. For the full preset (256, 48, 5, 256) that is (48, 128), (96, 64), (192, 32),
    (256, 16), (256, 8). If a map that is to be halved has an odd size, the decoder cannot come back to it by
    doubling: raise a `ValueError`. The last map may be odd.
    """,
    hints=(
        "The input is not part of the table: the first entry is what comes out of block 0, at half the size.",
        "Block k has `min(base * 2**k, cap)` channels and size `size // 2**(k + 1)`.",
        "All halvings are exact when `size % 2**n_down == 0`; otherwise `raise ValueError`.",
    ),
    source="Encoder table of the full preset (base 48, five downs, cap 256 at 256 x 256).",
    equivalent={
        "-> `min(cap, ": "the smaller of two numbers, in either order",
        "3.14 `2` -> `-2`": "divisible by 2**n is divisible by (-2)**n",
    },
)


@ex.reference
def encoder_shapes(size: int, base: int, n_down: int, cap: int) -> list[tuple[int, int]]:
    """(channels, size) after each of `n_down` encoder blocks, for a square input of `size` pixels."""
    if size % 2**n_down != 0:
        raise ValueError(f"{size} pixels cannot be halved {n_down} times")
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.edges
def _() -> list[Args]:
    full, odd = (
        [(256, 48, 5, 256), (64, 16, 4, 256), (64, 16, 5, 40)],
        [(250, 48, 5, 256), (48, 8, 5, 64), (7, 4, 1, 8), (6, 4, 2, 8), (1, 4, 1, 8), (255, 4, 3, 64)],
    )
    return (
        full
        + odd
        + [
            (2, 3, 1, 2),
            (8, 3, 0, 2),
            (32, 8, 5, 8),
            (96, 8, 5, 64),
            (16, 8, 2, 512),
            (9, 5, 0, 4),
            (40, 5, 3, 6),
        ]
    )


@ex.inputs
def _(case: Case) -> Args:
    n_down = case.integer(1, 6)
    size = case.integer(1, 9) * 2**n_down
    if case.seed % 4 == 3:
        size += case.integer(1, 2**n_down - 1)
    return size, case.integer(1, 64), n_down, case.choice((1, 16, 64, 256, 999))


def _check(size: int, n_down: int) -> None:
    if size % 2**n_down:
        raise ValueError


@ex.wrong("with_input", "You put the input in front of the table; it starts with what comes out of block 0.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(1, size), *((min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down))]


@ex.wrong("size_before", "You give the size at the input of each block; the table holds the size after it.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size // 2**k) for k in range(n_down)]


@ex.wrong("no_cap", "You forget the cap, so the channels go on doubling.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(base * 2**k, size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong(
    "rounds_down",
    "You round odd sizes down in silence; the decoder's map would then not fit its skip connection.",
)
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("float_sizes", "You divide with `/`: sizes become floats; whole-number division is `//`.")
def _(size: int, base: int, n_down: int, cap: int) -> list[tuple[int, float]]:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size / 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("order", "You give (size, channels); like PyTorch's shapes, the table has channels first.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(size // 2 ** (k + 1), min(base * 2**k, cap)) for k in range(n_down)]


@ex.wrong("one_short", "You leave out the last block, the bottleneck.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down - 1)]


@ex.wrong(
    "doubles_at_once", "You double the channels in block 0 already; the first block has `base` channels."
)
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2 ** (k + 1), cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("first_only", "You test only whether the input size is even; a later map can be odd as well.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    if size % 2:
        raise ValueError
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    table = []
    channels = min(base, cap)
    for _ in range(n_down):
        size, rest = divmod(size, 2)
        if rest:
            raise ValueError("odd map")
        table.append((channels, size))
        channels = min(2 * channels, cap)
    return table


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    if size & ((1 << n_down) - 1):
        raise ValueError(size)
    return [(min(base << k, cap), size >> k + 1) for k in range(n_down)]


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> tuple[tuple[int, int], ...]:
    sizes = [size // 2**k for k in range(n_down + 1)]
    if any(2 * small != large for large, small in pairwise(sizes)):
        raise ValueError("a map cannot be halved")
    return tuple((min(base * 2**k, cap), s) for k, s in enumerate(sizes[1:]))


@ex.right
def by_recursion(size: int, base: int, n_down: int, cap: int) -> Shapes:
    if n_down == 0:
        return []
    if size % 2:
        raise ValueError("odd")
    return [(min(base, cap), size // 2), *by_recursion(size // 2, min(2 * base, 2 * cap), n_down - 1, cap)]


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> list[list[int]]:
    if (size / 2**n_down) != int(size / 2**n_down):
        raise ValueError(f"size {size}")
    channels = [min(int(base * 2.0**k), cap) for k in range(n_down)]
    sizes = [int(size / 2.0 ** (k + 1)) for k in range(n_down)]
    return [list(row) for row in zip(channels, sizes, strict=True)]


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    if size % (2**n_down):
        raise ValueError("size")
    doubled = accumulate(range(1, n_down), lambda c, _: 2 * c, initial=base)
    return [(min(c, cap), size // 2**k) for k, c in enumerate(doubled, start=1) if k <= n_down]


@ex.right
def _(size: int, base: int, n_down: int, cap: int) -> list[torch.Size]:
    if size % 2**n_down:
        raise ValueError("size")
    x, table = torch.empty(1, 1, size, size, device="meta"), []
    for k in range(n_down):
        x = nn.Conv2d(x.shape[1], min(base * 2**k, cap), 4, 2, 1, device="meta")(x)
        table.append(x.shape[1:3])
    return table


@ex.wrong("last_map_odd", "You refuse an odd last map as well; nothing halves it any more, so it may be odd.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    if size % 2**n_down or size // 2**n_down % 2:
        raise ValueError
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("larger_of_the_two", "You take the larger of the two; a cap is the most that is allowed.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(max(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("powers_of_two", "You take powers of two only; 96 can be halved five times, too.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    if size & (size - 1):
        raise ValueError
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("one_more", "You give one block more than `n_down`.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in range(n_down + 1)]


@ex.wrong("rounds_up", "You round odd sizes up; an odd map that is to be halved is an error.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    return [(min(base * 2**k, cap), -(-size // 2 ** (k + 1))) for k in range(n_down)]


@ex.wrong("first_not_capped", "You do not cap the first block; the rule is the same for every block.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap) if k else base, size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("stops_at_the_cap", "You repeat the channels below the cap; the cap itself is reached.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    table, channels = [], base
    for k in range(n_down):
        table.append((channels, size // 2 ** (k + 1)))
        channels = 2 * channels if 2 * channels <= cap else channels
    return table


@ex.wrong("same_channels", "You give every block `base` channels; they double from block to block.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base, cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("multiplied", "You multiply the channels by k + 1; they double: the factor is 2**k.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * (k + 1), cap), size // 2 ** (k + 1)) for k in range(n_down)]


@ex.wrong("last_first", "You give the last block first.")
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size // 2 ** (k + 1)) for k in reversed(range(n_down))]


@ex.wrong(
    "always_halved_once", "You halve the input for every block; each block halves what the one before made."
)
def _(size: int, base: int, n_down: int, cap: int) -> Shapes:
    _check(size, n_down)
    return [(min(base * 2**k, cap), size // 2) for k in range(n_down)]


common_slips(ex, "returned_nothing", "assertion", "none_for_an_error")

ex.background("Before you build a network")
ex.breach("The encoder has `n_down` blocks", "one_short")
ex.breach("The encoder has `n_down` blocks", "no_cap")
ex.breach("each halves the size", "size_before")
ex.breach("Return one `(channels, size)`", "order")
ex.breach("first block first", "last_first")
ex.breach("for the output of every block", "with_input")
ex.breach("For the full preset", "doubles_at_once")
ex.breach("has an odd size", "rounds_down")
ex.breach("has an odd size", "first_only")
ex.breach("The last map may be odd", "last_map_odd")
