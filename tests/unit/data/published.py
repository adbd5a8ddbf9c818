"""Miniature copies, invented, of the published layouts of fifteen sets: captions, conversations, labelled films, questions about text, small pictures."""

import gzip
import json
from pathlib import Path

import numpy as np

from tests.unit.data.layout import picture
from vesalius.data import medmnist
from vesalius.data.chest_labels import LABELS


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def dump(path: Path, held: object) -> None:
    write(path, json.dumps(held))


def roco(root: Path) -> Path:
    """Three radiology figures a part, of two articles, one of which is in two parts; one figure that is no radiology."""
    for part, first in (("train", 0), ("validation", 10), ("test", 20)):
        home = root / "roco/data" / part / "radiology"
        names = [f"ROCO_{first + n:05d}" for n in range(3)]
        write(home / "captions.txt", "".join(f"{name}\t Drawn\u2028 figure {name}, axial.\n" for name in names))
        articles = ("PMC1_a.jpg", f"PMC{first + 2}_b.jpg", f"PMC{first + 2}_c.jpg")
        write(home / "licences.txt", "ROCO_ID,PMC_ID,CC\n" + "".join(f"{n},{a},CC BY-NC\n" for n, a in zip(names, articles, strict=True)))
        for number, name in enumerate(names):
            picture(home / "images" / f"{name}.jpg", value=first + number)
        other = home.with_name("non-radiology")
        write(other / "captions.txt", f"ROCO_9{first:04d}\t A drawn curve.\n")
        picture(other / f"images/ROCO_9{first:04d}.jpg")
    return root


def roco_v2(root: Path) -> Path:
    """Two figures a part, a caption with a comma and a line end; an article in two parts."""
    home, licences = root / "roco_v2", ["ID,PMCID,Attribution,Link"]
    for part in ("train", "valid", "test"):
        names = [f"ROCOv2_2023_{part}_{n:06d}" for n in (1, 2)]
        write(home / f"{part}_captions.csv", "ID,Caption\n" + "".join(f'{name},"Drawn, in\ntwo lines"\n' for name in names))
        licences += [f"{names[0]},PMC7,CC BY,x", f"{names[1]},PMC{part},CC BY-NC,x"]
        for name in names:
            picture(home / part / f"{name}.jpg")
    write(home / "license_information.csv", "\n".join(licences) + "\n")
    return root


def talk(identity: str, *turns: str, domain: object = None) -> dict[str, object]:
    """A conversation as stored, the image's mark in its first question."""
    said = [{"from": "human" if n % 2 == 0 else "gpt", "value": text} for n, text in enumerate(turns)]
    said[0]["value"] = f"<image>\n{said[0]['value']}"
    return {"id": identity, "image": f"{identity}.jpg", "domain": domain or {"chest_xray": True, "mri": False}, "conversations": said}


def llava_med(root: Path) -> Path:
    """Two conversations of one article, one of another; a file of captions by domain."""
    home = root / "llava_med"
    rows = [
        talk("1001_F1", "What is drawn?", "A circle.", "Where is it?", "In the middle."),
        talk("1001_F2", "What is drawn?", "A line."),
        talk("1002_F1", "Describe it.", "A square."),
    ]
    dump(home / "alignment/llava_med_alignment_500k.json", rows)
    figure = {"pair_id": "1001_F1", "fig_label": "Figure 1", "fig_caption": "A drawn  circle.", "in_text_mention": [{"tokens": "See Figure 1."}, "And again."]}
    dump(home / "instruct/llava_med_instruct_fig_captions.json", {"chest_xray": [figure], "mri": []})
    for row in rows:
        picture(home / "images" / str(row["image"]))
    return root


REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with drawn cough  // at 10:30, eval

 FINDINGS:

 No drawn consolidation. NOTE: seen at 3:45.

 CONCLUSION:
 Nothing drawn.
