"""dicognito. default: as it comes. best: its own handler strips the standard's descriptors and device identities; private attributes are removed first."""

import _common
import pydicom
from dicognito.anonymizer import Anonymizer
from dicognito.unwantedelements import UnwantedElementsStripper


def make(mode, lists):
    anonymizer = Anonymizer(seed="benchmark")
    if mode == "best":
        anonymizer.add_element_handler(UnwantedElementsStripper(*lists["descriptors"], *lists["devices"]))

    def work(path, out):
        dataset = pydicom.dcmread(path)
        if mode == "best":
            dataset.remove_private_tags()
        anonymizer.anonymize(dataset)
        dataset.save_as(out)

    return work


_common.run(make)
