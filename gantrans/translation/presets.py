"""Networks, optimisation and data of the recipes, by kind of target and scale.

The numbers were chosen by measurement on SEM images and layouts (`benchmarks/translation.py`): at short
budgets the learning rate has the largest effect. SEM -> layout is nearly deterministic and needs no
adversarial term; layout -> SEM needs one.
"""

from collections.abc import Callable
from dataclasses import replace

from gantrans.data.encoding import Encoding
from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import ConfigError
from gantrans.networks import PatchGANConfig, ResidualUNetConfig, UNetConfig
from gantrans.training import FitConfig
from gantrans.translation.bidirectional import BidirectionalConfig
from gantrans.translation.classes import BALANCE, ClassesConfig
from gantrans.translation.conditional import ConditionalDiffusionConfig
from gantrans.translation.pix2pix import Pix2PixConfig
from gantrans.translation.sources import DataSpec

Config = Pix2PixConfig | BidirectionalConfig | ConditionalDiffusionConfig | ClassesConfig


def _l1_only(
    base: int, multipliers: tuple[int, ...], steps: int, lr: float, beta2: float = 0.999
) -> tuple[Pix2PixConfig, FitConfig]:
    """Binary target: L1 loss alone, no dropout, one-cycle learning rate, a short memory of Adam's scale."""
    generator = ResidualUNetConfig(base_filters=base, multipliers=multipliers)
    task = Pix2PixConfig(generator, None, weight_l1=100.0, lr_generator=lr, betas=(0.5, beta2))
    fitting = FitConfig(
        steps, channels_last=True, lr_schedule="one_cycle", lr_params={"warmup": 0.15}, monitor="iou"
    )
    return task, fitting


def _adversarial(base: int, n_down: int, steps: int, lr: float, ndf: int) -> tuple[Pix2PixConfig, FitConfig]:
    """Grey target: resize-convolution, noise at every level, LSGAN with spectral norm, L1 weight 10.

    No checkpoint is chosen by validation, the last one counts: a lower L1 is a more blurred image.
    """
    generator = UNetConfig(
        base_filters=base, n_down=n_down, dropout=0.0, dropout_blocks=0, upsample="nearest",
        noise_injection=True, full_resolution_head=True,
    )  # fmt: skip
    critic = PatchGANConfig(base_filters=ndf, n_layers=2, spectral_norm=True)
    task = Pix2PixConfig(generator, critic, weight_l1=10.0, lr_generator=lr, lr_discriminator=lr)
    return task, FitConfig(steps, channels_last=True, lr_schedule="linear_decay")


def _grained(base: int, n_down: int, steps: int, lr: float, ndf: int) -> tuple[Pix2PixConfig, FitConfig]:
    """As `_adversarial`, with grain that is as strong as the real one and differs between two draws.

    D is not held back: no spectral norm, five times G's rate, logarithmic loss, L1 weight 3; G's weights are
    averaged over about a hundred steps. Measured at `reduced` (`benchmarks/layout_to_sem.py`).
    """
    task, fitting = _adversarial(base, n_down, steps, lr, ndf)
    critic = PatchGANConfig(base_filters=ndf, n_layers=2)
    task = replace(
        task, discriminator=critic, adversarial="non_saturating", weight_l1=3.0, lr_discriminator=5 * lr
    )
    return task, replace(fitting, ema_decay=0.99, ema_networks=("generator",))


def _nearest(
    base: int, multipliers: tuple[int, ...], steps: int, lr: float, beta2: float = 0.999
) -> tuple[Pix2PixConfig, FitConfig]:
    """Grey or colour target of any pairs: as `_l1_only`, with the checkpoint of the smallest L1."""
    task, fitting = _l1_only(base, multipliers, steps, lr, beta2)
    return task, replace(fitting, monitor="l1", monitor_mode="min")


def _classes(
    base: int, multipliers: tuple[int, ...], steps: int, lr: float
) -> tuple[ClassesConfig, FitConfig]:
    """Classes: the network and schedule of `_l1_only`, with the balanced cross-entropy."""
    generator = ResidualUNetConfig(
        out_channels=2, base_filters=base, multipliers=multipliers, output="logits"
    )
    task = ClassesConfig(generator, balance=BALANCE, lr_generator=lr)
    fitting = FitConfig(
        steps, channels_last=True, lr_schedule="one_cycle", lr_params={"warmup": 0.15}, monitor="mean_iou"
    )
    return task, fitting


def _production(
    base: int, n_down: int, steps: int, lr: float, ndf: int, layers: int
) -> tuple[Pix2PixConfig, FitConfig]:
    """SEM -> layout: attention U-Net; D with LSGAN, label smoothing, spectral norm, decaying rate."""
    generator = UNetConfig(base_filters=base, n_down=n_down, dropout_blocks=0, attention=(0, 1))
    critic = PatchGANConfig(base_filters=ndf, n_layers=layers, spectral_norm=True)
    task = Pix2PixConfig(
        generator, critic, real_label=0.9, weight_l1=100.0, buffer=50, lr_generator=lr, lr_discriminator=lr
    )
    fitting = FitConfig(steps, channels_last=True, lr_schedule="linear_decay", monitor="iou")
    return task, fitting


