"""Lesson 05: how many pixels one logit sees."""

from collections.abc import Sequence
from functools import reduce
from math import prod

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Layers = Sequence[tuple[int, int]]

ex = Exercise(
    id="receptive_field",
    lesson="05",
    title="Receptive field by formula",
    difficulty=3,
    minutes=10,
    spec="""
    How wide is the patch of the image that one logit of a stack of convolutions depends on? You are given
    `(kernel, stride)` of every layer, from the image to the logits. One pixel sees itself: a field of 1. A
    layer with kernel k adds k - 1 steps, and a step is as long as the product of all strides *before* that
    layer.
    """,
    hints=(
        "Keep two numbers while you walk through the layers: the field (starts at 1) and the "
        "step between neighbours (starts at 1).",
        "A layer with kernel k adds (k - 1) steps to the field; its own stride does not matter for that.",
        "`field += (kernel - 1) * step`, and only then `step *= stride`.",
    ),
    source="Dumoulin and Visin 2016, “A guide to convolution arithmetic for deep "
    "learning”; Araujo et al. 2019.",
)


@ex.reference
def receptive_field(layers: list[tuple[int, int]]) -> int:
    """Width in pixels of what one output sees; layers are (kernel, stride) from the image to the output."""
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


@ex.edges
def _() -> list[Args]:
    patchgan = [[(4, 2)] * n + [(4, 1)] * 2 for n in range(1, 6)]
    few = [[], [(3, 1)], [(1, 2), (3, 1)], [(3, 2), (5, 3), (1, 1)], [(5, 3)], [(1, 1), (1, 4)], [(2, 2)] * 8]
    wide = [[(2, 5), (3, 4), (2, 7), (9, 1)], [(7, 1), (3, 2)]]  # strides beyond the kernel
    return [(layers,) for layers in (patchgan[2], *patchgan, *few, *wide)]


@ex.inputs
def _(case: Case) -> Args:
    return ([(case.integer(1, 7), case.integer(1, 3)) for _ in range(case.integer(1, 6))],)


@ex.wrong(
    "own_stride",
    "You multiply the step by a layer's stride before you use it; a layer steps on the grid it is given.",
)
def _(layers: Layers) -> int:
    field, step = 1, 1
    for kernel, stride in layers:
        step *= stride
        field += (kernel - 1) * step
    return field


@ex.wrong(
    "from_the_output",
    "You use the strides of the layers *after* each layer (walking the wrong way does that); those before it "
    "make its step.",
)
def _(layers: Layers) -> int:
    field, step = 1, 1
    for kernel, stride in reversed(layers):
        field += (kernel - 1) * step
        step *= stride
    return field


@ex.wrong(
    "last_stride", "You use only the stride of the layer before; strides multiply up over all layers before."
)
def _(layers: Layers) -> int:
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step = stride
    return field


@ex.wrong(
    "adds_strides",
    "You add the strides; two layers with stride 2 make a step of 4, three of 8: they multiply.",
)
def _(layers: Layers) -> int:
    field, step = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step += stride - 1
    return field


@ex.wrong(
    "kernel_itself",
    "You add k steps per layer; the first of the k positions is there already, so a layer adds k - 1.",
)
def _(layers: Layers) -> int:
    field, step = 1, 1
    for kernel, stride in layers:
        field += kernel * step
        step *= stride
    return field


@ex.wrong("starts_at_zero", "You start at 0; a pixel sees itself, so the field of no layer at all is 1.")
def _(layers: Layers) -> int:
    field, step = 0, 1
    for kernel, stride in layers:
        field += (kernel - 1) * step
        step *= stride
    return field


ex.wrong(
    "strides_ignored",
    "You add up the kernels and ignore the strides: right for stride 1 only.",
    lambda layers: 1 + sum(kernel - 1 for kernel, _ in layers),
)
ex.wrong(
    "product_of_kernels",
    "You multiply the kernel sizes; kernels overlap, so their fields add up.",
    lambda layers: prod(kernel for kernel, _ in layers),
)


