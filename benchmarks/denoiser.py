"""A training step and a sampling step of our denoiser against `UNet2DModel` of diffusers.

Both networks have the same number of levels and, within a tenth, of parameters; each has a residual block
per level on the way down and group norm in groups of 8. Ours joins one block per level on the way up where
theirs has two, and hears the time as scale and shift, so its channels are wider for as many parameters.
"folded" is ours on space-to-depth input (2 x 2 pixels in a channel), which has no counterpart there. Both
sides train with fused AdamW on 32 x 32 images, batch 32, and are timed in turns in process CPU time on one
thread.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.diffusion import DiffusionConfig, SamplerConfig, make_schedule, sample
from gantrans.networks import Denoiser, DenoiserConfig
from gantrans.training import Runtime

SIZE, BATCH, COUNT = 32, 32, 4
GOAL = 0.7
PAIRS: tuple[tuple[str, DenoiserConfig, tuple[int, ...]], ...] = (
    ("2 levels", DenoiserConfig(base_filters=32, multipliers=(1, 2), attention=False), (32, 48)),
    ("3 levels", DenoiserConfig(base_filters=24, multipliers=(1, 2, 2), attention=False), (24, 32, 40)),
    ("2 levels, folded", DenoiserConfig(base_filters=32, unshuffle=2, attention=False), (32, 48)),
)


def run(quick: bool) -> list[dict[str, Any]]:
    """Two rows per pair: CPU milliseconds of a step, the ratio with quartiles, and the goal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [row for pair in PAIRS[: 1 if quick else None] for row in _rows(*pair, 2 if quick else 7)]
    finally:
        torch.set_num_threads(threads)


def _rows(name: str, config: DenoiserConfig, channels: tuple[int, ...], rounds: int) -> list[dict[str, Any]]:
    ours, theirs = Denoiser(config), _theirs(channels)
    counts = [sum(p.numel() for p in network.parameters()) for network in (ours, theirs)]
    if not 0.9 < counts[0] / counts[1] < 1.1:
        raise RuntimeError(f"{name}: {counts[0]} and {counts[1]} parameters; choose channels that match.")
    ours.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pairs = {
        "training step": (_our_step(ours, config), _their_step(theirs)),
        f"sampling step, batch {BATCH}": (_our_sampling(ours), _their_sampling(theirs)),
    }
    rows = []
    for what, (one, other) in pairs.items():
        times = [(_ms(one), _ms(other)) for _ in range(rounds + 1)][1:]  # the first warms up
        low, ratio, high = statistics.quantiles([a / b for a, b in times], n=4)
        rows.append(
            {
                "pair": name,
                "what": what,
                "ours_parameters": counts[0],
                "diffusers_parameters": counts[1],
                "ours_ms": statistics.median(a for a, _ in times),
                "diffusers_ms": statistics.median(b for _, b in times),
                "ratio": ratio,
                "ratio_q1": low,
                "ratio_q3": high,
                "goal": GOAL,
                "met": ratio <= GOAL,
            }
        )
    return rows


def _ms(steps: Callable[[], object]) -> float:
    start = time.process_time()
    steps()
    return 1e3 * (time.process_time() - start) / COUNT


def _our_step(network: Denoiser, config: DenoiserConfig) -> Callable[[], None]:
    """Full steps of the course's task."""
    from gantrans.diffusion import DiffusionTask

    task = DiffusionTask(DiffusionConfig(config))
    task.networks["denoiser"].to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    runtime = Runtime(torch.device("cpu"), "fp32", 1, torch.Generator().manual_seed(0))
    x0 = torch.randn(BATCH, 1, SIZE, SIZE).sign().to(memory_format=torch.channels_last)

    def steps() -> None:
        for _ in range(COUNT):
            task.step({"x0": x0}, runtime)
            for optimizer in task.optimizers.values():
                optimizer.step()
                optimizer.zero_grad()

    return steps


def _their_step(network: nn.Module) -> Callable[[], None]:
    """As in the training script of diffusers' documentation."""
    from diffusers import DDPMScheduler

    scheduler: Any = DDPMScheduler(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2")
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    x0 = torch.randn(BATCH, 1, SIZE, SIZE).sign()

    def steps() -> None:
        for _ in range(COUNT):
            noise, t = torch.randn_like(x0), torch.randint(1000, (BATCH,))
            noised = scheduler.add_noise(x0, noise, t)
            answer = network(noised, t, return_dict=False)[0]
            (answer - noise).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()

    return steps


def _our_sampling(network: Denoiser) -> Callable[[], object]:
    schedule, generator = make_schedule("cosine"), torch.Generator().manual_seed(0)
    shape = (BATCH, 1, SIZE, SIZE)
    config = SamplerConfig("ddim", COUNT)
    network.eval()
    return lambda: sample(network, shape, schedule, config, prediction="epsilon", generator=generator)


def _their_sampling(network: nn.Module) -> Callable[[], object]:
    from diffusers import DDIMScheduler

    scheduler: Any = DDIMScheduler(
        num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing"
    )

    @torch.no_grad()
    def sampling() -> Tensor:
        scheduler.set_timesteps(COUNT)
        x = torch.randn(BATCH, 1, SIZE, SIZE)
        for t in scheduler.timesteps:
            answer = network(x, t, return_dict=False)[0]
            x = scheduler.step(answer, t, x, use_clipped_model_output=True, return_dict=False)[0]
        return x

    return sampling


def _theirs(channels: tuple[int, ...]) -> nn.Module:
    from diffusers import UNet2DModel

    levels = len(channels)
    network: Any = UNet2DModel(
        sample_size=SIZE,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=channels,
        norm_num_groups=8,
        add_attention=False,
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
    )
    assert isinstance(network, nn.Module)
    return network
