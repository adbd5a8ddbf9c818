"""The leak check: patients, pictures and questions that parts of a set share, and pictures that sets share.

In: a data root and names of sets. Out: a `LeakReport`. A set that is absent is left out; one that cannot be read is named as unchecked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from vesalius.data import base
from vesalius.data.leaks import images, published, questions
from vesalius.data.leaks.published import Parts
from vesalius.data.leaks.report import EXAMPLES, Finding, LeakReport, Severity, ordered
from vesalius.domain.exchange import Exchange, Split
from vesalius.errors import UserError
from vesalius.metrics.text import exact_match

Progress = Callable[[int, int, str], None]


def check(root: Path, names: Sequence[str] | None = None, *, progress: Progress | None = None) -> LeakReport:
    """Look for leaks in and between the sets below a data root.

    Args:
        names: sets; None takes all that are there.
        progress: called with (done, total, what).

    Raises:
        DataMissing: a set that was named is not there. UnknownName: no such set.
    """
    chosen = [base.dataset(name) for name in (names if names is not None else sorted(base.TABLE))]
    for each in chosen if names is not None else ():
        base.folder(root, each.card)
    there = [each for each in chosen if (root / each.card.folder).is_dir()]
    findings: list[Finding] = []
    sets: dict[str, tuple[tuple[str, Parts], ...]] = {}  # of each set, its protocols
    for each in there:
        sets[each.name], unread = _read(each, root)
        findings += unread
    compared = images.compare(_files(root, sets), progress=progress)
    findings += [_unchecked(name, reason) for name, reason in compared.unreadable.items()]
    groups = compared.groups()
    for name, protocols in sets.items():
        for protocol, parts in protocols:
            findings += within(f"{name} {protocol}", parts, groups)
    findings += [finding for each in there for finding in _origins(each.name, root)]
    findings += between(sets, compared)
    findings += [_licence(each) for each in there if not each.card.train_allowed]
    return LeakReport(tuple(sets), compared.images, len(compared.pairs), ordered(findings))


def within(where: str, parts: Parts, groups: Mapping[str, str]) -> list[Finding]:
    """What the parts of one split share: each later part ("test", "validate en") against each earlier one.

    Args:
        where: what the findings call it.
        parts: rows by name of the part, training first.
        groups: name of a picture -> name of its group; a name that is not there is alone.
    """
    names = list(parts)
    pairs = [(a, b) for j, b in enumerate(names) for a in names[:j]]
    return [f for a, b in pairs for f in _pair(f"{where}: {a}, {b}", parts[a], parts[b], groups)]


def _pair(where: str, train: Sequence[Exchange], test: Sequence[Exchange], groups: Mapping[str, str]) -> list[Finding]:
    tested = any(row.split is Split.TEST for row in test)
    serious = Severity.SERIOUS if tested else Severity.NOTE
    found = [_patients(where, train, test, serious), *_pictures(where, train, test, groups, serious)]
    found.append(_questions(where, questions.repeated(train, test, groups=groups), len(test), Severity.GRAVE if tested else Severity.NOTE))
    return [finding for finding in found if finding.count]


def _patients(where: str, train: Sequence[Exchange], test: Sequence[Exchange], severity: Severity) -> Finding:
    names = sorted({row.cluster for row in test})
    learned, pictures = {row.cluster for row in train}, {row.image for row in train}
    shared = sorted(set(names) & learned)
    if all(row.image in pictures for row in test if row.cluster in learned):
        shared = []  # they share pictures, and that is told by itself
    return Finding(
        "patient", severity, where, len(shared), len(names), "patients (or, where none are named, cases) are in both parts", {}, tuple(shared[:EXAMPLES])
    )


def _pictures(where: str, train: Sequence[Exchange], test: Sequence[Exchange], groups: Mapping[str, str], severity: Severity) -> list[Finding]:
    learned = {row.image for row in train}
    names = sorted({row.image for row in test})
    shared = [name for name in names if name in learned]
    of_group: dict[str, str] = {}
    for name in sorted(learned):
        of_group.setdefault(groups.get(name, name), name)
    near = [(name, of_group[groups[name]]) for name in names if name not in learned and groups.get(name) in of_group]
    told = "pictures are in both parts under another name, or neighbouring slices of one volume are"
    return [
        Finding("image", severity, where, len(shared), len(names), "pictures are in both parts", {}, tuple(shared[:EXAMPLES])),
        Finding("near image", severity, where, len(near), len(names), told, {}, tuple(f"{a} = {b}" for a, b in near[:EXAMPLES])),
    ]


def _questions(where: str, matches: Sequence[questions.Match], total: int, severity: Severity) -> Finding:
    by_phrase = Counter(match.train.phrase or "unnamed" for match in matches)
    given = sum(match.gives_away for match in matches)
    numbers = {"same answer": given, "same words": sum(match.same_words for match in matches), **{f"by {k} rows": n for k, n in sorted(by_phrase.items())}}
    worst = sorted(matches, key=lambda m: not m.gives_away)[:EXAMPLES]
    text = "questions are asked in both parts about one picture, in the same or in other words"
    return Finding("question", severity if given else Severity.NOTE, where, len(matches), total, text, numbers, tuple(map(str, worst)))


def _origins(name: str, root: Path) -> list[Finding]:
    try:
        found = published.origins(name, root)
    except UserError as error:
        return [_unchecked(f"{name} as published", str(error))]
    if not found:
        return []
    total = len(base.dataset(name).exchanges(root, Split.TEST))
    agree = [any(exact_match(answer, row.gold) for answer in row.answers) for row in found]
    numbers = {
        "same answer": sum(agree),
        "same answer in every such row": sum(all(exact_match(answer, row.gold) for answer in row.answers) for row in found),
        "same answer in the last such row": sum(exact_match(row.answers[-1], row.gold) for row in found),
    }
    examples = tuple(f"{row.id} {row.question!r} ({row.gold}) = {row.template!r} ({', '.join(row.answers)})" for row in found[:EXAMPLES])
    text = "test questions have template rows in the published training file that were written from them, on the same picture"
    return [Finding("origin", Severity.GRAVE, f"{name} as published: train, test", len(found), total, text, numbers, examples)]


def between(sets: Mapping[str, Sequence[tuple[str, Parts]]], compared: images.Compared) -> list[Finding]:
    """Pictures that two sets share; serious when one of them tests what the other trains on."""
    use: dict[str, set[tuple[str, Split]]] = {}
    for name, protocols in sets.items():
        for row in (row for _, parts in protocols for rows in parts.values() for row in rows):
            use.setdefault(row.image, set()).add((name, row.split))
    found: dict[tuple[str, str], list[images.Alike]] = {}
    for pair in compared.pairs:
        owners = sorted((next(iter(use[image]))[0], image) for image in (pair.first, pair.second))
        if owners[0][0] != owners[1][0]:
            found.setdefault((owners[0][0], owners[1][0]), []).append(pair)
    findings = []
    for (one, other), pairs in sorted(found.items()):
        crossing = sum(_crosses({s for _, s in use[p.first]}, {s for _, s in use[p.second]}) for p in pairs)
        total = sum(any(name == other for name, _ in uses) for uses in use.values())
        severity = Severity.SERIOUS if crossing else Severity.NOTE
        examples = tuple(f"{p.first} = {p.second}, likeness {p.likeness:.3f}" for p in pairs[:EXAMPLES])
        text = "pictures are in both sets"
        numbers = {"in training of one and test of the other": crossing}
        findings.append(Finding("image", severity, f"{one}, {other}", len(pairs), total, text, numbers, examples))
    return findings


def _crosses(one: set[Split], other: set[Split]) -> bool:
    return (Split.TRAIN in one and Split.TEST in other) or (Split.TEST in one and Split.TRAIN in other)


def _read(each: base.Dataset, root: Path) -> tuple[tuple[tuple[str, Parts], ...], list[Finding]]:
    """The protocols of a set that can be read, and a finding for each that cannot."""
    read: list[tuple[str, Parts]] = []
    unread = []
    for protocol in each.card.protocols:
        try:
            read.append((protocol.name, {str(s): each.exchanges(root, s, protocol.name) for s in Split if s in protocol.counts}))
        except UserError as error:
            unread.append(_unchecked(f"{each.name} {protocol.name}", str(error)))
    try:
        read += [("as published", parts) for parts in published.parts(each.name, root)]
    except UserError as error:
        unread.append(_unchecked(f"{each.name} as published", str(error)))
    return tuple(read), unread


def _files(root: Path, sets: Mapping[str, Sequence[tuple[str, Parts]]]) -> dict[str, Path]:
    rows = (row for protocols in sets.values() for _, parts in protocols for part in parts.values() for row in part)
    return {row.image: root / row.image for row in rows if row.image and (root / row.image).is_file()}


def _unchecked(name: str, reason: str) -> Finding:
    return Finding("unchecked", Severity.NOTE, name, 1, 1, f"was not checked: {reason}")


def _licence(each: base.Dataset) -> Finding:
    return Finding("licence", Severity.NOTE, each.name, 1, 1, f"weights may not be trained on it: {each.card.licence}")
