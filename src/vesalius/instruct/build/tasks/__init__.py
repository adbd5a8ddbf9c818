"""The task families: from a set's material to instructions, one file each, none importing another.

A family is a function of `Desk`, which holds the material, the options and the count of what was left out, and gives its instructions one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.tasks import finding, findings, grounding, match, nli, report, temporal, view, vqa
from vesalius.instruct.record import Instruction

FAMILIES: Mapping[str, Callable[[Desk], Iterator[Instruction]]] = MappingProxyType(
    {
        "view": view.make,
        "finding": finding.make,
        "findings": findings.make,
        "grounding": grounding.make,
        "section": report.sections,
        "match": match.make,
        "temporal": temporal.make,
        "summary": report.summaries,
        "nli": nli.make,
        "vqa": vqa.make,
    }
)
