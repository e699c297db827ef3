"""How large a run is, in one place: smoke proves the mechanics, reduced teaches on a CPU, full on a GPU.

An explicit scale wins over the environment variable GANTRANS_SCALE, which wins over the machine.
"""

import os

from gantrans.errors import ConfigError

SCALES = ("smoke", "reduced", "full")
FULL_NEEDS_GB = 16


def resolve_scale(scale: str | None = None) -> str:
    """The scale to run at: `scale`, else GANTRANS_SCALE, else full on a CUDA device with 16 GB, else reduced.

    None, the empty string and "auto" mean "no choice" in both places.

    Raises:
        ConfigError: for any other word; the message names its source.
    """
    for choice, source in ((scale, "scale"), (os.environ.get("GANTRANS_SCALE"), "GANTRANS_SCALE")):
        if choice in SCALES:
            return str(choice)
        if choice not in (None, "", "auto"):
            raise ConfigError(f"{source} is {choice!r}; choose auto, {', '.join(SCALES)}.")
    return "full" if _has_large_gpu() else "reduced"


def _has_large_gpu() -> bool:
    import torch  # two seconds to import: only when the answer depends on it

    if not torch.cuda.is_available():
        return False
    return torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory >= FULL_NEEDS_GB * 1e9
