"""Med-Flamingo (Moor et al. 2023, arXiv 2307.15189; med-flamingo/med-flamingo): CLIP ViT-L/14 at 224 px, a resampler, LLaMA-7B with gated cross-attention.

In: a `Study`, and examples of studies with questions and answers. Out: `Answer`s through the engine. The published file holds what was trained; LLaMA-7B and
CLIP come from folders of their own. By the published code words see the image that follows them and a question sees none but through the image's token
(see `flamingo`); `rule="preceding"` is what the paper describes and newer code does.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vesalius.domain.exchange import Answer, Question
from vesalius.domain.study import Study
from vesalius.errors import InvalidValue, WeightsError
from vesalius.formats.pixels import render
from vesalius.models import biomedclip, checkpoint, flamingo, llama, looking, sentencepiece
from vesalius.models.base import ModelCard
from vesalius.models.cards import card
from vesalius.models.composed import Composed
from vesalius.models.composition import Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.flamingo import Extent, Flamingo, FlamingoEngine, Shots
from vesalius.models.quantize import Held, afford, place
from vesalius.models.record import EncodedImage
from vesalius.models.vit import VisionShape, clip_shape

NAME = "med-flamingo-9b"
SOURCE = "med-flamingo/med-flamingo"
HELPER = (
    "You are a helpful medical assistant. You are being provided with images, a question about the image and an answer. "
    "Follow the examples and answer the last question. "
)
END, IMAGE, PAD = "<|endofchunk|>", "<image>", "<PAD>"  # added to LLaMA's vocabulary in this order
TEMPLATE = Template(before=HELPER, stop=(END,), bos="<s>")
CLIP_L_224 = VisionShape(image=224, patch=14, width=1024, inner=4096, layers=24, heads=16)
_EMBEDDINGS, _HEAD = "lm.model.embed_tokens.weight", "lm.lm_head.weight"
_TRAINED = ("projector.", "lm.gated.", _EMBEDDINGS)
_UNUSED = re.compile(
    r"rotary_emb\.|\.position_ids$"
    r"|^vision_encoder\.(transformer\.resblocks\.\d+\..*|token_embedding\.weight|positional_embedding|ln_final\..*|text_projection|logit_scale|attn_mask)$"
)
_RENAMED = (
    (re.compile(r"^perceiver\."), "projector."),
    (re.compile(r"^lang_encoder\.gated_cross_attn_layers\.(\d+)\."), r"lm.gated.\1."),
    (re.compile(r"^lang_encoder\.model\.layers\.(\d+)\.gated_cross_attn_layer\."), r"lm.gated.\1."),
    (re.compile(r"^lang_encoder\.model\.layers\.(\d+)\.decoder_layer\."), r"lm.model.layers.\1."),
    (re.compile(r"^lang_encoder\.old_decoder_blocks\.(\d+)\."), r"lm.model.layers.\1."),
    (re.compile(r"^lang_encoder\.model\.(embed_tokens|norm)\."), r"lm.model.\1."),
    (re.compile(r"^lang_encoder\.lm_head\."), "lm.lm_head."),
)
_VISUAL = checkpoint.KeyMap(
    "open_clip",
    (
        ("visual.class_embedding", "tower.vision.embeddings.class_embedding"),
        ("visual.positional_embedding", "tower.vision.embeddings.position_embedding.weight"),
        ("visual.conv1.", "tower.vision.embeddings.patch_embedding."),
        ("visual.ln_pre.", "tower.vision.pre_layrnorm."),
    ),
    (r"^visual\.(ln_post\.|proj$)",),
)
_CLIP = checkpoint.KeyMap("clip", (("vision_model.", "tower.vision."),), (r"\.position_ids$", r"\.post_layernorm\."))
_BLOCK = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
_AGAIN = "fetch the checkpoint again: it must be whole and as it was published"


class ShotPrompt(Prompt):
    """The published prompt: a sentence, then for each example an image, question, answer and the end of a chunk.

    The tokenizer cuts at its added tokens only: what stands between two of them is tokenised in one.
    """

    def question(self, text: str) -> tuple[int, ...]:
        """Ids from the image to where the answer starts. Control tokens written in the question are read as plain text."""
        return self._plain(f"Question: {text} Answer:")

    def shot(self, question: str, answer: str) -> tuple[int, ...]:
        """Ids of an example, its image and its end included; control tokens in its words are read as plain text.

        Raises:
            InvalidValue: an empty question or answer.
        """
        if not question.strip() or not answer.strip():
            raise InvalidValue("an example must have a question and an answer", remedy="leave it out, or complete it")
        return (self._special(IMAGE), *self._plain(f"Question: {question} Answer: {answer}"), *self.stop)

    def around(self, text: str) -> tuple[int, ...]:
        """Ids of a whole prompt, `<image>` in it for each image. Control tokens are obeyed: not for text that is not ours."""
        return (*self._opening(), *self._fixed(text))

    def _opening(self) -> tuple[int, ...]:
        return () if self.template.bos is None else (self._special(self.template.bos),)


def prompt_text(turns: Sequence[tuple[str, str | None]]) -> str:
    """The published prompt as text.

    Args:
        turns: (question, answer), each with an image of its own; the last answer is None, for the model to give.
    """
    return HELPER + "".join(f"{IMAGE}Question: {q} Answer:" + ("" if a is None else f" {a}{END}") for q, a in turns)


def prepare(rendered: NDArray[np.uint8], size: int = 224) -> Tensor:
    """A rendered picture as the tower's input [3, S, S]: shorter side to the tower's, middle cut out, CLIP's mean and deviation (as in open_clip)."""
    return biomedclip.prepare(rendered, biomedclip.Preparation(size))


