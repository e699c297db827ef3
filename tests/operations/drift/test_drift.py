"""Drift monitors: features with known answers, divergences against SciPy, alarm rates, exact state."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.operations.drift import detector as drift
from gantrans.operations.drift.charts import (
    ChartConfig,
    SequentialTest,
    block_means,
    cusum_step,
    ewma_step,
)
from gantrans.operations.drift.detector import DriftConfig, DriftDetector
from gantrans.operations.drift.features import FEATURES, image_features
from gantrans.operations.drift.profile import (
    HistogramSchema,
    Measured,
    ReferenceProfile,
    histograms,
    js_distance,
    kl_divergence,
    measure,
)
from gantrans.operations.drift.windows import WindowTest, ks_distance
from lessons.lesson11.experiments.drift_streams import DRIFTS, stream


def gaussian(n, columns=10, seed=0, lot=0.0, lot_size=25):
    """In-control features in time order: standard normal, plus an offset shared by each lot."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, columns, generator=generator, dtype=torch.float64)
    offset = torch.randn(-(-n // lot_size), columns, generator=generator, dtype=torch.float64)
    return x + lot * offset.repeat_interleave(lot_size, 0)[:n]


def measured(features):
    """Features with a flat histogram, so that level 1 sees z-scores alone."""
    return Measured(features, torch.full((len(features), 64), 1 / 64, dtype=torch.float64))


def wave(pitch_px, *, side=64, amplitude=0.3, vertical=True):
    x = 0.5 + amplitude * torch.sin(2 * math.pi * torch.arange(side) / pitch_px)
    lines = x.expand(side, side)
    return (lines if vertical else lines.T)[None, None]


def column(features, name):
    return features[:, FEATURES.index(name)]


# ---- features


def test_waves_have_their_pitch_direction_and_contrast():
    vertical, horizontal = (image_features(wave(8, vertical=v), pixel_nm=20.0) for v in (True, False))
    for features, direction in ((vertical, 1.0), (horizontal, -1.0)):
        assert column(features, "mean intensity").item() == pytest.approx(0.5, abs=1e-6)
        assert column(features, "contrast").item() == pytest.approx(0.3 / math.sqrt(2), rel=1e-5)
        assert column(features, "dominant pitch").item() == pytest.approx(160.0, rel=1e-6)
        assert column(features, "anisotropy").item() == pytest.approx(direction, abs=1e-5)
        assert column(features, "periodicity").item() == pytest.approx(4 / 9)  # Hann
    assert column(image_features(wave(8), pixel_nm=10.0), "dominant pitch").item() == pytest.approx(80.0)


def test_fine_noise_is_the_standard_deviation_of_white_noise_whatever_lies_below():
    noise = 0.05 * torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0.2, 0.8, 64).expand(64, 64)
    for base in (torch.full((64, 64), 0.5), ramp, ramp.T):
        found = column(image_features((base + noise).clamp(0, 1)), "fine noise").exp()
        assert torch.allclose(found, torch.full_like(found, 0.05), rtol=0.06)


def test_sharpness_falls_with_blur_and_hardly_moves_with_noise():
    sharp, blurred = (stream("blur", 100, 0, most=most).sem for most in (0.0, 2.0))
    noisy = stream("noise", 100, 0, most=2.0).sem
    s, b, n = (column(image_features(x), "sharpness").median() for x in (sharp, blurred, noisy))
    assert b < s - 0.5
    assert abs(n - s) < 0.25


def test_a_bridge_is_a_stray_edge_and_moves_neither_mean_nor_contrast():
    plain, bridged = (image_features(stream("bridges", 200, 0, most=m).sem) for m in (0.0, 1.0))
    spread = plain.std(0)
    moved = dict(zip(FEATURES, ((bridged.mean(0) - plain.mean(0)) / spread).tolist(), strict=True))
    assert moved["stray edge"] > 2
    assert abs(moved["mean intensity"]) < 0.3
    assert abs(moved["contrast"]) < 0.3


def test_an_image_has_the_same_features_in_any_batch():
    images = stream("none", 100, 3).sem
    whole = image_features(images)
    assert torch.allclose(
        torch.cat([image_features(images[:1]), image_features(images[1:])]), whole, atol=1e-5
    )
    flat = image_features(torch.zeros(1, 1, 64, 64))
    assert torch.isfinite(flat).all()


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(2, 64, 64), "must be"),
        (torch.zeros(0, 1, 64, 64), "must be"),
        (torch.zeros(1, 1, 64, 16), "at least 32"),
        (torch.full((1, 1, 64, 64), 128.0), "convert them first"),
        (torch.full((1, 1, 64, 64), -1.0), "convert them first"),
        (torch.full((1, 1, 64, 64), math.nan), "convert them first"),
    ],
)
def test_what_cannot_be_measured_is_refused(images, words):
    with pytest.raises(DataError, match=words):
        image_features(images)


