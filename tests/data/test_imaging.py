"""Printing and SEM formation: roughness statistics, edge positions, noise, determinism, presets."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special, stats
from skimage.filters import threshold_otsu

from gantrans.config import from_dict, to_dict
from gantrans.data.cells import CellConfig, cell_layouts
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig, procedural_layouts
from gantrans.data.pairs import make_pairs
from gantrans.data.printing import (
    edge_distance,
    gaussian_operator,
    print_layouts,
    roughness_field,
    white_shape,
)
from gantrans.data.sem import acquire, gaussian_electrons, poisson_electrons
from gantrans.data.simulator import simulate
from gantrans.errors import ConfigError
from gantrans.roughness import palasantzas_psd

XI, HURST = 100.0, 0.6


def average_psd(lines: torch.Tensor, spacing: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Periodogram of (n, samples) averaged over lines, two-sided, without the mean's bin."""
    n = lines.shape[-1]
    power = torch.fft.rfft(lines.double()).abs().square().mean(0) * spacing / n
    return torch.fft.rfftfreq(n, spacing, dtype=torch.float64)[1:-1], power[1:-1]


def test_lines_through_the_field_have_the_one_dimensional_spectrum() -> None:
    """Cut along rows and columns, the 2-D field (exponent H + 1) has the 1-D PSD (exponent H + 1/2)."""
    size, pixel = 256, 10.0
    white = torch.randn(24, *white_shape(size), generator=torch.Generator().manual_seed(1))
    field = roughness_field(white, size, pixel, XI, HURST)
    assert field.double().var().item() == pytest.approx(1.0, rel=0.05)
    for lines in (field.reshape(-1, size), field.transpose(1, 2).reshape(-1, size)):
        f, psd = average_psd(lines, pixel)
        middle = (f > 0.5 / XI) & (f < 0.015)  # above, sampling cuts off the other axis' share
        ratio = psd[middle] / palasantzas_psd(f[middle], 1.0, XI, HURST)
        assert ratio.mean().item() == pytest.approx(1.0, abs=0.08)
        assert ratio.log().std().item() < 0.15


def test_distance_is_exact_for_a_straight_edge_and_blur_equals_scipy() -> None:
    layout = torch.zeros(1, 64, 64)
    layout[:, :, 32:] = 1
    distance = edge_distance(layout.clone(), 20.0, 60.0)[0, 32]
    expected = (torch.arange(64) - 31.5) * 20.0
    near = expected.abs() < 150
    torch.testing.assert_close(distance[near], expected[near], atol=1.5, rtol=0)
    image = np.random.default_rng(0).random((48, 48)).astype(np.float32)
    blur = gaussian_operator(48, torch.tensor([1.7]))[0]
    ours = (blur @ torch.from_numpy(image) @ blur.T).numpy()
    theirs = ndimage.gaussian_filter(image, 1.7, truncate=8)
    np.testing.assert_allclose(ours[12:-12, 12:-12], theirs[12:-12, 12:-12], atol=1e-5)


def test_cd_bias_and_roughness_move_edges_as_stated() -> None:
    """A wide line: mean CD changes by the bias, edge residuals have the stated sigma."""
    layout = torch.zeros(64, 96, 96)
    layout[:, :, 32:64] = 1
    config = dataclasses.replace(PRESETS["default"], cd_bias_nm=(10.0, 10.0), ler_sigma_nm=(6.0, 6.0))
    distance = print_layouts(layout, config, 20.0, 0, range(64))
    left, right = (
        distance[..., 32] - 10.0,
        distance[..., 63] - 10.0,
    )  # pixel centres lie 10 nm inside the edge
    assert (left + right).mean().item() == pytest.approx(10.0, abs=1.0)
    for edge in (left, right):
        assert edge.std().item() == pytest.approx(6.0, rel=0.1)


