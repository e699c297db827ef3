"""Lesson 11: the streams of `drift` once more, in lots of 25 images that share part of their conditions."""

from gantrans.course.experiments import drift
from gantrans.course.experiments.sweeps import Sweep

SEEDS = {"smoke": 1, "reduced": 20, "full": 20}


def run_seed(seed: int, scale: str) -> dict[str, dict[str, float]]:
    """One line of production whose images come in lots; reference and thresholds know of them."""
    return drift.run_line(seed, scale, lots=True)


SWEEP = Sweep(
    "drift_lots",
    run_seed,
    SEEDS,
    lambda scale: [drift.SETTINGS[scale], drift.monitors(scale), "lots", *drift.STREAMS.values()],
    {},
)

if __name__ == "__main__":
    SWEEP.main()
