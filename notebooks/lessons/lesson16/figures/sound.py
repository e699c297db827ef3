"""The figures of lesson 16 on sound: a tone under noise, waves and spectrograms, pitch and decay as read."""

import html
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

import torch
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, ScalarFormatter
from torch import Tensor

from gantrans.teaching.plots import COLOURS, Table, describe, new_figure, styled
from lessons.lesson16 import strings
from lessons.lesson16.strings import RATE, Strings

WINDOW, HOP = 256, 16
"""Samples of a spectrogram's window, and from one window to the next."""
FLOOR = -50
"""Darkest shade of a spectrogram, in decibels under its loudest place."""
RANGE = (150.0, 500.0)
"""Pitches that are looked for, in Hz."""
Reader = Callable[[Tensor, float, float, float], Tensor]
"""sounds (N, L), samples per second, lowest and highest pitch -> pitches in Hz, (N,)."""


@styled
def film_figure(noisy: Tensor, names: Sequence[str]) -> Figure:
    """A tone under more and more noise: noisy (N, L), a panel each."""
    figure = new_figure(9.2, 1.9)
    time = 1000 * torch.arange(noisy.shape[1]) / RATE
    for ax, sound, name in zip(figure.subplots(1, len(noisy), sharey=True), noisy, names, strict=True):
        ax.plot(time, sound, color=COLOURS[0], linewidth=0.6)
        ax.set(title=name, xlabel="ms", ylim=(-3.2, 3.2))
    figure.axes[0].set_ylabel("air pressure")
    describe(
        figure.axes[0],
        f"The same string in {len(noisy)} panels, under more noise in each: {', '.join(names)}.",
    )
    return figure


def spectrogram(sound: Tensor) -> Tensor:
    """Sound (L,) -> decibels under the loudest place, (frequencies, times), floored at FLOOR."""
    window = torch.hann_window(WINDOW)
    parts = torch.stft(sound, WINDOW, HOP, window=window, return_complex=True).abs()
    decibels = 20 * (parts / parts.max().clamp(min=1e-9)).clamp(min=1e-9).log10()
    return decibels.clamp(min=FLOOR)


def _draw_spectrogram(ax: Axes, sound: Tensor, pitch: float, highest: float = 2000.0) -> None:
    milliseconds = 1000 * len(sound) / RATE
    edges = (0, milliseconds, 0, RATE / 2)
    ax.imshow(
        spectrogram(sound), origin="lower", aspect="auto", extent=edges, cmap="magma", vmin=FLOOR, vmax=0
    )
    for partial in range(1, int(highest / pitch) + 1):
        ax.plot(
            [-0.03 * milliseconds, 0], [partial * pitch] * 2, color=COLOURS[1], linewidth=1.5, clip_on=False
        )
    ax.set(xlim=(0, milliseconds), ylim=(0, highest))
    ax.grid(False)


@styled
def strings_figure(known: Strings, chosen: Sequence[int]) -> Figure:
    """Waves above and spectrograms below; ticks at the left mark the partials of the known pitch."""
    figure = new_figure(3.0 * len(chosen), 3.9)
    panels = figure.subplots(2, len(chosen), sharey="row", squeeze=False)
    time = 1000 * torch.arange(known.sound.shape[2]) / RATE
    said = []
    for (above, below), i in zip(panels.T, chosen, strict=True):
        pitch, decay = float(known.pitch[i]), float(known.decay[i])
        above.plot(time, known.sound[i, 0], color=COLOURS[0], linewidth=0.7)
        above.set(title=f"{pitch:.1f} Hz, decay {1000 * decay:.0f} ms", ylim=(-2.1, 2.1))
        _draw_spectrogram(below, known.sound[i, 0], pitch)
        below.set(xlabel="ms")
        said.append(f"{pitch:.0f} Hz with decay {1000 * decay:.0f} ms")
    panels[0, 0].set_ylabel("air pressure")
    panels[1, 0].set_ylabel("frequency (Hz)")
    describe(
        panels[0, 0],
        f"Strings of {'; '.join(said)}: fading waves, and under each its spectrogram with bright lines at "
        "the multiples of the pitch, the upper ones fading first.",
    )
    return figure


