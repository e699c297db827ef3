"""The exported translator: its numbers are the library's, a killed run goes on exactly, a mistake ends in one
sentence."""

import argparse

import numpy as np
import pytest
import torch
from PIL import Image

from gantrans.networks import PatchGANConfig, SelfAttention, UNetConfig
from gantrans.training import Runtime
from gantrans.translation import Pix2PixConfig, Pix2PixTask
from lessons.lesson05.pix2pix import reference_step

EXPORTED = "my_pix2pix"
WIDTHS = [16, 32, 64, 128]
UNET = UNetConfig(base_filters=16, n_down=4, channel_cap=128, dropout=0.0)
CRITIC = PatchGANConfig(base_filters=16, n_layers=2, channel_cap=128)


@pytest.fixture
def run(run, monkeypatch):
    """As for the other files; `stop_after` kills the run when it stores for that time."""

    def go(*arguments, stop_after=None):
        with monkeypatch.context() as patch:
            if stop_after:
                patch.setattr(torch, "save", killing(stop_after))
            return run(*arguments)

    return go


def killing(count):
    """`torch.save`, which is cut off in the middle when it is called for the last time."""
    save, calls = torch.save, []

    def saved(whole, path):
        calls.append(1)
        if len(calls) < count:
            return save(whole, path)
        path.write_bytes(b"half a file")
        raise SystemExit(9)

    return saved


def images(count, side=32, seed=0):
    y = torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(seed)).sign()
    return 0.5 * y + 0.1, y


def folder(path, count=12, side=32, names=("input", "target"), form="png"):
    """A folder of pairs: a bright bar, and the same bar in grey with noise."""
    draw = np.random.default_rng(3)
    for name in names:
        (path / name).mkdir(parents=True)
    for i in range(count):
        bar = np.zeros((side, side), np.uint8)
        bar[:, i % side : i % side + side // 3] = 255
        grey = np.clip(0.5 * bar + 60 + draw.normal(0, 20, bar.shape), 0, 255).astype(np.uint8)
        for name, values in zip(names, (grey, bar), strict=True):
            if form == "png":
                Image.fromarray(values).save(path / name / f"{i:02}.png")
            else:
                np.save(path / name / f"{i:02}.npy", values)
    return path


def copied(mine, ours):
    """The weights and running averages of `ours` in order in `mine`, none of them as they start."""
    draw = torch.Generator().manual_seed(5)
    for own, known in zip(mine.parameters(), ours.parameters(), strict=True):
        known.data += 0.05 * torch.randn(known.shape, generator=draw)
        own.data = known.detach().clone().view(own.shape)  # a 1 x 1 convolution is a matrix
    return mine, ours


@pytest.fixture
def players(file):
    """G and D of the file and of the library with equal weights."""
    task = Pix2PixTask(Pix2PixConfig(UNET, CRITIC, weight_l1=7.0), seed=1)
    g, _ = copied(file.UNetTranslator(file.Down, file.Up, WIDTHS), task.generator)
    d, _ = copied(file.PatchGAN(file.patchgan_layers(16, 2, 128)), task.discriminator)
    return g, d, task


def same(got, expected, what):
    """Equal up to rounding, in units of the largest."""
    for a, b in zip(got, expected, strict=True):
        largest = float(b.detach().abs().max()) + 1e-3
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * largest, msg=what)


def test_the_networks_are_the_librarys(file, players):
    g, d, task = players
    x, y = images(3, seed=1)
    for mode in (True, False):
        same([g.train(mode)(x)], [task.generator.train(mode)(x)], "G")
    (logits, maps), known = d(x, y), task.discriminator(x, y)
    same([logits, *maps], [known.logits, *known.features], "D")
    mine, ours = copied(file.Attention(16), attention := SelfAttention(16))
    same([mine(h := torch.randn(2, 16, 4, 4))], [ours(h)], "attention")
    assert not torch.equal(attention(h), h)


def test_spectral_norm_comes_to_divide_as_pytorch_does(file):
    torch.manual_seed(0)
    layer, known = torch.nn.Conv2d(2, 3, 4), torch.nn.Conv2d(2, 3, 4)
    known.load_state_dict(layer.state_dict())
    torch.nn.utils.parametrizations.spectral_norm(known)
    file.parametrize.register_parametrization(layer, "weight", file.Spectral(3))
    start = layer.parametrizations.weight[0].u.clone()
    assert torch.equal(layer.eval().weight, layer.weight)
    assert torch.equal(layer.parametrizations.weight[0].u, start)
    layer.train()
    for _ in range(100):  # each reading in train mode is one power iteration
        mine, theirs = layer.weight, known.weight
    torch.testing.assert_close(mine, theirs)
    assert torch.linalg.svdvals(mine.flatten(1))[0].item() == pytest.approx(1)


