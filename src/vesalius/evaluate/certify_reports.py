"""Reports and their claims from a file of JSON lines, each claim with a score and, where the report is judged, whether it is right.

In: one object a line. `id` (else the number of the line), `cluster` (patient; else the id) and `split` ("development", "test") may be given, and
    {"hypothesis": TEXT, "reference"?: TEXT, "samples"?: [TEXT, ...] | "claim_scores"?: {FINDING: NUMBER}}     claims as `metrics.labels` reads them, or
    {"claims": [{"score": NUMBER, "right"?: BOOL, "text"?, "finding"?, "status"?: "positive" | "negative" | "uncertain"}, ...], "reference"?, "samples"?}
Out: `Report`s. A claim of a finding is right when the reference says the same of it; what it does not mention is absent. A score that is not given is the share
of samples that state the claim (RadFlag's support, arXiv 2411.00299). A line without reference and without `right` is a new report: cut, not counted.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.domain.exchange import Split
from vesalius.evaluate.record import RecordFormatError
from vesalius.metrics.hallucination import claim_support
from vesalius.metrics.labels import FINDINGS, Status, label_report

GIVEN, SUPPORT = "given", "support among samples"
_LARGEST = 1e300  # also keeps whole numbers of hundreds of digits out, which no float holds
_CLAIM = {"score", "right", "text", "finding", "status"}
_REMEDY = "docs/studies/certify.md tells what a line may hold"

Labels = Mapping[str, Status]


@dataclasses.dataclass(frozen=True)
class Claim:
    """One claim of a report. `right` is None where it was not judged; `finding` and `status` are empty where the file names none."""

    score: float
    right: bool | None
    finding: str = ""
    status: str = ""
    text: str = ""

    def to_json(self) -> dict[str, Any]:
        """A plain mapping without what is not known."""
        return {key: value for key, value in dataclasses.asdict(self).items() if value not in (None, "")}


@dataclasses.dataclass(frozen=True)
class Report:
    """A report as its claims.

    Args:
        judged: whether it can be told which claims are right. A report without a claim is judged when it has a reference.
        source: where the scores come from; None without a claim. samples: how many reports they were counted among; None where they were given.
    """

    id: str
    cluster: str
    split: Split | None
    claims: tuple[Claim, ...]
    judged: bool
    source: str | None
    samples: int | None

    @property
    def scores(self) -> list[float]:
        """Of each claim."""
        return [claim.score for claim in self.claims]

    @property
    def right(self) -> list[float]:
        """1 or 0 of each claim of a judged report."""
        return [float(bool(claim.right)) for claim in self.claims]


def read(path: Path) -> list[Report]:
    """The reports of a file.

    Raises:
        RecordFormatError: it cannot be read or holds none; a line is no report (which, and what is wrong with it); an id recurs; scores are of two kinds.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordFormatError(f"{path}: cannot be read ({error})", remedy="give a file of JSON lines in UTF-8") from error
    found: dict[str, Report] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            report = _report(json.loads(line, parse_constant=_refuse), number)
        except (ValueError, RecursionError) as error:
            raise RecordFormatError(f"{path}: line {number} is no report ({error})", remedy=_REMEDY) from error
        if report.id in found:
            raise RecordFormatError(f"{path}: line {number} repeats the id {report.id!r}", remedy="give every report an id of its own")
        found[report.id] = report
    if not found:
        raise RecordFormatError(f"{path}: holds no reports", remedy=_REMEDY)
    if len(sources := sorted({report.source for report in found.values() if report.source is not None})) > 1:
        raise RecordFormatError(f"{path}: scores are of two kinds ({', '.join(sources)})", remedy="one cut needs one kind of score: give all, or none")
    return list(found.values())


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")


def _report(row: Any, number: int) -> Report:  # noqa: ANN401 - any JSON
    if not isinstance(row, dict):
        raise ValueError("not an object")
    name = _name(row.get("id", number))
    split = None if row.get("split") is None else Split(row["split"])
    reference = None if row.get("reference") is None else label_report(_text(row, "reference"))
    samples = None if row.get("samples") is None else [label_report(text) for text in _texts(row["samples"])]
    if "claims" in row and "hypothesis" in row:
        raise ValueError("claims and hypothesis cannot both be given")
    claims = _given(row["claims"], reference, samples) if "claims" in row else _labelled(row, reference, samples)
    judged = [claim.right is not None for claim in claims]
    if any(judged) and not all(judged):
        raise ValueError("some claims are judged and some are not")
    counted = samples is not None and not _has_scores(row)
    return Report(
        name,
        _name(row.get("cluster", name)),
        split,
        claims,
        judged=reference is not None or (bool(claims) and all(judged)),
        source=(SUPPORT if counted else GIVEN) if claims else None,
        samples=len(samples) if samples is not None and counted else None,
    )


