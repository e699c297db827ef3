"""Lesson 03: the network, a U-Net that is told the time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson02.exercises.sinusoidal_embedding import sinusoidal_embedding
from lessons.lesson03.exercises._unets import ConvBlock, Dropping, Mixing

ex = ModuleExercise(
    id="unet_denoiser",
    lesson="03",
    title="The U-Net",
    difficulty=3,
    minutes=20,
    draws=3,
    given=("__init__",),
    spec=r"""
    Write `forward` of the network that predicts the image. It gets the noisy images `x` `(B, 1, H, W)`, the
    timesteps `t` `(B,)` and the labels `label` `(B,)`, and returns one image for each, `(B, 1, H, W)`. All
    layers are there already: `__init__` is given.

    1. The time: `self.time` of `sinusoidal_embedding(t, self.width, 10_000.0)`. To it you *add* `self.label`
       of the labels. Every block is called with this sum, as `block(h, time)`.
    2. The way down: `h = self.enter(x)`, then the blocks of `self.down`, one for each of the three levels.
       *Before* the second and the third block a layer of `self.shrink` halves the sides. Keep the result of
       each of these blocks in a list.
    3. At the bottom stands the block `self.middle`.
    4. The way up goes from the lowest level to the top. The block of a level, `self.up[level]`, gets `h` and
       what was kept at this level, concatenated along the channels, `h` first. *After* it, except at the top,
       `self.grow[level - 1]` doubles the sides.
    5. The end: `self.norm`, SiLU, `self.leave`.

    Leave `x` as it is, and do the same in train and eval mode. For 16 px and `width=16`, channels in and out:

    | | level 0 | level 1 | level 2 |
    |---|---|---|---|
    | sides | 16 x 16 | 8 x 8 | 4 x 4 |
    | `shrink`, before the block | | 16 to 32 | 32 to 32 |
    | block of `down` | 16 to 16 | 32 to 32 | 32 to 32 |
    | block of `up` | 32 to 16 | 64 to 32 | 64 to 32 |
    | `grow`, after the block | | 32 to 16 | 32 to 32 |
    """,
    hints=(
        "The maps that were kept last are needed first: `skips.append(h)` on the way down, `skips.pop()` on "
        "the way up.",
        "Down: `for level, block in enumerate(self.down):`, and inside `if level > 0: "
        "h = self.shrink[level - 1](h)`, then `h = block(h, time)`.",
        "Up: `for level in reversed(range(3)):`, and inside `h = self.up[level](torch.cat([h, skips.pop()], "
        "dim=1), time)`, then `if level > 0: h = self.grow[level - 1](h)`.",
    ),
    source="Ronneberger, Fischer, Brox 2015 (U-Net); Ho, Jain, Abbeel 2020, appendix B; Dhariwal, Nichol "
    "2021 (the time as scale and shift in every block). `gantrans.networks.Denoiser` computes the same.",
)


@ex.reference
class UNet(nn.Module):
    """x (B, 1, H, W), t (B,) and label (B,) int64 -> the predicted image, like x; H, W multiples of 4."""

    def __init__(self, block: type[nn.Module], width: int, labels: int) -> None:
        super().__init__()
        self.width, length = width, 4 * width
        self.time = nn.Sequential(nn.Linear(width, length), nn.SiLU(), nn.Linear(length, length))
        self.label = nn.Embedding(labels + 1, length)  # its last row: no label
        self.enter = nn.Conv2d(1, width, 3, padding=1)
        widths = [width, 2 * width, 2 * width]
        self.down = nn.ModuleList(block(w, w, length) for w in widths)
        self.shrink = nn.ModuleList(nn.Conv2d(w, 2 * width, 2, stride=2) for w in widths[:2])
        self.middle = block(2 * width, 2 * width, length)
        self.grow = nn.ModuleList(nn.ConvTranspose2d(2 * width, w, 2, stride=2) for w in widths[:2])
        self.up = nn.ModuleList(block(2 * w, w, length) for w in widths)
        self.norm = nn.GroupNorm(width // 8, width)
        self.leave = nn.Conv2d(width, 1, 3, padding=1)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor, label: Tensor) -> Tensor:
        """x (B, 1, H, W), t (B,), label (B,) -> like x."""
        time = self.time(sinusoidal_embedding(t, self.width, 10_000.0)) + self.label(label)
        h, skips = self.enter(x), []
        for level, block in enumerate(self.down):
            if level > 0:
                h = self.shrink[level - 1](h)
            h = block(h, time)
            skips.append(h)
        h = self.middle(h, time)
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, skips.pop()], dim=1), time)
            if level > 0:
                h = self.grow[level - 1](h)
        image: Tensor = self.leave(F.silu(self.norm(h)))
        return image


def _inputs(images: int, height: int, width: int, labels: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(images, 1, height, width, generator=draw)
    t = torch.randint(1000, (images,), generator=draw)
    return x, t, torch.randint(labels + 1, (images,), generator=draw)


@ex.edges
def _() -> list[Args]:
    x, t, label = _inputs(2, 4, 8, 2, 1)
    turned = _inputs(2, 8, 4, 3, 3)[0].mT  # not contiguous
    return [
        (Mixing, 16, 2, x, t, torch.tensor([0, 1])),
        (Mixing, 16, 2, x, t.flip(0), torch.tensor([2, 2])),  # no label
        (Mixing, 16, 1, x[:1, :, :, :4], torch.tensor([0]), torch.tensor([1])),
        (Mixing, 24, 3, turned, torch.tensor([999, 3]), torch.tensor([3, 0])),
        (Dropping, 16, 2, x, t, label),
        (ConvBlock, 16, 2, x, t, torch.tensor([1, 2])),
        (Mixing, 16, 4, *_inputs(2, 16, 16, 4, 5)),
        (Mixing, 16, 2, torch.zeros(2, 1, 8, 8), t, torch.tensor([0, 1])),
    ]


@ex.inputs
def _(case: Case) -> Args:
    labels, height, width = case.integer(1, 5), 4 * case.integer(1, 2), 4 * case.integer(1, 3)
    images = min(case.batch, 3)
    return Mixing, 16, labels, *_inputs(images, height, width, labels, 100 + case.seed)
