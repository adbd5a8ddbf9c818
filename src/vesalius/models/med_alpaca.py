"""Visual Med-Alpaca (github.com/cambridgeltl/visual-med-alpaca, 2023): a router of image types, experts that turn the image into text, a language model.

In: a `Study`. Out: `Answer`s. The language model never sees a pixel: an expert's text stands in the "### Input" of an Alpaca prompt. The published code has
no router and no prompt manager; both are ours. `visual-med-alpaca-pocket` runs with what the package ships and SmolLM2-135M-Instruct;
`med_alpaca_7b` takes LLaMA-7B, an adapter and experts from a folder.

How an answer is made:
1. no expert, or one that read nothing (confidence 0): "cannot be determined";
2. a yes/no question: log-odds of the expert's own answer, where it answers questions, plus `SHARE` of what its text moves the language model's log-odds
   (those with the text less those of the same question without). Without an own answer: what the text moves, drawn to 1/2 by the expert's confidence;
3. any other question: the language model writes, and an expert's own answer is put into the input. `visual-med-alpaca-pocket` quotes instead, for a model
   of 135 million parameters garbles what it reads (of a measured heart rate of 61 it made 9): the expert's own answer where it answers questions, else that
   sentence of its text which the language model finds the most probable answer, a token. Confidence: of the words, times the expert's.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import render
from vesalius.metrics.text import is_yes_no_question
from vesalius.models import checkpoint, llama, pocket, router
from vesalius.models import weights as language_models
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.models.cards import card
from vesalius.models.composed import as_answer
from vesalius.models.composition import Composition, Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.draw import generator
from vesalius.models.engine import Ask, EncodedImage, Engine
from vesalius.models.experts import Expert, Heard, expert
from vesalius.models.quantize import Held, place
from vesalius.models.router import Kind, Route, Router
from vesalius.models.wording import PROBE, digest

NAME = "visual-med-alpaca-pocket"
SHARE = 0.25  # of the language model's say beside an expert that answers itself: SmolLM2's helped nothing on 47 development questions, so it is small
SILENT = "cannot be determined"
_HEAD = "Below is an instruction that describes a task"
_CLOSE = "Write a response that appropriately completes the request."
_ONE = Sampling(max_new_tokens=1)
_LEAST = 1e-6  # probabilities are kept this far from 0 and 1 before their odds are taken


def prompt_text(question: str, said: str | None = None) -> str:
    """The published prompt, with an expert's text or without.

    Args:
        said: None for the published form without input.
    """
    if said is None:
        return f"{_HEAD}. {_CLOSE}\n\n### Instruction:\n{question}\n\n### Response:\n"
    context = ", paired with an input that provides further context of an uploaded image. "
    return f"{_HEAD}{context}{_CLOSE}\n\n### Instruction:\n{question}\n\n### Input:\n{said}\n\n### Response:\n"


class AlpacaPrompt(Prompt):
    """Whole prompts, tokenised in one piece as the published code does; `question` takes what `prompt_text` gives."""

    def answer(self, text: str) -> tuple[int, ...]:
        """Ids of an answer's words as they stand after a line break: no blank before them."""
        return self._plain("\n" + text)[len(self._plain("\n")) :]


