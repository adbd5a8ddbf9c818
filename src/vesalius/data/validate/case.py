"""What is checked: a `Case`, of which any part may be missing, and `Facts`, each of which is a value or None.

In: header, image, report, labels, and what else is known. Out: facts that the rules ask for by name; one that is None was not known, and the rule does not run.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vesalius.data.validate import text, words
from vesalius.data.validate.remark import Hit
from vesalius.domain.finding import Certainty, Finding
from vesalius.domain.study import Image, Laterality, Sex
from vesalius.formats import header as asked
from vesalius.metrics.label_words import FINDINGS
from vesalius.registry import unknown

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ALSO = {"effusion": "pleural_effusion", "infiltrate": "infiltration", "airspace_opacity": "lung_opacity", "pulmonary_edema": "edema", "normal": "no_finding"}
_DESCRIPTIONS = ("SeriesDescription", "StudyDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription", "RequestedProcedureDescription")
_NO_PRIOR = re.compile(
    r"^\W*(?:none|no(?:ne)? (?:\w+ ){0,3}(?:available|comparisons?|priors?|studies|films?)|no comparison\w*|not available|n/?a)\b", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One image, one report, or one image with its report; every part may be missing.

    Args:
        id: what remarks call it.
        header: a parsed DICOM dataset, with pixel data when its length is to be checked.
        labels: finding -> certainty; UNMENTIONED says that the labels lack it, a finding that is not a key is not judged. Names as in `metrics.label_words`,
            CheXpert or NIH.
        findings: findings with boxes on the image.
        prior: True: an earlier study is known; False: there is none; None: unknown.
        views: the views of all images of the study, when all are known; images: how many there are.
        trouble: why a file or a row could not be read; it becomes a remark.
        modality, body_part, view, laterality, sex, age_years, study_date: stand before what header and image say.

    Raises:
        UnknownName: a label that no list has.
    """

    id: str
    header: Dataset | None = None
    image: Image | None = None
    report: str | None = None
    labels: Mapping[str, Certainty] | None = None
    findings: tuple[Finding, ...] = ()
    prior: bool | None = None
    views: tuple[str, ...] | None = None
    images: int | None = None
    modality: str | None = None
    body_part: str | None = None
    view: str | None = None
    laterality: Laterality | None = None
    sex: Sex | None = None
    age_years: float | None = None
    study_date: datetime.date | None = None
    trouble: Hit | None = None

    def __post_init__(self) -> None:
        if self.labels is not None:
            object.__setattr__(self, "labels", MappingProxyType({finding_name(name): value for name, value in self.labels.items()}))


def finding_name(name: str) -> str:
    """The name in `FINDINGS` of a CheXpert or NIH label.

    Raises:
        UnknownName: none of them.
    """
    plain = re.sub(r"[^a-z]+", "_", name.strip().lower()).strip("_")
    plain = _ALSO.get(plain, plain)
    if plain not in FINDINGS:
        raise unknown("finding", name[:80], list(FINDINGS))
    return plain


