"""Fine-tuning: continue from the champion's weights and optimiser state at a low rate, on new and old pairs.

Old and new validation pairs are scored separately after every epoch. The two losses that diverge first, that
of D and the adversarial one of G, raise alarms. The learning rate is set in `warm_start`.
"""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gantrans.config import check_range, from_dict, to_dict
from gantrans.data import PairedDataset
from gantrans.operations.promotion.replay import ReplayBatches
from gantrans.operations.promotion.warm_start import freeze, set_rates, warm_start
from gantrans.training import FitConfig, FitResult, fit, load_checkpoint
from gantrans.translation import Recipe, Validation, build_task, check_one_way

MOST_EPOCHS = 20
WATCHED = ("loss_d", "loss_gan_g")


@dataclass(frozen=True)
class FineTuneConfig:
    """Settings of a fine-tuning.

    epochs: passes over the new pairs, 1 to 20; if that is not enough, more data or a new training is needed.
    rate: factor on the base learning rate of the configuration; over the second half it falls to zero.
    share: share of old pairs in each batch; 0 without old pairs.
    keep_optimizer: keep Adam's moments; without them the first steps have full size in every weight.
    frozen: names of the generator's parts whose weights are frozen, such as ("entry", "encoder"), of a
        diffusion model ("denoiser.entry", "denoiser.encoder"); running statistics of batch normalisation are
        still updated.
    spike, collapse: alarm when D's loss exceeds `spike` times, or G's adversarial loss falls below
        `collapse` times, what it was at the champion's weights.
    """

    epochs: int = MOST_EPOCHS
    rate: float = 0.1
    share: float = 0.5
    batch_size: int = 8
    keep_optimizer: bool = True
    frozen: tuple[str, ...] = ()
    spike: float = 2.0
    collapse: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_range(self, "epochs", 1, MOST_EPOCHS)
        check_range(self, "rate", 0.0, 1.0, open_low=True)
        check_range(self, "share", 0.0, 0.9)
        check_range(self, "batch_size", 1)
        check_range(self, "spike", 1.0, open_low=True)
        check_range(self, "collapse", 0.0, 1.0)

    def steps_per_epoch(self, count: int, *, replay: bool = True) -> int:
        """Number of steps in which each of `count` new pairs is used once, with old pairs or without."""
        return math.ceil(count / (self.batch_size * (1 - self.share * replay)))


@dataclass(frozen=True)
class Alarm:
    """A loss outside its range: the step, the loss, its value and the limit."""

    step: int
    loss: str
    value: float
    limit: float

    def __str__(self) -> str:
        what = "above" if self.value > self.limit else "below"
        return f"step {self.step}: {self.loss} is {self.value:.3g}, {what} {self.limit:.3g}"


@dataclass(frozen=True)
class FineTuned:
    """Result of a fine-tuning; `before` and `after` hold the scores on old and new validation pairs."""

    folder: Path | None
    fit: FitResult
    before: Mapping[str, float]
    after: Mapping[str, float]
    reference: Mapping[str, float]
    alarms: tuple[Alarm, ...]


