"""What the validator remarks on in the 3,955 Indiana reports, by rule; and samples of it to be read and judged.

    python benchmarks/validator_indiana.py [--half development|test|all] [--data ROOT] [--read 20 --seed 1 [--rule NAME]] [--planted] [--films] [--judged FILE]

Facts beside the text: the reports' own COMPARISON, the exam's title (as TECHNIQUE), the number of films, CR, and labels from the MeSH index (present, else
unmentioned). --read prints remarks with their sentences for a reader; nothing of the texts is stored, because their licence forbids to pass them on. --judged
takes lines "rule right wrong" and prints shares with 95 % Clopper-Pearson intervals.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import tarfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from pathlib import Path

from vesalius.data.base import data_root
from vesalius.data.iu_reports import DATASET, Report
from vesalius.data.validate import RULES, Case, Checked, ClinicalValidator
from vesalius.data.validate.text import Sentence, cut
from vesalius.data.validate.words import sides
from vesalius.domain.finding import Certainty
from vesalius.domain.study import Sex
from vesalius.metrics.label_words import FINDINGS
from vesalius.metrics.labels import Status

PLAIN = {
    "pleural_effusion": "pleural effusion",
    "pneumothorax": "pneumothorax",
    "consolidation": "consolidation",
    "atelectasis": "atelectasis",
    "nodule": "nodule",
    "granuloma": "granuloma",
    "scarring": "scarring",
    "cardiomegaly": "cardiomegaly",
    "fracture": "fracture",
    "emphysema": "emphysema",
    "hernia": "hiatal hernia",
}
_OTHER_SEX = (
    ("M", "Pregnant, in the second trimester."),
    ("M", "Status post hysterectomy."),
    ("F", "Known prostate cancer."),
    ("M", "47-year-old woman."),
)
_NO_BODY = (
    "A 34 cm nodule is seen.",
    "Nodule of 0 mm.",
    "Endotracheal tube 25 cm above the carina.",
    "The heart measures 120 cm.",
    "A 150 % loss of height.",
)
Extra = tuple[str, str, int]


def extras(root: Path) -> dict[str, Extra]:
    """Report id -> comparison, title of the exam, number of films."""
    found = {}
    with tarfile.open(root / "iu_reports/NLMCXR_reports.tgz", "r:gz") as archive:
        for member in archive:
            if not member.isfile() or not member.name.endswith(".xml"):
                continue
            tree = ElementTree.fromstring(archive.extractfile(member).read())
            parts = {p.get("Label"): " ".join("".join(p.itertext()).split()) for p in tree.iter("AbstractText")}
            titles = [" ".join("".join(c.itertext()).split()) for c in tree.iter("caption")]
            found[f"iu-reports:{Path(member.name).stem}"] = (parts.get("COMPARISON", ""), titles[0] if titles else "", len(list(tree.iter("parentImage"))))
    return found


def case(report: Report, extra: Extra) -> Case:
    comparison, title, films = extra
    parts = [("TECHNIQUE", title)] if title else []
    parts += [("COMPARISON", comparison), ("INDICATION", report.indication), ("FINDINGS", report.findings), ("IMPRESSION", report.impression)]
    stated = report.stated
    labels = None if stated is None else {name: Certainty.PRESENT if name in stated else Certainty.UNMENTIONED for name in FINDINGS}
    text = "\n\n".join(f"{name}: {body}" for name, body in parts)
    return Case(report.id, report=text, labels=labels, images=films or None, modality="CR", body_part="CHEST")


def show(number: int, rule: str, index: int, checked: Checked, given: Case) -> None:
    remark = [r for r in checked.remarks if r.rule == rule][index]
    print(f"\n#{number} {remark.rule} {remark.where} [{remark.severity}] {remark.message}")
    text = given.report or ""
    for evidence in remark.evidence:
        if evidence.span is None:
            print(f"    {evidence.source}.{evidence.name} = {evidence.value}")
            continue
        start, end = evidence.span
        begin, stop = max(text.rfind(". ", 0, start) + 2, text.rfind("\n", 0, start) + 1, 0), text.find(". ", end)
        print(f"    {evidence.name} [{evidence.value}]: {text[begin : stop if stop > 0 else len(text)]}")
    if all(evidence.span is None for evidence in remark.evidence):
        print("    " + text[text.find("FINDINGS:") :].replace("\n\n", " "))


def planted(cases: list[Case], seed: int) -> None:
    """Errors written into reports that have none of the kind: how many are found."""
    drawn = random.Random(seed)
    makers = {"self.denied": _deny, "self.side": _swap, "report.prior": _no_prior, "patient.sex": _sex, "report.measurement": _measure}
    for rule, make in makers.items():
        validate = ClinicalValidator([rule])
        made = [(c, m) for c in cases if not validate(c).remarks and (m := make(c, drawn)) is not None]
        some = drawn.sample(made, min(300, len(made)))
        found = sum(bool(validate(m).remarks) for _, m in some)
        low, high = interval(found, len(some) - found)
        print(f"planted {rule:20} found {found:3} of {len(some):3}  {found / len(some):6.1%}  ({low:.1%} to {high:.1%})")


def _positive(given: Case, section: str) -> list[tuple[str, Sentence]]:
    text = cut(given.report or "")
    return [(name, s) for s in text.found if s.section == section for name, status in s.says.items() if status is Status.POSITIVE and name in PLAIN]


def _deny(given: Case, drawn: random.Random) -> Case | None:
    stated = _positive(given, "findings")
    if not stated:
        return None
    return dataclasses.replace(given, report=f"{given.report} There is no {PLAIN[drawn.choice(stated)[0]]}.")


def _swap(given: Case, drawn: random.Random) -> Case | None:
    other = {"left": "right", "right": "left"}
    stated = [(n, s) for n, s in _positive(given, "findings") if len(sides(s.text)) == 1 and not any(n == m for m, _ in _positive(given, "impression"))]
    if not stated:
        return None
    name, sentence = drawn.choice(stated)
    return dataclasses.replace(given, report=f"{given.report} {other[next(iter(sides(sentence.text)))].capitalize()} {PLAIN[name]}.")


def _no_prior(given: Case, drawn: random.Random) -> Case | None:  # noqa: ARG001 - as the others
    text = cut(given.report or "")
    told = any(w in (s.plain) for s in text.found for w in ("unchanged", "interval", "again", "compared", "stable", "improved", "worsening", "since"))
    return dataclasses.replace(given, prior=False) if told and (text.body("comparison") or "").strip("X., ") not in ("None", "none") else None


def _sex(given: Case, drawn: random.Random) -> Case | None:
    said = drawn.choice(
        (("M", "Pregnant, in the second trimester."), ("M", "Status post hysterectomy."), ("F", "Known prostate cancer."), ("M", "47-year-old woman."))
    )
    return dataclasses.replace(given, sex=Sex(said[0]), report=f"INDICATION: {said[1]}\n\n{given.report}") if "male" not in (given.report or "") else None


def _measure(given: Case, drawn: random.Random) -> Case | None:
    said = drawn.choice(
        ("A 34 cm nodule is seen.", "Nodule of 0 mm.", "Endotracheal tube 25 cm above the carina.", "The heart measures 120 cm.", "A 150 % loss of height.")
    )
    return dataclasses.replace(given, report=f"{given.report} {said}")


def films(root: Path) -> None:
    """The films of NIH and Hannover as they are, and as negatives: remarks by rule."""
    from vesalius.data import hannover, nih_cxr
    from vesalius.formats import picture

    every = [*nih_cxr.DATASET.films(root), *hannover.DATASET.films(root)]
    for negative in (False, True):
        validate, hits = ClinicalValidator(), Counter()
        for film in every:
            given = picture.load(root / film.image, declared=picture.declare("CR", "CHEST", film.view))
            image = dataclasses.replace(given, inverted=negative)
            checked = validate(Case(film.image, image=image, sex=film.sex, age_years=getattr(film, "age_years", None)))
            hits.update((r.rule, str(r.severity)) for r in checked.remarks)
            for remark in checked.remarks:
                if not negative:
                    print(f"  {film.image} {remark.rule} {remark.severity} {remark.message}")
        print(f"{len(every)} films {'as negatives' if negative else 'as they are'}: {dict(sorted(hits.items()))}")


def interval(right: int, wrong: int) -> tuple[float, float]:
    from scipy.stats import beta

    return (float(beta.ppf(0.025, right, wrong + 1)) if right else 0.0), (float(beta.ppf(0.975, right + 1, wrong)) if wrong else 1.0)


def judged(path: Path) -> None:
    totals = [0, 0]
    for line in [*path.read_text().split("\n"), "all"]:
        if not line.strip() or line.startswith("#"):
            continue
        name, *counts = line.split()
        right, wrong = (int(c) for c in counts) if counts else totals
        if counts:
            totals[0] += right
            totals[1] += wrong
        n = right + wrong
        low, high = interval(right, wrong)
        print(f"{name:20} {right:4} of {n:4}  {right / n:6.1%}  ({low:.1%} to {high:.1%})")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--data", type=Path)
    words.add_argument("--half", choices=("development", "test", "all"), default="all")
    words.add_argument("--read", type=int, default=0)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--rule", action="append")
    words.add_argument("--skip", type=Path, action="append", help="output of an earlier --read: what was read is not drawn again")
    words.add_argument("--films", action="store_true", help="check the films of NIH and Hannover instead")
    words.add_argument("--planted", action="store_true", help="write errors into reports and count how many are found")
    words.add_argument("--judged", type=Path)
    given = words.parse_args()
    if given.judged is not None:
        judged(given.judged)
        return
    root = data_root(given.data)
    if given.films:
        films(root)
        return
    beside, began = extras(root), time.process_time()
    cases = [case(r, beside[r.id]) for r in DATASET.reports(root) if given.half in ("all", r.split)]
    if given.planted:
        planted(cases, given.seed)
        return
    validate = ClinicalValidator()
    done = [(c, validate(c)) for c in cases]
    seconds = time.process_time() - began
    hits = Counter(r.rule for _, c in done for r in c.remarks)
    reports = Counter(rule for _, c in done for rule in {r.rule for r in c.remarks})
    ran = Counter(name for _, c in done for name in c.applied)
    print(f"{len(done):,} reports, {len(done) / seconds:.0f} a second of one core; {sum(1 for _, c in done if not c.remarks):,} without a remark")
    print(f"{'RULE':20} {'RAN':>6} {'REMARKS':>8} {'REPORTS':>8}")
    for rule in RULES:
        if ran[rule.name]:
            print(f"{rule.name:20} {ran[rule.name]:6,} {hits[rule.name]:8,} {reports[rule.name]:8,}  {rule.summary}")
    if given.read:
        drawn = random.Random(given.seed)
        pool = defaultdict(list)
        read = {tuple(line.split()[1:3]) for path in given.skip or () for line in path.read_text().split("\n") if line.startswith("#")}
        for i, (_, c) in enumerate(done):
            for rule in RULES:
                pool[rule.name] += [(i, k) for k, r in enumerate(r for r in c.remarks if r.rule == rule.name) if (r.rule, r.where) not in read]
        for rule in RULES:
            sample = drawn.sample(pool[rule.name], min(given.read, len(pool[rule.name])))
            for number, (i, k) in enumerate(sorted(sample)):
                if given.rule is None or rule.name in given.rule:
                    show(number, rule.name, k, done[i][1], done[i][0])


if __name__ == "__main__":
    main()
