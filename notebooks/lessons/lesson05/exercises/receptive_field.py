"""Lesson 05: how many pixels one logit sees, and how many logits there are."""

from functools import reduce
from math import prod

import torch
import torch.nn.functional as F

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips
from lessons.lesson05.exercises._fields import (
    FIELDS,
    SIDES,
    Layers,
    Pair,
    field_of,
    one_size,
    sides,
    with_field,
    with_side,
)

ex = Exercise(
    id="receptive_field",
    lesson="05",
    title="What one logit sees, and how many there are",
    difficulty=3,
    minutes=12,
    spec=r"""
    `layers` holds `(kernel, stride, padding)` of every convolution, from the image to the logits, and the
    image has `size` pixels a side. Return two whole numbers, `(field, side)`.

    - `field`: how many pixels wide is the patch that one logit depends on? One pixel sees itself, a field of
      1. A layer with kernel k adds k - 1 steps, and a step is as long as the product of all strides *before*
      that layer.
    - `side`: how many logits wide is the map? One convolution turns size $s$ into
      $\lfloor (s + 2p - k) / \text{stride} \rfloor + 1$.

    If any layer leaves nothing, a size below 1, raise a `ValueError`: a loss over an empty map would be NaN.
    """,
    hints=(
        "Keep three numbers while you walk through the layers: the size, the field (starts at 1) and the "
        "step between neighbours (starts at 1).",
        "`size = (size + 2 * padding - kernel) // stride + 1`; below 1: `raise ValueError(...)`. With three "
        "layers of stride 2, 256 becomes 128, 64, 32, then 31 and 30.",
        "`field += (kernel - 1) * step`, and only then `step *= stride`.",
    ),
    source="Dumoulin and Visin 2016, “A guide to convolution arithmetic for deep learning”; Araujo et al. "
    "2019. Isola et al. 2017, appendix 6.1.2: 70 pixels, and 30 x 30 logits of 256 pixels.",
    equivalent={"`1` -> `0.5`": "for whole numbers, below 1 and below 0.5 are the same"},
)


@ex.reference
def receptive_field(layers: list[tuple[int, int, int]], size: int) -> tuple[int, int]:
    """Layers (kernel, stride, padding), image `size` -> field of a logit, side of the map of logits."""
    field, step = 1, 1
    for kernel, stride, padding in layers:
        size = (size + 2 * padding - kernel) // stride + 1
        if size < 1:
            raise ValueError(f"the image is too small: a layer of kernel {kernel} leaves nothing")
        field += (kernel - 1) * step
        step *= stride
    return field, size


@ex.edges
def _() -> list[Args]:
    patchgan = [[(4, 2, 1)] * n + [(4, 1, 1)] * 2 for n in range(6)]
    usual = [(patchgan[n], size) for n, size in ((3, 256), (3, 64), (1, 255), (4, 128), (5, 256), (2, 97))]
    tight = [(patchgan[n], size) for n, size in ((3, 24), (3, 16), (3, 23), (1, 6), (1, 5), (2, 12), (0, 3))]
    wide = [
        ([(2, 5, 0), (3, 4, 1), (2, 7, 2)], 700),
        ([(7, 1, 3), (3, 2, 0)], 31),
        ([(1, 2, 0), (3, 1, 1)], 9),
    ]
    few: list[Args] = [([], 5), ([(3, 1, 1)], 1), ([(5, 3, 0)], 5), ([(5, 3, 0)], 4), ([(1, 4, 0)], 9)]
    revived = [([(4, 2, 1), (1, 1, 2)], 1), ([(4, 4, 0), (2, 1, 3)], 2), ([(9, 1, 0), (3, 1, 6)], 4)]
    return [*usual, *tight, *wide, *few, *revived]


@ex.inputs
def _(case: Case) -> Args:
    layers = [(case.integer(1, 7), case.integer(1, 3), case.integer(0, 2)) for _ in range(case.integer(1, 5))]
    return layers, case.integer(1, 400)


for name, misconception, rule in FIELDS:
    ex.wrong(name, misconception, with_field(rule))
for name, misconception, one in SIDES:
    ex.wrong(name, misconception, with_side(one))

