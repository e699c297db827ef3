"""The check of a folder of pairs at the start of a command that trains on it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from gantrans.data.encoding import Encoding
    from gantrans.translation import Recipe


def look_first(chosen: "Recipe", accept: Sequence[str] | None, scale: str) -> "Recipe":
    """Check the folder of a recipe and print one line; a simulated source is not checked.

    Args:
        accept: names of warnings that do not stop.
        scale: at "smoke", a proof that everything runs, few pairs are no reason to stop.

    Returns:
        The recipe, with the names of accepted warnings.

    Raises:
        DataError: something stops the training; one sentence with the worst of it.
        ConfigError: `accept` has a name that no warning has.
    """
    data, taken = chosen.data, tuple(accept or ())
    line = look_at(
        data.source, taken, scale, direction=chosen.directions[0], size=data.size, bits=data.bits,
        encoding=data.encoding,
    )  # fmt: skip
    if line:
        typer.echo(line)
    return replace(chosen, data=replace(data, accepted=taken))


def look_at(
    source: str,
    accept: Sequence[str],
    scale: str,
    *,
    direction: str | None,
    bits: int | None,
    encoding: "Encoding | None",
    size: int | None = None,
) -> str:
    """Check a source as in `look_first`; accepted warnings are printed to standard error.

    Returns:
        What was found, in one line; "" for a simulated source.
    """
    from gantrans.data.check.checking import check_folder, checked_names
    from gantrans.translation.sources import SIMULATED, open_folder

    checked_names(accept)
    if source in SIMULATED:
        return ""
    open_folder(source, bits=bits, encoding=encoding)  # or its sentence on sources
    report = check_folder(
        source, direction=direction, size=size, bits=bits, encoding=encoding,
        accept=(*accept, "few-pairs") if scale == "smoke" else accept,
    )  # fmt: skip
    report.stop()
    for found in report.accepted:
        if found.name in accept:
            typer.echo(f"accepted: {found.name}: {found.seen} {found.effect}", err=True)
    return report.line()
