"""From a folder of pairs to a translator with an interval: align, split, overfit one, train, stop, judge.

    python my_pairs.py --help
    python my_pairs.py --data FOLDER --group "(.+)_" --steps 4000 --out report
    python my_pairs.py --data FOLDER --align 4 --size 128

FOLDER holds `input` (given) and `target` (wanted), with equal names in both: .npy arrays (H, W) or (H, W, 3),
or .png where Pillow is installed, 8 bits each, grey or colour. What --group finds in a name, in brackets, is
the group of a pair: a house, a wafer, a patient. Groups stay together in the split. Without --data, coloured
blocks are drawn. The training stops by itself. The file needs PyTorch and NumPy, and runs on the CPU.
"""

import argparse
import copy
import json
import math
import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    UNetTranslator,
    copy_score,
    find_shift,
    group_interval,
    overfit_one,
    random_crops,
    split_groups,
    stop_rule,
)
from lessons.exports._images import names_in, stop

# ---- pairs

# part: ncc_offset
# part: find_shift
# part: split_groups
# part: random_crops
# include: _images


def read_colour(path: Path) -> np.ndarray:
    """(H, W, 3) uint8; grey is repeated."""
    try:
        if path.suffix == ".png":
            from PIL import Image

            image = Image.open(path)
            if image.mode not in ("1", "L", "P", "RGB", "RGBA"):
                stop(f"{path} is stored as {image.mode}; needed are 8-bit images.")
            values = np.asarray(image.convert("RGB"))
        else:
            values = np.load(path)
    except ImportError:
        stop(f"{path} is a PNG, which needs the package Pillow; install it or save the images as .npy.")
    except Exception as error:  # damaged bytes can make a decoder raise anything
        stop(f"{path} cannot be read as an image: {' '.join(str(error).split())}.")
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or not values.size:
        stop(f"{path} holds no 8-bit image.")
    if values.ndim == 2:
        values = np.stack([values] * 3, axis=-1)
    if values.ndim != 3 or values.shape[-1] != 3:
        stop(f"{path} has the shape {values.shape}; needed is (H, W) or (H, W, 3).")
    return values


def read_pairs(folder: Path, size: int) -> tuple[list[str], Tensor, Tensor]:
    """Names, and what is given and wanted: middle squares, (N, 3, size, size) in [-1, 1]."""
    homes = folder / "input", folder / "target"
    for home in homes:
        if not home.is_dir():
            stop(f"There is no folder {home}; needed are input and target.")
    given, wanted = (names_in(home) for home in homes)
    if lonely := sorted(given.keys() ^ wanted.keys()):
        stop(f"{lonely[0]} is in one of {homes[0]} and {homes[1]} only; every image needs a partner.")
    sides: tuple[list[Tensor], list[Tensor]] = ([], [])
    for name in sorted(given):
        pair = [read_colour(found[name]) for found in (given, wanted)]
        if pair[0].shape != pair[1].shape:
            stop(f"{given[name]} and its partner differ in size; make them equal.")
        side = min(pair[0].shape[:2])
        top, left = ((length - side) // 2 for length in pair[0].shape[:2])
        for values, images in zip(pair, sides, strict=True):
            square = torch.from_numpy(values[top : top + side, left : left + side].astype(np.float32))
            images.append(
                F.interpolate(square.permute(2, 0, 1)[None] / 127.5 - 1, (size, size), mode="area")[0]
            )
    return sorted(given), torch.stack(sides[0]), torch.stack(sides[1])


def drawn_pairs(count: int, size: int, draw: torch.Generator) -> tuple[list[str], Tensor, Tensor]:
    """Blocks in flat colours, and the same blocks in others, lit and with grain; two pictures of each."""
    names = [f"block{i // 2:02d}_{i % 2}" for i in range(count)]
    kinds = torch.randint(4, (count // 2, 1, size // 8, size // 8), generator=draw).repeat_interleave(2, 0)
    kinds = kinds.repeat_interleave(8, 2).repeat_interleave(8, 3)[:, 0]
    flat = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.4, 0.9], [0.7, 0.2, 0.0], [0.0, 0.8, 1.0]])
    paint = torch.tensor([[0.6, 0.7, 0.8], [0.8, 0.7, 0.5], [0.5, 0.3, 0.2], [0.2, 0.2, 0.3]])
    light = 1 + 0.1 * torch.randn(count, 1, 1, 1, generator=draw)
    lit = paint[kinds] * light + 0.03 * torch.randn(count, size, size, 3, generator=draw)
    given, wanted = (2 * images.permute(0, 3, 1, 2).clamp(0, 1) - 1 for images in (flat[kinds], lit))
    return names, given, wanted


