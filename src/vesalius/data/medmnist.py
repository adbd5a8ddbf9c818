"""MedMNIST: small square pictures with a class, in four of its sets: PneumoniaMNIST, ChestMNIST, BreastMNIST, OrganAMNIST.

In: `<name>.npz`, or `<name>_64.npz`, `_128`, `_224` (the largest that is there is read), as published, below `medmnist/<name>/`. Out: exchanges that ask for
the class, or for each finding. Pictures inside an archive have no path, so that the first use writes each to `images_<size>/`, as PNG; later uses read them.
Layout: github.com/MedMNIST/MedMNIST. Arrays are read picture by picture, and one that would have to be unpickled is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from vesalius.data import base, records
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing, UserError

SIZES = (224, 128, 64, 28)
_PARTS = MappingProxyType({Split.TRAIN: "train", Split.DEVELOPMENT: "val", Split.TEST: "test"})
_BIGGEST = 1_000_000  # pictures of one part; the largest published part has 165,466


@dataclasses.dataclass(frozen=True)
class Kind:
    """One set of the collection.

    Args:
        name: of the set and its files. title: as published. source: what it was made from. counts: pictures of train, val, test.
        labels: names of the classes, or of the findings. many: whether a picture may have several findings, each asked about.
        positive: the class whose presence is asked for, yes or no; None where the choice is among all.
        question: the words; "{}" stands for the finding.
    """

    name: str
    title: str
    source: str
    counts: tuple[int, int, int]
    labels: tuple[str, ...]
    question: str
    modality: str
    body_part: str
    many: bool = False
    positive: int | None = None


def _card(kind: Kind) -> base.DataCard:
    train, development, test = kind.counts
    return base.DataCard(
        name=kind.name,
        summary=f"{kind.title}: {sum(kind.counts):,} pictures of 28 to 224 pixels from {kind.source}",
        folder=f"medmnist/{kind.name}",
        licence="CC-BY-4.0",
        attribution=f"{kind.title} of MedMNIST v2 (Yang et al. 2023), doi:10.5281/zenodo.10519652, CC BY 4.0; from {kind.source}",
        train_allowed=True,
        states_modality=False,
        images=sum(kind.counts),
        protocols=(
            base.SplitProtocol(
                "official",
                "cluster",
                {Split.TRAIN: train, Split.DEVELOPMENT: development, Split.TEST: test},
                "the published parts; no patient is named, so that a cluster is a picture",
                counted="pictures",
            ),
        ),
        how_to_obtain=f"download {kind.name}.npz or {kind.name}_224.npz of zenodo.org/records/10519652 into ROOT/medmnist/{kind.name}/",
        citation="Yang et al., MedMNIST v2: a large-scale lightweight benchmark for 2D and 3D biomedical image classification, Sci Data 10:41, 2023",
        url="https://medmnist.com/",
        caveats=(
            "Not for clinical use, say its authors: at 28 pixels most findings cannot be seen, by a person or a model.",
            "Labels are those of the set that it was made from, whose limits it has.",
            "Patients are not named; whether one is in two parts cannot be told here. Counts are the published ones, not our own.",
        ),
    )


class MedMnist(base.Published):
    """One set of the collection; see its card."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.card = kind, _card(kind)

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """Questions of one part, in the order of the archive: one for each picture, or for each of its findings.

        Raises:
            DataMissing: the archive is absent, or pictures must be written out and cannot. DataFormatError: it does not hold this set.
            UnknownName: no such protocol.
        """
        self.card.protocol(protocol)
        split = Split(split)
        path = self._archive(root)
        labels = _labels(path, self.kind, split, records.stamp(path))
        if not _written(self._folder(path) / f".{_PARTS[split]}", path):
            self.unpack(root, split)
        folder = self._folder(path).relative_to(root).as_posix()
        return tuple(x for number, row in enumerate(labels) for x in self._questions(f"{folder}/{_name(split, number)}", number, row, split))

    def unpack(self, root: Path, split: Split) -> Path:
        """Write the pictures of one part as PNG; the folder. Every file is written whole or not at all. Raises: DataMissing, DataFormatError."""
        from PIL import Image as Picture

        path = self._archive(root)
        folder = self._folder(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number, pixels in enumerate(_pictures(path, self.card, split)):
                place = folder / _name(split, number)
                fresh = place.with_name(f".{place.name}.{os.getpid()}")
                Picture.fromarray(pixels).save(fresh, format="PNG")
                fresh.replace(place)
            (folder / f".{_PARTS[split]}").write_text(str(path.stat().st_size))
        except OSError as error:
            remedy = f"make ROOT/{self.card.folder}/ writable once and run 'vesalius data check ROOT {self.name}'; later uses only read"
            raise DataMissing(f"{folder}: cannot be written ({error.strerror}), and the pictures lie inside an archive", remedy=remedy) from error
        return folder

    def size(self, root: Path, split: Split, protocol: str | None = None) -> int:
        """How many pictures a part has. Raises: as `exchanges`."""
        self.exchanges(root, split, protocol)
        path = self._archive(root)
        return len(_labels(path, self.kind, Split(split), records.stamp(path)))

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The archive; its pictures, written out."""
        home = root / self.card.folder
        path = next((home / name for name in self._names() if (home / name).is_file()), home / self._names()[-1])
        try:
            return (path,), tuple(sorted({root / x.image for split in Split for x in self.exchanges(root, split)}))
        except UserError:  # the check goes on to say what is wrong with the archive
            return (path,), ()

    def _names(self) -> list[str]:
        return [f"{self.kind.name}{'' if size == 28 else f'_{size}'}.npz" for size in SIZES]

    def _archive(self, root: Path) -> Path:
        home = base.folder(root, self.card)
        path = next((home / name for name in self._names() if (home / name).is_file()), None)
        if path is None:
            raise DataMissing(f"{home / self._names()[-1]}: cannot be read (no such file, and none of another size)", remedy=self.card.how_to_obtain)
        return path

    def _folder(self, path: Path) -> Path:
        return path.with_name(f"images_{path.stem.partition('_')[2] or '28'}")

    def _questions(self, image: str, number: int, row: tuple[int, ...], split: Split) -> Iterator[Exchange]:
        kind, cluster = self.kind, f"{self.name}:{_PARTS[split]}:{number}"
        facts = {"modality": kind.modality, "body_part": kind.body_part}
        if kind.many:
            asked = [(label, Question(kind.question.format(label)), "yes" if held else "no") for label, held in zip(kind.labels, row, strict=True)]
        elif kind.positive is not None:
            asked = [(kind.labels[kind.positive], Question(kind.question), "yes" if row[0] == kind.positive else "no")]
        else:
            asked = [("class", Question(kind.question, options=kind.labels), kind.labels[row[0]])]
        for finding, question, gold in asked:
            yield Exchange(
                id=f"{cluster}:{finding}",
                image=image,
                question=question,
                gold=gold,
                closed=True,
                cluster=cluster,
                split=split,
                phrase="template",
                tags=MappingProxyType({**facts, "finding": finding}),
            )


def _written(mark: Path, archive: Path) -> bool:
    """Whether all pictures of a part have been written out of this archive, and not of another of its name."""
    return mark.is_file() and mark.read_text(errors="replace") == str(archive.stat().st_size)


def _name(split: Split, number: int) -> str:
    return f"{_PARTS[split]}_{number:06d}.png"


@functools.lru_cache(maxsize=6)
def _labels(path: Path, kind: Kind, split: Split, stamp: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], ...]:  # noqa: ARG001 - a changed file is a new key
    with _opened(path, _card(kind)) as archive:
        with archive.open(f"{_PARTS[split]}_images.npy") as stream:
            pictures = _header(stream)[0]
        with archive.open(f"{_PARTS[split]}_labels.npy") as stream:
            shape, dtype = _header(stream)
            if len(shape) != 2 or shape[0] != pictures[0] or shape[1] != (len(kind.labels) if kind.many else 1) or dtype.kind not in "iub":
                raise ValueError(f"labels of shape {shape} and kind {dtype} for pictures of shape {pictures}")
            values = np.frombuffer(_exactly(stream, shape[0] * shape[1] * dtype.itemsize), dtype).reshape(shape)
        highest = 1 if kind.many else len(kind.labels) - 1
        if values.size and not (values.min() >= 0 and values.max() <= highest):
            raise ValueError(f"labels from {values.min()} to {values.max()}, where 0 to {highest} have a meaning")
        return tuple(tuple(int(value) for value in row) for row in values)


def _pictures(path: Path, card: base.DataCard, split: Split) -> Iterator[NDArray[np.uint8]]:
    """Pictures of one part, one in memory at a time."""
    with _opened(path, card) as archive, archive.open(f"{_PARTS[split]}_images.npy") as stream:
        shape, dtype = _header(stream)
        if len(shape) not in (3, 4) or dtype != np.uint8 or shape[1] != shape[2] or shape[1] not in SIZES or shape[3:] not in ((), (3,)):
            raise ValueError(f"pictures of shape {shape} and kind {dtype}")
        for _ in range(shape[0]):
            yield np.frombuffer(_exactly(stream, int(np.prod(shape[1:]))), np.uint8).reshape(shape[1:])


@contextlib.contextmanager
def _opened(path: Path, card: base.DataCard) -> Iterator[zipfile.ZipFile]:
    with records.reading(path, card):
        try:
            with zipfile.ZipFile(path) as archive:
                yield archive
        except (zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: encrypted, or packed in a way that is not known
            raise ValueError(f"no whole archive: {error}") from error


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and kind of an array; the data follow."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ValueError(f"an array without a header that can be read ({error})") from error
    if dtype.hasobject:
        raise ValueError("it would have to be unpickled, which can run code")
    if fortran or not shape or shape[0] > _BIGGEST:
        raise ValueError(f"an array of shape {shape}{' in column order' if fortran else ''}")
    return shape, dtype


def _exactly(stream: IO[bytes], number: int) -> bytes:
    content = stream.read(number)
    if len(content) != number:
        raise ValueError("an array ends too early")
    return content


_CHEST_LABELS = (
    *("atelectasis", "cardiomegaly", "pleural effusion", "infiltration", "mass", "nodule", "pneumonia"),
    *("pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural thickening", "hernia"),
)
_ORGANS = ("bladder", "left femur", "right femur", "heart", "left kidney", "right kidney", "liver", "left lung", "right lung", "pancreas", "spleen")

PNEUMONIA = MedMnist(
    Kind(
        name="pneumoniamnist",
        title="PneumoniaMNIST",
        source="5,856 chest films of children (Kermany et al. 2018)",
        counts=(4708, 524, 624),
        labels=("normal", "pneumonia"),
        question="Is there evidence of pneumonia?",
        modality="DX",
        body_part="CHEST",
        positive=1,
    )
)
CHEST = MedMnist(
    Kind(
        name="chestmnist",
        title="ChestMNIST",
        source="NIH ChestX-ray14, its 14 labels mined from reports",
        counts=(78_468, 11_219, 22_433),
        labels=_CHEST_LABELS,
        question="Is there evidence of {}?",
        modality="DX",
        body_part="CHEST",
        many=True,
    )
)
BREAST = MedMnist(
    Kind(
        name="breastmnist",
        title="BreastMNIST",
        source="780 ultrasound pictures of the breast (Al-Dhabyani et al. 2020)",
        counts=(546, 78, 156),
        labels=("malignant", "normal or benign"),
        question="Is a malignant lesion shown?",
        modality="US",
        body_part="BREAST",
        positive=0,
    )
)
ORGAN_A = MedMnist(
    Kind(
        name="organamnist",
        title="OrganAMNIST",
        source="axial CT of the Liver Tumor Segmentation Benchmark, cut around organs",
        counts=(34_561, 6491, 17_778),
        labels=_ORGANS,
        question="Which organ is in the centre of this CT slice?",
        modality="CT",
        body_part="ABDOMEN",
    )
)
