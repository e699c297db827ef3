"""Evaluation of generated images: a small classifier (`Judge`), and the metrics that use its features.

Frechet distance and coverage need features, class shares need classes. Features of networks trained on
photographs do not separate layouts or 8 x 8 digits, so the classifier is trained on the data set itself, in
seconds. Its numbers are comparable only between sets evaluated with the same classifier; they are not the FID
of the literature.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from gantrans.config import check_range
from gantrans.data.pairs import dihedral
from gantrans.data.streams import stream_seeds
from gantrans.errors import DataError
from gantrans.images import unit_from_network
from gantrans.metrics import (
    copy_rate,
    coverage,
    duplicate_share,
    frechet_distance,
    grey_share,
    rule_valid,
    topology_distance,
    total_variation,
    violation_rate,
)
from gantrans.networks.blocks import full_precision, kaiming_, weights_from
from gantrans.training import Batch, FitConfig, Runtime, fit

_MAP = 4  # side of the last map
_BATCH = 256  # images per forward pass


@dataclass(frozen=True)
class JudgeConfig:
    """The classifier: side of its images in pixels, number of classes, width, features, learning rate."""

    size: int = 32
    classes: int = 4
    width: int = 16
    features: int = 64
    lr: float = 3e-3

    def __post_init__(self) -> None:
        check_range(self, "size", 8, 256)
        check_range(self, "classes", 2, 1000)
        check_range(self, "width", 1, 512)
        check_range(self, "features", 1, 4096)
        check_range(self, "lr", 0.0, open_low=True)


class Judge(nn.Module):
    """Convolutions of stride 2 down to a 4 x 4 map, one hidden layer (the features), one logit per class."""

    def __init__(self, config: JudgeConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        halvings = max(1, (config.size // _MAP).bit_length() - 1)
        with weights_from(seed):
            layers: list[nn.Module] = []
            channels = 1
            for level in range(halvings):
                wider = config.width * 2 ** min(level, 2)
                layers += [nn.Conv2d(channels, wider, 4, stride=2, padding=1), nn.ReLU()]
                channels = wider
            self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(_MAP), nn.Flatten())
            self.hidden = nn.Linear(channels * _MAP**2, config.features)
            self.head = nn.Linear(config.features, config.classes)
            kaiming_(self.body, 0.0)

    def embed(self, image: Tensor) -> Tensor:
        """(B, 1, S, S) in [-1, 1] -> (B, features), after the last rectifier."""
        return F.relu(self.hidden(self.body(image)))

    def forward(self, image: Tensor) -> Tensor:
        """(B, 1, S, S) in [-1, 1] -> logits (B, classes)."""
        return full_precision(self.head(self.embed(image)))

    def features(self, image: Tensor) -> Tensor:
        """Features of any number of images: (N, 1, S, S) in [-1, 1] -> float32 (N, features) on the CPU.

        Raises:
            DataError: for images of another size.
        """
        side = self.config.size
        if image.ndim != 4 or image.shape[1:] != (1, side, side):
            raise DataError(f"The judge takes images (N, 1, {side}, {side}), not {tuple(image.shape)}.")
        device = self.head.weight.device
        with _judging(self):
            return torch.cat([self.embed(part.to(device)).float().cpu() for part in image.split(_BATCH)])

    def classes(self, image: Tensor) -> Tensor:
        """The most likely class of every image: (N, 1, S, S) in [-1, 1] -> int64 (N,) on the CPU."""
        return self.classes_of(self.features(image))

    def classes_of(self, features: Tensor) -> Tensor:
        """The most likely class from features: (N, features) -> int64 (N,) on the CPU."""
        with _judging(self):
            return self.head(features.to(self.head.weight.device)).argmax(1).cpu()


class JudgeTask:
    """The judge as a task for `gantrans.training.fit`: cross-entropy; equal seeds give equal weights."""

    name = "judge"

    def __init__(self, config: JudgeConfig, seed: int = 0) -> None:
        self.config = config
        self.judge = Judge(config, seed)
        self.networks: dict[str, nn.Module] = {"judge": self.judge}
        self.optimizers: dict[str, Optimizer] = {
            "judge": AdamW(self.judge.parameters(), lr=config.lr, weight_decay=1e-2, fused=True)
        }

    def step(self, batch: Batch, runtime: Runtime) -> dict[str, Tensor]:
        """Add one batch's gradients; "image" (B, 1, S, S) in [-1, 1], "label" int64 (B,).

        Returns:
            loss: cross-entropy in nats. accuracy: share of the batch that is classified correctly.
        """
        image, label = cast(Tensor, batch["image"]), cast(Tensor, batch["label"])
        logits = self.judge(image)
        loss = F.cross_entropy(logits, label)
        runtime.backward(loss)
        return {"loss": loss.detach(), "accuracy": (logits.detach().argmax(1) == label).float().mean()}

    def state(self) -> dict[str, Any]:
        """Empty: there is no state beyond network and optimiser."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Nothing to restore; see `state`."""


