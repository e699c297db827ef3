"""Aligned image pairs: datasets, and batches that are a pure function of (seed, step)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data.cells import LAYERS, SPLITS, CellConfig, cell_layouts
from gantrans.data.imaging import PRESETS, ImagingConfig
from gantrans.data.layouts import LayoutConfig, context_px, procedural_layouts
from gantrans.data.simulator import simulate
from gantrans.data.streams import stream_seeds
from gantrans.directions import direction as registered
from gantrans.errors import DataError
from gantrans.images import network_from_uint8, uint8_from_unit

SOURCES = ("procedural", "sky130")
_BLOCK = 64  # clips per update of the progress bar

Batch = dict[str, Tensor | list[str]]
Indices = Callable[[int], list[int]]
"""From the number of a batch to the indices of its pairs."""


class Pairs(Protocol):
    """What `BatchSource` needs of its pairs: in memory `PairedDataset`, from files `StreamedPairs`."""

    @property
    def family(self) -> list[str]:
        """The label of each pair."""

    def check_direction(self, direction: str) -> None:
        """Raise a `DataError` unless these are pairs of that direction."""

    def expect(self, step: int, indices: Indices) -> None:
        """The batches from `step` on come next, in order, with the pairs that `indices` gives for each."""

    def fetch(self, direction: str, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(input, target) of the pairs `indices`, uint8 (B, C, H, W) each."""

    def close(self) -> None:
        """End what works ahead; nothing may be fetched afterwards."""


def sides(images: tuple[str, str], direction: str) -> tuple[int, int]:
    """Which of the two images, 0 or 1, are input and target of a registered direction.

    Raises:
        DataError: there is no such direction, or it translates other images.
    """
    chosen = registered(direction)
    return _side(images, chosen.input), _side(images, chosen.target)


def _side(images: tuple[str, str], name: str) -> int:
    if name not in images:
        raise DataError(
            f"This dataset holds {' and '.join(images)} images, not {name!r}; choose another "
            "direction or source."
        )
    return images.index(name)


