"""The whole check on miniature sets and on the published ones."""

import json
import shutil

import pytest

from tests.unit.data import layout
from tests.unit.data.leaks.drawn import CHANGES, film, save
from vesalius.data import leaks
from vesalius.data.base import DataFormatError
from vesalius.data.leaks import Severity, published
from vesalius.data.leaks.report import Finding, LeakReport, ordered
from vesalius.domain.exchange import Exchange, Question, Split
from vesalius.errors import DataMissing, UnknownName


def found(report, where, kind):
    return next((f for f in report.findings if f.where == where and f.kind == kind), None)


@pytest.fixture
def root(tmp_path):
    layout.slake(layout.nih_cxr(layout.vqa_rad(tmp_path)))
    places = ["vqa_rad/images/a.jpg", "vqa_rad/images/b.jpg", "slake/imgs/xmlab1/source.jpg", "slake/imgs/xmlab2/source.jpg"]
    places += [f"nih_cxr/images/{name}.jpg" for name in ("00000007_001", "00000007_000", "00000008_000")]
    for seed, place in enumerate(places):
        save(film(seed), tmp_path / place)
    return tmp_path


def test_a_picture_in_both_parts(root):
    report = leaks.check(root, ["vqa-rad"])
    finding = found(report, "vqa-rad as published: trainset.json, testset.json", "image")
    assert (finding.count, finding.of, finding.severity) == (1, 1, Severity.SERIOUS)
    assert report.leaks
    assert report.of("vqa-rad")
    assert not report.of("slake")


def test_languages_that_were_split_apart(root):
    finding = found(leaks.check(root, ["slake"]), "slake as published: train zh, validate en", "image")
    assert finding.examples == ("slake/imgs/xmlab2/source.jpg",)


def test_copies_in_two_sets(root):
    save(CHANGES["all at once"](film(4)), root / "slake/imgs/xmlab2/source.jpg")
    finding = found(leaks.check(root), "nih-cxr, slake", "image")
    assert finding.count == 1
    assert "00000007_001.jpg = slake/imgs/xmlab2/source.jpg" in finding.examples[0]


def test_sets_that_share_nothing_are_not_accused(root):
    report = leaks.check(root, ["nih-cxr"])
    assert (report.findings, report.leaks, report.images, report.pairs) == ((), False, 3, 0)


def test_a_template_written_from_a_test_row(root):
    home = root / "vqa_rad"
    public = json.loads((home / "VQA_RAD_public_fields.json").read_text())
    train = json.loads((home / "trainset.json").read_text())
    for record in public:
        record["question_frame"] = "Is/Are the lungs  clear?" if record["question"] == "Are the lungs clear?" else "NULL"
    train.append({**train[1], "qid": 99, "question": "Is/are the lungs clear? ", "answer": "Yes"})
    (home / "VQA_RAD_public_fields.json").write_text(json.dumps(public))
    (home / "trainset.json").write_text(json.dumps(train))
    finding = found(leaks.check(root, ["vqa-rad"]), "vqa-rad as published: train, test", "origin")
    assert (finding.count, finding.of, finding.numbers["same answer"]) == (1, 2, 1)
    train[-1]["answer"] = "No"
    (home / "trainset.json").write_text(json.dumps(train))
    assert found(leaks.check(root, ["vqa-rad"]), "vqa-rad as published: train, test", "origin").numbers["same answer"] == 0


def test_a_set_that_cannot_be_read_is_named(root):
    (root / "slake/train.json").write_text("{")
    report = leaks.check(root)
    assert found(report, "slake official", "unchecked").text.startswith("was not checked")
    assert "vqa-rad" in report.sets


def test_a_broken_picture_is_named(root):
    (root / "vqa_rad/images/a.jpg").write_bytes(b"\xff\xd8 broken")
    assert found(leaks.check(root, ["vqa-rad"]), "vqa_rad/images/a.jpg", "unchecked")


def test_names_that_are_not_there(root):
    with pytest.raises(DataMissing):
        leaks.check(root, ["hannover"])
    with pytest.raises(UnknownName):
        leaks.check(root, ["nope"])
    shutil.rmtree(root / "slake")
    assert "slake" not in leaks.check(root).sets


def test_a_row_that_is_not_slakes(root):
    (root / "slake/validate.json").write_text('[{"qid": 1}]')
    with pytest.raises(DataFormatError):
        published.parts("slake", root)


def test_a_patient_with_two_pictures():
    def row(image, cluster, split):
        return Exchange(image, image, Question("Is it?"), "yes", True, cluster, split)

    train, test = [row("a", "p1", Split.TRAIN)], [row("b", "p1", Split.TEST), row("c", "p2", Split.TEST)]
    (finding,) = leaks.within("x", {"train": train, "test": test}, {})
    assert (finding.kind, finding.count, finding.of, finding.severity) == ("patient", 1, 2, Severity.SERIOUS)
    later = [row(x.image, x.cluster, Split.DEVELOPMENT) for x in test]
    assert leaks.within("x", {"train": train, "development": later}, {})[0].severity is Severity.NOTE


def test_the_worst_goes_first_and_all_is_json():
    some = [Finding("image", s, "x", 1, 2, "t", {"n": 1}, ("e",)) for s in (Severity.NOTE, Severity.GRAVE, Severity.SERIOUS)]
    report = LeakReport(("x",), 1, 0, ordered(some))
    assert [f["severity"] for f in json.loads(json.dumps(report.to_json()))["findings"]] == ["grave", "serious", "note"]
    assert not LeakReport(("x",), 1, 0, tuple(some[:1])).leaks


@pytest.mark.data
def test_the_templates_of_vqa_rad(data_root):
    origins = published.origins("vqa-rad", data_root)
    assert len(origins) == 284
    (parts,) = published.parts("vqa-rad", data_root)
    assert len(parts["trainset.json"]) == 3064
    templates = [row for row in parts["trainset.json"] if row.phrase == "template"]
    by_words = {match.test.id for match in leaks.repeated(templates, parts["testset.json"])}
    linked = {row.id for row in origins}
    assert len(by_words & linked) == 258
    assert len(by_words - linked) == 6


@pytest.mark.data
def test_films_that_two_published_sets_share(data_root):
    copies = {"00000506_013": 133, "00011583_000": 376, "00005353_000": 157}
    files = {f"nih {name}": data_root / f"nih_cxr/images/{name}.jpg" for name in copies}
    files |= {f"slake {n}": data_root / f"slake/imgs/xmlab{n}/source.jpg" for n in (*copies.values(), 1, 2, 3)}
    pairs = {(p.first, p.second) for p in leaks.compare(files).pairs if p.first.startswith("nih")}
    assert pairs == {(f"nih {name}", f"slake {n}") for name, n in copies.items()}
