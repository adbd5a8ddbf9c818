"""`vesalius ask` as a person types it: on real DICOM, on pictures, with every mistake one can make."""

import json
import shutil

import numpy as np
import PIL.Image
import pydicom
import pytest

import vesalius as package
from vesalius.domain.reading import Reading

QUESTION = "Is there a lesion in the liver?"


def one_sentence(said):
    """Nothing on standard output, no traceback, and one sentence of ours as the last line."""
    last = said.err.strip().splitlines()[-1]
    assert said.out == ""
    assert "Traceback" not in said.err
    assert last.startswith("vesalius: ")
    assert last.endswith(".")
    return last


def test_an_answer_with_a_caveat(vesalius, dicom):
    said = vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", "standin")
    assert said.code == 0
    assert said.out.startswith("Released with a caveat\n")
    assert "answer    yes" in said.out
    assert "Not for diagnostic use." in said.out
    assert "reading the study" in said.err


def test_a_referred_answer_exits_with_3_and_is_marked(vesalius, dicom):
    said = vesalius("ask", dicom("J2K_pixelrep_mismatch.dcm"), "Is there intracranial hemorrhage?", "--model", "blind")
    assert said.code == 3
    assert said.out.startswith("Referred to a physician\n")
    assert "not released" in said.out


def test_json_is_one_object_and_nothing_else(typed, dicom):
    said = typed("ask", dicom("J2K_pixelrep_mismatch.dcm"), "Is there intracranial hemorrhage?", "--model", "blind", "--json")
    assert said.code == 3
    reading = json.loads(said.out)
    assert reading["decision"] == "referred"
    assert {c["name"] for c in reading["concerns"]} >= {"always_refer", "image_reliance"}
    assert reading["answer"] == "yes"
    assert set(reading["signals"]) == {"uncertainty", "flip_rate", "image_reliance", "hallucination_risk", "bias_score", "out_of_scope"}
    assert reading["signals"]["bias_score"] == {"value": None, "reason": "the policy holds no audit of subgroups"}
    assert all(line.startswith("  ") for line in said.err.splitlines())  # progress, and no library's warning


def test_quiet_is_quiet(typed, dicom):
    said = typed("ask", dicom("CT_small.dcm"), "Is there a fracture?", "--model", "standin", "--json", "--quiet")
    assert said.err == ""
    assert json.loads(said.out)["question"] == "Is there a fracture?"


def test_out_holds_picture_and_record(vesalius, dicom, tmp_path):
    out = tmp_path / "new" / "folder"
    said = vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", "standin", "--json", "--out", out)
    assert said.code == 0
    assert said.json["evidence"] == [str(out / "evidence.png"), str(out / "reading.json")]
    assert json.loads((out / "reading.json").read_text(encoding="utf-8")) == said.json
    assert sorted(p.name for p in out.iterdir()) == ["evidence.png", "reading.json"]
    with PIL.Image.open(out / "evidence.png") as picture:
        assert picture.width == 1600
    assert said.json["model"]["saliency"] == "a drawn spot"


def test_the_way_of_looking_is_chosen(vesalius, dicom, tmp_path):
    few = ("--samples", "0", "--rewordings", "0", "--json")
    said = vesalius("ask", dicom("CT_small.dcm"), QUESTION, "--model", "pocket", "--look", "gradient", "--out", tmp_path, *few)
    assert json.loads(said.out)["model"]["saliency"].startswith("gradient x activation")
    assert (tmp_path / "evidence.png").exists()


@pytest.mark.parametrize(
    ("words", "answer"),
    [(["--look", "gradiant", "--out", "x"], "is not one of 'occlusion', 'gradient', 'rollout'"), (["--look", "gradient"], "add --out DIR")],
)
def test_a_way_of_looking_that_leads_nowhere(vesalius, dicom, words, answer):
    said = vesalius("ask", dicom("CT_small.dcm"), QUESTION, "--model", "standin", *words)
    assert said.code == 2
    assert answer in said.err


def test_what_the_model_was_told_is_shown(vesalius, dicom):
    said = vesalius("ask", dicom("J2K_pixelrep_mismatch.dcm"), QUESTION, "--model", "visual-med-alpaca-pocket", "--samples", "0", "--rewordings", "0")
    assert "  seen      read as CT (0." in said.out
    assert ") by radiology: Modality: " in said.out


