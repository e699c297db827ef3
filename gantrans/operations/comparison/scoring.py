"""Every trained method on the test split: metrics per image, draws, spectrum, speed, memory, parameters.

What is scored stands in plain Python, so that it is written once and read by a report made again later.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.directions import direction as registered
from gantrans.images import unit_from_uint8
from gantrans.metrics import image_report, radial_spectrum
from gantrans.networks.accounting import memory, parameters
from gantrans.operations.comparison.draws import Array, crps, diversity, inside, levels
from gantrans.operations.promotion.challenge_pairs import layout_of
from gantrans.translation import Predictor, choose_baseline, segment
from gantrans.translation.baselines import DENOISE_OTSU
from gantrans.translation.evaluate import unchanged

_ENOUGH_S, _REPEATS = 0.5, 5
_BINARY = ("iou", "epe", "cd_error_abs", "opens", "bridges", "l1")
_GREY = ("ssim", "l1", "psnr")
Translate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TestSet:
    """Inputs and targets, (N, C, S, S) in [0, 1], of the test split; `cluster`: the file of each tile."""

    __test__ = False  # no class of tests

    inputs: Tensor
    targets: Tensor
    names: list[str]
    cluster: list[str]
    pixel_nm: float | None
    direction: str

    @classmethod
    def of(cls, pairs: PairedDataset, direction: str, most: int) -> "TestSet":
        """At most `most` pairs, evenly over the split."""
        pairs = pairs.subset(spread_over(len(pairs), most))
        inputs, targets = (unit_from_uint8(images) for images in pairs.roles(direction))
        clusters = [layout_of(name) for name in pairs.names]
        return cls(inputs, targets, list(pairs.names), clusters, pairs.pixel_nm, direction)

    @property
    def binary(self) -> bool:
        """Whether the target has two values."""
        return registered(self.direction).target_kind == "binary"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics of one answer; the first decides."""
        return _BINARY if self.binary else _GREY


def score(predictor: Predictor, test: TestSet, drawn: int, draws: int) -> tuple[dict[str, Any], Tensor]:
    """Scores of a method, and its output for every input, (N, C, S, S).

    Args:
        drawn, draws: on how many images how many answers are drawn.
    """
    outputs, speed = timed(predictor.translate, test.inputs)
    found = _of_answers(outputs, test)
    if predictor.varied:
        found["draws"] = _of_draws(predictor, test, drawn, draws)
    else:
        found["draws"] = _of_one_answer(outputs, test, drawn)
    found["speed"] = speed | {"parameters": parameters(predictor.generator)}
    one = None if predictor.steps is None else 1  # every evaluation needs the same memory
    found["speed"]["memory"] = memory(
        lambda: predictor.answers(test.inputs[:1], 1, steps=one), predictor.device
    )
    return found, outputs


def baseline(test: TestSet, validation: PairedDataset, drawn: int) -> tuple[str, dict[str, Any], Tensor]:
    """Label, scores and answers of what needs no training: denoise + Otsu, chosen on the validation split,
    for a binary target; else the input, as `unchanged` gives it."""
    channels = test.targets.shape[1]
    label = unchanged(test.inputs[:1], channels)[0]

    def call(images: Tensor) -> Tensor:
        return unchanged(images, channels)[1].clone()

    if test.binary:
        inputs, targets = (unit_from_uint8(images) for images in validation.roles(test.direction))
        variant = choose_baseline(inputs, targets, DENOISE_OTSU)[0]
        label = "denoise + Otsu"
        call = partial(segment, variant=variant)
    outputs, speed = timed(call, test.inputs)
    found = _of_answers(outputs, test)
    found["draws"] = _of_one_answer(outputs, test, drawn)
    if not test.binary:  # nothing is computed
        speed |= {"alone_s": None, "images_per_s": None}
    found["speed"] = speed | {"parameters": None, "memory": None}
    return label, found, outputs


def _of_answers(outputs: Tensor, test: TestSet) -> dict[str, Any]:
    report = image_report(outputs, test.targets, test.pixel_nm)
    per_image = {name: _plain(report.per_image[name]) for name in test.metrics}
    return {"unit": report.unit, "per_image": per_image, "spectrum": _spectrum(outputs, test)}


def _of_one_answer(outputs: Tensor, test: TestSet, drawn: int) -> dict[str, Any]:
    chosen = spread_over(len(test.targets), drawn)
    found = crps(_valued(outputs[None, chosen], test), test.targets[chosen])
    return {"count": 1, "images": chosen, "crps": _plain(found)}


def _of_draws(predictor: Predictor, test: TestSet, drawn: int, draws: int) -> dict[str, Any]:
    chosen = spread_over(len(test.targets), drawn)
    targets = test.targets[chosen]
    answers = _valued(predictor.answers(test.inputs[chosen], draws), test)
    hits, counts = inside(answers, targets)
    return {
        "count": draws,
        "images": chosen,
        "crps": _plain(crps(answers, targets)),
        "diversity": _plain(diversity(answers)),
        "levels": levels(draws),
        "hits": hits.tolist(),
        "counts": counts.tolist(),
    }


def spread_over(count: int, some: int) -> list[int]:
    """At most `some` of `count` indices at equal distances, ascending, so that no family is left out."""
    return np.linspace(0, count - 1, min(some, count)).round().astype(int).tolist()


def _valued(answers: Tensor, test: TestSet) -> Tensor:
    """Answers as values that the target can have: a binary one has two."""
    return (answers > 0.5).float() if test.binary else answers


def _spectrum(outputs: Tensor, test: TestSet) -> list[list[float]] | None:
    """The radial spectrum of each image; None for a binary target."""
    if test.binary:
        return None
    return [radial_spectrum(image, 1000.0)[1].tolist() for image in outputs]


def spectrum_distance(
    spectra: Any, real: Any, clusters: Sequence[str], *, resamples: int = 500, seed: int = 0
) -> tuple[float, float, float]:
    """`spectrum_error` in dB of two sets given by the spectra of their images, and its 95 % interval.

    Args:
        spectra, real: (N, bins), image by image. clusters: the file of each; whole files are resampled.
    """
    ours, theirs = np.asarray(spectra, np.float64), np.asarray(real, np.float64)
    _, which = np.unique(np.asarray(clusters), return_inverse=True)
    groups = int(which.max()) + 1
    counts = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=resamples)
    weights = np.vstack([np.ones(len(which)), counts[:, which]])
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.abs(10 * np.log10((weights @ ours) / (weights @ theirs))).mean(1)
    low, high = np.quantile(distance[1:], [0.025, 0.975])
    return float(distance[0]), float(low), float(high)


def timed(call: Translate, inputs: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The outputs for all inputs, and the seconds for one image alone and images a second for all together.

    Each is the median of up to five calls that take half a second together, after a call to warm up.
    """
    alone = _seconds(call, inputs[:1])[1]
    outputs, together = _seconds(call, inputs, warm=True)
    return outputs, {"alone_s": alone, "images_per_s": len(inputs) / together}


def _seconds(call: Translate, images: Tensor, *, warm: bool = False) -> tuple[Tensor, float]:
    if not warm:
        call(images)
    times: list[float] = []
    while not times or (len(times) < _REPEATS and sum(times) < _ENOUGH_S):
        started = time.perf_counter()
        outputs = call(images)  # results are on the CPU, so the device has finished
        times.append(time.perf_counter() - started)
    return outputs, float(np.median(times))


def _plain(values: Array) -> list[float | None]:
    return [float(v) if np.isfinite(v) else None for v in values]
