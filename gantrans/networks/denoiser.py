"""The network of a diffusion model: (x_t, t) -> a prediction of the shape of x_t.

`Denoiser` is a U-Net of residual blocks for images (Ho et al. 2020, appendix B); the timestep enters every
block as a scale and a shift of its channels (adaptive group norm, Dhariwal and Nichol 2021, sec. 3).
Space-to-depth input (`unshuffle`) moves all convolutions to a smaller grid. `VectorDenoiser` is a residual
MLP for vectors, such as points in the plane or flattened 8 x 8 digits: it trains in seconds.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError, DataError
from gantrans.networks.blocks import full_precision, weights_from
from gantrans.networks.embeddings import EMBEDDINGS, TimeMLP

DENOISER_NORMS = ("group", "batch", "none")


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of a `Denoiser`.

    channels: of x_t and of the prediction.
    condition_channels: of a condition image that is concatenated to x_t; 0: none.
    classes: labels 0, ..., classes - 1, embedded like the timestep; `classes` itself means "no label".
    base_filters, multipliers: level k has base_filters * multipliers[k] channels at size / (unshuffle *
    2**k).
    blocks: residual blocks per level, in the encoder and in the decoder.
    unshuffle: side of the squares of pixels that are folded into channels; 1 for no folding.
    norm: one of `DENOISER_NORMS`. attention: self-attention at the lowest level.
    embedding: of t, one of `EMBEDDINGS`; steps: T of the schedule.
    """

    channels: int = 1
    condition_channels: int = 0
    classes: int = 0
    base_filters: int = 32
    multipliers: tuple[int, ...] = (1, 2)
    blocks: int = 1
    unshuffle: int = 1
    norm: str = "group"
    attention: bool = True
    embedding: str = "sinusoidal"
    steps: int = 1000

    def __post_init__(self) -> None:
        for field in ("channels", "blocks", "unshuffle", "steps"):
            check_range(self, field, 1)
        for field in ("condition_channels", "classes"):
            check_range(self, field, 0)
        check_choice(self, "norm", DENOISER_NORMS)
        check_choice(self, "embedding", EMBEDDINGS)
        if self.base_filters < 8 or self.base_filters % 8:
            raise ConfigError(
                f"DenoiserConfig.base_filters is {self.base_filters!r}; it must be a multiple of 8, the size "
                "of a group and of an attention head."
            )
        if not self.multipliers or min(self.multipliers) < 1:
            raise ConfigError(
                f"DenoiserConfig.multipliers is {self.multipliers!r}; give one positive number per level."
            )

    @property
    def factor(self) -> int:
        """Height and width must be multiples of this."""
        return self.unshuffle * 2 ** (len(self.multipliers) - 1)


@dataclass(frozen=True)
class VectorDenoiserConfig:
    """Shape of a `VectorDenoiser`: features of x_t, width and number of its blocks; see `DenoiserConfig`."""

    features: int
    hidden: int = 256
    blocks: int = 2
    classes: int = 0
    embedding: str = "sinusoidal"
    steps: int = 1000

    def __post_init__(self) -> None:
        for field in ("features", "blocks", "steps"):
            check_range(self, field, 1)
        check_range(self, "hidden", 8)
        check_range(self, "classes", 0)
        check_choice(self, "embedding", EMBEDDINGS)


