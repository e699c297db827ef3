"""Lesson 08, claims G17, G31 and G32: attention in the usual task, SEM -> layout, where local cues suffice.

A seed decides weights, pairs and batches of every arm; attention has random numbers of its own, so that all
other weights of a seed are the same in all arms. Sources: Zhang et al. 2019 (SAGAN); Wang et al. 2018
(feature matching).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import fmean
from typing import Any

from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.images import unit_from_uint8
from gantrans.metrics import epe, iou
from gantrans.networks import PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig, History, fit
from gantrans.translation import Pix2PixConfig, Pix2PixTask, translate
from lessons.shared.gan_setting import GanSetting

PIXEL_NM = 20.0


@dataclass(frozen=True)
class AttentionSetting(GanSetting):
    """Of lesson 08."""


SETTINGS: Mapping[str, AttentionSetting] = {
    "smoke": AttentionSetting(32, 3, 4, 4, 32, 16, 4, 10, 1e-3, 2),
    "reduced": AttentionSetting(64, 4, 16, 16, 2048, 128, 8, 800, 1e-3, 6),
    "full": AttentionSetting(128, 5, 32, 32, 4096, 256, 16, 4000, 5e-4, 6),
}
PLACES = {"8 x 8": 8, "16 x 16": 16, "32 x 32": 32}
"""Where a single attention stands in the test of its start, and the side of its map at 64 px."""
BOTH = (0, 1)
POINTS = 40
"""So often in a run losses and gamma are noted; ten of the gammas go into the table."""
FOUNDATIONS = {"baseline": False, "stabilised": True}
"""Names in the table, and whether everything that stabilises is on."""
ADDITIONS: Mapping[str, tuple[tuple[int, ...], float]] = {
    "plain": ((), 0.0),
    "attention + FM": (BOTH, 10.0),
    "attention": (BOTH, 0.0),
    "FM": ((), 10.0),
}
"""Names in the table; where attention stands, and the weight of feature matching."""
HOSTILE = {"weight_l1": 1.0, "lr_discriminator_factor": 5.0}
"""Where D can win (lesson 06): hardly any L1, and a discriminator that learns five times as fast."""


@lru_cache(maxsize=2)
def training_pairs(scale: str, seed: int) -> PairedDataset:
    """The pairs that all arms of a seed are trained on."""
    s = SETTINGS[scale]
    return make_pairs("procedural", count=s.pairs, size=s.size, seed=seed, progress=False)


@lru_cache(maxsize=2)
def test_pairs(scale: str, seed: int) -> tuple[Tensor, Tensor]:
    """Held-out SEM images and layouts, (N, 1, S, S) in [0, 1]."""
    s = SETTINGS[scale]
    pairs = make_pairs("procedural", split="test", count=s.test_pairs, size=s.size, seed=seed, progress=False)
    return unit_from_uint8(pairs.sem), unit_from_uint8(pairs.layout)


def generator_config(scale: str, attention: tuple[int, ...], gamma: float = 0.0) -> UNetConfig:
    """The course's U-Net with attention at these places."""
    s = SETTINGS[scale]
    return UNetConfig(
        base_filters=s.base_filters, n_down=s.n_down, dropout_blocks=0, attention=attention, gamma_init=gamma
    )


