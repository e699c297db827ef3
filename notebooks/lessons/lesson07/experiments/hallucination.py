"""Lesson 07, claims G21 and G40: SEM -> layout of dim images, learnt from arrays that are (mostly) regular.

What does the network draw where the rule of the array is broken? Tested on a missing line, a wider gap and
a doubled contact (`arrays.py`). Unless an arm's name says otherwise, L1 has weight 10 beside an adversarial
term of weight 1: there the adversarial term has a say (`loss_weights.py`). A seed decides clips, batches and
weights of every arm; two shares of regular clips differ in the clips between them alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantrans.data import BatchSource
from gantrans.images import unit_from_uint8
from gantrans.metrics import compare_topology, iou
from gantrans.networks import PatchGANConfig, UNetConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig
from gantrans.translation import BidirectionalConfig, BidirectionalTask
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.predictor import Generator, translate
from lessons.lesson07.experiments.arrays import (
    KINDS,
    Arrays,
    completed,
    count_features,
    make_arrays,
    without_specks,
)
from lessons.shared.trained import trained


class Arm(NamedTuple):
    """What an arm is trained on and by: the share of regular clips, and the weights of its loss."""

    regular: float
    weight_l1: float = 10.0
    weight_gan: float = 1.0
    weight_cycle: float | None = None
    """None: one direction; else both directions with this weight of the cycle loss."""


ARMS: Mapping[str, Arm] = {
    "regular only": Arm(1.0),
    "95 % regular": Arm(0.95),
    "80 % regular": Arm(0.8),
    "mixed": Arm(0.5),
    "regular only, L1 only": Arm(1.0, weight_gan=0.0),
    "95 % regular, L1 only": Arm(0.95, weight_gan=0.0),
    "80 % regular, L1 only": Arm(0.8, weight_gan=0.0),
    "L1 weight 100": Arm(1.0, weight_l1=100.0),
    "no cycle": Arm(1.0, weight_cycle=0.0),
    "cycle": Arm(1.0, weight_cycle=10.0),
}
LIVE = ("regular only", "mixed")
"""The arms that the lesson trains again."""
SAME = {"L1 weight 10": "regular only", "95 % regular, GAN": "95 % regular"}
"""Names in the rules of an arm that has another one here."""


@dataclass(frozen=True)
class ArraySetting:
    """Sizes of the experiment at one scale; a quarter of the test clips is regular."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    clips: int
    test_clips: int
    batch_size: int
    steps: int
    lr: float
    seeds: int


SETTINGS: Mapping[str, ArraySetting] = {
    "smoke": ArraySetting(64, 5, 4, 4, 40, 12, 2, 3, 1e-3, 2),
    "reduced": ArraySetting(64, 5, 16, 16, 1024, 160, 8, 500, 1e-3, 6),
    "full": ArraySetting(64, 5, 32, 32, 4096, 320, 16, 3000, 5e-4, 6),
}


@lru_cache(maxsize=4)
def clips(scale: str, seed: int, regular: float) -> Arrays:
    """The training clips of a seed and a share."""
    setting = SETTINGS[scale]
    return make_arrays(setting.clips, regular, seed, "train", size=setting.size)


@lru_cache(maxsize=2)
def test_clips(scale: str, seed: int) -> Arrays:
    """The test clips of a seed, a quarter of them regular."""
    setting = SETTINGS[scale]
    return make_arrays(setting.test_clips, 0.25, seed, "test", size=setting.size)


test_clips.__test__ = False  # type: ignore[attr-defined]  # its name would make pytest run it


def task_config(arm: str, setting: ArraySetting) -> Pix2PixConfig | BidirectionalConfig:
    """The network sees the whole clip: its bottleneck has 2 x 2 places, so it can know the pitch."""
    chosen = ARMS[arm]
    reader = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, dropout=0.0, dropout_blocks=0
    )
    critic = PatchGANConfig(base_filters=setting.d_filters, n_layers=2, spectral_norm=True)
    if chosen.weight_cycle is None:
        return Pix2PixConfig(
            reader, critic if chosen.weight_gan else None, weight_l1=chosen.weight_l1,
            weight_gan=chosen.weight_gan, lr_generator=setting.lr, lr_discriminator=setting.lr / 2,
        )  # fmt: skip
    maker = UNetConfig(
        base_filters=setting.base_filters, n_down=4, dropout=0.0, dropout_blocks=0, upsample="nearest",
        noise_injection=True, full_resolution_head=True,
    )  # fmt: skip
    return BidirectionalConfig(
        reader, maker, critic, weight_l1=chosen.weight_l1, weight_gan=chosen.weight_gan,
        weight_cycle=chosen.weight_cycle, buffer=0, lr_generator=setting.lr, lr_discriminator=setting.lr / 2,
    )  # fmt: skip


def make_task(config: Pix2PixConfig | BidirectionalConfig, seed: int) -> Pix2PixTask | BidirectionalTask:
    """The task that a configuration describes."""
    if isinstance(config, BidirectionalConfig):
        return BidirectionalTask(config, seed)
    return Pix2PixTask(config, seed)


