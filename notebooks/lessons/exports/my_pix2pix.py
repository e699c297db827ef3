"""An image translator in one file: U-Net against PatchGAN, trained on a folder of pairs.

    python my_pix2pix.py --help
    python my_pix2pix.py --data FOLDER --size 64 --steps 2000 --out pictures
    python my_pix2pix.py --data FOLDER --both

FOLDER holds two folders of grey images, `input` (given) and `target` (wanted), or `a` and `b`: the same names
in both (.npy, .npz, and .png where Pillow is installed). Without --data, bars are drawn. Every tenth pair is
held out. During training, pictures (given, made, wanted) and a checkpoint are written into the folder --out;
the same command goes on from the checkpoint. It needs PyTorch and NumPy, and runs on the CPU.
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gantrans.teaching.mine import (
    PatchGAN,
    UNetTranslator,
    cycle_loss,
    cycle_step,
    decayed_rate,
    discriminator_loss,
    discriminator_step,
    encoder_shapes,
    exchange_fakes,
    generator_loss,
    generator_step,
    iou,
    logit_span,
    lsgan_d_loss,
    matched_features,
    patchgan_layers,
    receptive_field,
    total_loss,
    train_pix2pix,
    train_translator,
    translate_new,
    whole_step,
)
from lessons.exports._checkpoint import load, save
from lessons.exports._images import stop
from lessons.exports._pairs import drawn_pairs, held_out, moved, read_pairs
from lessons.exports._sheet import sheet, write_png
from lessons.exports._translator import Attention, Down, Logits, Spectral, Up

# ---- the networks: a U-Net with self-attention at its bottleneck, a PatchGAN with spectral normalisation

# part: encoder_shapes
# part: encoder_block
# part: encoder_maps
# part: decoder_step
# part: UNetTranslator
# part: self_attention
# part: patchgan_layers
# part: PatchGAN
# part: spectral_normalise
# part: receptive_field
# part: logit_span


# include: _translator

# ---- losses and turns

# part: lsgan_d_loss
# part: discriminator_loss
# part: generator_loss
# part: matched_features
# part: total_loss
# part: discriminator_step
# part: generator_step
# part: whole_step
# part: cycle_loss
# part: cycle_step


def turns(o: argparse.Namespace) -> tuple[Callable[..., float], Callable[..., float]]:
    """D's turn and G's turn, with the losses that were asked for."""

    def of_d(real: Tensor, fake: Tensor) -> Tensor:
        if o.loss == "lsgan" and o.label == 1:
            return lsgan_d_loss(real, fake)
        return discriminator_loss(real, fake, o.loss, o.label)

    def turn_d(D: nn.Module, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor) -> float:
        return discriminator_step(D, optimizer, x, y, fake, of_d)

    def turn_g(D: nn.Module, optimizer: Any, x: Tensor, y: Tensor, fake: Tensor) -> float:
        def of_g(logits: Tensor) -> Tensor:
            none = logits.new_zeros(1)
            matching = matched_features(x, fake, y, D, "mean").view(1) if o.weight_fm else none
            adversarial = generator_loss(logits, o.loss).view(1)
            return total_loss(adversarial, none, none, matching, (1.0, 0.0, 0.0, o.weight_fm))

        return generator_step(D, optimizer, x, y, fake, of_g, o.weight_l1)

    return turn_d, turn_g


# ---- training

# part: augment_pair
# part: train_translator
# part: exchange_fakes
# part: decayed_rate
# part: train_pix2pix


class Players:
    """G and D of one direction, their optimisers, and a store of 32 earlier fakes with their pairs."""

    def __init__(self, o: argparse.Namespace) -> None:
        widths = [channels for channels, _ in encoder_shapes(o.size, 16, 4, 128)]
        self.g = UNetTranslator(Down, Up, widths, Attention(widths[-1]))
        self.d = PatchGAN(patchgan_layers(16, 2, 128))
        if not o.plain:
            for layer in self.d.layers:
                parametrize.register_parametrization(layer, "weight", Spectral(layer.out_channels))
        self.of_g, self.of_d = (
            torch.optim.Adam(net.parameters(), lr=o.lr, betas=(0.5, 0.999)) for net in (self.g, self.d)
        )
        self.pairs: list[tuple[Tensor, Tensor]] = []
        self.draw = torch.Generator().manual_seed(o.seed)

    def store(self, x: Tensor, y: Tensor, fake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Half of the three come back from earlier steps; what belongs together stays together."""
        both, fake, self.pairs = exchange_fakes(self.pairs, torch.cat([x, y], 1), fake, 32, self.draw)
        return both[:, :1], both[:, 1:], fake

    def state(self) -> dict[str, Any]:
        """All that a run needs to go on."""
        parts = {name: getattr(self, name).state_dict() for name in ("g", "d", "of_g", "of_d")}
        return {**parts, "pairs": self.pairs, "draw": self.draw.get_state()}

    def load(self, state: dict[str, Any]) -> None:
        """As it was at `state`."""
        for name in ("g", "d", "of_g", "of_d"):
            getattr(self, name).load_state_dict(state[name])
        self.pairs = state["pairs"]
        self.draw.set_state(state["draw"])


