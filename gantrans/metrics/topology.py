"""Topology: opens, bridges, missing and extra features."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantrans.metrics.contours import LEVEL, Ints
from gantrans.metrics.inputs import check_pair


@dataclass(frozen=True)
class Topology:
    """Defect counts per image, int64 (B,)."""

    opens: Tensor
    """Breaks: a target feature in k pieces counts k - 1."""
    bridges: Tensor
    """Shorts: a predicted feature that joins k target features counts k - 1."""
    missing: Tensor
    """Target features without an overlapping predicted feature."""
    extra: Tensor
    """Predicted features that overlap no target feature."""
    features: Tensor
    """Number of features of the target, to normalise the counts."""

    @property
    def defects(self) -> Tensor:
        """int64 (B,) sum of all four kinds."""
        return self.opens + self.bridges + self.missing + self.extra


def compare_topology(pred: Tensor, target: Tensor, *, diagonal: bool = False) -> Topology:
    """Match the connected components of two batches (B, 1, H, W), values in [0, 1], by overlapping pixels.

    A feature is a connected set of pixels above 0.5. Pixels connect by their sides only, as in
    `find_contours`: two rectangles that touch at a corner are two features. `diagonal=True` connects corners
    too; then such a contact is a bridge, and a line connected only by a corner is not open. Single pixels
    count as features: a speck of noise is an extra feature, or an open if it lies inside the target's
    outline.

    Canonical form: `lessons.lesson10.exercises.count_defects.count_defects`; this labels and counts a
    whole batch at once.

    Raises:
        DataError: for unequal shapes, NaN or values outside [0, 1].
    """
    check_pair(pred, target)
    batch = len(pred)
    p_label, p_image = label_features(pred, diagonal)
    t_label, t_image = label_features(target, diagonal)
    both = (p_label > 0) & (t_label > 0)
    pair = np.unique(p_label[both].astype(np.int64) * len(t_image) + t_label[both])
    p_links = np.bincount(pair // len(t_image), minlength=len(p_image))[1:]  # how many features each overlaps
    t_links = np.bincount(pair % len(t_image), minlength=len(t_image))[1:]

    def count(image: Ints, weights: NDArray) -> Tensor:
        return torch.from_numpy(np.bincount(image[1:], weights, minlength=batch).astype(np.int64))

    return Topology(
        opens=count(t_image, np.maximum(t_links - 1, 0)),
        bridges=count(p_image, np.maximum(p_links - 1, 0)),
        missing=count(t_image, t_links == 0),
        extra=count(p_image, p_links == 0),
        features=count(t_image, np.ones_like(t_links)),
    )


def label_features(image: Tensor, diagonal: bool) -> tuple[NDArray[np.int32], Ints]:
    """Label a whole batch at once: labels (B, H, W), 0 for background, and the image of every label."""
    from scipy import ndimage

    high = (image.detach().squeeze(1) > LEVEL).cpu().numpy()
    batch, height, width = high.shape
    stacked = np.zeros((batch, height + 1, width), bool)  # an empty row separates neighbouring images
    stacked[:, :height] = high
    structure = np.ones((3, 3)) if diagonal else None
    labels, count = ndimage.label(stacked.reshape(-1, width), structure)
    labels = labels.reshape(stacked.shape)
    image_of = np.zeros(count + 1, np.intp)
    number, row, column = np.nonzero(stacked)
    image_of[labels[number, row, column]] = number
    return labels[:, :height], image_of
