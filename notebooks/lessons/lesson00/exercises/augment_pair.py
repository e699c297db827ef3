"""Lesson 00: one random symmetry for both images of a pair."""

import numpy as np
import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

Pair = tuple[Tensor, Tensor]

ex = Exercise(
    id="augment_pair",
    lesson="00",
    title="Augment both images alike",
    difficulty=2,
    minutes=8,
    spec="""
    A pair is an SEM image and the layout it shows. A mirrored or turned pair is as good as a new one,
    provided that both images move alike and that no grey value changes. The draws are made for you: if
    `mirror` is true, flip left and right first; then turn by `turns` quarter turns counter-clockwise (any
    whole number). Images are (B, 1, H, W) and need not be square. Return both, and leave those that you were
    given as they are.
    """,
    hints=(
        "The image axes are the last two. Which axes do `torch.flip` and `torch.rot90` use if "
        "you do not tell them?",
        "Left and right swap when the last axis, -1, is flipped.",
        "`torch.rot90(image, turns, dims=(-2, -1))` turns counter-clockwise. Write the move "
        "once, apply it to both.",
    ),
    source="The eight symmetries of the square.",
    equivalent={
        "`-2` -> `2`": "of four axes, 2 and -2 are the same",
        "`2` -> `-2`": "see above",
    },
)


