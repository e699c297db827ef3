"""The other device: what fails on a GPU fails here, and what does not, does not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.elsewhere import Elsewhere, another_device


@pytest.fixture
def smoothed():
    ex = Exercise("smoothed", "00", "Smoothed", 1, 1, "Smooth it, on its device.", ("a", "b", "c"), "-")

    @ex.reference
    def smoothed(x):
        """(B, 1, H, W) -> the same, smoothed along rows."""
        kernel = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype, device=x.device).view(1, 1, 1, 3)
        return F.conv2d(x, kernel, padding=(0, 1))

    ex.inputs(lambda case: (case.randn(case.batch, 1, case.height, case.width + 2),))
    return ex


def made_on_cpu(x):
    return F.conv2d(x, torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype).view(1, 1, 1, 3), padding=(0, 1))


def factory(x):
    kernel = torch.ones(1, 1, 1, 3, dtype=x.dtype) / 4
    kernel[..., 1] = 0.5
    return F.conv2d(x, kernel, padding=(0, 1))


def moved(x):
    return F.conv2d(x, torch.tensor([[[[0.25, 0.5, 0.25]]]]).to(x), padding=(0, 1))


def made_by_new(x):
    return F.conv2d(x, x.new_tensor([0.25, 0.5, 0.25]).view(1, 1, 1, 3), padding=(0, 1))


def by_numpy(x):
    rows = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 0), (1, 1)))
    return torch.from_numpy(rows[..., :-2] / 4 + rows[..., 1:-1] / 2 + rows[..., 2:] / 4)


def by_numpy_and_back(x):
    return by_numpy(x.cpu()).to(x)


def by_shifts(x):
    y = F.pad(x, (1, 1))
    return y[..., :-2] / 4 + y[..., 1:-1] * torch.tensor(0.5, dtype=x.dtype) + y[..., 2:] * 0.25


def by_places(x):
    places = torch.arange(x.shape[-1])  # indices may be on the CPU
    return made_by_new(x)[..., places]


def into_a_new_one(x):
    y = torch.zeros(x.shape, dtype=x.dtype)
    y.copy_(made_by_new(x))
    return y


@pytest.mark.parametrize("answer", [moved, made_by_new, by_numpy, by_numpy_and_back, by_shifts, by_places])
def test_what_works_on_a_gpu_is_accepted(smoothed, answer):
    result = smoothed.judge(answer)
    assert result.passed, result.message


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (made_on_cpu, "mixes them with a tensor that it made on the CPU"),
        (factory, "mixes them with a tensor"),
        (lambda x: made_by_new(x).cpu(), "your result comes back on the CPU"),
        (lambda x: made_on_cpu(x.cpu()), "your result comes back on the CPU"),
        (into_a_new_one, "your result comes back on the CPU"),
    ],
)
def test_what_fails_on_a_gpu_is_refused(smoothed, answer, words):
    assert words in smoothed.judge(answer).message


def test_values_are_real_and_in_place_work_stays():
    x = Elsewhere(torch.tensor([1.0, 2.0]))
    with another_device() as log:
        y = x.clone()
        y.mul_(3)
        total = float(y.sum())
        assert bool((y > 2).all())
        assert y[1].item() == 6.0
    assert (total, log.values_taken, y.held.tolist()) == (9.0, True, [3.0, 6.0])