class MedFlamingo(Composed):
    """A `GenerativeModel`.

    Args:
        shots: examples that stand before every question (`few_shot`).
    """

    def __init__(self, card: ModelCard, composition: Flamingo, prompt: ShotPrompt, about: Mapping[str, Any] | None = None, shots: Shots | None = None) -> None:
        super().__init__(card, composition, prompt, about)
        self.engine: FlamingoEngine = FlamingoEngine(composition, prompt)
        self.composition: Flamingo = composition
        self.prompt: ShotPrompt = prompt
        self.shots = shots or Shots(())
        self._about = dict(about or {})

    def pixels(self, study: Study) -> Tensor:
        """The key image as the tower's input [1, 3, S, S]."""
        weight = next(self.composition.tower.parameters())
        return prepare(render(study.image), self.composition.tower.vision.shape.image)[None].to(weight)  # type: ignore[union-attr, arg-type]

    def encode(self, study: Study) -> EncodedImage:
        """Tower, resampler and the prompt up to the question, examples included, once."""
        with torch.inference_mode():
            return self.engine.encode_memory(self.composition.see(self.pixels(study)), self.shots)[0]

    @torch.inference_mode()
    def few_shot(self, examples: Sequence[tuple[Study, str, str]]) -> MedFlamingo:
        """The same model with examples before every question; their latents are computed here, once.

        Args:
            examples: (study, question, answer) in the order of the prompt; none takes the examples away.

        Raises:
            InvalidValue: an example without words, or more than the context holds.
        """
        ids = tuple(i for _, question, answer in examples for i in self.prompt.shot(question, answer))
        flamingo.check_length(len(self.prompt.before) + len(ids) + 2, self.composition.decoder.context)
        seen = [self.composition.latents(self.composition.see(self.pixels(study))) for study, _, _ in examples]
        about = {**self._about, "examples": len(examples)}
        return MedFlamingo(self.card, self.composition, self.prompt, about, Shots(ids, torch.cat(seen) if seen else None))

    def saliency(self, study: Study, question: Question, answer: Answer, *, method: str = "occlusion") -> tuple[NDArray[np.float32], str]:
        """Where an answer comes from, without examples.

        Raises:
            InvalidValue: rollout: what comes in through a gate is weighted by the gate, of which attention knows nothing.
        """
        if method == "rollout":
            raise InvalidValue("attention cannot be followed through the gates of this model", remedy="look by occlusion or gradient")
        return super().saliency(study, question, answer, method=method)

    def to_image(self, grid: Tensor, rows: int, cols: int) -> NDArray[np.float32]:
        """A grid of image cells over the middle square of the picture; 0 outside, which is not seen."""
        return looking.to_middle(grid, rows, cols)


