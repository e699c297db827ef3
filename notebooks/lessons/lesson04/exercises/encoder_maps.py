"""Lesson 04: the maps that the encoder hands to the decoder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from gantrans.teaching.exercises.kinds.probing import Said

Blocks = Sequence[Callable[[Tensor], Tensor]]

ex = BugHunt(
    id="encoder_maps",
    lesson="04",
    title="The encoder's maps",
    difficulty=2,
    minutes=8,
    spec="""
    Run an image through the encoder and return a list of what every block made: the first block's map first,
    the bottleneck's last. `blocks` is a list of blocks or an `nn.ModuleList`; each is called once, as
    `block(x)`, with what the block before it made. In training, the loss has to reach the encoder through
    every one of these maps. Leave `x` as it is. The code below runs, all its numbers are right, and it has
    one slip. Find it and mend it.
    """,
    hints=(
        "The numbers are right, so look at what else a tensor carries: call `maps[0].requires_grad`.",
        "A map that is cut out of the graph gives the decoder its values, and gives the encoder no gradient.",
        "`skips.append(x)`",
    ),
    source="Ronneberger, Fischer, Brox 2015 (U-Net); `gantrans.networks.UNetGenerator.encode` computes the "
    "same.",
    gradients=("x",),
    slip="`detach` gives a tensor with the same numbers that is no longer part of the graph. The decoder "
    "still sees every edge, but the fine encoder blocks learn only through the bottleneck.",
    slip_code="skips.append(x.detach())",
)


@ex.reference
def encoder_maps(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    """Encoder blocks and x (B, C, H, W) -> what every block made, the bottleneck's map last."""
    maps = []
    for block in blocks:
        x = block(x)
        maps.append(x)
    return maps


@ex.bug
def _(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    """Encoder blocks and x (B, C, H, W) -> what every block made, the bottleneck's map last."""
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x.detach())  # so that the decoder cannot change it
    return [*skips, blocks[-1](x)]


@ex.symptom
def _(answer: Answer) -> str:
    sizes = []
    for function in (answer, ex.function):
        x = torch.linspace(-1, 1, 64).view(1, 1, 8, 8).requires_grad_()
        maps = function([Halve(0.5), Halve(0.5), Halve(0.5)], x)
        slope = torch.autograd.grad(sum(m.square().sum() for m in maps), x)[0]
        sizes.append(float(slope.norm()))
    return (
        f"three blocks, and a loss that uses all three maps. The gradient that arrives at the image has the "
        f"length {sizes[0]:.3f}; it should be {sizes[1]:.3f}."
    )


