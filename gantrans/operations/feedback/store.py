"""The feedback store: verdicts, predictions, labels that arrive later, and the training pairs made from them.

A method returns only after its transaction is on the disk (`database.py`), so acknowledged data is not lost.
Every event carries an id chosen by its sender, which makes repeated requests idempotent. Nothing is deleted
or overwritten: a withdrawn verdict is a further event. Labels can arrive in any order, repeatedly, before
their prediction, or after a rollback, because a label refers to a prediction and the prediction to the model
version that made it.
"""

import json
import re
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from torch import Tensor

from gantrans.errors import DataError
from gantrans.operations.feedback.database import Database, StoreError
from gantrans.operations.feedback.encodings import TABLE
from gantrans.operations.feedback.intact import DamagedError, intact_picture, is_corrupt
from gantrans.operations.feedback.kept import Picture
from gantrans.operations.feedback.moments import moment_of, now
from gantrans.operations.feedback.records import (
    KINDS,
    VERDICTS,
    LabelKind,
    Pair,
    Prediction,
    Verdict,
    VerdictWord,
)

_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_WINNER = """
    SELECT * FROM (SELECT *, ROW_NUMBER() OVER (
        PARTITION BY prediction{kind} ORDER BY kind = 'truth' DESC, made_at DESC, id DESC) AS place
        FROM label)
    WHERE place = 1"""  # depends on the stored labels, not on the order in which they arrived
WINNER = _WINNER.format(kind="")
"""The label of each prediction that counts, as a SELECT; `WINNERS` those that count of each kind."""
WINNERS = _WINNER.format(kind=", kind")
_VERDICT = (
    "SELECT item, verdict, note, model, measured, made_at, coalesce((SELECT name FROM reviewer "
    "WHERE event = verdict.id), '') AS reviewer FROM verdict WHERE number "
)
JUDGED = (
    f"{_VERDICT} IN (SELECT max(number) FROM verdict GROUP BY item) AND verdict IS NOT NULL ORDER BY number"
)


class ConflictError(StoreError):
    """An id was used before with another content."""


class DamagedPictureError(StoreError):
    """The bytes of a stored picture are no longer those that were stored."""


