"""report.json, report.html and the figures, out of the scores; made again by every call."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import gantrans
from gantrans.config import to_dict
from gantrans.data import PairedDataset
from gantrans.images import as_picture
from gantrans.metrics import radial_spectrum
from gantrans.operations.comparison import report_charts
from gantrans.operations.comparison.intervals import Interval
from gantrans.operations.comparison.numerals import number, percent
from gantrans.operations.comparison.page import page
from gantrans.operations.comparison.plan import Plan
from gantrans.operations.comparison.scoring import TestSet
from gantrans.operations.comparison.settings import Settings, Wishes
from gantrans.operations.comparison.tables import MEASURES, Row, decide, examples, intervals
from gantrans.operations.comparison.training import Trained, curve
from gantrans.operations.promotion.challenge_pairs import layout_of
from gantrans.training.checkpoint import write_atomically

FORMAT = 1
LABELS = {
    "iou": "IoU", "epe": "EPE", "cd_error_abs": "CD error", "opens": "opens", "bridges": "bridges",
    "l1": "L1", "ssim": "SSIM", "psnr": "PSNR", "spectrum": "spectrum distance", "crps": "CRPS",
    "diversity": "diversity",
}  # fmt: skip
LENGTHS = ("epe", "cd_error_abs")
UNITS = {"psnr": "dB", "spectrum": "dB"}
HIGHER = {"iou": True, "ssim": True, "psnr": True, "diversity": None}
"""Whether more is better (None: neither more nor less is); of the other measures less is."""
FEW_PAIRS = 100
"""Training files below which the report warns that more would probably change the result."""
_OFF = 0.03


def label(measure: str, unit: str) -> str:
    """Name of a measure with its unit."""
    stated = unit if measure in LENGTHS else UNITS.get(measure)
    return f"{LABELS[measure]} [{stated}]" if stated else LABELS[measure]


def write_report(
    out: Path,
    settings: Settings,
    wishes: Wishes,
    splits: Mapping[str, PairedDataset],
    about: Mapping[str, Any],
    plan: Plan,
    test: TestSet,
    rows: Sequence[Row],
    trained: Mapping[str, Trained],
) -> dict[str, Any]:
    """Write everything that a reader gets; returns the contents of report.json.

    Args:
        splits: "train", "val" and "test".
        about: direction, its reason, and more that the page states.
        rows: the baseline last. trained: name of the run -> how it ended.
    """
    real = None if test.binary else [radial_spectrum(image, 1000.0)[1] for image in test.targets]
    found = {row.name: intervals(row, test, real) for row in rows}
    measure, advice = decide(rows, test, wishes)
    unit = rows[0].scores[0]["unit"]
    contents: dict[str, Any] = {
        "format": FORMAT,
        "gantrans": gantrans.__version__,
        "settings": to_dict(settings),
        "wishes": asdict(wishes),
        **about,
        "pairs": {name: _counts(pairs) for name, pairs in splits.items()},
        "tested": {"images": len(test.names), "files": len(set(test.cluster))},
        "unit": unit,
        "plan": plan.to_dict(),
        "trainings": {name: _training(out, one) for name, one in trained.items()},
        "rows": [_row(row, found[row.name], unit) for row in rows],
        "measure": {"name": measure, "label": MEASURES[measure].label, "margin": MEASURES[measure].margin},
        "recommendation": advice.to_dict(),
        "notes": [
            *notes(rows, plan, _counts(splits["train"])["files"], trained),
            *texture({row.name: found[row.name] for row in rows if not row.baseline}, advice.name),
        ],
    }
    chosen = examples(rows, advice.name, test)
    contents["examples"] = {place: test.names[index] for place, index in chosen.items()}
    pictures = _pictures(out, rows, test, chosen)
    figures = _figures(out, rows, found, test, trained, pictures)
    write_atomically(out / "report.json", json.dumps(contents, indent=1).encode() + b"\n")
    write_atomically(out / "report.html", page(contents, figures, pictures).encode())
    return contents


def notes(rows: Sequence[Row], plan: Plan, files: int, trained: Mapping[str, Trained]) -> list[str]:
    """What a reader must keep in mind; each sentence follows from a number."""
    found = [f"{name} stopped: {one.failed}" for name, one in trained.items() if one.failed]
    if plan.seeds == 1:
        found.append(
            "Each method was trained once. Intervals are over test images, and another training can come out "
            "differently: more minutes, or --seeds 3, give further trainings of each."
        )
    if files < FEW_PAIRS:
        found.append(
            f"There are {files} training files. With fewer than {FEW_PAIRS} the order of the methods often "
            "changes when more are added."
        )
    short = [f"{m} {percent(s.steps / s.full)}" for m, s in plan.shares.items() if s.steps < 0.5 * s.full]
    if short:
        found.append(
            f"The time allowed less than half of the steps that the recipe has: {', '.join(short)}. With "
            "more minutes the order can change."
        )
    widest = {row.name: row.coverage()[-1] for row in rows if row.varied}
    for kind, sign in (("narrow", -1), ("wide", 1)):
        off = {name: (p, q) for name, (p, q) in widest.items() if sign * (q - p) > _OFF}
        if off:
            shares = ", ".join(f"{name} {percent(q)}" for name, (_, q) in off.items())
            nominal = percent(next(iter(off.values()))[0])
            found.append(
                f"Intervals that should hold {nominal} of the target's pixels are too {kind}; they hold: "
                f"{shares}."
            )
    return found


def texture(found: Mapping[str, Mapping[str, Interval]], chosen: str | None) -> list[str]:
    """A sentence if another method's outputs have clearly more of the targets' texture than the chosen one's.

    Args:
        found: the measures of every trained method; a binary target has no "spectrum".
    """
    spectra = {name: measures["spectrum"] for name, measures in found.items() if "spectrum" in measures}
    if chosen is None or chosen not in spectra:
        return []
    nearest = min(spectra, key=lambda name: spectra[name].mean)
    ours, best = spectra[chosen], spectra[nearest]
    if not ours.low > best.high:
        return []
    return [
        f"The texture of the targets is met better by {nearest} (spectrum distance {number(best.mean)} dB) "
        f"than by {chosen} ({number(ours.mean)} dB): where outputs must look real, as data to train on, "
        "prefer it."
    ]


def _counts(pairs: PairedDataset) -> dict[str, int]:
    return {"images": len(pairs), "files": len({layout_of(name) for name in pairs.names})}


def _training(out: Path, one: Trained) -> dict[str, Any]:
    folder = one.folder.relative_to(out).as_posix()
    return {"folder": folder, "steps": one.steps, "seconds": one.seconds, "failed": one.failed}


def _row(row: Row, found: Mapping[str, Interval], unit: str) -> dict[str, Any]:
    measures = {
        name: {**value.to_dict(), "label": label(name, unit), "higher": HIGHER.get(name, False)}
        for name, value in found.items()
    }
    return {
        "name": row.name, "method": row.method, "steps": row.steps, "baseline": row.baseline,
        "trainings": len(row.scores), "varied": row.varied, "draws": row.scores[0]["draws"]["count"],
        "measures": measures, "coverage": row.coverage(), "images_per_s": row.speed("images_per_s"),
        "alone_s": row.speed("alone_s"), "parameters": row.speed("parameters"), "memory": row.speed("memory"),
    }  # fmt: skip


def _pictures(
    out: Path, rows: Sequence[Row], test: TestSet, chosen: Mapping[str, int]
) -> dict[str, dict[str, report_charts.Image]]:
    """Place -> column -> image: the input, the answer of every row (of its first training), the target."""
    answers = {}
    for row in rows:
        with np.load(out / "scores" / f"{row.files[0]}.npz") as stored:
            answers[row.name] = stored["outputs"][list(chosen.values())]
    found = {}
    for k, (place, index) in enumerate(chosen.items()):
        given, target = (as_picture(images[index]) for images in (test.inputs, test.targets))
        found[place] = {"input": given, **{name: made[k] for name, made in answers.items()}, "target": target}
    return found


def _figures(
    out: Path,
    rows: Sequence[Row],
    found: Mapping[str, Mapping[str, Interval]],
    test: TestSet,
    trained: Mapping[str, Trained],
    pictures: Mapping[str, Mapping[str, report_charts.Image]],
) -> dict[str, dict[str, bytes]]:
    """Write the PNGs; returns name -> theme -> PNG of the charts, whose dark ones are for the page alone.

    The page shows the example images singly, because a strip of eight is too small for a narrow screen.
    """
    score = "iou" if test.binary else "l1"
    points = {name: curve(one.folder).get(score, []) for name, one in trained.items() if not one.failed}
    shares = {row.name: row.coverage() for row in rows if row.varied}
    main = test.metrics[0]
    speeds = {
        row.name: (speed, found[row.name][main])
        for row in rows
        if (speed := row.speed("images_per_s")) is not None
    }
    figures: dict[str, dict[str, bytes]] = {}
    for theme in report_charts.THEMES:
        drawn = {"speed": report_charts.trade(speeds, LABELS[main], theme)}
        if points := {name: values for name, values in points.items() if values}:
            drawn["training"] = report_charts.curves(
                points, "seconds of training", f"{LABELS[score]} on the validation split", theme
            )
        if shares:
            drawn["calibration"] = report_charts.curves(
                shares, "share that the interval should hold", "share that it holds", theme, diagonal=True
            )
        for name, png in drawn.items():
            figures.setdefault(name, {})[theme] = png
    for name, themes in figures.items():
        write_atomically(out / "figures" / f"{name}.png", themes["light"])
    write_atomically(out / "figures" / "examples.png", report_charts.strips(pictures, "light"))
    return figures
