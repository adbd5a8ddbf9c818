"""The words that the filters know: frame words, synonyms of radiology, what cannot be seen, what must not be advised. Data and their patterns, no decision.

In: nothing. Out: sets and compiled patterns. English.
"""

# ruff: noqa: SIM905 - word lists read better as text

from __future__ import annotations

import re
from collections.abc import Mapping

from vesalius.instruct import vocabulary
from vesalius.metrics.stem import stem

FRAME = frozenset(
    (
        "a about above across after again all almost along also although am an and another any appear appears are area areas around as at available be because "
        "been before behind being below beneath beside between beyond but by can case cause caused characterized clear clearly "
        "clinical common commonly compatible "
        "consistent contain contains could current demonstrate demonstrated demonstrates demonstrating depict depicted depicts "
        "depicting describe described detail did "
        "diagnostic display displayed displays do does done due during each either especially etc evidence evident example feature "
        "features field film findings finding "
        "following for found from front further given has have having he help helps hence her here high highlight him his how "
        "however i identified identify if image images "
        "imaging important in include included includes including indicate indicated indicates indicating indication into is it "
        "its itself key kind let level lie lies like likely "
        "lying slice slices located location main make makes many may means medical might modality more most mostly much must near "
        "next no normal not note noted notable now number observe "
        "observed of often on one only or organ organs other others our out over overall own part particular particularly patient "
        "patients patient's people perform "
        "performed photograph picture pictured place plane position present presence presented projection provide provided "
        "provides quality question reader region regions "
        "relevant represent represented represents reveal revealed reveals said same scan see seen set several she should show showed showing shown shows sign "
        "signs since single so some specific specifically stated status structure structures study such suggest suggested "
        "suggesting suggests taken technique than that "
        "the their them then there these they thing this those through thus to together toward two type typical typically under up "
        "upon us use used useful using "
        "usually various very view viewed viewing views visible visualised visualized visualize was we well were what when where "
        "which while who whole whose why "
        "will with within without would yes you your none nothing absent absence abnormality abnormalities abnormal unremarkable unaffected apparent "
        "detected both side sides left right left-sided right-sided bilateral bilaterally body human subject view's anatomical "
        "anatomy anatomic condition disease pleural"
    ).split()
)
SHORT = frozenset("ct mr us pa ap".split())
_SYNONYMS = (
    "xray radiograph radiographs radiography radiographic roentgenogram xr cxr x-ray;"
    "ct cat tomography;mri mr;ultrasound sonogram sonography us;chest thorax thoracic thoraces;abdomen abdominal belly;head "
    "cranial cranium brain cerebral skull "
    "intracranial;neck cervical;pelvis pelvic;heart cardiac;lung lungs pulmonary;liver hepatic;kidney kidneys renal;spleen splenic;stomach gastric;"
    "colon colonic;intestine bowel intestinal;bladder vesical;spine spinal vertebral vertebra vertebrae;bone bony osseous;vessel vascular vasculature;"
    "effusion effusions;opacity opacities opacification opacified infiltrate infiltrates infiltration infiltrations;"
    "edema oedema;tumor tumour tumors tumours neoplasm neoplastic neoplasms;mass masses;nodule nodules nodular;atelectasis atelectases atelectatic collapse;"
    "pneumothorax pneumothoraces;consolidation consolidations consolidated;pneumonia pneumonic;fibrosis fibrotic;emphysema emphysematous;hernia herniation;"
    "thickening thickened thicken;enlarged enlargement enlarge;esophagus oesophagus esophageal;larynx laryngeal;trachea tracheal;rectum rectal;"
    "duodenum duodenal;pancreas pancreatic;prostate prostatic;femur femoral;eye eyes ocular orbit;cord;hemorrhage haemorrhage bleeding bleed hematoma"
)
_PHRASES = (
    ("xray", r"x[- ]?rays?"),
    ("ct", r"comput(?:ed|eri[sz]ed) tomograph\w*|cat scans?"),
    ("mri", r"magnetic resonance(?: imag\w*)?"),
    (
        "cardiomegaly",
        r"(?:enlarged|enlargement of the|large) (?:heart|cardiac silhouette)|(?:heart|cardiac silhouette) (?:is|appears|looks) enlarged|cardiac enlargement",
    ),
    ("pa", r"postero[- ]?anterior"),
    ("ap", r"antero[- ]?posterior"),
    ("lateral", r"lateral (?:view|projection)"),
)
PHRASES = tuple((re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), form) for form, pattern in _PHRASES)
ONE_WORD: Mapping[str, str] = {word: group.split()[0] for group in _SYNONYMS.split(";") for word in group.split()}
ONE_STEM: Mapping[str, str] = {stem(word): form for word, form in ONE_WORD.items()}
FRAME_FORMS = frozenset(stem(word) for word in FRAME) - frozenset(ONE_WORD.values())
_BRITISH = (("oedema", "edema"), ("haem", "hem"), ("tumour", "tumor"), ("oesoph", "esoph"))


