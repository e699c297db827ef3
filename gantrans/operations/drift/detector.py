"""Input drift detection on three levels, from measurements of images in the order of time.

1. Outliers (`profile`): the article's rule on every image. It gives a rate and no alarm.
2. Windows (`windows`): the last 200 images against the reference, with a threshold calibrated on chunks of
   the reference. Two windows in a row above the threshold raise an alarm.
3. A sequential control chart (`charts`): accumulates small deviations, for slow drift. Two points in a row
   beyond the limit raise an alarm.

An alarm means that the inputs have changed. It does not mean that the outputs are wrong, and the absence of
an alarm does not mean that they are right: if the relation between input and target changes while the inputs
stay the same (concept drift), no input monitor can detect it. So an alarm should raise the priority of
labelling; only labels should start training.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from gantrans.config import check_range, from_dict, to_dict
from gantrans.errors import CheckpointError, DataError
from gantrans.operations.drift.charts import ChartConfig, ChartState, SequentialTest
from gantrans.operations.drift.features import FEATURES
from gantrans.operations.drift.profile import HistogramSchema, Measured, ReferenceProfile
from gantrans.operations.drift.windows import WindowTest
from gantrans.training.checkpoint import write_atomically

INSUFFICIENT, IN_CONTROL, WARNING, DRIFT = "insufficient data", "in control", "warning", "drift"
"""No complete window yet; no sign of drift; last window above the threshold; unacknowledged alarm."""
FORMAT = 1


@dataclass(frozen=True)
class DriftConfig:
    """window: images per window, 200 or more; consecutive: windows in a row that raise an alarm."""

    window: int = 200
    consecutive: int = 2
    chart: ChartConfig = field(default_factory=ChartConfig)
    schema: HistogramSchema = field(default_factory=HistogramSchema)

    def __post_init__(self) -> None:
        check_range(self, "window", 200, 100_000)
        check_range(self, "consecutive", 1, 100)


@dataclass(frozen=True)
class Alarm:
    """`image`: number of images seen. `level`: "chart" or "windows". `features`: those beyond the limit."""

    image: int
    level: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class Acknowledgement:
    """That a person has seen the first `alarms` alarms. made_at: ISO 8601, UTC."""

    alarms: int
    why: str = ""
    who: str = ""
    made_at: str = ""


@dataclass(frozen=True)
class DriftReport:
    """State of a detector. `score` is that of the last complete window, None before the first."""

    status: str
    seen: int
    outliers: int
    score: float | None
    threshold: float
    chart: float
    limit: float
    alarms: tuple[Alarm, ...]

    @property
    def outlier_rate(self) -> float | None:
        """Share of the images that level 1 flagged; None before the first image."""
        return self.outliers / self.seen if self.seen else None


class DriftDetector:
    """The three levels on one stream: calibrate with `fit`, add images with `update`, store with `save`.

    `update` takes any number of images; the result depends on their order only.
    """

    def __init__(
        self, config: DriftConfig, profile: ReferenceProfile, windows: WindowTest, chart: SequentialTest
    ) -> None:
        self.config, self.profile, self.windows, self.chart = config, profile, windows, chart
        self.seen = self.outliers = 0
        self.acknowledgements: list[Acknowledgement] = []
        self.score: float | None = None
        self.strange_in_a_row = 0
        self.chart_state = chart.start()
        self.alarms: list[Alarm] = []
        self._waiting = {
            name: torch.empty(0, len(FEATURES), dtype=torch.float64) for name in ("windows", "chart")
        }

    @classmethod
    def fit(
        cls, reference: Measured, config: DriftConfig = DriftConfig(), *, seed: int = 0
    ) -> "DriftDetector":
        """Calibrate all levels on in-control images in the order of time: 40 windows (8,000 images) or more.

        Raises:
            DataError: too few images, or a constant feature.
        """
        windows = WindowTest.fit(reference.features, config.window)
        chart = SequentialTest.fit(reference.features, config.chart, seed=seed)
        return cls(config, ReferenceProfile.of(reference, config.schema), windows, chart)

    def update(self, measured: Measured) -> DriftReport:
        """Add the next images, in the order of time.

        Raises:
            DataError: histograms with other bins than the profile's.
        """
        bins = self.config.schema.bins
        if measured.histogram.shape[1] != bins:
            raise DataError(
                f"The profile's histograms have {bins} bins, these {measured.histogram.shape[1]}; "
                "measure images with the detector's schema."
            )
        known = len(self.alarms)
        self.outliers += int(self.profile.judge(measured).flagged.sum())
        for end, window in self._pieces("windows", measured.features, self.config.window):
            self._judge(window, end)
        for end, block in self._pieces("chart", measured.features, self.chart.config.block):
            self._add(block, end)
        self.seen += len(measured.features)
        self.alarms[known:] = sorted(self.alarms[known:], key=lambda alarm: (alarm.image, alarm.level))
        return self.report()

    def report(self) -> DriftReport:
        """The present state."""
        status = INSUFFICIENT if self.score is None else WARNING if self.strange_in_a_row else IN_CONTROL
        if len(self.alarms) > self.acknowledged:
            status = DRIFT
        return DriftReport(
            status, self.seen, self.outliers, self.score, self.windows.threshold,
            self.chart.statistic(self.chart_state.values), self.chart.limit, tuple(self.alarms),
        )  # fmt: skip

    @property
    def acknowledged(self) -> int:
        """How many alarms a person has seen: the first ones."""
        return max((a.alarms for a in self.acknowledgements), default=0)

    def acknowledge(self, why: str = "", *, who: str = "", at: str | None = None) -> int:
        """Mark the alarms so far as seen by a person; the status then depends on later images.

        Args:
            why, who: the reason, and who decided; kept with the detector.
            at: ISO 8601, UTC; None: now.

        Returns:
            The number of alarms that were not acknowledged before; 0 records nothing.
        """
        waiting = len(self.alarms) - self.acknowledged
        if waiting:
            made_at = datetime.now(UTC).isoformat(timespec="seconds") if at is None else at
            self.acknowledgements.append(Acknowledgement(len(self.alarms), why, who, made_at))
        return waiting

    def _pieces(self, level: str, features: Tensor, size: int) -> list[tuple[int, Tensor]]:
        """Complete pieces of the stored and the new images, each with the number of images up to its end."""
        waited = len(self._waiting[level])
        every = torch.cat([self._waiting[level], features])
        count = len(every) // size
        self._waiting[level] = every[count * size :].clone()
        start = self.seen - waited
        return [(start + (i + 1) * size, every[i * size : (i + 1) * size]) for i in range(count)]

    def _judge(self, window: Tensor, end: int) -> None:
        verdict = self.windows.judge(window)
        self.score = verdict.score
        self.strange_in_a_row = self.strange_in_a_row + 1 if verdict.strange else 0
        if self.strange_in_a_row >= self.config.consecutive:
            beyond = verdict.distances / self.windows.usual > self.windows.threshold
            self.alarms.append(Alarm(end, "windows", _names(beyond)))
            self.strange_in_a_row = 0

    def _add(self, block: Tensor, end: int) -> None:
        values = self.chart.advance(self.chart_state, block)
        beyond = self.chart.beyond(values)
        self.chart_state, alarm = self.chart.step(self.chart_state, block)
        if alarm:
            self.alarms.append(Alarm(end, "chart", _names(beyond)))

    def save(self, path: Path) -> None:
        """Write calibration and running state atomically to one safetensors file.

        A detector that `load` returns continues with bit-equal numbers.
        """
        parts = {
            "profile": self.profile.state(),
            "windows": self.windows.state(),
            "chart": self.chart.state(),
        }
        tensors = {
            f"{part}.{k}": v for part, s in parts.items() for k, v in s.items() if isinstance(v, Tensor)
        }
        tensors |= {f"waiting.{level}": rows for level, rows in self._waiting.items()}
        tensors["chart values"] = self.chart_state.values
        plain: dict[str, Any] = {
            part: {k: v for k, v in state.items() if not isinstance(v, Tensor)}
            for part, state in parts.items()
        }
        names = ("seen", "outliers", "score", "strange_in_a_row")
        plain |= {"config": to_dict(self.config), "running": {name: getattr(self, name) for name in names}}
        plain |= {"chart run": self.chart_state.run, "alarms": [asdict(alarm) for alarm in self.alarms]}
        plain |= {"acknowledgements": [asdict(seen) for seen in self.acknowledgements]}
        about = {"gantrans drift detector": json.dumps({"format": FORMAT, **plain})}
        write_atomically(path, save({k: v.contiguous() for k, v in tensors.items()}, metadata=about))

    @classmethod
    def load(cls, path: Path) -> "DriftDetector":
        """Read the detector from a file of `save`.

        Raises:
            CheckpointError: no such file, or not one of a detector of this version.
        """
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {}).get("gantrans drift detector", "{}"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path} cannot be read as a drift detector: {error}.") from error
        if about.get("format") != FORMAT:
            raise CheckpointError(
                f"{path} holds no drift detector of format {FORMAT}; fit and save it again."
            )
        parts = {
            part: {
                **about[part],
                **{k.partition(".")[2]: v for k, v in tensors.items() if k.startswith(f"{part}.")},
            }
            for part in ("profile", "windows", "chart")
        }
        detector = cls(
            from_dict(DriftConfig, about["config"]),
            ReferenceProfile.from_state(parts["profile"]),
            WindowTest.from_state(parts["windows"]),
            SequentialTest.from_state(parts["chart"]),
        )
        running = dict(about["running"])
        if seen := running.pop("acknowledged", 0):  # files of earlier versions have the number alone
            detector.acknowledgements = [Acknowledgement(seen)]
        for name, value in running.items():
            setattr(detector, name, value)
        detector.acknowledgements += [Acknowledgement(**seen) for seen in about.get("acknowledgements", [])]
        detector._waiting = {level: tensors[f"waiting.{level}"] for level in detector._waiting}
        detector.chart_state = ChartState(tensors["chart values"], about["chart run"])
        detector.alarms = [Alarm(a["image"], a["level"], tuple(a["features"])) for a in about["alarms"]]
        return detector


def _names(beyond: Tensor) -> tuple[str, ...]:
    return tuple(name for name, yes in zip(FEATURES, beyond.tolist(), strict=True) if yes)
