"""Answers to the new exercise of lesson 02 by people who saw only the texts."""

import torch
import torch.nn.functional as F
from strangers import right, wrong
from torch import nn

# ---------------------------------------------------------------- time_block


@wrong(
    "time_block",
    "adds to the normalised x instead of the x that came in",
    breaks="4. `outer`, another such layer;",
)
class N2NormedSkip(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        x = self.norm(x)
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=-1)
        h = x * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(h)))


@wrong(
    "time_block",
    "SiLU after the modulation layer, not before",
    breaks="2. `modulation`, a linear layer from SiLU",
)
class N2SiluAfter(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = F.silu(self.modulation(time)).chunk(2, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(h)))


@wrong("time_block", "x += ...: changes the x of the caller", breaks="Leave `x` as it is,")
class N2InPlace(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        h = self.outer(F.silu(self.inner(h)))
        x += h
        return x


@wrong(
    "time_block",
    "outer starts at zero, as in adaLN-Zero",
    breaks="The block has four layers with these names,",
)
class N2ZeroOuter(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, x, time):
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(h)))


@wrong(
    "time_block",
    "norm without its own weight and bias (elementwise_affine=False), as in DiT",
    breaks="The block has four layers with these names,",
)
class N2NoAffine(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features, elementwise_affine=False)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        return x + self.outer(F.silu(self.inner(h)))


@wrong("time_block", "dropout before outer in train mode", breaks="Leave `x` as it is, and do the same in")
class N2Dropout(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, 2 * features)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = self.modulation(F.silu(time)).chunk(2, dim=-1)
        h = self.norm(x) * (1 + scale) + shift
        h = F.dropout(F.silu(self.inner(h)), p=0.1, training=self.training)
        return x + self.outer(h)


def n2_silu(z):
    """SiLU by its formula."""
    return z * torch.sigmoid(z)


@right("time_block", "layers made in the opposite order in a loop, SiLU by its formula, addcmul")
class N2Reversed(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        sizes = {"outer": (features, features), "inner": (features, features)}
        sizes["modulation"] = (time_features, features + features)
        for name, (a, b) in sizes.items():
            setattr(self, name, nn.Linear(a, b))
        self.norm = nn.LayerNorm([features])
        self.width = features

    def forward(self, x, time):
        both = self.modulation(n2_silu(time))
        scale, shift = both[:, : self.width], both[:, self.width :]
        h = torch.addcmul(shift, self.norm(x), scale + 1)
        return torch.add(self.outer(n2_silu(self.inner(h))), x)


@right("time_block", "SiLU kept as a fifth module without parameters, split, normed + normed * scale")
class N2ActModule(nn.Module):
    def __init__(self, features, time_features):
        super().__init__()
        self.act = nn.SiLU()
        self.norm = nn.LayerNorm(features)
        self.modulation = nn.Linear(time_features, features * 2)
        self.inner = nn.Linear(features, features)
        self.outer = nn.Linear(features, features)

    def forward(self, x, time):
        scale, shift = torch.split(self.modulation(self.act(time)), x.shape[-1], dim=-1)
        normed = self.norm(x)
        h = normed + normed * scale + shift
        return self.outer(self.act(self.inner(h))) + x


class N2Base(nn.Module):
    """A residual block; what is added comes from `change`."""

    def change(self, x, time):
        raise NotImplementedError

    def forward(self, x, time):
        return x + self.change(x, time)


@right(
    "time_block",
    "a base class with the residual, layers by add_module, scale and shift by unflatten and unbind",
)
class N2Derived(N2Base):
    def __init__(self, features, time_features):
        super().__init__()
        self.add_module("norm", nn.LayerNorm(features))
        self.add_module("modulation", nn.Linear(time_features, 2 * features))
        self.add_module("inner", nn.Linear(features, features))
        self.add_module("outer", nn.Linear(features, features))

    def change(self, x, time):
        scale, shift = self.modulation(F.silu(time)).unflatten(-1, (2, -1)).unbind(-2)
        return self.outer(F.silu(self.inner(self.norm(x) * (1 + scale) + shift)))
