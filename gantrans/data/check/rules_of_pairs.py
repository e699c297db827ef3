"""Rules on what input and target have to do with each other, and on pictures that come more than once."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from gantrans.data.check import copies
from gantrans.data.check.findings import NOTE, REFUSED, WARNING, Finding, finding, plural, share
from gantrans.data.check.look import Look
from gantrans.data.check.pixels import SYMMETRIES
from gantrans.data.check.relation import MOST

SHIFT = 3
"""Pixels from which a pair counts as shifted; tilted detectors and charging move edges by 2."""
ALONE, FEW_ALONE = 0.3, 0.05
"""Shares of pairs that are shifted each in its own way: a warning, a note."""
SHOWN = 0.2
"""Share of pairs that must show a displacement at all; few of many agree somewhere by chance."""
STRONG = 0.5
POLAR, WEAK, FEW_WEAK = 0.05, 0.6, 0.3
"""Pairs count as inverted if they are this share of those with a strong relation, and this many for each pair
with a weak one: in noisy SEM images narrow spaces are as bright as lines, so that the sign of the relation
varies through zero (2 to 4 % against 13 to 78 % weak); inverted files leave a gap (10 against 0 to 13 %)."""
OPPOSITE = -0.8
TELLING = 0.8
"""Rank from which agreement separates a pair from others: .98 for SEM images and layouts, .7 where colours
of equal luma decide the class."""
TURN_GAIN = 0.12


def swapped(look: Look) -> Iterator[Finding]:
    """Drawings and images on the wrong sides."""
    if not look.complete or look.direction is None or look.kind == "classes":
        return
    first, second = look.input.two_valued, look.target.two_valued
    wanted = look.direction.input_kind == "binary", look.direction.target_kind == "binary"
    if first == second or wanted[0] == wanted[1] or (first, second) == wanted:
        return
    what = "inputs are black and white and the targets are not"
    seen = what if first else "targets are black and white and the inputs are not"
    yield finding(
        "swapped", REFUSED,
        f"The {seen}; {look.direction.name} translates {look.direction.input} into {look.direction.target}.",
        "The network would be trained in the opposite direction.",
        "Exchange the sides with --swap, or state the direction that the folder has.",
        "--swap",
        files=[look.root],
    )  # fmt: skip


def target_is_input(look: Look) -> Iterator[Finding]:
    """Pairs of one image."""
    same = [pair.target.path for pair in look.pairs if pair.same and not pair.input.constant]
    if not same:
        return
    part = len(same) / len(look.pairs)
    severity = REFUSED if part > 0.5 else WARNING if part > 0.05 else NOTE
    yield finding(
        "target-is-input", severity,
        f"In {share(len(same), len(look.pairs))} of the pairs ({len(same)}) the target is the input.",
        "The network learns to hand its input through.",
        "Put the desired outputs into target/; perhaps one folder was copied twice.",
        files=same,
    )  # fmt: skip


def polarity(look: Look) -> Iterator[Finding]:
    """Targets of which some are inverted against the others."""
    found = look.relation
    if found is None or not look.complete:
        return
    strong = np.abs(found.sign) > STRONG
    against = found.sign < -STRONG
    number, weak = int(against.sum()), int((~strong).sum())
    if look.mismatched or number < max(2, POLAR * strong.sum(), FEW_WEAK * weak) or found.opposite > OPPOSITE:
        return
    paths = look.target.paths(look.usable[against])
    certain = number >= WEAK * weak
    yield finding(
        "mixed-polarity", WARNING if certain else NOTE,
        f"In {plural(len(paths), 'pair')} of {len(look.usable)} bright and dark of the target are exchanged, "
        "compared with the other pairs.",
        "The network is taught two contradicting answers; where it cannot separate them, it gives grey.",
        f"Invert these files of the {look.target.folder} side; --invert turns all files of a side.",
        files=paths,
    )  # fmt: skip


def shifted(look: Look) -> Iterator[Finding]:
    """Inputs that are displaced against their targets, all alike or each in its own way."""
    found = look.displacement
    if found is None or not look.complete or look.mismatched:
        return
    sure, near = int(found.certain.sum()), int(found.near.sum())
    if not sure:
        return
    if np.hypot(*found.offset) >= SHIFT and near > 0.6 * sure:
        yield finding(
            "shifted", WARNING,
            f"The inputs lie {_where(found.offset)} of where their targets are, in {near} of the {sure} "
            "pairs that show it.",
            "The network learns the displacement; every edge of its output is off by as much.",
            "Cut input and target so that they agree, or align them with gantrans.data.align.",
            files=look.input.paths(look.usable[found.near]),
        )  # fmt: skip
        return
    own = found.certain & (np.hypot(*found.own.T) >= SHIFT)
    if own.sum() > max(1, FEW_ALONE * sure) and sure >= SHOWN * len(found.certain):
        median = float(np.median(np.hypot(*found.own[own].T)))
        yield finding(
            "shifted", WARNING if own.sum() > ALONE * sure else NOTE,
            f"In {plural(int(own.sum()), 'pair')} of the {sure} that show it, the input lies about "
            f"{median:.0f} px from where its target is, each in its own direction.",
            "The network cannot learn where edges are, and draws them wide and grey.",
            "Align the pairs, for example with gantrans.data.align.",
            files=look.input.paths(look.usable[own]),
        )  # fmt: skip


def _where(offset: tuple[int, int]) -> str:
    down, right = offset
    parts = []
    if down:
        parts.append(f"{abs(down)} px {'below' if down > 0 else 'above'}")
    if right:
        parts.append(f"{abs(right)} px to the {'right' if right > 0 else 'left'}")
    return " and ".join(parts)


def shuffled(look: Look) -> Iterator[Finding]:
    """Targets that belong to other inputs, or that are turned, or that have nothing to do with the inputs."""
    found = look.relation
    if found is None or not look.complete or look.one_picture:
        return
    pairs = look.pairs
    if found.turned and found.gain > TURN_GAIN and found.by_turn > 0.75:
        yield finding(
            "turned", REFUSED if found.by_turn > 0.9 else WARNING,
            f"The targets agree with their inputs when they are {SYMMETRIES[found.turned]}, in "
            f"{share(found.by_turn, 1.0)} of the pairs.",
            "Input and target do not lie on each other, so that no pixel has its right answer.",
            "Export the targets with the axes of the inputs (layouts begin in the lower left corner).",
            files=look.target.paths(look.usable),
        )  # fmt: skip
        return
    wrong = np.flatnonzero(found.partner >= 0)
    here = [pairs[int(i)].input.digest for i in look.usable]
    wrong = np.array([i for i in wrong if here[i] != here[found.partner[i]]], np.int64)
    part = len(wrong) / min(len(look.usable), MOST)
    if look.unrelated and part <= 0.3:
        yield finding(
            "unrelated", WARNING,
            f"The targets agree with their own inputs no better than with those of other pairs (in "
            f"{share(found.rank, 1.0)} of the comparisons; one half is chance).",
            "Where the input does not show what the target depends on, nothing can be learned.",
            "Look at the contact sheet (--html): do the names match, and do both show the same place?",
            files=look.input.paths(look.usable),
        )  # fmt: skip
        return
    weak = found.rank < TELLING and part <= 0.3
    if len(wrong) > 1 and not weak:  # one alone has no place that it was taken from
        first, second = (pairs[int(look.usable[i])].name for i in (wrong[0], found.partner[wrong[0]]))
        severity = REFUSED if part > 0.3 else WARNING if part > 0.01 else NOTE
        yield finding(
            "shuffled", severity,
            f"{plural(len(wrong), 'input')} agree with the target of another pair and not with their own: "
            f"input {first} with target {second}, for example.",
            "The network is taught the targets of other inputs.",
            "Match the names of inputs and targets again.",
            files=look.input.paths(look.usable[wrong]),
        )  # fmt: skip


def repeated(look: Look) -> Iterator[Finding]:
    """Equal images: across splits, within one, and with different targets."""
    if not look.complete:
        return
    inputs = look.input
    groups = copies.equal(inputs.images)
    if not groups or look.one_picture:
        return
    held = int(np.sum([split != "train" for split in look.splits]))
    leaked = copies.across(groups, look.splits)
    if leaked:
        part = len(leaked) / max(1, held)
        yield finding(
            "copies-across-splits", REFUSED if part > 0.5 else WARNING,
            f"{len(leaked)} of {held} held-out inputs are equal to a training input.",
            "Validation and test measure what was learned by heart.",
            "Remove the copies, or keep them in one split with split.csv or --split-by.",
            files=inputs.paths(leaked),
        )  # fmt: skip
    targets = [image.digest for image in look.target.images]
    several = [g for g in groups if len({targets[i] for i in g}) > 1]
    if several and look.kind in ("binary", "classes"):
        yield finding(
            "contradicting", WARNING,
            f"{plural(len(several), 'input')} come more than once, with different targets.",
            "The network is taught contradicting targets of one input.",
            "Keep the right target of each.",
            files=inputs.paths([i for group in several for i in group]),
        )  # fmt: skip
    more = sum(len(group) - 1 for group in groups)
    if more > len(leaked) and not several and len(leaked) <= 0.5 * held:
        often = more > 0.5 * len(look.pairs)
        yield finding(
            "copies", WARNING if often else NOTE,
            f"{more} of {len(look.pairs)} inputs are copies of another one.",
            "The set is smaller than it looks." if often else "These pairs count twice in the training.",
            "Remove the copies.",
            files=inputs.paths([i for group in groups for i in group[1:]]),
        )  # fmt: skip


def near_copies(look: Look) -> Iterator[Finding]:
    """Held-out pictures that are parts, turns or noisy copies of training pictures."""
    if not look.complete:
        return
    found, alike = look.near
    held = sum(split != "train" for split in look.splits)
    side = look.richer
    if found:
        first, second = (look.pairs[i].name for i in (found[0].first, found[0].second))
        how = "a part of it, turned, or with other noise"
        settle, options = _grouping(
            [(look.pairs[c.first].name, look.pairs[c.second].name) for c in found], look
        )
        yield finding(
            "near-copies", WARNING,
            f"{len(found)} of {held} held-out pictures show a training picture again, {how}: {second} and "
            f"{first}, for example.",
            "Validation and test measure what was partly seen, and come out too good.",
            settle, *options,
            files=side.paths([copy.second for copy in found]),
        )  # fmt: skip
    many = [copy for copy in alike if copy.second not in {c.second for c in found}]
    if len(many) > 0.5 * held and held >= 4:
        yield finding(
            "lookalikes", NOTE,
            f"{len(many)} of {held} held-out pictures look like a training picture, with their own grain.",
            "With repeated designs or neighbouring frames, the test measures little of new ones.",
            "If they are frames or tiles of one picture, keep these together with --split-by.",
            files=side.paths([copy.second for copy in many]),
        )  # fmt: skip


_HEADS = (r"^(.+)[_\-. @][^_\-. @]*$", r"^(.+?)[_\-. @]", r"^(.*?)\d+$", r"^(.*\d)\D+$")


def _grouping(names: Sequence[tuple[str, str]], look: Look) -> tuple[str, tuple[str, ...]]:
    """How the copies can be kept in one split: by a pattern of the names, if one puts them together."""
    for head in _HEADS:
        groups = [[_group(head, name) for name in pair] for pair in names]
        together = sum(first == second for first, second in groups)
        number = len({_group(head, pair.name) for pair in look.pairs})
        if together >= 0.9 * len(groups) and number >= 10:
            return f"Keep them together: --split-by '{head}'.", ("--split-by", head)
    return "Remove the copies, or keep each picture with its copies in one split (split.csv, --split-by).", ()


def _group(pattern: str, name: str) -> str:
    match = re.search(pattern, name)
    return match[1] if match else name
