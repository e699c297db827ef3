"""Lesson 12, claims G26 and G39: what different rules promote, over thousands of simulated challengers.

A simulated challenger is a set of differences of quality, challenger minus champion, one per held-out image:
an effect of the layout, which its images share, plus an effect of the image. An equal challenger has mean 0.
For the whole gate it also has changes on old images, and opens and bridges on both hold-outs, without trend,
so that every check but the timing and the smoke inference now and then refuses an equal model. Deciding on
simulated challengers is the only way to know a rule's error rate: of real ones nobody knows whether they are
equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from gantrans.operations.promotion.gate import (
    Array,
    Compared,
    Decision,
    GateConfig,
    decide,
    defect_check,
    lower_bound,
)
from gantrans.teaching.sweeps.registry import experiment

RULES = ("mean > 0", "image bootstrap", "cluster bootstrap")
"""The parts of G26."""
GATES: Mapping[str, GateConfig] = {
    "gate, defects counted": GateConfig(),
    "gate, defects by bound": GateConfig(defect_rule="bound"),
}
FAMILIES = ("line_space", "contact", "jog")
OLD_FAMILIES = (0.02, 0.0, -0.02)
"""On old images one family gains what another loses."""
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
class Defects:
    """Opens and bridges per image of champion and challenger.

    common: what both models get wrong. champion, challenger: what each gets wrong alone, Poisson counts.
    uneven: squared variation coefficient of a model's own rate between layouts (gamma distributed).
    """

    common: float
    champion: float
    challenger: float
    uneven: float

    def draw(self, hold: Hold, generator: np.random.Generator) -> tuple[Array, Array]:
        """Counts of (champion, challenger), each (layouts * images,)."""
        size = (hold.layouts, hold.images)
        common = generator.poisson(self.common, size)
        sides = []
        for mean in (self.champion, self.challenger):
            rate = mean * generator.gamma(1 / self.uneven, self.uneven, (hold.layouts, 1))
            sides.append((common + generator.poisson(rate, size)).ravel().astype(np.float64))
        return sides[0], sides[1]


NEW_DEFECTS, OLD_DEFECTS = Defects(3.0, 3.0, 3.0, 0.25), Defects(0.9, 0.9, 0.9, 0.05)
"""Of equal models; the sizes are those of lesson 12's champion and challengers."""
DEFECT_CASES: Mapping[str, Defects] = {
    "none, and none": Defects(0.0, 0.0, 0.0, 0.25),
    "none, and 1 in 100 images": Defects(0.0, 0.0, 0.01, 0.25),
    "1 in 10 images, equal": Defects(0.0, 0.1, 0.1, 0.25),
    "6 per image, equal": NEW_DEFECTS,
    "6 and 7 per image": Defects(3.0, 3.0, 4.0, 0.25),
}
"""The champion's and the challenger's, in words."""
DEFECT_CONFIGS: Mapping[str, GateConfig] = {
    "count": GateConfig(),
    "bound": GateConfig(defect_rule="bound"),
    "margin of 0.5": GateConfig(defect_rule="margin", defect_margin=0.5),
}


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


def promotes(rule: str, differences: Array, hold: Hold, others: np.random.Generator) -> bool:
    """Whether a rule would promote a challenger with these differences; `others` draws what else it shows."""
    if rule == "mean > 0":
        return bool(differences.mean() > 0)
    if rule in GATES:
        return whole(differences, hold, others, GATES[rule]).promoted
    groups = hold.clusters
    if rule == "image bootstrap":
        groups = [str(i) for i in range(len(differences))]
    bound = lower_bound(differences, groups)
    return bound is not None and bound > 0


def whole(differences: Array, hold: Hold, generator: np.random.Generator, config: GateConfig) -> Decision:
    """The whole gate on a challenger that is equal in everything but these differences on new images."""
    families = np.resize(np.repeat(OLD_FAMILIES, hold.images), len(differences))
    return gate(
        differences, hold, old=hold.draw(generator) + families,
        defects=(NEW_DEFECTS.draw(hold, generator), OLD_DEFECTS.draw(hold, generator)),
        seed=int(generator.integers(2**31)), config=config,
    )  # fmt: skip


