"""The exported file for sounds and captions: it runs alone, and a mistake ends in one sentence."""

import wave

import numpy as np
import torch

from gantrans.teaching.exercises import exercise
from lessons.lesson16 import strings

EXPORTED = "my_other_data"


def write_wav(path, samples, rate=8000, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.asarray(samples, dtype="<i2").tobytes())


def test_its_strings_have_the_pitch_of_their_names(file):
    sounds, notes, names = file.plucked(4, 8000, torch.Generator().manual_seed(0))
    assert sounds.shape == (32, 1024)
    read = exercise("read_pitch").function(sounds, 8000, 150.0, 500.0)
    wanted = torch.tensor([float(name.removesuffix("Hz")) for name in names])[notes]
    assert strings.cents(read, wanted).abs().median() < 6  # the names are rounded to 1 Hz


def test_sounds_without_data(run, tmp_path):
    code, said = run("sound", "--steps", "2", "--count", "2", "--out", "out")
    assert (code, said.count("2 sounds, pitch read")) == (0, 8)
    with wave.open(str(tmp_path / "out" / "219Hz.wav")) as made:
        assert made.getnframes() == 2 * 1024
    assert np.load(tmp_path / "out" / "losses.npy").shape == (2,)


def test_recordings_and_what_is_wrong_with_them(run, tmp_path):
    tone = 9000 * np.sin(2 * np.pi * 220 * np.arange(2500) / 8000)
    for kind in ("low", "high"):
        write_wav(tmp_path / "data" / kind / "a.wav", tone)
    code, said = run("sound", "--data", "data", "--steps", "1", "--count", "1")
    assert code == 0, said
    assert (tmp_path / "low.wav").is_file()
    write_wav(tmp_path / "data" / "low" / "b.wav", tone, rate=44_100)
    code, said = run("sound", "--data", "data", "--steps", "1")
    assert code == 2
    assert "44100 samples a second; needed: 1 channel, 16 bits, 8000" in said
    write_wav(tmp_path / "data" / "low" / "b.wav", tone[:100])
    assert "is shorter than 1024 samples" in run("sound", "--data", "data", "--steps", "1")[1]


def test_captions_and_what_is_wrong_with_them(run, tmp_path):
    (tmp_path / "data").mkdir()
    for name, column in (("a", 2), ("b", 5)):
        image = np.zeros((8, 8), dtype=np.float32)
        image[:, column] = 1
        np.save(tmp_path / "data" / f"{name}.npy", image)
    captions = tmp_path / "data" / "captions.txt"
    captions.write_text("a\tone line left\nb\tone line right\n")
    command = "text", "--data", "data", "--size", "8", "--steps", "2", "--count", "2", "--prompt"
    code, said = run(*command, "one line left", "--guidance", "2")
    assert code == 0, said
    assert (tmp_path / "samples.png").is_file()
    code, said = run(*command, "two lines")
    assert (code, "has the word 'two'" in said) == (2, True)
    captions.write_text("a\tone line left\nc\tone line right\n")
    assert "names 'c', which is no image" in run(*command, "one line")[1]
    captions.unlink()
    assert "is a name, a tab and a sentence" in run(*command, "one line")[1]


def test_mistakes_on_the_command_line(run):
    for arguments, words in (
        (("text",), "text needs --data FOLDER"),
        (("sound", "--data", "nowhere"), "There is no folder nowhere"),
        (("text", "--size", "10"), "--size is a multiple of 4"),
        (("sound", "--guidance", "-1"), "at least 0"),
    ):
        code, said = run(*arguments)
        assert code == 2
        assert words in said
        assert "Traceback" not in said
