"""Lesson 16, sound: strings of known pitch and decay, the readers, the page's machine, what had to change."""

import io
import json
import math
import wave

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gantrans.teaching import mine
from gantrans.teaching.exercises import exercise
from gantrans.teaching.places import NOTEBOOKS
from gantrans.teaching.plots import alt_text
from gantrans.teaching.sweeps.tables import Table
from lessons.lesson16 import changed, strings
from lessons.lesson16.experiments import windows
from lessons.lesson16.figures import sound

pluck = exercise("pluck").function
read_pitch = exercise("read_pitch").function


def pitch_of(sounds):
    return read_pitch(sounds[:, 0], strings.RATE, *sound.RANGE)


@pytest.fixture(scope="module")
def known():
    return strings.orchestra(pluck, 64, seed=5)


# ---- strings and readers


def test_a_seed_makes_every_string_and_another_seed_other_ones(known):
    again, other = (strings.orchestra(pluck, 64, seed=seed) for seed in (5, 6))
    assert torch.equal(again.sound, known.sound)
    assert torch.equal(again.decay, known.decay)
    assert (other.sound - known.sound).abs().amax(dim=(1, 2)).min() > 0.1
    assert known.note.bincount().tolist() == [8] * 8
    assert known.sound.abs().max() <= strings.LOUDEST
    low, high = strings.DECAYS
    assert low <= known.decay.min() < 1.3 * low
    assert 0.77 * high < known.decay.max() <= high


def test_the_readers_are_right_about_strings(known):
    """Pitch to a cent, decay to 10 %. A pluck with hardly any odd partials is an octave higher to the reader,
    as it is to an ear; such a string is rare."""
    error = strings.cents(pitch_of(known.sound), known.pitch).abs()
    assert error.median() < 1
    octaves = (error - 1200).abs() < 10
    assert ((error < 10) | octaves).all()
    assert octaves.sum() <= 2
    ratio = strings.read_decay(known.sound[:, 0], known.pitch) / known.decay
    assert 0.9 < ratio.min() <= ratio.max() < 1.12


def test_the_readers_are_right_about_fading_waves():
    """No string: sine waves with a second partial, pitches between the notes, decays set by hand."""
    time = torch.arange(strings.LENGTH) / strings.RATE
    pitch, decay = torch.tensor([181.3, 233.1, 301.7, 410.9]), torch.tensor([0.03, 0.05, 0.1, 0.2])
    angles = 2 * math.pi * pitch[:, None] * time
    waves = torch.exp(-time / decay[:, None]) * ((angles + 0.4).sin() + 0.5 * (2 * angles).sin())
    assert strings.cents(read_pitch(waves, strings.RATE, *sound.RANGE), pitch).abs().max() < 3
    torch.testing.assert_close(strings.read_decay(waves, pitch), decay, rtol=0.05, atol=0)
    shifted = strings.cents(read_pitch(waves, strings.RATE, *sound.RANGE), pitch * 2 ** (30 / 1200))
    assert shifted.mean() == pytest.approx(-30, abs=2)


def test_noise_under_a_string_does_not_bend_its_decay(known):
    noisy = known.sound + 0.05 * torch.randn(known.sound.shape, generator=torch.Generator().manual_seed(0))
    ratio = strings.read_decay(noisy[:, 0], known.pitch) / known.decay
    assert ratio.log().abs().median() < 0.05


def test_a_wave_that_grows_has_no_decay():
    time = torch.arange(strings.LENGTH) / strings.RATE
    growing = torch.exp(time / 0.05) * (2 * math.pi * 220 * time).sin()
    assert strings.read_decay(growing[None], torch.tensor([220.0])).item() == math.inf


