"""Flow matching: the average of the fields is the field, flow is v-prediction, samplers' known answers."""

from pathlib import Path

import pytest
import torch

from gantrans.config import from_dict, to_dict
from gantrans.diffusion import (
    FlowConfig,
    FlowTask,
    SamplerConfig,
    conditional_velocity,
    euler_sample,
    flow_path,
    flow_schedule,
    flow_target,
    flow_times,
    heun_sample,
    marginal_velocity,
    q_sample,
    sample,
    target,
    v_from_velocity,
    velocity_from_v,
    velocity_from_x0,
    x0_from_velocity,
)
from gantrans.errors import ConfigError, DataError
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.training import FitConfig, Runtime, fit

POINT = VectorDenoiserConfig(2, hidden=32)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def runtime(seed: int = 0) -> Runtime:
    return Runtime(torch.device("cpu"), "fp32", 1, seeded(seed))


def test_the_average_of_two_conditional_fields_is_the_tanh_formula() -> None:
    """Points at -1 and 1 on a line: E[x0 | x_t] = tanh((1 - t) x / t^2), so u = (x - tanh(...)) / t."""
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)[:, None]
    for time in (0.2, 0.5, 0.9, 1.0):
        t = torch.full((41,), time, dtype=torch.float64)
        centres = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
        field = marginal_velocity(x, t, centres)
        torch.testing.assert_close(field, (x - torch.tanh((1 - time) * x / time**2)) / time)
        share = torch.sigmoid(2 * (1 - time) * x / time**2)  # posterior probability of the point 1
        fields = [conditional_velocity(x, t, centres[k].expand_as(x)) for k in range(2)]
        torch.testing.assert_close(field, (1 - share) * fields[0] + share * fields[1])


def test_the_marginal_field_of_gaussians_is_the_regression_of_drawn_pairs() -> None:
    """Of one Gaussian N(m, std^2), E[u | x_t] is linear: mean -m and slope Cov(u, x_t) / Var(x_t)."""
    draw, t = seeded(1), torch.tensor([0.3], dtype=torch.float64)
    x0 = 0.7 + 0.4 * torch.randn(400_000, 1, generator=draw, dtype=torch.float64)
    noise = torch.randn(400_000, 1, generator=draw, dtype=torch.float64)
    x, u = flow_path(x0, noise, t.expand(400_000)), flow_target(x0, noise)
    slope = ((x - x.mean()) * (u - u.mean())).mean() / x.var()
    at = torch.tensor([[0.0], [1.5]], dtype=torch.float64)
    field = marginal_velocity(at, t.expand(2), torch.tensor([[0.7]], dtype=torch.float64), std=0.4)
    torch.testing.assert_close(field, u.mean() + slope * (at - x.mean()), atol=0.01, rtol=0)
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)  # unequal components at one place are one
    twice = marginal_velocity(at, t.expand(2), torch.full((2, 1), 0.7).double(), std=0.4, weights=weights)
    torch.testing.assert_close(twice, field)


def test_flow_is_v_prediction_in_other_units() -> None:
    schedule = flow_schedule(8)
    k = torch.arange(8)
    t = (k + 1).double() / 8
    x0 = torch.randn(8, 3, generator=seeded(0), dtype=torch.float64)
    noise = torch.randn(8, 3, generator=seeded(1), dtype=torch.float64)
    x_t, u = flow_path(x0, noise, t), flow_target(x0, noise)
    z = q_sample(schedule, x0, k, noise)
    n = ((1 - t) ** 2 + t**2).sqrt()[:, None]
    torch.testing.assert_close(x_t / n, z)
    v = target(schedule, "v", x0, k, noise)
    torch.testing.assert_close(velocity_from_v(v, x_t, t), u)
    torch.testing.assert_close(v_from_velocity(u, x_t, t), v)
    torch.testing.assert_close(x0_from_velocity(u, x_t, t), x0)
    torch.testing.assert_close(velocity_from_x0(x0, x_t, t), u)


