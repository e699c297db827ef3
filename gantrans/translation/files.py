"""Translate image files; each result is a PNG with the name and size of its input.

Several answers for an image: NAME.png is their mean, NAME-answer01.png and so on are the answers, and with
enough of them NAME-low.png and NAME-high.png bound the 90 % interval of each pixel.
"""

from pathlib import Path

from torch import Tensor
from tqdm.auto import tqdm

from gantrans.data import IMAGE_SUFFIXES, read_image, write_image
from gantrans.errors import DataError
from gantrans.training import pick_device
from gantrans.translation.answers import ensemble_interval, fewest_answers
from gantrans.translation.predictor import Predictor, check_pixel_size

LEVEL = 0.9
"""Probability of the interval that is written beside several answers."""


def predict_files(
    run: Path,
    source: Path,
    target: Path,
    *,
    direction: str | None = None,
    pixel_nm: float | None = None,
    bits: int | None = None,
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
    for path, _ in pairs:
        read_image(path, bits=bits)
    for folder in {out.parent for _, out in pairs}:
        _make_folder(folder)
    written: list[Path] = []
    for path, out in tqdm(pairs, desc="predict", unit="image", disable=len(pairs) < 8):
        image, files = read_image(path, bits=bits), _files(out, answers)
        for file, result in zip(files, _images(predictor, image, seed, answers), strict=True):
            write_image(file, result)
        written += files
    return written


def _files(out: Path, answers: int | None) -> list[Path]:
    """The files of one input, as `_images` gives their contents."""
    if answers is None:
        return [out]
    digits = max(2, len(str(answers)))
    names = ["", *(f"-answer{k + 1:0{digits}d}" for k in range(answers))]
    if answers >= fewest_answers(LEVEL):
        names += ["-low", "-high"]
    return [out.with_name(f"{out.stem}{name}{out.suffix}") for name in names]


def _images(predictor: Predictor, image: Tensor, seed: int, answers: int | None) -> list[Tensor]:
    """The translation, (1, H, W) in [0, 1]; or the mean of several answers, they, and their interval."""
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
    if not into_folder and target.suffix.lower() != ".png":
        raise DataError(f"{target} is not a PNG; results are written as .png, which is lossless.")
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
