"""The benchmark of de-identification: what is planted can be found, whoever leaves it in is not right, and ours is."""

import importlib
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
IDENTIFYING = {"gone", "new", "same", "moved", "covered", "claims", "blank"}


@pytest.fixture(scope="module")
def parts():
    """The modules of the benchmark."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(BENCHMARKS))
    patch.delenv("VESALIUS_DATA", raising=False)
    yield {name: importlib.import_module(f"deidentify.{name}") for name in ("corpus", "items", "score", "runs", "table", "draw", "people")}
    patch.undo()


@pytest.fixture(scope="module")
def made(parts, tmp_path_factory):
    """A film, a CT, an MR, an ultrasound and a structured report, with all that is planted in them."""
    folder = tmp_path_factory.mktemp("planted") / "corpus"
    parts["corpus"].make(folder, 5, 3)
    return folder, parts["items"].load(folder / "items.jsonl")


def judged(parts, made, given):
    folder, planted = made
    return parts["score"].Judge(folder, planted, given).all()


def as_they_are(made):
    return {item.file: made[0] / "source" / item.file for item in made[1]}


def test_the_same_seed_makes_the_same_files(parts, tmp_path):
    for name in ("one", "two"):
        parts["corpus"].make(tmp_path / name, 1, 11)
    one, two = ({str(p.relative_to(tmp_path / n)): p.read_bytes() for p in (tmp_path / n).rglob("*") if p.is_file()} for n in ("one", "two"))
    assert one == two
    assert any(name.endswith(".dcm") for name in one)


def test_whoever_does_nothing_is_right_only_where_something_must_stay(parts, made):
    found = judged(parts, made, as_they_are(made))
    assert {one.item.action for one in found} >= IDENTIFYING | {"kept", "linked", "untouched", "sound"}
    assert [one.item for one in found if one.right and one.item.action in IDENTIFYING] == []
    assert [one.item for one in found if not one.right and one.item.action not in IDENTIFYING] == []


def test_a_file_that_is_not_given_out_is_neither_right_nor_a_leak(parts, made):
    found = judged(parts, made, {})
    assert not any(one.right or one.given for one in found)
    run = parts["runs"].Run("none", "best", "1", {}, 1.0)
    assert parts["table"]._leaked(run, found) == "0.00"


def test_an_emptied_header_has_no_identifier_and_no_research_data(parts, made, tmp_path):
    def emptied(source, name):
        ds = pydicom.dcmread(source)
        for element in list(ds):
            if element.tag.group not in (0x0028, 0x7FE0) or element.VR == "LO":
                del ds[element.tag]
        ds.preamble, out = b"\0" * 128, tmp_path / name.replace("/", "-")
        ds.save_as(out, enforce_file_format=False)
        return out

    found = judged(parts, made, {name: emptied(path, name) for name, path in as_they_are(made).items() if name.endswith(".dcm")})
    headers = [one for one in found if one.given and one.item.action == "gone" and one.item.path[0] not in ("meta", "bytes")]
    assert headers
    assert all(one.right for one in headers)
    assert not any(one.right for one in found if one.item.category in ("patient characteristics", "UIDs linked", "patients linked", "claims"))


def test_a_string_is_covered_when_each_of_its_letters_is(parts, made, tmp_path):
    folder, planted = made
    item = next(i for i in planted if i.action == "covered" and pydicom.dcmread(folder / "source" / i.file).SamplesPerPixel == 1)
    letters = np.asarray(Image.open(folder / "letters" / item.value))
    rest = next(i for i in planted if i.file == item.file and i.action == "untouched")

    def right(columns, wanted=item):
        ds = pydicom.dcmread(folder / "source" / item.file)
        pixels = ds.pixel_array.copy()
        r, c = item.detail["row"], item.detail["column"]
        pixels[r : r + letters.shape[0], c : c + columns] ^= 1
        if wanted is rest:
            pixels[:] = 0
        if ds.file_meta.TransferSyntaxUID.is_compressed:
            ds.decompress()
        ds.PixelData = pixels.tobytes()
        ds.save_as(tmp_path / "out.dcm")
        (one,) = [j for j in judged(parts, (folder, [wanted]), {item.file: tmp_path / "out.dcm"}) if j.item == wanted]
        return one.right

    assert not right(0)
    assert not right(letters.shape[1] // 2)
    assert right(letters.shape[1])
    assert right(0, rest) is False


def test_dates_must_move_together_and_by_something(parts, tmp_path):
    item, items = parts["items"].Item, []
    for number, day in enumerate(("20150101", "20150301", "20150601")):
        ds = pydicom.Dataset()
        ds.StudyDate = ("20140101", "20140301", "20140701")[number]
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=False)
        items.append(item(f"{number}.dcm", 1, "intervals between dates", "moved", ("00080020",), day))
    given = {i.file: tmp_path / i.file for i in items}
    assert [one.right for one in judged(parts, (tmp_path, items), given)] == [True, True, False]
    still = [item(i.file, 1, i.category, "moved", i.path, day) for i, day in zip(items, ("20140101", "20140301", "20140701"), strict=True)]
    assert not any(one.right for one in judged(parts, (tmp_path, still), given))


@pytest.mark.parametrize(
    ("text", "word", "there"),
    [
        ("CHEST SMITH", "Smith", True),
        ("CHEST", "Smith", False),
        ("at 95%", "95", True),
        ("195", "95", False),
        ("id_1234567x", "1234567", True),
        ("201-555-0100", "201-555-0100", True),
        ("2015550100", "201-555-0100", True),
    ],
)
def test_words_are_found_in_any_case_and_short_ones_only_alone(parts, text, word, there):
    assert parts["score"].holds(text, word) is there


def test_the_interval_counts_patients_not_files(parts):
    item, one = parts["items"].Item, parts["score"].Judged
    together = [one(item("f", p, "c", "gone", ()), p != 0, True) for p in range(10) for _ in range(10)]
    apart = [one(item("f", p * 10 + k, "c", "gone", ()), p != 0, True) for p in range(10) for k in range(10)]
    rate = parts["table"].rate
    assert rate(together)[0] == rate(apart)[0] == 0.9
    assert rate(together)[1] < rate(apart)[1] - 0.05
    assert rate(together[10:]) == (1.0, pytest.approx(0.025 ** (1 / 90)), 1.0)
    assert rate([]) is None


def test_a_program_that_is_not_there_is_told(parts, made, tmp_path):
    told = list(parts["runs"].others(made[0], tmp_path, tmp_path / "nowhere", ["dicognito"], ["default"]))
    assert len(told) == 1
    assert told[0].startswith("dicognito: left out")
    assert "PatientSex" in json.loads((tmp_path / "lists.json").read_text())["characteristics"]


def test_ours_is_right_where_others_are_scored(parts, tmp_path):
    planted = parts["corpus"].make(tmp_path / "corpus", 2, 5)
    run = parts["runs"].ours(tmp_path / "corpus", tmp_path, "best", read="nothing", workers=1)
    found = judged(parts, (tmp_path / "corpus", planted), run.given)
    headers = [one for one in found if parts["table"].kind(one) == "headers"]
    assert len(headers) > 200
    assert [one.item for one in headers if not one.right] == []
    table = parts["table"].render([(run, found)])
    assert "| identifiers in headers |" in table
    assert "100.0 (" in table
