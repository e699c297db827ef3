"""Generators (U-Nets, a vision transformer), discriminators, denoisers, receptive fields, time embeddings."""

from gantrans.networks.attention import SelfAttention, attention_weights, fused_attention
from gantrans.networks.denoiser import (
    DENOISER_NORMS,
    Denoiser,
    DenoiserConfig,
    VectorDenoiser,
    VectorDenoiserConfig,
)
from gantrans.networks.embeddings import EMBEDDINGS, TimeEmbedding, TimeMLP, sinusoidal_embedding
from gantrans.networks.patchgan import Discrimination, PatchGAN, PatchGANConfig
from gantrans.networks.receptive_field import (
    Box,
    ConvLayer,
    ReceptiveField,
    field_box,
    gradient_support,
    map_sizes,
    minimum_size,
    receptive_field,
    support_box,
)
from gantrans.networks.residual_unet import ResidualUNet, ResidualUNetConfig
from gantrans.networks.transformer import VisionTransformer, VisionTransformerConfig
from gantrans.networks.unet import ShapeRow, UNetConfig, UNetGenerator, shape_table

__all__ = [
    "DENOISER_NORMS",
    "EMBEDDINGS",
    "Box",
    "ConvLayer",
    "Denoiser",
    "DenoiserConfig",
    "Discrimination",
    "PatchGAN",
    "PatchGANConfig",
    "ReceptiveField",
    "ResidualUNet",
    "ResidualUNetConfig",
    "SelfAttention",
    "ShapeRow",
    "TimeEmbedding",
    "TimeMLP",
    "UNetConfig",
    "UNetGenerator",
    "VectorDenoiser",
    "VectorDenoiserConfig",
    "VisionTransformer",
    "VisionTransformerConfig",
    "attention_weights",
    "field_box",
    "fused_attention",
    "gradient_support",
    "map_sizes",
    "minimum_size",
    "receptive_field",
    "shape_table",
    "sinusoidal_embedding",
    "support_box",
]