class Store(Database):
    """See the module's text. Images, (1 or 3, H, W) in [0, 1], are stored as 8-bit PNG, equal ones once; those of
    16 bits and masks of classes are given as a `Picture`.

    Raises:
        StoreError: see `Database`.
    """

    def _prepare(self) -> None:
        super()._prepare()
        with self.transaction() as connection:  # added to the first version, which passes over it
            connection.execute(
                "CREATE TABLE IF NOT EXISTS reviewer (event TEXT PRIMARY KEY, name TEXT NOT NULL)"
            )
            connection.execute(TABLE)

    def judge(
        self,
        item: str,
        verdict: VerdictWord | None,
        note: str = "",
        *,
        id: str,
        model: str = "",
        measured: Mapping[str, float | None] | None = None,
        reviewer: str = "",
    ) -> bool:
        """Record a verdict on `item`, or its withdrawal (None); False if event `id` was recorded before.

        Args:
            reviewer: who decided; "" if unknown.

        Raises:
            DataError: unknown verdict. ConflictError: `id` was used for something else. StoreError: see
                `Database.transaction`.
        """
        if verdict is not None and verdict not in VERDICTS:
            raise DataError(f"The verdict is {verdict!r}; choose one of {', '.join(VERDICTS)}.")
        row = (id, item, verdict, note, model, json.dumps(dict(measured or {})), now())
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT item, verdict, note, coalesce(name, '') FROM verdict LEFT JOIN reviewer "
                "ON event = id WHERE id = ?",
                (id,),
            ).fetchone()
            if known:
                return _same(id, known, (item, verdict, note, reviewer))
            connection.execute(
                "INSERT INTO verdict (id, item, verdict, note, model, measured, made_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            if reviewer:
                connection.execute("INSERT INTO reviewer VALUES (?, ?)", (id, reviewer))
        return True

    def verdicts(self) -> dict[str, Verdict]:
        """The last verdict on every item, by item; withdrawn ones are left out."""
        return {row[0]: _verdict(row) for row in self.rows(JUDGED)}

    def verdict(self, item: str) -> Verdict | None:
        """The last verdict on one item; None if there is none or it was withdrawn."""
        rows = self.rows(f"{_VERDICT} = (SELECT max(number) FROM verdict WHERE item = ?)", (item,))
        return _verdict(rows[0]) if rows and rows[0][1] else None

    def register(
        self,
        id: str,
        direction: str,
        model: str,
        input: Tensor | Picture,
        output: Tensor | Picture,
        *,
        seconds: float = 0.0,
        pixel_nm: float | None = None,
        made_at: str | None = None,
    ) -> bool:
        """Record a prediction with the model version that made it; False if `id` was recorded before.

        A request is identified by direction and input. If it is repeated with another model version, the
        prediction that was recorded first stays.

        Raises:
            DataError: input and output differ in size. ConflictError: `id` names another request.
        """
        if not _NAME.fullmatch(id):  # ids become file names
            raise DataError(f"{id!r} cannot name a prediction; use letters, digits, - and _.")
        given, made = _picture(input), _picture(output)
        if given.size != made.size:
            raise DataError(f"Input {given.size} and output {made.size} differ in size (height, width).")
        with self.transaction() as connection:
            known = connection.execute(
                "SELECT direction, input FROM prediction WHERE id = ?", (id,)
            ).fetchone()
            if known:
                return _same(id, known, (direction, given.name))
            content = (direction, model, _put(connection, given), _put(connection, made))
            connection.execute(
                "INSERT INTO prediction VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (id, *content, pixel_nm, seconds, moment_of(made_at)),
            )
        return True

    def add_label(
        self, id: str, prediction: str, kind: LabelKind, image: Tensor | Picture, *, made_at: str | None = None
    ) -> bool:
        """Record the right output of a prediction; False if label `id` was recorded before.

        A label can arrive before its prediction and counts as soon as that is recorded. Of several labels
        the true ones take precedence over the corrected ones, then the latest counts.

        Args:
            kind: "truth" (measured elsewhere) or "corrected" (drawn by a person).
            made_at: ISO 8601 with a time zone; None means now.

        Raises:
            DataError: unknown kind, or another size than the prediction. ConflictError: `id` names another
                label.
        """
        if kind not in KINDS:
            raise DataError(f"The kind of the label is {kind!r}; choose one of {', '.join(KINDS)}.")
        picture = _picture(image)
        with self.transaction() as connection:
            content = (prediction, kind, _put(connection, picture))
            known = connection.execute(
                "SELECT prediction, kind, image FROM label WHERE id = ?", (id,)
            ).fetchone()
            if known:
                return _same(id, known, content)
            size = connection.execute(
                "SELECT height, width FROM prediction JOIN image ON sha256 = output WHERE id = ?",
                (prediction,),
            ).fetchone()
            if size and size != picture.size:
                raise DataError(
                    f"The label has {picture.size[1]} x {picture.size[0]} px but prediction {prediction} has "
                    f"{size[1]} x {size[0]}; send an image of that size."
                )
            connection.execute("INSERT INTO label VALUES (?, ?, ?, ?, ?)", (id, *content, moment_of(made_at)))
        return True

    def earlier_prediction(self, id: str, direction: str, input: Tensor | Picture) -> Prediction | None:
        """The prediction of an earlier, equal request; None if `id` is new.

        Raises:
            ConflictError: `id` names another request.
        """
        known = self.prediction(id)
        if known is not None:
            _same(id, (known.direction, known.input), (direction, _picture(input).name))
        return known

    def prediction(self, id: str) -> Prediction | None:
        """The prediction with that id, or None."""
        rows = self.rows("SELECT * FROM prediction WHERE id = ?", (id,))
        return Prediction(*rows[0]) if rows else None

    def predictions(self, *, last: int = 50) -> list[Prediction]:
        """The `last` newest predictions, newest first."""
        rows = self.rows("SELECT * FROM prediction ORDER BY made_at DESC, id DESC LIMIT ?", (last,))
        return [Prediction(*row) for row in rows]

    def labels(self, kind: LabelKind | None = None) -> list[tuple[str, str, str, str, str, str]]:
        """(prediction, direction, model, output, label id, label image) of every labelled prediction.

        Of several labels the one that counts, or with `kind` the one that counts among those of this kind;
        labels without a prediction or of another size are left out.
        """
        return self.rows(  # type: ignore[return-value]
            "SELECT p.id, p.direction, p.model, p.output, l.id, l.image FROM prediction p "
            f"JOIN ({WINNERS if kind else WINNER}) l ON l.prediction = p.id "
            "JOIN image a ON a.sha256 = p.output JOIN image b ON b.sha256 = l.image "
            "WHERE a.height = b.height AND a.width = b.width AND (? IS NULL OR l.kind = ?) "
            "ORDER BY p.made_at, p.id",
            (kind, kind),
        )

    def pairs(self, direction: str) -> list[Pair]:
        """Training pairs, oldest first: labelled predictions, and unlabelled ones with an accepted output.
        Each prediction gives at most one pair.
        """
        rows = self.rows(
            f"SELECT p.id, p.input, coalesce(l.image, p.output), coalesce(l.kind, 'accepted'), p.model, "
            f"p.pixel_nm, coalesce(l.made_at, v.made_at) FROM prediction p LEFT JOIN ({WINNER}) l "
            f"ON l.prediction = p.id LEFT JOIN ({JUDGED}) v ON v.item = p.id JOIN image a "
            "ON a.sha256 = p.input JOIN image b ON b.sha256 = coalesce(l.image, p.output) "
            "WHERE p.direction = ? AND (l.id IS NOT NULL OR v.verdict = 'accept') "
            "AND a.height = b.height AND a.width = b.width ORDER BY 7, p.id",
            (direction,),
        )
        return [Pair(*row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Numbers of predictions, labels, labels without a prediction, and verdicts."""
        (row,) = self.rows(
            "SELECT (SELECT count(*) FROM prediction), (SELECT count(*) FROM label), (SELECT count(*) FROM "
            "label WHERE prediction NOT IN (SELECT id FROM prediction)), (SELECT count(*) FROM verdict)"
        )
        return dict(zip(("predictions", "labels", "waiting_labels", "verdicts"), row, strict=True))

    def versions(self) -> list[tuple[str, str, int]]:
        """(direction, model, number of predictions) of every model version."""
        return self.rows(  # type: ignore[return-value]
            "SELECT direction, model, count(*) FROM prediction GROUP BY 1, 2 ORDER BY min(made_at)"
        )

    def png(self, sha256: str) -> bytes:
        """The stored bytes of an image.

        Raises:
            DataError: there is no such image. DamagedPictureError: the bytes were altered.
        """
        return self._checked(sha256)[0]

    def image(self, sha256: str) -> Tensor:
        """A stored image, (1 or 3, H, W) float32 in [0, 1]; errors as of `png`."""
        return self.picture(sha256).unit()

    def picture(self, sha256: str) -> Picture:
        """A stored image as it is kept; errors as of `png`."""
        return self._checked(sha256)[1]

    def _checked(self, sha256: str) -> tuple[bytes, Picture]:
        """Bytes and picture, compared with the hash under which it was stored."""
        try:
            rows = self.rows("SELECT png, height, width FROM image WHERE sha256 = ?", (sha256,))
            if not rows:
                raise DataError(f"The store {self.path} has no image {sha256!r}.")
            png, height, width = rows[0]
            return bytes(png), intact_picture(bytes(png), sha256, (height, width))
        except (DamagedError, StoreError) as error:
            if isinstance(error, StoreError) and not is_corrupt(error):
                raise
            reason = error if isinstance(error, DamagedError) else "its pages in the file are"
            raise DamagedPictureError(
                f"The picture {sha256[:12]} in {self.path} is damaged ({reason}); restore the store from a "
                "backup, or send the image again under a new id."
            ) from error

    def score(self, prediction: str, label: str) -> dict[str, float | None] | None:
        """The stored metrics of a prediction and a label, or None."""
        rows = self.rows("SELECT metrics FROM score WHERE prediction = ? AND label = ?", (prediction, label))
        return json.loads(rows[0][0]) if rows else None

    def keep_score(self, prediction: str, label: str, metrics: Mapping[str, float | None]) -> None:
        """Store metrics, so that they are computed once."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO score VALUES (?, ?, ?)",
                (prediction, label, json.dumps(dict(metrics))),
            )


def _picture(image: Tensor | Picture) -> Picture:
    return image if isinstance(image, Picture) else Picture.of(image)


def _put(connection: Connection, picture: Picture) -> str:
    """Store a picture unless it is there."""
    name = picture.name
    if not connection.execute("SELECT 1 FROM image WHERE sha256 = ?", (name,)).fetchone():
        connection.execute("INSERT INTO image VALUES (?, ?, ?, ?)", (name, *picture.size, picture.png()))
    return name


def _verdict(row: tuple[Any, ...]) -> Verdict:
    item, word, note, model, measured, made_at, reviewer = row
    return Verdict(item, word, note, model, json.loads(measured), made_at, reviewer)


def _same(id: str, known: tuple[Any, ...], content: tuple[Any, ...]) -> bool:
    if known != content:
        raise ConflictError(f"The id {id!r} was used before with other content; give every event its own id.")
    return False
