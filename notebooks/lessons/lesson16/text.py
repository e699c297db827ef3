"""Lesson 16: the words of the captions: how layouts are put into words, and words into numbers.

The grammar has synonyms and two orders. Every word of it is in `VOCABULARY`, and number 0 is no word but the
padding that makes captions equally long; number 1 stands before every caption, also before an empty one.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import product
from random import Random

import torch
from torch import Tensor

from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError
from lessons.lesson16.captions import VALUES, Layout

NUMBERS = ("no", "one", "two", "three")
MORE_NUMBERS = ("four", "five", "six", "seven", "eight", "nine", "ten")
"""Not in the vocabulary; known only so that the nearest known number can be named."""
UPRIGHT = {"vertical": ("vertical", "upright"), "horizontal": ("horizontal", "level")}
NOUNS = {"lines": ("line", "wire"), "jogs": ("jog", "bend"), "contacts": ("contact", "via")}
PLAIN = "straight"
WIDTHS = tuple(str(width) for width in VALUES["width"])
GLUE = ("nm", "wide", "of", "with", "and")
PADDING, START = "<padding>", "<start>"
LENGTH = 14
"""Numbers of a caption: the start, at most 13 words, and padding."""


def _vocabulary() -> tuple[str, ...]:
    nouns = [word + end for pair in NOUNS.values() for word in pair for end in ("", "s")]
    orientations = [word for pair in UPRIGHT.values() for word in pair]
    return (PADDING, START, *NUMBERS, *orientations, *nouns, PLAIN, *WIDTHS, *GLUE)


VOCABULARY = _vocabulary()
INDEX = {word: number for number, word in enumerate(VOCABULARY)}


# ---- layouts to captions


def captions(layout: Layout) -> Iterator[str]:
    """Every caption of a layout, for example "three vertical lines, 60 nm wide, one jog, two contacts".

    What is not mentioned of jogs and contacts is not there.
    """
    assert layout.orientation is not None
    assert layout.jogs is not None
    assert layout.contacts is not None
    widths = (f", {layout.width} nm wide", f" of {layout.width} nm")
    straight = ("", PLAIN) if layout.jogs == 0 else ("",)
    heads = [
        " ".join(
            filter(None, (NUMBERS[layout.lines or 0], plain, upright, _noun("lines", noun, layout.lines)))
        )
        + width
        for plain, upright, noun, width in product(
            straight, UPRIGHT[layout.orientation], NOUNS["lines"], widths
        )
    ]
    jogs, contacts = _counted("jogs", layout.jogs), _counted("contacts", layout.contacts)
    for head, jog, contact, (before, between) in product(
        heads, jogs, contacts, ((", ", ", "), (" with ", " and "))
    ):
        said = [phrase for phrase in (jog, contact) if phrase]
        if f" {PLAIN} " in head and jog:
            continue  # "straight" has said it
        if said or before == ", ":
            yield head + "".join((before, between)[i] + phrase for i, phrase in enumerate(said))


def say(layouts: Sequence[Layout], seed: int) -> list[str]:
    """One of its captions for each layout; caption i depends on (layout, seed, i) alone."""
    items = stream_seeds(seed, "sentences", range(len(layouts)))
    return [Random(item).choice(_captions(layout)) for layout, item in zip(layouts, items, strict=True)]


@cache
def _captions(layout: Layout) -> tuple[str, ...]:
    return tuple(captions(layout))


def _counted(kind: str, count: int) -> tuple[str, ...]:
    phrases = tuple(f"{NUMBERS[count]} {_noun(kind, noun, count)}" for noun in NOUNS[kind])
    return ("", *phrases) if count == 0 else phrases


def _noun(kind: str, noun: str, count: int | None) -> str:
    assert noun in NOUNS[kind]
    return noun if count == 1 else f"{noun}s"


# ---- captions to numbers


def words(caption: str) -> list[str]:
    """The words of a caption in lower case, without punctuation."""
    return re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9,.;]", caption.lower())


def encode(sentences: Sequence[str]) -> Tensor:
    """N captions -> int64 (N, 14): the start, a number for each word, 0 as padding. "" is an empty caption.

    Raises:
        DataError: for a word that no training caption has; the sentence names it and the nearest known ones.
    """
    rows = torch.zeros(len(sentences), LENGTH, dtype=torch.int64)
    for row, sentence in zip(rows, sentences, strict=True):
        found = words(sentence)
        for word in found:
            if word not in INDEX:
                raise DataError(_unknown(word))
        if len(found) >= LENGTH:
            raise DataError(
                f"The caption has {len(found)} words; write at most {LENGTH - 1}, as the network was trained."
            )
        row[: len(found) + 1] = torch.tensor([INDEX[word] for word in [START, *found]])
    return rows


def _unknown(word: str) -> str:
    near = nearest(word)
    known = " or ".join(f"“{other}”" for other in near) if near else ""
    offer = f"the nearest known ones are {known}" if near else f"known are {', '.join(VOCABULARY[2:])}"
    return f"No training caption has the word “{word}”; {offer}."


def nearest(word: str, count: int = 2) -> list[str]:
    """The known words nearest to an unknown one: numbers by value, others by spelling (none may be near)."""
    if word.isdigit() and int(word) > 10:
        return sorted(WIDTHS, key=lambda known: abs(int(known) - int(word)))[:count]
    numbers = [*NUMBERS, *MORE_NUMBERS]
    if word.isdigit() or word in numbers:
        value = int(word) if word.isdigit() else numbers.index(word)
        return sorted(NUMBERS, key=lambda known: abs(NUMBERS.index(known) - value))[:count]
    return difflib.get_close_matches(word, VOCABULARY[2:], n=count)


# ---- captions to layouts


def layout_of(caption: str) -> Layout:
    """What a caption asks for; what it leaves open is None, but jogs and contacts not mentioned are 0.

    Raises:
        DataError: for an unknown word.
    """
    encode([caption])
    said: dict[str, int | str | None] = dict.fromkeys(("lines", "orientation", "width"))
    said |= {"jogs": 0, "contacts": 0}
    number: int | None = None
    for word in words(caption):
        if word in NUMBERS:
            number = NUMBERS.index(word)
        elif word.isdigit():
            said["width"] = int(word)
        for orientation, synonyms in UPRIGHT.items():
            if word in synonyms:
                said["orientation"] = orientation
        for kind, nouns in NOUNS.items():
            if word in (*nouns, *(f"{noun}s" for noun in nouns)):
                said[kind] = number if number is not None else said[kind]
                number = None
    return Layout(**said)  # type: ignore[arg-type]