# ---- level 1


def test_histograms_count_every_pixel_once():
    images = torch.tensor([0.0, 0.249, 0.25, 1.0]).reshape(1, 1, 2, 2)
    assert histograms(images, 4).tolist() == [[0.5, 0.25, 0.0, 0.25]]


def test_divergences_agree_with_scipy_by_the_stated_conventions():
    generator = torch.Generator().manual_seed(1)
    p, q = torch.rand(2, 16, generator=generator, dtype=torch.float64)
    p[3] = q[5] = 0.0
    p, q = p / p.sum(), q / q.sum()
    for eps in (1e-12, 1e-3):
        a, b = ((x + eps) / (x + eps).sum() for x in (p, q))
        forward = float(kl_divergence(p, q, HistogramSchema(16, "image to reference", eps)))
        assert forward == pytest.approx(rel_entr(a.numpy(), b.numpy()).sum(), rel=1e-12)
        back = float(kl_divergence(p, q, HistogramSchema(16, "reference to image", eps)))
        assert back == pytest.approx(rel_entr(b.numpy(), a.numpy()).sum(), rel=1e-12)
    assert float(js_distance(p, q)) == pytest.approx(jensenshannon(p.numpy(), q.numpy(), base=2), rel=1e-12)
    assert float(js_distance(p, p)) == 0.0
    assert float(js_distance(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))) == pytest.approx(1.0)


def test_one_empty_bin_makes_kl_a_matter_of_smoothing():
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.5, 0.0, 0.5]).double()
    values = [float(kl_divergence(p, q, HistogramSchema(3, smoothing=eps))) for eps in (1e-12, 1e-6, 1e-3)]
    assert values[0] > 13
    assert values[1] == pytest.approx(6.56, abs=0.01)
    assert values[2] < 3.2


def test_a_gaussian_feature_is_flagged_27_times_in_10_000():
    """P(|z| > 3) = 0.0027; three independent features flag one image in 124."""
    profile = ReferenceProfile.of(measured(gaussian(20_000)))
    fresh = measured(gaussian(100_000, seed=1))
    z = profile.z_scores(fresh.features)
    assert float((z[:, 0].abs() > 3).double().mean()) == pytest.approx(0.0027, abs=0.0006)
    assert float(profile.judge(fresh).flagged.double().mean()) == pytest.approx(0.0081, abs=0.0012)


def test_profiles_refuse_what_they_cannot_stand_for():
    with pytest.raises(DataError, match="at least 100 images"):
        ReferenceProfile.of(measured(gaussian(99)))
    constant = gaussian(200)
    constant[:, 4] = 1.0
    with pytest.raises(DataError, match="'sharpness' is equal"):
        ReferenceProfile.of(measured(constant))
    with pytest.raises(ConfigError, match="direction"):
        HistogramSchema(direction="both")
    with pytest.raises(ConfigError, match="asks for"):
        ReferenceProfile.of(measured(gaussian(200)), HistogramSchema(bins=32))


# ---- level 2


def test_ks_distance_is_scipys_ties_included():
    a, b = gaussian(57, seed=1), gaussian(91, seed=2)
    for x, y in ((a, b), (a.round(), b.round()), (a, a + 9)):
        want = [stats.ks_2samp(x[:, j].numpy(), y[:, j].numpy()).statistic for j in range(x.shape[1])]
        assert ks_distance(x, y).tolist() == pytest.approx(want, abs=1e-12)


