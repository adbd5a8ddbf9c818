"""`docs/results.md`: the tables of several runs on one page, written from their records, so that no figure is typed by hand.

In: run folders. Out: Markdown with every figure's interval, n, seed, data hash, versions and command.
`python -m vesalius.evaluate.results RUN... -o FILE`; RUN:PROTOCOL shows one protocol of a run, where the model was trained on what another tests.
A table that another program measured stands in a section of its own (`put_section`), which stays when the page is written again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vesalius.errors import UserError
from vesalius.evaluate.accuracy import BLANK, MODEL, SWAP
from vesalius.evaluate.record import RecordFormatError, write_text
from vesalius.evaluate.task import RESULTS, read_provenance

_SECTION = re.compile(r"<!-- section (?P<name>[\w-]+) -->\n.*?<!-- end of section -->\n", re.DOTALL)
_HEAD = """# Results

Written from run records by `python -m vesalius.evaluate.results`; do not edit. Every figure stands with its 95 % interval (cluster bootstrap over images or
patients), per cent unless said otherwise. "Closed" and "open" are the data set's own types; right means normalised exact match with yes and no read strictly.
Baselines were fitted on the train and development rows of the same split. "Ahead" is the model's paired lead over that row.
"""


def write(runs: Sequence[str | Path], out: str | Path) -> str:
    """Write the page of several runs.

    Args:
        runs: run folders, in the order of the page, each with ":PROTOCOL" behind it where only one is to be shown.
        out: the Markdown file.

    Returns:
        The text.

    Raises:
        RecordFormatError: a folder is not a scored run. OutputError: the file cannot be written.
    """
    text = "\n".join([_HEAD, *(_run(*_named(str(run))) for run in runs)])
    sections = [found.group() for found in _SECTION.finditer(_read(Path(out)))]
    text = "\n".join([text, *sections]) if sections else text
    write_text(Path(out), text)
    return text


def put_section(page: str | Path, name: str, text: str) -> None:
    """Put a table that another program measured at the end of the page, or in the place of its own last one.

    Args:
        page: the Markdown file; it is made when there is none. name: of the section, letters and hyphens. text: Markdown with its own heading.

    Raises:
        OutputError: the file cannot be written.
    """
    old, section = _read(Path(page)), f"<!-- section {name} -->\n{text.strip()}\n\n<!-- end of section -->\n"
    mine = next((found for found in _SECTION.finditer(old) if found["name"] == name), None)
    write_text(Path(page), f"{old}\n{section}" if mine is None else old[: mine.start()] + section + old[mine.end() :])


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8") if page.is_file() else ""


def read_results(folder: Path) -> dict[str, Any]:
    """`results.json` of a run.

    Raises:
        RecordFormatError: it is absent or damaged.
    """
    try:
        found = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        _ = found["parts"], found["suite"]
    except OSError as error:
        raise RecordFormatError(f"{folder} holds no {RESULTS} ({error.strerror})", remedy="run: vesalius evaluate rescore RUN") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RecordFormatError(f"{folder / RESULTS}: is damaged ({type(error).__name__})", remedy="run: vesalius evaluate rescore RUN") from error
    return dict(found)


def show(interval: Mapping[str, Any] | None, *, percent: bool = True) -> str:
    """One figure for a cell, as in 62.1 (55.0–68.9), n 272; a dash when undefined."""
    if interval is None or interval["value"] is None:
        return "–"
    scale, digits = (100, 1) if percent else (1, 3)
    ends = "" if interval["low"] is None else f" ({interval['low'] * scale:.{digits}f}–{interval['high'] * scale:.{digits}f})"
    return f"{interval['value'] * scale:.{digits}f}{ends}, n {interval['n']:,}"


def _named(run: str) -> tuple[Path, str | None]:
    folder, mark, protocol = run.rpartition(":")
    return (Path(folder), protocol) if mark and not Path(run).exists() else (Path(run), None)


def _run(folder: Path, protocol: str | None) -> str:
    results, made = read_results(folder), read_provenance(folder)
    model, config = made["config"]["model"], made["config"]
    lines = [f"## {model['called']} on {results['suite']}", ""]
    parts = {name: part for name, part in results["parts"].items() if protocol is None or name.startswith(f"{protocol}/")}
    if not parts:
        raise RecordFormatError(f"{folder} has no protocol {protocol!r}", remedy=f"it has {', '.join(sorted({n.partition('/')[0] for n in results['parts']}))}")
    for name, part in parts.items():
        lines += [f"### {name.replace('/', ', ')}: {part['items']:,} questions, {part['images']} images, {part['clusters']} clusters", ""]
        lines += [*_systems(part), *_findings(part), *_words(part), *_picture(part), *_sure(part), *_gate(part)]
    weights = ", ".join(f"{k} {v}" for k, v in model.get("identity", {}).items() if k not in ("name", "revision") and v)
    lines += [
        f"Seed {results['seed']}, {results['replicates']:,} replicates; data SHA-256 `{made['data_hash'][:16]}`; policy {config['policy']['name']} "
        f"{config['policy']['version']} `{config['policy']['sha256'][:16]}`; "
        f"model {model['called']} {model.get('revision', '')}{', ' + weights if weights else ''}; "
        f"limit {config.get('limit') or 'none'}; made {made['created']} in {made.get('wall_seconds') or 0:,.0f} s on "
        f"{made['hardware'].get('processor', '?')}, "
        f"{made['hardware'].get('cores', '?')} cores; "
        + ", ".join(f"{k} {v}" for k, v in made["versions"].items())
        + f"; command `{_anywhere(made['command'])}`.",
        "",
    ]
    return "\n".join(lines)


def _anywhere(command: str) -> str:
    """A command without the place of the data on the machine it ran on."""
    return re.sub(r"--data[ =]\S+", "--data ROOT", command)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    if not rows:
        return []
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows), ""]


def _systems(part: Mapping[str, Any]) -> list[str]:
    rows = []
    for name, row in part["systems"].items():
        ahead = show(row["ahead"].get("overall")) if row["ahead"] else ""
        published = f"{show(row['published_closed']).split(',')[0]} / {show(row['published_open']).split(',')[0]}"
        rows.append(
            [
                name,
                show(row["closed"]),
                show(row["open"]),
                show(row["overall"]),
                ahead,
                published,
                f"{row['parse_failures']['count']} of {row['parse_failures']['n']:,}",
            ]
        )
    return _table(("", "closed", "open", "overall", "model ahead", "LLaVA-Med's rule, closed / open", "not readable"), rows)


def _findings(part: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            name.replace("_", " "),
            f"{row['positives']} of {row['n']}",
            *(show(row["auroc"][key], percent=False) for key in (MODEL, BLANK, SWAP)),
            show(row["accuracy"]),
        ]
        for name, row in part["findings"].items()
    ]
    return _table(("finding", "films", "AUROC", "blank image", "other patient", "right"), rows)


def _words(part: Mapping[str, Any]) -> list[str]:
    human = [(f"human, {name}", table) for name, table in part["flips"]["human"].items()]
    made = [(f"generated, {name}", table) for name, table in part["flips"]["generated"]["families"].items()]
    total = [("generated, all", part["flips"]["generated"]["all"])]
    rows = [
        [name, str(t["pairs"]), show(t["rate"]), show(t["rate_parsed"]), str(t["unparsed"]), show(t["harmful"]), show(t["helpful"])]
        for name, t in (*human, *made, *total)
        if t["pairs"]
    ]
    lines = _table(("wordings", "pairs", "flip rate", "without unreadable", "unreadable", "right to wrong", "wrong to right"), rows)
    made_table = part["flips"]["generated"]
    if made_table["items"]:
        lines += [
            f"Generated wordings of {made_table['items']} questions ({made_table['wordings_per_item']['mean']:.1f} each): "
            f"any flip {show(made_table['any_flip'])}; "
            f"right in every wording {show(made_table['worst_case_accuracy'])}, in the original {show(made_table['accuracy'])}.",
            "",
        ]
    return lines


def _picture(part: Mapping[str, Any]) -> list[str]:
    r = part["reliance"]
    rows = [
        ["answer changes on a blank image", show(r["blank_changed"])],
        ["answer changes on another patient's image", show(r["swap_changed"])],
        ["changes where the gold answer differs (O)", show(r["opposite"])],
        ["stays where the gold answer is the same (S)", show(r["same"])],
        ["grounded score O + S − 1", show(r["grounded"], percent=False)],
        *(
            [f"AUROC of p(yes), {name}", show(r["auroc"][key], percent=False)]
            for name, key in (("image", "answer"), ("blank", "blank"), ("other patient", "swap"))
        ),
    ]
    for kind, table in part["quadrants"].items():
        if table["n"]:
            shares = ", ".join(f"{name} {show(table[name]['share']).split(',')[0]}" for name in ("ideal", "dangerous", "fragile", "worst"))
            rows.append([f"consistent × reliant, {kind} wordings, n {table['n']}", shares])
    return _table(("does it need the picture", ""), rows)


def _sure(part: Mapping[str, Any]) -> list[str]:
    rows = []
    for kind in ("closed", "open", "all"):
        for label, key in (("as said", "raw"), ("mapped", "calibrated")):
            q = part["calibration"][kind][key]
            if q is not None and q["ece"]["value"] is not None:
                band = q["ece_if_calibrated"]
                rows.append(
                    [
                        f"{kind}, {label}",
                        show(q["ece"], percent=False),
                        f"{band['mean']:.3f} ({band['low']:.3f}–{band['high']:.3f})",
                        show(q["brier"], percent=False),
                    ]
                )
    s = part["selective"]
    lines = _table(("confidence", "ECE, 15 bins", "ECE if calibrated", "Brier"), rows)
    if s["n"]:
        lines += [
            f"Ungated, ranked by {s['score']}: AURC {show(s['aurc'], percent=False)}; "
            f"AUROC of right against wrong {show(s['auroc_right_wrong'], percent=False)}.",
            "",
        ]
    return lines


def _gate(part: Mapping[str, Any]) -> list[str]:
    gate = part["gate"]
    if gate is None:
        return []
    verdicts = [[f"{name}", show(row["share"])] for name, row in gate["verdicts"].items()]
    named = (
        ("wrong without the gate", "base_risk"),
        ("wrong among those let out", "accepted_risk"),
        ("the same, where a blank image is answered wrongly", "accepted_risk_image_needed"),
        ("errors that were referred", "error_capture"),
        ("right answers that were referred", "over_referral"),
    )
    rows = [*verdicts, *([label, show(gate[key])] for label, key in named), ["AURC by verdict, then uncertainty", show(gate["ranking"]["aurc"], percent=False)]]
    return _table((f"the gate, on {gate['n']} questions by a fixed hash", ""), rows)


def main(arguments: Sequence[str]) -> int:
    """The command: run folders, then optionally `-o FILE` (docs/results.md by default). Returns the exit code."""
    given, out = list(arguments), Path("docs/results.md")
    if "-o" in given:
        place = given.index("-o")
        if place + 1 >= len(given):
            sys.stderr.write("-o needs a file\n")
            return 2
        out = Path(given[place + 1])
        del given[place : place + 2]
    asked = {"-h", "--help"} & set(given)
    if asked or not given:
        (sys.stdout if asked else sys.stderr).write("usage: python -m vesalius.evaluate.results RUN... [-o docs/results.md]\n")
        return 0 if asked else 2
    try:
        write(given, out)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
