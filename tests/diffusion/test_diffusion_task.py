"""The diffusion task: its loss is the formula's, it learns, resumes to the bit, and refuses nonsense."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from gantrans.config import from_dict, to_dict
from gantrans.diffusion import (
    DiffusionConfig,
    DiffusionTask,
    SamplerConfig,
    denoiser_model,
    q_sample,
    sample,
    target,
)
from gantrans.diffusion.parameterisation import middle_timesteps
from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.metrics import rule_penalty
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import FitConfig, Runtime, fit

SMALL = DenoiserConfig(base_filters=8, multipliers=(1, 2))
POINT = VectorDenoiserConfig(2, hidden=32)


def runtime(seed: int = 0) -> Runtime:
    return Runtime(torch.device("cpu"), "fp32", 1, torch.Generator().manual_seed(seed))


def two_points(number: int) -> dict[str, torch.Tensor]:
    """Samples at (.8, -.8) and (-.8, .8)."""
    side = torch.randint(2, (64, 1), generator=torch.Generator().manual_seed(number)) * 2.0 - 1
    return {"x0": torch.cat([0.8 * side, -0.8 * side], dim=1), "label": (side[:, 0] > 0).long()}


@pytest.mark.parametrize("prediction", ["epsilon", "x0", "v"])
def test_the_loss_is_the_squared_error_of_what_is_predicted(prediction: str) -> None:
    task = DiffusionTask(DiffusionConfig(SMALL, prediction=prediction))
    batch = {"x0": torch.randn(4, 1, 8, 8)}
    drawn = torch.Generator().manual_seed(9)
    t = torch.randint(1000, (4,), generator=drawn)
    noise = torch.randn(4, 1, 8, 8, generator=drawn)
    # The network answers zero at its start, so the loss is the mean square of the target itself.
    wanted = target(task.schedule, prediction, batch["x0"], t, noise).square().mean()
    torch.testing.assert_close(task.step(batch, runtime(9))["loss"], wanted)
    assert task.denoiser.exit.weight.grad.abs().sum() > 0


def test_cross_entropy_is_least_at_the_posterior_mean() -> None:
    config = DiffusionConfig(SMALL, prediction="x0", loss="cross_entropy")
    task = DiffusionTask(config)
    x0 = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).sign()
    assert torch.isclose(task.step({"x0": x0}, runtime())["loss"], torch.log(torch.tensor(2.0)))
    # Of pixels that are +1 in 3 of 4 cases the best logit is log 3, and tanh(log(3) / 2) is their mean, 1/2.
    logit = torch.zeros((), requires_grad=True, dtype=torch.float64)
    for _ in range(200):
        loss = (3 * F.softplus(-logit) + F.softplus(logit)) / 4
        (gradient,) = torch.autograd.grad(loss, logit)
        logit = (logit - 2 * gradient).detach().requires_grad_()
    assert torch.isclose(torch.tanh(logit / 2), torch.tensor(0.5, dtype=torch.float64))
    with torch.no_grad():
        task.denoiser.exit.bias.fill_(float(logit))
        answer = task.model()(torch.zeros(1, 1, 8, 8), torch.tensor([500]))
    torch.testing.assert_close(answer, torch.full((1, 1, 8, 8), 0.5))


def test_two_points_are_learned_with_their_labels() -> None:
    """The samples land on both points, and guidance moves none to the wrong one."""
    config = DiffusionConfig(VectorDenoiserConfig(2, hidden=64, classes=2), prediction="x0", lr=1e-2)
    task = DiffusionTask(config, seed=1)
    fit(task, two_points, FitConfig(250, lr_schedule="cosine", clip_norm=1.0))
    draw = torch.Generator().manual_seed(0)
    free = sample(task.model(), (200, 2), task.schedule, SamplerConfig("ddpm", 30), prediction="x0",
                  generator=draw)  # fmt: skip
    side = free[:, 0].sign()
    assert 0.3 < float((side > 0).float().mean()) < 0.7
    near = (free - torch.stack([0.8 * side, -0.8 * side], dim=1)).norm(dim=1) < 0.15
    assert float(near.float().mean()) > 0.9
    label = torch.arange(100) % 2
    for guidance in (None, 1.0, 2.0):
        led = sample(task.model(guidance=guidance, label=label), (100, 2), task.schedule,
                     SamplerConfig("ddim", 10), prediction="x0", generator=draw)  # fmt: skip
        assert float(((led[:, 0] > 0).long() == label).float().mean()) > 0.97


def test_withheld_labels_are_drawn_with_the_stated_share() -> None:
    seen = []
    network = VectorDenoiserConfig(2, hidden=8, classes=2)
    task = DiffusionTask(DiffusionConfig(network, label_dropout=0.25))
    task.denoiser.conditioning.label.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    for number in range(40):
        task.step(two_points(number), runtime(number))
    share = float((torch.cat(seen) == 2).float().mean())
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / (40 * 64)) ** 0.5


def test_two_and_two_steps_are_four_to_the_bit(tmp_path: Path) -> None:
    config = DiffusionConfig(POINT, prediction="v", lr=1e-2)
    fitting = FitConfig(4, ema_decay=0.9, lr_schedule="cosine", checkpoint_every=2)
    whole, parts = DiffusionTask(config, 3), DiffusionTask(config, 3)
    data = {"x0": two_points(0)["x0"]}
    fit(whole, lambda n: data, fitting, out=tmp_path / "whole")
    fit(parts, lambda n: data, fitting, out=tmp_path / "parts", until=2)
    again = DiffusionTask(config, 3)
    fit(again, lambda n: data, fitting, out=tmp_path / "parts", resume=True)
    for a, b in zip(whole.denoiser.parameters(), again.denoiser.parameters(), strict=True):
        assert torch.equal(a, b)
    other = DiffusionTask(DiffusionConfig(POINT, prediction="x0", lr=1e-2), 3)
    with pytest.raises(CheckpointError, match="prediction"):
        fit(other, lambda n: data, fitting, out=tmp_path / "parts", resume=True)


def test_condition_is_seen_and_the_batch_must_fit() -> None:
    config = DiffusionConfig(DenoiserConfig(base_filters=8, condition_channels=1), prediction="x0")
    task = DiffusionTask(config)
    torch.nn.init.normal_(task.denoiser.exit.weight)
    condition = torch.randn(2, 1, 8, 8)
    model = denoiser_model(task.denoiser, config, condition=condition)
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([3, 4])
    with torch.no_grad():
        torch.testing.assert_close(model(x, t), task.denoiser(x, t, condition=condition))
        with pytest.raises(DataError, match="2 entries of condition for 1 samples"):
            model(x[:1], t[:1])
    assert set(task.step({"x0": x, "condition": condition}, runtime())) == {"loss"}


def test_weighting_multiplies_the_error() -> None:
    plain, weighted = (DiffusionTask(DiffusionConfig(SMALL, prediction="x0", weighting=w), 0)
                       for w in ("uniform", "truncated_snr"))  # fmt: skip
    batch = {"x0": torch.ones(256, 1, 8, 8)}
    t = torch.randint(1000, (256,), generator=torch.Generator().manual_seed(2))
    assert float(plain.step(batch, runtime(2))["loss"]) == 1.0
    expected = plain.schedule.snr[t].clamp(min=1).mean()
    torch.testing.assert_close(weighted.step(batch, runtime(2))["loss"], expected.float())


def test_under_middle_t_is_drawn_and_the_error_of_x0_not_weighted() -> None:
    """A network that answers 0: the error of x0 is 1 everywhere, that of epsilon the noise's square."""
    batch = {"x0": torch.ones(64, 1, 8, 8)}
    task = DiffusionTask(DiffusionConfig(SMALL, prediction="x0", weighting="middle"), 0)
    asked: list[torch.Tensor] = []
    task.denoiser.register_forward_pre_hook(lambda _, given: asked.append(given[1]))
    assert float(task.step(batch, runtime(2))["loss"]) == pytest.approx(1.0)
    assert torch.equal(asked[0], middle_timesteps(64, 1000, torch.Generator().manual_seed(2)))
    other = DiffusionTask(DiffusionConfig(SMALL, weighting="middle"), 0)
    snr = other.schedule.snr[asked[0]]
    assert float(other.step(batch, runtime(2))["loss"]) == pytest.approx(float((1 / snr).mean()), rel=0.2)