def _renamed(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    """(name there, name here, tensor); a name that is not known stays."""
    # the older code stores the whole of CLIP, the newer one its image half under the same name
    visual = "vision_encoder." if any(n.startswith(("vision_encoder.class_embedding", "vision_encoder.conv1.")) for n in tensors) else "vision_encoder.visual."
    for name, tensor in tensors.items():
        if name.startswith(visual):
            for here, part in open_clip({"visual." + name.removeprefix(visual): tensor}).items():
                yield name, here, part
        elif not _UNUSED.search(name):
            pattern, new = next(((p, n) for p, n in _RENAMED if p.match(name)), (re.compile("^"), ""))
            yield name, pattern.sub(new, name, count=1), tensor


def there_to_here(tensors: Mapping[str, Tensor], *, where: str = "model.pt") -> dict[str, Tensor]:
    """What `model.pt` holds, by our names, from either generation of open_flamingo.

    Both store some parts twice, gated layers (`gated_cross_attn_layers`, `layers.N.gated_cross_attn_layer`) and frozen layers (`old_decoder_blocks`,
    `layers.N.decoder_layer`); the text half of CLIP, its last norm and projection, and computed buffers are known and not used.

    Raises:
        WeightsError: two copies of a part that differ.
    """
    found: dict[str, Tensor] = {}
    for there, here, tensor in _renamed(tensors):
        if here in found and not torch.equal(found[here], tensor):
            raise WeightsError(f"{where}: {there!r} differs from the other copy of the same part", remedy=_AGAIN)
        found[here] = tensor
    return found


def open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The image half of a CLIP in open_clip's names, by ours; a name that is not known stays."""
    out: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"visual\.transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)", name)
        number, part, kind = found.groups() if found else ("", "", "")
        at = f"tower.vision.encoder.layers.{number}."
        if part == "attn.in_proj" and len(tensor) % 3 == 0:
            out |= {f"{at}self_attn.{letter}_proj.{kind}": third for letter, third in zip("qkv", checkpoint.thirds(tensor), strict=True)}
        else:
            out[f"{at}{_BLOCK[part]}.{kind}" if part in _BLOCK else name] = tensor
    return _VISUAL.there_to_here(out)


def read_clip(folder: Path) -> tuple[VisionShape, dict[str, Tensor]]:
    """CLIP's image half and its shape: a folder as transformers writes it, or one with open_clip's weights.

    Raises:
        WeightsError: the folder holds neither.
    """
    held = {n: t for path in _clip_files(folder) for n, t in checkpoint.read_file(path).items()}
    visual = {n: t for n, t in held.items() if n.startswith("visual.")}
    if visual:
        try:
            return _open_clip_shape(visual), open_clip(visual)
        except (KeyError, IndexError) as error:
            raise WeightsError(f"{folder}: is no CLIP vision transformer ({error})", remedy="give a folder of CLIP ViT-L/14") from error
    vision = {n: t for n, t in held.items() if n.startswith("vision_model.")}
    if not vision:
        raise WeightsError(f"{folder}: holds no CLIP vision tower", remedy="give a folder of openai/clip-vit-large-patch14, or open_clip's weights of it")
    config = checkpoint.read_json(folder / "config.json")
    return clip_shape(config.get("vision_config", config)), _CLIP.there_to_here(vision)


def _clip_files(folder: Path) -> list[Path]:
    return [folder / name for name in biomedclip.FILES if (folder / name).exists()][:1] or checkpoint.files(folder)


def _open_clip_shape(visual: Mapping[str, Tensor]) -> VisionShape:
    """Numbers that the tensors show; heads are 64 wide, as in all of OpenAI's."""
    width, patch = len(visual["visual.class_embedding"]), visual["visual.conv1.weight"].shape[-1]
    layers = len({n.split(".")[3] for n in visual if n.startswith("visual.transformer.resblocks.")})
    inner, side = len(visual["visual.transformer.resblocks.0.mlp.c_fc.bias"]), math.isqrt(len(visual["visual.positional_embedding"]) - 1)
    return VisionShape(image=side * patch, patch=patch, width=width, inner=inner, layers=layers, heads=max(1, width // 64))


def read_tokenizer(folder: Path) -> tuple[Any, str]:
    """LLaMA's tokenizer with the added tokens, and the token that opens a text.

    The copy of LLaMA-7B that the authors name declares an empty one, which stands for `<unk>`.

    Raises:
        WeightsError: it cannot be read.
    """
    from tokenizers import AddedToken

    made = sentencepiece.load(folder / "tokenizer.model")
    made.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in (END, IMAGE, PAD)])
    named = checkpoint.read_json(folder / "tokenizer_config.json").get("bos_token", "<s>") if (folder / "tokenizer_config.json").exists() else "<s>"
    return made, str(named.get("content") if isinstance(named, dict) else named) or "<unk>"


