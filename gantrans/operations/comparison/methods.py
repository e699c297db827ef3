"""The methods that are compared, as recipes on the same pairs, and the direction of a folder of pairs."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from gantrans.data import PairedFolder
from gantrans.data.encoding import Encoding
from gantrans.directions import direction as registered
from gantrans.directions import directions, image_names
from gantrans.errors import ConfigError, DataError
from gantrans.translation import Recipe, recipe
from gantrans.translation.presets import with_channels
from gantrans.translation.sources import SIMULATED, open_folder

METHODS = {
    "l1": "residual U-Net trained with L1 alone: one answer per input",
    "gan": "U-Net with a conditional discriminator (pix2pix)",
    "diffusion": "conditional denoiser: as many answers per input as one draws",
    "transformer": "vision transformer trained with L1 alone: one answer per input",
}
"""What each is, for the report and for `--help`."""
DEFAULT = ("l1", "gan", "diffusion")
_LOOKED_AT = 24
_LEVELS = 0.05  # how far from black or white, in [0, 1], a pixel of a two-valued image may be (JPEG)
_CLEAR = 0.98


def check_methods(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, if all are methods, each once, and at least two.

    Raises:
        ConfigError: naming the first that is not.
    """
    if unknown := [name for name in names if name not in METHODS]:
        raise ConfigError(f"There is no method {unknown[0]!r}; choose from {', '.join(METHODS)}.")
    if len(set(names)) != len(names) or len(names) < 2:
        raise ConfigError(
            f"--methods is {','.join(names)!r}; give at least two methods, each once, such as l1,gan."
        )
    return names


def method_recipe(
    method: str,
    direction: str,
    scale: str,
    source: str,
    *,
    size: int | None = None,
    seed: int = 0,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
) -> Recipe:
    """The recipe of a method, with the pairs, tile size and batch size that all methods have at this scale.

    A direction with a grey target has no recipe with L1 alone: it takes networks and optimisation from that
    of a binary one, with the score that suits.

    Raises:
        ConfigError, DataError: see `gantrans.translation.recipe`; also for classes, which one method trains.
    """
    kind = registered(direction).target_kind
    if kind == "classes":
        raise ConfigError(
            f"compare sets methods beside each other that make images, and {direction} gives classes, which "
            "one method trains; use `python -m gantrans train` and `evaluate`."
        )
    stated = {"seed": seed, "pixel_nm": pixel_nm, "bits": bits, "encoding": encoding}
    default = recipe(direction, scale, source, **stated)  # type: ignore[arg-type]
    data = default.data if size is None else replace(default.data, size=size)
    chosen = default
    if method == "l1" and kind == "grey":
        other = _of_kind("binary", scale, seed)
        fitting = replace(other.fit, monitor="l1", monitor_mode="min")
        chosen = replace(default, task=with_channels(other.task, default.channels), fit=fitting)
    elif method != "l1":
        chosen = recipe(direction, scale, source, name=method, **stated)  # type: ignore[arg-type]
    return replace(chosen, data=data, batch_size=default.batch_size)


def _of_kind(kind: str, scale: str, seed: int) -> Recipe:
    """The default recipe of the first direction with that kind of target, on simulated pairs."""
    first = next(name for name in directions() if registered(name).target_kind == kind)
    return recipe(first, scale, seed=seed)


def choose_direction(
    source: str,
    stated: str | None,
    pixel_nm: float | None = None,
    bits: int | None = None,
    encoding: Encoding | None = None,
) -> tuple[str, str]:
    """The direction of a comparison, and the reason for it, in words for the report.

    A stated direction counts. Else classes and colour, which the owner states; else `pairs.json` states what
    `input/` holds; else the targets are looked at: two-valued ones are compared as those of "sem2layout",
    grey ones as those of "layout2sem".

    Raises:
        DataError: the folder cannot be used, or has targets of both kinds.
    """
    if stated is not None:
        return registered(stated).name, "as stated by --direction"
    if source in SIMULATED:
        return "sem2layout", f"the usual one of {source}"
    folder = open_folder(source, pixel_nm, bits, encoding)
    if folder.encoding.classes:
        return "image2classes", "the targets hold classes"
    held = folder.manifest.get("input")
    if folder.encoding.colour or held == "image":
        if "target" in folder.encoding.colour:
            return "image2image", "the targets are stated to be in colour"
        if all(_two_valued(folder, name) for name in _some(folder)):
            return "image2mask", "all targets looked at are black and white"
        return "image2image", "not all targets looked at are black and white"
    if held:
        fitting = [name for name in directions() if registered(name).input == held]
        if len(fitting) == 1:
            return fitting[0], f"pairs.json states that input/ holds {held} images"
        raise DataError(
            f"{Path(source) / 'pairs.json'} states that input/ holds {held} images (of "
            f"{', '.join(image_names())}), which {len(fitting)} directions translate; choose "
            "one with --direction."
        )
    return _by_targets(folder)


def _some(folder: PairedFolder) -> list[str]:
    names = folder.names()
    return names[:: max(1, len(names) // _LOOKED_AT)][:_LOOKED_AT]


def _by_targets(folder: PairedFolder) -> tuple[str, str]:
    some = _some(folder)
    clear = sum(_two_valued(folder, name) for name in some)
    if clear == len(some):
        return "sem2layout", f"all {clear} targets looked at are black and white, as a layout is"
    if clear == 0:
        return "layout2sem", f"all {len(some)} targets looked at are grey, as an SEM image is"
    raise DataError(
        f"{clear} of {len(some)} targets of {folder.root} are black and white and the others grey; state "
        "with --direction sem2layout (two values) or --direction layout2sem (grey) how to judge them."
    )


def _two_valued(folder: PairedFolder, name: str) -> bool:
    values = folder.read(name)[1].numpy() / 255.0
    return bool((np.minimum(values, 1.0 - values) < _LEVELS).mean() > _CLEAR)
