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
        (0.0, None, 0.0),
        (0.0, 0.0, 24.0),
        (-5 * HOUR, None, 24.0),
        (5.0, 10.0, 0.0),
        *((2 * HOUR, k * HOUR, 1.5) for k in (0.0, 0.25, 0.5, 0.75)),
        (1.5 * HOUR - 0.5, 0.0, 1.5),
        (1800.0, 0.0, 0.5),
        (1799.0, 0.0, 0.5),
        (10.25, 10.0, 0.0),
        (30 * 24 * HOUR, 0.0, 24.0),
        (1_800_000_000.0, 1_800_000_000.0 - 23.5 * HOUR, 24.0),
        (1_800_000_000.0, 1_800_000_000.0 + 0.5 * HOUR, 1.5),
    ]


@ex.inputs
def _(case: Case) -> Args:
    last = float(case.integer(0, 10**6))
    wait = case.integer(-20, 60) * 0.5 * HOUR
    return last + wait, last if case.seed % 6 else None, case.choice((0.5, 1.5, 6.0, 12.0, 24.0))


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
    "You count by a fixed grid of days or periods: half an hour across its line is not a whole one.",
)
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    period = max(hours, 1e-9) * HOUR
    granted = last is None or now // period > last // period
    return granted, now if granted else last


@ex.wrong(
    "zero_is_none",
    "You take a last start at time 0 for none (`if not last`); only None means that there was none.",
)
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = not last or now - last >= hours * HOUR
    return granted, now if granted else last


@ex.wrong("clock_back_starts", "You start when the clock shows a time before the last start.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now < last or now - last >= hours * HOUR
    return granted, now if granted else last


@ex.wrong(
    "clock_back_moves_the_start",
    "You move the last start back with the clock, without a run: it must stay what it was.",
)
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = _rule(now, last, hours)
    return granted, now if granted or (last is not None and now < last) else last


@ex.wrong("full_hours_passed", "You round the hours that have passed down; compare them as they are.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or (now - last) // HOUR >= hours
    return granted, now if granted else last


@ex.wrong("full_hours_asked", "You round `hours` down (`int`): an hour and a half is more than one hour.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last >= int(hours) * HOUR
    return granted, now if granted else last


@ex.wrong("full_hours_both", "You round the hours down on both sides; compare them as they are.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or int((now - last) / HOUR) >= int(hours)
    return granted, now if granted else last


@ex.wrong("minutes", "You take `hours` for minutes: an hour has 3600 seconds, not 60.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last >= hours * 60
    return granted, now if granted else last


@ex.wrong("days", "You take `hours` for days: an hour has 3600 seconds, not 86,400.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = last is None or now - last >= hours * 24 * HOUR
    return granted, now if granted else last


@ex.wrong("none_stays", "You do not note the very first start: the last start is still None afterwards.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = _rule(now, last, hours)
    return granted, now if granted and last is not None else last


@ex.wrong("always_a_day", "You wait 24 hours whatever `hours` says.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = _rule(now, last, 24.0)
    return granted, now if granted else last


@ex.wrong("none_compared", "You compute with `last` before you look whether it is None.")
def _(now: float, last: float | None, hours: float) -> tuple[bool, float | None]:
    granted = now - last >= hours * HOUR  # type: ignore[operator]
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


ex.breach("`last` is when the last run started, in seconds since 1970", "zero_is_none")
ex.breach("or None if none ever did", "never_the_first")
ex.breach("A run may start if `hours` or more have passed", "not_sooner_and_not_then")
ex.breach("A run may start if `hours` or more have passed", "full_hours_passed")
ex.breach("Return whether it may, and the time of the last start afterwards", "not_noted")
ex.breach("`now` if it may, else what it was.", "asking_counts")
ex.breach("A clock that was set back is no reason to start early.", "any_distance")
