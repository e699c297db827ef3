"""The judge learns in seconds and repeatably, and its panel tells good samples from all kinds of bad ones."""

import math

import pytest
import torch
from torch import Tensor

from gantrans.data import ClipConfig, load_digits, make_clips
from gantrans.diffusion import Judge, JudgeConfig, JudgeTask, Panel, judge_panel, train_judge
from gantrans.errors import ConfigError, DataError
from gantrans.training import Runtime

CONFIG = ClipConfig(size=16)
N = 96
"""Samples per set; gratings of 16 px run out beyond four times their number in "test"."""


class Scene:
    """A judge of 16 px clips, what it was trained on, a held-out reference and further held-out images."""

    def __init__(self) -> None:
        training, held_out = make_clips(CONFIG, "train", 1000), make_clips(CONFIG, "test", 240 + N)
        self.training, self.label = training.network(), training.label
        self.reference, self.real = held_out.network().split([240, N])
        self.real_label = held_out.label[240:]
        self.judge = train_judge(self.training, self.label, steps=200, turn=True)

    def panel(self, samples: Tensor) -> Panel:
        return judge_panel(samples, self.reference, self.training, self.judge, CONFIG.rule)

    def flipped(self, share: float, seed: int = 0) -> Tensor:
        hit = torch.rand(self.real.shape, generator=torch.Generator().manual_seed(seed)) < share
        return torch.where(hit, -self.real, self.real)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="module")
def good(scene: Scene) -> dict[str, tuple[float, float]]:
    """The range of each number over three held-out sets, widened by its own width and a little."""
    more = [make_clips(CONFIG, "val", N, seed).network() for seed in (1, 2)]
    panels = [scene.panel(samples).as_dict() for samples in (scene.real, *more)]
    ranges = {name: [panel[name] for panel in panels] for name in panels[0]}
    return {
        name: (min(v) - (max(v) - min(v)) - 1e-9, max(v) + (max(v) - min(v)) + 1e-9)
        for name, v in ranges.items()
    }


def outside(panel: Panel, good: dict[str, tuple[float, float]]) -> set[str]:
    return {name for name, value in panel.as_dict().items() if not good[name][0] <= value <= good[name][1]}


def judge_accuracy(judge: Judge, image: Tensor, label: Tensor) -> float:
    return float((judge.classes(image) == label.cpu()).float().mean())


def test_the_judge_knows_held_out_clips(scene: Scene) -> None:
    assert judge_accuracy(scene.judge, scene.real, scene.real_label) > 0.85
    shuffled = scene.real_label[torch.randperm(N, generator=torch.Generator().manual_seed(0))]
    assert judge_accuracy(scene.judge, scene.real, shuffled) < 0.5


