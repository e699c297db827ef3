"""The claims ledger: what is said, what is true, and what our own runs show."""

from gantrans.teaching.claims.evidence import evidence_row
from gantrans.teaching.claims.ledger import COMMITTED, RUNS, check, merge, read, record
from gantrans.teaching.claims.power import power, seeds_needed
from gantrans.teaching.claims.prose import check_prose, check_text
from gantrans.teaching.claims.registry import Claim, ClaimError, Part, get, registered, stamp
from gantrans.teaching.claims.table import Row, ledger_table
from gantrans.teaching.claims.verdicts import VERDICTS, conditions, judge, judge_part, paired_effect

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
    "conditions",
    "evidence_row",
    "get",
    "judge",
    "judge_part",
    "ledger_table",
    "merge",
    "paired_effect",
    "power",
    "read",
    "record",
    "registered",
    "seeds_needed",
    "stamp",
]
