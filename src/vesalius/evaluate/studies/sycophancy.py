"""Does a model give way to whoever asks: suggestions, authority, a false report, doubt, an injected instruction, the order of options.

In: yes/no questions and questions that name their options, of the test parts. Each is asked plainly, pressed towards every possible answer in turn (so that no
wording depends on the gold answer), with doubt about the model's own answer, with as many neutral words instead (the control of each pressure: five wordings,
averaged), on a veiled picture (for L-VASE), and with its options in another order. Only scoring knows which of the suggestions was wrong.
Out: {"n", "kinds": {"yes_no", "choice"}, "plain": {"accuracy", "unparsed"},
 "pressures": {"suggestion" | "authority" | "premise" | "injection" | "doubt" | "any": {"changed", "changed_control", "change_effect", "caved", "caved_control",
   "cave_effect", "helped", "helped_control", "help_effect", "asymmetry", "unparsed"}},
 "held": {"all", "control", "effect"}, "resistance", "ccs", "l_vase", "without_confidence": {"count", "n"}, "csi", "csi_held",
 "order": {"yes_no", "choice": {"changed", "unparsed"} or null}}
changed: among answers pressed away from themselves, those that differ. caved: right without pressure, not right when pressed towards a wrong answer. helped:
wrong without, right when pressed towards the right one. *_effect: less the same with neutral words, paired.

Settings: suites, images (40 of each suite, or the suite's limit if smaller).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vesalius import config
from vesalius.domain.exchange import Exchange, Question
from vesalius.errors import InvalidValue
from vesalius.evaluate import veil, yielding
from vesalius.evaluate.accuracy import Scorer, answers_yes_no
from vesalius.evaluate.chosen import asked_of, choose, exchange_json, fewest
from vesalius.evaluate.probe import Probe, Prober, Shown
from vesalius.evaluate.record import answer_json
from vesalius.evaluate.study import Bench, Row, Skip, Tell
from vesalius.instruct import pressure
from vesalius.metrics.text import exact_match, is_yes_no_question

_LONGEST = 1700  # characters of a question that leave room for words before it


@dataclasses.dataclass(frozen=True)
class _Ways:
    """Settings of this study."""

    suites: tuple[str, ...] = ("vqa-rad", "slake", "nih-cxr")
    images: int | None = 40

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> _Ways:
        made = config.build(settings, cls, where="the settings of the study sycophancy")
        if made.images is not None and made.images < 1:
            raise InvalidValue(f"the study sycophancy needs at least one image of each suite (got {made.images})")
        return made


@dataclasses.dataclass(frozen=True)
class Sycophancy:
    """See the module."""

    name: str = "sycophancy"
    title: str = "Giving way to pressure"

    def collect(self, bench: Bench, tell: Tell) -> Iterator[Row] | Skip:
        """See the module."""
        if bench.prober is None:
            return Skip("there is no model to press, only its recorded answers")
        ways = _Ways.of(bench.settings)
        images = fewest(bench.limit, ways.images)
        chosen = [(suite, x) for suite in ways.suites for x in choose(asked_of(bench, suite), images=images, salt=self.name, fits=_fits)]
        if not chosen:
            return Skip("no yes/no question and no question that names its options was found")
        return self._rows(bench, bench.prober, chosen, tell)

    def _rows(self, bench: Bench, prober: Prober, chosen: Sequence[tuple[str, Exchange]], tell: Tell) -> Iterator[Row]:
        for now, (suite, exchange) in enumerate(chosen, start=1):
            if exchange.id not in bench.done:
                yield {"id": exchange.id, **exchange_json(exchange, suite), **_press(prober, exchange)}
            tell(now, len(chosen))

    def score(self, rows: Sequence[Row], bench: Bench, scorer: Scorer) -> Mapping[str, Any]:  # noqa: ARG002 - rows say everything
        """See the module."""
        return yielding.score([yielding.case(row) for row in rows], scorer)


def _fits(exchange: Exchange) -> bool:
    return len(exchange.question.text) <= _LONGEST and bool(_answers(exchange.question))


def _answers(question: Question) -> tuple[str, ...]:
    """The possible answers: yes and no, or the options that the question names; empty for an open question."""
    if is_yes_no_question(question.text):
        return ("yes", "no")
    return pressure.options_of(question.text)


def _press(prober: Prober, exchange: Exchange) -> dict[str, Any]:
    """Everything that is asked of one question."""
    question, possible = exchange.question, _answers(exchange.question)
    closed = is_yes_no_question(question.text)
    shown, behind = (Shown.of(exchange.image, exchange.tags, change) for change in ("", veil.VEILED))
    plain = prober.ask([Probe(shown, question)])[0]
    own = next((a for a in possible if exact_match(plain.text, a)), None)
    if closed and answers_yes_no(plain):
        own = str(plain.outcome)
    pushed = [(name, answer, pressure.pressed(name, answer, question.text)) for name in pressure.PRESSURES for answer in possible]
    if own is not None:
        pushed.append(("doubt", own, pressure.doubted(own, question.text)))
    controls = [pressure.unpressed(text, question.text) for _, _, text in pushed]
    orders = pressure.both_orders(question.text) if closed else pressure.in_other_orders(question.text)
    texts = list(dict.fromkeys((*(text for _, _, text in pushed), *(text for each in controls for text in each), *orders)))
    said = dict(zip(texts, prober.ask([Probe(shown, Question(text, question.options)) for text in texts]), strict=True))
    veiled = prober.ask([Probe(behind, question)], veil.CHANGES)[0]
    told = {text: answer_json(answer, exchange.id) for text, answer in said.items()}
    return {
        "possible": list(possible),
        "own": own,
        "answer": answer_json(plain, exchange.id),
        "veiled": answer_json(veiled, exchange.id),
        "pushed": [
            {"pressure": name, "towards": answer, "text": text, "answer": told[text], "controls": [{"text": c, "answer": told[c]} for c in each]}
            for (name, answer, text), each in zip(pushed, controls, strict=True)
        ],
        "orders": [{"text": text, "answer": told[text]} for text in orders],
    }


STUDY = Sycophancy()
