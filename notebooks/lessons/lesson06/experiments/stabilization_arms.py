"""Lesson 06: the arms of its factorial, under what terms the two players meet, and their training.

SEM -> layout at 64 px. A seed decides G's weights, pairs and batches of every arm (and D's weights, but that
spectral norm draws its own start from the same stream), so arms with one seed differ in nothing but their
factors: least squares against cross-entropy, spectral norm on D, real labels of 0.9, linear decay. D has no
other norm; batch normalisation in D, the saturating loss, an image buffer and L1 alone are arms beside the
factorial. What D learns by heart is asked where it can: twelve pairs, layout -> SEM, a D that sees the whole
image. Sources: Isola et al. 2017; Mao et al. 2017; Miyato et al. 2018; Salimans et al. 2016.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.data.imaging import DEFAULT
from gantrans.images import unit_from_uint8
from gantrans.metrics import iou
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.training import FitConfig, History
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.predictor import translate
from lessons.lesson06.experiments.factorial import arm_name, factorial
from lessons.shared.trained import Trained, trained

MINIMAX, BATCH_NORM, BUFFER, L1_ONLY = "minimax", "batch norm in D", "image buffer", "L1 only"
BESIDE = (MINIMAX, BATCH_NORM, BUFFER, L1_ONLY)
"""Arms beside the factorial: the baseline with one thing changed."""
ARMS = (*map(arm_name, factorial()), *BESIDE)
MEMORY_FACTORS = ("least squares", "smoothing")
MEMORY_ARMS = tuple(map(arm_name, factorial(MEMORY_FACTORS)))


@dataclass(frozen=True)
class Terms:
    """Under what terms the two players meet.

    Attributes:
        weight_l1: how much of the generator's loss is not D's business.
        pace: D's learning rate over G's.
        few: twelve pairs, never augmented, layout -> SEM, a D with one logit for the whole image.
    """

    weight_l1: float
    lr_generator: float = 1e-3
    pace: float = 1.0
    few: bool = False


USUAL, BETWEEN, HOSTILE, FEW = "usual", "between", "hostile", "few pairs"
TERMS: Mapping[str, Terms] = {
    USUAL: Terms(weight_l1=100.0),
    BETWEEN: Terms(weight_l1=10.0, pace=5.0),
    HOSTILE: Terms(weight_l1=1.0, pace=5.0),
    FEW: Terms(weight_l1=10.0, few=True),
}
FULL = (USUAL, BETWEEN, HOSTILE)
"""The settings with the whole factorial."""


@dataclass(frozen=True)
class Size:
    """Sizes of the experiment at one scale; `watch` validations fall into the last tenth of training."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    n_layers: int
    pairs: int
    few: int
    test_pairs: int
    batch_size: int
    steps: int
    watch: int


SETTINGS: Mapping[str, Size] = {
    "smoke": Size(32, 2, 4, 4, 1, 24, 12, 12, 2, 20, 2),
    "reduced": Size(64, 4, 8, 16, 2, 512, 12, 96, 4, 300, 10),
    "full": Size(128, 5, 32, 48, 3, 4096, 12, 256, 8, 4000, 40),
}
SEEDS: Mapping[str, range] = {"smoke": range(2), "reduced": range(6), "full": range(6)}


def factors_of(arm: str) -> tuple[str, ...]:
    """The factors that are on in an arm; an arm beside the factorial has none."""
    return next((subset for subset in factorial() if arm_name(subset) == arm), ())


def generator_config(setting: str, scale: str) -> UNetConfig:
    """The generator of all arms of a setting; layout -> SEM needs noise to make texture from (lesson 05)."""
    size, few = SETTINGS[scale], TERMS[setting].few
    return UNetConfig(
        base_filters=size.base_filters,
        n_down=size.n_down,
        dropout=0.0,
        upsample="nearest" if few else "transposed",
        noise_injection=few,
        full_resolution_head=few,
    )


