"""Recipes: data, networks and optimisation by kind of target and scale, and how to train one.

Their numbers are in `gantrans.translation.presets`. A direction that is registered elsewhere gets the recipe
of its kind of target.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gantrans.config import check_choice, check_range, from_dict, to_dict
from gantrans.data import BatchSource, PairedDataset, PairedFolder
from gantrans.data.encoding import Encoding, Side
from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.training import FitConfig, FitResult, TimeBudget, fit, load_checkpoint
from gantrans.translation.article import article
from gantrans.translation.bidirectional import BOTH, GENERATORS, BidirectionalConfig, BidirectionalTask
from gantrans.translation.classes import ClassesConfig, ClassesTask
from gantrans.translation.conditional import ConditionalDiffusionConfig, ConditionalDiffusionTask
from gantrans.translation.contenders import diffusion, transformer
from gantrans.translation.generators import OnePassConfig
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.presets import (
    BATCH,
    DATA,
    PRODUCTION,
    TRAININGS,
    Config,
    adversarial,
    check_encoding,
    style_of,
    with_channels,
)
from gantrans.translation.sizes import check_sizes
from gantrans.translation.sources import SIMULATED, DataSpec, check_bits, open_folder
from gantrans.translation.validation import BothValidation, DrawnValidation, Validation
from gantrans.translation.warm import warm_start_of

RECIPES = ("default", "gan", "transformer", "diffusion", "article")
"""`default` trains one direction with what works best at short budgets, `gan` with a discriminator,
`transformer` a transformer with L1 alone, `diffusion` a conditional diffusion model; `article` trains both
directions."""
TranslationTask = Pix2PixTask | BidirectionalTask | ConditionalDiffusionTask | ClassesTask


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run; stored in its checkpoints.

    direction: a registered one, or "both" for a `BidirectionalConfig`, whose run translates both ways. A
        recipe with such a task and one direction is that run seen as a translator of this direction.
    """

    direction: str
    data: DataSpec
    task: Config
    fit: FitConfig
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        both = isinstance(self.task, BidirectionalConfig)
        check_choice(self, "direction", (BOTH, *GENERATORS) if both else directions())
        check_range(self, "batch_size", 1)

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions that its run translates; a batch has the input and target of the first."""
        return tuple(GENERATORS) if self.direction == BOTH else (self.direction,)

    @property
    def channels(self) -> tuple[int, int]:
        """Channels of the images that it translates, and of their translations; classes count as one."""
        return self.data.encoding.channels

    @property
    def one_way(self) -> Pix2PixConfig:
        """The pix2pix task of a training in one direction.

        Raises:
            ConfigError: the recipe trains both, a diffusion model, or classes.
        """
        check_one_way(self)
        if isinstance(self.task, ClassesConfig):
            raise ConfigError(
                "This run translates into classes and has no pix2pix task; take a run whose targets are "
                "images."
            )
        if not isinstance(self.task, Pix2PixConfig):
            raise ConfigError(
                "This run trained a diffusion model, which has no generator of one evaluation; take a run of "
                "the recipe `default`."
            )
        return self.task

    def towards(self, direction: str | None, run: Path | str) -> "Recipe":
        """This recipe as that of one of its directions, by which its run translates.

        Args:
            direction: None chooses the only one there is.
            run: named in errors.

        Raises:
            DataError: the run has no such direction, or two and none is chosen.
        """
        if direction is None and len(self.directions) > 1:
            raise DataError(
                f"{run} translates in both directions; choose one with --direction "
                f"{' or --direction '.join(self.directions)}."
            )
        if direction is not None and direction not in self.directions:
            raise DataError(
                f"{run} translates {' and '.join(self.directions)}, not {direction}; give another run, or "
                "train this direction."
            )
        return replace(self, direction=direction or self.directions[0])

    @property
    def generator(self) -> tuple[str, OnePassConfig | ConditionalDiffusionConfig]:
        """Name and configuration of the network that translates in `direction`, which must be one."""
        if isinstance(self.task, ConditionalDiffusionConfig):
            return "generator", self.task
        if isinstance(self.task, Pix2PixConfig | ClassesConfig):
            return "generator", self.task.generator
        name = GENERATORS[self.direction]
        return name, getattr(self.task, f"generator_{name}")


def recipe(
    direction: str,
    scale: str,
    source: str = "procedural",
    *,
    name: str = "default",
    seed: int = 0,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
) -> Recipe:
    """The recipe for a direction, a scale and a source.

    Args:
        direction: "both" for `article`, else a registered one.
        name: one of `RECIPES`.
        pixel_nm: nm per pixel. None takes the value of a folder's manifest (unknown without one), or the
            pixel size of the scale for simulated images.
        bits: used bits of the 16-bit images of a folder. None takes the value of its manifest.
        encoding: how else the files of a folder are read; gives the channels of the networks and the classes.

    Raises:
        ConfigError: unknown direction, scale or name, or a recipe that does not train this direction or such
            images.
        DataError: the source cannot be used.
    """
    _check_fit(name, direction)
    if (direction not in directions() and direction != BOTH) or scale not in DATA:
        raise ConfigError(
            f"There is no recipe for direction {direction!r} at scale {scale!r}; directions are "
            f"{', '.join(directions())}, scales {', '.join(DATA)}."
        )
    if name == "article":
        return _recipe(direction, scale, source, *article(scale), seed, pixel_nm, bits, encoding)
    kind = registered(direction).target_kind
    task: Config
    if name == "diffusion":
        task, fitting = diffusion(kind, scale)
    elif name == "transformer":
        task, fitting = transformer(kind, scale)
    elif name == "gan":
        task, fitting = adversarial(direction, scale)
    else:
        task, fitting = TRAININGS[style_of(direction), scale]()
    return _recipe(direction, scale, source, task, fitting, seed, pixel_nm, bits, encoding)


def _check_fit(name: str, direction: str) -> None:
    """Raise a `ConfigError` unless the recipe `name` exists and trains `direction`."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    if name == "diffusion" and direction in directions() and registered(direction).target_kind == "classes":
        raise ConfigError(
            f"The recipe diffusion draws images and {direction} gives classes; give --recipe default or "
            "--recipe transformer."
        )
    if name == "article" and direction != BOTH:
        raise ConfigError(
            f"The recipe article trains both directions at once, not {direction} alone; give "
            "--direction both, or --recipe default."
        )
    if name != "article" and direction == BOTH:
        *most, last = directions()
        listed = f"{', '.join(most)} or {last}"
        raise ConfigError(
            f"The recipe {name} trains one direction; give --direction {listed}, or --recipe article."
        )


