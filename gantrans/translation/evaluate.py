"""Evaluate a trained translator on held-out pairs, per family, and a baseline on the same pairs.

The direction decides what is compared (`gantrans.directions`):
- Binary target (SEM -> layout): the output with the target; baseline is the `DENOISE_OTSU` variant that is
  best on the validation split.
- Binary input and grey target (layout -> SEM): one noisy image is no ground truth for another. So besides the
  pixel metrics, the same variant segments the generated and the real image, and both segmentations are
  compared with the input. The row of the real image is the score of a perfect generator.
- Grey input and target: the output with the target; baseline is the unchanged input.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gantrans.data import PairedDataset
from gantrans.directions import GEOMETRY, PIXELS, TOPOLOGY
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.images import unit_from_uint8
from gantrans.metrics import ImageReport, image_report
from gantrans.training import pick_device
from gantrans.translation.baselines import DENOISE_OTSU, choose_baseline, segment
from gantrans.translation.predictor import Predictor, check_pixel_size
from gantrans.translation.sources import SIMULATED, DataSpec, held_out

TEST_COUNT = 256
UNCHANGED = "input unchanged"
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
    """Row -> {"pixels": ..., "geometry": ...}; a part that is not defined for a row is absent."""

    def mean(self, row: str, metric: str, family: str = "all") -> float:
        """Mean of a metric of one row over one family."""
        return self._part(row, metric).mean(metric, family)

    def _part(self, row: str, metric: str) -> ImageReport:
        return self.rows[row]["pixels" if metric in PIXELS else "geometry"]

    def metrics(self, row: str) -> tuple[str, ...]:
        """The metrics of a row, in the order of the table."""
        parts = self.rows[row]
        return tuple(m for m in self.columns() if ("pixels" if m in PIXELS else "geometry") in parts)

    def columns(self) -> tuple[str, ...]:
        """The metrics of the table: the direction's own, and those of a geometry that is read back."""
        chosen = registered(self.direction)
        return tuple(
            m
            for m in (*PIXELS, *GEOMETRY, *TOPOLOGY)
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
                family: {
                    m: plain[row]["pixels" if m in PIXELS else "geometry"][family][m]
                    for m in self.metrics(row)
                }
                for family in self.families()
            }
            for row in self.rows
        }
        unit = self._unit()
        about = {k: getattr(self, k) for k in ("direction", "source", "split", "count", "baseline")}
        return {**about, "unit": unit, "rows": rows}

    def table(self) -> str:
        """One line per family and row: means, and totals for the topology errors."""
        unit, columns = self._unit(), self.columns()
        head = ["family", "row", *(f"{c} [{unit}]" if c in _LENGTHS else c for c in columns)]
        lines = [head]
        for family in self.families():
            for row in self.rows:
                lines.append([family, row, *(self._cell(row, family, c) for c in columns)])
        widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
        text = "\n".join(
            "  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines
        )
        about = (
            f"{self.count} pairs of {self.source} ({self.split}), {self.direction}; baseline {self.baseline}"
        )
        return f"{about}\n{text}"

    def _unit(self) -> str:
        return next(iter(self.rows["model"].values())).unit

    def _cell(self, row: str, family: str, metric: str) -> str:
        if metric not in self.metrics(row):
            return "-"
        entry = self._part(row, metric).per_family[family][metric]
        return f"{entry['total']:.0f}" if metric in TOPOLOGY else f"{entry['mean']:.3g}"


def evaluate_run(
    run: Path,
    source: str = "procedural",
    *,
    direction: str | None = None,
    split: str = "test",
    count: int | None = None,
    pixel_nm: float | None = None,
    bits: int | None = None,
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
    spec = held_out(trained, source, pixel_nm=pixel_nm, bits=bits)
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
        return UNCHANGED
    try:
        validation = spec.pairs("val", direction)
    except DataError:
        if spec.source in SIMULATED:
            raise
        return DENOISE_OTSU[1]  # no validation pairs: the filter of middle strength
    inputs, targets = (unit_from_uint8(images) for images in validation.roles(direction))
    grey, mask = (targets, inputs) if registered(direction).read_back else (inputs, targets)
    return choose_baseline(grey, mask, DENOISE_OTSU)[0]


def _segmented(direction: str) -> bool:
    """Whether the grey image of a pair can be segmented and compared with a binary one."""
    return registered(direction).target_kind == "binary" or registered(direction).read_back


def evaluate_pairs(
    predictor: Predictor, pairs: PairedDataset, source: str, split: str, *, baseline: str = DENOISE_OTSU[1]
) -> Evaluation:
    """Evaluate on pairs in memory, with the denoise + Otsu variant `baseline`; see the module's text."""
    chosen = registered(predictor.recipe.direction)
    inputs, targets = (unit_from_uint8(images) for images in pairs.roles(chosen.name))

    def report(image: Tensor, reference: Tensor) -> ImageReport:
        return image_report(image, reference, pairs.pixel_nm, pairs.family)

    outputs = predictor.translate(inputs)
    if chosen.read_back:
        rows = {
            "model": {
                "pixels": report(outputs, targets),
                "geometry": report(segment(outputs, baseline), inputs),
            },
            "real image": {"geometry": report(segment(targets, baseline), inputs)},
        }
    elif chosen.target_kind == "binary":
        images = {"model": outputs, "denoise+otsu": segment(inputs, baseline)}
        reports = {row: report(image, targets) for row, image in images.items()}
        rows = {row: {"pixels": r, "geometry": r} for row, r in reports.items()}
    else:
        images = {"model": outputs, UNCHANGED: inputs}
        rows = {row: {"pixels": report(image, targets)} for row, image in images.items()}
        baseline = UNCHANGED
    return Evaluation(chosen.name, source, split, len(pairs), baseline, rows)