@pytest.mark.parametrize("mean", [2.0, 8.0, 40.0])
def test_fast_shot_noise_is_close_to_poisson(mean: float) -> None:
    """Kolmogorov distance from the exact mixture of normals, and the moments, as the docstring states."""
    z = torch.linspace(-7, 7, 400_001, dtype=torch.float64)
    weight = torch.from_numpy(stats.norm.pdf(z.numpy()))
    weight /= weight.sum()
    electrons, order = gaussian_electrons(torch.full_like(z, mean), 1.5, z).sort()
    counts = np.arange(0, int(mean + 12 * math.sqrt(mean) + 20))
    grid = electrons[::400].numpy()
    exact = (stats.poisson.pmf(counts, mean) * special.ndtr((grid[:, None] - counts) / 1.5)).sum(1)
    limit = {2.0: 0.0025, 8.0: 0.001, 40.0: 0.0005}[mean]
    assert np.abs(weight[order].cumsum(0)[::400].numpy() - exact).max() < limit
    centred = electrons - mean
    assert (weight[order] * centred).sum().item() == pytest.approx(0.0, abs=1e-3)
    assert (weight[order] * centred**2).sum().item() == pytest.approx(mean + 1.5**2, rel=0.01)
    assert (weight[order] * centred**3).sum().item() == pytest.approx(mean, rel=0.02)


def test_exact_poisson_is_poisson() -> None:
    white = torch.zeros(1, 200, 200)
    counts = poisson_electrons(torch.full((1, 200, 200), 7.0), 1.0, white, [3]).double()
    assert torch.equal(counts, counts.round())
    assert counts.mean().item() == pytest.approx(7.0, abs=0.06)
    assert counts.var().item() == pytest.approx(7.0, rel=0.04)


@pytest.mark.parametrize("shot_noise", ["gaussian", "poisson"])
def test_an_item_is_equal_to_the_bit_in_any_batch(shot_noise: str) -> None:
    config = dataclasses.replace(PRESETS["default"], shot_noise=shot_noise)
    layouts = cell_layouts(CellConfig(), 0, range(70), margin_px=8)  # more than one block of the simulator
    images = simulate(layouts, config, 9, range(70))
    for index in (0, 31, 32, 69):
        alone = cell_layouts(CellConfig(), 0, [index], margin_px=8)
        single = simulate(alone, config, 9, [index])
        assert torch.equal(single.sem, images.sem[index : index + 1])
        assert torch.equal(single.printed, images.printed[index : index + 1])
    assert not torch.equal(images.sem, simulate(layouts, config, 10, range(70)).sem)


def flat(config: ImagingConfig, **changes: object) -> ImagingConfig:
    """Without anything random but noise."""
    still = dict.fromkeys(("cd_bias_nm", "ler_sigma_nm", "charging", "ramp"), (0.0, 0.0))
    return dataclasses.replace(config.fixed(), edge_dropout=0.0, jitter_nm=0.0, **{**still, **changes})


def test_the_image_shows_contrast_bloom_and_beam() -> None:
    distance = ((torch.arange(96) - 47.5) * 10.0).repeat(1, 96, 1)  # a straight edge, feature on the right
    config = flat(PRESETS["default"], background=(0.3, 0.3), contrast=(0.1, 0.1), edge_signal=(0.4, 0.4))
    profile = acquire(distance.clone(), config, 10.0, 0, [0], noise=False)[0, 48]
    assert profile[8].item() == pytest.approx(0.3, abs=0.01)
    assert profile[-8].item() == pytest.approx(0.4, abs=0.01)
    assert abs(int(profile.argmax()) - 47.5) <= 1.5
    assert profile.max() > 0.55
    outside, inside = profile[20:44] - 0.3, profile[52:76] - 0.4
    assert outside.sum() > inside.sum() > 0, "the bloom is wider outside (36 > 24 nm)"
    wide = acquire(
        distance, dataclasses.replace(config, beam_sigma_nm=(60.0, 60.0)), 10.0, 0, [0], noise=False
    )
    assert wide.max() < profile.max() - 0.05