def test_the_partials_of_a_loop_fade_as_the_theory_says():
    """A round multiplies partial k by keep cos(pi k f / rate): measured on the first three partials."""
    period, keep = 30, 0.99
    burst = torch.rand(1, period + 1, generator=torch.Generator().manual_seed(1)) - 0.5
    made = pluck(burst - burst.mean(), torch.tensor([keep]), 2048)
    pitch = strings.RATE / (period + 0.5)
    for k in (1, 2, 3):
        rounds = keep * math.cos(math.pi * k * pitch / strings.RATE)
        expected = -1 / (pitch * math.log(rounds))
        measured = strings.read_decay(made, torch.tensor([k * pitch]))
        assert measured.item() == pytest.approx(expected, rel=0.05)


def test_coverage_falls_when_every_string_sounds_alike(known):
    other = strings.orchestra(pluck, 64, seed=6)
    assert strings.tone_coverage(known.sound[:, 0], other.sound[:, 0], known.pitch, other.pitch) > 0.85
    same = torch.stack([other.sound[n] for n in other.note.tolist()])  # one string for each note
    assert strings.tone_coverage(known.sound[:, 0], same[:, 0], known.pitch, other.pitch) < 0.7


def test_a_wav_file_holds_the_sound():
    tone = torch.sin(torch.arange(800) * 0.2)
    with wave.open(io.BytesIO(strings.wav_bytes(tone))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnframes()) == (8000, 2, 800)
        samples = torch.frombuffer(bytearray(file.readframes(800)), dtype=torch.int16).float()
    torch.testing.assert_close(samples / samples.abs().max(), tone / tone.abs().max(), rtol=0, atol=1e-4)


def test_a_spectrogram_alone_loses_the_phase(known):
    """Griffin and Lim's recovery keeps the pitch to some cents, and adds an error of its own."""
    back = strings.through_spectrogram(known.sound[:16], seed=0)
    assert back.shape == known.sound[:16].shape
    off = strings.cents(pitch_of(back), known.pitch[:16]).abs().median()
    own = strings.cents(pitch_of(known.sound[:16]), known.pitch[:16]).abs().median()
    assert own < off < 30


# ---- the page


def test_the_machine_of_the_page_is_lesson_01s():
    """With nothing given and epsilon as target: lesson 01's losses, weights and samples."""
    schedule = exercise("cosine_betas").function(1000, 0.999)
    bars = torch.cumprod(1 - schedule, 0)
    first = exercise("q_sample").function
    given = {
        "torch": torch,
        "F": F,
        "mine": mine,
        "nn": nn,
        "seed": 4,
        "schedule": schedule,
        "alpha_bars": bars,
    }
    _, train, sample = changed.from_page("16", "diffusion_loss", "train", "sample", q_sample=first, **given)
    Denoiser, sample01 = changed.from_page("01", "Denoiser", "sample", **given)
    data = torch.randn(50, 64, generator=torch.Generator().manual_seed(0))
    nets = []
    for _ in range(2):
        torch.manual_seed(1)
        nets.append(Denoiser(width=16, blocks=1))
    ours = train(nets[0], data, (), 3, batch=8, lr=1e-3)
    theirs = exercise("train").function(nets[1], data, bars, 3, 8, 1e-3, torch.Generator().manual_seed(4))
    assert ours == theirs
    start = torch.randn(5, 64, generator=torch.Generator().manual_seed(2))
    betas = exercise("thin_out").function(schedule, 100)
    way = sample01(nets[0], start, betas, range(99, 1000, 100))
    torch.testing.assert_close(sample(nets[0], start, every=100)[-1], way[-1], rtol=1e-4, atol=1e-5)


def test_what_is_given_stays_with_its_data():
    """A network that answers with what it is given has no loss if that is the clean data."""
    schedule = exercise("cosine_betas").function(1000, 0.999)
    bars = torch.cumprod(1 - schedule, 0)
    _, train = changed.from_page(
        "16", "diffusion_loss", "train", torch=torch, F=F, mine=mine, seed=0, alpha_bars=bars,
        q_sample=exercise("q_sample").function,
    )  # fmt: skip

    class Answer(nn.Module):
        def __init__(self):
            super().__init__()
            self.offset = nn.Parameter(torch.zeros(()))

        def forward(self, x, t, told):
            return told + self.offset

    data = torch.randn(40, 3)
    assert train(Answer(), data, (data,), 1, batch=16, target="x0") == [0.0]
    assert train(Answer(), data, (data.flip(0),), 1, batch=16, target="x0")[0] > 0.1


