"""Evaluate a trained translator on held-out pairs, per family, and a baseline on the same pairs.

The direction decides what is compared (`gantrans.directions`):
- Binary target (SEM -> layout): the output with the target; baseline is the `DENOISE_OTSU` variant that is
  best on the validation split.
- Binary input and grey target (layout -> SEM): one noisy image is no ground truth for another. So besides the
  pixel metrics, the same variant segments the generated and the real image, and both segmentations are
  compared with the input. The row of the real image is the score of a perfect generator.
- Grey or colour input and target: the output with the target; baseline is the input, unchanged where it has
  the channels of the target, else in grey or with its grey value in three channels.
- Classes: the output with the target; baseline is one answer for every pixel, the share of each class in
  these targets as its probability, so that its class is the most frequent one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.data.encoding import Encoding
from gantrans.directions import GEOMETRY, LABELS, PIXELS, TOPOLOGY
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.images import as_channels, grey, unit_from_uint8
from gantrans.metrics import ClassReport, ImageReport, class_report, class_scores, image_report
from gantrans.metrics.classes import joined
from gantrans.training import pick_device
from gantrans.translation.baselines import DENOISE_OTSU, choose_baseline, segment
from gantrans.translation.inference import class_scores_of
from gantrans.translation.predictor import Predictor, check_pixel_size
from gantrans.translation.sources import SIMULATED, DataSpec, held_out

TEST_COUNT = 256
UNCHANGED = "input unchanged"
FREQUENT = "shares of the classes"
"""The baseline of classes."""
_LENGTHS = {"epe", "cd_error", "cd_error_abs"}


@dataclass(frozen=True)
class Evaluation:
    """Reports by row name ("model" first, then the baseline), all on the same images."""

    direction: str
    source: str
    split: str
    count: int
    baseline: str
    rows: dict[str, dict[str, ImageReport]]
    """Row -> {"pixels": ..., "geometry": ...}, of classes {"labels": ...}; a part that is not defined for a
    row is absent."""
    computed_on: str = "1 channel"
    """What the metrics compare: "3 channels", or "classes 0, 1, 2"."""
    classes: tuple[str, ...] = ()
    by_class: dict[str, ClassReport] = field(default_factory=dict)
    """Row -> IoU of each of `classes`, over all pixels of the images together."""

    def mean(self, row: str, metric: str, family: str = "all") -> float:
        """Mean of a metric of one row over one family."""
        return self._part(row, metric).mean(metric, family)

    def _part(self, row: str, metric: str) -> ImageReport:
        return self.rows[row][_part_of(metric)]

    def metrics(self, row: str) -> tuple[str, ...]:
        """The metrics of a row, in the order of the table."""
        parts = self.rows[row]
        return tuple(m for m in self.columns() if _part_of(m) in parts)

    def columns(self) -> tuple[str, ...]:
        """The metrics of the table: the direction's own, and those of a geometry that is read back."""
        chosen = registered(self.direction)
        return tuple(
            m
            for m in (*PIXELS, *GEOMETRY, *TOPOLOGY, *LABELS)
            if m in chosen.metrics or (chosen.read_back and m not in PIXELS)
        )

    def families(self) -> list[str]:
        """ "all", then the families that occur."""
        return list(next(iter(self.rows["model"].values())).per_family)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python for JSON: aggregates of every metric per row and family; undefined ones are null."""
        plain = {
            row: {name: report.to_dict()["per_family"] for name, report in parts.items()}
            for row, parts in self.rows.items()
        }
        rows = {
            row: {
                family: {m: plain[row][_part_of(m)][family][m] for m in self.metrics(row)}
                for family in self.families()
            }
            for row in self.rows
        }
        unit = self._unit()
        names = ("direction", "source", "split", "count", "baseline", "computed_on")
        about = {k: getattr(self, k) for k in names}
        classes = {row: found.to_dict(self.classes) for row, found in self.by_class.items()}
        return {**about, "unit": unit, "rows": rows, **({"iou_by_class": classes} if classes else {})}

    def table(self) -> str:
        """One line per family and row: means, and totals for the topology errors."""
        unit, columns = self._unit(), self.columns()
        head = ["family", "row", *(f"{c} [{unit}]" if c in _LENGTHS else c for c in columns)]
        head += [f"IoU {name}" for name in self.classes]
        lines = [head]
        for family in self.families():
            for row in self.rows:
                cells = [self._cell(row, family, c) for c in columns]
                lines.append([family, row, *cells, *self._ious(row, family)])
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        text = "\n".join(
            "  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        about = (
            f"{self.count} pairs of {self.source} ({self.split}), {self.direction}; baseline {self.baseline}"
        )
        if self.computed_on != "1 channel":
            about += f"; metrics of {self.computed_on}"
        if self.classes:
            about += ". mean_iou is per image, over the classes there; the IoU of a class is over all pixels"
        return f"{about}\n{text}"

    def _ious(self, row: str, family: str) -> list[str]:
        """The cells of the IoU of each class; "-" where neither output nor target has it."""
        if not self.classes:
            return []
        values = self.by_class[row].iou_by_class(family, self.classes)
        return ["-" if (v := values[name]) is None else f"{v:.3g}" for name in self.classes]

    def _unit(self) -> str:
        return next(iter(self.rows["model"].values())).unit

    def _cell(self, row: str, family: str, metric: str) -> str:
        if metric not in self.metrics(row):
            return "-"
        entry = self._part(row, metric).per_family[family][metric]
        return f"{entry['total']:.0f}" if metric in TOPOLOGY else f"{entry['mean']:.3g}"


def _part_of(metric: str) -> str:
    """The part of a row that has a metric."""
    return "pixels" if metric in PIXELS else "labels" if metric in LABELS else "geometry"


def evaluate_run(
    run: Path,
    source: str = "procedural",
    *,
    direction: str | None = None,
    split: str = "test",
    count: int | None = None,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
    steps: int | None = None,
    device: str | None = None,
) -> Evaluation:
    """Evaluate a run folder on a source ("procedural", "sky130" or a `PairedFolder`).

    Args:
        direction: which of the run's directions; None chooses the only one there is.
        split: "train", "val", "test", or (folders only) "all".
        count: number of pairs, of a folder at most; default 256 simulated, all of a folder.
        pixel_nm: nm per pixel of the images; must be that of the run.
        bits: used bits of a folder's 16-bit images; None: those of its manifest, else of the run.
        encoding: how else a folder's files are read; None: as its manifest states, else as the run's.
        steps: network evaluations per draw of a diffusion run; None: as in its recipe.

    Raises:
        DataError, CheckpointError: the source or the run cannot be used.
    """
    predictor = Predictor.load(Path(run), pick_device(device), direction=direction, steps=steps)
    trained = predictor.recipe.data
    simulated = source in SIMULATED
    if simulated and split == "all":
        raise DataError(f"--split all is for folders; choose train, val or test of {source}.")
    check_pixel_size(predictor.recipe, pixel_nm)
    spec = held_out(trained, source, pixel_nm=pixel_nm, bits=bits, encoding=encoding)
    chosen = predictor.recipe.direction
    pairs = spec.pairs(split, chosen, count or TEST_COUNT)
    check_pixel_size(predictor.recipe, pairs.pixel_nm)
    if split != "all":
        spec.check(*({"train", "val", "test"} - {split}))
    if count is not None and len(pairs) > count:
        pairs = pairs.subset(range(count))
    return evaluate_pairs(predictor, pairs, source, split, baseline=_choose(spec, chosen, pairs))


def _choose(spec: DataSpec, direction: str, pairs: PairedDataset) -> str:
    """The denoise + Otsu variant that suits the source's validation split (a small folder may have none)."""
    if not _segmented(direction):
        return UNCHANGED  # `evaluate_pairs` names what it takes
    try:
        validation = spec.pairs("val", direction)
    except DataError:
        if spec.source in SIMULATED:
            raise
        return DENOISE_OTSU[1]  # no validation pairs: the filter of middle strength
    inputs, targets = (unit_from_uint8(images) for images in validation.roles(direction))
    image, mask = (targets, inputs) if registered(direction).read_back else (inputs, targets)
    return choose_baseline(image, grey(mask), DENOISE_OTSU)[0]


