"""The local writer: the language model of `visual-med-alpaca-pocket` (SmolLM2-135M-Instruct, Ben Allal et al. 2025, arXiv 2502.02737) without any picture.

In: `Request`s. Out: `Wrote`. It costs nothing and sends nothing anywhere; with 135 million parameters its items serve to try the way, not to train on.
Control tokens are put around the messages here; the same signs inside a message are spelled out, never obeyed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vesalius.errors import InvalidValue
from vesalius.instruct.generate.writers import Request, Wrote
from vesalius.models import llama
from vesalius.models import weights as language_models
from vesalius.models.base import Sampling
from vesalius.models.composition import Composition, Prompt, Template
from vesalius.models.decoder import default_dtype
from vesalius.models.engine import Ask, Engine
from vesalius.models.quantize import place

STOP = ("<|im_end|>", "<|endoftext|>")


class ChatPrompt(Prompt):
    """Chat messages as ids; a "question" of the engine is their JSON text."""

    def question(self, text: str) -> tuple[int, ...]:
        """Ids of all messages, up to where the assistant's next one starts."""
        start, end, line = self._special("<|im_start|>"), self._special("<|im_end|>"), self._plain("\n")
        ids: list[int] = []
        for role, content in json.loads(text):
            ids += [start, *self._plain(f"{role}\n{content}"), end, *line]
        return (*ids, start, *self._plain("assistant\n"))


class _NoImage(nn.Module):
    """There is no picture: no token of the prefix stands for one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, memory: Tensor) -> Tensor:
        """[B, 1, 1] -> [B, 0, width]."""
        return memory.new_zeros(len(memory), 0, self.width)


class LocalWriter:
    """A `Writer` on this machine.

    Args:
        lm: a `Decoder` module. prompt: of it. about: what `identity` tells of the weights. batch: requests in one pass.
    """

    structured, parallel, prices, currency = "words", 1, (0.0, 0.0), "USD"

    def __init__(self, lm: nn.Module, prompt: ChatPrompt, name: str, about: Mapping[str, Any] | None = None, *, batch: int = 4) -> None:
        self.name, self.batch, self._about = name, batch, dict(about or {})
        self._engine = Engine(Composition(nn.Identity(), _NoImage(int(lm.width)), lm), prompt, budget=1 << 14)  # type: ignore[arg-type]
        weight = next(lm.parameters())
        self._root = self._engine.encode_memory(torch.zeros(1, 1, 1, dtype=weight.dtype, device=weight.device))[0]

    @property
    def identity(self) -> Mapping[str, Any]:
        """Which weights."""
        return {"model": self.name, **self._about}

    def write(self, requests: Sequence[Request]) -> list[Wrote]:
        """See `Writer`; what does not fit into the context is refused."""
        asks, places, wrote = [], [], [Wrote("", 0, 0)] * len(requests)
        for i, request in enumerate(requests):
            text = json.dumps([[m["role"], m["content"]] for m in request.messages])
            length = len(self._engine.prompt.question(text))
            room = self._engine.decoder.context
            if length + request.most > room:
                wrote[i] = Wrote("", 0, 0, refused=f"{length} tokens and {request.most} for the reply exceed the context of {room}")
                continue
            asks.append(Ask(self._root, text, Sampling(request.temperature, request.most, request.seed)))
            places.append((i, length))
        for (i, length), record in zip(places, self._engine.ask(asks), strict=True):
            wrote[i] = Wrote(record.text, length, len(record.ids), record.stopped)
        return wrote


def load(device: str = "cpu", *, folder: Path | None = None, batch: int = 4) -> LocalWriter:
    """The local writer, ready.

    Args:
        folder: the language model's files; fetched when None.

    Raises:
        WeightsError: they cannot be had. MissingExtra: a part of the extra `models` is absent.
    """
    from tokenizers import Tokenizer

    if batch < 1:
        raise InvalidValue(f"a pass takes at least 1 request (got {batch})")
    home = folder or language_models.language_model()
    lm = llama.load(home, dtype=torch.float32)
    place(lm, device, default_dtype(device))
    about = language_models.provenance(home) if (home / language_models.RECORD).exists() else {}
    told: dict[str, Any] = {key: about[key] for key in ("source", "sha256") if key in about}
    prompt = ChatPrompt(Tokenizer.from_file(str(home / "tokenizer.json")), Template(stop=STOP))
    return LocalWriter(lm, prompt, language_models.SMOLLM2.name, told, batch=batch)
