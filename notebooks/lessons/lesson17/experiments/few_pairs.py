"""Lesson 17, claims G80 to G82: a rule to stop, a leak through the split, copies, on sets of houses.

A seed decides houses, split, batches and weights of every arm.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from lessons.lesson06.exercises.translate_new import translate_new
from lessons.lesson17.exercises.copy_score import copy_score
from lessons.lesson17.exercises.split_groups import split_groups
from lessons.lesson17.exercises.stop_rule import stop_rule
from lessons.lesson17.experiments.own_pairs import (
    SETTINGS,
    Setting,
    critic,
    error,
    learn,
    part,
    play,
    translator,
)
from lessons.lesson17.facades import facades

GROUP = r"house(\d+)"
SHARE = 0.25
LEAST, PATIENCE = 8, 0.75
QUANTILE = 0.9
L1, GAN = "L1", "L1 + D"
APART, LEAKY = "by group", "leaky"


def few_arm(pairs: int) -> str:
    """The arm that is trained on so many pairs."""
    return f"{pairs} pairs"


def split(setting: Setting, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Rows to train on, to validate with and to test on."""
    names = [f"house{h:02d}_{v}" for h in range(setting.houses) for v in range(setting.views)]
    train, val, test = split_groups(names, GROUP, SHARE, torch.Generator().manual_seed(seed))
    return train, val, test


def judged_stop(seen: list[tuple[float, ...]]) -> dict[str, float]:
    """What the rule costs and saves, from (validation error, test error) of every check of a whole run.

    Returns:
        regret: test error of the kept check over the smallest of the run, minus 1. saved: share of the steps
        after the stop. error: of the kept check. last: test error of the last check over the smallest, minus
        1.
    """
    on_val, on_test = ([pair[k] for pair in seen] for k in (0, 1))
    stop, kept = stop_rule(on_val, LEAST, PATIENCE)
    best = min(on_test)
    return {
        "regret": on_test[kept] / best - 1,
        "saved": 1 - (stop + 1) / len(seen),
        "error": on_test[kept],
        "last": on_test[-1] / best - 1,
    }


def stops(setting: Setting, seed: int) -> Row:
    """L1 alone, and with a critic after a start with L1."""
    pairs = facades(setting.houses, setting.views, setting.size, seed)
    train, val, test = (part(pairs, rows) for rows in split(setting, seed))

    def watch(net: nn.Module) -> tuple[float, ...]:
        return float(error(net, val).mean()), float(error(net, test).mean())

    alone = translator(setting.width, seed)
    rows = {L1: judged_stop(learn(alone, train, setting, seed, setting.steps, watch))}
    G = translator(setting.width, seed)
    learn(G, train, setting, seed, setting.short // 2)
    seen = play(G, critic(setting.width, seed), train, setting, seed, setting.game, watch)
    return {**rows, GAN: judged_stop(seen)}


def leak(setting: Setting, seed: int) -> Row:
    """The error of the same test pictures, with and without other pictures of their houses in training."""
    pairs = facades(setting.houses, setting.views, setting.size, seed)
    train, _, test = split(setting, seed)
    tested = [i for i in test if i % setting.views == 0]
    twins = [i for i in test if i % setting.views]
    rows = {}
    for arm, chosen in ((APART, train), (LEAKY, twins + train[: len(train) - len(twins)])):
        net = translator(setting.width, seed)
        learn(net, part(pairs, chosen), setting, seed, setting.short)
        rows[arm] = {"error": float(error(net, part(pairs, tested)).mean())}
    return rows


def thumbnails(images: Tensor) -> Tensor:
    """(N, 3, S, S) -> the means of squares of 8 pixels."""
    return F.avg_pool2d(images, 8)


def copies(setting: Setting, seed: int) -> Row:
    """Share of outputs for new inputs, and for training inputs, that are nearer to one training house than
    nine of ten real new pictures are; one arm per number of pairs."""
    most = max(setting.few) // setting.views
    pairs = facades(most + setting.fresh, setting.views, setting.size, seed)
    group = torch.arange(len(pairs)) // setting.views
    new = part(pairs, range(setting.views * most, len(pairs)))
    rows = {}
    for count in setting.few:
        known = part(pairs, range(count))
        net = translator(setting.width, seed)
        learn(net, known, setting, seed, setting.short)
        targets, numbers = thumbnails(known[1]), group[:count]
        limit = copy_score(thumbnails(new[1]), targets, numbers).quantile(QUANTILE)
        found = {}
        for name, inputs in (("copies", new[0]), ("known copies", known[0])):
            made = thumbnails(translate_new(net, inputs, 16))
            found[name] = float((copy_score(made, targets, numbers) > limit).float().mean())
        rows[few_arm(count)] = {**found, "error": float(error(net, new).mean())}
    return rows


def run_seed(seed: int, scale: str) -> Row:
    """All arms of a seed: {arm: {quantity: value}}."""
    setting = SETTINGS[scale]
    return {**stops(setting, seed), **leak(setting, seed), **copies(setting, seed)}


def config(scale: str) -> Any:
    """What decides the numbers."""
    return [SETTINGS[scale], GROUP, SHARE, LEAST, PATIENCE, QUANTILE]


# ---- what the table decides


def numbers(table: Table) -> dict[str, float]:
    """For the text: the mean of every arm and quantity."""
    return {f"{arm}: {quantity}": v for arm, row in table.means().items() for quantity, v in row.items()}


def of(table: Table, arm: str, quantity: str) -> list[float]:
    """One value per seed."""
    return table.values(quantity, arm)[arm]


def stopping(table: Table) -> dict[str, Any]:
    """G80: what the rule costs with L1 and with a critic, and what it saves."""
    parts = {
        "L1: cost": of(table, L1, "regret"),
        "L1: steps saved": of(table, L1, "saved"),
        "L1 + D: cost": of(table, GAN, "regret"),
    }
    return {"data": parts, "numbers": numbers(table)}


def leaking(table: Table) -> dict[str, Any]:
    """G81: the error with a leak over the error without."""
    return {"data": {arm: of(table, arm, "error") for arm in (LEAKY, APART)}, "numbers": numbers(table)}


def copying(table: Table) -> dict[str, Any]:
    """G82: share of suspicious outputs with ten pairs, minus what real pictures have."""
    found = of(table, few_arm(SETTINGS["reduced"].few[0]), "copies")
    return {"data": [share - (1 - QUANTILE) for share in found], "numbers": numbers(table)}


SWEEP = Sweep(
    "few_pairs",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    config,
    {"G80": stopping, "G81": leaking, "G82": copying},
)
