"""PubMedQA, its labelled part: 1,000 abstracts whose titles ask, answered yes, no or maybe by people who read them.

In: `ori_pqal.json` and `test_ground_truth.json`, as published, below `pubmedqa/` (or in `pubmedqa/data/`). Out: `TextQuestion`s; the passage is the abstract
without its conclusion. Layout: github.com/pubmedqa/pubmedqa.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.splits import unit_hash
from vesalius.data.text_questions import TextOnly, TextQuestion
from vesalius.domain.exchange import Split

ANSWERS = ("yes", "no", "maybe")
DEVELOPMENT = 50  # of the 500 that are not for testing: one of the published ten folds has as many
_ROWS, _TEST = "ori_pqal.json", "test_ground_truth.json"
_HOW = "take data/ori_pqal.json and data/test_ground_truth.json of github.com/pubmedqa/pubmedqa (MIT) and put them into ROOT/pubmedqa/"

CARD = base.DataCard(
    name="pubmedqa",
    summary="1,000 questions that are titles of articles, each with its abstract and an answer yes, no or maybe by people; no pictures",
    folder="pubmedqa",
    licence="MIT: so the repository says; the abstracts belong to their publishers",
    attribution="PubMedQA (Jin, Dhingra, Liu, Cohen, Lu 2019), MIT",
    train_allowed=True,
    states_modality=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 450, Split.DEVELOPMENT: 50, Split.TEST: 500},
            "test is test_ground_truth.json; of the 500 others, which are published for ten-fold validation, the 50 of the lowest hash are development",
            counted="text questions",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Jin et al., PubMedQA: a dataset for biomedical research question answering, EMNLP-IJCNLP 2019, pp. 2567-2577",
    url="https://github.com/pubmedqa/pubmedqa",
    caveats=(
        "Answers are 552 yes, 338 no and 110 maybe: always yes is right for 55 %.",
        "One annotator had the conclusion before him, the other had not; the conclusion (LONG_ANSWER) is never part of the passage.",
        "The unlabelled and the machine-labelled parts (PQA-U, PQA-A) are not read.",
        "It is in the training or the test data of most medical language models.",
    ),
)


class PubMedQa(TextOnly):
    """See the card."""

    card = CARD

    def questions(self, root: Path, split: Split, protocol: str | None = None) -> tuple[TextQuestion, ...]:
        """See `TextOnly.questions`; in the order of the file."""
        CARD.protocol(protocol)
        paths = self.files(root)[0]
        base.folder(root, CARD)
        return tuple(each for each in _read(*paths, records.stamp(*paths)) if each.split == split)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Two tables, no images."""
        home = root / CARD.folder
        home = home / "data" if (home / "data" / _ROWS).is_file() else home
        return (home / _ROWS, home / _TEST), ()


@functools.lru_cache(maxsize=2)
def _read(rows: Path, test: Path, stamp: tuple[tuple[int, int], ...]) -> tuple[TextQuestion, ...]:  # noqa: ARG001 - a changed file is a new key
    held, tested = records.json_whole(rows, CARD), records.json_whole(test, CARD)
    with records.reading(test, CARD):
        strange = [name for name in tested if name not in held or tested[name] != held[name].get("final_decision")]
        if strange or not held:
            raise ValueError(f"article {strange[0]} is not in {rows.name} with that answer" if strange else "there is no question")
    free = sorted((name for name in held if name not in tested), key=lambda name: unit_hash(name, salt=CARD.name))
    chosen = frozenset(free[: min(DEVELOPMENT, len(free) // 2)])
    parts = {name: Split.TEST if name in tested else Split.DEVELOPMENT if name in chosen else Split.TRAIN for name in held}
    with records.reading(rows, CARD):
        return tuple(_question(name, row, parts[name]) for name, row in held.items())


def _question(name: str, row: Mapping[str, Any], split: Split) -> TextQuestion:
    answer, passages = row["final_decision"], row["CONTEXTS"]
    if answer not in ANSWERS or not isinstance(passages, list):
        raise ValueError(f"article {name} is answered {answer!r}, or has no list of passages")
    return TextQuestion(
        id=f"{CARD.name}:{name}",
        question=records.tidy(row["QUESTION"]),
        passage="\n".join(records.tidy(each) for each in passages),
        options=ANSWERS,
        golds=(answer,),
        cluster=f"{CARD.name}:{name}",
        split=split,
        tags=MappingProxyType({"year": str(row.get("YEAR") or ""), "conclusion": records.tidy(row.get("LONG_ANSWER"))}),
    )


DATASET = PubMedQa()
