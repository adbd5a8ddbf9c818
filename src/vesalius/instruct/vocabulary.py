"""The words that rewording knows: synonyms, abbreviations, anatomy, findings, descriptors, slips. Data only, no logic.

In: nothing. Out: tables for `parse` (what is a noun), `meaning` (what is the same), `render` (what may be exchanged) and `slips` (what may be misspelt).
An entry stands here only if exchanging the two words can change no answer: "tumor" and "mass", "collapse" and "atelectasis" are not exchanged.
"""

from __future__ import annotations


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


ANATOMY = words(
    """abdomen adrenal adrenals airway airways alveoli angle angles aorta apex apices appendix arch arteries artery atrium base bases bladder bone bones
    border borders bowel brain brainstem breast breasts bronchi bronchus caudate cavity cecum cerebellum cerebrum chest clavicle clavicles colon contour
    convexity cord cortex diaphragm diaphragms duct ducts duodenum ear ears esophagus eye eyes fat fissure fissures gallbladder ganglia gland glands gyri
    gyrus head heart hemidiaphragm hemidiaphragms hemisphere hemispheres hemithorax hila hilum humerus intestine intestines joint joints junction kidney
    kidneys larynx liver lobe lobes loops lumen lung lungs mandible matter mediastinum midbrain midline muscle muscles neck nerve nerves node nodes
    orbit orbits organ organs pad pads pancreas parenchyma parotid parotids pelvis peritoneum pleura pons rectum rib ribs silhouette sinus sinuses skin skull
    spine spleen stomach sulci sulcus teeth thalamus thorax tissue tissues tooth trachea ureter ureters vasculature vein veins ventricle ventricles
    vertebra vertebrae vessel vessels wall walls field fields markings margin margins section bronchiole region regions"""
)
FINDINGS = words(
    """abnormalities abnormality abscess abscesses adenopathy aneurysm aneurysms appendicitis ascites atelectasis atherosclerosis atrophy bleed bleeding
    bleeds calcification calcifications cancer cardiomegaly collection collections congestion consolidation consolidations cyst cysts deviation dilatation
    dilation dissection diverticula diverticulitis edema effusion effusions embolism embolus emphysema empyema enlargement fibrosis fracture fractures
    gallstone gallstones hematoma hematomas hemorrhage hemorrhages hepatomegaly hernia herniation hydrocephalus hydronephrosis hyperinflation
    hypodensities hypodensity infarct infarction infarctions infarcts infection infiltrate infiltrates infiltration infiltrations inflammation injury
    ischemia lesion lesions lymphadenopathy mass masses metastases metastasis nodule nodules obstruction opacities opacity pathology perforation
    plaque plaques pneumomediastinum pneumonia pneumoperitoneum pneumothoraces pneumothorax polyp polyps scoliosis shift splenomegaly stenosis
    stone stones stranding stroke swelling thickening thrombosis thrombus tumor tumors tumour tumours pneumatosis blunting lucency lucencies densities
    density hyperdensity hyperintensity hyperintensities cavitation loculation narrowing hyperlucency septations"""
)
# A bare singular of these takes an article ("Can mass be observed" is rendered "a mass").
COUNT = words(
    """abnormality abscess aneurysm bleed calcification collection cyst effusion embolus fracture hematoma hernia hypodensity infarct infiltrate lesion mass
    nodule opacity plaque polyp pneumothorax stone thrombus tumor tumour injury"""
)
OTHER_NOUNS = words(
    """size shape image scan film study picture radiograph view plane findings appearance position line lines catheter tube tip contrast air fluid gas levels
    level material color colour image's attenuation signal intensity cysts structures structure area areas interface process enhancement
    tumor infarcts foci focus contents silhouette bodies body hernias opacification plexus"""
)
NOUNS = ANATOMY | FINDINGS | OTHER_NOUNS
MODIFIERS = words(
    """left right upper lower small large femoral temporal frontal occipital parietal humerus spinal spine brain lymph superior inferior abdominal chest
    lateral fourth third 4th 3rd basal costophrenic pulmonary common bile cystic adrenal lung optic heart liver kidney cerebral bilateral middle
    transverse ascending descending sigmoid celiac hepatic renal portal aortic"""
)
# First word of a predicate; participles in -ed and -ing and a few suffixes are recognised beside these.
DESCRIPTORS = words(
    """abnormal normal healthy unhealthy large small clear sharp flat wide narrow big patent open broken solid cystic symmetric symmetrical asymmetric
    asymmetrical visible clearly well abnormally very more less homogeneous heterogeneous homogenous bilateral unilateral smooth irregular regular round
    dense hyperdense hypodense hyperintense hypointense bright dark lucent opaque calcified focal diffuse midline enlarged intact ring larger smaller
    longer wider higher denser free full empty prominent lobulated spiculated mildly markedly severely slightly significantly grossly necrotic fluid-filled
    unremarkable hyperinflated acute chronic benign malignant metastatic thick thin central peripheral white black gray grey lateralized underinflated
    loculated uniform vascular pathologic pathological edematous inflamed tortuous ring-enhancing hypoattenuated hyperattenuated"""
)
PARTICIPLES = ("ed", "ing", "ical", "ular", "atic", "otic", "ible")
# Opposites that leave no third case; only these are exchanged under reversed polarity.
OPPOSITES = {
    "normal": "abnormal",
    "abnormal": "normal",
    "healthy": "unhealthy",
    "unhealthy": "healthy",
    "symmetric": "asymmetric",
    "asymmetric": "symmetric",
    "symmetrical": "asymmetrical",
    "asymmetrical": "symmetrical",
    "homogeneous": "heterogeneous",
    "heterogeneous": "homogeneous",
}