def train_judge(
    image: Tensor,
    label: Tensor,
    *,
    config: JudgeConfig | None = None,
    steps: int = 300,
    batch_size: int = 64,
    turn: bool = False,
    seed: int = 0,
    progress: bool = False,
    device: str | None = None,
) -> Judge:
    """Train a judge on real images; a pure function of its arguments.

    Args:
        image: (N, 1, S, S) float32 in [-1, 1].
        label: (N,) int64, 0 to classes - 1.
        config: default: the size of the images, and classes up to the highest label.
        turn: train on every batch under a random flip or quarter turn. For layouts, whose class this
            preserves; a turned digit may be another one.
    """
    if len(image) != len(label) or not len(label):
        raise DataError(f"There are {len(image)} images but {len(label)} labels; give one label per image.")
    config = config or JudgeConfig(size=image.shape[-1], classes=int(label.max()) + 1)
    task = JudgeTask(config, seed)

    def batch(step: int) -> Batch:
        generator = torch.Generator().manual_seed(stream_seeds(seed, "judge", [step])[0])
        chosen = torch.randint(len(label), (batch_size,), generator=generator)
        element = int(torch.randint(8, (), generator=generator)) if turn else 0
        return {"image": dihedral(image[chosen], element), "label": label[chosen]}

    schedule = {"warmup": 0.1, "floor": 0.01}
    fit_config = FitConfig(
        steps=steps, seed=seed, precision="fp32", lr_schedule="cosine", lr_params=schedule, clip_norm=1.0
    )
    fit(task, batch, fit_config, progress=progress, device=device)
    return task.judge


@dataclass(frozen=True)
class Panel:
    """Metrics of a set of samples (`judge_panel`); higher is better for valid and coverage, lower for the
    rest.

    Attributes:
        valid: share of images without any rule violation. Not affected by copies and dropped modes.
        violation: share of pixels that violate a rule; informative while `valid` is still 0.
        grey: share of undecided pixels, |x| < 0.8, before thresholding.
        frechet: Frechet distance of the judge's features. Insensitive to a few wrong pixels.
        class_tv: total variation distance of the class shares, as classified by the judge.
        coverage: share of reference images with a sample nearby. Falls with dropped modes.
        topology_tv: total variation distance of feature counts, hole counts and drawn shares.
        self_duplicates: share of samples that occur more than once.
        copies: share of samples that are training images.
    """

    valid: float
    violation: float
    grey: float
    frechet: float
    class_tv: float
    coverage: float
    topology_tv: float
    self_duplicates: float
    copies: float

    def as_dict(self) -> dict[str, float]:
        """Name -> number, as a row of a table."""
        return asdict(self)


def judge_panel(
    samples: Tensor,
    reference: Tensor,
    training: Tensor,
    judge: Judge,
    rule: int | None,
    *,
    copy_radius_px: int = 0,
) -> Panel:
    """Evaluate a set of samples; compare panels only at equal numbers of samples and of reference images.

    Args:
        samples: (N, 1, S, S) in [-1, 1], as sampled (not thresholded); more than 5 images.
        reference: held-out real images, in [-1, 1], more than 5.
        training: the training images of the generator, in [-1, 1].
        rule: minimum width and space in pixels: the samples are layouts, and all metrics but `grey` are
            computed on the thresholded images. None: grey images; there is no rule, so valid, violation and
            grey are NaN, and the images are not thresholded.
        copy_radius_px: a sample counts as a copy within this many differing pixels.
    """
    pixels, real, known = (unit_from_network(image.cpu()) for image in (samples, reference, training))
    valid = violation = grey = float("nan")
    evaluated = samples
    if rule is not None:
        valid = float(rule_valid(pixels, rule, rule).float().mean())
        violation = float(violation_rate(pixels, rule, rule).mean())
        grey = float(grey_share(samples).mean())
        evaluated = (pixels > 0.5).float() * 2 - 1
    features, real_features = judge.features(evaluated.clamp(-1, 1)), judge.features(reference)
    return Panel(
        valid=valid,
        violation=violation,
        grey=grey,
        frechet=frechet_distance(features, real_features),
        class_tv=total_variation(judge.classes_of(features), judge.classes_of(real_features)),
        coverage=coverage(real_features, features),
        topology_tv=topology_distance(pixels, real),
        self_duplicates=duplicate_share(pixels),
        copies=copy_rate(pixels, known, copy_radius_px),
    )


@contextmanager
def _judging(judge: Judge) -> Iterator[None]:
    """No gradients, eval mode, and no autocast, so that a measurement is always float32."""
    was_training = judge.training
    judge.eval()
    try:
        with torch.no_grad(), torch.autocast(judge.head.weight.device.type, enabled=False):
            yield
    finally:
        judge.train(was_training)
