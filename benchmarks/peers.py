"""Ways of asking a model of a shape: `transformers` with the same weights, our composition run plainly, our engine, vLLM where there is one.

In: a model of `shapes`. Out: sides for `harness.serve`, which also say what they answered, so that ways can be compared in what they say.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import FIRST_ENCODED, Item, items, new_tokens
from shapes import IMAGE, PADDING, UNKNOWN, Made
from vesalius.models import flamingo, llava
from vesalius.models.base import Sampling
from vesalius.models.checkpoint import KeyMap
from vesalius.models.engine import Ask
from vesalius.models.vit import VisionShape

NEAR = 8  # tokens that were nearest to being said, with their logits: a tie shows there


class Side:
    def __init__(self, made: Made) -> None:
        self.made, self.torch, self.device, self.dtype = made, torch, made.device, made.dtype
        self.answers: list[dict[str, Any]] = []

    def prepare(self, workload: str) -> None:  # noqa: ARG002 - others need it
        self.answers = []

    def run(self, workload: str) -> float | None:
        raise NotImplementedError

    def about(self) -> dict[str, Any]:
        made = self.made
        return {"text_tokens": made.text_tokens(), "image_tokens": made.image_tokens, "parameters": made.parameters}

    def report(self) -> dict[str, Any]:
        return {"answers": self.answers}

    def said(self, ids: list[int], logits: Tensor | None = None) -> None:
        """Keep a greedy answer, and what it might have been."""
        near = None if logits is None else [part.tolist() for part in reversed(logits.float().topk(NEAR))]
        self.answers.append({"ids": ids, "near": near})


class Stock(Side):
    """`transformers` as it stands: all asks in one left-padded batch, or one after another, everything anew for each.

    Batched rows are all greedy: mixing greedy and drawn rows would take two calls and favour the engine.
    """

    def __init__(self, made: Made, *, batched: bool) -> None:
        super().__init__(made)
        self.batched = batched
        kind = llava_peer if made.name == "llava" else embedding_peer
        self.lm, self.inputs = kind(made)
        self.lm.generation_config.eos_token_id = None
        made.composition = None  # type: ignore[assignment]  # its tensors live on in the peer
        if made.device == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def run(self, workload: str) -> float:
        asks, new, work = items(workload), new_tokens(workload), 0.0
        for group in [asks] if self.batched else [[ask] for ask in asks]:
            rows = [self.made.row(ask.question) for ask in group]
            pixels = self.made.pixels(1 + max(ask.image for ask in group))[[ask.image for ask in group]]
            self.generate(self.inputs(rows, pixels), group, new)
            longest = max(map(len, rows)) - 1 + self.made.plan.vision.patches
            work += len(rows) * (self.made.work.image(self.made.plan.vision.layers) + self.made.work.plain(longest, new))
        return work

    def generate(self, inputs: dict[str, Tensor], group: list[Item], new: int) -> None:
        torch.manual_seed(group[0].seed)
        drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0} if group[0].sampled else {"do_sample": False}
        made = self.lm.generate(**inputs, max_new_tokens=new, pad_token_id=PADDING, return_dict_in_generate=True, output_logits=True, **drawn)
        if len(made.logits) != new:
            raise RuntimeError(f"{len(made.logits)} tokens instead of {new}")
        for at, ask in enumerate(group):
            if not ask.sampled:
                self.said(made.sequences[at, -new:].tolist(), torch.stack([step[at] for step in made.logits]))


def left_padded(rows: list[Tensor], value: float) -> tuple[Tensor, Tensor]:
    """Rows of unequal length as one, and its mask."""
    longest = max(map(len, rows))
    sides = [(0, 0) * (row.dim() - 1) + (longest - len(row), 0) for row in rows]
    mask = torch.stack([functional.pad(torch.ones(len(row), dtype=torch.long, device=row.device), (longest - len(row), 0)) for row in rows])
    return torch.stack([functional.pad(row, side, value=value) for row, side in zip(rows, sides, strict=True)]), mask


def blank(kind: Any, config: Any, made: Made) -> Any:
    """A stock model whose weights are yet to come."""
    from transformers.initialization import no_init_weights

    with no_init_weights(), torch.device(made.device):
        return kind._from_config(config, dtype=made.dtype).eval()


def vision_config(kind: Any, shape: VisionShape, **more: Any) -> Any:
    return kind(
        image_size=shape.image,
        patch_size=shape.patch,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        hidden_act=shape.activation,
        layer_norm_eps=shape.eps,
        **more,
    )


def text_config(kind: Any, shape: Any, **more: Any) -> Any:
    return kind(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
        **more,
    )


def llama_numbers(shape: Any) -> dict[str, Any]:
    return {"head_dim": shape.head_dim, "rms_norm_eps": shape.eps, "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta}}


def llava_peer(made: Made) -> tuple[Any, Any]:
    """`LlavaForConditionalGeneration` with our weights under its names."""
    from transformers import CLIPVisionConfig, LlavaConfig, LlavaForConditionalGeneration, MistralConfig

    language, patches = made.plan.language, made.plan.vision.patches
    text = text_config(MistralConfig, language, sliding_window=None, **llama_numbers(language))
    vision = vision_config(CLIPVisionConfig, made.plan.vision)
    lm = blank(LlavaForConditionalGeneration, LlavaConfig(vision_config=vision, text_config=text, image_token_id=UNKNOWN), made)
    names = list(lm.state_dict())
    pairs = tuple(pair for pair in llava.IN_MEMORY.pairs if any(name.startswith(pair[0]) for name in names))  # the library has two names for the tower
    lm.load_state_dict(KeyMap(llava.IN_MEMORY.name, pairs).here_to_there(made.composition.state_dict()), assign=True)

    def inputs(rows: list[list[int]], pixels: Tensor) -> dict[str, Tensor]:
        spread = [[t for token in row for t in ([UNKNOWN] * patches if token == IMAGE else [token])] for row in rows]
        ids, mask = left_padded([torch.tensor(row, device=made.device) for row in spread], PADDING)
        return {"input_ids": ids, "attention_mask": mask, "pixel_values": pixels}

    return lm, inputs


def embedding_peer(made: Made) -> tuple[Any, Any]:
    """A stock tower, the family's own projector, and a stock language model that generates from embeddings, as the published code does."""
    from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, PhiConfig, PhiForCausalLM, SiglipVisionConfig, SiglipVisionModel

    parts, language = made.composition, made.plan.language
    if made.name == "chexagent":
        tower = blank(SiglipVisionModel, vision_config(SiglipVisionConfig, made.plan.vision, vision_use_head=False), made)
        turning = {"rope_type": "default", "rope_theta": language.rope_theta, "partial_rotary_factor": language.rotary / language.head_dim}
        text = text_config(PhiConfig, language, layer_norm_eps=language.eps, hidden_act="gelu_new", rope_parameters=turning)
        lm, layer, classes = blank(PhiForCausalLM, text, made), -1, 0
    else:
        tower = blank(CLIPVisionModel, vision_config(CLIPVisionConfig, made.plan.vision), made)
        lm = blank(LlamaForCausalLM, text_config(LlamaConfig, language, **llama_numbers(language)), made)
        layer, classes = parts.tower.layer, 1
    missing = tower.load_state_dict(parts.tower.vision.state_dict(), strict=False, assign=True)  # type: ignore[union-attr]
    if missing.unexpected_keys or any(not name.startswith("post_layernorm.") for name in missing.missing_keys):
        raise RuntimeError(f"the stock tower is another: {missing}")
    lm.load_state_dict(parts.lm.state_dict(), assign=True)
    projector, words = parts.projector, lm.get_input_embeddings()

    def inputs(rows: list[list[int]], pixels: Tensor) -> dict[str, Tensor]:
        images = projector(tower(pixels, output_hidden_states=True).hidden_states[layer][:, classes:])
        embeds, mask = left_padded([spliced(row, image) for row, image in zip(rows, images, strict=True)], 0.0)
        return {"inputs_embeds": embeds, "attention_mask": mask}

    def spliced(row: list[int], image: Tensor) -> Tensor:
        at = row.index(IMAGE)
        left, right = (words(torch.tensor(part, dtype=torch.long, device=made.device)) for part in (row[:at], row[at + 1 :]))
        return torch.cat((left, image, right))

    return lm, inputs