def test_python_gives_what_the_command_line_prints(vesalius, dicom):
    said = vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", "standin", "--json")
    reading = package.ask(package.read(dicom("examples_overlay.dcm")), QUESTION, model="standin")
    assert isinstance(reading, Reading)
    ours, printed = json.loads(json.dumps(reading.to_json())), said.json
    for both in (ours, printed):
        assert both.pop("timing").keys() >= {"encode", "ask", "total"}
    assert ours == printed
    assert package.ask(str(dicom("examples_overlay.dcm")), QUESTION, model="standin").answer == reading.answer


def test_a_picture_with_declared_facts(vesalius, tmp_path):
    path = tmp_path / "film.png"
    PIL.Image.fromarray((np.random.default_rng(1).random((300, 300)) * 40 + np.linspace(0, 200, 300)).astype(np.uint8)).save(path)
    said = vesalius("ask", path, "Is the heart enlarged?", "--model", "standin", "--modality", "cr", "--body-part", "chest", "--view", "PA", "--json")
    assert list(said.json["controls"]) == ["blank", "other patient"]
    bare = vesalius("ask", path, "Is the heart enlarged?", "--model", "standin", "--json")
    assert "the modality is unknown" in bare.json["signals"]["out_of_scope"]["reason"]


def test_a_frame_of_many(vesalius, dicom):
    said = vesalius("ask", dicom("examples_ybr_color.dcm"), "Is there an effusion?", "--model", "standin", "--frame", "3", "--json")
    assert said.code == 3  # ultrasound lies outside the card of the stand-in
    assert "US" in said.json["signals"]["out_of_scope"]["reason"]
    assert "frame 99 does not exist" in one_sentence(vesalius("ask", dicom("examples_ybr_color.dcm"), "Is it?", "--model", "standin", "--frame", "99"))