def production_recipe(
    scale: str, source: str = "procedural", *, seed: int = 0, pixel_nm: float | None = None
) -> Recipe:
    """The recipe of the lessons on operation: SEM -> layout with a discriminator."""
    if scale not in PRODUCTION:
        raise ConfigError(f"There is no production recipe at scale {scale!r}; scales are {', '.join(DATA)}.")
    task, fitting = PRODUCTION[scale]()
    return _recipe("sem2layout", scale, source, task, fitting, seed, pixel_nm)


def _recipe(
    direction: str,
    scale: str,
    source: str,
    task: Config,
    fitting: FitConfig,
    seed: int,
    pixel_nm: float | None,
    bits: int | None = None,
    encoding: Encoding | None = None,
) -> Recipe:
    data = DATA[scale]
    simulated = source in SIMULATED
    check_bits(source, bits, encoding)
    folder = None if simulated else open_folder(source, pixel_nm, bits, encoding)
    stated = (data.pixel_nm if pixel_nm is None else pixel_nm) if folder is None else folder.pixel_nm
    used = None if folder is None else folder.bits
    read = Encoding() if folder is None else folder.encoding
    if folder is not None:
        _check_sides(folder, direction)
    check_encoding(direction, read)
    task = with_channels(task, read.channels, len(read.classes))
    data = replace(data, source=source, pixel_nm=stated, seed=seed, bits=used, encoding=read)
    return Recipe(direction, data, task, replace(fitting, seed=seed), BATCH[scale], seed)


