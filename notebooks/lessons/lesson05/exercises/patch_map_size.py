"""Lesson 05: how many logits PatchGAN gives."""

import math
from functools import reduce

import torch
import torch.nn.functional as F

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="patch_map_size",
    lesson="05",
    title="Size of the map of logits",
    difficulty=2,
    minutes=8,
    spec=r"""
    PatchGAN has `n_layers` convolutions of stride 2 and then two of stride 1; every kernel is 4, every
    padding 1. One convolution turns size $s$ into $\lfloor (s + 2p - k) / \text{stride} \rfloor + 1$. How
    wide is the map of logits for an image of `size` pixels? If no logit is left, raise a `ValueError`: a
    loss over an empty map would be NaN.
    """,
    hints=(
        "With kernel 4 and padding 1, a stride of 2 gives `(size - 2) // 2 + 1`, which is `size // 2`.",
        "With kernel 4 and padding 1, a stride of 1 takes one pixel away: `size - 1`. Twice.",
        "256 becomes 128, 64, 32 (three halvings), then 31, then 30. Below 1: `raise ValueError`.",
    ),
    source="Isola et al. 2017, appendix 6.1.2: 70 x 70 discriminator; 256 pixels give 30 x 30 logits.",
    equivalent={"6.14 `1` -> `0.5`": "for whole numbers, below 1 and below 0.5 are the same"},
)


@ex.reference
def patch_map_size(size: int, n_layers: int) -> int:
    """Width of the map of logits for a square image of `size` pixels."""
    for _ in range(n_layers):
        size = size // 2
    size = size - 2
    if size < 1:
        raise ValueError("the image is too small: no logit is left")
    return size


