"""Lesson 10: judging layout -> SEM, where one noisy image is no ground truth for another.

Seven candidate answers to one layout, from another acquisition of the very geometry (as good as can be) to
the right grain on the wrong geometry. Pixel metrics compare each with one real image; the other judges read
the geometry back from the image and compare the statistics of the noise.
"""

import dataclasses
from functools import lru_cache

import torch.nn.functional as F
from torch import Tensor

from gantrans.data.imaging import PRESETS
from gantrans.data.printing import print_layouts
from gantrans.data.sem import acquire
from gantrans.metrics import compare_topology, epe, iou, l1, ssim
from gantrans.translation.baselines import BASELINES, choose_baseline, segment
from lessons.lesson05.experiments.patches import spectrum_distance
from lessons.lesson10.experiments.perturbations import (
    FAULTS,
    MARGIN,
    PIXEL_NM,
    blurred,
    centre,
    layouts,
    noisy,
)

IMAGING = dataclasses.replace(
    PRESETS["easy"].fixed(), edge_dropout=0.0, ramp=(0.0, 0.0), dose=(100.0, 100.0), ler_sigma_nm=(2.0, 2.0)
)
"""Steady imaging in which a classical method still finds the features."""
BEST = "another draw"


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Layouts, one real SEM image of each, and the answers by name: (N, 1, S, S) in [0, 1]."""

    layout: Tensor
    real: Tensor
    answers: dict[str, Tensor]


def _image(wide: Tensor, draw: int, noise: bool = True) -> Tensor:
    """Images of one printed geometry: `draw` names the noise."""
    indices = range(len(wide))
    distance = print_layouts(wide[:, 0], IMAGING, PIXEL_NM, 0, indices)
    seen = acquire(distance, IMAGING, PIXEL_NM, draw, indices, margin_px=MARGIN, noise=noise)
    return seen.unsqueeze(1)


@lru_cache(maxsize=2)
def candidates(count: int, size: int, seed: int = 0) -> Candidates:
    """Layouts of at least four features, one of which can go missing, and the answers to them."""
    drawn = layouts(3 * count, size, seed)
    drawn = drawn[compare_topology(centre(drawn), centre(drawn)).features >= 4]
    without, possible = FAULTS["missing feature"].draw(drawn, 1.0, seed)
    wide, without = drawn[possible][:count], without[possible][:count]
    wider, _ = FAULTS["CD bias"].draw(wide, 2.0, seed)
    clean = _image(wide, 0, noise=False)
    grain = _image(wide, 2) - clean
    smooth = blurred(grain, 1.0)
    answers = {
        BEST: _image(wide, 1),
        "no noise": clean,
        "half the noise": (clean + 0.5 * grain).clamp(0, 1),
        "smooth noise": (clean + smooth * (grain.std() / smooth.std())).clamp(0, 1),
        "level noise": noisy(clean, float(grain.std()), seed),
        "CD +2 px": _image(wider, 3),
        "a feature missing": _image(without, 3),
    }
    return Candidates(centre(wide), _image(wide, 0), answers)


def reader(found: Candidates) -> str:
    """The classical method that reads the layout best from the real images."""
    return choose_baseline(found.real, found.layout, tuple(BASELINES))[0]


def noise_level(images: Tensor) -> float:
    """Standard deviation of what a 3 x 3 mean leaves of the images: mostly noise, and a little of edges."""
    local = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    return float((images - local).std())


def noise_against_signal(images: Tensor, clean: Tensor, bins: int = 8) -> tuple[list[float], list[float]]:
    """Variance of `images` about the noise-free ones, in bins of brightness of equal size.

    Shot noise gives a straight line of slope 1 / dose: what a generator must learn besides geometry.
    """
    level, residual = clean.flatten(), (images - clean).flatten()
    parts = residual[level.argsort()].tensor_split(bins)
    levels = level.sort().values.tensor_split(bins)
    return [float(x.mean()) for x in levels], [float(r.var()) for r in parts]


def judge_answers(found: Candidates) -> dict[str, dict[str, float]]:
    """Answer -> judges: against the one real image; geometry read back; noise against the real images'."""
    variant, real = reader(found), found.real
    table = {}
    for name, image in found.answers.items():
        geometry = segment(image, variant)
        defects = compare_topology(geometry, found.layout).defects.double().mean()
        distance, _ = spectrum_distance(image, real)
        table[name] = {
            "L1": float(l1(image, real).mean()),
            "SSIM": float(ssim(image, real, data_range=1.0).mean()),
            "IoU": float(iou(geometry, found.layout).mean()),
            "EPE": float(epe(geometry, found.layout, PIXEL_NM).mean.nanmean()),
            "defects": float(defects),
            "fine noise / real": noise_level(image) / noise_level(real),
            "spectrum distance": distance,
        }
    return table
