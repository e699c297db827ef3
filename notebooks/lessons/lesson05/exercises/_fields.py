"""Rules for fields and sizes that answers to `receptive_field` are put together from, and wrong ones."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import prod
from typing import Any

Layers = Sequence[tuple[int, int, int]]
Pair = tuple[int, int]


def field_of(layers: Layers) -> int:
    return reduce(lambda f, layer: (f - 1) * layer[1] + layer[0], reversed(layers), 1)


def sides(layers: Layers, size: int, one: Callable[[int, int, int, int], Any]) -> int:
    for kernel, stride, padding in layers:
        size = one(size, kernel, stride, padding)
        if size < 1:
            raise ValueError(size)
    return size


def one_size(size: int, kernel: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - kernel) // stride + 1


def with_field(rule: Callable[[Layers], int]) -> Callable[[Layers, int], Pair]:
    """An answer with another field."""

    def answer(layers: Layers, size: int) -> Pair:
        side = sides(layers, size, one_size)  # first, because it may refuse
        return rule(layers), side

    return answer


def with_side(one: Callable[[int, int, int, int], Any]) -> Callable[[Layers, int], Pair]:
    """An answer with another rule for the size."""
    return lambda layers, size: (field_of(layers), sides(layers, size, one))


def _walk(
    add: Callable[[int, int], int], turn: Callable[[int, int], int], start: int = 1, later: bool = True
) -> Callable[[Layers], int]:
    """A field gathered from the image on: `add(kernel, step)`, `turn(step, stride)`."""

    def rule(layers: Layers) -> int:
        field, step = start, 1
        for kernel, stride, _ in layers:
            step = step if later else turn(step, stride)
            field += add(kernel, step)
            step = turn(step, stride) if later else step
        return field

    return rule


def _steps(kernel: int, step: int) -> int:
    return (kernel - 1) * step


FIELDS: tuple[tuple[str, str, Callable[[Layers], int]], ...] = (
    (
        "own_stride",
        "You multiply the step by a layer's stride before you use it; a layer steps on the grid it is given.",
        _walk(_steps, lambda step, stride: step * stride, later=False),
    ),
    (
        "from_the_output",
        "You use the strides of the layers *after* each layer (walking the wrong way does that); those "
        "before it make its step.",
        lambda layers: _walk(_steps, lambda step, stride: step * stride)(layers[::-1]),
    ),
    (
        "last_stride",
        "You use only the stride of the layer before; strides multiply up over all layers before.",
        _walk(_steps, lambda step, stride: stride),
    ),
    (
        "adds_strides",
        "You add the strides; two layers with stride 2 make a step of 4, three of 8: they multiply.",
        _walk(_steps, lambda step, stride: step + stride - 1),
    ),
    (
        "kernel_itself",
        "You add k steps per layer; the first of the k positions is there already, so a layer adds k - 1.",
        _walk(lambda kernel, step: kernel * step, lambda step, stride: step * stride),
    ),
    (
        "starts_at_zero",
        "You start the field at 0; a pixel sees itself, so the field of no layer at all is 1.",
        _walk(_steps, lambda step, stride: step * stride, start=0),
    ),
    (
        "strides_ignored",
        "You add up the kernels and ignore the strides: right for stride 1 only.",
        lambda layers: 1 + sum(kernel - 1 for kernel, _, _ in layers),
    ),
    (
        "product_of_kernels",
        "You multiply the kernel sizes; kernels overlap, so their fields add up.",
        lambda layers: prod(kernel for kernel, _, _ in layers),
    ),
    (
        "last_layer_missing",
        "You leave the last layer out of the field.",
        lambda layers: field_of(layers[:-1]),
    ),
    (
        "first_layer_missing",
        "You leave the first layer's kernel out of the field.",
        lambda layers: field_of(layers) - (layers[0][0] - 1 if layers else 0),
    ),
    (
        "all_strides",
        "You use the product of *all* strides for every layer; only those before it count.",
        lambda layers: 1 + sum(k - 1 for k, _, _ in layers) * prod(s for _, s, _ in layers),
    ),
    (
        "kernel_in_the_backward_rule",
        "You walk back with f s + k; the span of f outputs is (f - 1) s + k.",
        lambda layers: reduce(lambda f, layer: f * layer[1] + layer[0], reversed(layers), 1),
    ),
    (
        "field_times_stride",
        "You multiply the field by the stride in every layer, from the image on.",
        lambda layers: reduce(lambda f, layer: f * layer[1] + layer[0] - 1, layers, 1),
    ),
    (
        "always_stride_2",
        "You take a step of 2 to the power of the layer's number; the strides are given.",
        lambda layers: 1 + sum((k - 1) * 2**i for i, (k, _, _) in enumerate(layers)),
    ),
    (
        "own_stride_only",
        "You multiply by a layer's own stride alone; the strides of all layers *before* it make its step.",
        lambda layers: 1 + sum((k - 1) * s for k, s, _ in layers),
    ),
    (
        "kernels_added",
        "You add up whole kernels; a layer adds k - 1, and its steps have a length.",
        lambda layers: sum(kernel for kernel, _, _ in layers),
    ),
    (
        "total_stride",
        "You return the product of the strides: that is the step between neighbouring logits, not their "
        "field.",
        lambda layers: prod(stride for _, stride, _ in layers),
    ),
    (
        "one_missing",
        "Your field is one pixel too narrow: k - 1 steps lead over k pixels.",
        lambda layers: field_of(layers) - 1 if layers else 1,
    ),
    (
        "padding_taken_off",
        "You take the padding off the field; padding moves a field, it does not narrow it.",
        lambda layers: field_of([(kernel - 2 * padding, stride, 0) for kernel, stride, padding in layers]),
    ),
)
"""Wrong fields: name, what is said, rule."""


SIDES: tuple[tuple[str, str, Callable[[int, int, int, int], Any]], ...] = (
    (
        "no_padding",
        "You forget the padding in the size; it is added on both sides.",
        lambda s, k, stride, p: (s - k) // stride + 1,
    ),
    (
        "padding_once",
        "You add the padding to the size once; it is added on both sides: s + 2 p.",
        lambda s, k, stride, p: (s + p - k) // stride + 1,
    ),
    (
        "plus_one_forgotten",
        "You forget the + 1 in the size: the first position of the kernel counts as well.",
        lambda s, k, stride, p: (s + 2 * p - k) // stride,
    ),
    (
        "rounds_up",
        "You round the size up; a position that does not fit any more is left out, so round down.",
        lambda s, k, stride, p: -(-(s + 2 * p - k) // stride) + 1,
    ),
    (
        "one_before_the_division",
        "You add the 1 before you divide; it comes after.",
        lambda s, k, stride, p: (s + 2 * p - k + 1) // stride,
    ),
    (
        "halved",
        "You only divide the size by the stride; kernel and padding count too.",
        lambda s, k, stride, p: s // stride,
    ),
    (
        "float",
        "You divide with `/`: the size becomes a float and the fraction does not vanish.",
        lambda s, k, stride, p: (s + 2 * p - k) / stride + 1,
    ),
)
"""Wrong sizes: name, what is said, rule."""