@dataclass
class Halve:
    """Stands in for an encoder block: half the size, twice the channels; it counts its calls."""

    gain: float
    calls: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 2C, H/2, W/2), or the same size where a side is 1."""
        self.calls += 1
        small = F.avg_pool2d(x, 2) if min(x.shape[-2:]) > 1 else x
        return torch.cat([self.gain * small, torch.sin(small + self.gain)], dim=1)


@ex.probe
def _(answer: Answer, blocks: Blocks, x: Tensor) -> Any:
    maps = answer(blocks, x)
    return Said("a tuple, which has no `pop`") if isinstance(maps, tuple) else maps


@ex.edges
def _() -> list[Args]:
    x = torch.linspace(-2, 3, 2 * 8 * 4).view(2, 1, 8, 4)
    return [
        ([Halve(0.5), Halve(-1.5)], x),
        ([Halve(0.5), Halve(-1.5), Halve(2.0)], x[:1]),
        ([Halve(2.0)], x),
        ([Halve(1.0), Halve(1.0), Halve(0.5)], x.double()),
        ((Halve(-0.5), Halve(0.7)), x.mT),
    ]


@ex.inputs
def _(case: Case) -> Args:
    blocks = [Halve(case.choice((0.5, -1.5, 2.0))) for _ in range(case.integer(1, 4))]
    return blocks, case.randn(case.batch, case.integer(1, 2), case.height, case.width)


def _kept(blocks: Blocks, x: Tensor, keep: Callable[[Tensor], Tensor]) -> list[Tensor]:
    maps = ex.function(blocks, x)
    return [*(keep(m) for m in maps[:-1]), maps[-1]]


@ex.wrong("no_graph", "You work without a graph: nothing learns from any of the maps.")
@torch.no_grad()
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    made: list[Tensor] = ex.function(blocks, x)
    return made


@ex.wrong("restarted", "You cut the graph between the blocks: each block then learns from its own map alone.")
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    maps: list[Tensor] = []
    for block in blocks:
        x = block(x.detach() if maps else x)
        maps.append(x)
    return maps


@ex.wrong("image_each_time", "You give every block the image; each goes on with what the one before it made.")
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    return [block(x) for block in blocks]


@ex.wrong("kept_before", "You keep what goes into each block; keep what comes out of it.")
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    return [x, *ex.function(blocks, x)][:-1]


@ex.wrong("called_again", "You run the encoder once more for each map; every block is called once.")
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    return [ex.function(blocks[: k + 1], x)[-1] for k in range(len(blocks))]


@ex.wrong("in_place", "You change the `x` that you were given.")
def _(blocks: Blocks, x: Tensor) -> list[Tensor]:
    maps: list[Tensor] = ex.function(blocks, x.clone())
    x.data.mul_(0.5)
    return maps


for name, misconception, answer in (
    (
        "still_detached",
        "You still cut the maps out of the graph: `detach`, `.data` and deep copies of such maps all do.",
        lambda blocks, x: _kept(blocks, x, lambda m: m.clone().detach()),
    ),
    (
        "leaf",
        "You make the maps leaves of a graph of their own: the gradient ends in them.",
        lambda blocks, x: _kept(blocks, x, lambda m: m.detach().requires_grad_(m.requires_grad)),
    ),
    (
        "bottleneck_detached",
        "Now the bottleneck is cut out of the graph.",
        lambda blocks, x: [*(made := ex.function(blocks, x))[:-1], made[-1].detach()],
    ),
    (
        "no_bottleneck",
        "You leave out the last block's map, the bottleneck.",
        lambda blocks, x: ex.function(blocks, x)[:-1],
    ),
    (
        "bottleneck_first",
        "You return the bottleneck's map first; it comes last.",
        lambda blocks, x: ex.function(blocks, x)[::-1],
    ),
    (
        "with_the_image",
        "You return the image as well; only what the blocks made is asked for.",
        lambda blocks, x: [x, *ex.function(blocks, x)],
    ),
    (
        "tuple",
        "You return a tuple; the U-Net takes the maps off the end of a list.",
        lambda blocks, x: tuple(ex.function(blocks, x)),
    ),
    (
        "last_only",
        "You return the bottleneck alone; the decoder needs every map.",
        lambda blocks, x: ex.function(blocks, x)[-1],
    ),
):
    ex.wrong(name, misconception, answer)


@ex.right
def _(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    skips = []
    for block in blocks[:-1]:
        x = block(x)
        skips.append(x.clone())
    return [*skips, blocks[-1](x)]


@ex.right
def _(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    maps = [x]
    for block in blocks:
        maps.append(block(maps[-1]))
    return maps[1:]


@ex.right
def _(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    return [x := block(x) for block in blocks]


@ex.right
def inwards(blocks: Sequence[Callable[[Tensor], Tensor]], x: Tensor) -> list[Tensor]:
    made: Any = blocks[0](x)
    return [made, *(inwards(blocks[1:], made) if len(blocks) > 1 else [])]


ex.background("The code below runs", "Find it and mend it")
ex.breach("Run an image through the encoder", "last_only")
ex.breach("the first block's map first", "bottleneck_first")
ex.breach("the bottleneck's last", "no_bottleneck")
ex.breach("each is called once", "called_again")
ex.breach("with what the block before it made", "image_each_time")
ex.breach("In training, the loss has to reach", "still_detached")
ex.breach("Leave `x` as it is", "in_place")
