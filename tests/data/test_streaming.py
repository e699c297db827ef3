"""Streamed pairs are the pairs in memory bit for bit, within a limit of bytes, however many threads read."""

import json
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import Tensor

from gantrans.data.encoding import Encoding
from gantrans.data.folder import PairedFolder
from gantrans.data.headers import image_size
from gantrans.data.pairs import BatchSource
from gantrans.data.streaming import StreamedPairs, evenly
from gantrans.errors import DataError

DIRECTION = "sem2layout"
SIDE = 16
GREY = Encoding()


class Counting(PairedFolder):
    """Counts how often each pair is decoded."""

    def read(self, name: str) -> tuple[Tensor, Tensor]:
        self.__dict__.setdefault("reads", Counter())[name] += 1
        return super().read(name)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def folder_of(root: Path, *sizes: tuple[int, int], held: str = "sem", encoding: Encoding = GREY) -> Path:
    """Pairs of these heights and widths in two families, all for training."""
    for kind in ("input", "target"):
        (root / kind).mkdir(parents=True)
        for i, (height, width) in enumerate(sizes):
            values = noise(height, width, 2 * i + (kind == "input"))
            if kind == "target" and encoding.classes:
                values = values % len(encoding.classes)
            if kind in encoding.colour:
                values = np.stack([values, 255 - values, values // 2], -1)
            Image.fromarray(values).save(root / kind / f"{i:02d}.png")
    names = [f"{i:02d}" for i in range(len(sizes))]
    (root / "split.csv").write_text("name,split\n" + "".join(f"{name},train\n" for name in names))
    families = {name: "ab"[i % 2] for i, name in enumerate(names)}
    (root / "pairs.json").write_text(json.dumps({"input": held, "family": families}))
    return root


SIZES = ((16, 16), (40, 21), (16, 16), (33, 48), (16, 30), (64, 64), (16, 16))
CASES = {  # cache_bytes, direction, what input/ holds, encoding
    "nothing kept": (0, DIRECTION, "sem", GREY),
    "some kept, swapped": (12_000, DIRECTION, "layout", GREY),
    "some kept, colour": (24_000, DIRECTION, "sem", Encoding(colour=("input",))),
    "all kept, colour": (2**20, "image2image", "image", Encoding(colour=("input", "target"))),
    "some kept, classes": (12_000, "image2classes", "image", Encoding(classes=("0", "1", "2"))),
}


@pytest.mark.parametrize("readers", [0, 1, 3])
@pytest.mark.parametrize("case", CASES)
def test_batches_are_those_of_the_dataset_in_memory(tmp_path: Path, readers: int, case: str) -> None:
    cache, direction, held, encoding = CASES[case]
    folder = Counting(folder_of(tmp_path, *SIZES, held=held, encoding=encoding), encoding=encoding)
    whole = folder.load(direction, size=SIDE)
    expected = BatchSource(whole, direction, 5, seed=1)
    with closing(StreamedPairs(folder, direction, size=SIDE, cache_bytes=cache, readers=readers)) as pairs:
        assert (pairs.names, pairs.family, len(pairs)) == (whole.names, whole.family, len(whole))
        source = BatchSource(pairs, direction, 5, seed=1)
        for step in (*range(30), 3, 4, 21, *range(40, 44)):  # and after a kill, from any step on
            one, other = source(step), expected(step)
            assert one["input"].shape[1] == encoding.channels[0]
            assert torch.equal(one["input"], other["input"])
            assert torch.equal(one["target"], other["target"])
            assert one["family"] == other["family"]
        few, same = pairs.subset([7, 2, 7]), whole.subset([7, 2, 7])
    assert torch.equal(few.a, same.a)
    assert torch.equal(few.b, same.b)
    assert (few.names, few.family, few.images, few.classes) == (
        same.names, same.family, same.images, same.classes,
    )  # fmt: skip
    assert pairs.kept_bytes == 0 if not cache else 0 < pairs.kept_bytes <= cache


def test_a_folder_that_fits_is_decoded_once(tmp_path: Path) -> None:
    folder = Counting(folder_of(tmp_path, *SIZES))
    with closing(StreamedPairs(folder, DIRECTION, size=SIDE)) as pairs:
        pairs.read_all()
        source = BatchSource(pairs, DIRECTION, 4, seed=0)
        for step in range(20):
            source(step)
        pairs.read_all()
    assert folder.reads == dict.fromkeys(folder.inputs, 1)


def test_an_image_of_many_tiles_is_not_decoded_for_each(tmp_path: Path) -> None:
    folder = Counting(folder_of(tmp_path, (256, 256), (256, 256)))
    with closing(StreamedPairs(folder, DIRECTION, size=32, cache_bytes=262_000)) as pairs:
        source = BatchSource(pairs, DIRECTION, 4, seed=0)
        for step in range(32):  # every tile once
            source(step)
        assert len(pairs) == 128
        assert pairs.kept_bytes == 0  # neither fits into half of the limit
    assert sum(folder.reads.values()) <= 2 * 6  # blocks of 7 batches, one more ahead


@pytest.mark.parametrize("cache", [9_000, 40_000])
def test_memory_stays_within_the_limit(tmp_path: Path, cache: int) -> None:
    folder = Counting(folder_of(tmp_path, *[(32, 48)] * 20))
    with closing(StreamedPairs(folder, DIRECTION, size=SIDE, cache_bytes=cache, readers=2)) as pairs:
        pairs.read_all()
        source, tile = BatchSource(pairs, DIRECTION, 2, seed=0), 2 * SIDE**2
        for step in range(40):
            source(step)
            assert pairs._pixels.nbytes + len(pairs._coming) * tile <= cache
        assert pairs.kept_bytes > (cache > 9_000) * cache / 4  # the limit is used
        ready = [one for future in pairs._coming.values() for one in future.result().values()]
    assert ready
    assert {image.untyped_storage().nbytes() for one in ready for image in one} == {
        tile // 2
    }  # no whole image


@pytest.mark.parametrize("readers", [0, 2])
def test_a_file_that_goes_bad_is_named_when_a_batch_needs_it(tmp_path: Path, readers: int) -> None:
    folder = Counting(folder_of(tmp_path, *[(16, 16)] * 12))
    with closing(StreamedPairs(folder, DIRECTION, size=SIDE, cache_bytes=0, readers=readers)) as pairs:
        source = BatchSource(pairs, DIRECTION, 1, seed=0)
        place = next(step for step in range(12, 24) if source.sampler.indices(step) == [3])
        source(0)
        (tmp_path / "target" / "03.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        for step in range(12, place):
            source(step)
        with pytest.raises(DataError, match=r"target/03\.png .*truncated or damaged"):
            source(place)
        for kind in ("input", "target"):
            Image.fromarray(noise(17, 16, 0)).save(tmp_path / kind / "03.png")
        with pytest.raises(DataError, match=r"03\.png has 16 x 17 px and had 16 x 16 px when it was listed"):
            pairs.subset([3])
        with pytest.raises(DataError, match=r"03\.png"):
            pairs.read_all()


def test_what_cannot_be_listed_is_named(tmp_path: Path) -> None:
    root = folder_of(tmp_path, (16, 16), (16, 16))
    with pytest.raises(DataError, match=r"00\.png is 16 x 16 px, smaller than the 32 px"):
        StreamedPairs(PairedFolder(root), DIRECTION, size=32)
    Image.fromarray(noise(16, 20, 0)).save(root / "input" / "01.png")
    with pytest.raises(DataError, match="the images of a pair must have one size"):
        StreamedPairs(PairedFolder(root), DIRECTION, size=SIDE)
    (root / "input" / "01.png").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        StreamedPairs(PairedFolder(root), DIRECTION, size=SIDE)
    with pytest.raises(DataError, match="split 'val'"):
        StreamedPairs(PairedFolder(root), DIRECTION, split="val", size=SIDE)


def test_other_directions_are_refused_and_threads_end(tmp_path: Path) -> None:
    pairs = StreamedPairs(PairedFolder(folder_of(tmp_path, *SIZES)), DIRECTION, size=SIDE, cache_bytes=0)
    with pytest.raises(DataError, match="holds sem and layout images, not 'image'"):
        BatchSource(pairs, "image2mask", 2, seed=0)
    back = BatchSource(pairs, "layout2sem", 2, seed=0)(0)
    there = BatchSource(pairs, "sem2layout", 2, seed=0)(0)
    assert torch.equal(back["input"], there["target"])
    pairs.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reading")]


def test_indices_are_spread_evenly() -> None:
    assert evenly(3, 5) == [0, 1, 2]
    assert evenly(5, 5) == [0, 1, 2, 3, 4]
    assert evenly(1000, 4) == [0, 250, 500, 750]
    assert evenly(7, 3) == [0, 2, 4]


WORDS = np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 100
BYTES = (WORDS >> 8).astype(np.uint8)
FILES = {
    "a.png": lambda path: Image.fromarray(BYTES).save(path),
    "b.png": lambda path: Image.fromarray(WORDS).save(path),
    "c.png": lambda path: Image.fromarray(BYTES).convert("P").save(path),
    "d.jpg": lambda path: Image.fromarray(BYTES).save(path, exif=Image.Exif()),
    "e.bmp": lambda path: Image.fromarray(BYTES).save(path),
    "f.tif": lambda path: tifffile.imwrite(path, WORDS),
    "g.tif": lambda path: tifffile.imwrite(path, WORDS, bigtiff=True, byteorder=">"),
    "h.tif": lambda path: tifffile.imwrite(path, np.stack([BYTES] * 3, -1), photometric="rgb", tile=(16, 16)),
    "i.tif": lambda path: Image.fromarray(BYTES).save(path, compression="tiff_lzw"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_header_gives_the_size_of_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FILES[name](path)
    assert image_size(path) == (16, 24)
    content = path.read_bytes()
    path.write_bytes(content[:20])  # what is cut off, the decoder names
    assert image_size(path) is None


def test_no_size_where_there_is_no_image(tmp_path: Path) -> None:
    assert image_size(tmp_path / "missing.png") is None
    for name, content in {"a.png": b"", "b.png": b"text", "c.tif": b"II*\0" + b"\1" * 60}.items():
        (tmp_path / name).write_bytes(content)
        assert image_size(tmp_path / name) is None
    Image.fromarray(BYTES).save(tmp_path / "d.png")
    content = bytearray((tmp_path / "d.png").read_bytes())
    content[16:24] = (20_000).to_bytes(4, "big") * 2  # more pixels than are allowed
    (tmp_path / "d.png").write_bytes(content)
    assert image_size(tmp_path / "d.png") is None
