"""Generators and discriminators, and what one logit sees."""

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
from gantrans.networks.unet import ShapeRow, UNetConfig, UNetGenerator, shape_table

__all__ = [
    "Box",
    "ConvLayer",
    "Discrimination",
    "PatchGAN",
    "PatchGANConfig",
    "ReceptiveField",
    "ResidualUNet",
    "ResidualUNetConfig",
    "ShapeRow",
    "UNetConfig",
    "UNetGenerator",
    "field_box",
    "gradient_support",
    "map_sizes",
    "minimum_size",
    "receptive_field",
    "shape_table",
    "support_box",
]
