"""The limits of every setting: the outermost value is taken, the next one beyond it is refused by name."""

import dataclasses
import math
from typing import Any

import pytest

from gantrans.data.cells import CellConfig
from gantrans.data.clips import ClipConfig
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig
from gantrans.diffusion import (
    ClipRecipe,
    ConsistencyConfig,
    DiffusionConfig,
    FewStepRecipe,
    FlowConfig,
    JudgeConfig,
    SamplerConfig,
    clip_recipe,
    flow_recipe,
)
from gantrans.diffusion.latent import AutoencoderTaskConfig
from gantrans.errors import ConfigError
from gantrans.networks import (
    DenoiserConfig,
    PatchGANConfig,
    ResidualUNetConfig,
    UNetConfig,
    VectorDenoiserConfig,
)
from gantrans.networks.autoencoder import AutoencoderConfig
from gantrans.operations.drift.charts import ChartConfig
from gantrans.operations.drift.detector import DriftConfig
from gantrans.operations.promotion.finetune import MOST_EPOCHS, FineTuneConfig
from gantrans.operations.promotion.gate import GateConfig
from gantrans.operations.promotion.triggers import TriggerConfig
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.training import FitConfig
from gantrans.translation import AdversarialLoss, DataSpec, Pix2PixConfig, Recipe, recipe

TINY = 1e-9
ABOVE_ZERO = (TINY, math.inf, 0.0, None)  # above 0, no upper limit
FROM_ZERO = (0.0, math.inf, -TINY, None)
FROM_ONE = (1, math.inf, 0, None)
UNIT = (0.0, 1.0, -TINY, 1.0 + TINY)
BASE: dict[type, Any] = {
    ImagingConfig: PRESETS["default"],
    Recipe: recipe("sem2layout", "smoke"),
    ClipRecipe: clip_recipe("procedural", "smoke"),
    FewStepRecipe: flow_recipe(clip_recipe("procedural", "smoke")),
    AdversarialLoss: AdversarialLoss("lsgan"),
    VectorDenoiserConfig: VectorDenoiserConfig(2),
    FitConfig: FitConfig(10),
}
LIMITS: dict[type, dict[str, tuple[float, float, float | None, float | None]]] = {
    # field: least and largest value that is taken, and the next ones below and above, which are not
    LayoutConfig: {"size_px": (8, 4096, 7, 4097), "pixel_nm": (1.0, 200.0, 0.99, 200.1)},
    CellConfig: {"size_px": (8, 4096, 7, 4097), "pixel_nm": (1.0, 200.0, 0.99, 200.1)},
    ClipConfig: {"size": (16, 256, 7, 257)},
    ImagingConfig: {
        "ler_hurst": (TINY, 1.0, 0.0, 1.0 + TINY), "edge_dropout": UNIT,
        "jitter_nm": (0.0, 50.0, -TINY, 50.1),
        "read_noise": (0.0, 1e4, -TINY, 1.1e4),
    },
    UNetConfig: {
        **dict.fromkeys(("in_channels", "out_channels", "base_filters"), FROM_ONE),
        **dict.fromkeys(("channel_cap", "head_filters"), FROM_ONE), "noise_init": FROM_ZERO,
        "n_down": (2, 10, 1, 11), "dropout": (0.0, 0.95, -TINY, 0.96),
        "dropout_blocks": (0, math.inf, -1, None),
    },
    ResidualUNetConfig: dict.fromkeys(
        ("in_channels", "out_channels", "base_filters", "unshuffle", "blocks"), FROM_ONE
    ),
    PatchGANConfig: dict.fromkeys(("in_channels", "base_filters", "channel_cap"), FROM_ONE),
    DenoiserConfig: {
        **dict.fromkeys(("channels", "blocks", "unshuffle", "steps"), FROM_ONE),
        **dict.fromkeys(("condition_channels", "classes"), (0, math.inf, -1, None)),
        "base_filters": (8, math.inf, 0, None),
    },
    VectorDenoiserConfig: {
        **dict.fromkeys(("features", "blocks", "steps"), FROM_ONE), "hidden": (8, math.inf, 7, None),
        "classes": (0, math.inf, -1, None),
    },
    FitConfig: {
        **dict.fromkeys(("steps", "accumulate", "log_every", "validate_every", "checkpoint_every"), FROM_ONE),
        "seed": (0, 2**62, -1, 2**62 + 1024), "clip_norm": ABOVE_ZERO, "max_seconds": ABOVE_ZERO,
        "ema_decay": (0.0, 1.0 - 1e-9, -TINY, 1.0),
    },
    SamplerConfig: {"count": FROM_ONE, "rho": (1.0, 10.0, 0.99, 10.01)},
    DiffusionConfig: {"label_dropout": UNIT, "lr": ABOVE_ZERO, "weight_decay": FROM_ZERO},
    ClipRecipe: {"count": FROM_ONE, "batch": FROM_ONE},
    FewStepRecipe: {"count": FROM_ONE, "batch": FROM_ONE},
    FlowConfig: {"label_dropout": UNIT, "lr": ABOVE_ZERO, "weight_decay": FROM_ZERO},
    ConsistencyConfig: {
        "levels": (2, 1000, 1, 1001), "ema": (0.0, 1.0 - 1e-9, -TINY, 1.0), "lr": ABOVE_ZERO,
    },
    AutoencoderConfig: {
        **dict.fromkeys(("channels", "latent", "blocks"), FROM_ONE), "factor": (2, math.inf, 1, None),
        "filters": (8, math.inf, 0, None),
    },
    AutoencoderTaskConfig: {"kl": FROM_ZERO, "lr": ABOVE_ZERO},
    JudgeConfig: {
        "size": (8, 256, 7, 257), "classes": (2, 1000, 1, 1001), "width": (1, 512, 0, 513),
        "features": (1, 4096, 0, 4097), "lr": ABOVE_ZERO,
    },
    DataSpec: {
        "size": (16, 2048, 15, 2049), "count": FROM_ONE, "validation": FROM_ONE,
        "pixel_nm": (TINY, 1e4, 0.0, 1.1e4),
    },
    Recipe: {"batch_size": FROM_ONE},
    AdversarialLoss: {"real_label": (0.5, 1.0, 0.49, 1.01)},
    Pix2PixConfig: {
        **dict.fromkeys(("weight_l1", "weight_gan", "weight_fm", "buffer"), FROM_ZERO),
        **dict.fromkeys(("lr_generator", "lr_discriminator"), ABOVE_ZERO),
    },
    ChartConfig: {
        "block": (2, 10_000, 1, 10_001), "slack": (0.0, 4.0, -TINY, 4.1), "weight": (TINY, 1.0, 0.0, 1.1),
        "consecutive": (1, 100, 0, 101), "clip": (1.0, math.inf, 0.99, None),
    },
    DriftConfig: {"window": (200, 100_000, 199, 100_001), "consecutive": (1, 100, 0, 101)},
    IntakeConfig: {
        "max_requests": (1, 1000, 0, 1001), **dict.fromkeys(("body_bytes", "text_bytes"), FROM_ONE),
        **dict.fromkeys(("upload_s", "bytes_per_s", "grace_s", "request_s"), ABOVE_ZERO),
    },
    GateConfig: {
        "alpha": (TINY, 0.5, 0.0, 0.51), "latency_factor": (1.0, math.inf, 0.99, None),
        "fewest_clusters": (2, math.inf, 1, None), "resamples": (100, math.inf, 99, None),
        **dict.fromkeys(("old_margin", "family_margin", "new_defects", "defect_margin"), FROM_ZERO),
    },
    TriggerConfig: {
        "enough_pairs": (1, math.inf, 0, None), "quality_loss": ABOVE_ZERO, "cool_down_hours": FROM_ZERO,
    },
    FineTuneConfig: {
        "epochs": (1, MOST_EPOCHS, 0, MOST_EPOCHS + 1), "rate": (TINY, 1.0, 0.0, 1.1),
        "share": (0.0, 0.9, -TINY, 0.91), "batch_size": FROM_ONE, "spike": (1.0 + TINY, math.inf, 1.0, None),
        "collapse": UNIT,
    },
}  # fmt: skip
TOGETHER: dict[tuple[type, str], dict[str, object]] = {  # what else must change for the value to make sense
    (TriggerConfig, "enough_pairs"): {"fewest_pairs": 1},
    (ChartConfig, "block"): {"run_length": 1e6},
    (GateConfig, "alpha"): {"resamples": 10**11},
    (GateConfig, "resamples"): {"alpha": 0.1},
}
CASES = [(config, field) for config, fields in LIMITS.items() for field in fields]


