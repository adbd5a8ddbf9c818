"""A DICOM file's header, opened and asked with care: every value may be missing, malformed or hostile.

In: a path. Out: a pydicom dataset, and functions that give a fact of it or None. What pydicom warns of goes to our debug log, not to the user.
"""

from __future__ import annotations

import contextlib
import logging
import math
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vesalius.errors import UnreadableStudy
from vesalius.formats import bounds

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LOG = logging.getLogger("vesalius.formats")


class NotAnImage(UnreadableStudy):
    """The file is sound, but it holds no pixels: a report, a plan, a waveform, an index, a text."""


_FAILURES: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def parser_failures() -> tuple[type[Exception], ...]:
    """All the ways in which a parser of foreign bytes fails; pydicom converts values when they are asked for, so each access may. Asked on failure only."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (*_FAILURES, BytesLengthException, InvalidDicomError)


# The filters of the warnings module and the handlers of a logger belong to the process: one reader changes them at a time, and puts them back.
_QUIET = threading.RLock()


class _Reroute(logging.Handler):
    """Sends what a library logs in this thread to our own debug log; records of other threads go where they would have gone."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        if record.thread != self._thread:
            logging.getLogger().callHandlers(record)
        elif LOG.isEnabledFor(logging.DEBUG):
            LOG.debug("%s: %s", record.name, (record.getMessage().splitlines() or [""])[0])


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings and log lines of pydicom and Pillow away from the user's terminal; they stay in our debug log."""
    reroute = _Reroute()
    known = [logging.getLogger(name) for name in ("pydicom", "PIL")]
    with _QUIET, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loggers = [logger for logger in known if not any(isinstance(h, _Reroute) for h in logger.handlers)]  # none when nested
        before = [logger.propagate for logger in loggers]
        for logger in loggers:
            logger.addHandler(reroute)
            logger.propagate = False
        try:
            yield
        finally:
            for logger, propagate in zip(loggers, before, strict=True):
                logger.removeHandler(reroute)
                logger.propagate = propagate
            for warning in caught:
                LOG.debug("warning: %s", warning.message)


def short(error: BaseException) -> str:
    """The first line of a foreign error, at most 120 characters, for our own sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    return (text if len(text) <= 120 else text[:117] + "...").rstrip(".:")


def cannot_open(path: str | Path, error: OSError) -> UnreadableStudy:
    """The sentence for a file that the operating system does not give us."""
    remedies = {
        FileNotFoundError: "check the path",
        PermissionError: "give yourself the right to read it",
        IsADirectoryError: "give a file",
    }
    remedy = next((text for kind, text in remedies.items() if isinstance(error, kind)), "check the disk and the path")
    return UnreadableStudy(path, f"cannot be read ({(error.strerror or short(error)).lower()})", remedy=remedy)


def open_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """Parse a DICOM file; files without preamble or meta information are read too when their first bytes look like DICOM.

    Args:
        path: the file.
        pixels: False stops before the pixel data.

    Returns:
        The dataset; `file_meta.TransferSyntaxUID` is completed when the file is silent and the encoding is plain.

    Raises:
        UnreadableStudy: too large, truncated or malformed.
    """
    import pydicom

    with quiet():
        try:
            size = path.stat().st_size
            if size > bounds.MAX_FILE_BYTES:
                raise UnreadableStudy(path, f"has {size:,} bytes, more than {bounds.MAX_FILE_BYTES:,}", remedy="split it, or give one series")
            _check_inflated_size(path)
            dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
        except UnreadableStudy:
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise cannot_open(path, error) from error
        except parser_failures() as error:
            raise UnreadableStudy(path, f"is truncated or damaged ({short(error)})", remedy="export it again") from error
        _complete_syntax(dataset)
        return dataset


def _check_inflated_size(path: Path) -> None:
    """A deflated file is inflated in one piece by the parser: count what it would give, in small pieces, before it does."""
    with path.open("rb") as stream:
        head = stream.read(4096)
        if head[128:132] != b"DICM" or b"1.2.840.10008.1.2.1.99" not in head or head[132:136] != b"\x02\x00\x00\x00":
            return
        stream.seek(144 + int.from_bytes(head[140:144], "little"))
        engine, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while (piece := engine.unconsumed_tail or stream.read(65536)) and not engine.eof:
            total += len(engine.decompress(piece, 2**24))
            if total > bounds.MAX_FILE_BYTES:
                raise UnreadableStudy(
                    path, f"inflates to more than {bounds.MAX_FILE_BYTES:,} bytes", remedy="give a file whose compressed data is what it says"
                )


def _complete_syntax(dataset: Dataset) -> None:
    """A file without meta information is in one of the three plain encodings; the parser has found out which."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" in dataset.file_meta:
        return
    implicit, little = dataset.original_encoding
    if implicit is None or little is None or _is_encapsulated(dataset):
        return
    plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain


