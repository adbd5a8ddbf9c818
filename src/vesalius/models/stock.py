"""Models that load with classes of `transformers` as they stand: MedGemma (Gemma 3), Lingshu and its kin (Qwen2.5-VL).

In: a `Study`. Out: `Answer`s. Weights, numbers, tokenizer, chat template and the preparation of pictures come from one folder in its published layout, never
from the hub, and no code that a checkpoint brings is run. The image is paid for once: its features and the keys and values of the prompt up to its end are
kept, and each question continues from a copy. Asks run one at a time, so that no answer depends on its company; samples of one question share its reading.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import checkpoint, memory
from vesalius.models.base import GREEDY, ModelCard, Sampling
from vesalius.models.cards import card as known
from vesalius.models.composed import as_answer
from vesalius.models.composition import Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.draw import climb, generator, ladder, yes_and_no
from vesalius.models.record import Ask, Record

_AGAIN = "fetch the checkpoint again: it must be whole and as it was published"
_OTHER = "name the model that the checkpoint is of"
_QUESTION, _IMAGE = "\ue000", "\ue001"  # stand in a rendered prompt where question and image go
_COMPUTED = ("position_ids", "rotary_emb.inv_freq")  # stored by some releases, and computed
_NEVER = ("image_token_id", "image_token_index", "boi_token_index", "eoi_token_index", "video_token_id", "vision_start_token_id", "vision_end_token_id")


@dataclasses.dataclass(frozen=True)
class Family:
    """What tells one kind of stock model from another.

    Args:
        name: of the model. source: where its checkpoint is. model, pictures: classes of `transformers` for it and for the preparation of pictures; the
            latter needs Pillow only. marks: settings that name the tokens before and after the image's, where the template writes the first of them alone.
        grid: whether image tokens have positions by row and column. system: a line that always opens the prompt.
    """

    name: str
    source: str
    model: str
    pictures: str
    marks: tuple[str, str] | None = None
    grid: bool = False
    system: str | None = None


MEDGEMMA = Family(
    name="medgemma-4b",
    source="google/medgemma-4b-it",
    model="Gemma3ForConditionalGeneration",
    pictures="Gemma3ImageProcessorPil",
    marks=("boi_token_index", "eoi_token_index"),
)
LINGSHU = Family(
    name="lingshu-7b",
    source="lingshu-medical-mllm/Lingshu-7B",
    model="Qwen2_5_VLForConditionalGeneration",
    pictures="Qwen2VLImageProcessorPil",
    grid=True,
)


class ChatPrompt(Prompt):
    """A chat template around one image and one question, cut at control tokens only, so that the ids are those of the whole text.

    Args:
        tokenizer: of the `tokenizers` library. template: its `between` is the control token after the image. lead: words between that and the question.
        strips: whether the chat template strips the question.
    """

    def __init__(self, tokenizer: Any, template: Template, lead: str = "", *, strips: bool = False) -> None:  # noqa: ANN401 - the library is not typed
        super().__init__(tokenizer, template)
        self.lead, self.strips = lead, strips
        special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
        self.controls = special | set(self.stop) | {n for n in template.unscored if n < tokenizer.get_vocab_size()}

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the image's end to where the answer starts. Control tokens written in the question are read as plain text.

        Raises:
            InvalidValue: the tokenizer would obey a control token in the question all the same.
        """
        ids = self._plain(self.lead + (text.strip() if self.strips else text))
        obeyed = sorted(self.controls & set(ids))
        if obeyed:
            token = self.tokenizer.id_to_token(obeyed[0])
            raise InvalidValue(f"the question holds {token!r}, which this model would obey", remedy="leave it out")
        return (*ids, *self.after)


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
        self.card, self.family, self.model, self.prompt, self.pictures, self.share = card, family, model.eval(), prompt, pictures, share
        self.identity = {"name": card.name, "revision": card.revision, **(about or {})}
        self.context = int(model.config.get_text_config().max_position_embeddings)
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
        inputs["pixel_values"] = inputs["pixel_values"].to(self.model.dtype)
        out = self.model.get_image_features(**inputs)
        parts = getattr(out, "pooler_output", out)
        return torch.cat([part.reshape(-1, part.shape[-1]) for part in parts]), inputs.get("image_grid_thw")

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

    @property
    def _device(self) -> torch.device:
        return torch.device(self.model.device)

    def _head(self, count: int) -> list[int]:
        return [*self.prompt.before, *[self._image_id] * count, *self.prompt.between]

    @property
    def _image_id(self) -> int:
        return int(self.model.config.image_token_id)

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
        head = self._head(image.image_tokens)
        ids = torch.tensor([head], device=self._device)
        there = ids == self._image_id
        embeds = self.model.get_input_embeddings()(torch.where(there, self.prompt.stop[0], ids))  # an image's id may lie beyond the vocabulary
        embeds = embeds.masked_scatter(there[..., None], image.features.to(embeds.dtype))
        kinds = {} if self.family.grid else {"token_type_ids": there.int()}  # tokens of one image see each other both ways
        self._forward(embeds, self._positions(head, image.grid), cache, 1, **kinds)
        return cache

    @torch.inference_mode()
    def _read(self, image: EncodedStudy, text: str) -> tuple[Tensor, Any]:
        """Log-probabilities [vocabulary] of an answer's first token, and the cache at the question's end."""
        cache = self._prefix(image) if image.cache is None else copy.deepcopy(image.cache)
        return self._logprobs(self._run(self.prompt.question(text), image.place, cache))[0], cache

    def _run(self, ids: Sequence[int], place: int, cache: Any, keep: int = 1) -> Tensor:  # noqa: ANN401
        """Logits of the last `keep` tokens [keep, vocabulary]; tokens of words stand at `place` and after, and are added to the cache."""
        embeds = self.model.get_input_embeddings()(torch.tensor([list(ids)], device=self._device))
        places = torch.arange(place, place + len(ids), device=self._device)[None]
        return self._forward(embeds, places.expand(3, 1, -1) if self.family.grid else places, cache, keep)

    def _forward(self, embeds: Tensor, places: Tensor, cache: Any, keep: int, **kinds: Tensor) -> Tensor:  # noqa: ANN401
        out = self.model(inputs_embeds=embeds, position_ids=places, use_cache=True, logits_to_keep=keep, **{self._cache_name: cache}, **kinds)
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


