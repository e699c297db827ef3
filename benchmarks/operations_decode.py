"""Image files: damaged ones by the thousand through both readers, and the naive way beside ours on good ones.

The peer is `Image.convert("L")`, which many services use. Goals: nothing but an image or a refusal, each
within a second, memory bounded; folder and service give the same pixels, or both refuse; every bit depth
within 1/255 of the scene; reading costs about as much as decoding. How many damaged files:
`python -m benchmarks.operations_decode --count 2000`.
"""

import argparse
import io
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from gantrans import ROOT
from gantrans.data import read_image
from gantrans.errors import DataError
from gantrans.operations.serving.decode import DecodeError, decode

sys.path.insert(0, str(ROOT / "tests"))
import nasty_images

COUNT = 20_000


def run(quick: bool, count: int | None = None) -> list[dict[str, Any]]:
    """Rows for the corpus, the mutations, the errors of ours and of the naive conversion, and the speed."""
    warnings.filterwarnings("ignore", module="PIL")
    before = _memory_mb()
    wanted = count or (500 if quick else COUNT)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.png"
        rows = [
            {"question": "good files", **_outcomes(nasty_images.good().values(), path)},
            {"question": "bad files", **_outcomes(nasty_images.bad().values(), path)},
            {"question": "mutations", **_outcomes(nasty_images.mutations(wanted), path)},
        ]
        rows[-1]["memory_growth_mb"] = round(_memory_mb() - before)
        for name in ("png 8", "png 16", "tiff 16", "tiff float"):
            data = nasty_images.good()[name]
            ours, naive = (_error(f, data) for f in (lambda d: decode(d)[0].numpy(), _naive))
            rows.append({"question": f"largest error x 255, {name}", "ours": ours, "convert('L')": naive})
        for kind, values in _pictures().items():
            path.write_bytes(nasty_images.saved(values, kind.split()[0]))
            ours, naive = (_milliseconds(f) for f in (lambda: read_image(path), lambda: _plain(path)))
            rows.append({"question": f"ms to read 512 x 512, {kind}", "ours": ours, "convert('L')": naive})
    return rows


def _outcomes(files: Iterable[bytes], path: Path) -> dict[str, Any]:
    images, refused, escaped, different, worst = 0, 0, 0, 0, 0.0
    for data in files:
        start = time.process_time()
        try:
            served: Tensor | None = decode(data)
            images += 1
        except DecodeError:
            served = None
            refused += 1
        except Exception:  # what must not happen is counted, so that the others are still tried
            escaped += 1
            continue
        worst = max(worst, time.process_time() - start)
        different += not _alike(served, data, path)
    counts = {"files": images + refused + escaped, "images": images, "refused": refused, "escaped": escaped}
    return {**counts, "read otherwise from a folder": different, "worst_s": round(worst, 3)}


def _alike(served: Tensor | None, data: bytes, path: Path) -> bool:
    """Whether a folder gives the same; an image above the service's limit of pixels may be read there."""
    path.write_bytes(data)
    try:
        read: Tensor | None = read_image(path)
    except DataError:
        read = None
    if served is None or read is None:
        return served is None and (read is None or read.numel() > 2**22)
    return bool(np.array_equal(served, read))


def _pictures() -> dict[str, np.ndarray]:
    """A noisy scene of 512 x 512 px in the kinds that users send most."""
    scene = np.random.default_rng(0).normal(0.5, 0.1, (512, 512)).clip(0, 1)
    byte, word = (scene * 255).astype(np.uint8), (scene * 65535).astype(np.uint16)
    colour = np.stack([byte] * 3, -1)
    return {"PNG 8": byte, "PNG 16": word, "TIFF 8": byte, "TIFF 16": word, "JPEG": byte, "PNG rgb": colour}


def _milliseconds(read: Callable[[], Any], repeats: int = 9) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        read()
        times.append(time.process_time() - start)
    return round(1000 * min(times), 2)


def _plain(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32) / 255


def _error(read: Callable[[bytes], np.ndarray], data: bytes) -> float:
    return round(255 * float(np.abs(read(data) - nasty_images.scene()).max()), 2)


def _naive(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")) / 255


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="number of damaged files")
    for row in run(quick=False, count=parser.parse_args().count):
        print(row)