"""
MIMIC_FILMS = (  # part, subject, study, film, view
    ("train", 10000001, 50000001, "aa", "PA"),
    ("train", 10000001, 50000001, "bb", "LATERAL"),
    ("validate", 10000002, 50000002, "cc", "AP"),
    ("test", 10000003, 50000003, "dd", ""),
)


def mimic_cxr(root: Path, *, packed: bool = False) -> Path:
    """Four films of three patients; one label of each state, a study without labels; reports."""
    home, columns = root / "mimic_cxr", sorted(LABELS)
    cells = {"Edema": "1.0", "Pneumonia": "0.0", "Atelectasis": "-1.0"}
    tables = {
        "metadata": ["dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime"]
        + [f'{film},{subject},{study},"CHEST (PA, LAT)",{view},64,64,21800506,1.5' for _, subject, study, film, view in MIMIC_FILMS],
        "split": ["dicom_id,study_id,subject_id,split"] + [f"{film},{study},{subject},{part}" for part, subject, study, film, _ in MIMIC_FILMS],
        "chexpert": [
            "subject_id,study_id," + ",".join(columns),
            "10000001,50000001," + ",".join(cells.get(name, "") for name in columns),
            "10000003,50000003," + ",".join("1.0" if name == "No Finding" else "" for name in columns),
        ],
    }
    home.mkdir(parents=True)
    for name, lines in tables.items():
        text = "\n".join(lines) + "\n"
        if packed:
            (home / f"mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        else:
            write(home / f"mimic-cxr-2.0.0-{name}.csv", text)
    for _, subject, study, film, _ in MIMIC_FILMS:
        place = f"files/p10/p{subject}/s{study}"
        picture(root / "mimic_cxr_jpg" / place / f"{film}.jpg")
        write(home / f"{place}.txt", REPORT)
    return root


def chexpert(root: Path) -> Path:
    """Three training films of two patients, one of each other part; the test table has labels alone."""
    home, header = root / "chexpert", "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(LABELS)

    def row(place: str, facts: str, **states: str) -> str:
        return f"{place},{facts}{',' if facts else ''}" + ",".join(states.get(name.replace(" ", "_"), "") for name in LABELS)

    train = [
        row("CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg", "Female,68,Frontal,AP", No_Finding="1.0", Pneumonia="0.0", Edema="-1.0"),
        row("CheXpert-v1.0-small/train/patient00001/study1/view2_lateral.jpg", "Female,68,Lateral,", No_Finding="1.0"),
        row("CheXpert-v1.0-small/train/patient00002/study1/view1_frontal.jpg", "Unknown,0,Frontal,PA"),
    ]
    valid = [row("CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg", "Male,73,Frontal,AP", Cardiomegaly="1.0", Fracture="0.0")]
    test = [row("test/patient64741/study1/view1_frontal.jpg", "", Atelectasis="1")]
    for name, first, rows in (("train", header, train), ("valid", header, valid), ("groundtruth", "Path," + ",".join(LABELS), test)):
        write(home / f"{name}.csv", "\n".join([first, *rows]) + "\n")
        for each in rows:
            picture(home / each.split(",")[0].removeprefix("CheXpert-v1.0-small/"))
    return root


PADCHEST_HEADER = ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,MethodLabel,Report,Labels,Localizations\n"


def padchest(root: Path) -> Path:
    """Four films of two patients in numbered folders: with findings, normal, unchanged, without labels."""
    rows = (
        "0,a.png,0,20140101,s1,p1,1940.0,F,PA,Physician,derram pleural izquierd .,"
        "\"['pleural effusion', ' cardiomegaly', 'pleural effusion']\",\"['loc left', ' loc basal']\"\n"
        "1,b.png,0,20140102,s2,p1,1940.0,F,L,RNN_model,sin hallazg .,['normal'],[]\n"
        "2,c.png,12,20140103,s3,p2,,,AP,RNN_model,sin cambi .,['unchanged'],\n"
        "3,d.png,12,20140104,s4,p2,,,,RNN_model,,,\n"
    )
    write(root / "padchest/PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", PADCHEST_HEADER + rows)
    for name in ("0/a.png", "0/b.png", "12/c.png", "12/d.png"):
        picture(root / "padchest" / name)
    return root


def radqa(root: Path) -> Path:
    """A report a part with one question that its findings answer twice and its impression does not."""
    passage = "A drawn line is seen.\nNo drawn circle."
    answers = [{"answer_id": "x", "text": "No drawn\ncircle".replace("\n", " "), "answer_start": 22}, {"answer_id": "y", "text": "circle", "answer_start": 31}]
    for part in ("train", "dev", "test"):
        asked = {"question": "Is there a circle?", "id": f"{part}_1"}
        paragraphs = [
            {"document_id": "1_O", "context": passage, "qas": [{**asked, "answers": answers, "is_impossible": False}]},
            {"document_id": "1_I", "context": "Nothing.", "qas": [{**asked, "answers": [], "is_impossible": True}]},
        ]
        dump(root / "radqa" / f"{part}.json", {"version": "1.0", "data": [{"title": f"report {part}", "paragraphs": paragraphs}]})
    return root


def mcq(identity: str, question: str, right: int, **facts: object) -> dict[str, object]:
    choices = {"opa": "Lung", "opb": "Liver", "opc": "Spleen", "opd": "Heart"}
    return {"id": identity, "question": question, "cop": right, **choices, "choice_type": "single", "subject_name": "Anatomy", "topic_name": None, **facts}


def medmcqa(root: Path, first: int = 1) -> Path:
    """Twenty training questions of which two are equal, four for testing; right choices numbered from `first`."""
    train = [mcq(f"t{n}", f"Which organ is drawn in {n // 2 if n < 2 else n}?", n % 4 + first) for n in range(20)]
    test = [mcq(f"d{n}", f"Which organ hurts in {n}?", n + first) for n in range(4)]
    for name, rows in (("train", train), ("dev", test)):
        write(root / f"medmcqa/{name}.json", "\n".join(json.dumps(row) for row in rows) + "\n")
    return root


def pubmedqa(root: Path) -> Path:
    """Eight questions, four of them for testing."""
    answers = ("yes", "no", "maybe", "yes")
    rows = {
        str(100 + n): {
            "QUESTION": f"Does drawing {n}  help?",
            "CONTEXTS": ["Drawn background.", f"Drawn results {n}."],
            "LABELS": ["BACKGROUND", "RESULTS"],
            "MESHES": [],
            "YEAR": "2011",
            "final_decision": answers[n % 4],
            "LONG_ANSWER": "It is drawn.",
        }
        for n in range(8)
    }
    dump(root / "pubmedqa/ori_pqal.json", rows)
    dump(root / "pubmedqa/test_ground_truth.json", {name: rows[name]["final_decision"] for name in list(rows)[:4]})
    return root


def mnist(dataset: medmnist.MedMnist, size: int = 28):
    """A builder of an archive with four, two and three pictures, each of its own grey."""

    def build(root: Path, **others: np.ndarray) -> Path:
        kind, held = dataset.kind, {}
        for part, number in (("train", 4), ("val", 2), ("test", 3)):
            held[f"{part}_images"] = np.stack([np.full((size, size), 20 * n + len(part), np.uint8) for n in range(number)])
            width = len(kind.labels) if kind.many else 1
            held[f"{part}_labels"] = (np.arange(number * width).reshape(number, width) % 2).astype(np.uint8)
        path = root / dataset.card.folder / f"{kind.name}{'' if size == 28 else f'_{size}'}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **{**held, **others})
        return root

    return build


def sample(study: str, image: object, *pairs: tuple[str, str], task: str = "View Classification") -> dict[str, object]:
    held = [{"q": question, "a": answer} for question, answer in pairs]
    facts = {"unique_id": "[x]", "study_id": study, "data_source": "Drawn", "task_name": task, "text": "", "target_text": ""}
    return {**facts, "image_path": image, "qa_pair": held if len(held) > 1 else held[0]}


def chexinstruct(root: Path) -> Path:
    """Two data sets: one with films (two wordings, two films), one of text; a study that is in two parts."""
    views = {
        "dataset_name": "[View Classification] [Drawn]",
        "train": [sample("[d] [1]", ["data/d/1.jpg", "data/d/2.jpg"], ("Which view?", "PA"), ("What view is this?", "PA"))],
        "val": [sample("[d] [1]", "data/d/1.jpg", ("Which view?", "AP"))],
        "test": [sample("[d] [3]", "data/d/3.jpg", ("Which view?", "AP"))],
    }
    texts = {
        "dataset_name": "[Text QA] [Drawn]",
        "train": [sample("[t] [1]", None, ("Context: a line. Q: a line?", "yes"), task="Text QA")],
        "val": [],
        "test": [],
    }
    dump(root / "chexinstruct/data_chexinstruct.json", [views, texts])
    for number in (1, 2, 3):
        picture(root / f"chexinstruct/data/d/{number}.jpg")
    return root


def chexbench(root: Path) -> Path:
    """Two choices, of two and of four; a phrase with its box; a findings section; a summary."""
    film = "data/mimic-cxr/files/p10/p10000001/s50000001/a.jpg"
    facts = {"data_source": "Drawn", "slice": "x"}
    tasks = {
        "View Classification": [
            {
                **facts,
                "image_path": film,
                "question": "Which view?",
                "option_0": "AP",
                "option_1": "PA",
                "option_2": float("nan"),
                "option_3": None,
                "answer": 1,
            },
            {**facts, "image_path": [film, "data/b.jpg"], "question": "Which?", **{f"option_{k}": f"view {k}" for k in range(4)}, "answer": 0},
        ],
        "Phrase Grounding": [
            {**facts, "image_path": ["data/b.jpg"], "question": "Where is the line?", "answer": "<|ref|>line<|/ref|><|box|>(10,20),(30,40)<|/box|>"}
        ],
        "Findings Generation": [{**facts, "image_path": [film], "section_indication": "Cough.", "section_findings": "A drawn line."}],
        "Findings Summarization": [{**facts, "image_path": [film], "section_findings": "A drawn line.", "section_impression": "A line."}],
    }
    dump(root / "chexbench/data.json", tasks)
    picture(root / "chexbench" / film)
    picture(root / "chexbench/data/b.jpg")
    return root


BUILDERS = {
    "roco": roco,
    "roco-v2": roco_v2,
    "llava-med": llava_med,
    "mimic-cxr": mimic_cxr,
    "chexpert": chexpert,
    "padchest": padchest,
    "radqa": radqa,
    "medmcqa": medmcqa,
    "pubmedqa": pubmedqa,
    "pneumoniamnist": mnist(medmnist.PNEUMONIA),
    "chestmnist": mnist(medmnist.CHEST),
    "breastmnist": mnist(medmnist.BREAST),
    "organamnist": mnist(medmnist.ORGAN_A),
    "chexinstruct": chexinstruct,
    "chexbench": chexbench,
}