def test_a_step_with_d_at_rest_has_the_librarys_gradients(file, players):
    """The library takes both gradients at the same weights; with D's rate 0 so does the file."""
    g, d, task = players
    x, y = images(4, seed=2)
    task.step({"input": x, "target": y}, Runtime(torch.device("cpu"), "fp32", 1, torch.Generator()))
    before = [p.detach().clone() for p in g.parameters()]
    of_g, of_d = (torch.optim.SGD(net.parameters(), lr=lr) for net, lr in ((g, 0.1), (d, 0.0)))
    turn_d, turn_g = file.turns(argparse.Namespace(loss="lsgan", label=1.0, weight_fm=0.0, weight_l1=7.0))
    fake = g(x)
    turn_d(d, of_d, x, y, fake)
    same([p.grad for p in d.parameters()], [p.grad for p in task.discriminator.parameters()], "D's gradient")
    turn_g(d, of_g, x, y, fake)
    moved = [(p - q.detach()) / 0.1 for p, q in zip(before, g.parameters(), strict=True)]
    same(moved, [p.grad for p in task.generator.parameters()], "G's gradient")


@pytest.mark.parametrize("plain", [False, True])
def test_training_alternates_as_the_papers_step(file, players, plain):
    g, d, task = players
    x, y = images(6, seed=3)
    known = [torch.optim.SGD(net.parameters(), lr=0.01) for net in (task.generator, task.discriminator)]
    own = [torch.optim.SGD(net.parameters(), lr=0.01) for net in (g, d)]
    draw = torch.Generator().manual_seed(4)
    expected = []
    for _ in range(3):
        chosen = torch.randint(6, (2,), generator=draw)
        losses = reference_step(task.generator, task.discriminator, *known, x[chosen], y[chosen], 7.0)
        expected.append((losses["loss_d"], losses["loss_gan_g"] + 7 * losses["loss_l1"]))
    o = argparse.Namespace(loss="lsgan", label=1.0, weight_fm=0.0, weight_l1=7.0, both=False, plain=plain)
    o.lr, o.steps, o.batch = 0.01, 10**9, 2
    one = argparse.Namespace(g=g, d=d, of_g=own[0], of_d=own[1], store=lambda *three: three)
    losses = file.train_on([one], x, y, range(3), o, torch.Generator().manual_seed(4))
    np.testing.assert_allclose(losses, expected, rtol=1e-3)
    same(g.parameters(), task.generator.parameters(), "G")
    same(d.parameters(), task.discriminator.parameters(), "D")


def test_the_store_keeps_pairs_together_and_the_rate_falls(file):
    o = argparse.Namespace(size=32, lr=0.1, plain=False, both=False, seed=0, steps=40, batch=4, loss="lsgan")
    o.label, o.weight_fm, o.weight_l1 = 1.0, 0.0, 1.0
    one = file.Players(o)
    old = 0
    for n in range(20):
        x = torch.full((4, 1, 1, 1), float(n))
        given, wanted, fake = one.store(x, x + 0.25, x + 0.5)
        assert torch.equal(given + 0.25, wanted)
        assert torch.equal(given + 0.5, fake)
        old += int((given < n).sum())
    assert 20 < old < 44  # 48 come when it is full, half of them are exchanged
    assert len(one.pairs) == 32
    one = file.Players(o)
    x, y = images(4)
    file.train_on([one], x, y, range(30, 31), o, torch.Generator())
    assert one.of_g.param_groups[0]["lr"] == one.of_d.param_groups[0]["lr"] == pytest.approx(0.05)


