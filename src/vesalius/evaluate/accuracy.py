"""Right or wrong: strict exact match beside the published lenient rule, for the model, its controls and the baselines, on the same items.

In: items and, for each system, one answer an item. Out: tables of intervals clustered by image, and paired differences.
A system that gave no answer to an item is compared on the items that it answered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vesalius.domain.exchange import Answer, Exchange, Outcome
from vesalius.evaluate.record import Item
from vesalius.metrics.statistics import Interval, cluster_mean, paired_difference
from vesalius.metrics.text import exact_match, is_yes_no_question, llava_med_closed, llava_med_recall, normalise, read_outcome, token_f1

MODEL, BLANK, SWAP, NOTHING = "model", "blank image", "another patient's image", "no image"
_YES_NO = (Outcome.YES, Outcome.NO)

Answers = Mapping[str, Sequence[Answer | None]]


def is_closed(exchange: Exchange) -> bool:
    """The data set's own type; where it has none, whether the gold answer is yes or no."""
    return exchange.closed if exchange.closed is not None else normalise(exchange.gold) in ("yes", "no")


def is_right(answer: Answer, exchange: Exchange) -> bool:
    """Strict rule: against a gold yes or no the answer must read as that and nothing else; any other gold must match exactly once normalised."""
    gold = normalise(exchange.gold)
    if gold in ("yes", "no"):
        return read_outcome(answer.text) is Outcome(gold)
    return exact_match(answer.text, exchange.gold)


def parse_failed(answer: Answer, exchange: Exchange) -> bool:
    """Whether an answer cannot be read as what was asked: unparsed, or neither yes, no nor undetermined where the *question* asks for yes or no."""
    said = read_outcome(answer.text)
    return said is Outcome.UNPARSED or (said is Outcome.TEXT and is_yes_no_question(exchange.question.text))


def systems(items: Sequence[Item], baselines: Mapping[str, Mapping[str, Answer]]) -> dict[str, list[Answer | None]]:
    """One answer an item for the model, its controls and each baseline; a control that nobody gave is left out."""
    found: dict[str, list[Answer | None]] = {
        MODEL: [item.answer for item in items],
        BLANK: [item.blank for item in items],
        SWAP: [item.swap for item in items],
        NOTHING: [item.nothing for item in items],
        **{name: [answers.get(item.id) for item in items] for name, answers in baselines.items()},
    }
    return {name: answers for name, answers in found.items() if any(answer is not None for answer in answers)}


class Scorer:
    """Turns values and items into intervals, with one number of replicates and one seed for a whole run."""

    def __init__(self, *, replicates: int, seed: int) -> None:
        self.replicates, self.seed = replicates, seed

    def of(self, values: Sequence[float], clusters: Sequence[str]) -> Interval:
        """Mean of values, one for each answer, clustered by what their second list says."""
        return cluster_mean([float(v) for v in values], list(clusters), replicates=self.replicates, seed=self.seed)

    def paired(self, first: Sequence[float], second: Sequence[float], clusters: Sequence[str]) -> Interval:
        """Mean paired difference, clustered likewise."""
        return paired_difference([float(v) for v in first], [float(v) for v in second], list(clusters), replicates=self.replicates, seed=self.seed)

    def mean(self, values: Sequence[float], items: Sequence[Item]) -> Interval:
        """Mean over items, clustered by image or patient."""
        return self.of(values, [item.exchange.cluster for item in items])

    def difference(self, first: Sequence[float], second: Sequence[float], items: Sequence[Item]) -> Interval:
        """Mean paired difference, clustered by image or patient."""
        return self.paired(first, second, [item.exchange.cluster for item in items])


def table(items: Sequence[Item], answers: Answers, scorer: Scorer) -> dict[str, dict[str, Any]]:
    """One row a system: accuracy by type, published rule, failures, and the model's lead over it (`ahead`) on the items both answered."""
    return {name: _row(items, answers[MODEL], answers[name], scorer, lead=name != MODEL) for name in answers}


def _row(items: Sequence[Item], model: Sequence[Answer | None], given: Sequence[Answer | None], scorer: Scorer, *, lead: bool) -> dict[str, Any]:
    rows = [(item, mine, said) for item, mine, said in zip(items, model, given, strict=True) if mine is not None and said is not None]
    kinds: dict[str, Callable[[Item], bool]] = {
        "closed": lambda item: is_closed(item.exchange),
        "open": lambda item: not is_closed(item.exchange),
        "overall": lambda _: True,
    }
    row: dict[str, Any] = {"ahead": {}}
    for kind, belongs in kinds.items():
        chosen = [(item, mine, said) for item, mine, said in rows if belongs(item)]
        inside = [item for item, _, _ in chosen]
        right = [is_right(said, item.exchange) for item, _, said in chosen]
        row[kind] = scorer.mean(right, inside).to_json()
        if lead:
            row["ahead"][kind] = scorer.difference([is_right(mine, item.exchange) for item, mine, _ in chosen], right, inside).to_json()
    closed = [(item, said) for item, _, said in rows if is_closed(item.exchange)]
    free = [(item, said) for item, _, said in rows if not is_closed(item.exchange)]
    row["published_closed"] = scorer.mean([llava_med_closed(s.text, i.exchange.gold) for i, s in closed], [i for i, _ in closed]).to_json()
    row["published_open"] = scorer.mean([llava_med_recall(s.text, i.exchange.gold) for i, s in free], [i for i, _ in free]).to_json()
    row["open_token_f1"] = scorer.mean([token_f1(s.text, i.exchange.gold) for i, s in free], [i for i, _ in free]).to_json()
    row["parse_failures"] = {"count": sum(parse_failed(s, i.exchange) for i, _, s in rows), "n": len(rows)}
    row["undetermined"] = {"count": sum(read_outcome(s.text) is Outcome.UNDETERMINED for _, _, s in rows), "n": len(rows)}
    return row


def by_tag(items: Sequence[Item], answers: Answers, tag: str, scorer: Scorer) -> dict[str, dict[str, Any]]:
    """Accuracy of the model and of the blank image for each value of a tag; a row that names several ("PRES, POS") counts for each."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        for value in item.exchange.tags.get(tag, "").split(","):
            if value.strip():
                groups[value.strip()].append(place)
    found = {}
    for value, places in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        inside = [items[i] for i in places]
        found[value] = {
            name: scorer.mean([is_right(answer, items[i].exchange) for i in places if (answer := answers[name][i]) is not None], inside).to_json()
            for name in (MODEL, BLANK)
        }
    return found


def answers_yes_no(answer: Answer) -> bool:
    """Whether an answer reads as yes or no."""
    return read_outcome(answer.text) in _YES_NO
