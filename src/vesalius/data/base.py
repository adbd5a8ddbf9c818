"""What a data set is to the rest of the package: protocol, card, data root, name table, and the check of what lies on the disk.

In: a data root (`--data DIR` or `VESALIUS_DATA`) and a name. Out: exchanges with their split; a `DataCheck` of missing and broken files.
Nothing is downloaded here: a card says how to obtain a set and under which licence.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from vesalius import provenance
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import DataMissing, UserError
from vesalius.registry import Table, unknown

ENVIRONMENT = "VESALIUS_DATA"
UNCOUNTED = "nothing"

TABLE = Table(
    "dataset",
    {
        "vqa-rad": "vesalius.data.vqa_rad:DATASET",
        "slake": "vesalius.data.slake:DATASET",
        "nih-cxr": "vesalius.data.nih_cxr:DATASET",
        "hannover": "vesalius.data.hannover:DATASET",
        "ms-cxr": "vesalius.data.ms_cxr:DATASET",
        "ms-cxr-t": "vesalius.data.ms_cxr_t:DATASET",
        "vindr-cxr": "vesalius.data.vindr_cxr:DATASET",
        "iu-reports": "vesalius.data.iu_reports:DATASET",
        "path-vqa": "vesalius.data.path_vqa:DATASET",
        "pmc-vqa": "vesalius.data.pmc_vqa:DATASET",
        "roco": "vesalius.data.roco:DATASET",
        "roco-v2": "vesalius.data.roco:DATASET_2",
        "llava-med": "vesalius.data.llava_med:DATASET",
        "mimic-cxr": "vesalius.data.mimic_cxr:DATASET",
        "chexpert": "vesalius.data.chexpert:DATASET",
        "padchest": "vesalius.data.padchest:DATASET",
        "radqa": "vesalius.data.radqa:DATASET",
        "medmcqa": "vesalius.data.medmcqa:DATASET",
        "pubmedqa": "vesalius.data.pubmedqa:DATASET",
        "pneumoniamnist": "vesalius.data.medmnist:PNEUMONIA",
        "chestmnist": "vesalius.data.medmnist:CHEST",
        "breastmnist": "vesalius.data.medmnist:BREAST",
        "organamnist": "vesalius.data.medmnist:ORGAN_A",
        "chexinstruct": "vesalius.data.chexinstruct:DATASET",
        "chexbench": "vesalius.data.chexbench:DATASET",
    },
)


class DataFormatError(UserError):
    """A file of a data set is there but does not hold what it should."""


@dataclasses.dataclass(frozen=True)
class SplitProtocol:
    """One way to split a data set.

    Args:
        name: what the caller asks for.
        disjoint_by: the field of `Exchange` that no two parts share: "cluster" where the split is sound, "id" where it is only by question.
        counts: number of exchanges of each part, as measured on the published files; of something else where `counted` says so.
        note: what to know before quoting a number from it.
        counted: what `counts` counts; `UNCOUNTED` where nobody has fixed a number: then `counts` are zeros, and a check compares none.
    """

    name: str
    disjoint_by: str
    counts: Mapping[Split, int]
    note: str
    counted: str = "exchanges"


@dataclasses.dataclass(frozen=True)
class DataCard:
    """The facts of a data set that need no file on disk.

    Args:
        folder: its folder below the data root.
        train_allowed: whether weights may be trained on its train part.
        images: number of image files.
        protocols: the splits it offers; the first is the default.
        how_to_obtain: a sentence for the user who does not have it.
        caveats: sentences that a reader of any number from this set must know.
        states_modality: whether `tags` may say modality and body part; where not, no picture of the set can stand in for another patient's.
    """

    name: str
    summary: str
    folder: str
    licence: str
    attribution: str
    train_allowed: bool
    images: int
    protocols: tuple[SplitProtocol, ...]
    how_to_obtain: str
    citation: str
    url: str
    caveats: tuple[str, ...] = ()
    states_modality: bool = True

    def protocol(self, name: str | None = None) -> SplitProtocol:
        """The protocol of that name; None gives the default.

        Raises:
            UnknownName: the set has no such protocol.
        """
        if name is None:
            return self.protocols[0]
        for each in self.protocols:
            if each.name == name:
                return each
        raise unknown(f"split protocol of {self.name}", name, [p.name for p in self.protocols])


@runtime_checkable
class Dataset(Protocol):
    """A data set: immutable, holds no path and reads nothing until asked."""

    card: DataCard

    @property
    def name(self) -> str:
        """The name in the table, from the card."""
        ...

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """The exchanges of one part, in a fixed order.

        Raises:
            DataMissing: the set, or a file of it, is not below `root`.
            UnknownName: the set has no such protocol.
        """
        ...

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """(annotation files, image files) that a complete copy has, whether they exist or not."""
        ...

    def image_path(self, root: Path, image: str) -> Path:
        """The file behind `Exchange.image`; see `image_path`."""
        ...

    def check(self, root: Path) -> DataCheck:
        """Look at every file; see `check`."""
        ...


class Published:
    """What all data sets of the table share: the name of the card, and image paths relative to the data root."""

    card: DataCard

    @property
    def name(self) -> str:
        """The name in the table."""
        return self.card.name

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """The exchanges of one part; every set has its own."""
        raise NotImplementedError

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many there are of what the protocol's `counts` count. Raises: as `exchanges`."""
        return len(self.exchanges(root, split, protocol))

    def image_path(self, root: Path, image: str) -> Path:
        """The file behind `Exchange.image`. Raises: DataMissing."""
        return image_path(root, image)

    def check(self, root: Path) -> DataCheck:
        """Look at every file. Raises: DataMissing."""
        return check(root, self.name)


