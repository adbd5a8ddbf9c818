"""SLAKE, English: 546 CT, MR and X-ray images with questions, organ and lesion boxes, and a small knowledge graph.

In: `train.json`, `validate.json`, `imgs/xmlabN/`, `KG/` below `slake/`. Out: exchanges, image attributes with boxes, knowledge triples.
The published English test images are not used: the project's test is the published validation part, its development part is cut from train by image.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, splits
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.domain.finding import Region
from vesalius.errors import UserError

DEVELOPMENT_SHARE = 0.11  # of the training images
_SALT = "slake"
_MODALITY = MappingProxyType({"CT": "CT", "MRI": "MR", "X-Ray": "CR"})
_BODY_PART = MappingProxyType(
    {
        "Lung": "CHEST",
        "Chest_lung": "CHEST",
        "Chest_heart": "CHEST",
        "Chest_mediastinal": "CHEST",
        "Abdomen": "ABDOMEN",
        "Pelvic Cavity": "PELVIS",
        "Brain": "HEAD",
        "Brain_Tissue": "HEAD",
        "Brain_Face": "HEAD",
        "Neck": "NECK",
    }
)
_HOW = "download SLAKE 1.0 from www.med-vqa.com/slake (CC BY 4.0) and unpack imgs/, KG/, train.json and validate.json into ROOT/slake/"

CARD = base.DataCard(
    name="slake",
    summary="546 CT, MR and X-ray images of head, neck, chest, abdomen and pelvis, 5,971 English questions, organ and lesion boxes",
    folder="slake",
    licence="CC-BY-4.0",
    attribution="SLAKE 1.0 (Liu, Zhan, Xu, Ma, Yang, Wu 2021), CC BY 4.0",
    train_allowed=True,
    images=546,
    protocols=(
        base.SplitProtocol(
            "official",
            "cluster",
            {Split.TRAIN: 4463, Split.DEVELOPMENT: 455, Split.TEST: 1053},
            "English rows only; test is the published validation part; development is cut from the published train part by image",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Liu et al., SLAKE: a semantically-labeled knowledge-enhanced dataset for medical visual question answering, ISBI 2021, arXiv 2102.09542",
    url="https://www.med-vqa.com/slake/",
    caveats=(
        "English and Chinese are split separately, and 64 of our test images have Chinese training rows: only English rows are read.",
        "The published English test part (96 images) is not used, so numbers here are on the validation part and published ones are not on the same rows.",
        "One training row has no answer and is left out.",
        "No patient identity is given: 14 of the 96 test images have a neighbouring slice in training. Nine films are also in nih-cxr.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Attributes:
    """What is known of an image besides its questions.

    Args:
        location: body part in SLAKE's words ("Chest_lung"); body_part: in DICOM's ("CHEST").
        modality: DICOM modality (CR, CT, MR).
        content: the kinds of question that its English rows ask, sorted.
        regions: (name, box in pixels of the image) of organs and lesions.
    """

    image: str
    cluster: str
    location: str
    body_part: str
    modality: str
    content: tuple[str, ...]
    regions: tuple[tuple[str, Region], ...]


@dataclasses.dataclass(frozen=True)
class Triple:
    """One edge of the knowledge graph, in English."""

    head: str
    relation: str
    tail: str


class Slake(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """English rows of one part, in the order of the files.

        Raises:
            DataMissing: files are absent. DataFormatError: a file does not hold SLAKE. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(_exchange(row, split) for row, place in _read(root) if place == split)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Annotation files with boxes and graph; images that English rows name."""
        home = root / CARD.folder
        graph = tuple(home / "KG" / name for name in _GRAPH)
        tables = (home / "train.json", home / "validate.json")
        try:
            images = sorted({home / "imgs" / row["img_name"] for row, _ in _read(root)})
        except UserError:  # the check goes on to say what is wrong with the tables
            images = sorted((home / "imgs").glob("*/source.jpg"))
        return (*tables, *graph, *(path.parent / "detection.json" for path in images)), tuple(images)

    def attributes(self, root: Path, split: Split) -> tuple[Attributes, ...]:
        """Location, modality, content types and boxes of the images of one part, by image name.

        Raises:
            DataMissing, DataFormatError: as `exchanges`; also for a box that is not four numbers.
        """
        grouped: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for row, place in _read(root):
            if place == split:
                grouped[row["img_name"]].append(row)
        return tuple(
            Attributes(
                image=f"{CARD.folder}/imgs/{name}",
                cluster=_cluster(name),
                location=rows[0]["location"],
                body_part=_BODY_PART[rows[0]["location"]],
                modality=_MODALITY[rows[0]["modality"]],
                content=tuple(sorted({row["content_type"] for row in rows})),
                regions=regions(root / CARD.folder / "imgs" / Path(name).parent / "detection.json"),
            )
            for name, rows in sorted(grouped.items())
        )

    def knowledge(self, root: Path) -> tuple[Triple, ...]:
        """The English knowledge graph: diseases, organs and relations between organs.

        Raises:
            DataMissing: a file is absent. DataFormatError: a line has not three fields.
        """
        triples = []
        for name in _GRAPH:
            path = base.folder(root, CARD) / "KG" / name
            columns = ("disease" if "disease" in name else "organ", "attribute", "value")
            for row in base.read_csv(path, CARD, delimiter="#", needs=columns):
                if any(row[column] is None for column in columns):
                    raise base.DataFormatError(f"{path}: a line has not three fields ({row})", remedy=_HOW)
                triples.append(Triple(*(row[column].strip() for column in columns)))
        return tuple(triples)


_GRAPH = ("en_disease.csv", "en_organ.csv", "en_organ_rel.csv")


def regions(path: Path) -> tuple[tuple[str, Region], ...]:
    """Named boxes of one `detection.json`, which writes them as x, y, width, height in pixels; no file means no boxes.

    Raises:
        DataFormatError: a box is not four numbers that make a region.
    """
    if not path.is_file():
        return ()
    found = []
    for entry in base.read_json(path, CARD):
        for name, box in entry.items():
            try:
                x, y, width, height = map(float, box)
                found.append((name, Region(x, y, x + width, y + height)))
            except (TypeError, ValueError) as error:
                raise base.DataFormatError(f"{path}: the box {json.dumps(box)} of {name!r} is not x, y, width, height", remedy=_HOW) from error
    return tuple(found)


def _read(root: Path) -> tuple[tuple[Mapping[str, Any], Split], ...]:
    home = base.folder(root, CARD)
    paths = (home / "train.json", home / "validate.json")
    return _rows(*paths, tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths))


@functools.lru_cache(maxsize=2)
def _rows(train: Path, validate: Path, stamp: tuple[int, ...]) -> tuple[tuple[Mapping[str, Any], Split], ...]:  # noqa: ARG001 - a changed file is a new key
    try:
        learned = [row for row in base.read_json(train, CARD) if _usable(row)]
        found = [(row, splits.part(_cluster(row["img_name"]), development=DEVELOPMENT_SHARE, salt=_SALT)) for row in learned]
        found += [(row, Split.TEST) for row in base.read_json(validate, CARD) if _usable(row)]
    except (KeyError, TypeError, AttributeError) as error:
        raise base.DataFormatError(f"{train.parent}: the files do not hold SLAKE ({type(error).__name__}: {error})", remedy=_HOW) from error
    return tuple(found)


def _usable(row: Mapping[str, Any]) -> bool:
    # a missing field, or a modality or location that no table here knows, is found now and not in the middle of an alignment run
    _ = _MODALITY[row["modality"]], _BODY_PART[row["location"]], row["content_type"], row["answer_type"], row["base_type"], row["qid"]
    return row["q_lang"] == "en" and bool(row["answer"].strip())


def _cluster(image: str) -> str:
    return f"slake:{Path(image).parent}"


def _exchange(row: Mapping[str, Any], split: Split) -> Exchange:
    return Exchange(
        id=f"slake:{row['qid']}",
        image=f"{CARD.folder}/imgs/{row['img_name']}",
        question=Question(" ".join(row["question"].split())),
        gold=row["answer"].strip(),
        closed=row["answer_type"].strip() == "CLOSED",
        cluster=_cluster(row["img_name"]),
        split=split,
        phrase="freeform",
        tags=MappingProxyType(
            {
                "location": row["location"],
                "body_part": _BODY_PART[row["location"]],
                "modality": _MODALITY[row["modality"]],
                "content": row["content_type"],
                "kind": row["base_type"],
            }
        ),
    )


DATASET = Slake()
