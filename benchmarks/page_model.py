"""Lesson 03's model as the page trains it, beside the library's training of the equal network.

The U-Net of 16 px clips, x0, 350 steps of 32: `learn` of the page, with the course's parts, against
`gantrans.training.fit` with the same start weights, rates and average. Batches, timesteps and noise are drawn
in another order, so that losses agree within their spread and not to the digit. The held-out loss is the
squared error of x0 at 40 timesteps with equal noise. CPU seconds are those of one thread, the two in turns;
the page's wall seconds are measured with all cores.
"""

import os
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.data import Clips
from gantrans.diffusion import DiffusionConfig, DiffusionTask, q_sample, random_batches
from gantrans.networks import DenoiserConfig
from gantrans.teaching.exercises import exercise
from gantrans.training import FitConfig, fit
from lessons.shared.denoising import clips
from tests.pages import defined_on_page

WIDTH, KINDS, BATCH, RATE = 16, 4, 32, 2e-3
SECONDS, APART = 12.0, 0.1
"""Goals: wall seconds on two cores; largest distance of the ratio of held-out losses from 1."""
CONFIG = DiffusionConfig(
    DenoiserConfig(base_filters=WIDTH, multipliers=(1, 2, 2), attention=False, classes=KINDS),
    prediction="x0",
    lr=RATE,
)


def run(quick: bool) -> list[dict[str, Any]]:
    """Per seed the held-out losses, their ratio and the seconds; then the mean with its spread."""
    steps, seeds = (4, 1) if quick else (350, 4)
    known, held_out = clips(16, "train", 1024), clips(16, "test", 256)
    rows, threads, cores = [], torch.get_num_threads(), len(os.sched_getaffinity(0))
    _library(known, 2, 0), _page(known, 2, 0)  # warm up
    for seed in range(seeds):
        torch.set_num_threads(1)
        library, of_library = _timed(lambda s=seed: _library(known, steps, s))
        page, of_page = _timed(lambda s=seed: _page(known, steps, s))
        torch.set_num_threads(cores)
        start = time.perf_counter()
        _page(known, steps, seed)
        wall = time.perf_counter() - start
        torch.set_num_threads(threads)
        losses = _loss(page, held_out), _loss(library, held_out)
        rows.append(
            {
                "seed": seed, "steps": steps, "loss, page": losses[0], "loss, library": losses[1],
                "ratio": losses[0] / losses[1], "core-s, page": of_page, "core-s, library": of_library,
                "time ratio": of_page / of_library, "wall s, page": wall, "cores": cores,
            }
        )  # fmt: skip
    return [*rows, _summary(rows)]


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    means = {k: statistics.mean(row[k] for row in rows) for k in rows[0] if k not in ("seed", "cores")}
    ratios = [row["ratio"] for row in rows]
    spread = {"lowest ratio": min(ratios), "highest ratio": max(ratios)}
    return {"seed": "all", **means, **spread, "goal": f"within {APART} of 1; {SECONDS:g} s"}


def _timed(train: Any) -> tuple[Any, float]:
    start = time.process_time()
    return train(), time.process_time() - start


def _parts(seed: int) -> tuple[Any, Any]:
    """`learn` and `ConvBlock` of the page, on the course's versions of what a learner writes."""
    bars = torch.cumprod(1 - exercise("cosine_betas").function(1000, 0.999), 0)
    given = {"UNet": exercise("unet_denoiser").function, "ema_update": exercise("ema_update").function}
    learn, block = defined_on_page("03", "learn", "ConvBlock", seed=seed, bars=bars, **given)
    learn.__globals__["ConvBlock"] = block
    return learn, block


def _page(known: Clips, steps: int, seed: int) -> Any:
    averaged, _ = _parts(seed)[0]("x0", known.network(), known.label, steps, BATCH, RATE)
    return averaged.eval()


def _library(known: Clips, steps: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    start = exercise("unet_denoiser").function(_parts(seed)[1], WIDTH, KINDS)
    task = DiffusionTask(CONFIG, seed)
    with torch.no_grad():
        for ours, pages in zip(task.denoiser.parameters(), start.parameters(), strict=True):
            ours.copy_(pages)
    fitting = FitConfig(
        steps,
        seed=seed,
        precision="fp32",
        lr_schedule="one_cycle",
        lr_params={"warmup": 0.15},
        ema_decay=0.99,
    )
    result = fit(task, random_batches(known.network(), BATCH, seed, known.label), fitting, progress=False)
    assert result.ema is not None
    averaged = result.ema.state_dict()["denoiser"]
    assert isinstance(averaged, dict)
    task.denoiser.load_state_dict(averaged)
    return _Labelled(task.denoiser).eval()


class _Labelled(nn.Module):
    """The library's denoiser, called as the page's network is."""

    def __init__(self, denoiser: nn.Module) -> None:
        super().__init__()
        self.denoiser = denoiser

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor) -> Tensor:
        image: Tensor = self.denoiser(x_t, t, label=label)
        return image


@torch.no_grad()
def _loss(network: Any, held_out: Clips) -> float:
    x0, label = held_out.network(), held_out.label
    noise = torch.randn(x0.shape, generator=torch.Generator().manual_seed(77))
    errors = []
    for t in torch.linspace(0, 999, 40).round().long():
        times = t.expand(len(x0))
        x_t = q_sample(CONFIG.noise_schedule, x0, times, noise)
        errors.append(float(F.mse_loss(network(x_t, times, label), x0)))
    return statistics.mean(errors)