def test_held_out_real_is_good(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    panel = scene.panel(scene.real)
    assert (panel.valid, panel.violation, panel.grey) == (1.0, 0.0, 0.0)
    assert (panel.self_duplicates, panel.copies) == (0.0, 0.0)
    assert panel.coverage > 0.6
    assert max(panel.class_tv, panel.topology_tv) < 0.25
    assert not outside(panel, good)


def test_half_a_percent_of_wrong_pixels(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    panel = scene.panel(scene.flipped(0.005))
    assert panel.valid < 0.5
    assert panel.violation > 0.005
    assert {"valid", "violation"} <= outside(panel, good)


def test_memorised_images(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    panel = scene.panel(scene.training[:N])
    assert panel.valid == 1.0
    assert panel.copies == 1.0
    assert "copies" in outside(panel, good)


def test_noisy_copies_need_a_radius(scene: Scene) -> None:
    noisy = scene.training[:N].clone()
    noisy[:, :, 5, 5] *= -1
    arguments = (noisy, scene.reference, scene.training, scene.judge, CONFIG.rule)
    assert judge_panel(*arguments).copies < 0.1
    assert judge_panel(*arguments, copy_radius_px=1).copies == 1.0


def test_one_family_only(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    alone = make_clips(ClipConfig(size=16, families=("contact_array",)), "test", N, 7).network()
    panel = scene.panel(alone)
    assert panel.valid == 1.0
    assert panel.class_tv > 0.5
    assert panel.coverage < 0.5
    assert {"class_tv", "coverage", "frechet", "topology_tv"} <= outside(panel, good)


def test_eight_clips_repeated(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    panel = scene.panel(scene.real[:8].repeat(N // 8, 1, 1, 1))
    assert (panel.valid, panel.self_duplicates, panel.copies) == (1.0, 1.0, 0.0)
    assert panel.coverage < 0.5
    assert {"self_duplicates", "coverage"} <= outside(panel, good)


def test_undecided_pixels(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    """Thresholding makes them perfect: only one number tells."""
    assert outside(scene.panel(scene.real * 0.6), good) == {"grey"}


def test_noise_fails_nearly_everything(scene: Scene, good: dict[str, tuple[float, float]]) -> None:
    noise = torch.randn(scene.real.shape, generator=torch.Generator().manual_seed(0))
    assert outside(scene.panel(noise), good) >= {"valid", "violation", "grey", "frechet", "topology_tv"}


def test_digits_have_no_rule() -> None:
    train, test = load_digits(), load_digits("test")
    judge = train_judge(train.image, train.label, steps=150)
    assert judge.config == JudgeConfig(size=8, classes=10)
    assert judge_accuracy(judge, test.image, test.label) > 0.9
    real = judge_panel(test.image[:150], test.image[150:], train.image, judge, None)
    assert all(math.isnan(value) for value in (real.valid, real.violation, real.grey))
    faint = judge_panel(test.image[:150] * 0.3 - 0.7, test.image[150:], train.image, judge, None)
    assert faint.frechet > 2 * real.frechet, "without a rule the judge must see grey values"
    ones = judge_panel(train.image[train.label == 1], test.image[150:], train.image, judge, None)
    assert ones.class_tv > 0.8 > 0.2 > real.class_tv
    assert ones.copies == 1.0


def test_training_repeats_to_the_bit_and_leaves_the_global_state_alone() -> None:
    train = load_digits()
    state = torch.random.get_rng_state()
    first, again, other = (train_judge(train.image, train.label, steps=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b, c in zip(first.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("size", [8, 16, 24, 32, 48])
def test_any_size_in_any_batch(size: int) -> None:
    judge = Judge(JudgeConfig(size=size, classes=3, features=20)).train()
    images = torch.rand(300, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    features = judge.features(images)
    assert features.shape == (300, 20)
    assert not features.requires_grad
    assert judge.training, "the mode must be as it was"
    torch.testing.assert_close(judge.features(images[290:]), features[290:])
    assert torch.equal(judge.classes(images), judge(images).argmax(1))
    assert judge.classes(images).shape == (300,)
    with pytest.raises(DataError, match=rf"takes images \(N, 1, {size}, {size}\), not \(2, 1, 8, 9\)"):
        judge.features(torch.zeros(2, 1, 8, 9))


def test_a_step_takes_the_gradient_of_the_cross_entropy() -> None:
    task = JudgeTask(JudgeConfig(size=8, classes=10), seed=3)
    digits = load_digits()
    image, label = digits.image[:32], digits.label[:32]
    scalars = task.step(
        {"image": image, "label": label}, Runtime(torch.device("cpu"), "fp32", 1, torch.Generator())
    )
    log_p = task.judge(image).log_softmax(1)
    expected = -log_p[torch.arange(32), label].mean()
    assert scalars["loss"].item() == pytest.approx(expected.item())
    assert scalars["accuracy"] == (log_p.argmax(1) == label).float().mean()
    (gradient,) = torch.autograd.grad(expected, task.judge.head.bias)
    torch.testing.assert_close(task.judge.head.bias.grad, gradient)


def test_settings_and_data_are_checked() -> None:
    with pytest.raises(ConfigError, match=r"JudgeConfig\.classes is 1"):
        JudgeConfig(classes=1)
    with pytest.raises(DataError, match="There are 3 images but 2 labels"):
        train_judge(torch.zeros(3, 1, 8, 8), torch.zeros(2).long())
    images = torch.zeros(8, 1, 8, 8)
    with pytest.raises(DataError, match="k is 5"):
        judge_panel(images, images[:4], images, Judge(JudgeConfig(size=8)), 2)
