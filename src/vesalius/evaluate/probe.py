"""Asks a model about pictures as they are and as they were changed, and never the same thing twice: answers are kept by content.

In: `Probe`s: a picture of the data root and what was done to it, a question, how the answer is drawn. Out: `Answer`s, in order.
An answer's key is what it depends on: the model's identity, the picture's bytes, the facts stated of it, the change, the words, the sampling. A run that
was killed, a second study, another suite with the same probe: each finds the answer there. No gold answer is anywhere near.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.data.base import image_path
from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.record import OutputError, answer_json, answer_of
from vesalius.models.base import GREEDY, GenerativeModel, Sampling
from vesalius.provenance import sha256_file

_KEPT = 8  # encodings held at a time
_PATIENCE = 10.0  # seconds that a file may be held by another process, such as one that is just ending
_TABLE = "create table if not exists answers (key text primary key, answer text not null) without rowid"
_CALL = 32  # answers in a call, whole pictures: what a kill can lose; a small model answers that many in about three times the time of one

Change = Callable[[Study], Study]


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture that is asked about.

    Args:
        image: of the data root. facts: what is stated of it (modality, body part, sex, age). change: what was done to it, with all parameters, in words
            that name it completely ("jpeg 3"); empty: nothing.
    """

    image: str
    facts: tuple[tuple[str, str], ...] = ()
    change: str = ""

    @classmethod
    def of(cls, image: str, tags: Mapping[str, str], change: str = "") -> Shown:
        """With the facts that a data set's tags state."""
        return cls(image, tuple((k, tags[k]) for k in ("modality", "body_part", "sex", "age") if k in tags), change)


@dataclasses.dataclass(frozen=True)
class Probe:
    """One thing to ask."""

    shown: Shown
    question: Question
    sampling: Sampling = GREEDY


