"""Lesson 00, claim G41: does a random change of contrast and brightness in training help or harm?

The page's loop trains one small network three times from the same first weights, with the same draws of pairs
and moves: on images as they are, with random gain and offset (the usual recipe), and on images of which half
have tops darker than the spaces. Each is judged on ordinary images, on those of a detector with another
setting, and on reversed contrast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gantrans.data import PRESETS, ImagingConfig, PairedDataset, make_pairs
from gantrans.images import network_from_uint8, unit_from_uint8
from gantrans.metrics import iou
from gantrans.networks import ResidualUNet, ResidualUNetConfig
from gantrans.teaching.sweeps.sweep import Sweep
from gantrans.teaching.sweeps.tables import Row, Table
from gantrans.translation import translate
from lessons.lesson00.exercises.train_translator import train_translator
from lessons.lesson00.experiments.first_translator import REVERSED, other_setting

PLAIN, JITTER, BOTH = "as they are", "gain and offset", "half reversed"
ARMS = (PLAIN, JITTER, BOTH)
ORDINARY, OTHER, FLAT, DARKER = "ordinary", "other setting", "flat", "tops darker"
COMPLEMENT = "tops darker, complement"
"""What is judged: mean IoU with the layout, and for reversed contrast with its complement as well."""
FLAT_GAIN = 0.3
"""Of the images that are flatter than any in training."""


@dataclass(frozen=True)
class ContrastSetting:
    """Sizes at one scale. `polish`: last steps with a tenth of the rate."""

    size: int
    base_filters: int
    multipliers: tuple[int, ...]
    pairs: int
    steps: int
    polish: int
    test_pairs: int
    seeds: int
    batch: int = 8
    lr: float = 3e-3

    @property
    def network(self) -> ResidualUNetConfig:
        """The small U-Net of the page."""
        return ResidualUNetConfig(base_filters=self.base_filters, multipliers=self.multipliers)


SETTINGS: Mapping[str, ContrastSetting] = {
    "smoke": ContrastSetting(32, 4, (1, 2), 16, 4, 2, 8, 2),
    "reduced": ContrastSetting(32, 8, (1, 2, 2), 1024, 480, 120, 256, 6),
    "full": ContrastSetting(64, 16, (1, 2, 2, 2), 8192, 6000, 1500, 512, 6),
}


class Detector(nn.Module):
    """In training, changes gain and offset of every image at random before `net` gets it.

    Images run from -1 to 1; a gain lies between 0.5 and 1.5, an offset between -0.4 and 0.4, a fifth of the
    range. What leaves the range is cut off, as a detector saturates. In eval mode nothing is changed.
    """

    def __init__(self, net: nn.Module, generator: torch.Generator) -> None:
        super().__init__()
        self.net, self.generator = net, generator

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) -> what `net` makes of it."""
        if self.training:
            gain, offset = torch.rand(2, len(x), 1, 1, 1, generator=self.generator).to(x.device)
            x = ((0.5 + gain) * x + 0.8 * offset - 0.4).clamp(-1, 1)
        return self.net(x)  # type: ignore[no-any-return]


def flat(sem: Tensor) -> Tensor:
    """SEM images in [0, 1] with 0.3 of their contrast, less than any in training has."""
    return FLAT_GAIN * (sem - 0.5) + 0.5


def _pairs(setting: ContrastSetting, split: str, seed: int, imaging: ImagingConfig) -> PairedDataset:
    count = setting.pairs if split == "train" else setting.test_pairs
    return make_pairs(
        "procedural", split=split, count=count, size=setting.size, seed=seed, imaging=imaging, progress=False
    )


def train_arm(arm: str, seed: int, scale: str) -> nn.Module:
    """One network, trained as the page trains it; in eval mode."""
    setting = SETTINGS[scale]
    kinds = [_pairs(setting, "train", seed, imaging) for imaging in (PRESETS["default"], REVERSED)]
    sem, layout = network_from_uint8(kinds[0].sem), network_from_uint8(kinds[0].layout)
    if arm == BOTH:
        sem[::2] = network_from_uint8(kinds[1].sem[::2])  # of the same layouts
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net = ResidualUNet(setting.network, seed=seed).to(device)
    trained = Detector(net, torch.Generator().manual_seed(seed)) if arm == JITTER else net
    draws = torch.Generator(device).manual_seed(seed)
    for steps, lr in ((setting.steps, setting.lr), (setting.polish, setting.lr / 10)):
        train_translator(trained, sem.to(device), layout.to(device), steps, setting.batch, lr, draws)
    return net.eval()


def score(net: nn.Module, seed: int, scale: str) -> dict[str, float]:
    """Mean IoU of a network on every kind of test image."""
    setting = SETTINGS[scale]
    test, darker = (_pairs(setting, "test", seed, imaging) for imaging in (PRESETS["default"], REVERSED))
    sem, layout = unit_from_uint8(test.sem), unit_from_uint8(test.layout)
    shown = {
        ORDINARY: sem,
        OTHER: other_setting(sem, seed),
        FLAT: flat(sem),
        DARKER: unit_from_uint8(darker.sem),
    }
    with torch.no_grad():
        answers = {name: translate(net, images) for name, images in shown.items()}  # type: ignore[arg-type]
    scores = {name: float(iou(answer, layout).mean()) for name, answer in answers.items()}
    return scores | {COMPLEMENT: float(iou(answers[DARKER], 1 - layout).mean())}


def run_seed(seed: int, scale: str, arms: Sequence[str] = ARMS) -> Row:
    """Train the arms with one seed and score them: {arm: {quantity: value}}."""
    return {arm: score(train_arm(arm, seed, scale), seed, scale) for arm in arms}


def judged(table: Table) -> Mapping[str, Any]:
    """What decides G41: the IoU of both arms on images of another setting, and its loss on ordinary ones."""
    other, ordinary = (table.values(name, JITTER, PLAIN) for name in (OTHER, ORDINARY))
    costs = [with_it - without for with_it, without in zip(ordinary[JITTER], ordinary[PLAIN], strict=True)]
    numbers = {f"{arm}, {name}": v for arm, means in table.means().items() for name, v in means.items()}
    return {"data": {"another setting": other, "ordinary images": costs}, "numbers": numbers}


SWEEP = Sweep(
    "contrast",
    run_seed,
    {scale: setting.seeds for scale, setting in SETTINGS.items()},
    lambda scale: asdict(SETTINGS[scale]),
    {"G41": judged},
)
