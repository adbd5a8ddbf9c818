"""A small data root and files of instructions for mixtures: drawn pictures, invented questions."""

import json
from pathlib import Path

from tests.unit.data import layout
from tests.unit.data.leaks.drawn import film, save
from vesalius.domain.exchange import Split
from vesalius.instruct import record
from vesalius.instruct.mix.recipe import Mixture
from vesalius.instruct.mix.run import Mix
from vesalius.instruct.record import Instruction


def rad(root: Path) -> Path:
    """VQA-RAD's miniature with two pictures that differ."""
    home = layout.vqa_rad(root)
    for seed, name in enumerate(("a", "b")):
        save(film(seed), home / f"vqa_rad/images/{name}.jpg")
    return home


def row(name="own:1", image="own/1.png", question="Is there a drawn line?", answer="yes", **fields) -> Instruction:
    """An instruction of a source that no table knows."""
    given = {"id": name, "source": "own", "images": (image,) if image else (), "task": "vqa", "question": question, "answer": answer}
    given |= {"group": name, "cluster": name, "template": "own", "equivalence": "own", "provenance": {"licence": "our own"}}
    return Instruction(**{**given, **fields})


def rows(root: Path, number: int, *, prefix="own", first=100, per_picture=2) -> list[Instruction]:
    """Questions about drawn pictures below the root, one cluster a picture."""
    made = []
    for n in range(number):
        image = f"{prefix}/{n // per_picture}.png"
        if not (root / image).is_file():
            save(film(first + n // per_picture).resize((120, 132)), root / image)
        facts = {"source": prefix, "cluster": f"{prefix}:{n // per_picture}"}
        made.append(row(f"{prefix}:{n}", image, f"Is there a drawn thing numbered {n} in it?", ("yes", "no")[n % 2], **facts))
    return made


def file(path: Path, made) -> Path:
    """Instructions as a file of JSON lines."""
    record.write(made, path)
    return path


def lines(path: Path, held) -> Path:
    """Any JSON values, one a line."""
    path.write_text("".join(json.dumps(each) + "\n" for each in held))
    return path


def job(root: Path, *sources, rights=(), short=False, missing=False, shards=False, **fields) -> Mix:
    return Mix(Mixture("drawn", tuple(sources), **fields), root, tuple(rights), missing, short, shards, 3)


def made(folder: Path) -> list[Instruction]:
    return list(record.read(folder / "instructions.jsonl"))


def learned(folder: Path) -> list[Instruction]:
    return [each for each in made(folder) if each.split is Split.TRAIN]
