"""Latent diffusion: divergences with known values, codes of unit variance, the trainer of pixels on codes."""

from pathlib import Path

import pytest
import torch

from gantrans.config import from_dict, to_dict
from gantrans.data import ClipConfig, make_clips
from gantrans.diffusion import DiffusionTask, SamplerConfig, random_batches
from gantrans.diffusion.latent import (
    AutoencoderTask,
    AutoencoderTaskConfig,
    decoded,
    draw_latent,
    encoded,
    latent_config,
    normalise_codes,
)
from gantrans.errors import ConfigError, DataError
from gantrans.networks.autoencoder import Autoencoder, AutoencoderConfig, kl_to_standard
from gantrans.training import FitConfig, fit, load_networks

SMALL = AutoencoderConfig(latent=2, factor=4, filters=8, blocks=1)


def images(count: int = 32, size: int = 16) -> torch.Tensor:
    return make_clips(ClipConfig(size=size), "train", count).network()


def test_the_divergence_has_its_known_values_and_slopes() -> None:
    """KL(N(m, s^2) | N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2; torch.distributions knows it as well."""
    mean = torch.tensor([0.0, 1.0, -0.3], dtype=torch.float64)
    log_variance = torch.tensor([0.0, 0.0, 1.2], dtype=torch.float64)
    ours = kl_to_standard(mean, log_variance)
    assert ours[:2].tolist() == [0.0, 0.5]
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(torch.zeros_like(mean), torch.ones_like(mean))
    )
    torch.testing.assert_close(ours, theirs)


def test_shapes_seeds_and_what_it_refuses() -> None:
    autoencoder = Autoencoder(SMALL, 1)
    x = images(3)
    mean, log_variance = autoencoder.encode(x)
    assert mean.shape == log_variance.shape == (3, 2, 4, 4)
    logits, again, _ = autoencoder(x)
    assert logits.shape == x.shape
    assert torch.equal(again, mean)
    torch.testing.assert_close(logits, autoencoder.decode(mean))
    for a, b in zip(autoencoder.parameters(), Autoencoder(SMALL, 1).parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(DataError, match="multiples of 4"):
        autoencoder.encode(torch.zeros(1, 1, 18, 16))
    with pytest.raises(DataError, match=r"\(B, 1, H, W\)"):
        autoencoder.encode(torch.zeros(1, 2, 16, 16))
    with pytest.raises(DataError, match=r"\(B, 2, h, w\)"):
        autoencoder.decode(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ConfigError, match="multiple of 8"):
        AutoencoderConfig(filters=12)
    assert from_dict(AutoencoderTaskConfig, to_dict(AutoencoderTaskConfig(SMALL))) == AutoencoderTaskConfig(
        SMALL
    )


def test_noise_moves_the_code_by_its_standard_deviation() -> None:
    autoencoder = Autoencoder(SMALL, 1)
    seen: list[torch.Tensor] = []
    autoencoder.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    noise = torch.ones(2, 2, 4, 4)
    with torch.no_grad():
        _, mean, log_variance = autoencoder(images(2), noise)
    torch.testing.assert_close(seen[0], mean + (log_variance / 2).exp())


def test_clips_survive_the_code_and_the_scale_makes_its_variance_one() -> None:
    x = images(128)
    config = AutoencoderTaskConfig(AutoencoderConfig(latent=4, factor=4, filters=16, blocks=1), lr=5e-3)
    task = AutoencoderTask(config)
    fit(task, random_batches(x, 32, 0), FitConfig(200, lr_schedule="cosine", clip_norm=1.0))
    scale = normalise_codes(task.autoencoder, x)
    codes = encoded(task.autoencoder, x)
    assert codes.shape == (128, 4, 4, 4)
    assert float(codes.std()) == pytest.approx(1.0, rel=1e-4)
    assert float(task.autoencoder.scale) == pytest.approx(scale)
    back = decoded(task.autoencoder, codes)
    assert back.abs().max() <= 1.0
    assert float(((back > 0) == (x > 0)).float().mean()) > 0.95
    assert normalise_codes(task.autoencoder, x) == pytest.approx(scale)  # a second call changes nothing


def test_the_scale_is_part_of_a_checkpoint_and_the_run_resumes_to_the_bit(tmp_path: Path) -> None:
    fitting, data = FitConfig(4, checkpoint_every=2), random_batches(images(), 8, 0)
    whole, parts, again = (AutoencoderTask(AutoencoderTaskConfig(SMALL), 2) for _ in range(3))
    fit(whole, data, fitting, out=tmp_path / "whole")
    fit(parts, data, fitting, out=tmp_path / "parts", until=2)
    fit(again, data, fitting, out=tmp_path / "parts", resume=True)
    for a, b in zip(whole.autoencoder.parameters(), again.autoencoder.parameters(), strict=True):
        assert torch.equal(a, b)
    loaded = Autoencoder(SMALL)
    load_networks(tmp_path / "whole", {"autoencoder": loaded})
    assert torch.equal(loaded.decoder[0].weight, whole.autoencoder.decoder[0].weight)
    assert "scale" in loaded.state_dict()


def test_the_diffusion_task_of_pixels_learns_codes_as_they_are() -> None:
    """One batch through `DiffusionTask`, one draw through the decoder; nothing of either is special."""
    autoencoder = Autoencoder(SMALL)
    normalise_codes(autoencoder, images())
    codes = encoded(autoencoder, images())
    config = latent_config(SMALL, base_filters=8)
    task = DiffusionTask(config)
    fit(task, random_batches(codes, 8, 0), FitConfig(2))
    drawn = draw_latent(task.denoiser, config, autoencoder, 5, 16, SamplerConfig("ddim", 3), seed=4)
    assert drawn.shape == (5, 1, 16, 16)
    assert torch.equal(
        drawn, draw_latent(task.denoiser, config, autoencoder, 5, 16, SamplerConfig("ddim", 3), seed=4)
    )
    with pytest.raises(ConfigError, match="no multiple"):
        draw_latent(task.denoiser, config, autoencoder, 5, 18)


def test_codes_are_not_clipped() -> None:
    """A model that answers v so that the predicted code is 3 everywhere: the decoder is given 3."""
    autoencoder, config = Autoencoder(SMALL), latent_config(SMALL, base_filters=8)
    schedule = config.noise_schedule

    class Three(torch.nn.Module):
        def forward(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            a, s = (q[t].to(x).view(-1, 1, 1, 1) for q in (schedule.signal, schedule.sigma))
            return (a * x - 3.0) / s

    seen: list[torch.Tensor] = []
    autoencoder.decoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    draw_latent(Three(), config, autoencoder, 2, 16, SamplerConfig("ddim", 4))
    torch.testing.assert_close(seen[0], torch.full((2, 2, 4, 4), 3.0), atol=1e-3, rtol=0)


def test_equal_codes_cannot_be_normalised() -> None:
    autoencoder = Autoencoder(SMALL)
    torch.nn.init.zeros_(autoencoder.encoder[-1].weight)
    torch.nn.init.zeros_(autoencoder.encoder[-1].bias)
    with pytest.raises(ConfigError, match="All codes are equal"):
        normalise_codes(autoencoder, images(4))
