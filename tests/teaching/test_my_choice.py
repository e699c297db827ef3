"""The exported comparison: its network is the library's, a second run goes on, a mistake is one sentence."""

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.networks import Denoiser, DenoiserConfig

EXPORTED = "my_choice"


def folder(path, count=20, side=16):
    """Pairs of a bright bar, and the same bar in grey."""
    for name in ("input", "target"):
        (path / name).mkdir(parents=True)
    for i in range(count):
        bar = np.zeros((side, side), np.uint8)
        bar[:, i % side : i % side + side // 3] = 255
        np.save(path / "target" / f"{i:02}.npy", bar)
        np.save(path / "input" / f"{i:02}.npy", bar // 2 + 60)
    return path


def test_the_network_is_the_librarys(file):
    torch.manual_seed(0)
    net = file.ConditionalUNet(16)
    theirs = Denoiser(
        DenoiserConfig(
            condition_channels=1, base_filters=16, multipliers=(1, 2, 2), attention=False, unshuffle=2
        )
    )
    own = [weight for name, weight in net.named_parameters() if name != "net.label.weight"]
    for copied, weight in zip(theirs.parameters(), own, strict=True):
        weight.data = 0.2 * torch.randn(weight.shape)
        copied.data.copy_(weight.data)
    net.net.label.weight.data.zero_()
    x, t, condition = torch.randn(2, 1, 16, 16), torch.tensor([5, 900]), torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        expected = theirs(x, t, condition=condition)
        torch.testing.assert_close(net(x, t, condition), expected, rtol=1e-4, atol=1e-4)


def test_many_images_are_answered_one_batch_after_another(file, monkeypatch):
    """Above the limit of one batch the slower loop answers: the same inputs, as many answers."""

    class Echo(torch.nn.Module):
        def forward(self, x_t, t, condition):
            return condition

    x = torch.linspace(-1, 1, 3).view(3, 1, 1, 1).expand(3, 1, 8, 8).clone()
    namespace = file.many_answers.__globals__
    for limit in (1024, 2):
        monkeypatch.setitem(namespace, "AT_ONCE", limit)
        made = file.many_answers(Echo(), x, 4, 2, 0)
        assert made.shape == (4, 3, 1, 8, 8)
        torch.testing.assert_close(made, x.expand(4, 3, 1, 8, 8))


def test_a_folder_is_compared_and_a_second_run_trains_nothing(run, tmp_path):
    folder(tmp_path / "pairs")
    options = ("--data", "pairs", "--size", "16", "--steps", "3", "--batch", "2", "--evaluations", "2")
    code, text = run(*options, "--out", "out")
    assert code == 0, text
    assert "18 pairs to train on, 2 held out" in text
    assert all(
        row in text for row in ("L1 ", "diffusion, 1 steps", "diffusion, 2 steps", "diffusion, 4 steps")
    )
    out = tmp_path / "out"
    names = sorted(path.name for path in out.iterdir())
    assert names == ["answers.npy", "answers.png", "diffusion.pt", "intervals.csv", "l1.pt", "table.txt"]
    assert np.load(out / "answers.npy").shape == (19, 2, 16, 16)
    assert Image.open(out / "answers.png").size == (7 * 17 * 8, 2 * 17 * 8)
    with (out / "intervals.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert all(float(row["lowest area"]) <= float(row["highest area"]) for row in rows)
    assert {round(float(row["true area"]) * 16) for row in rows} <= set(range(17))
    before = (out / "answers.npy").read_bytes()
    code, text = run(*options, "--out", "out")
    assert code == 0
    assert text.count("as it was trained before") == 2
    assert "step 3" not in text
    assert (out / "answers.npy").read_bytes() == before
    one_sentence(run(*options, "--lr", "0.1", "--out", "out"), "l1.pt was trained with other options")
    (out / "l1.pt").write_bytes(b"nothing")
    one_sentence(run(*options, "--out", "out"), "l1.pt is no network of this program")


def test_the_limit_decides(file):
    rows = {
        "L1": {"ms": 1.0, "error": 0.3},
        "diffusion, 4 steps": {"ms": 50.0, "error": 0.1, "coverage": 0.9},
    }
    assert file.choose_method(rows, {"ms": (0.0, 10.0)}, "error", 0.01) == "L1"
    assert file.choose_method(rows, {"ms": (0.0, 100.0)}, "error", 0.01) == "diffusion, 4 steps"
    assert "diffusion, 4 steps          50.000     0.100         -     0.900" in file.table(rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "There is no folder nowhere."),
        (["--data", "few"], "There are 8 pairs; at least 20 are needed"),
        (["--size", "20"], "--size is a multiple of 8 and at least 16."),
        (["--steps", "0"], "--steps and --batch are at least 1"),
        (["--answers", "18"], "--answers is at least 19, which an interval of 90 % needs"),
        (["--evaluations", "1001"], "--evaluations is 1 to 1000."),
        (["--limit-ms", "0"], "--lr and --limit-ms are above 0"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
    ],
)
def test_a_mistake_ends_in_one_sentence(run, tmp_path, arguments, words):
    folder(tmp_path / "few", 8)
    one_sentence(run("--batch", "2", "--out", "out", *arguments), words)
    assert not list(tmp_path.glob("out/*.pt"))


def one_sentence(done, words):
    code, text = done
    assert code == 2
    assert words in text
    assert len(text.splitlines()[-1:]) == 1
    assert "Traceback" not in text
