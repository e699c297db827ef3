"""What the first screen of every lesson has: the cell of parameters, and the declared minutes."""

import re
from collections.abc import Iterator, Mapping, Sequence

from nbformat import NotebookNode

from gantrans.scales import SCALES
from gantrans.teaching.course import MOST_MINUTES
from gantrans.teaching.notebooks.cells import assigned


def parameters_place(cells: Sequence[NotebookNode]) -> int | None:
    """Where the one cell tagged `parameters` stands; None unless there is one among the first four cells."""
    places = [i for i, cell in enumerate(cells) if "parameters" in cell.metadata.get("tags", [])]
    return places[0] if len(places) == 1 and places[0] <= 3 else None


def parameters_problems(cells: Sequence[NotebookNode]) -> Iterator[str]:
    """The cell of parameters sets `scale` and `seed`."""
    place = parameters_place(cells)
    if place is None:
        yield "the first screen needs one cell tagged `parameters`, among the first four cells."
        return
    missing = {"scale", "seed"} - assigned(cells[place].source)
    if missing:
        yield f"the parameters cell does not set {' and '.join(sorted(missing))}."


def minutes_problems(text: str, minutes: Mapping[str, float]) -> Iterator[str]:
    """The declared minutes of the machine are allowed, and the text says them."""
    for scale in SCALES:
        declared = minutes.get(scale)
        if not isinstance(declared, (int, float)) or not 0 < declared <= MOST_MINUTES[scale]:
            most = MOST_MINUTES[scale]
            yield f"metadata.gantrans.minutes has {declared!r} for {scale}; at most {most:g} is allowed."
        elif not re.search(rf"\b{scale}\b\D{{0,12}}{re.escape(f'{declared:g}')}(?![\d.]*\d)", text):
            yield f"the first screen does not say the declared minutes: write `{scale} {declared:g}`."
