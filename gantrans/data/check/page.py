"""The contact sheet of a folder: one HTML file without scripts or addresses outside."""

import base64
import io
from collections import Counter
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantrans.data.check.facts import PairFacts
from gantrans.data.check.findings import REFUSED, WARNING, Finding, plural
from gantrans.data.check.look import Look, Side
from gantrans.data.check.pixels import edges
from gantrans.data.check.report import BINS, Report, described, files
from gantrans.data.check.style import STYLE
from gantrans.errors import DataError
from gantrans.files import replace_file

SHOWN = 24
"""Pairs on the sheet: those that findings name first, the others evenly over the folder."""
TILE = 160
"""Largest side of an image on the sheet, in pixels."""
_NAMED = 2 * SHOWN // 3
_OUTLINE = (255, 90, 0)
_WORDS = {"good": "This folder can be trained on.", "accepted": "A training begins; warnings were accepted.",
          WARNING: "A training stops here until this is settled or accepted.",
          REFUSED: "A training is refused until this is settled.", "note": ""}  # fmt: skip


def write_page(report: Report, path: Path) -> None:
    """Write the contact sheet; the images of the pairs that it shows are read again.

    Raises:
        DataError: the file cannot be written.
    """
    try:
        replace_file(path, page(report), sync=False)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def page(report: Report) -> str:
    """The contact sheet as HTML."""
    look = report.look
    counts = Counter(look.splits)
    title = f"{look.root.name}: {plural(len(look.pairs), 'pair')}"
    subject = ", ".join(f"{counts[name]} {name}" for name in ("train", "val", "test"))
    mark = report.verdict if report.verdict != "accepted" else "accepted"
    findings = (
        "".join(_finding(found, look.root) for found in report.findings)
        or '<p class="good">Nothing to report.</p>'
    )
    sections = [
        _section("Findings", f'<p class="verdict {mark}">{_WORDS[report.verdict]}</p>{findings}'),
        _section("Values", f'<div class="sides">{"".join(map(_side, look.sides))}</div>'),
        _section("Pairs", _sheet(report)),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header><h1>{escape(title)}</h1><p class="quiet">{escape(str(look.root))}: {escape(subject)}</p>'
        f"</header>\n<main>\n{''.join(sections)}</main>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    name = title.lower()
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2>{body}</section>\n'


def _finding(found: Finding, root: Path) -> str:
    mark = "accepted" if found.accepted else found.severity
    rows = {"seen": found.seen, "where": files(found, root), "effect": found.effect, "settle": found.settle}
    listed = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in rows.items() if text)
    return (
        f'<div class="finding {mark}"><h3>{mark.upper()}: <code>{escape(found.name)}</code></h3>'
        f"<dl>{listed}</dl></div>"
    )


def _side(side: Side) -> str:
    return (
        f"<div><h3>{side.role}</h3><p class='quiet'>{escape(described(side))}</p>{_histogram(side)}</div>"
        if side.read
        else f"<div><h3>{side.role}</h3><p class='refused'>No file of this side could be read.</p></div>"
    )


def _histogram(side: Side) -> str:
    """The grey values as read, in `BINS` bars of equal width; heights are roots, so that rare ones show."""
    bins = side.total.reshape(BINS, -1).sum(axis=1)
    heights = 90 * np.sqrt(bins / max(1, bins.max()))
    bars = "".join(
        f'<rect x="{20 * place + 1}" y="{100 - height:.1f}" width="18" height="{height:.1f}"/>'
        for place, height in enumerate(heights)
    )
    label = ", ".join(f"{100 * b / max(1, bins.sum()):.0f} %" for b in bins)
    return (
        f'<svg viewBox="0 0 320 122" role="img" aria-label="Grey values from black to white: {label}">'
        f'{bars}<line x1="0" y1="100.5" x2="320" y2="100.5"/><text x="0" y="116">0</text>'
        '<text x="320" y="116" text-anchor="end">255</text></svg>'
    )


def _sheet(report: Report) -> str:
    look = report.look
    named = _named(report)
    figures = [_figure(look, index, named.get(index, [])) for index in _chosen(look, named)]
    legend = (
        '<p class="quiet">Input, target, and the input with the edges of its target in orange. '
        f"{len(figures)} of {plural(len(look.pairs), 'pair')}; those of a finding come first.</p>"
    )
    return legend + f'<div class="pairs">{"".join(figures)}</div>'


def _named(report: Report) -> dict[int, list[str]]:
    """The findings that name a pair, by its index."""
    place = {
        path: index
        for index, pair in enumerate(report.look.pairs)
        for path in (pair.input.path, pair.target.path)
    }
    found: dict[int, list[str]] = {}
    for one in report.findings:
        if one.count < len(report.look.pairs):  # one that names all pairs marks none
            for index in dict.fromkeys(place[path] for path in one.files if path in place):
                found.setdefault(index, []).append(one.name)
    return found


def _chosen(look: Look, named: dict[int, list[str]]) -> list[int]:
    first = list(named)[:_NAMED]
    rest = [i for i in range(len(look.pairs)) if i not in set(first)]
    room = min(len(rest), SHOWN - len(first))
    return first + [rest[int(i)] for i in np.linspace(0, len(rest) - 1, room)] if room else first


def _figure(look: Look, index: int, named: list[str]) -> str:
    pair = look.pairs[index]
    marked = ' class="marked"' if named else ""
    words = f'<br><span class="warning">{escape(", ".join(named))}</span>' if named else ""
    caption = f'<figcaption>{escape(pair.name)} <span class="quiet">{pair.split}</span>{words}</figcaption>'
    if pair.problem or pair.input.problem or pair.target.problem:
        return f'<figure{marked}><p class="refused">{escape(_problem(pair))}</p>{caption}</figure>'
    strip = _strip(look.load_input(index), look.load_target(index))
    alt = f"{pair.name}: input, target, input with the target's edges"
    return f'<figure{marked}><img src="{_url(strip)}" alt="{escape(alt)}">{caption}</figure>'


def _problem(pair: PairFacts) -> str:
    return pair.problem or pair.input.problem or pair.target.problem


def _strip(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Input, target and overlay side by side, (height, width, 3), each with sides up to about `TILE` px."""
    step = max(1, -(-max(first.shape) // TILE))
    one, other = (_stretched(image[::step, ::step]) for image in (first, second))
    outline = edges(other)
    overlay = np.stack([one] * 3, -1)
    overlay[outline > max(24.0, 0.6 * float(outline.max()))] = _OUTLINE
    gap = np.full((one.shape[0], 4, 3), 128, np.uint8)
    return np.concatenate([np.stack([one] * 3, -1), gap, np.stack([other] * 3, -1), gap, overlay], axis=1)


def _stretched(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """As it is read, and a dark image (nothing above 64 of 255) brightened so that it can be seen."""
    values = image.astype(np.float32)
    high = float(values.max())
    return (values * (255 / high) if 0 < high < 64 else values).astype(np.uint8)


def _url(image: NDArray[np.uint8]) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
