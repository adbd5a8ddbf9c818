"""Does the report fit what is known of the images: side, view, number, modality, earlier studies; and can its measurements and dates be so.

In: `Facts` with a report. Out: hits. Sentences that tell of another study, or recommend one, are not held against this one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from vesalius.data.validate import words
from vesalius.data.validate.case import Facts
from vesalius.data.validate.remark import Evidence, Hit, Severity
from vesalius.data.validate.text import FOUND, Sentence
from vesalius.metrics.labels import Status

_ELSEWHERE = words.any_of(
    r"compar\w+ prior previous\w* earlier old outside recommend\w* suggest\w* consider\w* follow[-_]?up further could may might would if "
    r"correlat\w+ repeat history recent\w* subsequent advised? obtain\w* dated from since refer see seen_on needed evaluat\w+ sensitiv\w+ "
    r"concurrent same_day today's helpful better"
)
_COUNTED = {"one": 1, "single": 1, "1": 1, "two": 2, "2": 2, "three": 3, "3": 3, "four": 4, "4": 4}
_COUNT = re.compile(
    r"\b(one|single|two|three|four|[1-4]) (?:(?:portable|frontal|upright|ap|pa|additional|total|chest) )*(?:views?|images?|radiographs?|films?)\b|\b([1-4])v\b",
    re.IGNORECASE,
)
_TAKEN = re.compile(
    r"\b(?:views?|radiographs?|films?|images?|projections?|x-?rays?|chest|frontal|portable|(?:pa|ap) (?:and|&|/) ?lat\w*|upright|supine)\b", re.IGNORECASE
)
_ONLY_BY = {
    "CT": r"\b(?:axial (?:ct )?(?:images|slices)|hounsfield|\bhu\b|multiplanar|lung windows?|bone windows?|helical|thin[- ]section|contrast[- ]enhanced)\b",
    "MR": r"\b(?:t[12][- ]?weighted|flair|dwi|adc map|stir|gadolinium|diffusion[- ]weighted|signal intensity|hyperintens\w+|hypointens\w+)\b",
    "US": r"\b(?:hypoechoic|hyperechoic|anechoic|echogenic\w*|doppler|transducer|sonographic\w*)\b",
    "PT": r"\b(?:suv(?:max)?|fdg|hypermetabolic)\b",
    words.FILM: r"\b(?:(?:pa|ap) (?:and|&) lateral|portable (?:ap|chest)|costophrenic angles?|frontal and lateral)\b",
}
_METHOD = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _ONLY_BY.items()}
_THIS = re.compile(r"^(?:ct|mri?|ultrasound|x-?ray|radiographs?) (?:of|scan|chest|abdomen|head|brain)\b", re.IGNORECASE)
_CHANGE = words.any_of(
    r"unchanged interval(?!_of) stable again_(?:seen|noted|identified|demonstrated|visuali[sz]ed) redemonstrat\w+ worsen\w+ improv(?:ed|ing|ement) "
    r"no_(?:significant_)?change compared_(?:to|with)(?!_(?:the_)?(?:left|right|contralateral|other)) in_comparison as_before "
    r"(?:previously|prior)_(?:seen|noted|described|stud\w+|exam\w*|film\w*|radiograph\w*) no_longer new_since "
    r"since_(?:the_)?(?:prior|previous|last)"
)
_NOT_OF_IMAGES = words.any_of(
    r"clinical\w* symptoms? hemodynamic\w* medical(?:ly)?_stable if recommend\w* until may follow[-_]?up would could suggest\w* "
    r"(?:no|without|absence_of|lack_of)_(?:\w+_)?(?:prior|previous|comparison)\w* ensure document\w* "
    r"(?:prior|previous)_(?:surg\w+|granulomatous|infect\w+|fracture|trauma|inflamm\w+|exposure)"
)


def side(facts: Facts) -> Iterator[Hit]:
    """The report speaks of the other side than the image shows; images of both sides have no laterality."""
    for sentence in _of_this(facts):
        named = words.sides(sentence.text)
        if facts.side and named and facts.side not in named:
            other = next(iter(named))
            yield Hit(
                Severity.ERROR,
                f"the image is of the {facts.side} side, the report says {other}",
                (Evidence("header", "Laterality", facts.side), _at(sentence, other)),
            )
            return


def box_side(facts: Facts) -> Iterator[Hit]:
    """A finding's boxes all lie on one side of a frontal film, and the report puts it on the other alone. The image's left half is the patient's right."""
    image = facts.image
    if image is None or facts.report is None or facts.view not in (words.PA, words.AP) or facts.modality != words.FILM:
        return
    from vesalius.data.validate.case import finding_name

    middle = image.cols / 2
    for finding in facts.boxes or ():
        drawn = {words.RIGHT if (r.x0 + r.x1) / 2 < middle else words.LEFT for r in finding.regions}
        name = finding_name(finding.name)
        told = [s for s in facts.report.found if s.says.get(name) is Status.POSITIVE]
        said = set().union(*(words.sides(s.text) for s in told)) if told else set()
        if len(drawn) == 1 and len(said) == 1 and drawn != said:
            evidence = (Evidence("labels", name, next(iter(drawn))), _at(told[0], next(iter(said))))
            yield Hit(Severity.ERROR, f"{name.replace('_', ' ')} is drawn {next(iter(drawn))}, the report says {next(iter(said))}", evidence)


