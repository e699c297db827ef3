"""Pairs of grey images: read from a folder, aligned, or drawn."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.mine import augment_pair, ncc_offset, to_network
from lessons.exports._images import grey_array, names_in, read_images, stop


def drawn_pairs(count: int, size: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blurred, noisy pictures of bars, and the bars: two (count, 1, size, size) in [-1, 1]."""
    place = torch.arange(size)
    low = torch.randint(0, size // 2, (count, 3, 2, 1), generator=draw)
    high = low + torch.randint(size // 6, size // 2, (count, 3, 2, 1), generator=draw)
    inside = (place >= low) & (place < high)
    bars = (inside[:, :, 0, :, None] & inside[:, :, 1, None, :]).any(1, keepdim=True)
    layout = to_network(bars.to(torch.uint8) * 255)
    blurred = F.avg_pool2d(layout, 3, stride=1, padding=1)
    return (0.6 * blurred + 0.2 * torch.randn(layout.shape, generator=draw)).clamp(-1, 1), layout


def aligned(a: Tensor, b: Tensor, margin: int) -> tuple[Tensor, Tensor]:
    """(N, 1, S, S) twice -> b without `margin` pixels all around, and a cut where it fits b best."""
    wanted = b[..., margin : b.shape[-2] - margin, margin : b.shape[-1] - margin]
    given = []
    for image, template in zip(a[:, 0], wanted[:, 0], strict=True):
        row, column = ncc_offset(image, template)
        given.append(image[row : row + template.shape[0], column : column + template.shape[1]])
    return torch.stack(given)[:, None], wanted


def read_pairs(folder: Path, size: int, margin: int) -> tuple[Tensor, Tensor]:
    """The images of `input` and `target` (or `a` and `b`), paired by name -> two (N, 1, size, size)."""
    if not folder.is_dir():
        stop(f"There is no folder {folder}.")
    homes = [(folder / one, folder / other) for one, other in (("input", "target"), ("a", "b"))]
    given, wanted = next((pair for pair in homes if pair[0].is_dir() or pair[1].is_dir()), homes[0])
    for home in (given, wanted):
        if not home.is_dir():
            stop(f"{folder} has no folder {home.name}; needed are input and target, or a and b.")
    names = names_in(given), names_in(wanted)
    for here, there, home in (*names, wanted), (*names[::-1], given):
        for name in here.keys() - there.keys():
            stop(f"{here[name]} has no partner: there is no {name} in {home} (.png, .npy or .npz).")
    shapes = []
    for home, paths in zip((given, wanted), names, strict=True):
        if not paths:
            stop(f"There is no .png, .npy or .npz file in {home}.")
        shapes.append(next(iter(paths.values())))
    a, b = (read_images(home, size + 2 * margin)[0] for home in (given, wanted))
    sides = [grey_array(path).shape[-2:] for path in shapes]
    if sides[0] != sides[1]:
        one, other = (
            f"{home} has images of {h} x {w}" for home, (h, w) in zip((given, wanted), sides, strict=True)
        )
        stop(f"{one} pixels and {other}; both images of a pair must have one size.")
    if len(a) != len(b):
        stop(f"{given} has {len(a)} images and {wanted} has {len(b)}; they must be pairs.")
    if len(a) < 2:
        stop(f"{folder} has one pair; at least two are needed, because every tenth pair is held out.")
    return aligned(a, b, margin) if margin else (a, b)


def held_out(a: Tensor, b: Tensor) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Pairs to train on, and every tenth pair (the last one of fewer than ten) to look at."""
    apart = torch.arange(len(a)) % 10 == min(9, len(a) - 1)
    return (a[~apart], b[~apart]), (a[apart], b[apart])


def moved(a: Tensor, b: Tensor, most: int = 2**24) -> tuple[Tensor, Tensor]:
    """The pairs in all eight mirrored and turned forms, or as they are where there are over `most` pixels."""
    if a.numel() > most:
        return a, b
    forms = [augment_pair(a, b, mirror, quarters) for mirror in (False, True) for quarters in range(4)]
    return torch.cat([x for x, _ in forms]), torch.cat([y for _, y in forms])
