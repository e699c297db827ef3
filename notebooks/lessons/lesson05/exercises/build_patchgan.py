"""Lesson 05: PatchGAN as a module, made of its table."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson05.exercises import _critics as critics
from lessons.lesson05.exercises._critics import Row, with_layers, with_method
from lessons.lesson05.exercises.patchgan_layers import patchgan_layers

ex = ModuleExercise(
    id="build_patchgan",
    lesson="05",
    title="The discriminator as a class",
    difficulty=3,
    minutes=12,
    draws=4,
    spec="""
    Write the discriminator. `rows` is the table of `patchgan_layers`: `(in, out, kernel, stride, padding)`,
    one row per convolution, from the input to the logits.

    - `__init__` makes `self.layers`, an `nn.ModuleList` with one `nn.Conv2d` per row. Each has a bias, and
      starts as PyTorch starts it.
    - `forward` gets `condition` and `image`, `(B, C, H, W)` each, and joins them along the channels, the
      condition first. The weights of the first convolution are tied to this order.
    - After every convolution but the last comes a LeakyReLU with slope 0.2. There is no normalisation.
    - Return the pair `(logits, maps)`. The logits are what the last convolution gives, raw: no sigmoid.
      `maps` is the list of the maps after each LeakyReLU, in order, and they keep their graph.

    Leave what you are given as it is, and do the same in train and eval mode.
    """,
    hints=(
        "`nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p in rows)`. A plain list "
        "would hide the layers from `parameters()`.",
        "`x = torch.cat([condition, image], dim=1)`, then a loop over `self.layers[:-1]`.",
        "In the loop: `x = F.leaky_relu(layer(x), 0.2)` and `maps.append(x)`. After it: "
        "`return self.layers[-1](x), maps`.",
    ),
    source="Isola et al. 2017, sec. 3.2.2 and appendix 6.1.2; Radford et al. 2016 (LeakyReLU in D, no norm "
    "on the first layer). `gantrans.networks.PatchGAN` computes the same.",
    as_torch_starts=True,
    equivalent={"value.float()": "everything is float32 already"},
)


@ex.reference
class PatchGAN(nn.Module):
    """condition and image (B, C, H, W), C as the first row says of both -> logits (B, 1, h, w), maps."""

    def __init__(self, rows: list[tuple[int, int, int, int, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(i, o, k, stride=s, padding=p) for i, o, k, s, p in rows)

    def forward(self, condition: Tensor, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, H, W) twice -> logits (B, 1, h, w), and the maps after each LeakyReLU."""
        x, maps = torch.cat([condition, image], dim=1), []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            maps.append(x)
        return self.layers[-1](x), maps


TABLE: list[Row] = [(2, 3, 4, 2, 1), (3, 4, 4, 1, 1), (4, 1, 4, 1, 1)]


