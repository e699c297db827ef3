"""The promotion gate: superiority on new images, non-inferiority on old ones, no new defects, no slowdown.

Both models are scored on the same held-out images. Several images show one layout, so images are not
independent: differences are resampled by cluster (the layout), never by image. Sources: Efron and Tibshirani
1993, ch. 13 (percentile bootstrap); Cameron, Gelbach and Miller 2008 (few clusters; here the t interval with
the cluster-robust variance).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError, DataError

Array = np.ndarray[Any, np.dtype[np.float64]]
INSUFFICIENT = "insufficient data"
DEFECT_RULES = ("count", "bound", "margin")


@dataclass(frozen=True)
class GateConfig:
    """Limits of the gate; to be fixed before a challenger exists.

    alpha: one-sided error of each bound. Small, because many challengers are tested: at .05, the chance that
        one of twelve equal ones passes is about one half.
    old_margin: non-inferiority margin of the mean quality on old images.
    family_margin, family_margins: largest loss of one family's mean, in general and by name.
    defect_rule: the test for new opens and bridges on each hold-out set; every rule has its own errors.
        "count": fails if there are more than `new_defects` more than the champion's in total. Suits a
        champion without defects. Among models with many defects it rejects half of the equal ones, for any
        number of images.
        "bound": fails if the lower bound, by layout, of the increase per image is above 0. Rejects an equal
        model with probability about `alpha`. Misses increases that the set is too small to show, nearly
        always a single new bridge.
        "margin": fails if the upper bound of the increase is above `defect_margin`. Passes a model that is
        worse by the margin with probability about `alpha`. Rejects equal models if the set is too small for
        the margin.
    new_defects, defect_margin: how many more "count" allows in all, and "margin" per image.
    latency_factor: largest ratio of the 95th percentiles of the latencies.
    few_clusters: below this number of clusters the t interval is used, because the bootstrap is too narrow.
    fewest_clusters: below this number the check reports insufficient data.
    resamples, seed: of the bootstrap; equal data give equal decisions.
    """

    alpha: float = 0.01
    old_margin: float = 0.01
    family_margin: float = 0.03
    family_margins: Mapping[str, float] = field(default_factory=dict)
    defect_rule: str = "count"
    new_defects: int = 0
    defect_margin: float = 0.0
    latency_factor: float = 1.25
    few_clusters: int = 40
    fewest_clusters: int = 10
    resamples: int = 4000
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, "alpha", 0.0, 0.5, open_low=True)
        check_choice(self, "defect_rule", DEFECT_RULES)
        for name in ("old_margin", "family_margin", "new_defects", "defect_margin"):
            check_range(self, name, 0.0)
        check_range(self, "latency_factor", 1.0)
        check_range(self, "fewest_clusters", 2)
        check_range(self, "resamples", 100)
        if self.alpha * self.resamples < 10:
            raise ConfigError(
                f"GateConfig.resamples is {self.resamples!r}; a bound at alpha {self.alpha:g} needs at least "
                f"{10 / self.alpha:.0f}."
            )


@dataclass(frozen=True)
class Compared:
    """Champion and challenger on the same held-out images, one entry per image.

    champion, challenger: quality, higher is better, such as IoU. cluster: which layout the image shows.
    family: its kind. champion_defects, challenger_defects: opens plus bridges.
    """

    champion: Array
    challenger: Array
    cluster: Sequence[str]
    family: Sequence[str]
    champion_defects: Array
    challenger_defects: Array

    def __post_init__(self) -> None:
        qualities, defects = (
            (self.champion, self.challenger),
            (self.champion_defects, self.challenger_defects),
        )
        lengths = {len(x) for x in (*qualities, self.cluster, self.family, *defects)}
        if len(lengths) != 1 or lengths == {0}:
            raise DataError(
                f"The gate needs one entry per image in every field, not {sorted(lengths)} entries."
            )
        if not all(np.isfinite(side).all() for side in qualities):
            raise DataError(
                "The gate needs finite qualities; an image has none: leave it out of both or repair it."
            )

    @property
    def differences(self) -> Array:
        """Challenger minus champion, per image."""
        return np.asarray(self.challenger, np.float64) - np.asarray(self.champion, np.float64)

    @property
    def more_defects(self) -> Array:
        """The challenger's opens plus bridges minus the champion's, per image."""
        return np.asarray(self.challenger_defects, np.float64) - np.asarray(self.champion_defects, np.float64)

    def family_changes(self) -> dict[str, float]:
        """Mean difference per family, names ascending."""
        labels = np.asarray(self.family)
        return {name: float(self.differences[labels == name].mean()) for name in sorted(set(self.family))}


@dataclass(frozen=True)
class Check:
    """One condition: `measured` against `limit`, explained in `text`. `passed` is None: too little data."""

    name: str
    passed: bool | None
    measured: float
    limit: float
    text: str


@dataclass(frozen=True)
class Decision:
    """The decision of the gate: promote if and only if every check passed."""

    checks: tuple[Check, ...]

    @property
    def promoted(self) -> bool:
        """Whether every check passed."""
        return all(check.passed is True for check in self.checks)

    @property
    def verdict(self) -> str:
        """ "promote", "keep the champion" (a condition failed), or "insufficient data"."""
        if self.promoted:
            return "promote"
        failed = any(check.passed is False for check in self.checks)
        return "keep the champion" if failed else INSUFFICIENT

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for the registry's history."""
        return {"verdict": self.verdict, "checks": [dict(vars(check)) for check in self.checks]}

    def __str__(self) -> str:
        mark = {True: "passed", False: "FAILED", None: "no data"}
        return "\n".join([self.verdict, *(f"  {mark[c.passed]:8}{c.text}" for c in self.checks)])


