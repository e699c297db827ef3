"""Lesson 13: labels that come late, twice, or before their prediction."""

from collections.abc import Callable
from typing import Any

from gantrans.teaching.exercises.core import Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Event = tuple[str, str, str, float, float]
Joined = dict[str, dict[str, float]]

ex = Exercise(
    id="join_labels",
    lesson="13",
    title="Whose label is it?",
    difficulty=3,
    minutes=15,
    spec="""
    A store receives events, in the order of the list. `("prediction", id, version, 0.0, output)`: a version
    of the model predicted `output`. `("label", id, prediction, made_at, value)`: what that prediction should
    have been, as judged at the time `made_at`, 0 or later. Labels may come in any order, twice, or before
    their prediction. Return `{version: {prediction: error}}` with the absolute error of every labelled
    prediction, credited to the version that made it. Of several labels the one made last counts; labels of
    predictions that never come are left out, and so are versions without labels.
    """,
    hints=(
        "Read all events before you join anything: a label may come before its prediction.",
        "Keep the label with the largest `made_at` for each prediction; the order of arrival means nothing.",
        "`newest = max(labels of p, key=made_at)`; then `result[version][p] = abs(output - value)`.",
    ),
    source="The course's `Store`: event ids make sending again harmless.",
    equivalent={
        "`(str, ": "an annotation is not run",
        "`float` -> `double`": "an annotation is not run",
        "`output - newest[name][1]` -> ": "the absolute value forgets the sign",
        "13.77 `1` -> `-1`": "of a pair the second entry is the last",
        "`made_at > newest[about][0]` -> `made_at >=": "two labels of one time are the same label, "
        "sent twice",
    },
)


@ex.reference
def join_labels(events: list[tuple[str, str, str, float, float]]) -> dict[str, dict[str, float]]:
    """Events (kind, id, version or prediction, made_at, value) -> {version: {prediction: absolute error}}."""
    predictions: dict[str, tuple[str, float]] = {}
    newest: dict[str, tuple[float, float]] = {}
    for kind, name, about, made_at, value in events:
        if kind == "prediction":
            predictions[name] = about, value
        elif about not in newest or made_at > newest[about][0]:
            newest[about] = made_at, value
    joined: dict[str, dict[str, float]] = {}
    for name, (version, output) in predictions.items():
        if name in newest:
            joined.setdefault(version, {})[name] = abs(output - newest[name][1])
    return joined


P1, P2, P3 = (
    ("prediction", "p1", "v1", 0.0, 1.0),
    ("prediction", "p2", "v1", 0.0, 2.0),
    ("prediction", "p3", "v2", 0.0, 5.0),
)
L1: Event = ("label", "l1", "p1", 10.0, 4.0)
L2: Event = ("label", "l2", "p2", 11.0, 2.5)


