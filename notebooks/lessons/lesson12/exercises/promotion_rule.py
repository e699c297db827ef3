"""Lesson 12: the whole rule."""

from typing import Any

from gantrans.teaching.exercises.core import Answer, Exercise
from gantrans.teaching.exercises.inputs import Args, Case

Pair = tuple[float, float]

ex = Exercise(
    id="promotion_rule",
    lesson="12",
    title="The rule, all of it",
    difficulty=2,
    minutes=10,
    spec="""
    Decide whether a challenger is promoted. `new_bound` and `old_bound` are the lower bounds of its gain on
    new and on old images, or None where there were too few layouts to say. `families` are the mean changes
    of each family, `defects` opens plus bridges of (champion, challenger), `p95` the 95th percentiles of
    their latencies. All must hold: the new bound is above 0, the old one above `-margin`, no family lost more
    than `family_margin`, no more defects than before, and p95 at most 1.25 times the champion's.
    """,
    hints=(
        "None is not a number and not a pass: insufficient data keep the champion.",
        "“Lost more than the margin” means a change below `-family_margin`; exactly the margin is allowed.",
        "`new_bound is not None and new_bound > 0 and ... and p95[1] <= 1.25 * p95[0]`, and "
        "`all(change >= -family_margin for change in families)`.",
    ),
    source="Claims G26 and G39; non-inferiority margins: ICH E9.",
    equivalent={"`1` -> `-1`": "of a pair the second entry is the last"},
)


@ex.reference
def promotion_rule(
    new_bound: float | None,
    old_bound: float | None,
    families: list[float],
    defects: tuple[int, int],
    p95: tuple[float, float],
    margin: float,
    family_margin: float,
) -> bool:
    """Bounds and changes in units of quality, defects and latencies of (champion, challenger) -> promote?"""
    if new_bound is None or old_bound is None:
        return False
    if new_bound <= 0 or old_bound <= -margin:
        return False
    if any(change < -family_margin for change in families):
        return False
    return defects[1] <= defects[0] and p95[1] <= 1.25 * p95[0]


GOOD: Args = (0.01, -0.004, [0.02, -0.01], (7, 7), (20.0, 21.0), 0.01, 0.03)


def _with(**changes: object) -> Args:
    names = ("new_bound", "old_bound", "families", "defects", "p95", "margin", "family_margin")
    return tuple(changes.get(name, value) for name, value in zip(names, GOOD, strict=True))


@ex.edges
def _() -> list[Args]:
    return [
        GOOD,
        _with(new_bound=0.0),
        _with(new_bound=-0.001),
        _with(new_bound=None),
        _with(old_bound=None),
        _with(old_bound=-0.01),
        _with(old_bound=-0.02),
        _with(old_bound=0.005),
        _with(families=[0.2, -0.04]),
        _with(families=[0.1, -0.03]),
        _with(families=[-0.04, 0.2, 0.1]),
        _with(families=[]),
        _with(defects=(7, 8)),
        _with(defects=(8, 7)),
        _with(p95=(20.0, 25.0)),
        _with(p95=(20.0, 25.5)),
        _with(p95=(20.0, 60.0)),
        _with(p95=(20.0, 5.0)),
        _with(p95=(0.5, 0.7)),
        _with(old_bound=0.02, margin=0.0),
        _with(families=[-0.02], family_margin=0.01),
        _with(families=[-0.02, -0.02], family_margin=0.03),
        _with(old_bound=0.0),
        _with(old_bound=0.0, margin=0.0),
        _with(old_bound=0.0, margin=0.5, families=[]),
        _with(new_bound=None, old_bound=None),
        _with(new_bound=None, old_bound=-1.0),
        _with(new_bound=1e-9),
        _with(new_bound=0.01, margin=0.5, old_bound=-0.49),
        _with(families=[0.5, 0.3]),
        _with(families=[0.01, -0.2]),
        _with(families=[-0.03, -0.03], defects=(0, 0)),
        _with(families=[0.0], family_margin=0.0),
        _with(families=[-0.001], family_margin=0.0),
        _with(defects=(0, 0), p95=(4.0, 5.0)),
        _with(defects=(0, 1)),
        _with(defects=(9, 0)),
        _with(p95=(4.0, 5.001)),
        _with(p95=(25.0, 20.0)),
        _with(p95=(60.0, 20.0)),
        _with(p95=(100.0, 101.25)),
        _with(p95=(100.0, 126.0)),
        _with(p95=(1.0, 2.0)),
    ]


