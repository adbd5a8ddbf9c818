"""VQA-RAD: 315 radiographs and slices of head, chest and abdomen, asked about by clinicians, with human rewordings of the same question.

In: `trainset.json`, `testset.json` and `VQA_RAD_public_fields.json` below `vqa_rad/`. Out: exchanges under three protocols, and linked pairs.
The templated `frame` rows of the training file repeat test questions on the same images with their answers; only the protocol "leaked" has them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, splits
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

DEVELOPMENT_SHARE = 0.11  # of the images; about 200 of the 1,797 rows: enough to choose by, little lost to training
HELD_OUT_SHARE = 0.20  # of the images, for the image-disjoint protocol
_SALT = "vqa-rad"
_RELATIONS = MappingProxyType(
    {"strict agreement": "strict", "inversion": "inversion", "conversion": "conversion", "subsumes": "subsumes", "subsumed": "subsumes"}
)
# Lau et al. 2018: chest images are radiographs, abdominal ones axial CT; heads are CT or MR and must be told apart by what is said of them
_MODALITY_OF_ORGAN = MappingProxyType({"CHEST": "CR", "ABD": "CT"})
_BODY_PART = MappingProxyType({"CHEST": "CHEST", "ABD": "ABDOMEN", "HEAD": "HEAD"})
_MODALITY_WORDS = (
    ("MR", re.compile(r"\b(mri|mr|t1|t2|flair|dwi|magnetic|diffusion)\b")),
    ("CT", re.compile(r"\b(ct|cat scan|computed tomography)\b")),
)

_HOW = "download the OSF project osf.io/89kps (CC0), put its images and the three JSON files into ROOT/vqa_rad/ (images in ROOT/vqa_rad/images/)"

CARD = base.DataCard(
    name="vqa-rad",
    summary="315 head, chest and abdomen images from MedPix, 3,515 clinical questions, 2,248 of them human, 710 linked human rewordings",
    folder="vqa_rad",
    licence="CC0-1.0",
    attribution="VQA-RAD (Lau, Gayen, Ben Abacha, Demner-Fushman 2018); images from MedPix, U.S. National Library of Medicine",
    train_allowed=True,
    images=315,
    protocols=(
        base.SplitProtocol(
            "official",
            "id",
            {Split.TRAIN: 1618, Split.DEVELOPMENT: 179, Split.TEST: 451},
            "the published split, by question: all test images also occur in training; 1,797 rows without templates, of which some images are held out",
        ),
        base.SplitProtocol(
            "image_disjoint",
            "cluster",
            {Split.TRAIN: 1274, Split.DEVELOPMENT: 179, Split.TEST: 418},
            "split again by image; no row of the published test file enters training, so a held-out image is tested with all its rows",
        ),
        base.SplitProtocol(
            "leaked",
            "id",
            {Split.TRAIN: 2767, Split.DEVELOPMENT: 297, Split.TEST: 451},
            "the published split with the 1,267 templated rows that give away 277 test answers: only for comparison with results that trained on them",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Lau et al., A dataset of clinically generated visual questions and answers about radiology images, Sci Data 2018, doi:10.1038/sdata.2018.251",
    url="https://osf.io/89kps/",
    caveats=(
        "The published split is by question: all 203 test images occur in training.",
        "The templated rows repeat 284 of the 451 test questions on their images, each with its answer (277: the last of equal rows); only 'leaked' has them.",
        "Images carry a burned-in MedPix mark, a shortcut that a model can learn.",
        "No patient identity, sex or age is given: a cluster is an image (two images of one case are one cluster).",
        "Tags of linked pairs are not perfect; a handful of strict pairs have different answers.",
    ),
)


@dataclasses.dataclass(frozen=True)
class LinkedPair:
    """Two human wordings of one question about one image.

    Args:
        id: the `pair` of both exchanges.
        relation: "strict" (same answer is right), "inversion" (the opposite is), "conversion", "subsumes", or "other".
        first, second: their ids; the free-form wording comes first.
        questions, golds: their texts and reference answers, in that order.
        split: TEST when the two belong to the published test file; rows never pair across files.
    """

    id: str
    relation: str
    image: str
    first: str
    second: str
    questions: tuple[str, str]
    golds: tuple[str, str]
    split: Split


class VqaRad(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Rows of one part, by question number.

        `official` train and development together are the 1,797 clean rows; `leaked` adds the templates. See the card for what each is worth.

        Raises:
            DataMissing: files are absent. DataFormatError: a file does not hold VQA-RAD. UnknownName: no such protocol.
        """
        name = CARD.protocol(protocol).name
        rows = _read(root)
        chosen = (row for row in rows if (name == "leaked" or not row.templated) and _place(row, name) == split)
        return tuple(row.exchange(split) for row in chosen)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """Annotation files; images that their rows name, and those found (one has no question)."""
        home = root / CARD.folder
        annotations = tuple(home / name for name in ("trainset.json", "testset.json", "VQA_RAD_public_fields.json"))
        found = set((home / "images").glob("*.jpg"))
        try:
            named = {root / row.image for row in _read(root)}
        except UserError:  # the check goes on to say what is wrong with the tables
            named = set()
        return annotations, tuple(sorted(named | found))

    def pairs(self, root: Path, *, relation: str | None = None) -> tuple[LinkedPair, ...]:
        """The 710 pairs of exactly one free-form and one reworded question, of all relations or of one.

        Larger groups (8, in which who rewords whom is not unique) are left out.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        grouped: dict[str, list[_Row]] = defaultdict(list)
        for row in _read(root):
            if row.pair is not None:
                grouped[row.pair].append(row)
        linked = (_linked(*sorted(rows, key=lambda r: r.phrase != "freeform")) for rows in grouped.values())
        return tuple(pair for pair in linked if relation is None or pair.relation == relation)


@dataclasses.dataclass(frozen=True)
class _Row:
    """One row of the two split files, cleaned, with what the public fields add."""

    qid: int
    image: str
    cluster: str
    question: str
    gold: str
    closed: bool
    phrase: str
    in_test_file: bool
    pair: str | None
    tags: Mapping[str, str]

    @property
    def templated(self) -> bool:
        return self.phrase == "template"

    def exchange(self, split: Split) -> Exchange:
        return Exchange(
            id=f"vqa-rad:{self.qid}",
            image=self.image,
            question=Question(self.question),
            gold=self.gold,
            closed=self.closed,
            cluster=self.cluster,
            split=split,
            pair=self.pair,
            phrase=self.phrase,
            tags=self.tags,
        )


def _place(row: _Row, protocol: str) -> Split | None:
    """Where a row belongs; None when the protocol has no use for it."""
    if protocol != "image_disjoint":
        if row.in_test_file:
            return Split.TEST
        return splits.part(row.cluster, development=DEVELOPMENT_SHARE, salt=_SALT)
    place = splits.part(row.cluster, development=DEVELOPMENT_SHARE, test=HELD_OUT_SHARE, salt=_SALT)
    # a published test row is test data under every protocol, or a model of this protocol could never be read on the published test
    return None if row.in_test_file and place is not Split.TEST else place


def _read(root: Path) -> tuple[_Row, ...]:
    home = base.folder(root, CARD)
    paths = [home / name for name in ("trainset.json", "testset.json", "VQA_RAD_public_fields.json")]
    stamp = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in paths)
    return _rows(*paths, stamp)


@functools.lru_cache(maxsize=2)
def _rows(train: Path, test: Path, public: Path, stamp: tuple[int, ...]) -> tuple[_Row, ...]:  # noqa: ARG001 - the stamp makes a changed file a new key
    raw = [(row, False) for row in base.read_json(train, CARD)] + [(row, True) for row in base.read_json(test, CARD)]
    fields = base.read_json(public, CARD)
    try:
        raw.sort(key=lambda item: int(item[0]["qid"]))
        originals = _originals(raw, fields)
        modality = _modalities(row for row, in_test in raw if not in_test and row["phrase_type"] != "frame")
        clusters = _clusters(fields)
        return tuple(_row(row, in_test, originals.get(int(row["qid"]), {}), clusters, modality) for row, in_test in raw)
    except (KeyError, TypeError, ValueError) as error:
        raise base.DataFormatError(f"{train.parent}: the files do not hold VQA-RAD ({type(error).__name__}: {error})", remedy=_HOW) from error


def _row(row: Mapping[str, Any], in_test: bool, original: Mapping[str, str], clusters: Mapping[str, str], modality: Mapping[str, str]) -> _Row:
    name, organ = row["image_name"], row["image_organ"].strip()
    tags = {"body_part": _BODY_PART[organ], "content": row["question_type"].strip().upper()}
    if kind := _MODALITY_OF_ORGAN.get(organ) or modality.get(name):
        tags["modality"] = kind
    if "relation" in original:
        tags["relation"] = original["relation"]
    return _Row(
        qid=int(row["qid"]),
        image=f"{CARD.folder}/images/{name}",
        cluster=f"vqa-rad:{clusters.get(name, name)}",
        question=" ".join(row["question"].split()),
        gold=str(row["answer"]).strip(),  # ten answers are numbers in the published file
        closed=row["answer_type"].strip() == "CLOSED",  # two types end in a blank
        phrase={"frame": "template"}.get(row["phrase_type"], row["phrase_type"]),
        in_test_file=in_test,
        pair=original.get("pair"),
        tags=MappingProxyType(tags),
    )


def _originals(raw: list[tuple[dict[str, Any], bool]], fields: list[dict[str, Any]]) -> dict[int, dict[str, str]]:
    """Question number -> pair and relation.

    The public file numbers its rows differently, but both are in one order once the templates are left out; every row is compared to prove it.
    """
    rows = [(row, in_test) for row, in_test in raw if row["phrase_type"] != "frame"]
    groups: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = defaultdict(list)
    for (row, in_test), field in zip(rows, sorted(fields, key=lambda f: int(f["qid"])), strict=True):
        same = row["image_name"] == field["image_name"] and row["question"] == field["question"]
        if not same or field["phrase_type"].startswith("test_") != in_test:
            raise ValueError(f"question {row['qid']} and public record {field['qid']} differ")
        groups[field["qid_linked_id"]].append((row, field))
    found: dict[int, dict[str, str]] = {}
    for group in groups.values():
        if len(group) == 2 and {row["phrase_type"] for row, _ in group} == {"freeform", "para"}:
            relation = _RELATIONS.get(group[0][1]["question_relation"].strip().lower(), "other")
            first = min(int(row["qid"]) for row, _ in group)
            for row, _ in group:
                found[int(row["qid"])] = {"pair": f"vqa-rad:{first}", "relation": relation}
    return found


def _clusters(fields: list[dict[str, Any]]) -> dict[str, str]:
    """Image -> the first image of its MedPix case, so that two images of one case stay together."""
    of_case: dict[str, set[str]] = defaultdict(set)
    for field in fields:
        of_case[field["image_case_url"]].add(field["image_name"])
    return {name: min(names) for names in of_case.values() if len(names) > 1 for name in names}


def _modalities(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Modality of an image by what training rows say of it; test rows are not read, their answers are not ours to use."""
    votes: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        asked = "MODALITY" in row["question_type"].upper()
        answer, question = str(row["answer"]).lower(), row["question"].lower()
        for kind, words in _MODALITY_WORDS:
            named = bool(words.search(answer)) if asked else False
            affirmed = bool(words.search(question)) and " or " not in question and (not asked or answer.strip() == "yes")
            votes[row["image_name"]][kind] += 2 * named + affirmed
    return {name: count.most_common(1)[0][0] for name, count in votes.items() if count.total() > 0}


def _linked(first: _Row, second: _Row) -> LinkedPair:
    return LinkedPair(
        id=first.pair or "",
        relation=first.tags["relation"],
        image=first.image,
        first=f"vqa-rad:{first.qid}",
        second=f"vqa-rad:{second.qid}",
        questions=(first.question, second.question),
        golds=(first.gold, second.gold),
        split=Split.TEST if first.in_test_file else Split.TRAIN,
    )


DATASET = VqaRad()