@dataclasses.dataclass(frozen=True)
class DataCheck:
    """What `check` found: paths relative to the root; `data_hash` covers the annotation files and every image that is there."""

    name: str
    files: int
    bytes: int
    missing: tuple[str, ...]
    corrupt: tuple[str, ...]
    counts: Mapping[str, int]
    documented: Mapping[str, int]
    data_hash: str

    @property
    def ok(self) -> bool:
        """True when nothing is missing or broken and every part has its documented size, where one is documented."""
        return not self.missing and not self.corrupt and all(self.counts.get(part) == number for part, number in self.documented.items())

    def to_json(self) -> dict[str, Any]:
        """A plain mapping for `json.dump`."""
        return {**dataclasses.asdict(self), "ok": self.ok}


def data_root(given: str | Path | None = None) -> Path:
    """The folder that holds the data sets.

    Args:
        given: the value of `--data`; None reads the environment variable `VESALIUS_DATA`.

    Raises:
        DataMissing: neither is set, or the folder does not exist.
    """
    chosen = str(given) if given is not None else os.environ.get(ENVIRONMENT, "")
    if not chosen.strip():
        raise DataMissing("no data root is set", remedy=f"give --data DIR or set {ENVIRONMENT}; 'vesalius data list' says what goes in and how to obtain it")
    path = Path(chosen).expanduser()
    if not path.is_dir():
        raise DataMissing(f"the data root {path} is not a folder", remedy=f"give --data DIR or set {ENVIRONMENT} to the folder that holds the data sets")
    return path


def dataset(name: str) -> Dataset:
    """The data set of that name.

    Raises:
        UnknownName: no table knows it; the message offers the nearest.
    """
    loaded: Dataset = TABLE.load(name)
    return loaded


def image_path(root: Path, image: str) -> Path:
    """The file behind `Exchange.image`, which is relative to the data root.

    Raises:
        DataMissing: there is no such file below the root, or the name points outside it.
    """
    path = root / image
    if not path.resolve().is_relative_to(root.resolve()):
        raise DataMissing(f"the image {image!r} lies outside the data root {root}", remedy="give a path relative to the data root")
    if not path.is_file():
        raise DataMissing(f"the image {image!r} is not below {root}", remedy="run 'vesalius data check ROOT' to see what is missing")
    return path


def folder(root: Path, card: DataCard) -> Path:
    """The folder of a data set.

    Raises:
        DataMissing: it is not there; the message says how to obtain it.
    """
    path = root / card.folder
    if not path.is_dir():
        raise DataMissing(f"the data set {card.name} is not at {path}", remedy=card.how_to_obtain)
    return path