class Growing:
    """Attention of one row that grows: keys and values are kept, nothing is shared."""

    def __init__(self) -> None:
        self.sight: flamingo.Sight | None = None
        self.held: dict[int, tuple[Tensor, Tensor]] = {}

    def store(self, layer: int, keys: Tensor, values: Tensor) -> None:
        if layer in self.held:
            keys, values = (torch.cat(pair, dim=2) for pair in zip(self.held[layer], (keys, values), strict=True))
        self.held[layer] = keys, values

    def read(self, layer: int, queries: Tensor, *, kept: bool = False) -> Tensor:  # noqa: ARG002 - all positions are computed
        return functional.scaled_dot_product_attention(queries, *self.held[layer], is_causal=queries.shape[2] > 1)


class PlainFlamingo(Side):
    """Our composition without the engine, one ask after another: tower, resampler and the whole prompt anew for each, as the published code does."""

    @torch.inference_mode()
    def run(self, workload: str) -> float:
        new, work = new_tokens(workload), 0.0
        for item in items(workload):
            row = [self.made.composition.image if token == IMAGE else token for token in self.made.row(item.question)]  # type: ignore[union-attr]
            ids, logits = self.generate(row, item, new)
            if not item.sampled:
                self.said(ids, logits)
            work += self.made.work.image() + self.made.work.plain(len(row), new, self.made.image_tokens)
        return work

    def generate(self, row: list[int], item: Item, new: int) -> tuple[list[int], Tensor]:
        model: Any = self.made.composition
        chance = torch.Generator(self.device).manual_seed(item.seed)
        latents = model.latents(model.see(self.made.pixels(item.image + 1)[item.image :]))
        attention, ids, out, fresh = Growing(), list(row), [], list(row)
        for _ in range(new):
            first = len(ids) - len(fresh)
            seen = flamingo.seen_images(ids, model.image, model.rule)[first:]
            attention.sight = flamingo.Sight(latents, torch.tensor([seen], device=self.device))
            positions = torch.arange(first, len(ids), device=self.device)[None]
            hidden = model.decoder.states(model.decoder.embed(torch.tensor([fresh], device=self.device)), positions, attention)
            out.append(model.decoder.logits(hidden[0, -1]).float())
            chosen = torch.multinomial(out[-1].softmax(-1), 1, generator=chance) if item.sampled else out[-1].argmax()
            fresh = [int(chosen)]
            ids += fresh
        return ids[len(row) :], torch.stack(out)


