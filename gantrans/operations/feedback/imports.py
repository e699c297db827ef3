"""Pairs that were measured elsewhere, as predictions with true labels of a feedback store."""

from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data import read_image
from gantrans.data.folder import PairedFolder
from gantrans.directions import direction as registered
from gantrans.directions import images_of
from gantrans.errors import DataError
from gantrans.operations.feedback.store import Store
from gantrans.translation import Predictor
from gantrans.translation.predictor import check_pixel_size


def import_pairs(
    store: Store,
    folder: Path,
    predictor: Predictor,
    version: str,
    *,
    pixel_nm: float | None = None,
    bits: int | None = None,
    progress: bool = True,
) -> int:
    """Translate the inputs of a `PairedFolder` and record them with their targets as true labels.

    The names of the pairs become the ids of the predictions, and NAME-truth those of the labels, so that the
    same call can be repeated after a kill: what is recorded already is skipped.

    Args:
        predictor, version: the model that translates, and its name for the store.
        pixel_nm: nm per pixel; None: as the folder states it.
        bits: used bits of 16-bit images; None: as the folder states them, else as in the model's training.

    Returns:
        The number of pairs that were new.

    Raises:
        DataError: the folder or a pair cannot be used, or has another pixel size than the model.
        ConflictError: a name stands for another image in the store. StoreError: it cannot be written.
    """
    direction = predictor.recipe.direction
    pairs = PairedFolder(folder, pixel_nm=pixel_nm, bits=bits)
    used = pairs.bits if pairs.bits is not None else predictor.recipe.data.bits
    check_pixel_size(predictor.recipe, pairs.pixel_nm)
    inputs, targets = _roles(pairs, direction)
    new = 0
    for name in tqdm(pairs.names(), desc="labels", unit="pair", disable=not progress, delay=2.0):
        image, label = (read_image(side[name], bits=used) for side in (inputs, targets))
        _same_size(image, label, inputs[name], targets[name])
        if store.earlier_prediction(name, direction, image) is None:
            output = predictor.translate_large(image)
            store.register(name, direction, version, image, output, pixel_nm=pairs.pixel_nm)
        new += store.add_label(f"{name}-truth", name, "truth", label)
    return new


def _roles(pairs: PairedFolder, direction: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """The files of the direction's inputs and targets, by name."""
    chosen = registered(direction)
    held = pairs.manifest.get("input", chosen.input)
    if held not in images_of(direction):
        raise DataError(
            f"{pairs.root} holds {held!r} images in input/, and the champion translates {chosen.input} to "
            f"{chosen.target}; give another folder."
        )
    return (pairs.inputs, pairs.targets) if held == chosen.input else (pairs.targets, pairs.inputs)


def _same_size(image: Tensor, label: Tensor, path: Path, other: Path) -> None:
    if image.shape != label.shape:
        raise DataError(
            f"{path} is {image.shape[-1]} x {image.shape[-2]} px, but {other} {label.shape[-1]} x "
            f"{label.shape[-2]}; the images of a pair must have one size."
        )
