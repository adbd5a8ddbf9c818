"""Miniature copies of the published folder layouts, so that every reader is exercised without the data."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image as Picture


def picture(path: Path, size: int = 16, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(np.full((size, size, 3), value, np.uint8)).save(path)


def _rad(qid, image, question, answer, kind="CLOSED", phrase="freeform", organ="CHEST", topic="PRES"):
    return {
        "qid": qid,
        "image_name": image,
        "image_organ": organ,
        "answer": answer,
        "answer_type": kind,
        "question_type": topic,
        "question": question,
        "phrase_type": phrase,
    }


def vqa_rad(root: Path) -> Path:
    """Five training rows (one a template), two test rows; one strict, one inverted pair; public records in their own numbering."""
    train = [
        _rad(1, "a.jpg", "Is the  heart enlarged?", "No", "CLOSED "),
        _rad(2, "a.jpg", "Is/Are the heart enlarged?", "No", phrase="frame"),
        _rad(3, "a.jpg", "Is there cardiomegaly?", "no", phrase="para"),
        _rad(6, "b.jpg", "How many masses?", 3, "OPEN", organ="HEAD"),
        _rad(7, "b.jpg", "What is the modality?", "T2 MRI", "OPEN", organ="HEAD", topic="MODALITY"),
    ]
    test = [_rad(4, "a.jpg", "Are the lungs clear?", "yes"), _rad(5, "a.jpg", "Is there an opacity?", "no", phrase="para")]
    relation = {1: "strict agreement", 3: "strict agreement", 4: "inversion", 5: "inversion", 6: "NULL", 7: "NULL"}
    link = {1: "x", 3: "x", 4: "y", 5: "y", 6: "z", 7: "w"}
    public = []
    for number, row in enumerate(sorted([r for r in train + test if r["phrase_type"] != "frame"], key=lambda r: r["qid"])):
        phrase = ("test_" if row in test else "") + row["phrase_type"]
        record = {**row, "phrase_type": phrase, "qid": number, "qid_linked_id": link[row["qid"]], "question_relation": relation[row["qid"]]}
        public.append({**record, "image_case_url": f"case/{row['image_name']}"})
    home = root / "vqa_rad"
    for name in ("a.jpg", "b.jpg"):
        picture(home / "images" / name)
    for name, rows in (("trainset", train), ("testset", test), ("VQA_RAD_public_fields", public)):
        (home / f"{name}.json").write_text(json.dumps(rows))
    return root


def _slake(qid, image, answer, language="en", question="What is shown?"):
    facts = {"q_lang": language, "location": "Chest_lung", "modality": "MRI", "answer_type": "OPEN", "base_type": "vqa", "content_type": "Organ"}
    return {"qid": qid, "img_name": f"{image}/source.jpg", "question": question, "answer": answer, **facts}


def slake(root: Path) -> Path:
    """Two English training rows, one Chinese, one without answer; one English validation row; one box."""
    home = root / "slake"
    for name in ("xmlab1", "xmlab2"):
        picture(home / "imgs" / name / "source.jpg")
        (home / "imgs" / name / "detection.json").write_text(json.dumps([{"Lung": [2.0, 3.0, 4.0, 5.0]}]))
    train = [_slake(0, "xmlab1", "Lung"), _slake(1, "xmlab1", " Liver "), _slake(2, "xmlab2", "肺", "zh"), _slake(3, "xmlab1", "")]
    (home / "train.json").write_text(json.dumps(train))
    (home / "validate.json").write_text(json.dumps([_slake(9, "xmlab2", "Lung")]))
    (home / "KG").mkdir()
    (home / "KG" / "en_disease.csv").write_text("disease#attribute#value\nPneumonia#location#Lung\n")
    for name in ("en_organ", "en_organ_rel"):
        (home / "KG" / f"{name}.csv").write_text("organ#attribute#value\nLung#function#breathe\n")
    return root


NIH_HEADER = (
    "source_folder,Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],google2019_Fracture,google2019_Pneumothorax\n"
)


def nih_cxr(root: Path) -> Path:
    """Two films of one patient, out of order, and one of another."""
    home = root / "nih_cxr"
    rows = (
        "P,00000007_001.png,Pneumonia|Infiltration,1,7,41,F,AP,2500,2048,0.168,0.168,,\n"
        "N,00000007_000.png,No Finding,0,7,40,F,PA,2048,2500,0.168,0.168,NO,YES\n"
        "N,00000008_000.png,No Finding,0,8,60,M,PA,2048,2048,0.143,0.143,,\n"
    )
    for name in ("00000007_001", "00000007_000", "00000008_000"):
        picture(home / "images" / f"{name}.jpg")
    (home / "metadata.csv").write_text(NIH_HEADER + rows)
    (home / "bbox_1024px.csv").write_text("Image Index,Finding Label,x,y,w,h\n00000007_001.png,Infiltrate,100,200,50,60\n")
    return root


def hannover(root: Path) -> Path:
    """One patient with two films, out of order, and one with a film without day."""
    home = root / "hannover_cxr"
    rows = "p1,late,f,,10,2.0,CR,ap\np1,early,f,,-2,2.0,DX,pa\np2,alone,,,,,CR,pa\n"
    for name in ("late", "early", "alone"):
        picture(home / "images" / f"{name}.jpg")
    (home / "data.csv").write_text("patient_id,image_id,sex,age,admission_offset,icu_admission_offset,modality,projection\n" + rows)
    return root


INDIANA = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{number}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON"/><AbstractText Label="INDICATION">{indication}</AbstractText>
<AbstractText Label="FINDINGS">{findings}</AbstractText><AbstractText Label="IMPRESSION">{impression}</AbstractText>
</Abstract></Article></MedlineCitation><MeSH>{terms}</MeSH></eCitation>
"""
INDIANA_ROWS = (
    (1, "Cough; pneumonia?", "The heart is enlarged.  No effusion.", "Cardiomegaly.", ("Cardiomegaly/mild",)),
    (2, "", "Lungs are clear.", "", ("normal",)),
    (3, "Pain", "", "Small left effusion. Pacemaker.", ("Pleural Effusion/left/small", "Implanted Medical Device")),
    (10, "Pain", "Lungs are clear.", "Normal.", ("No Indexing",)),
)


def iu_reports(root: Path, rows=INDIANA_ROWS) -> Path:
    """Reports of our own wording in the published archive."""
    home = root / "iu_reports"
    home.mkdir(parents=True, exist_ok=True)
    with tarfile.open(home / "NLMCXR_reports.tgz", "w:gz") as archive:
        for number, indication, findings, impression, terms in rows:
            majors = "".join(f"<major>{term}</major>" for term in terms)
            text = INDIANA.format(number=number, indication=indication, findings=findings, impression=impression, terms=majors).encode()
            member = tarfile.TarInfo(f"ecgen-radiology/{number}.xml")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return root
