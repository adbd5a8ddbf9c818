"""The words by which a chest report names its findings: data of the labeler in `labels`, no logic.

In: nothing. Out: the list of findings, patterns that name one, and statements of normality that deny several.
Patterns are regular expressions on one sentence in lower case, American spelling, single spaces. Where a pattern has two parts ("heart is enlarged"), they may
stand up to seven words apart, without a comma; the last word is the one that a negation before it must reach.

The list of 28: the 14 of CheXpert (Irvin et al., AAAI 2019), the seven of NIH ChestX-ray14 that CheXpert lacks (Wang et al., CVPR 2017), and the seven
findings of the lung, aorta and spine that the MeSH index of the Indiana University reports names most often beside them (Demner-Fushman et al., JAMIA 2016).
"""

from __future__ import annotations

NO_FINDING, SUPPORT_DEVICES = "no_finding", "support_devices"
CHEXPERT = (
    NO_FINDING,
    "enlarged_cardiomediastinum",
    "cardiomegaly",
    "lung_opacity",
    "lung_lesion",
    "edema",
    "consolidation",
    "pneumonia",
    "atelectasis",
    "pneumothorax",
    "pleural_effusion",
    "pleural_other",
    "fracture",
    SUPPORT_DEVICES,
)
CHEXPERT_FIVE = ("atelectasis", "cardiomegaly", "consolidation", "edema", "pleural_effusion")
NIH_FURTHER = ("emphysema", "fibrosis", "hernia", "infiltration", "mass", "nodule", "pleural_thickening")
INDIANA_FURTHER = ("granuloma", "scarring", "aortic_abnormality", "spine_degeneration", "spinal_curvature", "hyperinflation", "low_lung_volumes")
FINDINGS = (*CHEXPERT, *NIH_FURTHER, *INDIANA_FURTHER)

_GAP = r"(?: [^\s,;]+){0,7}? "
_HEART = r"\b(?:heart|cardiac (?:silhouette|shadow|size|contours?)|cardiomediastinal (?:silhouette|contours?|size|shadow))\b"
_MEDIASTINUM = r"\b(?:mediastin(?:um|al (?:silhouette|contours?|width|structures|shadow))|cardio ?mediastinal (?:silhouette|contours?|size|shadow))\b"
_LARGE = r"(?:enlarged|large|big|prominent|increased|generous)\b(?! (?:pulmonary|central|hil|bronch|interstitial|perihilar|vascul|effusion|pleural))"
_WIDE = r"(?:widened|widening|wide|prominent|prominence|enlarged|enlargement|fullness|full)\b(?! (?:pulmonary|hil))"
_AORTA = r"\b(?:aort(?:a|ic)(?: (?:arch|knob|contours?|vasculature))?)\b"
_AORTA_ILL = r"(?:tortuo\w+|ecta\w+|calcif\w+|atherosclero\w+|aneurysm\w*|dilat\w+|unfold\w+|uncoil\w+|elongat\w+|enlarge\w+|prominen\w+)\b"
_SPINE = r"(?:spine|spinal|vertebra\w*|vertebral bod(?:y|ies)|dis[ck]s?|endplates?|spondyl\w+|thoracolumbar|thoracic(?! aort))\b"
_VOLUME = r"(?:lung|inspiratory|pulmonary) (?:volumes?|expansion|inflation|effort)"
_LESSENED = r"(?:low(?! normal)|lower|decreased|reduced|diminished|small|shallow|poor|suboptimal|limited)"
_MARKINGS = r"(?:interstitial|reticular|reticulonodular|bronchovascular)(?: \w+)?"

