"""The recipes `transformer` and `diffusion`: what a comparison sets beside the default of a direction.

Data, batch size and number of steps are those of `default` at the same scale and kind of target, so that
runs of equal steps have seen equal pairs.
"""

from dataclasses import replace

from gantrans.diffusion import DiffusionConfig, SamplerConfig
from gantrans.networks import DenoiserConfig, VisionTransformerConfig
from gantrans.training import FitConfig
from gantrans.translation.classes import BALANCE, ClassesConfig
from gantrans.translation.conditional import ConditionalDiffusionConfig
from gantrans.translation.pix2pix import Pix2PixConfig

STEPS = {
    ("binary", "smoke"): 20,
    ("binary", "reduced"): 3000,
    ("binary", "full"): 20_000,
    ("grey", "smoke"): 20,
    ("grey", "reduced"): 2400,
    ("grey", "full"): 20_000,
    ("classes", "smoke"): 20,
    ("classes", "reduced"): 3000,
    ("classes", "full"): 20_000,
}


def transformer(kind: str, scale: str) -> tuple[Pix2PixConfig | ClassesConfig, FitConfig]:
    """A vision transformer with L1 alone, for classes with the cross-entropy.

    Its patches are of 8 px at `full`, else of 4.
    """
    patch, width, depth, lr = {
        "smoke": (4, 16, 2, 2e-3),
        "reduced": (4, 64, 4, 1e-3),
        "full": (8, 256, 8, 3e-4),
    }[scale]
    generator = VisionTransformerConfig(patch=patch, width=width, depth=depth, heads=max(1, width // 32))
    if kind == "classes":
        labels = ClassesConfig(replace(generator, out_channels=2, output="logits"), BALANCE, lr)
        return labels, replace(_one_cycle(kind, scale), monitor="mean_iou")
    task = Pix2PixConfig(generator, None, weight_l1=100.0, lr_generator=lr, betas=(0.9, 0.99))
    monitor = "iou" if kind == "binary" else None
    return task, replace(_one_cycle(kind, scale), monitor=monitor)


def diffusion(kind: str, scale: str) -> tuple[ConditionalDiffusionConfig, FitConfig]:
    """A conditional diffusion model for a binary or grey target.

    A binary target is predicted as x0 with the cross-entropy, and a translation is the mean of four draws.
    Its schedule is noisier than the linear one: smooth shapes show through noise that hides a pixel, so that
    most of the usual schedules asks only for what x_t shows already. At `reduced` its network has all pixels
    in its first level, because an edge is asked for to a fraction of a pixel. A grey target is predicted as
    v, with the cosine schedule, and a translation is one draw, as grainy as a real image.
    """
    binary = kind == "binary"
    base, multipliers, unshuffle, lr = {
        "smoke": (8, (1, 2), 2, 2e-3),
        "reduced": (8, (1, 2, 2, 2), 1, 6e-3) if binary else (16, (1, 2, 2, 2), 2, 4e-3),
        "full": (64, (1, 2, 2, 4, 4), 2, 5e-4),
    }[scale]
    network = DenoiserConfig(
        condition_channels=1, base_filters=base, multipliers=multipliers, unshuffle=unshuffle
    )
    if binary:
        training = DiffusionConfig(network, "shifted_linear", prediction="x0", loss="cross_entropy", lr=lr)
        task = ConditionalDiffusionConfig(training, SamplerConfig("ddim", 5), answers=4)
    else:
        training = DiffusionConfig(network, "cosine", prediction="v", lr=lr)
        task = ConditionalDiffusionConfig(training, SamplerConfig("dpm++", 10, rho=2.0), answers=1)
    return task, replace(_one_cycle(kind, scale), ema_decay=0.99)


def _one_cycle(kind: str, scale: str) -> FitConfig:
    steps = STEPS[kind, scale]
    return FitConfig(steps, clip_norm=1.0, lr_schedule="one_cycle", lr_params={"warmup": 0.15})
