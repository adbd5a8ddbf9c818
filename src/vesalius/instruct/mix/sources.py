"""What a part of a mixture reads: a set's own questions, instructions built of a set, or a file; all as `Candidate`s.

In: a part, a data root. Out: candidates in a fixed order, one in memory at a time where the reader can; the card of the part with its licence.
Only training parts are read.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.base import DataCard
from vesalius.data.text_questions import TextQuestion
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import ConfigError, DataMissing, InvalidValue
from vesalius.instruct import record
from vesalius.instruct.build import sources as builds
from vesalius.instruct.build.run import Build
from vesalius.instruct.build.study import How
from vesalius.instruct.build.tasks import FAMILIES
from vesalius.instruct.mix.recipe import Built, Layout, Part
from vesalius.instruct.record import Instruction

UNANSWERED = "The text does not say."
_BUILT_PROTOCOL = MappingProxyType({"vqa-rad": "image_disjoint"})  # what `instruct build` reads; of other sets the first


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A row that may be used, or the reason why it cannot be one.

    Args:
        row: the instruction; None when it is none. asked, passage: what it asks, and the text that it asks about, apart. reason: why there is no row.
    """

    row: Instruction | None
    asked: str = ""
    passage: str = ""
    reason: str = ""


def card(part: Part) -> DataCard:
    """The card of a part's set; of a file what the recipe says of it. Raises: UnknownName."""
    if part.set:
        return base.dataset(part.set).card
    how = part.how_to_obtain or f"write it with 'vesalius instruct build' or 'generate', or correct the path of source {part.name!r}"
    licence = part.licence or "that of the sets that its rows name"
    return DataCard(part.name, f"a file, {part.layout}", part.path, licence, "", part.may_train, 0, (), how, "", "")


def protocol(part: Part) -> str | None:
    """The protocol of which the training part is read; None for a file. Raises: UnknownName."""
    if not part.set:
        return None
    return _BUILT_PROTOCOL.get(part.set) if part.build and part.set in _BUILT_PROTOCOL else card(part).protocol(part.protocol).name


def check(part: Part) -> None:
    """Whether the part makes sense: names of set, protocol and tasks. Raises: UnknownName, ConfigError, Refused."""
    protocol(part)
    if part.build:
        builds.check(part.set, (part.set,))  # licences are asked about by themselves
        for task in part.build.tasks:
            if task not in FAMILIES:
                raise ConfigError(f"source {part.name!r}: no task is called {task!r}", remedy=f"known: {', '.join(FAMILIES)}")


def there(part: Part, root: Path) -> bool:
    """Whether the set's folder, or the file, is there."""
    return (root / card(part).folder).is_dir() if part.set else Path(part.path).is_file()


def stamp(part: Part, root: Path) -> str:
    """What changes when the annotation files do: a hash of their names, sizes and times."""
    files = base.dataset(part.set).files(root)[0] if part.set else (Path(part.path),)
    facts = sorted((path.name, *records.stamp(path)[0]) for path in files)
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def read(part: Part, root: Path, seed: int = 0) -> Iterator[Candidate]:
    """The candidates of a part. seed: of what is built.

    Raises:
        DataMissing, DataFormatError, RecordError: it is absent or damaged.
    """
    if part.path:
        return _file(part)
    return _built(part, part.build, root, seed) if part.build else _own(part, root)


def _built(part: Part, how: Built, root: Path, seed: int) -> Iterator[Candidate]:
    options = How(seed, how.wordings, how.families, how.most, weak=how.weak)
    for row in Build(root, (part.set,), how.tasks or tuple(FAMILIES), options, (part.set,)):
        yield Candidate(row, row.question)


def _own(part: Part, root: Path) -> Iterator[Candidate]:
    chosen: Any = base.dataset(part.set)
    name = chosen.card.protocol(part.protocol).name
    if hasattr(chosen, "conversations"):
        for talk in chosen.conversations(root, name):
            yield from _talk(talk, part.set, chosen.card)
        return
    for exchange in chosen.exchanges(root, Split.TRAIN, name):
        yield _exchange(exchange, part.set, chosen.card)
    if hasattr(chosen, "questions"):
        for asked in chosen.questions(root, Split.TRAIN, name):
            yield _text(asked, part.set, chosen.card)


