"""Checks of a case against itself: header, image, report and labels; what does not fit becomes a remark, never an exception.

In: a `Case`, any part of which may be missing. Out: `Checked`: remarks with evidence, the rules that ran, and the rules that lacked a fact.
"""

from vesalius.data.validate.case import Case, finding_name
from vesalius.data.validate.remark import Checked, Evidence, Remark, Severity
from vesalius.data.validate.table import RULES, ClinicalValidator, Rule

__all__ = ["RULES", "Case", "Checked", "ClinicalValidator", "Evidence", "Remark", "Rule", "Severity", "finding_name"]
