"""Lesson 05: what a conditional discriminator is given."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="conditional_input",
    lesson="05",
    title="Show D the condition too",
    difficulty=2,
    minutes=8,
    spec="""
    A conditional discriminator does not ask “is this a good SEM image?” but “is this a good SEM image *of
    this layout*?” So it is given both: the condition's channels first, the image's channels behind them. A
    single condition (batch 1) may stand for many images: then it is repeated. Any other mismatch of batch,
    height or width is a mistake: raise a `ValueError`. Gradients flow to both, and neither is changed.
    """,
    hints=(
        "Compare the shapes first. Channels (axis 1) may differ, everything else must fit.",
        "`condition.expand(len(image), -1, -1, -1)` repeats a batch of one without copying.",
        "`torch.cat([condition, image], dim=1)`; before that, `raise ValueError` unless the "
        "batch is equal or the "
        "condition's is 1, and the last two axes are equal.",
    ),
    source="Mirza and Osindero 2014 (conditional GAN); Isola et al. 2017, eq. 1: D(x, y).",
    gradients=("condition", "image"),
    equivalent={
        "`(1, image.shape[0])` ->": "the order of allowed values does not matter",
        "`2` -> `-2`": "of four axes, the last two start at 2 and at -2",
    },
)


@ex.reference
def conditional_input(condition: Tensor, image: Tensor) -> Tensor:
    """condition (B or 1, C, H, W) and image (B, K, H, W) -> (B, C + K, H, W), condition first."""
    if condition.shape[2:] != image.shape[2:]:
        raise ValueError("condition and image differ in height or width")
    if condition.shape[0] not in (1, image.shape[0]):
        raise ValueError("condition and image differ in batch size")
    condition = condition.expand(image.shape[0], -1, -1, -1)
    return torch.cat([condition, image], dim=1)


@ex.edges
def _() -> list[Args]:
    a, b = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[-3.0, 4.0]]]])
    two, four = torch.cat([a, b]), torch.cat([b, a, a, b])
    wide = torch.linspace(-1, 3, 48).view(2, 3, 2, 4)
    return [
        *((a, b), (a, torch.cat([b, a, b])), (torch.cat([a, b]), torch.cat([b, b])), (torch.cat([a, b]), b)),
        *(
            (torch.cat([a, b]), torch.cat([a, b, b])),
            (a, b[..., :1]),
            (a, b.mT),
            (a[..., :1], b),
            (a, b.expand(2, 3, 1, 2)),
        ),
        *((two, four), (four, two), (torch.cat([four[:3]]), b), (two, torch.cat([four, two]))),
        *((a, b.expand(1, 1, 3, 2)), (a.expand(1, 1, 3, 2), b), (b[..., :1], a), (a.mT, b)),
        (wide.mT, (wide[:, :1] / 3).transpose(2, 3)),  # not contiguous
        (wide[:1].mT, wide.mT),
        (wide, wide.mT.reshape(2, 3, 4, 2)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    shape = (case.height, case.width)
    conditions = 1 if case.seed % 3 == 0 else case.batch
    condition = case.randn(conditions, case.integer(1, 3), *shape)
    return condition, case.randn(case.batch, case.integer(1, 2), *shape)


def _joined(condition: Tensor, image: Tensor, dim: int = 1) -> Tensor:
    if condition.shape[2:] != image.shape[2:] or len(condition) not in (1, len(image)):
        raise ValueError
    return torch.cat([condition.expand(len(image), -1, -1, -1), image], dim)


ex.wrong(
    "image_first",
    "You put the image first; weights are tied to channels, so training and use must agree on the order.",
    lambda condition, image: _joined(condition, image).roll(image.shape[1], 1),
)
ex.wrong(
    "batch_axis",
    "You join along axis 0: D would judge twice as many images, each without its condition.",
    lambda condition, image: _joined(condition, image[:, : condition.shape[1]], 0),
)
ex.wrong(
    "added",
    "You add condition and image: D cannot tell any more which of the two a pixel came from.",
    lambda condition, image: condition + image + 0 * _joined(condition, image)[:, :1],
)
ex.wrong(
    "unconditional",
    "You leave the condition out: D would accept any sharp image, even of another layout.",
    lambda condition, image: _joined(condition, image)[:, condition.shape[1] :],
)
ex.wrong(
    "detached_image",
    "You detach the image inside: in the generator's step no gradient would reach G. Detach "
    "where D is trained, not here.",
    lambda condition, image: _joined(condition, image.detach()),
)
ex.wrong(
    "no_repeat",
    "You do not repeat a single condition for many images.",
    lambda condition, image: torch.cat([condition, image], 1),
)


@ex.wrong(
    "silent_crop", "You cut both to the common size: a silent crop hides a mistake and moves every edge."
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    height, width = (min(a, b) for a, b in zip(condition.shape[2:], image.shape[2:], strict=True))
    return _joined(condition[..., :height, :width], image[..., :height, :width])


@ex.wrong("silent_resize", "You resize the condition to fit: nanometres per pixel change in silence.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[2:] != image.shape[2:]:
        condition = torch.nn.functional.interpolate(condition, image.shape[2:], mode="bilinear")
    return _joined(condition, image)


@ex.wrong(
    "repeats_image", "You also repeat a single image for many conditions; only the condition may be single."
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    if len(image) == 1:
        image = image.expand(len(condition), -1, -1, -1)
    return _joined(condition, image)


@ex.wrong(
    "first_for_all",
    "You give every image the first condition of the batch: D learns that the condition says nothing.",
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    _joined(condition, image)
    return _joined(condition[:1], image)


ex.right(_joined)
ex.right(lambda condition, image: torch.hstack([_joined(condition, image)]))


@ex.right
def _(condition: Tensor, image: Tensor) -> Tensor:
    (b, _, *size), (n, _, *other) = condition.shape, image.shape
    if size != other or b not in {1, n}:
        raise ValueError(f"{tuple(condition.shape)} does not fit {tuple(image.shape)}")
    return torch.cat((condition.repeat(n // b, 1, 1, 1), image), dim=-3)


@ex.right
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[0] == 1:
        condition = condition.repeat_interleave(image.shape[0], dim=0)
    if condition.shape[0] != image.shape[0] or condition.shape[-2:] != image.shape[-2:]:
        raise ValueError("shapes")
    return torch.concat([condition, image], 1)


@ex.right
def _(condition: Tensor, image: Tensor) -> Tensor:
    if len(condition) == 1 and len(image) > 1:
        condition = torch.cat([condition] * len(image))
    try:
        return torch.cat([condition, image], 1)
    except RuntimeError as error:
        raise ValueError("condition and image do not fit") from error


@ex.right
def _(condition: Tensor, image: Tensor) -> Tensor:
    if any(condition.shape[i] != image.shape[i] for i in (2, 3)):
        raise ValueError("size")
    if condition.size(0) != image.size(0) and condition.size(0) != 1:
        raise ValueError("batch")
    channels = condition.shape[1]
    out = image.new_empty(len(image), channels + image.shape[1], *image.shape[2:])
    out[:, :channels] = condition
    out[:, channels:] = image
    return out


@ex.right
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[2:] == image.shape[2:] and len(condition) in (1, len(image)):
        pairs = [torch.cat([condition[i % len(condition)], image[i]]) for i in range(len(image))]
        return torch.stack(pairs)
    raise ValueError("condition and image do not fit")


def _repeated(condition: Tensor, image: Tensor) -> Tensor:
    """The single condition repeated; the rest is left to `torch.cat`, which raises a RuntimeError."""
    if len(condition) == 1:
        condition = condition.expand(len(image), -1, -1, -1)
    return torch.cat([condition, image], 1)


ex.wrong(
    "unchecked",
    "You leave the check to PyTorch, which raises a `RuntimeError`; a `ValueError` was asked for.",
    _repeated,
)


@ex.wrong(
    "batch_unchecked", "You check the size but not the batch, so PyTorch raises a `RuntimeError` there."
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[2:] != image.shape[2:]:
        raise ValueError
    return _repeated(condition, image)


@ex.wrong("size_unchecked", "You check the batch but not the size, so PyTorch raises a `RuntimeError` there.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    if len(condition) not in (1, len(image)):
        raise ValueError
    return _repeated(condition, image)


@ex.wrong("width_unchecked", "You compare the heights but not the widths.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[2] != image.shape[2] or len(condition) not in (1, len(image)):
        raise ValueError
    return _repeated(condition, image)


@ex.wrong("height_unchecked", "You compare the widths but not the heights.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[3] != image.shape[3] or len(condition) not in (1, len(image)):
        raise ValueError
    return _repeated(condition, image)


@ex.wrong("single_refused", "You refuse a single condition for many images; it is to be repeated.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    if len(condition) != len(image):
        raise ValueError
    return _joined(condition, image)


@ex.wrong(
    "repeats_where_it_divides",
    "You repeat several conditions where their number divides that of the images; only a single one is.",
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    if len(image) % len(condition) or condition.shape[2:] != image.shape[2:]:
        raise ValueError
    return _joined(condition.repeat(len(image) // len(condition), 1, 1, 1), image)


@ex.wrong("too_many_conditions_cut", "You cut surplus conditions away; another number of them is a mistake.")
def _(condition: Tensor, image: Tensor) -> Tensor:
    return _joined(condition[: len(image)], image)


@ex.wrong(
    "stretched", "You stretch a condition of one row or column to the image; another size is a mistake."
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    try:
        condition = condition.expand(len(image), -1, *image.shape[2:])
    except RuntimeError as error:
        raise ValueError from error
    return _joined(condition, image)


@ex.wrong(
    "channels_compared", "You refuse different numbers of channels; only batch, height and width must fit."
)
def _(condition: Tensor, image: Tensor) -> Tensor:
    if condition.shape[1] != image.shape[1]:
        raise ValueError
    return _joined(condition, image)


ex.wrong(
    "detached_condition",
    "You detach the condition: its gradient is missing.",
    lambda condition, image: _joined(condition.detach(), image),
)
common_slips(ex, "returned_nothing", "assertion", "none_for_an_error", "graph_cut")

ex.breach("A conditional discriminator", "unconditional")
ex.breach("the condition's channels first", "image_first")
ex.breach("A single condition", "no_repeat")
ex.breach("A single condition", "single_refused")
for _name in (
    "batch_unchecked",
    "width_unchecked",
    "height_unchecked",
    "repeats_where_it_divides",
    "stretched",
):
    ex.breach("Any other mismatch", _name)
ex.breach("raise a `ValueError`", "unchecked")
ex.breach("Gradients flow", "detached_image")
ex.breach("Gradients flow", "detached_condition")
