"""What is planted, and what must become of it.

In: a dataset and what is put into it. Out: `Item`s, each one required action; they live in a JSON file beside the corpus.

A path is a list of tags (`00100010`) and item numbers, after `meta` for file meta information; `bytes` is the file, `text` a report, `pixels` the pictures.

| action | right when |
|---|---|
| gone | none of the words in `value` stands there any more |
| kept | the value, or each of the words, stands there as before |
| moved | a date differs from the true one by the days by which most dates of this patient do, and not by 0 |
| new | the UID is another one, or has gone |
| linked | the UID is that of the output of the file that `value` names |
| same | the attribute has the same value, not empty and not the true one, in all files of the patient and of no other patient |
| covered | every letter of a burned-in string is altered in most of its pixels |
| stays | a side marker is unaltered |
| untouched | at most the share `value` of the picture outside of the strings is altered; 0: no pixel at all |
| blank | bits that drew letters are cleared, or the attribute has gone |
| claims | the attribute says one of the words |
| sound | the file can be read, its pixels decoded, and its meta information names the same instance |
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Item:
    """One required action. `file` is a path below the source; `detail` tells more of strings in pixels."""

    file: str
    patient: int
    category: str
    action: str
    path: tuple[Any, ...]
    value: Any = None
    detail: dict[str, Any] = dataclasses.field(default_factory=dict)


def way(*steps: str | int) -> tuple[Any, ...]:
    """A path from keywords, tags as eight digits, and item numbers."""
    return tuple(step if isinstance(step, int) or (len(step) == 8 and not step.isalpha()) else f"{tag_for_keyword(step):08X}" for step in steps)


def save(items: Sequence[Item], path: Path) -> None:
    path.write_text("".join(json.dumps(dataclasses.asdict(item)) + "\n" for item in items), encoding="utf-8")


def load(path: Path) -> list[Item]:
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Item(**{**row, "path": tuple(row["path"])}) for row in rows]


class File:
    """A file in the making: the dataset, and the items noted so far."""

    def __init__(self, dataset: Dataset, name: str, patient: int) -> None:
        self.dataset, self.name, self.patient = dataset, name, patient
        self.items: list[Item] = []

    def note(self, category: str, action: str, path: Sequence[Any], value: Any = None, **detail: Any) -> None:
        self.items.append(Item(self.name, self.patient, category, action, tuple(path), value, detail))

    def keep(self, category: str, *keywords: str) -> None:
        """What the dataset has of these must stay as it is."""
        for keyword in keywords:
            element = self.dataset.get(tag_for_keyword(keyword))
            if element is not None and element.value not in (None, "", b"", []):
                self.note(category, "kept", way(keyword), plain(element.value))

    def put(self, category: str, keyword: str, value: str, words: Sequence[str] | None = None) -> None:
        """A value that must go."""
        setattr(self.dataset, keyword, value)
        self.note(category, "gone", way(keyword), list(words or [value]))


def plain(value: Any) -> Any:
    """A value as JSON has it: text, or a list of texts."""
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
        return str(value)
    return [str(one) for one in value]
