"""Lesson 02: a timestep as a vector of sines and cosines."""

import math

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.slips import common_slips

ex = Exercise(
    id="sinusoidal_embedding",
    lesson="02",
    title="Time as sines and cosines",
    difficulty=2,
    minutes=10,
    spec=r"""
    Turn every timestep into `width` numbers, like the hands of many clocks of different speed. Half of the
    width goes to sines, half to cosines, of $t\,\omega_k$ with

    $$\omega_k = \texttt{max\_period}^{-k/h}, \qquad h = \texttt{width}/2, \quad k = 0, \ldots, h - 1.$$

    So the fastest clock advances 1 radian per step, the slowest nearly $1/\texttt{max\_period}$. All sines
    come first, then all cosines: $[\sin | \cos]$. `t` is `(B,)`, whole or not, of any type; the result is
    float32, `(B, width)`, on the device of `t`. An odd width has no two halves: raise a `ValueError`.
    """,
    hints=(
        "Frequencies first, shape (h,): `torch.arange(half, device=t.device)` has the k.",
        "Every timestep meets every frequency: (B, 1) times (h,) gives (B, h).",
        "`angles = t.float()[:, None] * max_period ** (-k / half)`, then "
        "`torch.cat([angles.sin(), angles.cos()], dim=1)`.",
    ),
    source="Vaswani et al. 2017, sec. 3.5 (there sines and cosines alternate); halves as in the code of "
    "Ho, Jain, Abbeel 2020, which divides by h - 1 instead of h.",
    equivalent={
        "`2` -> `-2`": "the remainder by -2 is 0 for even numbers too",
        "`width / 2`": "of an even width, a whole number all the same",
        "dim=-1": "of two axes the last is 1",
        "value.float()": "angles and result are float32 already",
        "value.detach()": "no gradient flows into a timestep",
    },
)


