"""Lesson 04: the translator, a U-Net assembled from the learner's blocks."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson04.exercises import _generators as generators
from lessons.lesson04.exercises._generators import (
    Base,
    Doubling,
    Dropping,
    Halving,
    Middle,
    Normalising,
    with_method,
)
from lessons.lesson04.exercises.encoder_maps import encoder_maps

ex = ModuleExercise(
    id="unet_translator",
    lesson="04",
    title="The U-Net",
    difficulty=3,
    minutes=15,
    draws=4,
    given=("__init__",),
    spec=r"""
    Write `forward` of the network that translates an image. It gets `x` `(B, 1, H, W)` and returns an image
    of the same shape. All layers are there already: `__init__` is given.

    1. The way down: the blocks of `self.down`, one after the other. Keep what every block makes, as
       `encoder_maps` does. The last map is the bottleneck: take it off the list and give it to `self.middle`.
    2. The way up: `x = block(x, skip)` for each block of `self.up`, where `skip` is the map that was kept at
       the size the block makes. What comes back holds both already, so there is nothing to concatenate.
    3. If `self.skips` is false, every block gets zeros of the same shape in place of its map.
    4. The end: `self.last`, which doubles the size once more, then tanh.

    Leave `x` as it is, and do the same in train and eval mode. For 256 px and `widths` of 48, 96, 192, 256
    and 256, channels and sides of what the blocks make:

    | | level 0 | level 1 | level 2 | level 3 | level 4 |
    |---|---|---|---|---|---|
    | `down` | 48 x 128 | 96 x 64 | 192 x 32 | 256 x 16 | 256 x 8 |
    | `up` | 96 x 128 | 192 x 64 | 384 x 32 | 512 x 16 | |
    """,
    hints=(
        "The map that was kept last is needed first: `maps.pop()` takes it off the end of the list.",
        "The way down is `maps = encoder_maps(self.down, x)`, and then `x = self.middle(maps.pop())`. One "
        "map is left for each block of `self.up`.",
        "On the way up: `skip = maps.pop()`, then `x = block(x, skip if self.skips else "
        "torch.zeros_like(skip))`. At the end `torch.tanh(self.last(x))`.",
    ),
    source="Ronneberger, Fischer, Brox 2015 (U-Net); Isola et al. 2017, section 6.1.1 (pix2pix). "
    "`gantrans.networks.UNetGenerator` computes the same.",
    equivalent={
        "`True` -> `False`": "the default of `skips`, which every input names; equal lengths in `zip`",
        "`None` -> `0`": "the default of `middle`, which every input names",
        "strict=True)` -> ": "the lists in `zip` are of equal length",
        "list(self.down)": "`encoder_maps` takes a ModuleList as well",
        "value.float()": "layers and images are float32",
    },
)


@ex.reference
class UNetTranslator(nn.Module):
    """x (B, 1, H, W) -> the image that is made of it, the same shape; H, W multiples of 2**len(widths)."""

    def __init__(
        self,
        down: Callable[[int, int, bool], nn.Module],
        up: Callable[[int, int], nn.Module],
        widths: Sequence[int],
        middle: nn.Module | None = None,
        skips: bool = True,
    ) -> None:
        super().__init__()
        inputs = [1, *widths[:-1]]
        rows = enumerate(zip(inputs, widths, strict=True))
        self.down = nn.ModuleList(down(i, o, level > 0) for level, (i, o) in rows)  # the first without norm
        self.middle = nn.Identity() if middle is None else middle
        outputs = widths[-2::-1]  # all but the last, from the bottom up
        inputs = [widths[-1], *(2 * w for w in outputs[:-1])]  # twice as many: a map and its skip
        self.up = nn.ModuleList(up(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.last = nn.ConvTranspose2d(2 * widths[0], 1, 4, stride=2, padding=1)
        self.skips = skips

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 1, H, W) -> the same shape, in [-1, 1]."""
        maps = encoder_maps(list(self.down), x)
        x = self.middle(maps.pop())
        for block in self.up:
            skip = maps.pop()
            x = block(x, skip if self.skips else torch.zeros_like(skip))
        return torch.tanh(self.last(x))


def _x(images: int, height: int, width: int, seed: int) -> Tensor:
    return torch.randn(images, 1, height, width, generator=torch.Generator().manual_seed(seed))


