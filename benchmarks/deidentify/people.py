"""Invented people and places, and sentences that hold them.

In: a random generator. Out: `Person`s; `Told` texts, with the words that must go and those that must stay. In a template `<kind>` is an identifier and `{...}`
are words that must stay.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
import re

_GIVEN = [
    "Mirela",
    "Tobias",
    "Annika",
    "Joaquin",
    "Priya",
    "Wendell",
    "Soraya",
    "Kenji",
    "Bettina",
    "Lucian",
    "Amara",
    "Horace",
    "Noemi",
    "Stellan",
    "Ida",
    "Marcus",
    "Linda",
    "Robert",
    "Helen",
    "George",
]
_HEADS, _ENDS = (
    ["Ost", "Brav", "Kell", "Mar", "Vand", "Thorn", "Hol", "Rud", "Fen", "Gal", "Wex", "Lor", "Tam", "Pell", "Sor", "Dunn"],
    ["erling", "ovic", "berg", "amund", "ington", "escu", "wright", "zola", "inen", "quist", "ardo", "akis"],
)
_COMMON = ["Miller", "Davis", "Ramirez", "Chen", "Patel", "Novak", "Becker", "Rossi", "Tanaka", "Hughes"]
_TOWNS = ["Orrinsfeld", "Dalbury", "Veltham", "Castrona", "Milbrook", "Quennelle", "Sandhaven", "Torrevik"]
_STREETS = ["Alder", "Birchfield", "Cobbler", "Fennimore", "Garnet", "Juniper", "Kestrel", "Larkspur"]
_KINDS = ["Hospital", "Medical Center", "Clinic", "Infirmary"]


@dataclasses.dataclass(frozen=True)
class Person:
    """A patient. `born` and `first`, the day of the first study, are true dates."""

    given: str
    family: str
    number: str
    born: datetime.date
    first: datetime.date
    street: str
    town: str
    phone: str
    sex: str
    hospital: str
    hospital_kind: str

    @property
    def name(self) -> str:
        return f"{self.family}^{self.given}"

    def age(self, day: datetime.date) -> int:
        return (day - self.born).days // 365


@dataclasses.dataclass(frozen=True)
class Told:
    """A text, the words in it that identify, and the words that must stay."""

    text: str
    secret: tuple[str, ...]
    kept: tuple[str, ...]


def family(rng: random.Random) -> str:
    return rng.choice(_COMMON) if rng.random() < 0.25 else rng.choice(_HEADS) + rng.choice(_ENDS)


def person(rng: random.Random) -> Person:
    first = datetime.date(2012, 1, 1) + datetime.timedelta(days=rng.randrange(4000))
    born = first - datetime.timedelta(days=rng.randrange(20 * 366, 96 * 365))
    phone = f"{rng.randrange(201, 989)}-{rng.randrange(201, 989)}-{rng.randrange(1000, 9999)}"
    sex, number = rng.choice("MF"), str(rng.randrange(10**6, 10**8))
    hospital = rng.choice(_HEADS) + rng.choice(_ENDS)
    street = f"{rng.randrange(11, 9899)} {rng.choice(_STREETS)} {rng.choice(('Street', 'Avenue', 'Road'))}"
    return Person(rng.choice(_GIVEN), family(rng), number, born, first, street, rng.choice(_TOWNS), phone, sex, hospital, rng.choice(_KINDS))


def serial(rng: random.Random) -> str:
    return "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(2)) + str(rng.randrange(10**6, 10**7))


_FORMS = ("%m/%d/%Y", "%Y-%m-%d", "%d %B %Y", "%b %d, %Y", "%Y%m%d")


class Teller:
    """Fills templates for one patient on one day."""

    def __init__(self, rng: random.Random, who: Person, day: datetime.date, accession: str) -> None:
        self.rng, self.who, self.day, self.accession = rng, who, day, accession

    def tell(self, template: str) -> Told:
        parts, secret, kept = [], [], []
        for piece in re.split(r"(<\w+>|\{[^}]*\})", template):
            if piece.startswith("<"):
                text, words = self._value(piece[1:-1])
                secret += words
                parts.append(text)
            elif piece.startswith("{"):
                kept += piece[1:-1].split()
                parts.append(piece[1:-1])
            else:
                parts.append(piece)
        return Told("".join(parts), tuple(secret), tuple(kept))

    def _value(self, kind: str) -> tuple[str, list[str]]:
        who, rng = self.who, self.rng
        if kind == "name":
            text = rng.choice((f"{who.family}, {who.given}", f"{who.given} {who.family}", f"{who.family.upper()} {who.given.upper()}"))
            return text, [who.family, who.given]
        if kind in ("family", "other"):
            text = who.family if kind == "family" else family(rng)
            return text, [text]
        if kind == "full":
            given, last = rng.choice(_GIVEN), family(rng)
            return f"{given} {last}", [given, last]
        if kind == "date":
            day = self.day - datetime.timedelta(days=rng.randrange(1, 900))
            text = day.strftime(rng.choice(_FORMS))
            return text, [text]
        if kind == "age":
            years = rng.randrange(91, 99)
            return str(years), [str(years)]
        if kind == "hospital":
            return f"{who.hospital} {who.hospital_kind}", [who.hospital]
        if kind == "place":
            text = rng.choice(_HEADS) + rng.choice(_ENDS)
            return f"{text} {rng.choice(_KINDS)}", [text]
        if kind == "street":
            return f"{who.street}, {who.town}", [who.street, who.town]
        if kind == "mail":
            text = f"{who.given.lower()}.{who.family.lower()}@{who.hospital.lower()}.org"
            return text, [text]
        text = {"mrn": who.number, "acc": self.accession, "phone": who.phone, "serial": serial(rng)}[kind]
        return text, [text]
