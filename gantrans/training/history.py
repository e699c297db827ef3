"""Log of a training run: one JSON line per record, readable during the run and after a kill."""

import json
import math
import os
from pathlib import Path
from typing import Any

from gantrans.errors import CheckpointError

Record = dict[str, float]


class History:
    """Records of numbers, kept in memory and, with a path, appended to a file line by line.

    A record has "step" and any other named numbers. NaN and infinities, missing in JSON, are written as the
    strings "nan", "inf", "-inf" and read back as numbers.

    Args:
        path: the file to append to, or None to keep the records in memory only.
        keep: number of records of an existing file to keep; a killed run may have written more records than
            its last checkpoint counts, and these are removed.
    """

    def __init__(self, path: Path | None = None, *, keep: int = 0) -> None:
        self.records: list[Record] = []
        self._file = None
        if path is None:
            return
        try:
            lines = path.read_bytes().splitlines(keepends=True)[:keep] if path.exists() else []
            self.records = [_decode(line) for line in lines]
            self._file = path.open("ab")
            self._file.truncate(sum(map(len, lines)))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"Cannot continue the history {path} ({error}); choose another --out."
            ) from error

    @classmethod
    def load(cls, path: Path) -> "History":
        """Read a history file; an incomplete last line (after a kill) is ignored.

        Raises:
            CheckpointError: the file is missing or is not a history.
        """
        history = cls()
        try:
            lines = Path(path).read_bytes().splitlines(keepends=True)
            history.records = [_decode(line) for line in lines if line.endswith(b"\n")]
        except FileNotFoundError as error:
            raise CheckpointError(f"There is no history at {path}; is this the folder of a run?") from error
        except ValueError as error:
            raise CheckpointError(f"{path} is not a training history (one JSON record per line).") from error
        return history

    def append(self, record: Record) -> None:
        """Add a record and write it at once, so that no record is lost by a kill."""
        self.records.append(record)
        if self._file is not None:
            try:
                self._file.write(_encode(record))
                self._file.flush()
            except OSError as error:
                raise CheckpointError(
                    f"Cannot write the history {self._file.name} ({error.strerror}); "
                    "the last checkpoint is intact: make room and resume."
                ) from error

    def series(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of one named number, from the records that contain it; for plots."""
        chosen = [record for record in self.records if name in record]
        return [int(record["step"]) for record in chosen], [record[name] for record in chosen]

    def sync(self) -> None:
        """Flush the records to the disk (before the checkpoint that counts them is written)."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; the records stay in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __len__(self) -> int:
        return len(self.records)


def _encode(record: Record) -> bytes:
    plain = {k: v if math.isfinite(v) else str(float(v)) for k, v in record.items()}
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def _decode(line: bytes) -> Record:
    record: Any = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError("a record is a JSON object")
    return {k: float(v) if isinstance(v, str) else v for k, v in record.items()}
