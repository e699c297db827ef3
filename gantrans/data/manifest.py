"""`pairs.json`: what the owner of a folder of pairs states of it.

Keys, all optional: "input" (what the inputs show, a name of `gantrans.directions`), "pixel_nm", "bits",
"family" (label by name), and the fields of `gantrans.data.encoding.Encoding`. Others are kept as they are.
"""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gantrans.config import to_dict
from gantrans.data.encoding import Encoding
from gantrans.data.reading import BITS
from gantrans.directions import image_names
from gantrans.errors import ConfigError, DataError
from gantrans.files import replace_file

MANIFEST = "pairs.json"
MAX_PIXEL_NM = 1e4
_KEYS = tuple(f.name for f in fields(Encoding))


def read_manifest(path: Path) -> dict[str, Any]:
    """The checked contents of a `pairs.json`; {} if there is none. See `encoding_of` for its encoding.

    Raises:
        DataError: it is no JSON object, or a value is not allowed.
    """
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); repair or remove it.") from error
    if not isinstance(manifest, dict) or manifest.get("input") not in (None, *image_names()):
        names = " or ".join(f'"{name}"' for name in image_names())
        raise DataError(f'{path} must be an object with "input": {names}, or without "input".')
    pixel, bits = manifest.get("pixel_nm"), manifest.get("bits")
    if pixel is not None and not (_is_number(pixel) and 0 < pixel <= MAX_PIXEL_NM):
        raise DataError(
            f"{path} gives pixel_nm {_shortened(pixel)}; it must be a number of nanometres above 0 and up to "
            f"{MAX_PIXEL_NM:,.0f}, or null."
        )
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or bits not in BITS):
        choices = ", ".join(map(str, BITS))
        raise DataError(f"{path} gives bits {_shortened(bits)}; choose one of {choices}, or null.")
    family = manifest.get("family", {})
    if not isinstance(family, dict):
        raise DataError(f"{path} gives family {_shortened(family)}; it must be an object of name: family.")
    known = {key: value for key, value in manifest.items() if key != "input" or value is not None}
    labels = {unicodedata.normalize("NFC", name): label for name, label in family.items()}
    return {**known, "family": labels}


def encoding_of(manifest: Mapping[str, Any], path: Path) -> Encoding:
    """The encoding that a manifest states; absent and null fields have their default.

    Args:
        path: of the manifest, for messages.

    Raises:
        DataError: a value is not allowed.
    """
    stated = {key: manifest[key] for key in _KEYS if manifest.get(key) is not None}
    try:
        return Encoding(**{key: _restored(key, value, path) for key, value in stated.items()})
    except ConfigError as error:
        raise DataError(f"{path} states a wrong encoding: {error}") from error


def write_manifest(
    root: str | Path, encoding: Encoding, *, bits: int | None = None, pixel_nm: float | None = None
) -> Path:
    """Write an encoding, and bits and pixel size unless None, to the `pairs.json` of a folder.

    What the file states beside these is kept; an encoding that it had is replaced as a whole.

    Raises:
        DataError: the file that is there is wrong, or cannot be written.
    """
    path = Path(root) / MANIFEST
    read_manifest(path)  # or its sentence
    manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"format": 1}
    default = to_dict(Encoding())
    new = {key: value for key, value in to_dict(encoding).items() if value != default[key]}
    new |= {key: value for key, value in (("bits", bits), ("pixel_nm", pixel_nm)) if value is not None}
    kept = {key: value for key, value in manifest.items() if key not in _KEYS}
    text = json.dumps({**kept, **new}, indent=1, ensure_ascii=False) + "\n"
    try:
        replace_file(path, text.encode("utf-8"))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def _restored(key: str, value: Any, path: Path) -> Any:
    """A value of JSON as the field of an `Encoding`."""
    several = list(value) if isinstance(value, list) else [value]
    if key == "white" and _is_number(value):
        return float(value)
    if key == "swap" and isinstance(value, bool):
        return value
    if key in ("layout", "split_by") and isinstance(value, str):
        return value
    if key in ("invert", "colour") and all(isinstance(name, str) for name in several):
        return tuple(several)
    if key == "mask_values" and len(several) == 2 and all(map(_is_whole, several)):
        return tuple(several)
    if key == "classes" and all(_is_whole(one) or isinstance(one, str) for one in several):
        if len(several) == 1 and _is_whole(several[0]) and several[0] <= 256:
            return tuple(map(str, range(several[0])))
        return tuple(str(one).lower() for one in several)
    raise DataError(f"{path} gives {key} {_shortened(value)}; it must be {_EXAMPLES[key]}, or null.")


_EXAMPLES = {
    "white": "a number such as 4095",
    "mask_values": "two whole numbers such as [0, 1]",
    "classes": 'a list such as [0, 1, 2] or ["#000000", "#ff0000"], or their number',
    "invert": '"input", "target" or a list of them',
    "layout": 'a name such as "side-by-side"',
    "swap": "true or false",
    "split_by": 'a regular expression such as "^wafer[0-9]+"',
    "colour": '"input", "target" or a list of them',
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