class Facts:
    """The facts of a case; None is unknown.

    Args:
        case: what is checked. today: no date may lie after it.
    """

    def __init__(self, case: Case, today: datetime.date) -> None:
        self.case, self.today = case, today

    @property
    def header(self) -> Dataset | None:
        """The DICOM header."""
        return self.case.header

    @property
    def image(self) -> Image | None:
        """The image."""
        return self.case.image

    @property
    def labels(self) -> Mapping[str, Certainty] | None:
        """Labels under their names of `FINDINGS`."""
        return self.case.labels

    @functools.cached_property
    def report(self) -> text.Text | None:
        """The report, cut; None when there is none."""
        return None if self.case.report is None else text.cut(self.case.report)

    def stated(self, keyword: str) -> str | None:
        """A header's text of one line, or None."""
        return None if self.case.header is None else asked.text(self.case.header, keyword)

    @functools.cached_property
    def header_modality(self) -> str | None:
        """The header's modality as checks know it."""
        return words.modality(self.stated("Modality"))

    @functools.cached_property
    def modality(self) -> str | None:
        """CT, MR, US, PT, MG or CR for all projection X-rays."""
        image = self.case.image
        return words.modality(self.case.modality) or (words.modality(image.modality) if image else None) or self.header_modality

    @functools.cached_property
    def view(self) -> str | None:
        """PA, AP or LAT of the image."""
        image = self.case.image
        return words.view(self.case.view) or words.view(image.view if image else None) or words.view(self.stated("ViewPosition"))

    @functools.cached_property
    def views(self) -> frozenset[str] | None:
        """Views of all images of the study; None unless each is one of the three."""
        if not self.case.views:
            return None
        found = [words.view(v) for v in self.case.views]
        return None if None in found else frozenset(v for v in found if v)

    @functools.cached_property
    def images(self) -> int | None:
        """How many images the study has."""
        return self.case.images if self.case.images is not None else (len(self.case.views) if self.case.views else None)

    @functools.cached_property
    def side(self) -> str | None:
        """Left or right of a one-sided body part."""
        image = self.case.image
        stated = self.case.laterality or (image.laterality if image else None) or self.stated("ImageLaterality") or self.stated("Laterality")
        return {"L": words.LEFT, "R": words.RIGHT}.get(str(stated or ""))

    @functools.cached_property
    def descriptions(self) -> tuple[tuple[str, str], ...] | None:
        """(keyword, text) of the descriptions that the header has."""
        found = tuple((keyword, said.replace("_", " ")) for keyword in _DESCRIPTIONS if (said := self.stated(keyword)))
        return found or None

    @functools.cached_property
    def body(self) -> frozenset[str] | None:
        """Regions of the body part."""
        image = self.case.image
        stated = self.case.body_part or (image.body_part if image else None) or self.stated("BodyPartExamined")
        return frozenset(words.regions(stated)) or None if stated else None

    @functools.cached_property
    def no_prior(self) -> str | None:
        """Who says that there is no earlier study, "case" or "report"; None when there may be one."""
        if self.case.prior is not None:
            return None if self.case.prior else "case"
        said = self.report.body("comparison") if self.report else None
        return "report" if said and _NO_PRIOR.match(said) and len(said) < 60 else None

    @functools.cached_property
    def sex(self) -> Sex | None:
        """Female or male by case or header."""
        stated = self.case.sex or self.stated("PatientSex")
        return Sex(stated) if stated in (Sex.FEMALE, Sex.MALE) else None

    @functools.cached_property
    def study_date(self) -> datetime.date | None:
        """The day of the study."""
        return self.case.study_date or self.date("StudyDate")

    @functools.cached_property
    def age(self) -> float | None:
        """Years at the study."""
        from vesalius.formats.patient import read_age

        if self.case.age_years is not None or self.case.header is None:
            return self.case.age_years
        return read_age(self.case.header)

    def date(self, keyword: str) -> datetime.date | None:
        """A date of the header; None when absent or none."""
        match = re.fullmatch(r"(\d{4})[.\-]?(\d{2})[.\-]?(\d{2})", self.stated(keyword) or "")
        try:
            return datetime.date(int(match[1]), int(match[2]), int(match[3])) if match else None
        except ValueError:
            return None

    @functools.cached_property
    def boxes(self) -> tuple[Finding, ...] | None:
        """Findings with boxes."""
        return tuple(f for f in self.case.findings if f.regions) or None

    @functools.cached_property
    def grey(self) -> NDArray[Any] | None:
        """The middle frame as an eye would see it, 0..255; colour by its luma. None without an image or when it cannot be rendered."""
        from vesalius.formats.pixels import render

        image = self.case.image
        if image is None:
            return None
        shown = render(image, image.frames // 2)
        return shown if shown.ndim == 2 else np.rint(shown @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
