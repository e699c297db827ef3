"""A diffusion model: schedules, loss, training loop and samplers, in one file.

    python my_diffusion.py --help
    python my_diffusion.py --steps 2000 --sampler ddim --every 10 --out pictures
    python my_diffusion.py --data folder_of_grey_images --size 32

It needs PyTorch and NumPy. Images are .npy or .npz, and .png where Pillow is installed.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gantrans.teaching.mine import (
    TimeBlock,
    cosine_betas,
    ddim_step,
    ddpm_step,
    dpm_step,
    ema_update,
    guided_prediction,
    linear_betas,
    log_snr,
    own_schedule,
    predict_x0,
    sinusoidal_embedding,
    thin_out,
    train,
)
from lessons.exports._images import read_images, stop

# ---- how noise comes in

# part: linear_betas
# part: cosine_betas
# part: own_schedule
# part: thin_out
# part: log_snr
# part: q_sample


def betas_of(schedule: str, steps: int) -> Tensor:
    """The betas (steps,) float64 of "cosine", "linear" or "own", a schedule that gives alpha-bars."""
    if schedule == "linear":
        return linear_betas(steps, 1e-4, 0.02)
    if schedule == "cosine":
        return cosine_betas(steps, 0.999)
    bars = own_schedule(steps)
    return 1 - bars / torch.cat([bars.new_ones(1), bars[:-1]])


# ---- the network

# part: sinusoidal_embedding
# part: TimeBlock


class Denoiser(nn.Module):
    """x_t (B, 1, size, size), t (B,) -> a guess of the noise, like x_t."""

    def __init__(self, size: int, width: int = 256, blocks: int = 3) -> None:
        super().__init__()
        self.width = width
        self.enter = nn.Linear(size * size, width)
        self.blocks = nn.ModuleList(TimeBlock(width, width) for _ in range(blocks))
        self.leave = nn.Linear(width, size * size)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Images are taken as vectors; every block is told the time."""
        time = sinusoidal_embedding(t, self.width, 10_000.0)
        h = self.enter(x.flatten(1))
        for block in self.blocks:
            h = block(h, time)
        guess: Tensor = self.leave(h).view_as(x)
        return guess


# ---- training

# part: diffusion_loss
# part: train
# part: ema_update


