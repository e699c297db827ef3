"""Show a figure once, with words for those who cannot see it.

JupyterLab takes no alt text from a PNG's metadata, so the output carries two forms: an HTML `<img>` with its
`alt` attribute, which a live front end prefers, and the PNG with `{"image/png": {"alt": ...}}`, which GitHub
and other viewers show. Where nobody watches (GANTRANS_HEADLESS=1) and in committed notebooks there is the PNG
alone (`committed_form`, half the size); the HTML is put back for reading (`readable_form`).
"""

import base64
import html
import io
import os
import sys
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gantrans.errors import GantransError
from gantrans.teaching.plots.style import COLOURS, STYLE, alt_text, figure_of

TWIN = "gantrans-figure"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


class Picture:
    """A PNG with alt text; `folded` puts it, in a live front end, behind a summary line to click."""

    def __init__(self, png: bytes, alt: str, folded: str | None = None) -> None:
        self.png, self.alt, self.folded = png, alt, folded

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        encoded = base64.b64encode(self.png).decode()
        image = _twin(encoded, self.alt)
        if self.folded is not None:
            image = f"<details><summary>{html.escape(self.folded)}</summary>{image}</details>"
        data = {"image/png": encoded, "text/plain": f"[figure] {self.alt}"}
        if os.environ.get("GANTRANS_HEADLESS") != "1":
            data["text/html"] = image
        return data, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"[figure] {self.alt}"


def picture(shown: Figure | Axes, alt: str | None = None, *, dpi: float | None = None) -> Picture:
    """A figure (or the figure of some axes) as a picture; a figure that pyplot keeps open is closed.

    Raises:
        GantransError: when there are no words for it: neither `alt` nor a description by a plotting function.
    """
    figure = figure_of(shown) if isinstance(shown, Axes) else shown
    words = " ".join((alt if alt is not None else alt_text(figure)).split())
    if not words:
        raise GantransError(
            "The figure has no alt text; call show(figure, alt='what it shows') or describe(ax, ...)."
        )
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="png", dpi=dpi or STYLE["savefig.dpi"], metadata={"Software": None})
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close(figure)
    return Picture(buffer.getvalue(), words)


def show(shown: Figure | Axes, alt: str | None = None) -> None:
    """Display a figure in the notebook, once, with its alt text (generated from the data unless given)."""
    from IPython.display import display

    display(picture(shown, alt))


def committed_form(notebook: Any) -> Any:
    """Remove, in place, the HTML twins of pictures (also inside widgets); the PNG with its alt text stays."""
    for output in _outputs(notebook):
        data = output.get("data", {})
        if "image/png" in data and TWIN in _text(data.get("text/html", "")):
            del data["text/html"]
    return notebook


PALETTES = (256, 128, 64, 48)
MOST_PICTURES = 750_000
"""Base64 characters that the pictures of a notebook may take before they get the next smaller palette."""
FEWEST_PIXELS = 20
"""Of a colour of figures, for which a palette keeps it."""


def lighter_form(notebook: Any) -> Any:
    """Give, in place, every PNG a palette: a third of the bytes where images are noisy.

    It has 256 colours, or fewer where the notebook's pictures would take more than `MOST_PICTURES`.
    """
    shown = [data for o in _outputs(notebook) if "image/png" in (data := o.get("data", {}))]
    originals = [base64.b64decode(_text(data["image/png"])) for data in shown]
    for colours in PALETTES:
        for data, png in zip(shown, originals, strict=True):
            data["image/png"] = _with_palette(png, colours)
        if sum(len(data["image/png"]) for data in shown) <= MOST_PICTURES:
            break
    return notebook


def _with_palette(png: bytes, colours: int) -> str:
    """A PNG with at most so many colours; those of figures that it shows stay as they are."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB")
    reduced = image.quantize(colours, dither=Image.Dither.NONE)
    if lost := _lost_colours(image, reduced):
        kept = image.quantize(colours - len(lost), dither=Image.Dither.NONE).getpalette() or []
        palette = Image.new("P", (1, 1))
        palette.putpalette([*kept[: 3 * (colours - len(lost))], *(v for colour in lost for v in colour)])
        reduced = image.quantize(palette=palette, dither=Image.Dither.NONE)
    reduced.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _lost_colours(image: Any, reduced: Any) -> list[tuple[int, ...]]:
    """The figures' own colours, as bytes, that fill some pixels of an image and are not in its palette.

    Greys are left out: a palette has one nearby.
    """
    from matplotlib.colors import to_rgb

    own = [tuple(round(255 * v) for v in to_rgb(colour)) for colour in COLOURS]
    own = [colour for colour in own if len(set(colour)) > 1]
    count = {colour: n for n, colour in image.getcolors(image.width * image.height)}
    left = {colour for _, colour in reduced.convert("RGB").getcolors(256)}
    return [colour for colour in own if count.get(colour, 0) >= FEWEST_PIXELS and colour not in left]


def readable_form(notebook: Any) -> Any:
    """Give, in place, every PNG with alt text in its metadata an HTML twin that carries it."""
    for output in _outputs(notebook):
        data = output.get("data", {})
        alt = output.get("metadata", {}).get("image/png", {}).get("alt")
        if "image/png" in data and alt and "text/html" not in data:
            data["text/html"] = _twin(_text(data["image/png"]).replace("\n", ""), alt)
    return notebook


def figures_without_alt(notebook: Any) -> list[str]:
    """One sentence for every picture in a notebook's outputs that no words describe."""
    bad = []
    for output in _outputs(notebook):
        data = output.get("data", {})
        images = [m for m in data if m.startswith("image/")]
        alts = [output.get("metadata", {}).get(m, {}).get("alt", "") for m in images]
        if images and not any(a.strip() for a in alts):
            bad.append(
                f"a figure ({images[0]}) has no alt text; display it with gantrans.teaching.plots.show"
            )
    return bad


def _twin(encoded: str, alt: str) -> str:
    words = html.escape(alt, quote=True)
    return f'<img class="{TWIN}" alt="{words}" src="data:image/png;base64,{encoded}" style="max-width: 100%">'


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)


def _outputs(notebook: Any) -> Iterator[Any]:
    for cell in notebook["cells"]:
        yield from cell.get("outputs", [])
    state = notebook["metadata"].get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    for model in state.values():
        yield from model.get("state", {}).get("outputs", [])
