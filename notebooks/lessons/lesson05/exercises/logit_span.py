"""Lesson 05: which pixels a given logit looks at."""

from collections.abc import Sequence
from functools import reduce

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Layers = Sequence[tuple[int, int, int]]
Span = tuple[int, int]

ex = Exercise(
    id="logit_span",
    lesson="05",
    title="From a logit back to its pixels",
    difficulty=4,
    minutes=15,
    spec="""
    You click the logit in row `index` and want to know which image rows it judges. Return the first and the
    last row (both belong to it). `layers` holds `(kernel, stride, padding)` from the image to the logits.
    Near the border the span reaches into the padding: then the first row is negative, or the last lies
    beyond the image. Do not cut it off.
    """,
    hints=(
        "Walk backwards, from the logits to the image. You start with first = last = index.",
        "Output i of a layer reads the inputs i * stride - padding up to i * stride - padding + kernel - 1.",
        "So `first = first * stride - padding` and `last = last * stride - padding + kernel - "
        "1`, for `reversed(layers)`.",
    ),
    source="Dumoulin and Visin 2016, relation between input and output positions of a convolution.",
)


@ex.reference
def logit_span(index: int, layers: list[tuple[int, int, int]]) -> tuple[int, int]:
    """First and last image row that logit `index` depends on; layers are (kernel, stride, padding)."""
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first = first * stride - padding
        last = last * stride - padding + kernel - 1
    return first, last


@ex.edges
def _() -> list[Args]:
    patchgan = [[(4, 2, 1)] * n + [(4, 1, 1)] * 2 for n in range(1, 6)]
    spans: list[Args] = [(i, patchgan[n]) for n in (2, 0, 1, 3) for i in (0, 1, 15)]
    more: list[Args] = [
        (0, [(1, 3, 0)]),
        (7, [(1, 1, 1), (2, 2, 0)]),
        (200, patchgan[2]),
        (1, [(5, 1, 2)] * 2),
    ]
    return [*spans, *more, (0, []), (3, []), (2, [(3, 1, 1)]), (5, [(4, 2, 1)]), (4, [(3, 1, 0), (5, 3, 2)])]


@ex.inputs
def _(case: Case) -> Args:
    layers = [(case.integer(1, 6), case.integer(1, 3), case.integer(0, 2)) for _ in range(case.integer(1, 5))]
    return case.integer(0, 20), layers


def _span(index: int, layers: Layers) -> Span:
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride - padding + kernel - 1
    return first, last


@ex.wrong(
    "forwards", "You walk from the image to the logits; going back from a logit, the last layer comes first."
)
def _(index: int, layers: Layers) -> Span:
    return _span(index, layers[::-1])


@ex.wrong("no_padding", "You forget the padding: every layer's padding moves the span up and left.")
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(k, s, 0) for k, s, _ in layers])


@ex.wrong(
    "half_open",
    "You give one past the last row, as Python's slices do; here the last row belongs to the span.",
)
def _(index: int, layers: Layers) -> Span:
    first, last = _span(index, layers)
    return first, last + 1


@ex.wrong(
    "kernel_per_layer",
    "You add k instead of k - 1 in each layer: the first of the k inputs is counted already.",
)
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(k + 1, s, p) for k, s, p in layers])


@ex.wrong("clipped", "You cut the span off at the border; the task keeps it, so that padding can be seen.")
def _(index: int, layers: Layers) -> Span:
    first, last = _span(index, layers)
    return max(first, 0), last


@ex.wrong(
    "scaled_centre",
    "You multiply the index by the total stride and centre the field there; the paddings "
    "decide where it lies.",
)
def _(index: int, layers: Layers) -> Span:
    first, last = _span(0, layers)
    stride = reduce(lambda total, layer: total * layer[1], layers, 1)
    start = index * stride - (last - first + 1) // 2
    return start, start + last - first


@ex.wrong(
    "corner_only",
    "You multiply the index by the strides only; a logit sees a whole span, not one row per stride.",
)
def _(index: int, layers: Layers) -> Span:
    stride = reduce(lambda total, layer: total * layer[1], layers, 1)
    return index * stride, (index + 1) * stride - 1


@ex.wrong(
    "padding_added", "You add the padding; outside the border indices are negative, so it is subtracted."
)
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(k, s, -p) for k, s, p in layers])


@ex.wrong("start_and_width", "You return first row and width; the last row is asked.")
def _(index: int, layers: Layers) -> Span:
    first, last = _span(index, layers)
    return first, last - first + 1


ex.right(_span)


