"""Consistency distillation: exact at zero noise, targets with known answers, a student of one step."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from gantrans.config import from_dict, to_dict
from gantrans.diffusion import (
    CLEAN,
    ConsistencyConfig,
    ConsistencyTask,
    DiffusionConfig,
    DiffusionTask,
    SamplerConfig,
    consistency_function,
    consistency_sample,
    few_times,
    make_schedule,
    path_step,
    q_sample,
    sample,
    skip_factors,
)
from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import FitConfig, Runtime, fit

SCHEDULE = make_schedule("cosine")
POINT = DiffusionConfig(VectorDenoiserConfig(2, hidden=32, classes=2), prediction="x0", lr=1e-2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def teacher(config: DiffusionConfig = POINT, seed: int = 0) -> dict[str, torch.Tensor]:
    return DiffusionTask(config, seed).denoiser.state_dict()


def two_points(number: int) -> dict[str, torch.Tensor]:
    side = torch.randint(2, (64, 1), generator=seeded(number)) * 2.0 - 1
    return {"x0": torch.cat([0.8 * side, -0.8 * side], dim=1), "label": (side[:, 0] > 0).long()}


def test_at_zero_noise_the_function_is_its_input_to_the_bit() -> None:
    x = torch.randn(3, 1, 4, 4, generator=seeded(0))
    t = torch.tensor([CLEAN, CLEAN, 500])
    keep, out = skip_factors(SCHEDULE, t, x)
    assert keep.flatten()[:2].tolist() == [1.0, 1.0]
    assert out.flatten()[:2].tolist() == [0.0, 0.0]
    answer = consistency_function(lambda x, t: torch.full_like(x, 7.0), SCHEDULE, x, t)
    assert torch.equal(answer[:2], x[:2])
    assert (answer[2] - 7.0).abs().max() < 0.2  # and far from it almost the network alone
    ratio = (1 - SCHEDULE.alpha_bars[500]) / SCHEDULE.alpha_bars[500]
    assert float(keep[2]) == pytest.approx(float(1 / (1 + ratio / 0.1**2)), rel=1e-5)


def test_a_step_of_the_path_is_ddims() -> None:
    """With the true image of one point the path is exact; to zero noise it ends at the predicted image."""
    x0, noise = torch.randn(3, 2, generator=seeded(1)), torch.randn(3, 2, generator=seeded(2))
    t, later = torch.tensor([900, 500, 40]), torch.tensor([450, CLEAN, 0])
    stepped = path_step(SCHEDULE, q_sample(SCHEDULE, x0, t, noise), t, later, x0)
    wanted = q_sample(SCHEDULE, x0, later.clamp(min=0), noise)
    torch.testing.assert_close(stepped[[0, 2]], wanted[[0, 2]])
    torch.testing.assert_close(stepped[1], x0[1])
    with pytest.raises(DataError, match="one timestep"):
        path_step(SCHEDULE, x0, t, later - 5, x0)


@pytest.mark.parametrize("loss", ["l2", "cross_entropy"])
def test_the_target_is_the_averaged_student_one_step_of_the_teacher_further(loss: str) -> None:
    """The step's loss, recomputed from the algorithm: levels 999, 499, zero noise."""
    config = ConsistencyConfig(
        DiffusionConfig(DenoiserConfig(base_filters=8), prediction="x0", loss=loss), levels=2
    )
    task = ConsistencyTask(config, teacher(config.teacher))
    for number, network in enumerate(task.networks.values()):
        torch.nn.init.normal_(network.exit.weight, generator=seeded(number))
    task.target.load_state_dict(task.denoiser.state_dict())  # so that averaging changes nothing
    x0 = torch.randn(4, 1, 8, 8, generator=seeded(5)).sign()
    draw = seeded(9)
    place = (torch.arange(4) + torch.rand(4, generator=draw)) / 4
    t = torch.tensor([999, 499])[(place * 2).long()]
    later = torch.tensor([499, CLEAN])[(place * 2).long()]
    noise = torch.randn(x0.shape, generator=draw)
    x_t = q_sample(task.schedule, x0, t, noise)

    def image(network: torch.nn.Module, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        answer = network(x, t)
        return torch.tanh(answer / 2) if loss == "cross_entropy" else answer

    with torch.no_grad():
        x_s = path_step(task.schedule, x_t, t, later, image(task.teacher, x_t, t).clamp(-1, 1))
        goal = consistency_function(lambda x, t: image(task.target, x, t), task.schedule, x_s, later).clamp(
            -1, 1
        )
        ours = consistency_function(lambda x, t: image(task.denoiser, x, t), task.schedule, x_t, t)
        if loss == "l2":
            wanted = (ours - goal).square().mean()
        else:
            q, p = ((ours + 1) / 2).clamp(1e-6, 1 - 1e-6), (goal + 1) / 2
            wanted = -(p * q.log() + (1 - p) * (1 - q).log()).mean()
    assert (goal[later == CLEAN] - x_s[later == CLEAN].clamp(-1, 1)).abs().max() == 0
    given = task.step({"x0": x0}, Runtime(torch.device("cpu"), "fp32", 1, seeded(9)))
    torch.testing.assert_close(given["loss"], wanted, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for p in [*task.target.parameters(), *task.teacher.parameters()])
    assert task.denoiser.exit.weight.grad.abs().sum() > 0


def test_the_targets_weights_follow_the_students() -> None:
    task = ConsistencyTask(ConsistencyConfig(POINT, ema=0.75), teacher())
    before = task.target.exit.weight.clone()
    with torch.no_grad():
        task.denoiser.exit.weight += 1.0
    task.step(two_points(0), Runtime(torch.device("cpu"), "fp32", 1, seeded(0)))
    torch.testing.assert_close(task.target.exit.weight, before + 0.25)
    assert torch.equal(task.teacher.exit.weight, before)


def test_a_student_does_in_one_evaluation_what_its_teacher_needs_many_for() -> None:
    """One step of the teacher ends between the points, one of the student on them."""
    taught = DiffusionTask(POINT, seed=1)
    how = FitConfig(250, lr_schedule="cosine", clip_norm=1.0)
    fit(taught, two_points, how)
    task = ConsistencyTask(ConsistencyConfig(POINT, levels=8, ema=0.5, lr=5e-3), taught.denoiser.state_dict())
    fit(task, two_points, how)
    noise = torch.randn(300, 2, generator=seeded(0))

    def distance(x: torch.Tensor) -> float:
        side = x[:, 0].sign()
        return float((x - torch.stack([0.8 * side, -0.8 * side], dim=1)).norm(dim=1).mean())

    def draw(model: object, count: int) -> torch.Tensor:
        return consistency_sample(model, (300, 2), task.schedule, few_times(count), generator=seeded(3),
                                  noise=noise)  # type: ignore[arg-type]  # fmt: skip

    many = sample(taught.model(), (300, 2), task.schedule, SamplerConfig("ddim", 8), prediction="x0",
                  generator=seeded(3), noise=noise)  # fmt: skip
    one = draw(task.model(), 1)
    assert distance(draw(taught.model(), 1)) > 0.8
    assert distance(one) < 0.35
    assert float((one[:, 0].sign() == many[:, 0].sign()).float().mean()) > 0.9  # the same point, not any
    assert distance(draw(task.model(), 4)) < 0.2
    label = torch.arange(300) % 2
    led = draw(task.model(label=label), 2)
    assert float(((led[:, 0] > 0).long() == label).float().mean()) > 0.97


def test_chunks_change_nothing_and_each_time_is_one_evaluation() -> None:
    calls: list[int] = []

    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(int(t[0]))
        return torch.tanh(x * 3)

    whole = consistency_sample(model, (5, 2), SCHEDULE, few_times(4), generator=seeded(0))
    assert calls == list(few_times(4))
    chunked = consistency_sample(model, (5, 2), SCHEDULE, few_times(4), generator=seeded(0), chunk=2)
    torch.testing.assert_close(whole, chunked)


def test_the_share_of_fresh_noise_reaches_from_ddpms_to_all() -> None:
    """A model with one fixed answer: renew 0 is DDPM's sampler, with 1 nothing of the old noise is left."""
    picture = torch.full((4000, 1), 0.4)
    noise = torch.randn(4000, 1, generator=seeded(0))
    asked: list[torch.Tensor] = []

    def model(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        asked.append(x)
        return picture

    times = (999, 499)  # those of DDPM in two steps
    ways = {}
    for renew in (0.0, 1.0):
        asked.clear()
        consistency_sample(model, (4000, 1), SCHEDULE, times, generator=seeded(1), renew=renew, noise=noise)
        ways[renew] = asked[1]
    asked.clear()
    sample(
        model,
        (4000, 1),
        SCHEDULE,
        SamplerConfig("ddpm", 2),
        prediction="x0",
        generator=seeded(1),
        noise=noise,
    )
    torch.testing.assert_close(ways[0.0], asked[1], atol=0.02, rtol=0)  # but for the skip, 1e-8 of x at 999
    signal, sigma = float(SCHEDULE.signal[499]), float(SCHEDULE.sigma[499])
    rest = (ways[1.0] - signal * 0.4) / sigma
    torch.testing.assert_close(rest, torch.randn(4000, 1, generator=seeded(1)), atol=1e-4, rtol=0)


def test_sharpening_multiplies_the_log_odds() -> None:
    at_half = lambda x, t: torch.full_like(x, 0.5)  # noqa: E731  probability 3 / 4, odds 3
    drawn = consistency_sample(at_half, (1, 1), SCHEDULE, (999,), generator=seeded(0), sharpen=2.0)
    assert float(drawn) == pytest.approx(2 * 0.9 - 1, abs=1e-4)  # odds 9, probability 9 / 10


def test_few_times_start_in_pure_noise_and_descend() -> None:
    for count in (1, 2, 4, 10, 50, 500):
        times = few_times(count)
        assert times[0] == 999
        assert len(times) == count
        assert count == 1 or times[-1] == max(300, round(2000 / (count + 1)))
        assert all(a > b for a, b in pairwise(times))
    assert [few_times(count) for count in (1, 2, 4)] == [(999,), (999, 667), (999, 800, 600, 400)]


def test_two_and_two_steps_are_four_to_the_bit(tmp_path: Path) -> None:
    config = ConsistencyConfig(POINT, levels=4)
    fitting = FitConfig(4, ema_decay=0.9, ema_networks=("denoiser",), checkpoint_every=2)
    whole, parts = (ConsistencyTask(config, teacher()) for _ in range(2))
    again = ConsistencyTask(config, teacher(seed=5))  # the checkpoint's teacher counts, not this one
    fit(whole, two_points, fitting, out=tmp_path / "whole")
    fit(parts, two_points, fitting, out=tmp_path / "parts", until=2)
    fit(again, two_points, fitting, out=tmp_path / "parts", resume=True)
    for name, network in whole.networks.items():
        for a, b in zip(network.parameters(), again.networks[name].parameters(), strict=True):
            assert torch.equal(a, b)
    assert from_dict(ConsistencyConfig, to_dict(config)) == config


def test_it_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="never trained without labels"):
        ConsistencyConfig(DiffusionConfig(VectorDenoiserConfig(2, classes=2), label_dropout=0.0))
    with pytest.raises(ConfigError, match="levels"):
        ConsistencyConfig(POINT, levels=1)
    with pytest.raises(CheckpointError, match="weights of the teacher do not fit"):
        ConsistencyTask(ConsistencyConfig(DiffusionConfig(VectorDenoiserConfig(3))), teacher())
    for times in ([], [5, 5], [1000, 2], [5, -1]):
        with pytest.raises(ConfigError, match="descending"):
            consistency_sample(lambda x, t: x, (1, 2), SCHEDULE, times, generator=seeded(0))
    for renew, sharpen in ((1.5, 1.0), (0.5, 0.0)):
        with pytest.raises(ConfigError, match="renew is"):
            consistency_sample(lambda x, t: x, (1, 2), SCHEDULE, (999,), generator=seeded(0),
                               renew=renew, sharpen=sharpen)  # fmt: skip
    for count in (0, -1, 503):
        with pytest.raises(ConfigError, match="evaluations"):
            few_times(count)