@ex.right
def _(layers: Layers) -> int:
    field = 1
    for kernel, stride in reversed(
        layers
    ):  # from the logit back: a field of f outputs needs (f - 1) s + k inputs
        field = (field - 1) * stride + kernel
    return field


ex.right(lambda layers: 1 + sum((k - 1) * prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers)))
ex.right(lambda layers: reduce(lambda f, layer: f * layer[1] + layer[0] - layer[1], layers[::-1], 1))


@ex.right
def by_recursion(layers: Layers) -> int:
    if not layers:
        return 1
    (kernel, stride), *rest = layers
    return (by_recursion(rest) - 1) * stride + kernel


@ex.right
def _(layers: Layers) -> int:
    low, high = 0, 0  # first and last pixel of a logit without padding
    for kernel, stride in reversed(layers):
        low, high = low * stride, high * stride + kernel - 1
    return high - low + 1


@ex.right
def _(layers: Layers) -> int:
    seen = {0}
    for kernel, stride in layers[::-1]:
        seen = {position * stride + offset for position in seen for offset in range(kernel)}
    return max(seen) + 1


@ex.right
def _(layers: Layers) -> int:
    steps = [1]
    for _, stride in layers:
        steps.append(steps[-1] * stride)
    return sum((kernel - 1) * step for (kernel, _), step in zip(layers, steps, strict=False)) + 1


@ex.wrong("last_layer_missing", "You leave the last layer out.")
def _(layers: Layers) -> int:
    return 1 + sum((k - 1) * prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers[:-1]))


@ex.wrong("first_layer_missing", "You leave the first layer's kernel out.")
def _(layers: Layers) -> int:
    return 1 + sum((k - 1) * prod(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers) if i)


@ex.wrong("all_strides", "You use the product of *all* strides for every layer; only those before it count.")
def _(layers: Layers) -> int:
    return 1 + sum(k - 1 for k, _ in layers) * prod(s for _, s in layers)


@ex.wrong("field_times_stride", "You multiply the field by the stride in every layer, from the image on.")
def _(layers: Layers) -> int:
    field = 1
    for kernel, stride in layers:
        field = field * stride + kernel - 1
    return field


@ex.wrong(
    "kernel_in_the_backward_rule", "You walk back with f s + k; the span of f outputs is (f - 1) s + k."
)
def _(layers: Layers) -> int:
    field = 1
    for kernel, stride in reversed(layers):
        field = field * stride + kernel
    return field


ex.wrong(
    "kernels_added",
    "You add up whole kernels; a layer adds k - 1, and its steps have a length.",
    lambda layers: sum(kernel for kernel, _ in layers),
)
ex.wrong(
    "kernel_and_stride_swapped",
    "You unpack (stride, kernel); each layer is (kernel, stride).",
    lambda layers: receptive_field([(s, k) for k, s in layers]),
)
ex.wrong(
    "total_stride",
    "You return the product of the strides: that is the step between neighbouring logits, not their field.",
    lambda layers: prod(stride for _, stride in layers),
)
ex.wrong(
    "one_missing",
    "You return one pixel too few: k - 1 steps lead over k pixels.",
    lambda layers: receptive_field(layers) - 1 if layers else 1,
)
ex.wrong(
    "first_stride_for_all",
    "You use the first stride for every later layer; strides multiply up over all layers before.",
    lambda layers: 1 + sum((k - 1) * layers[0][1] ** i for i, (k, _) in enumerate(layers)),
)
common_slips(ex, "returned_nothing")

ex.breach("How wide is the patch", "total_stride")
ex.breach("You are given `(kernel, stride)`", "kernel_and_stride_swapped")
ex.breach("from the image to the logits", "from_the_output")
ex.breach("One pixel sees itself", "starts_at_zero")
ex.breach("A layer with kernel k adds k - 1 steps", "kernel_itself")
ex.breach("a step is as long as the product", "last_stride")
ex.breach("a step is as long as the product", "adds_strides")
ex.breach("*before* that layer", "own_stride")
