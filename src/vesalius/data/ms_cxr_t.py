"""MS-CXR-T: what became of five findings between two films of one patient, on films of MIMIC-CXR-JPG. Credentialed: never downloaded here.

In: `MS_CXR_T_temporal_image_classification_v1.0.0.csv` in `ms_cxr_t/`, films below `mimic_cxr_jpg/files/`. Out: `Progression`s, and one exchange for each,
about the later film (the earlier one is `tags["prior"]`). The pairs of sentences that the set also holds are not read.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius.data import base
from vesalius.data.ms_cxr import FILMS
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

TABLE = "MS_CXR_T_temporal_image_classification_v1.0.0.csv"
FINDINGS: Mapping[str, str] = MappingProxyType(
    {
        "consolidation": "consolidation",
        "edema": "pulmonary edema",
        "pleural_effusion": "pleural effusion",
        "pneumonia": "pneumonia",
        "pneumothorax": "pneumothorax",
    }
)
CHANGES = ("improving", "stable", "worsening")
_HOW = (
    f"become a credentialed user of physionet.org, sign the agreement of MS-CXR-T, and put {TABLE} into ROOT/ms_cxr_t/ and the films of MIMIC-CXR-JPG 2.0.0 "
    "that it names into ROOT/mimic_cxr_jpg/files/"
)

CARD = base.DataCard(
    name="ms-cxr-t",
    summary="1,326 labels of change (improving, stable, worsening) of 5 findings between two chest films of MIMIC-CXR; credentialed",
    folder="ms_cxr_t",
    licence="PhysioNet Credentialed Health Data License 1.5.0: only for those who signed it, and not to be passed on",
    attribution="MS-CXR-T 1.0.0 (Bannur et al. 2023), PhysioNet, on films of MIMIC-CXR-JPG",
    train_allowed=False,
    images=2090,
    protocols=(
        base.SplitProtocol(
            "all",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 1326},
            "everything is for testing; a question about two films, of which the exchange names the later one",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Bannur et al., Learning to exploit temporal structure for biomedical vision-language processing, CVPR 2023, arXiv 2301.04558",
    url="https://physionet.org/content/ms-cxr-t/1.0.0/",
    caveats=(
        "The number of labels is the published one; that of images is two for each of the table's 1,045 pairs, an upper bound. Neither was measured here.",
        "A model that sees one film at a time cannot answer its questions.",
        "Models whose training used MIMIC-CXR may have seen these films and what their reports say of change.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Progression:
    """What became of a finding.

    Args:
        prior, current: films, relative to the data root. patient: key of the patient.
        finding: a key of `FINDINGS`. change: one of `CHANGES`. quality: how the label came about, in the set's words; None when it does not say.
    """

    prior: str
    current: str
    patient: str
    finding: str
    change: str
    quality: str | None = None


class MsCxrT(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One question on change for each label.

        Raises:
            DataMissing: files are absent. DataFormatError: the table does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        return tuple(_exchange(each) for each in self.progressions(root) if split == Split.TEST)

    def progressions(self, root: Path) -> tuple[Progression, ...]:
        """All labels, in the order of the table.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        path = base.folder(root, CARD) / TABLE
        return _progressions(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The table; the films that it names."""
        home = root / CARD.folder
        try:
            named = {root / image for each in self.progressions(root) for image in (each.prior, each.current)}
        except UserError:  # the check goes on to say what is wrong with the table
            named = set()
        return (home / TABLE,), tuple(sorted(named))


@functools.lru_cache(maxsize=2)
def _progressions(path: Path, stamp: int) -> tuple[Progression, ...]:  # noqa: ARG001 - a changed file is a new key
    needs = ("dicom_id", "previous_dicom_id", "subject_id", *(f"{name}_progression" for name in FINDINGS))
    rows = base.read_csv(path, CARD, needs=needs)
    try:
        return tuple(found for row in rows for found in _of_row(row))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise base.DataFormatError(f"{path}: does not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error


def _of_row(row: Mapping[str, str]) -> list[Progression]:
    prior, current = _film(row["previous_dicom_id"]), _film(row["dicom_id"])
    found = []
    for name in FINDINGS:
        change = row[f"{name}_progression"].strip().lower()
        if not change or change == "nan":
            continue
        if change not in CHANGES:
            raise ValueError(f"{change!r} is no change")
        quality = (row.get(f"{name}_label_quality") or "").strip() or None
        found.append(Progression(prior, current, f"mimic-cxr:p{int(row['subject_id'])}", name, change, quality))
    return found


def _film(name: str) -> str:
    """A path like p10/p10002428/s55758034/<film>, to which the folder and the ending are added."""
    if name.count("/") != 3:
        raise ValueError(f"{name!r} is no path of a film")
    return f"{FILMS}/files/{name}.jpg"


def change_question(phrase: str) -> str:
    """The words in which change is asked for."""
    return f"Compared with the earlier film, is the {phrase} improving, stable or worsening?"


def _exchange(each: Progression) -> Exchange:
    stems = f"{Path(each.prior).stem}:{Path(each.current).stem}"
    facts = {"modality": "DX", "body_part": "CHEST", "finding": each.finding, "prior": each.prior}
    return Exchange(
        id=f"ms-cxr-t:{stems}:{each.finding}",
        image=each.current,
        question=Question(change_question(FINDINGS[each.finding]), options=CHANGES),
        gold=each.change,
        closed=True,
        cluster=each.patient,
        split=Split.TEST,
        phrase="template",
        tags=MappingProxyType({**facts, "quality": each.quality} if each.quality else facts),
    )


DATASET = MsCxrT()