def fit(
    net: nn.Module, x0: Tensor, alpha_bars: Tensor, steps: int, lr: float, generator: torch.Generator
) -> list[float]:
    """Train in pieces of 100 steps and average the weights of their ends; the average stays in `net`."""
    averages = [p.detach().clone() for p in net.parameters()]
    losses: list[float] = []
    while len(losses) < steps:
        piece = min(100, steps - len(losses))
        losses += train(net, x0, alpha_bars, piece, min(64, len(x0)), lr, generator)
        averages = ema_update(averages, [p.detach() for p in net.parameters()], 0.8, len(losses) // 10)
        print(f"step {len(losses)}: loss {np.mean(losses[-piece:]):.4f}")
    with torch.no_grad():
        for parameter, average in zip(net.parameters(), averages, strict=True):
            parameter.copy_(average)
    return losses


# ---- sampling

# part: predict_x0
# part: ddpm_step
# part: ddim_step
# part: dpm_step
# part: guided_prediction


@torch.no_grad()
def sample(
    nets: list[nn.Module],
    shape: tuple[int, ...],
    betas: Tensor,
    every: int,
    sampler: str,
    guidance: float,
    generator: torch.Generator,
) -> Tensor:
    """Images (B, 1, H, W) in [-1, 1] from noise, along every `every`-th step of the way.

    A second network, trained on one kind of image, is leaned towards by `guidance`.
    """  # fmt: skip
    alpha_bars = torch.cumprod(1 - thin_out(betas, every), dim=0)
    bars = [1.0, *alpha_bars.tolist()]
    x = torch.randn(shape, generator=generator)
    before = None
    for i in reversed(range(len(alpha_bars))):
        t = torch.full((shape[0],), (i + 1) * every - 1)
        guess = nets[0](x, t)
        if len(nets) == 2:
            guess = guided_prediction(guess, nets[1](x, t), guidance)
        x0 = predict_x0(guess, x, torch.full_like(t, i), alpha_bars, "epsilon").clamp(-1, 1)
        bar, next_bar = bars[i + 1], bars[i]
        if sampler == "dpm":
            x, before = dpm_step(x, x0, before, bar, next_bar), (x0, bar)
            continue
        noise = torch.randn(shape, generator=generator)
        if sampler == "ddpm":
            x = ddpm_step(x, x0, noise, bar, next_bar)
        else:
            x = ddim_step(x, x0, noise, bar, next_bar, 0.0)
    return x.clamp(-1, 1)


# ---- data and the command line

# include: _images


def shapes(count: int, size: int, generator: torch.Generator, squares_only: bool = False) -> Tensor:
    """Bright discs and squares of random place and size on black -> (count, 1, size, size) in [-1, 1]."""
    place = torch.arange(size) + 0.5
    centre = size * (0.3 + 0.4 * torch.rand(count, 2, 1, 1, generator=generator))
    radius = size * (0.12 + 0.15 * torch.rand(count, 1, 1, generator=generator))
    dy, dx = (place[:, None] - centre[:, 0]).abs(), (place - centre[:, 1]).abs()
    square = torch.ones(count, 1, 1) if squares_only else torch.rand(count, 1, 1, generator=generator).round()
    distance = torch.where(square > 0, torch.maximum(dy, dx), (dy.square() + dx.square()).sqrt())
    return (radius - distance).clamp(-1, 1)[:, None]


def main() -> None:
    """Train, sample, and write `samples.npy` (uint8) and `losses.npy` into the folder `--out`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a folder of grey images; without it discs and squares are drawn"
    )
    parser.add_argument("--kind", type=Path, help="a folder of one kind of image, for --guidance")
    parser.add_argument("--size", type=int, default=16, help="side of the images in pixels")
    parser.add_argument("--steps", type=int, default=2000, help="training steps")
    parser.add_argument("--timesteps", type=int, default=200, help="T, the length of the noising")
    parser.add_argument("--schedule", choices=("cosine", "linear", "own"), default="cosine")
    parser.add_argument("--sampler", choices=("ddpm", "ddim", "dpm"), default="ddpm")
    parser.add_argument("--every", type=int, default=1, help="sample along every k-th timestep")
    parser.add_argument(
        "--guidance", type=float, default=0.0, help="above 0: train a second network on one kind"
    )
    parser.add_argument("--count", type=int, default=16, help="images to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."))
    o = parser.parse_args()
    if min(o.size, o.steps, o.timesteps, o.every, o.count) < 1 or o.timesteps % o.every:
        stop("--size, --steps, --timesteps, --every, --count: at least 1; --every divides --timesteps.")
    if o.schedule == "linear" and o.timesteps <= 20:
        stop("--timesteps must be above 20 for the linear schedule: its last beta would reach 1.")
    torch.manual_seed(o.seed)
    generator = torch.Generator().manual_seed(o.seed)
    betas = betas_of(o.schedule, o.timesteps)
    alpha_bars = torch.cumprod(1 - betas, dim=0)
    ends = log_snr(betas)[[0, -1]].tolist()
    print(f"log-SNR from {ends[0]:.1f} at the first timestep to {ends[1]:.1f} at the last")
    sets = [read_images(o.data, o.size) if o.data else shapes(512, o.size, generator)]
    if o.guidance > 0:
        sets.append(
            read_images(o.kind, o.size) if o.kind else shapes(512, o.size, generator, squares_only=True)
        )
    nets = [Denoiser(o.size) for _ in sets]
    losses = [fit(net, x0, alpha_bars, o.steps, 2e-3, generator) for net, x0 in zip(nets, sets, strict=True)]
    shape = (o.count, 1, o.size, o.size)
    images = sample([net.eval() for net in nets], shape, betas, o.every, o.sampler, o.guidance, generator)
    o.out.mkdir(parents=True, exist_ok=True)
    np.save(o.out / "losses.npy", np.array(losses))
    np.save(o.out / "samples.npy", ((images[:, 0] + 1) * 127.5).round().to(torch.uint8).numpy())
    print(f"{o.count} images by {o.sampler} in {o.timesteps // o.every} steps: {o.out / 'samples.npy'}")


if __name__ == "__main__":
    main()
