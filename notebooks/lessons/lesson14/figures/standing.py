"""What lesson 14's evidence page says before its claims: what is measured, and how long training is."""

from collections.abc import Mapping

from gantrans.teaching.claims import COMMITTED, read, registered
from gantrans.teaching.claims.ledger import Record
from gantrans.teaching.plots import Table
from lessons.lesson14.experiments.contenders import (
    DIRECTIONS,
    METHODS,
    SECONDS,
    SETTINGS,
    Contender,
    steps_of,
)


def words(ledger: Mapping[str, Record] | None = None) -> str:
    """One sentence on how many of the lesson's claims have a record, from the ledger."""
    known = read(COMMITTED) if ledger is None else ledger
    mine = [claim.id for claim in registered().values() if claim.lessons[0] == "14"]
    lacking = [claim_id for claim_id in mine if claim_id not in known]
    if not lacking:
        return f"All {len(mine)} claims of this lesson were measured."
    done = len(mine) - len(lacking)
    return (
        f"Of the {len(mine)} claims of this lesson {done or 'none'} "
        f"{'was' if done < 2 else 'were'} measured; not measured yet: {', '.join(lacking)}."
    )


def steps_table(scale: str = "reduced") -> Table:
    """How many steps each method is trained under the two budgets."""
    setting = SETTINGS[scale]
    rows = []
    for direction in DIRECTIONS:
        for method in METHODS:
            steps = steps_of(Contender(method, direction, 2000, SECONDS), scale)
            each = setting.step_ms[direction][method]
            rows.append([direction, method, str(setting.steps), str(steps), f"{each:g}"])
    head = ["direction", "method", "equal steps", "equal seconds", "ms a step"]
    return Table(
        head, rows, f"Steps at scale {scale}: {setting.seconds:g} core-seconds where these are equal"
    )
