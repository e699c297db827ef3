"""Diagnosis of a GAN's training from its log: collapse, oscillation, dominance, adversarial excess, or none.

A pix2pix run logs the three quantities at no cost (see `gan_gradients`): D's accuracy, the ratio of the
adversarial gradient's norm at the fake to that of the L1 gradient, and how much fakes differ from each other.
No single one separates the failures. D's accuracy is 1 both when the adversarial gradient vanishes and when
it outweighs L1; the ratio separates these two cases. A ratio above 1 also degrades G's output at any accuracy
of D.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gantrans.training import History
from gantrans.translation.bidirectional import GENERATORS

HEALTHY, NON_FINITE, TOO_SHORT = "healthy", "non-finite", "too short"
DOMINANCE, COLLAPSE, OSCILLATION = "discriminator dominance", "collapse", "oscillation"
EXCESS = "adversarial excess"
DIAGNOSES = (HEALTHY, DOMINANCE, EXCESS, COLLAPSE, OSCILLATION, NON_FINITE, TOO_SHORT)
REMEDY = "weigh L1 up, lower D's rate, or use least squares with spectral norm"
"""The ratio falls by each of these (lesson 06: the settings, and the main effects on the ratio)."""
Records = Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Thresholds:
    """Limits between a healthy run and each failure; a very different task needs limits of its own.

    Chosen on pilot runs at 32 px with 40 records each, with other seeds than the runs that test them (claim
    G33, `lessons.lesson06.experiments.failures`); `excess` on the tables of lessons 06 and 07. At a ratio
    of 1 both gradients are equal, and a G that can reduce both losses settles near it: layout -> SEM at the
    recipe's L1 weight of 10 lies between 0.8 and 1.3. In lesson 06's factorial (SEM -> layout), 173 of 175
    runs with a ratio of 1.5 or more end at least 0.05 IoU below L1 alone, and 19 of the 167 runs with a lower
    one.

    Attributes:
        spread: below it, fakes count as alike; see `spread` in `gan_gradients`.
        swing: above it, D's accuracy oscillates (standard deviation about its trend).
        crossings: fewest crossings of the trend in an oscillation; a curve with a single bend has two.
        accuracy: from this accuracy of D on, D dominates.
        excess: from this gradient ratio on, the adversarial term degrades G at any accuracy of D.
        loud: from this gradient ratio on, the adversarial gradient of a dominating D outweighs L1.
        quiet: below this gradient ratio, G is trained by L1 alone.
        records: fewest records with D's accuracy.
    """

    spread: float = 0.25
    swing: float = 0.06
    crossings: int = 3
    accuracy: float = 0.95
    excess: float = 1.5
    loud: float = 1.0
    quiet: float = 0.05
    records: int = 12


@dataclass(frozen=True)
class Diagnosis:
    """A name of `DIAGNOSES`, the evidence in one sentence, and the numbers used, by name."""

    name: str
    evidence: str
    numbers: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.name}: {self.evidence}"


def diagnose(history: History | Records, thresholds: Thresholds | None = None) -> Diagnosis:
    """Diagnose a GAN's training from its records alone.

    The result is the first diagnosis that applies, in this order: non-finite, too short, collapse,
    oscillation, dominance, adversarial excess, healthy. A collapsed run often oscillates as well, a dominated
    one does neither. Each of the three may come with a high gradient ratio; a high ratio without any of them
    is an excess. Means are over the second half of training, the swing over all but the first quarter.

    Args:
        history: the history of a run, or its records: with "step" and the scalars of `gan_gradients`. Records
            without "d_accuracy" (validation) are skipped; "spread" and "gradient_ratio" may be missing.
    """
    limits = thresholds or Thresholds()
    records = history.records if isinstance(history, History) else list(history)
    logged = [record for record in records if "d_accuracy" in record]
    bad = [(key, r) for r in records for key, value in r.items() if not np.isfinite(value)]
    if bad:
        key, record = bad[0]
        words = f"{key} is {record[key]} at step {record.get('step', float('nan')):.0f}."
        return Diagnosis(NON_FINITE, words, {"step": float(record.get("step", np.nan))})
    if len(logged) < limits.records:
        count = float(len(logged))
        words = f"{count:.0f} of the {limits.records} records of D's accuracy that a diagnosis needs."
        return Diagnosis(TOO_SHORT, words, {"records": count})
    return judge(_numbers(logged), limits)


def diagnose_both(history: History | Records, thresholds: Thresholds | None = None) -> dict[str, Diagnosis]:
    """By direction, the diagnosis of a bidirectional run; its scalars end in the letter of a direction."""
    records = history.records if isinstance(history, History) else list(history)
    ends = {direction: f"_{letter}" for direction, letter in GENERATORS.items()}
    return {
        direction: diagnose(
            [
                {
                    key.removesuffix(end): value
                    for key, value in record.items()
                    if not key.endswith(tuple(other for other in ends.values() if other != end))
                }
                for record in records
            ],
            thresholds,
        )
        for direction, end in ends.items()
    }


def _numbers(logged: Records) -> dict[str, float]:
    late = logged[len(logged) // 2 :]
    numbers = {"accuracy": _mean(late, "d_accuracy")}
    for name, key in (("spread", "spread"), ("ratio", "gradient_ratio"), ("gradient", "gradient_gan")):
        if key in late[-1]:
            numbers[name] = _mean(late, key)
    accuracy = np.array([record["d_accuracy"] for record in logged[len(logged) // 4 :]])
    numbers["swing"], numbers["crossings"] = swing(accuracy)
    return numbers


def _mean(records: Records, key: str) -> float:
    return float(np.mean([record[key] for record in records]))


def swing(series: np.ndarray) -> tuple[float, float]:
    """Standard deviation of a series about its straight trend, and how often it crosses the trend.

    A running mean over three records is taken first, to remove the noise of single batches.
    """
    smooth = np.convolve(series, np.full(3, 1 / 3), mode="valid")
    place = np.arange(len(smooth))
    residual = smooth - np.polyval(np.polyfit(place, smooth, 1), place)
    crossings = np.count_nonzero(np.diff(np.signbit(residual)))
    return float(residual.std()), float(crossings)


def judge(numbers: Mapping[str, float], thresholds: Thresholds | None = None) -> Diagnosis:
    """The diagnosis from `Diagnosis.numbers`, for example of an earlier run with other thresholds.

    Args:
        numbers: "accuracy", "swing", "crossings" and, where they were logged, "spread", "ratio", "gradient".
    """
    limits = thresholds or Thresholds()
    accuracy, apart = numbers["accuracy"], numbers.get("spread", np.inf)
    if apart < limits.spread:
        words = f"fakes differ {apart:.2f} times as much from each other as their targets do."
        return Diagnosis(COLLAPSE, words, numbers)
    if numbers["swing"] > limits.swing and numbers["crossings"] >= limits.crossings:
        words = (
            f"D's accuracy swings by {numbers['swing']:.2f} about its trend and crosses it "
            f"{numbers['crossings']:.0f} times."
        )
        return Diagnosis(OSCILLATION, words, numbers)
    right = f"D is right {accuracy:.0%} of the time"
    if accuracy >= limits.accuracy:
        return Diagnosis(DOMINANCE, f"{right}; {_consequence(numbers, limits)}.", numbers)
    if numbers.get("ratio", 0.0) >= limits.excess:
        words = f"{_ratio(numbers)} while {right}, so D more than L1 decides what G makes: {REMEDY}."
        return Diagnosis(EXCESS, words, numbers)
    return Diagnosis(HEALTHY, f"{right} and holds still{_apart(numbers)}.", numbers)


def _ratio(numbers: Mapping[str, float]) -> str:
    return f"the adversarial gradient is {numbers['ratio']:.2g} times that of L1"


def _apart(numbers: Mapping[str, float]) -> str:
    """Spread and gradient ratio of a healthy run as text, as far as they were logged."""
    spread = f"; fakes differ {numbers['spread']:.2f} times as much as targets" if "spread" in numbers else ""
    return spread + (f"; {_ratio(numbers)}" if "ratio" in numbers else "")


def _consequence(numbers: Mapping[str, float], limits: Thresholds) -> str:
    """The effect of D's dominance on G as text: it is harmless as long as L1 dominates G's gradient."""
    if "ratio" not in numbers:
        gradient = numbers.get("gradient", float("nan"))
        return f"there is no L1 loss, and the adversarial gradient is {gradient:.2g}"
    if numbers["ratio"] < limits.quiet:
        return f"{_ratio(numbers)}, so L1 alone trains G and D could be left out"
    if numbers["ratio"] < limits.loud:
        return f"{_ratio(numbers)}, so L1 determines the training and the dominance may be harmless"
    return f"{_ratio(numbers)}, so it outweighs L1: {REMEDY}"
