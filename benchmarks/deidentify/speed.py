"""How many headers a core does in a second: the engine alone, and with reading and writing.

In: a corpus. Out: files for each second of processor time, which a busy machine does not change much.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

from vesalius.formats import header
from vesalius.formats.deidentify import Cleaners, Key, Profile, deidentify
from vesalius.formats.deidentify.text.cleaner import TextCleaner
from vesalius.formats.deidentify.walk import patient_identity

_LEAST = 2.0  # seconds that each way is measured


def measure(folder: Path) -> dict[str, float]:
    """Files for each second, by way."""
    paths = sorted((folder / "source").rglob("*.dcm"))
    key = Key(bytes(range(32)))
    research = Profile(retain_longitudinal_modified_dates=True, retain_patient_characteristics=True, retain_safe_private=True, clean_descriptors=True)
    read = [header.open_dataset(path) for path in paths]
    for dataset in read:
        list(dataset.iterall())  # values are converted once, when first asked for
    cleaners = [_cleaner(dataset, key) for dataset in read]

    def whole() -> None:
        for path in paths:
            clean, _ = deidentify(header.open_dataset(path), Profile(), key)
            clean.save_as(io.BytesIO(), enforce_file_format=True)

    return {
        "engine, Basic Profile": _rate(len(paths), lambda: [deidentify(dataset, Profile(), key) for dataset in read]),
        "engine, research plan with the text cleaner": _rate(
            len(paths), lambda: [deidentify(d, research, key, cleaners=c) for d, c in zip(read, cleaners, strict=True)]
        ),
        "read, engine, write, Basic Profile": _rate(len(paths), whole),
    }


def _cleaner(dataset: object, key: Key) -> Cleaners:
    name, number = header.text(dataset, "PatientName"), header.text(dataset, "PatientID")
    return Cleaners(
        text=TextCleaner(key, identity=patient_identity(dataset, key) or "", names=[n for n in (name, number) if n], shift_days=-400).as_tag_cleaner()
    )


def _rate(files: int, work: Callable[[], object]) -> float:
    with header.quiet():
        work()
        start, rounds = time.process_time(), 0
        while time.process_time() - start < _LEAST:
            work()
            rounds += 1
    return files * rounds / (time.process_time() - start)