def nets_of_the_page():
    cells = json.loads(NOTEBOOKS.joinpath("16_beyond_images.ipynb").read_text("utf-8"))["cells"]
    text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return ["Denoiser", *(name for name in ("MoleculeNet", "TextNet") if f"class {name}(" in text)]


def test_what_had_to_change_fits_thirty_lines():
    shared = "diffusion_loss", "train", "sample"
    machine = changed.diff(changed.program("01", *shared), changed.program("16", *shared))
    assert 0 < len(machine) <= changed.MOST
    first = changed.program("01", "Denoiser")
    for name in nets_of_the_page():
        lines = changed.diff(first, changed.program("16", name))
        assert 0 < len(lines) <= changed.MOST, name
    assert changed.diff(first, first) == []


def test_a_diff_counts_what_runs():
    one = changed.plain('def f(x: int) -> int:\n    """Doc."""\n    y: int = x + 1  # why\n    return y\n')
    assert one == ["def f(x):", "    return x + 1"]
    assert changed.diff(one, ["def f(x):", "    return x + 2"]) == ["-    return x + 1", "+    return x + 2"]


# ---- figures and the experiment


def test_the_figures_say_what_they_show(known):
    assert "176 Hz with decay" in alt_text(sound.strings_figure(known, (0, 1)))
    assert "Spectrograms of 2 real strings" in alt_text(sound.pairs_figure(known, known.sound, (0, 1)))
    read = {"real": (known.pitch, known.decay), "sharp": (known.pitch * 1.02, known.decay * 2)}
    words = alt_text(sound.readings_figure(known, read))
    assert "real: 100% of the pitches within 10 cents; sharp: 0%" in words
    assert "4 panels" in alt_text(sound.film_figure(known.sound[:4, 0], ("a", "b", "c", "d")))


def test_the_table_reads_pitch_and_decay(known):
    sharp = torch.zeros_like(known.sound)
    sharp[:, :, :-1] = known.sound[:, :, 1:]  # moved in time: pitch and decay stay
    table = sound.readings_table(known, {"moved": sharp}, strings.orchestra(pluck, 64, 7), read_pitch)
    cents, within, decay = table.rows[0][1:4]
    assert float(cents) < 2
    assert float(within.rstrip("%")) >= 95  # one of the 64 is an octave higher to the reader
    assert float(decay) < 1.05
    table = sound.readings_table(known, {"faster": known.sound[:, :, ::2]}, known, read_pitch)
    assert float(table.rows[0][2].rstrip("%")) < 50  # an octave up, but for those out of the reader's range


def test_players_are_short_enough_for_a_page(known):
    tune = sound.melody(known.sound, [0, 1, 2, 3] * 4)
    assert tune.shape == (16 * strings.LENGTH,)
    text = sound.players({"<tune>": tune}).data
    assert len(text) < 60_000
    assert "&lt;tune&gt;" in text
    assert "<tune>" not in text


def test_the_experiment_shares_its_strings_and_asks_for_the_rule():
    row = windows.windows(0, "smoke")
    assert set(row) == set(windows.WINDOWS)
    for values in row.values():
        assert values["cents off"] >= 0
        assert values["decay factor"] >= 1
    hops = {hop * width * width for hop, width in windows.WINDOWS.values()}
    places = {strings.LENGTH // hop * width**2 for hop, width in windows.WINDOWS.values()}
    assert len(places) == 1 < len(hops)
    asked = windows.longer_window(Table({"scale": "smoke"}, {0: row, 1: row}))
    assert set(asked["data"]["all"]) == set(windows.WINDOWS)
