"""Uploads as the world sends them: good images of every kind, broken ones, and attacks. Used by tests and by
`benchmarks/operations_decode.py`.
"""

import io
import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

SIZE = 24


def scene() -> np.ndarray:
    """A smooth scene (SIZE, SIZE) in [0, 1] that uses the whole range."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    return (x + y) / 2


def saved(array: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    """An array, or a Pillow image, as the bytes of a file."""
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def good() -> dict[str, bytes]:
    """Files that must give `scene()` to within 1/255 (JPEG: 4/255)."""
    unit = scene()
    byte, word = np.round(unit * 255).astype(np.uint8), np.round(unit * 65535).astype(np.uint16)
    grey = Image.fromarray(byte)
    palette = grey.copy().convert("RGB").quantize(256)
    opaque = Image.merge("LA", (grey, Image.new("L", grey.size, 255)))
    return {
        "png 8": saved(byte, "PNG"),
        "png 16": saved(word, "PNG"),
        "png rgb": saved(grey.convert("RGB"), "PNG"),
        "png rgba opaque": saved(grey.convert("RGBA"), "PNG"),
        "png la opaque": saved(opaque, "PNG"),
        "png palette": saved(palette, "PNG"),
        "jpeg grey": saved(byte, "JPEG", quality=98),
        "jpeg rgb": saved(grey.convert("RGB"), "JPEG", quality=98),
        "jpeg progressive": saved(byte, "JPEG", quality=98, progressive=True),
        "tiff 8": saved(byte, "TIFF"),
        "tiff 16": saved(word, "TIFF"),
        "tiff 16 big endian": tiff(word.astype(">u2").tobytes(), 16, 1, order=">"),
        "tiff lzw": saved(byte, "TIFF", compression="tiff_lzw"),
        "tiff deflate 16": saved(word, "TIFF", compression="tiff_adobe_deflate"),
        "tiff float": saved(unit.astype(np.float32), "TIFF"),
        "tiff min is white 8": tiff((255 - byte).tobytes(), 8, 1, photometric=0),
        "tiff 16 bit colour": tiff(np.stack([word] * 3, -1).tobytes(), 16, 3),
        "bmp 8": saved(byte, "BMP"),
        "bmp rgb": saved(grey.convert("RGB"), "BMP"),
        "tiff min is white 16": tiff((65535 - word).tobytes(), 16, 1, photometric=0),
        "tiff palette": saved(palette, "TIFF"),
        "tiff palette lzw": saved(palette, "TIFF", compression="tiff_lzw"),
        "tiff packbits": saved(byte, "TIFF", compression="packbits"),
        "tiff jpeg": saved(byte, "TIFF", compression="jpeg", quality=98),
        "tiff upright": saved(byte, "TIFF", tiffinfo={274: 1}),
        "tiff upright lzw": saved(byte, "TIFF", compression="tiff_lzw", tiffinfo={274: 1}),
        "jpeg upright": saved(byte, "JPEG", quality=98, exif=orientation(1)),
        "png upright": saved(byte, "PNG", exif=orientation(1)),
        "png 16 colour": chunks((SIZE, SIZE, 16, 2), rows16(np.stack([word] * 3, -1))),
        **{f"tiff {name}": data for name, data in by_tifffile(unit, byte, word).items()},
    }


def by_tifffile(unit: np.ndarray, byte: np.ndarray, word: np.ndarray) -> dict[str, bytes]:
    """Kinds that Pillow does not write."""
    colour = np.stack([word] * 3, -1)
    kinds: dict[str, tuple[np.ndarray, dict[str, object]]] = {
        "float64": (unit, {}),
        "float16": (unit.astype(np.float16), {}),
        "strips": (word, {"rowsperstrip": 5}),
        "tiles": (word, {"tile": (16, 16)}),
        "tiled colour deflate": (colour, {"tile": (16, 16), "compression": "zlib", "photometric": "rgb"}),
        "colour deflate": (colour, {"compression": "zlib", "photometric": "rgb", "rowsperstrip": 7}),
        "separate planes": (
            colour.transpose(2, 0, 1).copy(), {"photometric": "rgb", "planarconfig": "separate"}
        ),
        "big": (byte, {"bigtiff": True}),
        "big endian strips": (word, {"byteorder": ">", "rowsperstrip": 5}),
        "min is white float": (1 - unit, {"photometric": "miniswhite"}),
    }  # fmt: skip
    files = {}
    for name, (values, options) in kinds.items():
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, **options)
        files[name] = buffer.getvalue()
    return files


def orientation(value: int) -> bytes:
    """EXIF data with this orientation."""
    exif = Image.Exif()
    exif[274] = value
    return exif.tobytes()


def rows16(values: np.ndarray) -> bytes:
    """16-bit values as the unfiltered rows of a PNG."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)