def view(facts: Facts) -> Iterator[Hit]:
    """The report names a view that none of the images has."""
    for sentence in _of_this(facts):
        named = words.views(sentence.text) if _TAKEN.search(sentence.text) else set()
        lacking = named - (facts.views or frozenset()) - _of_parts(sentence, named)
        if facts.views and lacking:
            what = " and ".join(sorted(lacking))
            told = (Evidence("case", "views", " ".join(sorted(facts.views))), _at(sentence, what))
            yield Hit(Severity.WARNING, f"the report names a view {what}, the images are {' and '.join(sorted(facts.views))}", told)
            return


def _of_parts(sentence: Sentence, named: set[str]) -> set[str]:
    """Views named for a part of the body: "lateral" is a view only beside a word for a picture: "the lateral view", not "the lateral ribs"."""
    if words.LAT not in named:
        return set()
    shown = re.search(
        r"\blat(?:eral)?\b[ ,]*(?:views?|radiographs?|films?|images?|projections?|chest|examination|x-?rays?)|\b(?:pa|ap|frontal)[ ,]*(?:and|&|/)? ?lat",
        sentence.text,
        re.IGNORECASE,
    )
    return set() if shown else {words.LAT}


def count(facts: Facts) -> Iterator[Hit]:
    """The report counts more views than there are images."""
    for sentence in _of_this(facts):
        match = _COUNT.search(sentence.text)
        said = _COUNTED[(match[1] or match[2]).lower()] if match else None
        shown = words.regions(sentence.text)
        if shown and facts.body and not shown <= facts.body:  # a second examination in the same report
            continue
        if facts.images and said is not None and said > facts.images:
            told = (Evidence("case", "images", facts.images), _at(sentence, match.group() if match else None))
            yield Hit(Severity.WARNING, f"the report tells of {said} views, there {'is' if facts.images == 1 else 'are'} {facts.images}", told)
            return


