"""report.html: one file without scripts or addresses outside, readable in light and dark, from 400 px on."""

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantrans.operations import serving
from gantrans.operations.comparison import wording
from gantrans.operations.comparison.numerals import number

Image = NDArray[np.uint8]
_WEB = Path(serving.__path__[0]) / "web"


def page(
    contents: Mapping[str, Any],
    figures: Mapping[str, Mapping[str, bytes]],
    pictures: Mapping[str, Mapping[str, Image]],
) -> str:
    """The report.

    Args:
        contents: of report.json.
        figures: name -> "light" and "dark" -> PNG.
        pictures: "worst", "median" and "best" -> column -> image.
    """
    sections = [
        _advice(contents),
        _quality(contents),
        _pictures(contents, pictures),
        _calibration(contents, figures),
        _cost(contents, figures),
        _training(contents, figures),
        _section("How it was measured", _items(wording.method(contents))),
        _section("Go on", *map(_command, wording.commands(contents))),
    ]
    style = "".join((_WEB / name).read_text("utf-8") for name in ("page.css", "compare.css"))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{escape(wording.title(contents))}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"<header><h1>{escape(wording.title(contents))}</h1>"
        f'<p class="quiet">{escape(wording.subject(contents))}</p></header>\n<main>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def _section(title: str, *parts: str) -> str:
    name = title.lower().replace(" ", "-").replace(",", "")
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{"".join(parts)}</section>'


def _items(sentences: Iterable[str], kind: str = "ul") -> str:
    return f"<{kind}>{''.join(f'<li>{escape(s)}</li>' for s in sentences)}</{kind}>"


def _paragraph(text: str, style: str = "") -> str:
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def _command(given: tuple[str, str]) -> str:
    return f"{_paragraph(given[0])}<pre><code>{escape(given[1])}</code></pre>"


def _advice(contents: Mapping[str, Any]) -> str:
    advice = contents["recommendation"]
    mark = {"decided": "good", "equal": "good", "undecided": "warn"}[advice["verdict"]]
    notes = [f"<h3>To keep in mind</h3>{_items(contents['notes'])}"] if contents["notes"] else []
    return _section(
        "Recommendation",
        _paragraph(wording.advice(contents), f"say {mark}"),
        "<h3>Why</h3>",
        _items(advice["reasons"], "ol"),
        *notes,
    )


