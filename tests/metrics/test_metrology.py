"""CD, signed EPE, LER, LWR and spectra against drawn geometry and closed forms."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from gantrans.errors import ConfigError, DataError
from gantrans.metrics import (
    cd_error,
    critical_dimension,
    edge_residuals,
    find_runs,
    ler,
    line_edges,
    line_roughness,
    lwr,
    noise_variance,
    psd,
    signed_epe,
    unbiased_ler,
)
from gantrans.roughness import palasantzas_psd, rough_profile


def bars(size: int, *spans: tuple[float, float], rows: slice = slice(None)) -> torch.Tensor:
    """Vertical bars with edges at the given positions (px, pixel centres at integers), by area coverage."""
    pixel = torch.arange(size, dtype=torch.float64)
    line = sum(((pixel + 0.5).clamp(max=b) - (pixel - 0.5).clamp(min=a)).clamp(min=0) for a, b in spans)
    image = torch.zeros(1, 1, size, size, dtype=torch.float64)
    image[:, :, rows] = line
    return image


def test_runs_have_sub_pixel_edges_and_know_the_border():
    image = torch.tensor([0.8, 0.6, 0.1, 0.0, 0.4, 1.0, 0.0, 0.9]).view(1, 1, 1, 8)
    lines, spaces = find_runs(image), find_runs(image, tone="space")
    np.testing.assert_allclose(lines.start, [-0.5, 4 + 0.1 / 0.6, 6 + 0.5 / 0.9], rtol=1e-6)
    np.testing.assert_allclose(lines.end, [1 + 0.1 / 0.5, 5.5, 7.5], rtol=1e-6)
    assert lines.complete.tolist() == [False, True, False]
    np.testing.assert_allclose(spaces.start, lines.end[:2])
    np.testing.assert_allclose(spaces.end, lines.start[1:])
    start, end = lines.at(np.array(0), np.array([0, 0, 0, -1, 1]), np.array([5, 7, 6, 5, 5]))
    np.testing.assert_allclose(start, [lines.start[1], lines.start[2], np.nan, np.nan, np.nan])
    np.testing.assert_allclose(end, [lines.end[1], lines.end[2], np.nan, np.nan, np.nan])


def test_critical_dimension_of_lines_and_spaces_both_ways():
    image = bars(40, (5.5, 10.5), (17.5, 22.5), (29.5, 34.5))
    assert critical_dimension(image, 4.0).item() == pytest.approx(20)
    assert critical_dimension(image, 4.0, tone="space").item() == pytest.approx(28)
    assert critical_dimension(image.mT, 4.0, "columns").item() == pytest.approx(20)
    assert critical_dimension(image, 4.0, "columns").isnan().all()  # along the lines nothing is complete


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.45, 0.45), st.floats(-0.45, 0.45))
def test_cd_and_signed_epe_follow_edges_by_fractions_of_a_pixel(left, right):
    target, pred = bars(24, (7.5, 13.5)), bars(24, (7.5 - left, 13.5 + right))
    # an edge d px beyond the border of a pixel leaves the coverage d there; interpolation makes this of it:
    shift = [d / (1 - abs(d)) / 2 for d in (left, right)]
    error = cd_error(pred, target, pixel_nm=10.0)
    assert error.signed.item() == pytest.approx(10 * sum(shift), abs=1e-6)
    assert error.absolute.item() == pytest.approx(10 * abs(sum(shift)), abs=1e-6)
    edges = signed_epe(pred, target, pixel_nm=10.0)
    assert edges.mean.item() == pytest.approx(5 * sum(shift), abs=1e-6)
    leftmost = edges.site[:, 1] < 10
    np.testing.assert_allclose(edges.error[leftmost], [10 * shift[0]] * 22, atol=1e-6)


def test_cd_error_measures_features_across_and_skips_corners():
    target = torch.zeros(1, 1, 40, 40)
    target[..., 5:9, 4:30] = 1.0  # horizontal line with an end on each side
    target[..., 20:26, 10:16] = 1.0  # square contact
    target[..., 33:, 20:24] = 1.0  # leaves the image below
    error = cd_error(target, target, 1.0)
    # the line across its inner columns, the contact both ways, the stub across its rows between the end ones
    assert error.cuts.item() == 24 + 2 * 4 + 5
    assert error.unmatched.item() == 0
    assert error.signed.item() == 0
    spaces = cd_error(target, target, 1.0, tone="space")
    assert spaces.cuts.item() > 0


def test_defects_are_unmatched_and_do_not_pass_for_cd_errors():
    target = bars(32, (5.5, 9.5), (14.5, 18.5), (23.5, 27.5))
    pred = target.clone()
    pred[..., 6:18] = 1.0  # bridge between the first two lines
    pred[..., 20:30] = 0.0  # the third one is missing
    error = cd_error(torch.cat((pred, target)), torch.cat((target, target)), 1.0)
    assert error.cuts.tolist() == [90, 90]
    assert error.unmatched.tolist() == [90, 0]
    assert error.signed[0].isnan()
    assert error.signed[1] == 0
    lost = signed_epe(pred, target, 1.0, reach_nm=3.0)
    assert lost.lost.item() == 2 * 30 + 2 * 30  # the inner edges of the bridge and both of the missing line
    assert lost.mean.item() == 0


def test_signed_epe_is_positive_outwards_on_all_four_sides_and_avoids_corners():
    target = torch.zeros(2, 1, 30, 30)
    target[:, :, 8:18, 10:22] = 1.0
    pred = torch.zeros(2, 1, 30, 30)
    pred[0, :, 7:19, 9:23] = 1.0  # a pixel larger all round
    pred[1, :, 10:16, 12:20] = 1.0  # two pixels smaller all round
    result = signed_epe(pred, target, pixel_nm=5.0)
    assert result.mean.tolist() == [5, -10]
    straight = result.site[result.image == 0]
    assert len(straight) == 2 * (10 - 2) + 2 * (12 - 2)
    assert result.lost.tolist() == [0, 2 * 2 + 2 * 2]  # where the smaller one has no edge any more


def test_images_without_edges_are_undefined():
    empty = torch.zeros(2, 1, 16, 16)
    error, edges = cd_error(empty, empty, 1.0), signed_epe(empty, empty, 1.0)
    assert error.signed.isnan().all()
    assert error.cuts.tolist() == [0, 0]
    assert edges.mean.isnan().all()
    assert line_roughness(empty, empty, 1.0).ler.isnan().all()
    with pytest.raises(DataError, match="equal shape"):
        cd_error(empty, empty[:1], 1.0)
    with pytest.raises(DataError, match="reach_nm"):
        signed_epe(empty, empty, 1.0, reach_nm=0.0)


def wavy_lines(left: torch.Tensor, right: torch.Tensor, size: int) -> torch.Tensor:
    """A vertical line with edges exactly where asked, drawn as a ramp that interpolation inverts exactly."""
    pixel = torch.arange(size, dtype=torch.float64)
    inside = torch.minimum(pixel - left[:, None], right[:, None] - pixel)
    return (0.5 + inside / 4).clamp(0, 1)[None, None]


def test_ler_and_lwr_of_known_edges_ignore_a_tilt():
    rows = torch.arange(64, dtype=torch.float64)
    wave = 0.3 * torch.cos(2 * math.pi * rows * 4 / 64)
    image = wavy_lines(20 + wave, 40 + wave + 0.004 * rows, 64)
    layout = bars(64, (20.0, 40.0))
    edges = line_edges(image, layout, pixel_nm=2.0)
    torch.testing.assert_close(edges.left[0], 2 * (20 + wave))
    expected = 3 * 2 * 0.3 / math.sqrt(2)  # 3 sigma of a sine
    torch.testing.assert_close(ler(edges.left), torch.tensor([expected]).double(), rtol=1e-3, atol=0)
    torch.testing.assert_close(ler(edges.right), torch.tensor([expected]).double(), rtol=1e-3, atol=0)
    assert lwr(edges.left, edges.right).item() == pytest.approx(3 * 2 * 0.004 * rows.std(correction=0).item())
    rough = line_roughness(torch.cat((image, image.mT)), torch.cat((layout, layout.mT)), 2.0)
    assert rough.lines.tolist() == [1, 1]
    torch.testing.assert_close(rough.ler, torch.tensor([expected] * 2).double(), rtol=1e-3, atol=0)
    assert rough.lwr[0] == rough.lwr[1]


def test_broken_and_bent_lines_have_no_roughness():
    straight, broken = bars(32, (8.5, 14.5)), bars(32, (8.5, 14.5))
    broken[:, :, 10:12] = 0.0
    bent = torch.cat((bars(32, (8.5, 14.5))[:, :, :16], bars(32, (11.5, 17.5))[:, :, 16:]), dim=2)
    layout = torch.cat((straight, bent, straight))
    rough = line_roughness(torch.cat((broken, straight, straight)), layout, 1.0)
    assert rough.lines.tolist() == [0, 0, 1]
    assert rough.ler[2] < 1e-12
    with pytest.raises(DataError, match="at least 3"):
        ler(torch.zeros(2))


@pytest.mark.parametrize("n", [17, 64])
def test_the_integral_of_the_spectrum_is_the_variance(n):
    profile = torch.randn(5, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    residuals = edge_residuals(profile + 3 * torch.arange(n))
    torch.testing.assert_close(residuals, edge_residuals(profile))
    freq, density = psd(residuals, pixel_nm=4.0)
    assert freq.abs().max() <= 1 / 8
    torch.testing.assert_close(density.sum(-1) / (n * 4.0), (ler(profile) / 3).square())


@pytest.mark.parametrize("hurst", [0.3, 0.75, 1.0])
def test_the_palasantzas_model_integrates_to_sigma_squared(hurst):
    def density(f: float) -> float:
        return palasantzas_psd(torch.tensor(f, dtype=torch.float64), 1.7, 25.0, hurst).item()

    near, far = quad(density, 0, 0.1, limit=200)[0], quad(density, 0.1, math.inf, limit=200)[0]
    assert 2 * (near + far) == pytest.approx(1.7**2, rel=1e-3)
    knee = torch.tensor(1 / (2 * math.pi * 25), dtype=torch.float64)
    assert density(knee.item()) == pytest.approx(density(0.0) * 2 ** -(hurst + 0.5))


def test_synthesised_edges_have_the_spectrum_they_were_asked_for():
    generator = torch.Generator().manual_seed(0)
    sigma = torch.tensor([1.0, 3.0])
    white = torch.randn(2000, 2, 256, generator=generator)
    edges = rough_profile(white, 5.0, sigma, 30.0, 0.75).double()
    freq, density = psd(edges, 5.0)
    model = palasantzas_psd(freq, sigma[:, None].double(), 30.0, 0.75)
    scatter = (density.mean(0) / model - 1).abs().max()  # of 512 values, each 1 / sqrt(2000)
    assert scatter < 0.13
    torch.testing.assert_close(edges.var(dim=(0, 2)), sigma.double() ** 2, rtol=0.05, atol=0)


def test_the_floor_of_the_spectrum_is_the_noise_and_its_bias_is_subtracted():
    """sigma 4 nm, xi 60 nm, sampled at 4 nm, found with a noise of 3 nm: LER 12 nm, 15 nm as it is seen."""
    draw = torch.Generator().manual_seed(0)
    edges = rough_profile(torch.randn(64, 1024, generator=draw), 4.0, 4.0, 60.0, 0.75).double()
    seen = edges + 3.0 * torch.randn(edges.shape, generator=draw, dtype=torch.float64)
    true, raw = (3 * float(edge_residuals(e).square().mean()) ** 0.5 for e in (edges, seen))
    assert noise_variance(seen, 4.0) == pytest.approx(9.0, rel=0.05)
    assert raw > 1.2 * true
    assert unbiased_ler(seen, 4.0) == pytest.approx(true, rel=0.03)
    noise = 3.0 * torch.randn(64, 256, generator=draw, dtype=torch.float64)
    assert unbiased_ler(noise, 4.0) < 2.0  # of 9 nm
    with pytest.raises(DataError, match="share"):
        noise_variance(noise, 4.0, 0.0)


def test_roughness_is_a_pure_function_of_the_noise_and_refuses_impossible_parameters():
    white = torch.randn(3, 33, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    profile = rough_profile(white, 2.0, torch.tensor([1.0, 2.0, 4.0]).double(), 20.0, 0.5)
    single = rough_profile(white[2], 2.0, 4.0, 20.0, 0.5)
    torch.testing.assert_close(profile[2], single)
    assert not rough_profile(white, 2.0, 0.0, 20.0, 0.5).any()
    for sigma, xi, hurst in ((-1.0, 1.0, 0.5), (1.0, 0.0, 0.5), (1.0, 1.0, 1.5), (math.nan, 1.0, 0.5)):
        with pytest.raises(ConfigError):
            rough_profile(white, 2.0, sigma, xi, hurst)
