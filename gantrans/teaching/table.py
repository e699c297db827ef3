"""Tables that the commands print."""

import json
from collections.abc import Sequence

import typer


def show_table(rows: Sequence[dict[str, object]], *, json_output: bool, width: int = 48) -> None:
    """Print rows of equal keys as a table, long texts shortened, or whole as JSON."""
    if json_output:
        typer.echo(json.dumps(list(rows), indent=1, default=str))
        return
    if not rows:
        typer.echo("Nothing to show.")
        return
    head = list(rows[0])
    cells = [[_short(str(row[key]), width) for key in head] for row in rows]
    widths = [max(len(line[i]) for line in [head, *cells]) for i in range(len(head))]
    for line in [head, ["-" * w for w in widths], *cells]:
        typer.echo("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)).rstrip())


def _short(text: str, width: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
