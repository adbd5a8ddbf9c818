"""`remote:NAME`: a model behind an OpenAI-compatible endpoint (a hosted one, vLLM, a llama.cpp server), questioned and gated like any other.

In: a `Study` that is marked as de-identified; nothing else leaves the machine, and of it only the rendered key image. Out: `Answer`s.
What an endpoint cannot give (probabilities, where it looked) is absent from the answer, and the gate treats what is missing as missing.
"""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.domain.exchange import Answer, Outcome, Question
from vesalius.domain.study import Study
from vesalius.errors import UserError
from vesalius.formats.pixels import render
from vesalius.metrics.text import read_outcome
from vesalius.models.base import GREEDY, ModelCard, Sampling, Task
from vesalius.models.endpoint import Client, Endpoint, Said, named
from vesalius.models.wording import digest

LONGEST = 1024  # pixels of a picture's longer side: more costs tokens and is scaled down at the other end


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture made ready to be sent."""

    png: bytes
    image_tokens: int = 0  # only the other end knows


class Remote:
    """A `GenerativeModel`.

    Args:
        name: of the endpoint. endpoint: whom to ask. client: for tests.
    """

    def __init__(self, name: str, endpoint: Endpoint, client: Client | None = None) -> None:
        self.endpoint, self.client = endpoint, client or Client(endpoint)
        self.card = ModelCard(
            name=f"remote:{name}",
            summary=f"{endpoint.model} at {endpoint.url}",
            tasks=(Task.VQA,),
            licence="the provider's terms",
            modalities=("CR", "DX", "CT", "MR"),
            body_parts=("CHEST", "ABDOMEN", "HEAD", "BRAIN", "PELVIS", "NECK"),
            languages=("en",),
            context=0,
            image_tokens=0,
            parameters=0,
            source=endpoint.url,
            revision="",
            limits=("pictures leave this machine: only de-identified studies are sent", "the model behind a name may change without notice"),
        )

    @property
    def identity(self) -> Mapping[str, Any]:
        """Endpoint, model, and what was used so far."""
        used = {"requests": self.client.requests, "input_tokens": self.client.input_tokens, "output_tokens": self.client.output_tokens}
        cost = {"cost": f"{self.client.spent:.4f} {self.endpoint.currency}"} if self.endpoint.input_price or self.endpoint.output_price else {}
        return {"name": self.card.name, "endpoint": self.endpoint.url, "model": self.endpoint.model, "prompt": digest(self.endpoint.system), **used, **cost}

    def encode(self, study: Study) -> Shown:
        """The key image as PNG.

        Raises:
            UserError: the study is not marked as de-identified.
        """
        if not study.deidentified:
            remedy = "de-identify it first: a file that is says so in PatientIdentityRemoved (0012,0062)"
            raise UserError(f"the study is not marked as de-identified, and {self.card.name} is outside this machine", remedy=remedy)
        return Shown(_png(render(study.image)))

    def answer(self, encoded: Shown, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """Answers in the order of the questions."""
        ways = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        return self.ask([(encoded, question, way) for question, way in zip(questions, ways, strict=True)])

    def ask(self, asks: Sequence[tuple[Shown, Question, Sampling]]) -> list[Answer]:
        """Answers in the order of the asks, several under way at one time."""
        with ThreadPoolExecutor(self.endpoint.parallel) as pool:
            return list(pool.map(self._one, asks))

    def score(self, encoded: Shown, question: Question, options: Sequence[str]) -> NDArray[np.float64]:  # noqa: ARG002
        """An endpoint cannot score texts that it did not write.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self.card.name} cannot score options: the endpoint gives probabilities of its own words only", remedy="ask, or use a local model")

    def stream(self, encoded: Shown, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in one piece: it is as long as a line, and the gate needs it whole."""
        yield self._one((encoded, question, sampling)).text

    def _one(self, ask: tuple[Shown, Question, Sampling]) -> Answer:
        shown, question, way = ask
        return _answer(self.client.ask(shown.png, question.text, temperature=way.temperature, most=way.max_new_tokens, seed=way.seed))


def _answer(said: Said) -> Answer:
    outcome = read_outcome(said.text)
    total = None if said.logprobs is None else float(sum(said.logprobs))
    confidence = None if total is None else min(1.0, math.exp(total))
    p_yes = _p_yes(said.first) if outcome in (Outcome.YES, Outcome.NO) else None
    return Answer(said.text, outcome, confidence=confidence, p_yes=p_yes, logprob=total, tokens=said.tokens)


def _p_yes(first: Mapping[str, float]) -> float | None:
    """P(yes) among yes and no at the first token; None where neither is among the alternatives."""
    mass = {"yes": 0.0, "no": 0.0}
    for token, logprob in first.items():
        word = token.strip(" \u2581\u0120.,").lower()
        if word in mass:
            mass[word] += math.exp(logprob)
    total = sum(mass.values())
    return min(1.0, mass["yes"] / total) if total > 0 else None


def _png(rendered: NDArray[np.uint8]) -> bytes:
    from PIL import Image as Picture

    picture = Picture.fromarray(rendered)
    picture.thumbnail((LONGEST, LONGEST), Picture.Resampling.BICUBIC)
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=False)
    return out.getvalue()


def load(device: str = "cpu", *, name: str) -> Remote:  # noqa: ARG001 - where it computes is the other end's business
    """The model behind the endpoint of this name.

    Raises:
        ConfigError: no such endpoint, or its key is not set. MissingExtra: requests is not installed.
    """
    return Remote(name, named(name))