@styled
def pairs_figure(real: Strings, drawn: Tensor, chosen: Sequence[int]) -> Figure:
    """Spectrograms of real strings above and of drawn sounds for the same notes and decays below."""
    figure = new_figure(2.4 * len(chosen), 3.9)
    panels = figure.subplots(2, len(chosen), sharey=True, sharex=True, squeeze=False)
    for column, i in zip(panels.T, chosen, strict=True):
        pitch = float(real.pitch[i])
        for ax, sound in zip(column, (real.sound[i, 0], drawn[i, 0]), strict=True):
            _draw_spectrogram(ax, sound, pitch)
        column[0].set(title=f"{pitch:.0f} Hz, {1000 * float(real.decay[i]):.0f} ms")
        column[1].set(xlabel="ms")
    for ax, name in zip(panels[:, 0], ("real", "drawn"), strict=True):
        ax.set_ylabel(f"{name}: Hz")
    describe(
        panels[0, 0],
        f"Spectrograms of {len(chosen)} real strings above; below, sounds drawn for the same notes and "
        "decays. Orange ticks mark the partials that are asked for.",
    )
    return figure


@styled
def readings_figure(asked: Strings, read: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Pitch errors in cents over the pitch, and decays as read over those asked for.

    Args:
        read: by name, pitch in Hz (N,) and decay in seconds (N,) of sounds for the strings `asked`.
    """
    figure = new_figure(8.6, 3.2)
    left, right = figure.subplots(1, 2)
    low, high = (1000 * edge for edge in strings.DECAYS)
    left.axhline(0, color="#666666", linewidth=0.8)
    right.plot([low, high], [low, high], color="#666666", linewidth=0.8)
    said = []
    for (name, (pitch, decay)), colour, marker in zip(read.items(), COLOURS, "ox+", strict=False):
        error = strings.cents(pitch, asked.pitch)
        left.plot(
            asked.pitch, error.clamp(-60, 60), marker, color=colour, markersize=4, alpha=0.6, label=name
        )
        right.plot(
            1000 * asked.decay, 1000 * decay.clamp(0.005, 1.0), marker, color=colour, markersize=4, alpha=0.6
        )
        within = (error.abs() < 10).float().mean()
        said.append(f"{name}: {within:.0%} of the pitches within 10 cents")
    left.set(xlabel="pitch asked for (Hz)", ylabel="pitch read: error in cents", ylim=(-65, 65))
    right.set(xlabel="decay asked for (ms)", ylabel="decay read (ms)", xscale="log", yscale="log")
    for axis, ticks in ((right.xaxis, (30, 50, 100, 150)), (right.yaxis, (10, 30, 100, 300, 1000))):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_locator(NullLocator())
    left.legend(loc="upper left", fontsize=8)
    describe(left, f"Errors of pitch. {'; '.join(said)}.")
    describe(right, "Decays as read over those asked for, with the line on which both are equal.")
    return figure


def readings_table(asked: Strings, sounds: Mapping[str, Tensor], real: Strings, read: Reader) -> Table:
    """Pitch error, decay error and coverage of sounds (N, 1, L) that were made for the strings `asked`.

    Args:
        real: other strings with the same notes, against which coverage is counted.
        read: reads a pitch: (sounds (N, L), rate, low, high) -> Hz.
    """
    rows = []
    for name, made in sounds.items():
        error = strings.cents(read(made[:, 0], RATE, *RANGE), asked.pitch).abs()
        ratio = (strings.read_decay(made[:, 0], asked.pitch) / asked.decay).log().abs().median().exp()
        covered = strings.tone_coverage(real.sound[:, 0], made[:, 0], real.pitch, asked.pitch)
        rows.append([name, f"{error.median():.1f}", f"{(error < 50).float().mean():.0%}", f"{ratio:.2f}",
                     f"{covered:.0%}"])  # fmt: skip
    heads = ["", "pitch: cents off", "within half a semitone", "decay: factor off", "real tones covered"]
    return Table(heads, rows, "Medians over the sounds")


def players(sounds: Mapping[str, Tensor]) -> HTML:
    """An audio player for each sound (L,), with its name."""
    rows = []
    for name, sound in sounds.items():
        data = b64encode(strings.wav_bytes(sound)).decode()
        rows.append(
            f'<div style="margin:.3em 0"><audio controls preload="metadata" aria-label="{html.escape(name)}" '
            f'src="data:audio/wav;base64,{data}"></audio> {html.escape(name)}</div>'
        )
    return HTML("".join(rows))


def melody(sounds: Tensor, order: Sequence[int]) -> Tensor:
    """Sounds (N, 1, L), played one after the other in the order given -> (len(order) * L,)."""
    return torch.cat([sounds[i, 0] for i in order])
