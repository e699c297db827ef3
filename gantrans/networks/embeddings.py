"""Embeddings of the timestep t as a vector.

`sinusoidal_embedding` is [sin | cos] of t at frequencies max_period**(-k / half), k = 0, ..., half - 1
(Vaswani et al. 2017, sec. 3.5; halves concatenated, not interleaved). It equals diffusers'
`get_timestep_embedding` with downscale_freq_shift = 0; the default there is 1, whose frequencies end at
1 / max_period exactly, and flip_sin_to_cos swaps the halves. A trained network needs the same convention at
sampling; otherwise the choice makes no difference.
"""

import math

import torch
from torch import Tensor, nn

from gantrans.errors import ConfigError

EMBEDDINGS = ("sinusoidal", "fourier", "learned", "raw", "none")


def sinusoidal_embedding(t: Tensor, width: int, *, max_period: float = 10_000.0) -> Tensor:
    """Timesteps (B,), whole or not -> (B, width) float32 in [-1, 1].

    Canonical form: `lessons.lesson02.exercises.sinusoidal_embedding.sinusoidal_embedding`; this
    computes the frequencies as exponentials in float32, as diffusers does.

    Raises:
        ConfigError: an odd or too small width.
    """
    if width < 2 or width % 2:
        raise ConfigError(f"The width of a sinusoidal embedding is {width}; it must be even and at least 2.")
    half = width // 2
    k = torch.arange(half, dtype=torch.float32, device=t.device)
    angles = t.float()[:, None] * torch.exp(-math.log(max_period) * k / half)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """Timesteps (B,) -> (B, width).

    - sinusoidal: `sinusoidal_embedding`, nothing learned;
    - fourier: [sin | cos] of t / steps times fixed random frequencies (Tancik et al. 2020);
    - learned: a table with one row per timestep, whole timesteps only;
    - raw: one linear layer of t / steps;
    - none: zeros, so that the network's output does not depend on t.

    Args:
        steps: T of the schedule.
        spread: standard deviation of the random frequencies, in turns over the whole schedule.
    """

    frequencies: Tensor

    def __init__(self, kind: str, width: int, steps: int, *, spread: float = 16.0) -> None:
        super().__init__()
        if kind not in EMBEDDINGS:
            raise ConfigError(f"There is no embedding {kind!r}; the embeddings are {', '.join(EMBEDDINGS)}.")
        if width < 2 or width % 2:
            raise ConfigError(f"The width of the time embedding is {width}; it must be even and at least 2.")
        self.kind, self.width, self.steps = kind, width, steps
        if kind == "fourier":
            self.register_buffer("frequencies", 2 * math.pi * spread * torch.randn(width // 2))
        elif kind == "learned":
            self.table = nn.Embedding(steps, width)
        elif kind == "raw":
            self.line = nn.Linear(1, width)

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, width)."""
        if self.kind == "sinusoidal":
            return sinusoidal_embedding(t, self.width)
        if self.kind == "learned":
            embedded: Tensor = self.table(t)
            return embedded
        share = (t.float() / self.steps)[:, None]
        if self.kind == "fourier":
            angles = share * self.frequencies
            return torch.cat([angles.sin(), angles.cos()], dim=1)
        if self.kind == "raw":
            line: Tensor = self.line(share.to(self.line.weight.dtype))
            return line
        return share.new_zeros(len(t), self.width)


class TimeMLP(nn.Module):
    """Timesteps (B,) -> (B, out): embedding, Linear, SiLU, Linear (Ho et al. 2020, appendix B)."""

    def __init__(self, kind: str, width: int, out: int, steps: int) -> None:
        super().__init__()
        self.embedding = TimeEmbedding(kind, width, steps)
        self.layers = nn.Sequential(nn.Linear(width, out), nn.SiLU(), nn.Linear(out, out))

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, out)."""
        result: Tensor = self.layers(self.embedding(t).to(self.layers[0].weight.dtype))
        return result
