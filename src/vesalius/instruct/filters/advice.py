"""Advice that must not be learnt: doses, orders of treatment, "no need to see a doctor", certainty without a basis.

In: `Case`. Out: objections with their place. What the caption itself says in the same words is not held against an answer, but a dose and a send-off are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from vesalius.instruct.filters.case import Case
from vesalius.instruct.filters.objection import Objection, at

_DRUGS = (
    r"antibiotics?|anticoagula\w+|antivirals?|antifungals?|steroids?|corticosteroids?|diuretics?|chemotherapy|radiotherapy"
    r"|radiation therapy|painkillers?|opioids?|morphine|"
    r"aspirin|ibuprofen|paracetamol|acetaminophen|amoxicillin|azithromycin|ceftriaxone|penicillin|doxycycline|levofloxacin|vancomycin|heparin|warfarin|"
    r"furosemide|prednis(?:one|olone)|dexamethasone|metformin|insulin|statins?|atorvastatin|salbutamol|albuterol|metoprolol"
    r"|lisinopril|omeprazole|medications?|medicines?"
)
_TREAT = (
    r"surgery|operation|resection|biopsy|thoracotomy|lobectomy|nephrectomy|appendectomy|craniotomy|intubation|dialysis|transfusion|oxygen therapy|"
    rf"chest tube|drainage|bed rest|{_DRUGS}"
)
_DOCTOR = r"(?:doctor|physician|radiologist|specialist|hospital|professional|clinician|surgeon|emergency room|medical (?:attention|advice|care|help))"
_RULES = tuple(
    (code, message, re.compile(pattern, re.IGNORECASE), own)
    for code, message, pattern, own in (
        (
            "dose",
            "gives a dose",
            r"\b\d+(?:\.\d+)?\s?(?:mg|mcg|µg|ug|milligrams?|micrograms?|g/day|iu|tablets?|pills?|capsules?|puffs?|drops)\b(?:\s?/\s?(?:kg|day|d|h))?"
            r"|\b(?:once|twice|(?:three|four|\d) times) (?:a day|daily|per day)\b|\bevery \d+ hours\b|\b(?:b\.i\.d|t\.i\.d|q\d+h)\b",
            False,
        ),
        (
            "no doctor",
            "sends away from care",
            rf"\bno need (?:to|for)\b[^.]{{0,40}}\b{_DOCTOR}\b|\b(?:no|without) (?:a |any |further )?(?:follow-?up|treatment|medical "
            rf"attention|evaluation|action|workup|visit)"
            rf"(?: \w+)? (?:is |are )?(?:needed|required|necessary)\b|\b(?:do(?:es)? not|don't|doesn't|need not|needn't) (?:need|have"
            rf"|require)?(?: to)?\b[^.]{{0,30}}\b{_DOCTOR}\b"
            r"|\b(?:do(?:es)? not|don't|doesn't) (?:need|require) (?:any )?(?:follow-?up|treatment|further|medical|surgery)\b"
            r"|\bnothing to (?:worry|be concerned) about\b|\bno (?:cause|reason|need) (?:for|to) (?:concern|worry|alarm|be "
            r"worried)\b|\b(?:can|may|could) (?:safely )?be ignored\b"
            r"|\b(?:stay|remain|wait) at home\b|\b(?:go|send|sent) (?:back )?home\b|\bnobody (?:has|needs) to\b|\bdon't worry\b"
            r"|\bdo not worry\b|\bdoes not need to (?:be|see)\b|\b(?:skip|stop) (?:the |your )?(?:follow-?up|appointment|treatment|medications?)\b",
            False,
        ),
        (
            "order",
            "orders a treatment",
            rf"\b(?:should|must|needs? to|has to|have to|ought to|shall) (?:\w+ )?(?:immediately |urgently |promptly )?(?:be (?:\w+ "
            rf")?(?:treated|given|started|placed|put|admitted|"
            rf"operated|removed|prescribed|intubated|drained|hospitali[sz]ed|biopsied)|take|receive|undergo|stop|start|get|have)\b"
            rf"|\b(?:start|begin|prescribe|administer|take|give|use|stop|increase|reduce|initiate)(?:ing)? (?:the patient (?:on )?"
            rf"|him |her |them |a course of |oral |iv |intravenous "
            rf"|high-dose |low-dose |your )*(?:{_DRUGS})\b"
            rf"|\b(?:recommend(?:ed|s)?|advise[sd]?|suggest(?:ed)?|indicated|requires?|required|needs?|necessary|warranted) (?:to be "
            rf"|is |are |immediate |urgent |an? |emergency )*(?:{_TREAT})\b"
            rf"|\b(?:{_TREAT}) (?:is|are|should be) (?:\w+ )?(?:recommended|advised|indicated|required|needed|necessary|warranted|suggested)\b"
            r"|\btreat(?:ed|ment)? (?:is |with |consists of |includes |involves |should )",
            True,
        ),
        (
            "certain",
            "is certain without a basis",
            r"\b(?:definite(?:ly)?|certainly|undoubtedly|unquestionably|surely|100 ?%|guarantees?d?|for sure|beyond (?:any )?doubt"
            r"|without (?:a |any )?doubt|no doubt|conclusive(?:ly)?"
            r"|can only be|proves?|pathognomonic|(?<!not )(?<!cannot )(?<!n't )(?<!to )(?:completely |definitively )?rules? out|it "
            r"is certain|no other (?:explanation|diagnosis|possibility)|with certainty|absolutely)\b",
            True,
        ),
    )
)
_MATTER = re.compile(
    r"\b(?:cancer|malignan\w+|benign|tumou?r\w*|diagnos\w+|disease|pneumo\w+|infect\w+|fracture\w*|patient|cure\w*|recover\w*"
    r"|heal\w*|effusion|cardiomegaly|nodule|mass|lesion|"
    r"abnormal\w*|normal|edema|hernia|fibrosis|atelectasis|consolidation|infiltrat\w+|emphysema|stroke|h(?:a)?emorrhage|safe|harmless)\b",
    re.IGNORECASE,
)  # fmt: skip


def unsafe(case: Case) -> Iterator[Objection]:
    """A dose, an order of treatment, a send-off, or certainty about a disease, in an answer."""
    for i, turn in enumerate(case.record.turns):
        for code, message, pattern, own in _RULES:
            for found in pattern.finditer(turn.answer):
                if own and found.group().lower() in case.told.lower():
                    continue
                if code == "certain" and not _MATTER.search(_sentence(turn.answer, found.span())):
                    continue
                yield at(code, message, i, "answer", turn.answer, found.span())
                break


def _sentence(text: str, span: tuple[int, int]) -> str:
    start = max(text.rfind(mark, 0, span[0]) for mark in ".!?\n") + 1
    ends = [place for mark in ".!?\n" if (place := text.find(mark, span[1])) >= 0]
    return text[start : min(ends, default=len(text))]