def test_chunks_are_compared_with_the_rest_of_the_reference():
    features = gaussian(8000).round(decimals=1)
    test = WindowTest.fit(features)
    chunks = features.split(200)
    direct = torch.stack(
        [ks_distance(c, torch.cat([*chunks[:i], *chunks[i + 1 :]])) for i, c in enumerate(chunks)]
    )
    assert torch.allclose(test.usual, direct.median(0).values, atol=1e-12)
    assert torch.allclose(test.chunk_scores, (direct / test.usual).amax(1), atol=1e-12)
    assert test.threshold == float(test.chunk_scores.max())
    window = gaussian(200, seed=5)
    assert torch.allclose(test.judge(window).distances, ks_distance(window, features), atol=1e-12)


def strange_rate(test, features):
    return float(np.mean([test.judge(w).strange for w in features.split(test.window)]))


def test_in_control_windows_are_strange_once_in_41_also_with_lots():
    """m chunks and a window are exchangeable: P(strange) = 1 / (m + 1), averaged over references."""
    for lot in (0.0, 0.7):
        rates = [
            strange_rate(WindowTest.fit(gaussian(8000, 4, 2 * s, lot)), gaussian(20_000, 4, 2 * s + 1, lot))
            for s in range(8)
        ]
        assert np.mean(rates) == pytest.approx(1 / 41, abs=0.02)


def test_textbook_thresholds_fire_on_lots():
    """Nominal 1 % for four features: with lots a window of 200 holds 8 independent offsets, not 200."""
    reference = gaussian(8000, 4, 0, 0.7)
    textbook = 1.95 * math.sqrt(1 / 200 + 1 / 8000)  # Smirnov's 0.1 % point
    windows = gaussian(20_000, 4, 1, 0.7).split(200)
    fires = np.mean([bool((ks_distance(w, reference) > textbook).any()) for w in windows])
    assert fires > 0.5


def test_windows_want_enough_data_and_their_own_length():
    with pytest.raises(DataError, match=r"at least 40 of them, 8000 images; the reference has 7999"):
        WindowTest.fit(gaussian(7999))
    with pytest.raises(DataError, match="windows of 200 images, not 199"):
        WindowTest.fit(gaussian(8000)).judge(gaussian(199))
    with pytest.raises(ConfigError, match="window"):
        DriftConfig(window=199)


# ---- level 3