@ex.reference
def augment_pair(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> tuple[Tensor, Tensor]:
    """Two (B, 1, H, W) images -> both mirrored (if asked), then turned by `turns` quarters."""
    if mirror:
        sem, layout = sem.flip(-1), layout.flip(-1)
    return torch.rot90(sem, turns, dims=(-2, -1)), torch.rot90(layout, turns, dims=(-2, -1))


@ex.edges
def _() -> list[Args]:
    sem = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]])
    layout = torch.tensor([[[[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]]])
    grey = torch.linspace(-2, 3, 24).view(3, 2, 4, 1).permute(0, 3, 2, 1)  # any grey values, not contiguous
    few = [(sem, layout, mirror, turns) for mirror in (False, True) for turns in (0, 1, 2, 3, 4, -1, -2)]
    many = [(grey, grey.flip(0, 3) / 3, mirror, n) for mirror in (True, False) for n in (-3, 7, -6, 401)]
    square = torch.arange(9.0).view(1, 1, 3, 3)
    return [*few, *many, *((square, square.mT, mirror, 1) for mirror in (False, True))]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    sem, layout = case.randn(*shape), 1.5 * case.rand(*shape) - 0.25
    return sem, layout, case.choice((False, True)), case.integer(-4, 9)


def _moved(image: Tensor, mirror: bool, turns: int) -> Tensor:
    return torch.rot90(image.flip(-1) if mirror else image, turns, dims=(-2, -1))


ex.wrong(
    "input_only",
    "Only the SEM image is moved: the pair no longer fits, and the network learns the wrong "
    "place for every edge.",
    lambda sem, layout, mirror, turns: (_moved(sem, mirror, turns), layout),
)
ex.wrong(
    "turn_first",
    "You turn first and mirror afterwards; the two moves do not commute, so the result is another symmetry.",
    lambda sem, layout, mirror, turns: tuple(
        torch.rot90(i, turns, dims=(-2, -1)).flip(-1) if mirror else torch.rot90(i, turns, dims=(-2, -1))
        for i in (sem, layout)
    ),
)
ex.wrong(
    "upside_down",
    "You flip axis -2, which swaps top and bottom; left and right live on the last axis.",
    lambda sem, layout, mirror, turns: tuple(
        torch.rot90(i.flip(-2) if mirror else i, turns, dims=(-2, -1)) for i in (sem, layout)
    ),
)
ex.wrong(
    "clockwise",
    "You turn clockwise: `dims=(-1, -2)` or a negative count reverses the sense.",
    lambda sem, layout, mirror, turns: (_moved(sem, mirror, -turns), _moved(layout, mirror, -turns)),
)
ex.wrong(
    "batch_axes",
    "`rot90` turns axes 0 and 1 unless told otherwise: that exchanges batch and channel, not "
    "rows and columns.",
    lambda sem, layout, mirror, turns: tuple(
        torch.rot90(i.flip(-1) if mirror else i, turns) for i in (sem, layout)
    ),
)
ex.wrong(
    "transposed",
    "You swap rows and columns instead of turning; a transpose is a reflection, not a rotation.",
    lambda sem, layout, mirror, turns: tuple(
        (i.flip(-1) if mirror else i).transpose(-2, -1) if turns % 2 else _moved(i, mirror, turns)
        for i in (sem, layout)
    ),
)


@ex.wrong(
    "own_draw", "You draw again inside, and separately for each image: the two images then move differently."
)
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    first, second = torch.randint(0, 1000, (2,)).tolist()
    return _moved(sem, mirror, first % 4), _moved(layout, mirror, second % 4)


@ex.wrong(
    "brightness",
    "You also change the brightness of the SEM image; this function moves pixels and does nothing else.",
)
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    return _moved(sem, mirror, turns) * 1.1, _moved(layout, mirror, turns)


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    both = torch.cat([sem, layout], dim=1)
    if mirror:
        both = both.flip(3)
    both = both.rot90(turns, (2, 3))
    return both[:, :1], both[:, 1:]


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> list[Tensor]:
    images = [sem, layout]
    if mirror:
        images = [
            torch.fliplr(i.transpose(0, 2).transpose(1, 3)).transpose(1, 3).transpose(0, 2) for i in images
        ]
    return [torch.rot90(i, k=turns % 4, dims=[2, 3]) for i in images]


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    def move(image: Tensor) -> Tensor:
        if mirror:
            image = torch.flip(image, dims=[3])
        for _ in range(turns % 4):  # one quarter turn: transpose, then flip the rows
            image = image.transpose(2, 3).flip(2)
        return image

    return move(sem), move(layout)


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    columns = torch.arange(sem.shape[-1], device=sem.device)
    order = columns.flip(0) if mirror else columns
    return sem[..., order].rot90(turns, (-2, -1)), layout[..., order].rot90(turns, (-2, -1))


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    stack = torch.stack((sem, layout))
    if mirror:
        stack = stack.flip(dims=(-1,))
    match turns % 4:
        case 1:
            stack = stack.mT.flip(-2)
        case 2:
            stack = stack.flip(-1, -2)
        case 3:
            stack = stack.mT.flip(-1)
    return stack[0], stack[1]


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    # turning first is fine if the mirror then acts on the axis that left-right has become
    axis = -1 if turns % 2 == 0 else -2
    sem, layout = (torch.rot90(i, turns, (-2, -1)) for i in (sem, layout))
    return (sem.flip(axis), layout.flip(axis)) if mirror else (sem.clone(), layout.clone())


ex.right(lambda sem, layout, mirror, turns: tuple(_moved(i, bool(mirror), int(turns)) for i in (sem, layout)))


ex.wrong(
    "layout_only",
    "Only the layout is moved: the pair no longer fits.",
    lambda sem, layout, mirror, turns: (sem, _moved(layout, mirror, turns)),
)
ex.wrong(
    "layout_not_mirrored",
    "You mirror the SEM image and only turn the layout: both must make both moves.",
    lambda sem, layout, mirror, turns: (_moved(sem, mirror, turns), _moved(layout, False, turns)),
)
ex.wrong(
    "layout_not_turned",
    "You turn the SEM image and only mirror the layout: both must make both moves.",
    lambda sem, layout, mirror, turns: (_moved(sem, mirror, turns), _moved(layout, mirror, 0)),
)
ex.wrong(
    "always_mirrored",
    "You mirror even if `mirror` is false.",
    lambda sem, layout, mirror, turns: (_moved(sem, True, turns), _moved(layout, True, turns)),
)
ex.wrong(
    "never_mirrored",
    "You never mirror.",
    lambda sem, layout, mirror, turns: (_moved(sem, False, turns), _moved(layout, False, turns)),
)
ex.wrong(
    "mirrored_or_turned",
    "You turn only what you did not mirror; a mirrored pair is turned as well.",
    lambda sem, layout, mirror, turns: tuple(
        _moved(i, mirror, 0 if mirror else turns) for i in (sem, layout)
    ),
)
ex.wrong(
    "one_turn",
    "You turn once at most; `turns` says how often.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, mirror, min(turns, 1)) for i in (sem, layout)),
)
ex.wrong(
    "negative_not_turned",
    "You turn by no quarter if `turns` is negative (a loop over `range(turns)` does that); any whole number "
    "is allowed.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, mirror, max(turns, 0)) for i in (sem, layout)),
)
ex.wrong(
    "sign_lost",
    "You turn the same way for a negative `turns`; -1 is one quarter turn clockwise.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, mirror, abs(turns)) for i in (sem, layout)),
)
ex.wrong(
    "shape_kept",
    "You force the turned image into its old shape; a quarter turn swaps height and width.",
    lambda sem, layout, mirror, turns: tuple(
        _moved(i, mirror, turns).reshape(i.shape) for i in (sem, layout)
    ),
)
ex.wrong(
    "order_swapped",
    "You return the layout first; the SEM image comes first.",
    lambda sem, layout, mirror, turns: (_moved(layout, mirror, turns), _moved(sem, mirror, turns)),
)
ex.wrong(
    "layout_rounded",
    "You round or cut the layout's values: no grey value may change, and a layout may have grey edges.",
    lambda sem, layout, mirror, turns: (_moved(sem, mirror, turns), _moved(layout, mirror, turns).round()),
)
ex.wrong(
    "values_clipped",
    "You cut the values to [0, 1]: no grey value may change.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, mirror, turns).clamp(0, 1) for i in (sem, layout)),
)


ex.wrong(
    "half_turn",
    "You flip both image axes, which is a half turn; a mirror flips the last axis only.",
    lambda sem, layout, mirror, turns: tuple(
        _moved(i.flip(-2) if mirror else i, mirror, turns) for i in (sem, layout)
    ),
)
ex.wrong(
    "odd_or_even",
    "You turn by `turns % 2` quarters; two quarter turns are a half turn, not none: four make none.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, mirror, turns % 2) for i in (sem, layout)),
)
ex.wrong(
    "mirrored_if_not_asked",
    "You mirror if `mirror` is false and do not if it is true.",
    lambda sem, layout, mirror, turns: tuple(_moved(i, not mirror, turns) for i in (sem, layout)),
)
ex.wrong(
    "transposed_only",
    "You swap rows and columns where an odd number of turns is asked, and do nothing for a half turn.",
    lambda sem, layout, mirror, turns: tuple(
        _moved(i, mirror, 0).mT if turns % 2 else _moved(i, mirror, 0) for i in (sem, layout)
    ),
)
ex.wrong(
    "channel_axis",
    "You turn axes 1 and 2: that exchanges channel and row. The image axes are the last two.",
    lambda sem, layout, mirror, turns: tuple(
        torch.rot90(_moved(i, mirror, 0), turns, (1, 2)) for i in (sem, layout)
    ),
)
ex.wrong(
    "one_tensor",
    "You join the two images to one tensor; return a pair.",
    lambda sem, layout, mirror, turns: torch.cat(
        [_moved(sem, mirror, turns), _moved(layout, mirror, turns)], 1
    ),
)
common_slips(ex, "returned_nothing", "axes_of_one_lost")


@ex.wrong("in_place", "You write into the images that you were given; return new ones.")
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    if mirror:
        sem.copy_(sem.flip(-1))
        layout.copy_(layout.flip(-1))
    return _moved(sem, False, turns), _moved(layout, False, turns)


@ex.right
def _(sem: Tensor, layout: Tensor, mirror: bool, turns: int) -> Pair:
    def move(image: Tensor) -> Tensor:
        array = image.numpy()[..., ::-1] if mirror else image.numpy()
        return torch.from_numpy(np.rot90(array, turns, axes=(2, 3)).copy())

    return move(sem), move(layout)


ex.background("A pair is an SEM image")
ex.breach("both images move alike", "input_only")
ex.breach("no grey value changes", "brightness")
ex.breach("no grey value changes", "layout_rounded")
ex.breach("no grey value changes", "values_clipped")
ex.breach("The draws are made for you", "own_draw")
ex.breach("flip left and right first", "turn_first")
ex.breach("flip left and right first", "upside_down")
ex.breach("counter-clockwise", "clockwise")
ex.breach("any whole number", "negative_not_turned")
ex.breach("need not be square", "shape_kept")
ex.breach("Images are (B, 1, H, W)", "batch_axes")
ex.breach("Return both", "order_swapped")
ex.breach("leave those that you were given as they are", "in_place")
