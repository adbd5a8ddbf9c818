"""Every file that ships inside pydicom either becomes a valid `Study` whose pixels are pydicom's, or is refused in one sentence. Nothing else may happen."""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest

from vesalius import formats
from vesalius.domain.study import Intensity, Study
from vesalius.errors import MissingExtra, UserError
from vesalius.formats.codecs import JPEG_EXTENDED, decoder_for
from vesalius.formats.header import NotAnImage
from vesalius.formats.pixels import render

pytest.importorskip("gdcm")
pytest.importorskip("openjpeg")
pytest.importorskip("jpeg_ls")

ROOT = Path(pydicom.data.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc"))
PAGE = Path(__file__).resolve().parents[2] / "docs" / "formats.md"
DAMAGED = {
    "MR_truncated.dcm": "is truncated, it holds 8,130 of 8,192 bytes of pixels",
    "JPEG2000-embedded-sequence-delimiter.dcm": "the compressed pixels are 3722445056 x 1024",
    "badVR.dcm": "Number of Frames in the header is not a whole number",
    "chrJapMulti.dcm": "has an image header but no pixels",
    "chrJapMultiExplicitIR6.dcm": "has an image header but no pixels",
    "chrKoreanMulti.dcm": "has an image header but no pixels",
    "nested_priv_SQ.dcm": "the header has no Bits Allocated",
    "meta_missing_tsyntax.dcm": "the header has no Bits Allocated",
}


@functools.cache  # each file is read once, also for the table
def outcome(path: Path) -> Study | UserError:
    try:
        return formats.read(path, frames="all")
    except UserError as error:
        return error


@pytest.fixture(scope="module")
def outcomes() -> dict[Path, Study | UserError]:
    return {path: outcome(path) for path in FILES}


def reason(error: UserError, path: Path) -> str:
    """The sentence without the file's name and numbers, to count by."""
    return re.sub(r"\d[\d,]*", "N", error.what.removeprefix(f"{path}: "))


def pydicom_pixels(path: Path) -> np.ndarray:
    """pydicom's own decode with the decoder that we use, frames first, through its own modality and colour functions."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    ds = pydicom.dcmread(path)
    values = pixel_array(ds, decoding_plugin=decoder_for(ds.file_meta.TransferSyntaxUID, path))
    colour = ds.SamplesPerPixel == 3
    if ds.PhotometricInterpretation == "PALETTE COLOR":
        values = apply_color_lut(values, ds)
        values, colour = (values >> 8 if values.dtype.itemsize == 2 else values).astype(np.uint8), True
    elif colour:
        values = (values >> (ds.BitsStored - 8)).astype(np.uint8)
    else:
        values = apply_modality_lut(values, ds) * float(ds.get("DoseGridScaling", 1))
    return values.reshape(-1, *values.shape[-3 if colour else -2 :])


def test_all_files_are_walked() -> None:
    assert len(FILES) >= 200
    assert {p.name for p in FILES} >= set(DAMAGED)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_reads_right_or_is_refused_in_words(path: Path, recwarn: pytest.WarningsRecorder, capfd: pytest.CaptureFixture[str]) -> None:
    result = outcome(path)
    assert not recwarn.list, "warnings of pydicom must not reach the user"
    assert capfd.readouterr() == ("", ""), "nothing may be written to the terminal"
    if isinstance(result, UserError):
        text = str(result)
        assert not isinstance(result, MissingExtra)
        assert text.startswith(f"{path}: ")
        assert text.endswith(".")
        assert "\n" not in text
        assert len(text.removeprefix(str(path))) < 300
        assert path.name not in DAMAGED or DAMAGED[path.name] in text
        assert path.name in DAMAGED or isinstance(result, NotAnImage), text
        return
    assert path.name not in DAMAGED
    (image,) = result.images
    syntax = pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
    if syntax == JPEG_EXTENDED:  # pydicom does not decode 12 bit; compared with GDCM's own reader in the golden tests
        assert image.pixels.max() == 264
    else:
        np.testing.assert_array_equal(image.pixels, pydicom_pixels(path).astype(image.pixels.dtype))
    shown = render(image)
    assert shown.dtype == np.uint8
    assert shown.shape == image.pixels.shape[1:]
    if not image.is_colour and image.intensity is not Intensity.BINARY:  # a header's window may lie beside all pixels, percentiles may not
        assert np.ptp(render(image, voi=None)) > 200 or np.ptp(image.pixels) == 0


@pytest.mark.filterwarnings("ignore")
def test_nothing_that_names_a_person_is_kept(outcomes: dict[Path, Study | UserError]) -> None:
    checked = 0
    for path, result in outcomes.items():
        if isinstance(result, UserError):
            continue
        ds = pydicom.dcmread(path)
        facts = repr([(i.body_part, i.view, [getattr(v, "explanation", "") for v in i.voi], [o.label for o in i.overlays]) for i in result])
        facts += repr(result.patient)
        for secret in (str(ds.get("PatientName", "")), str(ds.get("PatientID", ""))):
            if len(secret) > 3:
                checked += 1
                assert secret not in facts
    assert checked > 50


def table(results: dict[Path, Study | UserError]) -> str:
    """What docs/formats.md shows: read by transfer syntax, refused by reason."""
    read: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for path, result in results.items():
        if isinstance(result, UserError):
            refused[reason(result, path)] += 1
        else:
            read[pydicom.uid.UID(result.image.transfer_syntax).name] += 1
    lines = [f"{len(results)} files walked, {read.total()} read, {refused.total()} refused.", "", "| read: transfer syntax | files |", "|---|---|"]
    lines += [f"| {name} | {n} |" for name, n in sorted(read.items(), key=lambda i: (-i[1], i[0]))]
    lines += ["", "| refused: reason | files |", "|---|---|"]
    lines += [f"| {name} | {n} |" for name, n in sorted(refused.items(), key=lambda i: (-i[1], i[0]))]
    return "\n".join(lines)


def test_the_page_shows_what_happens(outcomes: dict[Path, Study | UserError]) -> None:
    begin, end = "<!-- pydicom files: begin -->\n", "\n<!-- pydicom files: end -->"
    page = PAGE.read_text(encoding="utf-8")
    shown = page.partition(begin)[2].partition(end)[0]
    if pydicom.__version__ == "3.0.2":  # another version ships other files
        assert shown == table(outcomes), "docs/formats.md is out of date: run python -m tests.contract.test_pydicom_files"


if __name__ == "__main__":  # rewrite the table
    text = PAGE.read_text(encoding="utf-8")
    head, mark, rest = text.partition("<!-- pydicom files: begin -->\n")
    body, stop, tail = rest.partition("\n<!-- pydicom files: end -->")
    PAGE.write_text(head + mark + table({p: outcome(p) for p in FILES}) + stop + tail, encoding="utf-8")