def modality(facts: Facts) -> Iterator[Hit]:
    """Words that only another modality has, in a sentence about this study."""
    for sentence in _of_this(facts):
        for name, pattern in _METHOD.items():
            match = pattern.search(sentence.text)
            if match and name != facts.modality and not (name == "CT" and facts.modality in ("MR", "PT")):
                yield Hit(
                    Severity.WARNING,
                    f"a report in words of {name} for an image of {facts.modality}",
                    (Evidence("case", "modality", facts.modality), _at(sentence, match.group())),
                )
                return
        begins = words.modalities(sentence.text) if _THIS.search(sentence.text) or sentence.section == "technique" else set()
        if begins and facts.modality not in begins and not (facts.modality == words.FILM and words.views(sentence.text)):
            what = " and ".join(sorted(begins))
            yield Hit(
                Severity.WARNING, f"a report of {what} for an image of {facts.modality}", (Evidence("case", "modality", facts.modality), _at(sentence, what))
            )
            return


def prior(facts: Facts) -> Iterator[Hit]:
    """Change is told, and there is no earlier study to have changed from."""
    who = facts.no_prior
    for sentence in facts.report.found if facts.report and who else ():
        match = _CHANGE.search(sentence.text)
        if match and not _NOT_OF_IMAGES.search(sentence.text):
            told = (Evidence(who or "case", "comparison", "none"), _at(sentence, match.group(), match.start()))
            yield Hit(Severity.WARNING, "the report tells of change, and there is no earlier study", told)


# ---- measurements -----------------------------------------------------------------------------------------------------------------------------------

_NUMBER = r"\d+(?:\.\d+)?"
_MEASURE = re.compile(
    rf"(?<![\d.,/-])({_NUMBER}(?: ?(?:mm|cm)? ?(?:x|by|×) ?{_NUMBER})*)[ -]?(mm|cm|m|millimet(?:er|re)s?|centimet(?:er|re)s?)(?![a-z\d/²³])", re.IGNORECASE
)
_UNIT = {"m": 1000.0, "c": 10.0}
_PERCENT = re.compile(rf"({_NUMBER}) ?(?:%|percent\b)")
_RATIO = re.compile(rf"\bcardio-?thoracic (?:ratio|index)\b[^\d]{{0,20}}({_NUMBER})(?![\d.]|\s?[%/])", re.IGNORECASE)
# what is measured, its least and greatest millimetres in a living person; the first word found is taken
_PLAUSIBLE = (
    (r"carina|endotracheal|\bett?\b", 0.0, 120.0, "a distance to the carina"),
    (r"nodul\w+|granuloma\w*", 0.5, 60.0, "a nodule"),
    (r"lymph node|adenopathy", 0.5, 100.0, "a lymph node"),
    (r"mass(?:es)?|lesion|tumou?r|cavit\w+|opaci\w+|densit\w+", 0.5, 200.0, "a lesion"),
    (r"pneumothorax|pleural|effusion", 0.5, 200.0, "pleural air or fluid"),
    (r"aort\w+|aneurysm\w*", 5.0, 150.0, "an aorta"),
    (r"heart|cardiac", 20.0, 250.0, "a heart"),
)
_OBJECT = tuple((re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), low, high, name) for pattern, low, high, name in _PLAUSIBLE)
_LONGEST = 500.0  # mm, of anything that is seen on an image
_REACH = 60  # characters between a measurement and what it measures


def measurement(facts: Facts) -> Iterator[Hit]:
    """Lengths, shares and ratios that no body has."""
    for sentence in facts.report.sentences if facts.report else ():
        if sentence.section not in FOUND:
            continue
        for match in _MEASURE.finditer(sentence.text):
            unit = _UNIT["m" if match[2].lower() == "m" else "c"] if match[2].lower()[0] == "c" or match[2].lower() == "m" else 1.0
            lengths = [float(n) * unit for n in re.findall(_NUMBER, match[1])]
            name, low, high = _measured(sentence.text, match.start(), match.end())
            for length in lengths:
                if length == 0 or not low <= length <= high:
                    grave = length == 0 or length > 2 * high
                    yield Hit(Severity.ERROR if grave else Severity.WARNING, f"{length:g} mm for {name}", (_at(sentence, match.group(), match.start()),))
                    break
        for match in _PERCENT.finditer(sentence.text):
            if float(match[1]) > 100:
                yield Hit(Severity.ERROR, f"{match[1]} percent of something", (_at(sentence, match.group(), match.start()),))
        for match in _RATIO.finditer(sentence.text):
            if not 0.2 <= float(match[1]) <= 1:
                yield Hit(Severity.ERROR, f"a cardiothoracic ratio of {match[1]}", (_at(sentence, match.group(), match.start()),))


