"""Lesson 09: how evenly a transposed convolution paints."""

import torch
import torch.nn.functional as F

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="overlap_counts",
    lesson="09",
    title="Who paints this pixel?",
    difficulty=3,
    minutes=10,
    spec="""
    A transposed convolution paints, for every input i = 0, ..., `size` - 1, a stroke of `kernel` pixels that
    starts at `i * stride`; then it cuts `padding` pixels off at both ends. The output has `(size - 1) *
    stride + kernel - 2 * padding` pixels. Return, along one axis, how many strokes cover each of them. Where
    the counts alternate, a checkerboard is built in before anything is learnt.
    """,
    hints=(
        "Paint: a list of zeros of length `(size - 1) * stride + kernel`, and add 1 along every stroke.",
        "Stroke i covers the pixels `range(i * stride, i * stride + kernel)`.",
        "Cut at the end: `counts[padding : len(counts) - padding]` (a slice up to `-padding` is empty "
        "for padding 0).",
    ),
    source="Odena, Dumoulin, Olah 2016, “Deconvolution and checkerboard artifacts”.",
)


@ex.reference
def overlap_counts(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    """Inputs, kernel, stride (>= 1), pixels cut off at both ends (2 padding < kernel) -> count per pixel."""
    counts = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for pixel in range(i * stride, i * stride + kernel):
            counts[pixel] += 1
    return counts[padding : len(counts) - padding]


@ex.edges
def _() -> list[Args]:
    return [
        *((5, 4, 2, 1), (5, 3, 2, 1), (5, 4, 2, 0), (5, 3, 2, 0), (1, 4, 2, 1), (4, 2, 2, 0)),
        *((4, 1, 2, 0), (4, 3, 1, 1), (3, 5, 2, 2), (4, 6, 3, 1), (3, 2, 3, 0), (6, 7, 4, 3)),
        *((1, 1, 1, 0), (1, 7, 4, 3), (5, 1, 3, 0), (12, 2, 5, 0), (7, 9, 1, 4), (2, 5, 4, 1)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    kernel = case.integer(1, 7)
    return case.integer(1, 7), kernel, case.integer(1, 4), case.integer(0, (kernel - 1) // 2)


def _counts(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    length = (size - 1) * stride + kernel - 2 * padding
    return [sum(0 <= pixel + padding - i * stride < kernel for i in range(size)) for pixel in range(length)]


ex.wrong(
    "not_cut",
    "You do not cut the padding off: padding makes the output of a transposed convolution *smaller*.",
    lambda size, kernel, stride, padding: _counts(size, kernel, stride, 0),
)
ex.wrong(
    "cut_at_one_end",
    "You cut the padding off at one end only.",
    lambda size, kernel, stride, padding: _counts(size, kernel, stride, 0)[padding:],
)
ex.wrong(
    "padded",
    "You add pixels for the padding, as an ordinary convolution does to its input.",
    lambda size, kernel, stride, padding: [0] * padding + _counts(size, kernel, stride, 0) + [0] * padding,
)
ex.wrong(
    "empty_slice",
    "You cut with `[padding:-padding]`: with padding 0 that is empty.",
    lambda size, kernel, stride, padding: _counts(size, kernel, stride, 0)[padding:-padding],
)
ex.wrong(
    "no_stride",
    "You let every stroke start one pixel after the other; they start `stride` pixels apart.",
    lambda size, kernel, stride, padding: _counts(size, kernel, 1, padding),
)
ex.wrong(
    "covered_or_not",
    "You say whether a pixel is covered, 1 or 0; asked for is by how many strokes.",
    lambda size, kernel, stride, padding: [
        int(any(0 <= pixel + padding - i * stride < kernel for i in range(size)))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)
ex.wrong(
    "one_too_long",
    "You make every stroke one pixel too long (`<= kernel`).",
    lambda size, kernel, stride, padding: [
        sum(0 <= pixel + padding - i * stride <= kernel for i in range(size))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)
ex.wrong(
    "forward",
    "You count which inputs an ordinary convolution reads; here every input paints.",
    lambda size, kernel, stride, padding: [
        sum(0 <= o * stride - padding + k < size for k in range(kernel))
        for o in range(max(0, (size + 2 * padding - kernel) // stride + 1))
    ],
)
ex.wrong(
    "upsampled_size",
    "You return `size * stride` pixels whatever the kernel; that is right only if kernel - 2 padding = "
    "stride.",
    lambda size, kernel, stride, padding: (_counts(size, kernel, stride, padding) + [0] * (size * stride))[
        : size * stride
    ],
)
ex.wrong(
    "shares",
    "You divide by the largest count; whole counts were asked for.",
    lambda size, kernel, stride, padding: [
        c / max(_counts(size, kernel, stride, padding)) for c in _counts(size, kernel, stride, padding)
    ],
)
ex.wrong(
    "square",
    "You return the counts over both axes (their products); one axis was asked for.",
    lambda size, kernel, stride, padding: [c * c for c in _counts(size, kernel, stride, padding)],
)

ex.wrong(
    "stroke_of_stride",
    "Your strokes are as long as the stride; they have `kernel` pixels.",
    lambda size, kernel, stride, padding: [
        sum(i * stride <= pixel + padding < (i + 1) * stride for i in range(size))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)
ex.wrong(
    "cut_twice",
    "You cut the padding off twice: both the strokes' places and the list are shifted by it.",
    lambda size, kernel, stride, padding: _counts(size, kernel, stride, padding)[
        padding : max(padding, (size - 1) * stride + kernel - 3 * padding)
    ],
)
ex.wrong(
    "cut_at_the_end",
    "You cut all of the padding off at the end; half of it belongs to the start.",
    lambda size, kernel, stride, padding: _counts(size, kernel, stride, 0)[
        : (size - 1) * stride + kernel - 2 * padding
    ],
)
ex.wrong(
    "one_input_less",
    "You leave the last input out: they are numbered 0, ..., size - 1.",
    lambda size, kernel, stride, padding: [
        sum(0 <= pixel + padding - i * stride < kernel for i in range(size - 1))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)
ex.wrong(
    "one_too_short",
    "You make every stroke one pixel too short.",
    lambda size, kernel, stride, padding: [
        sum(0 <= pixel + padding - i * stride < kernel - 1 for i in range(size))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)
ex.wrong(
    "centred_strokes",
    "You let every stroke lie around `i * stride`; it starts there.",
    lambda size, kernel, stride, padding: [
        sum(0 <= pixel + padding - i * stride + kernel // 2 < kernel for i in range(size))
        for pixel in range((size - 1) * stride + kernel - 2 * padding)
    ],
)


ex.right(_counts)


@ex.right
def _(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    painted = F.conv_transpose1d(torch.ones(1, 1, size), torch.ones(1, 1, kernel), None, stride, padding)
    return [round(count) for count in painted.flatten().tolist()]


@ex.right
def _(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    length = (size - 1) * stride + kernel
    return [
        min(size - 1, pixel // stride) - max(0, -((kernel - 1 - pixel) // stride)) + 1
        if min(size - 1, pixel // stride) >= max(0, -((kernel - 1 - pixel) // stride))
        else 0
        for pixel in range(padding, length - padding)
    ]


@ex.right
def _(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    # a stroke begins with +1 and ends with -1; the running sum is the count
    change = torch.zeros((size - 1) * stride + kernel + 1, dtype=torch.long)
    for i in range(size):
        change[i * stride] += 1
        change[i * stride + kernel] -= 1
    return change.cumsum(0).tolist()[padding : len(change) - 1 - padding]


@ex.right
def _(size: int, kernel: int, stride: int, padding: int) -> list[int]:
    starts = {i * stride for i in range(size)}
    return [
        len(starts & set(range(pixel - kernel + 1, pixel + 1)))
        for pixel in range(padding, (size - 1) * stride + kernel - padding)
    ]


ex.breach("a stroke of `kernel` pixels that starts at `i * stride`", "no_stride")
ex.breach("it cuts `padding` pixels off at both ends", "cut_at_one_end")
ex.breach("The output has `(size - 1) * stride + kernel - 2 * padding` pixels.", "upsampled_size")
ex.breach("Return, along one axis, how many strokes cover each of them.", "covered_or_not")
ex.background("Where the counts alternate")
