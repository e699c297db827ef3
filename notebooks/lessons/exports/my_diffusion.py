"""A diffusion model in one file: noise, network, training, samplers.

    python my_diffusion.py --help
    python my_diffusion.py --data FOLDER --size 32 --steps 2000 --out pictures
    python my_diffusion.py --sampler ddim --evaluations 20 --guidance 2

FOLDER holds grey images of one size (.npy, .npz, and .png where Pillow is installed); subfolders are labels.
Without --data, discs and squares are drawn. It needs PyTorch and NumPy, and runs on the CPU.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.teaching.mine import (
    UNet,
    cosine_betas,
    ddim_step,
    ddpm_step,
    dpm_step,
    ema_update,
    guided_prediction,
    own_sampler,
    predict_x0,
    q_sample,
    sample,
    sampling_times,
    time_modulation,
)
from lessons.exports._images import read_images, stop
from lessons.exports._sheet import sheet, write_png

# ---- how noise comes in

# part: cosine_betas
# part: q_sample

# ---- the network

# part: sinusoidal_embedding
# part: time_modulation


class ConvBlock(nn.Module):
    """h (B, inputs, H, W), time (B, D) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(inputs // 8, inputs), nn.GroupNorm(outputs // 8, outputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(time, 2 * outputs)
        self.shortcut = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        for parameter in self.conv2.parameters():
            nn.init.zeros_(parameter)  # so that the block starts as its shortcut

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Two convolutions beside a shortcut; between them the time scales and shifts the channels."""
        inner = self.norm2(self.conv1(F.silu(self.norm1(h))))
        inner = time_modulation(inner, time, self.modulation.weight, self.modulation.bias)
        added: Tensor = self.shortcut(h) + self.conv2(F.silu(inner))
        return added


# part: UNet

# ---- training

# part: ema_update


def learn(
    net: nn.Module, x0: Tensor, labels: Tensor, bars: Tensor, steps: int, generator: torch.Generator
) -> list[float]:
    """Train `net` to predict x0; a label is withheld for a tenth. Averaged weights stay in it."""
    none = int(labels.max()) + 1
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.15)
    averages, losses = [p.detach().clone() for p in net.parameters()], []
    for step in range(steps):
        chosen = torch.randint(len(x0), (32,), generator=generator)
        t = torch.randint(len(bars), (32,), generator=generator)
        noise = torch.randn(x0[chosen].shape, generator=generator)
        label = torch.where(torch.rand(32, generator=generator) < 0.1, none, labels[chosen])
        loss = F.mse_loss(net(q_sample(x0[chosen], t, noise, bars), t, label), x0[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        averages = ema_update(averages, [p.detach() for p in net.parameters()], 0.99, step)
        losses.append(loss.item())
        if (step + 1) % 100 == 0 or step + 1 == steps:
            print(f"step {step + 1}: loss {np.mean(losses[-100:]):.4f}")
    for parameter, average in zip(net.parameters(), averages, strict=True):
        parameter.data = average
    return losses


# ---- sampling

# part: predict_x0
# part: guided_prediction
# part: sampling_times
# part: sample
# part: ddpm_step
# part: ddim_step
# part: dpm_step
# part: own_sampler

STEPS = {
    "ddpm": lambda x, x0, noise, bar, bar_next, before: ddpm_step(x, x0, noise, bar, bar_next),
    "ddim": lambda x, x0, noise, bar, bar_next, before: ddim_step(x, x0, noise, bar, bar_next, 0.0),
    "dpm": lambda x, x0, noise, bar, bar_next, before: dpm_step(x, x0, before, bar, bar_next),
}


def draw(
    net: nn.Module, x: Tensor, label: Tensor, bars: Tensor, o: argparse.Namespace, generator: torch.Generator
) -> Tensor:
    """Images like x from noise x (B, 1, H, W), of the labels (B,), in [-1, 1]."""
    none = torch.full_like(label, o.kinds)

    @torch.no_grad()
    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        guess = net(x_t, t, label)
        if o.guidance != 1:
            guess = guided_prediction(net(x_t, t, none), guess, o.guidance)
        image: Tensor = predict_x0(guess, x_t, t, bars, "x0").clamp(-1, 1)
        return image

    if o.sampler == "own":
        last: Tensor = own_sampler(predict, x, bars, generator)
    else:
        times = sampling_times(len(bars), o.evaluations)
        last = sample(predict, x, times, bars, STEPS[o.sampler], generator)[-1]
    return last.clamp(-1, 1)


# ---- images and the command line

# include: _images
# include: _sheet


def shapes(count: int, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Bright discs (label 0) and squares (1) on black -> (count, 1, size, size) in [-1, 1], (count,)."""
    place = torch.arange(size) + 0.5
    centre = size * (0.3 + 0.4 * torch.rand(count, 2, 1, 1, generator=generator))
    radius = size * (0.12 + 0.15 * torch.rand(count, 1, 1, generator=generator))
    dy, dx = (place[:, None] - centre[:, 0]).abs(), (place - centre[:, 1]).abs()
    label = torch.arange(count) % 2
    far = torch.where(label[:, None, None] > 0, torch.maximum(dy, dx), (dy.square() + dx.square()).sqrt())
    return (radius - far).clamp(-1, 1)[:, None], label


def options() -> argparse.Namespace:
    """What the command line asks for; a mistake ends the program with a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = stop  # type: ignore[assignment, method-assign]
    parser.add_argument("--data", type=Path, help="a folder of grey images; its subfolders are labels")
    parser.add_argument("--size", type=int, default=16, help="side of the images in pixels, a multiple of 4")
    parser.add_argument("--steps", type=int, default=450, help="training steps of 32 images")
    parser.add_argument("--sampler", choices=(*STEPS, "own"), default="ddpm")
    parser.add_argument("--evaluations", type=int, default=50, help="calls of the network per image, to 1000")
    parser.add_argument("--guidance", type=float, default=1.0, help="scale; 1: none, 0: labels are ignored")
    parser.add_argument("--count", type=int, default=64, help="images to draw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of samples.png and the rest")
    o = parser.parse_args()
    if min(o.steps, o.count, o.size, o.evaluations) < 1 or o.size % 4 or o.evaluations > 1000:
        stop("--steps and --count are at least 1, --size is a multiple of 4, --evaluations is 1 to 1000.")
    if not 0 <= o.guidance < math.inf or not 0 <= o.seed < 2**63:
        stop("--guidance and --seed are at least 0.")
    return o


def main() -> None:
    """Train, draw, and write `samples.png`, `losses.npy` and `weights.pt` into the folder `--out`."""
    o = options()
    generator = torch.Generator().manual_seed(o.seed)
    torch.manual_seed(o.seed)
    x0, labels = shapes(1024, o.size, generator)
    if o.data:
        x0, homes = read_images(o.data, o.size, "*", "*/*")
        labels = torch.tensor([sorted(set(homes)).index(home) for home in homes])
    o.kinds = int(labels.max()) + 1
    if o.guidance != 1 and o.kinds == 1:
        stop(f"--guidance needs labels: put the images of each kind into a subfolder of {o.data}.")
    try:
        o.out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=o.out).close()
    except OSError as error:
        stop(f"Nothing can be written into {o.out}: {error.strerror}.")
    bars = torch.cumprod(1 - cosine_betas(1000, 0.999), dim=0)
    net = UNet(ConvBlock, 16, o.kinds)
    losses = learn(net, x0, labels, bars, o.steps, generator)
    start = torch.randn(o.count, 1, o.size, o.size, generator=generator)
    images = draw(net.eval(), start, torch.arange(o.count) % o.kinds, bars, o, generator)
    np.save(o.out / "losses.npy", np.array(losses))
    torch.save(net.state_dict(), o.out / "weights.pt")
    write_png(o.out / "samples.png", sheet(images))
    print(f"{o.count} images by {o.sampler}: {o.out / 'samples.png'}")


if __name__ == "__main__":
    main()
