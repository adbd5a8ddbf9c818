"""Questions of a test that training asks too, about the same picture, in the same or in other words.

In: exchanges of two parts, and which pictures are one. Out: one `Match` for each test question that was found, its likeliest twin.
Rows are compared only within a picture, so the work grows with the rows, not with their square; others only where their word stems are equal.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from vesalius.data.leaks.wording import SAME, Answers, asked_again, wording
from vesalius.domain.exchange import Exchange
from vesalius.metrics.text import normalise


@dataclasses.dataclass(frozen=True)
class Match:
    """A test question with the training row that asks it again.

    Args:
        probability: that the two ask the same; 1 for equal texts.
        gives_away: whether the training row's answer, with yes and no exchanged where it asks for the opposite, is the test's.
    """

    test: Exchange
    train: Exchange
    probability: float
    gives_away: bool

    @property
    def same_words(self) -> bool:
        """Whether the two texts are equal but for case, punctuation and articles."""
        return normalise(self.test.question.text) == normalise(self.train.question.text)

    def __str__(self) -> str:
        told = f"{self.test.id} {self.test.question.text!r} ({self.test.gold}) = {self.train.id} {self.train.question.text!r} ({self.train.gold})"
        return f"{told}, p {self.probability:.2f}"


def repeated(train: Sequence[Exchange], test: Sequence[Exchange], *, groups: Mapping[str, str] | None = None, least: float = SAME) -> tuple[Match, ...]:
    """The test questions that training asks too, in the order of the test.

    Args:
        train, test: two parts.
        groups: name of a picture -> name of its group, as of `Compared.groups`; a name that is not there is alone.
        least: probability from which two questions are one.
    """
    alike = groups or {}
    of_picture: dict[Hashable, list[Exchange]] = defaultdict(list)
    for row in train:
        of_picture[_place(row, alike)].append(row)
    matches = (_likeliest(row, of_picture.get(_place(row, alike), ())) for row in test)
    return tuple(match for match in matches if match is not None and match.probability >= least)


def _place(row: Exchange, alike: Mapping[str, str]) -> Hashable:
    """What a row shares with those that it is compared with: the picture; without one, the word stems, or all would be compared with all."""
    return alike.get(row.image, row.image) or (None, *sorted(wording(row.question.text).stems))


def _likeliest(test: Exchange, rows: Iterable[Exchange]) -> Match | None:
    """The twin that gives the answer away before one that does not, then the likeliest."""
    found = []
    for row in rows:
        probability, answers = asked_again(row.question.text, test.question.text, (row.gold, test.gold))
        found.append(Match(test, row, probability, answers is Answers.SAME))
    return max(found, key=lambda m: (m.probability >= SAME, m.gives_away, m.probability), default=None)