@dataclass(frozen=True)
class PairedDataset:
    """Aligned pairs of images `a` and `b`, stored as uint8: 2,048 grey pairs of 64 px take 17 MB.

    Attributes:
        a, b: (N, C, H, W) uint8 with C of 1 or 3, which may differ between the two.
        family: the label of each pair. names: unique, one per pair.
        pixel_nm: size of a pixel in nm, None if it is not known.
        images: what `a` and `b` show, in the names that `gantrans.directions` uses.
        classes: the stored value of each class, where one of the two images holds the numbers of classes.

    Raises:
        DataError: unequal numbers or sizes, or images that are not uint8 (N, C, H, W).
    """

    a: Tensor
    b: Tensor
    family: list[str]
    pixel_nm: float | None
    names: list[str]
    images: tuple[str, str] = ("sem", "layout")
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, (first, second) = len(self.a), self.images
        equal = (len(self.b), *self.b.shape[2:]) == (n, *self.a.shape[2:])
        if not equal or n != len(self.family) or n != len(self.names):
            raise DataError(
                f"A paired dataset needs equal numbers and sizes, but {first} is {tuple(self.a.shape)},"
                f" {second} {tuple(self.b.shape)}, with {len(self.family)} families and {len(self.names)}"
                " names."
            )
        sound = all(x.dtype == torch.uint8 and x.ndim == 4 and x.shape[1] in (1, 3) for x in (self.a, self.b))
        if not sound:
            raise DataError(
                f"A paired dataset needs uint8 images (N, 1 or 3, H, W), not {self.a.dtype}"
                f" {tuple(self.a.shape)} and {self.b.dtype} {tuple(self.b.shape)}."
            )

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, str]:
        """One pair: (a (C, H, W) uint8, b (C, H, W) uint8, family)."""
        return self.a[index], self.b[index], self.family[index]

    @property
    def sem(self) -> Tensor:
        """The SEM images; see `image`."""
        return self.image("sem")

    @property
    def layout(self) -> Tensor:
        """The layouts; see `image`."""
        return self.image("layout")

    def image(self, name: str) -> Tensor:
        """All images of that name, uint8 (N, C, H, W).

        Raises:
            DataError: the dataset holds other images.
        """
        return (self.a, self.b)[_side(self.images, name)]

    def with_images(self, **images: Tensor) -> "PairedDataset":
        """The same pairs with one or both images replaced, by name: `pairs.with_images(layout=moved)`.

        Raises:
            DataError: the dataset holds no images of that name, or sizes and types do not fit.
        """
        for name in images:
            self.image(name)
        first, second = self.images
        return replace(self, a=images.get(first, self.a), b=images.get(second, self.b))

    def subset(self, indices: Sequence[int]) -> "PairedDataset":
        """The pairs `indices`, in that order."""
        chosen = [int(i) for i in indices]
        return replace(
            self,
            a=self.a[chosen],
            b=self.b[chosen],
            family=[self.family[i] for i in chosen],
            names=[self.names[i] for i in chosen],
        )

    def roles(self, direction: str) -> tuple[Tensor, Tensor]:
        """(input, target), both uint8 (N, C, H, W), for a registered direction.

        Raises:
            DataError: there is no such direction, or the dataset holds other images than it translates.
        """
        first, second = sides(self.images, direction)
        return (self.a, self.b)[first], (self.a, self.b)[second]

    def check_direction(self, direction: str) -> None:
        """Raise a `DataError` unless these are pairs of that direction."""
        sides(self.images, direction)

    def expect(self, step: int, indices: Indices) -> None:
        """Nothing is prepared: all pairs are in memory."""

    def close(self) -> None:
        """Nothing works ahead."""

    def fetch(self, direction: str, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(input, target) of the pairs `indices`, uint8 (B, C, H, W), as `roles` orders them."""
        inputs, targets = self.roles(direction)
        return inputs[list(indices)], targets[list(indices)]


def make_pairs(
    source: str,
    *,
    count: int,
    split: str = "train",
    size: int = 64,
    pixel_nm: float = 20.0,
    difficulty: str = "default",
    seed: int = 0,
    layer: str = "li1",
    imaging: ImagingConfig | None = None,
    progress: bool = True,
) -> PairedDataset:
    """Simulate `count` pairs of SEM image and layout.

    Pair `i` depends on all arguments except `count`: a longer dataset begins with the shorter one. Splits use
    different random streams and, for "sky130", different cell families.

    Args:
        source: "procedural" (six drawn families) or "sky130" (real standard cells, layer li1, poly or licon).
        size: side of the images in pixels of `pixel_nm` nm.
        difficulty: preset of the imaging conditions, "easy", "default" or "hard"; `imaging` overrides it.
        progress: show a progress bar after two seconds.

    Raises:
        DataError: unknown source, split, difficulty or layer, or a count below one.
    """
    for name, value, choices in (
        ("source", source, SOURCES), ("split", split, SPLITS), ("difficulty", difficulty, PRESETS),
        ("layer", layer, LAYERS),
    ):  # fmt: skip
        if value not in choices:
            raise DataError(f"{name} is {value!r}; choose one of {', '.join(choices)}.")
    if count < 1:
        raise DataError(f"count is {count}; ask for at least one pair.")
    conditions = imaging or PRESETS[difficulty]
    (stream,) = stream_seeds(seed, f"pairs/{source}/{split}", [0])
    margin = context_px(pixel_nm)
    sem, layout, family = [], [], []
    blocks = range(0, count, _BLOCK)
    for start in tqdm(blocks, desc=f"{source} {split} pairs", disable=not progress, delay=2.0, leave=False):
        indices = range(start, min(start + _BLOCK, count))
        if source == "procedural":
            drawn = procedural_layouts(LayoutConfig(size, pixel_nm), stream, indices, margin_px=margin)
        else:
            drawn = cell_layouts(CellConfig(layer, split, size, pixel_nm), stream, indices, margin_px=margin)
        sem.append(uint8_from_unit(simulate(drawn, conditions, stream, indices).sem))
        layout.append(uint8_from_unit(drawn.clip))
        family += drawn.family
    names = [f"{source}-{split}-{seed}-{i:05d}" for i in range(count)]
    return PairedDataset(torch.cat(sem), torch.cat(layout), family, pixel_nm, names)


class StratifiedSampler:
    """Stratified batches: every family is drawn equally often, independent of its share of the dataset.

    Families alternate in a random order; within a family, items are drawn without replacement until all have
    been used. Without stratification all items form one family. `indices(step)` is a pure function of (seed,
    step), so a resumed training uses the same batches as an uninterrupted one.

    Raises:
        DataError: no items, or a batch size below one.
    """

    def __init__(
        self, families: Sequence[str], batch_size: int, seed: int, *, stratified: bool = True
    ) -> None:
        if batch_size < 1 or not families:
            raise DataError(
                f"Cannot draw batches of {batch_size} from {len(families)} pairs; both must be positive."
            )
        labels = list(families) if stratified else ["all"] * len(families)
        self.groups = [[i for i, f in enumerate(labels) if f == name] for name in sorted(set(labels))]
        self.batch_size, self.seed = batch_size, seed
        self._permutations: dict[tuple[str, int], list[int]] = {}

    def indices(self, step: int) -> list[int]:
        """The dataset indices of batch `step` (0, 1, ...)."""
        chosen = []
        for slot in range(step * self.batch_size, (step + 1) * self.batch_size):
            turn, place = divmod(slot, len(self.groups))
            group = self._permutation("turn", turn, len(self.groups))[place]
            members = self.groups[group]
            lap, position = divmod(turn, len(members))
            chosen.append(members[self._permutation(f"family {group}", lap, len(members))[position]])
        return chosen

    def _permutation(self, name: str, lap: int, length: int) -> list[int]:
        if (name, lap) not in self._permutations:
            if len(self._permutations) > 1000:
                self._permutations.clear()
            generator = torch.Generator().manual_seed(stream_seeds(self.seed, f"sampler/{name}", [lap])[0])
            self._permutations[name, lap] = torch.randperm(length, generator=generator).tolist()
        return self._permutations[name, lap]


class BatchSource:
    """Training batches as a pure function of the step: `batch = source(step)`.

    A batch holds "input" and "target", float32 (B, C, H, W) in [-1, 1], and "family"; a target of classes is
    int64 (B, H, W), the numbers of the classes. Augmentation applies one of the eight symmetries of the
    square to both images of a pair. Grey values are not changed, because they depend on the physics of
    imaging.

    Args:
        dataset: in memory or streamed; the batches are the same bit for bit.
        direction: a registered one that `dataset` has the images of.
        stratified: see `StratifiedSampler`.
    """

    def __init__(
        self,
        dataset: Pairs,
        direction: str,
        batch_size: int,
        seed: int,
        *,
        stratified: bool = True,
        augment: bool = True,
    ) -> None:
        dataset.check_direction(direction)  # before the first step
        self.dataset, self.direction, self.family = dataset, direction, dataset.family
        self.sampler = StratifiedSampler(dataset.family, batch_size, seed, stratified=stratified)
        self.seed, self.augment = seed, augment

    def __call__(self, step: int) -> Batch:
        self.dataset.expect(step, self.sampler.indices)
        chosen = self.sampler.indices(step)
        images = self.dataset.fetch(self.direction, chosen)  # (B, C, H, W) each
        if self.augment:
            generator = torch.Generator().manual_seed(stream_seeds(self.seed, "augment", [step])[0])
            turns = torch.randint(8, (len(chosen),), generator=generator).tolist()
            inputs, targets = (_turned(side, turns) for side in images)
        else:
            inputs, targets = images
        known = {"family": [self.family[i] for i in chosen]}
        if registered(self.direction).target_kind == "classes":
            return {"input": network_from_uint8(inputs), "target": targets[:, 0].long(), **known}
        return {"input": network_from_uint8(inputs), "target": network_from_uint8(targets), **known}


def _turned(images: Tensor, elements: Sequence[int]) -> Tensor:
    """(B, C, H, W) with one element of D4 applied to each image."""
    return torch.stack([dihedral(image, turn) for image, turn in zip(images, elements, strict=True)])


def dihedral(image: Tensor, element: int) -> Tensor:
    """Element 0..7 of the dihedral group D4 on (..., H, W): quarter turns, from 4 on followed by a flip."""
    turned = torch.rot90(image, element % 4, (-2, -1))
    return turned.flip(-1) if element >= 4 else turned