class Conditioning(nn.Module):
    """Embedding of the timestep plus, if there are classes, of the label: (B,) and (B,) -> (B, width)."""

    def __init__(self, embedding: str, width: int, steps: int, classes: int) -> None:
        super().__init__()
        self.time = TimeMLP(embedding, max(16, width // 4), width, steps)
        self.classes = classes
        self.label = nn.Embedding(classes + 1, width) if classes else None

    def forward(self, t: Tensor, label: Tensor | None) -> Tensor:
        embedding: Tensor = self.time(t)
        if self.label is None:
            if label is not None:
                raise DataError("A label was given to a denoiser without classes; set classes, or give none.")
            return embedding
        if label is None:
            label = torch.full_like(t, self.classes)
        return embedding + self.label(label)


class TimedBlock(nn.Module):
    """x + Conv(SiLU(scale * norm(Conv(SiLU(norm(x)))) + shift)): (B, C, H, W) -> (B, C', H, W).

    Scale and shift are a linear function of the conditioning; the last convolution starts at zero, so that
    the block starts as the identity (Dhariwal and Nichol 2021).
    """

    def __init__(self, in_channels: int, out_channels: int, conditioning: int, norm: str) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(norm, in_channels), _norm(norm, out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.modulation = nn.Linear(conditioning, 2 * out_channels)
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        nn.init.zeros_(self.conv2.weight)
        nn.init.zeros_(self.conv2.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, conditioning: Tensor) -> Tensor:
        """`conditioning` is (B, D), after its SiLU."""
        h = self.norm2(self.conv1(F.silu(self.norm1(x))))
        scale, shift = self.modulation(conditioning)[:, :, None, None].chunk(2, dim=1)
        return self.shortcut(x) + self.conv2(F.silu(h * (1.0 + scale) + shift))


class SpatialAttention(nn.Module):
    """x + projection(multi-head attention(norm(x))): every position attends to all (Vaswani et al. 2017)."""

    def __init__(self, channels: int, heads: int, norm: str) -> None:
        super().__init__()
        self.heads, self.norm = heads, _norm(norm, channels)
        self.qkv, self.projection = nn.Conv2d(channels, 3 * channels, 1), nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.projection.weight)
        nn.init.zeros_(self.projection.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        batch, channels, height, width = x.shape
        split = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, channels // self.heads, height * width)
        q, k, v = split.transpose(-1, -2).unbind(1)  # each (B, heads, H * W, C / heads)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)
        return x + self.projection(attended.reshape(batch, channels, height, width))


class Denoiser(nn.Module):
    """(x_t (B, C, H, W), t (B,)) -> a prediction (B, C, H, W), float32; equal seeds give equal weights."""

    def __init__(self, config: DenoiserConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        widths = [config.base_filters * m for m in config.multipliers]
        fold, conditioning = config.unshuffle**2, 4 * config.base_filters

        def level(first: int, width: int) -> nn.ModuleList:
            inner = [first, *[width] * config.blocks]
            return nn.ModuleList(TimedBlock(a, b, conditioning, config.norm) for a, b in pairwise(inner))

        with weights_from(seed):
            self.conditioning = Conditioning(config.embedding, conditioning, config.steps, config.classes)
            entering = (config.channels + config.condition_channels) * fold
            self.entry = nn.Conv2d(entering, widths[0], 3, padding=1)
            self.encoder = nn.ModuleList(level(width, width) for width in widths)
            self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
            heads = max(1, widths[-1] // 16)
            self.attention = SpatialAttention(widths[-1], heads, config.norm) if config.attention else None
            self.middle = TimedBlock(widths[-1], widths[-1], conditioning, config.norm)
            self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, stride=2) for a, b in pairwise(widths))
            self.decoder = nn.ModuleList(level(2 * width, width) for width in widths)
            self.norm = _norm(config.norm, widths[0])
            self.exit = nn.Conv2d(widths[0], config.channels * fold, 3, padding=1)
            nn.init.zeros_(self.exit.weight)
            nn.init.zeros_(self.exit.bias)  # type: ignore[arg-type]

    def forward(
        self, x_t: Tensor, t: Tensor, *, condition: Tensor | None = None, label: Tensor | None = None
    ) -> Tensor:
        """(B, C, H, W) and (B,) int64 -> (B, C, H, W).

        Args:
            condition: (B, condition_channels, H, W), if the configuration has any.
            label: (B,) int64; None: no label for any.

        Raises:
            DataError: for a size, number of channels, condition or label that does not fit the configuration.
        """
        self._check(x_t, condition)
        conditioning = F.silu(self.conditioning(t, label))
        x = x_t if condition is None else torch.cat([x_t, condition], dim=1)
        h, skips = self.entry(F.pixel_unshuffle(x, self.config.unshuffle)), []
        for number, level in enumerate(self.encoder):
            if number:
                h = self.down[number - 1](h)
            h = _through(level, h, conditioning)
            skips.append(h)
        if self.attention is not None:
            h = self.attention(h)
        h = self.middle(h, conditioning)
        for number in reversed(range(len(self.decoder))):
            h = _through(self.decoder[number], torch.cat([h, skips[number]], dim=1), conditioning)
            if number:
                h = self.up[number - 1](h)
        h = self.exit(F.silu(self.norm(h)))
        return full_precision(F.pixel_shuffle(h, self.config.unshuffle))

    def _check(self, x_t: Tensor, condition: Tensor | None) -> None:
        config, given = self.config, 0 if condition is None else condition.shape[1]
        if x_t.dim() != 4 or x_t.shape[1] != config.channels:
            raise DataError(
                f"x_t has shape {tuple(x_t.shape)}; this denoiser was built for (B, {config.channels}, H, W)."
            )
        if given != config.condition_channels:
            raise DataError(
                f"The condition has {given} channels, but this denoiser was built for "
                f"{config.condition_channels}; give one that fits or change condition_channels."
            )
        height, width = x_t.shape[2:]
        if height % config.factor or width % config.factor or not height or not width:
            raise DataError(
                f"x_t is {height}x{width} pixels but this denoiser needs multiples of {config.factor}; "
                "use another size, fewer levels or a smaller unshuffle."
            )
        if condition is not None and condition.shape[2:] != x_t.shape[2:]:
            raise DataError(
                f"The condition has {tuple(condition.shape[2:])} pixels and x_t {tuple(x_t.shape[2:])}; "
                "they must agree."
            )


class VectorDenoiser(nn.Module):
    """(x_t (B, F), t (B,)) -> a prediction (B, F), float32; equal seeds give equal weights."""

    def __init__(self, config: VectorDenoiserConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        with weights_from(seed):
            self.conditioning = Conditioning(config.embedding, width, config.steps, config.classes)
            self.entry = nn.Linear(config.features, width)
            self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.blocks))
            self.modulations = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(config.blocks))
            self.inner = nn.ModuleList(nn.Linear(width, width) for _ in range(config.blocks))
            self.outer = nn.ModuleList(nn.Linear(width, width) for _ in range(config.blocks))
            self.exit = nn.Linear(width, config.features)

    def forward(self, x_t: Tensor, t: Tensor, *, label: Tensor | None = None) -> Tensor:
        """(B, F), (B,) int64 and perhaps labels (B,) int64 -> (B, F).

        Raises:
            DataError: x_t of another width.
        """
        if x_t.dim() != 2 or x_t.shape[1] != self.config.features:
            raise DataError(
                f"x_t has shape {tuple(x_t.shape)}; this denoiser was built for (B, {self.config.features})."
            )
        conditioning = F.silu(self.conditioning(t, label))
        h = self.entry(x_t)
        for norm, modulation, inner, outer in zip(
            self.norms, self.modulations, self.inner, self.outer, strict=True
        ):
            scale, shift = modulation(conditioning).chunk(2, dim=1)
            h = h + outer(F.silu(inner(norm(h) * (1.0 + scale) + shift)))
        return full_precision(self.exit(F.silu(h)))


def _through(level: nn.Module, h: Tensor, conditioning: Tensor) -> Tensor:
    for block in level:  # type: ignore[attr-defined]
        h = block(h, conditioning)
    return h


def _norm(kind: str, channels: int) -> nn.Module:
    """Group norm in groups of 8 channels, batch norm, or nothing."""
    if kind == "group":
        return nn.GroupNorm(channels // 8, channels)
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.Identity()
