"""Experience replay: batches that mix new pairs with old ones, against catastrophic forgetting.

Source: Rolnick et al. 2019, "Experience replay for continual learning". The share of old pairs is a setting.
"""

import math

import torch

from gantrans.config import check_range
from gantrans.data import BatchSource, PairedDataset
from gantrans.training import Batch


class ReplayBatches:
    """Training batches with `share` of old pairs: `batches(step)`, a pure function of the step.

    If share * batch_size is not an integer, some batches hold one old pair more than others, so that the
    share is exact on average. Families alternate, and pairs are flipped and rotated, as in `BatchSource`.

    Args:
        new, old: the pairs; `old` is not read at share 0, nor `new` at share 1. Without `old` (its conditions
            hold no longer) the share is 0.
        direction: a registered one that `new` and `old` have the images of.
        share: of old pairs, 0 to 1.
        seed: of order and augmentation.
    """

    def __init__(
        self,
        new: PairedDataset,
        old: PairedDataset | None,
        direction: str,
        batch_size: int,
        share: float,
        seed: int,
    ) -> None:
        self.batch_size, self.share = batch_size, share if old is not None else 0.0
        check_range(self, "batch_size", 1)
        check_range(self, "share", 0.0, 1.0)
        self.new = BatchSource(new, direction, 1, 2 * seed)
        self.old = BatchSource(new if old is None else old, direction, 1, 2 * seed + 1)

    def old_before(self, step: int) -> int:
        """Number of old pairs in all batches before `step`."""
        return math.floor(self.share * self.batch_size * step + 0.5)

    def __call__(self, step: int) -> Batch:
        first, last = self.old_before(step), self.old_before(step + 1)
        fresh = range(step * self.batch_size - first, (step + 1) * self.batch_size - last)
        parts = [self.new(slot) for slot in fresh] + [self.old(slot) for slot in range(first, last)]
        return {
            "input": torch.cat([_tensor(part, "input") for part in parts]),
            "target": torch.cat([_tensor(part, "target") for part in parts]),
            "family": [name for part in parts for name in part["family"]],
        }


def _tensor(part: Batch, name: str) -> torch.Tensor:
    value = part[name]
    assert isinstance(value, torch.Tensor)
    return value
