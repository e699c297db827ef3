"""Lesson 13: three questions, three answers."""

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Request = tuple[int, bool, bool | None]
Answer3 = tuple[float, float, float | None, float]

ex = Exercise(
    id="three_monitors",
    lesson="13",
    title="Three monitors, kept apart",
    difficulty=2,
    minutes=10,
    spec="""
    Of every request the log holds `(status, strange, right)`: the HTTP status; whether the input looked
    strange; whether the output was right, which only a label can say (None without one). An input was read
    and answered only where the status is 200. Return four numbers: the share of requests that *we* failed
    (status 500 or more); of the answered ones, the share with a strange input; of the labelled answers, the
    share that is right (None if there is no label); and the coverage, the share of answers that are labelled.
    There is at least one answer.
    """,
    hints=(
        "A 422 is the client's mistake: it was refused, and it is no failure of the service.",
        "The denominators differ: all requests, answers, labelled answers, answers.",
        "`answered = [r for r in requests if r[0] == 200]`, `labelled = [r for r in answered if r[2] is not "
        "None]`.",
    ),
    source="The course's `Operational`, `DriftWatch` and `performance`.",
)


@ex.reference
def three_monitors(
    requests: list[tuple[int, bool, bool | None]],
) -> tuple[float, float, float | None, float]:
    """(status, strange input?, right output?) -> (failed, strange, right, coverage), shares in [0, 1]."""
    answered = [request for request in requests if request[0] == 200]
    verdicts = [right for _, _, right in answered if right is not None]
    failed = sum(status >= 500 for status, _, _ in requests) / len(requests)
    strange = sum(odd for _, odd, _ in answered) / len(answered)
    quality = sum(verdicts) / len(verdicts) if verdicts else None
    return failed, strange, quality, len(verdicts) / len(answered)


@ex.edges
def _() -> list[Args]:
    return [
        ([(200, False, True)],),
        ([(200, False, None)],),
        ([(200, False, True), (200, True, False), (200, False, None), (200, True, None)],),
        ([(200, False, True), (422, False, None), (422, False, None), (503, False, None)],),
        ([(200, False, True), (500, False, None)],),
        ([(200, False, True), (499, True, None)],),
        ([(200, True, None), (503, True, None), (200, False, False)],),
        ([(200, True, False), (200, True, False)],),
    ]


@ex.inputs
def _(case: Case) -> Args:
    requests: list[Request] = [(200, case.integer(0, 3) == 0, case.choice((True, False, None)))]
    for _ in range(case.integer(4, 14)):
        status = case.choice((200, 200, 200, 422, 413, 500, 503))
        right = case.choice((True, True, False, None, None)) if status == 200 else None
        requests.append((status, case.integer(0, 3) == 0, right))
    return (requests,)


def _parts(requests: list[Request]) -> Answer3:
    found: Answer3 = ex.function(requests)
    return found


@ex.wrong("refusals_are_failures", "You count refused uploads as failures: a 422 is the client's mistake.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    return sum(s != 200 for s, _, _ in requests) / len(requests), strange, quality, coverage


@ex.wrong("unlabelled_are_right", "You count answers without a label as right: silence is not quality.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, _, coverage = _parts(requests)
    answered = [r for r in requests if r[0] == 200]
    return failed, strange, sum(r[2] is not False for r in answered) / len(answered), coverage


@ex.wrong("unlabelled_are_wrong", "You count answers without a label as wrong.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, _, coverage = _parts(requests)
    answered = [r for r in requests if r[0] == 200]
    return failed, strange, sum(r[2] is True for r in answered) / len(answered), coverage


@ex.wrong("zero_without_labels", "Without any label you report quality 0; nothing is known, so say None.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, quality or 0.0, coverage


@ex.wrong("refused_inputs_watched", "You look at inputs that were refused: they never reached the model.")
def _(requests: list[Request]) -> Answer3:
    failed, _, quality, coverage = _parts(requests)
    return failed, sum(odd for _, odd, _ in requests) / len(requests), quality, coverage


@ex.wrong("strange_is_failed", "You add strange inputs to the failures: that mixes two questions.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    mixed = sum(s >= 500 or (s == 200 and odd) for s, odd, _ in requests) / len(requests)
    return mixed, strange, quality, coverage


@ex.wrong("strange_is_wrong", "You count answers to strange inputs as wrong: only labels say that.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, _, coverage = _parts(requests)
    labelled = [r for r in requests if r[0] == 200 and r[2] is not None]
    share = sum(bool(r[2]) and not r[1] for r in labelled) / len(labelled) if labelled else None
    return failed, strange, share, coverage


@ex.wrong("coverage_of_all", "You divide by all requests: a refused one cannot get a label.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, _ = _parts(requests)
    return failed, strange, quality, sum(r[2] is not None for r in requests) / len(requests)


@ex.wrong("failures_of_answers", "You divide the failures by the answers; the share is of all requests.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    answered = sum(s == 200 for s, _, _ in requests)
    return sum(s >= 500 for s, _, _ in requests) / answered, strange, quality, coverage


ex.right(_parts)


@ex.right
def _(requests: list[Request]) -> Answer3:
    failures = answers = odd = labels = good = 0
    for status, strange, right in requests:
        if status >= 500:
            failures += 1
        if status != 200:
            continue
        answers += 1
        odd += strange
        if right is not None:
            labels += 1
            good += right
    return failures / len(requests), odd / answers, good / labels if labels else None, labels / answers


@ex.right
def _(requests: list[Request]) -> Answer3:
    def share(values: list[bool]) -> float | None:
        return sum(values) / len(values) if values else None

    answered = [r for r in requests if r[0] == 200]
    failed = share([r[0] // 100 == 5 for r in requests]) or 0.0
    strange = share([r[1] for r in answered]) or 0.0
    quality = share([r[2] for r in answered if r[2] is not None])
    return failed, strange, quality, share([r[2] is not None for r in answered]) or 0.0


@ex.right
def _(requests: list[Request]) -> Answer3:
    import numpy as np

    status = np.array([r[0] for r in requests])
    answered = [r for r in requests if r[0] == 200]
    known = [float(r[2]) for r in answered if r[2] is not None]
    odd = float(np.mean([r[1] for r in answered]))
    return (
        float((status >= 500).mean()),
        odd,
        float(np.mean(known)) if known else None,
        len(known) / len(answered),
    )
