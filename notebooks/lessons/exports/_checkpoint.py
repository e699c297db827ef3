"""A run that can be stopped at any time and goes on as if nothing had happened."""

import argparse
import os
from pathlib import Path
from typing import Any

import torch

from lessons.exports._images import stop


def save(path: Path, players: list[Any], draw: torch.Generator, step: int, losses: Any, o: Any) -> None:
    """A checkpoint, which replaces the one before only when it is complete."""
    random = {"draw": draw.get_state(), "torch": torch.get_rng_state()}
    states = [one.state() for one in players]
    whole = {"options": asked(o), "step": step, "losses": losses, "players": states, "random": random}
    write(whole, path)


def write(whole: Any, path: Path) -> None:
    """A file for `torch.load`, which replaces the one before only when it is complete."""
    torch.save(whole, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def asked(o: argparse.Namespace) -> dict[str, Any]:
    """The options that a run depends on."""
    return {name: str(value) for name, value in vars(o).items() if name != "out"}


def load(path: Path, players: list[Any], draw: torch.Generator, o: Any) -> tuple[int, list[Any]]:
    """Go on where a checkpoint was written; gives the step and the losses so far."""
    try:
        whole = torch.load(path, weights_only=True)
        before = whole["options"]
    except Exception:  # damaged bytes can make the reader raise anything
        stop(f"{path} is no checkpoint of this program; remove it or choose another --out.")
    other = [name for name, value in asked(o).items() if before.get(name) != value]
    if other:
        option = other[0].replace("_", "-")
        stop(
            f"{path} belongs to a run with --{option} {before.get(other[0])}; give the same options to go "
            f"on, or another --out."
        )
    for one, state in zip(players, whole["players"], strict=True):
        one.load(state)
    draw.set_state(whole["random"]["draw"])
    torch.set_rng_state(whole["random"]["torch"])
    return whole["step"], whole["losses"]
