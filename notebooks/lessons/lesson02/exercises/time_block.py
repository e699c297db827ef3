"""Lesson 02: the residual block with time, as a class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import ModuleExercise
from lessons.lesson02.exercises import _time_blocks as blocks
from lessons.lesson02.exercises._time_blocks import (
    Base,
    with_added,
    with_forward,
    with_layer,
    with_modulated,
    with_parts,
)

ex = ModuleExercise(
    id="time_block",
    lesson="02",
    title="The block with time",
    difficulty=3,
    minutes=15,
    spec=r"""
    Write the block that the denoiser of this lesson is made of, as a class. `x` is `(B, features)`, `time` is
    the time's vector, `(B, time_features)`, one for each sample; the result is like `x`. The block has four
    layers with these names, everything else in them as PyTorch has it:

    1. `norm`, a layer normalisation of `x`;
    2. `modulation`, a linear layer from SiLU(`time`) to the scale and the shift, `features` numbers each,
       scale first: $h = \text{norm}(x)\,(1 + \text{scale}) + \text{shift}$;
    3. `inner`, a linear layer from `features` to `features` numbers, and SiLU after it;
    4. `outer`, another such layer; its result is *added* to the `x` that came in.

    Make the layers in `__init__`, once, and use them in `forward`. Leave `x` as it is, and do the same in
    train and eval mode.
    """,
    hints=(
        "`super().__init__()` comes first in `__init__`; then `self.norm = nn.LayerNorm(features)` etc. "
        "`modulation` makes `2 * features` numbers.",
        "`scale, shift = self.modulation(F.silu(time)).chunk(2, dim=1)`",
        "`h = self.norm(x) * (1 + scale) + shift`, then `return x + self.outer(F.silu(self.inner(h)))`.",
    ),
    source="Dhariwal, Nichol 2021 (AdaGN, sec. 3.1), here for vectors; He et al. 2016 (residual learning).",
    equivalent={
        "dim=-1": "of two axes the last is 1",
        ".8 value.float()": "layers are float32 already",
    },
)


@ex.reference
class TimeBlock(nn.Module):
    """x (B, features) and time (B, time_features) -> x + what this block adds at this time, like x."""

    def __init__(self, features: int, time_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x (B, features), time (B, time_features) -> like x."""
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=1)
        h = self.norm(x) * (1 + scale) + shift
        added: Tensor = self.outer(F.silu(self.inner(h)))
        return x + added


@ex.edges
def _() -> list[Args]:
    x = torch.tensor([[1.0, -2.0], [3.0, 0.5]])  # B = features = time_features: axes in the wrong place run
    time = torch.tensor([[0.5, -1.0], [2.0, 1.0]])
    return [
        (2, 2, x, time),
        (2, 2, x[:1], time[:1]),
        (2, 2, torch.zeros(2, 2), time),
        (2, 2, x, torch.zeros(2, 2)),
        (2, 2, torch.full((2, 2), 2.0), time),
        (2, 2, 1000 * x, 30 * time),
        (2, 2, 0.003 * x, time),  # so small that norm's own small number shows
        (1, 3, torch.tensor([[2.0], [-1.0]]), torch.tensor([[1.0, 0.0, -3.0], [0.2, 5.0, 1.0]])),
        (3, 1, torch.linspace(-1, 2, 6).view(3, 2).T, torch.tensor([[-4.0], [0.3]])),  # not contiguous
    ]


@ex.inputs
def _(case: Case) -> Args:
    features, time_features = case.integer(2, 7), case.integer(1, 6)
    x, time = 2 * case.randn(case.batch, features) + 0.5, 2 * case.randn(case.batch, time_features)
    return features, time_features, x, time