def _measured(said: str, start: int, end: int) -> tuple[str, float, float]:
    """What a length is of: the nearest known word, in front of it or behind it."""
    found = []
    for pattern, low, high, name in _OBJECT:
        for match in pattern.finditer(said, max(0, start - _REACH), end + _REACH):
            away = start - match.end() if match.end() <= start else match.start() - end
            found.append((max(away, 0), name, low, high))
    if any(name == _OBJECT[0][3] for _, name, _, _ in found):  # a tube's tip above the carina, whatever else is near
        found = [f for f in found if f[1] == _OBJECT[0][3]]
    return min(found)[1:] if found else ("something on an image", 0.05, _LONGEST)


# ---- dates ------------------------------------------------------------------------------------------------------------------------------------------

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - reads better
_ISO = re.compile(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b")
_SLASHED = re.compile(r"\b(\d{1,2})[/.](\d{1,2})[/.](\d{4})\b")
_NAMED = re.compile(r"\b(?:(\d{1,2}) )?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? (?:(\d{1,2}),? )?(\d{4})\b", re.IGNORECASE)
_PLANNED = re.compile(r"\b(?:follow[- ]?up|recommend\w*|schedul\w+|due|repeat|return|appointment|plan\w*|expected)\b", re.IGNORECASE)


def future(facts: Facts) -> Iterator[Hit]:
    """A date later than the study, or than today, that is no appointment."""
    limit = facts.study_date or facts.today
    for sentence in facts.report.sentences if facts.report else ():
        if _PLANNED.search(sentence.text) or (facts.study_date and sentence.section == "other"):  # signed some days later
            continue
        for start, end, dates in _dates(sentence.text):
            if dates and all(d > limit for d in dates):
                what = "the study" if facts.study_date else "today"
                yield Hit(
                    Severity.WARNING,
                    f"a date after {what}",
                    (Evidence("report", sentence.section or "text", None, (sentence.start + start, sentence.start + end)),),
                )


def _dates(said: str) -> Iterator[tuple[int, int, list[datetime.date]]]:
    """Dates with their place; day and month in either order when both can be."""
    for match in _ISO.finditer(said):
        yield match.start(), match.end(), _any_of((int(match[1]), int(match[2]), int(match[3])))
    for match in _SLASHED.finditer(said):
        a, b, year = int(match[1]), int(match[2]), int(match[3])
        yield match.start(), match.end(), _any_of((year, a, b), (year, b, a))
    for match in _NAMED.finditer(said):
        yield match.start(), match.end(), _any_of((int(match[4]), _MONTHS.index(match[2].lower()) + 1, int(match[1] or match[3] or 1)))


def _any_of(*triples: tuple[int, int, int]) -> list[datetime.date]:
    found = []
    for year, month, day in triples:
        try:
            found.append(datetime.date(year, month, day))
        except ValueError:
            continue
    return found


def _of_this(facts: Facts) -> list[Sentence]:
    """Sentences about this study."""
    sections = (*FOUND, "technique")
    return [s for s in facts.report.sentences if s.section in sections and not _ELSEWHERE.search(s.text)] if facts.report else []


def _at(sentence: Sentence, value: str | None, start: int | None = None) -> Evidence:
    """Evidence in the report: of the matched words when it is known where they begin, else of the sentence."""
    begin = sentence.start + (start or 0)
    end = begin + len(value) if start is not None and value else sentence.end
    return Evidence("report", sentence.section or "text", value, (begin, end))