def _segmented(direction: str) -> bool:
    """Whether the grey image of a pair can be segmented and compared with a binary one."""
    return registered(direction).target_kind == "binary" or registered(direction).read_back


def evaluate_pairs(
    predictor: Predictor, pairs: PairedDataset, source: str, split: str, *, baseline: str = DENOISE_OTSU[1]
) -> Evaluation:
    """Evaluate on pairs in memory, with the denoise + Otsu variant `baseline`; see the module's text."""
    chosen = registered(predictor.recipe.direction)
    _check_channels(predictor, pairs, source)
    if chosen.target_kind == "classes":
        return _evaluate_classes(predictor, pairs, source, split)
    inputs, targets = (unit_from_uint8(images) for images in pairs.roles(chosen.name))
    channels = targets.shape[1]

    def report(image: Tensor, reference: Tensor) -> ImageReport:
        return image_report(image, reference, pairs.pixel_nm, pairs.family)

    outputs = predictor.translate(inputs)
    if chosen.read_back:
        rows = {
            "model": {
                "pixels": report(outputs, targets),
                "geometry": report(segment(outputs, baseline), grey(inputs)),
            },
            "real image": {"geometry": report(segment(targets, baseline), grey(inputs))},
        }
    elif chosen.target_kind == "binary":
        images = {"model": outputs, "denoise+otsu": segment(inputs, baseline)}
        reports = {row: report(image, targets) for row, image in images.items()}
        rows = {row: {"pixels": r, "geometry": r} for row, r in reports.items()}
    else:
        baseline, untrained = unchanged(inputs, channels)
        images = {"model": outputs, baseline: untrained}
        rows = {row: {"pixels": report(image, targets)} for row, image in images.items()}
    computed_on = f"{channels} channel{'s' * (channels > 1)}"
    return Evaluation(chosen.name, source, split, len(pairs), baseline, rows, computed_on)


