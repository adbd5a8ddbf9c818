"""De-identification of one DICOM header as DICOM PS3.15 Annex E says.

In: a dataset (its file meta information with it), a `Profile`, a `Key`. Out: a new dataset, ready to be written, and one `Action` for each change.

```python
key = Key.read("site.key")
clean, actions = deidentify(pydicom.dcmread("chest.dcm"), Profile(retain_longitudinal_modified_dates=True), key)
clean.save_as("clean.dcm", enforce_file_format=True)
```
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from vesalius.errors import UserError
from vesalius.formats import header
from vesalius.formats.deidentify import claims
from vesalius.formats.deidentify.private import Safe, declared
from vesalius.formats.deidentify.profile import Profile
from vesalius.formats.deidentify.pseudonyms import Key
from vesalius.formats.deidentify.walk import Action, Cleaners, Walk, patient_identity

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["Action", "Cleaners", "deidentify", "shift"]


def deidentify(dataset: Dataset, profile: Profile, key: Key, *, cleaners: Cleaners | None = None) -> tuple[Dataset, list[Action]]:
    """A de-identified copy of a dataset. Pixels are copied unseen, whatever is written in them.

    Twice with the same profile and key gives the same dataset as once. The source is not changed.

    Args:
        dataset: as `pydicom.dcmread` gives it.
        profile: the options.
        key: the pseudonym key; files that belong together need the same one.
        cleaners: functions for the options that clean instead of removing.

    Returns:
        The new dataset with its file meta information and preamble, and the records in the order of the header.

    Raises:
        UserError: an embedded document, a DICOMDIR, an option without its cleaner, or a header that cannot be walked; no message holds a value.
    """
    cleaners = cleaners or Cleaners()
    _refuse_without(profile, cleaners)
    with _silent():
        try:
            return _deidentify(dataset, profile, key, cleaners)
        except UserError as error:
            error.__cause__ = error.__context__ = None
            raise
        except header.parser_failures():
            pass  # the foreign message may hold a value: it ends here
    raise UserError("the header cannot be de-identified, it is damaged", remedy="export the file again")


def _deidentify(dataset: Dataset, profile: Profile, key: Key, cleaners: Cleaners) -> tuple[Dataset, list[Action]]:
    if "DirectoryRecordSequence" in dataset:
        raise UserError("a DICOMDIR lists other files and their patients", remedy="de-identify those files, and make a new DICOMDIR")
    walk = Walk(profile, key, cleaners, days=shift(dataset, key), safe=declared(dataset) if profile.retain_safe_private else Safe())
    clean = walk.dataset(dataset)
    claims.write(dataset, clean, profile, key)
    claims.write_meta(dataset, clean, profile, key)
    implicit, little = dataset.original_encoding
    clean.set_original_encoding(implicit, little, dataset.original_character_set)
    return clean, walk.records


def shift(dataset: Dataset, key: Key) -> int:
    """By how many days `retain_longitudinal_modified_dates` moves the dates of a dataset's patient; 0 when this key has moved them already."""
    identity = patient_identity(dataset, key)
    done = claims.made_by(dataset, key) and header.text(dataset, "LongitudinalTemporalInformationModified") == "MODIFIED"
    if identity is None:
        identity = header.text(dataset, "StudyInstanceUID") or header.text(dataset, "SOPInstanceUID") or ""
    else:  # dates that another system wrote beside a name are true ones, whatever the header claims
        done = done and key.made_patient(identity)
    return 0 if done else key.shift(identity)


def _refuse_without(profile: Profile, cleaners: Cleaners) -> None:
    for option, parts in (("clean_descriptors", ("text",)), ("clean_structured_content", ("text",)), ("clean_graphics", ("text", "overlay"))):
        missing = [part for part in parts if getattr(cleaners, part) is None]
        if getattr(profile, option) and missing:
            remedy = f"give cleaners=Cleaners({missing[0]}=...), or leave the option out"
            raise UserError(f"{option} needs a cleaner for {' and '.join(missing)}", remedy=remedy)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Drop what pydicom warns of and logs: its messages quote values."""
    own = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != own

    header.LOG.addFilter(others)
    try:
        with header.quiet():
            yield
    finally:
        header.LOG.removeFilter(others)
