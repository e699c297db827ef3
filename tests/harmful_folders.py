"""Folders of pairs that spoil a training, each with the finding that a check must report."""

from pathlib import Path

import numpy as np
from pair_folders import (
    SIZE,
    Case,
    N,
    blobs,
    by_tens,
    camera,
    coloured,
    folder,
    palette,
    plain,
    save,
    simulated,
    split,
    twelve_bit,
    white,
)
from PIL import Image

BINARY, GREY = {"direction": "image2mask"}, {"direction": "image2image"}
SEM = {"direction": "sem2layout"}


def masks_of_0_and_1(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, [mask.astype(np.uint8) for mask in masks])


def some_masks_of_0_and_1(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, [m // (255 if i % 3 == 0 else 1) for i, m in enumerate(white(masks))])


def dim_masks(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, [mask.astype(np.uint8) * 128 for mask in masks])


def numbers(p: Path, factor: int = 1, dtype: type = np.uint8) -> Path:
    images, masks = blobs()
    classes = [m.astype(int) + (np.roll(m, 9, 1) & m) for m in masks]
    return folder(p, images, [(factor * c).astype(dtype) for c in classes])


def class_palette(p: Path) -> Path:
    images, masks = blobs()
    classes = [m.astype(np.uint8) + (np.roll(m, 9, 1) & m) for m in masks]
    return palette(p, images, classes, [(0, 0, 0), (128, 0, 0), (0, 128, 0)])


def half_12_half_8(p: Path) -> Path:
    images, masks = blobs()
    shown = [twelve_bit(i) if n % 2 else i for n, i in enumerate(images)]
    folder(p, images, white(masks), (".png", ".png"))
    for n in range(1, N, 2):
        (p / "input" / f"im{n:03d}.png").unlink()
        save(p / "input" / f"im{n:03d}.tif", shown[n])
    return p


def equal_luma(p: Path) -> Path:
    """Red discs on green of the same luma."""
    _, masks = blobs()
    draw, red, green = np.random.default_rng(0), np.array([200, 20, 60]), np.array([20, 116, 20])
    shown = [np.where(m[..., None], red, green) + draw.normal(0, 3, (SIZE, SIZE, 1)) for m in masks]
    return folder(p, [i.clip(0, 255).astype(np.uint8) for i in shown], white(masks))


def grey_of_colour(p: Path) -> Path:
    maps, photos = coloured()
    return folder(p, [np.asarray(Image.fromarray(m).convert("L")) for m in maps], photos)


def swapped(p: Path) -> Path:
    sem, layout = simulated("sky130")
    return folder(p, layout, sem)


def jpeg_masks(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, white(masks), (".png", ".jpg"), quality=85)


def once_jpeg_masks(p: Path) -> Path:
    jpeg_masks(p)
    for path in list((p / "target").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"))
        path.unlink()
    return p


def in_every_split(p: Path) -> Path:
    images, masks = blobs()
    return split(folder(p, [images[i // 10] for i in range(N)], white([masks[i // 10] for i in range(N)])),
                 by_tens, N)  # fmt: skip


def some_in_two_splits(p: Path) -> Path:
    images, masks = blobs()
    for held in (8, 9):
        images[held], masks[held] = images[0], masks[0]
    return split(folder(p, images, white(masks)), by_tens, N)


def inverted(p: Path, every: int = 3) -> Path:
    sem, layout = simulated("sky130")
    return folder(p, sem, [255 - t if i % every == 0 else t for i, t in enumerate(layout)])


def inverted_blobs(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, [255 - m if i % 2 else m for i, m in enumerate(white(masks))])


def moved(p: Path, source: str = "sky130", right: int = 6) -> Path:
    sem, layout = simulated(source, size=SIZE + 2 * right)
    return folder(p, [i[:SIZE, right : SIZE + right] for i in sem], [t[:SIZE, :SIZE] for t in layout])


def moved_each(p: Path) -> Path:
    draw, (sem, layout) = np.random.default_rng(1), simulated("sky130", size=96)
    targets = []
    for image in layout:
        top, left = draw.integers(4, 28, 2)
        targets.append(image[top : top + SIZE, left : left + SIZE])
    return folder(p, [i[16 : 16 + SIZE, 16 : 16 + SIZE] for i in sem], targets)


def moved_large(p: Path) -> Path:
    images, masks = blobs(20, (256, 270))
    return split(folder(p, [i[:, 6:262] for i in images], [m[:, :256] for m in white(masks)]), by_tens, 20)


def shuffled(p: Path, by: int = 1) -> Path:
    sem, layout = simulated("sky130")
    return folder(p, sem, layout[by:] + layout[:by])


def shuffled_blobs(p: Path) -> Path:
    images, masks = blobs()
    order = np.random.default_rng(0).permutation(N)
    return folder(p, images, [white(masks)[i] for i in order])


def few_exchanged(p: Path) -> Path:
    images, masks = blobs()
    masks[3], masks[17] = masks[17], masks[3]
    return folder(p, images, white(masks))


def unrelated(p: Path) -> Path:
    return folder(p, blobs()[0], white(blobs(seed=9)[1]))


def upside_down(p: Path) -> Path:
    sem, layout = simulated("sky130")
    return folder(p, sem, [t[::-1] for t in layout])


def near(p: Path, how: str) -> Path:
    """The held-out pictures are made of training pictures."""
    draw, (images, masks) = np.random.default_rng(2), blobs(N, (96, 96))
    shown, targets = [i[:SIZE, :SIZE] for i in images], [m[:SIZE, :SIZE] for m in white(masks)]
    for i in range(N):
        if by_tens(i) == "train":
            continue
        image, mask = images[i - i % 10], white(masks)[i - i % 10]
        if how == "crop":
            shown[i], targets[i] = image[20 : 20 + SIZE, 12 : 12 + SIZE], mask[20 : 20 + SIZE, 12 : 12 + SIZE]
            continue
        image, mask = image[:SIZE, :SIZE], mask[:SIZE, :SIZE]
        if how == "flip":
            shown[i], targets[i] = image[:, ::-1].T, mask[:, ::-1].T
        elif how == "noise":
            shown[i], targets[i] = (
                (image + draw.normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8),
                mask,
            )
        else:
            shown[i], targets[i] = (image * 0.7 + 20).astype(np.uint8), mask
    return split(folder(p, shown, targets), by_tens, N)


def replaced(p: Path, side: str, change: str) -> Path:
    images, masks = blobs()
    sides = {"input": images, "target": white(masks)}
    first = sides[side][0]
    draw = np.random.default_rng(0)
    made = {
        "black": [np.zeros_like(first)] * N,
        "equal": [first] * N,
        "plain": [np.full_like(first, draw.integers(20, 200)) for _ in range(N)],
        "input": sides["input"],
    }[change]
    return folder(p, *(sides | {side: made}).values())


def turned_tags(p: Path) -> Path:
    images, masks = blobs()
    folder(p, images, white(masks), (".jpg", ".png"))
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(images[0]).save(p / "input" / "im000.jpg", exif=exif)
    return p


def unequal_sizes(p: Path) -> Path:
    images, masks = blobs()
    return folder(p, images, [m[:-4] if i == 5 else m for i, m in enumerate(white(masks))])


def contradicting(p: Path) -> Path:
    images, masks = blobs()
    for i in range(0, N, 10):
        images[i + 1] = images[i]
    return split(folder(p, images, white(masks)), by_tens, N)


def empty_validation(p: Path) -> Path:
    images, masks = blobs()
    made = [m * (by_tens(i) != "val") for i, m in enumerate(white(masks))]
    return split(folder(p, images, made), by_tens, N)


def inputs_of_0_and_1(p: Path) -> Path:
    sem, layout = simulated("sky130")
    return folder(p, [(t > 127).astype(np.uint8) for t in layout], sem)


HARMFUL = {
    "masks stored as 0 and 1": Case(masks_of_0_and_1, {}, "mask-values", "refused"),
    "some masks stored as 0 and 1": Case(some_masks_of_0_and_1, BINARY, "mixed-masks", "refused"),
    "masks of 0 and 128": Case(dim_masks, BINARY, "mask-values", "refused"),
    "a dark red palette mask": Case(
        lambda p: palette(p, *blobs(), [(0, 0, 0), (128, 0, 0)]), BINARY, "mask-values", "refused"
    ),
    "class numbers": Case(numbers, BINARY, "class-numbers", "refused"),
    "class numbers as grey images": Case(numbers, GREY, "class-numbers", "refused"),
    "class numbers in 16-bit files": Case(
        lambda p: numbers(p, dtype=np.uint16), BINARY, "class-numbers", "refused"
    ),
    "classes as grey values": Case(lambda p: numbers(p, 100), BINARY, "class-numbers", "warning"),
    "a palette of classes": Case(class_palette, BINARY, "class-colours", "refused"),
    "12 bits in 16-bit files": Case(camera, BINARY, "bits", "refused"),
    "half 12-bit, half 8-bit": Case(half_12_half_8, BINARY, "bits", "refused"),
    "12 bits read as 16, beside 8": Case(
        half_12_half_8, {**BINARY, "bits": 16}, "mixed-encodings", "warning"
    ),
    "colours of equal luma": Case(equal_luma, BINARY, "colour-input", "warning"),
    "a colour target turned grey": Case(grey_of_colour, GREY, "colour-target", "warning"),
    "input and target exchanged": Case(swapped, SEM, "swapped", "refused"),
    "layout and SEM exchanged": Case(
        lambda p: folder(p, *simulated("sky130")), {"direction": "layout2sem"}, "swapped", "refused"
    ),
    "all targets empty": Case(lambda p: replaced(p, "target", "black"), BINARY, "flat-targets", "refused"),
    "all targets equal": Case(lambda p: replaced(p, "target", "equal"), BINARY, "equal-targets", "refused"),
    "all inputs of one colour": Case(
        lambda p: replaced(p, "input", "plain"), BINARY, "flat-inputs", "refused"
    ),
    "all inputs equal": Case(lambda p: replaced(p, "input", "equal"), BINARY, "equal-inputs", "refused"),
    "targets are the inputs": Case(
        lambda p: replaced(p, "target", "input"), GREY, "target-is-input", "refused"
    ),
    "one picture in every split": Case(in_every_split, BINARY, "copies-across-splits", "refused"),
    "a picture in two splits": Case(some_in_two_splits, BINARY, "copies-across-splits", "warning"),
    "JPEG masks": Case(jpeg_masks, {}, "lossy-masks", "warning"),
    "masks that were JPEG": Case(once_jpeg_masks, BINARY, "lossy-masks", "warning"),
    "a third of the layouts inverted": Case(inverted, SEM, "mixed-polarity", "warning"),
    "half of the masks inverted": Case(inverted_blobs, BINARY, "mixed-polarity", "warning"),
    "moved by 6 px": Case(moved, SEM, "shifted", "warning"),
    "moved by 4 px": Case(lambda p: moved(p, right=4), SEM, "shifted", "warning"),
    "photographs moved by 6 px": Case(moved_large, BINARY, "shifted", "warning"),
    "moved, each in its own way": Case(moved_each, SEM, "shifted", "warning"),
    "numbered from another start": Case(shuffled, SEM, "shuffled", "refused"),
    "shuffled": Case(shuffled_blobs, BINARY, "shuffled", "refused"),
    "two targets exchanged": Case(few_exchanged, BINARY, "shuffled", "warning"),
    "targets of other pictures": Case(unrelated, BINARY, "unrelated", "warning"),
    "layouts upside down": Case(upside_down, SEM, "turned", "refused"),
    "crops of training pictures": Case(lambda p: near(p, "crop"), BINARY, "near-copies", "warning"),
    "turned training pictures": Case(lambda p: near(p, "flip"), BINARY, "near-copies", "warning"),
    "training pictures with noise": Case(lambda p: near(p, "noise"), BINARY, "near-copies", "warning"),
    "training pictures made darker": Case(lambda p: near(p, "dark"), BINARY, "near-copies", "warning"),
    "an orientation tag": Case(turned_tags, BINARY, "orientation", "refused"),
    "a pair of two sizes": Case(unequal_sizes, BINARY, "sizes", "refused"),
    "one input, two targets": Case(contradicting, BINARY, "contradicting", "warning"),
    "nothing in validation": Case(empty_validation, BINARY, "flat-validation", "warning"),
    "six pairs": Case(
        lambda p: split(plain(p, 6), lambda i: "val" if i < 2 else "train", 6),
        BINARY, "few-pairs", "warning",
    ),
    "no validation": Case(
        lambda p: split(plain(p), lambda i: "train", N),
        BINARY, "splits", "refused",
    ),
    "images below the network's size": Case(
        plain, {**BINARY, "size": 128}, "small", "refused"
    ),
    "inputs of 0 and 1": Case(inputs_of_0_and_1, {"direction": "layout2sem"}, "no-contrast", "refused"),
    "grey targets as masks": Case(
        lambda p: folder(p, blobs()[0], [255 - i for i in blobs()[0]]), BINARY, "grey-targets", "warning"
    ),
}  # fmt: skip