def test_it_refuses_what_cannot_be_trained() -> None:
    with pytest.raises(ConfigError, match="network has steps = 1000"):
        DiffusionConfig(SMALL, steps=100)
    with pytest.raises(ConfigError, match="loss of x0"):
        DiffusionConfig(SMALL, loss="cross_entropy")
    with pytest.raises(ConfigError, match="zero terminal SNR"):
        DiffusionConfig(SMALL, zero_terminal_snr=True)
    with pytest.raises(ConfigError, match="prediction is 'noise'"):
        DiffusionConfig(SMALL, prediction="noise")
    with pytest.raises(ConfigError, match="schedule"):
        DiffusionConfig(SMALL, schedule="staircase")
    with pytest.raises(ConfigError, match="use at least 21 steps"):
        DiffusionConfig(DenoiserConfig(base_filters=8, steps=10), schedule="linear", steps=10)
    task = DiffusionTask(DiffusionConfig(SMALL))
    with pytest.raises(ConfigError, match="label"):
        task.model(guidance=2.0)


def test_configuration_survives_the_way_through_a_checkpoint() -> None:
    for network in (SMALL, POINT):
        config = DiffusionConfig(network, prediction="v", weighting="min_snr")
        assert from_dict(DiffusionConfig, to_dict(config)) == config
    assert q_sample(config.noise_schedule, torch.ones(1, 2), torch.tensor([0]), torch.zeros(1, 2)).shape == (
        1,
        2,
    )


