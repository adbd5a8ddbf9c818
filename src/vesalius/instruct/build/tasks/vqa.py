"""The set's own questions, each yes/no question also in other words; as many yes as no within each kind of question.

In: exchanges of the training part. Out: the questions as asked, and rewordings with their polarity.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from types import MappingProxyType

from vesalius.domain.exchange import Exchange
from vesalius.instruct.build import balance, wordings
from vesalius.instruct.build.desk import Desk
from vesalius.instruct.build.study import Study
from vesalius.instruct.record import Instruction
from vesalius.metrics.text import is_yes_no_question

_ORIGIN = "the set's own answer"


def make(desk: Desk) -> Iterator[Instruction]:
    """See the module."""
    groups: dict[str, list[Exchange]] = {"yes": [], "no": []}
    others: list[Exchange] = []
    for exchange in desk.material.asked:
        answer = exchange.gold.strip().lower()
        groups.get(answer, others).append(exchange)
    pairs, spare = balance.matched(groups, lambda x: x.id, lambda x: x.tags.get("content", ""), salt=desk.salt("own"))
    desk.spare(spare, "own questions")
    for pair in desk.limit(pairs):
        for exchange, answer in zip(pair, ("yes", "no"), strict=True):
            yield from _asked(desk, exchange, answer, pair[0].id)
    for exchange in desk.limit(others):
        yield from _asked(desk, exchange, exchange.gold, exchange.id)


def _asked(desk: Desk, exchange: Exchange, answer: str, chance: str) -> Iterator[Instruction]:
    """The question as it is, and further wordings of a yes/no question. chance: one for both of a pair, so that reversals fall to yes and no alike."""
    facts = MappingProxyType(dict(exchange.tags))
    study = Study(exchange.id, desk.source, exchange.cluster, (exchange.image,), (None,), origin=_ORIGIN, facts=facts)
    more = desk.how.wordings - 1 if answer in ("yes", "no") and is_yes_no_question(exchange.question.text) else 0
    texts = [(exchange.question.text, wordings.PLAIN, 1)]
    pool = wordings.pool("own", texts, desk.how.families) if more else wordings.plain("own", exchange.question.text)
    rest = pool[1:]
    chosen = pool[:1] + (next(balance.dealt(rest, more, salt=desk.salt(chance), name=lambda w: w.id)) if rest else ())
    equivalence = f"own:{hashlib.sha256(exchange.question.text.encode()).hexdigest()[:12]}"
    for wording in chosen:
        yield desk.put(study, equivalence, wording, answer, f"answer {exchange.gold!r}", choices=exchange.question.options)
