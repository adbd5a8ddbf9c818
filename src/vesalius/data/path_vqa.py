"""PathVQA: 32,632 questions, made from captions, about 4,289 pictures of two pathology textbooks and a digital library.

In: below `path_vqa/` either `questions.jsonl` beside its images, or the hub's `data/{train,validation,test}-*.parquet`. Out: exchanges, as published in parts.
Pictures inside parquet files have no path, so the first use writes each distinct one to `images/<SHA-256>.jpg`, and then `questions.jsonl`, which all later
uses read alone. Layout: huggingface.co/datasets/flaviagiammarino/path-vqa. The original pickles are never loaded: a pickle can run code.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from vesalius.data import base
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing, UserError
from vesalius.registry import missing_extra

_INDEX = "questions.jsonl"
_BATCH = 64  # rows decoded at once; each holds its picture again
_SHARD = re.compile(r"(train|validation|test)-(?:(\d{5})-of-(\d{5}))?.*\.parquet")
_COLUMNS = ("image", "question", "answer")
_SPLITS = MappingProxyType({"train": Split.TRAIN, "validation": Split.DEVELOPMENT, "val": Split.DEVELOPMENT, "test": Split.TEST})
_SUFFIXES = ((b"\xff\xd8\xff", ".jpg"), (b"\x89PNG\r\n\x1a\n", ".png"))
_LINE = '{"image": "images/train/train_0001.jpg", "question": "...", "answer": "...", "split": "train"}'

_HOW = "download data/*.parquet of huggingface.co/datasets/flaviagiammarino/path-vqa into ROOT/path_vqa/data/ (785 MB; pictures are written out at first use)"
_PICKLES = f"{_HOW}; or, where you trust the pickles, write their records to ROOT/path_vqa/{_INDEX}, one a line: {_LINE}"
_WRITABLE = "make ROOT/path_vqa/ writable once and run 'vesalius data check ROOT path-vqa'; later uses only read"

CARD = base.DataCard(
    name="path-vqa",
    summary="4,289 pathology pictures of two textbooks and the PEIR library, 32,632 questions made from their captions, about half of them yes/no",
    folder="path_vqa",
    licence="MIT: so the release says; images and captions belong to the publishers and authors of the two textbooks and to the owners of PEIR",
    attribution="PathVQA (He, Zhang, Mou, Xing, Xie 2020); pictures from Textbook of Pathology, Basic Pathology and the PEIR digital library",
    train_allowed=False,
    states_modality=False,
    images=4289,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 19654, Split.DEVELOPMENT: 6259, Split.TEST: 6719},
            "the published split in the hub's release, without rows that repeat picture, question and answer; development is its validation part",
        ),
    ),
    how_to_obtain=_HOW,
    citation="He et al., PathVQA: 30000+ questions for medical visual question answering, arXiv 2003.10286 (2020)",
    url="https://huggingface.co/datasets/flaviagiammarino/path-vqa",
    caveats=(
        "Nobody who could license them has licensed the pictures, so no weights are trained on them here; ask before you pass any on.",
        "Rules made the questions from captions: open answers are phrases of a caption, seldom met word for word, and some questions are no good English.",
        "56 % of the yes/no test questions stand word for word in training: their most frequent training answer is right for 68 %, always yes for 54 %.",
        "No test picture equals a training picture pixel by pixel, as others measured; validation and near-duplicates were not compared.",
        "The publication counts 4,998 pictures and 32,799 questions; the release has 4,289 with a question, all in lower case.",
    ),
)


@dataclasses.dataclass(frozen=True)
class _Row:
    id: str
    image: str  # below the set's folder
    question: str
    gold: str
    split: Split


class PathVqa(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Rows of one part, in the order of the files; one cluster for each picture.

        Raises:
            DataMissing: files are absent, or pictures must be written out and cannot. DataFormatError: a file does not hold this set, or only pickles do.
            MissingExtra: parquet files must be read and pyarrow is absent. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(_exchange(row) for row in _read(root) if row.split == split)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The table of questions (the shards, as long as it could not be made of them); the images that it names."""
        home = root / CARD.folder
        try:
            images = sorted({home / row.image for row in _read(root)})
        except UserError:  # the check goes on to say what is wrong with the table
            images = sorted(path for path in (home / "images").rglob("*") if path.is_file() and not path.name.startswith("."))
        shards = _shards(home)
        return tuple(shards) if shards and not (home / _INDEX).is_file() else (home / _INDEX,), tuple(images)


def unpack(root: Path) -> Path:
    """Write the pictures of the parquet files below `root` to `path_vqa/images/`, each once, and then `path_vqa/questions.jsonl`; its path.

    `exchanges` does this when it must. Every file is written whole or not at all; what a stopped call wrote is kept and not written again.

    Raises:
        DataMissing: a shard is absent, or the folder cannot be written. DataFormatError: a shard is damaged or has other columns.
        MissingExtra: pyarrow is absent.
    """
    home = base.folder(root, CARD)
    shards = _shards(home)
    _whole(home, shards)
    lines = [json.dumps({"shards": {path.name: path.stat().st_size for path in shards}})]
    for path in shards:
        split = path.name.partition("-")[0]
        for content, question, answer in _rows_of(path):
            image = f"images/{hashlib.sha256(content).hexdigest()}{_suffix(content)}"
            _put(home / image, content)
            lines.append(json.dumps({"image": image, "question": question, "answer": answer, "split": split}, ensure_ascii=False))
    _put(home / _INDEX, ("\n".join(lines) + "\n").encode(), again=True)
    return home / _INDEX


