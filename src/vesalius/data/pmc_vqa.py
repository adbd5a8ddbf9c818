"""PMC-VQA: questions with four choices about figures of open-access articles, written by a language model that read the captions.

In: `train.csv`, `test.csv`, `test_clean.csv` with `images/` (version 1), `train_2.csv`, `test_2.csv` with `figures/` (version 2), below `pmc_vqa/`. Out:
exchanges whose question names its choices, in the stored order and without their letters. Layout: huggingface.co/datasets/xmcmic/PMC-VQA.
Captions are not read: they hold the answers.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base
from vesalius.data.splits import unit_hash
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing, UserError

DEVELOPMENT_ROWS = 2000  # as many as the checked test part has
DEVELOPMENT_SHARE = 0.1  # of the training rows, at most
_SALT = "pmc-vqa"
_LETTERS = ("A", "B", "C", "D")
_CHOICES = tuple(f"Choice {letter}" for letter in _LETTERS)
_LETTER = re.compile(r"^[A-D]\s*:\s*")
_ARTICLE = re.compile(r"PMC\d+(?=_)")
_FIRST, _SECOND = ("train", "test_clean", "test"), ("train_2", "test_2")
# protocol -> tables of the training and of the test part
_TABLES = MappingProxyType({"verified": ("train", "test_clean"), "version_1": ("train", "test"), "version_2": ("train_2", "test_2")})
_LONGEST = 2000  # characters of a `Question`

_HOW = (
    "download the five CSV files, images.zip and images_2.zip of huggingface.co/datasets/xmcmic/PMC-VQA (CC BY-SA) into ROOT/pmc_vqa/ and unpack the archives "
    "to ROOT/pmc_vqa/images/ and ROOT/pmc_vqa/figures/"
)

CARD = base.DataCard(
    name="pmc-vqa",
    summary="149,000 figures of open-access articles, 227,000 questions with four choices written by a language model, 2,000 of them checked by people",
    folder="pmc_vqa",
    licence="CC-BY-SA: the version is not stated; each article has its own licence, CC0 or CC BY (oa_comm_use_file_list.csv)",
    attribution="PMC-VQA (Zhang, Wu, Zhao, Lin, Zhang, Wang, Xie 2023), CC BY-SA; figures from articles of the PMC Open Access Subset, named in each file name",
    train_allowed=True,
    states_modality=False,
    images=149_075,
    protocols=(
        base.SplitProtocol(
            "verified",
            "id",
            {Split.TRAIN: 174_948, Split.DEVELOPMENT: 2000, Split.TEST: 2000},
            "version 1: test is test_clean.csv, checked by people; development is 2,000 rows of train.csv, cut by article",
        ),
        base.SplitProtocol(
            "version_1",
            "id",
            {Split.TRAIN: 174_948, Split.DEVELOPMENT: 2000, Split.TEST: 50_000},
            "version 1: test is test.csv, which nobody checked; training and development as in 'verified'",
        ),
        base.SplitProtocol(
            "version_2",
            "id",
            {Split.TRAIN: 150_603, Split.DEVELOPMENT: 2000, Split.TEST: 33_430},
            "version 2, figures of one panel: test is test_2.csv, which nobody checked; development is 2,000 rows of train_2.csv, cut by article",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Zhang et al., PMC-VQA: visual instruction tuning for medical visual question answering, arXiv 2305.10415 (2023)",
    url="https://huggingface.co/datasets/xmcmic/PMC-VQA",
    caveats=(
        "A language model wrote question and choices from the caption without the figure: some cannot be answered from it, others need no picture at all.",
        "The right choice is B or C in 62 % of test_clean.csv and 74 % of test_2.csv: always B gets 32 % of the first right, always C 38 % of the second.",
        "The published parts are not by article: figures of one article may lie in training and test. Intervals resample articles.",
        "Choices are asked in words, without letters, and the answer must be a choice in words: published figures count letters.",
        "Rows whose choices or answer cannot be read are left out; ten answer letters of test.csv are broken, and at most 31 rows of train.csv.",
        "Figures of the PMC Open Access Subset are in the training data of most medical models. Counts are the published ones, not our own.",
    ),
)


@dataclasses.dataclass(frozen=True)
class _Row:
    number: int
    image: str  # name of the file, without folder
    article: str
    question: Question
    gold: str


class PmcVqa(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Rows of one part, in the order of the file; `Question.options` are the four choices as stored, `gold` is one of them.

        Raises:
            DataMissing: files are absent. DataFormatError: a table is damaged, has other columns, or names an image outside its folder.
            UnknownName: no such protocol.
        """
        learned, tested = _TABLES[CARD.protocol(protocol).name]
        home = base.folder(root, CARD)
        table = tested if split is Split.TEST else learned
        rows = _read(home, table)
        if split is not Split.TEST:
            held_out = _held_out(rows)
            rows = tuple(row for row in rows if (row.article in held_out) == (split is Split.DEVELOPMENT))
        folders = _folders(home, table)
        return tuple(_exchange(row, table, _place(row.image, folders), split) for row in rows)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The tables of each version of which some table is there (of the first, when none is); the images that they name."""
        home = root / CARD.folder
        versions = [names for names in (_FIRST, _SECOND) if any((home / f"{name}.csv").is_file() for name in names)] or [_FIRST]
        tables = [name for names in versions for name in names]
        images: set[Path] = set()
        for table in tables:
            try:
                folders = _folders(home, table)
                images |= {root / CARD.folder / _place(row.image, folders) for row in _read(home, table)}
            except UserError:  # the check goes on to say what is wrong with the table
                continue
        return tuple(home / f"{name}.csv" for name in tables), tuple(sorted(images))


def asked(question: str, options: Sequence[str]) -> str:
    """The words that are asked: the question and its choices in the order given; nothing of it depends on which is right."""
    return f"{question} Answer with one of these: {'; '.join(options)}"


def _read(home: Path, table: str) -> tuple[_Row, ...]:
    path = home / f"{table}.csv"
    return _rows(path, (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else (0, 0))


@functools.lru_cache(maxsize=5)
def _rows(path: Path, stamp: tuple[int, int]) -> tuple[_Row, ...]:  # noqa: ARG001 - a changed file is a new key
    answer = ("Answer",) if path.stem in _SECOND else ("Answer", "Answer_label")
    needs = ("Figure_path", "Question", *_CHOICES, *answer)
    found = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:  # a quoted field may hold line ends of its own
            reader = csv.DictReader(stream)
            absent = [name for name in needs if name not in (reader.fieldnames or ())]
            if absent:
                raise base.DataFormatError(f"{path}: has no column {absent[0]!r}", remedy=_HOW)
            for number, row in enumerate(reader):
                if None in row or None in row.values():
                    raise base.DataFormatError(f"{path}: row {number} has not as many fields as the header", remedy=_HOW)
                if usable := _row(path, number, row):
                    found.append(usable)
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy=_HOW) from error
    except UnicodeDecodeError as error:
        raise base.DataFormatError(f"{path}: is not UTF-8 text", remedy=_HOW) from error
    except csv.Error as error:
        raise base.DataFormatError(f"{path}: is no table ({error})", remedy=_HOW) from error
    if not found:
        raise base.DataFormatError(f"{path}: holds no question that can be used", remedy=_HOW)
    return tuple(found)


def _row(path: Path, number: int, row: Mapping[str, str]) -> _Row | None:
    """A row; None when it has no question, a choice is empty, or its answer names none of the choices."""
    image = row["Figure_path"].strip()
    if not image or image in (".", "..") or set(image) & set("/\\:\0"):
        raise base.DataFormatError(f"{path}: row {number} names the image {image!r}, which is no plain file name", remedy=_HOW)
    question = " ".join(row["Question"].split())
    options = tuple(_bare(row[name]) for name in _CHOICES)
    gold = _gold(row, options)
    if not question or not all(options) or not gold or len(asked(question, options)) > _LONGEST:
        return None
    article = _ARTICLE.match(image)
    return _Row(number, image, article.group() if article else image, Question(asked(question, options), options), gold)


def _bare(text: str) -> str:
    """A choice without its letter: " B:Focal uptake pattern " -> "Focal uptake pattern"."""
    return _LETTER.sub("", " ".join(text.split()))


def _gold(row: Mapping[str, str], options: Sequence[str]) -> str | None:
    letter = row.get("Answer_label", row["Answer"]).strip().upper()
    if letter in _LETTERS:
        return options[_LETTERS.index(letter)]
    said = _bare(row["Answer"])  # version 1 also gives the answer in words
    return said if said in options else None


def _held_out(rows: Sequence[_Row]) -> frozenset[str]:
    """Articles of the development part: by a fixed hash, whole articles, as many as fit into its number of rows."""
    room = min(DEVELOPMENT_ROWS, int(len(rows) * DEVELOPMENT_SHARE))
    chosen = []
    sizes = Counter(row.article for row in rows)
    for article in sorted(sizes, key=lambda name: unit_hash(name, salt=_SALT)):
        if sizes[article] <= room:
            chosen.append(article)
            room -= sizes[article]
    return frozenset(chosen)


def _folders(home: Path, table: str) -> dict[str, frozenset[str]]:
    """Folder below the set's -> names in it, the folder of the table's version first; an archive unpacked inside a folder of its name is found too."""
    places = ("figures", "figures/figures", "images") if table in _SECOND else ("images", "images/images", "figures")
    return {place: _names(home / place, (home / place).stat().st_mtime_ns) for place in places if (home / place).is_dir()} or {places[0]: frozenset()}


@functools.lru_cache(maxsize=6)
def _names(folder: Path, stamp: int) -> frozenset[str]:  # noqa: ARG001 - a changed folder is a new key
    return frozenset(os.listdir(folder))  # noqa: PTH208 - 149,000 names; a Path of each is not wanted


def _place(image: str, folders: Mapping[str, frozenset[str]]) -> str:
    folder = next((place for place, names in folders.items() if image in names), next(iter(folders)))
    return f"{folder}/{image}"


def _exchange(row: _Row, table: str, place: str, split: Split) -> Exchange:
    return Exchange(
        id=f"{CARD.name}:{table}:{row.number}",
        image=f"{CARD.folder}/{place}",
        question=row.question,
        gold=row.gold,
        closed=True,
        cluster=f"{CARD.name}:{row.article}",
        split=split,
    )


DATASET = PmcVqa()
