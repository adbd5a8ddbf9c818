"""Does the header fit itself and the pixels: view, side, body part, modality, polarity, size, spacing, window, dates.

In: `Facts`. Out: hits. A description is free text, so of it only the words that were matched become evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vesalius.data.validate import words
from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.formats import header as asked

_OF_SERIES = ("SeriesDescription", "AcquisitionDeviceProcessingDescription")
_SPACING = {words.FILM: (0.03, 1.0), "MG": (0.02, 0.3), "CT": (0.05, 2.0), "MR": (0.02, 10.0), "US": (0.005, 5.0), "PT": (0.3, 12.0)}  # mm between pixels
_FIELD = {words.FILM: 600.0, "MG": 400.0, "CT": 1000.0, "MR": 700.0, "PT": 1200.0}  # mm, the longest side there is
_OBLONG = 1.05
_INVERTED = -0.1  # of `polarity`; 1 of 842 films of NIH and Hannover lies below it, and 840 of their 842 negatives
_HIDDEN = 0.995  # share of pixels that a window shows as one grey
_YEAR = 365.2425
_KINDS = {
    "1.2.840.10008.5.1.4.1.1.1": words.FILM,
    "1.2.840.10008.5.1.4.1.1.1.1": words.FILM,
    "1.2.840.10008.5.1.4.1.1.1.2": "MG",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}


def view(facts: Facts) -> Iterator[Hit]:
    """The stated view against descriptions that name views, and not this one."""
    if facts.modality not in (words.FILM, None):
        return
    for keyword, said in facts.descriptions or ():
        named = words.views(said)
        if facts.view and named and facts.view not in named:
            severity = Severity.ERROR if keyword in _OF_SERIES and len(named) == 1 else Severity.WARNING
            yield Hit(severity, f"the view is {facts.view}, the description names {_and(named)}", _both("ViewPosition", facts.view, keyword, _and(named)))


def side(facts: Facts) -> Iterator[Hit]:
    """Laterality against descriptions; the two lateralities of the header against each other."""
    for keyword, said in facts.descriptions or ():
        named = words.sides(said)
        if facts.side and named and facts.side not in named:
            yield Hit(
                Severity.ERROR, f"the laterality is {facts.side}, the description names {_and(named)}", _both("Laterality", facts.side, keyword, _and(named))
            )
    one, other = facts.stated("ImageLaterality"), facts.stated("Laterality")
    if one in ("L", "R") and other in ("L", "R") and one != other:
        yield Hit(Severity.ERROR, "Image Laterality and Laterality differ", _both("ImageLaterality", one, "Laterality", other))


def body_part(facts: Facts) -> Iterator[Hit]:
    """The body part against descriptions that name regions far from it."""
    for keyword, said in facts.descriptions or ():
        named = words.regions(said)
        if facts.body and named and not words.may_be_one(set(facts.body), named):
            message = f"the body part is {_and(facts.body)}, the description names {_and(named)}"
            yield Hit(Severity.WARNING, message, _both("BodyPartExamined", _and(facts.body), keyword, _and(named)))


def modality(facts: Facts) -> Iterator[Hit]:
    """The modality against the kind of object and against descriptions."""
    stated = facts.header_modality or ""
    kind = _KINDS.get(facts.stated("SOPClassUID") or "")
    if kind is not None and kind != stated:
        yield Hit(Severity.ERROR, f"the modality is {stated}, the object is one of {kind}", _both("Modality", stated, "SOPClassUID", kind))
    for keyword, said in facts.descriptions or ():
        named = words.modalities(said)
        if named and stated not in named:
            yield Hit(Severity.WARNING, f"the modality is {stated}, the description names {_and(named)}", _both("Modality", stated, keyword, _and(named)))


def polarity(facts: Facts) -> float | None:
    """How much a frontal chest film looks like one: spine and belly brighter than lungs and the air above the shoulders. Positive in a film as it should be,
    negative in one shown inverted, about -0.4 to 1.4; None when there is no picture, or a flat one.
    """
    grey = facts.grey
    if grey is None or min(grey.shape) < 32:
        return None
    low, high = np.percentile(grey, (1, 99))
    if high - low < 8:
        return None
    rows, cols = grey.shape

    def part(top: float, bottom: float, left: float, right: float) -> NDArray[np.float64]:
        piece = grey[round(top * rows) : round(bottom * rows), round(left * cols) : round(right * cols)]
        return np.asarray(np.clip((piece.ravel() - low) / (high - low), 0, 1), np.float64)

    spine, belly = np.median(part(0.47, 0.86, 0.44, 0.56)), np.median(part(0.78, 0.97, 0.375, 0.625))
    lungs = np.median(np.concatenate([part(0.31, 0.625, 0.19, 0.36), part(0.31, 0.625, 0.64, 0.81)]))
    air = np.mean(np.concatenate([part(0, 0.156, 0, 0.156), part(0, 0.156, 0.844, 1)]))
    return float(spine + belly - lungs - air)


def photometric(facts: Facts) -> Iterator[Hit]:
    """A chest film that is shown as a negative, whatever its Photometric Interpretation says; not asked of lateral films."""
    body = facts.body
    if facts.modality != words.FILM or facts.view == words.LAT or (body is not None and "CHEST" not in body):
        return
    found = polarity(facts)
    if found is not None and found < _INVERTED:
        stated = facts.stated("PhotometricInterpretation")
        evidence = (Evidence("pixels", "polarity", round(found, 3)), *((Evidence("header", "PhotometricInterpretation", stated),) if stated else ()))
        sure = body is not None and facts.view is not None
        yield Hit(Severity.ERROR if sure else Severity.WARNING, "the film is shown inverted: lungs brighter than the spine", evidence)


def pixels(facts: Facts) -> Iterator[Hit]:
    """Rows, columns and bits against the pixel data and the decoded image."""
    dataset = facts.header
    if dataset is None or asked.number(dataset, "Rows") is None:
        return
    given = {k: asked.number(dataset, k) for k in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "NumberOfFrames")}
    rows, cols, allocated, stored, high = (int(given[k] or 0) for k in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"))
    if stored > allocated or (given["HighBit"] is not None and stored and high != stored - 1):
        told = tuple(Evidence("header", k, given[k]) for k in ("BitsAllocated", "BitsStored", "HighBit"))
        yield Hit(Severity.ERROR if stored > allocated else Severity.WARNING, "the bits of a pixel do not fit one another", told)
    image = facts.image
    if image is not None and (image.rows, image.cols) != (rows, cols):
        told = (
            Evidence("header", "Rows", rows),
            Evidence("header", "Columns", cols),
            Evidence("pixels", "rows", image.rows),
            Evidence("pixels", "cols", image.cols),
        )
        yield Hit(Severity.ERROR, "the image has another size than its header says", told)
    held = _native_bytes(facts)
    expected = (rows * cols * int(given["SamplesPerPixel"] or 1) * int(given["NumberOfFrames"] or 1) * allocated + 7) // 8
    if asked.text(dataset, "PhotometricInterpretation") == "YBR_FULL_422":
        expected = expected * 2 // 3
    if held is not None and expected and held not in (expected, expected + expected % 2):
        told = (Evidence("header", "PixelData", held), Evidence("header", "Rows", rows), Evidence("header", "Columns", cols))
        what = "fewer" if held < expected else "more"
        yield Hit(Severity.ERROR if held < expected else Severity.NOTE, f"the pixel data has {what} bytes than rows, columns, bits and frames make", told)


def _native_bytes(facts: Facts) -> int | None:
    dataset = facts.header
    meta = getattr(dataset, "file_meta", None)
    syntax = None if meta is None else asked.text(meta, "TransferSyntaxUID")
    if syntax not in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99") or dataset is None:
        return None
    found = asked.value(dataset, "PixelData")
    return len(found) if isinstance(found, bytes) else None


def spacing(facts: Facts) -> Iterator[Hit]:
    """Millimetres between pixels that no detector has, or that make a picture larger than any."""
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        given = asked.numbers(facts.header, keyword) if facts.header is not None else None
        if given is not None and (len(given) != 2 or min(given) <= 0):
            yield Hit(Severity.ERROR, f"{keyword} is not two positive numbers", (Evidence("header", keyword, str(list(given))),))
    image = facts.image
    if image is None or image.spacing is None or facts.modality not in _SPACING:
        return
    low, high = _SPACING[facts.modality]
    told = (Evidence("header", "PixelSpacing", f"{image.spacing[0]:g} x {image.spacing[1]:g} mm"),)
    if not low <= min(image.spacing) <= max(image.spacing) <= high:
        yield Hit(Severity.WARNING, f"a pixel of {facts.modality} measures {low:g} to {high:g} mm", told)
    elif max(image.rows * image.spacing[0], image.cols * image.spacing[1]) > _FIELD.get(facts.modality, np.inf):
        yield Hit(Severity.WARNING, f"the picture would be larger than {_FIELD[facts.modality]:g} mm", told)
    if facts.modality in (words.FILM, "MG", "CT") and max(image.spacing) / min(image.spacing) > _OBLONG:
        yield Hit(Severity.NOTE, "pixels are not square: the picture is squeezed unless this is meant", told)


def window(facts: Facts) -> Iterator[Hit]:
    """A window that is none, or that shows (nearly) every pixel as black or as white."""
    dataset, image = facts.header, facts.image
    if dataset is not None:
        centres, widths = asked.numbers(dataset, "WindowCenter"), asked.numbers(dataset, "WindowWidth")
        least = 1.0 if (facts.stated("VOILUTFunction") or "LINEAR") == "LINEAR" else 0.0
        if widths is not None and any(w < least for w in widths):
            yield Hit(Severity.ERROR, f"a window is narrower than {least:g}", (Evidence("header", "WindowWidth", min(widths)),))
        if (centres is None) != (widths is None) or (centres and widths and len(centres) != len(widths)):
            yield Hit(Severity.WARNING, "window centres and widths do not pair", (Evidence("header", "WindowCenter"), Evidence("header", "WindowWidth")))
    if image is None or facts.grey is None or not image.voi or float(np.ptp(image.pixels[image.frames // 2])) == 0:
        return
    for value, name in ((0, "black"), (255, "white")):
        share = float((facts.grey == value).mean())
        if share > _HIDDEN:
            yield Hit(Severity.WARNING, f"the header's window shows {share:.1%} of the pixels as {name}", (Evidence("pixels", name, round(share, 4)),))


def dates(facts: Facts) -> Iterator[Hit]:
    """Dates that lie in the future or before birth; the order of study and acquisition."""
    birth = facts.date("PatientBirthDate")
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientBirthDate"):
        found = facts.date(keyword)
        if found is not None and found > facts.today:
            yield Hit(Severity.ERROR, f"{keyword} lies in the future", (Evidence("header", keyword),))
        if found is not None and birth is not None and found < birth:
            yield Hit(Severity.ERROR, f"{keyword} lies before birth", (Evidence("header", keyword), Evidence("header", "PatientBirthDate")))
        if keyword != "PatientBirthDate" and found is None and facts.stated(keyword):
            yield Hit(Severity.WARNING, f"{keyword} is not a date", (Evidence("header", keyword),))


def age(facts: Facts) -> Iterator[Hit]:
    """Patient's Age against birth date and study date; an age that nobody reaches."""
    import re

    stated = re.fullmatch(r"(\d{1,3})([DWMY])", facts.stated("PatientAge") or "")
    birth, then = facts.date("PatientBirthDate"), facts.study_date
    counted = (then - birth).days / _YEAR if birth and then else None
    years = int(stated[1]) * {"Y": 1.0, "M": 1 / 12, "W": 7 / _YEAR, "D": 1 / _YEAR}[stated[2]] if stated else None
    if stated is None and facts.stated("PatientAge"):
        yield Hit(Severity.WARNING, "Patient's Age is not written as DICOM writes ages", (Evidence("header", "PatientAge"),))
    for value, name in ((years, "PatientAge"), (counted, "PatientBirthDate")):
        if value is not None and value > 120:
            yield Hit(Severity.ERROR, f"an age of {value:.0f} years", (Evidence("header", name, round(value, 1)),))
    if years is not None and counted is not None and abs(years - counted) > 1.01:
        told = (Evidence("header", "PatientAge", round(years, 1)), Evidence("header", "PatientBirthDate", round(counted, 1)))
        yield Hit(Severity.WARNING, f"the age is {years:.0f}, birth and study date make {counted:.0f}", told)


def _both(name: str, value: str, other: str, other_value: str) -> tuple[Evidence, ...]:
    return (Evidence("header", name, value), Evidence("header", other, other_value))


def _and(names: set[str] | frozenset[str]) -> str:
    return " and ".join(sorted(names))