def read_json(path: Path, card: DataCard) -> list[dict[str, Any]]:
    """A JSON file that holds a list of records.

    Raises:
        DataMissing: no such file. DataFormatError: not JSON, or not a list of records.
    """
    try:
        rows = json.loads(_text(path, card))
    except ValueError as error:
        raise DataFormatError(f"{path}: is not valid JSON ({error})", remedy=card.how_to_obtain) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataFormatError(f"{path}: does not hold a list of records", remedy=card.how_to_obtain)
    return rows


def read_csv(path: Path, card: DataCard, *, delimiter: str = ",", needs: Iterable[str] = ()) -> list[dict[str, str]]:
    """A table with a header line as one mapping a row.

    Raises:
        DataMissing: no such file. DataFormatError: a needed column is absent.
    """
    rows = list(csv.DictReader(_text(path, card).splitlines(), delimiter=delimiter))
    absent = [name for name in needs if not rows or name not in rows[0]]
    if absent:
        raise DataFormatError(f"{path}: has no column {absent[0]!r}", remedy=card.how_to_obtain)
    return rows


def _text(path: Path, card: DataCard) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy=card.how_to_obtain) from error
    except UnicodeDecodeError as error:
        raise DataFormatError(f"{path}: is not UTF-8 text", remedy=card.how_to_obtain) from error


def check(root: Path, name: str) -> DataCheck:
    """Look at every file of a data set: there, not empty, decodes as a picture; and count what it yields.

    Raises:
        DataMissing: the whole set is absent. UnknownName: no such set.
    """
    chosen = dataset(name)
    folder(root, chosen.card)
    annotations, images = chosen.files(root)
    pictures = set(images)
    present = [path for path in (*annotations, *images) if path.is_file()]
    missing = [path for path in (*annotations, *images) if not path.is_file()]
    corrupt = [path for path in present if path.stat().st_size == 0 or (path in pictures and not _decodes(path))]
    problems, counts = _count(chosen, root)
    return DataCheck(
        name=name,
        files=len(present),
        bytes=sum(path.stat().st_size for path in present),
        missing=tuple(str(path.relative_to(root)) for path in missing),
        corrupt=(*(str(path.relative_to(root)) for path in corrupt), *problems),
        counts=counts,
        documented=_documented(chosen.card),
        data_hash=provenance.hash_files(present, root=root),
    )


def _documented(card: DataCard) -> dict[str, int]:
    fixed = [protocol for protocol in card.protocols if protocol.counted != UNCOUNTED]
    images = {"images": card.images} if fixed else {}
    return {**images, **{f"{protocol.name} {split}": number for protocol in fixed for split, number in protocol.counts.items()}}


def _count(chosen: Dataset, root: Path) -> tuple[list[str], dict[str, int]]:
    counts: dict[str, int] = {}
    absent: list[str] = []
    try:
        counts["images"] = sum(path.is_file() for path in chosen.files(root)[1])
        for protocol in chosen.card.protocols:
            try:
                counts |= {f"{protocol.name} {split}": size(chosen, root, split, protocol.name) for split in protocol.counts}
            except DataMissing as error:
                if protocol.counted != UNCOUNTED:
                    raise
                absent.append(str(error))  # protocols that read files of their own: a copy may have some of them
    except UserError as error:
        return [str(error)], counts
    return absent if len(absent) == len(chosen.card.protocols) else [], counts


def size(chosen: Dataset, root: Path, split: Split, protocol: str | None = None) -> int:
    """`Published.size`, or the number of exchanges of a set that has no such method. Raises: as its `exchanges`."""
    return chosen.size(root, split, protocol) if isinstance(chosen, Published) else len(chosen.exchanges(root, split, protocol))


def _decodes(path: Path) -> bool:
    from PIL import Image as Picture  # only a check decodes; the tables above are read without Pillow

    try:
        with Picture.open(path) as picture:
            picture.load()
    except (OSError, SyntaxError, ValueError, Picture.DecompressionBombError):
        return False
    return True