def decide(
    new: Compared,
    old: Compared | None,
    *,
    latency: tuple[ArrayLike, ArrayLike] | None,
    smoke_problem: str,
    config: GateConfig | None = None,
) -> Decision:
    """Apply all checks.

    Args:
        new, old: hold-out sets of the new and of the old conditions; neither model was trained on them. `old`
            is None if the old conditions hold no longer: nothing of them is checked.
        latency: (champion's, challenger's) seconds per request, from `measure_latency`; None if both have the
            same network, so that a measured ratio would be the noise of the machine.
        smoke_problem: result of `smoke_inference` for the challenger; empty if there is no problem.

    Raises:
        DataError: fields of unequal length, qualities or latencies that are not finite.
    """
    config = config or GateConfig()
    sets = [("new", new, 0.0), *([("old", old, -config.old_margin)] if old is not None else [])]
    checks = [
        *(_bound_check(name, compared, limit, config) for name, compared, limit in sets),
        *(_family_check(name, compared, config) for name, compared, _ in sets),
        *(defect_check(name, compared, config) for name, compared, _ in sets),
        *([_latency_check(latency, config)] if latency is not None else []),
        Check(
            "smoke inference", not smoke_problem, float(bool(smoke_problem)), 0.0,
            f"smoke inference from the registered files: {smoke_problem or 'sane'}",
        ),
    ]  # fmt: skip
    return Decision(tuple(checks))


def lower_bound(
    differences: ArrayLike,
    cluster: Sequence[str],
    *,
    alpha: float = 0.01,
    few_clusters: int = 40,
    fewest_clusters: int = 10,
    resamples: int = 4000,
    seed: int = 0,
) -> float | None:
    """One-sided lower bound of the mean over images at error `alpha`; None for too few clusters.

    With `few_clusters` clusters or more it is the alpha quantile of the cluster bootstrap, with fewer the
    cluster-robust t bound.
    """
    values = np.asarray(differences, np.float64)
    _, which = np.unique(np.asarray(cluster), return_inverse=True)
    sums, sizes = np.bincount(which, values), np.bincount(which).astype(np.float64)
    groups = len(sums)
    if groups < fewest_clusters:
        return None
    if groups >= few_clusters:
        counts = _resampled(groups, resamples, seed)
        return float(np.quantile((counts @ sums) / (counts @ sizes), alpha))
    mean = sums.sum() / sizes.sum()
    residual = sums - mean * sizes
    error = np.sqrt(groups / (groups - 1) * (residual**2).sum()) / sizes.sum()
    return float(mean - stdtrit(groups - 1, 1 - alpha) * error)


