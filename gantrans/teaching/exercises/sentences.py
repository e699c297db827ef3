"""The sentences of an exercise's text. A test asks of each one which input would catch an answer that breaks
it."""

import re
import textwrap

_WHOLE = re.compile(r"\$\$.*?\$\$|\$.*?\$|```.*?```|`[^`]*`|\([^()]*\)", re.S)
"""What no full stop may cut: formulas, code, brackets."""
_END = re.compile(r"(?<=[.!?:])\s+(?=[A-Z`$*\d\"“\x00])")
_LIST = re.compile(r"^\s*(?:[-*]|\d+\.)\s+", re.M)


def sentences(text: str) -> list[str]:
    """The sentences of a Markdown text, each on one line; list items and table rows count as sentences."""
    text = textwrap.dedent(text).strip()
    parts: list[str] = []

    def keep(found: re.Match[str]) -> str:
        parts.append(found[0])
        return f"\x00{len(parts) - 1}\x00"

    text = _WHOLE.sub(keep, text)
    blocks = [block for paragraph in text.split("\n\n") for block in _LIST.split(paragraph)]
    rows = [row for block in blocks for row in (block.splitlines() if "|" in block else [block])]
    found = [" ".join(one.split()) for row in rows for one in _END.split(row.strip()) if one.strip()]
    while any("\x00" in one for one in found):
        found = [re.sub(r"\x00(\d+)\x00", lambda m: parts[int(m[1])], one) for one in found]
    return [" ".join(one.split()) for one in found if re.search(r"\w", one)]