@ex.edges
def _() -> list[Args]:
    turned = _x(2, 16, 8, 3).mT  # not contiguous
    return [
        (Halving, Doubling, (2, 3, 4), Middle(4), True, _x(2, 8, 16, 1)),
        (Halving, Doubling, (2, 3, 4), Middle(4), False, _x(2, 8, 16, 2)),
        (Halving, Doubling, (3, 2), None, True, _x(1, 4, 4, 4)),
        (Halving, Doubling, [2, 4, 5], None, True, turned),
        (Halving, Dropping, (2, 3, 4), Middle(4), True, _x(2, 16, 8, 5)),
        (Halving, Dropping, (2, 3, 4), None, False, _x(3, 8, 8, 6)),
        (Halving, Doubling, (3, 4, 4, 4), Middle(4), True, _x(1, 16, 32, 7)),
        (Halving, Doubling, (2, 3, 3), Middle(3), True, torch.zeros(2, 1, 8, 8)),
        (Normalising, Doubling, (2, 3, 4), None, True, _x(2, 16, 16, 8)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    levels = case.integer(2, 4)
    widths = tuple(case.integer(2, 5) for _ in range(levels))
    size = 2**levels * case.integer(1, 2), 2**levels * case.integer(1, 2)
    middle = Middle(widths[-1]) if case.seed % 2 else None
    return Halving, Doubling, widths, middle, case.seed % 3 > 0, _x(min(case.batch, 3), *size, 50 + case.seed)


for name, misconception, answer in (
    (
        "no_tanh",
        "You leave out the tanh: the image is not kept between -1 and 1.",
        with_method(ending=lambda self, x: self.last(x)),
    ),
    (
        "tanh_first",
        "You apply tanh before `self.last`; it comes after it.",
        with_method(ending=lambda self, x: self.last(torch.tanh(x))),
    ),
    (
        "sigmoid",
        "You end in a sigmoid, which gives 0 to 1; the images reach from -1 to 1.",
        with_method(ending=lambda self, x: torch.sigmoid(self.last(x))),
    ),
    (
        "clipped",
        "You clip the image in place of the tanh: beyond the limits no gradient comes back.",
        with_method(ending=lambda self, x: self.last(x).clamp(-1, 1)),
    ),
    (
        "no_middle",
        "You leave out `self.middle`, which stands at the bottleneck.",
        with_method(bottom=lambda self, x: x),
    ),
    (
        "middle_twice",
        "You call `self.middle` twice.",
        with_method(bottom=lambda self, x: self.middle(self.middle(x))),
    ),
    (
        "always_skips",
        "You use the maps in any case; if `self.skips` is false, zeros take their place.",
        with_method(given=lambda self, skip: skip),
    ),
    (
        "never_skips",
        "You always give zeros; with `self.skips` the blocks get the maps.",
        with_method(given=lambda self, skip: torch.zeros_like(skip)),
    ),
    (
        "turned_round",
        "You give zeros with `self.skips` and the maps without: it is the other way round.",
        with_method(given=lambda self, skip: torch.zeros_like(skip) if self.skips else skip),
    ),
    (
        "ones",
        "You give ones in place of a map that is left out; give zeros.",
        with_method(given=lambda self, skip: skip if self.skips else torch.ones_like(skip)),
    ),
    (
        "noise",
        "You give random numbers in place of a map that is left out; give zeros.",
        with_method(given=lambda self, skip: skip if self.skips else torch.randn_like(skip)),
    ),
    (
        "detached",
        "You cut the graph of the maps you keep: no gradient comes back through the skip connections.",
        with_method(given=lambda self, skip: Base.given(self, skip).detach()),
    ),
    (
        "activated",
        "You apply a ReLU to the maps that you keep; they go to the decoder as they are.",
        with_method(given=lambda self, skip: torch.relu(Base.given(self, skip))),
    ),
    (
        "one_map_for_all",
        "You give every block a shrunken copy of one map; each gets the map of its own size.",
        with_method(decode=generators.one_map_for_all),
    ),
    (
        "encoded_again",
        "You run the encoder from the image again for each map: every block is called once, because dropout "
        "and batch normalisation do something else in each call.",
        with_method(encode=generators.encoded_again),
    ),
    (
        "bottleneck_kept",
        "You leave the bottleneck's map on the list, so that it becomes the first skip; take it off.",
        generators.KeepsBottleneck,
    ),
    (
        "concatenated_again",
        "You concatenate the map once more; what a block of `self.up` returns holds it already.",
        with_method(decode=generators.concatenated_again),
    ),
    (
        "other_sizes",
        "You give a block maps of another size or number of channels than in the table. The way up begins at "
        "the bottleneck, so it needs what was kept last first (`pop()`, not `pop(0)`).",
        with_method(decode=lambda self, x, maps: Base.decode(self, x, maps[::-1])),
    ),
    (
        "added_to_the_input",
        "You add `x` to the result; the network makes the whole image.",
        with_method(forward=lambda self, x: x + Base.forward(self, x)),
    ),
    (
        "switching",
        "You switch the network to eval mode; the mode is up to the caller.",
        with_method(forward=lambda self, x: Base.forward(self.eval(), x)),
    ),
    (
        "no_graph",
        "You compute without a graph (`no_grad`, `detach`): nothing would learn.",
        with_method(forward=torch.no_grad()(Base.forward)),
    ),
    ("in_place", "You change the `x` that you were given.", generators.InPlace),
    (
        "layer_made_in_forward",
        "You make a layer in `forward`: a new one, with new random numbers, in every call.",
        with_method(
            ending=lambda self, x: torch.tanh(nn.ConvTranspose2d(x.shape[1], 1, 4, stride=2, padding=1)(x))
        ),
    ),
):
    ex.wrong(name, misconception, answer)

for answer in (generators.Zipped, Base, generators.Inwards, generators.Stacked):
    ex.right(answer)

ex.background(
    "Write `forward` of the network",
    "All layers are there already",
    "`__init__` is given.",
    "The way down:",
    "The way up:",
    "The end:",
    "For 256 px and",
    "| | level 0",
    "| `down` |",
    "| `up` |",
)
ex.breach("returns an image of the same shape", with_method(ending=lambda self, x: torch.tanh(x)))
ex.breach("the blocks of `self.down`, one after", "encoded_again")
ex.breach("Keep what every block makes", "one_map_for_all")
ex.breach("The last map is the bottleneck", "no_middle")
ex.breach("`x = block(x, skip)` for each block", "never_skips")
ex.breach("the map that was kept at the size", "other_sizes")
ex.breach("there is nothing to concatenate", "concatenated_again")
ex.breach("If `self.skips` is false", "always_skips")
ex.breach("zeros of the same shape", "ones")
ex.breach("`self.last`, which doubles", with_method(ending=lambda self, x: torch.tanh(x[:, :1])))
ex.breach("then tanh", "no_tanh")
ex.breach("Leave `x` as it is", "in_place")
ex.breach("do the same in train and eval mode", "switching")