@pytest.mark.parametrize("more", [[], ["--both"]])
def test_a_killed_run_goes_on_and_ends_as_one_that_was_not(run, tmp_path, more):
    folder(tmp_path / "pairs")
    options = ("--data", "pairs", "--steps", "6", "--every", "2", "--batch", "2", "--warm-up", "3", *more)
    assert run(*options, "--out", "whole")[0] == 0
    assert run(*options, "--out", "cut", stop_after=2)[0] == 9
    left = sorted(p.name for p in (tmp_path / "cut").iterdir())
    assert left == ["checkpoint.part", "checkpoint.pt", "samples_000002.png", "samples_000004.png"]
    code, text = run(*options, "--out", "cut")
    assert code == 0
    assert "going on from step 2" in text
    names = sorted(p.name for p in (tmp_path / "whole").iterdir())
    assert names == [
        "checkpoint.pt", "losses.npy", "made.npy", "samples.png", "samples_000002.png", "samples_000004.png",
        "samples_000006.png", "weights.pt",
    ]  # fmt: skip
    for name in (n for n in names if n.endswith(("npy", "png"))):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes(), name
    weights = [torch.load(tmp_path / w / "weights.pt", weights_only=True) for w in ("whole", "cut")]
    assert len(weights[0]) == (2 if more else 1)
    for one, other in zip(*weights, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    losses = np.load(tmp_path / "whole" / "losses.npy")
    assert losses.shape == (6, 2)
    code, text = run("--data", "pairs", *options[2:], "--lr", "0.5", "--out", "cut")
    assert code == 2
    assert "cut/checkpoint.pt belongs to a run with --lr 0.001; give the same options" in text
    (tmp_path / "cut" / "checkpoint.pt").write_bytes(b"nothing")
    one_sentence(run(*options, "--out", "cut"), "cut/checkpoint.pt is no checkpoint of this program")


def test_a_folder_is_learnt_and_the_sheet_shows_what_was_held_out(file, run, tmp_path):
    folder(tmp_path / "pairs", 30, names=("a", "b"), form="npy")
    code, text = run("--data", "pairs", "--steps", "60", "--warm-up", "20", "--out", "new/deep")
    assert code == 0, text
    assert "27 pairs to train on, 3 held out. D gives 6 x 6 verdicts, 34 px wide." in text
    out = tmp_path / "new" / "deep"
    assert len(list(out.glob("samples_0000*.png"))) == 10
    quality = float(text.rpartition("held-out pairs ")[2].partition(":")[0])
    assert quality > 0.9
    cells = np.asarray(Image.open(out / "samples.png")).reshape(3, 33, 4, 3, 33, 4)[:, :32, 0, :, :32, 0]
    for row, i in enumerate((9, 19, 29)):
        given, wanted = (np.load(tmp_path / "pairs" / name / f"{i:02}.npy") for name in ("a", "b"))
        assert np.abs(cells[row, :, 0].astype(int) - given).max() <= 1
        assert np.array_equal(cells[row, :, 2], wanted)
    made = np.load(out / "made.npy")
    assert made.shape == (3, 32, 32)
    net = file.UNetTranslator(file.Down, file.Up, WIDTHS, file.Attention(128))
    net.load_state_dict(torch.load(out / "weights.pt", weights_only=True)[0])
    given = torch.tensor(np.load(tmp_path / "pairs" / "a" / "29.npy")).float() / 127.5 - 1
    again = file.translate_new(net, given[None, None], 1)[0, 0]
    assert (again - (torch.tensor(made[2]).float() / 127.5 - 1)).abs().max() < 0.01
    assert "px wide" in text
    assert " of the first one least like a wanted picture." in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "There is no folder nowhere."),
        (["--data", "empty"], "empty has no folder input; needed are input and target, or a and b."),
        (["--data", "half"], "half has no folder target; needed are input and target, or a and b."),
        (["--data", "void"], "There is no .png, .npy or .npz file in void/input."),
        (["--data", "single"], "single has one pair; at least two are needed"),
        (["--data", "unequal"], "unequal/input/01.png has no partner: there is no 01 in unequal/target"),
        (["--data", "surplus"], "surplus/target/more.png has no partner: there is no more in surplus/input"),
        (["--data", "twice"], "have one name; rename or remove one of them."),
        (
            ["--data", "sizes"],
            "sizes/input has images of 32 x 32 pixels and sizes/target has images of 16 x 16",
        ),
        (["--data", "mixed"], "mixed/input/01.png has 8 x 8 pixels and mixed/input/00.png has 32 x 32"),
        (["--data", "damaged"], "damaged/target/00.png cannot be read as an image"),
        (["--data", "colour"], "colour/input/00.png is in colour (its mode is RGB)"),
        (["--data", "good", "--size", "40"], "--size is a multiple of 16 and at least 32"),
        (["--size", "16"], "--size is a multiple of 16 and at least 32"),
        (["--steps", "0"], "--steps, --batch and --every are at least 1"),
        (["--label", "0.4"], "--label lies in (0.5, 1]"),
        (["--loss", "hinge", "--label", "0.9"], "--label lies in (0.5, 1], and is 1 with --loss hinge."),
        (["--lr", "nan"], "--lr, --weight-l1 and --weight-fm are at least 0."),
        (["--both", "--plain"], "--both and --plain do not go together"),
        (["--out", "good/input/00.png"], "Nothing can be written into good/input/00.png: File exists."),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
    ],
)
def test_a_mistake_ends_in_one_sentence(run, tmp_path, arguments, words):
    for name in ("good", "unequal", "surplus", "twice", "sizes", "mixed", "damaged", "colour"):
        folder(tmp_path / name, 2)
    folder(tmp_path / "single", 1)
    folder(tmp_path / "void", 0)
    (tmp_path / "empty").mkdir()
    folder(tmp_path / "half", 1)
    (tmp_path / "half" / "target" / "00.png").unlink()
    (tmp_path / "half" / "target").rmdir()
    (tmp_path / "unequal" / "target" / "01.png").unlink()
    small = Image.fromarray(np.zeros((16, 16), np.uint8))
    small.save(tmp_path / "surplus" / "target" / "more.png")
    np.save(tmp_path / "twice" / "input" / "00.npy", np.zeros((32, 32), np.uint8))
    for i in range(2):
        small.save(tmp_path / "sizes" / "target" / f"0{i}.png")
    small.resize((8, 8)).save(tmp_path / "mixed" / "input" / "01.png")
    (tmp_path / "damaged" / "target" / "00.png").write_bytes(b"nonsense")
    Image.new("RGB", (32, 32)).save(tmp_path / "colour" / "input" / "00.png")
    one_sentence(run("--steps", "1", "--out", "out", *arguments), words)
    assert not (tmp_path / "out" / "checkpoint.pt").exists()


def one_sentence(done, words):
    code, text = done
    assert code == 2
    assert words in text
    assert len(text.splitlines()) == 1
