"""Lesson 04: one decoder step with its skip connection."""

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
    Double the map's size with a transposed convolution (kernel 4, stride 2, padding 1, no bias), apply ReLU,
    then attach the encoder map `skip` of the same size behind it as further channels. (Batch normalisation
    is left out here.) The skip goes through untouched: it says *where*, the upsampled map says *what*.
    Gradients flow to all three arguments, and none of them changes.
    """,
    hints=(
        "`F.conv_transpose2d(x, weight, stride=2, padding=1)` doubles height and width exactly.",
        "Channels are axis 1 of (B, C, H, W): `torch.cat([a, b], dim=1)`.",
        "The ReLU belongs to the upsampled map only: `skip` carries negative values that matter. "
        "Upsampled first, skip second.",
    ),
    source="Ronneberger et al. 2015 (U-Net); decoder block of the course's U-Net.",
    gradients=("x", "skip", "weight"),
)


@ex.reference
def decoder_step(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    """x (B, C, H, W), skip (B, S, 2H, 2W), weight (C, C_out, 4, 4) -> (B, C_out + S, 2H, 2W)."""
    x = F.conv_transpose2d(x, weight, stride=2, padding=1)
    return torch.cat([F.relu(x), skip], dim=1)


@ex.edges
def _() -> list[Args]:
    skip = torch.tensor([[[[-1.0, 1.0], [2.0, -2.0]]]])
    kernel = torch.arange(16.0).view(1, 1, 4, 4) / 8 - 0.9  # not symmetric
    wide = torch.linspace(-2, 3, 2 * 6 * 8).view(2, 1, 8, 6)
    x = torch.linspace(-1, 2, 2 * 2 * 4 * 3).view(2, 2, 4, 3)
    return [
        *((torch.full((1, 1, 1, 1), v), skip, torch.ones(1, 1, 4, 4)) for v in (3.0, -3.0)),
        (torch.tensor([[[[1.0]]]]), 100 * skip.mT, kernel),
        (x, wide, torch.cat([kernel.mT, -kernel])),
        (x[:1, :, :3], wide[:1, :, :6], torch.stack([kernel[0], kernel[0].mT]).repeat(1, 3, 1, 1) / 3 + 0.1),
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
    return x, skip, case.randn(channels, out, 4, 4) / 4


def _up(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv_transpose2d(x, weight, stride=2, padding=1)


def _normalised(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


ex.wrong(
    "relu_after",
    "You apply the ReLU after attaching the skip: everything negative in the encoder's map is cut away.",
    lambda x, skip, weight: F.relu(torch.cat([_up(x, weight), skip], 1)),
)
ex.wrong(
    "added",
    "You add the skip, as a residual network does; a U-Net puts it beside the map as further channels.",
    lambda x, skip, weight: F.relu(_up(x, weight)) + skip,
)
ex.wrong(
    "skip_first",
    "You put the skip in front; the next layer's weights expect the upsampled channels first.",
    lambda x, skip, weight: torch.cat([skip, F.relu(_up(x, weight))], 1),
)
ex.wrong(
    "batch_axis",
    "You join along axis 0: that makes more images instead of more channels.",
    lambda x, skip, weight: torch.cat([F.relu(_up(x, weight)), skip], 0),
)
ex.wrong(
    "detached_skip",
    "You detach the skip: the encoder then gets no gradient through its shortest path.",
    lambda x, skip, weight: torch.cat([F.relu(_up(x, weight)), skip.detach()], 1),
)
ex.wrong(
    "no_relu",
    "You leave out the ReLU: two linear maps in a row are one linear map.",
    lambda x, skip, weight: torch.cat([_up(x, weight), skip], 1),
)
ex.wrong(
    "shrinks_skip",
    "You shrink the skip to the map instead of upsampling the map first: the fine detail it "
    "should deliver is gone.",
    lambda x, skip, weight: torch.cat([F.relu(x), F.interpolate(skip, x.shape[-2:])], 1),
)
ex.wrong(
    "nearest",
    "You repeat pixels instead of using the transposed convolution and its weights.",
    lambda x, skip, weight: torch.cat([F.relu(F.interpolate(x, scale_factor=2)), skip], 1),
)


@ex.wrong("skip_in_place", "You change `skip` in place; the encoder still needs it, and its gradient.")
def _(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    kept = skip.clone()
    skip.data.relu_()
    return torch.cat([F.relu(_up(x, weight)), kept], 1)


ex.right(lambda x, skip, weight: torch.cat((_up(x, weight).clamp(min=0), skip), dim=-3))
ex.right(lambda x, skip, weight: torch.hstack([torch.relu(_up(x, weight)), skip]))
ex.right(lambda x, skip, weight: torch.cat([torch.nn.ReLU(inplace=True)(_up(x, weight)), skip.clone()], 1))
ex.right(lambda x, skip, weight: torch.concat([_up(x, weight) * (_up(x, weight) > 0), skip], 1))


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    layer = torch.nn.ConvTranspose2d(
        weight.shape[0], weight.shape[1], 4, 2, 1, bias=False, device=x.device, dtype=x.dtype
    )
    up = torch.func.functional_call(layer, {"weight": weight}, (x,))
    return torch.cat([F.relu_(up), skip], dim=1)


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    up = F.relu(_up(x, weight))
    out = up.new_empty(len(up), up.shape[1] + skip.shape[1], *up.shape[2:])
    out[:, : up.shape[1]] = up
    out[:, up.shape[1] :] = skip
    return out


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    # a transposed convolution is a convolution of the map, zeros between its pixels, by the flipped kernel
    b, c, h, w = x.shape
    spread = torch.zeros(b, c, 2 * h - 1, 2 * w - 1, dtype=x.dtype, device=x.device)
    spread[:, :, ::2, ::2] = x
    up = F.conv2d(spread, weight.flip(2, 3).transpose(0, 1), padding=2)
    return torch.cat([torch.maximum(up, torch.zeros_like(up)), skip], 1)


@ex.right
def _(x: Tensor, skip: Tensor, weight: Tensor) -> Tensor:
    columns = weight.flatten(1).T @ x.flatten(2)  # (B, C_out * 16, H * W)
    up = F.fold(columns, (2 * x.shape[2], 2 * x.shape[3]), 4, padding=1, stride=2)
    return torch.cat([F.threshold(up, 0.0, 0.0), skip], 1)


ex.wrong(
    "relu_first",
    "You apply the ReLU before the convolution; it comes after it.",
    lambda x, skip, weight: torch.cat([_up(F.relu(x), weight), skip], 1),
)
ex.wrong(
    "leaky",
    "You use a LeakyReLU, as the encoder does; the decoder's is a plain ReLU.",
    lambda x, skip, weight: torch.cat([F.leaky_relu(_up(x, weight), 0.2), skip], 1),
)
ex.wrong(
    "leaky_default",
    "You use a LeakyReLU; the decoder's is a plain ReLU.",
    lambda x, skip, weight: torch.cat([F.leaky_relu(_up(x, weight)), skip], 1),
)
ex.wrong(
    "absolute",
    "You take absolute values; ReLU sets negative values to 0.",
    lambda x, skip, weight: torch.cat([_up(x, weight).abs(), skip], 1),
)
ex.wrong(
    "bilinear",
    "You interpolate instead of using the transposed convolution and its weights.",
    lambda x, skip, weight: torch.cat([F.relu(F.interpolate(x, scale_factor=2, mode="bilinear")), skip], 1),
)
ex.wrong(
    "kernel_turned",
    "You turn the kernel round: a transposed convolution puts the kernel down as it is.",
    lambda x, skip, weight: torch.cat([F.relu(_up(x, weight.flip(2, 3))), skip], 1),
)
ex.wrong(
    "padding_cut_at_one_side",
    "You cut the surplus rows and columns at one side; padding 1 takes one from each side.",
    lambda x, skip, weight: torch.cat(
        [F.relu(F.conv_transpose2d(x, weight, stride=2))[..., : skip.shape[2], : skip.shape[3]], skip], 1
    ),
)
ex.wrong(
    "no_skip",
    "You do not attach the skip.",
    lambda x, skip, weight: F.relu(_up(x, weight)) + 0 * skip[:, :1],
)
ex.wrong(
    "skip_also_leaky",
    "You apply an activation to the skip as well; it goes through untouched.",
    lambda x, skip, weight: torch.cat([F.relu(_up(x, weight)), F.leaky_relu(skip, 0.2)], 1),
)
ex.wrong(
    "normalised",
    "You normalise by the batch; that is left out here.",
    lambda x, skip, weight: torch.cat([F.relu(_normalised(_up(x, weight))), skip], 1),
)
ex.wrong(
    "last_axis",
    "You join along the last axis: that makes a wider map instead of more channels.",
    lambda x, skip, weight: torch.cat([F.relu(_up(x, weight)), skip], 3),
)
common_slips(ex, "returned_nothing", "graph_cut", "float32_result")

ex.breach("Double the map's size", "nearest")
ex.breach("with a transposed convolution", "kernel_turned")
ex.breach("kernel 4, stride 2, padding 1", "padding_cut_at_one_side")
ex.breach("apply ReLU", "no_relu")
ex.breach("apply ReLU", "leaky")
ex.breach("then attach the encoder map", "skip_first")
ex.breach("as further channels", "added")
ex.breach("(Batch normalisation is left out", "normalised")
ex.breach("The skip goes through untouched", "relu_after")
ex.breach("Gradients flow", "detached_skip")
ex.breach("none of them changes", "skip_in_place")
