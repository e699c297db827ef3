"""The recipe "article": everything that the course takes apart, in one machine that trains both directions.

Two U-Nets with self-attention at the bottleneck and at the first decoder block's output, two conditional
PatchGANs with spectral norm, least squares with a real label of 0.9, L1, cycle and feature matching at the
weights that one reads, a rate that decays to zero, and a buffer of past fakes. Sources: Isola et al. 2017;
Zhu et al. 2017; Wang et al. 2018; Zhang et al. 2019.
"""

from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig
from gantrans.translation.bidirectional import BidirectionalConfig

MONITOR = "iou_sem2layout"
"""The score that chooses best.pt: a direction with one right answer has a score that rises with quality. The
scores of layout -> SEM are logged; L1 would choose the most blurred images, the spectrum any grain."""


def article(scale: str) -> tuple[BidirectionalConfig, FitConfig]:
    """Networks, losses and schedule at a scale: "smoke" (32 px), "reduced" (64 px) or "full" (256 px).

    Attention and dropout keep their places at every scale: the two deepest maps of the decoder. At full these
    are 8 x 8 and 16 x 16, at reduced 4 x 4 and 8 x 8. Below full, D has two strided layers, because the field
    of three, 70 px, is larger than the image, and the rate is higher, because the run is shorter.
    """
    base, n_down, critic_base, layers, steps, rate = {
        "smoke": (8, 3, 8, 2, 20, 1e-3),
        "reduced": (16, 4, 16, 2, 1440, 1e-3),
        "full": (48, 5, 48, 3, 20_000, 2e-4),
    }[scale]
    generator = UNetConfig(base_filters=base, n_down=n_down, dropout_blocks=2, attention=(0, 1))
    task = BidirectionalConfig(
        generator, generator, PatchGANConfig(base_filters=critic_base, n_layers=layers, spectral_norm=True),
        real_label=0.9, weight_l1=100.0, weight_gan=0.5, weight_cycle=10.0, weight_fm=10.0, buffer=50,
        lr_generator=rate, lr_discriminator=rate,
    )  # fmt: skip
    fitting = FitConfig(steps, channels_last=True, lr_schedule="linear_decay", monitor=MONITOR)
    return task, fitting
