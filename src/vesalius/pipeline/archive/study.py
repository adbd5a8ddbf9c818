"""One study from the source to the release: each file cleaned and written, all of it searched by the second reader, then given away whole or set apart whole.

In: the files of a study. Out: a folder below `release/`, or a record below `private/quarantine/` that says why not. A file that cannot be cleaned is set apart
alone; what the second reader finds sets the whole study apart. Nothing is below `release/` before all of it is proven.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import UserError
from vesalius.formats import header
from vesalius.formats.decode import pixel_keyword
from vesalius.formats.deidentify import Action, Cleaners, Key, deidentify
from vesalius.formats.deidentify.burned.triage import Triage, face, triage
from vesalius.formats.deidentify.engine import shift
from vesalius.formats.deidentify.text.cleaner import TextCleaner
from vesalius.formats.deidentify.verify import Hit, Kind, Place, Secrets, Verdict, verify
from vesalius.formats.deidentify.walk import patient_identity
from vesalius.pipeline.archive import manifest, pictures
from vesalius.pipeline.archive.index import IMAGE, REPORT, File, Index, read_text
from vesalius.pipeline.archive.plan import Plan
from vesalius.work.crew import Progress, Unit

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from vesalius.formats.deidentify.burned.redact import Redaction

RELEASED, APART, EMPTY, BEFORE = "released", "set apart", "nothing left", "done before"
_HEADERS_FOR_NAMES = 40
_HOUSES = (
    "hospital hospitals clinic clinics center centre medical university general regional community memorial health healthcare system systems imaging radiology"
)
_PARTS = "department institute institution school college national county city state north south east west central of the and for at in"
_OF_ANY_HOUSE = frozenset(f"{_HOUSES} {_PARTS} medicine diagnostic diagnostics cancer heart care surgery trauma veterans affairs".split()) | {""}


@dataclasses.dataclass(frozen=True)
class Order:
    """What a worker needs. dry: nothing is left behind."""

    private: Path
    release: Path
    key_file: Path
    plan: Plan
    dry: bool = False


@dataclasses.dataclass
class Written:
    """What became of one file."""

    name: str
    source: File
    actions: list[Action]
    triage: Triage | None
    redaction: Redaction | None
    read: tuple[str, ...] = ()


class Worker:
    """Does studies; made once in each process."""

    def __init__(self, order: Order) -> None:
        self.order, self.key = order, Key.read(order.key_file)
        self.about = {"key": self.key.id, "plan": order.plan.digest()}

    @functools.cached_property
    def reader(self) -> Any:  # noqa: ANN401 - `burned.reading.Reader`, loaded when the first image is read
        """Reads text in pixels."""
        from vesalius.formats.deidentify.burned.reading import Reader

        return Reader()

    @functools.cached_property
    def finder(self) -> Any:  # noqa: ANN401
        """Finds names in sentences, when the plan asks for it."""
        if self.order.plan.text.finder == "rules":
            return None
        from vesalius.formats.deidentify.text.names import PresidioFinder

        return PresidioFinder()

    def do(self, unit: Unit, tell: Progress) -> dict[str, str]:
        """One study, named by its original UID.

        Returns:
            state, number of files released and set apart, of boxes filled, of hits; never a value of the source.
        """
        uid = unit[1]
        with Index(self.order.private / "index.sqlite") as index:
            files, reports = index.files(uid, IMAGE), index.files(uid, REPORT)
        job = _Job(self, uid, files, reports if self.order.plan.text.reports else [])
        before = job.before()
        return before if before is not None else job.run(tell)


class _Job:
    """One study in hand."""

    def __init__(self, worker: Worker, uid: str, files: Sequence[File], reports: Sequence[File]) -> None:
        self.worker, self.order, self.key = worker, worker.order, worker.key
        self.files, self.reports = files, reports
        self.number = self.key.digest("study folder", uid.encode("utf-8", "replace")).hex()[:24]
        told = [[f.source, f.size, f.stamp] for f in (*files, *reports)]
        self.inputs = self.key.digest("inputs", json.dumps([told, self.order.plan.digest()]).encode()).hex()[:32]
        self.staging = self.order.private / "staging" / self.number
        self.record = self.order.private / "studies" / f"{self.number}.json"
        self.apart: list[tuple[str, str]] = []
        self.written: list[Written] = []
        self.texts: list[tuple[str, str]] = []
        self.secrets = Secrets()
        self.people: dict[str, str] = {}  # identity -> the first file that states it

    def before(self) -> dict[str, str] | None:
        """What was said of the study when it was done with the same files and plan, if it was."""
        try:
            said = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if said.get("inputs") != self.inputs or (said["folder"] and not (self.order.release / said["folder"] / manifest.NAME).exists()):
            return None
        return {**said["summary"], "before": "yes"}

    def run(self, tell: Progress) -> dict[str, str]:
        """All of it."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self.staging.mkdir(parents=True)
        try:
            cleaner, patient, study = self._who()
            for done, file in enumerate(self.files):
                tell(done, len(self.files), "files")
                self._apart_or(file, functools.partial(self._image, file, cleaner))
            for number, file in enumerate(self.reports):
                self._apart_or(file, functools.partial(self._report, file, number, cleaner))
            if len(self.people) > 1:
                self.apart += [(source, "files of several patients call themselves one study") for source in self.people.values()]
                return self._end(APART, None, None)
            if not self.written:
                return self._end(EMPTY, None, None)
            verdict = self._second_reading()
            if not verdict.clean:
                return self._end(APART, None, verdict)
            self._leave_manifest(verdict, patient, study)
            return self._end(RELEASED, Path(patient) / study, verdict)
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)

    def _who(self) -> tuple[TextCleaner, str, str]:
        """A cleaner with the names of the study's headers, and the folders that patient and study get."""
        names: list[str] = []
        first: Dataset | None = None
        step = max(1, len(self.files) // _HEADERS_FOR_NAMES)
        for file in self.files[::step]:
            try:
                dataset = header.open_dataset(file.path, pixels=False)
            except UserError:
                continue
            first = dataset if first is None else first
            names += _names(dataset)
        if first is None:
            raise UserError("the files of a study have changed while they were read", remedy="give the same command again")
        with header.quiet():
            identity = patient_identity(first, self.key) or ""
            uid = header.text(first, "StudyInstanceUID") or ""
            days = self._days(first)
        cleaner = TextCleaner(self.key, identity=identity, names=sorted(set(names)), shift_days=days, finder=self.worker.finder)
        study = uid if self.order.plan.header.retain_uids else self.key.uid(uid)
        return cleaner, self.key.patient(identity) if identity else "unknown", study

    def _days(self, dataset: Dataset) -> int | None:
        options = self.order.plan.header
        if options.retain_longitudinal_full_dates:
            return 0
        return shift(dataset, self.key) if options.retain_longitudinal_modified_dates else None

    def _apart_or(self, file: File, do: Any) -> None:  # noqa: ANN401
        """Do it, or set the file apart with the reason."""
        try:
            do()
        except UserError as error:
            self.apart.append((file.source, error.what.replace(str(file.path), "").strip(": ")))
        except OSError as error:
            if not file.path.exists():
                self.apart.append((file.source, "is gone"))
                return
            raise UserError(f"a study cannot be written ({error.strerror})", remedy="make room, or give a folder that you may write to") from None

    def _image(self, file: File, cleaner: TextCleaner) -> None:
        source = header.open_dataset(file.path)
        pictures.require_whole(source)
        with header.quiet():
            self.people.setdefault(patient_identity(source, self.key) or "", file.source)
        seen, redaction = self._pixels(source)
        cleaners = Cleaners(text=cleaner.as_tag_cleaner())
        clean, actions = deidentify(source if redaction is None else redaction.dataset, self.order.plan.header, self.key, cleaners=cleaners)
        name = f"{_part(clean.get('SeriesInstanceUID'))}/{_part(clean.get('SOPInstanceUID'))}.dcm"
        path = self.staging / name
        if path.exists():
            raise UserError("another file of the study has the same SOP Instance UID", remedy="keep one of them")
        path.parent.mkdir(parents=True, exist_ok=True)
        with header.quiet():
            try:
                clean.save_as(path, enforce_file_format=True)
            except header.parser_failures():
                path.unlink(missing_ok=True)
                raise UserError("the cleaned object cannot be written as a valid file", remedy="export it again") from None
            self.secrets.compare(source, header.open_dataset(path))
        written = Written(name, file, actions, seen, redaction)
        if redaction is not None and redaction.boxes:
            self.secrets.add(Kind.TEXT, (box.text for box in redaction.boxes), "pixels")
            written.read = pictures.left(header.open_dataset(path), self.worker.reader, {box.frame for box in redaction.boxes})
        self.written.append(written)

    def _pixels(self, source: Dataset) -> tuple[Triage | None, Redaction | None]:
        options = self.order.plan.pixels
        if options.faces == "refuse" and pixel_keyword(source) is not None and face(source):
            raise UserError("shows a head, from which a face may be recognised", remedy='set pixels.faces = "mark" to release it marked')
        if options.read == "nothing":
            return None, None
        seen = triage(source, pixels=options.read == "triage", limit=options.limit)
        if seen.refuse and options.secondary_captures == "refuse":
            raise UserError(seen.refuse, remedy='set pixels.secondary_captures = "read" to have it read and filled')
        if not (seen.read or options.read == "all"):
            return seen, None
        from vesalius.formats.deidentify.burned.redact import redact

        return seen, redact(source, self.worker.reader, key=self.key, limit=0.0 if options.read == "all" else options.limit)

    def _report(self, file: File, number: int, cleaner: TextCleaner) -> None:
        text = read_text(file.path)
        if text is None:
            raise UserError("is no text any more", remedy="give the same command again")
        cleaned = cleaner.clean(text)
        for kind, wanted in (("person", Kind.NAME), ("id", Kind.IDENTIFIER)):
            self.secrets.add(wanted, (text[s.start : s.end] for s in cleaned.spans if s.kind == kind), "report")
        name = f"reports/{number + 1:04d}.txt"
        (self.staging / name).parent.mkdir(exist_ok=True)
        (self.staging / name).write_text(cleaned.text, encoding="utf-8")
        self.texts.append((name, cleaned.text))
        actions = [Action(f"{s.start}-{s.end}", s.rule, s.kind, self.key.record(0, text[s.start : s.end].encode()), "text") for s in cleaned.spans]
        self.written.append(Written(name, file, actions, None, None))

    def _second_reading(self) -> Verdict:
        return verify(self.secrets, [place for one in self.written for place in self._place(one)])

    def _place(self, one: Written) -> Iterator[Place]:
        path = self.staging / one.name
        if path.suffix == ".txt":
            yield Place(one.name, texts=(("report", path.read_text(encoding="utf-8")),))
            return
        yield Place(one.name, header.open_dataset(path), path.read_bytes(), read=one.read)

    def _leave_manifest(self, verdict: Verdict, patient: str, study: str) -> None:
        manifest.write(self.staging, self.written, verdict, self.key, self.order.plan, patient=patient, study=study, apart=[why for _, why in self.apart])

    def _end(self, state: str, folder: Path | None, verdict: Verdict | None) -> dict[str, str]:
        hits = verdict.hits if verdict else ()
        boxes = sum(len(w.redaction.boxes) for w in self.written if w.redaction)
        released = len(self.written) if folder else 0
        total = len(self.files) + len(self.reports)
        summary = {"state": state, "released": released, "apart": total - released, "boxes": boxes, "hits": sum(h.sure for h in hits)}
        said = {name: str(value) for name, value in summary.items()} | {"before": "no"}
        if self.order.dry:
            return said
        if folder is not None:
            self._queue(folder)
            self._release(folder)
        record = {"inputs": self.inputs, "folder": str(folder or ""), "summary": said, "apart": self.apart, "hits": [_told(h) for h in hits]}
        record["files"] = {w.name: w.source.source for w in self.written}
        self.record.parent.mkdir(parents=True, exist_ok=True)
        _atomic(self.record, json.dumps(record, ensure_ascii=False, indent=1))
        return said

    def _release(self, folder: Path) -> None:
        target, old = self.order.release / folder, self.staging.with_name(f"{self.number}.old")
        shutil.rmtree(old, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.replace(old)
        self.staging.replace(target)
        shutil.rmtree(old, ignore_errors=True)

    def _queue(self, folder: Path) -> None:
        """Doubtful boxes for a person, as crops of the source."""
        rows: list[tuple[object, ...]] = []
        for one in self.written:
            for number, box in enumerate(one.redaction.unsure if one.redaction else ()):
                crop = self.order.private / "queue" / f"{self.number}-{len(rows):04d}.png"
                crop.parent.mkdir(parents=True, exist_ok=True)
                pictures.crop(header.open_dataset(one.source.path), box, crop)
                rows.append((crop.name, str(folder / one.name), one.source.source, number, f"{box.score:.2f}", "filled" if box.filled else "left"))
        if rows:
            with (self.order.private / "queue" / f"{self.number}.csv").open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([("crop", "file", "source", "box", "score", "now"), *rows])


def _names(dataset: Dataset) -> list[str]:
    """Names and numbers of a header that a text may repeat."""
    found = [header.text(dataset, name) for name in ("PatientID", "AccessionNumber", "PatientTelephoneNumbers")]
    found.append(_told_apart(header.text(dataset, "InstitutionName") or ""))
    with header.quiet():
        for element in dataset.iterall():
            if element.VR == "PN":
                found += [str(one) for one in (element.value if element.VM > 1 else [element.value])]
    return [name for name in found if name]


def _told_apart(institution: str) -> str:
    """The words of an institution's name that are its own: `Medical` and `Center` are words of every report."""
    return " ".join(word for word in institution.split() if word.strip(".,;()&").casefold() not in _OF_ANY_HOUSE)


def _told(hit: Hit) -> dict[str, Any]:
    return {**dataclasses.asdict(hit), "kind": str(hit.kind)}


def _part(uid: object) -> str:
    text = str(uid or "")
    if text and len(text) <= 64 and set(text) <= set("0123456789."):
        return text
    return "x" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _atomic(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
