"""The exported diffusion model: its numbers are the library's, and a mistake ends in one sentence."""

import argparse

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from gantrans.diffusion import DiffusionConfig, SamplerConfig, denoiser_model, make_schedule, q_sample, sample
from gantrans.networks import Denoiser, DenoiserConfig

EXPORTED = "my_diffusion"
KINDS = 4
CONFIG = DiffusionConfig(
    DenoiserConfig(base_filters=16, multipliers=(1, 2, 2), attention=False, classes=KINDS), prediction="x0"
)
SCHEDULE = make_schedule("cosine")


@pytest.fixture
def networks(file):
    """The file's network and the library's with equal weights, none of them zero."""
    torch.manual_seed(0)
    ours = Denoiser(CONFIG.network).eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape) + parameter)
    net = file.UNet(file.ConvBlock, 16, KINDS).eval()
    for mine, known in zip(net.parameters(), ours.parameters(), strict=True):
        mine.data = known.detach().clone()
    return net, ours


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count, seed=0):
    return torch.randn(count, 1, 16, 16, generator=seeded(seed)).clamp(-1, 1)


def test_schedule_noise_and_network_are_the_librarys(file, networks):
    bars = torch.cumprod(1 - file.cosine_betas(1000, 0.999), 0)
    torch.testing.assert_close(bars, SCHEDULE.alpha_bars)
    x0, noise, t = images(5), torch.randn(5, 1, 16, 16), torch.tensor([0, 3, 400, 800, 999])
    x = file.q_sample(x0, t, noise, bars)
    torch.testing.assert_close(x, q_sample(SCHEDULE, x0, t, noise))
    net, ours = networks
    label = torch.arange(5)  # the last: none
    torch.testing.assert_close(net(x, t, label), ours(x, t, label=label), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(x, t, label * 0 + KINDS), ours(x, t), rtol=1e-4, atol=1e-5)
    assert net(x, t, label).std() > 0.1


def test_a_fresh_block_changes_nothing(file):
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(file.ConvBlock(16, 16, 64)(x, torch.randn(2, 64)), x)


def test_training_takes_the_librarys_loss_and_ends_with_the_averages(file, networks, monkeypatch):
    net, ours = networks
    x0, labels = images(40), torch.arange(40) % KINDS
    names, asked, given = file.learn.__globals__, [], []
    original = names["ema_update"]

    def noted(averages, weights, decay, updates):
        asked.append((decay, updates))
        given.append(original(averages, weights, decay, updates))
        return given[-1]

    monkeypatch.setitem(names, "ema_update", noted)
    losses = file.learn(net, x0, labels, SCHEDULE.alpha_bars, 3, seeded())
    draws = seeded()
    chosen = torch.randint(40, (32,), generator=draws)
    t, noise = torch.randint(1000, (32,), generator=draws), torch.randn(32, 1, 16, 16, generator=draws)
    label = torch.where(torch.rand(32, generator=draws) < 0.1, KINDS, labels[chosen])
    assert (label == KINDS).any()
    expected = F.mse_loss(ours(q_sample(SCHEDULE, x0[chosen], t, noise), t, label=label), x0[chosen])
    assert losses[0] == pytest.approx(expected.item(), rel=1e-4)
    assert asked == [(0.99, 0), (0.99, 1), (0.99, 2)]
    assert all(map(torch.equal, net.parameters(), given[-1]))
    assert not all(map(torch.equal, given[0], given[-1]))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm"])
@pytest.mark.parametrize(("guidance", "evaluations"), [(1.0, 50), (3.0, 7), (0.0, 12)])
def test_the_chain_is_the_librarys_from_the_same_noise(file, networks, sampler, guidance, evaluations):
    net, ours = networks
    start, label = torch.randn(6, 1, 16, 16, generator=seeded(1)), torch.arange(6) % KINDS
    o = argparse.Namespace(guidance=guidance, sampler=sampler, evaluations=evaluations, kinds=KINDS)
    drawn = file.draw(net, start, label, SCHEDULE.alpha_bars, o, seeded(2))
    kind = {"dpm": "dpm++"}.get(sampler, sampler)
    expected = sample(
        denoiser_model(ours, CONFIG, label=label, guidance=guidance), start.shape, SCHEDULE,
        SamplerConfig(kind, evaluations), prediction="x0", generator=seeded(2), noise=start,
    )  # fmt: skip
    torch.testing.assert_close(drawn, expected.clamp(-1, 1), rtol=1e-3, atol=1e-3)
    assert 0.1 < drawn.std() < 1


