"""The Indiana University chest X-ray reports: 3,955 reports with a MeSH index made by people; their films are not part of it.

In: `NLMCXR_reports.tgz`, as published, below `iu_reports/`. Out: `Report`s and, from the index, which of 28 findings each states.
The licence (CC BY-NC-ND 4.0) lets the texts be read and measured on, not changed and not passed on: nothing is trained on them and none of them is written out.
"""

from __future__ import annotations

import dataclasses
import functools
import tarfile
import xml.etree.ElementTree as ElementTree
import zlib
from pathlib import Path

from vesalius.data import base, splits
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import DataMissing
from vesalius.metrics.label_words import CHEXPERT, FINDINGS, NO_FINDING, SUPPORT_DEVICES

_SALT = "iu-reports"
_ARCHIVE = "NLMCXR_reports.tgz"
_HOW = "download NLMCXR_reports.tgz from openi.nlm.nih.gov/faq (CC BY-NC-ND 4.0) and put it, unopened, into ROOT/iu_reports/"
_LARGEST = 1_000_000  # bytes of one report; the longest published one has 15,000
_UNINDEXED = "No Indexing"

CARD = base.DataCard(
    name="iu-reports",
    summary="3,955 chest X-ray reports of Indiana University with a MeSH index by people; no films, so nothing here asks about a picture",
    folder="iu_reports",
    licence="CC-BY-NC-ND-4.0",
    attribution="Indiana University Chest X-ray Collection (Demner-Fushman et al. 2016), CC BY-NC-ND 4.0",
    train_allowed=False,
    images=0,
    protocols=(
        base.SplitProtocol(
            "by_report",
            "cluster",
            {Split.TRAIN: 0, Split.DEVELOPMENT: 0, Split.TEST: 0},
            "no questions about pictures; the reports themselves lie in two halves by hash: 1,964 for rules, 1,991 for figures",
        ),
    ),
    how_to_obtain=_HOW,
    citation="Demner-Fushman et al., Preparing a collection of radiology examinations for distribution and retrieval, JAMIA 2016, doi:10.1093/jamia/ocv080",
    url="https://openi.nlm.nih.gov/faq",
    caveats=(
        "No film is part of this copy: a report cannot be checked against what it describes.",
        "Names and dates, and some harmless words, are replaced by XXXX.",
        "The index names what is present, also what is only likely; it never says what is absent or in doubt.",
        "The index was made from the text, by two people for each report; 95 reports are marked as not indexed.",
    ),
)

# First heading of an index term -> findings, whatever qualifies it.
_HEADINGS: dict[str, tuple[str, ...]] = {
    "cardiomegaly": ("cardiomegaly",),
    "airspace disease": ("lung_opacity",),
    "infiltrate": ("lung_opacity", "infiltration"),
    "opacity": ("lung_opacity",),
    "cicatrix": ("scarring",),
    "blister": ("emphysema",),
    "nodule": ("lung_lesion", "nodule"),
    "mass": ("lung_lesion", "mass"),
    "cavitation": ("lung_lesion",),
    "pulmonary edema": ("edema",),
    "pulmonary congestion": ("edema",),
    "heart failure": ("edema",),
    "consolidation": ("consolidation",),
    "pneumonia": ("pneumonia",),
    "pulmonary atelectasis": ("atelectasis",),
    "pneumothorax": ("pneumothorax",),
    "hydropneumothorax": ("pneumothorax", "pleural_effusion"),
    "hemopneumothorax": ("pneumothorax", "pleural_effusion"),
    "hemothorax": ("pleural_effusion",),
    "pleural effusion": ("pleural_effusion",),
    "fractures, bone": ("fracture",),
    "emphysema": ("emphysema",),
    "pulmonary emphysema": ("emphysema",),
    "bullous emphysema": ("emphysema",),
    "pulmonary disease, chronic obstructive": ("emphysema",),
    "pulmonary fibrosis": ("fibrosis",),
    "fibrosis": ("fibrosis",),
    "lung diseases, interstitial": ("fibrosis", "lung_opacity"),
    "hernia, hiatal": ("hernia",),
    "hernia, diaphragmatic": ("hernia",),
    "granuloma": ("granuloma",),
    "calcified granuloma": ("granuloma",),
    "granulomatous disease": ("granuloma",),
    "atherosclerosis": ("aortic_abnormality",),
    "aortic aneurysm": ("aortic_abnormality",),
    "osteophyte": ("spine_degeneration",),
    "spondylosis": ("spine_degeneration",),
    "hyperostosis, diffuse idiopathic skeletal": ("spine_degeneration",),
    "scoliosis": ("spinal_curvature",),
    "kyphosis": ("spinal_curvature",),
    **dict.fromkeys(
        ("catheters, indwelling", "implanted medical device", "tube, inserted", "medical device", "stents", "surgical instruments", "sutures", "spinal fusion"),
        (SUPPORT_DEVICES,),
    ),
}
# (first heading, qualifiers of which one must be there) -> findings.
_QUALIFIED: tuple[tuple[frozenset[str], frozenset[str], tuple[str, ...]], ...] = (
    (frozenset({"cardiac shadow", "heart"}), frozenset({"enlarged"}), ("cardiomegaly",)),
    (frozenset({"heart atria", "heart ventricles"}), frozenset({"enlarged", "prominent"}), ("cardiomegaly",)),
    (frozenset({"mediastinum"}), frozenset({"prominent", "enlarged"}), ("enlarged_cardiomediastinum",)),
    (frozenset({"density"}), frozenset({"base", "hilum", "patchy", "streaky", "interstitial", "diffuse", "scattered"}), ("lung_opacity",)),
    (frozenset({"opacity", "density"}), frozenset({"round"}), ("lung_lesion", "nodule")),  # the indexers' word for nodular
    (frozenset({"thickening"}), frozenset({"interstitial"}), ("lung_opacity",)),
    (frozenset({"markings"}), frozenset({"interstitial", "reticular"}), ("lung_opacity",)),
    (frozenset({"thickening", "cicatrix", "calcinosis"}), frozenset({"pleura", "pleural sinus"}), ("pleural_other",)),
    (frozenset({"thickening"}), frozenset({"pleura"}), ("pleural_thickening",)),
    (frozenset({"aorta", "aorta, thoracic"}), frozenset({"tortuous", "enlarged", "prominent", "ectatic"}), ("aortic_abnormality",)),
    (frozenset({"calcinosis"}), frozenset({"aorta", "aorta, thoracic"}), ("aortic_abnormality",)),
    (
        frozenset({"thoracic vertebrae", "spine", "lumbar vertebrae", "cervical vertebrae", "arthritis", "sclerosis"}),
        frozenset({"degenerative", "spine", "thoracic vertebrae"}),
        ("spine_degeneration",),
    ),
    (frozenset({"lung"}), frozenset({"hyperdistention"}), ("hyperinflation",)),
    (frozenset({"lung"}), frozenset({"hypoinflation"}), ("low_lung_volumes",)),
)


