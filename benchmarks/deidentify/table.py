"""The table of right actions, with intervals.

In: judged items of each run. Out: Markdown. The interval of a rate is from 2,000 bootstrap samples of patients, since one patient's files fail together; where
nothing or everything is right it is that of Clopper and Pearson over the actions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from deidentify.draw import CONTRASTS
from deidentify.runs import Run
from deidentify.score import Judged

GROUPS = {
    "identifiers in headers": (
        "names and numbers",
        "dates",
        "addresses and phones",
        "staff and institution",
        "devices",
        "nested items",
        "private attributes",
        "descriptions and comments",
        "texts the standard's table does not name",
        "UIDs",
        "meta information, icons, curves and other bytes",
        "overlays",
        "content of structured reports",
        "anywhere in the file's bytes",
    ),
    "identifiers in reports": ("identifiers in reports",),
    "burned-in strings": ("burned-in strings",),
    "pictures otherwise untouched": ("clean pictures untouched", "rest of written pictures untouched", "side markers stay"),
    "research data in headers": (
        "acquisition",
        "geometry and display",
        "patient characteristics",
        "safe private attributes",
        "words of descriptions",
        "content of structured reports kept",
        "intervals between dates",
        "UIDs linked",
        "patients linked",
    ),
    "words of reports": ("words of reports",),
    "claims and sound files": ("claims", "sound files"),
}
Chosen = Callable[[Judged], bool]


def rate(judged: Sequence[Judged], samples: int = 2000) -> tuple[float, float, float] | None:
    """Share right and its 95 % interval; None for nothing."""
    if not judged:
        return None
    right, n = sum(one.right for one in judged), len(judged)
    if right in (0, n):
        edge = 0.025 ** (1 / n)
        return (1.0, edge, 1.0) if right else (0.0, 0.0, 1 - edge)
    by_patient: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for one in judged:
        by_patient[one.item.patient][0] += one.right
        by_patient[one.item.patient][1] += 1
    counts = np.array(list(by_patient.values()))
    drawn = counts[np.random.default_rng(0).integers(len(counts), size=(samples, len(counts)))].sum(1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], (2.5, 97.5))
    return right / n, float(low), float(high)


def said(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "–"
    share, low, high = (100 * value for value in found)
    return f"{share:.1f} ({low:.1f}–{high:.1f})" if share < 99.9 or share == 100 else f"{share:.2f} ({low:.2f}–{high:.2f})"


def render(runs: Sequence[tuple[Run, Sequence[Judged]]]) -> str:
    """All tables: the groups for every run, each category for the best way of each program, strings in pixels by contrast and angle."""
    lines = [*_head("right actions, %", runs)]
    lines += [_line(group, runs, lambda one, wanted=categories: one.item.category in wanted) for group, categories in GROUPS.items()]
    lines.append(
        _row(
            [
                "all on DICOM files, whether the program is for them or not",
                "",
                *(said(rate([one for one in judged if one.item.path[0] != "text"])) for _, judged in runs),
            ]
        )
    )
    lines.append(_row(["identifiers of headers left in files that were given out, %", "", *(_leaked(run, judged) for run, judged in runs)]))
    lines.append(
        _row(["DICOM files not given out", "", *(f"{len({j.item.file for j in judged if not j.given and j.item.path[0] != 'text'}):,}" for _, judged in runs)])
    )
    lines.append(_row(["seconds", "", *(f"{run.seconds:.0f}" for run, _ in runs)]))
    best = [(run, judged) for run, judged in runs if run.way == "best"] or list(runs)
    lines += ["", *_head("by category, %", best)]
    for name in [
        name
        for group in ("identifiers in headers", "research data in headers", "pictures otherwise untouched", "claims and sound files")
        for name in GROUPS[group]
    ]:
        lines.append(_line(name, best, lambda one, wanted=name: one.item.category == wanted))
    readers = [(run, judged) for run, judged in best if "pixels" in run.takes]
    if readers:
        lines += ["", *_head("burned-in strings covered, %", readers), *_strings(readers)]
    return "\n".join(lines)


def _strings(runs: Sequence[tuple[Run, Sequence[Judged]]]) -> list[str]:
    bins: list[tuple[str, Chosen]] = [
        *((f"contrast {c:g}", lambda one, c=c: one.item.detail["contrast"] == c) for c in CONTRASTS),
        ("contrast 2 and more", lambda one: one.item.detail["contrast"] >= 2),
        *(
            (f"turned by {t}, contrast 2 and more", lambda one, t=t: abs(one.item.detail["angle"]) == t and one.item.detail["contrast"] >= 2)
            for t in (0, 12, 90, 180)
        ),
    ]
    return [_line(name, runs, lambda one, chosen=chosen: one.item.action == "covered" and chosen(one)) for name, chosen in bins]


def kind(one: Judged) -> str:
    """What a program must be for to be asked for this action."""
    if one.item.path[0] == "text":
        return "reports"
    return "pixels" if one.item.path[0] == "pixels" else "headers"


def _head(first: str, runs: Sequence[tuple[Run, Sequence[Judged]]]) -> list[str]:
    heads = [f"{run.name} {run.version}, {run.way}" for run, _ in runs]
    return [_row([first, "n", *heads]), "|" + "---|" * (len(heads) + 2)]


def _line(name: str, runs: Sequence[tuple[Run, Sequence[Judged]]], chosen: Chosen) -> str:
    n = sum(map(chosen, runs[0][1]))
    return _row([name, f"{n:,}", *(said(rate([one for one in judged if chosen(one) and kind(one) in run.takes])) for run, judged in runs)])


def _leaked(run: Run, judged: Sequence[Judged]) -> str:
    wanted = [one for one in judged if one.item.category in GROUPS["identifiers in headers"]]
    return f"{100 * sum(one.given and not one.right for one in wanted) / max(1, len(wanted)):.2f}" if "headers" in run.takes else "–"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