# (pattern, replacement) inside a question, whole words; each line is one way only.
SYNONYMS: tuple[tuple[str, str], ...] = (
    ("in this image", "in this picture"),
    ("in the image", "in the picture"),
    ("in this picture", "in this image"),
    ("in the picture", "in the image"),
    ("on this image", "in this picture"),
    ("in the above image", "in this image"),
    ("this image", "this picture"),
    ("the image", "the picture"),
    ("visualized", "visible"),
    ("be visualized", "be seen"),
    ("be observed", "be seen"),
    ("be seen", "be observed"),
    ("be appreciated", "be seen"),
    ("you appreciate", "you see"),
    ("you see", "you observe"),
    ("you visualize", "you see"),
    ("is seen", "is visible"),
    ("is shown", "is depicted"),
    ("are shown", "are depicted"),
    ("is pictured", "is shown"),
    ("is visualized", "is shown"),
    ("are visualized", "are shown"),
    ("is depicted", "is shown"),
    ("cardiomegaly", "cardiac enlargement"),
    ("cardiac enlargement", "cardiomegaly"),
    ("hemorrhage", "bleeding"),
    ("small bowel", "small intestine"),
    ("small intestine", "small bowel"),
    ("brain edema", "cerebral edema"),
    ("cerebral edema", "brain edema"),
    ("pulmonary nodules", "lung nodules"),
    ("pulmonary nodule", "lung nodule"),
    ("lung nodules", "pulmonary nodules"),
    ("lung nodule", "pulmonary nodule"),
    ("lung mass", "pulmonary mass"),
    ("pulmonary mass", "lung mass"),
    ("liver lesion", "hepatic lesion"),
    ("liver lesions", "hepatic lesions"),
    ("hepatic lesion", "liver lesion"),
    ("infarct", "infarction"),
    ("infarction", "infarct"),
    ("infarcts", "infarctions"),
    ("axial", "transverse"),
    ("transverse", "axial"),
    ("in view", "visible"),
    (r"(?<=\b(?:a|s|e|t) )x-? ?ray(?=\?|$| (?:in|of|on)\b)", "radiograph"),
    ("appears", "looks"),
    ("appear normal", "look normal"),
    ("look normal", "appear normal"),
    ("look abnormal", "appear abnormal"),
    ("look healthy", "appear healthy"),
    ("enlarged", "increased in size"),
    ("dilated", "widened"),
    ("symmetrical", "symmetric"),
    ("fractured", "broken"),
    ("broken", "fractured"),
    ("edema", "oedema"),
    ("tumor", "tumour"),
    ("tumors", "tumours"),
    ("esophagus", "oesophagus"),
    ("gray matter", "grey matter"),
    ("grey matter", "gray matter"),
    ("gray", "grey"),
    ("color", "colour"),
    ("organ system", "body system"),
    ("location", "site"),
    ("located in", "situated in"),
    ("located on", "situated on"),
    ("abnormalities", "abnormal findings"),
    ("abnormal findings", "abnormalities"),
    ("bigger", "larger"),
    ("biggest", "largest"),
    ("imaging modality", "imaging technique"),
    ("image modality", "imaging modality"),
)
# These read well only as the end of a question.
AT_END_ONLY = frozenset({"enlarged", "dilated", "fractured", "broken", "in view", "visualized"})
# Attributive "what" and "which" exchange before these nouns.
ASKED_NOUNS = words(
    """organ organs lobe lobes side plane modality ventricle ventricles kidney lung hemisphere rib ribs vessel vein artery structure structures part region area
    pathology abnormality system orientation section sequence type kind disease diseases level"""
)