@pytest.mark.parametrize(("kind", "renew"), [("ddim", 0.0), ("ddpm", "ddpm")])
def test_eulers_steps_are_those_of_ddim_and_ddpm(kind: str, renew: object) -> None:
    """One network, x0 from a formula: the flow's sampler and the schedule's agree from t = 1 to t = 0."""

    def image(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.tanh(3 * x_t / ((1 - t) ** 2 + t**2).sqrt()[:, None] + t[:, None])

    schedule, noise = flow_schedule(20), torch.randn(6, 2, generator=seeded(2))

    def predict(z: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        t = (k + 1) / 20
        return image(z * ((1 - t) ** 2 + t**2).sqrt()[:, None], t)

    def field(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return velocity_from_x0(image(x_t, t), x_t, t)

    ours = euler_sample(field, noise, flow_times(5), renew=renew, generator=seeded(3))  # type: ignore[arg-type]
    theirs = sample(predict, (6, 2), schedule, SamplerConfig(kind, 5), prediction="x0", generator=seeded(3),
                    noise=noise)  # fmt: skip
    torch.testing.assert_close(ours, theirs)


def test_one_step_is_exact_on_straight_paths_and_heun_is_of_second_order() -> None:
    noise = torch.randn(5, 2, generator=seeded(4), dtype=torch.float64)
    point = torch.tensor([[0.3, -0.6]], dtype=torch.float64)
    calls: list[float] = []

    def towards(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        calls.append(float(t[0]))
        return conditional_velocity(x, t.double(), point.expand_as(x))

    torch.testing.assert_close(euler_sample(towards, noise, flow_times(1)), point.expand(5, 2))
    calls.clear()
    torch.testing.assert_close(heun_sample(towards, noise, flow_times(4)), point.expand(5, 2))
    assert calls == [1.0, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]  # 2 * 4 - 1 evaluations, none at t = 0

    def growing(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return -x  # from t = 1 to .5 and on: x exp(1 - t)

    exact, times = noise * torch.exp(torch.tensor(0.5)), tuple(1 - i / 20 for i in range(11))
    coarse = tuple(1 - i / 10 for i in range(6))
    errors = {
        name: [float((method(growing, noise, ts) - exact).abs().max()) for ts in (coarse, times)]
        for name, method in (("euler", euler_sample), ("heun", heun_sample))
    }
    assert errors["euler"][0] / errors["euler"][1] == pytest.approx(2, rel=0.1)
    assert errors["heun"][0] / errors["heun"][1] == pytest.approx(4, rel=0.1)
    way = euler_sample(growing, noise, coarse, trajectory=True)
    assert way.shape == (6, 5, 2)
    assert torch.equal(way[0], noise)


def test_all_noise_renewed_keeps_the_image_alone() -> None:
    field = lambda x, t: conditional_velocity(x, t, torch.full_like(x, 0.5))  # noqa: E731
    noise = torch.randn(4000, 1, generator=seeded(5))
    half = euler_sample(field, noise, (1.0, 0.5), renew=1.0, generator=seeded(6))
    rest = (half - 0.25) / 0.5
    assert abs(float((rest * noise).mean())) < 0.06  # nothing of the old noise is left
    assert float(rest.std()) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("prediction", ["velocity", "x0"])
def test_two_points_are_learned_with_their_labels(prediction: str) -> None:
    config = FlowConfig(VectorDenoiserConfig(2, hidden=64, classes=2), prediction=prediction, lr=1e-2)
    task = FlowTask(config, seed=1)

    def batch(number: int) -> dict[str, torch.Tensor]:
        side = torch.randint(2, (64, 1), generator=seeded(number)) * 2.0 - 1
        return {"x0": torch.cat([0.8 * side, -0.8 * side], dim=1), "label": (side[:, 0] > 0).long()}

    fit(task, batch, FitConfig(250, lr_schedule="cosine", clip_norm=1.0))
    noise, label = torch.randn(200, 2, generator=seeded(0)), torch.arange(200) % 2
    free = euler_sample(task.field(), noise, flow_times(20))
    side = free[:, 0].sign()
    assert 0.3 < float((side > 0).float().mean()) < 0.7
    near = (free - torch.stack([0.8 * side, -0.8 * side], dim=1)).norm(dim=1) < 0.25
    assert float(near.float().mean()) > 0.65  # few steps of training: most land near a point, not on it
    led = euler_sample(task.field(label=label), noise, flow_times(4))
    assert float(((led[:, 0] > 0).long() == label).float().mean()) > 0.97


def test_the_loss_is_the_squared_error_of_the_target() -> None:
    """The network answers zero at its start, so the loss is the mean square of the target itself."""
    x0 = torch.randn(4, 1, 8, 8, generator=seeded(0))
    task = FlowTask(FlowConfig(DenoiserConfig(base_filters=8)))
    seen: list[torch.Tensor] = []
    task.denoiser.register_forward_pre_hook(lambda _, given: seen.extend(given))
    loss = task.step({"x0": x0}, runtime(9))["loss"]
    draw = seeded(9)
    t = torch.rand(4, generator=draw)
    noise = torch.randn(x0.shape, generator=draw)
    torch.testing.assert_close(loss, (noise - x0).square().mean())
    torch.testing.assert_close(seen[0], flow_path(x0, noise, t))
    torch.testing.assert_close(seen[1], 1000 * t)


def test_two_and_two_steps_are_four_to_the_bit(tmp_path: Path) -> None:
    config = FlowConfig(POINT, time="middle", lr=1e-2)
    fitting = FitConfig(4, ema_decay=0.9, lr_schedule="cosine", checkpoint_every=2)
    data = {"x0": torch.randn(16, 2, generator=seeded(0))}
    whole, parts, again = (FlowTask(config, 3) for _ in range(3))
    fit(whole, lambda n: data, fitting, out=tmp_path / "whole")
    fit(parts, lambda n: data, fitting, out=tmp_path / "parts", until=2)
    fit(again, lambda n: data, fitting, out=tmp_path / "parts", resume=True)
    for a, b in zip(whole.denoiser.parameters(), again.denoiser.parameters(), strict=True):
        assert torch.equal(a, b)
    assert from_dict(FlowConfig, to_dict(config)) == config


def test_it_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ConfigError, match="loss of x0"):
        FlowConfig(POINT, loss="cross_entropy")
    with pytest.raises(ConfigError, match="no rows between"):
        FlowConfig(VectorDenoiserConfig(2, embedding="learned"))
    noise = torch.randn(2, 2)
    with pytest.raises(ConfigError, match="descend"):
        euler_sample(lambda x, t: x, noise, (0.0, 1.0))
    with pytest.raises(ConfigError, match="needs a generator"):
        euler_sample(lambda x, t: x, noise, flow_times(2), renew=0.5)
    with pytest.raises(DataError, match="field gave shape"):
        heun_sample(lambda x, t: x[:1], noise, flow_times(2))
    with pytest.raises(DataError, match=r"lie in \[0, 1\]"):
        flow_path(noise, noise, torch.tensor([0.5, 1.5]))
    with pytest.raises(DataError, match="numbers in"):
        flow_path(noise, noise, torch.tensor([0, 1]))
    with pytest.raises(ConfigError, match="at least 1"):
        flow_schedule(0)
