"""A run on one page: self-contained HTML with its pictures inside, no script and no network.

In: the results of `vqa.score` and the provenance of the run. Out: `page.html`. The page says nothing that the results do not hold.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vesalius.evaluate import figures
from vesalius.evaluate.accuracy import BLANK, MODEL, NOTHING, SWAP
from vesalius.evaluate.record import write_text
from vesalius.registry import missing_extra

_KIND = {MODEL: "model", BLANK: "control", SWAP: "control", NOTHING: "control"}
_SHOWN_TAGS = {"content": "What is asked", "modality": "Modality", "body_part": "Body part"}
_MOST_ROWS = 16
_MOST_FINDINGS = 16
_CODES = {"PRES": "Presence", "POS": "Position", "ABN": "Abnormality", "ATTRIB": "Attribute", "MODALITY": "Modality", "SIZE": "Size", "PLANE": "Plane"}
SILENT = (
    "Accuracy on a test part is not safety in a clinic: other scanners, other patients and other wordings are not in it.",
    "Exact match is hard on synonyms: an open answer that a physician would accept can count as wrong. The published rule is lenient; both are shown.",
    "Intervals cover the choice of images from the same source. They do not cover label noise, a shift of the population, or a choice made on these numbers.",
    "An answer that does not change on a blank image is not proof that the image was ignored: the likeliest answer may be the right one.",
    "Generated wordings and human ones differ; a low flip rate on one kind is no promise for the other.",
    "The gate was run on a subset, and was not certified here: an observed risk is not a guaranteed one.",
)


def write_page(path: Path, results: Mapping[str, Any], made: Mapping[str, Any]) -> None:
    """Draw the page of a run.

    Raises:
        MissingExtra: jinja2 is not installed. OutputError: the page cannot be written.
    """
    write_text(path, render(results, made))


def render(results: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """The page as HTML text.

    Args:
        results: of `vqa.score`, with `suite` and `notes`.
        made: `provenance.json`.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise missing_extra("jinja2", "the results page") from error
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(percent=figures.percent, span=figures.span, number=_number)
    environment.globals.update(bar=lambda *a, **k: _safe(figures.bar(*a, **k)))
    source = importlib.resources.files("vesalius.evaluate").joinpath("templates/page.html").read_text(encoding="utf-8")
    parts = [_part(name, part) for name, part in results["parts"].items()]
    return environment.from_string(source).render(results=results, made=made, parts=parts, facts=_facts(results, made), silent=SILENT, kinds=_KIND)


def _safe(svg: str) -> Any:  # noqa: ANN401
    from markupsafe import Markup

    return Markup(svg)  # our own drawing; every word in it went through html.escape


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _part(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    protocol, _, split = name.partition("/")
    calibration, gate = part["calibration"]["all"], part["gate"]
    curves = [("raw" if gate else "model", part["selective"]), ("gate", gate["ranking"] if gate else None)]
    point = None
    if gate and gate["coverage"]["value"] is not None and gate["accepted_risk"]["value"] is not None:
        point = (gate["coverage"]["value"], gate["accepted_risk"]["value"])
    return {
        "name": name,
        "protocol": protocol.replace("_", " "),
        "split": split,
        "data": part,
        "flips": _safe(_flips(part)),
        "quadrants": {kind: _safe(figures.quadrant_tiles(table)) for kind, table in part["quadrants"].items() if table["n"]},
        "reliability": _safe(figures.reliability(calibration["calibrated"], calibration["raw"])),
        "risk": _safe(figures.risk_coverage(curves, 1 - (part["systems"][MODEL]["overall"]["value"] or 0.0), point)),
        "tags": [(title, _safe(_by(part["by"][tag]))) for tag, title in _SHOWN_TAGS.items() if tag in part["by"] and len(part["by"][tag]) > 1],
        "findings": _safe(_findings(part["findings"])) if part["findings"] else None,
        "absent": [finding.replace("_", " ") for finding, row in part["findings"].items() if not row["positives"]],
    }


def _flips(part: Mapping[str, Any]) -> str:
    rows = []
    human = [(f"human: {name}", table) for name, table in part["flips"]["human"].items()]
    made = [(family, table) for family, table in part["flips"]["generated"]["families"].items()]
    total = [("all generated", part["flips"]["generated"]["all"])] if made else []
    for name, table in (*human, *made, *total):
        if table["pairs"]:
            note = f"{figures.percent(table['rate'])}, {table['pairs']} pairs" + (f", {table['unparsed']} unread" if table["unparsed"] else "")
            rows.append((name, [("human" if name.startswith("human") else "model", table["rate"])], note))
    top = max([0.2, *(bars[0][1]["high"] or bars[0][1]["value"] or 0.0 for _, bars, _ in rows)])
    return figures.rows_of_bars(rows, top=min(1.0, -(-top // 0.2) * 0.2), label="flip rate by family")


def _by(table: Mapping[str, Any]) -> str:
    rows = [
        (
            _CODES.get(value) or (value.capitalize() if len(value) > 2 else value),
            [("model", row[MODEL]), ("control", row[BLANK])],
            f"{figures.percent(row[MODEL])}, n {row[MODEL]['n']}",
        )
        for value, row in list(table.items())[:_MOST_ROWS]
    ]
    return figures.rows_of_bars(rows, label="accuracy by kind")


def _findings(table: Mapping[str, Any]) -> str:
    rows = []
    for name, row in list(table.items())[:_MOST_FINDINGS]:
        auroc = row["auroc"][MODEL]
        if not row["positives"]:
            continue
        shown = "–" if auroc["value"] is None else f"{auroc['value']:.3f}"
        rows.append((name.replace("_", " "), [("model", auroc), ("control", row["auroc"][BLANK])], f"{shown}, {row['positives']} of {row['n']}"))
    return figures.rows_of_bars(rows, label="AUROC by finding")


def _facts(results: Mapping[str, Any], made: Mapping[str, Any]) -> list[tuple[str, str]]:
    config = made["config"]
    model = config["model"]
    hardware = made["hardware"]
    return [
        ("Model", f"{model['called']} {model.get('revision', '')}".strip()),
        ("Weights", ", ".join(f"{key} {value}" for key, value in model.get("identity", {}).items() if key not in ("name", "revision") and value) or "–"),
        ("Policy", f"{config['policy']['name']} {config['policy']['version']}, SHA-256 {config['policy']['sha256'][:16]}"),
        ("Data", f"{results['suite']}, SHA-256 {made['data_hash'][:16]}"),
        ("Seed", f"{results['seed']}, {results['replicates']:,} bootstrap replicates"),
        ("Made", f"{made['created']}, {made['wall_seconds'] or 0:,.0f} s"),
        ("Machine", f"{hardware.get('processor', '')}, {hardware.get('cores', '?')} cores"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in made["versions"].items())),
        ("Command", made["command"]),
    ]
