"""`MedicalAugmentation`: a policy of operations, from TOML, and its application to a sample.

In: a `Sample`, the name of its item, the epoch, a seed. Out: a `Sample` with a `Record`. The same three and the same policy give the same pixels, in
whatever process and order: every operation draws from its own generator, seeded by SHA-256 of seed, epoch, item and its name.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from vesalius import config
from vesalius.data.augment.ranges import CT, HEAD, KINDS, OPERATIONS, PHOTO, TISSUE, Range, against_meaning, kind_of
from vesalius.data.augment.sample import Sample
from vesalius.data.augment.turn import Turn
from vesalius.data.augment.words import FLIP, forbidden, no_flip
from vesalius.data.phantoms import region_of
from vesalius.domain.study import Modality
from vesalius.errors import InvalidValue
from vesalius.registry import unknown

DEFAULT = Path(__file__).with_name("default.toml")
POLICIES: Mapping[str, Path] = MappingProxyType({"everyday": DEFAULT})  # those that ship, by name
EDITION = 1  # goes up when the same policy makes other pixels
_UNPAIRED = frozenset({"HEAD", "CHEST", "ABDOMEN"})  # regions whose organs tell left from right


class Lost(enum.StrEnum):
    """What to do when a mark would leave the picture."""

    AVOID = "avoid"  # halve the movement, four times at most, then leave it out
    DROP = "drop"  # move, and leave the mark out


@dataclasses.dataclass(frozen=True)
class Use:
    """One operation of a policy.

    Args:
        name: in the table `OPERATIONS`. probability: of being carried out on a sample.
        low, high: narrower than the admissible range; None is its end. For a kind of image whose range is narrower still, that one counts.
        unit: of low and high, needed where an operation has several; images whose range has another unit keep theirs.
        modalities: for which alone; empty is all.

    Raises:
        UnknownName: no such operation. InvalidValue: a probability outside [0, 1], or values beyond what is admissible for every kind of image.
    """

    name: str
    probability: float = 0.5
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    modalities: tuple[Modality, ...] = ()

    def __post_init__(self) -> None:
        if self.name not in OPERATIONS:
            raise unknown("augmentation", self.name, list(OPERATIONS))
        if not 0 <= self.probability <= 1:
            raise InvalidValue(f"the probability of {self.name} must lie in [0, 1] (got {self.probability:g})")
        units = sorted(OPERATIONS[self.name].units)
        if self.low is None and self.high is None:
            return
        if self.unit is None and len(units) > 1:
            raise InvalidValue(f"low and high of {self.name} need a unit", remedy="add unit = " + " or ".join(f'"{u}"' for u in units))
        if self.unit is not None and self.unit not in units:
            raise InvalidValue(f"{self.name} has no unit {self.unit!r}", remedy="use " + " or ".join(units))
        held = self._held_for()
        low, high = min(r.low for r in held), max(r.high for r in held)
        own = (low if self.low is None else self.low, high if self.high is None else self.high)
        if not low <= own[0] <= own[1] <= high:
            raise InvalidValue(
                f"{self.name} from {own[0]:g} to {own[1]:g} is not within {low:g} to {high:g} {held[0].unit}, what is admissible",
                remedy=f"narrow it ({held[0].reason})",
            )

    def _held_for(self) -> list[Range]:
        """The ranges that low and high narrow."""
        operation = OPERATIONS[self.name]
        wanted = {KINDS.get(m) for m in self.modalities}
        wanted |= {HEAD} if CT in wanted else set()
        found = [r for k, r in (*operation.ranges.items(), *operation.bare.items()) if self._counts(r) and (not wanted or k in wanted)]
        if not found:
            raise InvalidValue(f"{self.name} makes no sense for {', '.join(self.modalities)}", remedy="name other modalities")
        return found

    def _counts(self, admissible: Range) -> bool:
        return self.unit is None or admissible.unit == self.unit

    def within(self, admissible: Range) -> tuple[float, float]:
        """The part of an admissible range that the policy wants: all of it where its unit is another; its nearest end where they have nothing in common."""
        if not self._counts(admissible):
            return admissible.low, admissible.high
        low, high = (admissible.low if self.low is None else self.low), (admissible.high if self.high is None else self.high)
        return min(max(low, admissible.low), admissible.high), min(max(high, admissible.low), admissible.high)


@dataclasses.dataclass(frozen=True)
class Flip:
    """Permission to mirror: only samples all of whose labels are listed, and nothing else says a side. Without it nothing is ever mirrored."""

    labels: tuple[str, ...]
    probability: float = 0.5

    def __post_init__(self) -> None:
        if not self.labels or not 0 <= self.probability <= 1:
            raise InvalidValue("a flip needs labels and a probability in [0, 1]", remedy="list the labels that do not depend on the side")


@dataclasses.dataclass(frozen=True)
class MedicalAugmentation:
    """A policy; `read` makes it of TOML.

    Args:
        name: for the record. operation: what may be done; the order does not matter, see `OPERATIONS`.
        strength: 0 changes nothing, 1 goes to the ends of the ranges.
        visible: share of a box or mask that must stay on the picture, for it to be kept. lost: what to do when less would.
        seen: share of the whole picture that must stay on it. flip: None never mirrors.

    Raises:
        InvalidValue: a number outside its range, or an operation twice for one modality.
    """

    operation: tuple[Use, ...] = ()
    name: str = "unnamed"
    strength: float = 1.0
    visible: float = 0.75
    lost: Lost = Lost.AVOID
    seen: float = 0.85
    flip: Flip | None = None

    def __post_init__(self) -> None:
        for field in ("strength", "visible", "seen"):
            if not 0 <= getattr(self, field) <= 1:
                raise InvalidValue(f"{field} must lie in [0, 1] (got {getattr(self, field):g})")
        taken: set[tuple[str, Modality]] = set()
        for use in self.operation:
            own = {(use.name, m) for m in use.modalities or Modality}
            if taken & own:
                raise InvalidValue(f"{use.name} is listed twice for one modality", remedy="keep one of them, or name other modalities")
            taken |= own

    def apply(self, sample: Sample, *, item: str, epoch: int, seed: int) -> Sample:
        """The sample as this epoch sees it.

        Args:
            item: identity of the sample, such as its path; the images of one examination that must move alike share it. epoch, seed: not negative.

        Raises:
            InvalidValue: a negative number.
        """
        if epoch < 0 or seed < 0:
            raise InvalidValue(f"epoch and seed must not be negative (got {epoch}, {seed})")
        return Turn(self, sample, item, epoch, seed, drop=self.lost is Lost.DROP).taken()

    def blocked(self, sample: Sample) -> dict[str, str]:
        """Operations of the policy that a sample does not admit, each with its reason; those that make no sense for its kind of image are not named."""
        said = forbidden(sample)
        meaning = dict.fromkeys(sorted(against_meaning(sample.image)), f"the pixels are {sample.image.intensity} and would no longer be")
        found = {**meaning, **said}
        named = {u.name for u in self.operation if self.use(u.name, sample) and OPERATIONS[u.name].admitted(sample.image)}
        reason = no_flip(sample, self.flip.labels, _symmetric) if self.flip is not None else None
        return {name: why for name, why in found.items() if name in named} | ({FLIP: reason} if reason else {})

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what is done: the policy, the admissible ranges of its operations, and our edition of them."""
        held = {use.name: (OPERATIONS[use.name].ranges, OPERATIONS[use.name].bare) for use in self.operation}
        ranges = {name: [[(kind, r.low, r.high, r.unit) for kind, r in each.items()] for each in both] for name, both in held.items()}
        plain = {"edition": EDITION, "policy": dataclasses.asdict(self), "ranges": ranges}
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()

    def use(self, name: str, sample: Sample) -> Use | None:
        """How an operation is used on a sample."""
        return next((u for u in self.operation if u.name == name and (not u.modalities or sample.image.modality in u.modalities)), None)


def _symmetric(sample: Sample) -> bool:
    """Whether what is shown has no left and right of its own: tissue and photographs, limbs and the like; not head, chest, abdomen or what is unknown."""
    if kind_of(sample.image) in (TISSUE, PHOTO) and sample.image.modality is not Modality.OP:  # a fundus shows its side
        return True
    region = region_of(sample.image.body_part)
    return region is not None and region not in _UNPAIRED


def read(path: str | Path | None = None) -> MedicalAugmentation:
    """A policy from TOML; None reads the one that ships.

    Raises:
        ConfigError: not readable, an unknown key, a wrong type. UnknownName, InvalidValue: as `Use`, `Flip`, `MedicalAugmentation`.
    """
    return config.read(DEFAULT if path is None else path, MedicalAugmentation)


def named(policy: str) -> MedicalAugmentation:
    """A policy by its name among `POLICIES`, or by the path of its file.

    Raises:
        UnknownName: neither a name nor a file. Else as `read`.
    """
    if policy in POLICIES:
        return read(POLICIES[policy])
    path = Path(policy).expanduser()
    if path.suffix.lower() == ".toml" or path.is_file():
        return read(path)
    raise unknown("augmentation policy (or TOML file)", policy, list(POLICIES))