@ex.inputs
def _(case: Case) -> Args:
    def near(value: float) -> float:
        return round(value + (float(case.rand(1)) - 0.4) * 0.02, 4)

    families = [near(-0.02) for _ in range(case.integer(1, 3))]
    champion = case.integer(0, 9)
    return (
        near(0.004), near(-0.006), families, (champion, champion + case.integer(-2, 1)),
        (20.0, float(case.integer(15, 27))), 0.01, 0.03,
    )  # fmt: skip


def _checks(new: float | None, old: float | None, families: list[float], defects: tuple[int, int], p95: Pair,
            margin: float, family_margin: float) -> dict[str, bool]:  # fmt: skip
    return {
        "data": new is not None and old is not None,
        "new": new is None or new > 0,
        "old": old is None or old > -margin,
        "families": min(families, default=0.0) >= -family_margin,
        "defects": defects[1] <= defects[0],
        "latency": p95[1] <= 1.25 * p95[0],
    }


def _without(*left_out: str) -> Answer:
    def answer(*case: Any) -> bool:
        found = _checks(*case)
        return all(ok for name, ok in found.items() if name not in left_out)

    return answer


ex.wrong(
    "none_passes",
    "You let missing data pass: too few layouts prove nothing, so the champion stays.",
    _without("data"),
)
ex.wrong(
    "old_forgotten",
    "You do not look at old images: a challenger that forgot everything would be promoted.",
    _without("old"),
)
ex.wrong(
    "families_forgotten",
    "You look at the mean only: one family may lose what the others gain.",
    _without("families"),
)
ex.wrong(
    "topology_forgotten",
    "You do not count opens and bridges: a chip with a short does not work, whatever its mean IoU.",
    _without("defects"),
)
ex.wrong(
    "latency_forgotten",
    "You do not look at the latency: better but three times slower may be no gain.",
    _without("latency"),
)


@ex.wrong("any_reason", "You promote if any condition holds; all of them must.")
def _(*case: Any) -> bool:
    return any(_checks(*case).values())


def _instead(name: str, test: Answer) -> Answer:
    """The rule with one condition judged by `test`."""

    def answer(*case: Any) -> bool:
        return all({**_checks(*case), name: test(*case)}.values())

    return answer


ex.wrong(
    "margin_on_new",
    "You allow a loss on new images as well; there the gain must be above 0.",
    _instead("new", lambda *case: case[0] is None or case[0] > -case[5]),
)
ex.wrong(
    "no_loss_at_all",
    "You ask for a gain on old images: “not worse by more than the margin” is enough.",
    _instead("old", lambda *case: case[1] is None or case[1] > 0),
)
ex.wrong(
    "faster_too",
    "You refuse a challenger that is much faster: the limit is on being slower.",
    _instead("latency", lambda *case: case[4][0] / 1.25 <= case[4][1] <= 1.25 * case[4][0]),
)
ex.wrong(
    "mean_of_families",
    "You average the families' changes: that is the mean again, and it hides a loss.",
    _instead("families", lambda *case: not case[2] or sum(case[2]) / len(case[2]) >= -case[6]),
)


@ex.wrong(
    "zero_is_missing",
    "You take a bound of 0 for a missing one (`not old_bound`); only None means that there is none.",
)
def _(*case: Any) -> bool:
    return bool(case[1]) and all(_checks(*case).values())


@ex.wrong("none_compared", "You compare a bound with a number before you look whether it is None.")
def _(*case: Any) -> bool:
    found = _checks(*case)
    new, old, _, _, _, margin, _ = case
    return bool(new > 0 and old > -margin and all(found.values()))


@ex.wrong(
    "none_is_zero", "You take a missing bound for 0: too few layouts prove nothing, so the champion stays."
)
def _(*case: Any) -> bool:
    new, old, *rest = case
    return all(_checks(new or 0.0, old or 0.0, *rest).values())


