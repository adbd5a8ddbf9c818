"""What instruction data is made from: one row of text facts about one image, its permission checked before anything is sent anywhere.

In: a file of JSON lines with `id`, `source`, `image` and `caption` or `report`; also `mentions` (sentences of the article that speak of the figure), `prior`
(text about the earlier image) and `prior_image`, `cluster`, `regions` ([{"label", "box": [x0, y0, x1, y1]}], pixels) with `width` and `height`,
`deidentified` (true), `deidentified_by` and `licence`. Out: `Item`s, or `Held` rows with the reason. All marks are looked at before the first item is given.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from vesalius.data import base
from vesalius.errors import UserError

MOST_TEXT = 12_000  # characters of an item's texts together: four times the longest captions of articles
_LONGEST_LINE = 1 << 20
_KNOWN = frozenset(
    "id source image cluster caption report mentions prior prior_image regions width height deidentified deidentified_by licence".split()  # noqa: SIM905 - a list to be read
)
_IDENTIFIERS = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        ("a record number", r"\b(?:MRN|medical record|accession|patient id|hospital number)\b\s*(?:no\.?|number|#)?\s*[:#]?\s*[A-Z]{0,3}\d{4,}"),
        ("a birth date", r"\b(?:DOB|date of birth|born on)\b\s*:?\s*\d"),
        ("a patient's name", r"\bpatient(?:'s)? name\s*:\s*\S"),
        ("an e-mail address", r"\b[\w.+-]+@[\w-]+\.[a-z]{2,}\b"),
        ("a telephone number", r"(?<![\d.])(?:\+?1[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?![\d.])"),
    )
)
_ORDERS = tuple(
    (what, re.compile(pattern, re.IGNORECASE))
    for what, pattern in (
        ("ignore instructions", r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rules?|prompts?|above|previous|prior text)\b"),
        ("change of role", r"\byou are now\b|\bact as (?:a|an|the)\b|\bsystem prompt\b|\bnew instructions?\b"),
        ("order to write", r"\b(?:output|print|respond with|reply with|answer with|repeat)\b.{0,20}[\"'“‘:]"),
        ("control token", r"<\|[^|<>]{0,40}\|>|\[/?INST\]|</?s>|<(?:start|end)_of_turn>|<image>"),
    )
)


class SourceError(UserError):
    """The input cannot be used as a whole."""


@dataclasses.dataclass(frozen=True)
class Region:
    """A labelled box: name ("R1"), label, pixels x0, y0, x1, y1."""

    name: str
    label: str
    box: tuple[float, float, float, float]


@dataclasses.dataclass(frozen=True)
class Item:
    """One row.

    Args:
        text: the caption or report; `kind` says which. mentions: sentences that speak of the figure. prior: text about the earlier image, "" for none.
        size: width and height of the image in pixels, which regions need.
        basis: why it may be used: who marked it as de-identified, or what the public source is.
        suspicious: kinds of order found in the texts; they stay data. cluster: what splits must keep together (a patient's pseudonym), "" where it is not told.
    """

    id: str
    source: str
    image: str
    kind: str
    text: str
    basis: str
    mentions: tuple[str, ...] = ()
    prior: str = ""
    prior_image: str = ""
    regions: tuple[Region, ...] = ()
    size: tuple[int, int] | None = None
    suspicious: tuple[str, ...] = ()
    cluster: str = ""

    def sha256(self) -> str:
        """Of the caption or report alone, UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()

    def facts(self, needs: Collection[str]) -> dict[str, Any]:
        """What a writer is shown: the text with its mentions; the text on the earlier image ("prior") and regions with their place in per cent where needed."""
        shown: dict[str, Any] = {self.kind: self.text}
        if self.mentions:
            shown["mentions"] = list(self.mentions)
        if "prior" in needs:
            shown["prior"] = self.prior
        if "regions" in needs and self.size is not None:
            width, height = self.size
            shown["regions"] = [
                {"name": r.name, "label": r.label, "place": [round(100 * v / s) for v, s in zip(r.box, (width, height, width, height), strict=True)]}
                for r in self.regions
            ]
        return shown


@dataclasses.dataclass(frozen=True)
class Held:
    """A row that nothing is made from. line: its number. id: "" where it has none."""

    line: int
    id: str
    reason: str


@functools.lru_cache(maxsize=1)
def public_sources() -> Mapping[str, Mapping[str, str]]:
    """Sources that need no mark: name -> kind and reason."""
    text = importlib.resources.files(__package__).joinpath("sources.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def count(path: Path) -> int:
    """Rows of the file, after looking at the mark of each.

    Raises:
        SourceError: no such file, no row, or a row that may not be used: not marked as de-identified and of no public source, or of a data set whose licence
            forbids training, without a licence of its own.
    """
    found = 0
    for number, row in _raw(path):
        found += 1
        if isinstance(row, Mapping):
            _basis(row, f"{path}: line {number}")
    if not found:
        raise SourceError(f"{path}: holds no row", remedy="give a file of JSON lines with id, source, image and caption or report")
    return found


def read(path: Path) -> Iterator[Item | Held]:
    """Every row of the file as an item, or held back with its reason; the second of two equal ids is held back. Raises: SourceError, as `count`."""
    seen: dict[str, int] = {}
    for number, row in _raw(path):
        made = row if isinstance(row, Held) else _item(row, number, f"{path}: line {number}")
        if isinstance(made, Item):
            if made.id in seen:
                made = Held(number, made.id, f"the id of line {seen[made.id]} again")
            else:
                seen[made.id] = number
        yield made


def _raw(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | Held]]:
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE and not line.endswith(b"\n"):
                    while (rest := stream.readline(_LONGEST_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield number, Held(number, "", f"the line has more than {_LONGEST_LINE:,} bytes")
                elif line.strip():
                    yield number, _parsed(line, number)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})", remedy="give an existing file of JSON lines") from error


def _parsed(line: bytes, number: int) -> Mapping[str, Any] | Held:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return Held(number, "", "the line is not JSON")
    return row if isinstance(row, dict) else Held(number, "", "the line is not an object")


def _basis(row: Mapping[str, Any], where: str) -> str:
    """Why a row may be used. Raises: SourceError."""
    source, licensed = row.get("source"), ""
    forbidding = _forbidding(source) if isinstance(source, str) else None
    if forbidding is not None:
        own = _own_licence(row, where)
        if not own:
            remedy = 'leave its rows out, or write the licence under which you may train on it into the "licence" of each'
            raise SourceError(f"{where}: {source} may not be trained on ({forbidding})", remedy=remedy)
        licensed = f"; licence stated: {own}"
    if row.get("deidentified") is True:
        by = row.get("deidentified_by")
        return "marked as de-identified" + (f" by {by}" if isinstance(by, str) and by else "") + licensed
    public = public_sources().get(source) if isinstance(source, str) else None
    if public is None:
        what = f"{where}: is not marked as de-identified, and {source!r} is not a public source"
        raise SourceError(what, remedy='run vesalius deidentify on it and write "deidentified": true into each row, or name the public source it comes from')
    return f"{public['kind']}: {public['reason']}{licensed}"


@functools.lru_cache(maxsize=256)
def _forbidding(source: str) -> str | None:
    """The licence of a known data set that must not be trained on; None for any other. Kept: a look into the table takes 40 ms."""
    if source not in base.TABLE:
        return None
    card = base.TABLE.load(source).card
    return None if card.train_allowed else str(card.licence)


def _own_licence(row: Mapping[str, Any], where: str) -> str:
    """What the row says of its own licence. Raises: SourceError, where that forbids derived work."""
    own = row.get("licence")
    own = " ".join(own.split())[:80] if isinstance(own, str) else ""
    if re.search(r"\bND\b|no.?deriv", own, re.IGNORECASE):
        raise SourceError(f"{where}: its licence ({own}) forbids derived work, which questions about it are", remedy="leave the row out")
    return own


def _item(row: Mapping[str, Any], number: int, where: str) -> Item | Held:
    name = row.get("id")
    name = name.strip() if isinstance(name, str) else ""
    basis = _basis(row, where)
    try:
        return _built(row, name, basis)
    except ValueError as error:
        return Held(number, name, str(error))


def _built(row: Mapping[str, Any], name: str, basis: str) -> Item:
    """Raises: ValueError with the reason, which quotes no text of the row."""
    if not name or len(name) > 200:
        raise ValueError("it has no id, or a very long one")
    strange = sorted(set(row) - _KNOWN)
    if strange:
        raise ValueError(f"it has the unknown field {strange[0][:40]!r}")
    texts = {key: _text(row, key) for key in ("source", "image", "caption", "report", "prior", "prior_image", "cluster")}
    if not texts["source"] or not texts["image"]:
        raise ValueError("it names no source, or no image")
    if bool(texts["caption"]) == bool(texts["report"]):
        raise ValueError("it has both a caption and a report" if texts["caption"] else "its caption is empty")
    kind = "caption" if texts["caption"] else "report"
    mentions = _mentions(row.get("mentions", []))
    told = "\n".join(filter(None, (texts[kind], *mentions, texts["prior"])))
    if len(told) > MOST_TEXT:
        raise ValueError(f"its texts have {len(told):,} characters, more than {MOST_TEXT:,}")
    if not re.search(r"[^\W\d_]{2}", texts[kind]):
        raise ValueError("its caption holds no word")
    for what, pattern in _IDENTIFIERS:
        if pattern.search(told):
            raise ValueError(f"it seems to hold {what}, though it is said to hold no identifier")
    size = _size(row)
    regions = _regions(row.get("regions", []), size)
    told += "\n" + "\n".join(region.label for region in regions)
    suspicious = tuple(what for what, pattern in _ORDERS if pattern.search(told))
    return Item(
        name,
        texts["source"],
        texts["image"],
        kind,
        texts[kind],
        basis,
        mentions,
        texts["prior"],
        texts["prior_image"],
        regions,
        size,
        suspicious,
        texts["cluster"],
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"its {key} is not a text")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"its {key} holds half a character") from None
    return " ".join(value.split())


