"""Generate what the documentation takes from the code and from the cards: the tree and the figures of the README, the help texts of the command line.

Run by `make docs`; with `--check` it changes nothing and says whether anything would change.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "vesalius"
FOLDERS = (
    ("recipes", "published training runs, one TOML each"),
    ("examples", "the demo"),
    ("benchmarks", "speed, measured side by side in one run"),
    ("tests", "unit · contract · invariant · golden · flows"),
    ("docs", "a page for each folder, results, log, design"),
)


CARDS = ROOT / "docs" / "cards"
SHOWN: tuple[tuple[str, str | None, str], ...] = (  # name in the card, suite, heading
    ("accuracy_closed", "vqa-rad", "VQA-RAD yes/no right"),
    ("accuracy", "slake", "SLAKE right"),
    ("flip_rate_human_closed", "vqa-rad", "flips in people's words, VQA-RAD yes/no"),
    ("flip_rate", "slake", "flips in generated words, SLAKE"),
    ("grounded", "slake", "grounded (O + S - 1), SLAKE"),
    ("dangerous_share", "slake", "steady without the picture, SLAKE"),
    ("caved", None, "right answers given up under pressure"),
)
LOOP: tuple[tuple[str, tuple[str | None, ...]], ...] = (  # name in the card, suites
    ("flip_rate_human_closed", ("vqa-rad",)),
    ("flip_rate_human", ("vqa-rad",)),
    ("flip_rate_negation", ("vqa-rad", "slake", "nih-cxr")),
    ("flip_rate_taught", ("vqa-rad", "slake", "nih-cxr")),
    ("flip_rate_held_out", ("vqa-rad", "slake", "nih-cxr")),
    ("flip_rate", ("vqa-rad", "slake", "nih-cxr")),
    ("accuracy", ("vqa-rad", "slake", "nih-cxr")),
    ("accuracy_closed", ("vqa-rad", "slake")),
    ("accuracy_open", ("vqa-rad", "slake")),
    ("dangerous_share", ("vqa-rad", "slake", "nih-cxr")),
    ("ideal_share", ("vqa-rad", "slake", "nih-cxr")),
    ("grounded", ("vqa-rad", "slake", "nih-cxr")),
    ("ece", ("vqa-rad", "slake", "nih-cxr")),
    ("caved", (None,)),
    ("cave_effect", (None,)),
)
ORDER = ("pocket", "pocket-before", "pocket-blind", "biomedclip-shaped", "visual-med-alpaca-pocket")


def clause(path: Path) -> str:
    """The first sentence of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = " ".join(text.split("\n\n")[0].split())
    for end in (". ", ": in ", "."):
        if end in first:
            first = first.split(end)[0]
            break
    return first.rstrip(".")


def tree() -> str:
    """The tree, one clause for each folder and top-level module."""
    rows = [("src/vesalius/", "")]
    modules = sorted(p for p in PACKAGE.glob("*.py") if not p.name.startswith("__"))
    folders = sorted(p.parent for p in PACKAGE.glob("*/__init__.py"))
    rows += [(f"  {p.name}", clause(p)) for p in modules]
    rows += [(f"  {p.name}/", clause(p / "__init__.py")) for p in folders]
    rows += [(f"{name}/", what) for name, what in FOLDERS]
    width = max(len(name) for name, _ in rows) + 2
    return "```\n" + "\n".join(f"{name:<{width}}{what}".rstrip() for name, what in rows) + "\n```"


def between(text: str, name: str, content: str) -> str:
    """Text with what stands between the marks `<!-- name: ... -->` and `<!-- /name -->` replaced."""
    start = text.index("-->", text.index(f"<!-- {name}:")) + 3
    end = text.index(f"<!-- /{name} -->")
    return text[:start] + "\n" + content + "\n" + text[end:]


def generated() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    readme, cli = ROOT / "README.md", ROOT / "docs" / "cli.md"
    front = between(readme.read_text(encoding="utf-8"), "tree", tree())
    loop = ROOT / "docs" / "studies" / "mitigation.md"
    found = {readme: between(front, "figures", figures()), cli: helped(cli.read_text(encoding="utf-8"))}
    return found | {loop: between(loop.read_text(encoding="utf-8"), "mitigation", before_and_after())}


def before_and_after() -> str:
    """What consistency training changed, from the cards of the weights before and after."""
    before, after = (_known(name) for name in ("pocket-before", "pocket"))
    rows = ["| | suite | before | after |", "|---|---|---|---|"]
    for name, suites in LOOP:
        for suite in suites:
            one, other = before.get((name, suite)), after.get((name, suite))
            if one and other:
                rows.append(f"| {other['title']} | {suite or 'vqa-rad, slake'} | {_figure(one)} | {_figure(other)} |")
    return "\n".join(rows)


def _known(name: str) -> dict[tuple[str, str | None], dict[str, Any]]:
    path = CARDS / f"{name}.json"
    if not path.exists():
        return {}
    (run,) = json.loads(path.read_text(encoding="utf-8"))["runs"]
    return {(f["name"], f["suite"]): f for f in run["figures"] if f["part"] is None}


def figures() -> str:
    """A row for each model that has a card: headline figures in per cent (the score as it is), with 95 % intervals."""
    rows = ["| | " + " | ".join(heading for _, _, heading in SHOWN) + " |", "|" + "---|" * (len(SHOWN) + 1)]
    for name in ORDER:
        known = _known(name)
        if known:
            rows.append(f"| [{name}](docs/cards/{name}.md) | " + " | ".join(_figure(known.get((figure, suite))) for figure, suite, _ in SHOWN) + " |")
    return "\n".join(rows)


def _figure(found: dict[str, Any] | None) -> str:
    if found is None or found["value"] is None:
        return "-"
    factor, digits = (100, 1) if found["unit"] in ("share", "change") else (1, 2)
    value, low, high = (f"{factor * found[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high}), n {found['n']:,}"


def helped(text: str) -> str:
    """Text in which each block that begins with "Usage: vesalius ..." is that command's help, 80 columns wide."""

    def say(block: re.Match[str]) -> str:
        words = [w for w in block[1].split() if w.islower() and w.isalpha()]
        command = [sys.executable, "-m", "vesalius", *words, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "80"})
        return f"```text\n{done.stdout.rstrip()}\n```"

    return re.sub(r"```text\nUsage: vesalius([^\n]*)\n.*?\n```", say, text, flags=re.DOTALL)


def main() -> int:
    """Write, or with --check compare."""
    stale = [path for path, text in generated().items() if path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is stale: run make docs")  # noqa: T201
        return 1 if stale else 0
    for path in stale:
        path.write_text(generated()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