def fine_tune(
    champion: Path,
    new: PairedDataset,
    old: PairedDataset | None,
    config: FineTuneConfig,
    *,
    out: Path | None = None,
    validation: Mapping[str, PairedDataset] | None = None,
    parent: str | None = None,
    progress: bool = True,
    device: str | None = None,
) -> FineTuned:
    """Fine-tune a champion; the result in `out` can be registered as challenger.

    Args:
        champion: a version's folder, or a training run.
        new, old: training pairs of the new conditions, and of those that the champion was trained on. `old`
            is None if these hold no longer: replay would teach what is wrong now.
        out: folder of the new run; its last checkpoint is the challenger.
        validation: held-out pairs, {"old": ..., "new": ...}; scored before the first step and after every
            epoch, under names such as "iou_old".
        parent: the champion's version, stored with the run.

    Raises:
        CheckpointError: the champion cannot be read.
        TrainingError: a learning rate differs from the requested one, or a loss is not finite.
    """
    contents = load_checkpoint(champion)
    recipe = from_dict(Recipe, contents["settings"]["extra"]["recipe"])
    fitting = _fit_config(recipe.fit, config, config.steps_per_epoch(len(new), replay=old is not None))
    check_one_way(recipe)
    task = build_task(recipe)
    warm_start(
        task, contents, rate=config.rate, keep_optimizer=config.keep_optimizer, device=device,
        channels_last=fitting.channels_last,
    )  # fmt: skip
    freeze(task.generator, config.frozen)
    batches = ReplayBatches(new, old, recipe.direction, config.batch_size, config.share, config.seed)
    scorer = SeparateValidation(validation or {}, recipe.direction)
    reference = losses_at(contents, recipe, batches, fitting, device)
    before = scorer(task)
    alarms: list[Alarm] = []
    candidate = replace(recipe, fit=fitting, batch_size=config.batch_size)
    result = fit(
        task, batches, fitting, out=out, validate=scorer if validation else None, progress=progress,
        callbacks={"on_log": lambda record: alarms.extend(loss_alarms(record, reference, config))},
        extra={"recipe": to_dict(candidate), "finetune": to_dict(config), "parent": parent},
        device=device,
    )  # fmt: skip
    with result.ema.applied() if result.ema else nullcontext():
        after = scorer(task)
    return FineTuned(out, result, before, after, reference, tuple(alarms))


def _fit_config(trained: FitConfig, config: FineTuneConfig, per_epoch: int) -> FitConfig:
    return FitConfig(
        steps=config.epochs * per_epoch,
        seed=config.seed,
        precision=trained.precision,
        channels_last=trained.channels_last,
        clip_norm=trained.clip_norm,
        lr_schedule="linear_decay",  # the rate falls to zero over the second half
        ema_decay=trained.ema_decay,
        log_every=max(1, per_epoch // 2),
        validate_every=per_epoch,
        checkpoint_every=per_epoch,
    )


class SeparateValidation:
    """Scores on several sets of pairs, reported separately: task -> {"iou_old": ..., "iou_new": ..., ...}."""

    def __init__(self, sets: Mapping[str, PairedDataset], direction: str) -> None:
        self.parts = {name: Validation(pairs, direction) for name, pairs in sets.items()}

    def __call__(self, task: Any) -> dict[str, float]:
        """The scores of `task.generator` in evaluation mode; its former mode is restored."""
        training = task.generator.training
        task.generator.eval()
        scores = {
            f"{metric}_{name}": value
            for name, part in self.parts.items()
            for metric, value in part(task).items()
        }
        task.generator.train(training)
        return scores


def losses_at(
    contents: Mapping[str, Any],
    recipe: Recipe,
    batches: ReplayBatches,
    fitting: FitConfig,
    device: str | None,
) -> dict[str, float]:
    """Loss of D and adversarial loss of G at the champion's weights, means over the first batches."""
    probe = build_task(recipe)
    warm_start(probe, contents, device=device, channels_last=fitting.channels_last)
    for optimizer in probe.optimizers.values():
        set_rates(optimizer, [0.0] * len(optimizer.param_groups))  # steps that change no weight
    few = replace(fitting, steps=4, log_every=4, validate_every=4, ema_decay=None)
    record = fit(probe, batches, few, progress=False, device=device).history.records[-1]
    return {name: record[name] for name in WATCHED if name in record}


def loss_alarms(
    record: Mapping[str, float], reference: Mapping[str, float], config: FineTuneConfig
) -> list[Alarm]:
    """Alarms of one record of the history: loss of D too high, or adversarial loss of G too low."""
    alarms = []
    for loss, normal in reference.items():
        limit = normal * (config.spike if loss == "loss_d" else config.collapse)
        off = record[loss] > limit if loss == "loss_d" else record[loss] < limit
        if off:
            alarms.append(Alarm(int(record["step"]), loss, record[loss], limit))
    return alarms
