"""Plucked strings with known pitch and decay, and readers that measure both from a sound.

The model is that of Karplus and Strong (1983): a burst of noise runs round a loop that is as long as one
period, and each round averages neighbouring samples. Averaging two neighbours delays by half a sample, so a
loop of P samples sounds at rate / (P + 1/2), exactly. It damps each partial of frequency f by
cos(pi f / rate) a round, and `keep` damps all partials alike (Jaffe and Smith 1983, section 3). So pitch and
decay of a string are known before it sounds. No recording is used; the seed makes every string.
"""

import io
import math
import wave
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gantrans.metrics import coverage

RATE = 8000
"""Samples per second."""
LENGTH = 1024
"""Samples of a clip: 128 ms."""
PERIODS = (45, 40, 36, 30, 27, 22, 20, 18)
"""Loops of the eight notes, in samples: close to a pentatonic scale from 176 Hz to 432 Hz."""
DECAYS = (0.03, 0.15)
"""Shortest and longest decay, in seconds: after this time the fundamental has fallen to 1 / e."""
LOUDNESS = 0.5
"""Root mean square of every string, on the scale from -1 to 1 of the networks."""
LOUDEST = 2.0
"""No sample of a string is louder; the limit of the sampler."""

Pluck = Callable[[Tensor, Tensor, int], Tensor]
"""burst (N, P + 1), keep (N,), samples -> sounds (N, samples)."""


def pitches() -> Tensor:
    """Frequency of each note in Hz, (8,)."""
    return RATE / (torch.tensor(PERIODS) + 0.5)


def keep_for(pitch: Tensor, decay: Tensor) -> Tensor:
    """The factor of a round that makes the fundamental fall to 1 / e after `decay`.

    Args:
        pitch: (N,) in Hz.
        decay: (N,) in seconds.

    Returns:
        (N,); below 1 where the averaging alone would let the string sound longer.
    """
    return torch.exp(-1 / (pitch * decay)) / torch.cos(math.pi * pitch / RATE)


def envelope(decay: Tensor, length: int = LENGTH) -> Tensor:
    """How loud each moment is, exp(-time / decay): decay (N,) in seconds -> (N, 1, length)."""
    return torch.exp(-torch.arange(length) / RATE / decay[:, None])[:, None]


@dataclass(frozen=True)
class Strings:
    """Strings and what is known of them.

    `sound` (N, 1, LENGTH) with root mean square LOUDNESS, `note` (N,) int64, `decay` (N,) in seconds.
    """

    sound: Tensor
    note: Tensor
    decay: Tensor

    @property
    def pitch(self) -> Tensor:
        """Frequencies in Hz, (N,)."""
        return pitches()[self.note]

    @property
    def given(self) -> tuple[Tensor, Tensor]:
        """What a network is told: the notes (N,) and the envelopes (N, 1, LENGTH)."""
        return self.note, envelope(self.decay)


def orchestra(pluck: Pluck, count: int, seed: int) -> Strings:
    """`count` strings, notes in turn, decays even in their logarithm; another seed gives other ones.

    The burst is smoothed twice, which makes a soft pluck (Jaffe and Smith 1983, section 5), and has no mean,
    because a constant would never decay.
    """
    generator = torch.Generator().manual_seed(seed)
    note = torch.arange(count) % len(PERIODS)
    shares = torch.rand(count, generator=generator)
    decay = DECAYS[0] * (DECAYS[1] / DECAYS[0]) ** shares
    sound = torch.zeros(count, 1, LENGTH)
    for number, period in enumerate(PERIODS):
        mine = note == number
        burst = 2 * torch.rand(int(mine.sum()), period + 1, generator=generator) - 1
        for _ in range(2):
            burst = (burst + burst.roll(1, dims=1)) / 2
        keep = keep_for(pitches()[note[mine]], decay[mine])
        sound[mine, 0] = pluck(burst - burst.mean(dim=1, keepdim=True), keep, LENGTH)
    return Strings(loud(sound).clamp(-LOUDEST, LOUDEST), note, decay)


