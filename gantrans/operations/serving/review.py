"""Human review: the images shown side by side, and the metrics shown after the verdict."""

import base64
import hashlib
import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.data.encoding import Encoding
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.images import grey, unit_from_uint8
from gantrans.metrics import image_report
from gantrans.operations.feedback.kept import Picture
from gantrans.operations.feedback.pictures import class_difference, difference_map, outline
from gantrans.operations.serving.quality import mask_scores
from gantrans.training import pick_device
from gantrans.translation import DENOISE_OTSU, Predictor, Recipe, segment
from gantrans.translation.predictor import check_pixel_size
from gantrans.translation.sources import SIMULATED, held_out

COUNT = 50
MEASURED = ("epe", "epe_p95", "iou", "opens", "bridges", "missing", "extra")
"""Metrics of `image_report` that are shown with a verdict where geometry can be compared: the output's own if
the target is binary, else the geometry that denoise + Otsu reads back, as in `evaluate`. Without geometry the
direction's own metrics are shown."""
_READER = DENOISE_OTSU[1]


@dataclass(frozen=True)
class ReviewItem:
    """One item on the page, images (1 or 3, H, W) in [0, 1]; of classes, output and reference are their
    numbers, (1, H, W) uint8.

    `geometry` and `truth` are compared by EPE and outlines: binary targets themselves, or what can be read
    back from grey ones; None if neither input nor target is binary.
    """

    input: Tensor
    output: Tensor
    reference: Tensor
    geometry: Tensor | None = None
    truth: Tensor | None = None


