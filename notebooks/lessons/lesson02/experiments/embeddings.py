"""Lesson 02, claim D04: five ways to tell a denoiser the time, and one way not to.

The rule of the claim is about 8 x 8 digits as vectors, predicting epsilon. `embeddings_beside.py` adds other
embeddings and three cases: points of the plane, where x_t says little about t, x0 prediction, and the digits
as images for a U-Net. Arms with one seed share batches, timesteps, noise and start noise; their networks
differ in the embedding alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.diffusion import DiffusionConfig, SamplerConfig, Schedule, random_batches
from gantrans.networks import DenoiserConfig, VectorDenoiserConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Table
from lessons.shared.denoising import Trained, digits, digits_distance, fitting, train_denoiser

ARMS: Mapping[str, str] = {
    "sinusoidal": "sinusoidal",
    "Fourier": "fourier",
    "learned table": "learned",
    "raw t": "raw",
    "no t": "none",
}
"""The arms and their embedding, see `TimeEmbedding`."""
FEW = ("sinusoidal", "no t")
TOLD: Mapping[str, tuple[int, int]] = {
    "told t - 100": (1, -100),
    "told t + 100": (1, 100),
    "always told t = 500": (0, 500),
}
"""Wrong times: the network is told factor * t + shift, kept within the schedule."""
EXACT: Mapping[str, bool] = {"exact, given t": True, "exact, no t": False}
"""No networks: the best answers there are, on the plane, for one who is told t and for one who is not."""
SAMPLERS: Mapping[str, SamplerConfig] = {
    "DDIM": SamplerConfig("ddim", 20),
    "DDPM": SamplerConfig("ddpm", 20),
}
MODES, RADIUS, SPREAD = 8, 0.75, 0.04
"""The ring: number of Gaussians, their distance from the middle, their standard deviation."""
POINTS = 20
"""Timesteps at which the held-out loss is taken."""


@dataclass(frozen=True)
class Size:
    """Of one case at one scale."""

    width: int
    batch: int
    steps: int
    count: int
    """Samples that are judged; digits as many as there are test images, so that distances compare."""


@dataclass(frozen=True)
class Case:
    """What is learned: shape of one sample, what is predicted, the arms that are run, and the sizes."""

    shape: tuple[int, ...]
    prediction: str
    arms: tuple[str, ...]
    sizes: Mapping[str, Size]


_DIGITS = {
    "smoke": Size(32, 32, 8, 64),
    "reduced": Size(256, 128, 500, 350),
    "full": Size(512, 256, 8000, 350),
}
CASES: Mapping[str, Case] = {
    "plane": Case(
        (2,),
        "epsilon",
        tuple(ARMS),
        {
            "smoke": Size(32, 64, 8, 64),
            "reduced": Size(128, 256, 600, 1024),
            "full": Size(256, 512, 8000, 1024),
        },
    ),
    "digits": Case((64,), "epsilon", tuple(ARMS), _DIGITS),
    "digits, x0": Case((64,), "x0", FEW, _DIGITS),
    "U-Net": Case(
        (1, 8, 8),
        "epsilon",
        FEW,
        {
            "smoke": Size(8, 16, 4, 64),
            "reduced": Size(16, 64, 300, 350),
            "full": Size(64, 128, 8000, 350),
        },
    ),
}
Arms = Mapping[str, Sequence[str]]
"""Arms by case: what a sweep runs."""
RULE: Arms = {"digits": ("sinusoidal", "raw t", "no t")}
BESIDE: Arms = {
    "digits": ("Fourier", "learned table"),
    **{case: chosen.arms for case, chosen in CASES.items() if case != "digits"},
}
SEEDS = {"smoke": 2, "reduced": 6, "full": 6}


# ---- the ring


def ring_centres() -> Tensor:
    """The eight means, (8, 2)."""
    angle = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angle.cos(), angle.sin()], dim=1)


def ring(count: int, seed: int) -> Tensor:
    """Points of the ring of Gaussians, (count, 2)."""
    generator = torch.Generator().manual_seed(seed)
    mode = torch.randint(MODES, (count,), generator=generator)
    return ring_centres()[mode] + SPREAD * torch.randn(count, 2, generator=generator)


def good_share(points: Tensor) -> float:
    """Share of (N, 2) points within three standard deviations of a mean; 98.9 % for the ring itself."""
    return float((torch.cdist(points, ring_centres()).amin(1) <= 3 * SPREAD).double().mean())


class ExactRing(nn.Module):
    """The mean of the noise in x_t, exactly: the denoiser with the smallest squared error there is.

    Given t it is a weighted mean over the Gaussians; without t, over the timesteps as well, by how likely
    each is to have made x_t.
    """

    def __init__(self, schedule: Schedule, given: bool = True, every: int = 10) -> None:
        super().__init__()
        self.given, self.times = given, torch.arange(every // 2, schedule.steps, every)
        self.signal, self.sigma = schedule.signal.float(), schedule.sigma.float()

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(B, 2) and (B,) int64 -> (B, 2)."""
        if self.given:
            return self._at(x_t, t)[1]
        chances, answers = self.by_time(x_t)
        return (chances[..., None] * answers).sum(1)

    def by_time(self, x_t: Tensor) -> tuple[Tensor, Tensor]:
        """For t in `times`, all equally likely before: p(t | x_t) (B, T), and the answers (B, T, 2)."""
        each = [self._at(x_t, time.expand(len(x_t))) for time in self.times]
        fits, answers = (torch.stack(column, 1) for column in zip(*each, strict=True))
        return fits.softmax(1), answers

    def _at(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x_t | t) but for a constant, (B,), and the mean of the noise, (B, 2)."""
        a, s = self.signal[t][:, None], self.sigma[t][:, None]
        variance = (a * SPREAD) ** 2 + s**2
        apart = x[:, None] - a[..., None] * ring_centres()
        fit = -apart.square().sum(2) / (2 * variance)
        mean = s / variance * (fit.softmax(1)[..., None] * apart).sum(1)
        return fit.logsumexp(1) - variance[:, 0].log(), mean


# ---- training and scoring


def training_data(case: str) -> Tensor:
    """(N, *shape) in about [-1, 1]."""
    return ring(8192, 1) if case == "plane" else digits("train").view(-1, *CASES[case].shape)


def held_out(case: str) -> Tensor:
    """The same, not trained on."""
    return ring(1024, 2) if case == "plane" else digits("test").view(-1, *CASES[case].shape)


def quality(case: str, samples: Tensor) -> float:
    """Plane: share of good points. Digits: Frechet distance from the held-out ones, lower is better."""
    return good_share(samples) if case == "plane" else digits_distance(samples.flatten(1))


def task_config(case: str, arm: str, scale: str) -> DiffusionConfig:
    """One arm: cosine schedule, plain loss."""
    chosen, size = CASES[case], CASES[case].sizes[scale]
    network: VectorDenoiserConfig | DenoiserConfig
    if len(chosen.shape) == 1:
        network = VectorDenoiserConfig(chosen.shape[0], hidden=size.width, embedding=ARMS[arm])
    else:
        network = DenoiserConfig(base_filters=size.width, embedding=ARMS[arm])
    return DiffusionConfig(network, prediction=chosen.prediction)


def train_arm(case: str, arm: str, seed: int, scale: str) -> Trained:
    """Train one arm with one seed, or load it if this machine has done so before."""
    size = CASES[case].sizes[scale]
    return train_denoiser(
        task_config(case, arm, scale),
        fitting(size.steps, seed),
        random_batches(training_data(case), size.batch, seed),
        seed=seed,
        name="embeddings",
        data={"case": case, "batch": size.batch},
    )


class WrongTime(nn.Module):
    """A denoiser that is told factor * t + shift in place of t."""

    def __init__(self, network: nn.Module, factor: int, shift: int, steps: int) -> None:
        super().__init__()
        self.network, self.factor, self.shift, self.steps = network, factor, shift, steps

    def forward(self, x_t: Tensor, t: Tensor) -> Tensor:
        """(B, ...) and (B,) int64 -> (B, ...)."""
        told: Tensor = self.network(x_t, (self.factor * t + self.shift).clamp(0, self.steps - 1))
        return told


def misinformed(trained: Trained, told: str) -> Trained:
    """The same weights, told a wrong time of `TOLD`."""
    return replace(trained, network=WrongTime(trained.network, *TOLD[told], trained.config.steps))


def draw(trained: Trained, case: str, sampler: str, count: int, seed: int = 0) -> Tensor:
    """`count` samples (count, *shape) with a sampler of `SAMPLERS`."""
    return trained.draw((count, *CASES[case].shape), SAMPLERS[sampler], seed)


def score(trained: Trained, case: str, scale: str, seed: int) -> dict[str, float]:
    """Held-out loss, averaged over t and at each of its timesteps, and the quality of samples."""
    t, errors = trained.losses(held_out(case), POINTS)
    count = CASES[case].sizes[scale].count
    numbers = {"loss": float(errors.mean())}
    numbers |= {name: quality(case, draw(trained, case, name, count, seed)) for name in SAMPLERS}
    numbers |= {f"loss at {int(k)}": float(e) for k, e in zip(t, errors, strict=True)}
    return {f"{case}: {name}": value for name, value in numbers.items()}


def run_seed(seed: int, scale: str, arms: Arms = RULE) -> dict[str, dict[str, float]]:
    """Train arms with one seed and score them: {arm: {"case: quantity": value}}.

    With the sinusoidal arm on digits come the wrong times of `TOLD`, with the plane the exact answers.
    """
    row: dict[str, dict[str, float]] = {}
    for case, chosen in arms.items():
        for arm in chosen:
            trained = train_arm(case, arm, seed, scale)
            row[arm] = row.get(arm, {}) | score(trained, case, scale, seed)
            if case == "digits" and arm == "sinusoidal":
                row |= {told: score(misinformed(trained, told), case, scale, seed) for told in TOLD}
    if "plane" in arms:
        config = task_config("plane", "sinusoidal", scale)
        for arm, given in EXACT.items():
            exact = Trained(ExactRing(config.noise_schedule, given), config)
            row[arm] = score(exact, "plane", scale, seed)
    return row


# ---- the table


def joined(first: Table, second: Table) -> Table:
    """Both sweeps' rows of the seeds that both have; `about` is the second's."""
    rows = {}
    for seed in sorted(set(first.rows) & set(second.rows)):
        a, b = first.rows[seed], second.rows[seed]
        names = (*ARMS, *TOLD, *EXACT)
        rows[seed] = {n: {**a.get(n, {}), **b.get(n, {})} for n in names if n in a or n in b}
    return Table(second.about, rows, second.name)


def scored(table: Table, case: str) -> tuple[str, ...]:
    """The arms that a table has of a case, the sinusoidal one first."""
    return tuple(arm for arm, row in table.rows[table.seeds[0]].items() if f"{case}: loss" in row)


def curves(table: Table, case: str) -> dict[str, tuple[list[int], list[list[float]]]]:
    """{arm: (timesteps, losses by seed)} of the trained arms of a case, from a stored table."""
    begin = f"{case}: loss at "
    found = {}
    for arm in scored(table, case):
        names = [name for name in table.rows[table.seeds[0]][arm] if name.startswith(begin)]
        if arm in ARMS:
            losses = [[table.rows[seed][arm][name] for name in names] for seed in table.seeds]
            found[arm] = ([int(name.removeprefix(begin)) for name in names], losses)
    return found


def claim_d04(table: Table) -> Mapping[str, Any]:
    """What the rule of D04 asks for; every other mean as a number."""
    data = {
        part: table.values("digits: loss", "sinusoidal", arm)
        for part, arm in (("against no t", "no t"), ("against a raw scalar t", "raw t"))
    }
    numbers = {
        f"{arm} {name.removeprefix('digits: ')}": value
        for arm, means in table.means().items()
        for name, value in means.items()
        if ": loss at " not in name
    }
    return {"data": data, "numbers": numbers}


def configs(scale: str, arms: Arms = RULE) -> list[DiffusionConfig]:
    """Of every arm."""
    return [task_config(case, arm, scale) for case, chosen in arms.items() for arm in chosen]


SWEEP = Sweep("embeddings", run_seed, SEEDS, configs, {"D04": claim_d04})