def loud(sound: Tensor) -> Tensor:
    """Sounds (N, 1, L) scaled to the same root mean square, LOUDNESS."""
    return LOUDNESS * sound / sound.square().mean(dim=2, keepdim=True).sqrt().clamp(min=1e-6)


def read_decay(sounds: Tensor, pitch: Tensor, window: int = 256, hop: int = 32) -> Tensor:
    """Decay of the fundamental in seconds, (N,): a straight line through the logarithm of its amplitude.

    The amplitude at `pitch` is read in windows (Hann), and each moment counts by its power, so that the noise
    under a sound that has faded does not bend the line. A sound that does not fade gives infinity.

    Args:
        sounds: (N, L).
        pitch: (N,) in Hz, of the string that is meant.
    """
    frames = sounds.unfold(1, window, hop) * torch.hann_window(window)
    angles = 2 * math.pi * pitch[:, None, None] * torch.arange(window) / RATE
    power = (frames * angles.cos()).sum(2).square() + (frames * angles.sin()).sum(2).square()
    weight = power / power.sum(1, keepdim=True).clamp(min=1e-12)
    time = torch.arange(power.shape[1]) * hop / RATE
    level = (power + 1e-12).log() / 2
    middle = (weight * time).sum(1, keepdim=True)
    slope = (weight * (time - middle) * level).sum(1) / (weight * (time - middle).square()).sum(1)
    return torch.where(slope < 0, -1 / slope, torch.inf)


def cents(pitch: Tensor, wanted: Tensor) -> Tensor:
    """How far a pitch is above the wanted one, in cents: hundredths of a semitone, 1,200 to the octave."""
    return 1200 * torch.log2(pitch / wanted)


def partials(sounds: Tensor, pitch: Tensor, count: int = 4) -> Tensor:
    """Shares of the first partials in the amplitude, (N, count): the colour of a tone.

    Args:
        sounds: (N, L).
        pitch: (N,) in Hz.
    """
    time = torch.arange(sounds.shape[1]) / RATE
    angles = 2 * math.pi * pitch[:, None, None] * torch.arange(1, count + 1)[:, None] * time
    parts = (sounds[:, None] * angles.cos()).sum(2).square() + (sounds[:, None] * angles.sin()).sum(
        2
    ).square()
    amplitudes = parts.sqrt()
    return amplitudes / amplitudes.sum(1, keepdim=True).clamp(min=1e-12)


def tone_coverage(real: Tensor, made: Tensor, pitch_real: Tensor, pitch_made: Tensor) -> float:
    """Share of real tone colours that have a made one nearby (`gantrans.metrics.coverage`), 0 to 1."""
    return coverage(partials(real, pitch_real), partials(made, pitch_made))


def through_spectrogram(sounds: Tensor, seed: int, window: int = 256, rounds: int = 60) -> Tensor:
    """Sounds (N, 1, L) as their spectrograms alone give them back: the phase is found by iteration.

    Griffin and Lim (1984): begin with a random phase; transform back and forth, and each time put the known
    amplitudes in place of those that came out.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = torch.hann_window(window)
    length, hop = sounds.shape[2], window // 4

    def parts(waves: Tensor) -> Tensor:
        return torch.stft(waves, window, hop, window=shape, return_complex=True)

    known = parts(sounds[:, 0]).abs()
    found = torch.polar(known, 2 * math.pi * torch.rand(known.shape, generator=generator))
    for _ in range(rounds):
        waves = torch.istft(found, window, hop, window=shape, length=length)
        found = torch.polar(known, parts(waves).angle())
    return torch.istft(found, window, hop, window=shape, length=length)[:, None]


def wav_bytes(sound: Tensor) -> bytes:
    """A sound (L,) as a WAV file: 16 bit, one channel, RATE; the loudest sample is at nine tenths."""
    samples = (sound / sound.abs().max().clamp(min=1e-6) * 0.9 * 32767).round().to(torch.int16)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.numpy().astype("<i2").tobytes())
    return file.getvalue()