def gate(
    differences: Array,
    hold: Hold,
    *,
    old: Array | None = None,
    defects: tuple[tuple[Array, Array], tuple[Array, Array]] | None = None,
    slower: float = 1.0,
    seed: int = 0,
    config: GateConfig | None = None,
) -> Decision:
    """The gate on a simulated challenger, `slower` times as slow.

    Args:
        old: differences on old images; none unless given.
        defects: on new and on old images, each of (champion, challenger); none unless given.
    """
    generator = np.random.default_rng(seed)
    base, sound = np.full(len(differences), 0.8), np.zeros(len(differences))
    families = [FAMILIES[i // hold.images % 3] for i in range(len(differences))]
    changes = (differences, sound if old is None else old)
    new, known = (
        Compared(base, base + change, hold.clusters, families, *counts)
        for change, counts in zip(changes, defects or ((sound, sound),) * 2, strict=True)
    )
    seconds = 0.02 * generator.lognormal(0.0, 0.1, size=(2, 60))  # p95 scatters, as on a real machine
    return decide(new, known, latency=(seconds[0], slower * seconds[1]), smoke_problem="", config=config)


def share(rule: str, hold: Hold, count: int, *, gain: float = 0.0, seed: int = 0) -> tuple[int, int]:
    """(promoted, challengers) of a rule over independent challengers of one gain."""
    generator, others = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    return sum(promotes(rule, hold.draw(generator, gain), hold, others) for _ in range(count)), count


def refused_for_defects(defects: Defects, config: GateConfig, count: int, hold: Hold | None = None) -> float:
    """Share of challengers that a rule refuses for their opens and bridges on one hold-out."""
    hold, generator = hold or Hold(), np.random.default_rng(0)
    level, clusters = np.zeros(hold.layouts * hold.images), hold.clusters
    total = 0
    for _ in range(count):
        counts = defects.draw(hold, generator)
        compared = Compared(level, level, clusters, clusters, *counts)
        total += defect_check("new", compared, config).passed is not True
    return total / count


def failures(hold: Hold, count: int, gain: float = 0.02) -> dict[str, float]:
    """Per check the share of challengers, better on new images and worse in nothing, that it refuses."""
    generator, others = np.random.default_rng(6), np.random.default_rng([6, 1])
    shares: dict[str, float] = {}
    for _ in range(count):
        differences, state = hold.draw(generator, gain), others.bit_generator.state
        for config in GATES.values():
            others.bit_generator.state = state  # both gates see the same challenger
            for check in whole(differences, hold, others, config).checks:
                rule = f", {config.defect_rule}" if "topology" in check.name else ""
                key = f"refused by {check.name}{rule}"
                weight = 1 / count if rule else 1 / count / len(GATES)  # the other checks agree
                shares[key] = shares.get(key, 0.0) + weight * (check.passed is not True)
    return shares


class Year(NamedTuple):
    """Share of years with a promotion, of all challengers that were promoted, and the mean gain that those
    showed on the hold-out."""

    promoting: float
    promoted: float
    claimed: float


Years = Mapping[str, Year]
NEW_EACH, SAME_ALL = "a new one for each", "one for all twelve"


def winners(years: int, seed: int = 0) -> Years:
    """Twelve challengers a year, each as good as the champion, by how the hold-out is used.

    A difference is the challenger's luck minus the champion's, of equal size. On one hold-out for all twelve
    the champion's luck is the same every time, and every challenger meets it again.
    """
    found = {}
    for name in (NEW_EACH, SAME_ALL):
        generator, promoting, claimed = np.random.default_rng(seed), 0, []
        half = Hold(layout_sd=Hold().layout_sd / 2**0.5, image_sd=Hold().image_sd / 2**0.5)
        for _ in range(years):
            champion, gains = half.draw(generator), []
            for _ in range(12):
                if name == NEW_EACH:
                    champion = half.draw(generator)
                differences = half.draw(generator) - champion
                bound = lower_bound(differences, half.clusters)
                if bound is not None and bound > 0:
                    gains.append(float(differences.mean()))
            promoting += bool(gains)
            claimed += gains
        seen = float(np.mean(claimed)) if claimed else np.nan
        found[name] = Year(promoting / years, len(claimed) / (12 * years), seen)
    return found


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

    for name in GATES:
        numbers[f"{name}: gain 0"] = rate(name, hold, seed=2)
    for gain in GAINS[1:]:
        numbers |= {f"{rule}: gain {gain:g}": rate(rule, hold, gain=gain, seed=3) for rule in RULES}
        numbers |= {
            f"{name}: gain {gain:g}": rate(name, hold, setting.gated, gain=gain, seed=3) for name in GATES
        }
    numbers |= failures(hold, setting.gated)
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
    config = [setting, hold, *GATES.values(), NEW_DEFECTS, OLD_DEFECTS]
    return {"data": data, "numbers": numbers, "config": config}


def latency_share(count: int, slower: float, *, gain: float = 0.04, seed: int = 0) -> tuple[int, int]:
    """(refused, challengers): `gain` better (0.04 of 0.8 is 5 %) and `slower` times as slow."""
    hold, generator = Hold(), np.random.default_rng(seed)
    decisions = [gate(hold.draw(generator, gain), hold, slower=slower, seed=seed + k) for k in range(count)]
    return sum(not decision.promoted for decision in decisions), count


@experiment("G39")
def slow_challengers(scale: str) -> dict[str, Any]:
    """Share refused among challengers that are 5 % better and just within or beyond the limit on latency."""
    setting = SETTINGS[scale]
    refused = {slower: latency_share(setting.gated, slower) for slower in LATENCIES}
    numbers = {f"{slower:g} times as slow: refused": k / n for slower, (k, n) in refused.items()}
    fresh = {slower: latency_share(2 * setting.gated, slower, seed=10_000) for slower in (1.3, 1.2)}
    data = {f"{slower:g} times as slow": found for slower, found in fresh.items()}
    return {"data": data, "numbers": numbers, "config": [setting, Hold(), GateConfig()]}
