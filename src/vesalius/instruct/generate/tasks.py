"""The tasks: what each asks a writer for, in words that ship as one file each, and the messages made of them.

In: the name of a task, an item, a seed. Out: chat messages; the hash of all in them that is not the item's. Examples are drawn by the seed and the item's
id. Facts go in as one JSON object, so that no sign in them can end it; control tokens of chat templates are written as escapes, which mean the same in JSON.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.resources
import json
import random
import re
from collections.abc import Mapping
from typing import Any

from vesalius import config
from vesalius.errors import InvalidValue
from vesalius.instruct.generate import schema
from vesalius.instruct.generate.schema import Field
from vesalius.instruct.generate.sources import Item
from vesalius.registry import unknown

TASKS = ("conversation", "description", "reasoning", "report", "comparison", "grounding")
Message = dict[str, str]
_CONTROL = re.compile(r"<(?=[|/a-z])|(?<=\|)>|\[(?=/?INST\])", re.IGNORECASE)
_SHOWN = 2000  # characters of a reply that is sent back


@dataclasses.dataclass(frozen=True)
class Example:
    """A row of facts and the output that suits it, both as JSON text."""

    name: str
    input: str
    output: str


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The file of a task.

    Args:
        needs: "prior", "regions": what an item must have beside its text.
    """

    version: int
    instruction: str
    fields: Mapping[str, Field]
    examples: tuple[Example, ...]
    needs: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class _Rules:
    version: int
    text: str


@dataclasses.dataclass(frozen=True)
class Task:
    """A task with its prompt.

    Args:
        sha256: over the rules, the prompt and the way both are put into messages.
    """

    name: str
    rules: str
    prompt: Prompt
    sha256: str

    def missing(self, item: Item) -> str | None:
        """What the item lacks for this task; None when it can be asked."""
        return next((f"no {need}" for need in self.prompt.needs if not getattr(item, need)), None)

    def messages(self, item: Item, *, seed: int, shots: int) -> list[Message]:
        """System, examples as turns, and the item."""
        system = "\n\n".join((self.rules.strip(), self.prompt.instruction.strip(), schema.in_words(self.prompt.fields)))
        said = [{"role": "system", "content": system}]
        for example in self.drawn(item, seed=seed, shots=shots):
            said += [_user(json.loads(example.input)), {"role": "assistant", "content": _dump(json.loads(example.output))}]
        return [*said, _user(item.facts(self.prompt.needs))]

    def drawn(self, item: Item, *, seed: int, shots: int) -> list[Example]:
        """The examples shown with an item: of one seed and id always the same.

        Raises:
            InvalidValue: more than there are.
        """
        if not 0 <= shots <= len(self.prompt.examples):
            raise InvalidValue(f"{self.name} has {len(self.prompt.examples)} examples, not {shots}", remedy="ask for fewer shots")
        return random.Random(f"{seed}:{self.name}:{item.id}").sample(self.prompt.examples, shots)

    def read(self, value: Any, item: Item) -> dict[str, Any]:  # noqa: ANN401
        """A parsed reply, checked. Raises: schema.Unusable."""
        return schema.check(value, self.prompt.fields, [region.name for region in item.regions])


def task(name: str) -> Task:
    """A task by name.

    Raises:
        UnknownName: no such task.
    """
    if name not in TASKS:
        raise unknown("task of instruct generate", name, list(TASKS))
    return _task(name)


@functools.lru_cache(maxsize=len(TASKS))
def _task(name: str) -> Task:
    rules, prompt = config.parse(_file("rules"), _Rules, where="rules.toml"), config.parse(_file(name), Prompt, where=f"{name}.toml")
    for example in prompt.examples:
        names = [region["name"] for region in json.loads(example.input).get("regions", [])]
        schema.check(json.loads(example.output), prompt.fields, names)
    body = json.dumps([rules.text, dataclasses.asdict(prompt), schema.in_words(prompt.fields), retry("", "?")], sort_keys=True)
    return Task(name, rules.text, prompt, hashlib.sha256(body.encode()).hexdigest())


def retry(reply: str, why: str) -> list[Message]:
    """The turns that ask once more after a reply that could not be used."""
    again = (
        f"That reply cannot be used: {why}. Reply again to the last facts, with one whole JSON object that has exactly the fields asked for, and nothing else."
    )
    return [{"role": "assistant", "content": _escaped(reply[:_SHOWN]) or "(nothing)"}, {"role": "user", "content": again}]


def sampling_seed(seed: int, item: str, name: str) -> int:
    """31 bits for one item and task."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{item}:{name}".encode()).digest()[:4], "big") >> 1


def _user(facts: Mapping[str, Any]) -> Message:
    return {"role": "user", "content": "Facts:\n" + _escaped(_dump(facts))}


def _dump(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=False)


def _escaped(text: str) -> str:
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group(0)):04x}", text)


def _file(name: str) -> str:
    return importlib.resources.files(__package__).joinpath("prompts", f"{name}.toml").read_text(encoding="utf-8")
