"""Reports beside the images.

In: a study. Out: a text file with identifiers and words that must stay, and its items.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from deidentify.items import Item
from deidentify.people import Teller

if TYPE_CHECKING:
    from deidentify.corpus import Study

_HEAD = (
    "PATIENT: <name>    MRN: <mrn>",
    "Accession <acc>, examined on <date>",
    "Institution: <hospital>",
    "Home: <street>, tel. <phone>",
    "Requested by Dr. <other>",
)
_BODY = (
    "{Comparison} with the film of <date>.",
    "Mr. <family> is {dyspneic} and has {fever}.",
    "<age>-year-old with {cough}.",
    "{Foley} {catheter} and {Swan-Ganz} {line} in place.",
    "{Kerley} {B} {lines}, no {effusion}.",
    "{Baker} {cyst} of 3.5 x 4.2 {cm}.",
    "The {heart} is {normal} in size; {cardiothoracic} ratio 0.48.",
    "{Bochdalek} {hernia} is {unchanged}.",
    "Findings were told to Dr. <other> by phone at <phone>.",
    "The daughter, <full>, was told as well.",
    "Previous surgery at <hospital> on <date>.",
    "Past {medical} {history} is {unremarkable}; a line in the {center} of the {image}.",
    "Transferred from <place> on <date> with {sepsis}.",
    "<name> was {extubated} today.",
    "{Colles} {fracture}, healed, at {T11/12} no change.",
    "{Hodgkin} {lymphoma} in {remission}.",
    "Write to <mail> for the {images}.",
    "{Pacemaker} with serial number <serial>.",
    "{Endotracheal} {tube} 3 cm above the {carina}.",
)
_SIGNED = ("Electronically signed by <full>, MD, on <date>", "Dictated by Dr. <other>", "Read by: <full>, M.D.")


def write(study: Study, source: Path) -> list[Item]:
    """Write one report; the items of it."""
    rng = study.rng
    teller = Teller(rng, study.who, study.day, study.accession)
    lines = [*rng.sample(_HEAD, 3), "", *rng.sample(_BODY, 8), "", rng.choice(_SIGNED)]
    told = [teller.tell(line) for line in lines]
    name = f"{study.folder}/report.txt"
    (source / name).write_text("\n".join(one.text for one in told), encoding="utf-8")
    found = []
    for one in told:
        found += [Item(name, study.patient, "identifiers in reports", "gone", ("text",), [word]) for word in one.secret]
        found += [Item(name, study.patient, "words of reports", "kept", ("text",), [word], {"words": True}) for word in one.kept]
    return found
