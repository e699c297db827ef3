"""Level 1: the article's rule, per image, against a reference profile of the training set.

The rule: z-scores of mean intensity, contrast and edge density beyond 3, or a Kullback-Leibler divergence of
the grey-level histogram above 0.5. "KL divergence" leaves three choices open that change its value by orders
of magnitude: the direction, the bins and the treatment of empty bins. They are fields of `HistogramSchema`
and are stored with the profile. The Jensen-Shannon distance is reported as well: it is symmetric, bounded by
1, and needs no smoothing.

A flagged image is an outlier. It is not drift: of a Gaussian feature 2.7 in 1,000 in-control images lie
beyond three standard deviations. So this level reports a rate and raises no alarm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gantrans.config import check_choice, check_range, from_dict, to_dict
from gantrans.errors import ConfigError, DataError
from gantrans.operations.drift.features import ARTICLE, FEATURES, image_features

DIRECTIONS = ("image to reference", "reference to image")
FEWEST_IMAGES = 100
"""Fewest images of a profile; with fewer its standard deviations and alarm rate are too uncertain."""


@dataclass(frozen=True)
class HistogramSchema:
    """Definition of the KL divergence of two histograms.

    bins: number of equal bins over [0, 1]. direction: "image to reference" is sum p log(p / q), p the image's
    share of a bin and q the reference's; the other swaps them. smoothing: added to every share of both, which
    are then scaled back to a sum of 1; natural logarithm.
    """

    bins: int = 64
    direction: str = "image to reference"
    smoothing: float = 1e-6

    def __post_init__(self) -> None:
        check_range(self, "bins", 2, 4096)
        check_choice(self, "direction", DIRECTIONS)
        check_range(self, "smoothing", 0.0, 1.0, open_low=True)


class Measured(NamedTuple):
    """Measurements of images, in the order of time.

    features: (N, 10) float64, see `FEATURES`. histogram: (N, bins) float64 shares, or (N, 0) if it was not
    requested.
    """

    features: Tensor
    histogram: Tensor


def measure(
    images: Tensor, pixel_nm: float = 20.0, schema: HistogramSchema | None = HistogramSchema()
) -> Measured:
    """Features and histograms of images (N, 1, H, W) in [0, 1]; with `schema=None` features only.

    Raises:
        DataError: see `image_features`.
    """
    features = image_features(images, pixel_nm)
    if schema is None:
        return Measured(features, torch.empty(len(images), 0, dtype=torch.float64))
    return Measured(features, histograms(images, schema.bins))


def histograms(images: Tensor, bins: int) -> Tensor:
    """Share of the pixels in each of `bins` equal bins of [0, 1]: (N, bins) float64, rows summing to 1."""
    place = (images.flatten(1) * bins).long().clamp_(0, bins - 1)
    place += torch.arange(len(images))[:, None] * bins
    counts = torch.bincount(place.flatten(), minlength=len(images) * bins).reshape(-1, bins)
    return counts.double() / place.shape[1]


def kl_divergence(image: Tensor, reference: Tensor, schema: HistogramSchema = HistogramSchema()) -> Tensor:
    """Kullback-Leibler divergence in nats, (...,), of histograms (..., bins) by the schema's conventions."""
    p, q = (_smoothed(shares, schema.smoothing) for shares in (image, reference))
    if schema.direction == "reference to image":
        p, q = q, p
    return (p * (p / q).log()).sum(-1)


def js_distance(image: Tensor, reference: Tensor) -> Tensor:
    """Jensen-Shannon distance, base 2, in [0, 1]: the root of the divergence (Endres, Schindelin 2003)."""
    middle = (image + reference) / 2
    halves = [torch.special.xlogy(p, p / middle.where(middle > 0, 1.0)).sum(-1) for p in (image, reference)]
    return (
        ((halves[0] + halves[1]) / (2 * torch.log(torch.tensor(2.0, dtype=torch.float64))))
        .clamp(min=0)
        .sqrt()
    )


def _smoothed(shares: Tensor, smoothing: float) -> Tensor:
    return (shares + smoothing) / (shares + smoothing).sum(-1, keepdim=True)


class Outliers(NamedTuple):
    """Level 1 on N images: z (N, 3), KL and Jensen-Shannon (N,), and which are flagged (N,) bool."""

    z: Tensor
    kl: Tensor
    js: Tensor
    flagged: Tensor


@dataclass(frozen=True)
class ReferenceProfile:
    """Statistics of the training set for the article's rule.

    mean, std: of every feature in `FEATURES` (10,). histogram: mean share of each bin. count: images.
    z_limit, kl_limit: the rule's limits.
    """

    mean: Tensor
    std: Tensor
    histogram: Tensor
    count: int
    schema: HistogramSchema = field(default_factory=HistogramSchema)
    z_limit: float = 3.0
    kl_limit: float = 0.5

    def __post_init__(self) -> None:
        check_range(self, "z_limit", 0.0, open_low=True)
        check_range(self, "kl_limit", 0.0, open_low=True)
        if self.mean.shape != (len(FEATURES),) or self.std.shape != self.mean.shape:
            raise ConfigError(f"A profile holds {len(FEATURES)} means and deviations, not {self.mean.shape}.")
        if self.histogram.shape != (self.schema.bins,):
            raise ConfigError(
                f"ReferenceProfile.histogram has shape {tuple(self.histogram.shape)}; "
                f"its schema asks for ({self.schema.bins},)."
            )

    @classmethod
    def of(cls, measured: Measured, schema: HistogramSchema = HistogramSchema()) -> "ReferenceProfile":
        """The profile of reference images.

        Raises:
            DataError: fewer than 100 images, or a feature that is the same in all of them.
        """
        count = len(measured.features)
        if count < FEWEST_IMAGES:
            raise DataError(f"A reference profile needs at least {FEWEST_IMAGES} images; these are {count}.")
        std = measured.features.std(0)
        if (std <= 1e-12).any():
            name = FEATURES[int(std.argmin())]
            raise DataError(
                f"The feature {name!r} is equal in all reference images; leave it out or use other images."
            )
        return cls(measured.features.mean(0), std, measured.histogram.mean(0), count, schema)

    def z_scores(self, features: Tensor) -> Tensor:
        """(N, 10) features in standard deviations from the reference's means."""
        return (features - self.mean) / self.std

    def judge(self, measured: Measured) -> Outliers:
        """The article's rule on every image."""
        z = self.z_scores(measured.features)[:, : len(ARTICLE)]
        kl = kl_divergence(measured.histogram, self.histogram, self.schema)
        flagged = (z.abs() > self.z_limit).any(1) | (kl > self.kl_limit)
        return Outliers(z, kl, js_distance(measured.histogram, self.histogram), flagged)

    def state(self) -> dict[str, Any]:
        """Everything, as tensors and plain Python."""
        tensors = {name: getattr(self, name) for name in ("mean", "std", "histogram")}
        numbers = {name: getattr(self, name) for name in ("count", "z_limit", "kl_limit")}
        return {**tensors, **numbers, "schema": to_dict(self.schema)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> "ReferenceProfile":
        """Rebuild the profile from the result of `state`."""
        return cls(**{**state, "schema": from_dict(HistogramSchema, state["schema"])})
