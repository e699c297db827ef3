"""Rules on files: what cannot be read, what is not stated, sizes, splits, mixed encodings."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from gantrans.data.check.findings import NOTE, REFUSED, WARNING, Finding, finding, plural, share
from gantrans.data.check.look import Look, Side
from gantrans.data.reading import BITS

FEW = 10
"""Fewer pairs leave one or none to choose the best checkpoint by."""
APART = 8.0
"""Ratio of the white points of two encodings in one folder from which they are read differently."""
_FULL = 2**14
_REASONS = {"orientation tag": "orientation", "several images": "pages", "transparent": "transparency"}
"""Words of the reader's sentence, and the name of the finding."""


def unreadable(look: Look) -> Iterator[Finding]:
    """Files that the reader refuses, one finding for each reason."""
    groups: dict[str, list[tuple[Side, int]]] = defaultdict(list)
    for side in look.sides:
        for index, image in enumerate(side.images):
            if image.problem and "state which with" not in image.problem:
                groups[_reason(image.problem, str(image.path))].append((side, index))
    for reason, places in groups.items():
        first = places[0][0].images[places[0][1]]
        name = next((short for words, short in _REASONS.items() if words in reason), "unreadable")
        yield finding(
            name, REFUSED, first.problem,
            "The training cannot begin: every file of the folder is read first.",
            "Repair, convert or remove the files.",
            files=[side.images[index].path for side, index in places],
        )  # fmt: skip


def _reason(problem: str, path: str) -> str:
    """A sentence without what differs from file to file."""
    return re.sub(r"\d[\d.,]*", "N", problem.removeprefix(path))


def bits_unstated(look: Look) -> Iterator[Finding]:
    """16-bit files of which the white level is not known."""
    for side in look.sides:
        unsure = [i for i in side.images if i.problem and "state which with" in i.problem]
        if not unsure:
            continue
        words = [i for i in side.images if i.dtype == "uint16" and i.channels]
        highest = int(max(image.high for image in words))
        few = _few_values(side)
        if few is not None:
            yield few
            continue
        fewer = next(bits for bits in BITS if highest < 2**bits)
        full = highest >= _FULL
        yield finding(
            "bits", REFUSED,
            f"{plural(len(unsure), 'file')} of the {side.folder} side hold 16-bit values below {_FULL:,}, "
            f"and the highest of the whole side is {highest:,}: "
            + ("dark images of a full 16-bit range." if full else f"{fewer}-bit data, or dark images."),
            "Read as 16 bits, 12-bit data keep 17 of 256 grey levels; read as 12 bits, 16-bit data are refused.",
            "State the used bits with --bits 16." if full else
            f"State the used bits: --bits {fewer}, or --bits 16 if the images are dark.",
            "--bits", str(16 if full else fewer),
            files=[image.path for image in unsure],
        )  # fmt: skip


def _few_values(side: Side) -> Finding | None:
    """A mask or classes in 16-bit files: the values are stated, not the bits."""
    known = [image for image in side.images if image.values]
    values = sorted({float(v) for image in known for v in image.values if v[0] != "#"})
    if side.role != "target" or len(known) < len(side.images) or not 2 <= len(values) <= 32:
        return None
    names = ",".join(f"{v:g}" for v in values)
    two = len(values) == 2
    option = ("--mask-values", names) if two else ("--classes", names)
    return finding(
        "mask-values" if two else "class-numbers", REFUSED,
        f"All targets hold the {len(values)} values {names} in 16-bit files.",
        "Divided by 65,535 they are all black, and nothing can be learned.",
        f"State them with {' '.join(option)}" + ("." if two else " and --direction image2classes."),
        *option, *(() if two else ("--direction", "image2classes")),
        files=[image.path for image in side.images],
    )  # fmt: skip


def sizes(look: Look) -> Iterator[Finding]:
    """Pairs of two sizes, and images that are smaller than the network's."""
    unequal = [pair for pair in look.pairs if pair.problem]
    if unequal:
        yield finding(
            "sizes", REFUSED, unequal[0].problem,
            "The pixels of input and target do not correspond; nothing is rescaled.",
            "Cut or export both images of a pair to one size.",
            files=[pair.input.path for pair in unequal],
        )  # fmt: skip
    if look.side is None:
        return
    low = [
        p.input for p in look.pairs if not p.problem and p.input.channels and min(p.input.size) < look.side
    ]
    if low:
        width, height = low[0].size
        yield finding(
            "small", REFUSED,
            f"{low[0].path} is {width} x {height} px, smaller than the {look.side} px asked for; nothing is "
            "enlarged: give larger images, or ask for smaller ones (--scale).",
            "A tile of the network's size does not fit into the image.",
            "Give larger images, or a smaller --scale.",
            files=[image.path for image in low],
        )  # fmt: skip


