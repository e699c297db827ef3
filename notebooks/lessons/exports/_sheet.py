"""Images side by side in one PNG, written without another package."""

import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def sheet(images: Tensor, columns: int = 0) -> np.ndarray:
    """Images (N, 1, H, W) in [-1, 1] in rows of `columns` (0: a square), a grey line between -> uint8."""
    columns, zoom = columns or math.ceil(math.sqrt(len(images))), max(1, 128 // images.shape[-1])
    images = F.pad(images, (0, 1, 0, 1))
    missing = -len(images) % columns
    images = torch.cat([images, images.new_zeros(missing, *images.shape[1:])])
    lines = torch.cat(list(torch.cat(list(images[:, 0].unflatten(0, (-1, columns)).unbind(1)), 2)))
    grey = ((lines + 1) * 127.5).round().to(torch.uint8).numpy()
    return grey.repeat(zoom, 0).repeat(zoom, 1)


def write_png(path: Path, grey: np.ndarray) -> None:
    """A grey image (H, W) uint8 as a PNG: a header, the rows with a 0 before each, an end."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    rows = zlib.compress(np.pad(grey, ((0, 0), (1, 0))).tobytes())
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
