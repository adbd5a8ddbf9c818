"""Leaks between parts and sets: the same picture, the same patient, the same question in other words.

In: a data root, or exchanges and files. Out: findings with severity, counts and examples.
"""

from vesalius.data.leaks.check import check, within
from vesalius.data.leaks.images import Alike, Compared, compare
from vesalius.data.leaks.questions import Match, repeated
from vesalius.data.leaks.report import Finding, LeakReport, Severity
from vesalius.data.leaks.wording import asked_again

__all__ = ["Alike", "Compared", "Finding", "LeakReport", "Match", "Severity", "asked_again", "check", "compare", "repeated", "within"]
