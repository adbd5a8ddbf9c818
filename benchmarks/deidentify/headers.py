"""Identifiers in standard attributes, nested items, private attributes, meta information and bytes; and the attributes that research needs.

In: a `File` and who it is of. Out: the file, with items noted.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from deidentify import planted
from deidentify.items import File, way
from deidentify.people import Person, Teller, family, serial


class Planter:
    """Plants into one file."""

    def __init__(self, file: File, who: Person, day: datetime.date, rng: random.Random, accession: str) -> None:
        self.file, self.ds, self.who, self.day, self.rng = file, file.dataset, who, day, rng
        self.accession, self.teller = accession, Teller(rng, who, day, accession)

    def some(self, of: tuple[str, ...] | list[str], least: int, most: int) -> list[str]:
        return self.rng.sample(list(of), min(len(of), self.rng.randint(least, most)))

    def research(self) -> None:
        """What must stay: set where the base file has none."""
        modality = str(self.ds.get("Modality", ""))
        for kinds, values in planted.RESEARCH.items():
            if modality in kinds.split():
                for keyword, value in values.items():
                    if not self.ds.get(keyword):
                        setattr(self.ds, keyword, value)
        self.ds.Manufacturer = self.ds.get("Manufacturer") or "ACME Imaging"
        self.file.keep("acquisition", *planted.ACQUISITION)
        self.file.keep("geometry and display", *planted.GEOMETRY)
        for creator, group, element, vr, value in planted.SAFE.get(modality, ()):
            if self.rng.random() < 0.5:
                block = self.ds.private_block(group, creator, create=True)
                block.add_new(element, vr, value)
                path = (f"{block.get_tag(element):08X}",)
                self.file.note("safe private attributes", "kept", path, [str(v) for v in value] if isinstance(value, list) else str(value), creator=creator)

    def patient(self, years: int) -> None:
        ds, who, file = self.ds, self.who, self.file
        ds.PatientName, ds.PatientID = who.name, who.number
        for keyword, true in (("PatientName", [who.family, who.given]), ("PatientID", [who.number])):
            file.note("names and numbers", "gone", way(keyword), true)
        file.note("patients linked", "same", way("PatientID"), who.number)
        ds.PatientSex, ds.PatientAge = who.sex, f"{years:03d}Y"
        ds.PatientSize, ds.PatientWeight, ds.SmokingStatus = (
            f"{1.5 + self.rng.random() * 0.4:.2f}",
            str(self.rng.randrange(48, 110)),
            self.rng.choice(("YES", "NO", "UNKNOWN")),
        )
        file.keep("patient characteristics", "PatientSex", "PatientSize", "PatientWeight", "SmokingStatus")
        if years > 90:
            file.note("names and numbers", "gone", way("PatientAge"), [f"{years:03d}Y"])
        elif years < 90:
            file.keep("patient characteristics", "PatientAge")
        file.put("dates", "PatientBirthDate", who.born.strftime("%Y%m%d"))

    def standard(self) -> None:
        who, rng, file = self.who, self.rng, self.file
        file.put("names and numbers", "AccessionNumber", self.accession)
        file.put("names and numbers", "OtherPatientIDs", f"X{who.number}", [who.number])
        maiden = family(rng)
        file.put("names and numbers", "PatientBirthName", f"{maiden}^{who.given}", [maiden, who.given])
        mother = family(rng)
        file.put("names and numbers", "PatientMotherBirthName", mother)
        for keyword in self.some(planted.NUMBERS, 2, 4):
            file.put("names and numbers", keyword, serial(rng))
        for keyword in self.some(planted.STAFF, 3, 5):
            last = family(rng)
            file.put("staff and institution", keyword, f"{last}^Robin", [last])
        file.put("staff and institution", "InstitutionName", f"{who.hospital} {who.hospital_kind}", [who.hospital])
        file.put("staff and institution", "InstitutionalDepartmentName", f"{who.hospital} Radiology", [who.hospital])
        file.put("staff and institution", "InstitutionAddress", f"{rng.randrange(1, 99)} {who.hospital} Way, {who.town}", [who.hospital, who.town])
        file.put("addresses and phones", "PatientAddress", f"{who.street}, {who.town}", [who.street, who.town])
        file.put("addresses and phones", "PatientTelephoneNumbers", who.phone)
        file.put("addresses and phones", "ReferringPhysicianTelephoneNumbers", f"{rng.randrange(201, 989)}-555-{rng.randrange(1000, 9999)}")
        file.put("addresses and phones", "RegionOfResidence", who.town)
        for keyword in self.some(planted.DEVICES, 2, 4):
            file.put("devices", keyword, serial(rng))

    def dates(self) -> None:
        for keyword in {"StudyDate", "ContentDate", *self.some(planted.DATES, 2, 5)}:
            day = self.day if keyword != "AdmittingDate" else self.day - datetime.timedelta(days=self.rng.randrange(1, 30))
            self._date((), self.ds, keyword, day.strftime("%Y%m%d"))
        for keyword in self.some(planted.TIMED, 1, 2):
            self._date((), self.ds, keyword, self.day.strftime("%Y%m%d") + f"{self.rng.randrange(24):02d}{self.rng.randrange(60):02d}11.5")

    def _date(self, above: tuple[object, ...], ds: Dataset, keyword: str, value: str) -> None:
        setattr(ds, keyword, value)
        path = (*above, *way(keyword))
        self.file.note("dates", "gone", path, [value[:8]])
        self.file.note("intervals between dates", "moved", path, value[:8])

    def texts(self) -> None:
        for keyword in self.some(list(planted.LABELS), 4, 7):
            self._tell("descriptions and comments", (), self.ds, keyword, self.rng.choice(planted.LABELS[keyword]))
        for keyword in self.some(list(planted.OUTSIDE), 0, 1):
            self._tell("texts the standard's table does not name", (), self.ds, keyword, self.rng.choice(planted.OUTSIDE[keyword]))

    def _tell(self, category: str, above: tuple[object, ...], ds: Dataset, keyword: str, template: str) -> None:
        told = self.teller.tell(template)
        setattr(ds, keyword, told.text[: 64 if keyword not in ("PatientComments", "ImageComments", "AdditionalPatientHistory") else None])
        path = (*above, *way(keyword))
        shown = str(ds[keyword].value)
        self.file.note(category, "gone", path, [word for word in told.secret if word.casefold() in shown.casefold()])
        if told.kept:
            self.file.note("words of descriptions", "kept", path, list(told.kept), words=True)

    def nested(self) -> None:
        for plant in self.rng.sample((self._request, self._original, self._other_ids, self._physician, self._references, self._deep, self._unnamed), 4):
            plant()

    def _named(self, ds: Dataset, above: tuple[object, ...], keyword: str, value: str, words: list[str]) -> None:
        setattr(ds, keyword, value)
        self.file.note("nested items", "gone", (*above, *way(keyword)), words)

    def _request(self) -> None:
        item, above = Dataset(), way("RequestAttributesSequence", 0)
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = self.rng.choice(planted.CODES)
        item.RequestedProcedureCodeSequence = Sequence([code])
        self._named(item, above, "RequestedProcedureID", number := serial(self.rng), [number])
        self._tell("nested items", above, item, "RequestedProcedureDescription", "{chest} for Dr. <other>, MRN <mrn>")
        self.ds.RequestAttributesSequence = Sequence([item])

    def _original(self) -> None:
        inner, item = Dataset(), Dataset()
        above = way("OriginalAttributesSequence", 0, "ModifiedAttributesSequence", 0)
        self._named(inner, above, "PatientName", self.who.name, [self.who.family, self.who.given])
        self._named(inner, above, "PatientID", self.who.number, [self.who.number])
        item.ModifiedAttributesSequence = Sequence([inner])
        item.ModifyingSystem, item.ReasonForTheAttributeModification = "PACS", "COERCE"
        item.AttributeModificationDateTime = self.day.strftime("%Y%m%d1200")
        self.file.note("dates", "gone", way("OriginalAttributesSequence", 0, "AttributeModificationDateTime"), [self.day.strftime("%Y%m%d")])
        self.ds.OriginalAttributesSequence = Sequence([item])

    def _other_ids(self) -> None:
        item, above = Dataset(), way("OtherPatientIDsSequence", 0)
        self._named(item, above, "PatientID", number := serial(self.rng), [number])
        self._named(item, above, "IssuerOfPatientID", self.who.hospital, [self.who.hospital])
        self.ds.OtherPatientIDsSequence = Sequence([item])

    def _physician(self) -> None:
        item, code, above = Dataset(), Dataset(), way("ReferringPhysicianIdentificationSequence", 0)
        last = family(self.rng)
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = serial(self.rng), "99STAFF", f"{last}, Robin"
        item.PersonIdentificationCodeSequence = Sequence([code])
        self._named(item, above, "InstitutionName", self.who.hospital, [self.who.hospital])
        self.file.note("nested items", "gone", (*above, *way("PersonIdentificationCodeSequence", 0, "CodeMeaning")), [last])
        self.ds.ReferringPhysicianIdentificationSequence = Sequence([item])

    def _references(self) -> None:
        item, above = Dataset(), way("ReferencedStudySequence", 0)
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", f"1.2.826.0.1.77.{self.rng.randrange(10**12)}"
        self._named(item, above, "StudyDescription", f"CHEST {self.who.family}", [self.who.family])
        self.file.note("UIDs", "new", (*above, *way("ReferencedSOPInstanceUID")), str(item.ReferencedSOPInstanceUID))
        self.ds.ReferencedStudySequence = Sequence([item])

    def _deep(self) -> None:
        """Five levels down, in sequences of which the table names none."""
        steps = ("SourceImageSequence", "PurposeOfReferenceCodeSequence", "EquivalentCodeSequence", "ReferencedImageSequence", "ReferencedStudySequence")
        item = Dataset()
        above = way(*(part for step in steps for part in (step, 0)))
        self._named(item, above, "PatientName", self.who.name, [self.who.family, self.who.given])
        self._named(item, above, "InstitutionName", self.who.hospital, [self.who.hospital])
        for step in reversed(steps):
            outer = Dataset()
            setattr(outer, step, Sequence([item]))
            item = outer
        self.ds.SourceImageSequence = item.SourceImageSequence

    def _unnamed(self) -> None:
        """A code's meaning outside of reports, which the table does not name."""
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator = "P5-09024", "99LOCAL"
        self._tell("texts the standard's table does not name", way("ProcedureCodeSequence", 0), code, "CodeMeaning", "{Chest} {film} <name>")
        self.ds.ProcedureCodeSequence = Sequence([code])

    def private(self) -> None:
        who, rng = self.who, self.rng
        block = self.ds.private_block(0x0009, "ACME PACS 1.1", create=True)
        inner = Dataset()
        inner.PatientName, inner.PatientID = who.name, who.number
        ways: dict[int, tuple[str, object, list[str]]] = {
            0x01: ("LO", f"{who.given} {who.family}", [who.family, who.given]),
            0x02: ("OB", f"\x01\x02{who.name}\x00".encode() + b"\0" * (len(who.name) % 2 == 0), [who.family, who.given]),
            0x03: ("UN", f"ID={who.number};DOB={who.born:%Y%m%d} ".encode(), [who.number, f"{who.born:%Y%m%d}"]),
            0x04: ("SQ", Sequence([inner]), [who.family, who.number]),
            0x05: ("DA", self.day.strftime("%Y%m%d"), [self.day.strftime("%Y%m%d")]),
            0x06: ("UI", f"1.2.826.0.1.78.{rng.randrange(10**12)}", []),
        }
        for element in self.rng.sample(sorted(ways), 4):
            vr, value, words = ways[element]
            block.add_new(element, vr, value)
            self.file.note("private attributes", "gone", (f"{block.get_tag(element):08X}",), words or [str(value)])
        if str(self.ds.get("Modality", "")) == "MR" and self.rng.random() < 0.5:
            near = self.ds.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            near.add_new(0x35, "LO", f"scan of {who.family}")
            self.file.note("private attributes", "gone", (f"{near.get_tag(0x35):08X}",), [who.family])

    def everything(self, years: int) -> None:
        steps: list[Callable[[], None]] = [self.research, lambda: self.patient(years), self.standard, self.dates, self.texts, self.nested, self.private]
        for step in steps:
            step()
        nothing = self.who.family, self.who.given, self.who.number, self.accession, self.who.hospital, self.who.phone
        self.file.note("anywhere in the file's bytes", "gone", ("bytes",), [word for word in nothing if len(word) >= 6])
        self.file.note("claims", "claims", way("PatientIdentityRemoved"), ["YES"])
        self.file.note("claims", "claims", way("DeidentificationMethod"), [""])
        self.file.note("claims", "claims", way("DeidentificationMethodCodeSequence", 0, "CodeValue"), ["113100"])
        self.file.note("sound files", "sound", ("file",))