def _is_encapsulated(dataset: Dataset) -> bool:
    try:
        element = dataset.get_item("PixelData")
    except parser_failures():  # it cannot even be told what it is: not for us to guess
        return True
    return element is not None and (getattr(element, "length", 0) == 0xFFFFFFFF or bool(getattr(element, "is_undefined_length", False)))


def value(dataset: Dataset, keyword: str) -> Any:  # noqa: ANN401 - DICOM values are of many types
    """The value of an element, or None when it is absent, empty or malformed."""
    try:
        found = dataset.get(keyword)
    except parser_failures() as error:
        LOG.debug("%s cannot be read: %s", keyword, short(error))
        return None
    return None if found is None or found == "" else found


def text(dataset: Dataset, keyword: str) -> str | None:
    """A one-line text, stripped; None when absent. Of several values the first."""
    found = value(dataset, keyword)
    if found is None:
        return None
    if isinstance(found, Sequence) and not isinstance(found, str | bytes):  # a person's name is iterable too, by its letters
        found = found[0] if found else ""
    return " ".join(str(found).split()) or None


def number(dataset: Dataset, keyword: str) -> float | None:
    """A finite number; None when absent or malformed. Of several values the first."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Finite numbers, exactly `count` of them when given; None otherwise."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, bytes):
        return None
    many = isinstance(found, list | tuple) or (hasattr(found, "__iter__") and not isinstance(found, str))
    try:
        result = tuple(float(x) for x in (found if many else (found,)))
    except parser_failures():
        return None
    if not result or not all(math.isfinite(x) for x in result) or (count is not None and len(result) != count):
        return None
    return result


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; an empty list when absent or malformed."""
    found = value(dataset, keyword)
    if found is None or isinstance(found, str | bytes) or not hasattr(found, "__iter__"):
        return []
    return list(found)


def whole(dataset: Dataset, keyword: str, path: Path, *, default: int | None = None) -> int:
    """A whole number that decoding depends on.

    Raises:
        UnreadableStudy: missing without a default, or malformed.
    """
    from pydicom.datadict import dictionary_description

    name = dictionary_description(keyword)
    try:
        found = dataset.get(keyword)
        if found is None or found == "":
            if default is not None:
                return default
            raise UnreadableStudy(path, f"the header has no {name}", remedy="export it again with a complete header")
        return int(found)
    except parser_failures() as error:
        raise UnreadableStudy(path, f"{name} in the header is not a whole number", remedy="correct the header or export it again") from error


def decisive(dataset: Dataset, keyword: str, path: Path) -> float | None:
    """A number that decides what the pixels mean; None only when the header is silent.

    Raises:
        UnreadableStudy: present, but not a finite number.
    """
    try:
        found = dataset.get(keyword)
        if found is None or found == "":
            return None
        result = float(found)
    except parser_failures():
        result = math.nan
    if not math.isfinite(result):
        raise UnreadableStudy(path, f"{keyword} in the header is not a finite number", remedy="correct the header or export it again")
    return result
