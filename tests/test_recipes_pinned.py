"""Recipes and defaults are pinned: a changed number is another experiment, and every table rests on these.

Whoever changes one on purpose writes the sum of the new settings here.
"""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gantrans.config import to_dict
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig
from gantrans.diffusion import (
    ConsistencyConfig,
    DiffusionConfig,
    FlowConfig,
    JudgeConfig,
    SamplerConfig,
    clip_recipe,
    distil_recipe,
    few_recipe,
    flow_recipe,
)
from gantrans.diffusion.latent import AutoencoderTaskConfig
from gantrans.networks import (
    DenoiserConfig,
    PatchGANConfig,
    ResidualUNetConfig,
    UNetConfig,
    VectorDenoiserConfig,
    VisionTransformerConfig,
)
from gantrans.operations.drift.detector import DriftConfig
from gantrans.operations.drift.profile import HistogramSchema
from gantrans.operations.promotion.finetune import FineTuneConfig
from gantrans.operations.promotion.gate import GateConfig
from gantrans.operations.promotion.triggers import TriggerConfig
from gantrans.operations.serving.intake import IntakeConfig
from gantrans.training import FitConfig
from gantrans.translation import (
    BidirectionalConfig,
    ConditionalDiffusionConfig,
    DataSpec,
    Pix2PixConfig,
    production_recipe,
    recipe,
)