# (short, long): expanded and contracted; an article is mended after the exchange.
ABBREVIATIONS: tuple[tuple[str, str], ...] = (
    ("CXR", "chest X-ray"),
    ("PTX", "pneumothorax"),
    ("MRI", "magnetic resonance imaging"),
    ("CT", "computed tomography"),
    ("IVC", "inferior vena cava"),
    ("SVC", "superior vena cava"),
    ("SMA", "superior mesenteric artery"),
    ("CSF", "cerebrospinal fluid"),
    ("MCA", "middle cerebral artery"),
    ("ACA", "anterior cerebral artery"),
    ("SDH", "subdural hematoma"),
    ("SAH", "subarachnoid hemorrhage"),
    ("EDH", "epidural hematoma"),
    ("AAA", "abdominal aortic aneurysm"),
    ("SBO", "small bowel obstruction"),
    ("IV", "intravenous"),
    ("ECG", "electrocardiogram"),
    ("EKG", "electrocardiogram"),
    ("CNS", "central nervous system"),
    ("GB", "gallbladder"),
    ("GI", "gastrointestinal"),
    ("PA", "posteroanterior"),
    ("AP", "anteroposterior"),
    ("L", "left"),
    ("R", "right"),
    ("RUL", "right upper lobe"),
    ("RLL", "right lower lobe"),
    ("LUL", "left upper lobe"),
    ("LLL", "left lower lobe"),
)
# Read, never written: too ambiguous or too odd when alone.
EXPAND_ONLY = frozenset({"EKG", "GB", "L", "R", "GI", "ACA", "EDH", "PA", "AP", "RUL", "RLL", "LUL", "LLL"})
SPOKEN_WITH_VOWEL = frozenset("AEFHILMNORSX")

# Realistic misspellings of clinical words that remain unmistakable.
CLINICAL_SLIPS = {
    "pneumothorax": ("pnuemothorax", "pneumothroax"),
    "effusion": ("effussion", "efusion"),
    "hemorrhage": ("hemorrage", "hemmorhage"),
    "cardiomegaly": ("cardiomegally", "cardiomegoly"),
    "pneumonia": ("pnuemonia", "neumonia"),
    "fracture": ("fractrue", "fracutre"),
    "diaphragm": ("diaphram", "diaphragmn"),
    "consolidation": ("consoldiation", "consolidaton"),
    "atelectasis": ("atelectesis", "atalectasis"),
    "calcifications": ("calcificatons", "calcificaitons"),
    "aneurysm": ("aneurism", "anuerysm"),
    "abnormality": ("abnormalty", "abnomality"),
    "abnormalities": ("abnormalties", "abnormailties"),
    "kidneys": ("kidnesy", "kideys"),
    "lesion": ("leison", "lesoin"),
    "liver": ("livre", "livr"),
    "ventricles": ("ventricels", "ventrciles"),
    "enlarged": ("enlaregd", "enlargd"),
    "trachea": ("trachae", "trahcea"),
    "stomach": ("stomache", "stomcah"),
    "esophagus": ("esophogus", "esophagas"),
    "mediastinum": ("mediastinium", "mediastnum"),
    "infiltration": ("infiltraton", "infilration"),
}
# Everyday words that may lose or swap a letter.
PLAIN_SLIPS = words(
    """there evidence image picture present visible shown patient located seen appear normal does which where what this these would display displayed
    modality observed contain system taken belong shape color organ organs visualized"""
)
# Everyday slips that would read as another word.
REAL_WORDS = words(
    "dose fro three these those their whose were her here her ether wear tis his thee scene sheen see seem sown patent patents pleasant ogre whore shape"
)

QUANTIFIERS = words(
    "both all every each only entire multiple several most many few other another besides and or at least more less one two three four five single"
    " majority same"
)
UNCERTAIN = words("likely suspect suspected suggest suggests suggestive could may might probably possible possibly concerning would should expect consistent")
