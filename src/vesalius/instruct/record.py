"""An `Instruction`: one question with its answer, about images or a text, as training takes it; its line of JSON, and LLaVA's "conversations" layout.

In: the parts of an instruction, a line, a record of `generate`, a LLaVA record. Out: instructions, valid by construction, and plain mappings.
Layout of LLaVA: `conversations` of {"from": "human" | "gpt", "value"}, one "<image>" for each image before the first question, as haotian-liu/LLaVA reads it.
It has no place for templates, polarity and boxes: what comes back from it is the question, the answer and the images alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.finding import Region
from vesalius.errors import InvalidValue, UserError

FORMAT = 1
OPTIONS = "\nOptions: "
_LONGEST_LINE = 1 << 20
_MARK = "<image>"


class RecordError(UserError):
    """A file of instructions cannot be read or written, or a line of it is no instruction."""


@dataclasses.dataclass(frozen=True)
class Box:
    """A labelled box. region: pixels of an image of `size` (width, height). image: which of the instruction's images, from 0."""

    label: str
    region: Region
    size: tuple[int, int]
    image: int = 0

    def __post_init__(self) -> None:
        width, height = self.size
        if width < 1 or height < 1 or self.region.x1 > width or self.region.y1 > height:
            raise InvalidValue(f"the box of {self.label!r} must lie inside its image of {width} x {height} pixels", remedy="cut it at the edge")

    def to_json(self) -> dict[str, Any]:
        """Pixels, and shares of width and height rounded to four places."""
        r, (width, height) = self.region, self.size
        pixels = [r.x0, r.y0, r.x1, r.y1]
        shares = [round(v / s, 4) for v, s in zip(pixels, (width, height) * 2, strict=True)]
        return {"label": self.label, "pixels": pixels, "share": shares, "size": [width, height], "image": self.image}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One question and its answer.

    Args:
        id: unique within a file. source: name of the data set, or whatever the texts came from.
        images: paths relative to the data root, in the order in which they are shown; empty for questions about text alone.
        task: family ("finding", "grounding", ...). choices: what may be answered, in the order shown; empty when free.
        boxes: what the answer or the question speaks of.
        group: wordings of one question about one study share it. cluster: patient, else image: what splits keep together.
        template: which wording. equivalence: class of wordings that ask the same; +1 `polarity`: the class's answer is right, -1: the opposite yes/no.
        provenance: where the answer is from: "fact", "origin", "licence", "family" of the wording, ...
    """

    id: str
    source: str
    images: tuple[str, ...]
    task: str
    question: str
    answer: str
    group: str
    cluster: str
    template: str
    equivalence: str
    polarity: int = 1
    choices: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    split: Split = Split.TRAIN
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("id", "source", "task", "question", "answer"):
            if not getattr(self, name).strip():
                raise InvalidValue(f"an instruction must have a {name}", remedy="leave it out, and count it")
        if self.polarity not in (1, -1):
            raise InvalidValue(f"polarity must be +1 or -1 (got {self.polarity})")
        if any(not 0 <= box.image < len(self.images) for box in self.boxes):
            raise InvalidValue(f"a box of {self.id!r} is on an image that it does not have")

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for one line of JSON."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {name: list(plain[name]) for name in ("images", "choices")}
        return {"format": FORMAT, **plain, **lists, "boxes": [b.to_json() for b in self.boxes], "split": str(self.split), "provenance": dict(self.provenance)}

    def exchange(self) -> Exchange:
        """The unit of training and evaluation, which has one image: of several the last, the others are `tags["prior"]` joined by "|".

        Raises:
            InvalidValue: there is no image, or the question has more than 2,000 characters.
        """
        if not self.images:
            raise InvalidValue(f"{self.id!r} asks about no image", remedy="use it as text")
        facts = {"task": self.task, **({"prior": "|".join(self.images[:-1])} if len(self.images) > 1 else {})}
        asked = Question(self.question, options=self.choices)
        closed = bool(self.choices) or self.answer in ("yes", "no")
        return Exchange(self.id, self.images[-1], asked, self.answer, closed, self.cluster, self.split, pair=self.group, phrase=self.template, tags=facts)


def from_json(row: Mapping[str, Any]) -> Instruction:
    """The instruction that `Instruction.to_json` wrote. Raises: ValueError, with the reason."""
    names = {field.name for field in dataclasses.fields(Instruction)}
    if not isinstance(row, Mapping) or row.get("format") != FORMAT or set(row) != {*names, "format"}:
        raise ValueError(f"it has not the fields of format {FORMAT}")
    plain = {name: row[name] for name in names}
    for name in ("id", "source", "task", "question", "answer", "group", "cluster", "template", "equivalence"):
        if not isinstance(plain[name], str):
            raise ValueError(f"its {name} is no text")
    for name in ("images", "choices"):
        plain[name] = _texts(plain[name], name)
    if not isinstance(plain["provenance"], Mapping) or type(plain["polarity"]) is not int:
        raise ValueError("its provenance is no record, or its polarity no number")
    plain["provenance"] = MappingProxyType({str(k): str(v) for k, v in plain["provenance"].items()})
    return Instruction(**{**plain, "boxes": tuple(_box(each) for each in plain["boxes"]), "split": Split(plain["split"])})


def read(path: Path) -> Iterator[Instruction]:
    """Instructions of a file of JSON lines, one in memory at a time.

    Raises:
        RecordError: no such file, no line, or a line that is no instruction; the message has its number.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            while line := stream.readline(_LONGEST_LINE + 1):
                number += 1
                if len(line) > _LONGEST_LINE:
                    raise ValueError(f"it has more than {_LONGEST_LINE:,} bytes")
                yield from_json(json.loads(line))
    except OSError as error:
        raise RecordError(f"{path}: cannot be read ({error.strerror})", remedy="give a file that 'vesalius instruct build' wrote") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecordError(f"{path}: line {number} is no instruction ({str(error)[:200]})", remedy="write the file again") from error
    if not number:
        raise RecordError(f"{path}: is empty", remedy="write the file again")