for name, misconception, answer in (
    (
        "no_norm",
        "You leave the normalisation out of `forward`.",
        with_modulated(lambda self, x, scale, shift: x * (1 + scale) + shift),
    ),
    (
        "norm_last",
        "You normalise after scale and shift: that divides the scale out again.",
        with_modulated(lambda self, x, scale, shift: self.norm(x * (1 + scale) + shift)),
    ),
    (
        "no_one",
        "You multiply by scale instead of 1 + scale: near zero it would block everything.",
        with_modulated(lambda self, x, scale, shift: self.norm(x) * scale + shift),
    ),
    (
        "shifted_first",
        "You shift before you scale, so the shift gets scaled too.",
        with_modulated(lambda self, x, scale, shift: (self.norm(x) + shift) * (1 + scale)),
    ),
    (
        "only_shifted",
        "You only add the shift; the scale turns features up and down.",
        with_modulated(lambda self, x, scale, shift: self.norm(x) + shift),
    ),
    (
        "shift_first",
        "You take the first half for the shift; the scale comes first.",
        with_parts(lambda self, time: self.modulation(F.silu(time)).chunk(2, dim=1)[::-1]),
    ),
    (
        "alternating",
        "You take every other number for the scale; the halves follow each other.",
        with_parts(lambda self, time: self.modulation(F.silu(time)).unflatten(1, (-1, 2)).unbind(2)),
    ),
    (
        "no_silu_on_time",
        "You leave out the SiLU on the time: it comes from a linear layer, and two in a row are one.",
        with_parts(lambda self, time: self.modulation(time).chunk(2, dim=1)),
    ),
    (
        "relu_on_time",
        "You use a ReLU on the time; SiLU is x times sigmoid(x).",
        with_parts(lambda self, time: self.modulation(F.relu(time)).chunk(2, dim=1)),
    ),
    (
        "silu_after_modulation",
        "You apply the SiLU after `modulation`: scale and shift could then hardly be negative.",
        with_parts(lambda self, time: F.silu(self.modulation(time)).chunk(2, dim=1)),
    ),
    (
        "one_time_for_all",
        "You use the first sample's time for the whole batch; each has its own.",
        with_parts(lambda self, time: self.modulation(F.silu(time[:1])).chunk(2, dim=1)),
    ),
    (
        "detached_time",
        "You detach the time: the layers that make it would never learn.",
        with_parts(lambda self, time: self.modulation(F.silu(time.detach())).chunk(2, dim=1)),
    ),
    (
        "no_silu_between",
        "You leave out the SiLU between `inner` and `outer`: two linear layers in a row are one.",
        with_added(lambda self, h: self.outer(self.inner(h))),
    ),
    (
        "silu_before_inner",
        "You apply the SiLU before `inner`; it stands between `inner` and `outer`.",
        with_added(lambda self, h: self.outer(self.inner(F.silu(h)))),
    ),
    (
        "silu_at_the_end",
        "You apply a second SiLU to what is added: the block could then hardly take anything away.",
        with_added(lambda self, h: F.silu(self.outer(F.silu(self.inner(h))))),
    ),
    (
        "layers_swapped",
        "You use `outer` first and `inner` second.",
        with_added(lambda self, h: self.inner(F.silu(self.outer(h)))),
    ),
    (
        "no_residual",
        "You do not add `x`: without it the block has to carry everything through its layers.",
        with_forward(lambda self, x, time: self.added(self.modulated(x, *self.parts(time)))),
    ),
    (
        "residual_of_the_normalised",
        "You add the normalised `x`; the shortcut carries `x` as it came in.",
        with_forward(lambda self, x, time: self.norm(x) + self.added(self.modulated(x, *self.parts(time)))),
    ),
    (
        "residual_of_the_modulated",
        "You add `h`, after scale and shift; the shortcut carries `x` as it came in.",
        with_forward(lambda self, x, time: (h := self.modulated(x, *self.parts(time))) + self.added(h)),
    ),
    (
        "layers_made_in_forward",
        "You make a layer in `forward`: a new one, with new random numbers, in every call.",
        with_forward(
            lambda self, x, time: (
                x
                + nn.Linear(x.shape[1], x.shape[1])(F.silu(self.inner(self.modulated(x, *self.parts(time)))))
            )
        ),
    ),
    (
        "fixed_norm",
        "Your normalisation has no weights of its own; PyTorch's has, unless told otherwise.",
        with_layer("norm", lambda features, _: nn.LayerNorm(features, elementwise_affine=False)),
    ),
    (
        "batch_norm",
        "You normalise over the batch: a sample's result would depend on its neighbours.",
        with_layer("norm", lambda features, _: nn.BatchNorm1d(features)),
    ),
    (
        "other_epsilon",
        "You give the normalisation another small number `eps` than PyTorch's.",
        with_layer("norm", lambda features, _: nn.LayerNorm(features, eps=1e-3)),
    ),
    (
        "no_bias",
        "Your `modulation` has no bias.",
        with_layer("modulation", lambda features, width: nn.Linear(width, 2 * features, bias=False)),
    ),
    (
        "scale_only",
        "Your `modulation` makes `features` numbers; scale and shift are twice as many.",
        with_layer("modulation", lambda features, width: nn.Linear(width, features)),
    ),
    ("other_names", "Your layers have other names: `inner` and `outer` are looked for.", blocks.Renamed),
    ("shared", "`inner` and `outer` are one and the same layer; they are two.", blocks.Shared),
    (
        "hidden_in_a_list",
        "You keep layers in a plain list, which PyTorch does not look into: no optimiser finds them.",
        blocks.Hidden,
    ),
    ("surplus", "Your block has a layer that the text does not ask for.", blocks.Surplus),
    (
        "dropout",
        "You drop numbers out in train mode; the block does the same in both modes.",
        blocks.Dropping,
    ),
    (
        "dropout_always",
        "You drop numbers out, in eval mode too: it changes from call to call.",
        blocks.AlwaysDropping,
    ),
    ("switching", "Your block switches itself to eval mode.", blocks.Switching),
    ("in_place", "You change the `x` that you were given.", blocks.InPlace),
    ("float32", "You compute in float32, whatever the block was moved to.", blocks.Lowered),
):
    ex.wrong(name, misconception, answer)

