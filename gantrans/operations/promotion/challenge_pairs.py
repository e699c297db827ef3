"""Which labelled pairs a challenger is taught, and by which it is judged: those of the present regime.

Half of the layouts are taught and the other half judged, by a hash of the name: a layout stays on its side
for ever, so that no later challenger is judged by what an earlier one was taught. Images of one layout share
what stands before "--" in their ids ("cell12--3") and stay together.

Accepted outputs are left out unless they are asked for, and never judge: an output that is its own target
teaches a model its own mistakes. In the first regime the champion's training pairs are replayed, and its test
pairs guard against forgetting; a regime that was retired is neither replayed nor guarded.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gantrans.config import check_range
from gantrans.data import PairedDataset
from gantrans.data.tiles import tile_starts
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.images import uint8_from_unit
from gantrans.operations.feedback.exports import self_training, training_target
from gantrans.operations.feedback.records import ACCEPTED, Pair
from gantrans.operations.feedback.store import DamagedPictureError, Store
from gantrans.operations.promotion.regimes import Regime, utc
from gantrans.operations.promotion.registry import Registry
from gantrans.translation import DataSpec

GUARDED = 96
"""Simulated test pairs of the old conditions, at least."""


@dataclass(frozen=True)
class WindowConfig:
    """Which pairs count.

    taught, judged: only the newest so many images of each half; 0: all of the regime.
    accepted: teach accepted outputs, too (self-training).
    since: ISO 8601; images from then on only, if that is later than the beginning of the regime.
    """

    taught: int = 0
    judged: int = 0
    accepted: bool = False
    since: str | None = None

    def __post_init__(self) -> None:
        check_range(self, "taught", 0)
        check_range(self, "judged", 0)


@dataclass(frozen=True)
class Windows:
    """Pairs of a challenge.

    new, hold: labelled pairs to teach and to judge by; no layout is in both.
    replay, old: pairs that the champion was trained on, and a hold-out of those conditions; None when they
        hold no longer.
    labels: number of labelled images behind `new` and `hold`, before a limit.
    notes: sentences for the person who asked.
    """

    new: PairedDataset
    hold: PairedDataset
    replay: PairedDataset | None = None
    old: PairedDataset | None = None
    labels: int = 0
    notes: tuple[str, ...] = field(default=())


def layout_of(name: str) -> str:
    """The layout that a pair shows: its name without the number of the image and without the tile."""
    return name.split("@")[0].split("--")[0]


def is_judged(name: str) -> bool:
    """Whether a pair judges (else it teaches): half of the layouts, on every machine and for ever."""
    digest = hashlib.blake2b(layout_of(name).encode(), digest_size=8).digest()
    return bool(digest[0] & 1)


def windows_of(store: Store, registry: Registry, direction: str, config: WindowConfig) -> Windows:
    """The windows of the present regime, from a store and the champion's training source.

    Raises:
        RegistryError: there is no champion.
        DataError: no usable label, or the champion's training pairs cannot be read.
    """
    champion = registry.version(direction, "champion")
    regime, data = registry.regime(direction), champion.recipe.data
    pairs, left_out = _of_regime(store, direction, regime, config)
    if not pairs:
        begins = _begins(regime, config)
        raise DataError(
            f"{store.path} has no labelled image of {direction} in the regime {regime.name!r}"
            f"{f' since {begins}' if begins else ''}; label or correct predictions first."
        )
    judged = [pair for pair in pairs if is_judged(pair.prediction) and pair.origin != ACCEPTED]
    taught = [pair for pair in pairs if not is_judged(pair.prediction)]
    taught, judged = _newest(taught, config.taught), _newest(judged, config.judged)
    (new, one), (hold, other) = (load_pairs(store, side, direction, data) for side in (taught, judged))
    first = regime == Regime()
    return Windows(
        new,
        hold,
        _source(data, "train", direction) if first else None,
        _source(data, "test", direction) if first else None,
        sum(pair.origin != ACCEPTED for pair in pairs),
        tuple(_notes(taught, judged, left_out, one + other, regime)),
    )


def count_labels(store: Store, registry: Registry, direction: str, config: WindowConfig) -> int:
    """Number of labelled images of the present regime, without reading them."""
    pairs, _ = _of_regime(store, direction, registry.regime(direction), config)
    return sum(pair.origin != ACCEPTED for pair in pairs)


def _of_regime(store: Store, direction: str, regime: Regime, config: WindowConfig) -> tuple[list[Pair], int]:
    """The pairs whose image was taken in the regime, oldest first; and how many accepted ones stay out."""
    taken = dict(store.rows("SELECT id, made_at FROM prediction WHERE direction = ?", (direction,)))
    begins = _begins(regime, config)
    pairs = [pair for pair in store.pairs(direction) if taken[pair.prediction] >= begins]
    kept = [pair for pair in pairs if config.accepted or pair.origin != ACCEPTED]
    kept.sort(key=lambda pair: (taken[pair.prediction], pair.prediction))
    return kept, len(pairs) - len(kept)


def _begins(regime: Regime, config: WindowConfig) -> str:
    return max(regime.since, utc(config.since) if config.since else "")


def _newest(pairs: list[Pair], count: int) -> list[Pair]:
    return pairs[-count:] if count else pairs


def _notes(
    taught: Sequence[Pair], judged: Sequence[Pair], accepted: int, unusable: int, regime: Regime
) -> list[str]:
    """What the reader of a result needs about the labels."""
    notes = [
        f"Regime {regime.name!r}{f' since {regime.since}' if regime.since else ''}: {len(taught)} labelled "
        f"images teach, {len(judged)} judge."
    ]
    if unusable:
        notes.append(
            f"{unusable} of them are left out: damaged in the store, or smaller than the network's tile."
        )
    if warning := self_training(taught):
        notes.append(warning)
    if accepted:
        notes.append(
            f"{accepted} accepted outputs are left out: training on them would be self-training, which "
            "confirms a model's own mistakes (--accepted takes them in)."
        )
    corrected = sum(pair.origin == "corrected" for pair in judged)
    if corrected:
        notes.append(
            f"{corrected} of the {len(judged)} judging labels are corrections of an output, which favour "
            "the version that made it; true labels do not."
        )
    return notes


def load_pairs(
    store: Store, pairs: Sequence[Pair], direction: str, data: DataSpec
) -> tuple[PairedDataset, int]:
    """Labelled images as tiles of the network's size; named by prediction, and tile if there are several.

    Returns:
        The tiles, and the number of images left out: smaller than a tile, or damaged in the store.

    Raises:
        DataError: none is left.
    """
    chosen, size = registered(direction), data.size
    tiles: list[Tensor] = []
    names: list[str] = []
    left_out = 0
    for pair in pairs:
        both = _images(store, pair, direction)  # (2, 1, H, W)
        if both is None or min(both.shape[-2:]) < size:
            left_out += 1
            continue
        height, width = both.shape[-2:]
        places = [(y, x) for y in tile_starts(height, size) for x in tile_starts(width, size)]
        tiles += [both[..., y : y + size, x : x + size] for y, x in places]
        only = len(places) == 1
        names += [pair.prediction if only else f"{pair.prediction}@{y},{x}" for y, x in places]
    if not tiles:
        raise DataError(
            f"None of the {len(pairs)} labelled images of {store.path} in one half of the layouts has "
            f"{size} x {size} px, as the network needs; label more, or larger ones."
        )
    inputs, targets = uint8_from_unit(torch.stack(tiles, dim=1))
    found = PairedDataset(
        inputs, targets, ["labels"] * len(names), data.pixel_nm, names, (chosen.input, chosen.target)
    )
    return found, left_out


def _images(store: Store, pair: Pair, direction: str) -> Tensor | None:
    """Input and target, (2, 1, H, W) in [0, 1]; None if one of them is damaged."""
    try:
        return torch.stack([store.image(pair.input), training_target(store, pair, direction)])
    except DamagedPictureError:
        return None  # counted and reported by the caller


def _source(data: DataSpec, split: str, direction: str) -> PairedDataset:
    try:
        count = max(GUARDED, data.validation) if split == "test" else None
        return data.pairs(split, direction, count)
    except DataError as error:
        raise DataError(
            f"The pairs that the champion was trained on cannot be read ({str(error).rstrip('.')}); bring "
            "them back, or retire the regime if they hold no longer (registry retire)."
        ) from error
