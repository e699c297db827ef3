"""Lesson 07, claim G12: both directions at once, with and without the cycle loss, from few and many pairs.

Weights are the article's: L1 100, adversarial 0.5 per direction, cycle 10. The smaller sets of pairs are the
beginnings of the largest one; a seed decides pairs, batches and weights of every arm. A control goes round
the cycle with images that have no partner: all SEM images and all layouts of the largest set, drawn apart.
Source: Zhu et al. 2017 (CycleGAN).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.images import unit_from_uint8
from gantrans.metrics import compare_topology, epe, iou, l1
from gantrans.networks import PatchGANConfig, ResidualUNetConfig, UNetConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import Batch, FitConfig, Runtime
from gantrans.translation import BidirectionalConfig, BidirectionalTask
from gantrans.translation.predictor import translate
from lessons.lesson05.experiments.patches import PIXEL_NM, spectrum_distance
from lessons.shared.trained import Trained, trained

CYCLES: Mapping[str, float] = {"no cycle": 0.0, "cycle": 10.0}
UNPAIRED = "cycle, unpaired too"
"""The control: the round trips start from images without a partner."""
COUNTS = (50, 200, 1000)
POOL = max(COUNTS)
CYCLE_WEIGHT = 10.0


def arm_name(pairs: int, cycle: str) -> str:
    """The arm of so many pairs and a key of `CYCLES`, or `UNPAIRED`."""
    return f"{pairs} pairs, {cycle}"


ARMS: Mapping[str, tuple[int, str]] = {
    arm_name(n, cycle): (n, cycle)
    for n in COUNTS
    for cycle in (*CYCLES, UNPAIRED)
    if (n, cycle) != (POOL, UNPAIRED)
}


@dataclass(frozen=True)
class CycleSetting:
    """Sizes of the experiment at one scale."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    test_pairs: int
    batch_size: int
    steps: int
    lr: float
    seeds: int


SETTINGS: Mapping[str, CycleSetting] = {
    "smoke": CycleSetting(32, 3, 4, 4, 8, 2, 3, 1e-3, 2),
    "reduced": CycleSetting(64, 4, 16, 16, 128, 4, 600, 1e-3, 6),
    "full": CycleSetting(128, 5, 32, 32, 128, 8, 4000, 5e-4, 6),
}


class UnpairedCycleTask(BidirectionalTask):
    """`BidirectionalTask` whose round trips start from the batch's "sem" and "layout", which are no pairs.

    The configuration's own cycle weight is 0: its cycle would start from the pairs.
    """

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """As `BidirectionalTask.step`, and loss_cycle of the images without a partner."""
        scalars = super().step(batch, runtime)
        sem, layout = cast(Tensor, batch["sem"]), cast(Tensor, batch["layout"])
        noise = runtime.generator
        back_sem = self.b(self.a(sem, noise=noise), noise=noise)
        back_layout = self.a(self.b(layout, noise=noise), noise=noise)
        loss = F.l1_loss(back_sem, sem) + F.l1_loss(back_layout, layout)
        runtime.backward(CYCLE_WEIGHT * loss)
        return {**scalars, "loss_cycle": loss.detach()}


def task_config(cycle: str, setting: CycleSetting) -> BidirectionalConfig:
    """Both generators and discriminators of an arm."""
    maker = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, dropout=0.0, dropout_blocks=0,
        upsample="nearest", noise_injection=True, full_resolution_head=True,
    )  # fmt: skip
    return BidirectionalConfig(
        ResidualUNetConfig(base_filters=setting.base_filters, multipliers=(1, 2, 2)),
        maker,
        PatchGANConfig(base_filters=setting.d_filters, n_layers=2, spectral_norm=True),
        weight_cycle=CYCLES.get(cycle, 0.0),
        lr_generator=setting.lr,
        lr_discriminator=setting.lr / 2,
    )


@lru_cache(maxsize=2)
def pool(scale: str, seed: int) -> PairedDataset:
    """All training pairs of a seed."""
    size = SETTINGS[scale].size
    return make_pairs("procedural", count=POOL, size=size, seed=seed, progress=False)


@lru_cache(maxsize=2)
def held_out(scale: str, seed: int) -> PairedDataset:
    """The test pairs of a seed."""
    setting = SETTINGS[scale]
    return make_pairs(
        "procedural", split="test", count=setting.test_pairs, size=setting.size, seed=seed, progress=False
    )


