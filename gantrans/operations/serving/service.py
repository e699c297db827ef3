"""One translation from bytes to result: decode, forward pass, encode, store. A result is returned only after
the store has committed it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from gantrans.directions import directions
from gantrans.errors import DataError, GantransError
from gantrans.images import grey
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.encodings import encoding_of, keep_encoding
from gantrans.operations.feedback.records import Prediction
from gantrans.operations.feedback.sides import Reading
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.calls import Call, Turn
from gantrans.operations.serving.decode import Upload, read_upload
from gantrans.operations.serving.models import REGISTRY, Model, ModelError, Models, reason
from gantrans.operations.serving.monitors import InputMonitor, Operational
from gantrans.operations.serving.readiness import Readiness, State
from gantrans.translation.predictor import check_pixel_size


class DirectionError(DataError):
    """No loaded model translates in this direction."""


@dataclass(frozen=True)
class TranslationResult:
    """A translation as it was stored; `png` is the encoded output.

    input: (C, H, W) in [0, 1]. output: the same, or (1, H, W) uint8, the numbers of `classes`.
    classes: their stored values, by number; empty where the output is an image.
    """

    id: str
    direction: str
    version: str
    input: Tensor
    output: Tensor
    png: bytes
    seconds: dict[str, float]
    classes: tuple[str, ...] = ()


class Service:
    """Translate uploads; safe to call from several threads, one of which runs a network at a time."""

    def __init__(
        self, models: Models, store: Store, monitor: Operational, inputs: InputMonitor | None = None
    ) -> None:
        self.models, self.store, self.monitor, self.inputs = models, store, monitor, inputs
        self.readiness = Readiness(self._probe)
        self.problems: dict[str, str] = {}
        """What failed beside the answers, such as saving the state of the input monitor."""
        self._turn = Turn()

    def translate(
        self,
        data: bytes,
        direction: str,
        *,
        id: str,
        bits: int | None = None,
        pixel_nm: float | None = None,
        seed: int = 0,
        call: Call | None = None,
    ) -> TranslationResult:
        """Translate the bytes of an image file; a repeated request gets the result that was stored.

        Args:
            id: idempotency key: a request with the same id, direction and image can be repeated.
            bits: see `decode`; None: those of the model's training, if it had 16-bit images.
            pixel_nm: nm per pixel; must be that of the model if both are known.
            seed: of the noise that a generator with noise injection adds.
            call: the request, checked before the network runs: its client may have left, or its time be over.

        Raises:
            DataError: unknown direction, unusable image, or another pixel size.
            ConflictError: `id` names another request.
            StoreError: the prediction could not be stored.
            ModelError: the network could not be run.
            GoneError, OverTimeError: the client has left or the time is over; nothing was stored.
        """
        seconds: dict[str, float] = {}
        model = self.model(direction)
        check_pixel_size(model.predictor.recipe, pixel_nm)
        with self._timed("decode", seconds):
            read = model.reading
            upload = read_upload(data, bits=bits, run_bits=read.bits, side=read.input)
        if known := self.store.earlier_prediction(id, direction, upload.picture):
            return self._stored(known, upload.image, seconds)
        return self._translate(model, upload, id, pixel_nm, seed, seconds, call or Call())

    def _translate(
        self,
        model: Model,
        upload: Upload,
        id: str,
        pixel_nm: float | None,
        seed: int,
        seconds: dict[str, float],
        call: Call,
    ) -> TranslationResult:
        """Run the network and store the prediction; stage times are added to `seconds`."""
        direction, read, image = model.direction, model.reading, upload.image
        stated_nm = model.predictor.recipe.data.pixel_nm if pixel_nm is None else pixel_nm
        with self._turn.taken(call), self._timed("forward", seconds):
            output = _run(model, image, seed)
        with self._timed("encode", seconds):
            made = read.picture(output, upload.depth)
            png = made.png()
        with self._timed("store", seconds):
            keep_encoding(self.store, direction, model.version, read.kept)
            new = self.store.register(
                id, direction, model.version, upload.picture, made, seconds=seconds["forward"], pixel_nm=stated_nm
            )
        if not new:  # an equal request was stored during the forward pass
            known = self.store.earlier_prediction(id, direction, upload.picture)
            assert known is not None  # nothing is ever deleted
            return self._stored(known, image, seconds)
        self._observe(direction, image, stated_nm)
        self.monitor.predictions.labels(direction, model.version).inc()
        for side, picture in (("input", image), *([] if read.classes else [("output", output)])):
            self.monitor.pixels.labels(side).observe(float(grey(picture).mean()))
        return TranslationResult(id, direction, model.version, image, output, png, seconds, read.classes)

    def _observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Show an input to its monitor. The prediction is stored already, so a failure is only noted."""
        if self.inputs is None:
            return
        try:
            self.inputs.observe(direction, image, pixel_nm)
        except (GantransError, OSError) as error:
            self.problems["inputs"] = f"The input monitor failed: {reason(error)}"

    def _stored(self, known: Prediction, image: Tensor, seconds: dict[str, float]) -> TranslationResult:
        picture, png = self.store.picture(known.output), self.store.png(known.output)
        classes = encoding_of(self.store, known.direction, known.model).classes
        output = picture.numbers(classes) if classes else picture.unit()
        return TranslationResult(known.id, known.direction, known.model, image, output, png, seconds, classes)

    def label_reading(self, prediction: str) -> Reading:
        """How a label of a prediction is read: as the present model of its direction reads its targets.

        Raises:
            DataError: the prediction is not known yet, and the models read their targets in several ways.
        """
        known = self.store.prediction(prediction)
        if known is not None:
            model = self.models.get(known.direction)
            return Reading() if model is None else model.reading
        loaded = [self.model(direction).reading for direction in self.models.directions()]
        if len({(read.bits, read.target) for read in loaded}) > 1:
            raise DataError(
                f"Prediction {prediction} is not known yet, and the loaded models read labels in several ways; "
                "send the label after its prediction."
            )
        return loaded[0] if loaded else Reading()

    def model(self, direction: str) -> Model:
        """The current model of a direction.

        Raises:
            DirectionError: no model is loaded for it.
        """
        model = self.models.get(direction) if direction in directions() else None
        if model is None:
            there = ", ".join(self.models.directions())
            raise DirectionError(f"No loaded model translates {direction!r}; choose from {there}.")
        return model

    def _probe(self) -> State:
        """Whether a translation could be made and stored now."""
        try:
            self.store.probe()
        except StoreError as error:
            return State(False, str(error))
        if not self.models.directions():
            return State(False, "No model is loaded.")
        problems = self.models.problems | self.problems
        unreadable = [text for name, text in problems.items() if name.startswith(REGISTRY)]
        return State(not unreadable, next(iter([*unreadable, *problems.values()]), None))

    @contextmanager
    def _timed(self, stage: str, seconds: dict[str, float]) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[stage] = time.perf_counter() - start
        self.monitor.stages.labels(stage).observe(seconds[stage])


def _run(model: Model, image: Tensor, seed: int) -> Tensor:
    try:
        if model.reading.classes:
            return model.predictor.classes_large(image)
        return model.predictor.translate_large(image, seed=seed)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, GantransError):
            raise
        raise ModelError(
            f"The network could not be run on an image of {image.shape[-1]} x {image.shape[-2]} px "
            f"({reason(error)}); send a smaller image, or try again later."
        ) from error
