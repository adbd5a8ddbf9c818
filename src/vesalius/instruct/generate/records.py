"""What is written for an item and a task: one line of JSON, and the same in LLaVA's "conversations" layout.

In: an item, a checked reply, who wrote it. Out: plain mappings. Boxes come from the item by name: no coordinate is ever a writer's.
Layout: `conversations` of {"from": "human" | "gpt", "value"}, "<image>" before the first question, as haotian-liu/LLaVA reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vesalius.instruct.generate import lines
from vesalius.instruct.generate.sources import Item

FORMAT = 1
DIFFERENTIAL = "What is the differential diagnosis?"
SIGNIFICANCE = "What is the clinical significance?"


def record(item: Item, task: str, value: Mapping[str, Any], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The line of one item and task."""
    images = {"image": item.image, **({"prior_image": item.prior_image} if task == "comparison" else {})}
    return {
        "format": FORMAT,
        "id": f"{item.id}:{task}",
        "source": item.source,
        **images,
        "cluster": item.cluster or item.image,
        "task": task,
        "turns": turns(value, item),
        "output": dict(value),
        "meta": {**meta, "deidentified": item.basis, "suspicious": list(item.suspicious)},
    }


def turns(value: Mapping[str, Any], item: Item) -> list[dict[str, Any]]:
    """Questions and answers in order; the differential and the significance are asked in fixed words."""
    made = [_placed(turn, item) for turn in value.get("turns", [])]
    if "question" in value:
        made.append({"question": value["question"].strip(), "answer": _answer(value)})
    if "differential" in value:
        made.append({"question": DIFFERENTIAL, "answer": " ".join(f"{_capital(d['name'])}: {_stopped(d['reason'])}" for d in value["differential"])})
    if "significance" in value:
        made.append({"question": SIGNIFICANCE, "answer": value["significance"].strip()})
    return made


def llava(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line in LLaVA's layout; boxes follow their answer as [x0, y0, x1, y1] in shares of width and height."""
    images = [row["prior_image"], row["image"]] if row.get("prior_image") else row["image"]
    marks = "<image>\n" * (2 if isinstance(images, list) else 1)
    said = []
    for number, turn in enumerate(row["turns"]):
        boxes = [" [" + ", ".join(f"{share:.3f}" for share in place["share"]) + "]" for place in turn.get("boxes", [])]
        said += [{"from": "human", "value": ("" if number else marks) + turn["question"]}, {"from": "gpt", "value": turn["answer"] + "".join(boxes)}]
    return {"id": row["id"], "image": images, "conversations": said}


def write_llava(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """All rows as one JSON list, by way of a temporary file; returns their number. Raises: OutputError."""
    fresh, count = path.with_name(path.name + ".new"), 0
    try:
        with fresh.open("w", encoding="utf-8") as stream:
            stream.write("[")
            for row in rows:
                stream.write((",\n" if count else "\n") + json.dumps(llava(row), ensure_ascii=False))
                count += 1
            stream.write("\n]\n")
        fresh.replace(path)
    except OSError as error:
        raise lines.unwritable(path, error) from error
    return count


def _placed(turn: Mapping[str, Any], item: Item) -> dict[str, Any]:
    made = {"question": turn["question"].strip(), "answer": turn["answer"].strip()}
    if "regions" not in turn or item.size is None:
        return made
    known, (width, height) = {region.name: region for region in item.regions}, item.size
    shares = {name: [round(v / s, 4) for v, s in zip(known[name].box, (width, height) * 2, strict=True)] for name in turn["regions"]}
    return {
        **made,
        "boxes": [{"label": known[name].label, "pixels": list(known[name].box), "share": shares[name], "size": list(item.size)} for name in turn["regions"]],
    }


def _answer(value: Mapping[str, Any]) -> str:
    if "findings" in value:
        return f"Findings: {value['findings'].strip()}\nImpression: {value['impression'].strip()}"
    return str(value["answer"]).strip()


def _capital(text: str) -> str:
    return text.strip()[:1].upper() + text.strip()[1:]


def _stopped(text: str) -> str:
    return text.strip().rstrip(".") + "."
