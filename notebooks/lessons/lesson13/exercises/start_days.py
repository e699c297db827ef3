"""Lesson 13: on which days does a training start?"""

from collections.abc import Callable

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Day = tuple[int, float, bool]

ex = Exercise(
    id="start_days",
    lesson="13",
    title="The trigger, day by day",
    difficulty=3,
    minutes=12,
    spec="""
    Every day brings `(labels, loss, drift)`: how many labels arrived, by how much the quality of labelled
    predictions lies below its reference, and whether the input monitor alarms. Return the numbers (0, 1, ...)
    of the days on which a training starts. It starts if `enough` new labels wait, or if quality fell by more
    than `most_loss` and at least `fewest` new labels wait; and only if `pause` or more days have passed since
    the last start. A start uses up all labels that wait. Drift asks for labels; it starts nothing.
    """,
    hints=(
        "Keep two things from day to day: the labels that wait, and the day of the last start.",
        "Add today's labels before you decide.",
        "`ready = waiting >= enough or (loss > most_loss and waiting >= fewest)`, and "
        "`last is None or day - last >= pause`.",
    ),
    source="The course's `advise` and `CoolDown`; claims G28 and G38.",
)


@ex.reference
def start_days(
    days: list[tuple[int, float, bool]], enough: int, fewest: int, most_loss: float, pause: int
) -> list[int]:
    """Days as (labels, loss of quality, drift?) -> the days on which a training starts, ascending."""
    starts: list[int] = []
    waiting = 0
    for day, (labels, loss, _) in enumerate(days):
        waiting += labels
        ready = waiting >= enough or (loss > most_loss and waiting >= fewest)
        if ready and (not starts or day - starts[-1] >= pause):
            starts.append(day)
            waiting = 0
    return starts


RULE = (10, 4, 0.05, 3)


@ex.edges
def _() -> list[Args]:
    return [
        ([(5, 0.0, False)] * 6, *RULE),
        ([(2, 0.1, False)] * 6, *RULE),
        ([(0, 0.2, True)] * 5, *RULE),
        ([(3, 0.0, True)] * 3, *RULE),
        ([(4, 0.05, False)] * 2, *RULE),
        ([(4, 0.06, False)], *RULE),
        ([(9, 0.0, False), (1, 0.0, False)], *RULE),
        ([(10, 0.0, False)] * 7, *RULE),
        ([(10, 0.0, False), (0, 0.3, False), (0, 0.3, False), (0, 0.3, False), (4, 0.3, False)], *RULE),
        ([(10, 0.0, False), (0, 0.0, False)], 10, 4, 0.05, 1),
        ([(30, 0.3, True)] * 2, *RULE),
        ([], *RULE),
        ([(5, 0.0, False), (6, 0.0, False), (9, 0.0, False), (0, 0.0, False), (2, 0.0, False)], *RULE),
        ([(25, 0.0, False), *[(0, 0.0, False)] * 6, (9, 0.0, False), (1, 0.0, False)], *RULE),
        ([(10, 0.0, False), (9, 0.0, False), (0, 0.0, False), (0, 0.0, False), (1, 0.0, False)], *RULE),
        ([(0, 0.9, False), (3, 0.0, False), (2, 0.0, False), (0, 0.06, False)], *RULE),
        ([(4, -0.9, True), (0, -0.06, False), (0, 0.051, True)], *RULE),
        ([(3, 0.04, False), (1, 0.04, False), (1, 0.04, False), (5, 0.0, False)], *RULE),
        ([(10, 0.0, False)] * 4, 10, 4, 0.05, 0),
        ([(0, 0.0, False), (0, 0.2, False), (0, 0.2, False)], 10, 0, 0.05, 2),
        ([(0, 0.0, False)] * 5, 0, 0, 0.05, 2),
        ([(3, 0.2, True), (3, 0.0, False), (3, 0.2, False)], 5, 7, 0.05, 1),
        ([(7, 0.0, False), (7, 0.5, False), (0, 0.5, False), (0, 0.0, False), (7, 0.0, False)], 7, 7, 0.0, 4),
        ([(10, 0.0, False), (10, 0.0, False), (0, 0.0, False), (0, 0.0, False)], 10, 4, 0.05, 2),
    ]


