"""Metrics of classes by hand and against scikit-learn, and the grey metrics over the channels of colour."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import accuracy_score, jaccard_score, log_loss

from gantrans.errors import DataError
from gantrans.metrics import (
    accuracy,
    class_iou,
    class_report,
    class_scores,
    confusion,
    cross_entropy,
    image_report,
    iou,
    l1,
    mean_iou,
    psnr,
    ssim,
)

TARGET = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]])[None, None]
OUTPUT = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 0], [0, 0, 0, 2], [0, 0, 0, 0]])[None, None]


def certain(numbers: torch.Tensor, classes: int) -> torch.Tensor:
    """Probabilities of one class each: (B, 1, H, W) -> (B, K, H, W)."""
    return torch.nn.functional.one_hot(numbers[:, 0], classes).permute(0, 3, 1, 2).float()


def random_case(classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, classes, 9, 7, generator=generator, dtype=torch.float64)
    return logits.softmax(1), torch.randint(classes, (3, 1, 9, 7), generator=generator)


def test_sixteen_pixels_by_hand() -> None:
    """Target: 12 of class 0, 4 of class 1. Output: one pixel of class 1 is called 0, one of class 0 is called
    2. Class 0: 11 in both, 13 in one; class 1: 3 of 4; class 2: none of 1; class 3 is nowhere."""
    found = class_iou(confusion(certain(OUTPUT, 4), TARGET))[0]
    assert found[:3].tolist() == pytest.approx([11 / 13, 3 / 4, 0.0])
    assert math.isnan(found[3])
    assert mean_iou(certain(OUTPUT, 4), TARGET).item() == pytest.approx((11 / 13 + 3 / 4) / 3)
    assert accuracy(certain(OUTPUT, 4), TARGET).item() == 14 / 16
    uniform = torch.full((1, 4, 4, 4), 0.25)
    assert cross_entropy(uniform, TARGET).item() == pytest.approx(math.log(4))


def test_equal_to_scikit_learn() -> None:
    probabilities, target = random_case(5)
    found = class_iou(confusion(probabilities, target)).nan_to_num(-1.0)
    for b in range(3):
        truth, made = target[b].flatten().numpy(), probabilities[b].argmax(0).flatten().numpy()
        expected = jaccard_score(truth, made, labels=range(5), average=None)
        np.testing.assert_allclose(found[b].numpy(), expected, rtol=1e-12)
        assert accuracy(probabilities, target)[b].item() == pytest.approx(accuracy_score(truth, made))
        rows = probabilities[b].flatten(1).T.numpy()
        loss = log_loss(truth, rows, labels=range(5))
        assert cross_entropy(probabilities, target)[b].item() == pytest.approx(loss, rel=1e-9)


def test_the_report_pools_pixels_by_family() -> None:
    probabilities, target = random_case(3)
    found = class_report(class_scores(probabilities, target), ["a", "b", "a"])
    pooled = class_iou(confusion(probabilities, target)[[0, 2]].sum(0)).numpy()
    np.testing.assert_allclose(found.iou["a"], pooled)
    assert found.report.mean("mean_iou", "b") == pytest.approx(mean_iou(probabilities, target)[1].item())
    plain = found.to_dict(["0", "1", "2"])
    assert plain["all"]["mean"] == pytest.approx(np.mean([plain["all"][k] for k in "012"]))


def test_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="has the class 3"):
        mean_iou(certain(OUTPUT, 3), TARGET.clamp(min=0) + 2)
    with pytest.raises(DataError, match="whole numbers"):
        mean_iou(certain(OUTPUT, 3), TARGET.float())


def test_colour_equals_scikit_image() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, 3, 20, 17, generator=generator, dtype=torch.float64)
    made = (target + 0.1 * torch.randn(target.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)
    for b in range(2):
        x, y = (image[b].permute(1, 2, 0).numpy() for image in (made, target))
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        expected = structural_similarity(x, y, data_range=1.0, channel_axis=2, **options)
        assert ssim(made, target, data_range=1.0)[b].item() == pytest.approx(expected, abs=1e-9)
        assert psnr(made, target, data_range=1.0)[b].item() == pytest.approx(
            peak_signal_noise_ratio(y, x, data_range=1.0)
        )
        assert l1(made, target)[b].item() == pytest.approx(np.abs(x - y).mean())
    assert set(image_report(made.float(), target.float()).per_image) == {"l1", "psnr", "ssim"}
    with pytest.raises(DataError, match=r"\(B, 1, H, W\)"):
        iou(made, target)
