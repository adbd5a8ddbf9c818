"""MedMCQA: 193,155 questions of Indian entrance examinations with four choices; no pictures.

In: `train` and `dev` (`validation`) as JSON lines (`.json`, `.jsonl`) or the hub's parquet files, below `medmcqa/`. Out: `TextQuestion`s with their choices.
The published files number the right choice from 1, the hub's from 0: the numbers of a file tell which it is. Layouts: github.com/medmcqa/medmcqa,
huggingface.co/datasets/openlifescienceai/medmcqa.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.splits import unit_hash
from vesalius.data.text_questions import TextOnly, TextQuestion
from vesalius.domain.exchange import Split

DEVELOPMENT_ROWS = 4000  # about as many as the part that is tested on
DEVELOPMENT_SHARE = 0.1  # of the training rows, at most
_CHOICES = ("opa", "opb", "opc", "opd")
_NEEDS = ("id", "question", "cop", *_CHOICES)
_KEPT = (*_NEEDS, "choice_type", "subject_name", "topic_name")
_NAMES = MappingProxyType({"train": ("train",), "dev": ("dev", "validation")})
_HOW = (
    "download data/*.parquet of huggingface.co/datasets/openlifescienceai/medmcqa, or unpack train.json and dev.json from the archive that "
    "github.com/medmcqa/medmcqa links, into ROOT/medmcqa/ (or ROOT/medmcqa/data/)"
)

CARD = base.DataCard(
    name="medmcqa",
    summary="187,000 questions of medical entrance examinations with four choices and their subject; no pictures",
    folder="medmcqa",
    licence="MIT: so the repository says, the hub's card Apache-2.0; the questions were collected from examinations and preparation books",
    attribution="MedMCQA (Pal, Umapathi, Sankarasubbu 2022)",
    train_allowed=True,
    states_modality=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 178_822, Split.DEVELOPMENT: 4000, Split.TEST: 4183},
            "test is the published development part, as everywhere, since the answers of the test part are kept back; development is 4,000 training questions",
            counted="text questions",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Pal et al., MedMCQA: a large-scale multi-subject multi-choice dataset for medical domain question answering, CHIL 2022, PMLR 174:248-260",
    url="https://github.com/medmcqa/medmcqa",
    caveats=(
        "Counts are the published ones (182,822 and 4,183), not our own; rows whose question, choice or answer is empty would be left out of them.",
        "The repository's table gives 6,150 for the development part and 4,183 for test; the hub's files have it the other way round, and so has this card.",
        "Some rows are marked as having several right answers, and yet name one.",
        "Equal questions are kept in one part of our own cut, not of the published one. It is in the data of most medical language models.",
    ),
)


class MedMcqa(TextOnly):
    """See the card."""

    card = CARD

    def questions(self, root: Path, split: Split, protocol: str | None = None) -> tuple[TextQuestion, ...]:
        """See `TextOnly.questions`; in the order of the file."""
        CARD.protocol(protocol)
        base.folder(root, CARD)
        part = "dev" if split == Split.TEST else "train"
        paths = _paths(root / CARD.folder, part)
        return tuple(each for each in _read(paths, part, records.stamp(*paths))[0] if each.split == split)

    def left_out(self, root: Path) -> Mapping[str, int]:
        """How many rows were not used, by reason. Raises: as `questions`."""
        total: Counter[str] = Counter()
        for part in _NAMES:
            paths = _paths(base.folder(root, CARD), part)
            total.update(_read(paths, part, records.stamp(*paths))[1])
        return dict(total)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Tables of the training and of the tested part, no images."""
        return tuple(path for part in _NAMES for path in _paths(root / CARD.folder, part)), ()


def _paths(home: Path, part: str) -> tuple[Path, ...]:
    """The files of a part: JSON before parquet; where there is none the name that it should have."""
    for place in (home, home / "data"):
        for name in _NAMES[part]:
            for kind in ("json", "jsonl"):
                if (place / f"{name}.{kind}").is_file():
                    return (place / f"{name}.{kind}",)
            if shards := sorted(path for path in place.glob(f"{name}-*.parquet") if path.is_file()):
                return tuple(shards)
    return (home / f"{part}.json",)


@functools.lru_cache(maxsize=2)
def _read(paths: tuple[Path, ...], part: str, stamp: tuple[tuple[int, int], ...]) -> tuple[tuple[TextQuestion, ...], Counter[str]]:  # noqa: ARG001 - a changed file is a new key
    path, left_out = paths[0], Counter[str]()
    if path.suffix == ".parquet":
        rows: Iterable[Mapping[str, Any]] = records.parquet_rows(paths, CARD, _KEPT)
    else:
        rows = records.json_rows(path, CARD)
    with records.reading(path, CARD):
        usable = {}
        for row in rows:
            identity, reason = str(row["id"]), _unusable(row)
            reason = "the identity is there twice" if not reason and identity in usable else reason
            if reason:
                left_out[reason] += 1
            else:
                usable[identity] = {name: row.get(name) for name in _KEPT}
        if not usable:
            raise ValueError("it holds no question that can be used")
        first = _first_number(row["cop"] for row in usable.values())
        held_out = _held_out(usable) if part == "train" else frozenset()
        return tuple(_question(identity, row, first, part, held_out) for identity, row in usable.items()), left_out


def _unusable(row: Mapping[str, Any]) -> str | None:
    if not records.tidy(row["question"]):
        return "no question"
    if not all(records.tidy(row[name]) for name in _CHOICES):
        return "an empty choice"
    if row["cop"] is None or int(row["cop"]) < 0:
        return "no answer"
    return None


def _first_number(answers: Iterable[Any]) -> int:
    """0 or 1: how the file numbers the first choice."""
    found = {int(each) for each in answers}
    if not found <= set(range(5)) or {0, 4} <= found:
        raise ValueError(f"the right choices are numbered {sorted(found)}, which are not four numbers in a row from 0 or 1")
    if not found & {0, 4}:
        raise ValueError("no right choice is the first or the last of its four, so that it is not clear whether numbers begin at 0 or at 1")
    return 0 if 0 in found else 1


def _held_out(rows: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """Questions (in lower case) of the development part: by a fixed hash, equal ones together, as many as fit into its number of rows."""
    room, chosen = min(DEVELOPMENT_ROWS, int(len(rows) * DEVELOPMENT_SHARE)), []
    sizes = Counter(records.tidy(row["question"]).lower() for row in rows.values())
    for text in sorted(sizes, key=lambda text: unit_hash(text, salt=CARD.name)):
        if sizes[text] <= room:
            chosen.append(text)
            room -= sizes[text]
    return frozenset(chosen)


def _question(identity: str, row: Mapping[str, Any], first: int, part: str, held_out: frozenset[str]) -> TextQuestion:
    text = records.tidy(row["question"])
    options = tuple(records.tidy(row[name]) for name in _CHOICES)
    split = Split.TEST if part == "dev" else Split.DEVELOPMENT if text.lower() in held_out else Split.TRAIN
    tags = {"subject": records.tidy(row["subject_name"]), "topic": records.tidy(row["topic_name"]), "choice_type": records.tidy(row["choice_type"])}
    return TextQuestion(
        id=f"{CARD.name}:{identity}",
        question=text,
        passage="",
        options=options,
        golds=(options[int(row["cop"]) - first],),
        cluster=f"{CARD.name}:{identity}" if part == "dev" else f"{CARD.name}:train:{unit_hash(text.lower()):.12f}",
        split=split,
        tags=MappingProxyType({name: value for name, value in tags.items() if value}),
    )


DATASET = MedMcqa()
