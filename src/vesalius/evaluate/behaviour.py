"""Does the answer survive other words, and does it need the picture: flips on human and generated wordings, controls, quadrants.

In: items with their answers. Out: shares with intervals clustered by image. Nothing here needs a model.
A pair that cannot be compared is a state of its own: each flip rate is given with it as a flip (`rate`) and without it (`rate_parsed`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vesalius.domain.exchange import Answer, Outcome
from vesalius.evaluate.accuracy import Scorer, answers_yes_no, is_closed, is_right
from vesalius.evaluate.record import Item
from vesalius.metrics.phrasing import Flip, flips
from vesalius.metrics.selective import auroc
from vesalius.metrics.statistics import cluster_bootstrap
from vesalius.metrics.text import exact_match, normalise, read_outcome

_POLARITY = {"strict": 1, "inversion": -1}
QUADRANTS = ("ideal", "fragile", "dangerous", "worst")


class Pair(NamedTuple):
    """Two wordings of one question: the first item, the answer to the other wording, whether that was right, polarity, state."""

    item: Item
    second: Answer
    right: bool
    polarity: int
    state: Flip


def _state(first: Answer, second: Answer, polarity: int) -> Flip:
    return Flip(int(flips(first.text, [second.text], [polarity])[0]))


def changed(first: Answer, second: Answer) -> bool | None:
    """Whether another picture led to another answer; None when either cannot be read. Free texts are compared by exact match."""
    a, b = read_outcome(first.text), read_outcome(second.text)
    if Outcome.UNPARSED in (a, b):
        return None
    return a is not b or (a is Outcome.TEXT and not exact_match(first.text, second.text))


def human_pairs(items: Sequence[Item], relation: str) -> list[Pair]:
    """Linked human wordings of one relation, both of which were asked; the free-form wording comes first."""
    grouped: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if item.exchange.pair is not None and item.exchange.tags.get("relation") == relation:
            grouped[item.exchange.pair].append(item)
    polarity = _POLARITY.get(relation, 1)
    pairs = []
    for group in grouped.values():
        if len(group) == 2:
            first, second = sorted(group, key=lambda item: (item.exchange.phrase != "freeform", item.id))
            state = _state(first.answer, second.answer, polarity)
            pairs.append(Pair(first, second.answer, is_right(second.answer, second.exchange), polarity, state))
    return pairs


def human(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """Flips on linked human wordings: strict pairs (the same answer is right), by type, and inversions (the opposite is)."""
    strict = human_pairs(items, "strict")
    return {
        "strict": _rates(strict, scorer),
        "strict, closed": _rates([p for p in strict if is_closed(p.item.exchange)], scorer),
        "strict, open": _rates([p for p in strict if not is_closed(p.item.exchange)], scorer),
        "inversion": _rates(human_pairs(items, "inversion"), scorer),
    }


def generated_pairs(items: Sequence[Item]) -> dict[str, list[Pair]]:
    """Generated wordings by family."""
    found: dict[str, list[Pair]] = defaultdict(list)
    for item in items:
        for wording, answer in item.rewordings or ():
            right = _reworded_right(item, answer, wording.polarity)
            found[wording.family].append(Pair(item, answer, right, wording.polarity, _state(item.answer, answer, wording.polarity)))
    return dict(found)


def _reworded_right(item: Item, answer: Answer, polarity: int) -> bool:
    if polarity == 1:
        return is_right(answer, item.exchange)
    gold = normalise(item.exchange.gold)
    return gold in ("yes", "no") and read_outcome(answer.text) is Outcome(gold).negated()


def generated(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """Flips on generated wordings by family and over all, with the share of items that any wording turned and the worst-case accuracy."""
    by_family = generated_pairs(items)
    asked = [item for item in items if item.rewordings]
    every = [pair for family in sorted(by_family) for pair in by_family[family]]
    of_item: dict[str, list[Pair]] = defaultdict(list)
    for pair in every:
        of_item[pair.item.id].append(pair)
    sizes = [len(of_item[item.id]) for item in asked]
    return {
        "items": len(asked),
        "wordings_per_item": {"least": min(sizes), "mean": float(np.mean(sizes)), "most": max(sizes)} if sizes else None,
        "families": {family: _rates(pairs, scorer) for family, pairs in sorted(by_family.items())},
        "all": _rates(every, scorer),
        "any_flip": scorer.mean([any(p.state != Flip.SAME for p in of_item[i.id]) for i in asked], asked).to_json(),
        "accuracy": scorer.mean([is_right(i.answer, i.exchange) for i in asked], asked).to_json(),
        "worst_case_accuracy": scorer.mean([is_right(i.answer, i.exchange) and all(p.right for p in of_item[i.id]) for i in asked], asked).to_json(),
    }


def _rates(pairs: Sequence[Pair], scorer: Scorer) -> dict[str, Any]:
    items = [pair.item for pair in pairs]
    parsed = [pair for pair in pairs if pair.state != Flip.UNPARSED]
    first = [is_right(pair.item.answer, pair.item.exchange) for pair in pairs]
    return {
        "pairs": len(pairs),
        "unparsed": len(pairs) - len(parsed),
        "rate": scorer.mean([pair.state != Flip.SAME for pair in pairs], items).to_json(),
        "rate_parsed": scorer.mean([pair.state == Flip.FLIPPED for pair in parsed], [pair.item for pair in parsed]).to_json(),
        "harmful": scorer.mean([was and not pair.right for was, pair in zip(first, pairs, strict=True)], items).to_json(),
        "helpful": scorer.mean([pair.right and not was for was, pair in zip(first, pairs, strict=True)], items).to_json(),
    }


def reliance(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """How often another picture leads to another answer, and whether it does so when it should.

    `opposite` (O) is the share of answers that change for an image whose gold answer to the same words differs, `same` (S) the share that stay for one
    whose gold answer agrees; each item counts once, as the mean over its images. `grounded` = O + S - 1: 0 for a model that ignores the image.
    """
    o, s, trained = _swaps(items)
    either = [item for item in items if item.id in o or item.id in s]
    both = [[values.get(item.id, np.nan) for item in either] for values in (o, s)]
    clusters = [item.exchange.cluster for item in either]
    chosen = {name: [item for item in items if item.id in values] for name, values in (("opposite", o), ("same", s))}
    return {
        "blank_changed": _changed([(item, item.blank) for item in items if item.blank is not None], scorer),
        "swap_changed": _changed([(item, item.swap) for item in items if item.swap is not None], scorer),
        "nothing_changed": _changed([(item, item.nothing) for item in items if item.nothing is not None], scorer),
        "opposite": scorer.mean([o[item.id] for item in chosen["opposite"]], chosen["opposite"]).to_json(),
        "same": scorer.mean([s[item.id] for item in chosen["same"]], chosen["same"]).to_json(),
        "grounded": cluster_bootstrap(_grounded, *both, clusters=clusters, replicates=scorer.replicates, seed=scorer.seed).to_json(),
        "training_images_among_partners": trained,
        "auroc": {name: _separation(items, name, scorer) for name in ("answer", "blank", "swap")},
    }


def _changed(rows: Iterable[tuple[Item, Answer | None]], scorer: Scorer) -> dict[str, Any]:
    told = [(item, now) for item, other in rows if other is not None and (now := changed(item.answer, other)) is not None]
    return scorer.mean([now for _, now in told], [item for item, _ in told]).to_json()


def _grounded(o: np.ndarray, s: np.ndarray) -> float | None:
    has_o, has_s = ~np.isnan(o), ~np.isnan(s)
    return float(o[has_o].mean() + s[has_s].mean() - 1) if has_o.any() and has_s.any() else None


def _swaps(items: Sequence[Item]) -> tuple[dict[str, float], dict[str, float], dict[str, int]]:
    """Per item: mean change over images with another gold answer, mean stay over images with the same; and how many partners come from training."""
    asked: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        asked[item.exchange.question.text].append(item)
    opposite, same = {}, {}
    trained = total = 0
    for item in items:
        others = [(x.exchange.gold, x.answer) for x in asked[item.exchange.question.text] if x.exchange.cluster != item.exchange.cluster]
        others += [(p.gold, p.answer) for p in item.partners]
        trained += sum(p.split == "train" for p in item.partners)
        total += len(others)
        moved = [(normalise(gold) == normalise(item.exchange.gold), now) for gold, answer in others if (now := changed(item.answer, answer)) is not None]
        if away := [now for agrees, now in moved if not agrees]:
            opposite[item.id] = float(np.mean(away))
        if near := [not now for agrees, now in moved if agrees]:
            same[item.id] = float(np.mean(near))
    return opposite, same, {"count": trained, "n": total}


def _separation(items: Sequence[Item], which: str, scorer: Scorer) -> dict[str, Any]:
    """AUROC of the probability of yes against a gold yes or no: chance is 0.5, for a blank image it is what the question alone gives."""
    rows = []
    for item in items:
        answer: Answer | None = getattr(item, which)
        gold = normalise(item.exchange.gold)
        if answer is not None and answer.p_yes is not None and gold in ("yes", "no"):
            rows.append((answer.p_yes, gold == "yes", item.exchange.cluster))
    p, y, clusters = ([row[i] for row in rows] for i in range(3))
    return cluster_bootstrap(auroc, p, y, clusters=clusters, replicates=min(1000, scorer.replicates), seed=scorer.seed).to_json()


def quadrants(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """Consistent (the same answer in all wordings) x reliant (another answer to a blank image), over generated wordings and over strict human pairs."""
    by_item: dict[str, list[Flip]] = defaultdict(list)
    for pairs in generated_pairs(items).values():
        for pair in pairs:
            by_item[pair.item.id].append(pair.state)
    known = {item.id: item for item in items}
    told = [(known[i], all(state == Flip.SAME for state in states)) for i, states in by_item.items()]
    linked = [(pair.item, pair.state == Flip.SAME) for pair in human_pairs(items, "strict")]
    return {"generated": _quadrant_shares(told, scorer), "human": _quadrant_shares(linked, scorer)}


def _quadrant_shares(rows: Sequence[tuple[Item, bool]], scorer: Scorer) -> dict[str, Any]:
    told = [(item, consistent, changed(item.answer, item.blank)) for item, consistent in rows if item.blank is not None]
    placed = [(item, _place(consistent, reliant)) for item, consistent, reliant in told if reliant is not None]
    items = [item for item, _ in placed]
    found: dict[str, Any] = {"n": len(placed), "unreadable": len(rows) - len(placed)}
    for name in QUADRANTS:
        inside = [item for item, place in placed if place == name]
        found[name] = {
            "share": scorer.mean([place == name for _, place in placed], items).to_json(),
            "accuracy": scorer.mean([is_right(item.answer, item.exchange) for item in inside], inside).to_json(),
        }
    return found


def _place(consistent: bool, reliant: bool) -> str:
    if consistent:
        return "ideal" if reliant else "dangerous"
    return "fragile" if reliant else "worst"


def yes_no_share(items: Sequence[Item], scorer: Scorer) -> dict[str, Any]:
    """Share of yes among the model's yes/no answers, beside the share of yes among gold ones: "always no" shows here."""
    said = [item for item in items if answers_yes_no(item.answer)]
    gold = [item for item in items if normalise(item.exchange.gold) in ("yes", "no")]
    return {
        "said": scorer.mean([read_outcome(item.answer.text) is Outcome.YES for item in said], said).to_json(),
        "gold": scorer.mean([normalise(item.exchange.gold) == "yes" for item in gold], gold).to_json(),
    }
