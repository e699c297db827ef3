"""Lesson 09: the operations of one training step of the article's machine, and what two of its parts add.

Counted, not timed, so the numbers are the same on every machine (claim G18, in lesson 08, judges the time).
Beside the bidirectional step stands one of a single direction, where D has a larger share of the work.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch

from gantrans.networks import UNetConfig
from gantrans.networks.accounting import flops
from gantrans.training import Batch, Runtime
from gantrans.translation import (
    BidirectionalConfig,
    BidirectionalTask,
    Pix2PixConfig,
    Pix2PixTask,
    recipe,
)

ARMS: Mapping[str, tuple[tuple[int, ...], bool]] = {
    "neither": ((), False),
    "attention": ((0, 1), False),
    "feature matching": ((), True),
    "both": ((0, 1), True),
}
"""Places of attention, and whether features are matched."""
STEPS = ("both directions, cycle", "one direction")


def task_of(step: str, arm: str, scale: str) -> BidirectionalTask | Pix2PixTask:
    """The machine with or without the two parts; attention in its plain form, which the counter sees.

    The image buffer is off: it costs another pass of D, with and without the parts.
    """
    whole = recipe("both", scale, name="article").task
    assert isinstance(whole, BidirectionalConfig)
    assert isinstance(whole.generator_a, UNetConfig)
    places, matched = ARMS[arm]
    generator = replace(whole.generator_a, attention=places, fused_attention=False)
    weight = whole.weight_fm if matched else 0.0
    if step == STEPS[1]:
        return Pix2PixTask(Pix2PixConfig(generator, whole.discriminator, weight_fm=weight))
    return BidirectionalTask(
        replace(whole, generator_a=generator, generator_b=generator, weight_fm=weight, buffer=0)
    )


def operations(scale: str, step: str, arm: str) -> int:
    """Floating-point operations of all forward and backward passes of one step with one pair.

    The tensors have shapes and no contents ("meta"), so nothing is computed.
    """
    task = task_of(step, arm, scale)
    for network in task.networks.values():
        network.to("meta").train()
    size = recipe("both", scale, name="article").data.size
    image = torch.empty(1, 1, size, size, device="meta")
    batch: Batch = {"input": image, "target": image}
    runtime = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator())
    return flops(lambda: task.step(batch, runtime))


def added(scale: str) -> dict[str, dict[str, float]]:
    """For each kind of step the operations without the parts (in 10^9), and what they add (in percent)."""
    table = {}
    for step in STEPS:
        counts = {arm: operations(scale, step, arm) for arm in ARMS}
        plain = counts.pop("neither")
        table[step] = {
            "neither (1e9)": plain / 1e9,
            **{f"{arm} (+%)": 100 * (count / plain - 1) for arm, count in counts.items()},
        }
    return table
