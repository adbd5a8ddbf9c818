"""Miniature files in the layout of the credentialed sets, drawn: none of their rows, texts or pictures is real."""

import json
from pathlib import Path

from tests.unit.data.layout import picture

MS_CXR_HEADER = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height,split\n"
MS_CXR_T_HEADER = (
    "dicom_id,subject_id,study_id,previous_dicom_id,previous_study_id,consolidation_progression,edema_progression,pleural_effusion_progression,"
    "pneumonia_progression,pneumothorax_progression,edema_label_quality\n"
)


def film(patient: int, study: int, name: str) -> str:
    """The path of a film of MIMIC-CXR-JPG without its ending."""
    return f"p{str(patient)[:2]}/p{patient}/s{study}/{name}"


def ms_cxr(root: Path) -> Path:
    """Two films: one phrase of two boxes and one of one box, another film with one phrase."""
    a, b = (f"files/{film(10000001 + n, 50000001, name)}.jpg" for n, name in enumerate("ab"))
    rows = (
        f'a,Pleural Effusion,"drawn fluid on both sides, small",{a},8,32,16,16,64,64,test\n'
        f'a,Pleural Effusion,"drawn fluid on both sides,  small",{a},40,32,16,16,64,64,test\n'
        f"a,Cardiomegaly,drawn large heart,{a},20,24,24,24,64,64,test\n"
        f"b,Pneumonia,drawn haze,{b},0,0,32,32,64,64,train\n"
    )
    for path in (a, b):
        picture(root / "mimic_cxr_jpg" / path, 32)
    (root / "ms_cxr").mkdir()
    (root / "ms_cxr/MS_CXR_Local_Alignment_v1.1.0.csv").write_text(MS_CXR_HEADER + rows)
    return root


def ms_cxr_json(root: Path) -> Path:
    """One phrase of two boxes, as version 1.0.0 writes it in COCO's form."""
    path = f"files/{film(10000001, 50000001, 'a')}.jpg"
    mark = {"image_id": 7, "category_id": 3, "label_text": "drawn fluid", "iscrowd": 0}
    held = {
        "info": {},
        "categories": [{"id": 3, "name": "Pleural Effusion"}],
        "images": [{"id": 7, "file_name": "a.jpg", "width": 64, "height": 64, "path": path}],
        "annotations": [{**mark, "id": 1, "bbox": [8, 32, 16, 16]}, {**mark, "id": 2, "bbox": [40, 32, 16, 16]}],
    }
    picture(root / "mimic_cxr_jpg" / path, 32)
    (root / "ms_cxr").mkdir()
    (root / "ms_cxr/MS_CXR_Local_Alignment_v1.0.0.json").write_text(json.dumps(held))
    return root


def ms_cxr_t(root: Path) -> Path:
    """Two pairs of films of one patient, with two labels and one."""
    first, second, third = (film(10000001, 50000001 + n, name) for n, name in enumerate("abc"))
    rows = f"{second},10000001,50000002,{first},50000001,,worsening,stable,,,one_expert\n{third},10000001,50000003,{second},50000002,,,,Improving,,\n"
    for name in (first, second, third):
        picture(root / "mimic_cxr_jpg/files" / f"{name}.jpg", 32)
    (root / "ms_cxr_t").mkdir()
    (root / "ms_cxr_t/MS_CXR_T_temporal_image_classification_v1.0.0.csv").write_text(MS_CXR_T_HEADER + rows)
    return root


def vindr_cxr(root: Path) -> Path:
    """Two films: one with two boxes of two names, one without finding."""
    home = root / "vindr_cxr"
    boxes = "image_id,class_name,x_min,y_min,x_max,y_max\naa,Cardiomegaly,4,8,24,28\naa,Other lesion,0,0,4,4\nbb,No finding,,,,\n"
    labels = "image_id,Cardiomegaly,Nodule/Mass,Other lesion,COPD,No finding\naa,1,0,1,0,0\nbb,0,0,0,0,1\n"
    for name in ("aa", "bb"):
        picture(home / "test" / f"{name}.png", 32)
    (home / "annotations").mkdir()
    (home / "annotations/annotations_test.csv").write_text(boxes)
    (home / "annotations/image_labels_test.csv").write_text(labels)
    return root