def _read(root: Path) -> tuple[_Row, ...]:
    home = base.folder(root, CARD)
    index = home / _INDEX
    if _outdated(index, _shards(home)):
        unpack(root)
    if not index.is_file() and any(path for pattern in ("qas/**/*.pkl", "pvqa/qas/**/*.pkl") for path in home.glob(pattern)):
        raise base.DataFormatError(f"{home}: holds the questions as pickles only, which can run code and are not loaded", remedy=_PICKLES)
    return _rows(index, (index.stat().st_mtime_ns, index.stat().st_size) if index.is_file() else (0, 0))


def _outdated(index: Path, shards: Sequence[Path]) -> bool:
    """Whether some shard was not there when the table was made; a table that somebody else made is never replaced."""
    if not shards or not index.is_file():
        return bool(shards)
    with index.open(encoding="utf-8", errors="replace") as stream:
        first = stream.readline()
    try:
        made_of = json.loads(first)["shards"]
    except (ValueError, KeyError, TypeError):
        return False
    return not isinstance(made_of, dict) or any(made_of.get(path.name) != path.stat().st_size for path in shards)


@functools.lru_cache(maxsize=2)
def _rows(index: Path, stamp: tuple[int, int]) -> tuple[_Row, ...]:  # noqa: ARG001 - a changed file is a new key
    try:
        text = index.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataMissing(f"{index}: cannot be read ({error.strerror})", remedy=_HOW) from error
    except UnicodeDecodeError as error:
        raise base.DataFormatError(f"{index}: is not UTF-8 text", remedy=_HOW) from error
    seen: dict[Split, int] = defaultdict(int)
    found = []
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: a question may hold other line separators
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if number == 1 and "shards" in record:
                continue
            row = _row(record, seen)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise base.DataFormatError(f"{index}: line {number} is no question ({type(error).__name__}: {error})", remedy=f"write {_LINE}") from error
        found += [row] if row.question and row.gold else []
    if not found:
        raise base.DataFormatError(f"{index}: holds no question", remedy=_HOW)
    return tuple(found)


def _row(record: dict[str, Any], seen: dict[Split, int]) -> _Row:
    image, split = record["image"], _SPLITS[record["split"]]
    place = PurePosixPath(image)
    if not place.name or place.is_absolute() or ".." in place.parts or "\\" in image or ":" in image:
        raise ValueError(f"the image {image!r} is no path below the set's folder")
    number = seen[split]
    seen[split] += 1  # rows without answer keep their number, so that ids do not depend on which rows are left out
    return _Row(f"{CARD.name}:{split}:{number}", image, " ".join(record["question"].split()), str(record["answer"]).strip(), split)


def _exchange(row: _Row) -> Exchange:
    return Exchange(
        id=row.id,
        image=f"{CARD.folder}/{row.image}",
        question=Question(row.question),
        gold=row.gold,
        closed=None,  # the release has no types; scoring tells yes/no by the answer, and nothing that is asked may
        cluster=f"{CARD.name}:{row.image}",
        split=row.split,
    )


def _shards(home: Path) -> list[Path]:
    """Shards in the order of the parts and of their numbers."""
    order = list(_SPLITS)
    found = [path for path in (home / "data").glob("*.parquet") if _SHARD.fullmatch(path.name)]
    return sorted(found, key=lambda path: (order.index(path.name.partition("-")[0]), path.name))


def _whole(home: Path, shards: Sequence[Path]) -> None:
    """Raise DataMissing unless every part has all the shards that its names count."""
    numbers: dict[str, set[int]] = defaultdict(set)
    expected: dict[str, int] = {}
    for path in shards:
        if match := _SHARD.fullmatch(path.name):
            part, number, total = match.groups()
            numbers[part].add(int(number or 0))
            expected[part] = max(int(total or 1), expected.get(part, 0))
    for part in ("train", "validation", "test"):
        absent = sorted(set(range(expected.get(part, 1))) - numbers[part])
        if absent:
            raise DataMissing(f"{home / 'data'}: the shard {part}-{absent[0]:05d} is missing", remedy=_HOW)


def _rows_of(path: Path) -> Iterator[tuple[bytes, str, str]]:
    """Picture, question and answer of each row of a shard, some rows in memory at a time."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise missing_extra("pyarrow", "reading the parquet files of path-vqa") from error
    try:
        with parquet.ParquetFile(path) as shard:
            kinds = {field.name: field.type for field in shard.schema_arrow}
            absent = [name for name in _COLUMNS if name not in kinds]
            if absent:
                raise base.DataFormatError(f"{path}: has no column {absent[0]!r}", remedy=_HOW)
            if not pyarrow.types.is_struct(kinds["image"]) or kinds["image"].get_field_index("bytes") < 0:
                raise base.DataFormatError(f"{path}: its column 'image' holds no bytes", remedy=_HOW)
            for batch in shard.iter_batches(_BATCH, columns=list(_COLUMNS)):
                for row in batch.to_pylist():
                    content = (row["image"] or {}).get("bytes")
                    if not content:
                        raise base.DataFormatError(f"{path}: a row has no picture", remedy=_HOW)
                    yield content, str(row["question"] or ""), str(row["answer"] or "")
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise base.DataFormatError(f"{path}: is no whole parquet file ({_first_line(error)})", remedy=_HOW) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _suffix(content: bytes) -> str:
    return next((suffix for start, suffix in _SUFFIXES if content.startswith(start)), ".bin")


def _put(path: Path, content: bytes, *, again: bool = False) -> None:
    """Write a file by way of another, so that nobody meets half of it; one that is there is left, unless `again`."""
    if not again and path.is_file() and path.stat().st_size == len(content):
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as error:
        raise DataMissing(f"{path}: cannot be written ({error.strerror}), and the pictures of path-vqa lie inside parquet files", remedy=_WRITABLE) from error


DATASET = PathVqa()
