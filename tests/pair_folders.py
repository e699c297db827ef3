"""Folders of pairs as people bring them: honest ones, some of which look odd, and ones that spoil a training.

Each maker writes a small folder; `HONEST` and `HARMFUL` list them with what a check is expected to find.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from gantrans.data.encoding import Encoding
from gantrans.data.pairs import make_pairs

N, SIZE = 40, 64
Images = Sequence[np.ndarray]


def simulated(source: str = "procedural", count: int = N, **options: Any) -> tuple[list, list]:
    """SEM images and layouts, uint8."""
    pairs = make_pairs(source, count=count, size=options.pop("size", SIZE), progress=False, **options)
    return [image[0].numpy() for image in pairs.sem], [image[0].numpy() for image in pairs.layout]


def blobs(count: int = N, size: tuple[int, int] = (SIZE, SIZE), seed: int = 0) -> tuple[list, list]:
    """Noisy photographs of bright discs, and their masks (bool)."""
    draw, images, masks = np.random.default_rng(seed), [], []
    y, x = np.mgrid[: size[0], : size[1]]
    for _ in range(count):
        mask = np.zeros(size, bool)
        for _ in range(draw.integers(2, 6)):
            r, cy, cx = (
                draw.uniform(0.06, 0.16) * min(size),
                draw.uniform(0, size[0]),
                draw.uniform(0, size[1]),
            )
            mask |= (y - cy) ** 2 + (x - cx) ** 2 < r**2
        shade = 60 + 40 * np.sin(x / draw.uniform(15, 40) + draw.uniform(0, 6)) * draw.uniform(0.2, 1)
        image = shade + 90 * mask + draw.normal(0, 8, size)
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(mask)
    return images, masks


def white(masks: Images) -> list[np.ndarray]:
    return [(255 * mask.astype(np.uint8)) for mask in masks]


def coloured(count: int = N, seed: int = 0) -> tuple[list, list]:
    """Maps of four colours, and photographs of them, as of facades."""
    draw, maps, photos = np.random.default_rng(seed), [], []
    palette = np.array([[0, 0, 170], [0, 170, 255], [255, 85, 0], [170, 255, 85]], np.uint8)
    materials = np.array([[120, 90, 70], [60, 70, 90], [190, 180, 160], [90, 120, 80]])
    for _ in range(count):
        index = np.zeros((SIZE, SIZE), int)
        for _ in range(12):
            top, left = draw.integers(0, SIZE - 12, 2)
            index[top : top + draw.integers(6, 24), left : left + draw.integers(6, 24)] = draw.integers(0, 4)
        photo = materials[index] + draw.normal(0, 9, (SIZE, SIZE, 1)) + draw.normal(0, 12, 3)
        maps.append(palette[index])
        photos.append(photo.clip(0, 255).astype(np.uint8))
    return maps, photos


def save(path: Path, values: np.ndarray, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 3 else "minisblack", **options)
    else:
        Image.fromarray(values).save(path, **options)


def folder(
    root: Path, inputs: Images, targets: Images, suffixes: tuple[str, str] = (".png", ".png"), **jpeg: Any
) -> Path:
    """Write pairs; names spread over the splits by their hash."""
    for i, pair in enumerate(zip(inputs, targets, strict=True)):
        for kind, values, suffix in zip(("input", "target"), pair, suffixes, strict=True):
            save(root / kind / f"im{i:03d}{suffix}", values, **(jpeg if suffix == ".jpg" else {}))
    return root


def palette(root: Path, inputs: Images, masks: Images, colours: Sequence[Sequence[int]]) -> Path:
    """Masks as palette images whose indices are 0, 1, ..."""
    folder(root, inputs, white(masks))
    for i, mask in enumerate(masks):
        image = Image.fromarray(mask.astype(np.uint8), mode="P")
        image.putpalette([value for colour in colours for value in colour])
        image.save(root / "target" / f"im{i:03d}.png")
    return root


def split(root: Path, choose: Callable[[int], str], count: int) -> Path:
    rows = "".join(f"im{i:03d},{choose(i)}\n" for i in range(count))
    (root / "split.csv").write_text("name,split\n" + rows)
    return root


def by_tens(i: int) -> str:
    return {8: "val", 9: "test"}.get(i % 10, "train")


# Honest folders.


def plain(root: Path, count: int = N, size: tuple[int, int] = (SIZE, SIZE)) -> Path:
    images, masks = blobs(count, size)
    return folder(root, images, white(masks))


def camera(root: Path) -> Path:
    """12-bit data in 16-bit files."""
    images, masks = blobs()
    return folder(root, [twelve_bit(image) for image in images], white(masks), (".tif", ".png"))


def export(root: Path, **options: Any) -> Path:
    from gantrans.data.folder import write_pairs

    return write_pairs(make_pairs(progress=False, count=60, **options), root, source=options["source"])


def mixed_sizes(root: Path) -> Path:
    small, large = blobs(20), blobs(20, (96, 128), seed=1)
    return folder(root, small[0] + large[0], white(small[1] + large[1]))


def dark_images(root: Path) -> Path:
    images, masks = blobs()
    return folder(root, [image // 7 for image in images], white(masks))


def bright_and_dark_field(root: Path) -> Path:
    """Half of the pictures are taken against the light."""
    images, masks = blobs(60)
    shown = [255 - image if i % 4 == 0 else image for i, image in enumerate(images)]
    return folder(root, shown, white(masks))


def half_empty(root: Path) -> Path:
    draw = np.random.default_rng(3)
    images, masks = blobs()
    for i in range(0, N, 2):
        images[i] = draw.normal(90, 8, images[i].shape).clip(0, 255).astype(np.uint8)
        masks[i] = np.zeros_like(masks[i])
    return folder(root, images, white(masks))


def full_16_bit(root: Path) -> Path:
    images, masks = blobs()
    wide = [image.astype(np.uint16) * 257 for image in images]
    return folder(root, wide, [257 * m.astype(np.uint16) for m in white(masks)], (".tif", ".tif"))


def twelve_bit(image: np.ndarray, seed: int = 0) -> np.ndarray:
    low = np.random.default_rng(seed).integers(0, 16, image.shape)
    return (image.astype(np.uint16) * 16 + low).astype(np.uint16)


def one_bit(root: Path) -> Path:
    images, masks = blobs()
    folder(root, images, white(masks))
    for i, mask in enumerate(masks):
        Image.fromarray(mask).save(root / "target" / f"im{i:03d}.png")
    return root


def denoising(root: Path) -> Path:
    clean, _ = blobs(seed=4)
    draw = np.random.default_rng(0)
    return folder(
        root, [(i + draw.normal(0, 20, i.shape)).clip(0, 255).astype(np.uint8) for i in clean], clean
    )


def restoring(root: Path) -> Path:
    """JPEG images and their originals."""
    clean, _ = blobs(seed=4)
    return folder(root, clean, clean, (".jpg", ".png"), quality=60)


def data_bar(root: Path) -> Path:
    images, masks = blobs(size=(96, 96))
    bar = np.random.default_rng(7).integers(0, 2, (6, 48)).repeat(2, 0).repeat(2, 1) * 200
    for image, mask in zip(images, masks, strict=True):
        image[-12:], mask[-12:] = bar, False
    return folder(root, images, white(masks))


def array_of_cells(root: Path) -> Path:
    """One design in every picture, each exposed once."""
    draw, (_, layouts) = np.random.default_rng(0), simulated("sky130", 1)
    layout = layouts[0]
    targets = [np.roll(layout, int(draw.integers(-20, 20)), 1) for _ in range(N)]
    shots = [(0.5 * t + 40 + draw.normal(0, 18, t.shape)).clip(0, 255).astype(np.uint8) for t in targets]
    return folder(root, shots, targets)


def unscaled() -> tuple[list, list]:
    """Photographs, and masks of 0 and 1."""
    images, masks = blobs()
    return images, [mask.astype(np.uint8) for mask in masks]


def side_by_side(root: Path) -> Path:
    images, masks = blobs()
    for i, both in enumerate(zip(images, white(masks), strict=True)):
        save(root / f"im{i:03d}.png", np.concatenate(both, axis=1))
    return root


def soft_rims(root: Path) -> Path:
    """Masks made smaller by averaging."""
    images, masks = blobs(size=(256, 256))
    smaller = [np.asarray(Image.fromarray(m).resize((64, 64), Image.Resampling.BOX)) for m in white(masks)]
    return folder(root, [image[::4, ::4] for image in images], smaller)


def colour_pairs(root: Path) -> Path:
    return folder(root, *coloured())


def photographs_of_masks(root: Path) -> Path:
    """Photographs in colour; grey shows their contents as well."""
    images, masks = blobs()
    tint = np.array([1.0, 0.85, 0.6])
    return folder(root, [(i[..., None] * tint).astype(np.uint8) for i in images], white(masks))


def copies_in_training(root: Path) -> Path:
    images, masks = blobs()
    images[1], masks[1] = images[0], masks[0]
    return split(folder(root, images, white(masks)), by_tens, N)


def reshaped(kind: str) -> Callable[[Path], Path]:
    """The same pictures in another kind of file."""
    kinds: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
        "rgb": (".png", lambda i: np.stack([i] * 3, -1)),
        "rgba": (".png", lambda i: np.stack([i, i, i, np.full_like(i, 255)], -1)),
        "bmp": (".bmp", lambda i: i),
        "float": (".tif", lambda i: (i / 255).astype(np.float32)),
        "jpeg": (".jpg", lambda i: i),
    }

    def make(root: Path) -> Path:
        images, masks = blobs()
        suffix, change = kinds[kind]
        masked = (".png", lambda m: m) if kind in ("jpeg", "float") else (suffix, change)
        return folder(
            root, list(map(change, images)), list(map(masked[1], white(masks))), (suffix, masked[0])
        )

    return make


def strongest_channel(root: Path, count: int = N) -> Path:
    """Smooth colours; the class of a pixel is its strongest channel, which no grey value shows."""
    draw, inputs, targets = np.random.default_rng(0), [], []
    for _ in range(count):
        colours = draw.integers(0, 256, (SIZE // 8, SIZE // 8, 3)).astype(np.uint8)
        image = np.asarray(Image.fromarray(colours).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        inputs.append(image)
        targets.append(image.argmax(-1).astype(np.uint8))
    return folder(root, inputs, targets)


@dataclass(frozen=True)
class Case:
    """A folder: how it is made, what is stated of it, and the finding expected (none for an honest one)."""

    make: Callable[[Path], Path]
    stated: dict[str, Any] = field(default_factory=dict)
    finding: str = ""
    severity: str = ""


HONEST = {
    "export, SEM to layout": Case(
        lambda p: export(p, source="procedural", size=64), {"direction": "sem2layout"}
    ),
    "export, layout to SEM": Case(
        lambda p: export(p, source="procedural", size=64), {"direction": "layout2sem"}
    ),
    "export of cells": Case(lambda p: export(p, source="sky130", size=64, difficulty="hard")),
    "export of 32 px": Case(lambda p: export(p, source="sky130", size=32)),
    "black and white palette": Case(lambda p: palette(p, *blobs(), [(0, 0, 0), (255, 255, 255)])),
    "640 x 480": Case(lambda p: split(plain(p, 20, (480, 640)), by_tens, 20)),
    "full 16-bit TIFF": Case(full_16_bit, {"direction": "image2mask"}),
    "12-bit, stated": Case(camera, {"bits": 12}),
    "mixed sizes": Case(mixed_sizes),
    "JPEG inputs": Case(reshaped("jpeg")),
    "RGB files of grey images": Case(reshaped("rgb")),
    "opaque RGBA": Case(reshaped("rgba")),
    "BMP": Case(reshaped("bmp")),
    "float TIFF": Case(reshaped("float")),
    "1-bit masks": Case(one_bit),
    "dark images": Case(dark_images, {"direction": "image2mask"}),
    "half of the masks empty": Case(half_empty, {"direction": "image2mask"}),
    "bright and dark field": Case(bright_and_dark_field, {"direction": "image2mask"}),
    "noisy to clean": Case(denoising, {"direction": "image2image"}),
    "JPEG to original": Case(restoring, {"direction": "image2image"}),
    "a data bar": Case(data_bar),
    "one design in every picture": Case(array_of_cells, {"direction": "sem2layout"}),
    "masks with soft rims": Case(soft_rims, {"direction": "image2mask"}),
    "photographs in colour": Case(photographs_of_masks),
    "maps to photographs, in colour": Case(
        colour_pairs, {"direction": "image2image", "encoding": Encoding(colour=("input", "target"))}
    ),
    "masks of 0 and 1, stated": Case(
        lambda p: folder(p, *unscaled()),
        {"direction": "image2mask", "encoding": Encoding(mask_values=(0, 1))},
    ),
    "A|B in one file": Case(side_by_side, {"encoding": Encoding(layout="side-by-side")}),
    "two copies in training": Case(copies_in_training),
    "classes by colour alone": Case(
        strongest_channel,
        {"direction": "image2classes", "encoding": Encoding(classes=("0", "1", "2"), colour=("input",))},
    ),
}