def SPELLING(word: str) -> str:  # noqa: N802 - stands beside the tables, and is one
    """American spelling."""
    for british, american in _BRITISH:
        word = word.replace(british, american)
    return word


_OTHER_DISEASES = (
    "cirrhosis cholecystitis pancreatitis colitis tuberculosis bronchitis bronchiectasis asthma copd sarcoidosis arthritis "
    "osteoporosis glioma glioblastoma meningioma "
    "schwannoma lymphoma sarcoma carcinoma adenocarcinoma hepatitis nephritis pericarditis myocarditis endocarditis encephalitis meningitis dementia sclerosis "
    "pyelonephritis appendicitis ileus volvulus intussusception gallstones kidney-stones hepatocellular malignancy malignant "
    "benign metastatic pneumonitis bronchogram bronchograms "
    "swollen honeycombing"
).split()
_BROAD = "abnormality abnormalities pathology density densities lucency lucencies shift injury collection collections enlargement deviation".split()
DISEASE_FORMS = frozenset(ONE_WORD.get(w) or stem(SPELLING(w)) for w in (vocabulary.FINDINGS | frozenset(_OTHER_DISEASES)) - frozenset(_BROAD))
_VAGUE = (
    "angle angles arch area base bases body border borders contour contours cavity cord field fields joint junction loops margin "
    "margins markings matter midline "
    "muscle muscles node nodes organ organs region regions section silhouette skin tissue tissues wall walls vein veins vessel vessels vasculature parenchyma "
    "pad pads fat duct ducts chest head abdomen neck pelvis thorax brain skull"
).split()
ORGAN_FORMS = frozenset(ONE_WORD.get(w) or stem(w) for w in vocabulary.ANATOMY - frozenset(_VAGUE)) - frozenset(ONE_WORD.get(w) or stem(w) for w in _VAGUE)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


REFUSAL = _any(
    r"\bas an? (?:ai|artificial|language|large language|text)[- ]?(?:language )?(?:model|assistant|based)?\b",
    r"^\s*(?:i'?m|i am) (?:sorry|afraid|unable|not able)\b",
    r"\bi (?:can(?:no|')?t|am unable to|am not able to|do not have the ability to|don'?t have (?:access|the ability)) \w+",
    r"^\s*(?:sorry|unfortunately),? (?:but )?i\b",
    r"\bi (?:do not|don'?t) have (?:access|enough information|the image|an image)\b",
    r"\b(?:no|without (?:an|the)) (?:image|picture) (?:is|was|has been)?\s?(?:provided|attached|given|available|shown)\b",
    r"\b(?:here is|here are|sure,? here|certainly[,!] here) (?:a|an|the|your|some|is)\b",
)
LEFTOVER = _any(
    r"<\|[^<>]{0,40}\|>|\[/?INST\]|</?s>|<image>|```",
    r"\{\s*\"|\"\s*:\s*[\[{\"]|\\n|\\u[0-9a-f]{4}|\{\{?\w*\}\}?|</?(?:b|i|p|br|div|span|strong|em|h\d)\b[^<>]{0,40}>",
    r"\[(?:insert|your|name|patient|finding|placeholder|answer|question)[^\]]{0,40}\]|_{4,}|\blorem ipsum\b|\bTODO\b|\bTBD\b",
    r"^\s*(?:question|answer|q|a|user|assistant|human|gpt)\s*\d*\s*:",
    r"\b(?:json|schema|prompt|placeholder)\b",
)
ENGLISH = frozenset(
    "the a an of in on is are was and or to with for this that it no not there at by from as be which what seen shows show does do "
    "any has have where how".split()
)
OTHERS: Mapping[str, frozenset[str]] = {
    "German": frozenset("der die das und ist nicht ein eine einer im des dem den mit auf zeigt kein keine sind zu wird sich auch bei was welche".split()),
    "French": frozenset("le la les des une du et est dans pas sur qui que au aux avec pour ce cette il elle sont montre quel quelle aucun".split()),
    "Spanish": frozenset("el la los las una del y es en no con por para que se al lo está muestra cuál qué hay ningún son un imagen".split()),
    "Italian": frozenset("il lo la gli una del della e è nel nella con per che si al sono mostra non quale nessun dei un questa immagine".split()),
    "Portuguese": frozenset("o os as uma do da e é no na com por para que se ao são mostra não qual nenhum um esta imagem".split()),
    "Dutch": frozenset("de het een en is niet van op met voor dat deze dit er zijn geen wordt toont welke naar bij".split()),
}
ALWAYS: Mapping[str, frozenset[str]] = {"CHEST": frozenset({"lung", "heart", "rib"}), "HEAD": frozenset({"head"}), "ABDOMEN": frozenset()}
_GENERAL = (
    "large small left right upper lower middle central frontal posterior anterior multiple single black white dark bright grey "
    "gray mild moderate severe bilateral "
    "focal diffuse standard routine "
    "contrast size shape dark visible grayscale marked additional grade range health healthy help doctor doctors professional interpretation"
).split()
GENERAL_FORMS = frozenset(stem(word) for word in _GENERAL)
