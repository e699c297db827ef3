"""Pixel metrics: parity with scikit-image, closed forms, refusals; and the report on all metrics."""

import json

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from gantrans.errors import DataError
from gantrans.metrics import image_report, iou, l1, psnr, ssim, ssim_map


def noisy_pair(shape: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = (torch.rand(shape, generator=generator, dtype=torch.float64) > 0.7).double()
    pred = (target + 0.3 * torch.randn(shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    return pred, target


def skimage_ssim(pred, target, data_range, full=False):
    kwargs = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": full}
    return structural_similarity(pred, target, data_range=data_range, **kwargs)


@pytest.mark.parametrize("shape", [(3, 1, 11, 11), (2, 1, 64, 64), (1, 1, 40, 131), (40, 1, 33, 20)])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_ssim_and_its_map_equal_scikit_image(shape, data_range):
    pred, target = (i * data_range for i in noisy_pair(shape))
    ours, maps = ssim(pred, target, data_range=data_range), ssim_map(pred, target, data_range=data_range)
    for i in range(len(pred)):
        mean, full = skimage_ssim(pred[i, 0].numpy(), target[i, 0].numpy(), data_range, full=True)
        assert ours[i].item() == pytest.approx(mean, abs=1e-9)
        np.testing.assert_allclose(maps[i, 0], full[5:-5, 5:-5], atol=1e-9)


def test_float32_ssim_is_within_the_stated_error_also_where_images_are_flat():
    pred, target = noisy_pair((4, 1, 64, 64))
    pred[2:], target[2:] = 0.999 * target[2:], 1.0  # almost no variance: cancellation is worst here
    exact = ssim(pred, target, data_range=1.0)
    single = ssim(pred.float(), target.float(), data_range=1.0)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-5, rtol=0)


def test_ssim_of_equal_images_is_exactly_one_and_autocast_changes_nothing():
    pred, target = (i.float() for i in noisy_pair((2, 1, 32, 32)))
    assert torch.equal(ssim(pred, pred, data_range=1.0), torch.ones(2))
    plain = ssim(pred, target, data_range=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ssim(pred, target, data_range=1.0), plain)


def test_ssim_has_the_right_gradient():
    pred, target = noisy_pair((1, 1, 12, 13))
    pred = (0.1 + 0.8 * pred).requires_grad_()
    assert torch.autograd.gradcheck(lambda p: ssim(p, target, data_range=2.0), pred)


def test_l1_and_psnr_equal_their_definitions():
    pred, target = noisy_pair((3, 1, 16, 16))
    pairs = list(zip(pred.numpy(), target.numpy(), strict=True))
    np.testing.assert_allclose(l1(pred, target), [np.abs(p - t).mean() for p, t in pairs], rtol=1e-12)
    reference = [peak_signal_noise_ratio(t, p, data_range=2.0) for p, t in pairs]
    np.testing.assert_allclose(psnr(pred, target, data_range=2.0), reference, rtol=1e-12)
    assert psnr(pred, pred, data_range=1.0).isinf().all()


def test_iou_of_masks_including_empty_ones():
    pred, target = torch.zeros(4, 1, 4, 4), torch.zeros(4, 1, 4, 4)
    pred[1, 0, :2], target[1, 0, 1:3] = 1.0, 0.6  # one row shared, three in the union
    target[2, 0, 0] = 1.0
    pred[3, 0, 0, 0] = 0.5  # not above the threshold
    torch.testing.assert_close(iou(pred, target), torch.tensor([1.0, 1 / 3, 0.0, 1.0]))
    assert iou(pred, target, threshold=0.7)[1] == 0


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (torch.zeros(2, 1, 16, 16), torch.zeros(2, 1, 16, 15), "equal shape"),
        (torch.zeros(16, 16), torch.zeros(16, 16), r"\(B, 1"),
        (torch.zeros(0, 1, 16, 16), torch.zeros(0, 1, 16, 16), r"\(B, 1"),
        (torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.zeros(1, 1, 16, 16), "uint8"),
        (torch.full((1, 1, 16, 16), torch.nan), torch.zeros(1, 1, 16, 16), "prediction contains NaN"),
        (torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), torch.inf), "target contains NaN"),
        (torch.full((1, 1, 16, 16), -1.0), torch.zeros(1, 1, 16, 16), r"outside \[0, 1\]"),
        (torch.zeros(1, 1, 16, 16), torch.full((1, 1, 16, 16), 1.1), r"span 0 to 1.1, outside \[0, 1\]"),
    ],
)
def test_bad_images_are_refused_in_one_sentence(pred, target, message):
    for metric in (l1, iou, image_report):
        with pytest.raises(DataError, match=message) as caught:
            metric(pred, target)
        assert str(caught.value).count(". ") == 0


def test_ssim_refuses_a_range_that_the_values_exceed_and_images_below_its_window():
    image = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    with pytest.raises(DataError, match="data_range = 1"):
        ssim(image, image, data_range=1.0)
    with pytest.raises(DataError, match="data_range is"):
        psnr(image, image, data_range=0.0)
    with pytest.raises(DataError, match="at least 11"):
        ssim(torch.zeros(1, 1, 10, 64), torch.zeros(1, 1, 10, 64), data_range=1.0)


def test_report_aggregates_by_family_counts_the_undefined_and_survives_json(monkeypatch):
    target = torch.zeros(5, 1, 32, 32)
    target[:4, :, :, 10:16] = 1.0  # the last one is empty: no edges
    pred = target.clone()
    pred[1, :, :, 16] = 1.0  # one edge out by a pixel
    pred[3] = 0.0  # the line is missing
    families = ["line", "line", "array", "array", "array"]
    report = image_report(pred, target, 10.0, families)
    assert report.unit == "nm"
    np.testing.assert_allclose(report.per_image["cd_error"], [0, 10, 0, np.nan, np.nan], atol=1e-5)
    assert report.per_image["epe"][1] == pytest.approx(5, abs=1e-3)
    assert report.mean("cd_error", "line") == pytest.approx(5, abs=1e-5)
    row = {"mean": 0, "median": 0, "total": 0, "count": 1, "undefined": 2}
    assert report.per_family["array"]["epe"] == row
    assert report.per_family["all"]["missing"]["total"] == 1
    assert report.per_family["all"]["psnr"]["undefined"] == 3
    stored = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert stored["per_image"]["epe"][3] is None
    assert stored["family"] == families
    monkeypatch.setattr("gantrans.metrics.report._CHUNK_PIXELS", 2 * 32 * 32)
    chunked = image_report(pred, target, 10.0, families)
    np.testing.assert_equal(chunked.per_image, report.per_image)
    assert image_report(pred, target).per_image["cd_error"][1] == pytest.approx(1, abs=1e-6)  # in px
    with pytest.raises(DataError, match="5 images but 2 families"):
        image_report(pred, target, 10.0, ["a", "b"])
