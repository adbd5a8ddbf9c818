"""The table of rules, and the validator that asks those of them whose facts are there.

In: a `Case`. Out: `Checked`. The order of the table is the order of remarks of one severity.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
from collections.abc import Callable, Collection, Iterator

from vesalius.data.validate import header_rules, label_rules, patient_rules, quality_rules, report_rules, self_rules
from vesalius.data.validate.case import Case, Facts
from vesalius.data.validate.remark import Checked, Hit, Remark, ordered
from vesalius.formats import header
from vesalius.registry import unknown


@dataclasses.dataclass(frozen=True)
class Rule:
    """One check.

    Args:
        needs: facts of `Facts`, all of which must be known.
        summary: what it looks for, a clause.
    """

    name: str
    needs: tuple[str, ...]
    check: Callable[[Facts], Iterator[Hit]]
    summary: str


def _readable(facts: Facts) -> Iterator[Hit]:
    if facts.case.trouble is not None:
        yield facts.case.trouble


RULES = (
    Rule("file.readable", (), _readable, "a file or a row that cannot be read"),
    Rule("header.view", ("header", "view", "descriptions"), header_rules.view, "the view against descriptions"),
    Rule("header.side", ("header",), header_rules.side, "laterality against descriptions and itself"),
    Rule("header.body_part", ("header", "body", "descriptions"), header_rules.body_part, "the body part against descriptions"),
    Rule("header.modality", ("header", "header_modality"), header_rules.modality, "the modality against the kind of object and descriptions"),
    Rule("header.photometric", ("image", "modality"), header_rules.photometric, "a frontal chest film shown as a negative"),
    Rule("header.pixels", ("header",), header_rules.pixels, "rows, columns and bits against the pixel data"),
    Rule("header.spacing", ("header",), header_rules.spacing, "millimetres between pixels"),
    Rule("header.window", ("header",), header_rules.window, "a window that hides the picture"),
    Rule("header.dates", ("header",), header_rules.dates, "dates in the future or before birth"),
    Rule("header.age", ("header",), header_rules.age, "the age against birth and study date"),
    Rule("quality.blank", ("image",), quality_rules.blank, "every pixel the same"),
    Rule("quality.clipped", ("image",), quality_rules.clipped, "much pure white or black"),
    Rule("quality.flat", ("image",), quality_rules.flat, "little contrast or few grey values"),
    Rule("quality.small", ("image",), quality_rules.small, "few pixels"),
    Rule("quality.noise", ("image",), quality_rules.noise, "noise, or pixels read wrongly"),
    Rule("quality.borders", ("image",), quality_rules.borders, "a large even border"),
    Rule("report.side", ("report", "side"), report_rules.side, "the side against the image's laterality"),
    Rule("report.box", ("report", "boxes", "view", "image"), report_rules.box_side, "the side of a finding against its boxes"),
    Rule("report.view", ("report", "views"), report_rules.view, "a view that no image has"),
    Rule("report.count", ("report", "images"), report_rules.count, "more views than images"),
    Rule("report.modality", ("report", "modality"), report_rules.modality, "words of another modality"),
    Rule("report.prior", ("report", "no_prior"), report_rules.prior, "change without an earlier study"),
    Rule("report.measurement", ("report",), report_rules.measurement, "measurements that no body has"),
    Rule("report.future", ("report",), report_rules.future, "dates after the study"),
    Rule("self.denied", ("report",), self_rules.denied, "a finding stated and denied"),
    Rule("self.normal", ("report",), self_rules.normal, "a finding stated in an organ called normal"),
    Rule("self.side", ("report",), self_rules.side, "left in the findings, right in the impression"),
    Rule("self.acute", ("report",), self_rules.acute, '"no acute" beside an acute finding'),
    Rule("self.empty", ("report",), self_rules.empty, "empty sections"),
    Rule("self.leftover", ("report",), self_rules.leftover, "blanks of a template"),
    Rule("self.repeated", ("report",), self_rules.repeated, "a sentence twice"),
    Rule("self.long", ("report",), self_rules.long, "more text than is read"),
    Rule("label.denied", ("report", "labels"), label_rules.denied, "labelled present, denied by the report"),
    Rule("label.unstated", ("report", "labels"), label_rules.unstated, "labelled present, not in the report"),
    Rule("label.refuted", ("report", "labels"), label_rules.refuted, "labelled absent, stated by the report"),
    Rule("label.missing", ("report", "labels"), label_rules.missing, "stated by the report, not labelled"),
    Rule("label.normal", ("report", "labels"), label_rules.normal, "labelled as without finding, and there is one"),
    Rule("label.device", ("report", "labels"), label_rules.device, "devices against their label"),
    Rule("patient.sex", ("report",), patient_rules.sex, "words of the other sex"),
    Rule("patient.age", ("report",), patient_rules.age, "another age than the patient's"),
    Rule("patient.words", ("report", "age"), patient_rules.words_of_age, "words of another age"),
)


class ClinicalValidator:
    """Checks cases by the rules of the table.

    Args:
        rules: names of rules to ask; None asks all.
        today: no date may lie after it; by default the day of the call.

    Raises:
        UnknownName: no such rule.
    """

    def __init__(self, rules: Collection[str] | None = None, *, today: datetime.date | None = None) -> None:
        names = [rule.name for rule in RULES]
        for name in rules or ():
            if name not in names:
                raise unknown("rule", name, names)
        self._rules = tuple(rule for rule in RULES if rules is None or rule.name in rules)
        self._today = today

    def __call__(self, case: Case) -> Checked:
        """Check one case. What a rule lacks is told; nothing is raised for what a case holds."""
        facts = Facts(case, self._today or datetime.datetime.now(datetime.UTC).date())
        with header.quiet() if case.header is not None else contextlib.nullcontext():  # values of a header are parsed when they are asked for
            return self._check(facts)

    def _check(self, facts: Facts) -> Checked:
        case = facts.case
        remarks: list[Remark] = []
        applied, left_out = [], {}
        for rule in self._rules:
            lacking = tuple(need for need in rule.needs if getattr(facts, need) is None)
            if lacking:
                left_out[rule.name] = lacking
                continue
            applied.append(rule.name)
            remarks += [Remark(rule.name, hit.severity, hit.message, hit.evidence, case.id) for hit in rule.check(facts)]
        return Checked(case.id, ordered(remarks), tuple(applied), left_out)