ex.wrong(
    "never_refuses",
    "You let a map of no logits through; its mean is NaN, and the error shows up far from its cause.",
    lambda layers, size: (field_of(layers), reduce(lambda s, layer: one_size(s, *layer), layers, size)),
)
ex.wrong(
    "swapped",
    "You return the side first; the field comes first.",
    lambda layers, size: (sides(layers, size, one_size), field_of(layers)),
)
ex.wrong(
    "area",
    "You return the number of logits in the whole map; its side was asked for.",
    lambda layers, size: (field_of(layers), sides(layers, size, one_size) ** 2),
)
ex.wrong(
    "field_only",
    "You return the field alone; the side of the map belongs to the answer.",
    lambda layers, size: field_of(layers) * (sides(layers, size, one_size) > 0),
)
ex.wrong(
    "cut_at_the_image",
    "You cut the field at the size of the image; it may be wider, and then reaches into the padding.",
    lambda layers, size: (min(field_of(layers), size), sides(layers, size, one_size)),
)


@ex.wrong(
    "checked_at_the_end", "You look at the last size only; padding of later layers can hide an empty map."
)
def _(layers: Layers, size: int) -> Pair:
    left = reduce(lambda s, layer: one_size(s, *layer), layers, size)
    if left < 1:
        raise ValueError
    return field_of(layers), left


@ex.wrong("one_refused", "You refuse a map of a single logit; one is enough.")
def _(layers: Layers, size: int) -> Pair:
    if sides(layers, size, one_size) < 2:
        raise ValueError
    return field_of(layers), sides(layers, size, one_size)


@ex.wrong("zero_allowed", "You let a size of 0 through and refuse only negative ones; 0 is nothing, too.")
def _(layers: Layers, size: int) -> Pair:
    for kernel, stride, padding in layers:
        size = one_size(size, kernel, stride, padding)
        if size < 0:
            raise ValueError
    return field_of(layers), size


ex.right(lambda layers, size: (field_of(layers), sides(layers, size, one_size)))
ex.right(
    with_field(lambda ls: 1 + sum((k - 1) * prod(s for _, s, _ in ls[:i]) for i, (k, _, _) in enumerate(ls)))
)


@ex.right
def by_recursion(layers: Layers, size: int) -> Pair:
    if not layers:
        return 1, size
    (kernel, stride, padding), *rest = layers
    wide = size + 2 * padding
    if wide < kernel:
        raise ValueError("the kernel does not fit")
    field, side = by_recursion(rest, 1 + (wide - kernel) // stride)
    return (field - 1) * stride + kernel, side


@ex.right
def _(layers: Layers, size: int) -> Pair:
    """A real image, and the pixels of one logit counted without padding."""
    x = torch.empty(1, 1, size, size, device="meta")
    seen = {0}
    try:
        for kernel, stride, padding in layers:
            x = F.conv2d(x, torch.empty(1, 1, kernel, kernel, device="meta"), None, stride, padding)
    except RuntimeError as error:
        raise ValueError("the kernel does not fit") from error
    for kernel, stride, _ in layers[::-1]:
        seen = {position * stride + offset for position in seen for offset in range(kernel)}
    low, high = 0, 0
    for kernel, stride, _ in reversed(layers):
        low, high = low * stride, high * stride + kernel - 1
    return max(high - low + 1, max(seen) + 1), x.shape[-1]


@ex.right
def _(layers: Layers, size: int) -> list[int]:
    steps, sizes = [1], [size]
    for kernel, stride, padding in layers:
        steps.append(steps[-1] * stride)
        sizes.append(int((sizes[-1] + 2 * padding - kernel) // stride) + 1)
    if min(sizes) <= 0:
        raise ValueError(sizes)
    kernels = [layer[0] for layer in layers]
    return [sum((k - 1) * step for k, step in zip(kernels, steps, strict=False)) + 1, sizes[-1]]


common_slips(ex, "returned_nothing", "assertion", "none_for_an_error")

ex.breach("`layers` holds `(kernel, stride, padding)`", lambda layers, size: receptive_field(
    [(s, k, p) for k, s, p in layers], size))  # fmt: skip
ex.breach("from the image to the logits", "from_the_output")
ex.breach("the image has `size` pixels a side", "halved")
ex.breach("Return two whole numbers", "swapped")
ex.breach("Return two whole numbers", "float")
ex.breach("how many pixels wide is the patch", "total_stride")
ex.breach("One pixel sees itself", "starts_at_zero")
ex.breach("A layer with kernel k adds k - 1 steps", "kernel_itself")
ex.breach("a step is as long as the product", "last_stride")
ex.breach("a step is as long as the product", "adds_strides")
ex.breach("*before* that layer", "own_stride")
ex.breach("how many logits wide is the map?", "area")
for _name in ("no_padding", "plus_one_forgotten", "rounds_up"):
    ex.breach("One convolution turns size", _name)
ex.breach("If any layer leaves nothing", "checked_at_the_end")
ex.breach("If any layer leaves nothing", "one_refused")
ex.breach("a size below 1", "zero_allowed")
ex.breach("raise a `ValueError`", "never_refuses")
