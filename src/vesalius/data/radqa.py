"""RadQA: questions of physicians about radiology reports of MIMIC-III, answered by a span of the report or not at all. Credentialed: never downloaded here.

In: `train.json`, `dev.json`, `test.json` in SQuAD 2.0's form below `radqa/`. Out: `TextQuestion`s whose passage is a section of a report; the published parts.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.text_questions import TextOnly, TextQuestion
from vesalius.domain.exchange import Split

_FILES = MappingProxyType({Split.TRAIN: "train.json", Split.DEVELOPMENT: "dev.json", Split.TEST: "test.json"})
_HOW = "become a credentialed user of physionet.org, sign the agreement of RadQA 1.0.0, and put train.json, dev.json and test.json into ROOT/radqa/"

CARD = base.DataCard(
    name="radqa",
    summary="3,074 questions of physicians about radiology reports, each asked of two sections; answers are spans, or there is none; no pictures; credentialed",
    folder="radqa",
    licence="PhysioNet Credentialed Health Data License 1.5.0: only for those who signed it, and not to be passed on",
    attribution="RadQA 1.0.0 (Soni & Roberts 2022), PhysioNet, doi:10.13026/ckkp-6y19, on reports of MIMIC-III",
    train_allowed=False,
    states_modality=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 4878, Split.DEVELOPMENT: 656, Split.TEST: 614},
            "the published parts; the three numbers are from memory of the publication and add up to its 6,148 pairs of question and section",
            counted="text questions",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Soni et al., RadQA: a question answering dataset to improve comprehension of radiology reports, LREC 2022, pp. 6250-6259",
    url="https://physionet.org/content/radqa/1.0.0/",
    caveats=(
        "Counts were not measured here: the set is credentialed.",
        "Each question is put to the findings and to the impression of a report: the same words may have an answer in one and none in the other.",
        "Answers are marked by physicians; several spans may be right.",
        "Reports are of MIMIC-III: models trained on it may have seen them.",
    ),
)


class RadQa(TextOnly):
    """See the card."""

    card = CARD

    def questions(self, root: Path, split: Split, protocol: str | None = None) -> tuple[TextQuestion, ...]:
        """See `TextOnly.questions`; `golds` is empty where the passage does not answer, `cluster` is the report."""
        CARD.protocol(protocol)
        path = base.folder(root, CARD) / _FILES[Split(split)]
        return _read(path, Split(split), records.stamp(path))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Three tables, no images."""
        return tuple(root / CARD.folder / name for name in _FILES.values()), ()


@functools.lru_cache(maxsize=3)
def _read(path: Path, split: Split, stamp: tuple[tuple[int, int], ...]) -> tuple[TextQuestion, ...]:  # noqa: ARG001 - a changed file is a new key
    held = records.json_whole(path, CARD)
    found = []
    with records.reading(path, CARD):
        for report, document in enumerate(held["data"]):
            for section, paragraph in enumerate(document["paragraphs"]):
                for number, row in enumerate(paragraph["qas"]):
                    place = f"{report}:{section}:{number}"
                    found.append(_question(row, place, str(paragraph["context"]), document.get("title"), report, split))
        if not found:
            raise ValueError("it holds no question")
    return tuple(found)


def _question(row: dict[str, Any], place: str, passage: str, title: str | None, report: int, split: Split) -> TextQuestion:
    golds = [] if row.get("is_impossible") else [_span(each, passage) for each in row["answers"]]
    if not golds and not row.get("is_impossible"):
        raise ValueError(f"question {place} has neither an answer nor the mark that there is none")
    return TextQuestion(
        id=f"{CARD.name}:{split}:{place}",
        question=records.tidy(row["question"]),
        passage=passage,
        options=(),
        golds=tuple(dict.fromkeys(golds)),
        cluster=f"{CARD.name}:{title or f'{split}:{report}'}",
        split=split,
        tags=MappingProxyType({"published_id": str(row.get("id", place))}),
    )


def _span(answer: dict[str, Any], passage: str) -> str:
    text, start = str(answer["text"]), int(answer["answer_start"])
    if not text.strip() or passage[start : start + len(text)] != text:
        raise ValueError(f"the answer {text[:60]!r} does not stand at character {start} of its passage")
    return records.tidy(text)


DATASET = RadQa()