@ex.inputs
def _(case: Case) -> Args:
    days = [
        (case.integer(0, 4), round(0.1 * float(case.rand(1)), 3), case.integer(0, 2) == 0)
        for _ in range(case.integer(8, 24))
    ]
    return days, case.integer(8, 14), case.integer(2, 6), 0.06, case.integer(1, 5)


def _starts(
    days: list[Day],
    pause: int,
    ready: Callable[[int, float, bool], bool],
    *,
    before: bool = False,
    strict: bool = False,
    kept: bool = False,
    asked: bool = False,
) -> list[int]:
    starts: list[int] = []
    waiting, last = 0, -(10**9)
    for day, (labels, loss, drift) in enumerate(days):
        waiting += 0 if before else labels
        wants = ready(waiting, loss, drift)
        waiting += labels if before else 0
        free = day - last > pause if strict else day - last >= pause
        if wants and free:
            starts.append(day)
            waiting = waiting if kept else 0
        if wants and (free or asked):
            last = day
    return starts


def _rule(enough: int, fewest: int, most: float) -> Callable[[int, float, bool], bool]:
    return lambda waiting, loss, drift: waiting >= enough or (loss > most and waiting >= fewest)


@ex.wrong("drift_starts", "You start when the input drifts: that says nothing about the right output.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    rule = _rule(enough, fewest, most_loss)
    return _starts(days, pause, lambda w, loss, drift: drift or rule(w, loss, drift))


@ex.wrong("nothing_to_train_on", "You start on lost quality alone, without the fewest labels.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough or loss > most_loss)


@ex.wrong("quality_forgotten", "You wait for `enough` labels even while quality is lost.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough)


@ex.wrong("no_pause", "You forget the cool-down: reasons come in crowds, and every one starts a run.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, 0, _rule(enough, fewest, most_loss))


@ex.wrong(
    "labels_used_twice", "You do not use up the labels: after the pause the same ones start a run again."
)
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, _rule(enough, fewest, most_loss), kept=True)


@ex.wrong("a_day_late", "You decide before today's labels are counted.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, _rule(enough, fewest, most_loss), before=True)


@ex.wrong("one_day_more", "You wait one day too long: `pause` days are enough.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, _rule(enough, fewest, most_loss), strict=True)


@ex.wrong("asking_counts", "A refused wish renews your pause: while reasons last, nothing ever starts again.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, _rule(enough, fewest, most_loss), asked=True)


@ex.wrong("both_needed", "You ask for both reasons; either is enough.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough and loss > most_loss)


@ex.wrong("enough_and_one", "You ask for more than `enough` labels; exactly that many are enough.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w > enough or (loss > most_loss and w >= fewest))


@ex.wrong("fewest_and_one", "You ask for more than `fewest` labels; exactly that many are enough.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough or (loss > most_loss and w > fewest))


@ex.wrong("loss_at_the_limit", "You start at a loss of exactly `most_loss`; it must be more.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough or (loss >= most_loss and w >= fewest))


@ex.wrong("loss_without_sign", "You take the loss without its sign: quality that rose starts a training.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough or (abs(loss) > most_loss and w >= fewest))


@ex.wrong(
    "loss_turned", "You start where quality rose: `loss` says by how much it lies *below* its reference."
)
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: w >= enough or (-loss > most_loss and w >= fewest))


@ex.wrong(
    "fewest_always", "You ask for `fewest` labels in either case: `enough` of them start it by themselves."
)
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: (w >= enough or loss > most_loss) and w >= fewest)


@ex.wrong("quality_alone", "You start only where quality fell; `enough` labels are a reason as well.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, lambda w, loss, drift: loss > most_loss and w >= fewest)


@ex.wrong("drift_and_labels", "You start on drift and `fewest` labels; drift starts nothing.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    rule = _rule(enough, fewest, most_loss)
    return _starts(days, pause, lambda w, loss, drift: rule(w, loss, drift) or (drift and w >= fewest))


@ex.wrong(
    "todays_labels_only", "You look at today's labels alone; those that came before and wait count as well."
)
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    ready = _rule(enough, fewest, most_loss)
    starts: list[int] = []
    for day, (labels, loss, drift) in enumerate(days):
        if ready(labels, loss, drift) and (not starts or day - starts[-1] >= pause):
            starts.append(day)
    return starts


def _loop(
    begin: int = 0, first: int | None = None, *, deaf: bool = False, rest: bool = False
) -> Callable[..., list[int]]:
    """An answer that numbers days from `begin`, has a start on day `first` behind it, is deaf to labels in a
    pause, or uses up `enough` labels alone and keeps the rest."""

    def answer(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
        ready, starts, waiting, last = _rule(enough, fewest, most_loss), [], 0, first
        for day, (labels, loss, drift) in enumerate(days, begin):
            paused = last is not None and day - last < pause
            waiting += 0 if paused and deaf else labels
            if ready(waiting, loss, drift) and not paused:
                starts.append(day)
                waiting, last = max(waiting - enough, 0) if rest else 0, day
        return starts

    return answer


ex.wrong("counted_from_one", "You number the days from 1; the first one is day 0.", _loop(1))
ex.wrong(
    "pause_before_the_first",
    "You wait a pause before the first start, as if a training had started on day 0; there was none.",
    _loop(first=0),
)
ex.wrong(
    "deaf_in_the_pause", "You lose the labels that arrive during the pause; they wait.", _loop(deaf=True)
)
ex.wrong(
    "some_labels_kept", "You take `enough` labels away; a start uses up all that wait.", _loop(rest=True)
)


@ex.wrong("day_zero_forgotten", "You take a start on day 0 for none (`if not last`): its pause is not kept.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    ready, starts, waiting, last = _rule(enough, fewest, most_loss), [], 0, 0
    for day, (labels, loss, drift) in enumerate(days):
        waiting += labels
        if ready(waiting, loss, drift) and (not last or day - last >= pause):
            starts.append(day)
            waiting, last = 0, day
    return starts


@ex.wrong("loss_remembered", "You remember a loss of quality until labels come; it counts on its own day.")
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    starts: list[int] = []
    waiting, worst = 0, -1.0
    for day, (labels, loss, _) in enumerate(days):
        waiting, worst = waiting + labels, max(worst, loss)
        ready = waiting >= enough or (worst > most_loss and waiting >= fewest)
        if ready and (not starts or day - starts[-1] >= pause):
            starts.append(day)
            waiting, worst = 0, -1.0
    return starts


@ex.right
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    return _starts(days, pause, _rule(enough, fewest, most_loss))


@ex.right
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    starts: list[int] = []
    for day, (_, loss, _) in enumerate(days):
        since = starts[-1] + 1 if starts else 0
        waiting = sum(labels for labels, _, _ in days[since : day + 1])
        needed = fewest if loss > most_loss else enough
        if waiting >= min(needed, enough) and (not starts or day >= starts[-1] + pause):
            starts.append(day)
    return starts


@ex.right
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    starts: list[int] = []
    waiting, rest = 0, 0
    for day, (labels, loss, _) in enumerate(days):
        waiting, rest = waiting + labels, max(0, rest - 1)
        if rest > 0:
            continue
        if waiting >= enough or (waiting >= fewest and loss > most_loss):
            starts, waiting, rest = [*starts, day], 0, pause
    return starts


@ex.right
def _(days: list[Day], enough: int, fewest: int, most_loss: float, pause: int) -> list[int]:
    def go(day: int, waiting: int, last: float) -> list[int]:
        if day == len(days):
            return []
        labels, loss, _ = days[day]
        have = waiting + labels
        reasons = [have >= enough, have >= fewest and loss > most_loss]
        if any(reasons) and day - last >= pause:
            return [day, *go(day + 1, 0, day)]
        return go(day + 1, have, last)

    return go(0, 0, float("-inf"))


ex.background("Every day brings `(labels, loss, drift)`")
ex.breach("Return the numbers (0, 1, ...)", "counted_from_one")
ex.breach("It starts if `enough` new labels wait", "enough_and_one")
ex.breach("if quality fell by more than `most_loss`", "loss_at_the_limit")
ex.breach("at least `fewest` new labels wait", "nothing_to_train_on")
ex.breach("only if `pause` or more days have passed since the last start", "one_day_more")
ex.breach("A start uses up all labels that wait.", "labels_used_twice")
ex.breach("Drift asks for labels; it starts nothing.", "drift_starts")
