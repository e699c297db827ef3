"""How good are the checkers? Every wrong and right answer, and every automatic mutant of every reference.

Goals: every wrong answer refused and rightly diagnosed, no right answer refused, at least 98 % of the
mutants killed that are not listed as equivalent. There is no peer to compare with in one run; the best
course we know, measured by its own published tests, accepted 31 of 64 plausible wrong answers.
"""

from gantrans.teaching.exercises import exercises, kill_table
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
    ]
