"""The networks that translate, by their configurations: U-Nets, the vision transformer, a diffusion model."""

from typing import overload

from gantrans.networks import (
    ResidualUNet,
    ResidualUNetConfig,
    UNetConfig,
    UNetGenerator,
    VisionTransformer,
    VisionTransformerConfig,
)
from gantrans.translation.conditional import ConditionalDiffusionConfig, DiffusionGenerator

OnePassConfig = UNetConfig | ResidualUNetConfig | VisionTransformerConfig
"""Of a network that translates in one evaluation."""
OnePass = UNetGenerator | ResidualUNet | VisionTransformer
Generator = OnePass | DiffusionGenerator


@overload
def build_generator(config: OnePassConfig, seed: int = 0) -> OnePass: ...
@overload
def build_generator(config: ConditionalDiffusionConfig, seed: int = 0) -> DiffusionGenerator: ...
def build_generator(config: OnePassConfig | ConditionalDiffusionConfig, seed: int = 0) -> Generator:
    """Build the generator that a configuration describes."""
    if isinstance(config, ConditionalDiffusionConfig):
        return DiffusionGenerator(config, seed)
    if isinstance(config, VisionTransformerConfig):
        return VisionTransformer(config, seed)
    return UNetGenerator(config, seed) if isinstance(config, UNetConfig) else ResidualUNet(config, seed)


def gives_classes(generator: Generator) -> bool:
    """Whether a network gives the logits of classes rather than an image."""
    return isinstance(generator, OnePass) and generator.config.output == "logits"


def is_varied(generator: Generator) -> bool:
    """Whether two translations of one image can differ: the network draws noise."""
    if isinstance(generator, UNetGenerator):
        return generator.config.noise_injection
    return isinstance(generator, DiffusionGenerator)
