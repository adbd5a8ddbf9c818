"""CheXbench: Stanford's test of models for chest films: views, diseases, change, questions, phrases with boxes, findings sections, summaries.

In: `data.json` as published, a list of items for each task, below `chexbench/`, with the films at the paths that it names. Out: exchanges, all for testing, and
`TextQuestion`s for the summaries. Layout: evaluation_chexbench/ of github.com/Stanford-AIMI/CheXagent.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.data.pmc_vqa import asked
from vesalius.data.text_questions import TextQuestion
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

SUMMARIES = "Findings Summarization"
FINDINGS = "Findings Generation"
SUMMARY_QUESTION = "Write the impression that these findings lead to."
FINDINGS_QUESTION = "Write the findings section of the report on this chest X-ray."
_BOX = re.compile(r"\((\d+),\s*(\d+)\),\s*\((\d+),\s*(\d+)\)")
_PATIENT = re.compile(r"(?:^|/)(p\d{8}|patient\d+)(?:/|$)")
_HOW = (
    "ask for huggingface.co/datasets/StanfordAIMI/chexbench (it wants a CITI certificate and the agreements of its sources), and put data.json, and the "
    "films at the paths that it names, into ROOT/chexbench/"
)

CARD = base.DataCard(
    name="chexbench",
    summary="CheXagent's benchmark: choices on view, disease, change and images of radiology, phrases with boxes, findings sections, summaries; gated",
    folder="chexbench",
    licence="CC-BY-4.0: so the hub's card says, and that MIMIC-CXR's, PadChest's, BIMCV-COVID19's, CANDID-PTX's and CheXpert's agreements hold",
    attribution="CheXbench (Chen, Varma, Delbrouck et al. 2024), Stanford AIMI, and the data sets that it was made from",
    train_allowed=False,
    states_modality=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "all",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 0},
            "everything is for testing; its numbers were not to be had without the file",
            counted=base.UNCOUNTED,
        ),
    ),
    how_to_obtain=_HOW,
    citation="Chen et al., CheXagent: towards a foundation model for chest X-ray interpretation, arXiv 2401.12208 (2024)",
    url="https://huggingface.co/datasets/StanfordAIMI/chexbench",
    caveats=(
        "Its items come from test parts of public sets, VQA-RAD's and SLAKE's among them: models may have been trained on those films or questions.",
        "The published scoring counts a random choice where an answer cannot be read, and the box before where none is given; here both count as unread.",
        "Choices are asked in words, without letters.",
    ),
)


class CheXbench(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Items with a film, task by task; `tags["task"]` selects, `tags["region"]` is the box of a phrase in percent of the film, "x0,y0,x1,y1".

        Raises:
            DataMissing: the file is absent. DataFormatError: it does not hold this set, or names an image outside its folder. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        found = tuple(exchange for task, rows in self._tasks(root) for exchange in _of_task(task, rows))
        return found if split == Split.TEST else ()

    def questions(self, root: Path) -> tuple[TextQuestion, ...]:
        """The summaries: findings as passage, the impression as answer. Raises: as `exchanges`."""
        return tuple(question for task, rows in self._tasks(root) if task == SUMMARIES for question in _summaries(rows))

    def left_out(self, root: Path) -> Mapping[str, int]:
        """How many items of each task are neither an exchange nor a question, since something of them is empty. Raises: as `exchanges`."""
        used = {task: len(list(_summaries(rows) if task == SUMMARIES else _of_task(task, rows))) for task, rows in self._tasks(root)}
        return {task: len(rows) - used[task] for task, rows in self._tasks(root) if len(rows) > used[task]}

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The file; the films that it names."""
        table = root / CARD.folder / "data.json"
        try:
            named = {root / image for task, rows in self._tasks(root) if task != SUMMARIES for row in rows for image in _images(row)}
        except UserError:  # the check goes on to say what is wrong with the file
            named = set()
        return (table,), tuple(sorted(named))

    def _tasks(self, root: Path) -> tuple[tuple[str, tuple[Mapping[str, Any], ...]], ...]:
        path = base.folder(root, CARD) / "data.json"
        return _read(path, records.stamp(path))


