"""Small cases for the tests of the validator."""

import datetime

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from vesalius.data.validate import Case, ClinicalValidator
from vesalius.domain.study import Image, Intensity, Modality, Window

TODAY = datetime.date(2026, 1, 15)
SEVERITIES = ("note", "warning", "error")


def hits(rule, **facts):
    """(severity, message) of one rule on one case; the rule must have run."""
    checked = ClinicalValidator([rule], today=TODAY)(Case("a", **facts))
    assert checked.applied == (rule,), checked.left_out
    return [(str(r.severity), r.message) for r in checked.remarks]


def film(rows=256, cols=256):
    """A drawn frontal chest film, 0..255: bright spine and belly, dark lungs, dark air above the shoulders."""
    y, x = np.mgrid[0:rows, 0:cols] / [[[rows]], [[cols]]]
    grey = 120 + 30 * np.sin(9 * x) * np.cos(7 * y)
    for left in (0.27, 0.73):
        grey[((x - left) / 0.16) ** 2 + ((y - 0.45) / 0.28) ** 2 < 1] -= 80
    grey[abs(x - 0.5) < 0.06] += 80
    grey[y > 0.75] += 40
    grey[(y < 0.17) & (abs(x - 0.5) > 0.33)] = 5
    return np.clip(grey, 0, 255).astype(np.float32)


def image(pixels=None, **facts):
    """An 8-bit film as a picture gives it."""
    shown = film() if pixels is None else np.asarray(pixels, np.float32)
    given = {"modality": Modality.CR, "body_part": "CHEST", "view": "PA", "voi": (Window(127.5, 255.0, "LINEAR_EXACT"),), **facts}
    return Image(pixels=shown[None], intensity=Intensity.RELATIVE, **given)


def header(**elements):
    """An uncompressed chest film of 8 x 8 pixels, 16 bits."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    given = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1",
        "SOPInstanceUID": "2.25.1",
        "Modality": "CR",
        "BodyPartExamined": "CHEST",
        "ViewPosition": "PA",
        "Rows": 8,
        "Columns": 8,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": bytes(128),
        **elements,
    }
    for keyword, value in given.items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW"
    return dataset
