"""Imaging conditions: one frozen dataclass with units, and the presets easy, default and hard.

Quantities that vary from clip to clip are ranges (low, high), drawn uniformly per clip; the rest is fixed.
"""

import dataclasses
from dataclasses import dataclass

from torch import Tensor

from gantrans.config import check_choice, check_range
from gantrans.errors import ConfigError

Range = tuple[float, float]
_RANGES: dict[str, Range] = {  # field: allowed interval of both ends
    "cd_bias_nm": (-100.0, 100.0),
    "ler_sigma_nm": (0.0, 50.0),
    "background": (0.0, 1.0),
    "contrast": (-1.0, 1.0),
    "edge_signal": (0.0, 2.0),
    "beam_sigma_nm": (0.0, 200.0),
    "charging": (0.0, 1.0),
    "ramp": (0.0, 1.0),
    "dose": (0.5, 1e6),
}


@dataclass(frozen=True)
class ImagingConfig:
    """Parameters of printing and of SEM imaging.

    Signals are relative to the detector's full scale (1 = white). Roughness is one sigma, not 3 sigma.
    """

    # printing
    corner_blur_nm: float = 28.0  # sigma of the optical blur: rounds corners, shortens line ends
    cd_bias_nm: Range = (-12.0, 12.0)  # printed CD minus drawn CD; each edge moves by half of it
    ler_sigma_nm: Range = (3.0, 8.0)  # standard deviation of the edge
    ler_xi_nm: float = 100.0  # correlation length of the edge
    ler_hurst: float = 0.7  # Hurst exponent of the edge, between 0 and 1
    # contrast formation
    background: Range = (0.20, 0.35)  # signal of the spaces
    contrast: Range = (0.05, 0.22)  # signal of the features' tops minus that of the spaces; may be negative
    edge_signal: Range = (0.35, 0.60)  # height of the bright edge (bloom)
    edge_inner_nm: float = 24.0  # decay length of the bloom inside the feature
    edge_outer_nm: float = 30.0  # decay length of the bloom outside
    edge_dropout: float = 0.4  # largest share of the edge signal lost where an edge fades
    edge_dropout_nm: float = 300.0  # length over which fading comes and goes
    # column and detector
    beam_sigma_nm: Range = (14.0, 24.0)  # sigma of the beam
    charging: Range = (0.05, 0.15)  # share of the recent signal subtracted along the scan
    charging_nm: float = 240.0  # decay length of charging along the scan
    ramp: Range = (0.0, 0.15)  # brightness difference across the clip, in a random direction
    jitter_nm: float = 2.0  # standard deviation of the scan-line jitter (to first order)
    dose: Range = (25.0, 80.0)  # electrons per pixel at full-scale signal
    read_noise: float = 1.0  # detector noise, electrons
    shot_noise: str = "gaussian"  # "gaussian" (skewness-corrected, fast) or "poisson" (exact)

    def __post_init__(self) -> None:
        for field, (low, high) in _RANGES.items():
            value = getattr(self, field)
            if len(value) != 2 or not low <= value[0] <= value[1] <= high:
                raise ConfigError(
                    f"ImagingConfig.{field} is {value!r}; it must be a range (low, high) between {low:g} and"
                    f" {high:g}."
                )
        for field in (
            "corner_blur_nm",
            "ler_xi_nm",
            "edge_inner_nm",
            "edge_outer_nm",
            "edge_dropout_nm",
            "charging_nm",
        ):
            check_range(self, field, 0.0, 1e4, open_low=True)
        check_range(self, "ler_hurst", 0.0, 1.0, open_low=True)
        check_range(self, "edge_dropout", 0.0, 1.0)
        check_range(self, "jitter_nm", 0.0, 50.0)
        check_range(self, "read_noise", 0.0, 1e4)
        check_choice(self, "shot_noise", ("gaussian", "poisson"))

    def fixed(self) -> "ImagingConfig":
        """Copy with every range replaced by its middle; only roughness, fading and noise stay random."""
        middles = {f: (sum(getattr(self, f)) / 2,) * 2 for f in _RANGES}
        return dataclasses.replace(self, **middles)  # type: ignore[arg-type]


DEFAULT = ImagingConfig()
PRESETS = {
    "easy": dataclasses.replace(
        DEFAULT,
        contrast=(0.22, 0.38),
        edge_signal=(0.15, 0.30),
        edge_outer_nm=24.0,
        edge_dropout=0.2,
        charging=(0.0, 0.06),
        ramp=(0.0, 0.05),
        dose=(100.0, 300.0),
        ler_sigma_nm=(2.0, 5.0),
    ),
    "default": DEFAULT,
    "hard": dataclasses.replace(
        DEFAULT,
        contrast=(-0.05, 0.15),
        edge_dropout=0.8,
        charging=(0.10, 0.20),
        ramp=(0.05, 0.20),
        dose=(8.0, 25.0),
        ler_sigma_nm=(4.0, 10.0),
    ),
}
"""Difficulties. On 256 procedural clips (64 px of 20 nm) the best of median 5x5 and Gaussian 1 or 2 px,
followed by Otsu's threshold, reaches a mean IoU of .80, .55 and .36 against the drawn layout. The
errors are caused less by noise than by bright edges around tops with little contrast to the spaces."""


def between(limits: Range, uniform: Tensor) -> Tensor:
    """Values of a range: 0 -> low, 1 -> high (any shape)."""
    low, high = limits
    return low + (high - low) * uniform
