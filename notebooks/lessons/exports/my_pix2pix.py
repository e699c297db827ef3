"""An image translator: U-Net against PatchGAN, trained on pairs, in one file.

    python my_pix2pix.py --help
    python my_pix2pix.py --steps 500 --out pictures
    python my_pix2pix.py --data folder_with_a_and_b --size 64 --both

`--data` holds two folders of grey images, `a` (given) and `b` (wanted), paired by name. It needs PyTorch and
NumPy. Images are .npy or .npz, and .png where Pillow is installed.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    augment_pair,
    channel_rule,
    conditional_input,
    cycle_loss,
    decayed_rate,
    decoder_step,
    discriminator_loss,
    encoder_block,
    exchange_fakes,
    generator_loss,
    cycle_step,
    iou,
    lsgan_d_loss,
    matched_features,
    ncc_offset,
    patchgan_layers,
    self_attention,
    smoothed_d_loss,
    spectral_normalise,
    to_network,
    total_loss,
    train_translator,
)
from lessons.exports._images import read_images, stop

# ---- the generator: a U-Net with self-attention at its bottleneck

# part: channel_rule
# part: encoder_block
# part: decoder_step
# part: self_attention


def weights(*shape: int) -> nn.Parameter:
    """Normal, with the standard deviation 0.02 of the pix2pix paper."""
    return nn.Parameter(0.02 * torch.randn(*shape))


class Down(nn.Module):
    """(B, C, H, W) -> (B, C', H / 2, W / 2): convolution, batch norm, leaky ReLU."""

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.weight = weights(out, channels, 4, 4)
        self.scale, self.shift = nn.Parameter(torch.ones(out)), nn.Parameter(torch.zeros(out))
        self.register_buffer("mean", torch.zeros(out))
        self.register_buffer("variance", torch.ones(out))

    def forward(self, x: Tensor) -> Tensor:
        """The running mean and variance are updated in training."""
        state = self.mean, self.variance, self.training
        return encoder_block(x, self.weight, self.scale, self.shift, *state)


class Attention(nn.Module):
    """(B, C, H, W) -> the same, each pixel mixed with all others; nothing at first, since gamma is 0."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        few = max(1, channels // 8)
        self.query, self.key = nn.Linear(channels, few), nn.Linear(channels, few)
        self.value = nn.Linear(channels, channels)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Query and key have an eighth of the channels."""
        three = [t for layer in (self.query, self.key, self.value) for t in (layer.weight, layer.bias)]
        return self_attention(x, *three, self.gamma)


class UNet(nn.Module):
    """(B, 1, H, W) in [-1, 1] -> the same; H and W are multiples of 2**levels."""

    def __init__(self, levels: int = 4, base: int = 16, cap: int = 128) -> None:
        super().__init__()
        widths = [channel_rule(level, base, cap) for level in range(levels)]
        self.down = nn.ModuleList(Down(i, o) for i, o in zip([1, *widths], widths, strict=False))
        self.attention = Attention(widths[-1])
        inputs = [widths[-1], *(2 * w for w in reversed(widths[:-1]))]
        self.up = nn.ParameterList(weights(i, o, 4, 4) for i, o in zip(inputs, widths[-2::-1], strict=False))
        self.last = nn.ConvTranspose2d(inputs[-1], 1, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Every encoder map is handed to the decoder level of its size."""
        maps = []
        for down in self.down:
            x = down(x)
            maps.append(x)
        x = self.attention(x)
        for weight, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            x = decoder_step(x, skip, weight)
        return torch.tanh(self.last(x))


# ---- the discriminator: a PatchGAN with spectral normalisation

# part: patchgan_layers
# part: spectral_normalise
# part: conditional_input


class PatchGAN(nn.Module):
    """Condition and image (B, 1, H, W) -> patch logits (B, 1, h, w) and the maps before them."""

    def __init__(self, base: int = 16, n_layers: int = 2, cap: int = 128) -> None:
        super().__init__()
        rows = patchgan_layers(base, n_layers, cap)
        self.rows = [(stride, padding) for *_, stride, padding in rows]
        self.kernels = nn.ParameterList(weights(o, i, k, k) for i, o, k, *_ in rows)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(o)) for _, o, *_ in rows)
        for number, (_, out, *_) in enumerate(rows):
            self.register_buffer(f"u{number}", F.normalize(torch.randn(out), dim=0))

    def forward(self, condition: Tensor, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Each kernel is divided by its largest singular value, which is estimated anew in training."""
        x, maps = conditional_input(condition, image), []
        for number, (stride, padding) in enumerate(self.rows):
            u = getattr(self, f"u{number}")
            kernel, _, u = spectral_normalise(self.kernels[number], u, 1)
            if self.training:
                setattr(self, f"u{number}", u.detach())
            x = F.conv2d(x, kernel, self.biases[number], stride, padding)
            if number < len(self.rows) - 1:
                x = F.leaky_relu(x, 0.2)
                maps.append(x)
        return x, maps


class Logits(nn.Module):
    """A discriminator's logits alone."""

    def __init__(self, critic: PatchGAN) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, condition: Tensor, image: Tensor) -> Tensor:
        """(B, 1, H, W) twice -> (B, 1, h, w)."""
        return self.critic(condition, image)[0]


# ---- losses

# part: lsgan_d_loss
# part: discriminator_loss
# part: smoothed_d_loss
# part: generator_loss
# part: matched_features
# part: cycle_loss
# part: total_loss
# part: cycle_step


def critic_loss(real: Tensor, fake: Tensor, kind: str, label: float) -> Tensor:
    """D's loss: least squares, another of the four kinds, or with a smoothed label for real pairs."""
    if label < 1:
        return smoothed_d_loss(real, fake, label)
    return lsgan_d_loss(real, fake) if kind == "lsgan" else discriminator_loss(real, fake, kind)


# ---- training

# part: augment_pair
# part: train_translator
# part: exchange_fakes
# part: decayed_rate


class Players:
    """G and D of one direction, their optimisers, and the store of earlier fakes."""

    def __init__(self, lr: float) -> None:
        self.g, self.d = UNet(), PatchGAN()
        self.lr = lr
        self.of_g = torch.optim.Adam(self.g.parameters(), lr=lr, betas=(0.5, 0.999))
        self.of_d = torch.optim.Adam(self.d.parameters(), lr=lr, betas=(0.5, 0.999))
        self.store: list[tuple[Tensor, Tensor]] = []

    def set_rate(self, step: int, total: int) -> None:
        """The learning rate of this step, for both."""
        for group in (*self.of_g.param_groups, *self.of_d.param_groups):
            group["lr"] = decayed_rate(self.lr, step, total)

    def turn_of_d(
        self, x: Tensor, y: Tensor, fake: Tensor, kind: str, label: float, draw: torch.Generator
    ) -> float:
        """One step of D on real pairs and on fakes, some of them earlier ones."""
        given, shown, self.store = exchange_fakes(self.store, x, fake.detach(), 32, draw)
        loss = critic_loss(self.d(x, y)[0], self.d(given, shown)[0], kind, label)
        self.of_d.zero_grad()
        loss.backward()
        self.of_d.step()
        return loss.item()

    def turn_of_g(self, x: Tensor, y: Tensor, fake: Tensor, kind: str, shares: tuple[float, float]) -> float:
        """One step of G: fool D, stay near y (weight of L1), match D's features (weight of FM)."""
        self.d.requires_grad_(False)
        adversarial = generator_loss(self.d(x, fake)[0], kind)
        matching = matched_features(x, fake, y, self.d, "mean") if shares[1] else adversarial.new_zeros(())
        terms = [t.view(1) for t in (adversarial, F.l1_loss(fake, y), adversarial.new_zeros(()), matching)]
        loss = total_loss(*terms, (1.0, shares[0], 0.0, shares[1]))
        self.of_g.zero_grad()
        loss.backward()
        self.of_g.step()
        self.d.requires_grad_(True)
        return loss.item()


def train_pix2pix(
    players: list[Players], a: Tensor, b: Tensor, o: argparse.Namespace
) -> list[tuple[float, float]]:
    """One direction (a -> b), or both with a cycle; gives the losses of G and D at every step."""
    draw = torch.Generator().manual_seed(o.seed)
    for one, (given, wanted) in zip(players, [(a, b), (b, a)], strict=False):
        train_translator(one.g, given, wanted, o.warm_up, o.batch, o.lr, draw)  # D then meets no mere noise
    losses = []
    for step in range(o.steps):
        chosen = torch.randint(len(a), (o.batch,), generator=draw)
        turns = torch.randint(4, (2,), generator=draw).tolist()
        x, y = augment_pair(a[chosen], b[chosen], turns[0] < 2, turns[1])
        for one in players:
            one.set_rate(step, o.steps)
        pairs = [(x, y), (y, x)][: len(players)]
        fakes = [one.g(given) for one, (given, _) in zip(players, pairs, strict=True)]
        of_d = [
            one.turn_of_d(*pair, fake, o.loss, o.label, draw)
            for one, pair, fake in zip(players, pairs, fakes, strict=True)
        ]
        if len(players) == 2:
            first, second = players
            for one in players:
                one.of_g.zero_grad()
            critics = Logits(first.d), Logits(second.d)
            of_g = float(cycle_step(x, y, first.g, second.g, *critics, (1.0, o.weight_l1, 10.0)))
            for one in players:
                one.of_g.step()
        else:
            of_g = players[0].turn_of_g(x, y, fakes[0], o.loss, (o.weight_l1, o.weight_fm))
        losses.append((of_g, of_d[0]))
        if (step + 1) % max(1, o.steps // 10) == 0:
            print(f"step {step + 1}: G {of_g:.3f}, D {of_d[0]:.3f}")
    return losses


# ---- data and the command line

# part: to_network
# part: iou
# part: ncc_offset
# include: _images


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


def main() -> None:
    """Train, and write `given.npy`, `made.npy` and `wanted.npy` (uint8) of some pairs into `--out`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder with the folders a and b; without it bars are drawn"
    )
    parser.add_argument("--align", type=int, default=0, help="pixels by which a may be off b, with --data")
    parser.add_argument("--size", type=int, default=32, help="side of the images, a multiple of 16")
    parser.add_argument("--steps", type=int, default=500, help="training steps")
    parser.add_argument("--warm-up", type=int, default=50, help="steps with L1 alone before them")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--loss", choices=("lsgan", "non_saturating", "minimax", "hinge"), default="lsgan")
    parser.add_argument("--label", type=float, default=1.0, help="D's target for real pairs, in (0.5, 1]")
    parser.add_argument("--weight-l1", type=float, default=100.0)
    parser.add_argument("--weight-fm", type=float, default=1.0, help="weight of feature matching")
    parser.add_argument("--both", action="store_true", help="learn b -> a as well, with a cycle")
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."))
    o = parser.parse_args()
    if min(o.size, o.steps, o.batch, o.warm_up + 1, o.align + 1) < 1 or o.size % 16 or not 0.5 < o.label <= 1:
        stop(
            "--steps and --batch are at least 1, --warm-up and --align at least 0, --size is a multiple of "
            "16, --label lies in (0.5, 1]."
        )
    torch.manual_seed(o.seed)
    if o.data:
        a, b = (read_images(o.data / name, o.size + 2 * o.align)[0] for name in ("a", "b"))
        if len(a) != len(b):
            stop(f"{o.data / 'a'} has {len(a)} images and {o.data / 'b'} has {len(b)}; they must be pairs.")
        a, b = aligned(a, b, o.align)
    else:
        a, b = drawn_pairs(256, o.size, torch.Generator().manual_seed(o.seed))
    players = [Players(o.lr) for _ in range(2 if o.both else 1)]
    train_pix2pix(players, a, b, o)
    shown = slice(0, 16)
    with torch.no_grad():
        made = players[0].g.eval()(a[shown])
        quality = iou((made + 1) / 2, (b[shown] + 1) / 2, 0.5).mean()
        if o.both:
            error = cycle_loss(a[shown], b[shown], players[0].g, players[1].g.eval())
            print(f"cycle error {error:.3f}")
    o.out.mkdir(parents=True, exist_ok=True)
    for name, images in (("given", a[shown]), ("made", made), ("wanted", b[shown])):
        np.save(o.out / f"{name}.npy", ((images[:, 0] + 1) * 127.5).round().to(torch.uint8).numpy())
    print(f"IoU of {len(made)} pairs seen in training {quality:.3f}: {o.out / 'made.npy'}")


if __name__ == "__main__":
    main()
