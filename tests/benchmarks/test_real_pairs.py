"""The benchmark of real pairs: it says what it needs, and its augmentation moves both images alike."""

import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks import real_pairs
from gantrans.data import make_pairs
from gantrans.images import unit_from_network, unit_from_uint8


def test_without_a_folder_it_says_what_is_missing(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.delenv(real_pairs.FOLDER, raising=False)
    (row,) = real_pairs.run(True)
    assert real_pairs.FOLDER in row["skipped"]
    assert real_pairs.main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("quarters", "mirror", "expected"),
    [
        (0, 1.0, lambda image: image),
        (0, -1.0, lambda image: image.flip(3)),
        (1, 1.0, lambda image: torch.rot90(image, 1, (2, 3))),
    ],
)
def test_a_window_at_a_quarter_turn_is_the_exact_cut(quarters: int, mirror: float, expected) -> None:
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    one, middle = torch.ones(1), torch.full((2, 1), 0.5)
    places = real_pairs.windows((24, 24), 8, quarters * math.pi / 2 * one, one, mirror * one, middle)
    cut = F.grid_sample(image, places, align_corners=False, padding_mode="reflection")
    assert torch.allclose(cut, expected(image[:, :, 8:16, 8:16]), atol=1e-4)


def test_every_window_lies_inside_its_image() -> None:
    generator = torch.Generator().manual_seed(1)
    angle, scale = 7 * torch.rand(200, generator=generator), 0.9 + 0.2 * torch.rand(200, generator=generator)
    corners = torch.randint(2, (2, 200), generator=generator).float()
    places = real_pairs.windows((48, 40), 16, angle, scale, torch.ones(200), corners)
    assert places.abs().max() <= 1.0


def test_batches_are_a_function_of_seed_and_step_and_keep_pairs_together() -> None:
    pairs = make_pairs("procedural", count=3, size=48, progress=False)
    pairs = pairs.with_images(sem=pairs.layout)  # so that input and target must come out equal
    batches = real_pairs.Warped(pairs, 16, 4, seed=2)
    first, again, later = batches(5), real_pairs.Warped(pairs, 16, 4, seed=2)(5), batches(6)
    assert torch.equal(first["input"], again["input"])
    assert not torch.equal(first["input"], later["input"])
    binary = (unit_from_network(first["input"]) > 0.5).float()
    assert torch.equal(binary, unit_from_network(first["target"]))
    assert 0 < unit_from_uint8(pairs.layout).mean() < 1


def test_the_mean_over_symmetries_turns_every_answer_back() -> None:
    class Doubled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, *, noise=None):
            return 0.5 * self.weight * x

    images = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = (0.5 * (2 * images - 1) + 1) / 2
    assert torch.allclose(real_pairs.over_symmetries(Doubled().eval(), images), expected, atol=1e-6)
