"""Lesson 13: stored values as grey values, or a refusal."""

from torch import Tensor

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

ex = Exercise(
    id="decode_depth",
    lesson="13",
    title="Grey values, or a refusal",
    difficulty=2,
    minutes=10,
    spec="""
    An image file stores `values` as "uint8", "uint16" or "float". Return grey values in [0, 1], or None to
    refuse. 8 bits: divide by 255. 16 bits: if the client states `bits`, divide by `2**bits - 1`, and refuse
    if a value does not fit; if it states nothing, divide by 65535, but refuse if all values are below 4096:
    that is a 12-bit image or a black one, and nobody can tell which. Floats are taken as they are if all lie
    in [0, 1], else refused. `bits` stated for anything but 16-bit values is a mistake: refuse.
    """,
    hints=(
        "Refuse first: `bits` that was stated for other than 16-bit values.",
        "The largest value that `bits` bits can hold is `2**bits - 1`; that is white.",
        "For 16 bits: `white = 2 ** (bits or 16) - 1`; refuse if `values.max() > white`, or if `bits is "
        "None` and `values.max() < 4096`.",
    ),
    source="The course's `decode`; Pillow's own conversion turns 16-bit images white.",
)


@ex.reference
def decode_depth(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    """Stored values (float64, any shape), their type, the bits the client states -> the same in [0, 1]."""
    if stored != "uint16" and bits is not None:
        return None
    if stored == "float":
        return values if values.min() >= 0 and values.max() <= 1 else None
    if stored == "uint8":
        return values / 255
    white = 2 ** (bits or 16) - 1
    unclear = bits is None and values.max() < 4096
    return None if unclear or values.max() > white else values / white


def _image(*values: float) -> Tensor:
    import torch

    return torch.tensor([values], dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    return [
        (_image(0, 128, 255), "uint8", None),
        (_image(0, 1, 1), "uint8", None),
        (_image(0, 128, 255), "uint8", 12),
        (_image(0, 30000, 65535), "uint16", None),
        (_image(0, 10000, 20000), "uint16", None),
        (_image(0, 4095), "uint16", None),
        (_image(0, 4096), "uint16", None),
        (_image(0, 0), "uint16", None),
        (_image(0, 2048, 4095), "uint16", 12),
        (_image(0, 900), "uint16", 12),
        (_image(0, 4096), "uint16", 12),
        (_image(100, 1023), "uint16", 10),
        (_image(3, 900), "uint16", 16),
        (_image(3, 65535), "uint16", 16),
        (_image(0.0, 0.5, 1.0), "float", None),
        (_image(0.2, 0.4), "float", None),
        (_image(-0.01, 0.5), "float", None),
        (_image(0.0, 1.5), "float", None),
        (_image(0.0, 0.5), "float", 16),
    ]


@ex.inputs
def _(case: Case) -> Args:
    import torch

    stored = case.choice(("uint8", "uint16", "uint16", "uint16", "float"))
    unit = case.rand(case.height, case.width).to(torch.float64)
    if stored == "float":
        return unit, stored, None
    if stored == "uint8":
        return (unit * 255).round(), stored, None
    bits = case.choice((None, 10, 12, 14, 16))
    return (unit * (2 ** (bits or case.choice((12, 16))) - 1)).round(), stored, bits


def _right(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    function = ex.function
    found: Tensor | None = function(values, stored, bits)
    return found


@ex.wrong("eight_bits_always", "You divide everything by 255: a 16-bit image becomes white.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return (values / 255).clamp(0, 1) if found is not None and stored == "uint16" else found


@ex.wrong(
    "bits_ignored",
    "You divide by 65535 whatever the client states: a 12-bit image comes out almost black.",
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return values / 65535 if found is not None and stored == "uint16" else found


@ex.wrong(
    "guesses",
    "You guess that dark 16-bit images are 12-bit ones: an almost black image becomes a bright one.",
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "uint16" and bits is None and values.max() < 4096:
        return values / 4095
    return _right(values, stored, bits)


@ex.wrong("lets_dark_pass", "You let 16-bit values below 4096 pass without a word on their bits.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "uint16" and bits is None:
        return values / 65535
    return _right(values, stored, bits)


@ex.wrong(
    "stretches", "You stretch each image to its own maximum: brightness, which drift shows in, is gone."
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return found / found.max().clamp(min=1e-9) if found is not None else None


@ex.wrong("clips", "You clip what does not fit: a wrong statement goes unnoticed, and bright parts are lost.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "uint16" and bits is not None:
        return (values / (2**bits - 1)).clamp(0, 1)
    return _right(values, stored, bits)


@ex.wrong("power_of_two", "You divide by `2**bits`: white is then a little less than 1.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return values / 2 ** (bits or 16) if found is not None and stored == "uint16" else found


@ex.wrong("floats_clipped", "You clip floats to [0, 1]: values beyond it have an unknown white, so refuse.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return values.clamp(0, 1) if stored == "float" and bits is None else _right(values, stored, bits)


@ex.wrong(
    "extra_bits_pass", "You take no notice of `bits` for an 8-bit or float image: somebody is mistaken."
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return _right(values, stored, bits if stored == "uint16" else None)


@ex.right
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    top = float(values.max())
    if stored == "uint16":
        if bits is None:
            return values / 65535 if top >= 2**12 else None
        return values / (2**bits - 1) if top < 2**bits else None
    if bits is not None:
        return None
    if stored == "uint8":
        return values / 255
    inside = bool(((values >= 0) & (values <= 1)).all())
    return values if inside else None


@ex.right
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    whites = {"uint8": 255.0, "uint16": 2.0 ** (bits or 16) - 1, "float": 1.0}
    grey = values / whites[stored]
    dark = not bool((values >= 4096).any())
    refused = (bits is None and dark) if stored == "uint16" else bits is not None
    return None if refused or float(grey.max()) > 1 or float(grey.min()) < 0 else grey


@ex.right
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if bits is not None and stored in ("uint8", "float"):
        return None
    if stored == "uint8":
        return values * (1 / 255)
    if stored == "float":
        return None if values.lt(0).any() or values.gt(1).any() else values.clone()
    if bits is None and values.max().item() <= 4095:
        return None
    white = (1 << (16 if bits is None else bits)) - 1
    return None if values.gt(white).any() else values.div(white)


ex.right(_right)
