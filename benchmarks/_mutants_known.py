"""What earlier mutation runs found out, as long as what it rests on is unchanged."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

from benchmarks._mutants_made import Mutant
from gantrans import ROOT
from gantrans.files import replace_file


class Memory:
    """Traces of test files and verdicts on mutants, in a folder of two files written at every addition.

    Every entry has a key: a hash of the library, of what all tests share, of the worker, and of the tests
    that the entry rests on.
    """

    def __init__(self, path: Path, test_files: list[str]) -> None:
        self.path, self.test_files, self._lock = path, test_files, threading.Lock()
        shared = [
            *ROOT.glob("gantrans/**/*.py"),
            *(file for file in ROOT.glob("tests/**/*.py") if not file.name.startswith("test_")),
            *ROOT.glob("benchmarks/_mutants_[jm]*.py"),
        ]
        self._library = _hash(*sorted(shared))
        self._of_test = {file: self._library + _hash(ROOT / file) for file in test_files}
        choice = _hash(ROOT / "benchmarks" / "mutants.py")  # a survivor rests on which tests were chosen, too
        self._all = choice + hashlib.sha256("".join(self._of_test.values()).encode()).hexdigest()
        self._traces: dict[str, dict[str, Any]] = _read(path / "traces.json")
        self._verdicts: dict[str, dict[str, str]] = _read(path / "verdicts.json")

    def trace(self, file: str) -> dict[str, Any] | None:
        """What was traced of a test file; None if it is not known or no longer holds."""
        known = self._traces.get(file)
        return known if known and known["key"] == self._of_test[file] else None

    def add_traces(self, files: list[str], traced: dict[str, Any]) -> None:
        """Keep the answer to a "trace" job.

        Raises:
            RuntimeError: there is none.
        """
        if files and "tests" not in traced:
            raise RuntimeError("The unit tests ended without an answer; run them alone and mend what fails.")
        for file in files:
            begin = f"{file}::"
            self._traces[file] = {
                "key": self._of_test[file],
                "tests": {name: found for name, found in traced["tests"].items() if name.startswith(begin)},
                "failed": [name for name in traced["failed"] if name.startswith(begin)],
                "modules": traced["modules"],
            }
        _write(self.path / "traces.json", self._traces)

    @property
    def modules(self) -> list[str]:
        """What the tests import from others."""
        lists = [known["modules"] for file in self.test_files if (known := self.trace(file))]
        return list(dict.fromkeys(name for names in lists for name in names))

    def tests(self) -> dict[str, tuple[float, list[str]]]:
        """All traced tests but those that fail or are skipped without any change."""
        found: dict[str, tuple[float, list[str]]] = {}
        for file in self.test_files:
            known = self.trace(file)
            assert known is not None
            bad = set(known["failed"])
            found |= {name: (s, called) for name, (s, called) in known["tests"].items() if name not in bad}
        return found

    def verdict(self, mutant: Mutant) -> dict[str, str] | None:
        """What was found about a mutant, if it still holds."""
        known = self._verdicts.get(mutant.id)
        if known and known["change"] == mutant.change and known["key"] == self._key(known):
            return {"verdict": known["verdict"], "by": known["by"]}
        return None

    def add_verdict(self, mutant: Mutant, found: dict[str, str]) -> None:
        """Keep the answer to a mutant's job."""
        with self._lock:
            self._verdicts[mutant.id] = {**found, "change": mutant.change, "key": self._key(found)}
            _write(self.path / "verdicts.json", self._verdicts)

    def _key(self, found: dict[str, str]) -> str:
        if found["verdict"] in ("killed", "time"):
            return self._of_test.get(found["by"].split("::")[0], self._library)
        return self._all


def _read(path: Path) -> dict[str, Any]:
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return known


def _write(path: Path, known: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, json.dumps(known), sync=False)


def _hash(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
