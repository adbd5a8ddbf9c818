"""A card as Markdown: front matter with a `model-index` that model hubs read, and the parts of a health AI card that an evaluation can fill.

In: a `Card`. Out: text, the same for the same runs. The front matter follows the hub's model card specification (task.type, dataset.type, dataset.name,
metrics.type and metrics.value are required); every text is quoted as JSON, which is YAML. The second half names the elements of the CHAI Applied Model Card
(schema v0.2: KeyMetrics, Warnings) and the source attributes of 45 CFR 170.315(b)(11)(iv)(B) that rest on measurements, and lists those that a developer must
fill in: nothing here is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from vesalius.evaluate.card.build import Card, Sheet
from vesalius.evaluate.card.headline import CHANGE, Figure, headline
from vesalius.evaluate.card.page import SILENT
from vesalius.evaluate.card.parts import cell
from vesalius.models.base import ModelCard
from vesalius.models.known import CARDS

_TASK = ("visual-question-answering", "Visual question answering")
_HUB_METRICS = {"accuracy": "accuracy", "accuracy_closed": "accuracy", "accuracy_open": "accuracy", "findings_auroc": "roc_auc", "brier": "brier_score"}
# Elements of KeyMetrics in the order of the schema, with the studies whose figures belong there.
_KEY_METRICS = (
    ("UsefulnessUsabilityEfficacy", ("vqa", "findings", "report", "localisation", "temporal"), "Right answers on questions with a known answer."),
    ("FairnessEquity", ("fairness",), "No gap between groups of patients beyond chance."),
    (
        "SafetyReliability",
        ("phrasing", "image_reliance", "hallucination", "shift", "adversarial", "sycophancy", "calibration", "selective"),
        "Answers that survive other words, need the picture, and are as sure as they are right.",
    ),
)
_TO_FILL_IN = (
    "details and output of the intervention: contact of the developer, funding source, kind of output",
    "purpose: intended use, patient population, users, decision-making role",
    "development details and input features: criteria of the training data, demographic variables (use, representativeness), relevance to the deployed setting",
    "process used to ensure fairness in development",
    "external validation process: who tested where, and on whom",
    "validity and fairness in data of another source, and evaluations of outcomes, as far as the suites above are of the source of the training data",
    "ongoing maintenance: how, how often and on which local data validity and fairness are monitored",
    "schedule of updates, and of correction when risks are found",
)


def render(card: Card) -> str:
    """The Markdown of a card."""
    lines = ["---", *_front(card), "---", ""]
    for sheet in card.sheets:
        lines += [f"# {_line(sheet.run.label)}: trust card", ""]
        lines += [f"**{_line(sheet.alarm)}**", ""] if sheet.alarm else []
        lines += [_line(sheet.verdict), "", *(f"- {_line(text)}" for text in sheet.warnings), ""]
        lines += [*_properties(sheet), *_figures(sheet), *_health(sheet), *_facts(sheet)]
    lines += ["## What these numbers do not say", "", *(f"- {text}" for text in SILENT), ""]
    return "\n".join(_single_blank(lines))


def model_index(card: Card) -> list[dict[str, Any]]:
    """`model-index` as data: one entry a run, one result a suite, each metric with its interval in its name."""
    return [{"name": sheet.run.label, "results": list(_results(sheet))} for sheet in card.sheets]


def _results(sheet: Sheet) -> Iterator[dict[str, Any]]:
    figures = headline(sheet.run.results)
    for suite in dict.fromkeys(figure.suite for figure in figures):
        here = [figure for figure in figures if figure.suite == suite]
        name = suite or "several suites"
        yield {
            "task": {"type": _TASK[0], "name": _TASK[1]},
            "dataset": {"type": name.replace(" ", "-"), "name": name, "split": "test"},
            "metrics": [{"type": _HUB_METRICS.get(f.name, f.name), "value": round(f.value, 6), "name": _metric_name(f)} for f in here],
        }


def _metric_name(figure: Figure) -> str:
    interval = figure.interval
    part = f", {figure.part}" if figure.part else ""
    ends = "no interval" if interval["low"] is None else f"95 % interval {interval['low']:.4f} to {interval['high']:.4f}"
    return f"{figure.title}{part} ({ends}, n {interval['n']})"


def _known(sheet: Sheet) -> ModelCard | None:
    return CARDS.get(str(sheet.run.model.get("name")))


def _front(card: Card) -> list[str]:
    lines = []
    known = [found for sheet in card.sheets if (found := _known(sheet)) is not None]
    if len(known) == len(card.sheets) and len({found.licence for found in known}) == 1:
        licence = known[0].licence
        plain = licence.lower() in ("apache-2.0", "mit", "bsd-3-clause")
        lines += [f"license: {_quoted(licence.lower())}"] if plain else ['license: "other"', f"license_name: {_quoted(licence)}"]
        languages = sorted({language for found in known for language in found.languages})
        lines += ["language:", *(f"- {_quoted(language)}" for language in languages)] if languages else []
    lines += [f"pipeline_tag: {_quoted(_TASK[0])}", "tags:", *(f"- {_quoted(tag)}" for tag in ("medical", "vision-language", "trust-card"))]
    return [*lines, "model-index:", *_yaml(model_index(card))]


def _yaml(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        lines += [f"- name: {_quoted(row['name'])}", "  results:" if row["results"] else "  results: []"]
        for result in row["results"]:
            lines += ["  - task:", *(f"      {key}: {_quoted(value)}" for key, value in result["task"].items())]
            lines += ["    dataset:", *(f"      {key}: {_quoted(value)}" for key, value in result["dataset"].items()), "    metrics:"]
            for metric in result["metrics"]:
                lines += [f"    - type: {_quoted(metric['type'])}", f"      value: {metric['value']!r}", f"      name: {_quoted(metric['name'])}"]
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)


def _properties(sheet: Sheet) -> list[str]:
    rows = []
    for p in sheet.properties:
        if p.figures:
            f = p.figures[0]
            rows.append(
                (p.about.title, cell(f.interval, percent=f.unit != "number", signed=f.unit == CHANGE), f.where or "all", f"{f.interval['n']:,}", p.about.reads)
            )
        else:
            rows.append((p.about.title, "not measured", p.why, "", ""))
    return [
        "## Twelve properties",
        "",
        "The least favourable suite of each; per cent or points, with 95 % intervals.",
        "",
        *_table(("property", "figure", "where", "n", "reads"), rows),
    ]


def _figures(sheet: Sheet) -> list[str]:
    rows = [
        (f.name, f.where or "all", cell(f.interval, percent=f.unit != "number", signed=f.unit == CHANGE), f"{f.interval['n']:,}", f.study)
        for f in headline(sheet.run.results)
    ]
    return ["## Every headline figure", "", *_table(("figure", "where", "value (95 %)", "n", "study"), rows)]


def _health(sheet: Sheet) -> list[str]:
    """Elements of the CHAI Applied Model Card and source attributes that measurements can answer."""
    lines = ["## For a health AI card", "", "Names of elements are those of the CHAI Applied Model Card, schema v0.2.", ""]
    known = _known(sheet)
    if known is not None:
        lines += [
            "### ModelSummary",
            "",
            _line(known.summary),
            "",
        ]
    limits = known.limits if known is not None else ()
    lines += ["### Warnings", "", "KnownRisksAndLimitations:", "", *(f"- {_line(text)}" for text in (*limits, "not for diagnostic use")), ""]
    if known is not None:
        lines += ["CautionedOutOfScopeSettings:", ""]
        lines += [f"- anything but {', '.join(known.modalities)} of {', '.join(known.body_parts).lower()}, asked in {', '.join(known.languages)}", ""]
    lines += [
        "KnownBiasesOrEthicalConsiderations:",
        "",
        *([f"- {_line(text)}" for text in sheet.warnings] or ["- none that these figures show; see what was not measured"]),
        "",
    ]
    figures = headline(sheet.run.results)
    for element, studies, goal in _KEY_METRICS:
        rows = [
            (f"{f.title}{', ' + f.where if f.where else ''}", json.dumps({key: f.interval.get(key) for key in ("value", "low", "high", "n")}))
            for f in figures
            if f.study in studies
        ]
        lines += [f"### KeyMetrics: {element}", "", f"MetricGoal: {goal}", ""]
        lines += _table(("Label", "ValueJson"), rows) if rows else ["Results: not measured.", ""]
        lines += ["TestType: retrospective, on recorded test parts; intervals resample images or patients.", ""]
    lines += [
        "### Source attributes, 45 CFR 170.315(b)(11)(iv)(B)",
        "",
        "Answered above, as far as it was measured: cautioned out-of-scope use; known risks and limitations; quantitative measures of performance, which are",
        "validity and fairness in test data.",
        "",
        "Not known to an evaluation, to be filled in by the developer:",
        "",
        *(f"- {text}" for text in _TO_FILL_IN),
        "",
    ]
    return lines


def _facts(sheet: Sheet) -> list[str]:
    absent = [f"- {_line(what)}: {_line(why)}" for what, why in sheet.absent] or ["- nothing: every study was made"]
    return ["## Not measured", "", *absent, "", "## Provenance", "", *(f"- {name}: {_line(value)}" for name, value in sheet.facts), ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(_line(text).replace("|", "\\|") for text in row) + " |" for row in rows), ""]


def _line(text: str) -> str:
    """A text on one line that starts no markup of its own: it may come from a model's name or an error."""
    return " ".join(text.split()).replace("<", "&lt;")


def _single_blank(lines: Sequence[str]) -> list[str]:
    return [line for i, line in enumerate(lines) if line or i == 0 or lines[i - 1]]
