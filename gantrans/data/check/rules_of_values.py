"""Rules on the values of one side: masks, classes, colour, constant and equal images."""

import shlex
from collections.abc import Iterator

import numpy as np

from gantrans.data.check import copies
from gantrans.data.check.findings import NOTE, REFUSED, WARNING, Finding, finding, plural, share
from gantrans.data.check.look import Look

WHITE, BLACK = 191, 64
"""A mask's white is at least, its black at most so bright: half a range around the threshold."""
RINGING, RINGING_SHARE = 0.003, 0.5
"""Grey values within 24 of black or white, as JPEG leaves them: from this share of all pixels on, and of the
pixels that are neither. Averaged rims have .005 and .2 of them, masks stored as JPEG .12 and 1."""
AREAS = 1e-3
"""A grey value is a class if this share of the pixels lies inside areas of it; grey rims have no inside."""
MOST_CLASSES, MOST_GREYS = 64, 12
COLOURED = 0.02
"""Share of coloured pixels from which an image is in colour: JPEG and sensors leave less in grey images."""
LOST = 0.5
"""Part of the variance that luma leaves out from which colour carries more than grey: tinted photographs have
.04, maps of four colours .54, two colours of equal luma .99."""
RARE_EMPTY = 0.95
_DARK, _FEW_VALUES = 4, 8


def mask_values(look: Look) -> Iterator[Finding]:
    """Targets of two values that are not black and white, in all files or in some."""
    side = look.target
    values, (low, high) = side.values, side.peaks
    if not look.complete or side.constant.all() or look.kind == "classes":
        return
    if values is None or len(values) > 2:
        yield from _mixed_masks(look)
        return
    dark, bright = high < WHITE, low > BLACK
    if not (dark or bright) or (look.kind == "grey" and high - low >= 64):
        return
    names = ",".join(values)
    colours = values[0][0] == "#"
    options = ("--classes", names, "--direction", "image2classes") if colours else ("--mask-values", names)
    spoken = f"the colours {values[0]} and {values[1]}" if colours else f"the values {' and '.join(values)}"
    yield finding(
        "mask-values", REFUSED,
        f"All targets hold {spoken}, which are read as {low} and {high} of 255.",
        f"Every pixel counts as {'black' if dark else 'white'} at the threshold of one half: IoU stays at "
        f"{'0' if dark else 'that of an all-white answer'}.",
        f"State what is stored: {shlex.join(options)}.",
        *options,
        files=side.paths(~side.constant),
    )  # fmt: skip


def _mixed_masks(look: Look) -> Iterator[Finding]:
    """Masks of which some are black and almost black, others black and white."""
    side = look.target
    if look.kind != "binary":
        return
    top = np.array([np.flatnonzero(row).max() if row.any() else 0 for row in side.levels])
    low = (top < BLACK) & ~side.constant
    if low.any() and not low.all():
        yield finding(
            "mixed-masks", REFUSED,
            f"{plural(int(low.sum()), 'target')} of {len(low)} hold no value above {int(top[low].max())} of "
            "255, the others are black and white.",
            "These targets count as empty: the network is taught two contradicting answers.",
            "Save them with 0 and 255, as the others.",
            files=side.paths(low),
        )  # fmt: skip


def class_numbers(look: Look) -> Iterator[Finding]:
    """Targets that hold the numbers, grey values or colours of three or more classes."""
    side, values = look.target, look.target.values
    if look.kind == "classes" or not look.complete or side.constant.all() or any(_mixed_masks(look)):
        return
    if values is not None and values[0][0] == "#":
        yield from _class_colours(look, values)
        return
    inner = side.inner.sum(axis=0)
    areas = np.flatnonzero(inner >= AREAS * side.total.sum())
    if len(areas) < 3 or values is None or len(values) > MOST_CLASSES:
        return
    numbers = float(values[-1]) < MOST_CLASSES and inner[areas].sum() >= 0.5 * side.total.sum()
    if not numbers and not (len(areas) <= MOST_GREYS and inner[areas].sum() >= 0.8 * side.total.sum()):
        return
    if look.kind == "binary" and side.two_valued and not numbers:
        return
    names = ",".join(values)
    severity = REFUSED if numbers else WARNING
    yield finding(
        "class-numbers", severity,
        f"The targets hold areas of {len(areas)} values ({_short(names)}), as the "
        + ("numbers" if numbers else "grey values") + " of classes.",
        "Read as grey values they are all black, and nothing is learned." if numbers else
        "Taken as grey values, an uncertain pixel becomes the class that lies between two others.",
        f"State the classes: --classes {_short(names)} --direction image2classes.",
        "--classes", names, "--direction", "image2classes",
        files=side.paths(~side.constant),
    )  # fmt: skip


