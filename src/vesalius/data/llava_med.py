"""LLaVA-Med's training text: captions as answers (alignment), and conversations about figures that GPT-4 wrote from captions without seeing them (instruct).

In: `alignment/llava_med_alignment_500k.json`, `instruct/llava_med_instruct_{10k,60k,60k_inline_mention}.json`, `instruct/llava_med_instruct_fig_captions.json`
and `images/<pair>.jpg`, as published, below `llava_med/`. Out: `Conversation`s and `Caption`s one at a time, and exchanges, one for each pair of turns.
Layout: github.com/microsoft/LLaVA-Med.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vesalius.data import base, records
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import UserError

IMAGE = "<image>"
# protocol -> the file that it reads
FILES: Mapping[str, str] = MappingProxyType(
    {
        "alignment_500k": "alignment/llava_med_alignment_500k.json",
        "instruct_10k": "instruct/llava_med_instruct_10k.json",
        "instruct_60k": "instruct/llava_med_instruct_60k.json",
        "instruct_60k_inline_mention": "instruct/llava_med_instruct_60k_inline_mention.json",
    }
)
CAPTIONS = "instruct/llava_med_instruct_fig_captions.json"
DOMAINS = ("chest_xray", "ct_scan", "gross", "histology", "mri")
_LONGEST = 2000  # characters of a `Question`
_ARTICLE = re.compile(r"(.+?)_F\d+[A-Za-z]?", re.IGNORECASE)  # "28104940_F2" -> "28104940"
_NOTE = "all of it is for training; the file's name tells its size only roughly, and no exact number is published"

CARD = base.DataCard(
    name="llava-med",
    summary="LLaVA-Med's 500K caption pairs and 60K and 10K conversations about figures of PubMed Central, written by GPT-4 from captions",
    folder="llava_med",
    licence="CC-BY-NC-4.0: research only, also by the terms of LLaMA, Vicuna and GPT-4; models trained on it are expressly not for clinical use",
    attribution="LLaVA-Med (Li, Wong, Zhang, Usuyama, Liu, Yang, Naumann, Poon, Gao 2023), Microsoft; figures from PMC-15M",
    train_allowed=False,
    states_modality=False,
    images=0,
    protocols=tuple(base.SplitProtocol(name, "cluster", dict.fromkeys(Split, 0), f"{path}: {_NOTE}", counted=base.UNCOUNTED) for name, path in FILES.items()),
    how_to_obtain=(
        "run download_data.sh of github.com/microsoft/LLaVA-Med and put its data/alignment, data/instruct and data/images into "
        "ROOT/llava_med/ (the files, not the pointers of Git LFS)"
    ),
    citation="Li et al., LLaVA-Med: training a large language-and-vision assistant for biomedicine in one day, NeurIPS 2023, arXiv 2306.00890",
    url="https://github.com/microsoft/LLaVA-Med",
    caveats=(
        "Nobody looked at a figure: GPT-4 wrote questions and answers from its caption and, for inline_mention, from sentences that mention it.",
        "Later questions of a conversation may need the earlier ones; `tags['turn']` counts from 0.",
        "The publication says 600,000 pairs for alignment, the released file 500K; the 10K and 60K files overlap.",
        "Figures of PubMed Central occur in PMC-VQA, ROCO and BiomedCLIP's training too.",
    ),
)


@dataclasses.dataclass(frozen=True)
class Conversation:
    """What is said about one figure.

    Args:
        id: as stored. image: path relative to the data root. article: key of the figure's article, else of the figure.
        domains: those of `DOMAINS` (or others) that the file flags.
        turns: (question, answer), the mark for the image taken out.
    """

    id: str
    image: str
    article: str
    domains: tuple[str, ...]
    turns: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Caption:
    """A figure's caption, its label ("Figure 2") and the sentences of its article that mention it; `domain` is the list in which it stands."""

    id: str
    image: str
    domain: str
    label: str
    caption: str
    mentions: tuple[str, ...]


