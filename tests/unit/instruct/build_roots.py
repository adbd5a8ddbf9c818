"""Invented data roots in the published layouts, large enough that answers find partners; none of their rows, texts or pictures is real."""

import json
import random
from pathlib import Path

from tests.unit.data import layout
from tests.unit.data.layout import picture
from tests.unit.data.published import write
from vesalius.data.chest_labels import LABELS

_NIH = ("No Finding", "No Finding", "No Finding", "Pneumonia", "Pneumonia|Effusion", "Mass", "Edema|Infiltration", "Effusion")


def nih(root: Path, patients: int = 60) -> Path:
    """Two films of each patient, of which the first of every fifth is read again by experts; a box for every pneumonia."""
    rng, home, rows, boxes = random.Random(3), root / "nih_cxr", [], ["Image Index,Finding Label,x,y,w,h"]
    picture(home / "images/0.jpg", 512)
    content = (home / "images/0.jpg").read_bytes()
    (home / "images/0.jpg").unlink()
    for patient in range(1, patients + 1):
        sex = rng.choice("MF")
        for follow in (0, 1):
            name, labels, view = f"{patient:08d}_{follow:03d}", rng.choice(_NIH), rng.choice(("PA", "AP"))
            expert = "NO,YES" if patient % 5 == 0 and follow == 0 else ","
            rows.append(f"x,{name}.png,{labels},{follow},{patient},50,{sex},{view},2048,2048,0.14,0.14,{expert}")
            (home / f"images/{name}.jpg").write_bytes(content)
            if "Pneumonia" in labels:
                boxes.append(f"{name}.png,Pneumonia,{100 + 5 * patient},200,300,400")
    write(home / "metadata.csv", layout.NIH_HEADER + "\n".join(rows) + "\n")
    write(home / "bbox_1024px.csv", "\n".join(boxes) + "\n")
    return root


def slake(root: Path) -> Path:
    """Forty images of head and abdomen with boxes; one box is twice there, one reaches over the edge; one image is for testing."""
    home, train = root / "slake", []
    for number in range(40):
        head = number % 2 == 0
        location, modality = ("Brain", "MRI") if head else ("Abdomen", "CT")
        names = ["Brain Edema", "Left Eye", "Right Eye", "Brain Stem"] if head else ["Liver", "Spleen", "Liver Cancer", "Left Kidney"]
        picture(home / f"imgs/xmlab{number}/source.jpg", 100)
        boxes = [{name: [5.0 + 20 * place, 10.0, 15.0, 20.0]} for place, name in enumerate(names[: 2 + number % 3])]
        boxes += [boxes[0]] if number == 4 else [{names[0]: [90.0, 90.0, 30.0, 5.0]}] if number == 6 else []
        write(home / f"imgs/xmlab{number}/detection.json", json.dumps(boxes))
        facts = {"q_lang": "en", "location": location, "modality": modality, "answer_type": "CLOSED", "base_type": "vqa", "content_type": "Organ"}
        asked = (("Is there a liver?", "No" if head else "Yes"), ("What is shown?", location))
        train += [{"qid": 10 * number + n, "img_name": f"xmlab{number}/source.jpg", "question": q, "answer": a, **facts} for n, (q, a) in enumerate(asked)]
    picture(home / "imgs/xmlab99/source.jpg")
    write(home / "train.json", json.dumps(train))
    write(home / "validate.json", json.dumps([{**train[0], "qid": 9999, "img_name": "xmlab99/source.jpg"}]))
    return root


_SAID = {  # label of the table -> (findings, impression)
    "Cardiomegaly": ("The heart is enlarged, drawn so.", "Cardiomegaly."),
    "Pneumothorax": ("There is a pneumothorax on the right.", "Pneumothorax. No pleural effusion."),
    "Pleural Effusion": ("Fluid lies at the base of the lung.", "There is a pleural effusion. No pneumothorax."),
    "": ("The drawn lungs are clear as drawn.", "No pneumothorax. No cardiomegaly."),
    "grown": ("The pleural effusion has increased since the prior film.", "Pleural effusion. It is larger than before."),
    "shrunk": ("The pleural effusion has decreased since the prior film.", "Pleural effusion, smaller than on the prior film."),
    "same": ("The pleural effusion is unchanged from the prior film.", "Stable pleural effusion."),
    "blank": ("The ___ shows the line in place.", "Line of ___ seen."),
}


def mimic(root: Path, patients: int = 12) -> Path:
    """Two studies of each patient, the first of two films; the last two patients are for development and testing."""
    home, columns = root / "mimic_cxr", sorted(LABELS)
    metadata, parts, labels = (
        ["dicom_id,subject_id,study_id,ViewPosition,StudyDate"],
        ["dicom_id,study_id,subject_id,split"],
        ["subject_id,study_id," + ",".join(columns)],
    )
    kinds = list(_SAID)
    for number in range(patients):
        subject = 10000001 + number
        part = {patients - 1: "test", patients - 2: "validate"}.get(number, "train")
        for order in (0, 1):
            study, kind = 50000001 + 2 * number + order, kinds[(number + 4 * order) % len(kinds)]
            place = f"files/p10/p{subject}/s{study}"
            for view in ("PA", "LATERAL") if order == 0 else ("AP",):
                name = f"{number}{order}{view.lower()}"
                metadata.append(f"{name},{subject},{study},{view},2180010{order + 1}")
                parts.append(f"{name},{study},{subject},{part}")
                picture(root / f"mimic_cxr_jpg/{place}/{name}.jpg")
            state = {"Pneumonia": "-1.0", "Edema": "0.0", kind: "1.0", **({"No Finding": "1.0", "Edema": ""} if kind == "" else {})}
            labels.append(f"{subject},{study}," + ",".join(state.get(label, "") for label in columns))
            findings, impression = _SAID[kind]
            write(home / f"{place}.txt", f" FINAL REPORT\n INDICATION:  Drawn cough.\n\n FINDINGS:\n {findings}\n\n IMPRESSION:\n {impression}\n")
    for name, rows in (("metadata", metadata), ("split", parts), ("chexpert", labels)):
        write(home / f"mimic-cxr-2.0.0-{name}.csv", "\n".join(rows) + "\n")
    return root