SCALES = ("smoke", "reduced", "full")
SETTINGS: dict[str, Callable[[], Any]] = {
    **{
        f"{way} {scale}": partial(recipe, way, scale)
        for way in ("sem2layout", "layout2sem")
        for scale in SCALES
    },
    **{f"article {scale}": partial(recipe, "both", scale, name="article") for scale in SCALES},
    **{
        f"{name} {way} {scale}": partial(recipe, way, scale, name=name)
        for name in ("transformer", "diffusion")
        for way in ("sem2layout", "layout2sem")
        for scale in SCALES
    },
    **{f"production {scale}": partial(production_recipe, scale) for scale in SCALES},
    **{
        f"clips {source} {scale}": partial(clip_recipe, source, scale)
        for source in ("procedural", "sky130")
        for scale in SCALES
    },
    **{f"clips quick {scale}": partial(clip_recipe, "procedural", scale, quick=True) for scale in SCALES},
    **{
        f"clips flow {scale}": lambda scale=scale: flow_recipe(clip_recipe("procedural", scale, quick=True))
        for scale in SCALES
    },
    **{
        f"clips few {scale}": lambda scale=scale: few_recipe(clip_recipe("procedural", scale, quick=True))
        for scale in SCALES
    },
    **{
        f"clips distil {scale}": lambda scale=scale: distil_recipe(
            clip_recipe("procedural", scale, quick=True), scale
        )
        for scale in SCALES
    },
    **{f"imaging {name}": partial(PRESETS.__getitem__, name) for name in PRESETS},
    "FitConfig": partial(FitConfig, 100),
    "VectorDenoiserConfig": partial(VectorDenoiserConfig, 2),
    **{
        config.__name__: config
        for config in (
            DataSpec, Pix2PixConfig, BidirectionalConfig, UNetConfig, PatchGANConfig, ResidualUNetConfig,
            DenoiserConfig, VisionTransformerConfig, ConditionalDiffusionConfig, DiffusionConfig,
            JudgeConfig, SamplerConfig, LayoutConfig, ImagingConfig,
            DriftConfig, HistogramSchema, GateConfig, FineTuneConfig, TriggerConfig, IntakeConfig,
            FlowConfig, ConsistencyConfig, AutoencoderTaskConfig,
        )
    },
}  # fmt: skip
PINNED = {
    "sem2layout smoke": "d905d9c45d29",
    "sem2layout reduced": "64dcc438ec4e",
    "sem2layout full": "f5e0817806f7",
    "layout2sem smoke": "2f25bc342736",
    "layout2sem reduced": "f38e13dd194a",
    "layout2sem full": "8f008d70fff9",
    "production smoke": "f93a01a98e18",
    "production reduced": "cfe97c9623a5",
    "production full": "4229e1547638",
    "article smoke": "7c42e695774f",
    "article reduced": "cadf1b980799",
    "article full": "61d5fe50ea23",
    "clips procedural smoke": "cd9e4a6482be",
    "clips procedural reduced": "1a74acf97f48",
    "clips procedural full": "15365ec8e97b",
    "clips sky130 smoke": "1e15e35c1e00",
    "clips sky130 reduced": "9f37e1fd3c84",
    "clips sky130 full": "da792a33cbdb",
    "clips quick smoke": "7887f4baa834",
    "clips quick reduced": "7cdda4e1af68",
    "clips quick full": "15365ec8e97b",
    "imaging easy": "bb4c2dcf7655",
    "imaging default": "d51b8eb78fee",
    "imaging hard": "b6b62ee07c33",
    "FitConfig": "691e227efb51",
    "DataSpec": "8f6dcd3593be",
    "Pix2PixConfig": "66312b3185c5",
    "BidirectionalConfig": "ab886455a3d5",
    "UNetConfig": "49dbd6fc3c5a",
    "PatchGANConfig": "e51177fccebb",
    "ResidualUNetConfig": "f4143eae91c7",
    "DenoiserConfig": "787ff0552dc4",
    "VectorDenoiserConfig": "86bd4239eee1",
    "DiffusionConfig": "d7f8c45da768",
    "JudgeConfig": "08978158805f",
    "SamplerConfig": "4e64dca89fc2",
    "LayoutConfig": "ee46bef80915",
    "ImagingConfig": "d51b8eb78fee",
    "DriftConfig": "7155ebe5ee34",
    "HistogramSchema": "fd4058d623f1",
    "GateConfig": "567878da3cc7",
    "FineTuneConfig": "4ba0ac236662",
    "TriggerConfig": "1a4897b0ef36",
    "IntakeConfig": "6b3a108bc66f",
    "transformer sem2layout smoke": "4ce735b2070d",
    "transformer sem2layout reduced": "24fd4b076967",
    "transformer sem2layout full": "5b0c0302bc0c",
    "transformer layout2sem smoke": "fd321e8bb3e6",
    "transformer layout2sem reduced": "0a375524c2ff",
    "transformer layout2sem full": "a3d85c6f8207",
    "diffusion sem2layout smoke": "957c7997b6e9",
    "diffusion sem2layout reduced": "3b7f98e5d083",
    "diffusion sem2layout full": "3cc3caf1d904",
    "diffusion layout2sem smoke": "226f66175d0d",
    "diffusion layout2sem reduced": "10b275bab3d4",
    "diffusion layout2sem full": "7b7433bc7fc3",
    "VisionTransformerConfig": "c133b25ef9f5",
    "ConditionalDiffusionConfig": "e1e43ad70c50",
    "clips few smoke": "df1dd45f0412",
    "clips few reduced": "a3ff375a4d7e",
    "clips few full": "3454fb758b7d",
    "clips flow smoke": "66c5dd58c385",
    "clips flow reduced": "568c3e2f5a2b",
    "clips flow full": "55c7dc97370d",
    "clips distil smoke": "83806027d929",
    "clips distil reduced": "f4a437f6ec56",
    "clips distil full": "f891f0f9a1a0",
    "FlowConfig": "5b8d600621d9",
    "ConsistencyConfig": "3b4693548964",
    "AutoencoderTaskConfig": "5a87fd8c7779",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_are_those_that_were_measured(name: str) -> None:
    plain = json.dumps(to_dict(SETTINGS[name]()), sort_keys=True)
    assert hashlib.sha256(plain.encode()).hexdigest()[:12] == PINNED[name], plain


def test_every_pinned_name_exists() -> None:
    assert set(PINNED) == set(SETTINGS)