class Answers:
    """Answers by key, in one file that a kill leaves whole (SQLite, write-ahead).

    Args:
        path: of the file; made when absent. None keeps them in memory.
        beneath: a file of answers that is read and never written: what was answered before. With it the file at `path` is this process's alone.

    Raises:
        OutputError: a file cannot be opened, or another process has this one.
    """

    def __init__(self, path: Path | None = None, *, beneath: Path | None = None) -> None:
        self._beneath: sqlite3.Connection | None = None
        try:
            self._base = sqlite3.connect(path or ":memory:", timeout=_PATIENCE)
            if beneath is not None:
                # no memory is shared with another process then, so that the file may also lie on a network's disk
                self._base.execute("pragma locking_mode = exclusive")
                self._beneath = sqlite3.connect(f"{beneath.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)
                self._beneath.execute("select count(*) from answers")
            self._base.execute("pragma journal_mode = wal")
            self._base.execute("pragma synchronous = normal")
            self._base.execute(_TABLE)
        except sqlite3.Error as error:
            raise _cannot_keep(path, error) from error

    def get(self, key: str) -> Answer | None:
        """The answer of a key; None when it was never given."""
        for base in (self._base, self._beneath):
            row = None if base is None else base.execute("select answer from answers where key = ?", (key,)).fetchone()
            if row is not None:
                return answer_of(json.loads(row[0]))
        return None

    def put(self, found: Mapping[str, Answer]) -> None:
        """Keep answers, all or none.

        Raises:
            InvalidValue: a number of an answer is not finite. OutputError: no room.
        """
        rows = [(key, json.dumps(answer_json(answer, key), ensure_ascii=False)) for key, answer in found.items()]
        try:
            with self._base:
                self._base.executemany("insert or replace into answers values (?, ?)", rows)
        except sqlite3.Error as error:
            raise OutputError(f"answers cannot be kept ({error})", remedy="make room on the disk, then give the same command again") from error

    def __len__(self) -> int:
        return int(self._base.execute("select count(*) from answers").fetchone()[0])

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()
        if self._beneath is not None:
            self._beneath.close()


def gather(path: Path, parts: Iterable[Path]) -> None:
    """Take the answers of other files into one, and remove those files. What is there already stays; a kill leaves it to the next call.

    Args:
        path: of the file; made when absent. It keeps no write-ahead log: it is only read while work goes on, maybe from several machines.

    Raises:
        OutputError: a file cannot be opened or written.
    """
    try:
        base = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            base.execute("pragma journal_mode = delete")
            base.execute(_TABLE)
            for part in parts:
                if part.exists():
                    base.execute("attach ? as part", (str(part),))
                    base.execute("insert or ignore into answers select key, answer from part.answers")
                    base.execute("detach part")
                    part.unlink()
        finally:
            base.close()
    except (sqlite3.Error, OSError) as error:
        raise _cannot_keep(path, error) from error


def _cannot_keep(path: Path | None, error: Exception) -> OutputError:
    if "locked" in str(error):
        return OutputError(f"another process works on {path}", remedy="wait until it has ended, or give --out another folder")
    return OutputError(f"{path}: cannot keep answers ({error})", remedy="give a folder that you may write to, or remove the damaged file")


class Prober:
    """Asks a model, and remembers.

    Args:
        model: whom to ask. root: the data root. answers: where they are kept.
    """

    def __init__(self, model: GenerativeModel, root: Path, answers: Answers | None = None) -> None:
        self.model, self.root, self.answers = model, root, Answers() if answers is None else answers  # an empty one is false
        stated = getattr(model, "identity", None)
        self._who = dict(stated) if isinstance(stated, Mapping) else {"name": model.card.name, "revision": model.card.revision}
        self._encoded: OrderedDict[Shown, Any] = OrderedDict()
        self._bytes: dict[str, str] = {}
        self.asked = 0  # that no kept answer served

    def ask(self, probes: Sequence[Probe], changes: Mapping[str, Change] | None = None) -> list[Answer]:
        """Answers in the order of the probes; those that are not kept are asked for, several pictures in a call.

        Args:
            changes: how each `Shown.change` that occurs is made.

        Raises:
            InvalidValue: a change that is not given, or another number of answers than was asked for. DataMissing, UnreadableStudy: the picture.
        """
        keys = [self.key(probe) for probe in probes]
        found = {key: answer for key in dict.fromkeys(keys) if (answer := self.answers.get(key)) is not None}
        for wanted in self._calls([(key, probe) for key, probe in zip(keys, probes, strict=True) if key not in found]):
            said = self.model.ask([(self._encode(probe.shown, changes or {}), probe.question, probe.sampling) for probe in wanted.values()])
            if len(said) != len(wanted):
                raise InvalidValue(f"the model gave {len(said)} answers to {len(wanted)} questions", remedy="`ask` must answer each, in order")
            fresh = dict(zip(wanted, said, strict=True))
            self.answers.put(fresh)
            found |= fresh
            self.asked += len(fresh)
        return [found[key] for key in keys]

    @staticmethod
    def _calls(probes: Sequence[tuple[str, Probe]]) -> Iterator[dict[str, Probe]]:
        """Probes by key in calls of some 32 answers: a picture's questions stand together, and no call holds more pictures than are kept."""
        by_picture: OrderedDict[Shown, dict[str, Probe]] = OrderedDict()
        for key, probe in probes:
            by_picture.setdefault(probe.shown, {})[key] = probe
        call: dict[str, Probe] = {}
        pictures = 0
        for wanted in by_picture.values():
            if call and (len(call) + len(wanted) > _CALL or pictures == _KEPT):
                yield call
                call, pictures = {}, 0
            call |= wanted
            pictures += 1
        if call:
            yield call

    def study(self, shown: Shown, changes: Mapping[str, Change] | None = None) -> Study:
        """The study that is shown.

        Raises:
            InvalidValue: a change that is not given. DataMissing, UnreadableStudy: the picture.
        """
        study = open_study(self.root, shown.image, dict(shown.facts))
        if not shown.change:
            return study
        if shown.change not in (changes or {}):
            raise InvalidValue(f"how a picture is changed by {shown.change!r} is not said", remedy="give it among the changes")
        return (changes or {})[shown.change](study)

    def key(self, probe: Probe) -> str:
        """What an answer depends on, as one name."""
        content = {
            "model": self._who,
            "image": self._content(probe.shown.image),
            "facts": list(probe.shown.facts),
            "change": probe.shown.change,
            "question": probe.question.text,
            "options": list(probe.question.options),
            "sampling": dataclasses.asdict(probe.sampling),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    def _content(self, image: str) -> str:
        if image not in self._bytes:
            self._bytes[image] = sha256_file(image_path(self.root, image))
        return self._bytes[image]

    def _encode(self, shown: Shown, changes: Mapping[str, Change]) -> Any:  # noqa: ANN401 - each family has its own
        if shown not in self._encoded:
            self._encoded[shown] = self.model.encode(self.study(shown, changes))
            while len(self._encoded) > _KEPT:
                self._encoded.popitem(last=False)
        self._encoded.move_to_end(shown)
        return self._encoded[shown]
