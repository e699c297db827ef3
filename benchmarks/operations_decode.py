"""Uploads: damaged files by the thousand, and the naive way beside ours on good ones.

The peer is `Image.convert("L")`, which many services use. Goals: nothing but an image or a `DecodeError`,
each within a second, memory bounded; every bit depth within 1/255 of the scene.
"""

import io
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from gantrans import ROOT
from gantrans.operations.serving.decode import DecodeError, decode

sys.path.insert(0, str(ROOT / "tests"))
import nasty_images


def run(quick: bool) -> list[dict[str, Any]]:
    """Rows for the corpus, the mutations, and the errors of ours and of the naive conversion by kind."""
    warnings.filterwarnings("ignore", module="PIL")
    before = _memory_mb()
    corpus = list(nasty_images.bad().values())
    rows = [
        {"question": "bad files", **_outcomes(corpus)},
        {"question": "mutations", **_outcomes(nasty_images.mutations(500 if quick else 20_000))},
    ]
    rows[-1]["memory_growth_mb"] = round(_memory_mb() - before)
    for name in ("png 8", "png 16", "tiff 16", "tiff float"):
        data = nasty_images.good()[name]
        ours, naive = (_error(f, data) for f in (lambda d: decode(d)[0].numpy(), _naive))
        rows.append({"question": f"largest error x 255, {name}", "ours": ours, "convert('L')": naive})
    return rows


def _outcomes(files: Any) -> dict[str, Any]:
    images, refused, escaped, worst = 0, 0, 0, 0.0
    for data in files:
        start = time.process_time()
        try:
            decode(data)
            images += 1
        except DecodeError:
            refused += 1
        except Exception:  # what must not happen is counted, so that the others are still tried
            escaped += 1
        worst = max(worst, time.process_time() - start)
    counts = {"files": images + refused + escaped, "images": images, "refused": refused, "escaped": escaped}
    return {**counts, "worst_s": round(worst, 3)}


def _error(read: Callable[[bytes], np.ndarray], data: bytes) -> float:
    return round(255 * float(np.abs(read(data) - nasty_images.scene()).max()), 2)


def _naive(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")) / 255


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