LEXICON: dict[str, tuple[str, ...]] = {
    "enlarged_cardiomediastinum": (
        rf"{_MEDIASTINUM}{_GAP}{_WIDE}",
        rf"\b{_WIDE}(?: \w+){{0,3}} {_MEDIASTINUM}",
        r"\bmediastinal (?:widening|enlargement|prominence|fullness)\b",
    ),
    "cardiomegaly": (
        r"\bcardiomegaly\b|\bcardiac enlargement\b",
        rf"{_HEART}{_GAP}{_LARGE}",
        rf"{_HEART}(?: \w+){{0,3}}? borderline\b|\bborderline (?:\w+ )?(?:heart|cardi\w+)\b",
        r"\b(?:enlarged|large|big|prominent) (?:\w+ ){0,2}(?:heart|cardiac|cardiomediastinal|cardiopericardial)\b",
        r"\benlarge\w* (?:of|in|size of) (?:the )?(?:heart|cardiac|cardiomediastinal)\w*",
        r"\bincrease\w* (?:in )?(?:the )?(?:size of (?:the )?)?(?:heart|cardiac)\b",
        r"\b(?:enlarged|dilated) (?:left |right )?(?:ventricles?|atri(?:um|a))\b",
        r"\b(?:left |right )?(?:ventric\w+|atri\w+) (?:enlargement|hypertrophy|prominence)\b",
    ),
    "lung_opacity": (
        r"\bopaci\w+",
        r"\binfiltrat\w+",
        r"\b(?:airspace|air space|alveolar) (?:disease|process\w*|changes?|abnormalit\w+)\b",
        r"\b(?:haz(?:e|iness|y)|ground glass|groundglass)\b",
        rf"\b(?:increased|increase in|prominent|prominence of|coarse\w*|chronic|thickened|accentuated|abnormal) (?:\w+ ){{0,3}}{_MARKINGS}\b",
        rf"\b{_MARKINGS}(?: markings?)?(?: are| is)?(?: \w+){{0,2}} (?:increased|prominent|prominence|coarse\w*|thicken\w+|accentuated)\b",
        r"\binterstitial (?:disease|pattern|changes?|thickening|process|abnormalit\w+|prominence)\b",
        r"\breticula(?:r|tion)\w*",
        r"\b(?:patchy|streaky|basilar|basal|bibasilar|base|midlung|hazy|retrocardiac|perihilar|lung|parenchymal|lobe|linear|vague) (?:\w+ )?densit\w+",
        r"\b(?:airspace|ill defined) (?:\w+ )?densit\w+",
    ),
    "lung_lesion": (
        r"\b(?:mass(?:es)?(?! effect)|nodul\w+|tumors?|neoplas\w+|malignan\w+|carcinoma\w*|cancer|metasta\w+)\b",
        r"(?<!thoracic )(?<!chest )(?<!pleural )(?<!abdominal )(?<!peritoneal )(?<!oral )(?<!nasal )\bcavit(?:y|ies|ary|ation)\b",
        r"(?<!bone )(?<!bony )(?<!osseous )(?<!lytic )(?<!blastic )(?<!sclerotic )(?<!lucent )(?<!destructive )\blesions?\b",
    ),
    "edema": (
        r"(?<!soft tissue )(?<!extremity )\bedema\w*",
        r"\b(?:congestive (?:heart )?failure|heart failure|chf|cardiac decompensation|fluid overload|volume overload)\b",
        r"\b(?:vascular|venous|pulmonary|interstitial|central|cardiopulmonary)(?: \w+)? (?:congestion|engorgement|redistribution)\b|\bcephalization\b",
        r"\bcongestion\b|\bkerley\b|\bengorged\b|\bpulmonary venous hypertension\b",
        r"\bvascul\w+ (?:prominence|indistinctness)\b|\b(?:prominen\w+|increase\w*) (?:\w+ ){0,3}(?:vascularity|vasculature)\b",
        r"\bpulmonary (?:vasculature|vessels|vascularity)(?: (?:is|are|appears?))?(?: \w+){0,2} (?:congested|engorged|indistinct)\b",
    ),
    "consolidation": (r"\bconsolidat\w+",),
    "pneumonia": (
        r"\b(?:broncho)?pneumonia[es]?\b|\bpneumonic\b|(?<!interstitial )(?<!radiation )\bpneumonitis\b",
        r"(?<!granulomatous )(?<!fungal )\binfect\w+(?: (?:process|etiology|infiltrate|disease))?\b",
    ),
    "atelectasis": (
        r"\batelect\w+",
        r"\b(?:lobar|lobe|lung|segmental) collapse\b|\bcollapse of (?:\w+ ){0,6}?(?:lungs?|lobes?)\b|\bcollapsed? (?:\w+ ){0,3}(?:lung|lobe)\b",
    ),
    "pneumothorax": (r"\b(?:hydro|hemo)?pneumothora\w+", r"\bptx\b"),
    "pleural_effusion": (
        r"(?<!pericardial )(?<!joint )\beffusions?\b(?! (?:in the )?(?:knee|joint))",
        r"\bpleural (?:\w+ )?fluid\b|\bfluid (?:\w+ ){0,3}(?:fissures?|pleural)\b",
        r"\b(?:hydro|hemo)(?:pneumo)?thora\w+",
    ),
    "pleural_other": (
        r"\bpleur(?:al|o)(?: and parenchymal| ?parenchymal)? ?(?:\w+ ){0,2}?(?:thicken\w*|scar\w*|plaques?|calcifi\w+|fibrosis|disease|reaction|capping)\b",
        r"\bpleur\w+ parenchymal \w+",
        r"\bthicken\w+ of the (?:\w+ )?pleura\b|\bapical cap(?:ping|s)?\b|\bfibrothorax\b",
        r"\bpleural based\b",
    ),
    "fracture": (r"\bfractur\w+",),
    SUPPORT_DEVICES: (
        r"\b(?:pacemakers?|pacers?|pacing|aicd|icd|defibrillators?|\w*stimulators?|generators?)\b",
        r"\b(?:catheters?|port ?a ?cath\w*|mediports?|infusaports?|chest ports?|port|picc|swan ganz|dialysis)\b",
        r"\b(?:endotracheal|tracheostomy|nasogastric|enteric|feeding|chest|et|ng|gastrostomy|orogastric|dobbhoff|thoracostomy|g) ?(?:tubes?|cannulas?)\b",
        r"\b(?:tubes?|tracheostomy|cannulas?)\b",
        r"\b(?:central|venous|subclavian|jugular|ij|arterial|picc|vascular|access|midclavicular) lines?\b|\blines? and tubes?\b",
        r"\b(?:wires?|clips?|staples?|sutures?|stents?|coils?|screws?|rods?|plates?|hardware|leads?|electrodes?|drains?|devices?|tubing)\b",
        r"(?<!breast )\bprosthe\w+\b|\barthroplast\w+\b|\b(?:spinal|spine|cervical|anterior|posterior) fusion\b|\btips\b|\bshunt\b",
        r"\b(?:valv\w+ (?:replacement|repair)|(?:prosthetic|mechanical|artificial) (?:\w+ )?valves?|ivc filter|loop recorder)\b",
    ),
    "emphysema": (
        r"(?<!subcutaneous )(?<!soft tissue )(?<!mediastinal )\bemphysem\w+",
        r"\b(?:copd|chronic obstructive|obstructive (?:lung|pulmonary|airways?)|bull(?:a|ae|ous)|blebs?)\b",
    ),
    "fibrosis": (
        r"(?<!cystic )(?<!pleural )\bfibro(?:sis|tic|ses)\b",
        r"\binterstitial (?:lung|pulmonary) (?:disease|fibrosis)\b|\bhoneycomb\w*|\bchronic interstitial (?:lung |and \w+ )?(?:disease|changes?|pattern)\b",
    ),
    "hernia": (r"\bhernia\w*",),
    "infiltration": (r"\binfiltrat\w+",),
    "mass": (r"\bmass(?:es)?\b(?! effect)",),
    "nodule": (r"\bnodul\w+",),
    "pleural_thickening": (
        r"\bpleur(?:al|o)(?: and parenchymal| ?parenchymal)? ?(?:\w+ ){0,2}?thicken\w*|\bthicken\w+ of the (?:\w+ )?pleura\b|\bapical cap(?:ping|s)?\b",
    ),
    "granuloma": (r"\bgranulom\w+", r"\bhistoplasm\w+"),
    "scarring": (r"\bscar(?:s|red|ring)?\b|\bcicatri\w+",),
    "aortic_abnormality": (
        rf"{_AORTA}{_GAP}{_AORTA_ILL}",
        rf"\b{_AORTA_ILL}(?: [^\s,;]+){{0,6}}? {_AORTA}",
        r"\batherosclero\w+",
    ),
    "spine_degeneration": (
        rf"\b(?:degenerat\w+|spurr?(?:s|ing)?|arthritic|arthritis)\b{_GAP}{_SPINE}",
        rf"\b{_SPINE}{_GAP}(?:degenerat\w+|spurr?(?:s|ing)?|arthritic|arthritis)\b",
        r"\bspondylo(?:sis|tic)\b|\bosteophyt\w+|\bdis[ck] (?:space )?(?:narrowing|disease|degeneration)\b|\bsyndesmophyt\w+",
        rf"\bhyperostosis\b|\bdish\b|\b{_SPINE} degenerat\w+|\bendplate (?:sclero\w+|changes?)\b",
    ),
    "spinal_curvature": (
        r"\b(?:\w*scolio\w+|\w*kypho\w+|(?:dextro|levo)(?:curv\w+|convex\w*))\b",
        r"\b(?:curvature|curve) (?:of|in|to) (?:the )?(?:\w+ ){0,3}spine\b|\bspinal curvature\b|\bspine (?:curvature|curved)\b",
    ),
    "hyperinflation": (
        r"\b(?:hyper|over) ?(?:inflat|expan|aerat|disten)\w+",
        rf"\b(?:large|increased|high) {_VOLUME}\b|\b{_VOLUME} (?:is |are )?(?:\w+ )?(?:large|increased|high)\b|\bair trapping\b",
    ),
    "low_lung_volumes": (
        rf"\b{_LESSENED} (?:\w+ ){{0,2}}?(?:{_VOLUME}|volumes|inspiration)\b",
        rf"\b{_VOLUME} (?:is |are |remains? )?(?:\w+ ){{0,2}}?{_LESSENED}\b",
        r"\b(?:hypo|under) ?(?:inflat|expan|aerat|ventilat)\w+|\blow volume\b",
    ),
}

