"""Pairs of a folder that need not fit into memory: images are decoded when a batch needs them.

A batch is a pure function of its step, so which tiles the next batches need is known, and threads decode them
ahead (Pillow, zlib and NumPy work without Python's lock). What a batch contains does not depend on threads
or memory. Two stores, each with a limit in bytes:

- Whole decoded images, first come, first kept, never exchanged. An image is the unit because a file can only
  be decoded as a whole, and its tiles overlap. Training goes through all tiles in a new random order again
  and again, so that a share kept for good spares that share of the decoding; the usual exchange of the least
  recently used one would spare less (of half of the images 1/6, not 1/2).
- The tiles of two blocks of batches, this and the next. All tiles of an image that a block needs are cut in
  one go, so an image of 256 tiles is not decoded 256 times.

A folder that fits is decoded once and kept.
"""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data.folder import PairedFolder
from gantrans.data.pairs import Indices, PairedDataset, sides
from gantrans.data.tiles import tile_places
from gantrans.errors import DataError

CACHE_BYTES = 2**28
"""256 MiB: 2,000 grey pairs of 256 px are kept whole."""
READERS = min(4, os.cpu_count() or 1)
"""Threads that decode; each holds one pair of images while it does."""
AHEAD = 8
"""Batches in a block, where each image is one tile."""
_PER_PAIR = 1024
"""Bytes that Python takes for a pair that is kept, beside its pixels."""
_AT_ONCE = 256  # images that are handed to the threads together

Pair = tuple[Tensor, Tensor]
"""The images a and b, uint8 (C, H, W)."""
Item = TypeVar("Item")
Made = TypeVar("Made")


