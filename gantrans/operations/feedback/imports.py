"""Pairs that were measured elsewhere, as predictions with true labels of a feedback store."""

from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data.encoding import Encoding, Side
from gantrans.data.folder import PairedFolder
from gantrans.data.reading import Source, stored_file
from gantrans.directions import direction as registered
from gantrans.directions import images_of
from gantrans.errors import DataError
from gantrans.operations.feedback.encodings import keep_encoding
from gantrans.operations.feedback.sides import Reading, Upload, upload_of
from gantrans.operations.feedback.store import Store
from gantrans.translation import Predictor
from gantrans.translation.predictor import check_pixel_size
from gantrans.translation.sources import held_out, open_folder


def import_pairs(
    store: Store,
    folder: Path,
    predictor: Predictor,
    version: str,
    *,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
    progress: bool = True,
) -> int:
    """Translate the inputs of a `PairedFolder` and record them with their targets as true labels.

    The names of the pairs become the ids of the predictions, and NAME-truth those of the labels, so that the
    same call can be repeated after a kill: what is recorded already is skipped.

    Args:
        predictor, version: the model that translates, and its name for the store.
        pixel_nm: nm per pixel; None: as the folder states it.
        bits: used bits of 16-bit images; None: as the folder states them, else as in the model's training.
        encoding: what else is stated of the folder; None: as it states, else as in the model's training.

    Returns:
        The number of pairs that were new.

    Raises:
        DataError: the folder or a pair cannot be used, or has another pixel size than the model.
        ConflictError: a name stands for another image in the store. StoreError: it cannot be written.
    """
    direction = predictor.recipe.direction
    trained = predictor.recipe.data
    spec = held_out(trained, str(folder), pixel_nm=pixel_nm, bits=bits, encoding=encoding)
    pairs = open_folder(str(folder), spec.pixel_nm, spec.bits, spec.encoding)
    check_pixel_size(predictor.recipe, pairs.pixel_nm)
    (inputs, side), (targets, other) = _roles(pairs, direction)
    read = Reading(pairs.bits, side, other)
    keep_encoding(store, direction, version, read.kept)
    new = 0
    for name in tqdm(pairs.names(), desc="labels", unit="pair", disable=not progress, delay=2.0):
        image, label = _read(inputs[name], read.bits, side), _read(targets[name], read.bits, other)
        _same_size(image.image, label.image, str(inputs[name]), str(targets[name]))
        if store.earlier_prediction(name, direction, image.picture) is None:
            output = (predictor.classes_large if read.classes else predictor.translate_large)(image.image)
            made = read.picture(output, image.depth)
            store.register(name, direction, version, image.picture, made, pixel_nm=pairs.pixel_nm)
        new += store.add_label(f"{name}-truth", name, "truth", read.picture(label.image, label.depth))
    return new


def _read(source: Source, bits: int | None, side: Side) -> Upload:
    return upload_of(stored_file(source), str(source), bits=bits, side=side)


def _roles(
    pairs: PairedFolder, direction: str
) -> tuple[tuple[dict[str, Source], Side], tuple[dict[str, Source], Side]]:
    """The files of the direction's inputs and targets by name, and how each of the two are read."""
    chosen = registered(direction)
    held = pairs.manifest.get("input", chosen.input)
    if held not in images_of(direction):
        raise DataError(
            f"{pairs.root} holds {held!r} images in input/, and the champion translates {chosen.input} to "
            f"{chosen.target}; give another folder."
        )
    first, second = (
        (pairs.inputs, pairs.encoding.side("input")),
        (pairs.targets, pairs.encoding.side("target")),
    )
    return (first, second) if held == chosen.input else (second, first)


def _same_size(image: Tensor, label: Tensor, path: str, other: str) -> None:
    if image.shape[-2:] != label.shape[-2:]:
        raise DataError(
            f"{path} is {image.shape[-1]} x {image.shape[-2]} px, but {other} {label.shape[-1]} x "
            f"{label.shape[-2]}; the images of a pair must have one size."
        )