def _has_scores(row: Mapping[str, Any]) -> bool:
    return row.get("claim_scores") is not None or any("score" in claim for claim in row.get("claims", ()))


def _labelled(row: Mapping[str, Any], reference: Labels | None, samples: Sequence[Labels] | None) -> tuple[Claim, ...]:
    """What the labeler reads in the hypothesis."""
    said = [(finding, status) for finding, status in label_report(_text(row, "hypothesis")).items() if status is not Status.NOT_MENTIONED]
    scores = row.get("claim_scores")
    if scores is None:
        if samples is None:
            raise ValueError("neither claim_scores nor samples to score its claims by")
        support = _support(said, samples)
        return tuple(Claim(s, _right(finding, status, reference), finding, str(status)) for (finding, status), s in zip(said, support, strict=True))
    if not isinstance(scores, dict):
        raise ValueError("claim_scores is no object")
    if absent := [finding for finding, _ in said if finding not in scores]:
        raise ValueError(f"claim_scores has none for {absent[0]}, which the hypothesis speaks of")
    return tuple(Claim(_score(scores[finding]), _right(finding, status, reference), finding, str(status)) for finding, status in said)


def _given(claims: Any, reference: Labels | None, samples: Sequence[Labels] | None) -> tuple[Claim, ...]:  # noqa: ANN401 - any JSON
    if not isinstance(claims, list) or not all(isinstance(claim, dict) for claim in claims):
        raise ValueError("claims is no list of objects")
    if len({"score" in claim for claim in claims}) > 1:
        raise ValueError("some claims have a score and some have none")
    return tuple(_claim(claim, reference, samples) for claim in claims)


def _claim(claim: Mapping[str, Any], reference: Labels | None, samples: Sequence[Labels] | None) -> Claim:
    if strange := sorted(set(claim) - _CLAIM):
        raise ValueError(f"a claim has an unknown field {strange[0]!r}")
    finding, right = claim.get("finding"), claim.get("right")
    status = None if claim.get("status") is None else Status(claim["status"])
    if finding is not None and finding not in FINDINGS:
        raise ValueError(f"{finding!r} is none of the {len(FINDINGS)} findings")
    if status is Status.NOT_MENTIONED or (finding is None) != (status is None):
        raise ValueError("a claim of a finding needs its status: positive, negative or uncertain")
    if right is not None and not isinstance(right, bool):
        raise ValueError("right is neither true nor false")
    if right is None and reference is not None:
        if finding is None or status is None:
            raise ValueError("a claim without `right` needs a finding and its status to be held against the reference")
        right = _right(finding, status, reference)
    if "score" in claim:
        score = _score(claim["score"])
    elif samples is not None and finding is not None and status is not None:
        score = _support([(finding, status)], samples)[0]
    else:
        raise ValueError("a claim has no score, and no finding that samples could support")
    return Claim(score, right, finding or "", str(status or ""), _text(claim, "text") if "text" in claim else "")


def _right(finding: str, status: Status, reference: Labels | None) -> bool | None:
    """Whether the reference says the same; what it does not mention is absent, as usual when reports are compared."""
    if reference is None:
        return None
    stated = reference[finding]
    return status is (Status.NEGATIVE if stated is Status.NOT_MENTIONED else stated)


def _support(said: Sequence[tuple[str, Status]], samples: Sequence[Labels]) -> list[float]:
    return [float(s) for s in claim_support([[sample[finding] is status for sample in samples] for finding, status in said])]


def _score(value: Any) -> float:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ValueError("a score is no finite number")
    return float(value)


def _name(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"{value!r} is no name")
    return str(value)


def _text(row: Mapping[str, Any], key: str) -> str:
    if not isinstance(row.get(key), str):
        raise ValueError(f"{key} is absent or no text")
    return str(row[key])


def _texts(value: Any) -> list[str]:  # noqa: ANN401 - any JSON
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError("samples is no list of texts, or empty")
    return value