class StreamedPairs:
    """The tiles of one split of a folder: the same pairs, in the same order, as `PairedFolder.load` gives.

    Attributes:
        images, family, pixel_nm, classes: as of `PairedDataset`.

    Args:
        direction, split, size: see `PairedFolder.load`.
        cache_bytes: the limit for decoded pixels that are kept or made ahead. Beyond it there are only the
            tiles of two batches, and the images that are being decoded.
        readers: threads that decode ahead; 0: each image is decoded when it is fetched.

    Raises:
        DataError: for the first pair that is smaller than a tile, or has no header with its size and cannot
            be decoded.
    """

    def __init__(
        self,
        folder: PairedFolder,
        direction: str,
        *,
        split: str = "train",
        size: int,
        cache_bytes: int = CACHE_BYTES,
        readers: int = READERS,
        progress: bool = True,
    ) -> None:
        self.folder, self.size, self.readers = folder, size, readers
        self.images, self.swapped = folder.order(direction)
        self.pixel_nm, self.classes = folder.pixel_nm, folder.classes
        self.files = folder.names(split)
        self._image, self._top, self._left = array("i"), array("i"), array("i")
        self._sizes = [
            self._list(number, name)
            for number, name in enumerate(tqdm(
                self.files, desc=f"listing {folder.root.name}", disable=not progress, delay=2.0, leave=False
            ))
        ]  # fmt: skip
        self.family = [folder.family_of(self.files[image]) for image in self._image]
        self._channels = sum(folder.encoding.channels)
        needed = self._bytes(range(len(self.files)))
        self._room = needed if needed <= cache_bytes else cache_bytes // 2
        self._window = cache_bytes - self._room
        # One block, of which the system gives what is written. Kept images of their own would lie scattered
        # between what decoding frees, and the process would take several times their size.
        self._pixels = torch.empty(self._room, dtype=torch.uint8)
        self._kept: dict[int, Pair] = {}
        self._placing: set[int] = set()
        self.kept_bytes = 0
        self._lock = Lock()
        self._coming: dict[int, Future[dict[int, Pair]]] = {}
        self._planned: tuple[int, int, Indices] | None = None
        self._threads = ThreadPoolExecutor(readers, "reading") if readers else None

    def __len__(self) -> int:
        return len(self._image)

    @property
    def names(self) -> list[str]:
        """One unique name per tile."""
        counts = [0] * len(self.files)
        for image in self._image:
            counts[image] += 1
        places = zip(self._image, self._top, self._left, strict=True)
        return [
            self.files[i] if counts[i] == 1 else f"{self.files[i]}@{top},{left}" for i, top, left in places
        ]

    def check_direction(self, direction: str) -> None:
        """Raise a `DataError` unless these are pairs of that direction."""
        sides(self.images, direction)

    def fetch(self, direction: str, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(input, target) of the tiles `indices`, uint8 (B, C, size, size) each.

        Raises:
            DataError: a file cannot be used, or was changed since it was listed.
        """
        first, second = sides(self.images, direction)
        pairs = [self._tile(index) for index in indices]
        return torch.stack([pair[first] for pair in pairs]), torch.stack([pair[second] for pair in pairs])

    def subset(self, indices: Sequence[int]) -> PairedDataset:
        """The tiles `indices` in memory, in that order; an image is decoded once for all of its tiles.

        Raises:
            DataError: a file cannot be used.
        """
        wanted = self._by_image(indices)
        found: dict[int, Pair] = {}
        for tiles in self._each(lambda image: self._read(image, wanted[image]), list(wanted)):
            found |= tiles
        a, b = (torch.stack([found[index][side] for index in indices]) for side in (0, 1))
        names = self.names
        family, chosen = [self.family[i] for i in indices], [names[i] for i in indices]
        return PairedDataset(a, b, family, self.pixel_nm, chosen, self.images, self.classes)

    def read_all(self, *, progress: bool = True) -> None:
        """Decode every image once, so that damage is named before a training; what fits is kept.

        Raises:
            DataError: for the first image that cannot be used.
        """
        todo = [image for image in range(len(self.files)) if image not in self._kept]
        title = f"reading {self.folder.root.name}"
        with tqdm(total=len(todo), desc=title, disable=not progress, delay=2.0) as bar:
            for _ in self._each(self._check, todo):
                bar.update()

    def expect(self, step: int, indices: Indices) -> None:
        """The batches from `step` on come next, in order: the threads begin with what is not in memory.

        Args:
            indices: from the number of a batch to its tiles; a pure function.
        """
        if self._threads is None or len(self._kept) == len(self.files):
            return
        block = self._block(len(indices(step)))
        now = step // block
        if (now, block, indices) == self._planned:
            return
        self._planned = (now, block, indices)
        coming: dict[int, Future[dict[int, Pair]]] = {}
        for steps in (range(step, (now + 1) * block), range((now + 1) * block, (now + 2) * block)):
            needed = dict.fromkeys(tile for one in steps for tile in indices(one))
            needed = {tile: None for tile in needed if self._image[tile] not in self._kept}
            coming |= {tile: self._coming[tile] for tile in needed if tile in self._coming}
            for image, tiles in self._by_image(tile for tile in needed if tile not in coming).items():
                coming |= dict.fromkeys(tiles, self._threads.submit(self._read, image, tiles))
        for left in set(self._coming.values()) - set(coming.values()):
            left.cancel()
        self._coming = coming

    def close(self) -> None:
        """End the threads; what they have begun is finished, the rest is dropped."""
        if self._threads is not None:
            self._threads.shutdown(cancel_futures=True)
        self._coming, self._threads = {}, None

    def _list(self, image: int, name: str) -> tuple[int, int]:
        """Note the tiles of an image; its height and width."""
        height, width = self.folder.size(name)
        for top, left in tile_places(height, width, self.size, self.folder.inputs[name]):
            self._image.append(image)
            self._top.append(top)
            self._left.append(left)
        return height, width

    def _bytes(self, images: Iterable[int]) -> int:
        """What some images take when they are kept."""
        return sum(self._channels * h * w + _PER_PAIR for h, w in (self._sizes[image] for image in images))

    def _block(self, batch: int) -> int:
        """Batches in a block, such that two fit into what may be made ahead.

        Longer than `AHEAD` only where images have several tiles: so long that a block has eight of each.
        """
        images = len(self.files)
        useful = AHEAD if len(self) == images else max(AHEAD, 8 * images // batch)
        return max(1, min(useful, self._window // (2 * batch * self._channels * self.size**2)))

    def _by_image(self, tiles: Iterable[int]) -> dict[int, list[int]]:
        groups: dict[int, list[int]] = {}
        for tile in tiles:
            groups.setdefault(self._image[tile], []).append(tile)
        return groups

    def _tile(self, index: int) -> Pair:
        image = self._image[index]
        if (pair := self._kept.get(image)) is not None:
            return self._cut(pair, index)
        if index in self._coming:
            return self._coming[index].result()[index]
        return self._read(image, [index])[index]

    def _read(self, image: int, tiles: Sequence[int]) -> dict[int, Pair]:
        """Some tiles of one image, copied, so that the image itself is freed."""
        pair = self._kept.get(image) or self._decoded(image)
        cuts = {tile: self._cut(pair, tile) for tile in tiles}
        return {tile: (a.clone(), b.clone()) for tile, (a, b) in cuts.items()}

    def _check(self, image: int) -> None:
        self._decoded(image)

    def _decoded(self, image: int) -> Pair:
        """A pair of whole images; kept if there is room."""
        name = self.files[image]
        one, other = self.folder.read(name)
        if one.shape[-2:] != self._sizes[image]:
            was, now = (f"{width} x {height} px" for height, width in (self._sizes[image], one.shape[-2:]))
            raise DataError(
                f"{self.folder.inputs[name]} has {now} and had {was} when it was listed; leave the files as "
                "they are while a training uses them."
            )
        pair = (other, one) if self.swapped else (one, other)
        with self._lock:
            start, taken = self.kept_bytes, self._bytes([image])
            room = image not in self._placing and start + taken <= self._room
            if room:
                self._placing.add(image)
                self.kept_bytes += taken
        if room:
            self._kept[image] = self._placed(pair, start)
        return pair

    def _placed(self, pair: Pair, start: int) -> Pair:
        """A copy of a pair in the block of memory."""
        a, b = pair
        places = self._pixels[start : start + a.numel() + b.numel()].split([a.numel(), b.numel()])
        first, second = (place.view(image.shape) for place, image in zip(places, pair, strict=True))
        return first.copy_(a), second.copy_(b)

    def _cut(self, pair: Pair, index: int) -> Pair:
        top, left = self._top[index], self._left[index]
        a, b = (image[:, top : top + self.size, left : left + self.size] for image in pair)
        return a, b

    def _each(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """work(item) of each item, in order, by the threads; few are under way at a time."""
        for start in range(0, len(items), _AT_ONCE):
            part = items[start : start + _AT_ONCE]
            yield from map(work, part) if self._threads is None else self._threads.map(work, part)


def evenly(total: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to total - 1, evenly spread; all of them if they are no more."""
    count = min(total, most)
    return [i * total // count for i in range(count)]