@ex.edges
def _() -> list[Args]:
    sizes = [(256, n) for n in (3, 1, 2, 4, 5)] + [
        (128, 3),
        (64, 3),
        (64, 4),
        (64, 5),
        (255, 3),
        (97, 2),
        (9, 1),
        (31, 2),
    ]
    return [
        *sizes,
        (16, 3),
        (24, 3),
        (4, 1),
        (6, 1),
        (5, 1),
        (1, 1),
        (12, 2),
        (7, 0),
        (2, 0),
        (3, 0),
        (1, 0),
        (48, 4),
        (47, 4),
        (255, 6),
        (1000, 7),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return case.integer(1, 300), case.integer(0, 5)


def _nonempty(size: int) -> int:
    if size < 1:
        raise ValueError
    return size


ex.wrong(
    "halvings_only",
    "You count the halvings but not the two layers of stride 1: kernel 4 with padding 1 "
    "loses a pixel in each.",
    lambda size, n_layers: _nonempty(size // 2**n_layers),
)
ex.wrong(
    "one_stride_1",
    "You count one layer of stride 1; there are two, the last block and the one that makes the logits.",
    lambda size, n_layers: _nonempty(size // 2**n_layers - 1),
)
ex.wrong(
    "no_padding",
    "You forget the padding: two pixels more are lost per layer.",
    lambda size, n_layers: _nonempty(
        reduce(lambda s, stride: (s - 4) // stride + 1, [2] * n_layers + [1, 1], size)
    ),
)
ex.wrong(
    "rounds_up",
    "You round up; a convolution that does not fit any more is left out, so the size is rounded down.",
    lambda size, n_layers: _nonempty(-(-size // 2**n_layers) - 2),
)
ex.wrong(
    "float",
    "You divide with `/`: the size becomes a float and the fraction does not vanish.",
    lambda size, n_layers: _nonempty(size / 2**n_layers - 2),  # type: ignore[arg-type]
)
ex.wrong(
    "never_refuses",
    "You let a map of no logits through; its mean is NaN, and the error shows up far from its cause.",
    lambda size, n_layers: size // 2**n_layers - 2,
)
ex.wrong(
    "all_stride_2",
    "You halve in all layers; the last two have stride 1.",
    lambda size, n_layers: _nonempty(size // 2 ** (n_layers + 2)),
)
ex.wrong(
    "plus_one_forgotten",
    "You forget the + 1 of the formula: the first position of the kernel counts as well.",
    lambda size, n_layers: _nonempty(
        reduce(lambda s, stride: (s - 2) // stride, [2] * n_layers + [1, 1], size)
    ),
)
ex.wrong(
    "stride_1_first",
    "You take the stride-1 layers first; the order matters, because a pixel lost late is a large one.",
    lambda size, n_layers: _nonempty((size - 2) // 2**n_layers),
)

ex.right(lambda size, n_layers: _nonempty(size // 2**n_layers - 2))
ex.right(lambda size, n_layers: _nonempty((size >> n_layers) - 2))
ex.right(
    lambda size, n_layers: _nonempty(
        reduce(lambda s, t: (s + 2 - 4) // t + 1, [2] * n_layers + [1] * 2, size)
    )
)
ex.right(lambda size, n_layers: _nonempty(int(size / 2**n_layers) - 2))


@ex.right
def _(size: int, n_layers: int) -> int:
    for stride in [2] * n_layers + [1, 1]:
        if size < 2:  # the kernel no longer fits, even with its padding
            raise ValueError(size)
        size = (size - 2) // stride + 1
    if size == 0:
        raise ValueError("empty map")
    return size


@ex.right
def by_recursion(size: int, n_layers: int) -> int:
    if n_layers:
        return by_recursion(size // 2, n_layers - 1)
    if size <= 2:
        raise ValueError("no logit")
    return size - 2


@ex.right
def _(size: int, n_layers: int) -> int:
    x = torch.empty(1, 1, size, size, device="meta")
    weight = torch.empty(1, 1, 4, 4, device="meta")
    try:
        for stride in [2] * n_layers + [1, 1]:
            x = F.conv2d(x, weight, stride=stride, padding=1)
    except RuntimeError as error:
        raise ValueError("the kernel does not fit") from error
    return x.shape[-1]


ex.wrong(
    "one_refused",
    "You refuse a map of a single logit; one is enough.",
    lambda size, n_layers: _nonempty(size // 2**n_layers - 3) + 1,
)


@ex.wrong(
    "zero_allowed", "You let a map of 0 logits through and refuse only negative sizes; 0 is no logit, too."
)
def _(size: int, n_layers: int) -> int:
    if size // 2**n_layers < 2:
        raise ValueError
    return size // 2**n_layers - 2


@ex.wrong("zero_returned", "You return 0 where no logit is left; raise a `ValueError`.")
def _(size: int, n_layers: int) -> int:
    return max(size // 2**n_layers - 2, 0)


ex.wrong(
    "one_layer_less",
    "You count one layer of stride 2 less than `n_layers`.",
    lambda size, n_layers: _nonempty(size // 2 ** max(n_layers - 1, 0) - 2),
)
ex.wrong(
    "one_layer_more",
    "You count one layer of stride 2 more than `n_layers`.",
    lambda size, n_layers: _nonempty(size // 2 ** (n_layers + 1) - 2),
)
ex.wrong(
    "three_stride_1",
    "You take away three pixels; there are two layers of stride 1, each costs one.",
    lambda size, n_layers: _nonempty(size // 2**n_layers - 3),
)
ex.wrong(
    "two_per_layer",
    "You take away two pixels per layer of stride 1; with kernel 4 and padding 1 it is one.",
    lambda size, n_layers: _nonempty(size // 2**n_layers - 4),
)
ex.wrong(
    "rounded_to_nearest",
    "You round to the nearest number; a convolution that does not fit any more is left out.",
    lambda size, n_layers: _nonempty(math.floor(size / 2**n_layers + 0.5) - 2),
)
ex.wrong(
    "padding_once",
    "You add the padding once; it is added on both sides: s + 2 p.",
    lambda size, n_layers: _nonempty(
        reduce(lambda s, stride: (s - 3) // stride + 1, [2] * n_layers + [1, 1], size)
    ),
)
ex.wrong(
    "area",
    "You return the number of logits in the whole map; its width was asked for.",
    lambda size, n_layers: _nonempty(size // 2**n_layers - 2) ** 2,
)
ex.wrong(
    "odd_sizes_refused",
    "You refuse sizes that 2 does not divide; a convolution rounds down.",
    lambda size, n_layers: _nonempty((size // 2**n_layers if size % 2**n_layers == 0 else 0) - 2),
)
ex.wrong(
    "one_for_all",
    "You return a size of 1 where no logit is left; raise a `ValueError`.",
    lambda size, n_layers: max(size // 2**n_layers - 2, 1),
)
ex.wrong(
    "one_stride_1_unchecked",
    "You count one layer of stride 1 where there are two, and let a map of no logits through.",
    lambda size, n_layers: size // 2**n_layers - 1,
)
ex.wrong(
    "halvings_only_unchecked",
    "You count the halvings only, without the two layers of stride 1, and let an empty map through.",
    lambda size, n_layers: size // 2**n_layers,
)
common_slips(ex, "returned_nothing", "assertion", "none_for_an_error")

ex.breach("PatchGAN has `n_layers` convolutions", "one_layer_more")
ex.breach("and then two of stride 1", "one_stride_1")
ex.breach("every kernel is 4, every padding 1", "no_padding")
ex.breach("One convolution turns", "rounds_up")
ex.breach("One convolution turns", "plus_one_forgotten")
ex.breach("How wide is the map", "area")
ex.breach("If no logit is left", "never_refuses")
ex.breach("If no logit is left", "zero_allowed")
ex.breach("If no logit is left", "one_refused")
