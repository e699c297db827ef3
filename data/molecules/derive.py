"""Derive `molecules.smi` from the identifier tables of the PyPI package `chemicals`.

    python -m pip download chemicals==1.5.2 --no-deps --dest /some/folder
    python data/molecules/derive.py /some/folder/chemicals-1.5.2-py3-none-any.whl

Run from the repository's root, where the course is installed. Prints how many rows each rule leaves. The
result is a function of the wheel alone: a second run writes the same bytes.
"""

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from gantrans.files import replace_file
from lessons.lesson16.molecules_smiles import canonical, is_valid, read_smiles

SHA256 = "f85ef7f36e77fee634686c26562929ee61026cd548d89cebd57b2251ca843d6e"
FILES = ("chemical identifiers pubchem small.tsv", "chemical identifiers pubchem large.tsv")
SMILES_COLUMN = 4
MOST_ATOMS = 9


def main(wheel: Path) -> None:
    """Write the table beside this script."""
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{wheel} is not the wheel of chemicals 1.5.2 (sha256 {SHA256}).")
    rows = list(_source(wheel))
    flat = [_without_stereo(text) for text in rows]
    small = [text for text in flat if _is_small(text)]
    molecules = [read_smiles(text) for text in small]
    wrong = [text for text, molecule in zip(small, molecules, strict=True) if not is_valid(molecule)]
    if wrong:
        raise SystemExit(f"The check by valence refuses {wrong[:5]}, which the source holds.")
    table = sorted({canonical(molecule) for molecule in molecules}, key=lambda text: (len(text), text))
    print(
        f"{len(rows):,} rows; {len(small):,} neutral C/N/O/F, at most {MOST_ATOMS} atoms; "
        f"{len(table):,} distinct"
    )
    replace_file(Path(__file__).parent / "molecules.smi", "".join(line + "\n" for line in table))


def _source(wheel: Path) -> Iterator[str]:
    """The SMILES strings of both tables, in their order."""
    with zipfile.ZipFile(wheel) as archive:
        for name in FILES:
            for line in archive.read(f"chemicals/Identifiers/{name}").decode("utf-8").strip().split("\n"):
                yield line.split("\t")[SMILES_COLUMN]


def _without_stereo(text: str) -> str:
    """`[C@@H]` becomes `C`, and `/` and `\\` go; other brackets (charges, isotopes, radicals) stay."""
    return re.sub(r"\[([CNOF])@{1,2}H?\]", r"\1", text).replace("/", "").replace("\\", "")


def _is_small(text: str) -> bool:
    """Whether a string is in the alphabet of the course (so neutral and in one piece) and has few atoms."""
    return re.fullmatch(r"[CNOF()=#1-9]+", text) is not None and sum(map(str.isalpha, text)) <= MOST_ATOMS


if __name__ == "__main__":
    main(Path(sys.argv[1]))
