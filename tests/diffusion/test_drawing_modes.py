"""Clips are drawn and judged by networks in evaluation mode, whatever mode they were left in."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantrans.config import to_dict
from gantrans.diffusion import (
    ClipGenerator,
    DiffusionTask,
    Judge,
    JudgeConfig,
    SamplerConfig,
    clip_recipe,
    random_batches,
    sample,
)
from gantrans.training import FitConfig, fit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A denoiser with batch norm after three steps on noise: its modes differ."""
    folder = tmp_path_factory.mktemp("clips") / "run"
    chosen = clip_recipe("procedural", "smoke")
    network = replace(chosen.task.network, norm="batch")
    chosen = replace(chosen, task=replace(chosen.task, network=network), fit=FitConfig(3))
    size = chosen.data.size
    x0 = torch.randn(16, 1, size, size, generator=torch.Generator().manual_seed(0)).sign()
    fit(
        DiffusionTask(chosen.task), random_batches(x0, 8, 0), chosen.fit,
        out=folder, extra={"clip_recipe": to_dict(chosen)}, progress=False,
    )  # fmt: skip
    return folder


def test_clips_are_drawn_in_evaluation_mode(run: Path) -> None:
    """One of two clips from one stream is the same as when the network's statistics are frozen by hand."""
    made = ClipGenerator.load(run, "cpu")
    assert not any(module.training for module in made.network.modules())
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    config, size = SamplerConfig("ddim", 4), made.recipe.data.size
    drawn = made.draw(3, config, seed=5)
    noise = torch.randn(3, 1, size, size, generator=torch.Generator().manual_seed(5))
    task = made.recipe.task

    def alone(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """One sample at a time: in training mode batch statistics would mix the three."""
        outputs = torch.cat([made.network(x[i : i + 1], t[i : i + 1]) for i in range(len(x))])
        return torch.tanh(outputs / 2) if task.loss == "cross_entropy" else outputs

    expected = sample(
        alone, (3, 1, size, size), task.noise_schedule, config, prediction=task.prediction,
        generator=torch.Generator().manual_seed(5), noise=noise,
    )  # fmt: skip
    torch.testing.assert_close(drawn, expected, atol=1e-4, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())
    made.network.train()
    assert (made.draw(3, config, seed=5) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("training", [True, False])
def test_a_judge_judges_in_evaluation_mode_without_gradients_and_keeps_its_own_mode(training: bool) -> None:
    judge = Judge(JudgeConfig(size=16, classes=3, width=4, features=8), seed=1).train(training)
    seen = []
    for layer in (judge.body, judge.head):
        layer.register_forward_hook(
            lambda module, *_: seen.append((module.training, torch.is_grad_enabled()))
        )
    x = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    judge.classes(x)
    assert seen == [(False, False)] * 2
    assert all(module.training == training for module in judge.modules())
    with pytest.raises(RuntimeError):
        judge.classes_of(torch.zeros(2, 5))  # a wrong width must not leave the mode behind, either
    assert judge.training == training
    assert judge(x).requires_grad


@pytest.mark.parametrize(("count", "held_out"), [(2, 6), (100, 100), (5000, 512)])
def test_the_panel_takes_the_runs_own_training_clips_and_held_out_ones(
    count: int, held_out: int, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantrans.diffusion import generator

    asked, rules = [], []

    class Clips:
        label = torch.zeros(3, dtype=torch.int64)

        def __init__(self, split: str) -> None:
            self.split = split

        def network(self) -> str:
            return self.split

    def make(data: object, split: str, number: int, seed: int) -> Clips:
        asked.append((split, number, seed))
        return Clips(split)

    monkeypatch.setattr(generator, "make_clips", make)
    monkeypatch.setattr(generator, "train_judge", lambda *given, **options: (given, options))
    monkeypatch.setattr(generator, "judge_panel", lambda *given: rules.append(given))
    made = ClipGenerator.load(run, "cpu")
    made = replace(made, recipe=replace(made.recipe, count=count, seed=7))
    samples = torch.zeros(1)
    made.judge(samples)
    assert asked == [("train", count, 7), ("test", held_out, 7)]
    ((given, reference, known, judge, rule),) = rules
    assert given is samples
    assert (reference, known) == ("test", "train")
    assert judge[1] == {"steps": 300, "turn": True}
    assert rule == made.recipe.data.rule


@pytest.mark.parametrize(
    ("size", "channels"), [(8, [3]), (16, [3, 6]), (32, [3, 6, 12]), (64, [3, 6, 12, 12])]
)
def test_a_judge_has_a_layer_per_halving_down_to_four_pixels(size: int, channels: list[int]) -> None:
    """Twice the channels per layer, but never more than four times the first."""
    judge = Judge(JudgeConfig(size=size, classes=5, width=3, features=7))
    layers = [layer for layer in judge.body if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == channels
    assert [layer.in_channels for layer in layers] == [1, *channels[:-1]]
    convolutions, pooled = judge.body[:-2], judge.body
    assert convolutions(torch.zeros(2, 1, size, size)).shape == (2, channels[-1], 4, 4)
    assert pooled(torch.zeros(2, 1, size, size)).shape == (2, 16 * channels[-1])
    assert judge(torch.zeros(2, 1, size, size)).shape == (2, 5)
    assert judge.hidden.out_features == 7
