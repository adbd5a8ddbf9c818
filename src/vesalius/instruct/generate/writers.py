"""Who writes: any OpenAI-compatible endpoint, or a local language model (`local`), behind one protocol; and what is paid for it.

In: `Request`s of chat messages. Out: `Wrote`. Retries, time limits and requests a minute are the endpoint client's; tokens a minute, the budget and the way a
JSON schema is asked for are added here. No text is looked at here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from vesalius.errors import ConfigError, UserError
from vesalius.models.endpoint import Client, Endpoint, EndpointError

STRUCTURED = ("schema", "object", "words")
_REFUSED = re.compile(r"refused with status (?:400|413|422)\b")
_WINDOW = 60.0
_CENT = 1e-9  # sums of floats: what is spent may seem to pass the budget by less than anybody charges


class BudgetSpent(UserError):
    """The next request might cost more than what is left."""


@dataclasses.dataclass(frozen=True)
class Request:
    """One thing to write.

    Args:
        messages: {"role", "content"}, system first. schema: JSON schema of the reply. most: tokens of the reply.
    """

    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any]
    temperature: float
    most: int
    seed: int

    def key(self, model: str, structured: str) -> str:
        """SHA-256 over everything that decides the reply."""
        body = json.dumps([model, structured, [dict(m) for m in self.messages], self.schema, self.temperature, self.most, self.seed], sort_keys=True)
        return hashlib.sha256(body.encode()).hexdigest()

    @property
    def input_estimate(self) -> int:
        """Tokens of the messages, rather too many: a third of their bytes."""
        return sum(len(m["content"].encode("utf-8", "replace")) // 3 + 8 for m in self.messages)


@dataclasses.dataclass(frozen=True)
class Wrote:
    """What came back. whole: it ended by itself. refused: why this one request was not answered; then `text` is empty."""

    text: str
    input_tokens: int
    output_tokens: int
    whole: bool = True
    refused: str | None = None


class Writer(Protocol):
    """Writes replies.

    `name` and `identity` tell who; `structured` is part of a request's key; `parallel` calls at a time of `batch` requests each; prices are of a million
    tokens.
    """

    name: str
    structured: str
    parallel: int
    batch: int
    prices: tuple[float, float]
    currency: str

    @property
    def identity(self) -> Mapping[str, Any]:
        """For the record: plain values."""
        ...

    def write(self, requests: Sequence[Request]) -> list[Wrote]:
        """Replies in the order of the requests.

        Raises:
            UserError: nobody can be asked any more: the endpoint is down, the key is wrong.
        """
        ...


class EndpointWriter:
    """Asks an endpoint.

    Args:
        endpoint: whom. name: as the user calls it. structured: "auto" (a JSON schema if the endpoint takes it, else a JSON object, else words alone), or one of
            `STRUCTURED`. tokens_per_minute: at most; None does not limit. client, clock, sleep: for tests.
    """

    batch = 1

    def __init__(
        self,
        endpoint: Endpoint,
        name: str,
        *,
        structured: str = "auto",
        tokens_per_minute: int | None = None,
        client: Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if structured not in ("auto", *STRUCTURED):
            raise ConfigError(f"a reply cannot be asked for as {structured!r}", remedy=f"give one of: auto, {', '.join(STRUCTURED)}")
        self.name, self.structured, self.parallel = f"{name}:{endpoint.model}", structured, endpoint.parallel
        self.prices, self.currency = (endpoint.input_price, endpoint.output_price), endpoint.currency
        self._endpoint, self._client = endpoint, client or Client(endpoint)
        self._pace = Pace(tokens_per_minute, clock=clock, sleep=sleep)
        self._ways = list(STRUCTURED) if structured == "auto" else [structured]

    @property
    def identity(self) -> Mapping[str, Any]:
        """Where and which model; never a key."""
        return {"endpoint": self._endpoint.url, "model": self._endpoint.model, "structured": self.structured}

    def write(self, requests: Sequence[Request]) -> list[Wrote]:
        """See `Writer`. A refusal of one request (too long, not acceptable) is that request's result."""
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Wrote:
        for way in list(self._ways):
            try:
                wrote = self._ask(request, way)
            except EndpointError as error:
                if not _REFUSED.search(str(error)):
                    raise
                refused = Wrote("", 0, 0, refused=error.what)
            else:
                self._ways = [w for w in self._ways if STRUCTURED.index(w) >= STRUCTURED.index(way)]  # what is not offered is not tried again
                return wrote
        return refused

    def _ask(self, request: Request, way: str) -> Wrote:
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "messages": [dict(message) for message in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.most,
            "seed": request.seed,
        }
        if way == "schema":
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "lesson", "strict": True, "schema": request.schema}}
        elif way == "object":
            body["response_format"] = {"type": "json_object"}
        turn = self._pace.take(request.input_estimate + request.most)
        wrote = self._read(self._client.complete(body), request)
        self._pace.used(turn, wrote.input_tokens + wrote.output_tokens)
        return wrote

    def _read(self, reply: Any, request: Request) -> Wrote:  # noqa: ANN401 - whatever JSON comes
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            text, ended = choice["message"].get("content") or "", choice.get("finish_reason")
            given, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
            given = request.input_estimate if given is None else int(given)
            made = len(str(text).encode()) // 3 + 1 if made is None else int(made)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise EndpointError(f"{self._endpoint.url} answered JSON that is no chat completion", remedy="name an OpenAI-compatible endpoint") from error
        return Wrote(str(text), max(given, 0), max(made, 0), ended != "length")