def train_arm(arm: str, seed: int, scale: str) -> Generator:
    """The generator SEM -> layout of one arm and seed: train it, or load it if this machine has before."""
    setting = SETTINGS[scale]
    config = task_config(arm, setting)
    name, loss = ("a", "loss_l1_a") if isinstance(config, BidirectionalConfig) else ("generator", "loss_l1")

    def batches() -> BatchSource:
        pairs = clips(scale, seed, ARMS[arm].regular).pairs
        return BatchSource(pairs, "sem2layout", setting.batch_size, seed, stratified=False)

    run = trained(
        lambda: make_task(config, seed),
        FitConfig(
            setting.steps, seed=seed, channels_last=True, lr_schedule="one_cycle", checkpoint_every=10**6
        ),
        batches,
        name="hallucination",
        key={"task": config, "seed": seed, "batch": setting.batch_size},
        data={"clips": setting.clips, "regular": ARMS[arm].regular, "size": setting.size},
        shown=lambda history: {"L1": history.records[-1][loss] / 2},
    )
    network: Generator = run.networks[name]
    return network


def judge(read: Tensor, test: Arrays) -> dict[str, float]:
    """Predicted layouts (N, 1, S, S) in [0, 1] of the test clips against the drawn ones.

    Returns, as means per irregular image:
        count error: |features predicted - features drawn|. completed: 1 where the irregular place shows what
        the array's rule says, see `arrays.completed`; also by kind. extra, missing, bridges, opens: by
        `compare_topology`. IoU. And of the regular images: "count error, regular", "IoU, regular". Specks do
        not count anywhere.
    """
    layout, clean = without_specks(unit_from_uint8(test.pairs.layout)), without_specks(read)
    topology, overlap = compare_topology(clean, layout), iou(clean, layout)
    error = (count_features(clean) - count_features(layout)).abs().double()
    irregular = torch.tensor([place is not None for place in test.places])
    numbers = {"count error": float(error[irregular].mean()), "IoU": float(overlap[irregular].mean())}
    for name in ("extra", "missing", "bridges", "opens"):
        numbers[name] = float(getattr(topology, name)[irregular].double().mean())
    found = {
        kind: [
            float(completed(image, place))
            for image, place, family in zip(read, test.places, test.pairs.family, strict=True)
            if place is not None and family == kind
        ]
        for kind in KINDS
    }
    everywhere = [value for values in found.values() for value in values]
    numbers["completed"] = sum(everywhere) / len(everywhere)
    numbers |= {f"completed, {kind}": sum(values) / len(values) for kind, values in found.items()}
    numbers["count error, regular"] = float(error[~irregular].mean())
    numbers["IoU, regular"] = float(overlap[~irregular].mean())
    return numbers


def read_layouts(network: Generator, test: Arrays) -> Tensor:
    """What a network makes of the test images, (N, 1, S, S) in [0, 1]."""
    return translate(network, unit_from_uint8(test.pairs.sem))


def run_seed(seed: int, scale: str, arms: Sequence[str] = tuple(ARMS)) -> Row:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    test = test_clips(scale, seed)
    return {arm: judge(read_layouts(train_arm(arm, seed, scale), test), test) for arm in arms}


def by_rule(table: Table, quantity: str, *names: str) -> dict[str, list[float]]:
    """Values per seed of arms under the names that a rule gives them."""
    arms = {name: SAME.get(name, name) for name in names}
    values = table.values(quantity, *arms.values())
    return {name: values[arm] for name, arm in arms.items()}


def _numbers(table: Table) -> dict[str, float]:
    return {f"{arm}: {q}": v for arm, row in table.means().items() for q, v in row.items()}


def invented(table: Table) -> dict[str, Any]:
    """The data of G21 and the means of every arm."""
    parts = {
        "regular arrays only": ("regular only", "mixed"),
        "L1 weight": ("L1 weight 10", "L1 weight 100"),
        "cycle": ("no cycle", "cycle"),
    }
    data = {part: by_rule(table, "completed", *arms) for part, arms in parts.items()}
    return {"data": data, "numbers": _numbers(table)}


def wrongly_completed(table: Table) -> dict[str, Any]:
    """The data of G40 and the means of every arm."""
    parts = {
        "regular share": ("95 % regular", "80 % regular"),
        "adversarial term": ("95 % regular, GAN", "95 % regular, L1 only"),
    }
    data = {part: by_rule(table, "completed", *arms) for part, arms in parts.items()}
    return {"data": data, "numbers": _numbers(table)}


GROUPS: Mapping[str, Sequence[str]] = {
    "regular": ("regular only", "regular only, L1 only"),
    "95 %": ("95 % regular", "95 % regular, L1 only"),
    "80 %": ("80 % regular", "80 % regular, L1 only"),
    "mixed": ("mixed", "L1 weight 100"),
    "no cycle": ("no cycle",),
    "cycle": ("cycle",),
}
"""Arms that one unit of the sweep's work trains together."""

SWEEP = Sweep(
    "hallucination",
    {name: partial(run_seed, arms=arms) for name, arms in GROUPS.items()},
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: [SETTINGS[scale], [[*ARMS[arm], task_config(arm, SETTINGS[scale])] for arm in ARMS]],
    {"G21": invented, "G40": wrongly_completed},
)
