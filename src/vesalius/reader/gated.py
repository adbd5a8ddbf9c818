"""A reader that satisfies the protocol of a model, so that whatever asks models can ask a gated one.

In: studies and questions, as for a model. Out: the answers that the gate lets out; a referred one says only that it was referred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.decision import Verdict
from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.reading import Reading
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.reader.questioning import Case, Reader

WITHHELD = "Cannot be determined here: physician review required."


class GatedModel:
    """A reader that satisfies the protocol of a model: what the gate refers is not said.

    A referred answer becomes `WITHHELD`, undetermined, without probabilities. A caveated answer is given. `readings` gives everything.
    """

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    @property
    def card(self) -> ModelCard:
        """The card of the model behind the gate."""
        return self.reader.model.card

    def encode(self, study: Study) -> Case:
        """The study and its controls."""
        return self.reader.encode(study)

    def answer(self, encoded: Case, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """Gated answers in the order of the questions."""
        ways = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        if len(ways) != len(questions):
            raise InvalidValue(f"{len(questions)} questions need as many samplings (got {len(ways)})", remedy="give one for each, or one for all")
        return self.ask([(encoded, question, way) for question, way in zip(questions, ways, strict=True)])

    def ask(self, asks: Sequence[tuple[Case, Question, Sampling]]) -> list[Answer]:
        """Gated answers about any number of cases; asks with one sampling share one call of the model."""
        answers: dict[int, Answer] = {}
        for way in dict.fromkeys(sampling for _, _, sampling in asks):
            places = [i for i, (_, _, sampling) in enumerate(asks) if sampling == way]
            found = self.reader.readings([asks[i][:2] for i in places], sampling=way)
            answers.update(zip(places, map(let_out, found), strict=True))
        return [answers[i] for i in range(len(asks))]

    def score(self, encoded: Case, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Log-probabilities of the options, (options,); not a number for each when the gate refers the question."""
        if self.reader.readings([(encoded, question)])[0].decision.verdict is Verdict.REFERRED:
            return np.full(len(options), np.nan)
        return self.reader.model.score(encoded.encoded, question, options)

    def stream(self, encoded: Case, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The gated answer in one piece: nothing is said before it has been questioned."""
        yield self.answer(encoded, [question], sampling)[0].text


def let_out(reading: Reading) -> Answer:
    """The answer of a reading as the gate lets it out."""
    if reading.decision.verdict is not Verdict.REFERRED:
        return reading.answer
    return Answer(WITHHELD, Outcome.UNDETERMINED)
