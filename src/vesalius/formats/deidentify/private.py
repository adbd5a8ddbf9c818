"""Which private attributes are safe to keep: by DICOM PS3.15 Table E.3.10-1, or by what the file's own (0008,0300) says (PS3.3 C.12.1.1.7).

In: the main dataset. Out: `Safe.covers(creator, group, element)`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from vesalius.formats import header
from vesalius.formats.deidentify.table import safe_private

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Safe:
    """The safe attributes of one file: whole blocks, and single elements of blocks."""

    blocks: frozenset[tuple[str, int]] = frozenset()
    elements: frozenset[tuple[str, int, int]] = frozenset()

    def covers(self, creator: str, group: int, element: int) -> str | None:
        """Who calls (creator, group, last two digits) safe: `standard`, `file`, or None."""
        if (creator, group, element) in safe_private():
            return "standard"
        return "file" if (creator, group) in self.blocks or (creator, group, element) in self.elements else None


def declared(dataset: Dataset) -> Safe:
    """What the file's Private Data Element Characteristics Sequence calls safe; a block of which it says two things is not."""
    blocks: set[tuple[str, int]] = set()
    elements: set[tuple[str, int, int]] = set()
    unsafe: set[tuple[str, int]] = set()
    for item in header.items(dataset, "PrivateDataElementCharacteristicsSequence"):
        group, creator = header.number(item, "PrivateGroupReference"), header.text(item, "PrivateCreatorReference")
        if group is None or creator is None:
            continue
        block, status = (creator, int(group)), header.text(item, "BlockIdentifyingInformationStatus")
        if status == "SAFE":
            blocks.add(block)
        elif status == "MIXED":
            elements |= {(*block, int(number) & 0xFF) for number in header.numbers(item, "NonidentifyingPrivateElements") or ()}
        else:
            unsafe.add(block)
    return Safe(frozenset(blocks - unsafe), frozenset(e for e in elements if e[:2] not in unsafe))
