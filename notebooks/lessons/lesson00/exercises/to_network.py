"""Lesson 00: uint8 pixels to the range the networks work in."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.slips import common_slips

ex = BugHunt(
    id="to_network",
    lesson="00",
    title="From pixels to network values",
    difficulty=1,
    minutes=5,
    spec="""
    On disk a grey image is `uint8`: whole numbers from 0 (black) to 255 (white). Inside the networks of this
    course it is `float32` from -1 to +1, because the generator ends in a tanh. Write the change of range,
    $x / 127.5 - 1$, for an image of any shape, a transposed one as well. The image you are
    given must stay as it is. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "Print `2 * image` for an image of one pixel of value 200. Which type has it?",
        "Change the type first, then do arithmetic: `image.to(torch.float32)` makes a new tensor.",
        "0 must become -1, 255 must become +1: divide by 127.5, then subtract 1.",
    ),
    slip="Arithmetic in `uint8` wraps around at 256: change the type first, then do arithmetic.",
    slip_code="2 * image - 255",
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


@ex.bug
def _(image: Tensor) -> Tensor:
    """uint8 [0, 255], any shape -> float32 [-1, 1], the same shape."""
    centred = 2 * image - 255  # from -255 to 255
    return centred.to(torch.float32) / 255


@ex.symptom
def _(answer: Answer) -> str:
    made = answer(torch.tensor([0, 100, 200, 255], dtype=torch.uint8)).tolist()
    return f"the grey values 0, 100, 200 and 255 become {', '.join(f'{v:.2f}' for v in made)}."


@ex.edges
def _() -> list[Args]:
    return [
        (torch.tensor([[0, 255]], dtype=torch.uint8),),
        (torch.tensor([1, 127, 128, 254], dtype=torch.uint8),),
        (torch.tensor(7, dtype=torch.uint8),),
        (torch.full((1, 1, 2, 2), 200, dtype=torch.uint8),),
        (torch.arange(256, dtype=torch.uint8).view(16, 16).T,),  # every grey level, not contiguous
        (torch.tensor([[1, 0], [0, 1]], dtype=torch.uint8),),  # so dark that it looks converted already
        (torch.zeros(2, 1, 3, 2, dtype=torch.uint8),),
        (torch.zeros(0, 4, dtype=torch.uint8),),
        (torch.arange(0, 240, 10, dtype=torch.uint8).view(2, 3, 2, 2)[:, ::2],),
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
    "You stretch each image from its own darkest to its own brightest pixel; one grey level then means "
    "something else in every image.",
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


ex.wrong(
    "not_shifted",
    "You divide by 127.5 and leave the - 1 out: the range is then [0, 2].",
    lambda image: image.float() / 127.5,
)
ex.wrong(
    "shifted_up",
    "You shift the wrong way: with + 1 the range is [1, 3].",
    lambda image: image.float() / 127.5 + 1,
)
ex.wrong(
    "shifted_first",
    "You subtract 1 before you divide; the formula divides first.",
    lambda image: (image.float() - 1) / 127.5,
)
ex.wrong(
    "divides_by_127",
    "You divide by 127: white becomes 1.008, beyond the end of the range. Half of 255 is 127.5.",
    lambda image: image.float() / 127 - 1,
)
ex.wrong(
    "own_maximum",
    "You divide by the brightest value of the image itself; the scale is fixed, 255 is white in every image.",
    lambda image: image.float() / image.max() * 2 - 1,
)
ex.wrong(
    "guesses_the_range",
    "You leave dark images alone, as if values up to 1 meant that they are converted already; a `uint8` "
    "image never is.",
    lambda image: image.float() if image.numel() and image.max() <= 1 else image.float() / 127.5 - 1,
)
ex.wrong(
    "half_precision",
    "You return float16; the networks of the course work in float32.",
    lambda image: (image.float() / 127.5 - 1).half(),
)
ex.wrong(
    "doubled_in_bytes",
    "You double and subtract while the image is still `uint8`: the results wrap around.",
    lambda image: (2 * image - 255).float() / 255,
)
ex.wrong(
    "computed_in_half",
    "You compute in half precision: neighbouring grey levels become one.",
    lambda image: (image.half() / 127.5 - 1).float(),
)
ex.wrong(
    "squashed",
    "You apply a tanh yourself: black then becomes -0.76. The tanh is the generator's last step, not yours.",
    lambda image: (image.float() / 127.5 - 1).tanh(),
)
ex.wrong(
    "centred_in_bytes",
    "You subtract the middle while the image is still `uint8`: below zero it wraps around.",
    lambda image: (image - 128).float() / 128,
)


ex.wrong(
    "still_in_bytes",
    "Your doubling still happens in `uint8`, where 2 x 200 is 144: change the type before it.",
    lambda image: (2 * image).float() / 255 - 1,
)


@ex.wrong("given_image_changed", "You change the image that you were given; make a new tensor.")
def _(image: Tensor) -> Tensor:
    result = image / 127.5 - 1
    image.copy_(image // 2)
    return result


@ex.wrong(
    "fails_on_a_view",
    "You use `view`, which fails on a transposed or cut image; `reshape` copies where it must.",
)
def _(image: Tensor) -> Tensor:
    return (image.view(-1) / 127.5 - 1).view(image.shape)


common_slips(
    ex, "returned_nothing", "float64_result", "numpy_array", "one_axis_more", "flattened", "axes_of_one_lost"
)

ex.breach("On disk", "inverted")
ex.breach("On disk", "own_maximum")
ex.breach("Inside the networks", "double")
ex.breach("Inside the networks", "unit_range")
ex.breach("Write the change of range", "shifted_first")
ex.breach("for an image of any shape", "fails_on_a_view")
ex.breach("for an image of any shape", lambda image: (image.float() / 127.5 - 1)[None])
ex.breach("must stay as it is", "given_image_changed")
ex.breach("The code below runs", "still_in_bytes")
ex.background("Find it and mend it")
