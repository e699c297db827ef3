"""Ablations: a notebook run over a grid of settings and seeds, and what its runs say together.

`python -m gantrans ablate NAME` runs a sweep of a lesson or a grid of your own; notebooks/ablations/README.md
tells how to write one. Inside the notebook `save_row` or `save_arms` hands over what a run measured.
Importing this is cheap: every run of every grid does it.
"""

from gantrans.teaching.sweeps.engine import Report, run_grid
from gantrans.teaching.sweeps.grid import Comparison, Grid, Run
from gantrans.teaching.sweeps.grid_files import find_grid, find_grids, read_grid
from gantrans.teaching.sweeps.rows import Observation, save_arms, save_row, tidy

__all__ = [
    "Comparison",
    "Grid",
    "Observation",
    "Report",
    "Run",
    "find_grid",
    "find_grids",
    "read_grid",
    "run_grid",
    "save_arms",
    "save_row",
    "tidy",
]
