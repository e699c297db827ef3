"""Lesson 10, claims G23 and G24: what SSIM sees, and when two implementations of it agree.

G23: layouts with one fault each, against the true layout; SSIM of the true layout with itself is 1, so its
fall is 1 - SSIM. Beside it: SEM images of one geometry with other noise, without any, and moved by a pixel.
"""

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.metrics import structural_similarity
from torch import Tensor

from gantrans.data.imaging import DEFAULT
from gantrans.data.printing import print_layouts
from gantrans.data.sem import acquire
from gantrans.metrics import compare_topology, ssim
from gantrans.metrics.image import WINDOW
from gantrans.teaching.sweeps.registry import experiment
from lessons.lesson10.experiments.perturbations import FAULTS, PIXEL_NM, centre, layouts, shifted


@dataclass(frozen=True)
class GateSetting:
    """How many layouts of which size, px."""

    count: int
    size: int


SETTINGS: Mapping[str, GateSetting] = {
    "smoke": GateSetting(12, 64),
    "reduced": GateSetting(128, 128),
    "full": GateSetting(128, 256),
}
PARTS: Mapping[str, tuple[str, float]] = {
    "bridge": ("bridge", 2.0),
    "open": ("open", 2.0),
    "CD +2 px": ("CD bias", 2.0),
    "blur": ("blur", 1.0),
}
"""Part of the rule of G23 -> fault and strength in px of 20 nm: a bridge 2 px wide, a gap of 2 px, ..."""
STEADY = dataclasses.replace(DEFAULT.fixed(), edge_dropout=0.0, ramp=(0.0, 0.0))
"""Imaging in which nothing but shot noise, detector noise and jitter differs between two acquisitions."""