def binary(**changes: object) -> DiffusionConfig:
    return DiffusionConfig(SMALL, prediction="x0", loss="cross_entropy", **changes)  # type: ignore[arg-type]


def test_only_what_will_be_asked_is_learnt() -> None:
    """Every level equally often, 20 timesteps around it and no farther, inside the schedule."""
    task = DiffusionTask(binary(near=(990, 500, 10)))
    asked: list[torch.Tensor] = []
    task.denoiser.register_forward_pre_hook(lambda _, given: asked.append(given[1]))
    drawn = runtime()
    for _ in range(40):
        task.step({"x0": torch.randn(9, 1, 8, 8).sign()}, drawn)
    t = torch.stack(asked)
    assert t.shape == (40, 9)
    for column, level in enumerate((990, 500, 10)):
        own = t[:, column::3]
        low, high = max(0, level - 20), min(999, level + 20)
        assert int(own.min()) in range(low, low + 3)
        assert int(own.max()) in range(high - 2, high + 1)


def test_the_rule_adds_its_penalty_of_the_predicted_image() -> None:
    x0 = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1)).sign()
    losses = {}
    for weight in (0.0, 2.5):
        task = DiffusionTask(binary(rule_px=3, rule_weight=weight))
        torch.nn.init.normal_(task.denoiser.exit.weight, generator=torch.Generator().manual_seed(2))
        logits: list[torch.Tensor] = []
        task.denoiser.register_forward_hook(lambda *given, kept=logits: kept.append(given[2].detach()))
        losses[weight] = task.step({"x0": x0}, runtime(3))["loss"]
    penalty = rule_penalty(torch.sigmoid(logits[0]), 3, 3).mean()
    assert float(penalty) > 0.1
    torch.testing.assert_close(losses[2.5] - losses[0.0], 2.5 * penalty)


def test_younger_settings_leave_stored_ones_as_they_were() -> None:
    assert not {"near", "rule_px", "rule_weight"} & set(to_dict(binary()))
    told = binary(near=(800, 300), rule_px=3, rule_weight=1.0)
    assert from_dict(DiffusionConfig, to_dict(told)) == told
    for changes, words in (
        ({"near": (300, 800)}, "give falling timesteps of 999 to 0"),
        ({"near": (1000,)}, "give falling timesteps of 999 to 0"),
        ({"near": (5, -1)}, "give falling timesteps of 999 to 0"),
        ({"rule_weight": 1.0}, "at least 2 pixels"),
        ({"rule_weight": -1.0, "rule_px": 3}, "at least 0"),
    ):
        with pytest.raises(ConfigError, match=words):
            binary(**changes)
    with pytest.raises(ConfigError, match="a rule needs binary images"):
        DiffusionConfig(SMALL, prediction="x0", rule_px=3, rule_weight=1.0)
