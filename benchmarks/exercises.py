"""How good are the checkers? Every wrong and right answer, and every automatic mutant of every reference.

Goals: every wrong answer refused and rightly diagnosed, no right answer refused, at least 98 % of the
mutants killed that are not listed as equivalent. There is no peer to compare with in one run; the best
course we know, measured by its own published tests, accepted 31 of 64 plausible wrong answers.

Answers of strangers (`tests/strangers`) are a row for themselves: the unseen half was written by people who
saw only the texts, and the checkers were tuned without it.
"""

import sys
import time

from gantrans import ROOT
from gantrans.teaching.exercises import State, exercise, exercises, kill_table
from gantrans.teaching.exercises.mutation import sample, survives

GOAL = 0.98


def run(quick: bool) -> list[dict]:
    """One row per exercise and one for all; `quick` takes the fixed sample of 200 mutants instead of all."""
    rows = kill_table(mutants=not quick)
    if quick:
        chosen = sample(exercises(), 200)
        mutants, equivalent = len(chosen), 0
        survivors = [m.id for ex, m in chosen if survives(ex, m)]
    else:
        mutants, equivalent = (sum(row[key] for row in rows) for key in ("mutants", "equivalent"))
        survivors = [m for row in rows for m in row["survivors"]]
    total = {
        key: sum(row[key] for row in rows) for key in ("wrong", "refused", "diagnosed", "right", "accepted")
    }
    score = 1 - len(survivors) / (mutants - equivalent)
    mutation = {"mutants": mutants, "equivalent": equivalent, "survivors": survivors, "score": score}
    return [
        *rows,
        {"lesson": "all", "exercise": "all", **total, **mutation, "goal": GOAL, "met": score >= GOAL},
        *(strangers(seen) for seen in (True, False)),
    ]


def strangers(seen: bool) -> dict:
    """How the checkers judge one half of the strangers' answers, and the longest check in seconds."""
    sys.path.insert(0, str(ROOT / "tests" / "strangers"))
    from strangers import answers

    half = [stranger for stranger in answers() if stranger.seen == seen]
    verdicts, longest = [], 0.0
    for stranger in half:
        ex = exercise(stranger.exercise)
        assert ex.expected  # the reference's own answers belong to nobody's time
        start = time.perf_counter()
        verdicts.append(ex.judge(stranger.answer))
        longest = max(longest, time.perf_counter() - start)
    judged = list(zip(half, verdicts, strict=True))
    refused = [v for s, v in judged if not s.right and v.state is State.INCORRECT]
    return {
        "lesson": "all",
        "exercise": f"strangers, {'seen' if seen else 'unseen'}",
        "wrong": sum(not s.right for s in half),
        "refused": len(refused),
        "diagnosed": sum(bool(v.cause) for v in refused),
        "right": sum(s.right for s in half),
        "accepted": sum(v.passed for s, v in judged if s.right),
        "longest check [s]": round(longest, 2),
    }
