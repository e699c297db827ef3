"""Lesson 03: the network, a U-Net that is told the time."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson02.exercises.sinusoidal_embedding import sinusoidal_embedding
from lessons.lesson03.exercises import _unets as unets
from lessons.lesson03.exercises._unets import Base, ConvBlock, Dropping, Mixing, with_layers, with_method

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


for name, misconception, answer in (
    (
        "no_label",
        "You leave the label out: the network could not be told which kind of clip to draw.",
        with_method(vector=lambda self, t, label: self.time(self.embedded(t))),
    ),
    (
        "no_time",
        "You leave the timestep out: the network would not be told how much noise there is.",
        with_method(vector=lambda self, t, label: self.label(label)),
    ),
    (
        "label_before_the_time_layers",
        "You add the label before `self.time`; it is added to the result.",
        with_method(
            vector=lambda self, t, label: self.time(self.embedded(t) + self.label(label)[:, : self.width])
        ),
    ),
    (
        "raw_time",
        "You give `self.time` the timestep itself; it takes the sines and cosines of `sinusoidal_embedding`.",
        with_method(embedded=lambda self, t: t.float()[:, None].expand(-1, self.width)),
    ),
    (
        "share_of_the_time",
        "You divide the timestep by 1000; `sinusoidal_embedding` takes it as it is.",
        with_method(embedded=lambda self, t: sinusoidal_embedding(t / 1000, self.width, 10_000.0)),
    ),
    (
        "other_period",
        "Your slowest sine has another period; `max_period` is 10,000.",
        with_method(embedded=lambda self, t: sinusoidal_embedding(t, self.width, 1000.0)),
    ),
    (
        "one_time_for_all",
        "You use the first image's timestep for the whole batch; each has its own.",
        with_method(
            vector=lambda self, t, label: self.time(self.embedded(t[:1].expand_as(t))) + self.label(label)
        ),
    ),
    (
        "one_label_for_all",
        "You use the first image's label for the whole batch; each has its own.",
        with_method(
            vector=lambda self, t, label: self.time(self.embedded(t)) + self.label(label[:1].expand_as(label))
        ),
    ),
    (
        "label_for_none",
        "You look up the last row of `self.label` for every image; that row means *no label*.",
        with_method(vector=unets.without_labels),
    ),
    (
        "silu_on_the_sum",
        "You apply a SiLU to time plus label; the blocks do that themselves.",
        with_method(vector=lambda self, t, label: F.silu(Base.vector(self, t, label))),
    ),
    (
        "detached_time",
        "You cut the graph of time and label: their layers would never learn.",
        with_method(vector=lambda self, t, label: Base.vector(self, t, label).detach()),
    ),
    (
        "time_only_on_the_way_down",
        "You give the blocks of the way up zeros in place of the time; every block gets it.",
        with_method(ascend=lambda self, h, s, time: Base.ascend(self, h, s, torch.zeros_like(time))),
    ),
    (
        "middle_without_time",
        "You give `self.middle` zeros in place of the time; every block gets it.",
        with_method(bottom=lambda self, h, time: self.middle(h, torch.zeros_like(time))),
    ),
    (
        "no_middle",
        "You forget `self.middle`, the block at the bottom.",
        with_method(bottom=lambda self, h, time: h),
    ),
    (
        "kept_before_the_block",
        "You keep what each block of the way down was given; keep its result.",
        with_method(kept=lambda self, before, h: before),
    ),
    (
        "kept_detached",
        "You cut the graph of what you keep: no gradient would come back through the skip connections.",
        with_method(kept=lambda self, before, h: h.detach()),
    ),
    (  # whatever raises looks alike to the checker, so one stands for all
        "other_sizes",
        "You give a layer, or `torch.cat`, maps of another size than in the table. The way up begins at the "
        "lowest level, so it needs what was kept last first (`pop()`, not `pop(0)`).",
        with_method(ascend=lambda self, h, skips, time: Base.ascend(self, h, skips[::-1], time)),
    ),
    (
        "skip_first",
        "You concatenate what was kept before `h`; `h` comes first.",
        with_method(joined=lambda self, h, skip: torch.cat([skip, h], dim=1)),
    ),
    (
        "skip_dropped",
        "You put zeros in the place of what was kept.",
        with_method(joined=lambda self, h, skip: torch.cat([h, torch.zeros_like(skip)], dim=1)),
    ),
    (
        "no_norm",
        "You forget `self.norm` at the end.",
        with_method(last=lambda self, h: self.leave(F.silu(h))),
    ),
    (
        "no_silu",
        "You forget the SiLU between `self.norm` and `self.leave`.",
        with_method(last=lambda self, h: self.leave(self.norm(h))),
    ),
    (
        "silu_first",
        "You apply the SiLU before `self.norm`; it comes after it.",
        with_method(last=lambda self, h: self.leave(self.norm(F.silu(h)))),
    ),
    (
        "not_left",
        "You return the maps; `self.leave` makes the image of them.",
        with_method(last=lambda self, h: F.silu(self.norm(h))),
    ),
    (
        "clipped",
        "You clip the image; whoever samples does that. In training the gradient would be cut.",
        with_method(last=lambda self, h: Base.last(self, h).clamp(-1, 1)),
    ),
    (
        "added_to_the_input",
        "You add `x` to the result; the network predicts the image itself.",
        with_method(forward=lambda self, x, t, label: x + Base.forward(self, x, t, label)),
    ),
    (
        "switching",
        "You switch the network to eval mode; the mode is up to the caller.",
        with_method(forward=lambda self, x, t, label: Base.forward(self.eval(), x, t, label)),
    ),
    (
        "no_graph",
        "You compute without a graph (`no_grad`, `detach`): nothing would learn.",
        with_method(forward=torch.no_grad()(Base.forward)),
    ),
    ("in_place", "You change the `x` that you were given.", unets.InPlace),
    (
        "layer_made_in_forward",
        "You make a layer in `forward`: a new one, with new random numbers, in every call.",
        with_method(last=lambda self, h: nn.Conv2d(h.shape[1], 1, 3, padding=1)(F.silu(self.norm(h)))),
    ),
    (
        "one_row_too_few",
        "Your `self.label` has no row for *no label*; `__init__` is given, so leave it as it is.",
        with_layers(
            lambda self, block, width, labels: setattr(self, "label", nn.Embedding(labels, 4 * width))
        ),
    ),
):
    ex.wrong(name, misconception, answer)


for answer in (unets.OneAfterAnother, Base, unets.Inwards, unets.Zipped):
    ex.right(answer)

ex.background(
    "Write `forward` of the network",
    "All layers are there already",
    "`__init__` is given.",
    "The time:",
    "The way down:",
    "The end:",
    "For 16 px and",
    "| | level 0",
    "| sides |",
    "| `shrink`, before",
    "| block of `down`",
    "| block of `up`",
    "| `grow`, after",
)
ex.breach("the timesteps `t` `(B,)` and the labels", "one_label_for_all")
ex.breach("returns one image for each", "not_left")
ex.breach("`self.time` of `sinusoidal_embedding(t, self.width, 10_000.0)`", "other_period")
ex.breach("To it you *add* `self.label`", "label_before_the_time_layers")
ex.breach("Every block is called with this sum", "middle_without_time")
ex.breach("`h = self.enter(x)`", with_method(lower=lambda self, level, h: h))
ex.breach(
    "*Before* the second and the third block",
    with_method(lower=lambda self, level, h: self.shrink[max(0, level - 1)](h)),
)
ex.breach("Keep the result of each of these blocks", "kept_before_the_block")
ex.breach("At the bottom stands the block `self.middle`", "no_middle")
ex.breach("The way up goes from the lowest level", with_method(ascend=unets.from_the_top))
ex.breach("`h` first", "skip_first")
ex.breach("what was kept at this level", "other_sizes")
ex.breach("concatenated along the channels", with_method(joined=lambda self, h, skip: h + skip))
ex.breach("*After* it, except at the top", with_method(ascend=unets.growing_first))
ex.breach("`self.grow[level - 1]` doubles the sides", with_method(ascend=unets.not_growing))
ex.breach("`self.norm`, SiLU, `self.leave`", "no_silu")
ex.breach("Leave `x` as it is", "in_place")
ex.breach("do the same in train and eval mode", "switching")
