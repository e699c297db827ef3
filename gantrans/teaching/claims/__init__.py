"""The claims ledger: what is said, what is true, and what our own runs show."""

from gantrans.teaching.claims.ledger import COMMITTED, RUNS, Row, check, ledger_table, merge, read, record
from gantrans.teaching.claims.prose import check_prose, check_text
from gantrans.teaching.claims.registry import Claim, ClaimError, Part, get, registered, stamp
from gantrans.teaching.claims.verdicts import VERDICTS, judge, judge_part, paired_effect

__all__ = [
    "COMMITTED",
    "RUNS",
    "VERDICTS",
    "Claim",
    "ClaimError",
    "Part",
    "Row",
    "check",
    "check_prose",
    "check_text",
    "get",
    "judge",
    "judge_part",
    "ledger_table",
    "merge",
    "paired_effect",
    "read",
    "record",
    "registered",
    "stamp",
]