@functools.lru_cache(maxsize=2)
def _read(path: Path, stamp: tuple[tuple[int, int], ...]) -> tuple[tuple[str, tuple[Mapping[str, Any], ...]], ...]:  # noqa: ARG001 - a changed file is a new key
    held = records.json_whole(path, CARD)
    with records.reading(path, CARD):
        found = tuple((task, tuple(_rows(task, rows))) for task, rows in held.items())
        for task, rows in found:  # what cannot be read is told now and not when a part is asked for
            _ = list(_summaries(rows) if task == SUMMARIES else _of_task(task, rows))
        if not any(rows for _, rows in found):
            raise ValueError("it holds no item")
    return found


def _rows(task: str, held: object) -> Iterator[Mapping[str, Any]]:
    """Items of a task, which are a list, or a list for each source."""
    for rows in held.values() if isinstance(held, dict) else [held]:
        if not isinstance(rows, list):
            raise ValueError(f"the items of {task!r} are no list")
        for row in rows:
            if not isinstance(row, dict):
                raise ValueError(f"an item of {task!r} is a {type(row).__name__}")
            yield row


def _images(row: Mapping[str, Any]) -> list[str]:
    held = row.get("image_path")
    named = held if isinstance(held, list) else [held] if held else []
    return [f"{CARD.folder}/{records.below(str(name))}" for name in named]


def _of_task(task: str, rows: tuple[Mapping[str, Any], ...]) -> Iterator[Exchange]:
    for number, row in enumerate(rows if task != SUMMARIES else ()):
        images, (question, gold, closed) = _images(row), _asked(task, row)
        if not images or question is None or not gold:
            continue
        box = _BOX.search(gold) if not closed and task != FINDINGS else None
        facts = {"task": task, "source": records.tidy(row.get("data_source")), "slice": records.tidy(row.get("slice")), "images": "|".join(images[1:])}
        facts |= {"region": ",".join(box.groups())} if box else {}
        patient = _PATIENT.search(images[0])
        yield Exchange(
            id=f"{CARD.name}:{task}:{number}",
            image=images[0],
            question=question,
            gold=gold,
            closed=closed,
            cluster=f"{CARD.name}:{patient.group(1) if patient else images[0]}",
            split=Split.TEST,
            phrase="template",
            tags=MappingProxyType({name: value for name, value in facts.items() if value}),
        )


def _asked(task: str, row: Mapping[str, Any]) -> tuple[Question | None, str, bool]:
    """(question, gold, whether it is a choice); no question where it is empty."""
    if task == FINDINGS:
        indication = records.tidy(row.get("section_indication"))
        told = f"The indication is: {indication} " if indication else ""
        return Question(told + FINDINGS_QUESTION), records.tidy(row["section_findings"]), False
    text = records.tidy(row["question"])
    if "option_0" not in row:
        return Question(text) if text else None, records.tidy(row["answer"]), False
    options = tuple(records.tidy(row[name]) for name in (f"option_{k}" for k in range(4)) if isinstance(row.get(name), str) and row[name].strip())
    answer = row["answer"]
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(options):
        raise ValueError(f"an item of {task!r} is answered {answer!r}, and has {len(options)} choices")
    return Question(asked(text, options), options) if text else None, options[answer], True


def _summaries(rows: tuple[Mapping[str, Any], ...]) -> Iterator[TextQuestion]:
    for number, row in enumerate(rows):
        passage, gold = records.tidy(row["section_findings"]), records.tidy(row["section_impression"])
        if passage and gold:
            yield TextQuestion(
                id=f"{CARD.name}:{SUMMARIES}:{number}",
                question=SUMMARY_QUESTION,
                passage=passage,
                options=(),
                golds=(gold,),
                cluster=f"{CARD.name}:{SUMMARIES}:{number}",
                split=Split.TEST,
                tags=MappingProxyType({"task": SUMMARIES, "source": records.tidy(row.get("data_source"))}),
            )


DATASET = CheXbench()
