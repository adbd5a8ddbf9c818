"""The parts of a card that show one run in detail: each a picture with its table beside it, drawn from the results of one study.

In: a run. Out: `Section`s, in a fixed order; a study that was not made gives none (the card lists what was not measured and why).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vesalius.evaluate import figures
from vesalius.evaluate.card import svg
from vesalius.evaluate.card.attacks import attacks
from vesalius.evaluate.card.groups import fairness
from vesalius.evaluate.card.parts import Block, Section, Table, cell, suites
from vesalius.evaluate.card.runs import Run
from vesalius.evaluate.card.svg import Dot

_QUADRANTS = ("ideal", "dangerous", "fragile", "worst")
_COVERAGES = (0.2, 0.4, 0.6, 0.8, 1.0)
_TRAPS = {"organ": "an organ not in the picture", "lesion": "a lesion that is not there", "prior": "an earlier picture", "measurement": "a scale to measure by"}


def sections(run: Run) -> list[Section]:
    """Every section that the run has something for."""
    made = (_phrasing, _quadrants, _reliability, _risk, fairness, _shift, attacks, _sycophancy, _hallucination)
    return [section for make in made if (section := make(run)) is not None and section.blocks]


def _section(key: str, title: str, lead: str, blocks: Sequence[Block]) -> Section:
    return Section(key, title, lead, tuple(blocks))


def _phrasing(run: Run) -> Section:
    blocks = []
    for suite, table in suites(run, "phrasing"):
        rows = [(f"people: {name}", row) for name, row in table["human"].items() if row["pairs"]]
        people = len(rows)
        rows += [(family.replace("_", " "), row) for family, row in table["generated"]["families"].items() if row["pairs"]]
        if table["generated"]["all"]["pairs"]:
            rows.append(("all generated", table["generated"]["all"]))
        dots = [
            Dot(name, row["rate"], "human" if i < people else "model", f"{figures.percent(row['rate'])}, {row['pairs']:,} pairs")
            for i, (name, row) in enumerate(rows)
        ]
        top = _top([row["rate"] for _, row in rows])
        cells = [(name, f"{row['pairs']:,}", cell(row["rate"]), cell(row["harmful"]), cell(row["helpful"]), f"{row['unparsed']:,}") for name, row in rows]
        head = ("wording", "pairs", "flips", "right to wrong", "wrong to right", "unread")
        if dots:
            blocks.append(
                Block(
                    suite, svg.forest(dots, high=top, label=f"{suite}: flips by family, per cent, with 95 % intervals"), Table(f"Flips on {suite}", head, cells)
                )
            )
    lead = (
        "Share of pairs whose answers differ, %, by kind of wording. Where a wording asks for the opposite, yes and no are exchanged first; what cannot be read"
        " counts as a flip."
    )
    return _section("flips", "Does the answer survive other words?", lead, blocks)


def _quadrants(run: Run) -> Section:
    blocks = []
    for suite, table in suites(run, "image_reliance"):
        for kind, words in (("generated", "generated wordings"), ("human", "people’s wordings")):
            tiles = table["quadrants"][kind]
            if not tiles["n"]:
                continue
            cells = [(name, cell(tiles[name]["share"]), cell(tiles[name]["accuracy"])) for name in _QUADRANTS]
            blocks.append(
                Block(
                    f"{suite}, {words}",
                    figures.quadrant_tiles(tiles),
                    Table(
                        f"Quadrants on {suite}, {words}: {tiles['n']:,} questions, {tiles['unreadable']} unreadable",
                        ("quadrant", "share", "of these right"),
                        cells,
                    ),
                )
            )
    lead = (
        "An answer that is the same in all words is only worth something when it would be another without the picture. Dangerous: steady, and the same on a "
        "blank image. A blank answer that happens to be the right one also looks so."
    )
    return _section("quadrants", "Steady, and looking at the picture?", lead, blocks)


def _reliability(run: Run) -> Section:
    blocks = []
    for suite, table in suites(run, "calibration"):
        raw, mapped = table["all"]["raw"], table["all"]["calibrated"]
        bins = raw["reliability"]
        if not bins["count"]:
            continue
        cells = [
            (f"{100 * c:.0f}\u00a0%", f"{100 * a:.0f}\u00a0%", f"{n:,}") for c, a, n in zip(bins["confidence"], bins["accuracy"], bins["count"], strict=True)
        ]
        after = f"; after a map fitted on development answers {mapped['ece']['value']:.3f}" if mapped and mapped["ece"]["value"] is not None else ""
        words = f"{suite}: ECE {cell(raw['ece'], percent=False)}{after}"
        blocks.append(Block(words, figures.reliability(mapped, raw), Table(f"Reliability on {suite}, as said", ("confidence", "right", "answers"), cells)))
    lead = (
        "Share right against confidence: grey as said, coloured after a map; on the dashed line a model is as sure as it is right. The size of a dot is the "
        "number of answers."
    )
    return _section("reliability", "Is it as sure as it is right?", lead, blocks)


def _risk(run: Run) -> Section:
    blocks, made = [], run.certified
    limit = made.risk if made is not None and made.why is None else None
    points = [(x, y) for x, y, _ in made.points] if made is not None and made.why is None else []
    for suite, table in suites(run, "selective"):
        ranking = table["ranking"]
        curve = ranking["curve"]
        if not curve["coverage"]:
            continue
        cells = [(f"{share:.0%}", f"{100 * _at(curve, share):.1f}\u00a0%") for share in _COVERAGES]
        label = f"{suite}: wrong among answers given, against the share given; AURC {cell(ranking['aurc'], percent=False)}"
        drawn = svg.risk(curve, base=curve["risk"][-1], limit=limit, points=points, label=label)
        blocks.append(
            Block(f"{suite}: AURC {cell(ranking['aurc'], percent=False)}", drawn, Table(f"Risk on {suite}, surest first", ("given", "wrong among them"), cells))
        )
    lead = f"Answers in the order of their {'calibrated ' if _calibrated(run) else ''}confidence: what answering only when sure is worth. {_certificate(run)}"
    return _section("risk", "What is answering only when sure worth?", lead, blocks)


def _calibrated(run: Run) -> bool:
    return any(table["ranking"].get("score") == "calibrated confidence" for _, table in suites(run, "selective"))


def _certificate(run: Run) -> str:
    made = run.certified
    if made is None:
        return "No certificate lies beside the run; an observed risk is not a guaranteed one."
    if made.why is not None:
        return f"Nothing is certified ({made.source}): {made.why}."
    where = "; ".join(f"{100 * y:.1f} % wrong among {100 * x:.0f} % let out, on {what}" for x, y, what in made.points)
    return (
        f"Certified ({made.source}): among accepted answers at most {made.risk:.0%} are wrong, with {made.confidence:.0%} confidence; accepted is what has an "
        f"estimated risk of at most {made.threshold:.4f}. The large dots show the certified gate: {where}. Its score weighs more signals than confidence, so "
        "they need not lie on the curve."
    )


def _at(curve: Mapping[str, Any], share: float) -> float:
    """Risk at the least recorded coverage of at least `share`."""
    return float(next((r for c, r in zip(curve["coverage"], curve["risk"], strict=True) if c >= share - 1e-9), curve["risk"][-1]))


def _shift(run: Run) -> Section:
    study = run.studies.get("shift") or {}
    tables = study.get("corruptions") or {}
    base = ((study.get("clean") or {}).get("accuracy") or {}).get("value")
    plots, cells = [], []
    for name, table in tables.items():
        plots.append(svg.Curve(table.get("title", name), [(level["severity"], level["accuracy"]) for level in table["levels"]], base))
        title = table.get("title", name)
        cells += [
            (title, str(level["severity"]), cell(level["accuracy"]), cell(level["accuracy_change"], signed=True), cell(level["flips"]))
            for level in table["levels"]
        ]
    if not plots:
        return _section("shift", "", "", ())
    words = f"{study.get('questions', 0):,} closed questions on {study.get('images', 0):,} pictures"
    drawn = svg.curves(plots, label=f"accuracy by corruption and severity, {words}", unit="severity")
    block = Block(words, drawn, Table("Accuracy on faulty pictures", ("fault", "severity", "right", "change", "flips"), cells))
    lead = "Right answers, %, as a fault of the picture grows; the dashed line is the clean picture. Changes are paired with the clean picture."
    return _section("shift", "Do faults of the picture break it?", lead, (block,))


def _sycophancy(run: Run) -> Section:
    study = run.studies.get("sycophancy") or {}
    dots, cells = [], []
    for name, row in (study.get("pressures") or {}).items():
        if row["caved"]["value"] is None:
            continue
        dots.append(Dot(name, row["caved"], "model", f"{figures.percent(row['caved'])}, n {row['caved']['n']:,}"))
        dots.append(Dot("  neutral words", row["caved_control"], "control", figures.percent(row["caved_control"])))
        cells.append((name, cell(row["caved"]), cell(row["caved_control"]), cell(row["cave_effect"], signed=True), cell(row["helped"]), cell(row["changed"])))
    if not dots:
        return _section("sycophancy", "", "", ())
    head = ("pressure", "given up", "neutral words", "effect", "wrong ones helped", "any change")
    drawn = svg.forest(
        dots, high=_top([dot.interval for dot in dots]), label="right answers given up by kind of pressure, per cent, beside as many neutral words"
    )
    lead = "Right answers that were given up when pressed towards a wrong one, %, beside as many neutral words in the same place."
    return _section(
        "sycophancy", "Does it give way to whoever asks?", lead, (Block(f"{study.get('n', 0):,} questions", drawn, Table("Pressure", head, cells)),)
    )


def _hallucination(run: Run) -> Section:
    study = run.studies.get("hallucination") or {}
    rows = [(_TRAPS.get(name, name), row) for name, row in (study.get("traps") or {}).items() if isinstance(row, Mapping) and "accepted" in row]
    dots = [
        Dot(name, row["accepted"], "model", f"{figures.percent(row['accepted'])}, n {row['accepted']['n']:,}")
        for name, row in rows
        if row["accepted"]["value"] is not None
    ]
    if not dots:
        return _section("hallucination", "", "", ())
    cells = [(name, cell(row["accepted"]), cell(row["rejected"]), f"{row['n']:,}") for name, row in rows]
    drawn = svg.forest(dots, label="false premises accepted, per cent, by what was taken for granted")
    lead = "Questions that take for granted what is not so, and the share of answers that go along, %."
    block = Block("False premises", drawn, Table("False premises", ("taken for granted", "accepted", "rejected", "n"), cells))
    return _section("hallucination", "Does it make things up?", lead, (block,))


def _top(intervals: Sequence[Mapping[str, Any]]) -> float:
    """The end of an axis that holds all of them: a multiple of 0.2, at most 1."""
    highest = max([0.2, *(i["high"] if i["high"] is not None else i["value"] or 0.0 for i in intervals)])
    return min(1.0, -(-round(highest, 9) // 0.2) * 0.2)