def test_cusum_and_ewma_by_hand():
    z, up, down, mean = [0.2, 1.5, 2.0, -3.0, 0.5], 0.0, 0.0, 0.0
    sums, average = torch.zeros(2, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for value in z:
        up, down = max(0.0, up + value - 0.5), max(0.0, down - value - 0.5)
        mean = 0.9 * mean + 0.1 * value
        now = torch.tensor([value], dtype=torch.float64)
        sums, average = cusum_step(sums, now, 0.5), ewma_step(average, now, 0.1)
        assert sums.flatten().tolist() == pytest.approx([up, down])
        assert average.item() == pytest.approx(mean)


def test_block_means_drop_what_is_left_over():
    x = torch.arange(14.0).reshape(7, 2)
    assert block_means(x, 3).tolist() == [[2.0, 3.0], [8.0, 9.0]]


@pytest.mark.parametrize("kind", ["cusum", "ewma"])
def test_the_run_length_is_the_stated_one_within_a_factor_of_three(kind):
    """Over references: images per alarm in control, stated 8,000; with lots, which the chart knows of."""
    config = ChartConfig(kind, run_length=8_000.0)
    images = alarms = 0
    for seed in range(4):
        test = SequentialTest.fit(gaussian(8000, seed=10 + seed, lot=0.5 * (seed % 2)), config)
        state = test.start()
        for block in gaussian(20_000, seed=50 + seed, lot=0.5 * (seed % 2)).split(config.block):
            state, alarm = test.step(state, block)
            alarms += alarm
            images += len(block)
    assert 8_000 / 3 < images / alarms < 3 * 8_000


def test_a_small_lasting_shift_is_found_by_the_chart_and_not_by_windows():
    features = gaussian(8000)
    windows, chart = WindowTest.fit(features), SequentialTest.fit(features)
    shifted = gaussian(2000, seed=1)
    shifted[:, 3] += 0.18
    state, found = chart.start(), None
    for i, block in enumerate(shifted.split(50)):
        state, alarm = chart.step(state, block)
        found = found or (alarm and 50 * (i + 1))
    strange = [windows.judge(w).strange for w in shifted.split(200)]
    assert found
    assert found < 1500
    assert not any(a and b for a, b in itertools.pairwise(strange))


def test_charts_want_enough_blocks():
    with pytest.raises(DataError, match="at least 80 blocks"):
        SequentialTest.fit(gaussian(3999))
    with pytest.raises(ConfigError, match="kind"):
        ChartConfig("shewhart")


# ---- the detector


@pytest.fixture(scope="module")
def reference():
    return measure(stream("none", 8000, 900).sem)


@pytest.fixture(scope="module")
def fitted(reference, tmp_path_factory):
    """The path of a freshly fitted detector: every test loads its own."""
    path = tmp_path_factory.mktemp("drift") / "detector.safetensors"
    DriftDetector.fit(reference).save(path)
    return path


def test_before_a_whole_window_the_answer_is_insufficient_data(fitted):
    detector = DriftDetector.load(fitted)
    assert detector.report().status == drift.INSUFFICIENT
    assert detector.report().outlier_rate is None
    report = detector.update(measure(stream("none", 175, 1).sem))
    assert (report.status, report.score, report.seen) == (drift.INSUFFICIENT, None, 175)
    assert detector.update(measure(stream("none", 25, 1, start=175).sem)).status in (
        drift.IN_CONTROL,
        drift.WARNING,
    )


def test_no_alarm_while_in_control_and_the_outlier_rate_never_acts(fitted):
    detector = DriftDetector.load(fitted)
    report = detector.update(measure(stream("none", 2000, 2).sem))
    assert report.alarms == ()
    assert report.outliers > 0
    assert 0 < report.outlier_rate < 0.05


SLOW = ("brightness", "contrast", "blur", "noise")


@pytest.mark.parametrize("kind", [*SLOW, "rotation", "jogs", "bridges", "new family"])
def test_every_kind_of_drift_is_found_within_1000_images(fitted, kind):
    """One seed of `benchmarks/drift.py`."""
    detector = DriftDetector.load(fitted)
    ramp = 1000 if kind in SLOW else 0
    report = detector.update(measure(stream(kind, 1000, 7, ramp=ramp).sem))
    assert report.status == drift.DRIFT
    assert report.alarms[0].image <= 1000
    assert report.alarms[0].features


def test_alarms_name_their_features_and_wait_for_acknowledgement(fitted):
    detector = DriftDetector.load(fitted)
    report = detector.update(measure(stream("rotation", 400, 7).sem))
    assert {a.level for a in report.alarms} == {"chart", "windows"}
    assert all("anisotropy" in a.features for a in report.alarms)
    assert [a.image for a in report.alarms] == sorted(a.image for a in report.alarms)
    waiting = len(report.alarms)
    assert detector.acknowledge("new scanner", who="me", at="2026-05-04T10:00:00Z") == waiting
    assert detector.acknowledge("again") == 0
    assert detector.acknowledgements == [
        drift.Acknowledgement(waiting, "new scanner", "me", "2026-05-04T10:00:00Z")
    ]
    assert detector.report().status != drift.DRIFT
    assert detector.update(measure(stream("rotation", 400, 8).sem)).status == drift.DRIFT


def test_acknowledgements_are_kept_in_the_file_and_read_from_older_ones(fitted, tmp_path):
    detector = DriftDetector.load(fitted)
    detector.alarms += [drift.Alarm(50, "chart", ("noise",)), drift.Alarm(60, "chart", ("noise",))]
    detector.acknowledge("why", who="me")
    detector.save(tmp_path / "kept")
    assert DriftDetector.load(tmp_path / "kept").acknowledgements == detector.acknowledgements
    with safe_open(tmp_path / "kept", framework="pt") as file:
        about = json.loads(file.metadata()["gantrans drift detector"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del about["acknowledgements"]
    about["running"]["acknowledged"] = 1  # as version 1 of the class wrote it
    (tmp_path / "older").write_bytes(save(tensors, metadata={"gantrans drift detector": json.dumps(about)}))
    older = DriftDetector.load(tmp_path / "older")
    assert older.acknowledged == 1
    assert older.report().status == drift.DRIFT


def test_one_strange_window_is_a_warning_and_no_alarm(fitted):
    detector = DriftDetector.load(fitted)
    detector.chart = SequentialTest(detector.chart.config, detector.chart.mean, detector.chart.std, math.inf)
    odd = measure(stream("rotation", 200, 7).sem)
    fine = measure(stream("none", 200, 2).sem)
    assert detector.update(odd).status == drift.WARNING
    assert detector.update(fine).status == drift.IN_CONTROL
    assert detector.update(odd).alarms == ()
    assert [a.level for a in detector.update(odd).alarms] == ["windows"]


def test_in_pieces_through_a_file_or_at_once_the_numbers_are_the_same(fitted, tmp_path):
    images = measure(stream("blur", 900, 3, ramp=600).sem)
    whole, piecewise = DriftDetector.load(fitted), DriftDetector.load(fitted)
    final = whole.update(images)
    assert final.alarms
    for piece in zip(*(part.split([1, 199, 37, 310, 353]) for part in images), strict=True):
        piecewise.update(Measured(*piece))
        piecewise.save(tmp_path / "state")
        piecewise = DriftDetector.load(tmp_path / "state")
    assert piecewise.report() == final
    whole.save(tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "state").read_bytes()


def test_a_file_that_is_no_detector_is_refused(fitted, tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        DriftDetector.load(tmp_path / "missing")
    (tmp_path / "short").write_bytes(fitted.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        DriftDetector.load(tmp_path / "short")
    from safetensors.torch import save_file

    save_file({"weights": torch.zeros(1)}, tmp_path / "network")
    with pytest.raises(CheckpointError, match="no drift detector"):
        DriftDetector.load(tmp_path / "network")


def test_other_bins_are_refused(fitted):
    images = measure(stream("none", 25, 1).sem, schema=HistogramSchema(bins=32))
    with pytest.raises(DataError, match="have 64 bins, these 32"):
        DriftDetector.load(fitted).update(images)


def test_no_monitor_of_the_input_sees_that_the_layout_should_be_another(fitted):
    """A changed relation leaves every image as it is, so every number the monitor has is the same."""
    piece = stream("none", 400, 4)
    reports = []
    for layout in (piece.layout, 1 - piece.layout):
        detector = DriftDetector.load(fitted)
        assert not torch.equal(layout, piece.layout) or layout is piece.layout
        reports.append(detector.update(measure(piece.sem)))
    assert reports[0] == reports[1]


# ---- the streams


def test_streams_are_pure_functions_of_seed_and_number():
    whole = stream("noise", 100, 1, ramp=100, lots=True)
    part = stream("noise", 50, 1, start=50, ramp=100, lots=True)
    assert torch.equal(whole.sem[50:], part.sem)
    assert torch.equal(whole.layout[50:], part.layout)
    assert whole.progress.unique().tolist() == [0.0, 0.25, 0.5, 0.75]
    assert not torch.equal(whole.sem, stream("noise", 100, 2, ramp=100, lots=True).sem)


def test_lots_share_conditions():
    means = {
        lots: stream("none", 1000, 1, lots=lots).sem.mean((1, 2, 3)).reshape(-1, 25) for lots in (False, True)
    }
    between = {lots: float(m.mean(1).std() / (m.std(1).mean() / 5)) for lots, m in means.items()}
    assert between[False] < 1.3
    assert between[True] > 1.8


def test_every_drift_changes_its_images_and_none_does_not():
    plain = stream("none", 25, 0)
    for name in DRIFTS:
        drifted = stream(name, 25, 0)
        assert torch.equal(drifted.sem, plain.sem) == (name in ("none", "relation"))
        assert torch.equal(stream(name, 25, 0, most=0.0).sem, plain.sem)
    with pytest.raises(ConfigError, match="multiples of 25"):
        stream("none", 30, 0)
