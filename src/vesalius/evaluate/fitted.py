"""Baselines beside a run: fitted on the train and development rows of each protocol, asked the same test items, recorded like answers.

In: a plan's suite and protocols, the data root. Out: `baselines.jsonl`, one line per protocol, baseline and item; image features in `features.npz`.
Baselines choose nothing on the development rows, so they may learn from them: the comparison leans in their favour.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vesalius.data.base import Dataset
from vesalius.domain.exchange import Answer, Exchange, Split
from vesalius.evaluate import baselines
from vesalius.evaluate.ask import open_study
from vesalius.evaluate.record import OutputError, RecordFormatError, answer_json, answer_of, append, read_rows

FILE = "baselines.jsonl"
_FEATURES = "features.npz"
_BATCH = 8

Progress = Callable[[int, int, str], None]


def fit_and_record(data: Dataset, root: Path, out: Path, *, protocols: Sequence[str], names: Sequence[str], progress: Progress) -> None:
    """Fit every baseline that is not recorded yet and append its answers to the test rows of each protocol.

    Raises:
        UnknownName: no such baseline. MissingExtra: scikit-learn or the image tower is not installed. OutputError, RecordFormatError: as `record`.
    """
    path = out / FILE
    done = set(read_baselines(path))
    for protocol in protocols:
        wanted = [name for name in names if (protocol, name) not in done]
        if not wanted:
            continue
        train = [x for split in (Split.TRAIN, Split.DEVELOPMENT) for x in data.exchanges(root, split, protocol)]
        test = data.exchanges(root, Split.TEST, protocol)
        features = _features([*train, *test], root, out / _FEATURES, progress) if "kernel-svm" in wanted else None
        for place, name in enumerate(wanted):
            progress(place, len(wanted), f"baseline {name}, {protocol}")
            answers = baselines.fit(name, train, features).predict(test, features)
            rows: list[dict[str, Any]] = [
                {"protocol": protocol, "baseline": name, "id": x.id, "answer": answer_json(a, x.id)} for x, a in zip(test, answers, strict=True)
            ]
            append(path, [*rows, {"protocol": protocol, "baseline": name, "complete": len(rows)}])


def read_baselines(path: Path) -> dict[tuple[str, str], dict[str, Answer]]:
    """(protocol, baseline) -> id -> answer, of baselines that were recorded to the end.

    Raises:
        RecordFormatError: a line is no record of a baseline.
    """
    found: dict[tuple[str, str], dict[str, Answer]] = defaultdict(dict)
    complete = set()
    for number, row in enumerate(read_rows(path)[0], start=1):
        try:
            key = (str(row["protocol"]), str(row["baseline"]))
            if "complete" in row:
                complete.add(key)
            else:
                found[key][row["id"]] = answer_of(row["answer"])
        except (KeyError, TypeError, ValueError) as error:
            raise RecordFormatError(f"{path}: record {number} cannot be used ({error})", remedy="delete the file; the baselines are fitted again") from error
    return {key: answers for key, answers in found.items() if key in complete}


def by_protocol(path: Path) -> dict[str, dict[str, dict[str, Answer]]]:
    """Protocol -> baseline -> id -> answer, as `vqa.score` takes them."""
    found: dict[str, dict[str, dict[str, Answer]]] = defaultdict(dict)
    for (protocol, name), answers in read_baselines(path).items():
        found[protocol][name] = answers
    return dict(found)


def _features(exchanges: Sequence[Exchange], root: Path, path: Path, progress: Progress) -> Mapping[str, NDArray[np.float32]]:
    """Mean over the cells of EfficientNet-Lite0 at 288 px for each image, (1280,) float32; kept in the run folder."""
    facts = {x.image: x.tags for x in reversed(exchanges)}
    known = _kept(path)
    absent = [image for image in sorted(facts) if image not in known]
    if absent:
        known = {**known, **_computed(absent, facts, root, progress)}
        try:
            half = path.with_suffix(".part")  # a kill in the middle leaves the whole file as it was
            with half.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **known)
            half.replace(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror})", remedy="give --out a folder that you may write to") from error
    return known


def _kept(path: Path) -> dict[str, NDArray[np.float32]]:
    if not path.is_file():
        return {}
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}  # damaged: computed again


def _computed(images: Sequence[str], facts: Mapping[str, Mapping[str, str]], root: Path, progress: Progress) -> dict[str, NDArray[np.float32]]:
    try:
        import torch

        from vesalius.models import efficientnet
    except ModuleNotFoundError as error:
        from vesalius.registry import missing_extra

        raise missing_extra(error.name or "torch", "the kernel baseline") from error
    from vesalius.formats.pixels import render

    tower = efficientnet.load()
    found: dict[str, NDArray[np.float32]] = {}
    for start in range(0, len(images), _BATCH):
        progress(start, len(images), "image features for the kernel baseline")
        batch = images[start : start + _BATCH]
        pixels = torch.stack([efficientnet.prepare(render(open_study(root, image, facts[image]).image)) for image in batch])
        with torch.inference_mode():
            pooled = tower(pixels).mean(dim=1).numpy()
        found.update(zip(batch, pooled.astype(np.float32), strict=True))
    return found


def check_names(names: Sequence[str]) -> None:
    """Raise UnknownName for a baseline that no table knows, before hours are spent."""
    for name in names:
        baselines.TABLE.target(name)
