"""How well rewording agrees with people: counted on linked human pairs of one question in two wordings.

In: `HumanPair`s with what their authors said of them. Out: an `Audit` of counts and a table in words. Pure: no file is read here but by `vqa_rad_pairs`.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from vesalius.errors import DataMissing
from vesalius.instruct.phrasing import FAMILIES, reword, same_meaning


@dataclasses.dataclass(frozen=True)
class HumanPair:
    """One question in two human wordings.

    Args:
        original, paraphrase: the wordings.
        polarity: +1 when people tagged them as agreeing strictly, -1 when as inversions.
        answers: the gold answer to each.
    """

    original: str
    paraphrase: str
    polarity: int
    answers: tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Audit:
    """Counts, of pairs unless said otherwise.

    Args:
        pairs: "strict" and "inversion" to their number.
        reworded: originals (distinct) with at least one rewording; `originals` of them in all; `rewordings` in all.
        by_family: family to (originals with one, rewordings).
        read: tag to counts of what `same_meaning` said: "+1", "-1", "none".
        gold: counts over pairs with two yes/no golds: "agree" when predicted and gold relation are the same, "disagree", "none".
        inversions_differ: inversions whose yes/no golds differ, of `inversions_closed`.
        wrong: pairs on which `same_meaning` contradicts the tag, or the golds.
    """

    pairs: Mapping[str, int]
    originals: int
    reworded: int
    rewordings: int
    by_family: Mapping[str, tuple[int, int]]
    read: Mapping[str, Mapping[str, int]]
    gold: Mapping[str, int]
    inversions_closed: int
    inversions_differ: int
    wrong: tuple[HumanPair, ...]


def audit(pairs: Iterable[HumanPair], *, most: int = 8, seed: int = 0) -> Audit:
    """Count rewordings over the originals, and the agreement of `same_meaning` with tags and golds over the pairs.

    Args:
        pairs: human pairs.
        most, seed: passed to `reword`.
    """
    rows = tuple(pairs)
    originals = sorted({row.original for row in rows})
    made = {question: reword(question, most=most, seed=seed) for question in originals}
    by_family = {
        family: (sum(any(r.family == family for r in m) for m in made.values()), sum(r.family == family for m in made.values() for r in m))
        for family in FAMILIES
    }
    read: dict[str, collections.Counter[str]] = {"strict": collections.Counter(), "inversion": collections.Counter()}
    gold: collections.Counter[str] = collections.Counter()
    wrong: list[HumanPair] = []
    for row in rows:
        said = same_meaning(row.original, row.paraphrase)
        read[_tag(row)][_shown(said)] += 1
        relation = _relation(row.answers)
        if relation is not None:
            gold["none" if said is None else "agree" if said == relation else "disagree"] += 1
        if said is not None and (said != row.polarity or relation not in (None, said)):
            wrong.append(row)
    inverted = [relation for row in rows if row.polarity == -1 and (relation := _relation(row.answers)) is not None]
    return Audit(
        pairs=dict(collections.Counter(_tag(row) for row in rows)),
        originals=len(originals),
        reworded=sum(bool(m) for m in made.values()),
        rewordings=sum(map(len, made.values())),
        by_family=by_family,
        read={tag: dict(counts) for tag, counts in read.items()},
        gold=dict(gold),
        inversions_closed=len(inverted),
        inversions_differ=sum(relation == -1 for relation in inverted),
        wrong=tuple(wrong),
    )


def table(result: Audit) -> str:
    """The audit as a Markdown table, one count per line."""
    rows = [("human pairs tagged strict / inversion", f"{result.pairs.get('strict', 0)} / {result.pairs.get('inversion', 0)}")]
    mean = result.rewordings / result.originals if result.originals else 0.0
    rows += [("distinct originals with at least one rewording", f"{result.reworded} of {result.originals}"), ("mean rewordings per original", f"{mean:.2f}")]
    rows += [(f"family {name}: originals / rewordings", f"{has} / {number}") for name, (has, number) in result.by_family.items()]
    rows += [(f"{tag}: read as +1 / -1 / cannot tell", " / ".join(str(counts.get(k, 0)) for k in ("+1", "-1", "none"))) for tag, counts in result.read.items()]
    rows += [("both golds yes/no: agree / disagree / cannot tell", " / ".join(str(result.gold.get(k, 0)) for k in ("agree", "disagree", "none")))]
    rows += [("inversions with yes/no golds that differ", f"{result.inversions_differ} of {result.inversions_closed}")]
    rows += [("pairs read against their tag or golds", str(len(result.wrong)))]
    return "\n".join(["| what | count |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def vqa_rad_pairs(path: str | Path) -> tuple[HumanPair, ...]:
    """The linked pairs of VQA-RAD (Lau et al., Scientific Data 2018) tagged "strict agreement" or "inversion".

    Args:
        path: `VQA_RAD_public_fields.json`.

    Raises:
        DataMissing: the file is absent or not that list of records.
    """
    path = Path(path)
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        linked: dict[str, list[Mapping[str, object]]] = collections.defaultdict(list)
        for record in records:
            linked[record["qid_linked_id"]].append(record)
        return tuple(pair for group in linked.values() for pair in _pairs(group))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataMissing(f"{path}: VQA-RAD's public fields cannot be read", remedy="download VQA_RAD_public_fields.json from osf.io/89kps") from error


def _pairs(group: Sequence[Mapping[str, object]]) -> Iterable[HumanPair]:
    """The pair of a group of exactly two records that carry the same tag; larger groups mix questions."""
    for tag, polarity in (("strict agreement", 1), ("inversion", -1)):
        if len(group) == 2 and all(r["question_relation"] == tag for r in group):
            free, para = sorted(group, key=lambda r: "freeform" not in str(r["phrase_type"]))
            yield HumanPair(str(free["question"]).strip(), str(para["question"]).strip(), polarity, (str(free["answer"]), str(para["answer"])))


def _tag(pair: HumanPair) -> str:
    return "strict" if pair.polarity == 1 else "inversion"


def _shown(said: int | None) -> str:
    return "none" if said is None else f"{said:+d}"


def _relation(answers: tuple[str, str]) -> int | None:
    one, two = (re.sub(r"[^a-z]", "", a.lower()) for a in answers)
    if one not in ("yes", "no") or two not in ("yes", "no"):
        return None
    return 1 if one == two else -1