def bad() -> dict[str, bytes]:
    """Files that must be refused."""
    unit = scene()
    byte, word = np.round(unit * 255).astype(np.uint8), np.round(unit * 65535).astype(np.uint16)
    real = unit.astype(np.float32)
    png, jpeg, plain, bmp = (saved(byte, kind) for kind in ("PNG", "JPEG", "TIFF", "BMP"))
    grey = Image.fromarray(byte)
    clear = Image.merge("LA", (grey, Image.new("L", grey.size, 100)))
    hole = real.copy()
    hole[3, 3] = np.nan
    files = {
        "empty": b"",
        "one byte": b"\x89",
        "zeros": bytes(5000),
        "text": b"this is not an image\n" * 50,
        "html": b"<html><img src=x onerror=alert(1)></html>",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><rect width='9' height='9'/></svg>",
        "zip": b"PK\x03\x04" + bytes(60),
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n",
        "fits": b"SIMPLE  =                    T" + b" " * 2850,
        "gif": saved(grey, "GIF"),
        "webp": saved(grey, "WEBP"),
        "ppm": saved(grey, "PPM"),
        "tga": saved(grey, "TGA"),
        "ico": saved(grey, "ICO"),
        "pickle": b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
        "npy": b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9), }",
        "png signature only": png[:8],
        "png header only": png[:33],
        "png cut in half": png[: len(png) // 2],
        "png without its end": png[:-30],
        "png bad checksum": png[:40] + bytes([png[40] ^ 255]) + png[41:],
        "png zero width": chunks((0, SIZE, 8, 0), byte.tobytes()),
        "png negative size": chunks((2**31, SIZE, 8, 0), b""),
        "png gigantic": chunks((60_000, 60_000, 8, 0), bytes(100)),
        "png above the cap": chunks((3000, 3000, 1, 0), bytes(3000 * 376)),
        "png 15,000 squared": chunks((15_000, 15_000, 1, 0), bytes(1000)),
        "png too little data": chunks((SIZE, SIZE, 8, 0), bytes(10)),
        "png bad filter": chunks((SIZE, SIZE, 8, 0), b"\x09" * (SIZE * (SIZE + 1))),
        "png bad zlib": chunks((SIZE, SIZE, 8, 0), None),
        "png unknown colour type": chunks((SIZE, SIZE, 8, 5), bytes(SIZE * (SIZE + 1))),
        "png 3 bits": chunks((SIZE, SIZE, 3, 0), bytes(SIZE * SIZE)),
        "png zip bomb in text": text_bomb(byte),
        "png transparent": saved(clear, "PNG"),
        "png transparent palette": saved(grey.convert("P"), "PNG", transparency=0),
        "png animated": saved(grey, "PNG", save_all=True, append_images=[grey.rotate(90)]),
        "png 12 bit in 16": saved((word >> 4).astype(np.uint16), "PNG"),
        "png 16 all black": saved(np.zeros_like(word), "PNG"),
        "jpeg header only": jpeg[:20],
        "jpeg cut in half": jpeg[: len(jpeg) // 3],
        "jpeg cmyk": saved(Image.new("CMYK", (SIZE, SIZE), (9, 99, 9, 0)), "JPEG"),
        "jpeg zero size": jpeg_with_size(jpeg, 0, 0),
        "jpeg gigantic": jpeg_with_size(jpeg, 65_500, 65_500),
        "tiff header only": plain[:8],
        "tiff cut in half": plain[: len(plain) // 2],
        "tiff two pages": saved(grey, "TIFF", save_all=True, append_images=[grey]),
        "tiff float above one": saved(real * 255, "TIFF"),
        "tiff float below zero": saved(real - 0.5, "TIFF"),
        "tiff nan": saved(hole, "TIFF"),
        "tiff infinity": saved(np.where(hole == hole, real, np.inf).astype(np.float32), "TIFF"),
        "tiff 32 bit integers": saved((word.astype(np.int32) << 8), "TIFF"),
        "tiff cmyk": saved(Image.new("CMYK", (SIZE, SIZE)), "TIFF"),
        "tiff lab": saved(Image.new("LAB", (SIZE, SIZE)), "TIFF"),
        "tiff directory loop": struct.pack("<2sHIHI", b"II", 42, 8, 0, 8),
        "tiff directory far away": struct.pack("<2sHI", b"II", 42, 2**31),
        "tiff huge count": tiff(byte.tobytes(), 8, 1, count=2**31),
        "tiff gigantic": tiff(byte.tobytes(), 8, 1, side=60_000),
        "bmp header only": bmp[:20],
        "bmp cut in half": bmp[: len(bmp) // 2],
        "bmp gigantic": bmp[:18] + struct.pack("<ii", 2**30, 2**30) + bmp[26:],
        "bmp zero size": bmp[:18] + struct.pack("<ii", 0, 0) + bmp[26:],
    }  # fmt: skip
    return files | turned(byte) | incomplete(byte) | costly(byte, word)


def turned(byte: np.ndarray) -> dict[str, bytes]:
    """Files with an orientation tag other than 1, which programs apply or not."""
    files = {f"tiff orientation {n}": saved(byte, "TIFF", tiffinfo={274: n}) for n in range(2, 9)}
    for n in (3, 6):
        files[f"jpeg orientation {n}"] = saved(byte, "JPEG", exif=orientation(n))
        files[f"png orientation {n}"] = saved(byte, "PNG", exif=orientation(n))
        files[f"tiff lzw orientation {n}"] = saved(byte, "TIFF", compression="tiff_lzw", tiffinfo={274: n})
    return files


def incomplete(byte: np.ndarray) -> dict[str, bytes]:
    """TIFF files without one of their strips, and files with more than one image or with clear pixels."""
    grey, buffer = Image.fromarray(byte), io.BytesIO()
    grey.save(buffer, "MPO", save_all=True, append_images=[grey])
    files = {"jpeg two images (mpo)": buffer.getvalue()}
    for kind in ("none", "zlib"):
        written = io.BytesIO()
        tifffile.imwrite(written, byte, rowsperstrip=6, compression=None if kind == "none" else kind)
        with tifffile.TiffFile(io.BytesIO(written.getvalue())) as file:
            places = {
                name: file.pages.first.tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")
            }
            form = {n: "<I" if file.pages.first.tags[n].dtype == 4 else "<H" for n in places}
        for name, place in places.items():
            data = bytearray(written.getvalue())
            struct.pack_into(form[name], data, place + struct.calcsize(form[name]), 0)
            files[f"tiff {kind} {name} zero"] = bytes(data)
    files["tiff short strip"] = tiff(byte.tobytes()[:-1], 8, 1)
    for kind in ("tiff_lzw", "packbits", "jpeg"):
        written = io.BytesIO(saved(byte, "TIFF", compression=kind))
        with tifffile.TiffFile(written) as file:
            tag = file.pages.first.tags["StripByteCounts"]
        data = bytearray(written.getvalue())
        struct.pack_into("<I" if tag.dtype == 4 else "<H", data, tag.valueoffset, tag.value[0] // 2)
        files[f"tiff half a strip of {kind}"] = bytes(data)
    files["tiff fax"] = saved(Image.fromarray(byte).convert("1"), "TIFF", compression="group4")
    files["png one clear colour"] = saved(grey, "PNG", transparency=int(byte[3, 3]))
    return files


def costly(byte: np.ndarray, word: np.ndarray) -> dict[str, bytes]:
    """Small files that would take seconds to hours, or gigabytes; and 16-bit colour of 12 bits."""
    wave = saved(Image.fromarray(byte), "JPEG", progressive=True)
    scan = wave[wave.rindex(b"\xff\xda") : -2]
    comment = b"\xff\xfe\0\2"
    png = saved(byte, "PNG")
    empty = struct.pack(">I4sI", 0, b"emPt", zlib.crc32(b"emPt"))
    tags = [(t, 4, 1, v) for t, v in ((256, SIZE), (257, SIZE), (258, 8), (273, 8), (279, SIZE * SIZE))]
    shared = [(30_000 + n, 7, 60_000, 8) for n in range(500)]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in tags + shared)
    pixels = bytes(70_000)
    return {
        "jpeg 3,000 scans": wave[:-2] + scan * 3000 + b"\xff\xd9",
        "jpeg 100,000 comments": wave[:2] + comment * 100_000 + wave[2:],
        "jpeg junk before the image": wave[:2] + bytes(100_000) + wave[2:],
        "png 500,000 chunks": png[:33] + empty * 500_000 + png[33:],
        "png 14,000 squared": chunks((14_000, 14_000, 8, 0), bytes(1000)),
        "tiff very wide": tiff(b"", 8, 1, side=16_776_980),
        "tiff tags that share bytes": struct.pack("<2sHI", b"II", 42, 8 + len(pixels)) + pixels
        + struct.pack("<H", len(tags + shared)) + directory + bytes(4),
        "png 16 colour of 12 bits": chunks((SIZE, SIZE, 16, 2), rows16(np.stack([word >> 4] * 3, -1))),
    }  # fmt: skip


def chunks(header: tuple[int, int, int, int], pixels: bytes | None) -> bytes:
    """A PNG with this (width, height, bits, colour type) and these raw rows; None: rubbish for data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    width, height, bits, colour = header
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = b"rubbish" * 9 if pixels is None else zlib.compress(pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb(byte: np.ndarray) -> bytes:
    """A PNG whose compressed comments unpack to 200 MB."""
    info = PngImagePlugin.PngInfo()
    for number in range(200):
        info.add_text(f"k{number}", "x" * 1_000_000, zip=True)
    return saved(Image.fromarray(byte), "PNG", pnginfo=info)


def jpeg_with_size(jpeg: bytes, width: int, height: int) -> bytes:
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


def tiff(
    pixels: bytes,
    bits: int,
    samples: int,
    *,
    photometric: int | None = None,
    order: str = "<",
    side: int = SIZE,
    count: int = 1,
) -> bytes:
    """An uncompressed TIFF with one strip, written by hand: kinds that Pillow reads but does not write."""
    tags = [
        (256, 4, 1, side), (257, 4, 1, side), (258, 3, samples if samples > 1 else 1, bits), (259, 3, 1, 1),
        (262, 3, 1, photometric if photometric is not None else (2 if samples == 3 else 1)),
        (273, 4, count, 8 + 2 + 9 * 12 + 4 + 6), (277, 3, 1, samples), (278, 4, 1, side),
        (279, 4, 1, len(pixels)),
    ]  # fmt: skip
    extra = 8 + 2 + 9 * 12 + 4
    head = struct.pack(f"{order}2sHIH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    for tag, kind, number, value in tags:
        if kind == 3 and number > 2:
            field = struct.pack(f"{order}I", extra)
        else:
            field = struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        head += struct.pack(f"{order}HHI", tag, kind, number) + field
    return head + struct.pack(f"{order}I", 0) + struct.pack(f"{order}3H", bits, bits, bits) + pixels


def mutations(count: int, seed: int = 0) -> Iterator[bytes]:
    """Good files with random damage: bytes changed, cut, doubled, inserted, or two files joined."""
    draw = random.Random(seed)
    seeds = list(good().values())
    for _ in range(count):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 4, 16))):
            place = draw.randrange(max(1, len(data)))
            action = draw.randrange(6)
            if action == 0:
                data[place] = draw.randrange(256)
            elif action == 1:
                data[place] ^= 1 << draw.randrange(8)
            elif action == 2:
                data[place : place + 4] = draw.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff"))
            elif action == 3:
                del data[place : place + draw.randrange(1, 64)]
            elif action == 4:
                data[place:place] = draw.randbytes(draw.randrange(1, 32))
            else:
                data[place:] = draw.choice(seeds)[place:]
            if not data:
                data = bytearray(b"\0")
        yield bytes(data)
