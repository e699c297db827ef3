"""Recipes: data, networks and optimisation by kind of target and scale, and how to train one.

The numbers were chosen by measurement on SEM images and layouts (`benchmarks/translation.py`): at short
budgets the learning rate has the largest effect. SEM -> layout is nearly deterministic and needs no
adversarial term; layout -> SEM needs one. A direction that is registered elsewhere gets the recipe of its
kind of target.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gantrans.config import check_choice, check_range, from_dict, to_dict
from gantrans.data import BatchSource, PairedDataset
from gantrans.directions import direction as registered
from gantrans.directions import directions
from gantrans.errors import CheckpointError, ConfigError, DataError
from gantrans.networks import PatchGANConfig, ResidualUNetConfig, UNetConfig
from gantrans.training import FitConfig, FitResult, TimeBudget, fit, load_checkpoint
from gantrans.translation.article import article
from gantrans.translation.bidirectional import BOTH, GENERATORS, BidirectionalConfig, BidirectionalTask
from gantrans.translation.conditional import ConditionalDiffusionConfig, ConditionalDiffusionTask
from gantrans.translation.contenders import diffusion, transformer
from gantrans.translation.generators import OnePassConfig
from gantrans.translation.pix2pix import Pix2PixConfig, Pix2PixTask
from gantrans.translation.sizes import check_sizes
from gantrans.translation.sources import SIMULATED, DataSpec, check_bits, open_folder
from gantrans.translation.validation import BothValidation, DrawnValidation, Validation
from gantrans.translation.warm import warm_start_of

RECIPES = ("default", "transformer", "diffusion", "article")
"""`default` trains one direction with what works best at short budgets, `transformer` a transformer with L1
alone, `diffusion` a conditional diffusion model; `article` trains both directions."""
Config = Pix2PixConfig | BidirectionalConfig | ConditionalDiffusionConfig
TranslationTask = Pix2PixTask | BidirectionalTask | ConditionalDiffusionTask


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
    def one_way(self) -> Pix2PixConfig:
        """The pix2pix task of a training in one direction.

        Raises:
            ConfigError: the recipe trains both, or a diffusion model.
        """
        check_one_way(self)
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
        if isinstance(self.task, Pix2PixConfig):
            return "generator", self.task.generator
        name = GENERATORS[self.direction]
        return name, getattr(self.task, f"generator_{name}")


def _l1_only(
    base: int, multipliers: tuple[int, ...], steps: int, lr: float, beta2: float = 0.999
) -> tuple[Pix2PixConfig, FitConfig]:
    """Binary target: L1 loss alone, no dropout, one-cycle learning rate, a short memory of Adam's scale."""
    generator = ResidualUNetConfig(base_filters=base, multipliers=multipliers)
    task = Pix2PixConfig(generator, None, weight_l1=100.0, lr_generator=lr, betas=(0.5, beta2))
    return task, FitConfig(
        steps, channels_last=True, lr_schedule="one_cycle", lr_params={"warmup": 0.15}, monitor="iou"
    )


def _adversarial(base: int, n_down: int, steps: int, lr: float, ndf: int) -> tuple[Pix2PixConfig, FitConfig]:
    """Grey target: resize-convolution, noise at every level, LSGAN with spectral norm, L1 weight 10.

    No checkpoint is chosen by validation, the last one counts: a lower L1 is a more blurred image.
    """
    generator = UNetConfig(
        base_filters=base, n_down=n_down, dropout=0.0, dropout_blocks=0, upsample="nearest",
        noise_injection=True, full_resolution_head=True,
    )  # fmt: skip
    critic = PatchGANConfig(base_filters=ndf, n_layers=2, spectral_norm=True)
    task = Pix2PixConfig(generator, critic, weight_l1=10.0, lr_generator=lr, lr_discriminator=lr)
    return task, FitConfig(steps, channels_last=True, lr_schedule="linear_decay")


def _grained(base: int, n_down: int, steps: int, lr: float, ndf: int) -> tuple[Pix2PixConfig, FitConfig]:
    """As `_adversarial`, with grain that is as strong as the real one and differs between two draws.

    D is not held back: no spectral norm, five times G's rate, logarithmic loss, L1 weight 3; G's weights are
    averaged over about a hundred steps. Measured at `reduced` (`benchmarks/layout_to_sem.py`).
    """
    task, fitting = _adversarial(base, n_down, steps, lr, ndf)
    critic = PatchGANConfig(base_filters=ndf, n_layers=2)
    task = replace(
        task, discriminator=critic, adversarial="non_saturating", weight_l1=3.0, lr_discriminator=5 * lr
    )
    return task, replace(fitting, ema_decay=0.99, ema_networks=("generator",))


def _production(
    base: int, n_down: int, steps: int, lr: float, ndf: int, layers: int
) -> tuple[Pix2PixConfig, FitConfig]:
    """SEM -> layout: attention U-Net; D with LSGAN, label smoothing, spectral norm, decaying rate."""
    generator = UNetConfig(base_filters=base, n_down=n_down, dropout_blocks=0, attention=(0, 1))
    critic = PatchGANConfig(base_filters=ndf, n_layers=layers, spectral_norm=True)
    task = Pix2PixConfig(
        generator, critic, real_label=0.9, weight_l1=100.0, buffer=50, lr_generator=lr, lr_discriminator=lr
    )
    return task, FitConfig(steps, channels_last=True, lr_schedule="linear_decay", monitor="iou")


