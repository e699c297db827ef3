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
    in [0, 1], else refused; NaN does not lie there. `bits` stated for anything but 16-bit values is a
    mistake: refuse.
    """,
    hints=(
        "Refuse first: `bits` that was stated for other than 16-bit values.",
        "The largest value that `bits` bits can hold is `2**bits - 1`; that is white.",
        "For 16 bits: `white = 2 ** (bits or 16) - 1`; refuse if `values.max() > white`, or if `bits is "
        "None` and `values.max() < 4096`.",
    ),
    source="The course's `decode`; Pillow's own conversion turns 16-bit images white.",
    equivalent={
        "value.detach()": "stored values are data: no gradient is asked for",
        "value.double()": "stored values come as float64",
    },
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
    white = 2 ** (16 if bits is None else bits) - 1
    unclear = bits is None and values.max() < 4096
    return None if unclear or values.max() > white else values / white


def _image(*values: float) -> Tensor:
    import torch

    return torch.tensor([values], dtype=torch.float64)


@ex.edges
def _() -> list[Args]:
    nan, inf = float("nan"), float("inf")
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
        *((_image(0.25, value, 0.5), "float", None) for value in (nan, inf, -inf, 1 + 1e-7, -1e-9)),
        (_image(nan), "float", None),
        (_image(0.0), "float", None),
        (_image(1.0, 1.0), "float", None),
        (_image(0.0, 0.5), "float", 8),
        (_image(0, 7), "uint8", 8),
        (_image(0, 0), "uint8", None),
        *((_image(3, value), "uint16", 8) for value in (255, 256)),
        *((_image(3, value), "uint16", 12) for value in (4094, 4095, 4097, 65535)),
        *((_image(3, value), "uint16", 1) for value in (3, 1)),
        (_image(0, 1, 1), "uint16", 1),
        (_image(5, 4000, 65000), "uint16", None),
        (_image(5000, 4095), "uint16", None),
        (_image(4096, 4096), "uint16", None),
        (_image(100, 200), "uint16", 16),
        (_image(0, 0), "uint16", 12),
        (_image(0, 0), "uint16", 16),
        (_image(0, 30000, 65535).T, "uint16", 16),
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


@ex.wrong(
    "nan_passes", "You look for values outside of [0, 1] and find no NaN: it is neither below nor above."
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "float" and bits is None:
        return None if (values < 0).any() or (values > 1).any() else values
    return _right(values, stored, bits)


@ex.wrong("floats_unchecked", "You take floats as they are without looking whether they lie in [0, 1].")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return values if stored == "float" and bits is None else _right(values, stored, bits)


@ex.wrong("white_float_refused", "You refuse floats of exactly 0 or 1; both lie in [0, 1].")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "float" and bits is None:
        return values if (values > 0).all() and (values < 1).all() else None
    return _right(values, stored, bits)


@ex.wrong("negative_floats_pass", "You look at the largest float only; values below 0 are refused as well.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "float" and bits is None:
        return values if values.max() <= 1 else None
    return _right(values, stored, bits)


@ex.wrong("raises", "You raise an error; to refuse is to return None.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor:
    found = _right(values, stored, bits)
    if found is None:
        raise ValueError("refused")
    return found


@ex.wrong(
    "one_value_too_many", "You let `2**bits` itself pass; the largest value of `bits` bits is one less."
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "uint16" and bits is not None:
        return values / (2**bits - 1) if values.max() <= 2**bits else None
    return _right(values, stored, bits)


@ex.wrong("white_refused", "You refuse the largest value that `bits` bits can hold; it fits.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return None if stored == "uint16" and bits is not None and values.max() >= 2**bits - 1 else found


@ex.wrong("fit_not_checked", "You do not look whether the values fit into the stated bits.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return values / (2**bits - 1) if stored == "uint16" and bits is not None else _right(values, stored, bits)


@ex.wrong("limit_refused", "You refuse images up to 4096, or 4096 itself; only those *below* it are unclear.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return None if stored == "uint16" and bits is None and values.max() <= 4096 else found


@ex.wrong("unclear_4095_passes", "You let 4095 pass without stated bits: it is below 4096, white of 12 bits.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if stored == "uint16" and bits is None:
        return values / 65535 if values.max() >= 4095 else None
    return _right(values, stored, bits)


@ex.wrong("any_dark_pixel", "You refuse as soon as one value is below 4096; only if all are it is unclear.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return None if stored == "uint16" and bits is None and values.min() < 4096 else found


@ex.wrong("stated_dark_refused", "You refuse dark images though the client states their bits.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return None if stored == "uint16" and values.max() < 4096 else found


@ex.wrong("by_256", "You divide 8-bit values by 256; white is 255.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return values / 256 if found is not None and stored == "uint8" else found


@ex.wrong("sixteen_bits_refused", "You refuse every 16-bit image whose bits are not stated.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return None if stored == "uint16" and bits is None else _right(values, stored, bits)


@ex.wrong("by_65536", "Without stated bits you divide by 65536; white is 65535.")
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    found = _right(values, stored, bits)
    return values / 65536 if found is not None and stored == "uint16" and bits is None else found


@ex.wrong(
    "eight_of_eight_pass",
    "You let 8 bits pass that were stated for an 8-bit image; refuse any statement there.",
)
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    return _right(values, stored, None if stored == "uint8" and bits == 8 else bits)


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
    inside = float(grey.min()) >= 0 and float(grey.max()) <= 1
    return None if refused or not inside else grey


@ex.right
def _(values: Tensor, stored: str, bits: int | None) -> Tensor | None:
    if bits is not None and stored in ("uint8", "float"):
        return None
    if stored == "uint8":
        return values * (1 / 255)
    if stored == "float":
        return values.clone() if values.ge(0).all() and values.le(1).all() else None
    if bits is None and values.max().item() <= 4095:
        return None
    white = (1 << (16 if bits is None else bits)) - 1
    return None if values.gt(white).any() else values.div(white)


ex.right(_right)


ex.breach("An image file stores `values`", "eight_bits_always")
ex.breach("Return grey values in [0, 1], or None to refuse.", "raises")
ex.breach("8 bits: divide by 255.", "by_256")
ex.breach("if the client states `bits`, divide by `2**bits - 1`", "power_of_two")
ex.breach("refuse if a value does not fit", "one_value_too_many")
ex.breach("refuse if all values are below 4096", "lets_dark_pass")
ex.breach("Floats are taken as they are if all lie in [0, 1]", "floats_clipped")
ex.breach("NaN does not lie there", "nan_passes")
ex.breach("`bits` stated for anything but 16-bit values", "extra_bits_pass")