class _NoImage(nn.Module):
    """An image takes no tokens: the language model reads an expert's words instead."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, memory: Tensor) -> Tensor:
        """[B, 1, 1] -> [B, 0, width]."""
        return memory.new_zeros(len(memory), 0, self.width)


@dataclasses.dataclass(frozen=True, eq=False)
class Routed:
    """An encoded study.

    Args:
        route: where the router sent it. expert: who read it. heard: what it said.
    """

    route: Route
    expert: Expert
    heard: Heard
    image_tokens: int = 0


class MedAlpaca:
    """A `GenerativeModel`.

    Args:
        card: of the model. lm: a `Decoder` module. prompt: of the language model. kinds: the router. find: the expert for a kind.
        about: what `identity` reports of the weights. quotes: whether it quotes the expert instead of writing (rule 3 of the module's text).
    """

    def __init__(
        self,
        card: ModelCard,
        lm: nn.Module,
        prompt: AlpacaPrompt,
        kinds: Router,
        find: Callable[[Kind], Expert],
        about: Mapping[str, Any] | None = None,
        *,
        quotes: bool = False,
    ) -> None:
        self.quotes = quotes
        self.card, self.router, self.find = card, kinds, find
        self.engine = Engine(Composition(nn.Identity(), _NoImage(int(lm.width)), lm), prompt)  # type: ignore[arg-type]
        asked = digest(prompt.digest(), prompt_text(PROBE), prompt_text(PROBE, "seen"))
        self.identity = {"name": card.name, "revision": card.revision, "prompt": asked, **(about or {})}

    @functools.cached_property
    def _root(self) -> EncodedImage:
        """What every prompt starts with: no more than the opening token."""
        weight = next(self.engine.composition.lm.parameters())
        return self.engine.encode_memory(torch.zeros(1, 1, 1, dtype=weight.dtype, device=weight.device))[0]

    def encode(self, study: Study) -> Routed:
        """Route the key image and let the expert read it, once."""
        route = self.router.route(render(study.image))
        chosen = self.find(route.kind)
        return Routed(route, chosen, chosen.describe(study))

    def explain(self, encoded: Routed) -> dict[str, Any]:
        """What the language model was told of a study, and by whom: plain values for a record."""
        said, route = encoded.heard.said, encoded.route
        return {
            "type": str(route.kind),
            "type_probability": round(route.probability, 4),
            "expert": said.expert,
            "expert_text": said.text,
            "expert_confidence": round(said.confidence, 4),
        }

    def answer(self, encoded: Routed, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """Answers in the order of the questions."""
        ways = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        if len(ways) != len(questions):
            raise InvalidValue(f"{len(questions)} questions need as many samplings (got {len(ways)})", remedy="give one for each, or one for all")
        return self.ask([(encoded, question, way) for question, way in zip(questions, ways, strict=True)])

    def ask(self, asks: Sequence[tuple[Routed, Question, Sampling]]) -> list[Answer]:
        """Answers about several encoded studies, experts and language model in one call each."""
        live = [i for i, (seen, _, _) in enumerate(asks) if seen.heard.said.confidence > 0]
        out = [Answer(SILENT, Outcome.UNDETERMINED)] * len(asks)
        owns = self._owns([asks[i] for i in live])
        plans = [self._prompts(*asks[i], own) for i, own in zip(live, owns, strict=True)]
        records = iter(self.engine.ask([one for plan in plans for one in plan]))
        for i, own, plan in zip(live, owns, plans, strict=True):
            seen, question, way = asks[i]
            said = [next(records) for _ in plan]
            if is_yes_no_question(question.text):
                out[i] = self._closed(seen, question, way, own, said[0].p_yes, said[1].p_yes)
            else:
                out[i] = _dimmed(as_answer(said[0]), _trust(seen, own)) if said else own or self._quoted(seen, question, way)
        return out

    def score(self, encoded: Routed, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option as the whole answer of the language model, told what the expert says."""
        return self.engine.score(self._root, self._told(encoded, question, self._owns([(encoded, question, GREEDY)])[0]), options)

    def stream(self, encoded: Routed, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in pieces; one piece where it is not the language model that writes."""
        if self.quotes or encoded.heard.said.confidence <= 0 or is_yes_no_question(question.text):
            yield self.ask([(encoded, question, sampling)])[0].text
            return
        own = self._owns([(encoded, question, sampling)])[0]
        yield from self.engine.stream(self._root, self._told(encoded, question, own), sampling)

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:  # noqa: ARG002
        """Where the expert's own answer to the question comes from; the language model looks nowhere.

        Raises:
            InvalidValue: the expert for this image cannot say where it looks.
        """
        encoded = self.encode(study)
        own, model = self._owns([(encoded, question, GREEDY)])[0], getattr(encoded.expert, "model", None)
        if own is None or not hasattr(model, "saliency"):
            raise InvalidValue(f"the expert for this image ({encoded.heard.said.expert}) cannot say where it looks", remedy="ask about an X-ray, CT or MR")
        grid, name = model.saliency(study, question, own, method=method)  # type: ignore[union-attr]
        return grid, f"{name} of the {encoded.expert.name} expert"

    def _owns(self, asks: Sequence[tuple[Routed, Question, Sampling]]) -> list[Answer | None]:
        """What experts that answer questions themselves say; one call for each of them."""
        own: list[Answer | None] = [None] * len(asks)
        by_expert: dict[int, list[int]] = {}
        for i, (seen, _, _) in enumerate(asks):
            if seen.heard.seen is not None and hasattr(seen.expert, "ask"):
                by_expert.setdefault(id(seen.expert), []).append(i)
        for places in by_expert.values():
            chosen: Any = asks[places[0]][0].expert
            said = chosen.ask([(asks[i][0].heard.seen, asks[i][1], _way(asks[i][1], asks[i][2])) for i in places])
            for i, answer in zip(places, said, strict=True):
                own[i] = answer
        return own

    def _told(self, seen: Routed, question: Question, own: Answer | None) -> str:
        """The prompt with all that the expert says."""
        text = seen.heard.said.text
        if own is not None and own.text and not is_yes_no_question(question.text):
            text += f" Asked this, the expert answers: {own.text}."
        return prompt_text(question.text, text)

    def _prompts(self, seen: Routed, question: Question, way: Sampling, own: Answer | None) -> list[Ask]:
        told = self._told(seen, question, own)
        if not is_yes_no_question(question.text):
            return [] if self.quotes else [Ask(self._root, told, way)]
        return [Ask(self._root, told, _ONE), Ask(self._root, prompt_text(question.text), _ONE)]

    def _quoted(self, seen: Routed, question: Question, way: Sampling) -> Answer:
        """A sentence of the expert's text: the likeliest, or drawn by likelihood at a temperature."""
        sentences = [part for part in re.split(r"(?<=\.)\s+", seen.heard.said.text) if part]
        tokens = np.array([len(self.engine.prompt.answer(sentence)) + 1 for sentence in sentences])
        scores = self.engine.score(self._root, prompt_text(question.text), sentences) / tokens
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        chosen = int(chances.argmax())
        if way.temperature:
            heated = np.cumsum(chances ** (1 / way.temperature))
            chosen = int(np.searchsorted(heated, generator(Ask(self._root, question.text, way)).random() * heated[-1], side="right"))
        chance = float(chances[min(chosen, len(sentences) - 1)])
        text = sentences[min(chosen, len(sentences) - 1)]
        return _dimmed(Answer(text, Outcome.TEXT, confidence=chance, logprob=math.log(max(chance, _LEAST)), tokens=int(tokens[chosen]) - 1), _trust(seen, None))

    def _closed(self, seen: Routed, question: Question, way: Sampling, own: Answer | None, told: float, bare: float) -> Answer:
        """Rule 2 of the module's text."""
        moved = _odds(told) - _odds(bare)
        if own is not None and own.p_yes is not None:
            p_yes = _sigmoid(_odds(own.p_yes) + SHARE * moved)
        else:
            trust = seen.heard.said.confidence
            p_yes = trust * _sigmoid(moved) + (1 - trust) / 2
        yes = p_yes >= 0.5
        if way.temperature:
            yes = bool(generator(Ask(self._root, question.text, way)).random() < _sigmoid(_odds(p_yes) / way.temperature))
        chance = p_yes if yes else 1 - p_yes
        outcome = Outcome.YES if yes else Outcome.NO
        return Answer(str(outcome), outcome, confidence=chance, p_yes=p_yes, logprob=math.log(max(chance, _LEAST)), tokens=1)


def _way(question: Question, way: Sampling) -> Sampling:
    return GREEDY if is_yes_no_question(question.text) else way  # of a yes/no question the probability is wanted, and it is drawn from later


def _trust(seen: Routed, own: Answer | None) -> float:
    return own.confidence if own is not None and own.confidence is not None else seen.heard.said.confidence


def _dimmed(answer: Answer, trust: float) -> Answer:
    """The language model's answer, no surer than what it was told."""
    logprob = None if answer.logprob is None else answer.logprob + math.log(max(trust, _LEAST))
    return dataclasses.replace(answer, confidence=None if answer.confidence is None else answer.confidence * trust, logprob=logprob)


def _odds(p: float) -> float:
    kept = min(max(p, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


@functools.lru_cache(maxsize=1)
def load(device: str = "cpu", weights: Path = router.SHIPPED, *, dtype: Held | None = None) -> MedAlpaca:
    """`visual-med-alpaca-pocket`, ready to answer.

    Args:
        weights: a folder of the router's weights, as `python -m vesalius.train.router` writes them. dtype: of the language model; None takes the fastest
            that the device has.

    Raises:
        WeightsError: the language model's, the router's or an expert's weights cannot be had. MissingExtra: a part of the extra `models` is absent.
    """
    from tokenizers import Tokenizer

    folder = language_models.language_model()
    lm = llama.load(folder, dtype=torch.float32)
    place(lm, device, dtype or default_dtype(device))
    prompt = AlpacaPrompt(Tokenizer.from_file(str(folder / "tokenizer.json")), Template(stop=("<|im_end|>", "<|endoftext|>")))
    about = {
        "router": checkpoint.fingerprint([weights / router.WEIGHTS]),
        "language_model": language_models.SMOLLM2.name,
        "radiology": pocket.digest(),
    }
    return MedAlpaca(card(NAME), lm, prompt, router.load(weights), lambda kind: expert(kind, device), about, quotes=True)