def _language(folder: Path, rows: int) -> llama.Shape:
    config = checkpoint.read_json(folder / "config.json")
    longest = config.get("max_position_embeddings", config.get("max_sequence_length", 2048))  # the older name, in the copy that the authors name
    try:
        return llama.read_shape({**config, "max_position_embeddings": longest, "vocab_size": rows})
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{folder}: config.json is not of LLaMA ({error!r})", remedy="give a folder of LLaMA-7B in transformers' layout") from error


def _heads(held: dict[str, Tensor], rows: int, where: str) -> int:
    """Complete the output matrix to `rows`; returns how many were absent.

    It was not trained, so rows of added tokens are stored nowhere; the published code draws them anew at each start, around 0. Here they are 0.
    """
    stored = held.get(_HEAD, torch.empty(0))
    absent = rows - len(stored)
    if stored.ndim != 2 or absent < 0:
        raise WeightsError(f"{where}: no output matrix of at most {rows} rows", remedy="give a folder of LLaMA-7B in transformers' layout")
    if absent:
        held[_HEAD] = torch.cat((stored, stored.new_zeros(absent, stored.shape[1])))
    return absent


def load(
    device: str = "cpu",
    weights: Path | None = None,
    *,
    language: Path | None = None,
    clip: Path | None = None,
    rule: str = flamingo.RULES[0],
    dtype: Held | None = None,
) -> MedFlamingo:
    """The model from `model.pt` over LLaMA-7B and CLIP.

    Args:
        weights: the folder of `model.pt`. language, clip: folders of LLaMA-7B and of CLIP ViT-L/14; None takes `llama` and `clip` inside `weights`.
        rule: of `flamingo.RULES`; the published code's is "following". dtype: None takes the fastest that the device has.

    Raises:
        WeightsError: no folder, or one that does not hold its part. InvalidValue: an unknown rule.
    """
    if weights is None:
        raise checkpoint.absent(NAME)
    language, clip, path = language or weights / "llama", clip or weights / "clip", weights / "model.pt"
    trained = there_to_here(checkpoint.read_file(path), where=str(path))
    absent = [part for part in _TRAINED if not any(n.startswith(part) for n in trained)]
    if absent:
        raise WeightsError(f"{path}: the trained part {absent[0]!r} is absent", remedy=_AGAIN)
    rows = len(trained[_EMBEDDINGS])
    vision, tower = read_clip(clip)
    shape = dataclasses.replace(_language(language, rows), tied=False)
    tokenizer, bos = read_tokenizer(language)
    if tokenizer.get_vocab_size() != rows:
        raise WeightsError(f"{path}: {rows} embeddings for {tokenizer.get_vocab_size()} tokens", remedy="give the LLaMA-7B that it was trained over")
    image = int(tokenizer.token_to_id(IMAGE))
    kind = dtype or default_dtype(device)
    with torch.device("meta"):
        model = flamingo.build(vision, shape, Extent(), image=image, rule=rule)
    own = {n for n in model.state_dict() if n.startswith(_TRAINED)}
    if own - trained.keys():
        what = f"{len(own - trained.keys())} trained tensors are absent, the first {min(own - trained.keys())!r}"
        raise WeightsError(f"{path}: {what}", remedy=_AGAIN)
    afford(NAME, model, kind, device)
    frozen = {f"lm.{n}": t for n, t in checkpoint.read(language).items() if not _UNUSED.search(n)}
    held = {**{n: t for n, t in frozen.items() if n != _EMBEDDINGS}, **tower, **trained}
    drawn = _heads(held, rows, str(language))
    checkpoint.fill(model, held, where=str(weights))
    place(model, device, kind)
    template = dataclasses.replace(TEMPLATE, bos=bos, unscored=tuple(sorted({image, int(tokenizer.token_to_id(PAD))})))
    files = [path, *checkpoint.files(language), *_clip_files(clip)]
    about = {"weights": checkpoint.fingerprint(files), "sees": rule, "rows of 0": drawn}
    return MedFlamingo(card(NAME), model, ShotPrompt(tokenizer, template), about)
