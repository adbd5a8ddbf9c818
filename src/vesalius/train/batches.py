"""Batches of images with what is asked of them: the tower runs once an image, the language model's cached states once a wording.

In: examples by image, cached features. Out: `ImageBatch`es of tensors, with the pairs that the consistency and contrast terms compare.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vesalius.train.examples import Example
from vesalius.train.features import Texts
from vesalius.train.variants import Variants
from vesalius.train.views import draw

IGNORE = -100


class Shown(enum.Enum):
    """How far an image has come when a step gets it: as far as what stands still in its stage takes it."""

    PIXELS = "pixels"  # [3, S, S] uint8, in a new view each time
    LOWER = "lower"  # [112, s, s] of the tower's lower blocks
    FEATURES = "features"  # [N, 1280] of the whole tower


@dataclasses.dataclass(frozen=True)
class ImageItem:
    """An image and everything that may be asked of it, with the chance of each."""

    image: str
    examples: tuple[Example, ...]
    weights: tuple[float, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class ImageBatch:
    """What a step sees.

    Args:
        image: [B, ...] as `shown` says. changes: [B, 9] of `views.draw` for pixels in training; else [0, 9].
        rows: [M] image of each wording.
        words: [M, width] what the language model's lower layers made of the question.
        states: [M, L, width]: with `deep`, states below the first adapter, right-padded; else final states at the answer's positions.
        places: [M, T] position in `states` of each answer token's predecessor. targets: [M, T] indices into the candidates, -100 on padding.
        consistency: [P, 3] first, second, relative polarity. contrast: [C, 2] a yes and a no to one question of two images.
        free: [M] whether a wording was borrowed from another image: its answer here is not known, only that its group has one.
    """

    image: Tensor
    changes: Tensor
    rows: Tensor
    words: Tensor
    states: Tensor
    places: Tensor
    targets: Tensor
    consistency: Tensor
    contrast: Tensor
    free: Tensor
    deep: bool
    shown: Shown

    @property
    def counts(self) -> Mapping[str, float]:
        """Answer tokens, pairs of wordings, pairs of images."""
        pairs = float(len(self.consistency))
        return {
            "answer": float((self.targets[~self.free] != IGNORE).sum()),
            "consistency": pairs,
            "contrast": float(len(self.contrast)),
            "agreement": 2 * pairs,
        }

    @property
    def tokens(self) -> int:
        """Tokens of text that are read."""
        return int(self.states.shape[0] * self.states.shape[1])

    def to(self, device: torch.device) -> ImageBatch:
        """On a device."""
        tensors = {f.name: getattr(self, f.name).to(device) for f in dataclasses.fields(self) if f.name not in ("deep", "shown")}
        return ImageBatch(**tensors, deep=self.deep, shown=self.shown)


def items(examples: Sequence[Example], mixture: Mapping[str, float]) -> list[ImageItem]:
    """Examples gathered by image; a wording's chance is its source's share, balanced between yes and no within source and question.

    "Always no" must not pay: within a source, the yes and the no answers to closed questions weigh the same in total.
    """
    counts: dict[tuple[str, str], int] = defaultdict(int)
    totals: dict[str, int] = defaultdict(int)
    for e in examples:
        totals[e.source] += 1
        if e.closed:
            counts[e.source, e.answer] += 1
    by_image: dict[str, list[tuple[Example, float]]] = defaultdict(list)
    for e in examples:
        share = mixture.get(e.source, 0.0)
        if share <= 0:
            continue
        balance = 1.0
        if e.closed:
            both = counts[e.source, "yes"] + counts[e.source, "no"]
            balance = min(4.0, both / (2 * counts[e.source, e.answer]))
        by_image[e.image].append((e, share * balance))
    return [ImageItem(image, tuple(e for e, _ in rows), tuple(w for _, w in rows)) for image, rows in sorted(by_image.items())]


@dataclasses.dataclass(frozen=True)
class Collate:
    """Makes an `ImageBatch` of image items.

    Args:
        features: image to what is there of it and of its other views, [1 + views, ...] as `shown`; in training one view by chance,
            or with `variants` the one of the epoch.
        texts: cached states. finals: pair to final states at the answer's positions; None uses deep states.
        candidates: token id to index. most: wordings of one image in a batch. draw: take `most` of them by chance, in training; else all.
        together: draw whole groups, human wordings and so many others of each; 0 draws each wording for itself.
        borrow: groups of another image of the same source that are asked as well, as a share of an image's own.
        variants: what a policy makes of training pictures; pixels are made when their turn comes. epoch: which of them.
    """

    features: Mapping[str, Tensor]
    texts: Texts
    finals: Mapping[tuple[str, str], Tensor] | None
    candidates: Mapping[int, int]
    most: int = 12
    draw: bool = True
    shown: Shown = Shown.LOWER
    together: int = 0
    borrow: float = 0.0
    variants: Variants | None = None
    epoch: int = 0

    def at(self, epoch: int) -> Collate:
        """The same in another epoch."""
        return dataclasses.replace(self, epoch=epoch)

    def __call__(self, chosen: list[ImageItem]) -> ImageBatch:
        """The batch of these images."""
        own = [(row, example) for row, item in enumerate(chosen) for example in self._pick(item)]
        lent = self._borrowed(chosen, len({(row, e.group or e.question) for row, e in own})) if self.draw and self.borrow else []
        picked = own + lent
        image = torch.stack(self._views([item.image for item in chosen]))
        changing = self.draw and self.shown is Shown.PIXELS and self.variants is None
        pairs = [(e.question, e.answer) for _, e in picked]
        states, places, targets = self._texts(pairs)
        return ImageBatch(
            image if self.shown is Shown.PIXELS else image.float(),
            torch.tensor([draw(random.uniform) for _ in chosen]) if changing else torch.zeros(0, 9),
            torch.tensor([row for row, _ in picked]),
            torch.stack([self.texts.words[question] for question, _ in pairs]).float(),
            states,
            places,
            targets,
            _wordings([e for _, e in picked]),
            _contrasts([e for _, e in own]),
            torch.tensor([False] * len(own) + [True] * len(lent)),
            self.finals is None,
            self.shown,
        )

    def _views(self, names: Sequence[str]) -> list[Tensor]:
        """What is shown of each image: itself, or in training another view of it."""
        held = [self.features[name] for name in names]
        if not self.draw:
            return [views[0] for views in held]
        if self.variants is None:
            return [views[random.randrange(len(views))] for views in held]
        numbers = [self.variants.number(name, self.epoch) for name in names]
        if self.shown is not Shown.PIXELS:
            return [views[number] for views, number in zip(held, numbers, strict=True)]
        wanted = [(name, number) for name, number in zip(names, numbers, strict=True) if number]
        made = dict(zip(wanted, self.variants.pixels(wanted), strict=True))
        return [made.get((name, number), views[0]) for name, number, views in zip(names, numbers, held, strict=True)]

    def _pick(self, item: ImageItem) -> list[Example]:
        if not self.draw or len(item.examples) <= self.most:
            return list(item.examples)
        if self.together:
            return self._groups(item)
        # without replacement, by weight (Efraimidis & Spirakis 2006)
        keys = [random.random() ** (1 / w) for w in item.weights]
        order = sorted(range(len(keys)), key=keys.__getitem__, reverse=True)[: self.most]
        return [item.examples[i] for i in order]

    def _groups(self, item: ImageItem) -> list[Example]:
        """Whole groups, drawn as single wordings are by the weight of their first, until there are `most` wordings."""
        groups = _grouped(item)
        keys = [random.random() ** (1 / group[0][1]) for group in groups]
        found: list[Example] = []
        for i in sorted(range(len(keys)), key=keys.__getitem__, reverse=True):
            if len(found) >= self.most:
                break
            found += self._some([e for e, _ in groups[i]])
        return found

    def _some(self, group: Sequence[Example]) -> list[Example]:
        """The group's own wordings, and `together` of those that were made."""
        made = [e for e in group if e.reworded]
        return [e for e in group if not e.reworded] + random.sample(made, min(self.together, len(made)))

    def _borrowed(self, chosen: Sequence[ImageItem], own: int) -> list[tuple[int, Example]]:
        """Groups of yes/no wordings of one image put to another of the same source; each borrowing is a group of its own."""
        found: list[tuple[int, Example]] = []
        for number in range(round(self.borrow * own)):
            row, lender = random.randrange(len(chosen)), random.choice(chosen)
            groups = [[e for e, _ in group] for group in _grouped(lender) if group[0][0].closed and len(group) > 1]
            if groups and lender.image != chosen[row].image and lender.examples[0].source == chosen[row].examples[0].source:
                lent = self._some(random.choice(groups))
                found += [(row, dataclasses.replace(e, group=f"borrowed {number}: {e.group}")) for e in lent]
        return found

    def _texts(self, pairs: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor, Tensor]:
        wanted = [self.texts.targets[p] for p in pairs]
        longest = max(map(len, wanted))
        targets = torch.full((len(pairs), longest), IGNORE)
        for i, ids in enumerate(wanted):
            targets[i, : len(ids)] = torch.tensor([self.candidates[t] for t in ids])
        if self.finals is not None:
            rows = [self.finals[p] for p in pairs]
            places = torch.arange(longest).expand(len(pairs), -1)
        else:
            rows = [self.texts.deep[p] for p in pairs]
            starts = torch.tensor([len(r) - len(w) for r, w in zip(rows, wanted, strict=True)])
            places = (starts[:, None] + torch.arange(longest)).clamp(max=max(map(len, rows)) - 1)
        padded = torch.nn.utils.rnn.pad_sequence([r.float() for r in rows], batch_first=True)
        if self.finals is not None and padded.shape[1] < longest:
            padded = torch.nn.functional.pad(padded, (0, 0, 0, longest - padded.shape[1]))
        return padded, places, targets


def _grouped(item: ImageItem) -> list[list[tuple[Example, float]]]:
    """An image's examples with their weights, by group; what has no group stands alone."""
    found: dict[str, list[tuple[Example, float]]] = defaultdict(list)
    for number, (example, weight) in enumerate(zip(item.examples, item.weights, strict=True)):
        found[example.group or f"alone {number}"].append((example, weight))
    return list(found.values())


def _wordings(examples: Sequence[Example]) -> Tensor:
    """Pairs of wordings of one question about one image."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i, e in enumerate(examples):
        if e.group and e.closed:
            groups[e.group].append(i)
    rows = [(a, b, examples[a].polarity * examples[b].polarity) for members in groups.values() for a, b in itertools.pairwise(members)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 3)


def _contrasts(examples: Sequence[Example]) -> Tensor:
    """Pairs of a yes and a no to the same words about two images."""
    asked: dict[str, dict[str, list[int]]] = defaultdict(lambda: {"yes": [], "no": []})
    for i, e in enumerate(examples):
        if e.closed:
            asked[e.question.lower()][e.answer].append(i)
    rows = [pair for sides in asked.values() for pair in zip(sides["yes"], sides["no"], strict=False)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, 2)