@ex.right
def by_recursion(index: int, layers: Layers) -> Span:
    if not layers:
        return index, index
    *before, (kernel, stride, padding) = layers
    low = index * stride - padding
    return by_recursion(low, before)[0], by_recursion(low + kernel - 1, before)[1]


@ex.right
def _(index: int, layers: Layers) -> list[int]:
    rows = {index}
    for kernel, stride, padding in layers[::-1]:
        rows = {
            row * stride - padding + offset for row in (min(rows), max(rows)) for offset in (0, kernel - 1)
        }
    return [min(rows), max(rows)]


@ex.right
def _(index: int, layers: Layers) -> Span:
    # forward bookkeeping: step between neighbours, first pixel of logit 0, width of the field
    step, start, field = 1, 0, 1
    for kernel, stride, padding in layers:
        start -= padding * step
        field += (kernel - 1) * step
        step *= stride
    return start + index * step, start + index * step + field - 1


@ex.right
def _(index: int, layers: Layers) -> Span:
    first = reduce(lambda row, layer: row * layer[1] - layer[2], reversed(layers), index)
    last = reduce(lambda row, layer: row * layer[1] - layer[2] + layer[0] - 1, reversed(layers), index)
    return first, last


@ex.right
def _(index: int, layers: Layers) -> Span:
    low, width = index, 1
    for i in range(len(layers) - 1, -1, -1):
        kernel, stride, padding = layers[i]
        low = low * stride - padding
        width = (width - 1) * stride + kernel
    return low, low + width - 1


@ex.right
def _(index: int, layers: Layers) -> Span:
    low, high = index, index + 1  # half open while walking
    pending = list(layers)
    while pending:
        kernel, stride, padding = pending.pop()
        low, high = low * stride - padding, (high - 1) * stride - padding + kernel
    return low, high - 1


@ex.wrong(
    "padding_on_both_sides", "You add the padding to the last row; it moves first and last row alike, up."
)
def _(index: int, layers: Layers) -> Span:
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride + padding + kernel - 1
    return first, last


@ex.wrong("last_without_padding", "You take the padding off the first row only; it moves both.")
def _(index: int, layers: Layers) -> Span:
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first, last = first * stride - padding, last * stride + kernel - 1
    return first, last


@ex.wrong("padding_before_the_stride", "You take the padding off before you multiply by the stride.")
def _(index: int, layers: Layers) -> Span:
    first, last = index, index
    for kernel, stride, padding in reversed(layers):
        first, last = (first - padding) * stride, (last - padding) * stride + kernel - 1
    return first, last


@ex.wrong(
    "padding_once", "You take the padding of the first layer off and no other; every layer has its own."
)
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(k, s, 0 if i else p) for i, (k, s, p) in enumerate(layers)])


@ex.wrong("one_kernel", "You use the first layer's kernel only; every layer widens the span.")
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(1 if i else k, s, p) for i, (k, s, p) in enumerate(layers)])


@ex.wrong("no_stride", "You leave the strides out.")
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(k, 1, p) for k, _, p in layers])


@ex.wrong("from_one", "You count the logit or the rows from 1; both count from 0.")
def _(index: int, layers: Layers) -> Span:
    return _span(index + 1, layers)


@ex.wrong("rows_from_one", "You count the image rows from 1; they count from 0.")
def _(index: int, layers: Layers) -> Span:
    first, last = _span(index, layers)
    return first + 1, last + 1


@ex.wrong("padded_image", "You give rows of the padded image; row 0 is the first of the image itself.")
def _(index: int, layers: Layers) -> Span:
    first, last = _span(index, layers)
    padding = layers[0][2] if layers else 0
    return first + padding, last + padding


@ex.wrong("kernel_and_stride_swapped", "You unpack (stride, kernel, padding); the kernel comes first.")
def _(index: int, layers: Layers) -> Span:
    return _span(index, [(s, k, p) for k, s, p in layers])


@ex.wrong("last_first", "You return the last row first.")
def _(index: int, layers: Layers) -> Span:
    return _span(index, layers)[::-1]


@ex.wrong("width_only", "You return the width of the span; its first and last row were asked for.")
def _(index: int, layers: Layers) -> int:
    first, last = _span(index, layers)
    return last - first + 1


common_slips(ex, "returned_nothing")

ex.breach("You click the logit", "from_one")
ex.breach("Return the first and the last row", "last_first")
ex.breach("both belong to it", "half_open")
ex.breach("`layers` holds `(kernel, stride, padding)`", "kernel_and_stride_swapped")
ex.breach("from the image to the logits", "forwards")
ex.breach("Near the border", "no_padding")
ex.breach("Near the border", "padded_image")
ex.breach("Do not cut it off", "clipped")
