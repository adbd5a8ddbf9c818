"""De-identification of DICOM headers: the Basic Profile of DICOM PS3.15 Annex E with its options, keyed pseudonyms, and a record of every change.

In: a pydicom dataset, a `Profile`, a `Key`. Out: a new dataset and `Action` records. Pixels (`burned`) and free text (`text`)
have packages of their own; `verify` searches the result.
"""

from vesalius.formats.deidentify.engine import Action, Cleaners, deidentify
from vesalius.formats.deidentify.profile import Profile
from vesalius.formats.deidentify.pseudonyms import Key

__all__ = ["Action", "Cleaners", "Key", "Profile", "deidentify"]
