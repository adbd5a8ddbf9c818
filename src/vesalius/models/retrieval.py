"""Retrieval by vectors: which of many embedded images or texts are nearest to a query, by exact cosine.

In: vectors of an `EmbeddingModel` with a label each. Out: an `Index` on the disk, and for each query the nearest labels with their cosines.
The search is exhaustive, by usearch's kernels: nothing is approximated, and a study is found whatever the others are.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vesalius.errors import DataMissing, InvalidValue
from vesalius.registry import missing_extra

_FORMAT = "vesalius-index-1"


@dataclasses.dataclass(frozen=True)
class Match:
    """One thing found: its label, its row in the index, and its cosine to the query in [-1, 1]."""

    label: str
    row: int
    cosine: float


class Index:
    """Vectors to search in, with a label each.

    Args:
        vectors: (n, width), of any length but zero; kept as float32 of unit length. labels: n names, such as file names or reports.
        model: what made the vectors; vectors of two models cannot be compared.

    Raises:
        InvalidValue: no vectors, vectors that are zero or not finite, or another number of labels.
    """

    def __init__(self, vectors: ArrayLike, labels: Sequence[str], *, model: str = "") -> None:
        self.vectors = _units(vectors, "an index")
        self.labels, self.model = tuple(map(str, labels)), model
        if len(self.labels) != len(self.vectors):
            raise InvalidValue(f"{len(self.labels)} labels are given for {len(self.vectors)} vectors", remedy="give one for each")

    def __len__(self) -> int:
        return len(self.labels)

    def search(self, vectors: ArrayLike, k: int = 10) -> list[list[Match]]:
        """The k nearest of each query, nearest first; of equally near ones among them the earlier row first.

        Args:
            vectors: (queries, width). k: how many; of a smaller index all.

        Raises:
            InvalidValue: k below 1, or queries of another width, zero or not finite. MissingExtra: usearch is not installed.
        """
        if k < 1:
            raise InvalidValue(f"k must be at least 1 (got {k})")
        queries = _units(vectors, "a search")
        if queries.shape[1] != self.vectors.shape[1]:
            raise InvalidValue(f"a query of width {queries.shape[1]} cannot be searched in an index of width {self.vectors.shape[1]}", remedy="use one model")
        rows = _nearest(self.vectors, queries, min(k, len(self)))
        # the library says 1 - cosine in float32; said again in float64, so that order and ties do not hang on its kernels
        cosines = np.einsum("qkw,qw->qk", self.vectors[rows].astype(np.float64), queries.astype(np.float64)).clip(-1, 1)
        return [self._matches(*found) for found in zip(rows, cosines, strict=True)]

    def _matches(self, rows: NDArray[np.int64], cosines: NDArray[np.float64]) -> list[Match]:
        order = np.lexsort((rows, -cosines))
        return [Match(self.labels[r], int(r), float(c)) for r, c in zip(rows[order], cosines[order], strict=True)]

    def save(self, path: Path) -> None:
        """Write one safetensors file: vectors, labels, and the model's name."""
        from safetensors.numpy import save_file

        save_file({"vectors": self.vectors}, path, metadata={"format": _FORMAT, "labels": json.dumps(self.labels), "model": self.model})

    @classmethod
    def load(cls, path: Path, *, model: str | None = None) -> Index:
        """Read what `save` wrote.

        Args:
            model: refuse an index of another one; None takes any.

        Raises:
            DataMissing: the file is absent or no index. InvalidValue: it is of another model.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                about = file.metadata() or {}
                labels, made_by, vectors = json.loads(about["labels"]), about["model"], file.get_tensor("vectors")
            if about.get("format") != _FORMAT:
                raise KeyError("format")
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise DataMissing(f"{path}: cannot be read as an index", remedy="build it again") from error
        if model is not None and model != made_by:
            raise InvalidValue(f"{path}: was built with {made_by!r}, not {model!r}", remedy="build it again, or name its model")
        made = cls(vectors, labels, model=made_by)
        made.vectors = vectors  # as they were: to norm them again may change the last bit
        return made


def _units(vectors: ArrayLike, what: str) -> NDArray[np.float32]:
    given = np.atleast_2d(np.asarray(vectors, np.float64))
    if given.ndim != 2 or 0 in given.shape:
        raise InvalidValue(f"{what} needs vectors (n, width), at least one (got {given.shape})", remedy="stack them on the first axis")
    lengths = np.linalg.norm(given, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise InvalidValue(f"{what} cannot use vectors that are zero or not finite", remedy="leave out what could not be embedded")
    return np.ascontiguousarray(given / lengths, np.float32)


def _nearest(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Rows (queries, k) of the vectors with the largest inner products."""
    try:
        from usearch.compiled import MetricKind
        from usearch.index import search
    except ModuleNotFoundError as error:
        raise missing_extra("usearch", "the search in an index") from error
    found = search(vectors, queries, k, MetricKind.IP, exact=True)
    return np.asarray(found.keys).reshape(len(queries), k).astype(np.int64)