def both_ways(
    players: list[Players], a: Tensor, b: Tensor, steps: range, o: argparse.Namespace, draw: torch.Generator
) -> list[tuple[float, float]]:
    """Steps of both directions, a -> b and b -> a, whose generators are tied by a cycle."""
    first, second = players
    critics, losses = (Logits(first.d), Logits(second.d)), []
    turn_d, _ = turns(o)
    for step in steps:
        for one in players:
            for group in (*one.of_g.param_groups, *one.of_d.param_groups):
                group["lr"] = decayed_rate(o.lr, step, o.steps)
        chosen = torch.randint(len(a), (o.batch,), generator=draw)
        x, y = a[chosen], b[chosen]
        with torch.no_grad():
            shown = (x, y, first.g(x)), (y, x, second.g(y))
        of_d = [
            turn_d(one.d, one.of_d, *one.store(*three)) for one, three in zip(players, shown, strict=True)
        ]
        for one in players:
            one.of_g.zero_grad()
        of_g = cycle_step(x, y, first.g, second.g, *critics, (1.0, o.weight_l1, 10.0))
        for one in players:
            one.of_g.step()
        losses.append((sum(of_d) / 2, float(of_g)))
    return losses


def train_on(
    players: list[Players], a: Tensor, b: Tensor, steps: range, o: argparse.Namespace, draw: torch.Generator
) -> list[tuple[float, float]]:
    """Some steps; gives the losses of D and G at each."""
    if o.both:
        return both_ways(players, a, b, steps, o, draw)
    one = players[0]
    if o.plain:
        rows = [torch.randint(len(a), (o.batch,), generator=draw) for _ in steps]
        return [whole_step(one.g, one.d, one.of_g, one.of_d, a[r], b[r], o.weight_l1) for r in rows]

    def rate(step: int) -> float:
        return decayed_rate(o.lr, step, o.steps)

    parts = (*turns(o), rate, one.store, draw)
    return train_pix2pix(one.g, one.d, one.of_g, one.of_d, a, b, steps, o.batch, *parts)


# ---- pictures, checkpoints, and the command line

# part: to_network
# part: ncc_offset
# part: iou
# part: translate_new
# include: _images
# include: _checkpoint
# include: _pairs
# include: _sheet


def show(players: list[Players], a: Tensor, b: Tensor, path: Path) -> tuple[float, Tensor]:
    """A sheet of up to four held-out pairs (given, made, wanted); the mean IoU of all, and what was made."""
    made = translate_new(players[0].g, a, 32)
    write_png(path, sheet(torch.stack([a, made, b], 1)[:4].flatten(0, 1), 3))
    return float(iou((made + 1) / 2, (b + 1) / 2, 0.5).mean()), made


def least_convincing(one: Players, a: Tensor, made: Tensor, o: argparse.Namespace) -> str:
    """Which rows and columns of the first held-out picture D finds least like a wanted one."""
    with torch.no_grad():
        logits = one.d.eval()(a[:1], made[:1])[0][0, 0]
    one.d.train()
    worst = divmod(int(logits.argmin()), logits.shape[1])
    layers = [row[2:] for row in patchgan_layers(16, 2, 128)]
    spans = [logit_span(place, layers) for place in worst]
    rows, columns = (f"{max(0, low)} to {min(o.size - 1, high)}" for low, high in spans)
    return f"rows {rows}, columns {columns}"


