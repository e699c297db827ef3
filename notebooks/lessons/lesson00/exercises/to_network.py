"""Lesson 00: uint8 pixels to the range the networks work in."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="to_network",
    lesson="00",
    title="From pixels to network values",
    difficulty=1,
    minutes=5,
    spec="""
    On disk a grey image is `uint8`: whole numbers from 0 (black) to 255 (white). Inside the networks of this
    course it is `float32` from -1 to +1, because the generator ends in a tanh. Write the change of range,
    $x / 127.5 - 1$, for an image of any shape. The image you are given must stay as it is.
    """,
    hints=(
        "Which type does `image / 127.5` have, and which type does `image - 1` have when the "
        "image is all zeros?",
        "Change the type first, then do arithmetic: `image.to(torch.float32)` makes a new tensor.",
        "0 must become -1, 255 must become +1: divide by 127.5, then subtract 1.",
    ),
    source="gantrans.images.network_from_uint8; the range of tanh as in Isola et al. 2017 (pix2pix).",
    equivalent={
        "value.detach()": "the input is uint8, so there is no gradient to cut",
        "value.float()": "the value is float32 already",
        "`image.to(torch.float32)` -> `image`": "dividing a uint8 tensor gives float32 by "
        "PyTorch's promotion rules",
    },
)


@ex.reference
def to_network(image: Tensor) -> Tensor:
    """uint8 [0, 255], any shape -> float32 [-1, 1], the same shape."""
    return image.to(torch.float32) / 127.5 - 1


@ex.edges
def _() -> list[Args]:
    return [
        (torch.tensor([[0, 255]], dtype=torch.uint8),),
        (torch.tensor([1, 127, 128, 254], dtype=torch.uint8),),
        (torch.tensor(7, dtype=torch.uint8),),
        (torch.full((1, 1, 2, 2), 200, dtype=torch.uint8),),
    ]


@ex.inputs
def _(case: Case) -> Args:
    image = torch.randint(0, 256, (case.batch, 1, case.height, case.width), generator=case.generator)
    return (image.to(torch.uint8),)


ex.wrong(
    "unit_range",
    "You stop at [0, 1], the range of plots and metrics; the network's range [-1, 1] is "
    "twice as wide and centred.",
    lambda image: image.float() / 255,
)
ex.wrong(
    "divides_by_128",
    "You divide by 128, the number of grey levels per half; then white becomes 0.992 and never reaches 1.",
    lambda image: image.float() / 128 - 1,
)
ex.wrong(
    "own_extremes",
    "You stretch each image from its own darkest to its own brightest pixel; grey levels "
    "then mean something else in "
    "every image, and SEM intensity carries physics.",
    lambda image: (image.float() - image.min()) / (image.max() - image.min()) * 2 - 1,
)
ex.wrong(
    "double",
    "You compute in float64: right values, but twice the memory, and a float32 network refuses the type.",
    lambda image: image.double() / 127.5 - 1,
)
ex.wrong(
    "type_last",
    "You do whole-number arithmetic before you change the type, so fractions are lost.",
    lambda image: (image // 127.5 - 1).float(),
)
ex.wrong(
    "wraps_around",
    "You subtract while the image is still uint8: below zero it wraps around to 255.",
    lambda image: (image - 127).float() / 127.5,
)
ex.wrong(
    "standardised",
    "You standardise to mean 0 and deviation 1; that range has no fixed ends, and tanh "
    "cannot reach beyond 1.",
    lambda image: (image.float() - image.float().mean()) / (image.float().var(correction=0).sqrt() + 1e-5),
)
ex.wrong(
    "inverted",
    "You have black and white the wrong way round: 0 must become -1.",
    lambda image: 1 - image.float() / 127.5,
)

ex.right(lambda image: image.float() / 255 * 2 - 1)
ex.right(lambda image: (image.float() - 127.5) / 127.5)
ex.right(lambda image: image.to(torch.float32).div(127.5).sub(1.0))
ex.right(lambda image: (image / 255.0 - 0.5) * 2)
ex.right(lambda image: torch.lerp(torch.tensor(-1.0), torch.tensor(1.0), image.float() / 255))
ex.right(lambda image: torch.linspace(-1, 1, 256, device=image.device)[image.long()])
ex.right(lambda image: torch.add(-1.0, image.type(torch.float), alpha=2 / 255))


@ex.right
def _(image: Tensor) -> Tensor:
    values = image.clone().float()
    values *= 2.0
    values /= 255.0
    values -= 1.0
    return values
