"""A radiology report as it is stored, cut at its headings.

In: text in the style of MIMIC-CXR: "FINAL REPORT", then headings in capitals with a colon. Out: `domain.finding.Report`, whose sections together hold every
word but the headings; what stands before the first heading is "preamble".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from vesalius.domain.finding import Report

PREAMBLE = "preamble"
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z0-9 /&,()'-]{2,60}?)[ \t]*:(?!\d)", re.MULTILINE)
# heading in lower case -> the name under which its text is kept
NAMES: Mapping[str, str] = MappingProxyType(
    {
        "finding": "findings",
        "report": "findings",
        "conclusion": "impression",
        "conclusions": "impression",
        "impressions": "impression",
        "findings and impression": "impression",
        "findings/impression": "impression",
        "impression and findings": "impression",
        "comparisons": "comparison",
        "comparison exam": "comparison",
        "comparison study": "comparison",
        "clinical history": "indication",
        "clinical indication": "indication",
        "clinical information": "indication",
        "history": "indication",
        "indications": "indication",
        "reason for exam": "indication",
        "reason for examination": "indication",
        "reason for study": "indication",
        "exam": "examination",
        "study": "examination",
        "type of examination": "examination",
        "chest radiograph": "examination",
    }
)


def sections(text: str) -> Report:
    """The report by section; the name of a heading that `NAMES` does not have is kept in lower case. Parts of one name are joined in order."""
    marks = list(_HEADING.finditer(text))
    parts = [(PREAMBLE, text[: marks[0].start()] if marks else text)]
    for mark, following in zip(marks, [*marks[1:], None][: len(marks)], strict=True):
        name = " ".join(mark.group(1).lower().split())
        parts.append((NAMES.get(name, name), text[mark.end() : following.start() if following else len(text)]))
    found: dict[str, str] = {}
    for name, body in parts:
        words = " ".join(body.split())
        if words:
            found[name] = f"{found[name]} {words}" if name in found else words
    return Report(MappingProxyType(found))
