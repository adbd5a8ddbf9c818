"""Miniature copies of PathVQA and PMC-VQA in their published layouts."""

import csv
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from tests.unit.data.layout import picture

FIRST = ("Figure_path", "Question", "Answer", "Choice A", "Choice B", "Choice C", "Choice D", "Answer_label")
SECOND = ("index", "Figure_path", "Caption", "Question", "Choice A", "Choice B", "Choice C", "Choice D", "Answer", "split")


def jpeg(value: int) -> bytes:
    """A grey picture with some structure."""
    pixels = np.full((24, 24, 3), value, np.uint8)
    pixels[6:18, 6:18] = 255 - value
    stream = io.BytesIO()
    Picture.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


# part of the hub -> (grey of the picture, question, answer)
PATH_ROWS = {
    "train": [(10, "what is  present?", "liver"), (10, "is liver present?", "yes"), (20, "is necrosis present?", "no")],
    "validation": [(30, "where is this from?", "spleen")],
    "test": [(40, "is inflammation present?", "yes"), (40, "what is present?", "kidney"), (50, "is fat present?", "no")],
}


def path_vqa(root: Path) -> Path:
    """The exported layout: a table of questions beside the images, two questions about one of them."""
    home, lines = root / "path_vqa", []
    for part, rows in PATH_ROWS.items():
        for value, question, answer in rows:
            name = f"images/{part}/{part}_{value:04d}.jpg"
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(jpeg(value))
            lines.append(json.dumps({"image": name, "question": question, "answer": answer, "split": part}))
    (home / "questions.jsonl").write_text("\n".join(lines) + "\n")
    return root


def path_vqa_parquet(root: Path, rows=None, *, per_shard: int = 2) -> Path:
    """The hub's layout: shards of `per_shard` rows, each with its picture inside."""
    import pyarrow as pa
    from pyarrow import parquet

    folder = root / "path_vqa" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for part, found in (PATH_ROWS if rows is None else rows).items():
        pieces = [found[i : i + per_shard] for i in range(0, len(found), per_shard)]
        for number, piece in enumerate(pieces):
            images = pa.array([{"bytes": jpeg(value) if isinstance(value, int) else value, "path": "img_0.jpg"} for value, _, _ in piece], kind)
            table = pa.table({"image": images, "question": [q for _, q, _ in piece], "answer": [a for _, _, a in piece]})
            parquet.write_table(table, folder / f"{part}-{number:05d}-of-{len(pieces):05d}-0ab1c2d3.parquet")
    return root


def pmc_row(figure: str, question: str, label: str, options=("Diffuse uptake", "Focal uptake", "No uptake", "Cannot be told")) -> dict[str, str]:
    """A row of version 1, with letters and blanks around the choices as published."""
    answer = options["ABCD".index(label)] if label in "ABCD" else options[1]
    choices = {f"Choice {letter}": f" {letter}:{option} " for letter, option in zip("ABCD", options, strict=True)}
    return {"Figure_path": figure, "Question": f" {question}", "Answer": f" {answer} ", **choices, "Answer_label": label}


def write_csv(path: Path, columns, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def pmc_vqa(root: Path) -> Path:
    """Version 1: 20 training rows about 10 articles, 3 checked test rows that are among 4 others."""
    home = root / "pmc_vqa"
    train = [pmc_row(f"PMC{100 + n // 2}_F{n % 2}.jpg", f"What is seen in figure {n}?", "ABCD"[n % 4]) for n in range(20)]
    test = [pmc_row(f"PMC{200 + n}_F1.jpg", f"Which organ is shown in {n}?", "BCDA"[n]) for n in range(4)]
    for name, rows in (("train", train), ("test_clean", test[:3]), ("test", test)):
        write_csv(home / f"{name}.csv", FIRST, rows)
    for number, row in enumerate((*train, *test)):
        picture(home / "images" / row["Figure_path"], value=10 * number)
    return root


def pmc_vqa_2(root: Path) -> Path:
    """Version 2: the answer is a letter, the caption holds commas, quotes and a line end."""
    home = root / "pmc_vqa"
    for name, first in (("train_2", 300), ("test_2", 400)):
        rows = []
        for n in range(12):
            old = pmc_row(f"PMC{first + n}_Fig1_{n}.jpg", f"What does panel {n} show?", "BC"[n % 2])
            choices = {key: value for key, value in old.items() if key.startswith("Choice")}
            caption = f'A "focal", small\nuptake {n}\u2028in the breast'
            rows.append({"index": n, "Figure_path": old["Figure_path"], "Caption": caption, "Question": old["Question"], **choices})
            rows[-1] |= {"Answer": "BC"[n % 2], "split": name.partition("_")[0]}
            picture(home / "figures" / old["Figure_path"], value=10 * n)
        write_csv(home / f"{name}.csv", SECOND, rows)
    return root
