"""Lesson 16: the pitch of a sound, with a slip."""

import torch
from torch import Tensor

from gantrans.teaching.exercises.checker import Answer
from gantrans.teaching.exercises.inputs import Args, Case
from gantrans.teaching.exercises.kinds import BugHunt
from lessons.lesson16.exercises.pluck import pluck
from lessons.lesson16.strings import cents, orchestra

ex = BugHunt(
    id="read_pitch",
    lesson="16",
    title="Reading the pitch",
    difficulty=3,
    minutes=15,
    tolerance=1e-3,
    spec=r"""
    A periodic sound equals itself, moved by one period. So move each of the `sounds`, `(N, L)`, by every lag
    from `rate / high` to `rate / low` samples, and compare: the score is 1 where the two are alike. A *peak*
    is a lag whose score is at least that of both neighbours. The period is the **first peak whose score is
    at least 0.9 times the highest of all scores**. A parabola through the peak and its neighbours finds the
    period between two samples. Return `rate` / period for each sound, `(N,)` in Hz, and leave `sounds` as
    they are. The code below runs, and has one slip. Find it and mend it.
    """,
    hints=(
        "The readings are wrong by whole octaves. Which other lags make a periodic sound equal to itself?",
        "Two periods are a period as well, and the highest score may be there. Look at what the text says of "
        "the *first* peak.",
        "`peak = (mid >= left) & (mid >= right) & (mid >= 0.9 * mid.amax(dim=1, keepdim=True))`, and then "
        "the first of them: `best = peak.int().argmax(dim=1, keepdim=True)`.",
    ),
    source="Autocorrelation of the two overlapping parts, as in de Cheveigne, Kawahara 2002 (YIN), sections "
    "2.A to 2.E: first dip under a threshold, then a parabola.",
    slip="Every multiple of a period is a period too, so the highest score may stand at two or three of "
    "them: an octave too low. The first peak that is nearly as high is the period.",
    slip_code="mid.argmax(dim=1, keepdim=True)",
    equivalent={
        "value.detach()": "nothing here learns",
        "value.float()": "sounds are float32, and whole numbers are made of `peak`",
        "12.4 value.double()": "whole numbers are made of `peak`",
        "dim=-1": "of two axes the last is 1",
        "`1` -> `-1`": "of two axes the last is 1",
        "`0` -> `-1`": "of one column the last is the first",
        "`mid >= left` -> `mid > left`": "of two equal scores the parabola meets the middle from either",
        "`mid >= right` -> `mid > right`": "of two equal scores the parabola meets the middle from either",
        "-> `mid > 0.9 * mid": "no score is 0.9 times another to the last digit",
        "-> `(sounds[:, lag:], sounds[:, :length - lag])`": "a product does not mind the order",
        "`rate / high` -> `rate // high`": "it is rounded down anyway",
        "`rate / low` -> `rate // low`": "it is rounded down anyway",
        "`1e-12` ->": "any tiny number does, and 0 does for a sound that is not silent",
        "`size + 1e-12` -> `size - 1e-12`": "any tiny number does",
        "- 1e-12` -> `2 * (a - 2 * b + c) + 1e-12`": "any tiny number does",
    },
)


