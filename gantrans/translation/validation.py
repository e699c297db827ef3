"""Scores of a task's generators on held-out pairs, during training."""

from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.directions import direction as registered
from gantrans.images import unit_from_uint8
from gantrans.metrics import spectrum_error
from gantrans.translation.bidirectional import GENERATORS, BidirectionalTask
from gantrans.translation.classes import ClassesTask
from gantrans.translation.conditional import ConditionalDiffusionTask
from gantrans.translation.generators import Generator
from gantrans.translation.inference import class_scores_of, draw, mean_scores, translate
from gantrans.translation.pix2pix import Pix2PixTask

Task = Pix2PixTask | BidirectionalTask | ConditionalDiffusionTask | ClassesTask


class Validation:
    """Mean scores of a task's generator on held-out pairs: L1 in [0, 1] and, for a binary target, IoU.

    For classes: `mean_iou`, `accuracy` and `cross_entropy`.
    """

    def __init__(self, pairs: PairedDataset, direction: str, batch_size: int = 64) -> None:
        self.direction, self.batch_size = direction, batch_size
        self.inputs, self.targets = pairs.roles(direction)

    def __call__(self, task: Task) -> dict[str, float]:
        names = registered(self.direction).validation
        if registered(self.direction).target_kind == "classes":
            found = class_scores_of(task.generator, self.inputs, self.targets, batch_size=self.batch_size)
            return {name: float(found.per_image[name].mean()) for name in names}
        return mean_scores(self.outputs(task.generator), unit_from_uint8(self.targets), names)

    def outputs(self, generator: Generator) -> Tensor:
        """What a generator makes of the inputs, (N, C, S, S) in [0, 1]."""
        return translate(generator, unit_from_uint8(self.inputs), batch_size=self.batch_size)


class DrawnValidation(Validation):
    """Scores of single draws of a diffusion model, of few images in few steps: a look, not a measurement.

    For a grey target also "spectrum", that of `spectrum_error` in dB: L1 is smallest for a blurred image.
    """

    def __init__(self, pairs: PairedDataset, direction: str, *, images: int = 32, steps: int = 5) -> None:
        super().__init__(pairs.subset(range(min(images, len(pairs)))), direction)
        self.steps = steps

    def __call__(self, task: Task) -> dict[str, float]:
        chosen, targets = registered(self.direction), unit_from_uint8(self.targets)
        outputs = self.outputs(task.generator)
        scores = mean_scores(outputs, targets, chosen.validation)
        if chosen.target_kind == "grey":
            scores["spectrum"] = spectrum_error(outputs, targets)
        return scores

    def outputs(self, generator: Generator) -> Tensor:
        """One draw for each of the inputs, (N, C, S, S) in [0, 1]."""
        return draw(generator, unit_from_uint8(self.inputs), batch_size=self.batch_size, steps=self.steps)


class BothValidation:
    """Scores of both generators: "iou_sem2layout", "l1_sem2layout", "l1_layout2sem", "spectrum_layout2sem".

    The spectrum is that of `spectrum_error`, in dB, of all held-out images together.
    """

    def __init__(self, pairs: PairedDataset, batch_size: int = 64) -> None:
        self.parts = {direction: Validation(pairs, direction, batch_size) for direction in GENERATORS}

    def __call__(self, task: BidirectionalTask) -> dict[str, float]:
        scores: dict[str, float] = {}
        for direction, part in self.parts.items():
            chosen, targets = registered(direction), unit_from_uint8(part.targets)
            outputs = part.outputs(getattr(task, GENERATORS[direction]))
            found = mean_scores(outputs, targets, chosen.validation)
            if chosen.target_kind == "grey":
                found["spectrum"] = spectrum_error(outputs, targets)
            scores |= {f"{name}_{direction}": value for name, value in found.items()}
        return scores