@ex.reference
def sinusoidal_embedding(t: Tensor, width: int, max_period: float) -> Tensor:
    """Timesteps (B,), whole or not -> (B, width) float32: [sin | cos] of t max_period**(-k / half)."""
    if width % 2:
        raise ValueError(f"a width of {width} has no two halves")
    half = width // 2
    k = torch.arange(half, device=t.device)
    angles = t.float()[:, None] * max_period ** (-k / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


@ex.edges
def _() -> list[Args]:
    t = torch.tensor([0, 1, 2])
    return [
        (t, 2, 10_000.0),
        (t, 4, 100.0),
        (t, 8, 16.0),
        (torch.tensor([0]), 6, 10_000.0),
        (torch.tensor([0.5, 3.25], dtype=torch.float64), 4, 100.0),
        (torch.tensor([3, 250, 9, 7], dtype=torch.uint8)[::2], 4, 1e4),
        (torch.tensor([5, 1], dtype=torch.int32), 6, 50.0),
        (torch.tensor([0.3, 11.7], dtype=torch.float16), 8, 1000.0),
        *((t, width, 100.0) for width in (5, 1, 3)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    t = 60 * case.rand(case.batch)  # beyond that, float32 angles differ by how they are worked out
    return t.long() if case.seed % 3 else t, 2 * case.integer(2, 16), case.choice((1e4, 1e3, 100.0))


def _angles(t: Tensor, half: int, max_period: float, of: float | None = None) -> Tensor:
    k = torch.arange(half, dtype=torch.float32, device=t.device)
    return t.float()[:, None] * torch.exp(-math.log(max_period) * k / (half if of is None else of))


def _half(width: int) -> int:
    if width % 2:
        raise ValueError(width)
    return width // 2


def _made_on_the_cpu(width: int, period: float) -> Tensor:
    return period ** (-torch.arange(_half(width)) / _half(width))


def _both(angles: Tensor) -> Tensor:
    return torch.cat([angles.sin(), angles.cos()], 1)


ex.wrong(
    "alternating",
    "You let sines and cosines alternate, as the formula of Vaswani et al. has it; here the halves follow "
    "each other, and weights trained with one order cannot read the other.",
    lambda t, width, period: (
        _both(_angles(t, _half(width), period)).view(len(t), 2, -1).mT.reshape(len(t), width)
    ),
)
ex.wrong(
    "cosines_first",
    "You put the cosines first: that is `flip_sin_to_cos=True` in diffusers.",
    lambda t, width, period: _both(_angles(t, _half(width), period)).roll(width // 2, 1),
)
ex.wrong(
    "divided_by_one_less",
    "You divide k by h - 1, so that the last frequency is 1 / max_period exactly: that is the default of "
    "diffusers (`downscale_freq_shift=1`), another embedding.",
    lambda t, width, period: _both(_angles(t, _half(width), period, max(width // 2 - 1, 1))),
)
ex.wrong(
    "divided_by_the_width",
    "You divide k by the width instead of by half of it: k runs over half only, so the slowest clock is "
    "then as fast as the one in the middle should be.",
    lambda t, width, period: _both(_angles(t, _half(width), period, width)),
)
ex.wrong(
    "rising",
    "You let the frequencies rise to max_period: even neighbouring timesteps then look unrelated.",
    lambda t, width, period: _both(_angles(t, _half(width), 1 / period)),
)
ex.wrong(
    "counted_from_one",
    "You count k from 1: the fastest clock, 1 radian per step, is missing.",
    lambda t, width, period: _both(
        _angles(t, _half(width), period) * math.exp(-math.log(period) / (width // 2))
    ),
)
ex.wrong(
    "evenly_spaced",
    "You space the frequencies evenly from 1 down to 1 / max_period; they are spaced by equal factors, so "
    "that all scales of time have their clock.",
    lambda t, width, period: _both(t.float()[:, None] * torch.linspace(1, 1 / period, _half(width))),
)
ex.wrong(
    "turns",
    "You multiply by 2 pi, as for frequencies in turns; here they are in radians.",
    lambda t, width, period: _both(2 * math.pi * _angles(t, _half(width), period)),
)
ex.wrong(
    "always_10000",
    "You have 10,000 written into the function and do not use `max_period`.",
    lambda t, width, period: _both(_angles(t, _half(width), 10_000.0)),
)
ex.wrong(
    "share_of_T",
    "You divide t by 1000 first: all clocks then nearly stand still, and neighbours look the same.",
    lambda t, width, period: _both(_angles(t, _half(width), period) / 1000),
)
ex.wrong(
    "only_sines",
    "You use sines only, of twice as many frequencies: without the cosine beside it a clock reads the same "
    "twice per turn.",
    lambda t, width, period: _angles(t, 2 * _half(width), period).sin(),
)
ex.wrong(
    "one_too_few",
    "You let an odd width pass and return a column too few: the next layer fails, far from the cause.",
    lambda t, width, period: _both(_angles(t, width // 2, period)),
)
ex.wrong(
    "padded",
    "You fill an odd width up with a column of zeros, as some libraries do; here it is an error.",
    lambda t, width, period: torch.cat(
        [_both(_angles(t, width // 2, period)), torch.zeros(len(t), width % 2)], 1
    ),
)
ex.wrong(
    "float64",
    "You compute in float64 and return it: the network's weights are float32 and refuse it.",
    lambda t, width, period: _both(_angles(t, _half(width), period)).double(),
)
ex.wrong(
    "type_of_t",
    "You let the type of t decide: float64 timesteps then give a float64 embedding.",
    lambda t, width, period: _both(_angles(t, _half(width), period)).to(
        torch.promote_types(t.dtype, torch.float32)
    ),
)
ex.wrong(
    "whole_steps",
    "You cut t to a whole number; samplers may stop between two timesteps.",
    lambda t, width, period: _both(_angles(t.long(), _half(width), period)),
)


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    half = _half(width)
    frequencies = torch.exp(torch.arange(half, device=t.device) * (-math.log(max_period) / half))
    angles = t.to(torch.float32).unsqueeze(1) * frequencies.unsqueeze(0)
    return torch.hstack((torch.sin(angles), torch.cos(angles)))


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    if width % 2 == 1:
        raise ValueError("odd")
    index = torch.arange(0, width, 2, device=t.device).float()
    angles = torch.outer(t.float(), 1.0 / max_period ** (index / width))
    return torch.cat((angles.sin(), angles.cos()), dim=-1)


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    half, odd = divmod(width, 2)
    if odd:
        raise ValueError("odd")
    waves = [
        f(float(s) * max_period ** (-k / half)) for s in t for f in (math.sin, math.cos) for k in range(half)
    ]
    return torch.tensor(waves, dtype=torch.float32).view(len(t), width)


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    phase = torch.tensor([0.0, math.pi / 2], device=t.device)[:, None]  # a cosine is a sine that is ahead
    angles = _angles(t, _half(width), max_period)[:, None, :]
    return torch.sin(angles + phase).flatten(1)


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    half = _half(width)
    out = torch.empty(len(t), width, device=t.device)
    turn = torch.polar(torch.ones(len(t), half, device=t.device), _angles(t, half, max_period))
    out[:, :half], out[:, half:] = turn.imag, turn.real
    return out


@ex.right
def _(t: Tensor, width: int, max_period: float) -> Tensor:
    half = _half(width)
    k = torch.arange(half, dtype=torch.float64, device=t.device)
    angles = torch.einsum(
        "b,k->bk", t.double(), torch.tensor(max_period, device=t.device).double() ** (-k / half)
    )
    return torch.cat([angles.sin(), angles.cos()], 1).float()


ex.wrong(
    "twice_as_wide",
    "You use `width` frequencies instead of half as many: the result is twice as wide as asked for.",
    lambda t, width, period: _both(_angles(t, 2 * _half(width), period)),
)
ex.wrong(
    "turned_over",
    "You return (width, B); every timestep is a row.",
    lambda t, width, period: _both(_angles(t, _half(width), period)).T,
)
ex.wrong(
    "base_e",
    "You take exp(-k / h) for the frequencies and leave `max_period` out.",
    lambda t, width, period: _both(_angles(t, _half(width), math.e)),
)
ex.wrong(
    "first_time_for_all",
    "You embed the first timestep only; every timestep has its own row.",
    lambda t, width, period: _both(_angles(t[:1].expand(len(t)), _half(width), period)),
)
ex.wrong(
    "type_of_t_inside",
    "You work in the type of t: whole numbers cut the frequencies to 0, half precision spoils the angles.",
    lambda t, width, period: _both(
        (t[:, None] * _angles(torch.ones(1), _half(width), period).to(t.dtype)).float()
    ),
)
ex.wrong(
    "even_width_refused",
    "You refuse even widths: it is the odd ones that have no two halves.",
    lambda t, width, period: _both(_angles(t, _half(width + 1), period)),
)
common_slips(ex, "returned_nothing", "assertion")

ex.breach("Turn every timestep", "twice_as_wide")
ex.breach("Turn every timestep", "first_time_for_all")
ex.breach("Half of the width", "only_sines")
for _name in ("divided_by_the_width", "divided_by_one_less", "counted_from_one", "rising", "always_10000"):
    ex.breach(r"\omega_k =", _name)
ex.breach("the fastest clock advances 1 radian", "turns")
ex.breach("the fastest clock advances 1 radian", "evenly_spaced")
ex.breach("All sines come first", "cosines_first")
ex.breach(r"$[\sin | \cos]$", "alternating")
ex.breach("whole or not", "whole_steps")
ex.breach("of any type", "type_of_t_inside")
ex.breach("the result is float32", "float64")
ex.breach("the result is float32", "type_of_t")
ex.breach(
    "on the device of `t`",
    lambda t, width, period: _both(t.float()[:, None] * _made_on_the_cpu(width, period)),
)
ex.breach("An odd width", "one_too_few")
ex.breach("An odd width", "padded")
