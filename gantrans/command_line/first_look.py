"""The check of a folder of pairs at the start of a command that trains on it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
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
    from gantrans.translation.sources import SIMULATED

    data, taken = chosen.data, tuple(accept or ())
    line, accepted = "", []
    if data.source in SIMULATED:
        from gantrans.data.check.checking import checked_names

        checked_names(taken)
    else:
        from gantrans.data.check import check_folder

        report = check_folder(
            data.source, direction=chosen.directions[0], size=data.size, bits=data.bits,
            encoding=data.encoding, accept=(*taken, "few-pairs") if scale == "smoke" else taken,
        )  # fmt: skip
        report.stop()
        line, accepted = report.line(), [found for found in report.accepted if found.name in taken]
    for found in accepted:
        typer.echo(f"accepted: {found.name}: {found.seen} {found.effect}", err=True)
    if line:
        typer.echo(line)
    return replace(chosen, data=replace(data, accepted=taken))
