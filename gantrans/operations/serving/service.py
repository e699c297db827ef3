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
from gantrans.operations.feedback.database import StoreError
from gantrans.operations.feedback.pictures import encode_png
from gantrans.operations.feedback.records import Prediction
from gantrans.operations.feedback.store import Store
from gantrans.operations.serving.calls import Call, Turn
from gantrans.operations.serving.decode import decode
from gantrans.operations.serving.models import REGISTRY, Model, ModelError, Models, reason
from gantrans.operations.serving.monitors import InputMonitor, Operational
from gantrans.operations.serving.readiness import Readiness, State
from gantrans.translation.predictor import check_pixel_size


class DirectionError(DataError):
    """No loaded model translates in this direction."""


@dataclass(frozen=True)
class TranslationResult:
    """A translation as it was stored; images (1, H, W) in [0, 1], `png` the encoded output."""

    id: str
    direction: str
    version: str
    input: Tensor
    output: Tensor
    png: bytes
    seconds: dict[str, float]


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
            image = decode(data, bits=bits, run_bits=model.predictor.recipe.data.bits)
        if known := self.store.earlier_prediction(id, direction, image):
            return self._stored(known, image, seconds)
        return self._translate(model, image, id, pixel_nm, seed, seconds, call or Call())

    def _translate(
        self,
        model: Model,
        image: Tensor,
        id: str,
        pixel_nm: float | None,
        seed: int,
        seconds: dict[str, float],
        call: Call,
    ) -> TranslationResult:
        """Run the network and store the prediction; stage times are added to `seconds`."""
        direction = model.direction
        stated_nm = model.predictor.recipe.data.pixel_nm if pixel_nm is None else pixel_nm
        with self._turn.taken(call), self._timed("forward", seconds):
            output = _run(model, image, seed)
        with self._timed("encode", seconds):
            png = encode_png(output)
        with self._timed("store", seconds):
            new = self.store.register(
                id, direction, model.version, image, output, seconds=seconds["forward"], pixel_nm=stated_nm
            )
        if not new:  # an equal request was stored during the forward pass
            known = self.store.earlier_prediction(id, direction, image)
            assert known is not None  # nothing is ever deleted
            return self._stored(known, image, seconds)
        self._observe(direction, image, stated_nm)
        self.monitor.predictions.labels(direction, model.version).inc()
        for side, picture in (("input", image), ("output", output)):
            self.monitor.pixels.labels(side).observe(float(picture.mean()))
        return TranslationResult(id, direction, model.version, image, output, png, seconds)

    def _observe(self, direction: str, image: Tensor, pixel_nm: float | None) -> None:
        """Show an input to its monitor. The prediction is stored already, so a failure is only noted."""
        if self.inputs is None:
            return
        try:
            self.inputs.observe(direction, image, pixel_nm)
        except (GantransError, OSError) as error:
            self.problems["inputs"] = f"The input monitor failed: {reason(error)}"

    def _stored(self, known: Prediction, image: Tensor, seconds: dict[str, float]) -> TranslationResult:
        output, png = self.store.image(known.output), self.store.png(known.output)
        return TranslationResult(known.id, known.direction, known.model, image, output, png, seconds)

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
        return model.predictor.translate_large(image, seed=seed)
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, GantransError):
            raise
        raise ModelError(
            f"The network could not be run on an image of {image.shape[-1]} x {image.shape[-2]} px "
            f"({reason(error)}); send a smaller image, or try again later."
        ) from error
