"""Molecules drawn: a flat layout by distances along bonds, with elements as letters."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.teaching.plots import COLOURS, describe, new_figure, styled
from lessons.lesson16.molecules import Molecule, is_valid, write_smiles

LETTER = {"N": COLOURS[0], "O": COLOURS[1], "F": COLOURS[2]}
STARTS, ROUNDS = 6, 120


@lru_cache(maxsize=512)
def layout(molecule: Molecule) -> np.ndarray:
    """Positions (atoms, 2) in bond lengths, in which the longest side lies flat.

    Stress majorisation (Gansner, Koren, North 2004): every pair of atoms pulls and pushes towards the
    distance that a zigzag of as many bonds spans, near pairs more strongly. The best of a few seeded starts
    is kept.
    """
    steps = _bonds_between(molecule)
    wanted = np.where(steps % 2 == 0, np.sqrt(3) / 2 * steps, np.sqrt(0.75 * steps**2 + 0.25))
    weight = np.where(steps > 0, 1.0 / np.maximum(wanted, 1e-9) ** 2, 0.0)
    draw = np.random.default_rng(0)
    tries = [_relaxed(draw.normal(size=(len(steps), 2)), wanted, weight) for _ in range(STARTS)]
    best = min(tries, key=lambda places: _stress(places, wanted, weight))
    centred = best - best.mean(axis=0)
    _, _, axes = np.linalg.svd(centred)
    flat = centred @ axes.T
    return np.asarray(flat * np.where(flat.sum(axis=0) < 0, -1.0, 1.0))


def _bonds_between(molecule: Molecule) -> np.ndarray:
    """How many bonds lie between two atoms; between pieces that do not hang together, as many as atoms."""
    count = len(molecule.atoms)
    steps = np.full((count, count), float(max(count, 2)))
    np.fill_diagonal(steps, 0.0)
    for i, j, _ in molecule.bonds:
        steps[i, j] = steps[j, i] = 1.0
    for k in range(count):  # Floyd and Warshall
        steps = np.minimum(steps, steps[:, k, None] + steps[None, k, :])
    return steps


def _relaxed(places: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> np.ndarray:
    laplacian = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.pinv(laplacian)
    for _ in range(ROUNDS):
        ratio = weight * wanted / np.maximum(_distances(places), 1e-6)
        places = inverse @ ((np.diag(ratio.sum(axis=1)) - ratio) @ places)
    return places


def _distances(places: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(places[:, None] - places[None], axis=2))


def _stress(places: np.ndarray, wanted: np.ndarray, weight: np.ndarray) -> float:
    return float((weight * (_distances(places) - wanted) ** 2).sum())


@styled
def molecules_figure(rows: Mapping[str, Sequence[Molecule]], columns: int = 8) -> Figure:
    """Rows of drawn molecules; one that no valence allows, or in pieces, is crossed out.

    Args:
        rows: the words for a row, and its molecules, of which `columns` are drawn.
    """
    figure = new_figure(1.25 * columns, 1.35 * len(rows))
    axes: Any = figure.subplots(len(rows), columns, squeeze=False)
    for line, (words, made) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set_axis_off()
        for ax, molecule in zip(line, made, strict=False):
            draw_molecule(ax, molecule)
        line[0].set_title(words, loc="left", fontsize=9)
        drawn = list(made[:columns])
        broken = sum(not is_valid(molecule) for molecule in drawn)
        texts = ", ".join(write_smiles(molecule) for molecule in drawn if is_valid(molecule))
        describe(
            line[0], f"{words}: {texts or 'no valid molecule'}; {broken} of {len(drawn)} are crossed out."
        )
    return figure


def draw_molecule(ax: Axes, molecule: Molecule) -> None:
    """One molecule: carbon is a corner, other elements are letters, a bond has as many lines as its order."""
    if not molecule.atoms:
        ax.text(0.5, 0.5, "empty", ha="center", va="center", color="0.5", transform=ax.transAxes, fontsize=8)
        return
    places = layout(molecule)
    for i, j, order in molecule.bonds:
        start, end = places[i], places[j]
        side = np.array([start[1] - end[1], end[0] - start[0]]) / max(
            float(np.linalg.norm(end - start)), 1e-6
        )
        for shift in np.arange(order) - (order - 1) / 2:
            line = np.stack([start, end]) + 0.2 * shift * side
            ax.plot(*line.T, color="#333333", linewidth=1.1, solid_capstyle="round")
    for atom, near, (x, y) in zip(molecule.atoms, molecule.neighbours(), places, strict=True):
        if atom in LETTER:
            ax.text(
                x, y, atom, ha="center", va="center", fontsize=8, color=LETTER[atom], weight="bold",
                bbox={"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "none"},
            )  # fmt: skip
        elif not near:  # a carbon without a bond would not be seen
            ax.plot(x, y, "o", color="#333333", markersize=3)
    reach = max(float(np.abs(places).max()) + 0.6, 2.2)
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    if not is_valid(molecule):
        ax.plot([0.08, 0.92], [0.08, 0.92], color="#B00020", linewidth=1.0, alpha=0.8, transform=ax.transAxes)