def read_config(folder: Path, model: str) -> Any:  # noqa: ANN401 - the library's classes have no common type for this
    """The configuration of a stock class.

    Raises:
        WeightsError: it is absent, of another class, or its numbers do not fit.
    """
    import transformers

    kinds = checkpoint.read_json(folder / "config.json").get("architectures")
    if kinds != [model]:
        raise WeightsError(f"{folder}: is a checkpoint of {kinds!r}, not of {model}", remedy=_OTHER)
    try:
        with _quiet():
            return getattr(transformers, model).config_class.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: config.json does not describe a {model} ({_line(error)})", remedy=_AGAIN) from error


def read_weights(folder: Path, model: str, config: Any, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """A stock class with every weight from safetensors files of the folder.

    Raises:
        WeightsError: weights that are absent, pickled, missing, unknown, or of another shape.
    """
    import transformers

    pickled = [path for path in checkpoint.files(folder) if path.suffix != ".safetensors"]
    if pickled:
        raise WeightsError(f"{pickled[0]}: is pickled", remedy="fetch the checkpoint's safetensors files")
    with _quiet():
        try:
            made, said = getattr(transformers, model).from_pretrained(
                folder, config=config, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True, ignore_mismatched_sizes=True
            )
        except Exception as error:  # the library raises plain exceptions
            raise WeightsError(f"{folder}: cannot be read as weights ({_line(error)})", remedy=_AGAIN) from error
    unknown = [name for name in said["unexpected_keys"] if not name.endswith(_COMPUTED)]
    found = {"missing": said["missing_keys"], "unknown": unknown, "of another shape": said["mismatched_keys"]}
    told = [f"{len(names)} {kind} (the first {_first(names)!r})" for kind, names in found.items() if names]
    if told:
        raise WeightsError(f"{folder}: the tensors do not fit this model: {', '.join(told)}", remedy=_OTHER)
    return made


def _first(names: Any) -> str:  # noqa: ANN401 - names, or (name, shape, shape)
    return min(name if isinstance(name, str) else str(name[0]) for name in names)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0][:160]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library's bars and reports off: what matters in them is raised."""
    from transformers.utils import logging as untyped

    logging: Any = untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def read_pictures(folder: Path, kind: str) -> Any:  # noqa: ANN401 - the library's classes have no common type for this
    """The preparation of pictures that a checkpoint states, in the class that needs Pillow and no torchvision.

    Raises:
        WeightsError: the checkpoint does not state one.
    """
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: how pictures are prepared cannot be read (preprocessor_config.json; {_line(error)})", remedy=_AGAIN) from error