def _check_sides(folder: PairedFolder, direction: str) -> None:
    """Check that what is stated of the files of each side is stated of the input and target of a direction.

    Raises:
        ConfigError: `input/` holds the direction's targets, and something is stated of one side alone.
    """
    if direction == BOTH or folder.manifest.get("input") != registered(direction).target:
        return
    if folder.encoding.side("input") != Side() or folder.encoding.side("target") != Side():
        raise ConfigError(
            f"{folder.root} holds the targets of {direction} in input/, and what is stated of its images "
            "depends on the side; exchange input/ and target/ and correct pairs.json, or train the other "
            "direction."
        )


def train_recipe(
    chosen: Recipe,
    out: Path | None,
    *,
    resume: bool = False,
    max_seconds: float | None = None,
    progress: bool = True,
    device: str | None = None,
    start: Path | None = None,
) -> FitResult:
    """Train a recipe; writes last.pt, best.pt, config.json and history.jsonl to `out`.

    Args:
        start: a run whose weights the training begins with, see `warm_start_of`; not needed to resume.
        max_seconds: time for everything here, making the pairs included. In a new run it decides the number
            of steps, and so the schedule (see `TimeBudget`); a resumed run keeps the steps it began with.

    Raises:
        ConfigError: a network does not fit the size of the pairs.
        DataError, CheckpointError, TrainingError: see `DataSpec.training` and `gantrans.training.fit`.
    """
    budget = TimeBudget(chosen.fit, max_seconds)
    check_sizes(chosen.task, chosen.data.size, chosen.batch_size)
    warm = warm_start_of(build_task(chosen), start, out, resume=resume)
    first = chosen.directions[0]
    validate = validation_of(chosen, chosen.data.validating(first))
    chosen.data.check("val", "test")
    make_task = partial(warm.made, build_task, chosen)
    options: dict[str, Any] = {"out": out, "resume": resume, "validate": validate, "device": device}
    with closing(chosen.data.training(first)) as training:
        batches = BatchSource(training, first, chosen.batch_size, chosen.seed)
        fitting, kept = budget.plan(make_task, batches, **options)
        extra = {"recipe": to_dict(replace(chosen, fit=fitting)), **kept, **warm.kept}
        return fit(make_task(), batches, budget.limit(fitting), extra=extra, progress=progress, **options)


def build_task(chosen: Recipe) -> TranslationTask:
    """The task that a recipe trains, with new weights from its seed."""
    if isinstance(chosen.task, ConditionalDiffusionConfig):
        return ConditionalDiffusionTask(chosen.task, chosen.seed)
    if isinstance(chosen.task, BidirectionalConfig):
        return BidirectionalTask(chosen.task, chosen.seed)
    if isinstance(chosen.task, ClassesConfig):
        return ClassesTask(chosen.task, chosen.seed)
    return Pix2PixTask(chosen.task, chosen.seed)


def validation_of(chosen: Recipe, pairs: PairedDataset) -> Validation | BothValidation:
    """What `train_recipe` validates with, on held-out pairs."""
    if isinstance(chosen.task, ConditionalDiffusionConfig):
        return DrawnValidation(pairs, chosen.direction)
    return BothValidation(pairs) if chosen.direction == BOTH else Validation(pairs, chosen.direction)


def check_one_way(chosen: Recipe) -> None:
    """Raise a `ConfigError` if a recipe trains both directions."""
    if isinstance(chosen.task, BidirectionalConfig):
        raise ConfigError(
            "This run trained both directions at once, and registry and fine-tuning take runs of one "
            "direction; train one with the recipe `default`."
        )


def load_recipe(run: Path) -> Recipe:
    """The recipe by which a run folder (or one of its checkpoints) was trained.

    Raises:
        CheckpointError: no checkpoint, not one of a translator, or one with unknown settings.
    """
    stored: dict[str, Any] = load_checkpoint(run)["settings"].get("extra", {})
    if "recipe" not in stored:
        raise CheckpointError(
            f"{run} holds no translator; give a folder that `python -m gantrans train` wrote."
        )
    try:
        return from_dict(Recipe, stored["recipe"])
    except ConfigError as error:
        raise CheckpointError(
            f"The settings in {run} are not valid in this version of gantrans: {error}"
        ) from error