class Review:
    """The items of one review, in the order in which they are shown; an output is computed on first access.

    Args:
        translate: (1, C, H, W) in [0, 1] -> (1, C', H, W) in [0, 1], or the numbers of classes, uint8.
        pairs: the inputs and references to review.
        direction: a registered one that `pairs` has the images of.
        model: name of the network's weights, stored with every verdict.
        seed: of the shuffled order, which prevents expectations from order or family; None keeps the order
            of `pairs`.
        title: heading of the page.
    """

    def __init__(
        self,
        translate: Callable[[Tensor], Tensor],
        pairs: PairedDataset,
        direction: str,
        model: str,
        *,
        seed: int | None = 0,
        title: str = "",
    ) -> None:
        order = list(range(len(pairs)))
        if seed is not None:
            random.Random(seed).shuffle(order)
        self.translate, self.direction, self.model, self.title = translate, direction, model, title
        self.pairs = pairs.subset(order)
        self.inputs, self.references = self.pairs.roles(direction)
        self.items = [self._name(index) for index in range(len(self.pairs))]
        self.unit = "px" if pairs.pixel_nm is None else "nm"
        self._lock = threading.Lock()  # one item at a time: a second request waits for the first result
        self._shown = lru_cache(maxsize=64)(self._compute)
        self._measured = lru_cache(maxsize=4096)(self._measure)

    @classmethod
    def open(
        cls,
        run: Path,
        source: str = "procedural",
        *,
        direction: str | None = None,
        split: str = "test",
        count: int | None = None,
        pixel_nm: float | None = None,
        bits: int | None = None,
        encoding: Encoding | None = None,
        seed: int | None = 0,
        device: str | None = None,
    ) -> "Review":
        """Review a run folder on a source ("procedural", "sky130" or a `PairedFolder`).

        Args:
            direction: which of the run's directions; None chooses the only one there is.
            split: "train", "val", "test", or (folders only) "all".
            count: number of pairs (default 50); of a folder at most this number (default all).
            pixel_nm: nm per pixel of the images; must be that of the run.
            bits: used bits of a folder's 16-bit images; None: those of its manifest, else of the run.
            encoding: what else is stated of a folder; None: as its manifest states, else as the run has it.

        Raises:
            DataError, CheckpointError: the source or the run cannot be used.
        """
        predictor = Predictor.load(Path(run), pick_device(device), direction=direction)
        trained, chosen = predictor.recipe.data, predictor.recipe.direction
        simulated = source in SIMULATED
        if simulated and split == "all":
            raise DataError(f"--split all is for folders; choose train, val or test of {source}.")
        check_pixel_size(predictor.recipe, pixel_nm)
        spec = held_out(trained, source, pixel_nm=pixel_nm, bits=bits, encoding=encoding)
        pairs = spec.pairs(split, chosen, count or COUNT)
        check_pixel_size(predictor.recipe, pairs.pixel_nm)
        if count is not None and len(pairs) > count:
            pairs = pairs.subset(range(count))
        title = f"{Path(run).resolve().name} on {source if simulated else Path(source).name} ({split})"
        _check_pairs(pairs, predictor.recipe, source)
        translate = predictor.classes if predictor.labelled else predictor.translate
        return cls(translate, pairs, chosen, checkpoint_version(run), seed=seed, title=title)

    def __len__(self) -> int:
        return len(self.items)

    def item(self, index: int) -> dict[str, Any]:
        """Images and outlines of an item for the page, without any metric of the output."""
        shown = self.shown(index)
        classes = self.classes
        made, right = (
            Picture.of_classes(image, classes) if classes else Picture.of(image)
            for image in (shown.output, shown.reference)
        )
        difference = class_difference if classes else difference_map
        pictures = {
            "input": Picture.of(shown.input),
            "output": made,
            "reference": right,
            "difference": Picture.of(difference(shown.output, shown.reference)),
        }
        return {
            "item": self.items[index],
            "name": self.pairs.names[index],
            "family": self.pairs.family[index],
            "width": shown.input.shape[-1],
            "height": shown.input.shape[-2],
            "pictures": {name: _data_url(picture) for name, picture in pictures.items()},
            "outlines": {"output": _outline(shown.geometry), "reference": _outline(shown.truth)},
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """The stored values of the classes; empty where the outputs are images."""
        return self.pairs.classes

    def shown(self, index: int) -> ReviewItem:
        """The images of an item."""
        with self._lock:
            return self._shown(index)

    def measured(self, index: int) -> dict[str, float | None]:
        """The metrics of an item, lengths in `unit`; None where a metric is not defined."""
        shown = self.shown(index)
        with self._lock:
            return self._measured(index, shown)

    def _compute(self, index: int) -> ReviewItem:
        given, reference = unit_from_uint8(self.inputs[index]), self.references[index]
        output = self.translate(given[None])[0]
        chosen = registered(self.direction)
        if chosen.target_kind == "classes":
            return ReviewItem(given, output, reference)
        reference = unit_from_uint8(reference)
        if chosen.target_kind == "binary":
            return ReviewItem(given, output, reference, output, reference)
        if chosen.read_back:
            return ReviewItem(given, output, reference, segment(grey(output)[None], _READER)[0], given)
        return ReviewItem(given, output, reference)

    def _measure(self, index: int, shown: ReviewItem) -> dict[str, float | None]:
        if self.classes:
            one, other = (Picture.of_classes(x, self.classes) for x in (shown.output, shown.reference))
            return mask_scores(one, other)
        if shown.geometry is None or shown.truth is None:
            compared, names = (shown.output, shown.reference), registered(self.direction).metrics
        else:
            compared, names = (shown.geometry, shown.truth), MEASURED
        report = image_report(compared[0][None], compared[1][None], self.pairs.pixel_nm)
        values = {name: float(report.per_image[name][0]) for name in names}
        return {name: value if math.isfinite(value) else None for name, value in values.items()}

    def _name(self, index: int) -> str:
        """An id made of name, contents and model: it is stable across restarts and unique to the images."""
        contents = self.inputs[index].numpy().tobytes() + self.references[index].numpy().tobytes()
        return f"{self.pairs.names[index]}#{hashlib.sha256(contents).hexdigest()[:12]}@{self.model}"


def checkpoint_version(run: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of the checkpoint that `Predictor.load` reads."""
    path = next((p for p in (Path(run) / "best.pt", Path(run) / "last.pt") if p.exists()), Path(run))
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]


def _outline(image: Tensor | None) -> str:
    return "" if image is None else outline(image)


def _check_pairs(pairs: PairedDataset, recipe: Recipe, source: str) -> None:
    """Raise a `DataError` unless a run can translate the inputs of pairs, and its outputs be compared."""
    given, right = pairs.roles(recipe.direction)
    classes, trained = (", ".join(known) or "none" for known in (pairs.classes, recipe.data.encoding.classes))
    if (given.shape[1], right.shape[1]) != recipe.channels or classes != trained:
        raise DataError(
            f"The pairs of {source} have {given.shape[1]} and {right.shape[1]} channels (classes: {classes}),"
            f" but the run was trained with {recipe.channels[0]} and {recipe.channels[1]} (classes:"
            f" {trained}); state the same colour and classes."
        )


def _data_url(picture: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.png()).decode()