@ex.edges
def _() -> list[Args]:
    return [
        ([P1, L1],),
        ([L1, P1],),
        ([P1, L1, L1],),
        ([P1, P3, L1],),
        ([P1, P2, L1],),
        ([P1, L1, ("label", "l9", "p1", 5.0, 9.0)],),
        ([P1, ("label", "l9", "p1", 5.0, 9.0), L1],),
        ([P1, ("label", "l9", "nobody", 5.0, 9.0)],),
        ([P1, L2, P2, P3, L1, ("label", "l3", "p3", 1.0, 7.0)],),
        ([P3, P1, ("label", "l3", "p3", 1.0, 2.0)],),
        ([],),
        ([P1, ("label", "l0", "p1", 0.0, 4.0)],),
        ([("label", "l0", "p1", 0.0, 4.0), P1, ("label", "l9", "p1", 0.5, 9.0)],),
        ([P1, P2, P3, *(("label", f"l{k}", f"p{k}", 7.0, 8.0) for k in (1, 2, 3))],),
        ([P1, ("label", "l1", "p1", 3.0, 1.0)],),
        ([P1, ("label", "l1", "p1", 3.0, 0.0)],),
        ([P1, ("label", "l1", "p1", 3.0, -2.5), ("label", "l2", "p1", 3.25, -2.0)],),
        ([("label", "l1", "p1", 3.75, 6.0), P1, ("label", "l2", "p1", 3.25, -2.0)],),
        ([P1, ("label", "l9", "p1", 1.0, 2.0), ("label", "l10", "p1", 2.0, 3.0)],),
        ([P1, ("prediction", "p4", "v9", 0.0, 0.0), ("label", "l4", "p4", 2.0, 0.0)],),
        ([("prediction", "a", "b", 0.0, 1.0), ("label", "b", "a", 0.0, 3.0), ("label", "c", "b", 9.0, 5.0)],),
        ([P1, *(("label", f"x{t}", "p1", t, v) for t, v in ((1.0, 8.0), (0.0, 5.0))), P3],),
        ([P1, *(("label", f"x{t}", "p1", t, v) for t, v in ((5.0, 4.0), (9.0, 3.0), (7.0, 6.0)))],),
        *(([L1, L2],), ([P1, P2],)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    count = case.integer(3, 7)
    events: list[Event] = [
        ("prediction", f"p{i}", f"v{1 + 2 * i // count}", 0.0, float(case.integer(0, 9)))
        for i in range(count)
    ]
    for k in range(case.integer(2, 9)):
        about = f"p{case.integer(0, count)}"  # one of them never comes
        events.append(
            ("label", f"l{k}", about, float(100 * case.integer(0, 30) + k), float(case.integer(0, 9)))
        )
    events += [events[case.integer(0, len(events) - 1)] for _ in range(2)]
    order = sorted(range(len(events)), key=lambda _: float(case.rand(1)))
    return ([events[i] for i in order],)


def _join(
    events: list[Event],
    *,
    pick: Callable[[list[Event]], Event] = lambda labels: max(labels, key=lambda e: e[3]),
    error: Callable[[float, float], float] = lambda output, value: abs(output - value),
) -> Joined:
    joined: Joined = {}
    for kind, name, version, _, output in events:
        labels = [e for e in events if e[0] == "label" and e[2] == name]
        if kind == "prediction" and labels:
            joined.setdefault(version, {})[name] = error(output, pick(labels)[4])
    return joined


@ex.wrong(
    "present_version",
    "You credit the version that is in production when the label comes; it did not make the prediction.",
)
def _(events: list[Event]) -> Joined:
    present = next((e[2] for e in events if e[0] == "prediction"), "")
    owner: dict[str, str] = {}
    newest: dict[str, float] = {}
    for kind, _, about, made_at, _ in events:
        if kind == "prediction":
            present = about
        elif made_at >= newest.get(about, 0.0):
            owner[about], newest[about] = present, made_at
    joined: Joined = {}
    for errors in _join(events).values():
        for name, error in errors.items():
            joined.setdefault(owner[name], {})[name] = error
    return joined


@ex.wrong("early_labels_lost", "You drop labels that come before their prediction; keep them until it comes.")
def _(events: list[Event]) -> Joined:
    known, kept = set(), []
    for event in events:
        if event[0] == "prediction":
            known.add(event[1])
        if event[0] == "prediction" or event[2] in known:
            kept.append(event)
    return _join(kept)


@ex.wrong("last_come", "You take the label that came last; the one that was made last counts.")
def _(events: list[Event]) -> Joined:
    return _join(events, pick=lambda labels: labels[-1])


@ex.wrong("first_made", "You keep the label that was made first: a correction would never count.")
def _(events: list[Event]) -> Joined:
    return _join(events, pick=lambda labels: min(labels, key=lambda e: e[3]))


@ex.wrong("with_sign", "You keep the sign of the error: opposite errors would cancel in a mean.")
def _(events: list[Event]) -> Joined:
    return _join(events, error=lambda output, value: output - value)


@ex.wrong("unknown_kept", "You list labels of predictions that never came, under a version of their own.")
def _(events: list[Event]) -> Joined:
    joined, known = _join(events), {e[1] for e in events if e[0] == "prediction"}
    for kind, _, about, _, value in events:
        if kind == "label" and about not in known:
            joined.setdefault("", {})[about] = value
    return joined


@ex.wrong("zero_for_none", "You count a prediction without a label as right: silence is not quality.")
def _(events: list[Event]) -> Joined:
    joined = _join(events)
    for kind, name, about, _, _ in events:
        if kind == "prediction":
            joined.setdefault(about, {}).setdefault(name, 0.0)
    return joined


@ex.wrong("one_pot", "You put all versions into one: a good version hides a bad one.")
def _(events: list[Event]) -> Joined:
    found = _join(events)
    return {max(found): {n: e for errors in found.values() for n, e in errors.items()}} if found else {}


@ex.wrong("copies_added", "You add a label that came twice: sending again must change nothing.")
def _(events: list[Event]) -> Joined:
    joined = _join(events)
    for errors in joined.values():
        for name in errors:
            errors[name] *= sum(e[0] == "label" and e[2] == name for e in events)
    return joined


@ex.wrong(
    "one_pass",
    "You join a label the moment it comes: one that comes before its prediction is lost, and an older one "
    "that comes late takes the place of the newest.",
)
def _(events: list[Event]) -> Joined:
    known: dict[str, tuple[str, float]] = {}
    joined: Joined = {}
    for kind, name, about, _, value in events:
        if kind == "prediction":
            known[name] = about, value
        elif about in known:
            version, output = known[about]
            joined.setdefault(version, {})[about] = abs(output - value)
    return joined


@ex.wrong("unknown_raises", "You look up a prediction that never came, and the whole report fails.")
def _(events: list[Event]) -> Joined:
    known = {e[1]: e[2] for e in events if e[0] == "prediction"}
    assert all(known[e[2]] for e in events if e[0] == "label")
    return _join(events)


ex.wrong(
    "first_come",
    "You keep the label that came first; the one that was made last counts.",
    lambda events: _join(events, pick=lambda labels: labels[0]),
)
ex.wrong(
    "last_id",
    "You take the label whose own id is the last in the alphabet; the one that was made last counts.",
    lambda events: _join(events, pick=max),
)
ex.wrong(
    "whole_times",
    "You round the times down; a label made a quarter later is the newer one.",
    lambda events: _join(events, pick=lambda labels: max(labels, key=lambda e: int(e[3]))),
)
ex.wrong(
    "turned",
    "You put the prediction outside and the version inside; it is `{version: {prediction: error}}`.",
    lambda events: {n: {v: e} for v, errors in _join(events).items() for n, e in errors.items()},
)
ex.wrong(
    "version_means",
    "You return a mean per version; the error of every prediction was asked for.",
    lambda events: {v: sum(errors.values()) / len(errors) for v, errors in _join(events).items()},
)
ex.wrong(
    "time_zero_lost",
    "You lose a label that was made at time 0: the search for the newest starts there and asks for "
    "later ones.",
    lambda events: _join([e for e in events if e[0] == "prediction" or e[3] > 0]),
)
ex.wrong(
    "exact_ones_lost",
    "You drop an error of 0: a perfect prediction is labelled, too.",
    lambda events: {
        v: kept for v, errors in _join(events).items() if (kept := {n: e for n, e in errors.items() if e})
    },
)
ex.wrong(
    "one_label_per_time",
    "You keep one label per time: of two predictions that were labelled at the same moment one goes without.",
    lambda events: _join(
        [*(e for e in events if e[0] == "prediction"), *{e[3]: e for e in events if e[0] == "label"}.values()]
    ),
)
ex.wrong(
    "one_per_version",
    "You keep one prediction per version: the next one takes the place of the one before.",
    lambda events: {v: dict([list(errors.items())[-1]]) for v, errors in _join(events).items()},
)
ex.wrong(
    "all_versions",
    "You list versions without any label; they are left out.",
    lambda events: {e[2]: _join(events).get(e[2], {}) for e in events if e[0] == "prediction"},
)
ex.wrong(
    "by_its_own_id",
    "You look for a prediction's label under the label's own id; the third entry names the prediction.",
    lambda events: _join([(k, a, n, t, v) if k == "label" else (k, n, a, t, v) for k, n, a, t, v in events]),
)


ex.right(_join)


@ex.right
def _(events: list[Event]) -> Joined:
    labels = sorted((e for e in events if e[0] == "label"), key=lambda e: e[3])
    value = {e[2]: e[4] for e in labels}
    made = {e[1]: e for e in events if e[0] == "prediction" and e[1] in value}
    versions = {e[2] for e in made.values()}
    return {v: {n: abs(e[4] - value[n]) for n, e in made.items() if e[2] == v} for v in versions}


@ex.right
def _(events: list[Event]) -> Joined:
    joined: Joined = {}
    for kind, name, version, _, output in dict.fromkeys(events):  # a set in the order of arrival
        if kind != "prediction":
            continue
        best = None
        for other in events:
            if other[0] == "label" and other[2] == name and (best is None or other[3] > best[3]):
                best = other
        if best is not None:
            joined[version] = {**joined.get(version, {}), name: abs(best[4] - output)}
    return joined


@ex.right
def _(events: list[Event]) -> Joined:
    outputs: dict[str, tuple[str, float]] = {}
    waiting: dict[str, list[tuple[float, float]]] = {}
    for kind, name, about, made_at, value in events:
        if kind == "prediction":
            outputs[name] = (about, value)
        else:
            waiting.setdefault(about, []).append((made_at, value))
    found: dict[str, Any] = {}
    for name in waiting.keys() & outputs.keys():
        version, output = outputs[name]
        found.setdefault(version, {})[name] = abs(output - sorted(waiting[name])[-1][1])
    return found


ex.breach("A store receives events, in the order of the list.", "by_its_own_id")
ex.breach("a version of the model predicted `output`", "present_version")
ex.breach("what that prediction should have been", "by_its_own_id")
ex.breach("as judged at the time `made_at`, 0 or later", "time_zero_lost")
ex.breach("Labels may come in any order", "last_come")
ex.breach("twice, or before their prediction", "copies_added")
ex.breach("or before their prediction", "early_labels_lost")
ex.breach("Return `{version: {prediction: error}}`", "turned")
ex.breach("with the absolute error of every labelled prediction", "with_sign")
ex.breach("Of several labels the one made last counts", "first_made")
ex.breach("labels of predictions that never come are left out", "unknown_kept")
ex.breach("and so are versions without labels", "all_versions")
