"""The trust suite on the models at hand, and their cards: what docs/cards shows, made again by one command. Hours on two cores; stopped, it goes on.

    python benchmarks/trust_cards.py --data ROOT [--only NAME ...] [--cards-only]

In: a data root; in runs/ the weights of a blind twin (recipes/pocket-blind.toml) and of the model before mitigation. Out: runs/trust, docs/cards.
Every model is asked every item; the studies that show pictures in many ways take fewer of the slow one.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS, CARDS = ROOT / "runs" / "trust", ROOT / "docs" / "cards"
TAUGHT = 'settings.phrasing={trained_families=["negation","syntax","lexical","formality"]}'  # recipes/pocket-consistent.toml
MODERATE = ("study_limit=40", TAUGHT)
CONTROL = ("study_limit=40", "baselines=false")
FEWER = ("study_limit=24", "baselines=false")  # a second an answer


@dataclasses.dataclass(frozen=True)
class Subject:
    """One model that the suite is run on.

    Args:
        model: as --model takes it. settings: of the suite, as --set takes them. before: name of the subject that it is held against.
    """

    model: str
    settings: tuple[str, ...] = ()
    before: str | None = None


SUBJECTS = {
    "pocket-before": Subject("pocket:runs/pocket", MODERATE),
    "pocket": Subject("pocket", MODERATE, before="pocket-before"),
    "pocket-blind": Subject("pocket:runs/pocket-blind", CONTROL),
    "biomedclip-shaped": Subject("biomedclip:runs/biomedclip-shaped", CONTROL),
    "visual-med-alpaca-pocket": Subject("visual-med-alpaca-pocket", FEWER),
}


def main() -> None:
    """Run what is asked for, then draw the cards of what was run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="the data root")
    parser.add_argument("--only", nargs="*", choices=list(SUBJECTS), default=list(SUBJECTS), help="these subjects")
    parser.add_argument("--cards-only", action="store_true", help="ask nothing, draw the cards of the runs that are there")
    given = parser.parse_args()
    if not given.cards_only:
        for name in given.only:
            ask(name, SUBJECTS[name], given.data)
    draw([name for name in SUBJECTS if (RUNS / name / "trust.json").exists()])


def ask(name: str, subject: Subject, data: str) -> None:
    """Run the suite on one subject, or go on with it."""
    if name == "biomedclip-shaped":
        shape(ROOT / "runs" / name)
    out = RUNS / name
    sets = [part for setting in subject.settings for part in ("--set", setting)]
    resume = ["--resume"] if (out / "provenance.json").exists() else []
    vesalius("evaluate", "trust", "--model", subject.model, "--data", data, "--out", str(out.relative_to(ROOT)), *sets, *resume)


def shape(folder: Path) -> None:
    """A checkpoint in BiomedCLIP's published layout with random weights: a model that knows nothing."""
    if not (folder / "open_clip_config.json").exists():
        sys.path.insert(0, str(ROOT))
        from tests.checkpoints import biomedclip

        biomedclip.official(folder, biomedclip.Size(image=224, patch=16, vision_width=192, vision_layers=4, places=512, context=256), seed=0)


def draw(names: list[str]) -> None:
    """A card for each run, and one of all side by side."""
    CARDS.mkdir(exist_ok=True)
    for name in names:
        before = SUBJECTS[name].before
        if before in names:
            link = RUNS / name / "before"
            if not link.exists():
                shutil.copytree(RUNS / str(before), link, ignore=shutil.ignore_patterns("before", "answers.sqlite*", "features.npz"))
        out = CARDS / name
        vesalius("card", str((RUNS / name).relative_to(ROOT)), "-o", f"{out}.html", "--json", f"{out}.json", "--markdown", f"{out}.md")
    if len(names) > 1:
        vesalius("card", *(str((RUNS / name).relative_to(ROOT)) for name in names), "-o", str(CARDS / "side-by-side.html"))


def vesalius(*words: str) -> None:
    """Give a command, shown before it is run; a failure ends everything."""
    print("vesalius", *words, flush=True)
    subprocess.run([sys.executable, "-m", "vesalius", *words], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
