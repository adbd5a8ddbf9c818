"""What no mixture may hold: the pictures, patients, questions and texts of every test part that the package knows and finds below the data root.

In: a data root. Out: `Tested`, which says of a row whether it leaks, and into what. What could not be looked at, because a set is absent or damaged, is named.

A protocol whose parts are disjoint by picture or patient keeps its test pictures and patients out. One that is disjoint only by question ("official" of
VQA-RAD) keeps out its questions, in the same or other words. From other sets than its own each keeps out its pictures.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from vesalius.data import base
from vesalius.data.leaks.wording import SAME, asked_again, wording
from vesalius.data.text_questions import TextQuestion
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import UserError
from vesalius.instruct.record import Instruction
from vesalius.metrics.text import normalise

PICTURE, PATIENT, QUESTION, TEXT = "leak: a test picture", "leak: a test patient", "leak: a question of a test", "leak: a text of a test"
_LONG = 8  # words of a question that nobody asks by chance about another text


class Tested:
    """All test parts below a data root.

    Attributes:
        sets: name -> exchanges and text questions that were read. absent: sets that are not there. unread: set and protocol -> why it was not read.
    """

    def __init__(self, root: Path) -> None:
        self.sets: dict[str, int] = {}
        self.absent: list[str] = []
        self.unread: dict[str, str] = {}
        self._rows: dict[str, list[Exchange]] = defaultdict(list)  # picture -> test questions
        self._held: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))  # picture -> set -> protocols that keep the picture out
        self._patients: dict[tuple[str, str], set[str]] = defaultdict(set)  # set, protocol -> clusters
        self._stems: dict[tuple[str, ...], list[tuple[str, TextQuestion]]] = defaultdict(list)
        self._passages: dict[bytes, list[tuple[str, TextQuestion]]] = defaultdict(list)
        self._groups: Mapping[str, str] = {}
        self._of_group: dict[str, list[str]] = {}
        for name in sorted(base.TABLE):
            chosen = base.dataset(name)
            if (root / chosen.card.folder).is_dir():
                self._read(name, chosen, root)
            else:
                self.absent.append(name)
        self.set_groups({})

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of all test pictures."""
        return tuple(self._held)

    def set_groups(self, groups: Mapping[str, str]) -> None:
        """Say which pictures are one: name -> name of its group, for those that have copies."""
        self._groups, self._of_group = groups, defaultdict(list)
        for name in self._held:
            self._of_group[groups.get(name, name)].append(name)

    def leak(self, row: Instruction, protocol: str | None) -> tuple[str, str] | None:
        """(reason, what of which test) when a row is kept out; None when it is not.

        Args:
            protocol: of the row's own set, under which it was read; None: not known, so that every one counts.
        """
        for key in self._protocols(row.source, protocol):
            if row.cluster in self._patients.get(key, ()):
                return PATIENT, f"{row.cluster} of {key[0]} {key[1]}"
        for image in row.images:
            for name in self._of_group.get(self._groups.get(image, image), ()):
                if found := self._picture(row, protocol, name):
                    return found
        return None

    def text_leak(self, asked: str, passage: str, answer: str) -> tuple[str, str] | None:
        """The same for a row about no picture: it asks what a test asks of the same text, or in the same words of no text or at length."""
        if not self._stems:
            return None
        stems = wording.__wrapped__(asked).stems  # not kept in the cache: there may be a million
        near = self._stems.get(stems, []) + (self._passages.get(_hash(passage), []) if passage else [])
        for name, test in near:
            same_text = _hash(test.passage) == _hash(passage)
            again = asked_again(asked, test.question, (answer, test.golds[0] if test.golds else ""))[0] >= SAME
            words = normalise(asked) == normalise(test.question) and len(normalise(asked).split()) >= _LONG
            if words or (again and (same_text or not test.passage)):
                return TEXT, f"{test.id} of {name}: {test.question[:120]}"
        return None

    def to_json(self) -> dict[str, Any]:
        """What was looked at."""
        return {"sets": self.sets, "pictures": len(self._held), "absent": self.absent, "unread": self.unread}

    def _picture(self, row: Instruction, protocol: str | None, name: str) -> tuple[str, str] | None:
        for owner, protocols in self._held[name].items():
            if owner != row.source or (protocols if protocol is None else protocol in protocols):
                return PICTURE, f"{name} of {owner}"
        for test in self._rows[name]:
            if asked_again(row.question, test.question.text, (row.answer, test.gold))[0] >= SAME:
                return QUESTION, f"{test.id}: {test.question.text[:120]}"
        return None

    def _protocols(self, name: str, protocol: str | None) -> Collection[tuple[str, str]]:
        return [(name, protocol)] if protocol is not None else [key for key in self._patients if key[0] == name]

    def _read(self, name: str, chosen: base.Dataset, root: Path) -> None:
        seen: set[str] = set()
        for each in chosen.card.protocols:
            try:
                rows = chosen.exchanges(root, Split.TEST, each.name)
                texts = chosen.questions(root, Split.TEST, each.name) if hasattr(chosen, "questions") else ()
            except UserError as error:
                self.unread[f"{name} {each.name}"] = str(error)
                continue
            apart = each.disjoint_by != "id"
            for row in (row for row in rows if row.image):
                self._held[row.image][name] |= {each.name} if apart else set()
                if apart:
                    self._patients[name, each.name].add(row.cluster)
                if row.id not in seen:
                    self._rows[row.image].append(row)
            for text in texts:
                if text.id not in seen:
                    self._stems[wording(text.question).stems].append((name, text))
                    if text.passage:
                        self._passages[_hash(text.passage)].append((name, text))
            seen |= {row.id for row in rows} | {text.id for text in texts}
        self.sets[name] = len(seen)


def _hash(text: str) -> bytes:
    return hashlib.blake2b(normalise(text).encode(), digest_size=16).digest()
