"""gantrans: diffusion models and GAN image translation, from the first equation to a watched model."""

from pathlib import Path

__version__ = "0.1.0"

ROOT = Path(__file__).resolve().parents[1]
"""The repository: lessons, shipped data and runs are found from here, whatever the working directory."""