class Batches:
    """Batches of the first `pairs` pairs; with `unpaired` also SEM images and layouts of all, drawn apart."""

    def __init__(self, scale: str, seed: int, pairs: int, *, unpaired: bool) -> None:
        size, everything = SETTINGS[scale].batch_size, pool(scale, seed)
        self.paired = BatchSource(everything.subset(range(pairs)), "sem2layout", size, seed)
        self.apart = [BatchSource(everything, "sem2layout", size, seed + 1000 * k) for k in (1, 2)]
        self.unpaired = unpaired

    def __call__(self, step: int) -> Batch:
        batch = self.paired(step)
        if not self.unpaired:
            return batch
        one, other = (source(step) for source in self.apart)
        return {**batch, "sem": one["input"], "layout": other["target"]}


def train_arm(arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before.

    Its networks are "a", SEM -> layout, and "b", layout -> SEM.
    """
    setting, (pairs, cycle) = SETTINGS[scale], ARMS[arm]
    config = task_config(cycle, setting)
    kind = UnpairedCycleTask if cycle == UNPAIRED else BidirectionalTask
    return trained(
        lambda: kind(config, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="linear_decay", checkpoint_every=10**6
        ),
        lambda: Batches(scale, seed, pairs, unpaired=cycle == UNPAIRED),
        name="pairs-cycle",
        key={"arm": arm, "task": config, "seed": seed, "batch": setting.batch_size},
        data={"pairs": pairs, "pool": POOL, "size": setting.size},
        shown=lambda history: {"L1": history.records[-1]["loss_l1_a"] / 2},
    )


def judge(run: Trained, data: PairedDataset) -> dict[str, float]:
    """Both directions on held-out pairs.

    Returns:
        IoU, EPE (nm), defects per image: of the layouts. L1, spectrum (dB): of the SEM images. round trip:
        mean |B(A(sem)) - sem|, and the same with the layout, both in [0, 1].
    """
    sem, layout = unit_from_uint8(data.sem), unit_from_uint8(data.layout)
    reader, maker = run.networks["a"], run.networks["b"]
    read, made = translate(reader, sem), translate(maker, layout)
    edges = epe(read, layout, PIXEL_NM)
    return {
        "IoU": float(iou(read, layout).mean()),
        "EPE": float(edges.mean.nanmean()),
        "defects": float(compare_topology(read, layout).defects.double().mean()),
        "L1": float(l1(made, sem).mean()),
        "spectrum": spectrum_distance(made, sem)[0],
        "round trip, SEM": float(l1(translate(maker, read), sem).mean()),
        "round trip, layout": float(l1(translate(reader, made), layout).mean()),
    }


def run_seed(seed: int, scale: str, arms: Sequence[str] = tuple(ARMS)) -> Row:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    return {arm: judge(train_arm(arm, seed, scale), held_out(scale, seed)) for arm in arms}


def gains(table: Table, quantity: str = "IoU", cycle: str = "cycle") -> dict[str, list[float]]:
    """{"gain, 50 pairs": one value per seed, ...}: the arm with a cycle minus the arm without."""
    data = {}
    for n in COUNTS:
        arm, without = arm_name(n, cycle), arm_name(n, "no cycle")
        if arm in ARMS:
            values = table.values(quantity, arm, without)
            data[f"gain, {n} pairs"] = [a - b for a, b in zip(values[arm], values[without], strict=True)]
    return data


def few_and_many(table: Table) -> dict[str, Any]:
    """The data of G12, the means of every arm, and the gains between and of the control."""
    every = gains(table)
    numbers = {f"{arm}: {q}": v for arm, row in table.means().items() for q, v in row.items()}
    for cycle in ("cycle", UNPAIRED):
        for name, values in gains(table, cycle=cycle).items():
            numbers[f"{name}, {cycle}"] = sum(values) / len(values)
    few = [arm_name(COUNTS[0], cycle) for cycle in (UNPAIRED, "no cycle")]
    data = {
        "same pairs": {arm: every[arm] for arm in ("gain, 50 pairs", "gain, 1000 pairs")},
        "unpaired images too": table.values("IoU", *few),
    }
    return {"data": data, "numbers": numbers}


SWEEP = Sweep(
    "pairs_cycle",
    {
        f"{n} pairs": partial(run_seed, arms=[arm for arm, (count, _) in ARMS.items() if count == n])
        for n in COUNTS
    },
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], [task_config(cycle, SETTINGS[scale]) for cycle in (*CYCLES, UNPAIRED)]],
    {"G12": few_and_many},
)
