"""Lesson 04: one encoder block, with every weight in the open."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="encoder_block",
    lesson="04",
    title="One encoder block",
    difficulty=3,
    minutes=12,
    spec="""
    Convolution (kernel 4, stride 2, padding 1, no bias) → batch normalisation → LeakyReLU with slope 0.2:
    written with functions, so that no module hides a weight. While training, batch normalisation uses the
    mean and variance of the batch and updates `running_mean` and `running_var` in place (momentum 0.1); in
    use it takes the running values and leaves them alone. `F.batch_norm` does both, with its epsilon of 1e-5.
    Nothing else that you were given may change. Gradients flow to `x`, `weight`, `scale` and `shift`.
    """,
    hints=(
        "Three lines, three functions of `torch.nn.functional`: `conv2d`, `batch_norm`, `leaky_relu`.",
        "Kernel 4, stride 2, padding 1 halves an even size exactly. The kernel size is in `weight` already.",
        "`F.batch_norm(x, running_mean, running_var, scale, shift, training=training)`: the flag "
        "defaults to False.",
        "`F.leaky_relu(x, 0.2)`: the slope defaults to 0.01.",
    ),
    source="Encoder block of the course's U-Net; Radford et al. 2016 (DCGAN), Isola et al. 2017 (pix2pix).",
    gradients=("x", "weight", "scale", "shift"),
)


@ex.reference
def encoder_block(
    x: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
) -> Tensor:
    """x (B, C, H, W), weight (C_out, C, 4, 4), four vectors (C_out,) -> (B, C_out, H // 2, W // 2)."""
    x = F.conv2d(x, weight, stride=2, padding=1)
    x = F.batch_norm(x, running_mean, running_var, scale, shift, training=training)
    return F.leaky_relu(x, 0.2)


@ex.edges
def _() -> list[Args]:
    x = torch.arange(16.0).view(1, 1, 4, 4) - 6
    vectors = torch.tensor([2.0]), torch.tensor([0.5]), torch.tensor([1.0]), torch.tensor([4.0])
    kernel = torch.arange(16.0).view(1, 1, 4, 4) / 8 - 0.9  # not symmetric
    grey = torch.linspace(-2, 3, 2 * 5 * 7).view(2, 1, 7, 5)  # odd sizes
    faint = torch.tensor([1.0]), torch.tensor([0.0]), torch.tensor([0.01]), torch.tensor([1e-4])
    return [
        *((x, torch.ones(1, 1, 4, 4) / 16, *vectors, training) for training in (False, True)),
        *((grey * grey, kernel, *vectors, training) for training in (True, False)),
        *((grey.sin() / 50, kernel.mT, *faint, training) for training in (True, False)),  # epsilon counts
        (torch.cat([x, 3 - x.mT]), torch.cat([kernel, -kernel]), *(v.repeat(2) for v in vectors), True),
    ]


@ex.inputs
def _(case: Case) -> Args:
    channels, out = case.integer(1, 3), case.integer(1, 4)
    x = case.randn(case.batch, channels, case.height + 2, case.width + 3)
    vectors = case.rand(out) + 0.5, case.randn(out), case.randn(out), case.rand(out) + 0.1
    return x, case.randn(out, channels, 4, 4) / 4, *vectors, case.seed % 3 != 0


def _block(x: Tensor, weight: Tensor, *rest: Tensor | bool) -> Tensor:
    scale, shift, mean, var, training = rest
    x = F.conv2d(x, weight, stride=2, padding=1)
    return F.leaky_relu(F.batch_norm(x, mean, var, scale, shift, training), 0.2)  # type: ignore[arg-type]


ex.wrong(
    "always_training",
    "You normalise by the batch even in use: one image's output then depends on its batch-mates.",
    lambda x, weight, scale, shift, mean, var, training: _block(x, weight, scale, shift, mean, var, True),
)
ex.wrong(
    "always_eval",
    "You never pass `training`: its default is False, so the running values are used and never learned.",
    lambda x, weight, scale, shift, mean, var, training: _block(x, weight, scale, shift, mean, var, False),
)
ex.wrong(
    "relu",
    "You use a plain ReLU: units below zero get no gradient. The encoder lets a fifth of it through.",
    lambda x, w, scale, shift, mean, var, training: F.relu(
        F.batch_norm(F.conv2d(x, w, stride=2, padding=1), mean, var, scale, shift, training)
    ),
)
ex.wrong(
    "default_slope",
    "You leave LeakyReLU's slope at its default of 0.01; here it is 0.2.",
    lambda x, w, scale, shift, mean, var, training: F.leaky_relu(
        F.batch_norm(F.conv2d(x, w, stride=2, padding=1), mean, var, scale, shift, training)
    ),
)
ex.wrong(
    "activation_first",
    "You activate before you normalise; the order here is convolution, normalisation, activation.",
    lambda x, w, scale, shift, mean, var, training: F.batch_norm(
        F.leaky_relu(F.conv2d(x, w, stride=2, padding=1), 0.2), mean, var, scale, shift, training
    ),
)
ex.wrong(
    "no_padding",
    "You leave out the padding: the map shrinks by more than half, and the sizes no longer "
    "mirror the decoder's.",
    lambda x, w, scale, shift, mean, var, training: F.leaky_relu(
        F.batch_norm(F.conv2d(x, w, stride=2), mean, var, scale, shift, training), 0.2
    ),
)
ex.wrong(
    "no_stride",
    "You leave out the stride: the map keeps its size instead of being halved.",
    lambda x, w, scale, shift, mean, var, training: F.leaky_relu(
        F.batch_norm(F.conv2d(x, w, padding=1), mean, var, scale, shift, training), 0.2
    ),
)
ex.wrong(
    "scale_forgotten",
    "You normalise but do not apply scale and shift: the block can then not choose its own range.",
    lambda x, w, scale, shift, mean, var, training: F.leaky_relu(
        F.batch_norm(F.conv2d(x, w, stride=2, padding=1), mean, var, training=training), 0.2
    ),
)
ex.wrong(
    "statistics_not_kept",
    "You normalise by the batch but do not update the running values, so there is nothing to use later.",
    lambda x, weight, scale, shift, mean, var, training: _block(
        x, weight, scale, shift, mean.clone(), var.clone(), training
    ),
)
ex.wrong(
    "instance_norm",
    "You take mean and variance per image; batch normalisation takes them over the batch as well.",
    lambda x, w, scale, shift, mean, var, training: F.leaky_relu(
        F.instance_norm(F.conv2d(x, w, stride=2, padding=1), mean, var, scale, shift, training), 0.2
    ),
)

ex.right(_block)


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = F.conv2d(F.pad(x, (1, 1, 1, 1)), weight, None, 2)
    y = F.batch_norm(y, mean, var, scale, shift, training, 0.1, 1e-5)
    return torch.where(y > 0, y, 0.2 * y)


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    norm = torch.nn.BatchNorm2d(len(scale), affine=False, dtype=x.dtype, device=x.device).train(training)
    norm.running_mean, norm.running_var = mean, var
    y = norm(torch.conv2d(x, weight, stride=(2, 2), padding=(1, 1)))
    return torch.nn.LeakyReLU(0.2)(y * scale[:, None, None] + shift[:, None, None])


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = F.conv2d(x, weight, stride=2, padding=1)
    m, v = mean, var
    if training:
        m, v = y.mean(dim=(0, 2, 3)), y.var(dim=(0, 2, 3), correction=0)
        with torch.no_grad():
            mean.mul_(0.9).add_(0.1 * m)
            var.mul_(0.9).add_(0.1 * y.var(dim=(0, 2, 3)))
    y = (y - m[:, None, None]) / (v[:, None, None] + 1e-5).sqrt() * scale[:, None, None] + shift[
        :, None, None
    ]
    return torch.maximum(y, 0.2 * y)


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = F.batch_norm(F.conv2d(x, weight, stride=2, padding=1), mean, var, None, None, training)
    y = torch.einsum("bchw,c->bchw", y, scale) + shift.view(1, -1, 1, 1)
    return F.relu(y) - 0.2 * F.relu(-y)


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    patches = F.unfold(x, 4, padding=1, stride=2)  # (B, C * 16, positions)
    rows, columns = (x.shape[2] - 2) // 2 + 1, (x.shape[3] - 2) // 2 + 1
    y = (weight.flatten(1) @ patches).unflatten(2, (rows, columns))
    return F.leaky_relu_(F.batch_norm(y, mean, var, scale, shift, training=training), negative_slope=0.2)


@ex.right
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = torch.batch_norm(
        F.conv2d(x, weight, stride=2, padding=1), scale, shift, mean, var, training, 0.1, 1e-5, False
    )
    return F.prelu(y, torch.full((1,), 0.2, dtype=y.dtype, device=y.device))


def _by_hand(
    momentum: float = 0.1, correction: int = 1, used: int = 0, eps: float = 1e-5
) -> Callable[..., Tensor]:
    """The block by hand, with the choices that `F.batch_norm` makes."""

    def answer(
        x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
    ) -> Tensor:
        y = F.conv2d(x, weight, stride=2, padding=1)
        m, v = mean, var
        if training:
            m, v = y.mean(dim=(0, 2, 3)), y.var(dim=(0, 2, 3), correction=used)
            with torch.no_grad():
                mean.lerp_(m, momentum)
                var.lerp_(y.var(dim=(0, 2, 3), correction=correction), momentum)
        y = (y - m[:, None, None]) / (v[:, None, None] + eps).sqrt()
        return F.leaky_relu(y * scale[:, None, None] + shift[:, None, None], 0.2)

    return answer


ex.right(_by_hand())
ex.wrong(
    "momentum_turned",
    "You keep a tenth of the running values and take nine tenths of the batch; momentum 0.1 is the share of "
    "the *batch*.",
    _by_hand(momentum=0.9),
)
ex.wrong(
    "biased_running_variance",
    "You keep the variance divided by N; `F.batch_norm` keeps the one divided by N - 1.",
    _by_hand(correction=0),
)
ex.wrong(
    "unbiased_in_the_batch",
    "You normalise by the variance divided by N - 1; in the batch it is divided by N.",
    _by_hand(used=1),
)
ex.wrong(
    "no_epsilon",
    "You leave out the epsilon below the root, which shows where the variance is small.",
    _by_hand(eps=0.0),
)
ex.wrong(
    "statistics_replaced",
    "You overwrite the running values with those of the batch; a tenth of the batch comes in.",
    _by_hand(momentum=1.0),
)


@ex.wrong(
    "running_values_while_training",
    "You update the running values while training but also normalise by them; the batch's own are used then.",
)
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    if training:
        _block(x.detach(), weight.detach(), scale.detach(), shift.detach(), mean, var, True)
    return _block(x, weight, scale, shift, mean.clone(), var.clone(), False)


@ex.wrong("x_changed", "You change `x` in place; only the running values may change.")
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = _block(x.clone(), weight, scale, shift, mean, var, training)
    x.data.mul_(0.5)
    return y


@ex.wrong(
    "training_turned", "You turn `training` round: the batch is used in use, the running values in training."
)
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    return _block(x, weight, scale, shift, mean, var, not training)


@ex.wrong("no_activation", "You leave out the LeakyReLU.")
def _(
    x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, training: bool
) -> Tensor:
    y = F.conv2d(x, weight, stride=2, padding=1)
    return F.batch_norm(y, mean, var, scale, shift, training)


def _choosing(
    norm: Callable[..., Tensor], activate: Callable[[Tensor], Tensor] = lambda y: F.leaky_relu(y, 0.2)
) -> Callable[..., Tensor]:
    """The block with another normalisation `norm(y, mean, var, scale, shift, training)` or activation."""

    def answer(x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor, *rest: Tensor | bool) -> Tensor:
        mean, var, training = rest
        return activate(norm(F.conv2d(x, weight, stride=2, padding=1), mean, var, scale, shift, training))

    return answer


NORMS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "scale_and_shift_swapped": (
        "You have scale and shift the wrong way round.",
        lambda y, m, v, s, b, t: F.batch_norm(y, m, v, b, s, t),
    ),
    "no_shift": ("You do not shift.", lambda y, m, v, s, b, t: F.batch_norm(y, m, v, s, None, t)),
    "no_scale": ("You do not scale.", lambda y, m, v, s, b, t: F.batch_norm(y, m, v, None, b, t)),
    "no_running_values": (
        "You pass no running values: they are neither used nor updated.",
        lambda y, m, v, s, b, t: F.batch_norm(y, None, None, s, b, True),
    ),
    "no_normalisation": ("You leave the normalisation out.", lambda y, m, v, s, b, t: y),
    "mean_and_variance_swapped": (
        "You have running mean and running variance the wrong way round.",
        lambda y, m, v, s, b, t: F.batch_norm(y, v, m, s, b, t),
    ),
}
for _name, (_said, _norm) in NORMS.items():
    ex.wrong(_name, _said, _choosing(_norm))
common_slips(ex, "returned_nothing")

ex.breach("Convolution (kernel 4", "no_padding")
ex.breach("Convolution (kernel 4", "activation_first")
ex.breach("LeakyReLU with slope 0.2", "default_slope")
ex.breach("While training, batch normalisation", "always_eval")
ex.breach("updates `running_mean` and `running_var` in place", "statistics_not_kept")
ex.breach("momentum 0.1", "momentum_turned")
ex.breach("in use it takes the running values", "always_training")
ex.breach("with its epsilon", "no_epsilon")
ex.breach("`F.batch_norm` does both", "biased_running_variance")
ex.breach("Nothing else that you were given", "x_changed")
ex.breach("Gradients flow", lambda x, weight, *rest: _block(x, weight.detach(), *rest))
