"""One training of a comparison: begun, gone on with, or left as it is when it has ended."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gantrans.config import to_dict
from gantrans.data import BatchSource, PairedDataset
from gantrans.errors import TrainingError
from gantrans.training import fit, load_checkpoint
from gantrans.training.history import History
from gantrans.translation import Recipe, build_task, validation_of


@dataclass(frozen=True)
class Trained:
    """How a training ended; `failed` is the reason if it had to stop."""

    folder: Path
    steps: int
    seconds: float
    failed: str = ""


def train(
    chosen: Recipe,
    folder: Path,
    training: PairedDataset,
    validation: PairedDataset,
    *,
    device: str | None,
    on_step: Callable[[int], None],
) -> Trained:
    """Train a recipe in its folder, which `evaluate`, `predict`, `serve` and `registry` take afterwards.

    As `train_recipe`, on pairs that are read once for all methods, and with the number of steps already
    planned. A loss that is not finite ends this training only.

    Args:
        on_step: is called with the number of steps now and then.
    """
    if (done := finished(folder, chosen.fit.steps)) is not None:
        on_step(done.steps)
        return done
    batches = BatchSource(training, chosen.direction, chosen.batch_size, chosen.seed)
    begun = (folder / "config.json").exists()
    callbacks = {"on_log": lambda record: on_step(int(record["step"]))}
    try:
        result = fit(
            build_task(chosen), batches, chosen.fit, out=folder, resume=begun,
            validate=validation_of(chosen, validation), callbacks=callbacks,
            extra={"recipe": to_dict(chosen)}, progress=False, device=device,
        )  # fmt: skip
    except TrainingError as error:
        step = int(load_checkpoint(folder / "last.pt")["step"]) if (folder / "last.pt").exists() else 0
        return Trained(folder, step, 0.0, str(error))
    return Trained(folder, result.step, result.seconds)


def finished(folder: Path, steps: int) -> Trained | None:
    """The training in this folder if it has made all its steps."""
    last = folder / "last.pt"
    if not last.exists():
        return None
    stored = load_checkpoint(last)
    if stored["step"] < steps:
        return None
    return Trained(folder, int(stored["step"]), float(stored["seconds"]))


def curve(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Validation score over core-seconds of a training: name -> [(seconds, score), ...]."""
    history = History.load(folder / "history.jsonl")
    points: dict[str, list[tuple[float, float]]] = {}
    for record in history.records:
        for name, value in record.items():
            if name.startswith("val_"):
                points.setdefault(name.removeprefix("val_"), []).append((record["seconds"], value))
    return points