class LlavaMed(base.Published):
    """See the card."""

    card = CARD

    def exchanges(self, root: Path, split: Split, protocol: str | None = None) -> tuple[Exchange, ...]:
        """One for each question and answer, in the order of the file, when training is asked for; questions over 2,000 characters are left out.

        Raises:
            DataMissing: the file is absent. DataFormatError: it does not hold this set, or names an image outside its folder. UnknownName: no such protocol.
        """
        chosen = CARD.protocol(protocol).name
        found: dict[str, Exchange] = {}
        for each in self.conversations(root, chosen):
            if split == Split.TRAIN:
                found.update((exchange.id, exchange) for exchange in _exchanges(each))
        return tuple(found.values())

    def conversations(self, root: Path, protocol: str | None = None, left_out: Counter[str] | None = None) -> Iterator[Conversation]:
        """Conversations of one file, one in memory at a time.

        Args:
            left_out: where given, what could not be used is counted in it by reason.

        Raises:
            DataMissing, DataFormatError, UnknownName: as `exchanges`.
        """
        path = base.folder(root, CARD) / FILES[CARD.protocol(protocol).name]
        missed: Counter[str] = Counter() if left_out is None else left_out
        seen: set[str] = set()
        with records.reading(path, CARD):
            for row in records.json_rows(path, CARD):
                found = _conversation(row, missed)
                if found.id in seen or not found.turns:
                    missed["the figure is there twice" if found.turns else "no question with an answer"] += 1
                    continue
                seen.add(found.id)
                yield found
            if not seen:
                raise ValueError("it holds no conversation")

    def left_out(self, root: Path, protocol: str | None = None) -> Mapping[str, int]:
        """How many conversations and turns were not used, by reason. Raises: as `exchanges`."""
        missed: Counter[str] = Counter()
        for each in self.conversations(root, protocol, missed):
            missed["a question over 2,000 characters"] += sum(len(question) > _LONGEST for question, _ in each.turns)
        return {reason: number for reason, number in missed.items() if number}

    def captions(self, root: Path) -> Iterator[Caption]:
        """The captions that conversations are written from. Raises: DataMissing, DataFormatError."""
        path = base.folder(root, CARD) / CAPTIONS
        held = records.json_whole(path, CARD)
        with records.reading(path, CARD):
            for domain, rows in held.items():
                for row in rows:
                    yield _caption(row, domain)

    def files(self, root: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
        """The files of conversations that are there (the first, when none is), and the captions where they are; the images that they name."""
        home = root / CARD.folder
        there = [name for name, path in FILES.items() if (home / path).is_file()]
        images: set[Path] = set()
        for name in there:
            try:
                images |= {root / each.image for each in self.conversations(root, name)}
            except UserError:  # the check goes on to say what is wrong with the file
                continue
        tables = [home / FILES[name] for name in there or [CARD.protocol().name]]
        return (*tables, *(path for path in (home / CAPTIONS,) if path.is_file())), tuple(sorted(images))


def _conversation(row: Mapping[str, Any], left_out: Counter[str]) -> Conversation:
    image, identity = records.below(str(row["image"])), str(row["id"])
    stated = row.get("domain") or {}
    domains = [stated] if isinstance(stated, str) else [name for name, holds in stated.items() if holds]
    turns, waiting = [], ""
    for each in row["conversations"]:
        words = each["value"].replace(IMAGE, " ").strip()
        if each["from"] == "human":
            left_out["a question without answer"] += bool(waiting)
            waiting = words
        elif each["from"] == "gpt":
            if waiting and words:
                turns.append((waiting, words))
            else:
                left_out["an answer without question, or empty"] += 1
            waiting = ""
        else:
            raise ValueError(f"a turn of {identity} is by {each['from']!r}")
    left_out["a question without answer"] += bool(waiting)
    article = _ARTICLE.fullmatch(Path(image).stem)
    return Conversation(identity, f"{CARD.folder}/images/{image}", article.group(1) if article else identity, tuple(sorted(domains)), tuple(turns))


def _caption(row: Mapping[str, Any], domain: str) -> Caption:
    mentions = [each["tokens"] if isinstance(each, dict) else each for each in row.get("in_text_mention") or ()]
    identity = records.below(str(row["pair_id"]))
    return Caption(
        id=identity,
        image=f"{CARD.folder}/images/{identity}.jpg",
        domain=domain,
        label=records.tidy(row.get("fig_label")),
        caption=records.tidy(row["fig_caption"]),
        mentions=tuple(records.tidy(each) for each in mentions),
    )


def _exchanges(each: Conversation) -> Iterator[Exchange]:
    for turn, (question, answer) in enumerate(each.turns):
        if len(question) <= _LONGEST:
            yield Exchange(
                id=f"{CARD.name}:{each.id}:{turn}",
                image=each.image,
                question=Question(question),
                gold=answer,
                closed=None,
                cluster=f"{CARD.name}:{each.article}",
                split=Split.TRAIN,
                phrase="generated",
                tags=MappingProxyType({"turn": str(turn), **({"domain": "|".join(each.domains)} if each.domains else {})}),
            )


DATASET = LlavaMed()