def read_tokenizer(folder: Path) -> Any:  # noqa: ANN401 - the library is not typed
    """`tokenizer.json` as it stands.

    Raises:
        WeightsError: it is absent or cannot be read.
    """
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain exceptions
        raise WeightsError(f"{folder}: tokenizer.json cannot be read ({error})", remedy=_AGAIN) from error


def read_prompt(folder: Path, family: Family, config: Any) -> ChatPrompt:  # noqa: ANN401
    """The checkpoint's own chat template around one image and one question, as ids.

    Raises:
        WeightsError: tokenizer or template is absent, cannot be rendered, or parts image and question from the rest by no control token.
    """
    tokenizer = read_tokenizer(folder)
    rows = int(config.get_text_config().vocab_size)
    image = tokenizer.id_to_token(int(config.image_token_id))
    if image is None or tokenizer.get_vocab_size() > max(rows, int(config.image_token_id) + 1):
        what = f"{folder}: a tokenizer of {tokenizer.get_vocab_size()} tokens does not fit {rows} rows and the image token {config.image_token_id}"
        raise WeightsError(what, remedy=_AGAIN)
    opening, closing = ("", "") if family.marks is None else (str(tokenizer.id_to_token(int(getattr(config, name)))) for name in family.marks)
    shown, strips = _rendered(folder, family)
    place = opening or image
    if shown.count(place) != 1 or shown.count(_QUESTION) != 1 or shown.index(place) > shown.index(_QUESTION):
        raise WeightsError(f"{folder}: its chat template does not put one image before one question", remedy=_AGAIN)
    whole = shown.replace(place, f"\n\n{opening}{_IMAGE}{closing}\n\n" if opening else _IMAGE)
    before, _, rest = whole.partition(_IMAGE)
    lead, _, after = rest.partition(_QUESTION)
    control = _control(tokenizer, lead)
    if control is None or _control(tokenizer, after) is None:
        raise WeightsError(f"{folder}: its chat template has no control token after the image or after the question", remedy=_AGAIN)
    stop = tuple(dict.fromkeys((*_stops(folder, tokenizer, config), str(_control(tokenizer, after)))))
    never = {int(getattr(config, name)) for name in _NEVER if getattr(config, name, None) is not None}
    never |= {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.content in ("<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")}
    unscored = tuple(sorted({n for n in never if n < rows} | set(range(tokenizer.get_vocab_size(), rows))))
    template = Template(before=before, between=control, after=after, stop=stop, unscored=unscored)
    return ChatPrompt(tokenizer, template, lead.removeprefix(control), strips=strips)


def _rendered(folder: Path, family: Family) -> tuple[str, bool]:
    """A turn with image and question as the chat template writes it, and whether it strips the question."""
    from jinja2 import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    settings = checkpoint.read_json(folder / "tokenizer_config.json")
    tokens: dict[str, Any] = {name: _content(settings.get(name)) for name in ("bos_token", "eos_token", "pad_token")}
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": f" {_QUESTION} "}]}
    turns = [turn] if family.system is None else [{"role": "system", "content": [{"type": "text", "text": family.system}]}, turn]
    try:
        held = render_jinja_template([turns], chat_template=_template(folder, settings), add_generation_prompt=True, **tokens)[0]
    except (TemplateError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder}: its chat template cannot be rendered ({_line(error)})", remedy=_AGAIN) from error
    shown = str(held[0] if isinstance(held, list) else held)
    strips = f" {_QUESTION} " not in shown
    return shown if strips else shown.replace(f" {_QUESTION} ", _QUESTION), strips


