"""What the experiments with one translator and one discriminator choose per scale."""

from dataclasses import dataclass


@dataclass(frozen=True)
class GanSetting:
    """Sizes at one scale; the decoder's blocks give size / 2**(n_down - 1) and so on up."""

    size: int
    n_down: int
    base_filters: int
    d_filters: int
    pairs: int
    test_pairs: int
    batch_size: int
    steps: int
    lr: float
    seeds: int
