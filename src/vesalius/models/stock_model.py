"""A stock class of `transformers` as a model of this package.

In: a `Study`. Out: `Answer`s. The image is paid for once: its features and the keys and values of the prompt up to its end are kept, and each question
continues from a copy. Asks run one at a time, so that no answer depends on its company; samples of one question share its reading.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue
from vesalius.formats.pixels import render
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.models.composed import as_answer
from vesalius.models.draw import climb, generator, ladder, yes_and_no
from vesalius.models.record import Ask, Record
from vesalius.models.stock_looking import saliency
from vesalius.models.stock_prompt import ChatPrompt, Family


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedStudy:
    """An image made ready once.

    Args:
        features: its tokens [N, width]. grid: patches (1, rows, columns) where positions need them. cache: keys and values of the prompt up to the image's
            end, never written to; None when they are made anew for each question. length: tokens of that part. place: the position that follows it.
    """

    features: Tensor
    grid: Tensor | None
    cache: Any
    length: int
    place: int

    @property
    def image_tokens(self) -> int:
        """N."""
        return len(self.features)


@dataclasses.dataclass(eq=False)
class _Row:
    """One ask on its way."""

    ids: list[int] = dataclasses.field(default_factory=list)
    logprobs: list[float] = dataclasses.field(default_factory=list)
    stopped: bool = False
    first: tuple[float, float] = (0.5, 0.0)


class Stock:
    """A `GenerativeModel`.

    Args:
        card: of the model. family: its kind. model: the stock class with all weights in place. prompt: of `read_prompt`. pictures: the stock preparation.
        about: what `identity` reports of the weights. share: keep keys and values of the image; without, only its features are kept.
    """

    def __init__(
        self,
        card: ModelCard,
        family: Family,
        model: Any,  # noqa: ANN401 - the library's classes have no common type for this
        prompt: ChatPrompt,
        pictures: Any,  # noqa: ANN401
        about: Mapping[str, Any] | None = None,
        *,
        share: bool = True,
    ) -> None:
        self.card, self.family, self.model, self.prompt, self.pictures, self.share = card, family, model.eval().requires_grad_(False), prompt, pictures, share
        self.identity = {"name": card.name, "revision": card.revision, "prompt": prompt.digest(), **(about or {})}
        self.context = int(model.config.get_text_config().max_position_embeddings)
        self._image_id = int(model.config.image_token_id)
        # the argument was renamed between releases
        self._cache_name = "cache" if "cache" in inspect.signature(type(model).forward).parameters else "past_key_values"

    def pixels(self, study: Study) -> dict[str, Tensor]:
        """The key image of a study as the tower's inputs, prepared as the checkpoint states.

        Raises:
            InvalidValue: a shape that the preparation does not take.
        """
        shown = Picture.fromarray(render(study.image)).convert("RGB")
        try:
            made = self.pictures(images=[shown], return_tensors="pt")
        except ValueError as error:
            raise InvalidValue(f"a picture of {shown.width} x {shown.height} cannot be prepared ({error})", remedy="crop it first") from error
        return {name: made[name].to(self._device) for name in ("pixel_values", "image_grid_thw") if name in made}

    @torch.inference_mode()
    def see(self, study: Study) -> tuple[Tensor, Tensor | None]:
        """Image tokens [N, width], and the grid of patches where the model has one: the image tower, once."""
        inputs = self.pixels(study)
        grid = inputs.get("image_grid_thw")
        return self.features(inputs["pixel_values"], grid), grid

    def features(self, pixels: Tensor, grid: Tensor | None) -> Tensor:
        """Image tokens [N, width] of one picture as the tower's input."""
        where = {} if grid is None else {"image_grid_thw": grid}
        out = self.model.get_image_features(pixel_values=pixels.to(self.model.dtype), **where)
        parts = getattr(out, "pooler_output", out)
        return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts])

    def encode(self, study: Study) -> EncodedStudy:
        """Tower and the prompt's head, once.

        Raises:
            InvalidValue: the image alone exceeds the context, or its shape is not taken.
        """
        return self.encode_features(*self.see(study))

    @torch.inference_mode()
    def encode_features(self, features: Tensor, grid: Tensor | None = None) -> EncodedStudy:
        """As `encode`, from the image's tokens."""
        length = len(self.prompt.before) + len(features) + len(self.prompt.between)
        if length >= self.context:
            raise InvalidValue(f"the image takes {length} tokens of a context of {self.context}", remedy="make the picture smaller")
        place = int(self._positions(self._head(len(features)), grid).max()) + 1
        bare = EncodedStudy(features, grid, None, length, place)
        return dataclasses.replace(bare, cache=self._prefix(bare)) if self.share else bare

    def answer(self, encoded: EncodedStudy, questions: Sequence[Question], sampling: Sampling | Sequence[Sampling] = GREEDY) -> list[Answer]:
        """Answers in the order of the questions.

        Raises:
            InvalidValue: as many samplings as questions not given, or a question too long for the context.
        """
        samplings = [sampling] * len(questions) if isinstance(sampling, Sampling) else list(sampling)
        if len(samplings) != len(questions):
            raise InvalidValue(f"{len(questions)} questions need as many samplings (got {len(samplings)})", remedy="give one for each, or one for all")
        return self.ask([(encoded, question, way) for question, way in zip(questions, samplings, strict=True)])

    def ask(self, asks: Sequence[tuple[EncodedStudy, Question, Sampling]]) -> list[Answer]:
        """Answers about any number of encoded images, in their order."""
        return [as_answer(record) for record in self.records(asks)]

    def records(self, asks: Sequence[tuple[EncodedStudy, Question, Sampling]]) -> list[Record]:
        """As `ask`, with tokens and their log-probabilities. What is asked twice is answered once; a question is read once for all its samples."""
        groups: dict[tuple[int, str], list[int]] = {}
        for number, (image, question, sampling) in enumerate(asks):
            self._ids(image, question.text, sampling.max_new_tokens)  # every question is checked before any is run
            groups.setdefault((id(image), question.text), []).append(number)
        found: dict[int, Record] = {}
        for (_, text), numbers in groups.items():
            start = self._read(asks[numbers[0]][0], text)
            done: dict[Sampling, Record] = {}
            for number in numbers:
                image, _, sampling = asks[number]
                if sampling not in done:
                    done[sampling] = self._record(image, text, sampling, start)
                found[number] = done[sampling]
        return [found[number] for number in range(len(asks))]

    @torch.inference_mode()
    def score(self, encoded: EncodedStudy, question: Question, options: Sequence[str]) -> NDArray[np.float64]:
        """Natural log-probability of each option as the whole answer: its tokens and any token that ends it. Image and question are read once.

        Raises:
            InvalidValue: an empty option, or question and option too long for the context.
        """
        paths = [self.prompt.answer(option) for option in options]
        if any(not path for path in paths):
            raise InvalidValue("an option must have text", remedy="leave the empty option out")
        if not paths:
            return np.zeros(0)
        asked = len(self._ids(encoded, question.text, max(map(len, paths)) + 1))
        first, cache = self._read(encoded, question.text)
        totals = []
        for path in paths:
            more = self._logprobs(self._run(path, encoded.place + asked, copy.deepcopy(cache), keep=len(path)))
            rows = torch.cat((first[None], more))
            said = sum(float(rows[i, token]) for i, token in enumerate(path))
            totals.append(said + float(rows[-1, list(self.prompt.stop)].logsumexp(0)))
        return np.array(totals, dtype=np.float64)

    def stream(self, encoded: EncodedStudy, question: Question, sampling: Sampling = GREEDY) -> Iterator[str]:
        """The answer in pieces as it comes; joined and stripped they are the answer's text."""
        self._ids(encoded, question.text, sampling.max_new_tokens)
        said = ""
        for row in self._steps(encoded, question.text, sampling, self._read(encoded, question.text)):
            last = row.stopped or len(row.ids) >= sampling.max_new_tokens
            if not last and str(self.prompt.tokenizer.id_to_token(row.ids[-1])).startswith("<0x"):
                continue  # how a byte reads depends on those that follow
            text = str(self.prompt.tokenizer.decode(row.ids, skip_special_tokens=True))
            whole = text if last else text.rstrip("\ufffd")  # half a character waits for its other half
            if len(whole) > len(said):
                yield whole[len(said) :]
                said = whole

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """As in `Composed`."""
        return saliency(self, study, question, answer, method)

    @property
    def _device(self) -> torch.device:
        return torch.device(self.model.device)

    def _head(self, count: int) -> list[int]:
        return [*self.prompt.before, *[self._image_id] * count, *self.prompt.between]

    def _ids(self, image: EncodedStudy, text: str, more: int) -> tuple[int, ...]:
        """Ids from the image's end to where the answer starts, checked against the context."""
        ids = self.prompt.question(text)
        if image.length + len(ids) + more > self.context:
            what = f"image ({image.length}), question and answer ({len(ids) + more}) exceed the context of {self.context} tokens"
            raise InvalidValue(what, remedy="shorten the question or ask for fewer new tokens")
        return ids

    def _positions(self, head: Sequence[int], grid: Tensor | None) -> Tensor:
        """Of the prompt up to the image's end: [1, P], or [3, 1, P] by time, row and column."""
        if not self.family.grid:
            return torch.arange(len(head), device=self._device)[None]
        ids = torch.tensor([list(head)], device=self._device)
        places, _ = self.model.model.get_rope_index(ids, mm_token_type_ids=(ids == self._image_id).int(), image_grid_thw=grid)
        return places  # type: ignore[no-any-return]

    def _prefix(self, image: EncodedStudy) -> Any:  # noqa: ANN401 - a cache of the library
        """Keys and values of the prompt up to the image's end."""
        from transformers import DynamicCache

        cache = DynamicCache(config=self.model.config.get_text_config())
        self._forward(cache, 1, **self.inputs(image.features, image.grid))
        return cache

    def inputs(self, features: Tensor, grid: Tensor | None, words: Sequence[int] = ()) -> dict[str, Tensor]:
        """What the language model is given of a prompt up to the image's end, and of words after it, by the names of the library.

        Args:
            features: the image's tokens [N, width]; a gradient passes. grid: as in `EncodedStudy`.
        """
        head = self._head(len(features))
        ids = torch.tensor([[*head, *words]], device=self._device)
        there = ids == self._image_id
        there[:, len(head) :] = False
        embeds = self.model.get_input_embeddings()(torch.where(there, self.prompt.stop[0], ids))  # an image's id may lie beyond the vocabulary
        places = self._positions(head, grid)
        after = places.max() + 1 + torch.arange(len(words), device=places.device)
        return {
            "inputs_embeds": embeds.masked_scatter(there[..., None], features.to(embeds.dtype)),
            "position_ids": torch.cat((places, after.expand(*places.shape[:-1], -1)), -1),
            **({} if self.family.grid else {"token_type_ids": there.int()}),  # tokens of one image see each other both ways
        }

    @torch.inference_mode()
    def _read(self, image: EncodedStudy, text: str) -> tuple[Tensor, Any]:
        """Log-probabilities [vocabulary] of an answer's first token, and the cache at the question's end."""
        cache = self._prefix(image) if image.cache is None else copy.deepcopy(image.cache)
        return self._logprobs(self._run(self.prompt.question(text), image.place, cache))[0], cache

    def _run(self, ids: Sequence[int], place: int, cache: Any, keep: int = 1) -> Tensor:  # noqa: ANN401
        """Logits of the last `keep` tokens [keep, vocabulary]; tokens of words stand at `place` and after, and are added to the cache."""
        embeds = self.model.get_input_embeddings()(torch.tensor([list(ids)], device=self._device))
        places = torch.arange(place, place + len(ids), device=self._device)[None]
        return self._forward(cache, keep, inputs_embeds=embeds, position_ids=places.expand(3, 1, -1) if self.family.grid else places)

    def _forward(self, cache: Any, keep: int, **inputs: Tensor) -> Tensor:  # noqa: ANN401
        out = self.model(**inputs, use_cache=True, logits_to_keep=keep, **{self._cache_name: cache})
        return out.logits[0].float()  # type: ignore[no-any-return]

    def _logprobs(self, logits: Tensor) -> Tensor:
        logits[:, list(self.prompt.template.unscored)] = -torch.inf
        return torch.log_softmax(logits, dim=-1)

    def _record(self, image: EncodedStudy, text: str, sampling: Sampling, start: tuple[Tensor, Any]) -> Record:
        row = _Row()
        for row in self._steps(image, text, sampling, start):  # noqa: B007 - the last state is the answer
            pass
        return Record(self.prompt.words(row.ids), tuple(row.ids), tuple(row.logprobs), row.stopped, p_yes=row.first[0], yes_no=row.first[1])

    def _steps(self, image: EncodedStudy, text: str, sampling: Sampling, start: tuple[Tensor, Any]) -> Iterator[_Row]:
        """Run one ask token by token from a copy of where its question was read."""
        row, (logprobs, cache) = _Row(), start
        random = generator(Ask(image, text, sampling))  # type: ignore[arg-type]  # of the ask, it takes question and seed
        yes, no = (float(logprobs[list(ids)].exp().sum()) for ids in (self.prompt.yes, self.prompt.no))
        row.first = yes_and_no(yes, no)
        place, heat = image.place + len(self.prompt.question(text)), sampling.temperature
        fresh = True
        while True:
            token = climb(ladder(logprobs, heat), random) if heat else int(logprobs.argmax())
            row.logprobs.append(min(0.0, float(logprobs[token])))
            row.stopped = token in self.prompt.stop
            if not row.stopped:
                row.ids.append(token)
            yield row
            if row.stopped or len(row.ids) >= sampling.max_new_tokens:
                return
            with torch.inference_mode():
                cache = copy.deepcopy(cache) if fresh else cache
                fresh = False
                logprobs = self._logprobs(self._run([token], place + len(row.ids) - 1, cache))[0]
