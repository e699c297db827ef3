"""The check of a folder of pairs at the start of a command that trains on it."""

from collections.abc import Sequence

import typer

from gantrans.data.encoding import Encoding


def look_first(
    source: str,
    direction: str,
    *,
    size: int,
    bits: int | None,
    encoding: Encoding,
    accept: Sequence[str],
    trial: bool = False,
) -> None:
    """Check a folder and print one line; a simulated source is not checked.

    Args:
        size: side of the network's images in pixels.
        accept: names of warnings that do not stop.
        trial: a run that only proves that everything runs: few pairs are no reason to stop.

    Raises:
        DataError: something stops the training; one sentence with the worst of it.
        ConfigError: `accept` has a name that no warning has.
    """
    from gantrans.data.check import check_folder
    from gantrans.data.check.checking import checked_names
    from gantrans.translation.sources import SIMULATED

    checked_names(accept)
    if source in SIMULATED:
        return
    taken = (*accept, "few-pairs") if trial else accept
    report = check_folder(source, direction=direction, size=size, bits=bits, encoding=encoding, accept=taken)
    report.stop()
    for found in report.accepted:
        if found.name in accept:
            typer.echo(f"accepted: {found.name}: {found.seen} {found.effect}", err=True)
    typer.echo(report.line())
