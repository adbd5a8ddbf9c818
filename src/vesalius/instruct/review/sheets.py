"""A queue as a sheet (CSV, or XLSX with the package openpyxl), and filled sheets back as rows.

In: a `Queue`; a sheet that somebody filled. Out: a file; rows of text. A cell that a spreadsheet would take for a formula is written with an apostrophe
before it.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable
from pathlib import Path

from vesalius.instruct.generate import lines as files
from vesalius.instruct.review.queue import VERDICTS, Queue, ReviewError
from vesalius.registry import missing_extra

COLUMNS = ("id", "image", "task", "conversation", "verdict", "comment", "sha256", "queue")
LARGEST = 32 << 20  # bytes of a sheet that comes back, unpacked
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def rows(queue: Queue) -> list[list[str]]:
    """One row for each item, in the order of the queue."""
    made = []
    for entry in queue.entries:
        said = "\n".join(f"Q: {question}\nA: {answer}" for question, answer in entry.turns)
        made.append([_plain(cell) for cell in (entry.id, "; ".join(entry.images), entry.task, said, "", "", entry.sha256, queue.id)])
    return made


def write_csv(queue: Queue, path: Path) -> None:
    """UTF-8 with a mark at its start, which spreadsheets need to read it as such. Raises: OutputError."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *rows(queue)])
    files.write_text(path, "\ufeff" + text.getvalue())


def write_xlsx(queue: Queue, path: Path) -> None:
    """A workbook whose verdict column offers the four verdicts. Raises: OutputError; MissingExtra: openpyxl is absent."""
    try:
        from openpyxl import Workbook
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
        from openpyxl.worksheet.datavalidation import DataValidation
    except ImportError as error:
        raise missing_extra("openpyxl", "a sheet as XLSX") from error
    book = Workbook()
    sheet = book.active
    sheet.title = "review"
    for line in [list(COLUMNS), *rows(queue)]:
        sheet.append([ILLEGAL_CHARACTERS_RE.sub(" ", cell) for cell in line])
    for row in sheet.iter_rows():
        for cell in row:
            cell.data_type = "s"
    choice = DataValidation(type="list", formula1=f'"{",".join(VERDICTS)}"', allow_blank=True, showErrorMessage=True)
    sheet.add_data_validation(choice)
    choice.add(f"E2:E{len(queue.entries) + 1}")
    for letter, width in zip("ABCDEFGH", (26, 30, 14, 90, 12, 40, 12, 12), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
    fresh = path.with_name(path.name + ".new")
    try:
        book.save(fresh)
        fresh.replace(path)
    except OSError as error:
        raise files.unwritable(path, error) from error


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a filled sheet, by the names of its columns.

    Raises:
        ReviewError: it cannot be read, is too large, or lacks a column. MissingExtra: openpyxl is absent for an XLSX.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ReviewError(f"{path}: has more than {LARGEST >> 20} MiB", remedy="give a sheet that vesalius instruct review export wrote")
        lines = _xlsx(path) if path.suffix.lower() == ".xlsx" else _csv(path)
    except OSError as error:
        raise ReviewError(f"{path}: cannot be read ({error.strerror or error})", remedy="give an existing sheet") from error
    heads = [cell.strip().lower() for cell in lines[0]] if lines else []
    lacking = [name for name in ("id", "verdict", "sha256", "queue") if name not in heads]
    if lacking:
        raise ReviewError(f"{path}: has no column {lacking[0]!r}", remedy="keep the first row as it was exported")
    return [dict(zip(heads, (cell.strip() for cell in line), strict=False)) for line in lines[1:] if any(cell.strip() for cell in line)]


def _csv(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        mark = ";" if first.count(";") > first.count(",") else "\t" if first.count("\t") > first.count(",") else ","
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReviewError(f"{path}: is no table of text in UTF-8", remedy="save the sheet as CSV in UTF-8") from error


def _xlsx(path: Path) -> list[list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise missing_extra("openpyxl", "a sheet as XLSX") from error
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > LARGEST:
                raise ReviewError(f"{path}: unpacks to more than {LARGEST >> 20} MiB", remedy="give a sheet that vesalius instruct review export wrote")
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            return _cells(book.worksheets[0].iter_rows(values_only=True))
        finally:
            book.close()
    except ReviewError:
        raise
    except Exception as error:
        raise ReviewError(f"{path}: is no workbook", remedy="give an XLSX file that opens in a spreadsheet program") from error


def _cells(table: Iterable[tuple[object, ...]]) -> list[list[str]]:
    return [["" if cell is None else str(cell) for cell in line] for line in table]


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
