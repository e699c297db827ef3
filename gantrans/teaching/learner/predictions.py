"""Predict, then run: a prediction is kept before an experiment, compared after it, and scored.

A prediction helps memory most where the outcome surprises (Brod 2021). Choices are scored by Brier (1950)
with the learner's stated confidence. For a range the learner gives an interval meant to hold the value four
times out of five; it is scored by the interval score of Gneiting and Raftery (2007) in units of the whole
range.

    predict("g02_iou", "How much IoU is lost without skips?", range=(0.0, 0.6, "IoU"))
    ...                                  # the experiment
    reveal("g02_iou", measured=loss)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gantrans.errors import ConfigError
from gantrans.teaching.learner import forms, progress

COVERAGE = 0.8  # how sure an interval should be


@dataclass(frozen=True)
class Question:
    """What was asked: one of `choices`, or a value in `low`..`high` with a unit."""

    text: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    unit: str = ""


_asked: dict[str, Question] = {}


def predict(
    name: str,
    question: str,
    *,
    choices: Sequence[str] | None = None,
    range: tuple[float, float, str] | None = None,
) -> None:
    """Ask for a prediction: `choices` with a confidence, or an interval in `range` = (low, high, unit).

    In a live front end a small form stores the answer; elsewhere the question stands there as text and
    nothing waits for an answer. A prediction that has been revealed cannot be changed any more.

    Raises:
        ConfigError: unless exactly one of `choices` (at least two) and `range` (low < high) is given.
    """
    if (choices is None) == (range is None) or (choices is not None and len(choices) < 2):
        raise ConfigError(f"predict({name!r}) needs either two or more `choices` or a `range`.")
    low, high, unit = range or (0.0, 1.0, "")
    if not low < high:
        raise ConfigError(f"predict({name!r}) has the range {low} to {high}; low must be below high.")
    _asked[name] = Question(question, tuple(choices or ()), low, high, unit)
    forms.ask(_markdown(_asked[name]), lambda: _controls(_asked[name]), lambda values: _submit(name, values))


def store(name: str, value: str | tuple[float, float], confidence: float = COVERAGE) -> None:
    """Keep a prediction: a choice with a confidence in 0.5..1, or an interval. Refused after the reveal.

    Raises: ConfigError: for a question that has not been asked, an unknown choice or an interval the wrong
    way round.
    """
    asked = _question(name)
    if "measured" in progress.get("predictions", name):
        return
    if asked.choices:
        if value not in asked.choices:
            raise ConfigError(
                f"{value!r} is not a choice of {name!r}; choose one of {', '.join(asked.choices)}."
            )
        progress.update("predictions", name, choice=value, confidence=float(confidence))
        return
    low, high = (float(v) for v in value)
    if not low <= high:
        raise ConfigError(f"The interval {low} to {high} for {name!r} is the wrong way round.")
    progress.update("predictions", name, interval=[low, high])


def reveal(name: str, measured: float | str) -> "Revealed":
    """Compare the prediction with what was measured; a prediction counts once, with its first measurement.

    Raises:
        ConfigError: for a question that has not been asked, or a measured choice that was not offered.
    """
    asked = _question(name)
    if asked.choices and measured not in asked.choices:
        raise ConfigError(
            f"{measured!r} is not a choice of {name!r}; choose one of {', '.join(asked.choices)}."
        )
    stored = progress.get("predictions", name)
    made = "choice" in stored or "interval" in stored
    if made and "measured" not in stored:
        score = _score(asked, stored, measured)
        stored = progress.update("predictions", name, measured=measured, **score)
    return Revealed(asked, measured, stored if made else {})


@dataclass(frozen=True)
class Revealed:
    """Prediction against measurement, ready to show."""

    question: Question
    measured: float | str
    stored: dict[str, Any]

    def __str__(self) -> str:
        unit = f" {self.question.unit}" if self.question.unit else ""
        value = self.measured if isinstance(self.measured, str) else f"{self.measured:.3g}{unit}"
        measured = f"Measured: **{value}**."
        if not self.stored:
            return f"{measured} No prediction was recorded."
        if self.question.choices:
            sure = f"{self.stored['confidence']:.0%} sure"
            verdict = "right" if self.stored["hit"] else "not so"
            return f"{measured} You predicted “{self.stored['choice']}” ({sure}): {verdict}."
        low, high = self.stored["interval"]
        where = "inside" if self.stored["hit"] else "outside"
        return f"{measured} You predicted {low:.3g} to {high:.3g}{unit}: the value lies {where}."

    def __repr__(self) -> str:
        return str(self)

    def _repr_markdown_(self) -> str:
        return str(self)


def calibration() -> str:
    """How well the learner's confidence fits so far, in one or two sentences."""
    done = [p for p in progress.load()["predictions"].values() if "hit" in p]
    intervals = [p for p in done if "interval" in p]
    choices = [p for p in done if "choice" in p]
    said = []
    if intervals:
        hits = sum(p["hit"] for p in intervals)
        said.append(
            f"{hits} of your {len(intervals)} intervals held the measured value; {COVERAGE:.0%} would "
            f"be calibrated."
        )
    if choices:
        hits = sum(p["hit"] for p in choices)
        brier = sum(p["score"] for p in choices) / len(choices)
        said.append(
            f"{hits} of your {len(choices)} choices were right, Brier score {brier:.2f} (0 is best, "
            f"0.25 is a coin)."
        )
    return " ".join(said) or "No prediction has been revealed yet."


def _question(name: str) -> Question:
    if name not in _asked:
        raise ConfigError(
            f"Nothing was asked under {name!r}; run the cell with predict({name!r}, ...) first."
        )
    return _asked[name]


def _score(asked: Question, stored: dict[str, Any], measured: float | str) -> dict[str, Any]:
    """hit and score (0 is best): Brier for a choice, interval score over the range's width otherwise."""
    if asked.choices:
        hit = stored["choice"] == measured
        return {"hit": hit, "score": (stored["confidence"] - hit) ** 2}
    low, high = stored["interval"]
    value = float(measured)
    outside = max(low - value, value - high, 0.0)
    score = ((high - low) + 2 / (1 - COVERAGE) * outside) / (asked.high - asked.low)
    return {"hit": outside == 0.0, "score": score}


def _markdown(asked: Question) -> str:
    unit = f" {asked.unit}" if asked.unit else ""
    options = " · ".join(asked.choices) or f"somewhere from {asked.low:g} to {asked.high:g}{unit}"
    return f"**Predict before you run.** {asked.text}\n\n*{options}*"


def _controls(asked: Question) -> list[Any]:
    import ipywidgets as w

    if asked.choices:
        sure = w.IntSlider(75, 50, 100, 5, description="I am", readout_format="d")
        return [w.RadioButtons(options=asked.choices, value=None), w.HBox([sure, w.Label("% sure")])]
    third = (asked.high - asked.low) / 3
    label = w.Label(f"I am {COVERAGE:.0%} sure that it lies in this interval ({asked.unit or 'no unit'}):")
    interval = (asked.low + third, asked.high - third)
    step = (asked.high - asked.low) / 100
    return [
        label,
        w.FloatRangeSlider(value=interval, min=asked.low, max=asked.high, step=step, readout_format=".3g"),
    ]


def _submit(name: str, controls: list[Any]) -> str:
    if "measured" in progress.get("predictions", name):
        return "This one has been revealed already; your first prediction stands."
    if _asked[name].choices:
        if controls[0].value is None:
            return "Choose one first."
        store(name, controls[0].value, controls[1].children[0].value / 100)
    else:
        store(name, controls[1].value)
    return "Stored. Now run the experiment."