@dataclasses.dataclass(frozen=True)
class Report:
    """One report.

    Args:
        findings, impression, indication: the text of each section; empty where there is none.
        index: its MeSH terms as written, "Opacity/lung/base/left", in order.
    """

    id: str
    findings: str
    impression: str
    indication: str
    index: tuple[str, ...]
    split: Split

    @property
    def text(self) -> str:
        """The report under headings, as `metrics.labels` reads it."""
        parts = (("INDICATION", self.indication), ("FINDINGS", self.findings), ("IMPRESSION", self.impression))
        return "\n\n".join(f"{name}: {body}" for name, body in parts if body)

    @property
    def stated(self) -> frozenset[str] | None:
        """Findings of `FINDINGS` that the index states; None when the report was not indexed or holds no text to be read."""
        if not (self.findings or self.impression) or not self.index or _UNINDEXED in self.index:
            return None
        return stated(self.index)


def stated(index: tuple[str, ...]) -> frozenset[str]:
    """The findings that index terms state; `no_finding` when none of CheXpert's twelve abnormalities is among them."""
    found: set[str] = set()
    for term in index:
        heading, *qualifiers = (part.strip().lower() for part in term.split("/"))
        found.update(_HEADINGS.get(heading, ()))
        for headings, needed, names in _QUALIFIED:
            if heading in headings and needed & set(qualifiers):
                found.update(names)
    if not found & set(CHEXPERT) - {SUPPORT_DEVICES}:
        found.add(NO_FINDING)
    return frozenset(name for name in FINDINGS if name in found)


class IndianaReports(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:  # noqa: ARG002 - no part has any
        """None: there are no films to ask about. The reports are read all the same, so that a damaged copy is noticed.

        Raises:
            DataMissing: the archive is absent. DataFormatError: it does not hold this set. UnknownName: no such protocol.
        """
        CARD.protocol(protocol)
        self.reports(root)
        return ()

    def reports(self, root: Path) -> tuple[Report, ...]:
        """All reports in the order of their numbers.

        Raises:
            DataMissing, DataFormatError: as `exchanges`.
        """
        path = base.folder(root, CARD) / _ARCHIVE
        return _reports(path, path.stat().st_mtime_ns if path.is_file() else 0)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The archive; no images."""
        return (root / CARD.folder / _ARCHIVE,), ()


@functools.lru_cache(maxsize=2)
def _reports(path: Path, stamp: int) -> tuple[Report, ...]:  # noqa: ARG001 - a changed file is a new key
    try:
        with tarfile.open(path, "r:gz") as archive:
            found = [_read(archive, member) for member in archive if member.isfile() and member.name.endswith(".xml")]
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise DataMissing(f"{path}: cannot be read ({error.strerror})", remedy=_HOW) from error
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise base.DataFormatError(f"{path}: is no whole archive ({error})", remedy=_HOW) from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise base.DataFormatError(f"{path}: does not hold this set ({type(error).__name__}: {error})", remedy=_HOW) from error
    if not found:
        raise base.DataFormatError(f"{path}: holds no report", remedy=_HOW)
    return tuple(sorted(found, key=lambda report: (len(report.id), report.id)))


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Report:
    stream = archive.extractfile(member)
    if stream is None or member.size > _LARGEST:
        raise ValueError(f"{member.name} has {member.size} bytes")
    content = stream.read()
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:  # a report defines nothing; what does may be made to swell
        raise ValueError(f"{member.name} defines entities")
    tree = ElementTree.fromstring(content)
    parts = {str(part.get("Label")).upper(): " ".join("".join(part.itertext()).split()) for part in tree.iter("AbstractText")}
    if not parts:
        raise ValueError(f"{member.name} has no sections")
    name = f"{CARD.name}:{Path(member.name).stem}"
    return Report(
        id=name,
        findings=parts.get("FINDINGS", ""),
        impression=parts.get("IMPRESSION", ""),
        indication=parts.get("INDICATION", ""),
        index=tuple((term.text or "").strip() for mesh in tree.iter("MeSH") for term in mesh.iter("major")),
        split=splits.part(name, development=0.5, test=0.5, salt=_SALT),
    )


DATASET = IndianaReports()
