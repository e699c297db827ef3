"""Lesson 04: one decoder step with its skip connection."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="decoder_step",
    lesson="04",
    title="A decoder step with its skip connection",
    difficulty=3,
    minutes=10,
    spec="""
    Double the map's size with a transposed convolution (kernel 4, stride 2, padding 1, no bias). Give the
    result to `between`, once: on the page it is batch normalisation and, in the two deepest blocks, dropout.
    Apply ReLU to what comes back, then attach the encoder map `skip` of the same size behind it as further
    channels. The skip goes through untouched. Gradients flow to `x`, `skip` and `weight`, and none of them
    changes.
    """,
    hints=(
        "`F.conv_transpose2d(x, weight, stride=2, padding=1)` doubles height and width exactly.",
        "`between` is a function: `x = between(x)`.",
        "Channels are axis 1 of (B, C, H, W): `torch.cat([a, b], dim=1)`.",
        "The ReLU belongs to the upsampled map only: `skip` carries negative values that matter. "
        "Upsampled first, skip second.",
    ),
    source="Ronneberger et al. 2015 (U-Net); decoder block of the course's U-Net.",
    gradients=("x", "skip", "weight"),
)


@ex.reference
def decoder_step(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    """x (B, C, H, W), skip (B, S, 2H, 2W), weight (C, C_out, 4, 4) -> (B, C_out + S, 2H, 2W)."""
    x = between(F.conv_transpose2d(x, weight, stride=2, padding=1))
    return torch.cat([F.relu(x), skip], dim=1)


@dataclass
class Between:
    """Stands in for batch normalisation: gain * x + shift. It counts its calls, as a layer that keeps
    running values would."""

    gain: float = 1.0
    shift: float = 0.0
    calls: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        self.calls += 1
        return self.gain * x + self.shift


@ex.edges
def _() -> list[Args]:
    skip = torch.tensor([[[[-1.0, 1.0], [2.0, -2.0]]]])
    kernel = torch.arange(16.0).view(1, 1, 4, 4) / 8 - 0.9  # not symmetric
    wide = torch.linspace(-2, 3, 2 * 6 * 8).view(2, 1, 8, 6)
    x = torch.linspace(-1, 2, 2 * 2 * 4 * 3).view(2, 2, 4, 3)
    several = torch.stack([kernel[0], kernel[0].mT]).repeat(1, 3, 1, 1) / 3 + 0.1
    return [
        *((torch.full((1, 1, 1, 1), v), skip, torch.ones(1, 1, 4, 4), Between()) for v in (3.0, -3.0)),
        (torch.tensor([[[[1.0]]]]), 100 * skip.mT, kernel, Between(-1.0, 0.25)),
        (x, wide, torch.cat([kernel.mT, -kernel]), Between(0.5, -0.2)),
        (x[:1, :, :3], wide[:1, :, :6], several, Between(1.5, 0.3)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    channels, out = case.integer(1, 3), case.integer(1, 4)
    same = (
        case.seed % 3 == 0
    )  # as many skip channels as upsampled ones: adding them would run without an error
    skips = out if same else case.integer(1, 4)
    x = case.randn(case.batch, channels, case.height, case.width)
    skip = case.randn(case.batch, skips, 2 * case.height, 2 * case.width)
    between = Between(case.choice((1.0, 0.5, -1.5)), case.choice((0.0, 0.3, -0.4)))
    return x, skip, case.randn(channels, out, 4, 4) / 4, between


def _up(x: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    return between(F.conv_transpose2d(x, weight, stride=2, padding=1))


def _conv(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight, stride=2, padding=1)


def _normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


ex.wrong(
    "relu_after",
    "You apply the ReLU after attaching the skip: everything negative in the encoder's map is cut away.",
    lambda x, skip, weight, between: F.relu(torch.cat([_up(x, weight, between), skip], 1)),
)
ex.wrong(
    "added",
    "You add the skip, as a residual network does; a U-Net puts it beside the map as further channels.",
    lambda x, skip, weight, between: F.relu(_up(x, weight, between)) + skip,
)
ex.wrong(
    "skip_first",
    "You put the skip in front; the next layer's weights expect the upsampled channels first.",
    lambda x, skip, weight, between: torch.cat([skip, F.relu(_up(x, weight, between))], 1),
)
ex.wrong(
    "batch_axis",
    "You join along axis 0: that makes more images instead of more channels.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight, between)), skip], 0),
)
ex.wrong(
    "detached_skip",
    "You detach the skip: the encoder then gets no gradient through its shortest path.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight, between)), skip.detach()], 1),
)
ex.wrong(
    "no_relu",
    "You leave out the ReLU: two linear maps in a row are one linear map.",
    lambda x, skip, weight, between: torch.cat([_up(x, weight, between), skip], 1),
)
ex.wrong(
    "shrinks_skip",
    "You shrink the skip to the map instead of upsampling the map first: the fine detail it "
    "should deliver is gone.",
    lambda x, skip, weight, between: torch.cat([F.relu(between(x)), F.interpolate(skip, x.shape[-2:])], 1),
)
ex.wrong(
    "nearest",
    "You repeat pixels instead of using the transposed convolution and its weights.",
    lambda x, skip, weight, between: torch.cat([F.relu(between(F.interpolate(x, scale_factor=2))), skip], 1),
)


@ex.wrong("skip_in_place", "You change `skip` in place; the encoder still needs it, and its gradient.")
def _(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    kept = skip.clone()
    skip.data.relu_()
    return torch.cat([F.relu(_up(x, weight, between)), kept], 1)


ex.right(lambda x, skip, weight, between: torch.cat((_up(x, weight, between).clamp(min=0), skip), dim=-3))
ex.right(lambda x, skip, weight, between: torch.hstack([torch.relu(_up(x, weight, between)), skip]))
ex.right(
    lambda x, skip, weight, between: torch.cat(
        [torch.nn.ReLU(inplace=True)(_up(x, weight, between)), skip.clone()], 1
    )
)
ex.right(lambda x, skip, weight, between: torch.concat([(up := _up(x, weight, between)) * (up > 0), skip], 1))


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    layer = torch.nn.ConvTranspose2d(
        weight.shape[0], weight.shape[1], 4, 2, 1, bias=False, device=x.device, dtype=x.dtype
    )
    up = between(torch.func.functional_call(layer, {"weight": weight}, (x,)))
    return torch.cat([F.relu_(up), skip], dim=1)


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    up = F.relu(_up(x, weight, between))
    out = up.new_empty(len(up), up.shape[1] + skip.shape[1], *up.shape[2:])
    out[:, : up.shape[1]] = up
    out[:, up.shape[1] :] = skip
    return out


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    # a transposed convolution is a convolution of the map, zeros between its pixels, by the flipped kernel
    b, c, h, w = x.shape
    spread = torch.zeros(b, c, 2 * h - 1, 2 * w - 1, dtype=x.dtype, device=x.device)
    spread[:, :, ::2, ::2] = x
    up = between(F.conv2d(spread, weight.flip(2, 3).transpose(0, 1), padding=2))
    return torch.cat([torch.maximum(up, torch.zeros_like(up)), skip], 1)


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor, between: Callable[[Tensor], Tensor]) -> Tensor:
    columns = weight.flatten(1).T @ x.flatten(2)  # (B, C_out * 16, H * W)
    up = between(F.fold(columns, (2 * x.shape[2], 2 * x.shape[3]), 4, padding=1, stride=2))
    return torch.cat([F.threshold(up, 0.0, 0.0), skip], 1)


ex.wrong(
    "relu_first",
    "You apply the ReLU before the convolution; it comes after it.",
    lambda x, skip, weight, between: torch.cat([_up(F.relu(x), weight, between), skip], 1),
)
ex.wrong(
    "leaky",
    "You use a LeakyReLU, as the encoder does; the decoder's is a plain ReLU.",
    lambda x, skip, weight, between: torch.cat([F.leaky_relu(_up(x, weight, between), 0.2), skip], 1),
)
ex.wrong(
    "leaky_default",
    "You use a LeakyReLU; the decoder's is a plain ReLU.",
    lambda x, skip, weight, between: torch.cat([F.leaky_relu(_up(x, weight, between)), skip], 1),
)
ex.wrong(
    "absolute",
    "You take absolute values; ReLU sets negative values to 0.",
    lambda x, skip, weight, between: torch.cat([_up(x, weight, between).abs(), skip], 1),
)
ex.wrong(
    "bilinear",
    "You interpolate instead of using the transposed convolution and its weights.",
    lambda x, skip, weight, between: torch.cat(
        [F.relu(between(F.interpolate(x, scale_factor=2, mode="bilinear"))), skip], 1
    ),
)
ex.wrong(
    "kernel_turned",
    "You turn the kernel round: a transposed convolution puts the kernel down as it is.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight.flip(2, 3), between)), skip], 1),
)
ex.wrong(
    "padding_cut_at_one_side",
    "You cut the surplus rows and columns at one side; padding 1 takes one from each side.",
    lambda x, skip, weight, between: torch.cat(
        [
            F.relu(between(F.conv_transpose2d(x, weight, stride=2)[..., : skip.shape[2], : skip.shape[3]])),
            skip,
        ],
        1,
    ),
)
ex.wrong(
    "no_skip",
    "You do not attach the skip.",
    lambda x, skip, weight, between: F.relu(_up(x, weight, between)) + 0 * skip[:, :1],
)
ex.wrong(
    "skip_also_leaky",
    "You apply an activation to the skip as well; it goes through untouched.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight, between)), F.leaky_relu(skip, 0.2)], 1),
)
ex.wrong(
    "own_normalisation",
    "You normalise by the batch yourself; `between` does what is to be done there.",
    lambda x, skip, weight, between: torch.cat([F.relu(_normalised(_conv(x, weight))), skip], 1),
)
ex.wrong(
    "nothing_between",
    "You do not call `between`: without batch normalisation the ranges of the maps drift apart.",
    lambda x, skip, weight, between: torch.cat([F.relu(_conv(x, weight)), skip], 1),
)
ex.wrong(
    "between_after_relu",
    "You call `between` after the ReLU; it stands before it.",
    lambda x, skip, weight, between: torch.cat([between(F.relu(_conv(x, weight))), skip], 1),
)
ex.wrong(
    "between_first",
    "You call `between` on `x`; it gets the map that was doubled.",
    lambda x, skip, weight, between: torch.cat([F.relu(_conv(between(x), weight)), skip], 1),
)
ex.wrong(
    "between_twice",
    "You call `between` twice; batch normalisation would count the batch twice.",
    lambda x, skip, weight, between: torch.cat(
        [F.relu(_up(x, weight, lambda v: (between(v), between(v))[1])), skip], 1
    ),
)
ex.wrong(
    "between_for_both",
    "You give `between` the skip as well; that goes through untouched.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight, between)), between(skip)], 1),
)
ex.wrong(
    "last_axis",
    "You join along the last axis: that makes a wider map instead of more channels.",
    lambda x, skip, weight, between: torch.cat([F.relu(_up(x, weight, between)), skip], 3),
)
common_slips(ex, "returned_nothing", "graph_cut", "float32_result")

ex.breach("Double the map's size", "nearest")
ex.breach("with a transposed convolution", "kernel_turned")
ex.breach("kernel 4, stride 2, padding 1", "padding_cut_at_one_side")
ex.breach("Apply ReLU", "no_relu")
ex.breach("Apply ReLU", "between_after_relu")
ex.breach("Apply ReLU", "leaky")
ex.breach("then attach the encoder map", "skip_first")
ex.breach("as further channels", "added")
ex.breach("Give the result to `between`", "nothing_between")
ex.breach("Give the result to `between`", "between_twice")
ex.breach("Give the result to `between`", "between_first")
ex.breach("The skip goes through untouched", "relu_after")
ex.breach("Gradients flow", "detached_skip")
ex.breach("none of them changes", "skip_in_place")
