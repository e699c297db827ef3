"""What a recipe trains on: simulated pairs, or a folder of pairs."""

from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from gantrans.config import ADDED, check_choice, check_range
from gantrans.data import PairedDataset, PairedFolder, make_pairs
from gantrans.data.encoding import Encoding
from gantrans.data.pairs import Pairs
from gantrans.data.reading import BITS
from gantrans.data.streaming import StreamedPairs, evenly
from gantrans.errors import ConfigError, DataError

SIMULATED = ("procedural", "sky130")
MOST_VALIDATION = 256
"""Tiles of a folder that a training validates on; they are in memory, and so are their translations."""


@dataclass(frozen=True)
class DataSpec:
    """The pairs to train on.

    source: "procedural", "sky130" or the path of a `PairedFolder`.
    size: side of the network's images in pixels; larger images of a folder are cut into tiles.
    pixel_nm: nm per pixel; None for a folder without a stated pixel size (results are then in pixels).
    count, validation: simulated pairs for training and for choosing the best checkpoint.
    layer: SKY130 layer.
    bits: used bits of the 16-bit images of a folder, see `gantrans.data.read_image`; None: none stated.
    encoding: what else is stated of how the images of a folder are read.
    accepted: the warnings of the check of a folder that its owner accepted.
    """

    source: str = "procedural"
    size: int = 64
    pixel_nm: float | None = 20.0
    count: int = 2048
    validation: int = 128
    difficulty: str = "default"
    layer: str = "li1"
    seed: int = 0
    bits: int | None = field(default=None, metadata=ADDED)
    encoding: Encoding = field(default=Encoding(), metadata=ADDED)
    accepted: tuple[str, ...] = field(default=(), metadata=ADDED)

    def __post_init__(self) -> None:
        check_range(self, "size", 16, 2048)
        check_range(self, "count", 1)
        check_range(self, "validation", 1)
        if self.pixel_nm is not None:
            check_range(self, "pixel_nm", 0.0, 1e4, open_low=True)
        check_choice(self, "bits", (None, *BITS))

    def pairs(self, split: str, direction: str, count: int | None = None) -> PairedDataset:
        """The pairs of a split ("train", "val" or "test"); `count` is used for simulated sources only.

        Raises:
            DataError: the source is a folder that cannot be used.
        """
        if self.source not in SIMULATED:
            return self._folder().load(direction, split=split, size=self.size)
        wanted = count or (self.count if split == "train" else self.validation)
        return make_pairs(
            self.source, split=split, size=self.size, pixel_nm=self.pixel_nm or 20.0,
            difficulty=self.difficulty,
            count=wanted, seed=self.seed, layer=self.layer,
        )  # fmt: skip

    def training(self, direction: str) -> Pairs:
        """The pairs to train on; those of a folder are streamed, after each was read once. To be closed.

        Raises:
            DataError: the source is a folder that cannot be used.
        """
        if self.source in SIMULATED:
            return self.pairs("train", direction)
        streamed = StreamedPairs(self._folder(), direction, size=self.size)
        try:
            streamed.read_all()
        except BaseException:
            streamed.close()
            raise
        return streamed

    def validating(self, direction: str) -> PairedDataset:
        """The pairs that a training validates on: at most `MOST_VALIDATION` tiles of a folder, evenly spread.

        Raises:
            DataError: the source is a folder that cannot be used.
        """
        if self.source in SIMULATED:
            return self.pairs("val", direction)
        with closing(StreamedPairs(self._folder(), direction, split="val", size=self.size)) as streamed:
            return streamed.subset(evenly(len(streamed), MOST_VALIDATION))

    def _folder(self) -> PairedFolder:
        return open_folder(self.source, self.pixel_nm, self.bits)

    def check(self, *splits: str) -> None:
        """Read a folder's pairs of these splits once, so that damage is reported before the training.

        Raises:
            DataError: for the first image that cannot be used.
        """
        if self.source not in SIMULATED:
            self._folder().check(*splits, size=self.size)


def held_out(
    trained: DataSpec, source: str, *, pixel_nm: float | None = None, bits: int | None = None
) -> DataSpec:
    """The pairs of a source on which a run is evaluated or reviewed.

    Args:
        trained: what the run was trained on.
        pixel_nm: as stated now; simulated images have the run's unless it is given.
        bits: as stated now; else those of the folder's manifest, else the run's.

    Raises:
        DataError: the source is a folder that cannot be used.
        ConfigError: `bits` of simulated images.
    """
    check_bits(source, bits)
    if source in SIMULATED:
        return replace(trained, source=source, pixel_nm=trained.pixel_nm if pixel_nm is None else pixel_nm)
    stated = open_folder(source, bits=bits).bits
    return replace(trained, source=source, pixel_nm=pixel_nm, bits=trained.bits if stated is None else stated)


def check_bits(source: str, bits: int | None) -> None:
    """Raise a `ConfigError` if bits are stated for simulated images, which come from no file."""
    if source in SIMULATED and bits is not None:
        raise ConfigError(f"{source} is simulated and has no 16-bit files; leave out --bits.")


def open_folder(source: str, pixel_nm: float | None = None, bits: int | None = None) -> PairedFolder:
    """Open the `PairedFolder` of a source that is not simulated.

    Raises:
        DataError: there is no such folder, or it cannot be used.
    """
    if not Path(source).is_dir():
        raise DataError(
            f"There is no source {source!r}: give {', '.join(SIMULATED)} or a folder that holds input/ and "
            "target/."
        )
    return PairedFolder(source, pixel_nm=pixel_nm, bits=bits)