class Ours(Side):
    """The engine."""

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        self.engine, self.counted = made.engine(), 0.0
        self.encoded: list[Any] = []
        self.count(made.composition)

    def count(self, model: Any) -> None:
        """Count what is really computed."""
        states, logits, work = model.lm.states, model.lm.logits, self.made.work
        see = model.tower.forward

        def counted_states(embeds: Tensor, positions: Tensor, attention: Any, keep: Tensor | None = None, tap: Any = None) -> Tensor:
            sight = getattr(attention, "sight", None)
            latents = None if sight is None else sight.latents.shape[0] * sight.latents.shape[1]
            seen = positions[0] + 1
            self.counted += work.read(len(seen), float(seen.sum()), latents)
            if keep is not None:
                self.counted -= work.spared(len(seen) - len(keep), float(seen.sum() - seen[keep].sum()))
            return states(embeds, positions, attention, keep, tap)

        def counted_logits(hidden: Tensor) -> Tensor:
            self.counted += hidden.shape[:-1].numel() * work.word
            return logits(hidden)

        def counted_see(pixels: Tensor) -> Tensor:
            self.counted += len(pixels) * work.image()
            return see(pixels)

        model.lm.states, model.lm.logits, model.tower.forward = counted_states, counted_logits, counted_see

    def prepare(self, workload: str) -> None:
        super().prepare(workload)
        self.encoded = self.engine.encode(self.made.pixels(1)) if workload == FIRST_ENCODED else []
        self.counted = 0.0

    def run(self, workload: str) -> float:
        asks, new = items(workload), new_tokens(workload)
        images = self.encoded or self.engine.encode(self.made.pixels(1 + max(item.image for item in asks)))
        ways = [Sampling(1.0 if item.sampled else 0.0, new, item.seed) for item in asks]
        records = self.engine.ask([Ask(images[item.image], item.question, way) for item, way in zip(asks, ways, strict=True)])
        if any(len(record.ids) != new for record in records):
            raise RuntimeError("an answer has another length")
        for item, record in zip(asks, records, strict=True):
            if not item.sampled:
                self.said(list(record.ids))
        return self.counted


