"""Lesson 16: a plucked string, as a loop."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="pluck",
    lesson="16",
    title="A plucked string",
    difficulty=2,
    minutes=12,
    kind="loop",
    fresh=True,
    spec=r"""
    Write the string of Karplus and Strong. `burst` is `(N, P + 1)`, one row for each string, `keep` is
    `(N,)`. Return `(N, length)`, with `length` > P + 1. The first P + 1 samples are the burst. Every later
    sample is `keep` times the mean of two older ones, those P and P + 1 samples before it,

    $$y_n = \text{keep} \cdot \frac{y_{n-P} + y_{n-P-1}}{2} .$$

    Leave `burst` as it is.
    """,
    hints=(
        "Begin with `torch.zeros(len(burst), length)` and fill it from the left, one sample after the other.",
        "The period is `P = burst.shape[1] - 1`, and the loop is `for n in range(P + 1, length):`.",
        "`y[:, n] = keep * (y[:, n - P] + y[:, n - P - 1]) / 2`",
    ),
    source="Karplus, Strong 1983, section 2; the factor `keep` is that of Jaffe, Smith 1983, section 3.",
    equivalent={"value.detach()": "nothing here learns"},
)


@ex.reference
def pluck(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    """burst (N, P + 1), keep (N,) in [0, 1], length > P + 1 -> sounds (N, length)."""
    period = burst.shape[1] - 1
    sound = torch.zeros(len(burst), length, dtype=burst.dtype)
    sound[:, : period + 1] = burst
    for n in range(period + 1, length):
        sound[:, n] = keep * (sound[:, n - period] + sound[:, n - period - 1]) / 2
    return sound


@ex.edges
def _() -> list[Args]:
    two = torch.tensor([[1.0, -2.0, 0.5, 4.0], [0.0, 3.0, -1.0, 2.0]])
    return [
        (two, torch.tensor([1.0, 0.5]), 11),
        (two[:1], torch.tensor([0.9]), 5),
        (torch.tensor([[1.0, 2.0]]), torch.tensor([1.0]), 6),  # a period of 1
        (two, torch.tensor([0.0, 1.0]), 12),
        (torch.zeros(2, 5), torch.tensor([0.9, 0.8]), 9),
        (torch.linspace(-1, 1, 12).view(4, 3).T, torch.tensor([0.99, 0.7, 1.0]), 20),  # not contiguous
        (two, torch.tensor([0.95, 0.99]), 64),
    ]


@ex.inputs
def _(case: Case) -> Args:
    period = case.integer(1, 9)
    keep = torch.rand(case.batch, generator=case.generator)
    return case.randn(case.batch, period + 1).float(), keep, period + case.integer(2, 40)


def _string(
    burst: Tensor,
    keep: Tensor,
    length: int,
    near: int = 0,
    far: int = 1,
    weights: tuple[float, float] = (0.5, 0.5),
    start: int = 0,
) -> Tensor:
    """The loop with other delays (counted from P), other weights, or a later start."""
    period = burst.shape[1] - 1
    sound = torch.zeros(len(burst), length)
    sound[:, : period + 1] = burst
    for n in range(period + 1 + start, length):
        one, two = sound[:, n - period - near], sound[:, n - period - far]
        sound[:, n] = keep * (weights[0] * one + weights[1] * two)
    return sound


for name, misconception, answer in (
    (
        "no_mean",
        "You repeat the sample P + 1 before; it is the mean of two that takes the high partials away.",
        lambda burst, keep, length: _string(burst, keep, length, weights=(0.0, 1.0)),
    ),
    (
        "one_period",
        "You repeat the sample P before; the mean of two neighbours is wanted.",
        lambda burst, keep, length: _string(burst, keep, length, weights=(1.0, 0.0)),
    ),
    (
        "summed",
        "You add the two samples and do not halve the sum: the string grows louder.",
        lambda burst, keep, length: _string(burst, keep, length, weights=(1.0, 1.0)),
    ),
    (
        "keep_ignored",
        "You leave `keep` out: every string fades alike.",
        lambda burst, keep, length: _string(burst, torch.ones_like(keep), length),
    ),
    (
        "one_keep_for_all",
        "You use the first string's `keep` for all of them.",
        lambda burst, keep, length: _string(burst, keep[:1].expand_as(keep), length),
    ),
    (
        "keep_squared",
        "You multiply by `keep` twice.",
        lambda burst, keep, length: _string(burst, keep**2, length),
    ),
    (
        "keep_on_one_sample",
        "You multiply only one of the two samples by `keep`.",
        lambda burst, keep, length: _half_kept(burst, keep, length),
    ),
    (
        "difference",
        "You take the difference of the two samples: that removes low tones instead of high ones.",
        lambda burst, keep, length: _string(burst, keep, length, weights=(0.5, -0.5)),
    ),
    (
        "neighbour_within_the_round",
        "You mean over the samples P and 1 before: the sample just made takes part, and the pitch is lost.",
        lambda burst, keep, length: _with_the_last(burst, keep, length),
    ),
    (
        "faded_burst",
        "You multiply the burst by `keep` as well; the first P + 1 samples are the burst as it is.",
        lambda burst, keep, length: _string(burst * keep[:, None], keep, length),
    ),
    (
        "without_burst",
        "You return only what comes after the burst; the burst is the beginning of the sound.",
        lambda burst, keep, length: _string(burst, keep, length + burst.shape[1])[:, burst.shape[1] :],
    ),
    (
        "one_sample_late",
        "Your loop starts one sample late, and a zero stands after the burst.",
        lambda burst, keep, length: _string(burst, keep, length, start=1),
    ),
    (
        "no_loop",
        "You repeat the burst; each round has to be made of the round before it.",
        lambda burst, keep, length: burst.repeat(1, length)[:, :length],
    ),
    (
        "turned",
        "You return `(length, N)`; each string is a row.",
        lambda burst, keep, length: _string(burst, keep, length).T,
    ),
    (
        "a_whole_round_of_silence",
        "After the burst comes a round of zeros: the loop begins right after the burst.",
        lambda burst, keep, length: _string(burst, keep, length, start=burst.shape[1]),
    ),
):
    ex.wrong(name, misconception, answer)


def _half_kept(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    period = burst.shape[1] - 1
    sound = torch.zeros(len(burst), length)
    sound[:, : period + 1] = burst
    for n in range(period + 1, length):
        sound[:, n] = (keep * sound[:, n - period] + sound[:, n - period - 1]) / 2
    return sound


def _with_the_last(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    period = burst.shape[1] - 1
    sound = torch.zeros(len(burst), length)
    sound[:, : period + 1] = burst
    for n in range(period + 1, length):
        sound[:, n] = keep * (sound[:, n - period] + sound[:, n - 1]) / 2
    return sound


@ex.wrong("in_place", "You change the `burst` that you were given.")
def _(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    sound = _string(burst, keep, length)
    burst.mul_(keep[:, None] - 2)
    return sound


@ex.right
def _(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    """A whole round at once: P new samples need only older ones."""
    period = burst.shape[1] - 1
    rounds = [burst]
    last = burst
    while sum(part.shape[1] for part in rounds) < length:
        new = keep[:, None] * (last[:, 1:] + last[:, :-1]) / 2
        rounds.append(new)
        last = torch.cat([last[:, -1:], new], dim=1)
    assert last.shape[1] == period + 1
    return torch.cat(rounds, dim=1)[:, :length]


@ex.right
def _(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    """Columns in a list."""
    columns = list(burst.unbind(1))
    period = len(columns) - 1
    while len(columns) < length:
        columns.append(keep * torch.stack([columns[-period], columns[-period - 1]]).mean(0))
    return torch.stack(columns, dim=1)


@ex.right
def _(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    """A queue that turns."""
    from collections import deque

    loop, sound = deque(burst.T.clone()), list(burst.T.clone())
    while len(sound) < length:
        first = loop.popleft()
        sound.append(0.5 * keep * (first + loop[0]))
        loop.append(sound[-1])
    return torch.stack(sound).T


@ex.right
def _(burst: Tensor, keep: Tensor, length: int) -> Tensor:
    """String by string, in plain Python."""
    made = []
    for row, factor in zip(burst.tolist(), keep.tolist(), strict=True):
        period, sound = len(row) - 1, list(row)
        for n in range(len(row), length):
            sound.append(0.5 * factor * (sound[n - period] + sound[n - period - 1]))
        made.append(sound)
    return torch.tensor(made, dtype=burst.dtype)


ex.background("Write the string of Karplus and Strong", "`burst` is `(N, P + 1)`")
ex.breach("Return `(N, length)`", "turned")
ex.breach("The first P + 1 samples are the burst", "faded_burst")
ex.breach("Every later sample is `keep` times the mean", "summed")
ex.breach("$$y_n = ", "keep_ignored")
ex.breach("those P and P + 1 samples before it", "neighbour_within_the_round")
ex.breach("Leave `burst` as it is", "in_place")
