"""A step without noise is the step's mean, who sees a progress bar, and pixels that are exactly grey."""

import pytest
import torch

from gantrans.data import ClipConfig, make_clips
from gantrans.diffusion import Judge, JudgeConfig, judge_panel, samplers
from gantrans.diffusion.recipes import ClipRecipe, clip_recipe
from gantrans.diffusion.samplers import SamplerConfig, Step, sample, take_step
from gantrans.diffusion.schedules import make_schedule


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_a_step_without_noise_is_the_mean_of_the_step(spread: float) -> None:
    x0, x_t = torch.tensor([[1.0, -0.5]]), torch.tensor([[0.25, 2.0]])
    step = Step(t=3, signal=0.8, sigma=0.6, image=0.7, rest=0.2, spread=spread, extrapolation=0.0)
    mean = torch.tensor([[0.75, 0.05]])
    torch.testing.assert_close(take_step(step, x0, x_t, None, None), mean)
    noise = torch.tensor([[1.0, -1.0]])
    torch.testing.assert_close(take_step(step, x0, x_t, None, noise), mean + spread * noise)


@pytest.mark.parametrize(
    ("progress", "switch", "shown"), [(True, "0", True), (True, "1", False), (False, "0", False)]
)
def test_the_bar_is_shown_when_asked(progress, switch, shown, monkeypatch) -> None:
    seen = []

    def noted(steps, *, disable, **named):
        seen.append(not disable)
        return steps

    monkeypatch.setenv("TQDM_DISABLE", switch)
    monkeypatch.setattr(samplers, "tqdm", noted)
    sample(
        lambda x, t: torch.zeros_like(x), (2, 1, 4, 4), make_schedule("cosine", 10),
        SamplerConfig(count=2), prediction="x0", generator=torch.Generator().manual_seed(0),
        progress=progress,
    )  # fmt: skip
    assert seen == [shown]


def test_a_pixel_that_is_exactly_grey_counts_as_space() -> None:
    real = make_clips(ClipConfig(size=16), "train", 24).network()
    judge = Judge(JudgeConfig(size=16))
    grey = real[:12].clone()
    grey[:, :, ::3] = 0.0
    space = torch.where(grey == 0, -1.0, grey)
    line = torch.where(grey == 0, 1.0, grey)
    distance = [judge_panel(s, real[12:], real[:12], judge, 2).frechet for s in (grey, space, line)]
    assert distance[0] == pytest.approx(distance[1], rel=1e-6)
    assert distance[0] != pytest.approx(distance[2], rel=1e-2)


def test_a_recipe_draws_as_many_clips_as_the_course_unless_told() -> None:
    reduced = clip_recipe("procedural", "reduced")
    assert ClipRecipe(reduced.data, reduced.task, reduced.fit).count == reduced.count == 2**12
