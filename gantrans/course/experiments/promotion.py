"""Lesson 12, claims G26 and G39: what different rules promote, over thousands of simulated challengers.

A simulated challenger is a set of differences of quality, challenger minus champion, one per held-out image:
an effect of the layout, which its images share, plus an effect of the image. An equal challenger has mean 0.
Deciding on simulated challengers is the only way to know a rule's error rate: of real ones nobody knows
whether they are equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gantrans.course.experiments.registry import experiment
from gantrans.operations.gate import Array, Compared, GateConfig, decide, lower_bound

RULES = ("mean SSIM > 0", "image bootstrap", "cluster bootstrap")
"""The parts of G26."""
GATE = "whole gate"
GAINS = (0.0, 0.005, 0.01, 0.02)
LAYOUTS = (12, 20, 39, 40, 60, 120)
LATENCIES = (1.0, 1.2, 1.3, 3.0)


@dataclass(frozen=True)
class Hold:
    """A hold-out: how many layouts, images of each, and the standard deviations of the two effects.

    By default half of the variance lies between layouts; lesson 12 measures that share on real ones.
    """

    layouts: int = 60
    images: int = 5
    layout_sd: float = 0.021
    image_sd: float = 0.021
    skewed: bool = False

    @property
    def clusters(self) -> list[str]:
        """The layout of each image."""
        return [f"layout {i:03d}" for i in range(self.layouts) for _ in range(self.images)]

    @property
    def inside(self) -> float:
        """Share of the variance that images of a layout have in common (intraclass correlation)."""
        return self.layout_sd**2 / (self.layout_sd**2 + self.image_sd**2)

    def draw(self, generator: np.random.Generator, gain: float = 0.0) -> Array:
        """The differences of one challenger, (layouts * images,); `skewed`: a few layouts lose much."""
        shared = generator.standard_normal(self.layouts)
        if self.skewed:
            shared = 1.0 - generator.exponential(size=self.layouts)  # mean 0, standard deviation 1
        own = generator.standard_normal((self.layouts, self.images))
        return (gain + self.layout_sd * shared[:, None] + self.image_sd * own).ravel()


@dataclass(frozen=True)
class PromotionSetting:
    """How many challengers, by scale."""

    challengers: int
    gated: int


SETTINGS: Mapping[str, PromotionSetting] = {
    "smoke": PromotionSetting(40, 10),
    "reduced": PromotionSetting(2000, 500),
    "full": PromotionSetting(10_000, 2000),
}


def promotes(rule: str, differences: Array, hold: Hold, config: GateConfig | None = None) -> bool:
    """Whether a rule would promote a challenger with these differences."""
    config = config or GateConfig()
    if rule == "mean SSIM > 0":
        return bool(differences.mean() > 0)
    if rule == GATE:
        return bool(gate(differences, hold, config=config).promoted)
    groups = hold.clusters
    if rule == "image bootstrap":
        groups = [str(i) for i in range(len(differences))]
    bound = lower_bound(
        differences, groups, alpha=config.alpha, few_clusters=config.few_clusters,
        fewest_clusters=config.fewest_clusters, resamples=config.resamples,
    )  # fmt: skip
    return bound is not None and bound > 0


def gate(
    differences: Array,
    hold: Hold,
    *,
    old: Array | None = None,
    slower: float = 1.0,
    seed: int = 0,
    config: GateConfig | None = None,
) -> Any:
    """The whole gate on a simulated challenger: equal on old images unless given, `slower` times as slow."""
    generator = np.random.default_rng(seed)
    base = np.full(len(differences), 0.8)
    families = [("line_space", "contact", "jog")[i // hold.images % 3] for i in range(len(differences))]
    sound = np.zeros(len(differences))

    def compared(change: Array) -> Compared:
        return Compared(base, base + change, hold.clusters, families, sound, sound)

    unchanged = np.zeros(len(differences)) if old is None else old
    seconds = 0.02 * generator.lognormal(0.0, 0.1, size=(2, 60))  # p95 scatters, as on a real machine
    return decide(
        compared(differences), compared(unchanged), latency=(seconds[0], slower * seconds[1]),
        smoke_problem="", config=config,
    )  # fmt: skip


def share(rule: str, hold: Hold, count: int, *, gain: float = 0.0, seed: int = 0) -> tuple[int, int]:
    """(promoted, challengers) of a rule over independent challengers of one gain."""
    generator = np.random.default_rng(seed)
    return sum(promotes(rule, hold.draw(generator, gain), hold) for _ in range(count)), count


@experiment("G26")
def equal_challengers(scale: str) -> dict[str, Any]:
    """Share of equal challengers that each rule promotes; further numbers on power and few layouts."""
    setting = SETTINGS[scale]
    hold, many = Hold(), setting.challengers
    data = {rule: share(rule, hold, many, seed=1) for rule in RULES}
    numbers: dict[str, float] = {
        "share of variance between layouts": hold.inside,
        "alpha": GateConfig().alpha,
    }

    def rate(rule: str, where: Hold, count: int = many, **options: Any) -> float:
        promoted, of = share(rule, where, count, **options)
        return promoted / of

    numbers[f"{GATE}: gain 0"] = rate(GATE, hold, setting.gated, seed=2)
    for gain in GAINS[1:]:
        numbers |= {f"{rule}: gain {gain:g}": rate(rule, hold, gain=gain, seed=3) for rule in RULES}
        numbers[f"{GATE}: gain {gain:g}"] = rate(GATE, hold, setting.gated, gain=gain, seed=3)
    for layouts in LAYOUTS:
        numbers[f"{layouts} layouts"] = rate(RULES[2], Hold(layouts=layouts), seed=4)
        plain = partial(lower_bound, alpha=0.01, few_clusters=2, resamples=4000)
        few, generator = Hold(layouts=layouts), np.random.default_rng(4)
        wide = sum((plain(few.draw(generator), few.clusters) or 0.0) > 0 for _ in range(many))
        numbers[f"{layouts} layouts, bootstrap"] = wide / many
    numbers["skewed"] = rate(RULES[2], Hold(skewed=True), seed=5)
    for rule in RULES:
        one = data[rule][0] / data[rule][1]
        numbers[f"{rule}: one of twelve"] = 1 - (1 - one) ** 12
    return {"data": data, "numbers": numbers, "config": [setting, hold, GateConfig()]}


def latency_share(count: int, slower: float, *, gain: float = 0.04, seed: int = 0) -> tuple[int, int]:
    """(refused, challengers): `gain` better (0.04 of 0.8 is 5 %) and `slower` times as slow."""
    hold, generator = Hold(), np.random.default_rng(seed)
    decisions = [gate(hold.draw(generator, gain), hold, slower=slower, seed=seed + k) for k in range(count)]
    return sum(not decision.promoted for decision in decisions), count


@experiment("G39")
def slow_challengers(scale: str) -> dict[str, Any]:
    """Share refused among challengers that are 5 % better and three times slower; others beside them."""
    setting = SETTINGS[scale]
    refused = {slower: latency_share(setting.gated, slower) for slower in LATENCIES}
    numbers = {f"{slower:g} times as slow: refused": k / n for slower, (k, n) in refused.items()}
    return {"data": refused[3.0], "numbers": numbers, "config": [setting, Hold(), GateConfig()]}