_PRODUCTION = {
    "smoke": lambda: _production(8, 3, 20, 1e-3, 8, 2),
    "reduced": lambda: _production(16, 4, 1500, 1e-3, 16, 2),
    "full": lambda: _production(48, 5, 20_000, 2e-4, 48, 3),
}
_TRAININGS = {
    ("binary", "smoke"): lambda: _l1_only(8, (1, 2), 20, 2e-3),
    ("binary", "reduced"): lambda: _l1_only(16, (1, 2, 2, 2), 3000, 8e-3, 0.99),
    ("binary", "full"): lambda: _l1_only(48, (1, 2, 2, 2, 2), 20_000, 2e-3),
    ("grey", "smoke"): lambda: _adversarial(8, 3, 20, 5e-4, 8),
    ("grey", "reduced"): lambda: _grained(16, 4, 2400, 5e-4, 16),
    ("grey", "full"): lambda: _adversarial(48, 5, 20_000, 2e-4, 48),
}
_DATA = {
    "smoke": DataSpec(size=32, count=64, validation=16),
    "reduced": DataSpec(size=64, count=2048, validation=128),
    "full": DataSpec(size=256, pixel_nm=10.0, count=2000, validation=128),
}
_BATCH = {"smoke": 4, "reduced": 8, "full": 16}


def recipe(
    direction: str,
    scale: str,
    source: str = "procedural",
    *,
    name: str = "default",
    seed: int = 0,
    pixel_nm: float | None = None,
    bits: int | None = None,
) -> Recipe:
    """The recipe for a direction, a scale and a source.

    Args:
        direction: "both" for `article`, else a registered one.
        name: one of `RECIPES`.
        pixel_nm: nm per pixel. None takes the value of a folder's manifest (unknown without one), or the
            pixel size of the scale for simulated images.
        bits: used bits of the 16-bit images of a folder. None takes the value of its manifest.

    Raises:
        ConfigError: unknown direction, scale or name, or a recipe that does not train this direction.
        DataError: the source cannot be used.
    """
    _check_fit(name, direction)
    if (direction not in directions() and direction != BOTH) or scale not in _DATA:
        raise ConfigError(
            f"There is no recipe for direction {direction!r} at scale {scale!r}; directions are "
            f"{', '.join(directions())}, scales {', '.join(_DATA)}."
        )
    if name == "article":
        return _recipe(direction, scale, source, *article(scale), seed, pixel_nm, bits)
    kind = registered(direction).target_kind
    task: Config
    if name == "diffusion":
        task, fitting = diffusion(kind, scale)
    elif name == "transformer":
        task, fitting = transformer(kind, scale)
    else:
        task, fitting = _TRAININGS[kind, scale]()
    return _recipe(direction, scale, source, task, fitting, seed, pixel_nm, bits)


def _check_fit(name: str, direction: str) -> None:
    """Raise a `ConfigError` unless the recipe `name` exists and trains `direction`."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}; choose one of {', '.join(RECIPES)}.")
    if name == "article" and direction != BOTH:
        raise ConfigError(
            f"The recipe article trains both directions at once, not {direction} alone; give "
            "--direction both, or --recipe default."
        )
    if name != "article" and direction == BOTH:
        raise ConfigError(
            f"The recipe {name} trains one direction; give --direction {' or '.join(directions())}, or "
            "--recipe article."
        )


def production_recipe(
    scale: str, source: str = "procedural", *, seed: int = 0, pixel_nm: float | None = None
) -> Recipe:
    """The recipe of the lessons on operation: SEM -> layout with a discriminator."""
    if scale not in _PRODUCTION:
        raise ConfigError(f"There is no production recipe at scale {scale!r}; scales are {', '.join(_DATA)}.")
    task, fitting = _PRODUCTION[scale]()
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
) -> Recipe:
    data = _DATA[scale]
    simulated = source in SIMULATED
    check_bits(source, bits)
    folder = None if simulated else open_folder(source, pixel_nm, bits)
    stated = (data.pixel_nm if pixel_nm is None else pixel_nm) if folder is None else folder.pixel_nm
    used = None if folder is None else folder.bits
    data = replace(data, source=source, pixel_nm=stated, seed=seed, bits=used)
    return Recipe(direction, data, task, replace(fitting, seed=seed), _BATCH[scale], seed)


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
        DataError, CheckpointError, TrainingError: see `DataSpec.pairs` and `gantrans.training.fit`.
    """
    budget = TimeBudget(chosen.fit, max_seconds)
    check_sizes(chosen.task, chosen.data.size, chosen.batch_size)
    warm = warm_start_of(build_task(chosen), start, out, resume=resume)
    first = chosen.directions[0]
    training = chosen.data.training(first)
    validate = validation_of(chosen, chosen.data.validating(first))
    batches = BatchSource(training, first, chosen.batch_size, chosen.seed)
    chosen.data.check("val", "test")
    make_task = partial(warm.made, build_task, chosen)
    fitting, kept = budget.plan(make_task, batches, out=out, resume=resume, validate=validate, device=device)
    extra = {"recipe": to_dict(replace(chosen, fit=fitting)), **kept, **warm.kept}
    with closing(training):
        return fit(
            make_task(), batches, budget.limit(fitting), out=out, resume=resume, validate=validate,
            extra=extra, progress=progress, device=device,
        )  # fmt: skip


def build_task(chosen: Recipe) -> TranslationTask:
    """The task that a recipe trains, with new weights from its seed."""
    if isinstance(chosen.task, ConditionalDiffusionConfig):
        return ConditionalDiffusionTask(chosen.task, chosen.seed)
    if isinstance(chosen.task, BidirectionalConfig):
        return BidirectionalTask(chosen.task, chosen.seed)
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
