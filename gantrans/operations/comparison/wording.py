"""The sentences of the report, out of its numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantrans.directions import direction as registered
from gantrans.operations.comparison.intervals import FEWEST
from gantrans.operations.comparison.methods import METHODS
from gantrans.operations.comparison.numerals import number
from gantrans.operations.comparison.plan import SCORING_SHARE

EXPLAINED = {
    "iou": "IoU: overlap of output and target above half grey, 1 for equal ones.",
    "epe": "EPE: mean distance of the outlines of output and target, both ways; images without an outline do "
    "not count.",
    "cd_error_abs": "CD error: mean absolute error of widths on cut lines.",
    "opens": "Opens: features of the target that are broken, per image.",
    "bridges": "Bridges: features that are joined and should not be, per image.",
    "l1": "L1: mean absolute difference of grey values, of 1 in all.",
    "ssim": "SSIM: structural similarity, 1 for equal images. It rewards a clean average where the target is "
    "grainy.",
    "psnr": "PSNR: peak signal over mean squared error.",
    "spectrum": "Spectrum distance: how far the power spectra of outputs and targets are apart; small where "
    "grain and sharpness are those of real images.",
    "crps": "CRPS: error of the answers together, less half their own spread; for one answer the L1 error. "
    "Nothing is gained by answers that spread more or less than the target.",
    "diversity": "Diversity: mean absolute difference of two answers for one input; no merit in itself.",
}
PLACES = {"worst": "Worst", "median": "Median", "best": "Best"}


def title(contents: Mapping[str, Any]) -> str:
    """The title of the report."""
    chosen = registered(contents["direction"])
    source = contents["settings"]["source"].rstrip("/").rsplit("/", 1)[-1]
    return f"Which method for {source}, {chosen.input_label} to {chosen.target_label}?"


def subject(contents: Mapping[str, Any]) -> str:
    """What was compared, in one line."""
    pairs, settings = contents["pairs"], contents["settings"]
    counts = ", ".join(f"{pairs[s]['images']:,} {s}" for s in ("train", "val", "test"))
    return (
        f"{', '.join(settings['methods'])}; {settings['minutes']:g} minutes; images: {counts}. "
        f"Direction {contents['direction']}: {contents['reason']}."
    )


def advice(contents: Mapping[str, Any]) -> str:
    """The recommendation in a sentence."""
    found, label = contents["recommendation"], contents["measure"]["label"]
    if found["verdict"] == "decided":
        return f"Use {found['name']}: no other is as good by {label}."
    if found["verdict"] == "equal":
        return f"Use {found['name']}: others are equal to it by {label}, and it is the fastest of them."
    leads = f" {found['leader']} has the best mean {label}." if found["leader"] else ""
    return f"Undecided.{leads}"


def order(contents: Mapping[str, Any]) -> str:
    """By what the example images were chosen."""
    chosen = contents["recommendation"]["name"]
    judged = f"of {chosen}" if chosen else "of all trained methods together"
    main = "IoU" if registered(contents["direction"]).target_kind == "binary" else "SSIM"
    return f"Ordered by the {main} {judged}; not chosen by hand."


def budget(contents: Mapping[str, Any]) -> str:
    """What each training got."""
    plan = contents["plan"]
    unit = "core-seconds" if plan["clock"] == "cpu" else "seconds"
    return (
        f"Each training got {number(plan['core_s'])} {unit}; its number of steps was fixed before the first "
        "one, and its learning rate ends with it."
    )


def course(contents: Mapping[str, Any]) -> str:
    """How to read the curves of training."""
    text = (
        "The curves are scores on the validation split, which decide no more than which checkpoint is kept."
    )
    if "diffusion" in contents["settings"]["methods"]:
        text += " Those of diffusion are single draws of few images in few steps: a look, not a measurement."
    return text


def speeds(contents: Mapping[str, Any]) -> str:
    """Alt text of the figure of quality over speed."""
    rows = [
        f"{row['name']} {number(row['images_per_s'])}"
        for row in contents["rows"]
        if row["images_per_s"] is not None
    ]
    return f"Quality over images a second: {', '.join(rows)} images a second."


def calibration(contents: Mapping[str, Any]) -> str:
    """How to read the table of coverage."""
    plan = contents["plan"]
    return (
        f"For {plan['drawn']} test images {plan['draws']} answers each were drawn. Where the target is one "
        "more draw of the same kind, an interval of 90 % holds it at 90 % of the pixels. Pixels on which all "
        "answers and the target agree do not count."
    )


def method(contents: Mapping[str, Any]) -> list[str]:
    """How it was measured, and the rules of the recommendation."""
    plan, settings, tested = contents["plan"], contents["settings"], contents["tested"]
    clock = "core-seconds of this machine" if plan["clock"] == "cpu" else "seconds"
    names = [f"{name}: {METHODS[name]}." for name in settings["methods"]]
    trainings = "one training" if plan["seeds"] == 1 else f"{plan['seeds']} trainings"
    over = (
        "over test images only"
        if plan["seeds"] == 1
        else "the wider of that over test images and that over trainings"
    )
    return [
        *names,
        f"Equal budgets: {number(plan['core_s'])} {clock} for {trainings} of each method, out of "
        f"{settings['minutes']:g} minutes in all. Measuring what a step costs took "
        f"{number(plan['calibration_s'])} s of them, and {SCORING_SHARE:.0%} were kept for judging.",
        f"One test split of {tested['files']} files ({tested['images']} images of the network's size), used "
        "at the very end and for nothing else; checkpoints are chosen on the validation split.",
        f"Intervals: {over}, 95 %. Images cut from one file are resampled together; from 40 files on a "
        "bootstrap, below that Student's t. Differences are paired, image by image, and all intervals of the "
        "recommendation hold together at 95 %.",
        f"Recommended is the method with the best mean {contents['measure']['label']} if it is better than "
        "the baseline and every rival is worse; differences within "
        f"{number(contents['measure']['margin'])} count as equal, and then the fastest is taken. "
        f"Fewer than {FEWEST} test files, or a rival that cannot be distinguished: undecided.",
    ]


def commands(contents: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to do next: a sentence and a command."""
    name = contents["recommendation"]["name"] or contents["recommendation"]["leader"]
    trainings = contents["trainings"]
    method = next((row["method"] for row in contents["rows"] if row["name"] == name), None)
    run = trainings[method]["folder"] if method in trainings else next(iter(trainings.values()))["folder"]
    return [
        (
            "Translate images of your own with a trained method (the folder is beside this page):",
            f"python -m gantrans predict --run {run} --input IMAGE --output RESULT.png",
        ),
        (
            "Another limit needs no new training:",
            "python -m gantrans compare ... --resume --images-per-second 200",
        ),
    ]


def summary(contents: Mapping[str, Any], out: Path) -> str:
    """What the command prints: the recommendation, a table, and where the rest is."""
    head = ["method", contents["measure"]["label"], "95 % interval", "images/s"]
    key = contents["measure"]["name"]
    lines = [head]
    for row in contents["rows"]:
        value = row["measures"][key]
        known = value["low"] is not None and value["high"] is not None
        bounds = f"{number(value['low'])} to {number(value['high'])}" if known else "-"
        speed = "-" if row["images_per_s"] is None else number(row["images_per_s"])
        lines.append([row["name"], number(value["mean"]), bounds, speed])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    table = ["  ".join(t.ljust(w) for t, w in zip(line, widths, strict=True)).rstrip() for line in lines]
    reasons = [f"- {reason}" for reason in contents["recommendation"]["reasons"]]
    return "\n".join([*table, "", advice(contents), *reasons, "", f"Report: {out / 'report.html'}"])