def _short(names: str) -> str:
    return names if len(names) <= 60 else f"{names[:56]}..."


def _class_colours(look: Look, values: tuple[str, ...]) -> Iterator[Finding]:
    side = look.target
    inner = side.inner.sum() / max(1, side.total.sum())
    if len(values) < 3 or len(values) > MOST_CLASSES or inner < 0.5 or "target" in look.encoding.colour:
        return
    names = ",".join(values)
    if all(value[1:3] == value[3:5] == value[5:7] for value in values):
        return  # grey values in a file with three channels: anti-aliased drawings
    yield finding(
        "class-colours", REFUSED,
        f"The targets are drawn in {len(values)} colours ({_short(names)}), as maps of classes are.",
        "Turned grey, colours become grey values without an order, and some become equal.",
        f"State the classes: --classes '{_short(names)}' --direction image2classes; or keep the colours: "
        f"--colour {side.folder} --direction image2image.",
        "--classes", names, "--direction", "image2classes",
        files=side.paths(~side.constant),
    )  # fmt: skip


def colour(look: Look) -> Iterator[Finding]:
    """Colour that is turned grey."""
    for side in look.sides:
        if side.folder in look.encoding.colour or (side.role == "target" and look.kind == "classes"):
            continue
        coloured = np.array([image.colour.share > COLOURED for image in side.images])
        if not coloured.any() or (side.role == "target" and side.values is not None):
            continue  # few colours: the rules on masks and classes name them
        lost = float(np.mean([image.colour.lost for image in side.images if image.colour.share > COLOURED]))
        amount = f"{plural(int(coloured.sum()), 'image')} of {len(coloured)} of the {side.folder} side"
        option = ("--colour", side.folder)
        if side.role == "target":
            yield finding(
                "colour-target", WARNING, f"{amount} are in colour.",
                "They are turned grey: the network learns grey targets.",
                f"Keep the colours with --colour {side.folder}.", *option,
                files=side.paths(coloured),
            )  # fmt: skip
        else:
            severe = lost > LOST
            yield finding(
                "colour-input", WARNING if severe else NOTE,
                f"{amount} are in colour; {share(lost, 1.0)} of their contrast is lost in grey.",
                "What differs in hue alone becomes one grey value, and the network cannot separate it."
                if severe else "The network sees them grey.",
                f"Keep the colours with --colour {side.folder}.", *option,
                files=side.paths(coloured),
            )  # fmt: skip


def grey_masks(look: Look) -> Iterator[Finding]:
    """Targets with grey values where black and white ones are trained."""
    side = look.target
    if look.kind != "binary" or not look.complete or (side.values and len(side.values) <= _FEW_VALUES):
        return
    total = side.total
    pixels, rim = int(total.sum()), int(total[1:25].sum() + total[231:255].sum())
    between = int(total[1:255].sum())
    middle = int(total[64:192].sum())
    form = [image.form for image in side.images].count("JPEG")
    if middle > 0.2 * pixels and not side.two_valued and not look.guessed and not look.input.two_valued:
        yield finding(
            "grey-targets", WARNING,
            f"{share(middle, pixels)} of the targets' pixels are grey, between a quarter and three quarters.",
            f"{look.direction.name if look.direction else 'A mask'} is trained and measured as black and "
            "white: a grey target is cut at one half.",
            "Train them as grey images: --direction image2image.",
            "--direction", "image2image",
            files=side.paths(~side.constant),
        )  # fmt: skip
    elif rim > RINGING * pixels and rim > RINGING_SHARE * between:
        lossy = f"; {plural(form, 'file')} are JPEG" if form else ""
        yield finding(
            "lossy-masks", WARNING,
            f"{share(between, pixels)} of the pixels of black and white targets are neither, most of them "
            f"almost black or almost white, as JPEG leaves them{lossy}.",
            "The network learns the errors of the compression along every edge.",
            "Save the targets as PNG from the original, without JPEG in between.",
            files=side.paths([i for i in side.read if (side.levels[i][1:255] > 0).any()]),
        )  # fmt: skip