class Pace:
    """At most so many tokens in any minute.

    Args:
        most: tokens; None does not limit.
    """

    def __init__(self, most: int | None, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> None:
        if most is not None and most < 1:
            raise ConfigError(f"tokens a minute must be at least 1 (got {most})", remedy="give a positive number")
        self.most, self._clock, self._sleep = most, clock, sleep
        self._lock = threading.Lock()
        self._taken: deque[list[float]] = deque()

    def take(self, tokens: int) -> list[float]:
        """Wait until there is room; a request larger than a whole minute's share waits for an empty minute."""
        while True:
            with self._lock:
                now = self._clock()
                while self._taken and now - self._taken[0][0] >= _WINDOW:
                    self._taken.popleft()
                inside = sum(entry[1] for entry in self._taken)
                if self.most is None or not self._taken or inside + tokens <= self.most:
                    turn = [now, float(tokens)]
                    self._taken.append(turn)
                    return turn
                wait = _WINDOW - (now - self._taken[0][0])
            self._sleep(max(wait, 0.01))

    def used(self, turn: list[float], tokens: int) -> None:
        """What a request took in the end."""
        with self._lock:
            turn[1] = float(tokens)


class Purse:
    """Money: what is spent, what requests in hand may still cost, and the most there is.

    Args:
        prices: of a million input and output tokens. budget: None does not limit. spent: tokens of earlier sessions, input and output.

    Raises:
        ConfigError: a budget where nothing has a price.
    """

    def __init__(self, prices: tuple[float, float], currency: str, budget: float | None = None, *, spent: tuple[int, int] = (0, 0)) -> None:
        if budget is not None and not any(prices):
            raise ConfigError(
                "a budget needs prices, and this engine has none", remedy="write input_price and output_price into its table, or leave --budget out"
            )
        if budget is not None and not budget > 0:
            raise ConfigError(f"the budget must be above 0 (got {budget:g})", remedy="give an amount of money")
        self.prices, self.currency, self.budget = prices, currency, budget
        self.spent, self._held, self._inside = self.cost(*spent), 0.0, 0
        self._changed = threading.Condition()

    def cost(self, given: int, made: int) -> float:
        """Of so many input and output tokens."""
        return (given * self.prices[0] + made * self.prices[1]) / 1e6

    def hold(self, requests: Sequence[Request]) -> float:
        """Set aside what the requests of one call cost at most, as far as their input is estimated.

        Raises:
            BudgetSpent: there is not enough, also when all requests in hand have been settled.
        """
        most = self.cost(sum(r.input_estimate for r in requests), sum(r.most for r in requests))
        with self._changed:
            while self.budget is not None and self._inside and self.spent + self._held + most > self.budget + _CENT:
                self._changed.wait()
            if self.budget is not None and self.spent + most > self.budget + _CENT:
                what = f"the budget of {self.budget:g} {self.currency} does not allow another request ({self.spent:.4f} spent, the next may cost {most:.4f})"
                raise BudgetSpent(what, remedy="raise --budget and go on with --resume")
            self._held += most
            self._inside += 1
        return most

    def settle(self, held: float, replies: Sequence[Wrote]) -> None:
        """A call is done, or has failed: then without replies."""
        with self._changed:
            self._held -= held
            self._inside -= 1
            self.spent += self.cost(sum(r.input_tokens for r in replies), sum(r.output_tokens for r in replies))
            self._changed.notify_all()
