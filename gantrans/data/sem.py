"""From the printed shape to the SEM image: contrast, bright edges, beam, charging, shot and detector noise.

The yield of secondary electrons is higher where the surface is steep, so edges are bright on both sides,
while tops and bottoms differ little (Reimer, "Scanning Electron Microscopy", 1998, ch. 4; Mack and Bunday,
"Analytical linescan model for SEM metrology", SPIE 9424, 2015, for the exponential bloom). Beam blur and
charging are linear and act along one axis at a time, so they are small matrix products.

Shot noise: exact Poisson sampling would dominate the time of the simulator. The default replaces a Poisson
count of mean m plus detector noise of variance r^2 by its normal approximation with the Cornish-Fisher
skewness term, m + sqrt(v) z + (m / 6 v) (z^2 - 1), v = m + r^2. Mean and, to leading order, variance and
third moment agree; see `gaussian_electrons` for the measured error.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gantrans.data.imaging import ImagingConfig, between
from gantrans.data.printing import gaussian_operator
from gantrans.data.streams import stream_seeds

_DRAWN = ("background", "contrast", "edge_signal", "beam_sigma_nm", "charging", "ramp", "dose")


def acquire(
    distance_nm: Tensor,
    config: ImagingConfig,
    pixel_nm: float,
    seed: int,
    indices: Sequence[int],
    *,
    margin_px: int = 0,
    noise: bool = True,
) -> Tensor:
    """Simulate SEM images of printed shapes.

    Args:
        distance_nm: (N, S, S) signed distance from the printed edge, positive inside features. Overwritten.
        noise: False for the expected image, without shot noise, detector noise and jitter.

    Returns:
        (N, S - 2 margin_px, S - 2 margin_px) float32 in [0, 1].
    """
    side = distance_nm.shape[-1]
    size, nodes = side - 2 * margin_px, math.ceil(side * pixel_nm / config.edge_dropout_nm) + 2
    uniform, fading, jitter, white = _draws(seed, indices, nodes, size)
    drawn = {
        name: between(getattr(config, name), uniform[:, k])[:, None, None] for k, name in enumerate(_DRAWN)
    }
    signal = _yield(distance_nm, drawn, _fade(fading, side, config.edge_dropout), config, pixel_nm)
    image = _scan(signal, drawn, config, pixel_nm, margin_px, jitter if noise else None)
    image.addcmul_(_plane(uniform[:, len(_DRAWN)], size), drawn["ramp"]).clamp_(min=0.0)
    if noise:
        image.mul_(drawn["dose"])
        if config.shot_noise == "poisson":
            image = poisson_electrons(image, config.read_noise, white, stream_seeds(seed, "poisson", indices))
        else:
            image = gaussian_electrons(image, config.read_noise, white)
        image.div_(drawn["dose"])
    return image.clamp_(0.0, 1.0)


def gaussian_electrons(mean: Tensor, read_noise: float, white: Tensor) -> Tensor:
    """Electrons per pixel by the skewness-corrected normal approximation (see the module's docstring).

    With one electron of detector noise and a mean of 2, 8 or 40 electrons, its distribution function differs
    from the exact one (Poisson plus normal) by at most .002, .0005, .0001, and its variance by +.8, +.5 and
    +.1 %; without the skewness term the difference would be .026, .020, .010.
    """
    variance = mean + read_noise**2
    skew = mean / variance.clamp(min=1e-6).mul_(6.0)
    return mean + variance.sqrt_() * white + skew * (white * white).sub_(1.0)


def poisson_electrons(mean: Tensor, read_noise: float, white: Tensor, seeds: Sequence[int]) -> Tensor:
    """Electrons per pixel, exactly: Poisson counts, one stream per clip, plus normal detector noise."""
    generator = torch.Generator()
    counts = [torch.poisson(m, generator=generator.manual_seed(s)) for m, s in zip(mean, seeds, strict=True)]
    return torch.stack(counts) + read_noise * white


def _draws(seed: int, indices: Sequence[int], nodes: int, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Per clip, from its own stream: uniforms, and normals for edge fading, line jitter and detector."""
    n = len(indices)
    uniform, normal = torch.empty(n, len(_DRAWN) + 1), torch.empty(n, nodes * nodes + size + size * size)
    generator = torch.Generator()
    for i, item in enumerate(stream_seeds(seed, "sem", indices)):
        generator.manual_seed(item)
        uniform[i].uniform_(generator=generator)
        normal[i].normal_(generator=generator)
    fading, jitter, white = normal.split([nodes * nodes, size, size * size], dim=1)
    return uniform, fading.reshape(n, nodes, nodes), jitter, white.reshape(n, size, size)


def _fade(normal: Tensor, side: int, strength: float) -> Tensor:
    """Remaining share of the edge signal, in [1 - strength, 1]: a smooth random map (N, side, side)."""
    n, nodes, _ = normal.shape
    x = torch.linspace(0, nodes - 1, side)
    bumps = torch.exp(-((x[:, None] - torch.arange(nodes)) ** 2))
    bumps = (bumps / bumps.norm(dim=1, keepdim=True)).expand(n, -1, -1)
    field = torch.bmm(torch.bmm(bumps, normal), bumps.transpose(1, 2))
    return field.mul_(1.7).sigmoid_().mul_(-strength).add_(1.0)


def _yield(
    distance: Tensor, drawn: dict[str, Tensor], fade: Tensor, config: ImagingConfig, pixel_nm: float
) -> Tensor:
    """Signal at every position, before blur: material contrast plus the bright edge, (N, S, S)."""
    inner, outer = config.edge_inner_nm, config.edge_outer_nm
    lengths = torch.nn.functional.leaky_relu(distance, -inner / outer).div_(-inner)  # -d / inner or d / outer
    edge = lengths.exp_().mul_(fade).mul_(drawn["edge_signal"])
    feature = distance.mul_(4.0 / pixel_nm).sigmoid_()
    return edge.addcmul_(feature, drawn["contrast"]).add_(drawn["background"])


def _scan(
    signal: Tensor,
    drawn: dict[str, Tensor],
    config: ImagingConfig,
    pixel_nm: float,
    margin: int,
    jitter: Tensor | None,
) -> Tensor:
    """Beam blur along both axes, charging and jitter along the scan (x), crop: small matrix products."""
    side = signal.shape[-1]
    keep = slice(margin, side - margin)
    blur = gaussian_operator(side, drawn["beam_sigma_nm"][:, 0, 0] / pixel_nm)
    image = torch.bmm(torch.bmm(blur[:, keep], signal), blur.transpose(1, 2))
    recent = _recent(side, config.charging_nm / pixel_nm)[keep].T.expand(len(image), -1, -1)
    image = torch.bmm(image, recent).mul_(-drawn["charging"]).add_(image[:, :, keep])
    if jitter is not None and config.jitter_nm > 0:
        rise = torch.nn.functional.pad(image, (1, 1), mode="replicate")
        rise = rise[:, :, 2:] - rise[:, :, :-2]
        image.addcmul_(rise, jitter[:, :, None] * (0.5 * config.jitter_nm / pixel_nm))
    return image


def _recent(side: int, length_px: float) -> Tensor:
    """Exponential mean over the preceding pixels of the scan line: (side, side), strictly causal."""
    lag = torch.arange(side)[:, None] - torch.arange(side)
    return torch.where(lag > 0, torch.exp(-lag / length_px), 0.0) * (1 - math.exp(-1 / length_px))


def _plane(turn: Tensor, size: int) -> Tensor:
    """Planes from about -1/2 to 1/2 rising in the directions 2 pi `turn`: (N, size, size)."""
    x = torch.linspace(-0.5, 0.5, size)
    angle = 2 * math.pi * turn[:, None, None]
    return angle.cos() * x + angle.sin() * x[:, None]