def _exchange(x: Exchange, name: str, its: DataCard) -> Candidate:
    """A set's own question. Of several films in `tags` all are shown; wordings of one sample are a group where the set says so."""
    group = x.pair if x.pair and name == "chexinstruct" else x.id
    images = (x.image, *filter(None, x.tags.get("images", "").split("|")))
    return _made(
        Candidate(None, x.question.text),
        id=x.id,
        source=name,
        images=images,
        task=x.tags.get("task", "vqa"),
        question=x.question.text,
        answer=_answer(x.gold),
        group=group,
        cluster=x.cluster,
        template=x.phrase or "own",
        equivalence=f"own:{hashlib.sha256(x.question.text.encode()).hexdigest()[:12]}",
        choices=x.question.options,
        provenance=_facts("the set's own answer", x.tags.get("licence") or its.licence),
    )


def _text(x: TextQuestion, name: str, its: DataCard) -> Candidate:
    """A question about text: the passage stands before it."""
    return _made(
        Candidate(None, x.question, x.passage),
        id=x.id,
        source=name,
        images=(),
        task="text",
        question=f"{x.passage}\n\n{x.question}" if x.passage else x.question,
        answer=_answer(x.golds[0]) if x.golds else UNANSWERED,
        group=x.id,
        cluster=x.cluster,
        template="own",
        equivalence=f"own:{x.id}",
        choices=x.options,
        provenance=_facts("the set's own answer", its.licence),
    )


def _talk(talk: Any, name: str, its: DataCard) -> Iterator[Candidate]:  # noqa: ANN401 - a `llava_med.Conversation`
    group = f"{name}:{talk.id}"
    for turn, (question, answer) in enumerate(talk.turns):
        yield _made(
            Candidate(None, question),
            id=f"{group}:{turn}",
            source=name,
            images=(talk.image,),
            task="conversation",
            question=question,
            answer=answer,
            group=group,
            cluster=f"{name}:{talk.article}",
            template="generated",
            equivalence=f"own:{group}:{turn}",
            provenance=_facts("written by a model from the caption", its.licence),
        )


def _file(part: Part) -> Iterator[Candidate]:
    path, its = Path(part.path), card(part)
    if not path.is_file():
        raise DataMissing(f"source {part.name!r}: {path} is not there", remedy=its.how_to_obtain)
    if part.layout is Layout.INSTRUCTIONS:
        for row in record.read(path):
            yield Candidate(row, row.question)
        return
    number = -1
    with records.reading(path, its):
        for number, line in enumerate(records.json_rows(path, its)):
            if part.layout is Layout.ALPACA:
                yield _alpaca(line, number, part, its)
            else:
                for row in record.from_generated(line):
                    yield Candidate(row, row.question)
        if number < 0:
            raise ValueError("it holds no row")


def _alpaca(line: Mapping[str, Any], number: int, part: Part, its: DataCard) -> Candidate:
    question, extra, answer = (str(line[key] or "").strip() for key in ("instruction", "input", "output"))
    at = f"{part.name}:{number}"
    return _made(
        Candidate(None, question, extra),
        id=at,
        source=part.name,
        images=(),
        task="text",
        question=f"{question}\n{extra}" if extra else question,
        answer=answer,
        group=at,
        cluster=at,
        template="own",
        equivalence=f"own:{at}",
        provenance=_facts("the file's own answer", its.licence),
    )


def _made(about: Candidate, **fields: Any) -> Candidate:  # noqa: ANN401 - the fields of an instruction
    try:
        return dataclasses.replace(about, row=Instruction(**fields))
    except InvalidValue as error:
        return dataclasses.replace(about, reason=f"no instruction: {error.what.partition(' (got')[0]}")


def _answer(gold: str) -> str:
    return gold.strip().lower() if gold.strip().lower() in ("yes", "no") else gold.strip()


def _facts(origin: str, licence: str) -> Mapping[str, str]:
    return MappingProxyType({"origin": origin, "licence": licence})
