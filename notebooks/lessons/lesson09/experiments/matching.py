"""Lesson 09, claims G13, G14 and G29: what feature matching does, and what detaching the real features does.

Both directions; a seed decides weights, pairs and batches of every arm. layout -> SEM has fixed imaging
conditions, noise at every decoder level and L1 weight 10, so that texture can come. Sources: Salimans et al.
2016; Wang et al. 2018 (pix2pixHD).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gantrans.data import BatchSource, PairedDataset, make_pairs
from gantrans.data.imaging import DEFAULT
from gantrans.images import network_from_uint8, unit_from_uint8
from gantrans.metrics import epe, iou, l1, psnr
from gantrans.networks import PatchGAN, PatchGANConfig, UNetConfig, UNetGenerator
from gantrans.teaching.sweeps.registry import experiment
from gantrans.teaching.sweeps.sweep import RunSeed, Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.training import FitConfig, History
from gantrans.translation import Pix2PixConfig, Pix2PixTask, feature_matching, translate
from lessons.lesson05.experiments.patches import spectrum_distance
from lessons.shared.gan_setting import GanSetting
from lessons.shared.trained import Trained, trained

PIXEL_NM = 20.0
ARMS: Mapping[str, tuple[float, str]] = {
    "without": (0.0, "mean"),
    "feature matching": (10.0, "mean"),
    "feature matching, summed": (10.0, "sum"),
}
"""Arms: weight and convention of feature matching."""
L1_ONLY = "L1 only"
DIRECTIONS = ("layout2sem", "sem2layout")


@dataclass(frozen=True)
class MatchingSetting(GanSetting):
    """Of lesson 09."""


SETTINGS: Mapping[str, MatchingSetting] = {
    "smoke": MatchingSetting(32, 3, 4, 4, 32, 16, 4, 10, 5e-4, 2),
    "reduced": MatchingSetting(64, 4, 16, 16, 2048, 128, 4, 800, 5e-4, 6),
    "full": MatchingSetting(256, 5, 32, 48, 2000, 64, 4, 4000, 5e-4, 6),
}


@lru_cache(maxsize=4)
def pairs(split: str, setting: MatchingSetting, seed: int, direction: str) -> PairedDataset:
    """Training or held-out pairs; for layout -> SEM the imaging conditions are fixed."""
    imaging = DEFAULT.fixed() if direction == "layout2sem" else None
    count = setting.pairs if split == "train" else setting.test_pairs
    return make_pairs(
        "procedural", split=split, count=count, size=setting.size, seed=seed, imaging=imaging, progress=False
    )


def task_config(arm: str, direction: str, setting: MatchingSetting) -> Pix2PixConfig:
    """An arm's training; least squares, spectral norm, D with a field of 34 px."""
    texture = direction == "layout2sem"
    generator = UNetConfig(
        base_filters=setting.base_filters, n_down=setting.n_down, dropout_blocks=0, upsample="nearest",
        noise_injection=texture, full_resolution_head=texture,
    )  # fmt: skip
    critic = PatchGANConfig(base_filters=setting.d_filters, n_layers=2, spectral_norm=True)
    weight, convention = ARMS.get(arm, (0.0, "mean"))
    return Pix2PixConfig(
        generator, None if arm == L1_ONLY else critic, weight_l1=10.0 if texture else 100.0,
        weight_fm=weight, fm_convention=convention, lr_generator=setting.lr, lr_discriminator=setting.lr,
    )  # fmt: skip


def train(arm: str, direction: str, seed: int, setting: MatchingSetting) -> tuple[Trained, History]:
    """One run and its log; loaded if this machine has trained it before."""
    config = task_config(arm, direction, setting)
    run = trained(
        lambda: Pix2PixTask(config, seed),
        FitConfig(
            setting.steps,
            seed=seed,
            channels_last=True,
            lr_schedule="linear_decay",
            log_every=1,
            checkpoint_every=10**6,
        ),
        lambda: BatchSource(pairs("train", setting, seed, direction), direction, setting.batch_size, seed),
        name="matching",
        key={"task": config, "seed": seed, "batch": setting.batch_size},
        data=[setting, direction],
    )
    return run, run.history


def edge_slope(images: Tensor) -> Tensor:
    """Sharpness of images in [0, 1], (N,): the 95th percentile of the grey-value step between neighbours.

    A drawn layout, whose edges are one step wide, has 1.
    """
    across = images.diff(dim=-1).abs().flatten(1)
    down = images.diff(dim=-2).abs().flatten(1)
    return torch.quantile(torch.cat((across, down), 1), 0.95, dim=1)