def test_charging_darkens_only_what_the_beam_passes_later() -> None:
    distance = torch.full((1, 64, 64), -1000.0)
    distance[:, :, 30:34] = 1000.0
    plain = flat(PRESETS["default"], contrast=(0.5, 0.5), edge_signal=(0.0, 0.0), beam_sigma_nm=(5.0, 5.0))
    charged = dataclasses.replace(plain, charging=(0.3, 0.3))
    empty = torch.full((1, 64, 64), -1000.0)
    with_line = acquire(distance.clone(), charged, 20.0, 0, [0], noise=False)[0, 32]
    without = acquire(empty, charged, 20.0, 0, [0], noise=False)[0, 32]
    shadow = without - with_line
    assert shadow[:29].abs().max().item() < 1e-5
    assert shadow[36].item() > 0.01
    assert shadow[36] > shadow[50] > 0


def test_noise_falls_with_the_square_root_of_dose() -> None:
    distance = torch.full((8, 64, 64), -1000.0)
    spread = []
    for dose in (50.0, 800.0):
        config = flat(PRESETS["default"], background=(0.5, 0.5), dose=(dose, dose), read_noise=0.0)
        spread.append(acquire(distance.clone(), config, 20.0, 0, range(8)).std().item())
    assert spread[0] == pytest.approx(math.sqrt(0.5 / 50), rel=0.05)
    assert spread[0] / spread[1] == pytest.approx(4.0, rel=0.05)


def test_jitter_and_fading_act_on_edges_only() -> None:
    layouts = procedural_layouts(LayoutConfig(weights=(0, 0, 0, 0, 1.0, 0)), 0, range(4), margin_px=8)
    still = flat(PRESETS["default"], dose=(1e6, 1e6), read_noise=0.0)
    base = simulate(layouts, still, 0, range(4)).sem
    for change in ({"jitter_nm": 10.0}, {"edge_dropout": 0.9}):
        other = simulate(layouts, dataclasses.replace(still, **change), 0, range(4)).sem
        difference = (other - base).abs()
        assert difference.max() > 0.02
        assert difference.median() < 0.005


def best_otsu_iou(difficulty: str) -> float:
    """Mean IoU of the best of three denoisers followed by Otsu's threshold (bright = feature)."""
    pairs = make_pairs("procedural", split="val", count=96, difficulty=difficulty, progress=False)
    target = pairs.layout[:, 0].numpy() > 127
    sem = pairs.sem[:, 0].numpy() / 255.0
    scores = []
    for denoise in (
        lambda x: ndimage.median_filter(x, 5),
        lambda x: ndimage.gaussian_filter(x, 1),
        lambda x: ndimage.gaussian_filter(x, 2),
    ):
        found = [(d := denoise(x)) > threshold_otsu(d) for x in sem]
        ious = [(f & t).sum() / max((f | t).sum(), 1) for f, t in zip(found, target, strict=True)]
        scores.append(float(np.mean(ious)))
    return max(scores)


@pytest.mark.parametrize(("difficulty", "expected"), [("easy", 0.80), ("default", 0.55), ("hard", 0.37)])
def test_presets_are_as_hard_for_otsu_as_stated(difficulty: str, expected: float) -> None:
    assert best_otsu_iou(difficulty) == pytest.approx(expected, abs=0.04)  # .03 at 256 clips, .04 at 96


def test_configuration_round_trip_fixed_conditions_and_errors() -> None:
    for config in PRESETS.values():
        assert from_dict(ImagingConfig, to_dict(config)) == config
    assert PRESETS["default"].fixed().dose == (52.5, 52.5)
    with pytest.raises(ConfigError, match=r"ImagingConfig\.dose is \(80\.0, 25\.0\)"):
        dataclasses.replace(PRESETS["default"], dose=(80.0, 25.0))
    with pytest.raises(ConfigError, match="ler_hurst"):
        dataclasses.replace(PRESETS["default"], ler_hurst=1.5)
    with pytest.raises(ConfigError, match="shot_noise"):
        dataclasses.replace(PRESETS["default"], shot_noise="none")