def _content(token: Any) -> str:  # noqa: ANN401 - a string, or a table with one
    return str(token.get("content", "") if isinstance(token, Mapping) else token or "")


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    """Of a file of its own, else of the tokenizer's settings."""
    held: Any = settings.get("chat_template")
    if (folder / "chat_template.jinja").exists():
        held = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    elif (folder / "chat_template.json").exists():
        held = checkpoint.read_json(folder / "chat_template.json").get("chat_template")
    if not isinstance(held, str):
        raise WeightsError(f"{folder}: holds no chat template", remedy=_AGAIN)
    return held


def _control(tokenizer: Any, text: str) -> str | None:  # noqa: ANN401
    """The control token that a text begins with."""
    special = (token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special)
    return max((content for content in special if text.startswith(content)), key=len, default=None)


def _stops(folder: Path, tokenizer: Any, config: Any) -> list[str]:  # noqa: ANN401
    """Tokens that end an answer, by `generation_config.json`, else by the configuration."""
    path = folder / "generation_config.json"
    stated = checkpoint.read_json(path).get("eos_token_id") if path.exists() else None
    stated = stated if stated is not None else getattr(config.get_text_config(), "eos_token_id", None)
    numbers = stated if isinstance(stated, list) else [] if stated is None else [stated]
    return [token for token in (tokenizer.id_to_token(int(number)) for number in numbers) if token is not None]


def size(model: str, config: Any) -> int:  # noqa: ANN401
    """Number of parameters of a stock class, tied ones once, without making any."""
    import transformers

    with _quiet(), torch.device("meta"):
        made = getattr(transformers, model)(config)
    made.tie_weights()
    return sum(p.numel() for p in made.parameters())


def dtype_for(device: str) -> torch.dtype:
    """The fastest dtype, but never float16, whose range the activations of these language models exceed."""
    fastest = default_dtype(device)
    return torch.float32 if fastest == torch.float16 else fastest


def load(
    family: Family,
    device: str = "cpu",
    weights: Path | None = None,
    *,
    dtype: torch.dtype | None = None,
    facts: ModelCard | None = None,
    share: bool = True,
) -> Stock:
    """A model of a family from a checkpoint in its published layout.

    Args:
        weights: the folder. dtype: None takes the fastest that the device has and the model bears. facts: its card; None takes the one known by the family's
            name. share: keep keys and values of an image for all its questions.

    Raises:
        WeightsError: no folder, or one that does not hold this model; nothing is downloaded.
    """
    if weights is None:
        remedy = f"download {family.source} and name its folder: --model {family.name}:FOLDER"
        raise WeightsError(f"the weights of {family.name} do not come with this package", remedy=remedy)
    if not weights.is_dir():
        raise WeightsError(f"{weights}: not a folder of weights", remedy=f"give the folder of {family.source}")
    config = read_config(weights, family.model)
    prompt, pictures = read_prompt(weights, family, config), read_pictures(weights, family.pictures)
    kind = dtype or dtype_for(device)
    memory.require(family.name, size(family.model, config), str(kind).removeprefix("torch."), memory.room(device))
    model = read_weights(weights, family.model, config, kind).to(device)
    about = {"weights": checkpoint.fingerprint(checkpoint.files(weights)), "layout": "transformers", "class": family.model}
    return Stock(facts or known(family.name), family, model, prompt, pictures, about, share=share)


def medgemma(device: str = "cpu", weights: Path | None = None, *, dtype: torch.dtype | None = None, facts: ModelCard | None = None) -> Stock:
    """MedGemma (google/medgemma-4b-it, or another size of it), as `load`."""
    return load(MEDGEMMA, device, weights, dtype=dtype, facts=facts)


def lingshu(device: str = "cpu", weights: Path | None = None, *, dtype: torch.dtype | None = None, facts: ModelCard | None = None) -> Stock:
    """Lingshu (lingshu-medical-mllm/Lingshu-7B), or another model of Qwen2.5-VL's class, as `load`."""
    return load(LINGSHU, device, weights, dtype=dtype, facts=facts)
