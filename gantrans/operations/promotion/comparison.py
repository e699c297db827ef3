"""Measurements for the gate: champion and challenger on the same images, with interleaved latencies."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gantrans.data import PairedDataset
from gantrans.directions import direction as registered
from gantrans.errors import DataError, GantransError
from gantrans.images import unit_from_uint8
from gantrans.metrics import compare_topology
from gantrans.operations.promotion.gate import Array, Compared
from gantrans.operations.promotion.versions import load_predictor
from gantrans.translation import Predictor, Recipe
from gantrans.translation.inference import SCORES, class_scores_of


def score_images(predictor: Predictor, pairs: PairedDataset) -> tuple[Array, Array]:
    """Quality and number of opens plus bridges per image, both (N,).

    Quality is the first metric of the direction: IoU for "sem2layout", SSIM for "layout2sem", mean IoU for
    classes. A target in grey, in colour or of classes has no topology to compare; its numbers are zero.
    """
    chosen = registered(predictor.recipe.direction)
    inputs, targets = pairs.roles(chosen.name)
    if chosen.target_kind == "classes":
        found = class_scores_of(predictor.generator, inputs, targets)
        return found.per_image[chosen.quality].double().numpy(), np.zeros(len(pairs))
    targets = unit_from_uint8(targets)
    outputs = predictor.translate(unit_from_uint8(inputs))
    quality = SCORES[chosen.quality](outputs, targets).double().numpy()
    if chosen.target_kind != "binary":
        return quality, np.zeros(len(pairs))
    topology = compare_topology(outputs, targets)
    return quality, (topology.opens + topology.bridges).double().numpy()


def compare(
    champion: Predictor, challenger: Predictor, pairs: PairedDataset, clusters: Sequence[str]
) -> Compared:
    """Score both models on a hold-out set; `clusters` names the layout that each pair shows.

    Raises:
        DataError: the two read or make other channels or classes, so that no pair suits both.
    """
    check_alike(champion.recipe, challenger.recipe)
    before, before_defects = score_images(champion, pairs)
    after, after_defects = score_images(challenger, pairs)
    return Compared(before, after, list(clusters), pairs.family, before_defects, after_defects)


def measure_latency(
    champion: Predictor, challenger: Predictor, pairs: PairedDataset, repeats: int = 60
) -> tuple[Array, Array]:
    """Seconds per image of both models, (repeats,) each, interleaved so that load affects both equally."""
    images = unit_from_uint8(pairs.roles(champion.recipe.direction)[0])
    seconds = np.zeros((2, repeats))
    for k in range(-3, repeats):  # the first three warm up
        image = images[k % len(images)][None]
        for side, predictor in enumerate((champion, challenger)):
            started = time.perf_counter()
            predictor.translate(image)  # returns a tensor on the CPU, so the device has finished
            if k >= 0:
                seconds[side, k] = time.perf_counter() - started
    return seconds[0], seconds[1]


def smoke_inference(folder: Path, pairs: PairedDataset, device: torch.device | None = None) -> str:
    """Run a registered version, read from its files, on four images; returns the problem found, or "".

    Outputs must have the size of the inputs and the channels of the recipe (one for each class), lie in
    [0, 1], not be constant, and be equal in two runs.
    """
    try:
        predictor = load_predictor(folder, device)
        chosen = predictor.recipe
        images = unit_from_uint8(pairs.roles(chosen.direction)[0][:4])
        if images.shape[1] != chosen.channels[0]:
            return f"images have {images.shape[1]} channels, and it reads {chosen.channels[0]}"
        first, second = predictor.translate(images), predictor.translate(images)
    except GantransError as error:
        return str(error)
    channels = len(chosen.data.encoding.classes) or chosen.channels[1]
    if first.shape != (len(images), channels, *images.shape[2:]):
        return f"images of shape {tuple(images.shape)} came back as {tuple(first.shape)}"
    if not torch.isfinite(first).all() or float(first.min()) < 0 or float(first.max()) > 1:
        return "images have values that are not finite or not in [0, 1]"
    if float(first.std((0, 2, 3)).max()) < 1e-3:
        return "all images are one constant"
    return "" if torch.allclose(first, second, atol=1e-5) else "the same image came out differently twice"


def check_alike(champion: Recipe, challenger: Recipe) -> None:
    """Check that two models can be compared on the same pairs.

    Raises:
        DataError: they read or make other channels or classes.
    """
    known, other = champion.data.encoding, challenger.data.encoding
    if (known.channels, known.classes) != (other.channels, other.classes):
        raise DataError(
            f"The champion has {_described(champion)}, but the challenger {_described(challenger)}; compare two "
            "models of equal channels and classes."
        )


def _described(recipe: Recipe) -> str:
    given, made = recipe.channels
    classes = recipe.data.encoding.classes
    return f"{given} channels in and " + (f"the classes {', '.join(classes)}" if classes else f"{made} out")