def write(rows: Iterable[Instruction], path: Path) -> int:
    """One line of JSON each, as they come, by way of a temporary file; returns their number. Raises: RecordError."""
    return _written((json.dumps(row.to_json(), ensure_ascii=False, allow_nan=False) + "\n" for row in rows), path)


def llava(row: Instruction) -> dict[str, Any]:
    """An instruction in LLaVA's layout; choices stand below the question."""
    asked = row.question + (OPTIONS + "; ".join(row.choices) if row.choices else "")
    said = [{"from": "human", "value": f"{_MARK}\n" * len(row.images) + asked}, {"from": "gpt", "value": row.answer}]
    image = {"image": row.images[0] if len(row.images) == 1 else list(row.images)} if row.images else {}
    return {"id": row.id, **image, "conversations": said}


def write_llava(rows: Iterable[Instruction], path: Path) -> int:
    """All rows as one JSON list in LLaVA's layout; returns their number. Raises: RecordError."""
    return _written((("[\n" if not n else ",\n") + json.dumps(llava(row), ensure_ascii=False) for n, row in enumerate(rows)), path, empty="[", end="\n]\n")


def from_llava(record: Mapping[str, Any], source: str, *, split: Split = Split.TRAIN) -> tuple[Instruction, ...]:
    """One instruction for each question and answer of a LLaVA record, all of one group.

    Raises:
        ValueError: it has no id, no pair of turns, or an image that is no name.
    """
    name, said = str(record["id"]), record["conversations"]
    images = record.get("image", [])
    images = _texts([images] if isinstance(images, str) else images, "image")
    if not isinstance(said, list) or not said or len(said) % 2 or [turn["from"] for turn in said] != ["human", "gpt"] * (len(said) // 2):
        raise ValueError("its turns are not a question and an answer in turn")
    pairs = zip(said[::2], said[1::2], strict=True)
    cluster = images[0] if images else f"{source}:{name}"
    found = []
    for number, (asked, told) in enumerate(pairs):
        question, _, options = str(asked["value"]).replace(_MARK, "").strip().partition(OPTIONS)
        choices = tuple(options.split("; ")) if options else ()
        at = f"{name}:{number}"
        made = Instruction(
            at, source, images, "conversation", question, str(told["value"]), name, cluster, "llava", f"llava:{at}", choices=choices, split=split
        )
        found.append(made)
    return tuple(found)


def from_generated(row: Mapping[str, Any]) -> tuple[Instruction, ...]:
    """One instruction for each turn of a line that `instruct.generate` wrote, all of one group; the earlier image comes first. Raises: KeyError, ValueError."""
    images = tuple(row[key] for key in ("prior_image", "image") if row.get(key))
    meta = {key: str(row["meta"][key]) for key in ("model", "prompt", "deidentified") if key in row["meta"]}
    found = []
    for number, turn in enumerate(row["turns"]):
        boxes = tuple(_generated_box(each, len(images) - 1) for each in turn.get("boxes", []))
        at = f"{row['id']}:{number}"
        found.append(
            Instruction(
                id=at,
                source=str(row["source"]),
                images=images,
                task=str(row["task"]),
                question=str(turn["question"]),
                answer=str(turn["answer"]),
                group=str(row["id"]),
                cluster=str(row["image"]),
                template="generated",
                equivalence=f"generated:{at}",
                boxes=boxes,
                provenance=MappingProxyType({**meta, "origin": "written by a model"}),
            )
        )
    return tuple(found)


def _generated_box(box: Mapping[str, Any], image: int) -> Box:
    """Such a line has pixels and shares, from which the size follows."""
    pixels, shares = box["pixels"], box["share"]
    size = tuple(max(1, round(pixels[i] / shares[i])) for i in (2, 3))
    return Box(str(box["label"]), Region(*(min(v, s) for v, s in zip(pixels, size * 2, strict=True))), (size[0], size[1]), image)


def _box(row: Mapping[str, Any]) -> Box:
    width, height = row["size"]
    return Box(str(row["label"]), Region(*map(float, row["pixels"])), (int(width), int(height)), int(row["image"]))


def _texts(given: Any, name: str) -> tuple[str, ...]:  # noqa: ANN401 - whatever JSON came
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError(f"its {name} is no list of texts")
    return tuple(given)


def _written(texts: Iterable[str], path: Path, *, empty: str = "", end: str = "") -> int:
    fresh, count = path.with_name(path.name + ".new"), 0
    try:
        with fresh.open("w", encoding="utf-8", newline="\n") as stream:
            for text in texts:
                stream.write(text)
                count += 1
            stream.write(("" if count else empty) + end)
        fresh.replace(path)
    except OSError as error:
        raise RecordError(f"{path}: cannot be written ({error.strerror})", remedy="name a file in a folder with room that you may write to") from error
    finally:
        fresh.unlink(missing_ok=True)
    return count
