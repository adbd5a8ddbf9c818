"""MS-CXR: phrases from chest X-ray reports with the boxes that they speak of, on films of MIMIC-CXR-JPG. Credentialed: never downloaded here.

In: `MS_CXR_Local_Alignment_v1.1.0.csv` (or another version's, or the `.json` of the same name) in `ms_cxr/`, films below `mimic_cxr_jpg/` at the paths that
it names. Out: `Phrase`s with boxes in pixels of the published films, and one exchange for each, whose answer is yes.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.finding import Region
from vesalius.errors import DataMissing, UserError

FILMS = "mimic_cxr_jpg"  # the folder of MIMIC-CXR-JPG below the data root: the one that holds files/
TABLES = ("MS_CXR_Local_Alignment_v1.1.0", "MS_CXR_Local_Alignment_v1.0.0")
_NEEDS = ("dicom_id", "category_name", "label_text", "path", "x", "y", "w", "h", "image_width", "image_height")
_HOW = (
    "become a credentialed user of physionet.org, sign the agreement of MS-CXR, and put MS_CXR_Local_Alignment_v1.1.0.csv into ROOT/ms_cxr/ and the films of "
    "MIMIC-CXR-JPG 2.0.0 that it names into ROOT/mimic_cxr_jpg/files/"
)

CARD = base.DataCard(
    name="ms-cxr",
    summary="1,162 phrases of 8 findings with boxes on chest films of MIMIC-CXR; credentialed",
    folder="ms_cxr",
    licence="PhysioNet Credentialed Health Data License 1.5.0: only for those who signed it, and not to be passed on",
    attribution="MS-CXR (Boecking et al. 2022), PhysioNet, doi:10.13026/b90j-vb87, on films of MIMIC-CXR-JPG",
    train_allowed=False,
    images=1162,
    protocols=(
        base.SplitProtocol(
            "all",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 1162},
            "everything is for testing; the column `split` of version 1.1.0 is the authors' own and not MIMIC's, and is kept as a tag",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Boecking et al., Making the most of text semantics to improve biomedical vision-language processing, ECCV 2022, arXiv 2204.09817",
    url="https://physionet.org/content/ms-cxr/",
    caveats=(
        "The number of phrases is the published one; that of films is one for each phrase, an upper bound. Neither was measured here: the set is credentialed.",
        "Every phrase speaks of something that is there: its questions have no answer but yes.",
        "Models whose training used MIMIC-CXR may have seen these films and the reports that the phrases are from.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Phrase:
    """A phrase and where what it says is to be seen.

    Args:
        image: path relative to the data root. patient: key of the patient.
        category: one of eight findings ("Pleural Effusion"). text: of the report.
        regions: in pixels of a film of `size` (columns, rows). part: of the authors' own split; None where the table has none.
    """

    image: str
    patient: str
    category: str
    text: str
    regions: tuple[Region, ...]
    size: tuple[float, float]
    part: str | None = None


class MsCxr(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One question on the presence of its category for each phrase.

        Raises:
            DataMissing: files are absent. DataFormatError: the table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(_exchange(phrase) for phrase in self.phrases(root) if split == Split.TEST)

    def phrases(self, root: Path) -> tuple[Phrase, ...]:
        """All phrases, each with all of its boxes, by film, category and text.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        path = table(root)
        return _phrases(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The table; the films that it names."""
        home = root / CARD.folder
        try:
            return (table(root),), tuple(sorted({root / phrase.image for phrase in self.phrases(root)}))
        except UserError:  # the check goes on to say what is wrong with the table
            return (next((p for p in _tables(home) if p.is_file()), home / f"{TABLES[0]}.csv"),), ()


def _tables(home: Path) -> list[Path]:
    return [home / f"{name}.{kind}" for kind in ("csv", "json") for name in TABLES]


def table(root: Path) -> Path:
    """The table that is there: of the newest version, CSV before JSON; where there is none the name that it should have.

    Raises:
        DataMissing: the folder is not there.
    """
    named = _tables(base.folder(root, CARD))
    return next((path for path in named if path.is_file()), named[0])


@functools.lru_cache(maxsize=2)
def _phrases(path: Path, stamp: int) -> tuple[Phrase, ...]:  # noqa: ARG001 - a changed file is a new key
    grouped: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    try:
        for row in _rows(path):
            grouped[str(row["path"]), str(row["category_name"]).strip(), " ".join(str(row["label_text"]).split())].append(row)
        return tuple(_phrase(key, rows) for key, rows in sorted(grouped.items()))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise base.DataFormatError(f"{path}: does not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of the CSV, or of the JSON (in COCO's form) under the CSV's names."""
    if path.suffix == ".csv":
        yield from base.read_csv(path, CARD, needs=_NEEDS)
        return
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy=_HOW) from error
    images, names = {each["id"]: each for each in held["images"]}, {each["id"]: each["name"] for each in held["categories"]}
    for mark in held["annotations"]:
        image = images[mark["image_id"]]
        x, y, w, h = mark["bbox"]
        size = {"image_width": image["width"], "image_height": image["height"]}
        yield {"path": image["path"], "category_name": names[mark["category_id"]], "label_text": mark["label_text"], "x": x, "y": y, "w": w, "h": h, **size}


def _phrase(key: tuple[str, str, str], rows: list[Mapping[str, Any]]) -> Phrase:
    path, category, text = key
    boxes = [[float(row[name]) for name in "xywh"] for row in rows]
    return Phrase(
        image=f"{FILMS}/{path}",
        patient=f"mimic-cxr:{path.split('/')[-3]}",  # files/p10/p10000032/s50414267/<film>.jpg
        category=category,
        text=text,
        regions=tuple(Region(x, y, x + w, y + h) for x, y, w, h in boxes),
        size=(float(rows[0]["image_width"]), float(rows[0]["image_height"])),
        part=rows[0].get("split") or None,
    )


def presence_question(category: str) -> str:
    """The words in which presence is asked for."""
    return f"Is there evidence of {category.lower()}?"


def _exchange(phrase: Phrase) -> Exchange:
    facts = {"modality": "DX", "body_part": "CHEST", "finding": phrase.category, "statement": phrase.text}
    return Exchange(
        id=f"ms-cxr:{Path(phrase.image).stem}:{phrase.category}:{phrase.text}",
        image=phrase.image,
        question=Question(presence_question(phrase.category)),
        gold="yes",
        closed=True,
        cluster=phrase.patient,
        split=Split.TEST,
        phrase="template",
        tags=MappingProxyType({**facts, "published_split": phrase.part} if phrase.part else facts),
    )


DATASET = MsCxr()