@ex.reference
def read_pitch(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """sounds (N, L), samples per second, lowest and highest pitch in Hz -> pitch of each in Hz, (N,)."""
    length = sounds.shape[1]
    lags = range(int(rate / high) - 1, int(rate / low) + 2)  # with a neighbour at both ends
    scores = []
    for lag in lags:
        early, late = sounds[:, : length - lag], sounds[:, lag:]
        size = (early.square().sum(dim=1) * late.square().sum(dim=1)).sqrt()
        scores.append((early * late).sum(dim=1) / (size + 1e-12))
    score = torch.stack(scores, dim=1)
    left, mid, right = score[:, :-2], score[:, 1:-1], score[:, 2:]
    peak = (mid >= left) & (mid >= right) & (mid >= 0.9 * mid.amax(dim=1, keepdim=True))
    best = peak.int().argmax(dim=1, keepdim=True)
    a, b, c = (part.gather(1, best)[:, 0] for part in (left, mid, right))
    shift = (a - c) / (2 * (a - 2 * b + c) - 1e-12)
    return rate / (lags[1] + best[:, 0] + shift)


@ex.bug
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """sounds (N, L), samples per second, lowest and highest pitch in Hz -> pitch of each in Hz, (N,)."""
    length = sounds.shape[1]
    lags = range(int(rate / high) - 1, int(rate / low) + 2)  # with a neighbour at both ends
    scores = []
    for lag in lags:
        early, late = sounds[:, : length - lag], sounds[:, lag:]
        size = (early.square().sum(dim=1) * late.square().sum(dim=1)).sqrt()
        scores.append((early * late).sum(dim=1) / (size + 1e-12))
    score = torch.stack(scores, dim=1)
    left, mid, right = score[:, :-2], score[:, 1:-1], score[:, 2:]
    best = mid.argmax(dim=1, keepdim=True)
    a, b, c = (part.gather(1, best)[:, 0] for part in (left, mid, right))
    shift = (a - c) / (2 * (a - 2 * b + c) - 1e-12)
    return rate / (lags[1] + best[:, 0] + shift)


@ex.symptom
def _(answer: Answer) -> str:
    real = orchestra(pluck, 40, seed=1)
    error = cents(answer(real.sound[:, 0], 8000, 150, 500), real.pitch)
    worst = int(error.argmin())
    read = float(real.pitch[worst] * 2 ** (error[worst] / 1200))
    return (
        f"a string of {float(real.pitch[worst]):.1f} Hz is read as {read:.1f} Hz, and of 40 strings "
        f"{int((error < -1100).sum())} are read an octave or more too low."
    )


def _strings(count: int, seed: int) -> Tensor:
    """Plucked strings of random periods, as short as a check allows: (count, 256)."""
    draw = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(count):
        period = int(torch.randint(9, 24, (1,), generator=draw))
        burst = torch.rand(1, period + 1, generator=draw) - 0.5
        burst = (burst + burst.roll(1, 1)) / 2
        keep = 0.93 + 0.07 * torch.rand(1, generator=draw)
        made.append(pluck(burst - burst.mean(), keep, 256))
    return torch.cat(made)


def _periodic(*periods: int) -> Tensor:
    """A row for each period, in samples: (periods, 256)."""
    phase = 2 * torch.pi * torch.arange(256) / torch.tensor(periods)[:, None]
    return torch.sin(phase + 0.4) + 0.3 * torch.cos(2 * phase)


@ex.edges
def _() -> list[Args]:
    time = torch.arange(256) / 8000
    tones = torch.tensor([440.0, 523.25, 610.0])
    waves = torch.sin(2 * torch.pi * tones[:, None] * time + torch.tensor([[0.3], [1.0], [2.0]]))
    fading = torch.exp(-time / 0.01) * waves
    return [
        (waves, 8000, 200, 900),
        (fading, 8000, 200, 900),
        (waves + 0.4 * torch.sin(4 * torch.pi * tones[:, None] * time), 8000, 200, 900),
        (_strings(6, 1), 8000, 200, 900),
        (30 * _strings(4, 2), 8000, 250, 1000),
        (_strings(1, 3), 8000, 300, 950),
        (_strings(3, 4), 16000.0, 400.0, 1900.0),
        (_strings(4, 5)[:, ::2], 4000, 200, 500),  # not contiguous
        (0.001 * _strings(3, 6), 8000, 160, 900),
        (_periodic(16, 40), 8000, 200, 500),  # the highest and the lowest pitch
        (_periodic(25, 10), 16000, 640, 1600),
    ]


@ex.inputs
def _(case: Case) -> Args:
    return _strings(case.batch, 100 + case.seed), 8000, 200 + 10 * case.integer(0, 8), 950


def _scores(sounds: Tensor, lags: range, normed: bool = True) -> Tensor:
    length = sounds.shape[1]
    made = []
    for lag in lags:
        early, late = sounds[:, : length - lag], sounds[:, lag:]
        size = (early.square().sum(1) * late.square().sum(1)).sqrt() if normed else 1.0
        made.append((early * late).sum(1) / (size + 1e-12))
    return torch.stack(made, dim=1)


def _read(
    sounds: Tensor,
    rate: float,
    low: float,
    high: float,
    enough: float = 0.9,
    sign: float = 1.0,
    normed: bool = True,
    period: int = 0,
    last: bool = False,
    peaks: bool = True,
) -> Tensor:
    """The reference with one thing changed."""
    lags = range(int(rate / high) - 1, int(rate / low) + 2)
    score = _scores(sounds, lags, normed)
    left, mid, right = score[:, :-2], score[:, 1:-1], score[:, 2:]
    peak = mid >= enough * mid.amax(1, keepdim=True)
    if peaks:
        peak = peak & (mid >= left) & (mid >= right)
    order = peak.int().flip(1) if last else peak.int()
    best = order.argmax(1, keepdim=True)
    best = peak.shape[1] - 1 - best if last else best
    a, b, c = (part.gather(1, best)[:, 0] for part in (left, mid, right))
    shift = sign * (a - c) / (2 * (a - 2 * b + c) - 1e-12)
    return rate / (lags[1] + best[:, 0] + shift + period)


for name, misconception, answer in (
    (
        "still_the_highest",
        "You still take a highest score, of the peaks or of all: two periods are a period as well.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, enough=1.0),
    ),
    (
        "last_peak",
        "You take the last of the high peaks; the first one is the period.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, last=True),
    ),
    (
        "first_high_score",
        "You take the first high score, which may stand on the slope before its peak.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, peaks=False),
    ),
    (
        "any_peak",
        "You take the first peak of all: a strong second partial makes a lower one at half a period.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, enough=0.3),
    ),
    (
        "octave_up",
        "You double what the faulty code reads: some sounds were right, and some are three periods off.",
        lambda sounds, rate, low, high: 2 * _read(sounds, rate, low, high, enough=1.0),
    ),
    (
        "not_divided",
        "You do not divide by the size of the two parts: for a sound that fades, the peak moves to the left.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, normed=False),
    ),
    (
        "shifted_the_other_way",
        "Your parabola moves the peak to the wrong side.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, sign=-1.0),
    ),
    (
        "whole_samples",
        "You give up the parabola: whole samples are too coarse for a pitch.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, sign=0.0),
    ),
    (
        "one_lag_off",
        "Your period is one sample too long: the first score belongs to the lag before `rate / high`.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high, period=1),
    ),
    (
        "the_period",
        "You return the period in samples; a pitch in Hz is wanted.",
        lambda sounds, rate, low, high: rate / _read(sounds, rate, low, high),
    ),
    (
        "one_for_all",
        "You read one pitch for the whole batch; each sound has its own.",
        lambda sounds, rate, low, high: _read(sounds, rate, low, high).mean().expand(len(sounds)),
    ),
    (
        "half_the_range",
        "You raise the lowest pitch to keep the octave out: sounds down to `low` are to be read.",
        lambda sounds, rate, low, high: _read(sounds, rate, high / 1.9, high),
    ),
):
    ex.wrong(name, misconception, answer)


@ex.wrong("in_place", "You change the `sounds` that you were given.")
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    pitch = _read(sounds, rate, low, high)
    sounds.sub_(1)
    return pitch


@ex.right
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """Both parts brought to length 1, and the first peak as the one that no other comes before."""
    shortest, longest = int(rate / high), int(rate / low)
    score = torch.zeros(len(sounds), longest + 2)
    for lag in range(shortest - 1, longest + 2):
        early, late = sounds[:, :-lag], sounds[:, lag:]
        score[:, lag] = torch.nn.functional.cosine_similarity(early, late, dim=1, eps=1e-12)
    found = []
    for row in score:
        enough = 0.9 * row[shortest : longest + 1].max()
        lag = shortest
        while row[lag] < torch.stack([enough, row[lag - 1], row[lag + 1]]).max():
            lag += 1
        a, b, c = row[lag - 1], row[lag], row[lag + 1]
        found.append(rate / (lag + 0.5 * (a - c) / (a - 2 * b + c)))
    return torch.stack(found)


ex.right(_read)


@ex.right
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """Sound by sound, in plain Python."""
    lags = range(int(rate / high) - 1, int(rate / low) + 2)
    pitches = []
    for row in _scores(sounds, lags).tolist():
        enough = 0.9 * max(row[1:-1])
        for i in range(1, len(row) - 1):
            if row[i] >= max(enough, row[i - 1], row[i + 1]):
                bend = row[i - 1] - 2 * row[i] + row[i + 1]
                break
        pitches.append(rate / (lags[i] + 0.5 * (row[i - 1] - row[i + 1]) / (bend - 1e-12)))
    return torch.tensor(pitches, dtype=sounds.dtype)


@ex.right
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """The neighbours by pooling, the first peak by the smallest lag."""
    lags = torch.arange(int(rate / high) - 1, int(rate / low) + 2)
    score = _scores(sounds, range(int(lags[0]), int(lags[-1]) + 1))
    mid = score[:, 1:-1]
    top = torch.nn.functional.max_pool1d(score[:, None], 3, stride=1)[:, 0]
    good = (mid == top) & (mid >= 0.9 * mid.max(1, keepdim=True).values)
    first = torch.where(good, lags[1:-1], 10**6).amin(1)
    at = first - lags[0]
    rows = torch.arange(len(sounds))
    a, b, c = score[rows, at - 1], score[rows, at], score[rows, at + 1]
    return rate / (first + 0.5 * (a - c) / (a - 2 * b + c))


@ex.right
def _(sounds: Tensor, rate: float, low: float, high: float) -> Tensor:
    """The scores by Fourier transform, twice as long so that nothing wraps round."""
    length = sounds.shape[1]
    both = torch.fft.irfft(torch.fft.rfft(sounds.double(), 2 * length).abs() ** 2)
    sums = torch.nn.functional.pad(sounds.double().square().cumsum(1), (1, 0))
    lags = torch.arange(int(rate / high) - 1, int(rate / low) + 2)
    size = (sums[:, length - lags] * (sums[:, -1:] - sums[:, lags])).sqrt()
    score = both[:, lags] / (size + 1e-12)
    mid = score[:, 1:-1]
    good = (mid >= score[:, :-2]) & (mid >= score[:, 2:]) & (mid >= 0.9 * mid.amax(1, keepdim=True))
    at = 1 + good.int().argmax(1)
    rows = torch.arange(len(sounds))
    a, b, c = score[rows, at - 1], score[rows, at], score[rows, at + 1]
    return (rate / (lags[at] + 0.5 * (a - c) / (a - 2 * b + c))).to(sounds.dtype)


ex.background(
    "A periodic sound equals itself", "A *peak* is a lag", "The code below runs", "Find it and mend it"
)
ex.breach("So move each of the `sounds`", "half_the_range")
ex.breach("the score is 1 where the two are alike", "not_divided")
ex.breach("The period is the **first peak", "still_the_highest")
ex.breach("A parabola through the peak", "whole_samples")
ex.breach("Return `rate` / period", "the_period")
ex.breach("leave `sounds` as they are", "in_place")
