"""Lesson 13: three questions, three answers."""

from collections.abc import Callable

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
        ([(200, False, True), (201, True, None), (204, True, None), (206, False, None)],),
        ([(200, False, True), (301, True, None), (304, True, None), (199, True, None)],),
        ([(200, False, None), (100, True, None), (400, True, None), (404, False, None), (429, True, None)],),
        ([(200, False, True), (501, False, None), (504, False, None), (599, True, None)],),
        ([(500, True, None), (200, False, None)],),
        ([(200, True, False)],),
        ([(200, False, True), (500, False, False), (422, True, True), (200, False, None)],),
        ([(200, False, False), (200, False, None), (200, False, False)],),
        ([(200, False, True), (200, True, True), (200, True, True)],),
    ]


@ex.inputs
def _(case: Case) -> Args:
    requests: list[Request] = [(200, case.integer(0, 3) == 0, case.choice((True, False, None)))]
    for _ in range(case.integer(4, 14)):
        status = case.choice((200, 200, 200, 422, 413, 500, 503, 201, 304))
        right = case.choice((True, True, False, None, None)) if status == 200 else None
        requests.append((status, case.integer(0, 3) == 0, right))
    return (requests,)


def _parts(requests: list[Request]) -> Answer3:
    found: Answer3 = ex.function(requests)
    return found


@ex.wrong(
    "refusals_are_failures",
    "You count all that is not 200 as a failure: a 422, for example, is the client's mistake.",
)
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
    labelled = sum(r[2] is not None for r in requests if r[0] == 200)
    return failed, strange, quality, labelled / len(requests)


@ex.wrong("failures_of_answers", "You divide the failures by the answers; the share is of all requests.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    answered = sum(s == 200 for s, _, _ in requests)
    return sum(s >= 500 for s, _, _ in requests) / answered, strange, quality, coverage


def _answered_by(test: Callable[[int], bool]) -> Callable[[list[Request]], Answer3]:
    """The reference, for which every status that passes `test` is an answer."""

    def answer(requests: list[Request]) -> Answer3:
        taken = [(200 if test(status) else max(status, 201), odd, right) for status, odd, right in requests]
        failed = sum(status >= 500 for status, _, _ in requests) / len(requests)
        return failed, *_parts(taken)[1:]

    return answer


ex.wrong(
    "every_success",
    "You take every status from 200 to 299 for an answer; only 200 is one.",
    _answered_by(lambda status: 200 <= status < 300),
)
ex.wrong(
    "all_below_400",
    "You take every status below 400 for an answer; only 200 is one.",
    _answered_by(lambda status: status < 400),
)
ex.wrong(
    "all_below_500",
    "You take every request that we did not fail for an answer; only a status of 200 is one.",
    _answered_by(lambda status: status < 500),
)


@ex.wrong(
    "client_errors", "You count every status from 400 on as a failure; those below 500 are the client's."
)
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    return sum(s >= 400 for s, _, _ in requests) / len(requests), strange, quality, coverage


@ex.wrong("not_500_itself", "You leave out the status 500 itself; failures are 500 or more.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    return sum(s > 500 for s, _, _ in requests) / len(requests), strange, quality, coverage


@ex.wrong("only_500", "You count the status 500 alone; failures are 500 or more.")
def _(requests: list[Request]) -> Answer3:
    _, strange, quality, coverage = _parts(requests)
    return sum(s == 500 for s, _, _ in requests) / len(requests), strange, quality, coverage


@ex.wrong("wrong_is_unlabelled", "You take a label False for none (`if right`): only None means no label.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, *_ = _parts(requests)
    answered = [r for r in requests if r[0] == 200]
    good = sum(bool(r[2]) for r in answered)
    return failed, strange, 1.0 if good else None, good / len(answered)


@ex.wrong("right_of_all", "You divide the right answers by all requests; of the labelled answers was asked.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    good = sum(r[0] == 200 and r[2] is True for r in requests)
    return failed, strange, None if quality is None else good / len(requests), coverage


@ex.wrong(
    "strange_of_all", "You divide strange answered inputs by all requests; of the answered ones was asked."
)
def _(requests: list[Request]) -> Answer3:
    failed, _, quality, coverage = _parts(requests)
    return failed, sum(s == 200 and odd for s, odd, _ in requests) / len(requests), quality, coverage


@ex.wrong("no_label_crash", "You divide by the number of labels where there is none.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, (quality or 0.0) / (1 if coverage else 0), coverage


@ex.wrong("unlabelled_share", "You return the share of answers *without* a label; coverage is that with one.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, quality, 1 - coverage


@ex.wrong("availability", "You return the share that we did *not* fail.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return 1 - failed, strange, quality, coverage


@ex.wrong(
    "share_wrong", "You return the share of labelled answers that is wrong; the right ones were asked for."
)
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, None if quality is None else 1 - quality, coverage


@ex.wrong("coverage_third", "You return coverage third; the order is failed, strange, right, coverage.")
def _(requests: list[Request]) -> tuple[float, float, float, float | None]:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, coverage, quality


@ex.wrong("coverage_counts", "You return the number of labels; coverage is a share of the answers.")
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, _ = _parts(requests)
    return failed, strange, quality, sum(r[0] == 200 and r[2] is not None for r in requests)


@ex.wrong(
    "coverage_of_right", "You count the answers that are right for coverage; a label False is one, too."
)
def _(requests: list[Request]) -> Answer3:
    failed, strange, quality, coverage = _parts(requests)
    return failed, strange, quality, coverage * (quality or 0.0)


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


ex.background("Of every request the log holds")
ex.breach("An input was read and answered only where the status is 200.", "every_success")
ex.breach("An input was read and answered only where the status is 200.", "all_below_400")
ex.breach("the share of requests that *we* failed (status 500 or more)", "client_errors")
ex.breach("of the answered ones, the share with a strange input", "refused_inputs_watched")
ex.breach(
    "of the labelled answers, the share that is right (None if there is no label)", "zero_without_labels"
)
ex.breach("and the coverage, the share of answers that are labelled", "coverage_of_all")
ex.background("There is at least one answer.")
