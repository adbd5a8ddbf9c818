"""CheXinstruct: instructions for chest films, which Stanford's program compiles from 33 data sets that the user must have; only the program is published.

In: `data_chexinstruct.json` as the program's own viewer reads it (a list of data sets with `train`, `val`, `test`), or one sample a line with its `split`
(`data_chexinstruct.jsonl`), below `chexinstruct/`, with the `data/` that its paths begin with. Out: exchanges for samples with films, `TextQuestion`s for those
without. The program itself writes a pickle under that name: it is not loaded, since a pickle can run code. Layout: github.com/Stanford-AIMI/CheXagent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.text_questions import TextQuestion
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

TABLES = ("data_chexinstruct.jsonl", "data_chexinstruct.json")
_SPLITS = MappingProxyType({"train": Split.TRAIN, "val": Split.DEVELOPMENT, "test": Split.TEST})
_LONGEST = 2000  # characters of a `Question`
_HOW = (
    "compile it with data_chexinstruct/compile_chexinstruct.py of github.com/Stanford-AIMI/CheXagent from data sets that you have, write its list with "
    "json.dump (the program pickles it) to ROOT/chexinstruct/data_chexinstruct.json, and put the data/ that its paths begin with into ROOT/chexinstruct/"
)

CARD = base.DataCard(
    name="chexinstruct",
    summary="instructions for chest films in some 80 pairs of task and data set (views, findings, boxes, reports, questions), compiled by the user",
    folder="chexinstruct",
    licence="that of each source: MIMIC-CXR, VinDr-CXR and RadQA credentialed, CheXpert and PadChest by agreement, and some thirty others",
    attribution="CheXinstruct (Chen, Varma, Delbrouck et al. 2024), Stanford AIMI, and the data sets that it was compiled from",
    train_allowed=False,
    states_modality=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "compiled",
            "id",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 0},
            "the program's parts: those of each source, else its own random ones; it draws at random without a seed, so that no two compilations are equal",
            counted=base.UNCOUNTED,
        ),
    ),
    how_to_obtain=_HOW,
    citation="Chen et al., CheXagent: towards a foundation model for chest X-ray interpretation, arXiv 2401.12208 (2024)",
    url="https://github.com/Stanford-AIMI/CheXagent",
    caveats=(
        "Files that the program needs before it runs are not published; no number of samples can be checked.",
        "Answers come from labels and reports through templates; in most tasks each sample has several wordings, of which each is an exchange here.",
        "A label in doubt counts as present for atelectasis, edema and effusion and as absent for cardiomegaly and consolidation, unmentioned as absent.",
        "The program's RadQA development part is RadQA's test part: choose nothing by it.",
    ),
)


class CheXinstruct(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One for each wording of each sample with a film, in the order of the file; further films of a sample are in `tags["images"]`.

        Raises:
            DataMissing: the file is absent. DataFormatError: it does not hold this set, or names an image outside its folder. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        with records.reading(_table(base.folder(root, CARD)), CARD):
            return tuple(x for sample in self._samples(root, split) for x in _exchanges(*sample))

    def questions(self, root: Path, split: Split, protocol: str | None = None) -> tuple[TextQuestion, ...]:
        """One for each wording of each sample without a film. Raises: as `exchanges`."""
        CARD.protocol(protocol)
        with records.reading(_table(base.folder(root, CARD)), CARD):
            return tuple(x for sample in self._samples(root, split) for x in _text_questions(*sample))

    def left_out(self, root: Path) -> Mapping[str, int]:
        """How many wordings are neither an exchange nor a question, by reason. Raises: as `exchanges`."""
        missed: Counter[str] = Counter()
        with records.reading(_table(base.folder(root, CARD)), CARD):
            for _, _, row in self._samples(root, None):
                for question, answer in _pairs(row):
                    reason = "no question" if not question else "no answer" if not answer else "a question over 2,000 characters"
                    missed[reason] += not _usable(row, question, answer)
        return {reason: number for reason, number in missed.items() if number}

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The file; the films that it names."""
        images: set[Path] = set()
        try:
            with records.reading(_table(base.folder(root, CARD)), CARD):
                for _, _, row in self._samples(root, None):
                    images.update(root / image for image in _images(row))
        except UserError:  # the check goes on to say what is wrong with the file
            images = set()
        return (_table(root / CARD.folder),), tuple(sorted(images))

    def _samples(self, root: Path, split: Split | None) -> Iterator[tuple[str, Split, dict[str, Any]]]:
        """(place in the file, part, sample), one data set in memory at a time."""
        path = _table(base.folder(root, CARD))
        count = 0
        with records.reading(path, CARD):
            with path.open("rb") as stream:
                pickled = stream.read(1) == b"\x80"
            if pickled:
                raise ValueError("it is a pickle, which can run code and is not loaded")
            for number, row in enumerate(records.json_rows(path, CARD, longest=records.LARGEST)):
                parts = {"": [row]} if "qa_pair" in row else {name: row[name] for name in _SPLITS if name in row}
                if not parts:
                    raise ValueError(f"row {number} is neither a data set nor a sample")
                for name, samples in parts.items():
                    for place, sample in enumerate(samples):
                        part = _SPLITS[name or sample["split"]]
                        count += 1
                        if split is None or part == split:
                            yield f"{number}:{name}:{place}" if name else str(number), part, sample
            if not count:
                raise ValueError("it holds no sample")


def _table(home: Path) -> Path:
    return next((home / name for name in TABLES if (home / name).is_file()), home / TABLES[-1])


def _images(row: Mapping[str, Any]) -> list[str]:
    held = row.get("image_path")
    named = held if isinstance(held, list) else [held] if held else []
    return [f"{CARD.folder}/{records.below(str(name))}" for name in named]


def _pairs(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    held = row["qa_pair"]
    return [(str(pair["q"]).strip(), str(pair["a"]).strip()) for pair in (held if isinstance(held, list) else [held])]


def _usable(row: Mapping[str, Any], question: str, answer: str) -> bool:
    return bool(question and answer) and (not _images(row) or len(question) <= _LONGEST)


def _tags(row: Mapping[str, Any], images: list[str]) -> Mapping[str, str]:
    facts = {"task": str(row.get("task_name", "")), "source": str(row.get("data_source", "")), "images": "|".join(images[1:])}
    return MappingProxyType({name: value for name, value in facts.items() if value})


def _exchanges(place: str, split: Split, row: Mapping[str, Any]) -> Iterator[Exchange]:
    images, pairs = _images(row), _pairs(row)
    for number, (question, answer) in enumerate(pairs):
        if images and _usable(row, question, answer):
            yield Exchange(
                id=f"{CARD.name}:{place}:{number}",
                image=images[0],
                question=Question(question),
                gold=answer,
                closed=None,
                cluster=f"{CARD.name}:{row.get('study_id') or images[0]}",
                split=split,
                pair=f"{CARD.name}:{place}" if len(pairs) > 1 else None,
                phrase="template",
                tags=_tags(row, images),
            )


def _text_questions(place: str, split: Split, row: Mapping[str, Any]) -> Iterator[TextQuestion]:
    for number, (question, answer) in enumerate(_pairs(row)):
        if not _images(row) and _usable(row, question, answer):
            yield TextQuestion(
                id=f"{CARD.name}:{place}:{number}",
                question=question,
                passage="",  # the wording has it
                options=(),
                golds=(answer,),
                cluster=f"{CARD.name}:{row.get('study_id') or place}",
                split=split,
                tags=_tags(row, []),
            )


DATASET = CheXinstruct()