def empty(look: Look) -> Iterator[Finding]:
    """Constant images."""
    if not look.complete:
        return
    for side in look.sides:
        rate = side.constant.mean()
        levels = {int(row.argmax()) for row in side.levels[side.constant]}
        which = "targets" if side.role == "target" else "inputs"
        if rate == 1:
            one = f"the grey value {levels.pop()}" if len(levels) == 1 else f"{len(levels)} grey values"
            yield finding(
                "flat-" + which, REFUSED,
                f"Every one of the {len(side.images)} {which} has a single grey value ({one}).",
                "There is nothing to learn." if side.role == "target" else
                "The input does not show what its target depends on.",
                "Export the images again; perhaps a layer was hidden or a range was wrong.",
                files=side.paths(side.constant),
            )  # fmt: skip
        elif rate > RARE_EMPTY or (side.role == "input" and rate > 0.1):
            yield finding(
                "flat-" + which, WARNING,
                f"{plural(int(side.constant.sum()), which[:-1])} of {len(side.images)} have a single value.",
                "Too few are left to learn from: that value everywhere is nearly right."
                if side.role == "target" else "The network is taught targets for inputs that show nothing.",
                "Bring more with contents, or leave out some of the empty ones.",
                files=side.paths(side.constant),
            )  # fmt: skip
        elif rate > 0:
            yield finding(
                "flat-" + which, NOTE,
                f"{plural(int(side.constant.sum()), which[:-1])} of {len(side.images)} have a single value.",
                "Images without contents teach the network where nothing is.", "Nothing needs to be done.",
                files=side.paths(side.constant),
            )  # fmt: skip
    held = look.within("val")
    if held.any() and look.target.constant[held].all() and not look.target.constant.all():
        yield finding(
            "flat-validation", WARNING,
            f"All {int(held.sum())} targets of the split val have a single value.",
            "The checkpoint is chosen by images on which an empty answer is right.",
            "Assign pairs with contents to val in split.csv.",
            files=look.target.paths(held),
        )  # fmt: skip


def dark(look: Look) -> Iterator[Finding]:
    """Sides that are read as almost one grey value."""
    if not look.complete:
        return
    for side in look.sides:
        if side.role == "target" and look.kind == "classes":
            continue
        levels = np.flatnonzero(side.total)
        few = side.values is not None and len(side.values) <= 2
        if side.constant.all() or levels[-1] - levels[0] > _DARK or (side.role == "target" and few):
            continue
        if side.role == "target" and any(class_numbers(look)):
            continue
        yield finding(
            "no-contrast", REFUSED,
            f"All images of the {side.folder} side are read with grey values from {levels[0]} to "
            f"{levels[-1]} of 255.",
            "Nearly all of their detail is rounded away when they are read with 8 bits.",
            "State the white level (--bits or --white), or save the images with their range spread.",
            files=side.paths(side.read),
        )  # fmt: skip


def alike(look: Look) -> Iterator[Finding]:
    """Images of one side that are all equal."""
    if not look.complete or len(look.pairs) < 2:
        return
    for side in look.sides:
        groups = copies.equal(side.images)
        if len(groups) == 1 and len(groups[0]) == len(look.pairs):
            which = "targets" if side.role == "target" else "inputs"
            yield finding(
                "equal-" + which, REFUSED,
                f"All {len(look.pairs)} {which} are the same image.",
                "The network learns this one image, whatever the input shows."
                if side.role == "target" else "One input cannot have different targets.",
                "Export the images again; perhaps one file was copied under every name.",
                files=side.paths(side.read),
            )  # fmt: skip


def mostly_white(look: Look) -> Iterator[Finding]:
    """Masks that are white almost everywhere, as inverted ones are."""
    side = look.target
    if look.kind != "binary" or not look.complete or not side.two_valued:
        return
    white = side.total[128:].sum() / side.total.sum()
    if white > 0.85:
        yield finding(
            "mostly-white", NOTE,
            f"{share(white, 1.0)} of the targets' pixels are white.",
            "IoU is measured on white: if the objects are black, it measures the background.",
            f"If the objects are black, exchange black and white: --invert {side.folder}.",
            "--invert", side.folder,
            files=side.paths(side.read),
        )  # fmt: skip