def _check_channels(predictor: Predictor, pairs: PairedDataset, source: str) -> None:
    """Check that pairs have the channels of the run.

    Raises:
        DataError: they have others.
    """
    trained = predictor.recipe.channels
    found = tuple(images.shape[1] for images in pairs.roles(predictor.recipe.direction))
    if found != trained:
        raise DataError(
            f"The run translates images of {trained[0]} channels into {trained[1]}, and those of {source} "
            f"have {found[0]} and {found[1]}; state --colour as in the training."
        )


def unchanged(inputs: Tensor, channels: int) -> tuple[str, Tensor]:
    """What needs no training where the target is an image: the input with its channels, and how it is called.

    Args:
        inputs: (B, C, H, W) in [0, 1].
    """
    if inputs.shape[1] == channels:
        return UNCHANGED, inputs
    return f"input in {'grey' if channels == 1 else 'three channels'}", as_channels(inputs, channels)


def _evaluate_classes(predictor: Predictor, pairs: PairedDataset, source: str, split: str) -> Evaluation:
    """Evaluate a run of classes on pairs in memory, batch by batch."""
    direction = predictor.recipe.direction
    names = predictor.recipe.data.encoding.classes
    if pairs.classes != names:
        raise DataError(
            f"The run translates into the classes {', '.join(names)}, but the targets of {source} hold "
            f"{', '.join(pairs.classes) or 'none'}; state the same classes."
        )
    inputs, targets = pairs.roles(direction)
    found = class_scores_of(predictor.generator, inputs, targets)
    shares = torch.bincount(targets.flatten(), minlength=len(names)).double() / targets.numel()
    answer = shares.view(1, -1, 1, 1).expand(1, -1, *targets.shape[-2:])
    constant = joined([class_scores(answer, one[None]) for one in targets])
    by_class = {
        row: class_report(scores, pairs.family) for row, scores in (("model", found), (FREQUENT, constant))
    }
    rows = {row: {"labels": one.report} for row, one in by_class.items()}
    return Evaluation(
        direction, source, split, len(pairs), FREQUENT, rows, f"classes {', '.join(names)}", names, by_class
    )