def falls(wide: Tensor, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Part -> 1 - SSIM per layout that could have the fault."""
    true = centre(wide)
    result = {}
    for part, (fault, strength) in PARTS.items():
        faulty, possible = FAULTS[fault].draw(wide, strength, seed)
        fall = 1 - ssim(centre(faulty).double(), true.double(), data_range=1.0)
        result[part] = fall[possible].numpy()
    return result


def acquisitions(wide: Tensor, margin_px: int, seed: int = 0) -> dict[str, Tensor]:
    """SEM images (N, 1, S, S) in [0, 1] of one printed geometry.

    "one draw" and "another draw" differ in noise alone; "no noise" is what both scatter about; "moved" is
    another draw of the geometry moved down and right by one pixel.
    """
    indices = range(len(wide))

    def image(layout: Tensor, draw: int, noise: bool = True) -> Tensor:
        distance = print_layouts(layout[:, 0], STEADY, PIXEL_NM, seed, indices)
        seen = acquire(distance, STEADY, PIXEL_NM, draw, indices, margin_px=margin_px, noise=noise)
        return seen.unsqueeze(1)

    moved = torch.nn.functional.pad(image(wide, 1, noise=False), (1, 0, 1, 0), mode="replicate")
    noise = image(wide, 2) - image(wide, 2, noise=False)
    return {
        "one draw": image(wide, 0),
        "another draw": image(wide, 1),
        "no noise": image(wide, 0, noise=False),
        "moved": (moved[..., :-1, :-1] + noise).clamp(0, 1),
    }


@experiment("G23")
def gate(scale: str) -> dict[str, Any]:
    """Falls of SSIM per fault, each with the mean number of defects that topology counts."""
    setting = SETTINGS[scale]
    wide = layouts(setting.count, setting.size, 0)
    data = falls(wide)
    numbers = {f"{part}: images": float(len(v)) for part, v in data.items()}
    for part, (fault, strength) in PARTS.items():
        faulty, possible = FAULTS[fault].draw(wide, strength, 0)
        found = compare_topology(centre(faulty)[possible], centre(wide)[possible])
        numbers[f"{part}: defects"] = float(found.defects.double().mean())
    moved = 1 - ssim(centre(shifted(wide, 1.0)), centre(wide), data_range=1.0)
    numbers["layout moved by 1 px"] = float(moved.mean())
    seen = acquisitions(wide, (wide.shape[-1] - setting.size) // 2)
    first = seen.pop("one draw")
    numbers |= {f"SEM: {n}": float(ssim(x, first, data_range=1.0).mean()) for n, x in seen.items()}
    return {"data": {part: v.tolist() for part, v in data.items()}, "numbers": numbers, "config": setting}


def skimage_ssim(pred: Tensor, target: Tensor, **settings: Any) -> NDArray[np.float64]:
    """scikit-image's SSIM per image (N,); `settings` as it names them."""
    pairs = zip(pred[:, 0].numpy(), target[:, 0].numpy(), strict=True)
    return np.array([structural_similarity(p, t, **settings) for p, t in pairs])


WANG: Mapping[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
"""Wang et al.'s settings, as scikit-image names them."""
SLIPS: Mapping[str, Mapping[str, Any]] = {
    "as Wang et al. 2004": {**WANG, "data_range": 1.0},
    "data range 255": {**WANG, "data_range": 255.0},
    "data range 2": {**WANG, "data_range": 2.0},
    "sample covariance": {**WANG, "use_sample_covariance": True, "data_range": 1.0},
    "7 x 7 box window (default)": {"data_range": 1.0},
    "sigma 2.5": {**WANG, "sigma": 2.5, "data_range": 1.0},
}
"""Settings of one and the same library, for images in [0, 1]."""


def gate_images(count: int, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two draws of one geometry to try settings on: SEM images (count, 1, size, size), float64."""
    wide = layouts(count, size, seed)
    seen = acquisitions(wide, (wide.shape[-1] - size) // 2, seed)
    return seen["one draw"].double(), seen["another draw"].double()


def slip_table(pred: Tensor, target: Tensor) -> dict[str, dict[str, float]]:
    """Mean SSIM by setting, what it lacks to 1, and its largest difference per image from ours.

    For float64 images in [0, 1].
    """
    ours = ssim(pred, target, data_range=1.0).numpy()
    found = {"gantrans": ours}
    found |= {name: skimage_ssim(pred, target, **settings) for name, settings in SLIPS.items()}
    found["border kept"] = border_kept(pred, target)
    return {
        name: {
            "SSIM": float(values.mean()),
            "1 - SSIM": float(1 - values.mean()),
            "largest difference": float(np.abs(values - ours).max()),
        }
        for name, values in found.items()
    }


def border_kept(pred: Tensor, target: Tensor) -> NDArray[np.float64]:
    """SSIM per image with the windows that reach over the border (mirrored there), as some libraries do."""
    pairs = zip(pred[:, 0].numpy(), target[:, 0].numpy(), strict=True)
    maps = [structural_similarity(p, t, full=True, data_range=1.0, **WANG)[1] for p, t in pairs]
    return np.array([m.mean() for m in maps])


def have_torchmetrics() -> bool:
    """Whether `torchmetrics` is installed: a developer's dependency, which no lesson needs."""
    return importlib.util.find_spec("torchmetrics") is not None


@experiment("G24")
def agreement(scale: str) -> dict[str, Any]:
    """Largest difference per image between our SSIM and scikit-image's (and torchmetrics', if installed).

    torchmetrics 1.9 averages over windows that reach into a mirrored border, too; its map, cropped, agrees.
    """
    setting = SETTINGS[scale]
    pred, target = gate_images(min(setting.count, 32), setting.size)
    table = slip_table(pred, target)
    data = {
        "same settings": table["as Wang et al. 2004"]["largest difference"],
        "default settings": table["7 x 7 box window (default)"]["largest difference"],
        "wrong data range": table["data range 255"]["largest difference"],
    }
    numbers = {f"{name}: SSIM": row["SSIM"] for name, row in table.items()}
    if have_torchmetrics():
        from torchmetrics.functional.image import structural_similarity_index_measure as theirs

        ours = ssim(pred, target, data_range=1.0)
        kept, full = theirs(pred, target, data_range=1.0, reduction="none", return_full_image=True)
        cropped = full[..., WINDOW // 2 : -(WINDOW // 2), WINDOW // 2 : -(WINDOW // 2)].mean((1, 2, 3))
        numbers["torchmetrics"] = float((kept - ours).abs().max())
        numbers["torchmetrics, border cropped"] = float((cropped - ours).abs().max())
    return {"data": data, "numbers": numbers, "config": setting}
