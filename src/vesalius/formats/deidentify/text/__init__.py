"""De-identification of free text: reports, and the text elements of a DICOM header.

In: a text, a key, what the study's header says about the patient. Out: the text with surrogates, and where they stand.
"""

from vesalius.formats.deidentify.text.cleaner import TextCleaner
from vesalius.formats.deidentify.text.names import Finder, PresidioFinder
from vesalius.formats.deidentify.text.spans import Cleaned, Span
from vesalius.formats.deidentify.text.surrogates import without_marks

__all__ = ["Cleaned", "Finder", "PresidioFinder", "Span", "TextCleaner", "without_marks"]