ex.wrong(
    "new_may_be_zero",
    "You promote at a new bound of exactly 0; it must be above.",
    _instead("new", lambda new, *_: new is None or new >= 0),
)
ex.wrong(
    "old_at_the_margin",
    "You promote at an old bound of exactly `-margin`; it must be above.",
    _instead("old", lambda _new, old, _f, _d, _p, margin, _m: old is None or old >= -margin),
)
ex.wrong(
    "positive_margin",
    "You ask for an old bound above `margin`; a loss up to the margin is allowed.",
    _instead("old", lambda _new, old, _f, _d, _p, margin, _m: old is None or old > margin),
)
ex.wrong(
    "family_at_the_margin",
    "You refuse a loss of exactly `family_margin`; only more than that is too much.",
    _instead("families", lambda *case: min(case[2], default=1.0) > -case[6]),
)
ex.wrong(
    "change_without_sign",
    "You take the families' changes without their sign: a large gain is refused.",
    _instead("families", lambda *case: max(map(abs, case[2]), default=0.0) <= case[6]),
)
ex.wrong(
    "any_family",
    "You are content if one family did not lose; none may lose more than the margin.",
    _instead("families", lambda *case: max(case[2], default=0.0) >= -case[6]),
)
ex.wrong(
    "margins_mixed_up",
    "You hold the families to `margin`; they have a margin of their own.",
    _instead("families", lambda *case: min(case[2], default=0.0) >= -case[5]),
)
ex.wrong(
    "defects_must_fall",
    "You refuse as many defects as before; only more are too many.",
    _instead("defects", lambda *case: case[3][1] < case[3][0]),
)
ex.wrong(
    "defects_turned",
    "You have champion and challenger the wrong way round in the defects.",
    _instead("defects", lambda *case: case[3][0] <= case[3][1]),
)
ex.wrong(
    "latency_at_the_limit",
    "You refuse at exactly 1.25 times the latency; that much is allowed.",
    _instead("latency", lambda *case: case[4][1] < 1.25 * case[4][0]),
)
ex.wrong(
    "latency_must_not_grow",
    "You refuse every latency above the champion's; 1.25 times is allowed.",
    _instead("latency", lambda *case: case[4][1] <= case[4][0]),
)
ex.wrong(
    "latency_turned",
    "You have champion and challenger the wrong way round in the latencies.",
    _instead("latency", lambda *case: case[4][0] <= 1.25 * case[4][1]),
)
ex.wrong(
    "latency_by_difference",
    "You allow 1.25 units more; 1.25 is a factor.",
    _instead("latency", lambda *case: case[4][1] <= case[4][0] + 1.25),
)


ex.right(_without())


@ex.right
def _(*case: Any) -> bool:
    new, old, families, defects, p95, margin, family_margin = case
    return bool(
        new is not None
        and old is not None
        and new > 0
        and old > -margin
        and not [change for change in families if change < -family_margin]
        and defects[0] >= defects[1]
        and p95[0] * 1.25 >= p95[1]
    )


@ex.right
def _(*case: Any) -> bool:
    new, old, families, defects, p95, margin, family_margin = case
    nothing = float("-inf")
    bounds = (nothing if new is None else new) > 0 and (nothing if old is None else old) > -margin
    worst = sorted([*families, 0.0])[0]
    return bounds and worst >= -family_margin and defects[1] - defects[0] <= 0 and p95[1] / p95[0] <= 1.25


@ex.right
def _(*case: Any) -> bool:
    new, old, families, defects, p95, margin, family_margin = case
    reasons = []
    if new is None or old is None:
        return False
    if not new > 0:
        reasons.append("no gain on new images")
    if not old > -margin:
        reasons.append("a loss on old images")
    reasons += [f"family {i}" for i, change in enumerate(families) if change < -family_margin]
    if defects[1] > defects[0]:
        reasons.append("new opens or bridges")
    if p95[1] > 1.25 * p95[0]:
        reasons.append("slow")
    return not reasons


ex.breach("Decide whether a challenger is promoted.", "any_reason")
ex.breach("or None where there were too few layouts to say", "none_passes")
ex.breach("`families` are the mean changes of each family", "mean_of_families")
ex.breach("`defects` opens plus bridges of (champion, challenger)", "defects_turned")
ex.breach("All must hold: the new bound is above 0", "margin_on_new")
ex.breach("the old one above `-margin`", "no_loss_at_all")
ex.breach("no family lost more than `family_margin`", "family_at_the_margin")
ex.breach("no more defects than before", "topology_forgotten")
ex.breach("p95 at most 1.25 times the champion's", "latency_at_the_limit")
