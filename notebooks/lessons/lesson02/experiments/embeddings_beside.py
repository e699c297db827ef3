"""Lesson 02, beside claim D04: other embeddings, the plane, x0 prediction, and a U-Net on images of digits.

It decides no claim: three seeds at the reduced scale. They are the first of `embeddings.py`, so that the
tables can be joined.
"""

from gantrans.teaching.sweeps.sweep import Sweep
from lessons.lesson02.experiments.embeddings import BESIDE, configs, run_seed

SWEEP = Sweep(
    "embeddings_beside",
    lambda seed, scale: run_seed(seed, scale, BESIDE),
    {"smoke": 2, "reduced": 3, "full": 6},
    lambda scale: configs(scale, BESIDE),
    {},
)
