"""Translate image files; each result is a PNG with the name, the size and the depth of its input.

An 8-bit input gives 8 bits, a 16-bit or float one 16 bits, in which white is 65,535; an output file named
.tif is a TIFF. Grey or colour is what the network gives. Classes are written by their stored values, see
`write_classes`.

Several answers for an image: NAME.png is their mean, NAME-answer01.png and so on are the answers, and with
enough of them NAME-low.png and NAME-high.png bound the 90 % interval of each pixel.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data import IMAGE_SUFFIXES, write_classes, write_image
from gantrans.data.encoding import Encoding, Side
from gantrans.data.reading import stored_file, unit_from_stored
from gantrans.data.writing import depth_of
from gantrans.errors import DataError
from gantrans.training import pick_device
from gantrans.translation.answers import ensemble_interval, fewest_answers
from gantrans.translation.predictor import Predictor, check_pixel_size

LEVEL = 0.9
"""Probability of the interval that is written beside several answers."""
Write = Callable[[Path], None]


def predict_files(
    run: Path,
    source: Path,
    target: Path,
    *,
    direction: str | None = None,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
    seed: int = 0,
    steps: int | None = None,
    answers: int | None = None,
    overwrite: bool = False,
    device: str | None = None,
) -> list[Path]:
    """Translate `source`, an image or a folder of images, into `target`; returns the files written.

    All inputs are read and checked before the first output is written, so that a damaged file is reported
    before any output exists.

    Args:
        run: folder of a training run.
        target: a file or a folder for one image, a folder for a folder.
        direction: which of the run's directions; None chooses the only one there is.
        pixel_nm: pixel size of the inputs, checked against the run's.
        bits: used bits of 16-bit inputs, see `read_image`; None: those of the run.
        encoding: its `white` and the inversion of its inputs count instead of the run's, where stated.
        seed: of the noise; the same for each image.
        steps: network evaluations per draw of a diffusion run.
        answers: number of answers for each image, at least 2; None: one translation.
        overwrite: replace existing files; otherwise an existing file is an error.

    Raises:
        DataError: the run does not translate in this direction or gives one answer only, an input cannot be
            read, two outputs would get the same name, or an output exists or cannot be written.
        CheckpointError: `run` holds no usable network.
    """
    predictor = Predictor.load(run, pick_device(device), direction=direction, steps=steps)
    check_pixel_size(predictor.recipe, pixel_nm)
    if answers is not None:
        predictor.check_count(answers)
    pairs = _outputs(Path(source), Path(target))
    _refuse_collisions([(path, out) for path, first in pairs for out in _files(first, answers)], overwrite)
    bits = predictor.recipe.data.bits if bits is None else bits
    side = _side(predictor.recipe.data.encoding, encoding)
    for path, _ in pairs:
        _read(path, bits, side)
    for folder in {out.parent for _, out in pairs}:
        _make_folder(folder)
    written: list[Path] = []
    for path, out in tqdm(pairs, desc="predict", unit="image", disable=len(pairs) < 8):
        (image, depth), files = _read(path, bits, side), _files(out, answers)
        for file, write in zip(files, _results(predictor, image, depth, seed, answers), strict=True):
            write(file)
        written += files
    return written


def _side(trained: Encoding, stated: Encoding | None) -> Side:
    """How inputs are read: as those of the run, which fixes their channels, but for what is stated now."""
    side = trained.side("input")
    if stated is None:
        return side
    now = stated.side("input")
    white = side.white if now.white is None else now.white
    return replace(side, white=white, invert=side.invert or now.invert)


def _read(path: Path, bits: int | None, side: Side) -> tuple[Tensor, int]:
    """An image, (C, H, W) in [0, 1], and the depth of its translation."""
    stored = stored_file(path)
    return unit_from_stored(stored, str(path), bits=bits, side=side), depth_of(stored)


def _files(out: Path, answers: int | None) -> list[Path]:
    """The files of one input, as `_images` gives their contents."""
    if answers is None:
        return [out]
    digits = max(2, len(str(answers)))
    names = ["", *(f"-answer{k + 1:0{digits}d}" for k in range(answers))]
    if answers >= fewest_answers(LEVEL):
        names += ["-low", "-high"]
    return [out.with_name(f"{out.stem}{name}{out.suffix}") for name in names]


def _results(predictor: Predictor, image: Tensor, depth: int, seed: int, answers: int | None) -> list[Write]:
    """What writes each file of one input."""
    if predictor.labelled:
        stored = predictor.recipe.data.encoding.classes
        return [partial(write_classes, numbers=predictor.classes_large(image), stored=stored)]
    return [
        partial(write_image, image=result, depth=depth) for result in _images(predictor, image, seed, answers)
    ]


def _images(predictor: Predictor, image: Tensor, seed: int, answers: int | None) -> list[Tensor]:
    """The translation, (C, H, W) in [0, 1]; or the mean of several answers, they, and their interval."""
    if answers is None:
        return [predictor.translate_large(image, seed=seed)]
    drawn = predictor.answers_large(image, answers, seed=seed)
    enough = answers >= fewest_answers(LEVEL)
    return [drawn.mean(0), *drawn, *(ensemble_interval(drawn, LEVEL) if enough else ())]


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"The folder {folder} cannot be created: {error.strerror or error}.") from error


def _outputs(source: Path, target: Path) -> list[tuple[Path, Path]]:
    """(input, output) paths."""
    if source.is_dir():
        if target.is_file():
            raise DataError(f"{source} is a folder but {target} is a file; give a folder as --output.")
        images = sorted(p for p in source.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
        if not images:
            raise DataError(f"{source} holds no image; supported are {', '.join(sorted(IMAGE_SUFFIXES))}.")
        return [(path, target / f"{path.stem}.png") for path in images]
    if not source.exists():
        raise DataError(f"There is no {source}; give an image or a folder of images as --input.")
    into_folder = target.is_dir() or target.suffix == ""
    if not into_folder and target.suffix.lower() not in (".png", ".tif", ".tiff"):
        raise DataError(f"{target} is no PNG or TIFF; results are written as .png or .tif, without loss.")
    return [(source, target / f"{source.stem}.png" if into_folder else target)]


def _refuse_collisions(pairs: list[tuple[Path, Path]], overwrite: bool) -> None:
    seen: dict[Path, Path] = {}
    for path, out in pairs:
        if out in seen:
            raise DataError(
                f"{seen[out].name} and {path.name} would both become {out.name}; rename one of them."
            )
        seen[out] = path
        if out.resolve() == path.resolve():
            raise DataError(f"{path} would be overwritten by its own translation; give another --output.")
        if out.exists() and not overwrite:
            raise DataError(f"{out} exists and was not replaced; remove it or add --overwrite.")