def changed(config: type, field: str, value: float) -> Any:
    base = BASE[config] if config in BASE else config()
    return dataclasses.replace(base, **{**TOGETHER.get((config, field), {}), field: value})


@pytest.mark.parametrize(("config", "field"), CASES, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_the_outermost_values_are_taken_and_the_next_are_refused_by_name(config: type, field: str) -> None:
    least, largest, below, above = LIMITS[config][field]
    assert getattr(changed(config, field, least), field) == least
    if math.isfinite(largest) and (config, field) != (UNetConfig, "n_down"):
        assert getattr(changed(config, field, largest), field) == largest
    for value in (below, above, math.nan):
        if value is not None:
            with pytest.raises(ConfigError, match=field):
                changed(config, field, value)


@pytest.mark.parametrize(
    ("config", "field"),
    [
        (CellConfig, "layer"), (CellConfig, "split"), (ClipConfig, "source"), (ImagingConfig, "shot_noise"),
        (UNetConfig, "upsample"), (UNetConfig, "kernel_size"), (UNetConfig, "norm"), (PatchGANConfig, "norm"),
        (PatchGANConfig, "n_layers"), (DenoiserConfig, "norm"), (DenoiserConfig, "embedding"),
        (VectorDenoiserConfig, "embedding"), (FitConfig, "precision"), (FitConfig, "schedule_by"),
        (FitConfig, "clock"), (FitConfig, "monitor_mode"), (SamplerConfig, "sampler"),
        (DiffusionConfig, "prediction"), (DiffusionConfig, "weighting"), (DiffusionConfig, "loss"),
        (FlowConfig, "prediction"), (FlowConfig, "loss"), (FlowConfig, "time"),
        (Recipe, "direction"), (AdversarialLoss, "kind"), (Pix2PixConfig, "fm_convention"),
        (ChartConfig, "kind"), (GateConfig, "defect_rule"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.__name__,
)  # fmt: skip
def test_an_unknown_word_is_refused_by_name(config: type, field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        changed(config, field, "no such word")  # type: ignore[arg-type]