def splits(look: Look) -> Iterator[Finding]:
    """Splits that are empty, and sets that are too small to be judged."""
    counts = Counter(look.splits)
    empty = [name for name in ("train", "val") if not counts[name]]
    if empty:
        have = ", ".join(f"{counts[name]} {name}" for name in ("train", "val", "test"))
        yield finding(
            "splits", REFUSED,
            f"{look.root} has no pair in the split {empty[0]!r} ({have}); add pairs, or assign them in a "
            "split.csv with the columns name,split.",
            "Without training pairs nothing is learned, and without validation none is chosen.",
            "Add pairs, or assign them in a split.csv with the columns name,split.",
        )  # fmt: skip
    if len(look.pairs) < FEW:
        yield finding(
            "few-pairs", WARNING,
            f"There are {plural(len(look.pairs), 'pair')}.",
            "The network learns them by heart, and one or two held-out pairs measure nothing.",
            f"Bring 50 or more; {FEW} at least.",
        )  # fmt: skip
    elif not counts["test"]:
        yield finding(
            "no-test", NOTE, "The test split is empty.",
            "`evaluate` has nothing to measure on.",
            "Assign some pairs to test in split.csv.",
        )  # fmt: skip


def mixed(look: Look) -> Iterator[Finding]:
    """Encodings of two kinds on one side."""
    for side in look.sides:
        groups: dict[str, list[int]] = defaultdict(list)
        for index in side.read:
            groups[side.images[index].dtype].append(index)
        if len(groups) < 2:
            continue
        white = {kind: _white_point(side, chosen) for kind, chosen in groups.items()}
        rarest = min(groups, key=lambda kind: len(groups[kind]))
        apart = max(white.values()) > APART * max(1.0, min(white.values()))
        there = ", ".join(f"{len(chosen)} of {kind}" for kind, chosen in sorted(groups.items()))
        yield finding(
            "mixed-encodings", WARNING if apart else NOTE,
            f"The {side.folder} side holds images of several encodings ({there}), "
            + (f"and their white points are {_spoken(white)} of 255." if apart else "read alike."),
            "One part of the images is read much darker than the other."
            if apart else "None, as long as both are read with the right white level.",
            "Save all of them in one encoding." if apart else "Nothing needs to be done.",
            files=side.paths(groups[rarest]),
        )  # fmt: skip


def _white_point(side: Side, chosen: list[int]) -> float:
    """The grey value below which 99 % of the pixels of some images lie."""
    total = side.levels[chosen].sum(axis=0)
    return float(np.searchsorted(np.cumsum(total), 0.99 * total.sum()))


def _spoken(white: dict[str, float]) -> str:
    return " and ".join(f"{value:.0f} ({kind})" for kind, value in sorted(white.items()))


def groups_of_names(look: Look) -> Iterator[Finding]:
    """Names that look like parts of few pictures, of which the parts are in several splits."""
    found: dict[str, set[str]] = defaultdict(set)
    for pair in look.pairs:
        head = re.match(r"(.+?)[_\-. @](?:tile|crop|patch|slice|frame|[rxyz])?_?\d", pair.name)
        if not head:
            return
        found[head[1]].add(pair.split)
    many = [name for name, there in found.items() if len(there) > 1]
    if 3 <= len(found) <= len(look.pairs) / 3 and len(many) > len(found) / 2 and not look.encoding.split_by:
        yield finding(
            "groups", NOTE,
            f"The names begin with {len(found)} words, such as {min(found)!r} and {max(found)!r}, and "
            f"{share(len(many), len(found))} of these groups are in more than one split.",
            "If a group is one picture, wafer or patient, validation measures what was partly seen.",
            "Keep groups together with --split-by '^(.+?)[_. @-]'.",
            "--split-by", "^(.+?)[_. @-]",
        )  # fmt: skip