def options() -> argparse.Namespace:
    """What the command line asks for; a mistake ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = stop  # type: ignore[assignment, method-assign]
    add = parser.add_argument
    add("--data", type=Path, help="a folder of pairs: input and target, or a and b")
    add("--out", type=Path, default=Path("."), help="folder of pictures, checkpoint and weights")
    add("--size", type=int, default=32, help="side to which images are scaled, a multiple of 16, from 32 on")
    add("--steps", type=int, default=500, help="training steps (default: %(default)s)")
    add("--batch", type=int, default=8, help="pairs in a step (default: %(default)s)")
    add("--lr", type=float, default=1e-3, help="learning rate, which falls to 0 (default: %(default)s)")
    add("--warm-up", type=int, default=50, help="steps with L1 alone before them (default: %(default)s)")
    add("--every", type=int, default=0, help="steps between pictures (default: a tenth of --steps)")
    add("--loss", choices=("lsgan", "non_saturating", "minimax", "hinge"), default="lsgan")
    add("--label", type=float, default=1.0, help="D's target for real pairs, in (0.5, 1]; 1 with hinge")
    add("--weight-l1", type=float, default=100.0, help="weight of L1 (default: %(default)s)")
    add("--weight-fm", type=float, default=1.0, help="weight of feature matching (default: %(default)s)")
    add("--both", action="store_true", help="learn target -> input as well, with a cycle")
    add("--plain", action="store_true", help="as first published: no store, no decay, no spectral norm")
    add("--align", type=int, default=0, help="pixels by which inputs may be off their targets, with --data")
    add("--seed", type=int, default=0)
    o = parser.parse_args()
    o.every = o.every or max(1, o.steps // 10)
    if min(o.steps, o.batch, o.every, o.warm_up + 1, o.align + 1) < 1 or o.size < 32 or o.size % 16:
        stop(
            "--steps, --batch and --every are at least 1, --warm-up and --align at least 0, --size is a "
            "multiple of 16 and at least 32."
        )
    if not 0.5 < o.label <= 1 or (o.loss == "hinge" and o.label < 1):
        stop("--label lies in (0.5, 1], and is 1 with --loss hinge.")
    if not min(o.lr, o.weight_l1, o.weight_fm) >= 0 or max(o.lr, o.weight_l1, o.weight_fm) == math.inf:
        stop("--lr, --weight-l1 and --weight-fm are at least 0.")
    if o.seed < 0 or (o.both and o.plain):
        stop("--seed is at least 0, and --both and --plain do not go together.")
    try:
        o.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=o.out).close()
    except OSError as error:
        stop(f"Nothing can be written into {o.out}: {error.strerror}.")
    return o


def main() -> None:
    """Train, and write pictures, `checkpoint.pt`, `losses.npy`, `made.npy` and `weights.pt` into `--out`."""
    o = options()
    torch.manual_seed(o.seed)
    draw = torch.Generator().manual_seed(o.seed)
    a, b = read_pairs(o.data, o.size, o.align) if o.data else drawn_pairs(256, o.size, draw)
    (a, b), (new, wanted) = held_out(a, b)
    field, side = receptive_field([row[2:] for row in patchgan_layers(16, 2, 128)], o.size)
    pairs, (a, b) = len(a), moved(a, b)
    players = [Players(o) for _ in range(2 if o.both else 1)]
    path, step = o.out / "checkpoint.pt", 0
    losses: list[tuple[float, float]] = []
    if path.exists():
        step, losses = load(path, players, draw, o)
        print(f"going on from step {step}, {path}")
    print(
        f"{pairs} pairs to train on, {len(new)} held out. D gives {side} x {side} verdicts, {field} px wide."
    )
    began = time.process_time()
    if step == 0:  # D then meets no mere noise
        for one, pair in zip(players, [(a, b), (b, a)], strict=False):
            train_translator(one.g, *pair, o.warm_up, o.batch, o.lr, draw)
    while step < o.steps:
        until = min(step + o.every, o.steps)
        losses += train_on(players, a, b, range(step, until), o, draw)
        step = until
        quality, _ = show(players, new, wanted, o.out / f"samples_{step:06d}.png")
        save(path, players, draw, step, losses, o)
        of_d, of_g = np.mean(losses[-o.every :], axis=0)
        seconds = time.process_time() - began
        print(f"step {step}: D {of_d:.3f}, G {of_g:.3f}, IoU {quality:.3f}, {seconds:.0f} s", flush=True)
    quality, made = show(players, new, wanted, o.out / "samples.png")
    if o.both:
        with torch.no_grad():
            error = cycle_loss(new, wanted, *(one.g.eval() for one in players))
        print(f"cycle error {float(error):.3f}")
    np.save(o.out / "losses.npy", np.array(losses))
    np.save(o.out / "made.npy", ((made[:, 0] + 1) * 127.5).round().to(torch.uint8).numpy())
    torch.save([one.g.state_dict() for one in players], o.out / "weights.pt")
    print(f"IoU of {len(made)} held-out pairs {quality:.3f}: {o.out / 'samples.png'}")
    print(
        f"D finds {least_convincing(players[0], new, made, o)} of the first one least like a wanted picture."
    )


if __name__ == "__main__":
    main()
