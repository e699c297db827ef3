"""A look at a folder of pairs before a training: what would spoil it is named, with what settles it."""

from gantrans.data.check.checking import ACCEPTABLE, check_folder
from gantrans.data.check.findings import NOTE, REFUSED, SEVERITIES, WARNING, Finding
from gantrans.data.check.report import Report

__all__ = ["ACCEPTABLE", "NOTE", "REFUSED", "SEVERITIES", "WARNING", "Finding", "Report", "check_folder"]
