"""ROCO, versions 1 and 2: radiology figures of open-access articles with their captions and the licence of each figure.

In: version 1 as its repository has it, `data/{train,validation,test}/{radiology,non-radiology}/{captions,licences}.txt` with `images/` beside, below `roco/`;
version 2 as Zenodo has it, `{train,valid,test}_captions.csv`, `license_information.csv` and the folders of images, below `roco_v2/`. Out: one exchange for each
figure, which asks for a description. Layouts: github.com/razorx89/roco-dataset, zenodo.org/records/10821435.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base, records
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing, UserError

QUESTION = "Describe this image."
_KINDS = ("radiology", "non-radiology")
_FIRST = MappingProxyType({Split.TRAIN: "train", Split.DEVELOPMENT: "validation", Split.TEST: "test"})
_SECOND = MappingProxyType({Split.TRAIN: "train", Split.DEVELOPMENT: "valid", Split.TEST: "test"})

CARD = base.DataCard(
    name="roco",
    summary="81,807 radiology figures of PubMed Central with captions (and 6,118 others), found by a classifier; each has its own licence",
    folder="roco",
    licence="each figure its own: in `tags['licence']`; CC BY, CC BY-NC and others, some without any",
    attribution="ROCO (Pelka, Koitka, Rueckert, Nensa, Friedrich 2018); figures from articles of PubMed Central, named in licences.txt",
    train_allowed=False,
    states_modality=False,
    images=87_925,
    protocols=(
        base.SplitProtocol(
            "radiology",
            "id",
            {Split.TRAIN: 65_448, Split.DEVELOPMENT: 8180, Split.TEST: 8179},
            "the published split, radiology alone; 4,723 of the 7,404 articles of its test part also have figures in training",
        ),
        base.SplitProtocol(
            "all",
            "id",
            {Split.TRAIN: 70_343, Split.DEVELOPMENT: 8791, Split.TEST: 8791},
            "the published split with the figures that are not radiology",
        ),
    ),
    how_to_obtain=(
        "clone github.com/razorx89/roco-dataset to ROOT/roco/ and run its scripts/fetch.py, which downloads the figures from PubMed Central (some are gone)"
    ),
    citation="Pelka et al., Radiology Objects in COntext (ROCO): a multimodal image dataset, LABELS 2018, LNCS 11043, pp. 180-189",
    url="https://github.com/razorx89/roco-dataset",
    caveats=(
        "Of the 81,807 radiology figures 34,363 are CC BY, 14,894 CC BY-NC-SA, 12,788 CC BY-NC, 9,866 none that is known, 9,628 CC BY-NC-ND; the others 268.",
        "A caption speaks of more than its figure shows: of the patient, of other panels, of treatment.",
        "The split is by figure, not by article; a classifier chose the figures, and some are no radiology.",
        "Copies on the hub have a few figures less (65,423, 8,175, 8,176), since some cannot be downloaded any more.",
    ),
)
CARD_2 = base.DataCard(
    name="roco-v2",
    summary="79,789 radiology figures of PubMed Central with captions and concepts: ROCO, cleaned and enlarged, under CC BY and CC BY-NC",
    folder="roco_v2",
    licence="each figure its own: CC BY or CC BY-NC (license_information.csv); copies on the hub say CC BY-NC-SA 4.0",
    attribution="ROCOv2 (Rueckert et al. 2024), doi:10.5281/zenodo.10821435; figures from articles of the PMC Open Access Subset",
    train_allowed=False,
    states_modality=False,
    images=79_789,
    protocols=(base.SplitProtocol("official", "id", {Split.TRAIN: 59_958, Split.DEVELOPMENT: 9904, Split.TEST: 9927}, "the published split"),),
    how_to_obtain="unpack {train,valid,test}_images.zip of zenodo.org/records/10821435 into ROOT/roco_v2/ and put the record's CSV files beside them",
    citation="Rueckert et al., ROCOv2: Radiology Objects in COntext version 2, an updated multimodal image dataset, Sci Data 11:688, 2024, arXiv 2405.10004",
    url="https://zenodo.org/records/10821435",
    caveats=(
        "Counts are the published ones, not our own; columns of license_information.csv are known from others' code.",
        "Whether articles cross its parts was not looked at here; in version 1 most do.",
        "A caption speaks of more than its figure shows; concepts were found by a program and are not read.",
    ),
)


@dataclasses.dataclass(frozen=True)
class _Row:
    name: str
    image: str  # below the data root
    caption: str
    article: str | None
    licence: str | None


class Roco(base.Published):
    """A version of ROCO; see its card."""

    def __init__(self, card: base.DataCard) -> None:
        self.card = card

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One for each figure with a caption, in the order of the files; `tags["licence"]` is the figure's own, where it is known.

        Raises:
            DataMissing: files are absent. DataFormatError: a file does not hold this set, or names a file outside its folder. UnknownName: no such protocol.
        """
        rows = (row for path in self._tables(root, Split(split), protocol) for row in self._read(root, path)[0])
        return tuple(self._exchange(row, Split(split)) for row in rows)

    def left_out(self, root: Path) -> Mapping[str, int]:
        """How many rows were not used, by reason. Raises: as `exchanges`."""
        tables = [path for split in Split for path in self._tables(root, split, self.card.protocols[-1].name)]
        return dict(sum((self._read(root, path)[1] for path in tables), Counter()))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The tables of captions, and of licences where they are there; the figures that they name."""
        try:
            tables = [path for split in Split for path in self._tables(root, split, self.card.protocols[-1].name)]
        except DataMissing:
            return (), ()
        images: set[Path] = set()
        for path in tables:
            try:
                images |= {root / row.image for row in self._read(root, path)[0]}
            except UserError:  # the check goes on to say what is wrong with the table
                continue
        licences = dict.fromkeys(_licences_of(path) for path in tables)
        return (*tables, *(path for path in licences if path.is_file())), tuple(sorted(images))

    def _tables(self, root: Path, split: Split, protocol: str | None) -> list[Path]:
        chosen, home = self.card.protocol(protocol).name, base.folder(root, self.card)
        if self.card is CARD_2:
            return [home / f"{_SECOND[split]}_captions.csv"]
        home = home / "data" if (home / "data").is_dir() else home
        return [home / _FIRST[split] / kind / "captions.txt" for kind in (_KINDS if chosen == "all" else _KINDS[:1])]

    def _read(self, root: Path, path: Path) -> tuple[tuple[_Row, ...], Counter[str]]:
        return _rows(root, path, self.card.name, records.stamp(path, _licences_of(path)))

    def _exchange(self, row: _Row, split: Split) -> Exchange:
        tags = {"task": "caption", **({"licence": row.licence} if row.licence else {}), **({"article": row.article} if row.article else {})}
        return Exchange(
            id=f"{self.name}:{row.name}",
            image=row.image,
            question=Question(QUESTION),
            gold=row.caption,
            closed=False,
            cluster=f"{self.name}:{row.article or row.name}",
            split=split,
            phrase="template",
            tags=MappingProxyType(tags),
        )


def _licences_of(captions: Path) -> Path:
    return captions.with_name("license_information.csv" if captions.suffix == ".csv" else "licences.txt")


@functools.lru_cache(maxsize=6)
def _rows(root: Path, path: Path, name: str, stamp: tuple[tuple[int, int], ...]) -> tuple[tuple[_Row, ...], Counter[str]]:  # noqa: ARG001 - a changed file is a new key
    card = CARD_2 if name == CARD_2.name else CARD
    found: dict[str, _Row] = {}
    left_out: Counter[str] = Counter()
    sources = _sources(_licences_of(path), card)
    with records.reading(path, card):
        for identity, caption in _captions(path, card):
            place = _place(path, records.below(identity))
            reason = "no caption" if not caption else "the figure is there twice" if identity in found else None
            if reason:
                left_out[reason] += 1
                continue
            found[identity] = _Row(identity, place.relative_to(root).as_posix(), caption, *sources.get(identity, (None, None)))
        if not found:
            raise ValueError("it holds no caption")
    return tuple(found.values()), left_out


def _captions(path: Path, card: base.DataCard) -> Iterator[tuple[str, str]]:
    if path.suffix == ".csv":
        for row in records.csv_rows(path, card, needs=("ID", "Caption")):
            yield row["ID"].strip(), records.tidy(row["Caption"])
        return
    for line in records.lines(path, card):
        if line.strip():
            identity, tab, caption = line.partition("\t")
            if not tab:
                raise ValueError(f"the line {line[:60]!r} has no tab between figure and caption")
            yield identity.strip(), records.tidy(caption)


def _place(table: Path, identity: str) -> Path:
    """Where the figure lies, or should: an archive unpacked inside a folder of its name is found too."""
    if table.suffix != ".csv":
        return table.parent / "images" / f"{identity}.jpg"
    part = table.name.partition("_")[0]
    inner = table.parent / part / part
    return (inner if inner.is_dir() else table.parent / part) / f"{identity}.jpg"


def _sources(path: Path, card: base.DataCard) -> dict[str, tuple[str | None, str | None]]:
    """(article, licence) of each figure; nothing where the table is not there."""
    if not path.is_file():
        return {}
    found = {}
    for row in records.csv_rows(path, card):
        named = {key.lower(): value.strip() for key, value in row.items()}
        identity = named.get("roco_id") or named.get("id")
        if not identity:
            raise base.DataFormatError(f"{path}: has no column with the figures' names", remedy=card.how_to_obtain)
        article = (named.get("pmc_id") or named.get("pmcid") or "").partition("_")[0]
        licence = next((named[key] for key in ("cc", "license", "licence", "attribution") if named.get(key)), "")
        found[identity] = (article or None, licence or None)
    return found


DATASET = Roco(CARD)
DATASET_2 = Roco(CARD_2)