def scores(
    run: Trained, history: History, direction: str, setting: MatchingSetting, seed: int
) -> dict[str, float]:
    """Held-out quality of a run, and how its adversarial gradient behaved in the second half."""
    data = pairs("test", setting, seed, direction)
    inputs, targets = (unit_from_uint8(x) for x in data.roles(direction))
    output = translate(run.generator, inputs)
    numbers = {
        "L1": float(l1(output, targets).mean()),
        "PSNR": float(psnr(output, targets, data_range=1.0).mean()),
    }
    if direction == "layout2sem":
        numbers["spectrum"], numbers["texture"] = spectrum_distance(output, targets)
        other = translate(run.generator, inputs, seed=1)
        numbers["diversity"] = float((output - other).std())
    else:
        numbers["IoU"] = float(iou(output, targets).mean())
        numbers["EPE"] = float(epe(output, targets, PIXEL_NM).mean.double().nanmean())
        numbers["edge slope"] = float(edge_slope(output).mean())
        numbers["grey"] = float(((output > 0.1) & (output < 0.9)).double().mean())
    late = history.records[len(history.records) // 2 :]
    if "gradient_gan" in late[0]:
        norms = np.array([record["gradient_gan"] for record in late])
        numbers["gradient mean"], numbers["gradient variance"] = float(norms.mean()), float(norms.var())
        numbers["D accuracy"] = float(np.mean([record["d_accuracy"] for record in late]))
    return numbers


def run_direction(
    direction: str, seed: int, setting: MatchingSetting, arms: Sequence[str] = (*ARMS, L1_ONLY)
) -> Row:
    """Arms of one direction with one seed."""
    return {
        f"{direction}, {arm}": scores(*train(arm, direction, seed, setting), direction, setting, seed)
        for arm in arms
    }


def settings(
    sizes: Mapping[str, MatchingSetting], arms: Sequence[str], directions: Sequence[str] = DIRECTIONS
) -> Mapping[str, RunSeed]:
    """A sweep's settings: a direction each, with these sizes per scale."""

    def one(direction: str) -> RunSeed:
        return lambda seed, scale: run_direction(direction, seed, sizes[scale], arms)

    return {direction: one(direction) for direction in directions}


def configs(
    setting: MatchingSetting, arms: Sequence[str], directions: Sequence[str] = DIRECTIONS
) -> list[Any]:
    """What a sweep of these arms depends on."""
    return [setting, *(task_config(arm, d, setting) for d in directions for arm in arms)]


def sharper_and_steadier(table: Table) -> Mapping[str, Any]:
    """What the rule of G29 asks for, layout -> SEM."""
    data = {}
    for part, quantity in (("spectrum distance", "spectrum"), ("gradient variance", "gradient variance")):
        data[part] = {
            arm: table.values(quantity, f"layout2sem, {arm}")[f"layout2sem, {arm}"]
            for arm in ("feature matching", "without")
        }
    means = table.means()
    return {"data": data, "numbers": {f"{a}: {q}": v for a, row in means.items() for q, v in row.items()}}


SWEEP = Sweep(
    "matching",
    settings(SETTINGS, (*ARMS, L1_ONLY)),
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: configs(SETTINGS[scale], (*ARMS, L1_ONLY)),
    {"G29": sharper_and_steadier},
)


@dataclass(frozen=True)
class Detached:
    """Gradients of one feature-matching loss, with or without `.detach()` on the real features."""

    generator: Tensor
    """All gradients of G, one vector."""
    discriminator: float
    """Norm of what the loss leaves in D's gradients."""


def detach_gradients(detach: bool, *, size: int = 64, filters: int = 16, seed: int = 0) -> Detached:
    """Written out, without the library's step: both passes through D, D not frozen, one backward pass."""
    generator = UNetGenerator(UNetConfig(base_filters=filters, n_down=4, dropout_blocks=0), seed)
    critic = PatchGAN(PatchGANConfig(base_filters=filters, n_layers=2), seed)
    source, target = network_from_uint8(
        torch.stack(
            [*make_pairs("procedural", count=4, size=size, seed=seed, progress=False).roles("sem2layout")]
        )
    )
    real = critic(source, target).features
    shown = critic(source, generator(source)).features
    wanted = [r.detach() if detach else r for r in real]
    torch.stack([F.l1_loss(f, r) for f, r in zip(shown, wanted, strict=True)]).mean().backward()
    return Detached(
        torch.cat([p.grad.flatten() for p in generator.parameters() if p.grad is not None]),
        float(torch.cat([p.grad.flatten() for p in critic.parameters() if p.grad is not None]).norm()),
    )


@experiment("G13")
def detach_real_features(scale: str) -> dict[str, Any]:
    """Exact at every scale: G's gradient with and without detach, and D's."""
    on, off = detach_gradients(True), detach_gradients(False)
    return {
        "data": float((on.generator - off.generator).abs().max()),
        "numbers": {
            "D's gradient, detached": on.discriminator,
            "D's gradient, not detached": off.discriminator,
        },
    }


@experiment("G14")
def two_conventions(scale: str) -> dict[str, Any]:
    """Exact at every scale: the gradient at the fake under either convention."""
    critic = PatchGAN(PatchGANConfig(base_filters=16))
    generator = torch.Generator().manual_seed(0)
    source, target, fake = torch.rand(3, 2, 1, 64, 64, generator=generator) * 2 - 1
    fake.requires_grad_()
    norms = {}
    for convention in ("mean", "sum"):
        loss = feature_matching(critic(source, target).features, critic(source, fake).features, convention)
        norms[convention] = float(torch.autograd.grad(loss, fake)[0].norm())
    return {"data": norms["sum"] / norms["mean"], "numbers": norms}