def task_config(setting: str, arm: str, scale: str) -> Pix2PixConfig:
    """Networks, losses and rates of an arm under the terms of a setting."""
    terms, size, factors = TERMS[setting], SETTINGS[scale], factors_of(arm)
    critic = PatchGANConfig(
        base_filters=size.d_filters,
        n_layers="global" if terms.few else size.n_layers,
        norm="batch" if arm == BATCH_NORM else "none",
        spectral_norm="spectral norm" in factors,
    )
    loss = "lsgan" if "least squares" in factors else "minimax" if arm == MINIMAX else "non_saturating"
    return Pix2PixConfig(
        generator_config(setting, scale),
        None if arm == L1_ONLY else critic,
        adversarial=loss,
        real_label=0.9 if "smoothing" in factors else 1.0,
        weight_l1=terms.weight_l1,
        buffer=50 if arm == BUFFER else 0,
        lr_generator=terms.lr_generator,
        lr_discriminator=terms.pace * terms.lr_generator,
    )


@lru_cache(maxsize=8)
def pairs(split: str, setting: str, scale: str, seed: int) -> PairedDataset:
    """The pairs of a seed, split "train", "val" or "test"; few ones have fixed imaging conditions."""
    size, few = SETTINGS[scale], TERMS[setting].few
    count = {"train": size.few if few else size.pairs, "val": size.test_pairs // 2}.get(
        split, size.test_pairs
    )
    imaging = DEFAULT.fixed() if few else None
    return make_pairs(
        "procedural", split=split, count=count, size=size.size, seed=seed, imaging=imaging, progress=False
    )


def direction(setting: str) -> str:
    """SEM -> layout, but for few pairs: in an SEM image there is more to learn by heart."""
    return "layout2sem" if TERMS[setting].few else "sem2layout"


class Watch:
    """Validation that scores every tenth of the training and `watch` times in its last tenth.

    It is called every `every` steps and counts its calls; at all other calls it has nothing to say.
    """

    def __init__(self, dataset: PairedDataset, steps: int, watch: int) -> None:
        self.sem, self.layout = shown(dataset)
        self.steps, self.every, self.calls = steps, max(1, steps // (10 * watch)), 0

    def __call__(self, task: Pix2PixTask) -> dict[str, float]:
        self.calls += 1
        step = self.calls * self.every
        if step <= 0.9 * self.steps and step % max(1, self.steps // 10):
            return {}
        return {"iou": float(iou(translate(task.generator, self.sem, batch_size=64), self.layout).mean())}


def train_arm(setting: str, arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before."""
    size, task = SETTINGS[scale], task_config(setting, arm, scale)
    few = TERMS[setting].few
    fitting = FitConfig(
        size.steps,
        seed=seed,
        precision="fp32",
        channels_last=True,
        lr_schedule="linear_decay" if "decay" in factors_of(arm) else "constant",
        log_every=max(1, size.steps // 60),
        validate_every=max(1, size.steps // (10 * size.watch)),
        checkpoint_every=10**6,
    )

    def shown(history: History) -> dict[str, float]:
        return {} if few else {"IoU": history.series("val_iou")[1][-1]}

    return trained(
        lambda: Pix2PixTask(task, seed),
        fitting,
        lambda: BatchSource(
            pairs("train", setting, scale, seed), direction(setting), size.batch_size, seed, augment=not few
        ),
        name="stabilization",
        key={"setting": setting, "arm": arm, "task": task, "seed": seed, "size": size},
        shown=shown,
        validate=None if few else Watch(pairs("val", setting, scale, seed), size.steps, size.watch),
    )


def shown(dataset: PairedDataset) -> tuple[Tensor, Tensor]:
    """SEM images and layouts, (N, 1, S, S) in [0, 1]."""
    return unit_from_uint8(dataset.sem), unit_from_uint8(dataset.layout)


def draw_layouts(trained: Trained, dataset: PairedDataset) -> Tensor:
    """What an arm draws from the SEM images of some pairs, (N, 1, S, S) in [0, 1]."""
    return translate(trained.generator, unit_from_uint8(dataset.sem), batch_size=64)
