"""The facts of the images of a folder: computed once per file, a few kilobytes each, by a pool of threads."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from gantrans.data.check import pixels
from gantrans.data.check.displacement import Maps, correlations
from gantrans.data.check.pixels import Bytes, Colour, Floats, Words
from gantrans.errors import DataError

WORKERS = 2
MAX_VALUES = 64
"""Stored values of an image are listed up to this number; more are an image and no mask or classes."""
_AHEAD = 16


@dataclass(frozen=True)
class Seen:
    """The values of an image in three forms.

    stored: as the file has them, (H, W) or (H, W, channels). colour: as 8 bits, (H, W, 3), or None if the
    file is grey. grey: as the training reads them, 8 bits; luma of colour, numbers of classes.
    """

    stored: NDArray[Any]
    grey: Bytes
    colour: Bytes | None


Reader = Callable[[Any], tuple[str, NDArray[Any], Callable[[], Seen]]]


@dataclass(frozen=True)
class ImageFacts:
    """What is kept of one image.

    problem: the sentence with which the reader refuses it; then only what its header and stored values show.
    form: "PNG", "JPEG", "TIFF" or "BMP". low, high: of the stored values. values, shares: the stored values
        and the share of each, if there are at most `MAX_VALUES`; colours as #rrggbb.
    levels, inner: numbers of pixels by grey value as read; all, and those inside areas of one value.
    digest: of the pixels. picture, edges: small copies. sketch: see `pixels.sketch`.
    """

    path: Path
    problem: str = ""
    form: str = ""
    size: tuple[int, int] = (0, 0)
    dtype: str = ""
    channels: int = 0
    low: float = 0.0
    high: float = 0.0
    values: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    levels: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(256, np.uint32))
    inner: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(256, np.uint32))
    colour: Colour = field(default_factory=Colour)
    digest: bytes = b""
    picture: Bytes = field(default_factory=lambda: np.zeros((pixels.SMALL, pixels.SMALL), np.uint8))
    edges: Bytes = field(default_factory=lambda: np.zeros((pixels.SMALL, pixels.SMALL), np.uint8))
    sketch: Words = field(default_factory=lambda: np.zeros(0, np.uint64))

    @property
    def constant(self) -> bool:
        """Whether all pixels have one grey value."""
        return not self.problem and int(np.count_nonzero(self.levels)) == 1


@dataclass(frozen=True)
class PairFacts:
    """What is kept of one pair.

    problem: of the pair as a whole. same: input and target are read as the same pixels. match, step: see
    `displacement.correlations`.
    """

    name: str
    split: str
    input: ImageFacts
    target: ImageFacts
    problem: str = ""
    same: bool = False
    match: Maps | None = None
    step: int = 1


def all_facts(
    pairs: Sequence[tuple[str, str, Any, Any]],
    read_input: Reader,
    read_target: Reader,
    *,
    progress: bool = True,
    name: str = "",
) -> list[PairFacts]:
    """The facts of (name, split, input, target) pairs, in their order."""

    def one(pair: tuple[str, str, Any, Any]) -> PairFacts:
        label, split, first, second = pair
        return pair_facts(label, split, (first, read_input), (second, read_target))

    bar = tqdm(total=len(pairs), desc=f"checking {name}", disable=not progress, delay=2.0)
    found = []
    with _one_thread_each(), ThreadPoolExecutor(WORKERS) as pool, bar:
        for facts in _in_order(pool, one, pairs):
            found.append(facts)
            bar.update()
    return found


def _in_order(pool: ThreadPoolExecutor, one: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """As `pool.map`, with few items under way, so that an interrupt ends the work at once."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(one, item))
        if len(waiting) >= _AHEAD:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pair_facts(name: str, split: str, first: tuple[Any, Reader], second: tuple[Any, Reader]) -> PairFacts:
    """Read and measure both images of a pair."""
    (one, seen), (other, shown) = (_image_facts(*side) for side in (first, second))
    if seen is None or shown is None:
        return PairFacts(name, split, one, other)
    if one.size != other.size:
        problem = (
            f"{one.path} is {one.size[0]} x {one.size[1]} px, but {other.path} is {other.size[0]} x "
            f"{other.size[1]} px; the images of a pair must have one size."
        )
        return PairFacts(name, split, one, other, problem)
    same = _same(seen, shown)
    match, step = correlations(seen.both, shown.both)
    return PairFacts(name, split, one, other, same=same, match=match, step=step)


@dataclass(frozen=True)
class _Measured:
    seen: Seen
    edges: Floats

    @property
    def both(self) -> tuple[Floats, Floats]:
        """Edges and values."""
        return self.edges, self.seen.grey.astype(np.float32)


def _same(one: _Measured, other: _Measured) -> bool:
    first, second = one.seen, other.seen
    if (first.colour is None) != (second.colour is None):
        return False
    if first.colour is not None and second.colour is not None:
        return np.array_equal(first.colour, second.colour)
    return np.array_equal(first.grey, second.grey)


def _image_facts(source: Any, read: Reader) -> tuple[ImageFacts, _Measured | None]:
    path = Path(getattr(source, "path", source))
    try:
        form, stored, as_read = read(source)
    except DataError as error:
        return ImageFacts(path, str(error)), None
    values, shares = _values(stored)
    known: dict[str, Any] = {
        "form": form,
        "size": (stored.shape[1], stored.shape[0]),
        "dtype": str(stored.dtype),
        "channels": 1 if stored.ndim == 2 else stored.shape[2],
        "low": float(stored.min()),
        "high": float(stored.max()),
        "values": values,
        "shares": shares,
    }
    try:
        seen = as_read()
    except DataError as error:
        return ImageFacts(path, str(error), **known), None
    edges, inner = pixels.edges(seen.grey), pixels.inner_levels(seen.grey)
    drawn = 2 * int(inner.sum()) > seen.grey.size
    content = np.ascontiguousarray(seen.grey if seen.colour is None else seen.colour)
    facts = ImageFacts(
        path,
        **known,
        levels=np.bincount(seen.grey.ravel(), minlength=256).astype(np.uint32),
        inner=inner,
        colour=Colour() if seen.colour is None else pixels.colour_of(seen.colour),
        digest=hashlib.blake2b(content.data, digest_size=16, person=_shape_mark(content)).digest(),
        picture=pixels.stretched(pixels.small(seen.grey)),
        edges=pixels.stretched(pixels.small(edges)),
        sketch=pixels.sketch(seen.grey) if not drawn else np.zeros(0, np.uint64),
    )
    return facts, _Measured(seen, edges)


def _shape_mark(array: NDArray[Any]) -> bytes:
    return "x".join(map(str, array.shape)).encode()[:16]


def _values(stored: NDArray[Any]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The stored values and their shares, or nothing if there are more than `MAX_VALUES`."""
    if stored.ndim == 3:
        if stored.shape[2] < 3 or stored.dtype != np.uint8:
            return (), ()
        parts = stored[..., :3].astype(np.uint32)
        flat = (parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]).ravel()
    else:
        flat = stored.ravel()
    if flat.dtype == np.uint8:
        counts = np.bincount(flat, minlength=256)
        found = np.flatnonzero(counts)
        number = counts[found]
    else:
        if len(np.unique(flat[::7])) > MAX_VALUES:
            return (), ()
        found, number = np.unique(flat, return_counts=True)
    if len(found) > MAX_VALUES:
        return (), ()
    names = (f"#{int(v):06x}" if stored.ndim == 3 else f"{float(v):g}" for v in found)
    return tuple(names), tuple(float(n) / flat.size for n in number)
