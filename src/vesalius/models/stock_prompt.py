"""What tells one kind of stock model from another, and a checkpoint's own chat template around one image and one question.

In: a folder, a `Family`, a configuration. Out: a `ChatPrompt`, whose ids are those of the whole text as the library tokenises it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.errors import InvalidValue, WeightsError
from vesalius.models import checkpoint
from vesalius.models.composition import Prompt, Template
from vesalius.models.stock_files import AGAIN, line, read_tokenizer

_QUESTION, _IMAGE = "\ue000", "\ue001"  # stand in a rendered prompt where question and image go
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
        raise WeightsError(what, remedy=AGAIN)
    opening, closing = ("", "") if family.marks is None else (str(tokenizer.id_to_token(int(getattr(config, name)))) for name in family.marks)
    shown, strips = _rendered(folder, family)
    place = opening or image
    if shown.count(place) != 1 or shown.count(_QUESTION) != 1 or shown.index(place) > shown.index(_QUESTION):
        raise WeightsError(f"{folder}: its chat template does not put one image before one question", remedy=AGAIN)
    whole = shown.replace(place, f"\n\n{opening}{_IMAGE}{closing}\n\n" if opening else _IMAGE)
    before, _, rest = whole.partition(_IMAGE)
    lead, _, after = rest.partition(_QUESTION)
    control = _control(tokenizer, lead)
    if control is None or _control(tokenizer, after) is None:
        raise WeightsError(f"{folder}: its chat template has no control token after the image or after the question", remedy=AGAIN)
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
        raise WeightsError(f"{folder}: its chat template cannot be rendered ({line(error)})", remedy=AGAIN) from error
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
        raise WeightsError(f"{folder}: holds no chat template", remedy=AGAIN)
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
