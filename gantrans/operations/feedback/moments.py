"""Times as the store writes them: UTC, ISO 8601 with microseconds, so that they sort as text."""

from datetime import UTC, datetime

from gantrans.errors import DataError


def now() -> str:
    """The present time in UTC, ISO 8601; sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def moment_of(made_at: str | None) -> str:
    """A stated time in the form of `now`; None means now.

    Raises:
        DataError: it is no time with a zone, or one that UTC cannot express.
    """
    if made_at is None:
        return now()
    try:
        moment = datetime.fromisoformat(made_at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise DataError(f"made_at is {made_at!r}; write ISO 8601 with a time zone, as 2026-05-04T10:00:00Z.")
    try:
        return moment.astimezone(UTC).isoformat(timespec="microseconds")
    except OverflowError as error:  # in UTC it lies before the year 1 or after 9999
        raise DataError(f"made_at is {made_at!r}, which UTC cannot express; correct the time.") from error