@lru_cache(maxsize=8)
def _resampled(groups: int, resamples: int, seed: int) -> Array:
    """Number of draws of each cluster in each resample, (resamples, groups)."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(groups, np.full(groups, 1 / groups), size=resamples).astype(np.float64)


def _lower(values: Array, compared: Compared, config: GateConfig) -> float | None:
    return lower_bound(
        values, compared.cluster, alpha=config.alpha, few_clusters=config.few_clusters,
        fewest_clusters=config.fewest_clusters, resamples=config.resamples, seed=config.seed,
    )  # fmt: skip


def _insufficient(check: str, name: str, compared: Compared, config: GateConfig) -> Check:
    clusters = len(set(compared.cluster))
    text = f"{name} images: {INSUFFICIENT}, {clusters} of at least {config.fewest_clusters} layouts"
    return Check(f"{name} {check}", None, float(clusters), float(config.fewest_clusters), text)


def _bound_check(name: str, compared: Compared, limit: float, config: GateConfig) -> Check:
    bound = _lower(compared.differences, compared, config)
    if bound is None:
        return _insufficient("bound", name, compared, config)
    text = (
        f"{name} images: mean change {compared.differences.mean():+.4f}, lower bound {bound:+.4f} must be "
        f"above {limit:+.4f} ({len(compared.cluster)} images of {len(set(compared.cluster))} layouts)"
    )
    return Check(f"{name} bound", bound > limit, bound, limit, text)


def _family_check(name: str, compared: Compared, config: GateConfig) -> Check:
    """The family with the largest loss relative to its own margin."""
    changes = compared.family_changes()
    margins = {f: config.family_margins.get(f, config.family_margin) for f in changes}
    worst = min(changes, key=lambda f: changes[f] + margins[f])
    text = (
        f"{name} images: worst family {worst} {changes[worst]:+.4f} must not be below {-margins[worst]:+.4f}"
    )
    return Check(f"{name} families", changes[worst] >= -margins[worst], changes[worst], -margins[worst], text)


def defect_check(name: str, compared: Compared, config: GateConfig) -> Check:
    """The check for new opens and bridges on the hold-out set `name`, by the rule of the configuration."""
    if config.defect_rule == "count":
        before, after = float(np.sum(compared.champion_defects)), float(np.sum(compared.challenger_defects))
        limit = before + config.new_defects
        text = (
            f"{name} images: {after:.0f} opens and bridges, at most {limit:.0f} allowed "
            f"(champion {before:.0f})"
        )
        return Check(f"{name} topology", after <= limit, after, limit, text)
    more = compared.more_defects
    lower = config.defect_rule == "bound"
    found = _lower(more if lower else -more, compared, config)
    if found is None:
        return _insufficient("topology", name, compared, config)
    bound, limit = (found, 0.0) if lower else (-found, config.defect_margin)
    text = (
        f"{name} images: {more.mean():+.3f} opens and bridges per image (champion "
        f"{np.mean(compared.champion_defects):.3f}), {'lower' if lower else 'upper'} bound {bound:+.3f} "
        f"must not be above {limit:+.3f}"
    )
    return Check(f"{name} topology", bound <= limit, bound, limit, text)


def _latency_check(latency: tuple[ArrayLike, ArrayLike], config: GateConfig) -> Check:
    champion, challenger = (np.asarray(side, np.float64) for side in latency)
    if min(champion.size, challenger.size) < 20 or not (
        np.isfinite(champion).all() and np.isfinite(challenger).all() and champion.min() > 0
    ):
        raise DataError("The gate needs at least 20 positive latencies of each model for a 95th percentile.")
    ratio = float(np.quantile(challenger, 0.95) / np.quantile(champion, 0.95))
    text = f"latency: p95 is {ratio:.2f} times the champion's, at most {config.latency_factor:g} allowed"
    return Check("latency", ratio <= config.latency_factor, ratio, config.latency_factor, text)
