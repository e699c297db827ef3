"""Handwritten digits of 8 x 8 pixels: a real data set on which a small network trains in seconds.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository
(1998), the test part, as shipped with scikit-learn: 1,797 digits; a pixel is the number of black points,
0 to 16, in a 4 x 4 block. The same writers are in both splits.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError

TEST_PER_DIGIT = 35


@dataclass(frozen=True)
class Digits:
    """image: (N, 1, 8, 8) float32 in [-1, 1], 1 = ink. label: (N,) int64, the digit."""

    image: Tensor
    label: Tensor

    def __len__(self) -> int:
        return len(self.image)


def load_digits(split: str = "train") -> Digits:
    """The digits of one split, always the same: "test" has 350 (35 of each digit), "train" the other 1,447.

    Raises:
        DataError: for an unknown split.
    """
    if split not in ("train", "test"):
        raise DataError(f"split is {split!r}; choose one of 'train', 'test'.")
    image, label = _all_digits()
    order = np.argsort(stream_seeds(0, "digits", range(len(label))))
    test = np.zeros(len(label), bool)
    for digit in range(10):
        test[order[label[order] == digit][:TEST_PER_DIGIT]] = True
    chosen = test if split == "test" else ~test
    return Digits(torch.from_numpy(image[chosen]), torch.from_numpy(label[chosen]))


@cache
def _all_digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    return (images.reshape(-1, 1, 8, 8) / 8.0 - 1.0).astype(np.float32), labels.astype(np.int64)