def test_a_folder_with_labels_is_learnt_and_drawn(file, run, tmp_path):
    for kind, value in (("dark", 0), ("light", 255)):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for i in range(3):
            Image.fromarray(np.full((12, 12), value, np.uint8)).save(tmp_path / "data" / kind / f"{i}.png")
    Image.fromarray(np.full((12, 12), 65535, np.uint16)).save(tmp_path / "data" / "light" / "deep.png")
    np.save(tmp_path / "data" / "light" / "three.npy", np.ones((3, 12, 12), np.float32))
    options = ("--data", "data", "--size", "8", "--steps", "60", "--evaluations", "4", "--count", "7")
    code, text = run(*options, "--out", "out/deep")
    assert code == 0, text
    out = tmp_path / "out" / "deep"
    assert sorted(p.name for p in out.iterdir()) == ["losses.npy", "samples.png", "weights.pt"]
    losses = np.load(out / "losses.npy")
    assert len(losses) == 60
    assert losses[-10:].mean() < 0.2 * losses[:5].mean()
    sheet = np.asarray(Image.open(out / "samples.png")).astype(int)
    assert sheet.shape == (3 * 9 * 16, 3 * 9 * 16)
    cells = sheet.reshape(3, 9, 16, 3, 9, 16).transpose(0, 3, 1, 4, 2, 5)[:, :, :8, :8].reshape(9, -1)
    assert (np.abs(cells[:7].mean(1) - 255 * (np.arange(7) % 2)) < 60).all()  # dark and light in turn
    net = file.UNet(file.ConvBlock, 16, 2)
    net.load_state_dict(torch.load(out / "weights.pt", weights_only=True))
    first = (out / "samples.png").read_bytes()
    assert run(*options, "--out", "again")[0] == 0
    assert (tmp_path / "again" / "samples.png").read_bytes() == first


def test_its_own_shapes_and_every_sampler(file, run, tmp_path):
    x0, label = file.shapes(40, 16, seeded())
    assert x0.shape == (40, 1, 16, 16)
    assert x0.min() == -1
    assert x0.max() == 1
    assert label.tolist() == [0, 1] * 20
    small = ("--steps", "30", "--size", "8", "--count", "2", "--evaluations", "3", "--guidance", "2")
    for sampler in ("ddpm", "ddim", "dpm", "own"):
        assert run(*small, "--sampler", sampler, "--out", sampler)[0] == 0
    assert len({(tmp_path / s / "samples.png").read_bytes() for s in ("ddpm", "ddim", "dpm", "own")}) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "nowhere"], "There is no folder nowhere."),
        (["--data", "empty"], "There is no .png, .npy or .npz file in empty."),
        (["--data", "flat/0.npy"], "There is no folder flat/0.npy."),
        (["--data", "colour"], "colour/a.png is in colour (its mode is RGB)"),
        (["--data", "mixed"], "mixed/b/1.npy has 6 x 4 pixels and mixed/a/0.npy has 4 x 4"),
        (["--data", "damaged"], "damaged/a.png cannot be read as an image"),
        (["--data", "cut"], "cut/a.png cannot be read as an image"),
        (["--data", "nothing"], "nothing/a.npy cannot be read as an image"),
        (["--data", "flat", "--guidance", "2"], "--guidance needs labels"),
        (["--data", "flat", "--out", "flat/0.npy/x"], "Nothing can be written into flat/0.npy/x: Not a dir"),
        (["--out", "flat/0.npy"], "Nothing can be written into flat/0.npy: File exists."),
        (["--size", "18"], "--size is a multiple of 4"),
        (["--evaluations", "1001"], "--evaluations is 1 to 1000"),
        (["--evaluations", "0"], "--evaluations is 1 to 1000"),
        (["--steps", "-3"], "--steps and --count are at least 1"),
        (["--count", "0"], "--steps and --count are at least 1"),
        (["--guidance", "-1"], "--guidance and --seed are at least 0"),
        (["--guidance", "nan"], "--guidance and --seed are at least 0"),
        (["--seed", "-1"], "--guidance and --seed are at least 0"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--sampler", "heun"], "invalid choice: 'heun'"),
    ],
)
def test_a_mistake_ends_in_one_sentence_and_nothing_is_written(run, tmp_path, arguments, words):
    for name in ("empty", "flat", "colour", "mixed/a", "mixed/b", "damaged", "cut", "nothing"):
        (tmp_path / name).mkdir(parents=True)
    np.save(tmp_path / "flat" / "0.npy", np.zeros((4, 4), np.uint8))
    np.save(tmp_path / "mixed" / "a" / "0.npy", np.zeros((4, 4), np.uint8))
    np.save(tmp_path / "mixed" / "b" / "1.npy", np.zeros((6, 4), np.uint8))
    np.save(tmp_path / "nothing" / "a.npy", np.zeros((0, 4, 4), np.uint8))
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "colour" / "a.png")
    (tmp_path / "damaged" / "a.png").write_bytes(b"no image")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(
        tmp_path / "cut" / "a.png"
    )
    whole = (tmp_path / "cut" / "a.png").read_bytes()
    (tmp_path / "cut" / "a.png").write_bytes(whole[: len(whole) // 2])
    before = sorted(tmp_path.rglob("*"))
    code, text = run("--steps", "1", "--size", "4", "--count", "1", "--evaluations", "1", *arguments)
    assert code == 2, text
    assert words in text
    assert len(text.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