class Vllm(Side):
    """vLLM with prefix caching, from a checkpoint in the layout of `transformers`; all asks in one call, the cache emptied before."""

    def __init__(self, made: Made) -> None:
        super().__init__(made)
        from PIL import Image
        from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast
        from vllm import LLM

        self.folder = tempfile.TemporaryDirectory()
        lm, _ = llava_peer(made)
        lm.save_pretrained(self.folder.name)
        words = PreTrainedTokenizerFast(tokenizer_object=made.prompt.tokenizer, unk_token="<unk>", pad_token="<pad>", bos_token="<s>")
        pictures = CLIPImageProcessor(do_resize=False, do_center_crop=False, do_convert_rgb=False, image_mean=[0.5] * 3, image_std=[0.5] * 3)
        shape = {"patch_size": made.plan.vision.patch, "num_additional_image_tokens": 1, "vision_feature_select_strategy": "default"}
        LlavaProcessor(image_processor=pictures, tokenizer=words, image_token="<unk>", **shape).save_pretrained(Path(self.folder.name))
        self.images = [Image.fromarray(picture.numpy()) for picture in made.pictures]
        del lm
        made.composition = nn.Identity()  # type: ignore[assignment]
        torch.cuda.empty_cache()
        dtype = str(made.dtype).removeprefix("torch.")
        self.llm = LLM(self.folder.name, dtype=dtype, enable_prefix_caching=True, max_model_len=made.plan.language.context, gpu_memory_utilization=0.35, seed=0)

    def prepare(self, workload: str) -> None:
        super().prepare(workload)
        self.llm.reset_prefix_cache()

    def run(self, workload: str) -> None:
        from vllm import SamplingParams

        asks, new = items(workload), new_tokens(workload)
        prompts = [
            {
                "prompt_token_ids": [UNKNOWN if token == IMAGE else token for token in self.made.row(item.question)],
                "multi_modal_data": {"image": self.images[item.image]},
            }
            for item in asks
        ]
        ways = [SamplingParams(temperature=float(item.sampled), max_tokens=new, seed=item.seed, ignore_eos=True, detokenize=False) for item in asks]
        for item, made in zip(asks, self.llm.generate(prompts, ways, use_tqdm=False), strict=True):
            if not item.sampled:
                self.said(list(made.outputs[0].token_ids))


def side(way: str, made: Made) -> Side:
    """A way of asking by its name."""
    if way == "engine":
        return Ours(made)
    if way == "vllm":
        return Vllm(made)
    return PlainFlamingo(made) if made.name == "flamingo" else Stock(made, batched=way == "batched")