def aligned(x: Tensor, y: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Both cut by the most frequent shift, and to a multiple of 8."""
    found = Counter(find_shift(one, other, most) for one, other in zip(x, y, strict=True))
    (down, right), count = found.most_common(1)[0]
    print(f"shift of {count} of {len(x)} pairs: {down} rows, {right} columns")
    size = x.shape[-1]
    rows, columns = slice(max(down, 0), size + min(down, 0)), slice(max(right, 0), size + min(right, 0))
    x = x[..., rows, columns]
    y = y[..., slice(max(-down, 0), size + min(-down, 0)), slice(max(-right, 0), size + min(-right, 0))]
    high, wide = (length // 8 * 8 for length in x.shape[-2:])
    return x[..., :high, :wide], y[..., :high, :wide]


# ---- the network, for colour

# part: encoder_maps
# part: UNetTranslator


class Up(nn.Module):
    """(B, C, H, W) and a skip -> (B, C' + S, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.layers = nn.Sequential(nn.Upsample(scale_factor=2), convolution, nn.GroupNorm(8, outputs))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Pixels repeated, a convolution; the skip goes behind it."""
        return torch.cat([F.relu(self.layers(x)), skip], dim=1)


def halving(inputs: int, outputs: int, norm: bool) -> nn.Module:
    """(B, C, H, W) -> (B, C', H / 2, W / 2)."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1)]
    return nn.Sequential(*layers, *([nn.GroupNorm(8, outputs)] if norm else []), nn.LeakyReLU(0.2))


def translator(width: int, seed: int) -> nn.Module:
    """(B, 3, H, W) in [-1, 1] -> the same; H and W are multiples of 8."""
    torch.manual_seed(seed)
    net: nn.Module = UNetTranslator(halving, Up, (width, 2 * width, 4 * width))
    net.down[0] = halving(3, width, False)  # type: ignore[index, operator, assignment]
    net.last = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2 * width, 3, 5, padding=2))
    return net


# ---- training, and when it ends

# part: overfit_one
# part: stop_rule

LEAST, SHARE = 8, 0.75
"""Patience: at least so many checks, and so many for every check up to the best one."""


@torch.no_grad()
def translate(net: nn.Module, x: Tensor) -> Tensor:
    """(N, 3, H, W) -> the same."""
    net.eval()
    made = torch.cat([net(some) for some in x.split(16)])
    net.train()
    return made


def error(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The mean absolute error of each picture, (N,), where black and white are 1 apart."""
    return (translate(net, x) - y).abs().mean(dim=(1, 2, 3)) / 2


def learn(
    net: nn.Module, x: Tensor, y: Tensor, parts: tuple[list[int], list[int]], o: argparse.Namespace
) -> tuple[int, int]:
    """Train with L1 until the rule stops; `net` then has the best weights -> (last step, kept step)."""
    train, val = parts
    optimiser = torch.optim.Adam(net.parameters(), lr=o.lr)
    draw = torch.Generator().manual_seed(o.seed)
    crop = min(x.shape[-2:]) * 3 // 32 * 8
    errors: list[float] = []
    kept, best = copy.deepcopy(net.state_dict()), 0
    for step in range(1, o.steps + 1):
        chosen = [train[i] for i in torch.randint(len(train), (o.batch,), generator=draw)]
        given, wanted = random_crops(x[chosen], y[chosen], crop, draw)
        loss = F.l1_loss(net(given), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % o.every and step < o.steps:
            continue
        errors.append(float(error(net, x[val], y[val]).mean()))
        print(f"  step {step}: validation error {errors[-1]:.4f}", flush=True)
        _, best = stop_rule(errors, LEAST, SHARE)
        if best == len(errors) - 1:
            kept = copy.deepcopy(net.state_dict())
        if stop_rule([*errors, errors[-1]], LEAST, SHARE)[0] < len(
            errors
        ):  # it would not wait for another one
            break
    net.load_state_dict(kept)
    return step, min((best + 1) * o.every, o.steps)


# ---- how good it is

# part: copy_score
# part: group_interval

STUDENT = (6.31, 2.92, 2.35, 2.13, 2.02, 1.94, 1.89, 1.86, 1.83, 1.81)
"""95 % quantiles of Student's distribution for 1, 2, ... degrees of freedom; more than ten: 1.8."""


def write_pictures(path: Path, rows: list[Tensor]) -> None:
    """Columns of colour images (N, 3, H, W) in [-1, 1] as an array of whole numbers, (3, rows, columns)."""
    sheet = torch.cat([torch.cat(list(images[:6]), dim=1) for images in rows], dim=2)
    np.save(path, ((sheet + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).numpy())


def options() -> argparse.Namespace:
    """What the command line asks for; a mistake ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = stop  # type: ignore[assignment, method-assign]
    add = parser.add_argument
    add("--data", type=Path, help="a folder with input and target")
    add("--group", default=r"(.+)_", help="pattern whose brackets hold a pair's group (default: %(default)s)")
    add("--out", type=Path, default=Path("."), help="folder of the weights, pictures and report")
    add("--size", type=int, default=32, help="side to which images are scaled, a multiple of 8, from 32 on")
    add("--steps", type=int, default=1000, help="most training steps (default: %(default)s)")
    add("--every", type=int, default=10, help="steps between two checks (default: %(default)s)")
    add("--batch", type=int, default=4, help="pairs in a step (default: %(default)s)")
    add(
        "--width",
        type=int,
        default=16,
        help="channels of the first level, a multiple of 8 (default: %(default)s)",
    )
    add("--lr", type=float, default=1e-3, help="learning rate (default: %(default)s)")
    add("--held-out", type=float, default=0.2, help="share of the groups in validation and test each")
    add("--align", type=int, default=0, help="largest shift to look for, in pixels; 0: none")
    add("--seed", type=int, default=0)
    o = parser.parse_args()
    if min(o.steps, o.every, o.batch, o.width) < 1 or o.size < 32 or o.size % 8 or o.width % 8 or o.seed < 0:
        stop("--steps, --every and --batch are at least 1; --size (from 32) and --width are multiples of 8.")
    if not 0 < o.held_out < 0.5 or not 0 < o.lr < math.inf or not 0 <= o.align <= o.size // 8:
        stop("--held-out lies between 0 and 0.5, --lr above 0, --align is at most an eighth of --size.")
    try:
        if re.compile(o.group).groups != 1:
            stop(f"--group {o.group} needs one pair of brackets.")
        o.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=o.out).close()
    except re.error as problem:
        stop(f"--group {o.group} is no regular expression: {problem}.")
    except OSError as problem:
        stop(f"Nothing can be written into {o.out}: {problem.strerror}.")
    return o


def main() -> None:
    """Train and judge; writes `weights.pt`, `pictures.npy` (given, made, wanted) and `report.json`."""
    o = options()
    draw = torch.Generator().manual_seed(o.seed)
    names, x, y = read_pairs(o.data, o.size) if o.data else drawn_pairs(40, o.size, draw)
    if o.align:
        x, y = aligned(x, y, o.align)
    try:
        train, val, test = split_groups(names, o.group, o.held_out, draw)
    except ValueError as problem:
        stop(f"The pairs cannot be split with --group {o.group}: {problem}")
    found = [re.search(o.group, name) for name in names]
    groups = [one[1] for one in found if one]
    number = torch.tensor([sorted(set(groups)).index(group) for group in groups])
    print(f"{len(train)} pairs to train on, {len(val)} to validate, {len(test)} to test")
    losses = overfit_one(translator(o.width, o.seed), x[:1], y[:1], o.lr, 0.05, min(100, o.steps))
    print(f"one pair: loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} rounds")
    net = translator(o.width, o.seed)
    last, kept = learn(net, x, y, (train, val), o)
    print(f"it ends at step {last} and keeps step {kept}")
    made, errors = translate(net, x[test]), error(net, x[test], y[test])
    dull = float((y[train].mean(0) - y[test]).abs().mean() / 2)
    report = {"step": float(kept), "one pair": losses[-1], "mean picture": dull}
    freedom = len(number[test].unique()) - 1
    if freedom:
        t = STUDENT[freedom - 1] if freedom <= len(STUDENT) else 1.8
        report["error"], report["low"], report["high"] = group_interval(errors, number[test], t)
        print(f"error {report['error']:.4f}, 90 % interval {report['low']:.4f} to {report['high']:.4f}")
    else:
        report["error"] = float(errors.mean())
        print(f"error {report['error']:.4f}; one test group is too few for an interval")
    print(f"error of the mean picture {dull:.4f}")
    thumbs = [F.avg_pool2d(images, 8) for images in (made, y[test], y[train])]
    scores = [copy_score(some, thumbs[2], number[train]) for some in thumbs[:2]]
    report["copies"] = float((scores[0] > scores[1].max()).float().mean())
    print(f"{report['copies']:.0%} of the outputs are more like one training group than any real picture")
    write_pictures(o.out / "pictures.npy", [x[test], made, y[test]])
    (o.out / "report.json").write_text(json.dumps([report], indent=1) + "\n")
    torch.save(net.state_dict(), o.out / "weights.pt")


if __name__ == "__main__":
    main()