def _pair(first: int, second: int, side: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    condition = torch.randn(count, first, side, side + 2, generator=draw)
    return condition, torch.randn(count, second, side, side + 2, generator=draw)


@ex.edges
def _() -> list[Args]:
    uneven: list[Row] = [(3, 2, 3, 2, 0), (2, 5, 4, 1, 2), (5, 3, 2, 3, 1), (3, 1, 3, 1, 1)]
    turned, image = _pair(1, 1, 36, 2, 5)
    return [
        (TABLE, *_pair(1, 1, 18, 2, 1)),
        ([(2, 2, 4, 2, 1), (2, 1, 4, 1, 1)], *_pair(1, 1, 12, 1, 2)),
        (uneven, *_pair(2, 1, 13, 2, 3)),
        (uneven, *_pair(1, 2, 13, 1, 4)),
        (patchgan_layers(4, 2, 6), turned.mT.contiguous().mT, image),  # not contiguous
        (TABLE, *(torch.zeros(1, 1, 20, 18) for _ in "12")),
    ]


@ex.inputs
def _(case: Case) -> Args:
    rows = patchgan_layers(case.integer(1, 4), 1, 6)
    return rows, *_pair(1, 1, 2 * case.integer(9, 12), min(case.batch, 3), 100 + case.seed)


for name, misconception, answer in (
    (
        "image_first",
        "You put the image first; weights are tied to channels, so training and use must agree on the order.",
        with_method(joined=lambda self, condition, image: torch.cat([image, condition], 1)),
    ),
    (
        "batch_axis",
        "You join condition and image along another axis than the channels (axis 1), or give a layer maps "
        "with other channels than its row says.",
        with_method(joined=lambda self, condition, image: torch.cat([condition, image], 0)),
    ),
    (
        "unconditional",
        "You leave the condition out: D would accept any sharp image, even of another layout.",
        with_method(joined=critics.only_the_image),
    ),
    (
        "condition_only",
        "You leave the image out: D never looks at what it is to judge.",
        with_method(joined=critics.only_the_condition),
    ),
    (
        "detached_image",
        "You cut the graph of the image: in the generator's turn no gradient would reach G. Detach where D "
        "is trained, not here.",
        with_method(joined=lambda self, condition, image: torch.cat([condition, image.detach()], 1)),
    ),
    (
        "detached_condition",
        "You cut the graph of the condition.",
        with_method(joined=lambda self, condition, image: torch.cat([condition.detach(), image], 1)),
    ),
    (
        "default_slope",
        "You leave the slope at its default of 0.01; here it is 0.2.",
        with_method(activated=lambda self, x: F.leaky_relu(x)),
    ),
    (
        "relu",
        "You use a ReLU: where a map is negative no gradient comes through, and G learns from those that do.",
        with_method(activated=lambda self, x: F.relu(x)),
    ),
    (
        "no_activation",
        "You leave the LeakyReLU out: convolutions alone make one linear map, however many there are.",
        with_method(activated=lambda self, x: x),
    ),
    (
        "tanh",
        "You use a tanh, which is flat where a map is large; LeakyReLU is asked for.",
        with_method(activated=lambda self, x: x.tanh()),
    ),
    (
        "normalised",
        "You normalise the maps of each image: every logit then depends on the whole image.",
        with_method(activated=lambda self, x: F.leaky_relu(F.instance_norm(x), 0.2)),
    ),
    (
        "normalised_over_the_batch",
        "You normalise over the batch (`BatchNorm2d`); this discriminator has no normalisation.",
        with_layers(critics.with_batch_norm),
    ),
    (
        "dropout",
        "You drop numbers out; nothing of that was asked for, and the modes would differ.",
        with_method(activated=lambda self, x: F.dropout(F.leaky_relu(x, 0.2), 0.5, self.training)),
    ),
    (
        "activated_logits",
        "You apply the LeakyReLU to the logits as well; they stay raw.",
        with_method(logits=lambda self, x: F.leaky_relu(self.layers[-1](x), 0.2)),
    ),
    (
        "sigmoid",
        "You apply a sigmoid to the logits; the losses work on raw logits.",
        with_method(logits=lambda self, x: self.layers[-1](x).sigmoid()),
    ),
    (
        "averaged",
        "You average the map of logits; every patch keeps its own verdict.",
        with_method(logits=lambda self, x: self.layers[-1](x).mean(dim=(2, 3), keepdim=True)),
    ),
    (
        "axes_lost",
        "You drop the channel axis of the logits (`squeeze` does that); they are (B, 1, h, w).",
        with_method(logits=lambda self, x: self.layers[-1](x).squeeze(1)),
    ),
    (
        "maps_before",
        "You keep the maps before the LeakyReLU; keep what comes out of it.",
        with_method(kept=lambda self, before, after: before),
    ),
    (
        "maps_detached",
        "You cut the graph of the maps you keep: feature matching could teach G nothing.",
        with_method(kept=lambda self, before, after: after.detach()),
    ),
    (
        "logits_among_the_maps",
        "You put the logits into the list of maps; it ends with the last LeakyReLU.",
        with_method(reported=lambda self, pair, maps, logits: (logits, [*maps, logits])),
    ),
    (
        "input_among_the_maps",
        "You put the input into the list of maps; it begins after the first LeakyReLU.",
        with_method(reported=lambda self, pair, maps, logits: (logits, [pair, *maps])),
    ),
    (
        "last_map_missing",
        "You leave the last map out of the list.",
        with_method(reported=lambda self, pair, maps, logits: (logits, maps[:-1])),
    ),
    (
        "last_map_only",
        "You keep the last map only; one for each LeakyReLU is wanted.",
        with_method(reported=lambda self, pair, maps, logits: (logits, maps[-1:])),
    ),
    (
        "maps_backwards",
        "You list the maps from the last to the first.",
        with_method(reported=lambda self, pair, maps, logits: (logits, maps[::-1])),
    ),
    (
        "logits_alone",
        "You return the logits alone; the list of maps belongs to the answer.",
        with_method(reported=lambda self, pair, maps, logits: logits),
    ),
    (
        "maps_first",
        "You return the maps first; the logits come first.",
        with_method(reported=lambda self, pair, maps, logits: (maps, logits)),
    ),
    (
        "returned_nothing",
        "You compute the result and return nothing: a `return` is missing.",
        with_method(reported=lambda self, pair, maps, logits: None),
    ),
    (
        "no_bias",
        "You make the convolutions without a bias; only a normalisation behind them would make it idle.",
        with_layers(lambda i, o, k, s, p: nn.Conv2d(i, o, k, s, p, bias=False)),
    ),
    (
        "stride_forgotten",
        "You do not use the stride of the rows.",
        with_layers(lambda i, o, k, s, p: nn.Conv2d(i, o, k, 1, p)),
    ),
    (
        "padding_forgotten",
        "You do not use the padding of the rows.",
        with_layers(lambda i, o, k, s, p: nn.Conv2d(i, o, k, s)),
    ),
    (
        "stride_and_padding_swapped",
        "You have stride and padding the wrong way round.",
        with_layers(lambda i, o, k, s, p: nn.Conv2d(i, o, k, max(p, 1), s)),
    ),
    (
        "always_4",
        "You have kernel 4 written into the class; the rows say it.",
        with_layers(lambda i, o, k, s, p: nn.Conv2d(i, o, 4, s, p)),
    ),
    (
        "transposed",
        "You use transposed convolutions, which enlarge a map.",
        with_layers(lambda i, o, k, s, p: nn.ConvTranspose2d(i, o, k, s, p)),
    ),
    (
        "zeros_at_the_start",
        "You set the first weights to zero: all channels of a layer would then learn the same.",
        with_layers(critics.zeroed),
    ),
    (
        "small_start",
        "You draw first weights of your own, such as the normal ones of 0.02 that many GANs start with; keep "
        "those of PyTorch.",
        with_layers(critics.dcgan_start),
    ),
    (
        "rows_changed",
        "You take rows off the table that you were given; a second D of it would be another one.",
        critics.TakesRows,
    ),
    (
        "plain_list",
        "You keep the layers in a plain list: `parameters()` does not find them, and nothing would learn. "
        "(Or the list has another name than `layers`.)",
        critics.PlainList,
    ),
    (
        "wrapped",
        "You wrap each convolution, for example in an `nn.Sequential` with its LeakyReLU; `self.layers` "
        "holds the convolutions themselves, one per row.",
        critics.Wrapped,
    ),
    (
        "last_row_missing",
        "You make no layer of the last row, the one that gives the logits.",
        critics.OneShort,
    ),
    (
        "switching",
        "You switch the network to eval mode; the mode is up to the caller.",
        with_method(forward=lambda self, *pair: critics.Base.forward(self.eval(), *pair)),
    ),
    (
        "no_graph",
        "You compute without a graph (`no_grad`, `detach`): nothing would learn.",
        with_method(forward=torch.no_grad()(critics.Base.forward)),
    ),
    ("in_place", "You change the image that you were given.", critics.InPlace),
):  # fmt: skip
    ex.wrong(name, misconception, answer)

for answer in (critics.Indexed, critics.Base, critics.Numbered, critics.Unrolled):
    ex.right(answer)

ex.background("Write the discriminator.")
ex.breach("`rows` is the table of `patchgan_layers`", "stride_and_padding_swapped")
ex.breach("one row per convolution", "last_row_missing")
ex.breach("`__init__` makes `self.layers`", "plain_list")
ex.breach("one `nn.Conv2d` per row", "wrapped")
ex.breach("Each has a bias", "no_bias")
ex.breach("starts as PyTorch starts it", "small_start")
ex.breach("joins them along the channels", "batch_axis")
ex.breach("the condition first", "image_first")
ex.breach("The weights of the first convolution", "image_first")
ex.breach("After every convolution but the last", "activated_logits")
ex.breach("a LeakyReLU with slope 0.2", "default_slope")
ex.breach("There is no normalisation", "normalised")
ex.breach("Return the pair `(logits, maps)`", "maps_first")
ex.breach("raw: no sigmoid", "sigmoid")
ex.breach("The logits are what the last convolution gives", "averaged")
ex.breach("the list of the maps after each LeakyReLU", "maps_before")
ex.breach("in order", "maps_backwards")
ex.breach("they keep their graph", "maps_detached")
ex.breach("Leave what you are given as it is", "in_place")
ex.breach("do the same in train and eval mode", "switching")
