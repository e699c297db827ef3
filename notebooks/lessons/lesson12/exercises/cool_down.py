"""Lesson 12: may a run start now?"""

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

HOUR = 3600.0

ex = Exercise(
    id="cool_down",
    lesson="12",
    title="At most one start in 24 hours",
    difficulty=2,
    minutes=8,
    spec="""
    `last` is when the last run started, in seconds since 1970, or None if none ever did; `now` is the time
    on the clock. A run may start if `hours` or more have passed since the last start. Return whether it may,
    and the time of the last start afterwards: `now` if it may, else what it was. A clock that was set back
    is no reason to start early.
    """,
    hints=(
        "Without a last start there is nothing to wait for.",
        "Compare seconds with seconds: `hours * 3600`.",
        "`granted = last is None or now - last >= hours * 3600`; return `granted, now if granted else last`.",
    ),
    source="Claim G28; the rule of the course's `CoolDown`.",
)


@ex.reference
def cool_down(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    """Times in seconds, the cool-down in hours -> (may start, time of the last start afterwards)."""
    granted = last is None or now - last >= hours * 3600
    return granted, now if granted else last


@ex.edges
def _() -> list[Args]:
    return [
        (1000.0, None, 24.0),
        (24 * HOUR, 0.0, 24.0),
        (24 * HOUR - 1, 0.0, 24.0),
        (23 * HOUR, 0.0, 24.0),
        (100.0, 40 * HOUR, 24.0),  # the clock was set back
        (5.0, 5.0, 0.0),
        (25.0, 0.0, 24.0),
    ]


@ex.inputs
def _(case: Case) -> Args:
    last = float(case.integer(0, 10**6))
    wait = case.integer(-20, 60) * 0.5 * HOUR
    return last + wait, last if case.seed % 6 else None, float(case.choice((6, 12, 24)))


def _rule(now: float, last: float | None, hours: float) -> bool:
    return last is None or now - last >= hours * HOUR


@ex.wrong("not_sooner_and_not_then", "You ask for more than `hours`; exactly `hours` is enough.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last > hours * HOUR
    return granted, now if granted else last


@ex.wrong("seconds_as_hours", "You compare seconds with hours: 25 seconds are not 25 hours.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last >= hours
    return granted, now if granted else last


@ex.wrong(
    "asking_counts",
    "You move the last start when the answer is no: whoever asks every hour will never start again.",
)
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    return _rule(now, last, hours), now


@ex.wrong("never_the_first", "You refuse when there was no run yet: then there never will be one.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is not None and now - last >= hours * HOUR
    return granted, now if granted else last


@ex.wrong("any_distance", "You take the distance without its sign: a clock that was set back starts a run.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or abs(now - last) >= hours * HOUR
    return granted, now if granted else last


@ex.wrong("not_noted", "You do not note the start: the next process may start at once.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    return _rule(now, last, hours), last


@ex.wrong("the_other_way", "You start while the cool-down lasts and wait when it is over.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last < hours * HOUR
    return granted, now if granted else last


@ex.wrong("on_a_grid", "You note `last` plus `hours`: after a long pause, runs could follow each other.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = _rule(now, last, hours)
    return granted, (now if last is None else last + hours * HOUR) if granted else last


@ex.wrong(
    "per_calendar_day",
    "You count days of the calendar: half an hour across midnight is not a day.",
)
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    period = max(hours, 1e-9) * HOUR
    granted = last is None or now // period > last // period
    return granted, now if granted else last


@ex.right
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    if last is None:
        return True, now
    if now < last + hours * 60 * 60:
        return False, last
    return True, now


@ex.right
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    since = float("inf") if last is None else (now - last) / HOUR
    return (True, now) if since >= hours else (False, last)


@ex.right
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = _rule(now, last, hours)
    return (granted, [last, now][granted])


@ex.right
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    waited = last is None or not now - last < 3600 * hours
    return waited, now if waited else last
