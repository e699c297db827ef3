"""Lesson 03's evidence on the order of the samplers: by two judges, in two tables and in the literature."""

from gantrans.teaching import claims
from gantrans.teaching.plots import Table
from gantrans.teaching.sweeps import sweep
from lessons.lesson03.experiments.generation import COUNTS

BASE = "DDPM"
RIVALS = ("DDIM", "DPM++")
DIGITS = ("cosine", "sigmoid alpha-bar", "linear")
"""Arms of lesson 01's sweep that are shown."""
CIFAR: dict[int, tuple[float, float, float]] = {
    10: (13.36, 41.07, 367.43),
    20: (6.84, 18.36, 133.37),
    50: (4.67, 8.01, 32.72),
    100: (4.16, 5.78, 9.99),
    1000: (4.04, 4.73, 3.17),
}
"""Song et al. (2021), table 1, CIFAR-10: {steps: FID at eta = 0, at eta = 1, with the larger variance}."""


def effects(table: sweep.Table, quantity: str, count: int, rival: str) -> tuple[float, float, float]:
    """A rival against DDPM with as many evaluations, paired by seed: (effect, low, high), 99 %.

    "frechet" gives a ratio (below 1: the rival is closer to real clips), "valid" a difference of shares.
    """
    first, second = f"{rival} {count}", f"{BASE} {count}"
    if quantity == "frechet":
        return table.ratio(quantity, first, second)
    both = table.values(quantity, first, second)
    return claims.paired_effect(both[first], both[second])


def leader(effect: tuple[float, float, float], none: float, less_is_better: bool, rival: str) -> str:
    """Who leads: a sampler if the interval excludes "no difference" (`none`), else "open"."""
    _, low, high = effect
    if low <= none <= high:
        return "open"
    return rival if (high < none) == less_is_better else BASE


def clips_table(table: sweep.Table) -> Table:
    """DDIM and DPM++ against DDPM by valid clips and by Frechet distance, at every number of evaluations."""
    rows = []
    for count in COUNTS:
        for rival in RIVALS:
            valid = effects(table, "valid", count, rival)
            apart = effects(table, "frechet", count, rival)
            points = tuple(100 * value for value in valid)
            rows.append(
                [
                    f"{count}",
                    rival,
                    f"{points[0]:+.1f} ({points[1]:+.1f} to {points[2]:+.1f})",
                    leader(valid, 0, False, rival),
                    f"{apart[0]:.2f} ({apart[1]:.2f} to {apart[2]:.2f})",
                    leader(apart, 1, True, rival),
                ]
            )
    header = ["evaluations", "against DDPM", "valid clips, points more", "leads"]
    header += ["Frechet distance, times", "leads"]
    return Table(header, rows, f"Clips, 99 % intervals, paired by seed; {table.source()}")


def digits_table(table: sweep.Table) -> Table:
    """Lesson 01's race: Frechet distance of DDIM and DDPM, 20 steps each, from one network per seed."""
    rows = []
    means = table.means(*DIGITS)
    for arm in DIGITS:
        both = table.values("DDIM", arm)[arm], table.values("DDPM", arm)[arm]
        effect = claims.paired_effect(*both, compare="ratio")
        times = f"{effect[0]:.2f} ({effect[1]:.2f} to {effect[2]:.2f})"
        distances = [f"{means[arm][sampler]:.1f}" for sampler in ("DDIM", "DDPM")]
        rows.append([arm, *distances, times, leader(effect, 1, True, "DDIM")])
    header = ["schedule", "DDIM", "DDPM", "DDIM over DDPM", "leads"]
    return Table(header, rows, f"Digits, epsilon, 20 steps, Frechet distance; {table.source()}")


def literature_table() -> Table:
    """The order on CIFAR-10 as Song et al. (2021) report it; quoted, not measured here."""
    rows = [[f"{count:,}", *(f"{fid:.2f}" for fid in row)] for count, row in CIFAR.items()]
    header = ["steps", "DDIM (eta = 0)", "DDPM's variance (eta = 1)", "DDPM, larger variance"]
    return Table(header, rows, "FID on CIFAR-10, epsilon; quoted from Song et al. (2021), table 1")
