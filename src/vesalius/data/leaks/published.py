"""What two published sets hold beside the rows that the readers give: the splits as their authors cut them, and rows written from other rows.

In: a data root. Out: named parts; pairs of a row and the row that it was written from, as the files state it. Nothing here knows how many there are.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

Parts = Mapping[str, tuple[Exchange, ...]]


@dataclasses.dataclass(frozen=True)
class Origin:
    """A test row, and the training rows on its picture that its own record says were written from it.

    Args:
        answers: the reference answers of those rows, in the order of the file.
    """

    id: str
    image: str
    question: str
    gold: str
    template: str
    answers: tuple[str, ...]


def parts(name: str, root: Path) -> tuple[Parts, ...]:
    """The published parts of a set where its reader gives others, training first in each; none for other sets.

    Raises:
        DataMissing: a file is absent. DataFormatError: a file does not hold the set.
    """
    return _PARTS[name](root) if name in _PARTS else ()


def origins(name: str, root: Path) -> tuple[Origin, ...]:
    """Test rows of which training holds rows that were written from them; none for sets whose files do not tell.

    Raises:
        DataMissing: a file is absent. DataFormatError: a file does not hold the set.
    """
    return _ORIGINS[name](root) if name in _ORIGINS else ()


def _slake(root: Path) -> tuple[Parts, ...]:
    """Each language's training rows against the other's validation rows: the reader has English ones only, whose parts share no picture."""
    from vesalius.data.slake import CARD

    found: dict[str, list[Exchange]] = defaultdict(list)
    for file, split in (("train", Split.TRAIN), ("validate", Split.TEST)):
        for row in base.read_json(root / CARD.folder / f"{file}.json", CARD):
            try:
                image, closed = f"{CARD.folder}/imgs/{row['img_name']}", str(row["answer_type"]).strip() == "CLOSED"
                gold, phrase = str(row["answer"]).strip(), {"en": "English", "zh": "Chinese"}[row["q_lang"]]
                one = Exchange(f"slake:{row['qid']}", image, Question(row["question"]), gold, closed, f"slake:{row['img_name']}", split, phrase=phrase)
            except (KeyError, TypeError, UserError) as error:
                raise base.DataFormatError(f"{file}.json: a row does not hold SLAKE ({type(error).__name__}: {error})", remedy=CARD.how_to_obtain) from error
            found[f"{file} {row['q_lang']}"].append(one)
    crossing = (("train zh", "validate en"), ("train en", "validate zh"))
    return tuple({one: tuple(found[one]), other: tuple(found[other])} for one, other in crossing)


def _vqa_rad_parts(root: Path) -> tuple[Parts, ...]:
    """The two published files, whole."""
    from vesalius.data.vqa_rad import DATASET

    train = [row for split in (Split.TRAIN, Split.DEVELOPMENT) for row in DATASET.exchanges(root, split, "leaked")]
    return ({"trainset.json": tuple(train), "testset.json": DATASET.exchanges(root, Split.TEST, "leaked")},)


def _vqa_rad(root: Path) -> tuple[Origin, ...]:
    """The record of a human question in the public file names the template that was written from it (`question_frame`)."""
    from vesalius.data.vqa_rad import CARD, DATASET

    home = root / CARD.folder
    clean = [row for split in Split for row in DATASET.exchanges(root, split)]
    test = {row.id for row in clean if row.split is Split.TEST}
    records = sorted(base.read_json(home / "VQA_RAD_public_fields.json", CARD), key=lambda r: int(r["qid"]))
    templates: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in base.read_json(home / "trainset.json", CARD):
        if row["phrase_type"] == "frame":
            templates[row["image_name"], _plain(row["question"])].append(str(row["answer"]))
    found = []
    ordered = sorted(clean, key=lambda r: int(r.id.partition(":")[2]))  # both in one order, which the reader has proved
    for one, record in zip(ordered, records, strict=True):
        answers = templates.get((record["image_name"], _plain(str(record.get("question_frame", "")))))
        if one.id in test and answers:
            found.append(Origin(one.id, one.image, one.question.text, one.gold, record["question_frame"].strip(), tuple(answers)))
    return tuple(found)


def _plain(text: Any) -> str:  # noqa: ANN401 - a cell of a JSON table
    return " ".join(str(text).lower().split())


_PARTS: Mapping[str, Callable[[Path], tuple[Parts, ...]]] = MappingProxyType({"slake": _slake, "vqa-rad": _vqa_rad_parts})
_ORIGINS: Mapping[str, Callable[[Path], tuple[Origin, ...]]] = MappingProxyType({"vqa-rad": _vqa_rad})
