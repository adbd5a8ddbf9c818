"""dicom-anonymizer. default: as it comes. best: rules that keep the patient's characteristics, as its documentation shows for other tags."""

import _common
from dicomanonymizer.simpledicomanonymizer import anonymize_dicom_file, keep
from pydicom.datadict import tag_for_keyword


def make(mode, lists):
    rules = {}
    if mode == "best":
        for keyword in lists["characteristics"]:
            tag = tag_for_keyword(keyword)
            rules[(tag >> 16, tag & 0xFFFF)] = keep
    return lambda path, out: anonymize_dicom_file(str(path), str(out), rules or None)


_common.run(make)