def _table(
    caption: str, heads: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]], chosen: str | None
) -> str:
    """A table whose first column names the rows; a cell is HTML already."""
    name = "table-" + "-".join(re.findall("[a-z]+", caption.lower())[:6])
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in heads)
    body = []
    for row, cells in rows:
        tag = '<span class="tag">recommended</span>' if row == chosen else ""
        line = "".join(f"<td>{cell}</td>" for cell in cells)
        mark = ' class="chosen"' if row == chosen else ""
        body.append(f'<tr{mark}><th scope="row">{escape(row)}{tag}</th>{line}</tr>')
    return (  # a caption inside would scroll out of a narrow screen with its table
        f'<p class="quiet" id="{name}">{escape(caption)}</p>'
        f'<div class="scroll" role="region" aria-labelledby="{name}" tabindex="0">'
        f'<table aria-labelledby="{name}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _quality(contents: Mapping[str, Any]) -> str:
    rows = contents["rows"]
    names = list(dict.fromkeys(name for row in rows for name in row["measures"]))
    heads = {name: m["label"] for row in rows for name, m in row["measures"].items()}
    table = _table(
        f"Mean over {contents['tested']['images']} test images, with the 95 % interval below it.",
        ["method", *(f"{heads[n]} {_arrow(rows, n)}".strip() for n in names)],
        [(row["name"], [_measure(row["measures"].get(n)) for n in names]) for row in rows],
        contents["recommendation"]["name"],
    )
    explained = [wording.EXPLAINED[n] for n in names]
    more = "↑ more is better, ↓ less is better."
    return _section("Quality on the test images", table, _paragraph(more, "quiet"), _items(explained))


def _arrow(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    higher = next(row["measures"][name]["higher"] for row in rows if name in row["measures"])
    return {True: "↑", False: "↓", None: ""}[higher]


def _measure(value: Mapping[str, Any] | None) -> str:
    if value is None or value["mean"] is None:
        return "-"
    bounds = ""
    if value["low"] is not None and value["high"] is not None:
        bounds = f"<small>{number(value['low'])} to {number(value['high'])}</small>"
    return number(value["mean"]) + bounds


def _cost(contents: Mapping[str, Any], figures: Mapping[str, Mapping[str, bytes]]) -> str:
    rows = contents["rows"]
    table = _table(
        "Measured on this machine, on images of the test split; images a second in batches.",
        ["method", "one image [ms]", "images a second", "parameters", "memory [MB]"],
        [
            (
                row["name"],
                [
                    _maybe(row["alone_s"], 1000.0),
                    _maybe(row["images_per_s"]),
                    "-" if row["baseline"] else f"{row['parameters']:,.0f}",
                    _maybe(row["memory"], 1e-6),
                ],
            )
            for row in rows
        ],
        contents["recommendation"]["name"],
    )
    return _section("Speed and size", table, _chart(figures, "speed", wording.speeds(contents)))


def _maybe(value: float | None, factor: float = 1.0) -> str:
    return "-" if value is None else number(factor * value)


def _training(contents: Mapping[str, Any], figures: Mapping[str, Mapping[str, bytes]]) -> str:
    unit = "core-seconds" if contents["plan"]["clock"] == "cpu" else "seconds"
    rows = [
        (name, [f"{one['steps']:,}", number(one["seconds"]), _code(one["folder"])])
        for name, one in contents["trainings"].items()
    ]
    table = _table(wording.budget(contents), ["training", "steps", unit, "folder"], rows, None)
    alt = "Validation score of every training over its seconds."
    remark = _paragraph(wording.course(contents), "quiet")
    return _section("Training", table, _chart(figures, "training", alt), remark)


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _calibration(contents: Mapping[str, Any], figures: Mapping[str, Mapping[str, bytes]]) -> str:
    varied = [row for row in contents["rows"] if row["coverage"]]
    if not varied:
        return ""
    levels = [f"{nominal:.0%}" for nominal, _ in varied[0]["coverage"]]
    some = sorted({0, len(levels) // 2, len(levels) - 1})
    table = _table(
        "Share of the target's pixels inside the interval that the draws span, by nominal level.",
        ["method", *(levels[i] for i in some)],
        [(row["name"], [f"{row['coverage'][i][1]:.0%}" for i in some]) for row in varied],
        None,
    )
    alt = "Share of pixels inside the intervals over the share that should be; the diagonal is right."
    return _section(
        "Are the intervals of the draws right?",
        _paragraph(wording.calibration(contents)),
        table,
        _chart(figures, "calibration", alt),
    )


def _chart(figures: Mapping[str, Mapping[str, bytes]], name: str, alt: str) -> str:
    """A figure for a light and a dark page; nothing if there is none of that name."""
    if name not in figures:
        return ""
    light, dark = (_url(figures[name][theme]) for theme in ("light", "dark"))
    return (
        f'<picture class="chart"><source srcset="{dark}" media="(prefers-color-scheme: dark)">'
        f'<img src="{light}" alt="{escape(alt)}"></picture>'
    )


def _pictures(contents: Mapping[str, Any], pictures: Mapping[str, Mapping[str, Image]]) -> str:
    parts = []
    for place, images in pictures.items():
        file = contents["examples"][place]
        parts.append(f"<h3>{escape(wording.PLACES[place])}: {escape(file)}</h3>")
        tiles = "".join(
            f'<figure><img src="{_url(_png(image))}" alt="{escape(f"{place} image {file}: {name}")}">'
            f"<figcaption>{escape(name)}</figcaption></figure>"
            for name, image in images.items()
        )
        parts.append(f'<div class="tiles">{tiles}</div>')
    return _section("The worst, the median and the best image", _paragraph(wording.order(contents)), *parts)


def _png(image: Image) -> bytes:
    from PIL import Image as Pillow

    buffer = io.BytesIO()
    Pillow.fromarray(image).save(buffer, format="png")
    return buffer.getvalue()


def _url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
