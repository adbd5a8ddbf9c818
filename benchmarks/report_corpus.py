"""Made-up radiology reports with planted identifiers and planted words that must stay: everything in them is invented.

In: a seed and a part: `open`, whose formats the rules were written beside; `held`, whose formats and names were written when the rules were first finished;
`fresh`, written after what `held` taught had been mended; `unseen`, written after a second reading of the rules.
Out: `Made` reports: the text, what the header of the study would say, and where the identifiers (with kind) and the words to keep stand.

In a phrase `<kind>` is an identifier, `{...}` words that must stay.
"""

from __future__ import annotations

import dataclasses
import datetime
import random
import re
import tomllib
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Made:
    """One report. `planted`: start, end, kind; `kept`: start, end of words that must stay."""

    text: str
    header: tuple[str, ...]
    identity: str
    planted: tuple[tuple[int, int, str], ...]
    kept: tuple[tuple[int, int], ...]


class Maker:
    """Reports of one part from one seed."""

    def __init__(self, seed: int, part: str) -> None:
        self.random = random.Random(f"{seed} {part}")
        data = tomllib.loads(Path(__file__).with_name(f"report_{part}.toml").read_text(encoding="utf-8"))
        self.given, self.family, self.places, self.towns, self.streets = (data[name].split() for name in ("given", "family", "places", "towns", "streets"))
        self.addresses: list[str] = data.get("addresses", [])
        self.phrases, self.findings, self.eponyms, self.dates, self.phones, self.forms = (
            data[name] for name in ("phrases", "findings", "eponyms", "dates", "phones", "forms")
        )

    def report(self) -> Made:
        """One more report."""
        pick = self.random.sample
        given, family, middle = self.random.choice(self.given), self._family(), self.random.choice("ABCDEFGHJKLMNPRSTW")
        number = str(self.random.randint(10**6, 10**8))
        self.patient = given, family, middle, number
        body = [*pick(self.phrases["body"], 6), *pick(self.findings, 4), *pick(self.eponyms, 2)]
        self.random.shuffle(body)
        lines = [*pick(self.phrases["head"], 4), "FINDINGS: " + " ".join(body), *pick(self.phrases["sign"], 2)]
        text = "\n".join(lines)
        made = self._filled(text, (f"{family}^{given}^{middle}", number), number)
        return dataclasses.replace(made, text=made.text.upper()) if self.random.random() < 0.12 else made

    def _filled(self, text: str, header: tuple[str, ...], identity: str) -> Made:
        planted, kept, parts, length = [], [], [], 0
        for piece in re.split(r"(<\w+>|\{[^}]*\})", text):
            new = piece
            if piece.startswith("<"):
                new, kind = self._value(piece[1:-1])
                planted.append((length, length + len(re.sub(r"T\d\d:\d\d:\d\d$", "", new)), kind))  # a time of day may stay
            elif piece.startswith("{"):
                new = piece[1:-1]
                kept.append((length, length + len(new)))
            parts.append(new)
            length += len(new)
        return Made("".join(parts), header, identity, tuple(planted), tuple(kept))

    def _value(self, slot: str) -> tuple[str, str]:
        given, family, middle, number = self.patient
        pick = self.random.choice
        other, olast = pick(self.given), self._family()
        number_of = self.random.randint
        mail = f"{other.lower()}.{re.sub('[^a-z]', '', olast.lower())}{number_of(1, 99)}@{pick(['gmail.com', 'hospital.org', 'med.example.edu'])}"
        site = pick(["https://pacs.{0}.org/v?s={1}", "http://www.{0}.com/{1}", "www.{0}-imaging.net"]).format(pick(self.places).lower(), number_of(100, 9999))
        makers: dict[str, tuple[str, str]] = {
            "pn": (f"{family}, {given} {middle}", "patient's name"),
            "PN": (f"{family}, {given}".upper(), "patient's name"),
            "full": (pick([f"{given} {family}", f"{given} {middle}. {family}"]), "patient's name"),
            "last": (family, "patient's name"),
            "first": (given, "patient's name"),
            "other": (pick([f"{other} {olast}", f"{other} {pick('ABCDEGHJKLMR')}. {olast}", f"{other[0]}. {olast}"]), "other's name"),
            "olast": (olast, "other's name"),
            "ofirst": (other, "other's name"),
            "opn": (f"{olast}, {other}", "other's name"),
            "OPN": (f"{olast}, {other}".upper(), "other's name"),
            "id": (number, "record number"),
            "date": (self._date(), "date"),
            "acc": (pick(["{}", "A{}", "CR-{}", "{}-01", "RAD{}"]).format(number_of(10**6, 10**8)), "accession"),
            "ins": (pick(["XWZ{}", "{}-02", "H{}A", "{}"]).format(number_of(10**7, 10**9)), "insurance"),
            "ssn": (pick(["123-45-6789", f"{number_of(100, 899)}-{number_of(10, 99)}-{number_of(1000, 9999)}"]), "social security"),
            "phone": (pick(self.phones).format(number_of(201, 989), number_of(200, 999), f"{number_of(0, 9999):04d}"), "phone or fax"),
            "mail": (mail, "e-mail"),
            "url": (site, "URL"),
            "ip": (".".join(str(number_of(1, 254)) for _ in range(4)), "IP"),
            "age": (str(number_of(90, 106)), "age above 89"),
            "addr": (self._address(), "address"),
            "town": (pick(self.towns), "address"),
            "place": (pick(self.places).replace("-", " "), "hospital"),
            "serial": (pick(["PX-{}", "SN{}B", "{}", "MDT{}"]).format(number_of(10**4, 10**7)), "serial"),
            "uid": ("1.2.840.113619." + ".".join(str(number_of(1, 10**6)) for _ in range(5)), "UID"),
        }
        if slot in self.forms:
            return self._form(pick(self.forms[slot]["any"])), self.forms[slot]["kind"]
        return makers[slot]

    def _form(self, form: str) -> str:
        """A pattern of the held part: # a digit, @ a capital letter."""
        return "".join(str(self.random.randint(1, 9)) if sign == "#" else self.random.choice("ABCDEFGHJKMNPRSTUVWX") if sign == "@" else sign for sign in form)

    def _family(self) -> str:
        return self.random.choice(self.family).replace("~", " ")

    def _date(self) -> str:
        return (datetime.date(1996, 1, 1) + datetime.timedelta(days=self.random.randint(0, 9000))).strftime(self.random.choice(self.dates))

    def _address(self) -> str:
        pick = self.random.choice
        if self.addresses:
            form, street, town = pick(self.addresses), pick(self.streets).replace("-", " "), pick(self.towns)
            return form.format(n=self.random.randint(1, 9999), street=street, town=town, zip=self.random.randint(10000, 99999))
        street = f"{self.random.randint(1, 9999)} {pick(self.streets)} {pick(['Street', 'Ave', 'Rd.', 'Drive', 'Blvd', 'Lane'])}"
        return pick(
            [
                f"{street}, {pick(self.towns)}, OH {self.random.randint(10000, 99999)}",
                street,
                f"{street}, Apt 4B, {pick(self.towns)}, TX {self.random.randint(10000, 99999)}",
            ]
        )
