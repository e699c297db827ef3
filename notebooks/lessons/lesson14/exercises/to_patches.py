"""Lesson 14: an image cut into patches, the tokens of a vision transformer."""

from typing import Any

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="to_patches",
    lesson="14",
    title="Cut images into patches",
    difficulty=2,
    minutes=10,
    spec=r"""
    A vision transformer reads an image as a list of patches. Cut `images` `(B, 1, H, W)` into squares of
    `side` x `side` pixels, which do not overlap and fill the image; H and W are multiples of `side`. Return
    them as `(B, N, side * side)`. The patches come in reading order, row by row and in each row from left to
    right, and so do the pixels inside a patch. Gradients flow to `images`.
    """,
    hints=(
        "View H as `(H // side, side)` and W as `(W // side, side)`: five axes with the batch. Which two of "
        "them count the patches?",
        "`x = images.reshape(B, H // side, side, W // side, side)`: batch, row of patches, row in the patch, "
        "column of patches, column in the patch. Swap the middle two.",
        "`x.permute(0, 1, 3, 2, 4).reshape(B, -1, side * side)`.",
    ),
    source="Dosovitskiy et al. 2021 (ViT), sec. 3.1.",
    gradients=("images",),
    equivalent={
        "-> `images.reshape(height // side, batch,": "the first two axes are only read in another way",
    },
)


@ex.reference
def to_patches(images: Tensor, side: int) -> Tensor:
    """images (B, 1, H, W), H and W multiples of side -> (B, H * W / side**2, side**2), in reading order."""
    batch, _, height, width = images.shape
    cut = images.reshape(batch, height // side, side, width // side, side)
    return cut.permute(0, 1, 3, 2, 4).reshape(batch, -1, side * side)


@ex.edges
def _() -> list[Args]:
    counted = torch.arange(24.0).view(1, 1, 4, 6)
    two = torch.arange(48.0).view(2, 1, 4, 6) / 7 - 3
    return [
        (counted, 2),
        (two, 2),
        (two, 1),
        (two.mT, 2),  # not contiguous
        (torch.arange(36.0).view(1, 1, 6, 6), 3),
        (torch.arange(16.0).view(1, 1, 4, 4).double(), 4),
        (torch.arange(128.0).view(2, 1, 8, 8), 4),
        (torch.arange(12.0).view(3, 1, 2, 2), 2),
    ]


@ex.inputs
def _(case: Case) -> Args:
    side = case.integer(1, 3)
    return case.randn(case.batch, 1, side * case.integer(1, 4), side * case.integer(1, 4)), side


def _cut(images: Tensor, side: int) -> Tensor:
    batch, _, height, width = images.shape
    return images.reshape(batch, height // side, side, width // side, side)


def _joined(images: Tensor, side: int, *order: int) -> Tensor:
    return _cut(images, side).permute(*order).reshape(len(images), -1, side * side)


def _far_apart(images: Tensor, side: int) -> Tensor:
    batch, _, height, width = images.shape
    cut = images.reshape(batch, side, height // side, side, width // side)
    return cut.permute(0, 2, 4, 1, 3).reshape(batch, -1, side * side)


for name, misconception, answer in (
    (
        "stripes",
        "You view the image as patches without swapping axes: each piece is a stretch of rows, no square.",
        lambda images, side: images.reshape(len(images), -1, side * side),
    ),
    (
        "columns_first",
        "Your patches go down the columns; they come row by row.",
        lambda images, side: _joined(images, side, 0, 3, 1, 2, 4),
    ),
    (
        "pixels_turned",
        "The pixels inside a patch go down its columns; they come row by row.",
        lambda images, side: _joined(images, side, 0, 1, 3, 4, 2),
    ),
    (
        "image_turned",
        "You swap rows and columns of the whole image.",
        lambda images, side: to_patches(images.mT, side),
    ),
    (
        "patches_last",
        "Your result is `(B, side * side, N)`, as `unfold` gives it; the patches come first.",
        lambda images, side: to_patches(images, side).mT,
    ),
    (
        "squares_kept",
        "You keep the patches as squares; each is to be one row of side * side numbers.",
        lambda images, side: to_patches(images, side).unflatten(2, (side, side)),
    ),
    (
        "channel_kept",
        "You keep the channel as an axis of its own.",
        lambda images, side: to_patches(images, side)[:, None],
    ),
    (
        "side_is_the_number",
        "You cut into `side` x `side` patches; `side` is their length in pixels.",
        lambda images, side: (
            to_patches(images, images.shape[-1] // side)
            if images.shape[-2] % max(1, images.shape[-1] // side) == 0
            else images.flatten(2)
        ),
    ),
    (
        "every_other_pixel",
        "Your patches hold pixels that are far apart: every so many rows and columns.",
        lambda images, side: _far_apart(images, side),
    ),
    (
        "averaged",
        "You average each patch; all of its pixels are wanted.",
        lambda images, side: to_patches(images, side).mean(2, keepdim=True),
    ),
    (
        "reversed",
        "Your patches come in reverse order.",
        lambda images, side: to_patches(images, side).flip(1),
    ),
):
    ex.wrong(name, misconception, answer)
common_slips(ex, "returned_nothing", "graph_cut", "flattened", "float32_result")


@ex.wrong("batch_mixed", "You put the patches of all images into one list; each image keeps its own.")
def _(images: Tensor, side: int) -> Tensor:
    return to_patches(images, side).flatten(0, 1)[None]


ex.right(lambda images, side: torch.nn.functional.unfold(images, side, stride=side).transpose(1, 2))


@ex.right
def _(images: Tensor, side: int) -> Tensor:
    rows = images.unfold(2, side, side).unfold(3, side, side)  # (B, 1, rows, columns, side, side)
    return rows.flatten(4).flatten(1, 3)


@ex.right
def _(images: Tensor, side: int) -> Tensor:
    parts = [
        images[:, 0, r : r + side, c : c + side].flatten(1)
        for r in range(0, images.shape[2], side)
        for c in range(0, images.shape[3], side)
    ]
    return torch.stack(parts, dim=1)


@ex.right
def _(images: Tensor, side: int) -> Any:
    strips = [part.chunk(images.shape[-1] // side, dim=-1) for part in images.split(side, dim=-2)]
    return torch.stack([tile.reshape(len(images), -1) for strip in strips for tile in strip], 1)


ex.background("A vision transformer reads")
ex.breach("Cut `images` `(B, 1, H, W)` into squares", "stripes")
ex.breach("of `side` x `side` pixels", "side_is_the_number")
ex.breach("which do not overlap and fill the image", "every_other_pixel")
ex.breach("Return them as `(B, N, side * side)`", "patches_last")
ex.breach("The patches come in reading order", "columns_first")
ex.breach("and so do the pixels inside a patch", "pixels_turned")
ex.breach("Gradients flow to `images`", "graph_cut")