def train(task: Pix2PixConfig, seed: int, scale: str, schedule: str) -> tuple[UNetGenerator, History]:
    """One run; its history has `POINTS` records, gamma among them."""
    s = SETTINGS[scale]
    every = max(1, s.steps // POINTS)
    fitting = FitConfig(s.steps, seed=seed, channels_last=True, lr_schedule=schedule, log_every=every)
    work = Pix2PixTask(task, seed)
    generator = work.generator
    assert isinstance(generator, UNetGenerator)

    def note(record: dict[str, Any]) -> None:
        record |= {f"gamma {k}": gamma for k, gamma in generator.gammas.items()}

    batches = BatchSource(training_pairs(scale, seed), "sem2layout", s.batch_size, seed)
    result = fit(work, batches, fitting, callbacks={"on_log": note}, progress=False)
    return generator, result.history


def scores(generator: UNetGenerator, scale: str, seed: int) -> dict[str, float]:
    """IoU and EPE (nm) of held-out pairs."""
    sem, layout = test_pairs(scale, seed)
    output = translate(generator, sem)
    distance = epe(output, layout, PIXEL_NM).mean
    return {"IoU": float(iou(output, layout).mean()), "EPE": float(distance.double().nanmean())}


def place_of(side: int, scale: str) -> int:
    """Which place has a map of this side; where the scale's network has none, the bottleneck, 0."""
    s = SETTINGS[scale]
    place = s.n_down - (s.size // side).bit_length() + 1  # size / 2**(n_down - place) = side
    return place if 0 <= place < s.n_down else 0


def gamma_start(seed: int, scale: str) -> Row:
    """One attention, gamma from 0 or from 1, in three places: training loss after a tenth, and at the end."""
    s, row = SETTINGS[scale], {}
    for name, side in PLACES.items():
        for gamma in (0.0, 1.0):
            config = Pix2PixConfig(
                generator_config(scale, (place_of(side, scale),), gamma), None,
                lr_generator=s.lr,
            )  # fmt: skip
            generator, history = train(config, seed, scale, "linear_decay")
            losses = [r["loss_l1"] for r in history.records if "loss_l1" in r]
            row[f"{name}, gamma {gamma:.0f}"] = {
                "early loss": losses[min(POINTS // 10, len(losses) - 1)],  # the mean right after a tenth
                "late loss": losses[-1],
                **scores(generator, scale, seed),
            }
    return row


def usual(seed: int, scale: str) -> Row:
    """L1 and the stabilised discriminator, with and without attention; gamma along the run."""
    row = {}
    for arm, attention in (("usual, plain", ()), ("usual, attention", BOTH)):
        task = adversarial_config(scale, attention, weight_fm=0.0, stabilised=True)
        generator, history = train(task, seed, scale, "linear_decay")
        gammas = {
            f"gamma {place} at {k} / 10": history.records[round(k * len(history.records) / 10) - 1][
                f"gamma {place}"
            ]
            for place in attention
            for k in range(1, 11)
        }
        row[arm] = {**scores(generator, scale, seed), **gammas}
    return row


def adversarial_config(
    scale: str, attention: tuple[int, ...], *, weight_fm: float, stabilised: bool, hostile: bool = False
) -> Pix2PixConfig:
    """The baseline of the articles (BCE, nothing else) or everything that stabilises; see lesson 06."""
    s = SETTINGS[scale]
    critic = PatchGANConfig(base_filters=s.d_filters, n_layers=2, spectral_norm=stabilised)
    config = Pix2PixConfig(
        generator_config(scale, attention), critic,
        adversarial="lsgan" if stabilised else "non_saturating",
        real_label=0.9 if stabilised else 1.0,
        weight_fm=weight_fm, lr_generator=s.lr, lr_discriminator=s.lr,
    )  # fmt: skip
    if not hostile:
        return config
    factor = HOSTILE["lr_discriminator_factor"]
    return replace(config, weight_l1=HOSTILE["weight_l1"], lr_discriminator=factor * s.lr)


def foundations(seed: int, scale: str, additions: Sequence[str] = ("plain", "attention + FM")) -> Row:
    """{baseline, stabilised} x {plain, attention + feature matching}, where D can win."""
    row = {}
    for base, stabilised in FOUNDATIONS.items():
        for extra in additions:
            attention, weight = ADDITIONS[extra]
            task = adversarial_config(scale, attention, weight_fm=weight, stabilised=stabilised, hostile=True)
            generator, history = train(task, seed, scale, "linear_decay" if stabilised else "constant")
            last = history.records[-1]
            row[f"{base}, {extra}"] = {
                **scores(generator, scale, seed),
                "D accuracy": last["d_accuracy"],
                "gradient ratio": last["gradient_ratio"],
            }
    return row


def gamma_at_the_end(table: Table) -> Mapping[str, Any]:
    """What the rule of G17 asks for: of both places, (runs with |gamma| between 0.1 and 0.3, runs)."""
    arm = "usual, attention"
    last = {
        name: table.values(f"gamma {place} at 10 / 10", arm)[arm]
        for place, name in enumerate(("bottleneck", "first decoder block"))
    }
    sizes = {name: [abs(v) for v in values] for name, values in last.items()}
    numbers = {f"{name}: positive": fmean(v > 0 for v in values) for name, values in last.items()}
    for name, values in sizes.items():
        numbers |= {
            f"{name}: mean": fmean(values),
            f"{name}: least": min(values),
            f"{name}: most": max(values),
        }
    return {
        "data": {name: (sum(0.1 <= v <= 0.3 for v in values), len(values)) for name, values in sizes.items()},
        "numbers": numbers,
    }


def gamma_from_one(table: Table) -> Mapping[str, Any]:
    """What the rule of G31 asks for."""
    data = {
        name: {
            f"gamma {g}": table.values("early loss", f"{name}, gamma {g}")[f"{name}, gamma {g}"]
            for g in (1, 0)
        }
        for name in PLACES
    }
    arms = [f"{name}, gamma {g}" for name in PLACES for g in (0, 1)]
    means = table.means(*arms)
    numbers = {f"{arm}: {q}": means[arm][q] for arm in arms for q in ("early loss", "late loss")}
    return {"data": data, "numbers": numbers}


def stability_first(table: Table) -> Mapping[str, Any]:
    """What the rule of G32 asks for: the gain in IoU on either foundation."""
    arms = [f"{base}, {extra}" for base in FOUNDATIONS for extra in ("plain", "attention + FM")]
    values = table.values("IoU", *arms)
    gains = {
        f"gain on {base}": [
            more - less
            for more, less in zip(values[f"{base}, attention + FM"], values[f"{base}, plain"], strict=True)
        ]
        for base in FOUNDATIONS
    }
    numbers = {f"{arm}: worst": min(found) for arm, found in values.items()}
    numbers |= {f"{arm}: best": max(found) for arm, found in values.items()}
    return {
        "data": gains,
        "numbers": numbers | {f"{arm}: IoU": fmean(found) for arm, found in values.items()},
    }


SWEEP = Sweep(
    "attention_training",
    {
        "gamma start": gamma_start,
        "usual": usual,
        "foundations": foundations,
        "additions": lambda seed, scale: foundations(seed, scale, ("attention", "FM")),
    },
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: SETTINGS[scale],
    {"G17": gamma_at_the_end, "G31": gamma_from_one, "G32": stability_first},
)