ex.right(Base)


@ex.right
class _Split(nn.Module):
    def __init__(self, features: int, time_features: int) -> None:
        super().__init__()
        self.features = features
        self.outer, self.inner = nn.Linear(features, features), nn.Linear(features, features)
        self.modulation = nn.Linear(time_features, features + features)
        self.norm, self.act = nn.LayerNorm((features,)), nn.SiLU()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        made = self.modulation(self.act(time))
        h = torch.addcmul(self.norm(x) + made[:, self.features :], self.norm(x), made[:, : self.features])
        return torch.add(self.outer(self.act(self.inner(h))), x)


@ex.right
class _ByHand(nn.Module):
    def __init__(self, features: int, time_features: int) -> None:
        super().__init__()
        layers = {
            "norm": nn.LayerNorm(features),
            "modulation": nn.Linear(time_features, 2 * features),
            "inner": nn.Linear(features, features),
            "outer": nn.Linear(features, features),
        }
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        parts = dict(self.named_parameters())
        centred = x - x.mean(-1, keepdim=True)
        normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        normed = normed * parts["norm.weight"] + parts["norm.bias"]
        made = time * time.sigmoid() @ parts["modulation.weight"].T + parts["modulation.bias"]
        scale, shift = made.unflatten(1, (2, -1)).unbind(1)
        h = (normed + normed * scale + shift) @ parts["inner.weight"].T + parts["inner.bias"]
        return x + (h / (1 + torch.exp(-h))) @ parts["outer.weight"].T + parts["outer.bias"]


@ex.right
class _InTwoBlocks(nn.Module):
    def __init__(self, features: int, time_features: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner, self.outer = (nn.Linear(features, features) for _ in range(2))

    def added(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        made: Tensor = self.outer(F.silu(self.inner(self.norm(x) * scale + shift)))
        return made

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = torch.tensor_split(self.modulation(F.silu(time)), 2, dim=-1)
        return self.added(x, scale + 1, shift) + x


ex.background("Write the block that the denoiser")
ex.breach("one for each sample", "one_time_for_all")
ex.breach("the result is like `x`", "float32")
ex.breach("The block has four layers with these names", "other_names")
ex.breach("everything else in them as PyTorch has it", "other_epsilon")
ex.breach("`norm`, a layer normalisation of `x`", "batch_norm")
ex.breach("`modulation`, a linear layer from SiLU(`time`)", "no_silu_on_time")
ex.breach("scale first", "shift_first")
ex.breach("$h = ", "no_one")
ex.breach("`inner`, a linear layer", "silu_before_inner")
ex.breach("`outer`, another such layer", "shared")
ex.breach("its result is *added* to the `x` that came in", "residual_of_the_normalised")
ex.breach("Make the layers in `__init__`, once", "layers_made_in_forward")
ex.breach("Leave `x` as it is", "in_place")
ex.breach("do the same in train and eval mode", "dropout")