_CLEAR = ("lung_opacity", "lung_lesion", "edema", "consolidation", "pneumonia", "atelectasis", "infiltration", "mass", "nodule")
_SOUND = r"(?:normal|unremarkable|within normal|normal limits|negative)\b"
_STRETCH = r"(?:[ ,]+(?!but\b|however\b|not\b|abnormal|enlarged|large\b|increased\b|borderline\b|prominent\b|limits of\b|there\b)[^\s,;]+){0,14}?[ ,]+"
_NOT_WHOLLY = r"(?<!limits of )(?<!limits )(?<!ab)(?<!not )(?<!otherwise )"

# (pattern, findings it denies, unless a word of doubt or an exception stands in the sentence)
NORMAL: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"\b(?:lungs?|lung fields|lung parenchyma)\b(?:(?! left | right |,).)*?{_NOT_WHOLLY}\b(?:clear\b(?! (?:of|from)\b)|{_SOUND})", _CLEAR),
    (r"(?<!otherwise )\b(?:clear|normal) (?:and \w+ \w+ |bilateral |, \w+ )?(?:lungs|lung fields)\b", _CLEAR),
    (rf"\b(?:heart|cardiac|cardio ?mediastinal)\b{_STRETCH}{_NOT_WHOLLY}\b{_SOUND}", ("cardiomegaly",)),
    (rf"\bnormal (?:size and contour of the )?(?:\w+ )?(?:heart|cardiac|cardio ?mediastinal)\b|\b{_SOUND} (?:heart|cardio)", ("cardiomegaly",)),
    (rf"\b(?:cardio ?)?mediastin\w+\b{_STRETCH}{_NOT_WHOLLY}\b{_SOUND}", ("enlarged_cardiomediastinum",)),
    (r"\b(?:normal|unremarkable) (?:\w+ ){0,2}(?:cardio ?)?mediastin\w+|\bnormal heart size and mediastin\w+", ("enlarged_cardiomediastinum",)),
    (rf"\bpulmonary vascul\w+\b{_STRETCH}{_NOT_WHOLLY}\b{_SOUND}|\bnormal pulmonary vascul\w+", ("edema",)),
    (r"\bpleural (?:spaces?|surfaces?|recesses)\b(?: \w+){0,3} (?:clear|normal|unremarkable)\b", ("pleural_effusion", "pneumothorax")),
    (r"\bcostophrenic (?:\w+ ){1,2}(?:are|is|remain|appear) (?:\w+ )?(?:sharp|clear)\b", ("pleural_effusion",)),
    (r"\b(?:bon(?:y|es)|osseous|skeletal|ribs?)\b(?: (?!not\b|degenerat|except)[^\s,;]+){0,6}? (?:intact|unremarkable|normal)\b", ("fracture",)),
    (r"\bno (?:\w+ ){0,2}(?:bony?|osseous|skeletal) (?:\w+ )?(?:abnormalit\w+|findings?|lesions?|injur\w+|process)\b", ("fracture",)),
)
