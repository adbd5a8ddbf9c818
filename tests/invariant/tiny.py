"""A vision-language model of a few thousand random weights, and the plain way of asking it: one `transformers` forward over the whole text."""

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import nn

from vesalius.models.composition import Composition, MLPProjector, Prompt, Template
from vesalius.models.decoder import TransformersDecoder
from vesalius.models.llama import Llama, read_shape

WORDS = "Yes No yes no is there a the lung heart mass in left right seen what organ kidney liver clear and of image shown big"
TEMPLATE = Template(before="image :", between="question :", after="answer :", stop=("<end>",), bos="<s>")


def tokenizer() -> Tokenizer:
    """One token a word; specials <s> and <end>; everything else <unk>."""
    words = ["<unk>", "<s>", "<end>", "image", "question", "answer", ":", "<", ">", "end", *WORDS.split()]
    made = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(words))}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.decoder = decoders.WordPiece(prefix="##")
    made.add_special_tokens(["<s>", "<end>"])
    return made


def hosted(*, heads: int = 4, kv_heads: int = 2, seed: int = 0):
    """A random `LlamaForCausalLM` whose distributions are far from flat."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=256,
        initializer_range=0.3,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        attn_implementation="eager",
    )
    return LlamaForCausalLM(config).eval()


def native(lm) -> Llama:
    """The same weights in our own decoder."""
    own = Llama(read_shape(lm.config.to_dict()))
    own.load_state_dict(lm.state_dict())
    return own.eval()


class Product(nn.Module):
    """A readout that multiplies state and image."""

    def __init__(self) -> None:
        super().__init__()
        self.ask, self.see = nn.Linear(32, 32), nn.Linear(12, 32)

    def forward(self, hidden, memory):
        return hidden + self.ask(hidden) * self.see(memory.mean(1, keepdim=True))


class Listening(Product):
    """A readout that multiplies with the question's words too."""

    def forward(self, hidden, memory, words=None):
        assert words is not None, "it was not told what was asked"
        return super().forward(hidden, memory) + torch.tanh(words) * self.see(memory.mean(1, keepdim=True))


def composed(lm, *, readout: bool | str, wrap: bool) -> tuple[Composition, Prompt]:
    """readout: False for none, True for one that sees the image, "listening" for one that hears layer 1 of the question as well."""
    torch.manual_seed(1)
    listening = readout == "listening"
    projector, read = MLPProjector(12, 32), (Listening() if listening else Product()) if readout else None
    decoder = TransformersDecoder(lm) if wrap else native(lm)
    return Composition(nn.Identity(), projector, decoder, read, listens=1 if listening else None), Prompt(tokenizer(), TEMPLATE)


def plain_logits(lm, model: Composition, prompt: Prompt, features, ids) -> torch.Tensor:
    """Logits [T, vocabulary] over everything after the prefix, by `transformers` alone: no sharing, no cache, its own attention."""
    with torch.no_grad():
        image = model.projector(features)
        words = lm.get_input_embeddings()
        parts = [words(torch.tensor([list(prompt.before)], dtype=torch.long)), image, words(torch.tensor([[*prompt.between, *ids]], dtype=torch.long))]
        embeds = torch.cat(parts, 1)
        out = lm.model(inputs_embeds=embeds, output_hidden_states=True)
        hidden = out.last_hidden_state[:, -len(ids) :]
        if model.listens is not None:
            own = next(i for i in range(len(ids)) if tuple(ids[i : i + len(prompt.after)]) == prompt.after)  # where the template goes on
            start = embeds.shape[1] - len(ids)
            hidden = model.readout(hidden, features, out.hidden_states[model.listens][:, start : start + own].mean(1, keepdim=True))
        elif model.readout is not None:
            hidden = model.readout(hidden, features)
        return lm.lm_head(hidden)[0]


def plain_answer(lm, model, prompt, features, question, sampling, generator) -> tuple[list[int], list[float], bool]:
    """Token by token over the whole text again and again: the slow truth, for greedy and for sampling."""
    ids, logprobs = [], []
    while len(ids) < sampling.max_new_tokens:
        logp = torch.log_softmax(plain_logits(lm, model, prompt, features, [*prompt.question(question), *ids])[-1].double(), -1)
        if sampling.temperature == 0:
            token = int(logp.argmax())
        else:
            weights = np.exp(logp.numpy() / sampling.temperature)
            token = int(np.searchsorted(np.cumsum(weights), generator.random() * weights.sum(), side="right"))
        logprobs.append(float(logp[token]))
        if token in prompt.stop:
            return ids, logprobs, True
        ids.append(token)
    return ids, logprobs, False
