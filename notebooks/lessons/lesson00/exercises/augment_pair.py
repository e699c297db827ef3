"""Lesson 00: one random symmetry for both images of a pair."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

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
    whole number). Images are (B, 1, H, W) and need not be square.
    """,
    hints=(
        "The image axes are the last two. Which axes do `torch.flip` and `torch.rot90` use if "
        "you do not tell them?",
        "Left and right swap when the last axis, -1, is flipped.",
        "`torch.rot90(image, turns, dims=(-2, -1))` turns counter-clockwise. Write the move "
        "once, apply it to both.",
    ),
    source="The eight symmetries of the square; geometric augmentation only, because SEM intensity "
    "carries physics.",
    gradients=("sem", "layout"),
    equivalent={"`-2` -> `2`": "of four axes, 2 and -2 are the same", "`2` -> `-2`": "see above"},
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
    return [(sem, layout, mirror, turns) for mirror in (False, True) for turns in (0, 1, 2, 3, 4, -1)]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.batch, 1, case.height, case.width)
    return case.rand(*shape), case.rand(*shape).round(), case.choice((False, True)), case.integer(-2, 5)


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
    "You also change the brightness of the SEM image; its grey values carry physics, leave them.",
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