PRODUCTION: dict[str, Callable[[], tuple[Config, FitConfig]]] = {
    "smoke": lambda: _production(8, 3, 20, 1e-3, 8, 2),
    "reduced": lambda: _production(16, 4, 1500, 1e-3, 16, 2),
    "full": lambda: _production(48, 5, 20_000, 2e-4, 48, 3),
}
PHOTOGRAPHS: dict[str, Callable[[], tuple[Config, FitConfig]]] = {
    "smoke": lambda: _adversarial(8, 3, 20, 5e-4, 8),
    "reduced": lambda: _adversarial(16, 4, 2400, 5e-4, 16),
    "full": lambda: _adversarial(48, 5, 20_000, 2e-4, 48),
}
"""With a discriminator, for grey or colour targets of any pairs."""
TRAININGS: dict[tuple[str, str], Callable[[], tuple[Config, FitConfig]]] = {
    ("binary", "smoke"): lambda: _l1_only(8, (1, 2), 20, 2e-3),
    ("binary", "reduced"): lambda: _l1_only(16, (1, 2, 2, 2), 3000, 8e-3, 0.99),
    ("binary", "full"): lambda: _l1_only(48, (1, 2, 2, 2, 2), 20_000, 2e-3),
    ("grey", "smoke"): lambda: _adversarial(8, 3, 20, 5e-4, 8),
    ("grey", "reduced"): lambda: _grained(16, 4, 2400, 5e-4, 16),
    ("grey", "full"): lambda: _adversarial(48, 5, 20_000, 2e-4, 48),
    ("image", "smoke"): lambda: _nearest(8, (1, 2), 20, 2e-3),
    ("image", "reduced"): lambda: _nearest(16, (1, 2, 2, 2), 3000, 8e-3, 0.99),
    ("image", "full"): lambda: _nearest(48, (1, 2, 2, 2, 2), 20_000, 2e-3),
    ("classes", "smoke"): lambda: _classes(8, (1, 2), 20, 2e-3),
    ("classes", "reduced"): lambda: _classes(16, (1, 2, 2, 2), 3000, 8e-3),
    ("classes", "full"): lambda: _classes(48, (1, 2, 2, 2, 2), 20_000, 2e-3),
}
DATA = {
    "smoke": DataSpec(size=32, count=64, validation=16),
    "reduced": DataSpec(size=64, count=2048, validation=128),
    "full": DataSpec(size=256, pixel_nm=10.0, count=2000, validation=128),
}
BATCH = {"smoke": 4, "reduced": 8, "full": 16}


def adversarial(direction: str, scale: str) -> tuple[Config, FitConfig]:
    """The recipe `gan`: what trains this kind of target with a discriminator.

    Raises:
        ConfigError: the targets are classes.
    """
    style = style_of(direction)
    if style == "classes":
        raise ConfigError(
            f"The recipe gan makes images and {direction} gives classes; give --recipe default or --recipe "
            "transformer."
        )
    chosen = {"image": PHOTOGRAPHS, "binary": PRODUCTION}.get(style)
    return TRAININGS[style, scale]() if chosen is None else chosen[scale]()


def style_of(direction: str) -> str:
    """Which of `TRAININGS` a direction gets: that of its kind of target; "image" for "image2image".

    A SEM image has grain that no layout determines, so that "grey" has a discriminator. Other pairs begin
    with L1 alone. Measured on made facades in colour whose bricks and shades the input leaves open (40 pairs
    of 32 px, 250 steps, two seeds): L1 alone has SSIM .50, L1 .107 and 6.1 dB of spectrum error;
    `_adversarial` .37, .131 and 1.4; `_grained` .28, .163 and 2.0. So L1 is nearer to the target, which is
    what `quality` compares, and `gan` has its texture.
    """
    return "image" if direction == "image2image" else registered(direction).target_kind


def check_encoding(direction: str, encoding: Encoding) -> None:
    """Check that a direction translates into what is stated of the targets.

    Raises:
        ConfigError: classes without a direction of classes or the reverse, or colour of a black and white
            target.
    """
    kind = registered(direction).target_kind if direction in directions() else "grey"
    if kind == "classes" and not encoding.classes:
        raise ConfigError(
            f"{direction} needs the stored value of each class; give --classes 0,1,2 or such, or write them "
            "in pairs.json."
        )
    if kind != "classes" and encoding.classes:
        raise ConfigError(
            f"The targets hold the classes {', '.join(encoding.classes)}, and {direction} translates into "
            "images; give --direction image2classes, or leave out the classes."
        )
    if kind == "binary" and "target" in encoding.colour:
        raise ConfigError(
            f"The targets of {direction} are black and white; give --direction image2image, or --colour "
            "input alone."
        )


def with_channels(task: Config, channels: tuple[int, int], classes: int = 0) -> Config:
    """A task for inputs and targets of so many channels, or for inputs and so many classes.

    Raises:
        ConfigError: a recipe of both directions with more than one channel.
    """
    inputs, targets = channels
    if isinstance(task, ClassesConfig):
        return replace(
            task, generator=replace(task.generator, in_channels=inputs, out_channels=max(2, classes))
        )
    if channels == (1, 1):
        return task
    if isinstance(task, BidirectionalConfig):
        raise ConfigError(
            "The recipe article translates between grey images; leave out --colour, or train one direction."
        )
    if isinstance(task, ConditionalDiffusionConfig):
        network = replace(task.network, channels=targets, condition_channels=inputs)
        return replace(task, diffusion=replace(task.diffusion, network=network))
    critic = task.discriminator
    return replace(
        task,
        generator=replace(task.generator, in_channels=inputs, out_channels=targets),
        discriminator=None if critic is None else replace(critic, in_channels=inputs + targets),
    )