def _mentions(value: Any) -> tuple[str, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise ValueError("its mentions are not a list of texts")
    return tuple(text for entry in value if (text := _text({"mentions": entry}, "mentions")))


def _size(row: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = row.get("width"), row.get("height")
    if width is None and height is None:
        return None
    if type(width) is not int or type(height) is not int or width < 1 or height < 1:
        raise ValueError("its width and height are not two numbers of pixels")
    return width, height


def _regions(value: Any, size: tuple[int, int] | None) -> tuple[Region, ...]:  # noqa: ANN401
    if not isinstance(value, list):
        raise ValueError("its regions are not a list")
    if value and size is None:
        raise ValueError("it has regions but no width and height")
    made = []
    for number, entry in enumerate(value, start=1):
        label = _text(entry, "label") if isinstance(entry, Mapping) else ""
        box = entry.get("box") if isinstance(entry, Mapping) else None
        if not label or not isinstance(box, list) or len(box) != 4 or not all(type(v) in (int, float) and math.isfinite(v) for v in box):
            raise ValueError(f"its region {number} has no label, or no box of four numbers")
        x0, y0, x1, y1 = map(float, box)
        assert size is not None
        if not (0 <= x0 < x1 <= size[0] and 0 <= y0 < y1 <= size[1]):
            raise ValueError(f"its region {number} does not lie inside the image")
        made.append(Region(f"R{number}", label, (x0, y0, x1, y1)))
    return tuple(made)
