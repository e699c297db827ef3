"""Feature matching: an L1 loss between the discriminator's features of real and generated pairs.

Sources: Salimans et al. 2016, section 3.1; Wang et al. 2018 (pix2pixHD), equation 3, here with D's features
of (condition, fake) and (condition, target), so that images are matched in pairs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gantrans.errors import ConfigError

FM_CONVENTIONS = ("mean", "sum")


def feature_matching(real: Sequence[Tensor], fake: Sequence[Tensor], convention: str = "mean") -> Tensor:
    """L1 distance between D's features of real and fake, a scalar; no gradient flows to the real ones.

    "mean": the average over the L layers of each layer's mean absolute difference. "sum": pix2pixHD's
    4 / (n_layers + 1) times the sum over its n_layers + 1 layers of the same means, so exactly four times the
    average: a weight of 10 here acts like 40 there.

    Canonical form: `lessons.lesson09.exercises.matched_features.matched_features`; this takes
    features that other losses have computed already.

    Args:
        real, fake: features layer by layer, (B, C_k, h_k, w_k), such as `Discrimination.features`.

    Raises:
        ConfigError: an unknown convention, or lists of different length.
    """
    if convention not in FM_CONVENTIONS:
        raise ConfigError(f"convention is {convention!r}; choose one of {', '.join(FM_CONVENTIONS)}.")
    if len(real) != len(fake) or not real:
        raise ConfigError(
            f"Feature matching got {len(real)} real and {len(fake)} fake layers; give equally many."
        )
    layers = [(r.detach().float() - f.float()).abs().mean() for r, f in zip(real, fake, strict=True)]
    average = torch.stack(layers).mean()
    return average if convention == "mean" else 4.0 * average
