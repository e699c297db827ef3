"""The recall questions of lesson 10: what the right answers are, computed."""

import math

import pytest
import torch
from answers import questions_of

from gantrans.metrics import compare_topology, epe, iou, ler, psnr, ssim
from gantrans.teaching import claims


def _fall_for_a_bridge() -> str:
    fall = claims.read(claims.COMMITTED)["G23"]["parts"]["bridge"]["measured"]
    sizes = {0.003: "By about 0.003", 0.05: "By about 0.05", 0.3: "By about 0.3"}
    return sizes[min(sizes, key=lambda size: abs(math.log(size / fall)))]


def _epe_of_nothing() -> str:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 2:5] = 1.0
    lost = bool(epe(torch.zeros_like(target), target, 1.0).undefined)
    return "None: it is not defined, and counted apart" if lost else "0 nm"


def _ler_with_noise() -> str:
    draw = torch.Generator().manual_seed(0)
    edge, noise = torch.randn(2, 64, 512, generator=draw, dtype=torch.float64)
    return f"{float(ler(4 * edge + 3 * noise).mean()):.0f} nm"


def _opens_of_three_pieces() -> str:
    target = torch.zeros(1, 1, 4, 9)
    target[..., 1:3, :] = 1.0
    pieces = target.clone()
    pieces[..., [2, 5]] = 0.0
    return str(int(compare_topology(pieces, target).opens))


def _ssim_with_a_wrong_range() -> str:
    one, other = torch.rand(2, 1, 1, 32, 32, generator=torch.Generator().manual_seed(0)).unbind(0)
    return f"About {float(ssim(one, other, data_range=255.0)):.2g}"


def _psnr_of_half_the_error() -> str:
    zero, error = torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.2)
    rise = psnr(error / 2, zero, data_range=1.0) - psnr(error, zero, data_range=1.0)
    return f"{float(rise):.0f} dB"


def _iou_of_a_wide_line() -> str:
    target, made = torch.zeros(2, 1, 1, 4, 120)
    target[..., 10:110], made[..., 5:115] = 1.0, 1.0
    return f"{float(iou(made, target)):.2f}"


def _nearest_to_a_noisy_image() -> str:
    numbers = claims.read(claims.COMMITTED)["G23"]["numbers"]
    words = {
        "SEM: another draw": "Another noisy image of the same place",
        "SEM: moved": "The same image moved by a pixel",
        "SEM: no noise": "The image without noise",
    }
    return words[max(words, key=lambda name: numbers[name])]


ANSWERS = {
    "10_bridge": _fall_for_a_bridge,
    "10_empty": _epe_of_nothing,
    "10_ler": _ler_with_noise,
    "10_pieces": _opens_of_three_pieces,
    "10_range": _ssim_with_a_wrong_range,
    "10_psnr": _psnr_of_half_the_error,
    "10_iou": _iou_of_a_wide_line,
    "10_no_noise": _nearest_to_a_noisy_image,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_right_choice_is_the_computed_one(name):
    assert ANSWERS[name]() == questions_of("10")[name].right


def test_every_question_is_computed():
    assert set(ANSWERS) == set(questions_of("10"))
