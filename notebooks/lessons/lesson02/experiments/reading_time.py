"""Lesson 02: how much of t can be read off x_t, and which functions of t a network learns from an embedding.

Why embed t at all? Because a network learns slow functions of its inputs first (spectral bias: Rahaman et al.
2019), and t as one number makes every fast function of t hard. `fit_wave` measures it without any diffusion.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.diffusion import Schedule, make_schedule, q_sample, random_batches
from gantrans.networks import TimeMLP
from gantrans.networks.blocks import weights_from
from gantrans.teaching.runs import train_or_load
from gantrans.training import Batch, Runtime, fit, load_networks
from lessons.lesson02.experiments.embeddings import CASES, ExactRing, held_out, training_data
from lessons.shared.denoising import fitting

STEPS = {"smoke": 8, "reduced": 400, "full": 4000}
"""Training steps of a reader, and of a wave, by scale."""
SLOW, FAST = 1, 24
"""Turns of the two waves over all of the schedule."""


# ---- t from x_t


@dataclass(frozen=True)
class ReaderConfig:
    """A plain network on the values of x_t, (B, features) -> (B,): t as a share of the schedule."""

    features: int
    width: int = 128

    def build(self, seed: int = 0) -> nn.Sequential:
        """Equal seeds give equal weights."""
        with weights_from(seed):
            layers = [nn.Linear(self.features, self.width), nn.SiLU(), nn.Linear(self.width, self.width)]
            return nn.Sequential(*layers, nn.SiLU(), nn.Linear(self.width, 1), nn.Flatten(0))


class ReaderTask:
    """Guessing t from x_t as a task for `gantrans.training.fit`."""

    name = "reader"

    def __init__(self, config: ReaderConfig, schedule: Schedule, seed: int = 0) -> None:
        self.config, self.schedule, self.reader = config, schedule, config.build(seed)
        self.networks: dict[str, nn.Module] = {"reader": self.reader}
        self.optimizers: dict[str, Optimizer] = {"reader": AdamW(self.reader.parameters(), lr=2e-3)}

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradient; "x0" (B, features) in [-1, 1].

        Returns:
            loss: mean squared error of t as a share of the schedule.
        """
        x0 = cast(Tensor, batch["x0"])
        t = torch.randint(self.schedule.steps, (len(x0),), generator=runtime.generator, device=x0.device)
        noise = torch.randn(x0.shape, generator=runtime.generator, device=x0.device)
        guess = self.reader(q_sample(self.schedule, x0, t, noise))
        loss = (guess - t / self.schedule.steps).square().mean()
        runtime.backward(loss)
        return {"loss": loss.detach()}

    def state(self) -> dict[str, Any]:
        """Nothing beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def train_reader(case: str, seed: int, scale: str) -> nn.Module:
    """Train a reader on "plane" or "digits" of `CASES`, or load it."""
    config = ReaderConfig(CASES[case].shape[0])
    schedule = make_schedule("cosine")
    chosen = fitting(STEPS[scale], seed)

    def train(folder: Path) -> dict[str, float]:
        batches = random_batches(training_data(case), 256, seed)
        result = fit(ReaderTask(config, schedule, seed), batches, chosen, out=folder)
        return {"steps": result.step, "loss": result.history.records[-1]["loss"]}

    def load(folder: Path) -> nn.Module:
        reader = config.build()
        load_networks(folder, {"reader": reader}, ema=True)
        return reader.eval()

    return train_or_load([config, chosen, {"seed": seed}], train, load, name="reader", data={"case": case})


@torch.inference_mode()
def readings(reader: nn.Module, case: str, points: int = 21) -> tuple[Tensor, Tensor]:
    """Guesses for held-out samples: true timesteps (points,), and guessed ones (points, N)."""
    schedule, x0 = make_schedule("cosine"), held_out(case)
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(77))
    true = torch.linspace(0, schedule.steps - 1, points).round().long()
    guessed = [reader(q_sample(schedule, x0, t.expand(len(x0)), noise)) * schedule.steps for t in true]
    return true, torch.stack(guessed)


class ExactReader(nn.Module):
    """The best reader there is on the plane: the mean of t given x_t, as a share of the schedule."""

    def __init__(self) -> None:
        super().__init__()
        schedule = make_schedule("cosine")
        self.ring, self.steps = ExactRing(schedule, given=False, every=20), schedule.steps

    def forward(self, x_t: Tensor) -> Tensor:
        """(B, 2) -> (B,)."""
        return self.ring.by_time(x_t)[0] @ (self.ring.times / self.steps)


def miss(true: Tensor, guessed: Tensor) -> float:
    """Root mean squared error of `readings`, in timesteps; who always says the middle misses by about 300."""
    return float((guessed - true[:, None]).square().mean().sqrt())


# ---- functions of t


def wave(steps: int = 1000) -> Tensor:
    """A slow and a fast wave over the schedule, (steps,), between -1 and 1."""
    turn = 2 * math.pi * torch.arange(steps) / steps
    return 0.5 * (SLOW * turn).sin() + 0.5 * (FAST * turn).sin()


def fit_wave(kind: str, scale: str, seed: int = 0) -> Tensor:
    """Let the layers that every denoiser has for t learn `wave` from one embedding: what they say, (1000,).

    Full batches of all timesteps, mean squared error, Adam.
    """
    wanted = wave()
    t = torch.arange(len(wanted))
    with weights_from(seed):
        network = nn.Sequential(
            TimeMLP(kind, 64, 128, len(wanted)), nn.SiLU(), nn.Linear(128, 1), nn.Flatten(0)
        )
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    for _ in range(STEPS[scale]):
        loss = (network(t) - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.inference_mode():
        said: Tensor = network(t)
    return said


def learned_share(said: Tensor, turns: int) -> float:
    """How much of the wave of so many turns is in what was said: 1 is all of it, 0 nothing."""
    turn = 2 * math.pi * torch.arange(len(said)) / len(said)
    basis = (turns * turn).sin()
    return float(2 * (said * basis).mean() / 0.5)
