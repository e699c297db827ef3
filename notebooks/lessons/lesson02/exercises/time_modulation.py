"""Lesson 02: how the time enters a residual block."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="time_modulation",
    lesson="02",
    title="Scale and shift from the time",
    difficulty=3,
    minutes=12,
    spec=r"""
    A residual block works on maps `h` `(B, C, H, W)`; the time is a vector `embedding` `(B, D)` per image.
    One linear layer, given as `weight` `(2C, D)` and `bias` `(2C,)`, makes a scale and a shift for every
    channel out of it, and they act on the whole map:

    $$[\text{scale} | \text{shift}] = W\,\mathrm{SiLU}(e) + b, \qquad h' = h\,(1 + \text{scale}) +
    \text{shift}.$$

    The first C numbers are the scale. SiLU comes *before* the layer. The 1 is there so that a layer of zeros
    changes nothing. Leave `h` itself as it is: the skip connection still needs it. Gradients flow to all
    four arguments.
    """,
    hints=(
        "`F.linear(F.silu(embedding), weight, bias)` is (B, 2C); `.chunk(2, dim=1)` cuts it in two.",
        "One number per image and channel has to meet a map: (B, C) becomes (B, C, 1, 1).",
        "`scale, shift = F.linear(F.silu(embedding), weight, bias)[:, :, None, None].chunk(2, dim=1)`",
    ),
    source="Dhariwal, Nichol 2021 (ADM), AdaGN, sec. 3.1, and their code (SiLU, linear layer, scale before "
    "shift); Perez et al. 2018 (FiLM).",
    gradients=("h", "embedding", "weight", "bias"),
)


@ex.reference
def time_modulation(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """h (B, C, H, W), embedding (B, D), weight (2C, D), bias (2C,) -> h (1 + scale) + shift, like h."""
    made = F.linear(F.silu(embedding), weight, bias)[:, :, None, None]
    scale, shift = made.chunk(2, dim=1)
    return h * (1 + scale) + shift


@ex.edges
def _() -> list[Args]:
    square = torch.arange(16.0).view(2, 2, 2, 2) - 5  # B = C = H = W: axes in the wrong place run
    embedding, weight = (
        torch.tensor([[1.0, -2.0], [0.5, 3.0]]),
        torch.tensor([[1.0, 0.5], [-1, 2], [0, 1], [2, 1]]),
    )
    bias = torch.tensor([0.5, -0.5, 1.0, 2.0])
    return [
        (square, embedding, weight, bias),
        (square, embedding, torch.zeros(4, 2), torch.zeros(4)),
        (square[:1, :1], embedding[:1, :1], weight[:2, :1], bias[:2]),
        (square, torch.zeros(2, 2), weight, bias),
        (
            square.flip(2),
            torch.tensor([[100.0, -20.0], [-3.0, 90.0]]),
            weight.T.reshape(2, 4).T,
            bias,
        ),
        (square[:1], -embedding[1:], -weight, bias),
    ]


@ex.inputs
def _(case: Case) -> Args:
    channels, width = case.integer(1, 4), case.integer(1, 6)
    h = 2 * case.randn(case.batch, channels, case.height, case.width)
    return h, case.randn(case.batch, width), case.randn(2 * channels, width) / 2, case.randn(2 * channels)


def _made(e: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    scale, shift = F.linear(F.silu(e), weight, bias)[:, :, None, None].chunk(2, 1)
    return scale, shift


def _applied(h: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return h * (1 + scale) + shift


ex.wrong(
    "no_one",
    "You multiply by scale instead of 1 + scale: a layer that starts near zero then blocks the map.",
    lambda h, e, w, b: h * _made(e, w, b)[0] + _made(e, w, b)[1],
)
ex.wrong(
    "shift_first",
    "You take the first half for the shift; the scale comes first.",
    lambda h, e, w, b: _applied(h, *_made(e, w, b)[::-1]),
)
ex.wrong(
    "alternating",
    "You take every other number for the scale; the halves follow each other.",
    lambda h, e, w, b: _applied(
        h, *F.linear(F.silu(e), w, b)[:, :, None, None].unflatten(1, (-1, 2)).unbind(2)
    ),
)
ex.wrong(
    "no_silu",
    "You leave the SiLU out: the embedding comes from a linear layer, and two in a row are one.",
    lambda h, e, w, b: _applied(h, *F.linear(e, w, b)[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "silu_after",
    "You apply the SiLU after the layer: scale and shift could then hardly be negative.",
    lambda h, e, w, b: _applied(h, *F.silu(F.linear(e, w, b))[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "relu",
    "You use a ReLU; SiLU is x times sigmoid(x), which lets negative values through a little.",
    lambda h, e, w, b: _applied(h, *F.linear(F.relu(e), w, b)[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "sigmoid",
    "You use the sigmoid alone; SiLU is x times sigmoid(x).",
    lambda h, e, w, b: _applied(h, *F.linear(e.sigmoid(), w, b)[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "no_bias",
    "You leave the bias out.",
    lambda h, e, w, b: _applied(h, *_made(e, w, None)),
)
ex.wrong(
    "only_added",
    "You only add the shift, as Ho et al. (2020) did; here the time may also turn channels up and down.",
    lambda h, e, w, b: h + _made(e, w, b)[1],
)
ex.wrong(
    "only_scaled",
    "You only scale and forget the shift.",
    lambda h, e, w, b: h * (1 + _made(e, w, b)[0]),
)
ex.wrong(
    "shifted_first",
    "You shift before you scale, so the shift gets scaled too.",
    lambda h, e, w, b: (h + _made(e, w, b)[1]) * (1 + _made(e, w, b)[0]),
)
ex.wrong(
    "one_time_for_all",
    "You use the first image's time for the whole batch; every image has its own.",
    lambda h, e, w, b: _applied(h, *_made(e[:1], w, b)),
)
ex.wrong(
    "mean_time",
    "You average the embeddings over the batch; every image has its own time.",
    lambda h, e, w, b: _applied(h, *_made(e.mean(0, keepdim=True), w, b)),
)
ex.wrong(
    "broadcast_from_the_right",
    "You multiply (B, C) with (B, C, H, W) as it is: broadcasting starts from the right, so channels would "
    "meet columns of the map.",
    lambda h, e, w, b: _applied(h, *F.linear(F.silu(e), w, b).chunk(2, 1)),
)
ex.wrong(
    "normalised",
    "You normalise `h` in here; the group normalisation is the layer before, and has been applied.",
    lambda h, e, w, b: _applied(F.group_norm(h, 1), *_made(e, w, b)),
)
ex.wrong(
    "detached_time",
    "You detach the embedding: the layers that make it would never learn.",
    lambda h, e, w, b: _applied(h, *_made(e.detach(), w, b)),
)


@ex.wrong("in_place", "You change `h` in place; the skip connection still needs it as it was.")
def _(h: Tensor, e: Tensor, w: Tensor, b: Tensor) -> Tensor:
    new = _applied(h, *_made(e, w, b))
    h.data.copy_(new)
    return new


ex.right(lambda h, e, w, b: torch.addcmul(h + _made(e, w, b)[1], h, _made(e, w, b)[0]))


@ex.right
def _(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    channels = h.shape[1]
    out = (embedding * torch.sigmoid(embedding)) @ weight.T + bias
    scale, shift = out[:, :channels], out[:, channels:]
    return h + h * scale.view(*scale.shape, 1, 1) + shift.view(*shift.shape, 1, 1)


@ex.right
def _(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out = torch.nn.functional.silu(embedding).matmul(weight.mT).add(bias)
    scale, shift = torch.tensor_split(out, 2, dim=-1)
    return torch.einsum("bchw,bc->bchw", h, scale + 1) + shift.unsqueeze(-1).unsqueeze(-1)


@ex.right
def _(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    images = []
    for image, e in zip(h, embedding, strict=True):
        scale, shift = (weight @ F.silu(e) + bias).split(len(image))
        images.append((image.permute(1, 2, 0) * (1 + scale) + shift).permute(2, 0, 1))
    return torch.stack(images)


@ex.right
def _(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    # a linear layer is a 1 x 1 convolution of a map with one pixel
    made = F.conv2d(F.silu(embedding)[:, :, None, None], weight[:, :, None, None], bias)
    scale, shift = made.unflatten(1, (2, -1)).unbind(1)
    return shift + (scale + 1) * h


@ex.right
def _(h: Tensor, embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    out, inner = weight.shape
    layer = torch.nn.Sequential(torch.nn.SiLU(), torch.nn.Linear(inner, out, device=h.device, dtype=h.dtype))
    made = torch.func.functional_call(layer, {"1.weight": weight, "1.bias": bias}, (embedding,))
    scale, shift = made.chunk(2, dim=1)
    return (h.flatten(2) * (1 + scale)[..., None] + shift[..., None]).view_as(h)


ex.wrong(
    "one_axis_short",
    "You give scale and shift one axis at the end, (B, C, 1); against (B, C, H, W) the C meets the rows.",
    lambda h, e, w, b: _applied(h, *F.linear(F.silu(e), w, b)[:, :, None].chunk(2, 1)),
)
ex.wrong(
    "tanh",
    "You use a tanh; SiLU is x times sigmoid(x).",
    lambda h, e, w, b: _applied(h, *F.linear(e.tanh(), w, b)[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "gelu",
    "You use a GELU; SiLU is x times sigmoid(x).",
    lambda h, e, w, b: _applied(h, *F.linear(F.gelu(e), w, b)[:, :, None, None].chunk(2, 1)),
)
ex.wrong(
    "overflow",
    "You write SiLU as x exp(x) / (1 + exp(x)): exp overflows for a large x, and the result is NaN.",
    lambda h, e, w, b: _applied(
        h, *F.linear(e * e.exp() / (1 + e.exp()), w, b)[:, :, None, None].chunk(2, 1)
    ),
)
ex.wrong(
    "shift_times_h",
    "You multiply h by the shift as well; the shift is added to the scaled map.",
    lambda h, e, w, b: h * (1 + _made(e, w, b)[0] + _made(e, w, b)[1]),
)
ex.wrong(
    "exponential_scale",
    "You use exp(scale); the factor is 1 + scale.",
    lambda h, e, w, b: h * _made(e, w, b)[0].exp() + _made(e, w, b)[1],
)
ex.wrong(
    "added_to_h",
    "You add the modulated map to `h`; the skip connection does that outside.",
    lambda h, e, w, b: h + _applied(h, *_made(e, w, b)),
)
ex.wrong(
    "silu_of_the_result",
    "You apply a SiLU to the modulated map; it belongs to the embedding alone.",
    lambda h, e, w, b: F.silu(_applied(h, *_made(e, w, b))),
)
ex.wrong(
    "weights_detached",
    "You detach the layer: weight and bias would never learn.",
    lambda h, e, w, b: _applied(h, *_made(e, w.detach(), b.detach())),
)
common_slips(ex, "returned_nothing", "graph_cut")

ex.breach("A residual block works on maps", "one_time_for_all")
ex.breach("makes a scale and a shift for every channel", "broadcast_from_the_right")
ex.breach("they act on the whole map", "one_axis_short")
ex.breach(r"\mathrm{SiLU}(e) + b", "no_bias")
ex.breach(r"\mathrm{SiLU}(e) + b", "sigmoid")
ex.breach(r"\mathrm{SiLU}(e) + b", "overflow")
ex.breach("h\\,(1 + \\text{scale})", "shifted_first")
ex.breach("The first C numbers", "shift_first")
ex.breach("The first C numbers", "alternating")
ex.breach("SiLU comes *before*", "silu_after")
ex.breach("The 1 is there", "no_one")
ex.breach("Leave `h` itself", "in_place")
ex.breach("Gradients flow", "detached_time")
ex.breach("Gradients flow", "weights_detached")
