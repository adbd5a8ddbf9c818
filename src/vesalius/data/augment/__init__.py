"""Other pictures that would have been as true: small changes of positioning, acquisition, display and storage, in physical units, that make no text untrue.

In: a `Sample` (image, texts, labels, boxes, points, masks) and a policy in TOML. Out: a `Sample` with a `Record` of what was done and what was refused. The
same item, epoch and seed give the same pixels in whatever process. Faults that a model is tested with are in `vesalius.data.corruptions`.
"""

from vesalius.data.augment.policy import POLICIES, Flip, Lost, MedicalAugmentation, Use, named, read
from vesalius.data.augment.ranges import OPERATIONS, Operation, Range, kind_of
from vesalius.data.augment.sample import Box, Done, Fate, Point, Record, Refusal, Sample
from vesalius.data.augment.words import forbidden

__all__ = [
    "OPERATIONS",
    "POLICIES",
    "Box",
    "Done",
    "Fate",
    "Flip",
    "Lost",
    "MedicalAugmentation",
    "Operation",
    "Point",
    "Range",
    "Record",
    "Refusal",
    "Sample",
    "Use",
    "forbidden",
    "kind_of",
    "named",
    "read",
]
