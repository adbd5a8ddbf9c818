"""An OpenAI-compatible endpoint: one question about one picture over HTTP, with retries, time limits, a rate limit and a bill.

In: an `Endpoint` from a TOML file, a picture as PNG, a question. Out: a `Said`. Keys are read from the environment and never kept, shown or logged.
"""

from __future__ import annotations

import base64
import dataclasses
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius import config
from vesalius.errors import ConfigError, UserError, nearest
from vesalius.registry import missing_extra

FILE_VARIABLE = "VESALIUS_ENDPOINTS"
_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
_TOP = 10  # alternatives of the first token that are asked for: yes and no are among them, if the model considers them


class EndpointError(UserError):
    """The endpoint cannot be reached, refuses, or says something that is no answer."""


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where and how to ask.

    Args:
        url: up to and including "/v1". model: as the endpoint calls it.
        key_variable: environment variable that holds the key; "" when none is needed.
        system: what the model is told before the question.
        timeout: seconds for one request. retries: after the first failure. per_minute: requests, at most. parallel: requests at one time.
        logprobs: whether to ask for token log-probabilities; not every server offers them.
        input_price, output_price: of a million tokens, in `currency`. budget: what may be spent by one process; None does not limit.
    """

    url: str
    model: str
    key_variable: str = ""
    system: str = "You are shown one medical image. Answer the question in as few words as possible; yes or no where that answers it."
    timeout: float = 60.0
    retries: int = 4
    per_minute: int = 60
    parallel: int = 4
    logprobs: bool = True
    input_price: float = 0.0
    output_price: float = 0.0
    currency: str = "USD"
    budget: float | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ConfigError(f"the endpoint's url {self.url!r} is no web address", remedy='write it as "https://host/v1"')
        for name in ("timeout", "per_minute", "parallel"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"the endpoint's {name} must be above 0 (got {getattr(self, name)})", remedy="give a positive number")
        if self.retries < 0 or self.input_price < 0 or self.output_price < 0:
            raise ConfigError("retries and prices of an endpoint must not be negative", remedy="give 0 or more")


@dataclasses.dataclass(frozen=True)
class Said:
    """What came back.

    Args:
        text: the answer. tokens: generated. logprobs: natural log-probability of each token; None when the server gives none.
        first: alternatives of the first token with their log-probabilities.
    """

    text: str
    tokens: int
    logprobs: tuple[float, ...] | None = None
    first: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class _File:
    endpoints: Mapping[str, Endpoint] = dataclasses.field(default_factory=dict)


def named(name: str, path: Path | None = None) -> Endpoint:
    """The endpoint of this name from the file that VESALIUS_ENDPOINTS names, else ~/.config/vesalius/endpoints.toml.

    Raises:
        ConfigError: no such file or endpoint, or one that is not written right.
    """
    place = path or Path(os.environ.get(FILE_VARIABLE, "~/.config/vesalius/endpoints.toml")).expanduser()
    if not place.exists():
        raise ConfigError(f"no endpoint {name!r} is known: there is no {place}", remedy=f"describe it there, in a table [endpoints.{name}]")
    known = config.read(place, _File).endpoints
    if name not in known:
        guess = nearest(name, known)
        hint = f"did you mean {guess!r}?" if guess else f"add a table [endpoints.{name}]"
        raise ConfigError(f"{place}: describes no endpoint {name!r}", remedy=hint)
    return known[name]


class Client:
    """Asks an endpoint; safe to use from several threads.

    Args:
        endpoint: whom. sleep: how to wait, for tests.
    """

    def __init__(self, endpoint: Endpoint, *, sleep: Any = time.sleep) -> None:  # noqa: ANN401 - a function
        try:
            import requests
        except ModuleNotFoundError as error:
            raise missing_extra("requests", "asking a model over the network") from error
        self.endpoint, self._sleep, self._session = endpoint, sleep, requests.Session()
        self._failures = (requests.RequestException,)
        self._lock = threading.Lock()
        self._next = 0.0
        self.input_tokens = self.output_tokens = self.requests = 0
        key = os.environ.get(endpoint.key_variable, "") if endpoint.key_variable else ""
        if endpoint.key_variable and not key:
            raise ConfigError(f"the endpoint needs a key in {endpoint.key_variable}, which is not set", remedy=f"set {endpoint.key_variable}")
        if key:
            self._session.headers["Authorization"] = f"Bearer {key}"

    @property
    def spent(self) -> float:
        """What the answers so far cost, in the endpoint's currency."""
        return (self.input_tokens * self.endpoint.input_price + self.output_tokens * self.endpoint.output_price) / 1e6

    def ask(self, picture: bytes, question: str, *, temperature: float, most: int, seed: int) -> Said:
        """One question about one PNG.

        Raises:
            EndpointError: as the class says, and when the budget is spent.
        """
        if self.endpoint.budget is not None and self.spent >= self.endpoint.budget:
            spent = f"{self.spent:.2f} {self.endpoint.currency}"
            raise EndpointError(f"the budget of {self.endpoint.budget:g} {self.endpoint.currency} is spent ({spent})", remedy="raise budget, or ask less")
        image = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
        body: dict[str, Any] = {
            "model": self.endpoint.model,
            "messages": [
                {"role": "system", "content": self.endpoint.system},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": question}]},
            ],
            "temperature": temperature,
            "max_tokens": most,
            "seed": seed,
        }
        if self.endpoint.logprobs:
            body |= {"logprobs": True, "top_logprobs": _TOP}
        return self._read(self.complete(body))

    def complete(self, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - whatever JSON comes
        """Send one chat completion, at the endpoint's pace and with its retries; the reply as JSON.

        Raises:
            EndpointError: it cannot be reached, refuses, or answers something else.
        """
        for attempt in range(self.endpoint.retries + 1):
            self._wait_for_turn()
            wait, last = 2.0**attempt, attempt == self.endpoint.retries
            try:
                reply = self._session.post(f"{self.endpoint.url.rstrip('/')}/chat/completions", json=body, timeout=self.endpoint.timeout)
            except self._failures as error:
                if last:
                    kind = type(error).__name__
                    raise EndpointError(f"{self.endpoint.url} cannot be reached ({kind})", remedy="check url, network and timeout") from error
            else:
                if reply.status_code == 200:
                    return self._json(reply)
                if reply.status_code not in _RETRIED or last:
                    raise self._refused(reply)
                wait = _patience(reply.headers.get("Retry-After"), wait)
            self._sleep(min(wait, 60.0))
        raise AssertionError("unreachable")

    def _wait_for_turn(self) -> None:
        """Requests leave at even distances, not in bursts."""
        with self._lock:
            now = time.monotonic()
            due = max(now, self._next)
            self._next = due + 60.0 / self.endpoint.per_minute
            self.requests += 1
        if due > now:
            self._sleep(due - now)

    def _json(self, reply: Any) -> Any:  # noqa: ANN401
        try:
            return reply.json()
        except ValueError as error:
            raise EndpointError(f"{self.endpoint.url} answered something that is not JSON", remedy="check that url ends with the API's /v1") from error

    def _refused(self, reply: Any) -> EndpointError:  # noqa: ANN401
        remedies = {401: "check the key", 403: "check the key's rights", 404: "check url and model", 413: "the picture is too large for it"}
        try:
            said = str(reply.json()["error"]["message"])[:200]
        except (ValueError, KeyError, TypeError):
            said = reply.reason or "no reason given"
        return EndpointError(f"{self.endpoint.url} refused with status {reply.status_code}: {said}", remedy=remedies.get(reply.status_code, "try again later"))

    def _read(self, reply: Any) -> Said:  # noqa: ANN401
        try:
            choice, usage = reply["choices"][0], reply.get("usage") or {}
            text = choice["message"]["content"] or ""
            tokens, prompt = int(usage.get("completion_tokens") or 0), int(usage.get("prompt_tokens") or 0)
            listed = (choice.get("logprobs") or {}).get("content") or None
            logprobs = tuple(float(t["logprob"]) for t in listed) if listed else None
            first = {str(t["token"]): float(t["logprob"]) for t in listed[0].get("top_logprobs", [])} if listed else {}
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise EndpointError(f"{self.endpoint.url} answered JSON that is no chat completion", remedy="name an OpenAI-compatible endpoint") from error
        with self._lock:
            self.input_tokens += prompt
            self.output_tokens += tokens
        return Said(str(text).strip(), tokens, logprobs, first)


def _patience(told: str | None, otherwise: float) -> float:
    """Seconds to wait: as the server asks, where it asks in seconds."""
    try:
        return max(0.0, float(told)) if told is not None else otherwise
    except ValueError:
        return otherwise
