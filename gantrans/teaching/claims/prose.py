"""Numbers in the text that must agree with the ledger.

In Markdown a number that was measured carries an HTML comment, invisible when rendered, with the claim's id
and a field: `IoU rose from .64<!-- claim G02 no skips --> to .81<!-- claim G02 skips -->`. The fields:

- `measured`, `low`, `high`, `low_95`, `high_95`, `power`, `seeds`;
- `verdict`, and `side` of what is excluded ("smaller than stated"): the words before the comment are checked;
- an arm's name: its mean over seeds; a name of `numbers`: that number;
- for a claim of several parts the part comes first: `part/measured`, `part/low`, `part/<arm>`.

The printed number must be the recorded one rounded to the digits printed; before `%` it is taken times 100.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.claims.verdicts import SIDES, VERDICTS

MARK = re.compile(r"<!--\s*claim\s+(?P<id>[A-Z]\d\d)\s+(?P<field>[^>]*?)\s*-->")
NUMBER = re.compile(
    r"(?P<number>[-+\u2212]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?P<after>[^\d.]{0,16})$", re.I
)

QUOTED = ("measured", "low", "high", "low_95", "high_95", "count", "power", "verdict", "side")


def quotable(entry: Record) -> dict[str, Any]:
    """Every field of a record that the text may quote, by name."""
    fields: dict[str, Any] = {"verdict": entry["verdict"], **entry["numbers"]}
    fields["seeds"] = entry["seeds"] if isinstance(entry["seeds"], int) else len(entry["seeds"])
    for name, part in entry["parts"].items():
        own = {k: part[k] for k in QUOTED if part[k] is not None}
        if isinstance(part["data"], Mapping):
            own |= {arm: sum(v) / len(v) for arm, v in part["data"].items()}
        fields |= {f"{name}/{k}": v for k, v in own.items()}
        if len(entry["parts"]) == 1:
            fields = {**own, **fields}
    return fields


def check_text(text: str, ledger: Mapping[str, Record]) -> list[str]:
    """The disagreements of one Markdown text with a ledger, one sentence each; empty when there are none."""
    problems = []
    for mark in MARK.finditer(text):
        claim_id, field = mark["id"], mark["field"]
        before = MARK.sub("", text[: mark.start()].rsplit("\n", 1)[-1])
        if claim_id not in ledger:
            problems.append(f"{claim_id} is quoted but the ledger has no record of it.")
            continue
        fields = quotable(ledger[claim_id])
        if field not in fields:
            problems.append(f"{claim_id} has no field {field!r}; it has {', '.join(map(repr, fields))}.")
        elif isinstance(fields[field], str):
            problems += _word_problem(claim_id, field, before, fields[field])
        else:
            problems += _number_problem(claim_id, field, before, float(fields[field]))
    return problems


def check_prose(notebook: Path, ledger: Mapping[str, Record]) -> list[str]:
    """The disagreements of a notebook's (or Markdown file's) text with a ledger, each with its cell."""
    if notebook.suffix == ".md":
        return check_text(notebook.read_text("utf-8"), ledger)
    import nbformat

    cells = nbformat.read(notebook, as_version=4).cells
    texts = [(c.get("id", i), c.source) for i, c in enumerate(cells) if c.cell_type == "markdown"]
    return [f"{notebook.name}, cell {i}: {p}" for i, text in texts for p in check_text(text, ledger)]


def _number_problem(claim_id: str, field: str, before: str, value: float) -> list[str]:
    found = NUMBER.search(before)
    if found is None:
        return [f"{claim_id} {field}: no number stands before the comment in {before[-40:]!r}."]
    printed = Decimal(found["number"].replace("\u2212", "-").replace(",", ""))
    if found["after"].lstrip(" \u202f\u00a0").startswith("%"):
        value *= 100
    exponent = printed.as_tuple().exponent
    half = 0.5 * 10.0 ** (exponent if isinstance(exponent, int) else 0)
    if abs(float(printed) - value) <= half * (1 + 1e-9):
        return []
    return [f"{claim_id} {field}: the text says {found['number']}, the ledger {value:.6g}."]


def _word_problem(claim_id: str, field: str, before: str, word: str) -> list[str]:
    tail = before.rstrip(" *_`").lower()
    known = sorted((*VERDICTS, *SIDES), key=len, reverse=True)
    said = [v for v in known if re.search(rf"(^|\W){re.escape(v)}$", tail)]
    if said[:1] == [word]:
        return []
    kind = field.rpartition("/")[2]
    return [f"{claim_id} {kind}: the text says {(said or [before[-40:]])[0]!r}, the ledger {word!r}."]