def test_several_files_and_a_folder_of_one_patient(vesalius, dicom, tmp_path):
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(dicom("CT_small.dcm"), tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    assert vesalius("ask", tmp_path, "Is there a fracture?", "--model", "standin").code in (0, 3)
    assert vesalius("ask", tmp_path / "a.dcm", tmp_path / "b.dcm", "Is there a fracture?", "--model", "standin").code in (0, 3)


def test_seed_and_counts(vesalius, dicom):
    def reading(*more):
        return vesalius("ask", dicom("CT_small.dcm"), "Is there a fracture?", "--model", "standin", "--json", *more).json

    assert reading("--seed", "1")["paraphrases"] == reading("--seed", "1")["paraphrases"]
    few = reading("--rewordings", "2", "--samples", "0")
    assert len(few["paraphrases"]) == 2
    assert few["samples"] == []
    assert few["signals"]["hallucination_risk"]["value"] is None


def test_a_policy_of_ones_own(vesalius, dicom, tmp_path):
    from importlib.resources import files

    text = files("vesalius.safety").joinpath("default_policy.toml").read_text()
    path = tmp_path / "strict.toml"
    path.write_text(text.replace('version = "1.4.0"', 'version = "2.0.0"').replace("caveat = 0.1 # (provisional) one rewording", "caveat = 0.0 # none", 1))
    said = vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", "standin", "--policy", path, "--json")
    assert said.json["policy"]["version"] == "2.0.0"


@pytest.mark.parametrize(
    ("text", "words"),
    [("max_mising = 3\n", "max_missing"), ("name = 3\n", "str"), ("= nonsense", "not valid TOML"), ("", "missing key"), (None, "cannot be read")],
)
def test_a_bad_policy(vesalius, dicom, tmp_path, text, words):
    path = tmp_path / "policy.toml"
    if text is not None:
        path.write_text(text)
    said = vesalius("ask", dicom("CT_small.dcm"), "Is there a fracture?", "--model", "standin", "--policy", path)
    assert said.code == 2
    assert words in one_sentence(said)


def bad(kind, folder, dicom):
    """A study that cannot be one."""
    path = folder / "study.dcm"
    if kind == "empty":
        path.touch()
    elif kind == "truncated":
        path.write_bytes(dicom("CT_small.dcm").read_bytes()[:3000])
    elif kind == "text":
        path.write_text("The patient is well.\n" * 30)
    elif kind == "zip":
        path.write_bytes(b"PK\x03\x04" + bytes(60))
    elif kind == "broken JPEG":
        path.write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    elif kind == "empty folder":
        path.mkdir()
    elif kind == "mixed patients":
        path.mkdir()
        for i in range(2):
            dataset = pydicom.dcmread(dicom("CT_small.dcm"))
            dataset.PatientID = f"patient {i}"
            dataset.save_as(path / f"{i}.dcm")
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("empty", "is empty"),
        ("truncated", "study.dcm"),
        ("text", "is not an image"),
        ("zip", "unpack it first"),
        ("broken JPEG", "damaged"),
        ("empty folder", "holds no files"),
        ("mixed patients", "2 patients"),
    ],
)
def test_a_bad_study(vesalius, dicom, tmp_path, kind, words):
    said = vesalius("ask", bad(kind, tmp_path, dicom), QUESTION, "--model", "standin", "--json")
    assert said.code == 2
    assert words in one_sentence(said).lower() or words in one_sentence(said)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("ask",), "study and question are missing"),
        (("ask", "Is there a lesion?"), "the study is missing"),
        (("ask", "FILE"), "the question is missing"),
        (("ask", "FILE", "FILE"), "the question is missing"),
        (("ask", "FILE", ""), "a question must have text"),
        (("ask", "FILE", "   "), "a question must have text"),
        (("ask", "FILE", "x" * 3000), "2,000 characters"),
        (("ask", "FILE", "Is it?", "--model", "pokcet"), "did you mean 'pocket'"),
        (("ask", "FILE", "Is it?", "--modle", "pocket"), "'--model'"),
        (("ask", "FILE", "Is it?", "--modality", "MRR"), "did you mean 'MR'"),
        (("ask", "FILE", "Is it?", "--model", "standin", "--modality", "MR"), "the header says CT"),
        (("ask", "FILE", "Is it?", "--frame", "-1"), "--frame"),
        (("ask", "FILE", "Is it?", "--rewordings", "many"), "--rewordings"),
        (("ask", "FILE", "Is it?", "--model", "standin", "--data", "/nowhere"), "not a folder"),
        (("ask", "FILE", "Is it?", "--model", "standin", "--study", "1.2.3"), "1.2.3"),
        (("aks", "FILE", "Is it?"), "did you mean 'ask'"),
        (("models", "shwo", "pocket"), "did you mean 'show'"),
        (("--versoin",), "'--version'"),
    ],
)
def test_a_mistyped_line(vesalius, dicom, words, answer):
    said = vesalius(*(dicom("CT_small.dcm") if w == "FILE" else w for w in words))
    assert said.code == 2
    assert answer in one_sentence(said)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(vesalius, dicom, tmp_path):
    (tmp_path / "file").touch()
    said = vesalius("ask", dicom("CT_small.dcm"), QUESTION, "--model", "standin", "--out", tmp_path / "file")
    assert said.code == 2
    assert "cannot be written" in one_sentence(said)
    assert "reading" not in said.err


@pytest.mark.parametrize("question", ["Gibt es eine Läsion in der Leber?", "肝脏有病变吗?", "🙂🙂🙂"])
def test_a_question_that_is_not_english_is_referred(vesalius, dicom, question):
    said = vesalius("ask", dicom("examples_overlay.dcm"), question, "--model", "standin", "--json")
    assert said.code == 3
    assert said.json["question"] == question
    assert "does not read as English" in said.json["signals"]["out_of_scope"]["reason"]


def test_a_picture_that_cannot_be_drawn_does_not_cost_the_answer(vesalius, dicom, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr("vesalius.evidence.page.draw", fail)
    said = vesalius("ask", dicom("examples_overlay.dcm"), QUESTION, "--model", "standin", "--json", "--out", tmp_path)
    assert said.code == 0
    assert said.json["evidence"] == [str(tmp_path / "reading.json")]
    assert "no ink" in said.err


def test_a_mistake_of_ours_shows_its_traceback(vesalius, dicom):
    said = vesalius("ask", dicom("CT_small.dcm"), QUESTION, "--model", "broken")
    assert said.code == 1
    assert "Traceback" in said.err
    assert "ZeroDivisionError" in said.err
    assert said.out == ""


def test_stopped_from_the_keyboard(vesalius, dicom):
    said = vesalius("ask", dicom("CT_small.dcm"), QUESTION, "--model", "stopped")
    assert said.code == 130
    assert one_sentence(said) == "vesalius: stopped."
